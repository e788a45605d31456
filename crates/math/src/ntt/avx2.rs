//! AVX2 and FMA: one layer at a time.

use super::roots::reversed_powers;
use crate::modulus::Modulus;
use crate::pointwise::{Fma, ROUND};

#[derive(Clone, Copy, Debug)]
struct Factor {
    w: f64,
    /// `fl(w / p)`.
    over_p: f64,
}

#[derive(Debug)]
pub(super) struct Tables {
    fma: Fma,
    forward: Vec<Factor>,
    inverse: Vec<Factor>,
    n_inverse: Factor,
}

impl Tables {
    pub(super) fn new(modulus: Modulus, psi: u64, n: usize) -> Self {
        let factor = |w| Factor {
            w: modulus.residue(w),
            over_p: modulus.residue(w) / modulus.value() as f64,
        };
        let table = |root| {
            reversed_powers(modulus, root, n)
                .into_iter()
                .map(factor)
                .collect()
        };
        let inverse = |x: u64| modulus.pow(x, modulus.value() - 2);
        Self {
            fma: Fma::new(modulus),
            forward: table(psi),
            inverse: table(inverse(psi)),
            n_inverse: factor(inverse(modulus.reduce_u64(n as u64))),
        }
    }

    #[inline(always)]
    fn times(&self, x: f64, f: Factor) -> f64 {
        let h = x * f.w;
        let l = x.mul_add(f.w, -h);
        let q = x.mul_add(f.over_p, ROUND) - ROUND;
        (-q).mul_add(self.fma.p, h) + l
    }

    #[inline(always)]
    fn reduce(&self, x: f64) -> f64 {
        let q = x.mul_add(self.fma.p_inv, ROUND) - ROUND;
        (-q).mul_add(self.fma.p, x)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn forward(&self, a: &mut [f64]) {
        let mut half = a.len() / 2;
        while half > 0 {
            let groups = a.len() / (2 * half);
            for (group, &factor) in a.chunks_exact_mut(2 * half).zip(&self.forward[groups..]) {
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, self.times(*y, factor));
                    *x = self.reduce(u + v);
                    *y = self.reduce(u - v);
                }
            }
            half /= 2;
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn inverse(&self, a: &mut [f64]) {
        let mut half = 1;
        while half < a.len() {
            let groups = a.len() / (2 * half);
            for (group, &factor) in a.chunks_exact_mut(2 * half).zip(&self.inverse[groups..]) {
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, *y);
                    *x = self.reduce(u + v);
                    *y = self.times(u - v, factor);
                }
            }
            half *= 2;
        }
        for x in a {
            *x = self.times(*x, self.n_inverse);
        }
    }
}
