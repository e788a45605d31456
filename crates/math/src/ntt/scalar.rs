//! The reference: 64-bit integers, products in 128 bits, one layer at a time.

use super::roots::reversed_powers;
use crate::modulus::Modulus;

/// A factor `w` and `floor(w 2^64 / p)`.
#[derive(Clone, Copy, Debug)]
struct Factor {
    w: u64,
    quotient: u64,
}

impl Factor {
    fn new(modulus: Modulus, w: u64) -> Self {
        Self {
            w,
            quotient: ((u128::from(w) << 64) / u128::from(modulus.value())) as u64,
        }
    }

    /// `x w mod p`, canonical, for any `x < 2^64`: the estimated quotient is at most one too small.
    fn times(self, x: u64, p: u64) -> u64 {
        let q = ((u128::from(x) * u128::from(self.quotient)) >> 64) as u64;
        let r = x.wrapping_mul(self.w).wrapping_sub(q.wrapping_mul(p));
        // The smaller of the two, as `r - p` wraps around for `r < p`: no branch.
        r.min(r.wrapping_sub(p))
    }
}

#[derive(Debug)]
pub(super) struct Tables {
    modulus: Modulus,
    forward: Vec<Factor>,
    inverse: Vec<Factor>,
    n_inverse: Factor,
}

impl Tables {
    pub(super) fn new(modulus: Modulus, psi: u64, n: usize) -> Self {
        let table = |root| {
            reversed_powers(modulus, root, n)
                .into_iter()
                .map(|w| Factor::new(modulus, w))
                .collect()
        };
        let inverse = |x: u64| modulus.pow(x, modulus.value() - 2);
        Self {
            modulus,
            forward: table(psi),
            inverse: table(inverse(psi)),
            n_inverse: Factor::new(modulus, inverse(modulus.reduce_u64(n as u64))),
        }
    }

    pub(super) fn forward(&self, data: &mut [f64]) {
        self.layers(data, &self.forward, true, |factor, u, v, p| {
            let v = factor.times(v, p);
            (self.modulus.add(u, v), self.modulus.sub(u, v))
        });
        for x in data {
            *x = self.modulus.residue(*x as u64);
        }
    }

    pub(super) fn inverse(&self, data: &mut [f64]) {
        self.layers(data, &self.inverse, false, |factor, u, v, p| {
            (
                self.modulus.add(u, v),
                factor.times(self.modulus.sub(u, v), p),
            )
        });
        for x in data {
            *x = self
                .modulus
                .residue(self.n_inverse.times(*x as u64, self.modulus.value()));
        }
    }

    /// Applies `butterfly` layer by layer, from the largest distance down or from the smallest up. The data become
    /// canonical and stay so; an integer below 2^53 is exact as an `f64`.
    #[inline(always)]
    fn layers(
        &self,
        data: &mut [f64],
        factors: &[Factor],
        down: bool,
        butterfly: impl Fn(Factor, u64, u64, u64) -> (u64, u64),
    ) {
        let p = self.modulus.value();
        for x in data.iter_mut() {
            *x = self.modulus.canonical(*x) as f64;
        }
        let layers = data.len().trailing_zeros();
        for layer in 0..layers {
            let half = 1 << if down { layers - 1 - layer } else { layer };
            let groups = data.len() / (2 * half);
            for (group, &factor) in data.chunks_exact_mut(2 * half).zip(&factors[groups..]) {
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = butterfly(factor, *x as u64, *y as u64, p);
                    (*x, *y) = (u as f64, v as f64);
                }
            }
        }
    }
}
