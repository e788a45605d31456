//! Blocks of encrypted lines: shapes, and what needs neither keys nor levels.

use super::ring::MatrixRing;
use super::{parameter_error, shape_error};
use cipherblas_math::narrow::{self, Prime};
use cipherblas_math::sample::Seed;
use cipherblas_scheme::matrix::MIN_PADDED_LEN;
use cipherblas_scheme::wire::KeyId;
use cipherblas_scheme::{Error, Lines, Result};
use std::fmt;
use std::sync::Arc;

/// Coefficients of a seeded second half for one of the first, at most.
const SEEDED_PART: usize = 16;
/// Bytes in memory for one on the wire, at most: `2 (16 + 1)` for 14 bits, rounded up.
pub const EXPANSION: usize = 20;

/// How a block's values lie in ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of lines.
    pub lines: usize,
    /// Values in each.
    pub len: usize,
    /// The grid they lie on: a power of two from 16 to N, not below `len`.
    pub padded: usize,
    /// Lines in a ciphertext: as many as fit, or one.
    pub layout: Lines,
}

impl Shape {
    /// Checks the shape against a ring degree.
    ///
    /// # Errors
    /// `Shape`: no line, no value, lines longer than their grid, a grid that is none.
    pub fn check(&self, operation: &'static str, degree: usize) -> Result<()> {
        if self.lines == 0 || self.len == 0 {
            return Err(shape_error(
                operation,
                format!("{} lines of {} values", self.lines, self.len),
                "at least one line of at least one value",
                "leave empty blocks out",
            ));
        }
        if !self.padded.is_power_of_two()
            || !(MIN_PADDED_LEN..=degree).contains(&self.padded)
            || self.len > self.padded
        {
            return Err(shape_error(
                operation,
                format!("lines of {} values on a grid of {}", self.len, self.padded),
                format!(
                    "a grid that is a power of two from {MIN_PADDED_LEN} to {degree} and holds the lines"
                ),
                "cut longer lines into several blocks",
            ));
        }
        Ok(())
    }
    /// `N / padded`: coefficients between neighbours in a line.
    pub fn stride(&self, degree: usize) -> usize {
        degree / self.padded
    }
    /// Lines in a ciphertext.
    pub fn classes(&self, degree: usize) -> usize {
        match self.layout {
            Lines::Packed => self.stride(degree),
            Lines::Single => 1,
        }
    }
    /// Number of ciphertexts.
    pub fn ciphertexts(&self, degree: usize) -> usize {
        self.lines.div_ceil(self.classes(degree))
    }
    /// Coefficients held of each first half: all, or in the single layout only those of the line.
    pub(crate) fn held(&self, degree: usize) -> usize {
        match self.layout {
            Lines::Packed => degree,
            Lines::Single => self.len,
        }
    }
    /// Whether second halves may be a seed on the wire: a seed of 32 bytes stands for N coefficients of every ciphertext and
    /// prime, so first halves must be there of at least a 16th of that. What is read is then at most [`EXPANSION`] times as
    /// large as the message, whoever wrote it.
    pub(crate) fn seedable(&self, degree: usize) -> bool {
        SEEDED_PART * self.held(degree) >= degree
    }
    /// Where value `j` of line `line` is among the coefficients held: ciphertext and index.
    pub(crate) fn place(&self, degree: usize, line: usize, j: usize) -> (usize, usize) {
        let stride = self.stride(degree);
        match self.layout {
            Lines::Packed => (line / stride, line % stride + stride * j),
            Lines::Single => (line, j),
        }
    }
}

/// An encrypted block of lines: two matrices of 16-bit residues for each narrow prime of its level. Holds no key.
///
/// Cheap to clone: the residues are shared.
#[derive(Clone)]
pub struct Block {
    pub(crate) ring: Arc<MatrixRing>,
    pub(crate) key: KeyId,
    pub(crate) shape: Shape,
    pub(crate) level: usize,
    /// By prime, ciphertext, coefficient held.
    pub(crate) b: Arc<Vec<i16>>,
    /// By prime, ciphertext, coefficient.
    pub(crate) a: Arc<Vec<i16>>,
    /// Where `a` came from, while nothing has been computed.
    pub(crate) seed: Option<Seed>,
}

