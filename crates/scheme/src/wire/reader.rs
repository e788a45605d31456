use super::Writer;
use crate::{Error, Result};

/// Reads a payload that nobody vouches for: every read is checked against the bytes that are left, and nothing is
/// allocated but by the caller.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `payload`; `what` names the object in errors.
    pub fn new(what: &'static str, payload: &'a [u8]) -> Self {
        Self {
            what,
            rest: payload,
        }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The error for something else that is wrong with the object.
    pub fn error(&self, got: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Wire {
            what: self.what,
            got: got.into(),
            expected: expected.into(),
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.short(format!("{count} more bytes")));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.short(format!("{N} more bytes")));
        };
        self.rest = rest;
        Ok(*bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// `Wire` at the end.
    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// 2 bytes.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// 4 bytes.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// 8 bytes.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A finite double.
    ///
    /// # Errors
    /// `Wire` if fewer than 8 bytes are left, or the number is NaN or infinite.
    pub fn f64(&mut self) -> Result<f64> {
        let value = self.array().map(f64::from_le_bytes)?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.error(value.to_string(), "a finite number"))
        }
    }

    /// A number of items (8 bytes) that take at least `item_bytes` each: more than the bytes left can hold are refused
    /// here, so that the caller may allocate for that many.
    ///
    /// # Errors
    /// `Wire`.
    pub fn length(&mut self, item_bytes: usize) -> Result<usize> {
        let declared = self.u64()?;
        let most = self.rest.len() / item_bytes.max(1);
        match usize::try_from(declared) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self.error(
                format!("{declared} items declared"),
                format!("at most {most}, for which there are bytes"),
            )),
        }
    }

    /// A length (8 bytes) and that many bytes: what [`Writer::bytes`] wrote.
    ///
    /// # Errors
    /// `Wire` if fewer are left.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.length(1)?;
        self.raw(count)
    }

    /// Fills `out` with residues of `bits` bits each: what [`Writer::residues`] wrote.
    ///
    /// # Errors
    /// `Wire` if bytes are missing, a residue is `limit` or more, or the bits that fill the last byte are not zero.
    /// What `out` then holds is not to be used.
    pub fn residues(&mut self, bits: u32, limit: u64, out: &mut [u64]) -> Result<()> {
        let count = out.len();
        let mut slots = out.iter_mut();
        self.residues_with(bits, limit, count, |value| {
            if let Some(slot) = slots.next() {
                *slot = value;
            }
        })
    }

    /// As [`residues`](Self::residues), giving each of `count` values to `take` in turn; values may have been taken
    /// before an error is found.
    ///
    /// # Errors
    /// As [`residues`](Self::residues); `Parameter` if `bits` is not in `1..=64`.
    pub fn residues_with(
        &mut self,
        bits: u32,
        limit: u64,
        count: usize,
        mut take: impl FnMut(u64),
    ) -> Result<()> {
        if !(1..=64).contains(&bits) {
            return Err(Error::Parameter {
                what: "bits of a residue",
                got: bits.to_string(),
                expected: "1 to 64".into(),
                hint: "pass the bit length of the modulus",
            });
        }
        let Some(length) = Writer::residues_len(bits, count) else {
            return Err(self.short(format!("{count} residues of {bits} bits")));
        };
        let packed = self.raw(length)?;
        let mask = u64::MAX >> (64 - bits);
        let mut words = packed.chunks(8).map(|chunk| match chunk.try_into() {
            Ok(whole) => u64::from_le_bytes(whole),
            Err(_) => chunk
                .iter()
                .rev()
                .fold(0, |word, &b| word << 8 | u64::from(b)),
        });
        let (mut word, mut available) = (0u64, 0u32);
        let mut first_bad = None;
        for index in 0..count {
            let value = if available >= bits {
                let value = word & mask;
                word = word.checked_shr(bits).unwrap_or(0);
                available -= bits;
                value
            } else {
                // The length was checked: a word is there whenever bits are missing.
                let next = words.next().unwrap_or(0);
                let value = (word | next.checked_shl(available).unwrap_or(0)) & mask;
                let used = bits - available;
                word = next.checked_shr(used).unwrap_or(0);
                available = 64 - used;
                value
            };
            if value >= limit && first_bad.is_none() {
                first_bad = Some((index, value));
            }
            take(value);
        }
        if let Some((index, value)) = first_bad {
            return Err(self.error(
                format!("residue {value} at index {index}"),
                format!("less than {limit}"),
            ));
        }
        if word != 0 {
            return Err(self.error("non-zero padding after residues", "zero bits"));
        }
        Ok(())
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// `Wire` if bytes are left.
    pub fn expect_end(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(format!("{} more bytes", self.rest.len()), "the end"))
    }

    fn short(&self, expected: String) -> Error {
        self.error(format!("{} bytes left", self.rest.len()), expected)
    }
}
