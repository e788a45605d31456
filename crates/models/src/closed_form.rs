//! Least squares by the normal equations: the server computes them encrypted, the owner solves them.
//!
//! `X' X` and `X' y` are all that ordinary least squares and ridge regression ask of the data, and take two levels
//! whatever the number of rows. Solving them encrypted would take a division per feature; the owner, who learns the weights
//! anyway, solves them in clear, for any number of penalties, at the price of also learning `X' X` (which is `d^2` sums over
//! all rows: no secret to an owner of the data, but more than the weights to one who holds only the key).
//!
//! Two ways: from rows in slots ([`EncryptedNormalEquations`]), which training takes too, and from a design in blocks of
//! lines ([`BlockNormalEquations`]), one level and much faster where rows are many.

pub mod blocks;

pub use blocks::BlockNormalEquations;

use crate::clear::exact::{Normal, split, unknowns};
use crate::encrypted::Trains;
use crate::encrypted::design::{row_tile, with_constant};
use crate::federated::check_totals;
use crate::schedule::Intercept;
use crate::table::{Table, check_finite, check_parameter};
use crate::{FixedPoint, Kind, LinearRegression, PlainModel, Ridge, Scaler};
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector};
use cipherblas_scheme::{
    Add, AddPlain, Decrypt, Error, Mul, MulPlain, Result, Rotate, Scheme, Value,
};

/// Levels that the encrypted normal equations take, whatever the shape.
pub const DEPTH: usize = 2;

/// Singular values of scaled normal equations below this part of the largest count as zero.
const RANK_CUTOFF: f64 = 1e-7;

/// Bits before the binary point of encrypted normal equations, for values of at most `bound` in absolute value: a sum over the rows of
/// products, and its double on the way, as sums within rows pass through sums across two rows.
pub fn integer_bits(rows: usize, bound: f64) -> u32 {
    crate::plan::bits_for(2.0 * bound * bound * rows as f64)
}

/// `X' X` and `X' y`, encrypted.
#[derive(Clone, Debug)]
pub struct EncryptedNormalEquations<S: Scheme> {
    features: usize,
    gram: EncryptedMatrix<S>,
    moment: EncryptedVector<S>,
}

impl<S: Add + AddPlain + MulPlain + Mul + Rotate> EncryptedNormalEquations<S> {
    /// Computes both. The rows as a row-major tile with room for the intercept ([`crate::row_packing`]), the targets in
    /// the row packing of that tile. Two levels (one if a ciphertext holds one row); relinearization key, rotations by all
    /// steps below the padded number of columns and by powers of two above.
    ///
    /// # Errors
    /// `Shape` for other packings or lengths, or no room for the intercept; `Depth`, `MissingKey`, `KeyMismatch`.
    pub fn new(
        x: &EncryptedMatrix<S>,
        y: &EncryptedVector<S>,
        intercept: Intercept,
    ) -> Result<Self> {
        Self::with_unit(x, y, intercept, S::Value::ONE)
    }

    /// As [`new`](Self::new), for values of which `unit` stands for one: for an exact scheme [`FixedPoint::unit`].
    ///
    /// # Errors
    /// As [`new`](Self::new); `Overflow` if the sums may be larger than plaintexts.
    pub fn with_unit(
        x: &EncryptedMatrix<S>,
        y: &EncryptedVector<S>,
        intercept: Intercept,
        unit: S::Value,
    ) -> Result<Self> {
        let tile = row_tile("normal equations", x)?;
        if y.len() != x.rows() || y.packing() != tile.row_packing() {
            return Err(Error::Shape {
                operation: "normal equations",
                got: format!(
                    "{} rows and {} targets in {:?}",
                    x.rows(),
                    y.len(),
                    y.packing()
                ),
                expected: format!("one target per row in {:?}", tile.row_packing()),
                hint: "encrypt the targets in the row packing of the matrix",
            });
        }
        let features = x.cols();
        let x = with_constant("normal equations", x, intercept, unit)?;
        Ok(Self {
            features,
            gram: x.gram()?,
            moment: x.transpose()?.matvec(y)?,
        })
    }
}

impl<S: Scheme> EncryptedNormalEquations<S> {
    /// Both parts: the Gram matrix and `X' y`, the constant column last if there is an intercept.
    pub fn parts(&self) -> (&EncryptedMatrix<S>, &EncryptedVector<S>) {
        (&self.gram, &self.moment)
    }

