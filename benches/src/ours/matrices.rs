//! Products of encrypted matrices in blocks of lines, beside the same products in clear.

use super::{NAME, agree, text};
use crate::compare::{Absent, Entry, Work};
use crate::contender::Local;
use crate::peers::blas::{self, Shape};
use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix};
use cipherblas_scheme::{DecryptMatrix, EncryptMatrix, MatrixKeySet, MatrixScheme, Value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;
use std::time::Instant;

/// Precision of approximate products: entries of a product of inner dimension `k` of values up to 1 are right to
/// `2^-18 sqrt(k)`.
const PRECISION_BITS: u32 = 18;
/// Integers are of so many bits, with their sign.
const INTEGER_BITS: u32 = 8;

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain matrix times an encrypted one.
    PlainEncrypted,
    /// Both encrypted.
    Encrypted,
    /// `X'X` of an encrypted matrix: `inner` rows, as many columns as `rows` and `cols` say.
    Gram,
}

impl Kind {
    /// How its rows are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PlainEncrypted => "plain_enc",
            Self::Encrypted => "enc_enc",
            Self::Gram => "gram",
        }
    }

    /// The evaluation keys that it needs; how long its lines are.
    fn keys(self, shape: Shape) -> Result<Option<MatrixKeySet>, String> {
        match self {
            Self::PlainEncrypted => Ok(None),
            Self::Encrypted | Self::Gram => MatrixKeySet::products(shape.rows.max(shape.cols))
                .map(Some)
                .map_err(text),
        }
    }
}

/// The scheme that multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Approximate reals.
    Ckks,
    /// Exact integers.
    Bfv,
}

/// A scheme's values: random ones, and as doubles, in which all products here are exact or nearly.
trait Sample: Value {
    /// Bound on absolute values.
    const BOUND: f64;
    fn draw(rng: &mut ChaCha20Rng) -> Self;
    fn double(self) -> f64;
}

impl Sample for f64 {
    const BOUND: f64 = 1.0;
    fn draw(rng: &mut ChaCha20Rng) -> Self {
        rng.random_range(-1.0..1.0)
    }
    fn double(self) -> f64 {
        self
    }
}

impl Sample for i64 {
    const BOUND: f64 = (1 << (INTEGER_BITS - 1)) as f64;
    fn draw(rng: &mut ChaCha20Rng) -> Self {
        let top = 1 << (INTEGER_BITS - 1);
        rng.random_range(-top..top)
    }
    fn double(self) -> f64 {
        self as f64
    }
}

/// Operands, bound to the evaluator that multiplies them.
enum Operands<E: MatrixScheme> {
    PlainEncrypted(PlainMatrix<E::Value>, BlockMatrix<E>),
    Encrypted(BlockMatrix<E>, BlockMatrix<E>),
    Gram(BlockMatrix<E>),
}

impl<E: MatrixScheme> Operands<E> {
    fn run(&self) -> Result<BlockMatrix<E>, String> {
        match self {
            Self::PlainEncrypted(w, x) => BlockMatrix::plain_matmul(w, x),
            Self::Encrypted(a, b) => a.matmul(b),
            Self::Gram(x) => x.gram(),
        }
        .map_err(text)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::PlainEncrypted(_, x) | Self::Gram(x) => x.bytes(),
            Self::Encrypted(a, b) => a.bytes() + b.bytes(),
        }
    }
}

/// A product made ready: keys, ciphertexts, a first result that was checked.
pub struct Prepared {
    run: Box<dyn Fn() -> Result<(), String> + Send>,
    note: String,
    work: Work,
}

/// Seconds and the result of something.
fn timed<T>(job: impl FnOnce() -> Result<T, String>) -> Result<(f64, T), String> {
    let start = Instant::now();
    let result = job()?;
    Ok((start.elapsed().as_secs_f64(), result))
}

