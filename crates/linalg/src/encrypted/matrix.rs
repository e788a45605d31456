use super::vector::check_range;
use super::{
    EncryptOptions, EncryptedVector, decrypt_blocks, decrypt_blocks_shared, encrypt_blocks,
    least_depth,
};
use crate::kernel::slots::{Origin, Source, gather};
use crate::kernel::transpose::{Part, rearrange};
use crate::kernel::{Blocks, elementwise, lower};
use crate::packing::{MatrixPacking, Order, Tile, VectorPacking};
use crate::polynomial;
use crate::shape::{check_data, check_dims, mismatch};
use cipherblas_scheme::{
    Add, AddPlain, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Result, Rotate, Scheme,
};
use rand::CryptoRng;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A matrix of encrypted values, over as many ciphertexts as it needs, bound to an evaluator.
///
/// Cloning shares the ciphertexts. Data go in and come out row by row, whatever the packing.
#[derive(Clone)]
pub struct EncryptedMatrix<S: Scheme> {
    pub(crate) evaluator: S,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) packing: MatrixPacking,
    pub(crate) blocks: Blocks<S>,
}

impl<S: Scheme> fmt::Debug for EncryptedMatrix<S> {
    /// Shape, packing, scheme and depth; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedMatrix")
            .field("rows", &self.rows)
            .field("cols", &self.cols)
            .field("packing", &self.packing)
            .field("scheme", &self.evaluator.name())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}

