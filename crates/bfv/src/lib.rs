//! BFV (Brakerski, eprint 2012/078; Fan, Vercauteren, eprint 2012/144): exact arithmetic on encrypted integers, in RNS.
//!
//! It is not for reals (CKKS), nor for comparisons (TFHE).

#![allow(dead_code)]

mod crt;
mod encoder;
mod multiply;
#[cfg(test)]
mod testing;
