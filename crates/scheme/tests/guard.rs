//! Evaluators that can be stopped and rotate by every step, and evaluators that only add.

use cipherblas_scheme::{
    Add, AddPlain, AdditiveKey, AdditiveOnly, ClearCiphertext, ClearScheme, Combine, Decrypt,
    Encrypt, Error, ErrorBound, Guarded, GuardedKey, KeySet, Mul, MulPlain, Rotate, Scheme, Watch,
    WeightMatrix, Wire, conformance,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(9)
}

fn ramp(scheme: &ClearScheme) -> (ClearCiphertext, Vec<f64>) {
    let values: Vec<f64> = (0..scheme.slots()).map(|i| i as f64).collect();
    let ct = scheme
        .key()
        .encrypt_at(&values, scheme.max_depth(), None, &mut rng())
        .unwrap();
    (ct, values)
}

#[test]
fn guarded_conforms() {
    for (slots, depth) in [(8, 2), (64, 4)] {
        let scheme = ClearScheme::new(slots, depth)
            .unwrap()
            .with_keys(&conformance::required_keys(slots));
        let watch = Arc::new(Watch::new());
        let (key, other) = (scheme.key(), scheme.clone().with_key(2).key());
        conformance::Suite {
            key: &GuardedKey::new(&key, watch.clone()),
            evaluator: &Guarded::new(scheme).with_watch(watch.clone()),
            other: &GuardedKey::new(&other, watch.clone()),
            precision: 1e-13,
            shared_precision: 1e-13,
        }
        .run(&mut rng());
        assert!(watch.operations() > 100);
    }
}

/// With the keys of powers of two alone, every step, one by one, many at once and summed.
#[test]
fn composed_rotations_are_the_direct_ones() {
    for slots in [2usize, 8, 32] {
        let full = ClearScheme::new(slots, 1).unwrap();
        let guarded = Guarded::new(full.clone().with_keys(&KeySet::powers_of_two(slots)));
        let (x, _) = ramp(&full);
        let steps: Vec<i64> = (-2 * slots as i64..=2 * slots as i64)
            .chain([i64::MIN, i64::MAX])
            .collect();
        let many = guarded.rotate_many(&x, &steps).unwrap();
        for (&step, from_many) in steps.iter().zip(&many) {
            let direct = full.rotate(&x, step).unwrap();
            assert_eq!(guarded.rotate(&x, step).unwrap(), direct, "{step}");
            assert_eq!(*from_many, direct, "{step} of many");
        }
        let y = full.negate(&full.rotate(&x, 1).unwrap()).unwrap();
        let cts: Vec<_> = (0..steps.len()).map(|i| [&x, &y][i % 2]).collect();
        assert_eq!(
            guarded.rotate_sum(&cts, &steps).unwrap().slots(),
            full.rotate_sum(&cts, &steps).unwrap().slots()
        );
        for step in 0..slots as i64 {
            assert_eq!(
                guarded.can_rotate(step),
                guarded.inner().can_rotate(step),
                "keys of their own only"
            );
        }
    }
}

#[test]
fn what_begins_alike_is_rotated_once() {
    let scheme = ClearScheme::new(32, 1).unwrap();
    let guarded = Guarded::new(scheme.clone().with_keys(&KeySet::powers_of_two(32)));
    let (x, _) = ramp(&scheme);
    // 3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2: beginnings 2 and 4, which are wanted themselves.
    scheme.reset_counts();
    guarded.rotate_many(&x, &[2, 3, 4, 5, 6, 3]).unwrap();
    assert_eq!(scheme.counts().hoisted_rotations, 5);
    assert_eq!(guarded.watch().operations(), 5);
    scheme.reset_counts();
    guarded
        .rotate_sum(&[&x, &x, &x, &x], &[1, 5, 6, 32])
        .unwrap();
    let counts = scheme.counts();
    assert_eq!((counts.hoisted_rotations, counts.summed_rotations), (1, 3));
    assert_eq!(counts.additions, 3);
    // Held steps go the fast way whole.
    scheme.reset_counts();
    guarded.rotate_many(&x, &[1, 2, -4]).unwrap();
    guarded.rotate_sum(&[&x, &x], &[1, 16]).unwrap();
    guarded.rotate(&x, 8).unwrap();
    let counts = scheme.counts();
    assert_eq!(
        (
            counts.hoisted_rotations,
            counts.summed_rotations,
            counts.rotations
        ),
        (3, 2, 1)
    );
}

