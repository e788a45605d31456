//! The ring context: `Z_QP[X]/(X^N + 1)` with its chain of level groups and its special primes.
//!
//! The primes of Q are ordered from the bottom of the chain to the top and cut into **level groups**: a ciphertext at
//! level `l` lives modulo the product of groups `0..=l`, and rescaling drops group `l`. A group is one prime, or
//! several where a level needs more bits than a prime below 2^50 has. Independently of levels, the primes of Q are cut
//! into **digits** for hybrid key switching (Han, Ki, eprint 2019/688, section 3): the product of each digit is below
//! the product P of the special primes by at least [`DIGIT_MARGIN_BITS`].

use crate::poly::Basis;
use crate::pool::{Pool, Scratch};
use cipherblas_math::{Backend, BaseConverter, GaloisPermutation, Modulus, NttPlan};
use cipherblas_scheme::security::{SecurityLevel, log2_product};
use cipherblas_scheme::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// P exceeds every digit by this many bits, so that the noise of a key switch stays near that of its rounding.
pub const DIGIT_MARGIN_BITS: f64 = 2.0;

/// What a ring is made of; validated by [`Ring::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingSpec {
    /// Ring degree N: a power of two from 2^4 to 2^17.
    pub degree: usize,
    /// The primes of each level, bottom first.
    pub groups: Vec<Vec<u64>>,
    /// The special primes.
    pub special: Vec<u64>,
    /// Number of primes of Q in a digit (the last digit may have fewer).
    pub digit_len: usize,
}

/// An exact division with rounding: drops some primes of the basis and divides by their product.
pub(crate) struct Division {
    /// Modulus indices that are dropped.
    pub(crate) dropped: Vec<usize>,
    /// Primes of Q that remain.
    pub(crate) keep: usize,
    pub(crate) converter: BaseConverter,
    /// `-(product of the dropped)^-1` modulo each remaining prime, as a residue.
    pub(crate) negative_inverse: Vec<f64>,
}

/// The ring context; shared by everything that lives in it.
pub struct Ring {
    spec: RingSpec,
    moduli: Vec<Modulus>,
    plans: Vec<NttPlan>,
    q_len: usize,
    /// Primes of Q in a ciphertext at each level.
    level_limbs: Vec<usize>,
    digits: Vec<Range<usize>>,
    /// By digit, by number of its primes present - 1.
    digit_converters: Vec<Vec<BaseConverter>>,
    mod_down: Vec<Division>,
    rescale: Vec<Option<Division>>,
    mod_down_rescale: Vec<Option<Division>>,
    encrypt_down: Vec<Division>,
    p_mod_q: Vec<f64>,
    automorphisms: Mutex<HashMap<u64, Arc<GaloisPermutation>>>,
    pub(crate) pool: Pool,
}

fn parameter(
    what: &'static str,
    got: impl ToString,
    expected: impl ToString,
    hint: &'static str,
) -> Error {
    Error::Parameter {
        what,
        got: got.to_string(),
        expected: expected.to_string(),
        hint,
    }
}

/// Errors of `math` at this border are errors of parameters.
pub(crate) fn from_math(error: impl std::fmt::Display) -> Error {
    parameter(
        "ring",
        error,
        "distinct NTT-friendly primes below 2^50",
        "use the parameters' builder",
    )
}

impl Ring {
    /// Validates a specification and precomputes everything that does not depend on keys.
    ///
    /// Security is not checked here: see [`Ring::check_security`].
    ///
    /// # Errors
    /// `Parameter`: degree, primes (range, primality, congruence, distinctness), empty chain, digits larger than P.
    pub fn new(spec: RingSpec) -> Result<Arc<Self>> {
        Self::with_backend(spec, Backend::try_detect().map_err(from_math)?)
    }

