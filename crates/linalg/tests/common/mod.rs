//! Checks of every kernel against a naive computation, for any scheme.
//!
//! Each compares *all* slots of a result with the packed expectation: the values, their copies, and zeros in the padding.

#![allow(dead_code, unreachable_pub)]

use cipherblas_linalg::{
    Axis, BatchPacking, Diagonal, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector,
    MatmulMethod, MatrixPacking, Order, PlainMatrix, Skewed, Tile, VectorPacking,
};
use cipherblas_scheme::{
    Add, AddPlain, Combine, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Result, Rotate, Scheme,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub trait Full:
    Scheme<Value = f64> + Add + AddPlain + MulPlain + Mul + Rotate + Combine + ErrorBound
{
}
impl<S> Full for S where
    S: Scheme<Value = f64> + Add + AddPlain + MulPlain + Mul + Rotate + Combine + ErrorBound
{
}

/// A scheme under test.
pub struct Setup<S, K> {
    pub server: S,
    pub key: K,
    /// Largest error allowed, whatever bound the scheme gives for itself.
    pub tolerance: f64,
    /// Declared bound on the values.
    pub bound: f64,
}

/// Reproducible values in [-1, 1], none of them zero.
pub fn values(seed: usize, n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| {
            let x = (((i + 1) * 7919 + seed * 104_729) % 2003) as f64 / 1001.5 - 1.0;
            if x.abs() < 1e-3 { 0.5 } else { x }
        })
        .collect()
}

pub fn naive_matmul(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            out[i * n + j] = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        }
    }
    out
}

pub fn naive_transpose(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..cols)
        .flat_map(|c| (0..rows).map(move |r| a[r * cols + c]))
        .collect()
}

