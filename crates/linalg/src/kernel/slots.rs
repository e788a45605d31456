//! Plain linear maps of slots: `out(s) = sum_k values_k(s) * in(s + k)`, by baby steps and giant steps.
//!
//! Every step `k` is divided into a giant step `g` (a multiple of the baby count) and a baby step `b = k - g`:
//! `out = sum_g rotate(sum_b rotate(in, b) * rotate(values_(g+b), -g), g)`. Baby steps rotate one ciphertext and share
//! its decomposition (hoisting); the plain values are rotated in clear; giant steps share the division by the special
//! modulus. Depth 1. (Halevi-Shoup, CRYPTO 2014 and 2018.)

use super::{Blocks, align, each, lower};
use crate::packing::Grid;
use cipherblas_scheme::{Add, MulPlain, Result, Rotate, Value};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cost of a hoisted rotation, in rotations that decompose for themselves.
const HOISTED: f64 = 0.5;

/// The power of two (times `stride`) that divides `steps` into the cheapest baby and giant steps, for so many inputs
/// (whose rotations are baby steps) and outputs (whose rotations are giant steps); in units of `stride`.
pub(crate) fn choose_baby(steps: &[i64], stride: usize, inputs: usize, outputs: usize) -> usize {
    let distinct = |f: &dyn Fn(i64) -> i64| {
        let set: BTreeSet<i64> = steps.iter().map(|&k| f(k)).filter(|&k| k != 0).collect();
        set.len() as f64
    };
    let widest = steps.iter().map(|k| k.unsigned_abs()).max().unwrap_or(0) as usize / stride + 1;
    let mut best = (f64::INFINITY, 1);
    let mut baby = 1;
    while baby <= widest.next_power_of_two() {
        let modulus = (baby * stride) as i64;
        let babies = distinct(&|k| k.rem_euclid(modulus));
        let giants = distinct(&|k| k - k.rem_euclid(modulus));
        let cost = HOISTED * babies * inputs as f64 + giants * outputs as f64;
        if cost < best.0 {
            best = (cost, baby);
        }
        baby *= 2;
    }
    best.1
}

/// Which steps lead from which input to which output, divided into baby and giant steps.
#[derive(Clone, Debug)]
pub(crate) struct SlotMap {
    /// Slots after which inputs, values and outputs repeat.
    width: usize,
    /// Baby steps of each input, ascending.
    babies: Vec<Vec<i64>>,
    outputs: Vec<Vec<Giant>>,
}

/// `values(output, input, step)`: the plain values of one term, aligned with the output.
type Values<'a, V> = &'a (dyn Fn(usize, usize, i64) -> Vec<V> + Sync);

/// What [`gather`] asks: array and place there of the element at a place of the result.
pub(crate) type Origin<'a> = &'a (dyn Fn(usize, usize) -> (usize, usize, usize) + Sync);

/// The terms of an output that share a giant step.
#[derive(Clone, Debug)]
pub(crate) struct Giant {
    step: i64,
    /// Input, position of the baby step among that input's, whole step.
    terms: Vec<(usize, usize, i64)>,
}

impl SlotMap {
    /// `outputs[o]` lists the `(input, step)` of output `o`; all steps are multiples of `stride`.
    pub(crate) fn new(
        inputs: usize,
        outputs: &[Vec<(usize, i64)>],
        width: usize,
        stride: usize,
    ) -> Self {
        let steps: BTreeSet<i64> = outputs.iter().flatten().map(|&(_, k)| k).collect();
        let steps: Vec<i64> = steps.into_iter().collect();
        let modulus = (choose_baby(&steps, stride, inputs, outputs.len()) * stride) as i64;
        let mut sets = vec![BTreeSet::new(); inputs];
        for &(i, k) in outputs.iter().flatten() {
            sets[i].insert(k.rem_euclid(modulus));
        }
        let babies: Vec<Vec<i64>> = sets.into_iter().map(|s| s.into_iter().collect()).collect();
        let outputs = outputs
            .iter()
            .map(|terms| {
                let mut giants = BTreeMap::<i64, Vec<_>>::new();
                for &(i, k) in terms {
                    let b = k.rem_euclid(modulus);
                    let at = babies[i].binary_search(&b).expect("collected above");
                    giants.entry(k - b).or_default().push((i, at, k));
                }
                giants
                    .into_iter()
                    .map(|(step, terms)| Giant { step, terms })
                    .collect()
            })
            .collect();
        Self {
            width,
            babies,
            outputs,
        }
    }

