//! Paillier through the capability traits: one value in a ciphertext, in fixed point as a double has it.

use super::{NAME, agree, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use cipherblas_paillier::{Blinding, Ciphertext, Evaluator, Params, PublicKey, SecretKey};
use cipherblas_scheme::{Add, Combine, Decrypt, Encrypt, ErrorBound, MulPlain, WeightMatrix};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Weights and values in (-1, 1) are integers of as many bits.
const FRACTION_BITS: u32 = 53;
/// Sums of 256 values below 1, with room.
const INTEGER_BITS: u32 = 10;
/// Terms of the row.
const DOT: usize = 32;
/// Rows and columns of the matrix.
const MATVEC: usize = 256;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Encoding and encryption by the key holder.
    Encrypt,
    /// Decryption and decoding.
    Decrypt,
    /// The sum of two ciphertexts.
    Add,
    /// A ciphertext times a plain positive number of 53 bits.
    Scale53,
    /// A plain row of 32 signed weights times as many ciphertexts.
    Dot32,
    /// A plain 256 x 256 matrix times 256 ciphertexts.
    Matvec256,
}

impl Operation {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Encrypt,
        Self::Decrypt,
        Self::Add,
        Self::Scale53,
        Self::Dot32,
        Self::Matvec256,
    ];

    /// As rows call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Add => "add",
            Self::Scale53 => "scale53",
            Self::Dot32 => "dot32",
            Self::Matvec256 => "matvec256",
        }
    }
}

/// Keys and ciphertexts for one size of modulus.
pub struct Setup {
    secret: SecretKey,
    full: PublicKey,
    short: PublicKey,
    evaluator: Evaluator,
    values: Vec<f64>,
    weights: Vec<f64>,
    cts: Vec<Ciphertext>,
}

impl Setup {
    /// Makes the keys, and checks every encryption, a sum, a product and a row.
    ///
    /// # Errors
    /// Whatever the library refuses; wrong results.
    pub fn new(bits: u32) -> Result<Arc<Self>, String> {
        let params = Params::builder()
            .bits(bits)
            .fraction_bits(FRACTION_BITS)
            .integer_bits(INTEGER_BITS)
            .slots(1)
            .build()
            .map_err(text)?;
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
        let secret = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let full = secret.public_key();
        let short = secret.public_key().with_blinding(Blinding::ShortExponent);
        let mut doubles =
            |count| -> Vec<f64> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (values, weights) = (doubles(MATVEC), doubles(MATVEC * MATVEC));
        let encrypted = values.iter().map(|&x| encrypt(&secret, x, &mut rng));
        let cts = encrypted.collect::<Result<_, _>>()?;
        let setup = Self {
            evaluator: full.evaluator(),
            secret,
            full,
            short,
            values,
            weights,
            cts,
        };
        setup.check()?;
        Ok(Arc::new(setup))
    }

    fn scalar(&self) -> f64 {
        self.weights[0].abs()
    }

    fn row(&self, rows: usize, cols: usize) -> Result<Vec<Ciphertext>, String> {
        let weights = WeightMatrix::new(rows, cols, &self.weights[..rows * cols]).map_err(text)?;
        let cts: Vec<&Ciphertext> = self.cts[..cols].iter().collect();
        self.evaluator.combine(weights, &cts).map_err(text)
    }

    fn add(&self) -> Result<Ciphertext, String> {
        let sum = self.evaluator.add(&self.cts[0], &self.cts[1]);
        sum.map_err(text)
    }

    fn scale(&self) -> Result<Ciphertext, String> {
        let product = self.evaluator.mul_scalar(&self.cts[0], self.scalar());
        product.map_err(text)
    }

    fn expect(&self, what: &str, ct: &Ciphertext, expected: f64) -> Result<(), String> {
        let got = self.secret.decrypt(ct).map_err(text)?;
        // What was expected is rounded to a double, too.
        let bound = self.evaluator.error_bound(ct) + 1e-13;
        agree(what, &got, &[expected], bound).map(drop)
    }

