//! Arrays over a scheme that has neither rotations nor products of ciphertexts: what is left works, in every packing, and
//! results stay within the bounds that their ciphertexts carry.

use cipherblas_linalg::{
    EncryptOptions, EncryptedMatrix, EncryptedVector, Order, PlainMatrix, Tile, VectorPacking,
};
use cipherblas_paillier::{Evaluator, Params, PublicKey, SecretKey};
use cipherblas_scheme::{Encrypt, Error, ErrorBound, Scheme};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

struct Setup {
    key: SecretKey,
    public: PublicKey,
    server: Evaluator,
}

fn setup(slots: usize) -> Setup {
    let params = Params::builder()
        .insecure_bits(512)
        .fraction_bits(20)
        .integer_bits(12)
        .slots(slots)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng()).unwrap();
    let public = key.public_key();
    Setup {
        server: public.evaluator(),
        public,
        key,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(31)
}

/// Reproducible values in [-1, 1].
fn values(seed: usize, n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| (((i + 1) * 7919 + seed * 104_729) % 2003) as f64 / 1001.5 - 1.0)
        .collect()
}

fn product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
    (0..m * n)
        .map(|at_index| at(at_index / n, at_index % n))
        .collect()
}

impl Setup {
    fn vector(&self, x: &[f64], packing: VectorPacking) -> EncryptedVector<Evaluator> {
        let options = EncryptOptions::new().packing(packing).bound(1.0);
        EncryptedVector::encrypt_with(&self.key, x, &options, &mut rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    fn matrix(
        &self,
        x: &[f64],
        rows: usize,
        cols: usize,
        tile: Tile,
    ) -> EncryptedMatrix<Evaluator> {
        let options = EncryptOptions::new().packing(tile).bound(1.0);
        EncryptedMatrix::encrypt_with(&self.key, rows, cols, x, &options, &mut rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    fn close<'a>(
        &self,
        cts: impl Iterator<Item = &'a <Evaluator as Scheme>::Ciphertext>,
        got: &[f64],
        expected: &[f64],
    ) {
        let bound = cts
            .map(|ct| self.server.error_bound(ct))
            .fold(0.0, f64::max);
        assert!(bound < 2f64.powi(-12), "bound {bound:e}");
        assert_eq!(got.len(), expected.len());
        for (i, (x, y)) in got.iter().zip(expected).enumerate() {
            // The expectation is computed in doubles, too.
            assert!(
                (x - y).abs() <= bound + 1e-12,
                "{i}: {x}, expected {y} up to {bound:e}"
            );
        }
    }
    fn check_vector(
        &self,
        got: cipherblas_scheme::Result<EncryptedVector<Evaluator>>,
        expected: &[f64],
    ) {
        let got = got.unwrap();
        self.close(
            got.ciphertexts(),
            &got.decrypt(&self.key).unwrap(),
            expected,
        );
    }
    fn check_matrix(
        &self,
        got: cipherblas_scheme::Result<EncryptedMatrix<Evaluator>>,
        shape: (usize, usize),
        expected: &[f64],
    ) {
        let got = got.unwrap();
        assert_eq!(got.shape(), shape);
        self.close(
            got.ciphertexts(),
            &got.decrypt(&self.key).unwrap(),
            expected,
        );
    }
}

fn map(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|&x| f(x)).collect()
}

fn zip(x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect()
}

#[test]
fn vectors() {
    for (slots, n) in [(1, 5), (8, 1), (8, 5), (8, 8), (8, 19)] {
        let s = setup(slots);
        let (x, y, z) = (values(1, n), values(2, n), values(3, n));
        for packing in [
            VectorPacking::periodic(n, slots).unwrap(),
            VectorPacking::spread(),
        ] {
            let (a, b, c) = (
                s.vector(&x, packing),
                s.vector(&y, packing),
                s.vector(&z, packing),
            );
            s.check_vector(&a + &b, &zip(&x, &y, |x, y| x + y));
            s.check_vector(&a - &b, &zip(&x, &y, |x, y| x - y));
            s.check_vector(-&a, &map(&x, |x| -x));
            s.check_vector(a.add_plain(&y), &zip(&x, &y, |x, y| x + y));
            s.check_vector(&a + 0.75, &map(&x, |x| x + 0.75));
            s.check_vector(&a * 2.5, &map(&x, |x| 2.5 * x));
            s.check_vector(&a * -3.0, &map(&x, |x| -3.0 * x));
            assert_eq!((&a * -3.0).unwrap().depth(), 1, "integers spend no depth");
            let sum = zip(&zip(&x, &y, |x, y| x + y), &z, |s, z| s + z);
            s.check_vector(EncryptedVector::total(&[&a, &b, &c]), &sum);
            let weighted = zip(&zip(&x, &y, |x, y| 0.1 * x - 2.0 * y), &z, |s, z| {
                s + 3.5 * z
            });
            s.check_vector(
                EncryptedVector::weighted_sum(&[0.1, -2.0, 3.5], &[&a, &b, &c]),
                &weighted,
            );
            let back = EncryptedVector::from_bytes(&s.server, &a.to_bytes().unwrap());
            s.check_vector(back, &x);
        }
        // One slot, or one value to a ciphertext: different weights for each.
        let spread = s.vector(&x, VectorPacking::spread());
        let dot: f64 = zip(&x, &y, |x, y| x * y).iter().sum();
        s.check_vector(spread.combine_dot(&y), &[dot]);
        s.check_vector(spread.sum_spread(), &[x.iter().sum()]);
        s.check_vector(spread.mul_plain(&y), &zip(&x, &y, |x, y| x * y));
    }
}

#[test]
fn plain_matrix_times_encrypted_vector() {
    for (slots, m, n) in [(1, 4, 7), (8, 1, 3), (8, 17, 9)] {
        let s = setup(slots);
        let (w, x) = (values(4, m * n), values(5, n));
        let a = s.vector(&x, VectorPacking::spread());
        let got = a.combine(&PlainMatrix::new(m, n, w.clone()).unwrap());
        s.check_vector(got, &product(&w, &x, (m, n, 1)));
    }
}

#[test]
fn matrices() {
    for (slots, m, n) in [(1, 3, 2), (8, 1, 1), (8, 3, 4), (8, 5, 11)] {
        let s = setup(slots);
        let (x, y) = (values(6, m * n), values(7, m * n));
        for tile in [
            Tile::fit(Order::RowMajor, m, n, slots).unwrap(),
            Tile::rows(m, n, slots).unwrap(),
            Tile::columns(m, n, slots).unwrap(),
        ] {
            let (a, b) = (s.matrix(&x, m, n, tile), s.matrix(&y, m, n, tile));
            s.check_matrix(&a + &b, (m, n), &zip(&x, &y, |x, y| x + y));
            s.check_matrix(&a - &b, (m, n), &zip(&x, &y, |x, y| x - y));
            s.check_matrix(&a * 1.5, (m, n), &map(&x, |x| 1.5 * x));
            s.check_matrix(a.add_plain(&y), (m, n), &zip(&x, &y, |x, y| x + y));
            s.check_matrix(
                EncryptedMatrix::total(&[&a, &b, &a]),
                (m, n),
                &zip(&x, &y, |x, y| 2.0 * x + y),
            );
            let weighted = EncryptedMatrix::weighted_sum(&[0.5, -0.25], &[&a, &b]);
            s.check_matrix(weighted, (m, n), &zip(&x, &y, |x, y| 0.5 * x - 0.25 * y));
            let bytes = a.to_bytes().unwrap();
            s.check_matrix(EncryptedMatrix::from_bytes(&s.server, &bytes), (m, n), &x);
            let transposed: Vec<f64> = (0..n)
                .flat_map(|j| (0..m).map(move |i| (i, j)))
                .map(|(i, j)| x[i * n + j])
                .collect();
            s.check_matrix(a.transpose(), (n, m), &transposed);
        }
        let rows = s.matrix(&x, m, n, Tile::rows(m, n, slots).unwrap());
        let left = values(8, 6 * m);
        let got = rows.combine_rows(&PlainMatrix::new(6, m, left.clone()).unwrap());
        s.check_matrix(got, (6, n), &product(&left, &x, (6, m, n)));
        let columns = s.matrix(&x, m, n, Tile::columns(m, n, slots).unwrap());
        let right = values(9, n * 3);
        let got = columns.combine_columns(&PlainMatrix::new(n, 3, right.clone()).unwrap());
        s.check_matrix(got, (m, 3), &product(&x, &right, (m, n, 3)));
    }
}

/// Plain x encrypted and encrypted x plain at every edge: one row, one column, rows over several ciphertexts, tall and wide
/// weights, weights that are zero.
#[test]
fn plain_products_of_every_shape() {
    let shapes = [
        (1, 1, 1),
        (1, 1, 9),
        (9, 1, 1),
        (1, 13, 1),
        (2, 5, 17),
        (17, 3, 2),
        (4, 16, 4),
        (33, 2, 1),
    ];
    for slots in [1, 4] {
        let s = setup(slots);
        for (m, k, n) in shapes {
            let (mut w, x) = (values(20, m * k), values(21, k * n));
            // A whole row of zeros, and zeros among others: results that no ciphertext goes into, and that some skip.
            w[..k].fill(0.0);
            w.iter_mut().step_by(3).for_each(|w| *w = 0.0);
            let rows = s.matrix(&x, k, n, Tile::rows(k, n, slots).unwrap());
            let got = rows.combine_rows(&PlainMatrix::new(m, k, w.clone()).unwrap());
            s.check_matrix(got, (m, n), &product(&w, &x, (m, k, n)));
            // The same, transposed.
            let t = |a: &[f64], cols: usize| -> Vec<f64> {
                (0..cols)
                    .flat_map(|c| a.iter().skip(c).step_by(cols).copied())
                    .collect()
            };
            let columns = s.matrix(&t(&x, n), n, k, Tile::columns(n, k, slots).unwrap());
            let got = columns.combine_columns(&PlainMatrix::new(k, m, t(&w, k)).unwrap());
            s.check_matrix(got, (n, m), &t(&product(&w, &x, (m, k, n)), n));
        }
    }
}

#[test]
fn plain_products_that_do_not_fit_are_refused() {
    let s = setup(4);
    let x = values(1, 6);
    let rows = s.matrix(&x, 2, 3, Tile::rows(2, 3, 4).unwrap());
    let ones = |m: usize, n: usize| PlainMatrix::new(m, n, vec![1.0; m * n]).unwrap();
    match rows.combine_rows(&ones(5, 3)).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(
                (got.as_str(), expected.as_str()),
                ("5 x 3 times 2 x 3", "2 columns on the left")
            );
        }
        other => panic!("{other}"),
    }
    assert!(matches!(
        rows.combine_columns(&ones(3, 2)),
        Err(Error::Shape { .. })
    ));
    let tile = s.matrix(&x, 2, 3, Tile::fit(Order::RowMajor, 2, 3, 4).unwrap());
    if tile.packing() != rows.packing() {
        assert!(matches!(
            tile.combine_rows(&ones(1, 2)),
            Err(Error::Shape { .. })
        ));
    }
    for (m, n) in [(0, 2), (2, 0)] {
        assert!(matches!(
            PlainMatrix::new(m, n, Vec::<f64>::new()),
            Err(Error::Shape { .. })
        ));
    }
    let huge = PlainMatrix::new(1, 2, vec![4000.0, 4000.0]).unwrap();
    assert!(matches!(
        rows.combine_rows(&huge),
        Err(Error::Overflow { .. })
    ));
    let bad = PlainMatrix::new(1, 2, vec![1.0, f64::NAN]).unwrap();
    assert!(matches!(
        rows.combine_rows(&bad),
        Err(Error::Value { index: 1, .. })
    ));
    let spent = rows
        .combine_rows(&PlainMatrix::new(1, 2, vec![0.5, 0.25]).unwrap())
        .unwrap();
    assert!(matches!(
        spent.combine_rows(&PlainMatrix::new(1, 1, vec![0.5]).unwrap()),
        Err(Error::Depth { .. })
    ));
}

