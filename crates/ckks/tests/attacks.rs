//! Attacks of the security page: each succeeds against the unsafe way and fails against the default one.

use cipherblas_ckks::{Ciphertext, Error, Evaluator, Params, SecretKey, encoder};
use cipherblas_scheme::{Decrypt, Encrypt, ErrorBound, KeySet, Mul};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Key recovery from two approximate decryptions (after Li, Micciancio, eprint 2020/1533, section 5).
///
/// A decrypted real vector is the projection of the phase on the conjugation-invariant polynomials: encoded again at
/// twice the scale it gives `m + conj(m)` exactly, unless noise was added. With `m = c0 + c1 s` that is one linear
/// equation in `s(zeta)` and `s(1/zeta)` for each pair of roots; two ciphertexts give two.
fn recover_secret(params: &Params, results: [(&Ciphertext, &[f64]); 2]) -> Option<Vec<i64>> {
    let ring = params.ring();
    let prime = ring.moduli()[0];
    let canonical = |limb: &[f64]| {
        limb.iter()
            .map(|&x| prime.canonical(x))
            .collect::<Vec<u64>>()
    };
    let equation = |(ct, values): (&Ciphertext, &[f64])| {
        let phase = encoder::encode(params, values, 2.0 * params.scale(0), 0).ok()?;
        let conjugate = ring.conjugation_element();
        let (c0, c1) = ct.halves();
        let (d0, d1) = (
            c0.automorphism(conjugate).ok()?,
            c1.automorphism(conjugate).ok()?,
        );
        let right: Vec<u64> = canonical(phase.limb(0))
            .into_iter()
            .zip(canonical(c0.limb(0)))
            .zip(canonical(d0.limb(0)))
            .map(|((m, a), b)| prime.sub(m, prime.add(a, b)))
            .collect();
        Some((canonical(c1.limb(0)), canonical(d1.limb(0)), right))
    };
    let ((a, a_bar, r), (b, b_bar, t)) = (equation(results[0])?, equation(results[1])?);
    let mut s: Vec<f64> = (0..ring.degree())
        .map(|i| {
            let determinant = prime.sub(prime.mul(a[i], b_bar[i]), prime.mul(b[i], a_bar[i]));
            let numerator = prime.sub(prime.mul(r[i], b_bar[i]), prime.mul(t[i], a_bar[i]));
            prime
                .inv(determinant)
                .map_or(0.0, |inverse| prime.residue(prime.mul(numerator, inverse)))
        })
        .collect();
    ring.plan(0).inverse(&mut s);
    let s: Vec<i64> = s
        .iter()
        .map(|&x| prime.residue(prime.canonical(x)) as i64)
        .collect();
    s.iter().all(|x| x.abs() <= 1).then_some(s)
}

#[test]
fn plain_decryptions_give_the_key_away_and_shared_ones_do_not() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .sharing(4)
        .insecure_degree(256)
        .build()
        .unwrap();
    let unsafe_params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .insecure_degree(256)
        .build()
        .unwrap();
    let values: Vec<f64> = (0..128).map(|_| rng.random_range(-1.0..1.0)).collect();

    let sk = SecretKey::generate(&unsafe_params, &mut rng).unwrap();
    let cts = [0, 1].map(|_| sk.encrypt_at(&values, 0, Some(1.0), &mut rng).unwrap());
    let plain = [0, 1].map(|i| sk.decrypt(&cts[i]).unwrap());
    let recovered = recover_secret(&unsafe_params, [(&cts[0], &plain[0]), (&cts[1], &plain[1])]);
    assert!(
        recovered.is_some(),
        "unprotected results must give the key away, or this test shows nothing"
    );

    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let cts = [0, 1].map(|_| sk.encrypt_at(&values, 0, Some(1.0), &mut rng).unwrap());
    let shared = [0, 1].map(|i| {
        sk.decrypt_shared(&cts[i], sk.scheme().error_bound(&cts[i]), &mut rng)
            .unwrap()
    });
    assert!(recover_secret(&params, [(&cts[0], &shared[0]), (&cts[1], &shared[1])]).is_none());
    let worst = shared[0]
        .iter()
        .zip(&values)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(
        worst <= 2f64.powi(-8),
        "a shared result keeps the precision: {worst:e}"
    );
}

#[test]
fn the_flood_follows_the_owners_bound_not_the_servers_word() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .sharing(8)
        .insecure_degree(256)
        .build()
        .unwrap();
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let ct = sk.encrypt_at(&[0.25], 0, Some(1.0), &mut rng).unwrap();
    let declared = sk.scheme().error_bound(&ct);
    let lower = sk.decrypt_shared(&ct, declared / 2.0, &mut rng);
    assert!(matches!(
        lower,
        Err(Error::Parameter {
            what: "sharing",
            ..
        })
    ));
    let spread = |bound: f64, rng: &mut ChaCha20Rng| {
        let got = sk.decrypt_shared(&ct, bound, rng).unwrap();
        (got.iter().map(|x| (x - 0.25).powi(2)).sum::<f64>() / got.len() as f64).sqrt()
    };
    let (own, wider) = (
        spread(declared, &mut rng),
        spread(16.0 * declared, &mut rng),
    );
    assert!(
        wider > 8.0 * own,
        "the noise must grow with the bound: {own:e}, {wider:e}"
    );
    assert!(sk.decrypt_shared(&ct, f64::NAN, &mut rng).is_err());
}

