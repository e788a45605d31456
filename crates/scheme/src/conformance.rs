//! The suite that every packed scheme must pass, over the reals or over the integers. **A test library: it panics where a scheme is wrong**,
//! saying what was done and what came out.
//!
//! Every result is decrypted and compared with the same computation in clear. The tolerance is the scheme's own
//! [`ErrorBound`], and that bound has to be below the precision that the caller asks for: a scheme can pass neither by
//! being wrong nor by promising little.
//!
//! ```
//! use cipherblas_scheme::{ClearScheme, conformance};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let evaluator = ClearScheme::new(16, 3)?.with_keys(&conformance::required_keys(16));
//! let other = ClearScheme::new(16, 3)?.with_key(2).key();
//! conformance::Suite {
//!     key: &evaluator.key(),
//!     evaluator: &evaluator,
//!     other: &other,
//!     precision: 1e-12,
//!     shared_precision: 1e-12,
//! }
//! .run(&mut ChaCha20Rng::seed_from_u64(1));
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod arithmetic;
pub mod matrix;
mod refusals;
mod rotations;
mod sample;
mod serialization;

pub use sample::Sample;

use crate::{
    Add, AddPlain, Combine, Decrypt, Encrypt, Error, ErrorBound, KeySet, Mul, MulPlain, Result,
    Rotate, Scheme, Value, Wire,
};
use rand::CryptoRng;

/// Everything that linear algebra asks of a packed scheme.
pub trait PackedScheme:
    Scheme<Value: Sample> + Add + AddPlain + MulPlain + Combine + Mul + Rotate + ErrorBound + Wire
{
}

impl<S> PackedScheme for S where
    S: Scheme<Value: Sample>
        + Add
        + AddPlain
        + MulPlain
        + Combine
        + Mul
        + Rotate
        + ErrorBound
        + Wire
{
}

/// What the suite is run on. The parameters must have at least 8 slots and a depth of 2.
pub struct Suite<'a, S, K> {
    /// The key of `evaluator`.
    pub key: &'a K,
    /// An evaluator that holds at least [`required_keys`], and not every rotation.
    pub evaluator: &'a S,
    /// Another key for the same parameters.
    pub other: &'a K,
    /// What every error bound has to be within, for values of magnitude [`Sample::MAGNITUDE`] and sums of up to eight
    /// products, at every depth; 0 for an exact scheme.
    pub precision: f64,
    /// How far a decryption for sharing may be from the exact result.
    pub shared_precision: f64,
}

/// The keys that the suite computes with.
pub fn required_keys(slots: usize) -> KeySet {
    KeySet {
        relinearization: true,
        rotations: [1, -1, 3, slots as i64 / 2].into(),
        conjugation: false,
    }
}

