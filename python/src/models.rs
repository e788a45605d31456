//! Linear models: settings, plans, encrypted training, scaling, rounds of federated training.

use crate::array::{AnyArray, Array, Ckks, Packing, Watched};
use crate::buffer::Bytes;
use crate::convert::{Plain, to_numpy};
use crate::error::{OrRaise, raise, unsupported};
use crate::keys::{AnyEvaluator, EvaluationKeys};
use crate::run::{Job, long, short};
use cipherblas::linalg::array::{ArrayPacking, EncryptedArray};
use cipherblas::linalg::plan::Plan as Trace;
use cipherblas::linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector, Tile};
use cipherblas::models::federated::{FeatureSums, Method, Question, Respondent, Rounds};
use cipherblas::models::{
    self, Batch, Degree, EncryptedNormalEquations, Intercept, LearningRate, Plannable, Scaling,
    Solver, Table, Whitening,
};
use cipherblas::scheme::{Error, KeySet, Result};
use numpy::{PyArray1, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// A matrix of NumPy's as a table of rows.
fn table<'a>(py: Python<'_>, x: &'a PyReadonlyArrayDyn<'_, f64>) -> PyResult<Table<'a>> {
    let (rows, columns) = match *x.shape() {
        [rows, columns] => (rows, columns),
        ref shape => {
            return Err(raise(
                py,
                &Error::Shape {
                    operation: "rows",
                    got: format!("{shape:?}"),
                    expected: "two dimensions".into(),
                    hint: "reshape to one row for each sample: `X.reshape(-1, 1)` for a single feature",
                },
            ));
        }
    };
    Table::new(rows, columns, contiguous(x)?).or_raise(py)
}

fn contiguous<'a>(x: &'a PyReadonlyArrayDyn<'_, f64>) -> PyResult<&'a [f64]> {
    x.as_slice()
        .map_err(|_| pyo3::exceptions::PyTypeError::new_err("expected an array in C order"))
}

fn vector<'py>(py: Python<'py>, values: Vec<f64>) -> PyResult<Bound<'py, PyAny>> {
    let shape = vec![values.len()];
    to_numpy(py, shape, values)
}

type Weights<'py> = (Bound<'py, PyAny>, f64);

fn weights<'py>(py: Python<'py>, model: &models::PlainModel) -> PyResult<Weights<'py>> {
    Ok((vector(py, model.coef().to_vec())?, model.intercept()))
}

fn invalid(
    py: Python<'_>,
    what: &'static str,
    got: impl ToString,
    expected: &str,
    hint: &'static str,
) -> PyErr {
    raise(
        py,
        &Error::Parameter {
            what,
            got: got.to_string(),
            expected: expected.into(),
            hint,
        },
    )
}

fn intercept_of(fit: bool) -> Intercept {
    if fit { Intercept::Fit } else { Intercept::Omit }
}

#[derive(Clone)]
enum Model {
    Linear(models::LinearRegression),
    Ridge(models::Ridge),
    Logistic(models::LogisticRegression),
}

/// The same expression for whichever model there is.
macro_rules! each {
    ($model:expr, $m:ident => $body:expr) => {
        match $model {
            Model::Linear($m) => $body,
            Model::Ridge($m) => $body,
            Model::Logistic($m) => $body,
        }
    };
}

/// The settings of a model.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Trainer {
    model: Model,
    intercept: Intercept,
}