impl Prepared {
    /// Makes keys, encrypts, multiplies once, decrypts and compares with the plain product; on the threads of the caller.
    ///
    /// # Errors
    /// Whatever the library refuses; a wrong result.
    pub fn new(scheme: Scheme, kind: Kind, shape: Shape) -> Result<Self, String> {
        match scheme {
            Scheme::Ckks => Self::ckks(kind, shape),
            Scheme::Bfv => Self::bfv(kind, shape),
        }
    }

    fn ckks(kind: Kind, shape: Shape) -> Result<Self, String> {
        use cipherblas_ckks::matrix::{Evaluator, Params, SecretKey};
        let params = Params::builder()
            .inner(shape.inner)
            .len(shape.rows.max(shape.cols))
            .depth(1)
            .precision_bits(PRECISION_BITS)
            .build()
            .map_err(text)?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let evaluator = match kind.keys(shape)? {
            None => Evaluator::without_keys(&params, secret.id()),
            Some(set) => {
                let keys = secret.evaluation_keys(&set, &mut rng).map_err(text)?;
                Evaluator::new(&params, keys).map_err(text)?
            }
        };
        let parameters = format!(
            "CKKS, N={}, log2 of the modulus {:.0}, right to 2^-{PRECISION_BITS} sqrt({})",
            params.degree(),
            params.log2_modulus().ceil(),
            shape.inner
        );
        Self::of(kind, shape, &secret, &evaluator, &parameters, &mut rng)
    }

    fn bfv(kind: Kind, shape: Shape) -> Result<Self, String> {
        use cipherblas_bfv::matrix::{Evaluator, Params, SecretKey};
        // Sums of products of such integers, with their sign.
        let bits = 2 * (INTEGER_BITS - 1) + (shape.inner as f64).log2().ceil() as u32 + 2;
        let params = Params::builder()
            .inner(shape.inner)
            .len(shape.rows.max(shape.cols))
            .depth(1)
            .plaintext_bits(bits)
            .build()
            .map_err(text)?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = SecretKey::generate(&params, &mut rng).map_err(text)?;
        let evaluator = match kind.keys(shape)? {
            None => Evaluator::without_keys(&params, secret.id()),
            Some(set) => {
                let keys = secret.evaluation_keys(&set, &mut rng).map_err(text)?;
                Evaluator::new(&params, keys).map_err(text)?
            }
        };
        let parameters = format!(
            "BFV, N={}, log2 of the modulus {:.0}, {bits} plaintext bits",
            params.degree(),
            params.log2_modulus().ceil()
        );
        Self::of(kind, shape, &secret, &evaluator, &parameters, &mut rng)
    }

