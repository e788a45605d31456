//! Dimensions: validation and the errors of shapes that do not fit.

use cipherblas_scheme::{Error, Result};

/// An axis of a matrix, by what a reduction over it runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Axis 0: the reduction runs over the rows and leaves one value per column.
    Rows,
    /// Axis 1: the reduction runs over the columns and leaves one value per row.
    Columns,
}

/// Builds an [`Error::Shape`].
pub(crate) fn mismatch(
    operation: &'static str,
    got: impl Into<String>,
    expected: impl Into<String>,
    hint: &'static str,
) -> Error {
    Error::Shape {
        operation,
        got: got.into(),
        expected: expected.into(),
        hint,
    }
}

/// Refuses an empty vector.
pub(crate) fn check_len(operation: &'static str, len: usize) -> Result<()> {
    if len == 0 {
        return Err(mismatch(
            operation,
            "length 0",
            "at least one value",
            "empty arrays have no encryption; leave them out",
        ));
    }
    Ok(())
}

/// Refuses an empty matrix, and one whose size does not fit in memory; returns `rows * cols`.
pub(crate) fn check_dims(operation: &'static str, rows: usize, cols: usize) -> Result<usize> {
    if rows == 0 || cols == 0 {
        return Err(mismatch(
            operation,
            format!("{rows} x {cols}"),
            "at least one row and one column",
            "empty arrays have no encryption; leave them out",
        ));
    }
    rows.checked_mul(cols)
        .filter(|&n| n <= isize::MAX as usize / 8)
        .ok_or_else(|| {
            mismatch(
                operation,
                format!("{rows} x {cols}"),
                "a matrix that fits in memory",
                "check the order of the dimensions",
            )
        })
}

/// Refuses row-major data of the wrong length.
pub(crate) fn check_data(
    operation: &'static str,
    rows: usize,
    cols: usize,
    len: usize,
) -> Result<()> {
    if check_dims(operation, rows, cols)? != len {
        return Err(mismatch(
            operation,
            format!("{len} values for {rows} x {cols}"),
            format!("{} values", rows * cols),
            "pass all values, row by row",
        ));
    }
    Ok(())
}

/// The smallest power of two that is at least `n` (`n >= 1`).
pub(crate) fn padded(operation: &'static str, n: usize) -> Result<usize> {
    n.checked_next_power_of_two().ok_or_else(|| {
        mismatch(
            operation,
            n.to_string(),
            "a dimension that fits in memory",
            "check the order of the dimensions",
        )
    })
}

/// `1, 2, 4, ..., n/2`, each times `stride`: the steps of a doubling sum over `n` positions.
pub(crate) fn doublings(n: usize, stride: usize) -> impl DoubleEndedIterator<Item = i64> {
    (0..n.trailing_zeros()).map(move |b| ((1usize << b) * stride) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_huge_are_refused() {
        assert!(matches!(check_len("x", 0), Err(Error::Shape { .. })));
        for (r, c) in [(0, 3), (3, 0), (usize::MAX, 2), (1 << 40, 1 << 40)] {
            match check_dims("x", r, c) {
                Err(Error::Shape { got, .. }) => assert_eq!(got, format!("{r} x {c}")),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(check_dims("x", 3, 5).unwrap(), 15);
        match check_data("x", 3, 5, 14) {
            Err(Error::Shape { got, expected, .. }) => {
                assert_eq!(
                    (got.as_str(), expected.as_str()),
                    ("14 values for 3 x 5", "15 values")
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(padded("x", usize::MAX).is_err());
        assert_eq!(doublings(8, 3).collect::<Vec<_>>(), [3, 6, 12]);
        assert_eq!(doublings(1, 3).count(), 0);
    }
}
