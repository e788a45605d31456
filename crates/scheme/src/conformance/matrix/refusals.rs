use super::{Clear, Suite};
use crate::conformance::{Sample, must, must_fail};
use crate::matrix::MIN_PADDED_LEN;
use crate::{DecryptMatrix, EncryptMatrix, Error, Lines, MatrixScheme, Side, Value, WeightMatrix};
use rand::CryptoRng;

fn shape(error: &Error) -> bool {
    matches!(error, Error::Shape { .. })
}

fn parameter(error: &Error) -> bool {
    matches!(error, Error::Parameter { .. })
}

fn value(error: &Error) -> bool {
    matches!(error, Error::Value { index: 1, .. })
}

fn depth(error: &Error) -> bool {
    matches!(error, Error::Depth { .. })
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

fn missing(error: &Error) -> bool {
    matches!(error, Error::MissingKey { .. })
}

fn foreign(error: &Error) -> bool {
    matches!(error, Error::KeyMismatch { .. })
}

fn overflow(error: &Error) -> bool {
    matches!(error, Error::Overflow { .. } | Error::Noise { .. })
}

impl<S, K> Suite<'_, S, K>
where
    S: MatrixScheme<Value: Sample>,
    K: EncryptMatrix<Scheme = S> + DecryptMatrix<Scheme = S>,
{
    /// What does not fit is refused, with an error of the right class.
    pub(super) fn refusals<R: CryptoRng>(&self, rng: &mut R) {
        self.wrong_encryptions(rng);
        self.wrong_shapes(rng);
        self.wrong_layouts(rng);
        self.no_depth(rng);
        self.missing_keys(rng);
        self.too_large(rng);
    }

    fn wrong_encryptions<R: CryptoRng>(&self, rng: &mut R) {
        let (s, n) = (self.evaluator, self.evaluator.max_len());
        let (half, top) = (S::Value::of(0.5), s.max_depth());
        for (values, lines, padded) in [
            (0, 0, None),
            (0, 3, None),
            (3, 0, None),
            (7, 2, None),
            (n + 1, 1, None),
            (2 * n + 2, 2, None),
            (8, 2, Some(0)),
            (8, 2, Some(8)),
            (8, 2, Some(24)),
            (8, 2, Some(2 * n)),
            (34, 2, Some(16)),
        ] {
            let values = vec![half; values];
            let result =
                self.key
                    .encrypt_block(&values, lines, padded, Lines::Packed, top, None, rng);
            let what = format!("{} values in {lines} lines on {padded:?}", values.len());
            must_fail(&what, result, "Shape", shape);
        }
        let mut encrypt = |values: &[S::Value], depth, bound| {
            self.key
                .encrypt_block(values, 1, None, Lines::Packed, depth, bound, rng)
        };
        let magnitude = Some(S::Value::MAGNITUDE);
        for bad in S::Value::invalid() {
            let what = format!("encryption of {bad:?}");
            let result = encrypt(&[half, bad, half], top, magnitude);
            must_fail(&what, result, "Value", value);
        }
        let beyond = encrypt(
            &[half, S::Value::of(-0.75)],
            top,
            Some(0.5 * S::Value::MAGNITUDE),
        );
        must_fail("encryption beyond the bound", beyond, "Value", value);
        for bound in [f64::NAN, f64::INFINITY, -1.0] {
            let what = format!("encryption with the bound {bound}");
            let result = encrypt(&[S::Value::ZERO], top, Some(bound));
            must_fail(&what, result, "Parameter", parameter);
        }
        let deep = encrypt(&[half], top + 1, magnitude);
        must_fail("encryption beyond the depth", deep, "Depth", depth);
        for (lines, len) in [(0, 1), (1, 0), (1, n + 1)] {
            let bytes = s.block_bytes(lines, len, Lines::Packed, top);
            must_fail("block_bytes", bytes, "Shape", shape);
        }
        let bytes = s.block_bytes(1, 1, Lines::Packed, top + 1);
        must_fail("block_bytes beyond the depth", bytes, "Depth", depth);
    }

    fn wrong_shapes<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let packed = |lines, len, rng: &mut R| self.sample(lines, len, None, Lines::Packed, rng).0;
        let x = packed(5, 7, rng);
        let others = [packed(6, 7, rng), packed(5, 8, rng), {
            let wide = Some(2 * MIN_PADDED_LEN);
            self.sample(5, 7, wide, Lines::Packed, rng).0
        }];
        for other in &others {
            must_fail("add of other shapes", s.add(&x, other), "Shape", shape);
            must_fail("sub of other shapes", s.sub(other, &x), "Shape", shape);
        }
        let [more, longer, wide] = &others;
        let product = |terms: &[_]| s.gemm_tn(terms, Side::Left);
        must_fail("a product of nothing", product(&[]), "Shape", shape);
        must_fail("syrk of nothing", s.syrk(&[]), "Shape", shape);
        must_fail("gemm_plain of nothing", s.gemm_plain(&[]), "Shape", shape);
        must_fail("other lines", product(&[(&x, more)]), "Shape", shape);
        must_fail("other grids", product(&[(&x, wide)]), "Shape", shape);
        let uneven = product(&[(&x, &x), (&x, longer)]);
        must_fail("terms of other lengths", uneven, "Shape", shape);
        must_fail("syrk, too", s.syrk(&[&x, longer]), "Shape", shape);
        let many = packed(MIN_PADDED_LEN + 1, 7, rng);
        must_fail("reformat of many lines", s.reformat(&many), "Shape", shape);

        let single = self.sample(5, 7, None, Lines::Single, rng).0;
        let halves = [S::Value::of(0.5); 15];
        let weights = |rows, cols| {
            must(
                "weights",
                WeightMatrix::new(rows, cols, &halves[..rows * cols]),
            )
        };
        let ragged = s.gemm_plain(&[(weights(2, 4), &single)]);
        must_fail("weights of other columns", ragged, "Shape", shape);
        let uneven = s.gemm_plain(&[(weights(2, 5), &single), (weights(3, 5), &single)]);
        must_fail("weights of other rows", uneven, "Shape", shape);
        for bad in S::Value::invalid() {
            let values = [S::Value::ONE, bad];
            let what = format!("a weight of {bad:?}");
            let pair = self.sample(2, 3, None, Lines::Single, rng).0;
            let weights = must("weights", WeightMatrix::new(1, 2, &values));
            let result = s.gemm_plain(&[(weights, &pair)]);
            must_fail(&what, result, "Value", value);
            must_fail(&what, s.scale(&pair, bad), "Value", |error| {
                matches!(error, Error::Value { index: 0, .. })
            });
        }
    }

    fn wrong_layouts<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let packed = self.sample(5, 7, None, Lines::Packed, rng).0;
        let single = self.sample(5, 7, None, Lines::Single, rng).0;
        must_fail("add", s.add(&packed, &single), "Shape", shape);
        let product = s.gemm_tn(&[(&packed, &single)], Side::Left);
        must_fail("gemm_tn of two layouts", product, "Shape", shape);
        let gram = s.syrk(&[&packed, &single]);
        must_fail("syrk of two layouts", gram, "Shape", shape);
        must_fail(
            "reformat of single lines",
            s.reformat(&single),
            "Shape",
            shape,
        );
    }

    fn no_depth<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let (top, one) = (s.max_depth(), [S::Value::ONE; 3]);
        let weights = must("weights", WeightMatrix::new(1, 3, &one));
        let clear = Clear::random(3, 4, rng);
        let low = self.encrypt(&clear, None, Lines::Packed, 0, rng);
        let single = self.encrypt(&clear, None, Lines::Single, 0, rng);
        let fresh = self.encrypt(&clear, None, Lines::Packed, top, rng);
        let class = "Depth";
        let product = s.gemm_tn(&[(&fresh, &fresh), (&fresh, &low)], Side::Left);
        must_fail("gemm_tn at the bottom", product, class, bottom);
        must_fail("syrk at the bottom", s.syrk(&[&low]), class, bottom);
        must_fail("reformat at the bottom", s.reformat(&low), class, bottom);
        let scaled = s.scale(&low, S::Value::ONE);
        must_fail("scale at the bottom", scaled, class, bottom);
        let product = s.gemm_plain(&[(weights, &single)]);
        must_fail("gemm_plain at the bottom", product, class, bottom);
        must_fail(
            "lower_to more than is left",
            s.lower_to(&low, 1),
            class,
            depth,
        );
        self.expect("an operand after refusals", &fresh, &clear, top);
    }

    fn missing_keys<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let class = "MissingKey";
        // On a grid whose keys were not asked for: refused, or right if the keys of others serve it too.
        let wide = Some(2 * MIN_PADDED_LEN);
        let (x, a) = self.sample(3, 4, wide, Lines::Packed, rng);
        let product = |s: &S, x| s.gemm_tn(&[(x, x)], Side::Left);
        let results = [
            ("gemm_tn", product(s, &x), a.product(&a)),
            ("syrk", s.syrk(&[&x]), a.product(&a)),
            ("reformat", s.reformat(&x), a.transposed()),
        ];
        for (name, result, clear) in results {
            let what = format!("{name} on another grid");
            match result {
                Ok(block) if s.name() != "clear" => {
                    self.expect(&what, &block, &clear, s.max_depth() - 1);
                }
                result => must_fail(&what, result, class, missing),
            }
        }
        let bare = self.key.scheme();
        let (y, clear) = self.sample(3, 4, None, Lines::Packed, rng);
        must_fail("gemm_tn without keys", product(&bare, &y), class, missing);
        must_fail("syrk without keys", bare.syrk(&[&y]), class, missing);
        must_fail("reformat without keys", bare.reformat(&y), class, missing);
        let sum = must("add without keys", bare.add(&y, &y));
        let twice = clear.map(|v| v + v);
        self.expect("add without keys", &sum, &twice, s.max_depth());
    }

    /// Sums that double until they are refused: they may not wrap around.
    fn too_large<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        if s.name() == "clear" && S::Value::ROUNDING > 0.0 {
            // Doubles hold whatever can be reached.
            return;
        }
        let (mut x, mut clear) = self.sample(2, 2, None, Lines::Packed, rng);
        for _ in 0..200 {
            match s.add(&x, &x) {
                Ok(sum) => {
                    x = sum;
                    clear = clear.map(|v| v + v);
                }
                Err(error) => {
                    assert!(overflow(&error), "a large sum: got `{error}`");
                    let decrypted = must("decrypt_block", self.key.decrypt_block(&x));
                    let bound = s.error_bound(&x);
                    for (got, expected) in decrypted.iter().zip(&clear.values) {
                        let rounding = S::Value::ROUNDING * expected.magnitude();
                        assert!(
                            got.distance(*expected) <= bound + rounding,
                            "the largest sum that is held: {got:?}, expected {expected:?}"
                        );
                    }
                    return;
                }
            }
        }
        panic!("a value that doubled 200 times was not refused");
    }

    /// Blocks under another key are refused by every operation.
    pub(super) fn foreign_keys<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let top = s.max_depth();
        let one = [S::Value::ONE; 3];
        let weights = must("weights", WeightMatrix::new(1, 3, &one));
        let clear = Clear::random(3, 4, rng);
        let x = self.encrypt(&clear, None, Lines::Packed, top, rng);
        let mut encrypt = |layout| {
            let bound = Some(S::Value::MAGNITUDE);
            let result = self
                .other
                .encrypt_block(&clear.values, 3, None, layout, top, bound, rng);
            must("encrypt_block", result)
        };
        let (y, single) = (encrypt(Lines::Packed), encrypt(Lines::Single));
        let class = "KeyMismatch";
        must_fail("check", s.check(&y), class, foreign);
        must_fail("lower_to", s.lower_to(&y, 0), class, foreign);
        must_fail("add", s.add(&x, &y), class, foreign);
        must_fail("sub", s.sub(&y, &x), class, foreign);
        must_fail("negate", s.negate(&y), class, foreign);
        must_fail("scale", s.scale(&y, S::Value::ONE), class, foreign);
        let product = s.gemm_tn(&[(&x, &x), (&x, &y)], Side::Left);
        must_fail("gemm_tn", product, class, foreign);
        must_fail("syrk", s.syrk(&[&y]), class, foreign);
        let product = s.gemm_plain(&[(weights, &single)]);
        must_fail("gemm_plain", product, class, foreign);
        must_fail("reformat", s.reformat(&y), class, foreign);
        must_fail("decrypt_block", self.key.decrypt_block(&y), class, foreign);
        let bytes = self.other.scheme().write_block(&y);
        must_fail("read_block", s.read_block(&bytes), class, foreign);
    }
}
