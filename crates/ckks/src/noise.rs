//! Bounds on the error, in the canonical embedding: for a polynomial `e`, `max |e(zeta)|` over the primitive 2N-th roots.
//!
//! Each random source of error is a polynomial whose coefficients are independent, centred and sub-Gaussian with variance
//! proxy `V`: centred binomial errors (V = 10.5, exactly their variance) and the roundings of divisions, taken as uniform on
//! [-1/2, 1/2] (V = 1/12), as the halves of a ciphertext are. Then `e(zeta)` is a complex linear form whose real part in any
//! direction is sub-Gaussian with proxy at most `N V / 2` (the squared cosines sum to N/2). Sixteen directions bound the
//! modulus up to `cos(pi/16)`, so that over N/2 roots
//!
//! `P(max |e(zeta)| > t sqrt(N V)) <= 16 (N/2) exp(-(t cos(pi/16))^2)`,
//!
//! which is below 2^-64 for `t = `[`tail`]`(N)`. A ciphertext that has gone through at most 2^24 sources then keeps its
//! bound but for 2^-40. Propagation through sums and products is by the triangle inequality: worst case, no averaging.
//! Products with the secret use `|s(zeta)| <= 4 sqrt(2N/3)`, which key generation enforces.
//!
//! The rounding of an encoding is not random: whoever chooses the values chooses it. It is bounded by its worst case, all
//! N coefficients off by 1/2 in phase.
//!
//! Where two independent random polynomials are multiplied (public-key encryption, key switching), one is bounded over
//! all roots first and the other is then a linear form with those coefficients.
//!
//! All bounds presume what the parameters demand: that every value on the way, not only the result, stays below
//! `2^integer_bits`. All are in the units of the scaled plaintext; dividing by a level's scale gives units of values.

use cipherblas_math::sample::ERROR_VARIANCE;
use cipherblas_rlwe::Ring;
use cipherblas_rlwe::keys::SUP_FACTOR;

/// Bits of the probability that one source exceeds its bound.
pub const SOURCE_BITS: f64 = 64.0;

/// Relative error of encoding and decoding in doubles: transforms of up to 2^16 slots lose less than 8 bits of 53.
pub(crate) const TRANSFORM_ERROR: f64 = 1.0 / (1u64 << 45) as f64;

/// Relative error of one operation through the scales and constants that it holds in doubles: a few roundings.
pub(crate) const ARITHMETIC_ERROR: f64 = 1.0 / (1u64 << 50) as f64;

/// The factor `t` above for ring degree `n`.
pub fn tail(n: usize) -> f64 {
    let ln = (8.0 * n as f64).ln() + SOURCE_BITS * std::f64::consts::LN_2;
    ln.sqrt() / (std::f64::consts::PI / 16.0).cos()
}

/// Bounds for one ring.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    n: f64,
    tail: f64,
    secret: f64,
}

impl Noise {
    /// For ring degree `n`.
    pub fn new(n: usize) -> Self {
        let degree = n as f64;
        Self {
            n: degree,
            tail: tail(n),
            secret: SUP_FACTOR * (2.0 * degree / 3.0).sqrt(),
        }
    }
    fn source(&self, variance: f64) -> f64 {
        self.tail * (self.n * variance).sqrt()
    }
    /// Rounding the coefficients of an encoding to integers, in the worst case.
    pub fn encoding(&self) -> f64 {
        self.n / 2.0
    }
    /// Rounding both halves of a ciphertext: `r0 + r1 s`.
    pub fn rounding(&self) -> f64 {
        self.source(1.0 / 12.0) * (1.0 + self.secret)
    }
    /// A fresh secret-key encryption, encoding included.
    pub fn fresh_secret(&self) -> f64 {
        self.source(ERROR_VARIANCE) + self.encoding()
    }
    /// A fresh public-key encryption with the division by the special prime `p`: `(v e + e0 + e1 s)/p + r0 + r1 s`,
    /// encoding included. The public key's own error is held below `4 sqrt(10.5 N)` at its generation.
    pub fn fresh_public(&self, p: f64) -> f64 {
        let own = SUP_FACTOR * (self.n * ERROR_VARIANCE).sqrt();
        let wide = self.source(2.0 / 3.0) * own + self.source(ERROR_VARIANCE) * (1.0 + self.secret);
        wide / p + self.rounding() + self.encoding()
    }
    /// A key switch at `level` before its rounding: `sum_d [c]_d e_d / P`.
    pub fn key_switch(&self, ring: &Ring, level: usize) -> f64 {
        let log_p = ring.log2_p();
        let digits: f64 = ring
            .log2_digits(level)
            .iter()
            .map(|d| (2.0 * (d - log_p)).exp2())
            .sum();
        self.source(ERROR_VARIANCE) * self.source(1.0 / 12.0) * digits.sqrt()
    }
}