#[test]
fn a_step_out_of_reach_is_what_the_error_names() {
    let scheme = ClearScheme::new(16, 1)
        .unwrap()
        .with_rotations(Some(&[1, -1, 8]));
    let (x, _) = ramp(&scheme);
    let guarded = Guarded::new(scheme);
    let missing = |operation| {
        Some(Error::MissingKey {
            operation,
            key: "Galois key for rotation by 6".into(),
        })
    };
    assert_eq!(guarded.rotate(&x, 6).err(), missing("rotate"));
    assert_eq!(
        guarded.rotate_many(&x, &[7, 6]).err(),
        Some(Error::MissingKey {
            operation: "rotate_many",
            key: "Galois key for rotation by 6".into()
        })
    );
    assert_eq!(
        guarded.rotate_sum(&[&x, &x], &[1, 6]).err(),
        missing("rotate_sum")
    );
    assert!(guarded.rotate(&x, 7).is_ok() && guarded.rotate_many(&x, &[7, 9]).is_ok());
    assert!(matches!(
        guarded.rotate_sum(&[&x], &[7, 9]),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        guarded.rotate_sum(&[], &[]),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn nothing_begins_once_stopped() {
    let scheme = ClearScheme::new(8, 2).unwrap();
    let (x, _) = ramp(&scheme);
    let key = scheme.key();
    let plain = scheme.prepare(&[2.0], 2).unwrap();
    let bytes = scheme.write_ciphertext(&x);
    let free = Guarded::new(scheme);
    let watch = Arc::new(Watch::new());
    let guarded = free.with_watch(watch.clone());
    watch.stop();
    assert!(watch.stopped());
    let weights = WeightMatrix::new(2, 1, &[1.0, 2.0]).unwrap();
    let results = [
        guarded.add(&x, &x).err(),
        guarded.sub(&x, &x).err(),
        guarded.negate(&x).err(),
        guarded.sum(&[&x]).err(),
        guarded.add_plain(&x, &[1.0]).err(),
        guarded.prepare(&[1.0], 1).err(),
        guarded.mul_prepared(&[&x], &[&plain]).err(),
        guarded.mul_plain(&x, &[1.0]).err(),
        guarded.mul_scalar(&x, 1.0).err(),
        guarded.mul_scalar_to(&x, 1.0, 0).err(),
        guarded.combine(weights, &[&x]).err(),
        guarded.mul(&x, &x).err(),
        guarded.square(&x).err(),
        guarded.mul_sum(&[&x], &[&x]).err(),
        guarded.rotate(&x, 1).err(),
        guarded.rotate_many(&x, &[1]).err(),
        guarded.rotate_sum(&[&x], &[1]).err(),
        guarded.lower_to(&x, 0).err(),
        guarded.read_ciphertext(&bytes).err(),
        GuardedKey::new(&key, watch.clone())
            .encrypt_at(&[1.0], 1, None, &mut rng())
            .err(),
        GuardedKey::new(&key, watch.clone()).decrypt(&x).err(),
        GuardedKey::new(&key, watch.clone())
            .decrypt_shared(&x, 1.0, &mut rng())
            .err(),
    ];
    for (i, result) in results.into_iter().enumerate() {
        assert_eq!(result, Some(Error::Interrupted), "operation {i}");
    }
    assert_eq!(watch.operations(), 0);
    // Questions are answered, and the others go on.
    assert_eq!((guarded.depth(&x), guarded.check(&x)), (2, Ok(())));
    assert!(guarded.error_bound(&x) >= 0.0);
    assert!(free.add(&x, &x).is_ok());
}

/// A scheme that stops its watch at its second rotation: the third of a composed one does not begin.
#[test]
fn composed_rotations_stop_in_the_middle() {
    #[derive(Clone)]
    struct Stopping(ClearScheme, Arc<Watch>);
    impl Scheme for Stopping {
        type Value = f64;
        type Ciphertext = ClearCiphertext;
        fn name(&self) -> &'static str {
            "stopping"
        }
        fn slots(&self) -> usize {
            self.0.slots()
        }
        fn depth(&self, ct: &ClearCiphertext) -> usize {
            self.0.depth(ct)
        }
        fn max_depth(&self) -> usize {
            self.0.max_depth()
        }
        fn lower_to(
            &self,
            ct: &ClearCiphertext,
            depth: usize,
        ) -> cipherblas_scheme::Result<ClearCiphertext> {
            self.0.lower_to(ct, depth)
        }
        fn check(&self, ct: &ClearCiphertext) -> cipherblas_scheme::Result<()> {
            self.0.check(ct)
        }
    }
    impl Rotate for Stopping {
        fn rotate(
            &self,
            ct: &ClearCiphertext,
            step: i64,
        ) -> cipherblas_scheme::Result<ClearCiphertext> {
            if self.1.operations() == 2 {
                self.1.stop();
            }
            self.0.rotate(ct, step)
        }
        fn rotate_sum(
            &self,
            cts: &[&ClearCiphertext],
            steps: &[i64],
        ) -> cipherblas_scheme::Result<ClearCiphertext> {
            self.0.rotate_sum(cts, steps)
        }
        fn can_rotate(&self, step: i64) -> bool {
            self.0.can_rotate(step)
        }
    }
    let scheme = ClearScheme::new(64, 1)
        .unwrap()
        .with_rotations(Some(&[1, 2, 4, 8]));
    let (x, _) = ramp(&scheme);
    for rotations in [1, 2] {
        let watch = Arc::new(Watch::new());
        let guarded = Guarded::new(Stopping(scheme.clone(), watch.clone())).with_watch(watch);
        scheme.reset_counts();
        let result = match rotations {
            1 => guarded.rotate(&x, 15).err(),
            _ => guarded.rotate_many(&x, &[15]).err(),
        };
        assert_eq!(result, Some(Error::Interrupted));
        assert_eq!(scheme.counts().rotations, 2);
    }
}

#[test]
fn operations_are_counted() {
    let scheme = ClearScheme::new(8, 2).unwrap();
    let (x, _) = ramp(&scheme);
    let key = scheme.key();
    let watch = Arc::new(Watch::new());
    let guarded = Guarded::new(scheme).with_watch(watch.clone());
    let key = GuardedKey::new(&key, watch.clone());
    let mut before = 0;
    let mut counted = |expected: u64, what: &str| {
        let now = watch.operations();
        assert_eq!(now - before, expected, "{what}");
        before = now;
    };
    key.encrypt_at(&[1.0], 1, None, &mut rng()).unwrap();
    counted(1, "encrypt");
    key.decrypt(&x).unwrap();
    counted(1, "decrypt");
    guarded.sum(&[&x, &x, &x]).unwrap();
    counted(1, "sum");
    guarded.mul_sum(&[&x, &x], &[&x, &x]).unwrap();
    counted(1, "mul_sum");
    let weights = WeightMatrix::new(3, 1, &[1.0, 2.0, 3.0]).unwrap();
    guarded.combine(weights, &[&x]).unwrap();
    counted(3, "combine");
    guarded.rotate_many(&x, &[1, 2]).unwrap();
    counted(2, "rotate_many");
    guarded
        .read_ciphertext(&guarded.write_ciphertext(&x))
        .unwrap();
    counted(0, "bytes");
    assert_eq!(key.scheme().watch().operations(), before);
}

#[test]
fn additive_only_refuses_by_name() {
    let scheme = ClearScheme::new(8, 2).unwrap();
    let (x, values) = ramp(&scheme);
    let additive = AdditiveOnly::new(scheme.clone());
    let refused = |operation, hint| {
        Some(Error::Unsupported {
            scheme: "clear",
            operation,
            hint,
        })
    };
    let product = "use BFV or CKKS for products of encrypted values";
    assert_eq!(additive.mul(&x, &x).err(), refused("mul", product));
    assert_eq!(additive.square(&x).err(), refused("square", product));
    assert_eq!(
        additive.mul_sum(&[&x], &[&x]).err(),
        refused("mul_sum", product)
    );
    let rotation = "slots cannot be rotated: encrypt one value to a ciphertext";
    assert_eq!(additive.rotate(&x, 1).err(), refused("rotate", rotation));
    assert_eq!(
        additive.rotate_many(&x, &[0, 1]).err(),
        refused("rotate_many", rotation)
    );
    assert_eq!(
        additive.rotate_sum(&[&x, &x], &[0, 1]).err(),
        refused("rotate_sum", rotation)
    );
    // Under a guard, too: nothing is put together of what is not there.
    let guarded = Guarded::new(additive.clone());
    assert_eq!(guarded.rotate(&x, 3).err(), refused("rotate", rotation));

    for step in [0, 8, -16, i64::MIN] {
        assert!(additive.can_rotate(step));
        assert_eq!(additive.rotate(&x, step).unwrap(), x);
        assert_eq!(guarded.rotate(&x, step).unwrap(), x);
    }
    assert!((1..8).all(|step| !additive.can_rotate(step)));
    assert_eq!(
        additive.rotate_many(&x, &[0, 8]).unwrap(),
        [x.clone(), x.clone()]
    );
    let doubled = additive.rotate_sum(&[&x, &x], &[0, 8]).unwrap();
    let twice: Vec<f64> = values.iter().map(|v| 2.0 * v).collect();
    let key = scheme.key();
    assert_eq!(AdditiveKey::new(&key).decrypt(&doubled).unwrap(), twice);
    assert!(matches!(
        additive.rotate_sum(&[], &[]),
        Err(Error::Shape { .. })
    ));

    let foreign = ClearScheme::new(8, 2).unwrap().with_key(2);
    let (y, _) = ramp(&foreign);
    for result in [
        additive.rotate(&y, 0).err(),
        additive.rotate_many(&y, &[0]).err(),
        additive.rotate_sum(&[&y], &[0]).err(),
    ] {
        assert!(matches!(result, Some(Error::KeyMismatch { .. })));
    }
}

#[test]
fn additive_only_does_the_rest_as_the_scheme_inside() {
    let scheme = ClearScheme::new(8, 2).unwrap();
    let (x, _) = ramp(&scheme);
    let additive = AdditiveOnly::new(scheme.clone());
    let weights = WeightMatrix::new(2, 2, &[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(additive.add(&x, &x), scheme.add(&x, &x));
    assert_eq!(additive.sub(&x, &x), scheme.sub(&x, &x));
    assert_eq!(additive.negate(&x), scheme.negate(&x));
    assert_eq!(additive.sum(&[&x, &x]), scheme.sum(&[&x, &x]));
    assert_eq!(additive.add_plain(&x, &[1.0]), scheme.add_plain(&x, &[1.0]));
    assert_eq!(
        additive.mul_plain(&x, &[3.0, 4.0]),
        scheme.mul_plain(&x, &[3.0, 4.0])
    );
    assert_eq!(additive.mul_scalar(&x, 3.0), scheme.mul_scalar(&x, 3.0));
    assert_eq!(
        additive.mul_scalar_to(&x, 3.0, 0),
        scheme.mul_scalar_to(&x, 3.0, 0)
    );
    assert_eq!(
        additive.combine(weights, &[&x, &x]),
        scheme.combine(weights, &[&x, &x])
    );
    assert_eq!(additive.lower_to(&x, 0), scheme.lower_to(&x, 0));
    assert_eq!(additive.error_bound(&x), scheme.error_bound(&x));
    assert_eq!(additive.magnitude_bound(&x), scheme.magnitude_bound(&x));
    let bytes = additive.write_ciphertext(&x);
    assert_eq!(additive.read_ciphertext(&bytes).unwrap(), x);
    assert_eq!(
        (additive.name(), additive.slots(), additive.max_depth()),
        ("clear", 8, 2)
    );
    let key = scheme.key();
    let fresh = AdditiveKey::new(&key)
        .encrypt_at(&[1.0], 1, None, &mut rng())
        .unwrap();
    assert_eq!(AdditiveKey::new(&key).scheme().depth(&fresh), 1);
}
