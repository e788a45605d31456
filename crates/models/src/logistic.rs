//! Logistic regression.

use crate::builder::descent_settings;
use crate::clear::{descent, exact};
use crate::link::Link;
use crate::schedule::{Batch, Descent, Intercept, LearningRate, Solver};
use crate::table::{check_labels, check_parameter};
use crate::{ClearFit, Degree, Kind, PlainModel, Sigmoid, Table};
use cipherblas_scheme::Result;

/// Logistic regression: minimizes the mean logistic loss plus `l2 |w|^2 / 2`, the intercept not penalized.
///
/// Settings only; nothing is fitted in place. Training, encrypted or in clear, is by gradient descent or Nesterov's
/// accelerated gradient with a polynomial in place of the sigmoid.
///
/// ```
/// use cipherblas_models::{LogisticRegression, Table, metrics};
///
/// let rows: Vec<f64> = (0..40).map(|i| f64::from(i) / 10.0 - 2.0).collect();
/// let y: Vec<f64> = rows.iter().map(|&v| f64::from(u8::from(v > 0.3))).collect();
/// let x = Table::new(40, 1, &rows)?;
/// let fit = LogisticRegression::new().max_iter(10).fit_clear(&x, &y)?;
/// assert!(metrics::auroc(&fit.model.decision_function(&x)?, &y)? > 0.99);
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    pub(crate) descent: Descent,
    degree: Degree,
    bound: f64,
    pub(crate) l2: f64,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self::new()
    }
}

descent_settings!(LogisticRegression);

impl LogisticRegression {
    /// Five steps of NAG at rate 1 on all rows, with an intercept, no penalty, and a cubic sigmoid on `[-8, 8]`.
    pub fn new() -> Self {
        Self {
            descent: Descent {
                iterations: 5,
                solver: Solver::Nag,
                rate: LearningRate::Constant(1.0),
                batch: Batch::Full,
                intercept: Intercept::Fit,
            },
            degree: Degree::Three,
            bound: 8.0,
            l2: 0.0,
        }
    }

    /// Degree of the polynomial in place of the sigmoid, and half the width of the interval it is fitted on.
    #[must_use]
    pub fn sigmoid(mut self, degree: Degree, bound: f64) -> Self {
        self.degree = degree;
        self.bound = bound;
        self
    }

    /// The penalty, in units of the mean loss: scikit-learn's `1 / (C * rows)`.
    #[must_use]
    pub fn l2(mut self, l2: f64) -> Self {
        self.l2 = l2;
        self
    }

    /// The polynomial that training uses.
    ///
    /// # Errors
    /// `Parameter` for a bound out of range.
    pub fn polynomial(&self) -> Result<Sigmoid> {
        Sigmoid::least_squares(self.degree, self.bound)
    }

    pub(crate) fn link(&self) -> Result<Link> {
        check_parameter("l2", self.l2, 0.0, false)?;
        Ok(Link::sigmoid(&self.polynomial()?))
    }

    /// The same algorithm as the encrypted training, in double precision, on labels 0 and 1.
    ///
    /// # Errors
    /// `Shape` if `y` does not have one label per row; `Value` for other labels; `Parameter` for impossible settings
    /// and for rates that diverge.
    pub fn fit_clear(&self, x: &Table<'_>, y: &[f64]) -> Result<ClearFit> {
        x.check_targets("fit", y)?;
        check_labels(y)?;
        let steps = self.descent.steps(x.rows(), 1)?;
        let trained = descent::train(x, y, &self.link()?, self.l2, self.descent.intercept, &steps)?;
        ClearFit::new(Kind::Logistic, trained)
    }

    /// The optimum, by Newton's method, with the sigmoid itself.
    ///
    /// # Errors
    /// `Shape` and `Value` as [`fit_clear`](Self::fit_clear); `Parameter` if there is no finite optimum (separable
    /// classes without a penalty).
    pub fn fit_exact(&self, x: &Table<'_>, y: &[f64]) -> Result<PlainModel> {
        x.check_targets("fit", y)?;
        check_labels(y)?;
        check_parameter("l2", self.l2, 0.0, false)?;
        let (coef, intercept) = exact::logistic(x, y, self.l2, self.descent.intercept)?;
        PlainModel::new(Kind::Logistic, coef, intercept)
    }
}
