//! Diagonal packing: one generalized diagonal to a ciphertext.
//!
//! ```text
//! 4 x 4 matrix, 8 slots          4 x 2 matrix           2 x 4 matrix
//!  a b c d   | a f k p a f k p |   a b   | a d e h ... |   a b c d   | a f c h ... |
//!  e f g h   | b g l m b g l m |   c d   | b c f g ... |   e f g h   | b g d e ... |
//!  i j k l   | c h i n c h i n |   e f
//!  m n o p   | d e j o d e j o |   g h
//! ```
//! Diagonal `k` holds at slot `s` the element in row `s mod rows'` and column `(s + k) mod cols'`, where the primes mean
//! rounding up to a power of two. A matrix-vector product multiplies diagonal `k` with the vector rotated by `k` and sums:
//! depth 1. To save rotations, diagonal `k` is stored already rotated by the part of `k` that is a multiple of `baby`
//! (*giant step*); only the rest (*baby step*) is then rotated on the vector's side.

use super::VectorPacking;
use crate::kernel::slots::choose_baby;
use crate::shape::{check_data, check_dims, mismatch, padded};
use cipherblas_scheme::{Result, Value};

/// Generalized diagonals of blocks of `rows` x `cols` (powers of two), giant steps being multiples of `baby`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Diagonal {
    rows: usize,
    cols: usize,
    baby: usize,
}

