//! galois
