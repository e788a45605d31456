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
        impl<S: scheme::MulPlain + Scheme<Value = f64>> ops::Mul<f64> for &$array<S> {
            type Output = Result<$array<S>>;
            fn mul(self, factor: f64) -> Self::Output {
                self.scale(factor)
            }
        }
        impl<S: scheme::AddPlain + Scheme<Value = f64>> ops::Add<f64> for &$array<S> {
            type Output = Result<$array<S>>;
            fn add(self, value: f64) -> Self::Output {
                self.add_scalar(value)
            }
        }
        impl<S: scheme::AddPlain + Scheme<Value = f64>> ops::Sub<f64> for &$array<S> {
            type Output = Result<$array<S>>;
            fn sub(self, value: f64) -> Self::Output {
                self.add_scalar(-value)
            }
        }
    };
}

operators!(EncryptedVector);
operators!(EncryptedMatrix);
