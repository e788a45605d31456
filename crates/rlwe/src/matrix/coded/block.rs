use super::Coding;
use crate::matrix::{Block, Shape};
use cipherblas_scheme::matrix::BlockShape;
use cipherblas_scheme::wire::{KeyId, ParameterId};
use cipherblas_scheme::{Error, Lines, Result};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// An encrypted block of lines of values: what it encrypts and under which key, and public bounds on values and errors. Holds
/// no key. Cheap to clone: the residues are shared.
#[derive(Clone)]
pub struct CodedBlock<C: Coding> {
    pub(super) inner: Block,
    pub(super) bounds: C::Bounds,
    /// Whether it is as it was encrypted: then its errors are independent of those of every other such block.
    pub(super) fresh: bool,
    pub(super) params: ParameterId,
}

impl From<BlockShape> for Shape {
    fn from(shape: BlockShape) -> Self {
        Self {
            lines: shape.lines,
            len: shape.len,
            padded: shape.padded,
            layout: shape.layout,
        }
    }
}

impl From<Shape> for BlockShape {
    fn from(shape: Shape) -> Self {
        Self {
            lines: shape.lines,
            len: shape.len,
            padded: shape.padded,
            layout: shape.layout,
        }
    }
}

impl<C: Coding> CodedBlock<C> {
    /// Products it can still take.
    pub fn depth(&self) -> usize {
        self.inner.level()
    }
    /// Lines, their length, their grid, their layout.
    pub fn shape(&self) -> BlockShape {
        self.inner.shape().into()
    }
    /// Id of the key it is encrypted under.
    pub fn key_id(&self) -> KeyId {
        self.inner.key_id()
    }
    /// Id of its parameters.
    pub fn parameter_id(&self) -> ParameterId {
        self.params
    }
    /// Whether its second half is still a seed on the wire.
    pub fn is_seeded(&self) -> bool {
        self.inner.is_seeded()
    }
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }
    /// The block of integers: public, for analysis.
    pub fn integers(&self) -> &Block {
        &self.inner
    }
    /// The bounds that are tracked, in the scheme's own terms.
    pub fn bounds(&self) -> &C::Bounds {
        &self.bounds
    }

    /// That the block belongs to these parameters and this key.
    pub(super) fn check(
        &self,
        operation: &'static str,
        params: ParameterId,
        key: KeyId,
    ) -> Result<()> {
        let mismatch = |got: String, expected: String| {
            Err(Error::KeyMismatch {
                operation,
                got,
                expected,
            })
        };
        if self.params != params {
            return mismatch(
                format!("a block of parameters {}", self.params),
                format!("parameters {params}"),
            );
        }
        if self.key_id() != key {
            return mismatch(
                format!("a block under key {}", self.key_id()),
                format!("key {key}"),
            );
        }
        Ok(())
    }
}

/// Whether the errors of all blocks are independent: fresh blocks, no two of them the same.
pub(super) fn distinct<'a, C: Coding>(blocks: impl IntoIterator<Item = &'a CodedBlock<C>>) -> bool {
    // Of two encryptions, 64 uniform residues are the same only if they are one.
    const LOOK: usize = 64;
    let mut seen = HashSet::new();
    blocks
        .into_iter()
        .all(|block| block.fresh && seen.insert(&block.inner.a[..LOOK.min(block.inner.a.len())]))
}

/// On the widest grid both layouts are one but for coefficients beyond the length of the lines, which nobody reads.
pub(super) fn packed(block: &Block) -> Block {
    let n = block.ring().degree();
    let shape = block.shape();
    if shape.layout == Lines::Packed || shape.padded != n {
        return block.clone();
    }
    let mut b = vec![0i16; block.a.len()];
    for (full, held) in b.chunks_mut(n).zip(block.b.chunks(shape.len)) {
        full[..shape.len].copy_from_slice(held);
    }
    Block {
        shape: Shape {
            layout: Lines::Packed,
            ..shape
        },
        b: Arc::new(b),
        seed: None,
        ..block.clone()
    }
}

impl<C: Coding> fmt::Debug for CodedBlock<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Block({}, {}, depth {}, key {})",
            C::NAME,
            self.shape(),
            self.depth(),
            self.key_id()
        )
    }
}
