//! In and out of `ndarray` (feature `ndarray`); any memory layout and stride.

use super::{EncryptOptions, EncryptedMatrix, EncryptedVector, PlainMatrix};
use crate::packing::{MatrixPacking, VectorPacking};
use cipherblas_scheme::{Decrypt, Encrypt, Result, Scheme};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::CryptoRng;

impl<S: Scheme> EncryptedVector<S> {
    /// Encrypts an array; see [`encrypt_with`](Self::encrypt_with).
    ///
    /// # Errors
    /// As [`encrypt_with`](Self::encrypt_with).
    pub fn encrypt_array<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        values: ArrayView1<'_, S::Value>,
        options: &EncryptOptions<VectorPacking>,
        rng: &mut R,
    ) -> Result<Self> {
        Self::encrypt_with(key, &values.to_vec(), options, rng)
    }

    /// Decrypts to an array.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt).
    pub fn decrypt_array<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Array1<S::Value>> {
        self.decrypt(key).map(Array1::from_vec)
    }
}

impl<S: Scheme> EncryptedMatrix<S> {
    /// Encrypts an array; see [`encrypt_with`](Self::encrypt_with).
    ///
    /// # Errors
    /// As [`encrypt_with`](Self::encrypt_with).
    pub fn encrypt_array<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        values: ArrayView2<'_, S::Value>,
        options: &EncryptOptions<MatrixPacking>,
        rng: &mut R,
    ) -> Result<Self> {
        let (rows, cols) = values.dim();
        let data: Vec<S::Value> = values.iter().copied().collect();
        Self::encrypt_with(key, rows, cols, &data, options, rng)
    }

    /// Decrypts to an array.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt).
    pub fn decrypt_array<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Array2<S::Value>> {
        let data = self.decrypt(key)?;
        Ok(Array2::from_shape_vec(self.shape(), data)
            .expect("a decrypted matrix has as many values as its shape says"))
    }
}

impl<V: cipherblas_scheme::Value> TryFrom<ArrayView2<'_, V>> for PlainMatrix<V> {
    type Error = cipherblas_scheme::Error;

    fn try_from(values: ArrayView2<'_, V>) -> Result<Self> {
        let (rows, cols) = values.dim();
        Self::new(rows, cols, values.iter().copied().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipherblas_scheme::{ClearScheme, Error};
    use ndarray::{array, s};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn strided_views_roundtrip() {
        let server = ClearScheme::new(8, 2).unwrap();
        let key = server.key();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let x = EncryptedMatrix::encrypt_array(&key, a.t(), &EncryptOptions::new(), &mut rng);
        assert_eq!(x.unwrap().decrypt_array(&key).unwrap(), a.t());
        let v = EncryptedVector::encrypt_array(&key, a.column(1), &EncryptOptions::new(), &mut rng);
        assert_eq!(v.unwrap().decrypt_array(&key).unwrap(), array![2.0, 5.0]);
        let w = PlainMatrix::try_from(a.t()).unwrap();
        assert_eq!((w.rows(), w.data()[1]), (3, 4.0));
        let empty = EncryptedMatrix::encrypt_array(
            &key,
            a.slice(s![.., 0..0]),
            &EncryptOptions::new(),
            &mut rng,
        );
        assert!(matches!(empty, Err(Error::Shape { .. })));
    }
}
