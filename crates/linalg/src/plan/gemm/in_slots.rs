//! Products in slots: traced with every natural packing.

use super::{Gemm, Kind, SlotFigures};
use crate::encrypted::{EncryptOptions, MatmulMethod, PlainMatrix};
use crate::packing::{MatrixPacking, Skewed, Tile};
use crate::plan::{Costs, Machine, Plan, choose};
use cipherblas_scheme::{Error, Result};

/// Operations on single ciphertexts beyond which a product is not traced: it is not one for slots. Those with plain matrices
/// are traced with their values, which takes longer.
const MOST_OPERATIONS: usize = 1 << 15;
const MOST_PLAIN_OPERATIONS: usize = 1 << 12;

#[derive(Clone, Debug)]
pub(super) struct Slotted {
    pub(super) plan: Plan,
    pub(super) packings: (Option<MatrixPacking>, Option<MatrixPacking>),
    pub(super) seconds: f64,
    pub(super) with_inputs: f64,
}

pub(super) fn plan(gemm: &Gemm, figures: SlotFigures) -> Result<Slotted> {
    let (m, k, n) = (gemm.rows, gemm.inner, gemm.cols);
    let slots = figures.slots;
    // Every kernel does at least this.
    let operations = m.saturating_mul(k).saturating_mul(n) / slots.max(1);
    let most = if gemm.kind.plain() {
        MOST_PLAIN_OPERATIONS
    } else {
        MOST_OPERATIONS
    };
    // Matrices of many ciphertexts, too, whatever the product.
    let stored = m.max(n).saturating_mul(k) / slots.max(1);
    if operations.max(stored) > most {
        return Err(Error::Unsupported {
            scheme: "slots",
            operation: "a product of this size",
            hint: "multiply in coefficients",
        });
    }
    let costs = costs(&gemm.machine, slots);
    let (packings, plan) = match gemm.kind {
        Kind::Encrypted => encrypted(gemm, figures, &costs)?,
        Kind::Gram => {
            let (packing, plan) = choose(slots, figures.depth, (k, n), &costs, |_, x| {
                x.gram().map(drop)
            })?;
            ((None, Some(packing)), plan)
        }
        Kind::EncryptedPlain => {
            let weights = PlainMatrix::new(k, n, vec![1.0; k * n])?;
            let (packing, plan) = choose(slots, figures.depth, (m, k), &costs, |_, x| {
                x.matmul_plain(&weights).map(drop)
            })?;
            ((Some(packing), None), plan)
        }
        Kind::PlainEncrypted => {
            let weights = PlainMatrix::new(m, k, vec![1.0; m * k])?;
            let (packing, plan) = choose(slots, figures.depth, (k, n), &costs, |_, x| {
                weights.matmul(x).map(drop)
            })?;
            ((None, Some(packing)), plan)
        }
    };
    let threads = gemm.machine.threads as f64;
    let with_inputs = plan.estimate(&costs) / threads;
    let inputs = plan.input_ciphertexts() as f64 * costs.input / threads;
    Ok(Slotted {
        plan,
        packings,
        seconds: with_inputs - inputs,
        with_inputs,
    })
}

type Packings = (Option<MatrixPacking>, Option<MatrixPacking>);

/// The best pair of packings for a product of two encrypted matrices.
fn encrypted(gemm: &Gemm, figures: SlotFigures, costs: &Costs) -> Result<(Packings, Plan)> {
    let (m, k, n, slots) = (gemm.rows, gemm.inner, gemm.cols, figures.slots);
    let rows = Tile::rows(k, n, slots)?;
    let (left, right) = Skewed::pair(m, k, n, slots)?;
    let stretched = Tile::columns_stretched(m, k, rows.columns_per_block(), slots)?;
    // Packings made for products; others are re-packed first, which their owner can spare the server.
    let pairs: [(MatrixPacking, MatrixPacking, MatmulMethod); 2] = [
        (stretched.into(), rows.into(), MatmulMethod::OuterProducts),
        (left.into(), right.into(), MatmulMethod::Skewed),
    ];
    let mut best: Option<(f64, Packings, Plan)> = None;
    let mut refusal = None;
    for (left, right, method) in pairs {
        let plan = Plan::trace(slots, figures.depth, |t| {
            let a = t.matrix(m, k, &EncryptOptions::new().packing(left))?;
            let b = t.matrix(k, n, &EncryptOptions::new().packing(right))?;
            a.matmul_by(&b, method).map(drop)
        });
        match plan {
            Ok(plan) => {
                let cost = plan.estimate(costs);
                if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                    best = Some((cost, (Some(left), Some(right)), plan));
                }
            }
            Err(e) => refusal = Some(e),
        }
    }
    match (best, refusal) {
        (Some((_, packings, plan)), _) => Ok((packings, plan)),
        (None, Some(e)) => Err(e),
        (None, None) => unreachable!("there is at least one pair"),
    }
}

/// Costs for ciphertexts of so many slots.
fn costs(machine: &Machine, slots: usize) -> Costs {
    machine
        .slots
        .scaled(slots as f64 / Machine::REFERENCE_SLOTS as f64)
}
