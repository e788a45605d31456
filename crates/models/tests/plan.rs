//! Plans list what is needed: no less, no more.

mod common;

use cipherblas_models::{Batch, LogisticRegression, Plannable, Ridge, plan::SCORING_DEPTH};
use cipherblas_scheme::{ClearScheme, Error};
use common::Data;
use std::ops::ControlFlow;

const SHAPES: [(usize, usize, usize); 8] = [
    (1, 1, 16),
    (1, 5, 16),
    (5, 1, 16),
    (7, 3, 64),
    (40, 3, 16),
    (33, 7, 32),
    (10, 20, 8),
    (6, 11, 4),
];

#[test]
fn exactly_the_planned_keys_depth_and_operations() {
    for (rows, features, slots) in SHAPES {
        let data = Data::new(rows, features, true);
        let model = LogisticRegression::new().max_iter(3);
        let plan = model.plan(rows, features, slots).unwrap();
        let steps: Vec<i64> = plan.keys().rotations.iter().copied().collect();
        let run = |steps: &[i64], depth: usize| {
            let scheme = ClearScheme::new(slots, depth)
                .unwrap()
                .with_rotations(Some(steps));
            let (x, y) = data.encrypt(&scheme, plan.tile());
            assert_eq!(
                (x.ciphertexts().len(), y.ciphertexts().len()),
                plan.ciphertexts()
            );
            let fit = model.fit_encrypted(&x, &y, |_| ControlFlow::Continue(()))?;
            assert_eq!(scheme.counts(), *plan.training().counts());
            assert_eq!(fit.coef().ciphertexts().len(), plan.result_ciphertexts());
            let many = Data::new(
                (slots / plan.tile().columns_per_block()).max(1),
                features,
                true,
            );
            let tile = model.row_packing(many.rows, features, slots).unwrap();
            let scores = fit.decision_function(&many.encrypt(&scheme, tile).0)?;
            assert_eq!(scores.len(), many.rows);
            fit.decision_function(&x).map(drop)
        };
        let depth = plan.depth() + SCORING_DEPTH;
        run(&steps, depth).unwrap();
        for skipped in 0..steps.len() {
            let mut fewer = steps.clone();
            let key = fewer.remove(skipped);
            let other = |s: &i64| (s - key).rem_euclid(slots as i64) == 0;
            if !fewer.iter().any(other) {
                assert!(
                    matches!(run(&fewer, depth), Err(Error::MissingKey { .. })),
                    "step {key} of {steps:?}"
                );
            }
        }
        assert!(matches!(
            run(&steps, plan.depth() - 1),
            Err(Error::Depth { .. })
        ));
    }
}

#[test]
fn the_main_job_fits_one_ciphertext() {
    let plan = LogisticRegression::new()
        .max_iter(5)
        .plan(455, 30, 1 << 14)
        .unwrap();
    assert_eq!(plan.ciphertexts(), (1, 1));
    assert_eq!(plan.depth(), 17);
    assert_eq!(plan.keys().rotations.len(), 5 + 5 + 9);
    // A step: 5 + 5 rotations for the scores, 9 for the gradient.
    assert_eq!(plan.training().counts().all_rotations(), 9 + 4 * 19);
    assert_eq!(plan.training().counts().relinearizations, 1 + 4 * 4);
    assert!(plan.to_string().contains("depth 17"));
}

#[test]
fn batches_are_rounded_up_to_ciphertexts() {
    let plan = Ridge::new(1.0)
        .batch(Batch::Rows(100))
        .plan(1000, 3, 256)
        .unwrap();
    assert_eq!(plan.batch_rows(), 128);
    assert!(matches!(
        Ridge::new(1.0).plan(0, 3, 256),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        Ridge::new(1.0).plan(1, 3, 100),
        Err(Error::Parameter { .. })
    ));
    assert!(matches!(
        Ridge::new(1.0).plan(usize::MAX, 3, 256),
        Err(Error::Shape { .. })
    ));
}

/// Features and targets of this size stay below two to the bits, the sign's among them.
#[test]
fn integer_bits_are_those_of_the_largest_value() {
    let model = Ridge::new(0.0);
    // Batches are rounded up to whole ciphertexts: 4 rows of 16 columns.
    for model in [model.clone(), model.batch(Batch::Rows(9))] {
        let largest = model.plan(40, 9, 64).unwrap().largest_value(2.0 * 3.0, 5.0);
        let bits = model.integer_bits(40, 9, 64, 2.0, 5.0).unwrap();
        assert!(largest <= 2f64.powi(bits as i32 - 1) && largest > 2f64.powi(bits as i32 - 2));
        assert_eq!(model.integer_bits(40, 9, 64, 1e-3, 1e-3).unwrap(), 4);
    }
}
