//! Bounds on the errors of phases, for each coefficient of every ciphertext.
//!
//! Random sources of error are independent, centred and sub-Gaussian with a variance proxy V, as in the parameter table of
//! the security page: centred binomial errors (at most 21 in absolute value), and the roundings of changes of modulus, taken
//! as uniform on [-1/2, 1/2] (V = 1/12), as the halves of a ciphertext are. A sum with coefficients c is then below
//! `D |c| sqrt(V)` but for the probability of a [`Tail`] of D deviations: for real values 2^-88, so that with up to 2^24
//! coefficients in a block and 2^24 sources all bounds hold but for 2^-40; for exact ones 2^-176 and 2^-128. What errors are
//! multiplied with (values, weights) is taken at its worst.
//!
//! This is a model, and its probabilities are those of the model. Halves of ciphertexts are pseudorandom, not uniform, and so
//! are their roundings and digits; and what is summed up is not always independent: images of one half under automorphisms are
//! functions of the same coefficients, which pairwise look independent and together are not. Where equal terms are known to
//! meet (Gram matrices), bounds count them as equal. Where they do not, that sums have Gaussian tails is a heuristic, which
//! the tests compare with measured variances and fourth moments in the cases with the fewest sources: changes of format of one
//! and two lines, products of one ciphertext.
//!
//! The secret's weight, the number of its coefficients that are not zero, is at most [`secret_weight`], with the same tail.
//!
//! With a plaintext modulus t all errors are t times as large: bounds here include that factor. All are absolute, in units
//! of the phase modulo the level's `G` (or of `Q`, where said).

use super::ring::MatrixRing;
use super::transpose::TransposeNoise;
use cipherblas_math::sample::{ERROR_BOUND, ERROR_VARIANCE};
use cipherblas_scheme::{Error, Result};

/// `sqrt(2 ln(2 * 2^88))`, rounded up: [`Tail::REAL`], in deviations.
pub const TAIL: f64 = 11.11;

/// How rarely a bound is exceeded, for each value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// With a probability of `2^-bits` at most.
    pub bits: f64,
    /// `sqrt(2 ln(2 * 2^bits))`, rounded up: the bound of a sub-Gaussian variable, in roots of its proxy.
    pub deviations: f64,
}

impl Tail {
    /// Real values: 2^-88, so 2^-40 for 2^24 values with 2^24 sources of error.
    pub const REAL: Self = Self {
        bits: 88.0,
        deviations: TAIL,
    };
    /// Exact values, where one failure may give the key away: 2^-176, so 2^-128 for as many.
    pub const EXACT: Self = Self {
        bits: 176.0,
        deviations: 15.67,
    };

    /// [`EXACT`](Self::EXACT) with a plaintext modulus, [`REAL`](Self::REAL) without.
    pub fn of(ring: &MatrixRing) -> Self {
        if ring.plaintext().is_some() {
            Self::EXACT
        } else {
            Self::REAL
        }
    }

    /// `-ln` of the probability.
    pub(crate) fn ln(self) -> f64 {
        self.bits * std::f64::consts::LN_2
    }

    /// A sum of `weight` roundings, or of uniform variables on [-1/2, 1/2]; never above the sum of all worst cases.
    fn roundings(self, weight: f64) -> f64 {
        ROUNDING_SLACK * (self.deviations * (weight / 12.0).sqrt()).min(weight / 2.0)
    }
}

/// What rounding in doubles adds to the 1/2 of a change of modulus.
const ROUNDING_SLACK: f64 = 1.001;

/// Bound on the secret's weight: 2N/3 and a Hoeffding tail.
pub fn secret_weight(degree: usize, tail: Tail) -> f64 {
    let n = degree as f64;
    (2.0 * n / 3.0 + (n * tail.ln() / 2.0).sqrt()).min(n)
}

fn weight(ring: &MatrixRing) -> f64 {
    secret_weight(ring.degree(), Tail::of(ring))
}

fn errors_are_multiples_of(ring: &MatrixRing) -> f64 {
    ring.plaintext().map_or(1.0, |t| t as f64)
}

/// A fresh secret-key encryption of integers: `t e`.
pub fn fresh_secret(ring: &MatrixRing) -> f64 {
    errors_are_multiples_of(ring) * ERROR_BOUND as f64
}

