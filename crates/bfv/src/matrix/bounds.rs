//! What is known of a block of integers, and arithmetic modulo the plaintext modulus.

/// What is known of a block's values: public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// On the absolute value of every value.
    pub(super) magnitude: f64,
    /// On the phase, divided by the plaintext modulus: error and half a value.
    pub(super) phase: f64,
    /// What values are multiplied by, modulo the plaintext modulus: odd.
    pub(super) unit: u64,
}

impl Bounds {
    /// On the absolute value of every value.
    pub fn magnitude(&self) -> f64 {
        self.magnitude
    }
    /// On the phase, divided by the plaintext modulus; it decrypts while that is below half of the level's modulus.
    pub fn phase(&self) -> f64 {
        self.phase
    }
}

/// `x` modulo `2^bits`, in `0..2^bits`.
pub(super) fn reduce(x: u64, bits: u32) -> u64 {
    x & (u64::MAX >> (64 - bits))
}

/// `x` modulo `2^bits`, in `-2^(bits - 1)..2^(bits - 1)`. Constant time.
pub(super) fn centre(x: u64, bits: u32) -> i64 {
    ((x << (64 - bits)) as i64) >> (64 - bits)
}

/// The inverse of an odd number modulo `2^64`: Newton's iteration doubles the bits that are right, from three on.
pub(super) fn inverse(x: u64) -> u64 {
    (0..5).fold(x, |y, _| {
        y.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(y)))
    })
}

/// Small odd factors `(f, g)` with `f a = g b` modulo `2^bits`, for odd a and b: `f = g r` with `r = b / a`, from the
/// remainders of Euclid's algorithm on `2^bits` and r, of which the first below `2^(bits/2)` has a cofactor of at most as much.
pub(super) fn common(a: u64, b: u64, bits: u32) -> [i64; 2] {
    let ratio = reduce(b.wrapping_mul(inverse(a)), bits);
    let (mut r, mut g) = ((1i128 << bits, i128::from(ratio)), (0i128, 1i128));
    // Both are odd as soon as the remainder is: cofactors of neighbouring steps are coprime, and f = g r modulo 2.
    while r.1 * r.1 >= 1 << bits || r.1 % 2 == 0 {
        let q = r.0 / r.1;
        r = (r.1, r.0 - q * r.1);
        g = (g.1, g.0 - q * g.1);
    }
    [r.1 as i64, g.1 as i64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_modulo_powers_of_two() {
        assert_eq!((centre(7, 3), centre(4, 3), centre(3, 3)), (-1, -4, 3));
        assert_eq!((reduce(u64::MAX, 5), reduce(64, 5)), (31, 0));
        for x in [1u64, 3, 5, 11_579, u64::MAX, 0x1234_5678_9abc_def1] {
            assert_eq!(x.wrapping_mul(inverse(x)), 1, "{x}");
        }
    }

    #[test]
    fn common_multiples_are_small() {
        for bits in [4, 8, 17, 20, 40] {
            for (a, b) in [
                (1u64, 1u64),
                (1, 3),
                (11_579, 11_551),
                (77_777, 99_999),
                (5, 3),
            ] {
                let [f, g] = common(reduce(a, bits), reduce(b, bits), bits);
                let same = (f as u64)
                    .wrapping_mul(a)
                    .wrapping_sub((g as u64).wrapping_mul(b));
                assert_eq!(reduce(same, bits), 0, "{bits} {a} {b}: {f} {g}");
                assert!(f % 2 != 0 && g % 2 != 0, "{bits} {a} {b}: {f} {g}");
                // An even remainder is passed over, for the next.
                let most = 8.0 * f64::from(bits).exp2().sqrt();
                assert!((f.unsigned_abs() as f64) <= most, "{bits} {a} {b}: {f}");
                assert!((g.unsigned_abs() as f64) <= most, "{bits} {a} {b}: {g}");
            }
        }
        assert_eq!(common(9, 9, 20), [1, 1]);
    }
}
