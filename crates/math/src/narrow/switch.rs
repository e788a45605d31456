//! Changes of modulus: narrow residues to wide ones, wide to narrow, narrow to narrow.
//!
//! Let `A` be the product of the source primes `a_i`, `B` that of the target primes, `x` a number modulo `A`, and
//! `y_i = x (A / a_i)^-1 mod a_i`, so that `sum y_i A / a_i` is congruent to `x` modulo `A`.
//!
//! - [`Rule::Scaled`]: modulo `B`, `x B / A` is `sum y_i B / a_i`, whatever multiple of `A` was added to `x`. Every
//!   `B / a_i` is an integer, known modulo the targets, and a fraction; the fractions are summed in doubles and rounded once.
//! - [`Rule::Exact`]: the centred representative of `x` is `sum y_i A / a_i - v A` with `v` the integer nearest to
//!   `sum y_i / a_i`.
//!
//! Primes may be both in the source and the target. Both are `sum_i y_i w_i + t w` modulo every target, with `t` a rounded sum of `y_i f_i`. Wide `y_i` are taken in two
//! digits, `y = low + 2^25 high`, which count as two terms.
//!
//! # Exactness
//! Narrow `y` come from 16-bit products with a rounded quotient, `|y| < 0.6 p < 6950`; wide ones, `|y| < 0.7 q`, make
//! digits up to `2^24` and `2^24.5 + 1`. Wide weights, `|w| <= q / 2`, are digits up to `2^24`: sums of at most 49
//! terms stay below `2^43`. The upper sum times `2^25` is exact, its quotient by `q` is below `2^18` (plus 1) and so wrong by
//! less than `1/2 + 2^-30`; what the fused multiply-add leaves is an integer below `2^51`. With narrow weights,
//! `|w| < 2^12.5`, sums of at most 33 terms below `2^29.6` stay below `2^48`: quotients by `p` are off by less than
//! `2^-17`, a tie is at least `1 / (2 p) > 2^-15` away, and residues come out centred.
//!
//! The sum of fractions has an error below `2^-30` from narrow, `2^-20` from wide primes. A scaled number is within
//! `1/2 + 2^-20` of `x B / A`; an exact one is exact unless `|x| > (1/2 - 2^-20) A`, and then may be the other
//! representative.

use super::prime::{Basis, Prime};
use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::modulus::Modulus;
use zeroize::Zeroize;

/// Which number modulo the target stands for a number modulo the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `round(x B / A)`.
    Scaled,
    /// The centred `x` itself.
    Exact,
}

/// Largest number of wide source primes.
pub const MAX_WIDE: usize = 16;

/// Coefficients at a time; three dozen digits of them stay in the second-level cache, a few in the first.
const BLOCK: usize = 128;
/// Slices at least so long are cut for several threads.
const PARALLEL: usize = 4096;
const LANES: usize = 8;
const RADIX_BITS: u32 = 25;
const RADIX: f64 = (1u64 << RADIX_BITS) as f64;

#[derive(Clone, Copy, Debug)]
struct NarrowSource {
    prime: Prime,
    /// `before (A / p)^-1`, centred, and that times `2^15 / p`, rounded.
    factor: i16,
    factor_over_p: i16,
    fraction: f64,
}

#[derive(Clone, Copy, Debug)]
struct WideSource {
    modulus: Modulus,
    q: f64,
    /// `before (A / q)^-1`, balanced, and that over `q`.
    factor: f64,
    factor_over_q: f64,
    /// Of the two digits.
    fractions: [f64; 2],
}

/// A modulus as the constants see it.
trait Factor: Copy {
    fn modulus(self) -> Modulus;
}

impl Factor for Prime {
    fn modulus(self) -> Modulus {
        Modulus::new(self.value() as u64).expect("an odd prime")
    }
}

impl Factor for Modulus {
    fn modulus(self) -> Modulus {
        self
    }
}

/// The product of all `factors` but those equal to `skip`, modulo `m`.
fn product<F: Factor>(factors: &[F], skip: Option<u64>, m: Modulus) -> u64 {
    factors
        .iter()
        .map(|f| f.modulus().value())
        .filter(|&f| Some(f) != skip)
        .fold(m.reduce_u64(1), |acc, f| m.mul(acc, m.reduce_u64(f)))
}

