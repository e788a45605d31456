//! The suite that every scheme passes.

use cipherblas_bfv::{Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::{Suite, required_keys};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

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
