//! Which multiplication code runs: decided once per process.

use super::portable;
use cipherblas_math::Backend;

/// The instructions that the kernels use. A value other than `Portable` is proof that the processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// The reference: 64-bit limbs through `u128`.
    Portable,
}

impl Kernel {
    /// The fastest, or the reference if `CIPHERBLAS_BACKEND=scalar`.
    pub(crate) fn detect() -> Self {
        if Backend::detect() == Backend::scalar() {
            return Self::Portable;
        }
        Self::Portable
    }

    /// Every kernel that this processor can run, the reference first.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Portable]
    }

    /// `out += a * b`, returns the carry; `out.len() == a.len() + b.len()`.
    #[inline]
    pub(crate) fn mul_add(self, out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
        match self {
            Self::Portable => portable::mul_add(out, a, b),
        }
    }

    /// `out = a * b`.
    #[inline]
    pub(crate) fn mul(self, out: &mut [u64], a: &[u64], b: &[u64]) {
        out.fill(0);
        self.mul_add(out, a, b);
    }

    /// `out = a * a`.
    #[inline]
    pub(crate) fn square(self, out: &mut [u64], a: &[u64]) {
        match self {
            Self::Portable => portable::square(out, a),
        }
    }

    /// Montgomery reduction: `t + quotient * n = 2^(64 l) * t[l..]`, returns the carry at the top. `t[..l]` is left
    /// undefined. `t.len() == 2 * l`, the others `l`; `n0 = -1 / n mod 2^64`.
    #[inline]
    pub(crate) fn reduce(self, t: &mut [u64], n: &[u64], n0: u64, quotient: &mut [u64]) -> u64 {
        match self {
            Self::Portable => portable::reduce(t, n, n0, quotient),
        }
    }
}
