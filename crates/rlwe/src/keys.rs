//! Secret and public keys, and encryptions of zero: what a scheme adds its message to.
//!
//! Secrets are uniform ternary, errors centred binomial with 42 coins (variance 10.5), as in the parameter table of
//! the security page. Key generation draws again while the secret's largest canonical-embedding entry exceeds
//! [`SUP_FACTOR`] times its root mean square (about one draw in a hundred or fewer): the bound then holds for every key,
//! and every error bound above rests on it. Conditioning on an event of probability above 0.98 costs an attacker's
//! advantage a factor below 1.02.
//!
//! Everything that is made with a key is made from a [`Generator`] of its own, seeded by the caller's generator and by what
//! is made ([`hedge`]): two encryptions, or two keys, from the same randomness would have the same uniform half and error, and
//! their difference would be that of the messages, or of functions of the secret. What is made with the secret key is seeded
//! by that key as well.

use crate::poly::{Basis, Coeff, Ntt, Poly};
use crate::ring::Ring;
use crate::switch::Addends;
use cipherblas_math::sample::{self, Seed};
use cipherblas_math::{AlignedVec, EmbeddingPlan};
use cipherblas_scheme::Result;
use cipherblas_scheme::hedge::{self, Generator, hedged};
use cipherblas_scheme::wire::KeyId;
use rand::CryptoRng;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `max |s(zeta)| <= SUP_FACTOR * sqrt(2N/3)` for every secret key.
pub const SUP_FACTOR: f64 = 4.0;

/// Draws before key generation gives up; each succeeds with probability above 0.98.
const MAX_DRAWS: usize = 64;

/// A ternary secret. Redacted, zeroized on drop, no equality, no serialization here.
pub struct SecretKey {
    ring: Arc<Ring>,
    coefficients: Zeroizing<Vec<i8>>,
    s: Poly<Ntt>,
    id: KeyId,
    /// Hash of ring, id and coefficients: seeds what is made with the key, beside the caller's randomness.
    own: Zeroizing<[u8; 32]>,
}

/// A pair `(c0, c1)` with `c0 + c1 s = e` small; scheme ciphertexts are made by adding a message to `c0`.
pub struct EncryptionOfZero {
    /// The half that the message is added to.
    pub c0: Poly<Ntt>,
    /// The other half.
    pub c1: Poly<Ntt>,
    /// Where `c1` came from, if it was expanded from a seed (secret-key encryption).
    pub seed: Option<Seed>,
}

impl SecretKey {
    /// Draws a key. Constant time in the secret, but for the number of draws.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken (no draw in 64 passes the norm test).
    pub fn generate<R: CryptoRng + ?Sized>(ring: &Arc<Ring>, rng: &mut R) -> Result<Self> {
        let n = ring.degree();
        let mut coefficients = Zeroizing::new(vec![0i8; n]);
        for _ in 0..MAX_DRAWS {
            sample::ternary(rng, &mut coefficients);
            if embedding_sup(&coefficients)? <= SUP_FACTOR * (2.0 * n as f64 / 3.0).sqrt() {
                let mut id = [0u8; 16];
                rng.fill_bytes(&mut id);
                return Ok(Self::from_coefficients(ring, coefficients, KeyId(id)));
            }
        }
        Err(crate::ring::from_math(
            "no secret of ordinary norm in 64 draws: the random generator is broken",
        ))
    }

    pub(crate) fn from_coefficients(
        ring: &Arc<Ring>,
        coefficients: Zeroizing<Vec<i8>>,
        id: KeyId,
    ) -> Self {
        let s = Poly::<Coeff>::from_small(ring, ring.full_basis(), &coefficients)
            .into_secret()
            .into_ntt();
        let mut bytes = Zeroizing::new(Vec::with_capacity(coefficients.len()));
        bytes.extend(coefficients.iter().map(|&c| c as u8));
        let own = hedge::digest(
            "cipherblas 2026 rlwe secret key in seeds",
            &[&ring_bytes(ring), &id.0, &bytes],
        );
        Self {
            ring: ring.clone(),
            coefficients,
            s,
            id,
            own,
        }
    }

    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
    /// Public name of this key pair: 16 random bytes.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// **Exposes the secret**: the ternary coefficients.
    pub fn expose_coefficients(&self) -> &[i8] {
        &self.coefficients
    }
    /// Restores a key from its coefficients.
    ///
    /// # Errors
    /// `Wire` if there are not N coefficients in {-1, 0, 1} of ordinary norm.
    pub fn restore(ring: &Arc<Ring>, coefficients: Zeroizing<Vec<i8>>, id: KeyId) -> Result<Self> {
        let n = ring.degree();
        let ordinary = coefficients.len() == n
            && coefficients
                .iter()
                .fold(true, |ok, c| ok & (-1..=1).contains(c))
            && embedding_sup(&coefficients)? <= SUP_FACTOR * (2.0 * n as f64 / 3.0).sqrt();
        if !ordinary {
            return Err(cipherblas_scheme::Error::Wire {
                what: "secret key",
                got: "other coefficients".into(),
                expected: format!("{n} ternary coefficients"),
            });
        }
        Ok(Self::from_coefficients(ring, coefficients, id))
    }
    pub(crate) fn poly(&self) -> &Poly<Ntt> {
        &self.s
    }