#[pymethods]
impl Trainer {
    #[new]
    #[pyo3(signature = (kind, *, max_iter, solver, rates, batch_size, fit_intercept, degree, bound, l2))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each setting, all by name"
    )]
    fn new(
        py: Python<'_>,
        kind: &str,
        max_iter: usize,
        solver: &str,
        rates: Vec<f64>,
        batch_size: Option<usize>,
        fit_intercept: bool,
        degree: usize,
        bound: f64,
        l2: f64,
    ) -> PyResult<Self> {
        let solver = match solver {
            "nag" => Solver::Nag,
            "gd" => Solver::GradientDescent,
            other => {
                let hint =
                    "\"nag\" is Nesterov's accelerated gradient, \"gd\" plain gradient descent";
                let expected = match kind {
                    "logistic" => "\"nag\" or \"gd\"",
                    _ => "\"closed_form\", \"nag\" or \"gd\"",
                };
                return Err(invalid(py, "solver", format!("{other:?}"), expected, hint));
            }
        };
        let rate = match rates.as_slice() {
            [rate] => LearningRate::Constant(*rate),
            _ => LearningRate::Steps(rates),
        };
        let batch = batch_size.map_or(Batch::Full, Batch::Rows);
        let intercept = intercept_of(fit_intercept);
        macro_rules! settings {
            ($model:expr) => {
                $model
                    .max_iter(max_iter)
                    .solver(solver)
                    .learning_rate(rate)
                    .batch(batch)
                    .intercept(intercept)
            };
        }
        let model = match kind {
            "linear" => Model::Linear(settings!(models::LinearRegression::new())),
            "ridge" => Model::Ridge(settings!(models::Ridge::new(l2))),
            "logistic" => {
                let degree = match degree {
                    1 => Degree::One,
                    3 => Degree::Three,
                    5 => Degree::Five,
                    7 => Degree::Seven,
                    other => {
                        let hint = "three is the usual choice; one is less deep, five and seven are closer to the sigmoid";
                        return Err(invalid(py, "sigmoid_degree", other, "1, 3, 5 or 7", hint));
                    }
                };
                Model::Logistic(
                    settings!(models::LogisticRegression::new())
                        .sigmoid(degree, bound)
                        .l2(l2),
                )
            }
            other => {
                return Err(invalid(
                    py,
                    "kind",
                    other,
                    "linear, ridge or logistic",
                    "see `linear_model`",
                ));
            }
        };
        Ok(Self { model, intercept })
    }

    /// Levels that training by descent takes.
    fn depth(&self, py: Python<'_>) -> PyResult<usize> {
        each!(&self.model, m => m.depth()).or_raise(py)
    }

    /// The plan of a training by descent.
    fn plan(
        &self,
        py: Python<'_>,
        rows: usize,
        features: usize,
        slots: usize,
    ) -> PyResult<FitPlan> {
        let plan = py
            .detach(|| each!(&self.model, m => m.plan(rows, features, slots)))
            .or_raise(py)?;
        Ok(FitPlan {
            depth: plan.depth(),
            keys: plan.keys().clone(),
            tile: plan.tile(),
            description: plan.to_string(),
            batch_rows: plan.batch_rows(),
            results: plan.result_ciphertexts(),
        })
    }

    /// The packings of rows and of targets, the same for every way of training.
    fn packings(
        &self,
        py: Python<'_>,
        rows: usize,
        features: usize,
        slots: usize,
    ) -> PyResult<(Packing, Packing)> {
        let tile = models::row_packing(rows, features, self.intercept, slots).or_raise(py)?;
        Ok(packings(&tile))
    }

    /// The plan of encrypted normal equations.
    fn closed_form_plan(
        &self,
        py: Python<'_>,
        rows: usize,
        features: usize,
        slots: usize,
    ) -> PyResult<FitPlan> {
        let trace = || -> Result<FitPlan> {
            let tile = models::row_packing(rows, features, self.intercept, slots)?;
            let mut results = 0;
            let plan = Trace::trace(slots, models::closed_form::DEPTH, |t| {
                let x = t.matrix(rows, features, &EncryptOptions::new().packing(tile))?;
                let y = t.vector(rows, &EncryptOptions::new().packing(tile.row_packing()))?;
                let equations = EncryptedNormalEquations::new(&x, &y, self.intercept)?;
                let (gram, moment) = equations.parts();
                results = gram.ciphertexts().len() + moment.ciphertexts().len();
                Ok(())
            })?;
            Ok(FitPlan {
                depth: plan.depth(),
                keys: plan.keys().clone(),
                tile,
                description: plan.to_string(),
                batch_rows: rows,
                results,
            })
        };
        py.detach(trace).or_raise(py)
    }

    /// Bits before the binary point of the values of a training by descent, for features of this size and targets this far from
    /// the first guess.
    fn integer_bits(
        &self,
        py: Python<'_>,
        rows: usize,
        features: usize,
        slots: usize,
        bound: f64,
        target_bound: f64,
    ) -> PyResult<u32> {
        each!(&self.model, m => m.integer_bits(rows, features, slots, bound, target_bound))
            .or_raise(py)
    }

    /// Bits before the binary point of encrypted normal equations, for values of this size.
    #[staticmethod]
    fn closed_form_integer_bits(rows: usize, bound: f64) -> u32 {
        models::closed_form::integer_bits(rows, bound)
    }

    /// The same algorithm in clear: weights, constant term, the largest score.
    fn fit_clear<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'py, f64>,
        y: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<(Bound<'py, PyAny>, f64, f64)> {
        let (x, y) = (table(py, &x)?, contiguous(&y)?);
        let fit = py
            .detach(|| each!(&self.model, m => m.fit_clear(&x, y)))
            .or_raise(py)?;
        let (coef, intercept) = weights(py, &fit.model)?;
        Ok((coef, intercept, fit.largest_score))
    }

    /// The optimum, by an exact solver in clear.
    fn fit_exact<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'py, f64>,
        y: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<Weights<'py>> {
        let (x, y) = (table(py, &x)?, contiguous(&y)?);
        let model = py
            .detach(|| each!(&self.model, m => m.fit_exact(&x, y)))
            .or_raise(py)?;
        weights(py, &model)
    }

    /// Trains on encrypted rows and targets. `callback(iteration, iterations, depth left)` is called after each step; if it
    /// returns False, or raises, training stops.
    #[pyo3(signature = (x, y, callback=None, progress=None))]
    fn fit_encrypted(
        &self,
        py: Python<'_>,
        x: &Array,
        y: &Array,
        callback: Option<Py<PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<EncryptedModel> {
        let (rows, targets) = rows_and_targets(py, "training", x, y)?;
        let job = Job::new(progress, None);
        let raised = Mutex::new(None);
        let outcome = long(py, &job, || {
            let (x, y) = watched(&job, rows, targets)?;
            let step = |p: &models::Progress| {
                let Some(callback) = &callback else {
                    return ControlFlow::Continue(());
                };
                let answer = Python::attach(|py| {
                    let answer = callback.call1(py, (p.iteration, p.iterations, p.depth_left))?;
                    answer.extract::<Option<bool>>(py).or(Ok(None))
                });
                match answer {
                    Ok(Some(false)) => ControlFlow::Break(()),
                    Ok(_) => ControlFlow::Continue(()),
                    Err(error) => {
                        *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        ControlFlow::Break(())
                    }
                }
            };
            let model = each!(&self.model, m => m.fit_encrypted(&x, &y, step))?;
            model.bind(rows.evaluator())
        });
        match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => outcome.map(|inner| EncryptedModel { inner }),
        }
    }

    /// The encrypted normal equations of the rows and targets.
    #[pyo3(signature = (x, y, progress=None))]
    fn normal_equations(
        &self,
        py: Python<'_>,
        x: &Array,
        y: &Array,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<NormalEquations> {
        let (x, y) = rows_and_targets(py, "normal equations", x, y)?;
        let job = Job::new(progress, None);
        let inner = long(py, &job, || {
            let (x, y) = watched(&job, x, y)?;
            EncryptedNormalEquations::new(&x, &y, self.intercept)
        })?;
        Ok(NormalEquations { inner })
    }

    /// Rounds of federated training of a logistic regression.
    fn rounds(
        &self,
        py: Python<'_>,
        newton: bool,
        features: usize,
        tolerance: f64,
    ) -> PyResult<FederatedRounds> {
        let Model::Logistic(model) = &self.model else {
            return Err(invalid(
                py,
                "model",
                "a linear one",
                "logistic regression",
                "sum normal equations instead",
            ));
        };
        let method = if newton {
            Method::Newton
        } else {
            Method::Gradient
        };
        let inner = Rounds::new(model, method, features, tolerance).or_raise(py)?;
        Ok(FederatedRounds {
            inner: Mutex::new(inner),
            method,
            intercept: self.intercept,
        })
    }
}

