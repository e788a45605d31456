//! The rules of shapes, for every scheme alike.

use super::{Lines, Side, padded_len};
use crate::wire::{Reader, Writer};
use crate::{Error, Result};
use std::fmt;

/// What is public about the form of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockShape {
    /// Number of lines.
    pub lines: usize,
    /// Values in each.
    pub len: usize,
    /// The grid that lines lie on; see [`padded_len`].
    pub padded: usize,
    /// How lines lie in ciphertexts.
    pub layout: Lines,
}

/// `3 packed lines of 5 values on a grid of 16`.
impl fmt::Display for BlockShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = match self.layout {
            Lines::Packed => "packed",
            Lines::Single => "single",
        };
        let Self {
            lines, len, padded, ..
        } = self;
        write!(
            f,
            "{lines} {layout} lines of {len} values on a grid of {padded}"
        )
    }
}

fn unfit<T>(
    operation: &'static str,
    got: impl ToString,
    expected: impl ToString,
    hint: &'static str,
) -> Result<T> {
    Err(Error::Shape {
        operation,
        got: got.to_string(),
        expected: expected.to_string(),
        hint,
    })
}

fn no_terms<T>(operation: &'static str) -> Result<T> {
    unfit(
        operation,
        "no terms",
        "at least one",
        "an empty sum has no shape",
    )
}

impl BlockShape {
    /// `lines` lines of `len` values on the grid that fits them.
    ///
    /// # Errors
    /// `Shape` if there are none, a line is longer than `max_len`, or the values cannot be counted.
    pub fn new(
        operation: &'static str,
        lines: usize,
        len: usize,
        layout: Lines,
        max_len: usize,
    ) -> Result<Self> {
        let padded = padded_len(len).filter(|&padded| len > 0 && padded <= max_len);
        let countable = lines
            .checked_mul(max_len)
            .is_some_and(|values| lines > 0 && values <= isize::MAX as usize);
        match padded {
            Some(padded) if countable => Ok(Self {
                lines,
                len,
                padded,
                layout,
            }),
            _ => unfit(
                operation,
                format!("{lines} lines of {len} values"),
                format!("at least one line, of 1 to {max_len} values"),
                "cut longer lines into several blocks",
            ),
        }
    }

    /// The same lines on another grid; `None`: as they are.
    ///
    /// # Errors
    /// `Shape` unless `padded` is a power of two, at least the grid that fits the lines, and at most `max_len`.
    pub fn on_grid(
        self,
        operation: &'static str,
        padded: Option<usize>,
        max_len: usize,
    ) -> Result<Self> {
        match padded {
            None => Ok(self),
            Some(padded)
                if padded.is_power_of_two() && (self.padded..=max_len).contains(&padded) =>
            {
                Ok(Self { padded, ..self })
            }
            Some(padded) => unfit(
                operation,
                format!("lines of {} values on a grid of {padded}", self.len),
                format!("a power of two, {} to {max_len}", self.padded),
                "leave the grid out, or use that of the other factor",
            ),
        }
    }

    /// The shape of `values` values in `lines` lines.
    ///
    /// # Errors
    /// As [`new`](Self::new), and `Shape` if the lines are not of equal length.
    pub fn of_values(
        operation: &'static str,
        values: usize,
        lines: usize,
        layout: Lines,
        max_len: usize,
    ) -> Result<Self> {
        if lines == 0 || !values.is_multiple_of(lines) {
            return unfit(
                operation,
                format!("{values} values in {lines} lines"),
                "at least one line, all of equal length",
                "pass the values line by line",
            );
        }
        Self::new(operation, lines, values / lines, layout, max_len)
    }

    /// Lines in a ciphertext.
    pub fn lines_per_ciphertext(&self, max_len: usize) -> usize {
        match self.layout {
            Lines::Packed => max_len / self.padded,
            Lines::Single => 1,
        }
    }

    /// Ciphertexts of the block.
    pub fn ciphertexts(&self, max_len: usize) -> usize {
        self.lines.div_ceil(self.lines_per_ciphertext(max_len))
    }

    /// Whether the block lies as `layout` says; on the largest grid both layouts are one.
    pub fn lies(&self, layout: Lines, max_len: usize) -> bool {
        self.layout == layout || self.padded == max_len
    }

    /// Checks that two terms of a sum are alike.
    ///
    /// # Errors
    /// `Shape`.
    pub fn expect_like(&self, operation: &'static str, other: &Self, max_len: usize) -> Result<()> {
        let same = (self.lines, self.len, self.padded) == (other.lines, other.len, other.padded);
        if same && other.lies(self.layout, max_len) {
            return Ok(());
        }
        unfit(
            operation,
            format!("{self} and {other}"),
            "equal shapes, grids and layouts",
            "pad shorter lines with zeros",
        )
    }

