//! Which instructions the kernels use: decided once, at run time, and carried by every plan.

use crate::error::{MathError, Result};
use std::sync::OnceLock;

/// The environment variable that overrides detection.
pub const BACKEND_VARIABLE: &str = "CIPHERBLAS_BACKEND";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// A set of instructions that this processor has.
///
/// The fields are private: a value that names AVX2 is proof that the processor supports AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backend(Kind);

impl Backend {
    /// The reference: 64-bit integers, any processor.
    pub const fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// AVX2 and FMA, if this processor has both.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            return Some(Self(Kind::Avx2));
        }
        None
    }

    /// The fastest backend, or the one that `CIPHERBLAS_BACKEND` (`scalar` or `avx2`) names. Read once per process.
    ///
    /// # Errors
    /// [`MathError::Backend`] if the variable names an unknown backend, or one that this processor cannot run.
    pub fn try_detect() -> Result<Self> {
        static DETECTED: OnceLock<Result<Backend>> = OnceLock::new();
        DETECTED
            .get_or_init(|| match std::env::var_os(BACKEND_VARIABLE) {
                None => Ok(Self::avx2().unwrap_or(Self::scalar())),
                Some(name) => Self::by_name(&name.to_string_lossy()),
            })
            .clone()
    }

    /// As [`try_detect`](Self::try_detect), but an unusable `CIPHERBLAS_BACKEND` selects the scalar reference.
    /// For callers that have already reported the error: every plan's constructor calls `try_detect`.
    pub fn detect() -> Self {
        Self::try_detect().unwrap_or(Self::scalar())
    }

    /// The backend called `name`.
    ///
    /// # Errors
    /// As [`try_detect`](Self::try_detect).
    pub fn by_name(name: &str) -> Result<Self> {
        let all = Self::all();
        all.iter()
            .copied()
            .find(|b| b.name() == name)
            .ok_or_else(|| MathError::Backend {
                got: name.to_owned(),
                expected: all
                    .iter()
                    .map(|b| b.name())
                    .collect::<Vec<_>>()
                    .join(" or "),
            })
    }

    /// `"scalar"` or `"avx2"`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
        }
    }

    /// Every backend that this processor can run, the reference first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::scalar()];
        all.extend(Self::avx2());
        all
    }

    pub(crate) const fn kind(self) -> Kind {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for backend in Backend::all() {
            assert_eq!(Backend::by_name(backend.name()), Ok(backend));
        }
    }

    #[test]
    fn unknown_name_is_an_error_that_says_so() {
        let error = Backend::by_name("neon").unwrap_err();
        assert!(
            matches!(&error, MathError::Backend { got, expected } if got == "neon" && expected.contains("scalar"))
        );
        assert!(error.to_string().contains("neon"));
    }
}
