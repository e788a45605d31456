//! Hybrid key switching (Han, Ki, eprint 2019/688): digits of several primes, one special modulus P.
//!
//! A key from `t` to `s` holds, for every digit `d`, a pair `(b_d, a_d)` over all primes with
//! `b_d + a_d s = e_d + P g_d t`, where `g_d` is 1 modulo the primes of digit `d` and 0 modulo the other primes of Q.
//! For a polynomial `c` at any level, `sum_d [c]_d (b_d, a_d)` encrypts `P c t` under `s`, and division by P ends the
//! switch. Digits are lifted centred, so `|[c]_d| <= Q_d / 2`.
//!
//! For an automorphism `sigma`, the key leads from `s` to `sigma^-1(s)`, and `sigma` is applied to the result: the digits
//! then do not depend on `sigma` and serve any number of rotations (hoisting; Halevi, Shoup, eprint 2018/244).

use crate::keys::{SecretKey, expand, small_error};
use crate::parallel::{each_item, each_limb, each_limb_pair};
use crate::poly::{Basis, Ntt, Poly};
use crate::ring::{Division, Ring};
use cipherblas_math::GaloisPermutation;
use cipherblas_math::sample::Seed;
use cipherblas_scheme::hedge::Generator;
use cipherblas_scheme::{Error, Result};
use rand::CryptoRng;
use std::sync::Arc;

/// A key-switching key: for each digit one pair over all primes; the second halves come from a seed.
#[derive(Clone)]
pub struct KeySwitchKey {
    pub(crate) b: Vec<Poly<Ntt>>,
    pub(crate) a: Vec<Poly<Ntt>>,
    pub(crate) seed: Seed,
}

impl KeySwitchKey {
    /// The key from `source` to `target`, both over all primes; the generator is that of this key alone.
    fn generate(source: &Poly<Ntt>, target: &Poly<Ntt>, rng: &mut Generator) -> Self {
        let ring = source.ring().clone();
        let basis = ring.full_basis();
        let seed = Seed::generate(rng);
        let mut b = Vec::with_capacity(ring.digit_count());
        let mut a = Vec::with_capacity(ring.digit_count());
        for d in 0..ring.digit_count() {
            let half = expand(&ring, basis, &seed, d as u64);
            let mut body = small_error(&ring, basis, rng).into_ntt();
            body.fill_with_pair(&half, target, |m, b, a, t| m.mul_sub_assign(b, a, t));
            let digit = ring.digit(d);
            body.zip_with_index(source, |m, k, b, s| {
                if digit.contains(&k) {
                    m.scale_add_assign(b, s, ring.p_mod_q()[k]);
                }
            });
            b.push(body.into_public());
            a.push(half);
        }
        Self { b, a, seed }
    }

    /// From the seed and the first halves, as they come over the wire.
    pub(crate) fn from_parts(ring: &Arc<Ring>, b: Vec<Poly<Ntt>>, seed: Seed) -> Self {
        let a = (0..b.len())
            .map(|d| expand(ring, ring.full_basis(), &seed, d as u64))
            .collect();
        Self { b, a, seed }
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.a
            .iter()
            .chain(&self.b)
            .map(|p| size_of_val(p.data()))
            .sum()
    }

    fn limbs(polys: &[Poly<Ntt>], index: usize, digits: usize) -> Vec<&[f64]> {
        polys[..digits].iter().map(|p| p.limb(index)).collect()
    }
}

impl std::fmt::Debug for KeySwitchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySwitchKey")
            .field("digits", &self.b.len())
            .finish_non_exhaustive()
    }
}

/// The coefficient-domain half of a decomposition: everything that targets have in common.
struct Decomposition<'r> {
    ring: &'r Arc<Ring>,
    limbs: usize,
    /// Scaled residues `y`, limb by limb.
    y: crate::pool::Scratch<'r>,
    /// One overflow count for each digit and coefficient.
    v: crate::pool::Scratch<'r>,
    digits: Vec<std::ops::Range<usize>>,
}

