use super::{ClearCiphertext, ClearScheme, evaluate::check_finite};
use crate::capability::{Decrypt, Encrypt, check_period};
use crate::wire::KeyId;
use crate::{Error, Result, Scheme};
use rand::CryptoRng;

/// The "key" of a [`ClearScheme`]: it hides nothing and is told from others by its id only.
#[derive(Clone, Debug)]
pub struct ClearKey {
    scheme: ClearScheme,
}

impl ClearKey {
    pub(super) fn of(evaluator: &ClearScheme) -> Self {
        // Shares the counters, holds no evaluation key.
        let scheme = evaluator
            .clone()
            .with_rotations(Some(&[]))
            .without_relinearization();
        Self { scheme }
    }

    /// The key's identifier.
    pub fn key_id(&self) -> KeyId {
        self.scheme.key_id()
    }
}

impl Encrypt for ClearKey {
    type Scheme = ClearScheme;

    fn scheme(&self) -> ClearScheme {
        self.scheme.clone()
    }

    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        _rng: &mut R,
    ) -> Result<ClearCiphertext> {
        let (slots, max_depth) = (self.scheme.slots(), self.scheme.max_depth());
        check_period("encrypt", values.len(), slots)?;
        check_finite(values)?;
        if depth > max_depth {
            return Err(Error::Depth {
                operation: "encrypt",
                needed: depth,
                left: max_depth,
            });
        }
        let magnitude = bound.unwrap_or(self.scheme.config.bound);
        if !(magnitude >= 0.0 && magnitude.is_finite()) {
            return Err(Error::Parameter {
                what: "bound",
                got: magnitude.to_string(),
                expected: "a finite number, not negative".into(),
                hint: "pass the largest absolute value of the data",
            });
        }
        if let Some(index) = values.iter().position(|v| v.abs() > magnitude) {
            return Err(Error::Value {
                index,
                got: values[index].to_string(),
                expected: format!("an absolute value of at most {magnitude}"),
                hint: "declare a larger bound, or scale the data",
            });
        }
        Ok(ClearCiphertext {
            values: values.iter().copied().cycle().take(slots).collect(),
            depth,
            magnitude,
            error: 0.0,
            key: self.key_id(),
        })
    }
}

impl Decrypt for ClearKey {
    type Scheme = ClearScheme;

    fn decrypt(&self, ct: &ClearCiphertext) -> Result<Vec<f64>> {
        self.scheme.expect_own("decrypt", ct)?;
        Ok(ct.values.clone())
    }

    /// As `decrypt`: there is no noise to hide, and no key that it could give away.
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &ClearCiphertext,
        _bound: f64,
        _rng: &mut R,
    ) -> Result<Vec<f64>> {
        self.decrypt(ct)
    }
}
