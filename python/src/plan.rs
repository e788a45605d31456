//! What a computation needs, found by running it on arrays that hold no values.

use crate::array::{AnyArray, Array, Packing, only_sums};
use crate::error::OrRaise;
use crate::params::{AnyParams, Params};
use cipherblas::linalg::array::{ArrayOptions, ArrayPacking, EncryptedArray};
use cipherblas::linalg::plan::{Machine, Plan as Inner, Preference, Tracer};
use cipherblas::scheme::{Error, KeySet, Result, Value};
use pyo3::prelude::*;
use std::collections::BTreeSet;

/// An input of a plan: shape, packing, depth, declared bound.
#[derive(FromPyObject)]
pub(crate) struct Input {
    shape: Vec<usize>,
    packing: Option<Py<Packing>>,
    depth: Option<usize>,
    bound: Option<f64>,
}

impl Input {
    fn options(&self, default: ArrayPacking) -> ArrayOptions {
        let packing = self.packing.as_ref().map_or(default, |p| p.get().inner);
        let mut options = ArrayOptions::new().packing(packing);
        if let Some(depth) = self.depth {
            options = options.depth(depth);
        }
        if let Some(bound) = self.bound {
            options = options.bound(bound);
        }
        options
    }
}

/// Depth, keys and operations of a computation.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Plan {
    inner: Inner,
    params: AnyParams,
}

/// Runs `computation(arrays)` on arrays without values, and writes down what it asks for. With `depth`, over so much depth in
/// place of that of the parameters.
#[pyfunction]
#[pyo3(signature = (params, inputs, computation, depth = None))]
pub(crate) fn trace(
    py: Python<'_>,
    params: &Params,
    inputs: Vec<Input>,
    computation: &Bound<'_, PyAny>,
    depth: Option<usize>,
) -> PyResult<Plan> {
    let any = &params.inner;
    let (slots, depth) = (any.slots(), depth.unwrap_or(any.depth()));
    // What the computation itself raises goes to the caller as it is.
    let mut raised = None;
    let mut call = |arrays: Vec<Array>| -> Result<()> {
        let outcome = computation.call1((arrays,)).map(drop);
        outcome.map_err(|error| {
            raised = Some(error);
            Error::Interrupted
        })
    };
    let plan = match any {
        AnyParams::Ckks(_) => traced(slots, depth, |t| {
            call(arrays(t, &inputs, ArrayPacking::Auto, |a| {
                Ok(AnyArray::PlannedReal(a))
            })?)
        }),
        AnyParams::Bfv(_) => traced(slots, depth, |t| {
            call(arrays(t, &inputs, ArrayPacking::Auto, |a| {
                Ok(AnyArray::PlannedInteger(a))
            })?)
        }),
        AnyParams::Paillier(_) => traced(slots, depth, |t| {
            call(arrays(t, &inputs, ArrayPacking::Spread, |a| {
                only_sums(&a).map(AnyArray::PlannedSums)
            })?)
        }),
    };
    if let Some(error) = raised {
        return Err(error);
    }
    Ok(Plan {
        inner: plan.or_raise(py)?,
        params: any.clone(),
    })
}

fn traced<V: Value>(
    slots: usize,
    depth: usize,
    run: impl FnOnce(&Tracer<V>) -> Result<()>,
) -> Result<Inner> {
    Inner::trace_over(Preference::FewKeys, slots, depth, run)
}

fn arrays<V: Value>(
    tracer: &Tracer<V>,
    inputs: &[Input],
    packing: ArrayPacking,
    wrap: impl Fn(EncryptedArray<Tracer<V>>) -> Result<AnyArray>,
) -> Result<Vec<Array>> {
    inputs
        .iter()
        .map(|input| {
            let array = EncryptedArray::traced(tracer, &input.shape, &input.options(packing))?;
            wrap(array).map(Array::from)
        })
        .collect()
}

#[pymethods]
impl Plan {
    #[getter]
    fn depth(&self) -> usize {
        self.inner.levels()
    }
    #[getter]
    fn input_ciphertexts(&self) -> usize {
        self.inner.input_ciphertexts()
    }
    #[getter]
    fn relinearization(&self) -> bool {
        self.inner.keys().relinearization
    }
    #[getter]
    fn rotations(&self) -> BTreeSet<i64> {
        self.inner.keys().rotations.clone()
    }
    /// Bytes on the wire of the keys.
    #[getter]
    fn key_bytes(&self) -> usize {
        self.params.keys_wire_bytes(self.inner.keys())
    }
    /// Bytes in memory of the input ciphertexts.
    #[getter]
    fn input_bytes(&self) -> usize {
        self.inner.input_ciphertexts() * self.params.ciphertext_bytes()
    }
    /// Bound on everything on the way, if the inputs declared theirs.
    #[getter]
    fn magnitude(&self) -> Option<f64> {
        self.inner.magnitude()
    }
    /// How often each operation is done.
    #[getter]
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let c = self.inner.counts();
        vec![
            ("additions", c.additions),
            ("plain multiplications", c.plain_multiplications),
            ("multiplications", c.multiplications),
            ("relinearizations", c.relinearizations),
            ("rotations", c.rotations),
            ("hoisted rotations", c.hoisted_rotations),
            ("summed rotations", c.summed_rotations),
            ("combined products", c.combined_products),
        ]
    }
    /// Estimated seconds of each kind of operation on one thread of a typical processor; none under Paillier.
    #[getter]
    fn seconds(&self) -> Option<Vec<(&'static str, f64)>> {
        if matches!(self.params, AnyParams::Paillier(_)) {
            return None;
        }
        let costs = Machine::REFERENCE.costs(self.params.ciphertext_bytes());
        Some(self.inner.breakdown(&costs))
    }
}

/// The keys of all steps that are powers of two, in both directions, below `width`: every other step is put together from them.
#[pyfunction]
pub(crate) fn rotations_of_powers_of_two(width: usize) -> BTreeSet<i64> {
    KeySet::powers_of_two(width.next_power_of_two()).rotations
}
