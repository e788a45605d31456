//! Encrypted matrices of values, whatever the values are: keys, evaluators and bytes that the schemes have in common.
//!
//! A scheme says through [`Coding`] which integers stand for its values and what becomes of its bounds; everything else is
//! here. `ckks::matrix` and `bfv::matrix` name the types below for their parameters.

mod block;
mod evaluator;
mod keys;
mod search;
mod wire;

pub use block::CodedBlock;
pub use evaluator::CodedEvaluator;
pub use keys::{CodedPublicKey, CodedSecretKey};
pub use search::{Candidate, Search, product_error, reformat_error};
pub use wire::{
    JobParts, check_spec, evaluation_keys_bytes, read_evaluation_keys, read_job, read_parameters,
    read_spec, write_evaluation_keys, write_job, write_spec,
};

use super::{Block, MatrixRing};
use crate::keys::SecretKey;
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::wire::{ParameterId, Reader, SchemeId, Writer};
use cipherblas_scheme::{Result, Value, WeightMatrix};
use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Which key encrypts: their errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryptor {
    /// The owner's key: the smallest errors.
    SecretKey,
    /// The public key.
    PublicKey,
}

/// One term of a sum of products, as bounds see it.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a, B> {
    /// Lines that are summed over.
    pub lines: usize,
    /// Those of whole ciphertexts, the last of which may hold encryptions of zero, with errors.
    pub held: usize,
    /// Bounds of one factor.
    pub left: &'a B,
    /// Bounds of the other.
    pub right: &'a B,
}

/// A product whose bounds are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a, B> {
    /// The operation, for errors.
    pub operation: &'static str,
    /// The level of the factors.
    pub level: usize,
    /// The grid of their lines.
    pub padded: usize,
    /// The terms.
    pub terms: &'a [Term<'a, B>],
    /// Whether the errors of the terms' left factors are independent of each other, and those of the right ones too.
    pub distinct: bool,
}

/// Weights as integers, one list for each term, and the bounds of the result.
pub type Weighted<B> = (Vec<Vec<i64>>, B);

