//! Tables that are read in full, whatever entry is wanted.

use super::limbs::{Secret, is_zero_word, mask, secret};

/// Entries of one width, overwritten when dropped.
pub(crate) struct Table {
    entries: Secret,
    width: usize,
}

impl Table {
    pub(crate) fn new(count: usize, width: usize) -> Self {
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
        read_masked(&self.entries, self.width, index, out);
    }
}

#[inline(always)]
fn read_body(entries: &[u64], width: usize, index: u64, out: &mut [u64]) {
    out.fill(0);
    for (i, entry) in entries.chunks_exact(width).enumerate() {
        let wanted = mask(is_zero_word(i as u64 ^ index));
        for (o, &e) in out.iter_mut().zip(entry) {
            *o |= e & wanted;
        }
    }
}

fn read_masked(entries: &[u64], width: usize, index: u64, out: &mut [u64]) {
    read_body(entries, width, index, out);
}
