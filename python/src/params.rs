//! Parameters of the three schemes.

use crate::error::OrRaise;
use cipherblas::scheme::KeySet;
use cipherblas::scheme::security::SecurityLevel;
use cipherblas::{bfv, ckks, paillier};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Parameters of any scheme.
#[derive(Clone)]
pub(crate) enum AnyParams {
    Ckks(ckks::Params),
    Bfv(bfv::Params),
    Paillier(paillier::Params),
}

/// Calls the same method of whichever parameters there are.
macro_rules! either {
    ($params:expr, $p:ident => $body:expr) => {
        match $params {
            AnyParams::Ckks($p) => $body,
            AnyParams::Bfv($p) => $body,
            AnyParams::Paillier($p) => $body,
        }
    };
}

#[pyclass(frozen, module = "cipherblas._core")]
pub(crate) struct Params {
    pub(crate) inner: AnyParams,
}

impl AnyParams {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ckks(_) => "ckks",
            Self::Bfv(_) => "bfv",
            Self::Paillier(_) => "paillier",
        }
    }
    pub(crate) fn slots(&self) -> usize {
        either!(self, p => p.slots())
    }
    pub(crate) fn depth(&self) -> usize {
        either!(self, p => p.depth())
    }
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        either!(self, p => p.to_bytes())
    }
    pub(crate) fn id(&self) -> String {
        either!(self, p => p.id().to_string())
    }
    fn is_insecure(&self) -> bool {
        match self {
            Self::Ckks(p) => p.security().is_none(),
            Self::Bfv(p) => p.security().is_none(),
            Self::Paillier(p) => p.is_insecure(),
        }
    }

    /// Reads parameters of any scheme; those without security only if they are asked for.
    pub(crate) fn from_bytes(bytes: &[u8], insecure: bool) -> cipherblas::Result<Self> {
        Self::from_bytes_within(bytes, insecure, usize::MAX)
    }

    /// As `from_bytes`, refusing larger ring degrees before any table is made; test parameters are not limited.
    pub(crate) fn from_bytes_within(
        bytes: &[u8],
        insecure: bool,
        largest_degree: usize,
    ) -> cipherblas::Result<Self> {
        use cipherblas::scheme::wire::{Header, SchemeId};
        match (Header::peek(bytes)?.scheme, insecure) {
            (SchemeId::Ckks, false) => {
                ckks::Params::from_bytes_within(bytes, largest_degree).map(Self::Ckks)
            }
            (SchemeId::Ckks, true) => ckks::Params::insecure_from_bytes(bytes).map(Self::Ckks),
            (SchemeId::Bfv, false) => {
                bfv::Params::from_bytes_within(bytes, largest_degree).map(Self::Bfv)
            }
            (SchemeId::Bfv, true) => bfv::Params::insecure_from_bytes(bytes).map(Self::Bfv),
            (SchemeId::Paillier, false) => paillier::Params::from_bytes(bytes).map(Self::Paillier),
            (SchemeId::Paillier, true) => {
                paillier::Params::insecure_from_bytes(bytes).map(Self::Paillier)
            }
            (other, _) => Err(cipherblas::Error::Wire {
                what: "parameters",
                got: format!("scheme {other}"),
                expected: "ckks, bfv or paillier".into(),
            }),
        }
    }

    /// Bytes of one evaluation key in memory; none for a scheme without.
    fn key_bytes(&self) -> usize {
        match self {
            Self::Ckks(p) => p.key_bytes(),
            Self::Bfv(p) => p.key_bytes(),
            Self::Paillier(_) => 0,
        }
    }

    /// Bytes on the wire of the keys of a set.
    pub(crate) fn keys_wire_bytes(&self, set: &KeySet) -> usize {
        match self {
            Self::Ckks(p) => p.evaluation_keys_wire_bytes(set),
            Self::Bfv(p) => p.evaluation_keys_wire_bytes(set),
            Self::Paillier(_) => 0,
        }
    }

    /// Bytes of a fresh ciphertext in memory.
    pub(crate) fn ciphertext_bytes(&self) -> usize {
        match self {
            Self::Ckks(p) => p.ciphertext_bytes(p.depth()),
            Self::Bfv(p) => p.ciphertext_bytes(p.depth()),
            Self::Paillier(p) => p.ciphertext_bytes(),
        }
    }
}

