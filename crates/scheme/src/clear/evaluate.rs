use super::{ClearCiphertext, ClearPlaintext, ClearScheme, count};
use crate::capability::{
    Add, AddPlain, Combine, ErrorBound, Mul, MulPlain, Rotate, Scheme, WeightMatrix, Wire,
    check_pairs, check_period,
};
use crate::wire::{Expected, Header, Kind, Reader, SchemeId, Writer};
use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// Relative rounding error of one operation in double precision.
const ROUNDING: f64 = f64::EPSILON / 2.0;

pub(super) fn check_finite(values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: values[index].to_string(),
            expected: "a finite number".into(),
            hint: "remove or impute missing values first",
        }),
    }
}

/// Bounds of long computations may overflow; they stay at the largest number.
pub(super) fn saturated(bound: f64) -> f64 {
    bound.min(f64::MAX)
}

/// The largest absolute value.
fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Sum of products with the bounds that follow: `sum_i a[i] * b[i]`, each factor given as values (periodic),
/// magnitude and error.
struct Accumulator {
    values: Vec<f64>,
    magnitude: f64,
    error: f64,
    terms: usize,
}

#[derive(Clone, Copy)]
struct Factor<'a> {
    values: &'a [f64],
    magnitude: f64,
    error: f64,
}

impl<'a> From<&'a ClearCiphertext> for Factor<'a> {
    fn from(ct: &'a ClearCiphertext) -> Self {
        Self {
            values: &ct.values,
            magnitude: ct.magnitude,
            error: ct.error,
        }
    }
}

impl<'a> From<&'a ClearPlaintext> for Factor<'a> {
    fn from(plain: &'a ClearPlaintext) -> Self {
        Self {
            values: &plain.values,
            magnitude: plain.magnitude,
            error: 0.0,
        }
    }
}

impl Accumulator {
    fn new(slots: usize) -> Self {
        Self {
            values: vec![0.0; slots],
            magnitude: 0.0,
            error: 0.0,
            terms: 0,
        }
    }

    fn add_product(&mut self, a: Factor<'_>, b: Factor<'_>) {
        let factors = a.values.iter().cycle().zip(b.values.iter().cycle());
        for (out, (x, y)) in self.values.iter_mut().zip(factors) {
            *out += x * y;
        }
        self.magnitude = saturated(self.magnitude + a.magnitude * b.magnitude);
        self.error += a.magnitude * b.error + b.magnitude * a.error + a.error * b.error;
        self.terms += 1;
    }

    fn finish(self, scheme: &ClearScheme, depth: usize) -> ClearCiphertext {
        scheme.note_depth(depth);
        let rounding = ROUNDING * (self.terms + 1) as f64 * (self.magnitude + self.error);
        ClearCiphertext {
            values: self.values,
            depth,
            magnitude: self.magnitude,
            error: saturated(self.error + rounding),
            key: scheme.key_id(),
        }
    }
}

impl ClearScheme {
    pub(super) fn expect_own(&self, operation: &'static str, ct: &ClearCiphertext) -> Result<()> {
        if ct.key != self.key_id() {
            return Err(Error::KeyMismatch {
                operation,
                got: format!("a ciphertext under key {}", ct.key),
                expected: format!("key {}", self.key_id()),
            });
        }
        if ct.values.len() != self.slots() || ct.depth > self.max_depth() {
            return Err(Error::KeyMismatch {
                operation,
                got: format!(
                    "a ciphertext of {} slots and depth {}",
                    ct.values.len(),
                    ct.depth
                ),
                expected: format!(
                    "{} slots and depth at most {}",
                    self.slots(),
                    self.max_depth()
                ),
            });
        }
        Ok(())
    }

    fn expect_relinearization(&self, operation: &'static str) -> Result<()> {
        if self.config.relinearization {
            return Ok(());
        }
        Err(Error::MissingKey {
            operation,
            key: "relinearization key".into(),
        })
    }

