//! Arrays survive the wire; altered, truncated and foreign bytes do not.

use cipherblas_linalg::{
    Diagonal, EncryptOptions, EncryptedMatrix, EncryptedVector, MatrixPacking, Order, Skewed, Tile,
    VectorPacking,
};
use cipherblas_scheme::{ClearScheme, Error};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

#[test]
fn roundtrip() {
    let server = ClearScheme::new(8, 2).unwrap();
    let key = server.key();
    let values: Vec<f64> = (0..20).map(f64::from).collect();
    for packing in [
        VectorPacking::periodic(20, 8).unwrap(),
        VectorPacking::stretched(20, 4, 8).unwrap(),
    ] {
        let options = EncryptOptions::new().packing(packing);
        let v = EncryptedVector::encrypt_with(&key, &values, &options, &mut rng()).unwrap();
        let back = EncryptedVector::from_bytes(&server, &v.to_bytes().unwrap()).unwrap();
        assert_eq!(back.packing(), packing);
        assert_eq!(back.decrypt(&key).unwrap(), values);
    }
    let (left, right) = Skewed::pair(5, 4, 3, 8).unwrap();
    let packings: [MatrixPacking; 6] = [
        Tile::fit(Order::RowMajor, 5, 4, 8).unwrap().into(),
        Tile::fit(Order::ColumnMajor, 5, 4, 8).unwrap().into(),
        Diagonal::fit(5, 4, 8).unwrap().into(),
        left.into(),
        right.transposed().into(),
        Skewed::pair(5, 4, 1, 8).unwrap().0.into(),
    ];
    for packing in packings {
        let options = EncryptOptions::new().packing(packing);
        let m = EncryptedMatrix::encrypt_with(&key, 5, 4, &values, &options, &mut rng()).unwrap();
        let back = EncryptedMatrix::from_bytes(&server, &m.to_bytes().unwrap()).unwrap();
        assert_eq!((back.shape(), back.packing()), ((5, 4), packing));
        assert_eq!(back.decrypt(&key).unwrap(), values);
    }
}

#[test]
fn damage_is_refused() {
    let server = ClearScheme::new(4, 2).unwrap();
    let key = server.key();
    let v = EncryptedVector::encrypt(&key, &[1.0, 2.0, 3.0, 4.0, 5.0], &mut rng()).unwrap();
    let bytes = v.to_bytes().unwrap();
    for end in 0..bytes.len() {
        let cut = EncryptedVector::from_bytes(&server, &bytes[..end]);
        assert!(matches!(cut, Err(Error::Wire { .. })), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        let result = EncryptedVector::from_bytes(&server, &altered);
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "altered at {at}: {result:?}"
        );
    }
    assert!(matches!(
        EncryptedMatrix::from_bytes(&server, &bytes),
        Err(Error::Wire {
            what: "object kind",
            ..
        })
    ));
}

#[test]
fn foreign_keys_and_parameters_are_refused() {
    let server = ClearScheme::new(4, 2).unwrap();
    let v = EncryptedVector::encrypt(&server.key(), &[1.0; 5], &mut rng()).unwrap();
    let bytes = v.to_bytes().unwrap();
    for other in [
        ClearScheme::new(4, 2).unwrap().with_key(9),
        ClearScheme::new(4, 3).unwrap(),
        ClearScheme::new(8, 2).unwrap(),
    ] {
        let result = EncryptedVector::from_bytes(&other, &bytes);
        assert!(
            matches!(result, Err(Error::KeyMismatch { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn shapes_that_are_not_there_are_refused() {
    use cipherblas_scheme::wire::{Header, Kind, Writer};
    let server = ClearScheme::new(4, 2).unwrap();
    let v = EncryptedVector::encrypt(&server.key(), &[1.0; 5], &mut rng()).unwrap();
    let bytes = v.to_bytes().unwrap();
    let honest = Header::peek(&bytes).unwrap();
    let forged = |kind, numbers: &[u64]| {
        let mut w = Writer::new();
        for &n in numbers {
            w.u64(n);
        }
        w.seal(&Header::new(
            kind,
            honest.scheme,
            honest.parameters,
            honest.key,
        ))
    };
    for numbers in [
        &[0, 1, 4][..],
        &[u64::MAX, 1, 4],
        &[1 << 50, 1, 4],
        &[5, 1, 4],
        &[5, 1],
        &[],
    ] {
        let result = EncryptedVector::from_bytes(&server, &forged(Kind::Vector, numbers));
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "{numbers:?}: {result:?}"
        );
    }
    for numbers in [&[5, 3, 4][..], &[5, 0, 4], &[5, 2, 4], &[5, 1 << 62, 4]] {
        let result = EncryptedVector::from_bytes(&server, &forged(Kind::Vector, numbers));
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "{numbers:?}: {result:?}"
        );
    }
    let result = EncryptedMatrix::from_bytes(&server, &forged(Kind::Matrix, &[1 << 50, 1 << 50]));
    assert!(matches!(result, Err(Error::Wire { .. })), "{result:?}");
}
