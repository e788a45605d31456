//! The suite that every scheme passes.

use cipherblas_bfv::{Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::{Suite, required_keys};
use cipherblas_scheme::{Decrypt, Encrypt, Guarded, GuardedKey, KeySet, Rotate, Watch};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

fn conforms(params: &Params, seed: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = SecretKey::generate(params, &mut rng).unwrap();
    let other = SecretKey::generate(params, &mut rng).unwrap();
    let keys = key
        .evaluation_keys(&required_keys(params.slots()), &mut rng)
        .unwrap();
    let evaluator = Evaluator::new(params, keys).unwrap();
    Suite {
        evaluator: &evaluator,
        key: &key,
        other: &other,
        precision: 0.0,
        shared_precision: 0.0,
    }
    .run(&mut rng);
}

#[test]
fn bfv_conforms_with_one_plaintext_modulus() {
    let params = Params::builder()
        .depth(3)
        .plaintext_bits(30)
        .plaintext_moduli(1)
        .insecure_degree(64)
        .build()
        .unwrap();
    assert_eq!(params.plaintext_moduli().len(), 1);
    conforms(&params, 11);
}

#[test]
fn bfv_conforms_with_several_plaintext_moduli() {
    let params = Params::builder()
        .depth(2)
        .plaintext_bits(62)
        .plaintext_moduli(3)
        .insecure_degree(32)
        .build()
        .unwrap();
    assert_eq!(params.plaintext_moduli().len(), 3);
    conforms(&params, 12);
}

/// Under a watch it is the same scheme, and rotates by every step.
#[test]
fn guarded_bfv_conforms() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let params = Params::builder()
        .depth(2)
        .plaintext_bits(30)
        .plaintext_moduli(1)
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
        precision: 0.0,
        shared_precision: 0.0,
    }
    .run(&mut rng);
    assert!(watch.operations() > 0);

    let slots = params.slots() as i64;
    let keys = key
        .evaluation_keys(&KeySet::powers_of_two(params.slots()), &mut rng)
        .unwrap();
    let guarded = Guarded::new(Evaluator::new(&params, keys).unwrap());
    let values: Vec<i64> = (0..slots).collect();
    let x = key.encrypt_at(&values, 1, Some(16.0), &mut rng).unwrap();
    let steps: Vec<i64> = (-slots..slots).collect();
    let many = guarded.rotate_many(&x, &steps).unwrap();
    for (&step, many) in steps.iter().zip(&many) {
        let at = |step: i64, slot: i64| (slot + step).rem_euclid(slots);
        let expected: Vec<i64> = (0..slots).map(|slot| at(step, slot)).collect();
        assert_eq!(key.decrypt(many).unwrap(), expected, "{step} of many");
        let single = guarded.rotate(&x, step).unwrap();
        assert_eq!(key.decrypt(&single).unwrap(), expected, "{step}");
        let sum = guarded.rotate_sum(&[&x, &x], &[step, 1]).unwrap();
        let expected: Vec<i64> = (0..slots)
            .map(|slot| at(step, slot) + at(1, slot))
            .collect();
        assert_eq!(key.decrypt(&sum).unwrap(), expected, "{step} in a sum");
    }
}
