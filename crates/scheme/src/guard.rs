//! An evaluator with what one call brings along: a [`Watch`] that stops it and counts what it has done.
//!
//! [`Guarded`] is a scheme like the one inside: the same ciphertexts, the same keys, every operation handed on, the fast ways
//! included. Before each it looks at the watch: once [`Watch::stop`] was called, from a signal handler or another thread,
//! it gives [`Error::Interrupted`], and what was going on above it ends. Operations are handed on whole, so that it stops
//! between two of them, never within one.
//!
//! Rotations by steps whose key is not held are put together from the powers of two that are
//! ([`KeySet::powers_of_two`](crate::KeySet::powers_of_two)): as few rotations as signed binary digits allow, modulo the
//! slots. Each adds its noise, which the evaluator inside bounds as ever. [`Rotate::can_rotate`](crate::Rotate::can_rotate) stays what it is, whether
//! the step has a key of its own: kernels choose the faster way by it.
//!
//! ```
//! use cipherblas_scheme::guard::{Guarded, Watch};
//! use cipherblas_scheme::{Add, ClearScheme, Decrypt, Encrypt, Error, KeySet, Rotate};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use std::sync::Arc;
//!
//! let scheme = ClearScheme::new(8, 1)?.with_keys(&KeySet::powers_of_two(8));
//! let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let x = scheme.key().encrypt_at(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 1, None, &mut rng)?;
//!
//! let watch = Arc::new(Watch::default());
//! let guarded = Guarded::new(scheme.clone()).with_watch(watch.clone());
//! let y = guarded.rotate(&x, 3)?; // by 2, then by 1
//! assert_eq!(scheme.key().decrypt(&y)?, [3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 1.0, 2.0]);
//! assert_eq!(watch.operations(), 2);
//!
//! watch.stop();
//! assert_eq!(guarded.add(&x, &y), Err(Error::Interrupted));
//! # Ok::<(), Error>(())
//! ```

mod key;
mod rotate;

pub use key::GuardedKey;

use crate::{
    Add, AddPlain, Combine, Error, ErrorBound, Mul, MulPlain, Result, Scheme, WeightMatrix, Wire,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

type Poll = Box<dyn Fn(&Watch) + Send + Sync>;

/// Stops what it is given to, and counts what that has done. Shared by reference count; every thread may use it.
#[derive(Default)]
pub struct Watch {
    stop: AtomicBool,
    operations: AtomicU64,
    poll: Option<Poll>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("stop", &self.stop)
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// A watch that has counted nothing.
    pub fn new() -> Self {
        Self::default()
    }
    /// A watch that calls `poll` before each operation, on the thread that does it; it may [`stop`](Self::stop) the watch.
    #[must_use]
    pub fn polling(poll: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        Self {
            poll: Some(Box::new(poll)),
            ..Self::default()
        }
    }
    /// No operation begins any more. Safe in a signal handler: one atomic store.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    /// Whether [`stop`](Self::stop) was called.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
    /// Operations begun: each encryption, decryption and operation on ciphertexts; those with several results
    /// (`combine`, `rotate_many`) count once for each, rotations put together from others once for each of those. Reading
    /// and writing bytes is not counted.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Counts what was done outside of an evaluator, such as making a key.
    pub fn advance(&self, operations: u64) {
        self.call_poll();
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }

    fn call_poll(&self) {
        if let Some(poll) = &self.poll {
            poll(self);
        }
    }

    fn look(&self) -> Result<()> {
        self.call_poll();
        if self.stopped() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn begin(&self, operations: usize) -> Result<()> {
        self.look()?;
        self.operations
            .fetch_add(operations as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A scheme under a [`Watch`], with rotations by every step (see the [module page](self)).
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    watch: Arc<Watch>,
}

impl<S> Guarded<S> {
    /// `inner` under a watch of its own.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            watch: Arc::default(),
        }
    }
    /// The scheme inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
    /// The watch.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
    /// The same evaluator under another watch: what one call takes. Two reference counts.
    #[must_use]
    pub fn with_watch(&self, watch: Arc<Watch>) -> Self
    where
        S: Clone,
    {
        Self {
            inner: self.inner.clone(),
            watch,
        }
    }
}

impl<S: Scheme> Scheme for Guarded<S> {
    type Value = S::Value;
    type Ciphertext = S::Ciphertext;

    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn slots(&self) -> usize {
        self.inner.slots()
    }
    fn depth(&self, ct: &S::Ciphertext) -> usize {
        self.inner.depth(ct)
    }
    fn max_depth(&self) -> usize {
        self.inner.max_depth()
    }
    fn lower_to(&self, ct: &S::Ciphertext, depth: usize) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.lower_to(ct, depth)
    }
    fn check(&self, ct: &S::Ciphertext) -> Result<()> {
        self.inner.check(ct)
    }
}

impl<S: Add> Add for Guarded<S> {
    fn add(&self, a: &S::Ciphertext, b: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.add(a, b)
    }
    fn sub(&self, a: &S::Ciphertext, b: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.sub(a, b)
    }
    fn negate(&self, a: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.negate(a)
    }
    fn sum(&self, terms: &[&S::Ciphertext]) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.sum(terms)
    }
}

