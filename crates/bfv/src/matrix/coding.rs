//! Integers modulo the plaintext modulus, and what becomes of their bounds.

use super::bounds::{Bounds, centre, common, inverse, reduce};
use super::params::Params;
use crate::noise::{add_up, coarse, mul_up};
use cipherblas_rlwe::SecretKey;
use cipherblas_rlwe::matrix::coded::{self, Coding, Encryptor, Product, Weighted};
use cipherblas_rlwe::matrix::{Block, MatrixRing, noise};
use cipherblas_scheme::wire::{ParameterId, Reader, SchemeId, Writer};
use cipherblas_scheme::{Error, Result, Value, WeightMatrix};
use rand::CryptoRng;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A multiple by zero has half a value for a phase.
const FLOOR: f64 = 0.5;

fn bad_value(index: usize, what: &str, bound: f64) -> Error {
    Error::Value {
        index,
        // The value itself may be a secret, and errors end up in logs.
        got: format!("({what} not shown: beyond the bound)"),
        expected: format!("an integer of absolute value at most {bound}"),
        hint: "raise `plaintext_bits` or the declared bound",
    }
}

/// Constant time, but for which value is wrong where one is.
fn check_values(what: &str, values: &[i64], bound: f64) -> Result<()> {
    let limit = bound as u64;
    let within = |v: &i64| limit.wrapping_sub(v.unsigned_abs()) >> 63 == 0;
    if values.iter().fold(true, |ok, v| ok & within(v)) {
        return Ok(());
    }
    let index = values.iter().position(|v| !within(v)).unwrap_or(0);
    Err(bad_value(index, what, bound))
}

impl Params {
    /// Refuses bounds that a level does not hold.
    fn held(&self, operation: &'static str, level: usize, bounds: Bounds) -> Result<Bounds> {
        let (magnitude, phase) = (bounds.magnitude, bounds.phase);
        // Written so that NaN is refused.
        if !(0.0..=self.max_value()).contains(&magnitude) {
            return Err(Error::Overflow {
                operation,
                bound: magnitude.to_string(),
                capacity: self.max_value().to_string(),
            });
        }
        if !(0.0..=self.limit(level)).contains(&phase) {
            return Err(Error::Noise {
                operation,
                bound_bits: phase.log2(),
                limit_bits: self.limit(level).log2(),
            });
        }
        Ok(bounds)
    }

    /// Of bounds that follow from a server's weights, only so much is told: rounded up, within what is held.
    fn coarse(&self, level: usize, bounds: Bounds) -> Bounds {
        let up = |x: f64, limit: f64| if x <= limit { coarse(x).min(limit) } else { x };
        Bounds {
            magnitude: up(bounds.magnitude, self.max_value()),
            phase: up(bounds.phase, self.limit(level)),
            unit: bounds.unit,
        }
    }

    /// After a step from `level` to the level below, without a key.
    fn lowered(&self, level: usize, magnitude: f64, phase: f64, unit: u64) -> Bounds {
        let added = noise::lower(self.ring(), level) / self.modulus();
        Bounds {
            magnitude,
            phase: (phase * self.ratio(level) + added) * (1.0 + 1e-12),
            unit: self.stepped(level, unit),
        }
    }

    /// The unit after a step from `level`.
    fn stepped(&self, level: usize, unit: u64) -> u64 {
        let unit = unit.wrapping_mul(self.ring().unit(level));
        reduce(unit, self.plaintext_bits())
    }
}

impl Coding for Params {
    type Value = i64;
    type Bounds = Bounds;
    const NAME: &'static str = "bfv";
    const SCHEME: SchemeId = SchemeId::Bfv;

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

