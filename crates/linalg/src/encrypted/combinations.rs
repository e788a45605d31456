//! What every scheme can do, one without rotations and slots too: combinations of whole ciphertexts.
//!
//! For a scheme that packs, these are the cheapest products there are (no key, no rotation); for one that only adds
//! ([Paillier](https://doi.org/10.1007/3-540-48910-X_16)) they are all the products there are.

use super::{EncryptedMatrix, EncryptedVector, PlainMatrix};
use crate::kernel::combine::along_outer;
use crate::kernel::{Blocks, elementwise};
use crate::packing::{MatrixPacking, Order, Tile};
use crate::shape::mismatch;
use cipherblas_scheme::{Add, Combine, Result, Scheme, WeightMatrix};
use std::sync::Arc;

const SPREAD_HINT: &str =
    "encrypt with the packing `VectorPacking::spread()`: one value to a ciphertext";

/// `sum_i weights[i] * blocks[i][b]` for every place `b` of arrays that lie alike.
fn weighted<S: Combine>(ev: &S, weights: &[S::Value], arrays: &[&Blocks<S>]) -> Result<Blocks<S>> {
    let row = WeightMatrix::new(1, weights.len(), weights)?;
    elementwise::map::<S>(arrays[0], |b, _| {
        let cts: Vec<_> = arrays.iter().map(|blocks| &*blocks[b]).collect();
        let mut out = ev.combine(row, &cts)?;
        Ok(out.pop().expect("one row of weights, one ciphertext"))
    })
}

/// Refuses weights and arrays that do not pair up.
fn check_terms(operation: &'static str, weights: usize, arrays: usize) -> Result<()> {
    if weights == arrays && weights > 0 {
        return Ok(());
    }
    if arrays == 0 {
        return Err(mismatch(
            operation,
            "no array",
            "at least one",
            "an empty sum has no shape",
        ));
    }
    Err(mismatch(
        operation,
        format!("{weights} weights and {arrays} arrays"),
        "equally many, at least one",
        "pass one weight for each array",
    ))
}

impl<S: Scheme> EncryptedVector<S> {
    fn expect_spread(&self, operation: &'static str) -> Result<()> {
        if self.packing.period() == 1 {
            return Ok(());
        }
        Err(mismatch(
            operation,
            format!("{} values to a ciphertext", self.packing.period()),
            "1",
            SPREAD_HINT,
        ))
    }
}

impl<S: Combine> EncryptedVector<S> {
    /// Plain matrix x this vector, which has [one value to a ciphertext](crate::VectorPacking::spread); so has the result. One
    /// level, no keys: one [combination](Combine) of `len` ciphertexts into `rows`.
    ///
    /// With many values, and a scheme that rotates, [`PlainMatrix::matvec`] needs far fewer ciphertexts.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`.
    pub fn combine(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        let operation = "plain matrix x vector by combination";
        self.expect_spread(operation)?;
        if weights.cols() != self.len {
            return Err(mismatch(
                operation,
                format!(
                    "{} x {} times a vector of length {}",
                    weights.rows(),
                    weights.cols(),
                    self.len
                ),
                format!("length {}", weights.cols()),
                "the inner dimensions have to agree; transpose the matrix?",
            ));
        }
        let cts: Vec<_> = self.ciphertexts().collect();
        let rows = WeightMatrix::new(weights.rows(), weights.cols(), weights.data())?;
        let blocks = self.evaluator.combine(rows, &cts)?;
        Ok(Self {
            evaluator: self.evaluator.clone(),
            len: weights.rows(),
            packing: self.packing,
            blocks: blocks.into_iter().map(Arc::new).collect(),
        })
    }

    /// Inner product with plain values of a vector with [one value to a ciphertext](crate::VectorPacking::spread), as a vector
    /// of length 1. One level, no keys.
    ///
    /// # Errors
    /// As [`combine`](Self::combine).
    pub fn combine_dot(&self, plain: &[S::Value]) -> Result<Self> {
        self.combine(&PlainMatrix::new(1, plain.len(), plain)?)
    }