/// `before (A / a)^-1 mod a`, canonical.
fn source_factor<F: Factor>(from: &[F], a: Modulus, before: u64) -> u64 {
    let inverse = a.inv(product(from, Some(a.value()), a));
    a.mul(inverse.expect("distinct primes are coprime"), before)
}

/// The balanced remainder of `2^shift B` by `a`.
fn remainder<T: Factor>(to: &[T], a: Modulus, shift: u32) -> i64 {
    let r = a.mul(product(to, None, a), a.reduce_u64(1 << shift));
    a.residue(r) as i64
}

/// `f` of the digit `2^shift` of the source `a`.
fn fraction<T: Factor>(rule: Rule, to: &[T], a: Modulus, shift: u32) -> f64 {
    let numerator = match rule {
        Rule::Scaled => remainder(to, a, shift) as f64,
        Rule::Exact => (1u64 << shift) as f64,
    };
    numerator / a.value() as f64
}

/// `after w` of the digit `2^shift` of the source `a` for the target `m`, balanced.
fn weight<S: Factor, T: Factor>(
    rule: Rule,
    (from, to): (&[S], &[T]),
    (a, shift): (Modulus, u32),
    m: Modulus,
    after: u64,
) -> i64 {
    let scaled = |x: u64| m.mul(x, m.reduce_u64(1 << shift));
    let w = match rule {
        Rule::Exact => scaled(product(from, Some(a.value()), m)),
        // B / a is an integer: its other factors.
        Rule::Scaled if a == m => scaled(product(to, Some(a.value()), m)),
        // (2^shift B - r) / a, and B is zero.
        Rule::Scaled => {
            let inverse = m.inv(m.reduce_u64(a.value())).expect("distinct primes");
            m.mul(m.from_i64(-remainder(to, a, shift)), inverse)
        }
    };
    m.residue(m.mul(w, after)) as i64
}

/// `after w` of `t` for the target `m`, balanced.
fn last_weight<S: Factor>(rule: Rule, from: &[S], m: Modulus, after: u64) -> i64 {
    let w = match rule {
        Rule::Scaled => m.reduce_u64(1),
        Rule::Exact => m.neg(product(from, None, m)),
    };
    m.residue(m.mul(w, after)) as i64
}

#[derive(Clone, Debug)]
struct NarrowTarget {
    prime: Prime,
    p: f64,
    inverse_p: f64,
    weights: Vec<f64>,
}

#[derive(Clone, Debug)]
struct WideTarget {
    modulus: Modulus,
    q: f64,
    inverse_q: f64,
    /// Upper and lower digits.
    weights: Vec<[f64; 2]>,
}

impl NarrowTarget {
    fn new(prime: Prime, weights: Vec<i64>) -> Self {
        let p = f64::from(prime.value());
        Self {
            prime,
            p,
            inverse_p: 1.0 / p,
            weights: weights.into_iter().map(|w| w as f64).collect(),
        }
    }
}

impl WideTarget {
    fn new(modulus: Modulus, weights: Vec<i64>) -> Self {
        let q = modulus.value() as f64;
        let split = |w: i64| {
            let upper = (w as f64 / RADIX).round();
            [upper, (w - upper as i64 * (1 << RADIX_BITS)) as f64]
        };
        Self {
            modulus,
            q,
            inverse_q: 1.0 / q,
            weights: weights.into_iter().map(split).collect(),
        }
    }
}

trait Source: Copy + Sync {
    type Value: Copy + Sync;
    const DIGITS: usize;
    /// The digits of `y` for a block, and what they add to the sum of fractions.
    fn digits(
        &self,
        x: &[Self::Value],
        y: &mut [[f64; BLOCK]],
        sum: &mut [f64; BLOCK],
        small: &mut [i16; BLOCK],
    );
    /// The same in integers, `y` only.
    fn integers(&self, x: Self::Value) -> [i64; 2];
}

