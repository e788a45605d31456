//! BLAS for ciphertexts.
