//! A scheme that computes in clear: the reference that kernels are tested against first, and a way to simulate a
//! computation before any key is made.
//!
//! [`ClearScheme`] keeps every rule of an encrypted scheme (depth, missing keys, foreign keys, periodic plain
//! operands, magnitudes) and counts operations, so that a kernel that passes over it asks an encrypted scheme for
//! nothing that it cannot give. **It hides nothing**: a [`ClearCiphertext`] is its values.
//!
//! ```
//! use cipherblas_scheme::{Add, ClearScheme, Decrypt, Encrypt, Mul, Rotate, Scheme};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let scheme = ClearScheme::new(4, 2)?;
//! let key = scheme.key();
//! let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let x = key.encrypt_at(&[1.0, 2.0, 3.0, 4.0], scheme.max_depth(), None, &mut rng)?;
//! let y = scheme.add(&scheme.mul(&x, &x)?, &scheme.rotate(&x, 1)?)?;
//! assert_eq!(key.decrypt(&y)?, [3.0, 7.0, 13.0, 17.0]);
//! assert_eq!(scheme.depth(&y), 1);
//! assert_eq!(scheme.counts().multiplications, 1);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod evaluate;
mod key;
mod matrix;

pub use key::ClearKey;
pub use matrix::{ClearBlock, ClearMatrices, ClearMatrixKey, ClearValue, MatrixCounts};

use crate::wire::{KeyId, ParameterId};
use crate::{Error, KeySet, Result};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bound on absolute values that [`ClearScheme::new`] starts with.
const DEFAULT_BOUND: f64 = 1_048_576.0;

/// Evaluator of the scheme that computes in clear. Cloning shares the counters.
#[derive(Clone, Debug)]
pub struct ClearScheme {
    config: Arc<Config>,
    counters: Arc<Counters>,
}

#[derive(Clone, Debug)]
struct Config {
    slots: usize,
    max_depth: usize,
    bound: f64,
    /// Steps in `1..slots` whose keys are held; `None`: all.
    rotations: Option<BTreeSet<usize>>,
    relinearization: bool,
    key: KeyId,
}

/// A "ciphertext" whose values anyone can read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearCiphertext {
    values: Vec<f64>,
    depth: usize,
    magnitude: f64,
    error: f64,
    key: KeyId,
}

impl ClearCiphertext {
    /// All slots, for tests.
    pub fn slots(&self) -> &[f64] {
        &self.values
    }
}

/// Plain values made ready for one depth.
#[derive(Clone, Debug)]
pub struct ClearPlaintext {
    values: Vec<f64>,
    depth: usize,
    magnitude: f64,
}

/// How often each operation was executed. Rotations by multiples of the slot count are free and not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ciphertext + ciphertext or plain values, and subtractions.
    pub additions: u64,
    /// Ciphertext x plain products (each term of a [`mul_prepared`](crate::MulPlain::mul_prepared)).
    pub plain_multiplications: u64,
    /// Ciphertext x ciphertext products (each term of a [`mul_sum`](crate::Mul::mul_sum)).
    pub multiplications: u64,
    /// Relinearizations: one for each `mul`, `square` or `mul_sum`.
    pub relinearizations: u64,
    /// Rotations that decompose their ciphertext alone: `rotate`.
    pub rotations: u64,
    /// Rotations that share the decomposition of one ciphertext: `rotate_many`.
    pub hoisted_rotations: u64,
    /// Rotations that share the division by the special modulus: `rotate_sum`.
    pub summed_rotations: u64,
    /// Calls of [`combine`](crate::Combine::combine).
    pub combines: u64,
    /// Weights in those calls: scalar x ciphertext products.
    pub combined_products: u64,
}

impl Counts {
    /// Rotations of every kind.
    pub fn all_rotations(&self) -> u64 {
        self.rotations + self.hoisted_rotations + self.summed_rotations
    }
}

#[derive(Debug, Default)]
struct Counters {
    additions: AtomicU64,
    plain_multiplications: AtomicU64,
    multiplications: AtomicU64,
    relinearizations: AtomicU64,
    rotations: AtomicU64,
    hoisted_rotations: AtomicU64,
    summed_rotations: AtomicU64,
    combines: AtomicU64,
    combined_products: AtomicU64,
    /// Steps in `1..slots` that ciphertexts were rotated by.
    steps: Mutex<BTreeSet<usize>>,
    /// How far results are below the maximal depth.
    deepest: AtomicUsize,
}

impl Counters {
    fn steps(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // A set is whole whatever a panicking thread was about to add.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> [&AtomicU64; 9] {
        [
            &self.additions,
            &self.plain_multiplications,
            &self.multiplications,
            &self.relinearizations,
            &self.rotations,
            &self.hoisted_rotations,
            &self.summed_rotations,
            &self.combines,
            &self.combined_products,
        ]
    }
}

/// Counts one kind of operation.
type Counter = AtomicU64;

fn count(counter: &Counter, times: usize) {
    counter.fetch_add(times as u64, Ordering::Relaxed);
}

