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

impl Parts {
    fn plain(class: &'static str, error: &Error, hint: &str) -> Self {
        Self {
            class,
            operation: None,
            got: None,
            expected: None,
            hint: hint.to_owned(),
            message: error.to_string(),
        }
    }
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || py.import("cipherblas.errors").map(Bound::unbind))?
        .bind(py)
        .getattr(name)
}

/// What the crates call something, and what a user of the package types. The longer ones first.
const WORDS: &[(&str, &str)] = &[
    (
        "choose another name, or replace the file by calling `save_over`",
        "choose another name, or replace the file: `overwrite=True`",
    ),
    (
        "build the parameters with `sharing` for as many shared results as there will be",
        "make parameters with `sharing=` for as many shared results as there will be",
    ),
    (
        "build the parameters with `slots(1)`, or pack so that a ciphertext needs one weight (`combine`)",
        "encrypt with `packing=Packing.spread()`, Paillier's default, or make parameters with `slots=1`",
    ),
    (
        "build the parameters with `slots(1)`",
        "make parameters with `slots=1`",
    ),
    (
        "slots cannot be rotated: encrypt one value to a ciphertext",
        "encrypt one value to a ciphertext: `packing=Packing.spread()`, Paillier's default",
    ),
    (
        "use BFV or CKKS for products of encrypted values",
        "use BFV or CKKS, or decrypt one of them",
    ),
    (
        "encrypt with the packing `Tile::rows` or `Tile::columns`",
        "encrypt with `packing=Packing.rows()` or `Packing.columns()`",
    ),
    (
        "encrypt with the packing `VectorPacking::spread()`: one value to a ciphertext",
        "encrypt with `packing=Packing.spread()`: one value to a ciphertext",
    ),
    (
        "encrypt with `ArrayPacking::Auto`",
        "encrypt with `packing=Packing.auto()`",
    ),
    (
        "an array encrypted with the packing Left or Right",
        "an array encrypted with `Packing.left_factor` or `Packing.right_factor`",
    ),
    (
        "an array encrypted with the packing Diagonal",
        "an array encrypted with `Packing.diagonal()`",
    ),
    (
        "Auto, Spread, Rows, Columns or another tile",
        "`Packing.auto()`, `spread()`, `rows()` or `columns()`",
    ),
    (
        "Auto or Spread; Vector for one dimension; any other for two",
        "`Packing.auto()` or `spread()`; `for_matrix` for one dimension; any other for two",
    ),
    (
        "the two packings of one `BatchPacking::pair`, left and right",
        "`Packing.left_factor(n)` and `Packing.right_factor(m)` of one product",
    ),
    (
        "the two packings of one `Skewed::pair`, left and right",
        "`Packing.left_factor(n)` and `Packing.right_factor(m)` of one product",
    ),
    (
        "encrypt as a row-major tile, or `repack`",
        "encrypt with `packing=Packing.auto()`",
    ),
    (
        "encrypt as a tile, or `repack`",
        "encrypt with `packing=Packing.auto()`",
    ),
    (
        "encrypt both alike, or `repack` one (one level)",
        "encrypt both with the same `packing=`",
    ),
    (
        "encrypt both factors for this product, or `repack` them",
        "encrypt both with `Packing.left_factor(n)` and `Packing.right_factor(m)` of this product, or `Packing.auto()`",
    ),
    (
        "encrypt in the packing that the other operand asks for, or `repack` (one level)",
        "encrypt with the packing that the other operand asks for: `x.row_packing`, `x.column_packing`",
    ),
    ("use `Diagonal::fit`", "use `Packing.diagonal()`"),
    (
        "use `Skewed::pair`",
        "use `Packing.left_factor(n)` and `Packing.right_factor(m)`",
    ),
    (
        "use `BatchPacking::pair`",
        "use `Packing.left_factor(n)` and `Packing.right_factor(m)`",
    ),
    (
        "larger arrays go into EncryptedVector or EncryptedMatrix",
        "or encrypt them as an array",
    ),
    (
        " (first `bind` the matrix to the server's evaluator: it was not yet)",
        "",
    ),
];

