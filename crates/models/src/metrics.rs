//! How good a model is, on data in clear.

use crate::table::{check_finite, check_labels};
use cipherblas_scheme::{Error, Result};

fn check(operation: &'static str, scores: &[f64], y: &[f64]) -> Result<()> {
    if scores.len() != y.len() || y.is_empty() {
        return Err(Error::Shape {
            operation,
            got: format!("{} scores and {} labels", scores.len(), y.len()),
            expected: "as many scores as labels, at least one".into(),
            hint: "pass one score per labelled row",
        });
    }
    check_finite(scores)?;
    check_finite(y)
}

/// Share of rows whose score is on the right side of zero: positive for label 1, not positive for label 0.
///
/// # Errors
/// `Shape` if lengths differ or are zero; `Value` for NaN, infinity, or a label that is not 0 or 1.
pub fn accuracy(scores: &[f64], y: &[f64]) -> Result<f64> {
    check("accuracy", scores, y)?;
    check_labels(y)?;
    let right = scores
        .iter()
        .zip(y)
        .filter(|&(&s, &y)| (s > 0.0) == (y == 1.0))
        .count();
    Ok(right as f64 / y.len() as f64)
}

/// Area under the receiver operating characteristic: the probability that a random row of label 1 has a larger score
/// than a random row of label 0, ties counting one half. Exact, by ranks, in `n log n`.
///
/// # Errors
/// As [`accuracy`], and `Parameter` if only one class is present.
pub fn auroc(scores: &[f64], y: &[f64]) -> Result<f64> {
    check("AUROC", scores, y)?;
    check_labels(y)?;
    let positives = y.iter().filter(|&&v| v == 1.0).count();
    let negatives = y.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(Error::Parameter {
            what: "labels",
            got: format!("{positives} of class 1 and {negatives} of class 0"),
            expected: "both classes".into(),
            hint: "AUROC compares the two classes; stratify the split",
        });
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Twice the number of (negative, positive) pairs in the right order: integers, hence exact.
    let mut twice = 0u128;
    let mut below = 0u128;
    let mut start = 0;
    while start < order.len() {
        // `==` and not the sort's total order: 0.0 and -0.0 tie.
        let len = order[start..]
            .iter()
            .take_while(|&&i| scores[i] == scores[order[start]])
            .count();
        let tied = &order[start..start + len];
        let up = tied.iter().filter(|&&i| y[i] == 1.0).count() as u128;
        let down = len as u128 - up;
        twice += up * (2 * below + down);
        below += down;
        start += len;
    }
    Ok(twice as f64 / (2.0 * positives as f64 * negatives as f64))
}

/// Coefficient of determination: `1 - residual / total` sum of squares.
///
/// # Errors
/// `Shape`, `Value` as [`accuracy`] (any finite target), and `Parameter` if all targets are equal.
pub fn r2(predictions: &[f64], y: &[f64]) -> Result<f64> {
    check("R2", predictions, y)?;
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let total: f64 = y.iter().map(|v| (v - mean).powi(2)).sum();
    if total == 0.0 {
        return Err(Error::Parameter {
            what: "targets",
            got: format!("{} equal values", y.len()),
            expected: "at least two different values".into(),
            hint: "the coefficient of determination compares with the targets' variance",
        });
    }
    let residual: f64 = predictions
        .iter()
        .zip(y)
        .map(|(p, v)| (v - p).powi(2))
        .sum();
    Ok(1.0 - residual / total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_cases_by_hand() {
        let y = [0.0, 0.0, 1.0, 1.0];
        assert_eq!(accuracy(&[-1.0, 0.0, 0.5, -2.0], &y).unwrap(), 0.75);
        assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &y).unwrap(), 0.75);
        assert_eq!(auroc(&[1.0; 4], &y).unwrap(), 0.5);
        assert_eq!(auroc(&[0.0, -0.0, 0.0, -0.0], &y).unwrap(), 0.5);
        assert_eq!(auroc(&[3.0, 4.0, 1.0, 2.0], &y).unwrap(), 0.0);
        assert_eq!(r2(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap(), 1.0);
        assert_eq!(r2(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]).unwrap(), 0.0);
    }

    #[test]
    fn refuses_what_has_no_answer() {
        assert!(matches!(
            auroc(&[1.0], &[1.0]),
            Err(Error::Parameter { what: "labels", .. })
        ));
        assert!(matches!(
            auroc(&[1.0, 2.0], &[1.0]),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(accuracy(&[], &[]), Err(Error::Shape { .. })));
        assert!(matches!(
            auroc(&[f64::NAN, 0.0], &[1.0, 0.0]),
            Err(Error::Value { index: 0, .. })
        ));
        assert!(matches!(
            accuracy(&[1.0], &[0.5]),
            Err(Error::Value { index: 0, .. })
        ));
        assert!(matches!(
            r2(&[1.0, 2.0], &[3.0, 3.0]),
            Err(Error::Parameter { .. })
        ));
    }

    proptest! {
        #[test]
        fn auroc_counts_pairs(rows in prop::collection::vec((-3i32..3, 0u8..2), 2..60)) {
            let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
            let y: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for (s, _) in scores.iter().zip(&y).filter(|p| *p.1 == 1.0) {
                for (t, _) in scores.iter().zip(&y).filter(|p| *p.1 == 0.0) {
                    pairs += 1.0;
                    wins += if s > t { 1.0 } else if s == t { 0.5 } else { 0.0 };
                }
            }
            match auroc(&scores, &y) {
                Ok(got) => prop_assert!((got - wins / pairs).abs() < 1e-14),
                Err(_) => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
