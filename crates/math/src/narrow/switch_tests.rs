use super::*;
use crate::backend::Backend;
use crate::modulus::Modulus;
use crate::primes::primes_near;
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Numbers modulo `modulus`, centred: random ones, small ones, the largest, and zero.
fn numbers(modulus: &BigInt, count: usize, seed: u64) -> Vec<BigInt> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let half: BigInt = modulus / 2;
    (0..count)
        .map(|i| match i {
            0 => BigInt::ZERO,
            1 => half.clone() - (modulus >> 15u32),
            2 => -half.clone() + (modulus >> 15u32),
            3 => BigInt::from(-1),
            _ => {
                let mut bytes = [0u8; 96];
                rng.fill_bytes(&mut bytes);
                let x = centred(&BigInt::from_bytes_le(Sign::Plus, &bytes), modulus);
                // Not within 2^-15 of a tie, where another representative is allowed.
                let x: BigInt = &x - (&x >> 14u32);
                x >> (if i % 5 == 0 { i as u32 % 60 } else { 0 })
            }
        })
        .collect()
}

fn modulo(x: &BigInt, m: &BigInt) -> BigInt {
    ((x % m) + m) % m
}

fn centred(x: &BigInt, m: &BigInt) -> BigInt {
    let r = modulo(x, m);
    if &r * 2 > *m { r - m } else { r }
}

fn small(x: &BigInt) -> i64 {
    i64::try_from(x).unwrap()
}

fn narrow_residues(basis: &Basis, x: &[BigInt]) -> Vec<Vec<i16>> {
    let residue = |p: &Prime| {
        let p = BigInt::from(p.value());
        x.iter().map(|x| small(&centred(x, &p)) as i16).collect()
    };
    basis.primes().iter().map(residue).collect()
}

/// Lazy residues, every other one not balanced.
fn wide_residues(moduli: &[Modulus], x: &[BigInt]) -> Vec<Vec<f64>> {
    let residue = |m: &Modulus| {
        let q = BigInt::from(m.value());
        let lazy = |(i, x): (usize, &BigInt)| {
            let r = centred(x, &q);
            let other = if r > BigInt::ZERO { &r - &q } else { &r + &q };
            small(if i % 2 == 0 { &r } else { &other }) as f64
        };
        x.iter().enumerate().map(lazy).collect()
    };
    moduli.iter().map(residue).collect()
}

fn wide(count: usize, bits: u32) -> Vec<Modulus> {
    let primes = primes_near((1 << bits) - 1, 128, count, &[]).unwrap();
    primes
        .into_iter()
        .map(|p| Modulus::new(p).unwrap())
        .collect()
}

fn product(moduli: impl Iterator<Item = u64>) -> BigInt {
    moduli.fold(BigInt::from(1), |acc, m| acc * m)
}

fn narrow_product(basis: &Basis) -> BigInt {
    product(basis.primes().iter().map(|p| p.value() as u64))
}

/// The exact result, or those on both sides of a number that is next to a tie.
fn allowed(rule: Rule, x: &BigInt, a: &BigInt, b: &BigInt) -> Vec<BigInt> {
    match rule {
        Rule::Exact => vec![x.clone()],
        Rule::Scaled => {
            let round = |y: BigInt| -> BigInt {
                let twice: BigInt = y * 2 + a;
                (&twice - modulo(&twice, &(a * 2))) / (a * 2)
            };
            let slack = a >> 20u32;
            vec![round(x * b - &slack), round(x * b + &slack)]
        }
    }
}

fn views<T>(x: &[Vec<T>]) -> Vec<&[T]> {
    x.iter().map(Vec::as_slice).collect()
}

fn views_mut<T>(x: &mut [Vec<T>]) -> Vec<&mut [T]> {
    x.iter_mut().map(Vec::as_mut_slice).collect()
}

const COUNT: usize = 300;

fn check_to_wide(rule: Rule, basis: &Basis, to: &[Modulus], seed: u64, factors: (u64, u64)) {
    let (g, q) = (narrow_product(basis), product(to.iter().map(|m| m.value())));
    let x = numbers(&g, COUNT, seed);
    let residues = narrow_residues(basis, &x);
    let (before, after) = factors;
    for backend in Backend::all() {
        let switch = ToWide::with_factors(rule, basis, to, |p| before % p, |q| after % q, backend);
        let mut out = vec![vec![f64::NAN; COUNT]; to.len()];
        switch
            .unwrap()
            .convert(&views(&residues), &mut views_mut(&mut out));
        for (k, x) in x.iter().enumerate() {
            let x = centred(&(x * before), &g);
            let allowed = allowed(rule, &x, &g, &q);
            let matches = |y: &&BigInt| {
                let right = |(m, out): (&Modulus, &Vec<f64>)| {
                    assert!(out[k].abs() <= m.value() as f64 && out[k].fract() == 0.0);
                    let m = BigInt::from(m.value());
                    modulo(&(*y * after - BigInt::from(out[k] as i64)), &m) == BigInt::ZERO
                };
                to.iter().zip(&out).all(right)
            };
            // Multiplied by a factor, x may have come next to a tie.
            let distance: BigInt = &g - BigInt::from(x.magnitude().clone()) * 2;
            let tie = before != 1 && distance << 15u32 < g;
            assert!(
                allowed.iter().any(|y| matches(&y)) || rule == Rule::Exact && tie,
                "{} {rule:?} {k}",
                backend.name()
            );
        }
    }
}

