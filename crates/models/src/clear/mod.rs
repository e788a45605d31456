//! Training in clear: what the encrypted training is measured against.
//!
//! `descent` is the same algorithm, step by step, in double precision; `exact` is the optimum that any
//! algorithm would reach in the end.

pub(crate) mod cholesky;
pub(crate) mod descent;
pub(crate) mod exact;
pub(crate) mod least_norm;
