//! Training, inference and closed form on real ciphertexts, through bytes, as owner and server would.
//!
//! The rings are too small to be secure (`insecure_degree`), which changes no code path but the security check; the example
//! `encrypted_training` runs at full size.

use cipherblas::ckks::{Evaluator, Params, SecretKey};
use cipherblas::linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector, Plan};
use cipherblas::models::plan::SCORING_DEPTH;
use cipherblas::models::{
    Batch, Degree, EncryptedModel, EncryptedStatistics, LearningRate, LogisticRegression,
    Plannable, Progress, Ridge, Table, TrainingPlan, closed_form, statistics,
};
use cipherblas::scheme::{Encrypt, KeySet};
use cipherblas::{Error, Result};
use std::ops::ControlFlow;

/// Bits that results have to agree to, and bits asked of the parameters beyond them: errors add up over rows and steps.
const PRECISION_BITS: u32 = 12;
const HEADROOM_BITS: u32 = 6;
const DEGREE: usize = 1 << 11;

struct Data {
    rows: usize,
    features: usize,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Data {
    /// Features in `[-1, 1]` from a fixed sequence; labels or targets that depend on them.
    fn new(rows: usize, features: usize, labels: bool) -> Self {
        let value = |i: usize| ((i * 7919 + 31) % 1009) as f64 / 504.0 - 1.0;
        let x: Vec<f64> = (0..rows * features).map(value).collect();
        let y = x
            .chunks(features)
            .map(|row| {
                let score = 0.2
                    + row
                        .iter()
                        .enumerate()
                        .map(|(i, v)| v / (i + 1) as f64)
                        .sum::<f64>();
                if labels {
                    f64::from(u8::from(score > 0.0))
                } else {
                    score
                }
            })
            .collect();
        Self {
            rows,
            features,
            x,
            y,
        }
    }

    fn table(&self) -> Table<'_> {
        Table::new(self.rows, self.features, &self.x).unwrap()
    }
}

/// An owner and a server that hold the same parameters and nothing else in common.
struct Roles {
    secret: SecretKey,
    server: Evaluator,
}

impl Roles {
    fn new(depth: usize, largest_value: f64, keys: &KeySet) -> Self {
        let params = Params::builder()
            .depth(depth)
            .precision_bits(PRECISION_BITS + HEADROOM_BITS)
            .integer_bits(largest_value.log2().ceil() as u32)
            .insecure_degree(DEGREE)
            .build()
            .unwrap();
        let mut rng = rand::rng();
        let secret = SecretKey::generate(&params, &mut rng).unwrap();
        let bytes =
            params.evaluation_keys_to_bytes(&secret.evaluation_keys(keys, &mut rng).unwrap());
        let params = Params::insecure_from_bytes(&params.to_bytes()).unwrap();
        let keys = params.evaluation_keys_from_bytes(&bytes).unwrap();
        let server = Evaluator::new(&params, keys).unwrap();
        Self { secret, server }
    }

    /// Rows and targets, encrypted by the owner and read by the server.
    fn send(
        &self,
        data: &Data,
        plan: &TrainingPlan,
    ) -> (EncryptedMatrix<Evaluator>, EncryptedVector<Evaluator>) {
        let mut rng = rand::rng();
        let options = EncryptOptions::new().packing(plan.tile()).bound(1.0);
        let x = EncryptedMatrix::encrypt_with(
            &self.secret,
            data.rows,
            data.features,
            &data.x,
            &options,
            &mut rng,
        )
        .unwrap();
        let options = EncryptOptions::new()
            .packing(plan.tile().row_packing())
            .bound(8.0);
        let y = EncryptedVector::encrypt_with(&self.secret, &data.y, &options, &mut rng).unwrap();
        (
            EncryptedMatrix::from_bytes(&self.server, &x.to_bytes().unwrap()).unwrap(),
            EncryptedVector::from_bytes(&self.server, &y.to_bytes().unwrap()).unwrap(),
        )
    }
}

fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!(
            (g - e).abs() <= tolerance,
            "{i}: {g} against {e}, tolerance {tolerance}"
        );
    }
}

fn tolerance() -> f64 {
    (-f64::from(PRECISION_BITS)).exp2()
}

