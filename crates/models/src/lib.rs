//! Linear, ridge and logistic regression on encrypted data: training and inference.
//!
//! This crate stands on the linear algebra and knows no scheme: everything encrypted is generic over
//! the capabilities that it needs. It holds no key; only [`EncryptedModel::decrypt`] borrows one.
//!
//! | module | holds |
//! |---|---|
//! | `logistic`, `linear` | the models' settings and fits |
//! | `schedule` | learning rates, momentum, batches: one list of steps for clear and encrypted |
//! | [`sigmoid`] | least-squares polynomials in place of the sigmoid |
//! | `clear` | the same algorithm in clear, and exact solvers |
//! | [`scaling`] | features brought to a common range by their owner |
//! | [`metrics`] | accuracy, AUROC, R2 |

mod builder;
mod clear;
pub mod closed_form;
mod encrypted;
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

pub use closed_form::{EncryptedNormalEquations, NormalEquations};
pub use encrypted::{EncryptedModel, Progress, Trains, row_packing};
pub use linear::{LinearRegression, Ridge};
pub use logistic::LogisticRegression;
pub use plain::{ClearFit, Kind, PlainModel};
pub use plan::{Plannable, TrainingPlan};
pub use scaling::{Scaler, Scaling, Whitening};
pub use schedule::{Batch, Intercept, LearningRate, Solver};
pub use sigmoid::{Degree, Sigmoid};
pub use statistics::EncryptedStatistics;
pub use table::Table;
