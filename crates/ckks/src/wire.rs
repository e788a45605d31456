//! Parameters, keys and ciphertexts to bytes and back, inside the envelope.

use crate::ciphertext::Ciphertext;
use crate::evaluator::Evaluator;
use crate::keys::PublicKey;
use crate::params::Params;
use cipherblas_rlwe::{EvaluationKeys, RingSpec, wire};
use cipherblas_scheme::security::SecurityLevel;
use cipherblas_scheme::wire::{
    Expected, Fingerprint, Header, KeyId, Kind, Reader, SchemeId, Writer,
};
use cipherblas_scheme::{Error, Result, Wire};
use std::sync::Arc;

impl Params {
    /// Serializes the parameters: everything public.
    pub fn to_bytes(&self) -> Vec<u8> {
        let spec = self.ring().spec();
        let mut writer = Writer::new();
        writer.u32(self.precision_bits());
        writer.u32(self.integer_bits());
        writer.u32(self.security().map_or(0, SecurityLevel::bits));
        writer.u32(self.sharing_queries());
        writer.f64(self.scale(self.depth()));
        writer.u32(spec.degree as u32);
        writer.u32(spec.digit_len as u32);
        writer.u32(spec.groups.len() as u32);
        for group in spec.groups.iter().chain([&spec.special]) {
            writer.u32(group.len() as u32);
            group.iter().for_each(|&p| writer.u64(p));
        }
        writer.seal(&Header::new(
            Kind::Parameters,
            SchemeId::Ckks,
            self.id(),
            KeyId::NONE,
        ))
    }

    /// Reads parameters and validates them as if they had been built: primes, digits, security, identifier.
    ///
    /// A kilobyte can ask for tables of hundreds of megabytes, at the largest degree: read what strangers send with
    /// [`Params::from_bytes_within`].
    ///
    /// # Errors
    /// `Wire` for bytes that are not parameters, `Parameter` for parameters that are not valid or not as secure as they
    /// say. Parameters without security are refused: see [`Params::insecure_from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_within(bytes, usize::MAX)
    }

    /// As [`Params::from_bytes`], refusing ring degrees above `largest_degree` before any table is made: memory and time grow with
    /// the degree, times the number of primes that its security allows, which grows with it.
    ///
    /// # Errors
    /// As [`Params::from_bytes`].
    pub fn from_bytes_within(bytes: &[u8], largest_degree: usize) -> Result<Self> {
        let params = Self::read(bytes, largest_degree)?;
        if params.security().is_none() {
            return Err(Error::Parameter {
                what: "security",
                got: "parameters made with `insecure_degree`".into(),
                expected: "128, 192 or 256 bits".into(),
                hint: "read test parameters with `insecure_from_bytes`",
            });
        }
        Ok(params)
    }

    /// As [`Params::from_bytes`], accepting parameters that claim no security.
    ///
    /// # Errors
    /// As [`Params::from_bytes`].
    pub fn insecure_from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, usize::MAX)
    }

    fn read(bytes: &[u8], largest_degree: usize) -> Result<Self> {
        let expected = Expected {
            kind: Kind::Parameters,
            scheme: SchemeId::Ckks,
            parameters: None,
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("ckks parameters", payload);
        let precision_bits = reader.u32()?;
        let integer_bits = reader.u32()?;
        let security = match reader.u32()? {
            0 => None,
            bits => Some(SecurityLevel::from_bits(bits)?),
        };
        let sharing_queries = reader.u32()?;
        let top_scale = reader.f64()?;
        let degree = reader.u32()? as usize;
        if degree > largest_degree {
            return Err(reader.error(
                format!("ring degree {degree}"),
                format!("at most {largest_degree}, as the reader allows"),
            ));
        }
        let digit_len = reader.u32()? as usize;
        let levels = reader.u32()? as usize;
        let group = |reader: &mut Reader<'_>| -> Result<Vec<u64>> {
            let count = reader.u32()? as usize;
            if count
                .checked_mul(8)
                .is_none_or(|bytes| bytes > reader.remaining())
            {
                return Err(
                    reader.error(format!("{count} primes"), "as many as there are bytes for")
                );
            }
            (0..count).map(|_| reader.u64()).collect()
        };
        if levels
            .checked_mul(4)
            .is_none_or(|bytes| bytes > reader.remaining())
        {
            return Err(reader.error(format!("{levels} levels"), "as many as there are bytes for"));
        }
        let groups = (0..levels)
            .map(|_| group(&mut reader))
            .collect::<Result<_>>()?;
        let special = group(&mut reader)?;
        reader.expect_end()?;
        let spec = RingSpec {
            degree,
            groups,
            special,
            digit_len,
        };
        let params = Self::assemble(
            spec,
            top_scale,
            precision_bits,
            integer_bits,
            security,
            sharing_queries,
        )?;
        if params.id() != header.parameters {
            return Err(Error::Wire {
                what: "ckks parameters",
                got: format!("identifier {}", header.parameters),
                expected: params.id().to_string(),
            });
        }
        Ok(params)
    }

    /// Serializes evaluation keys: seeds and first halves.
    pub fn evaluation_keys_to_bytes(&self, keys: &EvaluationKeys) -> Vec<u8> {
        let mut writer = Writer::new();
        wire::write_evaluation_keys(&mut writer, keys);
        writer.seal(&Header::new(
            Kind::EvaluationKeys,
            SchemeId::Ckks,
            self.id(),
            keys.id(),
        ))
    }

    /// Reads evaluation keys made for these parameters.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn evaluation_keys_from_bytes(&self, bytes: &[u8]) -> Result<Arc<EvaluationKeys>> {
        let expected = Expected {
            kind: Kind::EvaluationKeys,
            scheme: SchemeId::Ckks,
            parameters: Some(self.id()),
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("evaluation keys", payload);
        let keys = wire::read_evaluation_keys(&mut reader, self.ring(), header.key)?;
        reader.expect_end()?;
        Ok(Arc::new(keys))
    }

    /// Bytes on the wire of the evaluation keys of `set`.
    pub fn evaluation_keys_wire_bytes(&self, set: &cipherblas_scheme::KeySet) -> usize {
        wire::evaluation_bytes(self.ring(), set)
    }
}

