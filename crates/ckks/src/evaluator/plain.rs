//! Plain operands: sums at the ciphertext's scale, products at the scale that makes the result canonical.

use super::Evaluator;
use crate::ciphertext::Ciphertext;
use crate::encoder;
use cipherblas_rlwe::{Ntt, Poly};
use cipherblas_scheme::{AddPlain, Error, MulPlain, Result};

/// Values encoded for products with ciphertexts of one depth.
#[derive(Clone, Debug)]
pub struct Plaintext {
    body: Body,
    level: usize,
    magnitude: f64,
    params: cipherblas_scheme::wire::ParameterId,
}

#[derive(Clone, Debug)]
enum Body {
    /// The same value in every slot: one residue for each prime.
    Constant(Vec<f64>),
    Slots(Poly<Ntt>),
}

impl Plaintext {
    /// The depth it was prepared for.
    pub fn depth(&self) -> usize {
        self.level
    }
}

fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

impl Evaluator {
    /// `ct * value` at `depth`, below the ciphertext's: one rescaling.
    pub(crate) fn scaled_to(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        value: f64,
        depth: usize,
    ) -> Result<Ciphertext> {
        if depth >= ct.level {
            return Err(Error::Depth {
                operation,
                needed: depth + 1,
                left: ct.level,
            });
        }
        encoder::check(&self.params, operation, &[value], self.params.max_value())?;
        let from = depth + 1;
        let factor = self.params.scale(depth) * self.params.level_modulus(from)
            / self.params.scale(ct.level);
        let residues = encoder::constant(&self.params, value, factor, from)?;
        let limbs = residues.len();
        let (mut c0, mut c1) = (ct.c0.truncated(limbs), ct.c1.truncated(limbs));
        c0.scale_assign(&residues);
        c1.scale_assign(&residues);
        // The factor is rounded to an integer.
        let error = value.abs() * ct.error + ct.magnitude * 0.5 / factor;
        self.rescaled((c0, c1), from, error, value.abs() * ct.magnitude)
    }
}

impl AddPlain for Evaluator {
    fn add_plain(&self, ct: &Ciphertext, values: &[f64]) -> Result<Ciphertext> {
        self.guard("add_plain", &[ct])?;
        encoder::check(&self.params, "add_plain", values, self.params.max_value())?;
        let scale = self.params.scale(ct.level);
        let mut c0 = ct.c0.clone();
        if let [value] = values {
            let residues = encoder::constant(&self.params, *value, scale, ct.level)?;
            c0.fill_with(|m, k, limb| m.add_scalar_assign(limb, residues[k]));
        } else {
            c0.add_assign(&encoder::encode(&self.params, values, scale, ct.level)?);
        }
        let error = ct.error + self.params.noise().encoding() / scale;
        Ok(self.assemble(
            c0,
            ct.c1.clone(),
            ct.level,
            error,
            ct.magnitude + magnitude(values),
        ))
    }
}

impl MulPlain for Evaluator {
    type Plaintext = Plaintext;

    fn prepare(&self, values: &[f64], depth: usize) -> Result<Plaintext> {
        if depth > self.params.depth() {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth,
                left: self.params.depth(),
            });
        }
        self.needs("mul_plain", depth)?;
        encoder::check(&self.params, "mul_plain", values, self.params.max_value())?;
        let scale = self.params.scale(depth);
        let body = if let [value] = values {
            Body::Constant(encoder::constant(&self.params, *value, scale, depth)?)
        } else {
            Body::Slots(encoder::encode(&self.params, values, scale, depth)?)
        };
        Ok(Plaintext {
            body,
            level: depth,
            magnitude: magnitude(values),
            params: self.params.id(),
        })
    }

    fn mul_prepared(&self, cts: &[&Ciphertext], plains: &[&Plaintext]) -> Result<Ciphertext> {
        const OPERATION: &str = "mul_prepared";
        self.guard(OPERATION, cts)?;
        if cts.is_empty() || cts.len() != plains.len() {
            return Err(Error::Shape {
                operation: OPERATION,
                got: format!("{} ciphertexts and {} plaintexts", cts.len(), plains.len()),
                expected: "as many of each, at least one".into(),
                hint: "prepare one plaintext for each ciphertext",
            });
        }
        let level = cts[0].level;
        self.needs(OPERATION, level)?;
        for (ct, plain) in cts.iter().zip(plains) {
            if plain.params != self.params.id() {
                return Err(Error::KeyMismatch {
                    operation: OPERATION,
                    got: format!("a plaintext of parameters {}", plain.params),
                    expected: format!("parameters {}", self.params.id()),
                });
            }
            if plain.level != level || ct.level != level {
                return Err(Error::Depth {
                    operation: OPERATION,
                    needed: plain.level,
                    left: ct.level,
                });
            }
        }
        let (mut factors, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        let mut constants: Vec<(&Ciphertext, &[f64])> = Vec::new();
        let scale = self.params.scale(level);
        let encoding = self.params.noise().encoding() / scale;
        let (mut error, mut bound) = (0.0, 0.0);
        for (ct, plain) in cts.iter().zip(plains) {
            error += plain.magnitude * ct.error + encoding * (ct.magnitude + ct.error);
            bound += plain.magnitude * ct.magnitude;
            match &plain.body {
                Body::Slots(poly) => {
                    factors.push(poly);
                    first.push(&ct.c0);
                    second.push(&ct.c1);
                }
                Body::Constant(residues) => constants.push((ct, residues)),
            }
        }
        let ring = self.params.ring();
        let mut sum = if factors.is_empty() {
            let basis = ring.basis(level);
            (Poly::zero(ring, basis), Poly::zero(ring, basis))
        } else {
            Poly::inner_product_pair(&factors, &first, &second)
        };
        for (ct, residues) in constants {
            sum.0.scale_add_assign(&ct.c0, residues);
            sum.1.scale_add_assign(&ct.c1, residues);
        }
        self.rescaled(sum, level, error, bound)
    }

    fn mul_scalar(&self, ct: &Ciphertext, value: f64) -> Result<Ciphertext> {
        self.guard("mul_scalar", &[ct])?;
        self.needs("mul_scalar", ct.level)?;
        self.scaled_to("mul_scalar", ct, value, ct.level - 1)
    }

    fn mul_scalar_to(&self, ct: &Ciphertext, value: f64, depth: usize) -> Result<Ciphertext> {
        self.guard("mul_scalar", &[ct])?;
        self.scaled_to("mul_scalar", ct, value, depth)
    }
}
