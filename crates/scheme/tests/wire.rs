//! The envelope and its payload reader: round trips, and nothing altered, cut or invented is accepted.

use cipherblas_scheme::wire::{
    CHUNK, Expected, Header, KeyId, Kind, ParameterId, Reader, SchemeId, VERSION, Writer, receive,
    seal,
};
use cipherblas_scheme::{ClearScheme, Encrypt, Error, Wire};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const PARAMETERS: ParameterId = ParameterId([3; 16]);
const KEY: KeyId = KeyId([5; 16]);
const EXPECTED: Expected = Expected {
    kind: Kind::Ciphertext,
    scheme: SchemeId::Ckks,
    parameters: Some(PARAMETERS),
    key: Some(KEY),
};

fn header() -> Header {
    Header::new(Kind::Ciphertext, SchemeId::Ckks, PARAMETERS, KEY)
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rng().fill_bytes(&mut bytes);
    bytes
}

#[test]
fn round_trip_at_chunk_borders() {
    for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
        let payload = random_bytes(count);
        let bytes = seal(&header(), &payload);
        let (found, opened) = EXPECTED.open(&bytes).unwrap();
        assert_eq!(opened, payload);
        assert_eq!(
            found,
            Header {
                payload_len: count as u64,
                ..header()
            }
        );
        assert_eq!(found.total_len(), Some(bytes.len() as u64));
        assert_eq!(Header::peek(&bytes[..Header::LEN]).unwrap(), found);
    }
}

#[test]
fn every_flipped_bit_is_rejected() {
    let bytes = seal(&header(), &random_bytes(100));
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(EXPECTED.open(&altered), Err(Error::Wire { .. })),
            "bit {bit}"
        );
    }
}

#[test]
fn every_truncation_and_extension_is_rejected() {
    let bytes = seal(&header(), &random_bytes(100));
    for cut in 0..bytes.len() {
        assert!(
            matches!(EXPECTED.open(&bytes[..cut]), Err(Error::Wire { .. })),
            "cut at {cut}"
        );
        assert!(matches!(
            receive(&mut &bytes[..cut], 1 << 20),
            Err(Error::Wire { .. })
        ));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(
        EXPECTED.open(&longer),
        Err(Error::Wire {
            what: "length of the object",
            ..
        })
    ));
}

#[test]
fn chunks_cannot_change_places() {
    let payload = random_bytes(2 * CHUNK);
    let bytes = seal(&header(), &payload);
    let mut swapped = bytes.clone();
    let hashes = Header::LEN;
    let (first, second) = (hashes + 64, hashes + 64 + CHUNK);
    swapped[hashes..hashes + 32].copy_from_slice(&bytes[hashes + 32..hashes + 64]);
    swapped[hashes + 32..hashes + 64].copy_from_slice(&bytes[hashes..hashes + 32]);
    swapped[first..second].copy_from_slice(&payload[CHUNK..]);
    swapped[second..].copy_from_slice(&payload[..CHUNK]);
    assert!(matches!(
        EXPECTED.open(&swapped),
        Err(Error::Wire {
            what: "chunk hash",
            ..
        })
    ));
    // Nor can they move to an object of another key.
    let other = seal(
        &Header {
            key: KeyId([6; 16]),
            ..header()
        },
        &payload,
    );
    let mixed = [&other[..Header::LEN], &bytes[Header::LEN..]].concat();
    assert!(matches!(
        Expected {
            key: None,
            ..EXPECTED
        }
        .open(&mixed),
        Err(Error::Wire {
            what: "chunk hash",
            ..
        })
    ));
}

#[test]
fn objects_are_what_is_expected() {
    let bytes = seal(&header(), b"payload");
    let kind = Expected {
        kind: Kind::Matrix,
        ..EXPECTED
    }
    .open(&bytes)
    .unwrap_err();
    assert_eq!(
        kind,
        Error::Wire {
            what: "object kind",
            got: "ciphertext".into(),
            expected: "encrypted matrix".into()
        }
    );
    let scheme = Expected {
        scheme: SchemeId::Bfv,
        ..EXPECTED
    }
    .open(&bytes)
    .unwrap_err();
    assert_eq!(
        scheme,
        Error::Wire {
            what: "scheme",
            got: "ckks".into(),
            expected: "bfv".into()
        }
    );
    let key = Expected {
        key: Some(KeyId([6; 16])),
        ..EXPECTED
    }
    .open(&bytes)
    .unwrap_err();
    assert_eq!(
        key,
        Error::KeyMismatch {
            operation: "load",
            got: format!("a ciphertext of key {KEY}"),
            expected: "key 06060606060606060606060606060606".into(),
        }
    );
    let other = Some(ParameterId([4; 16]));
    let parameters = Expected {
        parameters: other,
        ..EXPECTED
    }
    .open(&bytes)
    .unwrap_err();
    assert!(matches!(
        parameters,
        Error::KeyMismatch {
            operation: "load",
            ..
        }
    ));
    assert!(
        Expected {
            parameters: None,
            key: None,
            ..EXPECTED
        }
        .open(&bytes)
        .is_ok()
    );
}

