//! This library's contenders. Each result is checked before its time is taken.

pub mod arrays;
pub mod bfv;
pub mod ckks;
pub mod gemm;
pub mod integers;
pub mod linalg;
pub mod matrices;
pub mod ntt;
pub mod paillier;
pub mod small;

/// The name of this library's contenders.
pub const NAME: &str = "cipherblas";

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An error unless `got` is `expected` up to `bound` in every entry; the largest difference otherwise.
fn agree(what: &str, got: &[f64], expected: &[f64], bound: f64) -> Result<f64, String> {
    if got.len() != expected.len() {
        return Err(format!(
            "{what}: got {} values, expected {}",
            got.len(),
            expected.len()
        ));
    }
    let worst = got
        .iter()
        .zip(expected)
        .map(|(g, e)| (g - e).abs())
        .fold(0.0, f64::max);
    // A NaN is never within the bound.
    if got.iter().all(|g| g.is_finite()) && worst <= bound {
        Ok(worst)
    } else {
        Err(format!("{what}: off by {worst}, expected at most {bound}"))
    }
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn agreement_is_within_the_bound_and_finite() {
        assert_eq!(agree("x", &[1.0, 2.0], &[1.0, 2.5], 0.5), Ok(0.5));
        assert!(agree("x", &[1.0, 2.0], &[1.0, 2.5], 0.4).is_err());
        assert!(agree("x", &[f64::NAN], &[1.0], 1.0).is_err());
        assert!(agree("x", &[], &[1.0], 1.0).is_err());
    }
}
