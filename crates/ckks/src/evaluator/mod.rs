//! Everything that a server does: parameters and evaluation keys in one cheap handle, and no secret.

mod arithmetic;
mod combine;
mod plain;
mod rotate;

pub use plain::Plaintext;

use crate::ciphertext::Ciphertext;
use crate::noise::{ARITHMETIC_ERROR, TRANSFORM_ERROR};
use crate::params::Params;
use cipherblas_rlwe::switch;
use cipherblas_rlwe::{EvaluationKeys, Ntt, Poly};
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
    /// A result. The bound on its values may be beyond `2^integer_bits`, where decryption looks at the values themselves;
    /// bounds that leave the doubles' range stay at its end.
    pub(crate) fn assemble(
        &self,
        c0: Poly<Ntt>,
        c1: Poly<Ntt>,
        level: usize,
        error: f64,
        magnitude: f64,
    ) -> Ciphertext {
        let magnitude = magnitude.min(f64::MAX);
        let error = (error + magnitude * ARITHMETIC_ERROR).min(f64::MAX);
        Ciphertext {
            c0,
            c1,
            seed: None,
            level,
            error,
            magnitude,
            params: self.params.id(),
            key: self.key,
        }
    }
    /// Divides by the level's modulus and accounts for the rounding. `error` is that of the product before.
    pub(crate) fn rescaled(
        &self,
        c: (Poly<Ntt>, Poly<Ntt>),
        level: usize,
        error: f64,
        magnitude: f64,
    ) -> Result<Ciphertext> {
        let rounding = self.params.noise().rounding() / self.params.scale(level - 1);
        let (c0, c1) = (switch::rescale(&c.0)?, switch::rescale(&c.1)?);
        Ok(self.assemble(c0, c1, level - 1, error + rounding, magnitude))
    }
    /// Error of a key switch that is divided by P only, at `level`, in units of values.
    pub(crate) fn switch_error(&self, level: usize) -> f64 {
        let noise = self.params.noise();
        (noise.key_switch(self.params.ring(), level) + noise.rounding()) / self.params.scale(level)
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
    /// All at the smallest depth among them.
    pub(crate) fn leveled(&self, cts: &[&Ciphertext]) -> Result<Vec<Ciphertext>> {
        let level = cts.iter().map(|ct| ct.level).min().unwrap_or(0);
        cts.iter().map(|ct| self.lower_to(ct, level)).collect()
    }
}

impl Scheme for Evaluator {
    type Value = f64;
    type Ciphertext = Ciphertext;
    fn name(&self) -> &'static str {
        "ckks"
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
    /// Drops the primes above `depth + 1`, multiplies by the ratio of the canonical scales, and rescales once.
    fn lower_to(&self, ct: &Ciphertext, depth: usize) -> Result<Ciphertext> {
        self.guard("lower_to", &[ct])?;
        if depth == ct.level {
            return Ok(ct.clone());
        }
        self.scaled_to("lower_to", ct, 1.0, depth)
    }
    fn check(&self, ct: &Ciphertext) -> Result<()> {
        self.guard("check", &[ct])
    }
}

impl ErrorBound for Evaluator {
    fn error_bound(&self, ct: &Ciphertext) -> f64 {
        (ct.error + ct.magnitude * TRANSFORM_ERROR).min(f64::MAX)
    }
    fn magnitude_bound(&self, ct: &Ciphertext) -> f64 {
        ct.magnitude
    }
}
