//! Ring learning with errors.
