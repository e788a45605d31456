//! The automorphisms `X -> X^g` of `Z_p[X] / (X^n + 1)`, `g` odd.
//!
//! On transformed polynomials they only permute entries: entry `i` is the value at `psi^e`, `e = root_exponent(i, n)`,
//! and the image's value there is the original's at `psi^(g e)`. In bit-reversed order the two low bits of `i` are the
//! two high bits of `(e - 1) / 2`, and `(e g - 1) / 2` depends on them only in its own two high bits: blocks of four
//! map to blocks of four, with one of four shuffles.

use crate::backend::{Backend, Kind};
use crate::error::{MathError, Result};
use crate::ntt::{bit_reverse, check_degree, root_exponent};
use crate::pointwise::Kernels;

/// The permutation of transformed polynomials (bit-reversed order, as [`NttPlan`](crate::ntt::NttPlan) makes them) under
/// `X -> X^g`.
#[derive(Clone, Debug)]
pub struct GaloisPermutation {
    n: usize,
    element: u64,
    backend: Backend,
    /// For each block of four outputs: four times the input block, plus the shuffle. Empty for n = 2.
    blocks: Vec<u32>,
    /// `shuffles[s][r]`: the input lane that goes to lane `r`.
    shuffles: [[u8; 4]; 4],
}

impl GaloisPermutation {
    /// The permutation for `X -> X^galois_element` at degree `n`.
    ///
    /// # Errors
    /// [`MathError::Degree`]; [`MathError::GaloisElement`] unless the element is odd and below `2 n`;
    /// [`MathError::Backend`].
    pub fn new(n: usize, galois_element: u64) -> Result<Self> {
        Self::with_backend(n, galois_element, Backend::try_detect()?)
    }

    /// As [`new`](Self::new), on a given backend.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_backend(n: usize, galois_element: u64, backend: Backend) -> Result<Self> {
        check_degree(n)?;
        check_element(n, galois_element)?;
        let g = galois_element as usize;
        let quarter = n / 4;
        let blocks = (0..quarter)
            .map(|block| {
                let index = (root_exponent(4 * block, n) * g % (2 * n)) / 2;
                let input = if quarter > 1 {
                    bit_reverse(index % quarter, quarter)
                } else {
                    0
                };
                (4 * input + index / quarter) as u32
            })
            .collect();
        let reverse2 = |x: usize| (x >> 1 & 1) | (x & 1) << 1;
        let shuffles = std::array::from_fn(|s| {
            std::array::from_fn(|r| reverse2((s + g * reverse2(r)) % 4) as u8)
        });
        Ok(Self {
            n,
            element: galois_element,
            backend,
            blocks,
            shuffles,
        })
    }

    /// The degree.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The Galois element `g`.
    pub fn galois_element(&self) -> u64 {
        self.element
    }

    /// `out` = the image of `input` under `X -> X^g`, both transformed.
    ///
    /// # Panics
    /// If a length is not the degree.
    pub fn apply(&self, out: &mut [f64], input: &[f64]) {
        self.check_lengths(out, input);
        match self.backend.kind() {
            Kind::Scalar => self.for_each(input, |i, x| out[i] = x),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Backend` of this kind exists only where AVX2 was detected; lengths were checked.
            Kind::Avx2 => unsafe { avx2::apply::<false>(self, out, input, 0.0, 0.0) },
        }
    }

    /// `out += ` the image of `input` under `X -> X^g`, both transformed; lazy residues in and out.
    ///
    /// # Panics
    /// If a length is not the degree.
    pub fn apply_add(&self, out: &mut [f64], input: &[f64], kernels: &Kernels) {
        self.check_lengths(out, input);
        match self.backend.kind() {
            Kind::Scalar => {
                let modulus = kernels.modulus();
                self.for_each(input, |i, x| {
                    out[i] = modulus.residue_i64(out[i] as i64 + x as i64)
                });
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Backend` of this kind exists only where AVX2 was detected; lengths were checked.
            Kind::Avx2 => unsafe {
                avx2::apply::<true>(self, out, input, kernels.fma().p, kernels.fma().p_inv);
            },
        }
    }

    /// `out` = the image of `input` under `X -> X^g`, both as coefficients.
    ///
    /// # Panics
    /// If a length is not the degree.
    pub fn apply_coeff(&self, out: &mut [f64], input: &[f64]) {
        self.check_lengths(out, input);
        permute_coefficients(out, input, self.element as usize);
    }

    fn check_lengths(&self, out: &[f64], input: &[f64]) {
        assert_eq!(out.len(), self.n, "length of `out` differs from the degree");
        assert_eq!(
            input.len(),
            self.n,
            "length of `input` differs from the degree"
        );
    }

    fn for_each(&self, input: &[f64], mut put: impl FnMut(usize, f64)) {
        if self.n == 2 {
            // g = 1 fixes both roots, g = 3 exchanges them.
            let swap = usize::from(self.element == 3);
            (0..2).for_each(|i| put(i, input[i ^ swap]));
        }
        for (block, &entry) in self.blocks.iter().enumerate() {
            let from = (entry & !3) as usize;
            for (r, &lane) in self.shuffles[(entry & 3) as usize].iter().enumerate() {
                put(4 * block + r, input[from + usize::from(lane)]);
            }
        }
    }
}

/// `out` = the image of `input`, coefficients of a polynomial of degree below `n`, under `X -> X^g`.
///
/// # Errors
/// [`MathError::Degree`], [`MathError::GaloisElement`].
///
/// # Panics
/// If a length is not `n`.
pub fn apply_coeff(out: &mut [f64], input: &[f64], n: usize, g: u64) -> Result<()> {
    check_degree(n)?;
    check_element(n, g)?;
    assert_eq!(out.len(), n, "length of `out` differs from the degree");
    assert_eq!(input.len(), n, "length of `input` differs from the degree");
    permute_coefficients(out, input, g as usize);
    Ok(())
}

