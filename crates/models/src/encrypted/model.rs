//! A model whose weights are encrypted.

use crate::encrypted::design::with_ones;
use crate::encrypted::train::{self, Trains};
use crate::schedule::Intercept;
use crate::{Kind, PlainModel, Table};
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector, PlainMatrix};
use cipherblas_scheme::wire::{Expected, Header, Kind as Object, Reader, Writer};
use cipherblas_scheme::{Add, AddPlain, Decrypt, Error, MulPlain, Result, Rotate, Scheme, Wire};
use std::fmt;

/// Encrypted weights: what training on ciphertexts gives.
#[derive(Clone)]
pub struct EncryptedModel<S: Scheme> {
    kind: Kind,
    intercept: Intercept,
    features: usize,
    /// One weight per feature, then the intercept's if there is one.
    weights: EncryptedVector<S>,
}

impl<S: Scheme> fmt::Debug for EncryptedModel<S> {
    /// Kind, shape and depth; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedModel")
            .field("kind", &self.kind)
            .field("features", &self.features)
            .field("intercept", &self.intercept)
            .field("depth", &self.weights.depth())
            .finish_non_exhaustive()
    }
}

impl<S: Scheme> EncryptedModel<S> {
    /// A model with given encrypted weights: one per feature, then the intercept's if there is one.
    ///
    /// # Errors
    /// `Shape` if the number of weights is not that of the features, plus one for an intercept.
    pub fn new(
        kind: Kind,
        features: usize,
        intercept: Intercept,
        weights: EncryptedVector<S>,
    ) -> Result<Self> {
        let expected = train::weights(features, intercept);
        if features == 0 || weights.len() != expected {
            return Err(Error::Shape {
                operation: "encrypted model",
                got: format!("{} weights for {features} features", weights.len()),
                expected: format!("{expected} weights, for at least one feature"),
                hint: "the intercept's weight comes last",
            });
        }
        Ok(Self {
            kind,
            intercept,
            features,
            weights,
        })
    }

    /// Linear or logistic.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Whether the last weight is a constant term.
    pub fn intercept(&self) -> Intercept {
        self.intercept
    }

    /// The encrypted weights: one per feature, then the intercept's if there is one.
    pub fn coef(&self) -> &EncryptedVector<S> {
        &self.weights
    }

    /// Multiplications that the weights can still take. Scoring encrypted rows takes two, scoring plain rows one.
    pub fn depth(&self) -> usize {
        self.weights.depth()
    }

    /// The same model bound to another evaluator.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn bind(mut self, evaluator: &S) -> Result<Self> {
        self.weights = self.weights.bind(evaluator)?;
        Ok(self)
    }

    /// The model in clear, for the owner of the key.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<PlainModel>
    where
        S: Scheme<Value = f64>,
    {
        let mut coef = self.weights.decrypt(key)?;
        let bias = match self.intercept {
            Intercept::Fit => coef.pop().unwrap_or(0.0),
            Intercept::Omit => 0.0,
        };
        PlainModel::new(self.kind, coef, bias)
    }

    fn check_features(&self, operation: &'static str, got: usize) -> Result<()> {
        if got == self.features {
            return Ok(());
        }
        Err(Error::Shape {
            operation,
            got: format!("{got} features"),
            expected: format!("{} features", self.features),
            hint: "pass the features that the model was trained on, in the same order",
        })
    }
}