    /// The randomness of one ciphertext at `level` with `message`: all that goes into it besides, in bytes.
    pub fn randomness<R: CryptoRng + ?Sized>(
        &self,
        level: usize,
        message: &[&[u8]],
        rng: &mut R,
    ) -> Generator {
        let parts: [&[u8]; 2] = [&*self.own, &(level as u64).to_le_bytes()];
        let domain = "cipherblas 2026 rlwe secret-key encryption";
        hedged(domain, rng, &[&parts, message].concat())
    }

    /// As [`randomness`](Self::randomness), for a key called `name`.
    pub(crate) fn key_randomness<R: CryptoRng + ?Sized>(
        &self,
        name: &str,
        rng: &mut R,
    ) -> Generator {
        let parts: [&[u8]; 2] = [&*self.own, name.as_bytes()];
        hedged("cipherblas 2026 rlwe keys", rng, &parts)
    }

    /// A secret-key encryption of zero at `level`: `c1` uniform from a fresh seed, `c0 = e - c1 s`. The generator is that of
    /// the whole ciphertext, of [`randomness`](Self::randomness), whatever number of encryptions it consists of.
    pub fn encrypt_zero(&self, level: usize, rng: &mut Generator) -> EncryptionOfZero {
        let basis = self.ring.basis(level);
        let seed = Seed::generate(rng);
        let c1 = expand(&self.ring, basis, &seed, 0);
        let mut c0 = small_error(&self.ring, basis, rng).into_ntt();
        let s = &self.s;
        c0.fill_with_pair(&c1, s, |m, c0, a, s| m.mul_sub_assign(c0, a, s));
        EncryptionOfZero {
            c0: c0.into_public(),
            c1,
            seed: Some(seed),
        }
    }

    /// The phase `c0 + c1 s + c2 s^2 + ...` over the basis of `parts[0]`, in secret memory.
    ///
    /// # Panics
    /// If `parts` is empty.
    pub fn phase(&self, parts: &[&Poly<Ntt>]) -> Poly<Ntt> {
        let basis = parts.last().expect("a ciphertext has parts").basis();
        self.phase_over(basis, parts)
    }

    /// [`phase`](Self::phase) modulo the primes of `basis` only, which every part must have: what decoding needs. No copies.
    pub fn phase_over(&self, basis: Basis, parts: &[&Poly<Ntt>]) -> Poly<Ntt> {
        let (last, rest) = parts.split_last().expect("a ciphertext has parts");
        let mut acc = Poly::<Ntt>::dirty(&self.ring, basis).into_secret();
        let Some((next, rest)) = rest.split_last() else {
            acc.zip_with(last, |_, a, x| a.copy_from_slice(x));
            return acc;
        };
        acc.fill_with_pair(last, &self.s, |m, a, x, s| m.mul(a, x, s));
        acc.zip_with(next, |m, a, x| m.add_assign(a, x));
        for part in rest.iter().rev() {
            acc.zip_with(&self.s, |m, a, s| m.mul_assign(a, s));
            acc.zip_with(part, |m, a, x| m.add_assign(a, x));
        }
        acc
    }

    /// The public key: one encryption of zero modulo Q and the first special prime.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn public_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<PublicKey> {
        let rng = &mut self.key_randomness("public key", rng);
        let ring = &self.ring;
        let basis = Basis {
            q: ring.q_len(),
            p: 1,
        };
        let seed = Seed::generate(rng);
        let a = expand(ring, basis, &seed, 0);
        let n = ring.degree();
        let bound = SUP_FACTOR * (n as f64 * sample::ERROR_VARIANCE).sqrt();
        let mut error = Zeroizing::new(vec![0i8; n]);
        for _ in 0..MAX_DRAWS {
            sample::centered_binomial(rng, &mut error);
            if embedding_sup(&error)? <= bound {
                let mut b = Poly::<Coeff>::from_small(ring, basis, &error)
                    .into_secret()
                    .into_ntt();
                b.fill_with_pair(&a, &self.s, |m, b, a, s| m.mul_sub_assign(b, a, s));
                return Ok(PublicKey {
                    b: b.into_public(),
                    a,
                    seed,
                    id: self.id,
                });
            }
        }
        Err(crate::ring::from_math(
            "no error of ordinary norm in 64 draws: the random generator is broken",
        ))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A public key: `(b, a)` with `b + a s = e`, `a` expanded from a seed.
#[derive(Clone)]
pub struct PublicKey {
    pub(crate) b: Poly<Ntt>,
    pub(crate) a: Poly<Ntt>,
    pub(crate) seed: Seed,
    pub(crate) id: KeyId,
}

impl PublicKey {
    /// Public name of the key pair.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        self.b.ring()
    }

