//! Four lanes; the bounds are on the [module page](super).

use super::{Accumulation, Source, Target};
use std::arch::x86_64::*;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// `x - p round(x / p)`, exact for `|x| < 2^53`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn remainder(x: __m256d, p: __m256d, inverse_p: __m256d) -> __m256d {
    let q = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(x, inverse_p));
    _mm256_fnmadd_pd(q, p, x)
}

/// The four elements from `offset`, those past the end being zero.
#[inline]
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
#[inline]
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

/// `f` of four lanes at a time; lanes past the end are zero.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn map(x: &[f64], out: &mut [f64], f: impl Fn(__m256d) -> __m256d) {
    let (chunks, rest) = x.as_chunks::<4>();
    let (outs, rest_out) = out.as_chunks_mut::<4>();
    for (x, out) in chunks.iter().zip(outs) {
        store(out, 0, f(load(x, 0)));
    }
    store(rest_out, 0, f(load(rest, 0)));
}

/// All slices have the length of `v`.
#[target_feature(enable = "avx2,fma")]
pub(super) fn prepare(sources: &[Source], from: &[&[f64]], y: &mut [&mut [f64]], v: &mut [f64]) {
    if let [source] = sources
        && source.factor == 1.0
    {
        let (q, inverse_q) = (_mm256_set1_pd(source.q), _mm256_set1_pd(source.inverse_q));
        map(from[0], y[0], |x| remainder(x, q, inverse_q));
        v.fill(0.0);
        return;
    }
    // A block of the sums `v` stays in cache while every source adds to it.
    const BLOCK: usize = 512;
    for start in (0..v.len()).step_by(BLOCK) {
        let end = v.len().min(start + BLOCK);
        let v = &mut v[start..end];
        v.fill(0.0);
        for ((s, x), y) in sources.iter().zip(from).zip(y.iter_mut()) {
            prepare_one(s, &x[start..end], &mut y[start..end], v);
        }
        for chunk in v.chunks_mut(4) {
            let sum = load(chunk, 0);
            store(chunk, 0, _mm256_round_pd::<NEAREST>(sum));
        }
    }
}

/// All slices have the same length.
#[target_feature(enable = "avx2,fma")]
fn prepare_one(s: &Source, x: &[f64], y: &mut [f64], v: &mut [f64]) {
    let (q, factor, over) = (
        _mm256_set1_pd(s.q),
        _mm256_set1_pd(s.factor),
        _mm256_set1_pd(s.factor_over_q),
    );
    let inverse_q = _mm256_set1_pd(s.inverse_q);
    let (xs, x_rest) = x.as_chunks::<4>();
    let (ys, y_rest) = y.as_chunks_mut::<4>();
    let (vs, v_rest) = v.as_chunks_mut::<4>();
    let step = |x: &[f64], y: &mut [f64], v: &mut [f64]| {
        let x = load(x, 0);
        let high = _mm256_mul_pd(x, factor);
        let quotient = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(x, over));
        let low = _mm256_fmsub_pd(x, factor, high);
        let r = remainder(
            _mm256_add_pd(_mm256_fnmadd_pd(quotient, q, high), low),
            q,
            inverse_q,
        );
        store(y, 0, r);
        let sum = _mm256_fmadd_pd(r, inverse_q, load(v, 0));
        store(v, 0, sum);
    };
    for ((x, y), v) in xs.iter().zip(ys).zip(vs) {
        step(x, y, v);
    }
    step(x_rest, y_rest, v_rest);
}

/// One source, weight 1: `y` is balanced already.
#[target_feature(enable = "avx2,fma")]
pub(super) fn reduce(target: &Target, y: &[f64], out: &mut [f64]) {
    let (p, inverse_p) = (_mm256_set1_pd(target.p), _mm256_set1_pd(target.inverse_p));
    map(y, out, |x| remainder(x, p, inverse_p));
}

/// `J` targets at once, `V` vectors of coefficients at once: `2 J V` registers of sums. `y` is `y_1, ..., y_L, v`.
#[target_feature(enable = "avx2,fma")]
pub(super) fn finish<const J: usize, const V: usize>(
    targets: [&Target; J],
    sums: Accumulation,
    y: &[&[f64]],
    mut outs: [&mut [f64]; J],
) {
    let n = outs[0].len();
    assert!(outs.iter().all(|out| out.len() == n) && y.iter().all(|y| y.len() == n));
    let whole = n - n % (4 * V);
    for start in (0..whole).step_by(4 * V) {
        // SAFETY: `start + 4 V <= n`, the length of every slice.
        let residues: [[__m256d; V]; J] = unsafe {
            tile(targets, sums, y.len(), |i, v| {
                _mm256_loadu_pd(y.get_unchecked(i).as_ptr().add(start + 4 * v))
            })
        };
        for (out, residues) in outs.iter_mut().zip(residues) {
            for (v, residue) in residues.into_iter().enumerate() {
                store(out, start + 4 * v, residue);
            }
        }
    }
    if whole < n {
        // SAFETY: `load` has no conditions.
        let residues: [[__m256d; V]; J] =
            unsafe { tile(targets, sums, y.len(), |i, v| load(y[i], whole + 4 * v)) };
        for (out, residues) in outs.iter_mut().zip(residues) {
            for (v, residue) in residues.into_iter().enumerate() {
                store(out, whole + 4 * v, residue);
            }
        }
    }
}

