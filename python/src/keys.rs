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
use cipherblas::scheme::wire::{Header, KeyId, Kind, SchemeId, bundle, open_bundle};
use cipherblas::scheme::{
    AdditiveKey, AdditiveOnly, Decrypt, Encrypt, Error, KeySet, Result, Scheme,
};
use cipherblas::{bfv, ckks, paillier};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
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
        read.map(Array::received)
    }
}

fn additive(evaluator: paillier::Evaluator) -> Paillier {
    Guarded::new(AdditiveOnly::new(evaluator))
}

/// Parameters and public key: what an array under Paillier is read with.
pub(crate) fn paillier_context(evaluator: &AdditiveOnly<paillier::Evaluator>) -> Result<Vec<u8>> {
    let inner = evaluator.inner();
    bundle(&inner.params().to_bytes(), &inner.public_key().to_bytes())
}

/// Bytes of one object after those of the parameters that it is read with.
///
/// A kilobyte of parameters can ask for tables of hundreds of megabytes. A coefficient of a polynomial takes a byte and more,
/// so that whoever asks for a large degree has to send as much; only an empty set of keys is small at any degree, and
/// goes up to `SMALL`.
fn unbundle(bytes: &[u8], insecure: bool) -> Result<(AnyParams, &[u8])> {
    const SMALL: usize = 1 << 16;
    let (params, object) = open_bundle(bytes)?;
    let largest_degree = object.len().max(SMALL);
    Ok((
        AnyParams::from_bytes_within(params, insecure, largest_degree)?,
        object,
    ))
}

/// How an array is encrypted.
fn options(
    params: &AnyParams,
    packing: Option<&Packing>,
    depth: Option<usize>,
    bound: Option<f64>,
) -> ArrayOptions {
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
    options
}

/// What a call of `encrypt` brings along.
struct Encryption<'a, 'py> {
    plain: &'a Plain<'py>,
    options: ArrayOptions,
    progress: Option<Py<PyAny>>,
}

impl Encryption<'_, '_> {
    fn run<K, S>(
        self,
        py: Python<'_>,
        guarded: impl FnOnce(Arc<Watch>) -> K + Send,
        evaluator: S,
    ) -> PyResult<EncryptedArray<S>>
    where
        K: Encrypt<Scheme = S>,
        S: cipherblas::scheme::Scheme,
        S::Value: crate::convert::Number,
    {
        let view = self.plain.view::<S::Value>()?;
        let mut rng = generator()?;
        let job = Job::new(self.progress, None);
        let watch = Arc::clone(&job.watch);
        let options = self.options;
        long(py, &job, || {
            EncryptedArray::encrypt(&guarded(watch), &view.array()?, &options, &mut rng)?
                .bind(&evaluator)
        })
    }
}

/// The evaluator that a new array is bound to: that of the keys given, or one without keys.
fn target<S: Clone>(
    py: Python<'_>,
    keys: Option<&EvaluationKeys>,
    own: impl FnOnce() -> S,
    pick: impl FnOnce(&AnyEvaluator) -> Option<&S>,
    scheme: &'static str,
) -> PyResult<S> {
    match keys {
        None => Ok(own()),
        Some(keys) => pick(&keys.evaluator).cloned().ok_or_else(|| {
            raise(
                py,
                &Error::KeyMismatch {
                    operation: "encrypt",
                    got: format!("evaluation keys of {}", keys.evaluator.params().name()),
                    expected: format!("evaluation keys of {scheme}"),
                },
            )
        }),
    }
}

fn ckks_of(evaluator: &AnyEvaluator) -> Option<&Ckks> {
    match evaluator {
        AnyEvaluator::Ckks(e) => Some(e),
        _ => None,
    }
}

fn bfv_of(evaluator: &AnyEvaluator) -> Option<&Bfv> {
    match evaluator {
        AnyEvaluator::Bfv(e) => Some(e),
        _ => None,
    }
}

fn paillier_of(evaluator: &AnyEvaluator) -> Option<&Paillier> {
    match evaluator {
        AnyEvaluator::Paillier(e) => Some(e),
        _ => None,
    }
}

