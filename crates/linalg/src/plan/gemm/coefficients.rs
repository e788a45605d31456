//! Products in coefficients: the grid that costs least, and what it costs.

use super::{Figures, Gemm, Kind, Precision, bytes};
use crate::blocks::{BlockOptions, Format, Lines, Store, cut};
use crate::plan::Machine;
use crate::shape::mismatch;
use cipherblas_scheme::matrix::{MIN_PADDED_LEN, padded_len};
use cipherblas_scheme::{Error, MatrixKeySet, Result};
use std::fmt;

#[derive(Clone, Debug)]
pub(super) struct Blocked {
    /// Positions of the grid of lines.
    line: usize,
    /// Lines in a block of the factors.
    chunk: usize,
    pub(super) keys: MatrixKeySet,
    pub(super) input_ciphertexts: usize,
    pub(super) output_ciphertexts: usize,
    pub(super) input_bytes: usize,
    pub(super) output_bytes: usize,
    pub(super) workspace_bytes: usize,
    pub(super) multiply_adds: f64,
    pub(super) key_switches: f64,
    pub(super) formats: usize,
    /// Parts that a sum is taken in at the most.
    pub(super) parts: usize,
    pub(super) precision: Precision,
    pub(super) seconds: f64,
    pub(super) with_inputs: f64,
}

pub(super) fn plan(gemm: &Gemm, figures: &Figures) -> Result<Blocked> {
    if figures.max_depth == 0 {
        return Err(Error::Depth {
            operation: "matrix product",
            needed: 1,
            left: 0,
        });
    }
    let mut best: Option<Blocked> = None;
    // Longer lines than the factors' are a waste; shorter ones cut them into more blocks, which a small budget asks for.
    let natural = natural(gemm, figures);
    for line in grids(natural) {
        let plan = on_grid(gemm, figures, line, gemm.budget)?;
        best = match (best, plan) {
            (Some(best), Some(plan)) if plan.with_inputs < best.with_inputs => Some(plan),
            (None, plan) => plan,
            (best, _) => best,
        };
    }
    match (best, gemm.budget) {
        (Some(best), _) => Ok(best),
        (None, Some(budget)) => {
            let least = least_budget(gemm, figures, natural, budget)?;
            Err(Error::Parameter {
                what: "memory budget",
                got: format!("{budget} bytes ({})", bytes(budget)),
                expected: format!("at least {least} bytes ({})", bytes(least)),
                hint: "raise the budget, or multiply parts of the matrices one after another",
            })
        }
        (None, None) => Err(mismatch(
            "matrix product",
            "no grid",
            "lines of 16 values or more",
            "use a larger ring",
        )),
    }
}

/// The shortest grid that holds the factors' lines, or the longest there is.
fn natural(gemm: &Gemm, figures: &Figures) -> usize {
    let (longest, _) = lengths(gemm);
    padded_len(longest)
        .unwrap_or(figures.max_len)
        .min(figures.max_len)
}

/// The grids that a product may lie on, from the natural one down.
fn grids(natural: usize) -> impl Iterator<Item = usize> {
    let least = MIN_PADDED_LEN.min(natural).max(1);
    std::iter::successors(Some(natural), |line| Some(line / 2)).take_while(move |&l| l >= least)
}

