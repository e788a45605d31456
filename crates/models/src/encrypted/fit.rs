//! `fit_encrypted` of the models.

use crate::encrypted::train::{self, Progress, Trains};
use crate::link::Link;
use crate::schedule::Descent;
use crate::{EncryptedModel, Kind, LinearRegression, LogisticRegression, Ridge};
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector, Tile};
use cipherblas_scheme::Result;
use std::ops::ControlFlow;

/// What training needs to know of a model.
struct Problem<'a> {
    kind: Kind,
    descent: &'a Descent,
    link: Link,
    l2: f64,
}

impl Problem<'_> {
    fn fit<S: Trains>(
        &self,
        x: &EncryptedMatrix<S>,
        y: &EncryptedVector<S>,
        callback: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<EncryptedModel<S>> {
        let weights = train::train(x, y, &self.link, self.l2, self.descent, callback)?;
        EncryptedModel::new(self.kind, x.cols(), self.descent.intercept, weights)
    }
}

macro_rules! fit_encrypted {
    ($model:ident, $targets:literal, |$self:ident, $rows:ident| $problem:expr) => {
        impl $model {
            #[doc = concat!("Trains on encrypted rows and ", $targets, ".")]
            ///
            /// The rows as a row-major tile in [`row_packing`](Self::row_packing), the targets in the row packing of
            /// that tile. [`depth`](Self::depth) levels; relinearization key and rotation keys by powers of two. The
            /// callback is told of each step, and may stop the training.
            ///
            /// # Errors
            /// `Shape` for another packing, other lengths, or no room for the intercept; `Depth`, `MissingKey`,
            /// `KeyMismatch`; `Parameter` for impossible settings; `Interrupted` if the callback breaks.
            pub fn fit_encrypted<S: Trains>(
                &self,
                x: &EncryptedMatrix<S>,
                y: &EncryptedVector<S>,
                callback: impl FnMut(&Progress) -> ControlFlow<()>,
            ) -> Result<EncryptedModel<S>> {
                self.problem(x.rows())?.fit(x, y, callback)
            }

            /// Levels that training takes; scoring encrypted rows with the result takes two more.
            ///
            /// # Errors
            /// `Parameter` for impossible settings.
            pub fn depth(&self) -> Result<usize> {
                self.descent.check()?;
                Ok(train::depth(&self.problem(1)?.link, self.descent.iterations))
            }

            /// The packing in which to encrypt `rows` rows of `features` features.
            ///
            /// # Errors
            /// `Shape` if a dimension is zero or does not fit in memory.
            pub fn row_packing(&self, rows: usize, features: usize, slots: usize) -> Result<Tile> {
                crate::row_packing(rows, features, self.descent.intercept, slots)
            }

            /// Rows that a step of encrypted training looks at: the batch, rounded up to whole ciphertexts.
            ///
            /// # Errors
            /// As [`row_packing`](Self::row_packing).
            pub fn batch_rows(&self, rows: usize, features: usize, slots: usize) -> Result<usize> {
                train::batch_rows(&self.descent, rows, features, slots)
            }

            fn problem(&$self, $rows: usize) -> Result<Problem<'_>> {
                $problem
            }
        }
    };
}

fit_encrypted!(
    LogisticRegression,
    "encrypted labels 0 and 1",
    |self, _rows| Ok(Problem {
        kind: Kind::Logistic,
        descent: &self.descent,
        link: self.link()?,
        l2: self.l2,
    })
);

fit_encrypted!(LinearRegression, "encrypted targets", |self, _rows| Ok(
    Problem {
        kind: Kind::Linear,
        descent: &self.descent,
        link: Link::identity(),
        l2: 0.0,
    }
));

fit_encrypted!(Ridge, "encrypted targets", |self, rows| Ok(Problem {
    kind: Kind::Linear,
    descent: &self.descent,
    link: Link::identity(),
    l2: self.l2(rows)?,
}));
