//! A fitted model in clear.

use crate::clear::descent::Trained;
use crate::sigmoid::sigmoid;
use crate::table::{Table, check_finite, dot};
use cipherblas_scheme::{Error, Result};

/// What a score means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The score is the prediction.
    Linear,
    /// The score is the log-odds of class 1.
    Logistic,
}

/// Weights in clear: after decryption, or trained in clear.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainModel {
    kind: Kind,
    coef: Vec<f64>,
    intercept: f64,
}

impl PlainModel {
    /// A model with given weights.
    ///
    /// # Errors
    /// `Shape` without weights; `Value` for NaN or infinity.
    pub fn new(kind: Kind, coef: Vec<f64>, intercept: f64) -> Result<Self> {
        if coef.is_empty() {
            return Err(Error::Shape {
                operation: "model",
                got: "no weight".into(),
                expected: "one weight per feature, at least one".into(),
                hint: "a model without features predicts nothing",
            });
        }
        check_finite(&coef)?;
        check_finite(&[intercept])?;
        Ok(Self {
            kind,
            coef,
            intercept,
        })
    }

    /// Linear or logistic.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// One weight per feature.
    pub fn coef(&self) -> &[f64] {
        &self.coef
    }

    /// The constant term; zero if none was fitted.
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// `x . coef + intercept` for every row.
    ///
    /// # Errors
    /// `Shape` if the number of features differs.
    pub fn decision_function(&self, x: &Table<'_>) -> Result<Vec<f64>> {
        x.check_features("decision function", self.coef.len())?;
        Ok(x.iter()
            .map(|row| dot(row, &self.coef) + self.intercept)
            .collect())
    }

    /// The prediction: the score of a linear model, the class (0 or 1) of a logistic one.
    ///
    /// # Errors
    /// As [`decision_function`](Self::decision_function).
    pub fn predict(&self, x: &Table<'_>) -> Result<Vec<f64>> {
        let mut scores = self.decision_function(x)?;
        if self.kind == Kind::Logistic {
            scores
                .iter_mut()
                .for_each(|s| *s = f64::from(u8::from(*s > 0.0)));
        }
        Ok(scores)
    }

    /// The probability of class 1 for every row, by the sigmoid itself.
    ///
    /// # Errors
    /// As [`decision_function`](Self::decision_function); `Parameter` for a linear model.
    pub fn predict_proba(&self, x: &Table<'_>) -> Result<Vec<f64>> {
        if self.kind == Kind::Linear {
            return Err(Error::Parameter {
                what: "model",
                got: "a linear model".into(),
                expected: "a logistic model".into(),
                hint: "probabilities exist for classifiers; use predict",
            });
        }
        let mut scores = self.decision_function(x)?;
        scores.iter_mut().for_each(|s| *s = sigmoid(*s));
        Ok(scores)
    }

    /// The largest difference between weights, intercept included.
    ///
    /// # Errors
    /// `Shape` if the models have different numbers of features.
    pub fn max_difference(&self, other: &Self) -> Result<f64> {
        if self.coef.len() != other.coef.len() {
            return Err(Error::Shape {
                operation: "difference of models",
                got: format!("{} and {} weights", self.coef.len(), other.coef.len()),
                expected: "as many weights in both".into(),
                hint: "compare models of the same features",
            });
        }
        let start = (self.intercept - other.intercept).abs();
        Ok(self
            .coef
            .iter()
            .zip(&other.coef)
            .map(|(a, b)| (a - b).abs())
            .fold(start, f64::max))
    }
}

/// What training in clear gives.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearFit {
    /// The weights.
    pub model: PlainModel,
    /// The largest absolute score at which the polynomial sigmoid was evaluated: should not exceed its bound.
    pub largest_score: f64,
}

impl ClearFit {
    pub(crate) fn new(kind: Kind, trained: Trained) -> Result<Self> {
        Ok(Self {
            model: PlainModel::new(kind, trained.coef, trained.intercept)?,
            largest_score: trained.largest_score,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_classes_and_probabilities() {
        let model = PlainModel::new(Kind::Logistic, vec![1.0, -2.0], 0.5).unwrap();
        let data = [1.0, 1.0, 3.0, 1.0];
        let x = Table::new(2, 2, &data).unwrap();
        assert_eq!(model.decision_function(&x).unwrap(), [-0.5, 1.5]);
        assert_eq!(model.predict(&x).unwrap(), [0.0, 1.0]);
        assert!((model.predict_proba(&x).unwrap()[1] - 0.817_574_476).abs() < 1e-9);
        let linear = PlainModel::new(Kind::Linear, vec![1.0, -2.0], 0.0).unwrap();
        assert_eq!(linear.predict(&x).unwrap(), [-1.0, 1.0]);
        assert_eq!(linear.max_difference(&model).unwrap(), 0.5);
        assert!(matches!(
            linear.predict_proba(&x),
            Err(Error::Parameter { .. })
        ));
    }

    #[test]
    fn wrong_features_are_refused() {
        let model = PlainModel::new(Kind::Linear, vec![1.0], 0.0).unwrap();
        let x = Table::new(1, 2, &[1.0, 2.0]).unwrap();
        assert!(
            matches!(model.predict(&x), Err(Error::Shape { got, expected, .. })
            if got == "2 features" && expected == "1 features")
        );
        assert!(PlainModel::new(Kind::Linear, vec![], 0.0).is_err());
        assert!(PlainModel::new(Kind::Linear, vec![1.0], f64::NAN).is_err());
    }
}
