//! Bounds on the error that a change of format adds to each coefficient of a phase.
//!
//! The model is that of [`crate::matrix::noise`], a heuristic where it says so. Given the keys, the error of a coefficient of
//! the result is a linear form in digits and roundings, all taken as independent (but for pairs that are equal) and uniform,
//! and so is sub-Gaussian with the sum of their proxies:
//!
//! - a key switch, `sum_d [c]_d e_d / P`: `E |e|^2 sum_d (Q_d / P)^2 / 12`, with `|e|^2` at its bound for every key;
//! - a division of a half `a` by P, `r s`: `w / 12`, with `w` the secret's weight.
//!
//! Sums over automorphisms take one coefficient, with a sign, of each of their terms. Multiplication by the secret is at most
//! multiplication by `max |s(zeta)| <= 4 sqrt(2N/3)` in the Euclidean norm of the form's coefficients, which key generation
//! enforces. Packing takes from every column, and from one key switch of every stage, one coefficient.

use super::elements::Elements;
use crate::keys::SUP_FACTOR;
use crate::matrix::noise::{Tail, secret_weight};
use crate::ring::Ring;
use cipherblas_math::sample::{ERROR_BOUND, ERROR_VARIANCE};
use cipherblas_scheme::{Error, Result};

/// Error bounds of [`finish_product`](super::finish_product) and [`finish_reformat`](super::finish_reformat) at one level and
/// stride, in units of the phase modulo the level's Q. Each coefficient stays below but for the probability of the tail.
#[derive(Clone, Copy, Debug)]
pub struct TransposeNoise {
    /// Variance proxies: of a key switch, of a division of `a`.
    switch: f64,
    division: f64,
    /// `max |s(zeta)|^2`.
    secret: f64,
    d: f64,
    rho: f64,
    /// Key switches and divisions in the sum over one coset of `H`.
    coset: (f64, f64),
    tail: Tail,
}

/// Bound on the squared norm of a key's error but for a tail, by Bernstein's inequality for the squares, which have mean `V`,
/// variance at most `2 V^2` and maximum `ERROR_BOUND^2`.
fn error_norm(n: f64, tail: Tail) -> f64 {
    let (v, most) = (ERROR_VARIANCE, (ERROR_BOUND as f64).powi(2));
    let ln = tail.ln();
    let linear = ln * most / 3.0;
    let excess = linear + (linear * linear + 2.0 * ln * n * 2.0 * v * v).sqrt();
    (n * v + excess).min(n * most)
}

impl TransposeNoise {
    /// For products and changes of format at `level` with stride `rho`.
    ///
    /// # Errors
    /// `Depth` if there is no such level; `Parameter` unless `rho` is a power of two up to N / 2.
    pub fn new(ring: &Ring, level: usize, rho: usize, tail: Tail) -> Result<Self> {
        if level > ring.max_level() {
            return Err(Error::Depth {
                operation: "bound on the error of a change of format",
                needed: level,
                left: ring.max_level(),
            });
        }
        let elements = Elements::of_stride(ring, rho)?;
        let n = ring.degree() as f64;
        let log_p = ring.log2_p();
        let digits = ring.log2_digits(level);
        let digits: f64 = digits.iter().map(|d| (2.0 * (d - log_p)).exp2()).sum();
        let outer = elements.fixing_outer.len();
        let divisions = match (rho, outer) {
            (1, _) => 0,
            (_, 1) => 1,
            _ => outer + 1,
        };
        Ok(Self {
            switch: error_norm(n, tail) * digits / 12.0,
            division: secret_weight(ring.degree(), tail) / 12.0,
            secret: SUP_FACTOR * SUP_FACTOR * 2.0 * n / 3.0,
            d: elements.d as f64,
            rho: rho as f64,
            coset: ((rho - 1) as f64, divisions as f64),
            tail,
        })
    }

    /// One transposition of rows of stride `rho`.
    fn rows(&self) -> f64 {
        self.d * (2.0 * self.switch + self.division)
    }
    /// One transposition of all rows, with the division at its end. In a Gram matrix the rows are a symmetric matrix, and their
    /// transforms for `g` and `1/g` have the same coefficients, up to order and signs: digits of the first key switch of each
    /// meet twice, and count double for every product. The first one is that of the sums over H, or of the image where there is
    /// none; what goes into a later one has been through a switching key, another one for each of the two.
    fn all_rows(&self) -> f64 {
        let (switches, divisions) = self.coset;
        let first = switches.max(1.0);
        self.d * ((2.0 + switches + first) * self.switch + (2.0 + divisions) * self.division)
    }
    /// From the proxy of a column to the bound of a packed ciphertext.
    fn packed(&self, column: f64) -> f64 {
        let stages = self.rho.log2() * (self.switch + self.division);
        let proxy = column + self.division + stages + 1.0 / 12.0;
        self.tail.deviations * proxy.sqrt()
    }
    /// What [`finish_product`](super::finish_product) adds.
    pub fn product(&self) -> f64 {
        self.packed(self.rows() + self.secret * self.all_rows() + self.switch)
    }
    /// What [`finish_reformat`](super::finish_reformat) adds.
    pub fn reformat(&self) -> f64 {
        self.packed(self.rows())
    }
}
