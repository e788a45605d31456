//! What only moves values: slices, reshapes, stacks.

use super::layout::{Tiled, is_spread, line, moves, spread};
use super::shape::{as_matrix, check_shape, named, tuple};
use super::{Computes, EncryptedArray, Index};
use crate::kernel::moves::Moves;
use crate::packing::{Order, Tile, VectorPacking};
use crate::shape::mismatch;
use cipherblas_scheme::Result;

/// The canonical packing of a vector may take so many times the rotations and masks of the one that fits its matrix.
const MUCH_MORE_WORK: usize = 4;

/// What of an axis of `len` positions an index takes: the first, how many, the step; and whether the axis stays.
fn taken(axis: usize, index: Index, len: usize) -> Result<(usize, usize, isize, bool)> {
    let refused = |got: String, expected: String| {
        Err(mismatch(
            "slice",
            format!("{got} of axis {axis}, which has {len} positions"),
            expected,
            "positions are counted from 0; empty arrays have no encryption",
        ))
    };
    match index {
        Index::At(at) if at < len => Ok((at, 1, 1, false)),
        Index::At(at) => refused(format!("position {at}"), format!("0 to {}", len - 1)),
        Index::Range {
            start,
            len: n,
            step,
        } => {
            let last = isize::try_from(n)
                .ok()
                .and_then(|n| (n - 1).checked_mul(step))
                .and_then(|way| start.checked_add_signed(way));
            if n == 0 || step == 0 || start >= len || last.is_none_or(|last| last >= len) {
                return refused(
                    format!("{n} positions from {start} in steps of {step}"),
                    "at least one, all of them there, a step that is not 0".into(),
                );
            }
            Ok((start, n, step, true))
        }
    }
}

impl<S: Computes> EncryptedArray<S> {
    /// A part of the array: an index for each axis, all of the axes that none is given for.
    ///
    /// Parts of a matrix stay packed alike. Vectors are in the canonical packing, unless whole ciphertexts are what is asked for, or
    /// the one that fits the matrix ([`row_packing`](crate::EncryptedMatrix::row_packing)) is much less work, as for a column of many
    /// rows. Free
    /// where whole ciphertexts only move (rows of [`Rows`](super::ArrayPacking::Rows), columns of
    /// [`Columns`](super::ArrayPacking::Columns), anything spread), otherwise at most one level.
    ///
    /// # Errors
    /// `Shape` for too many indices, positions that are not there, or none; `Depth`, `MissingKey`.
    pub fn slice(&self, indices: &[Index]) -> Result<Self> {
        let name = "slice";
        let shape = self.shape();
        if indices.len() > shape.len() {
            return Err(mismatch(
                name,
                format!(
                    "{} indices for an array of shape {}",
                    indices.len(),
                    tuple(&shape)
                ),
                format!("at most {}", shape.len()),
                "an index for each axis",
            ));
        }
        let mut axes: Vec<(usize, usize, isize, bool)> =
            shape.iter().map(|&n| (0, n, 1, true)).collect();
        for (axis, &index) in indices.iter().enumerate() {
            axes[axis] = taken(axis, index, shape[axis])?;
        }
        let all = |&(axis, n): &(usize, usize)| axes[axis] == (0, n, 1, true);
        if shape.iter().copied().enumerate().all(|x| all(&x)) {
            return Ok(self.clone());
        }
        let ndim = axes.iter().filter(|a| a.3).count();
        let (down, across) = match *axes {
            [across] => ((0, 1, 1, false), across),
            [down, across] => (down, across),
            _ => unreachable!("no index for no axis"),
        };
        let x = self.tiled(name)?;
        let at = |(start, _, step, _): (usize, usize, isize, bool), i: usize| {
            start.wrapping_add_signed(step.wrapping_mul(i as isize))
        };
        let (rows, cols) = (down.1, across.1);
        let source = |r: usize, c: usize| (0, at(down, r), at(across, c));
        // What remains of a matrix row is a row, of a column a column.
        let column = self.ndim() == 2 && ndim == 1 && !across.3;
        let out = arranged(name, &[&x], ndim, (rows, cols), column, &source)?;
        Ok(out)
    }

