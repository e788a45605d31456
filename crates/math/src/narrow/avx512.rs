//! `vpdpwssd` on 512 bits: twelve rows, two vectors of sixteen columns.

use super::kernel::{Constants, FOLD, Kernel, for_rows};
use std::arch::x86_64::*;

/// Proof of AVX-512 with VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, BW, VL and VNNI.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

const ROWS: usize = 12;
const COLS: usize = 32;

impl Kernel for Avx512 {
    const ROWS: usize = ROWS;
    const COLS: usize = COLS;
    const PAIRS: usize = 6 * FOLD;

    #[inline]
    unsafe fn tile(
        self,
        constants: &Constants,
        pairs: usize,
        panels: (*const i32, *const i32),
        result: (*mut i16, usize),
        add: bool,
    ) {
        // SAFETY: `self` is proof of the instructions; the rest is the caller's condition.
        unsafe { tile(constants, pairs, panels, result, add) }
    }
}

/// # Safety
/// As [`Kernel::tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile(
    constants: &Constants,
    pairs: usize,
    (mut a, mut b): (*const i32, *const i32),
    (c, stride): (*mut i16, usize),
    add: bool,
) {
    let fold_pair = _mm512_set1_epi32(constants.fold);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for row in 0..ROWS {
        _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(row * stride).cast());
    }
    let mut left = pairs;
    while left > 0 {
        let count = left.min(FOLD);
        left -= count;
        for _ in 0..count {
            // SAFETY: one of `pairs` pairs.
            unsafe {
                let (x, y) = (
                    _mm512_load_si512(b.cast()),
                    _mm512_load_si512(b.add(16).cast()),
                );
                for (row, sums) in sums.iter_mut().enumerate() {
                    let w = _mm512_set1_epi32(*a.add(row));
                    sums[0] = _mm512_dpwssd_epi32(sums[0], x, w);
                    sums[1] = _mm512_dpwssd_epi32(sums[1], y, w);
                }
                a = a.add(ROWS);
                b = b.add(COLS);
            }
        }
        for sums in &mut sums {
            *sums = [fold(sums[0], fold_pair), fold(sums[1], fold_pair)];
        }
    }
    let p_low = _mm512_set1_epi32(i32::from(constants.p));
    let p = _mm512_set1_epi16(constants.p);
    let (half, low) = (
        _mm512_set1_epi16(constants.half),
        _mm512_set1_epi16(-constants.half),
    );
    let inverse = _mm512_set1_ps(constants.inverse_p);
    for_rows!(ROW in [0 1 2 3 4 5 6 7 8 9 10 11] {
        let r = sums[ROW].map(|x| {
            // As with AVX2.
            let quotient = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(x), inverse));
            let r = _mm512_sub_epi32(x, _mm512_madd_epi16(quotient, p_low));
            _mm512_cvtepi32_epi16(r)
        });
        let mut x = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(r[0]), r[1]);
        // SAFETY: `c` is valid for the tile.
        unsafe {
            let c: *mut __m512i = c.add(ROW * stride).cast();
            if add {
                x = _mm512_add_epi16(x, _mm512_loadu_si512(c));
            }
            x = _mm512_mask_sub_epi16(x, _mm512_cmpgt_epi16_mask(x, half), x, p);
            x = _mm512_mask_add_epi16(x, _mm512_cmplt_epi16_mask(x, low), x, p);
            _mm512_storeu_si512(c, x);
        }
    });
}

/// As with AVX2.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn fold(x: __m512i, fold_pair: __m512i) -> __m512i {
    let carry = _mm512_set1_epi32(1 << 15);
    _mm512_madd_epi16(
        _mm512_xor_si512(_mm512_add_epi32(x, carry), carry),
        fold_pair,
    )
}
