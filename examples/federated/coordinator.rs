//! The coordinator: adds up what it cannot read.

use cipherblas::linalg::EncryptedVector;
use cipherblas::scheme::{Add, Result, Wire};

/// Holds parameters and the public side of the scheme; no key that reads anything.
pub(crate) struct Coordinator<S> {
    scheme: S,
}

impl<S: Add + Wire> Coordinator<S> {
    pub(crate) fn new(scheme: S) -> Self {
        Self { scheme }
    }

    /// The encrypted total of the owners' encrypted vectors.
    pub(crate) fn add_up(&self, messages: &[Vec<u8>]) -> Result<Vec<u8>> {
        let vectors = messages
            .iter()
            .map(|bytes| EncryptedVector::from_bytes(&self.scheme, bytes))
            .collect::<Result<Vec<_>>>()?;
        EncryptedVector::total(&vectors.iter().collect::<Vec<_>>())?.to_bytes()
    }
}
