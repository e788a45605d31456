use super::{Plan, Preference};
use crate::encrypted::{EncryptOptions, EncryptedMatrix, EncryptedVector};
use crate::packing::{MatrixPacking, Order, Tile, VectorPacking};
use crate::shape::{check_dims, check_len};
use cipherblas_scheme::capability::{check_pairs, check_period};
use cipherblas_scheme::clear::Counts;
use cipherblas_scheme::{
    Add, AddPlain, Combine, Error, KeySet, Mul, MulPlain, Result, Rotate, Scheme, WeightMatrix,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An evaluator without values: writes down what it is asked for. See [`Plan::trace`].
#[derive(Clone, Debug)]
pub struct Tracer {
    slots: usize,
    max_depth: usize,
    preference: Preference,
    trace: Arc<Mutex<Trace>>,
}

#[derive(Debug)]
struct Trace {
    keys: KeySet,
    counts: Counts,
    inputs: usize,
    least_depth: usize,
}

/// A ciphertext without a value: its depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCiphertext {
    depth: usize,
}

/// A plaintext without values: its depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedPlaintext {
    depth: usize,
}

impl Tracer {
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
        };
        Ok(Self {
            slots,
            max_depth,
            preference,
            trace: Arc::new(Mutex::new(trace)),
        })
    }

    pub(super) fn plan(&self) -> Plan {
        let trace = self.trace();
        Plan {
            slots: self.slots,
            depth: self.max_depth - trace.least_depth,
            keys: trace.keys.clone(),
            counts: trace.counts,
            inputs: trace.inputs,
        }
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        // Counters stay valid whatever panicked while they were locked.
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inputs(&self, count: usize, depth: Option<usize>) -> Result<Vec<TracedCiphertext>> {
        let depth = depth.unwrap_or(self.max_depth);
        if depth > self.max_depth {
            return Err(Error::Depth {
                operation: "encrypt",
                needed: depth,
                left: self.max_depth,
            });
        }
        self.trace().inputs += count;
        Ok(vec![TracedCiphertext { depth }; count])
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
        let cts = self.inputs(packing.blocks(len), options.depth_given())?;
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
        let cts = self.inputs(packing.blocks(rows, cols), options.depth_given())?;
        EncryptedMatrix::from_ciphertexts(self.clone(), rows, cols, packing, cts)
    }

    /// The result of something that takes a level of `depth`.
    fn spend(&self, operation: &'static str, depth: usize) -> Result<TracedCiphertext> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::Depth {
                operation,
                needed: 1,
                left: 0,
            });
        };
        let mut trace = self.trace();
        trace.least_depth = trace.least_depth.min(depth);
        Ok(TracedCiphertext { depth })
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
        let out = self.spend(operation, depths.fold(self.max_depth, usize::min))?;
        let mut trace = self.trace();
        trace.keys.relinearization = true;
        trace.counts.multiplications += a.len() as u64;
        trace.counts.relinearizations += 1;
        Ok(out)
    }
}

impl Scheme for Tracer {
    type Value = f64;
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
        Ok(TracedCiphertext { depth })
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

impl Add for Tracer {
    fn add(&self, a: &TracedCiphertext, b: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.trace().counts.additions += 1;
        Ok(TracedCiphertext {
            depth: a.depth.min(b.depth),
        })
    }
    fn sub(&self, a: &TracedCiphertext, b: &TracedCiphertext) -> Result<TracedCiphertext> {
        self.add(a, b)
    }
    fn negate(&self, a: &TracedCiphertext) -> Result<TracedCiphertext> {
        Ok(a.clone())
    }
}

impl AddPlain for Tracer {
    fn add_plain(&self, ct: &TracedCiphertext, values: &[f64]) -> Result<TracedCiphertext> {
        check_period("add_plain", values.len(), self.slots)?;
        self.trace().counts.additions += 1;
        Ok(ct.clone())
    }
}

impl MulPlain for Tracer {
    type Plaintext = TracedPlaintext;

    fn prepare(&self, values: &[f64], depth: usize) -> Result<TracedPlaintext> {
        check_period("prepare", values.len(), self.slots)?;
        if depth == 0 || depth > self.max_depth {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth.max(1),
                left: depth.min(self.max_depth),
            });
        }
        Ok(TracedPlaintext { depth })
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
        self.spend(operation, depth)
    }
}

impl Combine for Tracer {
    fn combine(
        &self,
        weights: WeightMatrix<'_, f64>,
        cts: &[&TracedCiphertext],
    ) -> Result<Vec<TracedCiphertext>> {
        check_pairs("combine", weights.cols(), cts.len())?;
        let depth = cts.iter().map(|c| c.depth).fold(self.max_depth, usize::min);
        let out = self.spend("combine", depth)?;
        let mut trace = self.trace();
        trace.counts.combines += 1;
        trace.counts.combined_products += weights.data().len() as u64;
        Ok(vec![out; weights.rows()])
    }
}

impl Mul for Tracer {
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

impl Rotate for Tracer {
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
        Ok(TracedCiphertext {
            depth: cts.iter().map(|c| c.depth).fold(self.max_depth, usize::min),
        })
    }
    /// Whether a kernel that has the choice should use this step.
    fn can_rotate(&self, step: i64) -> bool {
        match self.preference {
            Preference::FewKeys => step == 0 || step.unsigned_abs().is_power_of_two(),
            Preference::Speed => true,
        }
    }
}
