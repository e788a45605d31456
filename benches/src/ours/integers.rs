//! An encrypted row of integers times a plain matrix, exactly.

use super::{NAME, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use crate::peers::blas::{self, Shape};
use cipherblas_bfv::{Evaluator, Params, SecretKey};
use cipherblas_linalg::plan::Plan;
use cipherblas_linalg::{
    EncryptOptions, EncryptedVector, PlainMatrix, PreparedMatrix, VectorPacking,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Integers in both factors: unsigned, as of concrete-ml-extensions.
const BITS: u32 = 7;

/// The row, the matrix (as it is given and encoded beforehand), and what to say of them.
struct Prepared {
    row: EncryptedVector<Evaluator>,
    matrix: PlainMatrix<i64>,
    encoded: PreparedMatrix<Evaluator>,
    note: String,
}

impl Prepared {
    /// Parameters and keys from a plan, the encrypted row, and a first product that decrypts to the right integers.
    fn new(inner: usize, cols: usize) -> Result<Self, String> {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut values =
            |n: usize| -> Vec<i64> { (0..n).map(|_| rng.random_range(0..1 << BITS)).collect() };
        let (a, b) = (values(inner), values(inner * cols));
        let doubles = |values: &[i64]| values.iter().map(|&v| v as f64).collect::<Vec<_>>();
        let shape = Shape {
            rows: 1,
            inner,
            cols,
        };
        // Integers below 2^53: exact.
        let expected: Vec<i64> = blas::product(&doubles(&a), &doubles(&b), shape)
            .iter()
            .map(|&v| v as i64)
            .collect();
        let matrix = PlainMatrix::new(inner, cols, b).map_err(text)?;
        let transposed = matrix.transpose();

        let options = |slots| -> Result<EncryptOptions<VectorPacking>, String> {
            let packing = transposed.input_packing(slots).map_err(text)?;
            let bound = f64::from((1u32 << BITS) - 1);
            Ok(EncryptOptions::new().packing(packing).bound(bound))
        };
        // How many bits depends on the packing, that on the ring, and the ring on the bits.
        let build = |bits| {
            Params::builder()
                .depth(1)
                .plaintext_bits(bits)
                .build()
                .map_err(text)
        };
        let mut bits = 2 * BITS;
        let (params, plan) = loop {
            let params = build(bits)?;
            let options = options(params.slots())?;
            let plan = Plan::trace_integers(params.slots(), 1, |t| {
                matrix.vecmat(&t.vector(inner, &options)?).map(drop)
            })
            .map_err(text)?;
            match plan.plaintext_bits() {
                Some(needed) if needed > bits => bits = needed,
                _ => break (params, plan),
            }
        };
        let options = options(params.slots())?;
        let key = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let keys = key.evaluation_keys(plan.keys(), &mut rng).map_err(text)?;
        let server = Evaluator::new(&params, keys).map_err(text)?;
        let row = EncryptedVector::encrypt_with(&key, &a, &options, &mut rng)
            .and_then(|row| row.bind(&server))
            .map_err(text)?;
        let encoded = transposed
            .prepare(&server, row.packing(), row.depth())
            .map_err(text)?;
        for product in [matrix.vecmat(&row), encoded.matvec(&row)] {
            let got = product.and_then(|p| p.decrypt(&key)).map_err(text)?;
            if got != expected {
                return Err("a product decrypts to other integers".into());
            }
        }
        let note = format!(
            "BFV, N=2^{}, {} plaintext bits, {} rotation keys, exact",
            params.degree().ilog2(),
            params.plaintext_bits(),
            plan.keys().rotations.len()
        );
        Ok(Self {
            row,
            matrix,
            encoded,
            note,
        })
    }
}

/// The product with the matrix as it is given, and with one that was encoded before.
pub fn contenders(inner: usize, cols: usize, pool: &Arc<ThreadPool>) -> (Entry, Entry) {
    let name = |encoded| match encoded {
        true => format!("{NAME}, matrix encoded before"),
        false => NAME.to_owned(),
    };
    match pool.install(|| Prepared::new(inner, cols)).map(Arc::new) {
        Ok(prepared) => {
            let contender = |encoded: bool| -> Entry {
                let prepared = Arc::clone(&prepared);
                let note = prepared.note.clone();
                let work = move || {
                    let product = match encoded {
                        true => prepared.encoded.matvec(&prepared.row),
                        false => prepared.matrix.vecmat(&prepared.row),
                    };
                    product.map(drop).map_err(text)
                };
                Ok(Box::new(
                    Local::new(name(encoded), pool, work).warm().with_note(note),
                ))
            };
            (contender(false), contender(true))
        }
        Err(reason) => {
            let absent = |encoded| {
                Err(Absent {
                    name: name(encoded),
                    reason: reason.clone(),
                })
            };
            (absent(false), absent(true))
        }
    }
}
