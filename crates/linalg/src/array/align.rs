//! Bringing operands of one operation into line: which tile the result has, and how each operand gets there.

use super::layout::{Tiled, is_spread, line, same_layout, spread};
use super::shape::named;
use crate::kernel::moves::Moves;
use crate::kernel::{Blocks, elementwise};
use crate::packing::{Order, Tile, VectorPacking};
use crate::shape::padded;
use cipherblas_scheme::{Add, Error, MulPlain, Result, Rotate, Scheme, Value};

/// Growing without a mask may take so many times more ciphertexts than with one.
const SPARED_LEVEL: usize = 4;

/// What an operation does with the padding of its operands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// Sums keep it: it has to be zero in every operand.
    Kept,
    /// Products with something that is zero there clear it.
    Cleared,
}

/// Where an operand is to lie: along which axes of the result it repeats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    Row,
    Column,
    One,
}

impl Part {
    fn of<S: Scheme>(x: &Tiled<S>, rows: usize, cols: usize) -> Self {
        match (x.rows == rows, x.cols == cols) {
            (true, true) => Self::Full,
            (false, true) if cols > 1 => Self::Row,
            (true, false) if rows > 1 => Self::Column,
            _ => Self::One,
        }
    }
}

/// How an operand gets to the tile of a result.
pub(super) struct Laying {
    part: Part,
    /// The move that it takes, and whether its result is all of the operation's rather than a line of it.
    moves: Option<(Moves, bool)>,
    /// Copies along an axis reach into the padding.
    masked: bool,
}

impl Laying {
    fn new<S: Scheme>(
        x: &Tiled<S>,
        tile: &Tile,
        (rows, cols): (usize, usize),
        padding: Padding,
    ) -> Result<Self> {
        let part = Part::of(x, rows, cols);
        let own = match part {
            Part::Full => *tile,
            Part::Row => line(tile.column_packing(), false),
            Part::Column => line(tile.row_packing(), true),
            Part::One => spread(),
        };
        let dirty = (part == Part::Row || part == Part::One) && rows % tile.rows_per_block() != 0
            || (part == Part::Column || part == Part::One) && cols % tile.columns_per_block() != 0;
        let masked = dirty && padding == Padding::Kept;
        if same_layout(&x.tile, &own, x.rows, x.cols) {
            return Ok(Self {
                part,
                moves: None,
                masked,
            });
        }
        // A move with a mask can mask the padding as well.
        let (to, shape, whole) = if masked {
            (*tile, (rows, cols), true)
        } else {
            (own, (x.rows, x.cols), false)
        };
        let (down, right) = (x.rows > 1, x.cols > 1);
        let moves = x.moves(&to, shape, &|r, c| {
            (if down { r } else { 0 }, if right { c } else { 0 })
        })?;
        Ok(Self {
            part,
            moves: Some((moves, whole)),
            masked: false,
        })
    }

    /// Levels that it takes.
    fn levels(&self) -> usize {
        match &self.moves {
            Some((moves, ..)) => moves.levels(),
            None => usize::from(self.masked),
        }
    }

    /// The operand's ciphertext for each block of the result; `ev` computes.
    fn run<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        x: &Tiled<S>,
        tile: &Tile,
        (rows, cols): (usize, usize),
    ) -> Result<Blocks<S>> {
        let moved = match &self.moves {
            Some((moves, true)) => return moves.run(ev, &x.blocks),
            Some((moves, false)) => moves.run(ev, &x.blocks)?,
            None => x.blocks.clone(),
        };
        let grid = tile.grid(rows, cols);
        let ins = grid.inner_blocks();
        let inside = tile.order() == Order::RowMajor;
        let at = |b: usize| match self.part {
            Part::Full => b,
            Part::One => 0,
            Part::Row if inside => b % ins,
            Part::Column if !inside => b % ins,
            _ => b / ins,
        };
        let blocks: Blocks<S> = (0..grid.blocks()).map(|b| moved[at(b)].clone()).collect();
        if !self.masked {
            return Ok(blocks);
        }
        // Only the last blocks of an axis have padding along it.
        let (per_row, per_col) = (tile.rows_per_block(), tile.columns_per_block());
        let dirty = |b: usize| {
            let (i, o) = (b % ins, b / ins);
            let (row, col) = if inside { (o, i) } else { (i, o) };
            let below = (row + 1) * per_row > rows && self.part != Part::Column;
            let beside = (col + 1) * per_col > cols && self.part != Part::Row;
            below || beside
        };
        crate::kernel::each(blocks.len(), |b| {
            if !dirty(b) {
                return Ok(blocks[b].clone());
            }
            let mask = grid.fill(b, S::Value::ZERO, |_, _| S::Value::ONE);
            ev.mul_plain(&blocks[b], &mask).map(std::sync::Arc::new)
        })
    }
}

impl<S: Scheme> Tiled<S> {
    /// The tile of a result of so many rows and columns in which this operand lies as it is; `None` if there is none.
    fn natural(&self, rows: usize, cols: usize, padding: Padding) -> Result<Option<Tile>> {
        let part = Part::of(self, rows, cols);
        let packing = match part {
            Part::Full => return Ok(Some(self.tile)),
            Part::One => return Ok(None),
            Part::Row | Part::Column => match self.line_packing() {
                Some(packing) => packing,
                None => return Ok(None),
            },
        };
        let (order, copies) = match part {
            Part::Row => (Order::RowMajor, rows),
            _ => (Order::ColumnMajor, cols),
        };
        let outer = if packing.period() == 1 {
            1
        } else {
            self.copies(copies, packing, padding)?
        };
        let tile = Tile::new(order, packing.repeat(), packing.period(), outer)?;
        Ok(Some(if is_spread(&tile) { spread() } else { tile }))
    }

