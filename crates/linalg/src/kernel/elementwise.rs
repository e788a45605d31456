//! Slot-by-slot operations on the blocks of arrays that lie alike.

use super::{Blocks, blocks};
use cipherblas_scheme::{Add, AddPlain, Mul, MulPlain, Result, Scheme};
use std::sync::Arc;

/// A binary operation on ciphertexts.
pub(crate) fn zip<S: Scheme>(
    a: &[Arc<S::Ciphertext>],
    b: &[Arc<S::Ciphertext>],
    f: impl Fn(&S::Ciphertext, &S::Ciphertext) -> Result<S::Ciphertext> + Sync,
) -> Result<Blocks<S>> {
    blocks::<S>(a.len(), |i| f(&a[i], &b[i]))
}

/// A unary operation on ciphertexts; `f` is told the block's index.
pub(crate) fn map<S: Scheme>(
    a: &[Arc<S::Ciphertext>],
    f: impl Fn(usize, &S::Ciphertext) -> Result<S::Ciphertext> + Sync,
) -> Result<Blocks<S>> {
    blocks::<S>(a.len(), |i| f(i, &a[i]))
}

/// Adds what lies at the same place in `plain`.
pub(crate) fn add_plain<S: AddPlain>(
    ev: &S,
    a: &[Arc<S::Ciphertext>],
    plain: impl Fn(usize) -> Vec<S::Value> + Sync,
) -> Result<Blocks<S>> {
    map::<S>(a, |i, ct| ev.add_plain(ct, &plain(i)))
}

/// Multiplies with what lies at the same place in `plain`.
pub(crate) fn mul_plain<S: MulPlain>(
    ev: &S,
    a: &[Arc<S::Ciphertext>],
    plain: impl Fn(usize) -> Vec<S::Value> + Sync,
) -> Result<Blocks<S>> {
    map::<S>(a, |i, ct| ev.mul_plain(ct, &plain(i)))
}

/// `sum_i a[i] * b[i]`.
pub(crate) fn products<S: Mul>(
    ev: &S,
    a: &[&S::Ciphertext],
    b: &[&S::Ciphertext],
) -> Result<S::Ciphertext> {
    match (a, b) {
        ([a], [b]) => ev.mul(a, b),
        _ => ev.mul_sum(a, b),
    }
}

/// Sum of several ciphertexts.
pub(crate) fn total<S: Add>(ev: &S, terms: &[&S::Ciphertext]) -> Result<S::Ciphertext> {
    match terms {
        [one] => Ok((*one).clone()),
        _ => ev.sum(terms),
    }
}
