//! Arrays of exact integers: dot products, sums, plain and encrypted matrix products, and the normal equations `X'X`, `X'y`, over
//! BFV on small rings (no security), in sizes that are not powers of two. Every result is equal to the one in clear.

use cipherblas_bfv::{Evaluator, KeySet, Params, SecretKey};
use cipherblas_linalg::{
    Axis, BatchPacking, Diagonal, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector,
    MatrixPacking, Order, PlainMatrix, Skewed, Tile, VectorPacking,
};
use cipherblas_scheme::{Error, Result, Scheme};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::sync::OnceLock;

/// Declared bound on the values.
const BOUND: f64 = 1000.0;

struct Setup {
    key: SecretKey,
    server: Evaluator,
}

/// One for all tests: 32 slots, integers below 2^45.
fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let params = Params::builder()
            .depth(4)
            .plaintext_bits(46)
            .insecure_degree(64)
            .build()
            .unwrap();
        let mut rng = rng();
        let key = SecretKey::generate(&params, &mut rng).unwrap();
        let set = KeySet {
            relinearization: true,
            rotations: (1..params.slots() as i64).collect(),
            conjugation: false,
        };
        let keys = key.evaluation_keys(&set, &mut rng).unwrap();
        Setup {
            server: Evaluator::new(&params, keys).unwrap(),
            key,
        }
    })
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(23)
}

/// Reproducible integers up to the bound, of both signs.
fn values(seed: usize, n: usize) -> Vec<i64> {
    (0..n)
        .map(|i| (((i + 1) * 7919 + seed * 104_729) % 2001) as i64 - 1000)
        .collect()
}

fn matmul(a: &[i64], b: &[i64], (m, k, n): (usize, usize, usize)) -> Vec<i64> {
    let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
    (0..m * n).map(|i| at(i / n, i % n)).collect()
}

fn transpose(a: &[i64], rows: usize, cols: usize) -> Vec<i64> {
    (0..rows * cols)
        .map(|i| a[i % rows * cols + i / rows])
        .collect()
}

/// Row-major, column-major, and one row or column for each ciphertext.
fn tiles(rows: usize, cols: usize) -> Vec<Tile> {
    let slots = setup().server.slots();
    vec![
        Tile::fit(Order::RowMajor, rows, cols, slots).unwrap(),
        Tile::fit(Order::ColumnMajor, rows, cols, slots).unwrap(),
        Tile::rows(rows, cols, slots).unwrap(),
        Tile::columns(rows, cols, slots).unwrap(),
    ]
}

