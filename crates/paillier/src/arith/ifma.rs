//! Residues modulo `n^2` on AVX-512 IFMA: digits of 52 bits, eight to a register.
//!
//! Pairs as in [`square`](super::square), with `R = 2^(52 d)` and both reductions in one loop over the digits: the quotient
//! digit of the lower half enters the upper half in the same step, so that the two chains of dependent instructions run
//! beside each other. A product takes `10 d` vector multiplications for every eight digits.
//!
//! Digits are reduced lazily: `x < 2 n` and `y < 3 n`, which holds again after a product if `R >= 64 n`. Instead of being
//! subtracted, the quotient `q` is added as `R - q`, and the 1 too many that this gives goes with `+ (n - 1)`.

#![allow(unsafe_code)]

use super::checked::Pairs;
use super::exp::{Ring, bit_length};
use super::limbs::{self, Secret, secret};
use super::modulus::Scratch;
use super::square::{SquareRing, Taken};
use std::arch::x86_64::*;

const BITS: usize = 52;
const MASK: u64 = (1 << BITS) - 1;
const LANES: usize = 8;
/// The longest modulus: vectors of eight digits.
const MAX_VECTORS: usize = 10;

/// Proof that the processor has AVX-512 F and IFMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ifma(());

impl Ifma {
    pub(super) fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512ifma"))
        .then_some(Self(()))
    }
}

/// The ring of residues modulo `n^2`; elements are `x`, then `y`, each in whole vectors of digits.
pub(crate) struct WideRing {
    _proof: Ifma,
    /// Digits of `R`.
    digits: usize,
    /// Words of `x` or `y`: `digits`, rounded up to vectors.
    words: usize,
    n: Secret,
    /// `n - 1`.
    n_minus_one: Secret,
    /// `-1 / n mod 2^52`.
    n0: u64,
    /// One: `R mod n^2`.
    one: Secret,
    /// `R^2 / 2^(64 l)` and `2^(64 l)` modulo `n^2`: from the form with 64-bit limbs and back.
    enter: Secret,
    leave: Secret,
}

impl WideRing {
    /// The same ring as `ring`, if the modulus is not too long.
    pub(super) fn new(proof: Ifma, ring: &SquareRing) -> Option<Self> {
        let base = ring.base();
        let len = base.len();
        let digits = (bit_length(base.n()) + 6)
            .div_ceil(BITS)
            .max((64 * len).div_ceil(BITS));
        let words = digits.next_multiple_of(LANES);
        if words > MAX_VECTORS * LANES {
            return None;
        }
        let excess = BITS * digits - 64 * len;
        let power = |exponent: usize| {
            let mut power = secret(2 * len);
            power.copy_from_slice(ring.one());
            for _ in 0..exponent {
                ring.double(&mut power);
            }
            pack_pair(&power, words)
        };
        let n = pack(base.n(), words);
        let mut n_minus_one = n.clone();
        n_minus_one[0] ^= 1;
        Some(Self {
            _proof: proof,
            digits,
            words,
            n0: base.n0() & MASK,
            n,
            n_minus_one,
            one: power(excess),
            enter: power(2 * excess),
            leave: power(0),
        })
    }

    /// Memory that holds the modulus or what follows from it.
    pub(super) fn secrets(&self) -> Vec<&[u64]> {
        vec![
            &self.n,
            &self.n_minus_one,
            std::slice::from_ref(&self.n0),
            &self.one,
            &self.enter,
            &self.leave,
        ]
    }

    /// As [`secrets`](Self::secrets), for faults in tests.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn secrets_mut(&mut self) -> Vec<&mut [u64]> {
        vec![
            &mut self.n,
            &mut self.n_minus_one,
            std::slice::from_mut(&mut self.n0),
            &mut self.one,
            &mut self.enter,
            &mut self.leave,
        ]
    }

    /// From the form with 64-bit limbs.
    pub(crate) fn enter(&self, e: &[u64], scratch: &mut Scratch) -> Secret {
        let mut out = pack_pair(e, self.words);
        self.mul_assign(&mut out, &self.enter, scratch);
        out
    }
    /// The constant by which a product leaves for the form with 64-bit limbs.
    pub(crate) fn leaving(&self) -> &[u64] {
        &self.leave
    }
    /// The digits of a product with [`leaving`](Self::leaving), to the base `2^64`, each with one limb above those of `n`.
    pub(crate) fn unpack(&self, e: &[u64], len: usize) -> (Secret, Secret) {
        (
            unpack(&e[..self.words], len + 1),
            unpack(&e[self.words..2 * self.words], len + 1),
        )
    }

    fn run(&self, a: &mut [u64], b: Option<&[u64]>, scratch: &mut Scratch) {
        let words = self.words;
        assert!(a.len() == 2 * words && b.is_none_or(|b| b.len() == 2 * words));
        assert!(scratch.quotient.len() == words && scratch.second.len() == words);
        assert!(self.n.len() == words && self.n_minus_one.len() == words && self.digits <= words);
        macro_rules! by_vectors {
            ($($vectors:literal)*) => {
                match words / LANES {
                    // SAFETY: the processor has AVX-512 F and IFMA (`_proof`); all slices have the lengths that the
                    // function asks for, as asserted above.
                    $($vectors => unsafe { product::<$vectors>(self, a, b, scratch) },)*
                    _ => unreachable!("refused by the constructor"),
                }
            };
        }
        by_vectors!(2 3 4 5 6 7 8 9 10);
    }
}

