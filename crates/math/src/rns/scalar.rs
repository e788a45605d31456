//! The reference, in integers.

use super::{Source, Target};
use crate::modulus::Modulus;

pub(super) fn prepare(sources: &[Source], from: &[&[f64]], y: &mut [&mut [f64]], v: &mut [f64]) {
    v.fill(0.0);
    for ((s, x), y) in sources.iter().zip(from).zip(y) {
        let factor = s.modulus.canonical(s.factor);
        for ((y, &x), v) in y.iter_mut().zip(*x).zip(v.iter_mut()) {
            *y = s
                .modulus
                .residue(s.modulus.mul(s.modulus.canonical(x), factor));
            *v += *y / s.q;
        }
    }
    for v in v {
        *v = v.round_ties_even();
    }
}

pub(super) fn finish(target: &Target, y: &[&[f64]], out: &mut [f64]) {
    let wide = Wide::new(target.modulus);
    for (k, out) in out.iter_mut().enumerate() {
        let terms = y.iter().zip(&target.weights);
        let sum = terms.fold(0i128, |acc, (y, &w)| {
            acc + i128::from(y[k] as i64) * i128::from(w as i64)
        });
        *out = target.modulus.residue(wide.reduce(sum));
    }
}

/// Reduction of sums of products: `|x| < 2^113`.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    modulus: Modulus,
    shift: u64,
}

impl Wide {
    pub(crate) fn new(modulus: Modulus) -> Self {
        Self {
            modulus,
            shift: modulus.reduce_u64(1 << 50),
        }
    }

    /// The canonical residue of `x`.
    pub(crate) fn reduce(self, x: i128) -> u64 {
        let (high, low) = ((x >> 50) as i64, x as u64 & ((1 << 50) - 1));
        let high = self.modulus.mul(self.modulus.from_i64(high), self.shift);
        self.modulus.add(high, self.modulus.reduce_u64(low))
    }
}
