//! Polynomials over an RNS basis, with their representation in the type.

use crate::parallel::{each_item, each_limb, each_limb_pair};
use crate::ring::Ring;
use cipherblas_math::{AlignedVec, Kernels};
use std::marker::PhantomData;
use std::sync::Arc;
use zeroize::Zeroize;

/// The primes a polynomial is held modulo: the first `q` primes of Q and the first `p` special primes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Primes of Q, from the bottom of the chain.
    pub q: usize,
    /// Special primes.
    pub p: usize,
}

impl Basis {
    /// Number of limbs.
    pub fn len(self) -> usize {
        self.q + self.p
    }
    /// Whether there is no limb.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Coefficient representation.
#[derive(Clone, Copy, Debug)]
pub struct Coeff;
/// Number-theoretic transform, bit-reversed order.
#[derive(Clone, Copy, Debug)]
pub struct Ntt;

/// A polynomial: one limb of N lazy residues for each prime of its basis.
pub struct Poly<R> {
    ring: Arc<Ring>,
    basis: Basis,
    data: AlignedVec,
    secret: bool,
    representation: PhantomData<R>,
}

impl<R> Poly<R> {
    /// A polynomial with unspecified contents (never a secret's), for callers who write all of it before they read.
    pub fn dirty(ring: &Arc<Ring>, basis: Basis) -> Self {
        let data = ring.pool.take(basis.len() * ring.degree());
        Self {
            ring: ring.clone(),
            basis,
            data,
            secret: false,
            representation: PhantomData,
        }
    }
    /// The zero polynomial.
    pub fn zero(ring: &Arc<Ring>, basis: Basis) -> Self {
        let mut poly = Self::dirty(ring, basis);
        poly.data.fill(0.0);
        poly
    }
    /// Marks the contents as secret: zeroized when dropped.
    pub fn into_secret(mut self) -> Self {
        self.secret = true;
        self
    }
    /// Whether the contents are zeroized when dropped.
    pub(crate) fn is_secret(&self) -> bool {
        self.secret
    }
    /// Ends the secrecy of contents that have become public, such as `e - a s`.
    pub(crate) fn into_public(mut self) -> Self {
        self.secret = false;
        self
    }
    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
    /// The primes.
    pub fn basis(&self) -> Basis {
        self.basis
    }
    /// All limbs, one after another.
    pub fn data(&self) -> &[f64] {
        &self.data
    }
    /// All limbs, one after another; every residue written must satisfy `|x| <= p`.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }
    /// Limb `k`.
    ///
    /// # Panics
    /// If `k` is not below the number of limbs.
    pub fn limb(&self, k: usize) -> &[f64] {
        &self.data[self.range(k)]
    }
    /// Kernels of the prime of limb `k`.
    pub(crate) fn kernels(&self, k: usize) -> &Kernels {
        self.ring.plan(self.ring.index(self.basis, k)).kernels()
    }

    /// Fills the limbs with `f(kernels, limb index, limb)`.
    pub fn fill_with(&mut self, f: impl Fn(&Kernels, usize, &mut [f64]) + Sync + Send) {
        let (ring, basis) = (self.ring.clone(), self.basis);
        each_limb(&mut self.data, ring.degree(), |k, limb| {
            f(ring.plan(ring.index(basis, k)).kernels(), k, limb)
        });
    }

    /// Applies `f` to each limb together with the same limb of `other`, whose basis must contain this one's.
    ///
    /// # Panics
    /// If a limb of `self` has no counterpart in `other`.
    pub fn zip_with<Q>(
        &mut self,
        other: &Poly<Q>,
        f: impl Fn(&Kernels, &mut [f64], &[f64]) + Sync + Send,
    ) where
        Poly<Q>: Sync,
    {
        let basis = self.basis;
        assert!(
            basis.q <= other.basis.q && basis.p <= other.basis.p,
            "the second basis must contain the first"
        );
        self.fill_with(|kernels, k, limb| {
            let j = if k < basis.q {
                k
            } else {
                other.basis.q + k - basis.q
            };
            f(kernels, limb, other.limb(j));
        });
    }

    /// As [`Poly::zip_with`], with the limb's index.
    pub(crate) fn zip_with_index(
        &mut self,
        other: &Self,
        f: impl Fn(&Kernels, usize, &mut [f64], &[f64]) + Sync + Send,
    ) where
        R: Sync + Send,
    {
        let basis = self.basis;
        self.fill_with(|kernels, k, limb| {
            let j = if k < basis.q {
                k
            } else {
                other.basis.q + k - basis.q
            };
            f(kernels, k, limb, &other.data[other.range(j)]);
        });
    }

    /// Applies `f` to each limb together with the same limbs of `x` and `y`, whose bases must contain this one's.
    ///
    /// # Panics
    /// If a limb of `self` has no counterpart.
    pub(crate) fn fill_with_pair(
        &mut self,
        x: &Self,
        y: &Self,
        f: impl Fn(&Kernels, &mut [f64], &[f64], &[f64]) + Sync + Send,
    ) where
        R: Sync + Send,
    {
        let basis = self.basis;
        self.fill_with(|kernels, k, limb| {
            let limb_of = |poly: &Self| {
                let j = if k < basis.q {
                    k
                } else {
                    poly.basis.q + k - basis.q
                };
                poly.range(j)
            };
            f(kernels, limb, &x.data[limb_of(x)], &y.data[limb_of(y)]);
        });
    }

