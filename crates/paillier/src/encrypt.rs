//! The secret and the public key of the scheme: encryption and decryption of values.

use crate::arith::limbs::{self, Secret};
use crate::ciphertext::Ciphertext;
use crate::codec;
use crate::evaluator::{Evaluator, check_ids};
use crate::group::Element;
use crate::keys::{self, Blinding};
use crate::params::{Params, invalid};
use cipherblas_scheme::capability::check_period;
use cipherblas_scheme::hedge::{Generator, derived, hedged};
use cipherblas_scheme::sealed::{Opened, Stored};
use cipherblas_scheme::wire::{KeyId, Reader, SchemeId};
use cipherblas_scheme::{Decrypt, Encrypt, Error, ErrorBound, Result, Verdict};
use num_bigint::BigUint;
use rand::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// The owner's key: encrypts, decrypts, makes the public key.
///
/// Redacted in debug output, zeroized on drop, not clonable, not serializable but under a passphrase
/// ([`seal`](Self::seal), [`save`](Self::save)) or by [`expose_to_phe_json`](Self::expose_to_phe_json).
pub struct SecretKey {
    pub(crate) key: keys::SecretKey,
    public: PublicKey,
}

/// Encrypts, for anyone who contributes data, and computes ([`evaluator`](Self::evaluator)): there are no evaluation keys.
#[derive(Clone)]
pub struct PublicKey {
    params: Params,
    key: keys::PublicKey,
    id: KeyId,
    blinding: Blinding,
}

fn key_id(n: &BigUint) -> KeyId {
    KeyId::digest("cipherblas 2026 paillier key", &n.to_bytes_le())
}

/// What both keys check before they encrypt: period, depth, bound and values. Returns the magnitude to declare.
fn checked(params: &Params, values: &[f64], depth: usize, bound: Option<f64>) -> Result<f64> {
    check_period("encrypt", values.len(), params.slots())?;
    if depth > params.depth() {
        return Err(Error::Depth {
            operation: "encrypt",
            needed: depth,
            left: params.depth(),
        });
    }
    let magnitude = bound.unwrap_or_else(|| params.default_bound());
    if !(magnitude > 0.0 && magnitude <= params.max_value()) {
        return Err(invalid(
            "bound",
            magnitude,
            format!("a positive number of at most 2^{}", params.integer_bits()),
            "raise `integer_bits`",
        ));
    }
    codec::check(
        values,
        magnitude,
        "declare a larger bound, or raise `value_bits`",
    )?;
    Ok(magnitude)
}

impl PublicKey {
    pub(crate) fn assemble(params: &Params, key: keys::PublicKey) -> Result<Self> {
        if key.bits() != u64::from(params.bits()) {
            return Err(invalid(
                "n",
                format!("a modulus of {} bits", key.bits()),
                format!("{} bits, as the parameters have it", params.bits()),
                "build the parameters with the key's `bits`",
            ));
        }
        Ok(Self {
            params: params.clone(),
            id: key_id(key.n()),
            key,
            blinding: Blinding::Full,
        })
    }
    /// From the modulus, checked as [`keys::PublicKey::new`] does.
    ///
    /// # Errors
    /// `Parameter` for a modulus of another size than the parameters have, or one that is not secure.
    pub fn from_modulus(params: &Params, n: &BigUint) -> Result<Self> {
        if n.bits() != u64::from(params.bits()) {
            return Err(invalid(
                "n",
                format!("a modulus of {} bits", n.bits()),
                format!("{} bits, as the parameters have it", params.bits()),
                "build the parameters with the key's `bits`",
            ));
        }
        let key = if params.is_insecure() {
            keys::PublicKey::insecure_new(n)?
        } else {
            keys::PublicKey::new(n)?
        };
        Self::assemble(params, key)
    }
    /// The same key with another way to blind ciphertexts: [`Blinding::ShortExponent`] is faster and an extra assumption.
    #[must_use]
    pub fn with_blinding(mut self, blinding: Blinding) -> Self {
        self.blinding = blinding;
        self
    }
    /// How ciphertexts are blinded.
    pub fn blinding(&self) -> Blinding {
        self.blinding
    }
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
    /// Public name of the key pair: a hash of the modulus.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// The modulus and its arithmetic.
    pub fn key(&self) -> &keys::PublicKey {
        &self.key
    }
    /// What a server computes with.
    pub fn evaluator(&self) -> Evaluator {
        Evaluator {
            params: self.params.clone(),
            key: self.key.clone(),
            id: self.id,
            blinding: self.blinding,
        }
    }
    /// Encodes and encrypts with the given function.
    fn encrypt_with<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
        encrypt: impl FnOnce(&[u64], &mut Generator) -> Result<Element>,
    ) -> Result<Ciphertext> {
        let magnitude = checked(&self.params, values, depth, bound)?;
        let plaintext = self.encode(values, depth);
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(plaintext.iter().flat_map(|w| w.to_le_bytes()).collect());
        let mut own = hedged(
            "cipherblas 2026 paillier encryption",
            rng,
            &[&self.id.0, &self.params.id().0, &bytes],
        );
        Ok(Ciphertext {
            element: encrypt(&plaintext, &mut own)?,
            depth,
            error: self.params.rounding(depth),
            magnitude,
            params: self.params.id(),
            key: self.id,
        })
    }
    fn encode(&self, values: &[f64], depth: usize) -> Secret {
        codec::encode(&self.params, values, depth, &self.key.n().to_u64_digits())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(paillier, {}, {:?})", self.id, self.params)
    }
}

