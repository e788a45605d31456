use super::{EncryptOptions, decrypt_blocks, decrypt_blocks_shared, encrypt_blocks, least_depth};
use crate::kernel::slots::{Source, gather};
use crate::kernel::{Blocks, dot, elementwise, lower, reduce};
use crate::packing::VectorPacking;
use crate::polynomial;
use crate::shape::{check_len, mismatch};
use cipherblas_scheme::{
    Add, AddPlain, Decrypt, Encrypt, Error, ErrorBound, Mul, MulPlain, Result, Rotate, Scheme,
};
use rand::CryptoRng;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A vector of encrypted values, over as many ciphertexts as it needs, bound to an evaluator.
///
/// Cloning shares the ciphertexts. A vector of length 1 is an encrypted scalar: [`mul`](Self::mul) broadcasts it.
#[derive(Clone)]
pub struct EncryptedVector<S: Scheme> {
    pub(crate) evaluator: S,
    pub(crate) len: usize,
    pub(crate) packing: VectorPacking,
    pub(crate) blocks: Blocks<S>,
}

impl<S: Scheme> fmt::Debug for EncryptedVector<S> {
    /// Shape, packing, scheme and depth; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedVector")
            .field("len", &self.len)
            .field("packing", &self.packing)
            .field("scheme", &self.evaluator.name())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}

