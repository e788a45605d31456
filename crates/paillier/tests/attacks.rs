//! Attacks of the security page: each succeeds against the unsafe way and fails against the default one.

use cipherblas_paillier::keys::{Fault, Place};
use cipherblas_paillier::{Blinding, Ciphertext, Error, Params, PublicKey, SecretKey};
use cipherblas_scheme::{Add, Decrypt, Encrypt, ErrorBound, MulPlain, Wire};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn params() -> Params {
    Params::builder().insecure_bits(256).build().unwrap()
}

fn number(text: &str) -> BigUint {
    BigUint::parse_bytes(text.as_bytes(), 10).unwrap()
}

/// Paillier from the textbook, on numbers of any size, with none of the checks.
mod toy {
    use super::*;

    pub(super) fn encrypt(n: &BigUint, m: &BigUint, r: &BigUint) -> BigUint {
        let n2 = n * n;
        (BigUint::one() + m * n) * r.modpow(n, &n2) % n2
    }
    /// With `e` a multiple of the order of all n-th residues: the plaintext modulo `n / gcd(e, n)`.
    pub(super) fn decrypt(n: &BigUint, e: &BigUint, c: &BigUint) -> Option<BigUint> {
        let logarithm = (c.modpow(e, &(n * n)) - 1u8) / n;
        let common = e.gcd(n);
        let rest = n / &common;
        let inverse = (e / &common % &rest).modinv(&rest)?;
        Some(logarithm / common * inverse % rest)
    }
    /// The plaintext modulo `p`, the other prime being `q`.
    pub(super) fn half(p: &BigUint, q: &BigUint, c: &BigUint) -> BigUint {
        let logarithm = |x: BigUint| (x.modpow(&(p - 1u8), &(p * p)) - 1u8) / p;
        let one = logarithm(BigUint::one() + p * q);
        logarithm(c.clone()) * one.modinv(p).unwrap() % p
    }
    pub(super) fn join(p: &BigUint, q: &BigUint, mp: &BigUint, mq: &BigUint) -> BigUint {
        let difference = (mp + p - mq % p) % p;
        mq + q * (difference * q.modinv(p).unwrap() % p)
    }
}

fn big_prime(seed: u64, bits: u32) -> BigUint {
    // A prime of a generated key: half of a modulus.
    let params = Params::builder().insecure_bits(2 * bits).build().unwrap();
    let key = SecretKey::generate(&params, &mut rng(seed)).unwrap();
    let [p, _] = primes(&key);
    p
}

fn from_words(words: &[u64]) -> BigUint {
    BigUint::new(
        words
            .iter()
            .flat_map(|w| [*w as u32, (w >> 32) as u32])
            .collect(),
    )
}

fn primes(key: &SecretKey) -> [BigUint; 2] {
    let (p, q) = key.key().primes();
    [from_words(&p), from_words(&q)]
}

fn is_prime(n: &BigUint) -> bool {
    [2u8, 3, 5, 7, 11, 13].iter().all(|&a| {
        let (mut d, mut twos) = (n - 1u8, 0);
        while d.is_even() {
            d >>= 1;
            twos += 1;
        }
        let mut x = BigUint::from(a).modpow(&d, n);
        let minus_one = n - 1u8;
        x.is_one()
            || (0..twos).any(|_| {
                let hit = x == minus_one;
                x = &x * &x % n;
                hit
            })
    })
}

/// What an attacker tries on a modulus: something to decrypt with.
fn break_modulus(n: &BigUint) -> Option<BigUint> {
    let order = |factors: &[BigUint]| {
        factors
            .iter()
            .fold(BigUint::one(), |l, p| l.lcm(&(p - 1u8)))
    };
    if is_prime(n) {
        return Some(n - 1u8);
    }
    let root = n.sqrt();
    if &root * &root == *n {
        return Some(&root * (&root - 1u8));
    }
    if let Some(small) = (2u32..1 << 16).find(|p| (n % p).is_zero()) {
        let rest = n / small;
        return is_prime(&rest).then(|| order(&[small.into(), rest]));
    }
    // Fermat: primes close together.
    for a in (1u32..1000).map(|i| &root + i) {
        let square = &a * &a - n;
        let b = square.sqrt();
        if &b * &b == square {
            return Some(order(&[&a - &b, &a + &b]));
        }
    }
    // Pollard's p - 1: a smooth p - 1.
    let mut x = BigUint::from(2u8);
    for e in 2u32..2000 {
        x = x.modpow(&e.into(), n);
    }
    let g = ((x + n) - 1u8).gcd(n);
    (!g.is_one() && g != *n).then(|| order(&[g.clone(), n / &g]))
}

