//! Attacks of the security page: each succeeds against the unsafe way and fails against the default one.

use cipherblas_bfv::{Ciphertext, Error, Evaluator, KeySet, Params, SecretKey};
use cipherblas_math::primes::primes_near;
use cipherblas_math::{Modulus, sample};
use cipherblas_rlwe::{Coeff, Ntt, Poly, Ring, RingSpec};
use cipherblas_scheme::wire::{Expected, Header, Kind, SchemeId, seal};
use cipherblas_scheme::{Add, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Rotate, Scheme, Wire};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// `round(t x / q)` modulo t, centred, for every coefficient.
fn scale_down(poly: &Poly<Coeff>, q: Modulus, t: i128) -> Vec<i64> {
    let limb = poly.limb(0).iter();
    limb.map(|&x| {
        let x = q.residue(q.canonical(x)) as i128;
        let (twice, q) = (2 * t * x, i128::from(q.value()));
        let rounded = (twice + q).div_euclid(2 * q).rem_euclid(t);
        (if rounded > t / 2 {
            rounded - t
        } else {
            rounded
        }) as i64
    })
    .collect()
}

/// BFV as it must not be: bounds take all noises as independent, so that a sum of k terms is thought to have the deviation
/// of one times the root of k.
struct AverageCase {
    secret: cipherblas_rlwe::SecretKey,
    q: Modulus,
    t: i128,
}

#[derive(Clone)]
struct ToyCiphertext {
    c0: Poly<Ntt>,
    c1: Poly<Ntt>,
    variance: f64,
}

impl AverageCase {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let (degree, bits) = (256, 40);
        let q = primes_near(1 << bits, 2 * degree, 1, &[]).unwrap();
        let special = primes_near((1 << 50) - 1, 2 * degree, 1, &q).unwrap();
        let ring = Ring::new(RingSpec {
            degree: degree as usize,
            groups: vec![q.clone()],
            special,
            digit_len: 1,
        });
        Self {
            secret: cipherblas_rlwe::SecretKey::generate(&ring.unwrap(), rng).unwrap(),
            q: Modulus::new(q[0]).unwrap(),
            t: 257,
        }
    }
    /// Of zero: the adversary knows the message.
    fn encrypt(&self, rng: &mut ChaCha20Rng) -> ToyCiphertext {
        let zero = self
            .secret
            .encrypt_zero(0, &mut self.secret.randomness(0, &[], rng));
        ToyCiphertext {
            c0: zero.c0,
            c1: zero.c1,
            variance: sample::ERROR_VARIANCE,
        }
    }
    fn limit(&self) -> f64 {
        self.q.value() as f64 / (2.0 * self.t as f64)
    }
    /// Refuses what its heuristic bound, at twelve deviations, does not allow.
    fn add(&self, a: &ToyCiphertext, b: &ToyCiphertext) -> Option<ToyCiphertext> {
        let mut out = a.clone();
        out.c0.add_assign(&b.c0);
        out.c1.add_assign(&b.c1);
        out.variance = a.variance + b.variance;
        (12.0 * out.variance.sqrt() < self.limit()).then_some(out)
    }
    fn decrypt(&self, ct: &ToyCiphertext) -> Vec<i64> {
        let phase = self.secret.phase(&[&ct.c0, &ct.c1]).into_coeff();
        scale_down(&phase, self.q, self.t)
    }
}

