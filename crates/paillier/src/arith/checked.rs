//! Products modulo `n^2` that notice when one of them went wrong.
//!
//! A product of pairs rests on two equations between integers (see [`square`](super::square)), with `q`, `k` the quotients
//! of the two reductions, `e` and `f` how often `n` was subtracted:
//!
//! - `x x' + q n = R (z + e n)`,
//! - `x y' + x' y - q + k n = R (w - e + f n)`.
//!
//! Both are held modulo `2^61 - 1` (`2^49 - 1` for digits of 52 bits), where the base of the limbs is 8: a number is the value
//! at 8 of the polynomial of its limbs, so that it changes where limbs change places (less than 61, or 49, apart). An element
//! carries these values of its digits from the product that made it, so that a limb that changes in memory is noticed, too.
//! A random fault goes unnoticed with probability 2^-61 (2^-49); the cost is four sums over `l` limbs to a product.

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
    /// Limbs of `R`.
    fn radix(&self) -> usize;
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

/// The base of the limbs is `2^SHIFT` modulo `2^(DIGIT - SHIFT) - 1`.
const SHIFT: u32 = 3;

impl Folds {
    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.0)
    }
    #[inline(always)]
    fn reduce(self, wide: u128) -> u64 {
        let once = (wide & u128::from(self.mask())).wrapping_add(wide >> self.0);
        let twice = (once & u128::from(self.mask())).wrapping_add(once >> self.0);
        // Below 2^bits + 2^(128 - 2 bits) + 1 before, so 2^bits - 1 at most with a carry added in.
        (twice as u64 & self.mask()).wrapping_add((twice >> self.0) as u64)
    }
    /// The number with these limbs, a multiple of 8 of them: Horner over blocks from the highest, whose terms do not wait for
    /// each other.
    #[inline(always)]
    fn of(self, limbs: &[u64]) -> u64 {
        let (rest, blocks) = limbs.as_rchunks::<8>();
        debug_assert!(rest.is_empty());
        let mut sum = 0u128;
        for (i, block) in blocks.iter().rev().enumerate() {
            // So many blocks above a residue stay below 2^128.
            let run = if self.0 < 52 { 3 } else { 2 };
            if i > 0 && i % run == 0 {
                sum = u128::from(self.reduce(sum));
            }
            sum <<= 8 * SHIFT;
            if self.0 < 52 {
                // Four limbs of 52 bits, the highest shifted by 9, stay below 2^64.
                let four = |l: &[u64]| l[0] + (l[1] << 3) + (l[2] << 6) + (l[3] << 9);
                sum += u128::from(four(&block[..4])) + (u128::from(four(&block[4..])) << 12);
            } else {
                for (j, &limb) in block.iter().enumerate() {
                    sum += u128::from(limb) << (SHIFT * j as u32);
                }
            }
        }
        self.reduce(sum)
    }
    /// `a` times `2^(DIGIT count)`.
    #[inline(always)]
    fn shifted(self, a: u64, count: usize) -> u64 {
        let shift = (count * SHIFT as usize % self.0 as usize) as u32;
        self.reduce(u128::from(a) << shift)
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

/// The value modulo `2^61 - 1`, as any word that is congruent to it.
pub(crate) fn fold(limbs: &[u64]) -> u64 {
    Folds(61).of(limbs)
}
/// 1 if both [`fold`]s stand for the same residue.
pub(crate) fn same_fold(a: u64, b: u64) -> u64 {
    Folds(61).same(a, b)
}

/// A value modulo `2^61 - 1` of all limbs of all slices in their order, that changes where any one of them does.
pub(crate) fn seal(slices: &[&[u64]]) -> u64 {
    // The first 61 bits of the fraction of the golden ratio; no two limbs have equal weights.
    const POINT: u64 = 0x13c6_ef37_2fe9_4f82;
    let folds = Folds(61);
    slices
        .iter()
        .flat_map(|slice| slice.iter())
        .fold(1, |sum, &limb| {
            folds.reduce(u128::from(sum) * u128::from(POINT) + u128::from(limb))
        })
}

/// What a fault does to a limb, for tests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// The bits flip.
    Flip(u64),
    /// It changes places with its neighbour.
    Swap,
}

/// A fault for tests: products before it, the limb, what happens to it.
pub(crate) type Plant = Option<(usize, usize, Damage)>;

/// Elements are those of the ring, then the folds of their digits.
pub(crate) struct CheckedRing<'a, P> {
    ring: &'a P,
    modulus: u64,
    one: Secret,
    /// 1 as long as all equations held.
    sound: Cell<u64>,
    fault: Cell<Plant>,
}

impl<'a, P: Pairs> CheckedRing<'a, P> {
    const FOLDS: Folds = Folds(P::DIGIT - SHIFT);

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
    /// After so many more products, a limb of the result is damaged.
    pub(crate) fn plant(&mut self, plant: Plant) {
        self.fault.set(plant);
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
        let right = folds.shifted(right, self.ring.radix());
        let mut sound = folds.same(left, right);
        let left = folds.add(folds.sub(cross, quotient), folds.mul(second, n));
        let right = folds.add(folds.sub(y, taken.carry), folds.mul(taken.upper, n));
        let right = folds.shifted(right, self.ring.radix());
        sound &= folds.same(left, right);
        self.sound.set(self.sound.get() & sound);
        e[len] = x;
        e[len + 1] = y;
        self.strike(e);
    }
    fn strike(&self, e: &mut [u64]) {
        if let Some((step, limb, damage)) = self.fault.get() {
            if step == 0 {
                let limb = limb % self.ring.width();
                match damage {
                    Damage::Flip(mask) => e[limb] ^= mask,
                    Damage::Swap => e.swap(limb, limb ^ 1),
                }
                self.fault.set(None);
            } else {
                self.fault.set(Some((step - 1, limb, damage)));
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
