//! Encrypted vectors and matrices over any scheme.
//!
//! This crate turns what a scheme can do slot by slot (the capabilities of [`cipherblas_scheme`]) into linear algebra on
//! arrays of any shape, blocked over as many ciphertexts as they need. It knows no scheme: everything is generic
//! over the evaluator, and tested in clear first.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@array`] | [`EncryptedArray`]: NumPy's semantics in 0 to 2 dimensions, packings chosen and aligned by itself |
//! | [`packing`] | where values lie in slots |
//! | [`blocks`] | [`BlockMatrix`]: matrices of any size in blocks of lines, for products at the speed of plain ones |
//! | [`encrypted`] | [`EncryptedVector`], [`EncryptedMatrix`], [`PlainMatrix`] |
//! | `kernel` | the algorithms |
//! | [`plan`] | keys, depth, rotations and estimated time of a computation, before any key is made |
//! | [`polynomial`] | polynomials at the least depth |
//! | [`shape`] | dimensions and axes |
//!
//! Not for: keys and parameters (the schemes), training and inference (`cipherblas-models`).
//!
//! ```
//! use cipherblas_linalg::{EncryptedMatrix, EncryptedVector};
//! use cipherblas_scheme::ClearScheme;
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let server = ClearScheme::new(16, 3)?;
//! let key = server.key();
//! let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let a = EncryptedMatrix::encrypt(&key, 2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut rng)?.bind(&server)?;
//! let v = EncryptedVector::encrypt(&key, &[1.0, 0.0, -1.0], &mut rng)?.bind(&server)?;
//! let y = a.matvec(&(&v * 2.0)?)?;
//! assert_eq!(y.decrypt(&key)?, [-4.0, -4.0]);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

pub mod array;
pub mod blocks;
pub mod encrypted;
mod kernel;
pub mod packing;
pub mod plan;
pub mod polynomial;
pub mod shape;
mod wire;

pub use array::{ArrayOptions, ArrayPacking, Computes, EncryptedArray, Index, PlainArray};
pub use blocks::{BlockMatrix, BlockOptions, Format, Store};
pub use encrypted::{
    BatchPacking, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector, MatmulMethod,
    PlainMatrix, PreparedMatrix,
};
pub use packing::{Diagonal, Factor, MatrixPacking, Order, Skewed, Tile, VectorPacking};
pub use plan::Plan;
pub use shape::Axis;
