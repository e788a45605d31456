//! Where values lie in slots: clear arrays to slots and back. Pure; no cryptography.
//!
//! | packing | a ciphertext holds | natural for |
//! |---|---|---|
//! | [`VectorPacking::periodic`] | the vector, repeated | everything; rotations are cyclic in the period |
//! | [`VectorPacking::stretched`] | each value, several times in a row | one value per matrix row |
//! | [`Tile`] | as many whole rows as fit | encrypted matrix x encrypted vector, training |
//! | [`Tile::rows`] ([`row`]) | one row | `Combine` over the rows |
//! | [`Tile::columns`] ([`mod@column`]) | one column | `Combine` over the columns: inference on batches |
//! | [`Diagonal`] | one generalized diagonal | encrypted matrix x encrypted vector at depth 1 |
//! | [`Skewed`] | a block of a factor, its rows or columns shifted | encrypted matrix x encrypted matrix |
//!
//! # Two rules
//! **Padding is zero**: a slot that holds no value holds zero, before and after every operation.
//! **Contents repeat**: what a ciphertext holds has a width that is a power of two and divides the slots, and is repeated
//! until the slots are full, so that a rotation of the slots is a cyclic rotation of the contents.

pub mod column;
pub mod diagonal;
pub mod row;
pub mod skewed;
pub mod tile;
mod vector;

pub use diagonal::Diagonal;
pub use skewed::{Factor, Skewed};
pub use tile::{Order, Tile};
pub use vector::VectorPacking;

use cipherblas_scheme::{Result, Value};

/// How a matrix lies in the slots of its ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatrixPacking {
    /// Rows or columns after one another; covers [`row`] and [`mod@column`] packing.
    Tile(Tile),
    /// Generalized diagonals.
    Diagonal(Diagonal),
    /// A factor of a product of small matrices.
    Skewed(Skewed),
}

impl From<Tile> for MatrixPacking {
    fn from(tile: Tile) -> Self {
        Self::Tile(tile)
    }
}

impl From<Diagonal> for MatrixPacking {
    fn from(diagonal: Diagonal) -> Self {
        Self::Diagonal(diagonal)
    }
}

impl From<Skewed> for MatrixPacking {
    fn from(skewed: Skewed) -> Self {
        Self::Skewed(skewed)
    }
}

/// The arithmetic of positions that vectors and tiles share.
///
/// An array with an inner axis of `inner_len` and an outer axis of `outer_len` indices is cut into blocks of
/// `inner` x `outer`; within a block, inner index `i` and outer index `o` occupy the slots
/// `(o * inner + i) * repeat + 0..repeat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) repeat: usize,
    pub(crate) inner: usize,
    pub(crate) outer: usize,
    pub(crate) inner_len: usize,
    pub(crate) outer_len: usize,
}

impl Grid {
    /// Slots after which a block repeats.
    pub(crate) fn width(&self) -> usize {
        self.repeat * self.inner * self.outer
    }
    pub(crate) fn inner_blocks(&self) -> usize {
        self.inner_len.div_ceil(self.inner)
    }
    pub(crate) fn outer_blocks(&self) -> usize {
        self.outer_len.div_ceil(self.outer)
    }
    pub(crate) fn blocks(&self) -> usize {
        self.inner_blocks() * self.outer_blocks()
    }
    /// The block with the given coordinates; blocks along the inner axis are adjacent.
    pub(crate) fn block(&self, inner_block: usize, outer_block: usize) -> usize {
        outer_block * self.inner_blocks() + inner_block
    }
    /// `(inner, outer)` index of what a slot holds, `None` for padding.
    pub(crate) fn at(&self, block: usize, slot: usize) -> Option<(usize, usize)> {
        let cell = slot / self.repeat;
        let i = (block % self.inner_blocks()) * self.inner + cell % self.inner;
        let o = (block / self.inner_blocks()) * self.outer + cell / self.inner % self.outer;
        (i < self.inner_len && o < self.outer_len).then_some((i, o))
    }
    /// Block and first slot of an element.
    pub(crate) fn place(&self, i: usize, o: usize) -> (usize, usize) {
        let block = self.block(i / self.inner, o / self.outer);
        (
            block,
            (o % self.outer * self.inner + i % self.inner) * self.repeat,
        )
    }
    /// Whether some slot of `block` holds no value.
    pub(crate) fn has_padding(&self, block: usize) -> bool {
        let (ib, ob) = (block % self.inner_blocks(), block / self.inner_blocks());
        (ib + 1) * self.inner > self.inner_len || (ob + 1) * self.outer > self.outer_len
    }
    /// One block of `width()` values; `value(inner, outer)` gives an element.
    pub(crate) fn fill<V: Copy>(
        &self,
        block: usize,
        zero: V,
        value: impl Fn(usize, usize) -> V,
    ) -> Vec<V> {
        (0..self.width())
            .map(|s| self.at(block, s).map_or(zero, |(i, o)| value(i, o)))
            .collect()
    }
    /// A plain operand that is `value` where `block` holds values and zero in its padding: a single value if it has none.
    pub(crate) fn constant<V: Copy>(&self, block: usize, zero: V, value: V) -> Vec<V> {
        if self.has_padding(block) {
            self.fill(block, zero, |_, _| value)
        } else {
            vec![value]
        }
    }
}

