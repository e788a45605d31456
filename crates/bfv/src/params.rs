//! Parameters from the job: depth, size of the integers, security; checked against the table for every key.

use crate::chain::{self, Choice, MAX_MODULI};
use crate::crt::Crt;
use crate::encoder::Encoder;
use crate::multiply::Multiplier;
use crate::noise::{self, Noise};
use cipherblas_math::rns::MAX_SOURCES;
use cipherblas_rlwe::chain::log2_qp;
use cipherblas_rlwe::{Ring, RingSpec};
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::wire::ParameterId;
use cipherblas_scheme::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// Smallest and largest ring degree, as powers of two.
const LOG_DEGREES: std::ops::RangeInclusive<u32> = 12..=17;
const PLAINTEXT_BITS: std::ops::RangeInclusive<u32> = 2..=62;
const MAX_HEADROOM_BITS: u32 = 40;
const MAX_DEPTH: usize = 60;

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

/// What to build [`Params`] from; see [`Params::builder`].
#[derive(Clone, Debug)]
pub struct ParamsBuilder {
    depth: usize,
    plaintext_bits: u32,
    headroom_bits: u32,
    security: Option<SecurityLevel>,
    slots: usize,
    degree: Option<usize>,
    digit_len: Option<usize>,
    moduli: Option<usize>,
}

