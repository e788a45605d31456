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
    ("linalg/vec2048_plain_2048x2048", 100.0),
    ("linalg/enc16_enc16", 30.0),
    ("linalg/enc64_enc64", 150.0),
];

/// Where the goal is to be this many times as fast as every peer whose name begins so, in the same run.
const RATIO_GOALS: &[(&str, &str, f64)] = &[("paillier/matvec256/2048", "phe ", 8.0)];

/// Where the goal is to take at most so many times the time of a plain product, in the same run on as many threads: encrypted
/// products, beside NumPy's.
const PLAIN_GOALS: &[(&str, &str, f64)] = &[
    ("linalg/plain_enc/2048", PLAIN, 8.0),
    ("linalg/plain_enc/4096", PLAIN, 8.0),
    ("linalg/enc_enc/2048", PLAIN, 20.0),
    ("linalg/enc_enc/4096", PLAIN, 16.0),
];

/// How the name of the plain product begins that encrypted ones are measured by.
pub const PLAIN: &str = "NumPy ";

/// How our own calls in Rust are named, beside which those of the Python package are measured.
pub const IN_RUST: &str = "cipherblas in Rust";

/// What calls of the package may take, in times of the same calls in Rust.
const PYTHON_OVERHEAD: f64 = 1.05;

/// Of the Python package: ahead of every peer, and nearly as fast as Rust.
fn package_ratio(name: &str, peer: &str) -> Option<f64> {
    let operation = name.strip_prefix("python/")?;
    match (
        operation.starts_with("overhead/"),
        peer.starts_with(IN_RUST),
    ) {
        (true, true) => Some(1.0 / PYTHON_OVERHEAD),
        (false, false) if peer != "none" => Some(1.0),
        _ => None,
    }
}

/// The goal of an operation. Goals are for one thread; with more there is none.
#[must_use]
pub fn goal_ms(name: &str, threads: usize) -> Option<f64> {
    GOALS
        .iter()
        .find(|(goal, _)| threads == 1 && *goal == name)
        .map(|&(_, ms)| ms)
}

/// How many times faster than `peer` an operation is to be; below 1, how much slower it may be.
#[must_use]
pub fn goal_ratio(name: &str, threads: usize, peer: &str) -> Option<f64> {
    let find = |goals: &[(&str, &str, f64)]| {
        goals
            .iter()
            .find(|(goal, whom, _)| *goal == name && peer.starts_with(whom))
            .map(|&(_, _, times)| times)
    };
    package_ratio(name, peer)
        .or_else(|| find(PLAIN_GOALS).map(|times| 1.0 / times))
        .or_else(|| find(RATIO_GOALS).filter(|_| threads == 1))
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

    #[test]
    fn the_package_is_to_be_ahead_of_peers_and_near_rust_on_any_number_of_threads() {
        let ratio = |name, peer| goal_ratio(name, 2, peer);
        assert_eq!(ratio("python/dot/4096", "TenSEAL 0.3.18"), Some(1.0));
        assert_eq!(ratio("python/dot/4096", "none"), None);
        assert_eq!(
            ratio("python/overhead/ckks_add/10000", "cipherblas in Rust 0.1.0"),
            Some(1.0 / 1.05)
        );
    }

    #[test]
    fn encrypted_products_have_a_goal_beside_the_plain_one_on_any_number_of_threads() {
        let ratio = |name, threads, peer| goal_ratio(name, threads, peer);
        assert_eq!(
            ratio("linalg/plain_enc/4096", 2, "NumPy 2.4.6"),
            Some(1.0 / 8.0)
        );
        assert_eq!(
            ratio("linalg/enc_enc/2048", 1, "NumPy 2.4.6"),
            Some(1.0 / 20.0)
        );
        assert_eq!(ratio("linalg/enc_enc/2048", 1, "gemm 0.19"), None);
        assert_eq!(ratio("linalg/enc_enc/1024", 1, "NumPy 2.4.6"), None);
    }
}
