use super::*;
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// The `count` largest primes below 2^bits.
fn primes_below(bits: u32, count: usize) -> Vec<Modulus> {
    let candidates = (1u64..1 << bits).rev().step_by(2);
    candidates
        .filter_map(|p| Modulus::new(p).ok())
        .take(count)
        .collect()
}

fn product(moduli: &[Modulus]) -> BigInt {
    moduli.iter().map(|m| BigInt::from(m.value())).product()
}

fn modulo(x: &BigInt, m: Modulus) -> u64 {
    let p = BigInt::from(m.value());
    u64::try_from(((x % &p) + &p) % &p).unwrap()
}

/// The centred integer with the given residues.
fn centred(residues: &[u64], moduli: &[Modulus]) -> BigInt {
    let q = product(moduli);
    let mut x = BigInt::from(0);
    for (&r, m) in residues.iter().zip(moduli) {
        let rest = &q / m.value();
        let inverse = m.inv(modulo(&rest, *m)).unwrap();
        x += rest * m.mul(r, inverse);
    }
    x %= &q;
    if &x * 2 > q { x - q } else { x }
}

fn random_big(rng: &mut ChaCha20Rng, q: &BigInt) -> BigInt {
    let mut bytes = vec![0; (q.bits() / 8 + 9) as usize];
    rng.fill_bytes(&mut bytes);
    BigInt::from_bytes_le(Sign::Plus, &bytes) % q
}

/// Lazy residues of numbers: random representatives, the extremes `+-p` for zero among them.
fn lazy(x: &BigInt, m: Modulus, choice: u64) -> f64 {
    let (r, p) = (modulo(x, m) as f64, m.value() as f64);
    match (r == 0.0, choice % 3) {
        (true, 0) => p,
        (true, 1) => -p,
        (false, 0) => r - p,
        _ => r,
    }
}

/// Numbers with a known centred representative: random, small, and near the ends of the range.
fn samples(rng: &mut ChaCha20Rng, q: &BigInt, n: usize) -> Vec<BigInt> {
    let half: BigInt = q / 2;
    (0..n)
        .map(|k| match k % 8 {
            0 => BigInt::from(0),
            1 => BigInt::from(k as i64 - n as i64 / 2),
            // The relative distance to the end, 2^-30, is far above the stated 2^-40.
            2 => &half - (&half >> 30u32),
            3 => -(&half - (&half >> 30u32)),
            _ => random_big(rng, q) - &half,
        })
        .collect()
}

fn check_conversion(from: &[Modulus], to: &[Modulus], n: usize, seed: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let xs = samples(&mut rng, &product(from), n);
    let residues: Vec<Vec<f64>> = from
        .iter()
        .map(|&m| xs.iter().map(|x| lazy(x, m, rng.next_u64())).collect())
        .collect();
    let inputs: Vec<&[f64]> = residues.iter().map(Vec::as_slice).collect();
    for backend in Backend::all() {
        let converter = BaseConverter::with_backend(from, to, backend).unwrap();
        let mut out = vec![vec![f64::NAN; n]; to.len()];
        converter.convert(
            &inputs,
            &mut out.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(),
        );
        for (&m, out) in to.iter().zip(&out) {
            for (x, &y) in xs.iter().zip(out) {
                assert!(
                    y.abs() <= m.value() as f64 && y.fract() == 0.0,
                    "{y} mod {}",
                    m.value()
                );
                assert_eq!(
                    m.canonical(y),
                    modulo(x, m),
                    "{} of {}",
                    backend.name(),
                    m.value()
                );
            }
        }
        let mut y = vec![vec![f64::NAN; n]; from.len()];
        let mut v = vec![f64::NAN; n];
        converter.prepare(
            &inputs,
            &mut y.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(),
            &mut v,
        );
        let y: Vec<&[f64]> = y.iter().map(Vec::as_slice).collect();
        for (j, (&m, out)) in to.iter().zip(&out).enumerate() {
            let (mut one, mut finished) = (vec![f64::NAN; n], vec![f64::NAN; n]);
            converter.convert_one(&inputs, j, &mut one);
            converter.finish(&y, &v, j, &mut finished);
            for k in 0..n {
                assert_eq!(m.canonical(one[k]), m.canonical(out[k]));
                assert_eq!(m.canonical(finished[k]), m.canonical(out[k]));
            }
        }
    }
}

