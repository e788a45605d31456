use crate::group::Element;
use cipherblas_scheme::wire::{KeyId, ParameterId};
use std::fmt;

/// [`slots`](crate::Params::slots) encrypted values at some depth.
///
/// Holds the ids of its parameters and of its key, never a key; and two public bounds, on its error and on its values.
#[derive(Clone)]
pub struct Ciphertext {
    pub(crate) element: Element,
    pub(crate) depth: usize,
    /// Bound on the error of every slot, in units of values: roundings to fixed point, propagated.
    pub(crate) error: f64,
    /// Declared bound on the absolute value of every slot.
    pub(crate) magnitude: f64,
    pub(crate) params: ParameterId,
    pub(crate) key: KeyId,
}

impl Ciphertext {
    /// Plain products it can still take.
    pub fn depth(&self) -> usize {
        self.depth
    }
    /// Id of the key it is encrypted under.
    pub fn key_id(&self) -> KeyId {
        self.key
    }
    /// Id of its parameters.
    pub fn parameter_id(&self) -> ParameterId {
        self.params
    }
    /// The group element: public, for analysis.
    pub fn element(&self) -> &Element {
        &self.element
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Ciphertext(paillier, depth {}, key {})",
            self.depth, self.key
        )
    }
}
