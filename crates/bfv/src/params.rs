//! Parameters from the job: depth, size of the integers, security; checked against the table for every key.

use crate::builder::ParamsBuilder;
use crate::chain::MAX_MODULI;
use crate::crt::Crt;
use crate::encoder::Encoder;
use crate::multiply::Multiplier;
use crate::noise::{self, Noise};
use cipherblas_rlwe::chain::log2_qp;
use cipherblas_rlwe::{Ring, RingSpec};
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::wire::ParameterId;
use cipherblas_scheme::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// Smallest and largest ring degree, as powers of two.
pub(crate) const LOG_DEGREES: std::ops::RangeInclusive<u32> = 12..=17;
pub(crate) const PLAINTEXT_BITS: std::ops::RangeInclusive<u32> = 2..=62;
pub(crate) const MAX_HEADROOM_BITS: u32 = 40;
pub(crate) const MAX_DEPTH: usize = 60;

/// BFV parameters: immutable, validated, cheap to clone.
///
/// ```
/// use cipherblas_bfv::Params;
/// let params = Params::builder().depth(2).plaintext_bits(40).build()?;
/// assert!(params.slots() >= 2048);
/// println!("{params}");
/// # Ok::<(), cipherblas_bfv::Error>(())
/// ```
#[derive(Clone)]
pub struct Params {
    inner: Arc<Inner>,
}

struct Inner {
    ring: Arc<Ring>,
    moduli: Vec<u64>,
    plaintext_bits: u32,
    headroom_bits: u32,
    security: Option<SecurityLevel>,
    noise: Noise,
    levels: Vec<Level>,
    encoders: Vec<Encoder>,
    multiplier: Multiplier,
    crt: Crt,
    id: ParameterId,
}

/// Noise at one level, rounded outward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// The modulus, rounded down and capped.
    pub(crate) modulus: f64,
    /// Product of the primes that switching from here divides by, rounded down; 1 at the bottom.
    pub(crate) group: f64,
    /// What decrypts.
    pub(crate) limit: f64,
    /// A key switch, without the rounding that ends it.
    pub(crate) key_switch: f64,
    /// What the halves of a product's second operand are off.
    pub(crate) operand: f64,
    /// What sums of `2^headroom` are made of.
    pub(crate) unit: f64,
}

pub(crate) fn invalid(
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

pub(crate) fn range(
    what: &'static str,
    value: usize,
    low: usize,
    high: usize,
    hint: &'static str,
) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(what, value, format!("{low} to {high}"), hint))
}

impl Params {
    /// Validates and precomputes. The parts may come from the builder or over the wire.
    pub(crate) fn assemble(
        spec: RingSpec,
        moduli: Vec<u64>,
        plaintext_bits: u32,
        headroom_bits: u32,
        security: Option<SecurityLevel>,
    ) -> Result<Self> {
        if !PLAINTEXT_BITS.contains(&plaintext_bits) || headroom_bits > MAX_HEADROOM_BITS {
            return Err(invalid(
                "plaintext_bits and headroom_bits",
                format!("{plaintext_bits} and {headroom_bits}"),
                format!(
                    "{} to {} and at most {MAX_HEADROOM_BITS}",
                    PLAINTEXT_BITS.start(),
                    PLAINTEXT_BITS.end()
                ),
                "use parameters from the builder",
            ));
        }
        range(
            "levels",
            spec.groups.len(),
            1,
            MAX_DEPTH + 1,
            "use parameters from the builder",
        )?;
        range(
            "plaintext moduli",
            moduli.len(),
            1,
            MAX_MODULI,
            "use parameters from the builder",
        )?;
        // Before anything is precomputed: a message of a few bytes must not ask for a gigabyte of tables.
        if let Some(level) = security {
            security::check(level, spec.degree, log2_qp(&spec))?;
        }
        let crt = Crt::new(&moduli)?;
        if crt.max_value() >> (plaintext_bits - 1) == 0 {
            return Err(invalid(
                "plaintext moduli",
                format!("a product of {}", crt.product()),
                format!("at least 2^{plaintext_bits}"),
                "use parameters from the builder",
            ));
        }
        let ring = Ring::new(spec)?;
        if let Some(level) = security {
            ring.check_security(level)?;
        }
        let encoders = moduli
            .iter()
            .map(|&t| Encoder::new(&ring, t))
            .collect::<Result<Vec<_>>>()?;
        let multiplier = Multiplier::new(&ring, &moduli)?;
        let noise = Noise::new(ring.degree(), moduli.iter().copied().max().unwrap_or(2));
        let levels = levels(&ring, &noise, headroom_bits, &multiplier)?;
        let mut bytes = Vec::new();
        let mut push = |x: u64| bytes.extend_from_slice(&x.to_le_bytes());
        push(ring.degree() as u64);
        push(ring.spec().digit_len as u64);
        let groups = ring.spec().groups.iter();
        for group in groups.chain([&ring.spec().special, &moduli]) {
            push(group.len() as u64);
            group.iter().copied().for_each(&mut push);
        }
        push(u64::from(plaintext_bits));
        push(u64::from(headroom_bits));
        push(security.map_or(0, |s| u64::from(s.bits())));
        Ok(Self {
            inner: Arc::new(Inner {
                id: ParameterId::digest("cipherblas 2026 bfv parameters", &bytes),
                ring,
                moduli,
                plaintext_bits,
                headroom_bits,
                security,
                noise,
                levels,
                encoders,
                multiplier,
                crt,
            }),
        })
    }

