//! Packing and register tiles. A panel is two vectors for every column: eight coefficients, or both digits of four.

use super::{Method, Plan};
use crate::aligned::AlignedVec;
use crate::modulus::Modulus;
use crate::rns::avx2::{load, remainder, store};
use std::arch::x86_64::*;

/// Values of a panel for one column.
const WIDTH: usize = 8;
/// Columns in a block: a panel has 8 KB.
const DEPTH: usize = 128;
/// Panels that a tile of weights passes over while both are in the first-level cache.
const GROUP: usize = 2;
/// Panels that are packed at a time: 256 KB, half of a second-level cache, and runs of 1 or 2 KB of every input.
const PANELS: usize = 16 * GROUP;

#[derive(Clone, Copy)]
struct Prime {
    p: __m256d,
    inverse_p: __m256d,
}

impl Prime {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn reduce(self, x: __m256d) -> __m256d {
        remainder(x, self.p, self.inverse_p)
    }
}

/// Two vectors a row; at most [`MAX_ROWS`] rows.
type Sums = [[__m256d; 2]; MAX_ROWS];
const MAX_ROWS: usize = 6;

/// A method in registers.
trait Tile: Copy {
    /// Rows in a tile.
    const ROWS: usize;
    /// Coefficients in a panel.
    const COEFFICIENTS: usize;
    /// Sums over the columns, reduced: a residue in every vector of a row, or both digits of one.
    ///
    /// # Safety
    /// AVX2 and FMA. `x` has `terms * WIDTH` values, `w` has `terms * ROWS` weights.
    unsafe fn sums(
        self,
        prime: Prime,
        fold: usize,
        terms: usize,
        x: *const f64,
        w: *const f64,
        out: &mut Sums,
    );
    /// The two vectors of a panel for one column, from its balanced residues; with four coefficients `high` is unused.
    ///
    /// # Safety
    /// AVX2 and FMA.
    unsafe fn pack(self, low: __m256d, high: __m256d) -> [__m256d; 2];
    /// The residues of one row of sums; with four coefficients in the first vector.
    ///
    /// # Safety
    /// AVX2 and FMA.
    unsafe fn finish(self, prime: Prime, sums: [__m256d; 2]) -> [__m256d; 2];
}

/// # Safety
/// AVX2 and FMA; slices as checked by the caller.
#[target_feature(enable = "avx2,fma")]
pub(super) fn combine(
    modulus: Modulus,
    plan: &Plan,
    weights: &[f64],
    rows: usize,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) {
    let reduced: Vec<f64>;
    let weights = if plan.reduce_weights {
        reduced = weights
            .iter()
            .map(|&w| modulus.residue_i64(w as i64))
            .collect();
        &reduced
    } else {
        weights
    };
    // SAFETY: this function has the features of the kernels.
    unsafe {
        match plan.method {
            Method::Direct => run(Direct, modulus, plan.fold, weights, rows, inputs, outputs),
            Method::Split(radix) => run(
                Split { radix },
                modulus,
                plan.fold,
                weights,
                rows,
                inputs,
                outputs,
            ),
            Method::Compensated(magic) => {
                run(
                    Compensated { magic },
                    modulus,
                    plan.fold,
                    weights,
                    rows,
                    inputs,
                    outputs,
                );
            }
        }
    }
}

/// # Safety
/// As [`combine`].
#[target_feature(enable = "avx2,fma")]
unsafe fn run<T: Tile>(
    tile: T,
    modulus: Modulus,
    fold: usize,
    weights: &[f64],
    rows: usize,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) {
    let (cols, n) = (inputs.len(), outputs[0].len());
    let p = modulus.value() as f64;
    let prime = Prime {
        p: _mm256_set1_pd(p),
        inverse_p: _mm256_set1_pd(1.0 / p),
    };
    let packed_weights = pack_weights::<T>(weights, rows, cols);
    let tiles = rows.div_ceil(T::ROWS);
    let mut packed = AlignedVec::zeroed(PANELS * WIDTH * DEPTH.min(cols));
    for start in (0..n).step_by(PANELS * T::COEFFICIENTS) {
        let panels = PANELS.min((n - start).div_ceil(T::COEFFICIENTS));
        for first in (0..cols).step_by(DEPTH) {
            let terms = DEPTH.min(cols - first);
            let columns = &inputs[first..first + terms];
            // SAFETY: this function has the features of the kernels.
            unsafe {
                pack_inputs(
                    tile,
                    prime,
                    columns,
                    start,
                    &mut packed[..panels * terms * WIDTH],
                )
            };
            let block = &packed_weights[tiles * T::ROWS * first..][..tiles * T::ROWS * terms];
            for (g, group) in packed[..panels * terms * WIDTH]
                .chunks(GROUP * terms * WIDTH)
                .enumerate()
            {
                for (w, outs) in block
                    .chunks_exact(T::ROWS * terms)
                    .zip(outputs.chunks_mut(T::ROWS))
                {
                    for (i, x) in group.chunks_exact(terms * WIDTH).enumerate() {
                        let at = start + (g * GROUP + i) * T::COEFFICIENTS;
                        // SAFETY: as above; `x` and `w` hold `terms` terms by their lengths.
                        unsafe { update(tile, prime, fold, x, w, outs, at, first == 0) };
                    }
                }
            }
        }
    }
}

