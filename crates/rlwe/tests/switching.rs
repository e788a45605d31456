//! Divisions, decompositions and key switches against big integers, for every shape of chain.

use cipherblas_math::primes::primes_near;
use cipherblas_rlwe::switch::{self, KeySwitchKey};
use cipherblas_rlwe::{
    Basis, Coeff, Digits, EvaluationKeys, Ntt, Poly, Ring, RingSpec, SecretKey, wire,
};
use cipherblas_scheme::KeySet;
use cipherblas_scheme::wire::Reader;
use num_bigint::BigInt;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

/// A ring with the given primes in each level, digits of `digit_len`, and enough special primes.
fn ring(degree: usize, groups: &[usize], bits: u32, digit_len: usize) -> Arc<Ring> {
    let step = 2 * degree as u64;
    let total = groups.iter().sum::<usize>();
    let mut q = primes_near(1 << bits, step, total, &[]).unwrap();
    q.truncate(total);
    let special = primes_near((1 << 50) - 1, step, digit_len + 1, &q).unwrap();
    let mut rest = q.into_iter();
    let groups = groups
        .iter()
        .map(|&k| rest.by_ref().take(k).collect())
        .collect();
    Ring::new(RingSpec {
        degree,
        groups,
        special,
        digit_len,
    })
    .unwrap()
}

/// Centred coefficients over the product of the primes of `poly`.
fn lift(poly: Poly<Coeff>) -> Vec<BigInt> {
    let ring = poly.ring().clone();
    let primes: Vec<_> = (0..poly.basis().len())
        .map(|k| ring.moduli()[ring.index(poly.basis(), k)])
        .collect();
    let product: BigInt = primes.iter().map(|m| BigInt::from(m.value())).product();
    (0..ring.degree())
        .map(|i| {
            let x: BigInt = primes
                .iter()
                .enumerate()
                .map(|(k, m)| {
                    let hat = &product / m.value();
                    let reduced = u64::try_from(&hat % m.value()).unwrap();
                    let y = m.mul(m.canonical(poly.limb(k)[i]), m.inv(reduced).unwrap());
                    hat * y
                })
                .sum::<BigInt>()
                % &product;
            if &x * 2 > product { x - &product } else { x }
        })
        .collect()
}

fn uniform(ring: &Arc<Ring>, basis: Basis, rng: &mut ChaCha20Rng) -> Poly<Ntt> {
    let mut poly = Poly::zero(ring, basis);
    let n = ring.degree();
    for k in 0..basis.len() {
        let p = ring.moduli()[ring.index(basis, k)];
        for i in 0..n {
            poly.data_mut()[k * n + i] = p.residue(rng.random_range(0..p.value()));
        }
    }
    poly
}

fn product_of(ring: &Ring, indices: impl Iterator<Item = usize>) -> BigInt {
    indices
        .map(|i| BigInt::from(ring.moduli()[i].value()))
        .product()
}

