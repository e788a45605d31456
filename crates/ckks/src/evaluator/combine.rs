//! A plain matrix times a vector of ciphertexts: modular GEMM on the residues.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use cipherblas_math::gemm;
use cipherblas_rlwe::{Ntt, Poly};
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
                    got: w.to_string(),
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

        let ring = self.params.ring();
        let basis = ring.basis(level);
        let mut outputs: Vec<Poly<Ntt>> = (0..2 * rows).map(|_| Poly::zero(ring, basis)).collect();
        {
            let (mut first, mut second): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
            for (i, poly) in outputs.iter_mut().enumerate() {
                if i % 2 == 0 {
                    first.push(poly)
                } else {
                    second.push(poly)
                }
            }
            for (half, outs) in [(0, first), (1, second)] {
                Poly::each_limb_of_many(outs, |k, limbs| {
                    let inputs: Vec<&[f64]> = cts
                        .iter()
                        .map(|ct| {
                            if half == 0 {
                                ct.c0.limb(k)
                            } else {
                                ct.c1.limb(k)
                            }
                        })
                        .collect();
                    let kernels = ring.plan(k).kernels();
                    gemm::combine(kernels, &integers, bits.max(1), rows, cols, &inputs, limbs)
                        .expect("shapes and weights were checked");
                    let factor = ring.moduli()[k].residue_i64(grid as i64);
                    limbs
                        .iter_mut()
                        .for_each(|limb| kernels.scale_assign(limb, factor));
                });
            }
        }
        let mut outputs = outputs.into_iter();
        let mut results = Vec::with_capacity(rows);
        for r in 0..rows {
            let pair = outputs.next().zip(outputs.next());
            let Some(pair) = pair else {
                unreachable!("two polynomials for each row")
            };
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
