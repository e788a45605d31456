//! Encrypted matrix x encrypted matrix, and the Gram matrix.
//!
//! `A B = sum_l (column l of A) (row l of B)`: every column of `A`, each value stretched over a row of the result, times
//! every row of `B`, repeated for each row of the result; one relinearization for a ciphertext of the result. Columns and
//! rows are cut out of tiles by a mask (one level) and spread by doubling.

use super::elementwise::{products, total};
use super::reduce::outer_sums;
use super::slots::rotations;
use super::{Blocks, align, each};
use crate::packing::{Grid, Tile};
use crate::shape::doublings;
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate, Value};
use std::sync::Arc;

/// For each index of the outer axis, the vector along the inner axis: the blocks as they are if they hold one outer index,
/// else cut out and repeated over all groups (one level).
pub(crate) fn inner_vectors<S: Add + MulPlain + Rotate>(
    ev: &S,
    tile: &Tile,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
) -> Result<Vec<Blocks<S>>> {
    let whole = |o: usize| (0..grid.inner_blocks()).map(move |i| grid.block(i, o / grid.outer));
    if grid.outer == 1 {
        return Ok((0..grid.outer_len)
            .map(|o| whole(o).map(|b| cts[b].clone()).collect())
            .collect());
    }
    let (cts, depth) = align(ev, cts)?;
    let group = grid.repeat * grid.inner;
    let masks = each(grid.outer.min(grid.outer_len), |g| {
        let mut mask = vec![S::Value::ZERO; grid.width()];
        mask[g * group..(g + 1) * group].fill(S::Value::ONE);
        ev.prepare(&mask, depth)
    })?;
    each(grid.outer_len, |o| {
        whole(o)
            .map(|b| {
                let one = ev.mul_prepared(&[&cts[b]], &[&masks[o % grid.outer]])?;
                outer_sums(ev, tile, &one).map(Arc::new)
            })
            .collect()
    })
}

/// For each index of the inner axis, the vector along the outer axis, each value spread over its group (one level; none
/// if the groups hold one index).
pub(crate) fn outer_vectors<S: Add + MulPlain + Rotate>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
) -> Result<Vec<Blocks<S>>> {
    let whole = |i: usize| (0..grid.outer_blocks()).map(move |o| grid.block(i / grid.inner, o));
    if grid.inner == 1 {
        return Ok((0..grid.inner_len)
            .map(|i| whole(i).map(|b| cts[b].clone()).collect())
            .collect());
    }
    let (cts, depth) = align(ev, cts)?;
    let (repeat, inner) = (grid.repeat, grid.inner);
    let masks = each(inner.min(grid.inner_len), |i| {
        let mut mask = vec![S::Value::ZERO; repeat * inner];
        mask[i * repeat..(i + 1) * repeat].fill(S::Value::ONE);
        ev.prepare(&mask, depth)
    })?;
    each(grid.inner_len, |i| {
        let at = i % inner;
        whole(i)
            .map(|b| {
                let one = ev.mul_prepared(&[&cts[b]], &[&masks[at]])?;
                // Only position `at` of a group holds something: with each bit, copy it to where that bit differs.
                let mut spread = one;
                for (bit, step) in doublings(inner, repeat).enumerate() {
                    let step = if at >> bit & 1 == 1 { step } else { -step };
                    spread = ev.add(&spread, &ev.rotate(&spread, step)?)?;
                }
                Ok(Arc::new(spread))
            })
            .collect()
    })
}

/// `sum_l left[l] (x) right[l]`: block `(i, o)` of the result is the sum of `left[l][o] * right[l][i]`. One level.
pub(crate) fn outer_products<S: Mul>(
    ev: &S,
    left: &[Blocks<S>],
    right: &[Blocks<S>],
) -> Result<Blocks<S>> {
    let (outer, inner) = (left[0].len(), right[0].len());
    super::blocks::<S>(outer * inner, |b| {
        let l: Vec<_> = left.iter().map(|v| &*v[b / inner]).collect();
        let r: Vec<_> = right.iter().map(|v| &*v[b % inner]).collect();
        products(ev, &l, &r)
    })
}

