use super::block::CodedBlock;
use super::{CodedEvaluator, Coding, Encryptor};
use crate::evaluation::EvaluationKeys;
use crate::keys::{PublicKey, SecretKey};
use crate::matrix::{Block, transpose};
use crate::wire;
use cipherblas_scheme::matrix::BlockShape;
use cipherblas_scheme::sealed::{Opened, Stored};
use cipherblas_scheme::wire::{Fingerprint, KeyId, Reader};
use cipherblas_scheme::{
    DecryptMatrix, EncryptMatrix, Error, Lines, MatrixKeySet, Result, Verdict,
};
use rand::CryptoRng;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The owner's key: encrypts and decrypts blocks, makes the other keys.
///
/// Redacted in debug output, zeroized on drop, not clonable, kept under a passphrase only. Results are for the owner: decryption that can
/// be shown to others (noise flooding) is not offered for blocks.
pub struct CodedSecretKey<C: Coding> {
    params: C,
    key: SecretKey,
}

/// Encrypts blocks, for anyone who contributes data.
#[derive(Clone)]
pub struct CodedPublicKey<C: Coding> {
    pub(super) params: C,
    pub(super) key: PublicKey,
}

/// The Galois elements of the change of format on the grids of a set.
///
/// # Errors
/// `Parameter` for a grid that the ring does not have.
pub(super) fn elements<C: Coding>(params: &C, set: &MatrixKeySet) -> Result<BTreeSet<u64>> {
    let n = params.ring().degree();
    let fits = |&d: &usize| {
        d.is_power_of_two() && (cipherblas_scheme::matrix::MIN_PADDED_LEN..=n).contains(&d)
    };
    if let Some(bad) = set.lengths.iter().find(|d| !fits(d)) {
        return Err(Error::Parameter {
            what: "matrix keys",
            got: format!("lines on a grid of {bad}"),
            expected: format!("powers of two from 16 to {n}"),
            hint: "pass padded lengths (`MatrixKeySet::products`)",
        });
    }
    transpose::galois_elements(params.ring().ring(), &set.lengths)
}

impl<C: Coding> CodedSecretKey<C> {
    /// Draws a key: uniform ternary, from a cryptographic generator.
    ///
    /// # Errors
    /// `Parameter` if the generator is broken.
    pub fn generate<R: CryptoRng + ?Sized>(params: &C, rng: &mut R) -> Result<Self> {
        Ok(Self {
            params: params.clone(),
            key: SecretKey::generate(params.ring().ring(), rng)?,
        })
    }
    /// What is sealed: the coefficients.
    fn stored(&self) -> Stored {
        Stored {
            scheme: C::SCHEME,
            parameter_id: self.params.id(),
            key: self.id(),
            parameters: self.params.to_bytes(),
            secret: wire::expose_secret_key(&self.key, 0),
        }
    }
    fn restore(opened: &Opened, insecure: bool) -> Result<Self> {
        let params = C::read(opened.parameters(), !insecure)?;
        opened.expect_ids(params.id(), opened.key())?;
        let mut reader = Reader::new("sealed secret key", opened.expose_secret());
        let key = wire::read_secret_key(&mut reader, params.ring().ring(), opened.key())?;
        reader.expect_end()?;
        Ok(Self { params, key })
    }

    /// The parameters.
    pub fn params(&self) -> &C {
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
    pub fn public_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> Result<CodedPublicKey<C>> {
        Ok(CodedPublicKey {
            params: self.params.clone(),
            key: self.key.public_key(rng)?,
        })
    }
    /// The keys that a server needs for `set`, as a plan lists it.
    ///
    /// # Errors
    /// `Parameter` for grids that the ring does not have.
    pub fn evaluation_keys<R: CryptoRng + ?Sized>(
        &self,
        set: &MatrixKeySet,
        rng: &mut R,
    ) -> Result<Arc<EvaluationKeys>> {
        self.evaluation_keys_with_progress(set, rng, |_, _| ())
    }
    /// As [`evaluation_keys`](Self::evaluation_keys); `progress(done, total)` is called after each key, and may stop the work.
    ///
    /// # Errors
    /// As [`evaluation_keys`](Self::evaluation_keys).
    pub fn evaluation_keys_with_progress<R: CryptoRng + ?Sized, V: Verdict>(
        &self,
        set: &MatrixKeySet,
        rng: &mut R,
        progress: impl FnMut(usize, usize) -> V,
    ) -> Result<Arc<EvaluationKeys>> {
        let elements = elements(&self.params, set)?;
        let mut keys =
            EvaluationKeys::for_elements(&self.key, set.products, &elements, rng, progress)?;
        keys.parameters = Some(self.params.id());
        Ok(Arc::new(keys))
    }
}

cipherblas_scheme::sealed_key!(impl<C: Coding> CodedSecretKey<C>, C::SCHEME);

impl<C: Coding> fmt::Debug for CodedSecretKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SecretKey({} matrices, {}, redacted)",
            C::NAME,
            self.id()
        )
    }
}

