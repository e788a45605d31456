//! Matrices in blocks over BFV, exactly: small rings without security for all shapes, and one with.

#[path = "common/blocks.rs"]
mod checks;

use checks::{Blocks, FORMATS, Held, integers, naive, transposed};
use cipherblas_bfv::matrix::{Evaluator, Params, SecretKey};
use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::{BlockOptions, Format, Store};
use cipherblas_scheme::{Error, MatrixKeySet};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn setup(inner: usize, depth: usize) -> Blocks<Evaluator, SecretKey> {
    let params = Params::builder()
        .inner(inner)
        .len(16)
        .depth(depth)
        .plaintext_bits(18)
        .insecure_degree(64)
        .build()
        .unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = [16, 32, 64].map(|line| MatrixKeySet::products(line).unwrap());
    let keys = keys
        .iter()
        .fold(MatrixKeySet::default(), |all, keys| all.union(keys));
    let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    Blocks {
        server,
        key,
        tolerance: 0.0,
    }
}

#[test]
fn products_of_every_shape() {
    let s = setup(130, 1);
    for (m, k, n, line) in [
        (1, 1, 1, 16),
        (5, 9, 7, 16),
        (16, 40, 3, 32),
        (40, 17, 33, 16),
        (64, 64, 64, 64),
        (70, 130, 3, 64),
    ] {
        for result in FORMATS {
            let options = BlockOptions::new().line(line).lines_per_block(48);
            let formats = (Format::Columns, Format::Rows);
            s.products(
                m,
                k,
                n,
                &Held {
                    formats,
                    result,
                    options,
                },
            );
        }
        let options = BlockOptions::new().line(line).lines_per_block(48);
        s.gram(k.min(70), n, Format::Rows, &options);
        s.plain(m, k, n, &options.layout(Lines::Single));
    }
}

#[test]
fn formats_change_where_there_is_a_level() {
    let s = setup(70, 2);
    for (m, k, n, line) in [(5, 9, 7, 16), (70, 40, 20, 64)] {
        let options = BlockOptions::new().line(line).lines_per_block(line);
        for formats in [
            (Format::Rows, Format::Rows),
            (Format::Rows, Format::Columns),
        ] {
            s.products(
                m,
                k,
                n,
                &Held {
                    formats,
                    result: Format::Rows,
                    options: options.clone(),
                },
            );
        }
        s.rest(m, n, &options);
        s.rest(m, n, &options.clone().format(Format::Columns));
    }
}

#[test]
fn long_sums_go_through_files() {
    let s = setup(900, 1);
    let store = Store::with_budget(200_000, std::env::temp_dir()).unwrap();
    let a = integers(1, 900 * 20);
    let x = s
        .matrix(900, 20, &a, &BlockOptions::new().store(&store))
        .unwrap();
    let gram = x.gram().unwrap();
    let (written, read) = store.files();
    assert!(written > 0 && read > 0, "{written} {read}");
    s.expect(
        "streamed",
        &gram,
        (20, 20),
        &naive(&transposed(&a, 20), &a, 900),
    );
}

#[test]
fn sums_that_may_not_fit_are_refused() {
    // 2^17 holds 49 times 2674, and no more.
    let s = setup(2700, 1);
    let gram = |rows: usize| {
        s.matrix(rows, 1, &vec![7; rows], &BlockOptions::new())
            .unwrap()
            .gram()
    };
    s.expect("largest", &gram(2674).unwrap(), (1, 1), &[49 * 2674]);
    match gram(2676) {
        Err(Error::Overflow { bound, .. }) => assert_eq!(bound, (49 * 2676).to_string()),
        other => panic!("{other:?}"),
    }
}

/// The degree that is used, with security.
#[test]
fn a_secure_ring() {
    let (m, k, n) = (90, 300, 33);
    let params = Params::builder()
        .inner(k)
        .len(128)
        .plaintext_bits(18)
        .build()
        .unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key
        .evaluation_keys(&MatrixKeySet::products(128).unwrap(), &mut rng)
        .unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let s = Blocks {
        server,
        key,
        tolerance: 0.0,
    };
    let options = BlockOptions::new().line(128);
    let (a, b) = (integers(1, m * k), integers(2, k * n));
    let x = s
        .matrix(m, k, &a, &options.clone().format(Format::Columns))
        .unwrap();
    let y = s.matrix(k, n, &b, &options).unwrap();
    s.expect("product", &x.matmul(&y).unwrap(), (m, n), &naive(&a, &b, k));
    s.expect(
        "gram",
        &y.gram().unwrap(),
        (n, n),
        &naive(&transposed(&b, n), &b, k),
    );
    s.plain(20, 30, 25, &options);
}
