//! Products of matrices modulo primes of 13.5 bits, in 16-bit integers.
//!
//! Processors multiply 16-bit integers faster than doubles: one instruction (`vpmaddwd`) multiplies pairs and sums them in 32
//! bits. A modulus `G` that need not be friendly to transforms is a [`Basis`] of such primes, and a product modulo `G` is one
//! 16-bit product a prime.
//!
//! # Exactness
//! Residues are centred, `|r| <= 5789` for the largest prime, so that 64 products are at most `64 * 5789^2 < 2^31 - 2^21`.
//! After at most as many, sums are reduced.
//!
//! # Changes of modulus
//! [`ToWide`], [`ToNarrow`] and [`Between`] round `x B / A` or take the centred `x` from one modulus to another, in a few
//! operations a residue; [`Reconstruct`] gives whole numbers; [`reduce_i64`] and its kin make residues.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod blocks;
mod convert;
mod gemm;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod pack;
mod prime;
pub mod switch;
#[cfg(test)]
mod switch_tests;
#[cfg(test)]
mod tests;
mod view;

pub use convert::{
    Reconstruct, add_assign, reduce_i64, reduce_i128, reduce_scaled, reduce_scaled_with,
    scale_assign, sub_assign,
};
pub use gemm::{gemm, gemm_tn, gemm_tn_with, gemm_with, syrk, syrk_with};
pub use prime::{Basis, MAX_PRIME, PRIMES, Prime};
pub use switch::{Between, MAX_WIDE, Rule, ToNarrow, ToWide};
pub use view::{Strided, StridedMut};

/// `len` zeros, like those of a new vector; large ones in large pages where the system has them.
pub fn zeros(len: usize) -> Vec<i16> {
    let out = vec![0; len];
    crate::memory::large_pages(out.as_ptr(), len);
    out
}
