//! Powers: in fixed windows with masked table reads where the exponent is secret, in sliding windows where it is public.

use super::limbs::{self, Secret, bits_at, secret};
use super::modulus::{Modulus, Scratch};
use super::square::SquareRing;
use super::table::Table;

/// What powers need of a ring of residues. Elements are slices of `width` limbs in Montgomery form.
pub(crate) trait Ring {
    fn width(&self) -> usize;
    fn one(&self) -> &[u64];
    fn scratch(&self) -> Scratch;
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch);
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch);
}

impl Ring for Modulus {
    fn width(&self) -> usize {
        self.len()
    }
    fn one(&self) -> &[u64] {
        Modulus::one(self)
    }
    fn scratch(&self) -> Scratch {
        Modulus::scratch(self)
    }
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        Modulus::mul_assign(self, a, b, scratch);
    }
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) {
        Modulus::sqr_assign(self, a, scratch);
    }
}

impl Ring for SquareRing {
    fn width(&self) -> usize {
        self.len()
    }
    fn one(&self) -> &[u64] {
        SquareRing::one(self)
    }
    fn scratch(&self) -> Scratch {
        SquareRing::scratch(self)
    }
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        let _ = SquareRing::mul_assign(self, a, b, scratch);
    }
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) {
        let _ = SquareRing::sqr_assign(self, a, scratch);
    }
}

/// `base^exponent`, in time that depends on the length `bits` of the exponent only (bits beyond it are ignored).
pub(crate) fn pow<R: Ring>(ring: &R, base: &[u64], exponent: &[u64], bits: usize) -> Secret {
    let window = match bits {
        0..=96 => 3,
        97..=384 => 4,
        _ => 5,
    };
    let width = ring.width();
    let mut scratch = ring.scratch();
    let mut table = Table::new(1 << window, width);
    let mut power = secret(width);
    power.copy_from_slice(ring.one());
    for i in 0..1 << window {
        table.set(i, &power);
        ring.mul_assign(&mut power, base, &mut scratch);
    }
    let mut result = secret(width);
    let windows = bits.div_ceil(window).max(1);
    let digit = |i: usize| {
        let position = i * window;
        bits_at(
            exponent,
            position,
            window.min(bits.saturating_sub(position)),
        )
    };
    table.read(digit(windows - 1), &mut result);
    for i in (0..windows - 1).rev() {
        for _ in 0..window {
            ring.sqr_assign(&mut result, &mut scratch);
        }
        table.read(digit(i), &mut power);
        ring.mul_assign(&mut result, &power, &mut scratch);
    }
    result
}

/// Bits of a public exponent.
pub(crate) fn bit_length(exponent: &[u64]) -> usize {
    exponent
        .iter()
        .rposition(|&limb| limb != 0)
        .map_or(0, |i| 64 * (i + 1) - exponent[i].leading_zeros() as usize)
}

/// Odd digits of a public exponent, most significant first: `(position, digit)` with `digit` odd and below
/// `2^window`, the value is the sum of `digit * 2^position`.
pub(crate) fn sliding_digits(exponent: &[u64], window: usize) -> Vec<(usize, usize)> {
    let mut digits = Vec::new();
    let mut top = bit_length(exponent);
    while top > 0 {
        if bits_at(exponent, top - 1, 1) == 0 {
            top -= 1;
            continue;
        }
        let mut low = top.saturating_sub(window);
        let mut digit = bits_at(exponent, low, top - low);
        let zeros = digit.trailing_zeros() as usize;
        digit >>= zeros;
        low += zeros;
        digits.push((low, digit as usize));
        top = low;
    }
    digits
}

/// `base^exponent` for a public exponent: the time depends on it, not on the base.
pub(crate) fn pow_public<R: Ring>(ring: &R, base: &[u64], exponent: &[u64]) -> Secret {
    let width = ring.width();
    let mut scratch = ring.scratch();
    let window = match bit_length(exponent) {
        0..=6 => 1,
        7..=24 => 2,
        25..=80 => 3,
        81..=240 => 4,
        241..=672 => 5,
        673..=1792 => 6,
        _ => 7,
    };
    let digits = sliding_digits(exponent, window);
    let mut result = secret(width);
    let Some(&(mut position, first)) = digits.first() else {
        result.copy_from_slice(ring.one());
        return result;
    };
    let odd = odd_powers(ring, base, 1 << (window - 1), &mut scratch);
    let entry = |digit: usize| &odd[digit / 2 * width..(digit / 2 + 1) * width];
    result.copy_from_slice(entry(first));
    for &(next, digit) in &digits[1..] {
        for _ in next..position {
            ring.sqr_assign(&mut result, &mut scratch);
        }
        ring.mul_assign(&mut result, entry(digit), &mut scratch);
        position = next;
    }
    for _ in 0..position {
        ring.sqr_assign(&mut result, &mut scratch);
    }
    result
}

/// `base^1, base^3, base^5, ...`
pub(crate) fn odd_powers<R: Ring>(
    ring: &R,
    base: &[u64],
    count: usize,
    scratch: &mut Scratch,
) -> Secret {
    let width = ring.width();
    let mut odd = secret(count * width);
    odd[..width].copy_from_slice(base);
    if count > 1 {
        let mut square = secret(width);
        square.copy_from_slice(base);
        ring.sqr_assign(&mut square, scratch);
        for i in 1..count {
            let (done, next) = odd.split_at_mut(i * width);
            next[..width].copy_from_slice(&done[(i - 1) * width..]);
            ring.mul_assign(&mut next[..width], &square, scratch);
        }
    }
    odd
}

/// `base^-1` modulo a prime: `base^(n - 2)`; 0 for 0.
pub(crate) fn invert_prime(prime: &Modulus, base: &[u64]) -> Secret {
    let mut exponent = secret(prime.len());
    exponent.copy_from_slice(prime.n());
    limbs::sub_assign(&mut exponent, &[2]);
    pow(prime, base, &exponent, bit_length(prime.n()))
}
