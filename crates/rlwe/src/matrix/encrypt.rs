//! Encryption of integers under the secret or the public key, and phases, which decryption starts from.
//!
//! Everything is done prime by prime: a product of centred residues modulo a narrow prime with a ternary secret is an integer
//! of at most 2^13 N in absolute value, exact modulo one prime of the ordinary ring, and reduced from there. All of it is
//! constant time in secrets and values, but for the shapes.

use super::block::{Block, Shape, centred};
use super::ring::MatrixRing;
use super::{parameter_error, shape_error};
use crate::keys::{PublicKey, SecretKey};
use crate::poly::{Basis, Coeff, Poly};
use crate::ring::Ring;
use cipherblas_math::narrow::{self, Prime};
use cipherblas_math::sample::{self, Seed};
use cipherblas_scheme::hedge::{self, Generator};
use cipherblas_scheme::{Error, Result};
use rand::{CryptoRng, Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Integers that can be encrypted: `i64` and `i128`.
pub trait Integer: Copy + Send + Sync + Zeroize + Default {
    /// Number of 32-bit pieces.
    const PIECES: usize;
    /// Piece `k`: the integer is `sum_k piece(k) 2^(32 k)`, of which the last may be negative.
    fn piece(self, k: usize) -> f64;
}

impl Integer for i64 {
    const PIECES: usize = 2;
    #[inline]
    fn piece(self, k: usize) -> f64 {
        if k == 0 {
            f64::from(self as u32)
        } else {
            f64::from((self >> 32) as i32)
        }
    }
}

impl Integer for i128 {
    const PIECES: usize = 4;
    #[inline]
    fn piece(self, k: usize) -> f64 {
        if k < 3 {
            f64::from((self >> (32 * k)) as u32)
        } else {
            f64::from((self >> 96) as i32)
        }
    }
}

/// Uniform centred residues of `seed`: the ChaCha20 key stream under key `seed` with the 64-bit nonce `stream`, read as
/// little-endian 16-bit words; of each word the low 14 bits; those that are below p, in order, centred.
pub(crate) fn uniform(seed: &Seed, stream: u64, prime: Prime, out: &mut [i16]) {
    const BYTES: usize = 4096;
    let (p, half) = (prime.value(), prime.half());
    let mut rng = ChaCha20Rng::from_seed(*seed.as_bytes());
    rng.set_stream(stream);
    let mut bytes = [0u8; BYTES];
    // One place more than a buffer can yield: a rejected word is overwritten, without a branch.
    let mut accepted = [0i16; BYTES / 2 + 1];
    let mut rest = out;
    while !rest.is_empty() {
        rng.fill_bytes(&mut bytes);
        let mut count = 0;
        for word in bytes.as_chunks::<2>().0 {
            let x = (u16::from_le_bytes(*word) & 0x3fff) as i16;
            accepted[count] = x - (p & -i16::from(x > half));
            count += usize::from(x < p);
        }
        let (head, tail) = rest.split_at_mut(count.min(rest.len()));
        head.copy_from_slice(&accepted[..head.len()]);
        rest = tail;
    }
}

/// The second halves of a seeded block: by prime, ciphertext, coefficient. Ciphertext i modulo prime k has stream 256 i + k.
pub(crate) fn expand(ring: &MatrixRing, level: usize, ciphertexts: usize, seed: &Seed) -> Vec<i16> {
    let n = ring.degree();
    let mut a = vec![0; ring.narrow_len(level) * ciphertexts * n];
    a.par_chunks_mut(n).enumerate().for_each(|(index, out)| {
        let (k, i) = (index / ciphertexts, index % ciphertexts);
        uniform(seed, (i * 256 + k) as u64, ring.prime(k), out);
    });
    a
}

/// `a s`, exactly, for centred residues `a`.
fn times_secret(ring: &MatrixRing, secret: &SecretKey, a: &[i16], out: &mut [f64]) {
    for (x, &a) in out.iter_mut().zip(a) {
        *x = f64::from(a);
    }
    let index = ring.carrier();
    let plan = ring.ring().plan(index);
    plan.forward(out);
    plan.kernels().mul_assign(out, secret.poly().limb(index));
    plan.inverse(out);
    let q = plan.modulus().value() as f64;
    let inverse = 1.0 / q;
    out.iter_mut().for_each(|x| *x = centred(*x, q, inverse));
}

/// What encryption adds to zeros: values and, held alike, errors.
struct Message<'a, I> {
    shape: Shape,
    values: &'a [I],
    degree: usize,
}

