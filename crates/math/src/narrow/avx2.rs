//! `vpmaddwd` on 256 bits: six rows, two vectors of eight columns.

use super::kernel::{Constants, FOLD, Kernel, for_rows};
use std::arch::x86_64::*;

/// Proof of AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The processor has AVX2.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

const ROWS: usize = 6;
const COLS: usize = 16;

impl Kernel for Avx2 {
    const ROWS: usize = ROWS;
    const COLS: usize = COLS;
    const PAIRS: usize = 12 * FOLD;

    #[inline]
    unsafe fn tile(
        self,
        constants: &Constants,
        pairs: usize,
        panels: (*const i32, *const i32),
        result: (*mut i16, usize),
        add: bool,
    ) {
        // SAFETY: `self` is proof of AVX2; the rest is the caller's condition.
        unsafe { tile(constants, pairs, panels, result, add) }
    }
}

/// # Safety
/// As [`Kernel::tile`].
#[target_feature(enable = "avx2")]
unsafe fn tile(
    constants: &Constants,
    pairs: usize,
    (mut a, mut b): (*const i32, *const i32),
    (c, stride): (*mut i16, usize),
    add: bool,
) {
    let fold_pair = _mm256_set1_epi32(constants.fold);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
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
                    _mm256_load_si256(b.cast()),
                    _mm256_load_si256(b.add(8).cast()),
                );
                for (row, sums) in sums.iter_mut().enumerate() {
                    let w = _mm256_set1_epi32(*a.add(row));
                    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(x, w));
                    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(y, w));
                }
                a = a.add(ROWS);
                b = b.add(COLS);
            }
        }
        for sums in &mut sums {
            *sums = [fold(sums[0], fold_pair), fold(sums[1], fold_pair)];
        }
    }
    let p_low = _mm256_set1_epi32(i32::from(constants.p));
    let p = _mm256_set1_epi16(constants.p);
    let (half, low) = (
        _mm256_set1_epi16(constants.half),
        _mm256_set1_epi16(-constants.half),
    );
    let inverse = _mm256_set1_ps(constants.inverse_p);
    for_rows!(ROW in [0 1 2 3 4 5] {
        let r = sums[ROW].map(|x| {
            // Folded, `x` is at most 2^15 (1 + p / 2) and the quotient has 16 bits; the remainder is at most p / 2 + 35.
            let quotient = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(x), inverse));
            _mm256_sub_epi32(x, _mm256_madd_epi16(quotient, p_low))
        });
        let packed = _mm256_packs_epi32(r[0], r[1]);
        let mut x = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
        // SAFETY: `c` is valid for the tile.
        unsafe {
            let c = c.add(ROW * stride).cast();
            if add {
                x = _mm256_add_epi16(x, _mm256_loadu_si256(c));
            }
            x = _mm256_sub_epi16(x, _mm256_and_si256(_mm256_cmpgt_epi16(x, half), p));
            x = _mm256_add_epi16(x, _mm256_and_si256(_mm256_cmpgt_epi16(low, x), p));
            _mm256_storeu_si256(c.cast(), x);
        }
    });
}

/// A number congruent to `x < 2^31 - 2^15`, at most `2^15 (1 + p / 2)`: `x = l + 2^16 h` with both halves signed.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(x: __m256i, fold_pair: __m256i) -> __m256i {
    let carry = _mm256_set1_epi32(1 << 15);
    _mm256_madd_epi16(
        _mm256_xor_si256(_mm256_add_epi32(x, carry), carry),
        fold_pair,
    )
}
