//! The prime chain: level groups whose products keep every level's scale next to the one asked for.
//!
//! Squaring a ciphertext at scale `S` and dividing by the level's modulus gives `S^2 / Q`. If every `Q` were merely near
//! the scale, deviations would double at each level; instead the group of each level is chosen, top first, as near as
//! possible to `S^2 / S_0`, which brings the scale back (cf. Kim, Papadimitriou, Polyakov, eprint 2020/1118, section 4).

use cipherblas_rlwe::RingSpec;
use cipherblas_rlwe::chain::{ChainShape, PrimeSource};
use cipherblas_scheme::{Error, Result};

/// The ring of a shape; `None` if its special primes, each below 2^50, cannot hold its digits.
pub(crate) fn build(shape: &ChainShape) -> Result<Option<RingSpec>> {
    let mut primes = PrimeSource::new(shape.degree, &[]);
    let base = primes.group(shape.base_bits.exp2(), shape.base_primes())?;

    let wanted = shape.level_bits.exp2();
    let mut scale = wanted;
    let mut groups: Vec<Vec<u64>> = Vec::new();
    for _ in 0..shape.depth {
        let group = primes.group(scale * scale / wanted, shape.level_primes())?;
        scale = scale * scale / product(&group);
        groups.push(group);
    }
    groups.push(base);
    groups.reverse();
    primes.finish(shape, groups)
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
