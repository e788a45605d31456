use super::*;
use crate::testing::{centre, centred, from_big, multiply, product, ring, round_div};
use cipherblas_rlwe::SecretKey;
use cipherblas_rlwe::pairs::relinearize_rescale;
use cipherblas_rlwe::switch::relinearization_key;
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const N: usize = 16;
const MODULI: [u64; 3] = [193, 65537, 1_125_899_906_826_241];

type Half = Vec<BigInt>;

/// Uniform modulo Q, or near the ends of the range: as far from them as makes the representative unique.
fn half(rng: &mut ChaCha20Rng, q: &BigInt, extreme: bool) -> Half {
    (0..N)
        .map(|_| {
            let mut bytes = [0; 64];
            rng.fill_bytes(&mut bytes);
            let x = BigInt::from_bytes_le(Sign::Plus, &bytes);
            match (extreme, bytes[0] % 2) {
                (false, _) => centre(&x, q),
                (true, 0) => (q - (q >> 30u32)) / 2,
                (true, _) => -(q - (q >> 30u32)) / 2,
            }
        })
        .collect()
}

fn add(a: &mut Half, b: &Half) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// `sum_i a_i (x) b_i` over the integers.
fn tensor(a: &[[Half; 2]], b: &[[Half; 2]]) -> [Half; 3] {
    let mut out: [Half; 3] = std::array::from_fn(|_| vec![BigInt::from(0); N]);
    for (a, b) in a.iter().zip(b) {
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                add(&mut out[i + j], &multiply(x, y));
            }
        }
    }
    out
}

/// What a call is compared with: Q, R, the plaintext modulus, whether conversions may be near ties.
struct Oracle {
    q: BigInt,
    r: BigInt,
    t: u64,
    extreme: bool,
}

impl Oracle {
    fn compare(&self, got: Triple, a: &[[Half; 2]], b: &[[Half; 2]]) {
        let (q, r, t) = (&self.q, &self.r, self.t);
        let got = [got.0, got.1, got.2].map(|x| centred(&x.into_coeff()));
        // As the algorithm does it, in big integers.
        let divide = |x: &BigInt| centre(&round_div(&(x * r), q), r);
        let divided: Vec<[Half; 2]> = b
            .iter()
            .map(|b| [0, 1].map(|i| b[i].iter().map(divide).collect()))
            .collect();
        let scaled = tensor(a, &divided);
        let exact = tensor(a, b);
        // Times Q R: two halves of N coefficients of at most Q/2 times errors of at most Q/R (1/2 + 2^-40), and the rounding.
        let bound: BigInt = (BigInt::from(t) * (N * a.len()) * q + r) * q * 51 / 100;
        for i in 0..3 {
            for k in 0..N {
                let got = &got[i][k];
                if !self.extreme {
                    let want = round_div(&(&scaled[i][k] * t), r);
                    assert_eq!(*got, centre(&want, q), "{t}");
                }
                // t / Q times the product, minus the result, modulo Q; times Q.
                let off = centre(&(&exact[i][k] * t - got * q), &(q * q));
                assert!((off * r).magnitude() <= bound.magnitude(), "{t}");
            }
        }
    }
}

fn square(a: PairRef<'_>) -> [Term<'_>; 1] {
    [Term { a, b: None }]
}

fn refs(x: &[[Poly<Ntt>; 2]]) -> Vec<(&Poly<Ntt>, &Poly<Ntt>)> {
    x.iter().map(|[x, y]| (x, y)).collect()
}

fn check(groups: &[&[u32]], seed: u64, terms: usize, extreme: bool) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let ring = ring(N, groups, &[50, 50]);
    let multiplier = Multiplier::new(&ring, &MODULI).unwrap();
    for level in 0..groups.len() {
        let q = product(&ring.moduli()[..ring.basis(level).q]);
        let used = &multiplier.auxiliary[..multiplier.levels[level].auxiliary];
        let r = product(&used.iter().map(NttPlan::modulus).collect::<Vec<_>>());
        assert!(&r * 2 >= q, "R is at least half of Q");
        let mut random = || -> Vec<[Half; 2]> {
            (0..terms)
                .map(|_| [0, 1].map(|_| half(&mut rng, &q, extreme)))
                .collect()
        };
        let (a, b) = (random(), random());
        let polys = |x: &[[Half; 2]]| -> Vec<[Poly<Ntt>; 2]> {
            x.iter()
                .map(|x| [0, 1].map(|i| from_big(&ring, level, &x[i]).into_ntt()))
                .collect()
        };
        let (poly_a, poly_b) = (polys(&a), polys(&b));
        for (index, &t) in MODULI.iter().enumerate() {
            let oracle = Oracle {
                q: q.clone(),
                r: r.clone(),
                t,
                extreme,
            };
            let (x, y) = (refs(&poly_a), refs(&poly_b));
            oracle.compare(
                multiplier.scaled_tensor(index, &super::terms(&x, &y).unwrap()),
                &a,
                &b,
            );
            oracle.compare(
                multiplier.scaled_tensor(index, &square(x[0])),
                &a[..1],
                &a[..1],
            );
        }
    }
}

#[test]
fn products_at_the_ends_of_the_range() {
    for terms in [1, 3] {
        check(&[&[40], &[49, 49], &[49]], 1, terms, true);
        check(&[&[30], &[22, 25]], 2, terms, true);
    }
}