    /// `sum_i weights[i] * vectors[i]` of vectors of equal length and packing, whatever it is. One level, no keys.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`, `KeyMismatch`.
    pub fn weighted_sum(weights: &[S::Value], vectors: &[&Self]) -> Result<Self> {
        let operation = "weighted sum of vectors";
        check_terms(operation, weights.len(), vectors.len())?;
        for vector in &vectors[1..] {
            vectors[0].expect(operation, vector.len, vector.packing)?;
        }
        let blocks: Vec<_> = vectors.iter().map(|v| &v.blocks).collect();
        weighted(&vectors[0].evaluator, weights, &blocks).map(|b| vectors[0].with(b))
    }
}

impl<S: Add> EncryptedVector<S> {
    /// Sum of the values of a vector with [one value to a ciphertext](crate::VectorPacking::spread), as a vector of length 1. No
    /// depth, no keys; for other packings see [`sum`](Self::sum).
    ///
    /// # Errors
    /// `Shape` for another packing; `KeyMismatch`.
    pub fn sum_spread(&self) -> Result<Self> {
        self.expect_spread("sum of a spread vector")?;
        let cts: Vec<_> = self.ciphertexts().collect();
        Self::scalar(&self.evaluator, self.evaluator.sum(&cts)?)
    }

    /// Sum of vectors of equal length and packing, value by value. No depth, no keys.
    ///
    /// # Errors
    /// `Shape` for no vectors or different ones; `KeyMismatch`.
    pub fn total(vectors: &[&Self]) -> Result<Self> {
        let operation = "sum of vectors";
        check_terms(operation, vectors.len(), vectors.len())?;
        for vector in &vectors[1..] {
            vectors[0].expect(operation, vector.len, vector.packing)?;
        }
        let ev = &vectors[0].evaluator;
        elementwise::map::<S>(&vectors[0].blocks, |b, _| {
            let cts: Vec<_> = vectors.iter().map(|v| &*v.blocks[b]).collect();
            ev.sum(&cts)
        })
        .map(|b| vectors[0].with(b))
    }
}

impl<S: Add> EncryptedMatrix<S> {
    /// Sum of matrices of equal shape and packing, value by value. No depth, no keys.
    ///
    /// # Errors
    /// `Shape` for no matrices or different ones; `KeyMismatch`.
    pub fn total(matrices: &[&Self]) -> Result<Self> {
        let operation = "sum of matrices";
        check_terms(operation, matrices.len(), matrices.len())?;
        for matrix in &matrices[1..] {
            matrices[0].expect_alike(operation, matrix)?;
        }
        let ev = &matrices[0].evaluator;
        elementwise::map::<S>(&matrices[0].blocks, |b, _| {
            let cts: Vec<_> = matrices.iter().map(|m| &*m.blocks[b]).collect();
            ev.sum(&cts)
        })
        .map(|b| matrices[0].with(b))
    }
}

impl<S: Combine> EncryptedMatrix<S> {
    /// Plain matrix x this matrix in [row packing](Tile::rows) (one row to a ciphertext, or to several); so is the result. One
    /// level, no keys, no rotations.
    ///
    /// # Errors
    /// `Shape` for another packing or dimensions that do not agree; `Depth`, `Value`.
    pub fn combine_rows(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        let tile = self.whole("plain matrix x matrix by combination", Order::RowMajor)?;
        if weights.cols() != self.rows {
            return Err(mismatch(
                "plain matrix x matrix by combination",
                format!(
                    "{} x {} times {} x {}",
                    weights.rows(),
                    weights.cols(),
                    self.rows,
                    self.cols
                ),
                format!("{} columns on the left", self.rows),
                "the inner dimensions have to agree; transpose one?",
            ));
        }
        self.combined(weights, tile, weights.rows(), self.cols)
    }

