//! The libraries that ours is compared with.

pub mod bfv;
pub mod blas;
pub mod ntt;
pub mod paillier;
pub mod python;
pub mod seal;
