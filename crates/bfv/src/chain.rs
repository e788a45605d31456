//! Plaintext moduli and the prime chain for them, chosen by estimated work.

use crate::noise::Noise;
use cipherblas_math::primes::is_prime;
use cipherblas_rlwe::RingSpec;
use cipherblas_rlwe::chain::{ChainShape, PRIME_BITS, PrimeSource};
use cipherblas_rlwe::ring::DIGIT_MARGIN_BITS;
use cipherblas_scheme::Result;

/// Most plaintext moduli of one set of parameters.
pub(crate) const MAX_MODULI: usize = 8;

/// For primes that are not quite where they were asked for, and terms too small to be listed below.
const SLACK_BITS: f64 = 0.15;

/// What a key switch may add at most, in roundings.
const SWITCH_ROUNDINGS: f64 = 4.0;

/// The `count` smallest primes that are 1 modulo 2N and whose product has to reach `2^bits`; `None` where fewer would
/// do, or the product or a prime is too large.
pub(crate) fn plaintext_moduli(degree: usize, bits: u32, count: usize) -> Option<Vec<u64>> {
    let step = 2 * degree as u64;
    let least = (f64::from(bits) / count as f64).exp2().ceil() as u64;
    let mut primes: Vec<u64> = Vec::with_capacity(count);
    let mut candidate = least.max(2).div_ceil(step) * step + 1;
    if candidate - step >= least.max(2) {
        candidate -= step;
    }
    while primes.len() < count {
        if candidate >> 50 != 0 {
            return None;
        }
        if is_prime(candidate) {
            primes.push(candidate);
        }
        candidate += step;
    }
    let product = |primes: &[u64]| {
        primes
            .iter()
            .fold(1u128, |acc, &p| acc.saturating_mul(u128::from(p)))
    };
    let enough = 1u128 << bits;
    let fits = product(&primes) >= enough && product(&primes) < 1 << 63;
    (fits && product(&primes[1..]) < enough).then_some(primes)
}

/// Everything that a choice of parameters is made of.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) moduli: Vec<u64>,
    pub(crate) shape: ChainShape,
}

impl Choice {
    /// The sizes that the noise asks for: see `noise`, section "Levels". In units of a rounding, let a key switch add
    /// at most `k` and a product leave `r`, so that a rotated product has `u = 2 + k + r`. Then the base takes log2 u
    /// bits, each of the d levels log2(u/r), and P takes -log2 k, all but for constants: least at `r = d (2 + k)`,
    /// where it is `log2((2 + k)/k)` and constants. At k = [`SWITCH_ROUNDINGS`] little is left to gain. Room for sums is
    /// in the base only: what they add to the noise is carried down the levels unchanged.
    pub(crate) fn new(
        degree: usize,
        depth: usize,
        headroom_bits: u32,
        digit_len: usize,
        moduli: Vec<u64>,
    ) -> Self {
        let t = moduli.iter().copied().max().unwrap_or(2);
        let noise = Noise::new(degree, t);
        let rounding = noise.rounding();
        let left = (depth.max(1) as f64) * (2.0 + SWITCH_ROUNDINGS) * rounding;
        let unit = (depth as f64 + 1.0) * (2.0 + SWITCH_ROUNDINGS) * rounding;
        let sums = f64::from(headroom_bits).exp2();
        let base_bits = (2.0 * t as f64 * sums * unit).log2() + SLACK_BITS;
        // The auxiliary modulus of products is at least half of Q, which puts each half of an operand off by up to 1.
        let product = noise.product(f64::INFINITY, unit, unit, 1.0) + noise.scaling();
        let mut shape = ChainShape {
            degree,
            depth,
            level_bits: (product / left).log2() + SLACK_BITS,
            base_bits,
            digit_len,
            margin_bits: DIGIT_MARGIN_BITS,
        };
        let digits = shape.q_primes().div_ceil(digit_len);
        let switch = noise.key_switch_estimate(digits, 0.0);
        let margin = (switch / (SWITCH_ROUNDINGS * rounding)).log2();
        shape.margin_bits = margin.max(DIGIT_MARGIN_BITS);
        Self { moduli, shape }
    }

    /// Work of a multiplication with its key switch, for all plaintext moduli, in units of a butterfly: the tensor over
    /// twice the primes takes about seventeen transforms for each prime.
    pub(crate) fn cost(&self) -> f64 {
        let primes = self.shape.q_primes() as f64;
        let transforms = self.shape.cost() + 17.0 * primes + 0.8 * primes * primes;
        let n = self.shape.degree as f64;
        self.moduli.len() as f64 * transforms * n * n.log2()
    }

    /// Primes of the largest conversion of base: all of a ciphertext's, or what a product divides by.
    pub(crate) fn conversion_primes(&self) -> usize {
        let shape = &self.shape;
        let log_q = shape.base_bits + shape.depth as f64 * shape.level_bits;
        let auxiliary = (log_q / PRIME_BITS).ceil() as usize + 1;
        let divided = auxiliary + shape.special_primes() + shape.level_primes();
        divided.max(shape.q_primes())
    }

    /// The ring; `None` if its special primes, each below 2^50, cannot hold its digits.
    pub(crate) fn build(&self) -> Result<Option<RingSpec>> {
        let shape = &self.shape;
        let mut primes = PrimeSource::new(shape.degree, &self.moduli);
        let mut groups = vec![primes.group(shape.base_bits.exp2(), shape.base_primes())?];
        for _ in 0..shape.depth {
            groups.push(primes.group(shape.level_bits.exp2(), shape.level_primes())?);
        }
        primes.finish(shape, groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_moduli_reach_the_bits_asked_for_and_no_fewer_would() {
        for degree in [16, 4096, 8192, 1 << 17] {
            for bits in 2..=62 {
                for count in 1..=4 {
                    let Some(moduli) = plaintext_moduli(degree, bits, count) else {
                        continue;
                    };
                    let product: u128 = moduli.iter().map(|&p| u128::from(p)).product();
                    assert!(product >> bits > 0 && product < 1 << 63);
                    assert!(product / u128::from(moduli[0]) < 1 << bits);
                    for (i, &p) in moduli.iter().enumerate() {
                        assert!(is_prime(p) && p % (2 * degree as u64) == 1 && p < 1 << 50);
                        assert!(!moduli[..i].contains(&p));
                    }
                }
                assert!(
                    (1..=MAX_MODULI).any(|k| plaintext_moduli(degree, bits, k).is_some()),
                    "{bits} bits at {degree}"
                );
            }
        }
        assert_eq!(plaintext_moduli(8192, 16, 1), Some(vec![65537]));
        assert_eq!(plaintext_moduli(8192, 20, 2), Some(vec![65537, 114_689]));
        assert_eq!(plaintext_moduli(8192, 50, 1), None);
        assert_eq!(plaintext_moduli(8192, 14, 2), None);
    }
}
