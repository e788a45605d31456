//! The group against big integers: every operation does to numbers what its definition says.

use cipherblas_paillier::Error;
use cipherblas_paillier::keys::{Blinding, Fault, Place, PublicKey, SecretKey};
use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::OnceLock;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn key(bits: u64) -> &'static SecretKey {
    static SMALL: OnceLock<SecretKey> = OnceLock::new();
    static ODD: OnceLock<SecretKey> = OnceLock::new();
    static FULL: OnceLock<SecretKey> = OnceLock::new();
    let (cell, bits) = match bits {
        512 => (&SMALL, 512),
        704 => (&ODD, 704),
        _ => (&FULL, 2048),
    };
    cell.get_or_init(|| SecretKey::insecure_generate(bits, &mut rng(bits)).unwrap())
}

fn number(words: &[u64]) -> BigUint {
    BigUint::new(
        words
            .iter()
            .flat_map(|w| [*w as u32, (*w >> 32) as u32])
            .collect(),
    )
}

/// Decryption by the definition, from the primes.
fn decrypt(key: &SecretKey, c: &BigUint) -> BigUint {
    let (p, q) = key.primes();
    let lambda = (number(&p) - 1u8) * (number(&q) - 1u8);
    let n = key.public_key().n();
    let l = (c.modpow(&lambda, key.public_key().n_squared()) - 1u8) / n;
    l * lambda.modinv(n).unwrap() % n
}

fn below(n: &BigUint, words: &[u64]) -> BigUint {
    number(words) % n
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn encryption_and_decryption(m in prop::collection::vec(any::<u64>(), 40), seed: u64, bits in prop::sample::select(vec![512u64, 704])) {
        let key = key(bits);
        let pk = key.public_key();
        let m = below(pk.n(), &m);
        let mut rng = rng(seed);
        for c in [
            key.encrypt_raw(&m, &mut rng).unwrap(),
            pk.encrypt_raw(&m, &mut rng).unwrap(),
            pk.encrypt_words(&m.to_u64_digits(), Blinding::ShortExponent, &mut rng).unwrap(),
            pk.trivial(&m).unwrap(),
        ] {
            let number_of_c = pk.element_to_biguint(&c);
            prop_assert!(&number_of_c < pk.n_squared());
            prop_assert_eq!(decrypt(key, &number_of_c), m.clone());
            prop_assert_eq!(number(&key.decrypt_raw(&c).unwrap()), m.clone());
            prop_assert_eq!(pk.element_from_biguint(&number_of_c).unwrap(), c.clone());
            let again = pk.rerandomize(&c, Blinding::Full, &mut rng).unwrap();
            prop_assert_ne!(&again, &c);
            prop_assert_eq!(number(&key.decrypt_raw(&again).unwrap()), m.clone());
            let again = key.rerandomize(&c, &mut rng).unwrap();
            prop_assert_eq!(number(&key.decrypt_raw(&again).unwrap()), m.clone());
        }
    }

    #[test]
    fn group_operations(seed: u64, scalar: i128, plain in prop::collection::vec(any::<u64>(), 40), bits in prop::sample::select(vec![512u64, 704])) {
        let pk = key(bits).public_key();
        let (n, n2) = (pk.n(), pk.n_squared());
        let mut rng = rng(seed);
        let a = pk.encrypt_raw(&BigUint::from(seed), &mut rng).unwrap();
        let b = pk.encrypt_raw(&BigUint::from(7u8), &mut rng).unwrap();
        let (x, y) = (pk.element_to_biguint(&a), pk.element_to_biguint(&b));
        prop_assert_eq!(pk.element_to_biguint(&pk.add(&a, &b)), &x * &y % n2);
        prop_assert_eq!(pk.element_to_biguint(&pk.negate(&a).unwrap()), x.modinv(n2).unwrap());
        prop_assert_eq!(pk.element_to_biguint(&pk.sub(&a, &b).unwrap()), &x * y.modinv(n2).unwrap() % n2);
        let power = x.modpow(&BigUint::from(scalar.unsigned_abs()), n2);
        let power = if scalar < 0 { power.modinv(n2).unwrap() } else { power };
        prop_assert_eq!(pk.element_to_biguint(&pk.scale(&a, &BigInt::from(scalar)).unwrap()), power);
        let m = below(n, &plain);
        prop_assert_eq!(pk.element_to_biguint(&pk.add_plain(&a, &m).unwrap()), &x * (&m * n + 1u8) % n2);
    }

    #[test]
    fn products_of_powers(seed: u64, weights in prop::collection::vec((0usize..6, any::<i64>(), 0u32..64), 0..40), rows in 1usize..5) {
        let pk = key(512).public_key();
        let n2 = pk.n_squared();
        let mut rng = rng(seed);
        let elements: Vec<_> = (0..6u8).map(|i| pk.encrypt_raw(&BigUint::from(i), &mut rng).unwrap()).collect();
        let numbers: Vec<_> = elements.iter().map(|e| pk.element_to_biguint(e)).collect();
        let weights: Vec<Vec<(usize, i64)>> = (0..rows).map(|r| weights.iter().enumerate().filter(|(i, _)| i % rows == r).map(|(_, &(j, w, s))| (j, w >> s)).collect()).collect();
        let elements: Vec<_> = elements.iter().collect();
        let got = pk.multi_exp(&elements, &weights).unwrap();
        for (got, row) in got.iter().zip(&weights) {
            let mut want = BigUint::from(1u8);
            for (j, w) in row {
                let power = numbers[*j].modpow(&BigUint::from(w.unsigned_abs()), n2);
                want = want * if *w < 0 { power.modinv(n2).unwrap() } else { power } % n2;
            }
            prop_assert_eq!(pk.element_to_biguint(got), want);
        }
    }
}

