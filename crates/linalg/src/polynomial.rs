//! Polynomials of ciphertexts, at the least depth: `ceil(log2(degree + 1))`, coefficients included.
//!
//! A polynomial of degree `d` is divided by a power `x^h` with `h` a power of two: `p = q x^h + r`. The quotient must be
//! ready one level before the product and is divided further, down to `c1 x + c0` at one level; the remainder has
//! more time, and as soon as it has enough it is a plain combination of powers that are already there
//! (Paterson-Stockmeyer). Powers `x^j` are products of two powers and have depth `ceil(log2 j)`.

use cipherblas_scheme::{Add, AddPlain, Error, Mul, MulPlain, Result, Value};
use std::collections::BTreeMap;

/// Levels that a polynomial of this degree takes: `ceil(log2(degree + 1))`.
pub fn depth(degree: usize) -> usize {
    (usize::BITS - degree.leading_zeros()) as usize
}

/// Levels of `x^j`: `ceil(log2 j)`.
fn power_depth(j: usize) -> usize {
    depth(j - 1)
}

/// How to compute one polynomial.
enum Step<V> {
    /// `c0 + sum_j c_j x^j` over the powers that have a coefficient.
    Linear(V, Vec<(usize, V)>),
    /// `q x^h + r`.
    Split(Box<Step<V>>, usize, Option<Box<Step<V>>>),
}

/// The coefficients without zeros at the end; at least one.
fn trimmed<V: Value>(coefficients: &[V]) -> &[V] {
    let n = coefficients
        .iter()
        .rposition(|&c| c != V::ZERO)
        .map_or(1, |i| i + 1);
    &coefficients[..n.min(coefficients.len())]
}

fn is_zero<V: Value>(coefficients: &[V]) -> bool {
    coefficients.iter().all(|&c| c == V::ZERO)
}

/// Divides until all that is left are combinations of powers below `babies` that are ready in time.
fn divide<V: Value>(coefficients: &[V], budget: usize, babies: usize) -> Step<V> {
    let c = trimmed(coefficients);
    let degree = c.len() - 1;
    let in_time = (1..=degree).all(|j| c[j] == V::ZERO || power_depth(j) < budget);
    if degree < babies && (degree == 0 || in_time) {
        let terms = (1..=degree).filter(|&j| c[j] != V::ZERO).map(|j| (j, c[j]));
        return Step::Linear(c[0], terms.collect());
    }
    let h = 1usize << degree.ilog2();
    let quotient = divide(&c[h..], budget - 1, babies);
    let remainder = (!is_zero(&c[..h])).then(|| Box::new(divide(&c[..h], budget, babies)));
    Step::Split(Box::new(quotient), h, remainder)
}

impl<V: Value> Step<V> {
    /// Products of ciphertexts other than those that make powers; collects the powers needed.
    fn visit(&self, powers: &mut BTreeMap<usize, ()>) -> usize {
        match self {
            Self::Linear(_, terms) => {
                powers.extend(terms.iter().map(|&(j, _)| (j, ())));
                0
            }
            Self::Split(q, h, r) => {
                powers.insert(*h, ());
                1 + q.visit(powers) + r.as_ref().map_or(0, |r| r.visit(powers))
            }
        }
    }
}

/// The two powers that `x^j` is the product of: at the least depth, the larger a power of two.
fn factors(j: usize) -> (usize, usize) {
    let h = 1usize << (j - 1).ilog2();
    (h, j - h)
}

/// All powers that are needed to have `powers`, in ascending order.
fn closure(powers: &BTreeMap<usize, ()>) -> Vec<usize> {
    let mut all = powers.clone();
    let mut todo: Vec<usize> = powers.keys().copied().collect();
    while let Some(j) = todo.pop() {
        if j > 1 {
            let (a, b) = factors(j);
            for f in [a, b] {
                if all.insert(f, ()).is_none() {
                    todo.push(f);
                }
            }
        }
    }
    all.into_keys().collect()
}

