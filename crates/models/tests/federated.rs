//! Several owners' encrypted sums give the model of the pooled rows.

mod common;

use cipherblas_linalg::EncryptedVector;
use cipherblas_models::federated::{Method, Question, Rounds};
use cipherblas_models::{
    Batch, Intercept, LearningRate, LogisticRegression, NormalEquations, PlainModel, Ridge, Solver,
    Table,
};
use cipherblas_scheme::{ClearScheme, Error};
use common::Data;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const FEATURES: usize = 3;

/// Rows of each owner.
const OWNERS: [usize; 3] = [7, 30, 13];

/// Values that went through encryption and addition.
fn total(sent: &[Vec<f64>]) -> Vec<f64> {
    let scheme = ClearScheme::new(8, 0).unwrap();
    let (key, mut rng) = (scheme.key(), ChaCha20Rng::seed_from_u64(2));
    let sent: Vec<_> = sent
        .iter()
        .map(|values| EncryptedVector::encrypt(&key, values, &mut rng).unwrap())
        .collect();
    let total = EncryptedVector::total(&sent.iter().collect::<Vec<_>>()).unwrap();
    total.decrypt(&key).unwrap()
}

/// The owners' tables and targets, one after another.
fn shares(data: &Data) -> Vec<(Table<'_>, &[f64])> {
    let mut start = 0;
    OWNERS
        .iter()
        .map(|&rows| {
            let x = &data.x[start * FEATURES..(start + rows) * FEATURES];
            let y = &data.y[start..start + rows];
            start += rows;
            (Table::new(rows, FEATURES, x).unwrap(), y)
        })
        .collect()
}

fn rows() -> usize {
    OWNERS.iter().sum()
}

fn run(data: &Data, rounds: &mut Rounds) -> PlainModel {
    while !rounds.finished() {
        let question = rounds.question().unwrap();
        let answers: Vec<_> = shares(data)
            .iter()
            .map(|(x, y)| question.answer(x, y).unwrap())
            .collect();
        rounds.take(&total(&answers)).unwrap();
    }
    rounds.model().unwrap()
}

#[test]
fn ridge_is_that_of_the_pooled_rows() {
    let data = Data::new(rows(), FEATURES, false);
    let pooled = Table::new(rows(), FEATURES, &data.x).unwrap();
    for intercept in [Intercept::Fit, Intercept::Omit] {
        let sent: Vec<_> = shares(&data)
            .iter()
            .map(|(x, y)| NormalEquations::of(x, y, intercept).unwrap().to_values())
            .collect();
        let total = total(&sent);
        assert_eq!(total.len(), NormalEquations::values(FEATURES, intercept));
        let normal = NormalEquations::from_values(FEATURES, intercept, &total).unwrap();
        for alpha in [0.1, 10.0] {
            let exact = Ridge::new(alpha)
                .intercept(intercept)
                .fit_exact(&pooled, &data.y)
                .unwrap();
            let difference = normal.solve(alpha).unwrap().max_difference(&exact).unwrap();
            assert!(difference < 1e-12, "{intercept:?}, {alpha}: {difference}");
        }
    }
}

#[test]
fn newton_reaches_the_pooled_optimum_in_a_few_rounds() {
    let data = Data::new(rows(), FEATURES, true);
    let pooled = Table::new(rows(), FEATURES, &data.x).unwrap();
    for intercept in [Intercept::Fit, Intercept::Omit] {
        let model = LogisticRegression::new()
            .intercept(intercept)
            .max_iter(25)
            .l2(0.01);
        let mut rounds = Rounds::new(&model, Method::Newton, FEATURES, 1e-8).unwrap();
        let found = run(&data, &mut rounds);
        let exact = model.fit_exact(&pooled, &data.y).unwrap();
        let difference = found.max_difference(&exact).unwrap();
        assert!(difference < 1e-8, "{intercept:?}: {difference}");
    }
}

