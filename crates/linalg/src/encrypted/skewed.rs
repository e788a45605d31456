//! Products of matrices in skewed packing.

use super::{EncryptOptions, EncryptedMatrix};

use crate::kernel::matmul_small::{multiply, transposed};
use crate::kernel::slots::{Source, gather_into};
use crate::packing::{MatrixPacking, Order, Skewed};
use crate::plan::{Costs, Plan};
use crate::shape::mismatch;
use cipherblas_scheme::{Add, Error, Mul, MulPlain, Result, Rotate, Scheme};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How a product of two encrypted matrices is computed; see [`EncryptedMatrix::matmul_by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatmulMethod {
    /// The sum of the products of each column of the left factor, every value stretched over a row of the result, and each row
    /// of the right one. Depth 1 for a left factor in [stretched column packing](crate::Tile::columns_stretched) and
    /// a right one in [row packing](crate::Tile::rows); 2 for row-major tiles with rows of equal padded length (square
    /// matrices); 3 otherwise, as one of them is re-packed first. `O(n log n)` rotations for an inner dimension of `n`, few keys.
    OuterProducts,
    /// Both factors in [skewed packing](Skewed), re-packed to it where they are not (one level). On top of that, depth 1 if
    /// the packing is layered, 2 otherwise. `O(n)` rotations, most of them hoisted.
    Skewed,
    /// A transposed row-major tile times a row-major one (`X' X`, `X' Y`): for each diagonal of the product, products row by row,
    /// summed over the rows. Depth 2 for equal tiles (a matrix and its transpose), 3 otherwise. `O(n log(rows in a ciphertext))`
    /// rotations for `n` rows and columns of the product, however many rows are summed over.
    RowSums,
}

/// What the choice of a method depends on, public all of it: both packings, rows, inner dimension, columns, slots.
type Job = ([MatrixPacking; 2], (usize, usize, usize), usize);

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

impl<S: Add + MulPlain + Rotate> EncryptedMatrix<S> {
    /// A tile as a factor.
    pub(super) fn skew(&self, packing: Skewed) -> Result<Self> {
        let tile = self.tile("repack")?;
        let source = Source {
            grid: tile.grid(self.rows, self.cols),
            blocks: &self.blocks,
        };
        let size = (packing.blocks(self.rows, self.cols), packing.width());
        let blocks = gather_into(&self.evaluator, &[source], size, &|block, slot| {
            let (r, c) = packing.at(self.rows, self.cols, block, slot)?;
            let (inner, outer) = tile.inner_outer(r, c);
            Some((0, inner, outer))
        })?;
        Ok(self.reshaped(self.rows, self.cols, packing, blocks))
    }
}

impl<S: Add + MulPlain + Mul + Rotate> EncryptedMatrix<S> {
    /// The method of [`matmul`](Self::matmul) for these two: of those that take no more depth than
    /// [`OuterProducts`](MatmulMethod::OuterProducts), the one with the lowest [estimate](Plan::estimate). It depends on
    /// shapes, packings and slots only, so that a plan and the computation itself agree.
    ///
    /// # Errors
    /// `Shape` for factors that have no product.
    pub fn matmul_method(&self, other: &Self) -> Result<MatmulMethod> {
        if self.skewed().is_some() || other.skewed().is_some() {
            return Ok(MatmulMethod::Skewed);
        }
        static CHOSEN: OnceLock<Mutex<HashMap<Job, MatmulMethod>>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(Mutex::default);
        let slots = self.evaluator.slots();
        let job: Job = (
            [self.packing, other.packing],
            (self.rows, self.cols, other.cols),
            slots,
        );
        let known = |jobs: &Mutex<HashMap<Job, MatmulMethod>>| {
            let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.get(&job).copied()
        };
        if let Some(method) = known(chosen) {
            return Ok(method);
        }
        let plan = |method: MatmulMethod, depth: usize| {
            Plan::trace(slots, depth, |t| {
                let [a, b] = [self, other]
                    .map(|m| t.matrix(m.rows, m.cols, &EncryptOptions::new().packing(m.packing)));
                a?.matmul_by(&b?, method).map(drop)
            })
        };
        let orders = [
            self.tile("matrix x matrix")?,
            other.tile("matrix x matrix")?,
        ]
        .map(|t| t.order());
        // Transposing on the way takes nearly as many masks as there are slots.
        let skewed = orders[0] == orders[1] || self.natural_pair(other)?.0.layered();
        let row_sums = self.row_sums_tile(other)?.is_some();
        if row_sums && self.cols >= self.rows + other.cols {
            // More rows to sum over than diagonals: an outer product for each row is dearer, and takes long to plan.
            return Ok(MatmulMethod::RowSums);
        }
        let rivals = [
            (MatmulMethod::Skewed, skewed),
            (MatmulMethod::RowSums, row_sums),
        ];
        let mut method = MatmulMethod::OuterProducts;
        if rivals.iter().any(|&(_, possible)| possible) {
            // The deepest way to a product: re-packing, masks, the product itself.
            let outer = plan(method, 3)?;
            let mut least = outer.estimate(&Costs::RELATIVE);
            for (rival, _) in rivals.into_iter().filter(|&(_, possible)| possible) {
                match plan(rival, outer.depth()) {
                    Ok(other) if other.estimate(&Costs::RELATIVE) < least => {
                        least = other.estimate(&Costs::RELATIVE);
                        method = rival;
                    }
                    Ok(_) | Err(Error::Depth { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let mut jobs = chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= 1024 {
            jobs.clear();
        }
        jobs.insert(job, method);
        Ok(method)
    }

    /// The packings to which these tiles are turned with the fewest steps: those for a result that lies as they do.
    fn natural_pair(&self, other: &Self) -> Result<(Skewed, Skewed)> {
        let operation = "matrix x matrix";
        let orders = [
            self.tile(operation)?.order(),
            other.tile(operation)?.order(),
        ];
        let order = match orders {
            [Order::ColumnMajor, Order::ColumnMajor] => Order::ColumnMajor,
            _ => Order::RowMajor,
        };
        let dimensions = (self.rows, self.cols, other.cols);
        Skewed::pair_in(order, dimensions, self.evaluator.slots())
    }

    /// Both in the packings of one pair: as they are, or the other one as the partner of the one that is, or both re-packed.
    pub(super) fn matmul_by_skewing(&self, other: &Self) -> Result<Self> {
        match (self.skewed(), other.skewed()) {
            (Some(left), Some(_)) => self.matmul_skewed(&left, other),
            (Some(left), None) => self.matmul_skewed(&left, &other.repack(left.partner())?),
            (None, Some(right)) => {
                let left = right.partner();
                self.repack(left)?.matmul_skewed(&left, other)
            }
            (None, None) => {
                let (left, right) = self.natural_pair(other)?;
                self.repack(left)?
                    .matmul_skewed(&left, &other.repack(right)?)
            }
        }
    }

    /// The product of two factors that lie alike, as a tile.
    pub(super) fn matmul_skewed(&self, left: &Skewed, other: &Self) -> Result<Self> {
        if !other.skewed().is_some_and(|right| left.multiplies(&right)) {
            return Err(mismatch(
                "matrix x matrix",
                format!("{:?} times {:?}", self.packing, other.packing),
                "the two packings of one `Skewed::pair`, left and right",
                "encrypt both factors for this product, or `repack` them",
            ));
        }
        let dimensions = (self.rows, self.cols, other.cols);
        let blocks = multiply(
            &self.evaluator,
            left,
            1,
            dimensions,
            &self.blocks,
            &other.blocks,
        )?;
        Ok(self.reshaped(self.rows, other.cols, left.product(), blocks))
    }

    pub(super) fn skewed(&self) -> Option<Skewed> {
        match self.packing {
            MatrixPacking::Skewed(skewed) => Some(skewed),
            _ => None,
        }
    }
}
