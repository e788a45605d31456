//! Every pointwise kernel on every backend against integer arithmetic, ends of the range included.

use cipherblas_math::pointwise::Kernels;
use cipherblas_math::primes::primes_near;
use cipherblas_math::{Backend, Modulus};
use proptest::prelude::*;

fn moduli() -> Vec<Modulus> {
    let mut primes = vec![3, 5, 257, 65537];
    for bits in [20, 31, 40, 48, 49, 50] {
        primes.extend(primes_near(1 << bits, 256, 1, &primes).unwrap());
    }
    primes
        .into_iter()
        .map(|p| Modulus::new(p).unwrap())
        .collect()
}

/// Lazy residues: every pairing of the ends and the middle of the range comes up within any few dozen elements.
fn vector(m: Modulus, len: usize, seed: u64) -> Vec<f64> {
    let p = m.value() as f64;
    let half = (m.value() / 2) as f64;
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let x = m.residue((state >> 14) % m.value());
            match state >> 60 {
                0 => p,
                1 => -p,
                2 => p - 1.0,
                3 => 1.0 - p,
                4 => half,
                5 => -half,
                6 => 0.0,
                _ => x,
            }
        })
        .collect()
}

fn canonical(m: Modulus, x: &[f64]) -> Vec<u64> {
    x.iter()
        .map(|&x| {
            assert!(
                x.abs() <= m.value() as f64 && x.fract() == 0.0,
                "{x} is no lazy residue modulo {}",
                m.value()
            );
            m.canonical(x)
        })
        .collect()
}

/// The integer `f(i)` modulo `p`, for all `i`.
fn expect(m: Modulus, len: usize, f: impl Fn(usize) -> i128) -> Vec<u64> {
    (0..len).map(|i| m.from_i128(f(i))).collect()
}

fn each(test: impl Fn(Modulus, Kernels, usize)) {
    for m in moduli() {
        for backend in Backend::all() {
            for len in [0, 1, 3, 4, 7, 64, 1027] {
                test(m, Kernels::new(m, backend), len);
            }
        }
    }
}

#[test]
fn sums_and_products() {
    each(|m, k, len| {
        let (a, b, c) = (vector(m, len, 1), vector(m, len, 2), vector(m, len, 3));
        let i = |v: &[f64], j: usize| v[j] as i128;
        let check = |name: &str, got: &[f64], want: &dyn Fn(usize) -> i128| {
            assert_eq!(
                canonical(m, got),
                expect(m, len, want),
                "{name} {} p={} len={len}",
                k.backend().name(),
                m.value()
            );
        };
        let mut out = vec![0.0; len];
        k.add(&mut out, &a, &b);
        check("add", &out, &|j| i(&a, j) + i(&b, j));
        k.sub(&mut out, &a, &b);
        check("sub", &out, &|j| i(&a, j) - i(&b, j));
        k.mul(&mut out, &a, &b);
        check("mul", &out, &|j| i(&a, j) * i(&b, j));
        let changed = |f: &dyn Fn(&mut [f64])| {
            let mut x = a.clone();
            f(&mut x);
            x
        };
        check("add_assign", &changed(&|x| k.add_assign(x, &b)), &|j| {
            i(&a, j) + i(&b, j)
        });
        check("sub_assign", &changed(&|x| k.sub_assign(x, &b)), &|j| {
            i(&a, j) - i(&b, j)
        });
        check("mul_assign", &changed(&|x| k.mul_assign(x, &b)), &|j| {
            i(&a, j) * i(&b, j)
        });
        check("neg_assign", &changed(&|x| k.neg_assign(x)), &|j| -i(&a, j));
        check(
            "mul_add",
            &changed(&|x| k.mul_add_assign(x, &b, &c)),
            &|j| i(&a, j) + i(&b, j) * i(&c, j),
        );
        check(
            "mul_sub",
            &changed(&|x| k.mul_sub_assign(x, &b, &c)),
            &|j| i(&a, j) - i(&b, j) * i(&c, j),
        );
        check("reduce_assign", &changed(&|x| k.reduce_assign(x)), &|j| {
            i(&a, j)
        });
    });
}

#[test]
fn scalars() {
    each(|m, k, len| {
        let (a, b) = (vector(m, len, 4), vector(m, len, 5));
        let p = m.value() as f64;
        for s in [
            0.0,
            1.0,
            -1.0,
            p,
            -p,
            p - 1.0,
            (m.value() / 2) as f64,
            m.residue(m.value() / 3),
        ] {
            let t = s as i128;
            let i = |v: &[f64], j: usize| v[j] as i128;
            let mut out = vec![0.0; len];
            k.scale(&mut out, &a, s);
            assert_eq!(canonical(m, &out), expect(m, len, |j| i(&a, j) * t));
            k.sub_scale(&mut out, &a, &b, s);
            assert_eq!(
                canonical(m, &out),
                expect(m, len, |j| (i(&a, j) - i(&b, j)) * t)
            );
            let mut x = a.clone();
            k.scale_assign(&mut x, s);
            assert_eq!(canonical(m, &x), expect(m, len, |j| i(&a, j) * t));
            let mut x = a.clone();
            k.scale_add_assign(&mut x, &b, s);
            assert_eq!(
                canonical(m, &x),
                expect(m, len, |j| i(&a, j) + i(&b, j) * t)
            );
            let mut x = a.clone();
            k.sub_scale_assign(&mut x, &b, s);
            assert_eq!(
                canonical(m, &x),
                expect(m, len, |j| (i(&a, j) - i(&b, j)) * t)
            );
            let mut x = a.clone();
            k.add_scalar_assign(&mut x, s);
            assert_eq!(canonical(m, &x), expect(m, len, |j| i(&a, j) + t));
        }
    });
}