impl ClearScheme {
    /// An evaluator with every evaluation key, for ciphertexts of `slots` values that take `max_depth`
    /// multiplications. Two schemes made alike can read each other's ciphertexts; see [`with_key`](Self::with_key).
    ///
    /// # Errors
    /// `Parameter` if `slots` is not a power of two.
    pub fn new(slots: usize, max_depth: usize) -> Result<Self> {
        if !slots.is_power_of_two() {
            return Err(Error::Parameter {
                what: "slots",
                got: slots.to_string(),
                expected: "a power of two".into(),
                hint: "pass 1, 2, 4, ...",
            });
        }
        let config = Config {
            slots,
            max_depth,
            bound: DEFAULT_BOUND,
            rotations: None,
            relinearization: true,
            key: KeyId::digest("clear key", &1u64.to_le_bytes()),
        };
        Ok(Self {
            config: Arc::new(config),
            counters: Arc::default(),
        })
    }

    /// Holds only the keys for these rotation steps (taken modulo the slots); `None`: all.
    #[must_use]
    pub fn with_rotations(self, steps: Option<&[i64]>) -> Self {
        let rotations = steps.map(|steps| steps.iter().map(|&s| self.offset(s)).collect());
        self.reconfigured(|config| config.rotations = rotations)
    }

    /// Holds exactly the keys of a set: what a secret key would make for it.
    #[must_use]
    pub fn with_keys(self, keys: &KeySet) -> Self {
        let rotations = keys.rotations.iter().map(|&s| self.offset(s)).collect();
        self.reconfigured(|config| {
            config.rotations = Some(rotations);
            config.relinearization = keys.relinearization;
        })
    }

    /// Holds no relinearization key.
    #[must_use]
    pub fn without_relinearization(self) -> Self {
        self.reconfigured(|config| config.relinearization = false)
    }

    /// Another key: ciphertexts under different numbers do not mix.
    #[must_use]
    pub fn with_key(self, number: u64) -> Self {
        self.reconfigured(|config| config.key = KeyId::digest("clear key", &number.to_le_bytes()))
    }

    /// Sets the bound on absolute values that is assumed where encryption declares none (2^20 at first).
    ///
    /// # Errors
    /// `Parameter` if `bound` is not positive and finite.
    pub fn with_bound(self, bound: f64) -> Result<Self> {
        if !(bound > 0.0 && bound.is_finite()) {
            return Err(Error::Parameter {
                what: "bound",
                got: bound.to_string(),
                expected: "a positive finite number".into(),
                hint: "pass the largest absolute value of the data",
            });
        }
        Ok(self.reconfigured(|config| config.bound = bound))
    }

    /// The key that encrypts for this evaluator and decrypts its results.
    pub fn key(&self) -> ClearKey {
        ClearKey::of(self)
    }

    /// Identifier of slots and depth.
    pub fn parameter_id(&self) -> ParameterId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(self.config.slots as u64).to_le_bytes());
        bytes[8..].copy_from_slice(&(self.config.max_depth as u64).to_le_bytes());
        ParameterId::digest("clear parameters", &bytes)
    }

    /// Identifier of the key.
    pub fn key_id(&self) -> KeyId {
        self.config.key
    }

    /// The operations executed since creation or [`reset_counts`](Self::reset_counts), by this evaluator and its
    /// clones.
    pub fn counts(&self) -> Counts {
        let [
            additions,
            plain_multiplications,
            multiplications,
            relinearizations,
            rotations,
            hoisted_rotations,
            summed_rotations,
            combines,
            combined_products,
        ] = self.counters.all().map(|c| c.load(Ordering::Relaxed));
        Counts {
            additions,
            plain_multiplications,
            multiplications,
            relinearizations,
            rotations,
            hoisted_rotations,
            summed_rotations,
            combines,
            combined_products,
        }
    }

    /// The keys that operations since creation or [`reset_counts`](Self::reset_counts) needed: what a plan of them lists.
    /// Steps are in `1..slots`.
    pub fn used_keys(&self) -> KeySet {
        KeySet {
            relinearization: self.counters.relinearizations.load(Ordering::Relaxed) > 0,
            rotations: self.counters.steps().iter().map(|&s| s as i64).collect(),
            conjugation: false,
        }
    }

    /// How far below the maximal depth results have come since creation or [`reset_counts`](Self::reset_counts): for
    /// inputs at full depth, the depth of the computation.
    pub fn used_depth(&self) -> usize {
        self.counters.deepest.load(Ordering::Relaxed)
    }

    /// Sets every counter to zero and forgets which keys and how much depth were used.
    pub fn reset_counts(&self) {
        for counter in self.counters.all() {
            counter.store(0, Ordering::Relaxed);
        }
        self.counters.steps().clear();
        self.counters.deepest.store(0, Ordering::Relaxed);
    }

    fn reconfigured(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// `step` modulo the slots.
    fn offset(&self, step: i64) -> usize {
        // The slots fit: they are the length of a vector, at most `isize::MAX`.
        step.rem_euclid(self.config.slots as i64) as usize
    }
}
