//! Data and encryption that the tests share.
#![allow(dead_code, reason = "each test file uses a part")]

use cipherblas_linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector, Tile};
use cipherblas_models::Table;
use cipherblas_scheme::ClearScheme;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

pub(crate) struct Data {
    pub(crate) rows: usize,
    pub(crate) features: usize,
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
}

impl Data {
    /// Features in `[-1, 1]`, and noisy labels or targets that depend on them.
    pub(crate) fn new(rows: usize, features: usize, labels: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64((rows * 1000 + features) as u64);
        let mut uniform = || rng.next_u64() as f64 / u64::MAX as f64 * 2.0 - 1.0;
        let x: Vec<f64> = (0..rows * features).map(|_| uniform()).collect();
        let y = x
            .chunks(features)
            .map(|row| {
                let score = 0.3
                    + 0.2 * uniform()
                    + row
                        .iter()
                        .enumerate()
                        .map(|(i, v)| v / (i + 1) as f64)
                        .sum::<f64>();
                if labels {
                    f64::from(u8::from(score > 0.0))
                } else {
                    score
                }
            })
            .collect();
        Self {
            rows,
            features,
            x,
            y,
        }
    }

    pub(crate) fn table(&self) -> Table<'_> {
        Table::new(self.rows, self.features, &self.x).unwrap()
    }

    pub(crate) fn encrypt(
        &self,
        scheme: &ClearScheme,
        tile: Tile,
    ) -> (EncryptedMatrix<ClearScheme>, EncryptedVector<ClearScheme>) {
        let mut rng = rng();
        let key = scheme.key();
        let options = EncryptOptions::new().packing(tile);
        let x = EncryptedMatrix::encrypt_with(
            &key,
            self.rows,
            self.features,
            &self.x,
            &options,
            &mut rng,
        )
        .unwrap();
        let options = EncryptOptions::new().packing(tile.row_packing());
        let y = EncryptedVector::encrypt_with(&key, &self.y, &options, &mut rng).unwrap();
        (x.bind(scheme).unwrap(), y.bind(scheme).unwrap())
    }
}
