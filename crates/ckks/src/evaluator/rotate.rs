//! Rotations and conjugation.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use cipherblas_rlwe::KeySwitchKey;
use cipherblas_rlwe::pairs::{self, Pair, Rotation};
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
    fn rotated(&self, ct: &Ciphertext, (c0, c1): Pair) -> Ciphertext {
        let error = ct.error + self.switch_error(ct.level);
        self.assemble(c0, c1, ct.level, error, ct.magnitude)
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
        Ok(self.rotated(ct, pairs::rotate((&ct.c0, &ct.c1), (g, key))?))
    }
    /// The Galois element of `step` and its key; `None` where nothing moves.
    fn step(&self, step: i64) -> Result<Option<Rotation<'_>>> {
        let (g, name) = self.rotation(step);
        if g == 1 {
            return Ok(None);
        }
        Ok(Some((g, self.key("rotate", g, || name.clone())?)))
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
        let wanted = steps
            .iter()
            .map(|&s| self.step(s))
            .collect::<Result<Vec<_>>>()?;
        let moving: Vec<Rotation<'_>> = wanted.iter().flatten().copied().collect();
        let mut moved = if moving.is_empty() {
            Vec::new()
        } else {
            pairs::rotate_many((&ct.c0, &ct.c1), &moving)?
        }
        .into_iter();
        Ok(wanted
            .iter()
            .map(|rotation| match rotation.and_then(|_| moved.next()) {
                Some(pair) => self.rotated(ct, pair),
                None => ct.clone(),
            })
            .collect())
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
        let rotations = steps
            .iter()
            .map(|&s| self.step(s))
            .collect::<Result<Vec<_>>>()?;
        let level = cts.iter().map(|ct| ct.level).min().unwrap_or(0);
        // A ciphertext that is listed twice is lowered once, so that its rotations share a decomposition.
        let same: Vec<usize> = cts
            .iter()
            .map(|a| cts.iter().take_while(|b| !std::ptr::eq(*a, **b)).count())
            .collect();
        let lowered = cts
            .iter()
            .enumerate()
            .map(|(i, ct)| {
                let low = ct.level > level && same[i] == i;
                low.then(|| self.scaled_to("rotate", ct, 1.0, level))
                    .transpose()
            })
            .collect::<Result<Vec<_>>>()?;
        let cts: Vec<&Ciphertext> = cts
            .iter()
            .zip(&same)
            .map(|(ct, &i)| lowered[i].as_ref().unwrap_or(ct))
            .collect();
        let terms: Vec<_> = cts
            .iter()
            .zip(&rotations)
            .map(|(ct, rotation)| ((&ct.c0, &ct.c1), *rotation))
            .collect();
        let (c0, c1) = pairs::rotate_sum(&terms)?;
        let (noise, scale) = (self.params.noise(), self.params.scale(level));
        let moving = rotations.iter().flatten().count();
        let mut error: f64 = cts.iter().map(|ct| ct.error).sum();
        if moving > 0 {
            let switch = noise.key_switch(self.params.ring(), level);
            error += (moving as f64 * switch + noise.rounding()) / scale;
        }
        let magnitude = cts.iter().map(|ct| ct.magnitude).sum();
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
