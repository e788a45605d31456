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
//! So a product is exact but that the second operand seems to have come from one more modulus switch, of which the part
//! `Q / R <= 2` counts, and for three halves rounded at the end. Near ties, conversions of base may give the other neighbour; the
//! 2^-40 are for them. (Step 2 at the ends of its range may give `b' +- R`: that is another lift `b_i`.)

use cipherblas_math::primes::primes_near;
use cipherblas_math::{BaseConverter, Modulus, NttPlan};
use cipherblas_rlwe::parallel::each_item;
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
pub(crate) type Triple = (Poly<Ntt>, Poly<Ntt>, Poly<Ntt>);

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
    /// Q / R.
    ratio: f64,
}

struct Scale {
    /// `x` modulo R to `-[t x]_R / R` modulo Q.
    down: BaseConverter,
    /// `t / R` modulo each prime of Q.
    factor: Vec<f64>,
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
        let q = &ring.moduli()[..ring.q_len()];
        let values = |moduli: &[Modulus]| moduli.iter().map(|m| m.value()).collect::<Vec<u64>>();
        let t: Vec<Modulus> = t
            .iter()
            .map(|&t| Modulus::new(t))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let excluded = [values(q), values(&t)].concat();
        // Near 2^50, as many primes as Q has are always enough, or nearly so.
        let wanted = ring.q_len() + 1;
        let primes = primes_near((1 << 50) - 1, 2 * n as u64, wanted, &excluded);
        let primes = primes.map_err(from_math)?;
        let log_q = log2_product(&values(q));
        let used = (1..wanted)
            .find(|&k| log2_product(&primes[..k]) + SHORTFALL_BITS >= log_q)
            .unwrap_or(wanted);
        let auxiliary: Vec<NttPlan> = primes[..used]
            .iter()
            .map(|&p| NttPlan::with_backend(n, Modulus::new(p)?, ring.plan(0).backend()))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let levels = (0..=ring.max_level())
            .map(|level| Level::new(&q[..ring.basis(level).q], &auxiliary, &t))
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

    /// `round(t / Q * sum_i a_i (x) b_i)` for plaintext modulus number `index`: the coefficients of 1, s, s^2, over the level of the
    /// operands, which is that of the first one. The error is on the [module page](self).
    ///
    /// Cost for each term at L primes of Q and K auxiliary ones: 6 L + 4 K transforms, and for the sum 3 (L + K).
    ///
    /// # Errors
    /// `Shape` if the lengths differ or are zero.
    ///
    /// # Panics
    /// If the operands are not all over the primes of one level, or there is no such modulus.
    pub(crate) fn tensor_sum(
        &self,
        index: usize,
        a: &[(&Poly<Ntt>, &Poly<Ntt>)],
        b: &[(&Poly<Ntt>, &Poly<Ntt>)],
    ) -> Result<Triple> {
        check_pairs("mul_sum", a.len(), b.len())?;
        let terms: Vec<Term<'_>> = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| Term { a, b: Some(b) })
            .collect();
        Ok(self.scaled_tensor(index, &terms))
    }

    /// As [`tensor_sum`](Self::tensor_sum), for the square of one ciphertext: 2 L transforms less.
    ///
    /// # Panics
    /// As [`tensor_sum`](Self::tensor_sum).
    pub(crate) fn square(&self, index: usize, a: (&Poly<Ntt>, &Poly<Ntt>)) -> Triple {
        self.scaled_tensor(index, &[Term { a, b: None }])
    }

