//! Products: of encrypted matrices, and with plain ones; terms are read block by block.

use super::grid::Grid;
use super::store::{Loaded, Slot};
use super::{BlockMatrix, Format};
use crate::PlainMatrix;
use crate::shape::mismatch;
use cipherblas_scheme::matrix::{Lines, MatrixScheme, Side};
use cipherblas_scheme::{Error, Result, WeightMatrix};
use std::borrow::Cow;
use std::ops::Range;

/// A factor as the caller knows it, for what is said of it.
#[derive(Clone, Copy)]
struct Factor {
    name: &'static str,
    /// Whether the product takes the transpose of what the caller has.
    transposed: bool,
}

impl Factor {
    const LEFT: Self = Self::new("left factor");
    const RIGHT: Self = Self::new("right factor");

    const fn new(name: &'static str) -> Self {
        Self {
            name,
            transposed: false,
        }
    }
    const fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }
    /// What the caller calls that format.
    fn calls(self, format: Format) -> Format {
        if self.transposed {
            format.transposed()
        } else {
            format
        }
    }
}

impl<E: MatrixScheme> BlockMatrix<E> {
    /// `A B`, its rows as lines. One level; the keys of products on the grid of the factors (see
    /// [`MatrixKeySet`](cipherblas_scheme::MatrixKeySet)).
    ///
    /// Takes `self` by columns and `other` by rows. A factor in the other format is changed first if it has two levels and
    /// the evaluator has the keys; that costs precision as well ([`reformat`](Self::reformat)). Cost: for each block of the
    /// result one sum of products with one relinearization and one
    /// change of format; more of them where a budget does not hold the factors' blocks ([`Store`](super::Store)).
    ///
    /// # Errors
    /// `Shape` if the inner dimensions differ, the factors are cut differently or a format does not fit and cannot be
    /// changed; `Depth`, `MissingKey`, `KeyMismatch`, `Overflow`, `Noise`; `Parameter` if the budget cannot hold one term.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        self.matmul_as(other, Format::Rows)
    }

    /// `A B` in the format that the next step takes: columns for a left factor. As [`matmul`](Self::matmul).
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn matmul_as(&self, other: &Self, result: Format) -> Result<Self> {
        self.product(
            "matrix x matrix",
            other,
            result,
            [Factor::LEFT, Factor::RIGHT],
        )
    }

    /// `A'B`: takes both by rows. As [`matmul`](Self::matmul); nothing is transposed.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn t_matmul(&self, other: &Self) -> Result<Self> {
        self.t().product(
            "transposed matrix x matrix",
            other,
            Format::Rows,
            [Factor::LEFT.transposed(), Factor::RIGHT],
        )
    }

    /// `A B'`: takes both by columns. As [`matmul`](Self::matmul); nothing is transposed.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn matmul_t(&self, other: &Self) -> Result<Self> {
        self.product(
            "matrix x transposed matrix",
            &other.t(),
            Format::Rows,
            [Factor::LEFT, Factor::RIGHT.transposed()],
        )
    }

    /// The Gram matrix `X'X` of the columns: takes X by rows; one level. Half the work of [`t_matmul`](Self::t_matmul) with
    /// itself. `x.t().gram()` is `X X'`. The result is symmetric: its rows are its columns, and [`t`](Self::t) makes a left
    /// factor of it.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn gram(&self) -> Result<Self> {
        const OPERATION: &str = "Gram matrix";
        self.expect_depth(OPERATION, self.depth())?;
        self.expect_lined(OPERATION, Factor::new("matrix"), Format::Rows)?;
        let x = self.lined(Format::Rows)?;
        let grid = Grid::product(&x.grid, &x.grid);
        let blocks = grid.iter().map(|(i, j)| {
            let terms = |c: usize| (&x.slots[x.grid.index(c, i)], &x.slots[x.grid.index(c, j)]);
            let output = x.output(OPERATION, &grid, i, j, Lines::Packed)?;
            x.sum(
                OPERATION,
                &grid,
                x.grid.chunks(),
                output,
                |c| {
                    let (a, b) = terms(c);
                    // On the diagonal a term reads one block.
                    if i == j { vec![a] } else { vec![a, b] }
                },
                |range| {
                    if i == j {
                        let loaded = x.load(range.map(|c| terms(c).0))?;
                        let blocks: Vec<_> = loaded.iter().map(AsRef::as_ref).collect();
                        return x.evaluator.syrk(&blocks);
                    }
                    x.multiply(range.map(terms), Side::Left)
                },
            )
        });
        let slots = blocks.collect::<Result<_>>()?;
        Ok(Self {
            rows: self.cols,
            cols: self.cols,
            format: Format::Rows,
            grid,
            slots,
            ..self.shell()
        })
    }

    /// `X'Y` beside the Gram matrix, for least squares: [`t_matmul`](Self::t_matmul) under its statistical name.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn gram_with(&self, y: &Self) -> Result<Self> {
        self.t_matmul(y)
    }

    /// Encrypted matrix x plain matrix. One level, no keys. Takes `self` by columns, and gives a matrix by columns in
    /// layout [`Lines::Single`]. Cost: about two modular GEMMs of the plain product's size for each narrow prime. The weights
    /// are not hidden from whoever sees `self` and the result, key or not.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `Value`, `Overflow`, `Noise`; `Parameter` if the budget cannot hold one term.
    pub fn matmul_plain(&self, weights: &PlainMatrix<E::Value>) -> Result<Self> {
        const OPERATION: &str = "matrix x plain matrix";
        self.expect_inner(OPERATION, self.cols, (weights.rows(), weights.cols()))?;
        let out = self
            .t()
            .combine(OPERATION, Factor::LEFT.transposed(), &weights.transpose())?;
        Ok(out.t())
    }

    /// Plain matrix x encrypted matrix. One level, no keys. Takes `x` by rows, and gives a matrix by rows in layout
    /// [`Lines::Single`]. Cost, and what is seen of the weights: as [`matmul_plain`](Self::matmul_plain).
    ///
    /// # Errors
    /// As [`matmul_plain`](Self::matmul_plain).
    pub fn plain_matmul(weights: &PlainMatrix<E::Value>, x: &Self) -> Result<Self> {
        const OPERATION: &str = "plain matrix x matrix";
        if weights.cols() != x.rows {
            return Err(inner(
                OPERATION,
                (weights.rows(), weights.cols()),
                x.shape(),
            ));
        }
        x.combine(OPERATION, Factor::RIGHT, weights)
    }

    /// The same matrix by its other lines: rows for columns and columns for rows. One level; the keys of a change of format
    /// on its grid. Cost: one to two key switches for each of `max_len` ring elements of a block.
    ///
    /// Over approximate schemes it also costs **precision**: its key switches add an error to every value, and a product that
    /// follows multiplies that by the other factor and sums it over the inner dimension. The precision that parameters were
    /// asked for is that of a product whose factors are in the formats it takes; after a change of format, one that was
    /// asked for 2e-5 may promise no more than 7e-3. [`error_bound`](Self::error_bound) of the result tells. Where data are
    /// encrypted for the product, encrypt them in its formats; where they come from one, ask that for the format
    /// ([`matmul_as`](Self::matmul_as)).
    ///
    /// # Errors
    /// `Shape` for layout [`Lines::Single`], or blocks of more lines than the grid has positions; `Depth`, `MissingKey`.
    pub fn reformat(&self) -> Result<Self> {
        const OPERATION: &str = "change of format";
        self.expect_packed(OPERATION)?;
        self.expect_depth(OPERATION, self.depth())?;
        self.expect_square_blocks(OPERATION)?;
        let grid = self.grid.swapped();
        let ev = &self.evaluator;
        let slots = grid.iter().map(|(chunk, segment)| {
            let slot = &self.slots[self.grid.index(segment, chunk)];
            let block = ev
                .reformat(slot.load(ev)?.as_ref())
                .map_err(self.named(OPERATION))?;
            self.store.put(ev, block)
        });
        let slots = slots.collect::<Result<_>>()?;
        Ok(Self {
            format: self.format.transposed(),
            grid,
            slots,
            ..self.shell()
        })
    }

    /// `A B` with both factors as they may be.
    fn product(
        &self,
        operation: &'static str,
        other: &Self,
        result: Format,
        [left, right]: [Factor; 2],
    ) -> Result<Self> {
        self.expect_inner(operation, self.cols, other.shape())?;
        self.expect_depth(operation, self.depth().min(other.depth()))?;
        // Everything that can be refused is, before a format is changed.
        self.expect_lined(operation, left, Format::Columns)?;
        other.expect_lined(operation, right, Format::Rows)?;
        let (l, r) = (
            self.grid_lined(Format::Columns),
            other.grid_lined(Format::Rows),
        );
        if l.padded != r.padded {
            let longer = l.padded.max(r.padded);
            return Err(mismatch(
                operation,
                format!("lines on grids of {} and {}", l.padded, r.padded),
                format!("both factors on one grid: `BlockOptions::line({longer})` for both"),
                "unless told, a matrix takes the shortest grid that holds its lines: give the shorter one the grid of the \
                 longer (`BlockMatrix::line`), and make the keys for that",
            ));
        }
        if !l.same_chunks(&r) {
            return Err(mismatch(
                operation,
                format!("blocks of {} and {} lines", l.chunk, r.chunk),
                "factors that are cut alike along the inner dimension",
                "encrypt both with the same `BlockOptions::lines_per_block`, each in the format that the product takes",
            ));
        }
        let (a, b) = (
            self.layout_lined(Format::Columns),
            other.layout_lined(Format::Rows),
        );
        if a != b && l.padded != self.evaluator.max_len() {
            return Err(mismatch(
                operation,
                format!("layouts {a:?} and {b:?}"),
                "factors in one layout",
                "encrypt both packed for the cheapest products",
            ));
        }
        let (left, right) = (self.lined(Format::Columns)?, other.lined(Format::Rows)?);
        let (grid, side) = match result {
            Format::Rows => (Grid::product(&l, &r), Side::Left),
            Format::Columns => (Grid::product(&r, &l), Side::Right),
        };
        let blocks = grid.iter().map(|(chunk, segment)| {
            let (i, j) = match side {
                Side::Left => (chunk, segment),
                Side::Right => (segment, chunk),
            };
            let terms = |c: usize| (&left.slots[l.index(c, i)], &right.slots[r.index(c, j)]);
            let output = self.output(operation, &grid, chunk, segment, Lines::Packed)?;
            self.sum(
                operation,
                &grid,
                l.chunks(),
                output,
                |c| {
                    let (a, b) = terms(c);
                    vec![a, b]
                },
                |range| self.multiply(range.map(terms), side),
            )
        });
        let slots = blocks.collect::<Result<_>>()?;
        Ok(Self {
            rows: self.rows,
            cols: other.cols,
            format: result,
            grid,
            slots,
            ..self.shell()
        })
    }

    /// Combinations of the rows: `weights` x `self`.
    fn combine(
        &self,
        operation: &'static str,
        factor: Factor,
        weights: &PlainMatrix<E::Value>,
    ) -> Result<Self> {
        if self.format != Format::Rows {
            self.expect_lined(operation, factor, Format::Rows)?;
            return self.reformat()?.combine(operation, factor, weights);
        }
        self.expect_depth(operation, self.depth())?;
        let grid = Grid {
            lines: weights.rows(),
            ..self.grid
        };
        let blocks = grid.iter().map(|(chunk, segment)| {
            let rows = grid.line_range(chunk);
            let slot = |c: usize| &self.slots[self.grid.index(c, segment)];
            let output = self.output(operation, &grid, chunk, segment, Lines::Single)?;
            self.sum(
                operation,
                &grid,
                self.grid.chunks(),
                output,
                |c| vec![slot(c)],
                |range| {
                    let parts: Vec<_> = range
                        .clone()
                        .map(|c| part(weights, rows.clone(), self.grid.line_range(c)))
                        .collect();
                    let loaded = self.load(range.clone().map(slot))?;
                    let terms = parts
                        .iter()
                        .zip(&loaded)
                        .zip(range)
                        .map(|((part, block), c)| {
                            let inner = self.grid.line_range(c).len();
                            Ok((WeightMatrix::new(rows.len(), inner, part)?, block.as_ref()))
                        });
                    self.evaluator
                        .gemm_plain(&terms.collect::<Result<Vec<_>>>()?)
                },
            )
        });
        let slots = blocks.collect::<Result<_>>()?;
        Ok(Self {
            rows: weights.rows(),
            grid,
            slots,
            ..self.shell()
        })
    }

    fn load<'a>(
        &self,
        slots: impl Iterator<Item = &'a Slot<E>>,
    ) -> Result<Vec<Loaded<'a, E::Block>>> {
        slots.map(|slot| slot.load(&self.evaluator)).collect()
    }

    fn multiply<'a>(
        &self,
        terms: impl Iterator<Item = (&'a Slot<E>, &'a Slot<E>)>,
        side: Side,
    ) -> Result<E::Block> {
        let ev = &self.evaluator;
        let loaded = terms.map(|(a, b)| Ok((a.load(ev)?, b.load(ev)?)));
        let loaded = loaded.collect::<Result<Vec<_>>>()?;
        let terms: Vec<_> = loaded
            .iter()
            .map(|(a, b)| (a.as_ref(), b.as_ref()))
            .collect();
        ev.gemm_tn(&terms, side)
    }

    /// Bytes of a block of the result.
    fn output(
        &self,
        operation: &'static str,
        grid: &Grid,
        chunk: usize,
        segment: usize,
        layout: Lines,
    ) -> Result<usize> {
        let depth = self.depth();
        self.expect_depth(operation, depth)?;
        let (lines, _) = grid.shape(chunk, segment);
        self.evaluator
            .block_bytes(lines, grid.padded, layout, depth - 1)
            .map_err(self.named(operation))
    }

    /// A sum of `terms` terms, as many at a time as the budget allows: `part` computes the sum over a range of them, and
    /// those are added. `grid` is that of the result, `slots` are the blocks that a term reads.
    fn sum<'a>(
        &self,
        operation: &'static str,
        grid: &Grid,
        terms: usize,
        output: usize,
        slots: impl Fn(usize) -> Vec<&'a Slot<E>>,
        mut part: impl FnMut(Range<usize>) -> Result<E::Block>,
    ) -> Result<Slot<E>>
    where
        E: 'a,
    {
        let ev = &self.evaluator;
        let budget = self.store.working();
        let needs: Vec<(usize, usize)> = (0..terms)
            .map(|t| {
                slots(t)
                    .iter()
                    .map(|slot| slot.loading())
                    .fold((0, 0), |(sum, most), (bytes, transient)| {
                        (sum + bytes, most.max(transient))
                    })
            })
            .collect();
        let transient = needs.iter().map(|n| n.1).max().unwrap_or_default();
        let all: usize = needs.iter().map(|n| n.0).sum();
        // Only the last result may take the room that others need.
        let alone = grid.blocks() == 1;
        let keep = |block| {
            if alone {
                self.store.put_result(ev, block)
            } else {
                self.store.put(ev, block)
            }
        };
        let twice = output.saturating_mul(2);
        // The blocks read, and either the bytes of a file or the sum; they are gone when the sum is kept.
        if all.saturating_add(transient.max(output)) <= budget && (alone || twice <= budget) {
            return keep(part(0..terms).map_err(self.named(operation))?);
        }
        // Beside the sum so far: the same for the next part of it; then that part, and what they add up to.
        let needed = |bytes: usize| {
            let reading = bytes.saturating_add(transient.max(output));
            reading.max(twice).saturating_add(output)
        };
        let mut sum: Option<E::Block> = None;
        let mut start = 0;
        while start < terms {
            let mut bytes = needs[start].0;
            if needed(bytes) > budget {
                return Err(Error::Parameter {
                    what: "memory budget",
                    got: format!("{budget} bytes free for {operation}"),
                    expected: format!("at least {}", needed(bytes)),
                    hint: "raise the budget, or encrypt on a shorter grid (`BlockOptions::line`, and the keys for it): blocks \
                           of the result shrink with it",
                });
            }
            let mut end = start + 1;
            while end < terms && needed(bytes + needs[end].0) <= budget {
                bytes += needs[end].0;
                end += 1;
            }
            let next = part(start..end).map_err(self.named(operation))?;
            sum = Some(match sum {
                None => next,
                Some(sum) => ev.add(&sum, &next).map_err(self.named(operation))?,
            });
            start = end;
        }
        let sum = sum.ok_or_else(|| inner(operation, (0, 0), (0, 0)))?;
        keep(sum)
    }

    /// Itself, or changed to `format`.
    fn lined(&self, format: Format) -> Result<Cow<'_, Self>> {
        if self.format == format {
            return Ok(Cow::Borrowed(self));
        }
        self.reformat().map(Cow::Owned)
    }

    fn grid_lined(&self, format: Format) -> Grid {
        if self.format == format {
            self.grid
        } else {
            self.grid.swapped()
        }
    }

    /// The layout when it is in that format: a change of format packs.
    fn layout_lined(&self, format: Format) -> Lines {
        if self.format == format {
            self.layout()
        } else {
            Lines::Packed
        }
    }

    fn expect_lined(&self, operation: &'static str, factor: Factor, format: Format) -> Result<()> {
        if self.format == format {
            return Ok(());
        }
        if self.depth() < 2 {
            return Err(mismatch(
                operation,
                format!(
                    "the {} by {:?} with {} level(s) left",
                    factor.name,
                    factor.calls(self.format),
                    self.depth()
                ),
                format!(
                    "the {} by {:?}, or two levels: one to change the format",
                    factor.name,
                    factor.calls(format)
                ),
                "encrypt it in the other format, or ask the product that gave it for that one",
            ));
        }
        self.expect_packed(operation)?;
        self.expect_square_blocks(operation)
    }

    fn expect_square_blocks(&self, operation: &'static str) -> Result<()> {
        let most = self.grid.line_range(0).len();
        if most <= self.grid.padded {
            return Ok(());
        }
        Err(mismatch(
            operation,
            format!("blocks of {most} lines on a grid of {}", self.grid.padded),
            format!(
                "at most {} lines in a block to change the format",
                self.grid.padded
            ),
            "encrypt in the other format, or with fewer `lines_per_block`",
        ))
    }

    fn expect_packed(&self, operation: &'static str) -> Result<()> {
        if self.takes(Lines::Packed) {
            return Ok(());
        }
        Err(mismatch(
            operation,
            format!(
                "a matrix in layout {:?} on a grid of {}",
                self.layout(),
                self.grid.padded
            ),
            "layout Packed to change the format",
            "encrypt it packed, or in the other format",
        ))
    }

    fn expect_depth(&self, operation: &'static str, left: usize) -> Result<()> {
        if left > 0 {
            return Ok(());
        }
        Err(Error::Depth {
            operation,
            needed: 1,
            left,
        })
    }

    fn expect_inner(
        &self,
        operation: &'static str,
        inner_left: usize,
        right: (usize, usize),
    ) -> Result<()> {
        if inner_left == right.0 {
            return Ok(());
        }
        Err(inner(operation, self.shape(), right))
    }
}

fn inner(operation: &'static str, left: (usize, usize), right: (usize, usize)) -> Error {
    mismatch(
        operation,
        format!("{} x {} times {} x {}", left.0, left.1, right.0, right.1),
        format!("{} rows on the right", left.1),
        "the inner dimensions have to agree; transpose one?",
    )
}

/// Rows and columns of a plain matrix, row by row.
fn part<V: cipherblas_scheme::Value>(
    weights: &PlainMatrix<V>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> Vec<V> {
    let lines = rows.map(|r| &weights.data()[r * weights.cols()..][columns.clone()]);
    lines.flatten().copied().collect()
}