/// The owner's key.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct SecretKey {
    inner: AnySecret,
    /// The process that made it: one that was forked off has a copy of the number of shared results, not the number.
    process: u32,
    /// Drawn once, so that its fingerprint stays the same.
    public: OnceLock<AnyPublic>,
}

impl From<AnySecret> for SecretKey {
    fn from(inner: AnySecret) -> Self {
        Self {
            inner,
            public: OnceLock::new(),
            process: std::process::id(),
        }
    }
}

enum AnySecret {
    Ckks(ckks::SecretKey),
    Bfv(bfv::SecretKey),
    Paillier(Box<paillier::SecretKey>),
}

impl AnySecret {
    fn params(&self) -> AnyParams {
        match self {
            Self::Ckks(k) => AnyParams::Ckks(k.params().clone()),
            Self::Bfv(k) => AnyParams::Bfv(k.params().clone()),
            Self::Paillier(k) => AnyParams::Paillier(k.params().clone()),
        }
    }
    fn id(&self) -> KeyId {
        match self {
            Self::Ckks(k) => k.id(),
            Self::Bfv(k) => k.id(),
            Self::Paillier(k) => k.id(),
        }
    }
    /// An evaluator without evaluation keys.
    fn evaluator(&self) -> AnyEvaluator {
        match self {
            Self::Ckks(k) => AnyEvaluator::Ckks(Guarded::new(k.scheme())),
            Self::Bfv(k) => AnyEvaluator::Bfv(Guarded::new(k.scheme())),
            Self::Paillier(k) => AnyEvaluator::Paillier(additive(k.public_key().evaluator())),
        }
    }
}

impl SecretKey {
    /// The key of CKKS, if it is one.
    pub(crate) fn ckks(&self) -> Option<&ckks::SecretKey> {
        match &self.inner {
            AnySecret::Ckks(key) => Some(key),
            _ => None,
        }
    }
    /// Shared results are counted in one process.
    pub(crate) fn may_share(&self, py: Python<'_>) -> PyResult<()> {
        let now = std::process::id();
        if now == self.process {
            return Ok(());
        }
        Err(raise(
            py,
            &Error::Parameter {
                what: "sharing",
                got: format!("process {now}, forked from the one that has the key"),
                expected: format!("process {}, where shared results are counted", self.process),
                hint: "share results from one process",
            },
        ))
    }
}

/// Counts a step, and says whether there is to be another.
fn verdict(watch: &Watch) -> ControlFlow<()> {
    watch.advance(1);
    if watch.stopped() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// Decrypts values; with noise on top if they are to be shown to others.
fn decrypted<'py, K, S>(
    py: Python<'py>,
    array: &EncryptedArray<S>,
    shared: Option<f64>,
    progress: Option<Py<PyAny>>,
    guarded: impl FnOnce(Arc<Watch>) -> K + Send,
) -> PyResult<Bound<'py, PyAny>>
where
    K: Decrypt<Scheme = S>,
    S: cipherblas::scheme::Scheme,
    S::Value: crate::convert::Number,
{
    let shared = match shared {
        None => None,
        Some(bound) => Some((bound, generator()?)),
    };
    let job = Job::new(progress, Some(array.ciphertexts().len() as u64));
    let watch = Arc::clone(&job.watch);
    let values = long(py, &job, || {
        let key = guarded(watch);
        match shared {
            None => array.decrypt(&key),
            Some((bound, mut rng)) => array.decrypt_shared(&key, bound, &mut rng),
        }
    })?;
    to_numpy(py, array.shape(), values)
}