    /// Encodes the values of one giant step. `values(output, input, step)` are aligned with the output.
    fn encode<S: MulPlain>(
        &self,
        ev: &S,
        depth: usize,
        output: usize,
        giant: &Giant,
        values: Values<'_, S::Value>,
    ) -> Result<Vec<S::Plaintext>> {
        let shift = giant.step.rem_euclid(self.width as i64) as usize;
        giant
            .terms
            .iter()
            .map(|&(input, _, step)| {
                let mut v = values(output, input, step);
                let n = v.len();
                v.rotate_right(shift % n);
                ev.prepare(&v, depth)
            })
            .collect()
    }

    /// Applies the map, encoding the values on the way; `values(output, input, step)` has a length that is a power of two
    /// dividing the width.
    pub(crate) fn apply<S: MulPlain + Rotate>(
        &self,
        ev: &S,
        cts: &[Arc<S::Ciphertext>],
        values: Values<'_, S::Value>,
    ) -> Result<Blocks<S>> {
        let (cts, depth) = align(ev, cts)?;
        self.run(ev, &cts, |o, g| {
            self.encode(ev, depth, o, &self.outputs[o][g], values)
        })
    }

    /// Encodes all values for ciphertexts at `depth`.
    pub(crate) fn prepare<S: MulPlain>(
        &self,
        ev: &S,
        depth: usize,
        values: Values<'_, S::Value>,
    ) -> Result<PreparedMap<S>> {
        let plains = self
            .outputs
            .iter()
            .enumerate()
            .map(|(o, giants)| {
                each(giants.len(), |g| {
                    self.encode(ev, depth, o, &giants[g], values)
                })
            })
            .collect::<Result<_>>()?;
        Ok(PreparedMap {
            map: self.clone(),
            depth,
            plains,
        })
    }

    fn run<S: MulPlain + Rotate, P: Borrow<S::Plaintext>>(
        &self,
        ev: &S,
        cts: &[Arc<S::Ciphertext>],
        plains: impl Fn(usize, usize) -> Result<Vec<P>> + Sync,
    ) -> Result<Blocks<S>> {
        let babies: Vec<Blocks<S>> = each(cts.len(), |i| rotations(ev, &cts[i], &self.babies[i]))?;
        let babies = &babies;
        each(self.outputs.len(), |o| {
            let giants = &self.outputs[o];
            let sums = each(giants.len(), |g| {
                let plains = plains(o, g)?;
                let rotated: Vec<&S::Ciphertext> = giants[g]
                    .terms
                    .iter()
                    .map(|&(i, at, _)| &*babies[i][at])
                    .collect();
                let plains: Vec<&S::Plaintext> = plains.iter().map(Borrow::borrow).collect();
                ev.mul_prepared(&rotated, &plains)
            })?;
            let steps: Vec<i64> = giants.iter().map(|g| g.step).collect();
            gather_rotations(ev, sums, &steps).map(Arc::new)
        })
    }
}

/// `sum_i rotate(cts[i], steps[i])`.
pub(crate) fn gather_rotations<S: Rotate>(
    ev: &S,
    mut cts: Vec<S::Ciphertext>,
    steps: &[i64],
) -> Result<S::Ciphertext> {
    if let [0] = steps {
        return Ok(cts.swap_remove(0));
    }
    ev.rotate_sum(&cts.iter().collect::<Vec<_>>(), steps)
}

