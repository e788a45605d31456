//! `ClearScheme` keeps the rules of an encrypted scheme.

use cipherblas_scheme::{
    Add, AddPlain, ClearCiphertext, ClearScheme, Combine, Decrypt, Encrypt, Error, ErrorBound,
    KeySet, Mul, MulPlain, Rotate, Scheme, WeightMatrix, Wire,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn scheme() -> ClearScheme {
    ClearScheme::new(8, 3).unwrap()
}

fn encrypt(scheme: &ClearScheme, values: &[f64], depth: usize) -> ClearCiphertext {
    scheme
        .key()
        .encrypt_at(values, depth, None, &mut ChaCha20Rng::seed_from_u64(7))
        .unwrap()
}

#[test]
fn slots_are_a_power_of_two() {
    for slots in [0, 3, 12] {
        assert!(matches!(
            ClearScheme::new(slots, 1),
            Err(Error::Parameter { what: "slots", .. })
        ));
    }
}

#[test]
fn plain_operands_repeat_periodically() {
    let s = scheme();
    let x = encrypt(&s, &[1.0, 2.0], 3);
    assert_eq!(x.slots(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    let y = s.add_plain(&x, &[0.0, 0.0, 10.0, 10.0]).unwrap();
    assert_eq!(y.slots(), [1.0, 2.0, 11.0, 12.0, 1.0, 2.0, 11.0, 12.0]);
    let y = s.mul_plain(&x, &[1.0, -1.0]).unwrap();
    assert_eq!(y.slots(), [1.0, -2.0, 1.0, -2.0, 1.0, -2.0, 1.0, -2.0]);
    for len in [0, 3, 16] {
        assert!(matches!(
            s.add_plain(&x, &vec![1.0; len]),
            Err(Error::Shape {
                operation: "add_plain",
                ..
            })
        ));
        assert!(matches!(
            s.prepare(&vec![1.0; len], 3),
            Err(Error::Shape {
                operation: "prepare",
                ..
            })
        ));
    }
}

#[test]
fn values_are_finite_and_within_the_bound() {
    let s = scheme();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let values = [0.0, bad];
        assert!(matches!(
            s.key().encrypt_at(&values, 3, None, &mut rng),
            Err(Error::Value { index: 1, .. })
        ));
        assert!(matches!(
            s.prepare(&values, 3),
            Err(Error::Value { index: 1, .. })
        ));
        assert!(matches!(
            s.add_plain(&encrypt(&s, &[1.0], 3), &values),
            Err(Error::Value { index: 1, .. })
        ));
    }
    assert!(matches!(
        s.key().encrypt_at(&[0.5, 2.0], 3, Some(1.0), &mut rng),
        Err(Error::Value { index: 1, .. })
    ));
    assert!(matches!(
        s.key().encrypt_at(&[1.0], 4, None, &mut rng),
        Err(Error::Depth {
            needed: 4,
            left: 3,
            ..
        })
    ));
}

#[test]
fn multiplications_consume_one_level_each() {
    let s = scheme();
    let x = encrypt(&s, &[2.0], 2);
    assert_eq!(s.depth(&s.add(&x, &encrypt(&s, &[1.0], 3)).unwrap()), 2);
    assert_eq!(s.depth(&s.mul(&x, &encrypt(&s, &[1.0], 3)).unwrap()), 1);
    assert_eq!(s.depth(&s.mul_scalar(&x, 3.0).unwrap()), 1);
    let weights = [1.0, 2.0, 3.0, 4.0];
    let out = s
        .combine(WeightMatrix::new(2, 2, &weights).unwrap(), &[&x, &x])
        .unwrap();
    assert_eq!(
        (s.depth(&out[0]), out[0].slots()[0], out[1].slots()[0]),
        (1, 6.0, 14.0)
    );
    let flat = s.lower_to(&x, 0).unwrap();
    let bottom = |e: Error| {
        matches!(
            e,
            Error::Depth {
                needed: 1,
                left: 0,
                ..
            }
        )
    };
    assert!(bottom(s.mul(&flat, &x).unwrap_err()));
    assert!(bottom(s.square(&flat).unwrap_err()));
    assert!(bottom(s.mul_plain(&flat, &[1.0]).unwrap_err()));
    assert!(bottom(
        s.combine(WeightMatrix::new(1, 1, &[1.0]).unwrap(), &[&flat])
            .unwrap_err()
    ));
    assert!(matches!(
        s.lower_to(&flat, 1),
        Err(Error::Depth {
            needed: 1,
            left: 0,
            ..
        })
    ));
    let plain = s.prepare(&[1.0], 3).unwrap();
    assert!(matches!(
        s.mul_prepared(&[&x], &[&plain]),
        Err(Error::Depth {
            needed: 3,
            left: 2,
            ..
        })
    ));
}

#[test]
fn rotations_need_their_keys() {
    let s = scheme().with_rotations(Some(&[1, -2]));
    let x = encrypt(&s, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 3);
    assert_eq!(
        s.rotate(&x, 1).unwrap().slots(),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0]
    );
    assert_eq!(
        s.rotate(&x, 6).unwrap().slots(),
        s.rotate(&x, -2).unwrap().slots()
    );
    assert_eq!(s.rotate(&x, 16).unwrap(), x);
    assert!(s.can_rotate(-7) && s.can_rotate(0) && !s.can_rotate(2));
    let e = s.rotate(&x, 3).unwrap_err();
    assert_eq!(
        e,
        Error::MissingKey {
            operation: "rotate",
            key: "Galois key for rotation by 3".into()
        }
    );
    assert!(matches!(
        s.rotate_many(&x, &[1, 3]),
        Err(Error::MissingKey { .. })
    ));
    assert!(matches!(
        s.rotate_sum(&[&x], &[3]),
        Err(Error::MissingKey { .. })
    ));
    let set = KeySet {
        rotations: [9, -2].into(),
        ..KeySet::default()
    };
    let listed = s.clone().with_keys(&set);
    assert!(listed.can_rotate(1) && listed.can_rotate(6) && !listed.can_rotate(2));
    assert!(matches!(listed.square(&x), Err(Error::MissingKey { .. })));
    let keyless = s.key().scheme();
    assert!(matches!(
        keyless.rotate(&x, 1),
        Err(Error::MissingKey { .. })
    ));
    assert!(matches!(keyless.mul(&x, &x), Err(Error::MissingKey { .. })));
    assert_eq!(keyless.add(&x, &x).unwrap().slots()[1], 2.0);
}

#[test]
fn keys_do_not_mix() {
    let (s, other) = (scheme(), scheme().with_key(2));
    let (x, y) = (encrypt(&s, &[1.0], 3), encrypt(&other, &[1.0], 3));
    let foreign = |e: Error| matches!(e, Error::KeyMismatch { .. });
    assert!(foreign(s.add(&x, &y).unwrap_err()));
    assert!(foreign(s.mul(&y, &x).unwrap_err()));
    assert!(foreign(s.check(&y).unwrap_err()));
    assert!(foreign(s.rotate(&y, 0).unwrap_err()));
    assert!(foreign(s.key().decrypt(&y).unwrap_err()));
    let smaller = ClearScheme::new(4, 3).unwrap();
    assert!(foreign(s.check(&encrypt(&smaller, &[1.0], 3)).unwrap_err()));
}

#[test]
fn operations_are_counted() {
    let s = scheme();
    let x = encrypt(&s, &[1.0], 3);
    s.sum(&[&x, &x, &x]).unwrap();
    s.mul_sum(&[&x, &x], &[&x, &x]).unwrap();
    s.rotate(&x, 8).unwrap();
    s.rotate(&x, 1).unwrap();
    s.rotate_many(&x, &[0, 1, 2]).unwrap();
    s.rotate_sum(&[&x, &x], &[3, 4]).unwrap();
    s.combine(WeightMatrix::new(3, 2, &[1.0; 6]).unwrap(), &[&x, &x])
        .unwrap();
    s.mul_plain(&x, &[1.0]).unwrap();
    let c = s.counts();
    assert_eq!(
        (c.additions, c.multiplications, c.relinearizations),
        (3, 2, 1)
    );
    assert_eq!(
        (
            c.rotations,
            c.hoisted_rotations,
            c.summed_rotations,
            c.all_rotations()
        ),
        (1, 2, 2, 5)
    );
    assert_eq!(
        (c.combines, c.combined_products, c.plain_multiplications),
        (1, 6, 1)
    );
    s.clone().reset_counts();
    assert_eq!(s.counts(), Default::default());
}

#[test]
fn sums_are_not_empty_or_ragged() {
    let s = scheme();
    let x = encrypt(&s, &[1.0], 3);
    let plain = s.prepare(&[1.0], 3).unwrap();
    let shape = |e: Error| matches!(e, Error::Shape { .. });
    assert!(shape(s.sum(&[]).unwrap_err()));
    assert!(shape(s.mul_sum(&[], &[]).unwrap_err()));
    assert!(shape(s.mul_sum(&[&x], &[&x, &x]).unwrap_err()));
    assert!(shape(s.mul_prepared(&[&x, &x], &[&plain]).unwrap_err()));
    assert!(shape(s.rotate_sum(&[&x], &[]).unwrap_err()));
    assert!(shape(
        s.combine(WeightMatrix::new(1, 2, &[1.0; 2]).unwrap(), &[&x])
            .unwrap_err()
    ));
    assert!(shape(WeightMatrix::new(2, 2, &[1.0; 3]).unwrap_err()));
    assert!(shape(WeightMatrix::<f64>::new(0, 2, &[]).unwrap_err()));
}

#[test]
fn magnitudes_follow_the_operations() {
    let s = scheme();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let x = s.key().encrypt_at(&[0.5], 3, Some(2.0), &mut rng).unwrap();
    assert_eq!(s.magnitude_bound(&x), 2.0);
    assert_eq!(s.magnitude_bound(&s.square(&x).unwrap()), 4.0);
    assert_eq!(s.magnitude_bound(&s.add_plain(&x, &[-3.0]).unwrap()), 5.0);
    assert_eq!(
        s.magnitude_bound(&s.mul_plain(&x, &[-3.0, 1.0]).unwrap()),
        6.0
    );
    assert_eq!(s.error_bound(&x), 0.0);
    let third = s.mul_scalar(&x, 1.0 / 3.0).unwrap();
    assert!(s.error_bound(&third) > 0.0 && s.error_bound(&third) < 1e-15);
}

#[test]
fn bounds_that_overflow_stay_numbers() {
    let s = ClearScheme::new(2, 3).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let x = s
        .key()
        .encrypt_at(&[1.0], 3, Some(1e300), &mut rng)
        .unwrap();
    let y = s
        .mul(&s.square(&x).unwrap(), &s.square(&x).unwrap())
        .unwrap();
    let y = s.add(&y, &y).unwrap();
    assert_eq!(
        (s.magnitude_bound(&y), s.error_bound(&y)),
        (f64::MAX, f64::MAX)
    );
    assert_eq!(s.read_ciphertext(&s.write_ciphertext(&y)).unwrap(), y);
}

#[test]
fn used_keys_and_depth_are_recorded() {
    let s = scheme();
    let x = encrypt(&s, &[1.0], 3);
    assert_eq!((s.used_keys(), s.used_depth()), (KeySet::default(), 0));
    s.rotate_many(&x, &[0, 1, 9]).unwrap();
    s.rotate_sum(&[&x, &x], &[-2, 8]).unwrap();
    let rotations = KeySet {
        rotations: [1, 6].into(),
        ..KeySet::default()
    };
    assert_eq!((s.used_keys(), s.used_depth()), (rotations, 0));
    let y = s.square(&x).unwrap();
    s.mul_plain(&y, &[1.0]).unwrap();
    s.rotate(&y, -1).unwrap();
    let all = KeySet {
        relinearization: true,
        rotations: [1, 6, 7].into(),
        conjugation: false,
    };
    assert_eq!((s.used_keys(), s.used_depth()), (all, 2));
    s.lower_to(&y, 0).unwrap();
    assert_eq!(s.used_depth(), 3);
    s.reset_counts();
    assert_eq!((s.used_keys(), s.used_depth()), (KeySet::default(), 0));
}
