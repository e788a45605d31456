//! Buffers of residues aligned to a cache line.

use crate::memory::large_pages;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use zeroize::Zeroize;

const ALIGN: usize = 64;
/// What allocators give anyway: more would have them write zeros over pages that come as zeros from the system.
const BASE_ALIGN: usize = 16;

/// Where empty buffers start.
#[repr(align(64))]
struct Line;

/// A fixed-length buffer of `f64`, aligned to 64 bytes. It dereferences to a slice.
///
/// `Debug` prints the length only, since the contents may be secret.
pub struct AlignedVec {
    /// Of `len` initialized values, somewhere in the allocation.
    start: NonNull<f64>,
    len: usize,
    /// None for an empty buffer.
    allocation: Option<(NonNull<u8>, Layout)>,
}

// SAFETY: it owns its values, as a `Vec` does.
unsafe impl Send for AlignedVec {}
// SAFETY: as above.
unsafe impl Sync for AlignedVec {}

impl AlignedVec {
    /// `len` zeros. Large buffers cost nothing until they are used: their pages come as zeros from the system.
    pub fn zeroed(len: usize) -> Self {
        // SAFETY: all bytes are zero, and so are the values.
        unsafe { Self::allocate(len, alloc_zeroed) }
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[f64]) -> Self {
        // SAFETY: all values are written at once.
        unsafe {
            let out = Self::allocate(values.len(), alloc);
            out.start
                .copy_from_nonoverlapping(NonNull::from(values).cast(), values.len());
            out
        }
    }

    /// # Safety
    /// `get` is [`alloc`] or [`alloc_zeroed`], and values are read only once they are initialized.
    unsafe fn allocate(len: usize, get: unsafe fn(Layout) -> *mut u8) -> Self {
        if len == 0 {
            return Self {
                start: NonNull::<Line>::dangling().cast(),
                len,
                allocation: None,
            };
        }
        let layout = Layout::array::<f64>(len)
            .and_then(|values| {
                Layout::from_size_align(values.size().saturating_add(ALIGN), BASE_ALIGN)
            })
            .expect("a buffer that fits the address space");
        // SAFETY: the layout has a size above zero.
        let base = unsafe { get(layout) };
        let Some(base) = NonNull::new(base) else {
            handle_alloc_error(layout)
        };
        // SAFETY: at most ALIGN - 1 bytes on, which leaves room for the values.
        let start = unsafe { base.add(base.align_offset(ALIGN)) }.cast::<f64>();
        large_pages(start.as_ptr(), len);
        Self {
            start,
            len,
            allocation: Some((base, layout)),
        }
    }
}

impl Clone for AlignedVec {
    fn clone(&self) -> Self {
        Self::from_slice(self)
    }
}

impl Drop for AlignedVec {
    fn drop(&mut self) {
        if let Some((base, layout)) = self.allocation {
            // SAFETY: allocated with this layout, and freed once.
            unsafe { dealloc(base.as_ptr(), layout) };
        }
    }
}

impl Deref for AlignedVec {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        // SAFETY: `len` initialized values that `self` owns; without any, the pointer is aligned.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedVec {
    fn deref_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Zeroize for AlignedVec {
    /// Overwrites the values; the length stays.
    fn zeroize(&mut self) {
        (**self).zeroize();
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
