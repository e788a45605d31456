//! The choice of parameters: ring, plaintext moduli, key switching.

use crate::chain::{self, Choice, MAX_MODULI};
use crate::params::{
    LOG_DEGREES, MAX_DEPTH, MAX_HEADROOM_BITS, PLAINTEXT_BITS, Params, invalid, range,
};
use cipherblas_math::rns::MAX_SOURCES;
use cipherblas_rlwe::chain::log2_qp;
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::{Error, Result};

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

impl Default for ParamsBuilder {
    fn default() -> Self {
        Self {
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
}

impl ParamsBuilder {
    /// Multiplications one after another, 0 to 60. Default 1.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    /// Values on the way and at the end are signed integers of at most `2^(bits - 1)` in absolute value: exact, and
    /// never wrapped around (operations whose result may be larger are refused). 2 to 62, default 32.
    pub fn plaintext_bits(mut self, bits: u32) -> Self {
        self.plaintext_bits = bits;
        self
    }
    /// Sums of up to `2^bits` terms fit, wherever they are: the numbers of terms that are summed along a path, before products
    /// and after, multiply. (Products with plain values make room again.) 0 to 40, default 16. Each bit costs a bit of modulus.
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

    /// Chooses ring, plaintext moduli and key switching with the least estimated work for a product of two ciphertexts.
    /// That is nearly always the smallest secure ring; where it would need more plaintext moduli than the next one, it
    /// is the next one.
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
