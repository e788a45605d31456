//! Bounds on values and errors of a block.
//!
//! The error of a value is a sum of two parts. The *random* part consists of errors of encryptions (and of the dither of
//! their rounding) that nothing but sums and plain weights has touched: for lines k and fixed numbers c, `sum_k c_k e_k` at one
//! position is sub-Gaussian with variance proxy `spread^2 sum_k c_k^2`. Fresh encryptions have `spread^2 = 10.5 + 1/4` in
//! units of the phase: centred binomial errors, and a rounding to one of two neighbours whose mean is right, which has
//! proxy 1/4 (Hoeffding). The *fixed* part is everything else, at its worst.
//!
//! So a product with k lines is off by about `sqrt(k)` errors, not k, whatever the values are, and without any assumption on
//! them but that they do not depend on the errors. Proxies of dependent variables add up as their roots do
//! (`spread_(a + b) <= spread_a + spread_b`, by Hölder's inequality); those of independent ones as such. Tails are taken at
//! 2^-88 a value ([`TAIL`]): over 2^24 values and 2^24 sources, bounds hold but for 2^-40.

use cipherblas_rlwe::matrix::coded::{Product, Term};
use cipherblas_rlwe::matrix::noise::TAIL;
use cipherblas_scheme::bounds::{add_up, mul_up};

/// What is known of a block's values: public, in units of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// On the absolute value of every value.
    pub(super) magnitude: f64,
    /// Root of the variance proxy of the random part of the error.
    pub(super) spread: f64,
    /// On the absolute value of the random part.
    pub(super) random: f64,
    /// On the absolute value of the rest of the error.
    pub(super) fixed: f64,
}

/// What is a little more than a sum of a few rounded terms.
const UPWARD: f64 = 1.0 + 1e-12;

impl Bounds {
    /// On the absolute value of every value.
    pub fn magnitude(&self) -> f64 {
        self.magnitude
    }
    /// On the absolute error of every value.
    pub fn error(&self) -> f64 {
        self.random + self.fixed
    }

    /// Whether no part of the error is bounded by less than in `other`.
    pub(super) fn at_least(&self, other: &Self) -> bool {
        self.spread >= other.spread && self.random >= other.random && self.fixed >= other.fixed
    }

    pub(super) fn sum(&self, other: &Self) -> Self {
        Self {
            magnitude: add_up(self.magnitude, other.magnitude),
            spread: self.spread + other.spread,
            random: self.random + other.random,
            fixed: (self.fixed + other.fixed) * UPWARD,
        }
    }

    /// Times a number within `off` of `factor`, and `added` to the error.
    pub(super) fn scaled(&self, factor: f64, off: f64, added: f64) -> Self {
        let size = factor.abs();
        Self {
            magnitude: mul_up(size, self.magnitude),
            spread: (size + off) * self.spread,
            random: (size + off) * self.random,
            fixed: ((size + off) * self.fixed + off * self.magnitude + added) * UPWARD,
        }
    }

    /// A sum of products, before the change of format: all of the error is fixed from here on.
    pub(super) fn product(product: &Product<'_, Self>) -> Self {
        let mut magnitude = 0.0;
        let (mut spread, mut worst, mut fixed) = ([0.0, 0.0], [0.0, 0.0], 0.0);
        for Term {
            lines,
            held,
            left,
            right,
        } in product.terms
        {
            let (k, held) = (*lines as f64, *held as f64);
            magnitude = add_up(
                magnitude,
                mul_up(k, mul_up(left.magnitude, right.magnitude)),
            );
            for (i, (a, b)) in [(left, right), (right, left)].into_iter().enumerate() {
                let part = a.magnitude * b.spread * k.sqrt();
                if product.distinct {
                    spread[i] += part * part;
                } else {
                    spread[i] += part;
                }
                worst[i] += k * a.magnitude * b.random;
                fixed += k * a.magnitude * b.fixed;
            }
            // Lines that hold nothing have errors too.
            fixed += held * left.error() * right.error();
        }
        let random = (0..2).map(|i| {
            let spread = if product.distinct {
                spread[i].sqrt()
            } else {
                spread[i]
            };
            (TAIL * spread).min(worst[i])
        });
        Self {
            magnitude,
            spread: 0.0,
            random: 0.0,
            fixed: (fixed + random.sum::<f64>()) * UPWARD,
        }
    }

    /// A sum of products with weights, each within `off` of the one given: rows of all terms.
    pub(super) fn weighted(
        terms: &[(cipherblas_scheme::WeightMatrix<'_, f64>, &Self)],
        off: f64,
        distinct: bool,
    ) -> Self {
        let rows = terms.first().map_or(0, |(w, _)| w.rows());
        let join = |parts: &[f64]| {
            if distinct {
                parts.iter().map(|x| x * x).sum::<f64>().sqrt()
            } else {
                parts.iter().sum()
            }
        };
        let (mut magnitude, mut random, mut fixed) = (0.0f64, 0.0f64, 0.0f64);
        for row in 0..rows {
            let (mut size, mut worst, mut rest) = (0.0, 0.0, 0.0);
            let mut spreads = Vec::with_capacity(terms.len());
            for (w, x) in terms {
                let sum = w.row(row).iter().fold(0.0, |s, v| add_up(s, v.abs()));
                let squares: f64 = w.row(row).iter().map(|v| v * v).sum();
                let cols = w.cols() as f64;
                size = add_up(size, mul_up(sum, x.magnitude));
                worst += (sum + cols * off) * x.random;
                rest += sum * x.fixed + cols * off * (x.magnitude + x.fixed);
                spreads.push((squares.sqrt() + cols.sqrt() * off) * x.spread);
            }
            magnitude = magnitude.max(size);
            random = random.max(worst.min(TAIL * join(&spreads)));
            fixed = fixed.max(rest);
        }
        let spreads: Vec<f64> = terms
            .iter()
            .map(|(w, x)| {
                let squares: f64 = w.data().iter().map(|v| v * v).sum();
                (squares.sqrt() + (w.data().len() as f64).sqrt() * off) * x.spread
            })
            .collect();
        Self {
            magnitude,
            spread: join(&spreads) * UPWARD,
            random: random * UPWARD,
            fixed: fixed * UPWARD,
        }
    }

    /// Of bounds that follow from a server's weights, only so much is told.
    pub(super) fn coarse(self) -> Self {
        use cipherblas_scheme::bounds::coarse;
        Self {
            magnitude: coarse(self.magnitude),
            spread: coarse(self.spread),
            random: coarse(self.random),
            fixed: coarse(self.fixed),
        }
    }
}
