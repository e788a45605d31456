//! The same checks as over the clear scheme, over CKKS: small rings (no security), every rotation key.

mod common;

use cipherblas_ckks::{Evaluator, KeySet, Params, SecretKey};
use common::Setup;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn setup(degree: usize) -> Setup<Evaluator, SecretKey> {
    let mut rng = ChaCha20Rng::seed_from_u64(17);
    let params = Params::builder()
        .depth(4)
        .precision_bits(30)
        .insecure_degree(degree)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = KeySet {
        relinearization: true,
        rotations: (1..params.slots() as i64).collect(),
        conjugation: false,
    };
    let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    Setup {
        server,
        key,
        tolerance: 2f64.powi(-16),
        bound: 1.0,
    }
}

#[test]
fn vectors() {
    let s = setup(64);
    assert_eq!(s.slots(), 32);
    for n in [1, 7, 32, 45] {
        s.vectors(n);
    }
}

#[test]
fn plain_matrix_times_vector() {
    let s = setup(64);
    for (m, n) in [(1, 1), (5, 1), (1, 37), (4, 7), (17, 19), (37, 9)] {
        s.plain_matvec(m, n);
    }
}

#[test]
fn matrices() {
    let s = setup(64);
    for (m, n) in [(1, 1), (1, 7), (37, 1), (7, 11), (9, 4)] {
        s.matrices(m, n);
    }
}

#[test]
fn moves() {
    let s = setup(64);
    for (m, n) in [(1, 1), (3, 4), (7, 11)] {
        s.moves(m, n);
    }
}

#[test]
fn plain_matrix_products() {
    let s = setup(64);
    for (m, k, n) in [(1, 1, 1), (3, 4, 5), (13, 5, 2), (1, 37, 3)] {
        s.plain_matmul(m, k, n);
    }
}

#[test]
fn encrypted_products() {
    let s = setup(64);
    for (m, k, n) in [(1, 1, 1), (3, 4, 5), (8, 8, 8), (7, 11, 3)] {
        s.cipher_products(m, k, n);
    }
}

#[test]
fn batches() {
    let s = setup(64);
    for (count, shape) in [(2, (2, 2, 2)), (3, (4, 4, 4)), (2, (3, 8, 2))] {
        s.batches(count, shape);
    }
}