#[test]
fn bad_moduli_give_plaintexts_away_and_are_refused() {
    let params = params();
    let p = big_prime(1, 128);
    let long = |small: u32| {
        // A prime so long that the product has 256 bits, all but the even one odd.
        let mut q: BigUint = (BigUint::from(1u8) << 256u32) / small - 1u8;
        while q.is_even() || !is_prime(&q) {
            q -= 1u8;
        }
        q
    };
    let mut close = &p + 2u8;
    while !is_prime(&close) {
        close += 2u8;
    }
    let moduli = [
        ("a prime", long(1)),
        ("a square", &p * &p),
        ("an even number", long(2) * 2u8),
        ("a small factor", long(3) * 3u8),
        ("another small factor", long(65521) * 65521u32),
    ];
    for (what, n) in &moduli {
        assert_eq!(n.bits(), 256);
        let m = number("123456789");
        let c = toy::encrypt(n, &m, &number("1000000007"));
        let e = break_modulus(n).expect(what);
        let got = toy::decrypt(n, &e, &c);
        assert_eq!(got, Some(m), "{what}: the toy must give the plaintext away");
        let result = PublicKey::from_modulus(&params, n);
        assert!(
            matches!(result, Err(Error::Parameter { what: "n", .. })),
            "{what}: {result:?}"
        );
    }
    // Primes close together: seen by whoever has them.
    let n = &p * &close;
    assert!(
        break_modulus(&n).is_some(),
        "Fermat's method must find close primes"
    );
    let result =
        cipherblas_paillier::keys::SecretKey::insecure_from_primes(&p, &close, &mut rng(2));
    assert!(matches!(result, Err(Error::Parameter { .. })), "{result:?}");
    // Generated keys withstand all of it.
    for seed in 0..4 {
        let key = SecretKey::generate(&params, &mut rng(seed)).unwrap();
        assert!(break_modulus(key.public_key().key().n()).is_none());
    }
    // Short ones are refused unless asked for by name.
    assert!(matches!(
        Params::builder().bits(1024).build(),
        Err(Error::Parameter { what: "bits", .. })
    ));
}

/// One multiple of n among the summands makes the sum a multiple of n: whatever the others encrypt, decryption without checks
/// gives the same.
#[test]
fn a_bad_ciphertext_destroys_a_toy_sum_and_is_refused() {
    let params = params();
    let key = SecretKey::generate(&params, &mut rng(3)).unwrap();
    let server = key.public_key().evaluator();
    let n = server.key().n().clone();
    let n2 = server.key().n_squared().clone();
    for bad in [BigUint::zero(), n.clone(), &n * 5u8, n2.clone(), &n2 * 3u8] {
        let sums = [1u8, 2].map(|m| {
            let good = toy::encrypt(&n, &m.into(), &number("1234567"));
            &good * &bad % &n2
        });
        let e = number("48");
        assert_eq!(
            sums[0].modpow(&e, &n2),
            sums[1].modpow(&e, &n2),
            "the toy sum must have lost its terms"
        );
        assert!(matches!(
            server.key().element_from_biguint(&bad),
            Err(Error::Wire { .. })
        ));
    }
    // Factors of n: whoever knows one needs no attack, and it is not taken either.
    let [p, _] = primes(&key);
    for bad in [p.clone(), &p * &p * 2u8, &n2 - &p] {
        assert!(matches!(
            server.key().element_from_biguint(&bad),
            Err(Error::Wire { .. })
        ));
    }
    assert!(server.key().element_from_biguint(&(&n2 - 1u8)).is_ok());
}

