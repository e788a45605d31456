//! The modulus, checked; encryption for whoever does not know its factors.

use crate::arith::exp::bit_length;
use crate::arith::limbs::{self, Secret, from_biguint, secret};
use crate::arith::{Comb, Kernel, SquareRing, limbs_for};
use crate::group::Element;
use crate::prime;
use cipherblas_scheme::{Error, Result};
use num_bigint::BigUint;
use num_integer::Integer;
use rand::{CryptoRng, SeedableRng};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The shortest modulus of a secure key, in bits.
pub const MIN_BITS: u64 = 2048;
/// The longest modulus, in bits.
pub const MAX_BITS: u64 = 8192;
/// The shortest modulus of a key for tests, in bits.
pub const INSECURE_MIN_BITS: u64 = 128;

/// A modulus has no prime factor below this.
const SMALL_FACTORS: usize = 1 << 16;

/// How a ciphertext is blinded by whoever does not know the factors of `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Blinding {
    /// `r^n mod n^2` with `r` uniform: no assumption beyond Paillier's own.
    #[default]
    Full,
    /// `h^(n x) mod n^2` with `h = -y^2` and `x` of half as many bits as `n` has (Damgard, Jurik, Nielsen, Int. J. Inf.
    /// Secur. 9, 2010, section 4): faster, under the **additional** assumption that these powers look uniform, and for a
    /// modulus whose prime factors are 3 modulo 4.
    ShortExponent,
}

/// The modulus `n` and what arithmetic modulo `n^2` needs. A clone shares it.
#[derive(Clone)]
pub struct PublicKey(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    n: BigUint,
    n_squared: BigUint,
    bits: u64,
    ring: SquareRing,
    /// Powers of `h^n`, for short exponents; drawn when first wanted.
    short: OnceLock<Comb>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("bits", &self.0.bits)
            .finish_non_exhaustive()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.n == other.0.n
    }
}
impl Eq for PublicKey {}

