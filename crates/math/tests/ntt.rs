//! The transforms against direct evaluation, against each other, and against two published libraries.

use cipherblas_math::ntt::root_exponent;
use cipherblas_math::primes::primes_near;
use cipherblas_math::{Backend, Modulus, NttPlan};
use proptest::prelude::*;

const SIZES: std::ops::RangeInclusive<u32> = 4..=16;

/// The largest prime below 2^50, the next, one just below 2^49 and 2^48, small ones and the smallest, all with roots of order 2^(log_n + 1).
fn moduli(log_n: u32) -> Vec<Modulus> {
    let step = 2u64 << log_n;
    let mut primes = primes_near(1 << 50, step, 2, &[]).unwrap();
    for bits in [49, 48, 40, 31, 20.max(log_n + 4)] {
        primes.extend(primes_near(1 << bits, step, 1, &primes).unwrap());
    }
    primes.extend(primes_near(1, step, 1, &primes).unwrap());
    primes
        .into_iter()
        .map(|p| Modulus::new(p).unwrap())
        .collect()
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A lazy residue: balanced, canonical, canonical minus p, or an end of the range.
    fn lazy(&mut self, m: Modulus) -> f64 {
        let p = m.value();
        let x = self.next() % p;
        match self.next() % 8 {
            0..=2 => m.residue(x),
            3 | 4 => x as f64,
            5 => x as f64 - p as f64,
            6 => p as f64,
            _ => -(p as f64),
        }
    }
}

/// Inputs that push the intermediate values to their bounds, and random ones.
fn inputs(n: usize, m: Modulus) -> Vec<Vec<f64>> {
    let p = m.value() as f64;
    let half = (m.value() / 2) as f64;
    let mut rng = Rng(n as u64 ^ m.value());
    let mut list = vec![
        vec![p; n],
        vec![-p; n],
        (0..n)
            .map(|i| if i % 2 == 0 { p - 1.0 } else { 1.0 - p })
            .collect(),
        (0..n)
            .map(|i| if i & (n / 2) == 0 { p - 1.0 } else { 1.0 - p })
            .collect(),
        vec![half; n],
        vec![-half; n],
        vec![p - 1.0; n],
        (0..n).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect(),
        vec![0.0; n],
    ];
    for _ in 0..4 {
        list.push((0..n).map(|_| rng.lazy(m)).collect());
        list.push(
            (0..n)
                .map(|_| {
                    if rng.next() & 1 == 0 {
                        p - 1.0
                    } else {
                        1.0 - p
                    }
                })
                .collect(),
        );
    }
    list
}

fn canonical(m: Modulus, x: &[f64]) -> Vec<u64> {
    let p = m.value() as f64;
    x.iter()
        .map(|&x| {
            assert!(
                x.abs() <= p && x.fract() == 0.0,
                "{x} is no lazy residue modulo {p}"
            );
            m.canonical(x)
        })
        .collect()
}

fn evaluate(m: Modulus, a: &[u64], x: u64) -> u64 {
    a.iter().rev().fold(0, |acc, &c| m.add(m.mul(acc, x), c))
}

fn negacyclic_product(m: Modulus, a: &[u64], b: &[u64]) -> Vec<u64> {
    let n = a.len();
    let mut out = vec![0; n];
    for (i, &x) in a.iter().enumerate() {
        for (j, &y) in b.iter().enumerate() {
            let k = (i + j) % n;
            let term = m.mul(x, y);
            out[k] = if i + j < n {
                m.add(out[k], term)
            } else {
                m.sub(out[k], term)
            };
        }
    }
    out
}

#[test]
fn is_evaluation_at_odd_powers_of_psi() {
    for log_n in 1..=9 {
        let n = 1 << log_n;
        for m in moduli(log_n) {
            for backend in Backend::all() {
                let plan = NttPlan::with_backend(n, m, backend).unwrap();
                assert_eq!(m.pow(plan.psi(), n as u64), m.value() - 1);
                for input in inputs(n, m) {
                    let a = canonical(m, &input);
                    let mut got = input.clone();
                    plan.forward(&mut got);
                    let want: Vec<u64> = (0..n)
                        .map(|i| evaluate(m, &a, m.pow(plan.psi(), root_exponent(i, n) as u64)))
                        .collect();
                    assert_eq!(
                        canonical(m, &got),
                        want,
                        "n={n} p={} {}",
                        m.value(),
                        backend.name()
                    );
                    plan.inverse(&mut got);
                    assert_eq!(canonical(m, &got), a);
                }
            }
        }
    }
}

