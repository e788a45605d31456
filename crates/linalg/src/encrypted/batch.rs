//! Many small matrices at once, interleaved in the slots.

use super::{EncryptOptions, decrypt_blocks, decrypt_blocks_shared, encrypt_blocks, least_depth};
use crate::kernel::matmul_small::{multiply, transposed};
use crate::kernel::{Blocks, elementwise};
use crate::packing::{MatrixPacking, Skewed};
use crate::shape::{check_dims, mismatch, padded};
use cipherblas_scheme::{
    Add, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Result, Rotate, Scheme, Value,
};
use rand::CryptoRng;
use std::fmt;
use std::sync::Arc;

/// How the matrices of a batch lie in the slots: slot `s` belongs to matrix `s mod interleaved`, in which it is slot
/// `s / interleaved` of the matrix's own packing.
///
/// ```text
/// two 2 x 2 matrices, row-major, 8 slots
/// | a A b B | c C d D |
/// ```
/// A batch of more matrices takes more ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchPacking {
    packing: MatrixPacking,
    interleaved: usize,
}

impl BatchPacking {
    /// Any packing of a matrix, `interleaved` of them to a ciphertext.
    ///
    /// # Errors
    /// `Shape` unless `interleaved` is a power of two.
    pub fn new(packing: impl Into<MatrixPacking>, interleaved: usize) -> Result<Self> {
        if !interleaved.is_power_of_two() {
            return Err(mismatch(
                "batch packing",
                format!("{interleaved} matrices in a ciphertext"),
                "a power of two",
                "use `BatchPacking::pair`",
            ));
        }
        Ok(Self {
            packing: packing.into(),
            interleaved,
        })
    }

    /// The packings of both factors of `count` products `rows x inner` times `inner x cols`: as many products to a ciphertext
    /// as its slots hold.
    ///
    /// # Errors
    /// `Shape` for no product or an empty dimension.
    pub fn pair(
        count: usize,
        rows: usize,
        inner: usize,
        cols: usize,
        slots: usize,
    ) -> Result<(Self, Self)> {
        check_count(count)?;
        let most = padded("batch packing", count)?.min(slots);
        // Where one product fills the slots, blocks of it do, and no two are interleaved.
        let whole = |n: usize| Skewed::pair(rows, inner, cols, slots / n);
        let blocks =
            |pair: &(Skewed, Skewed)| pair.0.blocks(rows, inner) + pair.1.blocks(inner, cols);
        let one = whole(1)?;
        let mut interleaved = 1;
        while interleaved < most && blocks(&whole(2 * interleaved)?) == blocks(&one) {
            interleaved *= 2;
        }
        let (left, right) = whole(interleaved)?;
        Ok((
            Self::new(left, interleaved)?,
            Self::new(right, interleaved)?,
        ))
    }