impl<S: Scheme> EncryptedMatrix<S> {
    /// Encrypts row-major data as a row-major [`Tile`] at full depth.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values; `Value` for one that cannot be encoded.
    pub fn encrypt<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        rows: usize,
        cols: usize,
        data: &[S::Value],
        rng: &mut R,
    ) -> Result<Self> {
        Self::encrypt_with(key, rows, cols, data, &EncryptOptions::default(), rng)
    }

    /// Encrypts row-major data as the options say.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt); `Shape` for a packing wider than the slots; `Depth` for more than there is.
    pub fn encrypt_with<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        rows: usize,
        cols: usize,
        data: &[S::Value],
        options: &EncryptOptions<MatrixPacking>,
        rng: &mut R,
    ) -> Result<Self> {
        check_data("encrypt", rows, cols, data.len())?;
        let evaluator = key.scheme();
        let packing = options.packing_or(|| {
            Tile::fit(Order::RowMajor, rows, cols, evaluator.slots()).map(Into::into)
        })?;
        packing.check_slots(evaluator.slots())?;
        let packed = packing.pack(rows, cols, data)?;
        let blocks = encrypt_blocks(key, &packed, options, rng, |block, slot| {
            packing.position(rows, cols, block, slot)
        })?;
        Ok(Self {
            evaluator,
            rows,
            cols,
            packing,
            blocks,
        })
    }

    /// Wraps ciphertexts. Their padding must hold zeros.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, a packing wider than the slots, or the wrong number of ciphertexts; `KeyMismatch`.
    pub fn from_ciphertexts(
        evaluator: S,
        rows: usize,
        cols: usize,
        packing: impl Into<MatrixPacking>,
        ciphertexts: Vec<S::Ciphertext>,
    ) -> Result<Self> {
        let packing = packing.into();
        check_dims("encrypted matrix", rows, cols)?;
        packing.check_slots(evaluator.slots())?;
        if ciphertexts.len() != packing.blocks(rows, cols) {
            return Err(mismatch(
                "encrypted matrix",
                format!("{} ciphertexts", ciphertexts.len()),
                packing.blocks(rows, cols).to_string(),
                "pass one for each block of the packing",
            ));
        }
        for ct in &ciphertexts {
            evaluator.check(ct)?;
        }
        Ok(Self {
            evaluator,
            rows,
            cols,
            packing,
            blocks: ciphertexts.into_iter().map(Arc::new).collect(),
        })
    }

    /// The key owner's view of the values, row by row.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Vec<S::Value>> {
        self.packing
            .unpack(self.rows, self.cols, &decrypt_blocks(key, &self.blocks)?)
    }

    /// The values, row by row, with noise that lets them be shown to others.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); `Parameter` when the key's query budget is used up, or a ciphertext declares a
    /// larger error than `bound`, the owner's own bound (see [`Decrypt::decrypt_shared`]).
    pub fn decrypt_shared<K: Decrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        &self,
        key: &K,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<S::Value>> {
        let blocks = decrypt_blocks_shared(key, &self.blocks, bound, rng)?;
        self.packing.unpack(self.rows, self.cols, &blocks)
    }

    /// The same matrix bound to another evaluator: the server's, which has the evaluation keys.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn bind(mut self, evaluator: &S) -> Result<Self> {
        for ct in &self.blocks {
            evaluator.check(ct)?;
        }
        self.evaluator = evaluator.clone();
        Ok(self)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// `(rows, columns)`.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
    /// How the values lie in the slots.
    pub fn packing(&self) -> MatrixPacking {
        self.packing
    }
    /// The evaluator that computes.
    pub fn evaluator(&self) -> &S {
        &self.evaluator
    }
    /// The ciphertexts, in order.
    pub fn ciphertexts(&self) -> impl ExactSizeIterator<Item = &S::Ciphertext> {
        self.blocks.iter().map(|ct| &**ct)
    }
    /// Multiplications left.
    pub fn depth(&self) -> usize {
        least_depth(&self.evaluator, &self.blocks)
    }

    /// Gives up depth.
    ///
    /// # Errors
    /// `Depth` if there is less.
    pub fn lower_to(&self, depth: usize) -> Result<Self> {
        Ok(self.with(lower(&self.evaluator, &self.blocks, depth)?))
    }

    /// The tile.
    ///
    /// # Errors
    /// `Shape` for a diagonal packing.
    pub(super) fn tile(&self, operation: &'static str) -> Result<Tile> {
        match self.packing {
            MatrixPacking::Tile(tile) => Ok(tile),
            MatrixPacking::Diagonal(_) => Err(mismatch(
                operation,
                "a matrix in diagonal packing",
                "tile, row or column packing",
                "diagonal packing is for matrix x vector only; encrypt as a tile",
            )),
            MatrixPacking::Skewed(_) => Err(mismatch(
                operation,
                "a matrix in skewed packing",
                "tile, row or column packing",
                "skewed packing is for matrix x matrix only; encrypt as a tile, or `repack`",
            )),
        }
    }

    /// The packing of a vector with one value per row, aligned with this matrix: what [`matvec`](Self::matvec) gives.
    pub fn row_packing(&self) -> VectorPacking {
        self.packing.row_packing()
    }

    /// The packing of a vector with one value per column, aligned with this matrix: what [`matvec`](Self::matvec) takes.
    pub fn column_packing(&self) -> VectorPacking {
        self.packing.column_packing()
    }

    /// The transposed matrix: the same ciphertexts, read in the other order. Free.
    ///
    /// # Errors
    /// `Shape` for a diagonal packing.
    pub fn transpose(&self) -> Result<Self> {
        if let MatrixPacking::Skewed(skewed) = self.packing {
            return self.transpose_skewed(&skewed);
        }
        let tile = self.tile("transpose")?.transposed();
        Ok(self.reshaped(self.cols, self.rows, tile, self.blocks.clone()))
    }

    pub(super) fn with(&self, blocks: Blocks<S>) -> Self {
        self.reshaped(self.rows, self.cols, self.packing, blocks)
    }

    pub(crate) fn reshaped(
        &self,
        rows: usize,
        cols: usize,
        packing: impl Into<MatrixPacking>,
        blocks: Blocks<S>,
    ) -> Self {
        Self {
            evaluator: self.evaluator.clone(),
            rows,
            cols,
            packing: packing.into(),
            blocks,
        }
    }

    pub(super) fn expect_alike(&self, operation: &'static str, other: &Self) -> Result<()> {
        if self.shape() != other.shape() {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} and {} x {}",
                    self.rows, self.cols, other.rows, other.cols
                ),
                "equal shapes",
                "slice or stack first",
            ));
        }
        if self.packing != other.packing {
            return Err(mismatch(
                operation,
                format!("{:?} and {:?}", self.packing, other.packing),
                "equal packings",
                "encrypt both alike, or `repack` one (one level)",
            ));
        }
        Ok(())
    }

    fn pack_plain(&self, operation: &'static str, data: &[S::Value]) -> Result<Vec<Vec<S::Value>>> {
        check_data(operation, self.rows, self.cols, data.len())?;
        self.packing.pack(self.rows, self.cols, data)
    }

    pub(super) fn constant(&self, block: usize, value: S::Value) -> Vec<S::Value> {
        self.packing.constant(self.rows, self.cols, block, value)
    }
}

