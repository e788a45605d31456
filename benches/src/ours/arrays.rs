//! Encrypted arrays in Rust: the calls that the Python package makes, as `peers/python/ours.py` times them.

use super::text;
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use crate::goals::IN_RUST;
use cipherblas_linalg::array::{ArrayOptions, Computes, EncryptedArray, PlainArray};
use cipherblas_scheme::guard::{Guarded, GuardedKey};
use cipherblas_scheme::{Decrypt, Encrypt, KeySet, Scheme, Value, Wire};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use serde_json::Value as Json;
use std::sync::Arc;

/// As in `peers/python/ours.py`.
const DEPTH: usize = 2;
const PRECISION_BITS: u32 = 25;
const INTEGER_BITS: u32 = 20;
/// Largest absolute value of integers, declared.
const INTEGERS: f64 = 7.0;

type Work = Box<dyn FnMut() -> Result<(), String> + Send>;

/// A key of either kind with the evaluator of a server, and how to make values.
struct Setup<K, S: Scheme> {
    key: K,
    server: S,
    options: ArrayOptions,
    values: fn(&mut ChaCha20Rng) -> S::Value,
}

impl<K, S> Setup<K, S>
where
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S> + Send + 'static,
    S: Computes + Wire,
    S::Value: Value,
{
    fn work(self, call: &str, size: usize) -> Result<Work, String> {
        let shape = match call {
            "matvec_plain" | "matmul" => vec![size, size],
            _ => vec![size],
        };
        let mut rng = ChaCha20Rng::seed_from_u64(size as u64);
        let mut values =
            |n: usize| -> Vec<S::Value> { (0..n).map(|_| (self.values)(&mut rng)).collect() };
        let len: usize = shape.iter().product();
        let (a, b) = (values(len), values(len));
        let Self {
            key,
            server,
            options,
            ..
        } = self;
        let encrypt = move |key: &K, values: &[S::Value], shape: &[usize], server: &S| {
            // A generator for each call, as the package has.
            let mut rng = rand::rng();
            EncryptedArray::encrypt(key, &PlainArray::new(shape, values)?, &options, &mut rng)?
                .bind(server)
        };
        let x = encrypt(&key, &a, &shape, &server).map_err(text)?;
        let y = encrypt(&key, &b, &shape, &server).map_err(text)?;
        let plain_shape = match call {
            "matvec_plain" => vec![size],
            _ => shape.clone(),
        };
        Ok(match call {
            "encrypt" => {
                Box::new(move || encrypt(&key, &a, &shape, &server).map(drop).map_err(text))
            }
            "decrypt" => Box::new(move || x.decrypt(&key).map(drop).map_err(text)),
            "to_bytes" => Box::new(move || x.to_bytes().map(drop).map_err(text)),
            "from_bytes" => {
                let bytes = x.to_bytes().map_err(text)?;
                Box::new(move || {
                    EncryptedArray::from_bytes(&server, &bytes)
                        .map(drop)
                        .map_err(text)
                })
            }
            "add" => Box::new(move || x.add(&y).map(drop).map_err(text)),
            "mul" => Box::new(move || x.mul(&y).map(drop).map_err(text)),
            "matmul" => Box::new(move || x.matmul(&y).map(drop).map_err(text)),
            "sum" => Box::new(move || x.sum(None).map(drop).map_err(text)),
            "add_plain" | "mul_plain" | "matvec_plain" => {
                let call = call.to_owned();
                Box::new(move || {
                    let n = plain_shape.iter().product();
                    let plain = PlainArray::new(&plain_shape, &b[..n]).map_err(text)?;
                    match call.as_str() {
                        "add_plain" => x.add_plain(&plain),
                        "mul_plain" => x.mul_plain(&plain),
                        _ => x.matmul_plain(&plain),
                    }
                    .map(drop)
                    .map_err(text)
                })
            }
            other => return Err(format!("no call {other}")),
        })
    }
}

/// A key that lives as long as the program: benchmarks make a handful.
fn forever<K>(key: K) -> &'static K {
    Box::leak(Box::new(key))
}

fn prepare(request: &Json) -> Result<Work, String> {
    let (scheme, call) = match (request["scheme"].as_str(), request["call"].as_str()) {
        (Some(scheme), Some(call)) => (scheme, call),
        _ => return Err(format!("no scheme or call in {request}")),
    };
    let size = request["size"].as_u64().ok_or("no size")? as usize;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    if scheme == "bfv" {
        let params = cipherblas_bfv::Params::builder()
            .depth(1)
            .plaintext_bits(INTEGER_BITS)
            .build()
            .map_err(text)?;
        let secret = cipherblas_bfv::SecretKey::generate(&params, &mut rng).map_err(text)?;
        let keys = secret
            .evaluation_keys(&KeySet::powers_of_two(params.slots()), &mut rng)
            .map_err(text)?;
        let server = cipherblas_bfv::Evaluator::new(&params, keys).map_err(text)?;
        return Setup {
            key: GuardedKey::new(forever(secret), Arc::default()),
            server: Guarded::new(server),
            options: ArrayOptions::new().bound(INTEGERS),
            values: |rng| rng.random_range(-7..=7),
        }
        .work(call, size);
    }
    let params = cipherblas_ckks::Params::builder()
        .depth(DEPTH)
        .precision_bits(PRECISION_BITS)
        .build()
        .map_err(text)?;
    let secret = cipherblas_ckks::SecretKey::generate(&params, &mut rng).map_err(text)?;
    let keys = secret
        .evaluation_keys(&KeySet::powers_of_two(params.slots()), &mut rng)
        .map_err(text)?;
    let server = cipherblas_ckks::Evaluator::new(&params, keys).map_err(text)?;
    Setup {
        key: GuardedKey::new(forever(secret), Arc::default()),
        server: Guarded::new(server),
        options: ArrayOptions::new(),
        values: |rng| rng.random_range(-1.0..1.0),
    }
    .work(call, size)
}

/// The call of `request` in Rust.
pub fn contender(request: &Json, pool: &Arc<ThreadPool>) -> Entry {
    match pool.install(|| prepare(request)) {
        Ok(work) => Ok(Box::new(Local::new(IN_RUST, pool, work))),
        Err(reason) => Err(Absent {
            name: IN_RUST.into(),
            reason,
        }),
    }
}
