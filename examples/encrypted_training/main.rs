//! Logistic regression trained on encrypted data, end to end.
//!
//! An *owner* and a *server* run in separate threads and exchange bytes only. The owner picks parameters from the job, makes
//! the evaluation keys that the plan lists, encrypts the Wisconsin breast cancer data and sends all of it; the server trains
//! by Nesterov's accelerated gradient with a polynomial sigmoid and scores encrypted test rows with the encrypted weights; the
//! owner decrypts, and compares with the same algorithm in clear and with an exact solver.
//!
//! ```sh
//! cargo run --release --example encrypted_training
//! cargo run --release --example encrypted_training -- --iterations 4 --precision-bits 12
//! ```
//!
//! Exits with 1 if encrypted and clear disagree by more than the precision asked for.

mod data;
mod owner;
mod protocol;
mod report;
mod server;

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

const USAGE: &str = "usage: encrypted_training [--iterations N] [--precision-bits P]

  --iterations N       gradient steps (default: as many as 500 MB of keys at ring degree 2^15 afford)
  --precision-bits P   weights have to agree with training in clear to 2^-P (default: 12)";

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
struct Options {
    iterations: Option<usize>,
    precision_bits: u32,
}

/// The options; `None` if only help was asked for.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        iterations: None,
        precision_bits: 12,
    };
    while let Some(name) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))
        };
        let number = |text: String| {
            text.parse::<u32>()
                .map_err(|_| format!("{text} is not a number\n\n{USAGE}"))
        };
        match name.as_str() {
            "--iterations" => options.iterations = Some(number(value()?)? as usize),
            "--precision-bits" => options.precision_bits = number(value()?)?,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("{other} is not an option\n\n{USAGE}")),
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let (to_server, from_owner) = mpsc::channel::<Vec<u8>>();
    let (to_owner, from_server) = mpsc::channel::<Vec<u8>>();
    let server = thread::spawn(move || server::run(&from_owner, &to_owner));
    let outcome = owner::run(options, to_server, &from_server);
    if server.join().is_err() {
        eprintln!("the server panicked");
        return ExitCode::FAILURE;
    }
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