#[pymethods]
impl SecretKey {
    #[staticmethod]
    #[pyo3(signature = (params, progress=None))]
    fn generate(py: Python<'_>, params: &Params, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let mut rng = generator()?;
        let job = Job::new(progress, None);
        let inner = long(py, &job, || {
            Ok(match &params.inner {
                AnyParams::Ckks(p) => AnySecret::Ckks(ckks::SecretKey::generate(p, &mut rng)?),
                AnyParams::Bfv(p) => AnySecret::Bfv(bfv::SecretKey::generate(p, &mut rng)?),
                AnyParams::Paillier(p) => {
                    let step = || verdict(&job.watch);
                    let key = paillier::SecretKey::generate_with_progress(p, &mut rng, step)?;
                    AnySecret::Paillier(Box::new(key))
                }
            })
        })?;
        Ok(inner.into())
    }
    #[getter]
    fn params(&self) -> Params {
        Params {
            inner: self.inner.params(),
        }
    }
    #[getter]
    fn id(&self) -> String {
        self.inner.id().to_string()
    }
    /// Bound on the error of the values of an array that is shared with the given bound; none where sharing adds nothing.
    fn shared_error_bound(&self, py: Python<'_>, array: &Array, bound: f64) -> PyResult<f64> {
        let (Some(key), AnyArray::Ckks(array)) = (self.ckks(), &array.inner) else {
            return Err(unsupported(
                py,
                self.inner.params().name(),
                "noise of shared results",
                "results of exact schemes are shared as they are",
            ));
        };
        let scheme = key.scheme();
        array
            .ciphertexts()
            .try_for_each(|ct| scheme.check(ct))
            .or_raise(py)?;
        let each = array
            .ciphertexts()
            .map(|ct| key.shared_error_bound(ct, bound));
        Ok(each.fold(0.0, f64::max))
    }
    /// Results that can still be shared; none where sharing changes nothing.
    #[getter]
    fn shared_left(&self) -> Option<u32> {
        self.ckks().map(ckks::SecretKey::shared_left)
    }

    fn public_key(&self, py: Python<'_>) -> PyResult<PublicKey> {
        if self.public.get().is_none() {
            let mut rng = generator()?;
            let job = Job::new(None, None);
            let drawn = long(py, &job, || {
                Ok(match &self.inner {
                    AnySecret::Ckks(k) => AnyPublic::Ckks(k.public_key(&mut rng)?),
                    AnySecret::Bfv(k) => AnyPublic::Bfv(k.public_key(&mut rng)?),
                    AnySecret::Paillier(k) => AnyPublic::Paillier(k.public_key()),
                })
            })?;
            // Another thread's, if it was faster.
            let _ = self.public.set(drawn);
        }
        let inner = self.public.get().cloned().expect("set above");
        Ok(PublicKey { inner })
    }