#[test]
fn logistic_training_matches_clear() -> Result<()> {
    // 1024 slots hold 128 rows of 8 columns: one block; three blocks in batches of one.
    for (rows, batch, degree) in [
        (90, Batch::Full, Degree::Three),
        (300, Batch::Rows(100), Degree::Three),
        (90, Batch::Full, Degree::One),
        (90, Batch::Full, Degree::Five),
        (90, Batch::Full, Degree::Seven),
    ] {
        let data = Data::new(rows, 6, true);
        let model = LogisticRegression::new()
            .max_iter(3)
            .batch(batch)
            .sigmoid(degree, 6.0)
            .learning_rate(LearningRate::Constant(0.8))
            .l2(0.01);
        let plan = model.plan(rows, 6, DEGREE / 2)?;
        let norm = 6f64.sqrt();
        let roles = Roles::new(
            plan.depth() + SCORING_DEPTH,
            plan.largest_value(norm, 0.5),
            plan.keys(),
        );
        let (x, y) = roles.send(&data, &plan);
        let encrypted = model.fit_encrypted(&x, &y, go_on)?;
        assert_eq!(encrypted.depth(), SCORING_DEPTH);

        let clear = model
            .clone()
            .batch(Batch::Rows(plan.batch_rows()))
            .fit_clear(&data.table(), &data.y)?
            .model;
        let returned = EncryptedModel::from_bytes(&roles.secret.scheme(), &encrypted.to_bytes()?)?;
        let decrypted = returned.decrypt(&roles.secret)?;
        let difference = decrypted.max_difference(&clear)?;
        assert!(
            difference <= tolerance(),
            "{rows} rows, {degree:?}: {difference}"
        );

        // A score sums the errors of seven weights times features of at most one.
        let expected = clear.decision_function(&data.table())?;
        let scores = encrypted.decision_function(&x)?.decrypt(&roles.secret)?;
        close(&scores, &expected, 7.0 * tolerance());
        let scores = clear
            .decision_function_encrypted(&x)?
            .decrypt(&roles.secret)?;
        close(&scores, &expected, 7.0 * tolerance());
    }
    Ok(())
}

#[test]
fn encrypted_weights_score_plain_rows() -> Result<()> {
    let data = Data::new(90, 6, true);
    let model = LogisticRegression::new().max_iter(2);
    let plan = model.plan(90, 6, DEGREE / 2)?;
    let scoring = Plan::trace(DEGREE / 2, 1, |tracer| {
        let packing = plan.tile().column_packing();
        let weights = tracer.vector(7, &EncryptOptions::new().packing(packing))?;
        let model = EncryptedModel::new(
            cipherblas::models::Kind::Logistic,
            6,
            cipherblas::models::Intercept::Fit,
            weights,
        )?;
        model.decision_function_plain(&data.table()).map(drop)
    })?;
    let keys = plan.keys().clone().union(scoring.keys());
    let roles = Roles::new(
        plan.depth() + 1,
        plan.largest_value(6f64.sqrt(), 0.5),
        &keys,
    );
    let (x, y) = roles.send(&data, &plan);
    let encrypted = model.fit_encrypted(&x, &y, go_on)?;
    let scores = encrypted
        .decision_function_plain(&data.table())?
        .decrypt(&roles.secret)?;
    let expected = model
        .fit_clear(&data.table(), &data.y)?
        .model
        .decision_function(&data.table())?;
    close(&scores, &expected, 7.0 * tolerance());
    Ok(())
}

