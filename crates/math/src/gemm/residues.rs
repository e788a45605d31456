//! Products of two matrices modulo one wide prime, through enough narrow primes.
//!
//! With centred factors the sum of `k` products is at most `k A B`. Modulo narrow primes whose product is more than twice
//! that (and a little: see [`Rule::Exact`]) it is known exactly, and its residue modulo the wide prime follows.

use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::modulus::Modulus;
use crate::narrow::{Basis, Rule, Strided, StridedMut, ToWide, gemm_with, reduce_scaled_with};
#[cfg(target_arch = "x86_64")]
use crate::pointwise::Kernels;
use rayon::prelude::*;

use super::MAX_WEIGHT_BITS;

/// Values of a result that are converted at a time.
const CHUNK: usize = 2048;

/// `out[s][t] = sum_i a[s][i] b[i][t]` modulo `modulus`, of lazy residues; the result is lazy too. `a` is `m x k`, `b` is
/// `k x n`, `out` is `m x n`, of any sizes. Runs on the threads of `rayon`. Cost: about one 16-bit product for every 13.5 of
/// `2 bits + log2 k` bits.
///
/// # Errors
/// [`MathError::Parameter`] for shapes that do not fit or entries that are not lazy residues, with nothing written;
/// [`MathError::Backend`].
pub fn residues(
    modulus: Modulus,
    a: Strided<'_, f64>,
    b: Strided<'_, f64>,
    out: &mut StridedMut<'_, f64>,
) -> Result<()> {
    residues_with(Backend::try_detect()?, modulus, a, b, out)
}

/// As [`residues`], on the given backend.
///
/// # Errors
/// As [`residues`], but for the backend.
pub fn residues_with(
    backend: Backend,
    modulus: Modulus,
    a: Strided<'_, f64>,
    b: Strided<'_, f64>,
    out: &mut StridedMut<'_, f64>,
) -> Result<()> {
    check_shapes(&a, &b, out)?;
    let a = lazy(backend, modulus, a)?;
    let b = lazy(backend, modulus, b)?;
    product(backend, modulus, &a, modulus.bits() - 1, &b, out)
}

/// As [`residues`], where `a` holds plain integers of absolute value below `2^bits`: fewer bits cost less.
///
/// # Errors
/// As [`residues`]; [`MathError::Parameter`] also for `bits` of 0 or above [`MAX_WEIGHT_BITS`], or integers of more bits.
pub fn weighted(
    modulus: Modulus,
    a: Strided<'_, f64>,
    bits: u32,
    b: Strided<'_, f64>,
    out: &mut StridedMut<'_, f64>,
) -> Result<()> {
    weighted_with(Backend::try_detect()?, modulus, a, bits, b, out)
}

/// As [`weighted`], on the given backend.
///
/// # Errors
/// As [`weighted`], but for the backend.
pub fn weighted_with(
    backend: Backend,
    modulus: Modulus,
    a: Strided<'_, f64>,
    bits: u32,
    b: Strided<'_, f64>,
    out: &mut StridedMut<'_, f64>,
) -> Result<()> {
    check_shapes(&a, &b, out)?;
    if bits == 0 || bits > MAX_WEIGHT_BITS {
        return Err(error(
            format!("weights of {bits} bits"),
            format!("1 to {MAX_WEIGHT_BITS}"),
            "encode the weights at a smaller scale",
        ));
    }
    let limit = (1u64 << bits) as f64;
    let mut a = gather(a, |x| x.abs() < limit && x.fract() == 0.0).ok_or_else(|| {
        error(
            "a weight that is no integer of its declared size".into(),
            format!("integers below 2^{bits} in absolute value"),
            "round the weights, and declare their size",
        )
    })?;
    let residue_bits = modulus.bits() - 1;
    if bits > residue_bits {
        a.par_iter_mut()
            .with_min_len(CHUNK)
            .for_each(|x| *x = modulus.residue_i64(*x as i64));
    }
    let b = lazy(backend, modulus, b)?;
    product(backend, modulus, &a, bits.min(residue_bits), &b, out)
}

fn error(got: String, expected: String, hint: &'static str) -> MathError {
    MathError::Parameter {
        operation: "product of residues",
        got,
        expected,
        hint,
    }
}

fn check_shapes(
    a: &Strided<'_, f64>,
    b: &Strided<'_, f64>,
    out: &StridedMut<'_, f64>,
) -> Result<()> {
    if a.cols() == b.rows() && out.rows() == a.rows() && out.cols() == b.cols() {
        return Ok(());
    }
    let shape = |rows: usize, cols: usize| format!("{rows} x {cols}");
    Err(error(
        format!(
            "{} times {} into {}",
            shape(a.rows(), a.cols()),
            shape(b.rows(), b.cols()),
            shape(out.rows(), out.cols())
        ),
        "m x k times k x n into m x n".into(),
        "pass matrices with a common inner dimension",
    ))
}

