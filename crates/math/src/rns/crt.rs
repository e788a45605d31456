//! Between residues and real numbers: for encoding and decoding.

use super::check_sources;
use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::modulus::Modulus;

/// Largest number of primes of a reconstruction.
pub const MAX_RECONSTRUCTED: usize = 4;

/// Reconstruction of the centred value from residues modulo a few primes, in double precision.
///
/// In mixed radix, `x = t_1 + q_1 (t_2 + q_2 (t_3 + ...))` with every digit balanced: `|t_i| <= (q_i - 1) / 2`. Such digits are
/// unique, and the value is the centred one. It is summed from the top in double-double arithmetic.
#[derive(Clone, Debug)]
pub struct CrtReconstructor {
    digits: Vec<Digit>,
    backend: Backend,
}

#[derive(Clone, Debug)]
struct Digit {
    modulus: Modulus,
    q: f64,
    inverse_q: f64,
    /// The inverses of the earlier primes, balanced, and those over `q`.
    inverses: [(f64, f64); MAX_RECONSTRUCTED],
}

impl CrtReconstructor {
    /// For residues modulo `moduli`: 1 to [`MAX_RECONSTRUCTED`] distinct primes.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for another number, or a prime that occurs twice; [`MathError::Backend`].
    pub fn new(moduli: &[Modulus]) -> Result<Self> {
        Self::with_backend(moduli, Backend::try_detect()?)
    }

    /// As [`new`](Self::new), on the given backend.
    ///
    /// # Errors
    /// [`MathError::Parameter`].
    pub fn with_backend(moduli: &[Modulus], backend: Backend) -> Result<Self> {
        check_sources("reconstruction", moduli, MAX_RECONSTRUCTED)?;
        let digits = moduli.iter().enumerate().map(|(i, &modulus)| {
            let q = modulus.value() as f64;
            let mut inverses = [(0.0, 0.0); MAX_RECONSTRUCTED];
            for (inverse, earlier) in inverses.iter_mut().zip(&moduli[..i]) {
                let x = modulus
                    .inv(modulus.reduce_u64(earlier.value()))
                    .expect("distinct primes are coprime");
                *inverse = (modulus.residue(x), modulus.residue(x) / q);
            }
            Digit {
                modulus,
                q,
                inverse_q: 1.0 / q,
                inverses,
            }
        });
        Ok(Self {
            digits: digits.collect(),
            backend,
        })
    }

    /// `out[k]` is the centred value with the lazy residues `residues[i][k]`, divided by `scale`: relative error at most
    /// 2^-51 (of the value; exact zeros stay zero). Constant time. `scale` is finite and not zero.
    ///
    /// # Panics
    /// If the number of slices is not that of the primes, or lengths differ.
    pub fn centered_f64(&self, residues: &[&[f64]], scale: f64, out: &mut [f64]) {
        assert_eq!(
            residues.len(),
            self.digits.len(),
            "reconstruction: number of residue slices"
        );
        assert!(
            residues.iter().all(|r| r.len() == out.len()),
            "reconstruction: lengths, expected {} each",
            out.len()
        );
        match self.digits.len() {
            1 => self.run::<1>(residues, scale, out),
            2 => self.run::<2>(residues, scale, out),
            3 => self.run::<3>(residues, scale, out),
            _ => self.run::<4>(residues, scale, out),
        }
    }

