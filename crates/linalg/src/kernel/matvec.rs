//! Encrypted matrix x encrypted vector.
//!
//! | packing | vector | result | depth | rotations |
//! |---|---|---|---|---|
//! | tile, contracted axis inside | periodic | stretched | 2 | `2 log2(inner)` a block of rows |
//! | tile, contracted axis outside | stretched | periodic | 1 | `log2(outer)` |
//! | row or column, contracted axis inside | periodic | one value a ciphertext | 1 | `log2(inner)` a row |
//! | row or column, contracted axis outside | one value a ciphertext | periodic | 1 | none |
//! | diagonal | periodic | periodic | 1 | about `sqrt(2 n)` hoisted + `sqrt(n / 2)` |

use super::elementwise::products;
use super::reduce::{fold, inner_sums, outer_sums};
use super::slots::{gather_rotations, rotations};
use super::{Blocks, each};
use crate::packing::{Diagonal, Grid, Tile};
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate};
use std::sync::Arc;

/// Contracts the inner axis of a tile with a vector; times `factor`. One ciphertext for each outer block.
pub(crate) fn contract_inner<S: Add + MulPlain + Mul + Rotate>(
    ev: &S,
    tile: &Tile,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    vector: &[Arc<S::Ciphertext>],
    factor: Option<S::Value>,
) -> Result<Blocks<S>> {
    let v: Vec<&S::Ciphertext> = vector.iter().map(|ct| &**ct).collect();
    let sums = super::blocks::<S>(grid.outer_blocks(), |o| {
        let row: Vec<_> = (0..v.len()).map(|i| &*cts[grid.block(i, o)]).collect();
        products(ev, &row, &v)
    })?;
    inner_sums(ev, tile, sums, factor)
}

/// Contracts the outer axis of a tile with a vector. One ciphertext for each inner block.
pub(crate) fn contract_outer<S: Add + Mul + Rotate>(
    ev: &S,
    tile: &Tile,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    vector: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let v: Vec<&S::Ciphertext> = vector.iter().map(|ct| &**ct).collect();
    super::blocks::<S>(grid.inner_blocks(), |i| {
        let column: Vec<_> = (0..v.len()).map(|o| &*cts[grid.block(i, o)]).collect();
        outer_sums(ev, tile, &products(ev, &column, &v)?)
    })
}

/// Diagonal-packed matrix x periodic vector. One ciphertext for each block of rows.
pub(crate) fn diagonal<S: Add + Mul + Rotate>(
    ev: &S,
    packing: &Diagonal,
    cts: &[Arc<S::Ciphertext>],
    vector: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let (n, baby) = (packing.diagonals(), packing.baby());
    let steps: Vec<i64> = (0..baby as i64).collect();
    let rotated: Vec<Blocks<S>> = each(vector.len(), |j| rotations(ev, &vector[j], &steps))?;
    let giants: Vec<i64> = (0..n).step_by(baby).map(|g| g as i64).collect();
    super::blocks::<S>(cts.len() / n / vector.len(), |i| {
        let sums = each(giants.len(), |g| {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            for (j, babies) in rotated.iter().enumerate() {
                for (b, v) in babies.iter().enumerate() {
                    left.push(&*cts[(i * vector.len() + j) * n + giants[g] as usize + b]);
                    right.push(&**v);
                }
            }
            products(ev, &left, &right)
        })?;
        let sum = gather_rotations(ev, sums, &giants)?;
        let folds = packing.block_cols().div_ceil(packing.block_rows());
        fold(ev, &sum, folds, packing.block_rows() as i64)
    })
}
