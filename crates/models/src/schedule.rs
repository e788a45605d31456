//! Which step is taken when: learning rates, momentum, batches. One list of steps drives both the training in clear
//! and the encrypted one, so that they are the same algorithm.

use crate::table::check_parameter;
use cipherblas_scheme::{Error, Result};
use std::ops::Range;

/// How the weights move along the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// Plain gradient descent: `w <- w + rate * g(w)`.
    GradientDescent,
    /// Nesterov's accelerated gradient: the gradient is taken at a point that runs ahead of the weights,
    /// `w' = v + rate * g(v)`, `v' = (1 - eta) w' + eta w`, with his sequence of `eta`. As deep as gradient descent.
    Nag,
}

/// The learning rate of every step, in units of the mean gradient over the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum LearningRate {
    /// The same at every step.
    Constant(f64),
    /// `initial / (t + 1)` at step `t = 0, 1, ...`.
    InverseTime {
        /// Rate of the first step.
        initial: f64,
    },
    /// One rate for each step.
    Steps(Vec<f64>),
}

/// Rows that one step looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// All of them.
    Full,
    /// About this many, in the order of the rows, starting over at the end. Encrypted training takes whole row
    /// blocks: the number is rounded up to the next multiple of the rows in a ciphertext, and the plan says to what.
    Rows(usize),
}

/// Whether a constant term is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intercept {
    /// A column of ones is added; its weight is not penalized.
    Fit,
    /// The decision surface goes through the origin.
    Omit,
}

/// One step of training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Learning rate.
    pub(crate) rate: f64,
    /// Nesterov's mixing weight: zero for plain descent, for the first and for the last step.
    pub(crate) eta: f64,
    /// Index of the batch.
    pub(crate) batch: usize,
    /// Rows of the batch.
    pub(crate) rows: Range<usize>,
}

/// Settings of the iteration, shared by all models.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Descent {
    pub(crate) iterations: usize,
    pub(crate) solver: Solver,
    pub(crate) rate: LearningRate,
    pub(crate) batch: Batch,
    pub(crate) intercept: Intercept,
}

impl Descent {
    pub(crate) fn check(&self) -> Result<()> {
        if self.iterations == 0 {
            return Err(Error::Parameter {
                what: "max_iter",
                got: "0".into(),
                expected: "at least one iteration".into(),
                hint: "training without a step gives no model",
            });
        }
        if self.batch == Batch::Rows(0) {
            return Err(Error::Parameter {
                what: "batch",
                got: "0 rows".into(),
                expected: "at least one row".into(),
                hint: "use Batch::Full for all rows",
            });
        }
        match &self.rate {
            LearningRate::Constant(rate) | LearningRate::InverseTime { initial: rate } => {
                check_parameter("learning_rate", *rate, 0.0, true)
            }
            LearningRate::Steps(rates) => {
                if rates.len() != self.iterations {
                    return Err(Error::Parameter {
                        what: "learning_rate",
                        got: format!("{} rates", rates.len()),
                        expected: format!("one for each of {} iterations", self.iterations),
                        hint: "pass as many rates as iterations",
                    });
                }
                rates
                    .iter()
                    .try_for_each(|&r| check_parameter("learning_rate", r, 0.0, true))
            }
        }
    }

    /// The steps over `rows` rows in batches of whole blocks of `block` rows.
    pub(crate) fn steps(&self, rows: usize, block: usize) -> Result<Vec<Step>> {
        self.check()?;
        let batch = self.batch_rows(rows, block);
        let batches = rows.div_ceil(batch);
        // Nesterov's sequence: lambda' = (1 + sqrt(1 + 4 lambda^2)) / 2.
        let mut lambda = 1.0f64;
        let steps = (0..self.iterations).map(|t| {
            let next = (1.0 + (1.0 + 4.0 * lambda * lambda).sqrt()) / 2.0;
            let eta = match self.solver {
                Solver::Nag if t + 1 < self.iterations => (1.0 - lambda) / next,
                _ => 0.0,
            };
            lambda = next;
            let index = t % batches;
            Step {
                rate: match &self.rate {
                    LearningRate::Constant(rate) => *rate,
                    LearningRate::InverseTime { initial } => initial / (t + 1) as f64,
                    LearningRate::Steps(rates) => rates[t],
                },
                eta,
                batch: index,
                rows: index * batch..((index + 1) * batch).min(rows),
            }
        });
        Ok(steps.collect())
    }

    /// Rows in a batch: a multiple of `block`, or all.
    pub(crate) fn batch_rows(&self, rows: usize, block: usize) -> usize {
        match self.batch {
            Batch::Full => rows,
            Batch::Rows(n) => n.div_ceil(block).saturating_mul(block).min(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descent() -> Descent {
        Descent {
            iterations: 4,
            solver: Solver::Nag,
            rate: LearningRate::InverseTime { initial: 2.0 },
            batch: Batch::Rows(3),
            intercept: Intercept::Fit,
        }
    }

    #[test]
    fn batches_are_whole_blocks_and_cycle() {
        let steps = descent().steps(10, 4).unwrap();
        let rows: Vec<_> = steps.iter().map(|s| s.rows.clone()).collect();
        assert_eq!(rows, [0..4, 4..8, 8..10, 0..4]);
        assert_eq!(
            steps.iter().map(|s| s.batch).collect::<Vec<_>>(),
            [0, 1, 2, 0]
        );
        assert_eq!(
            steps.iter().map(|s| s.rate).collect::<Vec<_>>(),
            [2.0, 1.0, 2.0 / 3.0, 0.5]
        );
        assert_eq!(descent().steps(3, 8).unwrap()[1].rows, 0..3);
    }

    #[test]
    fn momentum_starts_and_ends_at_zero() {
        let steps = descent().steps(10, 4).unwrap();
        assert_eq!(steps[0].eta, 0.0);
        assert_eq!(steps[3].eta, 0.0);
        let golden = (1.0 + 5f64.sqrt()) / 2.0;
        let next = (1.0 + (1.0 + 4.0 * golden * golden).sqrt()) / 2.0;
        assert!((steps[1].eta - (1.0 - golden) / next).abs() < 1e-15);
        assert!(steps[2].eta < steps[1].eta);
    }

    #[test]
    fn refuses_impossible_settings() {
        let refused = |change: fn(&mut Descent)| {
            let mut d = descent();
            change(&mut d);
            matches!(d.steps(10, 4), Err(Error::Parameter { .. }))
        };
        assert!(refused(|d| d.iterations = 0));
        assert!(refused(|d| d.batch = Batch::Rows(0)));
        assert!(refused(|d| d.rate = LearningRate::Constant(0.0)));
        assert!(refused(|d| d.rate = LearningRate::Constant(f64::NAN)));
        assert!(refused(|d| d.rate = LearningRate::Steps(vec![1.0; 3])));
        assert!(!refused(|d| d.rate = LearningRate::Steps(vec![1.0; 4])));
    }
}
