//! Every misuse gives a typed error that says what was got and what was expected.

use cipherblas_linalg::{
    Axis, BatchPacking, Diagonal, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector,
    MatmulMethod, Order, PlainMatrix, Skewed, Tile, VectorPacking,
};
use cipherblas_scheme::{ClearKey, ClearScheme, Error, Result};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::fmt::Debug;

const SLOTS: usize = 16;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(5)
}

fn server() -> ClearScheme {
    ClearScheme::new(SLOTS, 3).unwrap()
}

fn matrix(rows: usize, cols: usize) -> EncryptedMatrix<ClearScheme> {
    let s = server();
    EncryptedMatrix::encrypt(&s.key(), rows, cols, &vec![0.5; rows * cols], &mut rng())
        .unwrap()
        .bind(&s)
        .unwrap()
}

fn vector(n: usize) -> EncryptedVector<ClearScheme> {
    let s = server();
    EncryptedVector::encrypt(&s.key(), &vec![0.5; n], &mut rng())
        .unwrap()
        .bind(&s)
        .unwrap()
}

fn expect_shape<T: Debug>(result: Result<T>, got: &str, expected: &str) {
    match result {
        Err(Error::Shape {
            got: g,
            expected: e,
            ..
        }) => {
            assert!(g.contains(got), "got {g:?}, not {got:?}");
            assert!(e.contains(expected), "expected {e:?}, not {expected:?}");
        }
        other => panic!("{other:?} instead of a shape error"),
    }
}

fn key() -> ClearKey {
    server().key()
}

#[test]
fn encryption() {
    let k = key();
    expect_shape(
        EncryptedVector::encrypt(&k, &[], &mut rng()),
        "length 0",
        "at least one",
    );
    expect_shape(
        EncryptedMatrix::encrypt(&k, 0, 3, &[], &mut rng()),
        "0 x 3",
        "at least one",
    );
    expect_shape(
        EncryptedMatrix::encrypt(&k, 2, 3, &[1.0; 5], &mut rng()),
        "5 values for 2 x 3",
        "6 values",
    );
    // The index is the caller's, not that of a slot.
    let mut data = vec![0.0; 3 * 7];
    data[2 * 7 + 4] = f64::NAN;
    let result = EncryptedMatrix::encrypt(&k, 3, 7, &data, &mut rng());
    assert!(
        matches!(result, Err(Error::Value { index: 18, .. })),
        "{result:?}"
    );
    let column = EncryptOptions::new().packing(Tile::columns(3, 7, SLOTS).unwrap());
    let result = EncryptedMatrix::encrypt_with(&k, 3, 7, &data, &column, &mut rng());
    assert!(
        matches!(result, Err(Error::Value { index: 18, .. })),
        "{result:?}"
    );
    let diagonal = EncryptOptions::new().packing(Diagonal::fit(3, 7, SLOTS).unwrap());
    let result = EncryptedMatrix::encrypt_with(&k, 3, 7, &data, &diagonal, &mut rng());
    assert!(
        matches!(result, Err(Error::Value { index: 18, .. })),
        "{result:?}"
    );
    let mut values = vec![0.0; 40];
    values[37] = f64::INFINITY;
    let result = EncryptedVector::encrypt(&k, &values, &mut rng());
    assert!(
        matches!(result, Err(Error::Value { index: 37, .. })),
        "{result:?}"
    );
    let tight = EncryptOptions::new().bound(1.0);
    let result = EncryptedVector::encrypt_with(&k, &[0.5, 2.0], &tight, &mut rng());
    assert!(
        matches!(result, Err(Error::Value { index: 1, .. })),
        "{result:?}"
    );
    let deep = EncryptOptions::new().depth(4);
    let result = EncryptedVector::encrypt_with(&k, &[0.5], &deep, &mut rng());
    assert!(
        matches!(
            result,
            Err(Error::Depth {
                needed: 4,
                left: 3,
                ..
            })
        ),
        "{result:?}"
    );
    let wide = EncryptOptions::new().packing(VectorPacking::new(4, 8).unwrap());
    expect_shape(
        EncryptedVector::encrypt_with(&k, &[0.5], &wide, &mut rng()),
        "32 slots",
        "at most 16",
    );
    let wide = EncryptOptions::new().packing(Tile::new(Order::RowMajor, 1, 8, 4).unwrap());
    expect_shape(
        EncryptedMatrix::encrypt_with(&k, 1, 1, &[0.5], &wide, &mut rng()),
        "32 slots",
        "at most 16",
    );
}

