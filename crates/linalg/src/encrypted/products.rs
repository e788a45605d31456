//! Products and reductions of encrypted matrices.

use super::{EncryptedMatrix, EncryptedVector, MatmulMethod, PlainMatrix};
use crate::kernel::{elementwise, matmul_cipher, matmul_plain, matvec, reduce};
use crate::packing::{Diagonal, MatrixPacking, Order, Tile, VectorPacking};
use crate::shape::{Axis, mismatch, padded};
use cipherblas_scheme::{Add, Combine, Mul, MulPlain, Result, Rotate, Scheme, Value, WeightMatrix};

impl<S: Scheme> EncryptedMatrix<S> {
    fn vector(
        &self,
        len: usize,
        packing: VectorPacking,
        blocks: crate::kernel::Blocks<S>,
    ) -> EncryptedVector<S> {
        EncryptedVector {
            evaluator: self.evaluator.clone(),
            len,
            packing,
            blocks,
        }
    }

    /// Whether the axis of this length is the tile's inner one.
    fn columns_inside(tile: &Tile) -> bool {
        tile.order() == Order::RowMajor
    }
}

impl<S: Add + MulPlain + Mul + Rotate> EncryptedMatrix<S> {
    /// Matrix x vector. The vector in [`column_packing`](Self::column_packing) (for a row-major tile the canonical one),
    /// the result in [`row_packing`](Self::row_packing); for a diagonal packing both canonical.
    ///
    /// A row-major tile: depth 2 and `2 log2(columns)` rotations for each ciphertext of rows (1 and `log2(columns)` if it
    /// holds one row); a column-major tile: depth 1, `log2(outer)` rotations; diagonal: depth 1. Relinearization key.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn matvec(&self, vector: &EncryptedVector<S>) -> Result<EncryptedVector<S>> {
        match self.packing {
            MatrixPacking::Tile(tile) => self.matvec_tile(&tile, vector, None),
            MatrixPacking::Diagonal(diagonal) => {
                let operation = "diagonal matrix x vector";
                vector.expect(operation, self.cols, diagonal.column_packing())?;
                let blocks =
                    matvec::diagonal(&self.evaluator, &diagonal, &self.blocks, &vector.blocks)?;
                Ok(self.vector(self.rows, diagonal.row_packing(), blocks))
            }
            MatrixPacking::Skewed(_) => {
                self.matvec_tile(&self.tile("matrix x vector")?, vector, None)
            }
        }
    }

    /// `factor` times matrix x vector: as [`matvec`](Self::matvec), the factor being part of the mask, hence free, where
    /// there is a mask (a row-major tile of several rows); elsewhere it takes a level.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn matvec_scaled(
        &self,
        vector: &EncryptedVector<S>,
        factor: S::Value,
    ) -> Result<EncryptedVector<S>> {
        match self.packing {
            MatrixPacking::Tile(tile) => self.matvec_tile(&tile, vector, Some(factor)),
            _ => self.matvec(vector)?.scale(factor),
        }
    }

    fn matvec_tile(
        &self,
        tile: &Tile,
        vector: &EncryptedVector<S>,
        factor: Option<S::Value>,
    ) -> Result<EncryptedVector<S>> {
        vector.expect("matrix x vector", self.cols, tile.column_packing())?;
        let (ev, grid) = (&self.evaluator, tile.grid(self.rows, self.cols));
        if Self::columns_inside(tile) {
            let blocks =
                matvec::contract_inner(ev, tile, &grid, &self.blocks, &vector.blocks, factor)?;
            return Ok(self.vector(self.rows, tile.row_packing(), blocks));
        }
        let blocks = matvec::contract_outer(ev, tile, &grid, &self.blocks, &vector.blocks)?;
        let out = self.vector(self.rows, tile.row_packing(), blocks);
        match factor {
            Some(factor) => out.scale(factor),
            None => Ok(out),
        }
    }

    /// Encrypted matrix x encrypted matrix, by [the method](MatmulMethod) with the lowest estimate.
    ///
    /// Depth 1 or 2 for factors encrypted in the packings of a [`Skewed::pair`](crate::Skewed::pair), the fastest way; 2 for
    /// row-major tiles with rows of equal padded length (square matrices); at most 3 otherwise. The result is a tile,
    /// row-major but for a pair of the other order.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        self.check_matmul(other)?;
        self.matmul_by(other, self.matmul_method(other)?)
    }

    /// As [`matmul`](Self::matmul), by the method given.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul); `Shape` for factors in skewed packing and another method.
    pub fn matmul_by(&self, other: &Self, method: MatmulMethod) -> Result<Self> {
        self.check_matmul(other)?;
        match method {
            MatmulMethod::OuterProducts => self.matmul_by_outer_products(other),
            MatmulMethod::Skewed => self.matmul_by_skewing(other),
            MatmulMethod::RowSums => self.matmul_by_row_sums(other),
        }
    }

    fn check_matmul(&self, other: &Self) -> Result<()> {
        if self.cols != other.rows {
            return Err(mismatch(
                "matrix x matrix",
                format!(
                    "{} x {} times {} x {}",
                    self.rows, self.cols, other.rows, other.cols
                ),
                format!("{} rows on the right", self.cols),
                "the inner dimensions have to agree; transpose one?",
            ));
        }
        Ok(())
    }

    /// The tile in which both factors of a product `A' B` can lie, row-major: that of the one with the longer rows.
    pub(crate) fn row_sums_tile(&self, other: &Self) -> Result<Option<Tile>> {
        let operation = "matrix x matrix";
        let (a, b) = (self.tile(operation)?.transposed(), other.tile(operation)?);
        let usable = a.order() == Order::RowMajor
            && b.order() == Order::RowMajor
            && a.repeat() == 1
            && b.repeat() == 1;
        let tile = if a.inner() >= b.inner() { a } else { b };
        Ok((usable && tile.inner() >= self.rows.max(other.cols)).then_some(tile))
    }

    fn matmul_by_row_sums(&self, other: &Self) -> Result<Self> {
        let operation = "matrix x matrix by sums over rows";
        let Some(tile) = self.row_sums_tile(other)? else {
            return Err(mismatch(
                operation,
                format!("{:?} times {:?}", self.packing, other.packing),
                "a transposed row-major tile times a row-major one, a row of either in a ciphertext",
                "use another method",
            ));
        };
        let (left, right) = (self.transpose()?.repack(tile)?, other.repack(tile)?);
        let grids = (
            tile.grid(left.rows, left.cols),
            tile.grid(right.rows, right.cols),
        );
        let ev = &self.evaluator;
        let outer = padded(operation, self.rows)?.min(ev.slots() / tile.inner());
        let to = Tile::new(Order::RowMajor, 1, tile.inner(), outer)?;
        let blocks = matmul_cipher::row_sums(
            ev,
            &tile,
            (&grids.0, &left.blocks),
            (&grids.1, &right.blocks),
            outer,
        )?;
        Ok(self.reshaped(self.rows, other.cols, to, blocks))
    }

    fn matmul_by_outer_products(&self, other: &Self) -> Result<Self> {
        let operation = "matrix x matrix";
        let (a, b) = (self.tile(operation)?, other.tile(operation)?);
        let slots = self.evaluator.slots();
        let right_ready = b.column_packing().repeat() == 1;
        let width = b.columns_per_block();
        // A column of the left factor has to come out with each value stretched over a row of the right one.
        let left_ready = a.row_packing().repeat() == width
            || (a.row_packing().period() == 1
                && a.order() == Order::RowMajor
                && a.inner() == width);
        let (left, right, width) = if left_ready && right_ready && b.order() == Order::RowMajor {
            (self.clone(), other.clone(), width)
        } else {
            let inner = padded(operation, self.cols)?.min(slots);
            let width = padded(operation, other.cols)?.min(slots).max(inner);
            let groups = |n: usize| Ok(padded(operation, n)?.min(slots / width));
            let to_left = Tile::new(Order::RowMajor, width / inner, inner, groups(self.rows)?)?;
            let to_right = Tile::new(Order::RowMajor, 1, width, groups(other.rows)?)?;
            (self.repack(to_left)?, other.repack(to_right)?, width)
        };
        let ev = &self.evaluator;
        let (a, b) = (left.tile(operation)?, right.tile(operation)?);
        let (ga, gb) = (a.grid(left.rows, left.cols), b.grid(right.rows, right.cols));
        let columns = if a.order() == Order::RowMajor {
            matmul_cipher::outer_vectors(ev, &ga, &left.blocks)?
        } else {
            matmul_cipher::inner_vectors(ev, &a, &ga, &left.blocks)?
        };
        let rows = matmul_cipher::inner_vectors(ev, &b, &gb, &right.blocks)?;
        let tile = Tile::new(Order::RowMajor, 1, width, a.rows_per_block())?;
        let blocks = matmul_cipher::outer_products(ev, &columns, &rows)?;
        Ok(self.reshaped(self.rows, other.cols, tile, blocks))
    }

    /// The Gram matrix `X' X`, in diagonal packing: with `X' y` all that the closed form of least squares needs.
    ///
    /// For a row-major tile of `c` columns (padded): depth 2 (1 if a ciphertext holds one row), `c` hoisted rotations for each
    /// ciphertext of the matrix, `log2(rows in a ciphertext) + 1` rotations and one relinearization for each column.
    ///
    /// # Errors
    /// `Shape` unless the matrix is a row-major tile; `Depth`, `MissingKey`.
    pub fn gram(&self) -> Result<Self> {
        let tile = self.tile("Gram matrix")?;
        if tile.order() != Order::RowMajor || tile.repeat() != 1 {
            return Err(mismatch(
                "Gram matrix",
                format!("{tile:?}"),
                "a row-major tile without repetition",
                "encrypt as a row-major tile, or `repack`",
            ));
        }
        let grid = tile.grid(self.rows, self.cols);
        let blocks = matmul_cipher::gram(&self.evaluator, &tile, &grid, &self.blocks)?;
        let packing = Diagonal::new(tile.inner(), tile.inner(), tile.inner())?;
        Ok(self.reshaped(self.cols, self.cols, packing, blocks))
    }
}