impl Setup {
    fn vector(&self, x: &[i64]) -> EncryptedVector<Evaluator> {
        self.vector_in(
            x,
            VectorPacking::periodic(x.len(), self.server.slots()).unwrap(),
        )
    }
    fn vector_in(&self, x: &[i64], packing: VectorPacking) -> EncryptedVector<Evaluator> {
        let options = EncryptOptions::new().packing(packing).bound(BOUND);
        EncryptedVector::encrypt_with(&self.key, x, &options, &mut rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    fn matrix(
        &self,
        rows: usize,
        cols: usize,
        x: &[i64],
        packing: impl Into<MatrixPacking>,
    ) -> EncryptedMatrix<Evaluator> {
        let options = EncryptOptions::new().packing(packing).bound(BOUND);
        EncryptedMatrix::encrypt_with(&self.key, rows, cols, x, &options, &mut rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    #[track_caller]
    fn vector_is(&self, got: Result<EncryptedVector<Evaluator>>, want: &[i64]) {
        assert_eq!(got.unwrap().decrypt(&self.key).unwrap(), want);
    }
    #[track_caller]
    fn matrix_is(
        &self,
        got: Result<EncryptedMatrix<Evaluator>>,
        shape: (usize, usize),
        want: &[i64],
    ) {
        let got = got.unwrap();
        assert_eq!(got.shape(), shape);
        assert_eq!(got.decrypt(&self.key).unwrap(), want);
    }
}

#[test]
fn vectors() {
    let s = setup();
    for n in [1, 7, 32, 45] {
        let (x, y) = (values(1, n), values(2, n));
        let zip = |f: &dyn Fn(i64, i64) -> i64| -> Vec<i64> {
            x.iter().zip(&y).map(|(&a, &b)| f(a, b)).collect()
        };
        let slots = s.server.slots();
        for packing in [
            VectorPacking::periodic(n, slots).unwrap(),
            VectorPacking::stretched(n, 4, slots).unwrap(),
        ] {
            let (a, b) = (s.vector_in(&x, packing), s.vector_in(&y, packing));
            s.vector_is(&a + &b, &zip(&|a, b| a + b));
            s.vector_is(&a - &b, &zip(&|a, b| a - b));
            s.vector_is(-&a, &zip(&|a, _| -a));
            s.vector_is(&a * &b, &zip(&|a, b| a * b));
            s.vector_is(a.square(), &zip(&|a, _| a * a));
            s.vector_is(&a * -321, &zip(&|a, _| -321 * a));
            s.vector_is(&a + 12, &zip(&|a, _| a + 12));
            s.vector_is(a.add_plain(&y), &zip(&|a, b| a + b));
            s.vector_is(a.mul_plain(&y), &zip(&|a, b| a * b));
            let cubic = a.polynomial(&[5, 2, 0, -1]);
            s.vector_is(cubic, &zip(&|a, _| 5 + 2 * a - a * a * a));
            let dot = zip(&|a, b| a * b).iter().sum();
            s.vector_is(a.dot(&b), &[dot]);
            s.vector_is(a.dot_plain(&y), &[dot]);
            s.vector_is(a.sum(), &[x.iter().sum()]);
            s.vector_is(a.slice(n / 3..n), &x[n / 3..]);
            let both: Vec<i64> = x.iter().chain(&y).copied().collect();
            s.vector_is(EncryptedVector::concatenate(&[&a, &b]), &both);
        }
    }
}

#[test]
fn matrices() {
    let s = setup();
    for (m, n) in [(1, 1), (1, 7), (37, 1), (7, 11), (9, 4)] {
        let (x, y) = (values(1, m * n), values(2, m * n));
        let (by_col, by_row) = (values(3, n), values(4, m));
        let zip = |f: &dyn Fn(i64, i64) -> i64| -> Vec<i64> {
            x.iter().zip(&y).map(|(&a, &b)| f(a, b)).collect()
        };
        for tile in tiles(m, n) {
            let shape = (m, n);
            let (a, b) = (s.matrix(m, n, &x, tile), s.matrix(m, n, &y, tile));
            s.matrix_is(&a + &b, shape, &zip(&|a, b| a + b));
            s.matrix_is(&a * &b, shape, &zip(&|a, b| a * b));
            s.matrix_is(a.mul_plain(&y), shape, &zip(&|a, b| a * b));
            s.matrix_is(a.transpose(), (n, m), &transpose(&x, m, n));
            let v = s.vector_in(&by_col, a.column_packing());
            s.vector_is(a.matvec(&v), &matmul(&x, &by_col, (m, n, 1)));
            s.vector_is(a.matvec_plain(&by_col), &matmul(&x, &by_col, (m, n, 1)));
            let ones = vec![1; m.max(n)];
            s.vector_is(a.sum(Axis::Rows), &matmul(&ones[..m], &x, (1, m, n)));
            s.vector_is(a.sum(Axis::Columns), &matmul(&x, &ones[..n], (m, n, 1)));
            s.vector_is(a.sum_all(), &[x.iter().sum()]);
            let rows: Vec<i64> = (0..m * n).map(|i| x[i] * by_row[i / n]).collect();
            s.matrix_is(a.scale_rows_plain(&by_row), shape, &rows);
            let slice: Vec<i64> = (m / 2..m)
                .flat_map(|r| x[r * n + n / 2..(r + 1) * n].to_vec())
                .collect();
            let part = a.slice(m / 2..m, n / 2..n);
            s.matrix_is(part, (m - m / 2, n - n / 2), &slice);
        }
    }
}

#[test]
fn plain_products() {
    let s = setup();
    for (m, k, n) in [(1, 1, 1), (3, 4, 5), (13, 5, 2), (1, 37, 3)] {
        let (x, v) = (values(1, m * k), values(2, k));
        let plain = PlainMatrix::new(m, k, x.clone()).unwrap();
        let want = matmul(&x, &v, (m, k, 1));
        s.vector_is(plain.matvec(&s.vector(&v)), &want);
        for tile in tiles(m, k) {
            let a = s.matrix(m, k, &x, tile);
            let w = values(3, k * n);
            let right = PlainMatrix::new(k, n, w.clone()).unwrap();
            s.matrix_is(a.matmul_plain(&right), (m, n), &matmul(&x, &w, (m, k, n)));
            let w = values(4, n * m);
            let left = PlainMatrix::new(n, m, w.clone()).unwrap();
            s.matrix_is(left.matmul(&a), (n, k), &matmul(&w, &x, (n, m, k)));
        }
    }
}

#[test]
fn encrypted_products() {
    let s = setup();
    for (m, k, n) in [(1, 1, 1), (3, 4, 5), (8, 8, 8), (7, 11, 3)] {
        let (x, y) = (values(1, m * k), values(2, k * n));
        let want = matmul(&x, &y, (m, k, n));
        for left in tiles(m, k) {
            for right in tiles(k, n) {
                let (a, b) = (s.matrix(m, k, &x, left), s.matrix(k, n, &y, right));
                s.matrix_is(a.matmul(&b), (m, n), &want);
            }
        }
        let (left, right) = Skewed::pair(m, k, n, s.server.slots()).unwrap();
        let (a, b) = (s.matrix(m, k, &x, left), s.matrix(k, n, &y, right));
        s.matrix_is(a.matmul(&b), (m, n), &want);
        let (a, b) = (a.transpose().unwrap(), b.transpose().unwrap());
        s.matrix_is(b.matmul(&a), (n, m), &transpose(&want, m, n));
        let diagonal = Diagonal::fit(m, k, s.server.slots()).unwrap();
        let v = values(3, k);
        let out = s.matrix(m, k, &x, diagonal).matvec(&s.vector(&v));
        s.vector_is(out, &matmul(&x, &v, (m, k, 1)));
    }
}

#[test]
fn batches_of_products() {
    let s = setup();
    for (count, (m, k, n)) in [(2, (2, 2, 2)), (3, (4, 4, 4)), (2, (3, 8, 2))] {
        let (x, y) = (values(1, count * m * k), values(2, count * k * n));
        let (left, right) = BatchPacking::pair(count, m, k, n, s.server.slots()).unwrap();
        let encrypt = |shape, data: &[i64], packing: BatchPacking| {
            let options = EncryptOptions::new().packing(packing).bound(1000.0);
            EncryptedBatch::encrypt(&s.key, shape, data, &options, &mut rng())
                .unwrap()
                .bind(&s.server)
                .unwrap()
        };
        let (a, b) = (
            encrypt((count, m, k), &x, left),
            encrypt((count, k, n), &y, right),
        );
        let want: Vec<i64> = (x.chunks(m * k).zip(y.chunks(k * n)))
            .flat_map(|(x, y)| matmul(x, y, (m, k, n)))
            .collect();
        assert_eq!(a.matmul(&b).unwrap().decrypt(&s.key).unwrap(), want);
    }
}

/// What ridge and linear regression are solved from.
#[test]
fn normal_equations() {
    let s = setup();
    for (rows, cols) in [(5, 3), (13, 4), (37, 7), (45, 2)] {
        let (x, y) = (values(1, rows * cols), values(2, rows));
        let xt = transpose(&x, rows, cols);
        let gram = matmul(&xt, &x, (cols, rows, cols));
        let moment = matmul(&xt, &y, (cols, rows, 1));
        for tile in tiles(rows, cols) {
            let a = s.matrix(rows, cols, &x, tile);
            // The Gram matrix wants rows in tiles.
            if tile.order() == Order::RowMajor {
                s.matrix_is(a.gram(), (cols, cols), &gram);
            }
            let xt = a.transpose().unwrap();
            let b = s.vector_in(&y, a.row_packing());
            s.vector_is(xt.matvec(&b), &moment);
        }
    }
}

/// Sums and products whose result might not fit are refused, before anything is computed, by declared bounds alone.
#[test]
fn overflow_is_refused() {
    let s = setup();
    let mut v = s.vector(&[1000; 7]);
    let error = loop {
        match v.square() {
            Ok(squared) => v = squared,
            Err(error) => break error,
        }
    };
    let Error::Overflow { capacity, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(capacity, 2f64.powi(45).to_string());
    s.vector_is(Ok(v), &[1_000_000_000_000; 7]);
}