trait Target: Sync {
    type Value: Copy + Send + Default + Zeroize;
    /// A whole block.
    fn fill(&self, y: &[[f64; BLOCK]], out: &mut [Self::Value; BLOCK]);
    /// At most a block.
    #[inline(always)]
    fn finish(&self, y: &[[f64; BLOCK]], out: &mut [Self::Value]) {
        if let Some(out) = out.as_mut_array() {
            return self.fill(y, out);
        }
        let mut reduced = [Self::Value::default(); BLOCK];
        self.fill(y, &mut reduced);
        out.copy_from_slice(&reduced[..out.len()]);
        reduced.zeroize();
    }
    /// The same in integers.
    fn reduce(&self, sum: i128) -> Self::Value;
    fn weight(&self, i: usize) -> i64;
}

impl Source for NarrowSource {
    type Value = i16;
    const DIGITS: usize = 1;

    #[inline(always)]
    fn digits(
        &self,
        x: &[i16],
        y: &mut [[f64; BLOCK]],
        sum: &mut [f64; BLOCK],
        small: &mut [i16; BLOCK],
    ) {
        let (p, factor, over) = (self.prime.value(), self.factor, self.factor_over_p);
        for (y, &x) in small.iter_mut().zip(x) {
            let quotient = ((i32::from(x) * i32::from(over) + (1 << 14)) >> 15) as i16;
            *y = x
                .wrapping_mul(factor)
                .wrapping_sub(quotient.wrapping_mul(p));
        }
        for ((y, &small), sum) in y[0].iter_mut().zip(&*small).zip(sum) {
            *y = f64::from(small);
            *sum = y.mul_add(self.fraction, *sum);
        }
    }

    fn integers(&self, x: i16) -> [i64; 2] {
        [i64::from(self.prime.mul(x, self.factor)), 0]
    }
}

impl Source for WideSource {
    type Value = f64;
    const DIGITS: usize = 2;

    #[inline(always)]
    fn digits(
        &self,
        x: &[f64],
        y: &mut [[f64; BLOCK]],
        sum: &mut [f64; BLOCK],
        _: &mut [i16; BLOCK],
    ) {
        let [low, high] = y else {
            unreachable!("two digits")
        };
        let digits = low.iter_mut().zip(high.iter_mut());
        for (((low, high), &x), sum) in digits.zip(x).zip(sum) {
            let product = x * self.factor;
            let quotient = (x * self.factor_over_q).round_ties_even();
            let y = (-quotient).mul_add(self.q, product) + x.mul_add(self.factor, -product);
            *high = (y * (1.0 / RADIX)).round_ties_even();
            *low = (-*high).mul_add(RADIX, y);
            *sum = low.mul_add(self.fractions[0], *sum);
            *sum = high.mul_add(self.fractions[1], *sum);
        }
    }

    fn integers(&self, x: f64) -> [i64; 2] {
        let m = self.modulus;
        let y = m.residue(m.mul(m.canonical(x), m.canonical(self.factor))) as i64;
        let high = (y + (1 << (RADIX_BITS - 1))) >> RADIX_BITS;
        [y - (high << RADIX_BITS), high]
    }
}

impl Target for NarrowTarget {
    type Value = i16;

    #[inline(always)]
    fn fill(&self, y: &[[f64; BLOCK]], out: &mut [i16; BLOCK]) {
        // Its bits end in the integer that is added to it.
        const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;
        for (k, chunk) in out.chunks_exact_mut(LANES).enumerate() {
            let mut sum = [0.0; LANES];
            for (y, &w) in y.iter().zip(&self.weights) {
                for (sum, &y) in sum.iter_mut().zip(&y[k * LANES..][..LANES]) {
                    *sum = y.mul_add(w, *sum);
                }
            }
            for (out, sum) in chunk.iter_mut().zip(sum) {
                let quotient = (sum * self.inverse_p).round_ties_even();
                let r = (-quotient).mul_add(self.p, sum);
                *out = (r + MAGIC).to_bits() as i16;
            }
        }
    }

    fn reduce(&self, sum: i128) -> i16 {
        self.prime.reduce_i128(sum)
    }

    fn weight(&self, i: usize) -> i64 {
        self.weights[i] as i64
    }
}

impl Target for WideTarget {
    type Value = f64;

