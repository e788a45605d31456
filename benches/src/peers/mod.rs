//! The libraries that ours is compared with.

pub mod bfv;
pub mod ntt;
pub mod seal;
