//! The encrypted rows as training and inference want them: with a column of ones where there is an intercept.

use crate::schedule::Intercept;
use cipherblas_linalg::packing::{MatrixPacking, Order, Tile};
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector};
use cipherblas_scheme::{AddPlain, Error, Result, Scheme, Value};
use std::ops::Range;

/// The packing in which to encrypt `rows` rows of `features` features, so that there is room for the column of ones.
///
/// # Errors
/// `Shape` if a dimension is zero or does not fit in memory.
pub fn row_packing(
    rows: usize,
    features: usize,
    intercept: Intercept,
    slots: usize,
) -> Result<Tile> {
    let columns = features.saturating_add(usize::from(intercept == Intercept::Fit));
    Tile::fit(Order::RowMajor, rows, columns, slots)
}

/// The row-major tile of a matrix.
pub(crate) fn row_tile<S: Scheme>(operation: &'static str, x: &EncryptedMatrix<S>) -> Result<Tile> {
    match x.packing() {
        MatrixPacking::Tile(tile) if tile.order() == Order::RowMajor => Ok(tile),
        other => Err(Error::Shape {
            operation,
            got: format!("{other:?}"),
            expected: "a row-major tile".into(),
            hint: "encrypt the rows in the packing of the training plan",
        }),
    }
}

/// Appends the column of ones, where there is an intercept. It lies in what was padding: no level, no rotation.
pub(crate) fn with_ones<S: AddPlain + Scheme<Value = f64>>(
    operation: &'static str,
    x: &EncryptedMatrix<S>,
    intercept: Intercept,
) -> Result<EncryptedMatrix<S>> {
    with_constant(operation, x, intercept, 1.0)
}

/// As [`with_ones`], for values of which `unit` stands for one.
pub(crate) fn with_constant<S: AddPlain>(
    operation: &'static str,
    x: &EncryptedMatrix<S>,
    intercept: Intercept,
    unit: S::Value,
) -> Result<EncryptedMatrix<S>> {
    let tile = row_tile(operation, x)?;
    if intercept == Intercept::Omit {
        return Ok(x.clone());
    }
    let (rows, cols) = x.shape();
    if cols % tile.columns_per_block() == 0 {
        return Err(Error::Shape {
            operation,
            got: format!("{cols} columns in a tile of {}", tile.columns_per_block()),
            expected: "room for the column of ones that the intercept needs".into(),
            hint: "encrypt the rows in the packing of the training plan, or omit the intercept",
        });
    }
    let wider = EncryptedMatrix::from_ciphertexts(
        x.evaluator().clone(),
        rows,
        cols + 1,
        tile,
        x.ciphertexts().cloned().collect(),
    )?;
    let mut ones = vec![S::Value::ZERO; rows * (cols + 1)];
    ones.iter_mut()
        .skip(cols)
        .step_by(cols + 1)
        .for_each(|v| *v = unit);
    wider.add_plain(&ones)
}

/// The rows in `rows`, which begin and end with a block.
pub(crate) fn block_rows<S: Scheme>(
    x: &EncryptedMatrix<S>,
    tile: &Tile,
    rows: &Range<usize>,
) -> Result<EncryptedMatrix<S>> {
    let across = x.cols().div_ceil(tile.columns_per_block());
    let blocks = blocks(rows, tile.rows_per_block());
    EncryptedMatrix::from_ciphertexts(
        x.evaluator().clone(),
        rows.len(),
        x.cols(),
        *tile,
        x.ciphertexts()
            .skip(blocks.start * across)
            .take(blocks.len() * across)
            .cloned()
            .collect(),
    )
}

/// The targets of the rows in `rows`.
pub(crate) fn block_targets<S: Scheme>(
    y: &EncryptedVector<S>,
    tile: &Tile,
    rows: &Range<usize>,
) -> Result<EncryptedVector<S>> {
    let blocks = blocks(rows, tile.rows_per_block());
    EncryptedVector::from_ciphertexts(
        y.evaluator().clone(),
        rows.len(),
        y.packing(),
        y.ciphertexts()
            .skip(blocks.start)
            .take(blocks.len())
            .cloned()
            .collect(),
    )
}

fn blocks(rows: &Range<usize>, height: usize) -> Range<usize> {
    rows.start / height..rows.end.div_ceil(height)
}