/// Hoisted rotations of one ciphertext; a step 0 is the ciphertext itself.
pub(crate) fn rotations<S: Rotate>(
    ev: &S,
    ct: &Arc<S::Ciphertext>,
    steps: &[i64],
) -> Result<Blocks<S>> {
    let moving: Vec<i64> = steps.iter().copied().filter(|&s| s != 0).collect();
    let mut rotated = if moving.is_empty() {
        Vec::new()
    } else {
        ev.rotate_many(ct, &moving)?
    }
    .into_iter();
    Ok(steps
        .iter()
        .filter_map(|&s| {
            if s == 0 {
                Some(ct.clone())
            } else {
                rotated.next().map(Arc::new)
            }
        })
        .collect())
}

/// A [`SlotMap`] with its values encoded for one depth.
pub(crate) struct PreparedMap<S: MulPlain> {
    map: SlotMap,
    depth: usize,
    plains: Vec<Vec<Vec<S::Plaintext>>>,
}

impl<S: MulPlain + Rotate> PreparedMap<S> {
    /// Applies the map; ciphertexts above the depth of the encoding are lowered to it.
    pub(crate) fn apply(&self, ev: &S, cts: &[Arc<S::Ciphertext>]) -> Result<Blocks<S>> {
        let cts = lower(ev, cts, self.depth)?;
        self.map
            .run(ev, &cts, |o, g| Ok(self.plains[o][g].iter().collect()))
    }
}

/// An array to [`gather`] from.
pub(crate) struct Source<'a, S: cipherblas_scheme::Scheme> {
    pub(crate) grid: Grid,
    pub(crate) blocks: &'a [Arc<S::Ciphertext>],
}

/// A layout to [`gather_into`]: array and place there of the element that a slot of a block is to hold.
pub(crate) type Wanted<'a> = &'a (dyn Fn(usize, usize) -> Option<(usize, usize, usize)> + Sync);

