//! Blocks and threads around a kernel.
//!
//! Both factors are packed once: blocks of depth; in each, panels of a tile's rows or columns; in each, pair after pair of
//! residues that follow each other in the sum. Blocks of the result are what threads share: in one, every block of depth is
//! added in turn, so that the result stays in a cache, and while a panel of columns stays in the first-level cache, the
//! panels of rows pass by from the second.

use super::kernel::{Constants, Kernel, LARGEST_TILE};
use super::pack::{Panels, depths, pack};
use super::prime::Prime;
use super::view::{Strided, StridedMut};
use rayon::prelude::*;

/// Rows of a block of the result: with a block of depth, half of a second-level cache of 512 KB.
const BLOCK_ROWS: usize = 384;
const BLOCK_COLS: usize = 1024;
/// Blocks are not made smaller than this for the sake of threads.
const LEAST: usize = 96;
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
    let left = pack(kernel, a, Panels::Rows);
    let right = pack(kernel, b.transposed(), Panels::Columns);
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