    /// This matrix in [column packing](Tile::columns) (one column to a ciphertext, or to several) x plain matrix; the result lies
    /// alike. One level, no keys, no rotations.
    ///
    /// # Errors
    /// As [`combine_rows`](Self::combine_rows).
    pub fn combine_columns(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        let tile = self.whole("matrix x plain matrix by combination", Order::ColumnMajor)?;
        if weights.rows() != self.cols {
            return Err(mismatch(
                "matrix x plain matrix by combination",
                format!(
                    "{} x {} times {} x {}",
                    self.rows,
                    self.cols,
                    weights.rows(),
                    weights.cols()
                ),
                format!("{} rows on the right", self.cols),
                "the inner dimensions have to agree; transpose one?",
            ));
        }
        self.combined(&weights.transpose(), tile, self.rows, weights.cols())
    }

    /// `sum_i weights[i] * matrices[i]` of matrices of equal shape and packing, whatever it is. One level, no keys.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`, `KeyMismatch`.
    pub fn weighted_sum(weights: &[S::Value], matrices: &[&Self]) -> Result<Self> {
        let operation = "weighted sum of matrices";
        check_terms(operation, weights.len(), matrices.len())?;
        for matrix in &matrices[1..] {
            matrices[0].expect_alike(operation, matrix)?;
        }
        let blocks: Vec<_> = matrices.iter().map(|m| &m.blocks).collect();
        weighted(&matrices[0].evaluator, weights, &blocks).map(|b| matrices[0].with(b))
    }

    /// The tile, if a ciphertext holds (part of) one row or column, as `order` says.
    fn whole(&self, operation: &'static str, order: Order) -> Result<Tile> {
        match self.packing {
            MatrixPacking::Tile(tile) if tile.order() == order && tile.outer() == 1 => Ok(tile),
            packing => Err(mismatch(
                operation,
                format!("{packing:?}"),
                match order {
                    Order::RowMajor => "one row to a ciphertext",
                    Order::ColumnMajor => "one column to a ciphertext",
                },
                "encrypt with the packing `Tile::rows` or `Tile::columns`",
            )),
        }
    }

    fn combined(
        &self,
        outer: &PlainMatrix<S::Value>,
        tile: Tile,
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        let grid = tile.grid(self.rows, self.cols);
        let weights = WeightMatrix::new(outer.rows(), outer.cols(), outer.data())?;
        let blocks = along_outer(&self.evaluator, &grid, &self.blocks, weights)?;
        Ok(self.reshaped(rows, cols, tile, blocks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EncryptOptions, VectorPacking};
    use cipherblas_scheme::{ClearScheme, Error};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// A server without a single key.
    fn server() -> ClearScheme {
        ClearScheme::new(4, 2)
            .unwrap()
            .with_rotations(Some(&[]))
            .without_relinearization()
    }

    fn vector(
        server: &ClearScheme,
        v: &[f64],
        packing: VectorPacking,
    ) -> EncryptedVector<ClearScheme> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let options = EncryptOptions::new().packing(packing);
        EncryptedVector::encrypt_with(&server.key(), v, &options, &mut rng)
            .unwrap()
            .bind(server)
            .unwrap()
    }

    fn matrix(server: &ClearScheme, tile: Tile) -> EncryptedMatrix<ClearScheme> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let data: Vec<f64> = (1..=18).map(f64::from).collect();
        let options = EncryptOptions::new().packing(tile);
        EncryptedMatrix::encrypt_with(&server.key(), 3, 6, &data, &options, &mut rng)
            .unwrap()
            .bind(server)
            .unwrap()
    }

