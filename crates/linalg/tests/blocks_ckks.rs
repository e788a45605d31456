//! Matrices in blocks over CKKS: small rings without security for all shapes, and one with.

#[path = "common/blocks.rs"]
mod checks;

use checks::{Blocks, FORMATS, Held};
use cipherblas_ckks::matrix::{Evaluator, Params, SecretKey};
use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::plan::gemm::{Figures, Gemm, Precision};
use cipherblas_linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix, Store};
use cipherblas_scheme::{Error, MatrixKeySet};
use rand::RngExt;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// A small ring for data up to 7 and sums of up to `inner` products.
fn setup(inner: usize, depth: usize) -> Blocks<Evaluator, SecretKey> {
    let params = Params::builder()
        .inner(inner)
        .len(16)
        .depth(depth)
        .precision_bits(20)
        .bound(7.0)
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
    // What was asked for, for one product; a later one may be off by as much relative to its larger factors.
    let asked = 0.5f64.powi(20) * 49.0 * (inner as f64).sqrt();
    let tolerance = if depth == 1 {
        asked
    } else {
        asked * 7.0 * inner as f64
    };
    Blocks {
        server,
        key,
        tolerance,
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
            for layout in [Lines::Packed, Lines::Single] {
                let options = BlockOptions::new()
                    .line(line)
                    .lines_per_block(48)
                    .layout(layout);
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
        }
        let options = BlockOptions::new().line(line).lines_per_block(48);
        s.gram(k.min(70), n, Format::Rows, &options);
        s.plain(m, k, n, &options);
    }
}

#[test]
fn formats_change_where_there_is_a_level() {
    let s = setup(70, 2);
    for (m, k, n, line) in [(5, 9, 7, 16), (40, 17, 33, 32), (70, 40, 20, 64)] {
        let options = BlockOptions::new().line(line).lines_per_block(line);
        for formats in [
            (Format::Rows, Format::Rows),
            (Format::Columns, Format::Columns),
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
        s.rest(m, n, &options.layout(Lines::Single));
    }
}

#[test]
fn long_sums_go_through_files() {
    let mut s = setup(900, 1);
    let asked = s.tolerance;
    let a = checks::integers(1, 900 * 20);
    let exact = checks::naive(&checks::transposed(&a, 20), &a, 900);
    let store = Store::with_budget(150_000, std::env::temp_dir()).unwrap();
    let figures = Figures::of(&s.server)
        .unwrap()
        .precision(Precision::Within(asked));
    let gemm = Gemm::gram(900, 20).coefficients(&figures);
    for (gemm, store) in [
        (gemm.clone(), &Store::memory()),
        (gemm.budget(150_000), &store),
    ] {
        let plan = gemm.plan().unwrap();
        let (_, options) = plan.options(store);
        let x = s.matrix(900, 20, &a, &options.unwrap()).unwrap();
        let gram = x.gram().unwrap();
        // Every part of a sum has the error of a change of format, and the plan says so.
        s.tolerance = plan.error().unwrap();
        assert!(s.tolerance <= asked * plan.formats().unwrap() as f64);
        s.expect("streamed", &gram, (20, 20), &exact);
    }
    let (written, read) = store.files();
    assert!(written > 0 && read > 0, "{written} {read}");
}

/// The degree that is used, with security: precision as asked for, exact shapes, other keys refused.
#[test]
fn a_secure_ring() {
    let (m, k, n) = (90, 300, 33);
    let params = Params::builder()
        .inner(k)
        .len(128)
        .precision_bits(20)
        .build()
        .unwrap();
    assert_eq!(params.degree(), 4096);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key
        .evaluation_keys(&MatrixKeySet::products(128).unwrap(), &mut rng)
        .unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let mut random = |n: usize| {
        (0..n)
            .map(|_| rng.random_range(-1.0..=1.0))
            .collect::<Vec<f64>>()
    };
    let (a, b) = (random(m * k), random(k * n));
    let options = BlockOptions::new().line(128);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let columns = options.clone().format(Format::Columns);
    let x = BlockMatrix::encrypt(&key, m, k, &a, &columns, &mut rng)
        .unwrap()
        .bind(&server)
        .unwrap();
    let y = BlockMatrix::encrypt(&key, k, n, &b, &options, &mut rng)
        .unwrap()
        .bind(&server)
        .unwrap();
    let exact: Vec<f64> = (0..m * n)
        .map(|at| (0..k).map(|l| a[at / n * k + l] * b[l * n + at % n]).sum())
        .collect();
    let wanted = 0.5f64.powi(20) * (k as f64).sqrt();
    let check = |what: &str, z: &BlockMatrix<Evaluator>| {
        let bound = z.error_bound();
        assert!(bound <= wanted, "{what}: {bound} {wanted}");
        let got = z.decrypt(&key).unwrap();
        let worst = got
            .iter()
            .zip(&exact)
            .fold(0.0f64, |w, (g, e)| w.max((g - e).abs()));
        assert!(
            worst <= bound && bound <= 256.0 * worst,
            "{what}: {worst} {bound}"
        );
    };
    check("rows", &x.matmul(&y).unwrap());
    check("columns", &x.matmul_as(&y, Format::Columns).unwrap());
    check(
        "encrypted x plain",
        &x.matmul_plain(&PlainMatrix::new(k, n, b).unwrap()).unwrap(),
    );
    check(
        "plain x encrypted",
        &BlockMatrix::plain_matmul(&PlainMatrix::new(m, k, a).unwrap(), &y).unwrap(),
    );
    let bytes = x.to_bytes().unwrap();
    assert_eq!(
        BlockMatrix::from_bytes(&server, &bytes)
            .unwrap()
            .to_bytes()
            .unwrap(),
        bytes
    );
    let other = SecretKey::generate(&params, &mut rng).unwrap();
    assert!(matches!(x.decrypt(&other), Err(Error::KeyMismatch { .. })));
    let keyless = Evaluator::without_keys(&params, key.id());
    match x.clone().bind(&keyless).unwrap().t().gram() {
        Err(Error::MissingKey { .. }) => {}
        unexpected => panic!("{unexpected:?}"),
    }
    let foreign = Evaluator::without_keys(&params, other.id());
    assert!(matches!(x.bind(&foreign), Err(Error::KeyMismatch { .. })));
}
