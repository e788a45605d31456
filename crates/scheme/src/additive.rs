//! Products and rotations that are refused: for schemes that only add.
//!
//! Linear algebra that multiplies encrypted values or moves slots asks for [`Mul`] and [`Rotate`] by type. A scheme that
//! has neither gets them from [`AdditiveOnly`], where they fail when they are called, with what to do instead: for callers
//! that choose the scheme when the program runs. Where the scheme is known beforehand, its own evaluator refuses at compile
//! time.
//!
//! ```
//! use cipherblas_scheme::additive::AdditiveOnly;
//! use cipherblas_scheme::{Add, ClearScheme, Encrypt, Error, Mul};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let scheme = ClearScheme::new(8, 1)?;
//! let x = scheme.key().encrypt_at(&[1.0], 1, None, &mut ChaCha20Rng::seed_from_u64(1))?;
//! let additive = AdditiveOnly::new(scheme);
//! assert!(additive.add(&x, &x).is_ok());
//! assert!(matches!(additive.mul(&x, &x), Err(Error::Unsupported { scheme: "clear", operation: "mul", .. })));
//! # Ok::<(), Error>(())
//! ```

use crate::capability::check_pairs;
use crate::{
    Add, AddPlain, Combine, Decrypt, Encrypt, Error, ErrorBound, Mul, MulPlain, Result, Rotate,
    Scheme, WeightMatrix, Wire,
};
use rand::CryptoRng;

/// A scheme whose products of ciphertexts and rotations fail with [`Error::Unsupported`] (see the [module page](self)).
/// Everything else is that of the scheme inside.
#[derive(Clone, Debug)]
pub struct AdditiveOnly<S> {
    inner: S,
}

impl<S> AdditiveOnly<S> {
    /// What `inner` can do, without products of ciphertexts and rotations.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
    /// The scheme inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Scheme> AdditiveOnly<S> {
    fn no_product<T>(&self, operation: &'static str) -> Result<T> {
        Err(Error::Unsupported {
            scheme: self.inner.name(),
            operation,
            hint: "use BFV or CKKS for products of encrypted values",
        })
    }

    fn no_rotation<T>(&self, operation: &'static str) -> Result<T> {
        Err(Error::Unsupported {
            scheme: self.inner.name(),
            operation,
            hint: "slots cannot be rotated: encrypt one value to a ciphertext",
        })
    }

    /// Whether a rotation by `step` moves nothing.
    fn stays(&self, step: i64) -> bool {
        step.rem_euclid(self.inner.slots() as i64) == 0
    }
}

impl<S: Scheme> Scheme for AdditiveOnly<S> {
    type Value = S::Value;
    type Ciphertext = S::Ciphertext;

    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn slots(&self) -> usize {
        self.inner.slots()
    }
    fn depth(&self, ct: &S::Ciphertext) -> usize {
        self.inner.depth(ct)
    }
    fn max_depth(&self) -> usize {
        self.inner.max_depth()
    }
    fn lower_to(&self, ct: &S::Ciphertext, depth: usize) -> Result<S::Ciphertext> {
        self.inner.lower_to(ct, depth)
    }
    fn check(&self, ct: &S::Ciphertext) -> Result<()> {
        self.inner.check(ct)
    }
}

impl<S: Add> Add for AdditiveOnly<S> {
    fn add(&self, a: &S::Ciphertext, b: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.inner.add(a, b)
    }
    fn sub(&self, a: &S::Ciphertext, b: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.inner.sub(a, b)
    }
    fn negate(&self, a: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.inner.negate(a)
    }
    fn sum(&self, terms: &[&S::Ciphertext]) -> Result<S::Ciphertext> {
        self.inner.sum(terms)
    }
}

impl<S: AddPlain> AddPlain for AdditiveOnly<S> {
    fn add_plain(&self, ct: &S::Ciphertext, values: &[S::Value]) -> Result<S::Ciphertext> {
        self.inner.add_plain(ct, values)
    }
}

impl<S: MulPlain> MulPlain for AdditiveOnly<S> {
    type Plaintext = S::Plaintext;

    fn prepare(&self, values: &[S::Value], depth: usize) -> Result<S::Plaintext> {
        self.inner.prepare(values, depth)
    }
    fn mul_prepared(
        &self,
        cts: &[&S::Ciphertext],
        plains: &[&S::Plaintext],
    ) -> Result<S::Ciphertext> {
        self.inner.mul_prepared(cts, plains)
    }
    fn mul_plain(&self, ct: &S::Ciphertext, values: &[S::Value]) -> Result<S::Ciphertext> {
        self.inner.mul_plain(ct, values)
    }
    fn mul_scalar(&self, ct: &S::Ciphertext, value: S::Value) -> Result<S::Ciphertext> {
        self.inner.mul_scalar(ct, value)
    }
    fn mul_scalar_to(
        &self,
        ct: &S::Ciphertext,
        value: S::Value,
        depth: usize,
    ) -> Result<S::Ciphertext> {
        self.inner.mul_scalar_to(ct, value, depth)
    }
}

