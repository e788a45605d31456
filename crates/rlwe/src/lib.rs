//! Ring learning with errors, once for every lattice scheme: typed polynomials over an RNS basis, secret, public and
//! evaluation keys, hybrid key switching with any number of digits, hoisted automorphisms.
//!
//! It sits on `cipherblas-math` (residues and transforms) and below `ckks` (and `bfv`). Nothing here knows what a
//! plaintext means: no scale, no slot, no rounding of reals.
//!
//! | module | contents |
//! |---|---|
//! | [`chain`] | prime chains from sizes in bits |
//! | [`ring`] | the ring context: prime chain in level groups, special primes, digits, precomputed conversions |
//! | [`poly`] | `Poly<Coeff>` and `Poly<Ntt>` |
//! | [`keys`] | secret and public keys, encryptions of zero |
//! | [`matrix`] | encrypted matrices: blocks, plain products modulo narrow primes, changes of format |
//! | [`switch`] | key-switching keys and the products with them |
//! | [`pairs`] | what evaluators do with ciphertexts, whatever their plaintexts mean |
//! | [`parallel`] | when work is worth another thread |
//! | [`evaluation`] | relinearization and Galois keys as one value |
//! | [`wire`] | bytes |

pub mod chain;
pub mod evaluation;
pub mod keys;
pub mod matrix;
pub mod pairs;
pub mod parallel;
pub mod poly;
mod pool;
pub mod ring;
pub mod switch;
pub mod wire;

pub use evaluation::EvaluationKeys;
pub use keys::{EncryptionOfZero, PublicKey, SecretKey};
pub use poly::{Basis, Coeff, Ntt, Poly};
pub use pool::Scratch;
pub use ring::{Ring, RingSpec};
pub use switch::{Digits, KeySwitchKey};
