//! Polynomials and keys to bytes and back. Counts and sizes are derived from the ring, never read from the bytes; residues
//! are packed to the width of their prime and checked to be below it; halves that came from a seed stay a seed.

use crate::evaluation::{EvaluationKeys, galois_elements};
use crate::keys::{PublicKey, SecretKey, expand};
use crate::poly::{Basis, Ntt, Poly};
use crate::ring::Ring;
use crate::switch::KeySwitchKey;
use cipherblas_math::sample::Seed;
use cipherblas_scheme::wire::{KeyId, Reader, Writer};
use cipherblas_scheme::{KeySet, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a polynomial over `basis`.
pub fn poly_bytes(ring: &Ring, basis: Basis) -> usize {
    (0..basis.len())
        .map(|k| {
            let bits = ring.moduli()[ring.index(basis, k)].bits();
            Writer::residues_len(bits, ring.degree()).unwrap_or(usize::MAX)
        })
        .fold(0, usize::saturating_add)
}

/// Appends canonical residues, limb by limb.
pub fn write_poly(writer: &mut Writer, poly: &Poly<Ntt>) {
    let ring = poly.ring();
    let limbs: Vec<Vec<u8>> = (0..poly.basis().len())
        .into_par_iter()
        .map(|k| {
            let modulus = ring.moduli()[ring.index(poly.basis(), k)];
            let mut part = Writer::with_capacity(ring.degree() * 7);
            part.residues(
                modulus.bits(),
                poly.limb(k).iter().map(|&x| modulus.canonical(x)),
            );
            part.into_bytes()
        })
        .collect();
    limbs.iter().for_each(|bytes| writer.raw(bytes));
}

/// Reads a polynomial over `basis`. Allocates only once the bytes are known to be there.
///
/// # Errors
/// `Wire` if bytes are missing or a residue is not below its prime.
pub fn read_poly(reader: &mut Reader<'_>, ring: &Arc<Ring>, basis: Basis) -> Result<Poly<Ntt>> {
    let n = ring.degree();
    let mut parts = Vec::with_capacity(basis.len());
    for k in 0..basis.len() {
        let bits = ring.moduli()[ring.index(basis, k)].bits();
        parts.push(reader.raw(Writer::residues_len(bits, n).unwrap_or(usize::MAX))?);
    }
    let mut poly = Poly::dirty(ring, basis);
    poly.data_mut()
        .par_chunks_mut(n)
        .zip(parts)
        .enumerate()
        .try_for_each(|(k, (limb, bytes))| {
            let modulus = ring.moduli()[ring.index(basis, k)];
            let mut part = Reader::new("polynomial", bytes);
            let mut slots = limb.iter_mut();
            part.residues_with(modulus.bits(), modulus.value(), n, |x| {
                if let Some(slot) = slots.next() {
                    // A value out of range is reported after it was seen; what it leaves here is dropped with the error.
                    *slot = if x < modulus.value() {
                        modulus.residue(x)
                    } else {
                        0.0
                    };
                }
            })
        })?;
    Ok(poly)
}

fn write_seed(writer: &mut Writer, seed: &Seed) {
    writer.raw(seed.as_bytes());
}

/// Reads a seed.
///
/// # Errors
/// `Wire` if bytes are missing.
pub fn read_seed(reader: &mut Reader<'_>) -> Result<Seed> {
    Ok(Seed::from_bytes(reader.array::<32>()?))
}

/// The uniform half of a seeded ciphertext at `level`.
pub fn expand_half(ring: &Arc<Ring>, level: usize, seed: &Seed) -> Poly<Ntt> {
    expand(ring, ring.basis(level), seed, 0)
}

/// Appends a public key: its seed and its first half.
pub fn write_public_key(writer: &mut Writer, key: &PublicKey) {
    write_seed(writer, &key.seed);
    write_poly(writer, &key.b);
}

/// Reads a public key.
///
/// # Errors
/// `Wire`.
pub fn read_public_key(reader: &mut Reader<'_>, ring: &Arc<Ring>, id: KeyId) -> Result<PublicKey> {
    let basis = Basis {
        q: ring.q_len(),
        p: 1,
    };
    let seed = read_seed(reader)?;
    let b = read_poly(reader, ring, basis)?;
    Ok(PublicKey {
        b,
        a: expand(ring, basis, &seed, 0),
        seed,
        id,
    })
}

fn write_switch(writer: &mut Writer, key: &KeySwitchKey) {
    write_seed(writer, &key.seed);
    key.b.iter().for_each(|b| write_poly(writer, b));
}

fn read_switch(reader: &mut Reader<'_>, ring: &Arc<Ring>) -> Result<KeySwitchKey> {
    let seed = read_seed(reader)?;
    let b = (0..ring.digit_count())
        .map(|_| read_poly(reader, ring, ring.full_basis()))
        .collect::<Result<_>>()?;
    Ok(KeySwitchKey::from_parts(ring, b, seed))
}

/// Bytes of one key-switching key.
pub fn switch_bytes(ring: &Ring) -> usize {
    32 + ring.digit_count() * poly_bytes(ring, ring.full_basis())
}

/// Bytes of the evaluation keys of a set.
pub fn evaluation_bytes(ring: &Ring, set: &KeySet) -> usize {
    let galois = galois_elements(set, ring).len();
    5 + 4 * galois + (galois + usize::from(set.relinearization)) * switch_bytes(ring)
}

/// Appends evaluation keys: whether there is a relinearization key, the Galois elements in ascending order, the keys.
pub fn write_evaluation_keys(writer: &mut Writer, keys: &EvaluationKeys) {
    writer.u8(u8::from(keys.relinearization.is_some()));
    writer.u32(keys.galois.len() as u32);
    keys.galois.keys().for_each(|&g| writer.u32(g as u32));
    keys.relinearization
        .iter()
        .chain(keys.galois.values())
        .for_each(|key| write_switch(writer, key));
}

/// Reads evaluation keys.
///
/// # Errors
/// `Wire`: bytes missing, elements not odd, below 2N and ascending, residues out of range.
pub fn read_evaluation_keys(
    reader: &mut Reader<'_>,
    ring: &Arc<Ring>,
    id: KeyId,
) -> Result<EvaluationKeys> {
    let relinearize = match reader.u8()? {
        0 => false,
        1 => true,
        other => return Err(reader.error(format!("flag {other}"), "0 or 1")),
    };
    let count = reader.u32()? as usize;
    let needed = (count + usize::from(relinearize))
        .checked_mul(switch_bytes(ring))
        .and_then(|b| b.checked_add(4 * count));
    if count >= ring.degree() || needed != Some(reader.remaining()) {
        return Err(reader.error(
            format!("{count} Galois keys in {} bytes", reader.remaining()),
            format!("{} bytes for each key", switch_bytes(ring)),
        ));
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let g = u64::from(reader.u32()?);
        if g % 2 == 0
            || g == 1
            || g >= 2 * ring.degree() as u64
            || elements.last().is_some_and(|&last| g <= last)
        {
            return Err(reader.error(
                format!("Galois element {g}"),
                "odd elements below 2N, ascending",
            ));
        }
        elements.push(g);
    }
    let relinearization = if relinearize {
        Some(read_switch(reader, ring)?)
    } else {
        None
    };
    let mut galois = BTreeMap::new();
    for g in elements {
        galois.insert(g, read_switch(reader, ring)?);
    }
    Ok(EvaluationKeys {
        ring: ring.clone(),
        id,
        parameters: None,
        relinearization,
        galois,
    })
}

/// Bytes of a secret key.
pub fn secret_key_bytes(ring: &Ring) -> usize {
    ring.degree().div_ceil(4)
}

/// **Exposes the secret**, for [`sealed`](cipherblas_scheme::sealed): coefficients plus one, two bits each, the lowest first.
/// Constant time in them. `room` bytes are reserved at the end, so that what is appended leaves no copy behind.
pub fn expose_secret_key(key: &SecretKey, room: usize) -> Zeroizing<Vec<u8>> {
    let coefficients = key.expose_coefficients();
    let mut bytes = Zeroizing::new(Vec::with_capacity(secret_key_bytes(key.ring()) + room));
    bytes.extend(coefficients.chunks(4).map(|four| {
        let digits = four.iter().enumerate();
        digits.fold(0u8, |byte, (i, &c)| byte | ((c + 1) as u8) << (2 * i))
    }));
    bytes
}

/// Reads what [`expose_secret_key`] wrote; constant time in the coefficients, but for that they are none.
///
/// # Errors
/// `Wire` if bytes are missing, or they are no ternary coefficients of ordinary norm.
pub fn read_secret_key(reader: &mut Reader<'_>, ring: &Arc<Ring>, id: KeyId) -> Result<SecretKey> {
    let bytes = reader.raw(secret_key_bytes(ring))?;
    let mut coefficients = Zeroizing::new(vec![0i8; ring.degree()]);
    for (four, byte) in coefficients.chunks_mut(4).zip(bytes) {
        for (i, c) in four.iter_mut().enumerate() {
            *c = (byte >> (2 * i) & 3) as i8 - 1;
        }
    }
    SecretKey::restore(ring, coefficients, id)
}
