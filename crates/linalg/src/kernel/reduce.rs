//! Sums over an axis.
//!
//! A sum over positions that are cyclic in the slots (the outermost axis of a packing, or all of it) is *complete*: after
//! `log2` rotations every slot holds the sum. A sum over an inner axis leaves partial sums of neighbours in all but the
//! first position; these are masked away (one level) and the first is spread again, since partial sums would tell
//! the reader of a result more than the result.

use super::elementwise::total;
use super::{Blocks, each};
use crate::packing::{Grid, Tile};
use cipherblas_scheme::{Add, MulPlain, Result, Rotate, Value};
use std::sync::Arc;

/// The sum of `n` (a power of two) rotations of `ct`: by `0, stride, 2 stride, ...`.
///
/// Doubling takes `log2 n` rotations. Where the keys are there, a sum of four rotations at once takes the place of two
/// doublings: it decomposes once and divides by the special modulus once, for three keys instead of two.
pub(crate) fn fold<S: Add + Rotate>(
    ev: &S,
    ct: &S::Ciphertext,
    n: usize,
    stride: i64,
) -> Result<S::Ciphertext> {
    let mut ct = ct.clone();
    let mut done = 1;
    while done < n {
        let step = done as i64 * stride;
        if 4 * done <= n && (1..4).all(|k| ev.can_rotate(k * step)) {
            ct = ev.rotate_sum(&[&ct; 4], &[0, step, 2 * step, 3 * step])?;
            done *= 4;
        } else {
            ct = ev.add(&ct, &ev.rotate(&ct, step)?)?;
            done *= 2;
        }
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
            fold(ev, &ct, inner, repeat as i64).map(Arc::new)
        });
    }
    let (cts, depth) = super::align(ev, &cts)?;
    let mut mask = vec![S::Value::ZERO; repeat * inner];
    mask[..repeat].fill(factor.unwrap_or(S::Value::ONE));
    let mask = ev.prepare(&mask, depth)?;
    each(cts.len(), |i| {
        let sums = fold(ev, &cts[i], inner, repeat as i64)?;
        let first = ev.mul_prepared(&[&sums], &[&mask])?;
        fold(ev, &first, inner, -(repeat as i64)).map(Arc::new)
    })
}

/// Sums the groups of a tile; every group then holds the sum. `log2(outer)` rotations, no level.
pub(crate) fn outer_sums<S: Add + Rotate>(
    ev: &S,
    tile: &Tile,
    ct: &S::Ciphertext,
) -> Result<S::Ciphertext> {
    let stride = (tile.repeat() * tile.inner()) as i64;
    fold(ev, ct, tile.outer(), stride)
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
    fold(ev, &total(ev, &terms)?, width / repeat, repeat as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::{ClearScheme, Encrypt, Error};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// Sums with the given keys; returns single and summed rotations.
    fn check(n: usize, stride: i64, keys: Option<&[i64]>) -> Result<(u64, u64)> {
        let ev = ClearScheme::new(32, 0).unwrap().with_rotations(keys);
        let values: Vec<f64> = (0..32).map(|i| f64::from(i * i)).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ct = ev.key().encrypt_at(&values, 0, None, &mut rng)?;
        let sum = fold(&ev, &ct, n, stride)?;
        for (s, got) in sum.slots().iter().enumerate() {
            let want: f64 = (0..n as i64)
                .map(|k| values[(s as i64 + k * stride).rem_euclid(32) as usize])
                .sum();
            assert_eq!(*got, want, "slot {s} of {n} x {stride}");
        }
        let counts = ev.counts();
        Ok((counts.rotations, counts.summed_rotations))
    }

    #[test]
    fn sums_two_by_two_or_four_by_four() {
        for stride in [1, 2, -1, -2] {
            let doubling: Vec<i64> = (0..4).map(|b| stride << b).collect();
            assert_eq!(check(16, stride, Some(&doubling)).unwrap(), (4, 0));
            assert_eq!(check(16, stride, None).unwrap(), (0, 6));
            assert_eq!(check(8, stride, None).unwrap(), (1, 3));
            assert_eq!(check(1, stride, Some(&[])).unwrap(), (0, 0));
            let missing = check(16, stride, Some(&doubling[1..]));
            assert!(matches!(missing, Err(Error::MissingKey { .. })));
        }
    }
}
