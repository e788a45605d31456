use std::collections::BTreeSet;

/// Which evaluation keys a computation needs: what a plan lists and a secret key makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    /// Whether ciphertexts are multiplied with each other.
    pub relinearization: bool,
    /// Rotation steps, in slots; multiples of the slot count need no key.
    pub rotations: BTreeSet<i64>,
    /// Whether slots are conjugated.
    pub conjugation: bool,
}

impl KeySet {
    /// The keys of both sets.
    pub fn union(mut self, other: &Self) -> Self {
        self.relinearization |= other.relinearization;
        self.conjugation |= other.conjugation;
        self.rotations.extend(&other.rotations);
        self
    }
}
