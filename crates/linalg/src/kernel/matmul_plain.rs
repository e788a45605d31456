//! Products with a plain matrix: along either axis of an encrypted matrix, and with an encrypted vector.
//!
//! One level each. Along an outer axis with one index to a ciphertext the product is a [combination](super::combine) of
//! whole ciphertexts, without rotations; otherwise it is a [map of slots](super::slots) by generalized diagonals.

use super::combine::along_outer;
use super::reduce::fold;
use super::slots::{PreparedMap, SlotMap};
use super::{Blocks, each};
use crate::packing::{Grid, VectorPacking};
use cipherblas_scheme::{Add, Combine, MulPlain, Result, Rotate, Value, WeightMatrix};
use std::sync::Arc;

/// Applies `weights` (outputs x outer indices) along the outer axis. The result lies as the input, with as many outer
/// indices as `weights` has rows.
pub(crate) fn outer_axis<S: Combine + MulPlain + Rotate>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    weights: WeightMatrix<'_, S::Value>,
) -> Result<Blocks<S>> {
    if grid.outer == 1 {
        return along_outer(ev, grid, cts, weights);
    }
    let (n, stride) = (grid.outer, grid.repeat * grid.inner);
    let (ins, outs) = (grid.outer_blocks(), weights.rows().div_ceil(n));
    let map = cyclic_map(n, stride, ins, outs, weights.cols(), weights.rows());
    let mut columns = each(grid.inner_blocks(), |ib| {
        let inputs: Vec<_> = (0..ins).map(|o| cts[grid.block(ib, o)].clone()).collect();
        let out = map.apply(ev, &inputs, &|o, i, k| {
            cyclic_values(n, stride, weights, o, i, k / stride as i64)
        })?;
        Ok(out.into_iter())
    })?;
    Ok((0..outs)
        .flat_map(|_| {
            columns
                .iter_mut()
                .map(|c| c.next().expect("as many as `outs`"))
                .collect::<Vec<_>>()
        })
        .collect())
}

/// Applies `weights` (outputs x inner indices) along the inner axis. The result lies as the input, with as many inner
/// indices as `weights` has rows.
pub(crate) fn inner_axis<S: Combine + MulPlain + Rotate>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    weights: WeightMatrix<'_, S::Value>,
) -> Result<Blocks<S>> {
    let (n, stride) = (grid.inner, grid.repeat);
    let (ins, outs) = (grid.inner_blocks(), weights.rows().div_ceil(n));
    let cyclic = grid.outer == 1;
    let map = if cyclic {
        cyclic_map(n, stride, ins, outs, weights.cols(), weights.rows())
    } else {
        band_map(grid, outs, weights.cols(), weights.rows())
    };
    let groups = each(grid.outer_blocks(), |ob| {
        let inputs: Vec<_> = (0..ins).map(|i| cts[grid.block(i, ob)].clone()).collect();
        map.apply(ev, &inputs, &|o, i, k| {
            let k = k / stride as i64;
            if cyclic {
                cyclic_values(n, stride, weights, o, i, k)
            } else {
                values(
                    n,
                    stride,
                    |j| {
                        let c = j as i64 + k;
                        (0..n as i64)
                            .contains(&c)
                            .then(|| (o * n + j, i * n + c as usize))
                    },
                    weights,
                )
            }
        })
    })?;
    Ok(groups.into_iter().flatten().collect())
}

/// Values of a diagonal: `at(j)` names the weight of position `j`, if there is one.
fn values<V: Value>(
    n: usize,
    stride: usize,
    at: impl Fn(usize) -> Option<(usize, usize)>,
    weights: WeightMatrix<'_, V>,
) -> Vec<V> {
    (0..n)
        .flat_map(|j| {
            let v = at(j)
                .filter(|&(r, c)| r < weights.rows() && c < weights.cols())
                .map_or(V::ZERO, |(r, c)| weights.row(r)[c]);
            std::iter::repeat_n(v, stride)
        })
        .collect()
}

/// Diagonal `k` of block `(o, i)` of the weights, cyclic in `n`.
fn cyclic_values<V: Value>(
    n: usize,
    stride: usize,
    weights: WeightMatrix<'_, V>,
    o: usize,
    i: usize,
    k: i64,
) -> Vec<V> {
    let at = |j: usize| Some((o * n + j, i * n + (j + k as usize) % n));
    values(n, stride, at, weights)
}

/// Length of block `b` of an axis of `len` indices cut into blocks of `n`.
fn block_len(len: usize, n: usize, b: usize) -> usize {
    (len - b * n).min(n)
}

/// All pairs of blocks, with the diagonals in which some weight lies.
fn cyclic_map(n: usize, stride: usize, ins: usize, outs: usize, from: usize, to: usize) -> SlotMap {
    let outputs: Vec<Vec<(usize, i64)>> = (0..outs)
        .map(|o| {
            let rows = block_len(to, n, o);
            let mut terms = Vec::new();
            for i in 0..ins {
                let cols = block_len(from, n, i);
                // Row j and diagonal k meet column (j + k) mod n: some j < rows must give one below cols.
                terms.extend(
                    (0..n)
                        .filter(|&k| k < cols || k + rows > n)
                        .map(|k| (i, (k * stride) as i64)),
                );
            }
            terms
        })
        .collect();
    SlotMap::new(ins, &outputs, n * stride, stride)
}

