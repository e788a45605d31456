//! Key switches of many ciphertexts one after another, in buffers that are used again.
//!
//! Three things differ from [`crate::switch`]. Automorphisms come first: keys are permuted once, and lead from `sigma(s)` to
//! `s`. Only the half `a` of a ciphertext takes part in the next switch, so only that half is divided by P in between; the
//! half `b` stays modulo QP, times P, until the end. And nothing is parallel inside: there are thousands of these.

use crate::evaluation::EvaluationKeys;
use crate::poly::Basis;
use crate::pool::Scratch;
use crate::ring::{Division, Ring};
use crate::switch::KeySwitchKey;
use cipherblas_math::{AlignedVec, GaloisPermutation};
use cipherblas_scheme::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A key at one level: for each digit its two halves over the primes of QP, limb by limb.
struct LevelKey {
    digits: Vec<(AlignedVec, AlignedVec)>,
    permutation: Option<Arc<GaloisPermutation>>,
}

/// The keys of one operation at one level.
pub(super) struct Switcher {
    pub(super) ring: Arc<Ring>,
    /// Primes of Q, and of QP.
    pub(super) q: usize,
    pub(super) qp: usize,
    level: usize,
    digits: Vec<Range<usize>>,
    galois: HashMap<u64, LevelKey>,
    relinearization: Option<LevelKey>,
}

/// Buffers of one thread.
pub(super) struct Work<'r> {
    conversion: Conversion<'r>,
    permuted: Scratch<'r>,
}

struct Conversion<'r> {
    /// Coefficients of what is decomposed or divided.
    coefficients: Scratch<'r>,
    /// Scaled residues and overflows of a conversion to other primes.
    y: Scratch<'r>,
    v: Scratch<'r>,
    /// Digits over QP.
    lifted: Scratch<'r>,
}

/// A ciphertext in evaluation form on its way: `b` over QP and times P, `a` over Q.
pub(super) struct Half<'r> {
    pub(super) b: Scratch<'r>,
    pub(super) a: Scratch<'r>,
}

