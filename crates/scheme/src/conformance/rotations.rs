use super::{PackedScheme, Suite, must, must_fail, required_keys, zip};
use crate::{Decrypt, Encrypt, Error};
use rand::CryptoRng;

impl<S, K> Suite<'_, S, K>
where
    S: PackedScheme,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    fn rotated(&self, values: &[S::Value], step: i64) -> Vec<S::Value> {
        let mut out = values.to_vec();
        out.rotate_left(step.rem_euclid(values.len() as i64) as usize);
        out
    }

    pub(super) fn rotations<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let slots = s.slots() as i64;
        // Slots are a power of two: the smallest integer is a multiple of them, the largest is one less.
        let alike = [
            0,
            slots,
            -slots,
            1 + slots,
            3 - 2 * slots,
            slots - 1,
            -slots / 2,
            i64::MIN,
            i64::MAX,
        ];
        let steps: Vec<i64> = required_keys(s.slots())
            .rotations
            .into_iter()
            .chain(alike)
            .collect();
        for depth in 0..=s.max_depth() {
            let (x, a) = self.sample(depth, rng);
            let many = must("rotate_many", s.rotate_many(&x, &steps));
            assert_eq!(many.len(), steps.len(), "rotate_many: number of results");
            for (&step, hoisted) in steps.iter().zip(&many) {
                assert!(
                    s.can_rotate(step),
                    "can_rotate({step}) is false, the key is required"
                );
                let single = must("rotate", s.rotate(&x, step));
                let clear = self.rotated(&a, step);
                self.expect(
                    &format!("rotate by {step} at depth {depth}"),
                    &single,
                    &clear,
                    depth,
                );
                self.expect(
                    &format!("rotate_many by {step} at depth {depth}"),
                    hoisted,
                    &clear,
                    depth,
                );
            }
            let none = must("rotate_many", s.rotate_many(&x, &[]));
            assert!(none.is_empty(), "rotate_many by no step gave a result");
            for other in [depth, s.max_depth(), 0] {
                let (y, b) = self.sample(other, rng);
                let sum = must(
                    "rotate_sum",
                    s.rotate_sum(&[&x, &y, &x, &y], &[1, -1, 0, slots / 2]),
                );
                let clear = [(&a, 1), (&b, -1), (&a, 0), (&b, slots / 2)]
                    .into_iter()
                    .map(|(values, step)| self.rotated(values, step))
                    .reduce(|sum, term| zip(&sum, &term, |u, v| u + v))
                    .unwrap_or_default();
                let what = format!("rotate_sum at depths {depth} and {other}");
                self.expect(&what, &sum, &clear, depth.min(other));
            }
            let alone = must("rotate_sum", s.rotate_sum(&[&x], &[slots]));
            self.expect("rotate_sum of one ciphertext by no step", &alone, &a, depth);
        }
        self.missing_rotations(rng);
    }

    fn missing_rotations<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let step = (1..s.slots() as i64).find(|&step| !s.can_rotate(step));
        let step = step.expect("an evaluator that does not hold every rotation");
        let (x, _) = self.sample(s.max_depth(), rng);
        let missing = |error: &Error| matches!(error, Error::MissingKey { .. });
        must_fail(
            "rotate without a key",
            s.rotate(&x, step),
            "MissingKey",
            missing,
        );
        must_fail(
            "rotate_many without a key",
            s.rotate_many(&x, &[1, step]),
            "MissingKey",
            missing,
        );
        must_fail(
            "rotate_sum without a key",
            s.rotate_sum(&[&x, &x], &[1, step]),
            "MissingKey",
            missing,
        );
        let keyless = self.key.scheme();
        must_fail(
            "rotate without any key",
            keyless.rotate(&x, 1),
            "MissingKey",
            missing,
        );
        must_fail(
            "mul without any key",
            keyless.mul(&x, &x),
            "MissingKey",
            missing,
        );
        must_fail(
            "square without any key",
            keyless.square(&x),
            "MissingKey",
            missing,
        );
        must_fail(
            "mul_sum without any key",
            keyless.mul_sum(&[&x], &[&x]),
            "MissingKey",
            missing,
        );
        must("add without any key", keyless.add(&x, &x));
        must("rotate by nothing without any key", keyless.rotate(&x, 0));
    }
}
