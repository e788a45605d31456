//! Reals to polynomials and back, through the canonical embedding (Cheon et al., eprint 2016/421, section 3).
//!
//! Slot `i` of a polynomial `m` is `m(zeta^(5^i))`, so that X -> X^5 rotates the slots left by one. A slice of `k < N/2`
//! values, repeated periodically, is a polynomial in `X^(N/2k)`: it is encoded by transforms of size `k`, and its
//! number-theoretic transform is that of size `2k` with every entry repeated.

use crate::params::Params;
use cipherblas_math::rns::{CrtReconstructor, decompose_scaled};
use cipherblas_math::{AlignedVec, EmbeddingPlan, Modulus};
use cipherblas_rlwe::{Coeff, Ntt, Poly};
use cipherblas_scheme::{Error, Result};
use zeroize::Zeroizing;

/// Largest scaled value that is encoded: half of what the rounding takes, so that the transforms' own error fits too.
const MAX_SCALED: f64 = (1u128 << 99) as f64;

/// `round(values * scale)` modulo a prime; the callers have checked the range.
pub(crate) fn scale_into(values: &[f64], scale: f64, modulus: &Modulus, out: &mut [f64]) {
    decompose_scaled(values, scale, modulus, out)
        .expect("coefficients are no larger than the values checked");
}

/// Checks that `values` can be encoded: length, finiteness, magnitude.
///
/// # Errors
/// `Shape` for a length that is not a power of two dividing the slots, `Value` for NaN, infinite, or above `bound`.
pub fn check(params: &Params, operation: &'static str, values: &[f64], bound: f64) -> Result<()> {
    let slots = params.slots();
    if !values.len().is_power_of_two() || values.len() > slots {
        return Err(Error::Shape {
            operation,
            got: format!("{} values", values.len()),
            expected: format!("a power of two that divides the {slots} slots"),
            hint: "pad with zeros; larger arrays go into EncryptedVector or EncryptedMatrix",
        });
    }
    for (index, &value) in values.iter().enumerate() {
        if value.is_nan() || value.abs() > bound {
            return Err(Error::Value {
                index,
                // The value itself is a secret, and errors end up in logs.
                got: match value {
                    x if x.is_nan() => "that is not a number",
                    x if x.is_infinite() => "that is infinite",
                    _ => "beyond the bound",
                }
                .into(),
                expected: format!("a finite number of absolute value at most {bound}"),
                hint: "scale the data, or raise `integer_bits` or the declared bound",
            });
        }
    }
    Ok(())
}

/// The coefficients of the polynomial of degree below `2k` in `Y = X^(N/2k)`, unscaled: first and second half.
fn embed(values: &[f64]) -> Result<(Zeroizing<AlignedVec>, Zeroizing<AlignedVec>)> {
    let k = values.len();
    let mut re = Zeroizing::new(AlignedVec::zeroed(k));
    let mut im = Zeroizing::new(AlignedVec::zeroed(k));
    re.copy_from_slice(values);
    plan(k)?.to_coefficients(&mut re, &mut im);
    Ok((re, im))
}

fn plan(slots: usize) -> Result<EmbeddingPlan> {
    use std::collections::HashMap;
    use std::sync::{Mutex, OnceLock};
    // Tables of roots of unity: a function of the size alone.
    static PLANS: OnceLock<Mutex<HashMap<usize, EmbeddingPlan>>> = OnceLock::new();
    let mut plans = PLANS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(|e| e.into_inner());
    if let Some(plan) = plans.get(&slots) {
        return Ok(plan.clone());
    }
    let made = EmbeddingPlan::new(slots).map_err(|e| Error::Parameter {
        what: "slots",
        got: e.to_string(),
        expected: "a power of two".into(),
        hint: "pad with zeros",
    })?;
    plans.insert(slots, made.clone());
    Ok(made)
}

