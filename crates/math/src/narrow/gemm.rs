//! Products modulo one narrow prime.

use super::prime::Prime;
use super::view::{Strided, StridedMut};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, blocks::product};
use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use rayon::prelude::*;

/// `out[s][t] = sum_i a[s][i] b[i][t]` modulo the prime, added to what is there if `accumulate`.
///
/// `a` is `m x k`, `b` is `k x n`, `out` is `m x n`, of any sizes; with `k = 0` sums are zero. All entries, also those of
/// `out` with `accumulate`, are centred residues. Runs on the threads of `rayon`. Cost: `m n k` multiply-adds.
///
/// # Errors
/// [`MathError::Parameter`] for shapes that do not fit or entries that are not centred, with nothing written;
/// [`MathError::Backend`].
pub fn gemm(
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    gemm_with(Backend::try_detect()?, prime, a, b, out, accumulate)
}

/// As [`gemm`], on the given backend.
///
/// # Errors
/// As [`gemm`], but for the backend.
pub fn gemm_with(
    backend: Backend,
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    check_shapes("narrow product", &a, &b, out)?;
    check_centred("narrow product", prime, &a)?;
    check_centred("narrow product", prime, &b)?;
    run(backend, prime, a, b, out, accumulate, false);
    Ok(())
}

/// `out[s][t] = sum_i a[i][s] b[i][t]`: as [`gemm`] with `a` (`k x m`) transposed.
///
/// # Errors
/// As [`gemm`].
pub fn gemm_tn(
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    gemm(prime, a.transposed(), b, out, accumulate)
}

/// As [`gemm_tn`], on the given backend.
///
/// # Errors
/// As [`gemm`], but for the backend.
pub fn gemm_tn_with(
    backend: Backend,
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    gemm_with(backend, prime, a.transposed(), b, out, accumulate)
}

/// `out[s][t] = sum_i a[i][s] a[i][t]`: as [`gemm_tn`] of `a` (`k x n`) with itself, at half the cost. All of `out` is
/// written; with `accumulate` it must be symmetric before, since the upper triangle is computed and mirrored.
///
/// # Errors
/// As [`gemm`].
pub fn syrk(
    prime: Prime,
    a: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    syrk_with(Backend::try_detect()?, prime, a, out, accumulate)
}

/// As [`syrk`], on the given backend.
///
/// # Errors
/// As [`gemm`], but for the backend.
pub fn syrk_with(
    backend: Backend,
    prime: Prime,
    a: Strided<'_, i16>,
    out: &mut StridedMut<'_, i16>,
    accumulate: bool,
) -> Result<()> {
    check_shapes("narrow product", &a.transposed(), &a, out)?;
    check_centred("narrow product", prime, &a)?;
    run(backend, prime, a.transposed(), a, out, accumulate, true);
    mirror(out);
    Ok(())
}

fn check_shapes(
    operation: &'static str,
    a: &Strided<'_, i16>,
    b: &Strided<'_, i16>,
    out: &StridedMut<'_, i16>,
) -> Result<()> {
    if a.cols() == b.rows() && out.rows() == a.rows() && out.cols() == b.cols() {
        return Ok(());
    }
    Err(MathError::Parameter {
        operation,
        got: format!(
            "{} x {} times {} x {} into {} x {}",
            a.rows(),
            a.cols(),
            b.rows(),
            b.cols(),
            out.rows(),
            out.cols()
        ),
        expected: "m x k times k x n into m x n".into(),
        hint: "pass matrices with a common inner dimension",
    })
}

