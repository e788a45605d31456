//! Products of ciphertexts without big integers: `round(t / Q * sum_i a_i (x) b_i)` modulo Q.
//!
//! # Method
//! HPS over Q (Kim, Polyakov, Zucca, eprint 2021/204, section 4, after Halevi, Polyakov, Shoup, eprint 2018/117), in which one operand
//! changes its modulus first. With an auxiliary modulus `R`, for each half of a ciphertext:
//!
//! 1. `a`, centred modulo Q, is extended to R;
//! 2. `b' = round(R b / Q)` modulo R, centred, is extended to Q;
//! 3. `d = sum_i a_i (x) b'_i` modulo Q R;
//! 4. `round(t d / R) = (t d - [t d]_R) / R` modulo Q.
//!
//! The tensor may wrap around modulo `Q R`: another representative `d + k Q R` gives the same result but for `t k Q`, which
//! is zero modulo Q. Hence **R need not grow with the number of terms**, nor with N or t, and step 4 needs no transform back of
//! the residues modulo Q. Steps 1, 2 and 4 are conversions of base ([`BaseConverter::scaled`]) whose factors are part of the
//! constants.
//!
//! # Relinearization and the modulus switch
//! A product is never wanted with three halves at its own level. With the third one scaled as above and multiplied by the
//! relinearization key, `u = (u_0, u_1)` modulo Q P, the result one level lower is `(t d / R + u / P) / G` for the level's group G:
//! one division of `P t d + R u` by `P G R`, with one rounding instead of three and 2 L transforms less
//! ([`Multiplier::multiply`]).
//!
//! # Error
//! Let `phi(x) = x_0 + x_1 s` (and `phi(r) = r_0 + r_1 s + r_2 s^2`) over the integers. The result `d` has, modulo Q,
//!
//! `phi(d) = t / Q * sum_i phi(a_i) (phi(b_i) + phi(e_i)) + phi(r)`
//!
//! for some lifts `a_i`, `b_i` of the operands and errors with, coefficient by coefficient in each half,
//!
//! - `|a_i| <= (1/2 + 2^-40) Q` and `|b_i| <= (1/2 + 2^-40) Q + 2`;
//! - `|e_i| <= (1/2 + 2^-40) Q / R`, the rounding of step 2: [`Multiplier::operand_error`];
//! - `|r| <= 1/2 + 2^-40`, the rounding of step 4: [`ROUNDING_ERROR`].
//!
//! `multiply` gives `(phi(d) + w) / G + r_0 + r_1 s` with the last two as small as above, where only the third half of `d` was rounded
//! (`phi(r) = r_2 s^2`) and `w` is the noise of the key switch before its rounding.
//!
//! So a product is exact but that the second operand seems to have come from one more modulus switch, of which the part
//! `Q / R <= 2` counts, and for three halves rounded at the end. Near ties, conversions of base may give the other neighbour; the
//! 2^-40 are for them. (Step 2 at the ends of its range may give `b' +- R`: that is another lift `b_i`.)

use crate::noise::OUTWARD_POWER;
use cipherblas_math::primes::primes_near;
use cipherblas_math::{Backend, BaseConverter, Modulus, NttPlan};
use cipherblas_rlwe::pairs::{Pair, PairRef};
use cipherblas_rlwe::parallel::{each_item, each_limb};
use cipherblas_rlwe::switch::{KeySwitchKey, switch_product};
use cipherblas_rlwe::{Ntt, Poly, Ring, Scratch};
use cipherblas_scheme::capability::check_pairs;
use cipherblas_scheme::security::log2_product;
use cipherblas_scheme::{Error, Result};
use std::sync::Arc;

/// Bound on what is added to each coefficient of the three halves of a product: see the [module page](self).
pub(crate) const ROUNDING_ERROR: f64 = 0.5 + 1.0 / (1u64 << 40) as f64;

/// R is at least Q over two to this.
const SHORTFALL_BITS: f64 = 1.0;

/// The three halves of a product.
#[cfg(test)]
type Triple = (Poly<Ntt>, Poly<Ntt>, Poly<Ntt>);

/// Scaled products of ciphertexts at all levels of a ring, for several plaintext moduli.
pub(crate) struct Multiplier {
    ring: Arc<Ring>,
    /// Transforms modulo the primes of R; each level uses the first few.
    auxiliary: Vec<NttPlan>,
    levels: Vec<Level>,
}