/// The evaluator of keys under CKKS.
fn ckks_keys<'a>(py: Python<'_>, keys: &'a EvaluationKeys) -> PyResult<&'a Ckks> {
    match &keys.evaluator {
        AnyEvaluator::Ckks(evaluator) => Ok(evaluator),
        other => Err(unsupported(
            py,
            other.params().name(),
            "encrypted models",
            "they are under CKKS",
        )),
    }
}

type Pair<'a> = (&'a EncryptedMatrix<Ckks>, &'a EncryptedVector<Ckks>);

fn rows_and_targets<'a>(
    py: Python<'_>,
    operation: &'static str,
    x: &'a Array,
    y: &'a Array,
) -> PyResult<Pair<'a>> {
    match (&x.inner, &y.inner) {
        (AnyArray::Ckks(x), AnyArray::Ckks(y)) => {
            match (x.as_matrix(), y.as_matrix(), y.as_vector()) {
                (Some(x), None, Some(y)) => Ok((x, y)),
                _ => Err(raise(
                    py,
                    &Error::Shape {
                        operation,
                        got: format!(
                            "rows of {} and targets of {} dimension(s)",
                            x.ndim(),
                            y.ndim()
                        ),
                        expected: "a matrix of rows and a vector of targets".into(),
                        hint: "encrypt X with two dimensions and y with one",
                    },
                )),
            }
        }
        (a, b) => {
            let scheme = if a.scheme() == "ckks" {
                b.scheme()
            } else {
                a.scheme()
            };
            Err(unsupported(
                py,
                scheme,
                operation,
                "training takes arrays under CKKS",
            ))
        }
    }
}

