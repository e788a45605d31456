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
/// The fields are private: a value that names AVX2 is proof that the processor supports AVX2 and FMA, and one that names
/// AVX-512 that it supports these and AVX-512 F, BW, VL and VNNI, which the products of narrow residues use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backend {
    kind: Kind,
    /// AVX-512 F, BW, VL and VNNI.
    vnni: bool,
}

impl Backend {
    /// The reference: 64-bit integers, any processor.
    pub const fn scalar() -> Self {
        Self {
            kind: Kind::Scalar,
            vnni: false,
        }
    }

    /// AVX2 and FMA, if this processor has both.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            return Some(Self {
                kind: Kind::Avx2,
                vnni: false,
            });
        }
        None
    }

    /// AVX2, FMA, and AVX-512 F, BW, VL and VNNI, if this processor has all of them. Only [`narrow`](crate::narrow) has
    /// kernels for AVX-512; the others are those of AVX2.
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vnni")
        {
            return Self::avx2().map(|avx2| Self { vnni: true, ..avx2 });
        }
        None
    }

    /// The fastest backend, or the one that `CIPHERBLAS_BACKEND` (`scalar`, `avx2` or `avx512`) names. Read once per process.
    ///
    /// # Errors
    /// [`MathError::Backend`] if the variable names an unknown backend, or one that this processor cannot run.
    pub fn try_detect() -> Result<Self> {
        static DETECTED: OnceLock<Result<Backend>> = OnceLock::new();
        DETECTED
            .get_or_init(|| match std::env::var_os(BACKEND_VARIABLE) {
                None => Ok(Self::avx512().or(Self::avx2()).unwrap_or(Self::scalar())),
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
        let all = Self::with_narrow();
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

    /// `"scalar"`, `"avx2"` or `"avx512"`.
    pub const fn name(self) -> &'static str {
        match self.kind {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 if self.vnni => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
        }
    }

    /// Every backend that this processor can run and most kernels tell apart, the reference first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::scalar()];
        all.extend(Self::avx2());
        all
    }

    /// Every backend that this processor can run: [`all`](Self::all), and [`avx512`](Self::avx512), which only
    /// [`narrow`](crate::narrow) tells apart.
    pub fn with_narrow() -> Vec<Self> {
        let mut all = Self::all();
        all.extend(Self::avx512());
        all
    }

    pub(crate) const fn kind(self) -> Kind {
        self.kind
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    pub(crate) const fn has_vnni(self) -> bool {
        self.vnni
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for backend in Backend::with_narrow() {
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
