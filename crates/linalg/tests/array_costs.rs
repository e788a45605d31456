//! What operations on arrays cost, what they refuse, and that plans of them list exactly the keys they use.

#[path = "common/array.rs"]
mod support;

use cipherblas_linalg::{
    ArrayOptions, ArrayPacking, Computes, EncryptedArray, EncryptedMatrix, Index, PlainArray, Plan,
    VectorPacking,
};
use cipherblas_scheme::wire::{Header, Kind};
use cipherblas_scheme::{ClearScheme, Error, KeySet, Result, Scheme};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use support::Dense;

const SLOTS: usize = 64;
const DEPTH: usize = 4;

type Array = EncryptedArray<ClearScheme>;

fn encrypt(server: &ClearScheme, shape: &[usize], options: &ArrayOptions) -> Array {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    EncryptedArray::encrypt(
        &server.key(),
        &Dense::new(shape, 2).plain(),
        options,
        &mut rng,
    )
    .unwrap()
    .bind(server)
    .unwrap()
}

fn part(start: usize, len: usize) -> Index {
    Index::Range {
        start,
        len,
        step: 1,
    }
}

/// The computations, written once for the tracer and for the scheme; `x` is 5 x 7, `f` 8 x 8, `v` 7, `u` 5.
fn compute<S>(name: &str, a: &[EncryptedArray<S>; 4]) -> Result<EncryptedArray<S>>
where
    S: Computes + Scheme<Value = f64>,
{
    let [x, f, v, u] = a;
    let plain = Dense::<f64>::new(&[7], 1);
    let row = plain.plain();
    let (square, tall) = (Dense::<f64>::new(&[7, 3], 1), Dense::<f64>::new(&[6, 5], 1));
    match name {
        "x + x" => x.add(x),
        "x * x" => x.mul(x),
        "x + v" => x.add(v),
        "f + f[0]" => f.add(&f.slice(&[Index::At(0)])?),
        "x * v" => x.mul(v),
        "x * u[:, None]" => x.mul(&u.reshape(&[5, 1])?),
        "x + plain row" => x.add_plain(&row),
        "x * plain row" => x.mul_plain(&row),
        "x * 0.5" => x.mul_plain(&PlainArray::new(&[], &[0.5])?),
        "x ** 3" => x.power(3),
        "x ** 4" => x.power(4),
        "x @ v" => x.matmul(v),
        "u @ x" => u.matmul(x),
        "v @ v" => v.matmul(v),
        "x.T @ x" => x.transpose()?.matmul(x),
        "x @ x.T" => x.matmul(&x.transpose()?),
        "f @ f" => f.matmul(f),
        "x @ plain row" => x.matmul_plain(&row),
        "x @ plain" => x.matmul_plain(&square.plain()),
        "plain @ x" => x.plain_matmul(&tall.plain()),
        "v @ plain" => v.matmul_plain(&square.plain()),
        "sum" => x.sum(None),
        "sum 0" => x.sum(Some(0)),
        "sum 1" => x.sum(Some(1)),
        "mean 0" => x.mean(Some(0)),
        "x[1:3]" => x.slice(&[part(1, 2)]),
        "x[3]" => x.slice(&[Index::At(3)]),
        "x[:, 2]" => x.slice(&[part(0, 5), Index::At(2)]),
        "x[1, 2]" => x.slice(&[Index::At(1), Index::At(2)]),
        "v[2:5]" => v.slice(&[part(2, 3)]),
        "v[::-1]" => v.slice(&[Index::Range {
            start: 6,
            len: 7,
            step: -1,
        }]),
        "vstack" => EncryptedArray::concatenate(&[x, x], 0),
        "v to (7, 1)" => v.reshape(&[7, 1]),
        "x to (35,)" => x.reshape(&[35]),
        "f to (4, 16)" => f.reshape(&[4, 16]),
        "x.T" => x.transpose(),
        "v to (4, 7)" => v.broadcast_to(&[4, 7]),
        "gradient" => x.transpose()?.matmul(&x.matmul(v)?.sub(u)?),
        _ => panic!("{name}"),
    }
}