    fn range(&self, k: usize) -> std::ops::Range<usize> {
        let n = self.ring.degree();
        k * n..(k + 1) * n
    }

    /// `self += other`.
    pub fn add_assign(&mut self, other: &Self)
    where
        R: Sync + Send,
    {
        self.zip_with(other, |m, a, b| m.add_assign(a, b));
    }
    /// `self -= other`.
    pub fn sub_assign(&mut self, other: &Self)
    where
        R: Sync + Send,
    {
        self.zip_with(other, |m, a, b| m.sub_assign(a, b));
    }
    /// `self = -self`.
    pub fn negate(&mut self) {
        self.fill_with(|m, _, a| m.neg_assign(a));
    }
    /// Multiplies limb `k` by `scalars[k]`, a residue of its prime.
    ///
    /// # Panics
    /// If there are fewer scalars than limbs.
    pub fn scale_assign(&mut self, scalars: &[f64]) {
        assert!(
            scalars.len() >= self.basis.len(),
            "one scalar for each limb"
        );
        self.fill_with(|m, k, a| m.scale_assign(a, scalars[k]));
    }
    /// `self += scalars * other`, limb by limb.
    ///
    /// # Panics
    /// If there are fewer scalars than limbs.
    pub fn scale_add_assign(&mut self, other: &Self, scalars: &[f64])
    where
        R: Sync + Send,
    {
        assert!(
            scalars.len() >= self.basis.len(),
            "one scalar for each limb"
        );
        let n = self.ring.degree();
        let (ring, basis) = (self.ring.clone(), self.basis);
        each_limb(&mut self.data, n, |k, limb| {
            ring.plan(ring.index(basis, k)).kernels().scale_add_assign(
                limb,
                other.limb(k),
                scalars[k],
            );
        });
    }
    /// The polynomial modulo the first `q` primes of Q only.
    ///
    /// # Panics
    /// If `q` exceeds the primes present.
    pub fn truncated(&self, q: usize) -> Self {
        assert!(q <= self.basis.q, "cannot gain primes");
        let mut out = Self::dirty(&self.ring, Basis { q, p: 0 });
        let len = out.data.len();
        out.data.copy_from_slice(&self.data[..len]);
        out.secret = self.secret;
        out
    }
    fn change<S>(mut self) -> Poly<S> {
        let data = std::mem::replace(&mut self.data, AlignedVec::zeroed(0));
        Poly {
            ring: self.ring.clone(),
            basis: self.basis,
            data,
            secret: self.secret,
            representation: PhantomData,
        }
    }
}

impl Poly<Coeff> {
    /// From small signed coefficients, reduced modulo every prime of `basis`.
    ///
    /// # Panics
    /// If there are not N coefficients.
    pub fn from_small(ring: &Arc<Ring>, basis: Basis, coefficients: &[i8]) -> Self {
        assert_eq!(
            coefficients.len(),
            ring.degree(),
            "one coefficient for each power of X"
        );
        let mut poly = Self::dirty(ring, basis);
        poly.fill_with(|_, _, limb| {
            for (x, &c) in limb.iter_mut().zip(coefficients) {
                *x = f64::from(c);
            }
        });
        poly
    }
    /// Transforms every limb.
    pub fn into_ntt(mut self) -> Poly<Ntt> {
        let (ring, basis) = (self.ring.clone(), self.basis);
        each_limb(&mut self.data, ring.degree(), |k, limb| {
            ring.plan(ring.index(basis, k)).forward(limb)
        });
        self.change()
    }
}

impl Poly<Ntt> {
    /// Transforms every limb back.
    pub fn into_coeff(mut self) -> Poly<Coeff> {
        let (ring, basis) = (self.ring.clone(), self.basis);
        each_limb(&mut self.data, ring.degree(), |k, limb| {
            ring.plan(ring.index(basis, k)).inverse(limb)
        });
        self.change()
    }
    /// `self *= other` as polynomials.
    pub fn mul_assign(&mut self, other: &Self) {
        self.zip_with(other, |m, a, b| m.mul_assign(a, b));
    }
    /// The image under X -> X^g.
    ///
    /// # Errors
    /// `Parameter` if `g` is not a Galois element.
    pub fn automorphism(&self, g: u64) -> cipherblas_scheme::Result<Self> {
        let permutation = self.ring.automorphism(g)?;
        let mut out = Self::dirty(&self.ring, self.basis);
        out.fill_with(|_, k, limb| permutation.apply(limb, self.limb(k)));
        out.secret = self.secret;
        Ok(out)
    }
    /// `self += sigma_g(other)`.
    pub(crate) fn add_automorphism(
        &mut self,
        other: &Self,
        permutation: &cipherblas_math::GaloisPermutation,
    ) {
        let (ring, basis) = (self.ring.clone(), self.basis);
        each_limb(&mut self.data, ring.degree(), |k, limb| {
            permutation.apply_add(
                limb,
                other.limb(k),
                ring.plan(ring.index(basis, k)).kernels(),
            );
        });
    }
    /// `sum_k a[k] * b[k]` and `sum_k a[k] * c[k]`, reading each `a[k]` once. All over the same basis or larger ones.
    ///
    /// # Panics
    /// If the lengths differ or are zero.
    pub fn inner_product_pair(a: &[&Self], b: &[&Self], c: &[&Self]) -> (Self, Self) {
        assert!(
            !a.is_empty() && a.len() == b.len() && a.len() == c.len(),
            "as many factors on each side"
        );
        let first = a[0];
        let ring = first.ring.clone();
        let mut x = Self::dirty(&ring, first.basis);
        let mut y = Self::dirty(&ring, first.basis);
        each_limb_pair(&mut x.data, &mut y.data, ring.degree(), |k, x, y| {
            let (a, b, c) = (limbs(a, k), limbs(b, k), limbs(c, k));
            first.kernels(k).inner_product_pair(x, y, &a, &b, &c);
        });
        (x, y)
    }