impl Diagonal {
    /// The diagonal packing with the cheapest division into baby and giant steps.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn fit(rows: usize, cols: usize, slots: usize) -> Result<Self> {
        check_dims("diagonal packing", rows, cols)?;
        let block_rows = padded("diagonal packing", rows)?.min(slots);
        let block_cols = padded("diagonal packing", cols)?.min(slots);
        let steps: Vec<i64> = (0..block_rows.min(block_cols) as i64).collect();
        let baby = choose_baby(
            &steps,
            1,
            cols.div_ceil(block_cols),
            rows.div_ceil(block_rows),
        );
        Self::new(block_rows, block_cols, baby)
    }

    /// Any diagonal packing.
    ///
    /// # Errors
    /// `Shape` unless all are powers of two and `baby` is at most the number of diagonals, `min(rows, cols)`.
    pub fn new(block_rows: usize, block_cols: usize, baby: usize) -> Result<Self> {
        let ok = [block_rows, block_cols, baby]
            .iter()
            .all(|n| n.is_power_of_two())
            && baby <= block_rows.min(block_cols);
        if !ok {
            return Err(mismatch(
                "diagonal packing",
                format!("blocks of {block_rows} x {block_cols}, baby steps {baby}"),
                "powers of two, no more baby steps than diagonals",
                "use `Diagonal::fit`",
            ));
        }
        Ok(Self {
            rows: block_rows,
            cols: block_cols,
            baby,
        })
    }

    /// Rows of a block.
    pub fn block_rows(&self) -> usize {
        self.rows
    }
    /// Columns of a block.
    pub fn block_cols(&self) -> usize {
        self.cols
    }
    /// Number of baby steps: rotations that the vector is needed in, the one by 0 included.
    pub fn baby(&self) -> usize {
        self.baby
    }
    /// Diagonals of a block: `min(block_rows, block_cols)`.
    pub fn diagonals(&self) -> usize {
        self.rows.min(self.cols)
    }
    /// Slots after which a ciphertext's contents repeat: `max(block_rows, block_cols)`.
    pub fn width(&self) -> usize {
        self.rows.max(self.cols)
    }
    /// The packing of a vector with one value per row: what a product gives.
    pub fn row_packing(&self) -> VectorPacking {
        VectorPacking::new(1, self.rows).expect("the parts of a packing are powers of two")
    }
    /// The packing of a vector with one value per column: what a product takes.
    pub fn column_packing(&self) -> VectorPacking {
        VectorPacking::new(1, self.cols).expect("the parts of a packing are powers of two")
    }
    /// Ciphertexts that a `rows` x `cols` matrix takes.
    pub fn blocks(&self, rows: usize, cols: usize) -> usize {
        rows.div_ceil(self.rows) * cols.div_ceil(self.cols) * self.diagonals()
    }

    /// Row and column of what a slot holds, `None` for padding.
    pub(crate) fn at(
        &self,
        rows: usize,
        cols: usize,
        block: usize,
        slot: usize,
    ) -> Option<(usize, usize)> {
        let k = block % self.diagonals();
        let b = block / self.diagonals();
        let (bi, bj) = (b / cols.div_ceil(self.cols), b % cols.div_ceil(self.cols));
        let giant = k - k % self.baby;
        let s = slot.wrapping_sub(giant) & (self.width() - 1);
        let r = bi * self.rows + s % self.rows;
        let c = bj * self.cols + (s + k) % self.cols;
        (r < rows && c < cols).then_some((r, c))
    }

    /// One slice of `width()` values per ciphertext: block by block (row by row), within a block diagonal by diagonal.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values.
    pub fn pack<V: Value>(&self, rows: usize, cols: usize, data: &[V]) -> Result<Vec<Vec<V>>> {
        check_data("pack", rows, cols, data.len())?;
        Ok((0..self.blocks(rows, cols))
            .map(|b| {
                (0..self.width())
                    .map(|s| {
                        self.at(rows, cols, b, s)
                            .map_or(V::ZERO, |(r, c)| data[r * cols + c])
                    })
                    .collect()
            })
            .collect())
    }

    /// The inverse of [`pack`](Self::pack).
    ///
    /// # Errors
    /// `Shape` if there are too few blocks, or one is shorter than `width()`.
    pub fn unpack<V: Value>(&self, rows: usize, cols: usize, blocks: &[Vec<V>]) -> Result<Vec<V>> {
        let n = check_dims("unpack", rows, cols)?;
        if blocks.len() != self.blocks(rows, cols) || blocks.iter().any(|b| b.len() < self.width())
        {
            return Err(mismatch(
                "unpack",
                format!("{} blocks", blocks.len()),
                format!(
                    "{} blocks of at least {} slots",
                    self.blocks(rows, cols),
                    self.width()
                ),
                "pass every ciphertext's slots, in order",
            ));
        }
        let mut out = vec![V::ZERO; n];
        for (b, block) in blocks.iter().enumerate() {
            for (s, &v) in block.iter().enumerate().take(self.width()) {
                if let Some((r, c)) = self.at(rows, cols, b, s) {
                    out[r * cols + c] = v;
                }
            }
        }
        Ok(out)
    }

    /// Refuses a packing that needs more slots than a ciphertext has.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.width() > slots {
            return Err(mismatch(
                "diagonal packing",
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
        let d = Diagonal::new(4, 4, 4).unwrap();
        let data: Vec<f64> = (0..16).map(f64::from).collect();
        let blocks = d.pack(4, 4, &data).unwrap();
        assert_eq!(blocks[0], [0., 5., 10., 15.]);
        assert_eq!(blocks[1], [1., 6., 11., 12.]);
        let d = Diagonal::new(2, 4, 2).unwrap();
        assert_eq!(d.pack(2, 4, &data[..8]).unwrap()[1], [1., 6., 3., 4.]);
        let d = Diagonal::new(4, 4, 2).unwrap();
        // Diagonal 2 = (2, 7, 8, 13), stored rotated to the right by 2.
        assert_eq!(d.pack(4, 4, &data).unwrap()[2], [8., 13., 2., 7.]);
        assert!(Diagonal::new(4, 2, 4).is_err());
        assert!(Diagonal::fit(0, 3, 4).is_err());
    }

    proptest! {
        #[test]
        fn roundtrip(rows in 1usize..14, cols in 1usize..14, slots_log in 0u32..6) {
            let d = Diagonal::fit(rows, cols, 1 << slots_log).unwrap();
            let data: Vec<f64> = (0..rows * cols).map(|i| i as f64 + 1.0).collect();
            let blocks = d.pack(rows, cols, &data).unwrap();
            prop_assert_eq!(d.unpack(rows, cols, &blocks).unwrap(), data.clone());
            // Every element exactly once.
            prop_assert_eq!(blocks.iter().flatten().sum::<f64>(), data.iter().sum::<f64>());
        }
    }
}