#[test]
fn contributors_encrypt_with_the_public_key_and_the_server_adds() {
    let s = setup(8);
    let data: Vec<Vec<f64>> = (0..3).map(|i| values(10 + i, 12)).collect();
    let shares: Vec<EncryptedVector<Evaluator>> = data
        .iter()
        .map(|x| {
            let sent = EncryptedVector::encrypt(&s.public, x, &mut rng()).unwrap();
            EncryptedVector::from_bytes(&s.server, &sent.to_bytes().unwrap()).unwrap()
        })
        .collect();
    let expected: Vec<f64> = (0..12).map(|i| data.iter().map(|x| x[i]).sum()).collect();
    s.check_vector(
        EncryptedVector::total(&shares.iter().collect::<Vec<_>>()),
        &expected,
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let s = setup(8);
    let x = values(1, 8);
    let a = s.vector(&x, VectorPacking::periodic(8, 8).unwrap());
    // Different weights in one ciphertext.
    assert!(matches!(
        a.mul_plain(&x),
        Err(Error::Unsupported {
            scheme: "paillier",
            ..
        })
    ));
    let half = a.scale(0.5).unwrap();
    assert!(matches!(half.scale(0.5), Err(Error::Depth { .. })));
    assert!(matches!(a.scale(5000.0), Err(Error::Overflow { .. })));
    let mut rng = rng();
    let large = EncryptedVector::encrypt(&s.key, &[1e6], &mut rng);
    assert!(matches!(large, Err(Error::Value { index: 0, .. })));
    let foreign = setup(4);
    assert!(matches!(
        a.clone().bind(&foreign.server),
        Err(Error::KeyMismatch { .. })
    ));
    assert_eq!(s.key.scheme().slots(), 8);
}
