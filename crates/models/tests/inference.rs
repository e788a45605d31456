//! Scores, closed form and statistics over a scheme in clear.

mod common;

use cipherblas_linalg::{EncryptOptions, EncryptedMatrix};
use cipherblas_models::{
    EncryptedModel, EncryptedStatistics, Intercept, Kind, LinearRegression, LogisticRegression,
    PlainModel, Ridge, Scaler, Scaling, Table, Whitening, closed_form, row_packing, statistics,
};
use cipherblas_scheme::{ClearScheme, Error};
use common::Data;

const SHAPES: [(usize, usize, usize); 7] = [
    (1, 1, 16),
    (1, 5, 16),
    (7, 3, 64),
    (40, 3, 16),
    (33, 7, 32),
    (10, 20, 8),
    (9, 5, 128),
];

fn close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() < 1e-9, "{got:?} against {expected:?}");
    }
}

fn encrypted_model(
    scheme: &ClearScheme,
    model: &PlainModel,
    intercept: Intercept,
    width: usize,
) -> EncryptedModel<ClearScheme> {
    let mut weights = model.coef().to_vec();
    if intercept == Intercept::Fit {
        weights.push(model.intercept());
    }
    let options =
        EncryptOptions::new().packing(cipherblas_linalg::VectorPacking::new(1, width).unwrap());
    let vector = cipherblas_linalg::EncryptedVector::encrypt_with(
        &scheme.key(),
        &weights,
        &options,
        &mut common::rng(),
    )
    .unwrap()
    .bind(scheme)
    .unwrap();
    EncryptedModel::new(model.kind(), model.coef().len(), intercept, vector).unwrap()
}

#[test]
fn scores_of_every_kind_agree() {
    for (rows, features, slots) in SHAPES {
        for intercept in [Intercept::Fit, Intercept::Omit] {
            let data = Data::new(rows, features, true);
            let bias = if intercept == Intercept::Fit {
                0.7
            } else {
                0.0
            };
            let coef = (0..features).map(|i| 1.0 / (i + 2) as f64).collect();
            let plain = PlainModel::new(Kind::Logistic, coef, bias).unwrap();
            let expected = plain.decision_function(&data.table()).unwrap();
            let scheme = ClearScheme::new(slots, 2).unwrap();
            let key = scheme.key();
            let tile = row_packing(rows, features, intercept, slots).unwrap();
            let (x, _) = data.encrypt(&scheme, tile);
            let encrypted =
                encrypted_model(&scheme, &plain, intercept, tile.column_packing().period());
            close(
                &encrypted
                    .decision_function(&x)
                    .unwrap()
                    .decrypt(&key)
                    .unwrap(),
                &expected,
            );
            close(
                &encrypted
                    .decision_function_plain(&data.table())
                    .unwrap()
                    .decrypt(&key)
                    .unwrap(),
                &expected,
            );
            close(
                &plain
                    .decision_function_encrypted(&x)
                    .unwrap()
                    .decrypt(&key)
                    .unwrap(),
                &expected,
            );
            assert_eq!(encrypted.decrypt(&key).unwrap(), plain);
        }
    }
}

