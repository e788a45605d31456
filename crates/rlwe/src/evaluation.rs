//! The keys that a server computes with: one value, with the id of the secret they belong to, and nothing secret in it.

use crate::keys::SecretKey;
use crate::ring::Ring;
use crate::switch::{KeySwitchKey, galois_key, relinearization_key};
use cipherblas_scheme::wire::{KeyId, ParameterId};
use cipherblas_scheme::{Error, KeySet, Result, Verdict};
use rand::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The Galois elements of a key set in `ring`, without the identity.
pub fn galois_elements(set: &KeySet, ring: &Ring) -> BTreeSet<u64> {
    let mut elements: BTreeSet<u64> = set
        .rotations
        .iter()
        .map(|&s| ring.rotation_element(s))
        .collect();
    if set.conjugation {
        elements.insert(ring.conjugation_element());
    }
    elements.remove(&1);
    elements
}

fn proceed(verdict: impl Verdict) -> Result<()> {
    if verdict.goes_on() {
        Ok(())
    } else {
        Err(Error::Interrupted)
    }
}

/// Evaluation keys. Cheap to share behind an `Arc`; hundreds of megabytes to clone.
#[derive(Clone, Debug)]
pub struct EvaluationKeys {
    pub(crate) ring: Arc<Ring>,
    pub(crate) id: KeyId,
    /// Those of the matrices that they were made for: several parameters may share a ring.
    pub(crate) parameters: Option<ParameterId>,
    pub(crate) relinearization: Option<KeySwitchKey>,
    pub(crate) galois: BTreeMap<u64, KeySwitchKey>,
}

impl EvaluationKeys {
    /// Makes the keys of `set`. `progress(done, total)` is called after each key, and may stop the work.
    ///
    /// # Errors
    /// `Parameter` for a set that does not fit the ring; `Interrupted` if `progress` said so.
    pub fn generate<R: CryptoRng + ?Sized, V: Verdict>(
        secret: &SecretKey,
        set: &KeySet,
        rng: &mut R,
        progress: impl FnMut(usize, usize) -> V,
    ) -> Result<Self> {
        let elements = galois_elements(set, secret.ring());
        Self::for_elements(secret, set.relinearization, &elements, rng, progress)
    }

    /// As [`generate`](Self::generate), for Galois elements: the key for products if `relinearization`, and one for each of
    /// `elements` but the identity.
    ///
    /// # Errors
    /// `Parameter` for a number that is no Galois element of the ring; `Interrupted` if `progress` said so.
    pub fn for_elements<R: CryptoRng + ?Sized, V: Verdict>(
        secret: &SecretKey,
        relinearization: bool,
        elements: &BTreeSet<u64>,
        rng: &mut R,
        mut progress: impl FnMut(usize, usize) -> V,
    ) -> Result<Self> {
        let ring = secret.ring().clone();
        let elements: BTreeSet<u64> = elements.iter().copied().filter(|&g| g != 1).collect();
        let total = elements.len() + usize::from(relinearization);
        let mut keys = Self {
            ring,
            id: secret.id(),
            parameters: None,
            relinearization: None,
            galois: BTreeMap::new(),
        };
        if relinearization {
            keys.relinearization = Some(relinearization_key(secret, rng));
            proceed(progress(1, total))?;
        }
        for g in elements {
            keys.galois.insert(g, galois_key(secret, g, rng)?);
            proceed(progress(
                keys.galois.len() + usize::from(relinearization),
                total,
            ))?;
        }
        Ok(keys)
    }

    /// The id of the secret key they belong to.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
    /// The relinearization key.
    ///
    /// # Errors
    /// `MissingKey`.
    pub fn relinearization(&self, operation: &'static str) -> Result<&KeySwitchKey> {
        self.relinearization.as_ref().ok_or(Error::MissingKey {
            operation,
            key: "relinearization key".into(),
        })
    }
    /// The key of Galois element `g`.
    pub fn galois(&self, g: u64) -> Option<&KeySwitchKey> {
        self.galois.get(&g)
    }
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.galois.len() + usize::from(self.relinearization.is_some())
    }
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.galois
            .values()
            .chain(&self.relinearization)
            .map(KeySwitchKey::memory_bytes)
            .sum()
    }
}
