//! Every step against direct computation with the secret, over small rings.

use super::*;
use crate::chain::PrimeSource;
use crate::keys::SecretKey;
use crate::ring::RingSpec;
use cipherblas_math::Modulus;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Primes in a level, in a digit, and the bits of a prime of Q.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) groups: &'static [usize],
    pub(super) digit_len: usize,
    pub(super) bits: f64,
}

pub(super) const SINGLE: Chain = Chain {
    groups: &[1],
    digit_len: 1,
    bits: 47.9,
};
const CHAINS: [Chain; 4] = [
    SINGLE,
    Chain {
        groups: &[1, 1],
        digit_len: 1,
        bits: 40.0,
    },
    Chain {
        groups: &[2, 1],
        digit_len: 2,
        bits: 40.0,
    },
    Chain {
        groups: &[3],
        digit_len: 2,
        bits: 36.0,
    },
];

pub(super) struct Setting {
    pub(super) ring: Arc<Ring>,
    pub(super) secret: SecretKey,
    pub(super) rng: ChaCha20Rng,
}

pub(super) fn setting(n: usize, chain: Chain) -> Setting {
    let mut source = PrimeSource::new(n, &[]);
    let groups = chain.groups.iter().map(|&k| {
        source
            .group((chain.bits * k as f64).exp2(), k)
            .expect("enough primes")
    });
    let groups: Vec<Vec<u64>> = groups.collect();
    let special_bits = (chain.bits + 2.1) * chain.digit_len as f64;
    let special = source
        .group(special_bits.exp2(), chain.digit_len)
        .expect("enough primes");
    let ring = Ring::new(RingSpec {
        degree: n,
        groups,
        special,
        digit_len: chain.digit_len,
    })
    .expect("a ring");
    let mut rng = ChaCha20Rng::from_seed([n.trailing_zeros() as u8; 32]);
    let secret = SecretKey::generate(&ring, &mut rng).expect("a key");
    Setting { ring, secret, rng }
}

impl Setting {
    pub(super) fn keys(&mut self, d: usize, products: bool) -> EvaluationKeys {
        let elements = galois_elements(&self.ring, &[d].into()).expect("a length");
        EvaluationKeys::for_elements(&self.secret, products, &elements, &mut self.rng, |_, _| ())
            .expect("keys")
    }
    pub(super) fn uniform(&mut self, limbs: usize, rows: usize, cols: usize) -> Rows {
        let mut out = Rows::zero(&self.ring, limbs, rows, cols);
        for k in 0..limbs {
            let p = self.ring.moduli()[k];
            for x in out.limb_mut(k) {
                *x = p.residue(self.rng.next_u64() % p.value());
            }
        }
        out
    }
    /// `coef_t(a s)` modulo `p` for every `t` in `at`.
    fn times_secret(&self, p: Modulus, a: &[f64], at: impl Iterator<Item = usize>) -> Vec<i128> {
        let n = a.len();
        let s = self.secret.expose_coefficients();
        at.map(|t| {
            let sum: i128 = (0..n)
                .map(|i| {
                    let (j, sign) = if i <= t { (t - i, 1) } else { (t + n - i, -1) };
                    sign * i128::from(s[j]) * a[i] as i128
                })
                .sum();
            sum.rem_euclid(i128::from(p.value()))
        })
        .collect()
    }
}

fn centred(x: i128, p: Modulus) -> f64 {
    let p = i128::from(p.value());
    let r = x.rem_euclid(p);
    (if 2 * r > p { r - p } else { r }) as f64
}

/// The values of `product` modulo prime `k`: `[v][u]`.
fn values(setting: &Setting, product: &Product, rho: usize, k: usize) -> Vec<Vec<i128>> {
    let n = setting.ring.degree();
    let p = setting.ring.moduli()[k];
    let (columns, m) = (product.u_b.rows(), product.u_b.cols());
    let steps = |count: usize| (0..count).map(move |i| rho * i);
    let from_u: Vec<Vec<i128>> = (0..m)
        .map(|u| setting.times_secret(p, product.u_a.row(k, u), steps(columns)))
        .collect();
    let rows: Vec<Vec<i128>> = (0..n)
        .map(|w| setting.times_secret(p, product.d_a.row(k, w), steps(columns)))
        .collect();
    (0..columns)
        .map(|v| {
            let b = setting.times_secret(p, product.d_b.row(k, v), steps(m));
            let column: Vec<f64> = rows.iter().map(|r| r[v] as f64).collect();
            let d = setting.times_secret(p, &column, steps(m));
            (0..m)
                .map(|u| product.u_b.row(k, v)[u] as i128 + from_u[u][v] + b[u] + d[u])
                .collect()
        })
        .collect()
}