/// `c1 / c2 = 1 + (m1 - m2) n` if both have the same randomness: the difference of the plaintexts, without any key.
fn link(n: &BigUint, c1: &BigUint, c2: &BigUint) -> Option<BigUint> {
    let n2 = n * n;
    let quotient = c1 * c2.modinv(&n2)? % &n2;
    (&quotient % n).is_one().then(|| (quotient - 1u8) / n)
}

#[test]
fn reused_randomness_links_toy_ciphertexts_and_never_ours() {
    let key = SecretKey::generate(&params(), &mut rng(4)).unwrap();
    let n = key.public_key().key().n().clone();
    let r = number("31415926535897932384626433832795");
    let c1 = toy::encrypt(&n, &number("1000"), &r);
    let c2 = toy::encrypt(&n, &number("58"), &r);
    assert_eq!(
        link(&n, &c1, &c2),
        Some(number("942")),
        "the toy must be linked"
    );

    // The caller's generator repeats itself: a restored snapshot, a forked process.
    let raw = |ct: &Ciphertext| key.public_key().key().element_to_biguint(ct.element());
    let repeated = || rng(99);
    for blinding in [Blinding::Full, Blinding::ShortExponent] {
        let public = key.public_key().with_blinding(blinding);
        let cts = [
            key.encrypt_at(&[1.0], 1, None, &mut repeated()).unwrap(),
            key.encrypt_at(&[2.0], 1, None, &mut repeated()).unwrap(),
            public.encrypt_at(&[1.0], 1, None, &mut repeated()).unwrap(),
            public.encrypt_at(&[2.0], 1, None, &mut repeated()).unwrap(),
            public.encrypt_at(&[1.0], 0, None, &mut repeated()).unwrap(),
        ];
        let server = public.evaluator();
        let mut all: Vec<BigUint> = cts.iter().map(raw).collect();
        let mut blinded = Vec::new();
        for ct in &cts {
            blinded.push(raw(&server.rerandomize(ct, &mut repeated()).unwrap()));
        }
        for (i, ct) in blinded.iter().enumerate() {
            assert_eq!(
                link(&n, ct, &all[i]),
                None,
                "a blinded ciphertext and its origin"
            );
        }
        all.extend(blinded);
        // The first and third are one plaintext under different kinds of randomness: no pair may be linked.
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_eq!(link(&n, a, b), None);
            }
        }
    }
    // With a generator as it should be, equal values have unequal ciphertexts.
    let mut rng = rng(5);
    let twice = [0, 1].map(|_| raw(&key.encrypt_at(&[1.0], 1, None, &mut rng).unwrap()));
    assert_ne!(twice[0], twice[1]);
    assert_eq!(link(&n, &twice[0], &twice[1]), None);
}

/// The owner can take discrete logarithms, so a short exponent does not hide a computation from it.
#[test]
fn sanitizing_never_uses_a_short_exponent() {
    let key = SecretKey::generate(&params(), &mut rng(4)).unwrap();
    let ct = key.encrypt_at(&[1.0], 1, None, &mut rng(5)).unwrap();
    let server = key.public_key().evaluator();
    let (magnitude, error) = (server.magnitude_bound(&ct), server.error_bound(&ct));
    let [full, short] = [Blinding::Full, Blinding::ShortExponent].map(|blinding| {
        let server = server.clone().with_blinding(blinding);
        let sane = server.sanitize(&ct, magnitude, error, &mut rng(6)).unwrap();
        let plain = server.rerandomize(&ct, &mut rng(6)).unwrap();
        (sane.element().clone(), plain.element().clone())
    });
    assert_eq!(full.0, short.0);
    assert_ne!(full.1, short.1, "the choice matters where it is one");
}