#[test]
fn backends_agree_at_every_size() {
    for log_n in SIZES {
        let n = 1 << log_n;
        for m in moduli(log_n) {
            let reference = NttPlan::with_backend(n, m, Backend::scalar()).unwrap();
            for backend in Backend::all() {
                let plan = NttPlan::with_backend(n, m, backend).unwrap();
                assert_eq!(plan.psi(), reference.psi());
                for input in inputs(n, m) {
                    for inverse in [false, true] {
                        let (mut got, mut want) = (input.clone(), input.clone());
                        if inverse {
                            plan.inverse(&mut got);
                            reference.inverse(&mut want);
                        } else {
                            plan.forward(&mut got);
                            reference.forward(&mut want);
                        }
                        assert!(
                            canonical(m, &got) == canonical(m, &want),
                            "n=2^{log_n} p={} inverse={inverse} {}",
                            m.value(),
                            backend.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn products_agree_with_published_libraries() {
    for log_n in SIZES {
        let n = 1usize << log_n;
        for m in moduli(log_n).into_iter().filter(|m| m.bits() > 32) {
            let p = m.value();
            let mut rng = Rng(p + n as u64);
            let a: Vec<u64> = (0..n).map(|_| rng.next() % p).collect();
            let b: Vec<u64> = (0..n).map(|_| rng.next() % p).collect();
            let tfhe = tfhe_ntt::prime64::Plan::try_new(n, p).unwrap();
            let (mut fa, mut fb) = (a.clone(), b.clone());
            tfhe.fwd(&mut fa);
            tfhe.fwd(&mut fb);
            tfhe.mul_assign_normalize(&mut fa, &fb);
            tfhe.inv(&mut fa);
            let concrete = concrete_ntt::prime64::Plan::try_new(n, p).unwrap();
            let (mut ga, mut gb) = (a.clone(), b.clone());
            concrete.fwd(&mut ga);
            concrete.fwd(&mut gb);
            concrete.mul_assign_normalize(&mut ga, &gb);
            concrete.inv(&mut ga);
            assert_eq!(fa, ga);
            if n <= 256 {
                assert_eq!(fa, negacyclic_product(m, &a, &b));
            }
            for backend in Backend::all() {
                let plan = NttPlan::with_backend(n, m, backend).unwrap();
                let mut x: Vec<f64> = a.iter().map(|&x| m.residue(x)).collect();
                let mut y: Vec<f64> = b.iter().map(|&x| m.residue(x)).collect();
                plan.forward(&mut x);
                plan.forward(&mut y);
                plan.kernels().mul_assign(&mut x, &y);
                plan.inverse(&mut x);
                assert!(
                    canonical(m, &x) == fa,
                    "n=2^{log_n} p={p} {}",
                    backend.name()
                );
            }
        }
    }
}

#[test]
fn sparse_polynomials_transform_at_the_small_degree() {
    let (log_n, log_k) = (10, 3);
    let (n, k) = (1usize << log_n, 1usize << log_k);
    for m in moduli(log_n) {
        let small = NttPlan::new(n / k, m).unwrap();
        let large = NttPlan::new(n, m).unwrap();
        assert_eq!(m.pow(large.psi(), k as u64), small.psi());
        let mut rng = Rng(7);
        let mut a: Vec<f64> = (0..n / k).map(|_| rng.lazy(m)).collect();
        let mut b = vec![0.0; n];
        for (i, &x) in a.iter().enumerate() {
            b[k * i] = x;
        }
        small.forward(&mut a);
        large.forward(&mut b);
        let (a, b) = (canonical(m, &a), canonical(m, &b));
        assert!((0..n).all(|i| b[i] == a[i >> log_k]));
    }
}

#[test]
fn largest_degree_round_trips() {
    let log_n = 17;
    let m = moduli(log_n)[0];
    for backend in Backend::all() {
        let plan = NttPlan::with_backend(1 << log_n, m, backend).unwrap();
        let mut rng = Rng(3);
        let input: Vec<f64> = (0..1 << log_n).map(|_| rng.lazy(m)).collect();
        let mut a = input.clone();
        plan.forward(&mut a);
        assert!(canonical(m, &a) != canonical(m, &input));
        plan.inverse(&mut a);
        assert!(canonical(m, &a) == canonical(m, &input));
    }
}

#[test]
fn wrong_degree_or_modulus_is_an_error() {
    use cipherblas_math::MathError;
    let m = Modulus::new(65537).unwrap();
    for n in [0, 1, 3, 12, 1 << 18, usize::MAX] {
        assert!(matches!(NttPlan::new(n, m), Err(MathError::Degree { got, .. }) if got == n));
    }
    let error = NttPlan::new(1 << 16, m).unwrap_err();
    assert_eq!(
        error,
        MathError::Root {
            got: 65537,
            expected_order: 1 << 17
        }
    );
}

#[test]
#[should_panic(expected = "length differs from the degree")]
fn wrong_length_is_caught_in_release_too() {
    NttPlan::new(16, Modulus::new(65537).unwrap())
        .unwrap()
        .forward(&mut [0.0; 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn product_of_polynomials(log_n in 4u32..8, seed: u64, which in 0usize..8) {
        let n = 1usize << log_n;
        let m = moduli(log_n)[which];
        let mut rng = Rng(seed);
        let a: Vec<f64> = (0..n).map(|_| rng.lazy(m)).collect();
        let b: Vec<f64> = (0..n).map(|_| rng.lazy(m)).collect();
        let want = negacyclic_product(m, &canonical(m, &a), &canonical(m, &b));
        for backend in Backend::all() {
            let plan = NttPlan::with_backend(n, m, backend).unwrap();
            let (mut x, mut y) = (a.clone(), b.clone());
            plan.forward(&mut x);
            plan.forward(&mut y);
            plan.kernels().mul_assign(&mut x, &y);
            plan.inverse(&mut x);
            prop_assert_eq!(&canonical(m, &x), &want);
        }
    }
}
