//! Encrypted arrays to bytes and back: shape and packing, then every ciphertext in its own envelope.

use crate::encrypted::{EncryptedMatrix, EncryptedVector};
use crate::packing::{Diagonal, Factor, MatrixPacking, Order, Skewed, Tile, VectorPacking};
use crate::shape::check_dims;
use cipherblas_scheme::wire::{Expected, Header, Kind, Reader, Writer, seal_around, sealed_len};
use cipherblas_scheme::{Error, Result, Wire};

/// Code of the first skewed packing: factor, order and layers are in three bits.
const SKEWED: u8 = 8;
const SKEWED_END: u8 = 16;

/// Seals a shape and serialized parts, at least one, in an envelope with their parameters and key.
pub(crate) fn seal(
    kind: Kind,
    shape: Writer,
    parts: impl Iterator<Item = Result<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let count = parts.size_hint().0;
    let mut writer = shape;
    let mut header = None;
    for bytes in parts {
        let bytes = bytes?;
        if header.is_none() {
            let inner = Header::peek(&bytes)?;
            writer.reserve(sealed_len(64 + count * (bytes.len() + size_of::<u64>())));
            header = Some(Header::new(kind, inner.scheme, inner.parameters, inner.key));
        }
        writer.bytes(&bytes);
    }
    let header = header.expect("an array has at least one part");
    Ok(writer.seal(&header))
}

/// Writes an object to the bytes it is given.
pub type Fill<'a> = dyn FnMut(&mut [u8]) + Send + 'a;
/// Makes room for so many bytes, has them filled, and returns what holds them.
pub type Place<'a, T> = dyn FnMut(usize, &mut Fill<'_>) -> Result<T> + 'a;

/// As [`seal`], to where `place` says, with no buffer between. Parts of one length, as they mostly are, are written one after
/// another; others are collected first.
pub(crate) fn seal_in<T>(
    kind: Kind,
    shape: Writer,
    count: usize,
    part: impl Fn(usize) -> Vec<u8> + Sync,
    place: &mut Place<'_, T>,
) -> Result<T> {
    const LENGTH: usize = size_of::<u64>();
    let shape = shape.into_bytes();
    let first = part(0);
    let inner = Header::peek(&first)?;
    let header = Header::new(kind, inner.scheme, inner.parameters, inner.key);
    let each = first.len();
    let payload = shape.len() + count * (LENGTH + each);
    let mut even = true;
    let placed = place(sealed_len(payload), &mut |out: &mut [u8]| {
        let at = out.len() - payload;
        let (before, slots) = out[at..].split_at_mut(shape.len());
        before.copy_from_slice(&shape);
        for (k, slot) in slots.chunks_exact_mut(LENGTH + each).enumerate() {
            let later = (k > 0).then(|| part(k));
            let bytes = later.as_ref().unwrap_or(&first);
            if bytes.len() != each {
                even = false;
                return;
            }
            let (length, body) = slot.split_at_mut(LENGTH);
            length.copy_from_slice(&(each as u64).to_le_bytes());
            body.copy_from_slice(bytes);
        }
        seal_around(&header, out, payload);
    })?;
    if even {
        return Ok(placed);
    }
    let mut writer = Writer::new();
    writer.raw(&shape);
    let bytes = seal(kind, writer, (0..count).map(|k| Ok(part(k))))?;
    place(bytes.len(), &mut |out: &mut [u8]| {
        out.copy_from_slice(&bytes)
    })
}

/// Opens an envelope of `kind`, whatever scheme and key it names: the ciphertexts inside are checked against the evaluator,
/// and have to name the same.
pub(crate) fn open(kind: Kind, bytes: &[u8]) -> Result<(Header, &[u8])> {
    let header = Header::peek(bytes)?;
    let expected = Expected {
        kind,
        scheme: header.scheme,
        parameters: None,
        key: None,
    };
    expected.open(bytes)
}

pub(crate) fn size(reader: &mut Reader<'_>) -> Result<usize> {
    let declared = reader.u64()?;
    usize::try_from(declared)
        .ok()
        .filter(|&n| n > 0 && n <= isize::MAX as usize / 8)
        .ok_or_else(|| {
            reader.error(
                declared.to_string(),
                "a dimension: positive, fits in memory",
            )
        })
}

/// A shape or packing that does not exist is malformed bytes.
pub(crate) fn exists<T>(reader: &Reader<'_>, shape: Result<T>) -> Result<T> {
    shape.map_err(|e| match e {
        Error::Shape { got, expected, .. } => reader.error(got, expected),
        e => e,
    })
}

