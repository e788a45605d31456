//! Tile packing: whole rows (or whole columns) after one another, as many as fit in a ciphertext.
//!
//! ```text
//! 4 x 4 matrix, 16 slots, row-major        column-major
//! | a b c d | e f g h | i j k l | m n o p |  | a e i m | b f j n | c g k o | d h l p |
//! ```
//! A 3 x 3 matrix in the same slots: the inner axis is padded with zeros to 4, the outer axis too:
//! ```text
//! | a b c 0 | d e f 0 | g h i 0 | 0 0 0 0 |
//! ```
//! Transposing exchanges the two orders and moves nothing.

use super::{Grid, VectorPacking};
use crate::shape::{check_data, check_dims, mismatch, padded};
use cipherblas_scheme::{Result, Value};

/// Which axis lies along consecutive slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The values of a row are adjacent.
    RowMajor,
    /// The values of a column are adjacent.
    ColumnMajor,
}

impl Order {
    /// The other order.
    pub fn flipped(self) -> Self {
        match self {
            Self::RowMajor => Self::ColumnMajor,
            Self::ColumnMajor => Self::RowMajor,
        }
    }
}

/// How a matrix lies in the slots: `inner` values of the axis that [`Order`] puts in consecutive slots, `outer` groups of
/// them to a ciphertext, each value `repeat` times in a row; cut into as many blocks as the matrix needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    order: Order,
    repeat: usize,
    inner: usize,
    outer: usize,
}

impl Tile {
    /// Any tile.
    ///
    /// # Errors
    /// `Shape` unless all three are powers of two.
    pub fn new(order: Order, repeat: usize, inner: usize, outer: usize) -> Result<Self> {
        let ok = [repeat, inner, outer].iter().all(|n| n.is_power_of_two())
            && repeat
                .checked_mul(inner)
                .and_then(|n| n.checked_mul(outer))
                .is_some();
        if !ok {
            return Err(mismatch(
                "tile packing",
                format!("repeat {repeat}, inner {inner}, outer {outer}"),
                "powers of two",
                "round up to the next power of two",
            ));
        }
        Ok(Self {
            order,
            repeat,
            inner,
            outer,
        })
    }

