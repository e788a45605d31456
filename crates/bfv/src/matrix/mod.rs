//! Encrypted integer matrices whose products are plain matrix products, exact: lines in the coefficients of small
//! ciphertexts, modulo 16-bit primes.
//!
//! ```
//! use cipherblas_bfv::matrix::{Evaluator, Params, SecretKey};
//! use cipherblas_scheme::{DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a doctest; elsewhere a cryptographic generator
//! // Here without security, to be quick; leave the degree out.
//! let params = Params::builder().inner(4).len(16).plaintext_bits(16).insecure_degree(64).build()?;
//! let key = SecretKey::generate(&params, &mut rng)?;
//! let keys = key.evaluation_keys(&MatrixKeySet::products(16)?, &mut rng)?;
//!
//! // The server's side: X'X of four rows of two values, declared to be at most 10.
//! let x = [5, -2, 1, 0, 7, 10, 0, -5];
//! let block = key.encrypt_block(&x, 4, None, Lines::Packed, params.depth(), Some(10.0), &mut rng)?;
//! let gram = Evaluator::new(&params, keys)?.syrk(&[&block])?;
//!
//! assert_eq!(key.decrypt_block(&gram)?, [75, 60, 60, 129]);
//! # Ok::<(), cipherblas_bfv::Error>(())
//! ```
//!
//! # Encoding
//! A value v is a phase `[u v] + t e` modulo G, `[.]` centred modulo t, as in BGV (Brakerski, Gentry, Vaikuntanathan, eprint
//! 2011/277): the value is in the low bits, errors are multiples of the plaintext modulus `t = 2^plaintext_bits`. The *unit*
//! u is a public number that products and changes of modulus multiply: it is tracked with the block and divided away at
//! decryption.
//!
//! # Exactness
//! Every block carries a bound on its phase ([`Bounds`]); an operation whose result might leave the modulus is
//! `Error::Noise`, one whose values might leave `-t/2..t/2` is `Error::Overflow`. What encryption and plain data contribute to
//! the bound is taken at its worst. What roundings and key switches contribute holds but for 2^-176 a value and source, in the model of
//! [`noise`](cipherblas_rlwe::matrix::noise), so for a block but for 2^-128: unlike those of [`Ciphertext`](crate::Ciphertext)s,
//! these bounds are not worst case, and a block that was made to fail tells about the key if its owner tells that it failed. Decrypted values are for the key's owner; decryption that can be shown to others
//! (`decrypt_shared`) is not offered for matrices.

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

/// An encrypted block of lines of integers.
pub type Block = coded::CodedBlock<Params>;
/// Computes on blocks, without any secret.
pub type Evaluator = coded::CodedEvaluator<Params>;
/// Encrypts and decrypts blocks, and makes the other keys.
pub type SecretKey = coded::CodedSecretKey<Params>;
/// Encrypts blocks.
pub type PublicKey = coded::CodedPublicKey<Params>;
