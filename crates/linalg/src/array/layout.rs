//! Every array seen as a tile: what broadcasting, slices and alignment compute with.

use super::{EncryptedArray, Repr};
use crate::encrypted::{EncryptedMatrix, EncryptedVector};
use crate::kernel::Blocks;
use crate::kernel::moves::Moves;
use crate::packing::{Grid, MatrixPacking, Order, Tile, VectorPacking};
use crate::shape::mismatch;
use cipherblas_scheme::{Add, MulPlain, Result, Rotate, Scheme};

/// An array as a matrix in a tile; a vector is a row, a scalar one value.
#[derive(Clone)]
pub(super) struct Tiled<S: Scheme> {
    pub(super) ev: S,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) tile: Tile,
    pub(super) blocks: Blocks<S>,
    /// What is made of it has one value to a ciphertext. A single value does not tell by itself.
    pub(super) spread: bool,
}

/// The tile of a row or column that lies as a vector in `packing`.
pub(super) fn line(packing: VectorPacking, column: bool) -> Tile {
    let (inner, outer) = if column {
        (1, packing.period())
    } else {
        (packing.period(), 1)
    };
    Tile::new(Order::RowMajor, packing.repeat(), inner, outer)
        .expect("the parts of a packing are powers of two")
}

/// One value to a ciphertext.
pub(super) fn spread() -> Tile {
    line(VectorPacking::spread(), false)
}

pub(super) fn is_spread(tile: &Tile) -> bool {
    tile.inner() == 1 && tile.outer() == 1
}

/// The packing of a vector that lies as this layout does, if its values are all in one line.
fn line_packing(grid: &Grid) -> Option<VectorPacking> {
    let packing = match grid {
        g if g.outer == 1 && g.outer_len == 1 => VectorPacking::new(g.repeat, g.inner),
        g if g.inner == 1 && g.inner_len == 1 => VectorPacking::new(g.repeat, g.outer),
        _ => return None,
    };
    Some(packing.expect("the parts of a tile are powers of two"))
}

/// Whether two layouts of matrices of one shape are the same places.
pub(super) fn same_layout(a: &Tile, b: &Tile, rows: usize, cols: usize) -> bool {
    let (x, y) = (a.grid(rows, cols), b.grid(rows, cols));
    a == b
        || (is_spread(a) && is_spread(b) && (rows == 1 || cols == 1 || a.order() == b.order()))
        || {
            let packing = line_packing(&x);
            packing.is_some() && packing == line_packing(&y)
        }
}

impl<S: Scheme> Tiled<S> {
    pub(super) fn grid(&self) -> Grid {
        self.tile.grid(self.rows, self.cols)
    }
    pub(super) fn depth(&self) -> usize {
        let depths = self.blocks.iter().map(|ct| self.ev.depth(ct));
        depths.min().unwrap_or_default()
    }
    pub(super) fn line_packing(&self) -> Option<VectorPacking> {
        line_packing(&self.grid())
    }
    /// The canonical tile of this shape.
    pub(super) fn canonical(&self) -> Result<Tile> {
        Tile::fit(Order::RowMajor, self.rows, self.cols, self.ev.slots())
    }
    /// The same ciphertexts read as another shape, if that moves nothing.
    pub(super) fn relabelled(&self, rows: usize, cols: usize) -> Option<Self> {
        if rows * cols != self.rows * self.cols {
            return None;
        }
        let tile = if is_spread(&self.tile) {
            spread()
        } else if rows == 1 || cols == 1 {
            line(self.line_packing()?, cols == 1 && rows > 1)
        } else {
            return None;
        };
        Some(Self {
            ev: self.ev.clone(),
            rows,
            cols,
            tile,
            blocks: self.blocks.clone(),
            spread: self.spread,
        })
    }

    /// How the elements get to a matrix in `tile`, whose element `(r, c)` is this one's at `source(r, c)`.
    pub(super) fn moves(
        &self,
        tile: &Tile,
        (rows, cols): (usize, usize),
        source: &(dyn Fn(usize, usize) -> (usize, usize) + Sync),
    ) -> Result<Moves> {
        let all = |r: usize, c: usize| {
            let (r, c) = source(r, c);
            (0, r, c)
        };
        moves(&[self], tile, (rows, cols), &all)
    }

