//! Matrix products, as `@` in NumPy.

use super::layout::{line, ordered};
use super::matvec::{inner_product, matvec, matvec_levels};
use super::shape::{named, tuple};
use super::{Computes, EncryptedArray, PlainArray, Repr};
use crate::encrypted::{EncryptedMatrix, EncryptedVector, MatmulMethod, PlainMatrix};
use crate::kernel::elementwise;
use crate::kernel::reduce::fold;
use crate::packing::{MatrixPacking, Order};
use crate::plan::Plan;
use crate::shape::mismatch;
use crate::{EncryptOptions, kernel};
use cipherblas_scheme::{Error, Result, Scheme};

pub(super) const NAME: &str = "matmul";

/// Refuses what has no product.
fn check(a: &[usize], b: &[usize]) -> Result<()> {
    if a.is_empty() || b.is_empty() {
        return Err(mismatch(
            NAME,
            format!("{} @ {}", tuple(a), tuple(b)),
            "at least one dimension on either side",
            "a scalar has no matrix product: multiply with `*`",
        ));
    }
    let (left, right) = (a[a.len() - 1], b[0]);
    if left != right {
        return Err(mismatch(
            NAME,
            format!("{} @ {}", tuple(a), tuple(b)),
            format!(
                "equal inner dimensions; the last of the left one is {left}, the first of the right one {right}"
            ),
            "transpose one?",
        ));
    }
    Ok(())
}

impl<S: Computes> EncryptedArray<S> {
    /// `self @ other`: inner product, matrix x vector, vector x matrix or matrix x matrix, whatever the dimensions make it.
    ///
    /// Two vectors: one level. Matrix and vector: two levels for several rows to a ciphertext, otherwise one; a vector that lies
    /// otherwise is aligned (see the [module page](super)). Two matrices: as [`EncryptedMatrix::matmul`], or by the other
    /// [method](MatmulMethod) if only that fits in the depth that is left. Relinearization key.
    ///
    /// # Errors
    /// `Shape` for dimensions that do not agree, or a scalar; `Depth`, `MissingKey`.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        check(&self.shape(), &other.shape())?;
        let product = match (&self.repr, &other.repr) {
            (Repr::Vector(a), Repr::Vector(b)) => inner_product(a, b).map(Self::scalar),
            (Repr::Matrix(a), Repr::Vector(b)) => matvec(a, b).map(Self::from),
            (Repr::Vector(_), Repr::Matrix(_)) => other.transpose()?.matmul(self),
            (Repr::Matrix(a), Repr::Matrix(b)) => matmul(a, b).map(Self::from),
            (Repr::Scalar(_), _) | (_, Repr::Scalar(_)) => unreachable!("refused by the check"),
        };
        Ok(product?.of(self.spread || other.spread))
    }

    /// `self @ plain`. One level (matrix x plain vector in a row-major tile: two if there are, else one and more rotations).
    ///
    /// No keys for [spread](super::ArrayPacking::Spread) arrays and for a matrix with one column to a ciphertext. For a vector the
    /// rotations are those of [`PlainMatrix::matvec`], for a matrix those of [`EncryptedMatrix::matmul_plain`].
    ///
    /// # Errors
    /// `Shape` for dimensions that do not agree, or a scalar; `Depth`, `MissingKey`, `Value`.
    pub fn matmul_plain(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        check(&self.shape(), plain.shape())?;
        let data = plain.data();
        let product = named(
            NAME,
            match (&self.repr, plain.shape()) {
                (Repr::Vector(v), &[n]) => {
                    if self.spread {
                        v.combine(&PlainMatrix::new(1, n, data)?).map(Self::scalar)
                    } else {
                        v.dot_plain(data).map(Self::scalar)
                    }
                }
                (Repr::Vector(v), &[k, n]) => {
                    let weights = PlainMatrix::new(k, n, data)?.transpose();
                    apply(&weights, v, self.spread).map(Self::from)
                }
                (Repr::Matrix(m), &[n]) => self.times_vector(m, n, data),
                (Repr::Matrix(m), &[k, n]) => {
                    let weights = PlainMatrix::new(k, n, data)?;
                    self.tiled(NAME)?;
                    if self.spread {
                        self.times_spread(&weights)
                    } else {
                        m.matmul_plain(&weights).map(Self::from)
                    }
                }
                _ => unreachable!("refused by the check"),
            },
        );
        Ok(product?.of(self.spread))
    }

    /// `plain @ self`. One level.
    ///
    /// No keys for [spread](super::ArrayPacking::Spread) arrays and for a matrix with one row to a ciphertext. For a vector the
    /// rotations are those of [`PlainMatrix::matvec`], for a matrix those of [`PlainMatrix::matmul`].
    ///
    /// # Errors
    /// As [`matmul_plain`](Self::matmul_plain).
    pub fn plain_matmul(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        check(plain.shape(), &self.shape())?;
        let data = plain.data();
        let product = named(
            NAME,
            match (&self.repr, plain.shape()) {
                (Repr::Vector(_), [_]) => self.matmul_plain(plain),
                (Repr::Vector(v), &[m, k]) => {
                    apply(&PlainMatrix::new(m, k, data)?, v, self.spread).map(Self::from)
                }
                (Repr::Matrix(_), &[n]) => {
                    let this = self.transpose()?;
                    match &this.repr {
                        Repr::Matrix(m) => this.times_vector(m, n, data),
                        _ => unreachable!("a matrix transposed is a matrix"),
                    }
                }
                (Repr::Matrix(x), &[m, k]) => {
                    self.tiled(NAME)?;
                    PlainMatrix::new(m, k, data)?.matmul(x).map(Self::from)
                }
                _ => unreachable!("refused by the check"),
            },
        );
        Ok(product?.of(self.spread))
    }

    /// Spread matrix x plain matrix: a combination for each row.
    pub(super) fn times_spread(&self, weights: &PlainMatrix<S::Value>) -> Result<Self> {
        let Repr::Matrix(m) = &self.repr else {
            unreachable!("only matrices are multiplied so")
        };
        // The ciphertexts of a row are those of a column of one value each.
        let columns = ordered(m.clone(), Order::ColumnMajor);
        columns.combine_columns(weights).map(Self::from)
    }

    /// Matrix x plain vector.
    fn times_vector(&self, m: &EncryptedMatrix<S>, n: usize, data: &[S::Value]) -> Result<Self> {
        let x = self.tiled(NAME)?;
        let column = || PlainMatrix::new(n, 1, data);
        if self.spread {
            return self.times_spread(&column()?)?.flat(1);
        }
        if x.tile.order() == Order::ColumnMajor && x.tile.outer() == 1 {
            return Self::from(m.combine_columns(&column()?)?).flat(1);
        }
        if x.depth() == 1 && matvec_levels(&x.tile) == 2 {
            // One level: sums by diagonals into the first slot of each row, which the others then copy.
            let sums = m.matmul_plain(&column()?)?;
            let (inner, repeat) = (x.tile.inner(), x.tile.repeat());
            let blocks = elementwise::map::<S>(&sums.blocks, |_, ct| {
                fold(&x.ev, ct, inner, -(repeat as i64))
            })?;
            let packing = x.tile.row_packing();
            return Ok(EncryptedVector {
                evaluator: x.ev,
                len: x.rows,
                packing,
                blocks,
            }
            .into());
        }
        m.matvec_plain(data).map(Self::from)
    }
}