    /// The shape of the sum over terms of `L' R`.
    ///
    /// # Errors
    /// `Shape` if there are no terms, or they do not fit.
    pub fn product(
        operation: &'static str,
        terms: &[(Self, Self)],
        lines: Side,
        max_len: usize,
    ) -> Result<Self> {
        let Some(&(first, second)) = terms.first() else {
            return no_terms(operation);
        };
        for (left, right) in terms {
            if ![left, right].iter().all(|x| x.lies(first.layout, max_len)) {
                return unfit(
                    operation,
                    format!("{left} and {right} with {first}"),
                    "one layout",
                    "encrypt all factors in one layout, packed for the cheapest products",
                );
            }
            if left.lines != right.lines || left.padded != right.padded {
                return unfit(
                    operation,
                    format!("{left} and {right}"),
                    "equally many lines on one grid",
                    "pad the shorter lines with zeros",
                );
            }
            let grid = (left.len, right.len, left.padded);
            if grid != (first.len, second.len, first.padded) {
                return unfit(
                    operation,
                    format!("a term of {left} and {right} after one of {first} and {second}"),
                    "factors of the same lengths in every term",
                    "pad the shorter lines with zeros",
                );
            }
        }
        let (lines, len) = match lines {
            Side::Left => (first.len, second.len),
            Side::Right => (second.len, first.len),
        };
        Ok(Self {
            lines,
            len,
            padded: first.padded,
            layout: Lines::Packed,
        })
    }

    /// The shape of the sum over terms of plain weights (`rows`, `cols`) times lines.
    ///
    /// # Errors
    /// `Shape` if there are no terms, or they do not fit.
    pub fn plain_product(
        operation: &'static str,
        terms: &[(usize, usize, Self)],
        max_len: usize,
    ) -> Result<Self> {
        let Some(&(rows, _, first)) = terms.first() else {
            return no_terms(operation);
        };
        for (r, cols, shape) in terms {
            if *cols != shape.lines {
                return unfit(
                    operation,
                    format!("{r} x {cols} weights for {shape}"),
                    format!("{} columns", shape.lines),
                    "one column for each line",
                );
            }
            if *r != rows || (shape.len, shape.padded) != (first.len, first.padded) {
                return unfit(
                    operation,
                    format!("a term of {r} rows and {shape} after one of {rows} rows and {first}"),
                    "as many rows and lines of the same length in every term",
                    "pad with zeros",
                );
            }
        }
        Self {
            lines: rows,
            layout: Lines::Single,
            ..first
        }
        .countable(operation, max_len)
    }

    /// The shape of the transpose.
    ///
    /// # Errors
    /// `Shape` if there are more lines than positions on the grid, or they are not packed.
    pub fn transposed(&self, operation: &'static str, max_len: usize) -> Result<Self> {
        if !self.lies(Lines::Packed, max_len) {
            return unfit(
                operation,
                self,
                "packed lines",
                "encrypt with `Lines::Packed`",
            );
        }
        if self.lines > self.padded {
            return unfit(
                operation,
                self,
                format!("at most {} lines", self.padded),
                "cut the block, or pad its lines to the next power of two",
            );
        }
        Ok(Self {
            lines: self.len,
            len: self.lines,
            padded: self.padded,
            layout: Lines::Packed,
        })
    }

    /// Writes the shape: lines, length, grid, layout (25 bytes).
    pub fn write(&self, writer: &mut Writer) {
        writer.u64(self.lines as u64);
        writer.u64(self.len as u64);
        writer.u64(self.padded as u64);
        writer.u8(match self.layout {
            Lines::Packed => 0,
            Lines::Single => 1,
        });
    }

    /// Reads what [`write`](Self::write) wrote, and checks that such a block may exist. Nothing is allocated.
    ///
    /// # Errors
    /// `Wire`.
    pub fn read(reader: &mut Reader<'_>, max_len: usize) -> Result<Self> {
        let [lines, len, padded] = [reader.u64()?, reader.u64()?, reader.u64()?];
        let layout = match reader.u8()? {
            0 => Lines::Packed,
            1 => Lines::Single,
            other => return Err(reader.error(format!("layout {other}"), "0 or 1")),
        };
        let shape = (|| {
            let part = |x: u64| usize::try_from(x).ok();
            let (lines, len, padded) = (part(lines)?, part(len)?, part(padded)?);
            let shape = Self::new("read_block", lines, len, layout, max_len).ok()?;
            shape.on_grid("read_block", Some(padded), max_len).ok()
        })();
        shape.ok_or_else(|| {
            reader.error(
                format!("{lines} lines of {len} values on a grid of {padded}"),
                format!("lines of 1 to {max_len} values on a grid of a power of two"),
            )
        })
    }

