//! Integers to narrow residues and back, and sums of residues.

use super::prime::{Basis, Prime};
use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Coefficients at a time.
const BLOCK: usize = 128;
/// Values for one thread.
const PARALLEL: usize = 4096;

/// `out[k] = values[k]` modulo the prime, centred. Constant time.
///
/// # Panics
/// If lengths differ.
pub fn reduce_i64(prime: Prime, values: &[i64], out: &mut [i16]) {
    assert_eq!(values.len(), out.len(), "narrow residues: lengths");
    let chunks = out
        .par_chunks_mut(PARALLEL)
        .zip(values.par_chunks(PARALLEL));
    chunks.for_each(|(out, values)| {
        for (out, &x) in out.iter_mut().zip(values) {
            *out = prime.reduce_i64(x);
        }
    });
}

/// `out[k] = values[k]` modulo the prime, centred. Constant time.
///
/// # Panics
/// If lengths differ.
pub fn reduce_i128(prime: Prime, values: &[i128], out: &mut [i16]) {
    assert_eq!(values.len(), out.len(), "narrow residues: lengths");
    let chunks = out
        .par_chunks_mut(PARALLEL)
        .zip(values.par_chunks(PARALLEL));
    chunks.for_each(|(out, values)| {
        for (out, &x) in out.iter_mut().zip(values) {
            *out = prime.reduce_i128(x);
        }
    });
}

/// `out[k] = round(values[k] * scale)` modulo the prime, centred. The product is rounded to double precision first, then to
/// the nearest integer (ties to even); integers above 2^53 are reduced exactly. Constant time.
///
/// # Errors
/// [`MathError::Parameter`] if a product is not below 2^100 in absolute value; `out` is then unspecified.
/// [`MathError::Backend`].
///
/// # Panics
/// If lengths differ.
pub fn reduce_scaled(prime: Prime, values: &[f64], scale: f64, out: &mut [i16]) -> Result<()> {
    reduce_scaled_with(Backend::try_detect()?, prime, values, scale, out)
}

/// As [`reduce_scaled`], on the given backend.
///
/// # Errors
/// As [`reduce_scaled`], but for the backend.
///
/// # Panics
/// If lengths differ.
pub fn reduce_scaled_with(
    backend: Backend,
    prime: Prime,
    values: &[f64],
    scale: f64,
    out: &mut [i16],
) -> Result<()> {
    assert_eq!(values.len(), out.len(), "narrow residues: lengths");
    let chunks = out
        .par_chunks_mut(PARALLEL)
        .zip(values.par_chunks(PARALLEL));
    let fits = chunks
        .map(|(out, values)| match backend.kind() {
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { scaled_avx2(prime, values, scale, out) },
            Kind::Scalar => scaled_integers(prime, values, scale, out),
        })
        .reduce(|| true, |a, b| a & b);
    if fits {
        return Ok(());
    }
    Err(MathError::Parameter {
        operation: "narrow residues",
        got: "a value that, scaled, is not a number below 2^100".into(),
        expected: "finite values below 2^100 after scaling".into(),
        hint: "use a smaller scale",
    })
}

const LIMIT: f64 = (1u128 << 100) as f64;

fn scaled_integers(prime: Prime, values: &[f64], scale: f64, out: &mut [i16]) -> bool {
    let mut fits = true;
    for (out, &value) in out.iter_mut().zip(values) {
        let x = (value * scale).round_ties_even();
        fits &= x.abs() < LIMIT;
        *out = prime.reduce_i128(x as i128);
    }
    fits
}

/// `x = high 2^50 + low` exactly, both digits reduced in doubles. Quotients are below `2^37.5`: residues are off by at most
/// one multiple of `p`, and their combination, below 2^28, is reduced exactly.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn scaled_avx2(prime: Prime, values: &[f64], scale: f64, out: &mut [i16]) -> bool {
    const RADIX: f64 = (1u64 << 50) as f64;
    const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;
    let p = f64::from(prime.value());
    let inverse = 1.0 / p;
    let shift = f64::from(prime.reduce_i64(1 << 50));
    let reduce = |x: f64| (-(x * inverse).round_ties_even()).mul_add(p, x);
    let mut largest = 0u64;
    for (out, &value) in out.iter_mut().zip(values) {
        let x = (value * scale).round_ties_even();
        // As integers, doubles are ordered by size, and what is not finite is largest.
        largest = largest.max(x.to_bits() & (u64::MAX >> 1));
        let high = (x * (1.0 / RADIX)).round_ties_even();
        let low = (-high).mul_add(RADIX, x);
        let sum = reduce(high).mul_add(shift, reduce(low));
        *out = (reduce(sum) + MAGIC).to_bits() as i16;
    }
    largest < LIMIT.to_bits()
}

