//! The smallest ring for a job: candidates by cost, sifted by estimates, checked by the bounds of the ring itself.

use crate::chain::ChainShape;
use crate::matrix::transpose::TransposeNoise;
use crate::matrix::{MatrixRing, MatrixShape, noise};
use crate::ring::DIGIT_MARGIN_BITS;
use cipherblas_math::narrow;
use cipherblas_math::sample::ERROR_VARIANCE;
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::{Error, Result};
use std::sync::Arc;

/// Smallest and largest ring degree of the search, as powers of two.
const LOG_DEGREES: std::ops::RangeInclusive<u32> = 12..=15;
/// The most narrow primes of a modulus.
const MOST_NARROW: usize = narrow::PRIMES.len();
/// Bits of a narrow prime, nearly.
const NARROW_BITS: f64 = 13.5;
/// The most narrow primes' worth of bits of a step of Q above the base.
const MOST_LEVEL: usize = 6;
/// Rings that are built in vain before the search gives up.
const MOST_TRIES: usize = 48;

/// What a ring is searched for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Products in a row, at least 1.
    pub depth: usize,
    /// The longest line: no ring has a smaller degree.
    pub len: usize,
    /// `None`: no security at all, for tests.
    pub security: Option<SecurityLevel>,
    /// Exactly this degree; `None`: the smallest that does.
    pub degree: Option<usize>,
    /// The plaintext modulus.
    pub plaintext: Option<u64>,
}

/// A ring that might do, in sizes.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Ring degree.
    pub degree: usize,
    /// log2 of `G_l`, bottom first.
    pub log2_g: Vec<f64>,
    /// What a product to level `l < D` adds to errors, in units of its phases (without a plaintext modulus), estimated from
    /// below.
    pub added: Vec<f64>,
    /// Work of a key switch at the top of Q, in transforms.
    switch: f64,
    shape: MatrixShape,
}

fn log2_narrow(count: usize) -> f64 {
    narrow::PRIMES[..count.min(MOST_NARROW)]
        .iter()
        .map(|&p| f64::from(p).log2())
        .sum()
}

/// Narrow primes whose product has at most `bits` bits.
fn narrow_within(bits: f64) -> usize {
    (0..=MOST_NARROW)
        .take_while(|&count| log2_narrow(count) <= bits)
        .last()
        .unwrap_or(0)
}

impl Search {
    fn candidate(
        &self,
        degree: usize,
        base_bits: f64,
        level_bits: f64,
        top: usize,
        more_special: usize,
        limit: f64,
    ) -> Option<Candidate> {
        let chain = ChainShape {
            degree,
            depth: self.depth - 1,
            level_bits,
            base_bits,
            digit_len: 1,
            margin_bits: DIGIT_MARGIN_BITS,
        };
        // Special primes take what is left up to their width: their noise is divided by them.
        let primes = (chain.special_primes() + more_special) as f64;
        let room = (crate::chain::PRIME_BITS * primes - chain.special_bits())
            .min(limit - chain.log2_qp() - 0.2);
        let margin_bits = DIGIT_MARGIN_BITS + room.min(10.0);
        let chain = ChainShape {
            margin_bits,
            ..chain
        };
        if room < 0.0 || chain.special_primes() as f64 != primes {
            return None;
        }
        // Conversions to narrow residues start from all of Q and, for public keys, one special prime.
        let wide = chain.base_primes() + (self.depth - 1) * chain.level_primes();
        if wide + 1 > narrow::MAX_WIDE {
            return None;
        }
        let log2_q = |level: usize| base_bits + level as f64 * level_bits;
        let counts: Vec<usize> = (0..self.depth)
            .map(|level| narrow_within(log2_q(level)))
            .chain([top])
            .collect();
        let log2_g: Vec<f64> = counts.iter().map(|&count| log2_narrow(count)).collect();
        if counts[0] == 0 || log2_g[self.depth] > limit || counts.windows(2).any(|w| w[0] > w[1]) {
            return None;
        }
        let n = degree as f64;
        let added = (0..self.depth).map(|level| {
            let digits = (chain.base_primes() + level * chain.level_primes()) as f64;
            let switch = n * ERROR_VARIANCE / 12.0 * digits / (2.0 * margin_bits).exp2();
            let rounding = (1.0 + 2.0 * n / 3.0) / 12.0;
            let spread = ((switch + rounding) * n * 2.0 * n / 3.0).sqrt();
            let scaled = spread * (log2_g[level] - log2_q(level)).exp2();
            0.5 * scaled + rounding.sqrt()
        });
        Some(Candidate {
            degree,
            added: added.collect(),
            log2_g,
            switch: chain.cost(),
            shape: MatrixShape {
                degree,
                depth: self.depth,
                top_bits: log2_narrow(top) - 0.01,
                base_bits,
                level_bits,
                margin_bits,
                plaintext: self.plaintext,
            },
        })
    }

    /// Candidates of one degree, cheapest first: narrow primes at the top, then bits of Q.
    fn candidates(&self, degree: usize, limit: f64) -> Vec<Candidate> {
        let mut all = Vec::new();
        let steps = if self.depth == 1 { 1 } else { MOST_LEVEL };
        for top in 2..=MOST_NARROW {
            if log2_narrow(top) > limit {
                break;
            }
            // One prime as wide as primes get, or as many narrow ones as fit it tightly.
            let bases = std::iter::once(47.6).chain((2..=top).map(|l| log2_narrow(l) + 0.3));
            for base_bits in bases.filter(|&b| b >= 28.0) {
                for (step, more) in (1..=steps).flat_map(|step| [(step, 0), (step, 1)]) {
                    let level_bits = NARROW_BITS * step as f64 + 0.3;
                    all.extend(self.candidate(degree, base_bits, level_bits, top, more, limit));
                }
            }
        }
        all.sort_by(|a, b| {
            let cost = |c: &Candidate| {
                let q = c.shape.base_bits + (self.depth - 1) as f64 * c.shape.level_bits;
                // With one prime of Q and one special prime, a change of format takes about as long as a narrow product.
                c.log2_g[self.depth] / NARROW_BITS + c.switch / 7.5 + q / 1000.0
            };
            cost(a).total_cmp(&cost(b))
        });
        all
    }