/// Both under the job's watch.
fn watched(
    job: &Job,
    x: &EncryptedMatrix<Ckks>,
    y: &EncryptedVector<Ckks>,
) -> Result<(EncryptedMatrix<Ckks>, EncryptedVector<Ckks>)> {
    let under = x.evaluator().under(&job.watch);
    Ok((x.clone().bind(&under)?, y.clone().bind(&under)?))
}

/// Of the rows, and of their targets.
fn packings(tile: &Tile) -> (Packing, Packing) {
    let rows = ArrayPacking::Matrix((*tile).into());
    let targets = ArrayPacking::Vector(tile.row_packing());
    (Packing { inner: rows }, Packing { inner: targets })
}

/// Packing, depth and keys of a fit.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct FitPlan {
    depth: usize,
    keys: KeySet,
    tile: Tile,
    description: String,
    batch_rows: usize,
    results: usize,
}

#[pymethods]
impl FitPlan {
    #[getter]
    fn depth(&self) -> usize {
        self.depth
    }
    #[getter]
    fn relinearization(&self) -> bool {
        self.keys.relinearization
    }
    #[getter]
    fn rotations(&self) -> BTreeSet<i64> {
        self.keys.rotations.clone()
    }
    #[getter]
    fn rows_packing(&self) -> Packing {
        packings(&self.tile).0
    }
    #[getter]
    fn targets_packing(&self) -> Packing {
        packings(&self.tile).1
    }
    #[getter]
    fn batch_rows(&self) -> usize {
        self.batch_rows
    }
    /// Ciphertexts of the result.
    #[getter]
    fn results(&self) -> usize {
        self.results
    }
    fn describe(&self) -> &str {
        &self.description
    }
}

/// A model with encrypted weights.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct EncryptedModel {
    inner: models::EncryptedModel<Ckks>,
}

