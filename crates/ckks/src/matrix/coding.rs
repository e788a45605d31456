//! Reals as integers, and what becomes of their bounds.

use super::bounds::Bounds;
use super::params::{ENCODING_ERROR, Params};
use cipherblas_rlwe::SecretKey;
use cipherblas_rlwe::matrix::coded::{self, Coding, Encryptor, Product, Weighted};
use cipherblas_rlwe::matrix::{Block, MatrixRing, noise};
use cipherblas_scheme::hedge::{self, hedged};
use cipherblas_scheme::wire::{ParameterId, Reader, SchemeId, Writer};
use cipherblas_scheme::{Error, Result, WeightMatrix};
use rand::{CryptoRng, Rng};
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Integers that stand for scalars and weights are below this.
const MAX_INTEGER: f64 = (1u64 << 61) as f64;
/// Values that a task rounds.
const GRAIN: usize = 1 << 14;

fn bad_value(index: usize, what: &str, bound: f64) -> Error {
    Error::Value {
        index,
        // The value itself may be a secret, and errors end up in logs.
        got: format!("({what} not shown: no number, or beyond the bound)"),
        expected: format!("a finite number of absolute value at most {bound}"),
        hint: "scale the data, or declare a larger bound",
    }
}

/// For the generator of roundings: where the caller's repeats itself, those of other values are others.
fn digest_of(values: &[f64], level: usize) -> Zeroizing<[u8; 32]> {
    const DOMAIN: &str = "cipherblas 2026 ckks matrix values";
    let parts: Vec<Zeroizing<[u8; 32]>> = values
        .par_chunks(GRAIN)
        .map(|values| hedge::digest(DOMAIN, &[&hedge::words(values.iter().map(|v| v.to_bits()))]))
        .collect();
    let level = (level as u64).to_le_bytes();
    let mut all: Vec<&[u8]> = vec![&level];
    all.extend(parts.iter().map(|digest| &digest[..]));
    hedge::digest("cipherblas 2026 ckks matrix block", &all)
}

impl Params {
    /// Refuses bounds that a level does not hold.
    fn held(&self, operation: &'static str, level: usize, bounds: Bounds) -> Result<Bounds> {
        let largest = bounds.magnitude + bounds.error();
        let capacity = self.max_value(level);
        // Written so that NaN is refused.
        if largest <= capacity {
            return Ok(bounds);
        }
        Err(Error::Overflow {
            operation,
            bound: format!("{largest:.6e}"),
            capacity: format!("{capacity:.6e}"),
        })
    }

    /// What dropping a level adds to the error of a value.
    fn lower_added(&self, level: usize) -> f64 {
        noise::lower(self.ring(), level) / self.scale(level - 1)
    }
}

impl Coding for Params {
    type Value = f64;
    type Bounds = Bounds;
    const NAME: &'static str = "ckks";
    const SCHEME: SchemeId = SchemeId::Ckks;

    fn ring(&self) -> &Arc<MatrixRing> {
        Params::ring(self)
    }
    fn id(&self) -> ParameterId {
        Params::id(self)
    }
    fn to_bytes(&self) -> Vec<u8> {
        Params::to_bytes(self)
    }
    fn read(bytes: &[u8], secure: bool) -> Result<Self> {
        Params::read(bytes, secure)
    }

