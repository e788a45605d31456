//! Secret keys at rest: under a passphrase, in an envelope of kind [`Kind::SecretKeyEncrypted`], in files for their owner
//! only.
//!
//! ```text
//! payload
//! offset  size
//!      0     4  memory of Argon2id in KiB
//!      4     4  passes
//!      8     4  lanes
//!     12    16  salt
//!     28    24  nonce
//!     52     :  XChaCha20-Poly1305 of the contents, its tag (16 bytes) at the end
//!
//! contents
//!      0     8  length of the parameters
//!      8     :  the parameters in their envelope, then the secret as its scheme writes it
//! ```
//!
//! The key of the cipher is Argon2id (RFC 9106, version 0x13) of the passphrase and the salt. Everything before the
//! ciphertext, the header of the envelope included, is its associated data: scheme, ids and cost cannot be exchanged. Salt
//! and nonce are drawn anew each time, [hedged](crate::hedge) by what is sealed. What goes out in clear is the scheme, the
//! ids of parameters and key, the cost, and the length.
//!
//! A passphrase is bytes: text is not normalized, so that a letter with an accent is another one where it is written as two.
//!
//! A wrong passphrase and bytes that were altered are one error, [`Error::Sealed`]. What is no sealed key of this scheme and
//! version, or asks for more memory than is allowed, is [`Error::Wire`]; that can be seen without the passphrase.
//!
//! Schemes give their keys the calls by [`sealed_key!`](crate::sealed_key); they hand over what a key consists of as
//! [`Stored`], and make it again of what was [`Opened`].

mod cost;
mod file;

pub use cost::Cost;
pub use file::{Existing, read_file, write_file};

use crate::hedge::hedged;
use crate::wire::{Expected, Header, KeyId, Kind, ParameterId, Reader, SchemeId, Writer, seal};
use crate::{Error, Result};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::{CryptoRng, Rng};
use zeroize::Zeroizing;

const COST: usize = 12;
const SALT: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;

/// What a secret key consists of. **Holds the secret**, erased on drop; for schemes to hand to [`seal_key`].
pub struct Stored {
    /// The scheme.
    pub scheme: SchemeId,
    /// Id of the parameters.
    pub parameter_id: ParameterId,
    /// Id of the key.
    pub key: KeyId,
    /// The parameters in their envelope.
    pub parameters: Vec<u8>,
    /// The secret, as the scheme writes it.
    pub secret: Zeroizing<Vec<u8>>,
}

/// What was in a sealed key. **Holds the secret**, erased on drop.
pub struct Opened {
    header: Header,
    contents: Zeroizing<Vec<u8>>,
    parameters_len: usize,
}

impl Opened {
    /// Id of the parameters, as the header has it.
    pub fn parameter_id(&self) -> ParameterId {
        self.header.parameters
    }
    /// Id of the key, as the header has it.
    pub fn key(&self) -> KeyId {
        self.header.key
    }
    /// The parameters in their envelope, still to be checked.
    pub fn parameters(&self) -> &[u8] {
        &self.contents[8..8 + self.parameters_len]
    }
    /// Exposes the secret, as the scheme wrote it.
    pub fn expose_secret(&self) -> &[u8] {
        &self.contents[8 + self.parameters_len..]
    }
    /// Checks that ids made from the contents are those of the header.
    ///
    /// # Errors
    /// `Wire`.
    pub fn expect_ids(&self, parameters: ParameterId, key: KeyId) -> Result<()> {
        if (parameters, key) == (self.header.parameters, self.header.key) {
            return Ok(());
        }
        Err(Error::Wire {
            what: "sealed secret key",
            got: format!("ids {} and {}", self.header.parameters, self.header.key),
            expected: format!("{parameters} and {key}, as inside"),
        })
    }
}

fn check_passphrase(passphrase: &[u8]) -> Result<()> {
    if !passphrase.is_empty() {
        return Ok(());
    }
    Err(Error::Parameter {
        what: "passphrase",
        got: "an empty one".into(),
        expected: "at least one byte; five or more random words are a good one".into(),
        hint: "ask for a passphrase, or read it from a file that only the owner can read",
    })
}