#[test]
fn full_size() {
    let key = key(2048);
    let pk = key.public_key();
    let mut rng = rng(1);
    for m in [
        BigUint::ZERO,
        BigUint::from(1u8),
        pk.n() - 1u8,
        pk.n() / 3u8,
    ] {
        let c = key.encrypt_raw(&m, &mut rng).unwrap();
        assert_eq!(decrypt(key, &pk.element_to_biguint(&c)), m);
        assert_eq!(number(&key.decrypt_raw(&c).unwrap()), m);
    }
    assert!(matches!(
        key.encrypt_raw(pk.n(), &mut rng),
        Err(Error::Value { .. })
    ));
}

#[test]
fn imported_key_is_the_same_key() {
    let key = key(512);
    let (p, q) = key.primes();
    let (p, q) = (number(&p), number(&q));
    let imported = SecretKey::insecure_from_primes(&p, &q, &mut rng(3)).unwrap();
    assert_eq!(imported.public_key(), key.public_key());
    let m = BigUint::from(123_456u32);
    let c = imported.encrypt_raw(&m, &mut rng(4)).unwrap();
    assert_eq!(number(&key.decrypt_raw(&c).unwrap()), m);
    assert!(SecretKey::from_primes(&p, &q, &mut rng(3)).is_err());
    assert!(SecretKey::insecure_from_primes(&p, &(&q + 2u8), &mut rng(3)).is_err());
    assert!(SecretKey::insecure_from_primes(&p, &p, &mut rng(3)).is_err());
    let public = PublicKey::insecure_new(key.public_key().n()).unwrap();
    assert_eq!(&public, key.public_key());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Wherever a half goes wrong: without the check the result gives a factor of n away, with it nothing is released.
    #[test]
    fn a_fault_is_noticed(first_half: bool, place in prop_oneof![
        (20usize..300, 0usize..16).prop_map(|(step, limb)| Place::Power { step, limb }),
        // The lowest limbs of a digit; others are not in use at this size.
        (20usize..300, prop::sample::select(vec![0, 2, 16, 18])).prop_map(|(step, limb)| Place::Swap { step, limb }),
        Just(Place::Ciphertext), Just(Place::Input), Just(Place::Logarithm), Just(Place::Plain),
    ], mask in 1u64..) {
        // Before step 20 a table is made, some of whose entries are never used; there are more than 300 steps.
        let key = key(512);
        let (pk, m) = (key.public_key(), BigUint::from(987_654_321u32));
        let c = key.encrypt_raw(&m, &mut rng(9)).unwrap();
        prop_assert_eq!(number(&key.decrypt_raw(&c).unwrap()), m.clone());
        let fault = Fault { first_half, place, mask };
        prop_assert!(matches!(key.insecure_decrypt_with_fault(&c, Some(fault), true), Err(Error::Decryption)));
        let wrong = number(&key.insecure_decrypt_with_fault(&c, Some(fault), false).unwrap());
        prop_assert_ne!(&wrong, &m);
        let common = (BigInt::from(wrong) - BigInt::from(m)).magnitude().gcd(pk.n());
        let (p, q) = key.primes();
        let other = number(if first_half { &q } else { &p });
        prop_assert_eq!(common, other);
    }
}

/// What a residue that is wrong in one half decrypts to is wrong in that half only, and none is released.
fn encryption_notices(key: &SecretKey, fault: Fault) {
    let released = key.insecure_residue_with_fault(&mut rng(12), Some(fault), true);
    assert!(
        matches!(released, Err(Error::Parameter { .. })),
        "{fault:?}"
    );
    let wrong = key.insecure_residue_with_fault(&mut rng(12), Some(fault), false);
    let m = decrypt(key, &key.public_key().element_to_biguint(&wrong.unwrap()));
    let (p, q) = key.primes();
    let other = number(if fault.first_half { &q } else { &p });
    assert_eq!(m.gcd(key.public_key().n()), other, "{fault:?}");
}

