//! Encrypted matrices in clear: the reference that blocked linear algebra is tested against first.

use super::evaluate::saturated;
use super::{Counter, count};
use crate::bounds::mul_up;
use crate::conformance::Sample;
use crate::matrix::{BlockShape, Lines, MatrixKeySet, MatrixScheme, Side};
use crate::matrix::{DecryptMatrix, EncryptMatrix};
use crate::wire::{Expected, Header, KeyId, Kind, ParameterId, Reader, SchemeId, Writer};
use crate::{Error, Result, WeightMatrix};
use rand::CryptoRng;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Values that matrices in clear hold: doubles and integers.
pub trait ClearValue: Sample {
    /// Rounding error of one operation, relative to the magnitude of its result; 0 if exact.
    const EPSILON: f64;
    /// The largest absolute value that is held.
    const CAPACITY: f64;
    /// Eight bytes.
    fn to_bytes(self) -> [u8; 8];
    /// From eight bytes: any.
    fn from_bytes(bytes: [u8; 8]) -> Self;
}

impl ClearValue for f64 {
    const EPSILON: f64 = f64::EPSILON / 2.0;
    const CAPACITY: f64 = f64::MAX;
    fn to_bytes(self) -> [u8; 8] {
        self.to_le_bytes()
    }
    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl ClearValue for i64 {
    const EPSILON: f64 = 0.0;
    const CAPACITY: f64 = (1u64 << 62) as f64;
    fn to_bytes(self) -> [u8; 8] {
        self.to_le_bytes()
    }
    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// Evaluator of matrices in clear, over doubles or integers, that keeps the rules of encrypted ones: depth, layouts,
/// grids, missing and foreign keys, magnitudes. **It hides nothing.** Cloning shares the counters.
///
/// ```
/// use cipherblas_scheme::{ClearMatrices, DecryptMatrix, EncryptMatrix, Lines, MatrixScheme};
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let scheme = ClearMatrices::<i64>::new(64, 1)?;
/// let mut rng = ChaCha20Rng::seed_from_u64(1);
/// // Two rows of three values.
/// let x = scheme.key().encrypt_block(&[1, 2, 3, 4, 5, 6], 2, None, Lines::Packed, 1, Some(6.0), &mut rng)?;
/// let gram = scheme.syrk(&[&x])?;
/// assert_eq!(scheme.key().decrypt_block(&gram)?, [17, 22, 27, 22, 29, 36, 27, 36, 45]);
/// assert_eq!(scheme.counts().squares, 1);
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClearMatrices<V = f64> {
    config: Arc<Config>,
    counters: Arc<Counters>,
    value: std::marker::PhantomData<V>,
}

#[derive(Clone, Debug)]
struct Config {
    max_len: usize,
    max_depth: usize,
    bound: f64,
    capacity: f64,
    /// `None`: every key.
    keys: Option<MatrixKeySet>,
    key: KeyId,
}

/// A "block" whose values anyone can read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearBlock<V = f64> {
    values: Vec<V>,
    shape: BlockShape,
    depth: usize,
    magnitude: f64,
    error: f64,
    parameters: ParameterId,
    key: KeyId,
}

impl<V> ClearBlock<V> {
    /// All values, line by line, for tests.
    pub fn values(&self) -> &[V] {
        &self.values
    }
}

/// How often each operation on matrices was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatrixCounts {
    /// Sums and differences.
    pub additions: u64,
    /// Products with a scalar.
    pub scalings: u64,
    /// Terms of [`gemm_tn`](MatrixScheme::gemm_tn).
    pub products: u64,
    /// Terms of [`syrk`](MatrixScheme::syrk).
    pub squares: u64,
    /// Terms of [`gemm_plain`](MatrixScheme::gemm_plain).
    pub plain_products: u64,
    /// Changes of format: one for each `gemm_tn`, `syrk` and `reformat`.
    pub formats: u64,
    /// Relinearizations of a matrix: one for each `gemm_tn` and `syrk`.
    pub relinearizations: u64,
    /// Multiply-adds of the products of encrypted matrices as they are done, on the grid: `padded^2 lines` for each term.
    pub multiply_adds: u64,
    /// Multiply-adds of the products with plain matrices as they are done, on the grid: `rows lines padded`.
    pub plain_multiply_adds: u64,
}

