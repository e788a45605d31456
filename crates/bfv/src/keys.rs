//! The secret and the public key: encryption and decryption.

use crate::ciphertext::{Ciphertext, Origin, Part};
use crate::encoder::Row;
use crate::evaluator::Evaluator;
use crate::params::Params;
use cipherblas_math::AlignedVec;
use cipherblas_rlwe::{Coeff, EncryptionOfZero, EvaluationKeys, Poly, wire};
use cipherblas_scheme::capability::check_period;
use cipherblas_scheme::hedge;
use cipherblas_scheme::sealed::{Opened, Stored};
use cipherblas_scheme::wire::{KeyId, Reader, SchemeId};
use cipherblas_scheme::{Decrypt, Encrypt, Error, KeySet, Result, Verdict};
use rand::CryptoRng;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The owner's key: encrypts, decrypts, makes the other keys.
///
/// Redacted in debug output, zeroized on drop, kept under a passphrase only ([`seal`](Self::seal), [`save`](Self::save)), not
/// clonable:
///
/// ```compile_fail
/// fn copy(key: &cipherblas_bfv::SecretKey) -> cipherblas_bfv::SecretKey {
///     key.clone()
/// }
/// ```
pub struct SecretKey {
    params: Params,
    key: cipherblas_rlwe::SecretKey,
}

/// Encrypts, for anyone who contributes data.
#[derive(Clone, Debug)]
pub struct PublicKey {
    pub(crate) params: Params,
    pub(crate) key: cipherblas_rlwe::PublicKey,
}

/// The two rows of a decrypted ciphertext, zeroized when dropped.
pub struct Rows {
    /// Slots 0 to N/2 - 1.
    pub first: Zeroizing<Vec<i64>>,
    /// What [`Evaluator::swap_rows`] brings to the first row.
    pub second: Zeroizing<Vec<i64>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows(redacted)")
    }
}

