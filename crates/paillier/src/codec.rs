//! Fixed point and packing: doubles to one plaintext modulo `n` and back.
//!
//! Value `x` of slot `i` at exponent `F` is the integer `v_i = round(x 2^F)`, half away from zero. The plaintext is
//! `M = sum v_i 2^(w i)`, negative ones as `n - |M|`. With the offset `O = sum 2^(w-1) 2^(w i)` all digits of `M + O` in
//! base `2^w` are non-negative, so that packing places bits and unpacking reads them: no carry, no branch, no address
//! depends on a value. Buffers are zeroized.

use crate::arith::limbs::{Secret, add_assign, halve, less, mask, secret, sub_assign};
use crate::bounds::power_of_two;
use crate::params::Params;
use cipherblas_scheme::{Error, Result};
use num_bigint::BigInt;
use zeroize::Zeroizing;

/// Relative error of a decoded double: sums of 32-bit digits, from the lowest; each sum rounds once, and all but the last
/// are at most twice the unit of the next digit.
pub(crate) const DECODING_ERROR: f64 = 1.0 / (1u64 << 51) as f64;

/// Bits that are converted to a double at a time.
const DIGIT: u32 = 32;

/// Refuses NaN, infinities and values beyond `bound`. Says where, not what: errors end up in logs.
pub(crate) fn check(values: &[f64], bound: f64, hint: &'static str) -> Result<()> {
    match values.iter().position(|x| x.is_nan() || x.abs() > bound) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: match values[index] {
                x if x.is_nan() => "that is not a number",
                x if x.is_infinite() => "that is infinite",
                _ => "beyond the bound",
            }
            .into(),
            expected: format!("a finite number of absolute value at most {bound}"),
            hint,
        }),
    }
}

/// Two's complement of `a` where `keep` is all ones.
fn negate_where(a: &mut [u64], keep: u64) {
    let mut carry = u128::from(keep & 1);
    for x in a {
        let sum = u128::from(*x ^ keep) + carry;
        *x = sum as u64;
        carry = sum >> 64;
    }
}

/// `out |= value << shift` for a public shift; bits beyond `out` must be zero.
fn place(out: &mut [u64], value: &[u64], shift: u32) {
    let (word, bit) = ((shift / 64) as usize, shift % 64);
    for (i, &v) in value.iter().enumerate() {
        if let Some(low) = out.get_mut(word + i) {
            *low |= v << bit;
        }
        if bit > 0
            && let Some(high) = out.get_mut(word + i + 1)
        {
            *high |= v >> (64 - bit);
        }
    }
}

/// `width` bits from `shift` on.
fn extract(from: &[u64], shift: u32, out: &mut [u64], width: u32) {
    let (word, bit) = ((shift / 64) as usize, shift % 64);
    let at = |i: usize| from.get(word + i).copied().unwrap_or(0);
    for (i, o) in out.iter_mut().enumerate() {
        *o = at(i) >> bit;
        if bit > 0 {
            *o |= at(i + 1) << (64 - bit);
        }
    }
    keep_bits(out, width);
}

/// Clears all bits from `width` on.
fn keep_bits(words: &mut [u64], width: u32) {
    for (i, word) in words.iter_mut().enumerate() {
        let kept = width.saturating_sub(64 * i as u32).min(64);
        *word &= u64::MAX.checked_shr(64 - kept).unwrap_or(0);
    }
}

/// The layout of a plaintext, from public parameters.
struct Layout {
    width: u32,
    slots: u32,
    /// Secret of the modulus.
    words: usize,
    /// Secret of a slot, and one bit more.
    slot_words: usize,
}

impl Layout {
    fn new(params: &Params) -> Self {
        let width = params.slot_width();
        Self {
            width,
            slots: params.slots() as u32,
            words: params.bits() as usize / 64,
            slot_words: (width / 64 + 1) as usize,
        }
    }
    /// `2^(width - 1)`.
    fn half(&self) -> Vec<u64> {
        let mut half = vec![0; self.slot_words];
        place(&mut half, &[1], self.width - 1);
        half
    }
    /// The offset `O`, with a word more than the modulus.
    fn offset(&self) -> Vec<u64> {
        let mut offset = vec![0; self.words + 1];
        for i in 0..self.slots {
            place(&mut offset, &[1], self.width * i + self.width - 1);
        }
        offset
    }
}

/// `round(|x| 2^exponent)`, half up, in all words of `frame` but the first. The mantissa is moved to its place by powers of
/// two, each of them or not: conversions between doubles and integers may branch, and subnormal numbers take longer.
fn fixed_point(x: f64, exponent: u32, frame: &mut [u64]) {
    let bits = x.to_bits();
    let field = bits >> 52 & 0x7ff;
    let normal = (field + 0x7ff) >> 11;
    let mantissa = bits & ((1 << 52) - 1) | normal << 52;
    // |x| = mantissa * 2^(field - 1075), or 2^-1074 for subnormal numbers; the frame starts at 2^-(exponent + 64).
    let shift = (field + 1 - normal + u64::from(exponent) + 64).wrapping_sub(1075);
    // Below the frame: less than 2^-12 of a unit.
    let keep = !mask(shift >> 63);
    let shift = shift & keep;
    frame.fill(0);
    frame[0] = mantissa & keep;
    for step in 0..11 {
        let chosen = mask(shift >> step & 1);
        let (word, bit) = ((1usize << step) / 64, (1 << step) % 64);
        for i in (0..frame.len()).rev() {
            let at = |i: Option<usize>| i.map_or(0, |i| frame[i]);
            let mut moved = at(i.checked_sub(word)) << bit;
            if bit > 0 {
                moved |= at(i.checked_sub(word + 1)) >> (64 - bit);
            }
            frame[i] ^= (frame[i] ^ moved) & chosen;
        }
    }
    add_assign(frame, &[1 << 63]);
}

