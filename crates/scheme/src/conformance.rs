//! The suite every scheme must pass.