impl Ring for WideRing {
    fn width(&self) -> usize {
        2 * self.words
    }
    fn one(&self) -> &[u64] {
        &self.one
    }
    fn scratch(&self) -> Scratch {
        Scratch::new(self.words)
    }
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        self.run(a, Some(b), scratch);
    }
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) {
        self.run(a, None, scratch);
    }
}

impl Pairs for WideRing {
    const DIGIT: u32 = BITS as u32;
    fn radix(&self) -> usize {
        self.digits
    }
    fn modulus(&self) -> &[u64] {
        &self.n
    }
    fn mul_taken(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) -> Taken {
        self.run(a, Some(b), scratch);
        TAKEN
    }
    fn sqr_taken(&self, a: &mut [u64], scratch: &mut Scratch) -> Taken {
        self.run(a, None, scratch);
        TAKEN
    }
}

/// `n` is added once: modulo `2^49 - 1`, -1 times subtracted.
const TAKEN: Taken = Taken {
    carry: 0,
    upper: (1 << 49) - 2,
};

/// `a` becomes `a b / R`, or `a^2 / R` without `b`; the quotients are left in `scratch`.
///
/// # Safety
/// The processor has AVX-512 F and IFMA; `a` and `b` have `16 V` words, `n`, `n_minus_one` and the quotients `8 V`, and there
/// are at most as many digits.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn product<const V: usize>(
    ring: &WideRing,
    a: &mut [u64],
    b: Option<&[u64]>,
    scratch: &mut Scratch,
) {
    let zero = _mm512_setzero_si512();
    let mask = _mm512_set1_epi64(MASK as i64);
    let n0 = _mm512_set1_epi64(ring.n0 as i64);
    let load = |from: &[u64], at: usize| -> [__m512i; V] {
        let from = &from[at..at + LANES * V];
        let mut out = [zero; V];
        for (j, out) in out.iter_mut().enumerate() {
            // SAFETY: `from` has `8 V` words, and `j < V`.
            *out = unsafe { _mm512_loadu_si512(from.as_ptr().add(LANES * j).cast()) };
        }
        out
    };
    let n = load(&ring.n, 0);
    let ax = load(a, 0);
    // A square has the cross term x (2 y) instead of x y' + y x'.
    let ay = match b {
        Some(_) => load(a, LANES * V),
        None => double(load(a, LANES * V)),
    };
    let (mut x, mut y) = ([zero; V], [zero; V]);
    y[0] = _mm512_maskz_set1_epi64(1, 1);
    let (bx, by) = match b {
        Some(b) => b.split_at(LANES * V),
        None => a.split_at(LANES * V),
    };
    for i in 0..ring.digits {
        let bxi = _mm512_set1_epi64(bx[i] as i64);
        low(&mut x, &ax, bxi);
        let q = digit(x[0], n0);
        low(&mut x, &n, q);
        shift(&mut x);
        high(&mut x, &ax, bxi);
        high(&mut x, &n, q);
        scratch.quotient[i] = lowest(q);

        let not_q = _mm512_maskz_xor_epi64(1, q, mask);
        y[0] = _mm512_add_epi64(y[0], not_q);
        low(&mut y, &ay, bxi);
        if b.is_some() {
            let byi = _mm512_set1_epi64(by[i] as i64);
            low(&mut y, &ax, byi);
            let k = digit(y[0], n0);
            low(&mut y, &n, k);
            shift(&mut y);
            high(&mut y, &ax, byi);
            high(&mut y, &ay, bxi);
            high(&mut y, &n, k);
            scratch.second[i] = lowest(k);
        } else {
            let k = digit(y[0], n0);
            low(&mut y, &n, k);
            shift(&mut y);
            high(&mut y, &ay, bxi);
            high(&mut y, &n, k);
            scratch.second[i] = lowest(k);
        }
    }
    let correction = load(&ring.n_minus_one, 0);
    for (y, c) in y.iter_mut().zip(correction) {
        *y = _mm512_add_epi64(*y, c);
    }
    normalize(&mut x);
    normalize(&mut y);
    for (j, (x, y)) in x.into_iter().zip(y).enumerate() {
        // SAFETY: `a` has `16 V` words, and `j < V`.
        unsafe {
            _mm512_storeu_si512(a.as_mut_ptr().add(LANES * j).cast(), x);
            _mm512_storeu_si512(a.as_mut_ptr().add(LANES * (V + j)).cast(), y);
        }
    }
}

