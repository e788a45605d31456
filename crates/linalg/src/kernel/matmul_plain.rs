//! Products with a plain matrix: along either axis of an encrypted matrix, and with an encrypted vector.
//!
//! One level each. Along an outer axis with one index to a ciphertext the product is a [combination](super::combine) of
//! whole ciphertexts, without rotations; otherwise it is a [map of slots](super::slots) by generalized diagonals.

use super::combine::along_outer;
use super::reduce::fold;
use super::slots::SlotMap;
use super::{Blocks, align, each};
use crate::packing::{Grid, VectorPacking};
use crate::shape::doublings;
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
                            .then_some((o * n + j, i * n + c as usize))
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
#[derive(Clone, Debug)]
pub(crate) enum VectorPlan {
    /// Generalized diagonals; then a sum over `folds` copies.
    Diagonals {
        map: SlotMap,
        /// Inputs and outputs to a block.
        cols: usize,
        rows: usize,
        stride: usize,
    },
    /// The vector is stretched over at least as many slots as the matrix has rows: each value meets a column, and one
    /// complete sum over the groups does the rest.
    Spread { repeat: usize, groups: usize },
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
        if repeat >= padded && repeat > 1 {
            let plan = Self::Spread {
                repeat,
                groups: period,
            };
            return Ok((plan, VectorPacking::new(1, repeat)?));
        }
        let block_rows = padded.min(slots / repeat);
        let (n, width) = (block_rows.min(period), block_rows.max(period));
        let outputs: Vec<Vec<(usize, i64)>> = (0..rows.div_ceil(block_rows))
            .map(|o| {
                let r = block_len(rows, block_rows, o);
                let mut terms = Vec::new();
                for i in 0..packing.blocks(cols) {
                    let c = block_len(cols, period, i);
                    let hit =
                        |k: usize| (0..width).any(|s| s % block_rows < r && (s + k) % period < c);
                    terms.extend((0..n).filter(|&k| hit(k)).map(|k| (i, (k * repeat) as i64)));
                }
                terms
            })
            .collect();
        let map = SlotMap::new(packing.blocks(cols), &outputs, width * repeat, repeat);
        let plan = Self::Diagonals {
            map,
            cols: period,
            rows: block_rows,
            stride: repeat,
        };
        Ok((plan, VectorPacking::new(repeat, block_rows)?))
    }

    /// Values of step `k` from input `i` to output `o`.
    fn diagonal<V: Value>(&self, w: WeightMatrix<'_, V>, o: usize, i: usize, k: i64) -> Vec<V> {
        let Self::Diagonals {
            cols, rows, stride, ..
        } = *self
        else {
            unreachable!("only maps have diagonals")
        };
        let k = k as usize / stride;
        let at = |s: usize| Some((o * rows + s % rows, i * cols + (s + k) % cols));
        values(rows.max(cols), stride, at, w)
    }

    /// The columns of `w` that meet input block `i`, one group of slots each.
    fn spread<V: Value>(repeat: usize, groups: usize, w: WeightMatrix<'_, V>, i: usize) -> Vec<V> {
        let at = |s: usize| Some((s % repeat, i * groups + s / repeat));
        values(repeat * groups, 1, at, w)
    }

    /// Applies the weights, encoding them on the way.
    pub(crate) fn apply<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        w: WeightMatrix<'_, S::Value>,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        match self {
            Self::Diagonals { map, .. } => {
                let out = map.apply(ev, cts, &|o, i, k| self.diagonal(w, o, i, k))?;
                self.folded(ev, out)
            }
            &Self::Spread { repeat, groups } => {
                let (cts, depth) = align(ev, cts)?;
                let plains = each(cts.len(), |i| {
                    ev.prepare(&Self::spread(repeat, groups, w, i), depth)
                })?;
                spread_sum(ev, &cts, &plains, repeat, groups)
            }
        }
    }

    /// Encodes the weights for vectors at `depth`.
    pub(crate) fn prepare<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        w: WeightMatrix<'_, S::Value>,
        inputs: usize,
        depth: usize,
    ) -> Result<PreparedWeights<S>> {
        Ok(match self {
            Self::Diagonals { map, .. } => {
                PreparedWeights::Diagonals(
                    map.prepare(ev, depth, &|o, i, k| self.diagonal(w, o, i, k))?,
                )
            }
            &Self::Spread { repeat, groups } => PreparedWeights::Spread(
                each(inputs, |i| {
                    ev.prepare(&Self::spread(repeat, groups, w, i), depth)
                })?,
                depth,
            ),
        })
    }

    /// Applies weights that were prepared by this plan.
    pub(crate) fn apply_prepared<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        weights: &PreparedWeights<S>,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        match (self, weights) {
            (Self::Spread { repeat, groups }, PreparedWeights::Spread(plains, depth)) => {
                let cts = super::lower(ev, cts, *depth)?;
                spread_sum(ev, &cts, plains, *repeat, *groups)
            }
            (_, PreparedWeights::Diagonals(map)) => self.folded(ev, map.apply(ev, cts)?),
            _ => unreachable!("weights are kept with the plan that prepared them"),
        }
    }

    /// Where there are fewer outputs than inputs, each output is spread over several slots.
    fn folded<S: Add + Rotate>(&self, ev: &S, out: Blocks<S>) -> Result<Blocks<S>> {
        let Self::Diagonals {
            cols, rows, stride, ..
        } = *self
        else {
            return Ok(out);
        };
        if cols <= rows {
            return Ok(out);
        }
        super::blocks::<S>(out.len(), |i| {
            fold(ev, (*out[i]).clone(), doublings(cols / rows, rows * stride))
        })
    }
}

fn spread_sum<S: Add + MulPlain + Rotate>(
    ev: &S,
    cts: &[Arc<S::Ciphertext>],
    plains: &[S::Plaintext],
    repeat: usize,
    groups: usize,
) -> Result<Blocks<S>> {
    let products = ev.mul_prepared(
        &cts.iter().map(|ct| &**ct).collect::<Vec<_>>(),
        &plains.iter().collect::<Vec<_>>(),
    )?;
    Ok(vec![Arc::new(fold(
        ev,
        products,
        doublings(groups, repeat),
    )?)])
}

/// Weights encoded for one depth.
pub(crate) enum PreparedWeights<S: MulPlain> {
    Diagonals(super::slots::PreparedMap<S>),
    Spread(Vec<S::Plaintext>, usize),
}
