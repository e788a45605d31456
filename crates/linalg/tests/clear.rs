//! Every kernel over the scheme that computes in clear, at sizes below, at and past one ciphertext.

mod common;

use cipherblas_scheme::{ClearKey, ClearScheme};
use common::Setup;
use proptest::prelude::*;

fn setup(slots: usize) -> Setup<ClearScheme, ClearKey> {
    let server = ClearScheme::new(slots, 6).unwrap();
    let key = server.key();
    Setup {
        server,
        key,
        tolerance: 1e-9,
        bound: 1.0,
    }
}

const SHAPES: [(usize, usize); 12] = [
    (1, 1),
    (1, 5),
    (1, 16),
    (1, 37),
    (5, 1),
    (37, 1),
    (3, 4),
    (4, 3),
    (7, 11),
    (13, 5),
    (8, 8),
    (17, 19),
];

#[test]
fn vectors() {
    for slots in [1, 2, 8, 16, 64] {
        for n in [1, 2, 3, 7, 8, 13, 16, 31, 70] {
            setup(slots).vectors(n);
        }
    }
}

#[test]
fn plain_matrix_times_vector() {
    for slots in [1, 8, 16, 64, 256] {
        for (m, n) in SHAPES {
            setup(slots).plain_matvec(m, n);
        }
    }
}

#[test]
fn matrices() {
    for slots in [1, 8, 16, 64, 256] {
        for (m, n) in SHAPES {
            setup(slots).matrices(m, n);
        }
    }
}

#[test]
fn moves() {
    for slots in [1, 8, 16, 64] {
        for (m, n) in SHAPES {
            setup(slots).moves(m, n);
        }
    }
}

#[test]
fn plain_matrix_products() {
    for slots in [1, 8, 16, 64] {
        for (m, k) in SHAPES {
            for n in [1, 3, 8, 11] {
                setup(slots).plain_matmul(m, k, n);
            }
        }
    }
}

#[test]
fn encrypted_products() {
    for slots in [1, 8, 16, 64] {
        for (m, k) in SHAPES {
            for n in [1, 3, 8, 11] {
                setup(slots).cipher_products(m, k, n);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_size(slots_log in 0u32..8, m in 1usize..24, k in 1usize..24, n in 1usize..24) {
        let s = setup(1 << slots_log);
        s.vectors(m * k % 50 + 1);
        s.plain_matvec(m, k);
        s.matrices(m, k);
        s.plain_matmul(m, k, n);
        s.cipher_products(m, k, n);
        s.moves(m, n);
    }
}

#[test]
fn batches() {
    for slots in [1, 16, 64, 256] {
        for (count, shape) in [
            (1, (3, 4, 5)),
            (3, (2, 2, 2)),
            (5, (4, 4, 4)),
            (4, (3, 7, 2)),
            (70, (1, 3, 1)),
            (2, (9, 5, 8)),
        ] {
            setup(slots).batches(count, shape);
        }
    }
}