/// Names of operations, where they are not those of NumPy.
const OPERATIONS: &[(&str, &str)] = &[
    ("lower_to", "with_depth"),
    ("mul", "multiply"),
    ("mul_plain", "multiply"),
    ("mul_prepared", "multiply"),
    ("mul_scalar", "multiply"),
    ("add_plain", "add"),
    ("sub", "subtract"),
    ("mul_sum", "matmul"),
    ("combine", "matmul"),
    ("rotate_sum", "sum"),
    ("array packing", "packing"),
];

/// What a scheme lacks, by the operation that found it out.
const LACKS: &[(&str, &str)] = &[
    ("mul", "products of encrypted values"),
    ("square", "products of encrypted values"),
    ("mul_sum", "products of encrypted values"),
    ("rotate", "moving values within a ciphertext"),
    ("rotate_sum", "moving values within a ciphertext"),
];

fn replaced<'a>(table: &[(&'static str, &'static str)], name: &'a str) -> &'a str {
    table
        .iter()
        .find(|(from, _)| *from == name)
        .map_or(name, |&(_, to)| to)
}

/// The words of the package for those of the crates.
fn translated(text: &str) -> String {
    let mut text = WORDS
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    // Packings as the crates show them: `Vector(VectorPacking { repeat: 4, period: 4 })`, `Left(3)`.
    for (from, end, to) in [
        (
            "Skewed(Skewed { factor: Left",
            "})",
            "`Packing.left_factor`",
        ),
        (
            "Skewed(Skewed { factor: Right",
            "})",
            "`Packing.right_factor`",
        ),
        ("Diagonal(Diagonal {", "})", "`Packing.diagonal()`"),
        ("Tile(Tile {", "})", "a packing by rows or columns"),
        ("Vector(VectorPacking {", "})", "`Packing.for_matrix`"),
        ("VectorPacking {", "}", "a packing of a vector"),
    ] {
        while let Some(start) = text.find(from)
            && let Some(len) = text[start..].find(end)
        {
            text.replace_range(start..start + len + end.len(), to);
        }
    }
    for (from, to) in [
        ("Left(", "`Packing.left_factor`"),
        ("Right(", "`Packing.right_factor`"),
    ] {
        if text.starts_with(from)
            && let Some(len) = text.find(')')
        {
            text.replace_range(..=len, to);
        }
    }
    for name in ["Rows", "Columns", "Diagonal"] {
        if let Some(rest) = text.strip_prefix(name)
            && rest.starts_with(" for an array")
        {
            text = format!("`Packing.{}()`{rest}", name.to_lowercase());
        }
    }
    text
}