/// Encodes values, repeated periodically, at the exponent of `depth`, modulo `n` (whose words are given). All values have
/// been checked to be within the parameters' range.
pub(crate) fn encode(params: &Params, values: &[f64], depth: usize, n: &[u64]) -> Secret {
    let layout = Layout::new(params);
    let exponent = params.exponent(depth);
    let half = layout.half();
    let mut sum = secret(layout.words + 1);
    // A word of fraction below the slot, for the rounding.
    let mut frame = secret(layout.slot_words + 1);
    for (i, &x) in (0..layout.slots).zip(values.iter().cycle()) {
        fixed_point(x, exponent, &mut frame);
        let slot = &mut frame[1..];
        negate_where(slot, mask(x.to_bits() >> 63));
        add_assign(slot, &half);
        keep_bits(slot, layout.width);
        place(&mut sum, slot, layout.width * i);
    }
    sub_assign(&mut sum, &layout.offset());
    let negative = mask(sum[layout.words] >> 63);
    let modulus: Secret = Zeroizing::new(n.iter().map(|word| word & negative).collect());
    add_assign(&mut sum, &modulus);
    sum.truncate(layout.words);
    sum
}

/// The inverse of [`encode`]: one value for each slot.
///
/// # Errors
/// `Decryption` for a plaintext in the guard band, or a slot beyond the parameters' range: no detail.
pub(crate) fn decode(
    params: &Params,
    plaintext: &[u64],
    depth: usize,
    n: &[u64],
) -> Result<Vec<f64>> {
    let (mut values, bad) = decode_without_branch(params, plaintext, depth, n);
    if bad == 0 {
        Ok(std::mem::take(&mut *values))
    } else {
        Err(Error::Decryption)
    }
}

/// The values, and 0 if they are all in place.
fn decode_without_branch(
    params: &Params,
    plaintext: &[u64],
    depth: usize,
    n: &[u64],
) -> (Zeroizing<Vec<f64>>, u64) {
    let layout = Layout::new(params);
    let exponent = params.exponent(depth);
    let scale = power_of_two(-(exponent as i32));
    let mut sum = secret(layout.words + 1);
    place(&mut sum, plaintext, 0);
    // Above n/2: negative.
    let mut half_n = n.to_vec();
    halve(&mut half_n);
    let negative = mask(less(&half_n, plaintext));
    let modulus: Secret = Zeroizing::new(n.iter().map(|word| word & negative).collect());
    sub_assign(&mut sum, &modulus);
    add_assign(&mut sum, &layout.offset());

    // What is left above the slots, the sign included, says that the plaintext is in the band.
    let mut band = secret(layout.words + 1);
    let top = layout.width * layout.slots;
    extract(&sum, top, &mut band, 64 * (layout.words as u32 + 1));
    let mut bad = band.iter().fold(0, |all, word| all | word);

    let half = layout.half();
    // One and a half times the largest value: the bound on values and the bound on their errors.
    let mut limit = vec![0; layout.slot_words];
    place(&mut limit, &[3], params.integer_bits() + exponent - 1);
    let mut slot = secret(layout.slot_words);
    let mut values = Zeroizing::new(vec![0.0f64; layout.slots as usize]);
    for (i, value) in values.iter_mut().enumerate() {
        extract(&sum, layout.width * i as u32, &mut slot, layout.width);
        let negative = sub_assign(&mut slot, &half);
        negate_where(&mut slot, mask(negative));
        bad |= less(&limit, &slot);
        let mut magnitude = 0.0;
        for k in 0..2 * layout.slot_words as u32 {
            let digit = slot[(k / 2) as usize] >> (DIGIT * (k % 2)) & u64::from(u32::MAX);
            magnitude += digit as i64 as f64 * power_of_two((DIGIT * k) as i32);
        }
        *value = f64::from_bits((magnitude * scale).to_bits() | negative << 63);
    }
    (values, bad)
}

/// A plain weight as an integer, with what rounding it to `bits` bits of fraction changed.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) integer: BigInt,
    /// The weight's absolute value.
    pub(crate) magnitude: f64,
    /// `|weight - integer / 2^bits|`, exactly.
    pub(crate) rounding: f64,
}

impl Weight {
    /// Variable time: weights are known to the machine that computes. `value` is finite.
    pub(crate) fn new(value: f64, bits: u32) -> Self {
        let magnitude = value.abs();
        let scaled = magnitude * power_of_two(bits as i32);
        let rounded = scaled.round();
        let rounding = (scaled - rounded).abs() * power_of_two(-(bits as i32));
        let integer = BigInt::from(integer_of(rounded));
        let integer = if value < 0.0 { -integer } else { integer };
        Self {
            integer,
            magnitude,
            rounding,
        }
    }
}

/// A non-negative double that is an integer.
fn integer_of(x: f64) -> num_bigint::BigUint {
    let exponent = (x.to_bits() >> 52) as i32 - 1023 - 52;
    if exponent <= 0 {
        (x as u64).into()
    } else {
        let mantissa = x.to_bits() & ((1 << 52) - 1) | 1 << 52;
        num_bigint::BigUint::from(mantissa) << exponent as u32
    }
}

#[cfg(test)]
mod constant_time;
#[cfg(test)]
mod tests;