impl<I: Integer> Message<'_, I> {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.shape.check(operation, self.degree)?;
        let expected = self.shape.lines.checked_mul(self.shape.len);
        if expected != Some(self.values.len()) {
            return Err(shape_error(
                operation,
                format!("{} values", self.values.len()),
                format!("{} lines of {}", self.shape.lines, self.shape.len),
                "pass all values, line by line",
            ));
        }
        Ok(())
    }

    /// Values of ciphertext `i`, line by line.
    fn of(&self, i: usize) -> &[I] {
        let per = self.shape.classes(self.degree) * self.shape.len;
        &self.values[i * per..self.values.len().min((i + 1) * per)]
    }

    /// Digests of the values, for the randomness of the block.
    fn digest(&self, level: usize) -> Zeroizing<[u8; 32]> {
        let shape = [
            self.shape.lines as u64,
            self.shape.len as u64,
            self.shape.padded as u64,
            self.shape.layout as u64,
            level as u64,
        ];
        let per = (1 << 14) / I::PIECES;
        let parts: Vec<Zeroizing<[u8; 32]>> = self
            .values
            .par_chunks(per)
            .map(|values| {
                let mut bytes = Zeroizing::new(Vec::with_capacity(values.len() * 4 * I::PIECES));
                for x in values {
                    for k in 0..I::PIECES {
                        bytes.extend_from_slice(&(x.piece(k) as i64 as u32).to_le_bytes());
                    }
                }
                hedge::digest("cipherblas 2026 rlwe matrix values", &[&bytes])
            })
            .collect();
        let words = hedge::words(shape.into_iter());
        let mut all: Vec<&[u8]> = vec![&words];
        all.extend(parts.iter().map(|d| &d[..]));
        hedge::digest("cipherblas 2026 rlwe matrix block", &all)
    }

    /// Adds the values of ciphertext `i` modulo a narrow prime to `out`, whose coefficients are those held.
    fn add(&self, prime: Prime, i: usize, out: &mut [f64]) {
        let mut weights = [0.0; 4];
        for (k, w) in weights.iter_mut().enumerate() {
            *w = f64::from(prime.reduce_i128(1i128 << (32 * k)));
        }
        let first = i * self.shape.classes(self.degree);
        for (x, line) in self.of(i).chunks(self.shape.len).enumerate() {
            let (_, start) = self.shape.place(self.degree, first + x, 0);
            let step = self.shape.place(self.degree, first + x, 1).1 - start;
            for (j, value) in line.iter().enumerate() {
                out[start + step * j] += (0..I::PIECES)
                    .map(|k| value.piece(k) * weights[k])
                    .sum::<f64>();
            }
        }
    }
}

/// One generator for each ciphertext.
fn generators(master: &mut Generator, count: usize) -> Vec<Generator> {
    (0..count as u64)
        .map(|i| {
            hedge::hedged(
                "cipherblas 2026 rlwe matrix ciphertext",
                master,
                &[&i.to_le_bytes()],
            )
        })
        .collect()
}

/// The plaintext modulus modulo a narrow prime, centred: what errors are multiplied by.
fn error_factor(ring: &MatrixRing, prime: Prime) -> f64 {
    f64::from(prime.reduce_i128(ring.plaintext().map_or(1, i128::from)))
}

fn check_ring(operation: &'static str, ring: &MatrixRing, of_key: &Arc<Ring>) -> Result<()> {
    if !Arc::ptr_eq(ring.ring(), of_key) && ring.ring().spec() != of_key.spec() {
        return Err(Error::KeyMismatch {
            operation,
            got: "a key over another ring".into(),
            expected: "a key of this ring".into(),
        });
    }
    Ok(())
}

