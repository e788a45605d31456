//! Sums over an axis.
//!
//! A sum over positions that are cyclic in the slots (the outermost axis of a packing, or all of it) is *complete*: after
//! `log2` rotations every slot holds the sum. A sum over an inner axis leaves partial sums of neighbours in all but the
//! first position; these are masked away (one level) and the first is spread again, since partial sums would tell
//! the reader of a result more than the result.

use super::elementwise::total;
use super::{Blocks, each};
use crate::packing::{Grid, Tile};
use crate::shape::doublings;
use cipherblas_scheme::{Add, MulPlain, Result, Rotate, Value};
use std::sync::Arc;

/// Adds to `ct` its rotations by `steps`, doubling the number of summands with each.
pub(crate) fn fold<S: Add + Rotate>(
    ev: &S,
    mut ct: S::Ciphertext,
    steps: impl Iterator<Item = i64>,
) -> Result<S::Ciphertext> {
    for step in steps {
        ct = ev.add(&ct, &ev.rotate(&ct, step)?)?;
    }
    Ok(ct)
}

/// Sums each group of `inner` values of a tile and spreads the sum over the group; times `factor`.
///
/// `log2(inner)` rotations where the tile has one group, otherwise a level and twice as many.
pub(crate) fn inner_sums<S: Add + MulPlain + Rotate>(
    ev: &S,
    tile: &Tile,
    cts: Blocks<S>,
    factor: Option<S::Value>,
) -> Result<Blocks<S>> {
    let (repeat, inner) = (tile.repeat(), tile.inner());
    if inner == 1 || tile.outer() == 1 {
        return each(cts.len(), |i| {
            let mut ct = cts[i].clone();
            if let Some(factor) = factor {
                ct = Arc::new(ev.mul_scalar(&ct, factor)?);
            }
            fold(ev, (*ct).clone(), doublings(inner, repeat)).map(Arc::new)
        });
    }
    let (cts, depth) = super::align(ev, &cts)?;
    let mut mask = vec![S::Value::ZERO; repeat * inner];
    mask[..repeat].fill(factor.unwrap_or(S::Value::ONE));
    let mask = ev.prepare(&mask, depth)?;
    each(cts.len(), |i| {
        let sums = fold(ev, (*cts[i]).clone(), doublings(inner, repeat))?;
        let first = ev.mul_prepared(&[&sums], &[&mask])?;
        fold(ev, first, doublings(inner, repeat).map(|s| -s)).map(Arc::new)
    })
}

/// Sums the groups of a tile; every group then holds the sum. `log2(outer)` rotations, no level.
pub(crate) fn outer_sums<S: Add + Rotate>(
    ev: &S,
    tile: &Tile,
    ct: S::Ciphertext,
) -> Result<S::Ciphertext> {
    fold(
        ev,
        ct,
        doublings(tile.outer(), tile.repeat() * tile.inner()),
    )
}

/// Sums the blocks along the inner axis: one ciphertext for each block of the outer axis.
pub(crate) fn add_inner_blocks<S: Add>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let n = grid.inner_blocks();
    super::blocks::<S>(grid.outer_blocks(), |o| {
        let terms: Vec<_> = (0..n).map(|i| &*cts[grid.block(i, o)]).collect();
        total(ev, &terms)
    })
}

/// Sums the blocks along the outer axis: one ciphertext for each block of the inner axis.
pub(crate) fn add_outer_blocks<S: Add>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let n = grid.outer_blocks();
    super::blocks::<S>(grid.inner_blocks(), |i| {
        let terms: Vec<_> = (0..n).map(|o| &*cts[grid.block(i, o)]).collect();
        total(ev, &terms)
    })
}

/// Sum of all values; every slot then holds it.
pub(crate) fn everything<S: Add + Rotate>(
    ev: &S,
    repeat: usize,
    width: usize,
    cts: &[Arc<S::Ciphertext>],
) -> Result<S::Ciphertext> {
    let terms: Vec<_> = cts.iter().map(|ct| &**ct).collect();
    fold(ev, total(ev, &terms)?, doublings(width / repeat, repeat))
}
