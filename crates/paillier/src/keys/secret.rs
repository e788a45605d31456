//! The factors of the modulus: generation, encryption and decryption by halves.

use super::public::{INSECURE_MIN_BITS, MIN_BITS, PublicKey, bits_of, check_bits};
use crate::arith::checked::{Damage, Plant, fold, same_fold, seal};
use crate::arith::exp::{bit_length, invert_prime};
use crate::arith::limbs::{self, Secret, secret, to_biguint, to_secret};
use crate::arith::square::{CheckedElement, Job};
use crate::arith::{Comb, Kernel, Scratch, SquareRing, limbs_for};
use crate::group::Element;
use crate::prime::{self, Origin};
use cipherblas_scheme::{Error, Result};
use num_bigint::BigUint;
use rand::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// What is known modulo the square of one prime.
struct Half {
    ring: SquareRing,
    /// `p - 1`.
    order: Secret,
    bits: usize,
    /// `-1 / other prime mod p`, in Montgomery form: from the logarithm to the plaintext.
    plain: Secret,
    /// `-other prime mod p`, in Montgomery form: back.
    logarithm: Secret,
    /// What is there if the factorization of `p - 1` is known.
    structure: Option<Structure>,
}

/// What a known factorization `p - 1 = 2 r q` gives.
struct Structure {
    cofactor: u64,
    /// Powers of a generator of the `n`-th residues modulo `p^2`.
    residues: Comb,
}

