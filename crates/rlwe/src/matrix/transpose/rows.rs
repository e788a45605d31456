//! Matrices of residues: what goes into a change of format and comes out of it.

use crate::ring::Ring;
use cipherblas_math::AlignedVec;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A large buffer of a ring's pool, which it returns to. Nothing secret belongs in it.
pub(super) struct Buffer {
    ring: Arc<Ring>,
    data: AlignedVec,
}

impl Buffer {
    /// Unspecified contents.
    pub(super) fn new(ring: &Arc<Ring>, len: usize) -> Self {
        Self {
            ring: ring.clone(),
            data: ring.pool.take(len),
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut out = Self::new(&self.ring, self.len());
        out.copy_from_slice(self);
        out
    }
}

impl Deref for Buffer {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.data
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::replace(&mut self.data, AlignedVec::zeroed(0));
        self.ring.pool.give(data);
    }
}

/// `rows x cols` residues modulo each of the first `limbs` primes of Q: limb by limb, row by row, lazy (`|x| <= p`).
#[derive(Clone)]
pub struct Rows {
    ring: Arc<Ring>,
    limbs: usize,
    rows: usize,
    cols: usize,
    data: Buffer,
}

impl Rows {
    /// Zeros.
    pub fn zero(ring: &Arc<Ring>, limbs: usize, rows: usize, cols: usize) -> Self {
        let mut out = Self::unspecified(ring, limbs, rows, cols);
        out.data.fill(0.0);
        out
    }
    /// Unspecified contents.
    pub(crate) fn unspecified(ring: &Arc<Ring>, limbs: usize, rows: usize, cols: usize) -> Self {
        Self {
            ring: ring.clone(),
            limbs,
            rows,
            cols,
            data: Buffer::new(ring, limbs * rows * cols),
        }
    }
    /// The buffer.
    pub(super) fn into_data(self) -> Buffer {
        self.data
    }
    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }
    /// Number of primes.
    pub fn limbs(&self) -> usize {
        self.limbs
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Length of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// All residues modulo prime `k`, row by row.
    ///
    /// # Panics
    /// If there is no such limb.
    pub fn limb(&self, k: usize) -> &[f64] {
        let len = self.rows * self.cols;
        &self.data[k * len..(k + 1) * len]
    }
    /// As [`limb`](Self::limb), to be written: every residue must satisfy `|x| <= p`.
    ///
    /// # Panics
    /// If there is no such limb.
    pub fn limb_mut(&mut self, k: usize) -> &mut [f64] {
        let len = self.rows * self.cols;
        &mut self.data[k * len..(k + 1) * len]
    }
    /// Row `r` modulo prime `k`.
    ///
    /// # Panics
    /// If there is no such limb or row.
    pub fn row(&self, k: usize, r: usize) -> &[f64] {
        &self.limb(k)[r * self.cols..(r + 1) * self.cols]
    }
    /// As [`row`](Self::row), to be written.
    ///
    /// # Panics
    /// As [`row`](Self::row).
    pub fn row_mut(&mut self, k: usize, r: usize) -> &mut [f64] {
        let cols = self.cols;
        &mut self.limb_mut(k)[r * cols..(r + 1) * cols]
    }
    /// All limbs at once.
    #[allow(dead_code, reason = "for the products that are finished here")]
    pub(crate) fn limbs_ref(&self) -> Vec<&[f64]> {
        (0..self.limbs).map(|k| self.limb(k)).collect()
    }
    /// All limbs at once, to be written.
    #[allow(dead_code, reason = "for the products that are finished here")]
    pub(crate) fn limbs_mut(&mut self) -> Vec<&mut [f64]> {
        let len = self.rows * self.cols;
        let mut rest = &mut self.data[..];
        let mut out = Vec::with_capacity(self.limbs);
        for _ in 0..self.limbs {
            let (limb, tail) = rest.split_at_mut(len);
            out.push(limb);
            rest = tail;
        }
        out
    }
    /// For every row, its slices modulo each prime.
    pub(super) fn each_row_mut(&mut self) -> Vec<Vec<&mut [f64]>> {
        let mut out: Vec<Vec<&mut [f64]>> = (0..self.rows)
            .map(|_| Vec::with_capacity(self.limbs))
            .collect();
        if self.cols > 0 && self.rows > 0 {
            for limb in self.data.chunks_mut(self.rows * self.cols) {
                for (row, out) in limb.chunks_mut(self.cols).zip(&mut out) {
                    out.push(row);
                }
            }
        }
        out
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("limbs", &self.limbs)
            .field("rows", &self.rows)
            .field("cols", &self.cols)
            .finish_non_exhaustive()
    }
}
