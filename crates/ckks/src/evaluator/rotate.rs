//! Rotations and conjugation.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use cipherblas_rlwe::{Digits, KeySwitchKey, Poly, switch};
use cipherblas_scheme::{Error, Result, Rotate};

impl Evaluator {
    fn key(
        &self,
        operation: &'static str,
        g: u64,
        name: impl Fn() -> String,
    ) -> Result<&KeySwitchKey> {
        self.keys_for(operation)?
            .galois(g)
            .ok_or_else(|| Error::MissingKey {
                operation,
                key: name(),
            })
    }
    fn rotation(&self, step: i64) -> (u64, String) {
        let reduced = step.rem_euclid(self.params.slots() as i64);
        (
            self.params.ring().rotation_element(step),
            format!("Galois key for rotation by {reduced}"),
        )
    }
    /// Divides a product by P, adds the half that needed no key, permutes.
    fn finish(
        &self,
        ct: &Ciphertext,
        u: (Poly<cipherblas_rlwe::Ntt>, Poly<cipherblas_rlwe::Ntt>),
        g: u64,
    ) -> Result<Ciphertext> {
        let mut c0 = switch::mod_down(&u.0);
        let c1 = switch::mod_down(&u.1);
        c0.add_assign(&ct.c0);
        let error = ct.error + self.switch_error(ct.level);
        Ok(self.assemble(
            c0.automorphism(g)?,
            c1.automorphism(g)?,
            ct.level,
            error,
            ct.magnitude,
        ))
    }
    fn apply(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        g: u64,
        name: impl Fn() -> String,
    ) -> Result<Ciphertext> {
        self.guard(operation, &[ct])?;
        if g == 1 {
            return Ok(ct.clone());
        }
        let key = self.key(operation, g, name)?;
        self.finish(ct, switch::switch_product(&ct.c1, key), g)
    }

    /// Complex conjugation of every slot; real slots stay as they are, imaginary noise changes sign.
    ///
    /// # Errors
    /// `MissingKey`, `KeyMismatch`.
    pub fn conjugate(&self, ct: &Ciphertext) -> Result<Ciphertext> {
        self.apply(
            "conjugate",
            ct,
            self.params.ring().conjugation_element(),
            || "Galois key for conjugation".into(),
        )
    }
}

impl Rotate for Evaluator {
    /// Cost at L primes of Q, p special ones and d digits: L + d(L+p) - L + 2(p + L) transforms.
    fn rotate(&self, ct: &Ciphertext, step: i64) -> Result<Ciphertext> {
        let (g, name) = self.rotation(step);
        self.apply("rotate", ct, g, || name.clone())
    }

    /// The decomposition is shared: from the second rotation on, only 2(p + L) transforms each.
    fn rotate_many(&self, ct: &Ciphertext, steps: &[i64]) -> Result<Vec<Ciphertext>> {
        self.guard("rotate", &[ct])?;
        let moving = steps.iter().filter(|&&s| self.rotation(s).0 != 1).count();
        if moving < 2 {
            return steps.iter().map(|&s| self.rotate(ct, s)).collect();
        }
        let digits = Digits::decompose(&ct.c1);
        steps
            .iter()
            .map(|&step| {
                let (g, name) = self.rotation(step);
                if g == 1 {
                    return Ok(ct.clone());
                }
                let key = self.key("rotate", g, || name.clone())?;
                self.finish(ct, digits.product(key), g)
            })
            .collect()
    }

    /// One division by P for the whole sum; one decomposition for each ciphertext, however often it is listed.
    fn rotate_sum(&self, cts: &[&Ciphertext], steps: &[i64]) -> Result<Ciphertext> {
        self.guard("rotate", cts)?;
        if cts.is_empty() || cts.len() != steps.len() {
            return Err(Error::Shape {
                operation: "rotate_sum",
                got: format!("{} ciphertexts and {} steps", cts.len(), steps.len()),
                expected: "as many of each, at least one".into(),
                hint: "give one step for each ciphertext",
            });
        }
        // Terms that are rotations of one ciphertext share its decomposition.
        let same: Vec<usize> = cts
            .iter()
            .map(|a| cts.iter().take_while(|b| !std::ptr::eq(*a, **b)).count())
            .collect();
        let moves: Vec<bool> = steps.iter().map(|&s| self.rotation(s).0 != 1).collect();
        let level = cts.iter().map(|ct| ct.level).min().unwrap_or(0);
        let lowered = cts
            .iter()
            .map(|ct| {
                let low = ct.level > level;
                low.then(|| self.scaled_to("rotate", ct, 1.0, level))
                    .transpose()
            })
            .collect::<Result<Vec<_>>>()?;
        let cts: Vec<&Ciphertext> = cts
            .iter()
            .zip(&lowered)
            .map(|(ct, low)| low.as_ref().unwrap_or(ct))
            .collect();
        let digits: Vec<Option<Digits>> = (0..cts.len())
            .map(|i| {
                let uses = (0..cts.len()).filter(|&k| same[k] == i && moves[k]).count();
                (uses > 1).then(|| Digits::decompose(&cts[i].c1))
            })
            .collect();
        let ring = self.params.ring();
        let basis = cipherblas_rlwe::Basis {
            q: ring.basis(level).q,
            p: ring.p_len(),
        };
        let mut acc = (Poly::zero(ring, basis), Poly::zero(ring, basis));
        let mut still: Vec<&Ciphertext> = Vec::new();
        let noise = self.params.noise();
        let (mut error, mut magnitude) = (0.0, 0.0);
        for (i, (ct, &step)) in cts.iter().zip(steps).enumerate() {
            error += ct.error;
            magnitude += ct.magnitude;
            let (g, name) = self.rotation(step);
            if !moves[i] {
                still.push(ct);
                continue;
            }
            let key = self.key("rotate", g, || name.clone())?;
            let mut u = match &digits[same[i]] {
                Some(digits) => digits.product(key),
                None => switch::switch_product(&ct.c1, key),
            };
            switch::add_lifted(&mut u.0, &ct.c0);
            switch::add_permuted(&mut acc, &u, &*ring.automorphism(g)?);
            error += noise.key_switch(ring, level) / self.params.scale(level);
        }
        let (mut c0, mut c1) = if still.len() < cts.len() {
            error += noise.rounding() / self.params.scale(level);
            (switch::mod_down(&acc.0), switch::mod_down(&acc.1))
        } else {
            let first = still.swap_remove(0);
            (first.c0.clone(), first.c1.clone())
        };
        for ct in still {
            c0.add_assign(&ct.c0);
            c1.add_assign(&ct.c1);
        }
        Ok(self.assemble(c0, c1, level, error, magnitude))
    }

    fn can_rotate(&self, step: i64) -> bool {
        let (g, _) = self.rotation(step);
        g == 1
            || self
                .keys
                .as_ref()
                .is_some_and(|keys| keys.galois(g).is_some())
    }
}
