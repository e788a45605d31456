//! The scheme through its capability traits: known answers, bounds, depth, refusals.

use cipherblas_paillier::{Blinding, Ciphertext, Error, Evaluator, Params, PublicKey, SecretKey};
use cipherblas_scheme::{
    Add, AddPlain, AdditiveKey, Combine, Decrypt, Encrypt, ErrorBound, Guarded, Mul, MulPlain,
    Rotate, Scheme, WeightMatrix,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Small and fast, without security.
fn params(depth: usize) -> Params {
    Params::builder()
        .insecure_bits(512)
        .fraction_bits(20)
        .integer_bits(12)
        .value_bits(4)
        .depth(depth)
        .build()
        .unwrap()
}

struct Setup {
    key: SecretKey,
    public: PublicKey,
    server: Evaluator,
    rng: ChaCha20Rng,
}

fn setup(params: &Params) -> Setup {
    let mut rng = rng(11);
    let key = SecretKey::generate(params, &mut rng).unwrap();
    let public = key.public_key();
    let server = public.evaluator();
    Setup {
        key,
        public,
        server,
        rng,
    }
}

impl Setup {
    fn encrypt(&mut self, values: &[f64]) -> Ciphertext {
        let depth = self.server.max_depth();
        self.key
            .encrypt_at(values, depth, Some(4.0), &mut self.rng)
            .unwrap()
    }
    /// The decrypted slots are the expected ones, within the ciphertext's own bound, and that bound is at most `largest`.
    fn expect(&self, ct: &Ciphertext, expected: &[f64], largest: f64) {
        let bound = self.server.error_bound(ct);
        assert!(bound <= largest, "bound {bound:e}, at most {largest:e}");
        let got = self.key.decrypt(ct).unwrap();
        assert_eq!(got.len(), self.server.slots());
        for (i, (x, y)) in got.iter().zip(expected.iter().cycle()).enumerate() {
            assert!(
                (x - y).abs() <= bound,
                "slot {i}: {x}, expected {y} up to {bound:e}"
            );
            assert!(y.abs() <= self.server.magnitude_bound(ct));
        }
    }
}

#[test]
fn known_answers() {
    let params = params(1);
    assert_eq!((params.slot_width(), params.slots()), (2 + 12 + 40, 8));
    let mut s = setup(&params);
    let x = [1.5, -2.25, 0.0, 3.0, -4.0, 0.5, 4.0, -0.125];
    let y = [0.25, 1.0, -1.0, -3.0, -4.0, 2.0, 4.0, 0.125];
    let (a, b) = (
        s.encrypt(&x),
        s.public.encrypt_at(&y, 1, Some(4.0), &mut rng(3)).unwrap(),
    );
    // Everything here is a multiple of 2^-20: exact but for the bound's half units.
    let zip =
        |f: fn(f64, f64) -> f64| -> Vec<f64> { x.iter().zip(&y).map(|(a, b)| f(*a, *b)).collect() };
    let exact = |ct: &Ciphertext, expected: &[f64]| {
        s.expect(ct, expected, 2f64.powi(-15));
        assert_eq!(s.key.decrypt(ct).unwrap(), expected);
    };
    let ev = &s.server;
    exact(&a, &x);
    exact(&b, &y);
    exact(&ev.add(&a, &b).unwrap(), &zip(|a, b| a + b));
    exact(&ev.sub(&a, &b).unwrap(), &zip(|a, b| a - b));
    exact(&ev.negate(&a).unwrap(), &x.map(|a| -a));
    exact(&ev.add_plain(&a, &y).unwrap(), &zip(|a, b| a + b));
    exact(&ev.add_plain(&a, &[-0.5]).unwrap(), &x.map(|a| a - 0.5));
    exact(&ev.mul_plain(&a, &[-1.25]).unwrap(), &x.map(|a| a * -1.25));
    exact(&ev.mul_scalar(&a, -7.0).unwrap(), &x.map(|a| a * -7.0));
    exact(&ev.mul_scalar(&a, 0.0).unwrap(), &[0.0; 8]);
    exact(&ev.sum(&[&a, &b, &a]).unwrap(), &zip(|a, b| a + b + a));
    let weights = [0.5, -2.0, 0.0, 0.0, 1.25, 3.0];
    let out = ev
        .combine(WeightMatrix::new(3, 2, &weights).unwrap(), &[&a, &b])
        .unwrap();
    exact(&out[0], &zip(|a, b| 0.5 * a - 2.0 * b));
    exact(&out[1], &[0.0; 8]);
    exact(&out[2], &zip(|a, b| 1.25 * a + 3.0 * b));
}

#[test]
fn depth_falls_by_products_with_fractions_and_by_lowering() {
    let params = params(2);
    let mut s = setup(&params);
    let a = s.encrypt(&[1.5, -0.75]);
    let ev = s.server.clone();
    assert_eq!((params.exponent(2), params.exponent(0)), (20, 60));
    let half = ev.mul_plain(&a, &[0.5]).unwrap();
    assert_eq!((ev.depth(&a), ev.depth(&half)), (2, 1));
    assert_eq!(ev.depth(&ev.mul_scalar(&a, 3.0).unwrap()), 2);
    assert_eq!(ev.depth(&ev.mul_scalar(&a, 0.5).unwrap()), 1);
    // Operands of different depth meet at the smaller one, without loss.
    let low = ev.lower_to(&a, 0).unwrap();
    s.expect(&low, &[1.5, -0.75], 2f64.powi(-20));
    let mixed = ev.sum(&[&a, &low, &half, &a]).unwrap();
    assert_eq!(ev.depth(&mixed), 0);
    s.expect(&mixed, &[3.5 * 1.5, -3.5 * 0.75], 2f64.powi(-18));
    s.expect(&ev.sub(&half, &a).unwrap(), &[-0.75, 0.375], 2f64.powi(-18));
    // One rescaling however far, with a weight finer than one level's.
    let third = ev.mul_scalar_to(&a, 1.0 / 3.0, 0).unwrap();
    s.expect(&third, &[0.5, -0.25], 2f64.powi(-21));
    assert_eq!(ev.depth(&third), 0);
    let out = ev
        .combine(WeightMatrix::new(1, 2, &[1.0, 0.5]).unwrap(), &[&a, &half])
        .unwrap();
    assert_eq!(ev.depth(&out[0]), 0);
    s.expect(&out[0], &[1.875, -0.9375], 2f64.powi(-18));

    for (what, result) in [
        ("mul_plain", ev.mul_plain(&low, &[0.5])),
        ("mul_scalar", ev.mul_scalar(&low, 0.5)),
        ("lower_to", ev.lower_to(&half, 2)),
        ("mul_scalar_to", ev.mul_scalar_to(&half, 0.5, 1)),
        (
            "combine",
            ev.combine(WeightMatrix::new(1, 1, &[1.0]).unwrap(), &[&low])
                .map(|mut o| o.remove(0)),
        ),
        ("encrypt_at", s.key.encrypt_at(&[1.0], 3, None, &mut rng(1))),
    ] {
        assert!(
            matches!(result, Err(Error::Depth { .. })),
            "{what}: {result:?}"
        );
    }
    let fresh = s.key.encrypt_at(&[0.3], 0, None, &mut rng(1)).unwrap();
    s.expect(&fresh, &[0.3], 2f64.powi(-41));
}

#[test]
fn overflow_is_refused_by_bounds_before_it_happens() {
    let mut s = setup(&params(1));
    let ev = s.server.clone();
    let capacity = 4096.0;
    // 1024 terms of bound 4 fill the range exactly; one more does not fit.
    let a = s.encrypt(&[4.0, -4.0]);
    let full = ev.mul_scalar(&a, 1024.0).unwrap();
    s.expect(&full, &[capacity, -capacity], 2f64.powi(-10));
    assert_eq!(ev.magnitude_bound(&full), capacity);
    let terms = vec![&a; 1024];
    s.expect(
        &ev.sum(&terms).unwrap(),
        &[capacity, -capacity],
        2f64.powi(-10),
    );
    let too_many = vec![&a; 1025];
    let wide = [1.0, 1.0];
    for result in [
        ev.sum(&too_many),
        ev.add(&full, &a),
        ev.sub(&full, &a),
        ev.add_plain(&full, &[0.5]),
        ev.mul_scalar(&full, 1.5),
        ev.mul_scalar(&full, -2.0),
        ev.mul_plain(&full, &[1.0 + 2f64.powi(-20)]),
        ev.combine(WeightMatrix::new(1, 2, &wide).unwrap(), &[&full, &a])
            .map(|mut out| out.remove(0)),
    ] {
        match result {
            Err(Error::Overflow { capacity, .. }) => assert_eq!(capacity, "4096"),
            other => panic!("expected an overflow, got {other:?}"),
        }
    }
    // The bound of fresh values is such that sums of them fit.
    let fresh = s.key.encrypt_at(&[1.0], 1, None, &mut s.rng).unwrap();
    assert_eq!(ev.magnitude_bound(&fresh), 16.0);
    assert_eq!(s.key.params().terms(), 256);
}

#[test]
fn values_shapes_and_keys_that_do_not_fit_are_refused() {
    let mut s = setup(&params(1));
    let ev = s.server.clone();
    let a = s.encrypt(&[1.0]);
    for bad in [f64::NAN, f64::INFINITY, 17.0, -17.0] {
        let result = s.key.encrypt_at(&[0.0, bad], 1, None, &mut s.rng);
        assert!(
            matches!(result, Err(Error::Value { index: 1, .. })),
            "{bad}"
        );
    }
    for bound in [0.0, -1.0, f64::NAN, 4097.0] {
        let result = s.key.encrypt_at(&[0.0], 1, Some(bound), &mut s.rng);
        assert!(
            matches!(result, Err(Error::Parameter { what: "bound", .. })),
            "{bound}"
        );
    }
    assert!(matches!(
        ev.add_plain(&a, &[4097.0]),
        Err(Error::Value { .. })
    ));
    for result in [ev.mul_scalar(&a, f64::NAN), ev.mul_plain(&a, &[1e300])] {
        assert!(matches!(result, Err(Error::Value { index: 0, .. })));
    }
    for values in [vec![], vec![1.0; 3], vec![1.0; 16]] {
        assert!(matches!(
            ev.add_plain(&a, &values),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            s.key.encrypt_at(&values, 1, None, &mut s.rng),
            Err(Error::Shape { .. })
        ));
    }
    assert!(matches!(
        ev.mul_plain(&a, &[1.0, 2.0]),
        Err(Error::Unsupported {
            scheme: "paillier",
            ..
        })
    ));
    assert!(ev.mul_plain(&a, &[2.0, 2.0]).is_ok());
    assert!(matches!(ev.sum(&[]), Err(Error::Shape { .. })));
    let weights = [1.0, 2.0];
    assert!(matches!(
        ev.combine(WeightMatrix::new(1, 2, &weights).unwrap(), &[&a]),
        Err(Error::Shape { .. })
    ));
    let one = ev.prepare(&[1.0], 1).unwrap();
    assert!(matches!(
        ev.mul_prepared(&[&a, &a], &[&one]),
        Err(Error::Shape { .. })
    ));

    let other = SecretKey::generate(s.key.params(), &mut s.rng).unwrap();
    let foreign = other.encrypt_at(&[1.0], 1, None, &mut s.rng).unwrap();
    for result in [
        ev.add(&a, &foreign),
        ev.negate(&foreign),
        ev.sum(&[&a, &foreign]),
    ] {
        assert!(matches!(result, Err(Error::KeyMismatch { .. })));
    }
    assert!(matches!(
        s.key.decrypt(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let finer = Params::builder()
        .insecure_bits(512)
        .fraction_bits(21)
        .integer_bits(12)
        .build()
        .unwrap();
    let unlike = PublicKey::from_modulus(&finer, s.public.key().n()).unwrap();
    assert!(matches!(
        unlike.evaluator().negate(&a),
        Err(Error::KeyMismatch { .. })
    ));
    let plain = unlike.evaluator().prepare(&[1.0], 1).unwrap();
    assert!(matches!(
        ev.mul_prepared(&[&a], &[&plain]),
        Err(Error::KeyMismatch { .. })
    ));
}

#[test]
fn one_slot_multiplies_with_anything_and_none_without_slots_of_its_own() {
    let params = Params::builder()
        .insecure_bits(512)
        .slots(1)
        .build()
        .unwrap();
    let mut s = setup(&params);
    let cts: Vec<Ciphertext> = [0.1, -0.2, 0.3].iter().map(|&x| s.encrypt(&[x])).collect();
    let ev = s.server.clone();
    let plains: Vec<_> = [1.5, 2.0 / 3.0, -1e-3]
        .iter()
        .map(|&w| ev.prepare(&[w], 1).unwrap())
        .collect();
    let dot = ev
        .mul_prepared(
            &cts.iter().collect::<Vec<_>>(),
            &plains.iter().collect::<Vec<_>>(),
        )
        .unwrap();
    s.expect(&dot, &[0.15 - 0.4 / 3.0 - 3e-4], 2f64.powi(-28));
}

#[test]
fn blinding_changes_the_ciphertext_and_not_the_values() {
    let mut s = setup(&params(1));
    let a = s.encrypt(&[1.0, 2.0]);
    let weighted = s.server.mul_plain(&a, &[0.75]).unwrap();
    let again = s.server.mul_plain(&a, &[0.75]).unwrap();
    assert_eq!(
        weighted.element(),
        again.element(),
        "computations are deterministic"
    );
    for blinding in [Blinding::Full, Blinding::ShortExponent] {
        let server = s.server.clone().with_blinding(blinding);
        let fresh = server.rerandomize(&weighted, &mut s.rng).unwrap();
        assert_ne!(fresh.element(), weighted.element());
        s.expect(&fresh, &[0.75, 1.5], 2f64.powi(-18));
        let public = s.public.clone().with_blinding(blinding);
        let ct = public.encrypt_at(&[0.5], 1, None, &mut s.rng).unwrap();
        s.expect(&ct, &[0.5], 2f64.powi(-20));
    }
    // The bounds of a product tell the weight; sanitized ones are what the server says.
    let clean = s
        .server
        .sanitize(&weighted, 100.0, 0.01, &mut s.rng)
        .unwrap();
    assert_eq!(s.server.magnitude_bound(&clean), 100.0);
    assert!(s.server.error_bound(&clean) >= 0.01);
    assert_ne!(clean.element(), weighted.element());
    assert_eq!(
        s.key.decrypt(&clean).unwrap(),
        s.key.decrypt(&weighted).unwrap()
    );
    for (magnitude, error) in [(1.0, 0.01), (100.0, 0.0), (1e9, 0.01), (f64::NAN, 0.01)] {
        assert!(matches!(
            s.server.sanitize(&weighted, magnitude, error, &mut s.rng),
            Err(Error::Parameter { .. })
        ));
    }
}

#[test]
fn shared_results_are_exact_and_follow_the_owners_bound() {
    let mut s = setup(&params(1));
    let a = s.encrypt(&[0.3]);
    let declared = s.server.error_bound(&a);
    let shared = s.key.decrypt_shared(&a, declared, &mut s.rng).unwrap();
    assert_eq!(shared, s.key.decrypt(&a).unwrap());
    for bound in [declared / 2.0, f64::NAN, -1.0] {
        assert!(matches!(
            s.key.decrypt_shared(&a, bound, &mut s.rng),
            Err(Error::Parameter { what: "bound", .. })
        ));
    }
}

#[test]
fn parameters_from_the_job() {
    let params = Params::builder()
        .bits(3072)
        .fraction_bits(32)
        .build()
        .unwrap();
    assert_eq!((params.slots(), params.slot_width()), (32, 95));
    assert_eq!(
        (params.integer_bits(), params.value_bits(), params.terms()),
        (29, 10, 1 << 19)
    );
    let params = Params::builder().bits(2048).depth(0).build().unwrap();
    assert_eq!(
        (params.slots(), params.ciphertext_bytes() / params.slots()),
        (32, 16)
    );
    let params = Params::builder().slots(1).terms(1000).build().unwrap();
    assert_eq!((params.slots(), params.integer_bits()), (1, 20));
    assert_eq!(
        Params::builder().terms(1).build().unwrap().integer_bits(),
        10
    );
    assert_eq!(
        Params::builder()
            .terms(1024)
            .build()
            .unwrap()
            .integer_bits(),
        20
    );
    assert_eq!(
        Params::builder()
            .terms(1025)
            .build()
            .unwrap()
            .integer_bits(),
        21
    );

    let b = Params::builder;
    for (what, builder) in [
        ("bits", b().bits(1024)),
        ("bits", b().bits(2112)),
        ("bits", b().bits(16384)),
        ("bits", b().insecure_bits(128)),
        ("fraction_bits", b().fraction_bits(65)),
        ("integer_bits", b().integer_bits(0)),
        ("integer_bits", b().integer_bits(61)),
        ("value_bits", b().value_bits(20).integer_bits(19)),
        ("depth", b().depth(17)),
        ("depth", b().depth(usize::MAX)),
        ("slots", b().slots(3)),
        ("slots", b().slots(0)),
        ("slots", b().slots(64)),
        ("terms", b().terms(0)),
        ("terms", b().terms(2).integer_bits(20)),
        ("integer_bits", b().terms(u64::MAX)),
        (
            "fraction_bits, integer_bits and depth",
            b().insecure_bits(256).fraction_bits(64).depth(4),
        ),
    ] {
        match builder.build() {
            Err(Error::Parameter { what: got, .. }) => assert_eq!(got, what),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(
        b().insecure_bits(512)
            .build()
            .unwrap()
            .to_string()
            .contains("INSECURE")
    );
    assert!(!b().build().unwrap().to_string().contains("INSECURE"));
}

#[test]
fn secrets_are_not_shown() {
    let s = setup(&params(1));
    let shown = format!("{:?} {:?} {:?}", s.key, s.public, s.server);
    let (p, q) = s.key.key().primes();
    for word in p.iter().chain(q.iter()).filter(|w| **w != 0) {
        assert!(!shown.contains(&word.to_string()));
        assert!(!shown.contains(&format!("{word:x}")));
    }
    assert!(shown.contains("redacted"));
}

#[test]
fn a_key_of_the_default_size_works() {
    let params = Params::builder().bits(2048).build().unwrap();
    let mut s = setup(&params);
    let values: Vec<f64> = (0..params.slots()).map(|i| i as f64 / 3.0 - 2.0).collect();
    let a = s.encrypt(&values);
    let b = s
        .public
        .encrypt_at(&values, 1, Some(4.0), &mut s.rng)
        .unwrap();
    let out = s
        .server
        .combine(WeightMatrix::new(1, 2, &[0.5, -1.25]).unwrap(), &[&a, &b])
        .unwrap();
    let expected: Vec<f64> = values.iter().map(|x| -0.75 * x).collect();
    s.expect(&out[0], &expected, 2f64.powi(-28));
}

/// For callers that choose the scheme when the program runs: products and rotations are refused by name, the rest is the same.
#[test]
fn only_sums_under_the_interface_of_all_schemes() {
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    for slots in [1, 4] {
        let params = Params::builder()
            .insecure_bits(512)
            .fraction_bits(20)
            .integer_bits(12)
            .value_bits(4)
            .slots(slots)
            .build()
            .unwrap();
        let secret = SecretKey::generate(&params, &mut rng).unwrap();
        let key = AdditiveKey::new(&secret);
        let evaluator = Guarded::new(key.scheme());
        let values: Vec<f64> = (0..slots).map(|i| i as f64 / 4.0).collect();
        let x = key.encrypt_at(&values, 1, Some(1.0), &mut rng).unwrap();
        for (operation, found) in [
            ("mul", evaluator.mul(&x, &x)),
            ("square", evaluator.square(&x)),
            ("mul_sum", evaluator.mul_sum(&[&x], &[&x])),
        ] {
            let error = found.err();
            assert_eq!(
                error,
                Some(Error::Unsupported {
                    scheme: "paillier",
                    operation,
                    hint: "use BFV or CKKS for products of encrypted values",
                })
            );
        }
        assert_eq!(evaluator.can_rotate(1), slots == 1);
        if slots > 1 {
            let error = evaluator.rotate(&x, 1).err();
            assert_eq!(
                error,
                Some(Error::Unsupported {
                    scheme: "paillier",
                    operation: "rotate",
                    hint: "slots cannot be rotated: encrypt one value to a ciphertext",
                })
            );
        }
        let twice: Vec<f64> = values.iter().map(|v| 2.0 * v).collect();
        let sum = evaluator.rotate_sum(&[&x, &x], &[0, slots as i64]).unwrap();
        assert_eq!(key.decrypt(&sum).unwrap(), twice);
        let copy = evaluator.rotate(&x, slots as i64).unwrap();
        assert_eq!(key.decrypt(&copy).unwrap(), values);
    }
}

#[test]
fn key_generation_can_be_stopped() {
    use std::ops::ControlFlow;
    let params = Params::builder().bits(2048).build().unwrap();
    let mut looks = 0;
    let stopped =
        SecretKey::generate_with_progress(&params, &mut ChaCha20Rng::seed_from_u64(1), || {
            looks += 1;
            if looks < 3 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
    assert!(matches!(stopped, Err(Error::Interrupted)));
    assert_eq!(looks, 3);
}

#[test]
fn fingerprints_bind_parameters() {
    let s = setup(&params(1));
    let other = Params::builder()
        .insecure_bits(512)
        .fraction_bits(16)
        .integer_bits(12)
        .value_bits(4)
        .depth(1)
        .build()
        .unwrap();
    let same = PublicKey::from_bytes(s.public.params(), &s.public.to_bytes()).unwrap();
    assert_eq!(same.fingerprint(), s.public.fingerprint());
    let modulus = s.public.key().n();
    let elsewhere = PublicKey::from_modulus(&other, modulus).unwrap();
    assert_eq!(elsewhere.id(), s.public.id());
    assert_ne!(elsewhere.fingerprint(), s.public.fingerprint());
}
