//! Powers of two, exactly.

/// `2^exponent`, exactly.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent));
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_exact() {
        assert_eq!(power_of_two(-3), 0.125);
        assert_eq!(power_of_two(700), 700f64.exp2());
    }
}
