use std::fmt;

fn digest<const N: usize>(domain: &str, bytes: &[u8]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    hasher.update(bytes);
    let mut id = [0; N];
    hasher.finalize_xof().fill(&mut id);
    id
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first 16 bytes of BLAKE3 of `bytes`, in its key-derivation mode with `domain` as the context.
            pub fn digest(domain: &str, bytes: &[u8]) -> Self {
                Self(digest(domain, bytes))
            }
        }

        /// 32 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

identifier! {
    /// Identifies a parameter set: a hash of everything that defines it.
    ParameterId
}

identifier! {
    /// Identifies a secret key and everything derived from it, revealing nothing: random, or a hash of public values.
    KeyId
}

/// Binds a public key: no other key has it. Shown and compared by people, over a channel that they trust.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// BLAKE3 of `bytes`, in its key-derivation mode with `domain` as the context.
    pub fn digest(domain: &str, bytes: &[u8]) -> Self {
        Self(digest(domain, bytes))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl KeyId {
    /// The id in the header of objects that belong to no key.
    pub const NONE: Self = Self([0; 16]);
}
