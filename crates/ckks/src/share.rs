//! Decryption for others: noise flooding against key recovery from shared results (IND-CPA-D; Li, Micciancio,
//! eprint 2020/1533).
//!
//! A decrypted CKKS result contains the error of its ciphertext, and that error depends on the key. Before a result leaves
//! the owner, a rounded Gaussian is added to every coefficient of the phase, wide enough that two phases whose errors are
//! within the ciphertext's bound cannot be told apart (Li, Micciancio, Schultz, Sorrell, eprint 2022/816): with `q`
//! queries, error difference `d` in the Euclidean norm and deviation `sigma`, the Kullback-Leibler divergence of all
//! answers is at most `q d^2 / (2 sigma^2)`, and [`STATISTICAL_BITS`] bits of statistical security in the sense of that
//! paper ask that it stay below `2^-(STATISTICAL_BITS + 7.03)`.

/// Statistical security of all shared results of one key together, in bits.
pub const STATISTICAL_BITS: f64 = 30.0;

/// `sigma / d` for `queries` decryptions.
pub(crate) fn flooding_factor(queries: u32) -> f64 {
    (f64::from(queries) / 2.0 * (STATISTICAL_BITS + 7.03).exp2()).sqrt()
}

/// Bits of scale that flooding costs at ring degree `n`: the embedding of the flood over the error bound.
pub(crate) fn extra_bits(n: usize, queries: u32) -> f64 {
    if queries == 0 {
        0.0
    } else {
        (1.0 + flooding_factor(queries) * crate::noise::tail(n) * (n as f64).sqrt()).log2()
    }
}
