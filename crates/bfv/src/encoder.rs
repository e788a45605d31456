//! Batching: integers modulo one plaintext prime `t` to polynomials and back, and plaintexts to and from the ciphertext
//! modulus.
//!
//! # Slots
//! `t = 1 mod 2N` has a primitive 2N-th root of unity `psi`. Slot `j` of row 0 is the polynomial's value at
//! `psi^(5^j)`, slot `j` of row 1 that at `psi^(-5^j)`: X -> X^5 rotates both rows left by one, and X -> X^-1 swaps
//! them. Values that repeat with period `k < N/2` in both rows are a polynomial in `X^(N/2k)`: everything here takes and gives
//! polynomials in `X^(N/len)` by their `len` coefficients, any power of two from 2 to N.
//!
//! # Scaling
//! With `r = [Q m]_t` centred, `round(Q m / t) = (Q m - r) / t`, which is `-r / t` modulo the primes of Q: exact, and off the
//! real number `Q m / t` by less than 1/2. Back, `round(t x / Q) = -[t x]_Q / Q` modulo t is a conversion of base, exact for
//! phases `x = (Q / t) m + e` with `t |e| / Q < 1/2 - 2^-40`, hence for
//!
//! `|e| <= (1/2 - 2^-40) Q / t`, coefficient by coefficient.
//!
//! Both are constant time, and so are encoding and decoding.

use cipherblas_math::{AlignedVec, BaseConverter, Modulus, NttPlan};
use cipherblas_rlwe::{Coeff, Ntt, Poly, Ring};
use cipherblas_scheme::capability::check_period;
use cipherblas_scheme::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// What decryption loses of the noise that it could otherwise bear, relative to `Q / t`: see the [module page](self).
pub(crate) const SCALE_DOWN_SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// The values of one row.
pub(crate) type Row = Zeroizing<Vec<i64>>;

/// Encodes and decodes modulo one plaintext prime, for all levels of a ring.
pub(crate) struct Encoder {
    ring: Arc<Ring>,
    t: Modulus,
    /// Transforms modulo t of degree 2, 4, ..., N.
    plans: Vec<NttPlan>,
    /// By degree as `plans`: the place of row 0's slots in a transform; row 1's are mirrored.
    places: Vec<Vec<u32>>,
    /// `-1/t` modulo each prime of Q.
    negative_inverse: Vec<f64>,
    levels: Vec<Level>,
    /// Transforms modulo primes of Q of degree below N, made when first needed.
    small: Mutex<HashMap<(usize, usize), NttPlan>>,
}

struct Level {
    /// Q modulo t.
    q: f64,
    /// `x` to `round(t x / Q)` modulo t.
    down: BaseConverter,
}

fn from_math(error: impl std::fmt::Display) -> Error {
    Error::Parameter {
        what: "plaintext modulus",
        got: error.to_string(),
        expected: "a prime below 2^50 that is 1 modulo 2N and divides no ciphertext modulus".into(),
        hint: "choose parameters through their builder",
    }
}