#[pymethods]
impl EncryptedModel {
    /// A weight for each feature, then the constant term's if there is one.
    #[getter]
    fn weights(&self) -> Array {
        Array::received(AnyArray::Ckks(EncryptedArray::from(
            self.inner.coef().clone(),
        )))
    }
    #[getter]
    fn features(&self) -> usize {
        self.inner.features()
    }
    #[getter]
    fn fit_intercept(&self) -> bool {
        self.inner.intercept() == Intercept::Fit
    }
    #[getter]
    fn logistic(&self) -> bool {
        self.inner.kind() == models::Kind::Logistic
    }
    fn bind(&self, py: Python<'_>, keys: &EvaluationKeys) -> PyResult<Self> {
        let evaluator = ckks_keys(py, keys)?;
        self.inner
            .clone()
            .bind(evaluator)
            .or_raise(py)
            .map(|inner| Self { inner })
    }
    /// Encrypted weights x encrypted rows.
    #[pyo3(signature = (x, progress=None))]
    fn decision_function(
        &self,
        py: Python<'_>,
        x: &Array,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Array> {
        let matrix = match &x.inner {
            AnyArray::Ckks(a) => a.as_matrix(),
            _ => {
                return Err(unsupported(
                    py,
                    x.inner.scheme(),
                    "scoring with encrypted weights",
                    "encrypt under CKKS",
                ));
            }
        };
        let Some(rows) = matrix else {
            return Err(raise(
                py,
                &Error::Shape {
                    operation: "decision function",
                    got: "an array of other than two dimensions".into(),
                    expected: "a matrix of rows".into(),
                    hint: "reshape a single row to (1, features)",
                },
            ));
        };
        let job = Job::new(progress, None);
        let scores = long(py, &job, || {
            let under = rows.evaluator().under(&job.watch);
            let model = self.inner.clone().bind(&under)?;
            model
                .decision_function(&rows.clone().bind(&under)?)?
                .bind(rows.evaluator())
        })?;
        Ok(Array::received(AnyArray::Ckks(scores.into())))
    }
    /// Encrypted weights x plain rows.
    fn decision_function_plain(
        &self,
        py: Python<'_>,
        x: PyReadonlyArrayDyn<'_, f64>,
    ) -> PyResult<Array> {
        let x = table(py, &x)?;
        let job = Job::new(None, None);
        let scores = long(py, &job, || {
            let own = self.inner.coef().evaluator();
            let model = self.inner.clone().bind(&own.under(&job.watch))?;
            model.decision_function_plain(&x)?.bind(own)
        })?;
        Ok(Array::received(AnyArray::Ckks(scores.into())))
    }
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = short(py, || self.inner.to_bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }
    #[staticmethod]
    fn from_bytes(py: Python<'_>, keys: &EvaluationKeys, bytes: Bytes<'_>) -> PyResult<Self> {
        let evaluator = ckks_keys(py, keys)?;
        let bytes = bytes.as_slice();
        let job = Job::new(None, None);
        long(py, &job, || {
            models::EncryptedModel::from_bytes(evaluator, bytes)
        })
        .map(|inner| Self { inner })
    }
}

/// Encrypted normal equations: what a server computes, and the owner solves.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct NormalEquations {
    inner: EncryptedNormalEquations<Ckks>,
}

#[pymethods]
impl NormalEquations {
    /// `X' X` and `X' y`, the constant column last if there is an intercept.
    #[getter]
    fn parts(&self) -> (Array, Array) {
        let (gram, moment) = self.inner.parts();
        (
            Array::received(AnyArray::Ckks(gram.clone().into())),
            Array::received(AnyArray::Ckks(moment.clone().into())),
        )
    }
    /// From parts that came over a network.
    #[staticmethod]
    fn from_parts(py: Python<'_>, features: usize, gram: &Array, moment: &Array) -> PyResult<Self> {
        let (gram, moment) = rows_and_targets(py, "normal equations", gram, moment)?;
        let inner = EncryptedNormalEquations::from_parts(features, gram.clone(), moment.clone())
            .or_raise(py)?;
        Ok(Self { inner })
    }
}

