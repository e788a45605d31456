//! Encrypted arrays of every scheme behind one class.

use crate::convert::{Number, Plain};
use crate::error::{raise, unsupported};
use crate::keys::{AnyEvaluator, EvaluationKeys};
use crate::run::{Job, long, short, threads};
use cipherblas::linalg::array::{ArrayPacking, Computes, EncryptedArray, Fill, Index};
use cipherblas::linalg::plan::Tracer;
use cipherblas::linalg::{EncryptedMatrix, EncryptedVector, PlainMatrix};
use cipherblas::scheme::guard::{Guarded, Watch};
use cipherblas::scheme::{AdditiveOnly, Error, ErrorBound, Result, Scheme, Wire};
use cipherblas::{bfv, ckks, paillier};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

pub(crate) type Ckks = Guarded<ckks::Evaluator>;
pub(crate) type Bfv = Guarded<bfv::Evaluator>;
pub(crate) type Paillier = Guarded<AdditiveOnly<paillier::Evaluator>>;

/// An array of any scheme, or one of a plan, which holds no values.
#[derive(Clone)]
pub(crate) enum AnyArray {
    Ckks(EncryptedArray<Ckks>),
    Bfv(EncryptedArray<Bfv>),
    Paillier(EncryptedArray<Paillier>),
    PlannedReal(EncryptedArray<Tracer<f64>>),
    PlannedInteger(EncryptedArray<Tracer<i64>>),
    PlannedSums(EncryptedArray<AdditiveOnly<Tracer<f64>>>),
}

/// The same expression for whichever array there is.
macro_rules! each {
    ($array:expr, $a:ident => $body:expr) => {
        match $array {
            AnyArray::Ckks($a) => $body,
            AnyArray::Bfv($a) => $body,
            AnyArray::Paillier($a) => $body,
            AnyArray::PlannedReal($a) => $body,
            AnyArray::PlannedInteger($a) => $body,
            AnyArray::PlannedSums($a) => $body,
        }
    };
}

/// The same, where the result is an array of the same scheme.
macro_rules! map {
    ($array:expr, $a:ident => $body:expr) => {
        match $array {
            AnyArray::Ckks($a) => AnyArray::Ckks($body),
            AnyArray::Bfv($a) => AnyArray::Bfv($body),
            AnyArray::Paillier($a) => AnyArray::Paillier($body),
            AnyArray::PlannedReal($a) => AnyArray::PlannedReal($body),
            AnyArray::PlannedInteger($a) => AnyArray::PlannedInteger($body),
            AnyArray::PlannedSums($a) => AnyArray::PlannedSums($body),
        }
    };
}

/// An evaluator that can be put under a watch; one that computes nothing is as it is.
pub(crate) trait Watched: Computes {
    fn under(&self, watch: &Arc<Watch>) -> Self;
}

impl<S: Computes> Watched for Guarded<S>
where
    Guarded<S>: Computes,
{
    fn under(&self, watch: &Arc<Watch>) -> Self {
        self.with_watch(Arc::clone(watch))
    }
}

impl Watched for Tracer<f64> {
    fn under(&self, _: &Arc<Watch>) -> Self {
        self.clone()
    }
}

impl Watched for Tracer<i64> {
    fn under(&self, _: &Arc<Watch>) -> Self {
        self.clone()
    }
}

impl Watched for AdditiveOnly<Tracer<f64>> {
    fn under(&self, _: &Arc<Watch>) -> Self {
        self.clone()
    }
}

/// What an operation takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// A pass over the ciphertexts, encoding of plain values included.
    Pass,
    /// Serialization: fresh memory, to which a second thread adds nothing (measured).
    Bytes,
    /// Products of ciphertexts, rotations.
    Heavy,
}