/// A message under one plaintext modulus: its coefficients, as many as its period needs.
type Message = Zeroizing<AlignedVec>;

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
        })
    }
    /// What is sealed: the coefficients.
    fn stored(&self) -> Stored {
        Stored {
            scheme: SchemeId::Bfv,
            parameter_id: self.params.id(),
            key: self.id(),
            parameters: self.params.to_bytes(),
            secret: wire::expose_secret_key(&self.key, 0),
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
        reader.expect_end()?;
        Ok(Self { params, key })
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
    /// The keys that a server needs for `set`, as a plan lists it. `conjugation` is the key that swaps rows.
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

    /// Encrypts two rows of their own, each repeated periodically; see [`Evaluator::swap_rows`]. Otherwise as
    /// [`encrypt_at`](Encrypt::encrypt_at). Only [`decrypt_rows`](Self::decrypt_rows) decrypts the result.
    ///
    /// # Errors
    /// As [`encrypt_at`](Encrypt::encrypt_at).
    pub fn encrypt_rows<R: CryptoRng + ?Sized>(
        &self,
        rows: [&[i64]; 2],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        let (messages, magnitude) = messages(&self.params, rows, depth, bound)?;
        let [first, second] = rows.map(|row| hedge::words(row.iter().map(|&v| v as u64)));
        let content: [&[u8]; 3] = [&self.params.id().0, &first, &second];
        let rng = &mut self.key.randomness(depth, &content, rng);
        let parts = messages.iter().zip(self.params.encoders());
        let parts = parts
            .map(|(message, encoder)| {
                let mut zero = self.key.encrypt_zero(depth, rng);
                zero.c0
                    .add_assign(&encoder.scale_up(message, depth).into_ntt());
                zero.into()
            })
            .collect();
        let noise = self.params.noise().fresh_secret();
        Ok(fresh(
            &self.params,
            self.id(),
            parts,
            depth,
            noise,
            magnitude,
        ))
    }

    /// Both rows. Nothing says that they should be equal: of a ciphertext that was to have one row, a contributor who is not
    /// honest can fill the second with other values.
    ///
    /// # Errors
    /// `KeyMismatch`; `Decryption` for a value beyond the range of the parameters. The magnitude that the ciphertext declares
    /// is the sender's word and plays no part: what is refused must not depend on a threshold that the sender chose.
    pub fn decrypt_rows(&self, ct: &Ciphertext) -> Result<Rows> {
        self.check(ct)?;
        let residues: Vec<(Row, Row)> = ct
            .parts
            .iter()
            .zip(self.params.encoders())
            .map(|(part, encoder)| encoder.decode(&encoder.scale_down(self.phase(part))))
            .collect();
        let combine = |row: &dyn Fn(&(Row, Row)) -> &Row| {
            let rows: Vec<&[i64]> = residues.iter().map(|r| row(r).as_slice()).collect();
            self.params.crt().combine(&rows)
        };
        let rows = Rows {
            first: combine(&|r| &r.0)?,
            second: combine(&|r| &r.1)?,
        };
        // All values are looked at, and nothing says which was too large.
        let limit = self.params.max_value() as u64;
        let beyond = rows
            .first
            .iter()
            .chain(rows.second.iter())
            .fold(0, |acc, v| {
                acc | (limit.wrapping_sub(v.unsigned_abs()) >> 63)
            });
        if beyond == 0 {
            Ok(rows)
        } else {
            Err(Error::Decryption)
        }
    }

    /// log2 of the noise of `ct` as it is: of its largest coefficient under any plaintext modulus, at least 0.
    /// **Secret**: noise depends on the key; it is for the owner's tests and analyses and must not be shown to whoever
    /// computes. A server cannot:
    ///
    /// ```compile_fail
    /// # use cipherblas_bfv::{Ciphertext, Evaluator};
    /// fn read_out(server: &Evaluator, ct: &Ciphertext) {
    ///     let _ = server.noise_bits(ct);
    /// }
    /// ```
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn noise_bits(&self, ct: &Ciphertext) -> Result<f64> {
        self.check(ct)?;
        let mut worst = 1.0f64;
        for (part, encoder) in ct.parts.iter().zip(self.params.encoders()) {
            let phase = self.phase(part);
            let message = encoder.scale_down(phase.clone());
            let mut noise = phase;
            noise.sub_assign(&encoder.scale_up(&message, ct.level));
            worst = worst.max(largest_coefficient(&noise));
        }
        // `Q m / t` was rounded.
        Ok((worst + 0.5).log2())
    }

    fn check(&self, ct: &Ciphertext) -> Result<()> {
        crate::evaluator::check_ids("decrypt", ct, self.params.id(), Some(self.id()))
    }

    fn phase(&self, part: &Part) -> Poly<Coeff> {
        self.key.phase(&[&part.c0, &part.c1]).into_coeff()
    }
}

/// The largest absolute value of a coefficient, centred modulo all primes: by mixed radix with balanced digits.
fn largest_coefficient(poly: &Poly<Coeff>) -> f64 {
    let ring = poly.ring();
    let moduli = &ring.moduli()[..poly.basis().len()];
    let inverses: Vec<Vec<u64>> = moduli
        .iter()
        .enumerate()
        .map(|(i, m)| {
            let below = moduli[..i].iter();
            below
                .map(|q| m.inv(m.reduce_u64(q.value())).unwrap_or(0))
                .collect()
        })
        .collect();
    let mut digits = Zeroizing::new(vec![0i64; moduli.len()]);
    (0..ring.degree())
        .map(|k| {
            for (i, m) in moduli.iter().enumerate() {
                let mut x = m.canonical(poly.limb(i)[k]);
                for (&digit, &inverse) in digits.iter().zip(&inverses[i]) {
                    x = m.mul(m.sub(x, m.from_i64(digit)), inverse);
                }
                digits[i] = m.residue(x) as i64;
            }
            let digits = digits.iter().zip(moduli).rev();
            digits
                .fold(0.0f64, |acc, (&d, m)| acc * m.value() as f64 + d as f64)
                .abs()
        })
        .fold(0.0, f64::max)
}

cipherblas_scheme::sealed_key!(impl SecretKey, SchemeId::Bfv);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(bfv, {}, redacted)", self.id())
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
    /// As [`SecretKey::encrypt_rows`].
    ///
    /// # Errors
    /// As [`encrypt_at`](Encrypt::encrypt_at).
    pub fn encrypt_rows<R: CryptoRng + ?Sized>(
        &self,
        rows: [&[i64]; 2],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        let (messages, magnitude) = messages(&self.params, rows, depth, bound)?;
        let [first, second] = rows.map(|row| hedge::words(row.iter().map(|&v| v as u64)));
        let content: [&[u8]; 3] = [&self.params.id().0, &first, &second];
        let rng = &mut self.key.randomness(depth, &content, rng);
        let parts = messages.iter().zip(self.params.encoders());
        let parts = parts
            .map(|(message, encoder)| {
                let scaled = encoder.scale_up(message, depth);
                self.key.encrypt(depth, &scaled, rng).into()
            })
            .collect();
        let p = self.params.ring().spec().special[0];
        let noise = self.params.noise().fresh_public(p);
        Ok(fresh(
            &self.params,
            self.id(),
            parts,
            depth,
            noise,
            magnitude,
        ))
    }
}

impl From<EncryptionOfZero> for Part {
    fn from(zero: EncryptionOfZero) -> Self {
        Self {
            c0: zero.c0,
            c1: zero.c1,
            seed: zero.seed,
        }
    }
}

fn fresh(
    params: &Params,
    key: KeyId,
    parts: Vec<Part>,
    level: usize,
    noise: f64,
    magnitude: f64,
) -> Ciphertext {
    Ciphertext {
        parts,
        level,
        noise,
        magnitude,
        origin: Origin::Fresh,
        params: params.id(),
        key,
    }
}

