//! Tables that are read in full, whatever entry is wanted.

use super::kernel::Kernel;
use super::limbs::{Secret, is_zero_word, mask, secret};
use zeroize::Zeroize;

/// The most entries of a table.
const MAX_ENTRIES: usize = 64;
/// Limbs that are gathered in registers at a time.
const STRIPE: usize = 8;

/// Entries of one width, a multiple of 8 limbs. Overwritten when dropped.
pub(crate) struct Table {
    entries: Secret,
    width: usize,
}

impl Table {
    pub(crate) fn new(count: usize, width: usize) -> Self {
        assert!(count <= MAX_ENTRIES && width.is_multiple_of(STRIPE));
        Self {
            entries: secret(count * width),
            width,
        }
    }
    pub(crate) fn set(&mut self, index: usize, entry: &[u64]) {
        self.entries[index * self.width..(index + 1) * self.width].copy_from_slice(entry);
    }
    /// Copies entry `index` to `out`. Every entry is read: no address depends on the index.
    pub(crate) fn read(&self, index: u64, out: &mut [u64]) {
        let mut masks = [0; MAX_ENTRIES];
        let count = self.entries.len() / self.width;
        for (i, m) in masks[..count].iter_mut().enumerate() {
            *m = mask(is_zero_word(i as u64 ^ index));
        }
        Kernel::detect().gather(&self.entries, self.width, &masks[..count], out);
        masks.zeroize();
    }
}

/// `out` becomes the sum of all entries under their masks.
#[inline(always)]
pub(super) fn gather(entries: &[u64], width: usize, masks: &[u64], out: &mut [u64]) {
    for (stripe, out) in out.chunks_exact_mut(STRIPE).enumerate() {
        let mut sum = [0; STRIPE];
        for (entry, &mask) in entries.chunks_exact(width).zip(masks) {
            let part = &entry[stripe * STRIPE..(stripe + 1) * STRIPE];
            for (s, &e) in sum.iter_mut().zip(part) {
                *s |= e & mask;
            }
        }
        out.copy_from_slice(&sum);
    }
}