/// The factors of `n`: encrypts faster, and decrypts. Redacted in debug output, overwritten when dropped, not clonable.
pub struct SecretKey {
    public: PublicKey,
    p: Half,
    q: Half,
    /// `1 / q mod p` in Montgomery form.
    q_inverse: Secret,
    /// `q^2`.
    q_squared: Secret,
    /// `1 / q^2 mod p^2` in Montgomery form.
    q_squared_inverse: Secret,
    /// The seal of all constants, from when they were made.
    seal: Zeroizing<u64>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Draws a key of `bits` bits, 2048 to 8192 and a multiple of 64. Both primes have `bits / 2` bits, are 3 modulo 4 and
    /// have a known factorization of `p - 1`. Cost: some ten thousand products modulo the primes.
    ///
    /// # Errors
    /// `Parameter` for another length, or if the generator is broken.
    pub fn generate<R: CryptoRng + ?Sized>(bits: u64, rng: &mut R) -> Result<Self> {
        Self::draw(bits, MIN_BITS, rng, &mut || Ok(()))
    }
    /// As [`generate`](Self::generate); `look` is called before each candidate for a prime is tested, and may stop the search.
    ///
    /// # Errors
    /// As [`generate`](Self::generate), and what `look` returns.
    pub fn generate_with_progress<R: CryptoRng + ?Sized>(
        bits: u64,
        rng: &mut R,
        look: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        Self::draw(bits, MIN_BITS, rng, look)
    }
    /// As [`generate`](Self::generate), from 128 bits: for tests only.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn insecure_generate<R: CryptoRng + ?Sized>(bits: u64, rng: &mut R) -> Result<Self> {
        Self::draw(bits, INSECURE_MIN_BITS, rng, &mut || Ok(()))
    }

    fn draw<R: CryptoRng + ?Sized>(
        bits: u64,
        least: u64,
        rng: &mut R,
        look: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        check_bits(bits, least)?;
        if !bits.is_multiple_of(64) {
            return Err(Error::Parameter {
                what: "bits",
                got: bits.to_string(),
                expected: "a multiple of 64".into(),
                hint: "2048, 3072 and 4096 are usual",
            });
        }
        let p = prime::structured_prime(bits / 2, rng, look)?;
        loop {
            let q = prime::structured_prime(bits / 2, rng, look)?;
            if p.cofactor != q.cofactor && far_apart(&p.p, &q.p, bits / 2) {
                let cofactors = Some((p.cofactor, q.cofactor));
                return Self::assemble(&p.p, &q.p, cofactors, Origin::Drawn, rng);
            }
        }
    }

    /// Takes primes from elsewhere: 1024 to 4096 bits, equally long, different, prime (checked). Encryption then draws
    /// uniform `n`-th residues by a power in each half instead of from tables.
    ///
    /// # Errors
    /// `Parameter` for anything else, or if the generator is broken (it draws the bases of the primality tests).
    pub fn from_primes<R: CryptoRng + ?Sized>(
        p: &BigUint,
        q: &BigUint,
        rng: &mut R,
    ) -> Result<Self> {
        Self::import(p, q, None, MIN_BITS, rng)
    }
    /// As [`from_primes`](Self::from_primes), from 128 bits of `n`: for tests only.
    ///
    /// # Errors
    /// As [`from_primes`](Self::from_primes).
    pub fn insecure_from_primes<R: CryptoRng + ?Sized>(
        p: &BigUint,
        q: &BigUint,
        rng: &mut R,
    ) -> Result<Self> {
        Self::import(p, q, None, INSECURE_MIN_BITS, rng)
    }
    /// As [`from_primes`](Self::from_primes) with the [`cofactors`](Self::cofactors) of a generated key, so that it
    /// encrypts from tables again.
    ///
    /// # Errors
    /// As [`from_primes`](Self::from_primes), and `Parameter` for cofactors that are not the key's.
    pub fn from_primes_with_cofactors<R: CryptoRng + ?Sized>(
        p: &BigUint,
        q: &BigUint,
        cofactors: (u64, u64),
        rng: &mut R,
    ) -> Result<Self> {
        Self::import(p, q, Some(cofactors), MIN_BITS, rng)
    }
    /// As [`from_primes_with_cofactors`](Self::from_primes_with_cofactors), from 128 bits of `n`: for tests only.
    ///
    /// # Errors
    /// As [`from_primes_with_cofactors`](Self::from_primes_with_cofactors).
    pub fn insecure_from_primes_with_cofactors<R: CryptoRng + ?Sized>(
        p: &BigUint,
        q: &BigUint,
        cofactors: (u64, u64),
        rng: &mut R,
    ) -> Result<Self> {
        Self::import(p, q, Some(cofactors), INSECURE_MIN_BITS, rng)
    }

    /// A key from what [`primes`](Self::primes) and [`cofactors`](Self::cofactors) gave, all of it checked again.
    pub(crate) fn restore<R: CryptoRng + ?Sized>(
        p: &[u64],
        q: &[u64],
        cofactors: Option<(u64, u64)>,
        insecure: bool,
        rng: &mut R,
    ) -> Result<Self> {
        let least = if insecure {
            INSECURE_MIN_BITS
        } else {
            MIN_BITS
        };
        Self::import_words(p, q, cofactors, least, rng)
    }

    fn import<R: CryptoRng + ?Sized>(
        p: &BigUint,
        q: &BigUint,
        cofactors: Option<(u64, u64)>,
        least: u64,
        rng: &mut R,
    ) -> Result<Self> {
        Self::import_words(&to_secret(p), &to_secret(q), cofactors, least, rng)
    }

    fn import_words<R: CryptoRng + ?Sized>(
        p: &[u64],
        q: &[u64],
        cofactors: Option<(u64, u64)>,
        least: u64,
        rng: &mut R,
    ) -> Result<Self> {
        let refuse = |what, got: &str, expected: &str| {
            Err(Error::Parameter {
                what,
                got: got.into(),
                expected: expected.into(),
                hint: "take both primes from the key's own export, unaltered",
            })
        };
        if bits_of(p) != bits_of(q) {
            return refuse("p and q", "primes of different length", "equal lengths");
        }
        check_bits(2 * bits_of(p), least)?;
        if !far_apart(p, q, bits_of(p)) {
            return refuse("p and q", "primes close together", "a large difference");
        }
        for (what, prime) in [("p", p), ("q", q)] {
            if prime[0] & 1 == 0 || !prime::check_prime(prime, rng)? {
                return refuse(what, "a composite number", "a prime");
            }
        }
        Self::assemble(p, q, cofactors, Origin::Imported, rng)
    }

    fn assemble<R: CryptoRng + ?Sized>(
        p: &[u64],
        q: &[u64],
        cofactors: Option<(u64, u64)>,
        origin: Origin,
        rng: &mut R,
    ) -> Result<Self> {
        let kernel = Kernel::detect();
        let len = limbs_for(bits_of(p));
        let pad = |value: &[u64]| {
            let mut out = secret(len);
            let used = value.len().min(len);
            out[..used].copy_from_slice(&value[..used]);
            out
        };
        let (p, q) = (pad(p), pad(q));
        let mut n = secret(2 * len);
        kernel.mul(&mut n, &p, &q);
        let public = PublicKey::unchecked(to_biguint(&n));

        let (ring_p, ring_q) = (SquareRing::new(kernel, &p), SquareRing::new(kernel, &q));
        let mut scratch = ring_p.scratch();
        let inverse = |ring: &SquareRing, other: &[u64], scratch: &mut Scratch| {
            let other = ring.base().reduce(other, scratch);
            invert_prime(ring.base(), &other)
        };
        let q_inverse = inverse(&ring_p, &q, &mut scratch);
        let p_inverse = inverse(&ring_q, &p, &mut scratch);
        let mut q_squared = secret(2 * len);
        kernel.square(&mut q_squared, &q);
        let q_squared_mod = ring_p.reduce(&q_squared, &mut scratch);
        let mut start = secret(len);
        start.copy_from_slice(&q_inverse);
        ring_p
            .base()
            .mul(&mut start, &q_inverse, &q_inverse, &mut scratch);
        let q_squared_inverse = ring_p.lift_inverse(&q_squared_mod, &start, &mut scratch);

        let mut key = Self {
            public,
            p: Half::new(
                ring_p,
                &q,
                &q_inverse,
                cofactors.map(|c| (c.0, origin)),
                rng,
            )?,
            q: Half::new(
                ring_q,
                &p,
                &p_inverse,
                cofactors.map(|c| (c.1, origin)),
                rng,
            )?,
            q_inverse,
            q_squared,
            q_squared_inverse,
            seal: Zeroizing::new(0),
        };
        *key.seal = seal(&key.constants());
        Ok(key)
    }

    /// All that encryption and decryption read besides tables.
    fn constants(&self) -> Vec<&[u64]> {
        let mut constants = vec![
            &self.q_inverse[..],
            &self.q_squared,
            &self.q_squared_inverse,
        ];
        for half in [&self.p, &self.q] {
            constants.extend([&half.order[..], &half.plain, &half.logarithm]);
            constants.extend(half.ring.secrets());
        }
        constants
    }
    /// 1 if the constants are those that were made.
    fn intact(&self) -> u64 {
        limbs::equal(&[seal(&self.constants())], &[*self.seal])
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }
    /// Exposes the secret: `(p, q)`. For export by explicit call only.
    pub fn primes(&self) -> (Zeroizing<Vec<u64>>, Zeroizing<Vec<u64>>) {
        let copy = |half: &Half| Zeroizing::new(half.ring.base().n().to_vec());
        (copy(&self.p), copy(&self.q))
    }
    /// Exposes part of the secret: `r` in `p = 2 r q' + 1` for both primes, if the key was generated here. For export by
    /// explicit call only.
    pub fn cofactors(&self) -> Option<(u64, u64)> {
        let cofactor = |half: &Half| half.structure.as_ref().map(|s| s.cofactor);
        Some((cofactor(&self.p)?, cofactor(&self.q)?))
    }

    /// `(1 + m n) s mod n^2` with `s` a uniform `n`-th residue, for `m` below `n`. Constant time in key, `m` and
    /// randomness, but for the length of `m`.
    ///
    /// # Errors
    /// `Value` if `m` is not below `n`; `Parameter` if the generator is broken.
    pub fn encrypt_raw<R: CryptoRng + ?Sized>(&self, m: &BigUint, rng: &mut R) -> Result<Element> {
        self.encrypt_words(&to_secret(m), rng)
    }
    /// As [`encrypt_raw`](Self::encrypt_raw), the plaintext as little-endian 64-bit words (as many as
    /// [`PublicKey::words`]: then its length says nothing).
    ///
    /// # Errors
    /// As [`encrypt_raw`](Self::encrypt_raw).
    pub fn encrypt_words<R: CryptoRng + ?Sized>(&self, m: &[u64], rng: &mut R) -> Result<Element> {
        let m = self.public.plaintext(m)?;
        let mut residue = self.residue(rng)?;
        self.public.shift(&mut residue, m);
        Ok(Element::new(residue))
    }
    /// Blinds the element anew with a uniform `n`-th residue.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn rerandomize<R: CryptoRng + ?Sized>(
        &self,
        element: &Element,
        rng: &mut R,
    ) -> Result<Element> {
        let residue = Element::new(self.residue(rng)?);
        Ok(self.public.add(element, &residue))
    }

    /// A uniform `n`-th residue modulo `n^2`, in Montgomery form. One that is wrong modulo one prime gives a factor of `n`
    /// away to whoever sees what it decrypts to; so the constants are checked, and that both
    /// halves are in the result; without tables, every product is, too.
    fn residue<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<Secret> {
        let (residue, sound) = self.residue_with(rng, None)?;
        if sound == 1 {
            Ok(residue)
        } else {
            Err(went_wrong())
        }
    }

    /// The residue, and 1 if every check held.
    fn residue_with<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        fault: Option<Fault>,
    ) -> Result<(Secret, u64)> {
        let in_half = |first| fault.filter(|f| f.first_half == first);
        let p = self.p.residue(rng, in_half(true))?;
        let q = self.q.residue(rng, in_half(false))?;
        let (residue, joined) = self.join(&p, &q);
        Ok((residue, p.sound & q.sound & joined & self.intact()))
    }

    /// The residue modulo `n^2` from those modulo `p^2` and `q^2`, all in Montgomery form; and 1 if it is congruent to both.
    fn join(&self, p: &CheckedElement, q: &CheckedElement) -> (Secret, u64) {
        let len = self.p.ring.base().len();
        let mut scratch = self.p.ring.scratch();
        let low = self.q.ring.to_integer(&q.first, &mut scratch);
        let ring = &self.p.ring;
        let mut high = p.first.clone();
        ring.sub(&mut high, &ring.reduce(&low, &mut scratch));
        ring.mul_assign(&mut high, &self.q_squared_inverse, &mut scratch);
        let high = ring.to_integer(&high, &mut scratch);
        let mut joined = secret(4 * len);
        joined[..2 * len].copy_from_slice(&low);
        ring.base()
            .kernel()
            .mul_add(&mut joined, &self.q_squared, &high);
        let sound = [(&self.p, p), (&self.q, q)]
            .iter()
            .fold(1, |sound, (half, wanted)| {
                let got = half.ring.reduce(&joined, &mut scratch);
                sound & limbs::equal(&got, &wanted.second)
            });
        let ring = self.public.ring();
        joined.truncate(ring.len());
        (ring.reduce(&joined, &mut ring.scratch()), sound)
    }

    /// The plaintext below `n`, as little-endian 64-bit words ([`PublicKey::words`] of them). Constant time in the key.
    ///
    /// Each half is a power modulo the square of a prime. If a computation goes wrong in one half only, the difference of
    /// its result and the right one gives a factor of `n` away (Boneh, DeMillo, Lipton, EUROCRYPT 1997); so every product
    /// of the powers is checked, the constants of the key and the ciphertext of each half are held against what they
    /// were, and the result against the logarithms it was made from. That costs about a tenth of the time.
    ///
    /// # Errors
    /// `Decryption` if a computation went wrong.
    pub fn decrypt_raw(&self, element: &Element) -> Result<Zeroizing<Vec<u64>>> {
        let (m, sound) = self.decrypt_with(element, None);
        if sound == 1 {
            Ok(m)
        } else {
            Err(Error::Decryption)
        }
    }

    /// The plaintext, and 1 if every check held.
    fn decrypt_with(&self, element: &Element, fault: Option<Fault>) -> (Zeroizing<Vec<u64>>, u64) {
        let ring = self.public.ring();
        // Once for each half: were it shared, what changes in it between the halves would be right in one of them only.
        let ciphertext = || ring.to_integer(element.limbs(), &mut ring.scratch());
        let in_half = |first| fault.filter(|f| f.first_half == first);
        let (c_p, p) = self.p.logarithm(ciphertext(), in_half(true));
        let (c_q, q) = self.q.logarithm(ciphertext(), in_half(false));
        let base = self.p.ring.base();
        let mut scratch = base.scratch();
        let mut high = p.plain.clone();
        base.enter(&mut high, &mut scratch);
        base.sub(&mut high, &base.reduce(&q.plain, &mut scratch));
        base.mul_assign(&mut high, &self.q_inverse, &mut scratch);
        base.leave(&mut high, &mut scratch);
        let mut m = secret(2 * base.len());
        m[..base.len()].copy_from_slice(&q.plain);
        base.kernel().mul_add(&mut m, &high, self.q.ring.base().n());
        let sound = self.p.agrees(&m, &p)
            & self.q.agrees(&m, &q)
            & limbs::equal(&c_p, &c_q)
            & self.intact();
        m.truncate(self.public.words());
        (m, sound)
    }
}