/// One target, few sources: everything is unrolled, so that several vectors are in flight at once.
///
/// `y` has more than `L` slices, the last one `v`, all of the length of `out`; `sums.fold >= L` and `sums.short_v`.
#[target_feature(enable = "avx2,fma")]
pub(super) fn finish_few<const L: usize>(
    target: &Target,
    sums: Accumulation,
    y: &[&[f64]],
    out: &mut [f64],
) {
    const V: usize = 4;
    let n = out.len();
    let v = &y[L][..n];
    let y: [&[f64]; L] = std::array::from_fn(|i| &y[i][..n]);
    let w: [__m256d; L] = std::array::from_fn(|i| _mm256_set1_pd(target.weights[i]));
    let v_weight = _mm256_set1_pd(target.weights[L]);
    let (p, inverse_p) = (_mm256_set1_pd(target.p), _mm256_set1_pd(target.inverse_p));
    let magic = _mm256_set1_pd(sums.magic);
    // At most four products and their rounding: one quotient, as on the module page.
    let fold = |high: __m256d, low: __m256d| {
        let high = _mm256_sub_pd(high, magic);
        if L <= 4 {
            let quotient = _mm256_fmadd_pd(low, inverse_p, _mm256_mul_pd(high, inverse_p));
            let quotient = _mm256_round_pd::<NEAREST>(quotient);
            _mm256_add_pd(_mm256_fnmadd_pd(quotient, p, high), low)
        } else {
            remainder(
                _mm256_add_pd(remainder(high, p, inverse_p), low),
                p,
                inverse_p,
            )
        }
    };
    let term = |x: __m256d, w: __m256d, high: &mut __m256d, low: &mut __m256d| {
        let sum = _mm256_fmadd_pd(x, w, *high);
        let rest = _mm256_fmadd_pd(x, w, _mm256_sub_pd(*high, sum));
        *low = _mm256_add_pd(*low, rest);
        *high = sum;
    };
    let whole = n - n % (4 * V);
    for start in (0..whole).step_by(4 * V) {
        let mut high = [magic; V];
        // SAFETY: `start + 4 V <= n`, the length of every slice.
        let at = |x: &[f64], k: usize| unsafe { _mm256_loadu_pd(x.as_ptr().add(start + 4 * k)) };
        let mut low: [__m256d; V] = std::array::from_fn(|k| _mm256_mul_pd(at(v, k), v_weight));
        for i in 0..L {
            for k in 0..V {
                term(at(y[i], k), w[i], &mut high[k], &mut low[k]);
            }
        }
        for k in 0..V {
            // SAFETY: as above.
            unsafe { _mm256_storeu_pd(out.as_mut_ptr().add(start + 4 * k), fold(high[k], low[k])) };
        }
    }
    for start in (whole..n).step_by(4) {
        let (mut high, mut low) = (magic, _mm256_mul_pd(load(v, start), v_weight));
        for i in 0..L {
            term(load(y[i], start), w[i], &mut high, &mut low);
        }
        store(out, start, fold(high, low));
    }
}

/// `sum_i y(i, v) * weights[i]` modulo every target, lazy.
///
/// # Safety
/// AVX2 and FMA; `y` may be called for `i < count` and `v < V`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const J: usize, const V: usize>(
    targets: [&Target; J],
    sums: Accumulation,
    count: usize,
    y: impl Fn(usize, usize) -> __m256d,
) -> [[__m256d; V]; J] {
    let weights: [&[f64]; J] = std::array::from_fn(|j| &targets[j].weights[..count]);
    let magic = _mm256_set1_pd(sums.magic);
    let mut low = [[_mm256_setzero_pd(); V]; J];
    let terms = if sums.short_v {
        for (low, weights) in low.iter_mut().zip(weights) {
            let w = _mm256_set1_pd(weights[count - 1]);
            *low = std::array::from_fn(|v| _mm256_mul_pd(y(count - 1, v), w));
        }
        count - 1
    } else {
        count
    };
    let mut start = 0;
    while start < terms {
        let end = terms.min(start + sums.fold);
        let mut high = [[magic; V]; J];
        let mut i = start;
        // Two terms at a time: half the moves between registers.
        while i + 2 <= end {
            for i in [i, i + 1] {
                // SAFETY: `i < terms`.
                unsafe { step(i, weights, &y, &mut high, &mut low) };
            }
            i += 2;
        }
        if i < end {
            // SAFETY: `i < terms`.
            unsafe { step(i, weights, &y, &mut high, &mut low) };
        }
        for j in 0..J {
            let (p, inverse_p) = (
                _mm256_set1_pd(targets[j].p),
                _mm256_set1_pd(targets[j].inverse_p),
            );
            for v in 0..V {
                let high = _mm256_sub_pd(high[j][v], magic);
                low[j][v] = remainder(
                    _mm256_add_pd(remainder(high, p, inverse_p), low[j][v]),
                    p,
                    inverse_p,
                );
            }
        }
        start = end;
    }
    low
}

/// # Safety
/// AVX2 and FMA; every slice of `weights` has more than `i` elements; `y(i, v)` may be called for `v < V`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const J: usize, const V: usize>(
    i: usize,
    weights: [&[f64]; J],
    y: &impl Fn(usize, usize) -> __m256d,
    high: &mut [[__m256d; V]; J],
    low: &mut [[__m256d; V]; J],
) {
    let factors: [__m256d; V] = std::array::from_fn(|v| y(i, v));
    for j in 0..J {
        // SAFETY: the caller's condition.
        let w = unsafe { _mm256_broadcast_sd(weights[j].get_unchecked(i)) };
        for v in 0..V {
            let sum = _mm256_fmadd_pd(factors[v], w, high[j][v]);
            let rest = _mm256_fmadd_pd(factors[v], w, _mm256_sub_pd(high[j][v], sum));
            low[j][v] = _mm256_add_pd(low[j][v], rest);
            high[j][v] = sum;
        }
    }
}
