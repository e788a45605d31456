//! When to use `rayon`: only with more than one thread and enough work for two.

use rayon::prelude::*;

/// Below this many residues a task costs less than handing it to another thread.
const GRAIN: usize = 1 << 13;

fn worth_it(residues: usize) -> bool {
    residues >= 2 * GRAIN && rayon::current_num_threads() > 1
}

/// Calls `f(k, limb)` for each of the limbs of length `n` in `data`.
pub fn each_limb(data: &mut [f64], n: usize, f: impl Fn(usize, &mut [f64]) + Sync + Send) {
    if worth_it(data.len()) {
        data.par_chunks_mut(n)
            .enumerate()
            .for_each(|(k, limb)| f(k, limb));
    } else {
        data.chunks_mut(n)
            .enumerate()
            .for_each(|(k, limb)| f(k, limb));
    }
}

/// Calls `f(k, limb_of_x, limb_of_y)` for each pair of limbs.
pub fn each_limb_pair(
    x: &mut [f64],
    y: &mut [f64],
    n: usize,
    f: impl Fn(usize, &mut [f64], &mut [f64]) + Sync + Send,
) {
    if worth_it(x.len()) {
        x.par_chunks_mut(n)
            .zip(y.par_chunks_mut(n))
            .enumerate()
            .for_each(|(k, (a, b))| f(k, a, b));
    } else {
        x.chunks_mut(n)
            .zip(y.chunks_mut(n))
            .enumerate()
            .for_each(|(k, (a, b))| f(k, a, b));
    }
}

/// Calls `f(k, item)` for each item, each of which stands for `residues` residues of work.
pub fn each_item<T: Send>(items: Vec<T>, residues: usize, f: impl Fn(usize, T) + Sync + Send) {
    if worth_it(items.len() * residues) {
        items
            .into_par_iter()
            .enumerate()
            .for_each(|(k, item)| f(k, item));
    } else {
        items
            .into_iter()
            .enumerate()
            .for_each(|(k, item)| f(k, item));
    }
}