/// The cheapest division at the least depth.
fn cheapest<V: Value>(coefficients: &[V]) -> (Step<V>, Vec<usize>) {
    let degree = coefficients.len() - 1;
    let candidates = (1..=depth(degree)).map(|b| {
        let step = divide(coefficients, depth(degree), 1 << b);
        let mut powers = BTreeMap::new();
        let products = step.visit(&mut powers);
        let powers = closure(&powers);
        (products + powers.len(), step, powers)
    });
    let (_, step, powers) = candidates
        .min_by_key(|(cost, ..)| *cost)
        .expect("the degree is not zero");
    (step, powers)
}

/// `sum_j coefficients[j] x^j`, in every slot. `constant(c)` gives the plain operand that adds `c` where the result has
/// values and zero in the padding.
///
/// Depth `ceil(log2(degree + 1))`, about `2 sqrt(degree)` products; the relinearization key.
///
/// # Errors
/// `Shape` for no coefficients; `Depth`; `MissingKey`; `Value` for coefficients that are not finite.
pub fn evaluate<S: Add + AddPlain + MulPlain + Mul>(
    ev: &S,
    x: &S::Ciphertext,
    coefficients: &[S::Value],
    constant: impl Fn(S::Value) -> Vec<S::Value>,
) -> Result<S::Ciphertext> {
    if coefficients.is_empty() {
        return Err(crate::shape::mismatch(
            "polynomial",
            "no coefficient",
            "at least one, constant term first",
            "the zero polynomial is `[0]`",
        ));
    }
    let c = trimmed(coefficients);
    let needed = depth(c.len() - 1);
    if needed > ev.depth(x) {
        return Err(Error::Depth {
            operation: "polynomial",
            needed,
            left: ev.depth(x),
        });
    }
    if c.len() == 1 {
        return ev.add_plain(&ev.sub(x, x)?, &constant(c[0]));
    }
    let (step, order) = cheapest(c);
    let mut powers = BTreeMap::from([(1, x.clone())]);
    for j in order.into_iter().filter(|&j| j > 1) {
        let (a, b) = factors(j);
        let power = if a == b {
            ev.square(&powers[&a])?
        } else {
            ev.mul(&powers[&a], &powers[&b])?
        };
        powers.insert(j, power);
    }
    run(ev, &powers, &step, Some(&constant))
}

type Constant<'a, V> = &'a dyn Fn(V) -> Vec<V>;

/// `padded`: given for the polynomials whose padding is the result's; the others' is multiplied with zero.
fn run<S: Add + AddPlain + MulPlain + Mul>(
    ev: &S,
    powers: &BTreeMap<usize, S::Ciphertext>,
    step: &Step<S::Value>,
    padded: Option<Constant<'_, S::Value>>,
) -> Result<S::Ciphertext> {
    match step {
        Step::Linear(c0, terms) => {
            let sum = combination(ev, powers, terms)?;
            if *c0 == S::Value::ZERO {
                return Ok(sum);
            }
            ev.add_plain(&sum, &padded.map_or_else(|| vec![*c0], |f| f(*c0)))
        }
        Step::Split(q, h, r) => {
            let product = match &**q {
                // A constant quotient: no product of ciphertexts.
                Step::Linear(c, terms) if terms.is_empty() => {
                    if *c == S::Value::ONE {
                        powers[h].clone()
                    } else {
                        ev.mul_scalar(&powers[h], *c)?
                    }
                }
                q => ev.mul(&run(ev, powers, q, None)?, &powers[h])?,
            };
            match r.as_deref() {
                None => Ok(product),
                Some(Step::Linear(c, terms)) if terms.is_empty() => {
                    ev.add_plain(&product, &padded.map_or_else(|| vec![*c], |f| f(*c)))
                }
                Some(r) => ev.add(&product, &run(ev, powers, r, padded)?),
            }
        }
    }
}