    /// From parts that came over the wire.
    ///
    /// # Errors
    /// `Shape` unless the matrix is square, the vector as long, and both have `features` or one more columns.
    pub fn from_parts(
        features: usize,
        gram: EncryptedMatrix<S>,
        moment: EncryptedVector<S>,
    ) -> Result<Self> {
        let n = moment.len();
        if gram.shape() != (n, n)
            || features == 0
            || !(features..=features.saturating_add(1)).contains(&n)
        {
            return Err(Error::Shape {
                operation: "normal equations",
                got: format!("{:?} and {n} for {features} features", gram.shape()),
                expected: "a square matrix and a vector of the features, plus one for an intercept"
                    .into(),
                hint: "pass the parts of one computation",
            });
        }
        Ok(Self {
            features,
            gram,
            moment,
        })
    }

    /// The equations in clear, for the owner of the key.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<NormalEquations>
    where
        S: Scheme<Value = f64>,
    {
        let (gram, moment) = (self.gram.decrypt(key)?, self.moment.decrypt(key)?);
        NormalEquations::from_sums(self.features, gram, moment)
    }
}

impl<S: Scheme<Value = i64>> EncryptedNormalEquations<S> {
    /// The equations in clear, for the owner of the key, from rows and targets that were encoded in fixed point: exactly
    /// those of the encoded rows, but for the rounding of the sums to doubles.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt_fixed_point<K: Decrypt<Scheme = S>>(
        &self,
        key: &K,
        encoding: FixedPoint,
    ) -> Result<NormalEquations> {
        Ok(NormalEquations {
            features: self.features,
            normal: Normal {
                n: self.moment.len(),
                gram: encoding.decode(&self.gram.decrypt(key)?, 2),
                moment: encoding.decode(&self.moment.decrypt(key)?, 2),
            },
        })
    }
}

/// `X' X` and `X' y` in clear, with the constant column last where there is one: what least squares asks of the rows.
#[derive(Clone, Debug)]
pub struct NormalEquations {
    features: usize,
    normal: Normal,
}

impl NormalEquations {
    /// Sums over rows in clear: an owner's share in [federated training](crate::federated).
    ///
    /// # Errors
    /// `Shape` unless there is one target per row; `Value` for NaN or infinity.
    pub fn of(x: &Table<'_>, y: &[f64], intercept: Intercept) -> Result<Self> {
        x.check_targets("normal equations", y)?;
        let mut normal = Normal::zero(unknowns(x.cols(), intercept));
        for (row, &target) in x.iter().zip(y) {
            normal.add(row, 1.0, target);
        }
        Ok(Self {
            features: x.cols(),
            normal,
        })
    }

    /// From the decrypted [parts](EncryptedNormalEquations::parts): the row-major `X' X`, symmetric but for the noise of the
    /// encryption, and `X' y`, with the constant column last if there is an intercept.
    ///
    /// # Errors
    /// `Shape` unless both have `features` or one more columns; `Value` for NaN or infinity.
    pub fn from_sums(features: usize, mut gram: Vec<f64>, moment: Vec<f64>) -> Result<Self> {
        let n = moment.len();
        if features == 0
            || !(features..=features.saturating_add(1)).contains(&n)
            || n.checked_mul(n) != Some(gram.len())
        {
            return Err(Error::Shape {
                operation: "normal equations",
                got: format!("{} and {n} sums for {features} features", gram.len()),
                expected: "a square matrix and a vector of the features, plus one for an intercept"
                    .into(),
                hint: "pass the parts of one computation",
            });
        }
        check_finite(&gram)?;
        check_finite(&moment)?;
        for i in 0..n {
            for j in 0..i {
                let mean = (gram[i * n + j] + gram[j * n + i]) / 2.0;
                gram[i * n + j] = mean;
                gram[j * n + i] = mean;
            }
        }
        Ok(Self {
            features,
            normal: Normal { n, gram, moment },
        })
    }

    /// Number of values of [`to_values`](Self::to_values): with `n` weights `n (n + 1) / 2 + n`.
    pub fn values(features: usize, intercept: Intercept) -> usize {
        let n = unknowns(features, intercept);
        Normal::lower_len(n) + n
    }

    /// The lower triangle of `X' X` row after row, then `X' y`.
    pub fn to_values(&self) -> Vec<f64> {
        let moment = self.normal.moment.iter().copied();
        self.normal.lower().chain(moment).collect()
    }

    /// The inverse of [`to_values`](Self::to_values), for sums over several owners.
    ///
    /// # Errors
    /// `Shape` for another number of values; `Value` for NaN or infinity.
    pub fn from_values(features: usize, intercept: Intercept, values: &[f64]) -> Result<Self> {
        let expected = Self::values(features, intercept);
        check_totals("normal equations", values, expected)?;
        let n = unknowns(features, intercept);
        let (lower, moment) = values.split_at(Normal::lower_len(n));
        Ok(Self {
            features,
            normal: Normal::from_lower(lower, moment),
        })
    }