/// What the integers in blocks mean: implemented by a scheme's parameters. Levels are depths; a step from level l multiplies
/// phases by `G_(l-1) / G_l` (see [`MatrixRing`]).
pub trait Coding: Clone + PartialEq + Send + Sync + Debug + 'static {
    /// Plain values.
    type Value: Value;
    /// What is tracked of a block, all of it public.
    type Bounds: Clone + Send + Sync + Debug + 'static;

    /// The scheme's name: `"ckks"`.
    const NAME: &'static str;
    /// The scheme on the wire.
    const SCHEME: SchemeId;

    /// The ring.
    fn ring(&self) -> &Arc<MatrixRing>;
    /// Hash of everything that defines the parameters.
    fn id(&self) -> ParameterId;
    /// The parameters in their envelope.
    fn to_bytes(&self) -> Vec<u8>;
    /// Reads parameters and validates them, refusing those without security if it is asked for.
    ///
    /// # Errors
    /// `Wire`, `Parameter`.
    fn read(bytes: &[u8], secure: bool) -> Result<Self>;
    /// Integers for values at a level, and the bounds of their encryption. Values and declared bound are checked.
    ///
    /// # Errors
    /// `Value`, `Parameter` for a bound that is none.
    fn encode<R: rand::CryptoRng + ?Sized>(
        &self,
        values: &[Self::Value],
        level: usize,
        bound: Option<f64>,
        by: Encryptor,
        rng: &mut R,
    ) -> Result<(Zeroizing<Vec<i64>>, Self::Bounds)>;
    /// The values of a block.
    ///
    /// # Errors
    /// `Decryption` if they are beyond their bounds.
    fn decode(
        &self,
        block: &Block,
        bounds: &Self::Bounds,
        secret: &SecretKey,
    ) -> Result<Vec<Self::Value>>;
    /// Bound on the absolute values.
    fn magnitude(&self, bounds: &Self::Bounds) -> f64;
    /// Bound on the absolute error of every value.
    fn error(&self, bounds: &Self::Bounds) -> f64;

    /// Bounds of a sum, or difference, at a level, and what both terms are to be multiplied by.
    ///
    /// # Errors
    /// `Overflow`, `Noise`.
    fn sum(
        &self,
        operation: &'static str,
        level: usize,
        a: &Self::Bounds,
        b: &Self::Bounds,
    ) -> Result<([i64; 2], Self::Bounds)>;
    /// Factors whose product stands for `value` (`None`: one), to multiply a block at `level` by before it goes to the level
    /// below, and its bounds there.
    ///
    /// # Errors
    /// `Value`, `Overflow`, `Noise`.
    fn scaled(
        &self,
        operation: &'static str,
        level: usize,
        value: Option<Self::Value>,
        bounds: &Self::Bounds,
    ) -> Result<(Vec<i64>, Self::Bounds)>;
    /// Bounds of a sum of products, at the level below.
    ///
    /// # Errors
    /// `Overflow`, `Noise`.
    fn product(&self, product: &Product<'_, Self::Bounds>) -> Result<Self::Bounds>;
    /// Integers for weights by which blocks at `level` are multiplied before they go to the level below, and the bounds of
    /// the sum of products there. `distinct`: whether the errors of the blocks are independent of each other.
    ///
    /// # Errors
    /// `Value`, `Overflow`, `Noise`.
    fn weighted(
        &self,
        operation: &'static str,
        level: usize,
        terms: &[(WeightMatrix<'_, Self::Value>, &Self::Bounds)],
        distinct: bool,
    ) -> Result<Weighted<Self::Bounds>>;
    /// Factors to multiply a block at `level` by before a change of format on a grid of `padded`, and its bounds at the level below.
    ///
    /// # Errors
    /// `Overflow`, `Noise`.
    fn reformatted(
        &self,
        operation: &'static str,
        level: usize,
        padded: usize,
        bounds: &Self::Bounds,
    ) -> Result<(Vec<i64>, Self::Bounds)>;

    /// Writes bounds.
    fn write_bounds(&self, bounds: &Self::Bounds, writer: &mut Writer);
    /// Reads bounds of a block at `level`, and checks that such bounds may be.
    ///
    /// # Errors
    /// `Wire`.
    fn read_bounds(&self, level: usize, reader: &mut Reader<'_>) -> Result<Self::Bounds>;
    /// Whether bounds on errors are at least those of fresh encryptions at `level` under the public key.
    fn as_public(&self, level: usize, bounds: &Self::Bounds) -> bool;
    /// Declared bounds, raised to what every block at `level` has at least that was encrypted (`fresh`), or computed, by this
    /// library. Bounds of such blocks stay as they are.
    ///
    /// # Errors
    /// `Overflow`, `Noise` if the level does not hold the result.
    fn raised(&self, level: usize, fresh: bool, bounds: Self::Bounds) -> Result<Self::Bounds>;
}

/// A line of a parameters' display: security.
///
/// # Errors
/// Those of the formatter.
pub fn describe_security(
    security: Option<SecurityLevel>,
    degree: usize,
    log2_modulus: f64,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match security {
        Some(level) => writeln!(
            f,
            "  security       {} bits classical (log2 of the largest modulus = {log2_modulus:.1} of at most {})",
            level.bits(),
            security::max_log_qp(level, degree).unwrap_or(0)
        ),
        None => writeln!(
            f,
            "  security       INSECURE, for tests only (log2 of the largest modulus = {log2_modulus:.1})"
        ),
    }
}

/// Lines of a parameters' display: degree, primes by level, special primes, what a block and a key take.
///
/// # Errors
/// Those of the formatter.
pub fn describe(ring: &MatrixRing, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let top = ring.max_level();
    let wide = ring.ring();
    let narrow: Vec<String> = (0..=top)
        .rev()
        .map(|level| format!("{} (2^{:.1})", ring.narrow_len(level), ring.log2_g(level)))
        .collect();
    writeln!(f, "  ring degree    {}", ring.degree())?;
    writeln!(
        f,
        "  narrow primes  {}, from the top down",
        narrow.join(", ")
    )?;
    writeln!(
        f,
        "  wide primes    {} in the chain, {} special (2^{:.1} with it)",
        wide.q_len(),
        wide.p_len(),
        wide.log2_qp()
    )?;
    let line = 4 * ring.narrow_len(top) * ring.degree();
    let key = crate::wire::switch_bytes(wide);
    write!(
        f,
        "  sizes          ciphertext {} KiB in memory, evaluation key {} KiB on the wire",
        line.div_ceil(1024),
        key.div_ceil(1024)
    )
}
