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
use crate::table::{Table, check_parameter};
use crate::{FixedPoint, Kind, LinearRegression, PlainModel, Ridge};
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector};
use cipherblas_scheme::{
    Add, AddPlain, Decrypt, Error, Mul, MulPlain, Result, Rotate, Scheme, Value,
};

/// Levels that the encrypted normal equations take, whatever the shape.
pub const DEPTH: usize = 2;

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
        let n = self.moment.len();
        let mut gram = self.gram.decrypt(key)?;
        // Symmetric but for the noise of the encryption.
        for i in 0..n {
            for j in 0..i {
                let mean = (gram[i * n + j] + gram[j * n + i]) / 2.0;
                gram[i * n + j] = mean;
                gram[j * n + i] = mean;
            }
        }
        Ok(NormalEquations {
            features: self.features,
            normal: Normal {
                n,
                gram,
                moment: self.moment.decrypt(key)?,
            },
        })
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
