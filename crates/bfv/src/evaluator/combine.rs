//! A plain matrix times a vector of ciphertexts: modular GEMM on the residues.

use super::{Bounds, Evaluator, sum_up};
use crate::ciphertext::{Ciphertext, Part};
use crate::noise::mul_up;
use cipherblas_rlwe::pairs;
use cipherblas_scheme::{Combine, Error, Result, Value, WeightMatrix};

/// `value` centred modulo `t`.
pub(crate) fn centred(value: i64, t: u64) -> i64 {
    let (t, r) = (t as i64, value % t as i64);
    // Odd t: no ties.
    if r > t / 2 {
        r - t
    } else if r < -(t / 2) {
        r + t
    } else {
        r
    }
}

impl Evaluator {
    /// The largest absolute value of `weight` centred modulo any plaintext modulus: what it does to noise.
    pub(crate) fn weight_norm(&self, weight: i64) -> f64 {
        self.params
            .plaintext_moduli()
            .iter()
            .map(|&t| centred(weight, t).magnitude())
            .fold(0.0, f64::max)
    }
}

impl Combine for Evaluator {
    /// Weights are centred modulo each plaintext modulus, below 2^49: the fewer bits they have, the fewer products of
    /// digits their residues take. No transforms but those of the switch of the modulus that ends it.
    fn combine(
        &self,
        weights: WeightMatrix<'_, i64>,
        cts: &[&Ciphertext],
    ) -> Result<Vec<Ciphertext>> {
        const OPERATION: &str = "combine";
        self.guard(OPERATION, cts)?;
        if cts.len() != weights.cols() {
            return Err(Error::Shape {
                operation: OPERATION,
                got: format!(
                    "{} ciphertexts for {} x {} weights",
                    cts.len(),
                    weights.rows(),
                    weights.cols()
                ),
                expected: format!("{} ciphertexts", weights.cols()),
                hint: "one ciphertext for each column of the weights",
            });
        }
        let limit = self.params.max_value();
        if let Some(index) = weights.data().iter().position(|w| w.magnitude() > limit) {
            return Err(Error::Value {
                index,
                // A weight may be a secret of the model's owner, and errors end up in logs.
                got: "beyond the bound (a weight)".into(),
                expected: format!("an integer of absolute value at most {limit}"),
                hint: "raise `plaintext_bits`",
            });
        }
        let level = cts.iter().map(|ct| ct.level).min().unwrap_or(0);
        self.needs(OPERATION, level)?;
        let leveled = self.leveled(OPERATION, cts)?;
        let cts = leveled.all();
        let bounds = (0..weights.rows())
            .map(|r| {
                let terms = || weights.row(r).iter().zip(&cts);
                self.switched_bounds(
                    OPERATION,
                    level,
                    sum_up(terms().map(|(&w, ct)| mul_up(self.weight_norm(w), ct.noise))),
                    sum_up(terms().map(|(w, ct)| mul_up(w.magnitude(), ct.magnitude))),
                )
            })
            .collect::<Result<Vec<Bounds>>>()?;
        let mut outputs: Vec<Vec<Part>> = bounds.iter().map(|_| Vec::new()).collect();
        for (i, &t) in self.params.plaintext_moduli().iter().enumerate() {
            let integers: Vec<i64> = weights.data().iter().map(|&w| centred(w, t)).collect();
            let largest = integers.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
            let bits = (u64::BITS - largest.leading_zeros()).max(1);
            let integers: Vec<f64> = integers.iter().map(|&w| w as f64).collect();
            let halves: Vec<_> = cts.iter().map(|ct| ct.parts[i].halves()).collect();
            let sums = pairs::combine(&integers, bits, weights.rows(), &halves, 1)?;
            for ((c0, c1), out) in sums.iter().zip(&mut outputs) {
                out.push(pairs::rescale((c0, c1))?.into());
            }
        }
        Ok(bounds
            .into_iter()
            .zip(outputs)
            .map(|(bounds, parts)| self.assemble(bounds, parts))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::centred;

    #[test]
    fn centring_at_its_edges() {
        for t in [3u64, 17, 65537, (1 << 50) - 27] {
            let half = (t / 2) as i64;
            for x in [
                0,
                1,
                -1,
                half,
                half + 1,
                -half,
                -half - 1,
                t as i64,
                -(t as i64),
                i64::MAX,
                i64::MIN,
            ] {
                let c = centred(x, t);
                assert!(c.abs() <= half, "{x} modulo {t} gave {c}");
                assert_eq!(
                    i128::from(c).rem_euclid(i128::from(t)),
                    i128::from(x).rem_euclid(i128::from(t))
                );
            }
        }
    }
}
