//! Products of encrypted matrices that fit a ciphertext, by rotations, at N = 2^13.

use super::{NAME, agree, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use crate::peers::blas::{self, Shape};
use cipherblas_ckks::{Evaluator, Params, SecretKey};
use cipherblas_linalg::plan::{Plan, Preference};
use cipherblas_linalg::{EncryptOptions, EncryptedMatrix, MatrixPacking, Skewed};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Slots of N = 2^13.
const SLOTS: usize = 1 << 12;
/// More levels than a product takes.
const MAX_DEPTH: usize = 4;
/// Entries are right to this many bits below the largest that a product of factors in [-1, 1] can have.
const PRECISION_BITS: u32 = 20;

type Matrix = EncryptedMatrix<Evaluator>;

/// Keys for what a plan lists, both factors encrypted, a first product checked; what to say of it.
fn prepare(size: usize) -> Result<((Matrix, Matrix), String), String> {
    let (left, right) = Skewed::pair(size, size, size, SLOTS).map_err(text)?;
    let options = |packing: Skewed| {
        EncryptOptions::new()
            .packing(MatrixPacking::from(packing))
            .bound(1.0)
    };
    let (left, right) = (options(left), options(right));
    let plan = Plan::trace_for(Preference::Speed, SLOTS, MAX_DEPTH, |t| {
        let (a, b) = (t.matrix(size, size, &left)?, t.matrix(size, size, &right)?);
        a.matmul(&b).map(drop)
    })
    .map_err(text)?;
    let params = Params::builder()
        .depth(plan.depth())
        .precision_bits(PRECISION_BITS)
        .integer_bits(size.ilog2())
        .slots(SLOTS)
        .build()
        .map_err(text)?;
    let mut rng = ChaCha20Rng::seed_from_u64(size as u64);
    let key = SecretKey::generate(&params, &mut rng).map_err(text)?;
    let keys = key.evaluation_keys(plan.keys(), &mut rng).map_err(text)?;
    let (count, bytes) = (keys.len(), keys.memory_bytes());
    let server = Evaluator::new(&params, keys).map_err(text)?;
    let mut values = || -> Vec<f64> {
        (0..size * size)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect()
    };
    let (a, b) = (values(), values());
    let mut encrypt = |values: &[f64], options| {
        EncryptedMatrix::encrypt_with(&key, size, size, values, options, &mut rng)
            .and_then(|matrix| matrix.bind(&server))
            .map_err(text)
    };
    let (x, y) = (encrypt(&a, &left)?, encrypt(&b, &right)?);
    let product = x.matmul(&y).map_err(text)?;
    let asked = size as f64 * f64::from(PRECISION_BITS).exp2().recip();
    let limit = product.error_bound().min(asked);
    let expected = blas::product(&a, &b, Shape::square(size));
    let worst = agree(
        "product",
        &product.decrypt(&key).map_err(text)?,
        &expected,
        limit,
    )?;
    let note = format!(
        "N=2^{}, {} levels, log QP {:.0}, {count} keys of {:.0} MB, error 2^{:.0}",
        params.degree().ilog2(),
        plan.depth(),
        params.log2_qp().ceil(),
        bytes as f64 / 1e6,
        worst.log2()
    );
    Ok(((x, y), note))
}

/// The product of two encrypted square matrices.
pub fn contender(size: usize, pool: &Arc<ThreadPool>) -> Entry {
    match pool.install(|| prepare(size)) {
        Ok(((x, y), note)) => {
            let work = move || x.matmul(&y).map(drop).map_err(text);
            Ok(Box::new(
                Local::new(NAME, pool, work).warm().with_note(note),
            ))
        }
        Err(reason) => Err(Absent {
            name: NAME.into(),
            reason,
        }),
    }
}
