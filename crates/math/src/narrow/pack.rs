//! Factors in the order in which kernels read them.

use super::kernel::Kernel;
use super::view::Strided;
use crate::memory::large_pages;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Panels that are packed together: whole cache lines of every row of the source.
const GROUP: usize = 16;
/// Widest panel.
const WIDEST: usize = 32;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i32; 16]);

/// A packed factor.
pub(super) struct Packed {
    lines: Vec<MaybeUninit<Line>>,
    panels: usize,
    width: usize,
}

impl Packed {
    /// One panel of a block of depth.
    pub(super) fn panel(&self, start: usize, pairs: usize, panel: usize) -> *const i32 {
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
pub(super) fn depths<K: Kernel>(depth: usize) -> Vec<(usize, usize)> {
    let pairs = depth.div_ceil(2);
    let count = pairs.div_ceil(K::PAIRS);
    let length = pairs.div_ceil(count.max(1)).max(1);
    (0..pairs)
        .step_by(length)
        .map(|start| (start, length.min(pairs - start)))
        .collect()
}

/// Which panels of a kernel.
#[derive(Clone, Copy)]
pub(super) enum Panels {
    Rows,
    Columns,
}

/// Panels of rows of `x`, whose columns are the depth.
pub(super) fn pack<K: Kernel>(_: K, x: Strided<'_, i16>, which: Panels) -> Packed {
    let width = match which {
        Panels::Rows => K::ROWS,
        Panels::Columns => K::COLS,
    };
    let depths = depths::<K>(x.cols());
    let panels = x.rows().div_ceil(width);
    let length = panels * width * x.cols().div_ceil(2);
    let mut lines: Vec<MaybeUninit<Line>> = Vec::with_capacity(length.div_ceil(16));
    large_pages(lines.as_ptr(), lines.capacity());
    // SAFETY: within the capacity; elements may be uninitialized.
    unsafe { lines.set_len(length.div_ceil(16)) };
    let out = Shared(lines.as_mut_ptr().cast());
    let groups = panels.div_ceil(GROUP);
    (0..depths.len() * groups).into_par_iter().for_each(|i| {
        let (start, pairs) = depths[i / groups];
        let first = i % groups * GROUP;
        let task = Task {
            panels,
            start,
            pairs,
            group: first..panels.min(first + GROUP),
            out,
        };
        // SAFETY: a kernel is proof of AVX2. Every panel of every block of depth has its place in `lines`, and is written
        // by one task.
        unsafe {
            match width {
                6 => group::<6>(x, &task),
                12 => group::<12>(x, &task),
                16 => group::<16>(x, &task),
                32 => group::<32>(x, &task),
                _ => unreachable!("the widths of the kernels"),
            }
        }
    });
    Packed {
        lines,
        panels,
        width,
    }
}

/// One group of panels in one block of depth.
struct Task {
    panels: usize,
    start: usize,
    pairs: usize,
    group: Range<usize>,
    out: Shared,
}

impl Task {
    /// The place of a panel.
    ///
    /// # Safety
    /// It is one of `panels`, and `out` holds them for every block of depth.
    unsafe fn place(&self, panel: usize, width: usize) -> *mut i32 {
        let at = (self.start * self.panels + panel * self.pairs) * width;
        // SAFETY: the caller's condition.
        unsafe { self.out.get().add(at) }
    }
}

fn join(a: i16, b: i16) -> i32 {
    i32::from(a as u16) | i32::from(b) << 16
}

/// Panels of `W` rows of `x`.
///
/// # Safety
/// AVX2. The task's panels have their place in `out`, and nobody else uses it.
#[target_feature(enable = "avx2")]
unsafe fn group<const W: usize>(x: Strided<'_, i16>, task: &Task) {
    let full = task.group.start..task.group.end.min(x.rows() / W);
    // SAFETY: the caller's condition; the panels of `full` lie in rows of `x`.
    unsafe {
        match (x.row_stride(), x.col_stride()) {
            (1, _) => across_rows::<W, 1>(x, task, full.clone(), 1),
            (_, 1) => along_rows::<W>(x, task, full.clone()),
            (2, _) => across_rows::<W, 2>(x, task, full.clone(), 2),
            (stride, _) => across_rows::<W, 0>(x, task, full.clone(), stride),
        }
        // A last panel that is not full.
        for panel in full.end.max(task.group.start)..task.group.end {
            let place = task.place(panel, W);
            for k in 0..task.pairs {
                for r in 0..W {
                    let (row, col) = (panel * W + r, 2 * (task.start + k));
                    let at = |col: usize| {
                        if row < x.rows() && col < x.cols() {
                            *x.at(row, col)
                        } else {
                            0
                        }
                    };
                    *place.add(k * W + r) = join(at(col), at(col + 1));
                }
            }
        }
    }
}

/// Full panels of rows at the distance `stride`, which is `S` unless that is 0: pair after pair of columns, through a buffer
/// that holds a pair of columns for the whole group.
///
/// # Safety
/// As [`group`]; the panels of `full` lie in rows of `x`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn across_rows<const W: usize, const S: usize>(
    x: Strided<'_, i16>,
    task: &Task,
    full: Range<usize>,
    stride: usize,
) {
    let stride = if S == 0 { stride } else { S };
    let count = full.len() * W;
    if count == 0 {
        return;
    }
    let mut buffer = [0i32; GROUP * WIDEST];
    let buffer = &mut buffer[..count];
    let extent = (count - 1) * stride + 1;
    for k in 0..task.pairs {
        let col = 2 * (task.start + k);
        let column = |col: usize| {
            let start = full.start * W * stride + col * x.col_stride();
            &x.data()[start..start + extent]
        };
        let first = column(col);
        if col + 1 < x.cols() {
            let second = column(col + 1);
            if S == 1 {
                for ((pair, &a), &b) in buffer.iter_mut().zip(first).zip(second) {
                    *pair = join(a, b);
                }
            } else {
                for (i, pair) in buffer.iter_mut().enumerate() {
                    // SAFETY: `i < count`.
                    let at = |x: &[i16]| unsafe { *x.get_unchecked(i * stride) };
                    *pair = join(at(first), at(second));
                }
            }
        } else {
            for (i, pair) in buffer.iter_mut().enumerate() {
                *pair = join(first[i * stride], 0);
            }
        }
        for (panel, values) in full.clone().zip(buffer.as_chunks::<W>().0) {
            // SAFETY: the caller's condition.
            unsafe { *task.place(panel, W).add(k * W).cast::<[i32; W]>() = *values };
        }
    }
}

/// Full panels of rows whose entries are side by side, so that pairs are too.
///
/// # Safety
/// As [`across_rows`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn along_rows<const W: usize>(x: Strided<'_, i16>, task: &Task, full: Range<usize>) {
    let first = 2 * task.start;
    let whole = task.pairs.min((x.cols() - first) / 2);
    for panel in full {
        let rows: [&[[i16; 2]]; W] = std::array::from_fn(|r| {
            let start = (panel * W + r) * x.row_stride() + first;
            &x.data()[start..start + 2 * whole].as_chunks::<2>().0[..whole]
        });
        // SAFETY: the caller's condition; every row has `whole` pairs.
        unsafe {
            let place = task.place(panel, W);
            for k in 0..whole {
                let out = &mut *place.add(k * W).cast::<[i32; W]>();
                for (out, row) in out.iter_mut().zip(&rows) {
                    let [a, b] = *row.get_unchecked(k);
                    *out = join(a, b);
                }
            }
            if whole < task.pairs {
                for r in 0..W {
                    let last = *x.at(panel * W + r, x.cols() - 1);
                    *place.add(whole * W + r) = join(last, 0);
                }
            }
        }
    }
}