impl<S: Add> EncryptedMatrix<S> {
    /// Sum of two matrices of equal shape and packing. No depth.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.expect_alike("matrix + matrix", other)?;
        let ev = &self.evaluator;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.add(a, b))
            .map(|b| self.with(b))
    }

    /// Difference of two matrices of equal shape and packing. No depth.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.expect_alike("matrix - matrix", other)?;
        let ev = &self.evaluator;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.sub(a, b))
            .map(|b| self.with(b))
    }

    /// The negative. No depth.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn neg(&self) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.negate(a)).map(|b| self.with(b))
    }
}

impl<S: ErrorBound> EncryptedMatrix<S> {
    /// Bound on the absolute error of every value, as far as the scheme bounds it (see [`ErrorBound`]).
    pub fn error_bound(&self) -> f64 {
        let bounds = self.blocks.iter().map(|ct| self.evaluator.error_bound(ct));
        bounds.fold(0.0, f64::max)
    }
}

impl<S: AddPlain> EncryptedMatrix<S> {
    /// Adds a plain matrix (row by row). No depth.
    ///
    /// # Errors
    /// `Shape`, `Value`.
    pub fn add_plain(&self, data: &[S::Value]) -> Result<Self> {
        let packed = self.pack_plain("matrix + plain matrix", data)?;
        elementwise::add_plain(&self.evaluator, &self.blocks, |b| packed[b].clone())
            .map(|b| self.with(b))
    }

    /// Adds a constant to every value (and nothing to the padding). No depth.
    ///
    /// # Errors
    /// `Value`.
    pub fn add_scalar(&self, value: S::Value) -> Result<Self> {
        elementwise::add_plain(&self.evaluator, &self.blocks, |b| self.constant(b, value))
            .map(|b| self.with(b))
    }
}

impl<S: MulPlain> EncryptedMatrix<S> {
    /// Multiplies value by value with a plain matrix (row by row). One level.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn mul_plain(&self, data: &[S::Value]) -> Result<Self> {
        let packed = self.pack_plain("matrix x plain matrix, value by value", data)?;
        elementwise::mul_plain(&self.evaluator, &self.blocks, |b| packed[b].clone())
            .map(|b| self.with(b))
    }

    /// Multiplies every value with a constant. One level, or none where the scheme has a free way.
    ///
    /// # Errors
    /// `Depth`, `Value`.
    pub fn scale(&self, factor: S::Value) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.mul_scalar(a, factor)).map(|b| self.with(b))
    }

    /// Multiplies every value with a constant and brings the result to `depth`, below the present one, with one rescaling.
    ///
    /// # Errors
    /// `Depth` if `depth` is not below what is left; `Value`.
    pub fn scale_to(&self, factor: S::Value, depth: usize) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.mul_scalar_to(a, factor, depth))
            .map(|b| self.with(b))
    }
}

impl<S: Mul> EncryptedMatrix<S> {
    /// Product value by value (Hadamard) of two matrices of equal shape and packing. One level; relinearization key.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn mul(&self, other: &Self) -> Result<Self> {
        self.expect_alike("matrix x matrix, value by value", other)?;
        let ev = &self.evaluator;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.mul(a, b))
            .map(|b| self.with(b))
    }

    /// Squares of the values. One level; relinearization key.
    ///
    /// # Errors
    /// `Depth`, `MissingKey`.
    pub fn square(&self) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.square(a)).map(|b| self.with(b))
    }
}

