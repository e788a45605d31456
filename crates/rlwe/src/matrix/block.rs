//! Blocks of encrypted lines: shapes, and what needs neither keys nor levels.

use super::ring::MatrixRing;
use super::{parameter_error, shape_error};
use cipherblas_math::narrow::Prime;
use cipherblas_math::sample::Seed;
use cipherblas_scheme::matrix::MIN_PADDED_LEN;
use cipherblas_scheme::wire::KeyId;
use cipherblas_scheme::{Error, Lines, Result};
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// Residues that a task works on at least.
const GRAIN: usize = 1 << 15;

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

    /// A block alike with other residues, no longer seeded.
    fn computed(&self, f: impl Fn(Prime, &mut [i16], Half) + Sync) -> Self {
        let map = |source: &[i16], half: fn(usize) -> Half| {
            let mut out = source.to_vec();
            let len = out.len() / self.ring.narrow_len(self.level);
            for (k, part) in out.chunks_mut(len).enumerate() {
                let prime = self.ring.prime(k);
                part.par_chunks_mut(GRAIN)
                    .enumerate()
                    .for_each(|(i, chunk)| f(prime, chunk, half(k * len + i * GRAIN)));
            }
            Arc::new(out)
        };
        Self {
            b: map(&self.b, Half::B),
            a: map(&self.a, Half::A),
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
        Ok(self.computed(|prime, x, half| {
            let y = half.of(other, x.len());
            x.iter_mut()
                .zip(y)
                .for_each(|(x, &y)| *x = fold(prime, *x + y));
        }))
    }

    /// `self - other`: errors add up.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.check_alike("sub", other)?;
        Ok(self.computed(|prime, x, half| {
            let y = half.of(other, x.len());
            x.iter_mut()
                .zip(y)
                .for_each(|(x, &y)| *x = fold(prime, *x - y));
        }))
    }

    /// `-self`.
    #[must_use]
    pub fn negate(&self) -> Self {
        self.computed(|_, x, _| x.iter_mut().for_each(|x| *x = -*x))
    }

    /// `factor * self`, without a change of level: the error is multiplied too.
    ///
    /// # Errors
    /// `Parameter` for a factor of 2^62 or more.
    pub fn scale(&self, factor: i64) -> Result<Self> {
        if factor.unsigned_abs() >= 1 << 62 {
            return Err(parameter_error(
                "integer factor",
                factor,
                "less than 2^62 in absolute value",
                "scale the values before encryption",
            ));
        }
        Ok(self.computed(|prime, x, _| {
            let p = f64::from(prime.value());
            let (factor, inverse) = (f64::from(prime.reduce_i64(factor)), 1.0 / p);
            x.iter_mut()
                .for_each(|x| *x = centred(f64::from(*x) * factor, p, inverse) as i16);
        }))
    }
}

/// Part of a block's residues: which half, from which index on.
enum Half {
    B(usize),
    A(usize),
}

impl Half {
    fn of(self, block: &Block, len: usize) -> &[i16] {
        match self {
            Self::B(start) => &block.b[start..start + len],
            Self::A(start) => &block.a[start..start + len],
        }
    }
}

/// The centred residue of `|x| < 3 p / 2`. Constant time.
#[inline]
pub(crate) fn fold(prime: Prime, x: i16) -> i16 {
    let (p, half) = (prime.value(), prime.half());
    x - (p & -i16::from(x > half)) + (p & -i16::from(x < -half))
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
