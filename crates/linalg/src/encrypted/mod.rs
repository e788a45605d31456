//! Encrypted arrays: ciphertexts, a shape and a packing, bound to an evaluator.

#[cfg(feature = "ndarray")]
mod arrays;
pub(crate) mod batch;
mod combinations;
mod matrix;
mod ops;
mod plain;
mod products;
mod skewed;
mod vector;

pub use batch::{BatchPacking, EncryptedBatch};
pub use matrix::EncryptedMatrix;
pub use plain::{PlainMatrix, PreparedMatrix};
pub use skewed::MatmulMethod;
pub use vector::EncryptedVector;

use crate::kernel::Blocks;
use cipherblas_scheme::hedge::{Generator, hedged};
use cipherblas_scheme::{Decrypt, Encrypt, Error, Result, Scheme};
use rand::CryptoRng;
use rayon::prelude::*;
use std::sync::Arc;

/// How to encrypt an array: packing (`None`: the canonical one), depth (`None`: all that the parameters afford) and bound
/// on the absolute values (`None`: the parameters').
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncryptOptions<P> {
    packing: Option<P>,
    depth: Option<usize>,
    bound: Option<f64>,
}

impl<P> Default for EncryptOptions<P> {
    fn default() -> Self {
        Self {
            packing: None,
            depth: None,
            bound: None,
        }
    }
}

impl<P> EncryptOptions<P> {
    /// The canonical packing, full depth, the parameters' bound.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets the packing.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<P>) -> Self {
        self.packing = Some(packing.into());
        self
    }
    /// Encrypts for no more than this many multiplications: smaller and faster.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }
    /// Declares a bound on the absolute values. It is **public**, and travels with every ciphertext: choose it beforehand, or
    /// round it up to a power of two. The largest value itself would give one value away.
    #[must_use]
    pub fn bound(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }
    pub(crate) fn packing_or(&self, f: impl FnOnce() -> Result<P>) -> Result<P>
    where
        P: Copy,
    {
        self.packing.map_or_else(f, Ok)
    }
    pub(crate) fn bound_given(&self) -> Option<f64> {
        self.bound
    }
    pub(crate) fn depth_or(&self, max: usize) -> usize {
        self.depth.unwrap_or(max)
    }
}

/// Encrypts packed slots; `position` turns a block and slot back into the caller's index, for messages.
fn encrypt_blocks<K: Encrypt, R: CryptoRng + ?Sized, P>(
    key: &K,
    packed: &[Vec<<K::Scheme as Scheme>::Value>],
    options: &EncryptOptions<P>,
    rng: &mut R,
    position: impl Fn(usize, usize) -> Option<usize> + Sync,
) -> Result<Blocks<K::Scheme>> {
    let depth = options.depth_or(key.scheme().max_depth());
    let bound = options.bound;
    let encrypt = |block: usize, values: &[_], rng: &mut Generator| {
        key.encrypt_at(values, depth, bound, rng)
            .map(Arc::new)
            .map_err(|e| match e {
                Error::Value {
                    index,
                    got,
                    expected,
                    hint,
                } => Error::Value {
                    index: position(block, index).unwrap_or(index),
                    got,
                    expected,
                    hint,
                },
                e => e,
            })
    };
    // A generator for each block, so that blocks can be encrypted at the same time, and the result does not depend on how
    // many are.
    let mut generators: Vec<_> = (0..packed.len() as u64)
        .map(|block| hedged("cipherblas 2026 array block", rng, &[&block.to_le_bytes()]))
        .collect();
    if packed.len() == 1 || rayon::current_num_threads() == 1 {
        let blocks = packed.iter().zip(&mut generators).enumerate();
        return blocks
            .map(|(block, (values, rng))| encrypt(block, values, rng))
            .collect();
    }
    let blocks = packed.par_iter().zip(&mut generators).enumerate();
    blocks
        .map(|(block, (values, rng))| encrypt(block, values, rng))
        .collect()
}

fn decrypt_blocks<K: Decrypt>(
    key: &K,
    blocks: &[Arc<<K::Scheme as Scheme>::Ciphertext>],
) -> Result<Vec<Vec<<K::Scheme as Scheme>::Value>>> {
    crate::kernel::each(blocks.len(), |i| key.decrypt(&blocks[i]))
}

fn decrypt_blocks_shared<K: Decrypt, R: CryptoRng + ?Sized>(
    key: &K,
    blocks: &[Arc<<K::Scheme as Scheme>::Ciphertext>],
    bound: f64,
    rng: &mut R,
) -> Result<Vec<Vec<<K::Scheme as Scheme>::Value>>> {
    blocks
        .iter()
        .try_for_each(|ct| key.check_shared(ct, bound, blocks.len()))?;
    blocks
        .iter()
        .map(|ct| key.decrypt_shared(ct, bound, rng))
        .collect()
}

/// The smallest depth among the ciphertexts.
fn least_depth<S: Scheme>(ev: &S, blocks: &[Arc<S::Ciphertext>]) -> usize {
    blocks
        .iter()
        .map(|ct| ev.depth(ct))
        .min()
        .unwrap_or_default()
}
