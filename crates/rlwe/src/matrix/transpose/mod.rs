//! The change of format: from ciphertexts of rows to ciphertexts of columns, in some `2 N` key switches.
//!
//! A product of two blocks is a list of ciphertexts under `s(X2)`, numbered by powers of `X1`; what is wanted are ciphertexts
//! under `s(X1)`, numbered by powers of `X2`. With rows `r_s`, `sum_s X^s coef_v(r_s) = (1/N) sum_g X^(-v g) sigma_g(sum_s X^(s/g) r_s)`
//! for `g` in the group of automorphisms, and both sums over all `g` are transforms along the columns of the rows'
//! evaluations: only `sigma_g` takes a key. The proof, the other steps and the bounds on noise are in `docs/design/encrypted-matmul.md`.
//!
//! | module | contents |
//! |---|---|
//! | `elements` | which automorphisms, and how they are factored so that some `2 sqrt(N)` keys do |
//! | `grid` | transforms along rows and columns |
//! | `columns` | sums over automorphisms between the two transforms |
//! | `pack` | relinearization, and `rho` columns into one ciphertext |
//! | `noise` | bounds on the error of it all |
//! | `switcher` | key switches one after another in the same buffers |

mod columns;
mod elements;
mod grid;
mod noise;
mod pack;
mod rows;
mod switcher;
#[cfg(test)]
mod tests;

pub use elements::galois_elements;
pub use noise::TransposeNoise;
pub use rows::Rows;

use crate::evaluation::EvaluationKeys;
use crate::ring::Ring;
use cipherblas_math::sample::{Seed, uniform_residues};
use cipherblas_scheme::{Error, Result};
use columns::transpose;
use elements::Elements;
use grid::Grid;
use pack::{Plain, pack};
use std::sync::Arc;
use switcher::Switcher;

/// A product of matrices of residues, to be finished: everything modulo the primes of one level, in coefficients.
///
/// With `m`, `n` the lengths of the lines of the factors and `rho` their stride, the product's values are, for `u < m`, `v < n`,
/// `value(u, v) = u_b[v][u] + coef_(rho v)(u_a[u] s) + coef_(rho u)(d_b[v] s) + coef_(rho u), coef'_(rho v)(s (X) s'(X') sum_w X^w d_a[w](X'))`.
#[derive(Debug)]
pub struct Product {
    /// `n x m`: the part that no secret multiplies.
    pub u_b: Rows,
    /// `m x N`: row `u` is a polynomial that the secret multiplies, and whose coefficients `rho v` count.
    pub u_a: Rows,
    /// `n x N`: row `v` is a polynomial that the secret multiplies, and whose coefficients `rho u` count.
    pub d_b: Rows,
    /// `N x N`: row `w` is the coefficient of `X^w`, a polynomial in `X'`.
    pub d_a: Rows,
}

/// Turns a product into `ceil(n / rho)` packed ciphertexts `(b, a)` in coefficients at `level`: line `rho i + x` in ciphertext
/// `i`, its value `u` at `X^(x + rho u)`. Positions from `m` on are unspecified; lines from `n` on are encryptions of zero.
///
/// Cost for `d = N / rho`: some `N + 2 d` key switches for `d_a` (`2 N` if `rho = 1`), `2 d` for `u_a`, `n` relinearizations,
/// `n - n / rho` key switches to pack, and two-dimensional transforms. Keys: relinearization, and the
/// [`galois_elements`] of `d`. Memory: some `(5 d + 2 N) N` residues for each prime beside the arguments.
///
/// # Errors
/// `Shape` if the parts do not fit together; `Depth` if there is no such level; `MissingKey`; `Parameter` unless `rho` is a
/// power of two up to N / 2.
pub fn finish_product(
    keys: &EvaluationKeys,
    level: usize,
    rho: usize,
    product: Product,
) -> Result<(Rows, Rows)> {
    const NAME: &str = "encrypted matrix product";
    let ring = keys.ring().clone();
    let (elements, switcher) = prepare(keys, level, rho, true, NAME)?;
    let Product { u_b, u_a, d_b, d_a } = product;
    let (n, limbs) = (ring.degree(), switcher.q);
    let (columns, values) = (u_b.rows(), u_b.cols());
    check_lengths(&elements, columns, values, NAME)?;
    check(&u_b, &ring, limbs, (columns, values), NAME)?;
    check(&u_a, &ring, limbs, (values, n), NAME)?;
    check(&d_b, &ring, limbs, (columns, n), NAME)?;
    check(&d_a, &ring, limbs, (n, n), NAME)?;
    let u = spread(&ring, with_company(u_a), elements.d)?;
    let d = spread(&ring, d_a, n)?;
    let transposed = transpose(&switcher, &elements, u, Some(d))?;
    let plain = Plain {
        b: u_b,
        a: Some(d_b),
    };
    Ok(pack(&switcher, &elements, &transposed, plain))
}

