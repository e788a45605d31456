//! `ClearScheme` passes the suite, and the suite notices schemes that are wrong.

use cipherblas_scheme::{ClearScheme, conformance};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

#[test]
fn clear_scheme_conforms() {
    for (slots, depth, seed) in [(8, 2, 1), (64, 5, 2), (1024, 3, 3)] {
        let all = ClearScheme::new(slots, depth).unwrap();
        let evaluator = all.clone().with_keys(&conformance::required_keys(slots));
        conformance::Suite {
            key: &all.key(),
            evaluator: &evaluator,
            other: &all.clone().with_key(2).key(),
            precision: 1e-13,
            shared_precision: 1e-13,
        }
        .run(&mut ChaCha20Rng::seed_from_u64(seed));
    }
}

#[test]
#[should_panic(expected = "does not hold every rotation")]
fn an_evaluator_with_every_rotation_cannot_show_missing_ones() {
    let all = ClearScheme::new(8, 2).unwrap();
    conformance::Suite {
        key: &all.key(),
        evaluator: &all,
        other: &all.clone().with_key(2).key(),
        precision: 1e-13,
        shared_precision: 1e-13,
    }
    .run(&mut ChaCha20Rng::seed_from_u64(1));
}

#[test]
#[should_panic(expected = "is not within the precision")]
fn bounds_beyond_the_precision_are_noticed() {
    let all = ClearScheme::new(8, 2).unwrap();
    let evaluator = all.clone().with_keys(&conformance::required_keys(8));
    conformance::Suite {
        key: &all.key(),
        evaluator: &evaluator,
        other: &all.clone().with_key(2).key(),
        precision: 1e-17,
        shared_precision: 1e-17,
    }
    .run(&mut ChaCha20Rng::seed_from_u64(1));
}

#[test]
#[should_panic(expected = "key mismatch")]
fn a_key_that_is_not_the_evaluators_is_noticed() {
    let all = ClearScheme::new(8, 2).unwrap();
    let evaluator = all.clone().with_keys(&conformance::required_keys(8));
    conformance::Suite {
        key: &all.clone().with_key(2).key(),
        evaluator: &evaluator,
        other: &all.key(),
        precision: 1e-13,
        shared_precision: 1e-13,
    }
    .run(&mut ChaCha20Rng::seed_from_u64(1));
}
