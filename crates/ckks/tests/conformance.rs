//! The suite that every scheme passes.

use cipherblas_ckks::{Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::{Suite, required_keys};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

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