    /// The evaluation keys of a set: products of ciphertexts, and rotations by these steps.
    #[pyo3(signature = (relinearization, rotations, progress=None))]
    fn evaluation_keys(
        &self,
        py: Python<'_>,
        relinearization: bool,
        rotations: BTreeSet<i64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<EvaluationKeys> {
        let set = KeySet {
            relinearization,
            rotations,
            conjugation: false,
        };
        let mut rng = generator()?;
        let job = Job::new(
            progress,
            Some((set.rotations.len() + usize::from(relinearization)) as u64),
        );
        let watch = Arc::clone(&job.watch);
        let evaluator = long(py, &job, || {
            let step = |_: usize, _: usize| verdict(&watch);
            Ok(match &self.inner {
                AnySecret::Ckks(k) => {
                    let keys = k.evaluation_keys_with_progress(&set, &mut rng, step)?;
                    AnyEvaluator::Ckks(Guarded::new(ckks::Evaluator::new(k.params(), keys)?))
                }
                AnySecret::Bfv(k) => {
                    let keys = k.evaluation_keys_with_progress(&set, &mut rng, step)?;
                    AnyEvaluator::Bfv(Guarded::new(bfv::Evaluator::new(k.params(), keys)?))
                }
                AnySecret::Paillier(k) => {
                    AnyEvaluator::Paillier(additive(k.public_key().evaluator()))
                }
            })
        })?;
        Ok(EvaluationKeys {
            evaluator,
            received: false,
        })
    }

    #[pyo3(signature = (plain, keys=None, packing=None, depth=None, bound=None, progress=None))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each option, all named by the package"
    )]
    fn encrypt(
        &self,
        py: Python<'_>,
        plain: Plain<'_>,
        keys: Option<&EvaluationKeys>,
        packing: Option<&Packing>,
        depth: Option<usize>,
        bound: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Array> {
        let options = options(&self.inner.params(), packing, depth, bound);
        let work = Encryption {
            plain: &plain,
            options,
            progress,
        };
        let inner = match &self.inner {
            AnySecret::Ckks(k) => {
                let to = target(py, keys, || Guarded::new(k.scheme()), ckks_of, "ckks")?;
                AnyArray::Ckks(work.run(py, |watch| GuardedKey::new(k, watch), to)?)
            }
            AnySecret::Bfv(k) => {
                let to = target(py, keys, || Guarded::new(k.scheme()), bfv_of, "bfv")?;
                AnyArray::Bfv(work.run(py, |watch| GuardedKey::new(k, watch), to)?)
            }
            AnySecret::Paillier(k) => {
                let to = target(
                    py,
                    keys,
                    || additive(k.public_key().evaluator()),
                    paillier_of,
                    "paillier",
                )?;
                let key = AdditiveKey::new(&**k);
                AnyArray::Paillier(work.run(py, |watch| GuardedKey::new(&key, watch), to)?)
            }
        };
        Ok(Array {
            inner,
            received: keys.is_some_and(|keys| keys.received),
        })
    }

    /// With noise on top if the values are to be shown to others: by `bound`, the owner's own, without which the one that the
    /// array carries is taken if it was computed here.
    #[pyo3(signature = (array, share=false, bound=None, progress=None))]
    fn decrypt<'py>(
        &self,
        py: Python<'py>,
        array: &Array,
        share: bool,
        bound: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shared = match (share, bound) {
            (false, _) => None,
            (true, Some(bound)) => Some(bound),
            (true, None) if array.received && matches!(array.inner, AnyArray::Ckks(_)) => {
                return Err(raise(
                    py,
                    &Error::Parameter {
                        what: "bound",
                        got: "none, for a model, or for what came as bytes or was computed with keys that did".into(),
                        expected: "your own bound on the error of its values".into(),
                        hint: "pass `bound=`, from the same computation on values of your own or from knowledge of it; `bound=array.error_bound` trusts whoever sent the array",
                    },
                ));
            }
            (true, None) => array.bound_on_error(),
        };
        match (&self.inner, &array.inner) {
            (AnySecret::Ckks(k), AnyArray::Ckks(a)) => {
                if shared.is_some() {
                    self.may_share(py)?;
                }
                decrypted(py, a, shared, progress, |watch| GuardedKey::new(k, watch))
            }
            (AnySecret::Bfv(k), AnyArray::Bfv(a)) => {
                decrypted(py, a, shared, progress, |watch| GuardedKey::new(k, watch))
            }
            (AnySecret::Paillier(k), AnyArray::Paillier(a)) => {
                let key = AdditiveKey::new(&**k);
                decrypted(py, a, shared, progress, |watch| {
                    GuardedKey::new(&key, watch)
                })
            }
            (
                _,
                AnyArray::PlannedReal(_) | AnyArray::PlannedInteger(_) | AnyArray::PlannedSums(_),
            ) => Err(unsupported(
                py,
                "a plan",
                "decryption",
                "arrays of a plan hold no values; encrypt some",
            )),
            (secret, array) => Err(raise(
                py,
                &Error::KeyMismatch {
                    operation: "decrypt",
                    got: format!("an array under {}", array.scheme()),
                    expected: format!("one under {}", secret.params().name()),
                },
            )),
        }
    }

    fn load(&self, py: Python<'_>, bytes: Bytes<'_>) -> PyResult<Array> {
        self.inner.evaluator().load(py, &bytes)
    }

    /// Writes the key to a file under a passphrase.
    fn save(
        &self,
        py: Python<'_>,
        path: PathBuf,
        passphrase: Passphrase,
        overwrite: bool,
    ) -> PyResult<()> {
        let mut rng = generator()?;
        let secret = &passphrase.0;
        py.detach(|| match (&self.inner, overwrite) {
            (AnySecret::Ckks(k), false) => k.save(path, secret, &mut rng),
            (AnySecret::Ckks(k), true) => k.save_over(path, secret, &mut rng),
            (AnySecret::Bfv(k), false) => k.save(path, secret, &mut rng),
            (AnySecret::Bfv(k), true) => k.save_over(path, secret, &mut rng),
            (AnySecret::Paillier(k), false) => k.save(path, secret, &mut rng),
            (AnySecret::Paillier(k), true) => k.save_over(path, secret, &mut rng),
        })
        .or_raise(py)
    }

    #[staticmethod]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        passphrase: Passphrase,
        insecure: bool,
    ) -> PyResult<Self> {
        let secret = &passphrase.0;
        let opened: Result<AnySecret> = py.detach(|| {
            let bytes = cipherblas::scheme::sealed::read_file(&path)?;
            Ok(
                match (cipherblas::scheme::sealed::scheme_of(&bytes)?, insecure) {
                    (SchemeId::Ckks, false) => {
                        AnySecret::Ckks(ckks::SecretKey::unseal(&bytes, secret)?)
                    }
                    (SchemeId::Ckks, true) => {
                        AnySecret::Ckks(ckks::SecretKey::insecure_unseal(&bytes, secret)?)
                    }
                    (SchemeId::Bfv, false) => {
                        AnySecret::Bfv(bfv::SecretKey::unseal(&bytes, secret)?)
                    }
                    (SchemeId::Bfv, true) => {
                        AnySecret::Bfv(bfv::SecretKey::insecure_unseal(&bytes, secret)?)
                    }
                    (SchemeId::Paillier, false) => {
                        AnySecret::Paillier(Box::new(paillier::SecretKey::unseal(&bytes, secret)?))
                    }
                    (SchemeId::Paillier, true) => AnySecret::Paillier(Box::new(
                        paillier::SecretKey::insecure_unseal(&bytes, secret)?,
                    )),
                    (other, _) => {
                        return Err(Error::Wire {
                            what: "encrypted secret key",
                            got: format!("scheme {other}"),
                            expected: "ckks, bfv or paillier".into(),
                        });
                    }
                },
            )
        });
        opened.or_raise(py).map(Self::from)
    }
}