#[test]
fn both_backends() {
    for backend in cipherblas_math::Backend::all() {
        let spec = ring(N, &[&[45, 45], &[49]], &[50, 50]).spec().clone();
        let ring = Ring::with_backend(spec, backend).unwrap();
        let multiplier = Multiplier::new(&ring, &MODULI).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let q = product(&ring.moduli()[..3]);
        let a = [0, 1].map(|_| half(&mut rng, &q, false));
        let poly = [0, 1].map(|i| from_big(&ring, 1, &a[i]).into_ntt());
        let oracle = Oracle {
            r: product(
                &multiplier
                    .auxiliary
                    .iter()
                    .map(NttPlan::modulus)
                    .collect::<Vec<_>>(),
            ),
            q,
            t: MODULI[1],
            extreme: false,
        };
        oracle.compare(
            multiplier.scaled_tensor(1, &square((&poly[0], &poly[1]))),
            std::slice::from_ref(&a),
            std::slice::from_ref(&a),
        );
    }
}

#[test]
fn refuses() {
    let ring = ring(N, &[&[40]], &[50]);
    for t in [15, 1 << 51] {
        assert!(matches!(
            Multiplier::new(&ring, &[t]),
            Err(Error::Parameter { .. })
        ));
    }
    let multiplier = Multiplier::new(&ring, &MODULI).unwrap();
    assert!(multiplier.operand_error(0) <= 2.0 * ROUNDING_ERROR);
    let zero = Poly::<Ntt>::zero(&ring, ring.basis(0));
    let pair = (&zero, &zero);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let secret = SecretKey::generate(&ring, &mut rng).unwrap();
    let key = relinearization_key(&secret, &mut rng);
    assert!(matches!(
        multiplier.square(0, pair, &key),
        Err(Error::Depth { left: 0, .. })
    ));
    for (a, b) in [(0, 0), (1, 2)] {
        assert!(matches!(
            multiplier.multiply(0, &vec![pair; a], &vec![pair; b], &key),
            Err(Error::Shape { .. })
        ));
    }
}

/// The error of the second operand rests on Q/R, which must not be rounded down.
#[test]
fn ratios_of_moduli_are_rounded_up() {
    for bits in 30..46u32 {
        let groups: [&[u32]; 3] = [&[bits; 2], &[bits], &[45]];
        let ring = ring(N, &groups, &[49]);
        let multiplier = Multiplier::new(&ring, &MODULI).unwrap();
        for level in &multiplier.levels {
            let r: Vec<Modulus> = multiplier.auxiliary[..level.auxiliary]
                .iter()
                .map(NttPlan::modulus)
                .collect();
            let (q, r) = (product(&ring.moduli()[..level.limbs]), product(&r));
            // Exactly the double, times 2^200.
            let bits_of = level.ratio.to_bits();
            let mantissa = BigInt::from(bits_of & ((1 << 52) - 1) | 1 << 52);
            let scaled = mantissa << ((bits_of >> 52) + 200 - 1075);
            assert!(scaled * r >= q << 200u32, "{bits}: {}", level.ratio);
        }
    }
}

/// The fused division against the scaled tensor, relinearized and switched step by step.
fn check_switched(groups: &[&[u32]], special: &[u32], seed: u64, terms: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let ring = ring(N, groups, special);
    let multiplier = Multiplier::new(&ring, &MODULI).unwrap();
    let secret = SecretKey::generate(&ring, &mut rng).unwrap();
    let key = relinearization_key(&secret, &mut rng);
    for level in 1..groups.len() {
        let q = product(&ring.moduli()[..ring.basis(level).q]);
        let mut random = || -> Vec<[Poly<Ntt>; 2]> {
            let mut poly = || from_big(&ring, level, &half(&mut rng, &q, false)).into_ntt();
            (0..terms).map(|_| [poly(), poly()]).collect()
        };
        let (a, b) = (random(), random());
        let (a, b) = (refs(&a), refs(&b));
        for index in 0..MODULI.len() {
            let phase = |(c0, c1): Pair| centred(&secret.phase(&[&c0, &c1]).into_coeff());
            let compare = |got: Pair, terms: &[Term<'_>]| {
                let steps = multiplier.scaled_tensor(index, terms);
                let want = phase(relinearize_rescale(steps, &key).unwrap());
                let below = product(&ring.moduli()[..ring.basis(level - 1).q]);
                assert_eq!(got.0.basis(), ring.basis(level - 1));
                for (x, y) in phase(got).iter().zip(&want) {
                    // Both round two halves, and the steps two more that are divided by the level's primes.
                    let off = centre(&(x - y), &below);
                    assert!(off.magnitude() <= &((N as u32 + 1) * 5 / 4).into(), "{off}");
                }
            };
            let sum = multiplier.multiply(index, &a, &b, &key).unwrap();
            compare(sum, &super::terms(&a, &b).unwrap());
            let squared = multiplier.square(index, a[0], &key).unwrap();
            compare(squared, &square(a[0]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn products_are_those_of_the_integers(seed: u64, terms in 1usize..5) {
        check(&[&[49]], seed, terms, false);
        check(&[&[35], &[30, 31], &[49, 49, 49]], seed, terms, false);
        check(&[&[30; 6], &[22; 5], &[21]], seed, terms, false);
    }

    #[test]
    fn all_divisions_at_once(seed: u64, terms in 1usize..4) {
        check_switched(&[&[49], &[40]], &[50, 50], seed, terms);
        check_switched(&[&[35, 35], &[30, 31], &[40, 40, 40]], &[50], seed, terms);
        check_switched(&[&[30; 3], &[22; 2], &[29]], &[36], seed, terms);
    }
}
