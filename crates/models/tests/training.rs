//! Encrypted training equals the same algorithm in clear, at exactly the planned depth.

mod common;

use cipherblas_models::{
    Batch, Degree, Intercept, LearningRate, LinearRegression, LogisticRegression, Ridge, Solver,
};
use cipherblas_scheme::{ClearScheme, Error};
use common::Data;
use std::ops::ControlFlow;

const SHAPES: [(usize, usize, usize); 9] = [
    // rows, features, slots
    (1, 1, 16),
    (1, 5, 16),
    (5, 1, 16),
    (7, 3, 64),
    (13, 5, 64),
    (40, 3, 16),
    (33, 7, 32),
    (10, 20, 8),
    (6, 11, 4),
];

#[test]
fn logistic_equals_clear_at_every_shape() {
    for (rows, features, slots) in SHAPES {
        for degree in [Degree::One, Degree::Three, Degree::Five, Degree::Seven] {
            for (iterations, solver, batch) in [
                (1, Solver::Nag, Batch::Full),
                (2, Solver::GradientDescent, Batch::Full),
                (5, Solver::Nag, Batch::Full),
                (5, Solver::Nag, Batch::Rows(9)),
            ] {
                let data = Data::new(rows, features, true);
                let model = LogisticRegression::new()
                    .max_iter(iterations)
                    .solver(solver)
                    .batch(batch)
                    .learning_rate(LearningRate::InverseTime { initial: 1.5 })
                    .l2(0.01)
                    .sigmoid(degree, 6.0);
                let depth = model.depth().unwrap();
                let scheme = ClearScheme::new(slots, depth).unwrap();
                let (x, y) =
                    data.encrypt(&scheme, model.row_packing(rows, features, slots).unwrap());
                let mut seen = Vec::new();
                let fit = model
                    .fit_encrypted(&x, &y, |p| {
                        seen.push(p.iteration);
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert_eq!(
                    fit.depth(),
                    0,
                    "{rows} x {features}, {degree:?}: all planned levels are used"
                );
                assert_eq!(seen, (1..=iterations).collect::<Vec<_>>());
                let block = model.batch_rows(rows, features, slots).unwrap();
                let clear = model
                    .clone()
                    .batch(Batch::Rows(block))
                    .fit_clear(&data.table(), &data.y)
                    .unwrap();
                let got = fit.decrypt(&scheme.key()).unwrap();
                let difference = got.max_difference(&clear.model).unwrap();
                assert!(
                    difference < 1e-9,
                    "{rows} x {features} in {slots}, {degree:?}, {iterations}: {difference}"
                );
                assert!(
                    clear.model.coef().iter().any(|c| c.abs() > 1e-3),
                    "training moved"
                );
            }
        }
    }
}

#[test]
fn linear_and_ridge_equal_clear() {
    for (rows, features, slots) in SHAPES {
        let data = Data::new(rows, features, false);
        for alpha in [0.0, 2.5] {
            let model = Ridge::new(alpha)
                .max_iter(4)
                .learning_rate(LearningRate::Constant(0.3));
            let scheme = ClearScheme::new(slots, model.depth().unwrap()).unwrap();
            assert_eq!(model.depth().unwrap(), 1 + 3 * 3);
            let (x, y) = data.encrypt(&scheme, model.row_packing(rows, features, slots).unwrap());
            let fit = model
                .fit_encrypted(&x, &y, |_| ControlFlow::Continue(()))
                .unwrap();
            let clear = model.fit_clear(&data.table(), &data.y).unwrap();
            let difference = fit
                .decrypt(&scheme.key())
                .unwrap()
                .max_difference(&clear.model)
                .unwrap();
            assert!(
                difference < 1e-9,
                "{rows} x {features} in {slots}, alpha {alpha}: {difference}"
            );
            assert_eq!(fit.depth(), 0);
        }
        let model = LinearRegression::new()
            .max_iter(3)
            .intercept(Intercept::Omit);
        let scheme = ClearScheme::new(slots, model.depth().unwrap()).unwrap();
        let (x, y) = data.encrypt(&scheme, model.row_packing(rows, features, slots).unwrap());
        let fit = model
            .fit_encrypted(&x, &y, |_| ControlFlow::Continue(()))
            .unwrap();
        let clear = model.fit_clear(&data.table(), &data.y).unwrap();
        let got = fit.decrypt(&scheme.key()).unwrap();
        assert!(got.max_difference(&clear.model).unwrap() < 1e-9);
        assert_eq!(got.intercept(), 0.0);
    }
}

#[test]
fn four_levels_a_step_with_a_cubic() {
    let depth = |n| LogisticRegression::new().max_iter(n).depth().unwrap();
    assert_eq!(depth(1), 2);
    for n in 2..10 {
        assert_eq!(depth(n), 1 + 4 * (n - 1));
    }
    let of = |degree| {
        LogisticRegression::new()
            .max_iter(3)
            .sigmoid(degree, 8.0)
            .depth()
            .unwrap()
    };
    assert_eq!(
        [of(Degree::One), of(Degree::Five), of(Degree::Seven)],
        [7, 11, 11]
    );
}

#[test]
fn one_level_less_is_an_error_before_any_work() {
    let model = LogisticRegression::new().max_iter(3);
    let data = Data::new(7, 3, true);
    let scheme = ClearScheme::new(32, 8).unwrap();
    let (x, y) = data.encrypt(&scheme, model.row_packing(7, 3, 32).unwrap());
    scheme.reset_counts();
    let error = model
        .fit_encrypted(&x, &y, |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(
        error,
        Error::Depth {
            operation: "fit",
            needed: 9,
            left: 8
        }
    );
    assert_eq!(scheme.counts(), cipherblas_scheme::clear::Counts::default());
}

#[test]
fn the_callback_stops_training() {
    let model = LogisticRegression::new().max_iter(3);
    let data = Data::new(7, 3, true);
    let scheme = ClearScheme::new(32, 9).unwrap();
    let (x, y) = data.encrypt(&scheme, model.row_packing(7, 3, 32).unwrap());
    let mut calls = 0;
    let result = model.fit_encrypted(&x, &y, |p| {
        calls += 1;
        assert_eq!((p.iteration, p.iterations), (calls, 3));
        if p.iteration == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(result.unwrap_err(), Error::Interrupted);
    assert_eq!(calls, 2);
}

#[test]
fn misfits_are_typed() {
    let data = Data::new(7, 3, true);
    let scheme = ClearScheme::new(32, 20).unwrap();
    let model = LogisticRegression::new();
    let go_on = |_: &cipherblas_models::Progress| ControlFlow::Continue(());
    let tile = model.row_packing(7, 3, 32).unwrap();
    let (x, y) = data.encrypt(&scheme, tile);

    let (_, short) = Data::new(6, 3, true).encrypt(&scheme, tile);
    assert!(matches!(
        model.fit_encrypted(&x, &short, go_on),
        Err(Error::Shape {
            operation: "fit",
            ..
        })
    ));
    let canonical =
        cipherblas_linalg::EncryptedVector::encrypt(&scheme.key(), &data.y, &mut common::rng())
            .unwrap();
    assert!(matches!(
        model.fit_encrypted(&x, &canonical, go_on),
        Err(Error::Shape {
            operation: "fit",
            ..
        })
    ));
    assert!(matches!(
        model.fit_encrypted(&x.transpose().unwrap(), &y, go_on),
        Err(Error::Shape {
            operation: "fit",
            ..
        })
    ));
    let full = Data::new(7, 4, true);
    let (x4, y4) = full.encrypt(
        &scheme,
        cipherblas_models::row_packing(7, 4, Intercept::Omit, 32).unwrap(),
    );
    assert!(
        matches!(model.fit_encrypted(&x4, &y4, go_on), Err(Error::Shape { hint, .. }) if hint.contains("intercept"))
    );
    assert!(
        model
            .clone()
            .intercept(Intercept::Omit)
            .fit_encrypted(&x4, &y4, go_on)
            .is_ok()
    );

    let poor = scheme.clone().with_rotations(Some(&[1]));
    let (x, y) = (x.bind(&poor).unwrap(), y.bind(&poor).unwrap());
    assert!(matches!(
        model.fit_encrypted(&x, &y, go_on),
        Err(Error::MissingKey { .. })
    ));
    let settings = model.clone().max_iter(0);
    assert!(matches!(
        settings.fit_encrypted(&x, &y, go_on),
        Err(Error::Parameter {
            what: "max_iter",
            ..
        })
    ));
    let settings = model.sigmoid(Degree::Three, f64::NAN);
    assert!(matches!(
        settings.fit_encrypted(&x, &y, go_on),
        Err(Error::Parameter {
            what: "sigmoid bound",
            ..
        })
    ));
}
