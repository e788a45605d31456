//! Randomness: seeded by the system for every call, so that nothing is shared by threads or survives a fork.

use chacha20::ChaCha20Rng;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rand::SeedableRng;
use rand::rngs::SysRng;

/// A generator with 256 fresh bits from the operating system, erased when dropped.
pub(crate) fn generator() -> PyResult<ChaCha20Rng> {
    ChaCha20Rng::try_from_rng(&mut SysRng)
        .map_err(|error| PyOSError::new_err(format!("no randomness from the system: {error}")))
}