/// One owner with all rows takes the same steps.
#[test]
fn descent_is_that_of_the_pooled_rows() {
    let data = Data::new(rows(), FEATURES, true);
    let pooled = Table::new(rows(), FEATURES, &data.x).unwrap();
    for solver in [Solver::GradientDescent, Solver::Nag] {
        let model = LogisticRegression::new()
            .solver(solver)
            .max_iter(600)
            .learning_rate(LearningRate::Constant(2.0))
            .l2(0.05);
        let mut rounds = Rounds::new(&model, Method::Gradient, FEATURES, 1e-9).unwrap();
        let mut alone = rounds.clone();
        let found = run(&data, &mut rounds);
        while !alone.finished() {
            let answer = alone.question().unwrap().answer(&pooled, &data.y).unwrap();
            alone.take(&answer).unwrap();
        }
        let difference = found.max_difference(&alone.model().unwrap()).unwrap();
        assert!(difference < 1e-12, "{solver:?}: {difference}");
        let exact = model.fit_exact(&pooled, &data.y).unwrap();
        let difference = found.max_difference(&exact).unwrap();
        assert!(difference < 1e-5, "{solver:?}: {difference}");
    }
}

#[test]
fn newton_says_when_there_is_no_optimum() {
    let x = Table::new(2, 1, &[-1.0, 1.0]).unwrap();
    let model = LogisticRegression::new()
        .intercept(Intercept::Omit)
        .max_iter(15);
    let mut rounds = Rounds::new(&model, Method::Newton, 1, 1e-9).unwrap();
    for number in 1..=15 {
        let answer = rounds.question().unwrap().answer(&x, &[0.0, 1.0]).unwrap();
        let round = rounds.take(&answer).unwrap();
        assert_eq!((round.number, round.finished), (number, number == 15));
        assert!(!round.converged, "separable classes have no optimum");
    }
    // Twice the same feature, and no penalty: the Hessian is singular.
    let model = LogisticRegression::new().max_iter(15);
    let mut rounds = Rounds::new(&model, Method::Newton, 2, 1e-9).unwrap();
    let x = Table::new(3, 2, &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]).unwrap();
    let answer = rounds.question().unwrap().answer(&x, &[0.0, 1.0, 0.0]);
    assert!(matches!(
        rounds.take(&answer.unwrap()),
        Err(Error::Parameter { what: "l2", .. })
    ));
}

#[test]
fn misuse_is_refused() {
    let model = LogisticRegression::new().max_iter(1);
    let batches = model.clone().batch(Batch::Rows(3));
    assert!(matches!(
        Rounds::new(&batches, Method::Gradient, 2, 1e-6),
        Err(Error::Parameter { what: "batch", .. })
    ));
    assert!(matches!(
        Rounds::new(&model, Method::Gradient, 0, 1e-6),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        Rounds::new(&model, Method::Gradient, 2, 0.0),
        Err(Error::Parameter {
            what: "tolerance",
            ..
        })
    ));
    let mut rounds = Rounds::new(&model, Method::Gradient, 2, 1e-6).unwrap();
    let question = rounds.question().unwrap();
    assert_eq!(question.values(), 5);
    let x = Table::new(1, 2, &[1.0, 2.0]).unwrap();
    assert!(matches!(
        question.answer(&x, &[0.5]),
        Err(Error::Value { .. })
    ));
    assert!(matches!(
        question.answer(&x, &[0.0, 1.0]),
        Err(Error::Shape { .. })
    ));
    for (total, shape) in [
        (vec![1.0; 4], true),
        (vec![0.4, 1.0, 1.0, 1.0, 1.0], true),
        (vec![1.0, 1.0, f64::NAN, 1.0, 1.0], false),
    ] {
        let error = rounds.take(&total).unwrap_err();
        let right = match error {
            Error::Shape { .. } => shape,
            Error::Value { .. } => !shape,
            _ => false,
        };
        assert!(right, "{total:?}: {error}");
    }
    let answer = question.answer(&x, &[1.0]).unwrap();
    assert!(rounds.take(&answer).unwrap().finished);
    assert!(matches!(
        rounds.take(&answer),
        Err(Error::Parameter {
            what: "max_iter",
            ..
        })
    ));
    assert!(Question::new(vec![0.0], Intercept::Fit, Method::Newton).is_err());
    assert!(Question::new(vec![f64::NAN], Intercept::Omit, Method::Newton).is_err());
    assert!(matches!(
        NormalEquations::from_values(2, Intercept::Fit, &[1.0; 3]),
        Err(Error::Shape { .. })
    ));
}
