//! Everything that a server does: parameters and evaluation keys in one cheap handle, and no secret.
//!
//! Every operation first computes the bounds of its result, from public data only, and refuses with `Error::Overflow`
//! or `Error::Noise` what might not be right.

mod arithmetic;
mod combine;
mod plain;
mod rotate;

pub use plain::{MAX_FREE_FACTOR, Plaintext};

use crate::ciphertext::{Ciphertext, Origin, Part};
use crate::noise::add_up;
use crate::params::{Level, Params};
use cipherblas_rlwe::{EvaluationKeys, pairs};
use cipherblas_scheme::wire::{KeyId, ParameterId};
use cipherblas_scheme::{Error, ErrorBound, Result, Scheme};
use std::sync::Arc;

/// Computes on ciphertexts. Cloning is a reference count.
#[derive(Clone, Debug)]
pub struct Evaluator {
    pub(crate) params: Params,
    pub(crate) key: KeyId,
    pub(crate) keys: Option<Arc<EvaluationKeys>>,
}

/// What is known of a result before it is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    level: usize,
    noise: f64,
    magnitude: f64,
}

/// That a ciphertext belongs to these parameters and this key.
pub(crate) fn check_ids(
    operation: &'static str,
    ct: &Ciphertext,
    params: ParameterId,
    key: Option<KeyId>,
) -> Result<()> {
    let mismatch = |got: String, expected: String| {
        Err(Error::KeyMismatch {
            operation,
            got,
            expected,
        })
    };
    if ct.params != params {
        return mismatch(
            format!("a ciphertext of parameters {}", ct.params),
            format!("parameters {params}"),
        );
    }
    match key {
        Some(key) if key != ct.key => mismatch(
            format!("a ciphertext under key {}", ct.key),
            format!("key {key}"),
        ),
        _ => Ok(()),
    }
}

impl Evaluator {
    /// With the keys that a plan listed.
    ///
    /// # Errors
    /// `KeyMismatch` if the keys are over another ring.
    pub fn new(params: &Params, keys: Arc<EvaluationKeys>) -> Result<Self> {
        if keys.ring().spec() != params.ring().spec() {
            return Err(Error::KeyMismatch {
                operation: "evaluator",
                got: "evaluation keys over another ring".into(),
                expected: format!("keys made for parameters {}", params.id()),
            });
        }
        Ok(Self {
            params: params.clone(),
            key: keys.id(),
            keys: Some(keys),
        })
    }
    /// For sums, plain operands and serialization only.
    pub fn without_keys(params: &Params, key: KeyId) -> Self {
        Self {
            params: params.clone(),
            key,
            keys: None,
        }
    }
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
    /// Id of the key whose ciphertexts it computes on.
    pub fn key_id(&self) -> KeyId {
        self.key
    }
    /// The evaluation keys.
    pub fn keys(&self) -> Option<&Arc<EvaluationKeys>> {
        self.keys.as_ref()
    }

    pub(crate) fn guard(&self, operation: &'static str, cts: &[&Ciphertext]) -> Result<()> {
        cts.iter()
            .try_for_each(|ct| check_ids(operation, ct, self.params.id(), Some(self.key)))
    }
    pub(crate) fn keys_for(&self, operation: &'static str) -> Result<&EvaluationKeys> {
        self.keys.as_deref().ok_or_else(|| Error::MissingKey {
            operation,
            key: "evaluation keys".into(),
        })
    }
    pub(crate) fn needs(&self, operation: &'static str, level: usize) -> Result<()> {
        if level == 0 {
            Err(Error::Depth {
                operation,
                needed: 1,
                left: 0,
            })
        } else {
            Ok(())
        }
    }

    /// That a ciphertext at `level` with `noise` decrypts.
    pub(crate) fn decryptable(
        &self,
        operation: &'static str,
        level: usize,
        noise: f64,
    ) -> Result<()> {
        let limit = self.params.level(level).limit;
        // Written so that NaN fails.
        if noise <= limit {
            return Ok(());
        }
        Err(Error::Noise {
            operation,
            bound_bits: noise.log2(),
            limit_bits: limit.log2(),
        })
    }

    /// The bounds of a result, or why it cannot be.
    pub(crate) fn bounds(
        &self,
        operation: &'static str,
        level: usize,
        noise: f64,
        magnitude: f64,
    ) -> Result<Bounds> {
        let capacity = self.params.max_value();
        if magnitude.is_nan() || magnitude > capacity {
            return Err(Error::Overflow {
                operation,
                bound: magnitude.to_string(),
                capacity: capacity.to_string(),
            });
        }
        self.decryptable(operation, level, noise)?;
        Ok(Bounds {
            level,
            noise,
            magnitude,
        })
    }

