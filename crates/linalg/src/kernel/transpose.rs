//! What only moves elements: slices, stacks, other layouts.
//!
//! Transposing a tile exchanges its two orders and is free; slices that fall on whole ciphertexts are free; everything
//! else is a [map of slots](super::slots::gather) with masks, one level.

use super::Blocks;
use super::slots::{Origin, Source, gather};
use crate::packing::Tile;
use cipherblas_scheme::{Add, MulPlain, Result, Rotate, Scheme};
use std::sync::Arc;

/// A matrix to move elements from.
pub(crate) struct Part<'a, S: Scheme> {
    pub(crate) tile: Tile,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) blocks: &'a [Arc<S::Ciphertext>],
}

/// The `rows` x `cols` matrix in layout `to` whose element `(r, c)` is `source(r, c) = (part, row, column)`.
pub(crate) fn rearrange<S: Add + MulPlain + Rotate>(
    ev: &S,
    parts: &[Part<'_, S>],
    to: &Tile,
    rows: usize,
    cols: usize,
    source: Origin<'_>,
) -> Result<Blocks<S>> {
    let sources: Vec<Source<'_, S>> = parts
        .iter()
        .map(|p| Source {
            grid: p.tile.grid(p.rows, p.cols),
            blocks: p.blocks,
        })
        .collect();
    gather(ev, &sources, &to.grid(rows, cols), &|inner, outer| {
        let (r, c) = to.inner_outer(inner, outer);
        let (part, r, c) = source(r, c);
        let (i, o) = parts[part].tile.inner_outer(r, c);
        (part, i, o)
    })
}
