//! What evaluators do with ciphertexts `(c0, c1)` over one ring, whatever their plaintexts mean: relinearization,
//! rotations alone, hoisted and summed, and plain matrices of integers times many of them.

use crate::poly::{Basis, Ntt, Poly};
use crate::switch::{self, Digits, KeySwitchKey};
use cipherblas_math::gemm;
use cipherblas_scheme::{Error, Result};

/// The two halves of a ciphertext.
pub type Pair = (Poly<Ntt>, Poly<Ntt>);

/// The two halves of a ciphertext, borrowed.
pub type PairRef<'a> = (&'a Poly<Ntt>, &'a Poly<Ntt>);

/// A rotation: its Galois element and the key for it.
pub type Rotation<'a> = (u64, &'a KeySwitchKey);

/// `(d0, d1, d2)` relinearized and divided by the top level group, with one rounding for both.
///
/// # Errors
/// `Depth` at level 0.
pub fn relinearize_rescale(
    (d0, d1, d2): (Poly<Ntt>, Poly<Ntt>, Poly<Ntt>),
    key: &KeySwitchKey,
) -> Result<Pair> {
    let (mut u0, mut u1) = switch::switch_product(&d2, key);
    drop(d2);
    switch::add_lifted(&mut u0, &d0);
    switch::add_lifted(&mut u1, &d1);
    Ok((
        switch::mod_down_rescale(&u0)?,
        switch::mod_down_rescale(&u1)?,
    ))
}

/// Divides both halves by the top level group.
///
/// # Errors
/// `Depth` at level 0.
pub fn rescale(c: PairRef<'_>) -> Result<Pair> {
    Ok((switch::rescale(c.0)?, switch::rescale(c.1)?))
}

/// Divides a product with a key by P, adds the half that needed no key, permutes.
fn finish(c: PairRef<'_>, u: Pair, g: u64) -> Result<Pair> {
    let mut c0 = switch::mod_down(&u.0);
    let c1 = switch::mod_down(&u.1);
    c0.add_assign(c.0);
    Ok((c0.automorphism(g)?, c1.automorphism(g)?))
}

/// The image under an automorphism.
///
/// # Errors
/// `Parameter` if the Galois element is none.
pub fn rotate(c: PairRef<'_>, (g, key): Rotation<'_>) -> Result<Pair> {
    finish(c, switch::switch_product(c.1, key), g)
}

/// Several images of one ciphertext, sharing the decomposition.
///
/// # Errors
/// As [`rotate`].
pub fn rotate_many(c: PairRef<'_>, rotations: &[Rotation<'_>]) -> Result<Vec<Pair>> {
    if let [rotation] = rotations {
        return Ok(vec![rotate(c, *rotation)?]);
    }
    let digits = Digits::decompose(c.1);
    rotations
        .iter()
        .map(|&(g, key)| finish(c, digits.product(key), g))
        .collect()
}

/// The sum of the images (`None`: of the ciphertext itself), all at one level: one division by P for the whole sum, one
/// decomposition for each ciphertext, however often it is listed.
///
/// # Errors
/// As [`rotate`].
///
/// # Panics
/// If there are no terms.
pub fn rotate_sum(terms: &[(PairRef<'_>, Option<Rotation<'_>>)]) -> Result<Pair> {
    let ring = terms[0].0.0.ring();
    // Terms that are rotations of one ciphertext share its decomposition.
    let first_of = |i: usize| {
        terms
            .iter()
            .take_while(|t| !std::ptr::eq(t.0.1, terms[i].0.1))
            .count()
    };
    let same: Vec<usize> = (0..terms.len()).map(first_of).collect();
    let digits: Vec<Option<Digits>> = (0..terms.len())
        .map(|i| {
            let uses = (0..terms.len()).filter(|&k| same[k] == i && terms[k].1.is_some());
            (uses.count() > 1).then(|| Digits::decompose(terms[i].0.1))
        })
        .collect();
    let mut acc: Option<Pair> = None;
    let mut still: Vec<PairRef<'_>> = Vec::new();
    for (i, (c, rotation)) in terms.iter().enumerate() {
        let Some((g, key)) = *rotation else {
            still.push(*c);
            continue;
        };
        let mut u = match &digits[same[i]] {
            Some(digits) => digits.product(key),
            None => switch::switch_product(c.1, key),
        };
        switch::add_lifted(&mut u.0, c.0);
        let acc = acc.get_or_insert_with(|| {
            let basis = Basis {
                q: c.0.basis().q,
                p: ring.p_len(),
            };
            (Poly::zero(ring, basis), Poly::zero(ring, basis))
        });
        switch::add_permuted(acc, &u, &*ring.automorphism(g)?);
    }
    let (mut c0, mut c1) = match acc {
        Some((u0, u1)) => (switch::mod_down(&u0), switch::mod_down(&u1)),
        None => {
            let (c0, c1) = still.swap_remove(0);
            (c0.clone(), c1.clone())
        }
    };
    for (x, y) in still {
        c0.add_assign(x);
        c1.add_assign(y);
    }
    Ok((c0, c1))
}