/// Bounds are what a server sees of the error: they must not depend on values.
#[test]
fn bounds_tell_nothing_about_values() {
    let key = SecretKey::generate(&params(), &mut rng(6)).unwrap();
    let server = key.public_key().evaluator();
    let bounds = [0.0, 1.0, -0.7, 1e-9].map(|x| {
        let ct = key.encrypt_at(&[x], 1, Some(1.0), &mut rng(7)).unwrap();
        let ct = server
            .mul_plain(&server.add(&ct, &ct).unwrap(), &[0.3])
            .unwrap();
        let bytes = server.write_ciphertext(&ct).len();
        (server.error_bound(&ct), server.magnitude_bound(&ct), bytes)
    });
    assert!(bounds.iter().all(|b| *b == bounds[0]));
}

/// Whatever is wrong with a plaintext, the answer is the same.
#[test]
fn decryption_fails_in_one_way() {
    let params = params();
    let key = SecretKey::generate(&params, &mut rng(8)).unwrap();
    let server = key.public_key().evaluator();
    let n = server.key().n().clone();
    let ct = key.encrypt_at(&[1.0], 1, None, &mut rng(9)).unwrap();
    let top = params.slot_width() as usize * params.slots();
    // Added to a good ciphertext under its bounds, as a dishonest server would.
    let bad = [
        &n / 3u8,
        &n / 2u8,
        &n - (&n / 3u8),
        BigUint::one() << top,
        BigUint::one() << (params.slot_width() - 1),
    ];
    let shown: Vec<String> = bad
        .iter()
        .map(|m| {
            let element = server.key().add_plain(ct.element(), m).unwrap();
            let c = server.key().element_to_biguint(&element);
            let mut bytes = server.write_ciphertext(&ct);
            // The same envelope around another number.
            let header = cipherblas_scheme::wire::Header::peek(&bytes).unwrap();
            let start = bytes.len() - params.ciphertext_bytes();
            let mut digits = c.to_bytes_le();
            digits.resize(params.ciphertext_bytes(), 0);
            bytes[start..].copy_from_slice(&digits);
            let payload = &bytes[start - 20..];
            let sealed = cipherblas_scheme::wire::seal(&header, payload);
            let forged = server.read_ciphertext(&sealed).unwrap();
            let error = key.decrypt(&forged).unwrap_err();
            assert_eq!(error, Error::Decryption);
            let shared = key.decrypt_shared(&forged, 1.0, &mut rng(1)).unwrap_err();
            assert_eq!(shared, error);
            format!("{error} {error:?}")
        })
        .collect();
    assert!(shown.iter().all(|s| *s == shown[0]));
}

/// A fault in one half makes the answer right modulo one prime only: the greatest common divisor with the right one and n is
/// that prime.
#[test]
fn a_faulty_half_gives_a_factor_of_a_toy_and_is_never_released() {
    let key = SecretKey::generate(&params(), &mut rng(10)).unwrap();
    let [p, q] = primes(&key);
    let n = &p * &q;
    let m = number("123456789123456789");
    let c = toy::encrypt(&n, &m, &number("271828182845904523536"));
    let (mp, mq) = (toy::half(&p, &q, &c), toy::half(&q, &p, &c));
    assert_eq!(toy::join(&p, &q, &mp, &mq), m);
    let faulty = toy::join(&p, &q, &(&mp ^ BigUint::one()), &mq);
    assert_eq!(
        (&faulty + &n - &m).gcd(&n),
        q,
        "the toy must give a factor away"
    );

    // The same fault in this library, with its check switched off and on.
    let element = key.public_key().key().element_from_biguint(&c).unwrap();
    for (first_half, place) in [
        (true, Place::Plain),
        (false, Place::Plain),
        (true, Place::Logarithm),
        (false, Place::Input),
        (true, Place::Power { step: 60, limb: 1 }),
    ] {
        let fault = Fault {
            first_half,
            place,
            mask: 1,
        };
        let decrypt = |check| {
            key.key()
                .insecure_decrypt_with_fault(&element, Some(fault), check)
        };
        let unchecked = from_words(&decrypt(false).unwrap());
        let other = if first_half { &q } else { &p };
        assert_eq!((unchecked + &n - &m).gcd(&n), *other, "{fault:?}");
        assert_eq!(decrypt(true).unwrap_err(), Error::Decryption, "{fault:?}");
    }
}
