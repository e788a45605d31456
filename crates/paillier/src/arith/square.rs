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

use super::checked::{CheckedRing, Pairs, Plant};
use super::comb::Comb;
use super::exp::{self, Ring};
#[cfg(target_arch = "x86_64")]
use super::ifma::WideRing;
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
    /// The same ring for long computations, if the processor has something faster than the kernels.
    #[cfg(target_arch = "x86_64")]
    pub(crate) wide: Option<WideRing>,
}

/// A power that was checked.
pub(crate) struct CheckedPower {
    /// Out of Montgomery form: the digits `x, y < n`.
    pub(crate) digits: Secret,
    /// The fold of `y`.
    pub(crate) fold: u64,
    /// 1 if every check held.
    pub(crate) sound: u64,
}

/// A power to be checked.
pub(crate) struct Job<'a> {
    pub(crate) base: &'a [u64],
    pub(crate) exponent: &'a [u64],
    pub(crate) bits: usize,
}

/// A checked power in Montgomery form.
pub(crate) struct CheckedElement {
    pub(crate) first: Secret,
    /// The same once more, made from the last product on its own: to compare with after `first` was used.
    pub(crate) second: Secret,
    /// 1 if every check held.
    pub(crate) sound: u64,
}

/// Runs `$body` with `$ring` the fastest form of the ring `$self`, and `$enter`, `$leave` the ways between it and the usual
/// one.
macro_rules! fastest {
    ($self:ident, |$ring:ident, $enter:ident, $leave:ident| $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some($ring) = &$self.wide {
            let $enter = |e: &[u64], scratch: &mut Scratch| $ring.enter(e, scratch);
            let $leave = |mut e: Secret, scratch: &mut Scratch| {
                $ring.mul_assign(&mut e, $ring.leaving(), scratch);
                $self.settle($ring, &e)
            };
            return $body;
        }
        let $ring = $self;
        let $enter = |e: &[u64], _: &mut Scratch| {
            let mut copy = secret(e.len());
            copy.copy_from_slice(e);
            copy
        };
        let $leave = |e: Secret, _: &mut Scratch| e;
        $body
    }};
}
pub(crate) use fastest;

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
            #[cfg(target_arch = "x86_64")]
            wide: None,
        };
        for _ in 0..64 * len {
            ring.double(&mut power);
        }
        ring.one.copy_from_slice(&power);
        for _ in 0..64 * len {
            ring.double(&mut power);
        }
        ring.enter.copy_from_slice(&power);
        #[cfg(target_arch = "x86_64")]
        if let Kernel::Ifma(_, proof) = kernel {
            ring.wide = WideRing::new(proof, &ring);
        }
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
        #[cfg(target_arch = "x86_64")]
        secrets.extend(self.wide.iter().flat_map(WideRing::secrets));
        secrets
    }
    /// As [`secrets`](Self::secrets), for faults in tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn secrets_mut(&mut self) -> Vec<&mut [u64]> {
        let mut secrets = self.base.secrets_mut();
        secrets.extend([&mut self.one[..], &mut self.enter]);
        #[cfg(target_arch = "x86_64")]
        secrets.extend(self.wide.iter_mut().flat_map(WideRing::secrets_mut));
        secrets
    }
    pub(crate) fn scratch(&self) -> Scratch {
        self.base.scratch()
    }
    /// One in Montgomery form.
    pub(crate) fn one(&self) -> &[u64] {
        &self.one
    }

    pub(super) fn double(&self, e: &mut [u64]) {
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
        let upper = self.subtract_twice(y, high, top, spare);
        Taken { carry, upper }
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

    /// `base^exponent`, constant time in both; see [`exp::pow`].
    pub(crate) fn pow(&self, base: &[u64], exponent: &[u64], bits: usize) -> Secret {
        fastest!(self, |ring, enter, leave| {
            let mut scratch = ring.scratch();
            let base = enter(base, &mut scratch);
            leave(exp::pow(ring, &base, exponent, bits), &mut scratch)
        })
    }
    /// `base^exponent` for a public exponent; see [`exp::pow_public`].
    pub(crate) fn pow_public(&self, base: &[u64], exponent: &[u64]) -> Secret {
        fastest!(self, |ring, enter, leave| {
            let mut scratch = ring.scratch();
            let base = enter(base, &mut scratch);
            leave(exp::pow_public(ring, &base, exponent), &mut scratch)
        })
    }
    /// Tables of a base, for [`comb_pow`](Self::comb_pow) of the same ring.
    pub(crate) fn comb(&self, base: &[u64], bits: usize) -> Comb {
        fastest!(self, |ring, enter, _leave| {
            let base = enter(base, &mut ring.scratch());
            Comb::new(ring, &base, bits)
        })
    }
    /// The base of the tables to the power of `exponent`.
    pub(crate) fn comb_pow(&self, comb: &Comb, exponent: &[u64]) -> Secret {
        fastest!(self, |ring, _enter, leave| {
            leave(comb.pow(ring, exponent), &mut ring.scratch())
        })
    }

    /// A power, every product checked. A fault strikes where `plant` says.
    pub(crate) fn checked(&self, job: Job<'_>, plant: Plant) -> CheckedElement {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            let mut scratch = wide.scratch();
            let entered = wide.enter(job.base, &mut scratch);
            let again = wide.enter(job.base, &mut scratch);
            let mut sound = limbs::equal(&entered, &again);
            let job = Job {
                base: &entered,
                ..job
            };
            let (power, held) = checked_power(wide, job, plant, wide.leaving());
            let (first, second) = (self.settle(wide, &power), self.settle(wide, &power));
            // The folds are held once more after their use.
            sound &= held & CheckedRing::new(wide).intact(&power);
            return CheckedElement {
                first,
                second,
                sound,
            };
        }
        let (power, held) = checked_power(self, job, plant, &self.one);
        let copy = || {
            let mut out = secret(self.len());
            out.copy_from_slice(&power[..self.len()]);
            out
        };
        CheckedElement {
            first: copy(),
            second: copy(),
            sound: held & CheckedRing::new(self).intact(&power),
        }
    }

    /// As [`pow`](Self::pow), every product checked, and out of Montgomery form.
    pub(crate) fn pow_checked(
        &self,
        base: &[u64],
        exponent: &[u64],
        bits: usize,
        plant: Plant,
    ) -> CheckedPower {
        let job = Job {
            base,
            exponent,
            bits,
        };
        let power = self.checked(job, plant);
        let ring = CheckedRing::new(self);
        let mut digits = ring.element(&power.first);
        ring.leave(&mut digits, &mut SquareRing::scratch(self));
        CheckedPower {
            fold: ring.upper_fold(&digits),
            sound: power.sound & ring.sound() & limbs::equal(&power.first, &power.second),
            digits,
        }
    }

    /// The unique form of what has left the wide ring.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn settle(&self, wide: &WideRing, e: &[u64]) -> Secret {
        let len = self.base.len();
        let (low, mut high) = wide.unpack(e, len);
        let mut out = secret(2 * len);
        let (x, y) = out.split_at_mut(len);
        let carry = self.base.subtract_to(x, &low[..len], low[len]);
        // y < 3 n, and the carry.
        limbs::add_assign(&mut high, &[carry]);
        let top = high[len];
        self.subtract_twice(y, &high[..len], top, &mut secret(len));
        out
    }
    /// `out = value mod n` for a value below `3 n` with `top` above its limbs; returns how often `n` was subtracted.
    fn subtract_twice(&self, out: &mut [u64], value: &[u64], top: u64, spare: &mut [u64]) -> u64 {
        let (kernel, n) = (self.base.kernel, self.base.n());
        let borrow = kernel.sub(out, value, n);
        let below = borrow & limbs::is_zero_word(top);
        limbs::replace(out, value, limbs::mask(below));
        let top = top.wrapping_sub(borrow & (1 ^ below));
        let still_below = kernel.sub(spare, out, n) & limbs::is_zero_word(top);
        limbs::replace(out, spare, limbs::mask(1 ^ still_below));
        (1 ^ below).wrapping_add(1 ^ still_below)
    }
}