impl<S: AddPlain> AddPlain for Guarded<S> {
    fn add_plain(&self, ct: &S::Ciphertext, values: &[S::Value]) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.add_plain(ct, values)
    }
}

impl<S: MulPlain> MulPlain for Guarded<S> {
    type Plaintext = S::Plaintext;

    fn prepare(&self, values: &[S::Value], depth: usize) -> Result<S::Plaintext> {
        self.watch.begin(1)?;
        self.inner.prepare(values, depth)
    }
    fn mul_prepared(
        &self,
        cts: &[&S::Ciphertext],
        plains: &[&S::Plaintext],
    ) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul_prepared(cts, plains)
    }
    fn mul_plain(&self, ct: &S::Ciphertext, values: &[S::Value]) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul_plain(ct, values)
    }
    fn mul_scalar(&self, ct: &S::Ciphertext, value: S::Value) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul_scalar(ct, value)
    }
    fn mul_scalar_to(
        &self,
        ct: &S::Ciphertext,
        value: S::Value,
        depth: usize,
    ) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul_scalar_to(ct, value, depth)
    }
}

impl<S: Combine> Combine for Guarded<S> {
    fn combine(
        &self,
        weights: WeightMatrix<'_, S::Value>,
        cts: &[&S::Ciphertext],
    ) -> Result<Vec<S::Ciphertext>> {
        self.watch.begin(weights.rows())?;
        self.inner.combine(weights, cts)
    }
}

impl<S: Mul> Mul for Guarded<S> {
    fn mul(&self, a: &S::Ciphertext, b: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul(a, b)
    }
    fn square(&self, a: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.square(a)
    }
    fn mul_sum(&self, a: &[&S::Ciphertext], b: &[&S::Ciphertext]) -> Result<S::Ciphertext> {
        self.watch.begin(1)?;
        self.inner.mul_sum(a, b)
    }
}

impl<S: ErrorBound> ErrorBound for Guarded<S> {
    fn error_bound(&self, ct: &S::Ciphertext) -> f64 {
        self.inner.error_bound(ct)
    }
    fn magnitude_bound(&self, ct: &S::Ciphertext) -> f64 {
        self.inner.magnitude_bound(ct)
    }
}

impl<S: Wire> Wire for Guarded<S> {
    fn write_ciphertext(&self, ct: &S::Ciphertext) -> Vec<u8> {
        self.inner.write_ciphertext(ct)
    }
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<S::Ciphertext> {
        self.watch.look()?;
        self.inner.read_ciphertext(bytes)
    }
}
