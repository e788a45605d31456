//! Every operation against the same in clear, within the bound that the ciphertext itself states.

use cipherblas_ckks::{Error, Evaluator, KeySet, Params, SecretKey};
use cipherblas_scheme::{
    Add, AddPlain, Combine, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Rotate, Scheme,
    WeightMatrix,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

struct Setup {
    params: Params,
    sk: SecretKey,
    ev: Evaluator,
    rng: ChaCha20Rng,
}

fn setup(params: Params, rotations: &[i64]) -> Setup {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: rotations.iter().copied().collect(),
        conjugation: true,
    };
    let keys = sk.evaluation_keys(&set, &mut rng).unwrap();
    let ev = Evaluator::new(&params, keys).unwrap();
    Setup {
        params,
        sk,
        ev,
        rng,
    }
}

fn toy(depth: usize) -> Params {
    Params::builder()
        .depth(depth)
        .precision_bits(20)
        .insecure_degree(1 << 9)
        .build()
        .unwrap()
}

fn values(rng: &mut ChaCha20Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..=1.0)).collect()
}

#[track_caller]
fn close(s: &Setup, ct: &cipherblas_ckks::Ciphertext, expected: impl Fn(usize) -> f64) {
    let bound = s.ev.error_bound(ct);
    let got = s.sk.decrypt(ct).unwrap();
    let worst = got
        .iter()
        .enumerate()
        .map(|(i, x)| (x - expected(i)).abs())
        .fold(0.0, f64::max);
    assert!(worst <= bound, "error {worst:e} above its bound {bound:e}");
}

#[test]
fn fresh_products_reach_the_precision_asked_for() {
    for (precision, depth) in [(20, 3), (25, 2), (36, 2)] {
        let params = Params::builder()
            .depth(depth)
            .precision_bits(precision)
            .insecure_degree(1 << 10)
            .build()
            .unwrap();
        let mut s = setup(params, &[]);
        let pk = s.sk.public_key(&mut s.rng).unwrap();
        let (a, b) = (values(&mut s.rng.clone(), 512), values(&mut s.rng, 512));
        let depth = s.params.depth();
        let x = pk.encrypt_at(&a, depth, Some(1.0), &mut s.rng).unwrap();
        let y = s.sk.encrypt_at(&b, depth, Some(1.0), &mut s.rng).unwrap();
        close(&s, &x, |i| a[i]);
        close(&s, &y, |i| b[i]);
        let product = s.ev.mul(&x, &y).unwrap();
        assert!(s.ev.error_bound(&product) <= (-f64::from(precision)).exp2());
        close(&s, &product, |i| a[i] * b[i]);
    }
}