/// A passphrase, erased when dropped (Python's own copy is not ours to erase).
struct Passphrase(Zeroizing<Vec<u8>>);

impl<'py> FromPyObject<'_, 'py> for Passphrase {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let bytes = object.cast::<PyBytes>()?;
        Ok(Self(Zeroizing::new(bytes.as_bytes().to_vec())))
    }
}

#[derive(Clone)]
enum AnyPublic {
    Ckks(ckks::PublicKey),
    Bfv(bfv::PublicKey),
    Paillier(paillier::PublicKey),
}

impl AnyPublic {
    fn params(&self) -> AnyParams {
        match self {
            Self::Ckks(k) => AnyParams::Ckks(k.params().clone()),
            Self::Bfv(k) => AnyParams::Bfv(k.params().clone()),
            Self::Paillier(k) => AnyParams::Paillier(k.params().clone()),
        }
    }
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ckks(k) => k.to_bytes(),
            Self::Bfv(k) => k.to_bytes(),
            Self::Paillier(k) => k.to_bytes(),
        }
    }
    fn from_bytes(bytes: &[u8], insecure: bool) -> Result<Self> {
        let (params, object) = unbundle(bytes, insecure)?;
        Ok(match &params {
            AnyParams::Ckks(p) => Self::Ckks(ckks::PublicKey::from_bytes(p, object)?),
            AnyParams::Bfv(p) => Self::Bfv(bfv::PublicKey::from_bytes(p, object)?),
            AnyParams::Paillier(p) => Self::Paillier(paillier::PublicKey::from_bytes(p, object)?),
        })
    }
}

/// Encrypts, for anyone who contributes data.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct PublicKey {
    inner: AnyPublic,
}

