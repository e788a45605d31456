//! Operations on vectors of residues, element by element.
//!
//! # Exact products in double precision
//! Let `u = 2^-53`, `p < 2^50`, `M = 1.5 * 2^52`, and `|a b / p| <= 2^51`. Then
//!
//! ```text
//! h = fl(a b)                    l = fma(a, b, -h) = a b - h, exactly
//! q = fma(h, fl(1/p), M) - M     an integer; adding M rounds to the nearest one
//! r = fma(-q, p, h) + l          = a b - q p, exactly
//! ```
//!
//! *Bound.* `h` and `fl(1/p)` each carry a relative error of `u`, the rounding to an integer an absolute one of 1/2, so
//! `|q - a b / p| <= 1/2 + 2 u |a b / p|` up to terms in `u^2`, and `|r| <= p (1/2 + 2^-52 |a b / p|)`:
//! - `|a|, |b| <= p`: below `0.75 p`;
//! - `|a| <= 2 p, |b| <= p`: below `p`.
//!
//! *Exactness.* `h - q p = r - l` is an integer with `|l| <= u |a b| <= p / 4`, hence below 2^53: the fused operation
//! gives it without rounding, and so does the last addition. A product by a fixed `s` uses `q = fma(a, fl(s fl(1/p)), M)`,
//! with the same two relative errors and thus the same bounds.
//!
//! *Reduction.* For `|x| < 2^52`, `x - (fma(x, fl(1/p), M) - M) p` is exact and at most `p / 2 + 2^-53 |x|` in absolute value.
//!
//! *A product and a sum.* `q` rounded from `fma(h, fl(1/p), fl(c fl(1/p)))` is the quotient of `a b + c`; with one more error
//! of `u`, `|a b + c - q p| < 0.875 p` for `|a|, |b|, |c| <= p`.
//!
//! *Sums of products.* Up to three products are added to an accumulator below `p` without reducing (at most `3.25 p`, exact);
//! the fourth reduces the sum: its quotient is rounded from `fma(h, fl(1/p), fl(c fl(1/p)))` with `|c| <= 3.25 p`, which changes
//! the last bound by less than `2^-50 p` and leaves all numbers below 2^53.
//!
//! The scalar backend does the same in 64-bit integers; only the representative may differ.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod loops;

use crate::backend::{Backend, Kind};
use crate::modulus::Modulus;
use loops::Integer;

pub(crate) use loops::{Fma, ROUND};

/// Kernels for one modulus on one backend. A small `Copy` value.
///
/// Unless said otherwise, inputs and outputs are lazy residues (`|x| <= p`), all slices have the same length (asserted),
/// and nothing is allocated.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    modulus: Modulus,
    backend: Backend,
    fma: Fma,
}