    /// Values times the level's unit, modulo the plaintext modulus, centred. Constant time in the values.
    fn encode<R: CryptoRng + ?Sized>(
        &self,
        values: &[i64],
        level: usize,
        bound: Option<f64>,
        by: Encryptor,
        _rng: &mut R,
    ) -> Result<(Zeroizing<Vec<i64>>, Bounds)> {
        let magnitude = bound.unwrap_or_else(|| self.max_value());
        if !(magnitude > 0.0 && magnitude <= self.max_value()) {
            return Err(Error::Parameter {
                what: "bound",
                got: magnitude.to_string(),
                expected: format!("a positive number of at most {}", self.max_value()),
                hint: "raise `plaintext_bits`",
            });
        }
        check_values("value", values, magnitude)?;
        let (unit, bits) = (self.unit(level), self.plaintext_bits());
        let encode = |v: &i64| centre(unit.wrapping_mul(*v as u64), bits);
        let bounds = Bounds {
            magnitude,
            phase: self.fresh(level, by),
            unit,
        };
        Ok((Zeroizing::new(values.iter().map(encode).collect()), bounds))
    }

    fn decode(&self, block: &Block, bounds: &Bounds, secret: &SecretKey) -> Result<Vec<i64>> {
        let bits = self.plaintext_bits();
        let phases = block.phase_modulo(secret, 1 << bits)?;
        let inverse = inverse(bounds.unit);
        let decode = |x: &i64| centre(inverse.wrapping_mul(*x as u64), bits);
        let mut values = Zeroizing::new(phases.iter().map(decode).collect::<Vec<_>>());
        // Not the magnitude that the block declares: as a threshold it would let its sender search for the largest value.
        let limit = self.max_value() as u64;
        let good = values
            .iter()
            .fold(true, |ok, v| ok & (v.unsigned_abs() <= limit));
        if good {
            Ok(std::mem::take(&mut *values))
        } else {
            Err(Error::Decryption)
        }
    }

    fn magnitude(&self, bounds: &Bounds) -> f64 {
        bounds.magnitude
    }
    fn error(&self, _bounds: &Bounds) -> f64 {
        0.0
    }

    /// Terms of different units are multiplied by small numbers that make them equal: about the root of the plaintext modulus
    /// each, which their phases grow by.
    fn sum(
        &self,
        operation: &'static str,
        level: usize,
        a: &Bounds,
        b: &Bounds,
    ) -> Result<([i64; 2], Bounds)> {
        let bits = self.plaintext_bits();
        let [f, g] = common(a.unit, b.unit, bits);
        let size = |x: i64| x.unsigned_abs() as f64;
        let sum = Bounds {
            magnitude: add_up(a.magnitude, b.magnitude),
            phase: add_up(mul_up(size(f), a.phase), mul_up(size(g), b.phase)),
            unit: reduce((f as u64).wrapping_mul(a.unit), bits),
        };
        Ok(([f, g], self.held(operation, level, sum)?))
    }

    fn scaled(
        &self,
        operation: &'static str,
        level: usize,
        value: Option<i64>,
        bounds: &Bounds,
    ) -> Result<(Vec<i64>, Bounds)> {
        let factor = value.unwrap_or(1);
        check_values("scalar", &[factor], self.max_value())?;
        let size = factor.magnitude();
        let scaled = self.lowered(
            level,
            mul_up(size, bounds.magnitude),
            // A multiple by zero is still rounded.
            mul_up(size, bounds.phase).max(FLOOR),
            bounds.unit,
        );
        // The phase before the step has to fit as well.
        let before = Bounds {
            phase: mul_up(size, bounds.phase),
            ..scaled
        };
        self.held(operation, level, before)?;
        // A scalar is the server's own.
        let scaled = match value {
            Some(_) => self.coarse(level - 1, scaled),
            None => scaled,
        };
        Ok((vec![factor], self.held(operation, level - 1, scaled)?))
    }

    fn product(&self, product: &Product<'_, Bounds>) -> Result<Bounds> {
        let (bits, level) = (self.plaintext_bits(), product.level);
        let Some(first) = product.terms.first() else {
            return Err(Error::Shape {
                operation: product.operation,
                got: "no terms".into(),
                expected: "at least one".into(),
                hint: "an empty sum has no shape",
            });
        };
        let unit = |l: &Bounds, r: &Bounds| reduce(l.unit.wrapping_mul(r.unit), bits);
        let common = unit(first.left, first.right);
        let mut magnitude = 0.0;
        for term in product.terms {
            if unit(term.left, term.right) != common {
                return Err(Error::Unsupported {
                    scheme: Self::NAME,
                    operation: product.operation,
                    hint: "terms come from products of different kinds: add up products one by one",
                });
            }
            let one = mul_up(term.left.magnitude, term.right.magnitude);
            magnitude = add_up(magnitude, mul_up(term.lines as f64, one));
        }
        let bounds = Bounds {
            magnitude,
            phase: self.product_phase(product)?,
            unit: self.stepped(level, common),
        };
        self.held(product.operation, level - 1, bounds)
    }