impl PublicKey {
    /// Serializes the key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        wire::write_public_key(&mut writer, &self.key);
        writer.seal(&Header::new(
            Kind::PublicKey,
            SchemeId::Ckks,
            self.params.id(),
            self.id(),
        ))
    }

    /// Hash of parameters and key, to be compared over another channel: the id is a name that anyone can give to a key of their
    /// own, and data encrypted under that key is theirs.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::digest("cipherblas 2026 ckks public key", &self.to_bytes())
    }

    /// Reads a public key made for `params`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(params: &Params, bytes: &[u8]) -> Result<Self> {
        let expected = Expected {
            kind: Kind::PublicKey,
            scheme: SchemeId::Ckks,
            parameters: Some(params.id()),
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("public key", payload);
        let key = wire::read_public_key(&mut reader, params.ring(), header.key)?;
        reader.expect_end()?;
        Ok(Self {
            params: params.clone(),
            key,
        })
    }
}

impl Wire for Evaluator {
    fn write_ciphertext(&self, ct: &Ciphertext) -> Vec<u8> {
        let mut writer =
            Writer::with_capacity(64 + 2 * wire::poly_bytes(self.params.ring(), ct.c0.basis()));
        writer.u32(ct.level as u32);
        writer.f64(ct.error);
        writer.f64(ct.magnitude);
        writer.u8(u8::from(ct.seed.is_some()));
        wire::write_poly(&mut writer, &ct.c0);
        match &ct.seed {
            Some(seed) => writer.raw(seed.as_bytes()),
            None => wire::write_poly(&mut writer, &ct.c1),
        }
        writer.seal(&Header::new(
            Kind::Ciphertext,
            SchemeId::Ckks,
            ct.params,
            ct.key,
        ))
    }

    fn read_ciphertext(&self, bytes: &[u8]) -> Result<Ciphertext> {
        let expected = Expected {
            kind: Kind::Ciphertext,
            scheme: SchemeId::Ckks,
            parameters: Some(self.params.id()),
            key: Some(self.key),
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("ciphertext", payload);
        let ring = self.params.ring();
        let level = reader.u32()? as usize;
        if level > ring.max_level() {
            return Err(reader.error(
                format!("level {level}"),
                format!("at most {}", ring.max_level()),
            ));
        }
        let error = reader.f64()?;
        let magnitude = reader.f64()?;
        if !(error >= 0.0 && error.is_finite() && magnitude >= 0.0 && magnitude.is_finite()) {
            return Err(reader.error(
                format!("bounds {error} and {magnitude}"),
                "finite and not negative",
            ));
        }
        let seeded = match reader.u8()? {
            0 => false,
            1 => true,
            other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
        };
        let c0 = wire::read_poly(&mut reader, ring, ring.basis(level))?;
        let (c1, seed) = if seeded {
            let seed = wire::read_seed(&mut reader)?;
            reader.expect_end()?;
            (wire::expand_half(ring, level, &seed), Some(seed))
        } else {
            (wire::read_poly(&mut reader, ring, ring.basis(level))?, None)
        };
        reader.expect_end()?;
        Ok(Ciphertext {
            c0,
            c1,
            seed,
            level,
            error,
            magnitude,
            params: header.parameters,
            key: header.key,
        })
    }
}
