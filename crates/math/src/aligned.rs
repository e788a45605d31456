//! Buffers of residues aligned to a cache line.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use zeroize::Zeroize;

const LANES: usize = 8;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f64; LANES]);

/// A fixed-length buffer of `f64`, aligned to 64 bytes. It dereferences to a slice.
///
/// `Debug` prints the length only, since the contents may be secret.
#[derive(Clone)]
pub struct AlignedVec {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedVec {
    /// `len` zeros. Large buffers cost nothing until they are used: their pages come as zeros from the system.
    pub fn zeroed(len: usize) -> Self {
        let count = len.div_ceil(LANES);
        let layout = Layout::array::<Line>(count).expect("a buffer that fits the address space");
        if layout.size() == 0 {
            return Self {
                lines: Vec::new(),
                len,
            };
        }
        // SAFETY: the layout has a size above zero.
        let start = unsafe { alloc_zeroed(layout) }.cast::<Line>();
        if start.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: `start` comes from the global allocator with the layout of `count` lines, and zero bytes are lines of
        // zeros.
        let lines = unsafe { Vec::from_raw_parts(start, count, count) };
        Self { lines, len }
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[f64]) -> Self {
        let mut out = Self::zeroed(values.len());
        out.copy_from_slice(values);
        out
    }
}

impl Deref for AlignedVec {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        // SAFETY: `Line` is `repr(C)` around `[f64; LANES]` with size 64 and no padding, so the vector's storage is
        // `lines.len() * LANES >= len` initialized consecutive `f64`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for AlignedVec {
    fn deref_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Zeroize for AlignedVec {
    /// Overwrites the values; the length stays.
    fn zeroize(&mut self) {
        for line in &mut self.lines {
            line.0.zeroize();
        }
    }
}

impl fmt::Debug for AlignedVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedVec")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_alignment_and_contents() {
        for len in [0usize, 1, 7, 8, 9, 1000] {
            let mut v = AlignedVec::zeroed(len);
            assert_eq!(v.len(), len);
            assert_eq!(v.as_ptr() as usize % 64, 0);
            assert!(v.iter().all(|&x| x == 0.0));
            for (i, x) in v.iter_mut().enumerate() {
                *x = i as f64 + 1.0;
            }
            let copy = v.clone();
            v.zeroize();
            assert!(v.iter().all(|&x| x == 0.0));
            assert!(copy.iter().enumerate().all(|(i, &x)| x == i as f64 + 1.0));
            assert_eq!(&*AlignedVec::from_slice(&copy), &*copy);
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let v = AlignedVec::from_slice(&[12345.0; 3]);
        assert_eq!(format!("{v:?}"), "AlignedVec { len: 3, .. }");
    }
}
