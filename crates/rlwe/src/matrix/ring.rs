//! The ring of encrypted matrices: an ordinary ring for keys and changes of format, and for each level a product of narrow
//! primes that blocks are held modulo.
//!
//! A block at level `l` is held modulo `G_l`, the product of the first `L_l` primes of [`narrow::PRIMES`]. Products go from
//! `G_l` to `Q_{l-1}`, the modulus of level `l - 1` of the ordinary ring, where keys work, and back to `G_{l-1}`. So the
//! ordinary ring has one level less than there are levels of blocks: the top one is narrow only.

use super::parameter_error;
use crate::chain::{ChainShape, PrimeSource};
use crate::ring::{Ring, RingSpec, from_math};
use cipherblas_math::Backend;
use cipherblas_math::narrow::{self, Between, Prime, Rule, ToNarrow, ToWide};
use cipherblas_scheme::security::{self, SecurityLevel, log2_product};
use cipherblas_scheme::{Error, Result};
use std::sync::{Arc, Mutex};

/// What a ring of encrypted matrices is made of; validated by [`MatrixRing::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixSpec {
    /// The ordinary ring: degree N, the primes of levels 0 to D - 1, special primes.
    pub ring: RingSpec,
    /// Narrow primes of levels 0 to D, not descending.
    pub narrow: Vec<usize>,
    /// The plaintext modulus t, if phases are to keep their residue modulo t.
    pub plaintext: Option<u64>,
}

/// Sizes, in bits, from which a specification is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatrixShape {
    /// Ring degree N.
    pub degree: usize,
    /// Products in a row: D.
    pub depth: usize,
    /// Bits of the modulus of fresh blocks, at the top.
    pub top_bits: f64,
    /// Bits of `Q_0`.
    pub base_bits: f64,
    /// Bits of each further level of Q.
    pub level_bits: f64,
    /// Bits by which the special modulus exceeds the largest digit.
    pub margin_bits: f64,
    /// The plaintext modulus t, if phases are to keep their residue modulo t.
    pub plaintext: Option<u64>,
}

impl MatrixShape {
    /// The primes: for each level below the top as many narrow ones as fit in its Q.
    ///
    /// # Errors
    /// `Parameter`: no depth, sizes out of range, not enough primes.
    pub fn spec(&self) -> Result<MatrixSpec> {
        if self.depth == 0 {
            return Err(parameter_error(
                "depth",
                0,
                "at least 1",
                "a product takes one level",
            ));
        }
        let chain = ChainShape {
            degree: self.degree,
            depth: self.depth - 1,
            level_bits: self.level_bits,
            base_bits: self.base_bits,
            digit_len: 1,
            margin_bits: self.margin_bits,
        };
        let bits = [
            self.top_bits,
            self.base_bits,
            self.level_bits,
            self.margin_bits,
        ];
        if !bits.iter().all(|b| (1.0..=10_000.0).contains(b)) {
            return Err(parameter_error(
                "bits of a modulus",
                format!("{bits:?}"),
                "1 to 10000 each",
                "use the scheme's builder",
            ));
        }
        let mut primes = PrimeSource::new(self.degree, &[]);
        let mut groups = vec![primes.group(self.base_bits.exp2(), chain.base_primes())?];
        for _ in 1..self.depth {
            groups.push(primes.group(self.level_bits.exp2(), chain.level_primes())?);
        }
        let mut narrow = Vec::with_capacity(self.depth + 1);
        let mut q = Vec::new();
        for group in &groups {
            q.extend_from_slice(group);
            let held =
                (1..=narrow::PRIMES.len()).take_while(|&l| log2_narrow(l) <= log2_product(&q));
            narrow.push(held.last().unwrap_or(0));
        }
        let basis = narrow::Basis::with_bits(self.top_bits).map_err(from_math)?;
        narrow.push(basis.len());
        let ring = primes.finish(&chain, groups)?.ok_or_else(|| {
            parameter_error(
                "special primes",
                "primes below 2^50",
                "room for the largest digit",
                "use smaller levels",
            )
        })?;
        Ok(MatrixSpec {
            ring,
            narrow,
            plaintext: self.plaintext,
        })
    }
}

/// log2 of the product of the first `count` narrow primes.
fn log2_narrow(count: usize) -> f64 {
    narrow::PRIMES[..count]
        .iter()
        .map(|&p| f64::from(p).log2())
        .sum()
}

/// The same from the exact product: what limits are compared with.
fn log2_narrow_exact(count: usize) -> f64 {
    let primes: Vec<u64> = narrow::PRIMES[..count].iter().map(|&p| p as u64).collect();
    log2_product(&primes)
}

/// The ring context of encrypted matrices; shared by every block.
pub struct MatrixRing {
    spec: MatrixSpec,
    ring: Arc<Ring>,
    primes: Vec<Prime>,
    /// The prime of the ordinary ring modulo which products of narrow residues with a secret are exact.
    carrier: usize,
    steps: Vec<Step>,
    /// From Q of the top and the first special prime to `G_level`.
    public_down: Vec<ToNarrow>,
    /// Memory for products, used again: fresh pages of it cost as much as a tenth of a product.
    residues: Mutex<Vec<i16>>,
}