    #[inline(always)]
    fn fill(&self, y: &[[f64; BLOCK]], out: &mut [f64; BLOCK]) {
        for (k, chunk) in out.chunks_exact_mut(LANES).enumerate() {
            let (mut upper, mut lower) = ([0.0; LANES], [0.0; LANES]);
            for (y, w) in y.iter().zip(&self.weights) {
                let y = &y[k * LANES..][..LANES];
                for l in 0..LANES {
                    upper[l] = y[l].mul_add(w[0], upper[l]);
                    lower[l] = y[l].mul_add(w[1], lower[l]);
                }
            }
            for (out, (upper, lower)) in chunk.iter_mut().zip(upper.into_iter().zip(lower)) {
                let upper = upper * RADIX;
                let quotient = ((upper + lower) * self.inverse_q).round_ties_even();
                *out = (-quotient).mul_add(self.q, upper) + lower;
            }
        }
    }

    fn reduce(&self, sum: i128) -> f64 {
        self.modulus.residue(self.modulus.from_i128(sum))
    }

    fn weight(&self, i: usize) -> i64 {
        let [upper, lower] = self.weights[i];
        (upper as i64) * (1 << RADIX_BITS) + lower as i64
    }
}

/// Digits of a block of every source and, last, `t`; small `y`.
struct Scratch(Vec<[f64; BLOCK]>, [i16; BLOCK]);

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|x| x.zeroize());
        self.1.zeroize();
    }
}

#[derive(Clone, Debug)]
struct Core<S, T> {
    sources: Vec<S>,
    fractions: Vec<f64>,
    targets: Vec<T>,
    backend: Backend,
}

impl<S: Source, T: Target> Core<S, T> {
    fn convert(&self, from: &[&[S::Value]], to: &mut [&mut [T::Value]]) {
        assert_eq!(from.len(), self.sources.len(), "switch: source slices");
        assert_eq!(to.len(), self.targets.len(), "switch: target slices");
        let n = from[0].len();
        assert!(
            from.iter().all(|x| x.len() == n) && to.iter().all(|x| x.len() == n),
            "switch: lengths, expected {n} each"
        );
        let to: Vec<&mut [T::Value]> = to.iter_mut().map(|x| &mut **x).collect();
        self.split(from.to_vec(), to);
    }

    fn split(&self, from: Vec<&[S::Value]>, to: Vec<&mut [T::Value]>) {
        let n = from[0].len();
        if n < 2 * PARALLEL {
            return self.blocks(&from, to);
        }
        let middle = (n / 2).next_multiple_of(BLOCK);
        let (from_a, from_b) = from.into_iter().map(|x| x.split_at(middle)).unzip();
        let (to_a, to_b) = to.into_iter().map(|x| x.split_at_mut(middle)).unzip();
        rayon::join(|| self.split(from_a, to_a), || self.split(from_b, to_b));
    }

