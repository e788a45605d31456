//! Which multiplication code runs: decided once per process.

#[cfg(target_arch = "x86_64")]
use super::{adx::Adx, ifma::Ifma};
use super::{limbs, portable, table};
use cipherblas_math::Backend;
use std::sync::OnceLock;

/// The instructions that the kernels use. A value other than `Portable` is proof that the processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// The reference: 64-bit limbs through `u128`.
    Portable,
    /// `mulx`, `adcx`, `adox`.
    #[cfg(target_arch = "x86_64")]
    Adx(Adx),
    /// The same, and AVX-512 IFMA for powers modulo squares.
    #[cfg(target_arch = "x86_64")]
    Ifma(Adx, Ifma),
}

impl Kernel {
    /// The fastest; the reference if `CIPHERBLAS_BACKEND=scalar`, nothing of AVX-512 if it is `avx2`.
    pub(crate) fn detect() -> Self {
        static DETECTED: OnceLock<Kernel> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            if Backend::detect() == Backend::scalar() {
                return Self::Portable;
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(adx) = Adx::detect() {
                let narrow = std::env::var_os(cipherblas_math::backend::BACKEND_VARIABLE).is_some();
                return match Ifma::detect() {
                    Some(ifma) if !narrow => Self::Ifma(adx, ifma),
                    _ => Self::Adx(adx),
                };
            }
            Self::Portable
        })
    }

    /// Every kernel that this processor can run, the reference first.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        if let Some(adx) = Adx::detect() {
            all.push(Self::Adx(adx));
            all.extend(Ifma::detect().map(|ifma| Self::Ifma(adx, ifma)));
        }
        all
    }

    /// `out += a * b`, returns the carry; `out.len() == a.len() + b.len()`.
    #[inline]
    pub(crate) fn mul_add(self, out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
        match self {
            Self::Portable => portable::mul_add(out, a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.mul_add(out, a, b),
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
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.square(out, a),
        }
    }

    /// Montgomery reduction: `t + quotient * n = 2^(64 l) * t[l..]`, returns the carry at the top. `t[..l]` is left
    /// undefined. `t.len() == 2 * l`, the others `l`; `n0 = -1 / n mod 2^64`.
    #[inline]
    pub(crate) fn reduce(self, t: &mut [u64], n: &[u64], n0: u64, quotient: &mut [u64]) -> u64 {
        match self {
            Self::Portable => portable::reduce(t, n, n0, quotient),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.reduce(t, n, n0, quotient),
        }
    }

    /// `out = a - b`, returns the borrow; one length.
    #[inline]
    pub(crate) fn sub(self, out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
        match self {
            Self::Portable => {
                out.copy_from_slice(a);
                limbs::sub_assign(out, b)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.sub(out, a, b),
        }
    }

    /// `out -= a`, returns the borrow; one length.
    #[inline]
    pub(crate) fn sub_assign(self, out: &mut [u64], a: &[u64]) -> u64 {
        match self {
            Self::Portable => limbs::sub_assign(out, a),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.sub_assign(out, a),
        }
    }

    /// `out *= 2`, returns the bit that leaves at the top.
    #[inline]
    pub(crate) fn double(self, out: &mut [u64]) -> u64 {
        match self {
            Self::Portable => limbs::double(out),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.double(out),
        }
    }

    /// `out` becomes the sum of all entries under their masks.
    pub(crate) fn gather(self, entries: &[u64], width: usize, masks: &[u64], out: &mut [u64]) {
        match self {
            Self::Portable => table::gather(entries, width, masks, out),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) | Self::Ifma(adx, _) => adx.gather(entries, width, masks, out),
        }
    }
}
