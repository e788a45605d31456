//! Products of encrypted matrices of a few ciphertexts, by rotations (Jiang, Kim, Lauter, Song, CCS 2018, eprint 2018/1041).
//!
//! Both factors lie in [skewed packing](crate::packing::skewed): `C(i, j) = sum_t A_t B_t`, `A_t(i, j) = A(i, i + j + t)`,
//! `B_t(i, j) = B(i + j + t, j)`. A right factor moves on by whole rows: `B_t = rotate(B, n t)` for rows of `n` slots. A left
//! factor moves on within its rows: `A_t = m rotate(A, t) + m' rotate(A, t - w)`, where the mask `m` is one in the first
//! `n - t` columns, `m'` in the others, and `w` leads back to where the row goes on.
//!
//! The rounds are divided into baby steps and giant steps, `t = s + b`. Moving `A_b` on by `s` commutes with everything but
//! the two masks, which are turned back by the rotation and moved to the right factor, where they fall on whole columns:
//!
//! `C = sum_s rotate(sum_b A_b rotate(B_s, n b), s) + rotate(sum_b A_b rotate(B'_s, n b), s - w)`,
//! `B_s = rotate(m, -s) rotate(B, (n - 1) s)`, `B'_s = rotate(m', w - s) rotate(B, (n - 1) s + w)`.
//!
//! So each factor takes one mask, hence one level, whatever the number of rounds; rotations of one ciphertext share its
//! decomposition, the terms of each inner sum (over all blocks along the inner dimension) a relinearization.

use super::reduce::fold;
use super::slots::{gather_rotations, rotations};
use super::{Blocks, each, lower};
use crate::packing::skewed::Geometry;
use crate::packing::{Order, Skewed};
use crate::plan::Costs;
use cipherblas_scheme::{Add, Error, Mul, MulPlain, Result, Rotate, Scheme, Value};
use std::sync::Arc;

/// A product of matrices of blocks, row-major; several products lie interleaved, `stride` of them.
struct Product {
    geometry: Geometry,
    /// Neighbouring slots of one matrix are so far apart.
    stride: usize,
    /// Blocks of the left factor's rows, of the inner dimension, of the right factor's columns.
    blocks: (usize, usize, usize),
}

/// One of the two parts of a giant step: the columns in which a left factor stays in its row, or those where it leaves it.
struct Giant {
    /// Rotation of the right factor.
    before: i64,
    /// Rotation of the sum.
    after: i64,
    /// Columns of the right factor that take part: `None` for all.
    columns: Option<Vec<bool>>,
}

impl Product {
    fn step(&self, step: i64) -> i64 {
        step * self.stride as i64
    }

    /// The number of baby steps, a power of two, with the lowest estimate.
    fn baby(&self) -> usize {
        let (rounds, costs) = (self.geometry.rounds(), Costs::RELATIVE);
        let (rows, inner, cols) = self.blocks;
        let estimate = |baby: usize| {
            let giants = 2 * (rounds / baby) - 1;
            let count = |n: usize| n as f64;
            // A rotation before the masks is at one level more.
            let masked = 1.5 * costs.hoisted_rotation + costs.plain_multiplication;
            let left = count(rows * inner * 2 * (baby - 1)) * masked;
            let right = count(inner * cols * (giants - 1)) * masked
                + count(inner * cols * giants * (baby - 1)) * costs.hoisted_rotation;
            let out = count(rows * cols * giants) * costs.relinearization
                + count(rows * cols * (giants - 1)) * costs.summed_rotation
                + count(rows * inner * cols * giants * baby) * costs.multiplication;
            left + right + out
        };
        let powers = (0..=rounds.trailing_zeros()).map(|log| 1usize << log);
        powers
            .min_by(|&a, &b| estimate(a).total_cmp(&estimate(b)))
            .unwrap_or(1)
    }

    fn giants(&self, baby: usize) -> Vec<Giant> {
        let g = &self.geometry;
        let n = g.cols;
        let mut giants = Vec::new();
        for s in (0..g.rounds()).step_by(baby) {
            let (step, wrap) = (s as i64, g.wrap());
            let before = (n as i64 - 1) * step;
            // The columns that stay in their row are the first n - s, before they are turned back.
            let turned = |by: i64, stays: bool| {
                let from = |j: usize| (j as i64 - by).rem_euclid(n as i64) as usize;
                (0..n).map(|j| (from(j) < n - s) == stays).collect()
            };
            giants.push(Giant {
                before,
                after: step,
                columns: (s > 0).then(|| turned(step, true)),
            });
            if s > 0 {
                giants.push(Giant {
                    before: before + wrap,
                    after: step - wrap,
                    columns: Some(turned(step - wrap, false)),
                });
            }
        }
        giants
    }

    /// A mask on columns, for ciphertexts at `depth`.
    fn mask<S: MulPlain>(
        &self,
        ev: &S,
        depth: usize,
        columns: impl Iterator<Item = bool>,
    ) -> Result<S::Plaintext> {
        let value = |one| if one { S::Value::ONE } else { S::Value::ZERO };
        let values: Vec<S::Value> = columns
            .flat_map(|one| std::iter::repeat_n(value(one), self.stride))
            .collect();
        ev.prepare(&values, depth)
    }

