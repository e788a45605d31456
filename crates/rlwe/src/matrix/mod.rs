//! Encrypted matrices whose products are plain matrix products: blocks of lines in the coefficients of ciphertexts over a
//! small ring, modulo a product of narrow primes.
//!
//! A [`Block`] holds `lines` lines of `len` integers. In a ring of degree N a line lies on a grid of `padded` positions (a
//! power of two), `rho = N / padded` coefficients apart. Its *phase* `b + a s` modulo `G_l`, the product of the narrow primes
//! of its level, is what was encrypted and a small error. For N = 16, padded = 4, rho = 4:
//!
//! ```text
//! packed: line rho i + x is in ciphertext i at X^(x + rho j)    single: line i is in ciphertext i at X^(rho j)
//!   X^0   X^1   X^2   X^3   X^4   X^5  ...                        X^0   X^1   X^2   X^3   X^4   X^5  ...
//!   0,0   1,0   2,0   3,0   0,1   1,1  ...   ciphertext 0         0,0   -     -     -     0,1   -    ...   ciphertext 0
//!   4,0   5,0   6,0   7,0   4,1   5,1  ...   ciphertext 1         1,0   -     -     -     1,1   -    ...   ciphertext 1
//! ```
//!
//! Values beyond `len` in a result are unspecified; lines beyond `lines` in the last ciphertext are encryptions of zero.
//!
//! | module | contents |
//! |---|---|
//! | [`ring`] | the ring with its narrow primes, level by level |
//! | [`block`] | blocks: shapes, sums, integer multiples |
//! | [`encrypt`] | encryption under either key, phases for decryption |
//! | [`product`] | encrypted by encrypted: matrix products modulo narrow primes, then a change of format |
//! | [`plain`] | plain by encrypted, and dropping levels |
//! | [`noise`] | bounds on the error that each step adds |
//! | [`transpose`] | the change of format |
//! | [`wire`] | bytes |
//! | [`coded`] | blocks of values: what the schemes have in common |
//!
//! The mathematics is in `docs/design/encrypted-matmul.md`. Nothing here knows a scale or what a value means, but for an
//! optional *plaintext modulus* t: errors are then multiples of t, and phases keep their residue modulo t up to factors
//! that [`MatrixRing::unit`] gives.

pub mod block;
pub mod coded;
pub mod encrypt;
pub mod noise;
pub mod plain;
pub mod product;
pub mod ring;
pub mod transpose;
pub mod wire;

pub use block::{Block, EXPANSION, Shape};
pub use encrypt::Integer;
pub use plain::Weights;
pub use ring::{MatrixRing, MatrixShape, MatrixSpec};

use cipherblas_scheme::Error;

fn shape_error(
    operation: &'static str,
    got: impl ToString,
    expected: impl ToString,
    hint: &'static str,
) -> Error {
    Error::Shape {
        operation,
        got: got.to_string(),
        expected: expected.to_string(),
        hint,
    }
}

fn parameter_error(
    what: &'static str,
    got: impl ToString,
    expected: impl ToString,
    hint: &'static str,
) -> Error {
    Error::Parameter {
        what,
        got: got.to_string(),
        expected: expected.to_string(),
        hint,
    }
}

#[cfg(test)]
mod tests;
