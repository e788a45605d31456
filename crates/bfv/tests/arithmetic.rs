//! Every operation against the same in clear, exactly; measured noise against its bound; refusals.

use cipherblas_bfv::{Ciphertext, Error, Evaluator, KeySet, Params, SecretKey};
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

fn toy(depth: usize, bits: u32, moduli: usize, degree: usize) -> Params {
    Params::builder()
        .depth(depth)
        .plaintext_bits(bits)
        .plaintext_moduli(moduli)
        .insecure_degree(degree)
        .build()
        .unwrap()
}

fn values(rng: &mut ChaCha20Rng, n: usize, bound: i64) -> Vec<i64> {
    (0..n).map(|_| rng.random_range(-bound..=bound)).collect()
}

/// Right in every slot, noise within its bound and its bound within what decrypts.
#[track_caller]
fn exact(s: &Setup, ct: &Ciphertext, expected: impl Fn(usize) -> i64) {
    let measured = s.sk.noise_bits(ct).unwrap();
    let bound = ct.noise_bound_bits();
    assert!(
        measured <= bound,
        "noise of {measured:.1} bits above its bound of {bound:.1}"
    );
    assert!(bound <= s.params.noise_limit(ct.depth()).log2());
    let got = s.sk.decrypt(ct).unwrap();
    assert_eq!(got.len(), s.params.slots());
    for (i, &x) in got.iter().enumerate() {
        assert_eq!(x, expected(i), "slot {i}");
    }
}

#[test]
fn every_operation_is_exact_at_every_level() {
    for (params, bound) in [
        (toy(4, 40, 1, 1 << 6), 1 << 17),
        (toy(3, 60, 2, 1 << 7), 1 << 27),
        (toy(2, 62, 4, 1 << 5), 1 << 28),
    ] {
        let mut s = setup(params, &[1, 3, -2, 7]);
        let (n, top) = (s.params.slots(), s.params.depth());
        let declared = Some(bound as f64);
        let pk = s.sk.public_key(&mut s.rng).unwrap();
        let (a, b) = (values(&mut s.rng, n, bound), values(&mut s.rng, n, bound));
        for depth in (1..=top).rev() {
            let x = s.sk.encrypt_at(&a, depth, declared, &mut s.rng).unwrap();
            let y = pk.encrypt_at(&b, top, declared, &mut s.rng).unwrap();
            let at = |i: i64| i.rem_euclid(n as i64) as usize;
            exact(&s, &x, |i| a[i]);
            exact(&s, &y, |i| b[i]);
            exact(&s, &s.ev.add(&x, &y).unwrap(), |i| a[i] + b[i]);
            exact(&s, &s.ev.sub(&y, &x).unwrap(), |i| b[i] - a[i]);
            exact(&s, &s.ev.negate(&x).unwrap(), |i| -a[i]);
            exact(&s, &s.ev.sum(&[&x, &y, &x]).unwrap(), |i| 2 * a[i] + b[i]);
            exact(&s, &s.ev.mul(&y, &x).unwrap(), |i| a[i] * b[i]);
            exact(&s, &s.ev.square(&x).unwrap(), |i| a[i] * a[i]);
            exact(&s, &s.ev.mul_sum(&[&x, &y], &[&y, &y]).unwrap(), |i| {
                a[i] * b[i] + b[i] * b[i]
            });
            exact(&s, &s.ev.add_plain(&x, &b).unwrap(), |i| a[i] + b[i]);
            exact(&s, &s.ev.add_plain(&x, &b[..8]).unwrap(), |i| {
                a[i] + b[i % 8]
            });
            exact(&s, &s.ev.add_plain(&x, &[-3]).unwrap(), |i| a[i] - 3);
            exact(&s, &s.ev.mul_plain(&x, &b).unwrap(), |i| a[i] * b[i]);
            exact(&s, &s.ev.mul_plain(&x, &b[..2]).unwrap(), |i| {
                a[i] * b[i % 2]
            });
            exact(&s, &s.ev.mul_plain(&x, &[bound]).unwrap(), |i| a[i] * bound);
            let free = s.ev.mul_scalar(&x, -16).unwrap();
            assert_eq!(s.ev.depth(&free), depth);
            exact(&s, &free, |i| -16 * a[i]);
            let spent = s.ev.mul_scalar(&x, 17).unwrap();
            assert_eq!(s.ev.depth(&spent), depth - 1);
            exact(&s, &spent, |i| 17 * a[i]);
            exact(&s, &s.ev.mul_scalar_to(&y, -30, depth - 1).unwrap(), |i| {
                b[i] * -30
            });
            let low = s.ev.lower_to(&y, 0).unwrap();
            assert_eq!(low.depth(), 0);
            exact(&s, &low, |i| b[i]);
            exact(&s, &s.ev.swap_rows(&x).unwrap(), |i| a[i]);
            for step in [1, 3, -2, 7, 0, n as i64] {
                exact(&s, &s.ev.rotate(&x, step).unwrap(), |i| {
                    a[at(i as i64 + step)]
                });
            }
            let steps = [3, 0, -2];
            for (ct, step) in s.ev.rotate_many(&x, &steps).unwrap().iter().zip(steps) {
                exact(&s, ct, |i| a[at(i as i64 + step)]);
            }
            let sum = s.ev.rotate_sum(&[&x, &y, &x, &y], &[1, 0, 7, 3]).unwrap();
            exact(&s, &sum, |i| {
                let i = i as i64;
                a[at(i + 1)] + b[at(i)] + a[at(i + 7)] + b[at(i + 3)]
            });
            let weights = [5, -2, bound, 0, 1, -bound];
            let matrix = WeightMatrix::new(3, 2, &weights).unwrap();
            let combined = s.ev.combine(matrix, &[&x, &y]).unwrap();
            for (k, ct) in combined.iter().enumerate() {
                assert_eq!(s.ev.depth(ct), depth - 1);
                exact(&s, ct, |i| {
                    weights[2 * k] * a[i] + weights[2 * k + 1] * b[i]
                });
            }
        }
    }
}