/// One tile of weights times one panel, into (or, but for the first block, added to) the outputs.
///
/// # Safety
/// AVX2 and FMA; `x` and `w` hold the same number of terms.
#[expect(clippy::too_many_arguments)]
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn update<T: Tile>(
    tile: T,
    prime: Prime,
    fold: usize,
    x: &[f64],
    w: &[f64],
    outs: &mut [&mut [f64]],
    at: usize,
    first: bool,
) {
    for out in outs.iter() {
        _mm_prefetch::<_MM_HINT_T0>(out.as_ptr().wrapping_add(at).cast());
    }
    let mut sums: Sums = [[_mm256_setzero_pd(); 2]; MAX_ROWS];
    // SAFETY: the caller's condition.
    unsafe {
        tile.sums(
            prime,
            fold,
            x.len() / WIDTH,
            x.as_ptr(),
            w.as_ptr(),
            &mut sums,
        )
    };
    for (out, sums) in outs.iter_mut().zip(&sums[..T::ROWS]) {
        // SAFETY: the caller's condition.
        let residues = unsafe { tile.finish(prime, *sums) };
        for (v, &residue) in residues[..T::COEFFICIENTS / 4].iter().enumerate() {
            let at = at + 4 * v;
            let sum = if first {
                residue
            } else {
                prime.reduce(_mm256_add_pd(residue, load(out, at)))
            };
            store(out, at, sum);
        }
    }
}

/// Blocks of columns; in each, tiles of rows; in each, column after column. Missing rows are zero.
fn pack_weights<T: Tile>(weights: &[f64], rows: usize, cols: usize) -> AlignedVec {
    let tiles = rows.div_ceil(T::ROWS);
    let mut packed = AlignedVec::zeroed(tiles * T::ROWS * cols);
    let mut rest = &mut packed[..];
    for first in (0..cols).step_by(DEPTH) {
        let terms = DEPTH.min(cols - first);
        for t in 0..tiles {
            let (tile, tail) = rest.split_at_mut(T::ROWS * terms);
            rest = tail;
            for row in t * T::ROWS..rows.min((t + 1) * T::ROWS) {
                for (k, w) in weights[row * cols + first..][..terms].iter().enumerate() {
                    tile[k * T::ROWS + row % T::ROWS] = *w;
                }
            }
        }
    }
    packed
}

/// Panels of balanced inputs: panel, column, the two vectors. Coefficients past the end are zero.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_inputs<T: Tile>(
    tile: T,
    prime: Prime,
    inputs: &[&[f64]],
    start: usize,
    packed: &mut [f64],
) {
    for (k, input) in inputs.iter().enumerate() {
        let next = inputs.get(k + 1).unwrap_or(input).as_ptr();
        for (panel, packed) in packed.chunks_exact_mut(inputs.len() * WIDTH).enumerate() {
            let at = start + panel * T::COEFFICIENTS;
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(at).cast());
            let low = prime.reduce(load(input, at));
            let high = if T::COEFFICIENTS == WIDTH {
                prime.reduce(load(input, at + 4))
            } else {
                low
            };
            // SAFETY: the caller's condition.
            let vectors = unsafe { tile.pack(low, high) };
            store(packed, k * WIDTH, vectors[0]);
            store(packed, k * WIDTH + 4, vectors[1]);
        }
    }
}

