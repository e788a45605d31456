//! Shapes as NumPy has them.

use crate::shape::{check_dims, mismatch};
use cipherblas_scheme::{Error, Result};

/// A shape as Python writes it: `()`, `(3,)`, `(3, 4)`.
pub(super) fn tuple(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => {
            let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("({})", dims.join(", "))
        }
    }
}

/// Refuses shapes of more than two dimensions, empty ones and enormous ones; returns the number of values.
pub(super) fn check_shape(operation: &'static str, shape: &[usize]) -> Result<usize> {
    if shape.len() > 2 {
        return Err(mismatch(
            operation,
            format!("shape {}", tuple(shape)),
            "at most two dimensions",
            "reshape to two dimensions first",
        ));
    }
    let [rows, cols] = as_matrix(shape);
    check_dims(operation, rows, cols).map_err(|e| match e {
        Error::Shape {
            operation,
            expected,
            hint,
            ..
        } => mismatch(operation, format!("shape {}", tuple(shape)), expected, hint),
        e => e,
    })
}

/// Rows and columns: a vector is a row, a scalar one value.
pub(super) fn as_matrix(shape: &[usize]) -> [usize; 2] {
    match *shape {
        [rows, cols] => [rows, cols],
        [n] => [1, n],
        _ => [1, 1],
    }
}

/// NumPy's rule: dimensions are equal from the right, or one of them is 1 or missing.
pub(super) fn broadcast(operation: &'static str, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(ndim)
            .map_or(1, |at| shape[at])
    };
    let shape: Vec<usize> = (0..ndim)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(mismatch(
                operation,
                format!("{} and {}", tuple(a), tuple(b)),
                "shapes that broadcast: from the right, equal dimensions, or one of them 1",
                "reshape one of them, e.g. to (n, 1) to go along the rows",
            )),
        })
        .collect::<Result<_>>()?;
    check_shape(operation, &shape)?;
    Ok(shape)
}

/// Plain row-major values of one shape, repeated to another that it broadcasts to.
pub(super) fn expand<V: Copy>(data: &[V], from: &[usize], to: &[usize]) -> Vec<V> {
    let ([r, c], [rows, cols]) = (as_matrix(from), as_matrix(to));
    let at = |i: usize, n: usize| if n == 1 { 0 } else { i };
    (0..rows)
        .flat_map(|i| (0..cols).map(move |j| data[at(i, r) * c + at(j, c)]))
        .collect()
}

/// Names the operation that was asked for in errors that come from its parts.
pub(super) fn named<T>(operation: &'static str, result: Result<T>) -> Result<T> {
    result.map_err(|e| match e {
        Error::Depth { needed, left, .. } => Error::Depth {
            operation,
            needed,
            left,
        },
        Error::MissingKey { key, .. } => Error::MissingKey { operation, key },
        e => e,
    })
}
