//! One narrow prime, and bases of several.

use crate::error::{MathError, Result};
use crate::primes::is_prime;

/// The largest narrow prime allowed: 64 products of two centred residues fit in 32 bits.
pub const MAX_PRIME: u16 = 11_585;

/// The largest primes up to [`MAX_PRIME`], descending: 13.5 bits each, 645 bits in all.
pub const PRIMES: [u16; 48] = [
    11_579, 11_551, 11_549, 11_527, 11_519, 11_503, 11_497, 11_491, 11_489, 11_483, 11_471, 11_467,
    11_447, 11_443, 11_437, 11_423, 11_411, 11_399, 11_393, 11_383, 11_369, 11_353, 11_351, 11_329,
    11_321, 11_317, 11_311, 11_299, 11_287, 11_279, 11_273, 11_261, 11_257, 11_251, 11_243, 11_239,
    11_213, 11_197, 11_177, 11_173, 11_171, 11_161, 11_159, 11_149, 11_131, 11_119, 11_117, 11_113,
];

/// An odd prime up to [`MAX_PRIME`]. Residues are *centred*: an `i16` `r` with `|r| <= (p - 1) / 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prime {
    p: i16,
    /// `floor(2^64 / p)`.
    mu: u64,
}

impl Prime {
    /// Checks that `p` is an odd prime up to [`MAX_PRIME`].
    ///
    /// # Errors
    /// [`MathError::Parameter`].
    pub fn new(p: u16) -> Result<Self> {
        if !(3..=MAX_PRIME).contains(&p) || !is_prime(u64::from(p)) {
            return Err(MathError::Parameter {
                operation: "narrow prime",
                got: p.to_string(),
                expected: format!("an odd prime up to {MAX_PRIME}"),
                hint: "take primes from `narrow::PRIMES`",
            });
        }
        Ok(Self {
            p: p as i16,
            mu: ((1u128 << 64) / u128::from(p)) as u64,
        })
    }

    /// The prime.
    pub const fn value(self) -> i16 {
        self.p
    }

    /// The largest centred residue, `(p - 1) / 2`.
    pub const fn half(self) -> i16 {
        self.p / 2
    }

    /// The centred residue of any integer. Constant time.
    pub const fn reduce_i64(self, x: i64) -> i16 {
        // The quotient is the floor of `x / p`, or off by one: the remainder is in `-p..2 p`.
        let p = self.p as i64;
        let q = ((x as i128 * self.mu as i128) >> 64) as i64;
        let r = x.wrapping_sub(q.wrapping_mul(p));
        let r = r + (p & (r >> 63));
        let half = p / 2;
        let r = r - (p & ((half - r) >> 63));
        (r - (p & ((half - r) >> 63))) as i16
    }

    /// The centred residue of any integer. Constant time.
    pub const fn reduce_i128(self, x: i128) -> i16 {
        let shift = self.reduce_i64(1 << 32) as i64;
        let high = self.reduce_i64((x >> 64) as i64) as i64;
        let middle = (x as u64 >> 32) as i64;
        let low = (x as u64 & 0xffff_ffff) as i64;
        let upper = self.reduce_i64(high * shift + middle) as i64;
        self.reduce_i64(upper * shift + low)
    }

    /// `a b` for centred residues, or any other `i16`. Constant time.
    pub const fn mul(self, a: i16, b: i16) -> i16 {
        self.reduce_i64(a as i64 * b as i64)
    }

    /// The inverse, or `None` for a multiple of `p`.
    pub const fn inv(self, a: i16) -> Option<i16> {
        if self.reduce_i64(a as i64) == 0 {
            return None;
        }
        let (mut square, mut result, mut exponent) = (a, 1, self.p - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        Some(result)
    }
}

/// Distinct narrow primes, whose product `G` is a modulus held in 16-bit residues.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Basis {
    primes: Vec<Prime>,
}

impl Basis {
    /// The first `count` of [`PRIMES`].
    ///
    /// # Errors
    /// [`MathError::Parameter`] for none, or more than there are.
    pub fn largest(count: usize) -> Result<Self> {
        let Some(primes) = PRIMES.get(..count) else {
            return Err(MathError::Parameter {
                operation: "narrow basis",
                got: format!("{count} primes"),
                expected: format!("1 to {}", PRIMES.len()),
                hint: "use a smaller modulus",
            });
        };
        let primes: Result<Vec<_>> = primes.iter().map(|&p| Prime::new(p)).collect();
        Self::new(primes?)
    }

    /// The fewest of [`PRIMES`] whose product is at least `2^bits`.
    ///
    /// # Errors
    /// [`MathError::Parameter`] if all of them are too few, or `bits` is not a number.
    pub fn with_bits(bits: f64) -> Result<Self> {
        let mut sum = 0.0;
        for (i, &p) in PRIMES.iter().enumerate() {
            sum += f64::from(p).log2();
            if sum >= bits {
                return Self::largest(i + 1);
            }
        }
        Err(MathError::Parameter {
            operation: "narrow basis",
            got: format!("{bits} bits"),
            expected: format!("at most {sum:.1}"),
            hint: "use a smaller modulus",
        })
    }

    /// The primes given.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for none, or one that occurs twice.
    pub fn new(primes: Vec<Prime>) -> Result<Self> {
        let twice = (1..primes.len()).find(|&i| primes[..i].contains(&primes[i]));
        if primes.is_empty() || twice.is_some() {
            return Err(MathError::Parameter {
                operation: "narrow basis",
                got: match twice {
                    Some(i) => format!("{} twice", primes[i].value()),
                    None => "no prime".into(),
                },
                expected: "at least one prime, each once".into(),
                hint: "take primes from `narrow::PRIMES`",
            });
        }
        Ok(Self { primes })
    }

    /// The primes.
    pub fn primes(&self) -> &[Prime] {
        &self.primes
    }

    /// The number of primes.
    #[expect(clippy::len_without_is_empty, reason = "a basis is never empty")]
    pub fn len(&self) -> usize {
        self.primes.len()
    }

    /// The first `count` primes of this basis.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for none, or more than there are.
    pub fn prefix(&self, count: usize) -> Result<Self> {
        match self.primes.get(..count) {
            Some(primes) if count > 0 => Self::new(primes.to_vec()),
            _ => Err(MathError::Parameter {
                operation: "narrow basis",
                got: format!("the first {count} primes"),
                expected: format!("1 to {}", self.len()),
                hint: "ask for primes that the basis has",
            }),
        }
    }

    /// `log2 G`.
    pub fn bits(&self) -> f64 {
        self.primes
            .iter()
            .map(|p| f64::from(p.value()).log2())
            .sum()
    }
}