impl<'r> Decomposition<'r> {
    fn new(ring: &'r Arc<Ring>, c: &Poly<Ntt>) -> Self {
        let n = ring.degree();
        let limbs = c.basis().q;
        let digits: Vec<_> = ring.digits_at(limbs).collect();
        let mut coefficients = ring.pool.scratch(limbs * n);
        let mut y = ring.pool.scratch(limbs * n);
        let mut v = ring.pool.scratch(digits.len() * n);
        each_limb(&mut coefficients, n, |k, limb| {
            limb.copy_from_slice(c.limb(k));
            ring.plan(k).inverse(limb);
        });
        // Digits are disjoint ranges of limbs: cut both buffers accordingly.
        let mut parts = Vec::with_capacity(digits.len());
        let (mut rest_y, mut rest_v) = (&mut y[..], &mut v[..]);
        for d in &digits {
            let (head_y, tail_y) = rest_y.split_at_mut(d.len() * n);
            let (head_v, tail_v) = rest_v.split_at_mut(n);
            parts.push((head_y, head_v));
            (rest_y, rest_v) = (tail_y, tail_v);
        }
        each_item(parts, ring.spec().digit_len * n, |d, (y, v)| {
            let from: Vec<&[f64]> = coefficients[digits[d].start * n..digits[d].end * n]
                .chunks(n)
                .collect();
            let mut y: Vec<&mut [f64]> = y.chunks_mut(n).collect();
            ring.digit_converter(d, digits[d].len())
                .prepare(&from, &mut y, v);
        });
        Self {
            ring,
            limbs,
            y,
            v,
            digits,
        }
    }

    /// Digit `d` modulo prime `index`, transformed, into `out`.
    fn lift(&self, c: &Poly<Ntt>, d: usize, index: usize, out: &mut [f64]) {
        let n = self.ring.degree();
        let digit = &self.digits[d];
        if digit.contains(&index) {
            out.copy_from_slice(c.limb(index));
            return;
        }
        let y: Vec<&[f64]> = digit.clone().map(|k| &self.y[k * n..(k + 1) * n]).collect();
        let converter = self.ring.digit_converter(d, digit.len());
        converter.finish(&y, &self.v[d * n..(d + 1) * n], index, out);
        self.ring.plan(index).forward(out);
    }
}

/// The digits of a polynomial over the primes of its level and the special primes: the part of a key switch that
/// several rotations of one ciphertext share.
pub struct Digits {
    polys: Vec<Poly<Ntt>>,
}

impl Digits {
    /// Decomposes `c`, which must be over primes of Q only. Cost: one inverse transform for each limb, one transform for
    /// each digit and each prime outside it.
    pub fn decompose(c: &Poly<Ntt>) -> Self {
        let ring = c.ring().clone();
        let basis = Basis {
            q: c.basis().q,
            p: ring.p_len(),
        };
        let decomposition = Decomposition::new(&ring, c);
        let mut polys: Vec<Poly<Ntt>> = decomposition
            .digits
            .iter()
            .map(|_| Poly::dirty(&ring, basis))
            .collect();
        for (d, poly) in polys.iter_mut().enumerate() {
            poly.fill_with(|_, k, limb| decomposition.lift(c, d, ring.index(basis, k), limb));
        }
        Self { polys }
    }

    /// `sum_d digit_d (b_d, a_d)` over QP of the digits' level: an encryption of `P c t`.
    pub fn product(&self, key: &KeySwitchKey) -> (Poly<Ntt>, Poly<Ntt>) {
        let first = &self.polys[0];
        let ring = first.ring().clone();
        let basis = first.basis();
        let mut u0 = Poly::dirty(&ring, basis);
        let mut u1 = Poly::dirty(&ring, basis);
        let count = self.polys.len();
        each_limb_pair(u0.data_mut(), u1.data_mut(), ring.degree(), |k, u0, u1| {
            let index = ring.index(basis, k);
            let digits: Vec<&[f64]> = self.polys.iter().map(|p| p.limb(k)).collect();
            let (b, a) = (
                KeySwitchKey::limbs(&key.b, index, count),
                KeySwitchKey::limbs(&key.a, index, count),
            );
            ring.plan(index)
                .kernels()
                .inner_product_pair(u0, u1, &digits, &b, &a);
        });
        (u0, u1)
    }
}