/// `values`, repeated periodically, at `scale` over the primes of `level`, transformed.
///
/// Cost for k values: an embedding of size k and, for each prime, a transform of size 2k and N writes.
///
/// # Errors
/// `Shape`, `Value`; the range is 2^99 after scaling.
pub fn encode(params: &Params, values: &[f64], scale: f64, level: usize) -> Result<Poly<Ntt>> {
    check(params, "encode", values, MAX_SCALED / scale)?;
    let ring = params.ring();
    let (n, k) = (ring.degree(), values.len());
    let basis = ring.basis(level);
    let (low, high) = embed(values)?;
    let small: Vec<_> = (0..basis.len())
        .map(|i| {
            if 2 * k == n {
                Ok(ring.plan(i).clone())
            } else {
                params.small_plan(i, 2 * k)
            }
        })
        .collect::<Result<_>>()?;
    let mut out = Poly::zero(ring, basis);
    out.fill_with(|_, i, limb| {
        let modulus = &ring.moduli()[i];
        let repeat = n / (2 * k);
        // The small transform is computed at the start of the limb and spread from its end, entry by entry.
        scale_into(&low, scale, modulus, &mut limb[..k]);
        scale_into(&high, scale, modulus, &mut limb[k..2 * k]);
        small[i].forward(&mut limb[..2 * k]);
        if repeat > 1 {
            for j in (0..2 * k).rev() {
                let value = limb[j];
                limb[j * repeat..(j + 1) * repeat].fill(value);
            }
        }
    });
    Ok(out)
}

/// As [`encode`], in coefficients and in secret memory: a message on its way to encryption.
///
/// # Errors
/// As [`encode`].
pub fn encode_secret(
    params: &Params,
    values: &[f64],
    scale: f64,
    level: usize,
) -> Result<Poly<Coeff>> {
    check(params, "encode", values, MAX_SCALED / scale)?;
    let ring = params.ring();
    let (n, k) = (ring.degree(), values.len());
    let (low, high) = embed(values)?;
    let stride = n / (2 * k);
    let mut out = Poly::<Coeff>::zero(ring, ring.basis(level)).into_secret();
    out.fill_with(|_, i, limb| {
        let modulus = &ring.moduli()[i];
        if stride == 1 {
            scale_into(&low, scale, modulus, &mut limb[..k]);
            scale_into(&high, scale, modulus, &mut limb[k..]);
        } else {
            let mut dense = Zeroizing::new(AlignedVec::zeroed(2 * k));
            scale_into(&low, scale, modulus, &mut dense[..k]);
            scale_into(&high, scale, modulus, &mut dense[k..]);
            for (j, &x) in dense.iter().enumerate() {
                limb[j * stride] = x;
            }
        }
    });
    Ok(out)
}

/// The residues of `round(value * scale)` modulo each prime of `level`: a constant polynomial.
pub(crate) fn constant(params: &Params, value: f64, scale: f64, level: usize) -> Result<Vec<f64>> {
    check(params, "encode", &[value], MAX_SCALED / scale)?;
    let ring = params.ring();
    let mut out = vec![0.0; ring.basis(level).len()];
    for (x, modulus) in out.iter_mut().zip(ring.moduli()) {
        scale_into(&[value], scale, modulus, std::slice::from_mut(x));
    }
    Ok(out)
}

/// Primes, from the bottom, that determine a message of the given size: as many as the base has, and one more where the
/// level has it, so that a result beyond the declared range is noticed.
pub(crate) fn decoding_primes(params: &Params, level: usize) -> usize {
    let base = params.ring().basis(0).len();
    (base + 1).min(params.ring().basis(level).len())
}

/// The scaled-down real slots of a phase given by the lowest primes, or `None` if a coefficient is beyond `limit`.
pub(crate) fn decode(
    params: &Params,
    phase: &Poly<Coeff>,
    scale: f64,
    limit: f64,
) -> Result<Option<Vec<f64>>> {
    let ring = params.ring();
    let half = ring.degree() / 2;
    let primes = phase.basis().len();
    let crt = CrtReconstructor::new(&ring.moduli()[..primes]).map_err(|e| Error::Parameter {
        what: "ring",
        got: e.to_string(),
        expected: "at most four primes to reconstruct from".into(),
        hint: "use a smaller integer range",
    })?;
    let mut re = Zeroizing::new(AlignedVec::zeroed(half));
    let mut im = Zeroizing::new(AlignedVec::zeroed(half));
    let part = |from: usize| {
        (0..primes)
            .map(|k| &phase.limb(k)[from..from + half])
            .collect::<Vec<_>>()
    };
    crt.centered_f64(&part(0), scale, &mut re);
    crt.centered_f64(&part(half), scale, &mut im);
    if re
        .iter()
        .chain(im.iter())
        .fold(0.0f64, |m, x| m.max(x.abs()))
        > limit
    {
        return Ok(None);
    }
    plan(half)?.to_slots(&mut re, &mut im);
    Ok(Some(re.to_vec()))
}