/// What the tests reach: faults, and the memory of the key.
#[cfg(any(test, feature = "testing"))]
impl SecretKey {
    /// Decrypts with a fault planted. Without the check, the result of a fault is what a decryption that does not check
    /// would release.
    ///
    /// # Errors
    /// As [`decrypt_raw`](Self::decrypt_raw).
    #[doc(hidden)]
    pub fn insecure_decrypt_with_fault(
        &self,
        element: &Element,
        fault: Option<Fault>,
        check: bool,
    ) -> Result<Zeroizing<Vec<u64>>> {
        let (m, sound) = self.decrypt_with(element, fault);
        if sound == 1 || !check {
            Ok(m)
        } else {
            Err(Error::Decryption)
        }
    }
    /// An encryption of zero with a fault planted.
    ///
    /// # Errors
    /// As [`encrypt_raw`](Self::encrypt_raw).
    #[doc(hidden)]
    pub fn insecure_residue_with_fault<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        fault: Option<Fault>,
        check: bool,
    ) -> Result<Element> {
        let (residue, sound) = self.residue_with(rng, fault)?;
        if sound == 1 || !check {
            Ok(Element::new(residue))
        } else {
            Err(went_wrong())
        }
    }
    /// Exposes the memory that holds the key.
    #[doc(hidden)]
    pub fn expose_memory(&self) -> Vec<&[u64]> {
        self.constants()
    }
    /// As [`expose_memory`](Self::expose_memory), to damage it.
    #[doc(hidden)]
    pub fn expose_memory_mut(&mut self) -> Vec<&mut [u64]> {
        let mut memory = vec![
            &mut self.q_inverse[..],
            &mut self.q_squared,
            &mut self.q_squared_inverse,
        ];
        for half in [&mut self.p, &mut self.q] {
            memory.extend([&mut half.order[..], &mut half.plain, &mut half.logarithm]);
            memory.extend(half.ring.secrets_mut());
        }
        memory
    }
    /// Decrypts, and says whether every check held instead of acting on it, for the tests of constant time.
    #[doc(hidden)]
    pub fn decrypt_without_branch(&self, element: &Element) -> (Zeroizing<Vec<u64>>, u64) {
        self.decrypt_with(element, None)
    }
}