impl<S: Mul> EncryptedMatrix<S> {
    /// Row `i` times `vector[i]`. The vector in [`row_packing`](Self::row_packing). One level; relinearization key.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn scale_rows(&self, vector: &EncryptedVector<S>) -> Result<Self> {
        self.scale_axis("scale rows", vector, true)
    }

    /// Column `j` times `vector[j]`. The vector in [`column_packing`](Self::column_packing). One level; relinearization key.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn scale_columns(&self, vector: &EncryptedVector<S>) -> Result<Self> {
        self.scale_axis("scale columns", vector, false)
    }

    fn scale_axis(
        &self,
        operation: &'static str,
        vector: &EncryptedVector<S>,
        rows: bool,
    ) -> Result<Self> {
        let along = self.along(operation, vector, rows)?;
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |b, ct| ev.mul(ct, &vector.blocks[along(b)]))
            .map(|b| self.with(b))
    }
}

impl<S: Scheme> EncryptedMatrix<S> {
    /// Checks a vector along an axis; returns which of its blocks belongs to a block of the matrix.
    fn along(
        &self,
        operation: &'static str,
        vector: &EncryptedVector<S>,
        rows: bool,
    ) -> Result<impl Fn(usize) -> usize + Sync + use<S>> {
        let tile = self.tile(operation)?;
        let (len, packing) = if rows {
            (self.rows, tile.row_packing())
        } else {
            (self.cols, tile.column_packing())
        };
        vector.expect(operation, len, packing)?;
        let inside = Self::columns_inside(&tile) != rows;
        let inner_blocks = tile.grid(self.rows, self.cols).inner_blocks();
        Ok(move |b: usize| {
            if inside {
                b % inner_blocks
            } else {
                b / inner_blocks
            }
        })
    }

