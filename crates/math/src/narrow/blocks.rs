//! Packing, blocks and threads around a kernel.
//!
//! Both factors are packed once: blocks of depth; in each, panels of a tile's rows or columns; in each, pair after pair of
//! residues that follow each other in the sum. Blocks of the result are what threads share: in one, every block of depth is
//! added in turn, so that the result stays in a cache, and while a panel of columns stays in the first-level cache, the
//! panels of rows pass by from the second.

use super::kernel::{Constants, Kernel, LARGEST_TILE};
use super::prime::Prime;
use super::view::{Strided, StridedMut};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Rows of a block of the result: with a block of depth, half of a second-level cache of 512 KB.
const BLOCK_ROWS: usize = 384;
const BLOCK_COLS: usize = 1024;
/// Blocks are not made smaller than this for the sake of threads.
const LEAST: usize = 96;
/// Panels that are packed together: whole cache lines of every row of the source.
const GROUP: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i32; 16]);

/// A packed factor.
struct Packed {
    lines: Vec<MaybeUninit<Line>>,
    panels: usize,
    width: usize,
}

impl Packed {
    /// The panels of a block of depth.
    fn panel(&self, start: usize, pairs: usize, panel: usize) -> *const i32 {
        let at = (start * self.panels + panel * pairs) * self.width;
        assert!(panel < self.panels && at + pairs * self.width <= self.lines.len() * 16);
        // SAFETY: in bounds.
        unsafe { self.lines.as_ptr().cast::<i32>().add(at) }
    }
}

/// A pointer that threads write disjoint parts through.
#[derive(Clone, Copy)]
struct Shared(*mut i32);

// SAFETY: users write disjoint parts.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn get(self) -> *mut i32 {
        self.0
    }
}

/// Blocks of depth: start and length in pairs, lengths nearly equal.
fn depths<K: Kernel>(depth: usize) -> Vec<(usize, usize)> {
    let pairs = depth.div_ceil(2);
    let count = pairs.div_ceil(K::PAIRS);
    let length = pairs.div_ceil(count.max(1)).max(1);
    (0..pairs)
        .step_by(length)
        .map(|start| (start, length.min(pairs - start)))
        .collect()
}

/// Panels of `width` rows of `x`, whose columns are the depth.
fn pack<K: Kernel>(kernel: K, x: Strided<'_, i16>, width: usize) -> Packed {
    let depths = depths::<K>(x.cols());
    let panels = x.rows().div_ceil(width);
    let length = panels * width * x.cols().div_ceil(2);
    let mut lines: Vec<MaybeUninit<Line>> = Vec::with_capacity(length.div_ceil(16));
    // SAFETY: within the capacity; elements may be uninitialized.
    unsafe { lines.set_len(length.div_ceil(16)) };
    let out = Shared(lines.as_mut_ptr().cast());
    let groups = panels.div_ceil(GROUP);
    (0..depths.len() * groups).into_par_iter().for_each(|i| {
        let (start, pairs) = depths[i / groups];
        let first = i % groups * GROUP;
        for_group(
            kernel,
            x,
            width,
            panels,
            (start, pairs),
            first..panels.min(first + GROUP),
            out,
        );
    });
    Packed {
        lines,
        panels,
        width,
    }
}

fn for_group<K: Kernel>(
    _: K,
    x: Strided<'_, i16>,
    width: usize,
    panels: usize,
    (start, pairs): (usize, usize),
    group: Range<usize>,
    out: Shared,
) {
    let (rows, cols) = (x.rows(), x.cols());
    let (down, across) = (x.row_stride(), x.col_stride());
    let data = x.data().as_ptr();
    // SAFETY: entries are read at rows below `rows` and columns below `cols`. Every panel of every block of depth has its
    // place in `out`, and is written by one call.
    unsafe {
        let place = |panel: usize| out.get().add((start * panels + panel * pairs) * width);
        let join = |a: i16, b: i16| i32::from(a as u16) | i32::from(b) << 16;
        if across == 1 && down != 1 {
            for panel in group {
                let place = place(panel);
                for r in 0..width {
                    let row = panel * width + r;
                    let source = data.add(row.min(rows - 1) * down);
                    for k in 0..pairs {
                        let at = 2 * (start + k);
                        *place.add(k * width + r) = if row >= rows {
                            0
                        } else if at + 1 < cols {
                            source.add(at).cast::<i32>().read_unaligned()
                        } else {
                            join(*source.add(at), 0)
                        };
                    }
                }
            }
            return;
        }
        let full = group.start..group.end.min(rows / width);
        for k in 0..pairs {
            let at = 2 * (start + k);
            let first = data.add(at * across);
            let second = data.add((at + 1).min(cols - 1) * across);
            // The last column of an odd number has none beside it.
            let mask = -i16::from(at + 1 < cols);
            for panel in full.clone() {
                let (place, row) = (place(panel).add(k * width), panel * width);
                if down == 1 {
                    for r in 0..width {
                        *place.add(r) = join(*first.add(row + r), *second.add(row + r) & mask);
                    }
                } else {
                    for r in 0..width {
                        let at = (row + r) * down;
                        *place.add(r) = join(*first.add(at), *second.add(at) & mask);
                    }
                }
            }
            for panel in full.end.max(group.start)..group.end {
                let place = place(panel).add(k * width);
                for r in 0..width {
                    let row = panel * width + r;
                    *place.add(r) = if row < rows {
                        join(*first.add(row * down), *second.add(row * down) & mask)
                    } else {
                        0
                    };
                }
            }
        }
    }
}

