//! Two-dimensional transforms: rows are polynomials in evaluation form, and a second transform runs along the columns.
//!
//! A grid is stored in tiles of at most 32 x 16, so that rows and columns are both read in whole cache lines, and the tiles of
//! the columns that are transformed together fit the second-level cache.

use super::rows::{Buffer, Rows};
use crate::ring::{Ring, from_math};
use cipherblas_math::ntt::root_exponent;
use cipherblas_math::{GaloisPermutation, NttPlan};
use cipherblas_scheme::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// Columns transformed at a time: the doubles of a cache line.
const LINE: usize = 8;
const MAX_TILE_ROWS: usize = 32;
const MAX_TILE_COLS: usize = 16;

/// `rows` (a power of two) polynomials modulo some primes of the ring.
pub(super) struct Grid {
    n: usize,
    rows: usize,
    /// The ring's modulus index of each limb.
    moduli: Vec<usize>,
    tile_rows: usize,
    tile_cols: usize,
    data: Buffer,
}

/// Consecutive rows, modulo each prime.
pub(super) struct Band<'a> {
    pub(super) first: usize,
    pub(super) count: usize,
    tile: (usize, usize),
    limbs: Vec<&'a mut [f64]>,
}

impl Band<'_> {
    pub(super) fn write(&mut self, limb: usize, row: usize, from: &[f64]) {
        let (rows, cols) = self.tile;
        let tiles = self.limbs[limb].chunks_exact_mut(rows * cols);
        for (tile, from) in tiles.zip(from.chunks_exact(cols)) {
            copy(&mut tile[row * cols..(row + 1) * cols], from);
        }
    }
    pub(super) fn read(&self, limb: usize, row: usize, out: &mut [f64]) {
        let (rows, cols) = self.tile;
        let tiles = self.limbs[limb].chunks_exact(rows * cols);
        for (tile, out) in tiles.zip(out.chunks_exact_mut(cols)) {
            copy(out, &tile[row * cols..(row + 1) * cols]);
        }
    }
}

