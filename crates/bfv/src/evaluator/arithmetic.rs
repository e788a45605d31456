//! Sums and products of ciphertexts.

use super::{Bounds, Evaluator, sum_up};
use crate::ciphertext::Ciphertext;
use crate::noise::{add_up, mul_up};
use cipherblas_rlwe::pairs::{Pair, PairRef};
use cipherblas_rlwe::{KeySwitchKey, Ntt, Poly};
use cipherblas_scheme::capability::check_pairs;
use cipherblas_scheme::{Add, Mul, Result};

impl Evaluator {
    fn linear(
        &self,
        operation: &'static str,
        a: &Ciphertext,
        b: &Ciphertext,
        f: impl Fn(&mut Poly<Ntt>, &Poly<Ntt>),
    ) -> Result<Ciphertext> {
        self.guard(operation, &[a, b])?;
        let both = self.leveled(operation, &[a, b])?;
        let (a, b) = (both.all()[0], both.all()[1]);
        let bounds = self.bounds(
            operation,
            both.level,
            add_up(a.noise, b.noise),
            add_up(a.magnitude, b.magnitude),
        )?;
        let parts = a
            .parts
            .iter()
            .zip(&b.parts)
            .map(|(x, y)| {
                let (mut c0, mut c1) = (x.c0.clone(), x.c1.clone());
                f(&mut c0, &y.c0);
                f(&mut c1, &y.c1);
                (c0, c1).into()
            })
            .collect();
        Ok(self.assemble(bounds, parts))
    }

    /// The bounds of `sum_i a_i b_i` at `level`, after its key switch and the switch of the modulus.
    fn product_bounds(
        &self,
        operation: &'static str,
        level: usize,
        a: &[&Ciphertext],
        b: &[&Ciphertext],
    ) -> Result<Bounds> {
        let (noise, at) = (self.params.noise(), self.level(level));
        let pairs = || a.iter().zip(b);
        let cross = pairs().map(|(x, y)| noise.product(at.modulus, x.noise, y.noise, at.operand));
        let total = sum_up(cross.chain([noise.scaling(), at.key_switch]));
        let magnitude = sum_up(pairs().map(|(x, y)| mul_up(x.magnitude, y.magnitude)));
        self.switched_bounds(operation, level, total, magnitude)
    }

    /// One product for each plaintext modulus, relinearized, its modulus switched.
    fn finish_product(
        &self,
        operation: &'static str,
        bounds: Bounds,
        product: impl Fn(usize, &KeySwitchKey) -> Result<Pair>,
    ) -> Result<Ciphertext> {
        let key = self.keys_for(operation)?.relinearization(operation)?;
        let parts = (0..self.params.plaintext_moduli().len())
            .map(|i| Ok(product(i, key)?.into()))
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }
}

/// The halves of all ciphertexts under plaintext modulus `i`.
fn halves<'a>(cts: &[&'a Ciphertext], i: usize) -> Vec<PairRef<'a>> {
    cts.iter().map(|ct| ct.parts[i].halves()).collect()
}

impl Add for Evaluator {
    /// Noise bounds add up: sums before a product cost as much of it as sums after.
    fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.linear("add", a, b, Poly::add_assign)
    }
    fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.linear("sub", a, b, Poly::sub_assign)
    }
    fn negate(&self, a: &Ciphertext) -> Result<Ciphertext> {
        self.guard("negate", &[a])?;
        let bounds = self.bounds("negate", a.level, a.noise, a.magnitude)?;
        let parts = a
            .parts
            .iter()
            .map(|part| {
                let (mut c0, mut c1) = (part.c0.clone(), part.c1.clone());
                c0.negate();
                c1.negate();
                (c0, c1).into()
            })
            .collect();
        Ok(self.assemble(bounds, parts))
    }
    fn sum(&self, terms: &[&Ciphertext]) -> Result<Ciphertext> {
        check_pairs("sum", terms.len(), terms.len())?;
        self.guard("sum", terms)?;
        let leveled = self.leveled("sum", terms)?;
        let terms = leveled.all();
        let bounds = self.bounds(
            "sum",
            leveled.level,
            sum_up(terms.iter().map(|ct| ct.noise)),
            sum_up(terms.iter().map(|ct| ct.magnitude)),
        )?;
        let parts = (0..self.params.plaintext_moduli().len())
            .map(|i| {
                let first = &terms[0].parts[i];
                let (mut c0, mut c1) = (first.c0.clone(), first.c1.clone());
                for ct in &terms[1..] {
                    c0.add_assign(&ct.parts[i].c0);
                    c1.add_assign(&ct.parts[i].c1);
                }
                (c0, c1).into()
            })
            .collect();
        Ok(self.assemble(bounds, parts))
    }
}

impl Mul for Evaluator {
    /// For each plaintext modulus, a tensor and one key switch; one division scales, ends the key switch and drops the
    /// level's modulus (see the module `multiply`).
    fn mul(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.mul_sum(&[a], &[b])
    }

    fn square(&self, a: &Ciphertext) -> Result<Ciphertext> {
        self.guard("square", &[a])?;
        self.needs("square", a.level)?;
        let bounds = self.product_bounds("square", a.level, &[a], &[a])?;
        let multiplier = self.params.multiplier();
        self.finish_product("square", bounds, |i, key| {
            multiplier.square(i, a.parts[i].halves(), key)
        })
    }

    fn mul_sum(&self, a: &[&Ciphertext], b: &[&Ciphertext]) -> Result<Ciphertext> {
        check_pairs("mul_sum", a.len(), b.len())?;
        self.guard("mul", a)?;
        self.guard("mul", b)?;
        let all: Vec<&Ciphertext> = a.iter().chain(b).copied().collect();
        let level = all.iter().map(|ct| ct.level).min().unwrap_or(0);
        self.needs("mul", level)?;
        let leveled = self.leveled("mul", &all)?;
        let all = leveled.all();
        let (a, b) = all.split_at(a.len());
        let bounds = self.product_bounds("mul", level, a, b)?;
        let multiplier = self.params.multiplier();
        self.finish_product("mul", bounds, |i, key| {
            multiplier.multiply(i, &halves(a, i), &halves(b, i), key)
        })
    }
}
