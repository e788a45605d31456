//! Polynomials in place of the sigmoid, which no scheme of additions and multiplications has.
//!
//! On `[-bound, bound]` the approximation is the least-squares projection of `1 / (1 + exp(-t))` onto odd polynomials
//! plus one half, computed with Legendre polynomials and Gauss-Legendre quadrature. Least squares spreads the error
//! over the whole interval, where Taylor's polynomial is exact at zero and useless beyond 2. Outside the interval a
//! polynomial of degree three or more diverges, so the bound must hold the scores that occur in training.

use crate::table::check_parameter;
use cipherblas_scheme::Result;

/// Points of the quadrature: exact for polynomials of degree 127, and at rounding error for the sigmoid on the
/// widest interval that is accepted.
const NODES: usize = 512;
/// Points at which the largest error is looked for.
const GRID: usize = 20_000;

/// Degree of the polynomial, and the depth that one gradient step costs with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Degree {
    /// A straight line: 3 levels a step.
    One,
    /// A cubic, the usual choice: 4 levels a step.
    Three,
    /// 5 levels a step.
    Five,
    /// 5 levels a step, as degree five.
    Seven,
}

impl Degree {
    /// The degree as a number.
    pub fn get(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
            Self::Five => 5,
            Self::Seven => 7,
        }
    }
}

/// `1/2 + c1 t + c3 t^3 + ...`, near the sigmoid on `[-bound, bound]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmoid {
    degree: Degree,
    bound: f64,
    odd: Vec<f64>,
    max_error: f64,
}

impl Sigmoid {
    /// The least-squares approximation of the given degree on `[-bound, bound]`.
    ///
    /// # Errors
    /// `Parameter` unless `0 < bound <= 100`.
    pub fn least_squares(degree: Degree, bound: f64) -> Result<Self> {
        check_parameter("sigmoid bound", bound, 0.0, true)?;
        if bound > 100.0 {
            return Err(cipherblas_scheme::Error::Parameter {
                what: "sigmoid bound",
                got: bound.to_string(),
                expected: "at most 100".into(),
                hint: "scale the features so that scores stay small",
            });
        }
        let terms = degree.get().div_ceil(2);
        let mut odd = vec![0.0; terms];
        let legendre = legendre_coefficients(degree.get());
        let (nodes, weights) = gauss_legendre(NODES);
        for term in 0..terms {
            let k = 2 * term + 1;
            let projection: f64 = nodes
                .iter()
                .zip(&weights)
                .map(|(&x, &w)| w * (sigmoid(bound * x) - 0.5) * horner(&legendre[k], x))
                .sum::<f64>()
                * (2 * k + 1) as f64
                / 2.0;
            for (i, c) in odd.iter_mut().enumerate() {
                *c += projection * legendre[k].get(2 * i + 1).copied().unwrap_or(0.0);
            }
        }
        for (i, c) in odd.iter_mut().enumerate() {
            *c /= bound.powi(2 * i as i32 + 1);
        }
        let mut result = Self {
            degree,
            bound,
            odd,
            max_error: 0.0,
        };
        result.max_error = (0..=GRID)
            .map(|i| bound * i as f64 / GRID as f64)
            .map(|t| (result.evaluate(t) - sigmoid(t)).abs())
            .fold(0.0, f64::max);
        Ok(result)
    }

    /// The degree.
    pub fn degree(&self) -> Degree {
        self.degree
    }

    /// Half the width of the interval of approximation.
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// Coefficients of `t`, `t^3`, ...; the constant term is one half, and even terms are zero.
    pub fn odd_coefficients(&self) -> &[f64] {
        &self.odd
    }

    /// The largest error on the interval.
    pub fn max_error(&self) -> f64 {
        self.max_error
    }

    /// The polynomial's value.
    pub fn evaluate(&self, t: f64) -> f64 {
        0.5 + t * horner(&self.odd, t * t)
    }
}

/// The sigmoid itself, without overflow.
pub fn sigmoid(t: f64) -> f64 {
    if t >= 0.0 {
        1.0 / (1.0 + (-t).exp())
    } else {
        let e = t.exp();
        e / (1.0 + e)
    }
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |acc, &c| acc * x + c)
}

