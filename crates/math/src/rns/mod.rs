//! Residue number systems: from the residues modulo some primes to those modulo others, and to real numbers.
//!
//! # Base conversion
//! Let `Q = q_1 ... q_L` and `x` be given by lazy residues `x_i`, `|x_i| <= q_i`. With
//! `y_i = x_i (Q / q_i)^-1 mod q_i` in any representation, `sum y_i Q / q_i` is congruent to `x` modulo `Q`, so that with
//! `v` the integer nearest to `sum y_i / q_i`, the number `sum y_i Q / q_i - v Q` is the **centred** representative, of
//! absolute value at most `Q / 2`. Its residues modulo `p` follow from those of `Q / q_i` and `Q`.
//!
//! `v` is found in double precision. With at most [`MAX_SOURCES`] primes and balanced `y_i` the sum is off by less
//! than 2^-40: the result is exact unless `x / Q` is within 2^-40 of `+-1/2`, and then it may be the representative on the
//! other side, still below `(1/2 + 2^-40) Q`.
//!
//! # Exact sums without a reduction per term
//! A product of two residues has up to 100 bits. The AVX2 kernel adds products to a large constant,
//! `h' = fl(h + y w)` with `h` near `1.5 * 2^(52 + s)`, so that `h` stays a multiple of `2^s`, and collects what was rounded
//! off: `l' = l + (y w + (h - h'))`, where the inner part is a fused multiply-add. It is an integer of at most
//! `2^(s-1)`, hence exact, and `l` is exact while it stays below 2^53. That is four operations a term, two on each pair of
//! ports, against six with a reduction. After `fold` terms both parts are reduced to one lazy residue.
//!
//! The bounds, with `b` and `c` the bits of the largest source and target: `|y| < 2^(b-1)` and `|w| < 2^(c-1)`, so
//! `fold * 2^(b + c - 2) <= 2^(51 + s)` keeps `h` in its binade, and `fold * 2^(s-1) <= 2^52` bounds `l`. For
//! `b = c = 50`: `s = 50`, `fold = 8`. The term of `v` is a plain product, at most 2^51, that `l` starts with; where it could be
//! larger it is a term like the others. Folding: `|h| / p <= fold * 2^48` up to what was rounded off, so its quotient is wrong
//! by at most `1/2 + 3 * 2^-53 * 2^51 = 1.25`; the remainder, `l`, the term of `v` and a carried residue together are below
//! `1.25 * 2^50 + 2^52 + 2^51 < 2^53`, and a second reduction leaves at most `p / 2 + 1`. With at most four terms the quotient of
//! `h + l` is wrong by at most `1/2 + 3 * 2^-53 * 2^50 = 0.875`: one reduction is enough.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
mod crt;
mod scalar;
pub(crate) use scalar::Wide;
#[cfg(test)]
mod tests;

pub use crt::{CrtReconstructor, MAX_RECONSTRUCTED, decompose_scaled, decompose_scaled_with};

use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::modulus::Modulus;

/// Largest number of source primes of a conversion.
pub const MAX_SOURCES: usize = 100;

/// Scratch on the stack: about half of a first-level cache.
const SCRATCH: usize = 2048;

/// Conversion of integers from residues modulo some primes to residues modulo others; see the [module page](self).
#[derive(Clone, Debug)]
pub struct BaseConverter {
    from: Vec<Source>,
    to: Vec<Target>,
    backend: Backend,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    sums: Accumulation,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    modulus: Modulus,
    q: f64,
    inverse_q: f64,
    /// `(Q / q)^-1 before mod q`, balanced, and that over `q`.
    factor: f64,
    factor_over_q: f64,
}

#[derive(Clone, Debug)]
struct Target {
    modulus: Modulus,
    p: f64,
    inverse_p: f64,
    /// Balanced residues of `after Q / q_i` for every source, then of `-after Q`.
    weights: Vec<f64>,
}

impl BaseConverter {
    /// From the product of the primes `from` to each of the primes `to`.
    ///
    /// # Errors
    /// [`MathError::Parameter`] for no source or target, more than [`MAX_SOURCES`] sources, or a source prime that occurs
    /// twice; [`MathError::Backend`].
    pub fn new(from: &[Modulus], to: &[Modulus]) -> Result<Self> {
        Self::with_backend(from, to, Backend::try_detect()?)
    }

