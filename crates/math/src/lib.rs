//! Mathematics of the rings `Z_q[X]/(X^n + 1)`: residues, transforms, residue number systems, sampling.
//!
//! # Residues
//! Every prime is below 2^50 and a residue is an integer held in an `f64`. Between calls a residue is any `x` with
//! `|x| <= p` that is congruent to its value ("lazy"); `Modulus::canonical` gives the representative in `0..p`.

pub mod aligned;
pub mod backend;
mod error;
pub mod fft;
pub mod galois;
pub mod gemm;
mod memory;
pub mod modulus;
pub mod narrow;
pub mod ntt;
pub mod pointwise;
pub mod primes;
pub mod rns;
pub mod sample;

pub use aligned::AlignedVec;
pub use backend::Backend;
pub use error::{MathError, Result};
pub use fft::EmbeddingPlan;
pub use galois::GaloisPermutation;
pub use modulus::Modulus;
pub use ntt::NttPlan;
pub use pointwise::Kernels;
pub use rns::{BaseConverter, CrtReconstructor};