    fn scaled_tensor(&self, index: usize, terms: &[Term<'_>]) -> Triple {
        let basis = terms[0].a.0.basis();
        let number = (0..self.levels.len())
            .find(|&level| self.ring.basis(level) == basis)
            .expect("operands are over the primes of a level");
        let same = |x: (&Poly<Ntt>, &Poly<Ntt>)| x.0.basis() == basis && x.1.basis() == basis;
        assert!(
            terms.iter().all(|t| same(t.a) && t.b.is_none_or(same)),
            "all operands are at one level"
        );
        let level = &self.levels[number];
        let work = Work {
            ring: &self.ring,
            auxiliary: &self.auxiliary[..level.auxiliary],
            level,
            scale: &level.scale[index],
        };
        work.run(terms)
    }
}

impl Level {
    fn new(q: &[Modulus], auxiliary: &[NttPlan], t: &[Modulus]) -> Result<Self> {
        let values = |moduli: &[Modulus]| moduli.iter().map(|m| m.value()).collect::<Vec<u64>>();
        let log_q = log2_product(&values(q));
        let all: Vec<Modulus> = auxiliary.iter().map(NttPlan::modulus).collect();
        let count = (1..all.len())
            .find(|&k| log2_product(&values(&all[..k])) + SHORTFALL_BITS >= log_q)
            .unwrap_or(all.len());
        let r = &all[..count];
        let backend = auxiliary[0].backend();
        let product = |moduli: &[Modulus], modulo: Modulus| {
            moduli
                .iter()
                .fold(1, |acc, m| modulo.mul(acc, modulo.reduce_u64(m.value())))
        };
        // Distinct primes: every inverse exists.
        let inverse = |moduli: &[Modulus], modulo: Modulus| {
            modulo
                .inv(product(moduli, modulo))
                .expect("distinct primes are coprime")
        };
        let scale = t
            .iter()
            .map(|t| {
                let down = BaseConverter::scaled(
                    r,
                    q,
                    |r| r.reduce_u64(t.value()),
                    |q| q.neg(inverse(r, q)),
                    backend,
                )
                .map_err(from_math)?;
                let factor = q
                    .iter()
                    .map(|q| q.residue(q.mul(q.reduce_u64(t.value()), inverse(r, *q))))
                    .collect();
                Ok(Scale { down, factor })
            })
            .collect::<Result<_>>()?;
        let divide =
            BaseConverter::scaled(q, r, |q| product(r, q), |r| r.neg(inverse(q, r)), backend);
        Ok(Self {
            limbs: q.len(),
            auxiliary: count,
            extend: BaseConverter::with_backend(q, r, backend).map_err(from_math)?,
            divide: divide.map_err(from_math)?,
            back: BaseConverter::with_backend(r, q, backend).map_err(from_math)?,
            scale,
            ratio: (log_q - log2_product(&values(r))).exp2(),
        })
    }
}

/// One product of a sum; no second operand is a square.
struct Term<'a> {
    a: (&'a Poly<Ntt>, &'a Poly<Ntt>),
    b: Option<(&'a Poly<Ntt>, &'a Poly<Ntt>)>,
}

/// What a conversion of base has ready for its targets: scaled residues by limb, then the overflow counts.
struct Prepared<'r> {
    data: Scratch<'r>,
    n: usize,
}

impl Prepared<'_> {
    fn finish(&self, converter: &BaseConverter, target: usize, out: &mut [f64]) {
        let slices: Vec<&[f64]> = self.data.chunks(self.n).collect();
        let (v, y) = slices.split_last().expect("sources and counts");
        converter.finish(y, v, target, out);
    }
}

/// One computation: the pieces that all its steps use.
struct Work<'r> {
    ring: &'r Ring,
    auxiliary: &'r [NttPlan],
    level: &'r Level,
    scale: &'r Scale,
}

impl<'r> Work<'r> {
    fn n(&self) -> usize {
        self.ring.degree()
    }

