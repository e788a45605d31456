use super::{Guarded, Watch};
use crate::{Decrypt, Encrypt, Result, Scheme};
use rand::CryptoRng;
use std::sync::Arc;

/// A key under a [`Watch`]: it looks at it before each ciphertext. Borrows the key, so that no copy of a secret is made.
pub struct GuardedKey<'a, K: ?Sized> {
    key: &'a K,
    watch: Arc<Watch>,
}

impl<'a, K: ?Sized> GuardedKey<'a, K> {
    /// `key` under `watch`.
    pub fn new(key: &'a K, watch: Arc<Watch>) -> Self {
        Self { key, watch }
    }
    /// The key inside.
    pub fn inner(&self) -> &'a K {
        self.key
    }
}

impl<K: ?Sized> Clone for GuardedKey<'_, K> {
    fn clone(&self) -> Self {
        Self {
            key: self.key,
            watch: self.watch.clone(),
        }
    }
}

impl<K: Encrypt + ?Sized> Encrypt for GuardedKey<'_, K> {
    type Scheme = Guarded<K::Scheme>;

    fn scheme(&self) -> Self::Scheme {
        Guarded {
            inner: self.key.scheme(),
            watch: self.watch.clone(),
        }
    }
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[<K::Scheme as Scheme>::Value],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<<K::Scheme as Scheme>::Ciphertext> {
        self.watch.begin(1)?;
        self.key.encrypt_at(values, depth, bound, rng)
    }
}

impl<K: Decrypt + ?Sized> Decrypt for GuardedKey<'_, K> {
    type Scheme = Guarded<K::Scheme>;

    fn decrypt(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
    ) -> Result<Vec<<K::Scheme as Scheme>::Value>> {
        self.watch.begin(1)?;
        self.key.decrypt(ct)
    }
    fn check_shared(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
        bound: f64,
        together: usize,
    ) -> Result<()> {
        self.key.check_shared(ct, bound, together)
    }
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &<K::Scheme as Scheme>::Ciphertext,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<<K::Scheme as Scheme>::Value>> {
        self.watch.begin(1)?;
        self.key.decrypt_shared(ct, bound, rng)
    }
}
