//! Matrices in blocks over the scheme that computes in clear: every shape, format, layout and cut.

#[path = "common/blocks.rs"]
mod checks;

use checks::{Blocks, FORMATS, Held, integers};
use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix, Store};
use cipherblas_scheme::clear::ClearMatrixKey;
use cipherblas_scheme::{ClearMatrices, Error, MatrixKeySet};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn setup(max_len: usize) -> Blocks<ClearMatrices<i64>, ClearMatrixKey<i64>> {
    let server = ClearMatrices::new(max_len, 2).unwrap();
    let key = server.key();
    Blocks {
        server,
        key,
        tolerance: 0.0,
    }
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(FORMATS.to_vec())
}

/// A store that keeps next to nothing in memory, or everything.
fn store(spill: bool) -> Store {
    if spill {
        Store::with_budget(100_000, std::env::temp_dir()).unwrap()
    } else {
        Store::memory()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products(
        (m, k, n) in (1usize..=40, 1usize..=40, 1usize..=40),
        (a, b, result) in (formats(), formats(), formats()),
        line in prop::sample::select(vec![16usize, 32]),
        chunk in prop::option::of(1usize..=16),
        single: bool,
        spill: bool,
    ) {
        // A change of format makes segments of blocks: other cuts fit only where every factor is in the format it is taken in.
        let fits = (a, b) == (Format::Columns, Format::Rows);
        let chunk = chunk.filter(|_| fits).unwrap_or(line);
        let layout = if single && fits { Lines::Single } else { Lines::Packed };
        let options = BlockOptions::new().line(line).lines_per_block(chunk).layout(layout);
        let options = options.store(&store(spill));
        setup(32).products(m, k, n, &Held { formats: (a, b), result, options });
    }

    #[test]
    fn gram(
        (rows, cols) in (1usize..=70, 1usize..=40),
        format in formats(),
        line in prop::sample::select(vec![16usize, 32]),
        spill: bool,
    ) {
        let options = BlockOptions::new().line(line).lines_per_block(16).store(&store(spill));
        setup(32).gram(rows, cols, format, &options);
    }

    #[test]
    fn plain(
        (m, k, n) in (1usize..=40, 1usize..=40, 1usize..=40),
        line in prop::option::of(prop::sample::select(vec![16usize, 32])),
        chunk in prop::option::of(1usize..=16),
        single: bool,
        spill: bool,
    ) {
        let layout = if single { Lines::Single } else { Lines::Packed };
        let mut options = BlockOptions::new().layout(layout).store(&store(spill));
        if let Some(line) = line {
            options = options.line(line);
        }
        if let Some(chunk) = chunk {
            options = options.lines_per_block(chunk);
        }
        setup(32).plain(m, k, n, &options);
    }

    #[test]
    fn rest(
        (rows, cols) in (1usize..=70, 1usize..=70),
        format in formats(),
        chunk in 1usize..=16,
        single: bool,
        spill: bool,
    ) {
        let layout = if single { Lines::Single } else { Lines::Packed };
        let options = BlockOptions::new().format(format).lines_per_block(chunk).layout(layout).store(&store(spill));
        setup(32).rest(rows, cols, &options);
    }
}

#[test]
fn default_cuts_fit_each_other() {
    let s = setup(32);
    let ones = |rows, cols, format, line: Option<usize>| {
        let options = BlockOptions::new().format(format);
        let options = line.map_or(options.clone(), |line| options.line(line));
        s.matrix(rows, cols, &vec![1; rows * cols], &options)
            .unwrap()
    };
    // A tall matrix and a target: X'X, X'y; then X'X times X'y, a chain of two products.
    let x = ones(1000, 20, Format::Rows, None);
    let y = ones(1000, 1, Format::Rows, Some(32));
    let (gram, moment) = (x.gram().unwrap(), x.gram_with(&y).unwrap());
    s.expect("X'X", &gram, (20, 20), &[1000; 400]);
    s.expect("X'y", &moment, (20, 1), &[1000; 20]);
    // Symmetric: its rows are its columns.
    s.expect(
        "X'X X'y",
        &gram.t().matmul(&moment).unwrap(),
        (20, 1),
        &[20_000_000; 20],
    );
    // Without the common grid the product is refused, and says what to do.
    let short = ones(1000, 1, Format::Rows, None);
    match x.gram_with(&short).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(got, "lines on grids of 32 and 16");
            assert!(expected.contains("`BlockOptions::line(32)`"), "{expected}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn results_come_in_the_format_of_the_next_step() {
    let s = setup(32);
    let (a, b, c) = (integers(1, 50), integers(2, 50), integers(3, 60));
    let x = s
        .matrix(5, 10, &a, &BlockOptions::new().format(Format::Columns))
        .unwrap();
    let y = s.matrix(10, 5, &b, &BlockOptions::new()).unwrap();
    let z = s.matrix(5, 12, &c, &BlockOptions::new()).unwrap();
    let xy = x.matmul_as(&y, Format::Columns).unwrap();
    let expected = checks::naive(&checks::naive(&a, &b, 10), &c, 5);
    s.expect("(A B) C", &xy.matmul(&z).unwrap(), (5, 12), &expected);
    assert_eq!(s.server.counts().formats, 2);
    // By rows it would take a level more than there is.
    let by_rows = x.matmul(&y).unwrap();
    match by_rows.matmul(&z).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(got, "the left factor by Rows with 1 level(s) left");
            assert!(expected.contains("by Columns"), "{expected}");
        }
        other => panic!("{other}"),
    }
}

