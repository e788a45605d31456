//! A prime below 2^50, and integer arithmetic modulo it.

use crate::error::{MathError, Result};
use crate::primes::is_prime;

/// Primes have at most this many bits.
pub const MAX_MODULUS_BITS: u32 = 50;

/// An odd prime `p < 2^50`.
///
/// Two representations of a residue are used:
/// - *canonical*: a `u64` in `0..p`, for tables, serialization and the scalar reference;
/// - *lazy*: an integer-valued `f64` `x` with `|x| <= p`, for everything that is fast.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Modulus {
    p: u64,
    bits: u32,
    /// `floor(2^(2 * bits) / p)`, for Barrett reduction.
    mu: u64,
    /// `floor(2^64 / p)`, for single words.
    mu_word: u64,
}

impl Modulus {
    /// Checks that `p` is an odd prime below 2^50.
    ///
    /// # Errors
    /// [`MathError::Modulus`].
    pub fn new(p: u64) -> Result<Self> {
        if p < 3 || p >> MAX_MODULUS_BITS != 0 {
            return Err(MathError::Modulus {
                got: p,
                expected: "an odd prime below 2^50",
            });
        }
        if !is_prime(p) {
            return Err(MathError::Modulus {
                got: p,
                expected: "an odd prime",
            });
        }
        let bits = u64::BITS - p.leading_zeros();
        let mu = ((1u128 << (2 * bits)) / u128::from(p)) as u64;
        let mu_word = ((1u128 << 64) / u128::from(p)) as u64;
        Ok(Self {
            p,
            bits,
            mu,
            mu_word,
        })
    }

    /// The prime.
    pub const fn value(self) -> u64 {
        self.p
    }

    /// Bits of the prime: `2^(bits - 1) < p < 2^bits`.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// `a + b` for canonical `a` and `b`.
    pub const fn add(self, a: u64, b: u64) -> u64 {
        debug_assert!(a < self.p && b < self.p);
        self.subtract_once(a + b)
    }

    /// `a - b` for canonical `a` and `b`.
    pub const fn sub(self, a: u64, b: u64) -> u64 {
        debug_assert!(a < self.p && b < self.p);
        self.subtract_once(a + (self.p - b))
    }

    /// `-a` for canonical `a`.
    pub const fn neg(self, a: u64) -> u64 {
        debug_assert!(a < self.p);
        self.subtract_once(self.p - a)
    }

    /// `a * b` for canonical `a` and `b`. Constant time.
    pub const fn mul(self, a: u64, b: u64) -> u64 {
        debug_assert!(a < self.p && b < self.p);
        // Barrett: with x < p^2 < 2^(2 bits), the quotient estimate is at most 2 too small.
        let x = a as u128 * b as u128;
        let estimate = (x >> (self.bits - 1)) * self.mu as u128;
        let q = (estimate >> (self.bits + 1)) as u64;
        let r = (x as u64).wrapping_sub(q.wrapping_mul(self.p));
        self.subtract_once(self.subtract_once(r))
    }

    /// `base ^ exponent` for canonical `base`. Its time depends on the exponent only.
    pub const fn pow(self, base: u64, mut exponent: u64) -> u64 {
        let mut square = base;
        let mut result = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        result
    }

    /// The inverse of canonical `a`, or `None` for zero.
    pub const fn inv(self, a: u64) -> Option<u64> {
        if a == 0 {
            None
        } else {
            Some(self.pow(a, self.p - 2))
        }
    }

    /// `x mod p`.
    pub const fn reduce_u128(self, x: u128) -> u64 {
        (x % self.p as u128) as u64
    }

    /// `x mod p`. Constant time.
    pub const fn reduce_u64(self, x: u64) -> u64 {
        // x / p - x mu / 2^64 is between 0 and 1: the quotient is at most one too small.
        let q = ((x as u128 * self.mu_word as u128) >> 64) as u64;
        self.subtract_once(x - q * self.p)
    }

    /// `x mod p`, canonical. Constant time.
    pub const fn from_i64(self, x: i64) -> u64 {
        let r = self.reduce_u64(x.unsigned_abs());
        let negative = (x >> 63) as u64;
        (r & !negative) | (self.neg(r) & negative)
    }

    /// `x mod p`, canonical.
    pub const fn from_i128(self, x: i128) -> u64 {
        x.rem_euclid(self.p as i128) as u64
    }

