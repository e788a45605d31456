//! Symmetric positive definite systems.

use cipherblas_scheme::{Error, Result};

/// The lower triangular factor of a symmetric positive definite matrix `A = L L'`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cholesky {
    n: usize,
    /// Row-major; entries above the diagonal are zero.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a row-major `n x n` matrix, reading its lower triangle.
    pub(crate) fn new(n: usize, a: &[f64]) -> Result<Self> {
        debug_assert_eq!(a.len(), n * n);
        let scale = (0..n).map(|i| a[i * n + i].abs()).fold(0.0, f64::max);
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let rest = a[i * n + j] - sum;
                if i != j {
                    lower[i * n + j] = rest / lower[j * n + j];
                } else if rest > scale * f64::EPSILON * n as f64 {
                    lower[i * n + i] = rest.sqrt();
                } else {
                    return Err(Error::Parameter {
                        what: "normal equations",
                        got: format!("pivot {rest:.3e} at feature {i}"),
                        expected: "a positive definite matrix".into(),
                        hint: "features are linearly dependent; drop one or add an L2 penalty",
                    });
                }
            }
        }
        Ok(Self { n, lower })
    }

    /// Solves `L z = b` in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let sum: f64 = (0..i).map(|k| self.lower[i * self.n + k] * b[k]).sum();
            b[i] = (b[i] - sum) / self.lower[i * self.n + i];
        }
    }

    /// Solves `L' z = b` in place.
    pub(crate) fn solve_upper(&self, b: &mut [f64]) {
        for i in (0..self.n).rev() {
            let sum: f64 = (i + 1..self.n)
                .map(|k| self.lower[k * self.n + i] * b[k])
                .sum();
            b[i] = (b[i] - sum) / self.lower[i * self.n + i];
        }
    }

    /// Solves `A x = b` in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        self.solve_lower(b);
        self.solve_upper(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn solves(n in 1usize..12, seed in prop::collection::vec(-1.0f64..1.0, 144 + 12)) {
            let m = &seed[..n * n];
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    a[i * n + j] = (0..n).map(|k| m[k * n + i] * m[k * n + j]).sum::<f64>();
                }
                a[i * n + i] += 0.1;
            }
            let x = &seed[144..144 + n];
            let mut b: Vec<f64> = (0..n).map(|i| (0..n).map(|j| a[i * n + j] * x[j]).sum()).collect();
            Cholesky::new(n, &a).unwrap().solve(&mut b);
            for (got, want) in b.iter().zip(x) {
                prop_assert!((got - want).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn singular_is_refused() {
        assert!(matches!(
            Cholesky::new(2, &[1.0, 1.0, 1.0, 1.0]),
            Err(Error::Parameter {
                what: "normal equations",
                ..
            })
        ));
        assert!(Cholesky::new(1, &[-1.0]).is_err());
        assert!(Cholesky::new(1, &[f64::NAN]).is_err());
    }
}
