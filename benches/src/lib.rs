//! Benchmarks: ours beside the peers, in one run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`contender`] | something whose time is taken, in this process or in another |
//! | [`compare`] | rounds over several contenders, rows, the table, the JSON |
//! | [`goals`] | the times to reach |
//! | [`ours`] | this library's contenders |
//! | [`package`] | the Python package beside others and beside Rust |
//! | [`peers`] | everybody else's |
//!
//! The binary `summary` puts them together; `cargo xtask bench` runs it. Nothing depends on this crate.

pub mod compare;
pub mod contender;
pub mod goals;
pub mod ours;
pub mod package;
pub mod peers;