#[test]
fn ridge_by_descent_and_by_closed_form() -> Result<()> {
    let data = Data::new(200, 5, false);
    let ridge = Ridge::new(2.0)
        .max_iter(4)
        .learning_rate(LearningRate::Constant(0.9));
    let plan = ridge.plan(200, 5, DEGREE / 2)?;
    let closed = Plan::trace(DEGREE / 2, closed_form::DEPTH, |tracer| {
        let x = tracer.matrix(200, 5, &EncryptOptions::new().packing(plan.tile()))?;
        let y = tracer.vector(
            200,
            &EncryptOptions::new().packing(plan.tile().row_packing()),
        )?;
        ridge.normal_equations(&x, &y).map(drop)
    })?;
    let keys = plan.keys().clone().union(closed.keys());
    let target = data.y.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let roles = Roles::new(plan.depth(), plan.largest_value(5f64.sqrt(), target), &keys);
    let (x, y) = roles.send(&data, &plan);

    let encrypted = ridge.fit_encrypted(&x, &y, go_on)?.decrypt(&roles.secret)?;
    let clear = ridge
        .clone()
        .batch(Batch::Rows(plan.batch_rows()))
        .fit_clear(&data.table(), &data.y)?
        .model;
    assert!(encrypted.max_difference(&clear)? <= tolerance());

    let solved = ridge
        .normal_equations(&x, &y)?
        .decrypt(&roles.secret)?
        .solve(2.0)?;
    let exact = ridge.fit_exact(&data.table(), &data.y)?;
    assert!(solved.max_difference(&exact)? <= tolerance());
    Ok(())
}

#[test]
fn encrypted_statistics_scale_encrypted_rows() -> Result<()> {
    let data = Data::new(100, 3, false);
    let ridge = Ridge::new(1.0).intercept(cipherblas::models::Intercept::Omit);
    let tile = ridge.row_packing(100, 3, DEGREE / 2)?;
    let plan = Plan::trace(DEGREE / 2, statistics::DEPTH, |tracer| {
        let x = tracer.matrix(100, 3, &EncryptOptions::new().packing(tile))?;
        EncryptedStatistics::new(&x).map(drop)
    })?;
    let roles = Roles::new(plan.depth(), 100.0, plan.keys());
    let (x, _) = roles.send(&data, &ridge.plan(100, 3, DEGREE / 2)?);
    let scaler = EncryptedStatistics::new(&x)?.decrypt(&roles.secret, 1e-3)?;
    let scaled = scaler.transform_encrypted(&x)?.decrypt(&roles.secret)?;
    close(&scaled, &scaler.transform(&data.table())?, tolerance());
    for c in 0..3 {
        let column: Vec<f64> = scaled.iter().skip(c).step_by(3).copied().collect();
        let mean = column.iter().sum::<f64>() / 100.0;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 100.0;
        assert!(
            mean.abs() <= tolerance() && (variance - 1.0).abs() <= 8.0 * tolerance(),
            "{mean}, {variance}"
        );
    }
    Ok(())
}

#[test]
fn misuse_is_a_typed_error() -> Result<()> {
    let data = Data::new(20, 3, true);
    let model = LogisticRegression::new().max_iter(2);
    let plan = model.plan(20, 3, DEGREE / 2)?;
    let largest = plan.largest_value(3f64.sqrt(), 0.5);

    let shallow = Roles::new(plan.depth() - 1, largest, plan.keys());
    let (x, y) = shallow.send(&data, &plan);
    let error = model.fit_encrypted(&x, &y, go_on).unwrap_err();
    assert!(
        matches!(error, Error::Depth { needed, left, .. } if needed == left + 1),
        "{error}"
    );

    let mut fewer = plan.keys().clone();
    fewer.rotations.pop_last();
    let keyless = Roles::new(plan.depth(), largest, &fewer);
    let (x, y) = keyless.send(&data, &plan);
    let error = model.fit_encrypted(&x, &y, go_on).unwrap_err();
    assert!(matches!(error, Error::MissingKey { .. }), "{error}");

    let roles = Roles::new(plan.depth() + SCORING_DEPTH, largest, plan.keys());
    let (x, y) = roles.send(&data, &plan);
    let fit = model.fit_encrypted(&x, &y, go_on)?;
    let bytes = fit.to_bytes()?;
    assert!(matches!(
        fit.decrypt(&keyless.secret),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        EncryptedModel::from_bytes(&keyless.server, &bytes),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        EncryptedModel::from_bytes(&roles.server, &bytes[..bytes.len() - 1]),
        Err(Error::Wire { .. })
    ));
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    assert!(matches!(
        EncryptedModel::from_bytes(&roles.server, &altered),
        Err(Error::Wire { .. })
    ));
    let stopped = model.fit_encrypted(&x, &y, |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Interrupted)));
    Ok(())
}
