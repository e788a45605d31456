//! Four lanes; the bounds are on the [module page](super).

use super::{Source, Target};
use std::arch::x86_64::*;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// `x - p round(x / p)`, exact for `|x| < 2^53`.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn remainder(x: __m256d, p: __m256d, inverse_p: __m256d) -> __m256d {
    let q = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(x, inverse_p));
    _mm256_fnmadd_pd(q, p, x)
}

/// The four elements from `offset`, those past the end being zero.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn load(x: &[f64], offset: usize) -> __m256d {
    if offset + 4 <= x.len() {
        // SAFETY: four elements from `offset` are in bounds.
        unsafe { _mm256_loadu_pd(x.as_ptr().add(offset)) }
    } else {
        let mut lanes = [0.0; 4];
        let rest = x.get(offset..).unwrap_or(&[]);
        lanes[..rest.len()].copy_from_slice(rest);
        // SAFETY: an array of four elements.
        unsafe { _mm256_loadu_pd(lanes.as_ptr()) }
    }
}

/// Stores four elements at `offset`, dropping those past the end.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn store(x: &mut [f64], offset: usize, value: __m256d) {
    if offset + 4 <= x.len() {
        // SAFETY: four elements from `offset` are in bounds.
        unsafe { _mm256_storeu_pd(x.as_mut_ptr().add(offset), value) }
    } else if let Some(rest) = x.get_mut(offset..) {
        let mut lanes = [0.0; 4];
        // SAFETY: an array of four elements.
        unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), value) };
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

/// All slices have the length of `v`.
#[target_feature(enable = "avx2,fma")]
pub(super) fn prepare(sources: &[Source], from: &[&[f64]], y: &mut [&mut [f64]], v: &mut [f64]) {
    const V: usize = 2;
    if let [source] = sources {
        let (q, inverse_q) = (_mm256_set1_pd(source.q), _mm256_set1_pd(source.inverse_q));
        for offset in (0..v.len()).step_by(4) {
            store(y[0], offset, remainder(load(from[0], offset), q, inverse_q));
        }
        v.fill(0.0);
        return;
    }
    for start in (0..v.len()).step_by(4 * V) {
        let mut fraction = [_mm256_setzero_pd(); V];
        for ((s, x), y) in sources.iter().zip(from).zip(y.iter_mut()) {
            let (q, factor, over) = (
                _mm256_set1_pd(s.q),
                _mm256_set1_pd(s.factor),
                _mm256_set1_pd(s.factor_over_q),
            );
            let inverse_q = _mm256_set1_pd(s.inverse_q);
            for (k, fraction) in fraction.iter_mut().enumerate() {
                let x = load(x, start + 4 * k);
                let high = _mm256_mul_pd(x, factor);
                let quotient = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(x, over));
                let low = _mm256_fmsub_pd(x, factor, high);
                let r = _mm256_add_pd(_mm256_fnmadd_pd(quotient, q, high), low);
                *fraction = _mm256_fmadd_pd(r, inverse_q, *fraction);
                store(y, start + 4 * k, r);
            }
        }
        for (k, fraction) in fraction.into_iter().enumerate() {
            store(v, start + 4 * k, _mm256_round_pd::<NEAREST>(fraction));
        }
    }
}

/// One source: `y` is balanced already.
#[target_feature(enable = "avx2,fma")]
pub(super) fn reduce(target: &Target, y: &[f64], out: &mut [f64]) {
    let (p, inverse_p) = (_mm256_set1_pd(target.p), _mm256_set1_pd(target.inverse_p));
    for offset in (0..out.len()).step_by(4) {
        store(out, offset, remainder(load(y, offset), p, inverse_p));
    }
}

/// `J` targets at once, `V` vectors of coefficients at once: `2 J V` registers of sums.
#[target_feature(enable = "avx2,fma")]
pub(super) fn finish<const J: usize, const V: usize>(
    targets: [&Target; J],
    magic: f64,
    fold: usize,
    y: &[&[f64]],
    mut outs: [&mut [f64]; J],
) {
    let n = outs[0].len();
    assert!(outs.iter().all(|out| out.len() == n) && y.iter().all(|y| y.len() == n));
    let weights = targets.map(|t| &t.weights[..y.len()]);
    let whole = n - n % (4 * V);
    for start in (0..whole).step_by(4 * V) {
        // SAFETY: `start + 4 V <= n`, the length of every slice.
        let sums: [[__m256d; V]; J] = unsafe {
            sums(targets, weights, magic, fold, y.len(), |i, v| {
                _mm256_loadu_pd(y.get_unchecked(i).as_ptr().add(start + 4 * v))
            })
        };
        for (out, sums) in outs.iter_mut().zip(sums) {
            for (v, sum) in sums.into_iter().enumerate() {
                store(out, start + 4 * v, sum);
            }
        }
    }
    if whole < n {
        // SAFETY: `load` has no conditions.
        let sums: [[__m256d; V]; J] = unsafe {
            sums(targets, weights, magic, fold, y.len(), |i, v| {
                load(y[i], whole + 4 * v)
            })
        };
        for (out, sums) in outs.iter_mut().zip(sums) {
            for (v, sum) in sums.into_iter().enumerate() {
                store(out, whole + 4 * v, sum);
            }
        }
    }
}

/// `sum_i y(i, v) * weights[j][i]` modulo target `j`, lazy.
///
/// # Safety
/// AVX2 and FMA; every slice of `weights` has `terms` elements; `y` may be called for `i < terms`, `v < V`.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn sums<const J: usize, const V: usize>(
    targets: [&Target; J],
    weights: [&[f64]; J],
    magic: f64,
    fold: usize,
    terms: usize,
    y: impl Fn(usize, usize) -> __m256d,
) -> [[__m256d; V]; J] {
    let magic = _mm256_set1_pd(magic);
    let mut low = [[_mm256_setzero_pd(); V]; J];
    let mut start = 0;
    while start < terms {
        let end = terms.min(start + fold);
        let mut high = [[magic; V]; J];
        for i in start..end {
            let mut factors = [magic; V];
            for (v, f) in factors.iter_mut().enumerate() {
                *f = y(i, v);
            }
            for j in 0..J {
                // SAFETY: `i < terms`.
                let w = unsafe { _mm256_broadcast_sd(weights[j].get_unchecked(i)) };
                for v in 0..V {
                    let sum = _mm256_fmadd_pd(factors[v], w, high[j][v]);
                    let rest = _mm256_fmadd_pd(factors[v], w, _mm256_sub_pd(high[j][v], sum));
                    low[j][v] = _mm256_add_pd(low[j][v], rest);
                    high[j][v] = sum;
                }
            }
        }
        for j in 0..J {
            let (p, inverse_p) = (
                _mm256_set1_pd(targets[j].p),
                _mm256_set1_pd(targets[j].inverse_p),
            );
            for v in 0..V {
                let high = remainder(_mm256_sub_pd(high[j][v], magic), p, inverse_p);
                low[j][v] = remainder(_mm256_add_pd(high, low[j][v]), p, inverse_p);
            }
        }
        start = end;
    }
    low
}
