//! Encrypted by encrypted: `L' R` as products of plain matrices modulo narrow primes, and then a change of format.
//!
//! With phases `b + a s` of the ciphertexts of both factors, the wanted sums are those coefficients of
//! `sum_i phase1_i(X1) phase2_i(X2)` at `X1^(x + rho u) X2^(x + rho v)`, summed over `x < rho`, or, with
//! the lines taken out of ciphertexts as `X^-x phase_i`, the coefficients at `X1^(rho u) X2^(rho v)` of a sum over
//! *lines*. Of the four products of halves only what reaches wanted coefficients is computed, already summed over x: for k
//! lines of m and of n values, `m n k` multiply-adds for `b b'`, `m N k` and `n N k` for the mixed ones, and
//! `N N k / rho` for `a a'`, whose sum over x runs along diagonals afterwards.

use super::block::{Block, Shape};
use super::ring::MatrixRing;
use super::shape_error;
use super::transpose::{self, Product, Rows};
use crate::evaluation::EvaluationKeys;
use crate::ring::{Ring, from_math};
use cipherblas_math::MathError;
use cipherblas_math::narrow::{self, Prime, Strided, StridedMut};
use cipherblas_scheme::{Error, Lines, Result, Side};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Lines that are taken out of ciphertexts at a time.
const CHUNK_LINES: usize = 2048;

/// One factor modulo one narrow prime.
pub(crate) struct Operand<'a> {
    block: &'a Block,
    a: &'a [i16],
    b: &'a [i16],
}

impl<'a> Operand<'a> {
    pub(crate) fn new(block: &'a Block, k: usize) -> Self {
        Self {
            block,
            a: block.a_of(k),
            b: block.b_of(k),
        }
    }

    /// Lines, those of whole ciphertexts.
    pub(crate) fn lines(&self) -> usize {
        self.block.ciphertexts() * self.block.shape.classes(self.block.degree())
    }

    /// The wanted coefficients of `X^-x b_i` for line `rho i + x`: lines by `len`.
    pub(crate) fn compact(&self) -> Cow<'a, [i16]> {
        let n = self.block.degree();
        let Shape { len, .. } = self.block.shape;
        if self.block.shape.held(n) == len {
            return Cow::Borrowed(self.b);
        }
        let classes = self.block.shape.classes(n);
        let mut out = narrow::zeros(self.lines() * len);
        out.par_chunks_mut(classes * len)
            .zip(self.b.par_chunks(n))
            .for_each(|(lines, b)| {
                for (x, line) in lines.chunks_mut(len).enumerate() {
                    for (y, &b) in line.iter_mut().zip(b[x..].iter().step_by(classes)) {
                        *y = b;
                    }
                }
            });
        Cow::Owned(out)
    }

    /// Calls `f(start, lines)` for `X^-x a_i` for line `rho i + x`: lines by N, some at a time, from line `start` on.
    pub(crate) fn shifted(
        &self,
        mut f: impl FnMut(usize, &[i16]) -> Result<(), MathError>,
    ) -> Result<(), MathError> {
        let n = self.block.degree();
        let classes = self.block.shape.classes(n);
        if classes == 1 {
            return f(0, self.a);
        }
        let count = self.block.ciphertexts();
        let per = (CHUNK_LINES / classes).clamp(1, count);
        let mut out = narrow::zeros(per * classes * n);
        for (index, a) in self.a.chunks(per * n).enumerate() {
            let out = &mut out[..a.len() * classes];
            out.par_chunks_mut(n).enumerate().for_each(|(line, out)| {
                let (i, x) = (line / classes, line % classes);
                let a = &a[i * n..(i + 1) * n];
                out[..n - x].copy_from_slice(&a[x..]);
                for (y, &a) in out[n - x..].iter_mut().zip(a) {
                    *y = -a;
                }
            });
            f(index * per * classes, out)?;
        }
        Ok(())
    }
}

/// `out (+)= x' y` for `count` lines of `rows` and of `cols` values.
fn lines_tn(
    prime: Prime,
    count: usize,
    (x, rows): (&[i16], usize),
    (y, cols): (&[i16], usize),
    out: &mut [i16],
    accumulate: bool,
) -> Result<(), MathError> {
    let x = Strided::row_major(x, count, rows)?;
    let y = Strided::row_major(y, count, cols)?;
    let mut out = StridedMut::row_major(out, rows, cols)?;
    narrow::gemm_tn(prime, x, y, &mut out, accumulate)
}

