//! Products modulo `n^2` that notice when one of them went wrong.
//!
//! A product of pairs rests on two equations between integers (see [`square`](super::square)), with `q`, `k` the quotients
//! of the two reductions, `e` and `f` how often `n` was subtracted:
//!
//! - `x x' + q n = R (z + e n)`,
//! - `x y' + x' y - q + k n = R (w - e + f n)`.
//!
//! Both are held modulo `2^64 - 1`, where `R` is 1 and a number is the sum of its limbs with end-around carry. An element
//! carries the sums of its digits from the product that made it, so that a limb that changes in memory is noticed, too. A
//! random fault goes unnoticed with probability 2^-64; the cost is four sums over `l` limbs to a product.

use super::exp::Ring;
use super::limbs::{Secret, is_zero_word, secret};
use super::modulus::Scratch;
use super::square::{SquareRing, Taken};
use std::cell::Cell;

/// Limbs that an element has more than in [`SquareRing`], of which two are used.
const EXTRA: usize = 8;

/// The value modulo `2^64 - 1`, as any word that is congruent to it.
#[inline]
pub(crate) fn fold(limbs: &[u64]) -> u64 {
    let sum = limbs
        .iter()
        .fold(0u128, |sum, &limb| sum.wrapping_add(u128::from(limb)));
    end_around(sum as u64, (sum >> 64) as u64)
}
#[inline(always)]
fn end_around(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    // With a carry, the sum is at most 2^64 - 2.
    sum.wrapping_add(u64::from(carry))
}
#[inline(always)]
fn times(a: u64, b: u64) -> u64 {
    let wide = u128::from(a).wrapping_mul(u128::from(b));
    end_around(wide as u64, (wide >> 64) as u64)
}
/// 1 if both stand for the same residue: 0 and `2^64 - 1` do.
pub(crate) fn same_fold(a: u64, b: u64) -> u64 {
    let difference = end_around(a, !b);
    is_zero_word(difference) | is_zero_word(!difference)
}

/// Elements are those of a [`SquareRing`], then the folds of their digits.
pub(crate) struct CheckedRing<'a> {
    ring: &'a SquareRing,
    modulus: u64,
    one: Secret,
    /// 1 as long as all equations held.
    sound: Cell<u64>,
    /// For tests: products until a fault, its limb and mask.
    fault: Cell<Option<(usize, usize, u64)>>,
}

impl<'a> CheckedRing<'a> {
    pub(crate) fn new(ring: &'a SquareRing) -> Self {
        let mut checked = Self {
            ring,
            modulus: fold(ring.base().n()),
            one: secret(0),
            sound: Cell::new(1),
            fault: Cell::new(None),
        };
        checked.one = checked.element(ring.one());
        checked
    }
    /// After `step` more products, the bits of `mask` flip in a limb of the result.
    pub(crate) fn plant(&mut self, step: usize, limb: usize, mask: u64) {
        self.fault.set(Some((step, limb % self.ring.len(), mask)));
    }
    /// 1 if all equations held so far.
    pub(crate) fn sound(&self) -> u64 {
        self.sound.get()
    }
    /// An element with its folds.
    pub(crate) fn element(&self, e: &[u64]) -> Secret {
        let mut out = secret(self.width());
        out[..e.len()].copy_from_slice(e);
        out[e.len()] = fold(&e[..e.len() / 2]);
        out[e.len() + 1] = fold(&e[e.len() / 2..]);
        out
    }
    /// The fold of the upper digit.
    pub(crate) fn upper_fold(&self, e: &[u64]) -> u64 {
        e[self.ring.len() + 1]
    }
    /// Out of Montgomery form, in place.
    pub(crate) fn leave(&self, e: &mut [u64], scratch: &mut Scratch) {
        let mut one = secret(self.ring.len());
        one[0] = 1;
        let one = self.element(&one);
        self.mul_assign(e, &one, scratch);
    }

    /// Holds the equations of a product; `low` and `cross` are what the folds of the factors give.
    fn check(&self, e: &mut [u64], low: u64, cross: u64, taken: Taken, scratch: &Scratch) {
        let len = self.ring.len();
        let n = self.modulus;
        let (quotient, second) = (fold(&scratch.quotient), fold(&scratch.second));
        let (x, y) = (fold(&e[..len / 2]), fold(&e[len / 2..len]));
        let left = end_around(low, times(quotient, n));
        let right = end_around(x, times(taken.carry, n));
        let mut sound = same_fold(left, right);
        let left = end_around(end_around(cross, !quotient), times(second, n));
        let left = end_around(left, taken.carry);
        let right = end_around(y, times(taken.upper, n));
        sound &= same_fold(left, right);
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

impl Ring for CheckedRing<'_> {
    fn width(&self) -> usize {
        self.ring.len() + EXTRA
    }
    fn one(&self) -> &[u64] {
        &self.one
    }
    fn scratch(&self) -> Scratch {
        self.ring.scratch()
    }
    fn mul_assign(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        let len = self.ring.len();
        let (ax, ay, bx, by) = (a[len], a[len + 1], b[len], b[len + 1]);
        let taken = self.ring.mul_assign(&mut a[..len], &b[..len], scratch);
        let cross = end_around(times(ax, by), times(ay, bx));
        self.check(a, times(ax, bx), cross, taken, scratch);
    }
    fn sqr_assign(&self, a: &mut [u64], scratch: &mut Scratch) {
        let len = self.ring.len();
        let (x, y) = (a[len], a[len + 1]);
        let taken = self.ring.sqr_assign(&mut a[..len], scratch);
        let cross = times(x, y);
        self.check(a, times(x, x), end_around(cross, cross), taken, scratch);
    }
}