impl Block {
    /// Encrypts integers, line by line, under the secret key: `b = -a s + t e + value` modulo `G_level`, `a` uniform from a
    /// seed, `e` centred binomial (at most 21), t the plaintext modulus or 1. Values are reduced modulo `G_level`: those
    /// beyond half of it do not come back. Half the size of other blocks on the wire, but for short lines that have a
    /// ciphertext each (of fewer than N / 16 values). Cost: two transforms a ciphertext and narrow prime.
    ///
    /// # Errors
    /// `Shape`, `Depth` beyond the top level, `KeyMismatch`.
    pub fn encrypt<I: Integer, R: CryptoRng + ?Sized>(
        ring: &Arc<MatrixRing>,
        secret: &SecretKey,
        values: &[I],
        shape: Shape,
        level: usize,
        rng: &mut R,
    ) -> Result<Self> {
        let n = ring.degree();
        let message = Message {
            shape,
            values,
            degree: n,
        };
        check_ring("encrypt", ring, secret.ring())?;
        ring.check_level("encrypt", level)?;
        message.check("encrypt")?;
        let count = shape.ciphertexts(n);
        let mut master = secret.randomness(level, &[b"matrix", &*message.digest(level)], rng);
        let seed = Seed::generate(&mut master);
        let held = shape.held(n);
        let mut errors = Zeroizing::new(vec![0i8; count * held]);
        generators(&mut master, count)
            .into_par_iter()
            .zip(errors.par_chunks_mut(held))
            .for_each(|(mut rng, errors)| sample::centered_binomial(&mut rng, errors));

        let a = expand(ring, level, count, &seed);
        let mut b = vec![0i16; ring.narrow_len(level) * count * held];
        let step = n / held_grid(shape, n);
        b.par_chunks_mut(held)
            .zip(a.par_chunks(n))
            .enumerate()
            .for_each(|(index, (b, a))| {
                let (k, i) = (index / count, index % count);
                let prime = ring.prime(k);
                let mut product = ring.ring().pool.scratch_for(n, true);
                let mut sum = ring.ring().pool.scratch_for(held, true);
                times_secret(ring, secret, a, &mut product);
                let factor = error_factor(ring, prime);
                let errors = &errors[i * held..(i + 1) * held];
                for ((x, y), &e) in sum.iter_mut().zip(product.iter().step_by(step)).zip(errors) {
                    *x = f64::from(e) * factor - y;
                }
                message.add(prime, i, &mut sum);
                narrow_down(prime, &sum, b);
            });
        Ok(Self {
            ring: ring.clone(),
            key: secret.id(),
            shape,
            level,
            b: Arc::new(b),
            a: Arc::new(a),
            seed: shape.seedable(n).then_some(seed),
        })
    }

    /// Encrypts integers, line by line, under the public key: zeros are encrypted modulo Q of the ordinary ring's top and its
    /// first special prime, brought to `G_level` with rounding (their errors shrink with the modulus) and multiplied by the
    /// plaintext modulus, and the values are added. Cost: four transforms a ciphertext and prime of the ordinary ring.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn encrypt_public<I: Integer, R: CryptoRng + ?Sized>(
        ring: &Arc<MatrixRing>,
        public: &PublicKey,
        values: &[I],
        shape: Shape,
        level: usize,
        rng: &mut R,
    ) -> Result<Self> {
        let n = ring.degree();
        let message = Message {
            shape,
            values,
            degree: n,
        };
        check_ring("encrypt", ring, public.ring())?;
        ring.check_level("encrypt", level)?;
        message.check("encrypt")?;
        let count = shape.ciphertexts(n);
        let mut master = public.randomness(level, &[b"matrix", &*message.digest(level)], rng);
        let held = shape.held(n);
        let narrow = ring.narrow_len(level);
        let step = n / held_grid(shape, n);
        let zeros = generators(&mut master, count)
            .into_par_iter()
            .enumerate()
            .map(|(i, mut rng)| {
                let (c0, c1) = zero(ring, public, level, &mut rng);
                let mut b = vec![0i16; narrow * held];
                let mut sum = ring.ring().pool.scratch_for(held, true);
                for (k, (b, zero)) in b.chunks_mut(held).zip(c0.chunks(n)).enumerate() {
                    let prime = ring.prime(k);
                    let factor = error_factor(ring, prime);
                    for (x, &z) in sum.iter_mut().zip(zero.iter().step_by(step)) {
                        *x = f64::from(z) * factor;
                    }
                    message.add(prime, i, &mut sum);
                    narrow_down(prime, &sum, b);
                }
                let mut a = c1;
                for (k, a) in a.chunks_mut(n).enumerate() {
                    let prime = ring.prime(k);
                    let factor = error_factor(ring, prime) as i64;
                    narrow::scale_assign(prime, a, factor);
                }
                (b, a)
            })
            .collect::<Vec<_>>();
        Ok(Self {
            ring: ring.clone(),
            key: public.id(),
            shape,
            level,
            b: Arc::new(by_prime(narrow, held, &zeros, |(b, _)| b)),
            a: Arc::new(by_prime(narrow, n, &zeros, |(_, a)| a)),
            seed: None,
        })
    }
}