impl<S: Add + AddPlain + MulPlain + Mul> EncryptedMatrix<S> {
    /// `c[0] + c[1] x + c[2] x^2 + ...` of every value, at the least depth: `ceil(log2(degree + 1))`.
    ///
    /// # Errors
    /// `Shape` for no coefficients; `Depth`, `MissingKey`, `Value`.
    pub fn polynomial(&self, coefficients: &[S::Value]) -> Result<Self> {
        elementwise::map::<S>(&self.blocks, |block, ct| {
            polynomial::evaluate(&self.evaluator, ct, coefficients, |c| {
                self.constant(block, c)
            })
        })
        .map(|b| self.with(b))
    }
}

impl<S: Add + MulPlain + Rotate> EncryptedMatrix<S> {
    /// The same values of a tile in another packing: another tile, or a [factor](crate::Skewed) of a product. One level, unless
    /// whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` from anything but a tile, to diagonal packing, or to a packing wider than the slots; `Depth`, `MissingKey`.
    pub fn repack(&self, packing: impl Into<MatrixPacking>) -> Result<Self> {
        let packing = packing.into();
        packing.check_slots(self.evaluator.slots())?;
        if self.packing == packing {
            return Ok(self.clone());
        }
        match packing {
            MatrixPacking::Tile(tile) => {
                self.moved(&[self], tile, self.rows, self.cols, &|r, c| (0, r, c))
            }
            MatrixPacking::Skewed(skewed) => self.skew(skewed),
            MatrixPacking::Diagonal(_) => Err(mismatch(
                "repack",
                "diagonal packing",
                "a tile, or skewed packing",
                "encrypt in diagonal packing",
            )),
        }
    }

    /// The rows in `range`, packed alike. Free if the range begins and ends with a ciphertext, otherwise one level.
    ///
    /// # Errors
    /// `Shape` for diagonal packing, or a range that is empty or too long; `Depth`, `MissingKey`.
    pub fn slice_rows(&self, range: Range<usize>) -> Result<Self> {
        self.slice(range, 0..self.cols)
    }

    /// The columns in `range`, packed alike. Free if the range begins and ends with a ciphertext, otherwise one level.
    ///
    /// # Errors
    /// As [`slice_rows`](Self::slice_rows).
    pub fn slice_columns(&self, range: Range<usize>) -> Result<Self> {
        self.slice(0..self.rows, range)
    }