    /// Minimizes `|y - X w - b|^2 + alpha |w|^2`, the intercept not penalized.
    ///
    /// # Errors
    /// `Parameter` for a negative penalty, and for linearly dependent features without one.
    pub fn solve(&self, alpha: f64) -> Result<PlainModel> {
        check_parameter("alpha", alpha, 0.0, false)?;
        let weights = self.normal.clone().solve(self.features, alpha)?;
        let (coef, bias) = split(weights, self.features);
        PlainModel::new(Kind::Linear, coef, bias)
    }

    /// As [`solve`](Self::solve), for equations of rows that `scaler` scaled: the model of the rows themselves, with the penalty on
    /// its weights. Of linearly dependent features, up to the precision of an encryption, the shortest scaled weights.
    ///
    /// # Errors
    /// `Parameter` for a negative penalty, and for a scaling that does more than shift and stretch each feature; `Shape` for
    /// another number of features.
    pub fn solve_scaled(&self, alpha: f64, scaler: &Scaler) -> Result<PlainModel> {
        self.solve_scaled_with_rank(alpha, scaler)
            .map(|(model, _)| model)
    }

    /// As [`solve_scaled`](Self::solve_scaled), with the number of directions of the features that were told apart: fewer than
    /// weights if some depend on others, up to the precision of an encryption.
    ///
    /// # Errors
    /// As [`solve_scaled`](Self::solve_scaled).
    pub fn solve_scaled_with_rank(
        &self,
        alpha: f64,
        scaler: &Scaler,
    ) -> Result<(PlainModel, usize)> {
        check_parameter("alpha", alpha, 0.0, false)?;
        let Some((_, factor)) = scaler.affine() else {
            return Err(Error::Parameter {
                what: "scaling",
                got: "one across features, or of ranks".into(),
                expected: "shifts and factors".into(),
                hint: "scale each feature by itself: a penalty on its weight has to have a meaning",
            });
        };
        if factor.len() != self.features {
            return Err(crate::table::features_differ(
                "normal equations",
                factor.len(),
                self.features,
            ));
        }
        // The weight of a feature is its scaled one times the factor.
        let penalties: Vec<f64> = factor.iter().map(|f| alpha * f * f).collect();
        let (weights, rank) = self.normal.solve_deficient(&penalties, RANK_CUTOFF);
        let (coef, bias) = split(weights, self.features);
        let model = scaler.unscale(&PlainModel::new(Kind::Linear, coef, bias)?)?;
        Ok((model, rank))
    }
}

impl Ridge {
    /// The encrypted normal equations of this problem; the owner decrypts and
    /// [solves](NormalEquations::solve) them with `alpha`.
    ///
    /// # Errors
    /// As [`EncryptedNormalEquations::new`].
    pub fn normal_equations<S: Trains>(
        &self,
        x: &EncryptedMatrix<S>,
        y: &EncryptedVector<S>,
    ) -> Result<EncryptedNormalEquations<S>> {
        EncryptedNormalEquations::new(x, y, self.descent.intercept)
    }
}

