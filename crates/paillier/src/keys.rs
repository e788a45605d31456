//! Keys as numbers.
