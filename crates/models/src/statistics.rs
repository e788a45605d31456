//! Statistics of encrypted features, for scaling where nobody may see the features.
//!
//! The server computes encrypted means and mean squares (one and two levels, whatever the number of rows). What can be
//! done with them without decrypting is to centre the rows ([`EncryptedStatistics::center`], no more than one level). Dividing
//! by an encrypted deviation is not offered: an inverse square root over a range that is not known takes more levels than
//! training. Instead the key's owner decrypts the statistics (one mean and one deviation per feature; no row), and the
//! server applies the [`Scaler`] to the encrypted rows at one level ([`Scaler::transform_encrypted`]).

use crate::Scaler;
use crate::encrypted::Trains;
use cipherblas_linalg::{Axis, EncryptedMatrix, EncryptedVector};
use cipherblas_scheme::{Add, AddPlain, Decrypt, Error, MulPlain, Result, Scheme};

/// Levels that the encrypted statistics take.
pub const DEPTH: usize = 2;

/// Encrypted mean and mean square of every feature.
#[derive(Clone, Debug)]
pub struct EncryptedStatistics<S: Scheme> {
    mean: EncryptedVector<S>,
    mean_square: EncryptedVector<S>,
}

impl<S: Trains> EncryptedStatistics<S> {
    /// Computes both over all rows. Two levels; relinearization key, rotations by powers of two.
    ///
    /// # Errors
    /// `Shape` unless the matrix is a tile; `Depth`, `MissingKey`.
    pub fn new(x: &EncryptedMatrix<S>) -> Result<Self> {
        Ok(Self {
            mean: x.mean(Axis::Rows)?,
            mean_square: x.square()?.mean(Axis::Rows)?,
        })
    }
}

impl<S: Scheme> EncryptedStatistics<S> {
    /// Mean of every feature.
    pub fn mean(&self) -> &EncryptedVector<S> {
        &self.mean
    }

    /// Mean square of every feature.
    pub fn mean_square(&self) -> &EncryptedVector<S> {
        &self.mean_square
    }

    /// The rows minus the means. At the depth of the means, or one less where the rows do not fill their ciphertexts.
    ///
    /// # Errors
    /// `Shape` if the number of features differs; `Depth`.
    pub fn center(&self, x: &EncryptedMatrix<S>) -> Result<EncryptedMatrix<S>>
    where
        S: Add + MulPlain,
    {
        x.add_to_rows(&self.mean.neg()?)
    }

    /// The scaler to mean zero and variance one, for the owner of the key. A variance below `tolerance` (in squared units of
    /// the feature; no less than the precision of the encryption) counts as zero: the feature is constant.
    ///
    /// # Errors
    /// `Parameter` for a tolerance that is negative or not finite; `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K, tolerance: f64) -> Result<Scaler>
    where
        S: Scheme<Value = f64>,
    {
        crate::table::check_parameter("tolerance", tolerance, 0.0, false)?;
        let mean = self.mean.decrypt(key)?;
        let deviation: Vec<f64> = self
            .mean_square
            .decrypt(key)?
            .iter()
            .zip(&mean)
            .map(|(square, m)| square - m * m)
            .map(|variance| {
                if variance > tolerance {
                    variance.sqrt()
                } else {
                    0.0
                }
            })
            .collect();
        Scaler::from_moments(&mean, &deviation)
    }
}

impl Scaler {
    /// Scales encrypted rows by clear statistics: `(x - shift) * factor`. One level, no keys.
    ///
    /// # Errors
    /// `Unsupported` for quantile scaling and whitening, which are not of that form; `Shape`, `Depth`.
    pub fn transform_encrypted<S>(&self, x: &EncryptedMatrix<S>) -> Result<EncryptedMatrix<S>>
    where
        S: AddPlain + MulPlain + Scheme<Value = f64>,
    {
        let Some((shift, factor)) = self.affine() else {
            return Err(Error::Unsupported {
                scheme: x.evaluator().name(),
                operation: "quantile scaling or whitening of encrypted rows",
                hint: "use standard or min-max scaling, or scale before encryption",
            });
        };
        let (rows, cols) = x.shape();
        if cols != self.features() {
            return Err(Error::Shape {
                operation: "scaling",
                got: format!("{cols} features"),
                expected: format!("{} features", self.features()),
                hint: "pass the features that it was fitted on, in the same order",
            });
        }
        let offsets: Vec<f64> = (0..rows).flat_map(|_| shift.iter().map(|s| -s)).collect();
        x.add_plain(&offsets)?.scale_columns_plain(factor)
    }
}
