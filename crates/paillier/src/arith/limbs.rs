//! Little-endian vectors of 64-bit limbs: everything here takes the same time for every value of a length.

use num_bigint::BigUint;
use std::hint::black_box;
use zeroize::Zeroizing;

/// Limbs of a secret, overwritten when dropped.
pub(crate) type Secret = Zeroizing<Vec<u64>>;

pub(crate) fn secret(len: usize) -> Secret {
    Zeroizing::new(vec![0; len])
}

/// All ones for `bit == 1`, zero for `bit == 0`, opaque to the optimizer.
#[inline(always)]
pub(crate) fn mask(bit: u64) -> u64 {
    black_box(0u64.wrapping_sub(bit))
}

/// `out += a`, returns the carry. `a` may be shorter: the carry runs through.
#[inline]
pub(crate) fn add_assign(out: &mut [u64], a: &[u64]) -> u64 {
    let mut carry = false;
    let (low, high) = out.split_at_mut(a.len());
    for (o, &a) in low.iter_mut().zip(a) {
        (*o, carry) = o.carrying_add(a, carry);
    }
    for o in high {
        (*o, carry) = o.carrying_add(0, carry);
    }
    u64::from(carry)
}

/// `out -= a`, returns the borrow. `a` may be shorter: the borrow runs through.
#[inline]
pub(crate) fn sub_assign(out: &mut [u64], a: &[u64]) -> u64 {
    let mut borrow = false;
    let (low, high) = out.split_at_mut(a.len());
    for (o, &a) in low.iter_mut().zip(a) {
        (*o, borrow) = o.borrowing_sub(a, borrow);
    }
    for o in high {
        (*o, borrow) = o.borrowing_sub(0, borrow);
    }
    u64::from(borrow)
}

/// `out += a & mask`, returns the carry.
#[inline]
pub(crate) fn add_masked(out: &mut [u64], a: &[u64], mask: u64) -> u64 {
    let mut carry = false;
    for (o, &a) in out.iter_mut().zip(a) {
        (*o, carry) = o.carrying_add(a & mask, carry);
    }
    u64::from(carry)
}

/// 1 if `a < b`; one length.
#[inline]
pub(crate) fn less(a: &[u64], b: &[u64]) -> u64 {
    let mut borrow = false;
    for (&a, &b) in a.iter().zip(b) {
        (_, borrow) = a.borrowing_sub(b, borrow);
    }
    u64::from(borrow)
}

/// 1 if `a == b`; one length.
#[inline]
pub(crate) fn equal(a: &[u64], b: &[u64]) -> u64 {
    is_zero_word(a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b)))
}

/// 1 for 0, otherwise 0.
#[inline]
pub(crate) fn is_zero_word(x: u64) -> u64 {
    black_box(1 ^ ((x | x.wrapping_neg()) >> 63))
}

/// 1 if every limb is 0.
#[inline]
pub(crate) fn is_zero(a: &[u64]) -> u64 {
    is_zero_word(a.iter().fold(0, |acc, a| acc | a))
}

/// Subtracts `n` once if `value = top * 2^(64 l) + out` is at least `n`; returns `(new top, 1 if subtracted)`.
#[inline]
pub(crate) fn subtract_once(out: &mut [u64], top: u64, n: &[u64]) -> (u64, u64) {
    let below = less(out, n) & is_zero_word(top);
    let keep = mask(1 ^ below);
    let mut borrow = false;
    for (o, &n) in out.iter_mut().zip(n) {
        (*o, borrow) = o.borrowing_sub(n & keep, borrow);
    }
    (top.wrapping_sub(u64::from(borrow)), 1 ^ below)
}

/// `value += plus - minus` for bits `plus` and `minus`; returns the change above the top: -1, 0 or 1, wrapping.
pub(crate) fn add_signed(value: &mut [u64], plus: u64, minus: u64) -> u64 {
    let lowest = plus.wrapping_sub(minus);
    let sign = 0u64.wrapping_sub(minus & (1 ^ plus));
    let mut carry = false;
    let mut term = lowest;
    for limb in value.iter_mut() {
        (*limb, carry) = limb.carrying_add(term, carry);
        term = sign;
    }
    u64::from(carry).wrapping_add(sign)
}

/// `value *= 2`, returns the bit that leaves at the top.
pub(crate) fn double(value: &mut [u64]) -> u64 {
    let mut above = 0;
    for limb in value.iter_mut() {
        let next = *limb >> 63;
        *limb = *limb << 1 | above;
        above = next;
    }
    above
}

/// `out = a` where the mask is ones, otherwise unchanged.
#[inline]
pub(crate) fn replace(out: &mut [u64], a: &[u64], mask: u64) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o ^= (*o ^ a) & mask;
    }
}

/// `value >> 1`.
pub(crate) fn halve(value: &mut [u64]) {
    let mut above = 0;
    for limb in value.iter_mut().rev() {
        let next = *limb << 63;
        *limb = *limb >> 1 | above;
        above = next;
    }
}

/// Bits `position .. position + width` of an exponent, `width <= 32`; beyond the end zero. The position is public.
#[inline]
pub(crate) fn bits_at(value: &[u64], position: usize, width: usize) -> u64 {
    let (limb, shift) = (position / 64, position % 64);
    let low = value.get(limb).copied().unwrap_or(0) >> shift;
    let high = if shift == 0 {
        0
    } else {
        value.get(limb + 1).copied().unwrap_or(0) << (64 - shift)
    };
    (low | high) & ((1 << width) - 1)
}

/// The limbs of a number at the border, padded to `len`.
///
/// # Panics
/// If the number is longer: callers compare first.
pub(crate) fn from_biguint(value: &BigUint, len: usize) -> Vec<u64> {
    let mut limbs = value.to_u64_digits();
    assert!(limbs.len() <= len, "compared by the caller");
    limbs.resize(len, 0);
    limbs
}

/// A number at the border.
pub(crate) fn to_biguint(limbs: &[u64]) -> BigUint {
    let words = limbs
        .iter()
        .flat_map(|&limb| [limb as u32, (limb >> 32) as u32])
        .collect();
    BigUint::new(words)
}

/// The limbs of a secret number at the border; their number is that of the number itself.
pub(crate) fn to_secret(value: &BigUint) -> Secret {
    Zeroizing::new(value.to_u64_digits())
}
