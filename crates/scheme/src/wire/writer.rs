use super::Header;

/// Writes a payload.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty payload with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends 2 bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends 4 bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends 8 bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends the 8 bytes of a double's bit pattern.
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends bytes whose number the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a length (8 bytes) and that many bytes: what [`Reader::bytes`](super::Reader::bytes) reads.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Appends `values` with `bits` bits each, the lowest first, without gaps; zero bits fill the last byte.
    /// `n` values take `ceil(n * bits / 8)` bytes ([`residues_len`](Self::residues_len)).
    ///
    /// # Panics
    /// If `bits` is not in `1..=64`, or a value needs more.
    pub fn residues(&mut self, bits: u32, values: impl IntoIterator<Item = u64>) {
        assert!(
            (1..=64).contains(&bits),
            "got {bits} bits, expected 1 to 64"
        );
        let values = values.into_iter();
        let expected = Self::residues_len(bits, values.size_hint().0).unwrap_or(0);
        self.bytes.reserve(expected);
        let (mut word, mut filled) = (0u64, 0u32);
        let mut all = 0;
        for value in values {
            all |= value;
            word |= value << filled;
            filled += bits;
            if filled >= 64 {
                self.bytes.extend_from_slice(&word.to_le_bytes());
                filled -= 64;
                // The bits that did not fit; none if the word was filled exactly.
                word = value.checked_shr(bits - filled).unwrap_or(0);
            }
        }
        assert!(
            all.checked_shr(bits).unwrap_or(0) == 0,
            "a value does not fit {bits} bits"
        );
        let rest = filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&word.to_le_bytes()[..rest]);
    }

    /// Bytes that [`residues`](Self::residues) takes for `count` values; `None` if they cannot be counted.
    pub fn residues_len(bits: u32, count: usize) -> Option<usize> {
        let whole = (count / 8).checked_mul(bits as usize)?;
        whole.checked_add((count % 8 * bits as usize).div_ceil(8))
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The payload without an envelope.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Makes room for so many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// The payload in an envelope.
    pub fn seal(self, header: &Header) -> Vec<u8> {
        super::envelope::seal_in_place(header, self.bytes)
    }
}