    /// A submatrix, packed alike.
    ///
    /// # Errors
    /// As [`slice_rows`](Self::slice_rows).
    pub fn slice(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Self> {
        check_range("slice of rows", &rows, self.rows)?;
        check_range("slice of columns", &cols, self.cols)?;
        let tile = self.tile("slice")?;
        self.moved(&[self], tile, rows.len(), cols.len(), &|r, c| {
            (0, rows.start + r, cols.start + c)
        })
    }

    /// Matrices on top of each other, packed as the first (a tile that is too low grows). One level, unless whole
    /// ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for no parts, different numbers of columns, or diagonal packing; `KeyMismatch`, `Depth`, `MissingKey`.
    pub fn vstack(parts: &[&Self]) -> Result<Self> {
        Self::stack(parts, "vstack", |m| m.cols, |m| m.rows, false)
    }

    /// Matrices side by side, packed as the first (a tile that is too narrow grows). One level, unless whole
    /// ciphertexts only move.
    ///
    /// # Errors
    /// As [`vstack`](Self::vstack), for rows.
    pub fn hstack(parts: &[&Self]) -> Result<Self> {
        Self::stack(parts, "hstack", |m| m.rows, |m| m.cols, true)
    }

    fn stack(
        parts: &[&Self],
        operation: &'static str,
        common: impl Fn(&Self) -> usize,
        along: impl Fn(&Self) -> usize,
        side_by_side: bool,
    ) -> Result<Self> {
        let Some(&first) = parts.first() else {
            return Err(mismatch(
                operation,
                "no matrix",
                "at least one",
                "empty arrays have no encryption",
            ));
        };
        if let Some(odd) = parts.iter().find(|m| common(m) != common(first)) {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} and {} x {}",
                    first.rows, first.cols, odd.rows, odd.cols
                ),
                if side_by_side {
                    "equally many rows"
                } else {
                    "equally many columns"
                },
                "slice first",
            ));
        }
        let starts: Vec<usize> = parts
            .iter()
            .scan(0, |at, m| {
                *at += along(m);
                Some(*at - along(m))
            })
            .collect();
        let total: usize = parts.iter().map(|m| along(m)).sum();
        let (rows, cols) = if side_by_side {
            (first.rows, total)
        } else {
            (total, first.cols)
        };
        let tile = first
            .tile(operation)?
            .grown(rows, cols, first.evaluator.slots())?;
        first.moved(parts, tile, rows, cols, &|r, c| {
            let at = if side_by_side { c } else { r };
            let part = starts.partition_point(|&s| s <= at) - 1;
            if side_by_side {
                (part, r, c - starts[part])
            } else {
                (part, r - starts[part], c)
            }
        })
    }

    /// The same values, row by row, in another shape with as many; as a tile of the same order. One level, unless whole
    /// ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for a different number of values, or diagonal packing; `Depth`, `MissingKey`.
    pub fn reshape(&self, rows: usize, cols: usize) -> Result<Self> {
        if check_dims("reshape", rows, cols)? != self.rows * self.cols {
            return Err(mismatch(
                "reshape",
                format!("{} x {} to {rows} x {cols}", self.rows, self.cols),
                format!("{} values", self.rows * self.cols),
                "the number of values has to stay",
            ));
        }
        let order = self.tile("reshape")?.order();
        let tile = Tile::fit(order, rows, cols, self.evaluator.slots())?;
        self.moved(&[self], tile, rows, cols, &|r, c| {
            let at = r * cols + c;
            (0, at / self.cols, at % self.cols)
        })
    }

    /// One row as a vector in the canonical packing. One level, unless whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for a row that is not there, or diagonal packing; `Depth`, `MissingKey`.
    pub fn row(&self, row: usize) -> Result<EncryptedVector<S>> {
        check_range("row", &(row..row.saturating_add(1)), self.rows)?;
        self.line("row", self.cols, &|i| (row, i))
    }

    /// One column as a vector in the canonical packing. One level, unless whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for a column that is not there, or diagonal packing; `Depth`, `MissingKey`.
    pub fn column(&self, column: usize) -> Result<EncryptedVector<S>> {
        check_range("column", &(column..column.saturating_add(1)), self.cols)?;
        self.line("column", self.rows, &|i| (i, column))
    }

    fn line(
        &self,
        operation: &'static str,
        len: usize,
        at: &(dyn Fn(usize) -> (usize, usize) + Sync),
    ) -> Result<EncryptedVector<S>> {
        let tile = self.tile(operation)?;
        let packing = VectorPacking::periodic(len, self.evaluator.slots())?;
        let source = Source {
            grid: tile.grid(self.rows, self.cols),
            blocks: &self.blocks,
        };
        let blocks = gather(&self.evaluator, &[source], &packing.grid(len), &|i, _| {
            let (r, c) = at(i);
            let (inner, outer) = tile.inner_outer(r, c);
            (0, inner, outer)
        })?;
        Ok(EncryptedVector {
            evaluator: self.evaluator.clone(),
            len,
            packing,
            blocks,
        })
    }

    fn moved(
        &self,
        parts: &[&Self],
        tile: Tile,
        rows: usize,
        cols: usize,
        source: Origin<'_>,
    ) -> Result<Self> {
        let parts = parts
            .iter()
            .map(|m| {
                Ok(Part {
                    tile: m.tile("rearrangement")?,
                    rows: m.rows,
                    cols: m.cols,
                    blocks: &m.blocks,
                })
            })
            .collect::<Result<Vec<Part<'_, S>>>>()?;
        let blocks = rearrange(&self.evaluator, &parts, &tile, rows, cols, source)?;
        Ok(self.reshaped(rows, cols, tile, blocks))
    }
}
