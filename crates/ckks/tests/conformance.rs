//! The suite that every scheme passes.

use cipherblas_ckks::{Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::{Suite, required_keys};
use cipherblas_scheme::{Decrypt, Encrypt, ErrorBound, Guarded, GuardedKey, KeySet, Rotate, Watch};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

#[test]
fn ckks_conforms() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let params = Params::builder()
        .depth(4)
        .precision_bits(20)
        .integer_bits(12)
        .sharing(64)
        .insecure_degree(64)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let other = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key
        .evaluation_keys(&required_keys(params.slots()), &mut rng)
        .unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    Suite {
        evaluator: &evaluator,
        key: &key,
        other: &other,
        precision: 2f64.powi(-16),
        shared_precision: 2f64.powi(-16),
    }
    .run(&mut rng);
}

/// Under a watch it is the same scheme, and rotates by every step.
#[test]
fn guarded_ckks_conforms() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let params = Params::builder()
        .depth(3)
        .precision_bits(20)
        .integer_bits(12)
        .sharing(64)
        .insecure_degree(32)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let other = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key
        .evaluation_keys(&required_keys(params.slots()), &mut rng)
        .unwrap();
    let watch = Arc::new(Watch::new());
    Suite {
        evaluator: &Guarded::new(Evaluator::new(&params, keys).unwrap()).with_watch(watch.clone()),
        key: &GuardedKey::new(&key, watch.clone()),
        other: &GuardedKey::new(&other, watch.clone()),
        precision: 2f64.powi(-16),
        shared_precision: 2f64.powi(-16),
    }
    .run(&mut rng);
    assert!(watch.operations() > 0);

    let slots = params.slots() as i64;
    let keys = key
        .evaluation_keys(&KeySet::powers_of_two(params.slots()), &mut rng)
        .unwrap();
    let guarded = Guarded::new(Evaluator::new(&params, keys).unwrap());
    let values: Vec<f64> = (0..slots).map(|i| i as f64 / slots as f64).collect();
    let x = key.encrypt_at(&values, 1, Some(1.0), &mut rng).unwrap();
    let steps: Vec<i64> = (-slots..slots).collect();
    let many = guarded.rotate_many(&x, &steps).unwrap();
    for (&step, many) in steps.iter().zip(&many) {
        let sum = guarded.rotate_sum(&[&x, &x], &[step, 1]).unwrap();
        for (ct, terms) in [
            (&guarded.rotate(&x, step).unwrap(), vec![step]),
            (many, vec![step]),
            (&sum, vec![step, 1]),
        ] {
            let bound = guarded.error_bound(ct);
            assert!(bound < 2f64.powi(-14));
            for (slot, got) in key.decrypt(ct).unwrap().iter().enumerate() {
                let at = |step: &i64| values[(slot as i64 + step).rem_euclid(slots) as usize];
                let expected: f64 = terms.iter().map(at).sum();
                assert!((got - expected).abs() <= bound, "{step}, slot {slot}");
            }
        }
    }
}