/// Bytes of residues that are kept for the next product; larger buffers are freed.
const RETAINED_BYTES: usize = 256 << 20;

/// The changes of modulus between a level and the one below. With a plaintext modulus t, phases are multiplied by 1/t modulo
/// the source, which puts what they are modulo t into their upper part, and by t modulo the target.
struct Step {
    /// `G_{l+1}` to `Q_l`.
    to_wide: ToWide,
    /// `Q_l` to `G_l`.
    to_narrow: ToNarrow,
    /// `G_{l+1}` to `G_l`.
    lower: Between,
}

impl MatrixRing {
    /// Validates a specification. Security is not checked here: see [`MatrixRing::check_security`].
    ///
    /// # Errors
    /// `Parameter`: the ordinary ring's, numbers of narrow primes that do not fit the levels (none, descending, a product
    /// above that of the level's Q), a plaintext modulus that is not coprime to all primes or not in `2..2^62`, no prime
    /// wide enough for products with the secret.
    pub fn new(spec: MatrixSpec) -> Result<Arc<Self>> {
        let ring = Ring::new(spec.ring.clone())?;
        let levels = spec.ring.groups.len() + 1;
        if spec.narrow.len() != levels {
            return Err(parameter_error(
                "narrow primes",
                format!("{} levels", spec.narrow.len()),
                format!("{levels} levels, one more than Q has"),
                "use the scheme's builder",
            ));
        }
        let bases: Vec<narrow::Basis> = spec
            .narrow
            .iter()
            .map(|&count| narrow::Basis::largest(count).map_err(from_math))
            .collect::<Result<_>>()?;
        if spec.narrow.windows(2).any(|w| w[0] > w[1]) {
            return Err(parameter_error(
                "narrow primes",
                format!("{:?}", spec.narrow),
                "numbers that do not descend from the bottom to the top",
                "use the scheme's builder",
            ));
        }
        let mut log_q = 0.0;
        for (level, group) in spec.ring.groups.iter().enumerate() {
            log_q += log2_product(group);
            let log_g = log2_narrow_exact(spec.narrow[level]);
            if log_g > log_q {
                return Err(parameter_error(
                    "narrow primes",
                    format!("2^{log_g:.1} at level {level}"),
                    format!("at most the level's Q, 2^{log_q:.1}"),
                    "use fewer narrow primes",
                ));
            }
        }
        let primes = bases[levels - 1].primes().to_vec();
        if let Some(t) = spec.plaintext {
            let all = primes.iter().map(|p| p.value() as u64);
            let all = all.chain(ring.moduli().iter().map(|m| m.value()));
            let common = all.clone().find(|p| t % p == 0);
            if !(2..1 << 62).contains(&t) || common.is_some() {
                return Err(parameter_error(
                    "plaintext modulus",
                    t,
                    "an integer from 2 to 2^62 that no prime of the ring divides",
                    "take a power of two",
                ));
            }
        }
        let widest = ring.moduli().iter().map(|m| m.value()).enumerate();
        let (carrier, widest) = widest.max_by_key(|&(_, q)| q).unwrap_or((0, 0));
        let needed = 2 * u64::from(narrow::MAX_PRIME) * ring.degree() as u64;
        if widest <= needed {
            return Err(parameter_error(
                "primes",
                format!("the largest is {widest}"),
                format!("one above {needed}, which holds products with the secret"),
                "use larger primes",
            ));
        }
        let backend = Backend::try_detect().map_err(from_math)?;
        let t = spec.plaintext.unwrap_or(1);
        let times = |p: u64| t % p;
        let over = |p: u64| inverse_mod(t % p, p);
        let steps = (0..levels - 1)
            .map(|l| {
                let q = &ring.moduli()[..ring.basis(l).q];
                let (above, own) = (&bases[l + 1], &bases[l]);
                let (rule, one) = (Rule::Scaled, |_| 1);
                Ok(Step {
                    to_wide: ToWide::with_factors(rule, above, q, over, one, backend)?,
                    to_narrow: ToNarrow::with_factors(rule, q, own, one, times, backend)?,
                    lower: Between::with_factors(rule, above, own, over, times, backend),
                })
            })
            .collect::<Result<_, cipherblas_math::MathError>>()
            .map_err(from_math)?;
        let all = &ring.moduli()[..=ring.q_len()];
        let public_down = bases
            .iter()
            .map(|basis| ToNarrow::new(Rule::Scaled, all, basis))
            .collect::<Result<_, _>>()
            .map_err(from_math)?;
        Ok(Arc::new(Self {
            spec,
            ring,
            primes,
            carrier,
            steps,
            public_down,
            residues: Mutex::default(),
        }))
    }

