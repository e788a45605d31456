use super::bounds::Bounds;
use super::builder::ParamsBuilder;
use cipherblas_math::sample::ERROR_VARIANCE;
use cipherblas_rlwe::keys::SUP_FACTOR;
use cipherblas_rlwe::matrix::coded::{self, Encryptor, Product, Term};
use cipherblas_rlwe::matrix::{MatrixRing, noise};
use cipherblas_rlwe::{EvaluationKeys, matrix::MatrixSpec};
use cipherblas_scheme::matrix::padded_len;
use cipherblas_scheme::security::SecurityLevel;
use cipherblas_scheme::wire::{Header, KeyId, Kind, ParameterId, SchemeId, Writer};
use cipherblas_scheme::{Error, MatrixKeySet, Result};
use std::fmt;
use std::sync::Arc;

/// Bits of a modulus that values and errors leave free, as a part of it.
const SLACK: f64 = 1.0 - 1.0 / (1u64 << 20) as f64;

/// Parameters of encrypted real matrices: immutable, validated, cheap to clone.
///
/// ```
/// use cipherblas_ckks::matrix::Params;
/// let params = Params::builder().inner(1024).len(1024).precision_bits(20).build()?;
/// assert_eq!(params.degree(), 4096);
/// println!("{params}");
/// # Ok::<(), cipherblas_ckks::Error>(())
/// ```
#[derive(Clone)]
pub struct Params {
    parts: Arc<Parts>,
}

struct Parts {
    ring: Arc<MatrixRing>,
    /// By level.
    scales: Vec<f64>,
    /// By level: the largest value, error included.
    capacities: Vec<f64>,
    job: Job,
    id: ParameterId,
}

/// What parameters are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) precision_bits: u32,
    pub(super) inner: usize,
    pub(super) len: usize,
    pub(super) bound: f64,
    pub(super) encryptor: Encryptor,
    pub(super) security: Option<SecurityLevel>,
}