#[test]
fn shared_decryptions_are_counted_and_need_room() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .sharing(2)
        .insecure_degree(256)
        .build()
        .unwrap();
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let ct = sk.encrypt_at(&[0.25], 0, Some(1.0), &mut rng).unwrap();
    sk.decrypt_shared(&ct, sk.scheme().error_bound(&ct), &mut rng)
        .unwrap();
    sk.decrypt_shared(&ct, sk.scheme().error_bound(&ct), &mut rng)
        .unwrap();
    assert!(matches!(
        sk.decrypt_shared(&ct, sk.scheme().error_bound(&ct), &mut rng),
        Err(Error::Parameter {
            what: "sharing",
            ..
        })
    ));
    let params = Params::builder()
        .depth(0)
        .insecure_degree(256)
        .build()
        .unwrap();
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let ct = sk.encrypt_at(&[0.25], 0, Some(1.0), &mut rng).unwrap();
    assert!(matches!(
        sk.decrypt_shared(&ct, sk.scheme().error_bound(&ct), &mut rng),
        Err(Error::Parameter {
            what: "sharing",
            ..
        })
    ));
}

/// Shared results keep their precision at every precision the parameters can be built for, fresh and after a product:
/// the flood then has more digits than a double. What is refused takes nothing from the number of shared results.
#[test]
fn shared_results_keep_the_precision_asked_for() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for bits in [8, 20, 25, 30, 40] {
        let params = Params::builder()
            .depth(1)
            .precision_bits(bits)
            .integer_bits(4)
            .sharing(16)
            .insecure_degree(256)
            .build()
            .unwrap();
        let sk = SecretKey::generate(&params, &mut rng).unwrap();
        let ek = sk
            .evaluation_keys(
                &KeySet {
                    relinearization: true,
                    ..KeySet::default()
                },
                &mut rng,
            )
            .unwrap();
        let eval = Evaluator::new(&params, ek).unwrap();
        let values: Vec<f64> = (0..128).map(|_| rng.random_range(-1.0..1.0)).collect();
        let fresh = sk.encrypt_at(&values, 1, Some(1.0), &mut rng).unwrap();
        let squared = eval.mul(&fresh, &fresh).unwrap();
        assert!(sk.decrypt_shared(&fresh, 0.0, &mut rng).is_err());
        assert!(sk.decrypt_shared(&fresh, f64::MAX, &mut rng).is_err());
        for (ct, power) in [(&fresh, 1), (&squared, 2)] {
            let bound = eval.error_bound(ct);
            for _ in 0..8 {
                let shared = sk.decrypt_shared(ct, bound, &mut rng).unwrap();
                let after = sk.shared_error_bound(ct, bound);
                for (x, v) in shared.iter().zip(&values) {
                    assert!(
                        (x - v.powi(power)).abs() <= after,
                        "{bits} bits: {x} for {v}"
                    );
                }
                // The flood is there: some slot is off by more than the result was before it.
                assert!(
                    shared
                        .iter()
                        .zip(&values)
                        .any(|(x, v)| (x - v.powi(power)).abs() > bound),
                    "{bits} bits"
                );
            }
        }
        // What doubles lose in encoding and in decoding, 2^-45 of the magnitude each, is flooded as every error is: for 16
        // results, of 8 deviations.
        let flooded_doubles = 2f64.powf(-44.0 + (37.03 + 3.0) / 2.0) * 8.0 * 16.0;
        let after = sk.shared_error_bound(&fresh, eval.error_bound(&fresh));
        assert!(
            after <= 2f64.powi(-(bits as i32)) + flooded_doubles,
            "{bits} bits: {after:e}"
        );
    }
}

/// Attack 7: a generator that repeats itself. Two ciphertexts with the same uniform half and error would differ by their
/// messages, two shared results with the same flood by what the flood was to hide.
#[test]
fn a_generator_that_repeats_itself_is_met() {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .sharing(8)
        .insecure_degree(256)
        .build()
        .unwrap();
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let pk = sk.public_key(&mut rng).unwrap();
    for public in [false, true] {
        let encrypt = |value: f64| {
            let mut rng = rng.clone();
            let ct = if public {
                pk.encrypt_at(&[value], 0, Some(1.0), &mut rng)
            } else {
                sk.encrypt_at(&[value], 0, Some(1.0), &mut rng)
            };
            ct.unwrap()
        };
        let (a, b) = (encrypt(0.25), encrypt(0.5));
        assert_ne!(a.halves().1.data(), b.halves().1.data());
        assert_eq!(encrypt(0.25).halves().1.data(), a.halves().1.data());
        let bound = sk.scheme().error_bound(&a);
        let flood = |ct: &Ciphertext, bound: f64| -> Vec<f64> {
            let shared = sk.decrypt_shared(ct, bound, &mut rng.clone()).unwrap();
            let exact = sk.decrypt(ct).unwrap();
            shared.iter().zip(exact).map(|(x, y)| x - y).collect()
        };
        let distance = |a: &[f64], b: &[f64]| -> f64 {
            let between = a.iter().zip(b).map(|(x, y)| (x - y) * (x - y));
            (between.sum::<f64>() / a.iter().map(|x| x * x).sum::<f64>()).sqrt()
        };
        let first = flood(&a, bound);
        let wide: Vec<f64> = flood(&a, 2.0 * bound).iter().map(|x| x / 2.0).collect();
        assert!(distance(&first, &flood(&b, bound)) > 0.5);
        assert!(distance(&first, &wide) > 0.5);
    }
}