impl Effort {
    /// Whether handing over to other threads would cost more than it brings.
    fn is_short(self, ciphertexts: usize) -> bool {
        const SOME: usize = 64;
        match self {
            Self::Pass => ciphertexts == 1 || (threads() == 1 && ciphertexts <= SOME),
            Self::Bytes => ciphertexts <= SOME,
            Self::Heavy => false,
        }
    }
}

/// Runs `work` on the arrays, stoppable if it takes long.
fn compute<S: Watched, T: Send, const N: usize>(
    py: Python<'_>,
    effort: Effort,
    progress: Option<Py<PyAny>>,
    arrays: [&EncryptedArray<S>; N],
    work: impl FnOnce([&EncryptedArray<S>; N]) -> Result<T> + Send,
    settle: impl FnOnce(T, &S) -> Result<T> + Send,
) -> PyResult<T> {
    let ciphertexts = arrays
        .iter()
        .map(|a| a.ciphertexts().len())
        .max()
        .unwrap_or(1);
    if effort.is_short(ciphertexts) {
        return short(py, || work(arrays));
    }
    let job = Job::new(progress, None);
    let watch = &job.watch;
    long(py, &job, || {
        let watched: Vec<EncryptedArray<S>> = arrays
            .iter()
            .map(|a| (*a).clone().bind(&a.evaluator().under(watch)))
            .collect::<Result<_>>()?;
        let all: [&EncryptedArray<S>; N] = std::array::from_fn(|k| &watched[k]);
        settle(work(all)?, arrays[0].evaluator())
    })
}

/// As [`compute`], where the result is an array: it goes back to the evaluator of the first operand.
fn computed<S: Watched, const N: usize>(
    py: Python<'_>,
    effort: Effort,
    progress: Option<Py<PyAny>>,
    arrays: [&EncryptedArray<S>; N],
    work: impl FnOnce([&EncryptedArray<S>; N]) -> Result<EncryptedArray<S>> + Send,
) -> PyResult<EncryptedArray<S>> {
    compute(py, effort, progress, arrays, work, |result, evaluator| {
        result.bind(evaluator)
    })
}

/// Operations with a plain operand.
#[derive(Clone, Copy)]
enum Mixed {
    Add,
    Sub,
    ReverseSub,
    Mul,
    Matmul,
    ReverseMatmul,
}

fn mixed<S: Watched>(
    py: Python<'_>,
    operation: Mixed,
    progress: Option<Py<PyAny>>,
    array: &EncryptedArray<S>,
    plain: &Plain<'_>,
) -> PyResult<EncryptedArray<S>>
where
    S::Value: Number,
{
    let view = plain.view::<S::Value>()?;
    let effort = match operation {
        // Growing to the other's shape moves values.
        Mixed::Add | Mixed::Sub | Mixed::ReverseSub | Mixed::Mul if view.len() <= array.len() => {
            Effort::Pass
        }
        _ => Effort::Heavy,
    };
    computed(py, effort, progress, [array], |[a]| {
        let plain = view.array()?;
        match operation {
            Mixed::Add => a.add_plain(&plain),
            Mixed::Sub => a.sub_plain(&plain),
            Mixed::ReverseSub => a.rsub_plain(&plain),
            Mixed::Mul => a.mul_plain(&plain),
            Mixed::Matmul => a.matmul_plain(&plain),
            Mixed::ReverseMatmul => a.plain_matmul(&plain),
        }
    })
}

/// Operations of two encrypted operands.
#[derive(Clone, Copy)]
enum Both {
    Add,
    Sub,
    Mul,
    Matmul,
}

fn both<S: Watched>(
    py: Python<'_>,
    operation: Both,
    progress: Option<Py<PyAny>>,
    a: &EncryptedArray<S>,
    b: &EncryptedArray<S>,
) -> PyResult<EncryptedArray<S>> {
    let effort = match operation {
        Both::Add | Both::Sub if a.shape() == b.shape() => Effort::Pass,
        _ => Effort::Heavy,
    };
    computed(py, effort, progress, [a, b], |[a, b]| match operation {
        Both::Add => a.add(b),
        Both::Sub => a.sub(b),
        Both::Mul => a.mul(b),
        Both::Matmul => a.matmul(b),
    })
}