/// `acc += low halves of a * b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn low<const V: usize>(acc: &mut [__m512i; V], a: &[__m512i; V], b: __m512i) {
    for (acc, a) in acc.iter_mut().zip(a) {
        *acc = _mm512_madd52lo_epu64(*acc, *a, b);
    }
}
/// `acc += high halves of a * b`, one digit up, which is where they are after a shift.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn high<const V: usize>(acc: &mut [__m512i; V], a: &[__m512i; V], b: __m512i) {
    for (acc, a) in acc.iter_mut().zip(a) {
        *acc = _mm512_madd52hi_epu64(*acc, *a, b);
    }
}
/// The quotient digit that clears the lowest digit, in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn digit(lowest: __m512i, n0: __m512i) -> __m512i {
    let product = _mm512_madd52lo_epu64(_mm512_setzero_si512(), lowest, n0);
    _mm512_broadcastq_epi64(_mm512_castsi512_si128(product))
}
#[inline]
#[target_feature(enable = "avx512f")]
fn lowest(q: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(q)) as u64
}
/// One digit down; what the lowest has above its 52 zeros is carried.
#[inline]
#[target_feature(enable = "avx512f")]
fn shift<const V: usize>(acc: &mut [__m512i; V]) {
    let carry = _mm512_maskz_srli_epi64(1, acc[0], BITS as u32);
    for j in 0..V {
        let above = if j + 1 < V {
            acc[j + 1]
        } else {
            _mm512_setzero_si512()
        };
        acc[j] = _mm512_alignr_epi64(above, acc[j], 1);
    }
    acc[0] = _mm512_add_epi64(acc[0], carry);
}
/// The digit below each.
#[inline]
#[target_feature(enable = "avx512f")]
fn up<const V: usize>(digits: &[__m512i; V]) -> [__m512i; V] {
    let mut out = [_mm512_setzero_si512(); V];
    let mut below = _mm512_setzero_si512();
    for (out, digit) in out.iter_mut().zip(digits) {
        *out = _mm512_alignr_epi64(*digit, below, 7);
        below = *digit;
    }
    out
}
/// Twice a number that stays below `R`.
#[inline]
#[target_feature(enable = "avx512f")]
fn double<const V: usize>(digits: [__m512i; V]) -> [__m512i; V] {
    let mask = _mm512_set1_epi64(MASK as i64);
    let mut out = up(&digits);
    for (out, digit) in out.iter_mut().zip(digits) {
        let carry = _mm512_srli_epi64(*out, BITS as u32 - 1);
        let shifted = _mm512_and_si512(_mm512_slli_epi64(digit, 1), mask);
        *out = _mm512_or_si512(shifted, carry);
    }
    out
}
/// Sums below `2^63` to digits below `2^52`.
#[inline]
#[target_feature(enable = "avx512f")]
fn normalize<const V: usize>(digits: &mut [__m512i; V]) {
    let mask = _mm512_set1_epi64(MASK as i64);
    let mut carries = *digits;
    for (carry, digit) in carries.iter_mut().zip(digits.iter_mut()) {
        *carry = _mm512_srli_epi64(*carry, BITS as u32);
        *digit = _mm512_and_si512(*digit, mask);
    }
    // Now each is below 2^52 + 2^11 and carries 1 at most: those that do and those that pass a carry on are two binary
    // numbers, and one addition finds where carries arrive.
    let (mut makes, mut passes) = (0u128, 0u128);
    for (j, (digit, carry)) in digits.iter_mut().zip(up(&carries)).enumerate() {
        *digit = _mm512_add_epi64(*digit, carry);
        makes |= u128::from(_mm512_cmpgt_epu64_mask(*digit, mask)) << (8 * j);
        passes |= u128::from(_mm512_cmpeq_epu64_mask(*digit, mask)) << (8 * j);
    }
    let arrives = (makes << 1).wrapping_add(passes) ^ passes;
    for (j, digit) in digits.iter_mut().enumerate() {
        let here = (arrives >> (8 * j)) as u8;
        let sum = _mm512_mask_add_epi64(*digit, here, *digit, _mm512_set1_epi64(1));
        *digit = _mm512_and_si512(sum, mask);
    }
}

/// 64-bit limbs to 52-bit digits.
fn pack(limbs: &[u64], words: usize) -> Secret {
    let mut out = secret(words);
    for (i, out) in out.iter_mut().enumerate() {
        let low = limbs::bits_at(limbs, BITS * i, 26);
        *out = low | limbs::bits_at(limbs, BITS * i + 26, 26) << 26;
    }
    out
}
fn pack_pair(e: &[u64], words: usize) -> Secret {
    let mut out = secret(2 * words);
    let (x, y) = e.split_at(e.len() / 2);
    out[..words].copy_from_slice(&pack(x, words));
    out[words..].copy_from_slice(&pack(y, words));
    out
}
/// 52-bit digits to `len` 64-bit limbs.
fn unpack(digits: &[u64], len: usize) -> Secret {
    let mut out = secret(len);
    for (i, &digit) in digits.iter().enumerate() {
        let (limb, offset) = (BITS * i / 64, BITS * i % 64);
        if limb < len {
            out[limb] |= digit << offset;
        }
        if offset > 64 - BITS && limb + 1 < len {
            out[limb + 1] |= digit >> (64 - offset);
        }
    }
    out
}