#[test]
fn elementwise() {
    expect_shape(&vector(3) + &vector(4), "length 3", "length 4");
    expect_shape(
        &matrix(2, 3) - &matrix(3, 2),
        "2 x 3 and 3 x 2",
        "equal shapes",
    );
    expect_shape(
        &matrix(2, 3) * &matrix(3, 2).transpose().unwrap(),
        "ColumnMajor",
        "equal packings",
    );
    let stretched = vector(3).repack(VectorPacking::stretched(3, 2, SLOTS).unwrap());
    expect_shape(vector(3).add(&stretched.unwrap()), "repeat: 1", "repeat: 2");
    expect_shape(vector(3).add_plain(&[1.0; 4]), "4 plain values", "3");
    expect_shape(
        matrix(2, 3).mul_plain(&[1.0; 4]),
        "4 values for 2 x 3",
        "6 values",
    );
    expect_shape(vector(3).polynomial(&[]), "no coefficient", "at least one");
    let result = vector(3).mul_plain(&[1.0, f64::NAN, 1.0]);
    assert!(matches!(result, Err(Error::Value { .. })), "{result:?}");
    let result = vector(3).polynomial(&[1.0; 9]);
    assert!(
        matches!(
            result,
            Err(Error::Depth {
                needed: 4,
                left: 3,
                ..
            })
        ),
        "{result:?}"
    );
    let result = vector(3).lower_to(4);
    assert!(
        matches!(
            result,
            Err(Error::Depth {
                needed: 4,
                left: 3,
                ..
            })
        ),
        "{result:?}"
    );
}

#[test]
fn products() {
    let x = matrix(5, 3);
    expect_shape(x.matvec(&vector(5)), "length 5", "length 3");
    expect_shape(
        x.transpose().unwrap().matvec(&vector(5)),
        "repeat: 1",
        "repeat: 4",
    );
    expect_shape(x.scale_rows(&vector(3)), "length 3", "length 5");
    expect_shape(x.scale_columns_plain(&[1.0]), "1 plain values", "3");
    expect_shape(x.matmul(&matrix(5, 3)), "5 x 3 times 5 x 3", "3 rows");
    expect_shape(x.transpose().unwrap().gram(), "ColumnMajor", "row-major");
    let w = PlainMatrix::new(4, 2, vec![1.0; 8]).unwrap();
    expect_shape(x.matmul_plain(&w), "5 x 3 times 4 x 2", "3 rows");
    expect_shape(w.matmul(&x), "4 x 2 times 5 x 3", "2 rows");
    expect_shape(w.matvec(&vector(3)), "length 3", "length 2");
    expect_shape(
        PlainMatrix::new(2, 2, vec![1.0; 3]),
        "3 values for 2 x 2",
        "4 values",
    );
    let canonical = VectorPacking::periodic(2, SLOTS).unwrap();
    let prepared = w.prepare(&server(), canonical, 2).unwrap();
    expect_shape(prepared.matvec(&vector(3)), "length 3", "length 2");
    let result = prepared.matvec(&vector(2).lower_to(1).unwrap());
    assert!(
        matches!(
            result,
            Err(Error::Depth {
                needed: 2,
                left: 1,
                ..
            })
        ),
        "{result:?}"
    );
    let result = w.prepare(&server(), canonical, 0).map(drop);
    assert!(matches!(result, Err(Error::Depth { .. })), "{result:?}");
    expect_shape(vector(3).dot(&vector(4)), "length 3", "length 4");
    expect_shape(vector(3).dot_plain(&[1.0]), "1 plain values", "3");
}

#[test]
fn diagonal_packing_is_for_matrix_times_vector() {
    let s = server();
    let options = EncryptOptions::new().packing(Diagonal::fit(3, 3, SLOTS).unwrap());
    let d = EncryptedMatrix::encrypt_with(&s.key(), 3, 3, &[1.0; 9], &options, &mut rng())
        .unwrap()
        .bind(&s)
        .unwrap();
    expect_shape(d.transpose(), "diagonal", "tile");
    expect_shape(d.sum(Axis::Rows), "diagonal", "tile");
    expect_shape(d.slice_rows(0..1), "diagonal", "tile");
    expect_shape(d.matmul(&d), "diagonal", "tile");
    expect_shape(d.gram(), "diagonal", "tile");
    expect_shape(d.row(0), "diagonal", "tile");
    assert_eq!(
        d.matvec(&vector(3)).unwrap().decrypt(&s.key()).unwrap(),
        [1.5; 3]
    );
}

#[test]
fn moves() {
    let x = matrix(5, 3);
    expect_shape(x.slice_rows(2..2), "2..2", "0..5");
    expect_shape(x.slice_columns(1..4), "1..4", "0..3");
    expect_shape(vector(3).slice(3..4), "3..4", "0..3");
    expect_shape(x.row(5), "5..6", "0..5");
    expect_shape(x.column(usize::MAX), "..", "0..3");
    expect_shape(x.reshape(4, 4), "5 x 3 to 4 x 4", "15 values");
    expect_shape(x.reshape(0, 4), "0 x 4", "at least one");
    expect_shape(
        EncryptedMatrix::vstack(&[&x, &matrix(5, 2)]),
        "5 x 3 and 5 x 2",
        "columns",
    );
    expect_shape(
        EncryptedMatrix::hstack(&[&x, &matrix(4, 3)]),
        "5 x 3 and 4 x 3",
        "rows",
    );
    expect_shape(
        EncryptedMatrix::<ClearScheme>::vstack(&[]),
        "no matrix",
        "at least one",
    );
    expect_shape(
        EncryptedVector::<ClearScheme>::concatenate(&[]),
        "no vector",
        "at least one",
    );
    expect_shape(
        vector(3).repack(VectorPacking::new(8, 4).unwrap()),
        "32 slots",
        "at most 16",
    );
    let wide = Tile::new(Order::RowMajor, 1, 32, 1).unwrap();
    expect_shape(x.repack(wide), "32 slots", "at most 16");
}