/// Checks the length and the sizes of plain values.
pub(crate) fn check_values(
    operation: &'static str,
    slots: usize,
    values: &[i64],
    bound: f64,
) -> Result<()> {
    check_period(operation, values.len(), slots)?;
    let limit = bound as u64;
    // Constant time, but for which value is wrong where one is.
    let within = |v: &i64| limit.wrapping_sub(v.unsigned_abs()) >> 63 == 0;
    if values.iter().fold(true, |ok, v| ok & within(v)) {
        return Ok(());
    }
    let index = values.iter().position(|v| !within(v)).unwrap_or(0);
    Err(Error::Value {
        index,
        // The value itself is a secret, and errors end up in logs.
        got: "beyond the bound".into(),
        expected: format!("an integer of absolute value at most {bound}"),
        hint: "raise `plaintext_bits` or the declared bound",
    })
}

/// What both keys check before they encrypt, and the rows encoded under every plaintext modulus; with the magnitude to
/// declare.
fn messages(
    params: &Params,
    rows: [&[i64]; 2],
    depth: usize,
    bound: Option<f64>,
) -> Result<(Vec<Message>, f64)> {
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
            expected: format!("a positive number of at most {}", params.max_value()),
            hint: "raise `plaintext_bits`",
        });
    }
    for row in rows {
        check_values("encrypt", params.slots(), row, magnitude)?;
    }
    let encoders = params.encoders().iter();
    let messages = encoders
        .map(|encoder| encoder.encode_rows(rows[0], rows[1]))
        .collect::<Result<_>>()?;
    Ok((messages, magnitude))
}

impl Encrypt for SecretKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        Evaluator::without_keys(&self.params, self.id())
    }
    /// Secret-key encryption: half the size on the wire and the smallest noise. Cost for each plaintext modulus: one
    /// small transform of the values, two transforms for each prime.
    ///
    /// Without a declared bound it is the largest that the parameters have, and there is no room left for sums: declare
    /// one.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[i64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        self.encrypt_rows([values, values], depth, bound, rng)
    }
}

impl Encrypt for PublicKey {
    type Scheme = Evaluator;
    fn scheme(&self) -> Evaluator {
        Evaluator::without_keys(&self.params, self.id())
    }
    /// Public-key encryption. Cost for each plaintext modulus: one small transform of the values, four transforms for
    /// each prime.
    ///
    /// Without a declared bound it is the largest that the parameters have, and there is no room left for sums: declare
    /// one.
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[i64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ciphertext> {
        self.encrypt_rows([values, values], depth, bound, rng)
    }
}

impl Decrypt for SecretKey {
    type Scheme = Evaluator;
    /// Constant time in key and values. A result beyond the range of the parameters, or with rows that
    /// differ, is `Decryption`.
    fn decrypt(&self, ct: &Ciphertext) -> Result<Vec<i64>> {
        let rows = self.decrypt_rows(ct)?;
        let differ = rows
            .first
            .iter()
            .zip(rows.second.iter())
            .fold(0, |acc, (a, b)| acc | (a ^ b));
        if differ == 0 {
            Ok(rows.first.to_vec())
        } else {
            Err(Error::Decryption)
        }
    }

    /// As [`decrypt`](Decrypt::decrypt), for results that others will see; nothing is added to them.
    ///
    /// Shared results of an approximate scheme contain noise, and noise contains the key. Here the result is exactly
    /// the function of the inputs that was computed, whatever the noise was, as long as it is below what decrypts:
    /// bounds are worst case ([`noise`](crate::noise)), no operation gives a ciphertext that may be beyond, and
    /// decryption then reveals nothing but that function's value. That is IND-CPA-D security from IND-CPA security
    /// without flooding; eprint 2024/127 and 2024/116 break exact schemes whose bounds are heuristic. A ciphertext
    /// whose own bound is beyond the limit is refused. The bound on its *noise* came with the ciphertext: share results
    /// only of a party that is trusted to have computed what it was asked to (a made-up ciphertext, or a made-up bound,
    /// is a reaction attack and not met by any noise), with inputs of parties trusted to have encrypted what they should.
    ///
    /// `bound` is the owner's bound on the *error* of every slot. That of an exact scheme is 0, the natural argument;
    /// larger ones are accepted and change nothing. Results are not counted: each is as safe as the first.
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ciphertext,
        bound: f64,
        _rng: &mut R,
    ) -> Result<Vec<i64>> {
        self.check(ct)?;
        if bound.is_nan() || bound < 0.0 {
            return Err(Error::Parameter {
                what: "sharing",
                got: format!("a bound of {bound}"),
                expected: "0, or any larger bound".into(),
                hint: "the error of an exact scheme is 0",
            });
        }
        Evaluator::without_keys(&self.params, self.id()).decryptable(
            "decrypt_shared",
            ct.level,
            ct.noise,
        )?;
        self.decrypt(ct)
    }
}