#[test]
fn a_newer_version_says_so() {
    let mut bytes = seal(&header(), b"payload");
    bytes[4..6].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let Err(Error::Wire {
        what: "format version",
        got,
        ..
    }) = Header::peek(&bytes)
    else {
        panic!("accepted a version that does not exist");
    };
    assert_eq!(got, format!("version {}", VERSION + 1));
}

#[test]
fn codes_are_never_reused() {
    let kinds: Vec<_> = Kind::ALL.iter().map(|k| k.code()).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let schemes: Vec<_> = SchemeId::ALL.iter().map(|k| k.code()).collect();
    assert_eq!(schemes, [1, 2, 3, 4, 5]);
}

/// A valid header that declares a payload of `length` bytes.
fn forged(length: u64) -> Vec<u8> {
    let mut bytes = seal(&header(), &[])[..Header::LEN - 32].to_vec();
    bytes[44..52].copy_from_slice(&length.to_le_bytes());
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

#[test]
fn declared_lengths_do_not_allocate() {
    for length in [1, 1 << 40, u64::MAX / 2, u64::MAX] {
        let bytes = forged(length);
        assert_eq!(Header::peek(&bytes).unwrap().payload_len, length);
        assert!(matches!(
            EXPECTED.open(&bytes),
            Err(Error::Wire {
                what: "length of the object",
                ..
            })
        ));
        assert!(matches!(
            receive(&mut bytes.as_slice(), u64::MAX),
            Err(Error::Wire {
                what: "length of the object",
                ..
            })
        ));
    }
    let mut reader = Reader::new("test", &[0xff; 8]);
    assert!(matches!(
        reader.length(0),
        Err(Error::Wire { what: "test", .. })
    ));
    let mut reader = Reader::new("test", &[0xff; 8]);
    assert!(matches!(reader.bytes(), Err(Error::Wire { .. })));
    let mut reader = Reader::new("test", &[0xff; 8]);
    assert!(matches!(
        reader.residues_with(64, 1, usize::MAX, |_| ()),
        Err(Error::Wire { .. })
    ));
    let bytes = [2u64.to_le_bytes(), [0; 8]].concat();
    assert_eq!(Reader::new("test", &bytes).length(4).unwrap(), 2);
    assert!(Reader::new("test", &bytes).length(5).is_err());
}

#[test]
fn objects_follow_each_other_in_a_stream() {
    let (first, second) = (seal(&header(), b"first"), seal(&header(), b"second"));
    let both = [first.as_slice(), &second].concat();
    let mut stream = both.as_slice();
    assert_eq!(receive(&mut stream, first.len() as u64).unwrap(), first);
    let too_small = receive(&mut &*stream, second.len() as u64 - 1).unwrap_err();
    assert!(matches!(
        too_small,
        Error::Wire {
            what: "length of the object",
            ..
        }
    ));
    assert_eq!(receive(&mut stream, 1000).unwrap(), second);
    assert!(receive(&mut stream, 1000).is_err());
}

#[test]
fn residues_are_canonical() {
    let mut writer = Writer::new();
    writer.residues(3, [7, 0, 5]);
    assert_eq!(writer.clone().into_bytes(), [0b0100_0111, 0b1]);
    let bytes = writer.into_bytes();
    let mut out = [0; 3];
    Reader::new("r", &bytes).residues(3, 8, &mut out).unwrap();
    assert_eq!(out, [7, 0, 5]);
    let too_large = Reader::new("r", &bytes)
        .residues(3, 7, &mut out)
        .unwrap_err();
    assert_eq!(
        too_large,
        Error::Wire {
            what: "r",
            got: "residue 7 at index 0".into(),
            expected: "less than 7".into()
        }
    );
    let padded = [bytes[0], bytes[1] | 0x80];
    assert!(matches!(
        Reader::new("r", &padded).residues(3, 8, &mut out),
        Err(Error::Wire { .. })
    ));
    assert!(matches!(
        Reader::new("r", &bytes[..1]).residues(3, 8, &mut out),
        Err(Error::Wire { .. })
    ));
    assert!(matches!(
        Reader::new("r", &bytes).residues(0, 8, &mut out),
        Err(Error::Parameter { .. })
    ));
    assert!(matches!(
        Reader::new("r", &bytes).residues(65, 8, &mut out),
        Err(Error::Parameter { .. })
    ));
}

#[test]
#[should_panic(expected = "does not fit 3 bits")]
fn residues_that_do_not_fit_are_a_bug_of_the_writer() {
    Writer::new().residues(3, [1, 8]);
}

#[test]
fn numbers_are_finite() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(
            Reader::new("x", &bad.to_le_bytes()).f64(),
            Err(Error::Wire { what: "x", .. })
        ));
    }
}

