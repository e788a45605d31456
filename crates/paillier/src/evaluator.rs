//! Everything that a server does: parameters and the public key in one cheap handle, and no secret.
//!
//! Results of computations are deterministic functions of their inputs: sums and products are not blinded anew. Whoever
//! sees inputs and result can check a guess of the weights against them, and the bounds that a result carries tell the sum
//! of the absolute weights. A result that leaves the server for others than its key's owner, or whose weights the owner may
//! not learn from the bounds, goes through [`Evaluator::rerandomize`] or [`Evaluator::sanitize`].

use crate::arith::limbs::to_biguint;
use crate::ciphertext::Ciphertext;
use crate::codec::{self, DECODING_ERROR, Weight};
use crate::group::Element;
use crate::keys::{self, Blinding};
use crate::params::{Params, invalid};
use cipherblas_scheme::bounds::{add_up, mul_up};
use cipherblas_scheme::capability::{check_pairs, check_period};
use cipherblas_scheme::hedge::hedged;
use cipherblas_scheme::wire::{KeyId, ParameterId};
use cipherblas_scheme::{
    Add, AddPlain, Combine, Error, ErrorBound, MulPlain, Result, Scheme, WeightMatrix,
};
use num_bigint::{BigInt, BigUint};
use rand::CryptoRng;

/// Weights beyond this are not meant.
const MAX_WEIGHT: f64 = (1u64 << 60) as f64;

/// Computes on ciphertexts. Cloning is two reference counts.
#[derive(Clone, Debug)]
pub struct Evaluator {
    pub(crate) params: Params,
    pub(crate) key: keys::PublicKey,
    pub(crate) id: KeyId,
    pub(crate) blinding: Blinding,
}

/// A weight made ready for products with ciphertexts of one depth.
#[derive(Clone, Debug)]
pub struct Plaintext {
    weight: Weight,
    depth: usize,
    params: ParameterId,
}

impl Plaintext {
    /// The depth it was prepared for.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// That a ciphertext belongs to these parameters and this key.
pub(crate) fn check_ids(
    operation: &'static str,
    ct: &Ciphertext,
    params: &Params,
    key: KeyId,
) -> Result<()> {
    let mismatch = |got, expected| {
        Err(Error::KeyMismatch {
            operation,
            got,
            expected,
        })
    };
    if ct.params != params.id() {
        return mismatch(
            format!("a ciphertext of parameters {}", ct.params),
            format!("parameters {}", params.id()),
        );
    }
    if ct.key != key {
        return mismatch(
            format!("a ciphertext under key {}", ct.key),
            format!("key {key}"),
        );
    }
    Ok(())
}

/// The public bounds of a result.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    magnitude: f64,
    error: f64,
}

impl Bounds {
    const ZERO: Self = Self {
        magnitude: 0.0,
        error: 0.0,
    };
    fn of(ct: &Ciphertext) -> Self {
        Self {
            magnitude: ct.magnitude,
            error: ct.error,
        }
    }
    fn plus(self, other: Self) -> Self {
        Self {
            magnitude: add_up(self.magnitude, other.magnitude),
            error: add_up(self.error, other.error),
        }
    }
    /// Of the product with a rounded weight `w'`: `|w' (x + e) - w x| <= |w' - w| |x| + |w'| |e|`.
    fn times(self, weight: &Weight) -> Self {
        let rounded = add_up(weight.magnitude, weight.rounding);
        Self {
            magnitude: mul_up(weight.magnitude, self.magnitude),
            error: add_up(
                mul_up(weight.rounding, self.magnitude),
                mul_up(rounded, self.error),
            ),
        }
    }
}

fn check_weights(weights: &[f64]) -> Result<()> {
    codec::check(weights, MAX_WEIGHT, "scale the weights")
}

fn check_columns(expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Shape {
        operation: "combine",
        got: format!("{got} ciphertexts"),
        expected: format!("{expected}, one for each column of the weights"),
        hint: "one ciphertext for each column of the weights",
    })
}

