//! Sums, differences and scalars: block by block, without keys.

use super::BlockMatrix;
use crate::shape::mismatch;
use cipherblas_scheme::Result;
use cipherblas_scheme::matrix::MatrixScheme;
use std::ops;

impl<E: MatrixScheme> BlockMatrix<E> {
    /// Sum of two matrices of equal shape, format and blocks. No depth, no keys.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`, `Overflow`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.zip("matrix + matrix", other, |ev, a, b| ev.add(a, b))
    }

    /// Difference of two matrices of equal shape, format and blocks. No depth, no keys.
    ///
    /// # Errors
    /// `Shape`, `KeyMismatch`, `Overflow`.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.zip("matrix - matrix", other, |ev, a, b| ev.sub(a, b))
    }

    /// The negative. No depth, no keys.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn neg(&self) -> Result<Self> {
        self.map("negative", |ev, x| ev.negate(x))
    }

    /// Every value times a plain number. One level, no keys.
    ///
    /// # Errors
    /// `Depth`, `Value`, `Overflow`.
    pub fn scale(&self, factor: E::Value) -> Result<Self> {
        self.map("scalar x matrix", |ev, x| ev.scale(x, factor))
    }

    /// Gives up depth: smaller, and faster to compute on.
    ///
    /// # Errors
    /// `Depth` if there is less.
    pub fn lower_to(&self, depth: usize) -> Result<Self> {
        self.map("lower_to", |ev, x| ev.lower_to(x, depth))
    }

    fn map(
        &self,
        operation: &'static str,
        f: impl Fn(&E, &E::Block) -> Result<E::Block>,
    ) -> Result<Self> {
        let ev = &self.evaluator;
        let slots = self.slots.iter().map(|slot| {
            let block = f(ev, slot.load(ev)?.as_ref()).map_err(self.named(operation))?;
            self.store.put(ev, block)
        });
        let slots = slots.collect::<Result<_>>()?;
        Ok(Self {
            slots,
            ..self.shell()
        })
    }

    fn zip(
        &self,
        operation: &'static str,
        other: &Self,
        f: impl Fn(&E, &E::Block, &E::Block) -> Result<E::Block>,
    ) -> Result<Self> {
        if self.shape() != other.shape() {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} and {} x {}",
                    self.rows, self.cols, other.rows, other.cols
                ),
                "equal shapes",
                "matrices of blocks are added whole",
            ));
        }
        if self.format != other.format {
            return Err(mismatch(
                operation,
                format!("formats {:?} and {:?}", self.format, other.format),
                "equal formats",
                "ask the product for the other format, or `reformat` one (one level)",
            ));
        }
        if !self.grid.same_blocks(&other.grid) || !other.takes(self.layout()) {
            return Err(mismatch(
                operation,
                format!("{} and {}", self.cut(), other.cut()),
                "matrices that are cut alike",
                "encrypt both with the same line length, lines per block and layout",
            ));
        }
        let ev = &self.evaluator;
        let slots = self.slots.iter().zip(&other.slots).map(|(a, b)| {
            let block =
                f(ev, a.load(ev)?.as_ref(), b.load(ev)?.as_ref()).map_err(self.named(operation))?;
            self.store.put(ev, block)
        });
        let slots = slots.collect::<Result<_>>()?;
        Ok(Self {
            slots,
            ..self.shell()
        })
    }

    /// Everything but the blocks.
    pub(super) fn shell(&self) -> Self {
        Self {
            evaluator: self.evaluator.clone(),
            slots: Vec::new(),
            store: self.store.clone(),
            ..*self
        }
    }

    /// How it is cut, in words.
    pub(super) fn cut(&self) -> String {
        let g = &self.grid;
        format!(
            "{:?} lines on a grid of {}, {} to a block",
            self.layout(),
            g.padded,
            g.chunk
        )
    }
}

impl<E: MatrixScheme> ops::Add for &BlockMatrix<E> {
    type Output = Result<BlockMatrix<E>>;
    fn add(self, other: Self) -> Self::Output {
        BlockMatrix::add(self, other)
    }
}

impl<E: MatrixScheme> ops::Sub for &BlockMatrix<E> {
    type Output = Result<BlockMatrix<E>>;
    fn sub(self, other: Self) -> Self::Output {
        BlockMatrix::sub(self, other)
    }
}

impl<E: MatrixScheme> ops::Neg for &BlockMatrix<E> {
    type Output = Result<BlockMatrix<E>>;
    fn neg(self) -> Self::Output {
        BlockMatrix::neg(self)
    }
}
