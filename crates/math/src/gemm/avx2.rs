//! Packing and register tiles. A panel is eight coefficients: two vectors.

use super::{Method, Plan};
use crate::aligned::AlignedVec;
use crate::modulus::Modulus;
use crate::rns::avx2::{load, remainder, store};
use std::arch::x86_64::*;

/// Vectors in a panel.
const V: usize = 2;
const PANEL: usize = 4 * V;
/// Coefficients in a block: every tile of weights that was loaded serves eight panels.
const BLOCK: usize = 8 * PANEL;
/// Values of a panel in a block of columns: 16 KB, half of a first-level cache.
const PANEL_VALUES: usize = 2048;

#[derive(Clone, Copy)]
struct Prime {
    p: __m256d,
    inverse_p: __m256d,
}

impl Prime {
    #[target_feature(enable = "avx2,fma")]
    fn reduce(self, x: __m256d) -> __m256d {
        remainder(x, self.p, self.inverse_p)
    }
}

/// Rows in a register tile, and digits of an input, of a method.
trait Tile {
    const ROWS: usize;
    const DIGITS: usize;
    /// `sum_k w[k][row] x[k]` modulo `p`, lazy.
    ///
    /// # Safety
    /// AVX2 and FMA. `x` has `terms * DIGITS` panels, `w` has `terms * ROWS` weights.
    unsafe fn sums(
        self,
        prime: Prime,
        fold: usize,
        terms: usize,
        x: *const f64,
        w: *const f64,
        out: &mut Sums,
    );
    /// The digits of a balanced residue.
    ///
    /// # Safety
    /// AVX2 and FMA.
    unsafe fn digits(self, x: __m256d) -> [__m256d; 2];
}

/// Results of a tile: at most eight rows.
type Sums = [[__m256d; V]; 8];

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
unsafe fn run<T: Tile + Copy>(
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
    let depth = PANEL_VALUES / (PANEL * T::DIGITS);
    let packed_weights = pack_weights::<T>(weights, rows, cols, depth);
    let tiles = rows.div_ceil(T::ROWS);
    let mut packed = AlignedVec::zeroed(BLOCK * T::DIGITS * depth.min(cols));
    let mut sums: Sums = [[_mm256_setzero_pd(); V]; 8];
    for start in (0..n).step_by(BLOCK) {
        let panels = BLOCK.min(n - start).div_ceil(PANEL);
        for first in (0..cols).step_by(depth) {
            let terms = depth.min(cols - first);
            let panel_length = terms * T::DIGITS * PANEL;
            // SAFETY: `panels * panel_length` values fit: at most BLOCK / PANEL panels of the largest depth.
            unsafe {
                pack_inputs(
                    tile,
                    prime,
                    &inputs[first..first + terms],
                    start,
                    panels,
                    &mut packed,
                )
            };
            let block = &packed_weights[tiles * T::ROWS * first..];
            for t in 0..tiles {
                let w = &block[t * T::ROWS * terms..(t + 1) * T::ROWS * terms];
                for panel in 0..panels {
                    let x = &packed[panel * panel_length..(panel + 1) * panel_length];
                    // SAFETY: `x` and `w` hold `terms` terms, by their lengths.
                    unsafe { tile.sums(prime, fold, terms, x.as_ptr(), w.as_ptr(), &mut sums) };
                    let rows = &mut outputs[t * T::ROWS..];
                    for (out, sums) in rows.iter_mut().zip(&sums[..T::ROWS]) {
                        for (v, &sum) in sums.iter().enumerate() {
                            let at = start + panel * PANEL + 4 * v;
                            let sum = if first == 0 {
                                sum
                            } else {
                                prime.reduce(_mm256_add_pd(sum, load(out, at)))
                            };
                            store(out, at, sum);
                        }
                    }
                }
            }
        }
    }
}