impl Evaluator {
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
    /// Id of the key whose ciphertexts it computes on.
    pub fn key_id(&self) -> KeyId {
        self.id
    }
    /// The modulus and its arithmetic.
    pub fn key(&self) -> &keys::PublicKey {
        &self.key
    }
    /// The same evaluator with another way to blind: for [`rerandomize`](Self::rerandomize).
    #[must_use]
    pub fn with_blinding(mut self, blinding: Blinding) -> Self {
        self.blinding = blinding;
        self
    }

    /// Blinds a ciphertext anew: it decrypts to the same, and cannot be linked to what it was computed from by whoever has
    /// no key. Depth and bounds stay. Cost: as an encryption.
    ///
    /// # Errors
    /// `KeyMismatch`; `Parameter` if the generator is broken.
    pub fn rerandomize<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ciphertext,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        self.guard("rerandomize", &[ct])?;
        let bytes = self.key.element_to_biguint(&ct.element).to_bytes_le();
        let mut own = hedged(
            "cipherblas 2026 paillier blinding",
            rng,
            &[&self.id.0, &bytes],
        );
        Ok(Ciphertext {
            element: self.key.rerandomize(&ct.element, self.blinding, &mut own)?,
            ..ct.clone()
        })
    }

    /// Circuit privacy: blinds anew and replaces the bounds, which tell about the weights, by public ones, say from the plan
    /// of the computation. The result tells a semi-honest owner of an honestly generated key the values and the depth, and
    /// nothing else about how they were computed. Always blinded by [`Blinding::Full`], whatever the evaluator's choice.
    /// An owner who encrypts what it should not, powers of a large number under a small declared bound say, reads weights
    /// from the values themselves.
    ///
    /// # Errors
    /// As [`rerandomize`](Self::rerandomize); `Parameter` for bounds below those of the ciphertext or beyond the parameters'.
    pub fn sanitize<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ciphertext,
        magnitude: f64,
        error: f64,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        let largest = self.params.max_value();
        if !(magnitude >= ct.magnitude && magnitude <= largest) {
            return Err(invalid(
                "magnitude",
                magnitude,
                format!(
                    "at least the ciphertext's, {}, and at most {largest}",
                    ct.magnitude
                ),
                "take the bound of the whole computation, over all weights that are possible",
            ));
        }
        let largest = self.params.max_error();
        if !(error >= ct.error && error <= largest) {
            return Err(invalid(
                "error",
                error,
                format!(
                    "at least the ciphertext's, {}, and at most {largest}",
                    ct.error
                ),
                "take the bound of the whole computation, over all weights that are possible",
            ));
        }
        // The owner takes discrete logarithms modulo the factors: to it, a short exponent hides nothing.
        let blinded = self
            .clone()
            .with_blinding(Blinding::Full)
            .rerandomize(ct, rng)?;
        Ok(Ciphertext {
            magnitude,
            error,
            ..blinded
        })
    }

    pub(crate) fn guard(&self, operation: &'static str, cts: &[&Ciphertext]) -> Result<()> {
        cts.iter()
            .try_for_each(|ct| check_ids(operation, ct, &self.params, self.id))
    }
    fn needs(operation: &'static str, left: usize) -> Result<()> {
        if left > 0 {
            return Ok(());
        }
        Err(Error::Depth {
            operation,
            needed: 1,
            left,
        })
    }
    /// Refuses bounds that a slot does not hold. Called before anything is computed.
    fn fits(&self, operation: &'static str, bounds: Bounds) -> Result<()> {
        let overflow = |bound: String, capacity: f64| {
            Err(Error::Overflow {
                operation,
                bound,
                capacity: capacity.to_string(),
            })
        };
        if bounds.magnitude > self.params.max_value() {
            return overflow(bounds.magnitude.to_string(), self.params.max_value());
        }
        if bounds.error > self.params.max_error() {
            return overflow(
                format!("an error of {}", bounds.error),
                self.params.max_error(),
            );
        }
        Ok(())
    }
    fn result(&self, element: Element, depth: usize, bounds: Bounds) -> Ciphertext {
        Ciphertext {
            element,
            depth,
            error: bounds.error,
            magnitude: bounds.magnitude,
            params: self.params.id(),
            key: self.id,
        }
    }
    /// The element of `ct` at a smaller depth: multiplied by a power of two.
    fn lowered(&self, element: &Element, from: usize, to: usize) -> Result<Element> {
        if from == to {
            return Ok(element.clone());
        }
        let shift = self.params.exponent(to) - self.params.exponent(from);
        self.key.scale(element, &(BigInt::from(1) << shift))
    }
    /// The elements of all at the smallest depth among them.
    fn leveled(&self, cts: &[&Ciphertext]) -> Result<(Vec<Element>, usize)> {
        let depth = cts.iter().map(|ct| ct.depth).min().unwrap_or(0);
        let elements = cts
            .iter()
            .map(|ct| self.lowered(&ct.element, ct.depth, depth))
            .collect::<Result<_>>()?;
        Ok((elements, depth))
    }
    fn encode_public(&self, values: &[f64], depth: usize) -> BigUint {
        let words = codec::encode(&self.params, values, depth, &self.key.n().to_u64_digits());
        to_biguint(&words)
    }
    fn scaled(
        &self,
        operation: &'static str,
        ct: &Ciphertext,
        value: f64,
        depth: usize,
    ) -> Result<Ciphertext> {
        check_weights(&[value])?;
        let bits = self.params.exponent(depth) - self.params.exponent(ct.depth);
        let weight = Weight::new(value, bits);
        let bounds = Bounds::of(ct).times(&weight);
        self.fits(operation, bounds)?;
        let element = self.key.scale(&ct.element, &weight.integer)?;
        Ok(self.result(element, depth, bounds))
    }
}