/// As [`cyclic_map`] for groups that do not wrap: diagonals to both sides.
fn band_map(grid: &Grid, outs: usize, from: usize, to: usize) -> SlotMap {
    let (n, stride) = (grid.inner, grid.repeat);
    let outputs: Vec<Vec<(usize, i64)>> = (0..outs)
        .map(|o| {
            let rows = block_len(to, n, o) as i64;
            let mut terms = Vec::new();
            for i in 0..grid.inner_blocks() {
                let cols = block_len(from, n, i) as i64;
                terms.extend((1 - rows..cols).map(|k| (i, k * stride as i64)));
            }
            terms
        })
        .collect();
    SlotMap::new(grid.inner_blocks(), &outputs, n * stride, stride)
}

/// How a plain matrix is applied to a vector of a given packing.
///
/// The vector's values stand in groups of `repeat` slots, `period` of them. The result's rows are cut into groups of
/// `repeat` as well, so that slot `u` of group `i` belongs to row `(i mod groups) * repeat + u`: the vector rotated by `k`
/// groups meets there column `i + k`. For `min(groups, period)` rotations that is every row with every column, once, and what
/// belongs to one row stands `groups` groups apart: complete sums gather it. The more the vector is stretched, the
/// fewer the rotations and the fuller the plaintexts; not stretched at all, this is the method of Halevi and Shoup (CRYPTO
/// 2014, section 4.3) on generalized diagonals.
#[derive(Clone, Debug)]
pub(crate) struct VectorPlan {
    map: SlotMap,
    repeat: usize,
    /// Groups of values in an input.
    period: usize,
    /// Groups of rows in an output.
    groups: usize,
}

impl VectorPlan {
    /// For `weights` of `rows` x `cols` and a vector of `cols` values. Returns the packing of the result.
    pub(crate) fn new(
        rows: usize,
        cols: usize,
        packing: &VectorPacking,
        slots: usize,
    ) -> Result<(Self, VectorPacking)> {
        let (repeat, period) = (packing.repeat(), packing.period());
        let padded = crate::shape::padded("plain matrix x encrypted vector", rows)?;
        let block_rows = padded.min(slots).max(repeat);
        let groups = block_rows / repeat;
        let (n, width) = (groups.min(period), groups.max(period));
        let outputs: Vec<Vec<(usize, i64)>> = (0..rows.div_ceil(block_rows))
            .map(|o| {
                let r = block_len(rows, block_rows, o).div_ceil(repeat);
                let mut terms = Vec::new();
                for i in 0..packing.blocks(cols) {
                    let c = block_len(cols, period, i);
                    let hit = |k: usize| (0..width).any(|s| s % groups < r && (s + k) % period < c);
                    terms.extend((0..n).filter(|&k| hit(k)).map(|k| (i, (k * repeat) as i64)));
                }
                terms
            })
            .collect();
        let plan = Self {
            map: SlotMap::new(packing.blocks(cols), &outputs, width * repeat, repeat),
            repeat,
            period,
            groups,
        };
        Ok((plan, VectorPacking::new(1, block_rows)?))
    }

    /// Values of step `k` from input `i` to output `o`.
    fn values<V: Value>(&self, w: WeightMatrix<'_, V>, o: usize, i: usize, k: i64) -> Vec<V> {
        let (repeat, period, groups) = (self.repeat, self.period, self.groups);
        let k = k as usize / repeat;
        (0..groups.max(period) * repeat)
            .map(|s| {
                let (group, u) = (s / repeat, s % repeat);
                let r = (o * groups + group % groups) * repeat + u;
                let c = i * period + (group + k) % period;
                if r < w.rows() && c < w.cols() {
                    w.row(r)[c]
                } else {
                    V::ZERO
                }
            })
            .collect()
    }

    /// Applies the weights, encoding them on the way.
    pub(crate) fn apply<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        w: WeightMatrix<'_, S::Value>,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        let values = |o, i, k| self.values(w, o, i, k);
        self.folded(ev, self.map.apply(ev, cts, &values)?)
    }

    /// Encodes the weights for vectors at `depth`.
    pub(crate) fn prepare<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        w: WeightMatrix<'_, S::Value>,
        depth: usize,
    ) -> Result<PreparedMap<S>> {
        let values = |o, i, k| self.values(w, o, i, k);
        self.map.prepare(ev, depth, &values)
    }

    /// Applies weights that were prepared by this plan.
    pub(crate) fn apply_prepared<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        weights: &PreparedMap<S>,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        self.folded(ev, weights.apply(ev, cts)?)
    }

    /// Gathers what belongs to one row from the groups that it is spread over.
    fn folded<S: Add + Rotate>(&self, ev: &S, out: Blocks<S>) -> Result<Blocks<S>> {
        if self.period <= self.groups {
            return Ok(out);
        }
        super::blocks::<S>(out.len(), |i| {
            let stride = (self.groups * self.repeat) as i64;
            fold(ev, &out[i], self.period / self.groups, stride)
        })
    }
}
