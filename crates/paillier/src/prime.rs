//! Secret primes `p = 2 r q + 1` with a known factorization of `p - 1`.
//!
//! The `n`-th residues modulo `p^2` are the cyclic group of order `p - 1`; with the prime factors of `p - 1` at hand, a
//! generator is recognized, and powers of it to uniform exponents are exactly uniform. `q` is a random prime with 33 bits
//! less than `p`, `r` a random prime of 33 bits or so; both are odd, so that `p = 3 (mod 4)`, and `p - 1` has no small factor
//! but 2, which is what short exponents ask for (Damgard, Jurik, Nielsen 2010, section 4). Keys whose `r` is composite are read.
//!
//! Every candidate is fresh from the generator, so that what a rejected one takes says nothing about the accepted one.
//! By the usual heuristics, one in some 60,000 of the primes 3 modulo 4 has this form: so an algorithm that factors products
//! of such primes would factor one product of two random primes in some 4 billion. `p - 1` has a prime factor almost as
//! long as `p`, which is what stands against Pollard's `p - 1` method; no method is known that profits from it.

use crate::arith::exp::bit_length;
use crate::arith::limbs::{self, Secret, secret};
use crate::arith::{Kernel, Modulus, limbs_for, pow};
use cipherblas_scheme::{Error, Result};
use rand::CryptoRng;
use std::sync::OnceLock;

/// Rounds of Miller-Rabin: an error of at most 4^-64 whatever the number.
const ROUNDS: usize = 64;
/// Candidates are sieved by the primes below this.
const SIEVE_LIMIT: usize = 2048;
/// `p` is longer than the prime factor `q` by this.
pub(crate) const COFACTOR_BITS: u64 = 33;
/// Draws before a generator of randomness is called broken: the chance of a sound one is below 2^-100.
const ATTEMPTS: usize = 1_000_000;

/// Small numbers tried as generators: of a prime, a good part of all numbers are, and the least is small.
const GENERATORS: usize = 2000;

/// A prime below 2^17 with `floor(2^64 / prime)`, for division without a divide instruction.
struct Small {
    prime: u64,
    reciprocal: u64,
}

impl Small {
    /// `value mod prime` and the quotient, for any `value`.
    #[inline(always)]
    fn divide(&self, value: u64) -> (u64, u64) {
        let quotient = ((u128::from(value) * u128::from(self.reciprocal)) >> 64) as u64;
        let rest = value.wrapping_sub(quotient.wrapping_mul(self.prime));
        // The quotient is at most 1 too small.
        let below = limbs::less(&[rest], &[self.prime]);
        (
            quotient.wrapping_add(1 ^ below),
            rest.wrapping_sub(self.prime & limbs::mask(1 ^ below)),
        )
    }
    fn residue(&self, value: &[u64]) -> u64 {
        value.iter().rev().fold(0, |rest, &limb| {
            let (_, rest) = self.divide(rest << 32 | limb >> 32);
            self.divide(rest << 32 | limb & 0xffff_ffff).1
        })
    }
}

/// The odd primes below 2^17.
fn small_primes() -> &'static [Small] {
    static PRIMES: OnceLock<Vec<Small>> = OnceLock::new();
    PRIMES.get_or_init(|| {
        let limit = 1 << 17;
        let mut composite = vec![false; limit];
        let mut primes = Vec::new();
        for candidate in (3..limit).step_by(2) {
            if !composite[candidate] {
                primes.push(Small {
                    prime: candidate as u64,
                    reciprocal: u64::MAX / candidate as u64,
                });
                for multiple in (candidate * candidate..limit).step_by(2 * candidate) {
                    composite[multiple] = true;
                }
            }
        }
        primes
    })
}

/// 1 if an odd prime below `limit` divides `value` (and is not `value` itself); all are tried.
pub(crate) fn has_small_factor(value: &[u64], limit: usize) -> u64 {
    let mut found = 0;
    for small in small_primes() {
        if small.prime as usize >= limit {
            break;
        }
        let mut other = value.first().copied().unwrap_or(0) ^ small.prime;
        other |= value.iter().skip(1).fold(0, |acc, limb| acc | limb);
        found |= limbs::is_zero_word(small.residue(value)) & (1 ^ limbs::is_zero_word(other));
    }
    found
}

/// A uniform number below `bound`, by rejection; `bound` is not zero.
///
/// # Errors
/// `Parameter` if the generator is broken.
pub(crate) fn uniform_below<R: CryptoRng + ?Sized>(bound: &[u64], rng: &mut R) -> Result<Secret> {
    let bits = bit_length(bound);
    let mut value = secret(bound.len());
    for _ in 0..ATTEMPTS {
        random_bits(&mut value, bits, rng);
        if limbs::less(&value, bound) == 1 {
            return Ok(value);
        }
    }
    Err(broken_generator())
}

