//! Products of encrypted matrices of a few ciphertexts, by rotations (Jiang, Kim, Lauter, Song, CCS 2018, eprint 2018/1041).
//!
//! Both factors lie in [skewed packing](crate::packing::skewed): `C(i, j) = sum_t A(i, i + j + t) B(i + j + t, j)`. A right
//! factor moves on by whole rows, which is a rotation of the slots. A left factor moves on within its rows: two rotations
//! under complementary masks, one level. All rotations of a factor share its decomposition; all terms of a sum, over the
//! rounds and over the blocks along the inner dimension, share a relinearization.

use super::reduce::fold;
use super::slots::rotations;
use super::{Blocks, each, lower};
use crate::packing::skewed::Geometry;
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate, Scheme, Value};
use std::sync::Arc;

/// A product of matrices of blocks, row-major; several products lie interleaved, `stride` of them.
pub(crate) struct Product {
    pub(crate) geometry: Geometry,
    /// Neighbouring slots of one matrix are so far apart.
    pub(crate) stride: usize,
    /// Blocks of the left factor's rows, of the inner dimension, of the right factor's columns.
    pub(crate) blocks: (usize, usize, usize),
}

impl Product {
    fn step(&self, step: i64) -> i64 {
        step * self.stride as i64
    }

    /// The left factor in all rounds; one level, unless there is one round.
    fn left<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        ct: &Arc<S::Ciphertext>,
        depth: usize,
    ) -> Result<Blocks<S>> {
        let g = &self.geometry;
        if g.rounds() == 1 {
            return lower(ev, &[ct.clone()], depth);
        }
        let ct = lower(ev, &[ct.clone()], depth + 1)?.swap_remove(0);
        let steps: Vec<i64> = (1..g.rounds())
            .flat_map(|t| {
                let (inside, wrapped) = g.left_steps(t);
                [self.step(inside), self.step(wrapped)]
            })
            .collect();
        let rotated = rotations(ev, &ct, &steps)?;
        super::blocks::<S>(g.rounds(), |t| {
            if t == 0 {
                return ev.lower_to(&ct, depth);
            }
            let cut = (g.cols - t) * self.stride;
            let mask = |inside: bool| {
                let ones = (0..g.cols * self.stride).map(|slot| (slot < cut) == inside);
                let ones: Vec<_> = ones
                    .map(|one| if one { S::Value::ONE } else { S::Value::ZERO })
                    .collect();
                ev.prepare(&ones, depth + 1)
            };
            let (inside, wrapped) = (mask(true)?, mask(false)?);
            let at = 2 * (t - 1);
            ev.mul_prepared(&[&rotated[at], &rotated[at + 1]], &[&inside, &wrapped])
        })
    }

    /// The right factor in all rounds.
    fn right<S: Rotate>(&self, ev: &S, ct: &Arc<S::Ciphertext>, depth: usize) -> Result<Blocks<S>> {
        let g = &self.geometry;
        let ct = lower(ev, &[ct.clone()], depth)?.swap_remove(0);
        let steps: Vec<i64> = (0..g.rounds())
            .map(|t| self.step((t * g.cols) as i64))
            .collect();
        rotations(ev, &ct, &steps)
    }

    /// The product's blocks, row by row. `left` and `right` are the factors' blocks, row by row.
    ///
    /// Two levels, one if there is one round. For each block of the left factor `2 (rounds - 1)` hoisted rotations, of the
    /// right one `rounds - 1`; for each of the result a relinearization and `log2(groups)` rotations.
    pub(crate) fn run<S: Add + MulPlain + Mul + Rotate>(
        &self,
        ev: &S,
        left: &[Arc<S::Ciphertext>],
        right: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        let g = &self.geometry;
        let (rows, inner, cols) = self.blocks;
        let least = |cts: &[Arc<S::Ciphertext>]| {
            cts.iter()
                .map(|ct| ev.depth(ct))
                .fold(ev.max_depth(), usize::min)
        };
        let masks = usize::from(g.rounds() > 1);
        let depth = match least(left).checked_sub(masks) {
            Some(depth) => depth.min(least(right)),
            None => {
                return Err(cipherblas_scheme::Error::Depth {
                    operation: "matrix x matrix",
                    needed: 1 + masks,
                    left: least(left),
                });
            }
        };
        let right: Vec<Blocks<S>> = each(right.len(), |b| self.right(ev, &right[b], depth))?;
        let stride = self.step((g.rows * g.cols) as i64);
        let mut out = Vec::with_capacity(rows * cols);
        // One row of blocks at a time, to bound the memory.
        for i in 0..rows {
            let left: Vec<Blocks<S>> = each(inner, |l| self.left(ev, &left[i * inner + l], depth))?;
            let left: Vec<&S::Ciphertext> = left.iter().flatten().map(|ct| &**ct).collect();
            out.extend(super::blocks::<S>(cols, |j| {
                let right: Vec<&S::Ciphertext> = (0..inner)
                    .flat_map(|l| right[l * cols + j].iter().map(|ct| &**ct))
                    .collect();
                let sum = super::elementwise::products(ev, &left, &right)?;
                fold(ev, &sum, g.groups(), stride)
            })?);
        }
        Ok(out)
    }
}

/// Blocks row by row, as those of the transposed matrix, row by row.
pub(crate) fn transposed<S: Scheme>(
    blocks: &[Arc<S::Ciphertext>],
    rows: usize,
    cols: usize,
) -> Blocks<S> {
    (0..cols)
        .flat_map(|c| (0..rows).map(move |r| blocks[r * cols + c].clone()))
        .collect()
}
