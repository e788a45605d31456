//! The native part of the Python package `cipherblas`: arrays, keys and models of the Rust crates, behind `cipherblas._core`.
//!
//! No mathematics here: what an operation does, and how it is packed, is decided by `cipherblas_linalg` and `cipherblas_models`.
//!
//! | module | holds |
//! |---|---|
//! | `array`, `keys`, `params`, `plan`, `models` | the classes |
//! | `convert`, `buffer`, `error` | NumPy arrays, bytes and exceptions |
//! | `run` | threads, interruption, progress, forks |
//! | `random` | generators seeded by the system |

mod array;
mod buffer;
mod convert;
mod error;
mod keys;
mod models;
mod params;
mod plan;
mod random;
mod run;

use pyo3::prelude::*;

/// The native part of `cipherblas`; everything public is re-exported by the package.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::array::{Array, Packing};
    #[pymodule_export]
    use crate::keys::{Context, EvaluationKeys, PublicKey, SecretKey};
    #[pymodule_export]
    use crate::models::{
        EncryptedModel, FederatedOwner, FederatedRounds, FitPlan, NormalEquations, Scaler,
        TargetScaler, Trainer, feature_scaler, feature_sums, solve_normal_equations,
    };
    #[pymodule_export]
    use crate::params::Params;
    #[pymodule_export]
    use crate::plan::{Plan, rotations_of_powers_of_two, trace};
    #[pymodule_export]
    use crate::run::{
        after_fork_in_child, after_fork_in_parent, before_fork, get_num_threads, set_num_threads,
    };

    /// Which arithmetic is in use: `avx2`, `avx512` or `scalar`.
    #[pyfunction]
    fn backend() -> String {
        cipherblas_math::Backend::detect().name().to_owned()
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
