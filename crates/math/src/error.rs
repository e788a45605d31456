//! What can go wrong in this crate.

/// Every error of this crate: what was got, what was expected, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MathError {
    /// A modulus that the double-precision kernels cannot work with.
    #[error("modulus: got {got}, expected {expected}; choose moduli with `primes::primes_near`")]
    Modulus {
        /// The number given.
        got: u64,
        /// What it has to be.
        expected: &'static str,
    },
    /// A ring degree outside the supported range.
    #[error("degree: got {got}, expected {expected}")]
    Degree {
        /// The degree given.
        got: usize,
        /// What it has to be.
        expected: &'static str,
    },
    /// The field has no root of unity of the order that the transform needs.
    #[error(
        "modulus {got} has no primitive root of unity of order {expected_order}; choose primes that are 1 modulo {expected_order}"
    )]
    Root {
        /// The modulus given.
        got: u64,
        /// The order that `modulus - 1` has to be a multiple of.
        expected_order: u64,
    },
    /// Not enough primes.
    #[error(
        "found {got} primes that are 1 modulo {step} near {target} and below 2^50, expected {expected}; use a smaller step or fewer primes"
    )]
    Primes {
        /// How many exist.
        got: usize,
        /// How many were asked for.
        expected: usize,
        /// The number they should be near to.
        target: u64,
        /// The step between candidates.
        step: u64,
    },
    /// A backend that is unknown, or that this processor cannot run.
    #[error(
        "CIPHERBLAS_BACKEND: got {got}, expected {expected}; unset it to let the processor decide"
    )]
    Backend {
        /// The name given.
        got: String,
        /// The names that work here.
        expected: String,
    },
    /// An automorphism `X -> X^g` that does not exist.
    #[error("Galois element: got {got}, expected an odd number below {expected_below}")]
    GaloisElement {
        /// The element given.
        got: u64,
        /// Twice the degree.
        expected_below: u64,
    },
    /// Any other argument out of range.
    #[error("{operation}: got {got}, expected {expected}; {hint}")]
    Parameter {
        /// The operation that was asked for.
        operation: &'static str,
        /// What was given.
        got: String,
        /// What was expected.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
}

/// The crate's result type.
pub type Result<T, E = MathError> = std::result::Result<T, E>;