#[pymethods]
impl PublicKey {
    #[getter]
    fn params(&self) -> Params {
        Params {
            inner: self.inner.params(),
        }
    }
    #[getter]
    fn id(&self) -> String {
        match &self.inner {
            AnyPublic::Ckks(k) => k.id().to_string(),
            AnyPublic::Bfv(k) => k.id().to_string(),
            AnyPublic::Paillier(k) => k.id().to_string(),
        }
    }
    /// Hash of parameters and key, to be compared over another channel.
    fn fingerprint(&self) -> String {
        match &self.inner {
            AnyPublic::Ckks(k) => k.fingerprint().to_string(),
            AnyPublic::Bfv(k) => k.fingerprint().to_string(),
            AnyPublic::Paillier(k) => k.fingerprint().to_string(),
        }
    }

    #[pyo3(signature = (plain, keys=None, packing=None, depth=None, bound=None, progress=None))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each option, all named by the package"
    )]
    fn encrypt(
        &self,
        py: Python<'_>,
        plain: Plain<'_>,
        keys: Option<&EvaluationKeys>,
        packing: Option<&Packing>,
        depth: Option<usize>,
        bound: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Array> {
        let options = options(&self.inner.params(), packing, depth, bound);
        let work = Encryption {
            plain: &plain,
            options,
            progress,
        };
        let inner = match &self.inner {
            AnyPublic::Ckks(k) => {
                let to = target(py, keys, || Guarded::new(k.scheme()), ckks_of, "ckks")?;
                AnyArray::Ckks(work.run(py, |watch| GuardedKey::new(k, watch), to)?)
            }
            AnyPublic::Bfv(k) => {
                let to = target(py, keys, || Guarded::new(k.scheme()), bfv_of, "bfv")?;
                AnyArray::Bfv(work.run(py, |watch| GuardedKey::new(k, watch), to)?)
            }
            AnyPublic::Paillier(k) => {
                let to = target(
                    py,
                    keys,
                    || additive(k.evaluator()),
                    paillier_of,
                    "paillier",
                )?;
                let key = AdditiveKey::new(k);
                AnyArray::Paillier(work.run(py, |watch| GuardedKey::new(&key, watch), to)?)
            }
        };
        Ok(Array {
            inner,
            received: keys.is_some_and(|keys| keys.received),
        })
    }

    fn load(&self, py: Python<'_>, bytes: Bytes<'_>) -> PyResult<Array> {
        let evaluator = match &self.inner {
            AnyPublic::Ckks(k) => AnyEvaluator::Ckks(Guarded::new(k.scheme())),
            AnyPublic::Bfv(k) => AnyEvaluator::Bfv(Guarded::new(k.scheme())),
            AnyPublic::Paillier(k) => AnyEvaluator::Paillier(additive(k.evaluator())),
        };
        evaluator.load(py, &bytes)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = bundle(&self.inner.params().to_bytes(), &self.inner.to_bytes()).or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: Bytes<'_>, insecure: bool) -> PyResult<Self> {
        let bytes = bytes.as_slice();
        let job = Job::new(None, None);
        long(py, &job, || AnyPublic::from_bytes(bytes, insecure)).map(|inner| Self { inner })
    }
}

/// What a server computes with; no secret.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct EvaluationKeys {
    pub(crate) evaluator: AnyEvaluator,
    /// Whether they came as bytes: bounds on errors presume keys that were made honestly.
    pub(crate) received: bool,
}

#[pymethods]
impl EvaluationKeys {
    #[getter]
    fn params(&self) -> Params {
        Params {
            inner: self.evaluator.params(),
        }
    }
    #[getter]
    fn id(&self) -> String {
        self.evaluator.key_id().to_string()
    }
    /// Number of keys.
    fn __len__(&self) -> usize {
        match &self.evaluator {
            AnyEvaluator::Ckks(e) => e.inner().keys().map_or(0, |keys| keys.len()),
            AnyEvaluator::Bfv(e) => e.inner().keys().map_or(0, |keys| keys.len()),
            AnyEvaluator::Paillier(_) => 0,
        }
    }
    #[getter]
    fn nbytes(&self) -> usize {
        match &self.evaluator {
            AnyEvaluator::Ckks(e) => e.inner().keys().map_or(0, |keys| keys.memory_bytes()),
            AnyEvaluator::Bfv(e) => e.inner().keys().map_or(0, |keys| keys.memory_bytes()),
            AnyEvaluator::Paillier(_) => 0,
        }
    }