macro_rules! dispatch {
    ($self:ident, $name:ident $(::<$flag:literal>)? ( $($arg:expr),* )) => {
        match $self.backend.kind() {
            Kind::Scalar => loops::$name::<$($flag,)? Integer>(Integer($self.modulus), $($arg),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Backend` of this kind exists only where AVX2 and FMA were detected.
            Kind::Avx2 => unsafe { avx2::$name$(::<$flag>)?($self.fma, $($arg),*) },
        }
    };
}

macro_rules! same_length {
    ($first:ident $(, $other:ident)*) => {
        $(assert_eq!($first.len(), $other.len(), concat!(
            "length of `", stringify!($other), "` differs from `", stringify!($first), "`"
        ));)*
    };
}

impl Kernels {
    /// Kernels modulo `modulus` on `backend`.
    pub fn new(modulus: Modulus, backend: Backend) -> Self {
        Self {
            modulus,
            backend,
            fma: Fma::new(modulus),
        }
    }

    /// The modulus.
    pub fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// The backend.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// `out = a + b`.
    pub fn add(&self, out: &mut [f64], a: &[f64], b: &[f64]) {
        same_length!(out, a, b);
        dispatch!(self, add(out, a, b));
    }

    /// `a += b`.
    pub fn add_assign(&self, a: &mut [f64], b: &[f64]) {
        same_length!(a, b);
        dispatch!(self, add_assign(a, b));
    }

    /// `out = a - b`.
    pub fn sub(&self, out: &mut [f64], a: &[f64], b: &[f64]) {
        same_length!(out, a, b);
        dispatch!(self, sub(out, a, b));
    }

    /// `a -= b`.
    pub fn sub_assign(&self, a: &mut [f64], b: &[f64]) {
        same_length!(a, b);
        dispatch!(self, sub_assign(a, b));
    }

    /// `a = -a`.
    pub fn neg_assign(&self, a: &mut [f64]) {
        for x in a {
            *x = -*x;
        }
    }

    /// `out = a * b`.
    pub fn mul(&self, out: &mut [f64], a: &[f64], b: &[f64]) {
        same_length!(out, a, b);
        dispatch!(self, mul(out, a, b));
    }

    /// `a *= b`.
    pub fn mul_assign(&self, a: &mut [f64], b: &[f64]) {
        same_length!(a, b);
        dispatch!(self, mul_assign(a, b));
    }

    /// `acc += a * b`.
    pub fn mul_add_assign(&self, acc: &mut [f64], a: &[f64], b: &[f64]) {
        same_length!(acc, a, b);
        dispatch!(self, mul_add_assign(acc, a, b));
    }

    /// `acc -= a * b`.
    pub fn mul_sub_assign(&self, acc: &mut [f64], a: &[f64], b: &[f64]) {
        same_length!(acc, a, b);
        dispatch!(self, mul_sub_assign(acc, a, b));
    }

    /// `a *= s`.
    pub fn scale_assign(&self, a: &mut [f64], s: f64) {
        self.check_scalar(s);
        dispatch!(self, scale_assign(a, s));
    }

    /// `out = a * s`.
    pub fn scale(&self, out: &mut [f64], a: &[f64], s: f64) {
        same_length!(out, a);
        self.check_scalar(s);
        dispatch!(self, scale(out, a, s));
    }

    /// `acc += a * s`.
    pub fn scale_add_assign(&self, acc: &mut [f64], a: &[f64], s: f64) {
        same_length!(acc, a);
        self.check_scalar(s);
        dispatch!(self, scale_add_assign(acc, a, s));
    }

    /// `out = (a - b) * s`.
    pub fn sub_scale(&self, out: &mut [f64], a: &[f64], b: &[f64], s: f64) {
        same_length!(out, a, b);
        self.check_scalar(s);
        dispatch!(self, sub_scale(out, a, b, s));
    }

    /// `a = (a - b) * s`.
    pub fn sub_scale_assign(&self, a: &mut [f64], b: &[f64], s: f64) {
        same_length!(a, b);
        self.check_scalar(s);
        dispatch!(self, sub_scale_assign(a, b, s));
    }

    /// `a += s`, the same scalar to every element.
    pub fn add_scalar_assign(&self, a: &mut [f64], s: f64) {
        self.check_scalar(s);
        dispatch!(self, add_scalar_assign(a, s));
    }

    /// `out = a mod p` for any integers `|a| < 2^52`: another prime's residues, or small signed numbers.
    pub fn reduce_from(&self, out: &mut [f64], a: &[f64]) {
        same_length!(out, a);
        dispatch!(self, reduce_from(out, a));
    }

    /// `a = a mod p` for any integers `|a| < 2^52`.
    pub fn reduce_assign(&self, a: &mut [f64]) {
        dispatch!(self, reduce_assign(a));
    }

    /// `out = sum_k a[k] * b[k]`; zero for no terms.
    pub fn inner_product(&self, out: &mut [f64], a: &[&[f64]], b: &[&[f64]]) {
        check_terms(out.len(), a, b);
        dispatch!(self, inner_product::<false>(out, a, b));
    }

    /// `out += sum_k a[k] * b[k]`.
    pub fn inner_product_add(&self, out: &mut [f64], a: &[&[f64]], b: &[&[f64]]) {
        check_terms(out.len(), a, b);
        dispatch!(self, inner_product::<true>(out, a, b));
    }

    /// `out0 = sum_k digits[k] * b[k]` and `out1 = sum_k digits[k] * a[k]`, reading each digit once.
    pub fn inner_product_pair(
        &self,
        out0: &mut [f64],
        out1: &mut [f64],
        digits: &[&[f64]],
        b: &[&[f64]],
        a: &[&[f64]],
    ) {
        same_length!(out0, out1);
        check_terms(out0.len(), digits, b);
        check_terms(out0.len(), digits, a);
        dispatch!(self, inner_product_pair::<false>(out0, out1, digits, b, a));
    }

    /// As [`inner_product_pair`](Self::inner_product_pair), added to what `out0` and `out1` hold.
    pub fn inner_product_pair_add(
        &self,
        out0: &mut [f64],
        out1: &mut [f64],
        digits: &[&[f64]],
        b: &[&[f64]],
        a: &[&[f64]],
    ) {
        same_length!(out0, out1);
        check_terms(out0.len(), digits, b);
        check_terms(out0.len(), digits, a);
        dispatch!(self, inner_product_pair::<true>(out0, out1, digits, b, a));
    }

    /// The product of `a0 + a1 s` and `b0 + b1 s`: `d0 = a0 b0`, `d1 = a0 b1 + a1 b0`, `d2 = a1 b1`.
    #[expect(
        clippy::too_many_arguments,
        reason = "three outputs and four inputs, one pass over memory"
    )]
    pub fn tensor(
        &self,
        d0: &mut [f64],
        d1: &mut [f64],
        d2: &mut [f64],
        a0: &[f64],
        a1: &[f64],
        b0: &[f64],
        b1: &[f64],
    ) {
        same_length!(d0, d1, d2, a0, a1, b0, b1);
        dispatch!(self, tensor::<false>([d0, d1, d2], [a0, a1, b0, b1]));
    }

    /// As [`tensor`](Self::tensor), added to what `d0`, `d1`, `d2` hold.
    #[expect(
        clippy::too_many_arguments,
        reason = "three outputs and four inputs, one pass over memory"
    )]
    pub fn tensor_add(
        &self,
        d0: &mut [f64],
        d1: &mut [f64],
        d2: &mut [f64],
        a0: &[f64],
        a1: &[f64],
        b0: &[f64],
        b1: &[f64],
    ) {
        same_length!(d0, d1, d2, a0, a1, b0, b1);
        dispatch!(self, tensor::<true>([d0, d1, d2], [a0, a1, b0, b1]));
    }

    /// The square of `a0 + a1 s`: `d0 = a0 a0`, `d1 = 2 a0 a1`, `d2 = a1 a1`.
    pub fn square(&self, d0: &mut [f64], d1: &mut [f64], d2: &mut [f64], a0: &[f64], a1: &[f64]) {
        same_length!(d0, d1, d2, a0, a1);
        dispatch!(self, square([d0, d1, d2], [a0, a1]));
    }

    pub(crate) fn fma(&self) -> Fma {
        self.fma
    }

    fn check_scalar(&self, s: f64) {
        assert!(
            s.abs() <= self.modulus.value() as f64,
            "scalar is not a lazy residue"
        );
    }
}

fn check_terms(len: usize, a: &[&[f64]], b: &[&[f64]]) {
    assert_eq!(a.len(), b.len(), "number of terms differs");
    assert!(
        a.iter().chain(b).all(|x| x.len() == len),
        "length of a term differs from the output's"
    );
}