impl PublicKey {
    /// Takes a modulus from elsewhere, after checks: 2048 to 8192 bits, odd, no prime factor below 2^16, not prime, not a
    /// power. That it has exactly two prime factors of equal length cannot be seen from outside. Cost: some ten powers
    /// modulo `n`.
    ///
    /// # Errors
    /// `Parameter` for a modulus that is no product of two large primes, or is too short or too long.
    pub fn new(n: &BigUint) -> Result<Self> {
        Self::checked(n, MIN_BITS)
    }
    /// As [`new`](Self::new), from 128 bits: for tests only.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn insecure_new(n: &BigUint) -> Result<Self> {
        Self::checked(n, INSECURE_MIN_BITS)
    }

    fn checked(n: &BigUint, least: u64) -> Result<Self> {
        check_bits(n.bits(), least)?;
        let refuse = |got: &str| {
            Err(Error::Parameter {
                what: "n",
                got: got.into(),
                expected: "a product of two large primes".into(),
                hint: "take the modulus from the owner of the key, unaltered",
            })
        };
        if n.is_even() {
            return refuse("an even number");
        }
        let words = n.to_u64_digits();
        if prime::has_small_factor(&words, SMALL_FACTORS) == 1 {
            return refuse("a number with a small prime factor");
        }
        // Bases that whoever made the number did not choose; a prime passes all.
        let seed = blake3::hash(&n.to_bytes_le());
        let mut rng = rand::rngs::StdRng::from_seed(*seed.as_bytes());
        if prime::is_probable_prime(&words, 8, &mut rng)? {
            return refuse("a prime");
        }
        // Without factors below 2^16, an exponent is below bits / 16.
        for exponent in (2..=(n.bits() / 16) as u32).filter(|e| *e == 2 || e % 2 == 1) {
            if n.nth_root(exponent).pow(exponent) == *n {
                return refuse("a perfect power");
            }
        }
        Ok(Self::unchecked(n.clone()))
    }

    pub(crate) fn unchecked(n: BigUint) -> Self {
        let words = from_biguint(&n, limbs_for(n.bits()));
        Self(Arc::new(Inner {
            n_squared: &n * &n,
            bits: n.bits(),
            ring: SquareRing::new(Kernel::detect(), &words),
            short: OnceLock::new(),
            n,
        }))
    }

    /// The modulus.
    pub fn n(&self) -> &BigUint {
        &self.0.n
    }
    /// `n^2`: ciphertexts are below.
    pub fn n_squared(&self) -> &BigUint {
        &self.0.n_squared
    }
    /// Bits of the modulus.
    pub fn bits(&self) -> u64 {
        self.0.bits
    }
    /// 64-bit words of a plaintext: as many as `n` has.
    pub fn words(&self) -> usize {
        self.0.bits.div_ceil(64) as usize
    }
    pub(crate) fn ring(&self) -> &SquareRing {
        &self.0.ring
    }

    /// A plaintext below `n` as limbs.
    pub(crate) fn plaintext(&self, m: &[u64]) -> Result<Secret> {
        let n = self.ring().base().n();
        let mut limbs = secret(n.len());
        let fits = m.iter().skip(n.len()).fold(0, |acc, limb| acc | limb) == 0;
        if fits {
            let len = m.len().min(n.len());
            limbs[..len].copy_from_slice(&m[..len]);
        }
        if !fits || limbs::less(&limbs, n) == 0 {
            return Err(Error::Value {
                index: 0,
                got: "a plaintext of n or more".into(),
                expected: format!("below n ({} bits)", self.bits()),
                hint: "reduce it modulo n, or use a longer key",
            });
        }
        Ok(limbs)
    }

    /// `(1 + m n) r^n mod n^2` with `r` uniform, for `m` below `n`. Constant time in `m` and `r`, but for the length of
    /// `m`. Cost: `bits` squarings modulo `n^2`.
    ///
    /// # Errors
    /// `Value` if `m` is not below `n`; `Parameter` if the generator is broken.
    pub fn encrypt_raw<R: CryptoRng + ?Sized>(&self, m: &BigUint, rng: &mut R) -> Result<Element> {
        self.encrypt_words(&limbs::to_secret(m), Blinding::Full, rng)
    }
    /// As [`encrypt_raw`](Self::encrypt_raw) with the blinding chosen, and the plaintext as little-endian 64-bit words
    /// (as many as [`words`](Self::words): then its length says nothing).
    ///
    /// # Errors
    /// As [`encrypt_raw`](Self::encrypt_raw).
    pub fn encrypt_words<R: CryptoRng + ?Sized>(
        &self,
        m: &[u64],
        blinding: Blinding,
        rng: &mut R,
    ) -> Result<Element> {
        let m = self.plaintext(m)?;
        let mut residue = self.residue(blinding, rng)?;
        self.shift(&mut residue, m);
        Ok(Element::new(residue))
    }

    /// `e (1 + m n)`.
    pub(crate) fn shift(&self, e: &mut [u64], mut m: Secret) {
        let ring = self.ring();
        let mut scratch = ring.scratch();
        ring.base().enter(&mut m, &mut scratch);
        ring.shift(e, &m, &mut scratch);
    }

    /// A random `n`-th residue, in Montgomery form.
    pub(crate) fn residue<R: CryptoRng + ?Sized>(
        &self,
        blinding: Blinding,
        rng: &mut R,
    ) -> Result<Secret> {
        let ring = self.ring();
        match blinding {
            Blinding::Full => {
                // Uniform below n: that it has a factor in common with n, is 0 say, has a chance of 2^(1 - bits / 2).
                let mut base = secret(ring.len());
                let r = prime::uniform_below(ring.base().n(), rng)?;
                base[..r.len()].copy_from_slice(&r);
                Ok(ring.pow_public(&base, ring.base().n()))
            }
            // p = q = 3 (mod 4) gives n = 1 (mod 4). Otherwise -y^2 has a Jacobi symbol of -1, and every ciphertext tells the lowest
            // bit of its exponent.
            Blinding::ShortExponent if ring.base().n()[0] & 3 != 1 => Err(Error::Parameter {
                what: "blinding",
                got: "a short exponent for a modulus that is 3 modulo 4".into(),
                expected: "a modulus of two primes that are 3 modulo 4".into(),
                hint: "use Blinding::Full for this key",
            }),
            Blinding::ShortExponent => {
                let comb = match self.0.short.get() {
                    Some(comb) => comb,
                    None => {
                        let comb = self.short_comb(rng)?;
                        self.0.short.get_or_init(|| comb)
                    }
                };
                let exponent = prime::random(self.short_bits(), rng);
                Ok(ring.comb_pow(comb, &exponent))
            }
        }
    }

    /// Length of a short exponent.
    fn short_bits(&self) -> usize {
        self.bits().div_ceil(2) as usize
    }

    /// Tables of `h^n`, `h = -y^2` with `y` uniform.
    fn short_comb<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<Comb> {
        let ring = self.ring();
        let base = ring.base();
        let mut y = prime::uniform_below(base.n(), rng)?;
        base.sqr_assign(&mut y, &mut base.scratch());
        base.negate(&mut y);
        let mut h = secret(ring.len());
        h[..base.len()].copy_from_slice(&y);
        let h = ring.pow_public(&h, base.n());
        Ok(ring.comb(&h, self.short_bits()))
    }

    /// `r^n mod n^2` blinds the element anew: it decrypts to the same, and nothing else can be seen of its history.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn rerandomize<R: CryptoRng + ?Sized>(
        &self,
        element: &Element,
        blinding: Blinding,
        rng: &mut R,
    ) -> Result<Element> {
        let residue = Element::new(self.residue(blinding, rng)?);
        Ok(self.add(element, &residue))
    }
}

pub(crate) fn check_bits(bits: u64, least: u64) -> Result<()> {
    if (least..=MAX_BITS).contains(&bits) {
        return Ok(());
    }
    Err(Error::Parameter {
        what: "bits",
        got: bits.to_string(),
        expected: format!("{least} to {MAX_BITS}"),
        hint: "3072 is the default; shorter keys exist for tests, under names that begin `insecure_`",
    })
}

/// Bits of a slice of limbs, at the border.
pub(crate) fn bits_of(value: &[u64]) -> u64 {
    bit_length(value) as u64
}
