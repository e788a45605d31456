//! Mathematics of the rings.

/// Vector instructions.
pub mod backend;