impl<S: Scheme> EncryptedVector<S> {
    /// Encrypts in the canonical packing at full depth.
    ///
    /// # Errors
    /// `Shape` for no values; `Value` for one that cannot be encoded.
    pub fn encrypt<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        values: &[S::Value],
        rng: &mut R,
    ) -> Result<Self> {
        Self::encrypt_with(key, values, &EncryptOptions::default(), rng)
    }

    /// Encrypts as the options say.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt); `Shape` for a packing wider than the slots; `Depth` for more than there is.
    pub fn encrypt_with<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        values: &[S::Value],
        options: &EncryptOptions<VectorPacking>,
        rng: &mut R,
    ) -> Result<Self> {
        let evaluator = key.scheme();
        let packing =
            options.packing_or(|| VectorPacking::periodic(values.len(), evaluator.slots()))?;
        packing.check_slots(evaluator.slots())?;
        let grid = packing.grid(values.len());
        let blocks = encrypt_blocks(key, &packing.pack(values)?, options, rng, |block, slot| {
            grid.at(block, slot).map(|(i, _)| i)
        })?;
        Ok(Self {
            evaluator,
            len: values.len(),
            packing,
            blocks,
        })
    }

    /// Wraps ciphertexts. Their padding must hold zeros.
    ///
    /// # Errors
    /// `Shape` for an empty vector, a packing wider than the slots, or the wrong number of ciphertexts; `KeyMismatch`.
    pub fn from_ciphertexts(
        evaluator: S,
        len: usize,
        packing: VectorPacking,
        ciphertexts: Vec<S::Ciphertext>,
    ) -> Result<Self> {
        check_len("encrypted vector", len)?;
        packing.check_slots(evaluator.slots())?;
        if ciphertexts.len() != packing.blocks(len) {
            return Err(mismatch(
                "encrypted vector",
                format!("{} ciphertexts", ciphertexts.len()),
                packing.blocks(len).to_string(),
                "pass one for each block of the packing",
            ));
        }
        for ct in &ciphertexts {
            evaluator.check(ct)?;
        }
        let blocks = ciphertexts.into_iter().map(Arc::new).collect();
        Ok(Self {
            evaluator,
            len,
            packing,
            blocks,
        })
    }

    /// The key owner's view of the values.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Vec<S::Value>> {
        self.packing
            .unpack(self.len, &decrypt_blocks(key, &self.blocks)?)
    }

    /// The values with noise that lets them be shown to others.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); `Parameter` when the key's query budget is used up, or a ciphertext declares a
    /// larger error than `bound`, the owner's own bound (see [`Decrypt::decrypt_shared`]).
    pub fn decrypt_shared<K: Decrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        &self,
        key: &K,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<S::Value>> {
        let blocks = decrypt_blocks_shared(key, &self.blocks, bound, rng)?;
        self.packing.unpack(self.len, &blocks)
    }

    /// The same vector bound to another evaluator: the server's, which has the evaluation keys.
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

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Always false: empty vectors are refused.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// How the values lie in the slots.
    pub fn packing(&self) -> VectorPacking {
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

    /// Gives up depth.
    ///
    /// # Errors
    /// `Depth` if there is less.
    pub fn lower_to(&self, depth: usize) -> Result<Self> {
        Ok(self.with(lower(&self.evaluator, &self.blocks, depth)?))
    }

    pub(super) fn with(&self, blocks: Blocks<S>) -> Self {
        Self {
            evaluator: self.evaluator.clone(),
            len: self.len,
            packing: self.packing,
            blocks,
        }
    }

    pub(crate) fn scalar(evaluator: &S, ct: S::Ciphertext) -> Result<Self> {
        Ok(Self {
            evaluator: evaluator.clone(),
            len: 1,
            packing: VectorPacking::new(1, 1)?,
            blocks: vec![Arc::new(ct)],
        })
    }

    /// Refuses a vector that lies otherwise.
    fn expect_alike(&self, operation: &'static str, other: &Self) -> Result<()> {
        self.expect(operation, other.len, other.packing)
    }

    /// Refuses unless this vector has the given length and packing.
    pub(super) fn expect(
        &self,
        operation: &'static str,
        len: usize,
        packing: VectorPacking,
    ) -> Result<()> {
        if self.len != len {
            return Err(mismatch(
                operation,
                format!("a vector of length {}", self.len),
                format!("length {len}"),
                "slice or concatenate first",
            ));
        }
        if self.packing != packing {
            return Err(mismatch(
                operation,
                format!("{:?}", self.packing),
                format!("{packing:?}"),
                "encrypt in the packing that the other operand asks for, or `repack` (one level)",
            ));
        }
        Ok(())
    }

    fn pack_plain(
        &self,
        operation: &'static str,
        plain: &[S::Value],
    ) -> Result<Vec<Vec<S::Value>>> {
        if plain.len() != self.len {
            return Err(mismatch(
                operation,
                format!("{} plain values", plain.len()),
                self.len.to_string(),
                "pass one value for each encrypted one",
            ));
        }
        self.packing.pack(plain)
    }

    fn constant(&self, block: usize, value: S::Value) -> Vec<S::Value> {
        use cipherblas_scheme::Value;
        self.packing
            .grid(self.len)
            .constant(block, S::Value::ZERO, value)
    }
}

impl<S: ErrorBound> EncryptedVector<S> {
    /// Bound on the absolute error of every value, as far as the scheme bounds it (see [`ErrorBound`]).
    pub fn error_bound(&self) -> f64 {
        let bounds = self.blocks.iter().map(|ct| self.evaluator.error_bound(ct));
        bounds.fold(0.0, f64::max)
    }
}

impl<S: Add> EncryptedVector<S> {
    /// Sum of two vectors of equal length and packing. No depth.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.expect_alike("vector + vector", other)?;
        let ev = &self.evaluator;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.add(a, b))
            .map(|b| self.with(b))
    }

    /// Difference of two vectors of equal length and packing. No depth.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.expect_alike("vector - vector", other)?;
        let ev = &self.evaluator;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.sub(a, b))
            .map(|b| self.with(b))
    }

    /// The negative. No depth.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn neg(&self) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.negate(a)).map(|b| self.with(b))
    }
}

impl<S: AddPlain> EncryptedVector<S> {
    /// Adds plain values, one for each. No depth.
    ///
    /// # Errors
    /// `Shape`, `Value`.
    pub fn add_plain(&self, plain: &[S::Value]) -> Result<Self> {
        let packed = self.pack_plain("vector + plain vector", plain)?;
        elementwise::add_plain(&self.evaluator, &self.blocks, |b| packed[b].clone())
            .map(|b| self.with(b))
    }