/// Attack 2 (after Checri et al., eprint 2024/116, and Cheon et al., eprint 2024/127): a ciphertext is added to itself until
/// its noise, which is then a multiple of one noise and not a sum of independent ones, reaches the message. About Q/t times the
/// ciphertext decrypts to its noise; and with the noise, one linear equation gives the key.
#[test]
fn decryption_failures_give_the_key_away_under_average_case_bounds() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let toy = AverageCase::new(&mut rng);
    let ct = toy.encrypt(&mut rng);
    assert!(toy.decrypt(&ct).iter().all(|&x| x == 0));
    // k copies by doubling: k the nearest integer to Q/t.
    let k = (toy.q.value() as f64 / toy.t as f64).round() as u64;
    let (mut sum, mut power) = (None::<ToyCiphertext>, ct.clone());
    for bit in 0..u64::BITS - k.leading_zeros() {
        if k >> bit & 1 == 1 {
            sum = Some(match &sum {
                None => power.clone(),
                Some(sum) => toy.add(sum, &power).expect("the toy allows it"),
            });
        }
        power = toy.add(&power, &power).expect("the toy allows it");
    }
    let noise = toy.decrypt(&sum.unwrap());
    assert!(noise.iter().any(|&x| x != 0), "a decryption failure");

    // c0 + c1 s = e.
    let ring = ct.c0.ring();
    let mut e: Vec<f64> = noise.iter().map(|&x| x as f64).collect();
    ring.plan(0).forward(&mut e);
    let q = toy.q;
    let mut s: Vec<f64> = (0..ring.degree())
        .map(|i| {
            let c1 = q.canonical(ct.c1.limb(0)[i]);
            let right = q.sub(q.canonical(e[i]), q.canonical(ct.c0.limb(0)[i]));
            q.residue(q.mul(right, q.inv(c1).unwrap_or(0)))
        })
        .collect();
    ring.plan(0).inverse(&mut s);
    let s: Vec<i64> = s
        .iter()
        .map(|&x| q.residue(q.canonical(x)) as i64)
        .collect();
    let secret = toy.secret.expose_coefficients();
    assert!(
        s.iter().zip(secret).all(|(&a, &b)| a == i64::from(b)),
        "the toy must give its key away, or this test shows nothing"
    );
}

fn setup(params: &Params, rng: &mut ChaCha20Rng) -> (SecretKey, Evaluator) {
    let sk = SecretKey::generate(params, rng).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: [1, 2].into(),
        conjugation: false,
    };
    let keys = sk.evaluation_keys(&set, rng).unwrap();
    let ev = Evaluator::new(params, keys).unwrap();
    (sk, ev)
}