/// Plain matrix x vector.
fn apply<S: Computes>(
    weights: &PlainMatrix<S::Value>,
    v: &EncryptedVector<S>,
    spread: bool,
) -> Result<EncryptedVector<S>> {
    if spread {
        v.combine(weights)
    } else {
        weights.matvec(v)
    }
}

/// Matrix x matrix.
fn matmul<S: Computes>(
    a: &EncryptedMatrix<S>,
    b: &EncryptedMatrix<S>,
) -> Result<EncryptedMatrix<S>> {
    for m in [a, b] {
        if let MatrixPacking::Diagonal(_) = m.packing {
            EncryptedArray::from(m.clone()).tiled(NAME)?;
        }
    }
    let skewed = [a, b]
        .iter()
        .any(|m| matches!(m.packing, MatrixPacking::Skewed(_)));
    // One column or row is a vector.
    if !skewed
        && b.cols == 1
        && let Some(v) = as_line(b)
    {
        return matvec(a, &v).map(as_column);
    }
    if !skewed
        && a.rows == 1
        && let Some(v) = as_line(a)
    {
        let b = ordered(b.transpose()?, Order::RowMajor);
        return as_column(matvec(&b, &v)?).transpose();
    }
    let method = a.matmul_method(b)?;
    let depth = a.depth().min(b.depth());
    if skewed || depth >= 3 {
        return named(NAME, a.matmul_by(b, method));
    }
    // Little depth is left: the preferred method if it fits, else another.
    let mut refusal = None;
    let all = [
        MatmulMethod::OuterProducts,
        MatmulMethod::Skewed,
        MatmulMethod::RowSums,
    ];
    let others = all.into_iter().filter(|&m| {
        m != method && (m != MatmulMethod::RowSums || a.row_sums_tile(b).is_ok_and(|t| t.is_some()))
    });
    for method in std::iter::once(method).chain(others) {
        let slots = a.evaluator.slots();
        let needed = Plan::trace(slots, 4, |t| {
            let [x, y] = [a, b].map(|m| {
                let options = EncryptOptions::new().packing(m.packing).depth(4);
                t.matrix(m.rows, m.cols, &options)
            });
            x?.matmul_by(&y?, method).map(drop)
        });
        let needed = match needed {
            Ok(plan) => plan.depth(),
            Err(e) => {
                refusal.get_or_insert(e);
                continue;
            }
        };
        if needed <= depth {
            return named(NAME, a.matmul_by(b, method));
        }
        refusal.get_or_insert(Error::Depth {
            operation: NAME,
            needed,
            left: depth,
        });
    }
    Err(refusal.expect("every method was refused"))
}

/// A matrix of one row or column as a vector, if it lies as one.
fn as_line<S: Scheme>(m: &EncryptedMatrix<S>) -> Option<EncryptedVector<S>> {
    let tiled = EncryptedArray::from(m.clone()).tiled(NAME).ok()?;
    let len = m.rows * m.cols;
    let packing = tiled.relabelled(1, len)?.line_packing()?;
    Some(EncryptedVector {
        evaluator: m.evaluator.clone(),
        len,
        packing,
        blocks: kernel::Blocks::<S>::clone(&m.blocks),
    })
}

/// A vector as a matrix of one column.
fn as_column<S: Scheme>(v: EncryptedVector<S>) -> EncryptedMatrix<S> {
    EncryptedMatrix {
        rows: v.len,
        cols: 1,
        packing: line(v.packing, true).into(),
        evaluator: v.evaluator,
        blocks: v.blocks,
    }
}
