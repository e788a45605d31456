//! The suite that every scheme for encrypted matrices must pass. **A test library: it panics where a scheme is wrong.**
//!
//! As the suite [for slots](super): results are decrypted and compared with the same computation in clear, within the
//! scheme's own error bound, which has to be within the precision that the caller asks for.
//!
//! ```
//! use cipherblas_scheme::{ClearMatrices, conformance::matrix};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let evaluator = ClearMatrices::<f64>::new(64, 2)?.with_keys(&matrix::required_keys(64));
//! let other = ClearMatrices::<f64>::new(64, 2)?.with_key(2).key();
//! matrix::Suite { key: &evaluator.key(), evaluator: &evaluator, other: &other, precision: 1e-10 }
//!     .run(&mut ChaCha20Rng::seed_from_u64(1));
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

mod refusals;

use super::serialization::corrupted;
use super::{Sample, must};
use crate::matrix::MIN_PADDED_LEN;
use crate::{
    DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme, Side, Value, WeightMatrix,
};
use rand::{CryptoRng, RngExt};

/// What the suite is run on. Lines of at least 64 values, a depth of at least 1.
pub struct Suite<'a, S, K> {
    /// The key of `evaluator`.
    pub key: &'a K,
    /// An evaluator that holds exactly [`required_keys`].
    pub evaluator: &'a S,
    /// Another key for the same parameters.
    pub other: &'a K,
    /// What every error bound has to be within, for values of magnitude [`Sample::MAGNITUDE`] and sums of up to
    /// [`INNER`] products (of two factors, or of three where the depth is 2 or more); 0 for an exact scheme.
    pub precision: f64,
}

/// Products that are summed at most in one value of a result: parameters must hold as many.
pub const INNER: usize = 160;

/// The keys that the suite computes with: the narrowest grid and the widest, and none between.
pub fn required_keys(max_len: usize) -> MatrixKeySet {
    MatrixKeySet {
        lengths: [MIN_PADDED_LEN, max_len].into(),
        products: true,
    }
}

/// A matrix in clear, held by lines.
#[derive(Clone, Debug)]
struct Clear<V> {
    lines: usize,
    len: usize,
    values: Vec<V>,
}

impl<V: Sample> Clear<V> {
    fn random<R: CryptoRng>(lines: usize, len: usize, rng: &mut R) -> Self {
        let values = (0..lines * len).map(|_| V::random(rng)).collect();
        Self { lines, len, values }
    }
    fn from_fn(lines: usize, len: usize, f: impl Fn(usize, usize) -> V) -> Self {
        let line = |i| (0..len).map(move |j| (i, j));
        Self {
            lines,
            len,
            values: (0..lines).flat_map(line).map(|(i, j)| f(i, j)).collect(),
        }
    }
    fn at(&self, line: usize, j: usize) -> V {
        self.values[line * self.len + j]
    }
    fn map(&self, f: impl Fn(V) -> V) -> Self {
        Self::from_fn(self.lines, self.len, |i, j| f(self.at(i, j)))
    }
    fn zip(&self, other: &Self, f: impl Fn(V, V) -> V) -> Self {
        Self::from_fn(self.lines, self.len, |i, j| {
            f(self.at(i, j), other.at(i, j))
        })
    }
    fn transposed(&self) -> Self {
        Self::from_fn(self.len, self.lines, |i, j| self.at(j, i))
    }
    /// `self' other`.
    fn product(&self, other: &Self) -> Self {
        Self::from_fn(self.len, other.len, |i, j| {
            sum((0..self.lines).map(|k| self.at(k, i) * other.at(k, j)))
        })
    }
    /// `self other`.
    fn plain_product(&self, other: &Self) -> Self {
        self.transposed().product(other)
    }
}

fn sum<V: Sample>(values: impl Iterator<Item = V>) -> V {
    values.fold(V::ZERO, |acc, v| acc + v)
}

