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
    /// The keys with which everything can be computed, if not in the fastest way: relinearization, and rotations by every
    /// power of two below `slots`, in both directions, of which [`Guarded`](crate::guard::Guarded) puts the others
    /// together. By half of the slots, both directions are one. About `2 log2(slots)` keys.
    pub fn powers_of_two(slots: usize) -> Self {
        let below = |k: &u32| slots as u128 > 1 << k;
        let half = |step: &i64| step.unsigned_abs() as u128 * 2 < slots as u128;
        let forward: Vec<i64> = (0..63).take_while(below).map(|k| 1 << k).collect();
        let back = forward.iter().copied().filter(half).map(|step| -step);
        Self {
            relinearization: true,
            rotations: back.chain(forward.iter().copied()).collect(),
            conjugation: false,
        }
    }

    /// The keys of both sets.
    pub fn union(mut self, other: &Self) -> Self {
        self.relinearization |= other.relinearization;
        self.conjugation |= other.conjugation;
        self.rotations.extend(&other.rotations);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_in_both_directions() {
        let steps = |slots| KeySet::powers_of_two(slots).rotations;
        assert_eq!(steps(1), BTreeSet::new());
        assert_eq!(steps(2), [1].into());
        assert_eq!(steps(4), [-1, 1, 2].into());
        assert_eq!(steps(16), [-4, -2, -1, 1, 2, 4, 8].into());
        assert!(KeySet::powers_of_two(8).relinearization && !KeySet::powers_of_two(8).conjugation);
    }
}
