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
        if r >= p { r - p } else { r }
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
        let p = self.modulus.value();
        let mut a: Vec<u64> = data.iter().map(|&x| self.modulus.canonical(x)).collect();
        let mut half = a.len() / 2;
        while half > 0 {
            let groups = a.len() / (2 * half);
            for (group, factor) in a.chunks_exact_mut(2 * half).zip(&self.forward[groups..]) {
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, factor.times(*y, p));
                    *x = self.modulus.add(u, v);
                    *y = self.modulus.sub(u, v);
                }
            }
            half /= 2;
        }
        self.write(data, &a);
    }

    pub(super) fn inverse(&self, data: &mut [f64]) {
        let p = self.modulus.value();
        let mut a: Vec<u64> = data.iter().map(|&x| self.modulus.canonical(x)).collect();
        let mut half = 1;
        while half < a.len() {
            let groups = a.len() / (2 * half);
            for (group, factor) in a.chunks_exact_mut(2 * half).zip(&self.inverse[groups..]) {
                let (low, high) = group.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, *y);
                    *x = self.modulus.add(u, v);
                    *y = factor.times(self.modulus.sub(u, v), p);
                }
            }
            half *= 2;
        }
        for x in &mut a {
            *x = self.n_inverse.times(*x, p);
        }
        self.write(data, &a);
    }

    fn write(&self, data: &mut [f64], a: &[u64]) {
        for (x, &y) in data.iter_mut().zip(a) {
            *x = self.modulus.residue(y);
        }
    }
}
