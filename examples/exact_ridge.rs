//! Ridge regression from exact encrypted normal equations: integers under BFV, equal to the last bit.
//!
//! The owner encodes rows in fixed point; a plan over integers says how many bits the sums need; the server computes
//! `X' X` and `X' y` on ciphertexts. What is decrypted are the integers that the same sums give in clear: no error to
//! bound, however many rows. Here the area of a cell nucleus is predicted from its other features.

use cipherblas::bfv::{Evaluator, Params, SecretKey};
use cipherblas::linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector, Plan};
use cipherblas::models::{
    EncryptedNormalEquations, FixedPoint, Intercept, NormalEquations, Ridge, Scaler, Scaling,
    Table, Whitening, closed_form, metrics,
};
use cipherblas::{Error, Result};
use std::time::Instant;

/// Steps of 2^-16 in features of variance one.
const FRACTION_BITS: u32 = 16;
const FEATURES: usize = 9;

/// Agreed upon beforehand, and public; encryption refuses what is larger. In standard deviations, and in 1000 square units.
const MAX_FEATURE: f64 = 16.0;
const MAX_AREA: f64 = 4.0;

/// Scaled rows and targets: the first ten columns are means over a nucleus, the fourth its area.
fn load() -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (index, line) in include_str!("data/breast_cancer.csv")
        .lines()
        .enumerate()
        .skip(1)
    {
        for (column, field) in line.split(',').take(FEATURES + 1).enumerate() {
            let value: f64 = field.parse().map_err(|_| Error::Value {
                index,
                got: field.into(),
                expected: "a number".into(),
                hint: "restore examples/data/breast_cancer.csv",
            })?;
            if column == 3 {
                y.push(value / 1000.0)
            } else {
                x.push(value)
            }
        }
    }
    let table = Table::new(y.len(), FEATURES, &x)?;
    let scaler = Scaler::fit(&table, Scaling::Standard, Whitening::None)?;
    Ok((scaler.transform(&table)?, y))
}

fn main() -> Result<()> {
    let (x, y) = load()?;
    let rows = y.len();
    let fixed = FixedPoint::new(FRACTION_BITS)?;
    let (encoded_x, encoded_y) = (fixed.encode(&x)?, fixed.encode(&y)?);
    let mut rng = rand::rng();

    // Owner: what the computation needs, for values that are no larger than these (public).
    let (bound_x, bound_y) = (fixed.max_encoded(MAX_FEATURE), fixed.max_encoded(MAX_AREA));
    let ridge = Ridge::new(1.0);
    let computation = |params: &Params| -> Result<(Plan, _, _)> {
        let tile = ridge.row_packing(rows, FEATURES, params.slots())?;
        let x = EncryptOptions::new().packing(tile).bound(bound_x);
        let y = EncryptOptions::new()
            .packing(tile.row_packing())
            .bound(bound_y);
        let plan = Plan::trace_integers(params.slots(), closed_form::DEPTH, |job| {
            EncryptedNormalEquations::with_unit(
                &job.matrix(rows, FEATURES, &x)?,
                &job.vector(rows, &y)?,
                Intercept::Fit,
                fixed.unit(),
            )
            .map(drop)
        })?;
        Ok((plan, x, y))
    };
    // How many bits depends on how rows are packed, that on the ring, and the ring on the bits: ask, then ask again.
    let mut params = Params::builder().depth(closed_form::DEPTH).build()?;
    let (plan, options_x, options_y) = loop {
        let (plan, x, y) = computation(&params)?;
        let bits = plan.plaintext_bits().unwrap_or(u32::MAX);
        if bits <= params.plaintext_bits() {
            break (plan, x, y);
        }
        params = Params::builder()
            .depth(closed_form::DEPTH)
            .plaintext_bits(bits)
            .build()?;
    };
    println!("{plan}\n{params}");
    let secret = SecretKey::generate(&params, &mut rng)?;
    let keys = secret.evaluation_keys(plan.keys(), &mut rng)?;
    let sent_x =
        EncryptedMatrix::encrypt_with(&secret, rows, FEATURES, &encoded_x, &options_x, &mut rng)?;
    let sent_y = EncryptedVector::encrypt_with(&secret, &encoded_y, &options_y, &mut rng)?;

    // Server.
    let server = Evaluator::new(&params, keys)?;
    let start = Instant::now();
    let normal = EncryptedNormalEquations::with_unit(
        &sent_x.bind(&server)?,
        &sent_y.bind(&server)?,
        Intercept::Fit,
        fixed.unit(),
    )?;
    println!("normal equations of {rows} rows in {:.2?}", start.elapsed());

    // Owner.
    let (gram, moment) = normal.parts();
    let (gram, moment) = (gram.decrypt(&secret)?, moment.decrypt(&secret)?);
    let with_one = |row: &[i64], i: usize| i128::from(row.get(i).copied().unwrap_or(fixed.unit()));
    let n = FEATURES + 1;
    for i in 0..n {
        for j in 0..n {
            let exact: i128 = encoded_x
                .chunks(FEATURES)
                .map(|row| with_one(row, i) * with_one(row, j))
                .sum();
            assert_eq!(i128::from(gram[i * n + j]), exact, "X'X at {i}, {j}");
        }
        let exact: i128 = encoded_x
            .chunks(FEATURES)
            .zip(&encoded_y)
            .map(|(row, &target)| with_one(row, i) * i128::from(target))
            .sum();
        assert_eq!(i128::from(moment[i]), exact, "X'y at {i}");
    }
    println!("all {} sums equal to the last bit", n * n + n);

    let normal: NormalEquations = normal.decrypt_fixed_point(&secret, fixed)?;
    let table = Table::new(rows, FEATURES, &x)?;
    let decoded = (fixed.decode(&encoded_x, 1), fixed.decode(&encoded_y, 1));
    let decoded_table = Table::new(rows, FEATURES, &decoded.0)?;
    println!(
        "    alpha        R2   difference from the same rows in clear, from those before encoding"
    );
    for alpha in [0.1, 1.0, 10.0, 100.0] {
        let model = normal.solve(alpha)?;
        let ridge = Ridge::new(alpha);
        let same = model.max_difference(&ridge.fit_exact(&decoded_table, &decoded.1)?)?;
        let before = model.max_difference(&ridge.fit_exact(&table, &y)?)?;
        let r2 = metrics::r2(&model.predict(&table)?, &y)?;
        println!("{alpha:>9}  {r2:.6}   {same:.1e}, {before:.1e}");
        // Only the solver's doubles round: relative 2^-53, times the condition of the equations (below 10^6 here).
        assert!(same < 1e-9, "encrypted and clear disagree");
    }
    Ok(())
}