    /// A plain vector along an axis, in slots, for each block of that axis.
    fn plain_along(
        &self,
        operation: &'static str,
        plain: &[S::Value],
        rows: bool,
    ) -> Result<Vec<Vec<S::Value>>> {
        let tile = self.tile(operation)?;
        let (len, packing) = if rows {
            (self.rows, tile.row_packing())
        } else {
            (self.cols, tile.column_packing())
        };
        if plain.len() != len {
            return Err(mismatch(
                operation,
                format!("{} plain values", plain.len()),
                len.to_string(),
                "pass one value for each row or column",
            ));
        }
        packing.pack(plain)
    }
}

impl<S: MulPlain> EncryptedMatrix<S> {
    /// Row `i` times the plain `factors[i]`. One level.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn scale_rows_plain(&self, factors: &[S::Value]) -> Result<Self> {
        self.scale_axis_plain("scale rows", factors, true)
    }

    /// Column `j` times the plain `factors[j]`: feature scaling. One level.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn scale_columns_plain(&self, factors: &[S::Value]) -> Result<Self> {
        self.scale_axis_plain("scale columns", factors, false)
    }

    fn scale_axis_plain(
        &self,
        operation: &'static str,
        factors: &[S::Value],
        rows: bool,
    ) -> Result<Self> {
        let packed = self.plain_along(operation, factors, rows)?;
        let tile = self.tile(operation)?;
        let inside = Self::columns_inside(&tile) != rows;
        let n = tile.grid(self.rows, self.cols).inner_blocks();
        elementwise::mul_plain(&self.evaluator, &self.blocks, |b| {
            packed[if inside { b % n } else { b / n }].clone()
        })
        .map(|b| self.with(b))
    }
}