/// Sizes of the blocks of the result: enough of them for the threads.
fn block_sizes<K: Kernel>(rows: usize, cols: usize) -> (usize, usize) {
    let (mut block_rows, mut block_cols) = (BLOCK_ROWS, BLOCK_COLS);
    let wanted = match rayon::current_num_threads() {
        1 => 1,
        threads => 4 * threads,
    };
    while rows.div_ceil(block_rows) * cols.div_ceil(block_cols) < wanted {
        if block_cols >= 2 * block_rows && block_cols / 2 >= LEAST {
            block_cols /= 2;
        } else if block_rows / 2 >= LEAST {
            block_rows /= 2;
        } else if block_cols / 2 >= LEAST {
            block_cols /= 2;
        } else {
            break;
        }
    }
    (
        block_rows.next_multiple_of(K::ROWS),
        block_cols.next_multiple_of(K::COLS),
    )
}

/// `out (+)= a b`; with `upper`, tiles below the diagonal may be left out.
///
/// Shapes fit, entries are centred, and the result is not empty.
pub(super) fn product<K: Kernel>(
    kernel: K,
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &StridedMut<'_, i16>,
    accumulate: bool,
    upper: bool,
) {
    let constants = Constants::new(prime);
    let (m, n) = (out.rows(), out.cols());
    let depths = depths::<K>(a.cols());
    let left = pack(kernel, a, K::ROWS);
    let right = pack(kernel, b.transposed(), K::COLS);
    let (block_rows, block_cols) = block_sizes::<K>(m, n);
    let mut blocks = Vec::new();
    for s in (0..m).step_by(block_rows) {
        for t in (0..n).step_by(block_cols) {
            let (rows, cols) = (s..m.min(s + block_rows), t..n.min(t + block_cols));
            if !(upper && cols.end <= rows.start) {
                blocks.push((rows, cols));
            }
        }
    }
    blocks
        .into_par_iter()
        .with_max_len(1)
        .for_each(|(rows, cols)| {
            for (i, &(start, pairs)) in depths.iter().enumerate() {
                let add = accumulate || i > 0;
                for t in cols.clone().step_by(K::COLS) {
                    let y = right.panel(start, pairs, t / K::COLS);
                    for s in rows.clone().step_by(K::ROWS) {
                        if upper && t + K::COLS <= s {
                            break;
                        }
                        let x = left.panel(start, pairs, s / K::ROWS);
                        // SAFETY: the panels have `pairs` pairs, and those of columns are aligned since their width is a
                        // multiple of 16. Every tile is in one block.
                        unsafe { tile(kernel, &constants, pairs, (x, y), out, (s, t), add) };
                    }
                }
            }
        });
}

/// # Safety
/// As [`Kernel::tile`]; nobody else uses the entries of the tile at `(s, t)`.
#[inline]
unsafe fn tile<K: Kernel>(
    kernel: K,
    constants: &Constants,
    pairs: usize,
    panels: (*const i32, *const i32),
    out: &StridedMut<'_, i16>,
    (s, t): (usize, usize),
    add: bool,
) {
    let (rows, cols) = (K::ROWS.min(out.rows() - s), K::COLS.min(out.cols() - t));
    let whole = rows == K::ROWS && cols == K::COLS;
    if whole && out.col_stride() == 1 {
        // SAFETY: the tile is inside of the result.
        unsafe {
            kernel.tile(
                constants,
                pairs,
                panels,
                (out.place(s, t), out.row_stride()),
                add,
            )
        };
        return;
    }
    let mut scratch = [0i16; LARGEST_TILE];
    let at = |i: usize, j: usize| out.place(s + i, t + j);
    // SAFETY: entries of the tile; the scratch memory holds a whole one.
    unsafe {
        if add {
            for i in 0..rows {
                for j in 0..cols {
                    scratch[i * K::COLS + j] = *at(i, j);
                }
            }
        }
        kernel.tile(
            constants,
            pairs,
            panels,
            (scratch.as_mut_ptr(), K::COLS),
            add,
        );
        for i in 0..rows {
            for j in 0..cols {
                *at(i, j) = scratch[i * K::COLS + j];
            }
        }
    }
}
