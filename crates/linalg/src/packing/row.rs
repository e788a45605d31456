//! Row packing: one row to a ciphertext (more when a row is longer than the slots), repeated to fill it.
//!
//! ```text
//! 4 x 4 matrix, 8 slots
//! | a b c d a b c d |
//! | e f g h e f g h |
//! | i j k l i j k l |
//! | m n o p m n o p |
//! ```
//! A plain matrix from the left combines whole ciphertexts ([`Combine`](cipherblas_scheme::Combine)): no rotation, no key.

use super::{Order, Tile};
use crate::shape::{check_dims, padded};
use cipherblas_scheme::Result;

impl Tile {
    /// Row packing.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn rows(rows: usize, cols: usize, slots: usize) -> Result<Self> {
        check_dims("row packing", rows, cols)?;
        Self::new(
            Order::RowMajor,
            1,
            padded("row packing", cols)?.min(slots),
            1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing() {
        let data: Vec<f64> = (0..6).map(f64::from).collect();
        let t = Tile::rows(2, 3, 8).unwrap();
        assert_eq!(
            t.pack(2, 3, &data).unwrap(),
            [vec![0., 1., 2., 0.], vec![3., 4., 5., 0.]]
        );
        let t = Tile::rows(2, 3, 2).unwrap();
        assert_eq!(t.blocks(2, 3), 4);
        assert!(Tile::rows(0, 3, 2).is_err());
    }
}
