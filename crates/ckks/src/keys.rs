//! The secret and the public key: encryption and decryption.

use crate::ciphertext::Ciphertext;
use crate::encoder;
use crate::evaluator::Evaluator;
use crate::noise::TRANSFORM_ERROR;
use crate::params::Params;
use crate::share;
use cipherblas_math::sample;
use cipherblas_rlwe::{Basis, EvaluationKeys, Poly, wire};
use cipherblas_scheme::hedge::{self, hedged};
use cipherblas_scheme::sealed::{Opened, Stored};
use cipherblas_scheme::wire::{KeyId, Reader, SchemeId};
use cipherblas_scheme::{Decrypt, Encrypt, Error, ErrorBound, KeySet, Result, Verdict};
use rand::CryptoRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The owner's key: encrypts, decrypts, makes the other keys.
///
/// Redacted in debug output, zeroized on drop, not clonable, and kept under a passphrase only
/// ([`seal`](Self::seal), [`save`](Self::save)).
///
/// The budget of [`decrypt_shared`](Decrypt::decrypt_shared) is counted in this object and goes into what is sealed: a key
/// that is read back goes on counting from where it was *when it was sealed*. Decryptions since then, and those of other
/// copies, it does not know. So there should be one copy that shares, saved again
/// ([`save_over`](Self::save_over)) after it has; a budget that several copies draw on is used up several times, and
/// what it protects is then the key.
pub struct SecretKey {
    params: Params,
    key: cipherblas_rlwe::SecretKey,
    shared: AtomicU32,
}

/// Encrypts, for anyone who contributes data.
#[derive(Clone, Debug)]
pub struct PublicKey {
    pub(crate) params: Params,
    pub(crate) key: cipherblas_rlwe::PublicKey,
}

impl SecretKey {
    /// Draws a key: uniform ternary, from a cryptographic generator.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn generate<R: CryptoRng + ?Sized>(params: &Params, rng: &mut R) -> Result<Self> {
        let key = cipherblas_rlwe::SecretKey::generate(params.ring(), rng)?;
        Ok(Self {
            params: params.clone(),
            key,
            shared: AtomicU32::new(0),
        })
    }
    /// Shared decryptions that are left in the budget of this copy of the key.
    pub fn shared_left(&self) -> u32 {
        let used = self.shared.load(Ordering::SeqCst);
        self.params.sharing_queries().saturating_sub(used)
    }

    /// What is sealed: the coefficients, and the shared decryptions so far.
    fn stored(&self) -> Stored {
        let mut secret = wire::expose_secret_key(&self.key, 4);
        secret.extend_from_slice(&self.shared.load(Ordering::SeqCst).to_le_bytes());
        Stored {
            scheme: SchemeId::Ckks,
            parameter_id: self.params.id(),
            key: self.id(),
            parameters: self.params.to_bytes(),
            secret,
        }
    }
    fn restore(opened: &Opened, insecure: bool) -> Result<Self> {
        let params = match insecure {
            true => Params::insecure_from_bytes(opened.parameters())?,
            false => Params::from_bytes(opened.parameters())?,
        };
        opened.expect_ids(params.id(), opened.key())?;
        let mut reader = Reader::new("sealed secret key", opened.expose_secret());
        let key = wire::read_secret_key(&mut reader, params.ring(), opened.key())?;
        let shared = reader.u32()?;
        reader.expect_end()?;
        if shared > params.sharing_queries() {
            return Err(reader.error(
                format!("{shared} shared decryptions"),
                format!("at most {}, the budget", params.sharing_queries()),
            ));
        }
        Ok(Self {
            params,
            key,
            shared: AtomicU32::new(shared),
        })
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
    /// Public name of the key.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }
    /// The public key, fresh.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn public_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<PublicKey> {
        Ok(PublicKey {
            params: self.params.clone(),
            key: self.key.public_key(rng)?,
        })
    }
    /// The keys that a server needs for `set`, as a plan lists it.
    ///
    /// # Errors
    /// `Parameter`.
    pub fn evaluation_keys<R: CryptoRng + ?Sized>(
        &self,
        set: &KeySet,
        rng: &mut R,
    ) -> Result<Arc<EvaluationKeys>> {
        self.evaluation_keys_with_progress(set, rng, |_, _| ())
    }
    /// As [`SecretKey::evaluation_keys`]; `progress(done, total)` is called after each key, and may stop the work.
    ///
    /// # Errors
    /// `Parameter`; `Interrupted` if `progress` said so.
    pub fn evaluation_keys_with_progress<R: CryptoRng + ?Sized, V: Verdict>(
        &self,
        set: &KeySet,
        rng: &mut R,
        progress: impl FnMut(usize, usize) -> V,
    ) -> Result<Arc<EvaluationKeys>> {
        Ok(Arc::new(EvaluationKeys::generate(
            &self.key, set, rng, progress,
        )?))
    }

    /// Standard deviation of the flood on every coefficient of the phase, for errors up to `bound`.
    fn flood_deviation(&self, level: usize, bound: f64) -> f64 {
        share::flooding_factor(self.params.sharing_queries()) * bound * self.params.scale(level)
    }

    /// Bound on the error of every slot of [`decrypt_shared`](Decrypt::decrypt_shared) with the given bound, but for
    /// probability 2^-40.
    pub fn shared_error_bound(&self, ct: &Ciphertext, bound: f64) -> f64 {
        let n = self.params.degree();
        let spread = crate::noise::tail(n) * (n as f64).sqrt();
        bound + spread * (self.flood_deviation(ct.level, bound) + 0.5) / self.params.scale(ct.level)
    }

    fn check(&self, ct: &Ciphertext) -> Result<()> {
        crate::evaluator::check_ids("decrypt", ct, self.params.id(), Some(self.id()))
    }

    /// The phase over the primes that decoding needs, in coefficients.
    fn phase(&self, ct: &Ciphertext) -> Poly<cipherblas_rlwe::Coeff> {
        let primes = encoder::decoding_primes(&self.params, ct.level);
        let basis = Basis { q: primes, p: 0 };
        self.key.phase_over(basis, &[&ct.c0, &ct.c1]).into_coeff()
    }

    fn decode(&self, ct: &Ciphertext, phase: &Poly<cipherblas_rlwe::Coeff>) -> Result<Vec<f64>> {
        // The coefficients of an encoding are no larger than its slots.
        let limit = self.params.max_value() * 1.25;
        encoder::decode(&self.params, phase, self.params.scale(ct.level), limit)?
            .ok_or(Error::Decryption)
    }
}