/// Products summed in doubles, `fold` at a time.
///
/// # Safety
/// AVX2 and FMA; `x` has `terms * WIDTH` values, `w` has `6 * terms`.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn plain_sums(
    prime: Prime,
    fold: usize,
    terms: usize,
    x: *const f64,
    w: *const f64,
    out: &mut Sums,
) {
    let mut sums: Sums = [[_mm256_setzero_pd(); 2]; MAX_ROWS];
    let mut start = 0;
    while start < terms {
        let end = terms.min(start.saturating_add(fold));
        for k in start..end {
            // SAFETY: `k < terms`.
            unsafe {
                let (x, w) = (x.add(k * WIDTH), w.add(k * MAX_ROWS));
                let (x0, x1) = (_mm256_loadu_pd(x), _mm256_loadu_pd(x.add(4)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let w = _mm256_broadcast_sd(&*w.add(row));
                    *sums = [
                        _mm256_fmadd_pd(x0, w, sums[0]),
                        _mm256_fmadd_pd(x1, w, sums[1]),
                    ];
                }
            }
        }
        for sums in &mut sums {
            *sums = [prime.reduce(sums[0]), prime.reduce(sums[1])];
        }
        start = end;
    }
    *out = sums;
}

#[derive(Clone, Copy)]
struct Direct;

impl Tile for Direct {
    const ROWS: usize = MAX_ROWS;
    const COEFFICIENTS: usize = 8;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sums(
        self,
        prime: Prime,
        fold: usize,
        terms: usize,
        x: *const f64,
        w: *const f64,
        out: &mut Sums,
    ) {
        // SAFETY: the caller's condition.
        unsafe { plain_sums(prime, fold, terms, x, w, out) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack(self, low: __m256d, high: __m256d) -> [__m256d; 2] {
        [low, high]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn finish(self, _: Prime, sums: [__m256d; 2]) -> [__m256d; 2] {
        sums
    }
}

#[derive(Clone, Copy)]
struct Split {
    radix: f64,
}

impl Tile for Split {
    const ROWS: usize = MAX_ROWS;
    const COEFFICIENTS: usize = 4;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sums(
        self,
        prime: Prime,
        fold: usize,
        terms: usize,
        x: *const f64,
        w: *const f64,
        out: &mut Sums,
    ) {
        // SAFETY: the caller's condition.
        unsafe { plain_sums(prime, fold, terms, x, w, out) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack(self, low: __m256d, _: __m256d) -> [__m256d; 2] {
        let upper = round(_mm256_mul_pd(low, _mm256_set1_pd(1.0 / self.radix)));
        [
            _mm256_fnmadd_pd(upper, _mm256_set1_pd(self.radix), low),
            upper,
        ]
    }

    /// The upper digit's residue times `2^u < p`, reduced, plus the lower: below `2 p`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn finish(self, prime: Prime, [lower, upper]: [__m256d; 2]) -> [__m256d; 2] {
        let radix = _mm256_set1_pd(self.radix);
        let product = _mm256_mul_pd(upper, radix);
        let quotient = round(_mm256_mul_pd(product, prime.inverse_p));
        let product = _mm256_fnmadd_pd(quotient, prime.p, product);
        let sum = prime.reduce(_mm256_add_pd(product, lower));
        [sum, sum]
    }
}

#[derive(Clone, Copy)]
struct Compensated {
    magic: f64,
}

impl Tile for Compensated {
    const ROWS: usize = 2;
    const COEFFICIENTS: usize = 8;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sums(
        self,
        prime: Prime,
        fold: usize,
        terms: usize,
        x: *const f64,
        w: *const f64,
        out: &mut Sums,
    ) {
        // SAFETY: the caller's condition.
        unsafe { compensated_sums(prime, self.magic, fold, terms, x, w, out) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack(self, low: __m256d, high: __m256d) -> [__m256d; 2] {
        [low, high]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn finish(self, _: Prime, sums: [__m256d; 2]) -> [__m256d; 2] {
        sums
    }
}

/// Products summed in two parts, `fold` at a time.
///
/// # Safety
/// AVX2 and FMA; `x` has `terms * WIDTH` values, `w` has `2 * terms`.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn compensated_sums(
    prime: Prime,
    magic: f64,
    fold: usize,
    terms: usize,
    x: *const f64,
    w: *const f64,
    out: &mut Sums,
) {
    let magic = _mm256_set1_pd(magic);
    let mut low = [[_mm256_setzero_pd(); 2]; 2];
    let mut start = 0;
    while start < terms {
        let end = terms.min(start.saturating_add(fold));
        let mut high = [[magic; 2]; 2];
        let mut k = start;
        // Two columns at a time: half the moves between registers.
        while k + 2 <= end {
            // SAFETY: `k + 1 < terms`.
            unsafe {
                step(x.add(k * WIDTH), w.add(2 * k), &mut high, &mut low);
                step(
                    x.add((k + 1) * WIDTH),
                    w.add(2 * (k + 1)),
                    &mut high,
                    &mut low,
                );
            }
            k += 2;
        }
        if k < end {
            // SAFETY: `k < terms`.
            unsafe { step(x.add(k * WIDTH), w.add(2 * k), &mut high, &mut low) };
        }
        for (low, high) in low.as_flattened_mut().iter_mut().zip(high.as_flattened()) {
            let high = prime.reduce(_mm256_sub_pd(*high, magic));
            *low = prime.reduce(_mm256_add_pd(high, *low));
        }
        start = end;
    }
    out[..2].copy_from_slice(&low);
}

/// One column of a 2 x 2 tile: all that fits in 16 registers.
///
/// # Safety
/// AVX2 and FMA; `WIDTH` values at `x`, two weights at `w`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step(
    x: *const f64,
    w: *const f64,
    high: &mut [[__m256d; 2]; 2],
    low: &mut [[__m256d; 2]; 2],
) {
    // SAFETY: the caller's condition.
    let x = unsafe { [_mm256_loadu_pd(x), _mm256_loadu_pd(x.add(4))] };
    for row in 0..2 {
        // SAFETY: the caller's condition.
        let w = unsafe { _mm256_broadcast_sd(&*w.add(row)) };
        for v in 0..2 {
            let sum = _mm256_fmadd_pd(x[v], w, high[row][v]);
            let rest = _mm256_fmadd_pd(x[v], w, _mm256_sub_pd(high[row][v], sum));
            low[row][v] = _mm256_add_pd(low[row][v], rest);
            high[row][v] = sum;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn round(x: __m256d) -> __m256d {
    _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
}