impl Scheme for Evaluator {
    type Value = f64;
    type Ciphertext = Ciphertext;
    fn name(&self) -> &'static str {
        "paillier"
    }
    fn slots(&self) -> usize {
        self.params.slots()
    }
    fn depth(&self, ct: &Ciphertext) -> usize {
        ct.depth
    }
    fn max_depth(&self) -> usize {
        self.params.depth()
    }
    /// Multiplies by `2^(fraction_bits * difference)`: exact.
    fn lower_to(&self, ct: &Ciphertext, depth: usize) -> Result<Ciphertext> {
        self.guard("lower_to", &[ct])?;
        if depth > ct.depth {
            return Err(Error::Depth {
                operation: "lower_to",
                needed: depth,
                left: ct.depth,
            });
        }
        let element = self.lowered(&ct.element, ct.depth, depth)?;
        Ok(self.result(element, depth, Bounds::of(ct)))
    }
    fn check(&self, ct: &Ciphertext) -> Result<()> {
        self.guard("check", &[ct])
    }
}

impl ErrorBound for Evaluator {
    /// Worst case, no probability: roundings to fixed point, propagated exactly, and the rounding of the decoded double.
    fn error_bound(&self, ct: &Ciphertext) -> f64 {
        let decoded = add_up(ct.magnitude, ct.error);
        add_up(ct.error, mul_up(decoded, DECODING_ERROR))
    }
    fn magnitude_bound(&self, ct: &Ciphertext) -> f64 {
        ct.magnitude
    }
}

