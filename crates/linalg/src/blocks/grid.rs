//! How a matrix of lines is cut into blocks.

use crate::shape::mismatch;
use cipherblas_scheme::Result;
use cipherblas_scheme::matrix::{Lines, padded_len};
use std::ops::Range;

/// Ciphertexts that a block holds at least where there are more lines than the grid is long: fewer would leave a product's
/// GEMM with an inner dimension that does not pay for its passes over the result.
const CIPHERTEXTS_PER_BLOCK: usize = 256;

/// `lines` lines of `len` values, cut into blocks of at most `chunk` lines and `segment` values, the values on a grid of
/// `padded` positions.
///
/// ```text
///            segment 0   segment 1 (rest)
///  chunk 0  [ block 0 ][ block 1 ]
///  chunk 1  [ block 2 ][ block 3 ]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) lines: usize,
    pub(super) len: usize,
    pub(super) chunk: usize,
    pub(super) segment: usize,
    pub(super) padded: usize,
}

impl Grid {
    pub(super) fn chunks(&self) -> usize {
        self.lines.div_ceil(self.chunk)
    }
    pub(super) fn segments(&self) -> usize {
        self.len.div_ceil(self.segment)
    }
    pub(super) fn blocks(&self) -> usize {
        self.chunks() * self.segments()
    }
    /// Index of a block: chunk after chunk.
    pub(super) fn index(&self, chunk: usize, segment: usize) -> usize {
        chunk * self.segments() + segment
    }
    pub(super) fn line_range(&self, chunk: usize) -> Range<usize> {
        chunk * self.chunk..((chunk + 1) * self.chunk).min(self.lines)
    }
    pub(super) fn value_range(&self, segment: usize) -> Range<usize> {
        segment * self.segment..((segment + 1) * self.segment).min(self.len)
    }
    /// Lines and values of a block.
    pub(super) fn shape(&self, chunk: usize, segment: usize) -> (usize, usize) {
        (
            self.line_range(chunk).len(),
            self.value_range(segment).len(),
        )
    }
    /// Blocks in order: chunk and segment of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let segments = self.segments();
        (0..self.blocks()).map(move |i| (i / segments, i % segments))
    }

    /// The matrix with lines and positions exchanged: what a change of format gives.
    pub(super) fn swapped(&self) -> Self {
        Self {
            lines: self.len,
            len: self.lines,
            chunk: self.segment,
            segment: self.chunk,
            padded: self.padded,
        }
    }

    /// The product `L' R` with the left index numbering the lines: lengths of both, cut as they are.
    pub(super) fn product(left: &Self, right: &Self) -> Self {
        Self {
            lines: left.len,
            len: right.len,
            chunk: left.segment,
            segment: right.segment,
            padded: left.padded,
        }
    }

    /// Whether the lines of two matrices are cut alike.
    pub(super) fn same_chunks(&self, other: &Self) -> bool {
        self.lines == other.lines
            && (self.chunk == other.chunk || self.chunks() == 1 && other.chunks() == 1)
    }

    /// Whether two matrices of equal shape are cut alike in both directions.
    pub(super) fn same_blocks(&self, other: &Self) -> bool {
        self.same_chunks(other)
            && self.len == other.len
            && self.padded == other.padded
            && (self.segment == other.segment || self.segments() == 1 && other.segments() == 1)
    }

    /// How fresh data are cut. `block_bytes` tells the size of a block of so many lines; blocks stay below `limit` bytes
    /// as far as whole ciphertexts go.
    pub(super) fn choose(
        lines: usize,
        len: usize,
        request: &Request,
        max_len: usize,
        block_bytes: impl Fn(usize, usize) -> Result<usize>,
    ) -> Result<Self> {
        let padded = match request.padded {
            None => natural(len).min(max_len),
            Some(padded) => {
                let least = padded_len(1).unwrap_or(1).min(max_len);
                if !padded.is_power_of_two() || padded < least || padded > max_len {
                    return Err(mismatch(
                        "encrypt",
                        format!("lines of {padded} positions"),
                        format!("a power of two from {least} to {max_len}"),
                        "leave out the line length for the one that fits, or take that of the other factor",
                    ));
                }
                padded
            }
        };
        // Lines that one ciphertext holds.
        let stride = match request.layout {
            Lines::Packed => max_len / padded,
            Lines::Single => 1,
        };
        let chunk = match request.chunk {
            Some(0) => {
                return Err(mismatch(
                    "encrypt",
                    "blocks of no lines",
                    "at least one line in a block",
                    "leave out the lines per block for a fitting number",
                ));
            }
            Some(chunk) => chunk,
            None => {
                let mut chunk = if lines <= padded {
                    padded
                } else {
                    padded.max(CIPHERTEXTS_PER_BLOCK * stride)
                };
                while chunk > stride && block_bytes(chunk, padded)? > request.limit {
                    chunk /= 2;
                }
                chunk
            }
        };
        Ok(Self {
            lines,
            len,
            chunk,
            segment: padded,
            padded,
        })
    }
}

