//! Checks of matrices in blocks against naive products, for any scheme.

#![allow(dead_code, unreachable_pub)]

use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix};
use cipherblas_scheme::matrix::{DecryptMatrix, EncryptMatrix, MatrixScheme};
use cipherblas_scheme::{Result, Value};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub const FORMATS: [Format; 2] = [Format::Rows, Format::Columns];

/// Numbers that small integers stand for.
pub trait Number: Value {
    fn of(value: i64) -> Self;
    fn real(self) -> f64;
}
impl Number for f64 {
    fn of(value: i64) -> Self {
        value as f64
    }
    fn real(self) -> f64 {
        self
    }
}
impl Number for i64 {
    fn of(value: i64) -> Self {
        value
    }
    fn real(self) -> f64 {
        self as f64
    }
}

/// A scheme under test.
pub struct Blocks<E: MatrixScheme, K> {
    pub server: E,
    pub key: K,
    /// Error allowed for every value of a result, by the precision asked for, whatever bound the scheme gives for itself.
    pub tolerance: f64,
}

/// Integers from -7 to 7.
pub fn integers(seed: usize, n: usize) -> Vec<i64> {
    (0..n)
        .map(|i| ((i + 1) * 7919 + seed * 104_729) as i64 % 15 - 7)
        .collect()
}

pub fn naive(a: &[i64], b: &[i64], k: usize) -> Vec<i64> {
    let n = b.len() / k;
    a.chunks(k)
        .flat_map(|row| {
            (0..n).map(move |j| row.iter().enumerate().map(|(l, x)| x * b[l * n + j]).sum())
        })
        .collect()
}

pub fn transposed(a: &[i64], cols: usize) -> Vec<i64> {
    (0..cols)
        .flat_map(|c| a.iter().skip(c).step_by(cols).copied())
        .collect()
}

/// How the factors of a product are held.
#[derive(Clone, Debug)]
pub struct Held {
    pub formats: (Format, Format),
    pub result: Format,
    pub options: BlockOptions,
}

