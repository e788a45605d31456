//! The three roles: the owner's secret key, the public key of contributors, the evaluation keys of a server.

use crate::array::{AnyArray, Array, Bfv, Ckks, Packing, Paillier};
use crate::buffer::Bytes;
use crate::convert::{Plain, to_numpy};
use crate::error::{OrRaise, raise, unsupported};
use crate::params::{AnyParams, Params};
use crate::random::generator;
use crate::run::{Job, long};
use cipherblas::linalg::array::{ArrayOptions, ArrayPacking, EncryptedArray};
use cipherblas::scheme::guard::{Guarded, GuardedKey, Watch};
use cipherblas::scheme::wire::{Header, KeyId, SchemeId, bundle, open_bundle};
use cipherblas::scheme::{AdditiveKey, AdditiveOnly, Decrypt, Encrypt, Error, KeySet, Result};
use cipherblas::{bfv, ckks, paillier};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rand::CryptoRng;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Parameters and evaluation keys, ready to compute.
#[derive(Clone)]
pub(crate) enum AnyEvaluator {
    Ckks(Ckks),
    Bfv(Bfv),
    Paillier(Paillier),
}

impl AnyEvaluator {
    pub(crate) fn params(&self) -> AnyParams {
        match self {
            Self::Ckks(e) => AnyParams::Ckks(e.inner().params().clone()),
            Self::Bfv(e) => AnyParams::Bfv(e.inner().params().clone()),
            Self::Paillier(e) => AnyParams::Paillier(e.inner().inner().params().clone()),
        }
    }
    fn key_id(&self) -> KeyId {
        match self {
            Self::Ckks(e) => e.inner().key_id(),
            Self::Bfv(e) => e.inner().key_id(),
            Self::Paillier(e) => e.inner().inner().key_id(),
        }
    }
    fn load(&self, py: Python<'_>, bytes: &Bytes<'_>) -> PyResult<Array> {
        let bytes = bytes.as_slice();
        let job = Job::new(None, None);
        let read = long(py, &job, || {
            Ok(match self {
                Self::Ckks(e) => AnyArray::Ckks(EncryptedArray::from_bytes(e, bytes)?),
                Self::Bfv(e) => AnyArray::Bfv(EncryptedArray::from_bytes(e, bytes)?),
                Self::Paillier(e) => AnyArray::Paillier(EncryptedArray::from_bytes(e, bytes)?),
            })
        });
        read.map(Array::from)
    }
}

fn additive(evaluator: paillier::Evaluator) -> Paillier {
    Guarded::new(AdditiveOnly::new(evaluator))
}

fn paillier_bundle(key: &paillier::PublicKey) -> Vec<u8> {
    bundle(&key.params().to_bytes(), &key.to_bytes())
}

/// Parameters and public key: what an array under Paillier is read with.
pub(crate) fn paillier_context(evaluator: &AdditiveOnly<paillier::Evaluator>) -> Vec<u8> {
    let inner = evaluator.inner();
    // The evaluator holds the modulus that the key was made from.
    paillier::PublicKey::from_modulus(inner.params(), inner.key().n())
        .map(|key| paillier_bundle(&key))
        .unwrap_or_default()
}

/// Bytes of one object after those of the parameters that it is read with.
fn unbundle(bytes: &[u8], insecure: bool) -> Result<(AnyParams, &[u8])> {
    let (params, object) = open_bundle(bytes)?;
    Ok((AnyParams::from_bytes(params, insecure)?, object))
}

/// What is encrypted, and how.
struct Encryption<'a> {
    plain: &'a Plain<'a>,
    options: ArrayOptions,
}

impl<'a> Encryption<'a> {
    fn new(
        params: &AnyParams,
        plain: &'a Plain<'a>,
        packing: Option<&Packing>,
        depth: Option<usize>,
        bound: Option<f64>,
    ) -> Self {
        // Under Paillier slots cannot be told apart: one value to a ciphertext, unless asked otherwise.
        let default = match params {
            AnyParams::Paillier(_) => ArrayPacking::Spread,
            _ => ArrayPacking::Auto,
        };
        let mut options = ArrayOptions::new().packing(packing.map_or(default, |p| p.inner));
        if let Some(depth) = depth {
            options = options.depth(depth);
        }
        if let Some(bound) = bound {
            options = options.bound(bound);
        }
        Self { plain, options }
    }

    fn run<K, R, S>(
        &self,
        py: Python<'_>,
        key: &K,
        progress: Option<Py<PyAny>>,
        evaluator: &S,
        rng: &mut R,
        guard: impl FnOnce(Arc<Watch>) -> Guard,
    ) -> PyResult<EncryptedArray<S>>
    where
        K: Encrypt + ?Sized,
        R: CryptoRng,
        S: cipherblas::scheme::Scheme,
    {
        let _ = (py, key, progress, evaluator, rng, guard);
        unreachable!()
    }
}

struct Guard;

/// The owner's key.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct SecretKey {
    inner: AnySecret,
}

enum AnySecret {
    Ckks(ckks::SecretKey),
    Bfv(bfv::SecretKey),
    Paillier(paillier::SecretKey),
}