/// Coefficients held of N, as a grid: N in the packed layout, that of the line in the single one.
fn held_grid(shape: Shape, degree: usize) -> usize {
    match shape.layout {
        cipherblas_scheme::Lines::Packed => degree,
        cipherblas_scheme::Lines::Single => shape.padded,
    }
}

/// Integers of less than 2^49 to centred residues.
fn narrow_down(prime: Prime, from: &[f64], to: &mut [i16]) {
    let p = f64::from(prime.value());
    let inverse = 1.0 / p;
    for (y, &x) in to.iter_mut().zip(from) {
        *y = centred(x, p, inverse) as i16;
    }
}

/// From ciphertexts, each by prime, to primes, each by ciphertext.
pub(crate) fn by_prime<T: Sync>(
    primes: usize,
    len: usize,
    ciphertexts: &[T],
    part: impl Fn(&T) -> &Vec<i16> + Sync,
) -> Vec<i16> {
    let mut out = vec![0; primes * len * ciphertexts.len()];
    out.par_chunks_mut(len)
        .enumerate()
        .for_each(|(index, out)| {
            let (k, i) = (index / ciphertexts.len(), index % ciphertexts.len());
            out.copy_from_slice(&part(&ciphertexts[i])[k * len..(k + 1) * len]);
        });
    out
}

/// An encryption of zero under the public key, modulo `G_level`: `round((v b + e0, v a + e1) G / (Q p))`, by prime.
fn zero(
    ring: &MatrixRing,
    public: &PublicKey,
    level: usize,
    rng: &mut Generator,
) -> (Zeroizing<Vec<i16>>, Vec<i16>) {
    let wide = ring.ring();
    let n = ring.degree();
    let basis = Basis {
        q: wide.q_len(),
        p: 1,
    };
    let mut small = Zeroizing::new(vec![0i8; n]);
    let mut draw = |sampler: fn(&mut Generator, &mut [i8]), small: &mut [i8]| {
        sampler(rng, small);
        Poly::<Coeff>::from_small(wide, basis, small)
            .into_secret()
            .into_ntt()
    };
    let v = draw(sample::ternary, &mut small);
    let mut halves = Vec::with_capacity(2);
    for key in [&public.b, &public.a] {
        let mut u = draw(sample::centered_binomial, &mut small);
        u.fill_with_pair(&v, key, |m, u, v, k| m.mul_add_assign(u, v, k));
        let u = u.into_coeff();
        let limbs: Vec<&[f64]> = (0..basis.len()).map(|k| u.limb(k)).collect();
        let mut out = Zeroizing::new(vec![0i16; ring.narrow_len(level) * n]);
        let mut parts: Vec<&mut [i16]> = out.chunks_mut(n).collect();
        ring.public_down(level).convert(&limbs, &mut parts);
        halves.push(out);
    }
    // The first half takes the message: what it was before is as secret.
    let mut c1 = halves.pop().unwrap_or_default();
    let c0 = halves.pop().unwrap_or_default();
    (c0, std::mem::take(&mut *c1))
}

