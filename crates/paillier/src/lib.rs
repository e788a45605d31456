//! Paillier (EUROCRYPT 1999): sums and plain products of encrypted numbers, from arithmetic modulo the square of an
//! RSA modulus.
//!
//! | module | contents |
//! |---|---|
//! | [`keys`] | the public and the secret key as numbers: generation, validation, encryption and decryption of integers |
//! | [`group`] | ciphertexts as group elements: products, powers, multi-exponentiation |
//!
//! It is not for products of encrypted values (BFV, CKKS).

mod arith;
pub mod group;
pub mod keys;
mod prime;

pub use cipherblas_scheme::{Error, Result};
