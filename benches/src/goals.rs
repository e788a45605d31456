//! The times to reach, on one thread of a Zen 3 core with AVX2, in milliseconds.

const GOALS: &[(&str, f64)] = &[
    ("ntt/2^14", 0.040),
    ("ckks/mul_relin_rescale/2^13", 0.8),
    ("ckks/mul_relin_rescale/2^14", 5.0),
    ("ckks/mul_relin_rescale/2^15", 25.0),
    ("ckks/rotate/2^13", 0.6),
    ("ckks/rotate/2^14", 4.5),
    ("ckks/rotate/2^15", 20.0),
    ("ckks/encode/2^14", 0.5),
    ("ckks/decode/2^14", 0.7),
    ("ckks/encrypt/2^14", 3.0),
    ("ckks/dot/4096", 4.0),
    ("linalg/vec64_plain_64x64", 8.0),
    ("linalg/vec256_plain_256x128", 15.0),
];

/// The goal of an operation. Goals are for one thread; with more there is none.
#[must_use]
pub fn goal_ms(name: &str, threads: usize) -> Option<f64> {
    GOALS
        .iter()
        .find(|(goal, _)| threads == 1 && *goal == name)
        .map(|&(_, ms)| ms)
}