/// Balanced mixed-radix digits of a centred integer from its residues modulo narrow primes:
/// `x = t_1 + p_1 (t_2 + p_2 (t_3 + ...))` with `|t_i| <= (p_i - 1) / 2`. Such digits are unique.
struct MixedRadix {
    primes: Vec<Prime>,
    /// `(p_j)^-1` modulo `p_i`, j < i, centred.
    inverses: Vec<Vec<f64>>,
}

impl MixedRadix {
    fn new(primes: &[Prime]) -> Self {
        let inverse = |p: &Prime, q: &Prime| {
            f64::from(p.inv(p.reduce_i64(i64::from(q.value()))).unwrap_or(0))
        };
        Self {
            primes: primes.to_vec(),
            inverses: (0..primes.len())
                .map(|i| primes[..i].iter().map(|q| inverse(&primes[i], q)).collect())
                .collect(),
        }
    }

    /// Residues, `len` for each prime, to digits, in place. Constant time.
    fn digits(&self, residues: &mut [f64], len: usize) {
        for (i, prime) in self.primes.iter().enumerate() {
            let (earlier, rest) = residues.split_at_mut(i * len);
            let x = &mut rest[..len];
            let p = f64::from(prime.value());
            let inverse = 1.0 / p;
            for (t, &factor) in earlier.chunks(len).zip(&self.inverses[i]) {
                for (x, t) in x.iter_mut().zip(t) {
                    *x = centred((*x - t) * factor, p, inverse);
                }
            }
        }
    }
}

/// Residues modulo t, from balanced digits: Barrett reduction of numbers below `2^(bits(t) + 15)`.
struct Remainder {
    t: u64,
    bits: u32,
    mu: u64,
    /// A multiple of t, at least half of the largest narrow prime.
    shift: u64,
}

impl Remainder {
    fn new(t: u64) -> Result<Self> {
        if !(2..1 << 62).contains(&t) {
            return Err(parameter_error(
                "plaintext modulus",
                t,
                "2 to 2^62",
                "take a power of two",
            ));
        }
        let bits = u64::BITS - t.leading_zeros();
        Ok(Self {
            t,
            bits,
            mu: ((1u128 << (bits + 16)) / u128::from(t)) as u64,
            shift: t * u64::from(narrow::MAX_PRIME).div_ceil(t),
        })
    }

    /// `acc p + digit` modulo t, in `0..t`. Constant time.
    #[inline]
    fn step(&self, acc: u64, p: u64, digit: i64) -> u64 {
        let x = u128::from(acc) * u128::from(p) + u128::from(self.shift.wrapping_add_signed(digit));
        // `x < 2^(bits + 16)`, so the quotient is at most two too small.
        let q = ((x >> (self.bits - 1)) as u64 * self.mu) >> 17;
        let r = (x as u64).wrapping_sub(q.wrapping_mul(self.t));
        self.subtract(self.subtract(r))
    }

    /// `x - t` if that is not negative; `x < 2^63 + t`.
    #[inline]
    fn subtract(&self, x: u64) -> u64 {
        let difference = x.wrapping_sub(self.t);
        difference.wrapping_add(self.t & ((difference as i64 >> 63) as u64))
    }

    /// The representative in `-t/2 .. t/2`, the lower end excluded for even t.
    #[inline]
    fn centre(&self, x: u64) -> i64 {
        let above = ((self.t / 2) as i64 - x as i64) >> 63;
        x as i64 - (self.t as i64 & above)
    }
}

