//! Logistic regression over the rows of three hospitals, by Newton's method on encrypted sums.
//!
//! ```text
//! cargo run --release --example federated_logistic                      Paillier
//! cargo run --release --example federated_logistic -- ckks              CKKS, by changing one line
//! cargo run --release --example federated_logistic -- ckks-shared-key   CKKS, all hospitals holding the key
//! ```
//!
//! A first round brings all features to mean zero and variance one; then, in each round, the key's holder sends weights,
//! every hospital answers with encrypted loss, gradient and Hessian over its rows, and the total moves the weights. The
//! result is the optimum over all rows, as if they were in one place, up to the precision of the encryption.

#[path = "../federated/mod.rs"]
mod federated;

use cipherblas::Result;
use cipherblas::models::federated::{FeatureSums, Method, Respondent, Rounds};
use cipherblas::models::{LogisticRegression, Table, metrics};
use cipherblas::scheme::{Add, Decrypt, Encrypt, ErrorBound, Scheme, Wire};
use federated::data::{FEATURES, UNITS, hospitals, pooled};
use federated::{Choice, Ledger, ckks_key, paillier_key, round};

/// The penalty, in units of the mean loss.
const L2: f64 = 0.01;

/// Newton's method ends at steps below this.
const TOLERANCE: f64 = 1e-5;

/// What each hospital agrees to: no more rounds, and no larger weights.
const MAX_ROUNDS: usize = 20;
const MAX_WEIGHT: f64 = 10.0;

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
    let scaled = hospitals
        .iter()
        .map(|h| scaler.transform(&h.table()?))
        .collect::<Result<Vec<_>>>()?;

    // Rounds of Newton's method.
    let model = LogisticRegression::new().max_iter(MAX_ROUNDS).l2(L2);
    let mut rounds = Rounds::new(&model, Method::Newton, FEATURES, TOLERANCE)?;
    let mut respondents = hospitals
        .iter()
        .map(|_| Respondent::new(MAX_ROUNDS, MAX_WEIGHT))
        .collect::<Result<Vec<_>>>()?;
    println!("  round   mean loss   largest change of a weight");
    while !rounds.finished() {
        let question = rounds.question()?;
        let answers = hospitals
            .iter()
            .zip(&scaled)
            .zip(&mut respondents)
            .map(|((h, x), respondent)| {
                let x = Table::new(h.rows(), FEATURES, x)?;
                respondent.answer(&question, &x, &h.labels)
            })
            .collect::<Result<Vec<_>>>()?;
        let taken = rounds.take(&round(&answers, encrypt, decrypt, &mut ledger)?)?;
        println!(
            "  {:>5}   {:.7}   {:.1e}",
            taken.number, taken.objective, taken.change
        );
        assert!(taken.converged || !taken.finished, "no convergence");
    }
    let trained = rounds.model()?;

    // The same in one place.
    let everything = pooled(&hospitals);
    let x = scaler.transform(&everything.table()?)?;
    let x = Table::new(everything.rows(), FEATURES, &x)?;
    let exact = model.fit_exact(&x, &everything.labels)?;
    let difference = trained.max_difference(&exact)?;
    // The objective curves by l2 or more in every penalized direction: an error of a gradient moves the optimum by no more than
    // that error over l2; what is left of the last step is far less than the step.
    let weights = (FEATURES + 1) as f64;
    let allowed = weights.sqrt() * ledger.error_bound / sums.rows() / L2 + TOLERANCE;
    let scores = trained.decision_function(&x)?;
    println!("Federated against pooled training");
    println!(
        "  accuracy, AUROC        {:.2} %, {:.4}",
        100.0 * metrics::accuracy(&scores, &everything.labels)?,
        metrics::auroc(&scores, &everything.labels)?
    );
    println!("  largest difference     {difference:.1e} in the weights (allowed: {allowed:.1e})");
    ledger.print(hospitals.len());
    assert!(difference <= allowed, "federated and pooled disagree");
    println!("federated and pooled agree");
    Ok(())
}