/// The format that is asked for is the caller's, whichever way round the product takes the factor: encrypted in it, the
/// product succeeds.
#[test]
fn formats_are_asked_for_in_the_callers_words() {
    let s = setup(32);
    let held = |format: Format| {
        let options = BlockOptions::new().format(format).depth(1);
        s.matrix(5, 5, &[1; 25], &options).unwrap()
    };
    let (rows, columns) = (held(Format::Rows), held(Format::Columns));
    let weights = PlainMatrix::new(5, 5, vec![1; 25]).unwrap();
    let refused = |result: cipherblas_scheme::Result<BlockMatrix<_>>, words: [&str; 2]| match result
        .unwrap_err()
    {
        Error::Shape { got, expected, .. } => {
            assert_eq!(got, format!("the {} with 1 level(s) left", words[0]));
            let start = format!("the {}, or two levels", words[1]);
            assert!(expected.starts_with(&start), "{expected}");
        }
        other => panic!("{other}"),
    };
    let left_rows = ["left factor by Rows", "left factor by Columns"];
    let left_columns = ["left factor by Columns", "left factor by Rows"];
    let right_rows = ["right factor by Rows", "right factor by Columns"];
    let right_columns = ["right factor by Columns", "right factor by Rows"];
    refused(rows.matmul(&rows), left_rows);
    refused(columns.matmul(&columns), right_columns);
    assert!(columns.matmul(&rows).is_ok());
    refused(columns.t_matmul(&rows), left_columns);
    refused(columns.gram_with(&rows), left_columns);
    refused(rows.t_matmul(&columns), right_columns);
    assert!(rows.t_matmul(&rows).is_ok());
    refused(columns.matmul_t(&rows), right_rows);
    refused(rows.matmul_t(&columns), left_rows);
    assert!(columns.matmul_t(&columns).is_ok());
    refused(rows.matmul_plain(&weights), left_rows);
    assert!(columns.matmul_plain(&weights).is_ok());
    refused(BlockMatrix::plain_matmul(&weights, &columns), right_columns);
    assert!(BlockMatrix::plain_matmul(&weights, &rows).is_ok());
    refused(columns.gram(), ["matrix by Columns", "matrix by Rows"]);
}

