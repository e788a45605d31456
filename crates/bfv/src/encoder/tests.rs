use super::*;
use crate::testing::{centre, centred, from_big, product, ring, round_div};
use num_bigint::BigInt;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const N: usize = 32;
/// Primes that are 1 modulo 64, of 8 to 50 bits.
const MODULI: [u64; 4] = [193, 65537, 1_073_479_681, 1_125_899_906_826_241];

/// The value at `x`, coefficient by coefficient.
fn evaluate(t: Modulus, coefficients: &[f64], x: u64) -> i64 {
    let value = coefficients
        .iter()
        .rev()
        .fold(0, |acc, &c| t.add(t.mul(acc, x), t.from_i64(c as i64)));
    t.residue(value) as i64
}

fn centred_modulo(x: i64, t: u64) -> i64 {
    let r = x.rem_euclid(t as i64);
    if r > t as i64 / 2 { r - t as i64 } else { r }
}

#[test]
fn slots_are_values_at_the_powers_of_a_root() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let ring = ring(N, &[&[40], &[30, 30]], &[50]);
    for t in MODULI {
        let encoder = Encoder::new(&ring, t).unwrap();
        let m = encoder.modulus();
        let psi = encoder.plans.last().unwrap().psi();
        for k in [1, 2, 8, N / 2] {
            let row0: Vec<i64> = (0..k).map(|_| rng.random()).collect();
            let row1: Vec<i64> = (0..k).map(|_| rng.random()).collect();
            let coefficients = encoder.encode_rows(&row0, &row1).unwrap();
            assert_eq!(coefficients.len(), 2 * k);
            let mut full = vec![0.0; N];
            for (j, &c) in coefficients.iter().enumerate() {
                assert!(c.abs() <= (t / 2) as f64);
                full[j * (N / (2 * k))] = c;
            }
            let mut power = 1u64;
            for j in 0..N / 2 {
                let up = m.pow(psi, power);
                assert_eq!(evaluate(m, &full, up), centred_modulo(row0[j % k], t));
                let down = m.inv(up).unwrap();
                assert_eq!(evaluate(m, &full, down), centred_modulo(row1[j % k], t));
                power = power * 5 % (2 * N as u64);
            }
            let (got0, got1) = encoder.decode(&full);
            for j in 0..N / 2 {
                assert_eq!(got0[j], centred_modulo(row0[j % k], t));
                assert_eq!(got1[j], centred_modulo(row1[j % k], t));
            }
            assert_eq!(encoder.decode(&coefficients).0[..], got0[..k]);
        }
        // Shorter rows repeat, equal rows need no second one.
        let equal = |a: &[i64], b: &[i64], c: &[i64], d: &[i64]| {
            assert_eq!(
                encoder.encode_rows(a, b).unwrap()[..],
                encoder.encode_rows(c, d).unwrap()[..]
            );
        };
        equal(&[1, 2], &[3], &[1, 2], &[3, 3]);
        let row = [5, -6, 7, 8];
        assert_eq!(
            encoder.encode(&row).unwrap()[..],
            encoder.encode_rows(&row, &row.clone()).unwrap()[..]
        );
        for bad in [0, 3, N] {
            assert!(matches!(
                encoder.encode(&vec![1; bad]),
                Err(Error::Shape { .. })
            ));
        }
    }
}

#[test]
fn galois_elements_rotate_and_swap() {
    let ring = ring(N, &[&[40]], &[50]);
    let encoder = Encoder::new(&ring, MODULI[1]).unwrap();
    let row0: Vec<i64> = (0..N as i64 / 2).collect();
    let row1: Vec<i64> = row0.iter().map(|x| 100 + x).collect();
    let coefficients = encoder.encode_rows(&row0, &row1).unwrap();
    let image = |g: u64| {
        let mut out = vec![0.0; N];
        cipherblas_math::galois::apply_coeff(&mut out, &coefficients, N, g).unwrap();
        encoder.decode(&out)
    };
    for step in [0, 1, 5, -3] {
        let (got0, got1) = image(ring.rotation_element(step));
        for j in 0..N / 2 {
            let from = (j as i64 + step).rem_euclid(N as i64 / 2) as usize;
            assert_eq!((got0[j], got1[j]), (row0[from], row1[from]));
        }
    }
    let (got0, got1) = image(ring.conjugation_element());
    assert_eq!((&got0[..], &got1[..]), (&row1[..], &row0[..]));
}

#[test]
fn refuses_moduli() {
    let ring = ring(N, &[&[40]], &[50]);
    let q = ring.moduli()[0].value();
    for t in [15, 257 * 3, 17, q] {
        assert!(
            matches!(Encoder::new(&ring, t), Err(Error::Parameter { .. })),
            "{t}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn scaling_is_exact(seed: u64, log_len in 1u32..=5) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let ring = ring(N, &[&[35], &[30, 31], &[49, 49]], &[50, 50]);
        for t in MODULI {
            let encoder = Encoder::new(&ring, t).unwrap();
            let half = t as i64 / 2;
            let len = 1 << log_len;
            let mut m: Vec<i64> = (0..len).map(|_| rng.random_range(-half..=half)).collect();
            (m[0], m[1]) = (half, -half);
            let dense: Vec<f64> = m.iter().map(|&x| x as f64).collect();
            for level in 0..3 {
                let q = product(&ring.moduli()[..ring.basis(level).q]);
                let up = encoder.scale_up(&dense, level);
                let phase = centred(&up);
                let big_t = BigInt::from(t);
                for (i, x) in phase.iter().enumerate() {
                    let m = if i % (N / len) == 0 { m[i / (N / len)] } else { 0 };
                    prop_assert_eq!(centre(&(round_div(&(&q * m), &big_t) - x), &q), BigInt::from(0));
                }
                // Noise up to its bound, in the first coefficients at both ends.
                let limit: BigInt = (&q - (&q >> 38u32)) / (2 * t) - 1;
                if limit < BigInt::from(1) {
                    continue;
                }
                let noisy: Vec<BigInt> = phase.iter().enumerate().map(|(i, x)| match i {
                    0 => x + &limit,
                    1 => x - &limit,
                    _ => x + (&limit * rng.random_range(-1000i64..=1000)) / 1000,
                }).collect();
                let down = encoder.scale_down(from_big(&ring, level, &noisy));
                for (i, &got) in down.iter().enumerate() {
                    let m = if i % (N / len) == 0 { m[i / (N / len)] } else { 0 };
                    prop_assert_eq!(got, m as f64, "level {} t {}", level, t);
                }
            }
        }
    }

    #[test]
    fn lifting_is_the_polynomial(seed: u64, log_len in 1u32..=5) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let ring = ring(N, &[&[35], &[30, 31]], &[50]);
        for t in MODULI {
            let encoder = Encoder::new(&ring, t).unwrap();
            let (half, len) = (t as i64 / 2, 1usize << log_len);
            let m: Vec<i64> = (0..len).map(|_| rng.random_range(-half..=half)).collect();
            let dense: Vec<f64> = m.iter().map(|&x| x as f64).collect();
            let lifted = encoder.lift(&dense, 1).unwrap().into_coeff();
            let q = product(&ring.moduli()[..3]);
            for (i, x) in centred(&lifted).iter().enumerate() {
                let m = if i % (N / len) == 0 { m[i / (N / len)] } else { 0 };
                prop_assert_eq!(centre(&(x - m), &q), BigInt::from(0));
            }
        }
    }
}
