//! Matrices in slices, with any distance between rows and between columns.

use crate::error::{MathError, Result};
use std::marker::PhantomData;

/// A `rows x cols` matrix whose entry `(i, j)` is at `i * row_stride + j * col_stride` of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// One more than the largest index, 0 for an empty matrix, `None` if that overflows.
fn extent(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Option<usize> {
    if rows == 0 || cols == 0 {
        return Some(0);
    }
    let down = (rows - 1).checked_mul(row_stride)?;
    let across = (cols - 1).checked_mul(col_stride)?;
    down.checked_add(across)?.checked_add(1)
}

fn check(
    length: usize,
    (rows, cols): (usize, usize),
    (row_stride, col_stride): (usize, usize),
) -> Result<()> {
    match extent(rows, cols, row_stride, col_stride) {
        Some(extent) if extent <= length => Ok(()),
        extent => Err(MathError::Parameter {
            operation: "matrix view",
            got: format!(
                "{rows} x {cols} with strides {row_stride} and {col_stride} in {length} values"
            ),
            expected: match extent {
                Some(extent) => format!("at least {extent} values"),
                None => "a size that the machine can address".into(),
            },
            hint: "pass the whole matrix, or smaller strides",
        }),
    }
}

impl<'a, T> Strided<'a, T> {
    /// A view with the given distances, in values, between rows and between columns.
    ///
    /// # Errors
    /// [`MathError::Parameter`] if the last entry is outside of `data`.
    pub fn new(
        data: &'a [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self> {
        check(data.len(), (rows, cols), (row_stride, col_stride))?;
        Ok(Self {
            data,
            rows,
            cols,
            row_stride,
            col_stride,
        })
    }

    /// Row after row.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn row_major(data: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        Self::new(data, rows, cols, cols, 1)
    }

    /// The transpose: the same values.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between rows.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Distance between columns.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The values that the view lies in.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// The entry `(i, j)`.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, i: usize, j: usize) -> &'a T {
        assert!(i < self.rows && j < self.cols, "matrix view: ({i}, {j})");
        &self.data[i * self.row_stride + j * self.col_stride]
    }
}

/// As [`Strided`], for writing. No two entries share a place.
#[derive(Debug)]
pub struct StridedMut<'a, T> {
    data: *mut T,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: a `StridedMut` is an exclusive borrow of a slice.
unsafe impl<T: Send> Send for StridedMut<'_, T> {}
// SAFETY: a shared `StridedMut` gives access only through `tiles`, whose callers write disjoint entries.
unsafe impl<T: Send + Sync> Sync for StridedMut<'_, T> {}

impl<'a, T> StridedMut<'a, T> {
    /// A view with the given distances, in values, between rows and between columns.
    ///
    /// # Errors
    /// [`MathError::Parameter`] if the last entry is outside of `data`, or two entries are at the same place.
    pub fn new(
        data: &'a mut [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self> {
        check(data.len(), (rows, cols), (row_stride, col_stride))?;
        let apart = |count: usize, stride: usize, other: usize, others: usize| {
            (others <= 1 || other > 0)
                && (count <= 1 || stride > 0)
                && (count <= 1 || others <= 1 || (others - 1) * other < stride)
        };
        let disjoint = rows == 0
            || cols == 0
            || apart(rows, row_stride, col_stride, cols)
            || apart(cols, col_stride, row_stride, rows);
        if !disjoint {
            return Err(MathError::Parameter {
                operation: "matrix view",
                got: format!("{rows} x {cols} with strides {row_stride} and {col_stride}"),
                expected: "rows that end before the next begins, or such columns".into(),
                hint: "results need a place each",
            });
        }
        Ok(Self {
            data: data.as_mut_ptr(),
            rows,
            cols,
            row_stride,
            col_stride,
            lifetime: PhantomData,
        })
    }

    /// Row after row.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn row_major(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self> {
        Self::new(data, rows, cols, cols, 1)
    }

    /// The transpose: the same places.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between rows.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Distance between columns.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The place of the entry `(i, j)`.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&mut self, i: usize, j: usize) -> &mut T {
        // SAFETY: the borrow is exclusive.
        unsafe { &mut *self.place(i, j) }
    }

    /// A pointer to the entry `(i, j)`, valid for the view's lifetime; those of different entries do not overlap.
    pub(crate) fn place(&self, i: usize, j: usize) -> *mut T {
        assert!(i < self.rows && j < self.cols, "matrix view: ({i}, {j})");
        // SAFETY: in bounds by the check of the constructor.
        unsafe { self.data.add(i * self.row_stride + j * self.col_stride) }
    }
}