impl<S: Wire> EncryptedModel<S> {
    /// The model in an envelope that names parameters and key: kind, intercept, features, then the encrypted weights.
    ///
    /// # Errors
    /// None for ciphertexts that the scheme wrote correctly.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let weights = self.weights.to_bytes()?;
        let inner = Header::peek(&weights)?;
        let mut writer = Writer::new();
        writer.u8(match self.kind {
            Kind::Linear => 0,
            Kind::Logistic => 1,
        });
        writer.u8(u8::from(self.intercept == Intercept::Fit));
        writer.u64(self.features as u64);
        writer.bytes(&weights);
        Ok(writer.seal(&Header::new(
            Object::Model,
            inner.scheme,
            inner.parameters,
            inner.key,
        )))
    }

    /// Reads and checks a model, and binds it to `evaluator`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`; `Shape` if weights and features do not fit together.
    pub fn from_bytes(evaluator: &S, bytes: &[u8]) -> Result<Self> {
        let outer = Header::peek(bytes)?;
        let expected = Expected {
            kind: Object::Model,
            scheme: outer.scheme,
            parameters: None,
            key: None,
        };
        let (_, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("encrypted model", payload);
        let kind = match reader.u8()? {
            0 => Kind::Linear,
            1 => Kind::Logistic,
            other => {
                return Err(reader.error(format!("kind {other}"), "0 (linear) or 1 (logistic)"));
            }
        };
        let intercept = match reader.u8()? {
            0 => Intercept::Omit,
            1 => Intercept::Fit,
            other => return Err(reader.error(format!("intercept {other}"), "0 or 1")),
        };
        let declared = reader.u64()?;
        let features = usize::try_from(declared)
            .ok()
            .filter(|&n| n < usize::MAX)
            .ok_or_else(|| reader.error(declared.to_string(), "a number of features"))?;
        let weights = reader.bytes()?;
        let inner = Header::peek(weights)?;
        if (inner.scheme, inner.parameters, inner.key)
            != (outer.scheme, outer.parameters, outer.key)
        {
            return Err(reader.error(
                format!("weights of key {}", inner.key),
                format!("key {}, as the model says", outer.key),
            ));
        }
        reader.expect_end()?;
        Self::new(
            kind,
            features,
            intercept,
            EncryptedVector::from_bytes(evaluator, weights)?,
        )
    }
}

impl<S: Trains> EncryptedModel<S> {
    /// Encrypted weights x encrypted rows: one score per row. The rows in the packing they would have for training
    /// (row-major, with room for the column of ones). Two levels, relinearization key, `2 log2(columns)` rotations for
    /// each ciphertext of rows.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`, `KeyMismatch`.
    pub fn decision_function(&self, x: &EncryptedMatrix<S>) -> Result<EncryptedVector<S>> {
        self.check_features("decision function", x.cols())?;
        with_ones("decision function", x, self.intercept)?.matvec(&self.weights)
    }
}

impl<S: Add + MulPlain + Rotate + Scheme<Value = f64>> EncryptedModel<S> {
    /// Encrypted weights x plain rows: one score per row, in the canonical packing. One level, and the rotations of a
    /// plain matrix x encrypted vector.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn decision_function_plain(&self, x: &Table<'_>) -> Result<EncryptedVector<S>> {
        self.check_features("decision function", x.cols())?;
        let columns = self.weights.len();
        let mut rows = Vec::with_capacity(x.rows() * columns);
        for row in x.iter() {
            rows.extend_from_slice(row);
            rows.resize(rows.len() + columns - self.features, 1.0);
        }
        PlainMatrix::new(x.rows(), columns, rows)?.matvec(&self.weights)
    }
}

impl PlainModel {
    /// Plain weights x encrypted rows: one score per row. For row-major tiles two levels and `2 log2(columns)` rotations
    /// for each ciphertext of rows; for column packing one level and no rotation.
    ///
    /// # Errors
    /// `Shape`, `Depth`, `MissingKey`.
    pub fn decision_function_encrypted<S>(
        &self,
        x: &EncryptedMatrix<S>,
    ) -> Result<EncryptedVector<S>>
    where
        S: Add + AddPlain + MulPlain + Rotate + Scheme<Value = f64>,
    {
        if x.cols() != self.coef().len() {
            return Err(Error::Shape {
                operation: "decision function",
                got: format!("{} features", x.cols()),
                expected: format!("{} features", self.coef().len()),
                hint: "pass the features that the model was trained on, in the same order",
            });
        }
        x.matvec_plain(self.coef())?.add_scalar(self.intercept())
    }
}