#[test]
fn conversion_at_the_largest_primes() {
    let primes = primes_below(50, 40);
    for (sources, targets, n) in [
        (1, 3, 64),
        (2, 2, 61),
        (5, 4, 256),
        (6, 1, 33),
        (7, 5, 100),
        (12, 3, 40),
        (30, 10, 300),
    ] {
        check_conversion(
            &primes[..sources],
            &primes[sources..sources + targets],
            n,
            sources as u64,
        );
    }
}

#[test]
fn conversion_between_sizes() {
    let (wide, middle, narrow) = (
        primes_below(50, 8),
        primes_below(36, 8),
        primes_below(21, 70),
    );
    check_conversion(&narrow[..70], &wide[..3], 50, 1);
    check_conversion(&wide, &narrow[..5], 50, 2);
    check_conversion(&middle, &[&wide[..2], &narrow[..2]].concat(), 50, 3);
    check_conversion(&[&wide[..2], &narrow[..2]].concat(), &middle, 50, 4);
    check_conversion(&primes_below(5, 3), &primes_below(4, 4), 50, 5);
    check_conversion(&wide[..1], &narrow[..3], 50, 6);
    check_conversion(&narrow[..1], &wide[..3], 50, 7);
    // A target among the sources.
    check_conversion(&wide, &wide[3..5], 50, 8);
}

/// `round(B x / Q)` modulo the targets, where `B` is their product: a change of modulus.
fn check_scaling(from: &[Modulus], to: &[Modulus], n: usize, seed: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (q, b) = (product(from), product(to));
    let xs: Vec<BigInt> = (0..n).map(|_| random_big(&mut rng, &q) - &q / 2).collect();
    let residues: Vec<Vec<f64>> = from
        .iter()
        .map(|&m| xs.iter().map(|x| lazy(x, m, rng.next_u64())).collect())
        .collect();
    let inputs: Vec<&[f64]> = residues.iter().map(Vec::as_slice).collect();
    let inverse = |p: Modulus| p.neg(p.inv(modulo(&q, p)).expect("coprime"));
    for backend in Backend::all() {
        let converter =
            BaseConverter::scaled(from, to, |m| modulo(&b, m), inverse, backend).unwrap();
        let mut out = vec![vec![f64::NAN; n]; to.len()];
        converter.convert(
            &inputs,
            &mut out.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(),
        );
        for (k, x) in xs.iter().enumerate() {
            // floor(b x / q + 1/2): q is odd and there are no ties.
            let (shifted, twice): (BigInt, BigInt) = (x * &b * 2 + &q, &q * 2);
            let rest = ((&shifted % &twice) + &twice) % &twice;
            let near_tie = (&rest << 39u32) < q || ((&twice - &rest) << 39u32) < q;
            let rounded: BigInt = (shifted - rest) / &twice;
            for (&m, out) in to.iter().zip(&out) {
                assert!(out[k].abs() <= m.value() as f64);
                assert!(
                    near_tie || m.canonical(out[k]) == modulo(&rounded, m),
                    "{} {} to {}, {}",
                    from.len(),
                    m.value(),
                    to.len(),
                    backend.name()
                );
            }
        }
    }
}

