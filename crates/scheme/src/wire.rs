//! The envelope of every serialized object.

mod id;

pub use id::{KeyId, ParameterId};