    /// Checks the largest modulus under which anything is published, `max(log2 QP, log2 G_D)`, against the table.
    ///
    /// # Errors
    /// `Parameter`, naming the degree that would do.
    pub fn check_security(&self, level: SecurityLevel) -> Result<()> {
        let own = log2_narrow_exact(self.narrow_len(self.max_level()));
        let largest = self.ring.log2_qp().max(own);
        security::check(level, self.degree(), largest)
    }

    /// What it was made from.
    pub fn spec(&self) -> &MatrixSpec {
        &self.spec
    }
    /// The ordinary ring, to which the keys belong.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
    /// Ring degree N: the length of the longest line.
    pub fn degree(&self) -> usize {
        self.spec.ring.degree
    }
    /// The level of fresh blocks: D.
    pub fn max_level(&self) -> usize {
        self.spec.narrow.len() - 1
    }
    /// Number of narrow primes at `level`.
    ///
    /// # Panics
    /// If `level` exceeds [`max_level`](Self::max_level).
    pub fn narrow_len(&self, level: usize) -> usize {
        self.spec.narrow[level]
    }
    /// log2 of `G_level`.
    ///
    /// # Panics
    /// As [`narrow_len`](Self::narrow_len).
    pub fn log2_g(&self, level: usize) -> f64 {
        log2_narrow(self.narrow_len(level))
    }
    /// log2 of `Q_level`, of the ordinary ring.
    ///
    /// # Panics
    /// If `level` is not below [`max_level`](Self::max_level).
    pub fn log2_q(&self, level: usize) -> f64 {
        self.spec.ring.groups[..=level]
            .iter()
            .map(|g| log2_product(g))
            .sum()
    }
    /// The plaintext modulus.
    pub fn plaintext(&self) -> Option<u64> {
        self.spec.plaintext
    }
    /// With a plaintext modulus t: a step from `level` to the level below, product or not, multiplies phases modulo t by
    /// `G_{level-1} / G_level`, the number returned (in `0..t`). Without one, or at level 0: 1.
    pub fn unit(&self, level: usize) -> u64 {
        let Some(t) = self.plaintext().filter(|_| level > 0) else {
            return 1;
        };
        let dropped = &self.primes[self.narrow_len(level - 1)..self.narrow_len(level)];
        dropped.iter().fold(1 % t, |acc, p| {
            mul_mod(acc, inverse_mod(p.value() as u64 % t, t), t)
        })
    }

    pub(crate) fn prime(&self, k: usize) -> Prime {
        self.primes[k]
    }
    pub(crate) fn primes_at(&self, level: usize) -> &[Prime] {
        &self.primes[..self.narrow_len(level)]
    }
    /// From `G_level` to Q of the level below; `level` is not 0.
    pub(crate) fn to_wide(&self, level: usize) -> &ToWide {
        &self.steps[level - 1].to_wide
    }
    /// From `Q_level` to `G_level`.
    pub(crate) fn to_narrow(&self, level: usize) -> &ToNarrow {
        &self.steps[level].to_narrow
    }
    /// From `G_level` to that of the level below; `level` is not 0.
    pub(crate) fn lower(&self, level: usize) -> &Between {
        &self.steps[level - 1].lower
    }
    /// Residues of unspecified contents and number, never a secret's: those of the last product, or none.
    pub(crate) fn take_residues(&self) -> Vec<i16> {
        self.residues
            .lock()
            .map_or_else(|_| Vec::new(), |mut kept| std::mem::take(&mut kept))
    }
    /// Keeps residues for the next product.
    pub(crate) fn give_residues(&self, residues: Vec<i16>) {
        if residues.len() * size_of::<i16>() <= RETAINED_BYTES
            && let Ok(mut kept) = self.residues.lock()
            && kept.len() < residues.len()
        {
            *kept = residues;
        }
    }
    pub(crate) fn public_down(&self, level: usize) -> &ToNarrow {
        &self.public_down[level]
    }
    pub(crate) fn carrier(&self) -> usize {
        self.carrier
    }

    pub(crate) fn check_level(&self, operation: &'static str, level: usize) -> Result<()> {
        if level > self.max_level() {
            return Err(Error::Depth {
                operation,
                needed: level,
                left: self.max_level(),
            });
        }
        Ok(())
    }
}

fn mul_mod(a: u64, b: u64, t: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(t)) as u64
}

/// The inverse modulo `t` of an `a` that is coprime to it, by Euclid's algorithm.
pub(crate) fn inverse_mod(a: u64, t: u64) -> u64 {
    let (mut r, mut s) = ((i128::from(t), i128::from(a)), (0i128, 1i128));
    while r.1 != 0 {
        let q = r.0 / r.1;
        r = (r.1, r.0 - q * r.1);
        s = (s.1, s.0 - q * s.1);
    }
    debug_assert!(r.0 == 1 || t == 1, "coprime");
    s.0.rem_euclid(i128::from(t)) as u64
}

impl std::fmt::Debug for MatrixRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatrixRing")
            .field("degree", &self.degree())
            .field("narrow", &self.spec.narrow)
            .field("plaintext", &self.plaintext())
            .finish_non_exhaustive()
    }
}