impl Add for Evaluator {
    /// One product modulo `n^2`.
    ///
    /// # Errors
    /// `KeyMismatch`; `Overflow` by the declared bounds.
    fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.guard("add", &[a, b])?;
        let bounds = Bounds::of(a).plus(Bounds::of(b));
        self.fits("add", bounds)?;
        // The deeper one is copied, brought down, and added to.
        let (a, b) = if a.depth < b.depth { (b, a) } else { (a, b) };
        let mut sum = self.lowered(&a.element, a.depth, b.depth)?;
        self.key.add_assign(&mut sum, &b.element);
        Ok(self.result(sum, b.depth, bounds))
    }
    /// An inversion and a product.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.guard("sub", &[a, b])?;
        let bounds = Bounds::of(a).plus(Bounds::of(b));
        self.fits("sub", bounds)?;
        let (elements, depth) = self.leveled(&[a, b])?;
        let difference = self.key.sub(&elements[0], &elements[1])?;
        Ok(self.result(difference, depth, bounds))
    }
    fn negate(&self, a: &Ciphertext) -> Result<Ciphertext> {
        self.guard("negate", &[a])?;
        let element = self.key.negate(&a.element)?;
        Ok(self.result(element, a.depth, Bounds::of(a)))
    }
    /// One product for each term; terms of one depth are added up before they are brought to a smaller one.
    fn sum(&self, terms: &[&Ciphertext]) -> Result<Ciphertext> {
        self.guard("sum", terms)?;
        check_pairs("sum", terms.len(), terms.len())?;
        let bounds = terms
            .iter()
            .fold(Bounds::ZERO, |sum, ct| sum.plus(Bounds::of(ct)));
        self.fits("sum", bounds)?;
        let mut order: Vec<&&Ciphertext> = terms.iter().collect();
        order.sort_by_key(|ct| std::cmp::Reverse(ct.depth));
        let (mut sum, mut depth) = (order[0].element.clone(), order[0].depth);
        for ct in &order[1..] {
            if ct.depth < depth {
                sum = self.lowered(&sum, depth, ct.depth)?;
                depth = ct.depth;
            }
            self.key.add_assign(&mut sum, &ct.element);
        }
        Ok(self.result(sum, depth, bounds))
    }
}

impl AddPlain for Evaluator {
    /// Two products modulo `n`; the plain values are not blinded.
    ///
    /// # Errors
    /// `Shape`, `Value`, `KeyMismatch`; `Overflow` by the declared bound and the values.
    fn add_plain(&self, ct: &Ciphertext, values: &[f64]) -> Result<Ciphertext> {
        self.guard("add_plain", &[ct])?;
        check_period("add_plain", values.len(), self.slots())?;
        codec::check(values, self.params.max_value(), "raise `integer_bits`")?;
        let bits = self.params.exponent(ct.depth);
        let plain = values.iter().fold(Bounds::ZERO, |worst, &x| {
            let encoded = Weight::new(x, bits);
            Bounds {
                magnitude: worst.magnitude.max(encoded.magnitude),
                error: worst.error.max(encoded.rounding),
            }
        });
        let bounds = Bounds::of(ct).plus(plain);
        self.fits("add_plain", bounds)?;
        let element = self
            .key
            .add_plain(&ct.element, &self.encode_public(values, ct.depth))?;
        Ok(self.result(element, ct.depth, bounds))
    }
}

impl MulPlain for Evaluator {
    type Plaintext = Plaintext;

    /// All values have to be equal: slots of one plaintext are multiplied together.
    ///
    /// # Errors
    /// `Unsupported` for different values in different slots; `Shape`, `Depth`, `Value`.
    fn prepare(&self, values: &[f64], depth: usize) -> Result<Plaintext> {
        check_period("mul_plain", values.len(), self.slots())?;
        if depth > self.params.depth() {
            return Err(Error::Depth {
                operation: "prepare",
                needed: depth,
                left: self.params.depth(),
            });
        }
        Self::needs("mul_plain", depth)?;
        check_weights(values)?;
        if values.iter().any(|x| *x != values[0]) {
            return Err(Error::Unsupported {
                scheme: "paillier",
                operation: "products with different values in different slots",
                hint: "build the parameters with `slots(1)`, or pack so that a ciphertext needs one weight (`combine`)",
            });
        }
        Ok(Plaintext {
            weight: Weight::new(values[0], self.params.fraction_bits()),
            depth,
            params: self.params.id(),
        })
    }

