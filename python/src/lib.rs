//! The native part of the Python package `cipherblas`: arrays, keys and models of the Rust crates, behind `cipherblas._core`.
//!
//! No mathematics here: what an operation does, and how it is packed, is decided by `cipherblas_linalg` and `cipherblas_models`.

use pyo3::prelude::*;

/// The native part of `cipherblas`; everything public is re-exported by the package.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
