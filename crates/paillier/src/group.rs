//! Ciphertexts as elements of the group of units modulo `n^2`: the product of two encrypts the sum, a power the multiple.
//!
//! Everything here works on ciphertexts and public numbers: time depends on scalars and weights, not on ciphertexts.

mod multi;

use crate::arith::gcd;
use crate::arith::limbs::{Secret, from_biguint, to_biguint, to_secret};
use crate::keys::PublicKey;
use cipherblas_scheme::{Error, Result};
use num_bigint::{BigInt, BigUint, Sign};
use num_traits::Zero;
use std::fmt;

pub use multi::Weight;

/// A ciphertext: a unit modulo `n^2`, in the form that products need. It belongs to one public key and meets others of the
/// same key only; callers compare keys.
#[derive(Clone)]
pub struct Element(Box<[u64]>);

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("words", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// The form is unique: equal ciphertexts under one key have equal elements.
impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Element {}

impl Element {
    /// The limbs are public from here on.
    pub(crate) fn new(limbs: Secret) -> Self {
        Self(limbs.as_slice().into())
    }
    pub(crate) fn limbs(&self) -> &[u64] {
        &self.0
    }
}

impl PublicKey {
    /// A ciphertext from elsewhere, checked: not 0, below `n^2`, no factor in common with `n`.
    ///
    /// # Errors
    /// `Wire` for anything else.
    pub fn element_from_biguint(&self, c: &BigUint) -> Result<Element> {
        let malformed = |got: &str| {
            Err(Error::Wire {
                what: "Paillier ciphertext",
                got: got.into(),
                expected: "a unit modulo n^2".into(),
            })
        };
        if c.is_zero() {
            return malformed("0");
        }
        if c >= self.n_squared() {
            return malformed("a number of n^2 or more");
        }
        let ring = self.ring();
        let n = ring.base().n();
        if !gcd::are_coprime(&from_biguint(&(c % self.n()), n.len()), n) {
            return malformed("a factor in common with n");
        }
        let limbs = from_biguint(c, ring.len());
        Ok(Element::new(ring.reduce(&limbs, &mut ring.scratch())))
    }

    /// The ciphertext as a number below `n^2`.
    pub fn element_to_biguint(&self, element: &Element) -> BigUint {
        let ring = self.ring();
        to_biguint(&ring.to_integer(element.limbs(), &mut ring.scratch()))
    }

    /// `1 + m n`: an encryption without blinding, which hides nothing.
    ///
    /// # Errors
    /// `Value` if `m` is not below `n`.
    pub fn trivial(&self, m: &BigUint) -> Result<Element> {
        self.add_plain(&Element(self.ring().one().into()), m)
    }
    /// Encrypts the sum with `m`, blinded as before. One product modulo `n`.
    ///
    /// # Errors
    /// `Value` if `m` is not below `n`.
    pub fn add_plain(&self, a: &Element, m: &BigUint) -> Result<Element> {
        let m = self.plaintext(&to_secret(m))?;
        let mut out = a.clone();
        self.shift(&mut out.0, m);
        Ok(out)
    }

    /// Encrypts the sum. One product.
    pub fn add(&self, a: &Element, b: &Element) -> Element {
        let mut out = a.clone();
        self.add_assign(&mut out, b);
        out
    }
    /// `a` becomes the sum. One product.
    pub fn add_assign(&self, a: &mut Element, b: &Element) {
        let ring = self.ring();
        ring.mul_assign(&mut a.0, b.limbs(), &mut ring.scratch());
    }
    /// Encrypts the negative modulo `n`: the inverse.
    ///
    /// # Errors
    /// `Wire` if the element is no unit, which a checked one always is.
    pub fn negate(&self, a: &Element) -> Result<Element> {
        Ok(self.negate_all(&[a])?.remove(0))
    }
    /// The inverses of many for one inversion and three products each (Montgomery's trick).
    ///
    /// # Errors
    /// As [`negate`](Self::negate).
    pub fn negate_all(&self, elements: &[&Element]) -> Result<Vec<Element>> {
        let Some((first, rest)) = elements.split_first() else {
            return Ok(Vec::new());
        };
        let mut prefix = vec![(*first).clone()];
        for element in rest {
            prefix.push(self.add(&prefix[prefix.len() - 1], element));
        }
        let mut inverse = self.invert(&prefix[prefix.len() - 1])?;
        let mut out = Vec::with_capacity(elements.len());
        for i in (1..elements.len()).rev() {
            out.push(self.add(&inverse, &prefix[i - 1]));
            self.add_assign(&mut inverse, elements[i]);
        }
        out.push(inverse);
        out.reverse();
        Ok(out)
    }
    /// One inversion modulo `n` and two products.
    fn invert(&self, a: &Element) -> Result<Element> {
        let ring = self.ring();
        let base = ring.base();
        let mut scratch = ring.scratch();
        // Out of Montgomery form modulo n, inverted, and back.
        let mut x = crate::arith::limbs::secret(base.len());
        x.copy_from_slice(&a.0[..base.len()]);
        base.leave(&mut x, &mut scratch);
        let mut inverse = gcd::invert(&x, base.n()).ok_or_else(|| Error::Wire {
            what: "Paillier ciphertext",
            got: "a factor in common with n".into(),
            expected: "a unit modulo n^2".into(),
        })?;
        base.enter(&mut inverse, &mut scratch);
        Ok(Element::new(ring.lift_inverse(
            &a.0,
            &inverse,
            &mut scratch,
        )))
    }
    /// Encrypts the difference. An inversion and a product.
    ///
    /// # Errors
    /// As [`negate`](Self::negate).
    pub fn sub(&self, a: &Element, b: &Element) -> Result<Element> {
        Ok(self.add(a, &self.negate(b)?))
    }

    /// Encrypts `scalar` times the plaintext: a power, and an inversion if negative. Time depends on the scalar, which is
    /// public.
    ///
    /// # Errors
    /// As [`negate`](Self::negate).
    pub fn scale(&self, a: &Element, scalar: &BigInt) -> Result<Element> {
        let magnitude = scalar.magnitude().to_u64_digits();
        let power = Element::new(self.ring().pow_public(a.limbs(), &magnitude));
        if scalar.sign() == Sign::Minus {
            self.negate(&power)
        } else {
            Ok(power)
        }
    }
}