impl Params {
    /// Starts from the defaults: inner dimension and lines of 1024, depth 1, 20 bits of precision, values up to 1, blocks
    /// encrypted under the secret key, 128-bit security.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder::new()
    }

    /// Validates and precomputes; the scale is that of the top.
    pub(super) fn assemble(ring: Arc<MatrixRing>, scale: f64, job: Job) -> Result<Self> {
        let invalid = |what, got: String, expected: &str| {
            Err(Error::Parameter {
                what,
                got,
                expected: expected.into(),
                hint: "use parameters from the builder",
            })
        };
        if let Some(level) = job.security {
            ring.check_security(level)?;
        }
        if ring.plaintext().is_some() {
            return invalid("plaintext modulus", "one".into(), "none");
        }
        if !(job.bound > 0.0 && job.bound.is_finite()) || job.inner == 0 || job.len == 0 {
            return invalid(
                "bound, inner dimension and length",
                format!("{}, {} and {}", job.bound, job.inner, job.len),
                "positive numbers",
            );
        }
        let top = ring.max_level();
        let mut scales = vec![0.0; top + 1];
        scales[top] = scale;
        for level in (0..top).rev() {
            let ratio = (ring.log2_g(level) - ring.log2_g(level + 1)).exp2();
            scales[level] = scales[level + 1] * scales[level + 1] * ratio;
        }
        if !scales.iter().all(|s| (2.0..=2f64.powi(58)).contains(s)) {
            return invalid("scales", format!("{scales:?}"), "2 to 2^58 at every level");
        }
        let capacities = (0..=top)
            .map(|level| SLACK * (ring.log2_g(level) - 1.0).exp2() / scales[level])
            .collect();
        let mut writer = Writer::new();
        coded::write_spec(&mut writer, ring.spec());
        Self::write_job(&mut writer, scale, &job);
        Ok(Self {
            parts: Arc::new(Parts {
                ring,
                scales,
                capacities,
                job,
                id: ParameterId::digest(
                    "cipherblas 2026 ckks matrix parameters",
                    &writer.into_bytes(),
                ),
            }),
        })
    }

    fn write_job(writer: &mut Writer, scale: f64, job: &Job) {
        writer.f64(scale);
        writer.u32(job.precision_bits);
        writer.f64(job.bound);
        coded::write_job(writer, (job.inner, job.len, job.encryptor, job.security));
    }

    /// The ring.
    pub fn ring(&self) -> &Arc<MatrixRing> {
        &self.parts.ring
    }
    /// Ring degree N: the length of the longest line.
    pub fn degree(&self) -> usize {
        self.ring().degree()
    }
    /// Products that a fresh block can take.
    pub fn depth(&self) -> usize {
        self.ring().max_level()
    }
    /// The precision that was asked for: values of a product of fresh blocks with `k <= inner` lines of values up to
    /// [`bound`](Self::bound) are right to `2^-bits bound^2 sqrt(inner)`, by bound.
    ///
    /// Not of products with a factor whose format was changed before, by `reformat` or because the product needs the other
    /// one: a change of format adds an error to every value, which the product multiplies by the other factor's values and
    /// adds up, so that bounds may be hundreds of times this. Encrypt in the format that products need, or ask for more bits;
    /// `error_bound` is right in every case.
    pub fn precision_bits(&self) -> u32 {
        self.parts.job.precision_bits
    }
    /// The inner dimension of products: lines that are summed over, those of all terms together.
    pub fn inner(&self) -> usize {
        self.parts.job.inner
    }
    /// The length of lines that it was made for.
    pub fn len(&self) -> usize {
        self.parts.job.len
    }
    /// Never: there is no line without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The magnitude of values that is declared by default.
    pub fn bound(&self) -> f64 {
        self.parts.job.bound
    }
    /// The key whose encryptions are as precise as asked for.
    pub fn encryptor(&self) -> Encryptor {
        self.parts.job.encryptor
    }
    /// The security level; `None` for parameters made with `insecure_degree`.
    pub fn security(&self) -> Option<SecurityLevel> {
        self.parts.job.security
    }
    /// Hash of everything that defines the parameters.
    pub fn id(&self) -> ParameterId {
        self.parts.id
    }
    /// The largest absolute value of a result that is held at `depth`, its error included.
    ///
    /// # Panics
    /// If `depth` exceeds the parameters'.
    pub fn max_value(&self, depth: usize) -> f64 {
        self.parts.capacities[depth]
    }
    /// The scale of a level. Computations never need it; analyses of noise do.
    ///
    /// # Panics
    /// If `level` exceeds the depth.
    pub fn scale(&self, level: usize) -> f64 {
        self.parts.scales[level]
    }
    /// The larger of log2(QP) and log2 of the modulus of fresh blocks: what the security table limits.
    pub fn log2_modulus(&self) -> f64 {
        let ring = self.ring();
        ring.ring().log2_qp().max(ring.log2_g(ring.max_level()))
    }

    /// Bounds of a fresh block.
    pub(super) fn fresh(&self, level: usize, magnitude: f64, by: Encryptor) -> Bounds {
        let ring = self.ring();
        let scale = self.scale(level);
        let (spread, random) = match by {
            Encryptor::SecretKey => (ERROR_VARIANCE, noise::fresh_secret(ring)),
            Encryptor::PublicKey => (public_spread(ring, level), noise::fresh_public(ring, level)),
        };
        Bounds {
            magnitude,
            // The dither of the rounding: one of the two neighbours.
            spread: (spread + 0.25).sqrt() / scale,
            random: (random + 1.0) / scale,
            fixed: ENCODING_SLACK / scale + magnitude * ENCODING_ERROR,
        }
    }

    /// What a product to the level below adds to the error of a value.
    pub(super) fn product_added(&self, level: usize, padded: usize) -> Result<f64> {
        Ok(coded::product_error(self.ring(), level, padded)? / self.scale(level - 1))
    }

    /// Bounds of `depth` products one after another, of the largest blocks that the parameters are for; with the precision
    /// that each is to have.
    pub(super) fn chain(&self) -> Result<Vec<(Bounds, f64)>> {
        let job = &self.parts.job;
        let top = self.depth();
        let padded = padded_len(job.len).unwrap_or(self.degree());
        let classes = self.degree() / padded;
        let mut first = self.fresh(top, job.bound, job.encryptor);
        let mut all = Vec::new();
        for level in (1..=top).rev() {
            let second = self.fresh(level, job.bound, job.encryptor);
            let wanted = (-f64::from(job.precision_bits)).exp2()
                * first.magnitude
                * job.bound
                * (job.inner as f64).sqrt()
                * (top - level + 1) as f64;
            let mut next = Bounds::product(&Product {
                operation: "gemm_tn",
                level,
                padded,
                terms: &[Term {
                    lines: job.inner,
                    held: job.inner.next_multiple_of(classes),
                    left: &first,
                    right: &second,
                }],
                distinct: true,
            });
            next.fixed += self.product_added(level, padded)?;
            all.push((next, wanted));
            first = next;
        }
        Ok(all)
    }

    /// Whether products one after another are held and as precise as asked for.
    pub(super) fn fits(&self) -> Result<bool> {
        let chain = self.chain()?;
        let mut levels = (0..self.depth()).rev().zip(&chain);
        Ok(levels.all(|(level, (bounds, wanted))| {
            bounds.error() <= *wanted && bounds.magnitude + bounds.error() <= self.max_value(level)
        }))
    }

    /// Serializes the parameters: everything public.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        coded::write_spec(&mut writer, self.ring().spec());
        Self::write_job(&mut writer, self.scale(self.depth()), &self.parts.job);
        writer.seal(&Header::new(
            Kind::Parameters,
            SchemeId::Ckks,
            self.id(),
            KeyId::NONE,
        ))
    }

    /// Reads parameters and validates them as if they had been built: ranges, primes, digits, security, that they hold what
    /// they say they are for, identifier.
    ///
    /// # Errors
    /// `Wire` for bytes that are not parameters, `Parameter` for parameters that are not valid or not as secure as they say.
    /// Parameters without security are refused: see [`Params::insecure_from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, true)
    }

    /// As [`Params::from_bytes`], accepting parameters that claim no security.
    ///
    /// # Errors
    /// As [`Params::from_bytes`].
    pub fn insecure_from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, false)
    }

    pub(super) fn read(bytes: &[u8], secure: bool) -> Result<Self> {
        coded::read_parameters(
            SchemeId::Ckks,
            bytes,
            |reader| {
                let spec: MatrixSpec = coded::read_spec(reader)?;
                let scale = reader.f64()?;
                let precision_bits = reader.u32()?;
                let bound = reader.f64()?;
                let (inner, len, encryptor, security) = coded::read_job(reader, secure)?;
                coded::check_spec(reader, &spec, len, security)?;
                let job = Job {
                    precision_bits,
                    inner,
                    len,
                    bound,
                    encryptor,
                    security,
                };
                job.check()?;
                let params = Self::assemble(MatrixRing::new(spec)?, scale, job)?;
                if !params.fits()? {
                    return Err(Error::Parameter {
                        what: "matrix parameters",
                        got: format!("a scale of 2^{:.1} for {job:?}", scale.log2()),
                        expected: "a ring and a scale that hold the job, as precisely as it says"
                            .into(),
                        hint: "use parameters from the builder",
                    });
                }
                Ok(params)
            },
            Self::id,
        )
    }

    /// Serializes evaluation keys: seeds and first halves.
    pub fn evaluation_keys_to_bytes(&self, keys: &EvaluationKeys) -> Vec<u8> {
        coded::write_evaluation_keys(self, keys)
    }

    /// Reads evaluation keys made for these parameters.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn evaluation_keys_from_bytes(&self, bytes: &[u8]) -> Result<Arc<EvaluationKeys>> {
        coded::read_evaluation_keys(self, bytes)
    }

    /// Bytes on the wire of the evaluation keys of `set`, envelope included: what
    /// [`evaluation_keys_to_bytes`](Self::evaluation_keys_to_bytes) gives.
    ///
    /// # Errors
    /// `Parameter` for grids that the ring does not have.
    pub fn evaluation_keys_wire_bytes(&self, set: &MatrixKeySet) -> Result<usize> {
        coded::evaluation_keys_bytes(self, set)
    }
}