    fn rotated(
        &self,
        operation: &'static str,
        ct: &ClearCiphertext,
        step: i64,
    ) -> Result<ClearCiphertext> {
        self.expect_own(operation, ct)?;
        if !self.can_rotate(step) {
            return Err(Error::MissingKey {
                operation,
                key: format!("Galois key for rotation by {step}"),
            });
        }
        let mut out = ct.clone();
        out.values.rotate_left(self.offset(step));
        Ok(out)
    }

    /// Counts the rotations among `steps` that need a key, and notes their keys.
    fn count_rotations(&self, counter: &AtomicU64, steps: &[i64]) {
        let moving = steps
            .iter()
            .map(|&s| self.offset(s))
            .filter(|&offset| offset != 0);
        count(counter, moving.clone().count());
        self.counters.steps().extend(moving);
    }

    fn note_depth(&self, depth: usize) {
        self.counters
            .deepest
            .fetch_max(self.max_depth() - depth, Ordering::Relaxed);
    }

    fn add_signed(
        &self,
        operation: &'static str,
        a: &ClearCiphertext,
        b: &ClearCiphertext,
        sign: f64,
    ) -> Result<ClearCiphertext> {
        self.expect_own(operation, a)?;
        self.expect_own(operation, b)?;
        count(&self.counters.additions, 1);
        let magnitude = saturated(a.magnitude + b.magnitude);
        let error = a.error + b.error;
        Ok(ClearCiphertext {
            values: a
                .values
                .iter()
                .zip(&b.values)
                .map(|(x, y)| x + sign * y)
                .collect(),
            depth: a.depth.min(b.depth),
            magnitude,
            error: saturated(error + ROUNDING * (magnitude + error)),
            key: a.key,
        })
    }
}

impl Scheme for ClearScheme {
    type Value = f64;
    type Ciphertext = ClearCiphertext;

    fn name(&self) -> &'static str {
        "clear"
    }

    fn slots(&self) -> usize {
        self.config.slots
    }

    fn depth(&self, ct: &ClearCiphertext) -> usize {
        ct.depth
    }

    fn max_depth(&self) -> usize {
        self.config.max_depth
    }

    fn lower_to(&self, ct: &ClearCiphertext, depth: usize) -> Result<ClearCiphertext> {
        self.expect_own("lower_to", ct)?;
        if depth > ct.depth {
            return Err(Error::Depth {
                operation: "lower_to",
                needed: depth,
                left: ct.depth,
            });
        }
        self.note_depth(depth);
        Ok(ClearCiphertext {
            depth,
            ..ct.clone()
        })
    }

    fn check(&self, ct: &ClearCiphertext) -> Result<()> {
        self.expect_own("check", ct)
    }
}

impl Add for ClearScheme {
    fn add(&self, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.add_signed("add", a, b, 1.0)
    }

    fn sub(&self, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.add_signed("sub", a, b, -1.0)
    }

    fn negate(&self, a: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.expect_own("negate", a)?;
        Ok(ClearCiphertext {
            values: a.values.iter().map(|x| -x).collect(),
            ..a.clone()
        })
    }
}

impl AddPlain for ClearScheme {
    fn add_plain(&self, ct: &ClearCiphertext, values: &[f64]) -> Result<ClearCiphertext> {
        self.expect_own("add_plain", ct)?;
        check_period("add_plain", values.len(), self.slots())?;
        check_finite(values)?;
        count(&self.counters.additions, 1);
        let magnitude = saturated(ct.magnitude + magnitude(values));
        Ok(ClearCiphertext {
            values: ct
                .values
                .iter()
                .zip(values.iter().cycle())
                .map(|(x, y)| x + y)
                .collect(),
            magnitude,
            error: saturated(ct.error + ROUNDING * (magnitude + ct.error)),
            ..ct.clone()
        })
    }
}

impl MulPlain for ClearScheme {
    type Plaintext = ClearPlaintext;