    fn check(&self) -> Result<(), String> {
        let (x, y) = (self.values[0], self.values[1]);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for ct in [
            encrypt(&self.full, x, &mut rng)?,
            encrypt(&self.short, x, &mut rng)?,
        ] {
            self.expect("encryption", &ct, x)?;
        }
        self.expect("encryption by the key holder", &self.cts[0], x)?;
        self.expect("sum", &self.add()?, x + y)?;
        self.expect("product", &self.scale()?, x * self.scalar())?;
        self.check_rows(1, DOT)
    }

    fn check_rows(&self, rows: usize, cols: usize) -> Result<(), String> {
        let results = self.row(rows, cols)?;
        for (ct, weights) in results.iter().zip(self.weights.chunks(cols)) {
            let expected = weights.iter().zip(&self.values).map(|(w, x)| w * x).sum();
            self.expect("row times vector", ct, expected)?;
        }
        Ok(())
    }
}

fn encrypt<K: Encrypt<Scheme = Evaluator>>(
    key: &K,
    value: f64,
    rng: &mut ChaCha20Rng,
) -> Result<Ciphertext, String> {
    key.encrypt_at(&[value], 1, Some(1.0), rng).map_err(text)
}

/// One operation on a key.
type Work = Box<dyn FnMut(&Setup) -> Result<(), String> + Send>;

fn entry(
    name: &str,
    setup: &Result<Arc<Setup>, String>,
    pool: &Arc<ThreadPool>,
    note: &str,
    mut work: Work,
) -> Result<Local, Absent> {
    match setup {
        Ok(setup) => {
            let setup = Arc::clone(setup);
            Ok(Local::new(name, pool, move || work(&setup)).with_note(note))
        }
        Err(reason) => Err(Absent {
            name: name.into(),
            reason: reason.clone(),
        }),
    }
}

/// This library's contender for one operation.
pub fn contender(
    setup: &Result<Arc<Setup>, String>,
    operation: Operation,
    pool: &Arc<ThreadPool>,
) -> Entry {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let local = |note, work: Work| entry(NAME, setup, pool, note, work);
    Ok(Box::new(match operation {
        Operation::Encrypt => local(
            "key holder, uniform n-th residue",
            Box::new(move |setup| encrypt(&setup.secret, setup.values[0], &mut rng).map(drop)),
        )?,
        Operation::Decrypt => local(
            "decryption and decoding",
            Box::new(|setup| setup.secret.decrypt(&setup.cts[0]).map(drop).map_err(text)),
        )?,
        Operation::Add => local("", Box::new(|setup| setup.add().map(drop)))?,
        Operation::Scale53 => local("", Box::new(|setup| setup.scale().map(drop)))?,
        Operation::Dot32 => local("", Box::new(|setup| setup.row(1, DOT).map(drop)))?,
        Operation::Matvec256 => {
            let check = |setup: &Arc<Setup>| pool.install(|| setup.check_rows(MATVEC, MATVEC));
            if let Err(reason) = setup.as_ref().map_err(String::clone).and_then(check) {
                return Err(Absent {
                    name: NAME.into(),
                    reason,
                });
            }
            local(
                "all rows",
                Box::new(|setup| setup.row(MATVEC, MATVEC).map(drop)),
            )?
            .warm()
        }
    }))
}

/// This library's other ways to do the operation.
pub fn others(
    setup: &Result<Arc<Setup>, String>,
    operation: Operation,
    pool: &Arc<ThreadPool>,
) -> Vec<Entry> {
    if operation != Operation::Encrypt {
        return Vec::new();
    }
    let public = |name, note, key: fn(&Setup) -> &PublicKey| -> Entry {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let work = move |setup: &Setup| encrypt(key(setup), setup.values[0], &mut rng).map(drop);
        Ok(Box::new(entry(name, setup, pool, note, Box::new(work))?))
    };
    vec![
        public("cipherblas, public key, short", "short exponent", |setup| {
            &setup.short
        }),
        public("cipherblas, public key, full", "full r^n", |setup| {
            &setup.full
        }),
    ]
}
