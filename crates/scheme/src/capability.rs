//! Small traits, one for each thing that a scheme can do; a kernel's bounds state its needs.
//!
//! All are implemented by the scheme's *evaluator*: a cheap handle (`Clone` is a reference count) on parameters and
//! evaluation keys. An evaluator holds no secret. [`Encrypt`] and [`Decrypt`] are implemented by keys.
//!
//! # Slots
//! A ciphertext holds [`Scheme::slots`] values, always a power of two (1 for a scheme without packing). A plain operand
//! is a slice whose length is a power of two dividing `slots()`; it is **repeated periodically** to fill the slots.
//! A slice of length 1 is therefore a constant. Any other length is [`Error::Shape`](crate::Error::Shape).
//!
//! # Depth
//! [`Scheme::depth`] is the number of multiplications a ciphertext can still take. Operands of different depth are
//! brought to the smaller one silently, at no loss. Scales are never seen.

use crate::Result;
use rand::CryptoRng;
use std::fmt::Debug;

/// A plain value that a scheme can encrypt.
pub trait Value: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// The neutral element of addition, used for padding.
    const ZERO: Self;
    /// The neutral element of multiplication, used for masks.
    const ONE: Self;
    /// A bound on the absolute value, for the bounds that schemes and plans keep: exact, or rounded up.
    fn magnitude(self) -> f64;
    /// `-self`, unless it is out of range.
    fn checked_neg(self) -> Option<Self>;
}

impl Value for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn magnitude(self) -> f64 {
        self.abs()
    }
    fn checked_neg(self) -> Option<Self> {
        Some(-self)
    }
}

impl Value for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    fn magnitude(self) -> f64 {
        let size = self.unsigned_abs();
        let near = size as f64;
        // The conversion rounds to the nearest double: perhaps down.
        if (near as u128) < u128::from(size) {
            near.next_up()
        } else {
            near
        }
    }
    fn checked_neg(self) -> Option<Self> {
        i64::checked_neg(self)
    }
}

/// Common ground of all schemes: the types, the slot count, the depth.
pub trait Scheme: Clone + Send + Sync + 'static {
    /// Plain values.
    type Value: Value;
    /// Encrypted values, [`slots`](Self::slots) to a ciphertext.
    type Ciphertext: Clone + Send + Sync + 'static;

    /// The scheme's name, for messages: `"ckks"`.
    fn name(&self) -> &'static str;
    /// Values in a ciphertext: a power of two.
    fn slots(&self) -> usize;
    /// Multiplications that `ct` can still take.
    fn depth(&self, ct: &Self::Ciphertext) -> usize;
    /// Multiplications that a fresh ciphertext can take.
    fn max_depth(&self) -> usize;
    /// Gives up depth (never gains it): smaller and faster to compute on. Cost: a copy, plus one exact rescaling
    /// where the scheme needs it.
    ///
    /// # Errors
    /// `Depth` if `depth` exceeds what is left.
    fn lower_to(&self, ct: &Self::Ciphertext, depth: usize) -> Result<Self::Ciphertext>;
    /// Checks that `ct` belongs to this evaluator's parameters and key.
    ///
    /// # Errors
    /// `KeyMismatch`.
    fn check(&self, ct: &Self::Ciphertext) -> Result<()>;
}