    /// The tile that holds as many whole rows (row-major) or columns (column-major) as fit in `slots`.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn fit(order: Order, rows: usize, cols: usize, slots: usize) -> Result<Self> {
        check_dims("tile packing", rows, cols)?;
        let (inner, outer) = match order {
            Order::RowMajor => (cols, rows),
            Order::ColumnMajor => (rows, cols),
        };
        let inner = padded("tile packing", inner)?.min(slots);
        let outer = padded("tile packing", outer)?.min((slots / inner).max(1));
        Self::new(order, 1, inner, outer)
    }

    /// Which axis lies along consecutive slots.
    pub fn order(&self) -> Order {
        self.order
    }
    /// Consecutive slots that hold the same value.
    pub fn repeat(&self) -> usize {
        self.repeat
    }
    /// Values of the inner axis in a ciphertext.
    pub fn inner(&self) -> usize {
        self.inner
    }
    /// Values of the outer axis in a ciphertext.
    pub fn outer(&self) -> usize {
        self.outer
    }
    /// Slots after which a ciphertext's contents repeat.
    pub fn width(&self) -> usize {
        self.repeat * self.inner * self.outer
    }
    /// Rows of the matrix in one ciphertext.
    pub fn rows_per_block(&self) -> usize {
        match self.order {
            Order::RowMajor => self.outer,
            Order::ColumnMajor => self.inner,
        }
    }
    /// Columns of the matrix in one ciphertext.
    pub fn columns_per_block(&self) -> usize {
        match self.order {
            Order::RowMajor => self.inner,
            Order::ColumnMajor => self.outer,
        }
    }
    /// Ciphertexts that a `rows` x `cols` matrix takes.
    pub fn blocks(&self, rows: usize, cols: usize) -> usize {
        self.grid(rows, cols).blocks()
    }
    /// The same slots read as the transposed matrix.
    pub fn transposed(&self) -> Self {
        Self {
            order: self.order.flipped(),
            ..*self
        }
    }

    /// The packing of a vector with one value per row, aligned with this tile.
    pub fn row_packing(&self) -> VectorPacking {
        self.axis_packing(self.order == Order::ColumnMajor)
    }

    /// The packing of a vector with one value per column, aligned with this tile.
    pub fn column_packing(&self) -> VectorPacking {
        self.axis_packing(self.order == Order::RowMajor)
    }

    fn axis_packing(&self, inner: bool) -> VectorPacking {
        let (repeat, period) = if inner {
            (self.repeat, self.inner)
        } else {
            (self.repeat * self.inner, self.outer)
        };
        VectorPacking::new(repeat, period).expect("the parts of a tile are powers of two")
    }

    /// One slice of `width()` values per ciphertext, from row-major data.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values.
    pub fn pack<V: Value>(&self, rows: usize, cols: usize, data: &[V]) -> Result<Vec<Vec<V>>> {
        check_data("pack", rows, cols, data.len())?;
        let grid = self.grid(rows, cols);
        Ok((0..grid.blocks())
            .map(|b| grid.fill(b, V::ZERO, |i, o| data[self.flat(cols, i, o)]))
            .collect())
    }

    /// The inverse of [`pack`](Self::pack): row-major data from the slots of all ciphertexts.
    ///
    /// # Errors
    /// `Shape` if there are too few blocks, or one is shorter than `width()`.
    pub fn unpack<V: Value>(&self, rows: usize, cols: usize, blocks: &[Vec<V>]) -> Result<Vec<V>> {
        check_dims("unpack", rows, cols)?;
        let grid = self.grid(rows, cols);
        if blocks.len() != grid.blocks() || blocks.iter().any(|b| b.len() < grid.width()) {
            return Err(mismatch(
                "unpack",
                format!("{} blocks", blocks.len()),
                format!(
                    "{} blocks of at least {} slots",
                    grid.blocks(),
                    grid.width()
                ),
                "pass every ciphertext's slots, in order",
            ));
        }
        let mut out = Vec::with_capacity(rows * cols);
        for r in 0..rows {
            for c in 0..cols {
                let (i, o) = self.inner_outer(r, c);
                let (block, slot) = grid.place(i, o);
                out.push(blocks[block][slot]);
            }
        }
        Ok(out)
    }

    /// This tile, its inner axis and then its outer axis widened to what a matrix of this shape can use of `slots`.
    pub(crate) fn grown(&self, rows: usize, cols: usize, slots: usize) -> Result<Self> {
        let (inner_len, outer_len) = self.inner_outer(rows, cols);
        if inner_len <= self.inner && (outer_len <= self.outer || self.outer == 1) {
            return Ok(*self);
        }
        let inner = padded("tile packing", inner_len)?
            .min(slots / self.repeat)
            .max(self.inner);
        let most = slots / (self.repeat * inner);
        let outer = match self.outer {
            1 => 1,
            outer => padded("tile packing", outer_len)?.max(outer).min(most),
        };
        Self::new(self.order, self.repeat, inner, outer)
    }

    /// Row-major position of the element with the given inner and outer index.
    pub(crate) fn flat(&self, cols: usize, inner: usize, outer: usize) -> usize {
        match self.order {
            Order::RowMajor => outer * cols + inner,
            Order::ColumnMajor => inner * cols + outer,
        }
    }

    /// Exchanges `(row, column)` and `(inner, outer)`, in either direction for column-major order.
    pub(crate) fn inner_outer(&self, row: usize, col: usize) -> (usize, usize) {
        match self.order {
            Order::RowMajor => (col, row),
            Order::ColumnMajor => (row, col),
        }
    }

    pub(crate) fn grid(&self, rows: usize, cols: usize) -> Grid {
        let (inner_len, outer_len) = self.inner_outer(rows, cols);
        Grid {
            repeat: self.repeat,
            inner: self.inner,
            outer: self.outer,
            inner_len,
            outer_len,
        }
    }

    /// Refuses a packing that needs more slots than a ciphertext has.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.width() > slots {
            return Err(mismatch(
                "tile packing",
                format!("{} slots", self.width()),
                format!("at most {slots}"),
                "make the packing for this scheme's slots",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn drawings() {
        let data: Vec<f64> = (1..=9).map(f64::from).collect();
        let t = Tile::fit(Order::RowMajor, 3, 3, 16).unwrap();
        assert_eq!(
            t.pack(3, 3, &data).unwrap(),
            [vec![
                1., 2., 3., 0., 4., 5., 6., 0., 7., 8., 9., 0., 0., 0., 0., 0.
            ]]
        );
        let t = Tile::fit(Order::ColumnMajor, 3, 3, 8).unwrap();
        assert_eq!(
            t.pack(3, 3, &data).unwrap(),
            [
                vec![1., 4., 7., 0., 2., 5., 8., 0.],
                vec![3., 6., 9., 0., 0., 0., 0., 0.]
            ]
        );
    }

    #[test]
    fn aligned_vector_packings() {
        let t = Tile::fit(Order::RowMajor, 5, 3, 16).unwrap();
        assert_eq!((t.inner(), t.outer()), (4, 4));
        assert_eq!(t.column_packing(), VectorPacking::new(1, 4).unwrap());
        assert_eq!(t.row_packing(), VectorPacking::new(4, 4).unwrap());
        assert_eq!(t.transposed().row_packing(), t.column_packing());
        assert_eq!((t.rows_per_block(), t.columns_per_block()), (4, 4));
    }

    #[test]
    fn misuse() {
        assert!(Tile::new(Order::RowMajor, 1, 3, 4).is_err());
        assert!(Tile::fit(Order::RowMajor, 0, 4, 16).is_err());
        let t = Tile::fit(Order::RowMajor, 3, 3, 16).unwrap();
        assert!(t.check_slots(8).is_err());
        assert!(t.pack(3, 3, &[0.0; 8]).is_err());
        assert!(t.unpack(3, 3, &[vec![0.0; 8]]).is_err());
    }

    proptest! {
        #[test]
        fn roundtrip(rows in 1usize..20, cols in 1usize..20, slots_log in 0u32..7, flip: bool) {
            let slots = 1 << slots_log;
            let order = if flip { Order::ColumnMajor } else { Order::RowMajor };
            let t = Tile::fit(order, rows, cols, slots).unwrap();
            prop_assert!(t.check_slots(slots).is_ok());
            let data: Vec<f64> = (0..rows * cols).map(|i| i as f64 + 1.0).collect();
            let blocks = t.pack(rows, cols, &data).unwrap();
            prop_assert_eq!(blocks.len(), t.blocks(rows, cols));
            prop_assert_eq!(t.unpack(rows, cols, &blocks).unwrap(), data.clone());
            prop_assert_eq!(blocks.iter().flatten().sum::<f64>(), data.iter().sum::<f64>());
        }
    }
}
