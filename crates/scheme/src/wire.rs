//! The envelope of every serialized object, and the reader and writer of what is inside.
//!
//! Everything is little-endian and has one form only: what reads back is byte for byte what was written.
//!
//! ```text
//! offset  size
//!      0     4  magic "CBLS"
//!      4     2  format version
//!      6     2  kind of object
//!      8     2  scheme
//!     10     2  zero
//!     12    16  parameter id
//!     28    16  key id (zero: none)
//!     44     8  payload length P
//!     52    32  BLAKE3 of the bytes before: the header hash
//!     84   32c  c = ceil(P / 1 MiB) chunk hashes
//!      :     P  payload
//! ```
//!
//! A chunk's hash is keyed by the header hash and covers its index, so that no chunk can be swapped with one of
//! another place or another object. The hashes detect accidents and cut-off transfers and let chunks be checked as they
//! arrive; **they do not authenticate**: whoever alters an object can recompute them.
//!
//! Lengths inside a payload are derived from parameters wherever possible; where one is written, it is compared with
//! the bytes that are there before anything is allocated ([`Reader::length`]).
//!
//! ```
//! use cipherblas_scheme::wire::{Expected, Header, Kind, KeyId, ParameterId, Reader, SchemeId, Writer};
//!
//! let parameters = ParameterId::digest("example", b"N = 16");
//! let header = Header::new(Kind::Vector, SchemeId::Clear, parameters, KeyId([7; 16]));
//! let mut writer = Writer::new();
//! writer.u32(3);
//! writer.residues(5, [1, 30, 17]);
//! let bytes = writer.seal(&header);
//!
//! let expected = Expected { kind: Kind::Vector, scheme: SchemeId::Clear, parameters: Some(parameters), key: None };
//! let (found, payload) = expected.open(&bytes)?;
//! assert_eq!(found.key, KeyId([7; 16]));
//! let mut reader = Reader::new("vector", payload);
//! let mut values = [0; 3];
//! assert_eq!(reader.u32()?, 3);
//! reader.residues(5, 31, &mut values)?;
//! reader.expect_end()?;
//! assert_eq!(values, [1, 30, 17]);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod bundle;
mod envelope;
mod id;
mod reader;
mod writer;

pub use bundle::{bundle, open_bundle};
pub use envelope::{Expected, Header, receive, seal, seal_around, sealed_len};
pub use id::{Fingerprint, KeyId, ParameterId};
pub use reader::Reader;
pub use writer::Writer;

/// The version that this build writes, and the newest that it reads.
pub const VERSION: u16 = 1;

/// Bytes that a chunk hash covers.
pub const CHUNK: usize = 1 << 20;

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number that stands for it on the wire.
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            fn from_code(code: u16) -> crate::Result<Self> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(crate::Error::Wire {
                        what: $what,
                        got: format!("code {code}"),
                        expected: format!("one of {:?}", Self::ALL),
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

code! {
    /// What a serialized object is.
    Kind, "object kind", {
        /// A parameter set.
        Parameters = 1, "parameters";
        /// A public encryption key.
        PublicKey = 2, "public key";
        /// A secret key under a passphrase.
        SecretKeyEncrypted = 3, "encrypted secret key";
        /// Relinearization and Galois keys.
        EvaluationKeys = 4, "evaluation keys";
        /// One ciphertext.
        Ciphertext = 5, "ciphertext";
        /// An encrypted vector.
        Vector = 6, "encrypted vector";
        /// An encrypted matrix.
        Matrix = 7, "encrypted matrix";
        /// A model with encrypted weights.
        Model = 8, "encrypted model";
        /// A plan of a computation.
        Plan = 9, "plan";
        /// A request or its result.
        Job = 10, "job";
        /// Lines of an encrypted matrix in coefficients.
        MatrixBlock = 11, "encrypted matrix block";
        /// One encrypted value: an array without dimensions.
        Scalar = 12, "encrypted scalar";
        /// Parameters and an object made with them ([`bundle`]).
        Bundle = 13, "bundle";
    }
}

code! {
    /// The scheme that an object belongs to.
    SchemeId, "scheme", {
        /// [`ClearScheme`](crate::ClearScheme).
        Clear = 1, "clear";
        /// Paillier.
        Paillier = 2, "paillier";
        /// BFV.
        Bfv = 3, "bfv";
        /// CKKS.
        Ckks = 4, "ckks";
        /// TFHE.
        Tfhe = 5, "tfhe";
    }
}
