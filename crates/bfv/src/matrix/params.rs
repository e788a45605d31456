use super::bounds::{Bounds, reduce};
use super::builder::ParamsBuilder;
use cipherblas_rlwe::EvaluationKeys;
use cipherblas_rlwe::matrix::coded::{self, Encryptor, Product, Term};
use cipherblas_rlwe::matrix::{MatrixRing, MatrixSpec, noise};
use cipherblas_scheme::matrix::padded_len;
use cipherblas_scheme::security::SecurityLevel;
use cipherblas_scheme::wire::{Header, KeyId, Kind, ParameterId, SchemeId, Writer};
use cipherblas_scheme::{Error, MatrixKeySet, Result};
use std::fmt;
use std::sync::Arc;

/// Bits of a modulus that phases leave free, as a part of it: more than bounds in doubles are off.
const SLACK: f64 = 1.0 - 1.0 / (1u64 << 30) as f64;

/// Parameters of encrypted integer matrices: immutable, validated, cheap to clone.
///
/// ```
/// use cipherblas_bfv::matrix::Params;
/// let params = Params::builder().inner(1024).len(1024).plaintext_bits(20).build()?;
/// assert_eq!(params.degree(), 4096);
/// println!("{params}");
/// # Ok::<(), cipherblas_bfv::Error>(())
/// ```
#[derive(Clone)]
pub struct Params {
    parts: Arc<Parts>,
}

struct Parts {
    ring: Arc<MatrixRing>,
    job: Job,
    /// Units of fresh blocks, by level.
    units: Vec<u64>,
    id: ParameterId,
}

/// What parameters are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) plaintext_bits: u32,
    pub(super) inner: usize,
    pub(super) len: usize,
    pub(super) encryptor: Encryptor,
    pub(super) security: Option<SecurityLevel>,
}