/// Solves decrypted normal equations, with a penalty `alpha` on the squared weights but the constant term's; for rows that were
/// scaled, in the units of the rows themselves.
#[pyfunction]
#[pyo3(signature = (features, gram, moment, alpha, scaler=None))]
pub(crate) fn solve_normal_equations<'py>(
    py: Python<'py>,
    features: usize,
    gram: PyReadonlyArrayDyn<'py, f64>,
    moment: PyReadonlyArrayDyn<'py, f64>,
    alpha: f64,
    scaler: Option<&Scaler>,
) -> PyResult<(Bound<'py, PyAny>, f64, usize)> {
    let (gram, moment) = (contiguous(&gram)?.to_vec(), contiguous(&moment)?.to_vec());
    let solve = || {
        let equations = models::NormalEquations::from_sums(features, gram, moment)?;
        match scaler {
            Some(scaler) => equations.solve_scaled_with_rank(alpha, &scaler.inner),
            None => equations.solve(alpha).map(|model| (model, features)),
        }
    };
    let (model, rank) = py.detach(solve).or_raise(py)?;
    let (coef, intercept) = weights(py, &model)?;
    Ok((coef, intercept, rank))
}

/// Features brought to a common range by their owner.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Scaler {
    inner: models::Scaler,
}

#[pymethods]
impl Scaler {
    /// Mean zero and variance one, decorrelated; for a model without a constant term nothing is shifted.
    #[staticmethod]
    fn decorrelated(
        py: Python<'_>,
        x: PyReadonlyArrayDyn<'_, f64>,
        fit_intercept: bool,
        shrinkage: f64,
    ) -> PyResult<Self> {
        let x = table(py, &x)?;
        let scaling = match intercept_of(fit_intercept) {
            Intercept::Fit => Scaling::Standard,
            Intercept::Omit => Scaling::Uncentred,
        };
        let whitening = Whitening::Shrunk { shrinkage };
        let inner = py
            .detach(|| models::Scaler::fit(&x, scaling, whitening))
            .or_raise(py)?;
        Ok(Self { inner })
    }
    /// Columns of length one.
    #[staticmethod]
    fn unit_columns(
        py: Python<'_>,
        x: PyReadonlyArrayDyn<'_, f64>,
        fit_intercept: bool,
    ) -> PyResult<Self> {
        let x = table(py, &x)?;
        let inner = py
            .detach(|| models::Scaler::unit_columns(&x, intercept_of(fit_intercept)))
            .or_raise(py)?;
        Ok(Self { inner })
    }
    fn transform<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let x = table(py, &x)?;
        let scaled = py.detach(|| self.inner.transform(&x)).or_raise(py)?;
        to_numpy(py, vec![x.rows(), x.cols()], scaled)
    }
    /// The model of the rows themselves, from one of scaled rows.
    fn unscale<'py>(
        &self,
        py: Python<'py>,
        coef: PyReadonlyArrayDyn<'py, f64>,
        intercept: f64,
    ) -> PyResult<Weights<'py>> {
        let model = linear(py, &coef, intercept)?;
        weights(py, &self.inner.unscale(&model).or_raise(py)?)
    }
}

fn linear(
    py: Python<'_>,
    coef: &PyReadonlyArrayDyn<'_, f64>,
    intercept: f64,
) -> PyResult<models::PlainModel> {
    models::PlainModel::new(models::Kind::Linear, contiguous(coef)?.to_vec(), intercept)
        .or_raise(py)
}

/// Targets brought to a common range by their owner.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct TargetScaler {
    inner: models::TargetScaler,
}

