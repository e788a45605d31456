use super::{CHUNK, KeyId, Kind, ParameterId, SchemeId, VERSION};
use crate::{Error, Result};
use std::io::Read;

const MAGIC: [u8; 4] = *b"CBLS";
const HASH: usize = 32;
/// Bytes that the header hash covers.
const HASHED: usize = 52;

/// What an object says about itself before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format version.
    pub version: u16,
    /// What the object is.
    pub kind: Kind,
    /// The scheme it belongs to.
    pub scheme: SchemeId,
    /// The parameters it was made with.
    pub parameters: ParameterId,
    /// The key it belongs to; [`KeyId::NONE`] where there is none.
    pub key: KeyId,
    /// Bytes of payload; set by [`seal`].
    pub payload_len: u64,
}

impl Header {
    /// Bytes of a header on the wire, its hash included.
    pub const LEN: usize = HASHED + HASH;

    /// A header of the present version, its payload length still to be set by [`seal`].
    pub fn new(kind: Kind, scheme: SchemeId, parameters: ParameterId, key: KeyId) -> Self {
        Self {
            version: VERSION,
            kind,
            scheme,
            parameters,
            key,
            payload_len: 0,
        }
    }

    /// Reads the header at the start of `bytes`, without looking at the payload.
    ///
    /// # Errors
    /// `Wire` if it is truncated, altered, of a newer version, or no such header at all.
    pub fn peek(bytes: &[u8]) -> Result<Self> {
        let Some((header, _)) = bytes.split_first_chunk::<{ Self::LEN }>() else {
            let known = bytes.len().min(MAGIC.len());
            if bytes[..known] != MAGIC[..known] {
                return Err(not_ours(&bytes[..known]));
            }
            return Err(Error::Wire {
                what: "header",
                got: format!("{} bytes", bytes.len()),
                expected: format!("at least {} bytes", Self::LEN),
            });
        };
        if header[..4] != MAGIC {
            return Err(not_ours(&header[..4]));
        }
        let version = u16_at(header, 4);
        if version == 0 || version > VERSION {
            return Err(Error::Wire {
                what: "format version",
                got: format!("version {version}"),
                expected: format!("1 to {VERSION}: a newer version of this library may read it"),
            });
        }
        let (hashed, hash) = header.split_at(HASHED);
        if blake3::hash(hashed) != *hash {
            return Err(altered("header hash", "the header"));
        }
        if u16_at(header, 10) != 0 {
            return Err(Error::Wire {
                what: "header",
                got: format!("{:#x} in the reserved field", u16_at(header, 10)),
                expected: "zero".into(),
            });
        }
        Ok(Self {
            version,
            kind: Kind::from_code(u16_at(header, 6))?,
            scheme: SchemeId::from_code(u16_at(header, 8))?,
            parameters: ParameterId(array_at(header, 12)),
            key: KeyId(array_at(header, 28)),
            payload_len: u64::from_le_bytes(array_at(header, 44)),
        })
    }

    /// Bytes of the whole object; `None` if they are more than can be counted.
    pub fn total_len(&self) -> Option<u64> {
        let hashes = self.chunks().checked_mul(HASH as u64)?;
        self.payload_len
            .checked_add(hashes)?
            .checked_add(Self::LEN as u64)
    }

    /// Whether bytes begin as an object does, as far as they go.
    pub(crate) fn has_magic(bytes: &[u8]) -> bool {
        let known = bytes.len().min(MAGIC.len());
        bytes[..known] == MAGIC[..known]
    }

    fn chunks(&self) -> u64 {
        self.payload_len.div_ceil(CHUNK as u64)
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&self.version.to_le_bytes());
        out[6..8].copy_from_slice(&self.kind.code().to_le_bytes());
        out[8..10].copy_from_slice(&self.scheme.code().to_le_bytes());
        out[12..28].copy_from_slice(&self.parameters.0);
        out[28..44].copy_from_slice(&self.key.0);
        out[44..52].copy_from_slice(&self.payload_len.to_le_bytes());
        let hash = blake3::hash(&out[..HASHED]);
        out[HASHED..].copy_from_slice(hash.as_bytes());
        out
    }
}