/// Known answers, computed by hand: X'X of [[1, 2], [3, 4], [5, 6]] and X'(7, 8, 9), entry by entry.
#[test]
fn normal_equations_of_a_small_matrix() {
    let mut s = setup(toy(1, 20, 1, 64), &[1, 2]);
    let columns = [[1, 3, 5, 0], [2, 4, 6, 0], [7, 8, 9, 0]];
    let cts = columns.map(|c| s.sk.encrypt_at(&c, 1, Some(9.0), &mut s.rng).unwrap());
    for (i, j, expected) in [(0, 0, 35), (0, 1, 44), (1, 1, 56), (0, 2, 76), (1, 2, 100)] {
        let mut sum = s.ev.mul(&cts[i], &cts[j]).unwrap();
        for step in [1, 2] {
            sum = s.ev.rotate_sum(&[&sum, &sum], &[0, step]).unwrap();
        }
        exact(&s, &sum, |_| expected);
    }
}

#[test]
fn the_ends_of_the_range_are_exact() {
    for bits in [2, 17, 33, 62] {
        let mut s = setup(
            Params::builder()
                .depth(1)
                .plaintext_bits(bits)
                .insecure_degree(32)
                .build()
                .unwrap(),
            &[],
        );
        let end = 1i64 << (bits - 1);
        assert_eq!(s.params.max_value(), end as f64);
        let data = [end, -end, end - 1, 0];
        let x = s.sk.encrypt_at(&data, 1, None, &mut s.rng).unwrap();
        exact(&s, &x, |i| data[i % 4]);
        exact(&s, &s.ev.negate(&x).unwrap(), |i| -data[i % 4]);
        exact(&s, &s.ev.mul_plain(&x, &[-1]).unwrap(), |i| -data[i % 4]);
        let one = s.sk.encrypt_at(&[1], 1, Some(1.0), &mut s.rng).unwrap();
        exact(&s, &s.ev.mul(&x, &one).unwrap(), |i| data[i % 4]);
        let beyond = s.sk.encrypt_at(&[0, end + 1], 1, None, &mut s.rng);
        assert!(matches!(beyond, Err(Error::Value { index: 1, .. })));
    }
}