#[test]
fn reduction_of_any_integer_below_2_52() {
    let limit = (1u64 << 52) - 1;
    each(|m, k, len| {
        let mut state = 9u64;
        let a: Vec<f64> = (0..len)
            .map(|i| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let x = match i % 5 {
                    0 => limit,
                    1 => limit / m.value() * m.value(),
                    2 => (limit / m.value() * m.value()).saturating_sub(m.value() / 2),
                    _ => (state >> 12) & limit,
                };
                if state >> 63 == 0 {
                    x as f64
                } else {
                    -(x as f64)
                }
            })
            .collect();
        let mut out = vec![0.0; len];
        k.reduce_from(&mut out, &a);
        assert_eq!(canonical(m, &out), expect(m, len, |j| a[j] as i128));
    });
}

#[test]
fn inner_products() {
    each(|m, k, len| {
        for terms in [0, 1, 2, 3, 4, 5, 8, 17, 40] {
            let make = |s: u64| -> Vec<Vec<f64>> {
                (0..terms)
                    .map(|t| {
                        if t % 4 == 3 {
                            vec![m.value() as f64; len]
                        } else {
                            vector(m, len, s + t)
                        }
                    })
                    .collect()
            };
            let (d, a, b) = (make(10), make(100), make(200));
            fn refs(v: &[Vec<f64>]) -> Vec<&[f64]> {
                v.iter().map(|x| &x[..]).collect()
            }
            let (dr, ar, br) = (refs(&d), refs(&a), refs(&b));
            let sum = |x: &[Vec<f64>], y: &[Vec<f64>], j: usize| -> i128 {
                x.iter()
                    .zip(y)
                    .map(|(x, y)| i128::from(m.mul(m.canonical(x[j]), m.canonical(y[j]))))
                    .sum()
            };
            let start = vec![m.value() as f64; len];
            let mut out = start.clone();
            k.inner_product(&mut out, &dr, &br);
            assert_eq!(
                canonical(m, &out),
                expect(m, len, |j| sum(&d, &b, j)),
                "{terms} terms"
            );
            let mut acc = start.clone();
            k.inner_product_add(&mut acc, &dr, &br);
            assert_eq!(canonical(m, &acc), canonical(m, &out));
            let (mut o0, mut o1) = (start.clone(), start.clone());
            k.inner_product_pair(&mut o0, &mut o1, &dr, &br, &ar);
            assert_eq!(canonical(m, &o0), canonical(m, &out));
            assert_eq!(canonical(m, &o1), expect(m, len, |j| sum(&d, &a, j)));
            let (mut p0, mut p1) = (vector(m, len, 1), vector(m, len, 2));
            let (s0, s1) = (p0.clone(), p1.clone());
            k.inner_product_pair_add(&mut p0, &mut p1, &dr, &br, &ar);
            assert_eq!(
                canonical(m, &p0),
                expect(m, len, |j| s0[j] as i128 + o0[j] as i128)
            );
            assert_eq!(
                canonical(m, &p1),
                expect(m, len, |j| s1[j] as i128 + o1[j] as i128)
            );
        }
    });
}

#[test]
fn tensor_and_square() {
    each(|m, k, len| {
        let [a0, a1, b0, b1] = [1, 2, 3, 4].map(|s| vector(m, len, s));
        let i = |v: &[f64], j: usize| v[j] as i128;
        let want = [
            expect(m, len, |j| i(&a0, j) * i(&b0, j)),
            expect(m, len, |j| i(&a0, j) * i(&b1, j) + i(&a1, j) * i(&b0, j)),
            expect(m, len, |j| i(&a1, j) * i(&b1, j)),
        ];
        let mut d = [(); 3].map(|()| vec![0.0; len]);
        let [d0, d1, d2] = &mut d;
        k.tensor(d0, d1, d2, &a0, &a1, &b0, &b1);
        assert_eq!([0, 1, 2].map(|j| canonical(m, &d[j])), want);

        let start = [5, 6, 7].map(|s| vector(m, len, s));
        let mut acc = start.clone();
        let [d0, d1, d2] = &mut acc;
        k.tensor_add(d0, d1, d2, &a0, &a1, &b0, &b1);
        for t in 0..3 {
            assert_eq!(
                canonical(m, &acc[t]),
                expect(m, len, |j| i(&start[t], j) + i128::from(want[t][j]))
            );
        }

        let mut square = d.clone();
        let [d0, d1, d2] = &mut square;
        k.square(d0, d1, d2, &a0, &a1);
        let [d0, d1, d2] = &mut d;
        k.tensor(d0, d1, d2, &a0, &a1, &a0, &a1);
        assert_eq!(
            square.map(|x| canonical(m, &x)),
            d.map(|x| canonical(m, &x))
        );
    });
}

#[test]
#[should_panic(expected = "length of `b` differs")]
fn lengths_are_checked_in_release_too() {
    let m = Modulus::new(65537).unwrap();
    Kernels::new(m, Backend::detect()).mul(&mut [0.0; 4], &[0.0; 4], &[0.0; 3]);
}

proptest! {
    #[test]
    fn products_of_random_lazy_residues(which in 0usize..10, seeds: [u64; 3], len in 0usize..80) {
        let m = moduli()[which];
        let [a, b, c] = seeds.map(|s| vector(m, len, s));
        for backend in Backend::all() {
            let k = Kernels::new(m, backend);
            let mut x = a.clone();
            k.mul_add_assign(&mut x, &b, &c);
            prop_assert_eq!(canonical(m, &x), expect(m, len, |j| a[j] as i128 + b[j] as i128 * c[j] as i128));
        }
    }
}