    fn run(&self, terms: &[Term<'_>]) -> Triple {
        let (n, limbs, count) = (self.n(), self.level.limbs, self.level.auxiliary);
        let basis = terms[0].a.0.basis();
        let out = || Poly::dirty(terms[0].a.0.ring(), basis);
        let mut out = (out(), out(), out());
        // Modulo R: one half after the other, limb by limb. Modulo Q: limb by limb, the three halves of each together.
        let mut tensor_r = self.ring.scratch(3 * count * n);
        let mut tensor_q = (terms.len() > 1).then(|| self.ring.scratch(3 * limbs * n));
        for (i, term) in terms.iter().enumerate() {
            let divided = self.tensor_modulo_r(term, i == 0, &mut tensor_r);
            let divided = [0, 1].map(|half| {
                let limbs: Vec<&[f64]> = divided.chunks(n).skip(half * count).take(count).collect();
                self.prepare(&[&self.level.back], &limbs).remove(0)
            });
            let last = i + 1 == terms.len();
            let rounded = last.then(|| self.rounded(&mut tensor_r));
            self.tensor_modulo_q(
                term,
                i == 0,
                &divided,
                tensor_q.as_deref_mut(),
                rounded,
                &mut out,
            );
        }
        out
    }

    /// What `converters` share of their work on a polynomial given by coefficients.
    fn prepare(&self, converters: &[&BaseConverter], limbs: &[&[f64]]) -> Vec<Prepared<'r>> {
        let n = self.n();
        converters
            .iter()
            .map(|converter| {
                let mut data = self.ring.scratch((limbs.len() + 1) * n);
                let (y, v) = data.split_at_mut(limbs.len() * n);
                converter.prepare(limbs, &mut y.chunks_mut(n).collect::<Vec<_>>(), v);
                Prepared { data, n }
            })
            .collect()
    }