    /// As [`Ring::new`], on a given backend.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn with_backend(spec: RingSpec, backend: Backend) -> Result<Arc<Self>> {
        let n = spec.degree;
        if !n.is_power_of_two() || !(16..=1 << 17).contains(&n) {
            return Err(parameter(
                "degree",
                n,
                "a power of two from 2^4 to 2^17",
                "choose the next power of two",
            ));
        }
        if spec.groups.is_empty() || spec.groups.iter().any(Vec::is_empty) {
            return Err(parameter(
                "groups",
                "an empty level",
                "at least one prime in every level",
                "add primes",
            ));
        }
        if spec.special.is_empty() || spec.digit_len == 0 {
            return Err(parameter(
                "special",
                "no special prime or empty digits",
                "at least one special prime, digits of at least one prime",
                "key switching needs both",
            ));
        }
        let q: Vec<u64> = spec.groups.iter().flatten().copied().collect();
        let all: Vec<u64> = q.iter().chain(&spec.special).copied().collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|w| w[0] == w[1]) {
            return Err(parameter(
                "primes",
                "a prime twice",
                "distinct primes",
                "remove the duplicate",
            ));
        }
        if all.len() > 255 {
            return Err(parameter(
                "primes",
                all.len(),
                "at most 255 primes",
                "use larger primes or less depth",
            ));
        }
        let moduli: Vec<Modulus> = all
            .iter()
            .map(|&p| Modulus::new(p))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        let plans: Vec<NttPlan> = moduli
            .iter()
            .map(|&m| NttPlan::with_backend(n, m, backend))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;

        let q_len = q.len();
        let digits: Vec<Range<usize>> = (0..q_len)
            .step_by(spec.digit_len)
            .map(|s| s..(s + spec.digit_len).min(q_len))
            .collect();
        let log_p = log2_product(&spec.special);
        for d in &digits {
            let log_d = log2_product(&q[d.clone()]);
            if log_d + DIGIT_MARGIN_BITS > log_p {
                return Err(parameter(
                    "special",
                    format!("log2 P = {log_p:.1}"),
                    format!(
                        "at least {:.1}, {DIGIT_MARGIN_BITS} bits above the largest digit",
                        log_d + DIGIT_MARGIN_BITS
                    ),
                    "use more special primes or smaller digits",
                ));
            }
        }

        let special: Vec<usize> = (q_len..moduli.len()).collect();
        let convert = |from: &[usize], to: &[usize]| {
            let pick = |ids: &[usize]| ids.iter().map(|&i| moduli[i]).collect::<Vec<_>>();
            BaseConverter::with_backend(&pick(from), &pick(to), backend).map_err(from_math)
        };
        let division = |dropped: Vec<usize>, keep: usize| -> Result<Division> {
            let converter = convert(&dropped, &(0..keep).collect::<Vec<_>>())?;
            let negative_inverse = moduli[..keep]
                .iter()
                .map(|m| {
                    let product = dropped
                        .iter()
                        .fold(1, |acc, &i| m.mul(acc, moduli[i].value() % m.value()));
                    let inverse = m.inv(product).ok_or_else(|| {
                        parameter(
                            "primes",
                            "a repeated factor",
                            "distinct primes",
                            "remove the duplicate",
                        )
                    })?;
                    Ok(m.residue(m.neg(inverse)))
                })
                .collect::<Result<_>>()?;
            Ok(Division {
                dropped,
                keep,
                converter,
                negative_inverse,
            })
        };

        let mut level_limbs = Vec::new();
        let mut total = 0;
        for g in &spec.groups {
            total += g.len();
            level_limbs.push(total);
        }
        let everything: Vec<usize> = (0..moduli.len()).collect();
        let digit_converters = digits
            .iter()
            .map(|d| {
                (1..=d.len())
                    .map(|k| convert(&everything[d.start..d.start + k], &everything))
                    .collect()
            })
            .collect::<Result<_>>()?;
        let mut mod_down = Vec::new();
        let mut rescale = Vec::new();
        let mut mod_down_rescale = Vec::new();
        let mut encrypt_down = Vec::new();
        for (level, &limbs) in level_limbs.iter().enumerate() {
            mod_down.push(division(special.clone(), limbs)?);
            encrypt_down.push(division(vec![q_len], limbs)?);
            if level == 0 {
                rescale.push(None);
                mod_down_rescale.push(None);
            } else {
                let below = level_limbs[level - 1];
                let group: Vec<usize> = (below..limbs).collect();
                rescale.push(Some(division(group.clone(), below)?));
                mod_down_rescale.push(Some(division(
                    group.into_iter().chain(special.clone()).collect(),
                    below,
                )?));
            }
        }
        let p_mod_q = moduli[..q_len]
            .iter()
            .map(|m| {
                m.residue(
                    spec.special
                        .iter()
                        .fold(1, |acc, &p| m.mul(acc, p % m.value())),
                )
            })
            .collect();

        Ok(Arc::new(Self {
            moduli,
            plans,
            q_len,
            level_limbs,
            digits,
            digit_converters,
            mod_down,
            rescale,
            mod_down_rescale,
            encrypt_down,
            p_mod_q,
            automorphisms: Mutex::default(),
            pool: Pool::default(),
            spec,
        }))
    }

    /// Checks log2(QP), the largest modulus under which any key is published, against the table.
    ///
    /// # Errors
    /// `Parameter`, naming the degree that would do.
    pub fn check_security(&self, level: SecurityLevel) -> Result<()> {
        cipherblas_scheme::security::check(level, self.spec.degree, self.log2_qp())
    }

    /// What the ring was made from.
    pub fn spec(&self) -> &RingSpec {
        &self.spec
    }
    /// Ring degree N.
    pub fn degree(&self) -> usize {
        self.spec.degree
    }
    /// The highest level: number of groups - 1.
    pub fn max_level(&self) -> usize {
        self.level_limbs.len() - 1
    }
    /// Number of primes of Q.
    pub fn q_len(&self) -> usize {
        self.q_len
    }
    /// Number of special primes.
    pub fn p_len(&self) -> usize {
        self.moduli.len() - self.q_len
    }
    /// log2 of the product of all primes.
    pub fn log2_qp(&self) -> f64 {
        log2_product(&self.moduli.iter().map(|m| m.value()).collect::<Vec<_>>())
    }
    /// log2 of the product of the special primes.
    pub fn log2_p(&self) -> f64 {
        log2_product(&self.spec.special)
    }
    /// log2 of the product of each digit's primes present at `level`.
    pub fn log2_digits(&self, level: usize) -> Vec<f64> {
        let limbs = self.level_limbs[level];
        self.digits_at(limbs)
            .map(|d| log2_product(&self.moduli[d].iter().map(|m| m.value()).collect::<Vec<_>>()))
            .collect()
    }
    /// All primes: those of Q bottom first, then the special ones.
    pub fn moduli(&self) -> &[Modulus] {
        &self.moduli
    }
    /// The transform modulo prime `index`.
    pub fn plan(&self, index: usize) -> &NttPlan {
        &self.plans[index]
    }
    /// The basis of a ciphertext at `level`.
    ///
    /// # Panics
    /// If `level` exceeds [`Ring::max_level`].
    pub fn basis(&self, level: usize) -> Basis {
        Basis {
            q: self.level_limbs[level],
            p: 0,
        }
    }
    /// The basis of all primes.
    pub fn full_basis(&self) -> Basis {
        Basis {
            q: self.q_len,
            p: self.p_len(),
        }
    }
    /// Index of limb `k` of `basis` among [`Ring::moduli`].
    pub fn index(&self, basis: Basis, k: usize) -> usize {
        if k < basis.q {
            k
        } else {
            self.q_len + k - basis.q
        }
    }
    /// The product of the special primes, as a residue modulo each prime of Q.
    pub fn p_mod_q(&self) -> &[f64] {
        &self.p_mod_q
    }
    /// Digits of a key-switching key.
    pub fn digit_count(&self) -> usize {
        self.digits.len()
    }
    pub(crate) fn digit(&self, d: usize) -> Range<usize> {
        self.digits[d].clone()
    }
    /// The digits present among the first `limbs` primes.
    pub(crate) fn digits_at(&self, limbs: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        self.digits
            .iter()
            .filter(move |d| d.start < limbs)
            .map(move |d| d.start..d.end.min(limbs))
    }
    pub(crate) fn digit_converter(&self, digit: usize, present: usize) -> &BaseConverter {
        &self.digit_converters[digit][present - 1]
    }
    pub(crate) fn mod_down(&self, level: usize) -> &Division {
        &self.mod_down[level]
    }
    pub(crate) fn encrypt_down(&self, level: usize) -> &Division {
        &self.encrypt_down[level]
    }
    pub(crate) fn rescale(&self, level: usize) -> Option<&Division> {
        self.rescale[level].as_ref()
    }
    pub(crate) fn mod_down_rescale(&self, level: usize) -> Option<&Division> {
        self.mod_down_rescale[level].as_ref()
    }
    /// The level whose ciphertexts have `limbs` primes.
    pub(crate) fn level_of(&self, limbs: usize) -> usize {
        self.level_limbs
            .binary_search(&limbs)
            .expect("limb counts come from a level")
    }

    /// A buffer of `len` numbers with unspecified contents (never a secret's), which is used again when it is dropped. It is
    /// not zeroized: nothing secret belongs in it.
    pub fn scratch(&self, len: usize) -> Scratch<'_> {
        self.pool.scratch(len)
    }

    /// The slot permutation of X -> X^g, computed once.
    ///
    /// # Errors
    /// `Parameter` if `g` is even or not below 2N.
    pub fn automorphism(&self, g: u64) -> Result<Arc<GaloisPermutation>> {
        let mut cache = self.automorphisms.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = cache.get(&g) {
            return Ok(found.clone());
        }
        let made = Arc::new(GaloisPermutation::new(self.spec.degree, g).map_err(from_math)?);
        cache.insert(g, made.clone());
        Ok(made)
    }

    /// The Galois element 5^step mod 2N that rotates the slots left by `step`.
    pub fn rotation_element(&self, step: i64) -> u64 {
        let order = self.spec.degree as i64 / 2;
        let two_n = 2 * self.spec.degree as u64;
        let mut exponent = step.rem_euclid(order) as u64;
        let (mut base, mut result) = (5u64 % two_n, 1u64);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * base % two_n;
            }
            base = base * base % two_n;
            exponent >>= 1;
        }
        result
    }
    /// The Galois element of complex conjugation: 2N - 1.
    pub fn conjugation_element(&self) -> u64 {
        2 * self.spec.degree as u64 - 1
    }
    /// The inverse of a Galois element modulo 2N.
    pub fn inverse_element(&self, g: u64) -> u64 {
        let mask = 2 * self.spec.degree as u64 - 1;
        // Newton's iteration doubles the correct low bits; 2N is at most 2^18.
        let mut x = 1u64;
        for _ in 0..6 {
            x = x.wrapping_mul(2u64.wrapping_sub(g.wrapping_mul(x)));
        }
        x & mask
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("degree", &self.spec.degree)
            .field("levels", &self.level_limbs.len())
            .field("primes", &self.moduli.len())
            .finish()
    }
}
