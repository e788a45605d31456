//! Products of encrypted vectors, at N = 2^13 with two levels, as TenSEAL has there.

use super::{NAME, agree, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use cipherblas_ckks::{Evaluator, Params, SecretKey};
use cipherblas_linalg::{EncryptOptions, EncryptedVector, PlainMatrix};
use cipherblas_scheme::{Add, ClearScheme, Encrypt, ErrorBound, Mul, MulPlain, Rotate, Scheme};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Ring degree.
const DEGREE: usize = 1 << 13;
/// Levels.
const DEPTH: usize = 2;
/// Precision in bits.
const PRECISION_BITS: u32 = 20;

/// A product whose time is taken.
#[derive(Debug, Clone)]
pub enum Product {
    /// Two encrypted vectors of the same length.
    Dot(Vec<f64>, Vec<f64>),
    /// An encrypted vector times a plain matrix, whose encoding is part of the time.
    VecMat(Vec<f64>, PlainMatrix<f64>),
}

impl Product {
    /// Random vectors of `len` values.
    #[must_use]
    pub fn dot(len: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(len as u64);
        let mut vector = || (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
        Self::Dot(vector(), vector())
    }

    /// A random vector of `rows` values and a random matrix.
    ///
    /// # Errors
    /// If a dimension is zero.
    pub fn vecmat(rows: usize, cols: usize) -> Result<Self, String> {
        let mut rng = ChaCha20Rng::seed_from_u64((rows * cols) as u64);
        let mut values = |n: usize| {
            (0..n)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect::<Vec<f64>>()
        };
        let vector = values(rows);
        Ok(Self::VecMat(
            vector,
            PlainMatrix::new(rows, cols, values(rows * cols)).map_err(text)?,
        ))
    }

    fn expected(&self) -> Vec<f64> {
        match self {
            Self::Dot(a, b) => vec![a.iter().zip(b).map(|(a, b)| a * b).sum()],
            Self::VecMat(a, w) => (0..w.cols())
                .map(|c| {
                    a.iter()
                        .enumerate()
                        .map(|(r, a)| a * w.data()[r * w.cols() + c])
                        .sum()
                })
                .collect(),
        }
    }

    fn encrypt<K: Encrypt>(
        &self,
        key: &K,
        rng: &mut ChaCha20Rng,
    ) -> Result<Bound<K::Scheme>, String>
    where
        K::Scheme: Scheme<Value = f64>,
    {
        let options = EncryptOptions::new().bound(1.0);
        match self {
            Self::Dot(a, b) => {
                let mut vector = |values| {
                    EncryptedVector::encrypt_with(key, values, &options, rng).map_err(text)
                };
                Ok(Bound::Dot(vector(a)?, vector(b)?))
            }
            Self::VecMat(a, w) => {
                let transposed = w.transpose();
                let packing = transposed
                    .input_packing(key.scheme().slots())
                    .map_err(text)?;
                let options = options.packing(packing);
                let vector = EncryptedVector::encrypt_with(key, a, &options, rng).map_err(text)?;
                Ok(Bound::VecMat(vector, w.clone()))
            }
        }
    }
}

/// A product with its encrypted operands.
enum Bound<S: Scheme> {
    Dot(EncryptedVector<S>, EncryptedVector<S>),
    VecMat(EncryptedVector<S>, PlainMatrix<S::Value>),
}

impl<S: Add + Mul + MulPlain + Rotate + Scheme<Value = f64>> Bound<S> {
    fn bind(self, evaluator: &S) -> Result<Self, String> {
        Ok(match self {
            Self::Dot(a, b) => Self::Dot(
                a.bind(evaluator).map_err(text)?,
                b.bind(evaluator).map_err(text)?,
            ),
            Self::VecMat(a, w) => Self::VecMat(a.bind(evaluator).map_err(text)?, w),
        })
    }

    fn run(&self) -> Result<EncryptedVector<S>, String> {
        match self {
            Self::Dot(a, b) => a.dot(b).map_err(text),
            Self::VecMat(a, w) => w.vecmat(a).map_err(text),
        }
    }
}

/// A product made ready: keys, ciphertexts, a first result that was checked.
pub struct Prepared {
    bound: Bound<Evaluator>,
    note: String,
}

impl Prepared {
    /// Makes the keys that the product needs, encrypts, computes once and compares.
    ///
    /// # Errors
    /// Whatever the library refuses; a wrong result.
    pub fn new(product: &Product) -> Result<Self, String> {
        let params = Params::builder()
            .degree(DEGREE)
            .depth(DEPTH)
            .precision_bits(PRECISION_BITS)
            .integer_bits(10)
            .build()
            .map_err(text)?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);

        // A run in clear tells which keys to make.
        let clear = ClearScheme::new(params.slots(), DEPTH).map_err(text)?;
        product
            .encrypt(&clear.key(), &mut rng)?
            .bind(&clear)?
            .run()?;
        let set = clear.used_keys();

        let secret = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let keys = secret.evaluation_keys(&set, &mut rng).map_err(text)?;
        let evaluator = Evaluator::new(&params, keys).map_err(text)?;
        let bound = product.encrypt(&secret, &mut rng)?.bind(&evaluator)?;

        let result = bound.run()?;
        let limit = result
            .ciphertexts()
            .map(|ct| evaluator.error_bound(ct))
            .fold(0.0, f64::max);
        let decrypted = result.decrypt(&secret).map_err(text)?;
        let worst = agree("product", &decrypted, &product.expected(), limit)?;
        let note = format!(
            "N=2^13, {DEPTH} levels, log QP {:.0}, {} rotation keys, error 2^{:.0}",
            params.log2_qp().ceil(),
            set.rotations.len(),
            worst.log2()
        );
        Ok(Self { bound, note })
    }

    /// Computes the product once.
    ///
    /// # Errors
    /// Whatever the library refuses.
    pub fn run(&self) -> Result<(), String> {
        self.bound.run().map(drop)
    }
}

/// This library's product.
pub fn contender(product: &Result<Product, String>, pool: &Arc<ThreadPool>) -> Entry {
    match product
        .as_ref()
        .map_err(String::clone)
        .and_then(Prepared::new)
    {
        Ok(prepared) => {
            let note = prepared.note.clone();
            Ok(Box::new(
                Local::new(NAME, pool, move || prepared.run()).with_note(note),
            ))
        }
        Err(reason) => Err(Absent {
            name: NAME.into(),
            reason,
        }),
    }
}
