//! Plain operands: sums at the ciphertext's modulus, products with the plaintext as an integer polynomial.

use super::combine::centred;
use super::{Evaluator, sum_up};
use crate::ciphertext::{Ciphertext, Part};
use crate::keys::check_values;
use crate::noise::{add_up, mul_up};
use cipherblas_rlwe::{Ntt, Poly, pairs};
use cipherblas_scheme::capability::check_pairs;
use cipherblas_scheme::{AddPlain, Error, MulPlain, Result, Value};

/// [`mul_scalar`](MulPlain::mul_scalar) by integers up to this absolute value spends no depth: the noise bound grows by
/// the factor instead, as in a sum of as many terms. The rule is fixed: it depends on the factor alone.
pub const MAX_FREE_FACTOR: i64 = 16;

/// Values encoded for products with ciphertexts of one depth.
#[derive(Clone, Debug)]
pub struct Plaintext {
    body: Body,
    level: usize,
    /// Bound on the values.
    magnitude: f64,
    /// Bound on the polynomials in the canonical embedding.
    norm: f64,
    params: cipherblas_scheme::wire::ParameterId,
}

#[derive(Clone, Debug)]
enum Body {
    /// The same value in every slot.
    Constant(i64),
    /// One polynomial for each plaintext modulus.
    Slots(Vec<Poly<Ntt>>),
}

impl Plaintext {
    /// The depth it was prepared for.
    pub fn depth(&self) -> usize {
        self.level
    }
}

fn magnitude(values: &[i64]) -> f64 {
    values.iter().fold(0.0, |m, x| m.max(x.magnitude()))
}

impl Evaluator {
    fn check_plain(&self, operation: &'static str, values: &[i64]) -> Result<()> {
        check_values(
            operation,
            self.params.slots(),
            values,
            self.params.max_value(),
        )
    }

    /// `value`, centred modulo plaintext modulus `i`, as a residue for each prime of `level`.
    fn residues(&self, value: i64, i: usize, level: usize) -> Vec<f64> {
        let ring = self.params.ring();
        let value = centred(value, self.params.encoders()[i].modulus().value());
        let primes = &ring.moduli()[..ring.basis(level).len()];
        primes.iter().map(|m| m.residue_i64(value)).collect()
    }

    /// Every part times `value`.
    fn scaled(&self, ct: &Ciphertext, value: i64) -> Vec<Part> {
        ct.parts
            .iter()
            .enumerate()
            .map(|(i, part)| {
                let residues = self.residues(value, i, ct.level);
                let (mut c0, mut c1) = (part.c0.clone(), part.c1.clone());
                c0.scale_assign(&residues);
                c1.scale_assign(&residues);
                (c0, c1).into()
            })
            .collect()
    }

    /// `ct * value` without spending depth.
    fn scaled_free(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        value: i64,
    ) -> Result<Ciphertext> {
        let bounds = self.bounds(
            operation,
            ct.level,
            mul_up(self.weight_norm(value), ct.noise),
            mul_up(value.magnitude(), ct.magnitude),
        )?;
        Ok(self.assemble(bounds, self.scaled(ct, value)))
    }
}

impl AddPlain for Evaluator {
    fn add_plain(&self, ct: &Ciphertext, values: &[i64]) -> Result<Ciphertext> {
        const OPERATION: &str = "add_plain";
        self.guard(OPERATION, &[ct])?;
        self.check_plain(OPERATION, values)?;
        // The values of a period k make 2k coefficients.
        let encoding = self.params.noise().encoding(2 * values.len());
        let bounds = self.bounds(
            OPERATION,
            ct.level,
            add_up(ct.noise, encoding),
            add_up(ct.magnitude, magnitude(values)),
        )?;
        let parts = ct
            .parts
            .iter()
            .zip(self.params.encoders())
            .map(|(part, encoder)| {
                let message = encoder.scale_up(&encoder.encode(values)?, ct.level);
                let mut c0 = message.into_ntt();
                c0.add_assign(&part.c0);
                Ok((c0, part.c1.clone()).into())
            })
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }
}

impl MulPlain for Evaluator {
    type Plaintext = Plaintext;

