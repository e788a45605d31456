//! Four residues at a time.
//!
//! # Bounds
//! Let `u = 2^-53`, `p < 2^50`, `|x| <= k p < 2^53` and `|w| <= p / 2`. The exact product is `h + l` with `h = fl(x w)` and
//! `|l| <= u |x w| <= (k / 16) p`. The quotient `q` is rounded from `fl(x fl(w/p))`, two relative errors of `u`, so
//! `|x w - q p| <= p (1/2 + 2 u |x w / p|) <= p (1/2 + k/8)` up to terms in `u^2`, or from `fl(fl(x w) fl(1/p))`, three
//! errors: `p (1/2 + 3 k/16)`. `h - q p` is an integer below 2^53, hence exact in one fused operation, and so is the final
//! sum. `q` itself is at most `k p / 2 + 1 < 2^53`.

use crate::modulus::Modulus;
use std::arch::x86_64::*;

/// A fixed factor: balanced `w`, and `fl(w / p)`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Factor {
    pub(super) w: f64,
    pub(super) over_p: f64,
}

impl Factor {
    pub(super) fn new(modulus: Modulus, w: u64) -> Self {
        let w = modulus.residue(w);
        Self {
            w,
            over_p: w / modulus.value() as f64,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    pub(super) p: f64,
    pub(super) p_inv: f64,
}

impl Constants {
    pub(super) fn new(modulus: Modulus) -> Self {
        let p = modulus.value() as f64;
        Self { p, p_inv: 1.0 / p }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn broadcast(self) -> Vectors {
        Vectors {
            p: _mm256_set1_pd(self.p),
            p_inv: _mm256_set1_pd(self.p_inv),
        }
    }
}

/// Rounds to the nearest integer.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn nearest(x: __m256d) -> __m256d {
    _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
}

#[derive(Clone, Copy)]
pub(super) struct Vectors {
    p: __m256d,
    p_inv: __m256d,
}

impl Vectors {
    /// `x w`, at most `(1/2 + k/8) p` for `|x| <= k p`, `k <= 8`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn times(self, x: __m256d, (w, over_p): (__m256d, __m256d)) -> __m256d {
        let h = _mm256_mul_pd(x, w);
        let q = nearest(_mm256_mul_pd(x, over_p));
        let l = _mm256_fmsub_pd(x, w, h);
        _mm256_add_pd(_mm256_fnmadd_pd(q, self.p, h), l)
    }

    /// `x w` without a precomputed quotient, at most `(1/2 + 3 k/16) p` for `|x| <= k p`, `k <= 8`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn times_plain(self, x: __m256d, w: __m256d) -> __m256d {
        let h = _mm256_mul_pd(x, w);
        let q = nearest(_mm256_mul_pd(h, self.p_inv));
        let l = _mm256_fmsub_pd(x, w, h);
        _mm256_add_pd(_mm256_fnmadd_pd(q, self.p, h), l)
    }

    /// `(a + b w, a - b w)`, both at most `(1/2 + 3 k/16) p` for `|a| <= 4 p`, `|b| <= k p`, `k <= 4`.
    ///
    /// The quotients are those of the results: rounded from `fma(fl(b w), fl(1/p), fl(a fl(1/p)))`, with three relative
    /// errors of `u` on the product; those on `a / p` are below 2^-50.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn last_butterfly(self, a: __m256d, b: __m256d, w: __m256d) -> [__m256d; 2] {
        let h = _mm256_mul_pd(b, w);
        let l = _mm256_fmsub_pd(b, w, h);
        let quotient = _mm256_mul_pd(a, self.p_inv);
        let q0 = nearest(_mm256_fmadd_pd(h, self.p_inv, quotient));
        let q1 = nearest(_mm256_fnmadd_pd(h, self.p_inv, quotient));
        let (high0, high1) = (
            _mm256_fnmadd_pd(q0, self.p, h),
            _mm256_fmadd_pd(q1, self.p, h),
        );
        [
            _mm256_add_pd(high0, _mm256_add_pd(a, l)),
            _mm256_sub_pd(_mm256_sub_pd(a, l), high1),
        ]
    }

    /// `x mod p`, at most `p / 2 + 1` for `|x| <= 8 p`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn reduce(self, x: __m256d) -> __m256d {
        let q = nearest(_mm256_mul_pd(x, self.p_inv));
        _mm256_fnmadd_pd(q, self.p, x)
    }
}

/// Broadcasts a factor.
///
/// # Safety
/// `factor` is valid for reading.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn load_factor(factor: *const Factor) -> (__m256d, __m256d) {
    // SAFETY: the caller's.
    let factor = unsafe { &*factor };
    (_mm256_set1_pd(factor.w), _mm256_set1_pd(factor.over_p))
}

/// Transposes four vectors of four.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn transpose([a, b, c, d]: [__m256d; 4]) -> [__m256d; 4] {
    let (ab0, ab1) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    let (cd0, cd1) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
    [
        _mm256_permute2f128_pd::<0x20>(ab0, cd0),
        _mm256_permute2f128_pd::<0x20>(ab1, cd1),
        _mm256_permute2f128_pd::<0x31>(ab0, cd0),
        _mm256_permute2f128_pd::<0x31>(ab1, cd1),
    ]
}