/// `H_w = sum_(x < rho) X^-x D_(w + x)` for the N rows of D, `D_(N + j) = -D_j`: along diagonals,
/// `H_(w+1)[c+1] = H_w[c] - D_w[c] + D_(w+rho)[c+rho]`, whose signs change at the borders.
fn sum_diagonals(prime: Prime, d: &[i16], rho: usize, out: &mut [i16]) {
    let n = out.len().isqrt();
    let per = (n / (4 * rayon::current_num_threads())).clamp(rho.min(n), n);
    out.par_chunks_mut(per * n)
        .enumerate()
        .for_each(|(block, out)| {
            let mut sum = narrow::zeros(n);
            for (w, out) in (block * per..).zip(out.chunks_mut(n)) {
                if w == block * per {
                    for x in 0..rho {
                        add_shifted(prime, &mut sum, row(d, n, w + x), x);
                    }
                } else {
                    // `sum` holds H of the row before: out goes its first row, then all is shifted, and a new row comes in.
                    let (old, negated) = row(d, n, w - 1);
                    add_signed(prime, &mut sum, old, !negated);
                    sum.rotate_right(1);
                    sum[0] = -sum[0];
                    add_shifted(prime, &mut sum, row(d, n, w + rho - 1), rho - 1);
                }
                out.copy_from_slice(&sum);
            }
        });
}

/// Row `w` of D and whether it is to be negated.
fn row(d: &[i16], n: usize, w: usize) -> (&[i16], bool) {
    let index = w % n;
    (&d[index * n..(index + 1) * n], (w / n) % 2 == 1)
}

/// `sum += X^-x row`.
fn add_shifted(prime: Prime, sum: &mut [i16], (row, negated): (&[i16], bool), x: usize) {
    let n = sum.len();
    let (head, tail) = sum.split_at_mut(n - x);
    add_signed(prime, head, &row[x..], negated);
    add_signed(prime, tail, &row[..x], !negated);
}

fn add_signed(prime: Prime, sum: &mut [i16], part: &[i16], negated: bool) {
    if negated {
        narrow::sub_assign(prime, sum, part);
    } else {
        narrow::add_assign(prime, sum, part);
    }
}

/// Residues of a matrix modulo all narrow primes of a level, to the wide ones of the level below.
fn widen(
    (ring, wide): (&MatrixRing, &Arc<Ring>),
    level: usize,
    narrow: &[i16],
    rows: usize,
    cols: usize,
) -> Rows {
    let limbs = wide.basis(level - 1).q;
    let mut out = Rows::unspecified(wide, limbs, rows, cols);
    let from: Vec<&[i16]> = narrow.chunks(rows * cols).collect();
    ring.to_wide(level).convert(&from, &mut out.limbs_mut());
    out
}

/// Memory for the residues of one matrix of products after another: fresh pages cost more than they seem to.
struct Work<'a> {
    block: &'a Block,
    wide: &'a Arc<Ring>,
    /// Of all narrow primes.
    residues: Vec<i16>,
}

impl<'a> Work<'a> {
    /// For products like those of `block`, over the ring of the keys.
    fn new(block: &'a Block, wide: &'a Arc<Ring>) -> Self {
        Self {
            block,
            wide,
            residues: block.ring.take_residues(),
        }
    }

    /// One matrix of products modulo Q: `f(prime, index of the prime, out)` adds up all terms, and writes all of `out`.
    fn matrix(
        &mut self,
        (rows, cols): (usize, usize),
        mut f: impl FnMut(Prime, usize, &mut [i16]) -> Result<(), MathError>,
    ) -> Result<Rows> {
        let ring = &self.block.ring;
        let primes = ring.primes_at(self.block.level);
        let size = rows * cols;
        let needed = primes.len() * size;
        if self.residues.len() < needed {
            self.residues = narrow::zeros(needed);
        }
        let residues = &mut self.residues[..needed];
        for (k, (out, &prime)) in residues.chunks_mut(size).zip(primes).enumerate() {
            f(prime, k, out).map_err(from_math)?;
        }
        Ok(widen(
            (ring, self.wide),
            self.block.level,
            residues,
            rows,
            cols,
        ))
    }

