//! Buffers that are used again: a fresh allocation of a polynomial costs more in page faults than a transform of it.

use cipherblas_math::AlignedVec;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;
use zeroize::Zeroize;

/// Bytes kept for reuse; beyond it a returned buffer is freed.
const RETAINED_BYTES: usize = 256 << 20;

#[derive(Default)]
struct Free {
    by_length: HashMap<usize, Vec<AlignedVec>>,
    bytes: usize,
}

#[derive(Default)]
pub(crate) struct Pool {
    free: Mutex<Free>,
}

impl Pool {
    /// A buffer with unspecified contents (never a secret's: those are zeroized before they come back).
    pub(crate) fn take(&self, len: usize) -> AlignedVec {
        if let Ok(mut free) = self.free.lock()
            && let Some(buffer) = free.by_length.get_mut(&len).and_then(Vec::pop)
        {
            free.bytes -= len * size_of::<f64>();
            return buffer;
        }
        AlignedVec::zeroed(len)
    }

    pub(crate) fn give(&self, buffer: AlignedVec) {
        let bytes = buffer.len() * size_of::<f64>();
        if bytes == 0 {
            return;
        }
        if let Ok(mut free) = self.free.lock()
            && free.bytes + bytes <= RETAINED_BYTES
        {
            free.bytes += bytes;
            free.by_length.entry(buffer.len()).or_default().push(buffer);
        }
    }

    /// A buffer that returns by itself.
    pub(crate) fn scratch(&self, len: usize) -> Scratch<'_> {
        self.scratch_for(len, false)
    }

    /// As [`Pool::scratch`], zeroized before it returns if `secret`.
    pub(crate) fn scratch_for(&self, len: usize, secret: bool) -> Scratch<'_> {
        Scratch {
            pool: self,
            data: self.take(len),
            secret,
        }
    }
}

/// A buffer of a ring's pool, which it returns to; see [`Ring::scratch`](crate::Ring::scratch).
pub struct Scratch<'a> {
    pool: &'a Pool,
    data: AlignedVec,
    secret: bool,
}

impl Deref for Scratch<'_> {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.data
    }
}

impl DerefMut for Scratch<'_> {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if self.secret {
            self.data.zeroize();
        }
        self.pool
            .give(std::mem::replace(&mut self.data, AlignedVec::zeroed(0)));
    }
}
