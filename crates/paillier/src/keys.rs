//! The public and the secret key as numbers.

mod public;
mod secret;

pub use public::{Blinding, INSECURE_MIN_BITS, MAX_BITS, MIN_BITS, PublicKey};
pub use secret::SecretKey;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use secret::{Fault, Place};