    /// `sum over terms, lines of x' (X^-x a)` for compact lines of one factor and shifted ones of the other.
    fn mixed(&mut self, terms: &[(&Block, &Block)], rows: usize) -> Result<Rows> {
        let n = self.block.degree();
        self.matrix((rows, n), |prime, k, out| {
            for (t, (x, y)) in terms.iter().enumerate() {
                let compact = Operand::new(x, k).compact();
                Operand::new(y, k).shifted(|start, lines| {
                    let count = lines.len() / n;
                    let part = &compact[start * rows..(start + count) * rows];
                    let add = t > 0 || start > 0;
                    lines_tn(prime, count, (part, rows), (lines, n), out, add)
                })?;
            }
            Ok(())
        })
    }

    /// `sum over terms, lines of (X1^-x a1)' (X2^-x a2)`, from the products of whole ciphertexts that `f` adds up.
    fn contracted(
        &mut self,
        f: impl Fn(Prime, usize, usize, &mut [i16]) -> Result<(), MathError>,
    ) -> Result<Rows> {
        let n = self.block.degree();
        let rho = self.block.shape.classes(n);
        let mut sums = narrow::zeros(if rho > 1 { n * n } else { 0 });
        self.matrix((n, n), |prime, k, out| {
            if rho == 1 {
                return f(prime, k, n, out);
            }
            f(prime, k, n, &mut sums)?;
            sum_diagonals(prime, &sums, rho, out);
            Ok(())
        })
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.block
            .ring
            .give_residues(std::mem::take(&mut self.residues));
    }
}

impl Block {
    /// Checks what operands of a product have in common with the first: key, ring, level above 0, grid.
    pub(crate) fn check_product(&self, operation: &'static str, other: &Self) -> Result<()> {
        self.check_same(operation, other)?;
        if self.shape.padded != other.shape.padded {
            return Err(shape_error(
                operation,
                format!("grids of {} and {}", self.shape.padded, other.shape.padded),
                "one grid",
                "pad shorter lines at encryption",
            ));
        }
        let (low, high) = (self.level.min(other.level), self.level.max(other.level));
        if low == 0 || low != high {
            return Err(Error::Depth {
                operation,
                needed: high.max(1),
                left: low,
            });
        }
        Ok(())
    }

    /// The sum over terms of `L' R`. All blocks share key, level l, grid and layout; in a term, the number of lines; between
    /// terms, the lengths of L's and of R's lines. [`Side::Right`] gives lines as long as L's, one for each value of R's;
    /// [`Side::Left`] the transpose. The result is packed, at level l - 1; its phases are those of the product times
    /// `G_{l-1} / G_l` (modulo a plaintext modulus: times [`MatrixRing::unit`]), with the errors of [`noise`](super::noise).
    ///
    /// Cost, for k lines of m and n values on a grid of stride rho: `k (m n + m N + n N + N N / rho)` multiply-adds for each
    /// narrow prime, about `5 N` key switches, memory for `N (N + m + n)` doubles and prime of `Q_{l-1}`. Keys:
    /// relinearization, and Galois keys of the grid ([`transpose::galois_elements`]).
    ///
    /// # Errors
    /// `Shape`, `Depth` at level 0 or for several levels, `KeyMismatch`, `MissingKey`.
    pub fn gemm_tn(terms: &[(&Self, &Self)], side: Side, keys: &EvaluationKeys) -> Result<Self> {
        const NAME: &str = "matrix product";
        let terms: Vec<(&Self, &Self)> = match side {
            Side::Right => terms.to_vec(),
            Side::Left => terms.iter().map(|&(l, r)| (r, l)).collect(),
        };
        let Some(&(left, right)) = terms.first() else {
            return Err(shape_error(
                NAME,
                "no term",
                "at least one",
                "leave empty sums out",
            ));
        };
        for (l, r) in &terms {
            left.check_product(NAME, l)?;
            left.check_product(NAME, r)?;
            let fits = l.shape.lines == r.shape.lines
                && l.shape.len == left.shape.len
                && r.shape.len == right.shape.len
                && l.shape.layout == r.shape.layout
                && l.shape.layout == left.shape.layout;
            if !fits {
                return Err(shape_error(
                    NAME,
                    format!("{:?} and {:?}", l.shape, r.shape),
                    format!(
                        "as many lines in both, of {} and {} values, in one layout",
                        left.shape.len, right.shape.len
                    ),
                    "cut the factors alike",
                ));
            }
        }
        left.check_keys(NAME, keys)?;
        let product = left.multiply(keys.ring(), &terms, right.shape.len)?;
        left.finish(keys, product, right.shape.len)
    }