/// A checked power, times `last`; and 1 if the checks held.
fn checked_power<P: Pairs>(ring: &P, job: Job<'_>, plant: Plant, last: &[u64]) -> (Secret, u64) {
    let mut ring = CheckedRing::new(ring);
    ring.plant(plant);
    let mut power = exp::pow(&ring, &ring.element(job.base), job.exponent, job.bits);
    let last = ring.element(last);
    ring.mul_assign(&mut power, &last, &mut ring.scratch());
    (power, ring.sound())
}

impl Pairs for SquareRing {
    const DIGIT: u32 = 64;
    fn radix(&self) -> usize {
        self.base.len()
    }
    fn modulus(&self) -> &[u64] {
        self.base.n()
    }
    fn mul_taken(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) -> Taken {
        self.mul_assign(a, b, scratch)
    }
    fn sqr_taken(&self, a: &mut [u64], scratch: &mut Scratch) -> Taken {
        self.sqr_assign(a, scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::limbs::to_biguint;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Every kernel, every number of vectors: powers in all ways, sums, inverses, against big integers.
        #[test]
        fn agrees_with_big_integers(
            len in 1usize..70,
            n in prop::collection::vec(any::<u64>(), 70),
            base in prop::collection::vec(any::<u64>(), 140),
            exponent in prop::collection::vec(any::<u64>(), 1..4),
            edge in 0..4,
        ) {
            let mut n = n[..len].to_vec();
            n[0] |= 1;
            n[len - 1] |= 1 << 63;
            if edge == 0 { n.fill(u64::MAX); }
            let big = to_biguint(&n);
            let square = &big * &big;
            let base = if edge == 1 { &square - 1u8 } else { to_biguint(&base) };
            let exponent_number = to_biguint(&exponent);
            let bits = 64 * exponent.len();
            let want = base.modpow(&exponent_number, &square);
            for kernel in Kernel::all() {
                let ring = SquareRing::new(kernel, &n);
                let mut scratch = SquareRing::scratch(&ring);
                let e = ring.reduce(&base.to_u64_digits(), &mut scratch);
                let mut integer = |e: &[u64]| to_biguint(&ring.to_integer(e, &mut scratch));
                prop_assert_eq!(integer(&e), &base % &square);
                prop_assert_eq!(integer(&ring.pow(&e, &exponent, bits)), want.clone(), "{:?}", kernel);
                prop_assert_eq!(integer(&ring.pow_public(&e, &exponent)), want.clone(), "{:?}", kernel);
                let comb = ring.comb(&e, bits);
                prop_assert_eq!(integer(&ring.comb_pow(&comb, &exponent)), want.clone(), "{:?}", kernel);
                let checked = ring.pow_checked(&e, &exponent, bits, None);
                prop_assert_eq!(checked.sound, 1, "{:?}", kernel);
                let half = ring.base().len();
                let digits = to_biguint(&checked.digits[..half]) + to_biguint(&checked.digits[half..2 * half]) * &big;
                prop_assert_eq!(digits, want.clone(), "{:?}", kernel);
                let mut sum = e.to_vec();
                ring.add(&mut sum, &e);
                ring.sub(&mut sum, ring.one());
                prop_assert_eq!(integer(&sum), (&base + &base + &square - BigUint::from(1u8)) % &square);
            }
        }
    }
}
