use super::{Plan, Preference};
use crate::encrypted::batch::check_batch;
use crate::encrypted::{
    BatchPacking, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector,
};
use crate::packing::{MatrixPacking, Order, Tile, VectorPacking};
use crate::shape::{check_dims, check_len};
use cipherblas_scheme::capability::{check_pairs, check_period};
use cipherblas_scheme::clear::Counts;
use cipherblas_scheme::{
    Add, AddPlain, Combine, Error, KeySet, Mul, MulPlain, Result, Rotate, Scheme, Value,
    WeightMatrix,
};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An evaluator without values: writes down what it is asked for. See [`Plan::trace`].
///
/// `V` is the type of the values that the real scheme computes with.
#[derive(Debug)]
pub struct Tracer<V = f64> {
    slots: usize,
    max_depth: usize,
    preference: Preference,
    trace: Arc<Mutex<Trace>>,
    values: PhantomData<fn(V) -> V>,
}

// Written out, as a tracer holds no value that would have to be cloned.
impl<V> Clone for Tracer<V> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots,
            max_depth: self.max_depth,
            preference: self.preference,
            trace: self.trace.clone(),
            values: PhantomData,
        }
    }
}

#[derive(Debug)]
struct Trace {
    keys: KeySet,
    counts: Counts,
    inputs: usize,
    least_depth: usize,
    levels: usize,
    magnitude: f64,
}

/// A ciphertext without a value: its depth, the levels that led to it, and a bound on the values.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedCiphertext {
    depth: usize,
    /// Multiplications one after another since the inputs.
    levels: usize,
    /// Infinite if an input declared no bound.
    magnitude: f64,
}

/// A plaintext: its depth, and a bound on the values.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedPlaintext {
    depth: usize,
    magnitude: f64,
}

