//! The Galois elements of a change of format, factored so that few keys serve.
//!
//! With `U_k = { g = 1 mod 2N/k }`, a group of order `k`, and `rho = N / d`: automorphisms in `H = U_rho` fix `X^rho`, and
//! those of the whole group fall into `d` cosets of `H`. Representatives of the cosets are products of one element of
//! [`Elements::outer`] and one of [`Elements::inner`], about `sqrt(d)` each; elements of `H` are products of one of
//! [`Elements::fixing_outer`] and one of [`Elements::fixing_inner`].

use crate::ring::Ring;
use cipherblas_scheme::{Error, Result};
use std::collections::BTreeSet;

/// Up to this stride all of `H` has keys of its own; beyond it `H` is factored too.
const MAX_FIXING: usize = 32;

/// What a change of format at one padded length uses.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    /// Padded length.
    pub(super) d: usize,
    /// N / d.
    pub(super) rho: usize,
    /// Representatives of the whole group modulo `U_(rho B)`.
    pub(super) outer: Vec<u64>,
    /// Representatives of `U_(rho B)` modulo `H`.
    pub(super) inner: Vec<u64>,
    /// Representatives of `H` modulo a subgroup; the identity first.
    pub(super) fixing_outer: Vec<u64>,
    /// That subgroup; the identity first.
    pub(super) fixing_inner: Vec<u64>,
    /// `packing[k]` negates `X^(2^k)` and fixes `X^(2^(k+1))`.
    pub(super) packing: Vec<u64>,
}

fn powers(g: u64, count: usize, two_n: u64) -> Vec<u64> {
    std::iter::successors(Some(1), |x| Some(x * g % two_n))
        .take(count)
        .collect()
}

impl Elements {
    /// For lines on a grid of `d` positions.
    ///
    /// # Errors
    /// `Parameter` unless `d` is a power of two from 2 to N.
    pub(super) fn new(ring: &Ring, d: usize) -> Result<Self> {
        let n = ring.degree();
        if !d.is_power_of_two() || !(2..=n).contains(&d) {
            return Err(Error::Parameter {
                what: "padded length",
                got: d.to_string(),
                expected: format!("a power of two from 2 to {n}"),
                hint: "cut longer lines into several blocks",
            });
        }
        let (rho, two_n) = (n / d, 2 * n as u64);
        // A generator of U_k, which is cyclic for k <= N/2.
        let generator = |k: usize| (1 + two_n / k as u64) % two_n;
        let b = 1 << (d.trailing_zeros() / 2);
        let half = powers(5, d / (2 * b), two_n);
        let outer = half.iter().flat_map(|&g| [g, two_n - g]).collect();
        let log_rho = rho.trailing_zeros();
        let fixing = if rho <= MAX_FIXING {
            rho
        } else {
            1 << log_rho.div_ceil(2)
        };
        let steps = powers(generator(rho), rho / fixing, two_n);
        let packing = (0..log_rho)
            .map(|k| {
                let order = 2usize << k;
                if order <= fixing {
                    generator(order)
                } else {
                    steps[rho / order]
                }
            })
            .collect();
        Ok(Self {
            d,
            rho,
            outer,
            inner: powers(generator(rho * b), b, two_n),
            fixing_outer: steps,
            fixing_inner: powers(generator(fixing), fixing, two_n),
            packing,
        })
    }

    /// For lines `rho` coefficients apart.
    ///
    /// # Errors
    /// `Parameter` unless `rho` is a power of two up to N / 2.
    pub(super) fn of_stride(ring: &Ring, rho: usize) -> Result<Self> {
        let n = ring.degree();
        if !rho.is_power_of_two() || rho > n / 2 {
            return Err(Error::Parameter {
                what: "stride",
                got: rho.to_string(),
                expected: format!("a power of two up to {}", n / 2),
                hint: "use the stride of the factors",
            });
        }
        Self::new(ring, n / rho)
    }

    /// Those that need a key.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> + '_ {
        [
            &self.outer,
            &self.inner,
            &self.fixing_outer,
            &self.fixing_inner,
            &self.packing,
        ]
        .into_iter()
        .flatten()
        .copied()
        .filter(|&g| g != 1)
    }
}

/// The Galois elements whose keys [`finish_product`](super::finish_product) and
/// [`finish_reformat`](super::finish_reformat) need for lines of the padded lengths `lengths`: for one length `d`, about
/// `2 sqrt(d)`, and up to 31 more (of the order of `2 sqrt(N / d)` above that) if `d` is less than N.
///
/// # Errors
/// `Parameter` unless every length is a power of two from 2 to N.
pub fn galois_elements(ring: &Ring, lengths: &BTreeSet<usize>) -> Result<BTreeSet<u64>> {
    let mut all = BTreeSet::new();
    for &d in lengths {
        all.extend(Elements::new(ring, d)?.all());
    }
    Ok(all)
}