#[test]
fn scaling_rounds() {
    let (wide, narrow) = (primes_below(50, 8), primes_below(21, 20));
    check_scaling(&wide[..3], &wide[3..6], 300, 1);
    check_scaling(&wide[..1], &wide[3..4], 300, 2);
    check_scaling(&wide[..1], &narrow[..2], 300, 3);
    check_scaling(&narrow[..1], &wide[..3], 300, 4);
    check_scaling(&narrow[..17], &wide[..7], 100, 5);
    check_scaling(&wide, &narrow[..1], 300, 6);
}

/// Coefficients that make every sum as large as the bounds allow.
#[test]
fn conversion_of_extreme_products() {
    for bits in [50, 49, 40, 30] {
        let primes = primes_below(bits, 26);
        for sources in [2, 3, 4, 5, 8, 9, 12, 16] {
            check_extremes(&primes[..sources], &primes[16..]);
        }
    }
    let (wide, narrow) = (primes_below(50, 8), primes_below(20, 8));
    check_extremes(&wide, &narrow);
    check_extremes(&narrow, &wide);
}

fn check_extremes(from: &[Modulus], to: &[Modulus]) {
    let q = product(from);
    for backend in Backend::all() {
        let converter = BaseConverter::with_backend(from, to, backend).unwrap();
        // y_i near +-q_i / 2 for all i: x_i = (Q / q_i) y_i.
        let half = |m: Modulus, up: bool| if up { m.value() / 2 } else { m.value() / 2 + 1 };
        for pattern in 0u32..64 {
            let residues: Vec<u64> = from
                .iter()
                .enumerate()
                .map(|(i, &m)| {
                    m.mul(
                        half(m, pattern >> (i % 6) & 1 == 0),
                        modulo(&(&q / m.value()), m),
                    )
                })
                .collect();
            let x = centred(&residues, from);
            let inputs: Vec<[f64; 1]> = residues.iter().map(|&r| [r as f64]).collect();
            let inputs: Vec<&[f64]> = inputs.iter().map(|x| x.as_slice()).collect();
            // sum y_i / q_i is near a half integer when the signs sum to an odd number: either side is allowed then.
            let other = if x.sign() == Sign::Minus {
                &x + &q
            } else {
                &x - &q
            };
            let near_tie = (&x * 2u32).magnitude() > (&q - (&q >> 39u32)).magnitude();
            let mut all = vec![[f64::NAN]; to.len()];
            converter.convert(
                &inputs,
                &mut all.iter_mut().map(|x| x.as_mut_slice()).collect::<Vec<_>>(),
            );
            for (j, &m) in to.iter().enumerate() {
                let mut one = [f64::NAN];
                converter.convert_one(&inputs, j, &mut one);
                for y in [one[0], all[j][0]] {
                    assert!(y.abs() <= m.value() as f64);
                    let got = m.canonical(y);
                    assert!(
                        got == modulo(&x, m) || near_tie && got == modulo(&other, m),
                        "pattern {pattern}"
                    );
                }
            }
        }
    }
}

