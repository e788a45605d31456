//! NumPy arrays in and out. Reading copies nothing; the package hands over contiguous arrays of the scheme's own type.

use cipherblas::linalg::array::PlainArray;
use numpy::{Element, IntoPyArray, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A plain operand, contiguous in C order.
pub(crate) enum Plain<'py> {
    Real(PyReadonlyArrayDyn<'py, f64>),
    Integer(PyReadonlyArrayDyn<'py, i64>),
}

impl<'py> FromPyObject<'_, 'py> for Plain<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.extract::<PyReadonlyArrayDyn<'py, f64>>() {
            return Ok(Self::Real(array));
        }
        object
            .extract::<PyReadonlyArrayDyn<'py, i64>>()
            .map(Self::Integer)
            .map_err(|_| PyTypeError::new_err("expected a float64 or int64 array in C order"))
    }
}

/// A value type of a scheme, as NumPy has it.
pub(crate) trait Number: cipherblas::scheme::Value + Element {
    /// The array of a plain operand, if it is of this type.
    fn of<'a, 'py>(plain: &'a Plain<'py>) -> Option<&'a PyReadonlyArrayDyn<'py, Self>>;
}

impl Number for f64 {
    fn of<'a, 'py>(plain: &'a Plain<'py>) -> Option<&'a PyReadonlyArrayDyn<'py, Self>> {
        match plain {
            Plain::Real(array) => Some(array),
            Plain::Integer(_) => None,
        }
    }
}

impl Number for i64 {
    fn of<'a, 'py>(plain: &'a Plain<'py>) -> Option<&'a PyReadonlyArrayDyn<'py, Self>> {
        match plain {
            Plain::Integer(array) => Some(array),
            Plain::Real(_) => None,
        }
    }
}

/// Shape and values, borrowed from the array.
pub(crate) struct View<'a, V> {
    shape: Vec<usize>,
    data: &'a [V],
}

impl<V: cipherblas::scheme::Value> View<'_, V> {
    pub(crate) fn array(&self) -> cipherblas::Result<PlainArray<'_, V>> {
        PlainArray::new(&self.shape, self.data)
    }
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }
    pub(crate) fn data(&self) -> &[V] {
        self.data
    }
}

impl Plain<'_> {
    /// The operand as values of `V`.
    pub(crate) fn view<V: Number>(&self) -> PyResult<View<'_, V>> {
        let array = V::of(self)
            .ok_or_else(|| PyTypeError::new_err("the array is not of the scheme's type"))?;
        let data = array
            .as_slice()
            .map_err(|_| PyTypeError::new_err("expected an array in C order"))?;
        Ok(View {
            shape: array.shape().to_vec(),
            data,
        })
    }
}

/// Values as an array of the given shape; they are moved, not copied.
pub(crate) fn to_numpy<'py, V: Element>(
    py: Python<'py>,
    shape: Vec<usize>,
    values: Vec<V>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(values.into_pyarray(py).reshape(shape)?.into_any())
}
