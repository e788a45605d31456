//! Products of matrices modulo primes of 13.5 bits, in 16-bit integers.
//!
//! Processors multiply 16-bit integers faster than doubles: one instruction (`vpmaddwd`) multiplies pairs and sums them in 32
//! bits. A modulus `G` that need not be friendly to transforms is a [`Basis`] of such primes, and a product modulo `G` is one
//! 16-bit product a prime.
//!
//! # Exactness
//! Residues are centred, `|r| <= 5789` for the largest prime, so that 64 products are at most `64 * 5789^2 < 2^31 - 2^21`.
//! After at most as many, sums are reduced.

mod gemm;
mod prime;
#[cfg(test)]
mod tests;
mod view;

pub use gemm::{gemm, gemm_tn, gemm_tn_with, gemm_with, syrk, syrk_with};
pub use prime::{Basis, MAX_PRIME, PRIMES, Prime};
pub use view::{Strided, StridedMut};