/// Blocks of `depth` columns; in each, tiles of rows; in each, column after column. Missing rows are zero.
fn pack_weights<T: Tile>(weights: &[f64], rows: usize, cols: usize, depth: usize) -> AlignedVec {
    let tiles = rows.div_ceil(T::ROWS);
    let mut packed = AlignedVec::zeroed(tiles * T::ROWS * cols);
    let mut rest = &mut packed[..];
    for first in (0..cols).step_by(depth) {
        let terms = depth.min(cols - first);
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

/// Panels of balanced digits: panel, column, digit, coefficient. Coefficients past the end are zero.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_inputs<T: Tile + Copy>(
    tile: T,
    prime: Prime,
    inputs: &[&[f64]],
    start: usize,
    panels: usize,
    packed: &mut [f64],
) {
    let column = T::DIGITS * PANEL;
    for (k, input) in inputs.iter().enumerate() {
        for panel in 0..panels {
            let at = (panel * inputs.len() + k) * column;
            for v in 0..V {
                let x = prime.reduce(load(input, start + panel * PANEL + 4 * v));
                // SAFETY: the caller's condition.
                let digits = unsafe { tile.digits(x) };
                for (d, &digit) in digits[..T::DIGITS].iter().enumerate() {
                    store(packed, at + d * PANEL + 4 * v, digit);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Direct;

impl Tile for Direct {
    const ROWS: usize = 6;
    const DIGITS: usize = 1;

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
        let mut sums = [[_mm256_setzero_pd(); V]; Self::ROWS];
        let mut start = 0;
        while start < terms {
            let end = terms.min(start.saturating_add(fold));
            for k in start..end {
                // SAFETY: `k < terms`.
                let (x, w) = unsafe { (load_panel(x.add(k * PANEL)), w.add(k * Self::ROWS)) };
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: `row < ROWS`.
                    let w = unsafe { _mm256_broadcast_sd(&*w.add(row)) };
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = _mm256_fmadd_pd(x, w, *sum);
                    }
                }
            }
            for sums in &mut sums {
                for sum in sums {
                    *sum = prime.reduce(*sum);
                }
            }
            start = end;
        }
        out[..Self::ROWS].copy_from_slice(&sums);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn digits(self, x: __m256d) -> [__m256d; 2] {
        [x, x]
    }
}

#[derive(Clone, Copy)]
struct Split {
    radix: f64,
}

impl Tile for Split {
    const ROWS: usize = 3;
    const DIGITS: usize = 2;

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
        let zero = [[_mm256_setzero_pd(); V]; Self::ROWS];
        let (mut lower, mut upper) = (zero, zero);
        let mut start = 0;
        while start < terms {
            let end = terms.min(start.saturating_add(fold));
            for k in start..end {
                // SAFETY: `k < terms`, and a term has two panels.
                let (low, high, w) = unsafe {
                    let x = x.add(2 * k * PANEL);
                    (
                        load_panel(x),
                        load_panel(x.add(PANEL)),
                        w.add(k * Self::ROWS),
                    )
                };
                for row in 0..Self::ROWS {
                    // SAFETY: `row < ROWS`.
                    let w = unsafe { _mm256_broadcast_sd(&*w.add(row)) };
                    for v in 0..V {
                        lower[row][v] = _mm256_fmadd_pd(low[v], w, lower[row][v]);
                        upper[row][v] = _mm256_fmadd_pd(high[v], w, upper[row][v]);
                    }
                }
            }
            for row in 0..Self::ROWS {
                for v in 0..V {
                    lower[row][v] = prime.reduce(lower[row][v]);
                    upper[row][v] = prime.reduce(upper[row][v]);
                }
            }
            start = end;
        }
        // The product of a residue with 2^u < p, reduced, plus a residue: below 2 p.
        let radix = _mm256_set1_pd(self.radix);
        let over = _mm256_mul_pd(radix, prime.inverse_p);
        for row in 0..Self::ROWS {
            for v in 0..V {
                let x = upper[row][v];
                let product = _mm256_mul_pd(x, radix);
                let quotient = round(_mm256_mul_pd(x, over));
                let rest = _mm256_fmsub_pd(x, radix, product);
                let product = _mm256_add_pd(_mm256_fnmadd_pd(quotient, prime.p, product), rest);
                out[row][v] = prime.reduce(_mm256_add_pd(product, lower[row][v]));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn digits(self, x: __m256d) -> [__m256d; 2] {
        let upper = round(_mm256_mul_pd(x, _mm256_set1_pd(1.0 / self.radix)));
        [
            _mm256_fnmadd_pd(upper, _mm256_set1_pd(self.radix), x),
            upper,
        ]
    }
}

#[derive(Clone, Copy)]
struct Compensated {
    magic: f64,
}

impl Tile for Compensated {
    const ROWS: usize = 2;
    const DIGITS: usize = 1;

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
        let magic = _mm256_set1_pd(self.magic);
        let mut low = [[_mm256_setzero_pd(); V]; Self::ROWS];
        let mut start = 0;
        while start < terms {
            let end = terms.min(start.saturating_add(fold));
            let mut high = [[magic; V]; Self::ROWS];
            for k in start..end {
                // SAFETY: `k < terms`.
                let (x, w) = unsafe { (load_panel(x.add(k * PANEL)), w.add(k * Self::ROWS)) };
                for row in 0..Self::ROWS {
                    // SAFETY: `row < ROWS`.
                    let w = unsafe { _mm256_broadcast_sd(&*w.add(row)) };
                    for v in 0..V {
                        let sum = _mm256_fmadd_pd(x[v], w, high[row][v]);
                        let rest = _mm256_fmadd_pd(x[v], w, _mm256_sub_pd(high[row][v], sum));
                        low[row][v] = _mm256_add_pd(low[row][v], rest);
                        high[row][v] = sum;
                    }
                }
            }
            for row in 0..Self::ROWS {
                for v in 0..V {
                    let high = prime.reduce(_mm256_sub_pd(high[row][v], magic));
                    low[row][v] = prime.reduce(_mm256_add_pd(high, low[row][v]));
                }
            }
            start = end;
        }
        out[..Self::ROWS].copy_from_slice(&low);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn digits(self, x: __m256d) -> [__m256d; 2] {
        [x, x]
    }
}

#[target_feature(enable = "avx2,fma")]
fn round(x: __m256d) -> __m256d {
    _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
}

/// # Safety
/// `PANEL` values are readable.
#[target_feature(enable = "avx2,fma")]
unsafe fn load_panel(x: *const f64) -> [__m256d; V] {
    // SAFETY: the caller's condition.
    unsafe { [_mm256_loadu_pd(x), _mm256_loadu_pd(x.add(4))] }
}