/// The entries, row after row, if all are right.
fn gather(x: Strided<'_, f64>, right: impl Fn(f64) -> bool + Sync) -> Option<Vec<f64>> {
    let mut out = vec![0.0; x.rows() * x.cols()];
    let rows = out.par_chunks_mut(x.cols().max(1)).enumerate();
    let fits = rows.map(|(i, out)| {
        let mut fits = true;
        for (j, out) in out.iter_mut().enumerate() {
            *out = *x.at(i, j);
            fits &= right(*out);
        }
        fits
    });
    fits.reduce(|| true, |a, b| a & b).then_some(out)
}

/// Lazy residues, balanced.
fn lazy(backend: Backend, modulus: Modulus, x: Strided<'_, f64>) -> Result<Vec<f64>> {
    let p = modulus.value() as f64;
    let mut out = gather(x, |x| x.abs() <= p && x.fract() == 0.0).ok_or_else(|| {
        error(
            "an entry that is no lazy residue".into(),
            format!("integers up to {p} in absolute value"),
            "reduce the entries modulo the prime",
        )
    })?;
    balance_with(backend, modulus, &mut out);
    Ok(out)
}

fn balance_with(backend: Backend, modulus: Modulus, x: &mut [f64]) {
    x.par_chunks_mut(CHUNK).for_each(|x| match backend.kind() {
        // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { balance(modulus.value() as f64, x) },
        Kind::Scalar => x
            .iter_mut()
            .for_each(|x| *x = modulus.residue(modulus.canonical(*x))),
    });
}

/// At most `p / 2`: quotients are at most 1, and right but for ties, of which an odd prime has none.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn balance(p: f64, x: &mut [f64]) {
    let inverse = 1.0 / p;
    for x in x {
        *x = (-(*x * inverse).round_ties_even()).mul_add(p, *x);
    }
}

/// [`combine`](super::combine) through narrow primes, some coefficients at a time: checked arguments, lazy inputs.
#[cfg(target_arch = "x86_64")]
pub(super) fn combine(
    kernels: &Kernels,
    weights: &[f64],
    weight_bits: u32,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) {
    const COEFFICIENTS: usize = 4096;
    let (backend, modulus) = (kernels.backend(), kernels.modulus());
    let residue_bits = modulus.bits() - 1;
    let mut a = weights.to_vec();
    if weight_bits > residue_bits {
        a.iter_mut()
            .for_each(|x| *x = modulus.residue_i64(*x as i64));
    }
    let n = inputs[0].len();
    for start in (0..n).step_by(COEFFICIENTS) {
        let length = COEFFICIENTS.min(n - start);
        let mut b = Vec::with_capacity(inputs.len() * length);
        for x in inputs {
            b.extend_from_slice(&x[start..start + length]);
        }
        balance_with(backend, modulus, &mut b);
        let mut out = vec![0.0; outputs.len() * length];
        let view = StridedMut::row_major(&mut out, outputs.len(), length);
        let bits = weight_bits.min(residue_bits);
        view.and_then(|mut view| product(backend, modulus, &a, bits, &b, &mut view))
            .expect("at most 113 bits of 646, and shapes that fit");
        for (output, row) in outputs.iter_mut().zip(out.chunks_exact(length)) {
            output[start..start + length].copy_from_slice(row);
        }
    }
}

/// `a` has entries below `2^a_bits`, `b` balanced residues, below `2^(bits - 1)`; both are row after row.
fn product(
    backend: Backend,
    modulus: Modulus,
    a: &[f64],
    a_bits: u32,
    b: &[f64],
    out: &mut StridedMut<'_, f64>,
) -> Result<()> {
    let (m, n) = (out.rows(), out.cols());
    if m == 0 || n == 0 {
        return Ok(());
    }
    let k = a.len() / m;
    // One bit for the sign, and room above the largest sum: exact conversion wants 2^-20 of it.
    let bits = f64::from(a_bits + modulus.bits() - 1) + (k.max(1) as f64).log2() + 1.01;
    let basis = Basis::with_bits(bits)?;
    let (mut left, mut right) = (vec![0i16; m * k], vec![0i16; k * n]);
    let mut results = vec![vec![0i16; m * n]; basis.len()];
    for (&prime, result) in basis.primes().iter().zip(&mut results) {
        reduce_scaled_with(backend, prime, a, 1.0, &mut left)?;
        reduce_scaled_with(backend, prime, b, 1.0, &mut right)?;
        gemm_with(
            backend,
            prime,
            Strided::row_major(&left, m, k)?,
            Strided::row_major(&right, k, n)?,
            &mut StridedMut::row_major(result, m, n)?,
            false,
        )?;
    }
    drop((left, right));
    let switch = ToWide::with_factors(Rule::Exact, &basis, &[modulus], |_| 1, |_| 1, backend)?;
    let out = &*out;
    (0..m).into_par_iter().for_each(|s| {
        let mut row = [0.0; CHUNK];
        for start in (0..n).step_by(CHUNK) {
            let length = CHUNK.min(n - start);
            let parts: Vec<&[i16]> = results
                .iter()
                .map(|r| &r[s * n + start..][..length])
                .collect();
            switch.convert(&parts, &mut [&mut row[..length]]);
            for (t, &x) in row[..length].iter().enumerate() {
                // SAFETY: every row is written by one closure.
                unsafe { *out.place(s, start + t) = x };
            }
        }
    });
    Ok(())
}