/// Seals a key under a passphrase. Time and memory: as [`Cost`] says.
///
/// # Errors
/// `Parameter` for an empty passphrase, or if the memory cannot be had.
pub fn seal_key<R: CryptoRng + ?Sized>(
    stored: &Stored,
    passphrase: &[u8],
    cost: Cost,
    rng: &mut R,
) -> Result<Vec<u8>> {
    check_passphrase(passphrase)?;
    let mut contents = Zeroizing::new(Vec::with_capacity(
        // Room for the tag as well: nothing is moved once the secret is in it.
        8 + stored.parameters.len() + stored.secret.len() + TAG,
    ));
    contents.extend_from_slice(&(stored.parameters.len() as u64).to_le_bytes());
    contents.extend_from_slice(&stored.parameters);
    contents.extend_from_slice(&stored.secret);

    let mut writer = Writer::with_capacity(COST + SALT + NONCE);
    writer.raw(&cost.to_bytes());
    let mut header = Header::new(
        Kind::SecretKeyEncrypted,
        stored.scheme,
        stored.parameter_id,
        stored.key,
    );
    header.payload_len = (COST + SALT + NONCE + contents.len() + TAG) as u64;
    let mut rng = hedged(
        "cipherblas 2026 sealed secret key",
        rng,
        &[&header.to_bytes(), &cost.to_bytes(), &contents, passphrase],
    );
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    writer.raw(&salt);
    writer.raw(&nonce);
    let payload = writer.into_bytes();
    let bound = [&header.to_bytes()[..], &payload].concat();
    let tag = cipher(passphrase, &salt, cost)?
        .encrypt_inout_detached(&XNonce::from(nonce), &bound, contents.as_mut_slice().into())
        .map_err(|_| Error::Sealed)?;
    Ok(seal(&header, &[&payload[..], &contents, &tag].concat()))
}

/// The scheme of a sealed key, so that it can be opened as what it is.
///
/// # Errors
/// `Sealed` for altered bytes; `Wire` for what is no file of ours.
pub fn scheme_of(bytes: &[u8]) -> Result<SchemeId> {
    peek(bytes).map(|header| header.scheme)
}

fn peek(bytes: &[u8]) -> Result<Header> {
    Header::peek(bytes).map_err(|error| match error {
        // Ours, and cut off or altered.
        Error::Wire {
            what: "header hash",
            ..
        } => Error::Sealed,
        _ if bytes.len() < Header::LEN && Header::has_magic(bytes) => Error::Sealed,
        other => other,
    })
}

/// Opens a sealed key of `scheme`. The cost is checked before memory is taken.
///
/// # Errors
/// `Sealed` for a wrong passphrase or altered bytes; `Wire` for what is no sealed key of this scheme, or one that asks for too
/// much; `Parameter` for an empty passphrase, or if the memory cannot be had.
pub fn open_key(scheme: SchemeId, bytes: &[u8], passphrase: &[u8]) -> Result<Opened> {
    check_passphrase(passphrase)?;
    let expected = Expected {
        kind: Kind::SecretKeyEncrypted,
        scheme,
        parameters: None,
        key: None,
    };
    let header = peek(bytes)?;
    expected.check(&header)?;
    let (header, payload) = expected.open(bytes).map_err(|_| Error::Sealed)?;
    let mut reader = Reader::new("sealed secret key", payload);
    let cost = Cost::read(&mut reader)?;
    let salt: [u8; SALT] = reader.array()?;
    let nonce: [u8; NONCE] = reader.array()?;
    let before = payload.len() - reader.remaining();
    let (sealed, tag) = reader
        .raw(reader.remaining())?
        .split_last_chunk::<TAG>()
        .ok_or(Error::Sealed)?;
    let bound = [&header.to_bytes()[..], &payload[..before]].concat();
    let mut contents = Zeroizing::new(sealed.to_vec());
    cipher(passphrase, &salt, cost)?
        .decrypt_inout_detached(
            &XNonce::from(nonce),
            &bound,
            contents.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| Error::Sealed)?;
    let parameters_len = Reader::new("sealed secret key", &contents).length(1)?;
    // The length was compared with what is there after it.
    Ok(Opened {
        header,
        contents,
        parameters_len,
    })
}

