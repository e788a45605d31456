//! Matrix products, as `@` in NumPy.

use super::layout::{Tiled, line, ordered};
use super::shape::{named, tuple};
use super::{Computes, EncryptedArray, PlainArray, Repr};
use crate::encrypted::{EncryptedMatrix, EncryptedVector, MatmulMethod, PlainMatrix};
use crate::kernel::elementwise;
use crate::kernel::reduce::fold;
use crate::packing::{MatrixPacking, Order, Tile, VectorPacking};
use crate::plan::Plan;
use crate::shape::mismatch;
use crate::{EncryptOptions, kernel};
use cipherblas_scheme::{Error, Result, Scheme};

const NAME: &str = "matmul";

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

/// Levels that a matrix x vector product takes.
fn matvec_levels(tile: &Tile) -> usize {
    if tile.order() == Order::RowMajor && tile.inner() > 1 && tile.outer() > 1 {
        2
    } else {
        1
    }
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

/// A vector as a tile, for another evaluator to move: that of the array it is multiplied with.
fn as_tile<S: Scheme>(ev: &S, v: &EncryptedVector<S>) -> Tiled<S> {
    Tiled {
        ev: ev.clone(),
        rows: 1,
        cols: v.len,
        tile: line(v.packing, false),
        blocks: v.blocks.clone(),
        spread: v.len > 1 && v.packing.period() == 1,
    }
}

/// The vector in another packing.
fn repacked<S: Computes>(
    ev: &S,
    v: &EncryptedVector<S>,
    packing: VectorPacking,
) -> Result<EncryptedVector<S>> {
    let moved = as_tile(ev, v).to(line(packing, false))?;
    Ok(EncryptedVector {
        evaluator: moved.ev,
        len: v.len,
        packing,
        blocks: moved.blocks,
    })
}

/// Levels of [`repacked`].
fn repacking<S: Computes>(v: &EncryptedVector<S>, packing: VectorPacking) -> Result<usize> {
    if v.packing == packing {
        return Ok(0);
    }
    let tile = line(packing, false);
    Ok(as_tile(&v.evaluator, v)
        .moves(&tile, (1, v.len), &|r, c| (r, c))?
        .levels())
}

fn inner_product<S: Computes>(
    a: &EncryptedVector<S>,
    b: &EncryptedVector<S>,
) -> Result<EncryptedVector<S>> {
    if a.packing == b.packing {
        return named(NAME, a.dot(b));
    }
    let shape = (1, a.len);
    let (x, y) = (as_tile(&a.evaluator, a), as_tile(&a.evaluator, b));
    let aligned = super::align::align(NAME, &x, &y, shape, super::align::Padding::Cleared, 1)?;
    let packing = aligned.tile.column_packing();
    let lay = |blocks| EncryptedVector {
        evaluator: a.evaluator.clone(),
        len: a.len,
        packing,
        blocks,
    };
    named(NAME, lay(aligned.left).dot(&lay(aligned.right)))
}

/// Matrix x vector: the vector in the matrix's packing, or the matrix re-packed for the vector if that leaves more depth.
fn matvec<S: Computes>(
    m: &EncryptedMatrix<S>,
    v: &EncryptedVector<S>,
) -> Result<EncryptedVector<S>> {
    let tile = match m.packing {
        MatrixPacking::Tile(tile) => tile,
        MatrixPacking::Diagonal(diagonal) => {
            let v = named(NAME, repacked(&m.evaluator, v, diagonal.column_packing()))?;
            return named(NAME, m.matvec(&v));
        }
        // Refused, with what to do.
        MatrixPacking::Skewed(_) => {
            return EncryptedArray::from(m.clone())
                .tiled(NAME)
                .map(|_| unreachable!("not a tile"));
        }
    };
    let wanted = tile.column_packing();
    let levels = matvec_levels(&tile);
    let moving = repacking(v, wanted)?;
    let left = |depth: usize, levels: usize| depth as i64 - levels as i64;
    let by_vector = left(m.depth(), levels).min(left(v.depth(), moving + levels));
    if v.packing != wanted {
        let room = v.evaluator.slots() / v.packing.width();
        let outer = if v.packing.period() == 1 {
            1
        } else {
            crate::shape::padded(NAME, m.rows)?.min(room)
        };
        let to = Tile::new(
            Order::RowMajor,
            v.packing.repeat(),
            v.packing.period(),
            outer,
        )?;
        let levels = matvec_levels(&to);
        // The most that moving the matrix could leave, before it is known what it takes.
        let most = left(m.depth(), levels).min(left(v.depth(), levels));
        if by_vector < 0 && most > by_vector {
            let x = EncryptedArray::from(m.clone()).tiled(NAME)?;
            let moves = x.moves(&to, (m.rows, m.cols), &|r, c| (r, c))?;
            let by_matrix = left(m.depth(), moves.levels() + levels).min(left(v.depth(), levels));
            if by_matrix > by_vector {
                let moved = named(NAME, x.moved(&moves, to, m.rows, m.cols))?;
                let moved = m.reshaped(m.rows, m.cols, to, moved.blocks);
                return named(NAME, moved.matvec(v));
            }
        }
    }
    if by_vector < 0 {
        let (needed, left) = if m.depth() < levels {
            (levels, m.depth())
        } else {
            (moving + levels, v.depth())
        };
        return Err(Error::Depth {
            operation: NAME,
            needed,
            left,
        });
    }
    let v = named(NAME, repacked(&m.evaluator, v, wanted))?;
    named(NAME, m.matvec(&v))
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
