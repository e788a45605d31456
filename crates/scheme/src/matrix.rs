//! What a scheme for encrypted matrices can do: products at the speed of plain matrix products.
//!
//! A [`Block`](MatrixScheme::Block) holds `lines` lines (the rows or the columns of a matrix, the scheme does not care) of
//! `len` values each. Its product is `L' R`: lines are summed over, positions within lines remain. With `A` held by
//! columns and `B` by rows, `gemm_tn(A, B)` is `A B`; with `X` held by rows, [`syrk`](MatrixScheme::syrk) is the Gram
//! matrix `X'X`. A transpose is a change of label: rows are called columns.
//!
//! ```text
//! L (k lines of 3)   R (k lines of 2)          L' R: Side::Left     Side::Right
//!   a0 a1 a2           b0 b1                     3 lines of 2         2 lines of 3
//!   c0 c1 c2           d0 d1                     a0b0+c0d0 a0b1+c0d1  the same, transposed
//!   :  :  :            :  :                      a1b0+c1d0 ...
//! ```
//!
//! # Length
//! Lines lie on a grid of [`padded_len`] positions: a power of two, at least [`MIN_PADDED_LEN`] and at most
//! [`max_len`](MatrixScheme::max_len), or a wider one if encryption asks for it. Factors of a product and terms of a sum
//! must lie on the same grid. Longer lines, and more lines than memory holds, are cut into several blocks by the
//! caller: products take sums of terms.
//!
//! # Depth
//! A block takes [`depth`](MatrixScheme::depth) more products, by encrypted or plain matrices. Operands of different
//! depth are brought to the smaller one silently. Scales are never seen.

mod shape;

pub use shape::BlockShape;

use crate::{Error, Result, Value, WeightMatrix};
use rand::CryptoRng;
use std::collections::BTreeSet;

/// The smallest [`padded_len`].
pub const MIN_PADDED_LEN: usize = 16;

/// The grid that lines of `len` values lie on: the next power of two, at least [`MIN_PADDED_LEN`]. `None` if there is
/// none.
pub fn padded_len(len: usize) -> Option<usize> {
    Some(len.checked_next_power_of_two()?.max(MIN_PADDED_LEN))
}

/// Which factor's index numbers the lines of a product `L' R`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// `len(L)` lines of `len(R)` values: the rows of `L' R`.
    Left,
    /// `len(R)` lines of `len(L)` values: the columns of `L' R`.
    Right,
}

/// How lines lie in ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lines {
    /// As many as fit in a ciphertext: `max_len / padded_len`. What products of encrypted matrices give; the smallest.
    Packed,
    /// One in each: what products with plain matrices give. The same as packed if the padded length is `max_len`.
    Single,
}

/// Which evaluation keys a computation on encrypted matrices needs: what a plan lists and a secret key makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatrixKeySet {
    /// Padded lengths of the operands of `gemm_tn`, `syrk` and `reformat`.
    pub lengths: BTreeSet<usize>,
    /// Whether encrypted matrices are multiplied with each other.
    pub products: bool,
}

impl MatrixKeySet {
    /// What products of lines of `len` values need.
    ///
    /// # Errors
    /// `Shape` for a length of zero, or one that has no power of two above it.
    pub fn products(len: usize) -> Result<Self> {
        Ok(Self {
            products: true,
            ..Self::reformats(len)?
        })
    }

    /// What a change of format of lines of `len` values needs.
    ///
    /// # Errors
    /// As [`products`](Self::products).
    pub fn reformats(len: usize) -> Result<Self> {
        let padded = padded_len(len).filter(|_| len > 0);
        let padded = padded.ok_or_else(|| Error::Shape {
            operation: "matrix keys",
            got: format!("lines of {len} values"),
            expected: "at least one value, and a power of two above it".into(),
            hint: "pass the length of the lines",
        })?;
        Ok(Self {
            lengths: [padded].into(),
            products: false,
        })
    }

    /// The keys of both sets.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.products |= other.products;
        self.lengths.extend(&other.lengths);
        self
    }
}

