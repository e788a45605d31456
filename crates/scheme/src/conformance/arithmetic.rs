use super::{PackedScheme, Sample, Suite, must, random_values, zip};
use crate::{Decrypt, Encrypt, Value, WeightMatrix};
use rand::CryptoRng;

impl<S, K> Suite<'_, S, K>
where
    S: PackedScheme,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    /// Pairs of depths at which two operands meet.
    fn meetings(&self) -> Vec<(usize, usize)> {
        let top = self.evaluator.max_depth();
        vec![(top, top), (top, 1), (1, top), (top, top - 1), (1, 1)]
    }

    /// Lengths of plain operands.
    fn periods(&self) -> Vec<usize> {
        let slots = self.evaluator.slots();
        vec![1, 2, slots / 2, slots]
    }

    pub(super) fn additions<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for (left, right) in self
            .meetings()
            .into_iter()
            .chain([(0, 0), (s.max_depth(), 0)])
        {
            let ((x, a), (y, b)) = (self.sample(left, rng), self.sample(right, rng));
            let (at, depth) = (format!("at depths {left} and {right}"), left.min(right));
            let sum = must("add", s.add(&x, &y));
            self.expect(
                &format!("add {at}"),
                &sum,
                &zip(&a, &b, |u, v| u + v),
                depth,
            );
            let difference = must("sub", s.sub(&x, &y));
            self.expect(
                &format!("sub {at}"),
                &difference,
                &zip(&a, &b, |u, v| u - v),
                depth,
            );
            let zero = must("sub", s.sub(&difference, &difference));
            self.expect("x - x", &zero, &self.periodic(&[S::Value::ZERO]), depth);
            let terms = must("sum", s.sum(&[&x, &y, &x, &x]));
            self.expect(
                &format!("sum {at}"),
                &terms,
                &zip(&a, &b, |u, v| u + u + u + v),
                depth,
            );
            let negative = must("negate", s.negate(&x));
            self.expect("negate", &negative, &zip(&a, &b, |u, _| -u), left);
            for period in self.periods() {
                let values = random_values(period, rng);
                let shifted = must("add_plain", s.add_plain(&x, &values));
                let clear = zip(&a, &values, |u, v| u + v);
                self.expect(
                    &format!("add_plain of {period} values"),
                    &shifted,
                    &clear,
                    left,
                );
            }
        }
    }

    pub(super) fn plain_products<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for depth in 1..=s.max_depth() {
            let ((x, a), (y, b)) = (self.sample(depth, rng), self.sample(depth, rng));
            for period in self.periods() {
                let (v, w) = (random_values(period, rng), random_values(2, rng));
                let what = format!("plain product with {period} values at depth {depth}");
                let product = must(&what, s.mul_plain(&x, &v));
                let clear = zip(&a, &v, |p, q| p * q);
                self.expect(&what, &product, &clear, depth - 1);
                let (left, right) = (
                    must(&what, s.prepare(&v, depth)),
                    must(&what, s.prepare(&w, depth)),
                );
                let sum = must(&what, s.mul_prepared(&[&x, &y], &[&left, &right]));
                let clear = zip(&clear, &zip(&b, &w, |p, q| p * q), |p, q| p + q);
                self.expect(&format!("sum of two: {what}"), &sum, &clear, depth - 1);
            }
            let zero = must("mul_plain by zero", s.mul_plain(&x, &[S::Value::ZERO]));
            self.expect(
                "mul_plain by zero",
                &zero,
                &self.periodic(&[S::Value::ZERO]),
                depth - 1,
            );
            // An integer of small absolute value may cost no depth.
            let factor = S::Value::of(-0.37);
            let scaled = must("mul_scalar", s.mul_scalar(&x, factor));
            let left = s.depth(&scaled);
            assert!(
                left == depth - 1 || (left == depth && factor.magnitude() > 1.0),
                "mul_scalar: depth {depth} became {left}"
            );
            self.expect(
                "mul_scalar",
                &scaled,
                &zip(&a, &[factor], |p, q| p * q),
                left,
            );
            // By an integer a scheme may spend no depth.
            let two = S::Value::ONE + S::Value::ONE;
            let doubled = must("mul_scalar by 2", s.mul_scalar(&x, two));
            let left = s.depth(&doubled);
            assert!(
                left == depth || left == depth - 1,
                "mul_scalar: depth {depth} became {left}"
            );
            self.expect(
                "mul_scalar by 2",
                &doubled,
                &zip(&a, &[two], |p, q| p * q),
                left,
            );
            for target in 0..depth {
                let scaled = must(
                    "mul_scalar_to",
                    s.mul_scalar_to(&x, S::Value::of(0.81), target),
                );
                let what = format!("mul_scalar_to({target}) from {depth}");
                self.expect(
                    &what,
                    &scaled,
                    &zip(&a, &[S::Value::of(0.81)], |p, q| p * q),
                    target,
                );
            }
        }
    }

    pub(super) fn combinations<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for (rows, cols) in [(1, 1), (3, 4), (5, 2)] {
            for lowest in [1, s.max_depth()] {
                // One ciphertext at the lowest depth, the others at the top.
                let samples: Vec<_> = (0..cols)
                    .map(|j| self.sample(if j == 0 { lowest } else { s.max_depth() }, rng))
                    .collect();
                let cts: Vec<_> = samples.iter().map(|(ct, _)| ct).collect();
                let mut weights = random_values(rows * cols, rng);
                weights[0] = S::Value::ZERO;
                let what = format!("combine with {rows} x {cols} weights at depth {lowest}");
                let matrix = must(&what, WeightMatrix::new(rows, cols, &weights));
                let out = must(&what, s.combine(matrix, &cts));
                assert_eq!(out.len(), rows, "{what}: number of results");
                for (r, ct) in out.iter().enumerate() {
                    let mut clear = self.periodic(&[S::Value::ZERO]);
                    for (&w, (_, values)) in matrix.row(r).iter().zip(&samples) {
                        clear = zip(&clear, values, |sum, v| sum + w * v);
                    }
                    self.expect(&format!("{what}, row {r}"), ct, &clear, lowest - 1);
                }
            }
        }
    }

    pub(super) fn products<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for (left, right) in self.meetings() {
            let ((x, a), (y, b)) = (self.sample(left, rng), self.sample(right, rng));
            let (at, depth) = (format!("at depths {left} and {right}"), left.min(right) - 1);
            let ab = zip(&a, &b, |u, v| u * v);
            let product = must("mul", s.mul(&x, &y));
            self.expect(&format!("mul {at}"), &product, &ab, depth);
            let square = must("square", s.square(&x));
            self.expect("square", &square, &zip(&a, &a, |u, v| u * v), left - 1);
            let sum = must("mul_sum", s.mul_sum(&[&x, &y, &x], &[&y, &y, &x]));
            let clear = zip(&zip(&a, &b, |u, v| u * u + v * v), &ab, |u, v| u + v);
            self.expect(&format!("mul_sum {at}"), &sum, &clear, depth);
            // Distributivity: both sides are the same up to their bounds.
            let (z, _) = self.sample(left, rng);
            let apart = must("add", s.add(&product, &must("mul", s.mul(&z, &y))));
            let together = must("mul", s.mul(&must("add", s.add(&x, &z)), &y));
            let clear = must("decrypt", self.key.decrypt(&apart));
            let other = must("decrypt", self.key.decrypt(&together));
            let allowed = s.error_bound(&apart) + s.error_bound(&together) + S::Value::ROUNDING;
            let difference = super::distance(&clear, &other);
            assert!(
                difference <= allowed,
                "(x + z) * y {at} is off x*y + z*y by {difference:e}"
            );
        }
        // All the way down.
        let ((mut x, mut a), (y, b)) = (
            self.sample(s.max_depth(), rng),
            self.sample(s.max_depth(), rng),
        );
        for depth in (0..s.max_depth()).rev() {
            (x, a) = if depth % 2 == 0 {
                (must("square", s.square(&x)), zip(&a, &a, |u, v| u * v))
            } else {
                (must("mul", s.mul(&x, &y)), zip(&a, &b, |u, v| u * v))
            };
            self.expect(&format!("repeated products, depth {depth}"), &x, &a, depth);
            x = must("rotate", s.rotate(&x, 1));
            a.rotate_left(1);
            self.expect(
                &format!("repeated products, rotated, depth {depth}"),
                &x,
                &a,
                depth,
            );
        }
    }
}
