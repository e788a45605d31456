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
    ("bfv/mul_relin/2^13", 3.5),
    ("bfv/mul_relin/2^14", 12.0),
    ("paillier/encrypt/2048", 0.4),
    ("paillier/decrypt/2048", 1.8),
    ("paillier/add/2048", 0.006),
    ("paillier/scale53/2048", 0.15),
    ("paillier/dot32/2048", 1.5),
    ("linalg/vec64_plain_64x64", 8.0),
    ("linalg/vec256_plain_256x128", 15.0),
];

/// Where the goal is to be this many times as fast as every peer whose name begins so, in the same run.
const RATIO_GOALS: &[(&str, &str, f64)] = &[("paillier/matvec256/2048", "phe ", 8.0)];

/// The goal of an operation. Goals are for one thread; with more there is none.
#[must_use]
pub fn goal_ms(name: &str, threads: usize) -> Option<f64> {
    GOALS
        .iter()
        .find(|(goal, _)| threads == 1 && *goal == name)
        .map(|&(_, ms)| ms)
}

/// How many times faster than `peer` an operation is to be, on one thread.
#[must_use]
pub fn goal_ratio(name: &str, threads: usize, peer: &str) -> Option<f64> {
    RATIO_GOALS
        .iter()
        .find(|(goal, whom, _)| threads == 1 && *goal == name && peer.starts_with(whom))
        .map(|&(_, _, ratio)| ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_for_one_thread_and_ratios_for_one_library() {
        assert_eq!(goal_ms("bfv/mul_relin/2^13", 1), Some(3.5));
        assert_eq!(goal_ms("bfv/mul_relin/2^13", 2), None);
        let ratio = |threads, peer| goal_ratio("paillier/matvec256/2048", threads, peer);
        assert_eq!(ratio(1, "phe 1.5.0 + gmpy2 2.3.2, raw"), Some(8.0));
        assert_eq!(
            (ratio(2, "phe 1.5.0"), ratio(1, "pypaillier")),
            (None, None)
        );
    }
}