/// The least budget on any grid, which is more than `refused`: what fits in a budget fits in a larger one.
fn least_budget(gemm: &Gemm, figures: &Figures, natural: usize, refused: usize) -> Result<usize> {
    let fits = |budget: usize| -> Result<bool> {
        for line in grids(natural) {
            if on_grid(gemm, figures, line, Some(budget))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let (mut below, mut enough) = (refused, refused.saturating_mul(2).max(1));
    while enough < usize::MAX && !fits(enough)? {
        (below, enough) = (enough, enough.saturating_mul(2));
    }
    while enough - below > 1 {
        let middle = below + (enough - below) / 2;
        if fits(middle)? {
            enough = middle;
        } else {
            below = middle;
        }
    }
    Ok(enough)
}

/// The longest and the shortest line of the encrypted factors.
fn lengths(gemm: &Gemm) -> (usize, usize) {
    match gemm.kind {
        Kind::Encrypted => (gemm.rows.max(gemm.cols), gemm.rows.min(gemm.cols)),
        Kind::EncryptedPlain => (gemm.rows, gemm.rows),
        Kind::PlainEncrypted | Kind::Gram => (gemm.cols, gemm.cols),
    }
}

/// Lengths of the segments of `len` values on a grid: how many whole ones, and the rest.
fn segments(len: usize, line: usize) -> impl Iterator<Item = (usize, usize)> {
    let rest = len % line;
    [(len / line, line), (usize::from(rest > 0), rest)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
}

/// The product on one grid; `None` if the budget does not hold one term of it.
fn on_grid(
    gemm: &Gemm,
    figures: &Figures,
    line: usize,
    budget: Option<usize>,
) -> Result<Option<Blocked>> {
    let (m, k, n) = (gemm.rows, gemm.inner, gemm.cols);
    let (top, below) = (figures.max_depth, figures.max_depth - 1);
    let (max_len, machine) = (figures.max_len, &gemm.machine);
    let stride = max_len / line;
    let degree = max_len as f64;
    let primes = figures.narrow_primes[top] as f64;
    let ciphertexts = |lines: usize| lines.div_ceil(stride);
    let (longest, _) = lengths(gemm);
    let size = |lines: usize, _: usize| Ok(ciphertexts(lines) * figures.ciphertext_bytes[top]);
    let limit = budget.map_or(usize::MAX, Store::limit_of_blocks);
    let chunk = cut(k, longest, line, max_len, limit, size)?;
    // Ciphertexts of all blocks of a matrix whose lines number the inner dimension.
    let factor = |len: usize| {
        let whole = k / chunk * ciphertexts(chunk) + ciphertexts(k % chunk);
        len.div_ceil(line) * whole
    };
    let mut plan = Blocked {
        line,
        chunk,
        keys: if gemm.kind.plain() {
            MatrixKeySet::default()
        } else {
            MatrixKeySet::products(line)?
        },
        input_ciphertexts: match gemm.kind {
            Kind::Encrypted => factor(m) + factor(n),
            Kind::EncryptedPlain => factor(m),
            Kind::PlainEncrypted | Kind::Gram => factor(n),
        },
        output_ciphertexts: 0,
        input_bytes: 0,
        output_bytes: 0,
        workspace_bytes: 0,
        multiply_adds: 0.0,
        key_switches: 0.0,
        formats: 0,
        parts: 1,
        precision: figures.precision,
        seconds: 0.0,
        with_inputs: 0.0,
    };
    plan.input_bytes = plan.input_ciphertexts * figures.ciphertext_bytes[top];
    let mut conversions = 0.0;
    if gemm.kind.plain() {
        // Single lines: each of the result is a ciphertext for each segment.
        let (out, len) = if gemm.kind == Kind::EncryptedPlain {
            (n, m)
        } else {
            (m, n)
        };
        for (count, len) in segments(len, line) {
            let one = out as f64 * (degree + len as f64);
            plan.multiply_adds += count as f64 * one * k as f64 * primes;
            conversions += count as f64 * one;
        }
        plan.output_ciphertexts = out * len.div_ceil(line);
        plan.workspace_bytes = (2.0 * primes * out.min(chunk) as f64 * 2.0 * degree) as usize;
    } else {
        let symmetric = gemm.kind == Kind::Gram;
        for (rows, a) in segments(m, line) {
            for (cols, b) in segments(n, line) {
                let blocks = rows * cols;
                // Blocks on the diagonal of a Gram matrix take half the multiply-adds.
                let halved = if symmetric && a == b { rows } else { 0 };
                let (len_a, len_b) = (a as f64, b as f64);
                let one =
                    k as f64 * (len_a * len_b + degree * (len_a + len_b + line as f64)) * primes;
                plan.multiply_adds += (blocks as f64 - halved as f64 / 2.0) * one;
                let sum = Sum {
                    results: m.div_ceil(line) * n.div_ceil(line),
                    terms: k.div_ceil(chunk),
                    factors: if symmetric { 1 } else { 2 },
                    block: ciphertexts(chunk.min(k)) * figures.ciphertext_bytes[top],
                    output: ciphertexts(a) * figures.ciphertext_bytes[below],
                };
                let Some(parts) = sum.parts(budget, plan.input_bytes) else {
                    return Ok(None);
                };
                plan.formats += blocks * parts;
                plan.parts = plan.parts.max(parts);
                // Both families of rows, relinearization, packing.
                let switches = degree + 3.0 * line as f64 + len_b * (2.0 - 1.0 / stride as f64);
                plan.key_switches += (blocks * parts) as f64 * switches;
                conversions += (blocks * parts) as f64 * (len_a + degree) * (len_b + degree);
                plan.output_ciphertexts += blocks * ciphertexts(a);
                // Residues before the switch of modulus, doubles after it, twice while they are transformed.
                let rows = (len_a + degree) * (len_b + degree);
                plan.workspace_bytes = plan
                    .workspace_bytes
                    .max((rows * (2.0 * primes + 16.0)) as usize);
            }
        }
    }
    plan.output_bytes = plan.output_ciphertexts * figures.ciphertext_bytes[below];
    let switch = machine.key_switch * degree / Machine::REFERENCE_LEN as f64;
    let seconds = plan.multiply_adds * machine.narrow_multiply_add
        + plan.key_switches * switch
        + conversions * machine.conversion;
    let threads = machine.threads as f64;
    plan.seconds = seconds / threads;
    let input = machine.encryption * degree / Machine::REFERENCE_LEN as f64;
    plan.with_inputs = plan.seconds + plan.input_ciphertexts as f64 * input / threads;
    Ok(Some(plan))
}

/// One block of the result: a sum of products of blocks.
struct Sum {
    /// Blocks of the result.
    results: usize,
    terms: usize,
    /// Blocks that a term reads.
    factors: usize,
    /// Bytes of one of them.
    block: usize,
    /// Bytes of the result.
    output: usize,
}

impl Sum {
    /// Parts that it is taken in, under a budget: each has a change of format of its own. `None` if there is no room for one
    /// term. As products of [`BlockMatrix`](crate::BlockMatrix) do it.
    fn parts(&self, budget: Option<usize>, input_bytes: usize) -> Option<usize> {
        let Some(budget) = budget else {
            return Some(1);
        };
        let &Self {
            terms,
            factors,
            block,
            output,
            results,
        } = self;
        // Half of the budget is kept, the first blocks in it, and results where there is room; the others are read.
        let kept = (budget / 2).min(input_bytes);
        let results_before = (results - 1).saturating_mul(output);
        let free = budget - (budget / 2).min(input_bytes.saturating_add(results_before));
        let spilled = kept < input_bytes;
        // While a block is read, the bytes of its file are there as well.
        let transient = if spilled { block.max(output) } else { output };
        let all = if spilled {
            // What is not kept of the whole may all belong to this sum; of the half, a result may have the last block's room.
            let not_kept = input_bytes - kept + if results > 1 { block } else { 0 };
            (terms * factors * block).min(not_kept)
        } else {
            0
        };
        if all.saturating_add(transient) <= free && (results == 1 || 2 * output <= free) {
            return Some(1);
        }
        let term = factors * block;
        // Beside the sum so far, the next part of it, then what they add up to.
        let room = free
            .checked_sub(output)
            .filter(|&room| room >= 2 * output)?
            .checked_sub(transient)?;
        match room / term {
            0 => None,
            at_a_time => {
                let share = kept as f64 / input_bytes as f64;
                let read = terms - (terms as f64 * share) as usize;
                Some(read.div_ceil(at_a_time).max(1))
            }
        }
    }
}

impl Blocked {
    pub(super) fn options(
        &self,
        kind: Kind,
        store: &Store,
    ) -> (Option<BlockOptions>, Option<BlockOptions>) {
        let options = BlockOptions::new()
            .line(self.line)
            .lines_per_block(self.chunk)
            .layout(Lines::Packed)
            .store(store);
        let left = options.clone().format(Format::Columns);
        let right = options.format(Format::Rows);
        match kind {
            Kind::Encrypted => (Some(left), Some(right)),
            Kind::EncryptedPlain => (Some(left), None),
            Kind::PlainEncrypted | Kind::Gram => (None, Some(right)),
        }
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>, gemm: &Gemm) -> fmt::Result {
        writeln!(f, "depth               1")?;
        let formats = match gemm.kind {
            Kind::Encrypted => "left factor by columns, right by rows",
            Kind::EncryptedPlain => "by columns",
            Kind::PlainEncrypted | Kind::Gram => "by rows",
        };
        writeln!(
            f,
            "lines               {formats}, on a grid of {}, {} to a block",
            self.line, self.chunk
        )?;
        writeln!(
            f,
            "ciphertexts         {} in ({}), {} out ({})",
            self.input_ciphertexts,
            bytes(self.input_bytes),
            self.output_ciphertexts,
            bytes(self.output_bytes)
        )?;
        if self.keys.products {
            writeln!(
                f,
                "keys                relinearization, change of format on a grid of {}",
                self.line
            )?;
        } else {
            writeln!(f, "keys                none")?;
        }
        let plain = gemm.rows as f64 * gemm.inner as f64 * gemm.cols as f64;
        writeln!(
            f,
            "multiply-adds       {:.3e} modulo narrow primes, {:.1} for each of the plain product",
            self.multiply_adds,
            self.multiply_adds / plain
        )?;
        writeln!(
            f,
            "key switches        {:.0} in {} change(s) of format",
            self.key_switches, self.formats
        )
    }
}
