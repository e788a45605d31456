//! Number theoretic transforms modulo `X^n + 1`.
//!
//! The transform of a polynomial is the list of its values at the `n` primitive `2 n`-th roots of unity; products of
//! polynomials become products of values. The powers of `psi` that turn the ring into a cyclic one are merged into the
//! factors of the butterflies, decimation in time forward and in frequency back, so that neither a twist nor a reordering is
//! needed.
//!
//! - `roots`: the choice of `psi`, and the order of the factors in the tables;
//! - `scalar`: the reference, in 64-bit integers;
//! - `avx2`: residues as doubles, two layers a pass, depth first until a part fits the L1 cache. Layers leave their results
//!   unreduced as far as `p < 2^50` allows; the bounds are derived in `avx2/arithmetic.rs`, `forward.rs` and `inverse.rs`.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod roots;
mod scalar;

pub(crate) use roots::bit_reverse;
pub use roots::root_exponent;

use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::modulus::Modulus;
use crate::pointwise::Kernels;
use std::sync::Arc;

/// The largest degree with a plan.
pub const MAX_DEGREE: usize = 1 << 17;

/// A transform of one degree modulo one prime: tables, and the instructions to use. `Clone` is a reference count.
///
/// Entry `i` of the transform is the polynomial's value at `psi^root_exponent(i, n)` (bit-reversed order), where `psi` is a
/// primitive `2 n`-th root of unity, the same for every backend; `psi` of degree `n / 2` is the square of that of `n`.
#[derive(Clone, Debug)]
pub struct NttPlan(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    n: usize,
    psi: u64,
    kernels: Kernels,
    tables: Tables,
}

#[derive(Debug)]
enum Tables {
    Scalar(scalar::Tables),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Tables),
}

pub(crate) fn check_degree(n: usize) -> Result<()> {
    if !(2..=MAX_DEGREE).contains(&n) || !n.is_power_of_two() {
        return Err(MathError::Degree {
            got: n,
            expected: "a power of two from 2 to 2^17",
        });
    }
    Ok(())
}

impl NttPlan {
    /// A plan on the [detected](Backend::try_detect) backend. Cost: some `2 n` modular multiplications, and 20 `n` bytes of tables
    /// (32 `n` for the scalar backend).
    ///
    /// # Errors
    /// [`MathError::Degree`] unless `n` is a power of two from 2 to 2^17; [`MathError::Root`] unless `p = 1 mod 2 n`;
    /// [`MathError::Backend`].
    pub fn new(n: usize, modulus: Modulus) -> Result<Self> {
        Self::with_backend(n, modulus, Backend::try_detect()?)
    }

    /// A plan on a given backend.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_backend(n: usize, modulus: Modulus, backend: Backend) -> Result<Self> {
        check_degree(n)?;
        let psi = roots::primitive_root(modulus, n)?;
        let tables = match backend.kind() {
            Kind::Scalar => Tables::Scalar(scalar::Tables::new(modulus, psi, n)),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => Tables::Avx2(avx2::Tables::new(modulus, psi, n)),
        };
        Ok(Self(Arc::new(Inner {
            n,
            psi,
            kernels: Kernels::new(modulus, backend),
            tables,
        })))
    }

    /// The degree.
    pub fn n(&self) -> usize {
        self.0.n
    }

    /// The prime.
    pub fn modulus(&self) -> Modulus {
        self.0.kernels.modulus()
    }

    /// The primitive `2 n`-th root of unity, canonical.
    pub fn psi(&self) -> u64 {
        self.0.psi
    }

    /// The backend.
    pub fn backend(&self) -> Backend {
        self.0.kernels.backend()
    }

    /// Kernels for the same modulus and backend.
    pub fn kernels(&self) -> &Kernels {
        &self.0.kernels
    }

    /// Coefficients to values, in place. Lazy residues (`|x| <= p`) in and out.
    ///
    /// # Panics
    /// If the length is not the degree.
    pub fn forward(&self, a: &mut [f64]) {
        assert_eq!(a.len(), self.0.n, "length differs from the degree");
        match &self.0.tables {
            Tables::Scalar(tables) => tables.forward(a),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: these tables are made only for a `Backend` that proves AVX2 and FMA.
            Tables::Avx2(tables) => unsafe { tables.forward(a) },
        }
    }

    /// Values to coefficients, in place, including the factor `1 / n`. Lazy residues (`|x| <= p`) in and out.
    ///
    /// # Panics
    /// If the length is not the degree.
    pub fn inverse(&self, a: &mut [f64]) {
        assert_eq!(a.len(), self.0.n, "length differs from the degree");
        match &self.0.tables {
            Tables::Scalar(tables) => tables.inverse(a),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: these tables are made only for a `Backend` that proves AVX2 and FMA.
            Tables::Avx2(tables) => unsafe { tables.inverse(a) },
        }
    }
}
