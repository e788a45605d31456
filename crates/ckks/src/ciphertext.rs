use cipherblas_math::sample::Seed;
use cipherblas_rlwe::{Ntt, Poly};
use cipherblas_scheme::wire::{KeyId, ParameterId};
use std::fmt;

/// N/2 encrypted reals at some depth.
///
/// Holds the ids of its parameters and of its key, never a key; and two public bounds, on its error and on its values.
#[derive(Clone)]
pub struct Ciphertext {
    pub(crate) c0: Poly<Ntt>,
    pub(crate) c1: Poly<Ntt>,
    /// Where `c1` came from, while nothing has been computed: halves the size on the wire.
    pub(crate) seed: Option<Seed>,
    pub(crate) level: usize,
    /// Bound on the error of every slot, in units of values.
    pub(crate) error: f64,
    /// Declared bound on the absolute value of every slot.
    pub(crate) magnitude: f64,
    pub(crate) params: ParameterId,
    pub(crate) key: KeyId,
}

impl Ciphertext {
    /// Multiplications it can still take.
    pub fn depth(&self) -> usize {
        self.level
    }
    /// Id of the key it is encrypted under.
    pub fn key_id(&self) -> KeyId {
        self.key
    }
    /// Id of its parameters.
    pub fn parameter_id(&self) -> ParameterId {
        self.params
    }
    /// Whether its second half is still a seed on the wire.
    pub fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }
    /// The two halves `(c0, c1)`: public, for analysis and for other layers over the same ring.
    pub fn halves(&self) -> (&Poly<Ntt>, &Poly<Ntt>) {
        (&self.c0, &self.c1)
    }
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.c0.data()) + size_of_val(self.c1.data())
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Ciphertext(ckks, depth {}, key {})",
            self.level, self.key
        )
    }
}