    fn prepare(&self, values: &[i64], depth: usize) -> Result<Plaintext> {
        if depth > self.params.depth() {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth,
                left: self.params.depth(),
            });
        }
        self.needs("mul_plain", depth)?;
        self.check_plain("mul_plain", values)?;
        let (body, norm) = if let [value] = values {
            (Body::Constant(*value), self.weight_norm(*value))
        } else {
            let mut norm = 0.0f64;
            let mut polys = Vec::with_capacity(self.params.encoders().len());
            for encoder in self.params.encoders() {
                let coefficients = encoder.encode(values)?;
                norm = norm.max(sum_up(coefficients.iter().map(|c| c.abs())));
                polys.push(encoder.lift(&coefficients, depth)?);
            }
            (Body::Slots(polys), norm)
        };
        Ok(Plaintext {
            body,
            level: depth,
            magnitude: magnitude(values),
            norm,
            params: self.params.id(),
        })
    }

    fn mul_prepared(&self, cts: &[&Ciphertext], plains: &[&Plaintext]) -> Result<Ciphertext> {
        const OPERATION: &str = "mul_prepared";
        self.guard(OPERATION, cts)?;
        check_pairs(OPERATION, cts.len(), plains.len())?;
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
        let terms = || cts.iter().zip(plains);
        let bounds = self.switched_bounds(
            OPERATION,
            level,
            sum_up(terms().map(|(ct, plain)| mul_up(plain.norm, ct.noise))),
            sum_up(terms().map(|(ct, plain)| mul_up(plain.magnitude, ct.magnitude))),
        )?;
        let ring = self.params.ring();
        let parts = (0..self.params.plaintext_moduli().len())
            .map(|i| {
                let (mut factors, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
                let mut constants: Vec<(&Part, i64)> = Vec::new();
                for (ct, plain) in terms() {
                    let part = &ct.parts[i];
                    match &plain.body {
                        Body::Slots(polys) => {
                            factors.push(&polys[i]);
                            first.push(&part.c0);
                            second.push(&part.c1);
                        }
                        Body::Constant(value) => constants.push((part, *value)),
                    }
                }
                let mut sum = if factors.is_empty() {
                    let basis = ring.basis(level);
                    (Poly::zero(ring, basis), Poly::zero(ring, basis))
                } else {
                    Poly::inner_product_pair(&factors, &first, &second)
                };
                for (part, value) in constants {
                    let residues = self.residues(value, i, level);
                    sum.0.scale_add_assign(&part.c0, &residues);
                    sum.1.scale_add_assign(&part.c1, &residues);
                }
                Ok(pairs::rescale((&sum.0, &sum.1))?.into())
            })
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }

    /// Integers up to [`MAX_FREE_FACTOR`] spend no depth, larger ones one level.
    fn mul_scalar(&self, ct: &Ciphertext, value: i64) -> Result<Ciphertext> {
        const OPERATION: &str = "mul_scalar";
        self.guard(OPERATION, &[ct])?;
        self.check_plain(OPERATION, &[value])?;
        if value.unsigned_abs() <= MAX_FREE_FACTOR as u64 {
            return self.scaled_free(OPERATION, ct, value);
        }
        self.needs(OPERATION, ct.level)?;
        self.mul_scalar_to(ct, value, ct.level - 1)
    }

    fn mul_scalar_to(&self, ct: &Ciphertext, value: i64, depth: usize) -> Result<Ciphertext> {
        const OPERATION: &str = "mul_scalar";
        self.guard(OPERATION, &[ct])?;
        if depth >= ct.level {
            return Err(Error::Depth {
                operation: OPERATION,
                needed: depth + 1,
                left: ct.level,
            });
        }
        self.check_plain(OPERATION, &[value])?;
        let lowered;
        let ct = if ct.level > depth + 1 {
            lowered = self.lowered(OPERATION, ct, depth + 1)?;
            &lowered
        } else {
            ct
        };
        let bounds = self.switched_bounds(
            OPERATION,
            ct.level,
            mul_up(self.weight_norm(value), ct.noise),
            mul_up(value.magnitude(), ct.magnitude),
        )?;
        let parts = self
            .scaled(ct, value)
            .iter()
            .map(|part| Ok(pairs::rescale(part.halves())?.into()))
            .collect::<Result<_>>()?;
        Ok(self.assemble(bounds, parts))
    }
}
