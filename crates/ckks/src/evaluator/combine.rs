//! A plain matrix times a vector of ciphertexts: modular GEMM on the residues.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use cipherblas_rlwe::pairs;
use cipherblas_scheme::{Combine, Error, MulPlain, Result, WeightMatrix};

impl Combine for Evaluator {
    /// Weights are rounded to a grid so fine that the sum of a row is right to a quarter of the precision asked for, and
    /// no finer: the fewer bits a weight has, the fewer products of digits its residues take. The grid's factor is
    /// multiplied in afterwards, and one rescaling ends it. No transforms but those of the rescaling.
    fn combine(
        &self,
        weights: WeightMatrix<'_, f64>,
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
        for (index, w) in weights.data().iter().enumerate() {
            if w.is_nan() || w.abs() > self.params.max_value() {
                return Err(Error::Value {
                    index,
                    // A weight may be a secret of the model's owner, and errors end up in logs.
                    got: "beyond the bound (a weight)".into(),
                    expected: format!(
                        "a finite number of absolute value at most {}",
                        self.params.max_value()
                    ),
                    hint: "scale the weights, or raise `integer_bits`",
                });
            }
        }
        let cts = self.leveled(cts)?;
        let level = cts[0].level;
        self.needs(OPERATION, level)?;

        let (rows, cols) = (weights.rows(), weights.cols());
        let scale = self.params.scale(level);
        // Integers round(w * fine) stand for round(w * fine) * grid, with fine * grid = scale.
        let wanted = f64::from(self.params.precision_bits()) + 2.0 + (cols as f64).log2() / 2.0;
        let grid = (scale.log2() - wanted).floor().clamp(0.0, 50.0).exp2();
        let fine = scale / grid;
        let integers: Vec<f64> = weights.data().iter().map(|w| (w * fine).round()).collect();
        let largest = integers.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        let bits = (largest + 1.0).log2().ceil() as u32;
        if bits > 50 {
            // Beyond the exact GEMM: general products with constants, one row at a time.
            return (0..rows)
                .map(|r| {
                    let plains = weights
                        .row(r)
                        .iter()
                        .map(|w| self.prepare(&[*w], level))
                        .collect::<Result<Vec<_>>>()?;
                    self.mul_prepared(
                        &cts.iter().collect::<Vec<_>>(),
                        &plains.iter().collect::<Vec<_>>(),
                    )
                })
                .collect();
        }

        let pairs: Vec<_> = cts.iter().map(|ct| (&ct.c0, &ct.c1)).collect();
        let outputs = pairs::combine(&integers, bits.max(1), rows, &pairs, grid as i64)?;
        let mut results = Vec::with_capacity(rows);
        for (r, pair) in outputs.into_iter().enumerate() {
            let (mut error, mut magnitude) = (0.0, 0.0);
            for (w, ct) in weights.row(r).iter().zip(&cts) {
                error += w.abs() * ct.error + 0.5 / fine * (ct.magnitude + ct.error);
                magnitude += w.abs() * ct.magnitude;
            }
            results.push(self.rescaled(pair, level, error, magnitude)?);
        }
        Ok(results)
    }
}
