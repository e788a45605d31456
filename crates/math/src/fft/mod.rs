//! The canonical embedding of CKKS: real polynomials of degree below `2 n` against `n` complex slots.
//!
//! With `zeta = exp(i pi / (2 n))`, a primitive `4 n`-th root of unity, slot `k` of the real polynomial `m` is
//! `m(zeta^(5^k))`; the conjugate roots give the conjugate values. The automorphism `X -> X^5` therefore moves slot
//! `k + 1` into slot `k`: a rotation by one to the left.
//!
//! # Algorithm
//! All `5^k` are 1 modulo 4, so `zeta^(n 5^k) = i`: with `c_j = m_j + i m_(j+n)` the slots are the values of the complex
//! polynomial `c` of degree below `n` at the `n` roots of `Y^n = i`. That ring splits as
//! `Y^(2t) - w^2 = (Y^t - w)(Y^t + w)`, `log2 n` times. Branching by the bits of `k`, lowest first, needs the factor
//! `w(d, b) = exp(2 pi i 5^rev(b) / 2^(d+3))` in block `b` of layer `d`, since `5^(k + 2^d)` and `5^k` differ there by a
//! factor -1; and it leaves slot `k` at the bit reversal of `k`. Two layers at a time, the second factor of the upper half
//! is `-i` times that of the lower (`+i` in layer 0), hence free.
//!
//! # Accuracy
//! Factors are correctly rounded but for rare last-bit cases (double-double arithmetic, the same on every platform).
//! Each layer adds a relative error of at most `6 * 2^-53` in the Euclidean norm, so a transform is within
//! `6 log2(n) 2^-53`.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;
mod twiddle;

use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use std::sync::Arc;

/// Largest number of slots of a plan.
pub const MAX_SLOTS: usize = 1 << 16;

/// The transforms between slots and coefficients for one number of slots. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct EmbeddingPlan {
    tables: Arc<Tables>,
    backend: Backend,
}

/// Factors, split in real and imaginary parts.
#[derive(Debug)]
struct Tables {
    log_n: u32,
    /// `w(d, b)` at `2^d + b`.
    re: Vec<f64>,
    im: Vec<f64>,
    /// Factors of the last two layers in the order of the AVX2 kernel; empty without it.
    #[cfg(target_arch = "x86_64")]
    last: Vec<f64>,
}

impl EmbeddingPlan {
    /// A plan for `slots` slots: a power of two from 1 to 2^16 ([`MAX_SLOTS`]).
    ///
    /// # Errors
    /// [`MathError::Degree`] for another number of slots, [`MathError::Backend`] for an unusable `CIPHERBLAS_BACKEND`.
    pub fn new(slots: usize) -> Result<Self> {
        Self::with_backend(slots, Backend::try_detect()?)
    }

    /// As [`new`](Self::new), on the given backend.
    ///
    /// # Errors
    /// [`MathError::Degree`].
    pub fn with_backend(slots: usize, backend: Backend) -> Result<Self> {
        if !slots.is_power_of_two() || slots > MAX_SLOTS {
            return Err(MathError::Degree {
                got: slots,
                expected: "a number of slots that is a power of two up to 2^16",
            });
        }
        let log_n = slots.trailing_zeros();
        let (re, im) = twiddle::table(log_n);
        Ok(Self {
            tables: Arc::new(Tables {
                log_n,
                #[cfg(target_arch = "x86_64")]
                last: if backend.kind() == Kind::Avx2 {
                    avx2::pack_last(log_n, &re, &im)
                } else {
                    Vec::new()
                },
                re,
                im,
            }),
            backend,
        })
    }

    /// Number of slots: half the ring degree.
    pub fn slots(&self) -> usize {
        1 << self.tables.log_n
    }

    /// From slots to coefficients, in place. In: the real and imaginary parts of slot `k` in `re[k]` and `im[k]`.
    /// Out: coefficient `j` in `re[j]`, coefficient `j + n` in `im[j]`.
    ///
    /// # Panics
    /// If a length differs from [`slots`](Self::slots).
    pub fn to_coefficients(&self, re: &mut [f64], im: &mut [f64]) {
        self.check(re, im);
        match self.backend.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 if self.tables.log_n >= avx2::MIN_LOG_N => {
                // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA; lengths are checked above.
                unsafe { avx2::to_coefficients(&self.tables, re, im) }
            }
            _ => scalar::to_coefficients(&self.tables, re, im),
        }
    }

    /// From coefficients to slots, in place: the inverse of [`to_coefficients`](Self::to_coefficients).
    ///
    /// # Panics
    /// If a length differs from [`slots`](Self::slots).
    pub fn to_slots(&self, re: &mut [f64], im: &mut [f64]) {
        self.check(re, im);
        match self.backend.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 if self.tables.log_n >= avx2::MIN_LOG_N => {
                // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA; lengths are checked above.
                unsafe { avx2::to_slots(&self.tables, re, im) }
            }
            _ => scalar::to_slots(&self.tables, re, im),
        }
    }

    fn check(&self, re: &[f64], im: &[f64]) {
        assert!(
            re.len() == self.slots() && im.len() == self.slots(),
            "embedding: got {} real and {} imaginary parts, expected {} each",
            re.len(),
            im.len(),
            self.slots()
        );
    }
}