    /// `sum_i (a0 + a1 Y)(b0 + b1 Y)`: the coefficients of 1, Y, Y^2. All over the same basis.
    ///
    /// # Panics
    /// If the lengths differ or are zero.
    pub fn tensor_sum(a: &[(&Self, &Self)], b: &[(&Self, &Self)]) -> (Self, Self, Self) {
        assert!(
            !a.is_empty() && a.len() == b.len(),
            "as many factors on each side"
        );
        let ring = a[0].0.ring.clone();
        let basis = a[0].0.basis;
        Self::triple(&ring, basis, |k, d0, d1, d2| {
            let kernels = ring.plan(ring.index(basis, k)).kernels();
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                let (x0, x1, y0, y1) = (x.0.limb(k), x.1.limb(k), y.0.limb(k), y.1.limb(k));
                if i == 0 {
                    kernels.tensor(d0, d1, d2, x0, x1, y0, y1);
                } else {
                    kernels.tensor_add(d0, d1, d2, x0, x1, y0, y1);
                }
            }
        })
    }

    /// `(a0 + a1 Y)^2`: the coefficients of 1, Y, Y^2.
    pub fn square_tensor(a0: &Self, a1: &Self) -> (Self, Self, Self) {
        let (ring, basis) = (a0.ring.clone(), a0.basis);
        Self::triple(&ring, basis, |k, d0, d1, d2| {
            ring.plan(ring.index(basis, k))
                .kernels()
                .square(d0, d1, d2, a0.limb(k), a1.limb(k));
        })
    }

    fn triple(
        ring: &Arc<Ring>,
        basis: Basis,
        f: impl Fn(usize, &mut [f64], &mut [f64], &mut [f64]) + Sync + Send,
    ) -> (Self, Self, Self) {
        let n = ring.degree();
        let mut out = (
            Self::dirty(ring, basis),
            Self::dirty(ring, basis),
            Self::dirty(ring, basis),
        );
        let limbs = out
            .0
            .data
            .chunks_mut(n)
            .zip(out.1.data.chunks_mut(n))
            .zip(out.2.data.chunks_mut(n))
            .collect();
        each_item(limbs, n, |k, ((d0, d1), d2)| f(k, d0, d1, d2));
        out
    }

    /// Calls `f(k, limbs)` for every limb index with that limb of every polynomial, all over one basis.
    pub fn each_limb_of_many(
        polys: Vec<&mut Self>,
        f: impl Fn(usize, &mut [&mut [f64]]) + Sync + Send,
    ) {
        let Some(first) = polys.first() else { return };
        let n = first.ring.degree();
        let mut limbs: Vec<Vec<&mut [f64]>> = (0..first.basis.len()).map(|_| Vec::new()).collect();
        let work = n * polys.len();
        for poly in polys {
            for (k, limb) in poly.data.chunks_mut(n).enumerate() {
                limbs[k].push(limb);
            }
        }
        each_item(limbs, work, |k, mut limbs| f(k, &mut limbs));
    }
}

fn limbs<'a>(polys: &[&'a Poly<Ntt>], k: usize) -> Vec<&'a [f64]> {
    polys.iter().map(|p| p.limb(k)).collect()
}

impl<R> Clone for Poly<R> {
    fn clone(&self) -> Self {
        let mut out = Self::dirty(&self.ring, self.basis);
        out.data.copy_from_slice(&self.data);
        out.secret = self.secret;
        out
    }
}

impl<R> Drop for Poly<R> {
    fn drop(&mut self) {
        if self.secret {
            self.data.zeroize();
        }
        self.ring
            .pool
            .give(std::mem::replace(&mut self.data, AlignedVec::zeroed(0)));
    }
}

impl<R> std::fmt::Debug for Poly<R> {
    /// Never a coefficient: the polynomial may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poly")
            .field("degree", &self.ring.degree())
            .field("basis", &self.basis)
            .finish_non_exhaustive()
    }
}
