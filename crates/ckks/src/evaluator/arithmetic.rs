//! Sums and products of ciphertexts.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use cipherblas_rlwe::{Ntt, Poly, pairs};
use cipherblas_scheme::{Add, Error, Mul, Result};

impl Evaluator {
    fn linear(
        &self,
        operation: &'static str,
        a: &Ciphertext,
        b: &Ciphertext,
        f: impl Fn(&mut Poly<Ntt>, &Poly<Ntt>),
    ) -> Result<Ciphertext> {
        self.guard(operation, &[a, b])?;
        let level = a.level.min(b.level);
        let lowered;
        let (mut out, other) = if a.level > level {
            (self.scaled_to(operation, a, 1.0, level)?, b)
        } else if b.level > level {
            lowered = self.scaled_to(operation, b, 1.0, level)?;
            (a.clone(), &lowered)
        } else {
            (a.clone(), b)
        };
        f(&mut out.c0, &other.c0);
        f(&mut out.c1, &other.c1);
        Ok(self.assemble(
            out.c0,
            out.c1,
            level,
            out.error + other.error,
            out.magnitude + other.magnitude,
        ))
    }

    /// Relinearizes and rescales `d` at `level`; `error` and `magnitude` are those of the product.
    fn finish_product(
        &self,
        d: (Poly<Ntt>, Poly<Ntt>, Poly<Ntt>),
        level: usize,
        error: f64,
        magnitude: f64,
    ) -> Result<Ciphertext> {
        let key = self.keys_for("mul")?.relinearization("mul")?;
        let (c0, c1) = pairs::relinearize_rescale(d, key)?;
        let noise = self.params.noise();
        let added = noise.key_switch(self.params.ring(), level) / self.params.level_modulus(level)
            + noise.rounding();
        Ok(self.assemble(
            c0,
            c1,
            level - 1,
            error + added / self.params.scale(level - 1),
            magnitude,
        ))
    }
}

fn product_error(a: &Ciphertext, b: &Ciphertext) -> f64 {
    a.magnitude * b.error + b.magnitude * a.error + a.error * b.error
}

impl Add for Evaluator {
    fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.linear("add", a, b, Poly::add_assign)
    }
    fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.linear("sub", a, b, Poly::sub_assign)
    }
    fn negate(&self, a: &Ciphertext) -> Result<Ciphertext> {
        self.guard("negate", &[a])?;
        let mut out = a.clone();
        out.seed = None;
        out.c0.negate();
        out.c1.negate();
        Ok(out)
    }
}

impl Mul for Evaluator {
    /// Cost at L primes of Q, p special ones and d digits: L + d(L+p) - L + 2(p + 1 + L - 1) transforms.
    fn mul(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.mul_sum(&[a], &[b])
    }

    fn square(&self, a: &Ciphertext) -> Result<Ciphertext> {
        self.guard("square", &[a])?;
        self.needs("square", a.level)?;
        let d = Poly::square_tensor(&a.c0, &a.c1);
        self.finish_product(d, a.level, product_error(a, a), a.magnitude * a.magnitude)
    }

    fn mul_sum(&self, a: &[&Ciphertext], b: &[&Ciphertext]) -> Result<Ciphertext> {
        self.guard("mul", a)?;
        self.guard("mul", b)?;
        if a.is_empty() || a.len() != b.len() {
            return Err(Error::Shape {
                operation: "mul_sum",
                got: format!("{} and {} ciphertexts", a.len(), b.len()),
                expected: "as many of each, at least one".into(),
                hint: "an empty sum has no depth",
            });
        }
        let level = a.iter().chain(b).map(|ct| ct.level).min().unwrap_or(0);
        self.needs("mul", level)?;
        let lower = |cts: &[&Ciphertext]| -> Result<Vec<Option<Ciphertext>>> {
            cts.iter()
                .map(|ct| {
                    if ct.level > level {
                        self.scaled_to("mul", ct, 1.0, level).map(Some)
                    } else {
                        Ok(None)
                    }
                })
                .collect()
        };
        let (low_a, low_b) = (lower(a)?, lower(b)?);
        let a: Vec<&Ciphertext> = a
            .iter()
            .zip(&low_a)
            .map(|(ct, low)| low.as_ref().unwrap_or(ct))
            .collect();
        let b: Vec<&Ciphertext> = b
            .iter()
            .zip(&low_b)
            .map(|(ct, low)| low.as_ref().unwrap_or(ct))
            .collect();
        let d = Poly::tensor_sum(
            &a.iter().map(|ct| (&ct.c0, &ct.c1)).collect::<Vec<_>>(),
            &b.iter().map(|ct| (&ct.c0, &ct.c1)).collect::<Vec<_>>(),
        );
        let error = a.iter().zip(&b).map(|(x, y)| product_error(x, y)).sum();
        let magnitude = a
            .iter()
            .zip(&b)
            .map(|(x, y)| x.magnitude * y.magnitude)
            .sum();
        self.finish_product(d, level, error, magnitude)
    }
}