impl SecretKey {
    /// Draws a key from a cryptographic generator: two primes of half the modulus' bits each.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn generate<R: CryptoRng + ?Sized>(params: &Params, rng: &mut R) -> Result<Self> {
        Self::generate_with_progress(params, rng, || ())
    }
    /// As [`generate`](Self::generate); `progress` is called before each candidate for a prime is tested, and may stop the
    /// search. How many there will be is not known.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken; `Interrupted` if `progress` said so.
    pub fn generate_with_progress<R: CryptoRng + ?Sized, V: Verdict>(
        params: &Params,
        rng: &mut R,
        mut progress: impl FnMut() -> V,
    ) -> Result<Self> {
        let bits = u64::from(params.bits());
        let key = if params.is_insecure() {
            keys::SecretKey::insecure_generate(bits, rng)?
        } else {
            keys::SecretKey::generate_with_progress(bits, rng, &mut || {
                if progress().goes_on() {
                    Ok(())
                } else {
                    Err(Error::Interrupted)
                }
            })?
        };
        Self::assemble(params, key)
    }
    /// From the numbers of a key.
    ///
    /// # Errors
    /// `Parameter` if the modulus has another size than the parameters say.
    pub fn assemble(params: &Params, key: keys::SecretKey) -> Result<Self> {
        let public = PublicKey::assemble(params, key.public_key().clone())?;
        Ok(Self { key, public })
    }
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.public.params
    }
    /// Public name of the key pair.
    pub fn id(&self) -> KeyId {
        self.public.id
    }
    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public.clone()
    }
    /// The numbers of the key.
    pub fn key(&self) -> &keys::SecretKey {
        &self.key
    }

    /// What is sealed: the primes, and the cofactors of a key that was generated here.
    fn stored(&self) -> Stored {
        let (p, q) = self.key.primes();
        let words = self.params().bits() as usize / 128;
        let cofactors = Zeroizing::new(self.key.cofactors().map_or([0; 2], |(r, s)| [r, s]));
        let generated = self.key.cofactors().is_some();
        let mut secret = Zeroizing::new(Vec::with_capacity(16 * words + 17));
        // Primes are padded to whole blocks of the arithmetic.
        for word in p[..words].iter().chain(&q[..words]) {
            secret.extend_from_slice(&word.to_le_bytes());
        }
        secret.push(u8::from(generated));
        for word in cofactors.iter().filter(|_| generated) {
            secret.extend_from_slice(&word.to_le_bytes());
        }
        Stored {
            scheme: SchemeId::Paillier,
            parameter_id: self.params().id(),
            key: self.id(),
            parameters: self.params().to_bytes(),
            secret,
        }
    }
    fn restore(opened: &Opened, insecure: bool) -> Result<Self> {
        let params = match insecure {
            true => Params::insecure_from_bytes(opened.parameters())?,
            false => Params::from_bytes(opened.parameters())?,
        };
        let secret = opened.expose_secret();
        let mut reader = Reader::new("sealed secret key", secret);
        let mut number = |words: usize| -> Result<Secret> {
            let mut out = limbs::secret(words);
            for word in out.iter_mut() {
                *word = reader.u64()?;
            }
            Ok(out)
        };
        let words = params.bits() as usize / 128;
        let (p, q) = (number(words)?, number(words)?);
        let cofactors = match reader.u8()? {
            0 => None,
            1 => Some((reader.u64()?, reader.u64()?)),
            other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
        };
        reader.expect_end()?;
        // Bases that whoever made the primes did not choose.
        let mut rng = derived("cipherblas 2026 paillier key from its seal", &[secret]);
        let key = keys::SecretKey::restore(&p, &q, cofactors, params.is_insecure(), &mut rng)?;
        let key = Self::assemble(&params, key)?;
        opened.expect_ids(params.id(), key.id())?;
        Ok(key)
    }
}