    /// `A_b` for each baby step, at `depth`. One level, unless there is one step.
    fn left<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        ct: &Arc<S::Ciphertext>,
        baby: usize,
        depth: usize,
    ) -> Result<Blocks<S>> {
        if baby == 1 {
            return lower(ev, std::slice::from_ref(ct), depth);
        }
        let (n, wrap) = (self.geometry.cols, self.geometry.wrap());
        let ct = lower(ev, std::slice::from_ref(ct), depth + 1)?.swap_remove(0);
        let steps: Vec<i64> = (1..baby as i64)
            .flat_map(|b| [self.step(b), self.step(b - wrap)])
            .collect();
        let rotated = rotations(ev, &ct, &steps)?;
        super::blocks::<S>(baby, |b| {
            if b == 0 {
                return ev.lower_to(&ct, depth);
            }
            let mask = |stays: bool| self.mask(ev, depth + 1, (0..n).map(|j| (j < n - b) == stays));
            let at = 2 * (b - 1);
            ev.mul_prepared(
                &[&rotated[at], &rotated[at + 1]],
                &[&mask(true)?, &mask(false)?],
            )
        })
    }

    /// `B_s` and `B'_s` for each giant step, at `depth`. One level, unless there is one step.
    fn right<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        ct: &Arc<S::Ciphertext>,
        giants: &[Giant],
        depth: usize,
    ) -> Result<Blocks<S>> {
        if giants.len() == 1 {
            return lower(ev, std::slice::from_ref(ct), depth);
        }
        let ct = lower(ev, std::slice::from_ref(ct), depth + 1)?.swap_remove(0);
        let steps: Vec<i64> = giants.iter().map(|g| self.step(g.before)).collect();
        let rotated = rotations(ev, &ct, &steps)?;
        super::blocks::<S>(giants.len(), |i| match &giants[i].columns {
            None => ev.lower_to(&rotated[i], depth),
            Some(columns) => {
                let mask = self.mask(ev, depth + 1, columns.iter().copied())?;
                ev.mul_prepared(&[&rotated[i]], &[&mask])
            }
        })
    }

    /// The product's blocks, row by row. `left` and `right` are the factors' blocks, row by row.
    ///
    /// Two levels, one if there is one round. For `b` baby and `g` giant steps, `b g` rounds: `2 (b - 1)` hoisted rotations for
    /// each block of the left factor, about `2 g b` for each of the right one, `2 g - 1` relinearizations and rotations
    /// for each of the result, and `log2(groups)` rotations.
    fn run<S: Add + MulPlain + Mul + Rotate>(
        &self,
        ev: &S,
        left: &[Arc<S::Ciphertext>],
        right: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        self.run_in_steps(ev, left, right, self.baby())
    }

    fn run_in_steps<S: Add + MulPlain + Mul + Rotate>(
        &self,
        ev: &S,
        left: &[Arc<S::Ciphertext>],
        right: &[Arc<S::Ciphertext>],
        baby: usize,
    ) -> Result<Blocks<S>> {
        let g = &self.geometry;
        let (rows, inner, cols) = self.blocks;
        let giants = self.giants(baby);
        let depth = |cts: &[Arc<S::Ciphertext>], masked: bool| {
            let left = cts.iter().map(|ct| ev.depth(ct)).min().unwrap_or(0);
            left.checked_sub(usize::from(masked)).ok_or(Error::Depth {
                operation: "matrix x matrix",
                needed: 2,
                left,
            })
        };
        let depth = depth(left, baby > 1)?.min(depth(right, giants.len() > 1)?);
        let left: Vec<Blocks<S>> = each(left.len(), |b| self.left(ev, &left[b], baby, depth))?;
        let right: Vec<Blocks<S>> =
            each(right.len(), |b| self.right(ev, &right[b], &giants, depth))?;
        let down: Vec<i64> = (0..baby).map(|b| self.step((b * g.cols) as i64)).collect();
        let after: Vec<i64> = giants.iter().map(|g| self.step(g.after)).collect();
        let mut out: Vec<Option<Arc<S::Ciphertext>>> = vec![None; rows * cols];
        for j in 0..cols {
            // sums[giant][i]
            let sums: Vec<Vec<S::Ciphertext>> = each(giants.len(), |s| {
                let moved: Vec<Blocks<S>> = (0..inner)
                    .map(|l| rotations(ev, &right[l * cols + j][s], &down))
                    .collect::<Result<_>>()?;
                let moved: Vec<&S::Ciphertext> = moved.iter().flatten().map(|ct| &**ct).collect();
                (0..rows)
                    .map(|i| {
                        let row = left[i * inner..(i + 1) * inner].iter().flatten();
                        let row: Vec<&S::Ciphertext> = row.map(|ct| &**ct).collect();
                        super::elementwise::products(ev, &row, &moved)
                    })
                    .collect()
            })?;
            let mut columns: Vec<Vec<S::Ciphertext>> = (0..rows).map(|_| Vec::new()).collect();
            for sums in sums {
                for (column, sum) in columns.iter_mut().zip(sums) {
                    column.push(sum);
                }
            }
            for (i, column) in columns.into_iter().enumerate() {
                let sum = gather_rotations(ev, column, &after)?;
                let stride = self.step((g.rows * g.cols) as i64);
                out[i * cols + j] = Some(Arc::new(fold(ev, &sum, g.groups(), stride)?));
            }
        }
        Ok(out.into_iter().flatten().collect())
    }
}

