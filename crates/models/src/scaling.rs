//! Features brought to a common range by the owner, from clear statistics, before encryption.
//!
//! A few gradient steps with a polynomial sigmoid ask more of the features than an exact solver does: scores must stay
//! inside the sigmoid's interval, and directions of very different variance converge at very different speed. Hence a
//! [`Scaling`] per feature, and optionally [`Whitening`] across features. Both are fitted on training rows only.
//!
//! Where nobody may see the features' statistics, the server can compute them encrypted: see
//! [`crate::statistics`].

use crate::PlainModel;
use crate::clear::cholesky::Cholesky;
use crate::schedule::Intercept;
use crate::table::{Table, check_finite, check_parameter, dot};
use cipherblas_scheme::{Error, Result};

/// What is done to each feature by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Mean zero, variance one. A constant feature becomes zero.
    Standard,
    /// Mean square one, and nothing shifted: for models without a constant term. A feature that is zero stays so.
    Uncentred,
    /// The training range to `[-1, 1]`. A constant feature becomes zero. Rows outside the range are not clipped.
    MinMax,
    /// The share of training values below the value, brought to mean zero and variance one: robust to outliers and
    /// skew, and bounded for any row. Not linear, so weights cannot be brought back to the units of the features.
    Quantile,
}

/// What is done across features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whitening {
    /// Nothing.
    None,
    /// Multiplication by the inverse Cholesky factor of the covariance plus `shrinkage` times the identity: decorrelates,
    /// so that gradient descent converges in few steps. Shrinkage (in units of a feature's variance after scaling)
    /// keeps directions without variance from being blown up.
    Shrunk {
        /// Above zero.
        shrinkage: f64,
    },
}

#[derive(Clone, Debug)]
enum Columns {
    /// `(x - shift) * factor`.
    Affine { shift: Vec<f64>, factor: Vec<f64> },
    /// `(rank - shift) * factor`, rank being the share of sorted training values below `x`.
    Rank {
        sorted: Vec<Vec<f64>>,
        shift: Vec<f64>,
        factor: Vec<f64>,
    },
}

/// Fitted scaling: applied to training and test rows alike.
#[derive(Clone, Debug)]
pub struct Scaler {
    features: usize,
    columns: Columns,
    whitening: Option<Cholesky>,
}

/// Lengths are rounded up, so that a value that is its whole column does not come out above one.
const NO_LESS: f64 = 1.0 + 8.0 * f64::EPSILON;

fn column(x: &Table<'_>, c: usize) -> impl Iterator<Item = f64> {
    x.iter().map(move |row| row[c])
}

/// Mean, and reciprocal of the standard deviation (zero for a constant column).
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, reciprocal(variance.sqrt(), mean.abs()))
}

/// `1 / spread`, or zero where the spread is nothing but rounding.
fn reciprocal(spread: f64, magnitude: f64) -> f64 {
    if spread > 1e-14 * magnitude {
        1.0 / spread
    } else {
        0.0
    }
}

fn share_below(sorted: &[f64], value: f64) -> f64 {
    sorted.partition_point(|&s| s < value) as f64 / sorted.len() as f64
}

impl Scaler {
    /// Learns the statistics of the training rows.
    ///
    /// # Errors
    /// `Parameter` for a shrinkage that is not positive and finite.
    pub fn fit(x: &Table<'_>, scaling: Scaling, whitening: Whitening) -> Result<Self> {
        let d = x.cols();
        let values = |c| column(x, c).collect::<Vec<f64>>();
        let columns = match scaling {
            Scaling::Standard => {
                let (shift, factor) = (0..d).map(|c| moments(&values(c))).unzip();
                Columns::Affine { shift, factor }
            }
            Scaling::Uncentred => {
                let factor = (0..d).map(|c| {
                    let squares: f64 = column(x, c).map(|v| v * v).sum();
                    reciprocal((squares / x.rows() as f64).sqrt(), 0.0)
                });
                Columns::Affine {
                    shift: vec![0.0; d],
                    factor: factor.collect(),
                }
            }
            Scaling::MinMax => {
                let range = |c| {
                    let low = column(x, c).fold(f64::INFINITY, f64::min);
                    let high = column(x, c).fold(f64::NEG_INFINITY, f64::max);
                    // Halves first: the range of two finite numbers may not be finite.
                    let (center, half) = (low / 2.0 + high / 2.0, high / 2.0 - low / 2.0);
                    (center, reciprocal(half, center.abs()))
                };
                let (shift, factor) = (0..d).map(range).unzip();
                Columns::Affine { shift, factor }
            }
            Scaling::Quantile => {
                let mut sorted: Vec<Vec<f64>> = (0..d).map(values).collect();
                sorted
                    .iter_mut()
                    .for_each(|s| s.sort_unstable_by(f64::total_cmp));
                let ranks = |c: usize| {
                    column(x, c)
                        .map(|v| share_below(&sorted[c], v))
                        .collect::<Vec<_>>()
                };
                let (shift, factor) = (0..d).map(|c| moments(&ranks(c))).unzip();
                Columns::Rank {
                    sorted,
                    shift,
                    factor,
                }
            }
        };
        let mut scaler = Self {
            features: d,
            columns,
            whitening: None,
        };
        if let Whitening::Shrunk { shrinkage } = whitening {
            check_parameter("shrinkage", shrinkage, 0.0, true)?;
            let scaled = scaler.transform(x)?;
            scaler.whitening = Some(Cholesky::new(d, &covariance(&scaled, d, shrinkage))?);
        }
        Ok(scaler)
    }