/// Where values lie in ciphertexts.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Packing {
    pub(crate) inner: ArrayPacking,
}

#[pymethods]
impl Packing {
    #[staticmethod]
    fn named(name: &str) -> PyResult<Self> {
        let inner = match name {
            "auto" => ArrayPacking::Auto,
            "spread" => ArrayPacking::Spread,
            "rows" => ArrayPacking::Rows,
            "columns" => ArrayPacking::Columns,
            "diagonal" => ArrayPacking::Diagonal,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "packing: got {name:?}, expected \"auto\", \"spread\", \"rows\", \"columns\" or \"diagonal\""
                )));
            }
        };
        Ok(Self { inner })
    }
    /// Ready to be the left factor of a small product whose right factor has `columns` columns.
    #[staticmethod]
    fn left(columns: usize) -> Self {
        Self {
            inner: ArrayPacking::Left(columns),
        }
    }
    /// Ready to be the right factor of a small product whose left factor has `rows` rows.
    #[staticmethod]
    fn right(rows: usize) -> Self {
        Self {
            inner: ArrayPacking::Right(rows),
        }
    }
    /// Of a vector that is multiplied with a plain `rows` x `columns` matrix on its right.
    #[staticmethod]
    fn vector_times_matrix(
        py: Python<'_>,
        rows: usize,
        columns: usize,
        slots: usize,
    ) -> PyResult<Self> {
        let packing = rows
            .checked_mul(columns)
            .ok_or_else(|| PyValueError::new_err("the matrix is too large"))
            .and_then(|_| {
                // Only the dimensions count.
                PlainMatrix::<f64>::input_packing_for(columns, rows, slots)
                    .map_err(|error| raise(py, &error))
            })?;
        Ok(Self {
            inner: ArrayPacking::Vector(packing),
        })
    }
    fn __repr__(&self) -> String {
        format!("{:?}", self.inner)
    }
    fn __eq__(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

/// An encrypted array of 0 to 2 dimensions.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Array {
    pub(crate) inner: AnyArray,
    /// Whether it, or what it was computed from, came as bytes: its bounds are the word of whoever sent them.
    pub(crate) received: bool,
}

impl From<AnyArray> for Array {
    fn from(inner: AnyArray) -> Self {
        Self {
            inner,
            received: false,
        }
    }
}

impl Array {
    pub(crate) fn received(inner: AnyArray) -> Self {
        Self {
            inner,
            received: true,
        }
    }
    /// What was computed from this array.
    pub(crate) fn derived(&self, inner: AnyArray) -> Self {
        Self {
            inner,
            received: self.received,
        }
    }
}

impl AnyArray {
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Ckks(_) | Self::PlannedReal(_) => "ckks",
            Self::Bfv(_) | Self::PlannedInteger(_) => "bfv",
            Self::Paillier(_) | Self::PlannedSums(_) => "paillier",
        }
    }
    fn is_planned(&self) -> bool {
        matches!(
            self,
            Self::PlannedReal(_) | Self::PlannedInteger(_) | Self::PlannedSums(_)
        )
    }
    fn with(
        &self,
        py: Python<'_>,
        operation: Mixed,
        plain: &Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(map!(self, a => mixed(py, operation, progress, a, plain)?))
    }
    fn and(
        &self,
        py: Python<'_>,
        operation: Both,
        other: &Self,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(match (self, other) {
            (Self::Ckks(a), Self::Ckks(b)) => Self::Ckks(both(py, operation, progress, a, b)?),
            (Self::Bfv(a), Self::Bfv(b)) => Self::Bfv(both(py, operation, progress, a, b)?),
            (Self::Paillier(a), Self::Paillier(b)) => {
                Self::Paillier(both(py, operation, progress, a, b)?)
            }
            (Self::PlannedReal(a), Self::PlannedReal(b)) => {
                Self::PlannedReal(both(py, operation, progress, a, b)?)
            }
            (Self::PlannedInteger(a), Self::PlannedInteger(b)) => {
                Self::PlannedInteger(both(py, operation, progress, a, b)?)
            }
            (Self::PlannedSums(a), Self::PlannedSums(b)) => {
                Self::PlannedSums(both(py, operation, progress, a, b)?)
            }
            _ => return Err(two_kinds(py, self, other)),
        })
    }
}