    /// The bounds of something at `level` after the modulus of that level was dropped, `noise` being that before.
    pub(crate) fn switched_bounds(
        &self,
        operation: &'static str,
        level: usize,
        noise: f64,
        magnitude: f64,
    ) -> Result<Bounds> {
        let noise = self.params.noise().switched(noise, self.level(level).group);
        self.bounds(operation, level - 1, noise, magnitude)
    }

    pub(crate) fn level(&self, level: usize) -> &Level {
        self.params.level(level)
    }

    pub(crate) fn assemble(&self, bounds: Bounds, parts: Vec<Part>) -> Ciphertext {
        Ciphertext {
            parts,
            level: bounds.level,
            noise: bounds.noise,
            magnitude: bounds.magnitude,
            origin: Origin::Computed,
            params: self.params.id(),
            key: self.key,
        }
    }

    /// At `level`, by as many switches of the modulus as lie between.
    fn lowered(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        level: usize,
    ) -> Result<Ciphertext> {
        if level > ct.level {
            return Err(Error::Depth {
                operation,
                needed: level,
                left: ct.level,
            });
        }
        let mut out: Option<Ciphertext> = None;
        for from in (level + 1..=ct.level).rev() {
            let ct = out.as_ref().unwrap_or(ct);
            let bounds = self.switched_bounds(operation, from, ct.noise, ct.magnitude)?;
            let parts = ct
                .parts
                .iter()
                .map(|part| Ok(pairs::rescale(part.halves())?.into()))
                .collect::<Result<_>>()?;
            out = Some(self.assemble(bounds, parts));
        }
        Ok(out.unwrap_or_else(|| ct.clone()))
    }

    /// All at the smallest depth among them; `None` where nothing was to be done. What is listed more than once is
    /// lowered once.
    pub(crate) fn leveled<'a>(
        &self,
        operation: &'static str,
        cts: &[&'a Ciphertext],
    ) -> Result<Leveled<'a>> {
        let level = cts.iter().map(|ct| ct.level).min().unwrap_or(0);
        let first = |ct: &Ciphertext| cts.iter().take_while(|c| !std::ptr::eq(**c, ct)).count();
        let same: Vec<usize> = cts.iter().map(|ct| first(ct)).collect();
        let lowered = cts
            .iter()
            .enumerate()
            .map(|(i, ct)| {
                let needed = ct.level > level && same[i] == i;
                needed
                    .then(|| self.lowered(operation, ct, level))
                    .transpose()
            })
            .collect::<Result<_>>()?;
        Ok(Leveled {
            cts: cts.to_vec(),
            same,
            lowered,
            level,
        })
    }
}

/// Ciphertexts at one level.
pub(crate) struct Leveled<'a> {
    cts: Vec<&'a Ciphertext>,
    same: Vec<usize>,
    lowered: Vec<Option<Ciphertext>>,
    level: usize,
}

impl Leveled<'_> {
    fn all(&self) -> Vec<&Ciphertext> {
        self.cts
            .iter()
            .zip(&self.same)
            .map(|(ct, &i)| self.lowered[i].as_ref().unwrap_or(ct))
            .collect()
    }
}

/// The sum of `terms`, rounded up.
pub(crate) fn sum_up(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms.into_iter().fold(0.0, add_up)
}

impl Scheme for Evaluator {
    type Value = i64;
    type Ciphertext = Ciphertext;
    fn name(&self) -> &'static str {
        "bfv"
    }
    fn slots(&self) -> usize {
        self.params.slots()
    }
    fn depth(&self, ct: &Ciphertext) -> usize {
        ct.level
    }
    fn max_depth(&self) -> usize {
        self.params.depth()
    }
    /// Switches the modulus once for each level; noise comes down with it, to that of the roundings.
    fn lower_to(&self, ct: &Ciphertext, depth: usize) -> Result<Ciphertext> {
        self.guard("lower_to", &[ct])?;
        self.lowered("lower_to", ct, depth)
    }
    fn check(&self, ct: &Ciphertext) -> Result<()> {
        self.guard("check", &[ct])
    }
}

impl ErrorBound for Evaluator {
    /// 0: results are exact.
    fn error_bound(&self, _: &Ciphertext) -> f64 {
        0.0
    }
    fn magnitude_bound(&self, ct: &Ciphertext) -> f64 {
        ct.magnitude
    }
}
