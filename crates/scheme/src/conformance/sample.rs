use crate::Value;
use rand::{CryptoRng, RngExt};
use std::ops::{Add, Mul, Neg, Sub};

/// Values that the suite draws and computes with in clear.
pub trait Sample:
    Value + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
    /// Largest absolute value of the samples, which is declared at encryption.
    const MAGNITUDE: f64;
    /// Relative error of a computation in clear.
    const ROUNDING: f64;

    /// A value of at most the magnitude.
    fn random<R: CryptoRng>(rng: &mut R) -> Self;
    /// `part` of the magnitude, rounded.
    fn of(part: f64) -> Self;
    /// `|self - other|`; not zero unless they are equal.
    fn distance(self, other: Self) -> f64;
    /// Values that no parameters can encode.
    fn invalid() -> Vec<Self>;
}

impl Sample for f64 {
    const MAGNITUDE: f64 = 1.0;
    const ROUNDING: f64 = 16.0 * f64::EPSILON;

    fn random<R: CryptoRng>(rng: &mut R) -> Self {
        rng.random_range(-1.0..=1.0)
    }
    fn of(part: f64) -> Self {
        part
    }
    fn distance(self, other: Self) -> f64 {
        (self - other).abs()
    }
    fn invalid() -> Vec<Self> {
        vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
    }
}

/// Schemes over the integers: at most 62 bits, always exact.
impl Sample for i64 {
    const MAGNITUDE: f64 = 8.0;
    const ROUNDING: f64 = 0.0;

    fn random<R: CryptoRng>(rng: &mut R) -> Self {
        rng.random_range(-8..=8)
    }
    fn of(part: f64) -> Self {
        (part * Self::MAGNITUDE).round() as Self
    }
    fn distance(self, other: Self) -> f64 {
        self.abs_diff(other) as f64
    }
    fn invalid() -> Vec<Self> {
        vec![i64::MAX, i64::MIN]
    }
}