    /// Starts from the defaults: depth 1, integers up to 2^31, sums of 2^16 terms, 128-bit security.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder::default()
    }
    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.inner.ring
    }
    /// Ring degree N.
    pub fn degree(&self) -> usize {
        self.inner.ring.degree()
    }
    /// Values in a ciphertext: N/2.
    pub fn slots(&self) -> usize {
        self.degree() / 2
    }
    /// Multiplications a fresh ciphertext can take.
    pub fn depth(&self) -> usize {
        self.inner.ring.max_level()
    }
    /// The size of integers that was asked for.
    pub fn plaintext_bits(&self) -> u32 {
        self.inner.plaintext_bits
    }
    /// Sums of `2^headroom_bits` terms fit: see [`ParamsBuilder::headroom_bits`].
    pub fn headroom_bits(&self) -> u32 {
        self.inner.headroom_bits
    }
    /// `2^(plaintext_bits - 1)`: no value may be larger in absolute value.
    pub fn max_value(&self) -> f64 {
        f64::from(self.inner.plaintext_bits - 1).exp2()
    }
    /// The plaintext moduli. Each has its own pair of halves in a ciphertext.
    pub fn plaintext_moduli(&self) -> &[u64] {
        &self.inner.moduli
    }
    /// The security level; `None` for parameters made with `insecure_degree`.
    pub fn security(&self) -> Option<SecurityLevel> {
        self.inner.security
    }
    /// Noise bounds of the ring.
    pub fn noise(&self) -> &Noise {
        &self.inner.noise
    }
    /// The noise that decrypts at a level, on every coefficient.
    ///
    /// # Panics
    /// If `level` exceeds the depth.
    pub fn noise_limit(&self, level: usize) -> f64 {
        self.inner.levels[level].limit
    }
    /// The noise of a product at a level after a rotation, of which `2^headroom_bits` can be added up.
    ///
    /// # Panics
    /// If `level` exceeds the depth.
    pub fn noise_unit(&self, level: usize) -> f64 {
        self.inner.levels[level].unit
    }
    pub(crate) fn level(&self, level: usize) -> &Level {
        &self.inner.levels[level]
    }
    pub(crate) fn encoders(&self) -> &[Encoder] {
        &self.inner.encoders
    }
    pub(crate) fn multiplier(&self) -> &Multiplier {
        &self.inner.multiplier
    }
    pub(crate) fn crt(&self) -> &Crt {
        &self.inner.crt
    }
    /// Hash of everything that defines the parameters.
    pub fn id(&self) -> ParameterId {
        self.inner.id
    }
    /// log2(QP), the size that the security table limits.
    pub fn log2_qp(&self) -> f64 {
        self.inner.ring.log2_qp()
    }
    /// Bytes of a ciphertext in memory at `depth`.
    pub fn ciphertext_bytes(&self, depth: usize) -> usize {
        let limbs = self.inner.ring.basis(depth.min(self.depth())).len();
        2 * self.inner.moduli.len() * limbs * self.degree() * size_of::<f64>()
    }
    /// Bytes of one evaluation key in memory.
    pub fn key_bytes(&self) -> usize {
        let ring = &self.inner.ring;
        2 * ring.digit_count() * ring.full_basis().len() * self.degree() * size_of::<f64>()
    }
}

