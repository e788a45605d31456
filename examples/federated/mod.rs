//! What the two federated examples share: the owners' data, the roles, and what a round costs.
//!
//! Three hospitals hold rows. In every round each computes sums over its own rows, encrypts them and sends them to a
//! coordinator, which has no key and adds them up; the key's holder decrypts the total. The roles exchange bytes only. The
//! holder and the coordinator do not collude; with CKKS, neither do the coordinator and a hospital.

#![allow(dead_code, reason = "each example uses a part")]

pub(crate) mod coordinator;
pub(crate) mod data;

use cipherblas::linalg::EncryptedVector;
use cipherblas::scheme::{Decrypt, Encrypt, Error, ErrorBound, Result, Scheme, Wire};
use cipherblas::{ckks, paillier};
use coordinator::Coordinator;
use std::time::{Duration, Instant};

/// Bits behind the binary point of everything that is sent.
const FRACTION_BITS: u32 = 24;

/// Totals are below two to this.
const INTEGER_BITS: u32 = 20;

/// What a hospital sends is below two to this: sums over up to some hundred thousand rows of scaled features.
const VALUE_BITS: u32 = 18;

/// Which scheme, from the command line; Paillier if nothing is said.
pub(crate) enum Choice {
    /// Owners encrypt with the public key.
    Paillier,
    /// Owners encrypt with the public key.
    Ckks,
    /// All owners hold the secret key, the coordinator does not: ciphertexts are half as long, and no owner may see another's.
    CkksSharedKey,
}

impl Choice {
    pub(crate) fn from_arguments() -> Result<Self> {
        match std::env::args().nth(1).as_deref() {
            None | Some("paillier") => Ok(Self::Paillier),
            Some("ckks") => Ok(Self::Ckks),
            Some("ckks-shared-key") => Ok(Self::CkksSharedKey),
            Some(other) => Err(Error::Parameter {
                what: "scheme",
                got: other.into(),
                expected: "paillier, ckks or ckks-shared-key".into(),
                hint: "cargo run --release --example federated_ridge -- ckks",
            }),
        }
    }
}

/// The key holder's key for sums of numbers, nothing else: no depth.
pub(crate) fn paillier_key() -> Result<paillier::SecretKey> {
    let params = paillier::Params::builder()
        .bits(3072)
        .fraction_bits(FRACTION_BITS)
        .integer_bits(INTEGER_BITS)
        .value_bits(VALUE_BITS)
        .depth(0)
        .build()?;
    println!("{params}\n");
    paillier::SecretKey::generate(&params, &mut rand::rng())
}

/// The same for CKKS. What the holder sends to the hospitals (means, weights) follows from decryptions without added noise: this is
/// safe only while nobody who gets them sees the coordinator's ciphertexts. Paillier's results say nothing about its key.
pub(crate) fn ckks_key() -> Result<ckks::SecretKey> {
    let params = ckks::Params::builder()
        .depth(0)
        .precision_bits(FRACTION_BITS)
        .integer_bits(INTEGER_BITS)
        .build()?;
    println!("{params}\n");
    ckks::SecretKey::generate(&params, &mut rand::rng())
}

/// What rounds cost, and how exact the totals are.
#[derive(Default)]
pub(crate) struct Ledger {
    rounds: usize,
    values: usize,
    bytes: usize,
    owner: Duration,
    coordinator: Duration,
    holder: Duration,
    /// Bytes that a value takes where ciphertexts are full.
    full: f64,
    /// Bound on the error of every value of a total, as decrypted.
    pub(crate) error_bound: f64,
}

impl Ledger {
    pub(crate) fn print(&self, owners: usize) {
        let per_owner = 1e3 * self.owner.as_secs_f64() / (self.rounds * owners) as f64;
        let per_round = |time: Duration| 1e3 * time.as_secs_f64() / self.rounds as f64;
        println!("Traffic and time over {} rounds", self.rounds);
        println!(
            "  sent by each owner     {:.1} kB a round, {:.1} bytes a value ({:.1} where ciphertexts are full)",
            self.bytes as f64 / (self.rounds * owners) as f64 / 1e3,
            self.bytes as f64 / self.values as f64,
            self.full
        );
        println!("  an owner encrypts      {per_owner:.1} ms");
        println!(
            "  the coordinator adds   {:.1} ms",
            per_round(self.coordinator)
        );
        println!("  the holder decrypts    {:.1} ms", per_round(self.holder));
    }
}

/// One round: every owner's values in, their total out. `encrypt` is at the owners', `decrypt` at the key holder's.
pub(crate) fn round<E, D>(
    contributions: &[Vec<f64>],
    encrypt: &E,
    decrypt: &D,
    ledger: &mut Ledger,
) -> Result<Vec<f64>>
where
    E: Encrypt<Scheme: Wire + ErrorBound + Scheme<Value = f64> + cipherblas::scheme::Add>,
    D: Decrypt<Scheme = E::Scheme> + Encrypt<Scheme = E::Scheme>,
{
    let mut messages = Vec::new();
    for values in contributions {
        let start = Instant::now();
        let sums = EncryptedVector::encrypt(encrypt, values, &mut rand::rng())?;
        messages.push(sums.to_bytes()?);
        ledger.owner += start.elapsed();
        if let Some(ct) = sums.ciphertexts().next() {
            let scheme = sums.evaluator();
            ledger.full = scheme.write_ciphertext(ct).len() as f64 / scheme.slots() as f64;
        }
        ledger.values += values.len();
    }
    ledger.bytes += messages.iter().map(Vec::len).sum::<usize>();

    let start = Instant::now();
    let total = Coordinator::new(encrypt.scheme()).add_up(&messages)?;
    ledger.coordinator += start.elapsed();

    let start = Instant::now();
    let scheme = decrypt.scheme();
    let total = EncryptedVector::from_bytes(&scheme, &total)?;
    for ct in total.ciphertexts() {
        ledger.error_bound = ledger.error_bound.max(scheme.error_bound(ct));
    }
    let total = total.decrypt(decrypt)?;
    ledger.holder += start.elapsed();
    ledger.rounds += 1;
    Ok(total)
}
