//! Parameters, keys and ciphertexts to bytes and back, inside the envelope.

use crate::ciphertext::{Ciphertext, Origin, Part};
use crate::evaluator::Evaluator;
use crate::keys::PublicKey;
use crate::noise::coarse;
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
        writer.u32(self.plaintext_bits());
        writer.u32(self.headroom_bits());
        writer.u32(self.security().map_or(0, SecurityLevel::bits));
        writer.u32(spec.degree as u32);
        writer.u32(spec.digit_len as u32);
        writer.u32(spec.groups.len() as u32);
        let moduli = self.plaintext_moduli().to_vec();
        for group in spec.groups.iter().chain([&spec.special, &moduli]) {
            writer.u32(group.len() as u32);
            group.iter().for_each(|&p| writer.u64(p));
        }
        writer.seal(&Header::new(
            Kind::Parameters,
            SchemeId::Bfv,
            self.id(),
            KeyId::NONE,
        ))
    }

    /// Reads parameters and validates them as if they had been built: primes, digits, security, identifier.
    ///
    /// A kilobyte can ask for tables of some 300 MB, at degree 2^17: read what strangers send with
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
            scheme: SchemeId::Bfv,
            parameters: None,
            key: None,
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("bfv parameters", payload);
        let plaintext_bits = reader.u32()?;
        let headroom_bits = reader.u32()?;
        let security = match reader.u32()? {
            0 => None,
            bits => Some(SecurityLevel::from_bits(bits)?),
        };
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
        let moduli = group(&mut reader)?;
        reader.expect_end()?;
        let spec = RingSpec {
            degree,
            groups,
            special,
            digit_len,
        };
        let params = Self::assemble(spec, moduli, plaintext_bits, headroom_bits, security)?;
        if params.id() != header.parameters {
            return Err(Error::Wire {
                what: "bfv parameters",
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
            SchemeId::Bfv,
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
            scheme: SchemeId::Bfv,
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
            SchemeId::Bfv,
            self.params.id(),
            self.id(),
        ))
    }

    /// Hash of parameters and key, to be compared over another channel: the id is a name that anyone can give to a key of their
    /// own, and data encrypted under that key is theirs.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::digest("cipherblas 2026 bfv public key", &self.to_bytes())
    }

    /// Reads a public key made for `params`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(params: &Params, bytes: &[u8]) -> Result<Self> {
        let expected = Expected {
            kind: Kind::PublicKey,
            scheme: SchemeId::Bfv,
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

/// What stands behind the bounds of a ciphertext, and whether its second halves are seeds.
const COMPUTED: u8 = 0;
const SEEDED: u8 = 1;
const FRESH: u8 = 2;

impl Wire for Evaluator {
    /// The bounds of a fresh ciphertext are written as they were declared. Those of a computed one are rounded up to two bits
    /// after the leading one (and no further than what the parameters hold): exact bounds are a function of the plain
    /// operands. What was read is written as it was.
    fn write_ciphertext(&self, ct: &Ciphertext) -> Vec<u8> {
        let half = wire::poly_bytes(self.params.ring(), self.params.ring().basis(ct.level));
        let mut writer = Writer::with_capacity(64 + 2 * ct.parts.len() * half);
        writer.u32(ct.level as u32);
        let seeded = ct.is_seeded();
        let (noise, magnitude) = match ct.origin {
            Origin::Fresh | Origin::Read => (ct.noise, ct.magnitude),
            Origin::Computed => {
                let noise = coarse(ct.noise.max(self.params.noise().floor()));
                let magnitude = coarse(ct.magnitude);
                (
                    noise.min(self.params.noise_limit(ct.level)),
                    magnitude.min(self.params.max_value()),
                )
            }
        };
        writer.f64(noise);
        writer.f64(magnitude);
        writer.u8(match ct.origin {
            Origin::Fresh if seeded => SEEDED,
            Origin::Fresh => FRESH,
            Origin::Read | Origin::Computed => COMPUTED,
        });
        for part in &ct.parts {
            wire::write_poly(&mut writer, &part.c0);
            match &part.seed {
                Some(seed) if seeded => writer.raw(seed.as_bytes()),
                _ => wire::write_poly(&mut writer, &part.c1),
            }
        }
        writer.seal(&Header::new(
            Kind::Ciphertext,
            SchemeId::Bfv,
            ct.params,
            ct.key,
        ))
    }

    /// The bounds come with the ciphertext: they are checked against what the parameters hold, and are the word of
    /// whoever computed it. A noise below what any honest ciphertext has is taken as that; fresh ciphertexts declare exactly
    /// what encryption gives them.
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<Ciphertext> {
        let expected = Expected {
            kind: Kind::Ciphertext,
            scheme: SchemeId::Bfv,
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
        let noise = reader.f64()?;
        let limit = self.params.noise_limit(level);
        if !(0.0..=limit).contains(&noise) {
            return Err(reader.error(format!("a noise bound of {noise}"), format!("0 to {limit}")));
        }
        let magnitude = reader.f64()?;
        let capacity = self.params.max_value();
        if !(0.0..=capacity).contains(&magnitude) {
            return Err(reader.error(
                format!("a magnitude bound of {magnitude}"),
                format!("0 to {capacity}"),
            ));
        }
        let own = self.params.noise();
        let (seeded, fresh) = match reader.u8()? {
            COMPUTED => (false, None),
            SEEDED => (true, Some(own.fresh_secret())),
            FRESH => (false, Some(own.fresh_public(ring.spec().special[0]))),
            other => return Err(reader.error(format!("flag {other}"), "0, 1 or 2")),
        };
        if let Some(expected) = fresh.filter(|&expected| expected != noise) {
            return Err(reader.error(
                format!("a noise bound of {noise} of a fresh ciphertext"),
                expected.to_string(),
            ));
        }
        let basis = ring.basis(level);
        let parts = (0..self.params.plaintext_moduli().len())
            .map(|_| {
                let c0 = wire::read_poly(&mut reader, ring, basis)?;
                if !seeded {
                    let c1 = wire::read_poly(&mut reader, ring, basis)?;
                    return Ok(Part::from((c0, c1)));
                }
                let seed = wire::read_seed(&mut reader)?;
                let c1 = wire::expand_half(ring, level, &seed);
                let seed = Some(seed);
                Ok(Part { c0, c1, seed })
            })
            .collect::<Result<_>>()?;
        reader.expect_end()?;
        Ok(Ciphertext {
            parts,
            level,
            noise: noise.max(own.floor()),
            magnitude,
            origin: fresh.map_or(Origin::Read, |_| Origin::Fresh),
            params: header.parameters,
            key: header.key,
        })
    }
}
