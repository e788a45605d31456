use super::params::{Job, Params};
use cipherblas_math::sample::ERROR_VARIANCE;
use cipherblas_rlwe::matrix::coded::{Encryptor, Search};
use cipherblas_rlwe::matrix::noise::TAIL;
use cipherblas_scheme::security::SecurityLevel;
use cipherblas_scheme::{Error, Result};

/// What to build [`Params`] from; see [`Params::builder`].
#[derive(Clone, Debug)]
pub struct ParamsBuilder {
    depth: usize,
    degree: Option<usize>,
    job: Job,
}

impl ParamsBuilder {
    pub(super) fn new() -> Self {
        Self {
            depth: 1,
            degree: None,
            job: Job {
                precision_bits: 20,
                inner: 1024,
                len: 1024,
                bound: 1.0,
                encryptor: Encryptor::SecretKey,
                security: Some(SecurityLevel::Classical128),
            },
        }
    }
    /// The inner dimension: products that are summed in one value, all terms and later sums together. 1 to 2^24.
    pub fn inner(mut self, lines: usize) -> Self {
        self.job.inner = lines;
        self
    }
    /// The longest line of a block; longer ones are cut into several blocks.
    pub fn len(mut self, len: usize) -> Self {
        self.job.len = len;
        self
    }
    /// Products one after another, 1 to 8.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    /// Values of a product of fresh blocks, with sums of `inner` products of values up to `bound`, are right to
    /// `2^-bits bound^2 sqrt(inner)`, by bound; each later product, to as many times that, relative to its factors' largest
    /// values, as products were made. 4 to 40.
    pub fn precision_bits(mut self, bits: u32) -> Self {
        self.job.precision_bits = bits;
        self
    }
    /// Absolute values of the data are at most this, unless encryption declares another bound.
    pub fn bound(mut self, bound: f64) -> Self {
        self.job.bound = bound;
        self
    }
    /// The precision is that of blocks encrypted under this key; the default is the secret one. Public-key encryption has
    /// larger errors: the same precision takes four to five more bits of every value.
    pub fn encryptor(mut self, encryptor: Encryptor) -> Self {
        self.job.encryptor = encryptor;
        self
    }
    /// Security level; default 128 bits, classical.
    pub fn security(mut self, level: SecurityLevel) -> Self {
        self.job.security = Some(level);
        self
    }
    /// Exactly this ring degree, if it is secure; default: the smallest that is and holds the job.
    pub fn degree(mut self, degree: usize) -> Self {
        self.degree = Some(degree);
        self
    }
    /// No security at all: any degree from 64 on, for tests. The parameters say so wherever they are shown.
    pub fn insecure_degree(mut self, degree: usize) -> Self {
        self.job.security = None;
        self.degree = Some(degree);
        self
    }

    /// Chooses the cheapest ring for the job.
    ///
    /// # Errors
    /// `Parameter`: a setting out of range, or a job that no ring up to degree 2^15 can hold.
    pub fn build(self) -> Result<Params> {
        let job = self.job;
        job.check()?;
        let search = Search {
            depth: self.depth,
            len: job.len,
            security: job.security,
            degree: self.degree,
            plaintext: None,
        };
        search.run(
            |candidate| {
                let scales = self.scales(&candidate.log2_g);
                let spread = match job.encryptor {
                    Encryptor::SecretKey => ERROR_VARIANCE.sqrt(),
                    Encryptor::PublicKey => (candidate.degree as f64 / 18.0).sqrt(),
                };
                // Necessary for the first product: errors of fresh factors, and what the change of format adds.
                let k = job.inner as f64;
                let (top, below) = (scales[self.depth], scales[self.depth - 1]);
                let fresh = 2.0 * (TAIL * spread * k.sqrt()).min(21.0 * k) * job.bound;
                let needed = (-f64::from(job.precision_bits)).exp2() * k.sqrt() * job.bound.powi(2);
                let added = candidate.added[self.depth - 1] * TAIL;
                fresh / top.exp2() + added / below.exp2() <= needed
            },
            |ring| {
                let log2_g: Vec<f64> = (0..=self.depth).map(|l| ring.log2_g(l)).collect();
                let scale = self.scales(&log2_g)[self.depth].exp2().floor();
                // A scale out of range belongs to a ring that is not for this job.
                let Ok(params) = Params::assemble(ring.clone(), scale, job) else {
                    return Ok(None);
                };
                Ok(params.fits()?.then_some(params))
            },
        )
    }

    /// log2 of the largest scales whose results fit: at every level, `G_l >= 2 S_l^2 M_(l-1)`, `M_(D-i)` the largest value
    /// after i products.
    fn scales(&self, log2_g: &[f64]) -> Vec<f64> {
        let job = &self.job;
        let (k, u) = ((job.inner as f64).log2(), job.bound.log2());
        let d = self.depth;
        // S_(l-1) = S_l^2 G_(l-1) / G_l: S_l = 2^(D-l) times log2 S_D, and a rest.
        let mut best = f64::INFINITY;
        let mut rest = 0.0;
        for level in (1..=d).rev() {
            let products = (d - level + 1) as f64;
            let magnitude = k * products + u * (products + 1.0) + MARGIN_BITS;
            let power = (d - level) as f64;
            let limit = (log2_g[level] - 1.0 - magnitude) / 2.0;
            best = best.min((limit - rest) / power.exp2());
            rest = 2.0 * rest + log2_g[level - 1] - log2_g[level];
        }
        let mut scales = vec![best; d + 1];
        for level in (0..d).rev() {
            scales[level] = 2.0 * scales[level + 1] + log2_g[level] - log2_g[level + 1];
        }
        scales
    }
}

/// For errors, which count as values do: with 4 bits of precision and more.
const MARGIN_BITS: f64 = 0.02;

impl Job {
    /// That every number is within what is offered.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what, got: String, expected: &str, hint| {
            Err(Error::Parameter {
                what,
                got,
                expected: expected.into(),
                hint,
            })
        };
        if !(1..=1 << 24).contains(&self.inner) {
            return invalid(
                "inner",
                self.inner.to_string(),
                "1 to 2^24",
                if self.inner == 0 {
                    "give the number of products that are summed in one value"
                } else {
                    "sum in parts, and decrypt in between"
                },
            );
        }
        if !(4..=40).contains(&self.precision_bits) {
            return invalid(
                "precision_bits",
                self.precision_bits.to_string(),
                "4 to 40",
                "doubles carry 53 bits, and sums take some",
            );
        }
        if !(1e-6..=1e12).contains(&self.bound) {
            return invalid(
                "bound",
                self.bound.to_string(),
                "1e-6 to 1e12",
                "scale the data",
            );
        }
        Ok(())
    }
}