/// Applies `step` until it is refused; everything before decrypts exactly, and measured noise is within the bound.
fn until_refused(
    sk: &SecretKey,
    start: Ciphertext,
    step: impl Fn(&Ciphertext) -> Result<Ciphertext, Error>,
    what: &str,
) -> usize {
    let mut ct = start;
    for count in 0..10_000 {
        let measured = sk.noise_bits(&ct).unwrap();
        assert!(
            measured <= ct.noise_bound_bits(),
            "{what}: {measured} after {count}"
        );
        assert!(sk.decrypt(&ct).unwrap().iter().all(|&x| x == 0), "{what}");
        match step(&ct) {
            Ok(next) => ct = next,
            Err(Error::Noise {
                bound_bits,
                limit_bits,
                ..
            }) => {
                assert!(bound_bits > limit_bits);
                assert_eq!(limit_bits, sk.params().noise_limit(ct.depth()).log2());
                return count;
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
    panic!("{what}: never refused");
}

#[test]
fn worst_case_bounds_refuse_before_decryption_fails() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let toy = Params::builder()
        .depth(2)
        .plaintext_bits(45)
        .plaintext_moduli(1)
        .headroom_bits(4)
        .insecure_degree(64);
    let secure = Params::builder().depth(1).plaintext_bits(40);
    for params in [toy.build().unwrap(), secure.build().unwrap()] {
        let (sk, ev) = setup(&params, &mut rng);
        let pk = sk.public_key(&mut rng).unwrap();
        // Declared so small that no sum of them overflows.
        let zero = |depth, rng: &mut ChaCha20Rng| {
            let tiny = Some(f64::MIN_POSITIVE);
            let ct = if depth % 2 == 0 {
                sk.encrypt_at(&[0], depth, tiny, rng)
            } else {
                pk.encrypt_at(&[0], depth, tiny, rng)
            };
            ct.unwrap()
        };
        for depth in 0..=params.depth().min(1) {
            let sums = until_refused(&sk, zero(depth, &mut rng), |x| ev.add(x, x), "x + x");
            assert!(sums >= params.headroom_bits() as usize);
        }
        until_refused(
            &sk,
            zero(0, &mut rng),
            |x| ev.rotate_sum(&[x, x, x], &[0, 1, 2]),
            "sums of rotations of one ciphertext",
        );
        until_refused(
            &sk,
            zero(0, &mut rng),
            |x| ev.mul_scalar(x, 16),
            "small factors",
        );
        // Noises aligned by a product of a sum with itself.
        let mut sum = zero(1, &mut rng);
        let refused = loop {
            match ev.square(&sum) {
                Ok(square) => {
                    assert!(sk.decrypt(&square).unwrap().iter().all(|&x| x == 0));
                    assert!(sk.noise_bits(&square).unwrap() <= square.noise_bound_bits());
                }
                Err(error) => break error,
            }
            sum = ev.add(&sum, &sum).unwrap();
        };
        assert!(matches!(refused, Error::Noise { .. }), "{refused}");
    }
}

/// A ciphertext that declares more noise than decrypts never gets in, and none leaves for others.
#[test]
fn declared_noise_beyond_the_limit_is_not_read() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let params = Params::builder().depth(1).insecure_degree(32).build();
    let (sk, ev) = setup(&params.unwrap(), &mut rng);
    let ct = sk.encrypt_at(&[3], 1, Some(4.0), &mut rng).unwrap();
    assert_eq!(sk.decrypt_shared(&ct, 0.0, &mut rng).unwrap()[0], 3);
    let bytes = rewrite(&ev.write_ciphertext(&ct), |p| {
        p[4..12].copy_from_slice(&sk.params().noise_limit(1).next_up().to_le_bytes());
    });
    assert!(matches!(
        ev.read_ciphertext(&bytes),
        Err(Error::Wire { .. })
    ));
}

fn rewrite(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind: Kind::Ciphertext,
        scheme: SchemeId::Bfv,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(&Header { ..header }, &payload)
}

/// Attack 4: what a server can read of noise follows from public data alone. (That it cannot call `noise_bits` is a test of the
/// documentation of that method: it does not compile.)
#[test]
fn bounds_are_the_same_for_all_values_and_keys() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let params = Params::builder()
        .depth(2)
        .plaintext_bits(40)
        .insecure_degree(64)
        .build()
        .unwrap();
    let mut seen: Vec<(f64, f64, Vec<u8>)> = Vec::new();
    for value in [0, 1, -1000] {
        let (sk, ev) = setup(&params, &mut rng);
        let x = sk.encrypt_at(&[value], 2, Some(1000.0), &mut rng).unwrap();
        let y = ev.rotate(&ev.square(&x).unwrap(), 1).unwrap();
        let z = ev.mul_plain(&y, &[3, 5]).unwrap();
        let bytes = ev.write_ciphertext(&z);
        let payload = &bytes[Header::LEN + 32..];
        // Level, noise, magnitude, flag: all that is not a residue.
        seen.push((
            z.noise_bound_bits(),
            ev.magnitude_bound(&z),
            payload[..21].to_vec(),
        ));
        assert_eq!(ev.error_bound(&z), 0.0);
        assert!(!format!("{z:?} {sk:?}").contains("noise"));
    }
    assert!(seen.windows(2).all(|w| w[0] == w[1]));
}

/// Attack 5: whatever fails after decryption fails alike.
#[test]
fn failures_after_decryption_are_alike() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let params = Params::builder()
        .depth(1)
        .plaintext_bits(30)
        .insecure_degree(64)
        .build()
        .unwrap();
    let (sk, ev) = setup(&params, &mut rng);
    let ct = sk.encrypt_at(&[3, 200], 1, Some(256.0), &mut rng).unwrap();
    let declare = |bound: f64| {
        let bytes = ev.write_ciphertext(&ct);
        let bytes = rewrite(&bytes, |p| {
            p[12..20].copy_from_slice(&bound.to_le_bytes());
        });
        sk.decrypt(&ev.read_ciphertext(&bytes).unwrap())
    };
    assert_eq!(declare(200.0).unwrap()[1], 200);
    // A threshold of the sender's choice would be an oracle: 39 of them find the largest value.
    for bound in [199.999, 3.0, 0.0] {
        assert_eq!(declare(bound), declare(200.0), "{bound}");
    }
    // The owner's own range is what counts.
    let one = sk.encrypt_at(&[1], 1, Some(1.0), &mut rng).unwrap();
    let bytes = rewrite(&ev.write_ciphertext(&one), |p| {
        p[12..20].copy_from_slice(&0.5f64.to_le_bytes());
    });
    let forged = ev.read_ciphertext(&bytes).unwrap();
    let half = ev.mul_scalar_to(&forged, (1 << 28) + 1, 0).unwrap();
    let beyond = ev.add(&half, &half).unwrap();
    assert_eq!(sk.decrypt(&beyond), Err(Error::Decryption));
    let rows = sk
        .encrypt_rows([&[1], &[2]], 1, Some(2.0), &mut rng)
        .unwrap();
    assert_eq!(sk.decrypt(&rows), Err(Error::Decryption));
    // Residues made up: noise.
    let bytes = rewrite(&ev.write_ciphertext(&ct), |p| {
        p[21..29].copy_from_slice(&[0; 8]);
    });
    assert_eq!(
        sk.decrypt(&ev.read_ciphertext(&bytes).unwrap()),
        Err(Error::Decryption)
    );
}

