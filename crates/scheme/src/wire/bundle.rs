use super::envelope::seal_parts;
use super::{Expected, Header, Kind, Reader};
use crate::{Error, Result};

/// Parameters and an object made with them, as one: whoever gets it needs nothing else to read it. Both are whole objects in
/// their own envelopes; the outer one has the ids of the inner, and says how long the parameters are (8 bytes) before them.
///
/// Cost: one BLAKE3 pass and one copy.
///
/// # Errors
/// `Wire` if `parameters` are none, or `object` is none that has parameters; `KeyMismatch` if it was made with others.
pub fn bundle(parameters: &[u8], object: &[u8]) -> Result<Vec<u8>> {
    let header = match_headers(parameters, object)?;
    let length = (parameters.len() as u64).to_le_bytes();
    Ok(seal_parts(&header, &[&length, parameters, object]))
}

/// The parameters and the object of a [`bundle`], without copying: each still to be read, and checked, as what it is.
///
/// # Errors
/// `Wire` if the bundle is truncated, too long, altered, or none; `KeyMismatch` if what is inside does not belong together.
pub fn open_bundle(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let scheme = Header::peek(bytes)?.scheme;
    let expected = Expected {
        kind: Kind::Bundle,
        scheme,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes)?;
    let mut reader = Reader::new("bundle", payload);
    let parameters = reader.bytes()?;
    let object = reader.raw(reader.remaining())?;
    let inner = match_headers(parameters, object)?;
    if (inner.scheme, inner.parameters, inner.key) != (header.scheme, header.parameters, header.key)
    {
        return Err(reader.error(
            format!("ids {} and {}", header.parameters, header.key),
            format!("{} and {}, as inside", inner.parameters, inner.key),
        ));
    }
    Ok((parameters, object))
}

/// The header of the bundle of both: that they are whole, and belong together.
fn match_headers(parameters: &[u8], object: &[u8]) -> Result<Header> {
    let whole = |bytes: &[u8]| {
        let header = Header::peek(bytes)?;
        if header.total_len() == Some(bytes.len() as u64) {
            return Ok(header);
        }
        Err(Error::Wire {
            what: "length of an object in a bundle",
            got: format!("{} bytes", bytes.len()),
            expected: format!(
                "{} bytes of payload, after header and hashes",
                header.payload_len
            ),
        })
    };
    let (outer, inner) = (whole(parameters)?, whole(object)?);
    if matches!(inner.kind, Kind::Parameters | Kind::Bundle) {
        return Err(Error::Wire {
            what: "object in a bundle",
            got: inner.kind.to_string(),
            expected: "an object that was made with parameters".into(),
        });
    }
    Expected {
        kind: Kind::Parameters,
        scheme: inner.scheme,
        parameters: Some(inner.parameters),
        key: None,
    }
    .check(&outer)?;
    Ok(Header::new(
        Kind::Bundle,
        inner.scheme,
        inner.parameters,
        inner.key,
    ))
}