impl<C: Coding> CodedPublicKey<C> {
    /// The parameters.
    pub fn params(&self) -> &C {
        &self.params
    }
    /// Public name of the key pair.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }
    /// Hash of parameters and key, to be compared over another channel: the id is a name that anyone can give to a key of
    /// their own.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::digest("cipherblas 2026 matrix public key", &self.to_bytes())
    }
}

impl<C: Coding> fmt::Debug for CodedPublicKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} matrices, {})", C::NAME, self.id())
    }
}

/// What a block is to be like.
struct Wanted<'a, V> {
    values: &'a [V],
    lines: usize,
    padded: Option<usize>,
    layout: Lines,
    depth: usize,
    bound: Option<f64>,
}

fn encrypted<C: Coding, R: CryptoRng + ?Sized>(
    params: &C,
    by: Encryptor,
    wanted: &Wanted<'_, C::Value>,
    rng: &mut R,
    encrypt: impl FnOnce(&[i64], BlockShape, &mut R) -> Result<Block>,
) -> Result<CodedBlock<C>> {
    const OPERATION: &str = "encrypt_block";
    let n = params.ring().degree();
    let shape = BlockShape::of_values(
        OPERATION,
        wanted.values.len(),
        wanted.lines,
        wanted.layout,
        n,
    )?
    .on_grid(OPERATION, wanted.padded, n)?;
    let top = params.ring().max_level();
    if wanted.depth > top {
        return Err(Error::Depth {
            operation: OPERATION,
            needed: wanted.depth,
            left: top,
        });
    }
    let (integers, bounds) = params.encode(wanted.values, wanted.depth, wanted.bound, by, rng)?;
    Ok(CodedBlock {
        inner: encrypt(&integers, shape, rng)?,
        bounds,
        fresh: true,
        params: params.id(),
    })
}

impl<C: Coding> EncryptMatrix for CodedSecretKey<C> {
    type Scheme = CodedEvaluator<C>;
    fn scheme(&self) -> CodedEvaluator<C> {
        CodedEvaluator::without_keys(&self.params, self.id())
    }
    /// Secret-key encryption: half the size on the wire and the smallest errors.
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[C::Value],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<CodedBlock<C>> {
        let wanted = Wanted {
            values,
            lines,
            padded,
            layout,
            depth,
            bound,
        };
        let ring = self.params.ring();
        encrypted(
            &self.params,
            Encryptor::SecretKey,
            &wanted,
            rng,
            |integers, shape, rng| {
                Block::encrypt(ring, &self.key, integers, shape.into(), depth, rng)
            },
        )
    }
}

impl<C: Coding> EncryptMatrix for CodedPublicKey<C> {
    type Scheme = CodedEvaluator<C>;
    fn scheme(&self) -> CodedEvaluator<C> {
        CodedEvaluator::without_keys(&self.params, self.id())
    }
    /// Public-key encryption: errors are larger, by the rounding of a change of modulus.
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[C::Value],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<CodedBlock<C>> {
        let wanted = Wanted {
            values,
            lines,
            padded,
            layout,
            depth,
            bound,
        };
        let ring = self.params.ring();
        encrypted(
            &self.params,
            Encryptor::PublicKey,
            &wanted,
            rng,
            |integers, shape, rng| {
                Block::encrypt_public(ring, &self.key, integers, shape.into(), depth, rng)
            },
        )
    }
}

impl<C: Coding> DecryptMatrix for CodedSecretKey<C> {
    type Scheme = CodedEvaluator<C>;
    /// Constant time in key and values.
    fn decrypt_block(&self, x: &CodedBlock<C>) -> Result<Vec<C::Value>> {
        x.check("decrypt_block", self.params.id(), self.id())?;
        self.params.decode(&x.inner, &x.bounds, &self.key)
    }
}
