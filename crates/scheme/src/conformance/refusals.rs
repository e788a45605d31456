use super::{PackedScheme, Sample, Suite, must, must_fail, zip};
use crate::{Decrypt, Encrypt, Error, Value, WeightMatrix};
use rand::CryptoRng;

fn shape(error: &Error) -> bool {
    matches!(error, Error::Shape { .. })
}

fn value(error: &Error) -> bool {
    matches!(error, Error::Value { index: 1, .. })
}

fn foreign(error: &Error) -> bool {
    matches!(error, Error::KeyMismatch { .. })
}

fn bottom(error: &Error) -> bool {
    matches!(
        error,
        Error::Depth {
            needed: 1,
            left: 0,
            ..
        }
    )
}

impl<S, K> Suite<'_, S, K>
where
    S: PackedScheme,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    /// What does not fit is refused, with an error of the right class.
    pub(super) fn refusals<R: CryptoRng>(&self, rng: &mut R) {
        self.wrong_shapes(rng);
        self.wrong_values(rng);
        self.no_depth(rng);
    }

    fn wrong_shapes<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let half = S::Value::of(0.5);
        let halves = [half; 2];
        let top = s.max_depth();
        let (x, _) = self.sample(top, rng);
        for length in [0, 3, s.slots() - 1, s.slots() + 1, 2 * s.slots()] {
            let values = vec![S::Value::of(0.5); length];
            let of = |operation| format!("{operation} of {length} values");
            must_fail(
                &of("encrypt_at"),
                self.key.encrypt_at(&values, top, None, rng),
                "Shape",
                shape,
            );
            must_fail(&of("add_plain"), s.add_plain(&x, &values), "Shape", shape);
            must_fail(&of("mul_plain"), s.mul_plain(&x, &values), "Shape", shape);
            must_fail(&of("prepare"), s.prepare(&values, top), "Shape", shape);
        }
        let plain = must("prepare", s.prepare(&[half], top));
        must_fail("sum of nothing", s.sum(&[]), "Shape", shape);
        must_fail("mul_sum of nothing", s.mul_sum(&[], &[]), "Shape", shape);
        must_fail(
            "ragged mul_sum",
            s.mul_sum(&[&x, &x], &[&x]),
            "Shape",
            shape,
        );
        must_fail(
            "mul_prepared of nothing",
            s.mul_prepared(&[], &[]),
            "Shape",
            shape,
        );
        must_fail(
            "ragged mul_prepared",
            s.mul_prepared(&[&x, &x], &[&plain]),
            "Shape",
            shape,
        );
        must_fail(
            "rotate_sum of nothing",
            s.rotate_sum(&[], &[]),
            "Shape",
            shape,
        );
        must_fail(
            "ragged rotate_sum",
            s.rotate_sum(&[&x, &x], &[1]),
            "Shape",
            shape,
        );
        let weights = must("weights", WeightMatrix::new(1, 2, &halves));
        must_fail("ragged combine", s.combine(weights, &[&x]), "Shape", shape);
        must_fail(
            "combine of nothing",
            s.combine(weights, &[]),
            "Shape",
            shape,
        );
    }

    fn wrong_values<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let top = s.max_depth();
        let (x, _) = self.sample(top, rng);
        for bad in S::Value::invalid() {
            let values = [S::Value::of(0.5), bad];
            let of = |operation| format!("{operation} of {bad:?}");
            must_fail(
                &of("encrypt_at"),
                self.key.encrypt_at(&values, top, None, rng),
                "Value",
                value,
            );
            must_fail(&of("add_plain"), s.add_plain(&x, &values), "Value", value);
            must_fail(&of("mul_plain"), s.mul_plain(&x, &values), "Value", value);
            must_fail(&of("prepare"), s.prepare(&values, top), "Value", value);
            let weights = must("weights", WeightMatrix::new(1, 2, &values));
            must_fail(
                &of("combine"),
                s.combine(weights, &[&x, &x]),
                "Value",
                value,
            );
            let first = |error: &Error| matches!(error, Error::Value { index: 0, .. });
            must_fail(&of("mul_scalar"), s.mul_scalar(&x, bad), "Value", first);
            must_fail(
                &of("mul_scalar_to"),
                s.mul_scalar_to(&x, bad, 0),
                "Value",
                first,
            );
        }
        let declared = self.key.encrypt_at(
            &[S::Value::of(0.5), S::Value::of(-0.75)],
            top,
            Some(0.5 * S::Value::MAGNITUDE),
            rng,
        );
        must_fail(
            "encrypt_at beyond the declared bound",
            declared,
            "Value",
            value,
        );
        for bound in [f64::NAN, f64::INFINITY, -1.0] {
            let what = format!("encrypt_at with the bound {bound}");
            let result = self
                .key
                .encrypt_at(&[S::Value::ZERO; 2], top, Some(bound), rng);
            must_fail(&what, result, "Parameter", |error| {
                matches!(error, Error::Parameter { .. })
            });
        }
    }

    fn no_depth<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let half = S::Value::of(0.5);
        let halves = [half; 2];
        let top = s.max_depth();
        let ((x, b), (fresh, a)) = (self.sample(0, rng), self.sample(top, rng));
        must_fail("mul at the bottom", s.mul(&x, &fresh), "Depth", bottom);
        must_fail("mul at the bottom", s.mul(&fresh, &x), "Depth", bottom);
        must_fail("square at the bottom", s.square(&x), "Depth", bottom);
        must_fail(
            "mul_sum at the bottom",
            s.mul_sum(&[&fresh, &x], &[&fresh, &fresh]),
            "Depth",
            bottom,
        );
        must_fail(
            "mul_plain at the bottom",
            s.mul_plain(&x, &[half]),
            "Depth",
            bottom,
        );
        match s.mul_scalar(&x, half) {
            Err(error) => assert!(
                bottom(&error),
                "mul_scalar at the bottom: got `{error}`, expected an error of class Depth"
            ),
            // An integer of small absolute value may cost no depth.
            Ok(scaled) => {
                assert!(half.magnitude() > 1.0, "mul_scalar at the bottom: accepted");
                self.expect(
                    "mul_scalar at the bottom",
                    &scaled,
                    &zip(&b, &halves[..1], |p, q| p * q),
                    0,
                );
            }
        }
        let weights = must("weights", WeightMatrix::new(1, 2, &halves));
        must_fail(
            "combine at the bottom",
            s.combine(weights, &[&fresh, &x]),
            "Depth",
            bottom,
        );
        let depth = |error: &Error| matches!(error, Error::Depth { .. });
        must_fail(
            "prepare beyond the depth",
            s.prepare(&[half], top + 1),
            "Depth",
            depth,
        );
        must_fail(
            "encrypt_at beyond the depth",
            self.key.encrypt_at(&[half], top + 1, None, rng),
            "Depth",
            depth,
        );
        must_fail(
            "lower_to more than is left",
            s.lower_to(&x, 1),
            "Depth",
            depth,
        );
        must_fail(
            "mul_scalar_to the depth it has",
            s.mul_scalar_to(&fresh, half, top),
            "Depth",
            depth,
        );
        let plain = must("prepare", s.prepare(&[half], top));
        let lower = must("lower_to", s.lower_to(&fresh, top - 1));
        must_fail(
            "mul_prepared for another depth",
            s.mul_prepared(&[&lower], &[&plain]),
            "Depth",
            depth,
        );
        // What was refused was not changed.
        self.expect("an operand after refusals", &fresh, &a, top);
    }

    /// Ciphertexts under another key are refused by every operation.
    pub(super) fn foreign_keys<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let half = S::Value::of(0.5);
        let halves = [half; 2];
        let top = s.max_depth();
        let (x, _) = self.sample(top, rng);
        let y = must(
            "encrypt_at",
            self.other
                .encrypt_at(&[half], top, Some(S::Value::MAGNITUDE), rng),
        );
        let plain = must("prepare", s.prepare(&[half], top));
        let weights = must("weights", WeightMatrix::new(1, 2, &halves));
        let class = "KeyMismatch";
        must_fail("check", s.check(&y), class, foreign);
        must_fail("lower_to", s.lower_to(&y, 0), class, foreign);
        must_fail("add", s.add(&x, &y), class, foreign);
        must_fail("sub", s.sub(&y, &x), class, foreign);
        must_fail("negate", s.negate(&y), class, foreign);
        must_fail("sum", s.sum(&[&x, &y]), class, foreign);
        must_fail("add_plain", s.add_plain(&y, &[half]), class, foreign);
        must_fail(
            "mul_prepared",
            s.mul_prepared(&[&x, &y], &[&plain, &plain]),
            class,
            foreign,
        );
        must_fail("mul_plain", s.mul_plain(&y, &[half]), class, foreign);
        must_fail("mul_scalar", s.mul_scalar(&y, half), class, foreign);
        must_fail("combine", s.combine(weights, &[&x, &y]), class, foreign);
        must_fail("mul", s.mul(&x, &y), class, foreign);
        must_fail("square", s.square(&y), class, foreign);
        must_fail("mul_sum", s.mul_sum(&[&x, &x], &[&x, &y]), class, foreign);
        must_fail("rotate", s.rotate(&y, 1), class, foreign);
        must_fail("rotate by nothing", s.rotate(&y, 0), class, foreign);
        must_fail("rotate_many", s.rotate_many(&y, &[1, 0]), class, foreign);
        must_fail(
            "rotate_sum",
            s.rotate_sum(&[&x, &y], &[1, 1]),
            class,
            foreign,
        );
        must_fail("decrypt", self.key.decrypt(&y), class, foreign);
        must_fail("decrypt", self.other.decrypt(&x), class, foreign);
        must_fail(
            "decrypt_shared",
            self.key.decrypt_shared(&y, 1e-3, rng),
            class,
            foreign,
        );
        must_fail(
            "read_ciphertext",
            s.read_ciphertext(&self.other.scheme().write_ciphertext(&y)),
            class,
            foreign,
        );
    }
}