/// Delegates to the packing at hand.
macro_rules! each {
    ($packing:expr, $p:ident => $body:expr) => {
        match $packing {
            MatrixPacking::Tile($p) => $body,
            MatrixPacking::Diagonal($p) => $body,
            MatrixPacking::Skewed($p) => $body,
        }
    };
}

impl MatrixPacking {
    /// Slots after which a ciphertext's contents repeat.
    pub fn width(&self) -> usize {
        each!(self, p => p.width())
    }
    /// Ciphertexts that a `rows` x `cols` matrix takes.
    pub fn blocks(&self, rows: usize, cols: usize) -> usize {
        each!(self, p => p.blocks(rows, cols))
    }
    /// The packing of a vector with one value per row, aligned with this matrix.
    pub fn row_packing(&self) -> VectorPacking {
        each!(self, p => p.row_packing())
    }
    /// The packing of a vector with one value per column, aligned with this matrix.
    pub fn column_packing(&self) -> VectorPacking {
        each!(self, p => p.column_packing())
    }

    /// The packings that are natural for a `rows` x `cols` matrix: tiles in both orders, rows, columns, diagonals.
    /// [`plan::choose`](crate::plan::choose) tries them.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn candidates(rows: usize, cols: usize, slots: usize) -> Result<Vec<Self>> {
        let mut all = vec![
            Tile::fit(Order::RowMajor, rows, cols, slots)?.into(),
            Tile::fit(Order::ColumnMajor, rows, cols, slots)?.into(),
            Tile::rows(rows, cols, slots)?.into(),
            Tile::columns(rows, cols, slots)?.into(),
            Diagonal::fit(rows, cols, slots)?.into(),
        ];
        all.dedup();
        Ok(all)
    }

    /// One slice of `width()` values per ciphertext, from row-major data.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values.
    pub fn pack<V: Value>(&self, rows: usize, cols: usize, data: &[V]) -> Result<Vec<Vec<V>>> {
        each!(self, p => p.pack(rows, cols, data))
    }
    /// Row-major data from the slots of all ciphertexts.
    ///
    /// # Errors
    /// `Shape` if there are too few blocks, or one is shorter than `width()`.
    pub fn unpack<V: Value>(&self, rows: usize, cols: usize, blocks: &[Vec<V>]) -> Result<Vec<V>> {
        each!(self, p => p.unpack(rows, cols, blocks))
    }
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        each!(self, p => p.check_slots(slots))
    }
    /// Row-major position of what a slot holds.
    pub(crate) fn position(
        &self,
        rows: usize,
        cols: usize,
        block: usize,
        slot: usize,
    ) -> Option<usize> {
        match self {
            Self::Tile(t) => t
                .grid(rows, cols)
                .at(block, slot)
                .map(|(i, o)| t.flat(cols, i, o)),
            Self::Diagonal(d) => d.at(rows, cols, block, slot).map(|(r, c)| r * cols + c),
            Self::Skewed(k) => k.at(rows, cols, block, slot).map(|(r, c)| r * cols + c),
        }
    }
    /// A plain operand that is `value` where `block` holds values and zero in its padding.
    pub(crate) fn constant<V: Value>(
        &self,
        rows: usize,
        cols: usize,
        block: usize,
        value: V,
    ) -> Vec<V> {
        match self {
            Self::Tile(t) => t.grid(rows, cols).constant(block, V::ZERO, value),
            Self::Diagonal(d) => (0..d.width())
                .map(|s| d.at(rows, cols, block, s).map_or(V::ZERO, |_| value))
                .collect(),
            Self::Skewed(k) => (0..k.width())
                .map(|s| k.at(rows, cols, block, s).map_or(V::ZERO, |_| value))
                .collect(),
        }
    }
}
