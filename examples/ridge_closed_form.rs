//! Ridge regression from encrypted normal equations: two levels, however many rows.
//!
//! The server computes `X' X` and `X' y` on ciphertexts; the owner decrypts and solves them, for as many penalties
//! as wanted. Here the area of a cell nucleus is predicted from its other features (Wisconsin breast cancer data).

use cipherblas::ckks::{Evaluator, Params, SecretKey};
use cipherblas::linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector, Plan};
use cipherblas::models::{Ridge, Scaler, Scaling, Table, Whitening, closed_form, metrics};
use cipherblas::{Error, Result};

/// Rows, features and targets: the first ten columns are means over a nucleus, the fourth its area.
fn load() -> Result<(usize, usize, Vec<f64>, Vec<f64>)> {
    let csv = include_str!("data/breast_cancer.csv");
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (index, line) in csv.lines().skip(1).enumerate() {
        for (column, field) in line.split(',').take(10).enumerate() {
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
    let scaler = Scaler::fit(
        &Table::new(y.len(), 9, &x)?,
        Scaling::Standard,
        Whitening::None,
    )?;
    let x = scaler.transform(&Table::new(y.len(), 9, &x)?)?;
    Ok((y.len(), 9, x, y))
}

fn main() -> Result<()> {
    let (rows, features, x, y) = load()?;
    let ridge = Ridge::new(1.0);
    let mut rng = rand::rng();

    // Owner.
    let params = Params::builder()
        .depth(closed_form::DEPTH)
        .precision_bits(25)
        .integer_bits(11)
        .build()?;
    let tile = ridge.row_packing(rows, features, params.slots())?;
    let options = EncryptOptions::new().packing(tile);
    let targets = EncryptOptions::new().packing(tile.row_packing());
    let plan = Plan::trace(params.slots(), params.depth(), |job| {
        let x = job.matrix(rows, features, &options)?;
        ridge
            .normal_equations(&x, &job.vector(rows, &targets)?)
            .map(drop)
    })?;
    println!("{plan}\n{params}");
    let secret = SecretKey::generate(&params, &mut rng)?;
    let keys = secret.evaluation_keys(plan.keys(), &mut rng)?;
    let encrypted_x =
        EncryptedMatrix::encrypt_with(&secret, rows, features, &x, &options, &mut rng)?;
    let encrypted_y = EncryptedVector::encrypt_with(&secret, &y, &targets, &mut rng)?;

    // Server.
    let server = Evaluator::new(&params, keys)?;
    let normal =
        ridge.normal_equations(&encrypted_x.bind(&server)?, &encrypted_y.bind(&server)?)?;

    // Owner.
    let normal = normal.decrypt(&secret)?;
    let table = Table::new(rows, features, &x)?;
    println!("    alpha        R2   largest difference from the exact weights");
    for alpha in [0.1, 1.0, 10.0, 100.0] {
        let model = normal.solve(alpha)?;
        let exact = Ridge::new(alpha).fit_exact(&table, &y)?;
        let difference = model.max_difference(&exact)?;
        let r2 = metrics::r2(&model.predict(&table)?, &y)?;
        println!("{alpha:>9}  {r2:.6}   {difference:.1e}");
        assert!(difference < 1e-3, "encrypted and clear disagree");
    }
    Ok(())
}