/// `sum_j c_j x^j` with one rescaling, at the depth of the highest power less one.
fn combination<S: Add + MulPlain>(
    ev: &S,
    powers: &BTreeMap<usize, S::Ciphertext>,
    terms: &[(usize, S::Value)],
) -> Result<S::Ciphertext> {
    let depth = terms
        .iter()
        .map(|(j, _)| ev.depth(&powers[j]))
        .min()
        .expect("a combination has a term");
    let lowered = terms
        .iter()
        .map(|(j, _)| ev.lower_to(&powers[j], depth))
        .collect::<Result<Vec<_>>>()?;
    let plains = terms
        .iter()
        .map(|&(_, c)| ev.prepare(&[c], depth))
        .collect::<Result<Vec<_>>>()?;
    ev.mul_prepared(
        &lowered.iter().collect::<Vec<_>>(),
        &plains.iter().collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::{ClearScheme, Decrypt, Encrypt, Scheme};
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn check(coefficients: &[f64]) {
        let ev = ClearScheme::new(4, 8).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let xs = [0.5, -0.75, 1.0, 0.0];
        let x = ev.key().encrypt_at(&xs, 8, Some(1.0), &mut rng).unwrap();
        let y = evaluate(&ev, &x, coefficients, |c| vec![c, c, c, 0.0]).unwrap();
        let used = 8 - ev.depth(&y);
        let degree = trimmed(coefficients).len() - 1;
        assert!(used <= depth(degree), "degree {degree} used {used}");
        let y = ev.key().decrypt(&y).unwrap();
        for (i, &x) in xs.iter().enumerate() {
            let mut want = coefficients.iter().rev().fold(0.0, |acc, c| acc * x + c);
            if i == 3 {
                want -= coefficients[0];
            }
            assert!(
                (y[i] - want).abs() < 1e-12,
                "degree {degree} at {x}: {} not {want}",
                y[i]
            );
        }
    }

    #[test]
    fn every_degree_at_least_depth() {
        for degree in 0..40usize {
            let dense: Vec<f64> = (0..=degree).map(|i| 1.0 / (i as f64 + 1.5)).collect();
            check(&dense);
            let sparse = |keep: &dyn Fn(usize) -> bool| -> Vec<f64> {
                (0..=degree)
                    .map(|i| if keep(i) { 0.7 - 0.01 * i as f64 } else { 0.0 })
                    .collect()
            };
            check(&sparse(&|i| i % 2 == 1));
            check(&sparse(&|i| i % 2 == 0));
            check(&sparse(&|i| i == degree));
            check(&sparse(&|i| i == 0 || i == degree));
        }
    }

    #[test]
    fn depth_is_the_logarithm() {
        let want = [0, 1, 2, 2, 3, 3, 3, 3, 4];
        assert_eq!((0..9).map(depth).collect::<Vec<_>>(), want);
    }

    #[test]
    fn odd_cubic_takes_two_products() {
        let ev = ClearScheme::new(4, 2).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let x = ev.key().encrypt_at(&[0.5], 2, Some(1.0), &mut rng).unwrap();
        let y = evaluate(&ev, &x, &[0.5, 0.2, 0.0, -0.01], |c| vec![c]).unwrap();
        assert_eq!(ev.counts().multiplications, 2);
        assert_eq!(ev.depth(&y), 0);
    }

    #[test]
    fn misuse() {
        let ev = ClearScheme::new(4, 2).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let x = ev.key().encrypt_at(&[0.5], 2, Some(1.0), &mut rng).unwrap();
        assert!(matches!(
            evaluate(&ev, &x, &[], |c| vec![c]),
            Err(Error::Shape { .. })
        ));
        assert_eq!(
            evaluate(&ev, &x, &[1.0; 5], |c| vec![c]).unwrap_err(),
            Error::Depth {
                operation: "polynomial",
                needed: 3,
                left: 2
            }
        );
        assert!(matches!(
            evaluate(&ev, &x, &[0.0, f64::NAN], |c| vec![c]),
            Err(Error::Value { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_polynomial(c in proptest::collection::vec(-1.0f64..1.0, 1..64)) {
            check(&c);
        }
    }
}