fn check_narrow(rule: Rule, a: &BigInt, x: &[BigInt], basis: &Basis, out: &[Vec<i16>], after: u64) {
    let g = narrow_product(basis);
    for (k, x) in x.iter().enumerate() {
        let allowed = allowed(rule, x, a, &g);
        let matches = |y: &&BigInt| {
            let right = |(p, out): (&Prime, &Vec<i16>)| {
                small(&centred(&(*y * after), &BigInt::from(p.value()))) == i64::from(out[k])
            };
            basis.primes().iter().zip(out).all(right)
        };
        assert!(allowed.iter().any(|y| matches(&y)), "{rule:?} {k}");
    }
}

fn check_to_narrow(rule: Rule, from: &[Modulus], basis: &Basis, seed: u64, after: u64) {
    let q = product(from.iter().map(|m| m.value()));
    let x = numbers(&q, COUNT, seed);
    let residues = wide_residues(from, &x);
    for backend in Backend::all() {
        let switch = ToNarrow::with_factors(rule, from, basis, |_| 1, |p| after % p, backend);
        let mut out = vec![vec![0; COUNT]; basis.len()];
        switch
            .unwrap()
            .convert(&views(&residues), &mut views_mut(&mut out));
        check_narrow(rule, &q, &x, basis, &out, after);
    }
}

fn check_between(rule: Rule, from: &Basis, to: &Basis, seed: u64, after: u64) {
    let a = narrow_product(from);
    let x = numbers(&a, COUNT, seed);
    let residues = narrow_residues(from, &x);
    for backend in Backend::all() {
        let switch = Between::with_factors(rule, from, to, |_| 1, |p| after % p, backend);
        let mut out = vec![vec![0; COUNT]; to.len()];
        switch.convert(&views(&residues), &mut views_mut(&mut out));
        check_narrow(rule, &a, &x, to, &out, after);
    }
}

const RULES: [Rule; 2] = [Rule::Scaled, Rule::Exact];

#[test]
fn to_wide_of_every_size() {
    for rule in RULES {
        for (count, targets, bits) in [
            (1, 1, 50),
            (5, 1, 48),
            (8, 2, 50),
            (8, 3, 30),
            (48, 4, 50),
            (5, 2, 16),
        ] {
            let basis = Basis::largest(count).unwrap();
            check_to_wide(rule, &basis, &wide(targets, bits), count as u64, (1, 1));
            check_to_wide(
                rule,
                &basis,
                &wide(targets, bits),
                count as u64,
                (1234, 1_000_003),
            );
        }
    }
}

#[test]
fn to_narrow_of_every_size() {
    for rule in RULES {
        for (count, sources, bits) in [
            (1, 1, 50),
            (3, 1, 48),
            (8, 2, 50),
            (8, 3, 30),
            (48, 16, 50),
            (5, 2, 16),
        ] {
            let basis = Basis::largest(count).unwrap();
            check_to_narrow(rule, &wide(sources, bits), &basis, count as u64, 1);
            check_to_narrow(rule, &wide(sources, bits), &basis, count as u64, 65_537);
        }
    }
}

#[test]
fn between_bases_with_and_without_common_primes() {
    let all = Basis::largest(48).unwrap();
    let other = Basis::new(all.primes()[10..14].to_vec()).unwrap();
    for rule in RULES {
        for (from, to) in [(8, 5), (48, 47), (2, 9), (3, 3)] {
            let (from, to) = (all.prefix(from).unwrap(), all.prefix(to).unwrap());
            check_between(rule, &from, &to, 5, 1);
            check_between(rule, &from, &to, 5, 257);
            check_between(rule, &from, &other, 6, 257);
        }
    }
}

#[test]
fn common_primes() {
    let basis = Basis::largest(4).unwrap();
    let same = [wide(1, 40)[0], Modulus::new(u64::from(PRIMES[1])).unwrap()];
    for rule in RULES {
        check_to_wide(rule, &basis, &same, 1, (1, 1));
        check_to_narrow(rule, &same, &basis, 1, 1);
    }
}