fn round_div(x: &BigInt, by: &BigInt) -> BigInt {
    let two = BigInt::from(2);
    let twice: BigInt = x * &two + by;
    let by2 = by * two;
    let q = &twice / &by2;
    if (&twice % &by2) < BigInt::from(0) {
        q - 1
    } else {
        q
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn divisions_round_to_the_nearest(
        seed: u64, log_n in 4u32..8, groups in prop::collection::vec(1usize..4, 2..5), bits in 25u32..50, digit in 1usize..4,
    ) {
        let ring = ring(1 << log_n, &groups, bits, digit);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let top = ring.max_level();
        for level in 1..=top {
            let q = ring.basis(level).q;
            let below = ring.basis(level - 1).q;
            let x = uniform(&ring, ring.basis(level), &mut rng);
            let group = product_of(&ring, below..q);
            let remaining = product_of(&ring, 0..below);
            let got = lift(switch::rescale(&x).unwrap().into_coeff());
            for (g, x) in got.iter().zip(lift(x.into_coeff())) {
                prop_assert_eq!((g - round_div(&x, &group)) % &remaining, BigInt::from(0));
            }
            let wide = Basis { q, p: ring.p_len() };
            let x = uniform(&ring, wide, &mut rng);
            let p = product_of(&ring, ring.q_len()..ring.moduli().len());
            let down = lift(switch::mod_down(&x).into_coeff());
            let both = lift(switch::mod_down_rescale(&x).unwrap().into_coeff());
            let q_all = product_of(&ring, 0..q);
            for ((d, b), x) in down.iter().zip(&both).zip(lift(x.into_coeff())) {
                prop_assert_eq!((d - round_div(&x, &p)) % &q_all, BigInt::from(0));
                prop_assert_eq!((b - round_div(&x, &(&p * &group))) % &remaining, BigInt::from(0));
            }
        }
        prop_assert!(switch::rescale(&uniform(&ring, ring.basis(0), &mut rng)).is_err());
    }

    #[test]
    fn key_switches_err_by_less_than_their_bound(
        seed: u64, log_n in 4u32..8, groups in prop::collection::vec(1usize..3, 1..5), bits in 30u32..46, digit in 1usize..5,
    ) {
        let ring = ring(1 << log_n, &groups, bits, digit);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let sk = SecretKey::generate(&ring, &mut rng).unwrap();
        let relin = switch::relinearization_key(&sk, &mut rng);
        for level in 0..=ring.max_level() {
            let c = uniform(&ring, ring.basis(level), &mut rng);
            let n = ring.degree() as f64;
            // |sum_d digit_d e_d| / P + |r0 + r1 s|, in the worst case of every coefficient.
            let digits: f64 = ring.log2_digits(level).iter().map(|d| (d - ring.log2_p()).exp2()).sum();
            let bound = n * 21.0 * 0.5 * digits + 0.5 * (1.0 + n) + 1.0;
            let switched = |u: (Poly<Ntt>, Poly<Ntt>)| {
                sk.phase(&[&switch::mod_down(&u.0), &switch::mod_down(&u.1)])
            };
            // c2 s^2 through the key, against c2 s^2 itself.
            let square = Poly::zero(&ring, ring.basis(level));
            let expected = sk.phase(&[&square, &square, &c]);
            let mut got = switched(switch::switch_product(&c, &relin));
            got.sub_assign(&expected);
            for x in lift(got.into_coeff()) {
                prop_assert!(x.magnitude() <= BigInt::from(bound as i64).magnitude(), "level {level}: {x} > {bound}");
            }
            // A hoisted automorphism: sigma(c1 s).
            for g in [5u64, 25, ring.conjugation_element()] {
                let key = switch::galois_key(&sk, g, &mut rng).unwrap();
                let expected = sk.phase(&[&square, &c]).automorphism(g).unwrap();
                let hoisted = Digits::decompose(&c).product(&key);
                let direct = switch::switch_product(&c, &key);
                for u in [hoisted, direct] {
                    let down = (switch::mod_down(&u.0).automorphism(g).unwrap(), switch::mod_down(&u.1).automorphism(g).unwrap());
                    let mut got = sk.phase(&[&down.0, &down.1]);
                    got.sub_assign(&expected);
                    for x in lift(got.into_coeff()) {
                        prop_assert!(x.magnitude() <= BigInt::from(bound as i64).magnitude(), "{x} > {bound}");
                    }
                }
            }
        }
    }
}

#[test]
fn encryptions_of_zero_are_small_and_fresh() {
    let ring = ring(256, &[1, 1, 2], 40, 2);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let sk = SecretKey::generate(&ring, &mut rng).unwrap();
    let pk = sk.public_key(&mut rng).unwrap();
    for level in 0..=2 {
        let mut randomness = sk.randomness(level, &[], &mut rng);
        let a = sk.encrypt_zero(level, &mut randomness);
        let b = sk.encrypt_zero(level, &mut randomness);
        assert_ne!(a.c1.data(), b.c1.data(), "the same randomness twice");
        assert!(a.seed.is_some());
        let largest = |c: &cipherblas_rlwe::EncryptionOfZero| {
            lift(sk.phase(&[&c.c0, &c.c1]).into_coeff())
                .into_iter()
                .map(|x| x.magnitude().clone())
                .max()
                .unwrap()
        };
        assert!(largest(&a) <= 21u32.into());
        let message = Poly::<Coeff>::zero(&ring, ring.basis(level));
        let c = pk.encrypt(level, &message, &mut pk.randomness(level, &[], &mut rng));
        assert!(
            largest(&c) <= (21u32 + 1 + 128 + 1).into(),
            "{}",
            largest(&c)
        );
        assert!(largest(&c) > 0u32.into());
    }
}

/// A generator that repeats itself: two ciphertexts with the same uniform half and error would differ by their messages.
#[test]
fn nothing_is_encrypted_twice_from_the_same_randomness() {
    let ring = ring(64, &[1, 1], 40, 2);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let sk = SecretKey::generate(&ring, &mut rng).unwrap();
    let again = SecretKey::restore(
        &ring,
        sk.expose_coefficients().to_vec().into(),
        cipherblas_scheme::wire::KeyId([7; 16]),
    )
    .unwrap();
    let pk = sk.public_key(&mut rng.clone()).unwrap();
    let mut halves = Vec::new();
    let mut see = |half: &[f64]| {
        let half: Vec<u64> = half.iter().map(|x| x.to_bits()).collect();
        assert!(!halves.contains(&half), "a uniform half occurs twice");
        halves.push(half);
    };
    let n = ring.degree();
    for (level, message) in [(0, "a"), (0, "b"), (1, "a")] {
        let content: [&[u8]; 1] = [message.as_bytes()];
        for key in [&sk, &again] {
            let mut randomness = key.randomness(level, &content, &mut rng.clone());
            see(&key.encrypt_zero(level, &mut randomness).c1.data()[..n]);
            see(&key.encrypt_zero(level, &mut randomness).c1.data()[..n]);
        }
        let zero = Poly::<Coeff>::zero(&ring, ring.basis(level));
        let mut randomness = pk.randomness(level, &content, &mut rng.clone());
        see(&pk.encrypt(level, &zero, &mut randomness).c1.data()[..n]);
    }
}

#[test]
fn evaluation_keys_survive_the_wire_and_nothing_else_does() {
    use cipherblas_rlwe::wire;
    use cipherblas_scheme::wire::{Reader, Writer};
    let ring = ring(32, &[1, 2], 40, 1);
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let sk = SecretKey::generate(&ring, &mut rng).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: [1, -1, 16, 0].into(),
        conjugation: true,
    };
    let mut seen = Vec::new();
    let keys =
        EvaluationKeys::generate(&sk, &set, &mut rng, |done, total| seen.push((done, total)))
            .unwrap();
    assert_eq!(keys.len(), 4, "steps 0 and 16 are the identity");
    assert_eq!(seen, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    let mut writer = Writer::new();
    wire::write_evaluation_keys(&mut writer, &keys);
    let bytes = writer.into_bytes();
    assert_eq!(bytes.len(), wire::evaluation_bytes(&ring, &set));
    let read =
        wire::read_evaluation_keys(&mut Reader::new("keys", &bytes), &ring, keys.id()).unwrap();
    let c = uniform(&ring, ring.basis(1), &mut rng);
    let same = |a: &KeySwitchKey, b: &KeySwitchKey| {
        let (x, y) = (switch::switch_product(&c, a), switch::switch_product(&c, b));
        lift(x.0.into_coeff()) == lift(y.0.into_coeff())
            && lift(x.1.into_coeff()) == lift(y.1.into_coeff())
    };
    assert!(same(
        keys.relinearization("test").unwrap(),
        read.relinearization("test").unwrap()
    ));
    assert!(same(keys.galois(5).unwrap(), read.galois(5).unwrap()));
    for cut in [0, 1, 4, 20, bytes.len() - 1] {
        assert!(
            wire::read_evaluation_keys(&mut Reader::new("keys", &bytes[..cut]), &ring, keys.id())
                .is_err()
        );
    }
    for (position, value) in [(0, 2u8), (1, 200), (5, 6), (4, 255)] {
        let mut altered = bytes.clone();
        altered[position] = value;
        assert!(
            wire::read_evaluation_keys(&mut Reader::new("keys", &altered), &ring, keys.id())
                .is_err()
        );
    }
}

#[test]
fn rings_that_cannot_be_are_refused() {
    let good = ring(32, &[1, 1], 40, 1).spec().clone();
    let refuse = |change: fn(&mut RingSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(Ring::new(spec.clone()).is_err(), "{spec:?}");
    };
    refuse(|s| s.degree = 48);
    refuse(|s| s.degree = 8);
    refuse(|s| s.degree = 1 << 18);
    refuse(|s| s.groups.clear());
    refuse(|s| s.groups[0].clear());
    refuse(|s| s.special.clear());
    refuse(|s| s.digit_len = 0);
    refuse(|s| {
        s.special.truncate(1);
        s.digit_len = 2;
    });
    refuse(|s| s.groups[1] = s.groups[0].clone());
    refuse(|s| s.groups[0][0] += 2);
    refuse(|s| s.groups[0][0] = 65);
}

/// Two bits a coefficient, and nothing else is read.
#[test]
fn secret_keys_are_packed() {
    let ring = ring(64, &[1, 1], 40, 2);
    let sk = SecretKey::generate(&ring, &mut ChaCha20Rng::seed_from_u64(3)).unwrap();
    let bytes = wire::expose_secret_key(&sk, 0);
    assert_eq!(bytes.len(), wire::secret_key_bytes(&ring));
    for (k, &c) in sk.expose_coefficients().iter().enumerate() {
        assert_eq!(bytes[k / 4] >> (2 * (k % 4)) & 3, (c + 1) as u8);
    }
    let read = |bytes: &[u8]| wire::read_secret_key(&mut Reader::new("key", bytes), &ring, sk.id());
    let again = read(&bytes).unwrap();
    assert_eq!(again.expose_coefficients(), sk.expose_coefficients());
    assert_eq!(again.id(), sk.id());
    assert!(read(&bytes[1..]).is_err());
    for k in 0..ring.degree() {
        let mut altered = bytes.to_vec();
        altered[k / 4] |= 3 << (2 * (k % 4));
        assert!(read(&altered).is_err(), "coefficient {k} is 2");
    }
}
