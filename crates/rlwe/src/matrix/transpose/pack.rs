//! From columns to packed ciphertexts: relinearization, and sums over `H` that clear what lies between lines.
//!
//! `sum_x X^x Tr_H(c_x)` for `x < rho`, where `Tr_H`, the sum of all `sigma_h`, keeps multiples of `rho` (times `rho`) and
//! clears the rest. `Tr_H` is a product of `1 + sigma_h` for one `h` of each order; the `h` of order `2t` negates `X^t`, so
//! that `(1 + sigma_h)(c) + X^t (1 + sigma_h)(c') = (c + X^t c') + sigma_h(c - X^t c')`: one key switch for two columns, and
//! later `h` fix `X^t`. This is the ring packing of Chen, Dai, Kim, Song (eprint 2020/015, section 3.3), stopped at stride `rho`.
//!
//! Every stage is multiplied by the inverse of two modulo Q. Errors are, too, and look like noise from then on; but the stages
//! that follow multiply those that stay by exactly that power of two, and clear the others: no error grows.

use super::columns::Transposed;
use super::elements::Elements;
use super::rows::Rows;
use super::switcher::{Half, Switcher, Work};
use cipherblas_math::AlignedVec;
use rayon::prelude::*;

/// The halves that need no key switch: of column `v`, values of `b` at the wanted places, and all of `a`.
pub(super) struct Plain {
    pub(super) b: Rows,
    pub(super) a: Option<Rows>,
}

struct Packer<'a> {
    switcher: &'a Switcher,
    elements: &'a Elements,
    columns: &'a Transposed,
    plain: &'a Plain,
    /// `X^(2^k) / 2` over QP, in evaluation form.
    monomials: Vec<AlignedVec>,
}

/// The packed ciphertexts `(b, a)` in coefficients.
pub(super) fn pack(
    switcher: &Switcher,
    elements: &Elements,
    columns: &Transposed,
    mut plain: Plain,
) -> (Rows, Rows) {
    let ring = &switcher.ring;
    let (n, q) = (ring.degree(), switcher.q);
    let count = plain.b.rows();
    let monomials = (0..elements.packing.len())
        .map(|k| {
            let mut out = AlignedVec::zeroed(switcher.qp * n);
            for (limb, index) in out.chunks_exact_mut(n).zip(switcher.moduli()) {
                let modulus = ring.plan(index).modulus();
                limb[1 << k] = modulus.residue(modulus.value() / 2 + 1);
                ring.plan(index).forward(limb);
            }
            out
        })
        .collect();
    let groups = count.div_ceil(elements.rho);
    let mut a = match plain.a.take() {
        // One column to a ciphertext: results are added to the halves that are there.
        Some(rows) if elements.rho == 1 => rows,
        other => {
            plain.a = other;
            Rows::zero(ring, q, groups, n)
        }
    };
    let mut b = if elements.rho == 1 && plain.b.cols() == n {
        let none = Rows::zero(ring, q, count, 0);
        std::mem::replace(&mut plain.b, none)
    } else {
        Rows::zero(ring, q, groups, n)
    };
    let packer = Packer {
        switcher,
        elements,
        columns,
        plain: &plain,
        monomials,
    };
    let rows: Vec<_> = b.each_row_mut().into_iter().zip(a.each_row_mut()).collect();
    rows.into_par_iter().enumerate().for_each_init(
        || switcher.work(),
        |work, (i, (mut b, mut a))| packer.group(i, &mut b, &mut a, work),
    );
    (b, a)
}

