//! Least squares for square systems that may be singular, by a singular value decomposition.

use crate::table::dot;

/// Sweeps over all pairs of rows; convergence is quadratic, and ten are more than is ever needed.
const MAX_SWEEPS: usize = 40;

/// The shortest `x` that minimizes `|A x - b|`, for a row-major `n x n` matrix. Singular values of at most `cutoff` times the
/// largest count as zero; how many do not comes second.
///
/// One-sided Jacobi: rotations `V` make the rows of `G = V' A` orthogonal, so that `A = V G` is a decomposition with
/// singular values `|g_i|`.
pub(crate) fn least_norm(n: usize, a: &[f64], b: &[f64], cutoff: f64) -> (Vec<f64>, usize) {
    debug_assert_eq!((a.len(), b.len()), (n * n, n));
    let mut g: Vec<Vec<f64>> = a.chunks_exact(n).map(<[f64]>::to_vec).collect();
    let mut v: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let length = |row: &[f64]| dot(row, row).sqrt();
    let largest = g.iter().map(|row| length(row)).fold(0.0, f64::max);
    // Shorter rows are nothing but rounding, of which no rotation makes anything orthogonal.
    let rounding = largest * f64::EPSILON * n as f64;
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (one, other, inner) = (length(&g[p]), length(&g[q]), dot(&g[p], &g[q]));
                if one.min(other) <= rounding
                    || inner.abs() <= f64::EPSILON * n as f64 * one * other
                {
                    continue;
                }
                rotated = true;
                let zeta = (other * other - one * one) / (2.0 * inner);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                rotate(&mut g, p, q, cosine, cosine * tangent);
                rotate(&mut v, p, q, cosine, cosine * tangent);
            }
        }
        if !rotated {
            break;
        }
    }
    let singular: Vec<f64> = g.iter().map(|row| length(row)).collect();
    let least = cutoff * singular.iter().copied().fold(0.0, f64::max);
    let mut x = vec![0.0; n];
    let mut rank = 0;
    for ((g, v), s) in g.iter().zip(&v).zip(singular) {
        if s > least {
            rank += 1;
            let part = dot(v, b) / (s * s);
            x.iter_mut().zip(g).for_each(|(x, g)| *x += part * g);
        }
    }
    (x, rank)
}

fn rotate(rows: &mut [Vec<f64>], p: usize, q: usize, cosine: f64, sine: f64) {
    let (head, tail) = rows.split_at_mut(q);
    for (a, b) in head[p].iter_mut().zip(&mut tail[0]) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clear::cholesky::Cholesky;
    use proptest::prelude::*;

    /// `M' M` for the rows of a matrix.
    fn gram(rows: &[f64], n: usize) -> Vec<f64> {
        let mut sum = vec![0.0; n * n];
        for row in rows.chunks_exact(n) {
            for (at, s) in sum.iter_mut().enumerate() {
                *s += row[at / n] * row[at % n];
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn is_the_solution_where_there_is_one(n in 1usize..12, seed in prop::collection::vec(-1.0f64..1.0, 144 + 12)) {
            let mut a = gram(&seed[..n * n], n);
            (0..n).for_each(|i| a[i * n + i] += 0.1);
            let b = &seed[144..144 + n];
            let mut expected = b.to_vec();
            Cholesky::new(n, &a).unwrap().solve(&mut expected);
            for (got, want) in least_norm(n, &a, b, 1e-12).0.iter().zip(&expected) {
                prop_assert!((got - want).abs() < 1e-9 * (1.0 + want.abs()));
            }
        }

        /// Rank `r < n`: the residual is orthogonal to the range, and the solution lies in it.
        #[test]
        fn of_deficient_ones_the_shortest(n in 2usize..9, seed in prop::collection::vec(-1.0f64..1.0, 64 + 9)) {
            let r = n / 2;
            let span = &seed[..r * n];
            let a = gram(span, n);
            let b = &seed[64..64 + n];
            let cutoff = 1e-10;
            let x = least_norm(n, &a, b, cutoff).0;
            let residual: Vec<f64> = a.chunks_exact(n).zip(b).map(|(row, b)| dot(row, &x) - b).collect();
            let scale = 1.0 + x.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            for row in a.chunks_exact(n) {
                prop_assert!(dot(row, &residual).abs() < 1e-7 * scale);
            }
            // The part of `x` outside the span: x minus its projection, by normal equations of the span.
            let outer: Vec<f64> = (0..r * r).map(|at| dot(&span[at / r * n..][..n], &span[at % r * n..][..n])).collect();
            let Ok(factor) = Cholesky::new(r, &outer) else { return Ok(()) };
            let mut weights: Vec<f64> = span.chunks_exact(n).map(|row| dot(row, &x)).collect();
            factor.solve(&mut weights);
            for (j, value) in x.iter().enumerate() {
                let inside: f64 = weights.iter().zip(span.chunks_exact(n)).map(|(w, row)| w * row[j]).sum();
                prop_assert!((value - inside).abs() < 1e-7 * scale);
            }
        }
    }

    #[test]
    fn by_hand() {
        // Two equal features share the weight.
        let (x, rank) = least_norm(2, &[1.0, 1.0, 1.0, 1.0], &[3.0, 3.0], 1e-7);
        assert_eq!(rank, 1);
        assert!(
            (x[0] - 1.5).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12,
            "{x:?}"
        );
        // What is below the cutoff is zero, what is above is not.
        assert_eq!(
            least_norm(2, &[1.0, 0.0, 0.0, 1e-8], &[2.0, 1.0], 1e-7).0,
            [2.0, 0.0]
        );
        let x = least_norm(2, &[1.0, 0.0, 0.0, 1e-6], &[2.0, 1.0], 1e-7).0;
        assert!((x[1] - 1e6).abs() < 1e-3, "{x:?}");
        assert_eq!(least_norm(1, &[0.0], &[1.0], 1e-7).0, [0.0]);
    }
}