/// What the dither's 16 bits leave of a bias, in units of the phase.
const ENCODING_SLACK: f64 = 1.0 / (1u64 << 16) as f64;
/// Relative error of scaling values and phases in doubles.
pub(super) const ENCODING_ERROR: f64 = 1.0 / (1u64 << 46) as f64;

/// Variance proxy of the errors of public-key encryption, jointly over the coefficients of a ciphertext: they are
/// `(v e + e0 + e1 s) G / (Q p) + r0 + r1 s`, and multiplying by s, or by the key's error e, lengthens a vector by at most its
/// largest value at the roots of unity, which key generation bounds.
fn public_spread(ring: &MatrixRing, level: usize) -> f64 {
    let n = ring.degree() as f64;
    let secret = SUP_FACTOR * SUP_FACTOR * 2.0 * n / 3.0;
    let own = SUP_FACTOR * SUP_FACTOR * ERROR_VARIANCE * n;
    let wide = ring.ring();
    let p = wide.moduli()[wide.q_len()].value() as f64;
    let log_qp = ring.log2_q(ring.max_level() - 1) + p.log2();
    let ratio = (2.0 * (ring.log2_g(level) - log_qp)).exp2();
    let errors = 2.0 / 3.0 * own + ERROR_VARIANCE * (1.0 + secret);
    1.01 * (errors * ratio + (1.0 + secret) / 12.0)
}

impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.parts.id == other.parts.id
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Params(ckks matrices, {}, degree {}, depth {})",
            self.id(),
            self.degree(),
            self.depth()
        )
    }
}

/// What it holds, how precisely, security, primes, sizes.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let top = self.depth();
        writeln!(f, "CKKS matrices, lines of up to {} values", self.degree())?;
        coded::describe_security(self.security(), self.degree(), self.log2_modulus(), f)?;
        writeln!(
            f,
            "  products       {top} in a row, sums of {}, values up to {}, right to 2^-{} of the factors' largest values times sqrt({})",
            self.inner(),
            self.bound(),
            self.precision_bits(),
            self.inner()
        )?;
        writeln!(f, "  scale          2^{:.1}", self.scale(top).log2())?;
        coded::describe(self.ring(), f)
    }
}
