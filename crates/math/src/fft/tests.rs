use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const U: f64 = f64::EPSILON / 2.0;

fn random(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| (rng.next_u64() as i64 >> 11) as f64 * 2f64.powi(-52))
        .collect()
}

fn norm(re: &[f64], im: &[f64]) -> f64 {
    re.iter().chain(im).map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: (&[f64], &[f64]), b: (&[f64], &[f64])) -> f64 {
    let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x - y).collect::<Vec<_>>();
    norm(&difference(a.0, b.0), &difference(a.1, b.1))
}

/// `m(zeta^(5^k))` for every `k`, from the definition.
fn naive_slots(m: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = m.len() / 2;
    let order = 4 * n;
    let mut power = 1usize;
    let mut values = Vec::new();
    for _ in 0..n {
        let (mut re, mut im, mut e) = (0.0, 0.0, 0usize);
        for &c in m {
            let angle = std::f64::consts::TAU * (e as f64 / order as f64);
            re += c * angle.cos();
            im += c * angle.sin();
            e = (e + power) % order;
        }
        values.push((re, im));
        power = power * 5 % order;
    }
    values.into_iter().unzip()
}

fn plans(slots: usize) -> Vec<EmbeddingPlan> {
    Backend::all()
        .into_iter()
        .map(|b| EmbeddingPlan::with_backend(slots, b).unwrap())
        .collect()
}

#[test]
fn agrees_with_the_definition() {
    for log_n in 0..=9 {
        let n = 1usize << log_n;
        let m = random(2 * n, log_n);
        let expected = naive_slots(&m);
        for plan in plans(n) {
            let (mut re, mut im) = (m[..n].to_vec(), m[n..].to_vec());
            plan.to_slots(&mut re, &mut im);
            // The oracle sums 2 n terms with angles off by 2 pi 2^-53, and every slot is at most sqrt(2 n) |m| in size.
            let size = norm(&expected.0, &expected.1);
            let tolerance = (6.0 * log_n as f64 + 8.0 + 2.0 * n as f64) * U * size;
            assert!(
                distance((&re, &im), (&expected.0, &expected.1)) <= tolerance,
                "{log_n} {}",
                plan.backend.name()
            );
            plan.to_coefficients(&mut re, &mut im);
            let round_trip = 12.0 * log_n as f64 * U * norm(&m, &[]);
            assert!(
                distance((&re, &im), (&m[..n], &m[n..])) <= round_trip,
                "{log_n} {}",
                plan.backend.name()
            );
        }
    }
}

#[test]
fn round_trips_and_backends_agree_at_every_size() {
    for log_n in 0..=16u32 {
        let n = 1usize << log_n;
        let (zr, zi) = (random(n, 1), random(n, 2));
        let bound = 6.0 * f64::from(log_n) * U;
        let mut reference: Option<(Vec<f64>, Vec<f64>)> = None;
        for plan in plans(n) {
            let (mut re, mut im) = (zr.clone(), zi.clone());
            plan.to_coefficients(&mut re, &mut im);
            // An isometry but for the factor sqrt(n).
            let size = norm(&re, &im);
            assert!(
                (size * (n as f64).sqrt() / norm(&zr, &zi) - 1.0).abs()
                    <= bound + 4.0 * n as f64 * U
            );
            if let Some(reference) = &reference {
                assert!(
                    distance((&re, &im), (&reference.0, &reference.1)) <= 2.0 * bound * size,
                    "{log_n}"
                );
            } else {
                reference = Some((re.clone(), im.clone()));
            }
            plan.to_slots(&mut re, &mut im);
            assert!(
                distance((&re, &im), (&zr, &zi)) <= 2.0 * bound * norm(&zr, &zi),
                "{log_n}"
            );
        }
    }
}

#[test]
fn automorphism_rotates_left_by_one() {
    for log_n in [1u32, 2, 5, 8, 9, 12] {
        let n = 1usize << log_n;
        let m = random(2 * n, 3);
        let mut image = vec![0.0; 2 * n];
        for (j, &c) in m.iter().enumerate() {
            let e = 5 * j % (4 * n);
            image[e % (2 * n)] += if e < 2 * n { c } else { -c };
        }
        for plan in plans(n) {
            let (mut re, mut im) = (m[..n].to_vec(), m[n..].to_vec());
            plan.to_slots(&mut re, &mut im);
            let (mut rotated_re, mut rotated_im) = (image[..n].to_vec(), image[n..].to_vec());
            plan.to_slots(&mut rotated_re, &mut rotated_im);
            re.rotate_left(1);
            im.rotate_left(1);
            let tolerance = 12.0 * f64::from(log_n) * U * norm(&re, &im);
            assert!(distance((&re, &im), (&rotated_re, &rotated_im)) <= tolerance);
        }
    }
}

#[test]
fn constants_and_monomials() {
    for log_n in [0u32, 3, 8, 13, 16] {
        let n = 1usize << log_n;
        for plan in plans(n) {
            // A constant slot vector is a constant polynomial, exactly.
            let (mut re, mut im) = (vec![1.5; n], vec![0.0; n]);
            plan.to_coefficients(&mut re, &mut im);
            assert_eq!(re[0], 1.5);
            assert!(re[1..].iter().chain(&im).all(|&x| x == 0.0));
            // X^n is i in every slot.
            let (mut re, mut im) = (vec![0.0; n], vec![0.0; n]);
            im[0] = 1.0;
            plan.to_slots(&mut re, &mut im);
            assert!(re.iter().all(|&x| x == 0.0) && im.iter().all(|&x| x == 1.0));
        }
    }
}

#[test]
fn refuses_other_sizes() {
    for bad in [0usize, 3, 100, 1 << 17] {
        assert!(
            matches!(EmbeddingPlan::new(bad), Err(MathError::Degree { got, .. }) if got == bad)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// The product of polynomials is the product of slots.
    #[test]
    fn products_become_slotwise(seed: u64, log_n in 1u32..7) {
        let n = 1usize << log_n;
        let (a, b) = (random(2 * n, seed), random(2 * n, !seed));
        let mut c = vec![0.0; 2 * n];
        for i in 0..2 * n {
            for j in 0..2 * n {
                let product = a[i] * b[j];
                c[(i + j) % (2 * n)] += if i + j < 2 * n { product } else { -product };
            }
        }
        for plan in plans(n) {
            let slots = |m: &[f64]| {
                let (mut re, mut im) = (m[..n].to_vec(), m[n..].to_vec());
                plan.to_slots(&mut re, &mut im);
                (re, im)
            };
            let ((ar, ai), (br, bi), (cr, ci)) = (slots(&a), slots(&b), slots(&c));
            let scale = norm(&a, &[]) * norm(&b, &[]) * 2.0 * n as f64;
            for k in 0..n {
                prop_assert!((ar[k] * br[k] - ai[k] * bi[k] - cr[k]).abs() <= 100.0 * n as f64 * U * scale);
                prop_assert!((ar[k] * bi[k] + ai[k] * br[k] - ci[k]).abs() <= 100.0 * n as f64 * U * scale);
            }
        }
    }
}