    /// The packing of one matrix.
    pub fn packing(&self) -> MatrixPacking {
        self.packing
    }
    /// Matrices in a ciphertext.
    pub fn interleaved(&self) -> usize {
        self.interleaved
    }
    /// Slots after which a ciphertext's contents repeat.
    pub fn width(&self) -> usize {
        self.interleaved * self.packing.width()
    }
    /// Ciphertexts that `count` matrices take.
    pub fn blocks(&self, count: usize, rows: usize, cols: usize) -> usize {
        count.div_ceil(self.interleaved) * self.packing.blocks(rows, cols)
    }

    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.packing.width() > slots / self.interleaved {
            return Err(mismatch(
                "batch packing",
                format!(
                    "{} matrices of {} slots",
                    self.interleaved,
                    self.packing.width()
                ),
                format!("at most {slots} slots"),
                "make the packing for this scheme's slots",
            ));
        }
        Ok(())
    }

    /// One slice of `width()` values per ciphertext; `data` holds the matrices one after another, each row-major.
    fn pack<V: Value>(
        &self,
        (count, rows, cols): (usize, usize, usize),
        data: &[V],
    ) -> Result<Vec<Vec<V>>> {
        let mut out = Vec::with_capacity(self.blocks(count, rows, cols));
        for group in data.chunks(rows * cols * self.interleaved) {
            let packed = group
                .chunks(rows * cols)
                .map(|one| self.packing.pack(rows, cols, one))
                .collect::<Result<Vec<_>>>()?;
            for block in 0..self.packing.blocks(rows, cols) {
                out.push(
                    (0..self.width())
                        .map(|s| {
                            packed
                                .get(s % self.interleaved)
                                .map_or(V::ZERO, |one| one[block][s / self.interleaved])
                        })
                        .collect(),
                );
            }
        }
        Ok(out)
    }

    /// The inverse of `pack`.
    fn unpack<V: Value>(
        &self,
        (count, rows, cols): (usize, usize, usize),
        blocks: &[Vec<V>],
    ) -> Result<Vec<V>> {
        let each = self.packing.blocks(rows, cols);
        let mut out = Vec::with_capacity(count * rows * cols);
        for matrix in 0..count {
            let (group, place) = (matrix / self.interleaved, matrix % self.interleaved);
            let own: Vec<Vec<V>> = blocks[group * each..(group + 1) * each]
                .iter()
                .map(|b| {
                    let slots = b.iter().skip(place).step_by(self.interleaved);
                    slots.copied().collect()
                })
                .collect();
            out.extend(self.packing.unpack(rows, cols, &own)?);
        }
        Ok(out)
    }
}

/// Refuses an empty batch.
fn check_count(count: usize) -> Result<()> {
    if count == 0 {
        return Err(mismatch(
            "batch",
            "no matrix",
            "at least one",
            "empty arrays have no encryption; leave them out",
        ));
    }
    Ok(())
}

/// Refuses an empty batch, and one whose size does not fit in memory; returns the number of values.
pub(crate) fn check_batch(
    operation: &'static str,
    (count, rows, cols): (usize, usize, usize),
) -> Result<usize> {
    check_count(count)?;
    check_dims(operation, rows, cols)?;
    check_dims(operation, count, rows * cols)
}

/// Several encrypted matrices of one shape. A product of two batches multiplies them pair by pair, as many pairs at the price
/// of one product as a ciphertext holds.
///
/// ```
/// use cipherblas_linalg::{BatchPacking, EncryptOptions, EncryptedBatch};
/// use cipherblas_scheme::ClearScheme;
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let server = ClearScheme::new(64, 2)?;
/// let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
/// let (left, right) = BatchPacking::pair(3, 2, 2, 1, 64)?;
/// let a: Vec<f64> = (1..=12).map(f64::from).collect();
/// let a = EncryptedBatch::encrypt(&key, (3, 2, 2), &a, &EncryptOptions::new().packing(left), &mut rng)?;
/// let b = EncryptedBatch::encrypt(&key, (3, 2, 1), &[1.0; 6], &EncryptOptions::new().packing(right), &mut rng)?;
/// let c = a.bind(&server)?.matmul(&b.bind(&server)?)?;
/// assert_eq!(c.decrypt(&key)?, [3.0, 7.0, 11.0, 15.0, 19.0, 23.0]);
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone)]
pub struct EncryptedBatch<S: Scheme> {
    evaluator: S,
    shape: (usize, usize, usize),
    packing: BatchPacking,
    blocks: Blocks<S>,
}

impl<S: Scheme> fmt::Debug for EncryptedBatch<S> {
    /// Shape, packing, scheme and depth; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedBatch")
            .field("shape", &self.shape)
            .field("packing", &self.packing)
            .field("scheme", &self.evaluator.name())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}