/// Lines in a block of packed lines on a given grid: what fresh data are cut into by default.
pub(crate) fn cut(
    lines: usize,
    len: usize,
    padded: usize,
    max_len: usize,
    limit: usize,
    block_bytes: impl Fn(usize, usize) -> Result<usize>,
) -> Result<usize> {
    let request = Request {
        padded: Some(padded),
        chunk: None,
        layout: Lines::Packed,
        limit,
    };
    Grid::choose(lines, len, &request, max_len, block_bytes).map(|grid| grid.chunk)
}

/// The grid that lines of `len` values lie on unless they are longer than the longest.
pub(super) fn natural(len: usize) -> usize {
    padded_len(len).unwrap_or(usize::MAX)
}

/// What the caller asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) padded: Option<usize>,
    pub(super) chunk: Option<usize>,
    pub(super) layout: Lines,
    /// Bytes that a block may have.
    pub(super) limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::Error;

    fn request(padded: Option<usize>, chunk: Option<usize>, limit: usize) -> Request {
        Request {
            padded,
            chunk,
            layout: Lines::Packed,
            limit,
        }
    }

    #[test]
    fn lines_are_cut_at_the_longest_and_blocks_at_the_limit() {
        let bytes = |lines: usize, padded: usize| Ok(lines * padded);
        let grid = Grid::choose(700, 40, &request(None, None, usize::MAX), 32, bytes).unwrap();
        assert_eq!((grid.padded, grid.segment, grid.chunk), (32, 32, 256));
        assert_eq!((grid.chunks(), grid.segments(), grid.blocks()), (3, 2, 6));
        assert_eq!(grid.shape(2, 1), (188, 8));
        assert_eq!(grid.index(2, 1), 5);
        assert_eq!(grid.iter().last(), Some((2, 1)));
        assert_eq!(grid.swapped().swapped(), grid);
        let small = Grid::choose(700, 40, &request(None, None, 1100), 32, bytes).unwrap();
        assert_eq!(small.chunk, 32);
        let wide = Grid::choose(3, 1, &request(Some(32), None, usize::MAX), 32, bytes).unwrap();
        assert_eq!(
            (wide.padded, wide.chunks(), wide.shape(0, 0)),
            (32, 1, (3, 1))
        );
        assert!(!small.same_chunks(&grid));
        assert!(wide.same_chunks(&Grid { chunk: 5, ..wide }));
    }

    #[test]
    fn lengths_that_are_no_grid_are_refused() {
        for padded in [0, 8, 24, 64] {
            let error =
                Grid::choose(3, 3, &request(Some(padded), None, 1), 32, |_, _| Ok(1)).unwrap_err();
            match error {
                Error::Shape { got, expected, .. } => {
                    assert_eq!(got, format!("lines of {padded} positions"));
                    assert_eq!(expected, "a power of two from 16 to 32");
                }
                other => panic!("{other}"),
            }
        }
        assert!(Grid::choose(3, 3, &request(None, Some(0), 1), 32, |_, _| Ok(1)).is_err());
    }
}
