//! Errors of the Rust crates as the exceptions of `cipherblas.errors`.

use cipherblas::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The class, what it is about, what was got, what was expected, what to do.
struct Parts {
    class: &'static str,
    operation: Option<String>,
    got: Option<String>,
    expected: Option<String>,
    hint: String,
    message: String,
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || py.import("cipherblas.errors").map(Bound::unbind))?
        .bind(py)
        .getattr(name)
}

/// Hints of the crates name builders of Rust; these name what a Python user types.
fn parts(error: &Error) -> Parts {
    let (class, operation, got, expected, hint) = match error {
        Error::Parameter {
            what,
            got,
            expected,
            hint,
        } => (
            "ParameterError",
            Some((*what).to_owned()),
            Some(got.clone()),
            Some(expected.clone()),
            (*hint).to_owned(),
        ),
        Error::Shape {
            operation,
            got,
            expected,
            hint,
        } => (
            "ShapeError",
            Some((*operation).to_owned()),
            Some(got.clone()),
            Some(expected.clone()),
            (*hint).to_owned(),
        ),
        Error::Depth {
            operation,
            needed,
            left,
        } => {
            let hint = "make parameters with more `depth`, or encrypt at a greater one";
            return Parts {
                class: "DepthError",
                operation: Some((*operation).to_owned()),
                got: Some(format!("{left} level(s) left")),
                expected: Some(format!("{needed} level(s)")),
                hint: hint.into(),
                message: format!(
                    "{operation} takes {needed} level(s) of depth, {left} left; {hint}"
                ),
            };
        }
        Error::MissingKey { operation, key } => {
            let hint = "bind the array to evaluation keys (`sk.encrypt(x, ek)`, `x.bind(ek)`) that have it: `sk.evaluation_keys()` \
                        has all, `shapes=` and `plan=` narrow it";
            return Parts {
                class: "MissingKeyError",
                operation: Some((*operation).to_owned()),
                got: None,
                expected: Some(key.clone()),
                hint: hint.into(),
                message: format!(
                    "{operation} needs the {key}, which this array's evaluation keys do not hold; {hint}"
                ),
            };
        }
        Error::KeyMismatch {
            operation,
            got,
            expected,
        } => {
            let hint = "load and combine arrays with the keys that they were encrypted under";
            (
                "KeyMismatchError",
                Some((*operation).to_owned()),
                Some(got.clone()),
                Some(expected.clone()),
                hint.to_owned(),
            )
        }
        Error::Wire {
            what,
            got,
            expected,
        } => {
            let hint = "the bytes are truncated, altered, or of another kind";
            (
                "WireError",
                Some((*what).to_owned()),
                Some(got.clone()),
                Some(expected.clone()),
                hint.to_owned(),
            )
        }
        Error::Value {
            index,
            got,
            expected,
            hint,
        } => (
            "EncodingError",
            Some(format!("value at index {index}")),
            Some(got.clone()),
            Some(expected.clone()),
            (*hint).to_owned(),
        ),
        Error::Overflow {
            operation,
            bound,
            capacity,
        } => {
            let hint = "declare the bound of the data at encryption (`sk.encrypt(x, ek, bound=...)`; undeclared, it is the largest \
                        value there is), or make parameters for larger results (`plaintext_bits` for BFV, `integer_bits` for \
                        Paillier)";
            return Parts {
                class: "OverflowError",
                operation: Some((*operation).to_owned()),
                got: Some(bound.clone()),
                expected: Some(format!("at most {capacity}")),
                hint: hint.into(),
                message: format!(
                    "the result of {operation} may be as large as {bound}, and plaintexts hold {capacity}; {hint}"
                ),
            };
        }
        Error::Noise {
            operation,
            bound_bits,
            limit_bits,
        } => {
            let hint = "add up fewer terms, multiply before adding, or make parameters with more `headroom_bits` or `depth`";
            return Parts {
                class: "NoiseError",
                operation: Some((*operation).to_owned()),
                got: Some(format!("{bound_bits:.1} bits")),
                expected: Some(format!("at most {limit_bits:.1} bits")),
                hint: hint.into(),
                message: format!(
                    "the noise of the result of {operation} may reach {bound_bits:.1} bits, and decryption takes {limit_bits:.1}; {hint}"
                ),
            };
        }
        Error::Unsupported {
            scheme,
            operation,
            hint,
        } => {
            return Parts {
                class: "UnsupportedError",
                operation: Some((*operation).to_owned()),
                got: Some((*scheme).to_owned()),
                expected: None,
                hint: (*hint).to_owned(),
                message: error.to_string(),
            };
        }
        Error::Sealed => ("PassphraseError", None, None, None, String::new()),
        Error::Io {
            path, operation, ..
        } => (
            "FileError",
            Some((*operation).to_owned()),
            Some(path.clone()),
            None,
            String::new(),
        ),
        // Signals raise for themselves.
        Error::Interrupted => (
            "StoppedError",
            None,
            None,
            None,
            "stopped by the callback; nothing was changed".to_owned(),
        ),
        Error::Decryption => ("DecryptionError", None, None, None, String::new()),
        other => ("CipherblasError", None, None, None, other.to_string()),
    };
    let message = match error {
        Error::KeyMismatch {
            operation,
            got,
            expected,
        } => {
            format!("key mismatch in {operation}: got {got}, expected {expected}; {hint}")
        }
        other => other.to_string(),
    };
    Parts {
        class,
        operation,
        got,
        expected,
        hint,
        message,
    }
}

/// The exception for an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let parts = parts(error);
    build(py, parts).unwrap_or_else(|failure| failure)
}

fn build(py: Python<'_>, parts: Parts) -> PyResult<PyErr> {
    let details = PyDict::new(py);
    details.set_item("operation", parts.operation)?;
    details.set_item("got", parts.got)?;
    details.set_item("expected", parts.expected)?;
    details.set_item("hint", parts.hint)?;
    let exception = class(py, parts.class)?.call((parts.message,), Some(&details))?;
    Ok(PyErr::from_value(exception))
}

/// Something that these arrays cannot do, whatever the scheme.
pub(crate) fn unsupported(
    py: Python<'_>,
    scheme: &'static str,
    operation: &'static str,
    hint: &'static str,
) -> PyErr {
    raise(
        py,
        &Error::Unsupported {
            scheme,
            operation,
            hint,
        },
    )
}

/// `?` on results of the crates.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for cipherblas::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}