fn two_kinds(py: Python<'_>, a: &AnyArray, b: &AnyArray) -> PyErr {
    let name = |array: &AnyArray| match array.is_planned() {
        true => format!("an array of a plan ({})", array.scheme()),
        false => format!("an array under {}", array.scheme()),
    };
    raise(
        py,
        &Error::KeyMismatch {
            operation: "an operation of two arrays",
            got: format!("{} and {}", name(a), name(b)),
            expected: "two arrays under one key".into(),
        },
    )
}

/// An index along one axis: `(start, length, step)`; without a length the axis goes.
type Along = (usize, Option<usize>, isize);

/// The bytes of an array, written where `place` makes room for them while the interpreter's lock is held.
fn wire<S: Watched + Wire, T: Send>(
    py: Python<'_>,
    array: &EncryptedArray<S>,
    place: impl Fn(Python<'_>, usize, &mut Fill<'_>) -> PyResult<T> + Sync,
) -> PyResult<T> {
    let mut failed = None;
    let refused = &mut failed;
    let written = compute(
        py,
        Effort::Bytes,
        None,
        [array],
        |[a]| {
            a.to_bytes_in(&mut |bytes, fill| {
                Python::attach(|py| place(py, bytes, fill)).map_err(|error| {
                    *refused = Some(error);
                    Error::Interrupted
                })
            })
        },
        |bytes, _| Ok(bytes),
    );
    match failed {
        Some(error) => Err(error),
        None => written,
    }
}

fn new_bytes(py: Python<'_>, len: usize, fill: &mut Fill<'_>) -> PyResult<Py<PyBytes>> {
    PyBytes::new_with(py, len, |out| {
        py.detach(|| fill(out));
        Ok(())
    })
    .map(Bound::unbind)
}

fn new_buffer(py: Python<'_>, len: usize, fill: &mut Fill<'_>) -> PyResult<Py<PyArray1<u8>>> {
    let mut out = vec![0; len];
    py.detach(|| fill(&mut out));
    Ok(PyArray1::from_vec(py, out).unbind())
}