#[derive(Debug, Default)]
struct Counters {
    additions: Counter,
    scalings: Counter,
    products: Counter,
    squares: Counter,
    plain_products: Counter,
    formats: Counter,
    relinearizations: Counter,
    multiply_adds: Counter,
    plain_multiply_adds: Counter,
    /// Grids whose keys were needed.
    lengths: Mutex<BTreeSet<usize>>,
    relinearized: AtomicBool,
    deepest: AtomicUsize,
}

impl Counters {
    fn lengths(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        // A set is whole whatever a panicking thread was about to add.
        self.lengths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The "key" of [`ClearMatrices`]: it hides nothing and is told from others by its id only.
#[derive(Clone, Debug)]
pub struct ClearMatrixKey<V = f64> {
    scheme: ClearMatrices<V>,
}

impl<V: ClearValue> ClearMatrices<V> {
    /// An evaluator with every key, for lines of up to `max_len` values and blocks that take `max_depth` products.
    ///
    /// # Errors
    /// `Parameter` if `max_len` is not a power of two, at least [`MIN_PADDED_LEN`](crate::matrix::MIN_PADDED_LEN).
    pub fn new(max_len: usize, max_depth: usize) -> Result<Self> {
        if !max_len.is_power_of_two() || max_len < crate::matrix::MIN_PADDED_LEN {
            return Err(Error::Parameter {
                what: "max_len",
                got: max_len.to_string(),
                expected: "a power of two, at least 16".into(),
                hint: "pass 16, 32, 64, ...",
            });
        }
        Ok(Self {
            config: Arc::new(Config {
                max_len,
                max_depth,
                bound: super::DEFAULT_BOUND,
                capacity: V::CAPACITY,
                keys: None,
                key: KeyId::digest("clear matrix key", &1u64.to_le_bytes()),
            }),
            counters: Arc::default(),
            value: std::marker::PhantomData,
        })
    }

    /// Holds exactly the keys of a set: what a secret key would make for it.
    #[must_use]
    pub fn with_keys(self, keys: &MatrixKeySet) -> Self {
        let keys = Some(keys.clone());
        self.reconfigured(|config| config.keys = keys)
    }

    /// Another key: blocks under different numbers do not mix.
    #[must_use]
    pub fn with_key(self, number: u64) -> Self {
        let id = KeyId::digest("clear matrix key", &number.to_le_bytes());
        self.reconfigured(|config| config.key = id)
    }

    /// The bound on absolute values assumed where encryption declares none (2^20 at first), and the largest value that
    /// is held (at first that of the type): results that may exceed it are refused, as an encrypted scheme's modulus does.
    ///
    /// # Errors
    /// `Parameter` unless `0 < bound <= capacity`, and the capacity is at most that of the type.
    pub fn with_bounds(self, bound: f64, capacity: f64) -> Result<Self> {
        if !(bound > 0.0 && bound <= capacity && capacity <= V::CAPACITY) {
            return Err(Error::Parameter {
                what: "bound and capacity",
                got: format!("{bound} and {capacity}"),
                expected: format!("0 < bound <= capacity <= {}", V::CAPACITY),
                hint: "pass the largest absolute values of the data and of results",
            });
        }
        Ok(self.reconfigured(|config| (config.bound, config.capacity) = (bound, capacity)))
    }

    /// The key that encrypts for this evaluator and decrypts its results.
    pub fn key(&self) -> ClearMatrixKey<V> {
        ClearMatrixKey {
            scheme: self.clone().with_keys(&MatrixKeySet::default()),
        }
    }

    /// Identifier of length, depth and type.
    pub fn parameter_id(&self) -> ParameterId {
        let exact = u64::from(V::EPSILON == 0.0);
        let words = [
            self.config.max_len as u64,
            self.config.max_depth as u64,
            exact,
        ];
        ParameterId::digest(
            "clear matrix parameters",
            &words.map(u64::to_le_bytes).concat(),
        )
    }

    /// Identifier of the key.
    pub fn key_id(&self) -> KeyId {
        self.config.key
    }

    /// The operations executed since creation or [`reset_counts`](Self::reset_counts), by this evaluator and its clones.
    pub fn counts(&self) -> MatrixCounts {
        let c = &self.counters;
        let load = |counter: &Counter| counter.load(Ordering::Relaxed);
        MatrixCounts {
            additions: load(&c.additions),
            scalings: load(&c.scalings),
            products: load(&c.products),
            squares: load(&c.squares),
            plain_products: load(&c.plain_products),
            formats: load(&c.formats),
            relinearizations: load(&c.relinearizations),
            multiply_adds: load(&c.multiply_adds),
            plain_multiply_adds: load(&c.plain_multiply_adds),
        }
    }

    /// The keys that operations since creation or [`reset_counts`](Self::reset_counts) needed: what a plan of them lists.
    pub fn used_keys(&self) -> MatrixKeySet {
        MatrixKeySet {
            lengths: self.counters.lengths().clone(),
            products: self.counters.relinearized.load(Ordering::Relaxed),
        }
    }

    /// How far below the maximal depth results have come since creation or [`reset_counts`](Self::reset_counts).
    pub fn used_depth(&self) -> usize {
        self.counters.deepest.load(Ordering::Relaxed)
    }

    /// Sets every counter to zero and forgets which keys and how much depth were used.
    pub fn reset_counts(&self) {
        let c = &self.counters;
        for counter in [
            &c.additions,
            &c.scalings,
            &c.products,
            &c.squares,
            &c.plain_products,
            &c.formats,
            &c.relinearizations,
            &c.multiply_adds,
            &c.plain_multiply_adds,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        c.lengths().clear();
        c.relinearized.store(false, Ordering::Relaxed);
        c.deepest.store(0, Ordering::Relaxed);
    }

    fn reconfigured(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    fn own(&self, operation: &'static str, x: &ClearBlock<V>) -> Result<()> {
        let mismatch = |got: String, expected: String| {
            Err(Error::KeyMismatch {
                operation,
                got,
                expected,
            })
        };
        if x.parameters != self.parameter_id() {
            return mismatch(
                format!("a block of parameters {}", x.parameters),
                format!("parameters {}", self.parameter_id()),
            );
        }
        if x.key != self.key_id() {
            return mismatch(
                format!("a block under key {}", x.key),
                format!("key {}", self.key_id()),
            );
        }
        Ok(())
    }

    /// The key for one change of format on a grid, and the relinearization key.
    fn use_keys(&self, operation: &'static str, padded: usize, products: bool) -> Result<()> {
        if let Some(keys) = &self.config.keys {
            let missing = if products && !keys.products {
                Some("relinearization key".into())
            } else if !keys.lengths.contains(&padded) {
                Some(format!("Galois keys of lines on a grid of {padded}"))
            } else {
                None
            };
            if let Some(key) = missing {
                return Err(Error::MissingKey { operation, key });
            }
        }
        self.counters.lengths().insert(padded);
        count(&self.counters.formats, 1);
        if products {
            self.counters.relinearized.store(true, Ordering::Relaxed);
            count(&self.counters.relinearizations, 1);
        }
        Ok(())
    }

    /// The depth of a product of blocks at `depths`.
    fn spend(&self, operation: &'static str, depths: impl Iterator<Item = usize>) -> Result<usize> {
        let least = depths.min().unwrap_or(0);
        least.checked_sub(1).ok_or(Error::Depth {
            operation,
            needed: 1,
            left: 0,
        })
    }

    /// A result: magnitudes that are not held are refused.
    fn finish(
        &self,
        operation: &'static str,
        shape: BlockShape,
        depth: usize,
        magnitude: f64,
        error: f64,
        values: impl FnOnce() -> Vec<V>,
    ) -> Result<ClearBlock<V>> {
        if magnitude > self.config.capacity {
            return Err(Error::Overflow {
                operation,
                bound: magnitude.to_string(),
                capacity: self.config.capacity.to_string(),
            });
        }
        self.counters
            .deepest
            .fetch_max(self.config.max_depth - depth, Ordering::Relaxed);
        Ok(ClearBlock {
            values: values(),
            shape,
            depth,
            magnitude,
            error: saturated(error),
            parameters: self.parameter_id(),
            key: self.key_id(),
        })
    }

    fn add_signed(
        &self,
        operation: &'static str,
        a: &ClearBlock<V>,
        b: &ClearBlock<V>,
        combine: impl Fn(V, V) -> V,
    ) -> Result<ClearBlock<V>> {
        self.own(operation, a)?;
        self.own(operation, b)?;
        a.shape
            .expect_like(operation, &b.shape, self.config.max_len)?;
        count(&self.counters.additions, 1);
        let magnitude = crate::bounds::add_up(a.magnitude, b.magnitude);
        let error = a.error + b.error + V::EPSILON * (magnitude + a.error + b.error);
        self.finish(
            operation,
            a.shape,
            a.depth.min(b.depth),
            magnitude,
            error,
            || {
                a.values
                    .iter()
                    .zip(&b.values)
                    .map(|(&x, &y)| combine(x, y))
                    .collect()
            },
        )
    }

    /// The bounds of a sum of products: each of `lines` products of factors with magnitude and error.
    fn product_bounds(terms: impl Iterator<Item = (usize, (f64, f64), (f64, f64))>) -> (f64, f64) {
        let (mut magnitude, mut error, mut count) = (0.0, 0.0, 0.0);
        for (lines, (a, da), (b, db)) in terms {
            let lines = lines as f64;
            magnitude = crate::bounds::add_up(magnitude, mul_up(lines, mul_up(a, b)));
            error += lines * (a * db + b * da + da * db);
            count += lines;
        }
        (
            magnitude,
            error + V::EPSILON * (count + 1.0) * (magnitude + error),
        )
    }

    fn product(
        &self,
        operation: &'static str,
        terms: &[(&ClearBlock<V>, &ClearBlock<V>)],
        side: Side,
    ) -> Result<ClearBlock<V>> {
        for (left, right) in terms {
            self.own(operation, left)?;
            self.own(operation, right)?;
        }
        let shapes: Vec<_> = terms.iter().map(|(l, r)| (l.shape, r.shape)).collect();
        let shape = BlockShape::product(operation, &shapes, side, self.config.max_len)?;
        let depths = terms.iter().map(|(l, r)| l.depth.min(r.depth));
        let depth = self.spend(operation, depths)?;
        let (magnitude, error) = Self::product_bounds(terms.iter().map(|(l, r)| {
            (
                l.shape.lines,
                (l.magnitude, l.error),
                (r.magnitude, r.error),
            )
        }));
        let result = self.finish(operation, shape, depth, magnitude, error, || {
            let mut out = vec![V::ZERO; shape.lines * shape.len];
            for (left, right) in terms {
                let (outer, inner) = match side {
                    Side::Left => (left, right),
                    Side::Right => (right, left),
                };
                let lines = outer.values.chunks(outer.shape.len);
                for (x, y) in lines.zip(inner.values.chunks(inner.shape.len)) {
                    for (row, &a) in out.chunks_mut(shape.len).zip(x) {
                        row.iter_mut().zip(y).for_each(|(o, &b)| *o = *o + a * b);
                    }
                }
            }
            out
        })?;
        self.use_keys(operation, shape.padded, true)?;
        for (left, _) in terms {
            let adds = left.shape.lines as u64 * (shape.padded * shape.padded) as u64;
            self.counters
                .multiply_adds
                .fetch_add(adds, Ordering::Relaxed);
        }
        Ok(result)
    }
}

impl<V: ClearValue> MatrixScheme for ClearMatrices<V> {
    type Value = V;
    type Block = ClearBlock<V>;

    fn name(&self) -> &'static str {
        "clear"
    }
    fn max_len(&self) -> usize {
        self.config.max_len
    }
    fn max_depth(&self) -> usize {
        self.config.max_depth
    }
    fn depth(&self, x: &ClearBlock<V>) -> usize {
        x.depth
    }
    fn shape(&self, x: &ClearBlock<V>) -> (usize, usize) {
        (x.shape.lines, x.shape.len)
    }
    fn padded_len(&self, x: &ClearBlock<V>) -> usize {
        x.shape.padded
    }
    fn layout(&self, x: &ClearBlock<V>) -> Lines {
        x.shape.layout
    }
    fn block_bytes(&self, lines: usize, len: usize, layout: Lines, depth: usize) -> Result<usize> {
        self.expect_depth("block_bytes", depth)?;
        let shape = BlockShape::new("block_bytes", lines, len, layout, self.config.max_len)?;
        Ok(shape.lines * shape.len * size_of::<V>())
    }

    fn lower_to(&self, x: &ClearBlock<V>, depth: usize) -> Result<ClearBlock<V>> {
        self.own("lower_to", x)?;
        if depth > x.depth {
            return Err(Error::Depth {
                operation: "lower_to",
                needed: depth,
                left: x.depth,
            });
        }
        self.finish("lower_to", x.shape, depth, x.magnitude, x.error, || {
            x.values.clone()
        })
    }
    fn add(&self, a: &ClearBlock<V>, b: &ClearBlock<V>) -> Result<ClearBlock<V>> {
        self.add_signed("add", a, b, |x, y| x + y)
    }
    fn sub(&self, a: &ClearBlock<V>, b: &ClearBlock<V>) -> Result<ClearBlock<V>> {
        self.add_signed("sub", a, b, |x, y| x - y)
    }
    fn negate(&self, x: &ClearBlock<V>) -> Result<ClearBlock<V>> {
        self.own("negate", x)?;
        let values = x.values.iter().map(|&v| -v).collect();
        Ok(ClearBlock {
            values,
            ..x.clone()
        })
    }
    fn scale(&self, x: &ClearBlock<V>, value: V) -> Result<ClearBlock<V>> {
        self.own("scale", x)?;
        check_values("weight", &[value], V::CAPACITY)?;
        let depth = self.spend("scale", [x.depth].into_iter())?;
        let factors = [(1, (value.magnitude(), 0.0), (x.magnitude, x.error))];
        let (magnitude, error) = Self::product_bounds(factors.into_iter());
        let result = self.finish("scale", x.shape, depth, magnitude, error, || {
            x.values.iter().map(|&v| v * value).collect()
        })?;
        count(&self.counters.scalings, 1);
        Ok(result)
    }

    fn gemm_tn(
        &self,
        terms: &[(&ClearBlock<V>, &ClearBlock<V>)],
        lines: Side,
    ) -> Result<ClearBlock<V>> {
        let result = self.product("gemm_tn", terms, lines)?;
        count(&self.counters.products, terms.len());
        Ok(result)
    }
    fn syrk(&self, terms: &[&ClearBlock<V>]) -> Result<ClearBlock<V>> {
        let terms: Vec<_> = terms.iter().map(|&x| (x, x)).collect();
        let result = self.product("syrk", &terms, Side::Left)?;
        count(&self.counters.squares, terms.len());
        Ok(result)
    }
    fn gemm_plain(&self, terms: &[(WeightMatrix<'_, V>, &ClearBlock<V>)]) -> Result<ClearBlock<V>> {
        const OPERATION: &str = "gemm_plain";
        for (_, x) in terms {
            self.own(OPERATION, x)?;
        }
        let shapes: Vec<_> = terms
            .iter()
            .map(|(w, x)| (w.rows(), w.cols(), x.shape))
            .collect();
        let shape = BlockShape::plain_product(OPERATION, &shapes, self.config.max_len)?;
        for (w, _) in terms {
            check_values("weight", w.data(), V::CAPACITY)?;
        }
        let depth = self.spend(OPERATION, terms.iter().map(|(_, x)| x.depth))?;
        let (mut magnitude, mut error) = (0.0f64, 0.0f64);
        for row in 0..shape.lines {
            let factors = terms.iter().flat_map(|(w, x)| {
                let weights = w.row(row).iter();
                weights.map(move |v| (1, (v.magnitude(), 0.0), (x.magnitude, x.error)))
            });
            let bounds = Self::product_bounds(factors);
            magnitude = magnitude.max(bounds.0);
            error = error.max(bounds.1);
        }
        let result = self.finish(OPERATION, shape, depth, magnitude, error, || {
            let mut out = vec![V::ZERO; shape.lines * shape.len];
            for (w, x) in terms {
                for (r, row) in out.chunks_mut(shape.len).enumerate() {
                    for (&a, line) in w.row(r).iter().zip(x.values.chunks(shape.len)) {
                        row.iter_mut().zip(line).for_each(|(o, &b)| *o = *o + a * b);
                    }
                }
            }
            out
        })?;
        count(&self.counters.plain_products, terms.len());
        for (w, _) in terms {
            count(
                &self.counters.plain_multiply_adds,
                w.rows() * w.cols() * shape.padded,
            );
        }
        Ok(result)
    }
    fn reformat(&self, x: &ClearBlock<V>) -> Result<ClearBlock<V>> {
        self.own("reformat", x)?;
        let shape = x.shape.transposed("reformat", self.config.max_len)?;
        let depth = self.spend("reformat", [x.depth].into_iter())?;
        let result = self.finish("reformat", shape, depth, x.magnitude, x.error, || {
            let column = |j| (0..x.shape.lines).map(move |i| x.values[i * x.shape.len + j]);
            (0..x.shape.len).flat_map(column).collect()
        })?;
        self.use_keys("reformat", shape.padded, false)?;
        Ok(result)
    }

    fn check(&self, x: &ClearBlock<V>) -> Result<()> {
        self.own("check", x)
    }
    /// Bound on the rounding of double precision; 0 for integers.
    fn error_bound(&self, x: &ClearBlock<V>) -> f64 {
        x.error
    }
    fn magnitude_bound(&self, x: &ClearBlock<V>) -> f64 {
        x.magnitude
    }

    fn write_block(&self, x: &ClearBlock<V>) -> Vec<u8> {
        let header = Header::new(Kind::MatrixBlock, SchemeId::Clear, x.parameters, x.key);
        let mut writer = Writer::with_capacity(64 + 8 * x.values.len());
        x.shape.write(&mut writer);
        writer.u32(x.depth as u32);
        writer.f64(x.magnitude);
        writer.f64(x.error);
        x.values.iter().for_each(|v| writer.raw(&v.to_bytes()));
        writer.seal(&header)
    }
    fn read_block(&self, bytes: &[u8]) -> Result<ClearBlock<V>> {
        let expected = Expected {
            kind: Kind::MatrixBlock,
            scheme: SchemeId::Clear,
            parameters: Some(self.parameter_id()),
            key: Some(self.key_id()),
        };
        let (header, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("clear block", payload);
        let shape = BlockShape::read(&mut reader, self.config.max_len)?;
        let depth = reader.u32()? as usize;
        if depth > self.config.max_depth {
            let most = format!("at most {}", self.config.max_depth);
            return Err(reader.error(format!("depth {depth}"), most));
        }
        let (magnitude, error) = (reader.f64()?, reader.f64()?);
        if magnitude < 0.0 || error < 0.0 || magnitude > self.config.capacity {
            return Err(reader.error(
                format!("bounds {magnitude} and {error}"),
                format!("none negative, values up to {}", self.config.capacity),
            ));
        }
        let count = shape.lines * shape.len;
        if !reader.remaining().is_multiple_of(8) || reader.remaining() / 8 != count {
            return Err(reader.error(
                format!("{} bytes of values", reader.remaining()),
                format!("{count} values of 8 bytes"),
            ));
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let value = V::from_bytes(reader.array()?);
            // A value beyond its bound would overflow where the bound says that it cannot.
            let largest = mul_up(magnitude + error, 1.0 + 4.0 * f64::EPSILON);
            if value.magnitude().is_nan() || value.magnitude() > largest {
                return Err(reader.error("a value beyond the bounds", format!("at most {largest}")));
            }
            values.push(value);
        }
        Ok(ClearBlock {
            values,
            shape,
            depth,
            magnitude,
            error,
            parameters: header.parameters,
            key: header.key,
        })
    }
}

impl<V: ClearValue> ClearMatrices<V> {
    fn expect_depth(&self, operation: &'static str, depth: usize) -> Result<()> {
        if depth <= self.config.max_depth {
            return Ok(());
        }
        Err(Error::Depth {
            operation,
            needed: depth,
            left: self.config.max_depth,
        })
    }
}

fn check_values<V: ClearValue>(what: &str, values: &[V], bound: f64) -> Result<()> {
    let bad = |v: &V| !(v.magnitude() <= bound && v.magnitude().is_finite());
    match values.iter().position(bad) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            index,
            got: format!("a {what} of {:?}", values[index]),
            expected: format!("a finite number of absolute value at most {bound}"),
            hint: "declare a larger bound, or scale the data",
        }),
    }
}

impl<V: ClearValue> ClearMatrixKey<V> {
    /// The key's identifier.
    pub fn key_id(&self) -> KeyId {
        self.scheme.key_id()
    }
}

impl<V: ClearValue> EncryptMatrix for ClearMatrixKey<V> {
    type Scheme = ClearMatrices<V>;
    fn scheme(&self) -> ClearMatrices<V> {
        self.scheme.clone()
    }
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[V],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        _rng: &mut R,
    ) -> Result<ClearBlock<V>> {
        const OPERATION: &str = "encrypt_block";
        let config = &self.scheme.config;
        let shape = BlockShape::of_values(OPERATION, values.len(), lines, layout, config.max_len)?
            .on_grid(OPERATION, padded, config.max_len)?;
        self.scheme.expect_depth(OPERATION, depth)?;
        let magnitude = bound.unwrap_or(config.bound);
        if !(magnitude >= 0.0 && magnitude <= config.capacity) {
            return Err(Error::Parameter {
                what: "bound",
                got: magnitude.to_string(),
                expected: format!("a number from 0 to {}", config.capacity),
                hint: "pass the largest absolute value of the data",
            });
        }
        check_values("value", values, magnitude)?;
        self.scheme
            .finish(OPERATION, shape, depth, magnitude, 0.0, || values.to_vec())
    }
}

impl<V: ClearValue> DecryptMatrix for ClearMatrixKey<V> {
    type Scheme = ClearMatrices<V>;
    fn decrypt_block(&self, x: &ClearBlock<V>) -> Result<Vec<V>> {
        self.scheme.own("decrypt_block", x)?;
        Ok(x.values.clone())
    }
}