impl<S: Scheme> EncryptedBatch<S> {
    /// Encrypts `count` matrices of `rows` x `cols`, one after another, each row by row. Without a packing in the options:
    /// the left one of the [pair](BatchPacking::pair) for square products.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, the wrong number of values, or a packing wider than the slots; `Value` for one that
    /// cannot be encoded; `Depth` for more than there is.
    pub fn encrypt<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        (count, rows, cols): (usize, usize, usize),
        data: &[S::Value],
        options: &EncryptOptions<BatchPacking>,
        rng: &mut R,
    ) -> Result<Self> {
        let shape = (count, rows, cols);
        let len = check_batch("encrypt", shape)?;
        if data.len() != len {
            return Err(mismatch(
                "encrypt",
                format!(
                    "{} values for {count} matrices of {rows} x {cols}",
                    data.len()
                ),
                format!("{len} values"),
                "pass all values, matrix by matrix, row by row",
            ));
        }
        let evaluator = key.scheme();
        let packing = options.packing_or(|| {
            BatchPacking::pair(count, rows, cols, cols, evaluator.slots()).map(|(left, _)| left)
        })?;
        packing.check_slots(evaluator.slots())?;
        let packed = packing.pack(shape, data)?;
        let each = packing.packing.blocks(rows, cols);
        let blocks = encrypt_blocks(key, &packed, options, rng, |block, slot| {
            let n = packing.interleaved;
            let place = packing
                .packing
                .position(rows, cols, block % each, slot / n)?;
            Some((block / each * n + slot % n) * rows * cols + place)
        })?;
        Ok(Self {
            evaluator,
            shape,
            packing,
            blocks,
        })
    }

    /// Wraps ciphertexts. Their padding must hold zeros.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, a packing wider than the slots, or the wrong number of ciphertexts; `KeyMismatch`.
    pub fn from_ciphertexts(
        evaluator: S,
        shape: (usize, usize, usize),
        packing: BatchPacking,
        ciphertexts: Vec<S::Ciphertext>,
    ) -> Result<Self> {
        check_batch("encrypted batch", shape)?;
        packing.check_slots(evaluator.slots())?;
        let blocks = packing.blocks(shape.0, shape.1, shape.2);
        if ciphertexts.len() != blocks {
            return Err(mismatch(
                "encrypted batch",
                format!("{} ciphertexts", ciphertexts.len()),
                blocks.to_string(),
                "pass one for each block of the packing",
            ));
        }
        for ct in &ciphertexts {
            evaluator.check(ct)?;
        }
        Ok(Self {
            evaluator,
            shape,
            packing,
            blocks: ciphertexts.into_iter().map(Arc::new).collect(),
        })
    }

    /// The key owner's view of the values, matrix by matrix, row by row.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Vec<S::Value>> {
        self.packing
            .unpack(self.shape, &decrypt_blocks(key, &self.blocks)?)
    }

    /// The values, with noise that lets them be shown to others; see
    /// [`EncryptedMatrix::decrypt_shared`](crate::EncryptedMatrix::decrypt_shared).
    ///
    /// # Errors
    /// As there.
    pub fn decrypt_shared<K: Decrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        &self,
        key: &K,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<S::Value>> {
        let blocks = decrypt_blocks_shared(key, &self.blocks, bound, rng)?;
        self.packing.unpack(self.shape, &blocks)
    }

    /// The same batch bound to another evaluator: the server's, which has the evaluation keys.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn bind(mut self, evaluator: &S) -> Result<Self> {
        for ct in &self.blocks {
            evaluator.check(ct)?;
        }
        self.evaluator = evaluator.clone();
        Ok(self)
    }

    /// `(matrices, rows, columns)`.
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape
    }
    /// How the values lie in the slots.
    pub fn packing(&self) -> BatchPacking {
        self.packing
    }
    /// The evaluator that computes.
    pub fn evaluator(&self) -> &S {
        &self.evaluator
    }
    /// The ciphertexts, in order.
    pub fn ciphertexts(&self) -> impl ExactSizeIterator<Item = &S::Ciphertext> {
        self.blocks.iter().map(|ct| &**ct)
    }
    /// Multiplications left.
    pub fn depth(&self) -> usize {
        least_depth(&self.evaluator, &self.blocks)
    }

    /// The transposed matrices: the same ciphertexts. Free.
    ///
    /// # Errors
    /// `Shape` for a diagonal packing.
    pub fn transpose(&self) -> Result<Self> {
        let (count, rows, cols) = self.shape;
        let (packing, blocks) = match self.packing.packing {
            MatrixPacking::Tile(tile) => (tile.transposed().into(), self.blocks.clone()),
            MatrixPacking::Skewed(skewed) => {
                let (r, c) = skewed.block();
                let (r, c) = (rows.div_ceil(r), cols.div_ceil(c));
                let groups = self.blocks.chunks(r * c);
                let blocks = groups.flat_map(|b| transposed::<S>(b, r, c)).collect();
                (skewed.transposed().into(), blocks)
            }
            MatrixPacking::Diagonal(_) => {
                return Err(mismatch(
                    "transpose",
                    "matrices in diagonal packing",
                    "tiles, or skewed packing",
                    "encrypt in another packing",
                ));
            }
        };
        Ok(Self {
            evaluator: self.evaluator.clone(),
            shape: (count, cols, rows),
            packing: BatchPacking {
                packing,
                ..self.packing
            },
            blocks,
        })
    }
}

