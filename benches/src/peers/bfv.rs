//! The crate `fhe`. It has BFV only: what is comparable with CKKS is a key switch (a rotation), a product with
//! relinearization (BFV's is dearer: it leaves the ciphertext modulus), and an encryption.

use crate::compare::{Absent, Entry};
use crate::contender::Local;
use fhe::bfv::{
    BfvParameters, BfvParametersBuilder, Ciphertext, Encoding, EvaluationKey, EvaluationKeyBuilder,
    Plaintext, PublicKey, RelinearizationKey, SecretKey,
};
use fhe_traits::{FheEncoder, FheEncrypter};
use rand_0_9::rng;
use rayon::ThreadPool;
use std::fmt::Display;
use std::sync::Arc;

/// A key set and two ciphertexts at the HE Standard's modulus for the degree.
pub struct Bfv {
    parameters: Arc<BfvParameters>,
    relinearization: RelinearizationKey,
    evaluation: EvaluationKey,
    public: PublicKey,
    values: Vec<u64>,
    a: Ciphertext,
    b: Ciphertext,
    bits: usize,
}

/// The prime sizes that SEAL takes at these degrees: 218, 438 and 881 bits.
fn sizes(degree: usize) -> Option<Vec<usize>> {
    let split = |small, count_small, count_large| {
        [vec![small; count_small], vec![small + 1; count_large]].concat()
    };
    match degree {
        8192 => Some(split(43, 2, 3)),
        16384 => Some(split(48, 3, 6)),
        32768 => Some(split(55, 15, 1)),
        _ => None,
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

impl Bfv {
    /// Makes the keys.
    ///
    /// # Errors
    /// For degrees without standard parameters; whatever `fhe` refuses.
    pub fn new(degree: usize) -> Result<Arc<Self>, String> {
        let sizes = sizes(degree).ok_or_else(|| format!("no parameters for degree {degree}"))?;
        let parameters: Arc<BfvParameters> = BfvParametersBuilder::new()
            .set_degree(degree)
            .set_plaintext_modulus(65537)
            .set_moduli_sizes(&sizes)
            .build_arc()
            .map_err(text)?;
        let mut rng = rng();
        let secret = SecretKey::random(&parameters, &mut rng);
        let values: Vec<u64> = (0..degree as u64).collect();
        let plaintext =
            Plaintext::try_encode(&values, Encoding::simd(), &parameters).map_err(text)?;
        let public = PublicKey::new(&secret, &mut rng);
        let evaluation = EvaluationKeyBuilder::new(&secret)
            .and_then(|mut builder| builder.enable_column_rotation(1)?.build(&mut rng))
            .map_err(text)?;
        Ok(Arc::new(Self {
            relinearization: RelinearizationKey::new(&secret, &mut rng).map_err(text)?,
            evaluation,
            a: public.try_encrypt(&plaintext, &mut rng).map_err(text)?,
            b: public.try_encrypt(&plaintext, &mut rng).map_err(text)?,
            public,
            values,
            bits: sizes.iter().sum(),
            parameters,
        }))
    }

    fn multiply(&self) -> Result<(), String> {
        let mut product = &self.a * &self.b;
        self.relinearization
            .relinearizes(&mut product)
            .map_err(text)
    }

    fn rotate(&self) -> Result<(), String> {
        self.evaluation
            .rotates_columns_by(&self.a, 1)
            .map(drop)
            .map_err(text)
    }

    fn encrypt(&self) -> Result<(), String> {
        let plaintext = Plaintext::try_encode(&self.values, Encoding::simd(), &self.parameters)
            .map_err(text)?;
        let encrypted: Result<Ciphertext, _> = self.public.try_encrypt(&plaintext, &mut rng());
        encrypted.map(drop).map_err(text)
    }
}

/// One operation on a key set.
type Work = fn(&Bfv) -> Result<(), String>;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Product and relinearization.
    Multiply,
    /// A turn by one column.
    Rotate,
    /// Encoding and public-key encryption.
    Encrypt,
}

/// The contender for one operation.
pub fn contender(
    bfv: &Result<Arc<Bfv>, String>,
    operation: Operation,
    pool: &Arc<ThreadPool>,
) -> Entry {
    let (name, work): (_, Work) = match operation {
        Operation::Multiply => ("fhe 0.1 BFV multiply + relinearize", Bfv::multiply),
        Operation::Rotate => ("fhe 0.1 BFV rotate", Bfv::rotate),
        Operation::Encrypt => ("fhe 0.1 BFV encode + encrypt", Bfv::encrypt),
    };
    match bfv {
        Ok(bfv) => {
            let note = format!("BFV, log Q {}, one thread", bfv.bits);
            let bfv = Arc::clone(bfv);
            Ok(Box::new(
                Local::new(name, pool, move || work(&bfv)).with_note(note),
            ))
        }
        Err(reason) => Err(Absent {
            name: name.into(),
            reason: reason.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_standard_ones() {
        for (degree, bits) in [(8192, 218), (16384, 438), (32768, 881)] {
            assert_eq!(sizes(degree).unwrap().iter().sum::<usize>(), bits);
        }
        assert!(Bfv::new(4096).is_err());
    }
}
