//! Plain matrix products, which encrypted ones are measured by, and what else multiplies encrypted matrices
//! (`peers/linalg.py`).

use super::python::{self, Link};
use crate::compare::Entry;
use crate::contender::Local;
use crate::goals::PLAIN;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use serde_json::json;
use std::sync::Arc;

/// `rows x inner` times `inner x cols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the first factor.
    pub rows: usize,
    /// Columns of the first, rows of the second.
    pub inner: usize,
    /// Columns of the second.
    pub cols: usize,
}

impl Shape {
    /// Square factors.
    #[must_use]
    pub fn square(size: usize) -> Self {
        Self {
            rows: size,
            inner: size,
            cols: size,
        }
    }

    /// Multiply-adds of the plain product.
    #[must_use]
    pub fn macs(self) -> u64 {
        [self.rows, self.inner, self.cols]
            .iter()
            .map(|&n| n as u64)
            .product()
    }
}

/// Doubles by NumPy's BLAS, on the threads of its process.
pub fn numpy(link: &Link, shape: Shape) -> Entry {
    let Shape { rows, inner, cols } = shape;
    let request = json!({"op": "dgemm", "rows": rows, "inner": inner, "cols": cols});
    let name = |version: &str| format!("{PLAIN}{version} in clear").replace("  ", " ");
    python::contender(link, "numpy", name, request, "")
}

/// `X'X` by NumPy's BLAS, of `inner` rows and `cols` columns.
pub fn numpy_gram(link: &Link, shape: Shape) -> Entry {
    let request = json!({"op": "gram", "rows": shape.inner, "cols": shape.cols});
    let name = |version: &str| format!("{PLAIN}{version} in clear").replace("  ", " ");
    python::contender(link, "numpy", name, request, "")
}

/// The plain product, row by row.
#[must_use]
pub fn product(a: &[f64], b: &[f64], shape: Shape) -> Vec<f64> {
    let mut out = vec![0.0; shape.rows * shape.cols];
    multiply(&mut out, a, b, shape);
    out
}

/// The columns of a `rows x cols` matrix, one after another.
#[must_use]
pub fn transposed(values: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..cols)
        .flat_map(|c| (0..rows).map(move |r| values[r * cols + c]))
        .collect()
}

fn multiply(out: &mut [f64], a: &[f64], b: &[f64], shape: Shape) {
    let Shape { rows, inner, cols } = shape;
    let par = match rayon::current_num_threads() {
        1 => Par::Seq,
        threads => Par::rayon(threads),
    };
    matmul(
        MatMut::from_row_major_slice_mut(out, rows, cols),
        Accum::Replace,
        MatRef::from_row_major_slice(a, rows, inner),
        MatRef::from_row_major_slice(b, inner, cols),
        1.0,
        par,
    );
}

/// Doubles by `faer`, the safe face of the crate `gemm` and what came after it.
pub fn faer(shape: Shape, pool: &Arc<ThreadPool>) -> Entry {
    let Shape { rows, inner, cols } = shape;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut values =
        |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let (a, b, mut out) = (
        values(rows * inner),
        values(inner * cols),
        vec![0.0; rows * cols],
    );
    let work = move || {
        multiply(&mut out, &a, &b, shape);
        Ok(())
    };
    Ok(Box::new(Local::new(
        "faer 0.24 (gemm) in clear",
        pool,
        work,
    )))
}

/// 256 products of encrypted 16 x 16 matrices at once.
pub fn desilofhe(link: &Link) -> Entry {
    let name = |version: &str| format!("desilofhe {version} GL").replace("  ", " ");
    python::contender(link, "desilofhe", name, json!({"op": "desilofhe"}), "")
}

/// An encrypted row of integers times a plain matrix.
pub fn concrete_ml(link: &Link, inner: usize, cols: usize) -> Entry {
    let request = json!({"op": "concrete-ml-extensions", "inner": inner, "cols": cols});
    let name = |version: &str| format!("concrete-ml-extensions {version}");
    python::contender(link, "concrete-ml-extensions", name, request, "")
}

/// Encrypted square matrices.
pub fn openfhe_numpy(link: &Link) -> Entry {
    let name = |version: &str| format!("openfhe-numpy {version}");
    python::contender(
        link,
        "openfhe-numpy",
        name,
        json!({"op": "openfhe-numpy"}),
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::pool;

    #[test]
    fn a_plain_product_takes_time_and_its_size_is_counted() {
        let shape = Shape {
            rows: 3,
            inner: 5,
            cols: 7,
        };
        assert_eq!((shape.macs(), Shape::square(10).macs()), (105, 1000));
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, -1.0, 2.0]);
        assert_eq!(product(&a, &b, Shape::square(2)), [-1.0, 4.0, -1.0, 8.0]);
        assert_eq!(transposed(&[1.0, 2.0, 3.0], 1, 3), [1.0, 2.0, 3.0]);
        assert_eq!(transposed(&a, 2, 2), [1.0, 3.0, 2.0, 4.0]);
        for threads in [1, 2] {
            let mut plain = faer(shape, &pool(threads).unwrap()).unwrap();
            assert!(plain.sample(0.0).unwrap()[0] > 0.0);
        }
    }

    #[test]
    fn without_python_each_is_absent_under_its_name() {
        let link: Link = Err("no interpreter".into());
        let names: Vec<_> = [
            numpy(&link, Shape::square(4)),
            desilofhe(&link),
            concrete_ml(&link, 4, 4),
            openfhe_numpy(&link),
        ]
        .into_iter()
        .map(|entry| entry.err().unwrap())
        .map(|absent| format!("{}: {}", absent.name, absent.reason))
        .collect();
        assert_eq!(
            names,
            [
                "NumPy in clear: no interpreter",
                "desilofhe GL: no interpreter",
                "concrete-ml-extensions: no interpreter",
                "openfhe-numpy: no interpreter"
            ]
        );
    }
}
