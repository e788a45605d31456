//! The crate `fhe`. It has BFV only: what is comparable with CKKS is a key switch (a rotation), a product with
//! relinearization (BFV's is dearer: it leaves the ciphertext modulus), and an encryption.

use crate::compare::{Absent, Entry};
use crate::contender::Local;
use fhe::bfv::{
    BfvParameters, BfvParametersBuilder, Ciphertext, Encoding, EvaluationKey, EvaluationKeyBuilder,
    Plaintext, PublicKey, RelinearizationKey, SecretKey,
};
use fhe_traits::{FheDecoder, FheDecrypter, FheEncoder, FheEncrypter};
use rand_0_9::rng;
use rayon::ThreadPool;
use std::fmt::Display;
use std::sync::Arc;

/// A plaintext modulus of 20 bits that every degree up to 2^17 batches with.
pub const TWENTY_BITS: u64 = 786_433;

/// A key set and two ciphertexts at the HE Standard's modulus for the degree.
pub struct Bfv {
    parameters: Arc<BfvParameters>,
    relinearization: RelinearizationKey,
    evaluation: EvaluationKey,
    public: PublicKey,
    secret: SecretKey,
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
    /// Makes the keys, and checks a product and a rotation.
    ///
    /// # Errors
    /// For degrees without standard parameters; whatever `fhe` refuses; wrong results.
    pub fn new(degree: usize, plaintext_modulus: u64) -> Result<Arc<Self>, String> {
        let sizes = sizes(degree).ok_or_else(|| format!("no parameters for degree {degree}"))?;
        let parameters: Arc<BfvParameters> = BfvParametersBuilder::new()
            .set_degree(degree)
            .set_plaintext_modulus(plaintext_modulus)
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
        let relinearization = RelinearizationKey::new(&secret, &mut rng).map_err(text)?;
        let bfv = Self {
            relinearization,
            secret,
            evaluation,
            a: public.try_encrypt(&plaintext, &mut rng).map_err(text)?,
            b: public.try_encrypt(&plaintext, &mut rng).map_err(text)?,
            public,
            values,
            bits: sizes.iter().sum(),
            parameters,
        };
        bfv.check(plaintext_modulus)?;
        Ok(Arc::new(bfv))
    }

    fn check(&self, t: u64) -> Result<(), String> {
        let squares = self.values.iter().map(|v| v * v % t).collect();
        let (first, second) = self.values.split_at(self.values.len() / 2);
        let turned = [&first[1..], &first[..1], &second[1..], &second[..1]].concat();
        for (what, result, expected) in [
            ("encryption", self.encrypt()?, self.values.clone()),
            ("product", self.multiply()?, squares),
            ("rotation", self.rotate()?, turned),
        ] {
            if self.decrypt(&result)? != expected {
                return Err(format!("the {what} of fhe is wrong"));
            }
        }
        Ok(())
    }

    fn multiply(&self) -> Result<Ciphertext, String> {
        let mut product = &self.a * &self.b;
        self.relinearization
            .relinearizes(&mut product)
            .map_err(text)?;
        Ok(product)
    }

    fn rotate(&self) -> Result<Ciphertext, String> {
        let turned = self.evaluation.rotates_columns_by(&self.a, 1);
        turned.map_err(text)
    }

    fn encrypt(&self) -> Result<Ciphertext, String> {
        let plaintext = Plaintext::try_encode(&self.values, Encoding::simd(), &self.parameters)
            .map_err(text)?;
        let encrypted = self.public.try_encrypt(&plaintext, &mut rng());
        encrypted.map_err(text)
    }

    fn decrypt(&self, ct: &Ciphertext) -> Result<Vec<u64>, String> {
        let plaintext = self.secret.try_decrypt(ct).map_err(text)?;
        Vec::<u64>::try_decode(&plaintext, Encoding::simd()).map_err(text)
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
    /// Decryption and decoding.
    Decrypt,
}

/// The contender for one operation.
pub fn contender(
    bfv: &Result<Arc<Bfv>, String>,
    operation: Operation,
    pool: &Arc<ThreadPool>,
) -> Entry {
    let (name, work): (_, Work) = match operation {
        Operation::Multiply => ("fhe 0.1 BFV multiply + relinearize", |bfv| {
            bfv.multiply().map(drop)
        }),
        Operation::Rotate => ("fhe 0.1 BFV rotate", |bfv| bfv.rotate().map(drop)),
        Operation::Encrypt => ("fhe 0.1 BFV encode + encrypt", |bfv| {
            bfv.encrypt().map(drop)
        }),
        Operation::Decrypt => ("fhe 0.1 BFV decrypt + decode", |bfv| {
            bfv.decrypt(&bfv.a).map(drop)
        }),
    };
    match bfv {
        Ok(bfv) => {
            let note = format!(
                "log QP {}, t {}, one thread",
                bfv.bits,
                bfv.parameters.plaintext()
            );
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
        assert!(Bfv::new(4096, 65537).is_err());
    }
}
