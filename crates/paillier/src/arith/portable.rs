//! The reference: 64-bit limbs through `u128`, no branch or index that depends on a value. Additions wrap where they cannot
//! overflow, so that builds that check for it have no branch either.

/// `a * b + c + d`, which always fits.
#[inline(always)]
fn mac(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide = u128::from(a)
        .wrapping_mul(u128::from(b))
        .wrapping_add(u128::from(c))
        .wrapping_add(u128::from(d));
    (wide as u64, (wide >> 64) as u64)
}

/// `out += a * word`; returns the limb that leaves at the top. `out` and `a` have one length.
#[inline(always)]
fn add_row(out: &mut [u64], a: &[u64], word: u64) -> u64 {
    let mut carry = 0;
    for (o, &a) in out.iter_mut().zip(a) {
        (*o, carry) = mac(a, word, *o, carry);
    }
    carry
}

/// `out += a * b`, returns the carry; `out.len() == a.len() + b.len()`.
pub(crate) fn mul_add(out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    let l = a.len();
    let mut top = 0;
    for (i, &word) in b.iter().enumerate() {
        let carry = add_row(&mut out[i..i + l], a, word);
        let (sum, c1) = out[i + l].overflowing_add(carry);
        let (sum, c2) = sum.overflowing_add(top);
        out[i + l] = sum;
        top = u64::from(c1).wrapping_add(u64::from(c2));
    }
    top
}

/// `out = a * a`; `out.len() == 2 * a.len()`.
pub(crate) fn square(out: &mut [u64], a: &[u64]) {
    let l = a.len();
    out.fill(0);
    for i in 0..l {
        out[i + l] = add_row(&mut out[2 * i + 1..i + l], &a[i + 1..], a[i]);
    }
    double_and_add_squares(out, a);
}

/// Turns the sum of the products of different limbs into the square.
pub(crate) fn double_and_add_squares(out: &mut [u64], a: &[u64]) {
    let (mut shifted, mut carry) = (0, 0);
    for (pair, &a) in out.chunks_exact_mut(2).zip(a) {
        let (low, high) = mac(a, a, 0, 0);
        let sum = u128::from(pair[0] << 1 | shifted)
            .wrapping_add(u128::from(low))
            .wrapping_add(u128::from(carry));
        let high = u128::from(pair[1] << 1 | pair[0] >> 63)
            .wrapping_add(u128::from(high))
            .wrapping_add(sum >> 64);
        shifted = pair[1] >> 63;
        carry = (high >> 64) as u64;
        pair[0] = sum as u64;
        pair[1] = high as u64;
    }
}

/// Montgomery reduction: `t + quotient * n = 2^(64 l) * t[l..]`, returns the carry at the top; `t[..l]` is left
/// undefined. `t.len() == 2 * l`, the others `l`; `n0 = -1 / n mod 2^64`.
pub(crate) fn reduce(t: &mut [u64], n: &[u64], n0: u64, quotient: &mut [u64]) -> u64 {
    let l = n.len();
    let mut top = 0;
    for i in 0..l {
        let digit = t[i].wrapping_mul(n0);
        quotient[i] = digit;
        let carry = add_row(&mut t[i..i + l], n, digit);
        let (sum, c1) = t[i + l].overflowing_add(carry);
        let (sum, c2) = sum.overflowing_add(top);
        t[i + l] = sum;
        top = u64::from(c1).wrapping_add(u64::from(c2));
    }
    top
}