/// Name, levels, whether it relinearizes, rotation keys (`None`: not counted here).
const COSTS: [(&str, usize, bool, Option<usize>); 38] = [
    ("x + x", 0, false, Some(0)),
    ("x * x", 1, true, Some(0)),
    ("x + v", 1, false, Some(0)),
    ("f + f[0]", 1, false, Some(3)),
    ("x * v", 1, true, Some(0)),
    ("x * u[:, None]", 2, true, None),
    ("x + plain row", 0, false, Some(0)),
    ("x * plain row", 1, false, Some(0)),
    ("x * 0.5", 1, false, Some(0)),
    ("x ** 3", 2, true, Some(0)),
    ("x ** 4", 2, true, Some(0)),
    ("x @ v", 2, true, Some(6)),
    ("u @ x", 2, true, None),
    ("v @ v", 1, true, Some(3)),
    ("x.T @ x", 3, true, None),
    ("x @ x.T", 3, true, None),
    ("f @ f", 2, true, None),
    ("x @ plain row", 2, false, Some(6)),
    ("x @ plain", 1, false, None),
    ("plain @ x", 1, false, None),
    ("v @ plain", 1, false, None),
    ("sum", 0, false, Some(6)),
    ("sum 0", 0, false, Some(3)),
    ("sum 1", 1, false, Some(6)),
    ("mean 0", 1, false, Some(3)),
    ("x[1:3]", 1, false, Some(1)),
    ("x[3]", 1, false, Some(3)),
    ("x[:, 2]", 1, false, None),
    ("x[1, 2]", 1, false, Some(6)),
    ("v[2:5]", 1, false, Some(2)),
    ("v[::-1]", 1, false, None),
    ("vstack", 1, false, None),
    ("v to (7, 1)", 0, false, Some(0)),
    ("x to (35,)", 1, false, None),
    ("f to (4, 16)", 0, false, Some(0)),
    ("x.T", 0, false, Some(0)),
    ("v to (4, 7)", 0, false, Some(0)),
    ("gradient", 3, true, None),
];

const SHAPES: [&[usize]; 4] = [&[5, 7], &[8, 8], &[7], &[5]];

