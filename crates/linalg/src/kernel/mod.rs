//! The algorithms: what the methods of the encrypted types call.
//!
//! | module | does |
//! |---|---|
//! | [`slots`] | plain linear maps of slots by baby steps and giant steps; re-packing |
//! | [`combine`] | plain matrix x vector of whole ciphertexts |
//! | [`dot`] | inner products |
//! | [`reduce`] | sums over an axis, complete or masked |
//! | [`matvec`] | encrypted matrix x encrypted vector |
//! | [`matmul_plain`] | products with a plain matrix on either side |
//! | [`matmul_cipher`] | encrypted matrix x encrypted matrix, Gram matrix |
//! | [`matmul_small`] | the same, for factors in skewed packing |
//! | [`moves`] | rearrangements planned before they run, their result repeated by doubling |
//! | [`transpose`] | transposition, slicing, stacking |

pub(crate) mod combine;
pub(crate) mod dot;
pub(crate) mod elementwise;
pub(crate) mod matmul_cipher;
pub(crate) mod matmul_plain;
pub(crate) mod matmul_small;
pub(crate) mod matvec;
pub(crate) mod moves;
pub(crate) mod reduce;
pub(crate) mod slots;
pub(crate) mod transpose;

use cipherblas_scheme::{Result, Scheme};
use rayon::prelude::*;
use std::sync::Arc;

/// Ciphertexts of one array; shared, so that slicing and transposing copy nothing.
pub(crate) type Blocks<S> = Vec<Arc<<S as Scheme>::Ciphertext>>;

/// Runs `f` for `0..n`, in parallel where there are threads; results in order.
pub(crate) fn each<T: Send>(n: usize, f: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    each_of(n, &f)
}

/// One instance for each type of result, not for each closure: keeps compile times down.
fn each_of<T: Send>(n: usize, f: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    if n == 1 || rayon::current_num_threads() == 1 {
        return (0..n).map(f).collect();
    }
    (0..n).into_par_iter().map(f).collect()
}

/// As [`each`], for ciphertexts.
pub(crate) fn blocks<S: Scheme>(
    n: usize,
    f: impl Fn(usize) -> Result<S::Ciphertext> + Sync,
) -> Result<Blocks<S>> {
    each(n, |i| f(i).map(Arc::new))
}

/// Brings all ciphertexts to the smallest depth among them.
pub(crate) fn align<S: Scheme>(ev: &S, cts: &[Arc<S::Ciphertext>]) -> Result<(Blocks<S>, usize)> {
    let depth = cts
        .iter()
        .map(|ct| ev.depth(ct))
        .min()
        .unwrap_or(ev.max_depth());
    Ok((lower(ev, cts, depth)?, depth))
}

/// Brings all ciphertexts to `depth`.
pub(crate) fn lower<S: Scheme>(
    ev: &S,
    cts: &[Arc<S::Ciphertext>],
    depth: usize,
) -> Result<Blocks<S>> {
    each(cts.len(), |i| {
        if ev.depth(&cts[i]) == depth {
            Ok(cts[i].clone())
        } else {
            ev.lower_to(&cts[i], depth).map(Arc::new)
        }
    })
}
