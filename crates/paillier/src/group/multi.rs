//! Products of powers: `out_k = prod_j c_j^W[k][j]`.

use super::Element;
use crate::keys::PublicKey;
use cipherblas_scheme::{Error, Result};
use num_bigint::{BigInt, Sign};
use rayon::prelude::*;

/// A public integer weight.
pub trait Weight: Sync {
    /// Whether it is negative, and the absolute value in little-endian words.
    fn parts(&self) -> (bool, Vec<u64>);
}

impl Weight for i64 {
    fn parts(&self) -> (bool, Vec<u64>) {
        (*self < 0, vec![self.unsigned_abs()])
    }
}
impl Weight for i128 {
    fn parts(&self) -> (bool, Vec<u64>) {
        let magnitude = self.unsigned_abs();
        (*self < 0, vec![magnitude as u64, (magnitude >> 64) as u64])
    }
}
impl Weight for BigInt {
    fn parts(&self) -> (bool, Vec<u64>) {
        (self.sign() == Sign::Minus, self.magnitude().to_u64_digits())
    }
}

impl PublicKey {
    /// `out_k` encrypts the sum over the terms `(j, w)` of row `k` of `w` times the plaintext of `elements[j]`: a product
    /// of powers for each row, rows in parallel. An empty row gives 1, the unblinded zero.
    ///
    /// # Errors
    /// `Shape` if an index is beyond the elements; as [`negate`](Self::negate).
    pub fn multi_exp<W: Weight>(
        &self,
        elements: &[&Element],
        rows: &[Vec<(usize, W)>],
    ) -> Result<Vec<Element>> {
        for (row, terms) in rows.iter().enumerate() {
            if let Some((index, _)) = terms.iter().find(|(index, _)| *index >= elements.len()) {
                return Err(Error::Shape {
                    operation: "multi-exponentiation",
                    got: format!("index {index} in row {row}"),
                    expected: format!("below {}, the number of ciphertexts", elements.len()),
                    hint: "each term names one of the ciphertexts",
                });
            }
        }
        rows.par_iter()
            .map(|terms| {
                let mut out = Element(self.ring().one().into());
                for (index, weight) in terms {
                    let (negative, magnitude) = weight.parts();
                    let power = Element::new(crate::arith::pow_public(
                        self.ring(),
                        elements[*index].limbs(),
                        &magnitude,
                    ));
                    let power = if negative {
                        self.negate(&power)?
                    } else {
                        power
                    };
                    self.add_assign(&mut out, &power);
                }
                Ok(out)
            })
            .collect()
    }
}
