use super::params::{Job, Params};
use cipherblas_rlwe::matrix::coded::{Encryptor, Search};
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
                plaintext_bits: 32,
                inner: 1024,
                len: 1024,
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
    /// All values, results as well as data, are below `2^(bits - 1)` in absolute value. 2 to 52.
    pub fn plaintext_bits(mut self, bits: u32) -> Self {
        self.job.plaintext_bits = bits;
        self
    }
    /// The inner dimension is that of blocks encrypted under this key; the default is the secret one. Public-key
    /// encryption has larger errors: the same sums take four to five more bits of every factor.
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
            plaintext: Some(1 << job.plaintext_bits),
        };
        let t = f64::from(job.plaintext_bits);
        search.run(
            |candidate| {
                // Phases over t, in bits, from below: errors of fresh factors, then what changes of format add.
                let k = (job.inner as f64).log2();
                let mut phase: f64 = match job.encryptor {
                    Encryptor::SecretKey => 21.5f64.log2(),
                    Encryptor::PublicKey => (candidate.degree as f64 / 18.0).log2() / 2.0,
                };
                (1..=self.depth).rev().all(|level| {
                    let below = candidate.log2_g[level - 1];
                    let product = k + t + 2.0 * phase + below - candidate.log2_g[level];
                    // Tails of eleven deviations.
                    phase = product.max(candidate.added[level - 1].log2() + 3.0);
                    phase + t + 1.0 <= below
                })
            },
            |ring| {
                let params = Params::assemble(ring.clone(), job)?;
                Ok(params.holds()?.then_some(params))
            },
        )
    }
}

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
        if !(2..=52).contains(&self.plaintext_bits) {
            return invalid(
                "plaintext_bits",
                self.plaintext_bits.to_string(),
                "2 to 52",
                "scale the data, or cut values into digits",
            );
        }
        Ok(())
    }
}
