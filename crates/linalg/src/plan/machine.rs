//! How long things take: what plans choose by.

use super::Costs;

/// Seconds that things take on one machine. All proportions that plans of [matrix products](super::gemm) rest on are here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Operations on ciphertexts of [`REFERENCE_SLOTS`](Self::REFERENCE_SLOTS) slots, on one thread; others in proportion.
    pub slots: Costs,
    /// A multiply-add modulo one narrow prime, in a large product, on one thread.
    pub narrow_multiply_add: f64,
    /// A key switch of a ring element of [`REFERENCE_LEN`](Self::REFERENCE_LEN) coefficients at one prime and one special
    /// prime, on one thread; others in proportion.
    pub key_switch: f64,
    /// Carrying one coefficient of a product from narrow residues to wide ones and back, and its share of the transforms that
    /// change the format, on one thread.
    pub conversion: f64,
    /// Encrypting a ciphertext of [`REFERENCE_LEN`](Self::REFERENCE_LEN) coefficients to be multiplied in coefficients, and
    /// sending it, on one thread; others in proportion.
    pub encryption: f64,
    /// Threads.
    pub threads: usize,
}

impl Machine {
    /// Slots of the ciphertexts that [`slots`](Self::slots) speaks of (CKKS, ring degree 8192).
    pub const REFERENCE_SLOTS: usize = 4096;
    /// Bytes in memory of such a ciphertext: two polynomials over four primes.
    pub const REFERENCE_BYTES: usize = 2 * 4 * 8192 * 8;
    /// Coefficients of the ring element that [`key_switch`](Self::key_switch) speaks of.
    pub const REFERENCE_LEN: usize = 4096;

    /// One thread of a server's processor with AVX-512 VNNI, at products of 16 to 2048 rows (seconds of the processor, within a
    /// third). With AVX2 alone a multiply-add takes a little longer. Plans on other machines choose alike, and are wrong
    /// about times by what those are faster or slower.
    pub const REFERENCE: Self = Self {
        slots: Costs {
            addition: 10e-6,
            plain_multiplication: 100e-6,
            multiplication: 60e-6,
            relinearization: 900e-6,
            rotation: 800e-6,
            hoisted_rotation: 300e-6,
            summed_rotation: 600e-6,
            combined_product: 15e-6,
            input: 500e-6,
        },
        narrow_multiply_add: 1.0 / 60e9,
        key_switch: 180e-6,
        conversion: 25e-9,
        encryption: 200e-6,
        threads: 1,
    };

    /// [`slots`](Self::slots) for ciphertexts of another size: in proportion to their bytes. A rough figure: key switching grows
    /// a little faster than that.
    #[must_use]
    pub fn costs(&self, ciphertext_bytes: usize) -> Costs {
        self.slots
            .scaled(ciphertext_bytes as f64 / Self::REFERENCE_BYTES as f64)
    }

    /// The same with more threads, which all share the work evenly.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::REFERENCE
    }
}
