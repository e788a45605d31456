//! A borrowed, validated table of plain numbers: what the owner has before encryption.

use cipherblas_scheme::{Error, Result};

/// A row-major table of finite numbers, `rows` samples by `cols` features, neither zero.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    rows: usize,
    cols: usize,
    data: &'a [f64],
}

impl<'a> Table<'a> {
    /// `data[r * cols + c]` is feature `c` of sample `r`.
    ///
    /// # Errors
    /// `Shape` if a dimension is zero or the length is not `rows * cols`; `Value` for NaN or infinity.
    pub fn new(rows: usize, cols: usize, data: &'a [f64]) -> Result<Self> {
        if rows == 0 || cols == 0 || rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::Shape {
                operation: "table",
                got: format!("{rows} x {cols} with {} values", data.len()),
                expected: "rows x cols values, neither zero".into(),
                hint: "pass samples in rows and features in columns, row after row",
            });
        }
        check_finite(data)?;
        Ok(Self { rows, cols, data })
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All values, row-major.
    pub fn data(&self) -> &'a [f64] {
        self.data
    }

    /// One sample.
    ///
    /// # Panics
    /// If `r >= rows`.
    pub fn row(&self, r: usize) -> &'a [f64] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }

    /// All samples in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'a, f64> {
        self.data.chunks_exact(self.cols)
    }

    /// Checks that one target per row is given and that all are finite.
    pub(crate) fn check_targets(&self, operation: &'static str, y: &[f64]) -> Result<()> {
        if y.len() != self.rows {
            return Err(Error::Shape {
                operation,
                got: format!("{} rows and {} targets", self.rows, y.len()),
                expected: "one target per row".into(),
                hint: "pass as many targets as the table has rows",
            });
        }
        check_finite(y)
    }

    /// Checks the number of features against what a model or scaler was fitted on.
    pub(crate) fn check_features(&self, operation: &'static str, features: usize) -> Result<()> {
        if self.cols == features {
            return Ok(());
        }
        Err(features_differ(operation, self.cols, features))
    }
}

/// The error for a wrong number of features.
pub(crate) fn features_differ(operation: &'static str, got: usize, expected: usize) -> Error {
    Error::Shape {
        operation,
        got: format!("{got} features"),
        expected: format!("{expected} features"),
        hint: "pass the features that it was fitted on, in the same order",
    }
}

/// Checks that every label is 0 or 1.
pub(crate) fn check_labels(y: &[f64]) -> Result<()> {
    match y.iter().position(|&v| v != 0.0 && v != 1.0) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: y[index].to_string(),
            expected: "0 or 1".into(),
            hint: "encode the two classes as 0 and 1",
        }),
    }
}

/// Checks that every value is a number.
pub(crate) fn check_finite(values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: values[index].to_string(),
            expected: "a finite number".into(),
            hint: "drop or impute missing values before fitting",
        }),
    }
}

/// Checks that a hyper-parameter is finite and not below `least` (or above it, if `strict`).
pub(crate) fn check_parameter(
    what: &'static str,
    value: f64,
    least: f64,
    strict: bool,
) -> Result<()> {
    if value.is_finite() && value >= least && !(strict && value == least) {
        return Ok(());
    }
    Err(Error::Parameter {
        what,
        got: value.to_string(),
        expected: format!(
            "a finite number {} {least}",
            if strict { "above" } else { "of at least" }
        ),
        hint: "see the documentation of the parameter for its unit",
    })
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_ragged_empty_and_non_finite() {
        assert!(
            matches!(Table::new(2, 2, &[1.0; 3]), Err(Error::Shape { got, .. }) if got == "2 x 2 with 3 values")
        );
        assert!(matches!(Table::new(0, 2, &[]), Err(Error::Shape { .. })));
        assert!(matches!(
            Table::new(usize::MAX, 2, &[1.0]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            Table::new(1, 2, &[1.0, f64::NAN]),
            Err(Error::Value { index: 1, .. })
        ));
        let data = [1.0, 2.0];
        let table = Table::new(2, 1, &data).unwrap();
        assert!(matches!(
            table.check_targets("fit", &[1.0]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            check_labels(&[0.0, 2.0]),
            Err(Error::Value { index: 1, .. })
        ));
        assert!(check_labels(&[0.0, 1.0]).is_ok());
    }

    #[test]
    fn parameters_have_borders() {
        assert!(check_parameter("l2", 0.0, 0.0, false).is_ok());
        assert!(check_parameter("l2", 0.0, 0.0, true).is_err());
        assert!(check_parameter("l2", f64::NAN, 0.0, false).is_err());
        assert!(check_parameter("l2", f64::INFINITY, 0.0, false).is_err());
    }
}