#[pymethods]
impl Params {
    #[staticmethod]
    #[pyo3(signature = (*, depth, precision_bits, integer_bits, security, slots, degree, sharing, insecure_degree))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each setting of the builder, all by name"
    )]
    fn ckks(
        py: Python<'_>,
        depth: usize,
        precision_bits: u32,
        integer_bits: u32,
        security: u32,
        slots: Option<usize>,
        degree: Option<usize>,
        sharing: u32,
        insecure_degree: Option<usize>,
    ) -> PyResult<Self> {
        let mut builder = ckks::Params::builder()
            .depth(depth)
            .precision_bits(precision_bits)
            .integer_bits(integer_bits)
            .sharing(sharing)
            .security(SecurityLevel::from_bits(security).or_raise(py)?);
        if let Some(slots) = slots {
            builder = builder.slots(slots);
        }
        if let Some(degree) = degree {
            builder = builder.degree(degree);
        }
        if let Some(degree) = insecure_degree {
            builder = builder.insecure_degree(degree);
        }
        let params = py.detach(|| builder.build()).or_raise(py)?;
        Ok(Self {
            inner: AnyParams::Ckks(params),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (*, depth, plaintext_bits, headroom_bits, security, slots, degree, insecure_degree))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each setting of the builder, all by name"
    )]
    fn bfv(
        py: Python<'_>,
        depth: usize,
        plaintext_bits: u32,
        headroom_bits: Option<u32>,
        security: u32,
        slots: Option<usize>,
        degree: Option<usize>,
        insecure_degree: Option<usize>,
    ) -> PyResult<Self> {
        let mut builder = bfv::Params::builder()
            .depth(depth)
            .plaintext_bits(plaintext_bits)
            .security(SecurityLevel::from_bits(security).or_raise(py)?);
        if let Some(bits) = headroom_bits {
            builder = builder.headroom_bits(bits);
        }
        if let Some(slots) = slots {
            builder = builder.slots(slots);
        }
        if let Some(degree) = degree {
            builder = builder.degree(degree);
        }
        if let Some(degree) = insecure_degree {
            builder = builder.insecure_degree(degree);
        }
        let params = py.detach(|| builder.build()).or_raise(py)?;
        Ok(Self {
            inner: AnyParams::Bfv(params),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (*, bits, fraction_bits, value_bits, integer_bits, terms, depth, slots, insecure_bits))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each setting of the builder, all by name"
    )]
    fn paillier(
        py: Python<'_>,
        bits: u32,
        fraction_bits: u32,
        value_bits: Option<u32>,
        integer_bits: Option<u32>,
        terms: Option<u64>,
        depth: usize,
        slots: Option<usize>,
        insecure_bits: Option<u32>,
    ) -> PyResult<Self> {
        let mut builder = paillier::Params::builder()
            .bits(bits)
            .fraction_bits(fraction_bits)
            .depth(depth)
            .slots(slots);
        if let Some(bits) = value_bits {
            builder = builder.value_bits(bits);
        }
        if let Some(bits) = integer_bits {
            builder = builder.integer_bits(bits);
        }
        if let Some(terms) = terms {
            builder = builder.terms(terms);
        }
        if let Some(bits) = insecure_bits {
            builder = builder.insecure_bits(bits);
        }
        Ok(Self {
            inner: AnyParams::Paillier(builder.build().or_raise(py)?),
        })
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: crate::buffer::Bytes<'_>) -> PyResult<Self> {
        let bytes = bytes.as_slice();
        py.detach(|| AnyParams::from_bytes(bytes, false))
            .or_raise(py)
            .map(|inner| Self { inner })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.to_bytes())
    }
    fn describe(&self) -> String {
        either!(&self.inner, p => p.to_string())
    }
    #[getter]
    fn scheme(&self) -> &'static str {
        self.inner.name()
    }
    #[getter]
    fn id(&self) -> String {
        self.inner.id()
    }
    #[getter]
    fn slots(&self) -> usize {
        self.inner.slots()
    }
    #[getter]
    fn depth(&self) -> usize {
        self.inner.depth()
    }
    #[getter]
    fn insecure(&self) -> bool {
        self.inner.is_insecure()
    }
    #[getter]
    fn security(&self) -> Option<u32> {
        match &self.inner {
            AnyParams::Ckks(p) => p.security().map(SecurityLevel::bits),
            AnyParams::Bfv(p) => p.security().map(SecurityLevel::bits),
            AnyParams::Paillier(_) => None,
        }
    }
    /// Ring degree, or bits of the modulus under Paillier.
    #[getter]
    fn degree(&self) -> usize {
        match &self.inner {
            AnyParams::Ckks(p) => p.degree(),
            AnyParams::Bfv(p) => p.degree(),
            AnyParams::Paillier(p) => p.bits() as usize,
        }
    }
    #[getter]
    fn log2_qp(&self) -> Option<f64> {
        match &self.inner {
            AnyParams::Ckks(p) => Some(p.log2_qp()),
            AnyParams::Bfv(p) => Some(p.log2_qp()),
            AnyParams::Paillier(_) => None,
        }
    }
    /// The largest absolute value that a plaintext holds.
    #[getter]
    fn max_value(&self) -> f64 {
        either!(&self.inner, p => p.max_value())
    }
    /// Up to this absolute value results are right or refused; beyond it they wrap around. None where nothing does.
    #[getter]
    fn capacity(&self) -> Option<f64> {
        match &self.inner {
            AnyParams::Ckks(p) => Some(p.capacity()),
            _ => None,
        }
    }
    /// Bits of precision: of a product of fresh values (CKKS), of the fixed point (Paillier), none lost (BFV).
    #[getter]
    fn precision_bits(&self) -> Option<u32> {
        match &self.inner {
            AnyParams::Ckks(p) => Some(p.precision_bits()),
            AnyParams::Bfv(_) => None,
            AnyParams::Paillier(p) => Some(p.fraction_bits()),
        }
    }
    /// Values are at most two to this power (CKKS, Paillier).
    #[getter]
    fn integer_bits(&self) -> Option<u32> {
        match &self.inner {
            AnyParams::Ckks(p) => Some(p.integer_bits()),
            AnyParams::Bfv(_) => None,
            AnyParams::Paillier(p) => Some(p.integer_bits()),
        }
    }
    /// What `CkksParams` takes besides: room for shared results.
    #[getter]
    fn sharing(&self) -> Option<u32> {
        match &self.inner {
            AnyParams::Ckks(p) => Some(p.sharing_queries()),
            AnyParams::Bfv(_) | AnyParams::Paillier(_) => None,
        }
    }
    /// What `BfvParams` takes besides: bits of a signed integer, bits of the numbers of terms.
    #[getter]
    fn integers(&self) -> Option<(u32, u32)> {
        match &self.inner {
            AnyParams::Bfv(p) => Some((p.plaintext_bits(), p.headroom_bits())),
            AnyParams::Ckks(_) | AnyParams::Paillier(_) => None,
        }
    }
    /// What `PaillierParams` takes besides: bits of fresh values, and how many of them can be summed.
    #[getter]
    fn sums(&self) -> Option<(u32, u64)> {
        match &self.inner {
            AnyParams::Paillier(p) => Some((p.value_bits(), p.terms())),
            AnyParams::Ckks(_) | AnyParams::Bfv(_) => None,
        }
    }
    #[getter]
    fn ciphertext_bytes(&self) -> usize {
        self.inner.ciphertext_bytes()
    }
    #[getter]
    fn key_bytes(&self) -> usize {
        self.inner.key_bytes()
    }
}
