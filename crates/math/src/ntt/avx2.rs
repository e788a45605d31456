//! AVX2 and FMA: several layers in registers at a time.

mod arithmetic;
mod forward;
mod inverse;
mod small;

use super::roots::reversed_powers;
use crate::aligned::AlignedVec;
use crate::modulus::Modulus;
use arithmetic::{Constants, Factor};

/// From this degree on, the passes of [`forward`] and [`inverse`] apply.
const MIN_PASSES: usize = 32;

/// Elements of a block: the four layers of distance 8 to 1 are done on it in registers.
const BLOCK: usize = 16;
const LOG_BLOCK: u32 = BLOCK.trailing_zeros();

/// Sub-transforms of at most this many elements (16 KB) are done in the L1 cache, one pass after the other.
const LOG_L1: u32 = 11;

#[derive(Debug)]
pub(super) struct Tables {
    constants: Constants,
    forward: Direction,
    inverse: Direction,
}

/// The factors of one direction, `w[m + i]` for group `i` of the layer with `m` groups.
#[derive(Debug)]
struct Direction {
    /// Layers of distance four and more (below 32: all layers), by `m + i`.
    upper: Vec<Factor>,
    /// The layers of distance two and one, for each 16 elements: four factors of distance two, then, for the same four
    /// quadruples, the first of the two of distance one, then the second.
    lower: AlignedVec,
    /// 1 / n; and the last factor of the inverse, times 1 / n.
    scale: [Factor; 2],
}

impl Tables {
    pub(super) fn new(modulus: Modulus, psi: u64, n: usize) -> Self {
        let inverse = |x: u64| modulus.pow(x, modulus.value() - 2);
        let n_inverse = inverse(modulus.reduce_u64(n as u64));
        Self {
            constants: Constants::new(modulus),
            forward: Direction::new(modulus, psi, n, 1),
            inverse: Direction::new(modulus, inverse(psi), n, n_inverse),
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn forward(&self, a: &mut [f64]) {
        if a.len() < MIN_PASSES {
            small::forward(self.constants, &self.forward, a);
        } else {
            forward::transform(self.constants, &self.forward, a);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn inverse(&self, a: &mut [f64]) {
        if a.len() < MIN_PASSES {
            small::inverse(self.constants, &self.inverse, a);
        } else {
            inverse::transform(self.constants, &self.inverse, a);
        }
    }
}

impl Direction {
    fn new(modulus: Modulus, root: u64, n: usize, scale: u64) -> Self {
        let table = reversed_powers(modulus, root, n);
        let factor = |w: u64| Factor::new(modulus, w);
        let scales = [factor(scale), factor(modulus.mul(scale, table[1]))];
        if n < MIN_PASSES {
            let upper = table.into_iter().map(factor).collect();
            return Self {
                upper,
                lower: AlignedVec::zeroed(0),
                scale: scales,
            };
        }
        let mut lower = AlignedVec::zeroed(3 * n / 4);
        for (sixteen, out) in lower.chunks_exact_mut(12).enumerate() {
            for lane in 0..4 {
                let quadruple = 4 * sixteen + lane;
                out[lane] = modulus.residue(table[n / 4 + quadruple]);
                out[4 + lane] = modulus.residue(table[n / 2 + 2 * quadruple]);
                out[8 + lane] = modulus.residue(table[n / 2 + 2 * quadruple + 1]);
            }
        }
        let upper = table[..n / 4].iter().map(|&w| factor(w)).collect();
        Self {
            upper,
            lower,
            scale: scales,
        }
    }

    fn n(&self) -> usize {
        if self.lower.is_empty() {
            self.upper.len()
        } else {
            4 * self.upper.len()
        }
    }
}

/// Layers that the first pass over a transform of `2^log_len` elements does: two, but one if the number of layers above the
/// blocks is odd. The inverse's last pass is the forward's first.
const fn layers_of_pass(log_len: u32) -> u32 {
    2 - (log_len - LOG_BLOCK) % 2
}