impl<S: Combine> Combine for AdditiveOnly<S> {
    fn combine(
        &self,
        weights: WeightMatrix<'_, S::Value>,
        cts: &[&S::Ciphertext],
    ) -> Result<Vec<S::Ciphertext>> {
        self.inner.combine(weights, cts)
    }
}

/// Refused, all of it.
impl<S: Scheme> Mul for AdditiveOnly<S> {
    fn mul(&self, _: &S::Ciphertext, _: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.no_product("mul")
    }
    fn square(&self, _: &S::Ciphertext) -> Result<S::Ciphertext> {
        self.no_product("square")
    }
    fn mul_sum(&self, _: &[&S::Ciphertext], _: &[&S::Ciphertext]) -> Result<S::Ciphertext> {
        self.no_product("mul_sum")
    }
}

/// Refused, but for rotations that move nothing: copies and sums.
impl<S: Add> Rotate for AdditiveOnly<S> {
    fn rotate(&self, ct: &S::Ciphertext, step: i64) -> Result<S::Ciphertext> {
        if !self.stays(step) {
            return self.no_rotation("rotate");
        }
        self.inner.check(ct)?;
        Ok(ct.clone())
    }
    fn rotate_many(&self, ct: &S::Ciphertext, steps: &[i64]) -> Result<Vec<S::Ciphertext>> {
        if !steps.iter().all(|&step| self.stays(step)) {
            return self.no_rotation("rotate_many");
        }
        self.inner.check(ct)?;
        Ok(vec![ct.clone(); steps.len()])
    }
    fn rotate_sum(&self, cts: &[&S::Ciphertext], steps: &[i64]) -> Result<S::Ciphertext> {
        check_pairs("rotate_sum", cts.len(), steps.len())?;
        if !steps.iter().all(|&step| self.stays(step)) {
            return self.no_rotation("rotate_sum");
        }
        cts.iter().try_for_each(|ct| self.inner.check(ct))?;
        self.inner.sum(cts)
    }
    /// Only by multiples of the slots: with one slot, by every step.
    fn can_rotate(&self, step: i64) -> bool {
        self.stays(step)
    }
}

impl<S: ErrorBound> ErrorBound for AdditiveOnly<S> {
    fn error_bound(&self, ct: &S::Ciphertext) -> f64 {
        self.inner.error_bound(ct)
    }
    fn magnitude_bound(&self, ct: &S::Ciphertext) -> f64 {
        self.inner.magnitude_bound(ct)
    }
}

impl<S: Wire> Wire for AdditiveOnly<S> {
    fn write_ciphertext(&self, ct: &S::Ciphertext) -> Vec<u8> {
        self.inner.write_ciphertext(ct)
    }
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<S::Ciphertext> {
        self.inner.read_ciphertext(bytes)
    }
}

/// A key of a scheme that only adds, for [`AdditiveOnly`] evaluators. Borrows the key, so that no copy of a secret is made.
pub struct AdditiveKey<'a, K: ?Sized> {
    key: &'a K,
}

impl<'a, K: ?Sized> AdditiveKey<'a, K> {
    /// What `key` encrypts and decrypts, of an [`AdditiveOnly`] scheme.
    pub fn new(key: &'a K) -> Self {
        Self { key }
    }
    /// The key inside.
    pub fn inner(&self) -> &'a K {
        self.key
    }
}

impl<K: ?Sized> Clone for AdditiveKey<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized> Copy for AdditiveKey<'_, K> {}

impl<K: Encrypt + ?Sized> Encrypt for AdditiveKey<'_, K> {
    type Scheme = AdditiveOnly<K::Scheme>;

    fn scheme(&self) -> Self::Scheme {
        AdditiveOnly::new(self.key.scheme())
    }
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[<K::Scheme as Scheme>::Value],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<<K::Scheme as Scheme>::Ciphertext> {
        self.key.encrypt_at(values, depth, bound, rng)
    }
}

impl<K: Decrypt + ?Sized> Decrypt for AdditiveKey<'_, K> {
    type Scheme = AdditiveOnly<K::Scheme>;

    fn decrypt(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
    ) -> Result<Vec<<K::Scheme as Scheme>::Value>> {
        self.key.decrypt(ct)
    }
    fn check_shared(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
        bound: f64,
        together: usize,
    ) -> Result<()> {
        self.key.check_shared(ct, bound, together)
    }
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<<K::Scheme as Scheme>::Value>> {
        self.key.decrypt_shared(ct, bound, rng)
    }
}