    /// The first candidate that is `plausible` by its sizes and that `accept` takes once its ring is built.
    ///
    /// # Errors
    /// `Parameter`: a degree or depth out of range, or a job that no ring can hold.
    pub fn run<P>(
        &self,
        plausible: impl Fn(&Candidate) -> bool,
        accept: impl Fn(&Arc<MatrixRing>) -> Result<Option<P>>,
    ) -> Result<P> {
        self.check()?;
        let degrees: Vec<usize> = match self.degree {
            Some(n) => vec![n],
            None => LOG_DEGREES.map(|log_n| 1 << log_n).collect(),
        };
        let mut largest = (0, 0.0);
        let mut tries = 0;
        for n in degrees {
            if n < self.len {
                continue;
            }
            let limit = match self.security {
                Some(level) => security::max_log_qp(level, n).map_or(0.0, f64::from),
                None => 600.0,
            };
            largest = (n, limit);
            for candidate in self.candidates(n, limit) {
                if !plausible(&candidate) {
                    continue;
                }
                tries += 1;
                if tries > MOST_TRIES {
                    break;
                }
                let ring = MatrixRing::new(candidate.shape.spec()?)?;
                if let Some(level) = self.security
                    && ring.check_security(level).is_err()
                {
                    continue;
                }
                if let Some(found) = accept(&ring)? {
                    return Ok(found);
                }
            }
        }
        let (n, limit) = largest;
        Err(Error::Parameter {
            what: "matrix parameters",
            got: format!("depth {}, lines of up to {}", self.depth, self.len),
            expected: format!(
                "a job that a modulus of {limit:.0} bits holds, at degree {n} or below"
            ),
            hint: "ask for less precision, fewer bits, a smaller inner dimension or less depth",
        })
    }

    /// That depth, degree and length are within what is offered.
    ///
    /// # Errors
    /// `Parameter`.
    pub fn check(&self) -> Result<()> {
        let invalid = |what, got: usize, expected: &str, hint| {
            Err(Error::Parameter {
                what,
                got: got.to_string(),
                expected: expected.into(),
                hint,
            })
        };
        if !(1..=8).contains(&self.depth) {
            return invalid(
                "depth",
                self.depth,
                "1 to 8",
                "decrypt and encrypt again in between",
            );
        }
        let degree = self.degree.unwrap_or(1 << LOG_DEGREES.end());
        let low = if self.security.is_some() { 1 << 12 } else { 64 };
        if !degree.is_power_of_two() || !(low..=1 << LOG_DEGREES.end()).contains(&degree) {
            return invalid(
                "degree",
                degree,
                "a power of two: 4096 to 32768, without security from 64 on",
                "leave it out for the smallest that does",
            );
        }
        if !(1..=degree).contains(&self.len) {
            return invalid(
                "len",
                self.len,
                &format!("1 to {degree}"),
                if self.len == 0 {
                    "give the number of values in the longest line"
                } else {
                    "cut longer lines into several blocks"
                },
            );
        }
        Ok(())
    }
}

/// Everything that a product to the level below `level` adds to the error of a value, in units of its phase there (with a
/// plaintext modulus: multiplied by it): the change of modulus, the change of format of lines on a grid of `padded`, back to
/// narrow residues.
///
/// # Errors
/// `Depth` at level 0; `Parameter` for a grid that the ring does not have.
pub fn product_error(ring: &MatrixRing, level: usize, padded: usize) -> Result<f64> {
    let format = format(ring, level, padded)?.product();
    Ok(finished(
        ring,
        level,
        noise::product_rounding(ring) + format,
    ))
}

/// As [`product_error`], for a change of format alone.
///
/// # Errors
/// As [`product_error`].
pub fn reformat_error(ring: &MatrixRing, level: usize, padded: usize) -> Result<f64> {
    let format = format(ring, level, padded)?.reformat();
    // A block is rounded to Q of the level below first.
    let t = ring.plaintext().map_or(1.0, |t| t as f64);
    Ok(finished(
        ring,
        level,
        noise::switch_rounding(ring) / t + format,
    ))
}

fn format(ring: &MatrixRing, level: usize, padded: usize) -> Result<TransposeNoise> {
    let below = level.checked_sub(1).ok_or(Error::Depth {
        operation: "bound on the error of a product",
        needed: 1,
        left: 0,
    })?;
    let rho = ring.degree() / padded.max(1);
    TransposeNoise::new(ring.ring(), below, rho, noise::Tail::of(ring))
}

/// From errors modulo `Q` of the level below, without the plaintext modulus, to those modulo its `G`.
fn finished(ring: &MatrixRing, level: usize, format: f64) -> f64 {
    let t = ring.plaintext().map_or(1.0, |t| t as f64);
    let ratio = (ring.log2_g(level - 1) - ring.log2_q(level - 1)).exp2();
    t * format * ratio * (1.0 + 1e-9) + noise::switch_rounding(ring)
}