struct Level {
    /// Primes of Q and of R.
    limbs: usize,
    auxiliary: usize,
    /// `x` modulo Q to its centred representative modulo R: step 1.
    extend: BaseConverter,
    /// `x` modulo Q to `round(R x / Q)` modulo R: step 2.
    divide: BaseConverter,
    /// `x` modulo R to its centred representative modulo Q: step 2.
    back: BaseConverter,
    /// Step 4, by plaintext modulus.
    scale: Vec<Scale>,
    /// All divisions at once, by plaintext modulus; none at level 0.
    switch: Vec<Switch>,
    /// Q / R.
    ratio: f64,
}

struct Scale {
    /// `x` modulo R to `-[t x]_R / R` modulo Q.
    down: BaseConverter,
    /// `t / R` modulo each prime of Q.
    factor: Vec<f64>,
}

/// From `d` modulo Q R and `u` modulo Q P to `round((P t d + R u) / (P G R))` modulo the level below.
struct Switch {
    /// `x` to `-[x]_PGR / PGR`, where `x` is given by `d` modulo R, `u` modulo P, and itself modulo G.
    down: BaseConverter,
    /// `P t` and `R` modulo the primes of G; `t / (G R)` and `1 / (P G)` modulo those below.
    factors: Vec<(f64, f64)>,
}

fn from_math(error: impl std::fmt::Display) -> Error {
    Error::Parameter {
        what: "multiplication",
        got: error.to_string(),
        expected: "enough primes below 2^50 that are 1 modulo 2N, and coprime moduli".into(),
        hint: "use a larger ring degree or less depth",
    }
}

impl Multiplier {
    /// For the plaintext moduli `t`, which are primes below 2^50 and none of those of Q.
    ///
    /// # Errors
    /// `Parameter` for other moduli, or if there are not enough auxiliary primes.
    pub(crate) fn new(ring: &Arc<Ring>, t: &[u64]) -> Result<Self> {
        let n = ring.degree();
        let (q, special) = ring.moduli().split_at(ring.q_len());
        let values = |moduli: &[Modulus]| moduli.iter().map(|m| m.value()).collect::<Vec<u64>>();
        let t: Vec<Modulus> = t
            .iter()
            .map(|&t| Modulus::new(t))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let excluded = [values(ring.moduli()), values(&t)].concat();
        // Near 2^50, as many primes as Q has are always enough, or nearly so.
        let wanted = ring.q_len() + 1;
        let primes = primes_near((1 << 50) - 1, 2 * n as u64, wanted, &excluded);
        let primes = primes.map_err(from_math)?;
        let log_q = log2_of(q);
        let used = (1..wanted)
            .find(|&k| log2_product(&primes[..k]) + SHORTFALL_BITS >= log_q)
            .unwrap_or(wanted);
        let auxiliary: Vec<NttPlan> = primes[..used]
            .iter()
            .map(|&p| NttPlan::with_backend(n, Modulus::new(p)?, ring.plan(0).backend()))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let levels = (0..=ring.max_level())
            .map(|level| {
                let below = level.checked_sub(1).map(|below| ring.basis(below).q);
                Level::new(&q[..ring.basis(level).q], below, special, &auxiliary, &t)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            ring: ring.clone(),
            auxiliary,
            levels,
        })
    }

    /// The largest coefficient of what seems to be added to each half of the second operand at `level`: see the
    /// [module page](self).
    ///
    /// # Panics
    /// If there is no such level.
    pub(crate) fn operand_error(&self, level: usize) -> f64 {
        ROUNDING_ERROR * self.levels[level].ratio
    }

