//! Security tables.