impl<S: Full, K: Encrypt<Scheme = S> + Decrypt<Scheme = S>> Setup<S, K> {
    pub fn slots(&self) -> usize {
        self.server.slots()
    }
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }
    pub fn vector(&self, v: &[f64]) -> EncryptedVector<S> {
        EncryptedVector::encrypt_with(
            &self.key,
            v,
            &EncryptOptions::new().bound(self.bound),
            &mut self.rng(),
        )
        .unwrap()
        .bind(&self.server)
        .unwrap()
    }
    pub fn vector_in(&self, v: &[f64], packing: VectorPacking) -> EncryptedVector<S> {
        let options = EncryptOptions::new().packing(packing).bound(self.bound);
        EncryptedVector::encrypt_with(&self.key, v, &options, &mut self.rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    pub fn matrix(
        &self,
        rows: usize,
        cols: usize,
        data: &[f64],
        packing: impl Into<MatrixPacking>,
    ) -> EncryptedMatrix<S> {
        let options = EncryptOptions::new().packing(packing).bound(self.bound);
        EncryptedMatrix::encrypt_with(&self.key, rows, cols, data, &options, &mut self.rng())
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }
    /// Row-major, column-major, row, column and a repeated tile.
    pub fn tiles(&self, rows: usize, cols: usize) -> Vec<Tile> {
        let slots = self.slots();
        let mut tiles = vec![
            Tile::fit(Order::RowMajor, rows, cols, slots).unwrap(),
            Tile::fit(Order::ColumnMajor, rows, cols, slots).unwrap(),
            Tile::rows(rows, cols, slots).unwrap(),
            Tile::columns(rows, cols, slots).unwrap(),
        ];
        let inner = cols.next_power_of_two().min(slots);
        if slots >= 2 * inner {
            let outer = rows.next_power_of_two().min(slots / (2 * inner));
            tiles.push(Tile::new(Order::RowMajor, 2, inner, outer).unwrap());
        }
        tiles.dedup();
        tiles
    }

    fn check_slots<'a>(
        &self,
        what: &str,
        got: impl Iterator<Item = &'a S::Ciphertext>,
        want: &[Vec<f64>],
    ) {
        // The expectation is computed in doubles, too.
        let rounding = 1e-11;
        let got: Vec<(f64, Vec<f64>)> = got
            .map(|ct| {
                let bound = self.server.error_bound(ct) + rounding;
                (bound.min(self.tolerance), self.key.decrypt(ct).unwrap())
            })
            .collect();
        assert_eq!(got.len(), want.len(), "{what}: number of ciphertexts");
        for (b, ((allowed, got), want)) in got.iter().zip(want).enumerate() {
            for (s, (g, w)) in got.iter().zip(want.iter().cycle()).enumerate() {
                assert!(
                    (g - w).abs() <= *allowed,
                    "{what}: block {b}, slot {s}: got {g}, expected {w} up to {allowed}"
                );
            }
        }
    }

    pub fn check_vector(&self, what: &str, got: Result<EncryptedVector<S>>, want: &[f64]) {
        let got = got.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(got.len(), want.len(), "{what}: length");
        self.check_slots(what, got.ciphertexts(), &got.packing().pack(want).unwrap());
        let values = got.decrypt(&self.key).unwrap();
        assert!(
            values
                .iter()
                .zip(want)
                .all(|(g, w)| (g - w).abs() <= self.tolerance)
        );
    }

    pub fn check_matrix(
        &self,
        what: &str,
        got: Result<EncryptedMatrix<S>>,
        (rows, cols): (usize, usize),
        want: &[f64],
    ) {
        let got = got.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(got.shape(), (rows, cols), "{what}: shape");
        let packed = got.packing().pack(rows, cols, want).unwrap();
        self.check_slots(what, got.ciphertexts(), &packed);
        let values = got.decrypt(&self.key).unwrap();
        assert!(
            values
                .iter()
                .zip(want)
                .all(|(g, w)| (g - w).abs() <= self.tolerance)
        );
    }

    /// Everything on vectors of `n` values.
    pub fn vectors(&self, n: usize) {
        let slots = self.slots();
        let (x, y) = (values(1, n), values(2, n));
        let mut packings = vec![VectorPacking::periodic(n, slots).unwrap()];
        for repeat in [2, 4, slots] {
            if repeat <= slots {
                packings.push(VectorPacking::stretched(n, repeat, slots).unwrap());
            }
        }
        let zip = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            x.iter().zip(&y).map(|(&a, &b)| f(a, b)).collect()
        };
        let dot: f64 = zip(&|a, b| a * b).iter().sum();
        for &p in &packings {
            let what = |op: &str| format!("{op} of {n} values in {p:?}");
            let (a, b) = (self.vector_in(&x, p), self.vector_in(&y, p));
            self.check_vector(&what("sum"), &a + &b, &zip(&|a, b| a + b));
            self.check_vector(&what("difference"), &a - &b, &zip(&|a, b| a - b));
            self.check_vector(&what("negative"), -&a, &zip(&|a, _| -a));
            self.check_vector(&what("product"), &a * &b, &zip(&|a, b| a * b));
            self.check_vector(&what("square"), a.square(), &zip(&|a, _| a * a));
            self.check_vector(&what("scale"), &a * 0.75, &zip(&|a, _| 0.75 * a));
            self.check_vector(&what("constant"), &a + 0.5, &zip(&|a, _| a + 0.5));
            self.check_vector(&what("plain sum"), a.add_plain(&y), &zip(&|a, b| a + b));
            self.check_vector(&what("plain product"), a.mul_plain(&y), &zip(&|a, b| a * b));
            let cubic = |x: f64| 0.5 + 0.2 * x - 0.1 * x * x * x;
            let c = [0.5, 0.2, 0.0, -0.1];
            self.check_vector(&what("cubic"), a.polynomial(&c), &zip(&|a, _| cubic(a)));
            self.check_vector(&what("dot"), a.dot(&b), &[dot]);
            self.check_vector(&what("plain dot"), a.dot_plain(&y), &[dot]);
            self.check_vector(&what("total"), a.sum(), &[x.iter().sum()]);
            self.check_vector(&what("mean"), a.mean(), &[x.iter().sum::<f64>() / n as f64]);
            let broadcast = a.dot(&b).unwrap().mul(&a);
            self.check_vector(&what("broadcast"), broadcast, &zip(&|a, _| dot * a));
            for &q in &packings {
                self.check_vector(&format!("{} to {q:?}", what("repack")), a.repack(q), &x);
            }
            for (from, to) in [(0, n), (n / 3, n), (0, n.div_ceil(2)), (n - 1, n)] {
                let slice = a.slice(from..to);
                self.check_vector(&what(&format!("slice {from}..{to}")), slice, &x[from..to]);
            }
            let both: Vec<f64> = x.iter().chain(&y).chain(&x).copied().collect();
            let joined = EncryptedVector::concatenate(&[&a, &b, &a]);
            self.check_vector(&what("concatenation"), joined, &both);
        }
    }

    /// Plain `m` x `n` matrix times encrypted vector and back.
    pub fn plain_matvec(&self, m: usize, n: usize) {
        let slots = self.slots();
        let (w, x) = (values(1, m * n), values(2, n));
        let plain = PlainMatrix::new(m, n, w.clone()).unwrap();
        let want = naive_matmul(&w, &x, m, n, 1);
        let mut packings = vec![
            VectorPacking::periodic(n, slots).unwrap(),
            plain.input_packing(slots).unwrap(),
        ];
        for repeat in [2, 8] {
            if repeat <= slots {
                packings.push(VectorPacking::stretched(n, repeat, slots).unwrap());
            }
        }
        for p in packings {
            let what = format!("plain {m} x {n} times vector in {p:?}");
            let v = self.vector_in(&x, p);
            let before = v.depth();
            let out = plain.matvec(&v);
            assert_eq!(out.as_ref().unwrap().depth(), before - 1, "{what}: depth");
            self.check_vector(&what, out, &want);
            self.check_vector(&what, v.matmul_plain(&plain.transpose()), &want);
            let prepared = plain.prepare(&self.server, p, before - 1).unwrap();
            let out = prepared.matvec(&v);
            assert_eq!(out.as_ref().unwrap().depth(), before - 2, "{what}: depth");
            self.check_vector(&what, out, &want);
        }
    }

    /// Everything on one encrypted `m` x `n` matrix, in every packing.
    pub fn matrices(&self, m: usize, n: usize) {
        let (x, y) = (values(1, m * n), values(2, m * n));
        let (by_col, by_row) = (values(3, n), values(4, m));
        let zip = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            x.iter().zip(&y).map(|(&a, &b)| f(a, b)).collect()
        };
        let axv = naive_matmul(&x, &by_col, m, n, 1);
        let atv = naive_matmul(&by_row, &x, 1, m, n);
        for tile in self.tiles(m, n) {
            let what = |op: &str| format!("{op} of {m} x {n} in {tile:?}");
            let s = (m, n);
            let (a, b) = (self.matrix(m, n, &x, tile), self.matrix(m, n, &y, tile));
            self.check_matrix(&what("sum"), &a + &b, s, &zip(&|a, b| a + b));
            self.check_matrix(&what("difference"), &a - &b, s, &zip(&|a, b| a - b));
            self.check_matrix(&what("negative"), -&a, s, &zip(&|a, _| -a));
            self.check_matrix(&what("Hadamard"), &a * &b, s, &zip(&|a, b| a * b));
            self.check_matrix(&what("square"), a.square(), s, &zip(&|a, _| a * a));
            self.check_matrix(&what("scale"), &a * 0.75, s, &zip(&|a, _| 0.75 * a));
            self.check_matrix(&what("constant"), &a - 0.5, s, &zip(&|a, _| a - 0.5));
            self.check_matrix(&what("plain sum"), a.add_plain(&y), s, &zip(&|a, b| a + b));
            self.check_matrix(
                &what("plain product"),
                a.mul_plain(&y),
                s,
                &zip(&|a, b| a * b),
            );
            let c = [0.25, -0.5, 0.5];
            let quadratic = |x: f64| 0.25 - 0.5 * x + 0.5 * x * x;
            self.check_matrix(
                &what("polynomial"),
                a.polynomial(&c),
                s,
                &zip(&|a, _| quadratic(a)),
            );

            let t = naive_transpose(&x, m, n);
            self.check_matrix(&what("transpose"), a.transpose(), (n, m), &t);

            let v = self.vector_in(&by_col, a.column_packing());
            let u = self.vector_in(&by_row, a.row_packing());
            self.check_vector(&what("matvec"), a.matvec(&v), &axv);
            let scaled: Vec<f64> = axv.iter().map(|x| 0.5 * x).collect();
            self.check_vector(&what("scaled matvec"), a.matvec_scaled(&v, 0.5), &scaled);
            self.check_vector(&what("vecmat"), a.transpose().unwrap().matvec(&u), &atv);
            self.check_vector(&what("plain matvec"), a.matvec_plain(&by_col), &axv);

            let rows: Vec<f64> = (0..m * n).map(|i| x[i] * by_row[i / n]).collect();
            let cols: Vec<f64> = (0..m * n).map(|i| x[i] * by_col[i % n]).collect();
            self.check_matrix(&what("scaled rows"), a.scale_rows(&u), s, &rows);
            self.check_matrix(&what("scaled columns"), a.scale_columns(&v), s, &cols);
            self.check_matrix(&what("scaled rows"), a.scale_rows_plain(&by_row), s, &rows);
            self.check_matrix(
                &what("scaled columns"),
                a.scale_columns_plain(&by_col),
                s,
                &cols,
            );
            let rows: Vec<f64> = (0..m * n).map(|i| x[i] + by_col[i % n]).collect();
            let cols: Vec<f64> = (0..m * n).map(|i| x[i] + by_row[i / n]).collect();
            self.check_matrix(&what("add to rows"), a.add_to_rows(&v), s, &rows);
            self.check_matrix(&what("add to columns"), a.add_to_columns(&u), s, &cols);

            let over_rows = naive_matmul(&vec![1.0; m], &x, 1, m, n);
            let over_cols = naive_matmul(&x, &vec![1.0; n], m, n, 1);
            let total: f64 = x.iter().sum();
            self.check_vector(&what("sum over rows"), a.sum(Axis::Rows), &over_rows);
            self.check_vector(&what("sum over columns"), a.sum(Axis::Columns), &over_cols);
            self.check_vector(&what("total"), a.sum_all(), &[total]);
            let mean =
                |v: &[f64], n: usize| -> Vec<f64> { v.iter().map(|x| x / n as f64).collect() };
            self.check_vector(
                &what("mean over rows"),
                a.mean(Axis::Rows),
                &mean(&over_rows, m),
            );
            self.check_vector(
                &what("mean over columns"),
                a.mean(Axis::Columns),
                &mean(&over_cols, n),
            );
        }
    }

    /// Slices, stacks and re-packing of an `m` x `n` matrix.
    pub fn moves(&self, m: usize, n: usize) {
        let x = values(1, m * n);
        let tiles = self.tiles(m, n);
        for &tile in &tiles {
            let a = self.matrix(m, n, &x, tile);
            for &to in &tiles {
                let what = format!("repack of {m} x {n} from {tile:?} to {to:?}");
                self.check_matrix(&what, a.repack(to), (m, n), &x);
            }
            for (r0, r1, c0, c1) in [
                (0, m, 0, n),
                (m / 2, m, 0, n),
                (0, m, n / 2, n),
                (m - 1, m, 0, n.div_ceil(2)),
                (0, m.div_ceil(3), n - 1, n),
            ] {
                let want: Vec<f64> = (r0..r1)
                    .flat_map(|r| x[r * n + c0..r * n + c1].to_vec())
                    .collect();
                let what = format!("slice {r0}..{r1}, {c0}..{c1} of {m} x {n} in {tile:?}");
                self.check_matrix(&what, a.slice(r0..r1, c0..c1), (r1 - r0, c1 - c0), &want);
            }
            let what = |op: &str| format!("{op} of {m} x {n} in {tile:?}");
            self.check_matrix(&what("reshape"), a.reshape(n, m), (n, m), &x);
            self.check_vector(&what("last row"), a.row(m - 1), &x[(m - 1) * n..]);
            let column: Vec<f64> = (0..m).map(|r| x[r * n + n / 2]).collect();
            self.check_vector(&what("middle column"), a.column(n / 2), &column);
            let extra = values(5, 2 * n);
            let below = self.matrix(2, n, &extra, self.tiles(2, n)[0]);
            let want: Vec<f64> = x.iter().chain(&extra).chain(&x).copied().collect();
            let what = format!("vstack of {m} x {n} in {tile:?}");
            let stacked = EncryptedMatrix::vstack(&[&a, &below, &a]);
            self.check_matrix(&what, stacked, (2 * m + 2, n), &want);
            let side = self.matrix(m, 3, &values(6, 3 * m), self.tiles(m, 3)[0]);
            let right = values(6, 3 * m);
            let want: Vec<f64> = (0..m)
                .flat_map(|r| {
                    let mut row = x[r * n..(r + 1) * n].to_vec();
                    row.extend(&right[3 * r..3 * r + 3]);
                    row
                })
                .collect();
            let what = format!("hstack of {m} x {n} in {tile:?}");
            let stacked = EncryptedMatrix::hstack(&[&a, &side]);
            self.check_matrix(&what, stacked, (m, n + 3), &want);
        }
    }

    /// Encrypted `m` x `k` with plain matrices of `n` columns or rows on either side.
    pub fn plain_matmul(&self, m: usize, k: usize, n: usize) {
        let x = values(1, m * k);
        for tile in self.tiles(m, k) {
            let a = self.matrix(m, k, &x, tile);
            let w = values(2, k * n);
            let plain = PlainMatrix::new(k, n, w.clone()).unwrap();
            let what = format!("{m} x {k} in {tile:?} times plain {k} x {n}");
            let out = a.matmul_plain(&plain);
            assert_eq!(out.as_ref().unwrap().depth(), a.depth() - 1, "{what}");
            self.check_matrix(&what, out, (m, n), &naive_matmul(&x, &w, m, k, n));
            let w = values(3, n * m);
            let plain = PlainMatrix::new(n, m, w.clone()).unwrap();
            let what = format!("plain {n} x {m} times {m} x {k} in {tile:?}");
            let out = plain.matmul(&a);
            self.check_matrix(&what, out, (n, k), &naive_matmul(&w, &x, n, m, k));
        }
    }

    /// Several products at once, and their transposes from the transposed factors.
    pub fn batches(&self, count: usize, (m, k, n): (usize, usize, usize)) {
        let (x, y) = (values(1, count * m * k), values(2, count * k * n));
        let want: Vec<f64> = (x.chunks(m * k).zip(y.chunks(k * n)))
            .flat_map(|(x, y)| naive_matmul(x, y, m, k, n))
            .collect();
        let (left, right) = BatchPacking::pair(count, m, k, n, self.slots()).unwrap();
        let encrypt = |shape, data: &[f64], packing: BatchPacking| {
            let options = EncryptOptions::new().packing(packing).bound(self.bound);
            EncryptedBatch::encrypt(&self.key, shape, data, &options, &mut self.rng())
                .unwrap()
                .bind(&self.server)
                .unwrap()
        };
        let (a, b) = (
            encrypt((count, m, k), &x, left),
            encrypt((count, k, n), &y, right),
        );
        let close = |got: &[f64], want: &[f64]| {
            assert_eq!(got.len(), want.len());
            let mut pairs = got.iter().zip(want);
            assert!(
                pairs.all(|(g, w)| (g - w).abs() <= self.tolerance),
                "{count} of {m} x {k} x {n}: {got:?}, expected {want:?}"
            );
        };
        close(&a.decrypt(&self.key).unwrap(), &x);
        let c = a.matmul(&b).unwrap();
        assert_eq!(c.shape(), (count, m, n));
        assert!(a.depth() - c.depth() <= 2);
        close(&c.decrypt(&self.key).unwrap(), &want);
        let c = c.transpose().unwrap();
        let turned = b
            .transpose()
            .unwrap()
            .matmul(&a.transpose().unwrap())
            .unwrap();
        assert_eq!(turned.shape(), (count, n, m));
        let want: Vec<f64> = want
            .chunks(m * n)
            .flat_map(|c| naive_transpose(c, m, n))
            .collect();
        close(&turned.decrypt(&self.key).unwrap(), &want);
        let twice: Vec<f64> = want.iter().map(|w| 2.0 * w).collect();
        close(&c.add(&turned).unwrap().decrypt(&self.key).unwrap(), &twice);
    }

    /// `A B`, and `B' A'` with the transposed factors, in the packing made for them.
    pub fn skewed_products(&self, m: usize, k: usize, n: usize) {
        let (x, y) = (values(1, m * k), values(2, k * n));
        let want = naive_matmul(&x, &y, m, k, n);
        let (left, right) = Skewed::pair(m, k, n, self.slots()).unwrap();
        let (a, b) = (self.matrix(m, k, &x, left), self.matrix(k, n, &y, right));
        let out = a.matmul(&b);
        let levels = if left.layered() { 1 } else { 2 };
        assert_eq!(out.as_ref().unwrap().depth(), a.depth() - levels);
        let what = format!("{m} x {k} in {left:?} times {k} x {n}");
        self.check_matrix(&what, out, (m, n), &want);
        let (at, bt) = (a.transpose().unwrap(), b.transpose().unwrap());
        let out = bt.matmul(&at);
        let want = naive_transpose(&want, m, n);
        self.check_matrix(&format!("transposed {what}"), out, (n, m), &want);
    }

    /// Encrypted `m` x `k` times encrypted `k` x `n`; diagonal matrix times vector; Gram matrix.
    pub fn cipher_products(&self, m: usize, k: usize, n: usize) {
        let slots = self.slots();
        let (x, y) = (values(1, m * k), values(2, k * n));
        let want = naive_matmul(&x, &y, m, k, n);
        let mut lefts = self.tiles(m, k);
        let width = n.next_power_of_two().min(slots);
        lefts.push(Tile::columns_stretched(m, k, width, slots).unwrap());
        for &left in &lefts {
            for right in self.tiles(k, n) {
                let (a, b) = (self.matrix(m, k, &x, left), self.matrix(k, n, &y, right));
                let what = format!("{m} x {k} in {left:?} times {k} x {n} in {right:?}");
                let out = a.matmul(&b);
                let used = a.depth() - out.as_ref().map_or(0, EncryptedMatrix::depth);
                assert!(used <= 3, "{what}: depth {used}");
                self.check_matrix(&what, out, (m, n), &want);
                for method in [MatmulMethod::OuterProducts, MatmulMethod::Skewed] {
                    let out = a.matmul_by(&b, method);
                    self.check_matrix(&format!("{what}, {method:?}"), out, (m, n), &want);
                }
            }
        }
        self.skewed_products(m, k, n);
        let v = values(3, k);
        let diagonal = Diagonal::fit(m, k, slots).unwrap();
        let a = self.matrix(m, k, &x, diagonal);
        let out = a.matvec(&self.vector(&v));
        assert_eq!(out.as_ref().unwrap().depth(), a.depth() - 1);
        let what = format!("diagonal {m} x {k} times vector");
        self.check_vector(&what, out, &naive_matmul(&x, &v, m, k, 1));

        let xt = naive_transpose(&x, m, k);
        let want = naive_matmul(&xt, &x, k, m, k);
        for tile in [
            Tile::fit(Order::RowMajor, m, k, slots).unwrap(),
            Tile::rows(m, k, slots).unwrap(),
        ] {
            let what = format!("Gram matrix of {m} x {k} in {tile:?}");
            let gram = self.matrix(m, k, &x, tile).gram();
            self.check_matrix(&what, gram, (k, k), &want);
            let gram = self.matrix(m, k, &x, tile).gram().unwrap();
            let gv = gram.matvec(&self.vector(&v));
            self.check_vector(&what, gv, &naive_matmul(&want, &v, k, k, 1));
        }
    }
}