/// Decomposes and multiplies in one pass, prime by prime, without holding all digits.
pub fn switch_product(c: &Poly<Ntt>, key: &KeySwitchKey) -> (Poly<Ntt>, Poly<Ntt>) {
    let ring = c.ring().clone();
    let n = ring.degree();
    let basis = Basis {
        q: c.basis().q,
        p: ring.p_len(),
    };
    let decomposition = Decomposition::new(&ring, c);
    debug_assert_eq!(decomposition.limbs, basis.q);
    let count = decomposition.digits.len();
    let mut u0 = Poly::dirty(&ring, basis);
    let mut u1 = Poly::dirty(&ring, basis);
    each_limb_pair(u0.data_mut(), u1.data_mut(), n, |k, u0, u1| {
        let index = ring.index(basis, k);
        let mut lifted = ring.pool.scratch(count * n);
        for (d, out) in lifted.chunks_mut(n).enumerate() {
            decomposition.lift(c, d, index, out);
        }
        let digits: Vec<&[f64]> = lifted.chunks(n).collect();
        let (b, a) = (
            KeySwitchKey::limbs(&key.b, index, count),
            KeySwitchKey::limbs(&key.a, index, count),
        );
        ring.plan(index)
            .kernels()
            .inner_product_pair(u0, u1, &digits, &b, &a);
    });
    (u0, u1)
}

/// What a division adds to the coefficients of one limb before they are transformed.
pub(crate) struct Addends<'a> {
    /// Added to the first dropped limb's coefficients, before it is rounded away.
    pub(crate) dropped: &'a [f64],
    /// `kept(k, limb)` adds to the coefficients of `[x]_dropped` modulo prime `k`; their transform comes for free.
    pub(crate) kept: &'a (dyn Fn(usize, &mut [f64]) + Sync),
}

impl Division {
    /// `round(x / product of the dropped primes)` over the primes kept.
    pub(crate) fn apply(&self, x: &Poly<Ntt>, extra: Option<Addends<'_>>) -> Poly<Ntt> {
        let ring = x.ring().clone();
        let n = ring.degree();
        let count = self.dropped.len();
        let mut dropped = ring.pool.scratch_for(count * n, x.is_secret());
        let mut y = ring.pool.scratch_for(count * n, x.is_secret());
        let mut v = ring.pool.scratch_for(n, x.is_secret());
        let position = |index: usize| {
            if index < ring.q_len() {
                index
            } else {
                x.basis().q + index - ring.q_len()
            }
        };
        each_limb(&mut dropped, n, |k, limb| {
            limb.copy_from_slice(x.limb(position(self.dropped[k])));
            ring.plan(self.dropped[k]).inverse(limb);
        });
        if let Some(extra) = &extra {
            let kernels = ring.plan(self.dropped[0]).kernels();
            kernels.add_assign(&mut dropped[..n], extra.dropped);
        }
        {
            let from: Vec<&[f64]> = dropped.chunks(n).collect();
            let mut y: Vec<&mut [f64]> = y.chunks_mut(n).collect();
            self.converter.prepare(&from, &mut y, &mut v);
        }
        let y: Vec<&[f64]> = y.chunks(n).collect();
        let mut out = Poly::dirty(&ring, Basis { q: self.keep, p: 0 });
        out.fill_with(|m, k, limb| {
            self.converter.finish(&y, &v, k, limb);
            if let Some(extra) = &extra {
                (extra.kept)(k, limb);
            }
            ring.plan(k).forward(limb);
            m.sub_scale_assign(limb, x.limb(k), self.negative_inverse[k]);
        });
        out
    }
}

/// Divides by P: `x` over QP at some level, the result over Q at that level. Cost: one inverse transform for each special
/// prime, one transform for each prime of Q.
pub fn mod_down(x: &Poly<Ntt>) -> Poly<Ntt> {
    x.ring()
        .mod_down(x.ring().level_of(x.basis().q))
        .apply(x, None)
}

