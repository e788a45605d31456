//! Residues modulo `n^2` as pairs `x + y n` of residues modulo `n`.
//!
//! A pair stands for `(x + y n) / R mod n^2` with `R = 2^(64 l)`, `l` the limbs of `n`. In the product
//! `x x' + (x y' + x' y) n` the term `y y' n^2` vanishes; reducing `x x' + q n = z R` modulo `n` gives
//! `x x' / R = z - (q / R) n (mod n^2)`, so that the quotient `q` goes into the upper half before its own reduction:
//!
//! `(x, y) (x', y') = (z, (x y' + x' y - q) / R mod n)`.
//!
//! That is three products and two reductions of `l` limbs, 5 l^2 word multiplications; a product modulo `n^2` at `2 l`
//! limbs takes 8 l^2. A square takes 3.5 l^2 instead of 6 l^2.

use super::kernel::Kernel;
use super::limbs::{self, Secret, secret};
use super::modulus::{Modulus, Scratch};

/// The ring of residues modulo `n^2`. Elements are slices of `2 l` limbs: `x`, then `y`. Constant time in everything.
pub(crate) struct SquareRing {
    base: Modulus,
    /// One: `R mod n^2`.
    one: Secret,
    /// `R^2 mod n^2`: brings a number below `R` to Montgomery form.
    enter: Secret,
}

/// How often `n` was subtracted at the end of a product.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    /// From the lower half, to carry 1 into the upper one.
    pub(crate) carry: u64,
    /// From the upper half.
    pub(crate) upper: u64,
}

impl SquareRing {
    pub(crate) fn new(kernel: Kernel, n: &[u64]) -> Self {
        let base = Modulus::new(kernel, n);
        let len = base.len();
        let mut power = secret(2 * len);
        power[0] = 1;
        let mut ring = Self {
            one: secret(2 * len),
            enter: secret(2 * len),
            base,
        };
        for _ in 0..64 * len {
            ring.double(&mut power);
        }
        ring.one.copy_from_slice(&power);
        for _ in 0..64 * len {
            ring.double(&mut power);
        }
        ring.enter.copy_from_slice(&power);
        ring
    }

    /// Arithmetic modulo `n`.
    pub(crate) fn base(&self) -> &Modulus {
        &self.base
    }
    /// Limbs of an element.
    pub(crate) fn len(&self) -> usize {
        2 * self.base.len()
    }
    /// Memory that holds the modulus or what follows from it.
    pub(crate) fn secrets(&self) -> Vec<&[u64]> {
        let mut secrets = self.base.secrets();
        secrets.extend([&self.one[..], &self.enter]);
        secrets
    }
    pub(crate) fn scratch(&self) -> Scratch {
        self.base.scratch()
    }
    /// One in Montgomery form.
    pub(crate) fn one(&self) -> &[u64] {
        &self.one
    }

    fn double(&self, e: &mut [u64]) {
        let (x, y) = e.split_at_mut(self.base.len());
        let carry = self.base.double(x);
        self.base.double(y);
        self.carry(y, carry);
    }
    /// `y += carry mod n`, for `carry` 0 or 1.
    fn carry(&self, y: &mut [u64], carry: u64) {
        let top = limbs::add_assign(y, &[carry]);
        limbs::subtract_once(y, top, self.base.n());
    }

    /// `a += b`.
    pub(crate) fn add(&self, a: &mut [u64], b: &[u64]) {
        let len = self.base.len();
        let (x, y) = a.split_at_mut(len);
        let carry = self.base.add(x, &b[..len]);
        self.base.add(y, &b[len..]);
        self.carry(y, carry);
    }
    /// `a -= b`.
    pub(crate) fn sub(&self, a: &mut [u64], b: &[u64]) {
        let len = self.base.len();
        let (x, y) = a.split_at_mut(len);
        let borrow = self.base.sub(x, &b[..len]);
        self.base.sub(y, &b[len..]);
        let borrow = limbs::sub_assign(y, &[borrow]);
        limbs::add_masked(y, self.base.n(), limbs::mask(borrow));
    }