/// A fault for tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(test, feature = "testing")), expect(unreachable_pub))]
pub struct Fault {
    /// Whether it strikes modulo the first prime.
    pub first_half: bool,
    /// Where it strikes.
    pub place: Place,
    /// The bits that flip.
    pub mask: u64,
}

impl Fault {
    /// Where it strikes in the power.
    fn plant(self) -> Plant {
        match self.place {
            Place::Power { step, limb } => Some((step, limb, Damage::Flip(self.mask))),
            Place::Swap { step, limb } => Some((step, limb, Damage::Swap)),
            _ => None,
        }
    }
    fn strike(fault: Option<Self>, value: &mut [u64], at: fn(Place) -> bool) {
        if let Some(fault) = fault.filter(|fault| at(fault.place)) {
            value[0] ^= fault.mask;
        }
    }
}

/// Where a fault strikes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(test, feature = "testing")), expect(dead_code))]
#[cfg_attr(not(any(test, feature = "testing")), expect(unreachable_pub))]
pub enum Place {
    /// In a limb of the residue after so many products of the power.
    Power {
        /// Products before the fault.
        step: usize,
        /// The limb: the lower digit first, then the upper.
        limb: usize,
    },
    /// As `Power`, but the limb and its neighbour change places.
    Swap {
        /// Products before the fault.
        step: usize,
        /// The limb.
        limb: usize,
    },
    /// In the ciphertext of one half, before it is reduced.
    Ciphertext,
    /// In the ciphertext's residue, before the power.
    Input,
    /// In the logarithm.
    Logarithm,
    /// In the plaintext modulo the prime.
    Plain,
    /// In encryption, in the residue before it is joined with that of the other half.
    Residue,
}