    fn blocks(&self, from: &[&[S::Value]], to: Vec<&mut [T::Value]>) {
        match self.backend.kind() {
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { self.blocks_avx2(from, to) },
            Kind::Scalar => self.integers(from, to),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn blocks_avx2(&self, from: &[&[S::Value]], mut to: Vec<&mut [T::Value]>) {
        let digits = self.sources.len() * S::DIGITS;
        let mut scratch = Scratch(vec![[0.0; BLOCK]; digits + 1], [0; BLOCK]);
        let n = from[0].len();
        for start in (0..n).step_by(BLOCK) {
            let end = n.min(start + BLOCK);
            let (y, t) = scratch.0.split_at_mut(digits);
            t[0] = [0.0; BLOCK];
            let parts = self.sources.iter().zip(y.chunks_exact_mut(S::DIGITS));
            for ((source, y), x) in parts.zip(from) {
                source.digits(&x[start..end], y, &mut t[0], &mut scratch.1);
            }
            for t in &mut t[0] {
                *t = t.round_ties_even();
            }
            for (target, out) in self.targets.iter().zip(&mut to) {
                target.finish(&scratch.0, &mut out[start..end]);
            }
        }
    }

    /// The reference. Fractions are doubles here too: both may differ by 1 next to a tie.
    fn integers(&self, from: &[&[S::Value]], mut to: Vec<&mut [T::Value]>) {
        for k in 0..from[0].len() {
            let mut digits = Vec::with_capacity(self.fractions.len() + 1);
            for (source, x) in self.sources.iter().zip(from) {
                digits.extend_from_slice(&source.integers(x[k])[..S::DIGITS]);
            }
            let terms = digits.iter().zip(&self.fractions);
            let t: f64 = terms.map(|(&y, f)| y as f64 * f).sum();
            digits.push(t.round_ties_even() as i64);
            for (target, out) in self.targets.iter().zip(&mut to) {
                let terms = digits.iter().enumerate();
                let sum = terms
                    .map(|(i, &y)| i128::from(y) * i128::from(target.weight(i)))
                    .sum();
                out[k] = target.reduce(sum);
            }
            digits.zeroize();
        }
    }
}

fn narrow_sources<T: Factor>(
    rule: Rule,
    from: &Basis,
    to: &[T],
    before: &impl Fn(u64) -> u64,
) -> Vec<NarrowSource> {
    let source = |&prime: &Prime| {
        let a = prime.modulus();
        let factor = source_factor(from.primes(), a, canonical(a, before));
        let factor = a.residue(factor) as i16;
        NarrowSource {
            prime,
            factor,
            factor_over_p: (f64::from(factor) * 32768.0 / f64::from(prime.value())).round() as i16,
            fraction: fraction(rule, to, a, 0),
        }
    };
    from.primes().iter().map(source).collect()
}

fn canonical(m: Modulus, factor: &impl Fn(u64) -> u64) -> u64 {
    let f = factor(m.value());
    assert!(f < m.value(), "switch: canonical factors");
    f
}

/// From narrow residues to wide ones; see the [module page](self).
#[derive(Clone, Debug)]
pub struct ToWide(Core<NarrowSource, WideTarget>);

impl ToWide {
    /// From the primes of `from` to the primes `to`.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for no target, or one that occurs twice; [`MathError::Backend`].
    pub fn new(rule: Rule, from: &Basis, to: &[Modulus]) -> Result<Self> {
        Self::with_factors(rule, from, to, |_| 1, |_| 1, Backend::try_detect()?)
    }

    /// As [`new`](Self::new) for `before x` in place of `x`, and the result times `after`. Both factors are given by their
    /// canonical residues modulo source and target primes; they become part of the constants, at no cost.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// If a factor is not canonical.
    pub fn with_factors(
        rule: Rule,
        from: &Basis,
        to: &[Modulus],
        before: impl Fn(u64) -> u64,
        after: impl Fn(u64) -> u64,
        backend: Backend,
    ) -> Result<Self> {
        check_wide("switch to wide residues", to, usize::MAX)?;
        let sources = narrow_sources(rule, from, to, &before);
        let target = |&m: &Modulus| {
            let after = canonical(m, &after);
            let weight = |s: &NarrowSource| {
                weight(rule, (from.primes(), to), (s.prime.modulus(), 0), m, after)
            };
            let mut weights: Vec<i64> = sources.iter().map(weight).collect();
            weights.push(last_weight(rule, from.primes(), m, after));
            WideTarget::new(m, weights)
        };
        let targets = to.iter().map(target).collect();
        Ok(Self(Core {
            fractions: sources.iter().map(|s| s.fraction).collect(),
            sources,
            targets,
            backend,
        }))
    }

    /// Converts `from[i][k]`, centred residues modulo source prime `i`, to lazy residues `to[j][k]`. Long slices are cut
    /// for the threads of `rayon`. Constant time; scratch memory is erased.
    ///
    /// # Panics
    /// If the numbers of slices are not those of the primes, or lengths differ.
    pub fn convert(&self, from: &[&[i16]], to: &mut [&mut [f64]]) {
        self.0.convert(from, to);
    }
}

/// From wide residues to narrow ones; see the [module page](self).
#[derive(Clone, Debug)]
pub struct ToNarrow(Core<WideSource, NarrowTarget>);

impl ToNarrow {
    /// From the primes `from` to the primes of `to`.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for no source, more than [`MAX_WIDE`], or one that occurs twice;
    /// [`MathError::Backend`].
    pub fn new(rule: Rule, from: &[Modulus], to: &Basis) -> Result<Self> {
        Self::with_factors(rule, from, to, |_| 1, |_| 1, Backend::try_detect()?)
    }

    /// As [`new`](Self::new), with factors as in [`ToWide::with_factors`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// If a factor is not canonical.
    pub fn with_factors(
        rule: Rule,
        from: &[Modulus],
        to: &Basis,
        before: impl Fn(u64) -> u64,
        after: impl Fn(u64) -> u64,
        backend: Backend,
    ) -> Result<Self> {
        check_wide("switch to narrow residues", from, MAX_WIDE)?;
        let source = |&modulus: &Modulus| {
            let factor = source_factor(from, modulus, canonical(modulus, &before));
            let (factor, q) = (modulus.residue(factor), modulus.value() as f64);
            WideSource {
                modulus,
                q,
                factor,
                factor_over_q: factor / q,
                fractions: [0, RADIX_BITS].map(|shift| fraction(rule, to.primes(), modulus, shift)),
            }
        };
        let target = |&prime: &Prime| {
            let m = prime.modulus();
            let after = canonical(m, &after);
            let mut weights = Vec::new();
            for &a in from {
                weights.extend(
                    [0, RADIX_BITS]
                        .map(|shift| weight(rule, (from, to.primes()), (a, shift), m, after)),
                );
            }
            weights.push(last_weight(rule, from, m, after));
            NarrowTarget::new(prime, weights)
        };
        let sources: Vec<_> = from.iter().map(source).collect();
        Ok(Self(Core {
            fractions: sources.iter().flat_map(|s| s.fractions).collect(),
            sources,
            targets: to.primes().iter().map(target).collect(),
            backend,
        }))
    }

    /// Converts `from[i][k]`, lazy residues modulo source prime `i`, to centred residues `to[j][k]`. Long slices are cut
    /// for the threads of `rayon`. Constant time; scratch memory is erased.
    ///
    /// # Panics
    /// If the numbers of slices are not those of the primes, or lengths differ.
    pub fn convert(&self, from: &[&[f64]], to: &mut [&mut [i16]]) {
        self.0.convert(from, to);
    }
}

/// From narrow residues to narrow ones. See the [module page](self).
#[derive(Clone, Debug)]
pub struct Between(Core<NarrowSource, NarrowTarget>);

impl Between {
    /// From the primes of `from` to those of `to`.
    ///
    /// # Errors
    /// [`MathError::Backend`].
    pub fn new(rule: Rule, from: &Basis, to: &Basis) -> Result<Self> {
        Ok(Self::with_factors(
            rule,
            from,
            to,
            |_| 1,
            |_| 1,
            Backend::try_detect()?,
        ))
    }

    /// As [`new`](Self::new), with factors as in [`ToWide::with_factors`].
    ///
    /// # Panics
    /// If a factor is not canonical.
    pub fn with_factors(
        rule: Rule,
        from: &Basis,
        to: &Basis,
        before: impl Fn(u64) -> u64,
        after: impl Fn(u64) -> u64,
        backend: Backend,
    ) -> Self {
        let sources = narrow_sources(rule, from, to.primes(), &before);
        let target = |&prime: &Prime| {
            let m = prime.modulus();
            let after = canonical(m, &after);
            let both = (from.primes(), to.primes());
            let weight = |s: &NarrowSource| weight(rule, both, (s.prime.modulus(), 0), m, after);
            let mut weights: Vec<i64> = sources.iter().map(weight).collect();
            weights.push(last_weight(rule, from.primes(), m, after));
            NarrowTarget::new(prime, weights)
        };
        let targets = to.primes().iter().map(target).collect();
        Self(Core {
            fractions: sources.iter().map(|s| s.fraction).collect(),
            sources,
            targets,
            backend,
        })
    }

    /// Converts `from[i][k]`, centred residues modulo source prime `i`, to centred residues `to[j][k]`. Long slices are cut
    /// for the threads of `rayon`. Constant time; scratch memory is erased.
    ///
    /// # Panics
    /// If the numbers of slices are not those of the primes, or lengths differ.
    pub fn convert(&self, from: &[&[i16]], to: &mut [&mut [i16]]) {
        self.0.convert(from, to);
    }
}

fn check_wide(operation: &'static str, primes: &[Modulus], most: usize) -> Result<()> {
    let twice = (1..primes.len()).find(|&i| primes[..i].contains(&primes[i]));
    if primes.is_empty() || primes.len() > most || twice.is_some() {
        return Err(MathError::Parameter {
            operation,
            got: match twice {
                Some(i) => format!("{} twice", primes[i].value()),
                None => format!("{} primes", primes.len()),
            },
            expected: format!("1 to {most} primes, each once"),
            hint: "use the primes of one level",
        });
    }
    Ok(())
}
