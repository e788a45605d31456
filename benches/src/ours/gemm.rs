//! Products modulo one narrow prime, which encrypted matrix products are made of.

use super::{NAME, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use cipherblas_math::narrow::{self, PRIMES, Prime, Strided, StridedMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Entries of a product that are compared with sums of 128 bits.
const CHECKED: usize = 64;

/// Square factors of centred residues, and room for their product.
struct Residues {
    prime: Prime,
    size: usize,
    a: Vec<i16>,
    b: Vec<i16>,
    out: Vec<i16>,
}

impl Residues {
    fn new(size: usize) -> Result<Self, String> {
        let prime = Prime::new(PRIMES[0]).map_err(text)?;
        let half = prime.half();
        let mut rng = ChaCha20Rng::seed_from_u64(size as u64);
        let mut residues = || {
            (0..size * size)
                .map(|_| rng.random_range(-half..=half))
                .collect()
        };
        Ok(Self {
            prime,
            size,
            a: residues(),
            b: residues(),
            out: vec![0; size * size],
        })
    }

    /// `A' B`.
    fn multiply(&mut self) -> Result<(), String> {
        let size = self.size;
        let view = |data| Strided::row_major(data, size, size).map_err(text);
        let (a, b) = (view(&self.a)?, view(&self.b)?);
        let mut out = StridedMut::row_major(&mut self.out, size, size).map_err(text)?;
        narrow::gemm_tn(self.prime, a, b, &mut out, false).map_err(text)
    }

    /// Some entries, spread over the product.
    fn check(&self) -> Result<(), String> {
        let (size, p) = (self.size, i128::from(self.prime.value()));
        let total = size * size;
        for entry in (0..total).step_by((total / CHECKED).max(1) + 1) {
            let (row, col) = (entry / size, entry % size);
            let exact: i128 = (0..size)
                .map(|i| i128::from(self.a[i * size + row]) * i128::from(self.b[i * size + col]))
                .sum();
            let got = i128::from(self.out[entry]);
            if (got - exact) % p != 0 || got.abs() > i128::from(self.prime.half()) {
                return Err(format!(
                    "entry {row}, {col}: got {got}, expected {exact} modulo {p}"
                ));
            }
        }
        Ok(())
    }
}

/// `A' B` modulo the largest narrow prime, of square factors.
pub fn contender(size: usize, pool: &Arc<ThreadPool>) -> Entry {
    let make = || {
        let mut residues = Residues::new(size)?;
        pool.install(|| residues.multiply())?;
        residues.check()?;
        Ok(residues)
    };
    match make() {
        Ok(mut residues) => Ok(Box::new(
            Local::new(NAME, pool, move || residues.multiply())
                .warm()
                .with_note("exact, modulo one prime of 13.5 bits"),
        )),
        Err(reason) => Err(Absent {
            name: NAME.into(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_entry_is_found() {
        let mut residues = Residues::new(5).unwrap();
        residues.multiply().unwrap();
        residues.check().unwrap();
        residues.out[0] = if residues.out[0] > 0 {
            residues.out[0] - 1
        } else {
            residues.out[0] + 1
        };
        assert!(residues.check().unwrap_err().contains("entry 0, 0"));
    }
}