impl<S: Add + MulPlain> EncryptedMatrix<S> {
    /// Adds `vector[j]` to column `j` of every row. The vector in [`column_packing`](Self::column_packing). No depth, but one
    /// level where the rows do not fill their ciphertexts (the vector is masked there, to keep the padding zero).
    ///
    /// # Errors
    /// `Shape`, `Depth`.
    pub fn add_to_rows(&self, vector: &EncryptedVector<S>) -> Result<Self> {
        self.add_axis("add to rows", vector, false)
    }

    /// Adds `vector[i]` to row `i` of every column. The vector in [`row_packing`](Self::row_packing). Depth as
    /// [`add_to_rows`](Self::add_to_rows).
    ///
    /// # Errors
    /// `Shape`, `Depth`.
    pub fn add_to_columns(&self, vector: &EncryptedVector<S>) -> Result<Self> {
        self.add_axis("add to columns", vector, true)
    }

    fn add_axis(
        &self,
        operation: &'static str,
        vector: &EncryptedVector<S>,
        rows: bool,
    ) -> Result<Self> {
        let along = self.along(operation, vector, rows)?;
        let tile = self.tile(operation)?;
        let ev = &self.evaluator;
        let (per_block, len) = if rows {
            (tile.columns_per_block(), self.cols)
        } else {
            (tile.rows_per_block(), self.rows)
        };
        let grid = tile.grid(self.rows, self.cols);
        let inside = Self::columns_inside(&tile) == rows;
        elementwise::map::<S>(&self.blocks, |b, ct| {
            let v = &vector.blocks[along(b)];
            // The block's place along the other axis, over which the vector is spread.
            let other = if inside {
                b % grid.inner_blocks()
            } else {
                b / grid.inner_blocks()
            };
            if (other + 1) * per_block <= len {
                ev.add(ct, v)
            } else {
                let mask = grid.fill(b, S::Value::ZERO, |_, _| S::Value::ONE);
                ev.add(ct, &ev.mul_plain(v, &mask)?)
            }
        })
        .map(|b| self.with(b))
    }
}

impl<S: Add + MulPlain + Rotate> EncryptedMatrix<S> {
    /// Sums over an axis. Over the outer axis of the tile (the rows of a row-major one): no depth, `log2` rotations; over the
    /// inner one: one level and twice as many (no level if a ciphertext holds one row or column).
    ///
    /// # Errors
    /// `Shape` for diagonal packing; `Depth`, `MissingKey`.
    pub fn sum(&self, axis: Axis) -> Result<EncryptedVector<S>> {
        self.reduce("sum", axis, None)
    }

    fn reduce(
        &self,
        operation: &'static str,
        axis: Axis,
        factor: Option<S::Value>,
    ) -> Result<EncryptedVector<S>> {
        let tile = self.tile(operation)?;
        let (ev, grid) = (&self.evaluator, tile.grid(self.rows, self.cols));
        let (len, packing) = match axis {
            Axis::Rows => (self.cols, tile.column_packing()),
            Axis::Columns => (self.rows, tile.row_packing()),
        };
        let blocks = if Self::columns_inside(&tile) == (axis == Axis::Columns) {
            let sums = reduce::add_inner_blocks(ev, &grid, &self.blocks)?;
            reduce::inner_sums(ev, &tile, sums, factor)?
        } else {
            let sums = reduce::add_outer_blocks(ev, &grid, &self.blocks)?;
            elementwise::map::<S>(&sums, |_, ct| match factor {
                Some(f) => reduce::outer_sums(ev, &tile, &ev.mul_scalar(ct, f)?),
                None => reduce::outer_sums(ev, &tile, ct),
            })?
        };
        Ok(self.vector(len, packing, blocks))
    }