    fn run<const L: usize>(&self, residues: &[&[f64]], scale: f64, out: &mut [f64]) {
        let digits: [&Digit; L] = std::array::from_fn(|i| &self.digits[i]);
        let residues: [&[f64]; L] = std::array::from_fn(|i| residues[i]);
        match self.backend.kind() {
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { reconstruct_avx2(digits, residues, scale, out) },
            Kind::Scalar => reconstruct_integers(digits, residues, scale, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn reconstruct_avx2<const L: usize>(
    digits: [&Digit; L],
    residues: [&[f64]; L],
    scale: f64,
    out: &mut [f64],
) {
    let n = out.len();
    let residues = residues.map(|r| &r[..n]);
    // By value: loads from behind references would keep the loop from being vectorized.
    let digits: [Digit; L] = digits.map(Digit::clone);
    for (k, out) in out.iter_mut().enumerate() {
        let mut t = [0.0; L];
        for i in 0..L {
            let d = &digits[i];
            let mut x = residues[i][k];
            for (j, &t) in t[..i].iter().enumerate() {
                // |x - t_j| <= 1.5 * 2^50 and the factor is at most q / 2, so that |x| <= 0.69 q afterwards.
                x = multiply(x - t, d.inverses[j], d.q);
            }
            // Exactly balanced: x / q is at least 2^-51 from a tie, and its error is at most 2^-52.
            t[i] = remainder(x, d.q, d.inverse_q);
        }
        *out = horner(&t, |i| digits[i].q) / scale;
    }
}

fn reconstruct_integers<const L: usize>(
    digits: [&Digit; L],
    residues: [&[f64]; L],
    scale: f64,
    out: &mut [f64],
) {
    for (k, out) in out.iter_mut().enumerate() {
        let mut t = [0.0; L];
        for (i, d) in digits.iter().enumerate() {
            let m = d.modulus;
            let x = t[..i].iter().zip(&d.inverses).fold(
                m.canonical(residues[i][k]),
                |x, (&t, &(inverse, _))| {
                    m.mul(m.sub(x, m.from_i64(t as i64)), m.canonical(inverse))
                },
            );
            t[i] = m.residue(x);
        }
        *out = horner(&t, |i| digits[i].q) / scale;
    }
}

/// `t_1 + q_1 (t_2 + q_2 (...))`, rounded. Every partial sum is dominated by its upper part, so nothing cancels.
#[inline(always)]
fn horner<const L: usize>(t: &[f64; L], q: impl Fn(usize) -> f64) -> f64 {
    let (mut hi, mut lo) = (t[L - 1], 0.0);
    for i in (0..L - 1).rev() {
        let q = q(i);
        let product = hi * q;
        let rest = lo * q + hi.mul_add(q, -product);
        let sum = product + t[i];
        let back = sum - product;
        let error = (product - (sum - back)) + (t[i] - back);
        let low = rest + error;
        hi = sum + low;
        lo = low - (hi - sum);
    }
    hi
}

/// `x f mod q`, where `f` is given with `f / q`.
#[inline(always)]
fn multiply(x: f64, (f, f_over_q): (f64, f64), q: f64) -> f64 {
    let high = x * f;
    let quotient = (x * f_over_q).round_ties_even();
    (-quotient).mul_add(q, high) + x.mul_add(f, -high)
}

/// `x - q round(x / q)` for `|x| < 2^53`: at most `q / 2 + |x| 2^-52` in size.
#[inline(always)]
fn remainder(x: f64, q: f64, inverse_q: f64) -> f64 {
    (-(x * inverse_q).round_ties_even()).mul_add(q, x)
}

/// `out[k]` is `round(values[k] * scale)` modulo the prime, lazy, on the default backend. The product is rounded to double
/// precision first, then to the nearest integer (ties to even); it has to be below 2^100 in absolute value, and integers
/// above 2^53 are reduced exactly.
///
/// The running time depends on whether some product exceeds 2^52, and on nothing else.
///
/// # Errors
/// [`MathError::Parameter`] if a product is not finite or not below 2^100; `out` is then unspecified.
///
/// # Panics
/// If lengths differ.
pub fn decompose_scaled(
    values: &[f64],
    scale: f64,
    modulus: &Modulus,
    out: &mut [f64],
) -> Result<()> {
    decompose_scaled_with(Backend::try_detect()?, values, scale, modulus, out)
}

/// As [`decompose_scaled`], on the given backend.
///
/// # Errors
/// As [`decompose_scaled`].
///
/// # Panics
/// If lengths differ.
pub fn decompose_scaled_with(
    backend: Backend,
    values: &[f64],
    scale: f64,
    modulus: &Modulus,
    out: &mut [f64],
) -> Result<()> {
    assert_eq!(values.len(), out.len(), "decomposition: lengths");
    let largest = match backend.kind() {
        // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { round_avx2(values, scale, out) },
        Kind::Scalar => round(values, scale, out),
    };
    if largest >= LIMIT {
        let bad = out
            .iter()
            .position(|x| x.is_nan() || x.abs() >= LIMIT)
            .expect("the largest is one of them");
        return Err(MathError::Parameter {
            operation: "decompose_scaled",
            got: format!("{:e} times the scale {scale:e} at index {bad}", values[bad]),
            expected: "a product below 2^100 in absolute value".into(),
            hint: "values must be finite and within the range of the encoding",
        });
    }
    match backend.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            let p = modulus.value() as f64;
            let shift = modulus.residue(modulus.reduce_u64(1 << 50));
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            unsafe {
                if largest < SHORT {
                    reduce_short(p, out)
                } else {
                    reduce_long(p, shift, out)
                }
            }
        }
        Kind::Scalar => {
            for x in out {
                *x = modulus.residue(modulus.from_i128(*x as i128));
            }
        }
    }
    Ok(())
}

const LIMIT: f64 = (1u128 << 100) as f64;
const SHORT: f64 = (1u64 << 52) as f64;

/// Rounded products in `out`; returns their largest absolute value, or at least [`LIMIT`] if one is NaN.
#[inline(always)]
fn round(values: &[f64], scale: f64, out: &mut [f64]) -> f64 {
    // Independent lanes: a single running maximum would serialize the loop.
    let mut largest = [0f64; 16];
    let largest_of = |m: f64, x: f64| {
        if x.abs() <= m {
            m
        } else if x.abs() < LIMIT {
            x.abs()
        } else {
            LIMIT
        }
    };
    let (outs, rest_out) = out.as_chunks_mut::<16>();
    let (chunks, rest) = values.as_chunks::<16>();
    for (out, values) in outs.iter_mut().zip(chunks) {
        for i in 0..16 {
            out[i] = (values[i] * scale).round_ties_even();
            largest[i] = largest_of(largest[i], out[i]);
        }
    }
    for (out, &value) in rest_out.iter_mut().zip(rest) {
        *out = (value * scale).round_ties_even();
        largest[0] = largest_of(largest[0], *out);
    }
    largest.into_iter().fold(0.0, f64::max)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn round_avx2(values: &[f64], scale: f64, out: &mut [f64]) -> f64 {
    round(values, scale, out)
}

/// `|x| < 2^52`: the result is at most `p / 2 + 1`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn reduce_short(p: f64, out: &mut [f64]) {
    let inverse_p = 1.0 / p;
    for x in out {
        *x = remainder(*x, p, inverse_p);
    }
}

/// `|x| < 2^100`: in two digits of radix 2^50. The product of the upper one is below `0.625 p`, the lower one is at most
/// 2^49, their sum is exact.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn reduce_long(p: f64, shift: f64, out: &mut [f64]) {
    const RADIX: f64 = (1u64 << 50) as f64;
    let inverse_p = 1.0 / p;
    let factor = (shift, shift / p);
    for x in out {
        let upper = (*x * (1.0 / RADIX)).round_ties_even();
        let lower = (-upper).mul_add(RADIX, *x);
        *x = remainder(multiply(upper, factor, p) + lower, p, inverse_p);
    }
}
