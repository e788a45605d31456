//! Encrypted real matrices whose products are plain matrix products: lines in the coefficients of small ciphertexts, modulo
//! 16-bit primes.
//!
//! ```
//! use cipherblas_ckks::matrix::{Evaluator, Params, SecretKey};
//! use cipherblas_scheme::{DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a doctest; elsewhere a cryptographic generator
//! // Here without security, to be quick; leave the degree out.
//! let params = Params::builder().inner(4).len(16).precision_bits(20).insecure_degree(64).build()?;
//! let key = SecretKey::generate(&params, &mut rng)?;
//! let keys = key.evaluation_keys(&MatrixKeySet::products(16)?, &mut rng)?;
//!
//! // The server's side: X'X of four rows of two values.
//! let x = [0.5, 0.25, -1.0, 0.0, 0.75, 1.0, 0.0, -0.5];
//! let block = key.encrypt_block(&x, 4, None, Lines::Packed, params.depth(), None, &mut rng)?;
//! let evaluator = Evaluator::new(&params, keys)?;
//! let gram = evaluator.syrk(&[&block])?;
//!
//! let values = key.decrypt_block(&gram)?;
//! let error = evaluator.error_bound(&gram);
//! assert!(error < 2e-6);
//! for (value, exact) in values.iter().zip([1.8125, 0.875, 0.875, 1.3125]) {
//!     assert!((value - exact).abs() <= error);
//! }
//! # Ok::<(), cipherblas_ckks::Error>(())
//! ```
//!
//! The user never sees a scale: blocks of one depth have one scale, and every product keeps it. Every block carries a bound
//! on its error ([`Bounds`]) that depends on public data only.
//!
//! Decryption that can be shown to others (`decrypt_shared`) is not offered for matrices: decrypted values are for the key's
//! owner.

mod bounds;
mod builder;
mod coding;
mod params;

pub use bounds::Bounds;
pub use builder::ParamsBuilder;
pub use cipherblas_rlwe::EvaluationKeys;
pub use cipherblas_rlwe::matrix::coded::Encryptor;
pub use params::Params;

use cipherblas_rlwe::matrix::coded;

/// An encrypted block of lines of reals.
pub type Block = coded::CodedBlock<Params>;
/// Computes on blocks, without any secret.
pub type Evaluator = coded::CodedEvaluator<Params>;
/// Encrypts and decrypts blocks, and makes the other keys.
pub type SecretKey = coded::CodedSecretKey<Params>;
/// Encrypts blocks.
pub type PublicKey = coded::CodedPublicKey<Params>;
