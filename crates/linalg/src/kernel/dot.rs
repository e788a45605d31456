//! Inner products: products block by block, one relinearization for all of them, one complete sum.

use super::elementwise::products;
use super::reduce::fold;
use crate::packing::VectorPacking;
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate};
use std::sync::Arc;

/// Encrypted . encrypted: one level, `log2(period)` rotations, the relinearization key.
pub(crate) fn dot<S: Add + Mul + Rotate>(
    ev: &S,
    packing: &VectorPacking,
    a: &[Arc<S::Ciphertext>],
    b: &[Arc<S::Ciphertext>],
) -> Result<S::Ciphertext> {
    let a: Vec<_> = a.iter().map(|ct| &**ct).collect();
    let b: Vec<_> = b.iter().map(|ct| &**ct).collect();
    let product = products(ev, &a, &b)?;
    fold(ev, &product, packing.period(), packing.repeat() as i64)
}

/// Encrypted . plain: one level, `log2(period)` rotations.
pub(crate) fn dot_plain<S: Add + MulPlain + Rotate>(
    ev: &S,
    packing: &VectorPacking,
    a: &[Arc<S::Ciphertext>],
    plain: &[Vec<S::Value>],
) -> Result<S::Ciphertext> {
    let (a, depth) = super::align(ev, a)?;
    let plains = super::each(plain.len(), |i| ev.prepare(&plain[i], depth))?;
    let product = ev.mul_prepared(
        &a.iter().map(|ct| &**ct).collect::<Vec<_>>(),
        &plains.iter().collect::<Vec<_>>(),
    )?;
    fold(ev, &product, packing.period(), packing.repeat() as i64)
}
