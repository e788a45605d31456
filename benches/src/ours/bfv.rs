//! BFV inside the 2024 security table, with as many levels as fit and a plaintext modulus of 20 bits.

use super::{NAME, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use cipherblas_bfv::{Ciphertext, Evaluator, KeySet, Params, PublicKey, SecretKey};
use cipherblas_scheme::{Combine, Decrypt, Encrypt, Mul, Rotate, WeightMatrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// The least plaintext modulus is `2^19`: a prime of 20 bits.
const PLAINTEXT_BITS: u32 = 19;
/// More levels than any of the degrees affords.
const MANY_LEVELS: usize = 12;
/// Values are at most this: products and combinations stay below `2^18`.
const MAX_VALUE: i64 = 500;
/// Weights of combinations are at most this.
const MAX_WEIGHT: i64 = 31;
/// Ciphertexts in and out of a combination.
const COMBINE: usize = 16;

/// Keys and ciphertexts for one degree.
pub struct Setup {
    params: Params,
    secret: SecretKey,
    public: PublicKey,
    evaluator: Evaluator,
    values: Vec<i64>,
    weights: Vec<i64>,
    cts: Vec<Ciphertext>,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Product of two ciphertexts at the top, with relinearization and the switch to the next level.
    MulRelin,
    /// Rotation by one slot at the top.
    Rotate,
    /// Encoding and public-key encryption.
    Encrypt,
    /// Decryption and decoding.
    Decrypt,
    /// A 16 x 16 matrix of scalars times 16 ciphertexts at the top.
    Combine,
}

/// As many levels as the security table leaves room for.
fn params(degree: usize) -> Result<Params, String> {
    let build = |depth| {
        Params::builder()
            .degree(degree)
            .depth(depth)
            .plaintext_bits(PLAINTEXT_BITS)
            .build()
    };
    let deepest = (2..=MANY_LEVELS).rev().find_map(|depth| build(depth).ok());
    deepest.map_or_else(|| build(1).map_err(text), Ok)
}

impl Setup {
    /// Makes the keys, and checks a product, a rotation and a combination.
    ///
    /// # Errors
    /// Whatever the library refuses; wrong results.
    pub fn new(degree: usize) -> Result<Arc<Self>, String> {
        let params = params(degree)?;
        let mut rng = ChaCha20Rng::seed_from_u64(degree as u64);
        let secret = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let public = secret.public_key(&mut rng).map_err(text)?;
        let set = KeySet {
            relinearization: true,
            rotations: [1].into(),
            conjugation: false,
        };
        let keys = secret.evaluation_keys(&set, &mut rng).map_err(text)?;
        let evaluator = Evaluator::new(&params, keys).map_err(text)?;
        let mut integers = |count: usize, most: i64| -> Vec<i64> {
            (0..count).map(|_| rng.random_range(-most..=most)).collect()
        };
        let values = integers(params.slots(), MAX_VALUE);
        let weights = integers(COMBINE * COMBINE, MAX_WEIGHT);
        let cts = (0..COMBINE)
            .map(|_| encrypt(&public, &values, &mut rng))
            .collect::<Result<_, _>>()?;
        let setup = Self {
            params,
            secret,
            public,
            evaluator,
            values,
            weights,
            cts,
        };
        setup.check()?;
        Ok(Arc::new(setup))
    }

    fn multiply(&self) -> Result<Ciphertext, String> {
        let product = self.evaluator.mul(&self.cts[0], &self.cts[1]);
        product.map_err(text)
    }

    fn rotate(&self) -> Result<Ciphertext, String> {
        self.evaluator.rotate(&self.cts[0], 1).map_err(text)
    }

    fn combine(&self) -> Result<Vec<Ciphertext>, String> {
        let weights = WeightMatrix::new(COMBINE, COMBINE, &self.weights).map_err(text)?;
        let cts: Vec<&Ciphertext> = self.cts.iter().collect();
        self.evaluator.combine(weights, &cts).map_err(text)
    }

    fn check(&self) -> Result<(), String> {
        let mut turned = self.values.clone();
        turned.rotate_left(1);
        let times = |weight: i64| self.values.iter().map(|v| v * weight).collect();
        let mut results = vec![
            (
                "product",
                self.multiply()?,
                self.values.iter().map(|v| v * v).collect(),
            ),
            ("rotation", self.rotate()?, turned),
        ];
        for (ct, weights) in self
            .combine()?
            .into_iter()
            .zip(self.weights.chunks(COMBINE))
        {
            results.push(("combination", ct, times(weights.iter().sum())));
        }
        for (what, ct, expected) in results {
            let got: Vec<i64> = self.secret.decrypt(&ct).map_err(text)?;
            if got != expected {
                return Err(format!("the {what} is wrong"));
            }
        }
        Ok(())
    }

    fn note(&self) -> String {
        let moduli: Vec<String> = self
            .params
            .plaintext_moduli()
            .iter()
            .map(u64::to_string)
            .collect();
        format!(
            "log QP {:.0}, {} levels in the worst case, sums of 2^{}, t {}",
            self.params.log2_qp().ceil(),
            self.params.depth(),
            self.params.headroom_bits(),
            moduli.join(" * "),
        )
    }
}

fn encrypt(key: &PublicKey, values: &[i64], rng: &mut ChaCha20Rng) -> Result<Ciphertext, String> {
    let depth = key.params().depth();
    key.encrypt_at(values, depth, Some(MAX_VALUE as f64), rng)
        .map_err(text)
}

/// The contender for one operation.
pub fn contender(
    setup: &Result<Arc<Setup>, String>,
    operation: Operation,
    pool: &Arc<ThreadPool>,
) -> Entry {
    let setup = match setup {
        Ok(setup) => Arc::clone(setup),
        Err(reason) => {
            return Err(Absent {
                name: NAME.into(),
                reason: reason.clone(),
            });
        }
    };
    let note = setup.note();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let work = move || match operation {
        Operation::MulRelin => setup.multiply().map(drop),
        Operation::Rotate => setup.rotate().map(drop),
        Operation::Encrypt => encrypt(&setup.public, &setup.values, &mut rng).map(drop),
        Operation::Decrypt => setup.secret.decrypt(&setup.cts[0]).map(drop).map_err(text),
        Operation::Combine => setup.combine().map(drop),
    };
    let local = Local::new(NAME, pool, work).with_note(note);
    Ok(Box::new(match operation {
        Operation::MulRelin => local.with_note("modulus switch included"),
        Operation::Encrypt => local.with_note("encoding included"),
        Operation::Decrypt => local.with_note("decryption and decoding"),
        Operation::Combine => local.with_note("modulus switch included"),
        Operation::Rotate => local,
    }))
}