    fn countable(self, operation: &'static str, max_len: usize) -> Result<Self> {
        Self::new(operation, self.lines, self.len, self.layout, max_len)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(lines: usize, len: usize, layout: Lines) -> BlockShape {
        BlockShape::new("test", lines, len, layout, 64).unwrap()
    }

    #[test]
    fn lines_fill_ciphertexts() {
        let packed = shape(5, 17, Lines::Packed);
        assert_eq!(
            (
                packed.padded,
                packed.lines_per_ciphertext(64),
                packed.ciphertexts(64)
            ),
            (32, 2, 3)
        );
        let single = shape(5, 17, Lines::Single);
        assert_eq!(
            (single.lines_per_ciphertext(64), single.ciphertexts(64)),
            (1, 5)
        );
        assert!(!single.lies(Lines::Packed, 64));
        assert!(shape(5, 33, Lines::Single).lies(Lines::Packed, 64));
        assert_eq!(
            packed.to_string(),
            "5 packed lines of 17 values on a grid of 32"
        );
    }

    #[test]
    fn shapes_that_do_not_exist() {
        for (lines, len) in [
            (0, 3),
            (3, 0),
            (1, 65),
            (usize::MAX, 2),
            (usize::MAX / 64, 1),
        ] {
            let result = BlockShape::new("test", lines, len, Lines::Packed, 64);
            assert!(
                matches!(
                    result,
                    Err(Error::Shape {
                        operation: "test",
                        ..
                    })
                ),
                "{lines} {len}"
            );
        }
        for (values, lines) in [(7, 2), (7, 0), (0, 0), (0, 3)] {
            let result = BlockShape::of_values("test", values, lines, Lines::Packed, 64);
            assert!(
                matches!(result, Err(Error::Shape { .. })),
                "{values} {lines}"
            );
        }
    }

    #[test]
    fn grids() {
        let x = shape(2, 17, Lines::Packed);
        assert_eq!(x.on_grid("test", None, 64).unwrap(), x);
        for padded in [32, 64] {
            assert_eq!(x.on_grid("test", Some(padded), 64).unwrap().padded, padded);
        }
        for padded in [0, 16, 48, 128] {
            let result = x.on_grid("test", Some(padded), 64);
            assert!(matches!(result, Err(Error::Shape { .. })), "{padded}");
        }
    }

    #[test]
    fn products_and_transposes() {
        let (l, r) = (shape(5, 17, Lines::Packed), shape(5, 30, Lines::Packed));
        let left = BlockShape::product("test", &[(l, r)], Side::Left, 64).unwrap();
        assert_eq!((left.lines, left.len, left.padded), (17, 30, 32));
        let right = BlockShape::product("test", &[(l, r), (l, r)], Side::Right, 64).unwrap();
        assert_eq!((right.lines, right.len, right.padded), (30, 17, 32));
        let back = l.transposed("test", 64).unwrap();
        assert_eq!((back.lines, back.len, back.padded), (17, 5, 32));
        let bad = [
            vec![],
            vec![(l, shape(4, 30, Lines::Packed))],
            vec![(l, shape(5, 3, Lines::Packed))],
            vec![(l, shape(5, 30, Lines::Single))],
            vec![(l, r), (l, shape(5, 29, Lines::Packed))],
        ];
        for terms in bad {
            let result = BlockShape::product("test", &terms, Side::Left, 64);
            assert!(matches!(result, Err(Error::Shape { .. })), "{terms:?}");
        }
        let many = shape(33, 20, Lines::Packed);
        assert!(matches!(
            many.transposed("test", 64),
            Err(Error::Shape { .. })
        ));
        assert!(BlockShape::plain_product("test", &[(9, 5, r)], 64).is_ok());
        let x = shape(5, 30, Lines::Single);
        assert!(BlockShape::product("test", &[(x, x)], Side::Left, 64).is_ok());
        let plain = BlockShape::plain_product("test", &[(9, 5, x)], 64).unwrap();
        assert_eq!(
            (plain.lines, plain.len, plain.layout),
            (9, 30, Lines::Single)
        );
        for terms in [vec![], vec![(9, 4, x)], vec![(9, 5, x), (8, 5, x)]] {
            let result = BlockShape::plain_product("test", &terms, 64);
            assert!(matches!(result, Err(Error::Shape { .. })), "{terms:?}");
        }
    }
}