#[test]
fn a_fault_in_encryption_is_noticed() {
    let generated = key(512);
    let (p, q) = generated.primes();
    let imported = SecretKey::insecure_from_primes(&number(&p), &number(&q), &mut rng(3)).unwrap();
    for key in [generated, &imported] {
        assert!(
            key.insecure_residue_with_fault(&mut rng(12), None, true)
                .is_ok()
        );
        for first_half in [true, false] {
            // Combs are not checked.
            for step in [20, 33, 40]
                .into_iter()
                .filter(|_| key.cofactors().is_none())
            {
                for limb in [0, 3, 16] {
                    for place in [Place::Power { step, limb }, Place::Swap { step, limb }] {
                        let mask = 1 << 17;
                        encryption_notices(
                            key,
                            Fault {
                                first_half,
                                place,
                                mask,
                            },
                        );
                    }
                }
            }
            let place = Place::Residue;
            encryption_notices(
                key,
                Fault {
                    first_half,
                    place,
                    mask: 4,
                },
            );
        }
    }
}

/// Constants of the key are checked, too: a bit that flips in them is a fault in one half.
#[test]
fn damage_of_the_key_is_noticed() {
    let mut key = SecretKey::insecure_generate(512, &mut rng(512)).unwrap();
    let m = BigUint::from(987_654_321u32);
    let c = key.encrypt_raw(&m, &mut rng(9)).unwrap();
    let lengths: Vec<_> = key.expose_memory().iter().map(|s| s.len()).collect();
    let mut factors = 0;
    for (slice, length) in lengths.into_iter().enumerate() {
        for limb in 0..length {
            let flip = |key: &mut SecretKey| key.expose_memory_mut()[slice][limb] ^= 1 << 5;
            flip(&mut key);
            assert_eq!(
                key.decrypt_raw(&c),
                Err(Error::Decryption),
                "{slice} {limb}"
            );
            assert!(key.encrypt_raw(&m, &mut rng(9)).is_err(), "{slice} {limb}");
            let wrong = number(&key.insecure_decrypt_with_fault(&c, None, false).unwrap());
            flip(&mut key);
            let common = (BigInt::from(wrong) - BigInt::from(m.clone()))
                .magnitude()
                .gcd(key.public_key().n());
            factors += usize::from(common > BigUint::from(1u8) && common < *key.public_key().n());
        }
    }
    assert!(
        factors > 20,
        "without the check, only {factors} gave a factor away"
    );
    assert_eq!(number(&key.decrypt_raw(&c).unwrap()), m);
    assert!(key.encrypt_raw(&m, &mut rng(9)).is_ok());
}

/// Moduli that are no product of two large primes, and ciphertexts that are no units.
#[test]
fn bad_moduli_and_ciphertexts_are_refused() {
    let key = key(512);
    let (p, q) = key.primes();
    let (p, q) = (number(&p), number(&q));
    let pk = key.public_key();
    let n = pk.n();
    let got = |n: BigUint| match PublicKey::insecure_new(&n) {
        Err(Error::Parameter { got, .. }) => got,
        other => panic!("{n}: {other:?}"),
    };
    assert_eq!(got(n * 2u8), "an even number");
    assert_eq!(got(n * 3u8), "a number with a small prime factor");
    assert_eq!(got(n * 65_521u32), "a number with a small prime factor");
    assert_eq!(got(p.clone()), "a prime");
    assert_eq!(got(&p * &p), "a perfect power");
    assert_eq!(got(q.pow(3)), "a perfect power");
    assert_eq!(got(BigUint::from(u64::MAX)), "64");
    assert_eq!(got(BigUint::from(3u8).pow(6000)), "9510");
    assert!(matches!(PublicKey::new(n), Err(Error::Parameter { got, .. }) if got == "512"));

    for c in [
        BigUint::ZERO,
        pk.n_squared().clone(),
        pk.n_squared() + 5u8,
        p.clone(),
        &q * 77u8,
        n.clone(),
        n * &p,
    ] {
        assert!(matches!(
            pk.element_from_biguint(&c),
            Err(Error::Wire { .. })
        ));
    }
    assert!(pk.element_from_biguint(&BigUint::from(1u8)).is_ok());
    assert!(pk.element_from_biguint(&(pk.n_squared() - 1u8)).is_ok());
}