    fn prepare(&self, values: &[f64], depth: usize) -> Result<ClearPlaintext> {
        check_period("prepare", values.len(), self.slots())?;
        check_finite(values)?;
        if depth == 0 {
            return Err(Error::Depth {
                operation: "prepare",
                needed: 1,
                left: 0,
            });
        }
        if depth > self.max_depth() {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth,
                left: self.max_depth(),
            });
        }
        Ok(ClearPlaintext {
            values: values.to_vec(),
            depth,
            magnitude: magnitude(values),
        })
    }

    fn mul_prepared(
        &self,
        cts: &[&ClearCiphertext],
        plains: &[&ClearPlaintext],
    ) -> Result<ClearCiphertext> {
        let operation = "mul_prepared";
        check_pairs(operation, cts.len(), plains.len())?;
        let depth = plains[0].depth;
        let mut sum = Accumulator::new(self.slots());
        for (&ct, &plain) in cts.iter().zip(plains) {
            self.expect_own(operation, ct)?;
            check_period(operation, plain.values.len(), self.slots())?;
            if plain.depth != depth || ct.depth != depth {
                return Err(Error::Depth {
                    operation,
                    needed: plain.depth.max(depth),
                    left: ct.depth.min(plain.depth),
                });
            }
            sum.add_product(ct.into(), plain.into());
        }
        count(&self.counters.plain_multiplications, cts.len());
        Ok(sum.finish(self, depth - 1))
    }
}

impl Combine for ClearScheme {
    fn combine(
        &self,
        weights: WeightMatrix<'_, f64>,
        cts: &[&ClearCiphertext],
    ) -> Result<Vec<ClearCiphertext>> {
        if cts.len() != weights.cols() {
            return Err(Error::Shape {
                operation: "combine",
                got: format!("{} ciphertexts", cts.len()),
                expected: format!("{}, one for each column of the weights", weights.cols()),
                hint: "pass as many ciphertexts as the weight matrix has columns",
            });
        }
        check_finite(weights.data())?;
        let mut depth = self.max_depth();
        for ct in cts {
            self.expect_own("combine", ct)?;
            depth = depth.min(ct.depth);
        }
        if depth == 0 {
            return Err(Error::Depth {
                operation: "combine",
                needed: 1,
                left: 0,
            });
        }
        count(&self.counters.combines, 1);
        count(&self.counters.combined_products, weights.data().len());
        let combined = (0..weights.rows()).map(|r| {
            let mut sum = Accumulator::new(self.slots());
            for (w, &ct) in weights.row(r).iter().zip(cts) {
                let weight = Factor {
                    values: std::slice::from_ref(w),
                    magnitude: w.abs(),
                    error: 0.0,
                };
                sum.add_product(ct.into(), weight);
            }
            sum.finish(self, depth - 1)
        });
        Ok(combined.collect())
    }
}

impl Mul for ClearScheme {
    fn mul(&self, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.mul_sum_named("mul", &[a], &[b])
    }

    fn square(&self, a: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.mul_sum_named("square", &[a], &[a])
    }

    fn mul_sum(&self, a: &[&ClearCiphertext], b: &[&ClearCiphertext]) -> Result<ClearCiphertext> {
        self.mul_sum_named("mul_sum", a, b)
    }
}

impl ClearScheme {
    fn mul_sum_named(
        &self,
        operation: &'static str,
        a: &[&ClearCiphertext],
        b: &[&ClearCiphertext],
    ) -> Result<ClearCiphertext> {
        check_pairs(operation, a.len(), b.len())?;
        let mut depth = self.max_depth();
        let mut sum = Accumulator::new(self.slots());
        for (&x, &y) in a.iter().zip(b) {
            self.expect_own(operation, x)?;
            self.expect_own(operation, y)?;
            depth = depth.min(x.depth).min(y.depth);
            sum.add_product(x.into(), y.into());
        }
        if depth == 0 {
            return Err(Error::Depth {
                operation,
                needed: 1,
                left: 0,
            });
        }
        self.expect_relinearization(operation)?;
        count(&self.counters.multiplications, a.len());
        count(&self.counters.relinearizations, 1);
        Ok(sum.finish(self, depth - 1))
    }
}