impl Block {
    /// The ring.
    pub fn ring(&self) -> &Arc<MatrixRing> {
        &self.ring
    }
    /// Id of the key it is encrypted under.
    pub fn key_id(&self) -> KeyId {
        self.key
    }
    /// Lines, their length, their grid, their layout.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Its level: the number of products it can still take.
    pub fn level(&self) -> usize {
        self.level
    }
    /// Whether its second half is still a seed on the wire.
    pub fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }
    /// Both halves as residues by prime, ciphertext and coefficient held: public, for analysis.
    pub fn halves(&self) -> (&[i16], &[i16]) {
        (&self.b, &self.a)
    }
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        2 * (self.a.len() + self.b.len())
    }

    pub(crate) fn degree(&self) -> usize {
        self.ring.degree()
    }
    pub(crate) fn ciphertexts(&self) -> usize {
        self.shape.ciphertexts(self.degree())
    }
    /// The first halves modulo prime `k`: ciphertexts by coefficients held.
    pub(crate) fn b_of(&self, k: usize) -> &[i16] {
        let len = self.ciphertexts() * self.shape.held(self.degree());
        &self.b[k * len..(k + 1) * len]
    }
    /// The second halves modulo prime `k`: ciphertexts by N.
    pub(crate) fn a_of(&self, k: usize) -> &[i16] {
        let len = self.ciphertexts() * self.degree();
        &self.a[k * len..(k + 1) * len]
    }

    /// Checks that `other` is under the same key and over an equal ring.
    pub(crate) fn check_same(&self, operation: &'static str, other: &Self) -> Result<()> {
        if !Arc::ptr_eq(&self.ring, &other.ring) && self.ring.spec() != other.ring.spec() {
            return Err(Error::KeyMismatch {
                operation,
                got: "a block over another ring".into(),
                expected: "blocks over one ring".into(),
            });
        }
        if self.key != other.key {
            return Err(Error::KeyMismatch {
                operation,
                got: other.key.to_string(),
                expected: self.key.to_string(),
            });
        }
        Ok(())
    }

    fn check_alike(&self, operation: &'static str, other: &Self) -> Result<()> {
        self.check_same(operation, other)?;
        if self.shape != other.shape {
            return Err(shape_error(
                operation,
                format!("{:?} and {:?}", self.shape, other.shape),
                "equal shapes, grids and layouts",
                "encrypt both alike",
            ));
        }
        if self.level != other.level {
            return Err(Error::Depth {
                operation,
                needed: self.level.max(other.level),
                left: self.level.min(other.level),
            });
        }
        Ok(())
    }

    /// A block alike with other residues, no longer seeded: `f(prime, its residues, the same of other)`.
    fn computed(&self, other: &Self, f: impl Fn(Prime, &mut [i16], &[i16])) -> Self {
        let primes = self.ring.primes_at(self.level);
        let map = |source: &[i16], other: &[i16]| {
            let mut out = source.to_vec();
            let len = out.len() / primes.len();
            let parts = out.chunks_mut(len).zip(other.chunks(len));
            for (&prime, (x, y)) in primes.iter().zip(parts) {
                f(prime, x, y);
            }
            Arc::new(out)
        };
        Self {
            b: map(&self.b, &other.b),
            a: map(&self.a, &other.a),
            seed: None,
            ..self.clone()
        }
    }

    /// `self + other`: errors add up.
    ///
    /// # Errors
    /// `KeyMismatch`, `Shape`, `Depth` for other levels.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.check_alike("add", other)?;
        Ok(self.computed(other, narrow::add_assign))
    }

    /// `self - other`: errors add up.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.check_alike("sub", other)?;
        Ok(self.computed(other, narrow::sub_assign))
    }

    /// `-self`.
    #[must_use]
    pub fn negate(&self) -> Self {
        self.multiple(-1)
    }

    /// `factor * self`, without a change of level: the error is multiplied too.
    ///
    /// # Errors
    /// `Parameter` for a factor of 2^31 or more.
    pub fn scale(&self, factor: i64) -> Result<Self> {
        if factor.unsigned_abs() >= 1 << 31 {
            return Err(parameter_error(
                "integer factor",
                factor,
                "less than 2^31 in absolute value",
                "scale the values before encryption",
            ));
        }
        Ok(self.multiple(factor))
    }

    fn multiple(&self, factor: i64) -> Self {
        self.computed(self, |prime, x, _| narrow::scale_assign(prime, x, factor))
    }
}

/// The centred remainder of an integer `|x| <= 2^49` modulo an odd `p >= 3`, given `1 / p`: `x / p` is at least `1 / (2 p)`
/// away from a tie, and its error is below `2^-52 |x| / p`, which is less for `|x| < 2^50`. Constant time.
#[inline]
pub(crate) fn centred(x: f64, p: f64, inverse: f64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: the sum has unit spacing
    x - p * ((x * inverse + MAGIC) - MAGIC)
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("shape", &self.shape)
            .field("level", &self.level)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