impl Params {
    /// Starts from the defaults: inner dimension and lines of 1024, depth 1, values below 2^31, blocks encrypted under the
    /// secret key, 128-bit security.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder::new()
    }

    /// Validates and precomputes.
    pub(super) fn assemble(ring: Arc<MatrixRing>, job: Job) -> Result<Self> {
        if let Some(level) = job.security {
            ring.check_security(level)?;
        }
        let bits = job.plaintext_bits;
        if !(2..=52).contains(&bits) || ring.plaintext() != Some(1 << bits) {
            return Err(Error::Parameter {
                what: "plaintext modulus",
                got: format!("{:?} for {bits} bits", ring.plaintext()),
                expected: "2^2 to 2^52".into(),
                hint: "use parameters from the builder",
            });
        }
        if job.inner == 0 || job.len == 0 {
            return Err(Error::Parameter {
                what: "inner dimension and length",
                got: format!("{} and {}", job.inner, job.len),
                expected: "positive numbers".into(),
                hint: "use parameters from the builder",
            });
        }
        let top = ring.max_level();
        let mut units = vec![1; top + 1];
        for level in (0..top).rev() {
            let unit: u64 = units[level + 1];
            units[level] = reduce(unit.wrapping_mul(ring.unit(level + 1)), bits);
        }
        let mut writer = Writer::new();
        coded::write_spec(&mut writer, ring.spec());
        Self::write_job(&mut writer, &job);
        Ok(Self {
            parts: Arc::new(Parts {
                ring,
                job,
                units,
                id: ParameterId::digest(
                    "cipherblas 2026 bfv matrix parameters",
                    &writer.into_bytes(),
                ),
            }),
        })
    }

    fn write_job(writer: &mut Writer, job: &Job) {
        writer.u32(job.plaintext_bits);
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
    /// Values are below `2^(bits - 1)` in absolute value, those of results too.
    pub fn plaintext_bits(&self) -> u32 {
        self.parts.job.plaintext_bits
    }
    /// The largest absolute value, `2^(plaintext_bits - 1) - 1`; the magnitude that is declared by default.
    pub fn max_value(&self) -> f64 {
        (1u64 << (self.plaintext_bits() - 1)) as f64 - 1.0
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
    /// The key whose encryptions the inner dimension is for.
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
    /// The larger of log2(QP) and log2 of the modulus of fresh blocks: what the security table limits.
    pub fn log2_modulus(&self) -> f64 {
        let ring = self.ring();
        ring.ring().log2_qp().max(ring.log2_g(ring.max_level()))
    }
    /// The unit of a fresh block.
    pub(super) fn unit(&self, level: usize) -> u64 {
        self.parts.units[level]
    }
    pub(super) fn modulus(&self) -> f64 {
        (1u64 << self.plaintext_bits()) as f64
    }
    /// The largest bound on a phase that decrypts at a level, divided by the plaintext modulus.
    pub(super) fn limit(&self, level: usize) -> f64 {
        SLACK * (self.ring().log2_g(level) - 1.0).exp2() / self.modulus()
    }
    /// `G_(level-1) / G_level`.
    pub(super) fn ratio(&self, level: usize) -> f64 {
        (self.ring().log2_g(level - 1) - self.ring().log2_g(level)).exp2() * (1.0 + 1e-12)
    }

    /// Bound on the phase of a fresh block, divided by the plaintext modulus.
    pub(super) fn fresh(&self, level: usize, by: Encryptor) -> f64 {
        let ring = self.ring();
        let error = match by {
            Encryptor::SecretKey => noise::fresh_secret(ring),
            Encryptor::PublicKey => noise::fresh_public(ring, level),
        };
        (error / self.modulus() + 0.5) * (1.0 + 1e-12)
    }

    /// What no honest block's phase is below: that of a fresh one, or of roundings.
    pub(super) fn floor(&self, level: usize) -> f64 {
        let rounded = noise::switch_rounding(self.ring()) / self.modulus();
        self.fresh(level, Encryptor::SecretKey).min(rounded)
    }

    /// Bound on the phase of a sum of products, at the level below.
    pub(super) fn product_phase(&self, product: &Product<'_, Bounds>) -> Result<f64> {
        let level = product.level;
        let sum: f64 = product
            .terms
            .iter()
            .map(|t| t.held as f64 * t.left.phase * t.right.phase)
            .sum();
        let added = coded::product_error(self.ring(), level, product.padded)? / self.modulus();
        Ok((sum * self.modulus() * self.ratio(level) + added) * (1.0 + 1e-12))
    }

    /// Whether products one after another decrypt, of the largest blocks that the parameters are for.
    pub(super) fn holds(&self) -> Result<bool> {
        let job = &self.parts.job;
        let padded = padded_len(job.len).unwrap_or(self.degree());
        let classes = self.degree() / padded;
        let of = |phase| Bounds {
            magnitude: self.max_value(),
            phase,
            unit: 1,
        };
        let mut first = of(self.fresh(self.depth(), job.encryptor));
        for level in (1..=self.depth()).rev() {
            let second = of(self.fresh(level, job.encryptor).max(first.phase));
            let phase = self.product_phase(&Product {
                operation: "gemm_tn",
                level,
                padded,
                terms: &[Term {
                    lines: job.inner,
                    held: job.inner.next_multiple_of(classes),
                    left: &first,
                    right: &second,
                }],
                distinct: false,
            })?;
            // Written so that NaN fails.
            if !(0.0..=self.limit(level - 1)).contains(&phase) {
                return Ok(false);
            }
            first = of(phase);
        }
        Ok(true)
    }

    /// Serializes the parameters: everything public.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        coded::write_spec(&mut writer, self.ring().spec());
        Self::write_job(&mut writer, &self.parts.job);
        writer.seal(&Header::new(
            Kind::Parameters,
            SchemeId::Bfv,
            self.id(),
            KeyId::NONE,
        ))
    }

    /// Reads parameters and validates them as if they had been built: ranges, primes, digits, security, that the products
    /// they are for decrypt, identifier.
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
            SchemeId::Bfv,
            bytes,
            |reader| {
                let spec: MatrixSpec = coded::read_spec(reader)?;
                let plaintext_bits = reader.u32()?;
                let (inner, len, encryptor, security) = coded::read_job(reader, secure)?;
                coded::check_spec(reader, &spec, len, security)?;
                let job = Job {
                    plaintext_bits,
                    inner,
                    len,
                    encryptor,
                    security,
                };
                job.check()?;
                let params = Self::assemble(MatrixRing::new(spec)?, job)?;
                if !params.holds()? {
                    return Err(Error::Parameter {
                        what: "matrix parameters",
                        got: format!("a modulus of {:.1} bits for {job:?}", params.log2_modulus()),
                        expected: "a ring whose products decrypt".into(),
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

impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.parts.id == other.parts.id
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Params(bfv matrices, {}, degree {}, depth {})",
            self.id(),
            self.degree(),
            self.depth()
        )
    }
}

/// What it holds, security, primes, sizes.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "BFV matrices, lines of up to {} values", self.degree())?;
        coded::describe_security(self.security(), self.degree(), self.log2_modulus(), f)?;
        writeln!(
            f,
            "  products       {} in a row, sums of {}, integers below 2^{}, exact",
            self.depth(),
            self.inner(),
            self.plaintext_bits() - 1
        )?;
        coded::describe(self.ring(), f)
    }
}