    /// As an array of the dimensions given, with as many values.
    pub(super) fn into_array(self, ndim: usize) -> EncryptedArray<S> {
        let spread = self.spread;
        if ndim == 2 {
            let matrix = EncryptedMatrix {
                evaluator: self.ev,
                rows: self.rows,
                cols: self.cols,
                packing: self.tile.into(),
                blocks: self.blocks,
            };
            return EncryptedArray::from(matrix).of(spread);
        }
        let packing = self.line_packing().expect("a vector is made as a line");
        let vector = EncryptedVector {
            len: self.rows * self.cols,
            evaluator: self.ev,
            packing,
            blocks: self.blocks,
        };
        if ndim == 0 {
            return EncryptedArray::scalar(vector).of(spread);
        }
        EncryptedArray::from(vector).of(spread)
    }
}

impl<S: Add + MulPlain + Rotate> Tiled<S> {
    /// The same values in another tile. One level, unless whole ciphertexts only move.
    pub(super) fn to(&self, tile: Tile) -> Result<Self> {
        if same_layout(&self.tile, &tile, self.rows, self.cols) {
            return Ok(Self {
                tile,
                ..self.clone()
            });
        }
        let moves = self.moves(&tile, (self.rows, self.cols), &|r, c| (r, c))?;
        self.moved(&moves, tile, self.rows, self.cols)
    }

    pub(super) fn moved(
        &self,
        moves: &Moves,
        tile: Tile,
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        Ok(Self {
            ev: self.ev.clone(),
            rows,
            cols,
            tile,
            blocks: moves.run(&self.ev, &self.blocks)?,
            spread: self.spread && is_spread(&tile),
        })
    }
}

/// How the elements of some matrices get to one in `tile`, whose element `(r, c)` is at `source(r, c)`: part, row, column.
pub(super) fn moves<S: Scheme>(
    parts: &[&Tiled<S>],
    tile: &Tile,
    (rows, cols): (usize, usize),
    source: &(dyn Fn(usize, usize) -> (usize, usize, usize) + Sync),
) -> Result<Moves> {
    let grids: Vec<Grid> = parts.iter().map(|p| p.grid()).collect();
    Moves::plan(&grids, &tile.grid(rows, cols), &|inner, outer| {
        let (r, c) = tile.inner_outer(inner, outer);
        let (part, r, c) = source(r, c);
        let (i, o) = parts[part].tile.inner_outer(r, c);
        (part, i, o)
    })
}

impl<S: Scheme> EncryptedArray<S> {
    /// This array as a tile.
    pub(super) fn tiled(&self, operation: &'static str) -> Result<Tiled<S>> {
        match &self.repr {
            Repr::Scalar(v) | Repr::Vector(v) => Ok(Tiled {
                ev: v.evaluator.clone(),
                rows: 1,
                cols: v.len,
                tile: line(v.packing, false),
                blocks: v.blocks.clone(),
                spread: self.spread,
            }),
            Repr::Matrix(m) => {
                let (packing, hint) = match m.packing {
                    MatrixPacking::Tile(tile) => {
                        return Ok(Tiled {
                            ev: m.evaluator.clone(),
                            rows: m.rows,
                            cols: m.cols,
                            tile,
                            blocks: m.blocks.clone(),
                            spread: self.spread,
                        });
                    }
                    MatrixPacking::Diagonal(_) => (
                        "Diagonal",
                        "such an array takes products with a vector, and operations value by value that leave it in place; encrypt with `ArrayPacking::Auto`",
                    ),
                    MatrixPacking::Skewed(_) => (
                        "Left or Right",
                        "such an array takes products with a matrix, and operations value by value that leave it in place; encrypt with `ArrayPacking::Auto`",
                    ),
                };
                Err(mismatch(
                    operation,
                    format!("an array encrypted with the packing {packing}"),
                    "Auto, Spread, Rows, Columns or another tile",
                    hint,
                ))
            }
        }
    }
}

/// A spread matrix in row-major order, whatever it was in: the ciphertexts only change places.
pub(super) fn ordered<S: Scheme>(
    mut matrix: EncryptedMatrix<S>,
    order: Order,
) -> EncryptedMatrix<S> {
    let MatrixPacking::Tile(tile) = matrix.packing else {
        return matrix;
    };
    if !is_spread(&tile) {
        return matrix;
    }
    if tile.order() != order {
        // Blocks along the inner axis are adjacent: the inner axis of the other order was the outer one.
        let (from, outer) = match order {
            Order::RowMajor => (matrix.rows, matrix.cols),
            Order::ColumnMajor => (matrix.cols, matrix.rows),
        };
        matrix.blocks = (0..from)
            .flat_map(|i| (0..outer).map(move |o| (i, o)))
            .map(|(i, o)| matrix.blocks[o * from + i].clone())
            .collect();
    }
    matrix.packing = Tile::new(order, 1, 1, 1).expect("powers of two").into();
    matrix
}
