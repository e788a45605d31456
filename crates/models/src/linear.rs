//! Linear and ridge regression.

use crate::builder::descent_settings;
use crate::clear::{descent, exact};
use crate::link::Link;
use crate::schedule::{Batch, Descent, Intercept, LearningRate, Solver};
use crate::table::check_parameter;
use crate::{ClearFit, Kind, PlainModel, Table};
use cipherblas_scheme::Result;

fn settings() -> Descent {
    Descent {
        iterations: 5,
        solver: Solver::Nag,
        rate: LearningRate::Constant(1.0),
        batch: Batch::Full,
        intercept: Intercept::Fit,
    }
}

fn fit_clear(descent: &Descent, x: &Table<'_>, y: &[f64], l2: f64) -> Result<ClearFit> {
    x.check_targets("fit", y)?;
    let steps = descent.steps(x.rows(), 1)?;
    let trained = descent::train(x, y, &Link::identity(), l2, descent.intercept, &steps)?;
    ClearFit::new(Kind::Linear, trained)
}

fn fit_exact(intercept: Intercept, x: &Table<'_>, y: &[f64], alpha: f64) -> Result<PlainModel> {
    x.check_targets("fit", y)?;
    let (coef, bias) = exact::least_squares(x, y, alpha, intercept)?;
    PlainModel::new(Kind::Linear, coef, bias)
}

/// Ordinary least squares: minimizes `|y - X w - b|^2`.
///
/// By gradient descent or NAG, or by the closed form ([`crate::closed_form`]), for which the server computes
/// the encrypted normal equations and the owner solves them.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRegression {
    pub(crate) descent: Descent,
}

/// Ridge regression: minimizes `|y - X w - b|^2 + alpha |w|^2`, the intercept not penalized (scikit-learn's `alpha`).
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    pub(crate) descent: Descent,
    pub(crate) alpha: f64,
}

descent_settings!(LinearRegression);
descent_settings!(Ridge);

impl Default for LinearRegression {
    fn default() -> Self {
        Self::new()
    }
}

impl LinearRegression {
    /// Five steps of NAG at rate 1 on all rows, with an intercept.
    pub fn new() -> Self {
        Self {
            descent: settings(),
        }
    }

    /// The same algorithm as the encrypted training, in double precision.
    ///
    /// # Errors
    /// `Shape` if `y` does not have one target per row; `Value` for NaN or infinity; `Parameter` for impossible
    /// settings and for rates that diverge.
    pub fn fit_clear(&self, x: &Table<'_>, y: &[f64]) -> Result<ClearFit> {
        fit_clear(&self.descent, x, y, 0.0)
    }

    /// The optimum, by the normal equations.
    ///
    /// # Errors
    /// `Shape` and `Value` as [`fit_clear`](Self::fit_clear); `Parameter` for linearly dependent features.
    pub fn fit_exact(&self, x: &Table<'_>, y: &[f64]) -> Result<PlainModel> {
        fit_exact(self.descent.intercept, x, y, 0.0)
    }
}

impl Ridge {
    /// As [`LinearRegression::new`], with a penalty.
    pub fn new(alpha: f64) -> Self {
        Self {
            descent: settings(),
            alpha,
        }
    }

    /// The penalty in units of the mean loss over `rows` rows.
    pub(crate) fn l2(&self, rows: usize) -> Result<f64> {
        check_parameter("alpha", self.alpha, 0.0, false)?;
        Ok(self.alpha / rows as f64)
    }

    /// The same algorithm as the encrypted training, in double precision.
    ///
    /// # Errors
    /// As [`LinearRegression::fit_clear`].
    pub fn fit_clear(&self, x: &Table<'_>, y: &[f64]) -> Result<ClearFit> {
        fit_clear(&self.descent, x, y, self.l2(x.rows())?)
    }

    /// The optimum, by the normal equations.
    ///
    /// # Errors
    /// As [`LinearRegression::fit_exact`].
    pub fn fit_exact(&self, x: &Table<'_>, y: &[f64]) -> Result<PlainModel> {
        check_parameter("alpha", self.alpha, 0.0, false)?;
        fit_exact(self.descent.intercept, x, y, self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::Error;

    fn data() -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..60).map(|i| (f64::from(i) * 0.7).sin() * 1.3).collect();
        let y = x.chunks(2).map(|r| 2.0 * r[0] - r[1] + 0.5).collect();
        (x, y)
    }

    #[test]
    fn descent_reaches_the_optimum() {
        let (data, y) = data();
        let x = Table::new(30, 2, &data).unwrap();
        for (ridge, tolerance) in [(Ridge::new(0.0), 1e-9), (Ridge::new(3.0), 1e-9)] {
            for solver in [Solver::GradientDescent, Solver::Nag] {
                let fit = ridge
                    .clone()
                    .max_iter(2000)
                    .solver(solver)
                    .learning_rate(LearningRate::Constant(0.5));
                let difference = fit
                    .fit_clear(&x, &y)
                    .unwrap()
                    .model
                    .max_difference(&ridge.fit_exact(&x, &y).unwrap())
                    .unwrap();
                assert!(difference < tolerance, "{solver:?}: {difference}");
            }
        }
        let exact = LinearRegression::new().fit_exact(&x, &y).unwrap();
        assert!((exact.coef()[0] - 2.0).abs() < 1e-12 && (exact.intercept() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn divergence_and_bad_settings_are_errors() {
        let (data, y) = data();
        let x = Table::new(30, 2, &data).unwrap();
        let wild = LinearRegression::new()
            .max_iter(3000)
            .learning_rate(LearningRate::Constant(1e3));
        assert!(matches!(
            wild.fit_clear(&x, &y),
            Err(Error::Parameter {
                what: "learning_rate",
                ..
            })
        ));
        assert!(matches!(
            Ridge::new(-1.0).fit_exact(&x, &y),
            Err(Error::Parameter { what: "alpha", .. })
        ));
        assert!(matches!(
            LinearRegression::new().fit_clear(&x, &y[1..]),
            Err(Error::Shape { .. })
        ));
    }
}