cipherblas_scheme::sealed_key!(impl SecretKey, SchemeId::Paillier);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(paillier, {}, redacted)", self.id())
    }
}

impl Encrypt for SecretKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        self.public.evaluator()
    }
    /// Blinded by a uniform `n`-th residue drawn in both CRT halves: many times faster than with the public key, and no
    /// assumption beyond Paillier's own. Constant time in the values and the key.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        self.public
            .encrypt_with(values, depth, bound, rng, |m, rng| {
                self.key.encrypt_words(m, rng)
            })
    }
}

impl Encrypt for PublicKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        self.evaluator()
    }
    /// Blinded by `r^n`: `bits` squarings modulo `n^2`, or fewer [by choice](PublicKey::with_blinding). Constant time in the
    /// values and the randomness.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        self.encrypt_with(values, depth, bound, rng, |m, rng| {
            self.key.encrypt_words(m, self.blinding, rng)
        })
    }
}

impl Decrypt for SecretKey {
    type Scheme = Evaluator;
    /// Two powers modulo the squares of the primes. Exact: the values differ from those computed by the roundings to fixed
    /// point that [`ErrorBound`] bounds, and by nothing that depends on the key. Constant time in the values and the key.
    fn decrypt(&self, ct: &Ciphertext) -> Result<Vec<f64>> {
        check_ids("decrypt", ct, self.params(), self.id())?;
        let plaintext = self.key.decrypt_raw(&ct.element)?;
        codec::decode(
            self.params(),
            &plaintext,
            ct.depth,
            &self.public.key.n().to_u64_digits(),
        )
    }

    /// As [`decrypt`](Self::decrypt): a decrypted result is a function of the encrypted values and of the operations, and
    /// contains no noise that depends on the key. Nothing is added, `rng` is not used, and there is no budget of queries.
    ///
    /// # Errors
    /// As `decrypt`; `Parameter` for a negative or undefined bound, or a ciphertext that declares a larger error.
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ciphertext,
        bound: f64,
        _rng: &mut R,
    ) -> Result<Vec<f64>> {
        check_ids("decrypt", ct, self.params(), self.id())?;
        let declared = self.scheme().error_bound(ct);
        if bound.is_nan() || bound < declared {
            return Err(invalid(
                "bound",
                format!("{bound:e} for a ciphertext that declares {declared:e}"),
                "the owner's own bound on the error, no smaller than the declared one",
                "do not share this result: it is not what was asked for",
            ));
        }
        self.decrypt(ct)
    }
}

impl Evaluator {
    /// The public key that this computes under: nothing is checked or computed anew.
    pub fn public_key(&self) -> PublicKey {
        PublicKey {
            params: self.params.clone(),
            id: self.id,
            key: self.key.clone(),
            blinding: self.blinding,
        }
    }
}
