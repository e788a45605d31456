//! Products of encrypted matrices beside the plain product of the same size, on the same threads.
//!
//! ```sh
//! cargo run --release --example encrypted_gemm -- 1024
//! ```
//!
//! The owner encrypts `B`, and for the second product `A`; the server computes `A B`, once with a plain and once with an encrypted
//! `A`, and has no key that decrypts; the owner decrypts and compares with doubles. The plain product is that of the crate
//! `faer`, as fast as NumPy's BLAS on machines where both were measured (`cargo xtask bench` has NumPy's own).
//!
//! Exits with 1 if a result is further off than the bound that came with it, or that bound is wider than the precision
//! asked for.

#[path = "encrypted_training/report.rs"]
#[allow(dead_code)] // the progress bar
mod report;

use cipherblas::Result;
use cipherblas::ckks::matrix::{Evaluator, Params, SecretKey};
use cipherblas::linalg::blocks::Lines;
use cipherblas::linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix};
use cipherblas::scheme::MatrixKeySet;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::RngExt;
use report::{bytes, line, peak_memory};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: encrypted_gemm [SIZE] [--threads N]

  SIZE         rows and columns of both factors, from 1 to 8192 (default: 256)
  --threads N  how many threads compute (default: all)";

/// Entries of the product are right to `2^-18 sqrt(size)` for factors of entries up to 1.
const PRECISION_BITS: u32 = 18;
/// Products are repeated for about so long, up to [`REPEATS`] times.
const SECONDS: f64 = 2.0;
const REPEATS: usize = 5;

type Matrix = BlockMatrix<Evaluator>;

/// Median seconds of `job`, and its last result.
fn timed<T>(repeats: usize, mut job: impl FnMut() -> Result<T>) -> Result<(f64, T)> {
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        let result = job()?;
        times.push(start.elapsed().as_secs_f64());
        if times.len() >= repeats || begin.elapsed().as_secs_f64() > SECONDS {
            times.sort_by(f64::total_cmp);
            return Ok((times[times.len() / 2], result));
        }
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} us", s * 1e6),
    }
}

/// `A B` in clear, on the threads of the pool.
fn plain_product(size: usize, a: &[f64], b: &[f64], out: &mut [f64]) {
    let par = match rayon::current_num_threads() {
        1 => Par::Seq,
        threads => Par::rayon(threads),
    };
    matmul(
        MatMut::from_row_major_slice_mut(out, size, size),
        Accum::Replace,
        MatRef::from_row_major_slice(a, size, size),
        MatRef::from_row_major_slice(b, size, size),
        1.0,
        par,
    );
}

/// What both kinds of product are compared with.
struct Plain {
    size: usize,
    product: Vec<f64>,
    seconds: f64,
}

impl Plain {
    /// Prints what an encrypted product took and how far it is off; whether it is within its bound, and that within the
    /// precision asked for.
    fn compare(&self, took: f64, result: &Matrix, secret: &SecretKey) -> Result<bool> {
        let (decryption, values) = timed(1, || result.decrypt(secret))?;
        let worst = values
            .iter()
            .zip(&self.product)
            .map(|(got, exact)| (got - exact).abs())
            .fold(0.0, |worst: f64, error| {
                if error > worst || error.is_nan() {
                    error
                } else {
                    worst
                }
            });
        let (bound, asked) = (result.error_bound(), self.asked());
        line("product", seconds(took));
        line(
            "of a plain product",
            format!("{:.1} times", took / self.seconds),
        );
        line("decryption", seconds(decryption));
        line("ciphertexts of A B", bytes(result.bytes()));
        line("largest error", format!("{worst:.1e}"));
        line("bound of the result", format!("{bound:.1e}"));
        line("precision asked for", format!("{asked:.1e}"));
        let held = worst <= bound && bound <= asked;
        if !held {
            eprintln!("error: {worst:.3e} off, bound {bound:.3e}, precision asked for {asked:.3e}");
        }
        Ok(held)
    }