    /// The balanced residue, in `[-(p-1)/2, (p-1)/2]`, of canonical `x`. Constant time.
    pub const fn residue(self, x: u64) -> f64 {
        debug_assert!(x < self.p);
        let above_half = (((self.p / 2) as i64 - x as i64) >> 63) as u64;
        (x as i64 - (self.p & above_half) as i64) as f64
    }

    /// The canonical representative of a lazy residue `|x| <= p`. Constant time.
    pub const fn canonical(self, x: f64) -> u64 {
        debug_assert!(x.abs() <= self.p as f64);
        let x = x as i64;
        let x = x + (self.p & (x >> 63) as u64) as i64;
        self.subtract_once(x as u64)
    }

    /// The balanced residue of any integer. Constant time.
    pub const fn residue_i64(self, x: i64) -> f64 {
        self.residue(self.from_i64(x))
    }

    /// The product of two lazy residues; the result is balanced. Constant time.
    pub const fn mul_residue(self, a: f64, b: f64) -> f64 {
        self.residue(self.mul(self.canonical(a), self.canonical(b)))
    }

    /// `x - p` if `x >= p`, else `x`, without a branch; `x < 2^63`.
    const fn subtract_once(self, x: u64) -> u64 {
        let difference = x.wrapping_sub(self.p);
        let borrowed = ((difference as i64) >> 63) as u64;
        difference.wrapping_add(self.p & borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moduli() -> Vec<Modulus> {
        [
            3,
            5,
            17,
            257,
            65537,
            1_048_573,
            1_073_479_681,
            (1 << 50) - 27,
            (1 << 49) - 81,
        ]
        .into_iter()
        .map(|p| Modulus::new(p).unwrap())
        .collect()
    }

    #[test]
    fn rejects_what_is_not_an_odd_prime_below_2_50() {
        for p in [
            0,
            1,
            2,
            4,
            9,
            561,
            (1 << 50) - 1,
            1 << 50,
            (1 << 50) + 55,
            u64::MAX,
        ] {
            assert!(
                matches!(Modulus::new(p), Err(MathError::Modulus { got, .. }) if got == p),
                "{p}"
            );
        }
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_u128(a: u64, b: u64, c: i64) {
            for m in moduli() {
                let p = m.value();
                let wide = u128::from(p);
                let (a, b) = (a % p, b % p);
                prop_assert_eq!(u128::from(m.mul(a, b)), u128::from(a) * u128::from(b) % wide);
                prop_assert_eq!(u128::from(m.add(a, b)), (u128::from(a) + u128::from(b)) % wide);
                prop_assert_eq!(m.add(m.sub(a, b), b), a);
                prop_assert_eq!(m.add(m.neg(a), a), 0);
                if let Some(inverse) = m.inv(a) {
                    prop_assert_eq!(m.mul(a, inverse), 1);
                } else {
                    prop_assert_eq!(a, 0);
                }
                prop_assert_eq!(i128::from(m.from_i64(c)), i128::from(c).rem_euclid(i128::from(p)));
                prop_assert_eq!(m.reduce_u64(c as u64), c as u64 % p);
                prop_assert_eq!(m.canonical(m.residue(a)), a);
                prop_assert!(m.residue(a).abs() <= (p / 2) as f64);
                prop_assert_eq!(m.canonical(m.mul_residue(m.residue(a), m.residue(b))), m.mul(a, b));
            }
        }
    }

    #[test]
    fn edges() {
        for m in moduli() {
            let p = m.value();
            assert_eq!(m.canonical(p as f64), 0);
            assert_eq!(m.canonical(-(p as f64)), 0);
            assert_eq!(m.canonical(-1.0), p - 1);
            assert_eq!(m.mul(p - 1, p - 1), 1);
            assert_eq!(m.residue(p - 1), -1.0);
            assert_eq!(m.residue(p / 2), (p / 2) as f64);
            assert_eq!(m.residue(p / 2 + 1), -((p / 2) as f64));
            assert_eq!(m.pow(2 % p, p - 1), 1);
            for x in [
                0,
                1,
                p - 1,
                p,
                p + 1,
                u64::MAX,
                u64::MAX / p * p,
                u64::MAX / p * p - 1,
            ] {
                assert_eq!(m.reduce_u64(x), x % p);
                for x in [x as i64, (x as i64).wrapping_neg(), i64::MIN] {
                    assert_eq!(m.from_i64(x), x.rem_euclid(p as i64) as u64);
                }
            }
            assert_eq!(m.from_i128(i128::MIN), m.neg(m.reduce_u128(1 << 127)));
        }
    }
}