/// What the generated primes promise, checked with big integers; and a key that is read back with its cofactors.
#[test]
fn generated_primes_are_as_described() {
    for seed in 0..3 {
        let key = SecretKey::insecure_generate(512, &mut rng(100 + seed)).unwrap();
        let (p, q) = key.primes();
        let cofactors = key.cofactors().unwrap();
        let one = BigUint::from(1u8);
        for (prime, r) in [(number(&p), cofactors.0), (number(&q), cofactors.1)] {
            assert_eq!(prime.bits(), 256);
            assert_eq!(&prime >> 254u32, BigUint::from(3u8));
            assert_eq!(&prime % 4u8, BigUint::from(3u8));
            assert_eq!(r % 2, 1);
            let (large, rest) = (&prime - 1u8).div_rem(&(BigUint::from(r) * 2u8));
            assert_eq!(rest, BigUint::ZERO);
            for prime in [prime, large] {
                for base in [2u8, 3, 5, 7, 11, 13] {
                    assert_eq!(BigUint::from(base).modpow(&(&prime - 1u8), &prime), one);
                }
            }
        }
        let (p, q) = (number(&p), number(&q));
        assert_eq!(&p * &q, *key.public_key().n());
        assert_eq!(key.public_key().n().gcd(&((&p - 1u8) * (&q - 1u8))), one);
        let mut rng = rng(seed);
        let read = SecretKey::insecure_from_primes_with_cofactors(&p, &q, cofactors, &mut rng);
        let read = read.unwrap();
        let c = read.encrypt_raw(&BigUint::from(5u8), &mut rng).unwrap();
        assert_eq!(key.decrypt_raw(&c).unwrap()[0], 5);
        let wrong = (cofactors.0 + 2, cofactors.1);
        assert!(SecretKey::insecure_from_primes_with_cofactors(&p, &q, wrong, &mut rng).is_err());
    }
    assert!(SecretKey::generate(1024, &mut rng(0)).is_err());
    assert!(SecretKey::insecure_generate(1000, &mut rng(0)).is_err());
}

/// On a key small enough to see them all: residues drawn from the tables are uniform on the whole group of n-th residues.
#[test]
fn residues_are_uniform() {
    let key = SecretKey::insecure_generate(128, &mut rng(8)).unwrap();
    let pk = key.public_key();
    let (p, _) = key.primes();
    let p = number(&p);
    // The class of an n-th residue modulo p in the quotient by the large subgroup has order 2 r; for the factor 2 and small
    // factors of r, each class must come up as often as another.
    let r = key.cofactors().unwrap().0;
    let mut rng = rng(9);
    let draws = 4000;
    for factor in [2u64, 3, 5, 7, 11, 13]
        .into_iter()
        .filter(|f| *f == 2 || r.is_multiple_of(*f))
    {
        let exponent = (&p - 1u8) / factor;
        let mut counts = std::collections::HashMap::new();
        for _ in 0..draws {
            let c = pk.element_to_biguint(&key.encrypt_raw(&BigUint::ZERO, &mut rng).unwrap());
            *counts.entry(c.modpow(&exponent, &p)).or_insert(0) += 1;
        }
        assert_eq!(counts.len() as u64, factor, "every class of {factor}");
        let expected = f64::from(draws) / factor as f64;
        for count in counts.values() {
            let deviation = (f64::from(*count) - expected) / expected.sqrt();
            assert!(deviation.abs() < 6.0, "factor {factor}: {count} of {draws}");
        }
    }
}

fn is_prime(value: u64) -> bool {
    value > 1
        && (2..)
            .take_while(|d| d * d <= value)
            .all(|d| !value.is_multiple_of(d))
}

/// `p - 1 = 2 r q` with different primes `r`: what the paper behind short exponents asks of a modulus.
#[test]
fn cofactors_of_drawn_keys_are_different_primes() {
    let mut rng = ChaCha20Rng::seed_from_u64(41);
    for _ in 0..8 {
        let key = SecretKey::insecure_generate(256, &mut rng).unwrap();
        let (p, q) = key.cofactors().unwrap();
        assert!(is_prime(p) && is_prime(q) && p != q, "{p}, {q}");
    }
}

/// `-y^2` has a Jacobi symbol of -1 then, and ciphertexts would tell the parity of their exponents.
#[test]
fn short_exponents_are_refused_for_a_modulus_that_is_3_modulo_4() {
    let mut rng = ChaCha20Rng::seed_from_u64(42);
    // Primes of 64 bits that are 1 and 3 modulo 4.
    let (p, q) = (
        BigUint::from(18_446_744_073_709_551_557u64),
        BigUint::from(13_835_058_055_282_163_467u64),
    );
    let key = SecretKey::insecure_from_primes(&p, &q, &mut rng).unwrap();
    let public = key.public_key();
    let refused = public.encrypt_words(&[7], Blinding::ShortExponent, &mut rng);
    assert!(matches!(
        refused,
        Err(Error::Parameter {
            what: "blinding",
            ..
        })
    ));
    let full = public
        .encrypt_words(&[7], Blinding::Full, &mut rng)
        .unwrap();
    assert_eq!(key.decrypt_raw(&full).unwrap()[0], 7);
}
