//! The optimum: normal equations and Newton's method.

use crate::clear::cholesky::Cholesky;
use crate::clear::least_norm::least_norm;
use crate::schedule::Intercept;
use crate::sigmoid::sigmoid;
use crate::table::{Table, dot};
use cipherblas_scheme::{Error, Result};

/// Newton steps after which a problem counts as having no optimum.
const MAX_STEPS: usize = 100;

/// Sums over the rows that the normal equations are made of, with the constant column last where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    pub(crate) n: usize,
    /// `X' diag(weight) X`, row-major.
    pub(crate) gram: Vec<f64>,
    /// `X' target`.
    pub(crate) moment: Vec<f64>,
}

impl Normal {
    pub(crate) fn zero(n: usize) -> Self {
        Self {
            n,
            gram: vec![0.0; n * n],
            moment: vec![0.0; n],
        }
    }

    /// Adds a row with the given weight in the Gram matrix and target in the moment.
    pub(crate) fn add(&mut self, row: &[f64], weight: f64, target: f64) {
        let with_one = |i: usize| row.get(i).copied().unwrap_or(1.0);
        for i in 0..self.n {
            for j in 0..=i {
                self.gram[i * self.n + j] += weight * with_one(i) * with_one(j);
            }
        }
        self.add_moment(row, target);
    }

    /// Adds a row to the moment only.
    pub(crate) fn add_moment(&mut self, row: &[f64], target: f64) {
        for (i, moment) in self.moment.iter_mut().enumerate() {
            *moment += target * row.get(i).copied().unwrap_or(1.0);
        }
    }

    /// Values of the lower triangle of the Gram matrix for `n` weights.
    pub(crate) fn lower_len(n: usize) -> usize {
        n * (n + 1) / 2
    }

    /// The lower triangle of the Gram matrix, row after row.
    pub(crate) fn lower(&self) -> impl Iterator<Item = f64> {
        (0..self.n).flat_map(|i| self.gram[i * self.n..=i * self.n + i].iter().copied())
    }

    /// From as many weights as `moment` has entries, and the lower triangle of the Gram matrix row after row.
    pub(crate) fn from_lower(lower: &[f64], moment: &[f64]) -> Self {
        let n = moment.len();
        debug_assert_eq!(lower.len(), Self::lower_len(n));
        let mut gram = vec![0.0; n * n];
        let mut values = lower.iter();
        for i in 0..n {
            for (j, &value) in values.by_ref().take(i + 1).enumerate() {
                gram[i * n + j] = value;
                gram[j * n + i] = value;
            }
        }
        Self {
            n,
            gram,
            moment: moment.to_vec(),
        }
    }

    /// Solves `(gram + ridge I) w = moment`; the weight behind `penalized` features is not penalized.
    pub(crate) fn solve(mut self, penalized: usize, ridge: f64) -> Result<Vec<f64>> {
        for i in 0..penalized {
            self.gram[i * self.n + i] += ridge;
        }
        let factor = Cholesky::new(self.n, &self.gram)?;
        factor.solve(&mut self.moment);
        Ok(self.moment)
    }

    /// The shortest minimizer of `|(gram + diag(penalties)) w - moment|`; weights behind the penalties have none.
    /// Second, how many directions were told apart.
    pub(crate) fn solve_deficient(&self, penalties: &[f64], cutoff: f64) -> (Vec<f64>, usize) {
        // Sums over rows fill the lower triangle only.
        let lower: Vec<f64> = self.lower().collect();
        let Self {
            n,
            mut gram,
            moment,
        } = Self::from_lower(&lower, &self.moment);
        // One large penalty is no reason to take every other direction for zero: with penalties of the size of the sums at most.
        let largest = (0..n).map(|i| gram[i * n + i]).fold(0.0, f64::max);
        let mut unit = vec![1.0; n];
        for (i, penalty) in penalties.iter().enumerate() {
            gram[i * n + i] += penalty;
            if largest > 0.0 {
                unit[i] = (1.0 + penalty / largest).sqrt().recip();
            }
        }
        for (row, u) in gram.chunks_exact_mut(n).zip(&unit) {
            row.iter_mut().zip(&unit).for_each(|(g, v)| *g *= u * v);
        }
        let scaled: Vec<f64> = moment.iter().zip(&unit).map(|(m, u)| m * u).collect();
        let (mut weights, rank) = least_norm(n, &gram, &scaled, cutoff);
        weights.iter_mut().zip(&unit).for_each(|(w, u)| *w *= u);
        (weights, rank)
    }
}

/// Weights, the constant term among them.
pub(crate) fn unknowns(features: usize, intercept: Intercept) -> usize {
    features + usize::from(intercept == Intercept::Fit)
}

/// Weights and constant term, zero where there is none.
pub(crate) fn split(mut w: Vec<f64>, features: usize) -> (Vec<f64>, f64) {
    let bias = w.get(features).copied().unwrap_or(0.0);
    w.truncate(features);
    (w, bias)
}

/// Minimizes `|y - X w - b|^2 + ridge |w|^2`.
pub(crate) fn least_squares(
    x: &Table<'_>,
    y: &[f64],
    ridge: f64,
    intercept: Intercept,
) -> Result<(Vec<f64>, f64)> {
    let mut normal = Normal::zero(unknowns(x.cols(), intercept));
    for (row, &target) in x.iter().zip(y) {
        normal.add(row, 1.0, target);
    }
    Ok(split(normal.solve(x.cols(), ridge)?, x.cols()))
}