    /// How many copies of a line to put in a ciphertext of a result that has `n`.
    fn copies(&self, n: usize, packing: VectorPacking, padding: Padding) -> Result<usize> {
        let room = self.ev.slots() / packing.width();
        let fit = padded("broadcasting", n)?.min(room);
        let even = (1usize << n.trailing_zeros()).min(room);
        let spare = n / even <= SPARED_LEVEL * n.div_ceil(fit) || self.depth() == 0;
        Ok(if padding == Padding::Kept && spare {
            even
        } else {
            fit
        })
    }
}

/// Two operands in line: the tile of the result, and their ciphertexts, one for each block of it.
pub(super) struct Aligned<S: Scheme> {
    pub(super) tile: Tile,
    pub(super) left: Blocks<S>,
    pub(super) right: Blocks<S>,
}

/// Brings two operands to a common tile of `rows x cols`, for an operation that takes `levels` more. See the [module
/// page](super) for which of them is moved.
pub(super) fn align<S: Add + MulPlain + Rotate>(
    operation: &'static str,
    a: &Tiled<S>,
    b: &Tiled<S>,
    shape: (usize, usize),
    padding: Padding,
    levels: usize,
) -> Result<Aligned<S>> {
    let (rows, cols) = shape;
    let full = |x: &Tiled<S>| Part::of(x, rows, cols) == Part::Full;
    let canonical = |x: &Tiled<S>| Ok::<_, Error>(x.tile == x.canonical()?);
    let keep_left = match (full(a), full(b)) {
        (true, false) => true,
        (false, true) => false,
        (true, true) => canonical(a)? || !canonical(b)?,
        // A row-major result is canonical.
        (false, false) => Part::of(a, rows, cols) == Part::Row,
    };
    let order = if keep_left { [a, b] } else { [b, a] };
    let mut tiles = Vec::new();
    for x in order {
        if let Some(tile) = x.natural(rows, cols, padding)? {
            tiles.push(tile);
        }
    }
    if tiles.is_empty() {
        tiles.push(Tile::fit(Order::RowMajor, rows, cols, a.ev.slots())?);
    }
    tiles.dedup();
    let mut best: Option<(i64, Tile, [Laying; 2])> = None;
    for tile in tiles {
        let layings = [
            Laying::new(a, &tile, shape, padding)?,
            Laying::new(b, &tile, shape, padding)?,
        ];
        let left = |x: &Tiled<S>, laying: &Laying| x.depth() as i64 - laying.levels() as i64;
        let depth = left(a, &layings[0]).min(left(b, &layings[1]));
        let still = depth >= levels as i64 && layings.iter().all(|l| l.moves.is_none());
        if best.as_ref().is_none_or(|(most, ..)| depth > *most) {
            best = Some((depth, tile, layings));
        }
        if still {
            break;
        }
    }
    let (depth, tile, [left, right]) = best.expect("there is at least one tile");
    if depth < levels as i64 {
        let short = |x: &Tiled<S>, l: &Laying| {
            (x.depth() < l.levels() + levels).then(|| (l.levels(), x.depth()))
        };
        let (moving, held) = short(a, &left)
            .or_else(|| short(b, &right))
            .expect("one of them is short of levels");
        return Err(Error::Depth {
            operation,
            needed: moving + levels,
            left: held,
        });
    }
    Ok(Aligned {
        tile,
        left: named(operation, left.run(&a.ev, a, &tile, shape))?,
        right: named(operation, right.run(&a.ev, b, &tile, shape))?,
    })
}

/// The array repeated to a larger shape that it broadcasts to, for what comes next.
pub(super) fn grow<S: Add + MulPlain + Rotate>(
    operation: &'static str,
    x: &Tiled<S>,
    shape: (usize, usize),
    padding: Padding,
) -> Result<Tiled<S>> {
    let (rows, cols) = shape;
    let tile = match x.natural(rows, cols, padding)? {
        None if x.spread => spread(),
        Some(tile) => tile,
        // One value is in every slot: a line of it, as a vector and as a tile.
        None if rows == 1 || cols == 1 => {
            let n = rows.max(cols);
            line(
                VectorPacking::new(1, x.copies(n, VectorPacking::spread(), padding)?)?,
                cols == 1,
            )
        }
        None => {
            let inner = x.copies(cols, VectorPacking::spread(), padding)?;
            let outer = x.copies(rows, VectorPacking::new(1, inner)?, padding)?;
            Tile::new(Order::RowMajor, 1, inner, outer)?
        }
    };
    let laying = Laying::new(x, &tile, shape, padding)?;
    Ok(Tiled {
        ev: x.ev.clone(),
        rows,
        cols,
        tile,
        blocks: named(operation, laying.run(&x.ev, x, &tile, shape))?,
        spread: x.spread,
    })
}

/// `f` of the ciphertexts of two operands in line.
pub(super) fn zipped<S: Scheme>(
    aligned: &Aligned<S>,
    f: impl Fn(&S::Ciphertext, &S::Ciphertext) -> Result<S::Ciphertext> + Sync,
) -> Result<Blocks<S>> {
    elementwise::zip::<S>(&aligned.left, &aligned.right, f)
}
