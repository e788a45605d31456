//! BLAS for ciphertexts: encrypted vectors, matrices and linear models.
//!
//! The owner of some data encrypts them and sends them with the evaluation keys that the computation needs; a server
//! multiplies, sums and trains without a key that decrypts; the owner decrypts the result. Two roles, and bytes between
//! them.
//!
//! | module | holds |
//! |---|---|
//! | [`bfv`] | the scheme for exact integers: worst-case bounds on noise and values, no wrapping, no decryption failure |
//! | [`ckks`] | the scheme for approximate reals: parameters from the job, keys, evaluator |
//! | [`paillier`] | the scheme for sums: fixed point, plain products only, no evaluation keys |
//! | [`bfv::matrix`], [`ckks::matrix`] | encrypted matrices whose products are plain matrix products modulo 16-bit primes |
//! | [`linalg`] | [`EncryptedVector`], [`EncryptedMatrix`], [`BlockMatrix`](linalg::BlockMatrix), plans; [`EncryptedArray`](linalg::EncryptedArray), which aligns by itself as NumPy does |
//! | [`models`] | linear, ridge and logistic regression: encrypted training and inference |
//! | [`scheme`] | what a scheme can do, a scheme in clear for tests, wire format, security tables |
//!
//! # The way of the data
//! ```text
//! plain matrix -> pack -> encode -> encrypt -> [ linear algebra -> model ] -> decrypt -> decode -> unpack
//!    (owner)                                      (server, no secrets)           (owner)
//! ```
//!
//! # Depth
//! A ciphertext takes a fixed number of multiplications one after another: its depth, set by the parameters. Sums and
//! rotations are free, a product takes one level, matrix x vector takes two, a step of logistic regression four. Plans
//! tell before any key is made ([`linalg::Plan`], [`models::TrainingPlan`]); what does not fit is [`Error::Depth`].
//!
//! # Two ways to hold a matrix
//! [`EncryptedMatrix`] lies in slots: everything that a scheme can do can be done with it, product by product. A
//! [`BlockMatrix`](linalg::BlockMatrix) lies in coefficients of small ciphertexts ([`ckks::matrix`], [`bfv::matrix`]): it
//! is for products of large matrices, Gram matrices among them, at a small multiple of the price of plain ones.
//!
//! # Examples
//! `encrypted_training` is the main one: logistic regression trained on encrypted data, beside its twin in clear.
//! `quickstart` is the README's, `ridge_closed_form` solves least squares from encrypted normal equations,
//! `exact_ridge` does so over exact integers, `federated_ridge` and
//! `federated_logistic` train over several owners' rows from encrypted sums. `encrypted_gemm` multiplies large matrices.

pub use cipherblas_bfv as bfv;
pub use cipherblas_ckks as ckks;
pub use cipherblas_linalg as linalg;
pub use cipherblas_models as models;
pub use cipherblas_paillier as paillier;
pub use cipherblas_scheme as scheme;

pub use linalg::{EncryptedMatrix, EncryptedVector};
pub use scheme::{Error, Result};

/// The README's code, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