#[pymethods]
impl TargetScaler {
    /// The largest absolute value one.
    #[staticmethod]
    fn unit_range(
        py: Python<'_>,
        y: PyReadonlyArrayDyn<'_, f64>,
        fit_intercept: bool,
    ) -> PyResult<Self> {
        models::TargetScaler::unit_range(contiguous(&y)?, intercept_of(fit_intercept))
            .or_raise(py)
            .map(|inner| Self { inner })
    }
    /// Length one.
    #[staticmethod]
    fn unit_length(
        py: Python<'_>,
        y: PyReadonlyArrayDyn<'_, f64>,
        fit_intercept: bool,
    ) -> PyResult<Self> {
        models::TargetScaler::unit_length(contiguous(&y)?, intercept_of(fit_intercept))
            .or_raise(py)
            .map(|inner| Self { inner })
    }
    fn transform<'py>(
        &self,
        py: Python<'py>,
        y: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vector(py, self.inner.transform(contiguous(&y)?))
    }
    /// The model of the targets themselves, from one of scaled targets.
    fn unscale<'py>(
        &self,
        py: Python<'py>,
        coef: PyReadonlyArrayDyn<'py, f64>,
        intercept: f64,
    ) -> PyResult<Weights<'py>> {
        let model = linear(py, &coef, intercept)?;
        weights(py, &self.inner.unscale(&model).or_raise(py)?)
    }
}

/// The key holder's side of federated training.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct FederatedRounds {
    inner: Mutex<Rounds>,
    method: Method,
    intercept: Intercept,
}

#[pymethods]
impl FederatedRounds {
    /// The weights that the owners are asked about.
    fn question<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let question = self.rounds().question().or_raise(py)?;
        vector(py, question.point().to_vec())
    }
    #[getter]
    fn newton(&self) -> bool {
        self.method == Method::Newton
    }
    #[getter]
    fn fit_intercept(&self) -> bool {
        self.intercept == Intercept::Fit
    }
    #[getter]
    fn finished(&self) -> bool {
        self.rounds().finished()
    }
    /// Takes the decrypted sum of all answers: round, objective, largest change, converged.
    fn take(
        &self,
        py: Python<'_>,
        total: PyReadonlyArrayDyn<'_, f64>,
    ) -> PyResult<(usize, f64, f64, bool)> {
        let round = self.rounds().take(contiguous(&total)?).or_raise(py)?;
        Ok((round.number, round.objective, round.change, round.converged))
    }
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Weights<'py>> {
        let model = self.rounds().model().or_raise(py)?;
        weights(py, &model)
    }
}

impl FederatedRounds {
    fn rounds(&self) -> std::sync::MutexGuard<'_, Rounds> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An owner's side: answers a limited number of questions about weights of limited size.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct FederatedOwner {
    inner: Mutex<Respondent>,
}

#[pymethods]
impl FederatedOwner {
    #[new]
    fn new(py: Python<'_>, rounds: usize, max_weight: f64) -> PyResult<Self> {
        Respondent::new(rounds, max_weight)
            .or_raise(py)
            .map(|inner| Self {
                inner: Mutex::new(inner),
            })
    }
    /// Sums over this owner's rows, to be encrypted.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        point: Plain<'py>,
        newton: bool,
        fit_intercept: bool,
        x: PyReadonlyArrayDyn<'py, f64>,
        y: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let point = point.view::<f64>()?.data().to_vec();
        let method = if newton {
            Method::Newton
        } else {
            Method::Gradient
        };
        let question = Question::new(point, intercept_of(fit_intercept), method).or_raise(py)?;
        let (x, y) = (table(py, &x)?, contiguous(&y)?);
        let mut owner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = owner.answer(&question, &x, y).or_raise(py)?;
        vector(py, answer)
    }
}

/// An owner's share of a common scaling: rows, sums and square sums of every feature.
#[pyfunction]
pub(crate) fn feature_sums<'py>(
    py: Python<'py>,
    x: PyReadonlyArrayDyn<'py, f64>,
    units: Vec<f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let sums = FeatureSums::of(&table(py, &x)?, &units).or_raise(py)?;
    Ok(PyArray1::from_vec(py, sums.to_values()))
}

/// The common scaling, from the decrypted sum of all shares.
#[pyfunction]
pub(crate) fn feature_scaler(
    py: Python<'_>,
    total: PyReadonlyArrayDyn<'_, f64>,
    units: Vec<f64>,
    tolerance: f64,
) -> PyResult<Scaler> {
    let sums = FeatureSums::from_values(units.len(), contiguous(&total)?).or_raise(py)?;
    sums.scaler(&units, tolerance)
        .or_raise(py)
        .map(|inner| Scaler { inner })
}