impl Block {
    /// The phases of the values, centred modulo `G_level`, divided by `scale`: line by line, to a relative error of 2^-49.
    /// Secret. Constant time in the key and the phases. Cost: two transforms a ciphertext and narrow prime.
    ///
    /// # Errors
    /// `KeyMismatch`; `Parameter` for a scale that is not positive and finite.
    pub fn phase_real(&self, secret: &SecretKey, scale: f64) -> Result<Zeroizing<Vec<f64>>> {
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(parameter_error(
                "scale",
                scale,
                "a positive number",
                "pass the scale of the encryption",
            ));
        }
        self.phases(secret, |primes, digits, len, out: &mut [f64]| {
            for (i, out) in out.iter_mut().enumerate() {
                let mut x = 0.0;
                for (k, p) in primes.iter().enumerate().rev() {
                    x = x * f64::from(p.value()) + digits[k * len + i];
                }
                *out = x / scale;
            }
        })
    }

    /// The phases of the values, centred modulo `G_level`, reduced modulo `t` to `(-t/2, t/2]`: line by line, exact. Secret.
    /// Constant time in the key and the phases.
    ///
    /// # Errors
    /// `KeyMismatch`; `Parameter` for t outside of `2..2^62`.
    pub fn phase_modulo(&self, secret: &SecretKey, t: u64) -> Result<Zeroizing<Vec<i64>>> {
        let remainder = Remainder::new(t)?;
        self.phases(secret, |primes, digits, len, out: &mut [i64]| {
            for (i, out) in out.iter_mut().enumerate() {
                let mut x = 0;
                for (k, p) in primes.iter().enumerate().rev() {
                    x = remainder.step(x, p.value() as u64, digits[k * len + i] as i64);
                }
                *out = remainder.centre(x);
            }
        })
    }

    /// The phases of the values, centred modulo `G_level`: line by line, exact. Secret. Constant time in the key and the
    /// phases.
    ///
    /// # Errors
    /// `KeyMismatch`; `Parameter` if `G_level` has more than 126 bits.
    pub fn phase_integers(&self, secret: &SecretKey) -> Result<Zeroizing<Vec<i128>>> {
        if self.ring.log2_g(self.level) > 126.0 {
            return Err(parameter_error(
                "modulus",
                format!("{:.1} bits", self.ring.log2_g(self.level)),
                "at most 126 bits for whole phases",
                "ask for phases as reals or modulo the plaintext modulus",
            ));
        }
        self.phases(secret, |primes, digits, len, out: &mut [i128]| {
            for (i, out) in out.iter_mut().enumerate() {
                let mut x = 0;
                for (k, p) in primes.iter().enumerate().rev() {
                    x = x * i128::from(p.value()) + digits[k * len + i] as i64 as i128;
                }
                *out = x;
            }
        })
    }

    fn phases<T: Default + Clone + Send + Zeroize>(
        &self,
        secret: &SecretKey,
        decode: impl Fn(&[Prime], &[f64], usize, &mut [T]) + Sync,
    ) -> Result<Zeroizing<Vec<T>>> {
        let ring = &self.ring;
        check_ring("decrypt", ring, secret.ring())?;
        if self.key != secret.id() {
            return Err(Error::KeyMismatch {
                operation: "decrypt",
                got: self.key.to_string(),
                expected: secret.id().to_string(),
            });
        }
        let n = ring.degree();
        let shape = self.shape;
        let radix = MixedRadix::new(ring.primes_at(self.level));
        let mut out = Zeroizing::new(vec![T::default(); shape.lines * shape.len]);
        let (held, classes) = (shape.held(n), shape.classes(n));
        let step = n / held_grid(shape, n);
        out.par_chunks_mut(classes * shape.len)
            .enumerate()
            .for_each(|(i, out)| {
                let len = out.len();
                let mut product = ring.ring().pool.scratch_for(n, true);
                let mut residues = ring.ring().pool.scratch_for(radix.primes.len() * len, true);
                for (k, residues) in residues.chunks_mut(len).enumerate() {
                    let prime = radix.primes[k];
                    let p = f64::from(prime.value());
                    let inverse = 1.0 / p;
                    times_secret(
                        ring,
                        secret,
                        &self.a_of(k)[i * n..(i + 1) * n],
                        &mut product,
                    );
                    let b = &self.b_of(k)[i * held..(i + 1) * held];
                    for (x, line) in residues.chunks_mut(shape.len).enumerate() {
                        for (j, r) in line.iter_mut().enumerate() {
                            let (_, at) = shape.place(n, i * classes + x, j);
                            *r = centred(product[at * step] + f64::from(b[at]), p, inverse);
                        }
                    }
                }
                radix.digits(&mut residues, len);
                decode(&radix.primes, &residues, len, out);
            });
        Ok(out)
    }
}