/// Product of two bounds, one of which may be infinite.
fn times(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

/// Multiplications one after another that led to any of them.
fn longest(cts: &[&TracedCiphertext]) -> usize {
    cts.iter().map(|ct| ct.levels).max().unwrap_or(0)
}

/// The largest absolute value.
fn largest<V: Value>(values: &[V]) -> f64 {
    values.iter().map(|v| v.magnitude()).fold(0.0, f64::max)
}

impl<V: Value> Tracer<V> {
    pub(super) fn new(slots: usize, max_depth: usize, preference: Preference) -> Result<Self> {
        if !slots.is_power_of_two() {
            return Err(Error::Parameter {
                what: "slots",
                got: slots.to_string(),
                expected: "a power of two".into(),
                hint: "pass the slots of the parameters",
            });
        }
        let trace = Trace {
            keys: KeySet::default(),
            counts: Counts::default(),
            inputs: 0,
            least_depth: max_depth,
            levels: 0,
            magnitude: 0.0,
        };
        Ok(Self {
            slots,
            max_depth,
            preference,
            trace: Arc::new(Mutex::new(trace)),
            values: PhantomData,
        })
    }

    pub(super) fn plan(&self) -> Plan {
        let trace = self.trace();
        Plan {
            slots: self.slots,
            depth: self.max_depth - trace.least_depth,
            levels: trace.levels,
            keys: trace.keys.clone(),
            counts: trace.counts,
            inputs: trace.inputs,
            magnitude: trace.magnitude,
        }
    }

    /// Notes a bound on values, and hands back the ciphertext.
    fn made(&self, depth: usize, levels: usize, magnitude: f64) -> TracedCiphertext {
        let mut trace = self.trace();
        trace.magnitude = trace.magnitude.max(magnitude);
        TracedCiphertext {
            depth,
            levels,
            magnitude,
        }
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        // Counters stay valid whatever panicked while they were locked.
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inputs<P>(
        &self,
        count: usize,
        options: &EncryptOptions<P>,
    ) -> Result<Vec<TracedCiphertext>> {
        let depth = options.depth_or(self.max_depth);
        if depth > self.max_depth {
            return Err(Error::Depth {
                operation: "encrypt",
                needed: depth,
                left: self.max_depth,
            });
        }
        self.trace().inputs += count;
        let magnitude = options.bound_given().unwrap_or(f64::INFINITY);
        Ok(vec![self.made(depth, 0, magnitude); count])
    }

    /// An encrypted vector of `len` values that are not known.
    ///
    /// # Errors
    /// As [`EncryptedVector::encrypt_with`].
    pub fn vector(
        &self,
        len: usize,
        options: &EncryptOptions<VectorPacking>,
    ) -> Result<EncryptedVector<Self>> {
        check_len("encrypt", len)?;
        let packing = options.packing_or(|| VectorPacking::periodic(len, self.slots))?;
        packing.check_slots(self.slots)?;
        let cts = self.inputs(packing.blocks(len), options)?;
        EncryptedVector::from_ciphertexts(self.clone(), len, packing, cts)
    }

    /// An encrypted matrix of values that are not known.
    ///
    /// # Errors
    /// As [`EncryptedMatrix::encrypt_with`].
    pub fn matrix(
        &self,
        rows: usize,
        cols: usize,
        options: &EncryptOptions<MatrixPacking>,
    ) -> Result<EncryptedMatrix<Self>> {
        check_dims("encrypt", rows, cols)?;
        let packing = options.packing_or(|| {
            Tile::fit(Order::RowMajor, rows, cols, self.slots).map(MatrixPacking::from)
        })?;
        packing.check_slots(self.slots)?;
        let cts = self.inputs(packing.blocks(rows, cols), options)?;
        EncryptedMatrix::from_ciphertexts(self.clone(), rows, cols, packing, cts)
    }

    /// An encrypted batch of matrices, `(matrices, rows, columns)`, of values that are not known.
    ///
    /// # Errors
    /// As [`EncryptedBatch::encrypt`].
    pub fn batch(
        &self,
        shape: (usize, usize, usize),
        options: &EncryptOptions<BatchPacking>,
    ) -> Result<EncryptedBatch<Self>> {
        check_batch("encrypt", shape)?;
        let (count, rows, cols) = shape;
        let packing = options.packing_or(|| {
            BatchPacking::pair(count, rows, cols, cols, self.slots).map(|(left, _)| left)
        })?;
        packing.check_slots(self.slots)?;
        let cts = self.inputs(packing.blocks(count, rows, cols), options)?;
        EncryptedBatch::from_ciphertexts(self.clone(), shape, packing, cts)
    }

    /// The result of something that takes a level of `depth`, from ciphertexts that took `levels`.
    fn spend(
        &self,
        operation: &'static str,
        depth: usize,
        levels: usize,
        magnitude: f64,
    ) -> Result<TracedCiphertext> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::Depth {
                operation,
                needed: 1,
                left: 0,
            });
        };
        let mut trace = self.trace();
        trace.least_depth = trace.least_depth.min(depth);
        trace.levels = trace.levels.max(levels + 1);
        drop(trace);
        Ok(self.made(depth, levels + 1, magnitude))
    }

    /// Writes down steps; returns how many need a key.
    fn steps(&self, steps: &[i64]) -> u64 {
        let slots = self.slots as i64;
        let moving: Vec<i64> = steps
            .iter()
            .map(|s| s.rem_euclid(slots))
            .filter(|&s| s != 0)
            .map(|s| if 2 * s > slots { s - slots } else { s })
            .collect();
        self.trace().keys.rotations.extend(&moving);
        moving.len() as u64
    }

    fn product(
        &self,
        operation: &'static str,
        a: &[&TracedCiphertext],
        b: &[&TracedCiphertext],
    ) -> Result<TracedCiphertext> {
        check_pairs(operation, a.len(), b.len())?;
        let depths = a.iter().chain(b).map(|ct| ct.depth);
        let levels = longest(a).max(longest(b));
        let magnitude = a
            .iter()
            .zip(b)
            .map(|(x, y)| times(x.magnitude, y.magnitude))
            .sum();
        let out = self.spend(
            operation,
            depths.fold(self.max_depth, usize::min),
            levels,
            magnitude,
        )?;
        let mut trace = self.trace();
        trace.keys.relinearization = true;
        trace.counts.multiplications += a.len() as u64;
        trace.counts.relinearizations += 1;
        Ok(out)
    }
}

impl<V: Value> Scheme for Tracer<V> {
    type Value = V;
    type Ciphertext = TracedCiphertext;

    fn name(&self) -> &'static str {
        "plan"
    }
    fn slots(&self) -> usize {
        self.slots
    }
    fn depth(&self, ct: &TracedCiphertext) -> usize {
        ct.depth
    }
    fn max_depth(&self) -> usize {
        self.max_depth
    }
    fn lower_to(&self, ct: &TracedCiphertext, depth: usize) -> Result<TracedCiphertext> {
        if depth > ct.depth {
            return Err(Error::Depth {
                operation: "lower_to",
                needed: depth,
                left: ct.depth,
            });
        }
        Ok(TracedCiphertext {
            depth,
            ..ct.clone()
        })
    }
    fn check(&self, ct: &TracedCiphertext) -> Result<()> {
        if ct.depth > self.max_depth {
            return Err(Error::KeyMismatch {
                operation: "check",
                got: format!("a ciphertext of depth {}", ct.depth),
                expected: format!("depth at most {}", self.max_depth),
            });
        }
        Ok(())
    }
}

impl<V: Value> Add for Tracer<V> {
    fn add(&self, a: &TracedCiphertext, b: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.trace().counts.additions += 1;
        Ok(self.made(
            a.depth.min(b.depth),
            a.levels.max(b.levels),
            a.magnitude + b.magnitude,
        ))
    }
    fn sub(&self, a: &TracedCiphertext, b: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.add(a, b)
    }
    fn negate(&self, a: &TracedCiphertext) -> Result<TracedCiphertext> {
        Ok(a.clone())
    }
}

