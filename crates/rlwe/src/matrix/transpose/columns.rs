//! From rows to columns: the encrypted transposition.

use super::elements::Elements;
use super::grid::{Band, Grid};
use super::switcher::{Half, Switcher, Work};
use cipherblas_math::ntt::root_exponent;
use rayon::prelude::*;

/// For an odd `g` the index `i` with `g = root_exponent(i, size)` modulo `2 size`.
fn index_of(g: u64, size: usize) -> usize {
    let half = (g as usize % (2 * size)) / 2;
    // `root_exponent(i) = 2 reverse(i) + 1`, and the reversal is its own inverse.
    (root_exponent(half, size) - 1) / 2
}

/// What sums over cosets of `H` start from.
enum Sum {
    /// One row for each coset: nothing to sum.
    Trivial,
    /// A row for each element of the group.
    Full,
}

/// One transposition: spread rows in, for each coset an image out.
struct Images<'a> {
    switcher: &'a Switcher,
    elements: &'a Elements,
    rows: &'a Grid,
    size: usize,
    sum: Sum,
}

impl Images<'_> {
    /// The spread row `sum_s X^((N / size) s / g) r_s`.
    fn read(&self, g: u64, out: &mut [f64]) {
        let n = self.switcher.ring.degree();
        let row = index_of(self.switcher.ring.inverse_element(g), self.size);
        for (k, out) in out.chunks_exact_mut(n).enumerate() {
            self.rows.read(k, row, out);
        }
    }

    /// Whether sums over cosets have one term, whose `b` is zero.
    fn is_trivial(&self) -> bool {
        matches!(self.sum, Sum::Trivial) || self.elements.rho == 1
    }

    fn times(&self, g: u64, h: u64) -> u64 {
        g * h % (2 * self.switcher.ring.degree() as u64)
    }

    /// `sum_(h in H) sigma_h(row of g h)`.
    fn sum(&self, g: u64, out: &mut Half<'_>, work: &mut Work<'_>) {
        out.b.fill(0.0);
        if self.is_trivial() {
            self.read(g, &mut out.a);
            return;
        }
        let (outer, inner) = (&self.elements.fixing_outer, &self.elements.fixing_inner);
        if outer.len() == 1 {
            let mut wide = self.switcher.wide();
            self.sum_inner(g, inner, &mut out.b, &mut out.a, &mut wide, work);
            return;
        }
        let mut part = self.switcher.half();
        let mut inner_wide = self.switcher.wide();
        let mut wide = self.switcher.wide();
        let mut first = self.switcher.ring.scratch(out.a.len());
        wide.fill(0.0);
        for &h in outer {
            part.b.fill(0.0);
            self.sum_inner(
                self.times(g, h),
                inner,
                &mut part.b,
                &mut part.a,
                &mut inner_wide,
                work,
            );
            if h == 1 {
                self.switcher.add(&mut out.b, &part.b);
                first.copy_from_slice(&part.a);
            } else {
                self.switcher.permute_add(h, &part.b, &mut out.b);
                self.switcher
                    .rotate(h, &part.a, &mut out.b, &mut wide, work);
            }
        }
        self.switcher.divide(&wide, &mut out.a, work);
        self.switcher.add(&mut out.a, &first);
    }

    /// `sum_(h in inner) sigma_h(row of g h)`, `b` added to what is there.
    fn sum_inner(
        &self,
        g: u64,
        inner: &[u64],
        b: &mut [f64],
        a: &mut [f64],
        wide: &mut [f64],
        work: &mut Work<'_>,
    ) {
        let mut row = self.switcher.ring.scratch(a.len());
        wide.fill(0.0);
        for &h in inner.iter().filter(|&&h| h != 1) {
            self.read(self.times(g, h), &mut row);
            self.switcher.rotate(h, &row, b, wide, work);
        }
        self.switcher.divide(wide, a, work);
        self.read(g, &mut row);
        self.switcher.add(a, &row);
    }

    /// `sigma_g` of the sum of the coset of `g = outer inner`: `b` and `a` over QP, times P.
    fn image(
        &self,
        outer: u64,
        inner: u64,
        b: &mut [f64],
        a: &mut [f64],
        half: &mut Half<'_>,
        work: &mut Work<'_>,
    ) {
        self.sum(self.times(outer, inner), half, work);
        if inner == 1 {
            b.copy_from_slice(&half.b);
        } else {
            if self.is_trivial() {
                b.fill(0.0);
            } else {
                self.switcher.permute(inner, &half.b, b);
            }
            a.fill(0.0);
            self.switcher.rotate(inner, &half.a, b, a, work);
            if outer != 1 {
                self.switcher.divide(a, &mut half.a, work);
            }
        }
        if outer == 1 {
            if inner == 1 {
                self.switcher.lift(&half.a, a);
            }
            return;
        }
        half.b.copy_from_slice(b);
        self.switcher.permute(outer, &half.b, b);
        a.fill(0.0);
        self.switcher.rotate(outer, &half.a, b, a, work);
    }

    /// All images: `put(bands, r, b, a)` is called with the bands that have the image's coset in row `r`.
    fn each<'b>(
        &self,
        bands: Vec<[Band<'b>; 2]>,
        put: impl Fn(&mut [Band<'b>; 2], usize, &[f64], &[f64], &mut Work<'_>) + Sync + Send,
    ) {
        let d = self.elements.d;
        let mut factors = vec![(0, 0); d];
        for &outer in &self.elements.outer {
            for &inner in &self.elements.inner {
                factors[index_of(self.times(outer, inner), d)] = (outer, inner);
            }
        }
        bands.into_par_iter().for_each(|mut bands| {
            let mut work = self.switcher.work();
            let mut half = self.switcher.half();
            let (mut b, mut a) = (self.switcher.wide(), self.switcher.wide());
            for r in 0..bands[0].count {
                let (outer, inner) = factors[bands[0].first + r];
                self.image(outer, inner, &mut b, &mut a, &mut half, &mut work);
                put(&mut bands, r, &b, &a, &mut work);
            }
        });
    }
}