impl LinearRegression {
    /// The encrypted normal equations of this problem; the owner decrypts and
    /// [solves](NormalEquations::solve) them with `alpha` zero.
    ///
    /// # Errors
    /// As [`EncryptedNormalEquations::new`].
    pub fn normal_equations<S: Trains>(
        &self,
        x: &EncryptedMatrix<S>,
        y: &EncryptedVector<S>,
    ) -> Result<EncryptedNormalEquations<S>> {
        EncryptedNormalEquations::new(x, y, self.descent.intercept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TargetScaler, Whitening, scaling::Scaling};

    /// 12 rows of three features of very different size, and targets.
    fn data() -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..12)
            .flat_map(|i| {
                let t = f64::from(i);
                [
                    t.sin() * 1e3,
                    (t * 0.7).cos() + 5.0,
                    (t * t * 0.3).sin() * 1e-2,
                ]
            })
            .collect();
        let y = (0..12)
            .map(|i| (f64::from(i) * 1.3).cos() * 40.0 + 7.0)
            .collect();
        (x, y)
    }

    /// A feature of next to no variance has next to no weight under a penalty, and takes none from the others.
    #[test]
    fn a_tiny_feature_leaves_the_others_alone() {
        for tiny in [1e-3, 1e-5, 1e-6, 1e-9] {
            let rows: Vec<f64> = (0..40)
                .flat_map(|i| {
                    let t = f64::from(i);
                    [(t * 0.9).sin(), tiny * (t * 1.7).cos()]
                })
                .collect();
            let y: Vec<f64> = (0..40)
                .map(|i| 3.0 * (f64::from(i) * 0.9).sin() + 0.1 * (f64::from(i) * 2.3).cos())
                .collect();
            let x = Table::new(40, 2, &rows).unwrap();
            let model = by_units(&x, &y, 1.0, Intercept::Fit);
            let exact = Ridge::new(1.0).fit_exact(&x, &y).unwrap();
            for (got, expected) in model.coef().iter().zip(exact.coef()) {
                assert!(
                    (got - expected).abs() <= 1e-9 * exact.coef()[0].abs(),
                    "{tiny:e}: {got} for {expected}"
                );
            }
        }
    }

    fn by_units(x: &Table<'_>, y: &[f64], alpha: f64, intercept: Intercept) -> PlainModel {
        let scaler = Scaler::unit_columns(x, intercept).unwrap();
        let targets = TargetScaler::unit_length(y, intercept).unwrap();
        let rows = scaler.transform(x).unwrap();
        let rows = Table::new(x.rows(), x.cols(), &rows).unwrap();
        let equations = NormalEquations::of(&rows, &targets.transform(y), Intercept::Omit).unwrap();
        let n = x.cols();
        let entry = |i: usize, j: usize| equations.to_values()[i * (i + 1) / 2 + j];
        assert!((0..n).all(|i| (0..=i).all(|j| entry(i, j).abs() <= 1.0 + 1e-12)));
        assert!((0..n).all(|i| entry(i, i) == 0.0 || (entry(i, i) - 1.0).abs() < 1e-12));
        let model = equations.solve_scaled(alpha, &scaler).unwrap();
        targets.unscale(&model).unwrap()
    }

    #[test]
    fn columns_of_length_one_change_no_solution() {
        let (x, y) = data();
        let x = Table::new(12, 3, &x).unwrap();
        for intercept in [Intercept::Fit, Intercept::Omit] {
            for alpha in [0.0, 2.5] {
                let exact = Ridge::new(alpha)
                    .intercept(intercept)
                    .fit_exact(&x, &y)
                    .unwrap();
                let ours = by_units(&x, &y, alpha, intercept);
                for (a, b) in ours.coef().iter().zip(exact.coef()) {
                    assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{ours:?} {exact:?}");
                }
                assert!((ours.intercept() - exact.intercept()).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn dependent_features_share_the_weight_and_constant_ones_have_none() {
        let (one, y) = data();
        let single: Vec<f64> = one.chunks(3).map(|r| r[0]).collect();
        let doubled: Vec<f64> = single.iter().flat_map(|&v| [v, 2.0 * v, 4.0]).collect();
        let exact = LinearRegression::new()
            .fit_exact(&Table::new(12, 1, &single).unwrap(), &y)
            .unwrap();
        let ours = by_units(
            &Table::new(12, 3, &doubled).unwrap(),
            &y,
            0.0,
            Intercept::Fit,
        );
        let w = exact.coef()[0];
        // Scaled, both are the same feature: half of the score comes from each.
        assert!((ours.coef()[0] - w / 2.0).abs() < 1e-9 * w.abs());
        assert!((ours.coef()[1] - w / 4.0).abs() < 1e-9 * w.abs());
        assert_eq!(ours.coef()[2], 0.0);
        assert!((ours.intercept() - exact.intercept()).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (x, y) = data();
        let x = Table::new(12, 3, &x).unwrap();
        let equations = NormalEquations::of(&x, &y, Intercept::Fit).unwrap();
        let white =
            Scaler::fit(&x, Scaling::Standard, Whitening::Shrunk { shrinkage: 0.1 }).unwrap();
        assert!(matches!(
            equations.solve_scaled(0.0, &white),
            Err(Error::Parameter {
                what: "scaling",
                ..
            })
        ));
        let narrow = Scaler::from_moments(&[0.0], &[1.0]).unwrap();
        assert!(matches!(
            equations.solve_scaled(0.0, &narrow),
            Err(Error::Shape { .. })
        ));
        let scaler = Scaler::unit_columns(&x, Intercept::Fit).unwrap();
        assert!(equations.solve_scaled(-1.0, &scaler).is_err());
        let from = |features, gram: &[f64], moment: &[f64]| {
            NormalEquations::from_sums(features, gram.to_vec(), moment.to_vec())
        };
        assert!(matches!(
            from(1, &[1.0; 3], &[1.0; 2]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            from(3, &[1.0; 4], &[1.0; 2]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(from(0, &[1.0], &[1.0]), Err(Error::Shape { .. })));
        assert!(matches!(
            from(1, &[f64::NAN], &[1.0]),
            Err(Error::Value { .. })
        ));
        let model = from(1, &[2.0], &[3.0]).unwrap().solve(0.0).unwrap();
        assert!((model.coef()[0] - 1.5).abs() < 1e-15);
    }

    #[test]
    fn integer_bits_hold_the_sums() {
        // 2 * 16 * 100 < 2^12, and a sign.
        assert_eq!(integer_bits(100, 4.0), 13);
        assert_eq!(integer_bits(1, 0.1), 4);
    }
}