impl<V: Value> AddPlain for Tracer<V> {
    fn add_plain(&self, ct: &TracedCiphertext, values: &[V]) -> Result<TracedCiphertext> {
        check_period("add_plain", values.len(), self.slots)?;
        self.trace().counts.additions += 1;
        Ok(self.made(ct.depth, ct.levels, ct.magnitude + largest(values)))
    }
}

impl<V: Value> MulPlain for Tracer<V> {
    type Plaintext = TracedPlaintext;

    fn prepare(&self, values: &[V], depth: usize) -> Result<TracedPlaintext> {
        check_period("prepare", values.len(), self.slots)?;
        if depth == 0 || depth > self.max_depth {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth.max(1),
                left: depth.min(self.max_depth),
            });
        }
        Ok(TracedPlaintext {
            depth,
            magnitude: largest(values),
        })
    }
    fn mul_prepared(
        &self,
        cts: &[&TracedCiphertext],
        plains: &[&TracedPlaintext],
    ) -> Result<TracedCiphertext> {
        let operation = "mul_prepared";
        check_pairs(operation, cts.len(), plains.len())?;
        let depth = plains[0].depth;
        let mut all = cts
            .iter()
            .map(|c| c.depth)
            .chain(plains.iter().map(|p| p.depth));
        if let Some(other) = all.find(|&d| d != depth) {
            return Err(Error::Depth {
                operation,
                needed: depth.max(other),
                left: depth.min(other),
            });
        }
        self.trace().counts.plain_multiplications += cts.len() as u64;
        let magnitude = cts
            .iter()
            .zip(plains)
            .map(|(c, p)| times(c.magnitude, p.magnitude))
            .sum();
        self.spend(operation, depth, longest(cts), magnitude)
    }
}

impl<V: Value> Combine for Tracer<V> {
    fn combine(
        &self,
        weights: WeightMatrix<'_, V>,
        cts: &[&TracedCiphertext],
    ) -> Result<Vec<TracedCiphertext>> {
        check_pairs("combine", weights.cols(), cts.len())?;
        let depth = cts.iter().map(|c| c.depth).fold(self.max_depth, usize::min);
        let out = (0..weights.rows())
            .map(|r| {
                let terms = weights.row(r).iter().zip(cts);
                let magnitude = terms
                    .map(|(w, ct)| times(w.magnitude(), ct.magnitude))
                    .sum();
                self.spend("combine", depth, longest(cts), magnitude)
            })
            .collect::<Result<_>>()?;
        let mut trace = self.trace();
        trace.counts.combines += 1;
        trace.counts.combined_products += weights.data().len() as u64;
        Ok(out)
    }
}

impl<V: Value> Mul for Tracer<V> {
    fn mul(&self, a: &TracedCiphertext, b: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.product("mul", &[a], &[b])
    }
    fn square(&self, a: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.product("square", &[a], &[a])
    }
    fn mul_sum(
        &self,
        a: &[&TracedCiphertext],
        b: &[&TracedCiphertext],
    ) -> Result<TracedCiphertext> {
        self.product("mul_sum", a, b)
    }
}

impl<V: Value> Rotate for Tracer<V> {
    fn rotate(&self, ct: &TracedCiphertext, step: i64) -> Result<TracedCiphertext> {
        let n = self.steps(&[step]);
        self.trace().counts.rotations += n;
        Ok(ct.clone())
    }
    fn rotate_many(&self, ct: &TracedCiphertext, steps: &[i64]) -> Result<Vec<TracedCiphertext>> {
        let n = self.steps(steps);
        self.trace().counts.hoisted_rotations += n;
        Ok(vec![ct.clone(); steps.len()])
    }
    fn rotate_sum(&self, cts: &[&TracedCiphertext], steps: &[i64]) -> Result<TracedCiphertext> {
        check_pairs("rotate_sum", cts.len(), steps.len())?;
        let n = self.steps(steps);
        let mut trace = self.trace();
        trace.counts.summed_rotations += n;
        trace.counts.additions += cts.len() as u64 - 1;
        drop(trace);
        let depth = cts.iter().map(|c| c.depth).fold(self.max_depth, usize::min);
        let magnitude = cts.iter().map(|c| c.magnitude).sum();
        Ok(self.made(depth, longest(cts), magnitude))
    }
    /// Whether a kernel that has the choice should use this step.
    fn can_rotate(&self, step: i64) -> bool {
        match self.preference {
            Preference::FewKeys => step == 0 || step.unsigned_abs().is_power_of_two(),
            Preference::Speed => true,
        }
    }
}