/// The columns of a product before relinearization, without the halves that were never encrypted under another key:
/// `b + a s + c s^2`, row `v` being column `v`. In evaluation form; `b` and `a` over QP and times P, `c` over Q.
pub(super) struct Transposed {
    pub(super) b: Grid,
    pub(super) a: Grid,
    pub(super) c: Option<Grid>,
}

/// `u`: the spread rows of stride `rho` (`d` of them); `d`: the spread rows of the part that is to be multiplied by `s`.
pub(super) fn transpose(
    switcher: &Switcher,
    elements: &Elements,
    u: Grid,
    d: Option<Grid>,
) -> cipherblas_scheme::Result<Transposed> {
    let ring = &switcher.ring;
    let n = ring.degree();
    let size = elements.d;
    let mut b = Grid::new(ring, size, switcher.moduli());
    let mut a = Grid::new(ring, size, switcher.moduli());
    let images = Images {
        switcher,
        elements,
        rows: &u,
        size,
        sum: Sum::Trivial,
    };
    let bands = b.bands_mut().into_iter().zip(a.bands_mut());
    images.each(
        bands.map(|(b, a)| [b, a]).collect(),
        |[band_b, band_a], r, b, a, _| {
            for k in 0..switcher.qp {
                band_b.write(k, r, &b[k * n..(k + 1) * n]);
                band_a.write(k, r, &a[k * n..(k + 1) * n]);
            }
        },
    );
    let Some(d) = d else {
        drop(u);
        Grid::collect(ring, vec![&mut b, &mut a])?;
        return Ok(Transposed { b, a, c: None });
    };
    // The rows of `u` have been used.
    let mut c = Grid::from_data(ring, size, (0..switcher.q).collect(), u.into_data());
    let images = Images {
        switcher,
        elements,
        rows: &d,
        size: n,
        sum: Sum::Full,
    };
    let bands = a.bands_mut().into_iter().zip(c.bands_mut());
    images.each(
        bands.map(|(a, c)| [a, c]).collect(),
        |[band_a, band_c], r, b, a, work| {
            let mut row = ring.scratch(switcher.q * n);
            for (k, b) in b.chunks_exact(n).enumerate() {
                band_a.read(k, r, &mut row[..n]);
                switcher.add_limb(k, &mut row[..n], b);
                band_a.write(k, r, &row[..n]);
            }
            switcher.divide(a, &mut row, work);
            for (k, x) in row.chunks_exact(n).enumerate() {
                band_c.write(k, r, x);
            }
        },
    );
    drop(d);
    Grid::collect(ring, vec![&mut b, &mut a, &mut c])?;
    Ok(Transposed { b, a, c: Some(c) })
}