    /// One multi-exponentiation.
    ///
    /// # Errors
    /// As the trait says; `KeyMismatch`; `Overflow` by the declared bounds and the weights.
    fn mul_prepared(&self, cts: &[&Ciphertext], plains: &[&Plaintext]) -> Result<Ciphertext> {
        const OPERATION: &str = "mul_prepared";
        self.guard(OPERATION, cts)?;
        check_pairs(OPERATION, cts.len(), plains.len())?;
        let depth = cts[0].depth;
        Self::needs(OPERATION, depth)?;
        let mut bounds = Bounds::ZERO;
        for (ct, plain) in cts.iter().zip(plains) {
            if plain.params != self.params.id() {
                return Err(Error::KeyMismatch {
                    operation: OPERATION,
                    got: format!("a plaintext of parameters {}", plain.params),
                    expected: format!("parameters {}", self.params.id()),
                });
            }
            if plain.depth != depth || ct.depth != depth {
                return Err(Error::Depth {
                    operation: OPERATION,
                    needed: plain.depth,
                    left: ct.depth,
                });
            }
            bounds = bounds.plus(Bounds::of(ct).times(&plain.weight));
        }
        self.fits(OPERATION, bounds)?;
        let elements: Vec<&Element> = cts.iter().map(|ct| &ct.element).collect();
        let row = plains
            .iter()
            .map(|plain| plain.weight.integer.clone())
            .enumerate()
            .collect();
        let element = self.key.multi_exp(&elements, &[row])?.remove(0);
        Ok(self.result(element, depth - 1, bounds))
    }

    /// Integers spend no depth; other values one.
    ///
    /// # Errors
    /// `Depth`, `Value`, `KeyMismatch`, `Overflow`.
    fn mul_scalar(&self, ct: &Ciphertext, value: f64) -> Result<Ciphertext> {
        self.guard("mul_scalar", &[ct])?;
        check_weights(&[value])?;
        let depth = if value.fract() == 0.0 {
            ct.depth
        } else {
            Self::needs("mul_scalar", ct.depth)?;
            ct.depth - 1
        };
        self.scaled("mul_scalar", ct, value, depth)
    }

    /// One power. The weight is rounded to `fraction_bits` for each level given up: finer than by a product and `lower_to`.
    fn mul_scalar_to(&self, ct: &Ciphertext, value: f64, depth: usize) -> Result<Ciphertext> {
        self.guard("mul_scalar", &[ct])?;
        if depth >= ct.depth {
            return Err(Error::Depth {
                operation: "mul_scalar",
                needed: depth.saturating_add(1),
                left: ct.depth,
            });
        }
        self.scaled("mul_scalar", ct, value, depth)
    }
}

impl Combine for Evaluator {
    /// Simultaneous multi-exponentiation, rows in parallel: weights are rounded to multiples of `2^-fraction_bits`; zeros
    /// cost nothing.
    ///
    /// # Errors
    /// As the trait says; `KeyMismatch`; `Overflow` by the declared bounds and the weights of a row.
    fn combine(
        &self,
        weights: WeightMatrix<'_, f64>,
        cts: &[&Ciphertext],
    ) -> Result<Vec<Ciphertext>> {
        const OPERATION: &str = "combine";
        self.guard(OPERATION, cts)?;
        check_columns(weights.cols(), cts.len())?;
        check_weights(weights.data())?;
        let depth = cts.iter().map(|ct| ct.depth).min().unwrap_or(0);
        Self::needs(OPERATION, depth)?;
        let mut bounds = Vec::with_capacity(weights.rows());
        let mut rows = Vec::with_capacity(weights.rows());
        for r in 0..weights.rows() {
            let mut sum = Bounds::ZERO;
            let mut row = Vec::new();
            for (j, (&w, ct)) in weights.row(r).iter().zip(cts).enumerate() {
                if w == 0.0 {
                    continue;
                }
                let weight = Weight::new(w, self.params.fraction_bits());
                sum = sum.plus(Bounds::of(ct).times(&weight));
                row.push((j, weight.integer));
            }
            self.fits(OPERATION, sum)?;
            bounds.push(sum);
            rows.push(row);
        }
        let (elements, depth) = self.leveled(cts)?;
        let elements: Vec<&Element> = elements.iter().collect();
        let products = self.key.multi_exp(&elements, &rows)?;
        Ok(products
            .into_iter()
            .zip(bounds)
            .map(|(element, bounds)| self.result(element, depth - 1, bounds))
            .collect())
    }
}