    /// `out = a b / R`.
    pub(crate) fn mul(&self, out: &mut [u64], a: &[u64], b: &[u64], scratch: &mut Scratch) {
        let len = self.base.len();
        let kernel = self.base.kernel;
        let ((ax, ay), (bx, by)) = (a.split_at(len), b.split_at(len));
        kernel.mul(&mut scratch.product, ax, bx);
        kernel.mul(&mut scratch.cross, ax, by);
        let top = kernel.mul_add(&mut scratch.cross, ay, bx);
        self.finish(out, top, scratch);
    }
    /// `a = a b / R`. What the reductions subtracted is for checks.
    pub(crate) fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) -> Taken {
        let len = self.base.len();
        let kernel = self.base.kernel;
        let ((ax, ay), (bx, by)) = (a.split_at(len), b.split_at(len));
        kernel.mul(&mut scratch.product, ax, bx);
        kernel.mul(&mut scratch.cross, ax, by);
        let top = kernel.mul_add(&mut scratch.cross, ay, bx);
        self.finish(a, top, scratch)
    }
    /// `a = a^2 / R`, otherwise as [`mul_assign`](Self::mul_assign).
    pub(crate) fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) -> Taken {
        let kernel = self.base.kernel;
        let (x, y) = a.split_at(self.base.len());
        kernel.square(&mut scratch.product, x);
        kernel.mul(&mut scratch.cross, x, y);
        let top = kernel.double(&mut scratch.cross);
        self.finish(a, top, scratch)
    }

    /// Both reductions. `cross` is up to `2 (n - 1)^2`, `top` its highest bit.
    fn finish(&self, out: &mut [u64], top: u64, scratch: &mut Scratch) -> Taken {
        let (len, n, n0) = (self.base.len(), self.base.n(), self.base.n0());
        let Scratch {
            product,
            cross,
            quotient,
            second,
            spare,
        } = scratch;
        let (x, y) = out.split_at_mut(len);
        let kernel = self.base.kernel;

        let x_top = kernel.reduce(product, n, n0, quotient);
        let carry = self.base.subtract_to(x, &product[len..], x_top);

        // The borrow joins after the reduction. Then the value is negative only if cross < quotient < R, and the multiple
        // of n that was added makes it at least 0; it is below (2 n^2 + R n) / R < 3 n - 1.
        let borrow = kernel.sub_assign(&mut cross[..len], quotient);
        let y_top = kernel.reduce(cross, n, n0, second);
        let high = &mut cross[len..];
        let change = limbs::add_signed(high, carry, borrow);
        let top = top.wrapping_add(y_top).wrapping_add(change);
        // In 0..=2: 2 stands for a value above n, whose difference has top 1 or 0.
        let borrow = kernel.sub(y, high, n);
        let below = borrow & limbs::is_zero_word(top);
        limbs::replace(y, high, limbs::mask(below));
        let top = top.wrapping_sub(borrow & (1 ^ below));
        let still_below = kernel.sub(spare, y, n) & limbs::is_zero_word(top);
        limbs::replace(y, spare, limbs::mask(1 ^ still_below));
        Taken {
            carry,
            upper: (1 ^ below).wrapping_add(1 ^ still_below),
        }
    }

    /// An integer of any length modulo `n^2`, in Montgomery form: Horner over chunks of `l` limbs.
    pub(crate) fn reduce(&self, value: &[u64], scratch: &mut Scratch) -> Secret {
        let len = self.base.len();
        let mut sum = secret(2 * len);
        let mut chunk = secret(2 * len);
        for part in value.chunks(len).rev() {
            self.mul_assign(&mut sum, &self.enter, scratch);
            chunk.fill(0);
            chunk[..part.len()].copy_from_slice(part);
            self.mul_assign(&mut chunk, &self.enter, scratch);
            self.add(&mut sum, &chunk);
        }
        sum
    }
    /// Out of Montgomery form: the digits `x, y < n` of the integer `x + y n`.
    pub(crate) fn leave(&self, e: &[u64], scratch: &mut Scratch) -> Secret {
        let mut one = secret(2 * self.base.len());
        one[0] = 1;
        let mut out = secret(2 * self.base.len());
        self.mul(&mut out, e, &one, scratch);
        out
    }
    /// The integer below `n^2`, `2 l` limbs.
    pub(crate) fn to_integer(&self, e: &[u64], scratch: &mut Scratch) -> Secret {
        let len = self.base.len();
        let digits = self.leave(e, scratch);
        let mut out = secret(2 * len);
        out[..len].copy_from_slice(&digits[..len]);
        self.base
            .kernel
            .mul_add(&mut out, &digits[len..], self.base.n());
        out
    }
    /// The inverse of `e` from that of its residue modulo `n` (both in Montgomery form): one Newton step.
    pub(crate) fn lift_inverse(&self, e: &[u64], inverse: &[u64], scratch: &mut Scratch) -> Secret {
        let mut start = secret(self.len());
        start[..inverse.len()].copy_from_slice(inverse);
        let mut product = secret(self.len());
        self.mul(&mut product, e, &start, scratch);
        let mut factor = secret(self.len());
        factor.copy_from_slice(&self.one);
        self.double(&mut factor);
        self.sub(&mut factor, &product);
        self.mul_assign(&mut start, &factor, scratch);
        start
    }
    /// `e (1 + m n)`: one product modulo `n`. `m` in Montgomery form modulo `n`.
    pub(crate) fn shift(&self, e: &mut [u64], m: &[u64], scratch: &mut Scratch) {
        let (x, y) = e.split_at_mut(self.base.len());
        let mut term = secret(x.len());
        self.base.mul(&mut term, x, m, scratch);
        self.base.add(y, &term);
    }
}