impl Packer<'_> {
    /// Adds ciphertext `i` to `(b, a)`.
    fn group(&self, i: usize, b: &mut [&mut [f64]], a: &mut [&mut [f64]], work: &mut Work<'_>) {
        let (ring, rho) = (&self.switcher.ring, self.elements.rho);
        let add = |to: &mut [&mut [f64]], k: usize, x: &[f64]| {
            ring.plan(k).kernels().add_assign(to[k], x);
        };
        if rho == 1 {
            let (wide_b, wide_a) = self.column(i, work);
            self.switcher
                .divide_to_coefficients(&wide_b, work, |k, x| add(b, k, x));
            self.switcher
                .divide_to_coefficients(&wide_a, work, |k, x| add(a, k, x));
        } else {
            let mut half = self.tree(i * rho, 0, work).expect("a group has a column");
            self.switcher
                .divide_to_coefficients(&half.b, work, |k, x| add(b, k, x));
            for (k, x) in half.a.chunks_exact_mut(ring.degree()).enumerate() {
                ring.plan(k).inverse(x);
                add(a, k, x);
            }
        }
        if self.plain.b.cols() > 0 {
            self.add_values(i, b);
        }
    }

    /// Adds `plain.b` at its places.
    fn add_values(&self, i: usize, b: &mut [&mut [f64]]) {
        let (ring, rho, plain) = (&self.switcher.ring, self.elements.rho, &self.plain.b);
        let mut row = ring.scratch(ring.degree());
        for (k, b) in b.iter_mut().enumerate() {
            row.fill(0.0);
            for v in i * rho..((i + 1) * rho).min(plain.rows()) {
                let places = row[v - i * rho..].iter_mut().step_by(rho);
                for (x, &y) in places.zip(plain.row(k, v)) {
                    *x = y;
                }
            }
            ring.plan(k).kernels().add_assign(b, &row);
        }
    }

    /// Column `v`, relinearized: over QP and times P.
    fn column(&self, v: usize, work: &mut Work<'_>) -> (crate::Scratch<'_>, crate::Scratch<'_>) {
        let n = self.switcher.ring.degree();
        let (mut b, mut a) = (self.switcher.wide(), self.switcher.wide());
        for (grid, out) in [(&self.columns.b, &mut b), (&self.columns.a, &mut a)] {
            for (k, out) in out.chunks_exact_mut(n).enumerate() {
                grid.read(k, v, out);
            }
        }
        if let Some(grid) = &self.columns.c {
            let mut c = self.switcher.ring.scratch(self.switcher.q * n);
            for (k, c) in c.chunks_exact_mut(n).enumerate() {
                grid.read(k, v, c);
            }
            self.switcher.relinearize(&c, &mut b, &mut a, work);
        }
        (b, a)
    }

    /// `sum T(c_v) X^(v - first)` over `v = first + 2^k j` in the group, `T` the mean of the `sigma_h` with an order above `2^k`
    /// and of the identity.
    fn tree(&self, first: usize, k: usize, work: &mut Work<'_>) -> Option<Half<'_>> {
        if first >= self.plain.b.rows() {
            return None;
        }
        let ring = &self.switcher.ring;
        let n = ring.degree();
        if k == self.elements.packing.len() {
            let (b, wide) = self.column(first, work);
            let mut a = ring.scratch(self.switcher.q * n);
            self.switcher.divide(&wide, &mut a, work);
            if let Some(plain) = &self.plain.a {
                let mut row = ring.scratch(n);
                for (k, a) in a.chunks_exact_mut(n).enumerate() {
                    row.copy_from_slice(plain.row(k, first));
                    ring.plan(k).forward(&mut row);
                    ring.plan(k).kernels().add_assign(a, &row);
                }
            }
            return Some(Half { b, a });
        }
        let mut even = self.tree(first, k + 1, work)?;
        self.switcher.halve(&mut even.b);
        self.switcher.halve(&mut even.a);
        let mut difference = self.switcher.half();
        difference.b.copy_from_slice(&even.b);
        difference.a.copy_from_slice(&even.a);
        if let Some(mut odd) = self.tree(first + (1 << k), k + 1, work) {
            for (odd, even, difference) in [
                (&mut odd.b, &mut even.b, &mut difference.b),
                (&mut odd.a, &mut even.a, &mut difference.a),
            ] {
                let limbs = odd
                    .chunks_exact_mut(n)
                    .zip(self.monomials[k].chunks_exact(n));
                for ((odd, x), index) in limbs.zip(self.switcher.moduli()) {
                    ring.plan(index).kernels().mul_assign(odd, x);
                }
                self.switcher.add(even, odd);
                self.switcher.subtract(difference, odd);
            }
        }
        let h = self.elements.packing[k];
        let mut wide = self.switcher.wide();
        wide.fill(0.0);
        self.switcher.permute_add(h, &difference.b, &mut even.b);
        self.switcher
            .rotate(h, &difference.a, &mut even.b, &mut wide, work);
        self.switcher.divide(&wide, &mut difference.a, work);
        self.switcher.add(&mut even.a, &difference.a);
        Some(even)
    }
}