/// Divides by the top level group: the result is one level lower.
///
/// # Errors
/// `Depth` at level 0.
pub fn rescale(x: &Poly<Ntt>) -> Result<Poly<Ntt>> {
    let ring = x.ring();
    let division = ring
        .rescale(ring.level_of(x.basis().q))
        .ok_or_else(no_level)?;
    Ok(division.apply(x, None))
}

/// Divides by P and by the top level group at once: fewer transforms than one after the other, and one rounding.
///
/// # Errors
/// `Depth` at level 0.
pub fn mod_down_rescale(x: &Poly<Ntt>) -> Result<Poly<Ntt>> {
    let ring = x.ring();
    let division = ring
        .mod_down_rescale(ring.level_of(x.basis().q))
        .ok_or_else(no_level)?;
    Ok(division.apply(x, None))
}

fn no_level() -> Error {
    Error::Depth {
        operation: "rescale",
        needed: 1,
        left: 0,
    }
}

/// `x += P * c` on the primes of Q, nothing on the special ones (where P is zero).
pub fn add_lifted(x: &mut Poly<Ntt>, c: &Poly<Ntt>) {
    let ring = x.ring().clone();
    let q = x.basis().q.min(c.basis().q);
    x.fill_with(|m, k, limb| {
        if k < q {
            m.scale_add_assign(limb, c.limb(k), ring.p_mod_q()[k]);
        }
    });
}

/// `acc += (sigma(u0), sigma(u1))`.
pub fn add_permuted(
    acc: &mut (Poly<Ntt>, Poly<Ntt>),
    u: &(Poly<Ntt>, Poly<Ntt>),
    permutation: &GaloisPermutation,
) {
    acc.0.add_automorphism(&u.0, permutation);
    acc.1.add_automorphism(&u.1, permutation);
}

/// The key for products: from `s^2` to `s`.
pub fn relinearization_key<R: CryptoRng + ?Sized>(secret: &SecretKey, rng: &mut R) -> KeySwitchKey {
    let s = secret.poly();
    let mut squared = s.clone();
    squared.mul_assign(s);
    let rng = &mut secret.key_randomness("relinearization", rng);
    KeySwitchKey::generate(&squared, s, rng)
}

/// The key for X -> X^g: from `s` to `sigma_g^-1(s)`.
///
/// # Errors
/// `Parameter` if `g` is not a Galois element.
pub fn galois_key<R: CryptoRng + ?Sized>(
    secret: &SecretKey,
    g: u64,
    rng: &mut R,
) -> Result<KeySwitchKey> {
    let s = secret.poly();
    let target = s.automorphism(secret.ring().inverse_element(g))?;
    let rng = &mut secret.key_randomness(&format!("automorphism {g}"), rng);
    Ok(KeySwitchKey::generate(s, &target, rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::PrimeSource;
    use crate::ring::RingSpec;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    /// Two keys with the same uniform half and error would differ by a multiple of a function of the secret.
    #[test]
    fn keys_from_a_generator_that_repeats_itself_have_nothing_in_common() {
        let mut primes = PrimeSource::new(64, &[]);
        let mut prime = |bits: f64| primes.group(bits.exp2(), 1).unwrap();
        let spec = RingSpec {
            degree: 64,
            groups: vec![prime(40.0), prime(40.0)],
            special: prime(45.0),
            digit_len: 1,
        };
        let ring = Ring::new(spec).unwrap();
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let sk = SecretKey::generate(&ring, &mut rng).unwrap();
        let galois = |g| galois_key(&sk, g, &mut rng.clone()).unwrap().seed;
        let zero = sk.encrypt_zero(0, &mut sk.randomness(0, &[], &mut rng.clone()));
        let seeds = [
            sk.public_key(&mut rng.clone()).unwrap().seed,
            relinearization_key(&sk, &mut rng.clone()).seed,
            galois(5),
            galois(25),
            galois(127),
            zero.seed.unwrap(),
        ];
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds[..i].iter().all(|b| a != b), "seed {i} occurs twice");
        }
        assert_eq!(galois(5), seeds[2]);
    }
}