/// A result's bounds are a function of the plain operands; what is written does not tell the sum of the weights.
#[test]
fn written_bounds_do_not_tell_weights() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let params = Params::builder()
        .depth(1)
        .plaintext_bits(30)
        .insecure_degree(64)
        .build()
        .unwrap();
    let (sk, ev) = setup(&params, &mut rng);
    let cts = [(); 2].map(|()| sk.encrypt_at(&[1], 1, Some(1.0), &mut rng).unwrap());
    let header = |weights: [i64; 2]| {
        let parts: Vec<Ciphertext> = cts
            .iter()
            .zip(weights)
            .map(|(ct, w)| ev.mul_scalar_to(ct, w, 0).unwrap())
            .collect();
        let sum = ev.add(&parts[0], &parts[1]).unwrap();
        let bytes = ev.write_ciphertext(&sum);
        let read = ev.read_ciphertext(&bytes).unwrap();
        assert!(ev.magnitude_bound(&read) >= ev.magnitude_bound(&sum));
        assert!(read.noise_bound_bits() >= sum.noise_bound_bits());
        assert_eq!(sk.decrypt(&read).unwrap()[0], weights.iter().sum::<i64>());
        assert_eq!(ev.write_ciphertext(&read), bytes);
        (
            ev.magnitude_bound(&sum),
            bytes[Header::LEN + 32..][..21].to_vec(),
        )
    };
    let ((a, written), (b, also)) = (header([300, 22]), header([300, 23]));
    assert_eq!((a, b), (322.0, 323.0));
    assert_eq!(written, also);
}

/// Noise that no honest ciphertext has is not believed.
#[test]
fn declared_noise_has_a_floor() {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let params = Params::builder().depth(1).insecure_degree(32).build();
    let (sk, ev) = setup(&params.unwrap(), &mut rng);
    let floor = sk.params().noise().floor().log2();
    let ct = sk.encrypt_at(&[3], 1, Some(4.0), &mut rng).unwrap();
    let zero_noise = |ct: &Ciphertext| {
        rewrite(&ev.write_ciphertext(ct), |p| {
            p[4..12].copy_from_slice(&[0; 8])
        })
    };
    let read = ev.read_ciphertext(&zero_noise(&ev.add(&ct, &ct).unwrap()));
    assert_eq!(read.unwrap().noise_bound_bits(), floor);
    let nothing = ev.mul_scalar(&ct, 0).unwrap();
    let read = ev.read_ciphertext(&ev.write_ciphertext(&nothing)).unwrap();
    assert!(read.noise_bound_bits() >= floor);
    // Fresh ones say what encryption gives them.
    let pk = sk.public_key(&mut rng).unwrap();
    let other = pk.encrypt_at(&[3], 1, Some(4.0), &mut rng).unwrap();
    for fresh in [ct, other] {
        let read = ev.read_ciphertext(&ev.write_ciphertext(&fresh)).unwrap();
        assert_eq!(read.noise_bound_bits(), fresh.noise_bound_bits());
        assert!(matches!(
            ev.read_ciphertext(&zero_noise(&fresh)),
            Err(Error::Wire { .. })
        ));
    }
}