impl<S: Add> EncryptedBatch<S> {
    /// Sums, matrix by matrix, of two batches of equal shape and packing. No depth.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        if (self.shape, self.packing) != (other.shape, other.packing) {
            return Err(mismatch(
                "batch + batch",
                format!(
                    "{:?} in {:?} and {:?} in {:?}",
                    self.shape, self.packing, other.shape, other.packing
                ),
                "equal shapes and packings",
                "encrypt both alike",
            ));
        }
        let ev = &self.evaluator;
        let blocks = elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.add(a, b))?;
        Ok(Self {
            blocks,
            ..self.clone()
        })
    }
}

impl<S: ErrorBound> EncryptedBatch<S> {
    /// Bound on the absolute error of every value, as far as the scheme bounds it (see [`ErrorBound`]).
    pub fn error_bound(&self) -> f64 {
        let bounds = self.blocks.iter().map(|ct| self.evaluator.error_bound(ct));
        bounds.fold(0.0, f64::max)
    }
}

impl<S: Add + MulPlain + Mul + Rotate> EncryptedBatch<S> {
    /// The products, pair by pair, of two batches in the packings of one [`BatchPacking::pair`]. The result is a batch of
    /// tiles. Depth, keys and cost as of one product ([`EncryptedMatrix::matmul`](crate::EncryptedMatrix::matmul)), for
    /// each [`interleaved`](BatchPacking::interleaved) pairs: depth 2, or 1 if layered.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        let operation = "batch x batch";
        let ((count, rows, inner), (other_count, other_rows, cols)) = (self.shape, other.shape);
        if count != other_count || inner != other_rows {
            return Err(mismatch(
                operation,
                format!("{:?} times {:?}", self.shape, other.shape),
                format!("({count}, {inner}, _) on the right"),
                "as many matrices on both sides, the inner dimensions equal",
            ));
        }
        let (left, right) = match (self.packing.packing, other.packing.packing) {
            (MatrixPacking::Skewed(left), MatrixPacking::Skewed(right))
                if left.multiplies(&right)
                    && self.packing.interleaved == other.packing.interleaved =>
            {
                (left, right)
            }
            _ => {
                return Err(mismatch(
                    operation,
                    format!("{:?} times {:?}", self.packing, other.packing),
                    "the two packings of one `BatchPacking::pair`, left and right",
                    "encrypt both batches for this product",
                ));
            }
        };
        let stride = self.packing.interleaved;
        let groups = self
            .blocks
            .chunks(left.blocks(rows, inner))
            .zip(other.blocks.chunks(right.blocks(inner, cols)));
        let mut blocks = Vec::new();
        for (a, b) in groups {
            let dimensions = (rows, inner, cols);
            blocks.extend(multiply(&self.evaluator, &left, stride, dimensions, a, b)?);
        }
        Ok(Self {
            evaluator: self.evaluator.clone(),
            shape: (count, rows, cols),
            packing: BatchPacking::new(left.product(), stride)?,
            blocks,
        })
    }
}