    /// As [`new`](Self::new), on the given backend.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for the backend.
    pub fn with_backend(from: &[Modulus], to: &[Modulus], backend: Backend) -> Result<Self> {
        Self::scaled(from, to, |_| 1, |_| 1, backend)
    }

    /// Conversion between two multiplications: for `x` modulo `Q`, the product of the primes `from`, the targets get
    /// `after * c`, where `c` is the centred representative of `before * x` modulo `Q`. Both factors are given by their
    /// canonical residues, `before` modulo a source prime and `after` modulo a target prime; they become part of the
    /// constants, at no cost.
    ///
    /// As `b x - c` is a multiple of `Q`, the factors `before = b` and `after = -Q^-1` give what divisions with rounding are
    /// made of: `round(b x / Q) = b Q^-1 x - Q^-1 c` modulo the targets, of which the first term is zero for targets that
    /// divide `b`. It is exact unless `b x / Q` is within 2^-40 of a tie; then it may be the other neighbour.
    ///
    /// # Errors
    /// As [`with_backend`](Self::with_backend).
    ///
    /// # Panics
    /// If a factor is not canonical.
    pub fn scaled(
        from: &[Modulus],
        to: &[Modulus],
        before: impl Fn(Modulus) -> u64,
        after: impl Fn(Modulus) -> u64,
        backend: Backend,
    ) -> Result<Self> {
        check_sources("base conversion", from, MAX_SOURCES)?;
        assert!(
            from.iter().all(|&q| before(q) < q.value()) && to.iter().all(|&p| after(p) < p.value()),
            "base conversion: canonical factors"
        );
        if to.is_empty() {
            return Err(MathError::Parameter {
                operation: "base conversion",
                got: "no target prime".into(),
                expected: "at least one".into(),
                hint: "convert to the primes that are needed",
            });
        }
        let bits = |moduli: &[Modulus]| moduli.iter().map(|m| m.bits()).max().unwrap_or(0);
        let sums = Accumulation::new(from.len(), bits(from), bits(to));
        let product = |skip: Option<usize>, modulo: Modulus| {
            let others = from.iter().enumerate().filter(|(i, _)| Some(*i) != skip);
            others.fold(1, |acc, (_, q)| {
                modulo.mul(acc, modulo.reduce_u64(q.value()))
            })
        };
        let sources = from.iter().enumerate().map(|(i, &modulus)| {
            let inverse = modulus
                .inv(product(Some(i), modulus))
                .expect("distinct primes are coprime");
            let factor = modulus.residue(modulus.mul(inverse, before(modulus)));
            let q = modulus.value() as f64;
            Source {
                modulus,
                q,
                inverse_q: 1.0 / q,
                factor,
                factor_over_q: factor / q,
            }
        });
        let targets = to.iter().map(|&modulus| {
            let weight =
                |skip| modulus.residue(modulus.mul(product(skip, modulus), after(modulus)));
            let mut weights: Vec<f64> = (0..from.len()).map(|i| weight(Some(i))).collect();
            weights.push(-weight(None));
            let p = modulus.value() as f64;
            Target {
                modulus,
                p,
                inverse_p: 1.0 / p,
                weights,
            }
        });
        Ok(Self {
            from: sources.collect(),
            to: targets.collect(),
            backend,
            sums,
        })
    }

    /// Number of source primes.
    pub fn sources(&self) -> usize {
        self.from.len()
    }

    /// Number of target primes.
    pub fn targets(&self) -> usize {
        self.to.len()
    }

    /// Converts: `to[j][k]` is the centred representative of the number with residues `from[i][k]`, modulo target `j`.
    /// Inputs and outputs are lazy and in the coefficient domain. Cost: about one multiplication per coefficient, source
    /// and target, and one per coefficient and source.
    ///
    /// # Panics
    /// If the numbers of slices are not those of the primes, or lengths differ.
    pub fn convert(&self, from: &[&[f64]], to: &mut [&mut [f64]]) {
        assert_eq!(
            to.len(),
            self.to.len(),
            "base conversion: number of target slices"
        );
        let n = self.check_inputs(from);
        assert!(
            to.iter().all(|t| t.len() == n),
            "base conversion: target lengths, expected {n} each"
        );
        self.blocks(from, n, |start, y| self.finish_block(y, start, to));
    }

