//! CKKS (Cheon, Kim, Kim, Song, eprint 2016/421): approximate arithmetic on encrypted reals, in RNS
//! (Cheon, Han, Kim, Kim, Song, eprint 2018/931).
//!
//! The user never sees a scale. Each level of the chain has one canonical scale; a ciphertext at level `l` always has the
//! scale of level `l`, plain operands are encoded so that results are canonical, and rescaling is part of every product.
//! Every ciphertext carries a bound on its error that depends on public data only ([`noise`]).
//!
//! | module | contents |
//! |---|---|
//! | [`params`] | parameters from the job: depth, precision, security |
//! | [`noise`] | the error bounds, derived |
//! | [`encoder`] | reals to polynomials and back |
//! | [`keys`] | the secret and the public key, encryption, decryption |
//! | [`evaluator`] | everything that a server does |
//! | [`matrix`] | encrypted matrices whose products are plain matrix products |
//! | [`share`] | decryption for others: noise flooding against IND-CPA-D attacks |
//!
//! It is not for exact integers (BFV), nor for comparisons (TFHE).

mod chain;
mod ciphertext;
pub mod encoder;
pub mod evaluator;
pub mod keys;
pub mod matrix;
pub mod noise;
pub mod params;
pub mod share;
mod wire;

pub use cipherblas_rlwe::EvaluationKeys;
pub use cipherblas_scheme::security::SecurityLevel;
pub use cipherblas_scheme::{Error, KeySet, Result};
pub use ciphertext::Ciphertext;
pub use evaluator::{Evaluator, Plaintext};
pub use keys::{PublicKey, SecretKey};
pub use params::{Params, ParamsBuilder};