impl Rotate for ClearScheme {
    fn rotate(&self, ct: &ClearCiphertext, step: i64) -> Result<ClearCiphertext> {
        let out = self.rotated("rotate", ct, step)?;
        self.count_rotations(&self.counters.rotations, &[step]);
        Ok(out)
    }

    fn rotate_many(&self, ct: &ClearCiphertext, steps: &[i64]) -> Result<Vec<ClearCiphertext>> {
        let out = steps
            .iter()
            .map(|&s| self.rotated("rotate_many", ct, s))
            .collect::<Result<_>>()?;
        self.count_rotations(&self.counters.hoisted_rotations, steps);
        Ok(out)
    }

    fn rotate_sum(&self, cts: &[&ClearCiphertext], steps: &[i64]) -> Result<ClearCiphertext> {
        check_pairs("rotate_sum", cts.len(), steps.len())?;
        let mut sum = Accumulator::new(self.slots());
        let mut depth = self.max_depth();
        let one = Factor {
            values: &[1.0],
            magnitude: 1.0,
            error: 0.0,
        };
        for (&ct, &step) in cts.iter().zip(steps) {
            let term = self.rotated("rotate_sum", ct, step)?;
            depth = depth.min(term.depth);
            sum.add_product((&term).into(), one);
        }
        self.count_rotations(&self.counters.summed_rotations, steps);
        count(&self.counters.additions, cts.len() - 1);
        Ok(sum.finish(self, depth))
    }

    fn can_rotate(&self, step: i64) -> bool {
        let offset = self.offset(step);
        offset == 0
            || self
                .config
                .rotations
                .as_ref()
                .is_none_or(|held| held.contains(&offset))
    }
}

impl ErrorBound for ClearScheme {
    /// Bound on the rounding of double precision.
    fn error_bound(&self, ct: &ClearCiphertext) -> f64 {
        ct.error
    }

    fn magnitude_bound(&self, ct: &ClearCiphertext) -> f64 {
        ct.magnitude
    }
}

impl Wire for ClearScheme {
    fn write_ciphertext(&self, ct: &ClearCiphertext) -> Vec<u8> {
        let header = Header::new(
            Kind::Ciphertext,
            SchemeId::Clear,
            self.parameter_id(),
            ct.key,
        );
        let mut writer = Writer::with_capacity(24 + 8 * ct.values.len());
        writer.u64(ct.depth as u64);
        writer.f64(ct.magnitude);
        writer.f64(ct.error);
        ct.values.iter().for_each(|&v| writer.f64(v));
        writer.seal(&header)
    }

    fn read_ciphertext(&self, bytes: &[u8]) -> Result<ClearCiphertext> {
        let expected = Expected {
            kind: Kind::Ciphertext,
            scheme: SchemeId::Clear,
            parameters: Some(self.parameter_id()),
            key: Some(self.key_id()),
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("clear ciphertext", payload);
        let depth = reader.u64()?;
        let Some(depth) = usize::try_from(depth)
            .ok()
            .filter(|&d| d <= self.max_depth())
        else {
            return Err(reader.error(
                format!("depth {depth}"),
                format!("at most {}", self.max_depth()),
            ));
        };
        let (magnitude, error) = (reader.f64()?, reader.f64()?);
        if magnitude < 0.0 || error < 0.0 {
            return Err(reader.error(format!("bounds {magnitude} and {error}"), "none negative"));
        }
        if reader.remaining() / 8 != self.slots() {
            return Err(reader.error(
                format!("{} bytes of values", reader.remaining()),
                format!("{} values of 8 bytes", self.slots()),
            ));
        }
        let values = (0..self.slots())
            .map(|_| reader.f64())
            .collect::<Result<_>>()?;
        reader.expect_end()?;
        Ok(ClearCiphertext {
            values,
            depth,
            magnitude,
            error,
            key: header.key,
        })
    }
}