    /// The same values, row by row, in another shape with as many. Free where whole ciphertexts only move, between one dimension and
    /// two of which one is 1 among others; otherwise one level.
    ///
    /// # Errors
    /// `Shape` for another number of values, or more than two dimensions; `Depth`, `MissingKey`.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        let name = "reshape";
        let len = check_shape(name, shape)?;
        if len != self.len() {
            return Err(mismatch(
                name,
                format!("{} to {}", tuple(&self.shape()), tuple(shape)),
                format!("a shape of {} values", self.len()),
                "the number of values has to stay",
            ));
        }
        if self.shape() == shape {
            return Ok(self.clone());
        }
        let x = self.tiled(name)?;
        let [rows, cols] = as_matrix(shape);
        if !shape.is_empty()
            && let Some(same) = x.relabelled(rows, cols)
        {
            return Ok(same.into_array(shape.len()));
        }
        let source = |r: usize, c: usize| {
            let at = r * cols + c;
            (0, at / x.cols, at % x.cols)
        };
        let ev = &x.ev;
        let tile = match shape.len() {
            0 => spread(),
            1 => line(VectorPacking::periodic(len, ev.slots())?, false),
            _ => Tile::fit(Order::RowMajor, rows, cols, ev.slots())?,
        };
        let plan = moves(&[&x], &tile, (rows, cols), &source)?;
        let out = named(name, x.moved(&plan, tile, rows, cols))?;
        Ok(out.into_array(shape.len()))
    }

    /// An array of one dimension with the values of one that has a dimension of 1.
    pub(super) fn flat(&self, ndim: usize) -> Result<Self> {
        debug_assert_eq!(ndim, 1);
        self.reshape(&[self.len()])
    }

    /// Arrays after one another along an axis. Free where whole ciphertexts only move, otherwise at most one level. Matrices are packed
    /// as the first, vectors canonically.
    ///
    /// # Errors
    /// `Shape` for no arrays, arrays that differ in another axis or in the number of dimensions, or scalars; `KeyMismatch`,
    /// `Depth`, `MissingKey`.
    pub fn concatenate(parts: &[&Self], axis: usize) -> Result<Self> {
        let name = "concatenate";
        let Some(first) = parts.first() else {
            return Err(mismatch(
                name,
                "no array",
                "at least one",
                "empty arrays have no encryption",
            ));
        };
        let shape = first.shape();
        if axis >= shape.len() {
            return Err(mismatch(
                name,
                format!("axis {axis} of an array of shape {}", tuple(&shape)),
                match shape.len() {
                    0 => "arrays of at least one dimension".to_owned(),
                    1 => "axis 0".to_owned(),
                    _ => "axis 0 or 1".to_owned(),
                },
                "scalars are reshaped to (1,) first",
            ));
        }
        let fits = |other: &[usize]| {
            other.len() == shape.len()
                && (0..shape.len()).all(|i| i == axis || other[i] == shape[i])
        };
        if let Some(odd) = parts.iter().find(|p| !fits(&p.shape())) {
            return Err(mismatch(
                name,
                format!(
                    "{} and {} along axis {axis}",
                    tuple(&shape),
                    tuple(&odd.shape())
                ),
                "shapes that are equal but for that axis",
                "reshape or slice first",
            ));
        }
        if parts.len() == 1 {
            return Ok((*first).clone());
        }
        let tiles = parts
            .iter()
            .map(|p| p.tiled(name))
            .collect::<Result<Vec<_>>>()?;
        for part in &tiles[1..] {
            part.blocks
                .iter()
                .try_for_each(|ct| tiles[0].ev.check(ct))?;
        }
        let down = shape.len() == 2 && axis == 0;
        let along = |t: &Tiled<S>| if down { t.rows } else { t.cols };
        let starts: Vec<usize> = tiles
            .iter()
            .scan(0, |at, t| {
                *at += along(t);
                Some(*at - along(t))
            })
            .collect();
        let total = tiles.iter().map(along).sum();
        let (rows, cols) = if down {
            (total, tiles[0].cols)
        } else {
            (tiles[0].rows, total)
        };
        check_shape(name, &[rows, cols])?;
        let part_at = |r: usize, c: usize| {
            let at = if down { r } else { c };
            let part = starts.partition_point(|&s| s <= at) - 1;
            if down {
                (part, r - starts[part], c)
            } else {
                (part, r, c - starts[part])
            }
        };
        let all: Vec<&Tiled<S>> = tiles.iter().collect();
        arranged(name, &all, shape.len(), (rows, cols), false, &part_at)
    }
}

/// An array of `ndim` dimensions made of the elements of others: in a packing that only moves whole ciphertexts, if one of the natural
/// ones does, else alike (matrices) or canonical (vectors). `column`: a vector is what was a column.
fn arranged<S: Computes>(
    name: &'static str,
    parts: &[&Tiled<S>],
    ndim: usize,
    (rows, cols): (usize, usize),
    column: bool,
    source: &(dyn Fn(usize, usize) -> (usize, usize, usize) + Sync),
) -> Result<EncryptedArray<S>> {
    let first = parts[0];
    let (ev, slots, len) = (&first.ev, first.ev.slots(), rows * cols);
    // The elements of what was a column lie in the order of the rows.
    let (rows, cols) = if ndim == 2 { (rows, cols) } else { (1, len) };
    let source = |r: usize, c: usize| if column { source(c, r) } else { source(r, c) };
    let candidates: Vec<Tile> = match ndim {
        0 => vec![spread()],
        1 => {
            let along = if column {
                first.tile.row_packing()
            } else {
                first.tile.column_packing()
            };
            let canonical = VectorPacking::periodic(len, slots)?;
            if parts.iter().all(|p| p.spread) {
                vec![spread(), line(canonical, false)]
            } else if along.period() == 1 {
                vec![line(canonical, false)]
            } else {
                vec![line(along, false), line(canonical, false)]
            }
        }
        _ if parts.iter().all(|p| p.spread) => vec![spread()],
        _ => vec![first.tile, first.tile.grown(rows, cols, slots)?],
    };
    let mut chosen: Option<(Tile, Moves)> = None;
    for tile in candidates {
        let plan = moves(parts, &tile, (rows, cols), &source)?;
        let still = plan.still();
        // The last one is what it should be, unless it is much more work.
        if still
            || chosen.as_ref().is_none_or(|(fitting, before)| {
                ndim == 2
                    || fitting.repeat() == 1
                    || plan.work() <= MUCH_MORE_WORK * before.work().max(1)
            })
        {
            chosen = Some((tile, plan));
        }
        if still {
            break;
        }
    }
    let (tile, plan) = chosen.expect("there is a candidate");
    let cts: Vec<_> = parts
        .iter()
        .flat_map(|p| p.blocks.iter().cloned())
        .collect();
    Ok(Tiled {
        ev: ev.clone(),
        rows,
        cols,
        tile,
        blocks: named(name, plan.run(ev, &cts))?,
        spread: parts.iter().any(|p| p.spread) && is_spread(&tile),
    }
    .into_array(ndim))
}