#[test]
fn every_operation_stays_in_its_bound_at_every_level() {
    let mut s = setup(toy(6), &[1, 3, -2, 100]);
    let n = s.params.slots();
    let (a, b) = (values(&mut s.rng, n), values(&mut s.rng, n));
    for depth in (1..=6).rev() {
        let x = s.sk.encrypt_at(&a, depth, Some(1.0), &mut s.rng).unwrap();
        let y = s.sk.encrypt_at(&b, 6, Some(1.0), &mut s.rng).unwrap();
        let at = |i: i64| i.rem_euclid(n as i64) as usize;
        close(&s, &s.ev.add(&x, &y).unwrap(), |i| a[i] + b[i]);
        close(&s, &s.ev.sub(&y, &x).unwrap(), |i| b[i] - a[i]);
        close(&s, &s.ev.negate(&x).unwrap(), |i| -a[i]);
        close(&s, &s.ev.mul(&y, &x).unwrap(), |i| a[i] * b[i]);
        close(&s, &s.ev.square(&x).unwrap(), |i| a[i] * a[i]);
        close(&s, &s.ev.mul_sum(&[&x, &y], &[&y, &y]).unwrap(), |i| {
            a[i] * b[i] + b[i] * b[i]
        });
        close(&s, &s.ev.add_plain(&x, &b).unwrap(), |i| a[i] + b[i]);
        close(&s, &s.ev.add_plain(&x, &b[..8]).unwrap(), |i| {
            a[i] + b[i % 8]
        });
        close(&s, &s.ev.add_plain(&x, &[-3.5]).unwrap(), |i| a[i] - 3.5);
        close(&s, &s.ev.mul_plain(&x, &b).unwrap(), |i| a[i] * b[i]);
        close(&s, &s.ev.mul_plain(&x, &b[..2]).unwrap(), |i| {
            a[i] * b[i % 2]
        });
        close(&s, &s.ev.mul_plain(&x, &[7.25]).unwrap(), |i| a[i] * 7.25);
        close(&s, &s.ev.mul_scalar_to(&y, -0.3, depth - 1).unwrap(), |i| {
            b[i] * -0.3
        });
        close(&s, &s.ev.lower_to(&x, 0).unwrap(), |i| a[i]);
        close(&s, &s.ev.conjugate(&x).unwrap(), |i| a[i]);
        for step in [1, 3, -2, 100, 0, n as i64] {
            close(&s, &s.ev.rotate(&x, step).unwrap(), |i| {
                a[at(i as i64 + step)]
            });
        }
        for (ct, step) in
            s.ev.rotate_many(&x, &[3, 0, -2])
                .unwrap()
                .iter()
                .zip([3, 0, -2])
        {
            close(&s, ct, |i| a[at(i as i64 + step)]);
        }
        let sum = s.ev.rotate_sum(&[&x, &y, &x], &[1, 0, 100]).unwrap();
        close(&s, &sum, |i| {
            a[at(i as i64 + 1)] + b[i] + a[at(i as i64 + 100)]
        });
        let weights = [0.5, -2.0, 1.0 / 3.0, 0.0, 1.0, -0.125];
        let combined =
            s.ev.combine(WeightMatrix::new(3, 2, &weights).unwrap(), &[&x, &y])
                .unwrap();
        for (k, ct) in combined.iter().enumerate() {
            assert_eq!(s.ev.depth(ct), depth - 1);
            close(&s, ct, |i| {
                weights[2 * k] * a[i] + weights[2 * k + 1] * b[i]
            });
        }
    }
}

#[test]
fn the_whole_depth_can_be_used() {
    let mut s = setup(toy(12), &[]);
    let a = values(&mut s.rng, 1 << 8);
    let mut ct = s.sk.encrypt_at(&a, 12, Some(1.0), &mut s.rng).unwrap();
    let mut clear = a.clone();
    for _ in 0..12 {
        ct = s.ev.square(&ct).unwrap();
        clear.iter_mut().for_each(|x| *x *= *x);
        close(&s, &ct, |i| clear[i]);
    }
    assert!(matches!(
        s.ev.square(&ct),
        Err(Error::Depth {
            needed: 1,
            left: 0,
            ..
        })
    ));
    assert!(matches!(
        s.ev.mul_plain(&ct, &[0.5]),
        Err(Error::Depth { .. })
    ));
}