    fn load(&self, py: Python<'_>, bytes: Bytes<'_>) -> PyResult<Array> {
        self.evaluator.load(py, &bytes)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let job = Job::new(None, None);
        let bytes = long(py, &job, || match &self.evaluator {
            AnyEvaluator::Ckks(e) => {
                let (params, keys) = (e.inner().params(), held(e.inner().keys())?);
                bundle(&params.to_bytes(), &params.evaluation_keys_to_bytes(keys))
            }
            AnyEvaluator::Bfv(e) => {
                let (params, keys) = (e.inner().params(), held(e.inner().keys())?);
                bundle(&params.to_bytes(), &params.evaluation_keys_to_bytes(keys))
            }
            AnyEvaluator::Paillier(e) => paillier_context(e.inner()),
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: Bytes<'_>, insecure: bool) -> PyResult<Self> {
        let bytes = bytes.as_slice();
        let job = Job::new(None, None);
        let evaluator = long(py, &job, || {
            let (params, object) = unbundle(bytes, insecure)?;
            Ok(match &params {
                AnyParams::Ckks(p) => {
                    let keys = p.evaluation_keys_from_bytes(object)?;
                    AnyEvaluator::Ckks(Guarded::new(ckks::Evaluator::new(p, keys)?))
                }
                AnyParams::Bfv(p) => {
                    let keys = p.evaluation_keys_from_bytes(object)?;
                    AnyEvaluator::Bfv(Guarded::new(bfv::Evaluator::new(p, keys)?))
                }
                AnyParams::Paillier(p) => AnyEvaluator::Paillier(additive(
                    paillier::PublicKey::from_bytes(p, object)?.evaluator(),
                )),
            })
        })?;
        Ok(Self {
            evaluator,
            received: true,
        })
    }
}

fn held<K>(keys: Option<&K>) -> Result<&K> {
    keys.ok_or_else(|| Error::MissingKey {
        operation: "serialization",
        key: "evaluation keys".into(),
    })
}

/// What arrays are read with where there is no key: they can be kept, sent on and bound to evaluation keys.
#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Context {
    inner: AnyContext,
}

enum AnyContext {
    /// The key's id comes with each array.
    Lattice(AnyParams),
    Paillier(Paillier),
}

#[pymethods]
impl Context {
    /// From what `Array.context` gave.
    #[new]
    fn new(py: Python<'_>, bytes: Bytes<'_>) -> PyResult<Self> {
        let bytes = bytes.as_slice();
        let read = || -> Result<AnyContext> {
            if Header::peek(bytes)?.kind != Kind::Bundle {
                return AnyParams::from_bytes(bytes, false).map(AnyContext::Lattice);
            }
            let (params, object) = unbundle(bytes, false)?;
            match &params {
                AnyParams::Paillier(p) => {
                    let key = paillier::PublicKey::from_bytes(p, object)?;
                    Ok(AnyContext::Paillier(additive(key.evaluator())))
                }
                _ => Ok(AnyContext::Lattice(params)),
            }
        };
        py.detach(read).or_raise(py).map(|inner| Self { inner })
    }

    fn load(&self, py: Python<'_>, bytes: Bytes<'_>) -> PyResult<Array> {
        let evaluator = match &self.inner {
            AnyContext::Paillier(e) => AnyEvaluator::Paillier(e.clone()),
            AnyContext::Lattice(params) => {
                let key = Header::peek(bytes.as_slice()).or_raise(py)?.key;
                match params {
                    AnyParams::Ckks(p) => {
                        AnyEvaluator::Ckks(Guarded::new(ckks::Evaluator::without_keys(p, key)))
                    }
                    AnyParams::Bfv(p) => {
                        AnyEvaluator::Bfv(Guarded::new(bfv::Evaluator::without_keys(p, key)))
                    }
                    AnyParams::Paillier(_) => {
                        return Err(raise(
                            py,
                            &Error::Wire {
                                what: "context of an array",
                                got: "parameters of Paillier alone".into(),
                                expected: "parameters and public key".into(),
                            },
                        ));
                    }
                }
            }
        };
        evaluator.load(py, &bytes)
    }
}
