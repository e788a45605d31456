//! Sums and means.

use super::layout::Tiled;
use super::shape::named;
use super::{Computes, EncryptedArray, Repr};
use crate::encrypted::{EncryptedVector, PlainMatrix};
use crate::packing::VectorPacking;
use crate::shape::{Axis, mismatch};
use cipherblas_scheme::{Result, Scheme};

impl<S: Scheme> EncryptedArray<S> {
    /// `None` for all values, otherwise the axis.
    fn axis(&self, operation: &'static str, axis: Option<usize>) -> Result<Option<Axis>> {
        let ndim = self.ndim();
        match axis {
            None => Ok(None),
            Some(axis) if axis >= ndim => Err(mismatch(
                operation,
                format!("axis {axis} of an array of {ndim} dimension(s)"),
                match ndim {
                    0 => "no axis".to_owned(),
                    1 => "axis 0".to_owned(),
                    _ => "axis 0 or 1".to_owned(),
                },
                "axes are counted from 0",
            )),
            Some(0) if ndim == 2 => Ok(Some(Axis::Rows)),
            Some(_) if ndim == 2 => Ok(Some(Axis::Columns)),
            Some(_) => Ok(None),
        }
    }
}

impl<S: Computes> EncryptedArray<S> {
    /// The sum of all values, or over one axis, which disappears.
    ///
    /// Of all values, and over the outer axis of a tile (axis 0 in the canonical packing): no depth, `log2` rotations of what is in
    /// a ciphertext. Over the inner axis (1): one level and twice as many rotations where a ciphertext holds several lines. Spread:
    /// no depth, no rotations.
    ///
    /// # Errors
    /// `Shape` for an axis that is not there, or a packing for products; `Depth`, `MissingKey`.
    pub fn sum(&self, axis: Option<usize>) -> Result<Self> {
        let name = "sum";
        let axis = self.axis(name, axis)?;
        let out: Result<Self> = match (&self.repr, axis) {
            (Repr::Scalar(_), _) => Ok(self.clone()),
            (Repr::Vector(v), _) => Ok(Self::scalar(named(name, v.sum())?)),
            (Repr::Matrix(m), None) => {
                self.tiled(name)?;
                Ok(Self::scalar(named(name, m.sum_all())?))
            }
            (Repr::Matrix(m), Some(axis)) => {
                self.tiled(name)?;
                Ok(named(name, m.sum(axis))?.into())
            }
        };
        Ok(out?.of(self.spread))
    }
}

impl<S: Computes + Scheme<Value = f64>> EncryptedArray<S> {
    /// The mean of all values, or over one axis, which disappears. One level; rotations as [`sum`](Self::sum). Spread: one level, a
    /// combination, no rotations.
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn mean(&self, axis: Option<usize>) -> Result<Self> {
        let name = "mean";
        let axis = self.axis(name, axis)?;
        if self.ndim() == 0 {
            return Ok(self.clone());
        }
        let x = self.tiled(name)?;
        if x.spread && self.len() > 1 {
            return Ok(named(name, self.combined_mean(x, axis))?.of(self.spread));
        }
        let out: Result<Self> = match (&self.repr, axis) {
            (Repr::Scalar(_), _) => Ok(self.clone()),
            (Repr::Vector(v), _) => Ok(Self::scalar(named(name, v.mean())?)),
            (Repr::Matrix(m), None) => {
                let scaled = m.scale(1.0 / self.len() as f64).and_then(|m| m.sum_all());
                Ok(Self::scalar(named(name, scaled)?))
            }
            (Repr::Matrix(m), Some(axis)) => Ok(named(name, m.mean(axis))?.into()),
        };
        Ok(out?.of(self.spread))
    }

    /// Means of whole ciphertexts as combinations, so that magnitudes do not grow with the number of values.
    fn combined_mean(&self, x: Tiled<S>, axis: Option<Axis>) -> Result<Self> {
        let weights = |n: usize| PlainMatrix::new(1, n, vec![1.0 / n as f64; n]);
        match (&self.repr, axis) {
            (Repr::Matrix(m), Some(Axis::Rows)) => {
                Self::from(m.combine_rows(&weights(x.rows)?)?).flat(1)
            }
            (Repr::Matrix(_), Some(Axis::Columns)) => {
                self.times_spread(&weights(x.cols)?.transpose())?.flat(1)
            }
            _ => {
                let n = x.rows * x.cols;
                let all = EncryptedVector {
                    evaluator: x.ev,
                    len: n,
                    packing: VectorPacking::spread(),
                    blocks: x.blocks,
                };
                let mean = all.combine(&weights(n)?)?;
                Ok(Self::scalar(mean))
            }
        }
    }
}
