//! Rings and big-integer oracles for unit tests.

use cipherblas_math::Modulus;
use cipherblas_math::primes::primes_near;
use cipherblas_rlwe::{Coeff, Poly, Ring, RingSpec};
use num_bigint::BigInt;
use std::sync::Arc;

/// A ring with primes of the given bits in each level and among the special ones, digits of one prime.
pub(crate) fn ring(degree: usize, groups: &[&[u32]], special: &[u32]) -> Arc<Ring> {
    let mut used = Vec::new();
    let mut next = |bits: u32| {
        let prime = primes_near(1 << bits, 2 * degree as u64, 1, &used).unwrap()[0];
        used.push(prime);
        prime
    };
    let special = special.iter().map(|&b| next(b)).collect();
    let groups = groups
        .iter()
        .map(|g| g.iter().map(|&b| next(b)).collect())
        .collect();
    Ring::new(RingSpec {
        degree,
        groups,
        special,
        digit_len: 1,
    })
    .unwrap()
}

pub(crate) fn product(moduli: &[Modulus]) -> BigInt {
    moduli.iter().map(|m| BigInt::from(m.value())).product()
}

/// `x mod m`, not negative.
pub(crate) fn modulo(x: &BigInt, m: &BigInt) -> BigInt {
    ((x % m) + m) % m
}

/// The centred representative of `x` modulo `m`.
pub(crate) fn centre(x: &BigInt, m: &BigInt) -> BigInt {
    let r = modulo(x, m);
    if &r * 2 > *m { r - m } else { r }
}

/// `round(a / b)` for positive `b`, halves up.
pub(crate) fn round_div(a: &BigInt, b: &BigInt) -> BigInt {
    let (a, b): (BigInt, BigInt) = (a * 2 + b, b * 2);
    (&a - modulo(&a, &b)) / b
}

/// Centred coefficients modulo the product of the primes of Q that `poly` has.
pub(crate) fn centred(poly: &Poly<Coeff>) -> Vec<BigInt> {
    let ring = poly.ring();
    let primes = &ring.moduli()[..poly.basis().q];
    let q = product(primes);
    let basis: Vec<BigInt> = primes
        .iter()
        .map(|&m| {
            let rest = &q / m.value();
            let reduced = u64::try_from(&rest % m.value()).unwrap();
            rest * m.inv(reduced).unwrap()
        })
        .collect();
    (0..ring.degree())
        .map(|i| {
            let terms = basis.iter().zip(primes).enumerate();
            let x: BigInt = terms
                .map(|(k, (b, m))| b * m.canonical(poly.limb(k)[i]))
                .sum();
            centre(&x, &q)
        })
        .collect()
}

/// The polynomial with the given coefficients over the primes of `level`.
pub(crate) fn from_big(ring: &Arc<Ring>, level: usize, coefficients: &[BigInt]) -> Poly<Coeff> {
    let mut poly = Poly::<Coeff>::zero(ring, ring.basis(level));
    poly.fill_with(|kernels, _, limb| {
        let m = kernels.modulus();
        for (x, c) in limb.iter_mut().zip(coefficients) {
            let r = modulo(c, &BigInt::from(m.value()));
            *x = m.residue(u64::try_from(r).unwrap());
        }
    });
    poly
}

/// The product modulo X^N + 1.
pub(crate) fn multiply(a: &[BigInt], b: &[BigInt]) -> Vec<BigInt> {
    let n = a.len();
    let mut out = vec![BigInt::from(0); n];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            if i + j < n {
                out[i + j] += x * y;
            } else {
                out[i + j - n] -= x * y;
            }
        }
    }
    out
}