fn invalid(
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

fn range(
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

impl ParamsBuilder {
    /// Multiplications one after another, 0 to 60. Default 1.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    /// Values on the way and at the end are signed integers of at most `2^(bits - 1)` in absolute value: exact, and never
    /// wrapped around (operations whose result may be larger are refused). 2 to 62, default 32.
    pub fn plaintext_bits(mut self, bits: u32) -> Self {
        self.plaintext_bits = bits;
        self
    }
    /// Sums of up to `2^bits` terms fit anywhere, before products and after. 0 to 40, default 16. Each bit costs a bit of modulus
    /// for every level, and one more.
    pub fn headroom_bits(mut self, bits: u32) -> Self {
        self.headroom_bits = bits;
        self
    }
    /// Security level; default 128 bits, classical.
    pub fn security(mut self, level: SecurityLevel) -> Self {
        self.security = Some(level);
        self
    }
    /// At least this many slots. Default 1.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }
    /// Exactly this ring degree, if it is secure; default: the one with the least work for a product.
    pub fn degree(mut self, degree: usize) -> Self {
        self.degree = Some(degree);
        self
    }
    /// Primes in a key-switching digit; default: the cheapest that the security level leaves room for.
    pub fn digit_len(mut self, primes: usize) -> Self {
        self.digit_len = Some(primes);
        self
    }
    /// Exactly this many plaintext moduli, each of which costs as much as all else; default: the cheapest number.
    pub fn plaintext_moduli(mut self, count: usize) -> Self {
        self.moduli = Some(count);
        self
    }
    /// No security at all: any degree from 2^4, for tests. The parameters say so wherever they are shown.
    pub fn insecure_degree(mut self, degree: usize) -> Self {
        self.security = None;
        self.degree = Some(degree);
        self
    }

    fn check(&self) -> Result<()> {
        range(
            "depth",
            self.depth,
            0,
            MAX_DEPTH,
            "split the computation, or decrypt and encrypt again in between",
        )?;
        range(
            "plaintext_bits",
            self.plaintext_bits as usize,
            *PLAINTEXT_BITS.start() as usize,
            *PLAINTEXT_BITS.end() as usize,
            "larger integers can be split into parts",
        )?;
        range(
            "headroom_bits",
            self.headroom_bits as usize,
            0,
            MAX_HEADROOM_BITS as usize,
            "16 bits are sums of 65536 terms",
        )?;
        range(
            "slots",
            self.slots,
            1,
            1 << 16,
            "larger arrays are blocked over several ciphertexts",
        )?;
        range(
            "digit_len",
            self.digit_len.unwrap_or(1),
            1,
            255,
            "leave it out for the cheapest",
        )?;
        range(
            "plaintext_moduli",
            self.moduli.unwrap_or(1),
            1,
            MAX_MODULI,
            "leave it out for the cheapest",
        )?;
        let Some(n) = self.degree else {
            return Ok(());
        };
        let low = if self.security.is_some() {
            1 << LOG_DEGREES.start()
        } else {
            16
        };
        range(
            "degree",
            n,
            low,
            1 << LOG_DEGREES.end(),
            "use a power of two in this range",
        )?;
        if n.is_power_of_two() {
            return Ok(());
        }
        Err(invalid(
            "degree",
            n,
            "a power of two",
            "use the next power of two",
        ))
    }

    /// Chooses ring, plaintext moduli and key switching with the least estimated work for a product of two ciphertexts. That is
    /// nearly always the smallest secure ring; where it would need more plaintext moduli than the next one, it is the
    /// next one.
    ///
    /// # Errors
    /// `Parameter`: a setting out of range, or a job that no ring up to degree 2^17 can hold.
    pub fn build(self) -> Result<Params> {
        self.check()?;
        let degrees: Vec<usize> = match self.degree {
            Some(n) => vec![n],
            None => LOG_DEGREES.map(|log| 1 << log).collect(),
        };
        let limit_of = |n: usize| match self.security {
            Some(level) => security::max_log_qp(level, n).map_or(0.0, f64::from),
            None => f64::INFINITY,
        };
        let mut choices: Vec<Choice> = Vec::new();
        for &n in degrees.iter().filter(|&&n| n / 2 >= self.slots) {
            let fits = |c: &Choice| {
                c.shape.log2_qp() <= limit_of(n) && c.conversion_primes() <= MAX_SOURCES
            };
            choices.extend(self.choices(n).into_iter().filter(fits));
        }
        choices.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
        for choice in &choices {
            if let Some(spec) = choice.build()?
                && log2_qp(&spec) <= limit_of(spec.degree)
            {
                return Params::assemble(
                    spec,
                    choice.moduli.clone(),
                    self.plaintext_bits,
                    self.headroom_bits,
                    self.security,
                );
            }
        }
        Err(self.too_much(&degrees, limit_of))
    }

    fn too_much(&self, degrees: &[usize], limit_of: impl Fn(usize) -> f64) -> Error {
        let largest = degrees.last().copied().unwrap_or(0);
        if largest / 2 < self.slots {
            return invalid(
                "slots",
                self.slots,
                format!("at most {} at degree {largest}", largest / 2),
                "use a larger degree; larger arrays are blocked over several ciphertexts",
            );
        }
        let needed = self
            .choices(largest)
            .iter()
            .map(|c| c.shape.log2_qp())
            .fold(f64::INFINITY, f64::min);
        invalid(
            "depth and plaintext_bits",
            format!(
                "depth {}, {} bits of plaintext, {} bits of headroom, {} slots: log2(QP) = {needed:.0}",
                self.depth, self.plaintext_bits, self.headroom_bits, self.slots
            ),
            format!(
                "at most {:.0} bits at degree {largest}, by the security table, in conversions of at most {MAX_SOURCES} primes",
                limit_of(largest)
            ),
            "ask for less depth, smaller integers, less headroom or security, or for a larger degree",
        )
    }

    /// Every number of plaintext moduli and every length of digits at degree `n`.
    fn choices(&self, n: usize) -> Vec<Choice> {
        let counts = match self.moduli {
            Some(count) => count..=count,
            None => 1..=MAX_MODULI,
        };
        let mut choices = Vec::new();
        for count in counts {
            let Some(moduli) = chain::plaintext_moduli(n, self.plaintext_bits, count) else {
                continue;
            };
            let with = |len| Choice::new(n, self.depth, self.headroom_bits, len, moduli.clone());
            let lengths = match self.digit_len {
                Some(len) => len..=len,
                None => 1..=with(1).shape.q_primes(),
            };
            choices.extend(lengths.map(with));
        }
        choices
    }
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
        ParamsBuilder {
            depth: 1,
            plaintext_bits: 32,
            headroom_bits: 16,
            security: Some(SecurityLevel::Classical128),
            slots: 1,
            degree: None,
            digit_len: None,
            moduli: None,
        }
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
    /// Sums of `2^headroom_bits` terms fit anywhere.
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
    use cipherblas_rlwe::chain::PrimeSource;

    /// For every row of the table: special primes that end within a bit above it are refused, within a bit below it they are not.
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