fn check_element(n: usize, g: u64) -> Result<()> {
    if g.is_multiple_of(2) || g >= 2 * n as u64 {
        return Err(MathError::GaloisElement {
            got: g,
            expected_below: 2 * n as u64,
        });
    }
    Ok(())
}

/// The lengths are equal and a power of two.
fn permute_coefficients(out: &mut [f64], input: &[f64], g: usize) {
    let n = input.len();
    let log_n = n.trailing_zeros();
    let mut to = 0;
    for &x in input {
        // X^n = -1: the bit above the index is the sign.
        let sign = ((to >> log_n) as u64) << 63;
        out[to & (n - 1)] = f64::from_bits(x.to_bits() ^ sign);
        to = (to + g) & (2 * n - 1);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::GaloisPermutation;
    use crate::pointwise::ROUND;
    use std::arch::x86_64::*;

    /// # Safety
    /// `out` and `input` have `plan.n` elements.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn apply<const ADD: bool>(
        plan: &GaloisPermutation,
        out: &mut [f64],
        input: &[f64],
        p: f64,
        p_inv: f64,
    ) {
        if plan.n == 2 {
            plan.for_each(input, |i, x| {
                out[i] = if ADD {
                    let sum = out[i] + x;
                    (-(sum.mul_add(p_inv, ROUND) - ROUND)).mul_add(p, sum)
                } else {
                    x
                }
            });
            return;
        }
        let shuffles = plan.shuffles.map(|lanes| {
            let lane = |r: usize| i32::from(lanes[r]);
            let [a, b, c, d] = [lane(0), lane(1), lane(2), lane(3)].map(|x| 2 * x);
            _mm256_setr_epi32(a, a + 1, b, b + 1, c, c + 1, d, d + 1)
        });
        let (p, p_inv, round) = (
            _mm256_set1_pd(p),
            _mm256_set1_pd(p_inv),
            _mm256_set1_pd(ROUND),
        );
        for (out, &entry) in out.chunks_exact_mut(4).zip(&plan.blocks) {
            let from = (entry & !3) as usize;
            // SAFETY: `from` is a multiple of four below `plan.n`, by construction of the table, and `input` has
            // `plan.n` elements; `out` has four.
            unsafe {
                let x = _mm256_castpd_ps(_mm256_loadu_pd(input.as_ptr().add(from)));
                let mut x =
                    _mm256_castps_pd(_mm256_permutevar8x32_ps(x, shuffles[(entry & 3) as usize]));
                if ADD {
                    x = _mm256_add_pd(x, _mm256_loadu_pd(out.as_ptr()));
                    let q = _mm256_sub_pd(_mm256_fmadd_pd(x, p_inv, round), round);
                    x = _mm256_fnmadd_pd(q, p, x);
                }
                _mm256_storeu_pd(out.as_mut_ptr(), x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modulus::Modulus;
    use crate::ntt::NttPlan;
    use crate::primes::primes_near;

    #[test]
    fn commutes_with_the_transform() {
        for log_n in [1, 2, 3, 4, 5, 8, 11] {
            let n = 1usize << log_n;
            let p = Modulus::new(primes_near(1 << 50, 2 * n as u64, 1, &[]).unwrap()[0]).unwrap();
            for backend in Backend::all() {
                let plan = NttPlan::with_backend(n, p, backend).unwrap();
                let input: Vec<f64> = (0..n as u64)
                    .map(|i| p.residue(p.reduce_u64(i * i * 77_777_777 + 5)))
                    .collect();
                let mut transformed = input.clone();
                plan.forward(&mut transformed);
                for g in [1, 3, 5, 2 * n as u64 - 1, n as u64 + 1]
                    .into_iter()
                    .filter(|&g| g < 2 * n as u64 && g % 2 == 1)
                {
                    let permutation = GaloisPermutation::with_backend(n, g, backend).unwrap();
                    let mut want = vec![0.0; n];
                    permutation.apply_coeff(&mut want, &input);
                    let mut again = vec![0.0; n];
                    apply_coeff(&mut again, &input, n, g).unwrap();
                    assert_eq!(want, again);
                    plan.forward(&mut want);
                    let mut got = vec![0.0; n];
                    permutation.apply(&mut got, &transformed);
                    let canonical =
                        |v: &[f64]| v.iter().map(|&x| p.canonical(x)).collect::<Vec<_>>();
                    assert_eq!(
                        canonical(&got),
                        canonical(&want),
                        "n={n} g={g} {}",
                        backend.name()
                    );
                    let mut sum = transformed.clone();
                    permutation.apply_add(&mut sum, &transformed, plan.kernels());
                    let expected: Vec<u64> = canonical(&got)
                        .iter()
                        .zip(&transformed)
                        .map(|(&x, &y)| p.add(x, p.canonical(y)))
                        .collect();
                    assert_eq!(canonical(&sum), expected);
                }
            }
        }
    }

    #[test]
    fn even_or_large_elements_are_errors() {
        for g in [0, 2, 16, 17, u64::MAX] {
            let error = GaloisPermutation::new(8, g).unwrap_err();
            assert_eq!(
                error,
                MathError::GaloisElement {
                    got: g,
                    expected_below: 16
                }
            );
        }
        assert!(matches!(
            GaloisPermutation::new(12, 3),
            Err(MathError::Degree { got: 12, .. })
        ));
    }
}
