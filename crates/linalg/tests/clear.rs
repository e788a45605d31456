//! Every kernel over the scheme that computes in clear, at sizes below, at and past one ciphertext.

mod common;

use cipherblas_linalg::{EncryptedMatrix, MatmulMethod};
use cipherblas_scheme::{ClearKey, ClearScheme};
use common::Setup;
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

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

/// `A' B` by sums over rows, whatever the shapes: the wrap-around of rows, several blocks of rows and of the product, a matrix
/// with itself, factors of different widths.
#[test]
fn products_of_transposed_matrices_by_row_sums() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    for (slots, rows, p, q) in [
        (16, 1, 1, 1),
        (16, 9, 3, 3),
        (16, 4, 4, 4),
        (16, 7, 3, 4),
        (16, 5, 8, 7),
        (16, 6, 2, 7),
        (64, 40, 5, 6),
        (64, 3, 16, 16),
        (16, 3, 16, 13),
    ] {
        let server = ClearScheme::new(slots, 3).unwrap();
        let matrix = |cols: usize, start: usize, rng: &mut ChaCha20Rng| {
            let data: Vec<f64> = (0..rows * cols)
                .map(|i| ((start + 7 * i) % 11) as f64 - 5.0)
                .collect();
            let x = EncryptedMatrix::encrypt(&server.key(), rows, cols, &data, rng).unwrap();
            (x.bind(&server).unwrap(), data)
        };
        let (a, x) = matrix(p, 1, &mut rng);
        let (b, y) = matrix(q, 5, &mut rng);
        let expected = |x: &[f64], p: usize, y: &[f64], q: usize| -> Vec<f64> {
            (0..p * q)
                .map(|at| {
                    (0..rows)
                        .map(|r| x[r * p + at / q] * y[r * q + at % q])
                        .sum()
                })
                .collect()
        };
        let product = a
            .transpose()
            .unwrap()
            .matmul_by(&b, MatmulMethod::RowSums)
            .unwrap();
        assert_eq!(product.shape(), (p, q));
        assert_eq!(
            product.decrypt(&server.key()).unwrap(),
            expected(&x, p, &y, q),
            "{slots} {rows} {p} {q}"
        );
        let gram = a
            .transpose()
            .unwrap()
            .matmul_by(&a, MatmulMethod::RowSums)
            .unwrap();
        assert_eq!(gram.depth(), 1);
        assert_eq!(
            gram.decrypt(&server.key()).unwrap(),
            expected(&x, p, &x, p),
            "{slots} {rows} {p}"
        );
        // What comes out can be computed with: its padding is zero.
        let again = product.add_scalar(1.0).unwrap().sum_all().unwrap();
        let total: f64 = expected(&x, p, &y, q).iter().map(|v| v + 1.0).sum();
        assert_eq!(again.decrypt(&server.key()).unwrap(), [total]);
        // Two as they lie have no such product.
        if p == rows && p > 1 {
            assert!(a.matmul_by(&b, MatmulMethod::RowSums).is_err());
        }
    }
}