cipherblas_scheme::sealed_key!(impl SecretKey, SchemeId::Ckks);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(ckks, {}, redacted)", self.id())
    }
}

impl PublicKey {
    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
    /// Public name of the key pair.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }
}

/// A shared result whose values, as declared, are not this many times its noise is refused.
const LEAST_SHARED_RATIO: f64 = 16.0;

/// What both keys check before they encrypt: the level and the magnitude to declare.
fn checked(params: &Params, values: &[f64], depth: usize, bound: Option<f64>) -> Result<f64> {
    if depth > params.depth() {
        return Err(Error::Depth {
            operation: "encrypt",
            needed: depth,
            left: params.depth(),
        });
    }
    let magnitude = bound.unwrap_or_else(|| params.max_value());
    if !(magnitude > 0.0 && magnitude <= params.max_value()) {
        return Err(Error::Parameter {
            what: "bound",
            got: magnitude.to_string(),
            expected: format!("a positive number of at most 2^{}", params.integer_bits()),
            hint: "raise `integer_bits`",
        });
    }
    encoder::check(params, "encrypt", values, magnitude)?;
    Ok(magnitude)
}

impl Encrypt for SecretKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        Evaluator::without_keys(&self.params, self.id())
    }
    /// Secret-key encryption: half the size on the wire and the smallest error. Cost for a full ciphertext: one
    /// embedding, two transforms for each prime.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        let magnitude = checked(&self.params, values, depth, bound)?;
        let scale = self.params.scale(depth);
        let message = encoder::encode_secret(&self.params, values, scale, depth)?.into_ntt();
        let content = hedge::words(values.iter().map(|v| v.to_bits()));
        let content: [&[u8]; 2] = [&self.params.id().0, &content];
        let mut rng = self.key.randomness(depth, &content, rng);
        let mut zero = self.key.encrypt_zero(depth, &mut rng);
        zero.c0.add_assign(&message);
        Ok(Ciphertext {
            c0: zero.c0,
            c1: zero.c1,
            seed: zero.seed,
            level: depth,
            error: self.params.noise().fresh_secret() / scale + magnitude * TRANSFORM_ERROR,
            magnitude,
            params: self.params.id(),
            key: self.id(),
        })
    }
}

impl Encrypt for PublicKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        Evaluator::without_keys(&self.params, self.id())
    }
    /// Public-key encryption. Cost for a full ciphertext: one embedding, four transforms for each prime.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        let magnitude = checked(&self.params, values, depth, bound)?;
        let scale = self.params.scale(depth);
        let message = encoder::encode_secret(&self.params, values, scale, depth)?;
        let content = hedge::words(values.iter().map(|v| v.to_bits()));
        let content: [&[u8]; 2] = [&self.params.id().0, &content];
        let mut rng = self.key.randomness(depth, &content, rng);
        let zero = self.key.encrypt(depth, &message, &mut rng);
        let p = self.params.ring().spec().special[0] as f64;
        Ok(Ciphertext {
            c0: zero.c0,
            c1: zero.c1,
            seed: zero.seed,
            level: depth,
            error: self.params.noise().fresh_public(p) / scale + magnitude * TRANSFORM_ERROR,
            magnitude,
            params: self.params.id(),
            key: self.id(),
        })
    }
}