    /// Columns of length one, after centring where there is a constant term to fit: no entry of their normal equations is larger
    /// than one, by Cauchy-Schwarz. A feature without variance becomes zero.
    ///
    /// # Errors
    /// None for rows that are a table.
    pub fn unit_columns(x: &Table<'_>, intercept: Intercept) -> Result<Self> {
        let scaling = match intercept {
            Intercept::Fit => Scaling::Standard,
            Intercept::Omit => Scaling::Uncentred,
        };
        let mut scaler = Self::fit(x, scaling, Whitening::None)?;
        if let Columns::Affine { factor, .. } = &mut scaler.columns {
            let root = (x.rows() as f64).sqrt() * NO_LESS;
            factor.iter_mut().for_each(|f| *f /= root);
        }
        Ok(scaler)
    }

    /// A scaler from known statistics: `(x - mean) / deviation`, zero where the deviation is zero.
    ///
    /// # Errors
    /// `Shape` if lengths differ or are zero; `Value` for NaN or infinity; `Parameter` for a negative deviation.
    pub fn from_moments(mean: &[f64], deviation: &[f64]) -> Result<Self> {
        Table::new(1, mean.len(), mean)?.check_features("moments", deviation.len())?;
        crate::table::check_finite(deviation)?;
        deviation
            .iter()
            .try_for_each(|&s| check_parameter("deviation", s, 0.0, false))?;
        Ok(Self {
            features: mean.len(),
            columns: Columns::Affine {
                shift: mean.to_vec(),
                factor: mean
                    .iter()
                    .zip(deviation)
                    .map(|(m, &s)| reciprocal(s, m.abs()))
                    .collect(),
            },
            whitening: None,
        })
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Shift and factor of every feature, where scaling is `(x - shift) * factor` and nothing else.
    pub fn affine(&self) -> Option<(&[f64], &[f64])> {
        match (&self.columns, &self.whitening) {
            (Columns::Affine { shift, factor }, None) => Some((shift, factor)),
            _ => None,
        }
    }

    /// Scaled rows, row-major, of the same shape.
    ///
    /// # Errors
    /// `Shape` if the number of features differs.
    pub fn transform(&self, x: &Table<'_>) -> Result<Vec<f64>> {
        x.check_features("scaling", self.features)?;
        let mut out = Vec::with_capacity(x.data().len());
        for row in x.iter() {
            let start = out.len();
            match &self.columns {
                Columns::Affine { shift, factor } => {
                    out.extend(
                        row.iter()
                            .zip(shift)
                            .zip(factor)
                            .map(|((v, s), f)| (v - s) * f),
                    );
                }
                Columns::Rank {
                    sorted,
                    shift,
                    factor,
                } => {
                    let ranks = row.iter().zip(sorted).map(|(&v, s)| share_below(s, v));
                    out.extend(ranks.zip(shift).zip(factor).map(|((r, s), f)| (r - s) * f));
                }
            }
            if let Some(factor) = &self.whitening {
                factor.solve_lower(&mut out[start..]);
            }
        }
        Ok(out)
    }

    /// The model of the features themselves, from one of the scaled features: the same score for every row.
    ///
    /// # Errors
    /// `Shape` if the number of features differs; `Parameter` for [`Scaling::Quantile`], which is not linear.
    pub fn unscale(&self, model: &PlainModel) -> Result<PlainModel> {
        if model.coef().len() != self.features {
            return Err(crate::table::features_differ(
                "unscaling",
                model.coef().len(),
                self.features,
            ));
        }
        let Columns::Affine { shift, factor } = &self.columns else {
            return Err(Error::Parameter {
                what: "scaling",
                got: "ranks".into(),
                expected: "a linear scaling".into(),
                hint: "weights of ranks have no counterpart: keep the scaler, and score scaled rows",
            });
        };
        let mut coef = model.coef().to_vec();
        if let Some(whitening) = &self.whitening {
            // The scaled features are L^-1 z, and w . L^-1 z = (L'^-1 w) . z.
            whitening.solve_upper(&mut coef);
        }
        coef.iter_mut().zip(factor).for_each(|(w, f)| *w *= f);
        let intercept = model.intercept() - dot(&coef, shift);
        PlainModel::new(model.kind(), coef, intercept)
    }
}

/// Targets of a regression brought to a common range by their owner: `(y - shift) / spread`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetScaler {
    shift: f64,
    spread: f64,
}