#[test]
fn conversion_refuses() {
    let primes = primes_below(30, 101);
    let cases: [(&[Modulus], &[Modulus]); 4] = [
        (&[], &primes[..1]),
        (&primes[..1], &[]),
        (&primes, &primes[..1]),
        (&[primes[0], primes[0]], &primes[1..2]),
    ];
    for (from, to) in cases {
        assert!(matches!(
            BaseConverter::new(from, to),
            Err(MathError::Parameter { .. })
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn conversion_is_exact(seed: u64, sources in 1usize..12, targets in 1usize..6, n in 1usize..70, bits in 22u32..=50) {
        let primes = primes_below(bits, sources + targets);
        check_conversion(&primes[..sources], &primes[sources..], n, seed);
    }

    #[test]
    fn reconstruction_is_accurate(seed: u64, count in 1usize..=4, n in 1usize..40, bits in 20u32..=50, shift in 0u32..200) {
        let moduli = primes_below(bits, count);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let q = product(&moduli);
        let half: BigInt = &q / 2;
        let shift = u64::from(shift) % q.bits();
        let mut xs: Vec<BigInt> = (0..n).map(|_| (random_big(&mut rng, &q) - &half) >> shift).collect();
        xs.extend([half.clone(), -half.clone(), BigInt::from(0), BigInt::from(1), BigInt::from(-1)]);
        let scale = 1.37e9;
        let residues: Vec<Vec<f64>> =
            moduli.iter().map(|&m| xs.iter().map(|x| lazy(x, m, rng.next_u64())).collect()).collect();
        let inputs: Vec<&[f64]> = residues.iter().map(Vec::as_slice).collect();
        for backend in Backend::all() {
            let mut out = vec![f64::NAN; xs.len()];
            CrtReconstructor::with_backend(&moduli, backend).unwrap().centered_f64(&inputs, scale, &mut out);
            for (x, &y) in xs.iter().zip(&out) {
                // In units of 2^-64: exact up to the parse of an f64 with 53 bits of 60.
                let exact = (x.clone() << 64u32) / BigInt::from(1_370_000_000u64);
                let got = big_from_f64(y * 2f64.powi(64));
                let difference = (&got - &exact).magnitude().clone();
                prop_assert!(difference << 51u32 <= exact.magnitude() + (1u64 << 52), "{x} {y}");
            }
        }
    }

    #[test]
    fn decomposition_is_exact(values in prop::collection::vec(-1.0f64..1.0, 1..50), exponent in 0i32..100, bits in 2u32..=50) {
        for m in primes_below(bits.max(3), 2) {
            let scale = 1.618f64 * 2f64.powi(exponent - 1);
            for backend in Backend::all() {
                let mut out = vec![f64::NAN; values.len()];
                decompose_scaled_with(backend, &values, scale, &m, &mut out).unwrap();
                for (&v, &r) in values.iter().zip(&out) {
                    let expected = big_from_f64((v * scale).round_ties_even());
                    prop_assert!(r.abs() <= m.value() as f64);
                    prop_assert_eq!(m.canonical(r), modulo(&expected, m), "{} {}", v, scale);
                }
            }
        }
    }
}

/// The integer part of a double, exactly.
fn big_from_f64(x: f64) -> BigInt {
    let bits = x.abs().to_bits();
    let (exponent, mantissa) = (
        (bits >> 52) as i64 - 1075,
        (bits & ((1 << 52) - 1)) | 1 << 52,
    );
    let magnitude = if exponent >= 0 {
        BigInt::from(mantissa) << exponent
    } else {
        BigInt::from(mantissa) >> exponent.abs().min(64)
    };
    if x < 0.0 { -magnitude } else { magnitude }
}

#[test]
fn reconstruction_refuses() {
    let primes = primes_below(30, 5);
    assert!(CrtReconstructor::new(&primes).is_err());
    assert!(CrtReconstructor::new(&[]).is_err());
    assert!(CrtReconstructor::new(&[primes[0], primes[0]]).is_err());
}

#[test]
fn decomposition_refuses() {
    let m = primes_below(30, 1)[0];
    for backend in Backend::all() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(60)] {
            for at in [0, 5, 16, 18] {
                let mut values = vec![0.5; 19];
                values[at] = bad;
                let error =
                    decompose_scaled_with(backend, &values, 2f64.powi(40), &m, &mut [0.0; 19])
                        .unwrap_err();
                let MathError::Parameter { got, .. } = error else {
                    panic!("{error}")
                };
                assert!(got.ends_with(&format!("index {at}")), "{got}");
            }
        }
        let mut out = [0.0; 2];
        decompose_scaled_with(
            backend,
            &[2f64.powi(99), -(2f64.powi(99))],
            1.0,
            &m,
            &mut out,
        )
        .unwrap();
        assert_eq!(m.canonical(out[0]), m.pow(2, 99));
        assert_eq!(m.canonical(out[1]), m.neg(m.pow(2, 99)));
    }
}
