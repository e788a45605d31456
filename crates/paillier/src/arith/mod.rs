//! Montgomery arithmetic.