/// Sums and products of encrypted matrices. Implemented by the scheme's *evaluator*, a cheap handle on parameters and
/// evaluation keys that holds no secret.
///
/// # Errors
/// Every operation on blocks: `KeyMismatch` for a block of other parameters or another key, `Shape` for shapes, padded
/// lengths and layouts that do not fit, `Depth` if none is left, `MissingKey`, `Overflow` if by the declared magnitudes
/// the result may be larger than is held, `Noise` (exact schemes) if it may not decrypt.
pub trait MatrixScheme: Clone + Send + Sync + 'static {
    /// Plain values.
    type Value: Value;
    /// An encrypted block of lines.
    type Block: Clone + Send + Sync + 'static;

    /// The scheme's name, for messages: `"ckks"`.
    fn name(&self) -> &'static str;
    /// Values in the longest line: a power of two.
    fn max_len(&self) -> usize;
    /// Products that a fresh block can take.
    fn max_depth(&self) -> usize;
    /// Products that `x` can still take.
    fn depth(&self, x: &Self::Block) -> usize;
    /// Number of lines, and of values in each.
    fn shape(&self, x: &Self::Block) -> (usize, usize);
    /// The grid its lines lie on: for a fresh block [`padded_len`] of their length, for a product that of its factors.
    fn padded_len(&self, x: &Self::Block) -> usize;
    /// How its lines lie in ciphertexts.
    fn layout(&self, x: &Self::Block) -> Lines;
    /// Bytes in memory of such a block, its lines on the grid of [`padded_len`] of `len`. On a wider grid: that of lines as
    /// long as it.
    ///
    /// # Errors
    /// `Shape` for an empty shape, or lines beyond `max_len`; `Depth` beyond `max_depth`.
    fn block_bytes(&self, lines: usize, len: usize, layout: Lines, depth: usize) -> Result<usize>;

    /// Gives up depth (never gains it): smaller and faster to compute on. Cost: a pass over the block.
    ///
    /// # Errors
    /// `KeyMismatch`; `Depth` if `depth` exceeds what is left.
    fn lower_to(&self, x: &Self::Block, depth: usize) -> Result<Self::Block>;
    /// `a + b`, value by value; same shape, padded length and layout. No depth, no keys.
    fn add(&self, a: &Self::Block, b: &Self::Block) -> Result<Self::Block>;
    /// `a - b`, as [`add`](Self::add).
    fn sub(&self, a: &Self::Block, b: &Self::Block) -> Result<Self::Block>;
    /// `-x`. No depth, no keys.
    fn negate(&self, x: &Self::Block) -> Result<Self::Block>;
    /// `value * x`. One level, no keys. Cost: a pass over the block. The value is not hidden from whoever sees `x` and the
    /// result: see [`gemm_plain`](Self::gemm_plain).
    ///
    /// # Errors
    /// Those of the trait; `Value` for a scalar that cannot be encoded.
    fn scale(&self, x: &Self::Block, value: Self::Value) -> Result<Self::Block>;

    /// The sum over terms `(L, R)` of `L' R`: one level, one relinearization and one change of format for the whole sum.
    ///
    /// All `L` have lines of one length, all `R` too, on one padded length `d`; in a term both have the same number of
    /// lines `k`; all blocks have one layout, of which [`Lines::Packed`] is the cheaper. The result is packed: `len(L)` lines of `len(R)` values or the other way round, on the
    /// same grid. Needs the keys of [`MatrixKeySet::products`] for `d`. Cost: about four exact modular GEMMs of
    /// `d x k x d`, and one to two key switches for each of `max_len` ring elements.
    ///
    /// # Errors
    /// Those of the trait; `Shape` for no terms.
    fn gemm_tn(&self, terms: &[(&Self::Block, &Self::Block)], lines: Side) -> Result<Self::Block>;
    /// The sum over terms of `X' X`: as [`gemm_tn`](Self::gemm_tn) of each with itself, at about half the work of the
    /// GEMMs. The result has `len(X)` lines of as many values.
    ///
    /// # Errors
    /// As `gemm_tn`.
    fn syrk(&self, terms: &[&Self::Block]) -> Result<Self::Block>;
    /// The sum over terms `(W, x)` of `W` times the lines of `x`: line `u` of the result is the sum over terms and `k` of
    /// `W[u][k]` times line `k`. One level, no keys. All `x` have lines of one length, in either layout, and as many as their
    /// `W` has columns; all `W` have as many rows as the result has lines, whose layout is [`Lines::Single`]. Cost: exact
    /// modular GEMMs of `rows x k x max_len` and `rows x k x len`.
    ///
    /// **The weights are not hidden.** Nothing random is added: whoever sees the blocks and the result, with or without a
    /// key, has equations for `W`. Weights that are secret are to be encrypted, for [`gemm_tn`](Self::gemm_tn).
    ///
    /// # Errors
    /// Those of the trait; `Shape` for no terms; `Value` for weights that cannot be encoded.
    fn gemm_plain(
        &self,
        terms: &[(WeightMatrix<'_, Self::Value>, &Self::Block)],
    ) -> Result<Self::Block>;
    /// The transpose in ciphertexts: from `lines` lines of `len` values to `len` lines of `lines` values, on the same
    /// grid. One level. For packed blocks with at most as many lines as the padded length. Needs the keys of
    /// [`MatrixKeySet::reformats`]. Cost: one to two key switches for each of `max_len` ring elements.
    fn reformat(&self, x: &Self::Block) -> Result<Self::Block>;

    /// Checks that `x` belongs to this evaluator's parameters and key.
    ///
    /// # Errors
    /// `KeyMismatch`.
    fn check(&self, x: &Self::Block) -> Result<()>;
    /// Bound on the absolute error of every value, in units of the values, holding for all values of the block at once
    /// except with probability 2^-40. Depends on public data only: operations and declared magnitudes.
    fn error_bound(&self, x: &Self::Block) -> f64;
    /// Declared bound on the absolute value of every value.
    fn magnitude_bound(&self, x: &Self::Block) -> f64;

    /// Serializes a block, envelope included.
    fn write_block(&self, x: &Self::Block) -> Vec<u8>;
    /// Reads and checks a block: parameters, key, shapes before anything is allocated, every residue.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    fn read_block(&self, bytes: &[u8]) -> Result<Self::Block>;
}

/// A key that encrypts matrices; several threads at a time may.
pub trait EncryptMatrix: Sync {
    /// The evaluator type on the other side.
    type Scheme: MatrixScheme;
    /// An evaluator without evaluation keys, for shapes, sums and serialization.
    fn scheme(&self) -> Self::Scheme;
    /// Encrypts `lines` lines of `values.len() / lines` values, given line by line, on the grid of `padded` positions
    /// (`None`: [`padded_len`] of their length), at the given depth and with the declared bound on their absolute values
    /// (public; `None`: the parameters' bound).
    ///
    /// # Errors
    /// `Shape` unless there are `lines` lines of equal length, at least one value in each and at most `max_len`, and
    /// `padded` is a power of two from [`padded_len`] of their length to `max_len`; `Value`
    /// for NaN, infinite, or larger than the bound; `Parameter` for a bound that is none; `Depth` if `depth` exceeds the
    /// parameters'.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a choice of the caller; none has a default"
    )]
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[<Self::Scheme as MatrixScheme>::Value],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<<Self::Scheme as MatrixScheme>::Block>;
}

/// A key that decrypts matrices; several threads at a time may.
pub trait DecryptMatrix: Sync {
    /// The evaluator type on the other side.
    type Scheme: MatrixScheme;
    /// All values, line by line. For the key's owner: the low bits depend on the noise, and results that leave the owner
    /// need noise that this does not add.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    fn decrypt_block(
        &self,
        x: &<Self::Scheme as MatrixScheme>::Block,
    ) -> Result<Vec<<Self::Scheme as MatrixScheme>::Value>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_padded_to_powers_of_two() {
        let padded = [0, 1, 16, 17, 1000, usize::MAX].map(padded_len);
        assert_eq!(
            padded,
            [Some(16), Some(16), Some(16), Some(32), Some(1024), None]
        );
    }

    #[test]
    fn key_sets_unite() {
        let keys = MatrixKeySet::products(100).unwrap();
        let keys = keys.union(&MatrixKeySet::reformats(16).unwrap());
        assert!(keys.products);
        assert_eq!(keys.lengths, [16, 128].into());
        assert!(!MatrixKeySet::reformats(3).unwrap().products);
        for len in [0, usize::MAX] {
            let error = MatrixKeySet::products(len).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
        }
    }
}
