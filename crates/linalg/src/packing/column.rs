//! Column packing: one column to a ciphertext (more when a column is longer than the slots), repeated to fill it.
//!
//! ```text
//! 4 x 4 matrix, 8 slots
//! | a e i m a e i m |
//! | b f j n b f j n |
//! | c g k o c g k o |
//! | d h l p d h l p |
//! ```
//! A plain matrix from the right combines whole ciphertexts ([`Combine`](cipherblas_scheme::Combine)): no rotation, no key.
//! The packing for inference with plain weights on many encrypted rows.

use super::{Order, Tile};
use crate::shape::{check_dims, padded};
use cipherblas_scheme::Result;

impl Tile {
    /// Column packing.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn columns(rows: usize, cols: usize, slots: usize) -> Result<Self> {
        check_dims("column packing", rows, cols)?;
        Self::new(
            Order::ColumnMajor,
            1,
            padded("column packing", rows)?.min(slots),
            1,
        )
    }

    /// Column packing with every value `repeat` times in a row: the left factor of an encrypted product without
    /// rotations, where `repeat` is the right factor's number of columns rounded up to a power of two.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, or a `repeat` that is not a power of two or exceeds `slots`.
    pub fn columns_stretched(
        rows: usize,
        cols: usize,
        repeat: usize,
        slots: usize,
    ) -> Result<Self> {
        check_dims("column packing", rows, cols)?;
        let packing = super::VectorPacking::stretched(rows, repeat, slots)?;
        Self::new(Order::ColumnMajor, repeat, packing.period(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing() {
        let data: Vec<f64> = (0..6).map(f64::from).collect();
        let t = Tile::columns(3, 2, 8).unwrap();
        assert_eq!(
            t.pack(3, 2, &data).unwrap(),
            [vec![0., 2., 4., 0.], vec![1., 3., 5., 0.]]
        );
        let t = Tile::columns_stretched(3, 2, 2, 8).unwrap();
        assert_eq!(
            t.pack(3, 2, &data).unwrap()[1],
            [1., 1., 3., 3., 5., 5., 0., 0.]
        );
        assert!(Tile::columns(3, 0, 2).is_err());
        assert!(Tile::columns_stretched(3, 2, 16, 8).is_err());
    }
}