    /// The sum over terms of `X' X`: as [`gemm_tn`](Self::gemm_tn) of blocks with themselves, at about half of its
    /// multiply-adds.
    ///
    /// # Errors
    /// As [`gemm_tn`](Self::gemm_tn).
    pub fn syrk(terms: &[&Self], keys: &EvaluationKeys) -> Result<Self> {
        const NAME: &str = "Gram matrix";
        let Some(&first) = terms.first() else {
            return Err(shape_error(
                NAME,
                "no term",
                "at least one",
                "leave empty sums out",
            ));
        };
        for x in terms {
            first.check_product(NAME, x)?;
            if x.shape.len != first.shape.len || x.shape.layout != first.shape.layout {
                return Err(shape_error(
                    NAME,
                    format!("{:?}", x.shape),
                    format!(
                        "lines of {} values, {:?}",
                        first.shape.len, first.shape.layout
                    ),
                    "cut the blocks alike",
                ));
            }
        }
        first.check_keys(NAME, keys)?;
        let product = first.square(keys.ring(), terms)?;
        first.finish(keys, product, first.shape.len)
    }

    /// The transpose: as many lines as there are values in a line, and the reverse, on the same grid. Phases are multiplied
    /// by `G_{l-1} / G_l` (modulo a plaintext modulus: by [`MatrixRing::unit`]). One level. Needs the packed layout, and no
    /// more lines than the grid has places. Cost: about two key switches for each place of the grid, and one for each line of the result.
    /// Keys: the Galois keys of the grid ([`transpose::galois_elements`]).
    ///
    /// # Errors
    /// `Shape`, `Depth` at level 0, `KeyMismatch`, `MissingKey`.
    pub fn reformat(&self, keys: &EvaluationKeys) -> Result<Self> {
        const NAME: &str = "change of format";
        self.check_product(NAME, self)?;
        let n = self.degree();
        let Shape {
            lines,
            len,
            padded,
            layout,
        } = self.shape;
        if lines > padded || (layout != Lines::Packed && padded != n) {
            return Err(shape_error(
                NAME,
                format!("{:?}", self.shape),
                format!("at most {padded} lines, packed"),
                "cut the matrix into blocks of as many lines as the grid has places",
            ));
        }
        self.check_keys(NAME, keys)?;
        let count = self.ciphertexts();
        let (from, level) = (self.ring.narrow_len(self.level), self.level);
        let wide = (&*self.ring, keys.ring());
        let a = widen(wide, level, &self.a, count, n);
        let b = if self.shape.held(n) == n {
            widen(wide, level, &self.b, count, n)
        } else {
            let held = self.shape.held(n);
            let mut all = narrow::zeros(from * count * n);
            for (row, part) in all.chunks_mut(n).zip(self.b.chunks(held)) {
                row[..held].copy_from_slice(part);
            }
            widen(wide, level, &all, count, n)
        };
        let stride = self.shape.stride(n);
        let (b, a) = transpose::finish_reformat(keys, level - 1, stride, lines, len, &b, &a)?;
        let shape = Shape {
            lines: len,
            len: lines,
            layout: Lines::Packed,
            padded,
        };
        Ok(self.narrowed(shape, b, a))
    }