impl<E: MatrixScheme, K> Blocks<E, K>
where
    E::Value: Number,
    K: EncryptMatrix<Scheme = E> + DecryptMatrix<Scheme = E>,
{
    pub fn matrix(
        &self,
        rows: usize,
        cols: usize,
        data: &[i64],
        options: &BlockOptions,
    ) -> Result<BlockMatrix<E>> {
        let mut rng = ChaCha20Rng::seed_from_u64(rows as u64 * 1000 + cols as u64);
        let data: Vec<_> = data.iter().map(|&v| E::Value::of(v)).collect();
        let options = options.clone().bound(7.0);
        BlockMatrix::encrypt(&self.key, rows, cols, &data, &options, &mut rng)?.bind(&self.server)
    }

    pub fn expect(&self, what: &str, x: &BlockMatrix<E>, shape: (usize, usize), expected: &[i64]) {
        assert_eq!(x.shape(), shape, "{what}");
        let got = x.decrypt(&self.key).unwrap();
        assert_eq!(got.len(), expected.len(), "{what}");
        let bound = x.error_bound();
        assert!(
            bound <= self.tolerance,
            "{what}: bound {bound}, tolerance {}",
            self.tolerance
        );
        for (i, (g, &e)) in got.iter().zip(expected).enumerate() {
            let error = (g.real() - e as f64).abs();
            assert!(
                error <= bound,
                "{what}: {g:?} for {e} at {i} of {x:?}, bound {bound}"
            );
            assert!(
                (e.abs() as f64) <= x.magnitude_bound(),
                "{what}: {e} beyond {}",
                x.magnitude_bound()
            );
        }
    }

    /// `A B`, `A'B`, `A B'` with the factors in any format.
    pub fn products(&self, m: usize, k: usize, n: usize, held: &Held) {
        let (a, b) = (integers(1, m * k), integers(2, k * n));
        let expected = naive(&a, &b, k);
        let what = format!("{m} x {k} x {n}, {held:?}");
        let (fa, fb) = held.formats;
        let options = |format| held.options.clone().format(format);
        let x = self.matrix(m, k, &a, &options(fa)).unwrap();
        let y = self.matrix(k, n, &b, &options(fb)).unwrap();
        let z = x.matmul_as(&y, held.result).unwrap();
        assert_eq!(z.format(), held.result);
        self.expect(&what, &z, (m, n), &expected);
        // The same product of the transposed matrices, encrypted as they are.
        let (at, bt) = (transposed(&a, k), transposed(&b, n));
        let xt = self.matrix(k, m, &at, &options(fa.transposed())).unwrap();
        let yt = self.matrix(n, k, &bt, &options(fb.transposed())).unwrap();
        self.expect(&what, &xt.t_matmul(&y).unwrap(), (m, n), &expected);
        self.expect(&what, &x.matmul_t(&yt).unwrap(), (m, n), &expected);
        let z = yt.matmul(&xt).unwrap();
        self.expect(&what, &z, (n, m), &transposed(&expected, n));
        self.expect(&what, &z.t(), (m, n), &expected);
    }

    /// `X'X` and `X X'`; in the format that does not fit only where there is a level to change it.
    pub fn gram(&self, rows: usize, cols: usize, format: Format, options: &BlockOptions) {
        let a = integers(3, rows * cols);
        let options = options.clone().format(format);
        let x = self.matrix(rows, cols, &a, &options).unwrap();
        let at = transposed(&a, cols);
        let what = format!("gram of {rows} x {cols}, {options:?}");
        let changes = x.depth() > 1;
        if changes || format == Format::Rows {
            let gram = x.gram().unwrap();
            self.expect(&what, &gram, (cols, cols), &naive(&at, &a, rows));
        }
        if changes || format == Format::Columns {
            let gram = x.t().gram().unwrap();
            self.expect(&what, &gram, (rows, rows), &naive(&a, &at, cols));
        }
    }

    /// Products with plain matrices on both sides.
    pub fn plain(&self, m: usize, k: usize, n: usize, options: &BlockOptions) {
        let (a, b) = (integers(4, m * k), integers(5, k * n));
        let expected = naive(&a, &b, k);
        let what = format!("plain {m} x {k} x {n}, {options:?}");
        let plain = |rows, cols, data: &[i64]| {
            PlainMatrix::new(
                rows,
                cols,
                data.iter().map(|&v| E::Value::of(v)).collect::<Vec<_>>(),
            )
            .unwrap()
        };
        let x = self
            .matrix(m, k, &a, &options.clone().format(Format::Columns))
            .unwrap();
        let z = x.matmul_plain(&plain(k, n, &b)).unwrap();
        assert_eq!((z.format(), z.layout()), (Format::Columns, Lines::Single));
        self.expect(&what, &z, (m, n), &expected);
        let y = self.matrix(k, n, &b, options).unwrap();
        let z = BlockMatrix::plain_matmul(&plain(m, k, &a), &y).unwrap();
        assert_eq!((z.format(), z.depth()), (Format::Rows, y.depth() - 1));
        self.expect(&what, &z, (m, n), &expected);
    }

    /// Sums, scalars, change of format, serialization.
    pub fn rest(&self, rows: usize, cols: usize, options: &BlockOptions) {
        let (a, b) = (integers(6, rows * cols), integers(7, rows * cols));
        let what = format!("{rows} x {cols}, {options:?}");
        let x = self.matrix(rows, cols, &a, options).unwrap();
        let y = self.matrix(rows, cols, &b, options).unwrap();
        let shape = (rows, cols);
        let with =
            |f: fn(i64, i64) -> i64| a.iter().zip(&b).map(|(&x, &y)| f(x, y)).collect::<Vec<_>>();
        self.expect(&what, &x, shape, &a);
        self.expect(&what, &(&x + &y).unwrap(), shape, &with(|x, y| x + y));
        self.expect(&what, &(&x - &y).unwrap(), shape, &with(|x, y| x - y));
        self.expect(&what, &(-&x).unwrap(), shape, &with(|x, _| -x));
        let scaled = x.scale(E::Value::of(-3)).unwrap();
        assert_eq!(scaled.depth(), x.depth() - 1);
        self.expect(&what, &scaled, shape, &with(|x, _| -3 * x));
        let lowered = x.lower_to(x.depth() - 1).unwrap();
        assert!(lowered.bytes() <= x.bytes());
        self.expect(&what, &lowered, shape, &a);
        let bytes = x.to_bytes().unwrap();
        let back = BlockMatrix::from_bytes(&self.server, &bytes).unwrap();
        assert_eq!(back.to_bytes().unwrap(), bytes);
        assert_eq!(
            (back.format(), back.line(), back.blocks()),
            (x.format(), x.line(), x.blocks())
        );
        self.expect(&what, &back, shape, &a);
        if x.layout() == Lines::Packed {
            let other = x.reformat().unwrap();
            assert_eq!(
                (other.format(), other.depth()),
                (x.format().transposed(), x.depth() - 1)
            );
            self.expect(&what, &other, shape, &a);
        }
    }
}
