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

const DIGIT: u32 = 32;

/// Refuses NaN, infinities and values beyond `bound`. Says which value it was: to the caller, whose value it is.
pub(crate) fn check(values: &[f64], bound: f64, hint: &'static str) -> Result<()> {
    match values.iter().position(|x| x.is_nan() || x.abs() > bound) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: values[index].to_string(),
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

/// Encodes values, repeated periodically, at the exponent of `depth`, modulo `n` (whose words are given). All values have
/// been checked to be within the parameters' range.
pub(crate) fn encode(params: &Params, values: &[f64], depth: usize, n: &[u64]) -> Secret {
    let layout = Layout::new(params);
    let exponent = params.exponent(depth);
    let scale = power_of_two(exponent as i32);
    let digits = (params.integer_bits() + exponent) / DIGIT + 1;
    let half = layout.half();
    let mut sum: Secret = secret(layout.words + 1);
    let mut slot: Secret = secret(layout.slot_words.max(digits.div_ceil(2) as usize));
    for (i, &x) in (0..layout.slots).zip(values.iter().cycle()) {
        slot.fill(0);
        let mut rest = x.abs() * scale;
        for k in (0..digits).rev() {
            let bit = (DIGIT * k) as i32;
            // Below 2^32: cutting it off is exact, and so is what is left. No division: its time may depend on the value.
            let digit = (rest * power_of_two(-bit)) as i64;
            rest -= digit as f64 * power_of_two(bit);
            slot[(k / 2) as usize] |= (digit as u64) << (DIGIT * (k % 2));
        }
        add_assign(&mut slot, &[(rest * 2.0) as i64 as u64]);
        negate_where(&mut slot, mask(x.to_bits() >> 63));
        let slot = &mut slot[..layout.slot_words];
        add_assign(slot, &half);
        keep_bits(slot, layout.width);
        place(&mut sum, slot, layout.width * i);
    }
    sub_assign(&mut sum, &layout.offset());
    let negative = mask(sum[layout.words] >> 63);
    let modulus: Secret = Zeroizing::new(n.iter().map(|word| word & negative).collect());
    add_assign(&mut sum, &modulus);
    debug_assert_eq!(sum[layout.words], 0);
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
    let layout = Layout::new(params);
    let exponent = params.exponent(depth);
    let scale = power_of_two(-(exponent as i32));
    let mut sum: Secret = secret(layout.words + 1);
    place(&mut sum, plaintext, 0);
    // Above n/2: negative.
    let mut half_n = n.to_vec();
    halve(&mut half_n);
    let negative = mask(less(&half_n, plaintext));
    let modulus: Secret = Zeroizing::new(n.iter().map(|word| word & negative).collect());
    sub_assign(&mut sum, &modulus);
    add_assign(&mut sum, &layout.offset());

    // What is left above the slots, the sign included, says that the plaintext is in the band.
    let mut band: Secret = secret(layout.words + 1);
    let top = layout.width * layout.slots;
    extract(&sum, top, &mut band, 64 * (layout.words as u32 + 1));
    let mut bad = band.iter().fold(0, |all, word| all | word);

    let half = layout.half();
    // One and a half times the largest value: the bound on values and the bound on their errors.
    let mut limit = vec![0; layout.slot_words];
    place(&mut limit, &[3], params.integer_bits() + exponent - 1);
    let mut slot: Secret = secret(layout.slot_words);
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
    if bad == 0 {
        Ok(std::mem::take(&mut *values))
    } else {
        Err(Error::Decryption)
    }
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
mod tests {
    use super::*;
    use num_bigint::{BigInt, BigUint, Sign};
    use proptest::prelude::*;

    fn words(n: &BigUint, params: &Params) -> Vec<u64> {
        let mut digits = n.to_u64_digits();
        digits.resize(params.bits() as usize / 64, 0);
        digits
    }
    /// The smallest and the largest modulus of the size.
    fn moduli(params: &Params) -> [BigUint; 2] {
        let top = BigUint::from(1u8) << (params.bits() - 1);
        [&top + 1u8, (&top << 1) - 1u8]
    }
    fn exact(x: f64, exponent: u32) -> BigInt {
        // round(x 2^F), half away from zero, over the integers.
        let bits = x.abs().to_bits();
        let (e, m) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
        let (m, e) = if e == 0 {
            (m, -1074)
        } else {
            (m | 1 << 52, e - 1075)
        };
        let shift = e + i64::from(exponent);
        let m = BigInt::from(m);
        let v = if shift >= 0 {
            m << shift
        } else if shift < -60 {
            BigInt::from(0)
        } else {
            ((m << 1) + (BigInt::from(1) << -shift)) >> (-shift + 1)
        };
        if x < 0.0 { -v } else { v }
    }
    fn params(fraction: u32, integer: u32, depth: usize) -> Params {
        Params::builder()
            .insecure_bits(512)
            .fraction_bits(fraction)
            .integer_bits(integer)
            .depth(depth)
            .build()
            .unwrap()
    }
    fn oracle(params: &Params, values: &[f64], depth: usize, n: &BigUint) -> BigUint {
        let f = params.exponent(depth);
        let sum: BigInt = values
            .iter()
            .cycle()
            .take(params.slots())
            .enumerate()
            .map(|(i, &x)| exact(x, f) << (params.slot_width() as usize * i))
            .sum();
        let n = BigInt::from_biguint(Sign::Plus, n.clone());
        (((sum % &n) + &n) % &n).to_biguint().unwrap()
    }

    fn value(largest: f64) -> impl Strategy<Value = f64> {
        prop_oneof![
            -largest..=largest,
            -1.0..=1.0f64,
            -1e-9..=1e-9f64,
            Just(largest),
            Just(-largest),
            Just(0.0),
            Just(-0.0),
            Just(f64::MIN_POSITIVE),
            Just(5e-324),
            Just(0.49999999999999994),
            Just(0.5),
        ]
    }

    proptest! {
        #[test]
        fn encoding_is_the_sum_of_shifted_integers(
            (f, i, d, at) in (0u32..=60, 1u32..=60, 0usize..4).prop_flat_map(|(f, i, d)| (Just(f), Just(i), Just(d), 0..=d)),
            seed in prop::collection::vec(value(1.0), 64),
        ) {
            let params = params(f, i, d);
            let values: Vec<f64> = seed.iter().take(params.slots()).map(|x| x * params.max_value()).collect();
            for n in moduli(&params) {
                let words_of_n = words(&n, &params);
                let got = encode(&params, &values, at, &words_of_n);
                prop_assert_eq!(BigUint::new(got.iter().flat_map(|w| [*w as u32, (w >> 32) as u32]).collect()), oracle(&params, &values, at, &n));
                let back = decode(&params, &got, at, &words_of_n).unwrap();
                let half = 0.5 * power_of_two(-(params.exponent(at) as i32));
                for (x, y) in values.iter().zip(&back) {
                    prop_assert!((x - y).abs() <= half + DECODING_ERROR * x.abs(), "{} came back as {}", x, y);
                }
            }
        }

        #[test]
        fn weights_are_rounded_exactly(x in value(1e12), bits in 0u32..=120) {
            let w = Weight::new(x, bits);
            prop_assert_eq!(&w.integer, &exact(x, bits));
            prop_assert!(w.rounding <= 0.5 * power_of_two(-(bits as i32)));
            let exact_weight = exact(x, 1074.min(bits + 1000));
            let difference = (exact_weight - (w.integer << (1074.min(bits + 1000) - bits))).magnitude().clone();
            prop_assert_eq!(BigInt::from(difference), exact(w.rounding, 1074.min(bits + 1000)));
        }
    }

    #[test]
    fn extremes_do_not_carry_into_neighbours() {
        let params = params(8, 12, 1);
        let m = params.max_value();
        for n in moduli(&params) {
            let n = words(&n, &params);
            for depth in 0..=1 {
                let values: Vec<f64> = (0..params.slots())
                    .map(|i| [m, -m, 0.0, -m, 2f64.powi(-8), m, -2f64.powi(-8)][i % 7])
                    .collect();
                let got = decode(&params, &encode(&params, &values, depth, &n), depth, &n).unwrap();
                assert_eq!(got, values);
            }
        }
    }

    #[test]
    fn the_band_and_slots_beyond_their_range_are_refused() {
        let params = params(8, 12, 1);
        let n = moduli(&params)[0].clone();
        let n_words = words(&n, &params);
        let top = params.slot_width() as usize * params.slots();
        let f = params.exponent(1);
        let refused = |m: BigUint| {
            matches!(
                decode(&params, &words(&m, &params), 1, &n_words),
                Err(Error::Decryption)
            )
        };
        for m in [
            &n / 3u8,
            &n / 2u8,
            &n * 2u8 / 3u8,
            BigUint::from(1u8) << top,
            &n - (BigUint::from(1u8) << top),
            BigUint::from(1u8) << (top - 1),
        ] {
            assert!(refused(m));
        }
        let limit = BigUint::from(3u8) << (12 + f - 1);
        assert!(!refused(limit.clone()) && refused(&limit + 1u8));
        assert!(!refused(&n - &limit) && refused(&n - &limit - 1u8));
        let second = &limit << params.slot_width() as usize;
        assert!(
            !refused(second.clone())
                && refused(second + (BigUint::from(1u8) << params.slot_width() as usize))
        );
    }
}
