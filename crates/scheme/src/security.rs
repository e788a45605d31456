//! How large a modulus each ring degree may carry.
//!
//! The bound is on log2 of **everything a key is published modulo**: ciphertext modulus times special modulus, for every
//! evaluation key. Values: ternary secrets, classical attacks, table of "Security Guidelines for Implementing
//! Homomorphic Encryption" (2024, eprint 2024/463). Sparse secrets are not in it and not accepted here.
//!
//! ```
//! use cipherblas_scheme::security::{SecurityLevel, check, log2_product, max_log_qp, min_degree};
//!
//! let moduli = [(1 << 50) - 27, (1 << 40) - 87, (1 << 40) - 167];
//! let level = SecurityLevel::Classical128;
//! assert_eq!(min_degree(level, log2_product(&moduli))?, 8192);
//! assert_eq!(max_log_qp(level, 8192), Some(214));
//! assert!(check(level, 4096, log2_product(&moduli)).is_err());
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

use crate::{Error, Result};
use std::fmt;

/// Hardness of the underlying lattice problem against known classical attacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityLevel {
    /// 128 bits.
    #[default]
    Classical128,
    /// 192 bits.
    Classical192,
    /// 256 bits.
    Classical256,
}

impl SecurityLevel {
    /// Every level, weakest first.
    pub const ALL: [Self; 3] = [Self::Classical128, Self::Classical192, Self::Classical256];

    /// Bits of security.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Classical128 => 128,
            Self::Classical192 => 192,
            Self::Classical256 => 256,
        }
    }

    /// The level of that many bits.
    ///
    /// # Errors
    /// `Parameter` for anything but 128, 192 and 256.
    pub fn from_bits(bits: u32) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|level| level.bits() == bits);
        found.ok_or_else(|| Error::Parameter {
            what: "security",
            got: format!("{bits} bits"),
            expected: "128, 192 or 256 bits".into(),
            hint: "128 bits is the default and the usual choice",
        })
    }
}

impl fmt::Display for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits (classical)", self.bits())
    }
}

/// Ring degree, and the largest log2(QP) for 128, 192 and 256 bits.
const TABLE: [(usize, [Option<u32>; 3]); 8] = [
    (1024, [Some(26), None, None]),
    (2048, [Some(53), Some(36), Some(27)]),
    (4096, [Some(106), Some(73), Some(56)]),
    (8192, [Some(214), Some(147), Some(114)]),
    (16384, [Some(430), Some(297), Some(230)]),
    (32768, [Some(868), Some(597), Some(462)]),
    (65536, [Some(1747), Some(1199), Some(929)]),
    (131_072, [Some(3523), Some(2411), Some(1866)]),
];

/// The largest log2(QP) that is secure at `level` in a ring of `degree`; `None` if the table has none.
pub fn max_log_qp(level: SecurityLevel, degree: usize) -> Option<u32> {
    let (_, bounds) = TABLE.iter().find(|(n, _)| *n == degree)?;
    bounds[level as usize]
}

/// The smallest ring degree that carries `log2_qp` bits at `level`.
///
/// # Errors
/// `Parameter` if no degree of the table does, or `log2_qp` is not a positive number.
pub fn min_degree(level: SecurityLevel, log2_qp: f64) -> Result<usize> {
    check_positive(log2_qp)?;
    let fits =
        |bounds: &[Option<u32>; 3]| bounds[level as usize].is_some_and(|b| log2_qp <= b.into());
    let found = TABLE.iter().find(|(_, bounds)| fits(bounds));
    found
        .map(|&(degree, _)| degree)
        .ok_or_else(|| Error::Parameter {
            what: "modulus",
            got: format!("log2(QP) = {log2_qp:.3}"),
            expected: match max_log_qp(level, 131_072) {
                Some(bound) => format!(
                    "at most {bound} at {level}, the bound of the largest ring degree 131072"
                ),
                None => format!("a modulus for which there is a ring degree at {level}"),
            },
            hint: "ask for less depth or less precision",
        })
}

/// Checks that a key published modulo QP is secure at `level` in a ring of `degree`. `log2_qp` comes from
/// [`log2_product`], so that the border is exact: QP = 2^bound passes, anything larger does not.
///
/// # Errors
/// `Parameter` if QP is too large, or the table has no bound for this degree and level.
pub fn check(level: SecurityLevel, degree: usize, log2_qp: f64) -> Result<()> {
    check_positive(log2_qp)?;
    let Some(bound) = max_log_qp(level, degree) else {
        return Err(Error::Parameter {
            what: "ring degree",
            got: degree.to_string(),
            expected: format!(
                "a power of two from {} to 131072 at {level}",
                smallest_degree(level)
            ),
            hint: "let the parameters be chosen from depth and precision",
        });
    };
    if log2_qp <= f64::from(bound) {
        return Ok(());
    }
    Err(Error::Parameter {
        what: "modulus",
        got: format!("log2(QP) = {log2_qp:.3} at ring degree {degree}"),
        expected: format!("at most {bound} at {level}"),
        hint: "take a larger ring degree, or less depth or precision",
    })
}

fn smallest_degree(level: SecurityLevel) -> usize {
    match level {
        SecurityLevel::Classical128 => 1024,
        SecurityLevel::Classical192 | SecurityLevel::Classical256 => 2048,
    }
}

fn check_positive(log2_qp: f64) -> Result<()> {
    if log2_qp > 0.0 {
        return Ok(());
    }
    Err(Error::Parameter {
        what: "modulus",
        got: format!("log2(QP) = {log2_qp}"),
        expected: "a positive number of bits".into(),
        hint: "the modulus is the product of all primes of a key",
    })
}

