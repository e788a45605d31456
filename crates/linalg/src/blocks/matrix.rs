use super::grid::Grid;
use super::store::{Loaded, Slot};
use super::{BlockOptions, Format, Store};
use crate::shape::{check_data, check_dims, mismatch};
use cipherblas_scheme::matrix::{DecryptMatrix, EncryptMatrix, Lines, MatrixScheme};
use cipherblas_scheme::{Error, Result, Value};
use rand::CryptoRng;
use std::fmt;
use std::ops::Range;

/// A matrix of encrypted values in [blocks of lines](super), bound to an evaluator.
///
/// Cloning shares the blocks. Data go in and come out row by row, whatever the format.
#[derive(Clone)]
pub struct BlockMatrix<E: MatrixScheme> {
    pub(super) evaluator: E,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) format: Format,
    pub(super) grid: Grid,
    pub(super) slots: Vec<Slot<E>>,
    pub(super) store: Store,
    /// Whether an evaluator was given, by `bind` or on reading: that of a key has no evaluation keys.
    pub(super) bound: bool,
}

impl<E: MatrixScheme> fmt::Debug for BlockMatrix<E> {
    /// Shape, format, scheme, depth and number of blocks; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockMatrix")
            .field("rows", &self.rows)
            .field("cols", &self.cols)
            .field("format", &self.format)
            .field("layout", &self.layout())
            .field("scheme", &self.evaluator.name())
            .field("depth", &self.depth())
            .field("blocks", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// An error of a block, under the name of the operation that the caller asked for.
pub(super) fn named(operation: &'static str) -> impl Fn(Error) -> Error {
    move |mut error| {
        match &mut error {
            Error::Shape { operation: of, .. }
            | Error::Depth { operation: of, .. }
            | Error::MissingKey { operation: of, .. }
            | Error::KeyMismatch { operation: of, .. }
            | Error::Overflow { operation: of, .. }
            | Error::Noise { operation: of, .. }
            | Error::Unsupported { operation: of, .. } => *of = operation,
            _ => {}
        }
        error
    }
}

/// Rows and columns of a rectangle of lines and values.
fn rectangle<T>(format: Format, lines: T, values: T) -> (T, T) {
    match format {
        Format::Rows => (lines, values),
        Format::Columns => (values, lines),
    }
}

fn transposed<V: Value>(values: &[V], rows: usize, cols: usize) -> Vec<V> {
    let mut out = Vec::with_capacity(values.len());
    for c in 0..cols {
        out.extend((0..rows).map(|r| values[r * cols + c]));
    }
    out
}

impl<E: MatrixScheme> BlockMatrix<E> {
    /// Encrypts row-major data as the options say. No key but the owner's (or the public one); cost: a pass over the
    /// ciphertexts, and a few transforms for each.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, the wrong number of values or a grid that does not exist; `Value` for a value that
    /// cannot be encoded, with its index in `data`; `Depth` for more than there is; `Parameter` if blocks cannot be written.
    pub fn encrypt<K: EncryptMatrix<Scheme = E>, R: CryptoRng + ?Sized>(
        key: &K,
        rows: usize,
        cols: usize,
        data: &[E::Value],
        options: &BlockOptions,
        rng: &mut R,
    ) -> Result<Self> {
        check_data("encrypt", rows, cols, data.len())?;
        Self::encrypt_from(key, rows, cols, options, rng, |rows, columns| {
            let mut values = Vec::with_capacity(rows.len() * columns.len());
            for row in rows {
                values.extend_from_slice(&data[row * cols..][columns.clone()]);
            }
            Ok(values)
        })
    }

    /// Encrypts data that are too large for memory: `values(rows, columns)` gives a rectangle of them, row by row, and is
    /// asked once for each block. With a [`Store`] of a budget, no more than that is ever in memory.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt); `Shape` if `values` gives another number of them; what `values` returns.
    pub fn encrypt_from<K: EncryptMatrix<Scheme = E>, R: CryptoRng + ?Sized>(
        key: &K,
        rows: usize,
        cols: usize,
        options: &BlockOptions,
        rng: &mut R,
        mut values: impl FnMut(Range<usize>, Range<usize>) -> Result<Vec<E::Value>>,
    ) -> Result<Self> {
        check_dims("encrypt", rows, cols)?;
        let evaluator = key.scheme();
        let depth = options.depth.unwrap_or(evaluator.max_depth());
        let (lines, len) = rectangle(options.format, rows, cols);
        let grid = Grid::choose(
            lines,
            len,
            &options.request(),
            evaluator.max_len(),
            |lines, len| evaluator.block_bytes(lines, len, options.layout, depth),
        )
        .map_err(named("encrypt"))?;
        let mut slots = Vec::with_capacity(grid.blocks());
        for (chunk, segment) in grid.iter() {
            let (r, c) = rectangle(
                options.format,
                grid.line_range(chunk),
                grid.value_range(segment),
            );
            let mut tile = values(r.clone(), c.clone())?;
            if tile.len() != r.len() * c.len() {
                return Err(mismatch(
                    "encrypt",
                    format!("{} values for rows {r:?} and columns {c:?}", tile.len()),
                    format!("{} values", r.len() * c.len()),
                    "give all values of the rectangle, row by row",
                ));
            }
            if options.format == Format::Columns {
                tile = transposed(&tile, r.len(), c.len());
            }
            let (lines, len) = grid.shape(chunk, segment);
            let block = key
                .encrypt_block(
                    &tile,
                    lines,
                    Some(grid.padded),
                    options.layout,
                    depth,
                    options.bound,
                    rng,
                )
                .map_err(|e| match e {
                    Error::Value {
                        index,
                        got,
                        expected,
                        hint,
                    } => {
                        let (row, col) = rectangle(options.format, index / len, index % len);
                        let index = (r.start + row) * cols + c.start + col;
                        Error::Value {
                            index,
                            got,
                            expected,
                            hint,
                        }
                    }
                    e => named("encrypt")(e),
                })?;
            slots.push(options.store.put(&evaluator, block)?);
        }
        Ok(Self {
            evaluator,
            rows,
            cols,
            format: options.format,
            grid,
            slots,
            store: options.store.clone(),
            bound: false,
        })
    }

    /// The key owner's view of the values, row by row: the caller's, to erase or keep; copies on the way are not erased either.
    /// For results that are shown to others, add noise or round them: the
    /// low bits depend on the key.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`; `Wire` if a file was altered.
    pub fn decrypt<K: DecryptMatrix<Scheme = E>>(&self, key: &K) -> Result<Vec<E::Value>> {
        let mut out = vec![E::Value::ZERO; self.rows * self.cols];
        self.decrypt_with(key, |rows, columns, tile| {
            for (row, values) in rows.zip(tile.chunks_exact(columns.len())) {
                out[row * self.cols..][columns.clone()].copy_from_slice(values);
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Decrypts block by block: `take(rows, columns, values)` is given every rectangle in turn, row by row.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); what `take` returns.
    pub fn decrypt_with<K: DecryptMatrix<Scheme = E>>(
        &self,
        key: &K,
        mut take: impl FnMut(Range<usize>, Range<usize>, &[E::Value]) -> Result<()>,
    ) -> Result<()> {
        for (slot, (chunk, segment)) in self.slots.iter().zip(self.grid.iter()) {
            let mut values = key.decrypt_block(slot.load(&self.evaluator)?.as_ref())?;
            let (lines, len) = self.grid.shape(chunk, segment);
            if self.format == Format::Columns {
                values = transposed(&values, lines, len);
            }
            let (rows, columns) = rectangle(
                self.format,
                self.grid.line_range(chunk),
                self.grid.value_range(segment),
            );
            take(rows, columns, &values)?;
        }
        Ok(())
    }

    /// The same matrix bound to another evaluator: the server's, which has the evaluation keys.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn bind(mut self, evaluator: &E) -> Result<Self> {
        // All blocks are under one key: they were made by one, or read by one evaluator.
        if let Some(slot) = self.slots.first() {
            evaluator.check(slot.load(evaluator)?.as_ref())?;
        }
        self.evaluator = evaluator.clone();
        self.bound = true;
        Ok(self)
    }

    /// Keeps the blocks in another store, and those of results.
    ///
    /// # Errors
    /// `Parameter` if blocks cannot be written, `Wire` if they cannot be read.
    pub fn kept_in(&self, store: &Store) -> Result<Self> {
        let mut moved = self.clone();
        moved.store = store.clone();
        if !self.store.same(store) {
            for slot in &mut moved.slots {
                let block = match slot.load(&self.evaluator)? {
                    Loaded::Borrowed(block) => block.clone(),
                    Loaded::Owned(block) => block,
                };
                *slot = store.put(&self.evaluator, block)?;
            }
        }
        Ok(moved)
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
    /// Whether rows or columns are the lines.
    pub fn format(&self) -> Format {
        self.format
    }
    /// How lines lie in ciphertexts.
    pub fn layout(&self) -> Lines {
        // The same for all blocks.
        self.slots.first().map_or(Lines::Packed, |slot| slot.layout)
    }
    /// Positions of the grid that lines lie on: see [`BlockOptions::line`].
    pub fn line(&self) -> usize {
        self.grid.padded
    }
    /// Lines in a block: see [`BlockOptions::lines_per_block`].
    pub fn lines_per_block(&self) -> usize {
        self.grid.chunk
    }
    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.slots.len()
    }
    /// Where the blocks are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// The evaluator that computes.
    pub fn evaluator(&self) -> &E {
        &self.evaluator
    }
    /// Products left.
    pub fn depth(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| slot.depth)
            .min()
            .unwrap_or_default()
    }
    /// Bytes of all blocks, as they are in memory.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.bytes).sum()
    }
    /// Bound on the absolute error of every value; see [`MatrixScheme::error_bound`].
    pub fn error_bound(&self) -> f64 {
        self.slots.iter().map(|slot| slot.error).fold(0.0, f64::max)
    }
    /// Declared bound on the absolute value of every value.
    pub fn magnitude_bound(&self) -> f64 {
        self.slots
            .iter()
            .map(|slot| slot.magnitude)
            .fold(0.0, f64::max)
    }

    /// The transposed matrix: the same blocks, rows called columns. Free.
    #[must_use]
    pub fn t(&self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            format: self.format.transposed(),
            ..self.clone()
        }
    }

    /// As [`named`]; of a matrix that was never bound, missing keys are not the plan's fault.
    pub(super) fn named(&self, operation: &'static str) -> impl Fn(Error) -> Error + use<E> {
        let bound = self.bound;
        move |error| match named(operation)(error) {
            Error::MissingKey { operation, key } if !bound => Error::MissingKey {
                operation,
                key: format!(
                    "{key} (first `bind` the matrix to the server's evaluator: it was not yet)"
                ),
            },
            error => error,
        }
    }

    /// Whether products of encrypted matrices can take it; whether products with plain ones can.
    pub(super) fn takes(&self, layout: Lines) -> bool {
        self.layout() == layout || self.grid.padded == self.evaluator.max_len()
    }
}

#[cfg(feature = "ndarray")]
impl<E: MatrixScheme> BlockMatrix<E> {
    /// Encrypts an array of any memory layout; see [`encrypt`](Self::encrypt).
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn encrypt_array<K: EncryptMatrix<Scheme = E>, R: CryptoRng + ?Sized>(
        key: &K,
        values: ndarray::ArrayView2<'_, E::Value>,
        options: &BlockOptions,
        rng: &mut R,
    ) -> Result<Self> {
        let (rows, cols) = values.dim();
        Self::encrypt_from(key, rows, cols, options, rng, |r, c| {
            Ok(values.slice(ndarray::s![r, c]).iter().copied().collect())
        })
    }

    /// Decrypts to an array.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt).
    pub fn decrypt_array<K: DecryptMatrix<Scheme = E>>(
        &self,
        key: &K,
    ) -> Result<ndarray::Array2<E::Value>> {
        let data = self.decrypt(key)?;
        Ok(ndarray::Array2::from_shape_vec(self.shape(), data)
            .expect("a decrypted matrix has as many values as its shape says"))
    }
}
