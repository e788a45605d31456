//! `ClearScheme` passes the suite, and the suite notices schemes that are wrong.

mod faulty;

use cipherblas_scheme::conformance::matrix;
use cipherblas_scheme::{ClearMatrices, ClearScheme, clear, conformance};
use faulty::matrix::{FaultyMatrices, FaultyMatrixKey, MatrixFault};
use faulty::{Fault, Faulty, FaultyKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the suite on `ClearScheme` itself.
fn run(evaluator: &ClearScheme, precision: f64, seed: u64) {
    conformance::Suite {
        key: &evaluator.key(),
        evaluator,
        other: &evaluator.clone().with_key(2).key(),
        precision,
        shared_precision: precision,
    }
    .run(&mut ChaCha20Rng::seed_from_u64(seed));
}

fn evaluator(slots: usize, depth: usize) -> ClearScheme {
    let keys = conformance::required_keys(slots);
    ClearScheme::new(slots, depth).unwrap().with_keys(&keys)
}

#[test]
fn clear_scheme_conforms() {
    for (slots, depth, seed) in [(8, 2, 1), (64, 5, 2), (1024, 3, 3)] {
        run(&evaluator(slots, depth), 1e-13, seed);
    }
}

#[test]
#[should_panic(expected = "does not hold every rotation")]
fn an_evaluator_with_every_rotation_cannot_show_missing_ones() {
    run(&ClearScheme::new(8, 2).unwrap(), 1e-13, 1);
}

#[test]
#[should_panic(expected = "is not within the precision")]
fn bounds_beyond_the_precision_are_noticed() {
    run(&evaluator(8, 2), 1e-17, 1);
}

#[test]
fn every_fault_is_noticed() {
    let noticed = |fault| {
        let right = evaluator(16, 3);
        let key = FaultyKey {
            right: right.key(),
            fault,
        };
        let other = FaultyKey {
            right: right.clone().with_key(2).key(),
            fault,
        };
        let suite = conformance::Suite {
            key: &key,
            evaluator: &Faulty { right, fault },
            other: &other,
            precision: 1e-7,
            shared_precision: 1e-7,
        };
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        catch_unwind(AssertUnwindSafe(|| suite.run(&mut rng))).is_err()
    };
    assert!(!noticed(Fault::None));
    let missed: Vec<_> = Fault::ALL
        .into_iter()
        .filter(|&fault| !noticed(fault))
        .collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

#[test]
fn matrices_in_clear_conform() {
    fn run<V: clear::ClearValue>(max_len: usize, depth: usize, precision: f64, seed: u64) {
        let evaluator = ClearMatrices::<V>::new(max_len, depth)
            .unwrap()
            .with_keys(&matrix::required_keys(max_len));
        let other = ClearMatrices::new(max_len, depth).unwrap().with_key(2);
        matrix::Suite {
            key: &evaluator.key(),
            evaluator: &evaluator,
            other: &other.key(),
            precision,
        }
        .run(&mut ChaCha20Rng::seed_from_u64(seed));
    }
    for (max_len, depth, seed) in [(64, 1, 1), (128, 2, 2), (64, 3, 3)] {
        run::<f64>(max_len, depth, 1e-10, seed);
        run::<i64>(max_len, depth, 0.0, seed);
    }
}

#[test]
fn every_fault_of_matrices_is_noticed() {
    let noticed = |fault| {
        let right = ClearMatrices::<f64>::new(64, 2)
            .unwrap()
            .with_keys(&matrix::required_keys(64));
        let key = |right: &ClearMatrices<f64>| FaultyMatrixKey {
            right: right.key(),
            fault,
        };
        let (own, other) = (key(&right), key(&right.clone().with_key(2)));
        let suite = matrix::Suite {
            key: &own,
            evaluator: &FaultyMatrices { right, fault },
            other: &other,
            precision: 1e-10,
        };
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        catch_unwind(AssertUnwindSafe(|| suite.run(&mut rng))).is_err()
    };
    assert!(!noticed(MatrixFault::None));
    let missed: Vec<_> = MatrixFault::ALL
        .into_iter()
        .filter(|&fault| !noticed(fault))
        .collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
