//! Encrypted matrix x encrypted vector, and inner products: alignment, then one kernel.

use super::align::{Padding, align};
use super::layout::{Tiled, line};
use super::products::NAME;
use super::shape::named;
use super::{Computes, EncryptedArray};
use crate::encrypted::{EncryptedMatrix, EncryptedVector};
use crate::packing::{MatrixPacking, Order, Tile, VectorPacking};
use crate::shape::padded;
use cipherblas_scheme::{Error, Result, Scheme};

/// Levels that a matrix x vector product takes.
pub(super) fn matvec_levels(tile: &Tile) -> usize {
    if tile.order() == Order::RowMajor && tile.inner() > 1 && tile.outer() > 1 {
        2
    } else {
        1
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

pub(super) fn inner_product<S: Computes>(
    a: &EncryptedVector<S>,
    b: &EncryptedVector<S>,
) -> Result<EncryptedVector<S>> {
    if a.packing == b.packing {
        return named(NAME, a.dot(b));
    }
    let shape = (1, a.len);
    let (x, y) = (as_tile(&a.evaluator, a), as_tile(&a.evaluator, b));
    let aligned = align(NAME, &x, &y, shape, Padding::Cleared, 1)?;
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
pub(super) fn matvec<S: Computes>(
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
            padded(NAME, m.rows)?.min(room)
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
