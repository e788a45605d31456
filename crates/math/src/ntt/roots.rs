//! Roots of unity and their order in the tables.

use crate::error::{MathError, Result};
use crate::modulus::Modulus;

/// `x` with its `log2(n)` low bits reversed; `n` is a power of two above 1 and `x < n`.
pub(crate) fn bit_reverse(x: usize, n: usize) -> usize {
    x.reverse_bits() >> (usize::BITS - n.trailing_zeros())
}

/// The exponent `e` such that entry `i` of a transform of degree `n` is the polynomial's value at `psi^e`.
///
/// `n` is a power of two above 1 and `i < n`.
pub fn root_exponent(i: usize, n: usize) -> usize {
    2 * bit_reverse(i, n) + 1
}

/// The primitive `2 n`-th root of unity of the transform of degree `n`.
///
/// With `2^e` the largest power of two dividing `p - 1` and `c` the least quadratic non-residue, `c^((p-1)/2^e)` has
/// order exactly `2^e`, and `psi` is its power of order `2 n`. Hence `psi` of degree `n / 2` is the square of `psi` of
/// degree `n`: a polynomial in `X^k` can be transformed at degree `n / k`, and entry `i` of the large transform is entry
/// `i / k` of the small one.
pub(crate) fn primitive_root(modulus: Modulus, n: usize) -> Result<u64> {
    let p = modulus.value();
    let order = 2 * n as u64;
    if !(p - 1).is_multiple_of(order) {
        return Err(MathError::Root {
            got: p,
            expected_order: order,
        });
    }
    let twos = (p - 1).trailing_zeros();
    let non_residue = (2..p).find(|&c| modulus.pow(c, (p - 1) / 2) == p - 1);
    let non_residue = non_residue.ok_or(MathError::Root {
        got: p,
        expected_order: order,
    })?;
    let largest = modulus.pow(non_residue, (p - 1) >> twos);
    Ok(modulus.pow(largest, (1 << twos) / order))
}

/// `table[i] = root^bit_reverse(i)` for `i < n`, canonical.
pub(crate) fn reversed_powers(modulus: Modulus, root: u64, n: usize) -> Vec<u64> {
    let mut table = vec![0; n];
    let mut power = 1;
    for i in 0..n {
        table[bit_reverse(i, n)] = power;
        power = modulus.mul(power, root);
    }
    table
}
