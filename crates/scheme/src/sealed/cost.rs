use super::COST;
use crate::wire::Reader;
use crate::{Error, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

/// The most memory that a reader takes: 1 GiB.
const MOST_KIB: u32 = 1 << 20;
/// The most work, in KiB times passes: four passes over that. Some seconds.
const MOST_WORK: u64 = 4 << 20;
const MOST_LANES: u32 = 16;
/// The least of [`Cost::new`]: the second choice of RFC 9106.
const LEAST_MIB: u32 = 64;
const LEAST_PASSES: u32 = 3;

/// What one try of a passphrase costs, the owner's and every attacker's: memory and passes of Argon2id. The default is 128 MiB
/// and 3 passes, a fraction of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory_kib: 128 << 10,
            passes: 3,
            lanes: 1,
        }
    }
}

impl Cost {
    /// At least 64 MiB and 3 passes; at most 1 GiB, and four passes over a GiB in all.
    ///
    /// # Errors
    /// `Parameter` for anything else.
    pub fn new(memory_mib: u32, passes: u32) -> Result<Self> {
        let cost = Self {
            memory_kib: memory_mib.saturating_mul(1024),
            passes,
            lanes: 1,
        };
        if memory_mib >= LEAST_MIB && passes >= LEAST_PASSES && cost.allowed() {
            return Ok(cost);
        }
        Err(Error::Parameter {
            what: "cost of a passphrase",
            got: format!("{memory_mib} MiB and {passes} passes"),
            expected: format!(
                "{LEAST_MIB} to 1024 MiB, {LEAST_PASSES} passes or more, 4096 MiB times passes at most"
            ),
            hint: "the default is 128 MiB and 3 passes",
        })
    }

    /// So little that passphrases are guessed at leisure: for tests, and for "passphrases" of 128 random bits.
    ///
    /// # Errors
    /// `Parameter` for less than 8 KiB or no pass, or more than readers take.
    pub fn insecure_new(memory_kib: u32, passes: u32) -> Result<Self> {
        let cost = Self {
            memory_kib,
            passes,
            lanes: 1,
        };
        if cost.allowed() {
            return Ok(cost);
        }
        Err(Error::Parameter {
            what: "cost of a passphrase",
            got: format!("{memory_kib} KiB and {passes} passes"),
            expected: format!("8 KiB to {MOST_KIB} KiB, one pass or more, {MOST_WORK} KiB in all"),
            hint: "the default is 128 MiB and 3 passes",
        })
    }

    /// Memory in KiB.
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }
    /// Passes over the memory.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    fn allowed(&self) -> bool {
        (1..=MOST_LANES).contains(&self.lanes)
            && (8 * self.lanes..=MOST_KIB).contains(&self.memory_kib)
            && self.passes >= 1
            && u64::from(self.memory_kib) * u64::from(self.passes) <= MOST_WORK
    }

    pub(super) fn to_bytes(self) -> [u8; COST] {
        let mut bytes = [0; COST];
        let numbers = [self.memory_kib, self.passes, self.lanes];
        for (out, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            out.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads a cost, refusing what would take a reader's memory or time.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let cost = Self {
            memory_kib: reader.u32()?,
            passes: reader.u32()?,
            lanes: reader.u32()?,
        };
        if cost.allowed() {
            return Ok(cost);
        }
        Err(reader.error(
            format!(
                "a passphrase of {} KiB, {} passes and {} lanes",
                cost.memory_kib, cost.passes, cost.lanes
            ),
            format!(
                "8 to {MOST_KIB} KiB, {MOST_WORK} KiB times passes at most, 1 to {MOST_LANES} lanes"
            ),
        ))
    }

    /// The key that passphrase and salt give.
    pub(super) fn stretch(&self, passphrase: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let refuse = |got: String| Error::Parameter {
            what: "passphrase",
            got,
            expected: format!(
                "one to 2^32 - 1 bytes, and {} KiB of memory",
                self.memory_kib
            ),
            hint: "free some memory: opening a key takes as much as it was sealed with",
        };
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|e| refuse(e.to_string()))?;
        let mut blocks: Vec<Block> = Vec::new();
        blocks
            .try_reserve_exact(params.block_count())
            .map_err(|e| refuse(e.to_string()))?;
        blocks.resize(params.block_count(), Block::new());
        let mut key = Zeroizing::new([0; 32]);
        let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, &mut *key, &mut blocks[..]);
        blocks.zeroize();
        result.map_err(|e| refuse(e.to_string()))?;
        Ok(key)
    }
}
