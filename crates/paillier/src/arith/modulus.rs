//! Residues modulo an odd `n`, times `R = 2^(64 l)` (P. L. Montgomery, Math. Comp. 44, 1985).

use super::kernel::Kernel;
use super::limbs::{self, Secret, secret};

/// Limb counts are multiples of this: the kernels work in blocks.
const BLOCK: usize = 8;

/// An odd modulus and what Montgomery arithmetic needs of it. Constant time in the modulus and in every operand, but
/// for the number of limbs; overwritten when dropped.
pub(crate) struct Modulus {
    pub(super) kernel: Kernel,
    n: Secret,
    n0: u64,
    /// `R mod n`: one.
    one: Secret,
    /// `R^2 mod n`: brings a number to Montgomery form.
    square: Secret,
}

/// Room for one product and its quotients, overwritten when dropped.
pub(crate) struct Scratch {
    pub(super) product: Secret,
    pub(super) cross: Secret,
    pub(super) quotient: Secret,
    /// The quotient of the upper half, where there is one.
    pub(super) second: Secret,
    pub(super) spare: Secret,
}

impl Scratch {
    pub(crate) fn new(limbs: usize) -> Self {
        Self {
            product: secret(2 * limbs),
            cross: secret(2 * limbs),
            quotient: secret(limbs),
            second: secret(limbs),
            spare: secret(limbs),
        }
    }
}

/// Limbs that a modulus of `bits` bits is held in.
pub(crate) fn limbs_for(bits: u64) -> usize {
    (bits as usize)
        .div_ceil(64)
        .next_multiple_of(BLOCK)
        .max(BLOCK)
}

