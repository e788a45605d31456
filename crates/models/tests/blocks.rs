//! The closed form of linear models from the Gram matrix of an encrypted design.

mod common;

use cipherblas_linalg::{BlockOptions, Format, Store};
use cipherblas_models::closed_form::blocks::{self, encrypt_design, encrypt_design_fixed_point};
use cipherblas_models::{BlockNormalEquations, FixedPoint, Intercept, LinearRegression, Ridge};
use cipherblas_scheme::{ClearMatrices, Error, MatrixKeySet};
use common::Data;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

#[test]
fn the_gram_matrix_of_a_design_solves_least_squares() {
    for (rows, features, line) in [(7, 3, 16), (300, 3, 32), (33, 7, 16), (60, 20, 16)] {
        let data = Data::new(rows, features, false);
        for intercept in [Intercept::Fit, Intercept::Omit] {
            let columns = blocks::design_columns(features, intercept);
            let keys = MatrixKeySet::products(columns)
                .unwrap()
                .union(&MatrixKeySet::products(line).unwrap());
            let server = ClearMatrices::<f64>::new(32, blocks::DEPTH)
                .unwrap()
                .with_keys(&keys);
            let options = BlockOptions::new().line(line).lines_per_block(64);
            let design = encrypt_design(
                &server.key(),
                &data.table(),
                &data.y,
                intercept,
                &options,
                &mut rng(),
            )
            .unwrap();
            assert_eq!(design.shape(), (rows, columns));
            let ridge = Ridge::new(1.5).intercept(intercept);
            let encrypted = ridge
                .block_normal_equations(&design.bind(&server).unwrap())
                .unwrap();
            let normal = encrypted.decrypt(&server.key()).unwrap();
            for alpha in [0.5, 1.5, 100.0] {
                let exact = Ridge::new(alpha)
                    .intercept(intercept)
                    .fit_exact(&data.table(), &data.y)
                    .unwrap();
                let difference = normal.solve(alpha).unwrap().max_difference(&exact).unwrap();
                assert!(difference < 1e-9, "{rows} x {features}: {difference}");
            }
            if rows > features + 1 {
                let linear = LinearRegression::new().intercept(intercept);
                let exact = linear.fit_exact(&data.table(), &data.y).unwrap();
                assert!(normal.solve(0.0).unwrap().max_difference(&exact).unwrap() < 1e-9);
            }
        }
    }
}

#[test]
fn owners_add_up_and_integers_are_exact() {
    let data = Data::new(90, 5, false);
    let fixed = FixedPoint::new(8).unwrap();
    let server = ClearMatrices::<i64>::new(16, 1).unwrap();
    // One owner's rows are kept in files.
    let store = Store::with_budget(13_500, std::env::temp_dir()).unwrap();
    let options = BlockOptions::new()
        .lines_per_block(16)
        .bound(fixed.max_encoded(64.0));
    let mut parts = Vec::new();
    for (rows, options) in [(0..30, options.clone()), (30..90, options.store(&store))] {
        let x = &data.x[rows.start * 5..rows.end * 5];
        let table = cipherblas_models::Table::new(rows.len(), 5, x).unwrap();
        let design = encrypt_design_fixed_point(
            &server.key(),
            &table,
            &data.y[rows],
            Intercept::Fit,
            fixed,
            &options,
            &mut rng(),
        );
        let design = design.unwrap().bind(&server).unwrap();
        parts.push(BlockNormalEquations::new(&design, Intercept::Fit).unwrap());
    }
    assert!(store.files().0 > 0);
    let total = parts[0].add(&parts[1]).unwrap();
    let bytes = total.gram().to_bytes().unwrap();
    let back = cipherblas_linalg::BlockMatrix::from_bytes(&server, &bytes).unwrap();
    let total = BlockNormalEquations::from_gram(back, Intercept::Fit).unwrap();
    let normal = total.decrypt_fixed_point(&server.key(), fixed).unwrap();
    // The exact solution for the rows as they were encoded.
    let rounded = |values: &[f64]| fixed.decode(&fixed.encode(values).unwrap(), 1);
    let (x, y) = (rounded(&data.x), rounded(&data.y));
    let table = cipherblas_models::Table::new(90, 5, &x).unwrap();
    let exact = Ridge::new(0.7).fit_exact(&table, &y).unwrap();
    assert!(normal.solve(0.7).unwrap().max_difference(&exact).unwrap() < 1e-12);
}

#[test]
fn designs_that_are_none_are_refused() {
    let data = Data::new(6, 1, false);
    let server = ClearMatrices::<f64>::new(16, 1).unwrap();
    let options = BlockOptions::new();
    let encrypt = |y: &[f64], options: &BlockOptions| {
        encrypt_design(
            &server.key(),
            &data.table(),
            y,
            Intercept::Omit,
            options,
            &mut rng(),
        )
    };
    assert!(matches!(
        encrypt(&data.y[1..], &options),
        Err(Error::Shape { .. })
    ));
    let design = encrypt(&data.y, &options).unwrap().bind(&server).unwrap();
    match BlockNormalEquations::new(&design, Intercept::Fit).unwrap_err() {
        Error::Shape { got, expected, .. } => {
            assert_eq!(
                (got.as_str(), expected.as_str()),
                ("a design of 2 columns", "features, and 2 more")
            );
        }
        other => panic!("{other}"),
    }
    assert!(matches!(
        BlockNormalEquations::from_gram(design.clone(), Intercept::Omit),
        Err(Error::Shape { .. })
    ));
    // Held by columns there is no level left for the change of format.
    let columns = encrypt(&data.y, &options.clone().format(Format::Columns)).unwrap();
    match BlockNormalEquations::new(&columns.bind(&server).unwrap(), Intercept::Omit).unwrap_err() {
        Error::Shape { got, .. } => assert_eq!(got, "the matrix by Columns with 1 level(s) left"),
        other => panic!("{other}"),
    }
    let mut far = data.y.clone();
    far[4] = 1e9;
    match encrypt(&far, &options).unwrap_err() {
        Error::Value { index, .. } => assert_eq!(index, 4 * 2 + 1),
        other => panic!("{other}"),
    }
}