/// Monomial coefficients of the Legendre polynomials up to `degree`.
fn legendre_coefficients(degree: usize) -> Vec<Vec<f64>> {
    let mut all = vec![vec![1.0], vec![0.0, 1.0]];
    for k in 1..degree {
        let mut next = vec![0.0; k + 2];
        for (i, &c) in all[k].iter().enumerate() {
            next[i + 1] += c * (2 * k + 1) as f64 / (k + 1) as f64;
        }
        for (i, &c) in all[k - 1].iter().enumerate() {
            next[i] -= c * k as f64 / (k + 1) as f64;
        }
        all.push(next);
    }
    all
}

/// Nodes and weights on `[-1, 1]`: Newton's method from Chebyshev-like starting points.
fn gauss_legendre(n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut nodes = Vec::with_capacity(n);
    let mut weights = Vec::with_capacity(n);
    for i in 0..n {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 0.0;
        for _ in 0..100 {
            let (mut below, mut here) = (1.0, x);
            for k in 1..n {
                let next = ((2 * k + 1) as f64 * x * here - k as f64 * below) / (k + 1) as f64;
                below = here;
                here = next;
            }
            slope = n as f64 * (x * here - below) / (x * x - 1.0);
            let step = here / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        nodes.push(x);
        weights.push(2.0 / ((1.0 - x * x) * slope * slope));
    }
    (nodes, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::Error;

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        let (nodes, weights) = gauss_legendre(16);
        for power in 0..32 {
            let got: f64 = nodes
                .iter()
                .zip(&weights)
                .map(|(x, w)| w * x.powi(power))
                .sum();
            let expected = if power % 2 == 0 {
                2.0 / (power + 1) as f64
            } else {
                0.0
            };
            assert!(
                (got - expected).abs() < 1e-13,
                "x^{power}: {got} against {expected}"
            );
        }
    }

    #[test]
    fn near_published_polynomials_on_eight() {
        // Kim, Song, Wang, Xia, Jiang (2018): coefficients in t / 8, fitted on a grid instead of the interval.
        let published: [(Degree, &[f64]); 2] = [
            (Degree::Three, &[1.20096, -0.81562]),
            (Degree::Seven, &[1.73496, -4.19407, 5.43402, -2.50739]),
        ];
        for (degree, published) in published {
            let ours = Sigmoid::least_squares(degree, 8.0).unwrap();
            for i in 0..=100 {
                let x = f64::from(i) / 100.0;
                let theirs = 0.5 + x * horner(published, x * x);
                let difference = (ours.evaluate(8.0 * x) - theirs).abs();
                assert!(difference < 0.02, "{degree:?} at {x}: {difference}");
            }
        }
    }

    #[test]
    fn residual_is_orthogonal_to_the_space() {
        let s = Sigmoid::least_squares(Degree::Five, 6.0).unwrap();
        let (nodes, weights) = gauss_legendre(NODES);
        for k in [1, 3, 5] {
            let inner: f64 = nodes
                .iter()
                .zip(&weights)
                .map(|(&x, w)| w * (s.evaluate(6.0 * x) - sigmoid(6.0 * x)) * x.powi(k))
                .sum();
            assert!(inner.abs() < 1e-12, "x^{k}: {inner}");
        }
    }

    #[test]
    fn more_degree_less_error() {
        let error = |d| Sigmoid::least_squares(d, 8.0).unwrap().max_error();
        let errors = [Degree::One, Degree::Three, Degree::Five, Degree::Seven].map(error);
        assert!(errors.windows(2).all(|w| w[0] > w[1]), "{errors:?}");
        assert!(errors[3] < 0.05 && errors[0] < 0.5, "{errors:?}");
    }

    #[test]
    fn bounds_are_checked() {
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY, 101.0] {
            assert!(matches!(
                Sigmoid::least_squares(Degree::Three, bound),
                Err(Error::Parameter {
                    what: "sigmoid bound",
                    ..
                })
            ));
        }
        assert_eq!(sigmoid(-800.0), 0.0);
        assert_eq!(sigmoid(800.0), 1.0);
        assert_eq!(sigmoid(0.0), 0.5);
    }
}
