use super::block::CodedBlock;
use super::{CodedPublicKey, Coding, Encryptor, Search};
use crate::chain::log2_qp;
use crate::evaluation::EvaluationKeys;
use crate::matrix::{Block, MatrixSpec, wire as blocks};
use crate::ring::RingSpec;
use crate::wire as keys;
use cipherblas_scheme::security::{self, SecurityLevel};
use cipherblas_scheme::wire::{
    Expected, Header, KeyId, Kind, ParameterId, Reader, SchemeId, Writer, sealed_len,
};
use cipherblas_scheme::{Error, MatrixKeySet, Result};
use std::sync::Arc;

/// Primes in a list, and levels, that a reader allows: far more than any ring has.
const MOST: usize = 256;
/// The largest ring degree.
const MOST_DEGREE: usize = 1 << 15;

fn header<C: Coding>(kind: Kind, params: &C, key: KeyId) -> Header {
    Header::new(kind, C::SCHEME, params.id(), key)
}

fn expected<C: Coding>(kind: Kind, params: &C, key: Option<KeyId>) -> Expected {
    Expected {
        kind,
        scheme: C::SCHEME,
        parameters: Some(params.id()),
        key,
    }
}

pub(super) fn write<C: Coding>(params: &C, x: &CodedBlock<C>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(128 + 2 * x.memory_bytes());
    writer.u8(u8::from(x.fresh && shown(params, &x.inner, &x.bounds)));
    writer.u32(x.depth() as u32);
    params.write_bounds(&x.bounds, &mut writer);
    blocks::write_block(&mut writer, &x.inner);
    writer.seal(&Header::new(
        Kind::MatrixBlock,
        C::SCHEME,
        x.params,
        x.key_id(),
    ))
}

/// Whether a block on the wire may say that it is as it was encrypted. Only second halves that are a seed show that nobody
/// computed them; without a seed, errors have to be as large as those of the public key. Blocks of short single lines under
/// the secret key lose the mark on the way, which only matters to sums over several of them.
fn shown<C: Coding>(params: &C, inner: &Block, bounds: &C::Bounds) -> bool {
    inner.is_seeded() || params.as_public(inner.level(), bounds)
}

pub(super) fn read<C: Coding>(params: &C, key: KeyId, bytes: &[u8]) -> Result<CodedBlock<C>> {
    let (header, payload) = expected(Kind::MatrixBlock, params, Some(key)).open(bytes)?;
    let mut reader = Reader::new("matrix block", payload);
    let fresh = match reader.u8()? {
        0 => false,
        1 => true,
        other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
    };
    let level = reader.u32()? as usize;
    let top = params.ring().max_level();
    if level > top {
        return Err(reader.error(format!("depth {level}"), format!("at most {top}")));
    }
    let bounds = params.read_bounds(level, &mut reader)?;
    let inner = blocks::read_block(&mut reader, params.ring(), key)?;
    reader.expect_end()?;
    if inner.level() != level {
        return Err(reader.error(
            format!("residues at level {}", inner.level()),
            format!("level {level}"),
        ));
    }
    if inner.is_seeded() && !fresh {
        return Err(reader.error("a computed block with a seed", "a fresh one"));
    }
    // What blocks declare of themselves is the sender's word.
    let fresh = fresh && shown(params, &inner, &bounds);
    let bounds = params
        .raised(level, fresh, bounds)
        .map_err(|_| reader.error("bounds below what errors are at least", "larger ones"))?;
    Ok(CodedBlock {
        inner,
        bounds,
        fresh,
        params: header.parameters,
    })
}

impl<C: Coding> CodedPublicKey<C> {
    /// Serializes the key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        keys::write_public_key(&mut writer, &self.key);
        writer.seal(&header(Kind::PublicKey, &self.params, self.id()))
    }

    /// Reads a public key made for `params`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(params: &C, bytes: &[u8]) -> Result<Self> {
        let (header, payload) = expected(Kind::PublicKey, params, None).open(bytes)?;
        let mut reader = Reader::new("public key", payload);
        let key = keys::read_public_key(&mut reader, params.ring().ring(), header.key)?;
        reader.expect_end()?;
        Ok(Self {
            params: params.clone(),
            key,
        })
    }
}

/// Serializes evaluation keys: seeds and first halves.
pub fn write_evaluation_keys<C: Coding>(params: &C, evaluation: &EvaluationKeys) -> Vec<u8> {
    let mut writer = Writer::new();
    keys::write_evaluation_keys(&mut writer, evaluation);
    writer.seal(&header(Kind::EvaluationKeys, params, evaluation.id()))
}

/// Reads evaluation keys made for `params`.
///
/// # Errors
/// `Wire`, `KeyMismatch`.
pub fn read_evaluation_keys<C: Coding>(params: &C, bytes: &[u8]) -> Result<Arc<EvaluationKeys>> {
    let (header, payload) = expected(Kind::EvaluationKeys, params, None).open(bytes)?;
    let mut reader = Reader::new("evaluation keys", payload);
    let mut read = keys::read_evaluation_keys(&mut reader, params.ring().ring(), header.key)?;
    reader.expect_end()?;
    read.parameters = Some(params.id());
    Ok(Arc::new(read))
}

/// Bytes on the wire of the evaluation keys of a set, envelope included: what [`write_evaluation_keys`] gives.
///
/// # Errors
/// `Parameter` for grids that the ring does not have.
pub fn evaluation_keys_bytes<C: Coding>(params: &C, set: &MatrixKeySet) -> Result<usize> {
    let count = super::keys::elements(params, set)?.len();
    let all = count + usize::from(set.products);
    let payload = 5 + 4 * count + all * keys::switch_bytes(params.ring().ring());
    Ok(sealed_len(payload))
}

