use super::{EncryptedMatrix, EncryptedVector};
use crate::kernel::matmul_plain::VectorPlan;
use crate::kernel::slots::PreparedMap;
use crate::packing::VectorPacking;
use crate::shape::{check_data, check_dims, mismatch, padded};
use cipherblas_scheme::{
    Add, Combine, Error, MulPlain, Result, Rotate, Scheme, Value, WeightMatrix,
};

/// A plain matrix, row by row: a model's weights, a change of basis.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainMatrix<V> {
    rows: usize,
    cols: usize,
    data: Vec<V>,
}

impl<V: Value> PlainMatrix<V> {
    /// `data[r * cols + c]` is the value in row `r`, column `c`.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values.
    pub fn new(rows: usize, cols: usize, data: impl Into<Vec<V>>) -> Result<Self> {
        let data = data.into();
        check_data("plain matrix", rows, cols, data.len())?;
        Ok(Self { rows, cols, data })
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// All values, row by row.
    pub fn data(&self) -> &[V] {
        &self.data
    }
    /// The transposed matrix.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let data = (0..self.cols)
            .flat_map(|c| (0..self.rows).map(move |r| self.data[r * self.cols + c]))
            .collect();
        Self {
            rows: self.cols,
            cols: self.rows,
            data,
        }
    }

    /// The packing of an encrypted vector that [`matvec`](Self::matvec) is fastest with: stretched as far as the slots
    /// allow, at most over the rows.
    ///
    /// # Errors
    /// `Shape` for dimensions that do not fit in memory.
    pub fn input_packing(&self, slots: usize) -> Result<VectorPacking> {
        Self::input_packing_for(self.rows, self.cols, slots)
    }

    /// [`input_packing`](Self::input_packing) of any matrix with these dimensions.
    ///
    /// # Errors
    /// As there; `Shape` for an empty dimension.
    pub fn input_packing_for(rows: usize, cols: usize, slots: usize) -> Result<VectorPacking> {
        check_dims("plain matrix x encrypted vector", rows, cols)?;
        let repeat = padded("plain matrix x encrypted vector", rows)?;
        let period = padded("plain matrix x encrypted vector", cols)?.min(slots);
        VectorPacking::stretched(cols, repeat.min(slots / period), slots)
    }

    /// Plain matrix x encrypted vector. One level.
    ///
    /// For `m` rows and `n` columns, rounded up to powers of two, and a vector that is stretched by `r` (1 for the canonical
    /// packing): `d = min(m / r, n)` products with plain values by baby steps and giant steps, about `sqrt(2 d)` hoisted
    /// rotations and `sqrt(d / 2)` others, and `log2(n r / m)` more if that is positive. The result is in the canonical
    /// packing (its period at least `r`); every slot holds one of its values or padding.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn matvec<S: Add + MulPlain + Rotate + Scheme<Value = V>>(
        &self,
        vector: &EncryptedVector<S>,
    ) -> Result<EncryptedVector<S>> {
        let (plan, packing) = self.plan(vector.packing, vector.len, vector.evaluator.slots())?;
        let ev = &vector.evaluator;
        let blocks = plan.apply(ev, self.weights()?, &vector.blocks)?;
        Ok(EncryptedVector {
            evaluator: ev.clone(),
            len: self.rows,
            packing,
            blocks,
        })
    }

    /// Encrypted vector x plain matrix: [`matvec`](Self::matvec) with the transposed matrix.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    pub fn vecmat<S: Add + MulPlain + Rotate + Scheme<Value = V>>(
        &self,
        vector: &EncryptedVector<S>,
    ) -> Result<EncryptedVector<S>> {
        self.transpose().matvec(vector)
    }

    /// Plain matrix x encrypted matrix. One level. In [row packing](crate::packing::row) a combination of whole ciphertexts
    /// with no rotations; otherwise about `2 sqrt(rows in a ciphertext)` rotations for each ciphertext. The packing stays.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `Value`.
    pub fn matmul<S: Combine + MulPlain + Rotate + Scheme<Value = V>>(
        &self,
        matrix: &EncryptedMatrix<S>,
    ) -> Result<EncryptedMatrix<S>> {
        let operation = "plain matrix x matrix";
        if matrix.rows != self.cols {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} times {} x {}",
                    self.rows, self.cols, matrix.rows, matrix.cols
                ),
                format!("{} rows on the right", self.cols),
                "the inner dimensions have to agree; transpose one?",
            ));
        }
        matrix.apply_axis(operation, self, true)
    }

    /// Encodes the matrix once for many vectors with this packing at this depth.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn prepare<S: Add + MulPlain + Rotate + Scheme<Value = V>>(
        &self,
        evaluator: &S,
        packing: VectorPacking,
        depth: usize,
    ) -> Result<PreparedMatrix<S>> {
        packing.check_slots(evaluator.slots())?;
        if depth == 0 {
            return Err(Error::Depth {
                operation: "prepare",
                needed: 1,
                left: 0,
            });
        }
        let (plan, output) = self.plan(packing, self.cols, evaluator.slots())?;
        let weights = plan.prepare(evaluator, self.weights()?, depth)?;
        Ok(PreparedMatrix {
            evaluator: evaluator.clone(),
            rows: self.rows,
            cols: self.cols,
            depth,
            input: packing,
            output,
            plan,
            weights,
        })
    }

    fn weights(&self) -> Result<WeightMatrix<'_, V>> {
        WeightMatrix::new(self.rows, self.cols, &self.data)
    }

    fn plan(
        &self,
        packing: VectorPacking,
        len: usize,
        slots: usize,
    ) -> Result<(VectorPlan, VectorPacking)> {
        if len != self.cols {
            return Err(mismatch(
                "plain matrix x encrypted vector",
                format!(
                    "{} x {} times a vector of length {len}",
                    self.rows, self.cols
                ),
                format!("length {}", self.cols),
                "the inner dimensions have to agree; transpose the matrix?",
            ));
        }
        VectorPlan::new(self.rows, self.cols, &packing, slots)
    }
}

/// A plain matrix encoded for vectors of one packing and depth; see [`PlainMatrix::prepare`].
pub struct PreparedMatrix<S: MulPlain> {
    evaluator: S,
    rows: usize,
    cols: usize,
    depth: usize,
    input: VectorPacking,
    output: VectorPacking,
    plan: VectorPlan,
    weights: PreparedMap<S>,
}

impl<S: Add + MulPlain + Rotate> PreparedMatrix<S> {
    /// Plain matrix x encrypted vector, as [`PlainMatrix::matvec`] without encoding. A vector with more depth than the
    /// matrix was prepared for is lowered to it.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn matvec(&self, vector: &EncryptedVector<S>) -> Result<EncryptedVector<S>> {
        vector.expect("prepared matrix x vector", self.cols, self.input)?;
        let blocks = self
            .plan
            .apply_prepared(&self.evaluator, &self.weights, &vector.blocks)?;
        Ok(EncryptedVector {
            evaluator: self.evaluator.clone(),
            len: self.rows,
            packing: self.output,
            blocks,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Depth of the vectors that it multiplies.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

impl<S: Add + MulPlain + Rotate> EncryptedVector<S> {
    /// Encrypted vector x plain matrix; see [`PlainMatrix::vecmat`].
    ///
    /// # Errors
    /// As [`PlainMatrix::matvec`].
    pub fn matmul_plain(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        weights.vecmat(self)
    }
}
