//! BFV (Brakerski, eprint 2012/078; Fan, Vercauteren, eprint 2012/144): exact arithmetic on encrypted integers, in RNS.
//!
//! Leveled: a product ends with a switch of the modulus, so that noise comes back to a floor and later work is smaller.
//! Values are signed integers modulo a product of plaintext primes (plaintext CRT), exact and never wrapped around:
//! every ciphertext carries public bounds on its noise and on its values ([`noise`]), and an operation whose result
//! might not be right is refused.
//!
//! | module | contents |
//! |---|---|
//! | [`params`] | parameters from the job: depth, size of the integers, room for sums, security |
//! | [`noise`] | the worst-case bound, derived |
//! | [`keys`] | the secret and the public key, encryption, decryption |
//! | [`evaluator`] | everything that a server does |
//! | [`matrix`] | encrypted matrices whose products are plain matrix products |
//! | `encoder`, `crt` | integers to polynomials and back |
//! | `multiply` | products without big integers |
//!
//! # Sums and products
//! Sums cost noise: along a path through the computation the numbers of terms that are summed, before products and after,
//! may multiply to `2^headroom_bits`. Products with plain values (masks, weights) and
//! [`lower_to`](cipherblas_scheme::Scheme::lower_to) a smaller depth bring noise down; products of two ciphertexts keep it.
//!
//! It is not for reals (CKKS), nor for comparisons (TFHE).

mod builder;
mod chain;
mod ciphertext;
mod crt;
mod encoder;
pub mod evaluator;
pub mod keys;
pub mod matrix;
mod multiply;
pub mod noise;
pub mod params;
#[cfg(test)]
mod testing;
mod wire;

pub use builder::ParamsBuilder;
pub use cipherblas_rlwe::EvaluationKeys;
pub use cipherblas_scheme::security::SecurityLevel;
pub use cipherblas_scheme::{Error, KeySet, Result};
pub use ciphertext::Ciphertext;
pub use evaluator::{Evaluator, Plaintext};
pub use keys::{PublicKey, Rows, SecretKey};
pub use params::Params;