impl<S, K> Suite<'_, S, K>
where
    S: MatrixScheme<Value: Sample>,
    K: EncryptMatrix<Scheme = S> + DecryptMatrix<Scheme = S>,
{
    /// Runs everything.
    ///
    /// # Panics
    /// If the scheme does not conform.
    pub fn run<R: CryptoRng>(&self, rng: &mut R) {
        let (max_len, depth) = (self.evaluator.max_len(), self.evaluator.max_depth());
        assert!(
            max_len.is_power_of_two() && max_len >= 4 * MIN_PADDED_LEN,
            "got lines of up to {max_len}, expected 64, 128, ..."
        );
        assert!(depth >= 1, "got a depth of 0, expected at least 1");
        self.encryption(rng);
        self.sums(rng);
        self.products(rng);
        self.plain_products(rng);
        self.formats(rng);
        self.refusals(rng);
        self.foreign_keys(rng);
        self.wire(rng);
    }

    fn encrypt<R: CryptoRng>(
        &self,
        clear: &Clear<S::Value>,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        rng: &mut R,
    ) -> S::Block {
        let bound = Some(S::Value::MAGNITUDE);
        let result = self.key.encrypt_block(
            &clear.values,
            clear.lines,
            padded,
            layout,
            depth,
            bound,
            rng,
        );
        must("encrypt_block", result)
    }

    /// A random packed block at full depth.
    fn sample<R: CryptoRng>(
        &self,
        lines: usize,
        len: usize,
        padded: Option<usize>,
        layout: Lines,
        rng: &mut R,
    ) -> (S::Block, Clear<S::Value>) {
        let clear = Clear::random(lines, len, rng);
        let depth = self.evaluator.max_depth();
        (self.encrypt(&clear, padded, layout, depth, rng), clear)
    }

    /// Compares a block with what it has to be.
    fn expect(&self, what: &str, block: &S::Block, clear: &Clear<S::Value>, depth: usize) {
        let s = self.evaluator;
        must(what, s.check(block));
        assert_eq!(s.depth(block), depth, "{what}: depth of the result");
        let shape = (clear.lines, clear.len);
        assert_eq!(s.shape(block), shape, "{what}: shape of the result");
        let bound = s.error_bound(block);
        assert!(
            (0.0..=self.precision).contains(&bound),
            "{what}: error bound {bound:e} is not within the precision {:e}",
            self.precision
        );
        let decrypted = must(what, self.key.decrypt_block(block));
        assert_eq!(decrypted.len(), clear.values.len(), "{what}: values");
        let magnitude = clear
            .values
            .iter()
            .fold(0.0, |m: f64, v| m.max(v.magnitude()));
        let declared = s.magnitude_bound(block);
        // The computation in clear may round too, its sums against the largest values that they may have.
        let rounding = S::Value::ROUNDING * declared * INNER as f64;
        assert!(
            declared >= magnitude - rounding,
            "{what}: magnitude {magnitude} is beyond the declared {declared}"
        );
        for (index, (&got, &expected)) in decrypted.iter().zip(&clear.values).enumerate() {
            let difference = got.distance(expected);
            assert!(
                difference <= bound + rounding,
                "{what}: value {index} is {got:?}, expected {expected:?}; off by {difference:e}, error bound {bound:e}"
            );
        }
    }

    fn expect_form(&self, what: &str, block: &S::Block, padded: usize, layout: Lines) {
        let s = self.evaluator;
        assert_eq!(s.padded_len(block), padded, "{what}: grid of the result");
        let same = padded == s.max_len();
        assert!(
            same || s.layout(block) == layout,
            "{what}: layout of the result"
        );
    }

    fn encryption<R: CryptoRng>(&self, rng: &mut R) {
        let (s, n) = (self.evaluator, self.evaluator.max_len());
        let shapes = [
            (1, 1, None),
            (5, 7, None),
            (n / MIN_PADDED_LEN + 3, 16, None),
            (3, n / 2 + 1, None),
            (2, n, None),
            (3, 5, Some(2 * MIN_PADDED_LEN)),
            (2, 17, Some(n)),
        ];
        for depth in 0..=s.max_depth() {
            for layout in [Lines::Packed, Lines::Single] {
                for (lines, len, padded) in shapes {
                    let what = format!("{lines} x {len} {layout:?} at depth {depth}");
                    let clear = Clear::random(lines, len, rng);
                    let block = self.encrypt(&clear, padded, layout, depth, rng);
                    self.expect(&what, &block, &clear, depth);
                    let grid = padded.unwrap_or_else(|| len.next_power_of_two().max(16));
                    self.expect_form(&what, &block, grid, layout);
                    assert_eq!(
                        s.magnitude_bound(&block),
                        S::Value::MAGNITUDE,
                        "{what}: magnitude of a fresh block, as declared"
                    );
                    let bytes = must("block_bytes", s.block_bytes(lines, len, layout, depth));
                    assert!(bytes >= lines * len, "{what}: {bytes} bytes");
                    for lower in 0..=depth {
                        let lowered = must("lower_to", s.lower_to(&block, lower));
                        self.expect(&format!("{what}, lowered"), &lowered, &clear, lower);
                    }
                }
            }
        }
        let half = [S::Value::of(0.5)];
        let unbound = |rng: &mut R| {
            let result = self
                .key
                .encrypt_block(&half, 1, None, Lines::Packed, 1, None, rng);
            must("encrypt_block", result)
        };
        let (first, second) = (unbound(rng), unbound(rng));
        if s.name() != "clear" {
            assert!(
                s.write_block(&first) != s.write_block(&second),
                "two encryptions of one value are the same"
            );
        }
    }

    fn sums<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let top = s.max_depth();
        for layout in [Lines::Packed, Lines::Single] {
            let (x, a) = self.sample(7, 5, None, layout, rng);
            let b = Clear::random(7, 5, rng);
            for depth in 0..=top {
                let y = self.encrypt(&b, None, layout, depth, rng);
                let sum = must("add", s.add(&x, &y));
                self.expect("add", &sum, &a.zip(&b, |p, q| p + q), depth);
                self.expect_form("add", &sum, MIN_PADDED_LEN, layout);
                let difference = must("sub", s.sub(&y, &x));
                self.expect("sub", &difference, &b.zip(&a, |p, q| p - q), depth);
            }
            let negative = must("negate", s.negate(&x));
            self.expect("negate", &negative, &a.map(|v| -v), top);
            for part in [0.0, 1.0, -0.75] {
                let factor = S::Value::of(part);
                let what = format!("scale by {factor:?}");
                let scaled = must(&what, s.scale(&x, factor));
                self.expect(&what, &scaled, &a.map(|v| v * factor), top - 1);
                self.expect_form(&what, &scaled, MIN_PADDED_LEN, layout);
                // Results of one depth are alike whatever they come from.
                let y = self.encrypt(&b, None, layout, top - 1, rng);
                let sum = must("add", s.add(&scaled, &y));
                let clear = a.zip(&b, |p, q| p * factor + q);
                self.expect("scaled, and a fresh block", &sum, &clear, top - 1);
            }
        }
    }

    fn products<R: CryptoRng>(&self, rng: &mut R) {
        let (s, n) = (self.evaluator, self.evaluator.max_len());
        let top = s.max_depth();
        // Lines of each term, lengths of the factors, grid.
        let shapes: [(&[usize], usize, usize, usize); 7] = [
            (&[1], 1, 1, 16),
            (&[5], 3, 16, 16),
            (&[n / 16 + 3, 2], 16, 9, 16),
            (&[1, 1, 4], 13, 1, 16),
            (&[3], n / 2 + 1, n, n),
            (&[2, 5], n, n - 3, n),
            (&[4], 6, n - 1, n),
        ];
        for (terms, m, k, padded) in shapes {
            let terms: Vec<_> = terms
                .iter()
                .map(|&lines| {
                    let left = self.sample(lines, m, Some(padded), Lines::Packed, rng);
                    (
                        left,
                        self.sample(lines, k, Some(padded), Lines::Packed, rng),
                    )
                })
                .collect();
            let blocks: Vec<_> = terms.iter().map(|((l, _), (r, _))| (l, r)).collect();
            let clear = terms
                .iter()
                .map(|((_, l), (_, r))| l.product(r))
                .reduce(|a, b| a.zip(&b, |p, q| p + q));
            let clear = clear.expect("at least one term");
            for side in [Side::Left, Side::Right] {
                let what = format!("gemm_tn of {m} and {k} on {padded}, {side:?}");
                let product = must(&what, s.gemm_tn(&blocks, side));
                let clear = match side {
                    Side::Left => clear.clone(),
                    Side::Right => clear.transposed(),
                };
                self.expect(&what, &product, &clear, top - 1);
                self.expect_form(&what, &product, padded, Lines::Packed);
            }
            let squares: Vec<_> = terms.iter().map(|((l, _), _)| l).collect();
            let clear = terms
                .iter()
                .map(|((_, l), _)| l.product(l))
                .reduce(|a, b| a.zip(&b, |p, q| p + q));
            let what = format!("syrk of {m} on {padded}");
            let gram = must(&what, s.syrk(&squares));
            self.expect(&what, &gram, &clear.expect("at least one term"), top - 1);
            self.expect_form(&what, &gram, padded, Lines::Packed);
        }
        self.chains(rng);
        let (x, a) = self.sample(5, 7, None, Lines::Single, rng);
        let (y, b) = self.sample(5, 3, None, Lines::Single, rng);
        let product = must("gemm_tn", s.gemm_tn(&[(&x, &y)], Side::Left));
        self.expect("gemm_tn of single lines", &product, &a.product(&b), top - 1);
        self.expect_form("gemm_tn of single lines", &product, 16, Lines::Packed);
        // On the widest grid both layouts are one, whatever the blocks come from.
        let (x, a) = self.sample(2, n, None, Lines::Packed, rng);
        let (y, b) = self.sample(2, n, None, Lines::Single, rng);
        let product = must("gemm_tn", s.gemm_tn(&[(&x, &y)], Side::Right));
        let clear = b.product(&a);
        self.expect("gemm_tn on the widest grid", &product, &clear, top - 1);
        let sum = must("sub", s.sub(&y, &x));
        let clear = b.zip(&a, |p, q| p - q);
        self.expect("sub on the widest grid", &sum, &clear, top);
    }

    /// Products of products, and of factors of different depth.
    fn chains<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        let top = s.max_depth();
        let (x, a) = self.sample(4, 6, None, Lines::Packed, rng);
        let (y, b) = self.sample(4, 5, None, Lines::Packed, rng);
        for depth in 1..=top {
            let lower = must("lower_to", s.lower_to(&y, depth));
            let product = must("gemm_tn", s.gemm_tn(&[(&x, &lower)], Side::Left));
            self.expect("gemm_tn of two depths", &product, &a.product(&b), depth - 1);
        }
        // The longest chain would need more range than the values of a sum of three factors have.
        if top >= 2 {
            let (z, c) = self.sample(6, 3, None, Lines::Packed, rng);
            let first = must("gemm_tn", s.gemm_tn(&[(&x, &y)], Side::Left));
            let second = must("gemm_tn", s.gemm_tn(&[(&first, &z)], Side::Right));
            let clear = a.product(&b).product(&c).transposed();
            self.expect("a product of a product", &second, &clear, top - 2);
            let sum = must("add", s.add(&first, &first));
            let gram = must("scale", s.scale(&sum, S::Value::ONE));
            let clear = a.product(&b).map(|v| v + v);
            self.expect("a product added to itself, scaled", &gram, &clear, top - 2);
        }
    }

    fn plain_products<R: CryptoRng>(&self, rng: &mut R) {
        let (s, n) = (self.evaluator, self.evaluator.max_len());
        let top = s.max_depth();
        // Rows, lines of each term, length, grid.
        let shapes: [(usize, &[usize], usize, usize); 4] = [
            (1, &[1], 1, 16),
            (4, &[7, 2], 5, 32),
            (n + 1, &[3], 16, 16),
            (5, &[2, 1, 3], n - 1, n),
        ];
        for (rows, terms, len, padded) in shapes {
            let terms: Vec<_> = terms
                .iter()
                .map(|&lines| {
                    let weights = Clear::<S::Value>::random(rows, lines, rng);
                    // Either layout.
                    let layout = [Lines::Packed, Lines::Single][lines % 2];
                    (weights, self.sample(lines, len, Some(padded), layout, rng))
                })
                .collect();
            let pairs: Vec<_> = terms
                .iter()
                .map(|(w, (x, _))| {
                    let weights = WeightMatrix::new(rows, w.len, &w.values);
                    (must("weights", weights), x)
                })
                .collect();
            let clear = terms
                .iter()
                .map(|(w, (_, x))| w.plain_product(x))
                .reduce(|a, b| a.zip(&b, |p, q| p + q));
            let what = format!("gemm_plain of {rows} rows and lines of {len}");
            let product = must(&what, s.gemm_plain(&pairs));
            let clear = clear.expect("at least one term");
            self.expect(&what, &product, &clear, top - 1);
            self.expect_form(&what, &product, padded, Lines::Single);
        }
    }

    fn formats<R: CryptoRng>(&self, rng: &mut R) {
        let (s, n) = (self.evaluator, self.evaluator.max_len());
        let top = s.max_depth();
        for (lines, len, padded) in [
            (1, 1, 16),
            (5, 13, 16),
            (16, 16, 16),
            (3, n, n),
            (n, 2, n),
            (n - 1, n - 5, n),
        ] {
            let (x, clear) = self.sample(lines, len, Some(padded), Lines::Packed, rng);
            let what = format!("reformat of {lines} x {len} on {padded}");
            let transposed = must(&what, s.reformat(&x));
            self.expect(&what, &transposed, &clear.transposed(), top - 1);
            self.expect_form(&what, &transposed, padded, Lines::Packed);
        }
    }

    fn wire<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for layout in [Lines::Packed, Lines::Single] {
            for depth in 0..=s.max_depth() {
                let clear = Clear::random(5, 6, rng);
                let fresh = self.encrypt(&clear, None, layout, depth, rng);
                let doubled = must("add", s.add(&fresh, &fresh));
                let twice = clear.map(|v| v + v);
                for (name, block, clear) in [("fresh", fresh, clear), ("computed", doubled, twice)]
                {
                    let what =
                        format!("{name} {layout:?} block at depth {depth}, written and read");
                    let bytes = s.write_block(&block);
                    let read = must(&what, s.read_block(&bytes));
                    self.expect(&what, &read, &clear, depth);
                    assert_eq!(
                        (s.padded_len(&read), s.layout(&read)),
                        (s.padded_len(&block), s.layout(&block)),
                        "{what}: form"
                    );
                    let kept = (s.error_bound(&read), s.magnitude_bound(&read));
                    let bounds = (s.error_bound(&block), s.magnitude_bound(&block));
                    assert_eq!(kept, bounds, "{what}: bounds");
                    assert!(
                        s.write_block(&read) == bytes,
                        "{what}: written again, the bytes differ"
                    );
                    let owned = must(&what, self.key.scheme().read_block(&bytes));
                    self.expect(&what, &owned, &clear, depth);
                    corrupted(&bytes, rng, |bytes| s.read_block(bytes).map(drop));
                }
            }
        }
        // Of values drawn anew, a block that was read is still a factor.
        let (lines, len) = (rng.random_range(1..6), rng.random_range(1..17));
        let (x, a) = self.sample(lines, len, None, Lines::Packed, rng);
        let read = must("read_block", s.read_block(&s.write_block(&x)));
        let gram = must("syrk", s.syrk(&[&read]));
        self.expect(
            "syrk of a block that was read",
            &gram,
            &a.product(&a),
            s.max_depth() - 1,
        );
    }
}