impl<S, K> Suite<'_, S, K>
where
    S: PackedScheme,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    /// Runs everything.
    ///
    /// # Panics
    /// If the scheme does not conform.
    pub fn run<R: CryptoRng>(&self, rng: &mut R) {
        let (slots, max_depth) = (self.evaluator.slots(), self.evaluator.max_depth());
        assert!(
            slots.is_power_of_two() && slots >= 8,
            "got {slots} slots, expected 8, 16, ..."
        );
        assert!(
            max_depth >= 2,
            "got a depth of {max_depth}, expected at least 2"
        );
        self.encryption(rng);
        self.additions(rng);
        self.plain_products(rng);
        self.combinations(rng);
        self.products(rng);
        self.rotations(rng);
        self.refusals(rng);
        self.foreign_keys(rng);
        self.wire(rng);
    }

    /// Encryption at every depth, decryption, declared magnitudes, lowering.
    fn encryption<R: CryptoRng>(&self, rng: &mut R) {
        let max_depth = self.evaluator.max_depth();
        for depth in 0..=max_depth {
            let (ct, clear) = self.sample(depth, rng);
            self.expect(&format!("encryption at depth {depth}"), &ct, &clear, depth);
            let magnitude = self.evaluator.magnitude_bound(&ct);
            assert_eq!(
                magnitude,
                S::Value::MAGNITUDE,
                "magnitude of a fresh ciphertext, as declared"
            );
            for lower in 0..=depth {
                let lowered = must("lower_to", self.evaluator.lower_to(&ct, lower));
                self.expect(
                    &format!("lower_to({lower}) from {depth}"),
                    &lowered,
                    &clear,
                    lower,
                );
            }
        }
        for period in [1, 2, self.evaluator.slots()] {
            let values = random_values(period, rng);
            let ct = must(
                "encrypt_at",
                self.key
                    .encrypt_at(&values, 1, Some(S::Value::MAGNITUDE), rng),
            );
            self.expect(
                &format!("encryption of {period} values"),
                &ct,
                &self.periodic(&values),
                1,
            );
            let shared = must(
                "decrypt_shared",
                self.key
                    .decrypt_shared(&ct, self.evaluator.error_bound(&ct), rng),
            );
            let difference = distance(&shared, &self.periodic(&values));
            assert!(
                difference <= self.shared_precision,
                "decrypt_shared is off by {difference:e}, more than {:e}",
                self.shared_precision
            );
        }
        let half = [S::Value::of(0.5)];
        let unbound = must("encrypt_at", self.key.encrypt_at(&half, 1, None, rng));
        self.expect(
            "encryption without a declared bound",
            &unbound,
            &self.periodic(&half),
            1,
        );
        if self.evaluator.name() != "clear" {
            let again = must("encrypt_at", self.key.encrypt_at(&half, 1, None, rng));
            let (first, second) = (
                self.evaluator.write_ciphertext(&unbound),
                self.evaluator.write_ciphertext(&again),
            );
            assert!(first != second, "two encryptions of one value are the same");
        }
    }

    /// Random values, encrypted at `depth` with their magnitude declared, and in clear.
    fn sample<R: CryptoRng>(&self, depth: usize, rng: &mut R) -> (S::Ciphertext, Vec<S::Value>) {
        let values = random_values(self.evaluator.slots(), rng);
        let ct = must(
            "encrypt_at",
            self.key
                .encrypt_at(&values, depth, Some(S::Value::MAGNITUDE), rng),
        );
        (ct, values)
    }

    fn periodic(&self, values: &[S::Value]) -> Vec<S::Value> {
        values
            .iter()
            .copied()
            .cycle()
            .take(self.evaluator.slots())
            .collect()
    }

    /// Compares a ciphertext with what it has to be.
    fn expect(&self, what: &str, ct: &S::Ciphertext, clear: &[S::Value], depth: usize) {
        must(what, self.evaluator.check(ct));
        let found = self.evaluator.depth(ct);
        assert_eq!(found, depth, "{what}: depth of the result");
        let bound = self.evaluator.error_bound(ct);
        assert!(
            (0.0..=self.precision).contains(&bound),
            "{what}: error bound {bound:e} is not within the precision {:e}",
            self.precision
        );
        let decrypted = must(what, self.key.decrypt(ct));
        assert_eq!(decrypted.len(), clear.len(), "{what}: number of slots");
        let magnitude = clear.iter().fold(0.0, |m: f64, v| m.max(v.magnitude()));
        // The computation in clear may round too.
        let rounding = S::Value::ROUNDING * magnitude;
        let declared = self.evaluator.magnitude_bound(ct);
        assert!(
            declared >= magnitude - rounding,
            "{what}: magnitude {magnitude} is beyond the declared {declared}"
        );
        for (slot, (&got, &expected)) in decrypted.iter().zip(clear).enumerate() {
            let difference = got.distance(expected);
            assert!(
                difference <= bound + rounding,
                "{what}: slot {slot} is {got:?}, expected {expected:?}; off by {difference:e}, error bound {bound:e}"
            );
        }
    }
}

fn random_values<V: Sample, R: CryptoRng>(count: usize, rng: &mut R) -> Vec<V> {
    (0..count).map(|_| V::random(rng)).collect()
}

fn distance<V: Sample>(a: &[V], b: &[V]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(x, y)| x.distance(*y))
        .fold(0.0, f64::max)
}

fn zip<V: Sample>(a: &[V], b: &[V], f: impl Fn(V, V) -> V) -> Vec<V> {
    a.iter()
        .zip(b.iter().cycle())
        .map(|(&x, &y)| f(x, y))
        .collect()
}

fn must<T>(what: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

/// Panics unless `result` is an error that `fits`.
fn must_fail<T>(what: &str, result: Result<T>, class: &str, fits: impl Fn(&Error) -> bool) {
    match result {
        Ok(_) => panic!("{what}: accepted, expected an error of class {class}"),
        Err(error) => assert!(
            fits(&error),
            "{what}: got `{error}`, expected an error of class {class}"
        ),
    }
}