    fn check_keys(&self, operation: &'static str, keys: &EvaluationKeys) -> Result<()> {
        if keys.id() != self.key {
            return Err(Error::KeyMismatch {
                operation,
                got: keys.id().to_string(),
                expected: self.key.to_string(),
            });
        }
        if !Arc::ptr_eq(keys.ring(), self.ring.ring())
            && keys.ring().spec() != self.ring.ring().spec()
        {
            return Err(Error::KeyMismatch {
                operation,
                got: "keys over another ring".into(),
                expected: "keys of this ring".into(),
            });
        }
        Ok(())
    }

    /// The halves of a sum of products; all blocks fit.
    pub(super) fn multiply(
        &self,
        wide: &Arc<Ring>,
        terms: &[(&Self, &Self)],
        cols: usize,
    ) -> Result<Product> {
        let rows = self.shape.len;
        let swapped: Vec<(&Self, &Self)> = terms.iter().map(|&(l, r)| (r, l)).collect();
        let mut work = Work::new(self, wide);
        let d_a = work.contracted(|prime, k, n, out| {
            for (t, (l, r)) in terms.iter().enumerate() {
                let count = l.ciphertexts();
                lines_tn(prime, count, (l.a_of(k), n), (r.a_of(k), n), out, t > 0)?;
            }
            Ok(())
        })?;
        let d_b = work.mixed(&swapped, cols)?;
        let u_a = work.mixed(terms, rows)?;
        let u_b = work.matrix((cols, rows), |prime, k, out| {
            for (t, (l, r)) in terms.iter().enumerate() {
                let (l, r) = (Operand::new(l, k), Operand::new(r, k));
                let (count, y, x) = (l.lines(), l.compact(), r.compact());
                lines_tn(prime, count, (&x, cols), (&y, rows), out, t > 0)?;
            }
            Ok(())
        })?;
        Ok(Product { u_b, u_a, d_b, d_a })
    }

    /// As [`multiply`](Self::multiply) of blocks with themselves.
    pub(super) fn square(&self, wide: &Arc<Ring>, terms: &[&Self]) -> Result<Product> {
        let len = self.shape.len;
        let pairs: Vec<(&Self, &Self)> = terms.iter().map(|&x| (x, x)).collect();
        let symmetric = |prime, count, x: &[i16], cols, out: &mut [i16], accumulate| {
            let x = Strided::row_major(x, count, cols)?;
            let mut out = StridedMut::row_major(out, cols, cols)?;
            narrow::syrk(prime, x, &mut out, accumulate)
        };
        let mut work = Work::new(self, wide);
        let d_a = work.contracted(|prime, k, n, out| {
            for (t, x) in terms.iter().enumerate() {
                symmetric(prime, x.ciphertexts(), x.a_of(k), n, out, t > 0)?;
            }
            Ok(())
        })?;
        let d_b = work.mixed(&pairs, len)?;
        let u_b = work.matrix((len, len), |prime, k, out| {
            for (t, x) in terms.iter().enumerate() {
                let x = Operand::new(x, k);
                symmetric(prime, x.lines(), &x.compact(), len, out, t > 0)?;
            }
            Ok(())
        })?;
        let u_a = d_b.clone();
        Ok(Product { u_b, u_a, d_b, d_a })
    }

    /// Relinearization, change of format, and back to narrow residues.
    fn finish(&self, keys: &EvaluationKeys, product: Product, lines: usize) -> Result<Self> {
        let stride = self.shape.stride(self.degree());
        let (b, a) = transpose::finish_product(keys, self.level - 1, stride, product)?;
        let shape = Shape {
            lines,
            layout: Lines::Packed,
            ..self.shape
        };
        Ok(self.narrowed(shape, b, a))
    }

    /// Packed ciphertexts modulo Q of the level below, to a block.
    fn narrowed(&self, shape: Shape, b: Rows, a: Rows) -> Self {
        let level = self.level - 1;
        let switch = self.ring.to_narrow(level);
        let apply = |x: Rows| {
            let len = x.rows() * x.cols();
            let mut out = narrow::zeros(self.ring.narrow_len(level) * len);
            let mut to: Vec<&mut [i16]> = out.chunks_mut(len).collect();
            switch.convert(&x.limbs_ref(), &mut to);
            Arc::new(out)
        };
        Self {
            ring: self.ring.clone(),
            key: self.key,
            shape,
            level,
            b: apply(b),
            a: apply(a),
            seed: None,
        }
    }
}
