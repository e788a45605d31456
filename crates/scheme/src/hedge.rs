//! Randomness for one object that does not repeat for another, even where the caller's generator does.
//!
//! A generator repeats itself when a virtual machine is restored from a snapshot, a process forks, or a seed is used twice.
//! Two objects made from the same randomness give away the difference of what is in them, in every scheme here. So no
//! object is made from the caller's generator itself: it gives 256 bits, which are hashed with all that the object is made
//! from, and the hash seeds the [`Generator`] that it *is* made from. If the caller's generator is sound, so is this one;
//! if it repeats, different objects still have independent randomness, and equal ones are equal, which is all that is seen
//! (the "hedged" encryption of Bellare, Brakerski, Naor, Ristenpart, Segev, Shacham, Yilek, ASIACRYPT 2009).

use chacha20::ChaCha20Rng;
use rand::rand_core::{Infallible, TryCryptoRng, TryRng};
use rand::{CryptoRng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

/// ChaCha20 for the secrets of one object. Its key and its buffer are overwritten when it is dropped, and lie on the heap,
/// so that passing it on leaves no copy behind. Redacted, not clonable: a copy would repeat it.
///
/// ```compile_fail
/// fn twice(generator: &cipherblas_scheme::hedge::Generator) -> cipherblas_scheme::hedge::Generator {
///     generator.clone()
/// }
/// ```
pub struct Generator(Box<ChaCha20Rng>);

/// A generator for the randomness of one object: seeded by 256 fresh bits of `rng` *and* by all that the object is made
/// from. `domain` names what it is for and is different for every use: a constant of the program. Parts are hashed with
/// their lengths, so that no two lists of parts are alike.
///
/// Cost: about a nanosecond for each byte of the parts. Constant time in them, but for their lengths.
pub fn hedged<R: CryptoRng + ?Sized>(
    domain: &'static str,
    rng: &mut R,
    parts: &[&[u8]],
) -> Generator {
    let mut fresh = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(&mut *fresh);
    let mut own = digest(domain, &[&[&*fresh as &[u8]], parts].concat());
    let generator = Generator(Box::new(ChaCha20Rng::from_seed(*own)));
    own.zeroize();
    generator
}

/// A generator that follows from its parts alone: for choices about an object that whoever made it should not foresee, such
/// as the bases of primality tests. Not for anything that has to stay secret where the parts are known.
pub fn derived(domain: &'static str, parts: &[&[u8]]) -> Generator {
    let mut own = digest(domain, parts);
    let generator = Generator(Box::new(ChaCha20Rng::from_seed(*own)));
    own.zeroize();
    generator
}

/// BLAKE3 of the parts with their lengths, in its key-derivation mode: what [`hedged`] hashes secrets with.
pub fn digest(domain: &'static str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hash = hasher.finalize();
    let out = Zeroizing::new(*hash.as_bytes());
    hash.zeroize();
    hasher.zeroize();
    out
}

/// Words as bytes, little-endian, erased on drop: for values that are parts of an object.
pub fn words(values: impl ExactSizeIterator<Item = u64>) -> Zeroizing<Vec<u8>> {
    // Of its final size at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * values.len()));
    values.for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes
}

impl TryRng for Generator {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Generator {}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generator(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    /// A generator that repeats itself: every byte is the same.
    struct Stuck(u8);
    impl TryRng for Stuck {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(self.0);
            Ok(())
        }
    }
    impl TryCryptoRng for Stuck {}

    #[test]
    fn what_differs_has_other_randomness() {
        let draw = |fresh: u8, domain, parts: &[&[u8]]| {
            let mut out = [0u8; 40];
            hedged(domain, &mut Stuck(fresh), parts).fill_bytes(&mut out);
            out
        };
        let all = [
            draw(0, "a", &[]),
            draw(1, "a", &[]),
            draw(0, "b", &[]),
            draw(0, "a", &[b""]),
            draw(0, "a", &[b"", b""]),
            draw(0, "a", &[b"xy"]),
            draw(0, "a", &[b"x", b"y"]),
            draw(0, "a", &[b"y", b"x"]),
            draw(0, "a", &[b"xy", b""]),
        ];
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(draw(0, "a", &[b"x", b"y"]), all[6]);
    }

    #[test]
    fn the_generator_is_erased_and_says_nothing() {
        fn erased<T: zeroize::ZeroizeOnDrop>() {}
        erased::<ChaCha20Rng>();
        let generator = hedged("a", &mut Stuck(0), &[]);
        assert_eq!(format!("{generator:?}"), "Generator(redacted)");
    }
}