/// Long slices are cut into pieces; the pieces are those of short ones.
#[test]
fn long_slices() {
    let (basis, to) = (Basis::largest(5).unwrap(), wide(2, 40));
    let n = 70_001;
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let residues: Vec<Vec<i16>> = basis
        .primes()
        .iter()
        .map(|p| {
            (0..n)
                .map(|_| p.reduce_i64(rng.next_u64() as i64))
                .collect()
        })
        .collect();
    let switch = ToWide::new(Rule::Scaled, &basis, &to).unwrap();
    let mut out = vec![vec![f64::NAN; n]; 2];
    switch.convert(&views(&residues), &mut views_mut(&mut out));
    for start in (0..n).step_by(999) {
        let end = n.min(start + 999);
        let parts: Vec<&[i16]> = residues.iter().map(|r| &r[start..end]).collect();
        let mut part = vec![vec![f64::NAN; end - start]; 2];
        switch.convert(&parts, &mut views_mut(&mut part));
        for (out, part) in out.iter().zip(&part) {
            assert_eq!(&out[start..end], part);
        }
    }
}

#[test]
fn whole_numbers() {
    for count in [1, 2, 5, 8, 9] {
        let basis = Basis::largest(count).unwrap();
        let g = narrow_product(&basis);
        let mut x = numbers(&g, 5000, count as u64);
        let half: BigInt = &g / 2;
        x.extend([half.clone(), -half]);
        let residues = narrow_residues(&basis, &x);
        let reconstruct = Reconstruct::new(&basis).unwrap();
        let mut out = vec![0; x.len()];
        reconstruct.integers(&views(&residues), &mut out);
        let mut real = vec![0.0; x.len()];
        reconstruct.scaled(&views(&residues), 1024.0, &mut real);
        for ((x, out), real) in x.iter().zip(&out).zip(real) {
            assert_eq!(*x, BigInt::from(*out));
            let e = *out as f64 / 1024.0;
            assert!((real - e).abs() <= e.abs() * 2f64.powi(-50), "{real} {e}");
        }
    }
    // With primes of different sizes.
    let primes = [11_579, 3, 10_007, 5].map(|p| Prime::new(p).unwrap());
    let basis = Basis::new(primes.to_vec()).unwrap();
    let x = numbers(&narrow_product(&basis), 500, 1);
    let mut out = vec![0; x.len()];
    let residues = narrow_residues(&basis, &x);
    Reconstruct::new(&basis)
        .unwrap()
        .integers(&views(&residues), &mut out);
    assert!(x.iter().zip(out).all(|(x, out)| *x == BigInt::from(out)));
    assert!(Reconstruct::new(&Basis::largest(10).unwrap()).is_err());
}

#[test]
fn refuses_impossible_switches() {
    let basis = Basis::largest(2).unwrap();
    let q = wide(1, 40)[0];
    for to in [vec![], vec![q, q]] {
        assert!(ToWide::new(Rule::Exact, &basis, &to).is_err());
        assert!(ToNarrow::new(Rule::Exact, &to, &basis).is_err());
    }
    assert!(ToNarrow::new(Rule::Exact, &wide(MAX_WIDE + 1, 40), &basis).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn reals_to_residues(x in proptest::collection::vec(-1e9f64..1e9, 1..600), bits in 0i32..70, index in 0usize..48) {
        let p = Prime::new(PRIMES[index]).unwrap();
        let scale = f64::from(bits).exp2();
        for backend in Backend::all() {
            let mut out = vec![0; x.len()];
            reduce_scaled_with(backend, p, &x, scale, &mut out).unwrap();
            for (&x, &out) in x.iter().zip(&out) {
                prop_assert_eq!(out, p.reduce_i128((x * scale).round_ties_even() as i128));
            }
        }
    }

    #[test]
    fn sums(a in proptest::collection::vec(any::<i64>(), 1..300), b: i64, index in 0usize..48) {
        for p in [Prime::new(PRIMES[index]).unwrap(), Prime::new(3).unwrap()] {
            let mut x = vec![0; a.len()];
            reduce_i64(p, &a, &mut x);
            let wide: Vec<i128> = a.iter().map(|&a| i128::from(a) << 40).collect();
            let mut y = vec![0; a.len()];
            reduce_i128(p, &wide, &mut y);
            let (mut sum, mut difference, mut product) = (x.clone(), x.clone(), x.clone());
            add_assign(p, &mut sum, &y);
            sub_assign(p, &mut difference, &y);
            scale_assign(p, &mut product, b);
            for (k, &a) in a.iter().enumerate() {
                let (a, c) = (i128::from(a), i128::from(a) << 40);
                prop_assert_eq!(x[k], p.reduce_i128(a));
                prop_assert_eq!(sum[k], p.reduce_i128(a + c));
                prop_assert_eq!(difference[k], p.reduce_i128(a - c));
                prop_assert_eq!(product[k], p.reduce_i128(a * i128::from(b)));
            }
        }
    }
}

#[test]
fn refuses_numbers_that_are_too_large() {
    let p = Prime::new(PRIMES[0]).unwrap();
    for backend in Backend::all() {
        for bad in [
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            2f64.powi(100),
            -2f64.powi(101),
        ] {
            assert!(reduce_scaled_with(backend, p, &[1.0, bad], 1.0, &mut [0; 2]).is_err());
            let scale = 2f64.powi(40);
            assert!(
                reduce_scaled_with(backend, p, &[1.0, bad / scale], scale, &mut [0; 2]).is_err()
            );
        }
    }
}