impl Encoder {
    /// For a prime `t = 1 mod 2N` below 2^50 that is none of the primes of Q. Cost: tables for a transform of degree N, and
    /// as much again for all smaller ones.
    ///
    /// # Errors
    /// `Parameter`.
    pub(crate) fn new(ring: &Arc<Ring>, t: u64) -> Result<Self> {
        let n = ring.degree();
        let t = Modulus::new(t).map_err(from_math)?;
        let q = &ring.moduli()[..ring.q_len()];
        let degrees = (1..=n.trailing_zeros()).map(|log| 1usize << log);
        let plans: Vec<NttPlan> = degrees
            .clone()
            .map(|degree| NttPlan::new(degree, t))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let negative_inverse = q
            .iter()
            .map(|q| {
                let inverse = q.inv(q.reduce_u64(t.value()));
                let inverse = inverse.ok_or_else(|| from_math("a prime of Q"))?;
                Ok(q.residue(q.neg(inverse)))
            })
            .collect::<Result<_>>()?;
        let product = |moduli: &[Modulus]| {
            moduli
                .iter()
                .fold(1, |acc, q| t.mul(acc, t.reduce_u64(q.value())))
        };
        let backend = plans[0].backend();
        let levels = (0..=ring.max_level())
            .map(|level| {
                let primes = &q[..ring.basis(level).q];
                let q = product(primes);
                let inverse = t.inv(q).ok_or_else(|| from_math("a prime of Q"))?;
                let down = BaseConverter::scaled(
                    primes,
                    &[t],
                    |q| q.reduce_u64(t.value()),
                    |t| t.neg(inverse),
                    backend,
                )
                .map_err(from_math)?;
                Ok(Level {
                    q: t.residue(q),
                    down,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            ring: ring.clone(),
            t,
            plans,
            places: degrees.map(places).collect(),
            negative_inverse,
            levels,
            small: Mutex::default(),
        })
    }

    /// The plaintext modulus.
    pub(crate) fn modulus(&self) -> Modulus {
        self.t
    }

    /// Which of the tables by degree belongs to polynomials of `len` coefficients.
    ///
    /// # Panics
    /// If `len` is not a power of two from 2 to N.
    fn table(&self, len: usize) -> usize {
        assert!(
            len.is_power_of_two() && (2..=self.ring.degree()).contains(&len),
            "a polynomial has a power of two of coefficients, from 2 to N"
        );
        len.trailing_zeros() as usize - 1
    }

    /// The coefficients, centred modulo t, of the polynomial in `X^(N/2k)` whose rows both repeat the k `values`, which are
    /// taken modulo t. Cost: a transform of size 2k.
    ///
    /// # Errors
    /// `Shape` unless k is a power of two dividing N/2.
    pub(crate) fn encode(&self, values: &[i64]) -> Result<Zeroizing<AlignedVec>> {
        self.encode_rows(values, values)
    }

    /// As [`encode`](Self::encode), for rows of their own; k is the larger length.
    ///
    /// # Errors
    /// `Shape` unless both lengths are powers of two dividing N/2.
    pub(crate) fn encode_rows(&self, row0: &[i64], row1: &[i64]) -> Result<Zeroizing<AlignedVec>> {
        let slots = self.ring.degree() / 2;
        check_period("encode", row0.len(), slots)?;
        check_period("encode", row1.len(), slots)?;
        let len = 2 * row0.len().max(row1.len());
        let table = self.table(len);
        let mut out = Zeroizing::new(AlignedVec::zeroed(len));
        let same = std::ptr::eq(row0, row1);
        let (mask0, mask1) = (row0.len() - 1, row1.len() - 1);
        for (j, &place) in self.places[table].iter().enumerate() {
            let value = self.t.residue_i64(row0[j & mask0]);
            out[place as usize] = value;
            out[len - 1 - place as usize] = if same {
                value
            } else {
                self.t.residue_i64(row1[j & mask1])
            };
        }
        self.plans[table].inverse(&mut out);
        // Lazy residues become centred ones.
        self.plans[table].kernels().reduce_assign(&mut out);
        Ok(out)
    }

    /// The values, centred modulo t, of both rows: half as many each as there are coefficients.
    ///
    /// # Panics
    /// If the number of coefficients is not a power of two from 2 to N.
    pub(crate) fn decode(&self, coefficients: &[f64]) -> (Row, Row) {
        let len = coefficients.len();
        let table = self.table(len);
        let mut values = Zeroizing::new(AlignedVec::zeroed(len));
        values.copy_from_slice(coefficients);
        self.plans[table].forward(&mut values);
        let value = |place: usize| self.t.residue(self.t.canonical(values[place])) as i64;
        let places = &self.places[table];
        let row0 = places.iter().map(|&p| value(p as usize)).collect();
        let row1 = places
            .iter()
            .map(|&p| value(len - 1 - p as usize))
            .collect();
        (Zeroizing::new(row0), Zeroizing::new(row1))
    }

    /// `round(Q m / t)` modulo the primes of `level`, in secret memory: off the real number by less than 1/2.
    ///
    /// # Panics
    /// If the number of coefficients is not a power of two from 2 to N.
    pub(crate) fn scale_up(&self, coefficients: &[f64], level: usize) -> Poly<Coeff> {
        let len = coefficients.len();
        let kernels = self.plans[self.table(len)].kernels();
        let mut rest = Zeroizing::new(AlignedVec::zeroed(len));
        kernels.scale(&mut rest, coefficients, self.levels[level].q);
        kernels.reduce_assign(&mut rest);
        let stride = self.ring.degree() / len;
        let mut out = Poly::<Coeff>::zero(&self.ring, self.ring.basis(level)).into_secret();
        out.fill_with(|q, k, limb| {
            if stride == 1 {
                q.reduce_from(limb, &rest);
                q.scale_assign(limb, self.negative_inverse[k]);
                return;
            }
            let mut dense = Zeroizing::new(AlignedVec::zeroed(len));
            q.reduce_from(&mut dense, &rest);
            q.scale_assign(&mut dense, self.negative_inverse[k]);
            for (j, &x) in dense.iter().enumerate() {
                limb[j * stride] = x;
            }
        });
        out
    }

    /// A polynomial with coefficients modulo t as a factor for ciphertexts at `level`: centred, modulo each prime, transformed.
    /// Cost for each prime: a transform of the number of coefficients, and N writes.
    ///
    /// # Panics
    /// If the number of coefficients is not a power of two from 2 to N.
    pub(crate) fn lift(&self, coefficients: &[f64], level: usize) -> Result<Poly<Ntt>> {
        let (n, len) = (self.ring.degree(), coefficients.len());
        let repeat = n / len;
        let basis = self.ring.basis(level);
        // Any representative is right modulo t, but the centred one adds the least noise.
        let mut centred = AlignedVec::zeroed(len);
        self.plans[self.table(len)]
            .kernels()
            .reduce_from(&mut centred, coefficients);
        let plans: Vec<NttPlan> = (0..basis.len())
            .map(|k| self.plan(k, len))
            .collect::<Result<_>>()?;
        let mut out = Poly::<Ntt>::zero(&self.ring, basis);
        out.fill_with(|q, k, limb| {
            // The small transform is computed at the start of the limb and spread from its end, entry by entry.
            q.reduce_from(&mut limb[..len], &centred);
            plans[k].forward(&mut limb[..len]);
            if repeat > 1 {
                for j in (0..len).rev() {
                    let value = limb[j];
                    limb[j * repeat..(j + 1) * repeat].fill(value);
                }
            }
        });
        Ok(out)
    }

    /// The transform of degree `n` modulo prime `k` of Q.
    fn plan(&self, k: usize, n: usize) -> Result<NttPlan> {
        if n == self.ring.degree() {
            return Ok(self.ring.plan(k).clone());
        }
        let mut small = self.small.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(plan) = small.get(&(k, n)) {
            return Ok(plan.clone());
        }
        let plan = NttPlan::new(n, self.ring.moduli()[k]).map_err(from_math)?;
        small.insert((k, n), plan.clone());
        Ok(plan)
    }

    /// `round(t x / Q)` modulo t, centred: the coefficients of the plaintext, right for the noise that the
    /// [module page](self) states.
    ///
    /// # Panics
    /// If the phase is not over the primes of a level.
    pub(crate) fn scale_down(&self, phase: Poly<Coeff>) -> Zeroizing<AlignedVec> {
        let phase = phase.into_secret();
        let limbs = phase.basis().len();
        let level = (0..=self.ring.max_level())
            .find(|&level| self.ring.basis(level) == phase.basis())
            .expect("a phase is over the primes of a level");
        let n = self.ring.degree();
        let mut y = Zeroizing::new(AlignedVec::zeroed(limbs * n));
        let mut v = Zeroizing::new(AlignedVec::zeroed(n));
        let mut out = Zeroizing::new(AlignedVec::zeroed(n));
        let from: Vec<&[f64]> = (0..limbs).map(|k| phase.limb(k)).collect();
        let down = &self.levels[level].down;
        down.prepare(&from, &mut y.chunks_mut(n).collect::<Vec<_>>(), &mut v);
        down.finish(&y.chunks(n).collect::<Vec<_>>(), &v, 0, &mut out);
        self.plans[0].kernels().reduce_assign(&mut out);
        out
    }
}

/// The entry of a transform of degree `n` that is the value at `psi^(5^j)`, for `j < n/2`.
fn places(n: usize) -> Vec<u32> {
    let bits = n.trailing_zeros();
    std::iter::successors(Some(1usize), |&e| Some(e * 5 % (2 * n)))
        .take(n / 2)
        .map(|e| (e as u32 / 2).reverse_bits() >> (u32::BITS - bits))
        .collect()
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("t", &self.t.value())
            .field("degree", &self.ring.degree())
            .finish()
    }
}

#[cfg(test)]
mod tests;
