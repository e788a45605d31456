//! Matrices in blocks to bytes and back: shape and cut, then every block in its own envelope.

use super::grid::Grid;
use super::{BlockMatrix, Format, Store};
use crate::shape::check_dims;
use crate::wire::{exists, open, parts, seal, size};
use cipherblas_scheme::matrix::{Lines, MatrixScheme};
use cipherblas_scheme::wire::{Kind, Reader, Writer};
use cipherblas_scheme::{Error, Result};

/// Tells matrices in blocks from those in slots, whose packings have smaller numbers.
const BLOCKS: u8 = 3;

impl<E: MatrixScheme> BlockMatrix<E> {
    /// The matrix in an envelope that names parameters and key; the evaluator stays behind. All of it is in memory then.
    ///
    /// # Errors
    /// `Wire` if a file was altered.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut shape = Writer::new();
        shape.u64(self.rows as u64);
        shape.u64(self.cols as u64);
        shape.u8(BLOCKS);
        shape.u8(match self.format {
            Format::Rows => 0,
            Format::Columns => 1,
        });
        shape.u8(match self.layout() {
            Lines::Packed => 0,
            Lines::Single => 1,
        });
        for n in [self.grid.padded, self.grid.segment, self.grid.chunk] {
            shape.u64(n as u64);
        }
        let blocks = self
            .slots
            .iter()
            .map(|slot| slot.serialized(&self.evaluator));
        seal(Kind::Matrix, shape, blocks)
    }

    /// Reads and checks a matrix, and binds it to `evaluator`; its blocks go to memory.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(evaluator: &E, bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_in(evaluator, &Store::memory(), bytes)
    }

    /// As [`from_bytes`](Self::from_bytes); its blocks go to `store`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); `Parameter` if blocks cannot be written.
    pub fn from_bytes_in(evaluator: &E, store: &Store, bytes: &[u8]) -> Result<Self> {
        let (header, payload) = open(Kind::Matrix, bytes)?;
        let mut reader = Reader::new("matrix in blocks", payload);
        let (rows, cols) = (size(&mut reader)?, size(&mut reader)?);
        exists(&reader, check_dims("matrix in blocks", rows, cols))?;
        match reader.u8()? {
            BLOCKS => {}
            code => return Err(reader.error(format!("packing {code}"), "3: blocks of lines")),
        }
        let format = match reader.u8()? {
            0 => Format::Rows,
            1 => Format::Columns,
            code => return Err(reader.error(format!("format {code}"), "0 or 1")),
        };
        let layout = match reader.u8()? {
            0 => Lines::Packed,
            1 => Lines::Single,
            code => return Err(reader.error(format!("layout {code}"), "0 or 1")),
        };
        let (padded, segment, chunk) = (size(&mut reader)?, size(&mut reader)?, size(&mut reader)?);
        let most = evaluator.max_len();
        if !padded.is_power_of_two() || padded > most || segment > padded {
            return Err(reader.error(
                format!("segments of {segment} values on a grid of {padded}"),
                format!("no more values than the grid has, a power of two up to {most}"),
            ));
        }
        let (lines, len) = match format {
            Format::Rows => (rows, cols),
            Format::Columns => (cols, rows),
        };
        let grid = Grid {
            lines,
            len,
            chunk,
            segment,
            padded,
        };
        let mut cuts = grid.iter();
        let slots = parts(&header, reader, grid.blocks(), |bytes| {
            let block = evaluator.read_block(bytes)?;
            // As many as blocks are read.
            let (chunk, segment) = cuts.next().unwrap_or_default();
            let expected = grid.shape(chunk, segment);
            let (got, on) = (evaluator.shape(&block), evaluator.padded_len(&block));
            let laid = evaluator.layout(&block);
            if got != expected || on != padded || laid != layout {
                return Err(Error::Wire {
                    what: "matrix in blocks",
                    got: format!("a block of {got:?}, {laid:?} on a grid of {on}"),
                    expected: format!("one of {expected:?}, {layout:?} on a grid of {padded}"),
                });
            }
            store.put(evaluator, block)
        })?;
        Ok(Self {
            evaluator: evaluator.clone(),
            rows,
            cols,
            format,
            grid,
            slots,
            store: store.clone(),
            bound: true,
        })
    }
}
