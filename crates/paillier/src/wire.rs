//! Parameters, public keys and ciphertexts to bytes and back, inside the envelope.

use crate::ciphertext::Ciphertext;
use crate::encrypt::PublicKey;
use crate::evaluator::Evaluator;
use crate::params::{Inner, Params, invalid};
use cipherblas_scheme::wire::{
    Expected, Fingerprint, Header, KeyId, Kind, ParameterId, Reader, SchemeId, Writer,
};
use cipherblas_scheme::{Error, Result, Wire};
use num_bigint::BigUint;

fn write_number(writer: &mut Writer, number: &BigUint, bytes: usize) {
    let mut digits = number.to_bytes_le();
    digits.resize(bytes, 0);
    writer.raw(&digits);
}

impl Params {
    /// Serializes the parameters: everything public.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = self.parts();
        let mut writer = Writer::new();
        for part in [
            parts.bits,
            parts.fraction_bits,
            parts.integer_bits,
            parts.value_bits,
            parts.depth as u32,
            parts.slots as u32,
            u32::from(parts.insecure),
        ] {
            writer.u32(part);
        }
        writer.seal(&Header::new(
            Kind::Parameters,
            SchemeId::Paillier,
            self.id(),
            KeyId::NONE,
        ))
    }

    /// Reads parameters and validates them as if they had been built.
    ///
    /// # Errors
    /// `Wire` for bytes that are not parameters, `Parameter` for parameters that are not valid. Parameters without security
    /// are refused: see [`Params::insecure_from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_within(bytes, u32::MAX)
    }

    /// As [`Params::from_bytes`], refusing moduli of more than `largest_bits`: the time of everything that is done with them
    /// grows with the cube of their length.
    ///
    /// # Errors
    /// As [`Params::from_bytes`].
    pub fn from_bytes_within(bytes: &[u8], largest_bits: u32) -> Result<Self> {
        let params = Self::insecure_from_bytes(bytes)?;
        if params.bits() > largest_bits {
            return Err(Error::Wire {
                what: "paillier parameters",
                got: format!("a modulus of {} bits", params.bits()),
                expected: format!("at most {largest_bits}, as the reader allows"),
            });
        }
        if params.is_insecure() {
            return Err(invalid(
                "bits",
                "parameters made with `insecure_bits`",
                "2048 or more, made with `bits`",
                "read test parameters with `insecure_from_bytes`",
            ));
        }
        Ok(params)
    }

    /// As [`Params::from_bytes`], accepting parameters that claim no security.
    ///
    /// # Errors
    /// As [`Params::from_bytes`].
    pub fn insecure_from_bytes(bytes: &[u8]) -> Result<Self> {
        let expected = Expected {
            kind: Kind::Parameters,
            scheme: SchemeId::Paillier,
            parameters: None,
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("paillier parameters", payload);
        let parts = Inner {
            bits: reader.u32()?,
            fraction_bits: reader.u32()?,
            integer_bits: reader.u32()?,
            value_bits: reader.u32()?,
            depth: reader.u32()? as usize,
            slots: reader.u32()? as usize,
            insecure: match reader.u32()? {
                0 => false,
                1 => true,
                other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
            },
            id: ParameterId([0; 16]),
        };
        reader.expect_end()?;
        let params = Self::assemble(parts)?;
        if params.id() != header.parameters {
            return Err(Error::Wire {
                what: "paillier parameters",
                got: format!("identifier {}", header.parameters),
                expected: params.id().to_string(),
            });
        }
        Ok(params)
    }
}

impl PublicKey {
    /// Serializes the key: the modulus.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        write_number(
            &mut writer,
            self.key().n(),
            self.params().bits() as usize / 8,
        );
        writer.seal(&Header::new(
            Kind::PublicKey,
            SchemeId::Paillier,
            self.params().id(),
            self.id(),
        ))
    }

    /// Hash of parameters and key, to be compared over another channel: the id is that of the modulus alone, and values
    /// encrypted under other parameters are read as other values.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::digest("cipherblas 2026 paillier public key", &self.to_bytes())
    }

    /// Reads a public key made for `params`, and checks its modulus.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`; `Parameter` for a modulus that is not secure.
    pub fn from_bytes(params: &Params, bytes: &[u8]) -> Result<Self> {
        let expected = Expected {
            kind: Kind::PublicKey,
            scheme: SchemeId::Paillier,
            parameters: Some(params.id()),
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("paillier public key", payload);
        let n = BigUint::from_bytes_le(reader.raw(params.bits() as usize / 8)?);
        reader.expect_end()?;
        let key = Self::from_modulus(params, &n)?;
        if key.id() != header.key {
            return Err(reader.error(format!("identifier {}", header.key), key.id().to_string()));
        }
        Ok(key)
    }
}

impl Wire for Evaluator {
    fn write_ciphertext(&self, ct: &Ciphertext) -> Vec<u8> {
        let bytes = self.params.ciphertext_bytes();
        let mut writer = Writer::with_capacity(20 + bytes);
        writer.u32(ct.depth as u32);
        writer.f64(ct.error);
        writer.f64(ct.magnitude);
        write_number(
            &mut writer,
            &self.key.element_to_biguint(&ct.element),
            bytes,
        );
        writer.seal(&Header::new(
            Kind::Ciphertext,
            SchemeId::Paillier,
            ct.params,
            ct.key,
        ))
    }

    /// Besides lengths and ids: the depth, bounds that a slot holds, and that the number is a unit modulo `n^2`.
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<Ciphertext> {
        let expected = Expected {
            kind: Kind::Ciphertext,
            scheme: SchemeId::Paillier,
            parameters: Some(self.params.id()),
            key: Some(self.id),
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("paillier ciphertext", payload);
        let depth = reader.u32()? as usize;
        if depth > self.params.depth() {
            return Err(reader.error(
                format!("depth {depth}"),
                format!("at most {}", self.params.depth()),
            ));
        }
        let mut bound = |largest: f64| {
            let value = reader.f64()?;
            if (0.0..=largest).contains(&value) {
                Ok(value)
            } else {
                Err(reader.error(format!("a bound of {value}"), format!("0 to {largest}")))
            }
        };
        let error = bound(self.params.max_error())?;
        let magnitude = bound(self.params.max_value())?;
        let number = BigUint::from_bytes_le(reader.raw(self.params.ciphertext_bytes())?);
        reader.expect_end()?;
        Ok(Ciphertext {
            element: self.key.element_from_biguint(&number)?,
            depth,
            error,
            magnitude,
            params: header.parameters,
            key: header.key,
        })
    }
}