    #[test]
    fn products_without_keys() {
        let s = server();
        let x = vector(&s, &[1.0, 2.0, 3.0], VectorPacking::spread());
        let w = PlainMatrix::new(2, 3, vec![1.0, 0.0, -1.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(
            x.combine(&w).unwrap().decrypt(&s.key()).unwrap(),
            [-2.0, 32.0]
        );
        let dot = x.combine_dot(&[2.0, 0.5, 1.0]).unwrap();
        assert_eq!(dot.decrypt(&s.key()).unwrap(), [6.0]);
        assert_eq!(x.sum_spread().unwrap().decrypt(&s.key()).unwrap(), [6.0]);

        // A row of 6 in 4 slots takes two ciphertexts.
        let rows = matrix(&s, Tile::rows(3, 6, 4).unwrap());
        let product = rows.combine_rows(&w).unwrap();
        assert_eq!(product.shape(), (2, 6));
        let want: Vec<f64> = (0..2)
            .flat_map(|r| (0..6).map(move |c| (r, c)))
            .map(|(r, c)| {
                (0..3)
                    .map(|k| w.data()[r * 3 + k] * (k * 6 + c + 1) as f64)
                    .sum()
            })
            .collect();
        assert_eq!(product.decrypt(&s.key()).unwrap(), want);

        let columns = matrix(&s, Tile::columns(3, 6, 4).unwrap());
        let v = PlainMatrix::new(6, 1, vec![1.0, 0.0, 0.0, 0.0, 0.0, -1.0]).unwrap();
        let product = columns.combine_columns(&v).unwrap();
        assert_eq!(product.shape(), (3, 1));
        assert_eq!(product.decrypt(&s.key()).unwrap(), [-5.0; 3]);
    }

    #[test]
    fn weighted_sums_in_any_packing() {
        let s = server();
        let packing = VectorPacking::periodic(6, 4).unwrap();
        let (a, b) = (
            vector(&s, &[1.0; 6], packing),
            vector(&s, &[2.0; 6], packing),
        );
        let sum = EncryptedVector::weighted_sum(&[3.0, -1.0], &[&a, &b]).unwrap();
        assert_eq!(sum.decrypt(&s.key()).unwrap(), [1.0; 6]);
        let total = EncryptedVector::total(&[&a, &b, &b]).unwrap();
        assert_eq!(total.decrypt(&s.key()).unwrap(), [5.0; 6]);
        let m = matrix(&s, Tile::rows(3, 6, 4).unwrap());
        let sum = EncryptedMatrix::weighted_sum(&[3.0, -3.0], &[&m, &m]).unwrap();
        assert_eq!(sum.decrypt(&s.key()).unwrap(), [0.0; 18]);
        let total = EncryptedMatrix::total(&[&m, &m]).unwrap();
        assert_eq!(total.decrypt(&s.key()).unwrap()[17], 36.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let s = server();
        let shape = |e: Error| matches!(e, Error::Shape { .. });
        let packed = vector(&s, &[1.0, 2.0, 3.0], VectorPacking::periodic(3, 4).unwrap());
        let spread = vector(&s, &[1.0, 2.0, 3.0], VectorPacking::spread());
        let w = PlainMatrix::new(2, 3, vec![1.0; 6]).unwrap();
        assert!(packed.combine(&w).is_err_and(shape));
        assert!(packed.sum_spread().is_err_and(shape));
        assert!(spread.combine(&w.transpose()).is_err_and(shape));
        assert!(spread.combine_dot(&[]).is_err_and(shape));
        assert!(EncryptedVector::weighted_sum(&[1.0, 1.0], &[&packed, &spread]).is_err_and(shape));
        assert!(EncryptedVector::weighted_sum(&[1.0], &[&packed, &packed]).is_err_and(shape));
        assert!(EncryptedVector::<ClearScheme>::total(&[]).is_err_and(shape));
        let m = matrix(&s, Tile::fit(Order::RowMajor, 3, 6, 4).unwrap());
        assert!(m.combine_rows(&w.transpose()).is_err_and(shape));
        assert!(m.combine_columns(&w).is_err_and(shape));
        assert!(EncryptedMatrix::<ClearScheme>::total(&[]).is_err_and(shape));
    }
}