#[test]
fn bad_input_is_a_typed_error() {
    let mut s = setup(toy(2), &[1]);
    let rng = &mut s.rng;
    for bad in [f64::NAN, f64::INFINITY, 1025.0] {
        let got = s.sk.encrypt_at(&[0.0, bad], 2, None, rng);
        assert!(matches!(got, Err(Error::Value { index: 1, .. })), "{got:?}");
        assert!(!format!("{got:?}").contains("1025"), "{got:?}");
    }
    assert!(matches!(
        s.sk.encrypt_at(&[0.0; 3], 2, None, rng),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        s.sk.encrypt_at(&[], 2, None, rng),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        s.sk.encrypt_at(&[0.0; 512], 2, None, rng),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        s.sk.encrypt_at(&[0.0], 3, None, rng),
        Err(Error::Depth { .. })
    ));
    assert!(matches!(
        s.sk.encrypt_at(&[0.0], 2, Some(f64::NAN), rng),
        Err(Error::Parameter { .. })
    ));
    let ct = s.sk.encrypt_at(&[0.5], 2, None, rng).unwrap();
    match s.ev.rotate(&ct, 2) {
        Err(Error::MissingKey { key, .. }) => assert!(key.contains("rotation by 2"), "{key}"),
        other => panic!("{other:?}"),
    }
    let other = SecretKey::generate(&s.params, rng).unwrap();
    assert!(matches!(other.decrypt(&ct), Err(Error::KeyMismatch { .. })));
    let foreign = other.encrypt_at(&[0.5], 2, None, rng).unwrap();
    assert!(matches!(
        s.ev.add(&ct, &foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let without = Evaluator::without_keys(&s.params, s.sk.id());
    assert!(matches!(
        without.mul(&ct, &ct),
        Err(Error::MissingKey { .. })
    ));
}

#[test]
fn a_result_beyond_the_range_is_refused_not_wrapped() {
    let mut s = setup(toy(3), &[]);
    let ct =
        s.sk.encrypt_at(&[1000.0, -900.0, 17.0, 1.0], 3, None, &mut s.rng)
            .unwrap();
    let big = s.ev.square(&ct).unwrap();
    assert_eq!(s.sk.decrypt(&big), Err(Error::Decryption));
}

/// Without a level above the base, where there is no further prime to notice it by.
#[test]
fn results_beyond_the_range_at_the_bottom_are_refused() {
    let params = Params::builder().insecure_degree(1 << 9).build().unwrap();
    let mut s = setup(params, &[]);
    for value in [30.0, 40.0, 100.0, 300.0] {
        let values: Vec<f64> = (0..256).map(|k| value + f64::from(k) / 64.0).collect();
        let ct = s.sk.encrypt_at(&values, 1, None, &mut s.rng).unwrap();
        let squared = s.sk.decrypt(&s.ev.square(&ct).unwrap());
        assert!((value + 4.0) * (value + 4.0) < s.params.capacity());
        if (value + 4.0) * (value + 4.0) > 1.25 * 1024.0 {
            assert_eq!(squared, Err(Error::Decryption), "{value}");
        }
    }
}

/// Intermediate values beyond the range do no harm above the bottom, and the bounds tell of them: they are not those of the
/// range.
#[test]
fn bounds_hold_where_intermediate_values_leave_the_range() {
    let mut s = setup(toy(4), &[]);
    let values: Vec<f64> = (0..256).map(|k| f64::from(k) / 8.0).collect();
    let x = s.sk.encrypt_at(&values, 4, Some(32.0), &mut s.rng).unwrap();
    let large = s.ev.mul_scalar(&x, 1000.0).unwrap();
    let small =
        s.ev.mul_scalar(&s.ev.square(&large).unwrap(), 1e-6)
            .unwrap();
    assert!(s.ev.magnitude_bound(&small) >= 1023.0);
    let bound = s.ev.error_bound(&small);
    for (got, v) in s.sk.decrypt(&small).unwrap().iter().zip(&values) {
        assert!(
            (got - v * v).abs() <= bound,
            "{got} for {}, bound {bound:e}",
            v * v
        );
    }
}

/// Scales of just over the largest prime are products of two small ones, of which there are few at the largest degree.
#[test]
fn too_few_primes_are_an_error_of_depth_and_precision() {
    let deep = |bits| Params::builder().depth(36).precision_bits(bits).build();
    assert!(matches!(
        deep(30),
        Err(Error::Parameter {
            what: "depth and precision",
            ..
        })
    ));
    assert_eq!(deep(25).unwrap().depth(), 36);
}

#[test]
fn bounds_stay_finite_in_deep_computations_without_declared_magnitudes() {
    let mut s = setup(toy(12), &[]);
    let mut ct = s.sk.encrypt_at(&[0.5; 256], 12, None, &mut s.rng).unwrap();
    for _ in 0..12 {
        ct = s.ev.square(&ct).unwrap();
        assert!(s.ev.error_bound(&ct).is_finite() && s.ev.magnitude_bound(&ct).is_finite());
    }
    use cipherblas_scheme::Wire;
    s.ev.read_ciphertext(&s.ev.write_ciphertext(&ct)).unwrap();
}