    /// Adds a constant to every value (and nothing to the padding). No depth.
    ///
    /// # Errors
    /// `Value`.
    pub fn add_scalar(&self, value: S::Value) -> Result<Self> {
        elementwise::add_plain(&self.evaluator, &self.blocks, |b| self.constant(b, value))
            .map(|b| self.with(b))
    }
}

impl<S: MulPlain> EncryptedVector<S> {
    /// Multiplies with plain values, one for each. One level.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn mul_plain(&self, plain: &[S::Value]) -> Result<Self> {
        let packed = self.pack_plain("vector x plain vector", plain)?;
        elementwise::mul_plain(&self.evaluator, &self.blocks, |b| packed[b].clone())
            .map(|b| self.with(b))
    }

    /// Multiplies every value with a constant. One level, or none where the scheme has a free way.
    ///
    /// # Errors
    /// `Depth`, `Value`.
    pub fn scale(&self, factor: S::Value) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.mul_scalar(a, factor)).map(|b| self.with(b))
    }

    /// Multiplies every value with a constant and brings the result to `depth`, below the present one, with one rescaling.
    ///
    /// # Errors
    /// `Depth` if `depth` is not below what is left; `Value`.
    pub fn scale_to(&self, factor: S::Value, depth: usize) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.mul_scalar_to(a, factor, depth))
            .map(|b| self.with(b))
    }
}

impl<S: Mul> EncryptedVector<S> {
    /// Product value by value; a vector of length 1 on either side is broadcast. One level; relinearization key.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn mul(&self, other: &Self) -> Result<Self> {
        if self.len == 1 && other.len > 1 {
            return other.mul(self);
        }
        let ev = &self.evaluator;
        if other.len == 1 && other.packing.period() == 1 {
            return elementwise::map::<S>(&self.blocks, |_, a| ev.mul(a, &other.blocks[0]))
                .map(|b| self.with(b));
        }
        self.expect_alike("vector x vector", other)?;
        elementwise::zip::<S>(&self.blocks, &other.blocks, |a, b| ev.mul(a, b))
            .map(|b| self.with(b))
    }

    /// Squares of the values. One level; relinearization key.
    ///
    /// # Errors
    /// `Depth`, `MissingKey`.
    pub fn square(&self) -> Result<Self> {
        let ev = &self.evaluator;
        elementwise::map::<S>(&self.blocks, |_, a| ev.square(a)).map(|b| self.with(b))
    }
}

impl<S: Add + AddPlain + MulPlain + Mul> EncryptedVector<S> {
    /// `c[0] + c[1] x + c[2] x^2 + ...` of every value, at the least depth: `ceil(log2(degree + 1))`.
    ///
    /// # Errors
    /// `Shape` for no coefficients; `Depth`, `MissingKey`, `Value`.
    pub fn polynomial(&self, coefficients: &[S::Value]) -> Result<Self> {
        elementwise::map::<S>(&self.blocks, |block, ct| {
            polynomial::evaluate(&self.evaluator, ct, coefficients, |c| {
                self.constant(block, c)
            })
        })
        .map(|b| self.with(b))
    }
}

impl<S: Add + Rotate> EncryptedVector<S> {
    /// Sum of the values, as a vector of length 1. No depth; `log2(period)` rotations.
    ///
    /// # Errors
    /// `MissingKey`.
    pub fn sum(&self) -> Result<Self> {
        let p = self.packing;
        let ct = reduce::everything(&self.evaluator, p.repeat(), p.width(), &self.blocks)?;
        Self::scalar(&self.evaluator, ct)
    }
}

impl<S: Add + MulPlain + Rotate + Scheme<Value = f64>> EncryptedVector<S> {
    /// Mean of the values, as a vector of length 1. One level; `log2(period)` rotations.
    ///
    /// # Errors
    /// `MissingKey`, `Depth`.
    pub fn mean(&self) -> Result<Self> {
        // Scaled before the sum, so that magnitudes do not grow with the length.
        self.scale(1.0 / self.len as f64)?.sum()
    }
}