/// `log(1 + exp(score)) - target * score`, without overflow.
pub(crate) fn log_loss(score: f64, target: f64) -> f64 {
    score.max(0.0) + (-score.abs()).exp().ln_1p() - target * score
}

/// The mean logistic loss plus `l2 |w|^2 / 2`.
fn objective(x: &Table<'_>, y: &[f64], l2: f64, w: &[f64]) -> f64 {
    let d = x.cols();
    let loss: f64 = x
        .iter()
        .zip(y)
        .map(|(row, &target)| {
            let score = dot(row, &w[..d]) + w.get(d).copied().unwrap_or(0.0);
            log_loss(score, target)
        })
        .sum();
    loss / x.rows() as f64 + l2 / 2.0 * dot(&w[..d], &w[..d])
}

/// Minimizes the mean logistic loss plus `l2 |w|^2 / 2` by Newton's method with step halving.
pub(crate) fn logistic(
    x: &Table<'_>,
    y: &[f64],
    l2: f64,
    intercept: Intercept,
) -> Result<(Vec<f64>, f64)> {
    let d = x.cols();
    let n = unknowns(x.cols(), intercept);
    let rows = x.rows() as f64;
    let mut w = vec![0.0; n];
    let mut value = objective(x, y, l2, &w);
    for _ in 0..MAX_STEPS {
        let mut normal = Normal::zero(n);
        for (row, &target) in x.iter().zip(y) {
            let p = sigmoid(dot(row, &w[..d]) + w.get(d).copied().unwrap_or(0.0));
            normal.add(row, p * (1.0 - p) / rows, (target - p) / rows);
        }
        for (g, weight) in normal.moment.iter_mut().zip(&w).take(d) {
            *g -= l2 * weight;
        }
        let step = normal
            .solve(d, l2)
            .map_err(|_| no_optimum("a singular Hessian"))?;
        // The step and not the gradient: on separable classes the gradient vanishes and the weights still run away.
        let close = |tolerance: f64| {
            step.iter()
                .zip(&w)
                .all(|(s, a)| s.abs() <= tolerance * (1.0 + a.abs()))
        };
        if close(1e-12) {
            return Ok(split(w, d));
        }
        let near = close(1e-6);
        let mut length = 1.0;
        let improved = loop {
            let candidate: Vec<f64> = w.iter().zip(&step).map(|(a, s)| a + length * s).collect();
            let new = objective(x, y, l2, &candidate);
            if new <= value {
                let moved = candidate.iter().zip(&w).any(|(a, b)| a != b);
                w = candidate;
                value = new;
                break moved;
            }
            length /= 2.0;
            if length < 1e-12 {
                break false;
            }
        };
        if !improved {
            // No better value in double precision: the optimum, or the flat end of a valley without one.
            return if near {
                Ok(split(w, d))
            } else {
                Err(no_optimum("no convergence"))
            };
        }
    }
    Err(no_optimum("no convergence"))
}

fn no_optimum(got: &str) -> Error {
    Error::Parameter {
        what: "l2",
        got: got.into(),
        expected: "a problem with a finite optimum".into(),
        hint: "the classes are separable or features are dependent; add an L2 penalty",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_recovers_a_line() {
        let data: Vec<f64> = (0..20).map(|i| f64::from(i) / 7.0 - 1.0).collect();
        let x = Table::new(20, 1, &data).unwrap();
        let y: Vec<f64> = data.iter().map(|v| 3.0 * v - 2.0).collect();
        let (w, b) = least_squares(&x, &y, 0.0, Intercept::Fit).unwrap();
        assert!((w[0] - 3.0).abs() < 1e-12 && (b + 2.0).abs() < 1e-12);
        let (w, b) = least_squares(&x, &y, 1e9, Intercept::Fit).unwrap();
        let mean = y.iter().sum::<f64>() / 20.0;
        assert!(
            w[0].abs() < 1e-6 && (b - mean).abs() < 1e-6,
            "the intercept is not penalized"
        );
    }

    #[test]
    fn logistic_of_one_binary_feature_is_the_log_odds() {
        // 3 of 4 positive where the feature is 1, 1 of 4 where it is 0.
        let data = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let y = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let x = Table::new(8, 1, &data).unwrap();
        let (w, b) = logistic(&x, &y, 0.0, Intercept::Fit).unwrap();
        assert!((b + 3f64.ln()).abs() < 1e-10, "{b}");
        assert!((w[0] - 2.0 * 3f64.ln()).abs() < 1e-10, "{w:?}");
    }

    #[test]
    fn separable_classes_need_a_penalty() {
        let x = Table::new(2, 1, &[-1.0, 1.0]).unwrap();
        assert!(matches!(
            logistic(&x, &[0.0, 1.0], 0.0, Intercept::Omit),
            Err(Error::Parameter { what: "l2", .. })
        ));
        let (w, _) = logistic(&x, &[0.0, 1.0], 0.1, Intercept::Omit).unwrap();
        // stationarity: 1 - sigmoid(w) = l2 w
        assert!((1.0 - sigmoid(w[0]) - 0.1 * w[0]).abs() < 1e-10);
    }
}
