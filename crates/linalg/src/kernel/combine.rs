//! Plain matrix times a vector of whole ciphertexts: no rotation, no key.

use super::Blocks;
use crate::packing::Grid;
use cipherblas_scheme::{Combine, Result, WeightMatrix};
use std::sync::Arc;

/// Applies `weights` (outputs x outer indices) along the outer axis of a grid with one outer index to a ciphertext.
/// One level. The result's blocks are ordered as those of a grid with as many outer indices as `weights` has rows.
pub(crate) fn along_outer<S: Combine>(
    ev: &S,
    grid: &Grid,
    cts: &[Arc<S::Ciphertext>],
    weights: WeightMatrix<'_, S::Value>,
) -> Result<Blocks<S>> {
    let inner_blocks = grid.inner_blocks();
    let mut out: Vec<Option<Arc<S::Ciphertext>>> = vec![None; weights.rows() * inner_blocks];
    for ib in 0..inner_blocks {
        let inputs: Vec<&S::Ciphertext> = (0..grid.outer_blocks())
            .map(|o| &*cts[grid.block(ib, o)])
            .collect();
        for (row, ct) in ev.combine(weights, &inputs)?.into_iter().enumerate() {
            out[row * inner_blocks + ib] = Some(Arc::new(ct));
        }
    }
    Ok(out
        .into_iter()
        .map(|ct| ct.expect("a ciphertext for each row of the weights"))
        .collect())
}