    /// `sum_i a_i b_i` under one key, one level lower: the scaled tensor, relinearized, its modulus switched. The error is
    /// on the [module page](self).
    ///
    /// Cost at L primes of Q, K auxiliary ones, p special ones and g in the level's group: for each term 6 L + 4 K transforms; for the
    /// sum 3 K + L, a product with the key, and 2 (L + p).
    ///
    /// # Errors
    /// `Shape` if the lengths differ or are zero, `Depth` at level 0.
    ///
    /// # Panics
    /// If the operands are not all over the primes of one level, or there is no such plaintext modulus.
    pub(crate) fn multiply(
        &self,
        index: usize,
        a: &[PairRef<'_>],
        b: &[PairRef<'_>],
        key: &KeySwitchKey,
    ) -> Result<Pair> {
        self.product(index, &terms(a, b)?, key)
    }

    /// As [`multiply`](Self::multiply), for the square of one ciphertext: 2 L transforms less.
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    ///
    /// # Panics
    /// As [`multiply`](Self::multiply).
    pub(crate) fn square(&self, index: usize, a: PairRef<'_>, key: &KeySwitchKey) -> Result<Pair> {
        self.product(index, &[Term { a, b: None }], key)
    }

    fn product(&self, index: usize, terms: &[Term<'_>], key: &KeySwitchKey) -> Result<Pair> {
        let work = self.work(index, terms);
        let missing = Error::Depth {
            operation: "mul",
            needed: 1,
            left: 0,
        };
        let switch = work.level.switch.get(index).ok_or(missing)?;
        Ok(work.switched(&work.tensor(terms), switch, work.number - 1, key))
    }

    /// `round(t / Q * sum_i a_i (x) b_i)`: the three halves of the product at the level of the operands.
    #[cfg(test)]
    fn scaled_tensor(&self, index: usize, terms: &[Term<'_>]) -> Triple {
        let work = self.work(index, terms);
        let sums = work.tensor(terms);
        let half = |half| work.divide(half, &sums);
        (half(0), half(1), half(2))
    }

    /// The level of the operands and what is needed to multiply there.
    fn work(&self, index: usize, terms: &[Term<'_>]) -> Work<'_> {
        let basis = terms[0].a.0.basis();
        let number = (0..self.levels.len())
            .find(|&level| self.ring.basis(level) == basis)
            .expect("operands are over the primes of a level");
        let same = |x: PairRef<'_>| x.0.basis() == basis && x.1.basis() == basis;
        assert!(
            terms.iter().all(|t| same(t.a) && t.b.is_none_or(same)),
            "all operands are at one level"
        );
        let level = &self.levels[number];
        Work {
            ring: &self.ring,
            number,
            auxiliary: &self.auxiliary[..level.auxiliary],
            level,
            scale: &level.scale[index],
        }
    }
}

/// Pairs up the terms of a sum.
fn terms<'a>(a: &[PairRef<'a>], b: &[PairRef<'a>]) -> Result<Vec<Term<'a>>> {
    check_pairs("mul_sum", a.len(), b.len())?;
    Ok(a.iter()
        .zip(b)
        .map(|(&a, &b)| Term { a, b: Some(b) })
        .collect())
}

impl Level {
    /// For the primes `q`, of which the first `below` are those of the level below.
    fn new(
        q: &[Modulus],
        below: Option<usize>,
        special: &[Modulus],
        auxiliary: &[NttPlan],
        t: &[Modulus],
    ) -> Result<Self> {
        let log_q = log2_of(q);
        let all: Vec<Modulus> = auxiliary.iter().map(NttPlan::modulus).collect();
        let count = (1..all.len())
            .find(|&k| log2_of(&all[..k]) + SHORTFALL_BITS >= log_q)
            .unwrap_or(all.len());
        let r = &all[..count];
        let backend = auxiliary[0].backend();
        let scales = t.iter().map(|&t| Scale::new(q, r, t, backend));
        let switches = below.map_or(vec![], |below| {
            let switches = t
                .iter()
                .map(|&t| Switch::new(q.split_at(below), r, special, t, backend));
            switches.collect()
        });
        let divide = BaseConverter::scaled(q, r, |q| product(r, q), |r| negative(q, r), backend);
        Ok(Self {
            limbs: q.len(),
            auxiliary: count,
            extend: BaseConverter::with_backend(q, r, backend).map_err(from_math)?,
            divide: divide.map_err(from_math)?,
            back: BaseConverter::with_backend(r, q, backend).map_err(from_math)?,
            scale: scales.collect::<Result<_>>()?,
            switch: switches.into_iter().collect::<Result<_>>()?,
            ratio: (log_q - log2_of(r)).exp2() * OUTWARD_POWER,
        })
    }
}

impl Scale {
    fn new(q: &[Modulus], r: &[Modulus], t: Modulus, backend: Backend) -> Result<Self> {
        let before = |r: Modulus| r.reduce_u64(t.value());
        let down = BaseConverter::scaled(r, q, before, |q| negative(r, q), backend);
        let factor = |q: &Modulus| q.residue(q.mul(q.reduce_u64(t.value()), inverse(r, *q)));
        Ok(Self {
            down: down.map_err(from_math)?,
            factor: q.iter().map(factor).collect(),
        })
    }
}

impl Switch {
    /// For the primes below the level's group and those of the group.
    fn new(
        (below, group): (&[Modulus], &[Modulus]),
        r: &[Modulus],
        special: &[Modulus],
        t: Modulus,
        backend: Backend,
    ) -> Result<Self> {
        let dropped = [r, special, group].concat();
        let before = |m: Modulus| {
            if r.contains(&m) {
                m.mul(product(special, m), m.reduce_u64(t.value()))
            } else if special.contains(&m) {
                product(r, m)
            } else {
                1
            }
        };
        let after = |q: Modulus| negative(&dropped, q);
        let down = BaseConverter::scaled(&dropped, below, before, after, backend);
        let factor = |q: Modulus, d: u64, u: u64| {
            let d = q.mul(d, q.reduce_u64(t.value()));
            (q.residue(d), q.residue(u))
        };
        let outside = below.iter().map(|&q| {
            let group = inverse(group, q);
            let (d, u) = (inverse(r, q), inverse(special, q));
            factor(q, q.mul(d, group), q.mul(u, group))
        });
        let inside = group
            .iter()
            .map(|&g| factor(g, product(special, g), product(r, g)));
        Ok(Self {
            down: down.map_err(from_math)?,
            factors: outside.chain(inside).collect(),
        })
    }
}

fn log2_of(moduli: &[Modulus]) -> f64 {
    log2_product(&moduli.iter().map(|m| m.value()).collect::<Vec<u64>>())
}

/// The product of `moduli` modulo another prime.
fn product(moduli: &[Modulus], modulo: Modulus) -> u64 {
    moduli
        .iter()
        .fold(1, |acc, m| modulo.mul(acc, modulo.reduce_u64(m.value())))
}

/// One over the product.
fn inverse(moduli: &[Modulus], modulo: Modulus) -> u64 {
    let inverse = modulo.inv(product(moduli, modulo));
    inverse.expect("distinct primes are coprime")
}

/// Minus one over the product.
fn negative(moduli: &[Modulus], modulo: Modulus) -> u64 {
    modulo.neg(inverse(moduli, modulo))
}

/// One product of a sum; no second operand is a square.
struct Term<'a> {
    a: PairRef<'a>,
    b: Option<PairRef<'a>>,
}

/// The same pieces of `size` residues of every limb together: conversions of base then stay in cache.
fn pieces(data: &mut [f64], n: usize, size: usize) -> Vec<Vec<&mut [f64]>> {
    let mut pieces: Vec<Vec<&mut [f64]>> = (0..n.div_ceil(size)).map(|_| Vec::new()).collect();
    for limb in data.chunks_mut(n) {
        for (pieces, piece) in pieces.iter_mut().zip(limb.chunks_mut(size)) {
            pieces.push(piece);
        }
    }
    pieces
}

/// The limbs of several polynomials by prime, of which there are `count`.
fn by_prime<'a>(
    data: impl IntoIterator<Item = &'a mut [f64]>,
    n: usize,
    count: usize,
) -> Vec<Vec<&'a mut [f64]>> {
    let mut limbs: Vec<Vec<&mut [f64]>> = (0..count).map(|_| Vec::new()).collect();
    for data in data {
        for (i, limb) in data.chunks_mut(n).enumerate() {
            limbs[i % count].push(limb);
        }
    }
    limbs
}

/// One computation: the pieces that all its steps use. A half is a polynomial; halves and their limbs lie one after another.
struct Work<'r> {
    ring: &'r Arc<Ring>,
    number: usize,
    auxiliary: &'r [NttPlan],
    level: &'r Level,
    scale: &'r Scale,
}

/// The three halves of the tensor: coefficients modulo R, transforms modulo Q.
struct Sums<'r> {
    r: Scratch<'r>,
    q: Scratch<'r>,
}

/// One of the three halves.
fn half_of(tensor: &[f64], half: usize) -> &[f64] {
    let len = tensor.len() / 3;
    &tensor[half * len..(half + 1) * len]
}

/// Residues converted at a time.
const PIECE: usize = 1024;

impl<'r> Work<'r> {
    /// Steps 1 to 3.
    fn tensor(&self, terms: &[Term<'_>]) -> Sums<'r> {
        let (n, level) = (self.ring.degree(), self.level);
        let mut r = self.ring.scratch(3 * level.auxiliary * n);
        let mut q = self.ring.scratch(3 * level.limbs * n);
        let mut halves_r = self.ring.scratch(4 * level.auxiliary * n);
        let mut halves_q = self.ring.scratch(2 * level.limbs * n);
        for (i, term) in terms.iter().enumerate() {
            let (first, last) = (i == 0, i + 1 == terms.len());
            self.convert(term, &mut halves_r, &mut halves_q);
            self.tensor_modulo_r(first, last, &mut halves_r, &mut r);
            self.tensor_modulo_q(term, first, &mut halves_q, &mut q);
        }
        Sums { r, q }
    }

    /// Step 4 for the third half, the product with the key, and all other divisions at once.
    fn switched(&self, sums: &Sums<'_>, switch: &Switch, below: usize, key: &KeySwitchKey) -> Pair {
        let (u0, u1) = switch_product(&self.divide(2, sums), key);
        (
            self.switch_half(switch, below, 0, sums, &u0),
            self.switch_half(switch, below, 1, sums, &u1),
        )
    }

    /// One half of the result of [`Multiplier::multiply`], with its part of the product with the key.
    fn switch_half(
        &self,
        switch: &Switch,
        below: usize,
        half: usize,
        sums: &Sums<'_>,
        u: &Poly<Ntt>,
    ) -> Poly<Ntt> {
        let n = self.ring.degree();
        let (modulo_r, modulo_q) = (half_of(&sums.r, half), half_of(&sums.q, half));
        let (limbs, rest) = (self.level.limbs, self.ring.basis(below).q);
        let special = self.ring.p_len();
        let mut dropped = self.ring.scratch((special + limbs - rest) * n);
        each_limb(&mut dropped, n, |i, limb| {
            if i < special {
                limb.copy_from_slice(u.limb(limbs + i));
                self.ring.plan(self.ring.q_len() + i).inverse(limb);
            } else {
                let k = rest + i - special;
                let plan = self.ring.plan(k);
                let (d, u_factor) = switch.factors[k];
                plan.kernels().scale(limb, &modulo_q[k * n..(k + 1) * n], d);
                plan.kernels().scale_add_assign(limb, u.limb(k), u_factor);
                plan.inverse(limb);
            }
        });
        let mut out = Poly::dirty(u.ring(), self.ring.basis(below));
        let size = PIECE.min(n);
        let items = pieces(out.data_mut(), n, size);
        each_item(items, 2 * limbs * size, |piece, mut out| {
            let range = piece * size..(piece + 1) * size;
            let from = modulo_r.chunks(n).chain(dropped.chunks(n));
            let from: Vec<&[f64]> = from.map(|limb| &limb[range.clone()]).collect();
            switch.down.convert(&from, &mut out);
        });
        out.fill_with(|kernels, k, limb| {
            self.ring.plan(k).forward(limb);
            let (d, u_factor) = switch.factors[k];
            kernels.scale_add_assign(limb, &modulo_q[k * n..(k + 1) * n], d);
            kernels.scale_add_assign(limb, u.limb(k), u_factor);
        });
        out
    }

    /// Steps 1 and 2: coefficients of `a` and `b'` modulo R, and of `b'` modulo Q.
    fn convert(&self, term: &Term<'_>, halves_r: &mut [f64], halves_q: &mut [f64]) {
        let (n, level) = (self.ring.degree(), self.level);
        let (limbs, count) = (level.limbs, level.auxiliary);
        let mut inputs = vec![term.a.0, term.a.1];
        inputs.extend(term.b.iter().flat_map(|b| [b.0, b.1]));
        let mut coefficients = self.ring.scratch(inputs.len() * limbs * n);
        each_limb(&mut coefficients, n, |i, limb| {
            limb.copy_from_slice(inputs[i / limbs].limb(i % limbs));
            self.ring.plan(i % limbs).inverse(limb);
        });
        let second = if term.b.is_some() { 2 } else { 0 };
        let size = PIECE.min(n);
        let items = pieces(halves_r, n, size)
            .into_iter()
            .zip(pieces(halves_q, n, size))
            .collect();
        each_item(
            items,
            4 * (limbs + count) * size,
            |piece, (mut r, mut q)| {
                let range = piece * size..(piece + 1) * size;
                let half = |half: usize| -> Vec<&[f64]> {
                    let limbs = coefficients.chunks(n).skip(half * limbs).take(limbs);
                    limbs.map(|limb| &limb[range.clone()]).collect()
                };
                let (a, b) = r.split_at_mut(2 * count);
                for (i, a) in a.chunks_mut(count).enumerate() {
                    level.extend.convert(&half(i), a);
                }
                for (i, (b, q)) in b.chunks_mut(count).zip(q.chunks_mut(limbs)).enumerate() {
                    level.divide.convert(&half(second + i), b);
                    let b: Vec<&[f64]> = b.iter().map(|b| &**b).collect();
                    level.back.convert(&b, q);
                }
            },
        );
    }

    /// The tensor modulo R, added to what `tensor` holds unless this is the first term; of the last one, its coefficients.
    fn tensor_modulo_r(&self, first: bool, last: bool, halves: &mut [f64], tensor: &mut [f64]) {
        let (n, count) = (self.ring.degree(), self.level.auxiliary);
        let limbs = by_prime([halves, tensor], n, count);
        each_item(limbs, 7 * n, |k, mut limbs| {
            let plan = &self.auxiliary[k];
            let (halves, tensor) = limbs.split_at_mut(4);
            for half in halves.iter_mut() {
                plan.forward(half);
            }
            accumulate(
                plan,
                first,
                tensor,
                &[&*halves[0], &*halves[1], &*halves[2], &*halves[3]],
            );
            if last {
                for half in tensor {
                    plan.inverse(half);
                }
            }
        });
    }

    /// The tensor modulo Q, added to what `tensor` holds unless this is the first term.
    fn tensor_modulo_q(
        &self,
        term: &Term<'_>,
        first: bool,
        halves: &mut [f64],
        tensor: &mut [f64],
    ) {
        let n = self.ring.degree();
        let a = term.a;
        let limbs = by_prime([halves, tensor], n, self.level.limbs);
        each_item(limbs, 5 * n, |k, mut limbs| {
            let plan = self.ring.plan(k);
            let (b, tensor) = limbs.split_at_mut(2);
            for half in b.iter_mut() {
                plan.forward(half);
            }
            let factors = [a.0.limb(k), a.1.limb(k), &*b[0], &*b[1]];
            accumulate(plan, first, tensor, &factors);
        });
    }

    /// Step 4 for one half of the tensor.
    fn divide(&self, half: usize, sums: &Sums<'_>) -> Poly<Ntt> {
        let (n, limbs) = (self.ring.degree(), self.level.limbs);
        let mut out = Poly::dirty(self.ring, self.ring.basis(self.number));
        let size = PIECE.min(n);
        let items = pieces(out.data_mut(), n, size);
        each_item(items, 2 * limbs * size, |piece, mut out| {
            let range = piece * size..(piece + 1) * size;
            let from = half_of(&sums.r, half).chunks(n);
            let from: Vec<&[f64]> = from.map(|limb| &limb[range.clone()]).collect();
            self.scale.down.convert(&from, &mut out);
        });
        out.fill_with(|kernels, k, limb| {
            self.ring.plan(k).forward(limb);
            let sum = &half_of(&sums.q, half)[k * n..(k + 1) * n];
            kernels.scale_add_assign(limb, sum, self.scale.factor[k]);
        });
        out
    }
}

/// The tensor of four transformed halves, or that added to `sums`.
fn accumulate(plan: &NttPlan, first: bool, sums: &mut [&mut [f64]], halves: &[&[f64]; 4]) {
    let kernels = plan.kernels();
    let [d0, d1, d2] = sums else {
        unreachable!("a tensor has three halves")
    };
    let [a0, a1, b0, b1] = halves;
    if first {
        kernels.tensor(d0, d1, d2, a0, a1, b0, b1);
    } else {
        kernels.tensor_add(d0, d1, d2, a0, a1, b0, b1);
    }
}

impl std::fmt::Debug for Multiplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multiplier")
            .field("degree", &self.ring.degree())
            .field("auxiliary", &self.auxiliary.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