/// `out[r] = factor * sum_j weights[r * cols + j] * cts[j]` for integers of absolute value below `2^bits`, row-major,
/// and ciphertexts all at one level: a GEMM on residues, no transforms.
///
/// # Errors
/// `Parameter`: more than 50 bits, or shapes that do not fit.
pub fn combine(
    weights: &[f64],
    bits: u32,
    rows: usize,
    cts: &[PairRef<'_>],
    factor: i64,
) -> Result<Vec<Pair>> {
    let fail = |e: &dyn std::fmt::Display| Error::Parameter {
        what: "weights",
        got: e.to_string(),
        expected: "integers of at most 50 bits, one column for each ciphertext".into(),
        hint: "report this",
    };
    let cols = cts.len();
    let Some(first) = cts.first() else {
        return Err(fail(&"no ciphertext"));
    };
    if cols > gemm::MAX_COLUMNS {
        return combine_wide(weights, bits, rows, cts, factor);
    }
    let ring = first.0.ring();
    let basis = first.0.basis();
    let zeros = || -> Vec<Poly<Ntt>> { (0..rows).map(|_| Poly::zero(ring, basis)).collect() };
    let (mut c0, mut c1) = (zeros(), zeros());
    let failure = std::sync::Mutex::new(None);
    for (half, outs) in [(0, &mut c0), (1, &mut c1)] {
        Poly::each_limb_of_many(outs.iter_mut().collect(), |k, limbs| {
            let inputs: Vec<&[f64]> = cts
                .iter()
                .map(|c| if half == 0 { c.0.limb(k) } else { c.1.limb(k) })
                .collect();
            let kernels = ring.plan(k).kernels();
            if let Err(e) = gemm::combine(kernels, weights, bits, rows, cols, &inputs, limbs) {
                *failure.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
            }
            if factor != 1 {
                let factor = ring.moduli()[k].residue_i64(factor);
                limbs
                    .iter_mut()
                    .for_each(|limb| kernels.scale_assign(limb, factor));
            }
        });
    }
    match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(e) => Err(fail(&e)),
        None => Ok(c0.into_iter().zip(c1).collect()),
    }
}

/// As [`combine`], for more columns than one exact GEMM takes: blocks of them, added up.
fn combine_wide(
    weights: &[f64],
    bits: u32,
    rows: usize,
    cts: &[PairRef<'_>],
    factor: i64,
) -> Result<Vec<Pair>> {
    let cols = cts.len();
    let mut out: Vec<Pair> = Vec::new();
    for start in (0..cols).step_by(gemm::MAX_COLUMNS) {
        let end = cols.min(start + gemm::MAX_COLUMNS);
        let block: Vec<f64> = weights
            .chunks(cols)
            .flat_map(|row| &row[start.min(row.len())..end.min(row.len())])
            .copied()
            .collect();
        let part = combine(&block, bits, rows, &cts[start..end], factor)?;
        if out.is_empty() {
            out = part;
        } else {
            for (sum, term) in out.iter_mut().zip(&part) {
                sum.0.add_assign(&term.0);
                sum.1.add_assign(&term.1);
            }
        }
    }
    Ok(out)
}