impl TargetScaler {
    /// The largest absolute value one, after centring where there is a constant term to fit.
    ///
    /// # Errors
    /// `Shape` without targets; `Value` for NaN or infinity.
    pub fn unit_range(y: &[f64], intercept: Intercept) -> Result<Self> {
        Self::fit(y, intercept, |centred| {
            centred.fold(0.0, |m, v| m.max(v.abs()))
        })
    }

    /// Length one, after centring where there is a constant term to fit: as [`Scaler::unit_columns`].
    ///
    /// # Errors
    /// As [`unit_range`](Self::unit_range).
    pub fn unit_length(y: &[f64], intercept: Intercept) -> Result<Self> {
        Self::fit(y, intercept, |centred| {
            centred.map(|v| v * v).sum::<f64>().sqrt() * NO_LESS
        })
    }

    fn fit(
        y: &[f64],
        intercept: Intercept,
        size: impl Fn(&mut dyn Iterator<Item = f64>) -> f64,
    ) -> Result<Self> {
        Table::new(y.len(), 1, y)?;
        let shift = match intercept {
            Intercept::Fit => y.iter().sum::<f64>() / y.len() as f64,
            Intercept::Omit => 0.0,
        };
        let spread = size(&mut y.iter().map(|v| v - shift));
        // Targets that are all the same become zero.
        let spread = if spread > 0.0 { spread } else { 1.0 };
        check_finite(&[shift, spread])?;
        Ok(Self { shift, spread })
    }

    /// Scaled targets.
    pub fn transform(&self, y: &[f64]) -> Vec<f64> {
        y.iter().map(|v| (v - self.shift) / self.spread).collect()
    }

    /// The model of the targets themselves, from one of the scaled targets.
    ///
    /// # Errors
    /// `Value` if its weights overflow.
    pub fn unscale(&self, model: &PlainModel) -> Result<PlainModel> {
        let coef = model.coef().iter().map(|w| w * self.spread).collect();
        let intercept = model.intercept() * self.spread + self.shift;
        PlainModel::new(model.kind(), coef, intercept)
    }
}