#[test]
fn costs_are_the_documented_ones_and_plans_list_exactly_the_keys() {
    for (name, levels, relinearization, rotations) in COSTS {
        let server = ClearScheme::new(SLOTS, DEPTH).unwrap();
        // Keys that a plan made: where a kernel has a choice, it takes what there is.
        let plan = Plan::trace(SLOTS, DEPTH, |t| {
            let arrays =
                SHAPES.map(|s| EncryptedArray::traced(t, s, &ArrayOptions::new()).unwrap());
            compute(name, &arrays).map(drop)
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        let server = server.with_keys(plan.keys());
        let arrays = SHAPES.map(|s| encrypt(&server, s, &ArrayOptions::new()));
        server.reset_counts();
        let out = compute(name, &arrays).unwrap_or_else(|e| panic!("{name}: {e}"));
        let used = server.used_keys();
        let planned = KeySet {
            relinearization: plan.keys().relinearization,
            rotations: plan
                .keys()
                .rotations
                .iter()
                .map(|s| s.rem_euclid(SLOTS as i64))
                .collect(),
            conjugation: false,
        };
        assert_eq!(used, planned, "{name}");
        assert_eq!(DEPTH - out.depth(), levels, "{name}: levels");
        assert_eq!(plan.depth(), levels, "{name}: levels of the plan");
        assert_eq!(used.relinearization, relinearization, "{name}");
        if let Some(rotations) = rotations {
            assert_eq!(used.rotations.len(), rotations, "{name}: {used:?}");
        }
    }
}

#[test]
fn the_last_level_is_enough_where_there_is_a_way() {
    let server = ClearScheme::new(SLOTS, DEPTH).unwrap();
    let key = server.key();
    let x = encrypt(&server, &[5, 7], &ArrayOptions::new().depth(1));
    let (d, w) = (Dense::<f64>::new(&[5, 7], 2), Dense::<f64>::new(&[7], 1));
    let y = x.matmul_plain(&w.plain()).unwrap();
    assert_eq!(y.depth(), 0);
    assert_eq!(y.decrypt(&key).unwrap(), d.matmul(&w).data);
    let v = encrypt(&server, &[7], &ArrayOptions::new());
    let refused = x.matmul(&v);
    assert!(
        matches!(
            refused,
            Err(Error::Depth {
                operation: "matmul",
                needed: 2,
                left: 1
            })
        ),
        "{refused:?}"
    );
    // The operand with more depth is the one that is moved.
    let stretched = VectorPacking::stretched(7, 4, SLOTS).unwrap();
    for (left, right) in [(2, 3), (3, 2)] {
        let options = ArrayOptions::new().depth(right);
        let b = encrypt(
            &server,
            &[7],
            &options.packing(ArrayPacking::Vector(stretched)),
        );
        let a = encrypt(&server, &[7], &ArrayOptions::new().depth(left));
        let sum = a.add(&b).unwrap();
        assert_eq!(sum.depth(), 2);
        let moved = sum.as_vector().unwrap().packing() != stretched;
        assert_eq!(moved, left < right);
    }
    // A column of many rows is not gathered value by value.
    let tall = ClearScheme::new(1024, DEPTH).unwrap();
    let x = encrypt(&tall, &[120, 7], &ArrayOptions::new());
    let column = x.slice(&[part(0, 120), Index::At(2)]).unwrap();
    let counts = tall.counts();
    assert_eq!(
        (counts.plain_multiplications, counts.all_rotations()),
        (1, 3)
    );
    let want = Dense::<f64>::new(&[120, 7], 2).slice(&[part(0, 120), Index::At(2)]);
    assert_eq!(column.decrypt(&tall.key()).unwrap(), want.data);
    // Factors laid out for their product.
    let a = encrypt(
        &server,
        &[4, 4],
        &ArrayOptions::new().packing(ArrayPacking::Left(4)),
    );
    let b = encrypt(
        &server,
        &[4, 4],
        &ArrayOptions::new().packing(ArrayPacking::Right(4)),
    );
    let d = Dense::<f64>::new(&[4, 4], 2);
    let product = a.add(&a).unwrap().matmul(&b).unwrap();
    assert_eq!(product.depth(), DEPTH - 1);
    let twice = d.matmul(&d).map(|x| 2.0 * x);
    assert_eq!(product.decrypt(&key).unwrap(), twice.data);
    let options = ArrayOptions::new().packing(ArrayPacking::Diagonal);
    let product = encrypt(&server, &[4, 4], &options)
        .add_plain(&d.plain())
        .unwrap()
        .matmul(&encrypt(&server, &[4], &ArrayOptions::new()))
        .unwrap();
    assert_eq!(product.depth(), DEPTH - 1);
    let want = d.map(|x| 2.0 * x).matmul(&Dense::new(&[4], 2));
    assert_eq!(product.decrypt(&key).unwrap(), want.data);
}

/// Got, expected and hint of a refusal.
fn refusal(result: Result<Array>) -> (&'static str, String, String) {
    match result {
        Err(Error::Shape {
            operation,
            got,
            expected,
            hint,
        }) => {
            assert!(!hint.is_empty());
            (operation, got, expected)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_say_what_was_got_and_expected() {
    let server = ClearScheme::new(SLOTS, DEPTH).unwrap();
    let auto = ArrayOptions::new();
    let x = encrypt(&server, &[3, 4], &auto);
    let v = encrypt(&server, &[3], &auto);
    let s = encrypt(&server, &[], &auto);
    let (operation, got, expected) = refusal(x.add(&v));
    assert_eq!((operation, got.as_str()), ("add", "(3, 4) and (3,)"));
    assert!(expected.contains("broadcast"), "{expected}");
    let (operation, got, expected) = refusal(x.matmul(&v));
    assert_eq!((operation, got.as_str()), ("matmul", "(3, 4) @ (3,)"));
    assert!(
        expected.contains("4") && expected.contains("3"),
        "{expected}"
    );
    assert_eq!(refusal(s.matmul(&v)).1, "() @ (3,)");
    let two = PlainArray::new(&[2], &[1.0, 2.0]).unwrap();
    assert_eq!(refusal(v.matmul_plain(&two)).1, "(3,) @ (2,)");
    assert_eq!(refusal(v.plain_matmul(&two)).1, "(2,) @ (3,)");
    assert_eq!(refusal(v.mul_plain(&two)).1, "(3,) and (2,)");
    assert_eq!(refusal(v.reshape(&[2, 2])).1, "(3,) to (2, 2)");
    assert_eq!(refusal(v.reshape(&[1, 3, 1])).1, "shape (1, 3, 1)");
    assert_eq!(refusal(v.reshape(&[0, 3])).1, "shape (0, 3)");
    assert_eq!(refusal(x.broadcast_to(&[4])).1, "(3, 4)");
    assert!(
        refusal(v.broadcast_to(&[usize::MAX, 3]))
            .1
            .starts_with("shape (")
    );
    assert_eq!(
        refusal(x.sum(Some(2))).1,
        "axis 2 of an array of 2 dimension(s)"
    );
    assert_eq!(refusal(s.mean(Some(0))).2, "no axis");
    assert_eq!(
        refusal(Array::concatenate(&[&x, &v], 0)).1,
        "(3, 4) and (3,) along axis 0"
    );
    assert_eq!(
        refusal(Array::concatenate(&[&s, &s], 0)).1,
        "axis 0 of an array of shape ()"
    );
    assert_eq!(refusal(Array::concatenate(&[], 0)).1, "no array");
    let out = [
        Index::At(3),
        Index::At(usize::MAX),
        part(0, 0),
        part(2, 2),
        part(3, 1),
        part(1, usize::MAX),
        Index::Range {
            start: 0,
            len: 2,
            step: -1,
        },
        Index::Range {
            start: 0,
            len: 2,
            step: 0,
        },
        Index::Range {
            start: 2,
            len: 3,
            step: isize::MIN,
        },
    ];
    for index in out {
        let (operation, got, _) = refusal(v.slice(&[index]));
        assert_eq!(operation, "slice");
        assert!(got.ends_with("of axis 0, which has 3 positions"), "{got}");
    }
    assert_eq!(
        refusal(v.slice(&[Index::At(0); 2])).1,
        "2 indices for an array of shape (3,)"
    );
    let diagonal = encrypt(&server, &[4, 4], &auto.packing(ArrayPacking::Diagonal));
    assert!(refusal(diagonal.sum(None)).1.contains("Diagonal"));
    let left = encrypt(&server, &[4, 4], &auto.packing(ArrayPacking::Left(4)));
    assert!(
        refusal(left.matmul(&encrypt(&server, &[4], &auto)))
            .1
            .contains("Left")
    );
    let plain = PlainArray::<f64>::new(&[2, 2], &[0.0; 3]);
    assert!(matches!(plain, Err(Error::Shape { got, .. }) if got == "3 values for shape (2, 2)"));
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let rows = auto.packing(ArrayPacking::Rows);
    let refused = Array::encrypt(&server.key(), &two, &rows, &mut rng);
    assert!(
        refusal(refused)
            .1
            .starts_with("Rows for an array of shape (2,)")
    );
    // Another key.
    let stranger = ClearScheme::new(SLOTS, DEPTH).unwrap().with_key(9);
    let y = encrypt(&stranger, &[3], &auto);
    assert!(matches!(v.add(&y), Err(Error::KeyMismatch { .. })));
    let parts = Array::concatenate(&[&v, &y], 0);
    assert!(matches!(parts, Err(Error::KeyMismatch { .. })));
    // Depth and keys name what was asked for.
    let spent = v.lower_to(0).unwrap();
    let depth = spent.mul(&spent);
    assert!(matches!(
        depth,
        Err(Error::Depth {
            operation: "multiply",
            needed: 1,
            left: 0
        })
    ));
    let keyless = ClearScheme::new(SLOTS, DEPTH)
        .unwrap()
        .with_rotations(Some(&[]));
    let sum = encrypt(&keyless, &[3], &auto).sum(None);
    assert!(matches!(
        sum,
        Err(Error::MissingKey {
            operation: "sum",
            ..
        })
    ));
}

#[test]
fn the_wire_keeps_every_dimension() {
    let server = ClearScheme::new(SLOTS, DEPTH).unwrap();
    let key = server.key();
    for (shape, kind) in [
        (&[][..], Kind::Scalar),
        (&[9], Kind::Vector),
        (&[9, 3], Kind::Matrix),
    ] {
        let x = encrypt(&server, shape, &ArrayOptions::new().depth(2));
        let bytes = x.to_bytes().unwrap();
        let placed = x.to_bytes_in(&mut |len, fill| {
            let mut out = vec![0xff; len];
            fill(&mut out);
            Ok(out)
        });
        assert_eq!(placed.unwrap(), bytes);
        assert_eq!(Header::peek(&bytes).unwrap().kind, kind);
        let back = EncryptedArray::from_bytes(&server, &bytes).unwrap();
        assert_eq!((back.shape(), back.depth()), (shape.to_vec(), 2));
        assert_eq!(back.decrypt(&key).unwrap(), x.decrypt(&key).unwrap());
        for cut in [0, Header::LEN, bytes.len() - 1] {
            let refused = EncryptedArray::from_bytes(&server, &bytes[..cut]);
            assert!(matches!(refused, Err(Error::Wire { .. })), "{refused:?}");
        }
    }
    let ct = encrypt(&server, &[], &ArrayOptions::new());
    let ct = cipherblas_scheme::Wire::write_ciphertext(&server, ct.ciphertexts().next().unwrap());
    match EncryptedArray::from_bytes(&server, &ct) {
        Err(Error::Wire { got, .. }) => assert_eq!(got, "ciphertext"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn arrays_are_vectors_and_matrices() {
    let server = ClearScheme::new(SLOTS, DEPTH).unwrap();
    let x = encrypt(&server, &[2, 3], &ArrayOptions::new());
    let m: EncryptedMatrix<_> = x.as_matrix().unwrap().clone();
    assert!(x.as_vector().is_none() && !x.is_empty());
    assert_eq!(EncryptedArray::from(m).shape(), [2, 3]);
    let v = x.sum(Some(0)).unwrap();
    assert_eq!(
        EncryptedArray::from(v.as_vector().unwrap().clone()).shape(),
        [3]
    );
    let s = x.sum(None).unwrap();
    assert_eq!((s.ndim(), s.len(), s.shape()), (0, 1, vec![]));
    assert_eq!(s.as_vector().unwrap().len(), 1);
    assert!(x.error_bound() >= 0.0);
    assert!(format!("{x:?}").contains("shape: [2, 3]"));
}

#[test]
fn spread_arrays_take_combinations() {
    let server = ClearScheme::new(16, DEPTH)
        .unwrap()
        .with_rotations(Some(&[]))
        .without_relinearization();
    let key = server.key();
    let options = ArrayOptions::new().packing(ArrayPacking::Spread);
    let x = encrypt(&server, &[5, 7], &options);
    let d = Dense::<f64>::new(&[5, 7], 2);
    let check = |combines: u64, got: Result<Array>, want: Dense<f64>| {
        let got = got.unwrap();
        assert_eq!(got.shape(), want.shape);
        let values = got.decrypt(&key).unwrap();
        let close = values
            .iter()
            .zip(&want.data)
            .all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close, "{values:?} instead of {want:?}");
        assert_eq!(got.ciphertexts().len(), want.data.len(), "still spread");
        assert_eq!(server.counts().combines, combines);
        assert_eq!(server.counts().plain_multiplications, 0);
        server.reset_counts();
        got
    };
    let (w, t) = (Dense::<f64>::new(&[7, 3], 1), Dense::<f64>::new(&[2, 5], 1));
    let (c, r) = (Dense::<f64>::new(&[7], 1), Dense::<f64>::new(&[5], 1));
    check(5, x.matmul_plain(&w.plain()), d.matmul(&w));
    check(7, x.plain_matmul(&t.plain()), t.matmul(&d));
    let y = check(5, x.matmul_plain(&c.plain()), d.matmul(&c));
    check(7, x.plain_matmul(&r.plain()), r.matmul(&d));
    check(1, y.matmul_plain(&r.plain()), d.matmul(&c).matmul(&r));
    check(1, y.plain_matmul(&t.plain()), t.matmul(&d.matmul(&c)));
    check(7, x.mean(Some(0)), d.sum(Some(0)).map(|v| v / 5.0));
    check(5, x.mean(Some(1)), d.sum(Some(1)).map(|v| v / 7.0));
    let mean = check(1, x.mean(None), d.sum(None).map(|v| v / 35.0));
    // What a single value grows to is spread as well.
    let ones = Dense::<f64>::new(&[7], 3);
    let grown = mean.mul_plain(&ones.plain()).unwrap();
    assert_eq!(grown.ciphertexts().len(), 7);
    let sum = x.transpose().unwrap().add(&grown.reshape(&[7, 1]).unwrap());
    assert_eq!(sum.unwrap().shape(), [7, 5]);
    assert_eq!(server.counts().all_rotations(), 0);
}