/// The differences between the phases of packed ciphertexts and `want[v][u]` modulo prime `k`; zero is wanted in the lines
/// beyond, and at every position from `m` on if `clean`.
pub(super) fn differences(
    setting: &Setting,
    (b, a): &(Rows, Rows),
    want: &[Vec<i128>],
    rho: usize,
    k: usize,
    clean: bool,
) -> Vec<f64> {
    let n = setting.ring.degree();
    let p = setting.ring.moduli()[k];
    assert_eq!(b.rows(), want.len().div_ceil(rho));
    let m = want[0].len();
    let mut out = Vec::new();
    for i in 0..b.rows() {
        let phase = setting.times_secret(p, a.row(k, i), 0..n);
        for (t, &x) in phase.iter().enumerate() {
            let (v, u) = (rho * i + t % rho, t / rho);
            let want = match want.get(v) {
                Some(_) if u >= m && !clean => continue,
                Some(line) => line.get(u).copied().unwrap_or(0),
                None => 0,
            };
            out.push(centred(x + b.row(k, i)[t] as i128 - want, p));
        }
    }
    out
}

pub(super) fn random_product(
    setting: &mut Setting,
    limbs: usize,
    m: usize,
    columns: usize,
) -> Product {
    let n = setting.ring.degree();
    Product {
        u_b: setting.uniform(limbs, columns, m),
        u_a: setting.uniform(limbs, m, n),
        d_b: setting.uniform(limbs, columns, n),
        d_a: setting.uniform(limbs, n, n),
    }
}

fn lengths(d: usize) -> impl Iterator<Item = (usize, usize)> {
    let some = move || {
        [1, 2, 3, d / 2 + 1, d - 1, d]
            .into_iter()
            .filter(move |&x| x <= d)
    };
    some().flat_map(move |m| some().map(move |n| (m, n)))
}

#[test]
fn products_are_those_of_the_phases() {
    for n in [16, 32, 64] {
        for (c, chain) in CHAINS.into_iter().enumerate() {
            let mut setting = setting(n, chain);
            let mut d = n;
            while d >= 2 {
                let rho = n / d;
                let keys = setting.keys(d, true);
                let level = chain.groups.len() - 1;
                for level in 0..=level {
                    let limbs = setting.ring.basis(level).q;
                    for (m, columns) in lengths(d) {
                        if (c > 0 || n > 16) && setting.rng.random_range(0..6) > 0 {
                            continue;
                        }
                        let product = random_product(&mut setting, limbs, m, columns);
                        let want: Vec<_> = (0..limbs)
                            .map(|k| values(&setting, &product, rho, k))
                            .collect();
                        let got = finish_product(&keys, level, rho, product).unwrap();
                        for (k, want) in want.iter().enumerate() {
                            let errors = differences(&setting, &got, want, rho, k, false);
                            let worst = errors.iter().fold(0f64, |a, x| a.max(x.abs()));
                            assert!(
                                worst < 1e6,
                                "N={n} rho={rho} {m}x{columns} {chain:?} level {level}: {worst}"
                            );
                        }
                    }
                }
                d /= 2;
            }
        }
    }
}

