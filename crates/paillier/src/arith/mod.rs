//! Integers modulo an odd `n` and modulo `n^2`, in Montgomery form.
//!
//! | module | contents |
//! |---|---|
//! | `limbs` | vectors of 64-bit limbs, masks |
//! | `portable` | the reference for products and Montgomery reduction |
//! | `adx` | the same with `mulx`, `adcx`, `adox` |
//! | `kernel` | the choice between kernels |
//! | `modulus` | residues modulo `n` |
//! | `square` | residues modulo `n^2`, as two digits to the base `n` |
//! | `checked` | products modulo `n^2` that notice faults |
//! | `ifma` | the same on AVX-512 |
//! | `exp` | powers |
//! | `comb` | powers of one base from tables |
//! | `gcd` | inverses of public numbers |
//! | `testing` | for the tests of constant time |
//! | `table` | reads that touch every entry |
//!
//! Everything is constant time in its operands, but for functions that say `public`.

#[cfg(target_arch = "x86_64")]
mod adx;
pub(crate) mod checked;
mod comb;
pub(crate) mod exp;
pub(crate) mod gcd;
#[cfg(target_arch = "x86_64")]
mod ifma;
pub(crate) mod kernel;
pub(crate) mod limbs;
pub(crate) mod modulus;
mod portable;
pub(crate) mod square;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub(crate) use comb::Comb;
pub(crate) use exp::pow;
pub(crate) use kernel::Kernel;
pub(crate) use modulus::{Modulus, Scratch, limbs_for};
pub(crate) use square::{SquareRing, fastest};