    fn of<K, E>(
        kind: Kind,
        shape: Shape,
        key: &K,
        evaluator: &E,
        parameters: &str,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, String>
    where
        E: MatrixScheme<Value: Sample>,
        K: EncryptMatrix<Scheme = E> + DecryptMatrix<Scheme = E>,
    {
        let Shape { rows, inner, cols } = shape;
        let mut values =
            |n: usize| -> Vec<E::Value> { (0..n).map(|_| Sample::draw(rng)).collect() };
        let (a, b) = (values(rows * inner), values(inner * cols));
        let doubles = |values: &[E::Value]| values.iter().map(|v| v.double()).collect::<Vec<_>>();
        let expected = match kind {
            Kind::Gram => {
                let b = doubles(&b);
                let transposed = blas::transposed(&b, inner, cols);
                blas::product(
                    &transposed,
                    &b,
                    Shape {
                        rows: cols,
                        ..shape
                    },
                )
            }
            Kind::PlainEncrypted | Kind::Encrypted => {
                blas::product(&doubles(&a), &doubles(&b), shape)
            }
        };

        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut encrypt = |rows, cols, values: &[E::Value], options: &BlockOptions| {
            let matrix = BlockMatrix::encrypt(key, rows, cols, values, options, &mut rng);
            matrix.and_then(|m| m.bind(evaluator)).map_err(text)
        };
        let options = BlockOptions::new().bound(E::Value::BOUND);
        let (encryption, operands) = timed(|| {
            Ok(match kind {
                Kind::PlainEncrypted => Operands::PlainEncrypted(
                    PlainMatrix::new(rows, inner, a).map_err(text)?,
                    encrypt(inner, cols, &b, &options.clone().layout(Lines::Single))?,
                ),
                Kind::Encrypted => Operands::Encrypted(
                    encrypt(rows, inner, &a, &options.clone().format(Format::Columns))?,
                    encrypt(inner, cols, &b, &options)?,
                ),
                Kind::Gram => Operands::Gram(encrypt(inner, cols, &b, &options)?),
            })
        })?;
        let result = operands.run()?;
        let (decryption, decrypted) = timed(|| result.decrypt(key).map_err(text))?;
        let limit = result.error_bound();
        // Doubles in clear are right to about 2^-53 of the sum of absolute values.
        let plain = inner as f64 * f64::EPSILON * if limit > 0.0 { 1.0 } else { 0.0 };
        let worst = agree("product", &doubles(&decrypted), &expected, limit + plain)?;
        let work = Work {
            macs: Some(match kind {
                Kind::Gram => inner as u64 * (cols as u64 * (cols as u64 + 1) / 2),
                Kind::PlainEncrypted | Kind::Encrypted => shape.macs(),
            }),
            bytes: Some(operands.bytes() + result.bytes()),
            encrypt_ms: Some(encryption * 1e3),
            decrypt_ms: Some(decryption * 1e3),
        };
        let error = if limit > 0.0 {
            format!("error {worst:.1e}, bound {limit:.1e}")
        } else {
            "exact".to_owned()
        };
        let note = format!("{parameters}, {error}");
        Ok(Self {
            run: Box::new(move || operands.run().map(drop)),
            note,
            work,
        })
    }
}

/// This library's product, and what it is about.
pub fn contender(
    scheme: Scheme,
    kind: Kind,
    shape: Shape,
    pool: &Arc<ThreadPool>,
) -> (Entry, Work) {
    match pool.install(|| Prepared::new(scheme, kind, shape)) {
        Ok(Prepared { run, note, work }) => {
            let local = Local::new(NAME, pool, run).warm().with_note(note);
            (Ok(Box::new(local)), work)
        }
        Err(reason) => {
            let absent = Absent {
                name: NAME.into(),
                reason,
            };
            let work = Work {
                macs: Some(shape.macs()),
                ..Work::default()
            };
            (Err(absent), work)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::pool;

    #[test]
    fn products_of_any_shape_are_made_ready_and_checked() {
        let shape = Shape {
            rows: 5,
            inner: 7,
            cols: 3,
        };
        for scheme in [Scheme::Ckks, Scheme::Bfv] {
            for kind in [Kind::PlainEncrypted, Kind::Encrypted, Kind::Gram] {
                let (entry, work) = contender(scheme, kind, shape, &pool(2).unwrap());
                let mut ours = entry.unwrap_or_else(|absent| panic!("{kind:?}: {}", absent.reason));
                assert!(ours.sample(0.0).unwrap()[0] > 0.0);
                let macs = if kind == Kind::Gram { 7 * 6 } else { 5 * 7 * 3 };
                assert_eq!(work.macs, Some(macs));
                assert!(work.bytes > Some(0) && work.encrypt_ms > Some(0.0));
            }
        }
    }

    #[test]
    fn what_the_library_refuses_is_said() {
        let (entry, work) = contender(
            Scheme::Ckks,
            Kind::Encrypted,
            Shape {
                rows: 0,
                inner: 4,
                cols: 4,
            },
            &pool(1).unwrap(),
        );
        assert!(entry.is_err_and(|absent| !absent.reason.is_empty()));
        assert_eq!(work.bytes, None);
    }
}