fn u16_at(header: &[u8; Header::LEN], at: usize) -> u16 {
    u16::from_le_bytes(array_at(header, at))
}

fn array_at<const N: usize>(header: &[u8; Header::LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| header[at + i])
}

fn not_ours(found: &[u8]) -> Error {
    Error::Wire {
        what: "header",
        got: format!("the bytes {found:02x?}"),
        expected: format!("the magic {MAGIC:02x?} (\"CBLS\")"),
    }
}

fn altered(what: &'static str, covered: &str) -> Error {
    Error::Wire {
        what,
        got: format!("a hash that does not fit {covered}"),
        expected: "the bytes that were written".into(),
    }
}

fn chunk_hash(header_hash: &[u8; HASH], index: usize, chunk: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(header_hash);
    hasher.update(&(index as u64).to_le_bytes());
    hasher.update(chunk);
    hasher.finalize()
}

/// Bytes of a sealed object whose payload has `payload` bytes.
pub const fn sealed_len(payload: usize) -> usize {
    Header::LEN + HASH * payload.div_ceil(CHUNK) + payload
}

/// Puts `payload` into an envelope. `header.version` and `header.payload_len` are set here.
///
/// Cost: one BLAKE3 pass and one copy of the payload.
pub fn seal(header: &Header, payload: &[u8]) -> Vec<u8> {
    seal_parts(header, &[payload])
}

/// As [`seal`], around a payload that is in its place already: the last `payload_len` bytes of `out`, which has
/// [`sealed_len`] of them.
///
/// # Panics
/// If `out` has another length.
pub fn seal_around(header: &Header, out: &mut [u8], payload_len: usize) {
    assert_eq!(out.len(), sealed_len(payload_len), "room for the envelope");
    let payload_at = out.len() - payload_len;
    finish(header, out, payload_at);
}

/// As [`seal`], in the payload's own buffer: no second one where there is room for `sealed_len` bytes.
pub(super) fn seal_in_place(header: &Header, mut payload: Vec<u8>) -> Vec<u8> {
    let len = payload.len();
    let payload_at = sealed_len(len) - len;
    payload.reserve_exact(payload_at);
    payload.resize(payload_at + len, 0);
    payload.copy_within(..len, payload_at);
    finish(header, &mut payload, payload_at);
    payload
}

/// Writes header and hashes before the payload that begins at `payload_at`.
fn finish(header: &Header, out: &mut [u8], payload_at: usize) {
    let header = Header {
        version: VERSION,
        payload_len: (out.len() - payload_at) as u64,
        ..*header
    };
    let start = header.to_bytes();
    let header_hash = array_at(&start, HASHED);
    let (before, payload) = out.split_at_mut(payload_at);
    before[..Header::LEN].copy_from_slice(&start);
    let hashes = before[Header::LEN..].chunks_exact_mut(HASH);
    for (index, (hash, chunk)) in hashes.zip(payload.chunks(CHUNK)).enumerate() {
        hash.copy_from_slice(chunk_hash(&header_hash, index, chunk).as_bytes());
    }
}

/// As [`seal`], the payload being all parts one after another.
pub(super) fn seal_parts(header: &Header, parts: &[&[u8]]) -> Vec<u8> {
    let payload_len = parts.iter().map(|part| part.len()).sum::<usize>();
    let payload_at = sealed_len(payload_len) - payload_len;
    let mut out = Vec::with_capacity(payload_at + payload_len);
    out.resize(payload_at, 0);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    finish(header, &mut out, payload_at);
    out
}

