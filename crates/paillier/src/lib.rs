//! Paillier (EUROCRYPT 1999): sums and plain products of encrypted numbers, from arithmetic modulo the square of an
//! RSA modulus.
//!
//! Values are signed fixed-point numbers, several to a ciphertext. Sums and plain products of ciphertexts need the public key
//! only: there are no evaluation keys. Every ciphertext carries bounds on its values and on its error; what could overflow is
//! refused before it is computed.
//!
//! | module | contents |
//! |---|---|
//! | [`params`] | modulus, fixed point, slots, range |
//! | [`encrypt`] | the secret and the public key: encryption, decryption |
//! | [`evaluator`] | everything that a server does |
//! | [`interop`] | keys and numbers of python-paillier |
//! | [`keys`] | the public and the secret key as numbers: generation, validation, encryption and decryption of integers |
//! | [`group`] | ciphertexts as group elements: products, powers, multi-exponentiation |
//!
//! It is not for products of encrypted values (BFV, CKKS), and slots cannot be rotated.

mod arith;
mod bounds;
mod ciphertext;
mod codec;
pub mod encrypt;
pub mod evaluator;
pub mod group;
pub mod interop;
pub mod keys;
pub mod params;
mod prime;
mod wire;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use arith::testing;
pub use cipherblas_scheme::{Error, Result};
pub use ciphertext::Ciphertext;
pub use encrypt::{PublicKey, SecretKey};
pub use evaluator::{Evaluator, Plaintext};
pub use keys::Blinding;
pub use params::{Params, ParamsBuilder};