/// Rotations held at a time by [`gram`], to bound the memory.
const CHUNK: usize = 16;

/// All generalized diagonals of `X' X` for a row-major tile: see [`Diagonal`](crate::packing::Diagonal), with
/// blocks of `inner` x `inner` and no giant steps.
///
/// A tile with one row to a ciphertext: depth 1. Otherwise rows are adjacent, so that rotating a row brings in the next:
/// the products with it are masked, depth 2.
pub(crate) fn gram<S: Add + MulPlain + Mul + Rotate>(
    ev: &S,
    tile: &Tile,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let (c, n) = (grid.inner, grid.inner_blocks());
    if n > 1 {
        // More columns than slots: one row to a ciphertext, and rotations wrap within the row.
        let mut out = Vec::with_capacity(n * n * c);
        for bi in 0..n {
            for bj in 0..n {
                let all: Vec<usize> = (0..c).collect();
                out.extend(diagonals(ev, tile, grid, cts, (bi, bj), &all)?);
            }
        }
        return Ok(out);
    }
    if grid.outer == 1 {
        let half: Vec<usize> = (0..=c / 2).collect();
        let upper = diagonals(ev, tile, grid, cts, (0, 0), &half)?;
        return super::blocks::<S>(c, |k| match upper.get(k) {
            Some(ct) => Ok((**ct).clone()),
            // G is symmetric: G[s, s + k] = G[s + k, s].
            None => ev.rotate(&upper[c - k], (k * grid.repeat) as i64),
        });
    }
    let d = grid.inner_len;
    let steps: Vec<usize> = (0..d).collect();
    let upper = diagonals(ev, tile, grid, cts, (0, 0), &steps)?;
    let upper = super::blocks::<S>(d, |k| {
        if k + d <= c {
            return Ok((*upper[k]).clone());
        }
        let mut mask = vec![S::Value::ZERO; c * grid.repeat];
        mask[..(d - k) * grid.repeat].fill(S::Value::ONE);
        ev.mul_plain(&upper[k], &mask)
    })?;
    super::blocks::<S>(c, |k| {
        let below = if k == 0 { None } else { upper.get(c - k) }
            .map(|u| ev.rotate(u, (k * grid.repeat) as i64))
            .transpose()?;
        match (upper.get(k), below) {
            (Some(a), Some(b)) => ev.add(a, &b),
            (Some(a), None) => Ok((**a).clone()),
            (None, Some(b)) => Ok(b),
            (None, None) => ev.sub(&upper[0], &upper[0]),
        }
    })
}