/// Covariance of centred rows plus `shrinkage` times the identity.
fn covariance(centred: &[f64], d: usize, shrinkage: f64) -> Vec<f64> {
    let mut sum = vec![0.0; d * d];
    for row in centred.chunks_exact(d) {
        for i in 0..d {
            for j in 0..=i {
                sum[i * d + j] += row[i] * row[j];
            }
        }
    }
    let rows = (centred.len() / d) as f64;
    sum.iter_mut().for_each(|s| *s /= rows);
    (0..d).for_each(|i| sum[i * d + i] += shrinkage);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    const DATA: [f64; 12] = [
        1.0, 10.0, 5.0, 2.0, 30.0, 5.0, 3.0, 20.0, 5.0, 4.0, 80.0, 5.0,
    ];

    fn table() -> Table<'static> {
        Table::new(4, 3, &DATA).unwrap()
    }

    fn moments_of(data: &[f64], d: usize, c: usize) -> (f64, f64) {
        let values: Vec<f64> = data.chunks(d).map(|r| r[c]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (
            mean,
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64,
        )
    }

    #[test]
    fn standard_and_quantile_have_unit_variance() {
        for scaling in [Scaling::Standard, Scaling::Quantile] {
            let scaler = Scaler::fit(&table(), scaling, Whitening::None).unwrap();
            let z = scaler.transform(&table()).unwrap();
            for c in 0..2 {
                let (mean, variance) = moments_of(&z, 3, c);
                assert!(
                    mean.abs() < 1e-14 && (variance - 1.0).abs() < 1e-14,
                    "{scaling:?}"
                );
            }
            assert!(
                z.chunks(3).all(|r| r[2] == 0.0),
                "a constant feature becomes zero"
            );
        }
    }

    #[test]
    fn min_max_reaches_the_borders() {
        let scaler = Scaler::fit(&table(), Scaling::MinMax, Whitening::None).unwrap();
        let z = scaler.transform(&table()).unwrap();
        assert_eq!((z[0], z[9], z[1], z[10]), (-1.0, 1.0, -1.0, 1.0));
        let huge = [f64::MAX, -f64::MAX];
        let x = Table::new(2, 1, &huge).unwrap();
        let scaler = Scaler::fit(&x, Scaling::MinMax, Whitening::None).unwrap();
        let z = scaler.transform(&x).unwrap();
        assert!((z[0] - 1.0).abs() < 1e-15 && (z[1] + 1.0).abs() < 1e-15);
    }

    #[test]
    fn quantile_is_bounded_and_monotone_off_the_training_rows() {
        let scaler = Scaler::fit(&table(), Scaling::Quantile, Whitening::None).unwrap();
        let rows: Vec<f64> = [-1e300, 1.5, 3.5, 1e300]
            .iter()
            .flat_map(|&v| [v, v, v])
            .collect();
        let z = scaler.transform(&Table::new(4, 3, &rows).unwrap()).unwrap();
        assert!(
            z.chunks(3)
                .zip(z.chunks(3).skip(1))
                .all(|(a, b)| a[0] < b[0])
        );
        assert!(z.iter().all(|v| v.abs() < 3.0));
    }

    #[test]
    fn whitening_decorrelates() {
        let data: Vec<f64> = (0..50)
            .flat_map(|i| {
                let a = f64::from(i).sin();
                let b = f64::from(i * i).cos();
                [a + 0.1 * b, a - 0.1 * b]
            })
            .collect();
        let x = Table::new(50, 2, &data).unwrap();
        let scaler =
            Scaler::fit(&x, Scaling::Standard, Whitening::Shrunk { shrinkage: 1e-9 }).unwrap();
        let c = covariance(&scaler.transform(&x).unwrap(), 2, 0.0);
        assert!(
            (c[0] - 1.0).abs() < 1e-5 && c[2].abs() < 1e-5 && (c[3] - 1.0).abs() < 1e-5,
            "{c:?}"
        );
        assert!(scaler.affine().is_none());
    }

    #[test]
    fn unscaled_models_score_the_rows_themselves() {
        let x = table();
        let shrunk = Whitening::Shrunk { shrinkage: 0.1 };
        let model = PlainModel::new(Kind::Logistic, vec![0.5, -2.0, 3.0], 0.25).unwrap();
        let scalers = [
            Scaler::fit(&x, Scaling::Standard, Whitening::None),
            Scaler::fit(&x, Scaling::Standard, shrunk),
            Scaler::fit(&x, Scaling::Uncentred, shrunk),
            Scaler::fit(&x, Scaling::MinMax, shrunk),
            Scaler::unit_columns(&x, Intercept::Fit),
            Scaler::unit_columns(&x, Intercept::Omit),
        ];
        for scaler in scalers.map(Result::unwrap) {
            let scaled = scaler.transform(&x).unwrap();
            let scaled = model
                .decision_function(&Table::new(4, 3, &scaled).unwrap())
                .unwrap();
            let back = scaler.unscale(&model).unwrap();
            assert_eq!(back.kind(), Kind::Logistic);
            for (a, b) in back.decision_function(&x).unwrap().iter().zip(scaled) {
                assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
        let ranks = Scaler::fit(&x, Scaling::Quantile, Whitening::None).unwrap();
        assert!(matches!(
            ranks.unscale(&model),
            Err(Error::Parameter {
                what: "scaling",
                ..
            })
        ));
        let narrow = Scaler::from_moments(&[0.0], &[1.0]).unwrap();
        assert!(matches!(narrow.unscale(&model), Err(Error::Shape { .. })));
    }

    #[test]
    fn without_a_constant_term_nothing_is_shifted() {
        let x = table();
        let shrunk = Whitening::Shrunk { shrinkage: 1e-3 };
        let scaler = Scaler::fit(&x, Scaling::Uncentred, shrunk).unwrap();
        // The same as for rows and their negatives, which have mean zero.
        let both: Vec<f64> = DATA.into_iter().chain(DATA.map(|v| -v)).collect();
        let both = Table::new(8, 3, &both).unwrap();
        let twin = Scaler::fit(&both, Scaling::Standard, shrunk).unwrap();
        let (a, b) = (scaler.transform(&x).unwrap(), twin.transform(&x).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10));
        let zero = Table::new(1, 3, &[0.0; 3]).unwrap();
        assert_eq!(scaler.transform(&zero).unwrap(), [0.0; 3]);
    }

    #[test]
    fn columns_and_targets_of_length_one() {
        for (intercept, constant) in [(Intercept::Fit, 0.0), (Intercept::Omit, 1.0)] {
            let z = Scaler::unit_columns(&table(), intercept)
                .unwrap()
                .transform(&table())
                .unwrap();
            for (c, expected) in [1.0, 1.0, constant].into_iter().enumerate() {
                let square: f64 = z.chunks(3).map(|r| r[c] * r[c]).sum();
                assert!(
                    (square - expected).abs() < 1e-14,
                    "{intercept:?} {c} {square}"
                );
            }
        }
        let y = [1.0, 5.0, 3.0];
        let fit = TargetScaler::unit_range(&y, Intercept::Fit).unwrap();
        assert_eq!(fit.transform(&y), [-1.0, 1.0, 0.0]);
        let fit = TargetScaler::unit_range(&y, Intercept::Omit).unwrap();
        assert_eq!(fit.transform(&y), [0.2, 1.0, 0.6]);
        let fit = TargetScaler::unit_length(&y, Intercept::Omit).unwrap();
        let square: f64 = fit.transform(&y).iter().map(|v| v * v).sum();
        assert!((square - 1.0).abs() < 1e-14);
        // y = 2 x + 1 of one feature, by the model of the scaled targets.
        let fit = TargetScaler::unit_range(&y, Intercept::Fit).unwrap();
        let model = fit
            .unscale(&PlainModel::new(Kind::Linear, vec![1.0], -1.0).unwrap())
            .unwrap();
        assert_eq!((model.coef()[0], model.intercept()), (2.0, 1.0));
        for v in [0.1, 3.0, 1e-9 / 7.0, 12345.678] {
            let alone = [v, 0.0, 0.0];
            let fit = TargetScaler::unit_length(&alone, Intercept::Omit).unwrap();
            assert!(fit.transform(&alone)[0] <= 1.0);
            let x = Table::new(3, 1, &alone).unwrap();
            let fit = Scaler::unit_columns(&x, Intercept::Omit).unwrap();
            assert!(fit.transform(&x).unwrap()[0] <= 1.0);
        }
        let same = TargetScaler::unit_range(&[4.0, 4.0], Intercept::Fit).unwrap();
        assert_eq!(same.transform(&[4.0, 4.0]), [0.0, 0.0]);
        assert!(TargetScaler::unit_range(&[], Intercept::Fit).is_err());
        assert!(TargetScaler::unit_length(&[f64::NAN], Intercept::Omit).is_err());
    }

    #[test]
    fn moments_by_hand_and_errors() {
        let scaler = Scaler::from_moments(&[1.0, 2.0], &[2.0, 0.0]).unwrap();
        let z = scaler
            .transform(&Table::new(1, 2, &[5.0, 9.0]).unwrap())
            .unwrap();
        assert_eq!(z, [2.0, 0.0]);
        assert!(matches!(
            Scaler::from_moments(&[1.0], &[1.0, 1.0]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            Scaler::from_moments(&[1.0], &[-1.0]),
            Err(Error::Parameter {
                what: "deviation",
                ..
            })
        ));
        assert!(matches!(
            scaler.transform(&table()),
            Err(Error::Shape { .. })
        ));
        let bad = Scaler::fit(
            &table(),
            Scaling::Standard,
            Whitening::Shrunk { shrinkage: 0.0 },
        );
        assert!(matches!(
            bad,
            Err(Error::Parameter {
                what: "shrinkage",
                ..
            })
        ));
    }
}
