//! The prime chain: level groups whose products keep every level's scale next to the one asked for.
//!
//! Squaring a ciphertext at scale `S` and dividing by the level's modulus gives `S^2 / Q`. If every `Q` were merely near
//! the scale, deviations would double at each level; instead the group of each level is chosen, top first, as near as
//! possible to `S^2 / S_0`, which brings the scale back (cf. Kim, Papadimitriou, Polyakov, eprint 2020/1118, section 4).

use cipherblas_math::primes::primes_near;
use cipherblas_rlwe::RingSpec;
use cipherblas_scheme::security::log2_product;
use cipherblas_scheme::{Error, Result};

/// The widest prime, in bits: below 2^50 with room for the search to go up.
pub(crate) const PRIME_BITS: f64 = 49.9;

/// For special primes that are not quite where they were asked for.
const PRIME_SLACK_BITS: f64 = 0.1;

/// Sizes, in bits, from which a chain is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChainShape {
    pub(crate) degree: usize,
    pub(crate) depth: usize,
    pub(crate) scale_bits: f64,
    pub(crate) base_bits: f64,
    pub(crate) digit_len: usize,
}

impl ChainShape {
    pub(crate) fn level_primes(&self) -> usize {
        (self.scale_bits / PRIME_BITS).ceil() as usize
    }
    pub(crate) fn base_primes(&self) -> usize {
        (self.base_bits / PRIME_BITS).ceil() as usize
    }
    pub(crate) fn q_primes(&self) -> usize {
        self.base_primes() + self.depth * self.level_primes()
    }
    /// Bits of the largest digit.
    fn digit_bits(&self) -> f64 {
        let level = self.scale_bits / self.level_primes() as f64;
        let base = self.base_bits / self.base_primes() as f64;
        let in_base = self.digit_len.min(self.base_primes());
        let rest = self.digit_len.min(self.q_primes()) - in_base;
        let first = base * in_base as f64 + level * rest as f64;
        first.max(level * self.digit_len.min(self.depth * self.level_primes()) as f64)
    }
    /// Bits of P.
    pub(crate) fn special_bits(&self) -> f64 {
        self.digit_bits() + cipherblas_rlwe::ring::DIGIT_MARGIN_BITS + PRIME_SLACK_BITS
    }
    pub(crate) fn special_primes(&self) -> usize {
        (self.special_bits() / PRIME_BITS).ceil() as usize
    }
    /// What log2(QP) will be, to a bit or two.
    pub(crate) fn log2_qp(&self) -> f64 {
        self.base_bits + self.depth as f64 * self.scale_bits + self.special_bits()
    }
    /// Work of a key switch at the top, in transforms.
    pub(crate) fn cost(&self) -> f64 {
        let (l, p) = (self.q_primes() as f64, self.special_primes() as f64);
        let digits = (l / self.digit_len as f64).ceil();
        let lifted = digits * (l + p);
        let transforms = l + lifted - l + 2.0 * (p + l);
        transforms + 0.5 * lifted + 0.12 * (lifted * self.digit_len as f64 + 2.0 * p * l)
    }
}

/// The ring of a shape; `None` if its special primes, each below 2^50, cannot hold its digits.
pub(crate) fn build(shape: &ChainShape) -> Result<Option<RingSpec>> {
    let step = 2 * shape.degree as u64;
    let mut used: Vec<u64> = Vec::new();
    let mut take = |target: f64| -> Result<u64> {
        let target = target.min((1u64 << 50) as f64 - 1.0).max(3.0);
        let found = primes_near(target as u64, step, 1, &used).map_err(|e| Error::Parameter {
            what: "prime chain",
            got: e.to_string(),
            expected: format!(
                "a prime near 2^{:.1} that is 1 modulo {step}",
                target.log2()
            ),
            hint: "use a larger precision or a smaller depth",
        })?;
        used.push(found[0]);
        Ok(found[0])
    };
    // A group's primes in turn, each for its share of what is left of the product.
    let mut take_group = |product: f64, count: usize| -> Result<Vec<u64>> {
        let mut rest = product;
        (0..count)
            .map(|taken| {
                let prime = take(rest.powf(1.0 / (count - taken) as f64))?;
                rest /= prime as f64;
                Ok(prime)
            })
            .collect()
    };
    let base = take_group(shape.base_bits.exp2(), shape.base_primes())?;

    let wanted = shape.scale_bits.exp2();
    let mut scale = wanted;
    let mut groups: Vec<Vec<u64>> = Vec::new();
    for _ in 0..shape.depth {
        let group = take_group(scale * scale / wanted, shape.level_primes())?;
        scale = scale * scale / product(&group);
        groups.push(group);
    }
    groups.push(base);
    groups.reverse();

    // P last, from the digits as they are: small primes lie some way from where they were asked for.
    let q: Vec<u64> = groups.iter().flatten().copied().collect();
    let largest = q
        .chunks(shape.digit_len)
        .map(log2_product)
        .fold(0.0, f64::max);
    let least = largest + cipherblas_rlwe::ring::DIGIT_MARGIN_BITS;
    let special = take_group((least + PRIME_SLACK_BITS).exp2(), shape.special_primes())?;
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

fn product(primes: &[u64]) -> f64 {
    primes.iter().map(|&p| p as f64).product()
}

/// The scale of every level, bottom first, from that of the top.
///
/// # Errors
/// `Parameter` if a level's scale leaves the top one by more than a factor of two: such a chain keeps no precision.
pub(crate) fn canonical_scales(spec: &RingSpec, top: f64) -> Result<Vec<f64>> {
    let mut scales = vec![top];
    let mut scale = top;
    for group in spec.groups.iter().skip(1).rev() {
        scale = scale * scale / product(group);
        scales.push(scale);
    }
    scales.reverse();
    // Written so that NaN fails.
    if scales.iter().all(|s| (top / 2.0..=top * 2.0).contains(s))
        && (1.0..=2f64.powi(120)).contains(&top)
    {
        Ok(scales)
    } else {
        Err(Error::Parameter {
            what: "prime chain",
            got: format!("scales {scales:?}"),
            expected: "level moduli near the scale".into(),
            hint: "use parameters from the builder",
        })
    }
}