/// Writes what defines a ring of matrices.
pub fn write_spec(writer: &mut Writer, spec: &MatrixSpec) {
    writer.u32(spec.ring.degree as u32);
    writer.u32(spec.ring.digit_len as u32);
    writer.u32(spec.ring.groups.len() as u32);
    for group in spec.ring.groups.iter().chain([&spec.ring.special]) {
        writer.u32(group.len() as u32);
        group.iter().for_each(|&p| writer.u64(p));
    }
    writer.u32(spec.narrow.len() as u32);
    spec.narrow.iter().for_each(|&l| writer.u32(l as u32));
    writer.u64(spec.plaintext.unwrap_or(0));
}

/// Reads what [`write_spec`] wrote; the ring's constructor validates it.
///
/// # Errors
/// `Wire`.
pub fn read_spec(reader: &mut Reader<'_>) -> Result<MatrixSpec> {
    let count = |reader: &mut Reader<'_>, what: &str| -> Result<usize> {
        let count = reader.u32()? as usize;
        if count > MOST {
            return Err(reader.error(format!("{count} {what}"), format!("at most {MOST}")));
        }
        Ok(count)
    };
    let degree = reader.u32()? as usize;
    let digit_len = reader.u32()? as usize;
    let levels = count(reader, "levels")?;
    let mut all = 0;
    let mut group = |reader: &mut Reader<'_>| -> Result<Vec<u64>> {
        let primes = count(reader, "primes")?;
        all += primes;
        if all > MOST {
            return Err(reader.error(format!("{all} primes"), format!("at most {MOST} in all")));
        }
        (0..primes).map(|_| reader.u64()).collect()
    };
    let groups = (0..levels).map(|_| group(reader)).collect::<Result<_>>()?;
    let special = group(reader)?;
    let narrow = (0..count(reader, "levels")?)
        .map(|_| reader.u32().map(|l| l as usize))
        .collect::<Result<_>>()?;
    let plaintext = Some(reader.u64()?).filter(|&t| t != 0);
    Ok(MatrixSpec {
        ring: RingSpec {
            degree,
            groups,
            special,
            digit_len,
        },
        narrow,
        plaintext,
    })
}

/// What both schemes' parameters say about their use: the inner dimension, the length of lines, whose encryptions they are for,
/// security.
pub type JobParts = (usize, usize, Encryptor, Option<SecurityLevel>);

/// Writes what [`read_job`] reads.
pub fn write_job(writer: &mut Writer, (inner, len, encryptor, security): JobParts) {
    writer.u64(inner as u64);
    writer.u64(len as u64);
    writer.u8(match encryptor {
        Encryptor::SecretKey => 0,
        Encryptor::PublicKey => 1,
    });
    writer.u32(security.map_or(0, SecurityLevel::bits));
}

/// Reads what parameters are for.
///
/// # Errors
/// `Wire`; `Parameter` for parameters without security, if they have to be `secure`.
pub fn read_job(reader: &mut Reader<'_>, secure: bool) -> Result<JobParts> {
    let inner = usize::try_from(reader.u64()?).unwrap_or(usize::MAX);
    let len = usize::try_from(reader.u64()?).unwrap_or(usize::MAX);
    let encryptor = match reader.u8()? {
        0 => Encryptor::SecretKey,
        1 => Encryptor::PublicKey,
        other => return Err(reader.error(format!("key {other}"), "0 or 1")),
    };
    let security = match reader.u32()? {
        0 => None,
        bits => Some(SecurityLevel::from_bits(bits)?),
    };
    if secure && security.is_none() {
        return Err(Error::Parameter {
            what: "security",
            got: "parameters made with `insecure_degree`".into(),
            expected: "128, 192 or 256 bits".into(),
            hint: "read test parameters with `insecure_from_bytes`",
        });
    }
    Ok((inner, len, encryptor, security))
}

/// Checks a specification that nobody vouches for, before anything is precomputed: a message of a few bytes must not ask for
/// large tables. Depth, degree and length are those that can be built. Nothing is left to read.
///
/// # Errors
/// `Wire`; `Parameter` if it is not as secure as it says.
pub fn check_spec(
    reader: &Reader<'_>,
    spec: &MatrixSpec,
    len: usize,
    security: Option<SecurityLevel>,
) -> Result<()> {
    reader.expect_end()?;
    let degree = spec.ring.degree;
    if degree > MOST_DEGREE || len > degree {
        return Err(reader.error(
            format!("degree {degree}, lines of {len}"),
            format!("a degree up to {MOST_DEGREE}, and no longer lines"),
        ));
    }
    Search {
        depth: spec.ring.groups.len(),
        len,
        security,
        degree: Some(degree),
        plaintext: spec.plaintext,
    }
    .check()?;
    match security {
        Some(level) => security::check(level, degree, log2_qp(&spec.ring)),
        None => Ok(()),
    }
}

/// Reads parameters: opens the envelope, lets `assemble` read and validate the payload, and compares the identifier of the
/// result, which `id` gives.
///
/// # Errors
/// `Wire`, and those of `assemble`.
pub fn read_parameters<P>(
    scheme: SchemeId,
    bytes: &[u8],
    assemble: impl FnOnce(&mut Reader<'_>) -> Result<P>,
    id: impl FnOnce(&P) -> ParameterId,
) -> Result<P> {
    let expected = Expected {
        kind: Kind::Parameters,
        scheme,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes)?;
    let mut reader = Reader::new("matrix parameters", payload);
    let params = assemble(&mut reader)?;
    reader.expect_end()?;
    let own = id(&params);
    if own != header.parameters {
        return Err(Error::Wire {
            what: "matrix parameters",
            got: format!("identifier {}", header.parameters),
            expected: own.to_string(),
        });
    }
    Ok(params)
}
