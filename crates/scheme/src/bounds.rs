//! Sums and products of bounds, rounded upwards: a bound stays a bound.
//!
//! The error of one floating-point operation is known exactly (two-sum, fused multiply-add), so that exact results stay
//! as they are: four times a quarter of the capacity is the capacity, not a little more.

/// Below this, the error of a product may itself be rounded away.
const TINY: f64 = f64::MIN_POSITIVE * (1u64 << 60) as f64;

/// The least double that is not below `a + b`.
pub fn add_up(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let b_part = sum - a;
    let lost = (a - (sum - b_part)) + (b - b_part);
    if lost > 0.0 { sum.next_up() } else { sum }
}

/// A double that is not below `a * b`, for non-negative factors; exact products are not rounded.
pub fn mul_up(a: f64, b: f64) -> f64 {
    let product = a * b;
    if a == 0.0 || b == 0.0 {
        return 0.0;
    }
    if product < TINY || a.mul_add(b, -product) > 0.0 {
        product.next_up()
    } else {
        product
    }
}

/// A bound rounded up to two bits after the leading one, by less than a quarter. All that is seen from outside of bounds that
/// follow from a server's own numbers: exact ones would tell the sum of the absolute weights, and confirm guesses of them.
pub fn coarse(bound: f64) -> f64 {
    const STEP: u64 = 1 << 50;
    f64::from_bits((bound.to_bits() + (STEP - 1)) & !(STEP - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_results_stay_and_others_go_up() {
        assert_eq!(add_up(0.25, 0.5), 0.75);
        assert_eq!(mul_up(0.25, 3.0), 0.75);
        assert_eq!(add_up(1.0, f64::EPSILON / 4.0), 1.0f64.next_up());
        assert_eq!(add_up(f64::EPSILON / 4.0, 1.0), 1.0f64.next_up());
        let third = 1.0 / 3.0;
        let square = mul_up(third, third);
        assert!(square >= third * third && square <= (third * third).next_up());
        assert!(third.mul_add(third, -square) <= 0.0);
        assert_eq!(mul_up(0.0, f64::MAX), 0.0);
        assert!(mul_up(f64::MIN_POSITIVE, 0.1) > 0.0);
    }
}