/// `A' B` for two matrices in one row-major tile whose rows fit in a ciphertext, as a row-major tile of the same width.
///
/// With `P_j(s) = sum_rows A(row, s) B(row, s + j)`, which repeats after each row, entry `(r, c)` of the product is
/// `P_(c-r)(r)`: entries are taken out of each `P_j` by a mask and moved by `-j`. Depth 2: hoisted rotations of every ciphertext
/// of `B` by each `j`, one relinearization and `log2(rows in a ciphertext)` rotations for each, and one more of each in a sum.
/// If both are the same matrix, `P_(-j)` is `P_j` moved by `-j`: half of everything.
pub(crate) fn row_sums<S: Add + MulPlain + Mul + Rotate>(
    ev: &S,
    tile: &Tile,
    (left, a): (&Grid, &[Arc<S::Ciphertext>]),
    (right, b): (&Grid, &[Arc<S::Ciphertext>]),
    rows_per_block: usize,
) -> Result<Blocks<S>> {
    let (p, q, c) = (
        left.inner_len as i64,
        right.inner_len as i64,
        left.inner as i64,
    );
    let same = a.iter().zip(b).all(|(x, y)| Arc::ptr_eq(x, y));
    let least = if same { 0 } else { 1 - p };
    let steps: Vec<i64> = (least..q).collect();
    let mut sums: Blocks<S> = Vec::with_capacity(steps.len());
    for js in steps.chunks(CHUNK) {
        let mut partial: Vec<Blocks<S>> = Vec::new();
        let all: Vec<usize> = (0..b.len()).collect();
        for chunk in all.chunks(CHUNK) {
            let rotated = each(chunk.len(), |k| rotations(ev, &b[chunk[k]], js))?;
            let lefts: Vec<_> = chunk.iter().map(|&k| &*a[k]).collect();
            partial.push(super::blocks::<S>(js.len(), |j| {
                let rights: Vec<_> = rotated.iter().map(|r| &*r[j]).collect();
                products(ev, &lefts, &rights)
            })?);
        }
        sums.extend(super::blocks::<S>(js.len(), |j| {
            let terms: Vec<_> = partial.iter().map(|x| &*x[j]).collect();
            outer_sums(ev, tile, &total(ev, &terms)?)
        })?);
    }
    let (sums, depth) = align(ev, &sums)?;
    let outer = rows_per_block as i64;
    super::blocks::<S>(left.inner_len.div_ceil(rows_per_block), |block| {
        let first = block as i64 * outer;
        // Taken from `P_j` where `to` says, moved by `-by`.
        let taken = |sum: usize, j: i64, by: i64| -> Result<Option<(S::Ciphertext, i64)>> {
            let mut mask = vec![S::Value::ZERO; (outer * c) as usize];
            let mut some = false;
            for row in first..p.min(first + outer) {
                let column = row + j;
                if (0..q).contains(&column) {
                    let slot = (row - first) * c + column - by;
                    mask[slot.rem_euclid(outer * c) as usize] = S::Value::ONE;
                    some = true;
                }
            }
            if !some {
                return Ok(None);
            }
            let mask = ev.prepare(&mask, depth)?;
            Ok(Some((ev.mul_prepared(&[&sums[sum]], &[&mask])?, -by)))
        };
        let mut jobs: Vec<(usize, i64, i64)> =
            steps.iter().enumerate().map(|(k, &j)| (k, j, j)).collect();
        if same {
            jobs.extend(steps.iter().enumerate().skip(1).map(|(k, &j)| (k, -j, 0)));
        }
        let terms: Vec<(S::Ciphertext, i64)> = each(jobs.len(), |k| {
            let (sum, j, by) = jobs[k];
            taken(sum, j, by)
        })?
        .into_iter()
        .flatten()
        .collect();
        let cts: Vec<&S::Ciphertext> = terms.iter().map(|(ct, _)| ct).collect();
        let moves: Vec<i64> = terms.iter().map(|&(_, step)| step).collect();
        ev.rotate_sum(&cts, &moves)
    })
}

/// `sum_rows X_bi(s) X_bj(s + k)` for each `k` in `steps`, complete over the groups of the tile.
fn diagonals<S: Add + Mul + Rotate>(
    ev: &S,
    tile: &Tile,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    (bi, bj): (usize, usize),
    steps: &[usize],
) -> Result<Blocks<S>> {
    let mut out = Vec::with_capacity(steps.len());
    for ks in steps.chunks(CHUNK) {
        let moves: Vec<i64> = ks.iter().map(|&k| (k * grid.repeat) as i64).collect();
        let mut partial: Vec<Blocks<S>> = Vec::new();
        let rows: Vec<usize> = (0..grid.outer_blocks()).collect();
        for rows in rows.chunks(CHUNK) {
            let rotated = each(rows.len(), |r| {
                rotations(ev, &cts[grid.block(bj, rows[r])], &moves)
            })?;
            let left: Vec<_> = rows.iter().map(|&r| &*cts[grid.block(bi, r)]).collect();
            partial.push(super::blocks::<S>(ks.len(), |k| {
                let right: Vec<_> = rotated.iter().map(|r| &*r[k]).collect();
                products(ev, &left, &right)
            })?);
        }
        out.extend(super::blocks::<S>(ks.len(), |k| {
            let terms: Vec<_> = partial.iter().map(|p| &*p[k]).collect();
            outer_sums(ev, tile, &total(ev, &terms)?)
        })?);
    }
    Ok(out)
}