impl<S: Add + Mul + Rotate> EncryptedVector<S> {
    /// Inner product of two encrypted vectors, as a vector of length 1: every slot holds it. One level; one relinearization
    /// and `log2(period)` rotations for any length.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn dot(&self, other: &Self) -> Result<Self> {
        self.expect_alike("dot", other)?;
        let ct = dot::dot(&self.evaluator, &self.packing, &self.blocks, &other.blocks)?;
        Self::scalar(&self.evaluator, ct)
    }
}

impl<S: Add + MulPlain + Rotate> EncryptedVector<S> {
    /// Inner product with a plain vector. One level; `log2(period)` rotations.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn dot_plain(&self, plain: &[S::Value]) -> Result<Self> {
        let packed = self.pack_plain("dot with a plain vector", plain)?;
        let ct = dot::dot_plain(&self.evaluator, &self.packing, &self.blocks, &packed)?;
        Self::scalar(&self.evaluator, ct)
    }

    /// The same values in another packing. One level, unless whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for a packing wider than the slots; `Depth`, `MissingKey`.
    pub fn repack(&self, packing: VectorPacking) -> Result<Self> {
        self.rearrange(&[self], self.len, packing, &|i| (0, i))
    }

    /// The values in `range`, in the canonical packing. One level, unless whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for a range that is empty or too long; `Depth`, `MissingKey`.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        check_range("slice", &range, self.len)?;
        let len = range.len();
        let packing = VectorPacking::periodic(len, self.evaluator.slots())?;
        self.rearrange(&[self], len, packing, &|i| (0, range.start + i))
    }

    /// One vector after another, in the canonical packing. One level, unless whole ciphertexts only move.
    ///
    /// # Errors
    /// `Shape` for no parts; `KeyMismatch`, `Depth`, `MissingKey`.
    pub fn concatenate(parts: &[&Self]) -> Result<Self> {
        let Some(&first) = parts.first() else {
            return Err(mismatch(
                "concatenate",
                "no vector",
                "at least one",
                "empty arrays have no encryption",
            ));
        };
        let starts: Vec<usize> = parts
            .iter()
            .scan(0, |at, p| {
                *at += p.len;
                Some(*at - p.len)
            })
            .collect();
        let len = parts.iter().map(|p| p.len).sum();
        let packing = VectorPacking::periodic(len, first.evaluator.slots())?;
        first.rearrange(parts, len, packing, &|i| {
            let part = starts.partition_point(|&s| s <= i) - 1;
            (part, i - starts[part])
        })
    }

    fn rearrange(
        &self,
        parts: &[&Self],
        len: usize,
        packing: VectorPacking,
        source: &(dyn Fn(usize) -> (usize, usize) + Sync),
    ) -> Result<Self> {
        packing.check_slots(self.evaluator.slots())?;
        let sources: Vec<Source<'_, S>> = parts
            .iter()
            .map(|p| Source {
                grid: p.packing.grid(p.len),
                blocks: &p.blocks,
            })
            .collect();
        let to = packing.grid(len);
        let blocks = gather(&self.evaluator, &sources, &to, &|i, _| {
            let (part, i) = source(i);
            (part, i, 0)
        })?;
        Ok(Self {
            evaluator: self.evaluator.clone(),
            len,
            packing,
            blocks,
        })
    }
}

/// Refuses an empty range and one that ends beyond `len`.
pub(super) fn check_range(
    operation: &'static str,
    range: &Range<usize>,
    len: usize,
) -> Result<(), Error> {
    if range.start >= range.end || range.end > len {
        return Err(mismatch(
            operation,
            format!("{}..{}", range.start, range.end),
            format!("a range within 0..{len} that is not empty"),
            "the end is exclusive",
        ));
    }
    Ok(())
}