    /// Values times the scale, rounded to one of the two neighbouring integers at random so that the mean is right: the
    /// errors of roundings are then independent of values and of each other. Constant time in the values.
    fn encode<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        level: usize,
        bound: Option<f64>,
        by: Encryptor,
        rng: &mut R,
    ) -> Result<(Zeroizing<Vec<i64>>, Bounds)> {
        let scale = self.scale(level);
        let magnitude = bound.unwrap_or(self.bound());
        let largest = self.max_value(level).min(MAX_INTEGER / scale) / 2.0;
        if !(magnitude > 0.0 && magnitude <= largest) {
            return Err(Error::Parameter {
                what: "bound",
                got: magnitude.to_string(),
                expected: format!("a positive number of at most {largest:e}"),
                hint: "scale the data, or build the parameters for it with `bound`",
            });
        }
        let within = |v: &f64| v.abs() <= magnitude;
        let good = values
            .par_iter()
            .with_min_len(GRAIN)
            .fold(|| true, |ok, v| ok & within(v))
            .reduce(|| true, |a, b| a & b);
        if !good {
            let index = values.iter().position(|v| !within(v)).unwrap_or(0);
            return Err(bad_value(index, "value", magnitude));
        }
        let digest = digest_of(values, level);
        let mut master = hedged("cipherblas 2026 ckks matrix rounding", rng, &[&*digest]);
        let dithers: Vec<_> = (0..values.len().div_ceil(GRAIN) as u64)
            .map(|i| {
                hedged(
                    "cipherblas 2026 ckks matrix rounding part",
                    &mut master,
                    &[&i.to_le_bytes()],
                )
            })
            .collect();
        let mut integers = Zeroizing::new(vec![0i64; values.len()]);
        integers
            .par_chunks_mut(GRAIN)
            .zip(values.par_chunks(GRAIN))
            .zip(dithers)
            .for_each(|((out, values), mut rng)| {
                let mut bytes = Zeroizing::new(vec![0u8; 2 * values.len()]);
                rng.fill_bytes(&mut bytes);
                for ((out, v), word) in out.iter_mut().zip(values).zip(bytes.as_chunks::<2>().0) {
                    let dither = (f64::from(u16::from_le_bytes(*word)) + 0.5) / 65536.0;
                    *out = (v * scale + dither).floor() as i64;
                }
            });
        Ok((integers, self.fresh(level, magnitude, by)))
    }

    fn decode(&self, block: &Block, _bounds: &Bounds, secret: &SecretKey) -> Result<Vec<f64>> {
        let mut values = block.phase_real(secret, self.scale(block.level()))?;
        // Not the magnitude that the block declares: as a threshold it would let its sender search for the largest value.
        let limit = self.max_value(block.level());
        let good = values.iter().fold(true, |ok, v| ok & (v.abs() <= limit));
        if good {
            Ok(std::mem::take(&mut *values))
        } else {
            Err(Error::Decryption)
        }
    }

    fn magnitude(&self, bounds: &Bounds) -> f64 {
        bounds.magnitude
    }
    fn error(&self, bounds: &Bounds) -> f64 {
        bounds.error() + bounds.magnitude * ENCODING_ERROR
    }

    fn sum(
        &self,
        operation: &'static str,
        level: usize,
        a: &Bounds,
        b: &Bounds,
    ) -> Result<([i64; 2], Bounds)> {
        Ok(([1, 1], self.held(operation, level, a.sum(b))?))
    }

    fn scaled(
        &self,
        operation: &'static str,
        level: usize,
        value: Option<f64>,
        bounds: &Bounds,
    ) -> Result<(Vec<i64>, Bounds)> {
        let scale = self.scale(level);
        let factor = value.unwrap_or(1.0);
        if factor.is_nan() || factor.abs() > MAX_INTEGER / scale {
            return Err(bad_value(0, "scalar", MAX_INTEGER / scale));
        }
        let integer = (factor * scale).round();
        let off = 0.5 / scale + factor.abs() * ENCODING_ERROR;
        let scaled = bounds.scaled(factor, off, self.lower_added(level));
        // A scalar is the server's own.
        let scaled = if value.is_some() {
            scaled.coarse()
        } else {
            scaled
        };
        Ok((
            vec![integer as i64],
            self.held(operation, level - 1, scaled)?,
        ))
    }

    fn product(&self, product: &Product<'_, Bounds>) -> Result<Bounds> {
        let mut bounds = Bounds::product(product);
        bounds.fixed += self.product_added(product.level, product.padded)?;
        self.held(product.operation, product.level - 1, bounds)
    }

    fn weighted(
        &self,
        operation: &'static str,
        level: usize,
        terms: &[(WeightMatrix<'_, f64>, &Bounds)],
        distinct: bool,
    ) -> Result<Weighted<Bounds>> {
        let scale = self.scale(level);
        let most = MAX_INTEGER / scale;
        let mut largest = 0.0f64;
        for (w, _) in terms {
            if let Some(index) = w.data().iter().position(|v| v.is_nan() || v.abs() > most) {
                return Err(bad_value(index, "weight", most));
            }
            largest = w.data().iter().fold(largest, |m, v| m.max(v.abs()));
        }
        let off = 0.5 / scale + largest * ENCODING_ERROR;
        let mut bounds = Bounds::weighted(terms, off, distinct);
        bounds.fixed += self.lower_added(level);
        let bounds = self.held(operation, level - 1, bounds.coarse())?;
        let integers = terms
            .iter()
            .map(|(w, _)| {
                let round = |v: &f64| (v * scale).round() as i64;
                w.data().par_iter().with_min_len(GRAIN).map(round).collect()
            })
            .collect();
        Ok((integers, bounds))
    }

    fn reformatted(
        &self,
        operation: &'static str,
        level: usize,
        padded: usize,
        bounds: &Bounds,
    ) -> Result<(Vec<i64>, Bounds)> {
        let (factors, mut bounds) = self.scaled(operation, level, None, bounds)?;
        let added = coded::reformat_error(self.ring(), level, padded)?;
        bounds.fixed += added / self.scale(level - 1);
        // Lines have become positions.
        bounds.fixed += bounds.random;
        (bounds.spread, bounds.random) = (0.0, 0.0);
        Ok((factors, self.held(operation, level - 1, bounds)?))
    }

    fn write_bounds(&self, bounds: &Bounds, writer: &mut Writer) {
        for x in [bounds.magnitude, bounds.spread, bounds.random, bounds.fixed] {
            writer.f64(x);
        }
    }

    fn read_bounds(&self, level: usize, reader: &mut Reader<'_>) -> Result<Bounds> {
        let mut read = || reader.f64();
        let bounds = Bounds {
            magnitude: read()?,
            spread: read()?,
            random: read()?,
            fixed: read()?,
        };
        let all = [bounds.magnitude, bounds.spread, bounds.random, bounds.fixed];
        if all.iter().any(|x| *x < 0.0) || self.held("read", level, bounds).is_err() {
            return Err(reader.error(
                format!("bounds {all:?}"),
                format!("none negative, values up to {:e}", self.max_value(level)),
            ));
        }
        Ok(bounds)
    }

    fn as_public(&self, level: usize, bounds: &Bounds) -> bool {
        bounds.at_least(&self.fresh(level, bounds.magnitude, Encryptor::PublicKey))
    }

    fn raised(&self, level: usize, fresh: bool, bounds: Bounds) -> Result<Bounds> {
        let encrypted = self.fresh(level, bounds.magnitude, Encryptor::SecretKey);
        let raised = if bounds.at_least(&encrypted) {
            bounds
        } else if fresh || level == self.depth() {
            // Sums of fresh blocks have no smaller errors.
            Bounds {
                magnitude: bounds.magnitude,
                spread: bounds.spread.max(encrypted.spread),
                random: bounds.random.max(encrypted.random),
                fixed: bounds.fixed.max(encrypted.fixed),
            }
        } else {
            // Whatever else is at this level came from the one above.
            Bounds {
                fixed: bounds.fixed.max(self.lower_added(level + 1)),
                ..bounds
            }
        };
        self.held("read", level, raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    /// A generator that repeats itself does not repeat the roundings of other values.
    #[test]
    fn roundings_depend_on_the_values() {
        let params = Params::builder()
            .inner(4)
            .len(16)
            .insecure_degree(64)
            .build()
            .unwrap();
        let encode = |last: f64| {
            let mut values: [f64; 512] = std::array::from_fn(|i| (i as f64).sqrt() / 32.0);
            values[511] = last;
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let by = Encryptor::SecretKey;
            params
                .encode(&values, 1, None, by, &mut rng)
                .unwrap()
                .0
                .to_vec()
        };
        let (a, b) = (encode(0.25), encode(0.5));
        assert_eq!(a, encode(0.25));
        let differ = a[..511].iter().zip(&b).filter(|(x, y)| x != y).count();
        assert!(differ > 32, "{differ} of 511 roundings differ");
    }
}