fn cipher(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<XChaCha20Poly1305> {
    let key = cost.stretch(passphrase, salt)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

/// Gives a secret key the calls that keep it under a passphrase. The key has, for its own crate, `fn stored(&self) -> Stored`
/// and `fn restore(opened: &Opened, insecure: bool) -> Result<Self>`.
#[macro_export]
macro_rules! sealed_key {
    (impl<$generic:ident: $bound:path> $key:ty, $scheme:expr) => {
        $crate::sealed_key!(@methods [$generic: $bound] $key, $scheme);
    };
    (impl $key:ty, $scheme:expr) => {
        $crate::sealed_key!(@methods [] $key, $scheme);
    };
    (@methods [$($generic:ident: $bound:path)?] $key:ty, $scheme:expr) => {
        /// At rest, under a passphrase: see [`sealed`](cipherblas_scheme::sealed).
        impl $(<$generic: $bound>)? $key {
            /// The key and its parameters under a passphrase, at the ordinary [`Cost`](cipherblas_scheme::sealed::Cost): a good part
            /// of a second. Whoever has the bytes can try passphrases on them, as fast as they can afford to: choose one
            /// that is not guessed.
            ///
            /// # Errors
            /// `Parameter` for an empty passphrase, or if the memory cannot be had.
            pub fn seal<R: ::rand::CryptoRng + ?Sized>(&self, passphrase: &[u8], rng: &mut R) -> $crate::Result<Vec<u8>> {
                self.seal_at(passphrase, $crate::sealed::Cost::default(), rng)
            }

            /// As [`seal`](Self::seal), at another cost.
            ///
            /// # Errors
            /// As [`seal`](Self::seal).
            pub fn seal_at<R: ::rand::CryptoRng + ?Sized>(
                &self,
                passphrase: &[u8],
                cost: $crate::sealed::Cost,
                rng: &mut R,
            ) -> $crate::Result<Vec<u8>> {
                $crate::sealed::seal_key(&self.stored(), passphrase, cost, rng)
            }

            /// A key that was sealed, with its parameters, which are checked as those from anywhere are. The id is what it
            /// was: it opens old ciphertexts, and old evaluation keys are its own.
            ///
            /// # Errors
            /// `Sealed` for a wrong passphrase or altered bytes, without saying which; `Wire` for bytes that are no sealed
            /// key of this scheme; `Parameter` for an empty passphrase, and for parameters that are not valid or not
            /// secure: test keys open by [`insecure_unseal`](Self::insecure_unseal) only.
            pub fn unseal(bytes: &[u8], passphrase: &[u8]) -> $crate::Result<Self> {
                Self::restore(&$crate::sealed::open_key($scheme, bytes, passphrase)?, false)
            }

            /// As [`unseal`](Self::unseal), accepting parameters that claim no security.
            ///
            /// # Errors
            /// As [`unseal`](Self::unseal).
            pub fn insecure_unseal(bytes: &[u8], passphrase: &[u8]) -> $crate::Result<Self> {
                Self::restore(&$crate::sealed::open_key($scheme, bytes, passphrase)?, true)
            }

            /// Seals the key into a new file that only its owner can read, whole or not at all. A file that is there
            /// already stays as it is: see [`save_over`](Self::save_over).
            ///
            /// # Errors
            /// As [`seal`](Self::seal), and `Parameter` if there is something at `path`; `Io`.
            pub fn save<R: ::rand::CryptoRng + ?Sized>(
                &self,
                path: impl AsRef<::std::path::Path>,
                passphrase: &[u8],
                rng: &mut R,
            ) -> $crate::Result<()> {
                // The passphrase takes a while: what is in the way is said before.
                $crate::sealed::Existing::Keep.check(path.as_ref())?;
                let bytes = self.seal(passphrase, rng)?;
                $crate::sealed::write_file(path.as_ref(), &bytes, $crate::sealed::Existing::Keep)
            }

            /// As [`save`](Self::save), replacing a file that is there: **the key in it is gone**, unless it is this one.
            ///
            /// # Errors
            /// As [`seal`](Self::seal); `Io`, and the file that was there is what it was.
            pub fn save_over<R: ::rand::CryptoRng + ?Sized>(
                &self,
                path: impl AsRef<::std::path::Path>,
                passphrase: &[u8],
                rng: &mut R,
            ) -> $crate::Result<()> {
                let bytes = self.seal(passphrase, rng)?;
                $crate::sealed::write_file(path.as_ref(), &bytes, $crate::sealed::Existing::Replace)
            }

            /// A key from its file.
            ///
            /// # Errors
            /// As [`unseal`](Self::unseal); `Io`.
            pub fn open(path: impl AsRef<::std::path::Path>, passphrase: &[u8]) -> $crate::Result<Self> {
                Self::unseal(&$crate::sealed::read_file(path.as_ref())?, passphrase)
            }

            /// As [`open`](Self::open), accepting parameters that claim no security.
            ///
            /// # Errors
            /// As [`open`](Self::open).
            pub fn insecure_open(path: impl AsRef<::std::path::Path>, passphrase: &[u8]) -> $crate::Result<Self> {
                Self::insecure_unseal(&$crate::sealed::read_file(path.as_ref())?, passphrase)
            }
        }
    };
}
