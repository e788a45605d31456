use cipherblas_math::sample::Seed;
use cipherblas_rlwe::{Ntt, Poly};
use cipherblas_scheme::wire::{KeyId, ParameterId};
use std::fmt;

/// N/2 encrypted integers at some depth (or two rows of N/2; see
/// [`Evaluator::swap_rows`](crate::Evaluator::swap_rows)).
///
/// Holds the ids of its parameters and of its key, never a key; and two public bounds, on its noise and on its values.
#[derive(Clone)]
pub struct Ciphertext {
    /// One pair of halves for each plaintext modulus.
    pub(crate) parts: Vec<Part>,
    pub(crate) level: usize,
    /// Bound on the noise, in the canonical embedding, under every plaintext modulus.
    pub(crate) noise: f64,
    /// Declared bound on the absolute value of every slot.
    pub(crate) magnitude: f64,
    pub(crate) origin: Origin,
    pub(crate) params: ParameterId,
    pub(crate) key: KeyId,
}

/// Where a ciphertext's bounds are from, and so what they may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Encrypted: as declared, noise as of encryption.
    Fresh,
    /// Read: as they came over the wire.
    Read,
    /// Computed here, from plain operands as well: to be rounded before others see them.
    Computed,
}

/// An encryption modulo one plaintext modulus.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) c0: Poly<Ntt>,
    pub(crate) c1: Poly<Ntt>,
    /// Where `c1` came from, while nothing has been computed: halves the size on the wire.
    pub(crate) seed: Option<Seed>,
}

impl Part {
    pub(crate) fn halves(&self) -> (&Poly<Ntt>, &Poly<Ntt>) {
        (&self.c0, &self.c1)
    }
}

impl From<(Poly<Ntt>, Poly<Ntt>)> for Part {
    fn from((c0, c1): (Poly<Ntt>, Poly<Ntt>)) -> Self {
        Self { c0, c1, seed: None }
    }
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
    /// Whether its second halves are still seeds on the wire.
    pub fn is_seeded(&self) -> bool {
        self.parts.iter().all(|part| part.seed.is_some())
    }
    /// log2 of the bound on its noise, which follows from public data only; compare
    /// [`Params::noise_limit`](crate::Params::noise_limit).
    pub fn noise_bound_bits(&self) -> f64 {
        self.noise.log2()
    }
    /// The two halves `(c0, c1)` under plaintext modulus `index`: public, for analysis and for other layers over the
    /// same ring.
    ///
    /// # Panics
    /// If there is no such modulus.
    pub fn halves(&self, index: usize) -> (&Poly<Ntt>, &Poly<Ntt>) {
        self.parts[index].halves()
    }
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.parts
            .iter()
            .map(|part| size_of_val(part.c0.data()) + size_of_val(part.c1.data()))
            .sum()
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext(bfv, depth {}, key {})", self.level, self.key)
    }
}