/// Factors on grids of their own are refused with the grid that fits both, and fit on it.
#[test]
fn the_grid_that_is_asked_for_fits() {
    let s = setup(128);
    let matrix = |rows, cols, format, line: Option<usize>| {
        let options = BlockOptions::new().format(format);
        let options = line.map_or(options.clone(), |line| options.line(line));
        s.matrix(rows, cols, &vec![1; rows * cols], &options)
            .unwrap()
    };
    let a = matrix(100, 300, Format::Columns, None);
    match a.matmul(&matrix(300, 20, Format::Rows, None)).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(got, "lines on grids of 128 and 32");
            assert!(expected.contains("line(128)"), "{expected}");
        }
        other => panic!("{other}"),
    }
    let b = matrix(300, 20, Format::Rows, Some(a.line()));
    s.expect("one grid", &a.matmul(&b).unwrap(), (100, 20), &[300; 2000]);
    // On one grid only the cuts can differ, and only they are named.
    let cut = BlockOptions::new().line(128).lines_per_block(7);
    let cut = s.matrix(300, 20, &[1; 6000], &cut).unwrap();
    match a.matmul(&cut).unwrap_err() {
        Error::Shape { got, hint, .. } => {
            assert_eq!(got, "blocks of 256 and 7 lines");
            assert!(hint.contains("lines_per_block"), "{hint}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn keys_that_are_missing_are_named() {
    let s = setup(32);
    let x = s.matrix(20, 20, &[1; 400], &BlockOptions::new()).unwrap();
    let reformats = ClearMatrices::new(32, 2)
        .unwrap()
        .with_keys(&MatrixKeySet::reformats(32).unwrap());
    let bare = ClearMatrices::new(32, 2)
        .unwrap()
        .with_keys(&MatrixKeySet::default());
    let on = |server: &ClearMatrices<i64>| x.clone().bind(server).unwrap();
    assert!(matches!(on(&bare).gram(), Err(Error::MissingKey { .. })));
    assert!(matches!(
        on(&bare).matmul(&x),
        Err(Error::MissingKey { .. })
    ));
    assert!(on(&reformats).reformat().is_ok());
    assert!(matches!(
        on(&reformats).gram(),
        Err(Error::MissingKey { .. })
    ));
    let products = ClearMatrices::new(32, 2)
        .unwrap()
        .with_keys(&MatrixKeySet::products(20).unwrap());
    assert!(on(&products).matmul(&x).is_ok());
    let foreign = ClearMatrices::new(32, 2).unwrap().with_key(7);
    assert!(matches!(
        x.clone().bind(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
}

/// Errors of blocks carry the names of what the caller called, and unbound matrices ask to be bound.
#[test]
fn errors_name_what_was_called() {
    let s = setup(32);
    let (mut rng, ones) = (ChaCha20Rng::seed_from_u64(1), [1; 400]);
    let deep = BlockOptions::new().depth(5);
    match BlockMatrix::encrypt(&s.key, 20, 20, &ones, &deep, &mut rng).unwrap_err() {
        Error::Depth {
            operation, needed, ..
        } => assert_eq!((operation, needed), ("encrypt", 5)),
        other => panic!("{other}"),
    }
    let bare = ClearMatrices::<i64>::new(32, 2)
        .unwrap()
        .with_keys(&MatrixKeySet::default());
    let options = BlockOptions::new().bound(1.0);
    let unbound = BlockMatrix::encrypt(&bare.key(), 20, 20, &ones, &options, &mut rng).unwrap();
    let bound = unbound.clone().bind(&bare).unwrap();
    let read = BlockMatrix::from_bytes(&bare, &unbound.to_bytes().unwrap()).unwrap();
    type Held = BlockMatrix<ClearMatrices<i64>>;
    type Call = fn(&Held) -> cipherblas_scheme::Result<Held>;
    let calls: [(&str, Call); 4] = [
        ("Gram matrix", |x| x.gram()),
        ("transposed matrix x matrix", |x| x.t_matmul(x)),
        ("change of format", |x| x.reformat()),
        ("matrix x transposed matrix", |x| x.t().matmul_t(&x.t())),
    ];
    for (name, call) in calls {
        for (x, asks) in [(&bound, false), (&read, false), (&unbound.clone(), true)] {
            match call(x).map(|_| ()) {
                Err(Error::MissingKey { operation, key }) => {
                    assert_eq!(operation, name);
                    assert_eq!(key.contains("`bind`"), asks, "{key}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    let narrow = ClearMatrices::<i64>::new(32, 2)
        .unwrap()
        .with_bounds(1.0, 10.0)
        .unwrap();
    let x = BlockMatrix::encrypt(&narrow.key(), 20, 20, &ones, &options, &mut rng).unwrap();
    match x.gram().unwrap_err() {
        Error::Overflow { operation, .. } => assert_eq!(operation, "Gram matrix"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let s = setup(32);
    let ones = |rows: usize, cols: usize, options: &BlockOptions| {
        s.matrix(rows, cols, &vec![1; rows * cols], options)
    };
    let rows = BlockOptions::new();
    let columns = BlockOptions::new().format(Format::Columns);
    for (r, c) in [(0, 3), (3, 0), (0, 0)] {
        match ones(r, c, &rows).unwrap_err() {
            Error::Shape { got, .. } => assert_eq!(got, format!("{r} x {c}")),
            other => panic!("{other}"),
        }
    }
    let (x, y) = (ones(4, 6, &columns).unwrap(), ones(5, 6, &rows).unwrap());
    match x.matmul(&y).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(
                (got.as_str(), expected.as_str()),
                ("4 x 6 times 5 x 6", "6 rows on the right")
            );
        }
        other => panic!("{other}"),
    }
    assert!(matches!(x.add(&y), Err(Error::Shape { .. })));
    assert!(matches!(
        x.add(&ones(4, 6, &rows).unwrap()),
        Err(Error::Shape { .. })
    ));
    let cut = ones(4, 6, &columns.clone().lines_per_block(2)).unwrap();
    assert!(matches!(x.sub(&cut), Err(Error::Shape { .. })));
    // Single lines do not mix with packed ones, and do not change their format.
    let single = ones(6, 4, &rows.clone().layout(Lines::Single)).unwrap();
    let packed = ones(6, 4, &rows).unwrap();
    match single.t_matmul(&packed).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(
                (got.as_str(), expected.as_str()),
                ("layouts Single and Packed", "factors in one layout")
            );
        }
        other => panic!("{other}"),
    }
    s.expect("single lines", &single.gram().unwrap(), (4, 4), &[6; 16]);
    let weights = PlainMatrix::new(4, 2, vec![1; 8]).unwrap();
    match single.matmul_plain(&weights).unwrap_err() {
        Error::Shape { got, hint, .. } => {
            assert_eq!(got, "a matrix in layout Single on a grid of 16");
            assert_eq!(hint, "encrypt it packed, or in the other format");
        }
        other => panic!("{other}"),
    }
    // Packed ones do, at one more level.
    let product = packed.matmul_plain(&weights).unwrap();
    assert_eq!(product.depth(), 0);
    s.expect("changed", &product, (6, 2), &[4; 12]);
    assert!(matches!(
        packed.lower_to(1).unwrap().matmul_plain(&weights),
        Err(Error::Shape { .. })
    ));
    // Blocks of more lines than the grid is long cannot change their format.
    let tall = ones(40, 6, &rows.clone().lines_per_block(40)).unwrap();
    assert!(
        matches!(tall.reformat(), Err(Error::Shape { got, .. }) if got == "blocks of 40 lines on a grid of 16")
    );
    let spent = x.lower_to(0).unwrap();
    assert!(matches!(
        spent.matmul(&ones(6, 4, &rows).unwrap()),
        Err(Error::Depth {
            needed: 1,
            left: 0,
            ..
        })
    ));
    assert!(matches!(spent.t().gram(), Err(Error::Depth { .. })));
    assert!(matches!(
        ones(4, 6, &rows.clone().depth(3)),
        Err(Error::Depth { .. })
    ));
}

#[test]
fn bad_values_are_named_by_their_place() {
    let server = ClearMatrices::<f64>::new(16, 1).unwrap();
    let key = server.key();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut data = vec![0.5; 20 * 21];
    data[19 * 21 + 18] = f64::NAN;
    for format in FORMATS {
        let options = BlockOptions::new().format(format).lines_per_block(7);
        match BlockMatrix::encrypt(&key, 20, 21, &data, &options, &mut rng).unwrap_err() {
            Error::Value { index, .. } => assert_eq!(index, 19 * 21 + 18, "{format:?}"),
            other => panic!("{other}"),
        }
    }
    assert!(
        BlockMatrix::encrypt(&key, 20, 21, &data[1..], &BlockOptions::new(), &mut rng).is_err()
    );
}

#[test]
fn malformed_bytes_are_refused() {
    let s = setup(32);
    let x = s
        .matrix(
            20,
            40,
            &integers(1, 800),
            &BlockOptions::new().lines_per_block(8),
        )
        .unwrap();
    let bytes = x.to_bytes().unwrap();
    for cut in [0, 10, 84, 130, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            matches!(
                BlockMatrix::from_bytes(&s.server, &bytes[..cut]),
                Err(Error::Wire { .. })
            ),
            "{cut}"
        );
    }
    for at in (0..bytes.len()).step_by(37) {
        let mut altered = bytes.clone();
        altered[at] ^= 4;
        assert!(
            BlockMatrix::from_bytes(&s.server, &altered).is_err(),
            "{at}"
        );
    }
    // Well-formed envelopes with other contents: every field of the shape in turn.
    use cipherblas_scheme::wire::{Expected, Header, Kind, SchemeId, Writer};
    let expected = Expected {
        kind: Kind::Matrix,
        scheme: SchemeId::Clear,
        parameters: None,
        key: None,
    };
    let (_, payload) = expected.open(&bytes).unwrap();
    let header = Header::peek(&bytes).unwrap();
    for at in 0..8 * 5 + 3 {
        for value in [0, 1, 2, 77, 255] {
            let mut altered = payload.to_vec();
            if altered[at] == value {
                continue;
            }
            altered[at] = value;
            let mut writer = Writer::new();
            writer.raw(&altered);
            let sealed = writer.seal(&header);
            match BlockMatrix::from_bytes(&s.server, &sealed) {
                Err(Error::Wire { .. }) => {}
                Ok(other) => panic!("byte {at} = {value}: {other:?}"),
                Err(other) => panic!("byte {at} = {value}: {other}"),
            }
        }
    }
    let foreign = ClearMatrices::<i64>::new(32, 2).unwrap().with_key(7);
    assert!(matches!(
        BlockMatrix::from_bytes(&foreign, &bytes),
        Err(Error::KeyMismatch { .. })
    ));
}

/// The format that was ever written stays: a matrix of two chunks and two segments, byte for byte.
#[test]
fn the_wire_format_stays() {
    let s = setup(32);
    let data = integers(9, 60);
    let options = BlockOptions::new()
        .format(Format::Columns)
        .line(16)
        .lines_per_block(2);
    let x = s.matrix(20, 3, &data, &options).unwrap();
    assert_eq!(x.blocks(), 4);
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/block_matrix");
    let golden = std::fs::read(path).unwrap();
    assert_eq!(x.to_bytes().unwrap(), golden);
    let back = BlockMatrix::from_bytes(&s.server, &golden).unwrap();
    s.expect("golden", &back, (20, 3), &data);
}