impl Decrypt for SecretKey {
    type Scheme = Evaluator;
    fn decrypt(&self, ct: &Ciphertext) -> Result<Vec<f64>> {
        self.check(ct)?;
        self.decode(ct, &self.phase(ct))
    }

    fn check_shared(&self, ct: &Ciphertext, bound: f64, together: usize) -> Result<()> {
        self.check(ct)?;
        let refuse = |got: String, expected: String, hint| {
            Err(Error::Parameter {
                what: "sharing",
                got,
                expected,
                hint,
            })
        };
        // No ciphertext of ours has less than a fresh one or one that was rescaled, whatever its bytes say.
        let noise = self.params.noise();
        let least = noise.fresh_secret().min(noise.rounding()) / self.params.scale(ct.level);
        let declared = self.scheme().error_bound(ct).max(least);
        if bound.is_nan() || bound < declared {
            return refuse(
                format!("a bound of {bound:e} for a ciphertext of at least {declared:e}"),
                "the owner's own bound, no smaller than the declared one and than that of fresh ciphertexts".into(),
                "do not share this result: it is not what was asked for",
            );
        }
        let queries = self.params.sharing_queries();
        let after = self.shared_error_bound(ct, bound);
        let most = ct.magnitude.min(self.params.max_value()) / LEAST_SHARED_RATIO;
        if queries > 0 && (after.is_nan() || after > most) {
            return refuse(
                format!("an error bound of {after:.1e} after flooding"),
                format!("at most {most:.1e}, a sixteenth of the range of the values"),
                "declare smaller bounds on the data when they are encrypted, ask for fewer shared results, or share earlier",
            );
        }
        let sigma = self.flood_deviation(ct.level, bound);
        if sigma.is_nan() || sigma > sample::MAX_WIDE_FLOOD_SIGMA {
            return refuse(
                format!("noise of standard deviation {sigma:.1e} in units of the ciphertext"),
                format!("at most {:.1e}", sample::MAX_WIDE_FLOOD_SIGMA),
                "ask for less precision, or share fewer results or an earlier one",
            );
        }
        // Zero is left to the count itself, which says so.
        let left = self.shared_left() as usize;
        if left > 0 && left < together {
            return refuse(
                format!("{together} ciphertexts to share together"),
                format!("at most {left}, which are left for this key"),
                "build the parameters with `sharing` for as many ciphertexts as there will be, or use a fresh key",
            );
        }
        Ok(())
    }
    /// See [`share`] for the analysis, and [`SecretKey::shared_error_bound`] for what is left of the precision. Without
    /// [`sharing`](crate::ParamsBuilder::sharing) there is no room for the noise and the call is refused, as it is where
    /// the noise would drown the result.
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ciphertext,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<f64>> {
        self.check_shared(ct, bound, 1)?;
        let queries = self.params.sharing_queries();
        let sigma = self.flood_deviation(ct.level, bound);
        let used = self
            .shared
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < queries).then_some(n + 1)
            });
        if used.is_err() {
            return Err(Error::Parameter {
                what: "sharing",
                got: format!("shared decryption number {}", u64::from(queries) + 1),
                expected: format!("at most {queries} for this key"),
                hint: "build the parameters with `sharing` for as many shared results as there will be, or use a fresh key",
            });
        }
        let mut phase = self.phase(ct);
        let ring = self.params.ring();
        let zeroed = || zeroize::Zeroizing::new(cipherblas_math::AlignedVec::zeroed(ring.degree()));
        let (mut coarse, mut fine) = (zeroed(), zeroed());
        // The same flood on two results, or of two widths on one, would come out as their difference does.
        let content = hedge::words(phase.data().iter().map(|x| x.to_bits()));
        let mut rng = hedged(
            "cipherblas 2026 ckks flood",
            rng,
            &[&self.id().0, &sigma.to_le_bytes(), &content],
        );
        sample::gaussian_flood_wide(&mut rng, sigma, &mut coarse, &mut fine)
            .expect("the deviation was checked");
        phase.fill_with(|kernels, k, limb| {
            let mut reduced =
                zeroize::Zeroizing::new(cipherblas_math::AlignedVec::zeroed(limb.len()));
            for part in [&coarse, &fine] {
                encoder::scale_into(part, 1.0, &ring.moduli()[k], &mut reduced);
                kernels.add_assign(limb, &reduced);
            }
        });
        self.decode(ct, &phase)
    }
}
