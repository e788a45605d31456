//! A scheme that computes in clear.
/// Computes in clear.
#[derive(Clone)]
pub struct ClearScheme;