    /// Matrix x plain vector. For a column-major tile depth 1 (and no rotations in [column packing](Tile::columns)); for a
    /// row-major one as [`matvec`](Self::matvec), without relinearization.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn matvec_plain(&self, vector: &[S::Value]) -> Result<EncryptedVector<S>> {
        let operation = "matrix x plain vector";
        let tile = self.tile(operation)?;
        let packed = self.plain_along(operation, vector, false)?;
        let (ev, grid) = (&self.evaluator, tile.grid(self.rows, self.cols));
        let (cts, depth) = crate::kernel::align(ev, &self.blocks)?;
        let plains = crate::kernel::each(packed.len(), |i| ev.prepare(&packed[i], depth))?;
        let plains: Vec<_> = plains.iter().collect();
        let inside = Self::columns_inside(&tile);
        let outputs = if inside {
            grid.outer_blocks()
        } else {
            grid.inner_blocks()
        };
        let sums = crate::kernel::blocks::<S>(outputs, |out| {
            let terms: Vec<_> = (0..plains.len())
                .map(|b| {
                    &*cts[if inside {
                        grid.block(b, out)
                    } else {
                        grid.block(out, b)
                    }]
                })
                .collect();
            ev.mul_prepared(&terms, &plains)
        })?;
        let blocks = if inside {
            reduce::inner_sums(ev, &tile, sums, None)?
        } else {
            elementwise::map::<S>(&sums, |_, ct| reduce::outer_sums(ev, &tile, ct))?
        };
        Ok(self.vector(self.rows, tile.row_packing(), blocks))
    }
}

impl<S: Add + Rotate> EncryptedMatrix<S> {
    /// Sum of all values, as a vector of length 1. No depth.
    ///
    /// # Errors
    /// `Shape` for diagonal packing; `MissingKey`.
    pub fn sum_all(&self) -> Result<EncryptedVector<S>> {
        let tile = self.tile("sum")?;
        let ct = reduce::everything(&self.evaluator, tile.repeat(), tile.width(), &self.blocks)?;
        EncryptedVector::scalar(&self.evaluator, ct)
    }
}

impl<S: Add + MulPlain + Rotate + Scheme<Value = f64>> EncryptedMatrix<S> {
    /// Means over an axis. One level; rotations as [`sum`](Self::sum).
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn mean(&self, axis: Axis) -> Result<EncryptedVector<S>> {
        let n = match axis {
            Axis::Rows => self.rows,
            Axis::Columns => self.cols,
        };
        self.reduce("mean", axis, Some(1.0 / n as f64))
    }
}

impl<S: Combine + MulPlain + Rotate> EncryptedMatrix<S> {
    /// Encrypted matrix x plain matrix. One level. In [column packing](Tile::columns) a combination of whole ciphertexts, with
    /// no rotations; otherwise about `2 sqrt(2 columns)` rotations for each ciphertext. The packing stays.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn matmul_plain(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        let operation = "matrix x plain matrix";
        if weights.rows() != self.cols {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} times {} x {}",
                    self.rows,
                    self.cols,
                    weights.rows(),
                    weights.cols()
                ),
                format!("{} rows on the right", self.cols),
                "the inner dimensions have to agree; transpose one?",
            ));
        }
        let transposed = weights.transpose();
        self.apply_axis(operation, &transposed, false)
    }

    /// Applies `weights` (outputs x inputs) along the rows' or the columns' axis.
    pub(super) fn apply_axis(
        &self,
        operation: &'static str,
        weights: &PlainMatrix<S::Value>,
        rows: bool,
    ) -> Result<Self> {
        let tile = self.tile(operation)?;
        let (ev, grid) = (&self.evaluator, tile.grid(self.rows, self.cols));
        let w = WeightMatrix::new(weights.rows(), weights.cols(), weights.data())?;
        let blocks = if Self::columns_inside(&tile) == rows {
            matmul_plain::outer_axis(ev, &grid, &self.blocks, w)?
        } else {
            matmul_plain::inner_axis(ev, &grid, &self.blocks, w)?
        };
        let (r, c) = if rows {
            (weights.rows(), self.cols)
        } else {
            (self.rows, weights.rows())
        };
        Ok(self.reshaped(r, c, tile, blocks))
    }
}