#[test]
fn the_whole_depth_and_all_sums_can_be_used() {
    let params = Params::builder()
        .depth(5)
        .plaintext_bits(60)
        .headroom_bits(10)
        .insecure_degree(256)
        .build()
        .unwrap();
    let mut s = setup(params, &[1]);
    let slots = s.params.slots();
    let a = values(&mut s.rng, slots, 1);
    let mut ct = s.sk.encrypt_at(&a, 5, Some(1.0), &mut s.rng).unwrap();
    let mut clear = a;
    for level in (0..5).rev() {
        // A sum of 2^10 rotated terms before every product, and one after the last.
        let terms = 1 << if level == 4 { 10 } else { 0 };
        let rotated = s.ev.rotate(&ct, 1).unwrap();
        ct = s.ev.sum(&vec![&rotated; terms]).unwrap();
        clear.rotate_left(1);
        clear.iter_mut().for_each(|x| *x *= terms as i64);
        let minus = s.ev.sub(&ct, &ct).unwrap();
        let narrow =
            s.sk.encrypt_at(&[1], level + 1, Some(1.0), &mut s.rng)
                .unwrap();
        let one = s.ev.sum(&vec![&narrow; 1 << 10]).unwrap();
        exact(&s, &s.ev.mul(&minus, &one).unwrap(), |_| 0);
        ct = s.ev.mul(&ct, &narrow).unwrap();
        exact(&s, &ct, |i| clear[i]);
    }
    let sum =
        s.ev.sum(&vec![&s.ev.rotate(&ct, 1).unwrap(); 1 << 10])
            .unwrap();
    clear.rotate_left(1);
    exact(&s, &sum, |i| clear[i] << 10);
    assert!(matches!(
        s.ev.square(&ct),
        Err(Error::Depth {
            needed: 1,
            left: 0,
            ..
        })
    ));
    assert!(matches!(
        s.ev.mul_plain(&ct, &[1]),
        Err(Error::Depth { .. })
    ));
}

#[test]
fn two_rows_rotate_together_and_swap() {
    let mut s = setup(toy(1, 40, 2, 64), &[3]);
    let (n, bound) = (s.params.slots(), 1000);
    let (top, bottom) = (values(&mut s.rng, n, bound), values(&mut s.rng, n, bound));
    let pk = s.sk.public_key(&mut s.rng).unwrap();
    for by_public in [false, true] {
        let rows = [top.as_slice(), bottom.as_slice()];
        let ct = if by_public {
            pk.encrypt_rows(rows, 1, Some(1000.0), &mut s.rng)
        } else {
            s.sk.encrypt_rows(rows, 1, Some(1000.0), &mut s.rng)
        }
        .unwrap();
        let got = s.sk.decrypt_rows(&ct).unwrap();
        assert_eq!((&*got.first, &*got.second), (&top, &bottom));
        let got = s.sk.decrypt_rows(&s.ev.swap_rows(&ct).unwrap()).unwrap();
        assert_eq!((&*got.first, &*got.second), (&bottom, &top));
        let moved = s.ev.rotate(&s.ev.square(&ct).unwrap(), 3).unwrap();
        let got = s.sk.decrypt_rows(&moved).unwrap();
        for i in 0..n {
            let j = (i + 3) % n;
            assert_eq!(got.first[i], top[j] * top[j]);
            assert_eq!(got.second[i], bottom[j] * bottom[j]);
        }
        // One row would be lost.
        assert_eq!(s.sk.decrypt(&ct), Err(Error::Decryption));
    }
    let short = s.sk.encrypt_rows([&top, &[5]], 1, Some(1000.0), &mut s.rng);
    let got = s.sk.decrypt_rows(&short.unwrap()).unwrap();
    assert_eq!((&*got.first, &*got.second), (&top, &vec![5; n]));
    assert_eq!(format!("{got:?}"), "Rows(redacted)");
}

#[test]
fn what_might_overflow_is_refused_before_it_is_computed() {
    let mut s = setup(toy(2, 20, 1, 32), &[1]);
    let end = 1i64 << 19;
    let x = s.sk.encrypt_at(&[3], 2, None, &mut s.rng).unwrap();
    let y = s.sk.encrypt_at(&[3], 2, Some(1024.0), &mut s.rng).unwrap();
    let overflow = |result: Result<Ciphertext, Error>, at_least: f64| match result {
        Err(Error::Overflow {
            bound, capacity, ..
        }) => {
            assert_eq!(capacity, end.to_string());
            assert_eq!(bound.parse::<f64>().unwrap(), at_least);
        }
        other => panic!("{other:?}"),
    };
    let end = end as f64;
    overflow(s.ev.add(&x, &x), 2.0 * end);
    overflow(s.ev.sub(&x, &x), 2.0 * end);
    overflow(s.ev.sum(&[&y, &x]), end + 1024.0);
    overflow(s.ev.add_plain(&x, &[0, -1]), end + 1.0);
    overflow(s.ev.mul(&y, &y), 2f64.powi(20));
    overflow(s.ev.square(&y), 2f64.powi(20));
    overflow(s.ev.mul_plain(&y, &[513]), 513.0 * 1024.0);
    overflow(s.ev.mul_scalar(&x, 2), 2.0 * end);
    overflow(s.ev.mul_scalar_to(&y, -600, 0), 600.0 * 1024.0);
    overflow(s.ev.rotate_sum(&[&x, &y], &[1, 0]), end + 1024.0);
    let weights = WeightMatrix::new(2, 2, &[1, 0, 256, 257]).unwrap();
    match s.ev.combine(weights, &[&y, &y]) {
        Err(Error::Overflow { bound, .. }) => assert_eq!(bound, (513 * 1024).to_string()),
        other => panic!("{other:?}"),
    }
    // Just inside.
    exact(&s, &s.ev.mul_plain(&y, &[512]).unwrap(), |_| 3 * 512);
    // A declared bound that was not kept is noticed, and says nothing.
    let liar = s.ev.mul_plain(&y, &[0]).unwrap();
    assert_eq!(s.ev.magnitude_bound(&liar), 0.0);
    exact(&s, &liar, |_| 0);
}

