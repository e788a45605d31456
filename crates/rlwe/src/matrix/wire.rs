//! Blocks to bytes and back: shape and level, then residues of 14 bits each; a half that came from a seed stays a seed.
//!
//! ```text
//! size
//!    8  lines
//!    4  values in a line
//!    4  grid
//!    1  layout: 0 packed, 1 single
//!    1  level
//!    1  1 if the second half is a seed: of packed lines, or of N / 16 values and more
//!    :  first halves: by prime, ciphertext, coefficients held; each ciphertext's packed to whole bytes
//!    :  second halves: 32 bytes of seed, or as the first with N coefficients
//! ```

use super::block::{Block, Shape};
use super::encrypt::expand;
use super::ring::MatrixRing;
use cipherblas_math::narrow::Prime;
use cipherblas_math::sample::Seed;
use cipherblas_scheme::wire::{KeyId, Reader, Writer};
use cipherblas_scheme::{Lines, Result};
use rayon::prelude::*;
use std::sync::Arc;

/// Bits of a narrow residue.
const BITS: u32 = 14;
/// Bytes before the residues.
const HEAD: usize = 19;
const SEED: usize = 32;

/// Bytes of one ciphertext's `coefficients` modulo one prime; `None` if they cannot be counted.
fn row_bytes(coefficients: usize) -> Option<usize> {
    Writer::residues_len(BITS, coefficients)
}

/// Bytes of a block; `None` if they cannot be counted.
pub fn block_bytes(ring: &MatrixRing, shape: Shape, level: usize, seeded: bool) -> Option<usize> {
    let n = ring.degree();
    let rows = ring.narrow_len(level).checked_mul(shape.ciphertexts(n))?;
    let first = rows.checked_mul(row_bytes(shape.held(n))?)?;
    let second = if seeded {
        SEED
    } else {
        rows.checked_mul(row_bytes(n)?)?
    };
    first.checked_add(second)?.checked_add(HEAD)
}

/// Appends a block.
pub fn write_block(writer: &mut Writer, block: &Block) {
    let shape = block.shape;
    writer.u64(shape.lines as u64);
    writer.u32(shape.len as u32);
    writer.u32(shape.padded as u32);
    writer.u8(match shape.layout {
        Lines::Packed => 0,
        Lines::Single => 1,
    });
    writer.u8(block.level as u8);
    writer.u8(u8::from(block.seed.is_some()));
    let n = block.degree();
    write_rows(writer, block, &block.b, shape.held(n));
    match &block.seed {
        Some(seed) => writer.raw(seed.as_bytes()),
        None => write_rows(writer, block, &block.a, n),
    }
}

fn write_rows(writer: &mut Writer, block: &Block, residues: &[i16], cols: usize) {
    let count = block.ciphertexts();
    // Some rows at a time: all of them packed apart would double the memory.
    const AT_A_TIME: usize = 256;
    for (part, rows) in residues.chunks(AT_A_TIME * cols).enumerate() {
        let packed: Vec<Vec<u8>> = rows
            .par_chunks(cols)
            .enumerate()
            .map(|(row, x)| {
                let prime = block.ring.prime((part * AT_A_TIME + row) / count);
                let p = prime.value();
                let mut out = Writer::new();
                out.residues(BITS, x.iter().map(|&x| (x + (p & (x >> 15))) as u64));
                out.into_bytes()
            })
            .collect();
        packed.iter().for_each(|bytes| writer.raw(bytes));
    }
}

/// Reads a block of the key `key`. Sizes are compared with the bytes that are there before anything is allocated, and at most
/// [`EXPANSION`](super::EXPANSION) times as many are.
///
/// # Errors
/// `Wire`: bytes missing, a shape that does not fit the ring, a level that it does not have, a residue not below its prime, a
/// seed where the block would be far larger than the message.
pub fn read_block(reader: &mut Reader<'_>, ring: &Arc<MatrixRing>, key: KeyId) -> Result<Block> {
    let n = ring.degree();
    let lines = reader.u64()?;
    let (len, padded) = (reader.u32()? as usize, reader.u32()? as usize);
    let layout = match reader.u8()? {
        0 => Lines::Packed,
        1 => Lines::Single,
        other => return Err(reader.error(format!("layout {other}"), "0 or 1")),
    };
    let level = usize::from(reader.u8()?);
    let seeded = match reader.u8()? {
        0 => false,
        1 => true,
        other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
    };
    if level > ring.max_level() {
        return Err(reader.error(
            format!("level {level}"),
            format!("at most {}", ring.max_level()),
        ));
    }
    let shape = usize::try_from(lines).ok().map(|lines| Shape {
        lines,
        len,
        padded,
        layout,
    });
    let shape = shape
        .filter(|s| s.check("read", n).is_ok())
        .ok_or_else(|| {
            reader.error(
                format!("{lines} lines of {len} values on a grid of {padded}"),
                "a shape that fits the ring",
            )
        })?;
    if seeded && !shape.seedable(n) {
        return Err(reader.error(
            format!("a seed of second halves for lines of {len} values, one in a ciphertext"),
            format!(
                "second halves, or lines of at least {} values",
                n.div_ceil(16)
            ),
        ));
    }
    let needed = block_bytes(ring, shape, level, seeded).map(|all| all - HEAD);
    if needed.is_none_or(|needed| needed > reader.remaining()) {
        return Err(reader.error(
            format!("{} bytes left", reader.remaining()),
            format!("{} lines of {len} values at level {level}", shape.lines),
        ));
    }
    let count = shape.ciphertexts(n);
    let b = read_rows(reader, ring, level, count, shape.held(n))?;
    let (a, seed) = if seeded {
        let seed = Seed::from_bytes(reader.array()?);
        (expand(ring, level, count, &seed), Some(seed))
    } else {
        (read_rows(reader, ring, level, count, n)?, None)
    };
    Ok(Block {
        ring: ring.clone(),
        key,
        shape,
        level,
        b: Arc::new(b),
        a: Arc::new(a),
        seed,
    })
}

fn read_rows(
    reader: &mut Reader<'_>,
    ring: &MatrixRing,
    level: usize,
    count: usize,
    cols: usize,
) -> Result<Vec<i16>> {
    let rows = ring.narrow_len(level) * count;
    let bytes = row_bytes(cols).unwrap_or(usize::MAX);
    let packed = reader.raw(rows.saturating_mul(bytes))?;
    let mut out = vec![0i16; rows * cols];
    out.par_chunks_mut(cols)
        .zip(packed.par_chunks(bytes))
        .enumerate()
        .try_for_each(|(row, (out, bytes))| read_row(ring.prime(row / count), bytes, out))?;
    Ok(out)
}

fn read_row(prime: Prime, bytes: &[u8], out: &mut [i16]) -> Result<()> {
    let (p, half) = (prime.value(), prime.half());
    let count = out.len();
    let mut slots = out.iter_mut();
    Reader::new("encrypted block", bytes).residues_with(BITS, p as u64, count, |x| {
        if let Some(slot) = slots.next() {
            let x = x as i16;
            *slot = x - (p & -i16::from(x > half));
        }
    })
}