#[pymethods]
impl Array {
    #[getter]
    fn shape(&self) -> Vec<usize> {
        each!(&self.inner, a => a.shape())
    }
    #[getter]
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }
    /// Whether it belongs to a plan: no values, no key.
    #[getter]
    fn planned(&self) -> bool {
        self.inner.is_planned()
    }
    #[getter]
    fn depth(&self) -> usize {
        each!(&self.inner, a => a.depth())
    }
    #[getter]
    fn key_id(&self) -> Option<String> {
        match &self.inner {
            AnyArray::Ckks(a) => Some(a.evaluator().inner().key_id().to_string()),
            AnyArray::Bfv(a) => Some(a.evaluator().inner().key_id().to_string()),
            AnyArray::Paillier(a) => Some(a.evaluator().inner().inner().key_id().to_string()),
            _ => None,
        }
    }
    /// Whether it carries what computations need: evaluation keys, or a scheme that needs none.
    #[getter]
    fn bound(&self) -> bool {
        match &self.inner {
            AnyArray::Ckks(a) => a.evaluator().inner().keys().is_some(),
            AnyArray::Bfv(a) => a.evaluator().inner().keys().is_some(),
            _ => true,
        }
    }
    #[getter]
    fn ciphertexts(&self) -> usize {
        each!(&self.inner, a => a.ciphertexts().len())
    }
    #[getter]
    fn nbytes(&self) -> usize {
        match &self.inner {
            AnyArray::Ckks(a) => a.ciphertexts().map(ckks::Ciphertext::memory_bytes).sum(),
            AnyArray::Bfv(a) => a.ciphertexts().map(bfv::Ciphertext::memory_bytes).sum(),
            AnyArray::Paillier(a) => {
                a.ciphertexts().len() * a.evaluator().inner().inner().params().ciphertext_bytes()
            }
            _ => 0,
        }
    }
    /// Bound on the absolute error of every value; none in a plan.
    #[getter]
    fn error_bound(&self) -> Option<f64> {
        self.bound_on_error()
    }
    /// Whether its bounds are the word of whoever sent it, or what it was computed from.
    #[getter]
    fn was_received(&self) -> bool {
        self.received
    }
    /// Bound on the absolute values, as declared at encryption and carried along; none in a plan.
    #[getter]
    fn magnitude_bound(&self) -> Option<f64> {
        fn largest<S: ErrorBound>(array: &EncryptedArray<S>) -> f64 {
            array
                .ciphertexts()
                .map(|ct| array.evaluator().magnitude_bound(ct))
                .fold(0.0, f64::max)
        }
        match &self.inner {
            AnyArray::Ckks(a) => Some(largest(a)),
            AnyArray::Bfv(a) => Some(largest(a)),
            AnyArray::Paillier(a) => Some(largest(a)),
            _ => None,
        }
    }
    #[getter]
    fn packing(&self) -> Packing {
        let inner = each!(&self.inner, a => match a.as_matrix() {
            Some(matrix) => ArrayPacking::Matrix(matrix.packing()),
            None => a.as_vector().map_or(ArrayPacking::Auto, |v| ArrayPacking::Vector(v.packing())),
        });
        Packing { inner }
    }
    /// The packing of a vector with one value for each row, aligned with this matrix.
    #[getter]
    fn row_packing(&self) -> Option<Packing> {
        each!(&self.inner, a => a.as_matrix().map(|m| Packing { inner: ArrayPacking::Vector(m.row_packing()) }))
    }
    /// The packing of a vector with one value for each column, aligned with this matrix.
    #[getter]
    fn column_packing(&self) -> Option<Packing> {
        each!(&self.inner, a => a.as_matrix().map(|m| Packing { inner: ArrayPacking::Vector(m.column_packing()) }))
    }

    fn bind(&self, py: Python<'_>, keys: &EvaluationKeys) -> PyResult<Self> {
        let inner = match (&self.inner, &keys.evaluator) {
            (AnyArray::Ckks(a), AnyEvaluator::Ckks(e)) => a.clone().bind(e).map(AnyArray::Ckks),
            (AnyArray::Bfv(a), AnyEvaluator::Bfv(e)) => a.clone().bind(e).map(AnyArray::Bfv),
            (AnyArray::Paillier(a), AnyEvaluator::Paillier(e)) => {
                a.clone().bind(e).map(AnyArray::Paillier)
            }
            (array, evaluator) => Err(Error::KeyMismatch {
                operation: "bind",
                got: format!("an array under {}", array.scheme()),
                expected: format!("one under {}", evaluator.params().name()),
            }),
        };
        inner
            .map(|inner| Self {
                inner,
                received: self.received || keys.received,
            })
            .map_err(|error| raise(py, &error))
    }

    fn add(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.and(py, Both::Add, other, None)
    }
    fn sub(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.and(py, Both::Sub, other, None)
    }
    #[pyo3(signature = (other, progress=None))]
    fn mul(&self, py: Python<'_>, other: &Self, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        self.and(py, Both::Mul, other, progress)
    }
    #[pyo3(signature = (other, progress=None))]
    fn matmul(&self, py: Python<'_>, other: &Self, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        self.and(py, Both::Matmul, other, progress)
    }
    fn add_plain(&self, py: Python<'_>, plain: Plain<'_>) -> PyResult<Self> {
        self.with(py, Mixed::Add, &plain, None)
    }
    fn sub_plain(&self, py: Python<'_>, plain: Plain<'_>) -> PyResult<Self> {
        self.with(py, Mixed::Sub, &plain, None)
    }
    fn rsub_plain(&self, py: Python<'_>, plain: Plain<'_>) -> PyResult<Self> {
        self.with(py, Mixed::ReverseSub, &plain, None)
    }
    #[pyo3(signature = (plain, progress=None))]
    fn mul_plain(
        &self,
        py: Python<'_>,
        plain: Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        self.with(py, Mixed::Mul, &plain, progress)
    }
    #[pyo3(signature = (plain, progress=None))]
    fn matmul_plain(
        &self,
        py: Python<'_>,
        plain: Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        self.with(py, Mixed::Matmul, &plain, progress)
    }
    #[pyo3(signature = (plain, progress=None))]
    fn plain_matmul(
        &self,
        py: Python<'_>,
        plain: Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        self.with(py, Mixed::ReverseMatmul, &plain, progress)
    }
    fn neg(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(self
            .derived(map!(&self.inner, a => computed(py, Effort::Pass, None, [a], |[a]| a.neg())?)))
    }
    #[pyo3(signature = (progress=None))]
    fn square(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        Ok(self.derived(
            map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.square())?),
        ))
    }
    #[pyo3(signature = (exponent, progress=None))]
    fn power(&self, py: Python<'_>, exponent: u32, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        Ok(self.derived(map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.power(exponent))?)))
    }
    #[pyo3(signature = (coefficients, progress=None))]
    fn polynomial(
        &self,
        py: Python<'_>,
        coefficients: Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        fn evaluate<S: Watched>(
            py: Python<'_>,
            array: &EncryptedArray<S>,
            coefficients: &Plain<'_>,
            progress: Option<Py<PyAny>>,
        ) -> PyResult<EncryptedArray<S>>
        where
            S::Value: Number,
        {
            let view = coefficients.view::<S::Value>()?;
            computed(py, Effort::Heavy, progress, [array], |[a]| {
                a.polynomial(view.data())
            })
        }
        Ok(self.derived(map!(&self.inner, a => evaluate(py, a, &coefficients, progress)?)))
    }
    #[pyo3(signature = (axis=None, progress=None))]
    fn sum(
        &self,
        py: Python<'_>,
        axis: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(self.derived(
            map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.sum(axis))?),
        ))
    }
    #[pyo3(signature = (axis=None, progress=None))]
    fn mean(
        &self,
        py: Python<'_>,
        axis: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        fn mean<S: Watched + Scheme<Value = f64>>(
            py: Python<'_>,
            array: &EncryptedArray<S>,
            axis: Option<usize>,
            progress: Option<Py<PyAny>>,
        ) -> PyResult<EncryptedArray<S>> {
            computed(py, Effort::Heavy, progress, [array], |[a]| a.mean(axis))
        }
        let inner = match &self.inner {
            AnyArray::Ckks(a) => AnyArray::Ckks(mean(py, a, axis, progress)?),
            AnyArray::Paillier(a) => AnyArray::Paillier(mean(py, a, axis, progress)?),
            AnyArray::PlannedReal(a) => AnyArray::PlannedReal(mean(py, a, axis, progress)?),
            AnyArray::PlannedSums(a) => AnyArray::PlannedSums(mean(py, a, axis, progress)?),
            AnyArray::Bfv(_) | AnyArray::PlannedInteger(_) => {
                let hint = "integers have no fractions: use `sum`, and divide what was decrypted";
                return Err(unsupported(py, "bfv", "mean", hint));
            }
        };
        Ok(self.derived(inner))
    }
    fn transpose(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(self.derived(map!(&self.inner, a => short(py, || a.transpose())?)))
    }
    #[pyo3(signature = (index, progress=None))]
    fn slice(
        &self,
        py: Python<'_>,
        index: Vec<Along>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let index: Vec<Index> = index
            .into_iter()
            .map(|(start, len, step)| match len {
                None => Index::At(start),
                Some(len) => Index::Range { start, len, step },
            })
            .collect();
        Ok(self.derived(
            map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.slice(&index))?),
        ))
    }
    #[pyo3(signature = (shape, progress=None))]
    fn reshape(
        &self,
        py: Python<'_>,
        shape: Vec<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(self.derived(map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.reshape(&shape))?)))
    }
    #[pyo3(signature = (shape, progress=None))]
    fn broadcast_to(
        &self,
        py: Python<'_>,
        shape: Vec<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(self.derived(map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| a.broadcast_to(&shape))?)))
    }
    /// The same values in another packing of the same number of dimensions.
    #[pyo3(signature = (packing, progress=None))]
    fn repack(
        &self,
        py: Python<'_>,
        packing: &Packing,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        fn moved<S: Watched>(
            a: &EncryptedArray<S>,
            packing: ArrayPacking,
        ) -> Result<EncryptedArray<S>> {
            match (a.as_matrix(), a.as_vector(), packing) {
                (Some(m), _, ArrayPacking::Matrix(p)) => m.repack(p).map(Into::into),
                (None, Some(v), ArrayPacking::Vector(p)) => v.repack(p).map(Into::into),
                _ => Err(Error::Shape {
                    operation: "repack",
                    got: format!("{packing:?} for {} dimension(s)", a.ndim()),
                    expected: "the packing of an array with as many dimensions".into(),
                    hint: "take it from another array: `x.packing`, `x.row_packing`",
                }),
            }
        }
        let to = packing.inner;
        Ok(self.derived(
            map!(&self.inner, a => computed(py, Effort::Heavy, progress, [a], |[a]| moved(a, to))?),
        ))
    }
    fn lower_to(&self, py: Python<'_>, depth: usize) -> PyResult<Self> {
        Ok(self.derived(
            map!(&self.inner, a => computed(py, Effort::Pass, None, [a], |[a]| a.lower_to(depth))?),
        ))
    }

    #[staticmethod]
    #[pyo3(signature = (parts, axis, progress=None))]
    fn concatenate(
        py: Python<'_>,
        parts: Vec<PyRef<'_, Self>>,
        axis: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        fn join<'a, S: Watched>(
            py: Python<'_>,
            parts: &[PyRef<'a, Array>],
            axis: usize,
            progress: Option<Py<PyAny>>,
            this: impl Fn(&AnyArray) -> Option<&EncryptedArray<S>>,
        ) -> PyResult<EncryptedArray<S>> {
            let arrays = parts
                .iter()
                .map(|p| {
                    this(&p.inner)
                        .cloned()
                        .ok_or_else(|| two_kinds(py, &parts[0].inner, &p.inner))
                })
                .collect::<PyResult<Vec<_>>>()?;
            let job = Job::new(progress, None);
            let watch = &job.watch;
            long(py, &job, || {
                let evaluator = arrays[0].evaluator().clone();
                let watched = arrays
                    .into_iter()
                    .map(|a| {
                        let under = a.evaluator().under(watch);
                        a.bind(&under)
                    })
                    .collect::<Result<Vec<_>>>()?;
                EncryptedArray::concatenate(&watched.iter().collect::<Vec<_>>(), axis)?
                    .bind(&evaluator)
            })
        }
        macro_rules! of {
            ($($variant:ident),*) => {
                match parts.first().map(|p| &p.inner) {
                    None => return Err(raise(py, &Error::Shape {
                        operation: "concatenate",
                        got: "no array".into(),
                        expected: "at least one".into(),
                        hint: "empty arrays have no encryption",
                    })),
                    $(Some(AnyArray::$variant(_)) => AnyArray::$variant(join(py, &parts, axis, progress, |p| match p {
                        AnyArray::$variant(a) => Some(a),
                        _ => None,
                    })?),)*
                }
            };
        }
        let inner = of!(
            Ckks,
            Bfv,
            Paillier,
            PlannedReal,
            PlannedInteger,
            PlannedSums
        );
        Ok(Self {
            inner,
            received: parts.iter().any(|part| part.received),
        })
    }

    /// The array as it is sent; nothing of keys or parameters but their ids.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.written(py, new_bytes)
            .map(|bytes| bytes.into_bound(py))
    }
    /// As `to_bytes`, as an array of bytes that is moved out, not copied.
    fn to_buffer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        self.written(py, new_buffer)
            .map(|bytes| bytes.into_bound(py))
    }
    /// What is needed beside the bytes to read them without keys: parameters, under Paillier the public key with them.
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = match &self.inner {
            AnyArray::Ckks(a) => a.evaluator().inner().params().to_bytes(),
            AnyArray::Bfv(a) => a.evaluator().inner().params().to_bytes(),
            AnyArray::Paillier(a) => crate::keys::paillier_context(a.evaluator().inner())
                .map_err(|error| raise(py, &error))?,
            _ => return Err(self.no_bytes(py)),
        };
        Ok(PyBytes::new(py, &bytes))
    }
}

