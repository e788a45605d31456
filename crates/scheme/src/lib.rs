//! What an encryption scheme can do.
//!
//! This crate sits below every scheme and below the linear algebra: it holds the small capability traits
//! ([`capability`]; for whole matrices [`matrix`]), the one error type ([`Error`]), the security tables ([`security`]), the envelope of every
//! serialized object ([`wire`]), the randomness of single objects ([`hedge`]), secret keys under a passphrase ([`sealed`]), a scheme that computes in clear for tests and simulation ([`clear`]), and the suite
//! that every scheme must pass ([`conformance`]). Two wrappers are schemes themselves: one that can be stopped and puts
//! rotations together ([`guard`]), one that refuses products and rotations by name ([`additive`]).
//!
//! It knows no ring, no key and no ciphertext, and contains no mathematics of encryption.

pub mod additive;
pub mod bounds;
pub mod capability;
pub mod clear;
pub mod conformance;
mod error;
pub mod guard;
pub mod hedge;
mod key_set;
pub mod matrix;
pub mod sealed;
pub mod security;
mod verdict;
pub mod wire;

pub use additive::{AdditiveKey, AdditiveOnly};
pub use capability::{
    Add, AddPlain, Combine, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Rotate, Scheme, Value,
    WeightMatrix, Wire,
};
pub use clear::{ClearCiphertext, ClearKey, ClearMatrices, ClearScheme};
pub use error::{Error, Result};
pub use guard::{Guarded, GuardedKey, Watch};
pub use key_set::KeySet;
pub use matrix::{DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme, Side};
pub use verdict::Verdict;
