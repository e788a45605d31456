//! Parameters from the job: depth, precision, range, security; checked against the table for every key.

use crate::chain;
use crate::noise::Noise;
use crate::share;
use cipherblas_math::NttPlan;
use cipherblas_rlwe::chain::{ChainShape, PRIME_BITS, log2_qp};
use cipherblas_rlwe::ring::DIGIT_MARGIN_BITS;
use cipherblas_rlwe::{Ring, RingSpec};
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::wire::ParameterId;
use cipherblas_scheme::{Error, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Smallest and largest ring degree, as powers of two.
const LOG_DEGREES: std::ops::RangeInclusive<u32> = 12..=17;
/// Room above the largest value in the base modulus: sign, and half a bit for primes that are not powers of two.
const BASE_MARGIN_BITS: f64 = 1.5;
/// More room in the base modulus, so that results beyond the range are noticed: for certain up to `2^8` times its end, and
/// further out, where a coefficient wraps around to a uniform place, all but once in some 300 times.
const DETECTION_BITS: std::ops::RangeInclusive<u32> = 1..=8;
/// What that room may cost in key switching. It never costs a degree.
const DETECTION_COST: f64 = 1.3;
/// Doubles carry 53 bits; an encoding cannot be more precise than this.
const MAX_PRECISION_BITS: u32 = 44;
const MAX_INTEGER_BITS: u32 = 40;

/// CKKS parameters: immutable, validated, cheap to clone.
///
/// ```
/// use cipherblas_ckks::Params;
/// let params = Params::builder().depth(6).precision_bits(25).build()?;
/// assert!(params.slots() >= 4096);
/// println!("{params}");
/// # Ok::<(), cipherblas_ckks::Error>(())
/// ```
#[derive(Clone)]
pub struct Params {
    inner: Arc<Inner>,
}

struct Inner {
    ring: Arc<Ring>,
    scales: Vec<f64>,
    precision_bits: u32,
    integer_bits: u32,
    security: Option<SecurityLevel>,
    sharing_queries: u32,
    noise: Noise,
    id: ParameterId,
    small_plans: Mutex<HashMap<(usize, usize), NttPlan>>,
}

/// What to build [`Params`] from; see [`Params::builder`].
#[derive(Clone, Debug)]
pub struct ParamsBuilder {
    depth: usize,
    precision_bits: u32,
    integer_bits: u32,
    security: Option<SecurityLevel>,
    slots: usize,
    degree: Option<usize>,
    digit_len: Option<usize>,
    sharing_queries: u32,
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

impl ParamsBuilder {
    /// Multiplications one after another, 1 to 60. Default 1.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    /// The product of two fresh values in [-1, 1] is right to `2^-bits`, by bound. 8 to 44, default 25.
    pub fn precision_bits(mut self, bits: u32) -> Self {
        self.precision_bits = bits;
        self
    }
    /// Results are below `2^bits` in absolute value. Decryption refuses those beyond, for certain as far as
    /// [`Params::capacity`]; further out values wrap around, and a coefficient passes for a valid one with probability
    /// `1.25 * 2^bits / capacity`. 0 to 40, default 10.
    pub fn integer_bits(mut self, bits: u32) -> Self {
        self.integer_bits = bits;
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
    /// Exactly this ring degree, if it is secure; default: the smallest that is.
    pub fn degree(mut self, degree: usize) -> Self {
        self.degree = Some(degree);
        self
    }
    /// Primes in a key-switching digit; default: the cheapest that the security level leaves room for.
    pub fn digit_len(mut self, primes: usize) -> Self {
        self.digit_len = Some(primes);
        self
    }
    /// Makes room for the noise that [`decrypt_shared`](cipherblas_scheme::Decrypt::decrypt_shared) adds, for this many
    /// decryptions per key. Default 0: results cannot be shared.
    pub fn sharing(mut self, queries: u32) -> Self {
        self.sharing_queries = queries;
        self
    }
    /// No security at all: any degree from 2^4, for tests. The parameters say so wherever they are shown.
    pub fn insecure_degree(mut self, degree: usize) -> Self {
        self.security = None;
        self.degree = Some(degree);
        self
    }

    /// Chooses the smallest secure ring and the cheapest key switching for the job.
    ///
    /// # Errors
    /// `Parameter`: a setting out of range, or a job that no ring up to degree 2^17 can hold.
    pub fn build(self) -> Result<Params> {
        let range = |what, value: usize, low: usize, high: usize, hint| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(invalid(what, value, format!("{low} to {high}"), hint))
            }
        };
        range(
            "depth",
            self.depth,
            0,
            60,
            "split the computation, or decrypt and encrypt again in between",
        )?;
        range(
            "precision_bits",
            self.precision_bits as usize,
            8,
            MAX_PRECISION_BITS as usize,
            "doubles carry 53 bits",
        )?;
        range(
            "integer_bits",
            self.integer_bits as usize,
            0,
            MAX_INTEGER_BITS as usize,
            "scale the data",
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
        if let Some(n) = self.degree {
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
            if !n.is_power_of_two() {
                return Err(invalid(
                    "degree",
                    n,
                    "a power of two",
                    "use the next power of two",
                ));
            }
        }
        let mut best_effort = None;
        for log_n in LOG_DEGREES {
            let n = self.degree.unwrap_or(1 << log_n);
            if n / 2 >= self.slots {
                let limit = match self.security {
                    Some(level) => security::max_log_qp(level, n).map_or(0.0, f64::from),
                    None => f64::INFINITY,
                };
                if let Some((shape, spec)) = self.cheapest(n, limit)? {
                    return self.finish(&shape, spec);
                }
                best_effort = Some((n, limit));
            }
            if self.degree.is_some() {
                break;
            }
        }
        let (n, limit) = best_effort.unwrap_or((self.degree.unwrap_or(0), 0.0));
        let needed = self.shape(n.max(16), self.digit_len.unwrap_or(1)).log2_qp();
        Err(invalid(
            "depth and precision",
            format!(
                "depth {}, {} bits of precision, {} integer bits, {} slots: log2(QP) = {needed:.0}",
                self.depth, self.precision_bits, self.integer_bits, self.slots
            ),
            format!(
                "at most {limit:.0} bits at degree {n}, and as many primes of the size of the scale"
            ),
            "ask for less depth, precision or security, or for a larger degree",
        ))
    }

    fn shape(&self, n: usize, digit_len: usize) -> ChainShape {
        let noise = Noise::new(n);
        let flood = share::extra_bits(n, self.sharing_queries);
        // The key switch of a product is divided by the level's modulus too: its own noise does not count.
        let product = 2.0 * noise.fresh_public(2f64.powi(20)) + noise.rounding();
        let scale_bits = f64::from(self.precision_bits) + product.log2() + flood;
        let base_bits = scale_bits + f64::from(self.integer_bits) + BASE_MARGIN_BITS;
        ChainShape {
            degree: n,
            depth: self.depth,
            level_bits: scale_bits,
            base_bits,
            digit_len,
            margin_bits: DIGIT_MARGIN_BITS,
        }
    }

    /// The cheapest key switching whose primes, once found, stay within `limit` bits.
    fn cheapest(&self, n: usize, limit: f64) -> Result<Option<(ChainShape, RingSpec)>> {
        let most = self.shape(n, 1).q_primes();
        let lengths = match self.digit_len {
            Some(len) => len..=len,
            None => 1..=most,
        };
        let mut shapes: Vec<ChainShape> = lengths.map(|len| self.shape(n, len)).collect();
        shapes.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
        let fits = |shape: &ChainShape| shape.log2_qp() <= limit;
        let cheapest = shapes.iter().find(|s| fits(s)).map(ChainShape::cost);
        let roomier = DETECTION_BITS.rev().flat_map(|bits| {
            let mut shapes = shapes.clone();
            for shape in &mut shapes {
                shape.base_bits += f64::from(bits);
            }
            shapes.retain(|s| cheapest.is_some_and(|least| s.cost() <= DETECTION_COST * least));
            shapes.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
            shapes
        });
        for shape in roomier.chain(shapes.iter().copied()).filter(fits) {
            // At large degrees there may be too few primes of the size that is wanted.
            if let Some(spec) = chain::build(&shape)?
                && log2_qp(&spec) <= limit
                && chain::canonical_scales(&spec, shape.level_bits.exp2()).is_ok()
            {
                return Ok(Some((shape, spec)));
            }
        }
        Ok(None)
    }

    fn finish(&self, shape: &ChainShape, spec: RingSpec) -> Result<Params> {
        Params::assemble(
            spec,
            shape.level_bits.exp2(),
            self.precision_bits,
            self.integer_bits,
            self.security,
            self.sharing_queries,
        )
    }
}

impl Params {
    /// Validates and precomputes. The parts may come from the builder or over the wire.
    pub(crate) fn assemble(
        spec: RingSpec,
        top_scale: f64,
        precision_bits: u32,
        integer_bits: u32,
        security: Option<SecurityLevel>,
        sharing_queries: u32,
    ) -> Result<Self> {
        if precision_bits > MAX_PRECISION_BITS || integer_bits > MAX_INTEGER_BITS {
            return Err(invalid(
                "precision_bits and integer_bits",
                format!("{precision_bits} and {integer_bits}"),
                format!("at most {MAX_PRECISION_BITS} and {MAX_INTEGER_BITS}"),
                "doubles carry 53 bits",
            ));
        }
        if spec.groups.is_empty() {
            return Err(invalid(
                "levels",
                0,
                "at least one",
                "use parameters from the builder",
            ));
        }
        let scales = chain::canonical_scales(&spec, top_scale)?;
        // Before anything is precomputed: a message of a few bytes must not ask for a gigabyte of tables.
        if let Some(level) = security {
            security::check(level, spec.degree, log2_qp(&spec))?;
        }
        let largest = top_scale.log2() + f64::from(integer_bits);
        if largest > 98.0 || spec.groups[0].len() > 3 {
            return Err(invalid(
                "precision_bits, integer_bits and sharing",
                format!(
                    "values of up to {largest:.0} bits over {} base primes",
                    spec.groups[0].len()
                ),
                "at most 98 bits over 3 primes",
                "ask for less precision, a smaller range, or fewer shared results",
            ));
        }
        let ring = Ring::new(spec)?;
        if let Some(level) = security {
            ring.check_security(level)?;
        }
        let base: f64 = ring.spec().groups[0]
            .iter()
            .map(|&p| (p as f64).log2())
            .sum();
        if base < scales[0].log2() + f64::from(integer_bits) + 1.0 {
            return Err(invalid(
                "base modulus",
                format!("{base:.1} bits"),
                format!(
                    "at least {:.1}",
                    scales[0].log2() + f64::from(integer_bits) + 1.0
                ),
                "use parameters from the builder",
            ));
        }
        let mut bytes = Vec::new();
        let mut push = |x: u64| bytes.extend_from_slice(&x.to_le_bytes());
        push(ring.degree() as u64);
        push(ring.spec().digit_len as u64);
        for group in ring.spec().groups.iter().chain([&ring.spec().special]) {
            push(group.len() as u64);
            group.iter().copied().for_each(&mut push);
        }
        push(top_scale.to_bits());
        push(u64::from(precision_bits));
        push(u64::from(integer_bits));
        push(u64::from(sharing_queries));
        push(security.map_or(0, |s| u64::from(s.bits())));
        Ok(Self {
            inner: Arc::new(Inner {
                noise: Noise::new(ring.degree()),
                id: ParameterId::digest("cipherblas 2026 ckks parameters", &bytes),
                ring,
                scales,
                precision_bits,
                integer_bits,
                security,
                sharing_queries,
                small_plans: Mutex::default(),
            }),
        })
    }

    /// Starts from the defaults: depth 1, 25 bits of precision, values below 2^10, 128-bit security.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder {
            depth: 1,
            precision_bits: 25,
            integer_bits: 10,
            security: Some(SecurityLevel::Classical128),
            slots: 1,
            degree: None,
            digit_len: None,
            sharing_queries: 0,
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
    /// Up to this absolute value results decrypt to what they are, or are refused; beyond it they wrap around.
    pub fn capacity(&self) -> f64 {
        let primes = &self.ring().moduli()[..self.ring().basis(0).len()];
        let base: f64 = primes.iter().map(|p| p.value() as f64).product();
        base / (2.0 * self.scale(0))
    }
    /// The precision that was asked for.
    pub fn precision_bits(&self) -> u32 {
        self.inner.precision_bits
    }
    /// Values and results are below `2^integer_bits` in absolute value.
    pub fn integer_bits(&self) -> u32 {
        self.inner.integer_bits
    }
    /// The largest value, and the magnitude declared by default: `2^integer_bits`.
    pub fn max_value(&self) -> f64 {
        f64::from(self.inner.integer_bits).exp2()
    }
    /// The security level; `None` for parameters made with `insecure_degree`.
    pub fn security(&self) -> Option<SecurityLevel> {
        self.inner.security
    }
    /// Shared decryptions that each key affords.
    pub fn sharing_queries(&self) -> u32 {
        self.inner.sharing_queries
    }
    /// The canonical scale of a level. Computations never need it; analyses of noise do.
    ///
    /// # Panics
    /// If `level` exceeds the depth.
    pub fn scale(&self, level: usize) -> f64 {
        self.inner.scales[level]
    }
    /// Product of the primes that rescaling from `level` divides by.
    pub(crate) fn level_modulus(&self, level: usize) -> f64 {
        self.inner.ring.spec().groups[level]
            .iter()
            .map(|&p| p as f64)
            .product()
    }
    /// Error bounds of the ring.
    pub fn noise(&self) -> &Noise {
        &self.inner.noise
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
        2 * self.inner.ring.basis(depth.min(self.depth())).len() * self.degree() * size_of::<f64>()
    }
    /// Bytes of one evaluation key in memory.
    pub fn key_bytes(&self) -> usize {
        let ring = &self.inner.ring;
        2 * ring.digit_count() * ring.full_basis().len() * self.degree() * size_of::<f64>()
    }
    /// The transform of degree `n < N` modulo prime `index`, made once.
    pub(crate) fn small_plan(&self, index: usize, n: usize) -> Result<NttPlan> {
        let mut plans = self
            .inner
            .small_plans
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        if let Some(plan) = plans.get(&(index, n)) {
            return Ok(plan.clone());
        }
        let plan = NttPlan::new(n, self.inner.ring.moduli()[index]).map_err(|e| {
            invalid(
                "transform",
                e,
                "a power of two that divides the degree",
                "report this",
            )
        })?;
        plans.insert((index, n), plan.clone());
        Ok(plan)
    }
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
            "Params({}, degree {}, depth {})",
            self.id(),
            self.degree(),
            self.depth()
        )
    }
}

/// Ring degree, chain, key switching, security, sizes, what it affords.
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
            "CKKS, ring degree {} ({} slots)",
            self.degree(),
            self.slots()
        )?;
        writeln!(f, "  security       {security}")?;
        writeln!(
            f,
            "  depth          {}, scale 2^{:.1}, values below 2^{} (beyond 2^{:.1} they wrap around), precision 2^-{} per product",
            self.depth(),
            self.scale(self.depth()).log2(),
            self.integer_bits(),
            self.capacity().log2(),
            self.precision_bits()
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

const _: () = assert!(PRIME_BITS < 50.0);
