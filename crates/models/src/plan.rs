//! What a training will need, before any key is made.

use crate::encrypted::train;
use crate::{EncryptedModel, Kind, LinearRegression, LogisticRegression, Ridge, row_packing};
use cipherblas_linalg::{EncryptOptions, Plan, Tile};
use cipherblas_scheme::{KeySet, Result};
use std::fmt;
use std::ops::ControlFlow;

/// Levels that scoring encrypted rows with encrypted weights takes.
pub const SCORING_DEPTH: usize = 2;

/// Packing, depth, keys and operations of an encrypted training and of scoring with its result.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingPlan {
    rows: usize,
    features: usize,
    iterations: usize,
    batch_rows: usize,
    tile: Tile,
    weights: usize,
    training: Plan,
    keys: KeySet,
}

/// A model that a [`TrainingPlan`] can be made for.
pub trait Plannable: sealed::Sealed {
    /// Packing, depth, keys and operations for `rows` rows of `features` features on ciphertexts of `slots` slots.
    ///
    /// The training itself is traced, so that everything is counted and nothing estimated.
    ///
    /// # Errors
    /// `Parameter` for impossible settings, and unless `slots` is a power of two; `Shape` for an empty dimension or one
    /// that does not fit in memory.
    fn plan(&self, rows: usize, features: usize, slots: usize) -> Result<TrainingPlan>;

    /// Bits before the binary point that parameters of `slots` slots have to afford, for features of at most `bound` in absolute
    /// value and targets within `target_bound` of the first guess: those of [`TrainingPlan::largest_value`], and one for the
    /// sign. Nothing is traced: parameters come before a plan.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    fn integer_bits(
        &self,
        rows: usize,
        features: usize,
        slots: usize,
        bound: f64,
        target_bound: f64,
    ) -> Result<u32>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! plannable {
    ($model:ident) => {
        impl sealed::Sealed for $model {}
        impl Plannable for $model {
            fn plan(&self, rows: usize, features: usize, slots: usize) -> Result<TrainingPlan> {
                let depth = self.depth()?;
                let go_on = |_: &crate::Progress| ControlFlow::Continue(());
                let tile = row_packing(rows, features, self.descent.intercept, slots)?;
                let mut weights = 0;
                let training = Plan::trace(slots, depth, |tracer| {
                    let x = tracer.matrix(rows, features, &EncryptOptions::new().packing(tile))?;
                    let y =
                        tracer.vector(rows, &EncryptOptions::new().packing(tile.row_packing()))?;
                    let model = self.fit_encrypted(&x, &y, go_on)?;
                    weights = model.coef().ciphertexts().len();
                    Ok(())
                })?;
                // Scoring full ciphertexts of rows: what any number of them needs.
                let scoring = Plan::trace(slots, SCORING_DEPTH, |tracer| {
                    let rows = tile.rows_per_block().max(slots / tile.columns_per_block());
                    let tile = row_packing(rows, features, self.descent.intercept, slots)?;
                    let x = tracer.matrix(rows, features, &EncryptOptions::new().packing(tile))?;
                    let count = train::weights(features, self.descent.intercept);
                    let weights = tracer
                        .vector(count, &EncryptOptions::new().packing(tile.column_packing()))?;
                    EncryptedModel::new(Kind::Linear, features, self.descent.intercept, weights)?
                        .decision_function(&x)
                        .map(drop)
                })?;
                Ok(TrainingPlan {
                    rows,
                    features,
                    iterations: self.descent.iterations,
                    batch_rows: train::batch_rows(&self.descent, rows, features, slots)?,
                    tile,
                    weights,
                    keys: training.keys().clone().union(scoring.keys()),
                    training,
                })
            }

            fn integer_bits(
                &self,
                rows: usize,
                features: usize,
                slots: usize,
                bound: f64,
                target_bound: f64,
            ) -> Result<u32> {
                let batch = train::batch_rows(&self.descent, rows, features, slots)?;
                let row_norm = bound * (features as f64).sqrt();
                Ok(bits_for(largest_value(batch, row_norm, target_bound)))
            }
        }
    };
}

plannable!(LogisticRegression);
plannable!(LinearRegression);
plannable!(Ridge);

/// Bits before the binary point, and one for the sign, of values up to `largest`: no fewer than four.
pub(crate) fn bits_for(largest: f64) -> u32 {
    (largest.log2().ceil() + 1.0).max(4.0) as u32
}

/// See [`TrainingPlan::largest_value`].
fn largest_value(batch_rows: usize, row_norm: f64, target_bound: f64) -> f64 {
    2.0 * batch_rows as f64 * target_bound * (row_norm * row_norm + 1.0)
}

impl TrainingPlan {
    /// Rows of the training data.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features, without the column of ones.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Gradient steps.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Rows that a step looks at: the batch of the settings, rounded up to whole ciphertexts.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Slots of a ciphertext that the plan was made for.
    pub fn slots(&self) -> usize {
        self.training.slots()
    }

    /// Depth, keys and operations of the training alone.
    pub fn training(&self) -> &Plan {
        &self.training
    }

    /// The packing in which to encrypt the rows; the targets go in its [`row_packing`](Tile::row_packing).
    pub fn tile(&self) -> Tile {
        self.tile
    }

    /// Levels that training takes. With [`SCORING_DEPTH`] more the result can score encrypted rows.
    pub fn depth(&self) -> usize {
        self.training.depth()
    }

    /// The evaluation keys for training, and for scoring encrypted rows in the same tile with the result.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// A bound on the values that occur in the first two steps, for rows of at most this Euclidean norm and targets within
    /// `target_bound` of the first guess (1/2 for labels). Later steps stay below if training converges. Parameters have to
    /// afford values of this size.
    ///
    /// By Cauchy-Schwarz: the second step's scores are sums over all rows `k` of `r_k x_i . x_k`, before they are divided by
    /// the number of rows; twice that, as the sums within rows pass through sums across two rows.
    pub fn largest_value(&self, row_norm: f64, target_bound: f64) -> f64 {
        largest_value(self.batch_rows, row_norm, target_bound)
    }

    /// Ciphertexts of the rows and of the targets.
    pub fn ciphertexts(&self) -> (usize, usize) {
        let columns = self.features.div_ceil(self.tile.columns_per_block());
        let blocks = self.rows.div_ceil(self.tile.rows_per_block());
        (blocks * columns, blocks)
    }

    /// Ciphertexts of the encrypted weights: shared decryptions that the result takes.
    pub fn result_ciphertexts(&self) -> usize {
        self.weights
    }
}

impl fmt::Display for TrainingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, targets) = self.ciphertexts();
        let counts = self.training.counts();
        writeln!(
            f,
            "{} rows x {} features in {rows} + {targets} ciphertext(s) of {} slots, {} rows x {} columns each",
            self.rows,
            self.features,
            self.slots(),
            self.tile.rows_per_block(),
            self.tile.columns_per_block()
        )?;
        write!(
            f,
            "{} iterations of {} rows: depth {}, {} rotations with {} keys, {} products with {} relinearizations",
            self.iterations,
            self.batch_rows,
            self.depth(),
            counts.all_rotations(),
            self.keys.rotations.len(),
            counts.multiplications,
            counts.relinearizations
        )
    }
}