/// The answer to a fault outside of decryption.
fn went_wrong() -> Error {
    Error::Parameter {
        what: "computation",
        got: "a result that contradicts its own checks".into(),
        expected: "a machine that computes and remembers".into(),
        hint: "nothing was released; read the key anew and check the machine's memory",
    }
}

/// What one half gives.
struct Logarithm {
    /// `(c^(p - 1) - 1) / p`.
    digit: Secret,
    /// A sum over its limbs, from before it was used.
    fold: u64,
    /// The plaintext modulo `p`.
    plain: Secret,
    /// 1 if every check held.
    sound: u64,
}

impl Half {
    /// `other` prime, `inverse`: `1 / other`.
    fn new<R: CryptoRng + ?Sized>(
        ring: SquareRing,
        other: &[u64],
        inverse: &[u64],
        cofactor: Option<(u64, Origin)>,
        rng: &mut R,
    ) -> Result<Self> {
        let base = ring.base();
        let mut order = secret(base.len());
        order.copy_from_slice(base.n());
        order[0] ^= 1;
        let bits = bit_length(&order);
        let mut plain = secret(base.len());
        plain.copy_from_slice(inverse);
        base.negate(&mut plain);
        let mut logarithm = base.reduce(other, &mut base.scratch());
        base.negate(&mut logarithm);
        let structure = match cofactor {
            None => None,
            Some((cofactor, origin)) => {
                let generator =
                    prime::generator(base, cofactor, origin, rng)?.ok_or_else(|| {
                        Error::Parameter {
                            what: "cofactor",
                            got: "a number r that is not the key's".into(),
                            expected: "odd, with p = 2 r q + 1 and q prime".into(),
                            hint: "take the cofactors from the key's own export, or leave them out",
                        }
                    })?;
                // g^p mod p^2 has the order of g mod p.
                let mut element = secret(ring.len());
                element[..base.len()].copy_from_slice(&generator);
                let residue = ring.pow(&element, base.n(), bits);
                let residues = ring.comb(&residue, bits);
                Some(Structure { cofactor, residues })
            }
        };
        Ok(Self {
            order,
            bits,
            plain,
            logarithm,
            structure,
            ring,
        })
    }