/// Reads `count` parts and the end; `read` reads one.
pub(crate) fn parts<T>(
    outer: &Header,
    mut reader: Reader<'_>,
    count: usize,
    mut read: impl FnMut(&[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let most = reader.remaining() / Header::LEN;
    if count > most {
        return Err(reader.error(
            format!("a shape of {count} ciphertexts"),
            format!("at most {most}, for which there are bytes"),
        ));
    }
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = reader.bytes()?;
        let inner = Header::peek(bytes)?;
        if (inner.scheme, inner.parameters, inner.key)
            != (outer.scheme, outer.parameters, outer.key)
        {
            return Err(reader.error(
                format!("a ciphertext of key {}", inner.key),
                format!("key {}, as the array says", outer.key),
            ));
        }
        parts.push(read(bytes)?);
    }
    reader.expect_end()?;
    Ok(parts)
}

impl<S: Wire> EncryptedVector<S> {
    /// The vector in an envelope that names parameters and key; the evaluator stays behind.
    ///
    /// # Errors
    /// None for ciphertexts that the scheme wrote correctly.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let ev = self.evaluator();
        let parts = self.ciphertexts().map(|ct| Ok(ev.write_ciphertext(ct)));
        seal(Kind::Vector, self.shape_bytes(), parts)
    }

    pub(crate) fn shape_bytes(&self) -> Writer {
        let mut shape = Writer::new();
        shape.u64(self.len() as u64);
        shape.u64(self.packing().repeat() as u64);
        shape.u64(self.packing().period() as u64);
        shape
    }

    /// Reads and checks a vector, and binds it to `evaluator`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(evaluator: &S, bytes: &[u8]) -> Result<Self> {
        let (header, payload) = open(Kind::Vector, bytes)?;
        let mut reader = Reader::new("encrypted vector", payload);
        let len = size(&mut reader)?;
        let (repeat, period) = (size(&mut reader)?, size(&mut reader)?);
        let packing = exists(&reader, VectorPacking::new(repeat, period))?;
        exists(&reader, packing.check_slots(evaluator.slots()))?;
        let cts = parts(&header, reader, packing.blocks(len), |bytes| {
            evaluator.read_ciphertext(bytes)
        })?;
        Self::from_ciphertexts(evaluator.clone(), len, packing, cts)
    }
}

impl<S: Wire> EncryptedMatrix<S> {
    /// The matrix in an envelope that names parameters and key; the evaluator stays behind.
    ///
    /// # Errors
    /// None for ciphertexts that the scheme wrote correctly.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let ev = self.evaluator();
        let parts = self.ciphertexts().map(|ct| Ok(ev.write_ciphertext(ct)));
        seal(Kind::Matrix, self.shape_bytes(), parts)
    }

    pub(crate) fn shape_bytes(&self) -> Writer {
        let mut shape = Writer::new();
        shape.u64(self.rows() as u64);
        shape.u64(self.cols() as u64);
        let (code, parts) = match self.packing() {
            MatrixPacking::Tile(t) => (
                match t.order() {
                    Order::RowMajor => 0,
                    Order::ColumnMajor => 1,
                },
                [t.repeat(), t.inner(), t.outer()],
            ),
            MatrixPacking::Diagonal(d) => (2, [d.block_rows(), d.block_cols(), d.baby()]),
            MatrixPacking::Skewed(k) => {
                let (rows, inner, cols) = k.dimensions();
                let bits = u8::from(k.factor() == Factor::Right)
                    | u8::from(k.order() == Order::ColumnMajor) << 1
                    | u8::from(k.layered()) << 2;
                (SKEWED + bits, [rows, inner, cols])
            }
        };
        shape.u8(code);
        parts.iter().for_each(|&n| shape.u64(n as u64));
        shape
    }

    /// Reads and checks a matrix, and binds it to `evaluator`.
    ///
    /// # Errors
    /// `Wire`, `KeyMismatch`.
    pub fn from_bytes(evaluator: &S, bytes: &[u8]) -> Result<Self> {
        let (header, payload) = open(Kind::Matrix, bytes)?;
        let mut reader = Reader::new("encrypted matrix", payload);
        let (rows, cols) = (size(&mut reader)?, size(&mut reader)?);
        exists(&reader, check_dims("encrypted matrix", rows, cols))?;
        let code = reader.u8()?;
        let (a, b, c) = (size(&mut reader)?, size(&mut reader)?, size(&mut reader)?);
        let packing = match code {
            0 => Tile::new(Order::RowMajor, a, b, c).map(MatrixPacking::from),
            1 => Tile::new(Order::ColumnMajor, a, b, c).map(MatrixPacking::from),
            2 => Diagonal::new(a, b, c).map(MatrixPacking::from),
            SKEWED..SKEWED_END => {
                let bit = |n: u8| (code - SKEWED) >> n & 1 == 1;
                let factor = if bit(0) { Factor::Right } else { Factor::Left };
                let order = if bit(1) {
                    Order::ColumnMajor
                } else {
                    Order::RowMajor
                };
                Skewed::new(factor, order, (a, b, c), bit(2)).map(MatrixPacking::from)
            }
            _ => {
                return Err(reader.error(
                    format!("packing {code}"),
                    format!("0 to 2, or {SKEWED} to {}", SKEWED_END - 1),
                ));
            }
        };
        let packing = exists(&reader, packing)?;
        exists(&reader, packing.check_slots(evaluator.slots()))?;
        let count = packing.blocks(rows, cols);
        let cts = parts(&header, reader, count, |bytes| {
            evaluator.read_ciphertext(bytes)
        })?;
        Self::from_ciphertexts(evaluator.clone(), rows, cols, packing, cts)
    }
}
