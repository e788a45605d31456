//! Training over several owners' rows, of which nobody but they sees anything but sums over all of them.
//!
//! Each owner computes sums over its own rows in clear and encrypts them; a coordinator, who holds no key, adds the
//! encrypted sums up; the key's holder decrypts the totals and nothing else. A model is a function of such totals: least
//! squares after one round ([`NormalEquations`](crate::NormalEquations)), logistic regression after a few ([`Rounds`]). Addition is all that is asked of
//! the scheme: Paillier will do, and is the lightest.
//!
//! This module holds the owners' and the key holder's halves, both in clear; in between are
//! [`EncryptedVector::encrypt`](cipherblas_linalg::EncryptedVector::encrypt),
//! [`EncryptedVector::total`](cipherblas_linalg::EncryptedVector::total) and
//! [`EncryptedVector::decrypt`](cipherblas_linalg::EncryptedVector::decrypt).
//!
//! | | owner sends | key holder makes of the total |
//! |---|---|---|
//! | [`FeatureSums`] | number of rows, sums and square sums of the features | a common [`Scaler`](crate::Scaler) |
//! | [`NormalEquations`](crate::NormalEquations) | `X' X` and `X' y` | ridge regression, for any penalties |
//! | [`Question::answer`] | loss, gradient, perhaps Hessian at the weights asked about | the next weights |
//!
//! # What is not hidden
//! * The key's holder learns the totals, which is more than the model: `X' X` over all rows, or gradients along the way.
//! * A total over one owner is that owner's sum: at least two owners have to be honest, and the key's holder must not get
//!   ciphertexts of single owners (it must not be the coordinator, nor collude with it). Where all owners hold the key, no
//!   owner must see what others send.
//! * **The key's holder must ask as [`Rounds`] does.** Answers are sums of functions of rows that the question chooses: one who
//!   picks huge weights, and many of them, makes a single row stand out. [`Respondent`] bounds the weights and the number of
//!   rounds that an owner answers; that is a limit on what can be asked, not a proof, and nothing here is differentially
//!   private.
//! * What is made of totals and told to owners (weights, means) is a shared result. With exact schemes (Paillier, BFV) it says
//!   nothing about the key. With CKKS it may, to whoever also sees the encrypted totals: the coordinator must not collude
//!   with an owner, or the holder has to decrypt with
//!   [`decrypt_shared`](cipherblas_linalg::EncryptedVector::decrypt_shared), which leaves some 15 bits of precision.
//! * Nothing proves that an owner's sums are right.
//!
//! ```
//! use cipherblas_linalg::EncryptedVector;
//! use cipherblas_models::{Intercept, NormalEquations, Table};
//! use cipherblas_scheme::ClearScheme;
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! // The scheme in clear stands for any other here.
//! let scheme = ClearScheme::new(4, 0)?;
//! let (key, mut rng) = (scheme.key(), ChaCha20Rng::seed_from_u64(1));
//! let owners = [([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]), ([3.0, 4.0, 6.0], [7.0, 9.0, 13.0])];
//! let mut sent = Vec::new();
//! for (x, y) in &owners {
//!     let sums = NormalEquations::of(&Table::new(3, 1, x)?, y, Intercept::Fit)?;
//!     sent.push(EncryptedVector::encrypt(&key, &sums.to_values(), &mut rng)?);
//! }
//! let total = EncryptedVector::total(&sent.iter().collect::<Vec<_>>())?;
//! let model = NormalEquations::from_values(1, Intercept::Fit, &total.decrypt(&key)?)?.solve(0.0)?;
//! assert!((model.coef()[0] - 2.0).abs() < 1e-12 && (model.intercept() - 1.0).abs() < 1e-12);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod logistic;
mod statistics;

pub use logistic::{Method, Question, Respondent, Round, Rounds};
pub use statistics::FeatureSums;

use crate::table::check_finite;
use cipherblas_scheme::{Error, Result};

/// Checks decrypted totals before anything is made of them.
pub(crate) fn check_totals(operation: &'static str, values: &[f64], expected: usize) -> Result<()> {
    if values.len() != expected {
        return Err(Error::Shape {
            operation,
            got: format!("{} totals", values.len()),
            expected: expected.to_string(),
            hint: "pass the decrypted total of what the owners sent for the same question",
        });
    }
    check_finite(values)
}

/// A number of rows, as a total has it: up to the precision of the encryption.
fn check_rows(operation: &'static str, rows: f64) -> Result<f64> {
    let whole = rows.round();
    if whole >= 1.0 && (rows - whole).abs() < 0.25 {
        return Ok(whole);
    }
    Err(Error::Shape {
        operation,
        got: format!("{rows} rows"),
        expected: "a positive whole number, to the precision of the encryption".into(),
        hint: "add up what every owner sent exactly once; ask for more precision",
    })
}
