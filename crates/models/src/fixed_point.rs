//! Real data as integers, for exact schemes.

use crate::table::check_finite;
use cipherblas_scheme::{Error, Result};

/// Fixed point: `value * 2^fraction_bits`, rounded to the nearest integer (half away from zero).
///
/// Sums of products of two encoded values have twice as many fraction bits. Whether they fit is for the scheme to check,
/// by the bounds declared at encryption: see [`max_encoded`](Self::max_encoded) and
/// [`Plan::plaintext_bits`](cipherblas_linalg::Plan::plaintext_bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedPoint {
    fraction_bits: u32,
}

/// Beyond, a double has no bits left for a product.
const MAX_FRACTION_BITS: u32 = 52;

impl FixedPoint {
    /// With steps of `2^-fraction_bits`, 0 to 52.
    ///
    /// # Errors
    /// `Parameter` for more.
    pub fn new(fraction_bits: u32) -> Result<Self> {
        if fraction_bits > MAX_FRACTION_BITS {
            return Err(Error::Parameter {
                what: "fraction_bits",
                got: fraction_bits.to_string(),
                expected: format!("at most {MAX_FRACTION_BITS}"),
                hint: "doubles carry 53 bits",
            });
        }
        Ok(Self { fraction_bits })
    }

    /// Bits behind the binary point.
    pub fn fraction_bits(&self) -> u32 {
        self.fraction_bits
    }

    /// What one is encoded as: `2^fraction_bits`.
    pub fn unit(&self) -> i64 {
        1 << self.fraction_bits
    }

    /// Bound on encodings of values of at most `magnitude`, to be declared at encryption.
    pub fn max_encoded(&self, magnitude: f64) -> f64 {
        (magnitude * self.unit() as f64).round()
    }

    /// Encodes values; each is off by at most `2^-(fraction_bits + 1)`.
    ///
    /// # Errors
    /// `Value` for NaN, infinity, or a value whose encoding takes more than 62 bits.
    pub fn encode(&self, values: &[f64]) -> Result<Vec<i64>> {
        check_finite(values)?;
        let most = (1i64 << 62) as f64;
        values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let scaled = (value * self.unit() as f64).round();
                if scaled.abs() >= most {
                    return Err(Error::Value {
                        index,
                        got: value.to_string(),
                        expected: format!("less than 2^{}", 62 - self.fraction_bits),
                        hint: "use fewer fraction bits, or scale the data",
                    });
                }
                Ok(scaled as i64)
            })
            .collect()
    }

    /// The values of encodings that are products of `factors` encoded values, rounded to doubles.
    pub fn decode(&self, encoded: &[i64], factors: u32) -> Vec<f64> {
        let step = 0.5f64.powi((self.fraction_bits * factors) as i32);
        encoded.iter().map(|&v| v as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_encodings() {
        let fixed = FixedPoint::new(3).unwrap();
        assert_eq!(
            fixed.encode(&[1.0, -0.3, 0.0625, -0.0625]).unwrap(),
            [8, -2, 1, -1]
        );
        assert_eq!(fixed.decode(&[8, -2], 1), [1.0, -0.25]);
        assert_eq!(fixed.decode(&[-64], 2), [-1.0]);
        assert_eq!((fixed.unit(), fixed.max_encoded(1.5)), (8, 12.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(FixedPoint::new(53).is_err());
        let fixed = FixedPoint::new(52).unwrap();
        let error = fixed.encode(&[1.0, -1024.0]).unwrap_err();
        assert!(matches!(error, Error::Value { index: 1, .. }), "{error}");
        assert!(fixed.encode(&[1023.9]).is_ok());
        assert!(fixed.encode(&[f64::NAN]).is_err());
    }
}