#[test]
fn reformats_are_transposes() {
    for n in [16, 32, 64] {
        for chain in CHAINS {
            let mut setting = setting(n, chain);
            let mut d = n;
            while d >= 2 {
                let rho = n / d;
                let keys = setting.keys(d, false);
                let limbs = setting.ring.basis(0).q;
                for (lines, len) in lengths(d) {
                    let count = lines.div_ceil(rho);
                    let b = setting.uniform(limbs, count, n);
                    let a = setting.uniform(limbs, count, n);
                    let got = finish_reformat(&keys, 0, rho, lines, len, &b, &a).unwrap();
                    for k in 0..limbs {
                        let p = setting.ring.moduli()[k];
                        let phases: Vec<Vec<i128>> = (0..count)
                            .map(|i| {
                                let phase = setting.times_secret(p, a.row(k, i), 0..n);
                                let b = b.row(k, i).iter();
                                phase.iter().zip(b).map(|(x, &b)| x + b as i128).collect()
                            })
                            .collect();
                        let want: Vec<Vec<i128>> = (0..len)
                            .map(|j| {
                                (0..lines)
                                    .map(|l| phases[l / rho][l % rho + rho * j])
                                    .collect()
                            })
                            .collect();
                        // Without packing, what lies between lines stays: there is nothing between lines for rho = 1.
                        let errors = differences(&setting, &got, &want, rho, k, true);
                        let worst = errors.iter().fold(0f64, |a, x| a.max(x.abs()));
                        assert!(
                            worst < 1e5,
                            "N={n} rho={rho} {lines}x{len} {chain:?}: {worst}"
                        );
                    }
                }
                d /= 2;
            }
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_errors() {
    let mut setting = setting(16, SINGLE);
    let keys = setting.keys(8, true);
    let good = random_product(&mut setting, 1, 3, 5);
    let again = |f: &dyn Fn(&mut Product, &mut Setting)| {
        let mut setting = self::setting(16, SINGLE);
        let mut product = random_product(&mut setting, 1, 3, 5);
        // The same ring, so that only the shape is wrong.
        for rows in [
            &mut product.u_b,
            &mut product.u_a,
            &mut product.d_b,
            &mut product.d_a,
        ] {
            let (r, c) = (rows.rows(), rows.cols());
            *rows = Rows::zero(keys.ring(), 1, r, c);
        }
        setting.ring = keys.ring().clone();
        f(&mut product, &mut setting);
        finish_product(&keys, 0, 2, product).unwrap_err()
    };
    let shape = |e: Error| matches!(e, Error::Shape { .. });
    assert!(shape(again(&|p, s| p.u_a = s.uniform(1, 4, 16))));
    assert!(shape(again(&|p, s| p.d_b = s.uniform(1, 5, 8))));
    assert!(shape(again(&|p, s| p.d_a = s.uniform(1, 15, 16))));
    assert!(shape(again(&|p, s| p.u_b = s.uniform(1, 9, 3))));
    assert!(shape(again(&|p, s| p.u_b = s.uniform(1, 5, 0))));
    assert!(shape(again(&|p, s| p.u_a = s.uniform(2, 3, 16))));
    assert!(matches!(
        finish_product(&keys, 1, 2, random_product(&mut setting, 1, 3, 5)),
        Err(Error::Depth { .. })
    ));
    for rho in [0, 3, 7, 16] {
        assert!(matches!(
            finish_product(&keys, 0, rho, random_product(&mut setting, 1, 3, 5)),
            Err(Error::Parameter { .. })
        ));
    }
    // Keys for another length, and without products.
    assert!(matches!(
        finish_product(&keys, 0, 1, random_product(&mut setting, 1, 3, 5)),
        Err(Error::MissingKey { .. })
    ));
    let keys = setting.keys(8, false);
    assert!(matches!(
        finish_product(&keys, 0, 2, good),
        Err(Error::MissingKey { .. })
    ));
}

#[test]
fn few_elements_serve() {
    let setting = setting(4096, SINGLE);
    let count = |d: usize| galois_elements(&setting.ring, &[d].into()).unwrap().len();
    assert_eq!(count(4096), 126);
    assert_eq!(count(2048), 32 + 64 - 2 + 1);
    assert_eq!(count(1024), 62 + 3);
    assert_eq!(count(32), 4 + 8 - 2 + 15 + 7);
    assert!([16, 32, 64, 128, 256, 512].iter().all(|&d| count(d) < 70));
}

/// User and system time of this process.
fn processor_ticks() -> [u64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = stat.split(' ').skip(13).map(|x| x.parse().unwrap_or(0));
    std::array::from_fn(|_| fields.next().unwrap_or(0))
}

#[test]
#[ignore = "a measurement: run with --release --nocapture"]
fn time() {
    let n: usize = 4096;
    for d in [4096usize, 2048, 1024, 256, 32] {
        let mut setting = setting(n, SINGLE);
        let keys = setting.keys(d, true);
        for _ in 0..3 {
            let product = random_product(&mut setting, 1, d, d);
            let (start, before) = (std::time::Instant::now(), processor_ticks());
            let got = finish_product(&keys, 0, n / d, product).unwrap();
            let [user, system] = [0, 1].map(|i| processor_ticks()[i] - before[i]);
            let elapsed = start.elapsed();
            println!("d = {d}: {elapsed:?}, processor {user} + {system} hundredths");
            drop(got);
        }
    }
}