#[test]
fn scores_of_other_features_are_refused() {
    let scheme = ClearScheme::new(32, 2).unwrap();
    let data = Data::new(4, 3, true);
    let tile = row_packing(4, 3, Intercept::Fit, 32).unwrap();
    let (x, y) = data.encrypt(&scheme, tile);
    let model = PlainModel::new(Kind::Linear, vec![1.0, 2.0], 0.0).unwrap();
    assert!(
        matches!(model.decision_function_encrypted(&x), Err(Error::Shape { got, expected, .. })
        if got == "3 features" && expected == "2 features")
    );
    let encrypted = encrypted_model(&scheme, &model, Intercept::Fit, 4);
    assert!(matches!(
        encrypted.decision_function(&x),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        encrypted.decision_function_plain(&data.table()),
        Err(Error::Shape { .. })
    ));
    assert!(EncryptedModel::new(Kind::Linear, 3, Intercept::Fit, y.clone()).is_ok());
    assert!(matches!(
        EncryptedModel::new(Kind::Linear, 4, Intercept::Fit, y),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn closed_form_is_the_exact_solution() {
    for (rows, features, slots) in [
        (7, 3, 64),
        (40, 3, 16),
        (33, 7, 32),
        (30, 20, 8),
        (50, 5, 512),
    ] {
        let data = Data::new(rows, features, false);
        let scheme = ClearScheme::new(slots, closed_form::DEPTH).unwrap();
        let ridge = Ridge::new(1.5);
        let (x, y) = data.encrypt(&scheme, ridge.row_packing(rows, features, slots).unwrap());
        let normal = ridge
            .normal_equations(&x, &y)
            .unwrap()
            .decrypt(&scheme.key())
            .unwrap();
        for alpha in [0.5, 1.5, 100.0] {
            let exact = Ridge::new(alpha).fit_exact(&data.table(), &data.y).unwrap();
            let difference = normal.solve(alpha).unwrap().max_difference(&exact).unwrap();
            assert!(
                difference < 1e-9,
                "{rows} x {features} in {slots}: {difference}"
            );
        }
        assert!(matches!(
            normal.solve(-1.0),
            Err(Error::Parameter { what: "alpha", .. })
        ));
        if rows > features + 1 {
            let linear = LinearRegression::new().intercept(Intercept::Omit);
            let (x, y) = data.encrypt(&scheme, linear.row_packing(rows, features, slots).unwrap());
            let normal = linear
                .normal_equations(&x, &y)
                .unwrap()
                .decrypt(&scheme.key())
                .unwrap();
            let exact = linear.fit_exact(&data.table(), &data.y).unwrap();
            assert!(normal.solve(0.0).unwrap().max_difference(&exact).unwrap() < 1e-9);
        }
    }
}

#[test]
fn encrypted_statistics_scale_as_clear_ones() {
    for (rows, features, slots) in [(7, 3, 64), (40, 3, 16), (10, 20, 8), (16, 4, 64)] {
        let data = Data::new(rows, features, false);
        let scheme = ClearScheme::new(slots, statistics::DEPTH).unwrap();
        let key = scheme.key();
        let (x, _) = data.encrypt(
            &scheme,
            row_packing(rows, features, Intercept::Omit, slots).unwrap(),
        );
        let encrypted = EncryptedStatistics::new(&x).unwrap();
        assert_eq!(
            (encrypted.mean().depth(), encrypted.mean_square().depth()),
            (1, 0)
        );
        let clear = Scaler::fit(&data.table(), Scaling::Standard, Whitening::None).unwrap();
        let expected = clear.transform(&data.table()).unwrap();
        let scaler = encrypted.decrypt(&key, 1e-12).unwrap();
        close(&scaler.transform(&data.table()).unwrap(), &expected);
        let scaled = scaler.transform_encrypted(&x).unwrap();
        assert_eq!(scaled.depth(), statistics::DEPTH - 1);
        close(&scaled.decrypt(&key).unwrap(), &expected);
        let means = encrypted.mean().decrypt(&key).unwrap();
        let centred: Vec<f64> = data
            .x
            .chunks(features)
            .flat_map(|r| r.iter().zip(&means).map(|(v, m)| v - m))
            .collect();
        close(
            &encrypted.center(&x).unwrap().decrypt(&key).unwrap(),
            &centred,
        );
        let ranks = Scaler::fit(&data.table(), Scaling::Quantile, Whitening::None).unwrap();
        assert!(matches!(
            ranks.transform_encrypted(&x),
            Err(Error::Unsupported { .. })
        ));
    }
}

#[test]
fn padding_stays_zero() {
    let data = Data::new(5, 3, false);
    let scheme = ClearScheme::new(64, 10).unwrap();
    let tile = row_packing(5, 3, Intercept::Fit, 64).unwrap();
    let (x, _) = data.encrypt(&scheme, tile);
    let model = PlainModel::new(Kind::Linear, vec![1.0, 2.0, 3.0], 0.5).unwrap();
    let scores = model.decision_function_encrypted(&x).unwrap();
    for ct in scores.ciphertexts() {
        for (slot, &value) in ct.slots().iter().enumerate() {
            let row = slot / 4 % 8;
            assert_eq!(value != 0.0, row < 5, "slot {slot}");
        }
    }
    let all: EncryptedMatrix<ClearScheme> = x;
    assert_eq!(all.ciphertexts().len(), 1);
    let table = Table::new(1, 3, &[1.0, 2.0, 3.0]).unwrap();
    assert!(LogisticRegression::new().fit_exact(&table, &[0.5]).is_err());
}

#[test]
fn models_survive_the_wire_and_altered_ones_do_not() {
    let scheme = ClearScheme::new(16, 2).unwrap();
    let plain = PlainModel::new(Kind::Logistic, vec![1.0, -2.0, 0.25], 0.5).unwrap();
    let model = encrypted_model(&scheme, &plain, Intercept::Fit, 4);
    let bytes = model.to_bytes().unwrap();
    let read = EncryptedModel::from_bytes(&scheme, &bytes).unwrap();
    assert_eq!(read.decrypt(&scheme.key()).unwrap(), plain);
    assert_eq!(
        (read.kind(), read.intercept(), read.features()),
        (Kind::Logistic, Intercept::Fit, 3)
    );

    for cut in 0..bytes.len() {
        assert!(
            EncryptedModel::from_bytes(&scheme, &bytes[..cut]).is_err(),
            "cut at {cut}"
        );
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(
            EncryptedModel::from_bytes(&scheme, &altered).is_err(),
            "altered at {at}"
        );
    }
    let foreign = scheme.clone().with_key(2);
    assert!(matches!(
        EncryptedModel::from_bytes(&foreign, &bytes),
        Err(Error::KeyMismatch { .. })
    ));
    let weights = model.coef().to_bytes().unwrap();
    assert!(matches!(
        EncryptedModel::from_bytes(&scheme, &weights),
        Err(Error::Wire { .. })
    ));
    assert!(matches!(
        model.bind(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
}
