//! A matrix of plain integers times a vector of residue slices: `out_k = sum_j W[k][j] in_j` modulo one prime.
//!
//! This is the heart of the linear algebra: near the speed of a product of matrices of doubles.
//!
//! # Methods
//! Inputs are first balanced, `|x| < 2^bx` with `bx = bits(p) - 1`, and weights reduced if that makes them smaller,
//! `|w| < 2^bw`. All products are exact, and reductions are delayed for `fold` terms. The plan takes the cheapest of:
//! - *Direct*: doubles hold `fold` products while `fold * 2^(bx + bw) + p < 2^53`. One operation a term.
//! - *Split*: inputs in two balanced digits, `x = lower + 2^u upper`, both at most `2^d`:
//!   `fold * 2^(d + bw) + p < 2^53`. Two operations a term.
//! - *Compensated*: upper and rounded-off parts as in [`rns`](crate::rns), whatever the sizes. Four
//!   operations a term, two on each pair of ports: little more than the time of two. With many rows and columns, 16-bit
//!   products modulo narrow primes take its place, see [`weighted`].
//!
//! # Blocking
//! Weights are packed once, in tiles of a few rows; inputs per block of coefficients and columns, into panels of four or
//! eight coefficients that stay in the first-level cache while every tile of rows passes over them. Inputs and outputs of
//! power-of-two length at power-of-two distances miss caches: both are prefetched. Long slices are cut for the threads of
//! `rayon` where there is work for them.
//!
//! # Two matrices
//! [`residues()`] and [`weighted`] multiply matrices modulo one prime through [narrow primes](crate::narrow).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod residues;
#[cfg(test)]
mod tests;

pub use residues::{residues, residues_with, weighted, weighted_with};

use crate::backend::Kind;
use crate::error::{MathError, Result};
use crate::pointwise::Kernels;
use crate::rns::Wide;
use rayon::prelude::*;

/// Largest number of bits of a weight.
pub const MAX_WEIGHT_BITS: u32 = 50;

/// Largest number of columns: sums of so many products of the largest factors are exact in every backend.
pub const MAX_COLUMNS: usize = 4096;

/// Multiply-adds that are worth a thread: about a tenth of a millisecond.
const LEAST_WORK: usize = 1 << 20;
/// From so many rows and columns narrow primes are faster than the compensated method, as measured on Zen 4: 1.4 to 1.6 times
/// at 512, less than 1.1 times at 256.
const NARROW: usize = 384;
/// Coefficients to a thread, so that packing the weights for each costs little.
const LEAST_LENGTH: usize = 512;

/// `outputs[k] = sum_j weights[k * cols + j] * inputs[j]` modulo the prime of `kernels`.
///
/// `weights` are integers of absolute value below `2^weight_bits`, row-major; inputs and outputs are lazy residues in any one
/// domain. Fewer bits are faster at small primes (see the [module page](self)). Large products use several threads of `rayon`.
///
/// # Errors
/// [`MathError::Parameter`] for numbers of slices, lengths or weights that do not fit; nothing is written then.
pub fn combine(
    kernels: &Kernels,
    weights: &[f64],
    weight_bits: u32,
    rows: usize,
    cols: usize,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) -> Result<()> {
    check(weights, weight_bits, rows, cols, inputs, outputs)?;
    let threads = rayon::current_num_threads();
    let n = outputs[0].len();
    let pieces = threads
        .min(rows.saturating_mul(cols).saturating_mul(n) / LEAST_WORK)
        .min(n / LEAST_LENGTH);
    if pieces < 2 {
        run(kernels, weights, weight_bits, rows, cols, inputs, outputs);
        return Ok(());
    }
    // Twice as many, since other work may hold a thread.
    let length = n.div_ceil(2 * pieces).next_multiple_of(LEAST_LENGTH);
    let mut rest: Vec<&mut [f64]> = outputs.iter_mut().map(|x| &mut **x).collect();
    let mut parts = Vec::new();
    for start in (0..n).step_by(length) {
        let end = n.min(start + length);
        let (outs, after): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .map(|x| x.split_at_mut(end - start))
            .unzip();
        rest = after;
        let ins: Vec<&[f64]> = inputs.iter().map(|x| &x[start..end]).collect();
        parts.push((ins, outs));
    }
    parts.into_par_iter().for_each(|(ins, mut outs)| {
        run(kernels, weights, weight_bits, rows, cols, &ins, &mut outs);
    });
    Ok(())
}

/// One thread.
fn run(
    kernels: &Kernels,
    weights: &[f64],
    weight_bits: u32,
    rows: usize,
    cols: usize,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) {
    match kernels.backend().kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            let plan = Plan::new(kernels.modulus().bits(), weight_bits, cols);
            if matches!(plan.method, Method::Compensated(_)) && rows.min(cols) >= NARROW {
                return residues::combine(kernels, weights, weight_bits, inputs, outputs);
            }
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            unsafe { avx2::combine(kernels.modulus(), &plan, weights, rows, inputs, outputs) }
        }
        Kind::Scalar => combine_integers(kernels, weights, cols, inputs, outputs),
    }
}