#[test]
fn identifiers_are_hexadecimal() {
    let id = KeyId(std::array::from_fn(|i| i as u8));
    assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(format!("{id:?}"), format!("KeyId({id})"));
    assert_ne!(
        ParameterId::digest("a", b"x"),
        ParameterId::digest("b", b"x")
    );
    assert_ne!(
        ParameterId::digest("a", b"x"),
        ParameterId::digest("a", b"y")
    );
}

#[test]
fn golden_ciphertext_of_version_1() {
    let scheme = ClearScheme::new(4, 2).unwrap();
    let ct = scheme
        .key()
        .encrypt_at(&[1.0, -2.5], 1, Some(3.0), &mut rng())
        .unwrap();
    let golden = include_bytes!("golden/clear_ciphertext_v1.cb");
    assert_eq!(scheme.read_ciphertext(golden).unwrap(), ct);
    assert_eq!(scheme.write_ciphertext(&ct), golden);
}

#[test]
fn ciphertexts_conform_to_their_parameters() {
    let scheme = ClearScheme::new(4, 2).unwrap();
    let header = Header::new(
        Kind::Ciphertext,
        SchemeId::Clear,
        scheme.parameter_id(),
        scheme.key_id(),
    );
    let write = |depth: u64, magnitude: f64, values: &[f64]| {
        let mut writer = Writer::new();
        writer.u64(depth);
        writer.f64(magnitude);
        writer.f64(0.0);
        values.iter().for_each(|&v| writer.f64(v));
        writer.seal(&header)
    };
    let values = [1.0, 2.0, 3.0, 4.0];
    assert!(scheme.read_ciphertext(&write(2, 5.0, &values)).is_ok());
    let bad = [
        write(3, 5.0, &values),
        write(u64::MAX, 5.0, &values),
        write(2, -5.0, &values),
        write(2, f64::NAN, &values),
        write(2, 5.0, &values[..3]),
        write(2, 5.0, &[1.0; 5]),
        write(2, 5.0, &[1.0, 2.0, 3.0, f64::INFINITY]),
    ];
    for bytes in bad {
        assert!(matches!(
            scheme.read_ciphertext(&bytes),
            Err(Error::Wire {
                what: "clear ciphertext",
                ..
            })
        ));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes: Vec<u8>, start: u8) {
        prop_assert!(EXPECTED.open(&bytes).is_err());
        let valid = seal(&header(), b"payload");
        bytes.splice(0..0, valid[..valid.len().min(start as usize)].iter().copied());
        if bytes != valid {
            prop_assert!(EXPECTED.open(&bytes).is_err());
        }
        let _ = Header::peek(&bytes);
        prop_assert!(ClearScheme::new(4, 2).unwrap().read_ciphertext(&bytes).is_err());
    }

    #[test]
    fn residues_round_trip(bits in 1u32..=64, values: Vec<u64>, after: u8) {
        let values: Vec<u64> = values.iter().map(|v| v >> (64 - bits)).collect();
        let mut writer = Writer::new();
        writer.residues(bits, values.iter().copied());
        prop_assert_eq!(Some(writer.len()), Writer::residues_len(bits, values.len()));
        prop_assert_eq!(writer.len(), (values.len() * bits as usize).div_ceil(8));
        writer.u8(after);
        let bytes = writer.into_bytes();
        let mut out = vec![0; values.len()];
        let mut reader = Reader::new("r", &bytes);
        let limit = values.iter().max().map_or(1, |m| m.saturating_add(1));
        if limit < u64::MAX {
            reader.residues(bits, limit, &mut out).unwrap();
            prop_assert_eq!(reader.u8().unwrap(), after);
            reader.expect_end().unwrap();
            prop_assert_eq!(&out, &values);
            if limit > 1 {
                prop_assert!(Reader::new("r", &bytes).residues(bits, limit - 1, &mut out).is_err());
            }
        }
    }

    #[test]
    fn fields_round_trip(a: u8, b: u16, c: u32, d: u64, e in -1e300..1e300, f: Vec<u8>, g: [u8; 16]) {
        let mut writer = Writer::with_capacity(10);
        prop_assert!(writer.is_empty());
        writer.u8(a);
        writer.u16(b);
        writer.u32(c);
        writer.u64(d);
        writer.f64(e);
        writer.bytes(&f);
        writer.raw(&g);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new("fields", &bytes);
        prop_assert_eq!(reader.u8().unwrap(), a);
        prop_assert_eq!(reader.u16().unwrap(), b);
        prop_assert_eq!(reader.u32().unwrap(), c);
        prop_assert_eq!(reader.u64().unwrap(), d);
        prop_assert_eq!(reader.f64().unwrap(), e);
        prop_assert_eq!(reader.bytes().unwrap(), &f);
        prop_assert_eq!(reader.remaining(), 16);
        prop_assert!(reader.expect_end().is_err());
        prop_assert_eq!(reader.array::<16>().unwrap(), g);
        reader.expect_end().unwrap();
        prop_assert!(reader.u8().is_err());
    }
}
