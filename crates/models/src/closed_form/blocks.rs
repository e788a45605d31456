//! The normal equations from one Gram matrix, at the speed of plain matrix products.
//!
//! The owner of the rows encrypts the design `[X | 1 | y]` as a [`BlockMatrix`] by rows, the server computes its Gram
//! matrix: one level, no rotations, any number of rows. In it lie `X'X`, `X'1`, `X'y` and `y'y`:
//!
//! ```text
//!         | X'X  X'1  X'y |
//!         | 1'X  1'1  1'y |
//!         | y'X  y'1  y'y |
//! ```
//!
//! Several owners of rows encrypt under one key; their Gram matrices add up.

use super::NormalEquations;
use crate::clear::exact::{Normal, unknowns};
use crate::schedule::Intercept;
use crate::table::Table;
use crate::{FixedPoint, LinearRegression, Ridge};
use cipherblas_linalg::{BlockMatrix, BlockOptions};
use cipherblas_scheme::matrix::{DecryptMatrix, EncryptMatrix, MatrixScheme};
use cipherblas_scheme::{Error, Result};
use rand::CryptoRng;

/// Levels that the Gram matrix of a design takes, whatever the shape, if it is held by rows.
pub const DEPTH: usize = 1;

/// Columns of the design `[X | 1 | y]`, the constant one only with an intercept.
pub fn design_columns(features: usize, intercept: Intercept) -> usize {
    unknowns(features, intercept) + 1
}

/// Encrypts the design of rows and targets. The bound that `options` declare holds for features, targets and the constant 1:
/// scale features and targets to a common range.
///
/// # Errors
/// `Shape` unless there is one target per row; `Value` for NaN or infinity, or a value beyond the bound, with its index in the
/// design; as [`BlockMatrix::encrypt`].
pub fn encrypt_design<E, K, R>(
    key: &K,
    x: &Table<'_>,
    y: &[f64],
    intercept: Intercept,
    options: &BlockOptions,
    rng: &mut R,
) -> Result<BlockMatrix<E>>
where
    E: MatrixScheme<Value = f64>,
    K: EncryptMatrix<Scheme = E>,
    R: CryptoRng + ?Sized,
{
    encrypt(key, x, y, intercept, options, rng, Ok)
}

/// As [`encrypt_design`], over integers in fixed point: for exact schemes. The bound is one on encodings
/// ([`FixedPoint::max_encoded`]).
///
/// # Errors
/// As [`encrypt_design`]; `Value` for a value whose encoding is too large.
pub fn encrypt_design_fixed_point<E, K, R>(
    key: &K,
    x: &Table<'_>,
    y: &[f64],
    intercept: Intercept,
    encoding: FixedPoint,
    options: &BlockOptions,
    rng: &mut R,
) -> Result<BlockMatrix<E>>
where
    E: MatrixScheme<Value = i64>,
    K: EncryptMatrix<Scheme = E>,
    R: CryptoRng + ?Sized,
{
    encrypt(key, x, y, intercept, options, rng, |values| {
        encoding.encode(&values)
    })
}

fn encrypt<E, K, R>(
    key: &K,
    x: &Table<'_>,
    y: &[f64],
    intercept: Intercept,
    options: &BlockOptions,
    rng: &mut R,
    encode: impl Fn(Vec<f64>) -> Result<Vec<E::Value>>,
) -> Result<BlockMatrix<E>>
where
    E: MatrixScheme,
    K: EncryptMatrix<Scheme = E>,
    R: CryptoRng + ?Sized,
{
    x.check_targets("design", y)?;
    let width = design_columns(x.cols(), intercept);
    let value = |row: usize, column: usize| match x.row(row).get(column) {
        Some(&feature) => feature,
        None if column + 1 == width => y[row],
        None => 1.0,
    };
    BlockMatrix::encrypt_from(key, x.rows(), width, options, rng, |rows, columns| {
        let rows = rows.flat_map(|row| columns.clone().map(move |column| (row, column)));
        encode(rows.map(|(row, column)| value(row, column)).collect())
    })
}

/// The Gram matrix of a design, encrypted: what ordinary least squares and ridge regression ask of the rows.
#[derive(Clone, Debug)]
pub struct BlockNormalEquations<E: MatrixScheme> {
    features: usize,
    gram: BlockMatrix<E>,
}