fn check(
    weights: &[f64],
    weight_bits: u32,
    rows: usize,
    cols: usize,
    inputs: &[&[f64]],
    outputs: &[&mut [f64]],
) -> Result<()> {
    let error = |got: String, expected: String, hint| {
        Err(MathError::Parameter {
            operation: "combine",
            got,
            expected,
            hint,
        })
    };
    if rows == 0 || cols == 0 || cols > MAX_COLUMNS || rows.checked_mul(cols) != Some(weights.len())
    {
        return error(
            format!("{rows} x {cols} with {} weights", weights.len()),
            format!("rows x cols weights, at least one of each, at most {MAX_COLUMNS} columns"),
            "pass the weights in row-major order, and split longer rows",
        );
    }
    if inputs.len() != cols || outputs.len() != rows {
        return error(
            format!("{} inputs and {} outputs", inputs.len(), outputs.len()),
            format!("{cols} inputs and {rows} outputs"),
            "one input for each column, one output for each row",
        );
    }
    let n = inputs[0].len();
    let lengths = inputs
        .iter()
        .map(|x| x.len())
        .chain(outputs.iter().map(|x| x.len()));
    if let Some(length) = lengths.into_iter().find(|&length| length != n) {
        return error(
            format!("slices of {n} and {length}"),
            "slices of one length".into(),
            "use one ring degree",
        );
    }
    if weight_bits == 0 || weight_bits > MAX_WEIGHT_BITS {
        return error(
            format!("weights of {weight_bits} bits"),
            format!("1 to {MAX_WEIGHT_BITS}"),
            "encode the weights at a smaller scale",
        );
    }
    let limit = (1u64 << weight_bits) as f64;
    if let Some(i) = weights
        .iter()
        .position(|w| w.is_nan() || w.abs() >= limit || w.fract() != 0.0)
    {
        return error(
            format!(
                "the weight {:e} in row {}, column {}",
                weights[i],
                i / cols,
                i % cols
            ),
            format!("an integer below 2^{weight_bits} in absolute value"),
            "round the weights, and declare their size",
        );
    }
    Ok(())
}

/// The reference: sums of 128 bits.
fn combine_integers(
    kernels: &Kernels,
    weights: &[f64],
    cols: usize,
    inputs: &[&[f64]],
    outputs: &mut [&mut [f64]],
) {
    let wide = Wide::new(kernels.modulus());
    for (row, out) in weights.chunks_exact(cols).zip(outputs) {
        for (i, out) in out.iter_mut().enumerate() {
            let terms = row.iter().zip(inputs);
            let sum = terms.fold(0i128, |acc, (&w, x)| {
                acc + i128::from(w as i64) * i128::from(x[i] as i64)
            });
            *out = kernels.modulus().residue(wide.reduce(sum));
        }
    }
}

/// How products are summed exactly.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    /// Whole inputs.
    Direct,
    /// Inputs in two digits: `x = lower + upper * 2^u`. Holds `2^u`.
    Split(f64),
    /// Whole inputs, sums in two parts. Holds `1.5 * 2^(52 + s)`.
    Compensated(f64),
}

/// A method, and how many terms it takes between reductions.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    method: Method,
    fold: usize,
    /// Whether reducing the weights makes them smaller.
    reduce_weights: bool,
}

#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
impl Plan {
    fn new(modulus_bits: u32, weight_bits: u32, cols: usize) -> Self {
        let all = Self::candidates(modulus_bits, weight_bits, cols);
        let cheapest = all.into_iter().min_by(|a, b| a.cost().total_cmp(&b.cost()));
        cheapest.expect("the compensated method fits every size")
    }

    /// Every method that is exact for these sizes.
    fn candidates(modulus_bits: u32, weight_bits: u32, cols: usize) -> Vec<Self> {
        let bx = modulus_bits - 1;
        let bw = weight_bits.min(bx);
        let reduce_weights = weight_bits > bx;
        let plan = |method, fold: usize| {
            (fold > 0).then_some(Self {
                method,
                fold: fold.min(cols),
                reduce_weights,
            })
        };
        let fold = |product_bits: u32| {
            let room = (1u128 << 53) - (1u128 << modulus_bits);
            usize::try_from(room >> product_bits).unwrap_or(usize::MAX)
        };
        // Balanced digits: the lower one is at most 2^(u - 1), the upper one at most 2^(bx - u).
        let u = (bx + 2) / 2;
        let split = Method::Split((1u64 << u) as f64);
        let digit = (u - 1).max(bx - u);
        // 2^log terms: log + bx + bw <= 51 + s and log + s - 1 <= 52, with the least s.
        let log = ((104 - bx - bw) / 2).min(cols.next_power_of_two().trailing_zeros());
        let s = (log + bx + bw).saturating_sub(51);
        let compensated = Method::Compensated(1.5 * f64::from(52 + s).exp2());
        [
            plan(Method::Direct, fold(bx + bw)),
            plan(split, fold(digit + bw)),
            plan(compensated, 1 << log),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Cycles for a vector of terms, as measured on Zen 3.
    fn cost(&self) -> f64 {
        let fold = self.fold as f64;
        match self.method {
            Method::Direct => 0.65 + 1.0 / fold,
            Method::Split(_) => 1.3 + 2.0 / fold,
            Method::Compensated(_) => 1.6 + 2.5 / fold,
        }
    }
}