/// What an object has to be to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// What the object has to be.
    pub kind: Kind,
    /// The scheme it has to belong to.
    pub scheme: SchemeId,
    /// The parameters it has to be made with; `None`: any.
    pub parameters: Option<ParameterId>,
    /// The key it has to belong to; `None`: any.
    pub key: Option<KeyId>,
}

impl Expected {
    /// Checks the whole envelope and gives its payload, without copying.
    ///
    /// # Errors
    /// `Wire` if the object is truncated, too long, altered, or of another kind or scheme; `KeyMismatch` if it was
    /// made with other parameters or another key.
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Result<(Header, &'a [u8])> {
        let header = Header::peek(bytes)?;
        self.check(&header)?;
        if header.total_len() != Some(bytes.len() as u64) {
            return Err(Error::Wire {
                what: "length of the object",
                got: format!("{} bytes", bytes.len()),
                expected: format!(
                    "{} bytes of payload, after header and hashes",
                    header.payload_len
                ),
            });
        }
        let (start, rest) = bytes.split_at(Header::LEN);
        // The total length is that of a slice, so that it and its parts fit `usize`.
        let (hashes, payload) = rest.split_at(header.chunks() as usize * HASH);
        let header_hash: [u8; HASH] = std::array::from_fn(|i| start[HASHED + i]);
        let pairs = hashes.chunks_exact(HASH).zip(payload.chunks(CHUNK));
        for (index, (hash, chunk)) in pairs.enumerate() {
            if chunk_hash(&header_hash, index, chunk) != *hash {
                return Err(altered("chunk hash", &format!("chunk {index}")));
            }
        }
        Ok((header, payload))
    }

    /// Checks what a header says, before its payload is there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn check(&self, header: &Header) -> Result<()> {
        if header.kind != self.kind {
            return Err(Error::Wire {
                what: "object kind",
                got: header.kind.to_string(),
                expected: self.kind.to_string(),
            });
        }
        if header.scheme != self.scheme {
            return Err(Error::Wire {
                what: "scheme",
                got: header.scheme.to_string(),
                expected: self.scheme.to_string(),
            });
        }
        if let Some(parameters) = self.parameters.filter(|&p| p != header.parameters) {
            return Err(Error::KeyMismatch {
                operation: "load",
                got: format!("a {} with parameters {}", header.kind, header.parameters),
                expected: format!("parameters {parameters}"),
            });
        }
        if let Some(key) = self.key.filter(|&k| k != header.key) {
            return Err(Error::KeyMismatch {
                operation: "load",
                got: format!("a {} of key {}", header.kind, header.key),
                expected: format!("key {key}"),
            });
        }
        Ok(())
    }
}

/// Reads one whole object from a stream: no more than its header declares, never more than `limit` bytes. Memory grows
/// as bytes arrive, whatever the header declares.
///
/// # Errors
/// `Wire` if the header is not valid, the object is larger than `limit`, or the stream ends or fails before it does.
pub fn receive(stream: &mut impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_to(stream, Header::LEN as u64, &mut bytes)?;
    let header = Header::peek(&bytes)?;
    let total = match header.total_len() {
        Some(total) if total <= limit => total,
        _ => {
            return Err(Error::Wire {
                what: "length of the object",
                got: format!("{} bytes of payload", header.payload_len),
                expected: format!("at most {limit} bytes in all"),
            });
        }
    };
    read_to(stream, total, &mut bytes)?;
    if bytes.len() as u64 != total {
        return Err(Error::Wire {
            what: "length of the object",
            got: format!("{} bytes", bytes.len()),
            expected: format!("{total} bytes"),
        });
    }
    Ok(bytes)
}

/// Reads until `bytes` has `length` bytes or the stream ends.
fn read_to(stream: &mut impl Read, length: u64, bytes: &mut Vec<u8>) -> Result<()> {
    let missing = length - bytes.len() as u64;
    match stream.take(missing).read_to_end(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Wire {
            what: "stream",
            got: error.to_string(),
            expected: format!("{length} bytes"),
        }),
    }
}
