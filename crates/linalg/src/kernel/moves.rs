//! Rearrangements that are planned, depth included, before they run.
//!
//! A [gather](super::slots::gather) whose result repeats sooner than its sources, or holds each value more often in a row, fills only
//! one copy of the result and one slot of each value with masks, and spreads them by doubling: `log2` rotations in place of one for
//! each copy.

use super::Blocks;
use super::reduce::fold;
use super::slots::{Origin, Routes};
use crate::packing::Grid;
use crate::shape::doublings;
use cipherblas_scheme::{Add, MulPlain, Result, Rotate};
use std::sync::Arc;

/// How the elements of some arrays get to the places of another.
pub(crate) enum Moves {
    /// Whole ciphertexts, as they are.
    Whole(Vec<usize>),
    /// One copy by rotations and masks, then the others.
    Routed {
        routes: Routes,
        /// For each block which slot of a value is filled, in units of `unit`, of `stretch`.
        anchors: Vec<usize>,
        unit: usize,
        stretch: usize,
        /// So many copies, so many slots apart.
        copies: usize,
        apart: usize,
    },
}

impl Moves {
    /// For sources in the layouts `from`, and the element at `(inner, outer)` of `to` being the one at
    /// `source(inner, outer) = (array, inner, outer)`.
    pub(crate) fn plan(from: &[Grid], to: &Grid, source: Origin<'_>) -> Result<Self> {
        if let Some(whole) = whole(from, to, source) {
            return Ok(Self::Whole(whole));
        }
        let apart = to.width();
        let width = from.iter().map(Grid::width).fold(apart, usize::max);
        let unit = from.iter().map(|g| g.repeat).fold(to.repeat, usize::min);
        let stretch = to.repeat / unit;
        // The copy and the slot to fill: those nearest to where the first element lies.
        let nearest = |block: usize| {
            let (i, o) = to.at(block, 0).expect("a block begins with an element");
            let (array, i, o) = source(i, o);
            let (_, place) = from[array].place(i, o);
            (place / apart, place / unit % stretch)
        };
        let (filled, anchors): (Vec<usize>, Vec<usize>) = (0..to.blocks()).map(nearest).unzip();
        let routes = Routes::find(from, (to.blocks(), width), &|block, slot| {
            if slot / apart != filled[block] || slot / unit % stretch != anchors[block] {
                return None;
            }
            to.at(block, slot % apart).map(|(i, o)| source(i, o))
        })?;
        Ok(Self::Routed {
            routes,
            anchors,
            unit,
            stretch,
            copies: width / apart,
            apart,
        })
    }

    /// Levels that it takes: 0 or 1.
    pub(crate) fn levels(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Routed { routes, .. } => usize::from(!routes.free()),
        }
    }

    /// Whether no ciphertext changes.
    pub(crate) fn still(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// Ciphertexts that are masked or rotated, a measure of the work.
    pub(crate) fn work(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Routed {
                routes,
                anchors,
                stretch,
                copies,
                ..
            } => routes.terms() + anchors.len() * (stretch * copies).ilog2() as usize,
        }
    }

    /// Moves; `cts` holds the blocks of all sources, in order.
    pub(crate) fn run<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        match self {
            Self::Whole(inputs) => Ok(inputs.iter().map(|&i| cts[i].clone()).collect()),
            Self::Routed {
                routes,
                anchors,
                unit,
                stretch,
                copies,
                apart,
            } => {
                let filled = routes.run(ev, cts)?;
                if stretch * copies == 1 {
                    return Ok(filled);
                }
                super::blocks::<S>(filled.len(), |b| {
                    let mut spread = (*filled[b]).clone();
                    for (bit, step) in doublings(*stretch, *unit).enumerate() {
                        // With each bit, a copy to where that bit differs.
                        let step = if anchors[b] >> bit & 1 == 1 {
                            step
                        } else {
                            -step
                        };
                        spread = ev.add(&spread, &ev.rotate(&spread, step)?)?;
                    }
                    fold(ev, &spread, *copies, *apart as i64)
                })
            }
        }
    }
}

/// The input that each block of the result is, if all are whole ciphertexts as they are.
fn whole(from: &[Grid], to: &Grid, source: Origin<'_>) -> Option<Vec<usize>> {
    let mut first = Vec::with_capacity(from.len());
    let mut inputs = 0;
    for grid in from {
        first.push(inputs);
        inputs += grid.blocks();
    }
    (0..to.blocks())
        .map(|block| {
            let (i, o) = to.at(block, 0)?;
            let (array, i, o) = source(i, o);
            let grid = &from[array];
            let (input, _) = grid.place(i, o);
            (0..to.width().max(grid.width()))
                .all(|slot| {
                    let want = to.at(block, slot).map(|(i, o)| source(i, o));
                    want == grid.at(input, slot).map(|(i, o)| (array, i, o))
                })
                .then_some(first[array] + input)
        })
        .collect()
}