/// The blocks of the products of `stride` interleaved pairs of matrices, `rows x inner` and `inner x cols`, in the packing
/// `left` and its partner; in the order of the blocks of [`Skewed::product`].
pub(crate) fn multiply<S: Add + MulPlain + Mul + Rotate>(
    ev: &S,
    left: &Skewed,
    stride: usize,
    (rows, inner, cols): (usize, usize, usize),
    a: &[Arc<S::Ciphertext>],
    b: &[Arc<S::Ciphertext>],
) -> Result<Blocks<S>> {
    let (block_rows, block_inner, block_cols) = left.dimensions();
    let (rows, inner, cols) = (
        rows.div_ceil(block_rows),
        inner.div_ceil(block_inner),
        cols.div_ceil(block_cols),
    );
    let geometry = left.geometry();
    match left.order() {
        Order::RowMajor => {
            let blocks = (rows, inner, cols);
            Product {
                geometry,
                stride,
                blocks,
            }
            .run(ev, a, b)
        }
        Order::ColumnMajor => {
            let (a, b) = (
                transposed::<S>(a, rows, inner),
                transposed::<S>(b, inner, cols),
            );
            let blocks = (cols, inner, rows);
            Product {
                geometry,
                stride,
                blocks,
            }
            .run(ev, &b, &a)
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::MatrixPacking;
    use cipherblas_scheme::{ClearScheme, Decrypt, Encrypt};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// Several products, interleaved, in every division into baby and giant steps.
    #[test]
    fn every_division_into_steps_gives_the_product() {
        let mut divisions = 0;
        for (m, k, n) in [
            (8, 8, 8),
            (4, 16, 8),
            (16, 4, 4),
            (5, 7, 16),
            (4, 8, 4),
            (9, 13, 6),
        ] {
            for stride in [1, 2] {
                // Too few slots for layers; for the last shape also for one block.
                let slots = 128;
                let (left, right) = Skewed::pair(m, k, n, slots / stride).unwrap();
                if left.layered() || left.order() == Order::ColumnMajor {
                    continue;
                }
                let ev = ClearScheme::new(slots, 2).unwrap();
                let (key, mut rng) = (ev.key(), ChaCha20Rng::seed_from_u64(3));
                let data = |copy: usize, len: usize| -> Vec<f64> {
                    (0..len)
                        .map(|i| ((i * 7 + copy * 5) % 11) as f64 - 5.0)
                        .collect()
                };
                let mut encrypt = |packing: Skewed, rows: usize, cols: usize, first: usize| {
                    let packed: Vec<Vec<Vec<f64>>> = (0..stride)
                        .map(|c| {
                            packing
                                .pack(rows, cols, &data(first + c, rows * cols))
                                .unwrap()
                        })
                        .collect();
                    (0..packing.blocks(rows, cols))
                        .map(|b| {
                            let slots: Vec<f64> = (0..packing.width() * stride)
                                .map(|s| packed[s % stride][b][s / stride])
                                .collect();
                            Arc::new(key.encrypt_at(&slots, 2, None, &mut rng).unwrap())
                        })
                        .collect::<Vec<_>>()
                };
                let (a, b) = (encrypt(left, m, k, 0), encrypt(right, k, n, stride));
                let (bm, bk, bn) = left.dimensions();
                let product = Product {
                    geometry: left.geometry(),
                    stride,
                    blocks: (m.div_ceil(bm), k.div_ceil(bk), n.div_ceil(bn)),
                };
                let rounds = product.geometry.rounds();
                for baby in (0..=rounds.trailing_zeros()).map(|log| 1 << log) {
                    let out = product.run_in_steps(&ev, &a, &b, baby).unwrap();
                    divisions += 1;
                    let slots: Vec<Vec<f64>> =
                        out.iter().map(|ct| key.decrypt(ct).unwrap()).collect();
                    for c in 0..stride {
                        let one: Vec<Vec<f64>> = slots
                            .iter()
                            .map(|b| b.iter().skip(c).step_by(stride).copied().collect())
                            .collect();
                        let got = MatrixPacking::from(left.product())
                            .unpack(m, n, &one)
                            .unwrap();
                        let (x, y) = (data(c, m * k), data(stride + c, k * n));
                        let want: Vec<f64> = (0..m * n)
                            .map(|at| (0..k).map(|l| x[at / n * k + l] * y[l * n + at % n]).sum())
                            .collect();
                        assert_eq!(
                            got, want,
                            "{m} x {k} x {n}, {stride} products, {baby} steps"
                        );
                    }
                }
            }
        }
        assert!(divisions >= 20, "{divisions}");
    }
}
