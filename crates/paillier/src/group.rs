//! Ciphertexts as elements of the group of units modulo `n^2`.
