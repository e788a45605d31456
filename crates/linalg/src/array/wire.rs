//! Arrays to bytes and back: the envelopes of vectors and matrices, and one for a scalar.

use super::{EncryptedArray, Repr};
use crate::encrypted::{EncryptedMatrix, EncryptedVector};
use crate::packing::VectorPacking;
use crate::wire::{Place, open, parts, seal, seal_in};
use cipherblas_scheme::wire::{Header, Kind, Reader, Writer};
use cipherblas_scheme::{Error, Result, Wire};

impl<S: Wire> EncryptedArray<S> {
    /// The array in an envelope that names parameters and key; the evaluator stays behind. One dimension is written as an
    /// [`EncryptedVector`], two as an [`EncryptedMatrix`].
    ///
    /// # Errors
    /// None for ciphertexts that the scheme wrote correctly.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        match &self.repr {
            Repr::Vector(v) => v.to_bytes(),
            Repr::Matrix(m) => m.to_bytes(),
            Repr::Scalar(v) => {
                let ev = v.evaluator();
                let parts = v.ciphertexts().map(|ct| Ok(ev.write_ciphertext(ct)));
                seal(Kind::Scalar, Writer::new(), parts)
            }
        }
    }

    /// As [`to_bytes`](Self::to_bytes), to where `place` says: it is told how many bytes there are, and has them filled.
    /// Where ciphertexts differ in length it is called a second time, and what it made first is dropped.
    ///
    /// # Errors
    /// What `place` returns.
    pub fn to_bytes_in<T>(&self, place: &mut Place<'_, T>) -> Result<T> {
        let (kind, shape) = match &self.repr {
            Repr::Vector(v) => (Kind::Vector, v.shape_bytes()),
            Repr::Matrix(m) => (Kind::Matrix, m.shape_bytes()),
            Repr::Scalar(_) => (Kind::Scalar, Writer::new()),
        };
        let cts: Vec<&S::Ciphertext> = self.ciphertexts().collect();
        let ev = self.evaluator();
        seal_in(
            kind,
            shape,
            cts.len(),
            |k| ev.write_ciphertext(cts[k]),
            place,
        )
    }

    /// Reads and checks an array, and binds it to `evaluator`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(evaluator: &S, bytes: &[u8]) -> Result<Self> {
        match Header::peek(bytes)?.kind {
            Kind::Vector => EncryptedVector::from_bytes(evaluator, bytes).map(Self::from),
            Kind::Matrix => EncryptedMatrix::from_bytes(evaluator, bytes).map(Self::from),
            Kind::Scalar => {
                let (header, payload) = open(Kind::Scalar, bytes)?;
                let reader = Reader::new("encrypted scalar", payload);
                let cts = parts(&header, reader, 1, |bytes| evaluator.read_ciphertext(bytes))?;
                let packing = VectorPacking::spread();
                EncryptedVector::from_ciphertexts(evaluator.clone(), 1, packing, cts)
                    .map(Self::scalar)
            }
            kind => Err(Error::Wire {
                what: "encrypted array",
                got: kind.to_string(),
                expected: format!("{}, {} or {}", Kind::Scalar, Kind::Vector, Kind::Matrix),
            }),
        }
    }
}