    /// A uniform `n`-th residue modulo `p^2`: a power of a generator, or `a^p` for `a` uniform modulo `p` (powers to the
    /// other prime only permute the `a`).
    fn residue<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        fault: Option<Fault>,
    ) -> Result<CheckedElement> {
        let plant = fault.and_then(Fault::plant);
        let strike = |mut power: CheckedElement| {
            Fault::strike(fault, &mut power.first, |place| {
                matches!(place, Place::Residue)
            });
            power
        };
        if let Some(structure) = &self.structure {
            let exponent = prime::uniform_below(&self.order, rng)?;
            let first = self.ring.comb_pow(&structure.residues, &exponent);
            return Ok(strike(CheckedElement {
                second: first.clone(),
                first,
                sound: 1,
            }));
        }
        let base = self.ring.base();
        // 1 ..= p - 1
        let mut a = prime::uniform_below(&self.order, rng)?;
        limbs::add_assign(&mut a, &[1]);
        let mut element = secret(self.ring.len());
        element[..base.len()].copy_from_slice(&a);
        let job = Job {
            base: &element,
            exponent: base.n(),
            bits: self.bits,
        };
        Ok(strike(self.ring.checked(job, plant)))
    }

    /// The plaintext modulo `p`: `c^(p - 1) = 1 - m (n / p) p (mod p^2)`; and `c`, to compare with the other half's.
    fn logarithm(&self, mut c: Secret, fault: Option<Fault>) -> (Secret, Logarithm) {
        let base = self.ring.base();
        let mut scratch = self.ring.scratch();
        let strike = |value: &mut [u64], at: fn(Place) -> bool| Fault::strike(fault, value, at);
        strike(&mut c, |place| matches!(place, Place::Ciphertext));
        let mut residue = self.ring.reduce(&c, &mut scratch);
        strike(&mut residue, |place| matches!(place, Place::Input));
        let again = self.ring.reduce(&c, &mut scratch);
        let mut sound = limbs::equal(&residue, &again);

        let plant = fault.and_then(Fault::plant);
        let power = self
            .ring
            .pow_checked(&residue, &self.order, self.bits, plant);
        sound &= power.sound;
        let fold = power.fold;
        let (one, rest) = power.digits.split_at(base.len());
        let mut expected = secret(base.len());
        expected[0] = 1;
        sound &= limbs::equal(one, &expected);
        let mut digit = secret(base.len());
        digit.copy_from_slice(&rest[..base.len()]);
        strike(&mut digit, |place| matches!(place, Place::Logarithm));
        let mut plain = secret(base.len());
        base.mul(&mut plain, &digit, &self.plain, &mut scratch);
        strike(&mut plain, |place| matches!(place, Place::Plain));
        let half = Logarithm {
            digit,
            fold,
            plain,
            sound,
        };
        (c, half)
    }

    /// 1 if the half is sound and `m` has its logarithm.
    fn agrees(&self, m: &[u64], half: &Logarithm) -> u64 {
        let base = self.ring.base();
        let mut scratch = base.scratch();
        let mut digit = base.reduce(m, &mut scratch);
        base.mul_assign(&mut digit, &self.logarithm, &mut scratch);
        base.leave(&mut digit, &mut scratch);
        half.sound & limbs::equal(&digit, &half.digit) & same_fold(half.fold, fold(&digit))
    }
}

/// Whether `|p - q|` has at least `bits - 100` bits (FIPS 186-5, appendix A.1.1), so that Fermat's method finds nothing.
fn far_apart(p: &[u64], q: &[u64], bits: u64) -> bool {
    let mut difference = secret(p.len());
    difference.copy_from_slice(p);
    let borrow = limbs::sub_assign(&mut difference, q);
    let flip = limbs::mask(borrow);
    for limb in difference.iter_mut() {
        *limb ^= flip;
    }
    bits_of(&difference) > bits.saturating_sub(100)
}
