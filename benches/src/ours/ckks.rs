//! Ring operations of CKKS inside the 2024 security table, with as many levels as SEAL's default chains have.

use super::{NAME, agree, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use cipherblas_ckks::{Ciphertext, Evaluator, KeySet, Params, PublicKey, SecretKey, encoder};
use cipherblas_scheme::{Decrypt, Encrypt, ErrorBound, Mul, Rotate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Precision that the parameters are built for: what three levels leave room for at 2^13.
const PRECISION_BITS: u32 = 20;

/// Keys and ciphertexts for one degree.
pub struct Setup {
    params: Params,
    secret: SecretKey,
    public: PublicKey,
    evaluator: Evaluator,
    values: Vec<f64>,
    x: Ciphertext,
    y: Ciphertext,
    worst: f64,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Product of two ciphertexts at the top, with relinearization and rescaling.
    MulRelinRescale,
    /// Rotation by one slot at the top.
    Rotate,
    /// Values to a transformed plaintext at the top.
    Encode,
    /// Encoding and public-key encryption.
    Encrypt,
    /// Decryption and decoding.
    Decrypt,
}

/// Levels at a degree: as many as SEAL's default chain has.
#[must_use]
pub fn depth(degree: usize) -> Option<usize> {
    match degree {
        8192 => Some(3),
        16384 => Some(7),
        32768 => Some(14),
        _ => None,
    }
}

impl Setup {
    /// Makes the keys, and checks a product and a rotation.
    ///
    /// # Errors
    /// For degrees without a row; whatever the library refuses; wrong results.
    pub fn new(degree: usize) -> Result<Arc<Self>, String> {
        let depth = depth(degree).ok_or_else(|| format!("no row for degree {degree}"))?;
        let params = Params::builder()
            .degree(degree)
            .depth(depth)
            .precision_bits(PRECISION_BITS)
            .integer_bits(8)
            .build()
            .map_err(text)?;
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
        let values: Vec<f64> = (0..params.slots())
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let x = public
            .encrypt_at(&values, depth, Some(1.0), &mut rng)
            .map_err(text)?;
        let y = public
            .encrypt_at(&values, depth, Some(1.0), &mut rng)
            .map_err(text)?;
        let mut setup = Self {
            params,
            secret,
            public,
            evaluator,
            values,
            x,
            y,
            worst: 0.0,
        };
        setup.worst = setup.check()?;
        Ok(Arc::new(setup))
    }

    fn check(&self) -> Result<f64, String> {
        let decrypted = |ct: &Ciphertext| -> Result<_, String> {
            Ok((
                self.secret.decrypt(ct).map_err(text)?,
                self.evaluator.error_bound(ct),
            ))
        };
        let (product, bound) = decrypted(&self.evaluator.mul(&self.x, &self.y).map_err(text)?)?;
        let squares: Vec<f64> = self.values.iter().map(|v| v * v).collect();
        let worst = agree("product", &product, &squares, bound)?;
        let (turned, bound) = decrypted(&self.evaluator.rotate(&self.x, 1).map_err(text)?)?;
        let mut expected = self.values.clone();
        expected.rotate_left(1);
        Ok(worst.max(agree("rotation", &turned, &expected, bound)?))
    }

    fn note(&self) -> String {
        format!(
            "log QP {:.0}, {} levels, error 2^{:.0}",
            self.params.log2_qp().ceil(),
            self.params.depth(),
            self.worst.log2()
        )
    }
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
    let top = setup.params.depth();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let work = move || match operation {
        Operation::MulRelinRescale => setup
            .evaluator
            .mul(&setup.x, &setup.y)
            .map(drop)
            .map_err(text),
        Operation::Rotate => setup.evaluator.rotate(&setup.x, 1).map(drop).map_err(text),
        Operation::Encode => {
            let scale = setup.params.scale(top);
            encoder::encode(&setup.params, &setup.values, scale, top)
                .map(drop)
                .map_err(text)
        }
        Operation::Encrypt => setup
            .public
            .encrypt_at(&setup.values, top, Some(1.0), &mut rng)
            .map(drop)
            .map_err(text),
        Operation::Decrypt => setup.secret.decrypt(&setup.x).map(drop).map_err(text),
    };
    let local = Local::new(NAME, pool, work).with_note(note);
    Ok(Box::new(match operation {
        Operation::Encrypt => local.with_note("encoding included"),
        Operation::Decrypt => local.with_note("decryption and decoding"),
        _ => local,
    }))
}