    /// The randomness of one ciphertext at `level` with `message`: all that goes into it besides, in bytes.
    pub fn randomness<R: CryptoRng + ?Sized>(
        &self,
        level: usize,
        message: &[&[u8]],
        rng: &mut R,
    ) -> Generator {
        let (ring, level) = (ring_bytes(self.ring()), (level as u64).to_le_bytes());
        let parts: [&[u8]; 4] = [&ring, &self.id.0, self.seed.as_bytes(), &level];
        let domain = "cipherblas 2026 rlwe public-key encryption";
        hedged(domain, rng, &[&parts, message].concat())
    }

    /// An encryption of zero at `level`, to which `message` (coefficients over that level's basis) is added on the way:
    /// `round((v b + e0, v a + e1) / p) + (message, 0)` for the first special prime p: an ordinary encryption modulo Qp,
    /// switched to Q, so that its errors are divided by p. The generator is that of the whole ciphertext, of
    /// [`randomness`](Self::randomness).
    ///
    /// # Panics
    /// If the message is over another basis.
    pub fn encrypt(
        &self,
        level: usize,
        message: &Poly<Coeff>,
        rng: &mut Generator,
    ) -> EncryptionOfZero {
        let ring = self.ring();
        let n = ring.degree();
        let basis = ring.basis(level);
        assert_eq!(
            message.basis(),
            basis,
            "the message is encoded at the level of the ciphertext"
        );
        let wide = Basis { q: basis.q, p: 1 };
        let mut small = Zeroizing::new(vec![0i8; n]);
        sample::ternary(rng, &mut small);
        let v = Poly::<Coeff>::from_small(ring, wide, &small)
            .into_secret()
            .into_ntt();
        sample::centered_binomial(rng, &mut small);
        let mut u1 = Poly::<Coeff>::from_small(ring, wide, &small)
            .into_secret()
            .into_ntt();
        u1.fill_with_pair(&v, &self.a, |m, u, v, a| m.mul_add_assign(u, v, a));
        let mut u0 = v;
        u0.zip_with(&self.b, |m, u, b| m.mul_assign(u, b));
        let mut error = Zeroizing::new(AlignedVec::zeroed(n));
        sample::centered_binomial(rng, &mut small);
        for (x, &e) in error.iter_mut().zip(small.iter()) {
            *x = f64::from(e);
        }
        let p = ring.moduli()[ring.q_len()].value();
        let division = ring.encrypt_down(level);
        let add = |k: usize, limb: &mut [f64]| {
            let plan = ring.plan(k);
            let p = plan.modulus().residue(p % plan.modulus().value());
            plan.kernels().sub_assign(limb, &error);
            plan.kernels().scale_add_assign(limb, message.limb(k), -p);
        };
        let c0 = division.apply(
            &u0,
            Some(Addends {
                dropped: &error,
                kept: &add,
            }),
        );
        let c1 = division.apply(&u1, None);
        EncryptionOfZero { c0, c1, seed: None }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What defines a ring.
fn ring_bytes(ring: &Ring) -> Vec<u8> {
    let spec = ring.spec();
    let mut bytes = Vec::new();
    let mut push = |x: u64| bytes.extend_from_slice(&x.to_le_bytes());
    push(spec.degree as u64);
    push(spec.digit_len as u64);
    for group in spec.groups.iter().chain([&spec.special]) {
        push(group.len() as u64);
        group.iter().copied().for_each(&mut push);
    }
    bytes
}

/// The uniform polynomial of `seed`: limb of prime `i` from ChaCha20 stream `domain * 256 + i`.
pub(crate) fn expand(ring: &Arc<Ring>, basis: Basis, seed: &Seed, domain: u64) -> Poly<Ntt> {
    let mut a = Poly::dirty(ring, basis);
    a.fill_with(|_, k, limb| {
        let i = ring.index(basis, k);
        sample::uniform_residues(seed, domain * 256 + i as u64, &ring.moduli()[i], limb);
    });
    a
}

/// A fresh error polynomial, in secret memory.
pub(crate) fn small_error(ring: &Arc<Ring>, basis: Basis, rng: &mut Generator) -> Poly<Coeff> {
    let mut e = Zeroizing::new(vec![0i8; ring.degree()]);
    sample::centered_binomial(rng, &mut e);
    Poly::from_small(ring, basis, &e).into_secret()
}

/// `max |x(zeta)|` over the primitive 2N-th roots of unity.
fn embedding_sup(coefficients: &[i8]) -> Result<f64> {
    let half = coefficients.len() / 2;
    let plan = EmbeddingPlan::new(half).map_err(crate::ring::from_math)?;
    let load = |part: &[i8]| {
        let mut out = Zeroizing::new(AlignedVec::zeroed(half));
        for (x, &c) in out.iter_mut().zip(part) {
            *x = f64::from(c);
        }
        out
    };
    let (mut re, mut im) = (load(&coefficients[..half]), load(&coefficients[half..]));
    plan.to_slots(&mut re, &mut im);
    Ok(re
        .iter()
        .zip(im.iter())
        .map(|(a, b)| a * a + b * b)
        .fold(0.0, f64::max)
        .sqrt())
}
