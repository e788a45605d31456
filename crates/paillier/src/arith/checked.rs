//! Products modulo `n^2` that notice when one of them went wrong.
//!
//! A product of pairs rests on two equations between integers (see [`square`](super::square)), with `q`, `k` the quotients
//! of the two reductions, `e` and `f` how often `n` was subtracted:
//!
//! - `x x' + q n = R (z + e n)`,
//! - `x y' + x' y - q + k n = R (w - e + f n)`.
//!
//! Both are held modulo `2^64 - 1` (`2^52 - 1` for digits of 52 bits), where `R` is 1 and a number is the sum of its limbs
//! with end-around carry. An element carries the sums of its digits from the product that made it, so that a limb that
//! changes in memory is noticed, too. A random fault goes unnoticed with probability 2^-64 (2^-52); the cost is four sums
//! over `l` limbs to a product.

use super::exp::Ring;
use super::limbs::{Secret, is_zero_word, secret};
use super::modulus::Scratch;
use super::square::Taken;
use std::cell::Cell;

/// Limbs that an element has more than in the ring itself, of which two are used.
const EXTRA: usize = 8;

/// Products of pairs that tell how they were reduced.
pub(crate) trait Pairs: Ring {
    /// Bits of a limb.
    const DIGIT: u32;
    /// The limbs of `n`.
    fn modulus(&self) -> &[u64];
    /// As [`Ring::mul_assign`]; the quotients are left in `scratch`.
    fn mul_taken(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) -> Taken;
    /// As [`Ring::sqr_assign`]; the quotients are left in `scratch`.
    fn sqr_taken(&self, a: &mut [u64], scratch: &mut Scratch) -> Taken;
}

/// Arithmetic modulo `2^bits - 1`; a residue is any number of `bits` bits that is congruent to it.
#[derive(Clone, Copy)]
struct Folds(u32);

impl Folds {
    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.0)
    }
    #[inline(always)]
    fn reduce(self, wide: u128) -> u64 {
        let once = (wide & u128::from(self.mask())).wrapping_add(wide >> self.0);
        let twice = (once & u128::from(self.mask())).wrapping_add(once >> self.0);
        // Below 2^bits + 2 before, so 2^bits - 1 at most with a carry added in.
        (twice as u64 & self.mask()).wrapping_add((twice >> self.0) as u64)
    }
    #[inline]
    fn of(self, limbs: &[u64]) -> u64 {
        self.reduce(
            limbs
                .iter()
                .fold(0u128, |sum, &limb| sum.wrapping_add(u128::from(limb))),
        )
    }
    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        self.reduce(u128::from(a).wrapping_add(u128::from(b)))
    }
    #[inline(always)]
    fn sub(self, a: u64, b: u64) -> u64 {
        self.add(a, b ^ self.mask())
    }
    #[inline(always)]
    fn mul(self, a: u64, b: u64) -> u64 {
        self.reduce(u128::from(a).wrapping_mul(u128::from(b)))
    }
    /// 1 if both stand for the same residue: 0 and `2^bits - 1` do.
    fn same(self, a: u64, b: u64) -> u64 {
        let difference = self.sub(a, b);
        is_zero_word(difference) | is_zero_word(difference ^ self.mask())
    }
}

/// The value modulo `2^64 - 1`, as any word that is congruent to it.
pub(crate) fn fold(limbs: &[u64]) -> u64 {
    Folds(64).of(limbs)
}
/// 1 if both [`fold`]s stand for the same residue.
pub(crate) fn same_fold(a: u64, b: u64) -> u64 {
    Folds(64).same(a, b)
}

/// Elements are those of the ring, then the folds of their digits.
pub(crate) struct CheckedRing<'a, P> {
    ring: &'a P,
    modulus: u64,
    one: Secret,
    /// 1 as long as all equations held.
    sound: Cell<u64>,
    /// For tests: products until a fault, its limb and mask.
    fault: Cell<Option<(usize, usize, u64)>>,
}

impl<'a, P: Pairs> CheckedRing<'a, P> {
    const FOLDS: Folds = Folds(P::DIGIT);