    /// Coefficients of a half, ready for `converters`.
    fn coefficients(&self, x: &Poly<Ntt>, converters: &[&BaseConverter]) -> Vec<Prepared<'r>> {
        let n = self.n();
        let mut limbs = self.ring.scratch(self.level.limbs * n);
        for (k, limb) in limbs.chunks_mut(n).enumerate() {
            limb.copy_from_slice(x.limb(k));
            self.ring.plan(k).inverse(limb);
        }
        self.prepare(converters, &limbs.chunks(n).collect::<Vec<_>>())
    }

    /// Steps 1 and 2 modulo R and the tensor there, transformed back for step 4; returns the coefficients of `b'`.
    fn tensor_modulo_r(&self, term: &Term<'_>, first: bool, tensor: &mut [f64]) -> Scratch<'r> {
        let (n, level) = (self.n(), self.level);
        let (extend, divide) = (&level.extend, &level.divide);
        let mut jobs = vec![(term.a.0, vec![extend]), (term.a.1, vec![extend])];
        match term.b {
            None => jobs.iter_mut().for_each(|job| job.1.push(divide)),
            Some(b) => jobs.extend([(b.0, vec![divide]), (b.1, vec![divide])]),
        }
        let mut ready: Vec<Vec<Prepared<'r>>> = jobs.iter().map(|_| Vec::new()).collect();
        each_item(
            ready.iter_mut().zip(jobs).collect(),
            level.limbs * n,
            |_, (ready, (half, converters))| *ready = self.coefficients(half, &converters),
        );
        // In order: a0, a1, b0, b1.
        let ready: Vec<Prepared<'r>> = match term.b {
            Some(_) => ready.into_iter().flatten().collect(),
            None => {
                let mut second = ready.split_off(1).remove(0);
                let mut first = ready.remove(0);
                let (b0, b1) = (first.pop(), second.pop());
                first
                    .into_iter()
                    .chain(second)
                    .chain(b0)
                    .chain(b1)
                    .collect()
            }
        };
        let mut divided = self.ring.scratch(2 * level.auxiliary * n);
        let (divided0, divided1) = divided.split_at_mut(level.auxiliary * n);
        let (d0, rest) = tensor.split_at_mut(level.auxiliary * n);
        let (d1, d2) = rest.split_at_mut(level.auxiliary * n);
        let items = divided0
            .chunks_mut(n)
            .zip(divided1.chunks_mut(n))
            .zip(d0.chunks_mut(n))
            .zip(d1.chunks_mut(n).zip(d2.chunks_mut(n)))
            .collect();
        each_item(items, 8 * n, |k, (((b0, b1), d0), (d1, d2))| {
            let plan = &self.auxiliary[k];
            let mut halves = self.ring.scratch(4 * n);
            let mut halves: Vec<&mut [f64]> = halves.chunks_mut(n).collect();
            ready[2].finish(divide, k, b0);
            ready[3].finish(divide, k, b1);
            ready[0].finish(extend, k, halves[0]);
            ready[1].finish(extend, k, halves[1]);
            halves[2].copy_from_slice(b0);
            halves[3].copy_from_slice(b1);
            for half in halves.iter_mut() {
                plan.forward(half);
            }
            let kernels = plan.kernels();
            let tensor = if first {
                cipherblas_math::Kernels::tensor
            } else {
                cipherblas_math::Kernels::tensor_add
            };
            tensor(
                kernels, d0, d1, d2, halves[0], halves[1], halves[2], halves[3],
            );
        });
        divided
    }

    /// The sums modulo R, ready for step 4.
    fn rounded(&self, tensor: &mut [f64]) -> [Prepared<'r>; 3] {
        let (n, count) = (self.n(), self.level.auxiliary);
        let halves: Vec<&mut [f64]> = tensor.chunks_mut(count * n).collect();
        let mut ready = [None, None, None];
        each_item(
            ready.iter_mut().zip(halves).collect(),
            count * n,
            |_, (ready, half)| {
                for (k, limb) in half.chunks_mut(n).enumerate() {
                    self.auxiliary[k].inverse(limb);
                }
                let limbs: Vec<&[f64]> = half.chunks(n).collect();
                *ready = Some(self.prepare(&[&self.scale.down], &limbs).remove(0));
            },
        );
        ready.map(|ready| ready.expect("every half was prepared"))
    }

    /// The tensor modulo Q, added to `sums` where there are several terms, and with the last one (`rounded`) the rest of step 4.
    fn tensor_modulo_q(
        &self,
        term: &Term<'_>,
        first: bool,
        divided: &[Prepared<'r>; 2],
        sums: Option<&mut [f64]>,
        rounded: Option<[Prepared<'r>; 3]>,
        out: &mut Triple,
    ) {
        let n = self.n();
        let a = term.a;
        let modulo_one = |k: usize, sums: Option<&mut [f64]>, out: [&mut [f64]; 3]| {
            let plan = self.ring.plan(k);
            let kernels = plan.kernels();
            let mut scratch = self.ring.scratch(5 * n);
            let (halves, own) = scratch.split_at_mut(2 * n);
            let (b0, b1) = halves.split_at_mut(n);
            for (half, divided) in [&mut *b0, &mut *b1].into_iter().zip(divided) {
                divided.finish(&self.level.back, k, half);
                plan.forward(half);
            }
            let sums = sums.unwrap_or(own);
            let mut parts = sums.chunks_mut(n);
            let mut part = || parts.next().expect("three halves");
            let (d0, d1, d2) = (part(), part(), part());
            if first {
                kernels.tensor(d0, d1, d2, a.0.limb(k), a.1.limb(k), b0, b1);
            } else {
                kernels.tensor_add(d0, d1, d2, a.0.limb(k), a.1.limb(k), b0, b1);
            }
            if let Some(rounded) = &rounded {
                for ((out, d), rounded) in out.into_iter().zip([d0, d1, d2]).zip(rounded) {
                    rounded.finish(&self.scale.down, k, out);
                    plan.forward(out);
                    kernels.scale_add_assign(out, d, self.scale.factor[k]);
                }
            }
        };
        let outs = out
            .0
            .data_mut()
            .chunks_mut(n)
            .zip(out.1.data_mut().chunks_mut(n))
            .zip(out.2.data_mut().chunks_mut(n))
            .map(|((x, y), z)| [x, y, z]);
        match sums {
            None => each_item(outs.collect(), 8 * n, |k, out| modulo_one(k, None, out)),
            Some(sums) => each_item(
                outs.zip(sums.chunks_mut(3 * n)).collect(),
                8 * n,
                |k, (out, sums)| modulo_one(k, Some(sums), out),
            ),
        }
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