impl Modulus {
    /// `n` odd, above 1; padded to a multiple of 8 limbs.
    pub(crate) fn new(kernel: Kernel, n: &[u64]) -> Self {
        let len = n.len().next_multiple_of(BLOCK);
        let mut padded = secret(len);
        padded[..n.len()].copy_from_slice(n);
        // Newton: each step doubles the number of correct bits.
        let mut inverse = padded[0];
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(padded[0].wrapping_mul(inverse)));
        }
        let mut modulus = Self {
            kernel,
            n: padded,
            n0: inverse.wrapping_neg(),
            one: secret(len),
            square: secret(len),
        };
        let mut power = secret(len);
        power[0] = 1;
        for _ in 0..64 * len {
            modulus.double(&mut power);
        }
        modulus.one.copy_from_slice(&power);
        for _ in 0..64 * len {
            modulus.double(&mut power);
        }
        modulus.square.copy_from_slice(&power);
        modulus
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }
    /// The limbs of the modulus.
    pub(crate) fn n(&self) -> &[u64] {
        &self.n
    }
    /// Their number.
    pub(crate) fn len(&self) -> usize {
        self.n.len()
    }
    pub(super) fn n0(&self) -> u64 {
        self.n0
    }
    /// Memory that holds the modulus or what follows from it.
    pub(super) fn secrets(&self) -> Vec<&[u64]> {
        vec![
            &self.n,
            std::slice::from_ref(&self.n0),
            &self.one,
            &self.square,
        ]
    }
    /// As [`secrets`](Self::secrets), for faults in tests.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn secrets_mut(&mut self) -> Vec<&mut [u64]> {
        vec![
            &mut self.n,
            std::slice::from_mut(&mut self.n0),
            &mut self.one,
            &mut self.square,
        ]
    }
    pub(crate) fn scratch(&self) -> Scratch {
        Scratch::new(self.len())
    }
    /// One in Montgomery form.
    pub(crate) fn one(&self) -> &[u64] {
        &self.one
    }

    /// `2 x mod n`; returns whether `n` was subtracted.
    pub(super) fn double(&self, x: &mut [u64]) -> u64 {
        let top = limbs::double(x);
        limbs::subtract_once(x, top, &self.n).1
    }
    /// `x += y mod n`; returns whether `n` was subtracted.
    pub(crate) fn add(&self, x: &mut [u64], y: &[u64]) -> u64 {
        let top = limbs::add_assign(x, y);
        limbs::subtract_once(x, top, &self.n).1
    }
    /// `x -= y mod n`; returns whether `n` was added.
    pub(crate) fn sub(&self, x: &mut [u64], y: &[u64]) -> u64 {
        let borrow = limbs::sub_assign(x, y);
        limbs::add_masked(x, &self.n, limbs::mask(borrow));
        borrow
    }
    /// `x = -x mod n`.
    pub(crate) fn negate(&self, x: &mut [u64]) {
        let nonzero = limbs::mask(1 ^ limbs::is_zero(x));
        let mut borrow = false;
        for (x, &n) in x.iter_mut().zip(self.n.iter()) {
            (*x, borrow) = (n & nonzero).borrowing_sub(*x, borrow);
        }
    }

    /// `out = x y / R mod n`. One of the factors may be any number below `R`.
    pub(crate) fn mul(&self, out: &mut [u64], x: &[u64], y: &[u64], scratch: &mut Scratch) {
        self.kernel.mul(&mut scratch.product, x, y);
        self.finish(out, scratch);
    }
    /// `x^2 / R mod n` in place.
    pub(crate) fn sqr_assign(&self, x: &mut [u64], scratch: &mut Scratch) {
        self.kernel.square(&mut scratch.product, x);
        self.finish(x, scratch);
    }
    /// `x y / R mod n` in place.
    pub(crate) fn mul_assign(&self, x: &mut [u64], y: &[u64], scratch: &mut Scratch) {
        self.kernel.mul(&mut scratch.product, x, y);
        self.finish(x, scratch);
    }
    fn finish(&self, out: &mut [u64], scratch: &mut Scratch) {
        let Scratch {
            product, quotient, ..
        } = scratch;
        let top = self.kernel.reduce(product, &self.n, self.n0, quotient);
        self.subtract_to(out, &product[self.len()..], top);
    }
    /// `out = value` or `value - n`, whichever is in `0..n`, for a value below `2 n` with `top` above its limbs; returns
    /// whether `n` was subtracted.
    pub(super) fn subtract_to(&self, out: &mut [u64], value: &[u64], top: u64) -> u64 {
        let below = self.kernel.sub(out, value, &self.n) & (1 ^ top);
        limbs::replace(out, value, limbs::mask(below));
        1 ^ below
    }
    /// To Montgomery form, in place, from any number below `R`.
    pub(crate) fn enter(&self, x: &mut [u64], scratch: &mut Scratch) {
        self.mul_assign(x, &self.square, scratch);
    }
    /// From Montgomery form, in place.
    pub(crate) fn leave(&self, x: &mut [u64], scratch: &mut Scratch) {
        let len = self.len();
        scratch.product[..len].copy_from_slice(x);
        scratch.product[len..].fill(0);
        self.finish(x, scratch);
    }
    /// A number of any length modulo `n`, in Montgomery form: Horner over chunks of `len` limbs.
    pub(crate) fn reduce(&self, x: &[u64], scratch: &mut Scratch) -> Secret {
        let len = self.len();
        let mut sum = secret(len);
        let mut chunk = secret(len);
        for part in x.chunks(len).rev() {
            // The sum in Montgomery form, times R.
            self.enter(&mut sum, scratch);
            chunk.fill(0);
            chunk[..part.len()].copy_from_slice(part);
            self.enter(&mut chunk, scratch);
            self.add(&mut sum, &chunk);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::limbs::{from_biguint, to_biguint};
    use num_bigint::BigUint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_big_integers(n in prop::collection::vec(any::<u64>(), 1..34), x in prop::collection::vec(any::<u64>(), 1..70), y in prop::collection::vec(any::<u64>(), 1..34), edge in 0..4) {
            let mut n = n;
            n[0] |= 1;
            if edge == 0 { n.fill(u64::MAX); }
            prop_assume!(to_biguint(&n) > BigUint::from(1u8));
            let big = to_biguint(&n);
            let y = to_biguint(&y) % &big;
            let y = if edge == 1 { &big - 1u8 } else { y };
            for kernel in Kernel::all() {
                let modulus = Modulus::new(kernel, &n);
                let mut scratch = modulus.scratch();
                let len = modulus.len();
                let mut a = modulus.reduce(&x, &mut scratch);
                let mut b = from_biguint(&y, len);
                modulus.enter(&mut b, &mut scratch);
                let mut product = vec![0; len];
                modulus.mul(&mut product, &a, &b, &mut scratch);
                modulus.leave(&mut product, &mut scratch);
                prop_assert_eq!(to_biguint(&product), to_biguint(&x) * &y % &big);
                product.copy_from_slice(&b);
                modulus.sqr_assign(&mut product, &mut scratch);
                modulus.leave(&mut product, &mut scratch);
                prop_assert_eq!(to_biguint(&product), &y * &y % &big);
                modulus.sub(&mut a, &b);
                modulus.negate(&mut a);
                modulus.add(&mut a, &b);
                modulus.leave(&mut a, &mut scratch);
                prop_assert_eq!(to_biguint(&a), (&y + &y + &big - to_biguint(&x) % &big) % &big);
            }
        }
    }
}
