//! Prime chains from sizes in bits: what every scheme's parameters are built from.

use crate::ring::{DIGIT_MARGIN_BITS, RingSpec};
use cipherblas_math::primes::primes_near;
use cipherblas_scheme::security::log2_product;
use cipherblas_scheme::{Error, Result};

/// The widest prime, in bits: below 2^50 with room for the search to go up.
pub const PRIME_BITS: f64 = 49.9;

/// For special primes that are not quite where they were asked for.
const PRIME_SLACK_BITS: f64 = 0.1;

/// Sizes, in bits, from which a chain is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainShape {
    /// Ring degree N.
    pub degree: usize,
    /// Levels above the base.
    pub depth: usize,
    /// Bits of each level's modulus.
    pub level_bits: f64,
    /// Bits of the base modulus.
    pub base_bits: f64,
    /// Primes in a key-switching digit.
    pub digit_len: usize,
    /// Bits by which P exceeds the largest digit, at least [`DIGIT_MARGIN_BITS`].
    pub margin_bits: f64,
}

impl ChainShape {
    /// Primes of each level above the base.
    pub fn level_primes(&self) -> usize {
        (self.level_bits / PRIME_BITS).ceil() as usize
    }
    /// Primes of the base.
    pub fn base_primes(&self) -> usize {
        (self.base_bits / PRIME_BITS).ceil() as usize
    }
    /// Primes of Q.
    pub fn q_primes(&self) -> usize {
        self.base_primes() + self.depth * self.level_primes()
    }
    /// Bits of the largest digit.
    fn digit_bits(&self) -> f64 {
        let level = self.level_bits / self.level_primes() as f64;
        let base = self.base_bits / self.base_primes() as f64;
        let in_base = self.digit_len.min(self.base_primes());
        let rest = self.digit_len.min(self.q_primes()) - in_base;
        let first = base * in_base as f64 + level * rest as f64;
        first.max(level * self.digit_len.min(self.depth * self.level_primes()) as f64)
    }
    /// Bits of P.
    pub fn special_bits(&self) -> f64 {
        self.digit_bits() + self.margin_bits + PRIME_SLACK_BITS
    }
    /// Special primes.
    pub fn special_primes(&self) -> usize {
        (self.special_bits() / PRIME_BITS).ceil() as usize
    }
    /// What log2(QP) will be, to a bit or two.
    pub fn log2_qp(&self) -> f64 {
        self.base_bits + self.depth as f64 * self.level_bits + self.special_bits()
    }
    /// Work of a key switch at the top, in transforms.
    pub fn cost(&self) -> f64 {
        let (l, p) = (self.q_primes() as f64, self.special_primes() as f64);
        let digits = (l / self.digit_len as f64).ceil();
        let lifted = digits * (l + p);
        let transforms = l + lifted - l + 2.0 * (p + l);
        transforms + 0.5 * lifted + 0.12 * (lifted * self.digit_len as f64 + 2.0 * p * l)
    }
}

/// Primes for one chain, each taken once.
#[derive(Clone, Debug)]
pub struct PrimeSource {
    step: u64,
    used: Vec<u64>,
}

impl PrimeSource {
    /// For ring degree `degree`; `used` are not given out.
    pub fn new(degree: usize, used: &[u64]) -> Self {
        Self {
            step: 2 * degree as u64,
            used: used.to_vec(),
        }
    }

    fn take(&mut self, target: f64) -> Result<u64> {
        let target = target.min((1u64 << 50) as f64 - 1.0).max(3.0);
        let found =
            primes_near(target as u64, self.step, 1, &self.used).map_err(|e| Error::Parameter {
                what: "prime chain",
                got: e.to_string(),
                expected: format!(
                    "a prime near 2^{:.1} that is 1 modulo {}",
                    target.log2(),
                    self.step
                ),
                hint: "use a larger precision or a smaller depth",
            })?;
        self.used.push(found[0]);
        Ok(found[0])
    }

    /// A group's primes in turn, each for its share of what is left of `product`.
    ///
    /// # Errors
    /// `Parameter` if there are not enough primes.
    pub fn group(&mut self, product: f64, count: usize) -> Result<Vec<u64>> {
        let mut rest = product;
        (0..count)
            .map(|taken| {
                let prime = self.take(rest.powf(1.0 / (count - taken) as f64))?;
                rest /= prime as f64;
                Ok(prime)
            })
            .collect()
    }

    /// The specification with the given groups and its special primes: P last, from the digits as they are, since small
    /// primes lie some way from where they were asked for. `None` if special primes below 2^50 cannot hold the digits.
    ///
    /// # Errors
    /// `Parameter` if there are not enough primes.
    pub fn finish(mut self, shape: &ChainShape, groups: Vec<Vec<u64>>) -> Result<Option<RingSpec>> {
        let q: Vec<u64> = groups.iter().flatten().copied().collect();
        let largest = q
            .chunks(shape.digit_len)
            .map(log2_product)
            .fold(0.0, f64::max);
        let least = largest + shape.margin_bits.max(DIGIT_MARGIN_BITS);
        let special = self.group((least + PRIME_SLACK_BITS).exp2(), shape.special_primes())?;
        if log2_product(&special) < least {
            return Ok(None);
        }
        Ok(Some(RingSpec {
            degree: shape.degree,
            groups,
            special,
            digit_len: shape.digit_len,
        }))
    }
}

/// log2 of the product of all primes: what the security table limits.
pub fn log2_qp(spec: &RingSpec) -> f64 {
    let primes: Vec<u64> = spec
        .groups
        .iter()
        .flatten()
        .chain(&spec.special)
        .copied()
        .collect();
    log2_product(&primes)
}