/// A fresh public-key encryption of integers at `level`: `t ((v e + e0 + e1 s) G / (Q p) + r0 + r1 s)`.
///
/// # Panics
/// If there is no such level.
pub fn fresh_public(ring: &MatrixRing, level: usize) -> f64 {
    let n = ring.degree() as f64;
    let (weight, tail) = (weight(ring), Tail::of(ring));
    // v is uniform ternary (proxy 2/3), and |e|^2 <= 21^2 N.
    let bound = ERROR_BOUND as f64;
    let first = tail.deviations * (n * 2.0 / 3.0).sqrt() * bound;
    let rest = bound + (tail.deviations * (weight * ERROR_VARIANCE).sqrt()).min(weight * bound);
    let wide = ring.ring();
    let p = wide.moduli()[wide.q_len()].value() as f64;
    let log_qp = ring.log2_q(ring.max_level() - 1) + p.log2();
    let scaled = (first.min(n * bound) + rest) * (ring.log2_g(level) - log_qp).exp2();
    errors_are_multiples_of(ring) * (scaled + tail.roundings(1.0 + weight))
}

/// The rounding of a ciphertext to another modulus, in units of the new one: `t (r0 + r1 s)`. What [`lower`] adds, and the last
/// step of a product, after the error before was multiplied by the ratio of the moduli.
pub fn switch_rounding(ring: &MatrixRing) -> f64 {
    errors_are_multiples_of(ring) * Tail::of(ring).roundings(1.0 + weight(ring))
}

/// What dropping a level, or a product with a plain matrix, adds at the level below, in units of `G_{level-1}`.
pub fn lower(ring: &MatrixRing, _level: usize) -> f64 {
    switch_rounding(ring)
}

/// What the change of modulus of a product adds before its change of format, in units of `Q_{l-1}` (not multiplied by t: phases
/// are divided by it there): the roundings of `b b'`, of the mixed products times s on either side, of `a a'` times s on both.
///
/// In a Gram matrix the mixed products are one another's transposes, and `a a'` is symmetric: on the diagonal roundings meet
/// themselves, so that proxies are twice those of independent ones. They are taken so for every product.
pub fn product_rounding(ring: &MatrixRing) -> f64 {
    let (weight, tail) = (weight(ring), Tail::of(ring));
    tail.roundings(1.0) + 2.0 * tail.roundings(weight) + tail.roundings(2.0 * weight * weight)
}

/// What [`gemm_tn`](super::Block::gemm_tn) and [`syrk`](super::Block::syrk) of blocks at `level` on a grid of stride `stride` add,
/// in units of `G_{level-1}`; the error of the sums of products themselves is multiplied by `G_{level-1} / G_level`.
///
/// # Errors
/// `Depth` at level 0 or beyond the top; `Parameter` for a stride that the ring does not have.
pub fn product(ring: &MatrixRing, level: usize, stride: usize) -> Result<f64> {
    let format = format_noise("bound on the error of a product", ring, level, stride)?;
    Ok(step(ring, level, product_rounding(ring) + format.product()))
}

/// As [`product`], for [`reformat`](super::Block::reformat).
///
/// # Errors
/// As [`product`].
pub fn reformat(ring: &MatrixRing, level: usize, stride: usize) -> Result<f64> {
    let format = format_noise(
        "bound on the error of a change of format",
        ring,
        level,
        stride,
    )?;
    let rounding = Tail::of(ring).roundings(1.0 + weight(ring));
    Ok(step(ring, level, rounding + format.reformat()))
}

fn format_noise(
    operation: &'static str,
    ring: &MatrixRing,
    level: usize,
    stride: usize,
) -> Result<TransposeNoise> {
    if level == 0 {
        return Err(Error::Depth {
            operation,
            needed: 1,
            left: 0,
        });
    }
    TransposeNoise::new(ring.ring(), level - 1, stride, Tail::of(ring))
}

/// From an error modulo `Q_{level-1}`, where phases are divided by t, to one modulo `G_{level-1}`.
fn step(ring: &MatrixRing, level: usize, wide: f64) -> f64 {
    let ratio = (ring.log2_g(level - 1) - ring.log2_q(level - 1)).exp2();
    errors_are_multiples_of(ring) * wide * ratio + switch_rounding(ring)
}