#[test]
fn bad_input_is_a_typed_error() {
    let mut s = setup(toy(2, 30, 1, 64), &[1]);
    let rng = &mut s.rng;
    for bad in [i64::MAX, i64::MIN, (1 << 29) + 1] {
        let got = s.sk.encrypt_at(&[0, bad], 2, None, rng);
        assert!(matches!(got, Err(Error::Value { index: 1, .. })), "{got:?}");
        assert!(!format!("{got:?}").contains(&bad.to_string()), "{got:?}");
    }
    for length in [0, 3, 64] {
        let got = s.sk.encrypt_at(&vec![0; length], 2, None, rng);
        assert!(matches!(got, Err(Error::Shape { .. })), "{got:?}");
    }
    assert!(matches!(
        s.sk.encrypt_at(&[0], 3, None, rng),
        Err(Error::Depth { .. })
    ));
    for bound in [f64::NAN, 0.0, -1.0, 2f64.powi(30)] {
        assert!(matches!(
            s.sk.encrypt_at(&[0], 2, Some(bound), rng),
            Err(Error::Parameter { what: "bound", .. })
        ));
    }
    let ct = s.sk.encrypt_at(&[5], 2, None, rng).unwrap();
    match s.ev.rotate(&ct, 2) {
        Err(Error::MissingKey { key, .. }) => assert!(key.contains("rotation by 2"), "{key}"),
        other => panic!("{other:?}"),
    }
    let other = SecretKey::generate(&s.params, rng).unwrap();
    assert!(matches!(other.decrypt(&ct), Err(Error::KeyMismatch { .. })));
    assert!(matches!(
        other.noise_bits(&ct),
        Err(Error::KeyMismatch { .. })
    ));
    let foreign = other.encrypt_at(&[5], 2, None, rng).unwrap();
    assert!(matches!(
        s.ev.swap_rows(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let without = Evaluator::without_keys(&s.params, s.sk.id());
    let small = s.sk.encrypt_at(&[5], 2, Some(5.0), rng).unwrap();
    for refused in [without.mul(&small, &small), without.swap_rows(&small)] {
        assert!(matches!(refused, Err(Error::MissingKey { .. })));
    }
    for bound in [-1.0, f64::NAN] {
        assert!(matches!(
            s.sk.decrypt_shared(&ct, bound, rng),
            Err(Error::Parameter {
                what: "sharing",
                ..
            })
        ));
    }
    assert_eq!(s.sk.decrypt_shared(&ct, 0.5, rng).unwrap()[0], 5);
}

/// Sums of 2^a terms, a product, sums of 2^b, a product, sums of 2^c: for a + b + c = `headroom_bits` never refused, and right.
#[test]
fn the_headroom_is_there_wherever_it_is_spent() {
    for (degree, bits, headroom) in [(64, 16, 9), (256, 30, 16), (32, 2, 3)] {
        let params = Params::builder()
            .depth(2)
            .plaintext_bits(bits)
            .plaintext_moduli(1)
            .headroom_bits(headroom)
            .insecure_degree(degree)
            .build()
            .unwrap();
        let mut s = setup(params, &[1]);
        let third = headroom as usize / 3;
        let rest = headroom as usize;
        for spent in [
            [rest, 0, 0],
            [0, rest, 0],
            [0, 0, rest],
            [third, third, rest - 2 * third],
        ] {
            // Zeros, declared so small that no sum or product of them overflows.
            let tiny = Some(f64::MIN_POSITIVE);
            let pk = s.sk.public_key(&mut s.rng).unwrap();
            let mut ct = pk.encrypt_at(&[0], 2, tiny, &mut s.rng).unwrap();
            for (products, doublings) in spent.into_iter().enumerate() {
                if products > 0 {
                    ct = s.ev.mul(&ct, &ct).unwrap();
                }
                ct = s.ev.rotate(&ct, 1).unwrap();
                for _ in 0..doublings {
                    ct = s.ev.add(&ct, &ct).unwrap();
                }
            }
            exact(&s, &ct, |_| 0);
        }
    }
}