    pub(crate) fn new(ring: &'a P) -> Self {
        let mut checked = Self {
            ring,
            modulus: Self::FOLDS.of(ring.modulus()),
            one: secret(0),
            sound: Cell::new(1),
            fault: Cell::new(None),
        };
        checked.one = checked.element(ring.one());
        checked
    }
    /// After `step` more products, the bits of `mask` flip in a limb of the result.
    pub(crate) fn plant(&mut self, step: usize, limb: usize, mask: u64) {
        self.fault.set(Some((step, limb % self.ring.width(), mask)));
    }
    /// 1 if all equations held so far.
    pub(crate) fn sound(&self) -> u64 {
        self.sound.get()
    }
    /// An element with its folds.
    pub(crate) fn element(&self, e: &[u64]) -> Secret {
        let mut out = secret(self.width());
        out[..e.len()].copy_from_slice(e);
        out[e.len()] = Self::FOLDS.of(&e[..e.len() / 2]);
        out[e.len() + 1] = Self::FOLDS.of(&e[e.len() / 2..]);
        out
    }
    /// The fold of the upper digit.
    pub(crate) fn upper_fold(&self, e: &[u64]) -> u64 {
        e[self.ring.width() + 1]
    }
    /// Out of Montgomery form, in place.
    pub(crate) fn leave(&self, e: &mut [u64], scratch: &mut Scratch) {
        let mut one = secret(self.ring.width());
        one[0] = 1;
        let one = self.element(&one);
        self.mul_assign(e, &one, scratch);
    }

    /// 1 if the folds of an element are those of its digits.
    pub(crate) fn intact(&self, e: &[u64]) -> u64 {
        let len = self.ring.width();
        Self::FOLDS.same(Self::FOLDS.of(&e[..len / 2]), e[len])
            & Self::FOLDS.same(Self::FOLDS.of(&e[len / 2..len]), e[len + 1])
    }

    /// Holds the equations of a product; `low` and `cross` are what the folds of the factors give.
    fn check(&self, e: &mut [u64], low: u64, cross: u64, taken: Taken, scratch: &Scratch) {
        let folds = Self::FOLDS;
        let len = self.ring.width();
        let n = self.modulus;
        let (quotient, second) = (folds.of(&scratch.quotient), folds.of(&scratch.second));
        let (x, y) = (folds.of(&e[..len / 2]), folds.of(&e[len / 2..len]));
        let left = folds.add(low, folds.mul(quotient, n));
        let right = folds.add(x, folds.mul(taken.carry, n));
        let mut sound = folds.same(left, right);
        let left = folds.add(folds.sub(cross, quotient), folds.mul(second, n));
        let left = folds.add(left, taken.carry);
        let right = folds.add(y, folds.mul(taken.upper, n));
        sound &= folds.same(left, right);
        self.sound.set(self.sound.get() & sound);
        e[len] = x;
        e[len + 1] = y;
        self.strike(e);
    }
    fn strike(&self, e: &mut [u64]) {
        if let Some((step, limb, mask)) = self.fault.get() {
            if step == 0 {
                e[limb] ^= mask;
                self.fault.set(None);
            } else {
                self.fault.set(Some((step - 1, limb, mask)));
            }
        }
    }
}

impl<P: Pairs> Ring for CheckedRing<'_, P> {
    fn width(&self) -> usize {
        self.ring.width() + EXTRA
    }
    fn one(&self) -> &[u64] {
        &self.one
    }
    fn scratch(&self) -> Scratch {
        self.ring.scratch()
    }
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        let folds = Self::FOLDS;
        let len = self.ring.width();
        let (ax, ay, bx, by) = (a[len], a[len + 1], b[len], b[len + 1]);
        let taken = self.ring.mul_taken(&mut a[..len], &b[..len], scratch);
        let cross = folds.add(folds.mul(ax, by), folds.mul(ay, bx));
        self.check(a, folds.mul(ax, bx), cross, taken, scratch);
    }
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) {
        let folds = Self::FOLDS;
        let len = self.ring.width();
        let (x, y) = (a[len], a[len + 1]);
        let taken = self.ring.sqr_taken(&mut a[..len], scratch);
        let cross = folds.mul(x, y);
        self.check(a, folds.mul(x, x), folds.add(cross, cross), taken, scratch);
    }
}