impl<E: MatrixScheme> BlockNormalEquations<E> {
    /// Computes it from an encrypted design. One level; the keys of products on its grid; see [`BlockMatrix::gram`].
    ///
    /// # Errors
    /// `Shape` for a design without features; as [`BlockMatrix::gram`].
    pub fn new(design: &BlockMatrix<E>, intercept: Intercept) -> Result<Self> {
        let features = features(design.cols(), intercept)?;
        Ok(Self {
            features,
            gram: design.gram()?,
        })
    }

    /// From a Gram matrix that came over the wire.
    ///
    /// # Errors
    /// `Shape` unless it is square, of a design with features.
    pub fn from_gram(gram: BlockMatrix<E>, intercept: Intercept) -> Result<Self> {
        let features = features(gram.cols(), intercept)?;
        if gram.rows() != gram.cols() {
            return Err(Error::Shape {
                operation: "normal equations",
                got: format!("{} x {}", gram.rows(), gram.cols()),
                expected: "a square matrix".into(),
                hint: "pass the Gram matrix of a design",
            });
        }
        Ok(Self { features, gram })
    }

    /// The encrypted Gram matrix.
    pub fn gram(&self) -> &BlockMatrix<E> {
        &self.gram
    }

    /// The equations of the rows of both. No depth, no keys.
    ///
    /// # Errors
    /// `Shape` for different designs; `KeyMismatch`, `Overflow`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        if self.features != other.features {
            return Err(crate::table::features_differ(
                "normal equations",
                other.features,
                self.features,
            ));
        }
        Ok(Self {
            features: self.features,
            gram: self.gram.add(&other.gram)?,
        })
    }

    /// The equations in clear, for the owner of the key.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`; `Wire` if a file was altered.
    pub fn decrypt<K: DecryptMatrix<Scheme = E>>(&self, key: &K) -> Result<NormalEquations>
    where
        E: MatrixScheme<Value = f64>,
    {
        Ok(self.in_clear(&self.gram.decrypt(key)?))
    }

    /// The equations in clear, from a design that was encoded in fixed point: exactly those of the encoded rows, but for the
    /// rounding of the sums to doubles.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt).
    pub fn decrypt_fixed_point<K: DecryptMatrix<Scheme = E>>(
        &self,
        key: &K,
        encoding: FixedPoint,
    ) -> Result<NormalEquations>
    where
        E: MatrixScheme<Value = i64>,
    {
        Ok(self.in_clear(&encoding.decode(&self.gram.decrypt(key)?, 2)))
    }

    fn in_clear(&self, sums: &[f64]) -> NormalEquations {
        let width = self.gram.cols();
        let n = width - 1;
        // Symmetric but for the noise of the encryption.
        let mean = |i: usize, j: usize| (sums[i * width + j] + sums[j * width + i]) / 2.0;
        let gram = (0..n * n).map(|at| mean(at / n, at % n)).collect();
        let moment = (0..n).map(|i| mean(i, n)).collect();
        NormalEquations {
            features: self.features,
            normal: Normal { n, gram, moment },
        }
    }
}

/// Features of a design of so many columns.
fn features(columns: usize, intercept: Intercept) -> Result<usize> {
    let others = design_columns(0, intercept);
    columns
        .checked_sub(others)
        .filter(|&n| n > 0)
        .ok_or_else(|| Error::Shape {
            operation: "normal equations",
            got: format!("a design of {columns} columns"),
            expected: format!("features, and {others} more"),
            hint: "encrypt rows and targets with `encrypt_design`, with the same intercept",
        })
}

impl Ridge {
    /// The encrypted normal equations from a design in blocks; the owner decrypts and [solves](NormalEquations::solve)
    /// them with `alpha`.
    ///
    /// # Errors
    /// As [`BlockNormalEquations::new`].
    pub fn block_normal_equations<E: MatrixScheme>(
        &self,
        design: &BlockMatrix<E>,
    ) -> Result<BlockNormalEquations<E>> {
        BlockNormalEquations::new(design, self.descent.intercept)
    }
}

impl LinearRegression {
    /// The encrypted normal equations from a design in blocks; the owner decrypts and [solves](NormalEquations::solve)
    /// them with `alpha` zero.
    ///
    /// # Errors
    /// As [`BlockNormalEquations::new`].
    pub fn block_normal_equations<E: MatrixScheme>(
        &self,
        design: &BlockMatrix<E>,
    ) -> Result<BlockNormalEquations<E>> {
        BlockNormalEquations::new(design, self.descent.intercept)
    }
}
