//! Rotations of the columns and the swap of the rows.

use super::{Bounds, Evaluator, sum_up};
use crate::ciphertext::{Ciphertext, Part};
use crate::noise::add_up;
use cipherblas_rlwe::KeySwitchKey;
use cipherblas_rlwe::pairs::{self, Rotation};
use cipherblas_scheme::capability::check_pairs;
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
    /// The Galois element of `step` and its key; `None` where nothing moves.
    fn step(&self, step: i64) -> Result<Option<Rotation<'_>>> {
        let g = self.params.ring().rotation_element(step);
        if g == 1 {
            return Ok(None);
        }
        let reduced = step.rem_euclid(self.params.slots() as i64);
        let key = self.key("rotate", g, || {
            format!("Galois key for rotation by {reduced}")
        })?;
        Ok(Some((g, key)))
    }
    fn rotated_bounds(&self, operation: &'static str, ct: &Ciphertext) -> Result<Bounds> {
        let noise = sum_up([
            ct.noise,
            self.level(ct.level).key_switch,
            self.params.noise().rounding(),
        ]);
        self.bounds(operation, ct.level, noise, ct.magnitude)
    }
    fn apply(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        rotation: Rotation<'_>,
    ) -> Result<Ciphertext> {
        let bounds = self.rotated_bounds(operation, ct)?;
        let parts = ct
            .parts
            .iter()
            .map(|part| Ok(pairs::rotate(part.halves(), rotation)?.into()))
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }

    /// Swaps the two rows. Ciphertexts have two rows of N/2 slots, rotated together; they are alike unless encrypted by
    /// [`encrypt_rows`](crate::SecretKey::encrypt_rows). Cost and noise of a rotation; the key is `conjugation` of a
    /// key set.
    ///
    /// # Errors
    /// `MissingKey`, `KeyMismatch`, `Noise`.
    pub fn swap_rows(&self, ct: &Ciphertext) -> Result<Ciphertext> {
        const OPERATION: &str = "swap_rows";
        self.guard(OPERATION, &[ct])?;
        let g = self.params.ring().conjugation_element();
        let key = self.key(OPERATION, g, || "Galois key that swaps rows".into())?;
        self.apply(OPERATION, ct, (g, key))
    }
}

impl Rotate for Evaluator {
    /// Cost for each plaintext modulus, at L primes of Q, p special ones and d digits: L + d(L+p) - L + 2(p + L)
    /// transforms.
    fn rotate(&self, ct: &Ciphertext, step: i64) -> Result<Ciphertext> {
        self.guard("rotate", &[ct])?;
        match self.step(step)? {
            None => Ok(ct.clone()),
            Some(rotation) => self.apply("rotate", ct, rotation),
        }
    }

    /// The decomposition is shared: from the second rotation on, only 2(p + L) transforms each.
    fn rotate_many(&self, ct: &Ciphertext, steps: &[i64]) -> Result<Vec<Ciphertext>> {
        self.guard("rotate", &[ct])?;
        let wanted = steps
            .iter()
            .map(|&s| self.step(s))
            .collect::<Result<Vec<_>>>()?;
        let moving: Vec<Rotation<'_>> = wanted.iter().flatten().copied().collect();
        if moving.is_empty() {
            return Ok(wanted.iter().map(|_| ct.clone()).collect());
        }
        let bounds = self.rotated_bounds("rotate", ct)?;
        let mut moved: Vec<Vec<Part>> = moving.iter().map(|_| Vec::new()).collect();
        for part in &ct.parts {
            let rotated = pairs::rotate_many(part.halves(), &moving)?;
            for (out, pair) in moved.iter_mut().zip(rotated) {
                out.push(pair.into());
            }
        }
        let mut moved = moved.into_iter();
        Ok(wanted
            .iter()
            .map(|rotation| match rotation.and_then(|_| moved.next()) {
                Some(parts) => self.assemble(bounds, parts),
                None => ct.clone(),
            })
            .collect())
    }

    /// One division by P for the whole sum; one decomposition for each ciphertext, however often it is listed.
    fn rotate_sum(&self, cts: &[&Ciphertext], steps: &[i64]) -> Result<Ciphertext> {
        self.guard("rotate", cts)?;
        check_pairs("rotate_sum", cts.len(), steps.len())?;
        let rotations = steps
            .iter()
            .map(|&s| self.step(s))
            .collect::<Result<Vec<_>>>()?;
        let leveled = self.leveled("rotate", cts)?;
        let (cts, level) = (leveled.all(), leveled.level);
        let switches = rotations
            .iter()
            .flatten()
            .map(|_| self.level(level).key_switch);
        let mut noise = sum_up(cts.iter().map(|ct| ct.noise).chain(switches));
        if rotations.iter().any(Option::is_some) {
            noise = add_up(noise, self.params.noise().rounding());
        }
        let magnitude = sum_up(cts.iter().map(|ct| ct.magnitude));
        let bounds = self.bounds("rotate", level, noise, magnitude)?;
        let parts = (0..self.params.plaintext_moduli().len())
            .map(|i| {
                let terms: Vec<_> = cts
                    .iter()
                    .zip(&rotations)
                    .map(|(ct, rotation)| (ct.parts[i].halves(), *rotation))
                    .collect();
                Ok(pairs::rotate_sum(&terms)?.into())
            })
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }

    fn can_rotate(&self, step: i64) -> bool {
        let g = self.params.ring().rotation_element(step);
        g == 1
            || self
                .keys
                .as_ref()
                .is_some_and(|keys| keys.galois(g).is_some())
    }
}