fn random_bits<R: CryptoRng + ?Sized>(value: &mut [u64], bits: usize, rng: &mut R) {
    value.fill(0);
    for limb in &mut value[..bits.div_ceil(64)] {
        *limb = rng.next_u64();
    }
    if !bits.is_multiple_of(64) {
        value[bits / 64] &= (1 << (bits % 64)) - 1;
    }
}

/// A uniform number below `2^bits`.
pub(crate) fn random<R: CryptoRng + ?Sized>(bits: usize, rng: &mut R) -> Secret {
    let mut value = secret(bits.div_ceil(64));
    random_bits(&mut value, bits, rng);
    value
}

fn broken_generator() -> Error {
    Error::Parameter {
        what: "rng",
        got: "a million rejected draws".into(),
        expected: "random bits".into(),
        hint: "use a working cryptographic generator",
    }
}

/// 1 if `value`, odd and above 3, passes Miller-Rabin to `rounds` random bases. The time depends on the length of the
/// value, on the power of two in `value - 1`, and on the answer.
///
/// # Errors
/// `Parameter` if the generator is broken.
pub(crate) fn is_probable_prime<R: CryptoRng + ?Sized>(
    value: &[u64],
    rounds: usize,
    rng: &mut R,
) -> Result<bool> {
    let modulus = Modulus::new(Kernel::detect(), value);
    let bits = bit_length(value);
    let mut exponent = secret(modulus.len());
    exponent.copy_from_slice(modulus.n());
    exponent[0] ^= 1;
    let zeros = exponent
        .iter()
        .enumerate()
        .find(|(_, limb)| **limb != 0)
        .map_or(0, |(i, limb)| 64 * i + limb.trailing_zeros() as usize);
    for _ in 0..zeros {
        limbs::halve(&mut exponent);
    }
    let mut minus_one = secret(modulus.len());
    minus_one.copy_from_slice(modulus.one());
    modulus.negate(&mut minus_one);
    let mut scratch = modulus.scratch();
    for _ in 0..rounds {
        // In Montgomery form already: as uniform as any.
        let base = loop {
            let base = uniform_below(modulus.n(), rng)?;
            let trivial = limbs::is_zero(&base)
                | limbs::equal(&base, modulus.one())
                | limbs::equal(&base, &minus_one);
            if trivial == 0 {
                break base;
            }
        };
        let mut power = pow(&modulus, &base, &exponent, bits);
        let mut passed = limbs::equal(&power, modulus.one()) | limbs::equal(&power, &minus_one);
        for _ in 1..zeros {
            modulus.sqr_assign(&mut power, &mut scratch);
            passed |= limbs::equal(&power, &minus_one);
        }
        if passed == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// [`is_probable_prime`] after sieving, one round first, then all.
fn is_prime<R: CryptoRng + ?Sized>(value: &[u64], rng: &mut R) -> Result<bool> {
    Ok(has_small_factor(value, SIEVE_LIMIT) == 0
        && is_probable_prime(value, 1, rng)?
        && is_probable_prime(value, ROUNDS, rng)?)
}

/// Whether the number is prime, except with probability 2^-128.
///
/// # Errors
/// `Parameter` if the generator is broken.
pub(crate) fn check_prime<R: CryptoRng + ?Sized>(value: &[u64], rng: &mut R) -> Result<bool> {
    is_prime(value, rng)
}

/// Where a prime and its cofactor come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made by [`structured_prime`]: the large factor is known to be prime.
    Drawn,
    /// From outside.
    Imported,
}

/// A secret prime and the odd number `r` in `p = 2 r q + 1`, `q` prime.
pub(crate) struct StructuredPrime {
    pub(crate) p: Secret,
    pub(crate) cofactor: u64,
}

/// Draws a prime of `bits` bits, the top two set, with a known factorization of `p - 1`; proven once it has a
/// [`generator`].
///
/// `look` is called before each candidate is tested, and may stop the search.
///
/// # Errors
/// `Parameter` if the generator is broken; what `look` returns.
pub(crate) fn structured_prime<R: CryptoRng + ?Sized>(
    bits: u64,
    rng: &mut R,
    look: &mut dyn FnMut() -> Result<()>,
) -> Result<StructuredPrime> {
    let len = limbs_for(bits);
    let q_bits = (bits - COFACTOR_BITS) as usize;
    let mut q = secret(len);
    let mut p = secret(len);
    for _ in 0..ATTEMPTS {
        random_bits(&mut q, q_bits, rng);
        set_bit(&mut q, q_bits - 1);
        set_bit(&mut q, q_bits - 2);
        q[0] |= 3;
        look()?;
        if is_prime(&q, rng)? {
            break;
        }
        q.fill(0);
    }
    for _ in 0..ATTEMPTS {
        // With q in [3/4, 1) 2^q_bits, the r that give p its top two bits are in [3/4, 4/3) 2^(bits - 1 - q_bits).
        let cofactor = rng.next_u64() >> (64 - COFACTOR_BITS) | 1;
        if times_cofactor(&mut p, &q, cofactor) != 0
            || bit_length(&p) as u64 != bits
            || limbs::bits_at(&p, bits as usize - 2, 2) != 3
            || has_small_factor(&[cofactor], SIEVE_LIMIT) == 1
            || factor_cofactor(cofactor) != [cofactor]
        {
            continue;
        }
        look()?;
        // One round finds composites; that a generator is found proves the prime.
        if has_small_factor(&p, SIEVE_LIMIT) == 0 && is_probable_prime(&p, 1, rng)? {
            return Ok(StructuredPrime { p, cofactor });
        }
    }
    Err(broken_generator())
}

fn set_bit(value: &mut [u64], position: usize) {
    value[position / 64] |= 1 << (position % 64);
}

/// `p = 2 r q + 1`; returns what does not fit.
fn times_cofactor(p: &mut [u64], q: &[u64], cofactor: u64) -> u64 {
    let mut carry = 1u64;
    for (p, &q) in p.iter_mut().zip(q) {
        let wide = u128::from(q)
            .wrapping_mul(u128::from(cofactor << 1))
            .wrapping_add(u128::from(carry));
        *p = wide as u64;
        carry = (wide >> 64) as u64;
    }
    carry
}

/// The different prime factors of an odd number below 2^34: all candidates are tried.
pub(crate) fn factor_cofactor(mut value: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    for small in small_primes() {
        let (quotient, rest) = small.divide(value);
        if rest == 0 {
            factors.push(small.prime);
            value = quotient;
            while small.divide(value).1 == 0 && value > 1 {
                value = small.divide(value).0;
            }
        }
    }
    if value > 1 {
        factors.push(value);
    }
    factors
}

/// The smallest generator of the units modulo the prime `p = 2 r q + 1`, in Montgomery form; `None` if `r` is not a
/// factor or `q` not prime. That one is found proves `p` prime (Lucas), given that `q` is.
///
/// # Errors
/// `Parameter` if the generator of randomness is broken.
pub(crate) fn generator<R: CryptoRng + ?Sized>(
    modulus: &Modulus,
    cofactor: u64,
    origin: Origin,
    rng: &mut R,
) -> Result<Option<Secret>> {
    let mut order = secret(modulus.len());
    order.copy_from_slice(modulus.n());
    order[0] ^= 1;
    let bits = bit_length(&order);
    let mut half = order.clone();
    limbs::halve(&mut half);
    if cofactor & 1 == 0 || cofactor >> 34 != 0 {
        return Ok(None);
    }
    let (q, rest) = divide_by_word(&half, cofactor);
    if rest != 0 || bit_length(&q) < 8 {
        return Ok(None);
    }
    if origin == Origin::Imported && !is_prime(&q, rng)? {
        return Ok(None);
    }
    let mut two = secret(modulus.len());
    two[0] = 2 * cofactor;
    let mut maximal = vec![half, two];
    for factor in factor_cofactor(cofactor) {
        maximal.push(divide_by_word(&order, factor).0);
    }
    let mut candidate = secret(modulus.len());
    candidate.copy_from_slice(modulus.one());
    for _ in 0..GENERATORS {
        modulus.add(&mut candidate, modulus.one());
        let mut generates = limbs::equal(&pow(modulus, &candidate, &order, bits), modulus.one());
        for exponent in &maximal {
            generates &= 1 ^ limbs::equal(&pow(modulus, &candidate, exponent, bits), modulus.one());
        }
        if generates == 1 {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Quotient and remainder by a word below 2^34, bit by bit: no divide instruction meets a secret.
fn divide_by_word(value: &[u64], divisor: u64) -> (Secret, u64) {
    let mut quotient = secret(value.len());
    let mut rest = 0u64;
    for position in (0..64 * value.len()).rev() {
        rest = rest << 1 | (value[position / 64] >> (position % 64) & 1);
        let enough = 1 ^ limbs::less(&[rest], &[divisor]);
        rest = rest.wrapping_sub(divisor & limbs::mask(enough));
        quotient[position / 64] |= enough << (position % 64);
    }
    (quotient, rest)
}
