//! Ridge regression over the rows of three hospitals, from encrypted sums: two rounds, for any number of rows.
//!
//! ```text
//! cargo run --release --example federated_ridge                      Paillier
//! cargo run --release --example federated_ridge -- ckks              CKKS, by changing one line
//! cargo run --release --example federated_ridge -- ckks-shared-key   CKKS, all hospitals holding the key
//! ```
//!
//! A first round brings all features to mean zero and variance one; in the second every hospital sends its encrypted `X' X`
//! and `X' y`. From their totals the key's holder solves for any number of penalties. Predicted is the worst area of a cell
//! nucleus, from the other features.

#[path = "../federated/mod.rs"]
mod federated;

use cipherblas::Result;
use cipherblas::models::federated::FeatureSums;
use cipherblas::models::{Intercept, NormalEquations, Ridge, Table, metrics};
use cipherblas::scheme::{Add, Decrypt, Encrypt, ErrorBound, Scheme, Wire};
use federated::data::{FEATURES, UNITS, hospitals, pooled};
use federated::{Choice, Ledger, ckks_key, paillier_key, round};

/// Column of the worst area, the target.
const TARGET: usize = 23;

fn main() -> Result<()> {
    match Choice::from_arguments()? {
        Choice::Paillier => {
            let key = paillier_key()?;
            run(&key.public_key(), &key)
        }
        Choice::Ckks => {
            let key = ckks_key()?;
            run(&key.public_key(&mut rand::rng())?, &key)
        }
        Choice::CkksSharedKey => {
            let key = ckks_key()?;
            run(&key, &key)
        }
    }
}

/// Scaled rows as features and target.
fn split(scaled: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let rows = scaled.chunks(FEATURES);
    let target = rows.clone().map(|row| row[TARGET]).collect();
    let features = rows.flat_map(|row| [&row[..TARGET], &row[TARGET + 1..]].concat());
    (features.collect(), target)
}

fn run<E, D>(encrypt: &E, decrypt: &D) -> Result<()>
where
    E: Encrypt<Scheme: Scheme<Value = f64> + Add + Wire + ErrorBound>,
    D: Decrypt<Scheme = E::Scheme> + Encrypt<Scheme = E::Scheme>,
{
    let hospitals = hospitals()?;
    let mut ledger = Ledger::default();

    // A common scaling.
    let sums = hospitals
        .iter()
        .map(|h| Ok(FeatureSums::of(&h.table()?, &UNITS)?.to_values()))
        .collect::<Result<Vec<_>>>()?;
    let total = round(&sums, encrypt, decrypt, &mut ledger)?;
    let sums = FeatureSums::from_values(FEATURES, &total)?;
    let scaler = sums.scaler(&UNITS, 1e-4)?;
    println!("{} rows at {} hospitals", sums.rows(), hospitals.len());

    // The normal equations.
    let d = FEATURES - 1;
    let shares = hospitals
        .iter()
        .map(|h| {
            let (x, y) = split(&scaler.transform(&h.table()?)?);
            let x = Table::new(h.rows(), d, &x)?;
            Ok(NormalEquations::of(&x, &y, Intercept::Fit)?.to_values())
        })
        .collect::<Result<Vec<_>>>()?;
    let total = round(&shares, encrypt, decrypt, &mut ledger)?;
    let normal = NormalEquations::from_values(d, Intercept::Fit, &total)?;

    // The same in one place.
    let everything = pooled(&hospitals);
    let (x, y) = split(&scaler.transform(&everything.table()?)?);
    let x = Table::new(everything.rows(), d, &x)?;
    println!("    alpha        R2   largest difference from pooled training (allowed)");
    for alpha in [1.0, 10.0, 100.0] {
        let model = normal.solve(alpha)?;
        let exact = Ridge::new(alpha).fit_exact(&x, &y)?;
        let difference = model.max_difference(&exact)?;
        let r2 = metrics::r2(&model.predict(&x)?, &y)?;
        // (G + alpha) w = m, with every entry of G and m off by the error of a total.
        let norm: f64 = exact.coef().iter().map(|w| w.abs()).sum();
        let allowed = (FEATURES as f64).sqrt() * ledger.error_bound * (norm + 1.0) / alpha;
        println!("{alpha:>9}  {r2:.6}   {difference:.1e} ({allowed:.1e})");
        assert!(difference <= allowed, "federated and pooled disagree");
    }
    ledger.print(hospitals.len());
    println!("federated and pooled agree");
    Ok(())
}