/// log2 of the product of `moduli`, from the exact product: above an integer whenever the product is above that power
/// of two, by however little. Minus infinity if one of them is zero; zero if there are none.
pub fn log2_product(moduli: &[u64]) -> f64 {
    let mut product = vec![1u64];
    for &modulus in moduli {
        let mut carry = 0u128;
        for limb in &mut product {
            carry += u128::from(*limb) * u128::from(modulus);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            product.push(carry as u64);
        }
    }
    while product.last() == Some(&0) {
        product.pop();
    }
    let Some((&top, lower)) = product.split_last() else {
        return f64::NEG_INFINITY;
    };
    let floor = (64 * lower.len() as u32 + top.ilog2()) as f64;
    if top.is_power_of_two() && lower.iter().all(|&limb| limb == 0) {
        return floor;
    }
    let next = lower.last().copied().unwrap_or(0);
    let leading = (u128::from(top) << 64 | u128::from(next)) as f64;
    let fraction = (leading / 2f64.powi(64 + top.ilog2() as i32)).log2();
    (floor + fraction).max(floor.next_up())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Moduli whose product is exactly 2^bits.
    fn power_of_two(bits: u32) -> Vec<u64> {
        let mut moduli = vec![1 << 50; (bits / 50) as usize];
        moduli.push(1 << (bits % 50));
        moduli
    }

    #[test]
    fn every_row_is_exact_at_its_border() {
        let published = "1024 26 - -
            2048 53 36 27
            4096 106 73 56
            8192 214 147 114
            16384 430 297 230
            32768 868 597 462
            65536 1747 1199 929
            131072 3523 2411 1866";
        let mut rows = 0;
        for line in published.lines() {
            let mut words = line.split_whitespace();
            let degree: usize = words.next().unwrap().parse().unwrap();
            for (level, word) in SecurityLevel::ALL.into_iter().zip(words) {
                let bound = word.parse::<u32>().ok();
                assert_eq!(max_log_qp(level, degree), bound);
                let Some(bound) = bound else {
                    assert!(check(level, degree, 1.0).is_err());
                    continue;
                };
                let exact = log2_product(&power_of_two(bound));
                assert_eq!(exact, f64::from(bound));
                assert!(check(level, degree, exact).is_ok());
                assert_eq!(min_degree(level, exact).unwrap(), degree);
                // One bit above, and the smallest product of two odd factors above.
                let one_bit = log2_product(&power_of_two(bound + 1));
                let mut barely = power_of_two(bound);
                *barely.last_mut().unwrap() += 1;
                for above in [one_bit, log2_product(&barely)] {
                    let error = check(level, degree, above).unwrap_err();
                    let Error::Parameter { what, expected, .. } = error else {
                        panic!("another error: {error}");
                    };
                    assert_eq!(what, "modulus");
                    assert_eq!(expected, format!("at most {bound} at {level}"));
                    assert_ne!(min_degree(level, above).ok(), Some(degree));
                }
                rows += 1;
            }
        }
        assert_eq!(rows, 22);
    }

    #[test]
    fn unknown_degrees_and_moduli_are_refused() {
        for degree in [0, 512, 1000, 262_144] {
            let error = check(SecurityLevel::Classical128, degree, 10.0).unwrap_err();
            assert!(matches!(
                error,
                Error::Parameter {
                    what: "ring degree",
                    ..
                }
            ));
        }
        for bits in [f64::NAN, 0.0, -1.0, f64::NEG_INFINITY] {
            assert!(check(SecurityLevel::Classical128, 1024, bits).is_err());
            assert!(min_degree(SecurityLevel::Classical128, bits).is_err());
        }
        assert!(check(SecurityLevel::Classical128, 131_072, f64::INFINITY).is_err());
        let error = min_degree(SecurityLevel::Classical256, 1866.5).unwrap_err();
        let Error::Parameter { expected, .. } = error else {
            panic!("another error")
        };
        assert!(expected.starts_with("at most 1866"));
        assert_eq!(min_degree(SecurityLevel::Classical192, 10.0).unwrap(), 2048);
    }

    #[test]
    fn levels_are_named_by_bits() {
        for level in SecurityLevel::ALL {
            assert_eq!(SecurityLevel::from_bits(level.bits()).unwrap(), level);
        }
        assert!(SecurityLevel::from_bits(80).is_err());
        assert_eq!(SecurityLevel::default().to_string(), "128 bits (classical)");
    }

    #[test]
    fn logarithms_of_products() {
        assert_eq!(log2_product(&[]), 0.0);
        assert_eq!(log2_product(&[5, 0]), f64::NEG_INFINITY);
        assert_eq!(log2_product(&[3]), 3f64.log2());
        // Just above and just below 2^100.
        assert!(log2_product(&[(1 << 50) + 1, 1 << 50]) > 100.0);
        assert!(log2_product(&[u64::MAX, u64::MAX]) <= 128.0);
        // 2^800 + 2^750 ...: far less than a double resolves at 800.
        let mut moduli = vec![1 << 50; 15];
        moduli.push((1 << 50) + 1);
        assert!(log2_product(&moduli) > 800.0);
        assert!(log2_product(&moduli) < 800.0 + 1e-12);
    }

    proptest! {
        #[test]
        fn logarithms_agree_with_sums(moduli in proptest::collection::vec(2u64.., 1..80)) {
            let sum: f64 = moduli.iter().map(|&m| (m as f64).log2()).sum();
            prop_assert!((log2_product(&moduli) - sum).abs() < 1e-9);
        }
    }
}
