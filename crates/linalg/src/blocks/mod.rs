//! Encrypted matrices of any size in blocks of lines, for products at the speed of plain ones.
//!
//! A [`BlockMatrix`] is held by its rows or by its columns ([`Format`]): these *lines* lie in the coefficients of
//! ciphertexts, and products are exact matrix products of residues ([`MatrixScheme`]). It is cut into blocks,
//!
//! ```text
//!              segment of a line     rest
//!   chunk    [  block 0           ][  block 1  ]      a block: some lines, and of each a segment
//!   of lines [                    ][           ]      of at most `max_len` values
//!   chunk    [  block 2           ][  block 3  ]
//! ```
//!
//! which are kept in memory, or beyond a budget in files ([`Store`]): operations read them when they need them.
//!
//! # Which format
//! A product sums over lines. `A B` takes A by its **columns** and B by its **rows**; `A'B` both by rows, `A B'` both by
//! columns, and `X'X` X by rows. The transpose is a change of label ([`BlockMatrix::t`]). Results come in either format, at
//! no cost: choose the one that the next product wants. Where a format does not fit, it is changed at the price of one more
//! level if there is one ([`BlockMatrix::reformat`]).
//!
//! Lines are packed, as many as fit in a ciphertext, or single ([`Lines`]); both are the same for lines of more than half
//! of `max_len`. Products of encrypted matrices take and give packed ones at the lowest price, those with plain matrices
//! give single ones. Both factors of a product have one layout.
//!
//! Factors have their lines on one grid: encrypt the shorter one with [`BlockOptions::line`].
//!
//! ```
//! use cipherblas_linalg::{BlockMatrix, BlockOptions};
//! use cipherblas_scheme::{ClearMatrices, MatrixKeySet};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! // The scheme in clear stands for any other here.
//! let server = ClearMatrices::<f64>::new(64, 1)?.with_keys(&MatrixKeySet::products(2)?);
//! let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
//! let rows = BlockOptions::new();
//! let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
//! let x = BlockMatrix::encrypt(&key, 3, 2, &x, &rows, &mut rng)?.bind(&server)?;
//! let y = BlockMatrix::encrypt(&key, 3, 1, &[1.0, 0.0, -1.0], &rows, &mut rng)?.bind(&server)?;
//! assert_eq!(x.gram()?.decrypt(&key)?, [35.0, 44.0, 44.0, 56.0]);
//! assert_eq!(x.t_matmul(&y)?.decrypt(&key)?, [-4.0, -4.0]);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod arithmetic;
mod grid;
mod matrix;
mod options;
mod products;
mod store;
mod wire;

#[cfg(doc)]
use cipherblas_scheme::matrix::MatrixScheme;

pub use cipherblas_scheme::matrix::Lines;
pub use matrix::BlockMatrix;
pub use options::{BlockOptions, Format};
pub use store::Store;

pub(crate) use grid::cut;
