//! Operators on references; all return `Result`.

use super::{EncryptedMatrix, EncryptedVector};
use cipherblas_scheme as scheme;
use cipherblas_scheme::{Result, Scheme};
use std::ops;

macro_rules! operators {
    ($array:ident) => {
        impl<S: scheme::Add> ops::Add for &$array<S> {
            type Output = Result<$array<S>>;
            fn add(self, other: Self) -> Self::Output {
                $array::add(self, other)
            }
        }
        impl<S: scheme::Add> ops::Sub for &$array<S> {
            type Output = Result<$array<S>>;
            fn sub(self, other: Self) -> Self::Output {
                $array::sub(self, other)
            }
        }
        impl<S: scheme::Add> ops::Neg for &$array<S> {
            type Output = Result<$array<S>>;
            fn neg(self) -> Self::Output {
                $array::neg(self)
            }
        }
        impl<S: scheme::Mul> ops::Mul for &$array<S> {
            type Output = Result<$array<S>>;
            /// Value by value.
            fn mul(self, other: Self) -> Self::Output {
                $array::mul(self, other)
            }
        }
    };
}

/// Operators with a plain number; `$negative` gives `-value`, or the error that there is none.
macro_rules! scalars {
    ($array:ident, $value:ty, $negative:expr) => {
        impl<S: scheme::MulPlain + Scheme<Value = $value>> ops::Mul<$value> for &$array<S> {
            type Output = Result<$array<S>>;
            fn mul(self, factor: $value) -> Self::Output {
                self.scale(factor)
            }
        }
        impl<S: scheme::AddPlain + Scheme<Value = $value>> ops::Add<$value> for &$array<S> {
            type Output = Result<$array<S>>;
            fn add(self, value: $value) -> Self::Output {
                self.add_scalar(value)
            }
        }
        impl<S: scheme::AddPlain + Scheme<Value = $value>> ops::Sub<$value> for &$array<S> {
            type Output = Result<$array<S>>;
            fn sub(self, value: $value) -> Self::Output {
                self.add_scalar($negative(value)?)
            }
        }
    };
}

fn negative_real(value: f64) -> Result<f64> {
    Ok(-value)
}

fn negative_integer(value: i64) -> Result<i64> {
    value.checked_neg().ok_or_else(|| scheme::Error::Value {
        index: 0,
        got: value.to_string(),
        expected: "an integer above -2^63".into(),
        hint: "no parameters hold values of 64 bits",
    })
}

operators!(EncryptedVector);
operators!(EncryptedMatrix);
scalars!(EncryptedVector, f64, negative_real);
scalars!(EncryptedMatrix, f64, negative_real);
scalars!(EncryptedVector, i64, negative_integer);
scalars!(EncryptedMatrix, i64, negative_integer);
