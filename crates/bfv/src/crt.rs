//! Exact integers beyond one plaintext modulus, by the Chinese remainder theorem.
//!
//! Values are signed and centred modulo `T = t_1 ... t_k < 2^63`: every `|x| <= (T - 1) / 2` has one set of residues. They are
//! put together in mixed radix, `x = d_1 + t_1 (d_2 + t_2 (d_3 + ...))` with every digit balanced, `|d_i| <= (t_i - 1) / 2`: such a
//! number is the centred one, and nothing on the way is larger than it may become. Constant time in the values.

use cipherblas_math::Modulus;
use cipherblas_scheme::{Error, Result};
use zeroize::Zeroizing;

/// From residues modulo the plaintext moduli to integers.
#[derive(Clone, Debug)]
pub(crate) struct Crt {
    moduli: Vec<Modulus>,
    /// `inverses[i][j]`: of modulus `j < i` modulo modulus `i`, canonical.
    inverses: Vec<Vec<u64>>,
    product: u64,
}

impl Crt {
    /// For distinct odd primes below 2^50 whose product is below 2^63.
    ///
    /// # Errors
    /// `Parameter`.
    pub(crate) fn new(t: &[u64]) -> Result<Self> {
        let invalid = |got: String| Error::Parameter {
            what: "plaintext moduli",
            got,
            expected: "distinct odd primes below 2^50 with a product below 2^63".into(),
            hint: "choose parameters through their builder",
        };
        let moduli: Vec<Modulus> = t
            .iter()
            .map(|&t| Modulus::new(t))
            .collect::<Result<_, _>>()
            .map_err(|e| invalid(e.to_string()))?;
        let product = t
            .iter()
            .try_fold(1u64, |product, &t| product.checked_mul(t))
            .filter(|&product| product > 1 && product < 1 << 63)
            .ok_or_else(|| invalid(format!("{t:?}")))?;
        let inverses = moduli
            .iter()
            .enumerate()
            .map(|(i, m)| {
                t[..i]
                    .iter()
                    .map(|&earlier| m.inv(m.reduce_u64(earlier)))
                    .collect::<Option<Vec<u64>>>()
                    .ok_or_else(|| invalid(format!("{t:?}")))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            moduli,
            inverses,
            product,
        })
    }

    /// T.
    pub(crate) fn product(&self) -> u64 {
        self.product
    }

    /// The largest value that has residues of its own: `(T - 1) / 2`. So is its negative the smallest.
    pub(crate) fn max_value(&self) -> i64 {
        (self.product / 2) as i64
    }

    /// The values with the centred residues `residues[i]` modulo modulus `i`, any representatives.
    ///
    /// # Errors
    /// `Shape` if there is not one slice for each modulus, or their lengths differ.
    pub(crate) fn combine(&self, residues: &[&[i64]]) -> Result<Zeroizing<Vec<i64>>> {
        let len = residues.first().map_or(0, |r| r.len());
        if residues.len() != self.moduli.len() || residues.iter().any(|r| r.len() != len) {
            return Err(Error::Shape {
                operation: "combining residues",
                got: format!(
                    "slices of {:?} residues",
                    residues.iter().map(|r| r.len()).collect::<Vec<_>>()
                ),
                expected: format!("{} slices of equal length", self.moduli.len()),
                hint: "decode under every plaintext modulus first",
            });
        }
        let mut out = Zeroizing::new(vec![0i64; len]);
        // Digits so far, by modulus: overwritten for each value.
        let mut digits = Zeroizing::new(vec![0i64; self.moduli.len()]);
        for (k, out) in out.iter_mut().enumerate() {
            for (i, m) in self.moduli.iter().enumerate() {
                let mut x = m.from_i64(residues[i][k]);
                for (&digit, &inverse) in digits.iter().zip(&self.inverses[i]) {
                    x = m.mul(m.sub(x, m.from_i64(digit)), inverse);
                }
                digits[i] = m.residue(x) as i64;
            }
            // From the top: every partial result is a centred number modulo a part of T.
            *out = digits
                .iter()
                .zip(&self.moduli)
                .rev()
                .fold(0, |acc, (&digit, m)| acc * m.value() as i64 + digit);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODULI: [&[u64]; 5] = [
        &[65537],
        &[1_032_193],
        &[1_032_193, 786_433, 65537],
        &[1_125_899_904_679_937, 7681],
        &[3, 5, 17, 257, 65537, 7681, 12289],
    ];

    #[test]
    fn refuses() {
        for t in [
            &[][..],
            &[15],
            &[65537, 65537],
            &[1_125_899_904_679_937, 786_433],
        ] {
            assert!(matches!(Crt::new(t), Err(Error::Parameter { .. })), "{t:?}");
        }
        let crt = Crt::new(MODULI[2]).unwrap();
        assert!(crt.combine(&[&[1], &[1]]).is_err());
        assert!(crt.combine(&[&[1], &[1], &[1, 2]]).is_err());
    }

    proptest! {
        #[test]
        fn residues_and_back(x: i64, shift in 0u32..40) {
            for t in MODULI {
                let crt = Crt::new(t).unwrap();
                let edge = [crt.max_value(), -crt.max_value(), 0, 1, -1];
                let inside = (x >> shift) % crt.max_value();
                let values: Vec<i64> = edge.into_iter().chain([inside]).collect();
                let residues: Vec<Vec<i64>> = t
                    .iter()
                    .map(|&t| values.iter().map(|v| v.rem_euclid(t as i64) - (x & 1) * t as i64).collect())
                    .collect();
                let residues: Vec<&[i64]> = residues.iter().map(Vec::as_slice).collect();
                prop_assert_eq!(&*crt.combine(&residues).unwrap(), &values);
            }
        }
    }
}