impl Array {
    pub(crate) fn bound_on_error(&self) -> Option<f64> {
        match &self.inner {
            AnyArray::Ckks(a) => Some(a.error_bound()),
            AnyArray::Bfv(a) => Some(a.error_bound()),
            AnyArray::Paillier(a) => Some(a.error_bound()),
            _ => None,
        }
    }
    fn with(
        &self,
        py: Python<'_>,
        operation: Mixed,
        plain: &Plain<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let inner = self.inner.with(py, operation, plain, progress)?;
        Ok(self.derived(inner))
    }
    fn and(
        &self,
        py: Python<'_>,
        operation: Both,
        other: &Self,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            inner: self.inner.and(py, operation, &other.inner, progress)?,
            received: self.received || other.received,
        })
    }
    fn written<T: Send>(
        &self,
        py: Python<'_>,
        place: impl Fn(Python<'_>, usize, &mut Fill<'_>) -> PyResult<T> + Sync,
    ) -> PyResult<T> {
        match &self.inner {
            AnyArray::Ckks(a) => wire(py, a, place),
            AnyArray::Bfv(a) => wire(py, a, place),
            AnyArray::Paillier(a) => wire(py, a, place),
            _ => Err(self.no_bytes(py)),
        }
    }
    fn no_bytes(&self, py: Python<'_>) -> PyErr {
        unsupported(
            py,
            "a plan",
            "serialization",
            "arrays of a plan hold no values; encrypt some",
        )
    }
}

/// A planned array of sums: the same ciphertexts under the evaluator that refuses products.
pub(crate) fn only_sums(
    array: &EncryptedArray<Tracer<f64>>,
) -> Result<EncryptedArray<AdditiveOnly<Tracer<f64>>>> {
    let evaluator = AdditiveOnly::new(array.evaluator().clone());
    let cts = array.ciphertexts().cloned().collect();
    match (array.as_matrix(), array.as_vector()) {
        (Some(m), _) => {
            EncryptedMatrix::from_ciphertexts(evaluator, m.rows(), m.cols(), m.packing(), cts)
                .map(Into::into)
        }
        (_, Some(v)) => {
            EncryptedVector::from_ciphertexts(evaluator, v.len(), v.packing(), cts).map(Into::into)
        }
        _ => unreachable!("an array is a vector or a matrix"),
    }
}