/// Turns a packed block into its transpose: `lines` lines of `len` values, as `ceil(lines / rho)` ciphertexts `(b, a)` in
/// coefficients at `level`, into `len` lines of `lines` values, `ceil(len / rho)` ciphertexts of the same stride. Positions
/// from `lines` on are unspecified; lines from `len` on are encryptions of zero.
///
/// Cost for `d = N / rho`: `2 d` key switches, `len - len / rho` more to pack, and two-dimensional transforms. Keys: the
/// [`galois_elements`] of `d`.
///
/// # Errors
/// As [`finish_product`]; `Shape` if `lines` or `len` exceeds `N / rho`.
pub fn finish_reformat(
    keys: &EvaluationKeys,
    level: usize,
    rho: usize,
    lines: usize,
    len: usize,
    b: &Rows,
    a: &Rows,
) -> Result<(Rows, Rows)> {
    const NAME: &str = "change of format";
    let ring = keys.ring().clone();
    let (elements, switcher) = prepare(keys, level, rho, false, NAME)?;
    let (n, limbs) = (ring.degree(), switcher.q);
    check_lengths(&elements, len, lines, NAME)?;
    let shape = (lines.div_ceil(rho), n);
    check(b, &ring, limbs, shape, NAME)?;
    check(a, &ring, limbs, shape, NAME)?;
    // Line `l = rho i + x` becomes the row `X^-x r_i`: its values are then at multiples of `rho`.
    let mut rows = Rows::zero(&ring, limbs, lines, n);
    let mut values = Rows::zero(&ring, limbs, len, lines);
    for k in 0..limbs {
        for l in 0..lines {
            let (i, x) = (l / rho, l % rho);
            let from = a.row(k, i);
            let row = rows.row_mut(k, l);
            row[..n - x].copy_from_slice(&from[x..]);
            for (out, &y) in row[n - x..].iter_mut().zip(&from[..x]) {
                *out = -y;
            }
            for (v, &y) in b.row(k, i)[x..].iter().step_by(rho).take(len).enumerate() {
                values.row_mut(k, v)[l] = y;
            }
        }
    }
    let u = spread(&ring, with_company(rows), elements.d)?;
    let transposed = transpose(&switcher, &elements, u, None)?;
    let plain = Plain { b: values, a: None };
    Ok(pack(&switcher, &elements, &transposed, plain))
}

fn prepare(
    keys: &EvaluationKeys,
    level: usize,
    rho: usize,
    products: bool,
    operation: &'static str,
) -> Result<(Elements, Switcher)> {
    let elements = Elements::of_stride(keys.ring(), rho)?;
    let switcher = Switcher::new(keys, level, elements.all(), products, operation)?;
    Ok((elements, switcher))
}

/// A single row gets a second one, of public pseudorandom residues: alone, it would be the same for all automorphisms, and so
/// would the errors of its key switches, which then add up instead of averaging out. The second ends where results are
/// unspecified: in the positions 1 of lines of one value.
fn with_company(rows: Rows) -> Rows {
    if rows.rows() > 1 {
        return rows;
    }
    let (ring, cols) = (rows.ring().clone(), rows.cols());
    let mut out = Rows::zero(&ring, rows.limbs(), 2, cols);
    for k in 0..rows.limbs() {
        out.row_mut(k, 0).copy_from_slice(rows.row(k, 0));
        let seed = Seed::from_bytes(*b"cipherblas 2026 company of a row");
        uniform_residues(&seed, k as u64, &ring.moduli()[k], out.row_mut(k, 1));
    }
    out
}

/// The transforms of `rows` divided by `size`, spread over that number of automorphisms.
fn spread(ring: &Arc<Ring>, rows: Rows, size: usize) -> Result<Grid> {
    let scalars: Vec<f64> = ring.moduli()[..rows.limbs()]
        .iter()
        .map(|m| {
            let inverse = m.inv(m.reduce_u64(size as u64));
            m.residue(inverse.expect("a power of two has an inverse"))
        })
        .collect();
    let mut grid = Grid::from_rows(ring, rows, size, &scalars);
    grid.spread(ring)?;
    Ok(grid)
}

fn check_lengths(
    elements: &Elements,
    lines: usize,
    values: usize,
    operation: &'static str,
) -> Result<()> {
    let d = elements.d;
    if lines == 0 || values == 0 || lines > d || values > d {
        return Err(Error::Shape {
            operation,
            got: format!("{lines} lines of {values} values in the result"),
            expected: format!("1 to {d} of each"),
            hint: "cut larger matrices into blocks",
        });
    }
    Ok(())
}

fn check(
    rows: &Rows,
    ring: &Arc<Ring>,
    limbs: usize,
    (count, cols): (usize, usize),
    operation: &'static str,
) -> Result<()> {
    let same_ring = Arc::ptr_eq(rows.ring(), ring);
    if !same_ring || (rows.limbs(), rows.rows(), rows.cols()) != (limbs, count, cols) {
        return Err(Error::Shape {
            operation,
            got: format!(
                "{} x {} residues modulo {} primes{}",
                rows.rows(),
                rows.cols(),
                rows.limbs(),
                if same_ring { "" } else { " of another ring" }
            ),
            expected: format!("{count} x {cols} modulo {limbs}"),
            hint: "bring all parts to the same level, and give every row of them",
        });
    }
    Ok(())
}
