//! Bytes in: whatever the package has viewed as a one-dimensional array of bytes, read-only or not, at any address.

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Borrowed bytes; nothing is copied.
pub(crate) struct Bytes<'py>(PyReadonlyArray1<'py, u8>);

impl<'py> FromPyObject<'_, 'py> for Bytes<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array: PyReadonlyArray1<'py, u8> = object
            .extract()
            .map_err(|_| PyTypeError::new_err("expected a contiguous array of bytes"))?;
        if !array.is_c_contiguous() {
            return Err(PyTypeError::new_err("expected a contiguous array of bytes"));
        }
        Ok(Self(array))
    }
}

impl Bytes<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        // Contiguous: checked above.
        self.0.as_slice().unwrap_or_default()
    }
}