/// Copies a row of a tile; of almost all tiles, in a few instructions rather than a call.
#[inline(always)]
fn copy(to: &mut [f64], from: &[f64]) {
    match (to.as_mut_array::<MAX_TILE_COLS>(), from.as_array()) {
        (Some(to), Some(from)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// Consecutive columns: for each limb its modulus index and its tiles from top to bottom.
struct Columns<'a> {
    first: usize,
    limbs: Vec<(usize, Vec<&'a mut [f64]>)>,
}

impl Grid {
    /// Unspecified contents.
    pub(super) fn new(ring: &Arc<Ring>, rows: usize, moduli: Vec<usize>) -> Self {
        let data = Buffer::new(ring, moduli.len() * rows * ring.degree());
        Self::from_data(ring, rows, moduli, data)
    }

    /// Unspecified contents, in a buffer of the right length.
    pub(super) fn from_data(ring: &Ring, rows: usize, moduli: Vec<usize>, data: Buffer) -> Self {
        let n = ring.degree();
        assert_eq!(data.len(), moduli.len() * rows * n, "residues of a grid");
        Self {
            n,
            rows,
            tile_rows: (rows / 16).clamp(1, MAX_TILE_ROWS),
            tile_cols: n.min(MAX_TILE_COLS),
            data,
            moduli,
        }
    }

    /// The buffer.
    pub(super) fn into_data(self) -> Buffer {
        self.data
    }

    /// The transforms of the rows of `from`, each times `scalars` (a residue for each prime), and zeros below them. In place
    /// if there is nothing below.
    pub(super) fn from_rows(ring: &Arc<Ring>, from: Rows, rows: usize, scalars: &[f64]) -> Self {
        let (n, limbs) = (ring.degree(), from.limbs());
        let moduli: Vec<usize> = (0..limbs).collect();
        if from.rows() < rows {
            let mut grid = Self::new(ring, rows, moduli);
            grid.bands_mut().into_par_iter().for_each(|mut band| {
                let mut row = ring.scratch(n);
                let filled = from.rows().saturating_sub(band.first).min(band.count);
                for r in 0..filled {
                    for (k, &scalar) in scalars.iter().enumerate() {
                        let plan = ring.plan(k);
                        let from = from.row(k, band.first + r);
                        plan.kernels().scale(&mut row, from, scalar);
                        plan.forward(&mut row);
                        band.write(k, r, &row);
                    }
                }
                row.fill(0.0);
                for r in filled..band.count {
                    for k in 0..scalars.len() {
                        band.write(k, r, &row);
                    }
                }
            });
            return grid;
        }
        let mut grid = Self::from_data(ring, rows, moduli, from.into_data());
        grid.bands_mut().into_par_iter().for_each(|mut band| {
            let mut copy = ring.scratch(band.count * n);
            for (k, &scalar) in scalars.iter().enumerate() {
                let plan = ring.plan(k);
                // Still rows one after another: a band is the same part of the buffer in both orders.
                plan.kernels().scale(&mut copy, band.limbs[k], scalar);
                for (r, row) in copy.chunks_exact_mut(n).enumerate() {
                    plan.forward(row);
                    band.write(k, r, row);
                }
            }
        });
        grid
    }

    pub(super) fn read(&self, limb: usize, row: usize, out: &mut [f64]) {
        let (rows, cols) = (self.tile_rows, self.tile_cols);
        let start = limb * self.rows * self.n + row / rows * rows * self.n + row % rows * cols;
        let tiles = self.data[start..].chunks(rows * cols);
        for (tile, out) in tiles.zip(out.chunks_exact_mut(cols)) {
            copy(out, &tile[..cols]);
        }
    }

    pub(super) fn bands_mut(&mut self) -> Vec<Band<'_>> {
        let (count, tile) = (self.tile_rows, (self.tile_rows, self.tile_cols));
        let mut bands: Vec<Band<'_>> = (0..self.rows / count)
            .map(|i| Band {
                first: i * count,
                count,
                tile,
                limbs: Vec::with_capacity(self.moduli.len()),
            })
            .collect();
        for limb in self.data.chunks_mut(self.rows * self.n) {
            for (part, band) in limb.chunks_mut(count * self.n).zip(&mut bands) {
                band.limbs.push(part);
            }
        }
        bands
    }

    /// From rows `r_s` to the evaluations of `sum_s r_s Z^s` where `Z = X^(N g / size)` and `g` runs over the odd numbers
    /// modulo `2 size`, `size` being the number of rows: row `i` becomes that of `g = root_exponent(i)`.
    pub(super) fn spread(&mut self, ring: &Arc<Ring>) -> Result<()> {
        transform_columns(
            ring,
            vec![self],
            |plan, permutation, column, out, _| {
                plan.forward(column);
                permutation.apply(out, column);
            },
            |exponent, _| exponent,
        )
    }

    /// From rows `y_g`, row `i` of which has `g = root_exponent(i)` modulo `2 size`, to `sum_g X^(-(N / size) v g) y_g` in
    /// row `v`.
    pub(super) fn collect(ring: &Arc<Ring>, grids: Vec<&mut Self>) -> Result<()> {
        transform_columns(
            ring,
            grids,
            |plan, permutation, column, out, scale| {
                permutation.apply(out, column);
                plan.inverse(out);
                plan.kernels().scale_assign(out, scale);
            },
            |exponent, ring| ring.inverse_element(exponent),
        )
    }
}

/// Calls `f(plan, permutation, column, out, size)` for every column; `element(e, ring)` is the permutation's Galois element
/// (modulo `2 size`) for the slot of exponent `e`.
fn transform_columns(
    ring: &Arc<Ring>,
    grids: Vec<&mut Grid>,
    f: impl Fn(&NttPlan, &GaloisPermutation, &mut [f64], &mut [f64], f64) + Sync + Send,
    element: impl Fn(u64, &Ring) -> u64 + Sync + Send,
) -> Result<()> {
    let Some(first) = grids.first() else {
        return Ok(());
    };
    let (size, n) = (first.rows, first.n);
    let tile_cols = first.tile_cols;
    let plans: Vec<NttPlan> = (0..ring.moduli().len())
        .map(|i| {
            let plan = ring.plan(i);
            if size == n {
                return Ok(plan.clone());
            }
            NttPlan::with_backend(size, plan.modulus(), plan.backend()).map_err(from_math)
        })
        .collect::<Result<_>>()?;
    let mut blocks: Vec<Columns<'_>> = (0..n / tile_cols)
        .map(|i| Columns {
            first: i * tile_cols,
            limbs: Vec::new(),
        })
        .collect();
    for grid in grids {
        let band = grid.tile_rows * n;
        for (limb, &modulus) in grid.data.chunks_mut(size * n).zip(&grid.moduli) {
            blocks
                .iter_mut()
                .for_each(|b| b.limbs.push((modulus, Vec::new())));
            for band in limb.chunks_mut(band) {
                let tiles = band.chunks_mut(band.len() / (n / tile_cols));
                for (tile, block) in tiles.zip(&mut blocks) {
                    block.limbs.last_mut().expect("just pushed").1.push(tile);
                }
            }
        }
    }
    // Columns do not start at multiples of a large power of two: they would fall into the same cache sets.
    let stride = size + LINE;
    blocks.into_par_iter().try_for_each(|mut block| {
        let mut columns = ring.scratch(LINE * stride);
        let mut images = ring.scratch(LINE * stride);
        for c in (0..tile_cols).step_by(LINE) {
            let permutations: Vec<GaloisPermutation> = (0..LINE)
                .map(|l| {
                    let exponent = root_exponent(block.first + c + l, n) as u64;
                    let g = element(exponent, ring) % (2 * size as u64);
                    let backend = ring.plan(0).backend();
                    GaloisPermutation::with_backend(size, g, backend).map_err(from_math)
                })
                .collect::<Result<_>>()?;
            for (modulus, tiles) in &mut block.limbs {
                let plan = &plans[*modulus];
                let scale = plan.modulus().residue(size as u64 % plan.modulus().value());
                gather(tiles, tile_cols, c, &mut columns, stride);
                let pairs = columns
                    .chunks_exact_mut(stride)
                    .zip(images.chunks_exact_mut(stride));
                for ((column, image), permutation) in pairs.zip(&permutations) {
                    f(
                        plan,
                        permutation,
                        &mut column[..size],
                        &mut image[..size],
                        scale,
                    );
                }
                scatter(tiles, tile_cols, c, &images, stride);
            }
        }
        Ok(())
    })
}

fn gather(tiles: &[&mut [f64]], cols: usize, c: usize, out: &mut [f64], stride: usize) {
    let mut out = out.chunks_exact_mut(stride);
    let mut out: [&mut [f64]; LINE] = std::array::from_fn(|_| out.next().expect("a column each"));
    let rows = tiles.iter().flat_map(|tile| tile.chunks_exact(cols));
    for (r, row) in rows.enumerate() {
        for (out, &x) in out.iter_mut().zip(&row[c..c + LINE]) {
            out[r] = x;
        }
    }
}

fn scatter(tiles: &mut [&mut [f64]], cols: usize, c: usize, from: &[f64], stride: usize) {
    let mut from = from.chunks_exact(stride);
    let from: [&[f64]; LINE] = std::array::from_fn(|_| from.next().expect("a column each"));
    let rows = tiles
        .iter_mut()
        .flat_map(|tile| tile.chunks_exact_mut(cols));
    for (r, row) in rows.enumerate() {
        for (x, from) in row[c..c + LINE].iter_mut().zip(&from) {
            *x = from[r];
        }
    }
}