/// Moves elements from some layouts to another: the element at `(inner, outer)` of the result is the one at
/// `source(inner, outer) = (array, inner, outer)`.
///
/// Depth 1; none for blocks of the result that are sums of whole rotated blocks (in particular one block as it is).
pub(crate) fn gather<S: Add + MulPlain + Rotate>(
    ev: &S,
    from: &[Source<'_, S>],
    to: &Grid,
    source: Origin<'_>,
) -> Result<Blocks<S>> {
    gather_into(ev, from, (to.blocks(), to.width()), &|block, slot| {
        to.at(block, slot).map(|(i, o)| source(i, o))
    })
}

/// As [`gather`], into `blocks` blocks of any layout that repeats after `to_width` slots.
pub(crate) fn gather_into<S: Add + MulPlain + Rotate>(
    ev: &S,
    from: &[Source<'_, S>],
    (to_blocks, to_width): (usize, usize),
    want: Wanted<'_>,
) -> Result<Blocks<S>> {
    let grids: Vec<Grid> = from.iter().map(|src| src.grid).collect();
    let cts: Blocks<S> = from
        .iter()
        .flat_map(|src| src.blocks.iter().cloned())
        .collect();
    Routes::find(&grids, (to_blocks, to_width), want)?.run(ev, &cts)
}

/// How elements get from some layouts to another, known before any ciphertext is: see [`gather`].
pub(crate) struct Routes {
    inputs: usize,
    width: usize,
    routes: Vec<Route>,
}

impl Routes {
    /// The routes from arrays in the layouts `from` to `blocks` blocks of a layout that repeats after `to_width` slots.
    pub(crate) fn find(
        from: &[Grid],
        (to_blocks, to_width): (usize, usize),
        want: Wanted<'_>,
    ) -> Result<Self> {
        // Input number of an array's first block, and the array and block of an input.
        let mut first = Vec::new();
        let mut inputs = Vec::new();
        for (array, grid) in from.iter().enumerate() {
            first.push(inputs.len());
            inputs.extend((0..grid.blocks()).map(|block| (array, block)));
        }
        let width = from.iter().map(Grid::width).fold(to_width, usize::max);
        let held = |input: usize, slot: i64| {
            let (array, block) = inputs[input];
            let slot = slot.rem_euclid(from[array].width() as i64) as usize;
            from[array].at(block, slot).map(|(i, o)| (array, i, o))
        };
        let routes = each(to_blocks, |block| {
            let mut slots = BTreeMap::<(usize, i64), Vec<usize>>::new();
            for slot in 0..width {
                let Some((array, i, o)) = want(block, slot) else {
                    continue;
                };
                let grid = &from[array];
                let (block, place) = grid.place(i, o);
                let (place, period) = (place + slot % grid.repeat, grid.width());
                let step = ((place + width - slot) % period) as i64;
                let step = if 2 * step > period as i64 {
                    step - period as i64
                } else {
                    step
                };
                let term = (first[array] + block, step);
                slots.entry(term).or_default().push(slot);
            }
            let terms: Vec<(usize, i64)> = slots.keys().copied().collect();
            let whole = (0..width).all(|slot| {
                let mut found = terms
                    .iter()
                    .filter_map(|&(input, step)| held(input, slot as i64 + step));
                found.next() == want(block, slot) && found.next().is_none()
            });
            Ok(Route {
                terms,
                slots,
                whole,
            })
        })?;
        Ok(Self {
            inputs: inputs.len(),
            width,
            routes,
        })
    }

    /// Whether no mask is needed, hence no level.
    pub(crate) fn free(&self) -> bool {
        self.routes.iter().all(|route| route.whole)
    }

    /// Rotated inputs, over all outputs.
    pub(crate) fn terms(&self) -> usize {
        self.routes.iter().map(|route| route.terms.len()).sum()
    }

    /// Moves the elements; `cts` holds the blocks of all arrays.
    pub(crate) fn run<S: Add + MulPlain + Rotate>(
        &self,
        ev: &S,
        cts: &[Arc<S::Ciphertext>],
    ) -> Result<Blocks<S>> {
        let masked: Vec<&Route> = self.routes.iter().filter(|r| !r.whole).collect();
        let mut moved = if masked.is_empty() {
            Vec::new()
        } else {
            let terms: Vec<_> = masked.iter().map(|r| r.terms.clone()).collect();
            let map = SlotMap::new(self.inputs, &terms, self.width, 1);
            map.apply(ev, cts, &|o, input, step| {
                let mut mask = vec![S::Value::ZERO; self.width];
                for &slot in &masked[o].slots[&(input, step)] {
                    mask[slot] = S::Value::ONE;
                }
                mask
            })?
        }
        .into_iter();
        self.routes
            .iter()
            .map(|route| match (route.whole, route.terms.as_slice()) {
                (true, &[(input, 0)]) => Ok(cts[input].clone()),
                (true, terms) => {
                    let parts: Vec<&S::Ciphertext> = terms.iter().map(|&(i, _)| &*cts[i]).collect();
                    let steps: Vec<i64> = terms.iter().map(|&(_, k)| k).collect();
                    if steps.iter().all(|&k| k == 0) {
                        return ev.sum(&parts).map(Arc::new);
                    }
                    ev.rotate_sum(&parts, &steps).map(Arc::new)
                }
                (false, _) => Ok(moved.next().expect("one output for each masked block")),
            })
            .collect()
    }
}

/// Where the elements of one block of a [`gather`] come from.
struct Route {
    terms: Vec<(usize, i64)>,
    /// The slots of the result that each term fills.
    slots: BTreeMap<(usize, i64), Vec<usize>>,
    /// The rotated blocks add up to the result without masks.
    whole: bool,
}