/// Ciphertext + ciphertext. No depth, no keys.
pub trait Add: Scheme {
    /// `a + b`, slot by slot.
    fn add(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// `a - b`, slot by slot.
    fn sub(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// `-a`.
    fn negate(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// Sum of at least one ciphertext.
    ///
    /// # Errors
    /// `Shape` for an empty slice.
    fn sum(&self, terms: &[&Self::Ciphertext]) -> Result<Self::Ciphertext> {
        let (first, rest) = terms.split_first().ok_or_else(|| crate::Error::Shape {
            operation: "sum",
            got: "no ciphertext".into(),
            expected: "at least one".into(),
            hint: "an empty sum has no shape",
        })?;
        rest.iter()
            .try_fold((*first).clone(), |acc, ct| self.add(&acc, ct))
    }
}

/// Ciphertext + plain values. No depth, no keys.
pub trait AddPlain: Scheme {
    /// `ct + values`, the values repeated periodically (see the [module page](self)).
    fn add_plain(&self, ct: &Self::Ciphertext, values: &[Self::Value]) -> Result<Self::Ciphertext>;
}

/// Ciphertext x plain values. One level, no keys.
pub trait MulPlain: Scheme {
    /// Values made ready for multiplication with ciphertexts of one depth.
    type Plaintext: Clone + Send + Sync + 'static;

    /// Encodes `values` (repeated periodically) for multiplication with a ciphertext at `depth`.
    fn prepare(&self, values: &[Self::Value], depth: usize) -> Result<Self::Plaintext>;
    /// `sum_i cts[i] * plains[i]`, slot by slot, with a single rescaling. All ciphertexts at the depth the plaintexts
    /// were prepared for. Result: that depth - 1.
    ///
    /// # Errors
    /// `Shape` if lengths differ or are zero, `Depth` if none is left or a plaintext was prepared for another depth.
    fn mul_prepared(
        &self,
        cts: &[&Self::Ciphertext],
        plains: &[&Self::Plaintext],
    ) -> Result<Self::Ciphertext>;
    /// `ct * values`, slot by slot.
    fn mul_plain(&self, ct: &Self::Ciphertext, values: &[Self::Value]) -> Result<Self::Ciphertext> {
        let plain = self.prepare(values, self.depth(ct))?;
        self.mul_prepared(&[ct], &[&plain])
    }
    /// `ct * value`. For exact schemes, and for integers of small absolute value, implementations may spend no depth.
    fn mul_scalar(&self, ct: &Self::Ciphertext, value: Self::Value) -> Result<Self::Ciphertext> {
        self.mul_plain(ct, &[value])
    }
    /// `ct * value` brought to `depth`, which must be below the ciphertext's: one rescaling however far apart they are.
    ///
    /// # Errors
    /// `Depth` if `depth` is not below what is left; `Value`.
    fn mul_scalar_to(
        &self,
        ct: &Self::Ciphertext,
        value: Self::Value,
        depth: usize,
    ) -> Result<Self::Ciphertext> {
        self.lower_to(&self.mul_scalar(ct, value)?, depth)
    }
}

/// A row-major matrix of plain weights.
#[derive(Clone, Copy, Debug)]
pub struct WeightMatrix<'a, V> {
    rows: usize,
    cols: usize,
    data: &'a [V],
}

impl<'a, V: Value> WeightMatrix<'a, V> {
    /// `data[r * cols + c]` is the weight in row `r`, column `c`.
    ///
    /// # Errors
    /// `Shape` if the length is not `rows * cols`, or a dimension is zero.
    pub fn new(rows: usize, cols: usize, data: &'a [V]) -> Result<Self> {
        if rows == 0 || cols == 0 || rows.checked_mul(cols) != Some(data.len()) {
            return Err(crate::Error::Shape {
                operation: "weight matrix",
                got: format!("{rows} x {cols} with {} values", data.len()),
                expected: "rows x cols values, neither zero".into(),
                hint: "pass the weights in row-major order",
            });
        }
        Ok(Self { rows, cols, data })
    }
    /// Number of rows: outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns: inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// One row.
    ///
    /// # Panics
    /// If `r >= rows`.
    pub fn row(&self, r: usize) -> &'a [V] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }
    /// All weights, row-major.
    pub fn data(&self) -> &'a [V] {
        self.data
    }
}

/// A plain matrix times a vector of ciphertexts. One level, no keys, no rotations: the heart of the linear algebra.
pub trait Combine: Scheme {
    /// `out[k] = sum_j weights[k][j] * cts[j]`: every slot of `cts[j]` is multiplied by the same weight.
    ///
    /// # Errors
    /// `Shape` if `cts.len() != weights.cols()`; `Depth`; `Value` for weights that cannot be encoded.
    fn combine(
        &self,
        weights: WeightMatrix<'_, Self::Value>,
        cts: &[&Self::Ciphertext],
    ) -> Result<Vec<Self::Ciphertext>>;
}

/// Ciphertext x ciphertext. One level; needs the relinearization key.
pub trait Mul: Scheme {
    /// `a * b`, slot by slot.
    fn mul(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// `a * a`: cheaper than `mul`.
    fn square(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// `sum_i a[i] * b[i]` with a single relinearization and a single rescaling.
    ///
    /// # Errors
    /// As `mul`, and `Shape` if lengths differ or are zero.
    fn mul_sum(&self, a: &[&Self::Ciphertext], b: &[&Self::Ciphertext])
    -> Result<Self::Ciphertext>;
}

/// Cyclic rotation of the slots. No depth; needs the Galois key of the step.
pub trait Rotate: Scheme {
    /// Slot `i` of the result is slot `i + step` (modulo `slots()`) of `ct`: positive steps move values to the left.
    /// A step that is a multiple of `slots()` needs no key.
    fn rotate(&self, ct: &Self::Ciphertext, step: i64) -> Result<Self::Ciphertext>;
    /// Several rotations of one ciphertext, sharing (hoisting) the decomposition.
    fn rotate_many(&self, ct: &Self::Ciphertext, steps: &[i64]) -> Result<Vec<Self::Ciphertext>> {
        steps.iter().map(|&s| self.rotate(ct, s)).collect()
    }
    /// `sum_i rotate(cts[i], steps[i])`, sharing the division by the special modulus.
    ///
    /// # Errors
    /// As `rotate`, and `Shape` if lengths differ or are zero.
    fn rotate_sum(&self, cts: &[&Self::Ciphertext], steps: &[i64]) -> Result<Self::Ciphertext>;
    /// Whether the key for `step` is held (`true` for steps that need none).
    fn can_rotate(&self, step: i64) -> bool;
}

/// A bound on what a decrypted result differs from the exact one.
pub trait ErrorBound: Scheme {
    /// Bound on the absolute error of every slot, in units of the values, holding except with probability 2^-40 per
    /// ciphertext. It depends on public data only: the operations done and the magnitudes declared at encryption.
    fn error_bound(&self, ct: &Self::Ciphertext) -> f64;
    /// Declared bound on the absolute value of every slot.
    fn magnitude_bound(&self, ct: &Self::Ciphertext) -> f64;
}

/// Ciphertexts to bytes and back, inside the [envelope](crate::wire).
pub trait Wire: Scheme {
    /// Serializes one ciphertext, envelope included.
    fn write_ciphertext(&self, ct: &Self::Ciphertext) -> Vec<u8>;
    /// Reads and checks one ciphertext: parameters, key, lengths, every residue.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<Self::Ciphertext>;
}

/// A key that encrypts; several threads at a time may.
pub trait Encrypt: Sync {
    /// The evaluator type on the other side.
    type Scheme: Scheme;
    /// An evaluator without evaluation keys, for shapes, sums and serialization.
    fn scheme(&self) -> Self::Scheme;
    /// Encrypts `values`, repeated periodically, at the given depth and with the declared magnitude bound
    /// (public; `None`: the parameters' bound).
    ///
    /// # Errors
    /// `Shape` for a length that is not a power of two dividing the slots; `Value` for NaN, infinite, or larger than
    /// the bound; `Depth` if `depth` exceeds the parameters'.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[<Self::Scheme as Scheme>::Value],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<<Self::Scheme as Scheme>::Ciphertext>;
}

/// A key that decrypts; several threads at a time may.
pub trait Decrypt: Sync {
    /// The evaluator type on the other side.
    type Scheme: Scheme;
    /// All slots. For the key's owner: the low bits depend on the noise; see [`decrypt_shared`](Self::decrypt_shared)
    /// for results that leave the owner.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    fn decrypt(
        &self,
        ct: &<Self::Scheme as Scheme>::Ciphertext,
    ) -> Result<Vec<<Self::Scheme as Scheme>::Value>>;
    /// Whether [`decrypt_shared`](Self::decrypt_shared) would take this ciphertext, as one of `together` results: asked of all of
    /// them before the first, so that none is shared, and counted, where another is refused. By default nothing is.
    ///
    /// # Errors
    /// As `decrypt_shared`, but for what only decryption finds.
    fn check_shared(
        &self,
        ct: &<Self::Scheme as Scheme>::Ciphertext,
        bound: f64,
        together: usize,
    ) -> Result<()> {
        let _ = (ct, bound, together);
        Ok(())
    }
    /// All slots, with noise added so that the result can be shown to others (IND-CPA-D, eprint 2020/1533, 2022/816).
    ///
    /// The noise follows `bound`, the owner's own bound on the error of every slot. The bound that a ciphertext carries
    /// ([`ErrorBound`]) came with it: it is the word of whoever computed it, and may be passed here only if that party is
    /// trusted to have computed what it was asked to.
    ///
    /// # Errors
    /// As `decrypt`; `Parameter` when the key's query budget is used up, or the ciphertext itself declares a larger error.
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &<Self::Scheme as Scheme>::Ciphertext,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<<Self::Scheme as Scheme>::Value>>;
}

/// Checks the length of a plain operand that is repeated periodically to fill `slots` (see the [module page](self)).
///
/// # Errors
/// `Shape` unless `len` is a power of two dividing `slots`.
pub fn check_period(operation: &'static str, len: usize, slots: usize) -> Result<()> {
    // Slots are a power of two, so that every smaller power of two divides them.
    if len.is_power_of_two() && len <= slots {
        return Ok(());
    }
    Err(crate::Error::Shape {
        operation,
        got: format!("{len} plain values"),
        expected: format!("a power of two of them, at most {slots} (the slots)"),
        hint: "pad with zeros to a power of two",
    })
}

/// Checks that two lists of terms of a sum pair up.
///
/// # Errors
/// `Shape` if the lengths differ or are zero.
pub fn check_pairs(operation: &'static str, left: usize, right: usize) -> Result<()> {
    if left == right && left > 0 {
        return Ok(());
    }
    Err(crate::Error::Shape {
        operation,
        got: format!("{left} and {right} terms"),
        expected: "equally many, at least one".into(),
        hint: "an empty sum has no shape",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_never_below_the_value() {
        for (value, bound) in [
            (0, 0.0),
            (-7, 7.0),
            (i64::MIN, 9_223_372_036_854_775_808.0),
            (i64::MAX, 9_223_372_036_854_775_808.0),
            // 2^53 + 1 lies half way between two doubles, and is rounded to the even one, below.
            ((1 << 53) + 1, 9_007_199_254_740_994.0),
            (-(1 << 53) - 1, 9_007_199_254_740_994.0),
        ] {
            assert_eq!(value.magnitude(), bound, "{value}");
        }
        assert_eq!((-2.5f64).magnitude(), 2.5);
    }
}