    /// As [`convert`](Self::convert), for one target only.
    ///
    /// # Panics
    /// As [`convert`](Self::convert), or if there is no such target.
    pub fn convert_one(&self, from: &[&[f64]], target_index: usize, out: &mut [f64]) {
        let n = self.check_inputs(from);
        assert_eq!(out.len(), n, "base conversion: target length");
        self.blocks(from, n, |start, y| {
            self.finish_one(y, target_index, &mut out[start..start + y[0].len()])
        });
    }

    /// The part of a conversion that all targets share: `y[i]` and `v` of the [module page](self), for
    /// [`finish`](Self::finish).
    ///
    /// # Panics
    /// If the numbers of slices are not that of the sources, or lengths differ.
    pub fn prepare(&self, from: &[&[f64]], y: &mut [&mut [f64]], v: &mut [f64]) {
        let n = self.check_inputs(from);
        assert_eq!(
            y.len(),
            self.from.len(),
            "base conversion: number of prepared slices"
        );
        assert!(
            y.iter().all(|y| y.len() == n) && v.len() == n,
            "base conversion: prepared lengths, expected {n} each"
        );
        match self.backend.kind() {
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2::prepare(&self.from, from, y, v) },
            Kind::Scalar => scalar::prepare(&self.from, from, y, v),
        }
    }

    /// The part of a conversion that belongs to one target, from what [`prepare`](Self::prepare) gave.
    ///
    /// # Panics
    /// If the number of slices is not that of the sources, lengths differ, or there is no such target.
    pub fn finish(&self, y: &[&[f64]], v: &[f64], target_index: usize, out: &mut [f64]) {
        assert_eq!(
            y.len(),
            self.from.len(),
            "base conversion: number of prepared slices"
        );
        let mut all: [&[f64]; MAX_SOURCES + 1] = [&[]; MAX_SOURCES + 1];
        all[..y.len()].copy_from_slice(y);
        all[y.len()] = v;
        self.finish_one(&all[..=y.len()], target_index, out);
    }

    fn check_inputs(&self, from: &[&[f64]]) -> usize {
        assert_eq!(
            from.len(),
            self.from.len(),
            "base conversion: number of source slices"
        );
        let n = from[0].len();
        assert!(
            from.iter().all(|x| x.len() == n),
            "base conversion: source lengths, expected {n} each"
        );
        n
    }

    /// Prepares block after block in scratch memory; `use_block` gets its start and the slices `y_1, ..., y_L, v`.
    fn blocks(&self, from: &[&[f64]], n: usize, mut use_block: impl FnMut(usize, &[&[f64]])) {
        let sources = self.from.len();
        let length = (SCRATCH / (sources + 1)).min(512) & !15;
        let mut scratch = Scratch([0.0; SCRATCH]);
        for start in (0..n).step_by(length) {
            let length = length.min(n - start);
            let mut inputs: [&[f64]; MAX_SOURCES] = [&[]; MAX_SOURCES];
            for (input, x) in inputs.iter_mut().zip(from) {
                *input = &x[start..start + length];
            }
            let scratch = &mut scratch.0[..(sources + 1) * length];
            let mut rows: [&mut [f64]; MAX_SOURCES + 1] =
                std::array::from_fn(|_| [].as_mut_slice());
            for (row, chunk) in rows.iter_mut().zip(scratch.chunks_exact_mut(length)) {
                *row = chunk;
            }
            let (y, v) = rows.split_at_mut(sources);
            self.prepare(&inputs[..sources], y, v[0]);
            let mut rows: [&[f64]; MAX_SOURCES + 1] = [&[]; MAX_SOURCES + 1];
            for (row, chunk) in rows.iter_mut().zip(scratch.chunks_exact(length)) {
                *row = chunk;
            }
            use_block(start, &rows[..=sources]);
        }
    }

    fn finish_block(&self, y: &[&[f64]], start: usize, to: &mut [&mut [f64]]) {
        let end = start + y[0].len();
        #[cfg(target_arch = "x86_64")]
        if self.backend.kind() == Kind::Avx2 && !self.few() {
            // Two targets share every load of a source.
            for (targets, outs) in self.to.chunks_exact(2).zip(to.chunks_exact_mut(2)) {
                let ([a, b], [out_a, out_b]) = (targets, outs) else {
                    unreachable!("chunks of two")
                };
                let outs = [&mut out_a[start..end], &mut out_b[start..end]];
                // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
                unsafe { avx2::finish::<2, 2>([a, b], self.sums, y, outs) }
            }
            if self.to.len() % 2 == 1 {
                let last = self.to.len() - 1;
                self.finish_one(y, last, &mut to[last][start..end]);
            }
            return;
        }
        for (j, out) in to.iter_mut().enumerate() {
            self.finish_one(y, j, &mut out[start..end]);
        }
    }

    fn finish_one(&self, y: &[&[f64]], target_index: usize, out: &mut [f64]) {
        let target = &self.to[target_index];
        assert!(
            y.iter().all(|y| y.len() == out.len()),
            "base conversion: lengths, expected {} each",
            out.len()
        );
        match self.backend.kind() {
            // SAFETY: `Kind::Avx2` is proof of AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe {
                match self.from.len() {
                    1 if target.weights[0] == 1.0 => avx2::reduce(target, y[0], out),
                    1 if self.few() => avx2::finish_few::<1>(target, self.sums, y, out),
                    2 if self.few() => avx2::finish_few::<2>(target, self.sums, y, out),
                    3 if self.few() => avx2::finish_few::<3>(target, self.sums, y, out),
                    4 if self.few() => avx2::finish_few::<4>(target, self.sums, y, out),
                    5 if self.few() => avx2::finish_few::<5>(target, self.sums, y, out),
                    6 if self.few() => avx2::finish_few::<6>(target, self.sums, y, out),
                    7 if self.few() => avx2::finish_few::<7>(target, self.sums, y, out),
                    8 if self.few() => avx2::finish_few::<8>(target, self.sums, y, out),
                    _ => avx2::finish::<1, 4>([target], self.sums, y, [out]),
                }
            },
            Kind::Scalar => scalar::finish(target, y, out),
        }
    }

    /// Whether a kernel for a fixed number of sources serves.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    fn few(&self) -> bool {
        self.from.len() <= self.sums.fold.min(8) && self.sums.short_v
    }
}

