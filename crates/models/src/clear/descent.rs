//! Gradient descent and NAG in clear.

use crate::link::Link;
use crate::schedule::{Intercept, Step};
use crate::table::{Table, dot};
use cipherblas_scheme::{Error, Result};

/// What training in clear found.
pub(crate) struct Trained {
    /// One weight per feature.
    pub(crate) coef: Vec<f64>,
    /// The constant term, zero if not fitted.
    pub(crate) intercept: f64,
    /// The largest absolute score at which the link's polynomial was evaluated.
    pub(crate) largest_score: f64,
}

/// Takes the steps: `w' = v + rate (X'(y - f(X v)) / rows - l2 v)`, `v' = (1 - eta) w' + eta w`.
pub(crate) fn train(
    x: &Table<'_>,
    y: &[f64],
    link: &Link,
    l2: f64,
    intercept: Intercept,
    steps: &[Step],
) -> Result<Trained> {
    let d = x.cols();
    // The last entry is the intercept's, and stays zero where none is fitted.
    let (mut v, mut w) = (vec![0.0; d + 1], vec![0.0; d + 1]);
    let mut largest_score = 0.0f64;
    for step in steps {
        let mut gradient = vec![0.0; d + 1];
        for r in step.rows.clone() {
            let row = x.row(r);
            let score = dot(row, &v[..d]) + v[d];
            largest_score = largest_score.max(score.abs());
            let residual = y[r] - link.evaluate(score);
            for (g, value) in gradient.iter_mut().zip(row) {
                *g += residual * value;
            }
            if intercept == Intercept::Fit {
                gradient[d] += residual;
            }
        }
        let rows = step.rows.len() as f64;
        for i in 0..=d {
            let penalty = if i < d { l2 * v[i] } else { 0.0 };
            let ahead = v[i] + step.rate * (gradient[i] / rows - penalty);
            v[i] = (1.0 - step.eta) * ahead + step.eta * w[i];
            w[i] = ahead;
        }
    }
    let bias = w.pop().unwrap_or(0.0);
    if !bias.is_finite() || w.iter().any(|c| !c.is_finite()) {
        return Err(diverged());
    }
    Ok(Trained {
        coef: w,
        intercept: bias,
        largest_score,
    })
}

fn diverged() -> Error {
    Error::Parameter {
        what: "learning_rate",
        got: "weights that overflow".into(),
        expected: "steps that converge".into(),
        hint: "lower the learning rate, scale the features, or widen the sigmoid's bound",
    }
}
