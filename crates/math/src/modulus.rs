//! modulus