impl Switcher {
    /// Permutes the keys of `elements`, and takes the relinearization key if `products`.
    ///
    /// # Errors
    /// `MissingKey`; `Depth` if there is no such level.
    pub(super) fn new(
        keys: &EvaluationKeys,
        level: usize,
        elements: impl Iterator<Item = u64>,
        products: bool,
        operation: &'static str,
    ) -> Result<Self> {
        let ring = keys.ring().clone();
        if level > ring.max_level() {
            return Err(Error::Depth {
                operation,
                needed: level,
                left: ring.max_level(),
            });
        }
        let basis = Basis {
            q: ring.basis(level).q,
            p: ring.p_len(),
        };
        let digits: Vec<_> = ring.digits_at(basis.q).collect();
        let mut elements: Vec<u64> = elements.filter(|&g| g != 1).collect();
        elements.sort_unstable();
        elements.dedup();
        let relinearization = products
            .then(|| keys.relinearization(operation))
            .transpose()?
            .map(|key| LevelKey::new(&ring, basis, digits.len(), key, None));
        let galois = elements
            .into_par_iter()
            .map(|g| {
                let key = keys.galois(g).ok_or_else(|| Error::MissingKey {
                    operation,
                    key: format!(
                        "Galois key for X -> X^{g} (make the keys for this padded length)"
                    ),
                })?;
                let permutation = ring.automorphism(g)?;
                Ok((
                    g,
                    LevelKey::new(&ring, basis, digits.len(), key, Some(permutation)),
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            q: basis.q,
            qp: basis.len(),
            level,
            digits,
            galois,
            relinearization,
            ring,
        })
    }

    fn basis(&self) -> Basis {
        Basis {
            q: self.q,
            p: self.qp - self.q,
        }
    }
    fn index(&self, k: usize) -> usize {
        self.ring.index(self.basis(), k)
    }
    /// The modulus indices of Q, then of the special primes.
    pub(super) fn moduli(&self) -> Vec<usize> {
        (0..self.qp).map(|k| self.index(k)).collect()
    }
    fn key(&self, g: u64) -> &LevelKey {
        &self.galois[&g]
    }

    pub(super) fn work(&self) -> Work<'_> {
        let n = self.ring.degree();
        let special = self.qp - self.q;
        Work {
            conversion: Conversion {
                coefficients: self.ring.scratch(self.q.max(special) * n),
                y: self.ring.scratch(self.q.max(special) * n),
                v: self.ring.scratch(self.digits.len() * n),
                lifted: self.ring.scratch(self.digits.len() * self.qp * n),
            },
            permuted: self.ring.scratch(self.qp * n),
        }
    }
    pub(super) fn half(&self) -> Half<'_> {
        Half {
            b: self.wide(),
            a: self.ring.scratch(self.q * self.ring.degree()),
        }
    }
    /// A buffer over QP.
    pub(super) fn wide(&self) -> Scratch<'_> {
        self.ring.scratch(self.qp * self.ring.degree())
    }

    /// `out = sigma_g(x)`, limb by limb.
    pub(super) fn permute(&self, g: u64, x: &[f64], out: &mut [f64]) {
        let n = self.ring.degree();
        match &self.key(g).permutation {
            None => out.copy_from_slice(x),
            Some(permutation) => {
                for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                    permutation.apply(out, x);
                }
            }
        }
    }
    /// `acc += sigma_g(x)` over QP.
    pub(super) fn permute_add(&self, g: u64, x: &[f64], acc: &mut [f64]) {
        let n = self.ring.degree();
        let permutation = self.key(g).permutation.as_ref().expect("of a Galois key");
        for (k, (x, acc)) in x.chunks_exact(n).zip(acc.chunks_exact_mut(n)).enumerate() {
            permutation.apply_add(acc, x, self.ring.plan(self.index(k)).kernels());
        }
    }
    /// `x += y`, over Q or QP.
    pub(super) fn add(&self, x: &mut [f64], y: &[f64]) {
        let n = self.ring.degree();
        for (k, (x, y)) in x.chunks_exact_mut(n).zip(y.chunks_exact(n)).enumerate() {
            self.ring.plan(self.index(k)).kernels().add_assign(x, y);
        }
    }

    /// `x -= y`, over Q or QP.
    pub(super) fn subtract(&self, x: &mut [f64], y: &[f64]) {
        let n = self.ring.degree();
        for (k, (x, y)) in x.chunks_exact_mut(n).zip(y.chunks_exact(n)).enumerate() {
            self.ring.plan(self.index(k)).kernels().sub_assign(x, y);
        }
    }
    /// `x *= 2^-1`, over Q or QP.
    pub(super) fn halve(&self, x: &mut [f64]) {
        let n = self.ring.degree();
        for (k, x) in x.chunks_exact_mut(n).enumerate() {
            let plan = self.ring.plan(self.index(k));
            let p = plan.modulus();
            plan.kernels().scale_assign(x, p.residue(p.value() / 2 + 1));
        }
    }
    /// `x += y` modulo prime `k` of QP.
    pub(super) fn add_limb(&self, k: usize, x: &mut [f64], y: &[f64]) {
        self.ring.plan(self.index(k)).kernels().add_assign(x, y);
    }
    /// `out = P x` over QP, for `x` over Q.
    pub(super) fn lift(&self, x: &[f64], out: &mut [f64]) {
        let n = self.ring.degree();
        let (kept, special) = out.split_at_mut(self.q * n);
        special.fill(0.0);
        for (k, (x, out)) in x.chunks_exact(n).zip(kept.chunks_exact_mut(n)).enumerate() {
            let kernels = self.ring.plan(k).kernels();
            kernels.scale(out, x, self.ring.p_mod_q()[k]);
        }
    }

    /// `(b, a) += ` an encryption of `P x(s')`, where `x` is over Q and the key leads from `s'` to `s`.
    fn accumulate(
        &self,
        key: &LevelKey,
        x: &[f64],
        b: &mut [f64],
        a: &mut [f64],
        work: &mut Conversion<'_>,
    ) {
        let ring = &*self.ring;
        let n = ring.degree();
        let coefficients = &mut work.coefficients[..self.q * n];
        for (k, (out, x)) in coefficients
            .chunks_exact_mut(n)
            .zip(x.chunks_exact(n))
            .enumerate()
        {
            out.copy_from_slice(x);
            ring.plan(k).inverse(out);
        }
        let lifted = work.lifted.chunks_exact_mut(self.qp * n);
        for (d, (digit, lifted)) in self.digits.iter().zip(lifted).enumerate() {
            let from: Vec<&[f64]> = coefficients[digit.start * n..digit.end * n]
                .chunks_exact(n)
                .collect();
            let mut y: Vec<&mut [f64]> = work.y[..digit.len() * n].chunks_exact_mut(n).collect();
            let v = &mut work.v[d * n..(d + 1) * n];
            let converter = ring.digit_converter(d, digit.len());
            converter.prepare(&from, &mut y, v);
            let y: Vec<&[f64]> = work.y[..digit.len() * n].chunks_exact(n).collect();
            for (k, out) in lifted.chunks_exact_mut(n).enumerate() {
                if !digit.contains(&k) {
                    let index = self.index(k);
                    converter.finish(&y, v, index, out);
                    ring.plan(index).forward(out);
                }
            }
        }
        for k in 0..self.qp {
            let range = k * n..(k + 1) * n;
            let of = |d: usize| {
                if self.digits[d].contains(&k) {
                    &x[range.clone()]
                } else {
                    &work.lifted[d * self.qp * n..][range.clone()]
                }
            };
            let kernels = ring.plan(self.index(k)).kernels();
            let (b, a) = (&mut b[range.clone()], &mut a[range.clone()]);
            if let [(key_b, key_a)] = &key.digits[..] {
                let (key_b, key_a) = (&key_b[range.clone()], &key_a[range.clone()]);
                kernels.mul_add_assign(b, of(0), key_b);
                kernels.mul_add_assign(a, of(0), key_a);
            } else {
                let digits: Vec<&[f64]> = (0..self.digits.len()).map(of).collect();
                let (key_b, key_a): (Vec<&[f64]>, Vec<&[f64]>) = key
                    .digits
                    .iter()
                    .map(|(b, a)| (&b[range.clone()], &a[range.clone()]))
                    .unzip();
                kernels.inner_product_pair_add(b, a, &digits, &key_b, &key_a);
            }
        }
    }

    /// `(b, a) += ` an encryption of `P sigma_g(x s)`: `x` over Q, the others over QP.
    pub(super) fn rotate(
        &self,
        g: u64,
        x: &[f64],
        b: &mut [f64],
        a: &mut [f64],
        work: &mut Work<'_>,
    ) {
        let permuted = &mut work.permuted[..x.len()];
        self.permute(g, x, permuted);
        self.accumulate(self.key(g), permuted, b, a, &mut work.conversion);
    }

    /// `(b, a) += ` an encryption of `P x s^2`.
    pub(super) fn relinearize(&self, x: &[f64], b: &mut [f64], a: &mut [f64], work: &mut Work<'_>) {
        let key = self.relinearization.as_ref().expect("taken for products");
        self.accumulate(key, x, b, a, &mut work.conversion);
    }

    fn division(&self) -> &Division {
        self.ring.mod_down(self.level)
    }

    /// The part of `x` over QP that its division by P rounds away: scaled residues in `work.y`, overflows in `work.v`.
    fn prepare_division(&self, x: &[f64], work: &mut Conversion<'_>) {
        let n = self.ring.degree();
        let dropped = &mut work.coefficients[..(self.qp - self.q) * n];
        dropped.copy_from_slice(&x[self.q * n..self.qp * n]);
        for (k, limb) in dropped.chunks_exact_mut(n).enumerate() {
            self.ring.plan(self.index(self.q + k)).inverse(limb);
        }
        let from: Vec<&[f64]> = dropped.chunks_exact(n).collect();
        let y = &mut work.y[..(self.qp - self.q) * n];
        let mut y: Vec<&mut [f64]> = y.chunks_exact_mut(n).collect();
        self.division()
            .converter
            .prepare(&from, &mut y, &mut work.v[..n]);
    }

    /// `out = round(x / P)` over Q, for `x` over QP.
    pub(super) fn divide(&self, x: &[f64], out: &mut [f64], work: &mut Work<'_>) {
        let n = self.ring.degree();
        let work = &mut work.conversion;
        self.prepare_division(x, work);
        let y: Vec<&[f64]> = work.y[..(self.qp - self.q) * n].chunks_exact(n).collect();
        for (k, (out, x)) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
            let plan = self.ring.plan(k);
            let division = self.division();
            division.converter.finish(&y, &work.v[..n], k, out);
            plan.forward(out);
            plan.kernels()
                .sub_scale_assign(out, x, division.negative_inverse[k]);
        }
    }

    /// As [`divide`](Self::divide), in coefficients: limb `k` of the result goes to `put(k, limb)`.
    pub(super) fn divide_to_coefficients(
        &self,
        x: &[f64],
        work: &mut Work<'_>,
        mut put: impl FnMut(usize, &[f64]),
    ) {
        let n = self.ring.degree();
        let work = &mut work.conversion;
        self.prepare_division(x, work);
        let y: Vec<&[f64]> = work.y[..(self.qp - self.q) * n].chunks_exact(n).collect();
        let (out, kept) = work.lifted[..2 * n].split_at_mut(n);
        for (k, x) in x.chunks_exact(n).take(self.q).enumerate() {
            let plan = self.ring.plan(k);
            let division = self.division();
            division.converter.finish(&y, &work.v[..n], k, out);
            kept.copy_from_slice(x);
            plan.inverse(kept);
            plan.kernels()
                .sub_scale_assign(out, kept, division.negative_inverse[k]);
            put(k, out);
        }
    }
}

impl LevelKey {
    fn new(
        ring: &Ring,
        basis: Basis,
        digits: usize,
        key: &KeySwitchKey,
        permutation: Option<Arc<GaloisPermutation>>,
    ) -> Self {
        let n = ring.degree();
        let image = |poly: &crate::Poly<crate::Ntt>| {
            let mut out = AlignedVec::zeroed(basis.len() * n);
            for (k, out) in out.chunks_exact_mut(n).enumerate() {
                let limb = poly.limb(ring.index(basis, k));
                match &permutation {
                    Some(permutation) => permutation.apply(out, limb),
                    None => out.copy_from_slice(limb),
                }
            }
            out
        };
        let halves = key.b.iter().zip(&key.a).take(digits);
        Self {
            digits: halves.map(|(b, a)| (image(b), image(a))).collect(),
            permutation,
        }
    }
}