/// `a[k] += b[k]` modulo the prime, centred.
///
/// # Panics
/// If lengths differ.
pub fn add_assign(prime: Prime, a: &mut [i16], b: &[i16]) {
    assert_eq!(a.len(), b.len(), "narrow sum: lengths");
    let add = move |a: &mut i16, b: i16| *a = centre(prime, a.wrapping_add(b));
    zip(a, b, add);
}

/// `a[k] -= b[k]` modulo the prime, centred.
///
/// # Panics
/// If lengths differ.
pub fn sub_assign(prime: Prime, a: &mut [i16], b: &[i16]) {
    assert_eq!(a.len(), b.len(), "narrow difference: lengths");
    let sub = move |a: &mut i16, b: i16| *a = centre(prime, a.wrapping_sub(b));
    zip(a, b, sub);
}

/// `a[k] *= factor` modulo the prime, centred; any factor.
pub fn scale_assign(prime: Prime, a: &mut [i16], factor: i64) {
    let p = prime.value();
    let factor = prime.reduce_i64(factor);
    // The quotient is off by at most 0.09, see the module `switch`.
    let over = (f64::from(factor) * 32768.0 / f64::from(p)).round() as i16;
    a.par_chunks_mut(8 * PARALLEL).for_each(|a| {
        for a in a {
            let quotient = ((i32::from(*a) * i32::from(over) + (1 << 14)) >> 15) as i16;
            let product = a.wrapping_mul(factor);
            *a = centre(prime, product.wrapping_sub(quotient.wrapping_mul(p)));
        }
    });
}

fn zip(a: &mut [i16], b: &[i16], f: impl Fn(&mut i16, i16) + Sync) {
    let chunks = a
        .par_chunks_mut(8 * PARALLEL)
        .zip(b.par_chunks(8 * PARALLEL));
    chunks.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, &b)| f(a, b)));
}

/// The centred residue of `|x| <= p + p / 2`.
#[inline(always)]
fn centre(prime: Prime, x: i16) -> i16 {
    let (p, half) = (prime.value(), prime.half());
    let x = x - if x > half { p } else { 0 };
    x + if x < -half { p } else { 0 }
}

/// Whole numbers from their narrow residues, by mixed radices: `x = d_1 + p_1 (d_2 + p_2 (...))` with centred digits, which
/// is the centred representative modulo `G`, exactly.
#[derive(Clone, Debug)]
pub struct Reconstruct {
    basis: Basis,
    /// For `i` and every `j < i`: `p_j^-1` modulo `p_i`, and that times `2^15 / p_i`.
    inverses: Vec<Vec<(i16, i16)>>,
    backend: Backend,
}

/// Digits of a block, erased when dropped.
struct Digits(Vec<[i16; BLOCK]>);

impl Drop for Digits {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|x| x.zeroize());
    }
}

impl Reconstruct {
    /// For the primes of `basis`, whose product has to be below `2^126`.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for a larger basis; [`MathError::Backend`].
    pub fn new(basis: &Basis) -> Result<Self> {
        if basis.bits() > 126.0 {
            return Err(MathError::Parameter {
                operation: "reconstruction from narrow residues",
                got: format!("a modulus of {:.1} bits", basis.bits()),
                expected: "at most 126".into(),
                hint: "switch to a smaller modulus first",
            });
        }
        let primes = basis.primes();
        let inverse = |p: Prime, q: Prime| {
            let inverse = p.inv(p.reduce_i64(i64::from(q.value())));
            let inverse = inverse.expect("distinct primes are coprime");
            let over = f64::from(inverse) * 32768.0 / f64::from(p.value());
            (inverse, over.round() as i16)
        };
        let row = |i: usize| primes[..i].iter().map(|&q| inverse(primes[i], q)).collect();
        Ok(Self {
            inverses: (0..primes.len()).map(row).collect(),
            basis: basis.clone(),
            backend: Backend::try_detect()?,
        })
    }

    /// `out[k]`: the integer, at most `(G - 1) / 2` in absolute value, with the centred residues `residues[i][k]`.
    /// Constant time; scratch memory is erased.
    ///
    /// # Panics
    /// If the number of slices is not that of the primes, or lengths differ.
    pub fn integers(&self, residues: &[&[i16]], out: &mut [i128]) {
        self.run(residues, out, |digits, out| {
            // Four digits fit in 64 bits.
            let mut group = [0i64; BLOCK];
            out.fill(0);
            let primes = self.basis.primes();
            for (digits, primes) in digits.chunks(4).zip(primes.chunks(4)).rev() {
                group.fill(0);
                for (digits, prime) in digits.iter().zip(primes).rev() {
                    for (group, &d) in group.iter_mut().zip(digits) {
                        *group = *group * i64::from(prime.value()) + i64::from(d);
                    }
                }
                let radix: i64 = primes.iter().map(|p| i64::from(p.value())).product();
                for (out, &group) in out.iter_mut().zip(&group) {
                    *out = *out * i128::from(radix) + i128::from(group);
                }
            }
            group.zeroize();
        });
    }