fn check_centred(operation: &'static str, prime: Prime, x: &Strided<'_, i16>) -> Result<()> {
    let half = prime.half();
    // Along the smaller stride.
    let x = if x.col_stride() <= x.row_stride() {
        *x
    } else {
        x.transposed()
    };
    let rows = if x.cols() == 0 { 0 } else { x.rows() };
    let bad = (0..rows).into_par_iter().with_min_len(64).any(|i| {
        let row = &x.data()[i * x.row_stride()..];
        let row = &row[..(x.cols() - 1) * x.col_stride() + 1];
        let outside = |bad: bool, &x: &i16| bad | (x > half) | (x < -half);
        if x.col_stride() == 1 {
            row.iter().fold(false, outside)
        } else {
            row.iter()
                .step_by(x.col_stride().max(1))
                .fold(false, outside)
        }
    });
    if bad {
        return Err(MathError::Parameter {
            operation,
            got: "an entry that is no centred residue".into(),
            expected: format!("entries up to {half} in absolute value"),
            hint: "reduce the entries modulo the prime",
        });
    }
    Ok(())
}

/// With `upper` at least the entries on and above the diagonal are written.
fn run(
    backend: Backend,
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &StridedMut<'_, i16>,
    accumulate: bool,
    upper: bool,
) {
    if out.rows() == 0 || out.cols() == 0 {
        return;
    }
    if a.cols() == 0 {
        return scalar(prime, a, b, out, accumulate, upper);
    }
    match backend.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 if backend.has_vnni() => {
            // SAFETY: the backend is proof of the instructions.
            let kernel = unsafe { Avx512::new() };
            product(kernel, prime, a, b, out, accumulate, upper);
        }
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            // SAFETY: `Kind::Avx2` is proof of AVX2.
            let kernel = unsafe { Avx2::new() };
            product(kernel, prime, a, b, out, accumulate, upper);
        }
        Kind::Scalar => scalar(prime, a, b, out, accumulate, upper),
    }
}

/// The reference: sums of 64 bits. With `upper` only entries on and above the diagonal.
fn scalar(
    prime: Prime,
    a: Strided<'_, i16>,
    b: Strided<'_, i16>,
    out: &StridedMut<'_, i16>,
    accumulate: bool,
    upper: bool,
) {
    (0..out.rows()).into_par_iter().for_each(|s| {
        let start = if upper { s } else { 0 };
        let mut sums = vec![0i64; out.cols() - start.min(out.cols())];
        for i in 0..b.rows() {
            let x = i64::from(*a.at(s, i));
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum += x * i64::from(*b.at(i, start + j));
            }
        }
        for (j, sum) in sums.into_iter().enumerate() {
            let place = out.place(s, start + j);
            // SAFETY: every row is written by one closure.
            unsafe {
                let before = if accumulate { i64::from(*place) } else { 0 };
                *place = prime.reduce_i64(sum + before);
            }
        }
    });
}

/// Copies the upper triangle to the lower one, in blocks: distances between rows are often powers of two, at which a column
/// has few places in a cache.
fn mirror(out: &StridedMut<'_, i16>) {
    const BLOCK: usize = 64;
    let n = out.rows();
    (0..n.div_ceil(BLOCK)).into_par_iter().for_each(|block| {
        let rows = block * BLOCK..n.min((block + 1) * BLOCK);
        let mut copy = [[0i16; BLOCK]; BLOCK];
        for start in (0..rows.end).step_by(BLOCK) {
            let cols = start..n.min(start + BLOCK);
            for t in cols.clone() {
                let source = out.place(t, rows.start);
                for (i, copy) in copy.iter_mut().enumerate().take(rows.len()) {
                    // SAFETY: an entry of the row `t`. It is on or above the diagonal, where nobody writes, or in this
                    // closure's own block on the diagonal, and then unused.
                    copy[t - start] = unsafe { *source.add(i * out.col_stride()) };
                }
            }
            for (s, copy) in rows.clone().zip(&copy) {
                let target = out.place(s, start);
                for (j, &value) in copy.iter().enumerate().take(cols.end.min(s) - start) {
                    // SAFETY: an entry of the row `s` below the diagonal; this closure alone writes there.
                    unsafe { *target.add(j * out.col_stride()) = value };
                }
            }
        }
    });
}
