//! Training and inference on ciphertexts.

pub(crate) mod design;
mod fit;
mod model;
pub(crate) mod train;

pub use design::row_packing;
pub use model::EncryptedModel;
pub use train::{Progress, Trains};