    fn asked(&self) -> f64 {
        f64::from(PRECISION_BITS).exp2().recip() * (self.size as f64).sqrt()
    }
}

fn run(size: usize) -> Result<bool> {
    let mut rng = rand::rng();
    let mut values = || -> Vec<f64> {
        (0..size * size)
            .map(|_| rng.random_range(-1.0..=1.0))
            .collect()
    };
    let (a, b) = (values(), values());

    println!(
        "Plain {size} x {size} times {size} x {size}, {} threads",
        rayon::current_num_threads()
    );
    let mut product = vec![0.0; size * size];
    plain_product(size, &a, &b, &mut product);
    let (took, ()) = timed(REPEATS, || {
        plain_product(size, &a, &b, &mut product);
        Ok(())
    })?;
    let plain = Plain {
        size,
        product,
        seconds: took,
    };
    line("product", format!("{}, doubles, crate faer", seconds(took)));

    // Owner.
    let mut rng = rand::rng();
    let params = Params::builder()
        .inner(size)
        .len(size)
        .depth(1)
        .precision_bits(PRECISION_BITS)
        .build()?;
    let secret = SecretKey::generate(&params, &mut rng)?;
    let set = MatrixKeySet::products(params.degree().min(size))?;
    let (keys_took, keys) = timed(1, || secret.evaluation_keys(&set, &mut rand::rng()))?;
    println!("\n{params}");
    line(
        "evaluation keys",
        format!(
            "{}, {}",
            bytes(params.evaluation_keys_wire_bytes(&set)?),
            seconds(keys_took)
        ),
    );
    let server = Evaluator::new(&params, keys)?;
    let mut encrypt = |values: &[f64], options: &BlockOptions| {
        BlockMatrix::encrypt(&secret, size, size, values, options, &mut rng)?.bind(&server)
    };
    let options = BlockOptions::new().bound(1.0);

    println!("\nPlain A times encrypted B: one line of B in a ciphertext, no evaluation key");
    let (encryption, x) = timed(1, || encrypt(&b, &options.clone().layout(Lines::Single)))?;
    line(
        "encryption of B",
        format!("{}, {}", seconds(encryption), bytes(x.bytes())),
    );
    let weights = PlainMatrix::new(size, size, &a[..])?;
    let (took, result) = timed(REPEATS, || Matrix::plain_matmul(&weights, &x))?;
    let held = plain.compare(took, &result, &secret)?;
    drop((x, result, weights));

    println!("\nEncrypted A times encrypted B: A by columns, B by rows");
    let (encryption, (x, y)) = timed(1, || {
        let x = encrypt(&a, &options.clone().format(Format::Columns))?;
        Ok((x, encrypt(&b, &options)?))
    })?;
    line(
        "encryption of both",
        format!("{}, {}", seconds(encryption), bytes(x.bytes() + y.bytes())),
    );
    let (took, result) = timed(REPEATS, || x.matmul(&y))?;
    let both_held = held & plain.compare(took, &result, &secret)?;

    println!();
    if let Some(peak) = peak_memory() {
        line("peak memory", bytes(peak));
    }
    Ok(both_held)
}

/// Size and threads; `None` if only help was asked for.
fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> std::result::Result<Option<(usize, usize)>, String> {
    let (mut size, mut threads) = (256, 0);
    let number = |text: &str, range: std::ops::RangeInclusive<usize>| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "{text:?} is not a number from {} to {}\n\n{USAGE}",
            range.start(),
            range.end()
        )),
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--threads" => {
                let text = arguments
                    .next()
                    .ok_or_else(|| format!("--threads needs a value\n\n{USAGE}"))?;
                threads = number(&text, 1..=1024)?;
            }
            text => size = number(text, 1..=8192)?,
        }
    }
    Ok(Some((size, threads)))
}

fn main() -> ExitCode {
    let (size, threads) = match parse(std::env::args().skip(1)) {
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
    // 0: as many threads as there are processors.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let outcome = match pool {
        Ok(pool) => pool.install(|| run(size)),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