/// The parts of an error, in the words of the package.
fn parts(error: &Error) -> Parts {
    let named = |operation: &'static str| replaced(OPERATIONS, operation).to_owned();
    match error {
        Error::Parameter {
            what,
            got,
            expected,
            hint,
        } => {
            let (got, expected, hint) = (translated(got), translated(expected), translated(hint));
            Parts {
                class: "ParameterError",
                operation: Some((*what).to_owned()),
                message: format!(
                    "invalid parameter {what}: got {got}, expected {expected}; {hint}"
                ),
                got: Some(got),
                expected: Some(expected),
                hint,
            }
        }
        Error::Shape {
            operation,
            got,
            expected,
            hint,
        } => {
            let operation = named(operation);
            let (got, expected, hint) = (translated(got), translated(expected), translated(hint));
            Parts {
                class: "ShapeError",
                message: format!(
                    "{operation}: shapes do not fit: got {got}, expected {expected}; {hint}"
                ),
                operation: Some(operation),
                got: Some(got),
                expected: Some(expected),
                hint,
            }
        }
        Error::Depth {
            operation,
            needed,
            left,
        } => {
            let operation = named(operation);
            let hint = "make parameters with more `depth`, or encrypt at a greater one";
            Parts {
                class: "DepthError",
                got: Some(format!("{left} level(s) left")),
                expected: Some(format!("{needed} level(s)")),
                hint: hint.into(),
                message: format!(
                    "{operation} takes {needed} level(s) of depth, {left} left; {hint}"
                ),
                operation: Some(operation),
            }
        }
        Error::MissingKey { operation, key } => {
            let (operation, key) = (named(operation), translated(key));
            let (message, hint) = if key == "evaluation keys" {
                let hint = "bind the array to evaluation keys: `x.bind(ek)`, at encryption `sk.encrypt(x, ek)`, from bytes \
                            `ek.load(blob)`";
                (
                    format!(
                        "{operation} needs evaluation keys, and the array is not bound to any; {hint}"
                    ),
                    hint,
                )
            } else {
                let hint = "bind the array to evaluation keys that have it: `sk.evaluation_keys()` has all, `shapes=` and `plan=` \
                            narrow it";
                (
                    format!(
                        "{operation} needs the {key}, which this array's evaluation keys do not hold; {hint}"
                    ),
                    hint,
                )
            };
            Parts {
                class: "MissingKeyError",
                operation: Some(operation),
                got: None,
                expected: Some(key),
                hint: hint.into(),
                message,
            }
        }
        Error::KeyMismatch {
            operation,
            got,
            expected,
        } => {
            let operation = named(operation);
            let hint = "load and combine arrays with the keys that they were encrypted under";
            Parts {
                class: "KeyMismatchError",
                message: format!(
                    "key mismatch in {operation}: got {got}, expected {expected}; {hint}"
                ),
                operation: Some(operation),
                got: Some(got.clone()),
                expected: Some(expected.clone()),
                hint: hint.to_owned(),
            }
        }
        Error::Wire {
            what,
            got,
            expected,
        } => Parts {
            class: "WireError",
            operation: Some((*what).to_owned()),
            got: Some(got.clone()),
            expected: Some(expected.clone()),
            hint: "the bytes are truncated, altered, or of another kind".to_owned(),
            message: error.to_string(),
        },
        Error::Value {
            index,
            got,
            expected,
            hint,
        } => {
            let hint = translated(hint);
            Parts {
                class: "EncodingError",
                operation: Some(format!("value at index {index}")),
                message: format!(
                    "value {got} at index {index} cannot be encoded; expected {expected}; {hint}"
                ),
                got: Some(got.clone()),
                expected: Some(expected.clone()),
                hint,
            }
        }
        Error::Overflow {
            operation,
            bound,
            capacity,
        } => {
            let operation = named(operation);
            let hint = "declare the bound of the data at encryption (`sk.encrypt(x, ek, bound=...)`; undeclared, it is the largest \
                        value there is), or make parameters for larger results (`plaintext_bits` for BFV, `integer_bits` for \
                        Paillier)";
            Parts {
                class: "OverflowError",
                got: Some(bound.clone()),
                expected: Some(format!("at most {capacity}")),
                hint: hint.into(),
                message: format!(
                    "the result of {operation} may be as large as {bound}, and plaintexts hold {capacity}; {hint}"
                ),
                operation: Some(operation),
            }
        }
        Error::Noise {
            operation,
            bound_bits,
            limit_bits,
        } => {
            let operation = named(operation);
            let hint = "add up fewer terms, multiply before adding, or make parameters with more `headroom_bits` or `depth`";
            Parts {
                class: "NoiseError",
                got: Some(format!("{bound_bits:.1} bits")),
                expected: Some(format!("at most {limit_bits:.1} bits")),
                hint: hint.into(),
                message: format!(
                    "the noise of the result of {operation} may reach {bound_bits:.1} bits, and decryption takes {limit_bits:.1}; {hint}"
                ),
                operation: Some(operation),
            }
        }
        Error::Unsupported {
            scheme,
            operation,
            hint,
        } => {
            let operation = replaced(LACKS, operation).to_owned();
            let hint = translated(hint);
            Parts {
                class: "UnsupportedError",
                message: format!("{scheme} does not support {operation}; {hint}"),
                operation: Some(operation),
                got: Some((*scheme).to_owned()),
                expected: None,
                hint,
            }
        }
        Error::Sealed => Parts::plain("PassphraseError", error, ""),
        Error::Io {
            path, operation, ..
        } => Parts {
            operation: Some((*operation).to_owned()),
            got: Some(path.clone()),
            ..Parts::plain("FileError", error, "")
        },
        // Signals raise for themselves.
        Error::Interrupted => Parts::plain(
            "StoppedError",
            error,
            "stopped by the callback; nothing was changed",
        ),
        Error::Decryption => {
            let hint = "results have to stay below `params.max_value`: make parameters with more `integer_bits`; \
                        `x.magnitude_bound` and `cb.plan` tell how large they may get";
            Parts {
                message: format!("{error}; {hint}"),
                ..Parts::plain("DecryptionError", error, hint)
            }
        }
        other => Parts::plain("CipherblasError", other, &other.to_string()),
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
