//! Linear, ridge and logistic regression on encrypted data: training and inference.
//!
//! This crate stands on the linear algebra and knows no scheme: everything encrypted is generic over
//! the capabilities that it needs. It holds no key; only [`EncryptedModel::decrypt`] borrows one.
//!
//! | module | holds |
//! |---|---|
//! | `logistic`, `linear` | the models' settings, and their fits in clear |
//! | `schedule` | learning rates, momentum, batches: one list of steps for clear and encrypted |
//! | [`sigmoid`] | least-squares polynomials in place of the sigmoid |
//! | `clear` | the same algorithm in clear, and exact solvers |
//! | `encrypted` | training on ciphertexts, and [`EncryptedModel`] |
//! | [`closed_form`] | encrypted normal equations, solved by the owner |
//! | [`federated`] | training over several owners' rows from encrypted sums |
//! | [`statistics`] | encrypted means and mean squares |
//! | [`plan`] | packing, depth and keys of a training |
//! | [`scaling`] | features brought to a common range by their owner |
//! | [`metrics`] | accuracy, AUROC, R2 |
//!
//! ```
//! use cipherblas_linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector};
//! use cipherblas_models::{LogisticRegression, Plannable};
//! use cipherblas_scheme::ClearScheme;
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use std::ops::ControlFlow;
//!
//! let model = LogisticRegression::new().max_iter(4);
//! let plan = model.plan(4, 2, 64)?;
//! assert_eq!(plan.depth(), 1 + 3 * 4);
//!
//! // The scheme in clear stands for any other here.
//! let server = ClearScheme::new(64, plan.depth())?;
//! let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
//! let rows = [0.9, -0.2, 0.7, 0.1, -0.8, 0.3, -0.5, -0.1];
//! let x = EncryptOptions::new().packing(plan.tile());
//! let x = EncryptedMatrix::encrypt_with(&key, 4, 2, &rows, &x, &mut rng)?.bind(&server)?;
//! let y = EncryptOptions::new().packing(plan.tile().row_packing());
//! let y = EncryptedVector::encrypt_with(&key, &[1.0, 1.0, 0.0, 0.0], &y, &mut rng)?.bind(&server)?;
//!
//! let encrypted = model.fit_encrypted(&x, &y, |_| ControlFlow::Continue(()))?;
//! let fitted = encrypted.decrypt(&key)?;
//! assert!(fitted.coef()[0] > 0.0);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod builder;
mod clear;
pub mod closed_form;
mod encrypted;
pub mod federated;
mod fixed_point;
mod linear;
mod link;
mod logistic;
pub mod metrics;
mod plain;
pub mod plan;
pub mod scaling;
mod schedule;
pub mod sigmoid;
pub mod statistics;
mod table;

pub use closed_form::{BlockNormalEquations, EncryptedNormalEquations, NormalEquations};
pub use encrypted::{EncryptedModel, Progress, Trains, row_packing};
pub use fixed_point::FixedPoint;
pub use linear::{LinearRegression, Ridge};
pub use logistic::LogisticRegression;
pub use plain::{ClearFit, Kind, PlainModel};
pub use plan::{Plannable, TrainingPlan};
pub use scaling::{Scaler, Scaling, TargetScaler, Whitening};
pub use schedule::{Batch, Intercept, LearningRate, Solver};
pub use sigmoid::{Degree, Sigmoid};
pub use statistics::EncryptedStatistics;
pub use table::Table;
