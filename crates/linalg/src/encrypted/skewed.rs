//! Products of matrices in skewed packing.

use super::EncryptedMatrix;
use crate::kernel::matmul_small::{Product, transposed};
use crate::packing::{Factor, MatrixPacking, Order, Skewed};
use crate::shape::mismatch;
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate, Scheme};

impl<S: Scheme> EncryptedMatrix<S> {
    /// Rows and columns of blocks.
    fn skewed_blocks(&self, packing: &Skewed) -> (usize, usize) {
        let (rows, cols) = packing.block();
        (self.rows.div_ceil(rows), self.cols.div_ceil(cols))
    }

    pub(super) fn transpose_skewed(&self, packing: &Skewed) -> Result<Self> {
        let (rows, cols) = self.skewed_blocks(packing);
        let blocks = transposed::<S>(&self.blocks, rows, cols);
        Ok(self.reshaped(self.cols, self.rows, packing.transposed(), blocks))
    }
}

impl<S: Add + MulPlain + Mul + Rotate> EncryptedMatrix<S> {
    /// The product of two factors that lie alike, as a tile.
    pub(super) fn matmul_skewed(&self, left: &Skewed, other: &Self) -> Result<Self> {
        let fits = left.factor() == Factor::Left && other.packing == left.partner().into();
        if !fits {
            return Err(mismatch(
                "matrix x matrix",
                format!("{:?} times {:?}", self.packing, other.packing),
                "the two packings of one `Skewed::pair`, left and right",
                "encrypt both factors for this product, or `repack` them",
            ));
        }
        let ((rows, inner), (_, cols)) = (
            self.skewed_blocks(left),
            other.skewed_blocks(&left.partner()),
        );
        let (geometry, stride) = (left.geometry(), 1);
        let ev = &self.evaluator;
        let blocks = match left.order() {
            Order::RowMajor => Product {
                geometry,
                stride,
                blocks: (rows, inner, cols),
            }
            .run(ev, &self.blocks, &other.blocks)?,
            Order::ColumnMajor => {
                let (a, b) = (
                    transposed::<S>(&other.blocks, inner, cols),
                    transposed::<S>(&self.blocks, rows, inner),
                );
                Product {
                    geometry,
                    stride,
                    blocks: (cols, inner, rows),
                }
                .run(ev, &a, &b)?
            }
        };
        Ok(self.reshaped(self.rows, other.cols, left.product(), blocks))
    }

    pub(super) fn skewed(&self) -> Option<Skewed> {
        match self.packing {
            MatrixPacking::Skewed(skewed) => Some(skewed),
            _ => None,
        }
    }
}