/// Runs the noise of the levels on the primes as they are.
fn levels(
    ring: &Ring,
    noise: &Noise,
    headroom_bits: u32,
    multiplier: &Multiplier,
) -> Result<Vec<Level>> {
    let omega = |level| multiplier.operand_error(level);
    let units = noise.levels(ring, headroom_bits, omega).ok_or_else(|| {
        invalid(
            "prime chain",
            format!("levels {:?}", ring.spec().groups),
            format!("room for sums of 2^{headroom_bits} terms at every level"),
            "use parameters from the builder",
        )
    })?;
    Ok((0..=ring.max_level())
        .map(|level| {
            let groups = &ring.spec().groups;
            let primes: Vec<u64> = groups[..=level].iter().flatten().copied().collect();
            let modulus = noise::modulus_down(&primes);
            Level {
                modulus,
                group: if level == 0 {
                    1.0
                } else {
                    noise::modulus_down(&groups[level])
                },
                limit: noise.limit(modulus),
                key_switch: noise.key_switch(ring, level),
                operand: omega(level),
                unit: units[level],
            }
        })
        .collect())
}

impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.inner.id == other.inner.id
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Params(bfv, {}, degree {}, depth {})",
            self.id(),
            self.degree(),
            self.depth()
        )
    }
}

/// Ring degree, plaintext moduli, chain, key switching, security, sizes, what it affords.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = &self.inner.ring;
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let security = match self.inner.security {
            Some(level) => format!(
                "{} bits classical (log2 QP = {:.1} of at most {})",
                level.bits(),
                self.log2_qp(),
                security::max_log_qp(level, self.degree()).unwrap_or(0)
            ),
            None => format!("INSECURE, for tests only (log2 QP = {:.1})", self.log2_qp()),
        };
        writeln!(
            f,
            "BFV, ring degree {} ({} slots)",
            self.degree(),
            self.slots()
        )?;
        writeln!(f, "  security       {security}")?;
        writeln!(
            f,
            "  depth          {}, exact integers up to 2^{}, sums of up to 2^{} terms",
            self.depth(),
            self.plaintext_bits() - 1,
            self.headroom_bits()
        )?;
        writeln!(
            f,
            "  plaintexts     modulo {} prime(s): {:?}",
            self.inner.moduli.len(),
            self.inner.moduli
        )?;
        writeln!(
            f,
            "  primes         {} in the chain, {} special, all below 2^50; {} key-switching digit(s) of up to {}",
            ring.q_len(),
            ring.p_len(),
            ring.digit_count(),
            ring.spec().digit_len
        )?;
        write!(
            f,
            "  in memory      ciphertext {:.1} MiB, evaluation key {:.1} MiB",
            mib(self.ciphertext_bytes(self.depth())),
            mib(self.key_bytes())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{self, Choice};
    use cipherblas_rlwe::chain::PrimeSource;

    /// For every row of the table: special primes that end within a bit above it are refused, within a bit below it
    /// they are not.
    #[test]
    fn one_bit_above_the_table_is_refused() {
        let mut rows = 0;
        for level in SecurityLevel::ALL {
            for n in LOG_DEGREES.map(|log| 1 << log) {
                let limit = f64::from(security::max_log_qp(level, n).unwrap());
                let moduli = (1..=2)
                    .find_map(|count| chain::plaintext_moduli(n, 13, count))
                    .unwrap();
                let choice = Choice::new(n, 0, 0, 1, moduli.clone());
                let spec = choice.build().unwrap().unwrap();
                let q: Vec<u64> = spec.groups.iter().flatten().copied().collect();
                let with = |bits: f64| {
                    let bits = bits - security::log2_product(&q);
                    let used = [q.as_slice(), &moduli].concat();
                    let special = PrimeSource::new(n, &used)
                        .group(bits.exp2().min(f64::MAX), (bits / 49.5).ceil() as usize)
                        .unwrap();
                    RingSpec {
                        special,
                        ..spec.clone()
                    }
                };
                // Beyond the doubles' range the groups are not where they were asked for.
                if limit > 1000.0 {
                    continue;
                }
                let (inside, above) = (with(limit - 0.5), with(limit + 0.5));
                let build = |spec| Params::assemble(spec, moduli.clone(), 13, 0, Some(level));
                assert!(log2_qp(&above) > limit && log2_qp(&above) < limit + 1.0);
                match build(above) {
                    Err(Error::Parameter { what, expected, .. }) => {
                        assert_eq!(what, "modulus");
                        assert!(expected.contains(&format!("{limit}")), "{expected}");
                    }
                    other => panic!("{other:?} at {n}"),
                }
                assert!(log2_qp(&inside) <= limit && log2_qp(&inside) > limit - 1.0);
                // Elsewhere keys may be too noisy in so little room, or tables large.
                if level == SecurityLevel::Classical128 && n <= 1 << 13 {
                    assert!(build(inside).is_ok(), "{n}");
                }
                rows += 1;
            }
        }
        assert!(rows >= 12, "{rows}");
    }
}
