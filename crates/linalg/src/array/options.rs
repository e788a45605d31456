//! What arrays are made of and asked with: plain operands, packings, indices.

use super::shape::{check_shape, tuple};
use crate::encrypted::EncryptOptions;
use crate::packing::{Diagonal, MatrixPacking, Order, Skewed, Tile, VectorPacking};
use crate::shape::mismatch;
use cipherblas_scheme::Result;

/// A plain operand: row-major values of 0, 1 or 2 dimensions.
#[derive(Clone, Copy, Debug)]
pub struct PlainArray<'a, V> {
    dims: [usize; 2],
    ndim: usize,
    data: &'a [V],
}

impl<'a, V> PlainArray<'a, V> {
    /// Values in the order of the last index first (C order).
    ///
    /// # Errors
    /// `Shape` for more than two dimensions, an empty one, or a number of values that is not the shape's.
    pub fn new(shape: &[usize], data: &'a [V]) -> Result<Self> {
        let len = check_shape("plain array", shape)?;
        if data.len() != len {
            return Err(mismatch(
                "plain array",
                format!("{} values for shape {}", data.len(), tuple(shape)),
                format!("{len} values"),
                "pass all values, row by row",
            ));
        }
        let mut dims = [1; 2];
        dims[..shape.len()].copy_from_slice(shape);
        Ok(Self {
            dims,
            ndim: shape.len(),
            data,
        })
    }
    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.dims[..self.ndim]
    }
    /// All values, row by row.
    pub fn data(&self) -> &'a [V] {
        self.data
    }
}

/// How an [`EncryptedArray`](super::EncryptedArray) is to lie in slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrayPacking {
    /// The canonical one: a periodic vector, a row-major tile.
    #[default]
    Auto,
    /// One value to a ciphertext, whatever the slots: no operation but a product of ciphertexts then needs a key. For schemes
    /// without rotations.
    Spread,
    /// One row to a ciphertext: free slices of rows, `plain @ array` without keys.
    Rows,
    /// One column to a ciphertext: free slices of columns, `array @ plain` without keys.
    Columns,
    /// Generalized diagonals: `array @ vector` at depth 1. Other than that, only operations value by value.
    Diagonal,
    /// The left factor of a small encrypted product whose right factor has so many columns (see [`Skewed`]).
    Left(usize),
    /// The right factor of a small encrypted product whose left factor has so many rows.
    Right(usize),
    /// This packing, of a vector.
    Vector(VectorPacking),
    /// This packing, of a matrix.
    Matrix(MatrixPacking),
}

impl From<VectorPacking> for ArrayPacking {
    fn from(packing: VectorPacking) -> Self {
        Self::Vector(packing)
    }
}

impl From<MatrixPacking> for ArrayPacking {
    fn from(packing: MatrixPacking) -> Self {
        Self::Matrix(packing)
    }
}

/// How to encrypt an array: packing, depth (`None`: all that the parameters afford), bound on the absolute values
/// (`None`: the parameters').
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArrayOptions {
    packing: ArrayPacking,
    depth: Option<usize>,
    bound: Option<f64>,
}

impl ArrayOptions {
    /// The canonical packing, full depth, the parameters' bound.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets the packing.
    #[must_use]
    pub fn packing(mut self, packing: ArrayPacking) -> Self {
        self.packing = packing;
        self
    }
    /// Encrypts for no more than this many multiplications: smaller and faster.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }
    /// Declares a bound on the absolute values; it is **public** (see [`EncryptOptions::bound`]).
    #[must_use]
    pub fn bound(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Whether one value to a ciphertext is asked for.
    pub(super) fn spreads(&self) -> bool {
        self.packing == ArrayPacking::Spread
    }

    fn others<P>(&self) -> EncryptOptions<P> {
        let mut options = EncryptOptions::new();
        if let Some(depth) = self.depth {
            options = options.depth(depth);
        }
        if let Some(bound) = self.bound {
            options = options.bound(bound);
        }
        options
    }

    /// For an array of 0 dimensions: one value, in every slot.
    pub(super) fn for_scalar(&self) -> Result<EncryptOptions<VectorPacking>> {
        match self.packing {
            ArrayPacking::Auto | ArrayPacking::Spread => {
                Ok(self.others().packing(VectorPacking::spread()))
            }
            _ => Err(self.refused("()")),
        }
    }

    /// For an array of one dimension.
    pub(super) fn for_vector(&self, len: usize) -> Result<EncryptOptions<VectorPacking>> {
        match self.packing {
            ArrayPacking::Auto => Ok(self.others()),
            ArrayPacking::Spread => Ok(self.others().packing(VectorPacking::spread())),
            ArrayPacking::Vector(packing) => Ok(self.others().packing(packing)),
            _ => Err(self.refused(&tuple(&[len]))),
        }
    }

    /// For an array of two dimensions.
    pub(super) fn for_matrix(
        &self,
        rows: usize,
        cols: usize,
        slots: usize,
    ) -> Result<EncryptOptions<MatrixPacking>> {
        let packing: MatrixPacking = match self.packing {
            ArrayPacking::Auto => return Ok(self.others()),
            ArrayPacking::Spread => Tile::new(Order::RowMajor, 1, 1, 1)?.into(),
            ArrayPacking::Rows => Tile::rows(rows, cols, slots)?.into(),
            ArrayPacking::Columns => Tile::columns(rows, cols, slots)?.into(),
            ArrayPacking::Diagonal => Diagonal::fit(rows, cols, slots)?.into(),
            ArrayPacking::Left(others) => Skewed::pair(rows, cols, others, slots)?.0.into(),
            ArrayPacking::Right(others) => Skewed::pair(others, rows, cols, slots)?.1.into(),
            ArrayPacking::Matrix(packing) => packing,
            ArrayPacking::Vector(_) => return Err(self.refused(&tuple(&[rows, cols]))),
        };
        Ok(self.others().packing(packing))
    }

    fn refused(&self, shape: &str) -> cipherblas_scheme::Error {
        mismatch(
            "array packing",
            format!("{:?} for an array of shape {shape}", self.packing),
            "Auto or Spread; Vector for one dimension; any other for two",
            "leave the packing to the array, or reshape first",
        )
    }
}

/// What to take of one axis; negative positions have been counted from the end already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One position: the axis disappears.
    At(usize),
    /// `len` positions, from `start` in steps of `step`.
    Range {
        /// The first position.
        start: usize,
        /// Number of positions, at least one.
        len: usize,
        /// From one to the next, not 0; negative: backwards.
        step: isize,
    },
}
