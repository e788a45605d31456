/// The result of every fallible call in the workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: what was got, what was expected, and what to do about it.
///
/// The variants are the classes of exception that the Python package raises.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Parameters that do not exist, do not fit together, or are not secure.
    #[error("invalid parameter {what}: got {got}, expected {expected}; {hint}")]
    Parameter {
        /// The parameter's name.
        what: &'static str,
        /// The value that was given.
        got: String,
        /// What would have been accepted.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// Shapes that do not fit the operation.
    #[error("{operation}: shapes do not fit: got {got}, expected {expected}; {hint}")]
    Shape {
        /// The operation that was asked for.
        operation: &'static str,
        /// The shapes that were given.
        got: String,
        /// What would have been accepted.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// Not enough multiplicative depth is left.
    #[error(
        "{operation} takes {needed} level(s), {left} left; use parameters with more `depth`, or encrypt at a greater one (`EncryptOptions::depth`, for matrices in blocks `BlockOptions::depth`)"
    )]
    Depth {
        /// The operation that was asked for.
        operation: &'static str,
        /// Levels that the operation consumes.
        needed: usize,
        /// Levels that are left.
        left: usize,
    },
    /// An evaluation key that was not generated.
    #[error(
        "{operation} needs the {key}, which this evaluator does not hold; make the keys from the plan that lists it, and `bind` arrays to the evaluator that has them"
    )]
    MissingKey {
        /// The operation that was asked for.
        operation: &'static str,
        /// The missing key, e.g. `Galois key for rotation by 3`.
        key: String,
    },
    /// Data under one key met data or keys of another.
    #[error(
        "key mismatch in {operation}: got {got}, expected {expected}; load the object with the keys it was made under"
    )]
    KeyMismatch {
        /// The operation that was asked for.
        operation: &'static str,
        /// The identifier found.
        got: String,
        /// The identifier expected.
        expected: String,
    },
    /// Bytes that are not what they claim to be.
    #[error(
        "malformed {what}: got {got}, expected {expected}; the bytes are truncated, altered, or of another kind"
    )]
    Wire {
        /// What was being read.
        what: &'static str,
        /// What was found.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// A value that cannot be encoded: NaN, infinite, or beyond the range.
    #[error("value {got} at index {index} cannot be encoded; expected {expected}; {hint}")]
    Value {
        /// Position in the input.
        index: usize,
        /// The value.
        got: String,
        /// The range.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// The values of a result may be larger than a plaintext holds, by the bounds declared at encryption.
    #[error(
        "the result of {operation} may be as large as {bound}, and plaintexts hold {capacity}; declare the bound of the data at encryption (`EncryptOptions::bound`, for matrices in blocks `BlockOptions::bound`; undeclared, it is the largest value there is, or the parameters' `bound`), or build parameters for larger results: more `plaintext_bits` (BFV), `integer_bits` (Paillier), `inner` or `bound` (matrices of CKKS)"
    )]
    Overflow {
        /// The operation that was asked for.
        operation: &'static str,
        /// Bound on the absolute values of the result.
        bound: String,
        /// The largest absolute value.
        capacity: String,
    },
    /// The noise of a result may be more than decryption can take, by its bound.
    #[error(
        "the noise of the result of {operation} may reach {bound_bits:.1} bits, and decryption takes {limit_bits:.1}; add up fewer terms, multiply before adding, or build parameters with more `headroom_bits` or `depth` (matrices: with a larger `inner`)"
    )]
    Noise {
        /// The operation that was asked for.
        operation: &'static str,
        /// log2 of the bound on the noise.
        bound_bits: f64,
        /// log2 of what decrypts.
        limit_bits: f64,
    },
    /// Something that the scheme cannot do.
    #[error("{scheme} does not support {operation}; {hint}")]
    Unsupported {
        /// The scheme's name.
        scheme: &'static str,
        /// The operation that was asked for.
        operation: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The one error for whatever fails after decryption: no detail, so that it is no oracle.
    #[error(
        "decryption failed: the ciphertext is not a valid result under this key, or its values are beyond the declared range"
    )]
    Decryption,
    /// The one error for a sealed secret key that does not open: no detail, so that it is no oracle.
    #[error("the secret key cannot be opened: wrong passphrase or damaged file")]
    Sealed,
    /// A file that cannot be read or written.
    #[error("cannot {operation} {path}: {message}")]
    Io {
        /// The file.
        path: String,
        /// What was tried: `read`, `write`.
        operation: &'static str,
        /// What the operating system says.
        message: String,
    },
    /// The caller asked for the computation to stop.
    #[error("interrupted by the caller; nothing was changed")]
    Interrupted,
}

/// The message: programs whose `main` returns an error print this.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the scheme, one of the hints is an option that it has.
    #[test]
    fn hints_name_the_options_of_matrices_too() {
        let depth = Error::Depth {
            operation: "gemm_tn",
            needed: 1,
            left: 0,
        };
        let overflow = Error::Overflow {
            operation: "gemm_tn",
            bound: "3".into(),
            capacity: "2".into(),
        };
        let noise = Error::Noise {
            operation: "gemm_tn",
            bound_bits: 3.0,
            limit_bits: 2.0,
        };
        for (error, options) in [
            (depth, &["EncryptOptions::depth", "BlockOptions::depth"][..]),
            (overflow, &["BlockOptions::bound", "`inner` or `bound`"]),
            (noise, &["headroom_bits", "`inner`"]),
        ] {
            let text = error.to_string();
            assert!(options.iter().all(|o| text.contains(o)), "{text}");
        }
    }

    #[test]
    fn the_message_is_what_a_failed_main_prints() {
        let error = Error::Depth {
            operation: "mul",
            needed: 1,
            left: 0,
        };
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(
            error
                .to_string()
                .starts_with("mul takes 1 level(s), 0 left;")
        );
    }
}