#[repr(align(64))]
struct Scratch([f64; SCRATCH]);

/// How the AVX2 kernel sums; the bounds are on the [module page](self).
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
#[derive(Clone, Copy, Debug)]
struct Accumulation {
    /// `1.5 * 2^(52 + s)`.
    magic: f64,
    /// Terms between reductions.
    fold: usize,
    /// Whether the term of `v` is small enough for a plain product.
    short_v: bool,
}

impl Accumulation {
    fn new(sources: usize, b: u32, c: u32) -> Self {
        // `v` is at most half the number of sources, rounded up; as a term like the others it needs 6 bits.
        let short_v = (sources as u128).div_ceil(2) << (c - 1) <= 1 << 51;
        let product = if short_v { b + c - 2 } else { b.max(7) + c - 2 };
        let fits = |fold: usize| {
            let log = (fold as f64).log2();
            let s = (f64::from(product) + log - 51.0).ceil().max(0.0);
            (log + s - 1.0 <= 52.0).then_some(s)
        };
        let fold = (1..=MAX_SOURCES + 1)
            .rev()
            .find(|&fold| fits(fold).is_some())
            .expect("one product fits");
        let s = fits(fold.min(sources + 1)).expect("fewer terms fit too");
        Self {
            magic: 1.5 * (52.0 + s).exp2(),
            fold,
            short_v,
        }
    }
}

fn check_sources(operation: &'static str, from: &[Modulus], most: usize) -> Result<()> {
    if from.is_empty() || from.len() > most {
        return Err(MathError::Parameter {
            operation,
            got: format!("{} source primes", from.len()),
            expected: format!("1 to {most}"),
            hint: "split the modulus into fewer, larger primes",
        });
    }
    for (i, q) in from.iter().enumerate() {
        if from[..i].contains(q) {
            return Err(MathError::Parameter {
                operation,
                got: format!("the source prime {} twice", q.value()),
                expected: "distinct primes".into(),
                hint: "choose moduli with `primes::primes_near`",
            });
        }
    }
    Ok(())
}
