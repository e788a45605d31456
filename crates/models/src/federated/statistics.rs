use super::{check_rows, check_totals};
use crate::table::check_parameter;
use crate::{Scaler, Table};
use cipherblas_scheme::Result;

/// Number of rows, sums and square sums of every feature: what a common scaling is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSums {
    rows: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl FeatureSums {
    /// The owner's: sums over its rows of `value / unit`, a public unit for each feature (its usual size: centimetres of a
    /// height, hundreds of a blood count), so that sums and squares are of moderate size and equally precise.
    ///
    /// # Errors
    /// `Shape` unless there is a unit for every feature; `Parameter` for a unit that is not positive and finite.
    pub fn of(x: &Table<'_>, units: &[f64]) -> Result<Self> {
        x.check_features("feature sums", units.len())?;
        for &unit in units {
            check_parameter("unit", unit, 0.0, true)?;
        }
        let d = x.cols();
        let (mut sums, mut squares) = (vec![0.0; d], vec![0.0; d]);
        for row in x.iter() {
            for (c, (value, unit)) in row.iter().zip(units).enumerate() {
                let value = value / unit;
                sums[c] += value;
                squares[c] += value * value;
            }
        }
        Ok(Self {
            rows: x.rows() as f64,
            sums,
            squares,
        })
    }

    /// What is encrypted: `1 + 2 features` values.
    pub fn to_values(&self) -> Vec<f64> {
        [&[self.rows], &self.sums[..], &self.squares[..]].concat()
    }

    /// The key holder's: from the decrypted total.
    ///
    /// # Errors
    /// `Shape` for another number of values, or totals without rows; `Value` for NaN or infinity.
    pub fn from_values(features: usize, values: &[f64]) -> Result<Self> {
        let operation = "feature sums";
        check_totals(operation, values, 1 + 2 * features)?;
        Ok(Self {
            rows: check_rows(operation, values[0])?,
            sums: values[1..=features].to_vec(),
            squares: values[1 + features..].to_vec(),
        })
    }

    /// Rows of all owners.
    pub fn rows(&self) -> f64 {
        self.rows
    }

    /// Mean zero and variance one over all owners' rows, for values in the units that the sums were taken in. A variance
    /// (in squared units) below `tolerance`, no less than the precision of the encryption, counts as zero: the feature is
    /// constant.
    ///
    /// # Errors
    /// `Shape` unless there is a unit for every feature; `Parameter` for a tolerance that is negative or not finite.
    pub fn scaler(&self, units: &[f64], tolerance: f64) -> Result<Scaler> {
        check_parameter("tolerance", tolerance, 0.0, false)?;
        if units.len() != self.sums.len() {
            return Err(crate::table::features_differ(
                "feature sums",
                units.len(),
                self.sums.len(),
            ));
        }
        let (mut mean, mut deviation) = (Vec::new(), Vec::new());
        for ((sum, square), unit) in self.sums.iter().zip(&self.squares).zip(units) {
            let average = sum / self.rows;
            let variance = square / self.rows - average * average;
            mean.push(average * unit);
            deviation.push(if variance > tolerance {
                variance.sqrt() * unit
            } else {
                0.0
            });
        }
        Scaler::from_moments(&mean, &deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scaling, Whitening};
    use cipherblas_scheme::Error;

    #[test]
    fn totals_scale_as_the_pooled_rows() {
        let data: Vec<f64> = (0..40)
            .map(|i| (f64::from(i) * 0.9).sin() * 50.0 + 300.0)
            .collect();
        let pooled = Table::new(20, 2, &data).unwrap();
        let units = [100.0, 250.0];
        let (a, b) = (
            Table::new(5, 2, &data[..10]).unwrap(),
            Table::new(15, 2, &data[10..]).unwrap(),
        );
        let mut total = FeatureSums::of(&a, &units).unwrap().to_values();
        for (t, v) in total
            .iter_mut()
            .zip(FeatureSums::of(&b, &units).unwrap().to_values())
        {
            *t += v;
        }
        let sums = FeatureSums::from_values(2, &total).unwrap();
        assert_eq!(sums.rows(), 20.0);
        let ours = sums
            .scaler(&units, 1e-12)
            .unwrap()
            .transform(&pooled)
            .unwrap();
        let theirs = Scaler::fit(&pooled, Scaling::Standard, Whitening::None)
            .unwrap()
            .transform(&pooled)
            .unwrap();
        for (x, y) in ours.iter().zip(&theirs) {
            assert!((x - y).abs() < 1e-9, "{x} {y}");
        }
    }

    #[test]
    fn what_is_no_total_is_refused() {
        let refused = |values: &[f64]| FeatureSums::from_values(1, values).is_err();
        assert!(refused(&[2.0, 1.0]));
        assert!(refused(&[0.0, 1.0, 1.0]));
        assert!(refused(&[2.4, 1.0, 1.0]));
        assert!(refused(&[2.0, f64::NAN, 1.0]));
        let sums = FeatureSums::from_values(1, &[2.0, 1.0, 1.0]).unwrap();
        assert!(matches!(
            sums.scaler(&[1.0, 1.0], 0.0),
            Err(Error::Shape { .. })
        ));
        let x = Table::new(1, 1, &[1.0]).unwrap();
        assert!(matches!(
            FeatureSums::of(&x, &[0.0]),
            Err(Error::Parameter { .. })
        ));
    }
}