    fn weighted(
        &self,
        operation: &'static str,
        level: usize,
        terms: &[(WeightMatrix<'_, i64>, &Bounds)],
        _distinct: bool,
    ) -> Result<Weighted<Bounds>> {
        let unit = terms.first().map_or(1, |(_, x)| x.unit);
        let rows = terms.first().map_or(0, |(w, _)| w.rows());
        for (w, x) in terms {
            check_values("weight", w.data(), self.max_value())?;
            if x.unit != unit {
                return Err(Error::Unsupported {
                    scheme: Self::NAME,
                    operation,
                    hint: "terms come from products of different kinds: add up products one by one",
                });
            }
        }
        let (mut magnitude, mut phase) = (0.0f64, FLOOR);
        for row in 0..rows {
            let (mut values, mut phases) = (0.0, 0.0);
            for (w, x) in terms {
                let size = w.row(row).iter().fold(0.0, |s, v| add_up(s, v.magnitude()));
                values = add_up(values, mul_up(size, x.magnitude));
                phases = add_up(phases, mul_up(size, x.phase));
            }
            magnitude = magnitude.max(values);
            phase = phase.max(phases);
        }
        let before = Bounds {
            magnitude,
            phase,
            unit,
        };
        self.held(operation, level, before)?;
        let bounds = self.lowered(level, magnitude, phase, unit);
        let bounds = self.held(operation, level - 1, self.coarse(level - 1, bounds))?;
        let integers = terms.iter().map(|(w, _)| w.data().to_vec()).collect();
        Ok((integers, bounds))
    }

    fn reformatted(
        &self,
        operation: &'static str,
        level: usize,
        padded: usize,
        bounds: &Bounds,
    ) -> Result<(Vec<i64>, Bounds)> {
        let added = coded::reformat_error(self.ring(), level, padded)? / self.modulus();
        let result = Bounds {
            magnitude: bounds.magnitude,
            phase: (bounds.phase * self.ratio(level) + added) * (1.0 + 1e-12),
            unit: self.stepped(level, bounds.unit),
        };
        Ok((vec![1], self.held(operation, level - 1, result)?))
    }

    fn write_bounds(&self, bounds: &Bounds, writer: &mut Writer) {
        writer.f64(bounds.magnitude);
        writer.f64(bounds.phase);
        writer.u64(bounds.unit);
    }

    fn read_bounds(&self, level: usize, reader: &mut Reader<'_>) -> Result<Bounds> {
        let bounds = Bounds {
            magnitude: reader.f64()?,
            phase: reader.f64()?,
            unit: reader.u64()?,
        };
        let odd = bounds.unit % 2 == 1 && bounds.unit < 1 << self.plaintext_bits();
        if !odd || self.held("read", level, bounds).is_err() {
            return Err(reader.error(
                format!(
                    "bounds {} and {}, unit {}",
                    bounds.magnitude, bounds.phase, bounds.unit
                ),
                format!(
                    "values up to {}, phases up to {}, an odd unit",
                    self.max_value(),
                    self.limit(level)
                ),
            ));
        }
        Ok(bounds)
    }

    fn as_public(&self, level: usize, bounds: &Bounds) -> bool {
        bounds.phase >= self.fresh(level, Encryptor::PublicKey)
    }

    fn raised(&self, level: usize, fresh: bool, bounds: Bounds) -> Result<Bounds> {
        // Sums of fresh blocks have no smaller errors; whatever else is below the top came from the level above.
        let floor = if fresh || level == self.depth() {
            self.fresh(level, Encryptor::SecretKey)
        } else {
            self.floor(level)
        };
        let raised = Bounds {
            phase: bounds.phase.max(floor),
            ..bounds
        };
        self.held("read", level, raised)
    }
}