#[test]
fn keys() {
    let own = server();
    let bare = own
        .clone()
        .with_rotations(Some(&[]))
        .without_relinearization();
    let x = matrix(5, 3).bind(&bare).unwrap();
    let v = vector(3).bind(&bare).unwrap();
    for result in [
        x.matvec(&v).map(drop),
        x.sum(Axis::Rows).map(drop),
        v.dot(&v).map(drop),
        v.square().map(drop),
        PlainMatrix::new(3, 3, vec![1.0; 9])
            .unwrap()
            .matvec(&v)
            .map(drop),
    ] {
        assert!(
            matches!(result, Err(Error::MissingKey { .. })),
            "{result:?}"
        );
    }
    // An unbound array computes as far as no key is needed.
    let fresh = EncryptedVector::encrypt(&own.key(), &[1.0, 2.0], &mut rng()).unwrap();
    assert_eq!(
        (&fresh + &fresh).unwrap().decrypt(&own.key()).unwrap(),
        [2.0, 4.0]
    );
    let foreign = own.clone().with_key(2);
    assert!(matches!(
        vector(3).bind(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        matrix(2, 2).bind(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let theirs = EncryptedVector::encrypt(&foreign.key(), &[1.0; 3], &mut rng()).unwrap();
    assert!(matches!(
        &vector(3) + &theirs,
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        theirs.decrypt(&own.key()),
        Err(Error::KeyMismatch { .. })
    ));
    let wrapped = EncryptedVector::from_ciphertexts(
        own.clone(),
        3,
        VectorPacking::periodic(3, SLOTS).unwrap(),
        theirs.ciphertexts().cloned().collect(),
    );
    assert!(matches!(wrapped, Err(Error::KeyMismatch { .. })));
    let packing = VectorPacking::periodic(3, SLOTS).unwrap();
    expect_shape(
        EncryptedVector::from_ciphertexts(own.clone(), 3, packing, vec![]),
        "0 ciphertexts",
        "1",
    );
    let tile = Tile::fit(Order::RowMajor, 3, 3, SLOTS).unwrap();
    expect_shape(
        EncryptedMatrix::from_ciphertexts(own, 3, 3, tile, vec![]),
        "0 ciphertexts",
        "1",
    );
}

#[test]
fn debug_shows_no_value() {
    let s = server();
    let v = EncryptedVector::encrypt(&s.key(), &[1234.5], &mut rng()).unwrap();
    let m = EncryptedMatrix::encrypt(&s.key(), 1, 1, &[1234.5], &mut rng()).unwrap();
    for text in [format!("{v:?}"), format!("{m:?}")] {
        assert!(!text.contains("1234"), "{text}");
        assert!(
            text.contains("clear") && text.contains("depth: 3"),
            "{text}"
        );
    }
}

#[test]
fn factors_that_do_not_belong_together() {
    let (server, mut rng) = (ClearScheme::new(SLOTS, 2).unwrap(), rng());
    let key = server.key();
    let mut factor = |packing: Skewed, rows: usize, cols: usize| {
        let options = EncryptOptions::new().packing(packing);
        EncryptedMatrix::encrypt_with(
            &key,
            rows,
            cols,
            &vec![1.0; rows * cols],
            &options,
            &mut rng,
        )
        .unwrap()
    };
    let (left, right) = Skewed::pair(3, 4, 2, SLOTS).unwrap();
    let (other, _) = Skewed::pair(3, 4, 4, SLOTS).unwrap();
    let (a, b, c) = (factor(left, 3, 4), factor(right, 4, 2), factor(other, 3, 4));
    expect_shape(c.matmul(&b), "Skewed", "one `Skewed::pair`");
    expect_shape(
        b.matmul(&factor(left, 2, 4)),
        "Skewed",
        "one `Skewed::pair`",
    );
    expect_shape(
        a.matmul_by(&b, MatmulMethod::OuterProducts),
        "skewed packing",
        "tile",
    );
    expect_shape(a.repack(other), "skewed packing", "tile");
    expect_shape(a.sum(Axis::Rows), "skewed packing", "tile");
    expect_shape(
        BatchPacking::pair(0, 2, 2, 2, SLOTS),
        "no matrix",
        "at least one",
    );
    expect_shape(BatchPacking::new(left, 3), "3 matrices", "a power of two");
    expect_shape(
        BatchPacking::pair(3, 2, 2, 2, SLOTS).and_then(|(left, _)| {
            EncryptedBatch::encrypt(
                &key,
                (3, 2, 2),
                &[1.0; 11],
                &EncryptOptions::new().packing(left),
                &mut ChaCha20Rng::seed_from_u64(1),
            )
        }),
        "11 values for 3 matrices of 2 x 2",
        "12 values",
    );
}