/// Attack 7: where two ciphertexts have the same uniform half, the difference of the others is that of the messages.
fn difference_of_messages(params: &Params, a: &Poly<Ntt>, b: &Poly<Ntt>) -> Vec<i64> {
    let (ring, t) = (params.ring(), params.plaintext_moduli()[0]);
    assert_eq!(ring.basis(0).len(), 1);
    let mut c0 = a.clone();
    c0.sub_assign(b);
    let coefficients = scale_down(&c0.into_coeff(), ring.moduli()[0], i128::from(t));
    // The values at all primitive 2N-th roots of unity, naively.
    let (t, n) = (Modulus::new(t).unwrap(), ring.degree() as u64);
    let root = (2..t.value())
        .map(|x| t.pow(x, (t.value() - 1) / (2 * n)))
        .find(|&root| t.pow(root, n) == t.value() - 1)
        .unwrap();
    let mut values: Vec<i64> = (0..n)
        .map(|j| {
            let x = t.pow(root, 2 * j + 1);
            let value = coefficients
                .iter()
                .rev()
                .fold(0, |acc, &c| t.add(t.mul(acc, x), t.from_i64(c)));
            t.residue(value) as i64
        })
        .collect();
    values.sort_unstable();
    values
}

#[test]
fn reused_randomness_links_messages_and_is_not_to_be_had() {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let params = Params::builder()
        .depth(0)
        .plaintext_bits(7)
        .plaintext_moduli(1)
        .headroom_bits(0)
        .insecure_degree(16)
        .build()
        .unwrap();
    let sk = SecretKey::generate(&params, &mut rng).unwrap();
    let (x, y) = ([1, -20, 33, 4], [7, 7, -9, 30]);
    let mut wanted: Vec<i64> = x.iter().zip(&y).map(|(a, b)| a - b).collect();
    wanted = wanted.repeat(4);
    wanted.sort_unstable();
    // The unsafe way: the message is no part of the seed, and the generator is in the same state twice. A constant is in
    // all slots.
    let ring = params.ring();
    let secret = cipherblas_rlwe::SecretKey::generate(ring, &mut rng).unwrap();
    let unsafe_toy = |constant: i64| {
        let mut randomness = secret.randomness(0, &[], &mut rng.clone());
        let mut zero = secret.encrypt_zero(0, &mut randomness);
        let q = ring.moduli()[0];
        let mut message = Poly::<Coeff>::zero(ring, ring.basis(0));
        let t = params.plaintext_moduli()[0];
        message.data_mut()[0] = (q.value() as f64 / t as f64 * constant as f64).round();
        zero.c0.add_assign(&message.into_ntt());
        zero
    };
    let (a, b) = (unsafe_toy(-20), unsafe_toy(9));
    assert_eq!(a.c1.data(), b.c1.data());
    assert_eq!(
        difference_of_messages(&params, &a.c0, &b.c0),
        [-29; 16],
        "reused randomness must give differences away, or this test shows nothing"
    );
    // It is not to be had: a generator that repeats itself, with either key.
    let pk = sk.public_key(&mut rng).unwrap();
    for public in [false, true] {
        let encrypt = |values: &[i64]| {
            let mut rng = rng.clone();
            let ct = if public {
                pk.encrypt_at(values, 0, None, &mut rng)
            } else {
                sk.encrypt_at(values, 0, None, &mut rng)
            };
            ct.unwrap()
        };
        let (a, b) = (encrypt(&x), encrypt(&y));
        assert_ne!(a.halves(0).1.data(), b.halves(0).1.data());
        let difference = difference_of_messages(&params, a.halves(0).0, b.halves(0).0);
        assert_ne!(difference, wanted);
        // Equal messages are seen to be equal, and nothing more.
        assert_eq!(a.halves(0).0.data(), encrypt(&x).halves(0).0.data());
    }
}

/// Every object, and every plaintext modulus of one, has a uniform half of its own.
#[test]
fn no_uniform_half_occurs_twice() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let params = Params::builder()
        .depth(1)
        .plaintext_bits(60)
        .plaintext_moduli(3)
        .insecure_degree(64)
        .build()
        .unwrap();
    let (sk, ev) = setup(&params, &mut rng);
    let pk = sk.public_key(&mut rng).unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..4 {
        let value = rng.random_range(-5..5);
        for ct in [
            sk.encrypt_at(&[value], ev.max_depth(), Some(5.0), &mut rng),
            pk.encrypt_at(&[value], ev.max_depth(), Some(5.0), &mut rng),
        ] {
            let ct = ct.unwrap();
            for i in 0..3 {
                let half: Vec<u64> = ct.halves(i).1.limb(0).iter().map(|x| x.to_bits()).collect();
                assert!(seen.insert(half), "a uniform half occurs twice");
            }
        }
    }
    assert_eq!(seen.len(), 24);
}