    /// `out[k]`: that integer over `scale`, with a relative error below `2^-50`. Constant time; scratch memory is erased.
    ///
    /// # Panics
    /// As [`integers`](Self::integers).
    pub fn scaled(&self, residues: &[&[i16]], scale: f64, out: &mut [f64]) {
        self.run(residues, out, |digits, out| {
            match self.backend.kind() {
                // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { self.real_avx2(digits, scale, out) },
                Kind::Scalar => self.real(digits, scale, out),
            }
        });
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn real_avx2(&self, digits: &[[i16; BLOCK]], scale: f64, out: &mut [f64]) {
        self.real(digits, scale, out);
    }

    /// Three digits fit in a double exactly. A group is at most half of what the groups above it count, unless these are
    /// all zero: nothing cancels.
    #[inline(always)]
    fn real(&self, digits: &[[i16; BLOCK]], scale: f64, out: &mut [f64]) {
        let (mut sums, mut group) = ([0.0f64; BLOCK], [0.0f64; BLOCK]);
        let primes = self.basis.primes();
        for (digits, primes) in digits.chunks(3).zip(primes.chunks(3)).rev() {
            group.fill(0.0);
            for (digits, prime) in digits.iter().zip(primes).rev() {
                let p = f64::from(prime.value());
                for (group, &d) in group.iter_mut().zip(digits) {
                    *group = *group * p + f64::from(d);
                }
            }
            let radix: f64 = primes.iter().map(|p| f64::from(p.value())).product();
            for (sum, &group) in sums.iter_mut().zip(&group) {
                *sum = sum.mul_add(radix, group);
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = sum / scale;
        }
        sums.zeroize();
        group.zeroize();
    }

    fn run<T: Send>(
        &self,
        residues: &[&[i16]],
        out: &mut [T],
        finish: impl Fn(&[[i16; BLOCK]], &mut [T]) + Sync,
    ) {
        let n = out.len();
        assert_eq!(residues.len(), self.basis.len(), "reconstruction: slices");
        assert!(
            residues.iter().all(|r| r.len() == n),
            "reconstruction: lengths, expected {n} each"
        );
        out.par_chunks_mut(PARALLEL)
            .enumerate()
            .for_each(|(i, out)| {
                let mut digits = Digits(vec![[0; BLOCK]; self.basis.len()]);
                for (j, out) in out.chunks_mut(BLOCK).enumerate() {
                    let start = i * PARALLEL + j * BLOCK;
                    for (digits, residues) in digits.0.iter_mut().zip(residues) {
                        digits[..out.len()].copy_from_slice(&residues[start..][..out.len()]);
                    }
                    match self.backend.kind() {
                        // SAFETY: `Kind::Avx2` is proof of AVX2.
                        #[cfg(target_arch = "x86_64")]
                        Kind::Avx2 => unsafe { self.digits_avx2(&mut digits.0) },
                        Kind::Scalar => self.digits(&mut digits.0),
                    }
                    finish(&digits.0, out);
                }
            });
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn digits_avx2(&self, digits: &mut [[i16; BLOCK]]) {
        self.digits(digits);
    }

    /// Residues to digits, in place: `d_i = (...((x - d_1) / p_1 - d_2) / p_2 ...) / p_(i-1)` modulo `p_i`.
    #[inline(always)]
    fn digits(&self, digits: &mut [[i16; BLOCK]]) {
        for (i, inverses) in self.inverses.iter().enumerate() {
            let (before, rest) = digits.split_at_mut(i);
            let prime = self.basis.primes()[i];
            let (p, x) = (prime.value(), &mut rest[0]);
            for (d, &(inverse, over)) in before.iter().zip(inverses) {
                for (x, &d) in x.iter_mut().zip(d) {
                    // |x - d| < 2^13.5, so that the quotient is off by at most 0.68.
                    let difference = *x - d;
                    let quotient =
                        ((i32::from(difference) * i32::from(over) + (1 << 14)) >> 15) as i16;
                    let product = difference.wrapping_mul(inverse);
                    *x = centre(prime, product.wrapping_sub(quotient.wrapping_mul(p)));
                }
            }
        }
    }
}
