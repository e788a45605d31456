use super::block::{CodedBlock, distinct, packed};
use super::keys::elements;
use super::{Coding, Product, Term};
use crate::evaluation::EvaluationKeys;
use crate::matrix::{Block, Weights};
use cipherblas_scheme::matrix::BlockShape;
use cipherblas_scheme::wire::KeyId;
use cipherblas_scheme::{Error, Lines, MatrixKeySet, MatrixScheme, Result, Side, WeightMatrix};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Everything that a server does with blocks: parameters and evaluation keys in one cheap handle, and no secret. Every
/// operation first checks shapes, depth and keys, and computes the bounds of its result.
#[derive(Clone)]
pub struct CodedEvaluator<C: Coding> {
    pub(super) params: C,
    pub(super) key: KeyId,
    keys: Option<Arc<EvaluationKeys>>,
}

/// Factors of a product, and the bounds of its result.
type Prepared<C> = (Vec<(Block, Block)>, <C as Coding>::Bounds);

impl<C: Coding> CodedEvaluator<C> {
    /// With the keys that a plan listed.
    ///
    /// # Errors
    /// `KeyMismatch` if the keys were made for other parameters, be they over the same ring.
    pub fn new(params: &C, keys: Arc<EvaluationKeys>) -> Result<Self> {
        if keys.ring().spec() != params.ring().ring().spec() {
            return Err(Error::KeyMismatch {
                operation: "evaluator",
                got: "evaluation keys over another ring".into(),
                expected: format!("keys made for parameters {}", params.id()),
            });
        }
        if keys.parameters != Some(params.id()) {
            return Err(Error::KeyMismatch {
                operation: "evaluator",
                got: keys.parameters.map_or_else(
                    || "evaluation keys that are not for matrices".into(),
                    |id| format!("evaluation keys made for parameters {id}"),
                ),
                expected: format!("keys made for parameters {}", params.id()),
            });
        }
        Ok(Self {
            params: params.clone(),
            key: keys.id(),
            keys: Some(keys),
        })
    }
    /// For sums, products with plain matrices and serialization only.
    pub fn without_keys(params: &C, key: KeyId) -> Self {
        Self {
            params: params.clone(),
            key,
            keys: None,
        }
    }
    /// The parameters.
    pub fn params(&self) -> &C {
        &self.params
    }
    /// Id of the key whose blocks it computes on.
    pub fn key_id(&self) -> KeyId {
        self.key
    }
    /// The evaluation keys.
    pub fn keys(&self) -> Option<&Arc<EvaluationKeys>> {
        self.keys.as_ref()
    }

    fn own<'a>(
        &self,
        operation: &'static str,
        blocks: impl IntoIterator<Item = &'a CodedBlock<C>>,
    ) -> Result<()> {
        blocks
            .into_iter()
            .try_for_each(|x| x.check(operation, self.params.id(), self.key))
    }

    /// The level of factors: the least of them, from which one step leads down.
    fn level<'a>(
        &self,
        operation: &'static str,
        blocks: impl IntoIterator<Item = &'a CodedBlock<C>>,
    ) -> Result<usize> {
        let level = blocks.into_iter().map(CodedBlock::depth).min().unwrap_or(0);
        if level == 0 {
            return Err(Error::Depth {
                operation,
                needed: 1,
                left: 0,
            });
        }
        Ok(level)
    }

    /// The keys of a grid.
    fn keys_for(
        &self,
        operation: &'static str,
        padded: usize,
        products: bool,
    ) -> Result<&EvaluationKeys> {
        let keys = self.keys.as_deref().ok_or_else(|| Error::MissingKey {
            operation,
            key: "evaluation keys".into(),
        })?;
        if products {
            keys.relinearization(operation)?;
        }
        let set = MatrixKeySet {
            lengths: [padded].into(),
            products,
        };
        let missing = |&g: &u64| g != 1 && keys.galois(g).is_none();
        if elements(&self.params, &set)?.iter().any(missing) {
            return Err(Error::MissingKey {
                operation,
                key: format!("Galois keys of lines on a grid of {padded}"),
            });
        }
        Ok(keys)
    }

    fn result(&self, inner: Block, bounds: C::Bounds) -> CodedBlock<C> {
        CodedBlock {
            inner,
            bounds,
            fresh: false,
            params: self.params.id(),
        }
    }

    /// The block multiplied by each factor.
    fn multiplied(block: &Block, factors: &[i64]) -> Result<Block> {
        factors
            .iter()
            .filter(|&&f| f != 1)
            .try_fold(block.clone(), |x, &f| x.scale(f))
    }

    fn lowered<'a>(
        &self,
        operation: &'static str,
        x: &'a CodedBlock<C>,
        depth: usize,
    ) -> Result<Cow<'a, CodedBlock<C>>> {
        let mut x = Cow::Borrowed(x);
        while x.depth() > depth {
            x = Cow::Owned(self.step(operation, &x, None)?);
        }
        Ok(x)
    }

    /// The block times a value, at the level below.
    fn step(
        &self,
        operation: &'static str,
        x: &CodedBlock<C>,
        value: Option<C::Value>,
    ) -> Result<CodedBlock<C>> {
        let (factors, bounds) = self.params.scaled(operation, x.depth(), value, &x.bounds)?;
        let inner = Self::multiplied(&x.inner, &factors)?.lower()?;
        Ok(self.result(inner, bounds))
    }

    fn add_signed(
        &self,
        operation: &'static str,
        a: &CodedBlock<C>,
        b: &CodedBlock<C>,
        combine: impl Fn(&Block, &Block) -> Result<Block>,
    ) -> Result<CodedBlock<C>> {
        self.own(operation, [a, b])?;
        a.shape()
            .expect_like(operation, &b.shape(), self.max_len())?;
        let level = a.depth().min(b.depth());
        let a = self.lowered(operation, a, level)?;
        let b = self.lowered(operation, b, level)?;
        let (factors, bounds) = self.params.sum(operation, level, &a.bounds, &b.bounds)?;
        let (mut x, mut y) = (
            Self::multiplied(&a.inner, &factors[..1])?,
            Self::multiplied(&b.inner, &factors[1..])?,
        );
        if x.shape() != y.shape() {
            (x, y) = (packed(&x), packed(&y));
        }
        Ok(self.result(combine(&x, &y)?, bounds))
    }

    /// The shape of a product, its factors at one level and in one layout, and the bounds of the result.
    fn prepare<'a>(
        &self,
        operation: &'static str,
        terms: &[(&'a CodedBlock<C>, &'a CodedBlock<C>)],
        side: Side,
        distinct: bool,
    ) -> Result<Prepared<C>> {
        let n = self.max_len();
        self.own(operation, terms.iter().flat_map(|&(l, r)| [l, r]))?;
        let shapes: Vec<_> = terms.iter().map(|(l, r)| (l.shape(), r.shape())).collect();
        let shape = BlockShape::product(operation, &shapes, side, n)?;
        let level = self.level(operation, terms.iter().flat_map(|&(l, r)| [l, r]))?;
        self.keys_for(operation, shape.padded, true)?;
        let lower = |x: &'a CodedBlock<C>| self.lowered(operation, x, level);
        let factors: Vec<_> = terms
            .iter()
            .map(|&(l, r)| Ok((lower(l)?, lower(r)?)))
            .collect::<Result<_>>()?;
        let bounds: Vec<_> = factors
            .iter()
            .map(|(l, r)| Term {
                lines: l.shape().lines,
                held: l.shape().ciphertexts(n) * l.shape().lines_per_ciphertext(n),
                left: &l.bounds,
                right: &r.bounds,
            })
            .collect();
        let bounds = self.params.product(&Product {
            operation,
            level,
            padded: shape.padded,
            terms: &bounds,
            distinct,
        })?;
        let one_layout = {
            let mut layouts = shapes.iter().flat_map(|(l, r)| [l.layout, r.layout]);
            let first = layouts.next();
            layouts.all(|layout| Some(layout) == first)
        };
        let factor = |x: &CodedBlock<C>| {
            if one_layout {
                x.inner.clone()
            } else {
                packed(&x.inner)
            }
        };
        let factors = factors.iter().map(|(l, r)| (factor(l), factor(r)));
        Ok((factors.collect(), bounds))
    }
}

impl<C: Coding> MatrixScheme for CodedEvaluator<C> {
    type Value = C::Value;
    type Block = CodedBlock<C>;

    fn name(&self) -> &'static str {
        C::NAME
    }
    fn max_len(&self) -> usize {
        self.params.ring().degree()
    }
    fn max_depth(&self) -> usize {
        self.params.ring().max_level()
    }
    fn depth(&self, x: &CodedBlock<C>) -> usize {
        x.depth()
    }
    fn shape(&self, x: &CodedBlock<C>) -> (usize, usize) {
        (x.shape().lines, x.shape().len)
    }
    fn padded_len(&self, x: &CodedBlock<C>) -> usize {
        x.shape().padded
    }
    fn layout(&self, x: &CodedBlock<C>) -> Lines {
        x.shape().layout
    }
    /// Two bytes for each coefficient, narrow prime and half; in the single layout first halves hold the line only.
    fn block_bytes(&self, lines: usize, len: usize, layout: Lines, depth: usize) -> Result<usize> {
        let (n, top) = (self.max_len(), self.max_depth());
        if depth > top {
            return Err(Error::Depth {
                operation: "block_bytes",
                needed: depth,
                left: top,
            });
        }
        let shape = BlockShape::new("block_bytes", lines, len, layout, n)?;
        let held = match layout {
            Lines::Packed => n,
            Lines::Single => len,
        };
        let residues = shape
            .ciphertexts(n)
            .saturating_mul(self.params.ring().narrow_len(depth));
        Ok(residues.saturating_mul(2 * (n + held)))
    }

    fn lower_to(&self, x: &CodedBlock<C>, depth: usize) -> Result<CodedBlock<C>> {
        self.own("lower_to", [x])?;
        if depth > x.depth() {
            return Err(Error::Depth {
                operation: "lower_to",
                needed: depth,
                left: x.depth(),
            });
        }
        Ok(self.lowered("lower_to", x, depth)?.into_owned())
    }
    fn add(&self, a: &CodedBlock<C>, b: &CodedBlock<C>) -> Result<CodedBlock<C>> {
        self.add_signed("add", a, b, Block::add)
    }
    fn sub(&self, a: &CodedBlock<C>, b: &CodedBlock<C>) -> Result<CodedBlock<C>> {
        self.add_signed("sub", a, b, Block::sub)
    }
    fn negate(&self, x: &CodedBlock<C>) -> Result<CodedBlock<C>> {
        self.own("negate", [x])?;
        Ok(self.result(x.inner.negate(), x.bounds.clone()))
    }
    fn scale(&self, x: &CodedBlock<C>, value: C::Value) -> Result<CodedBlock<C>> {
        self.own("scale", [x])?;
        self.level("scale", [x])?;
        self.step("scale", x, Some(value))
    }

    fn gemm_tn(
        &self,
        terms: &[(&CodedBlock<C>, &CodedBlock<C>)],
        lines: Side,
    ) -> Result<CodedBlock<C>> {
        const OPERATION: &str = "gemm_tn";
        let independent =
            distinct(terms.iter().map(|(l, _)| *l)) && distinct(terms.iter().map(|(_, r)| *r));
        let (factors, bounds) = self.prepare(OPERATION, terms, lines, independent)?;
        let factors: Vec<_> = factors.iter().map(|(l, r)| (l, r)).collect();
        let keys = self.keys_for(OPERATION, factors[0].0.shape().padded, true)?;
        Ok(self.result(Block::gemm_tn(&factors, lines, keys)?, bounds))
    }
    fn syrk(&self, terms: &[&CodedBlock<C>]) -> Result<CodedBlock<C>> {
        const OPERATION: &str = "syrk";
        let independent = distinct(terms.iter().copied());
        let pairs: Vec<_> = terms.iter().map(|&x| (x, x)).collect();
        let (factors, bounds) = self.prepare(OPERATION, &pairs, Side::Left, independent)?;
        let factors: Vec<_> = factors.iter().map(|(x, _)| x).collect();
        let keys = self.keys_for(OPERATION, factors[0].shape().padded, true)?;
        Ok(self.result(Block::syrk(&factors, keys)?, bounds))
    }
    fn gemm_plain(
        &self,
        terms: &[(WeightMatrix<'_, C::Value>, &CodedBlock<C>)],
    ) -> Result<CodedBlock<C>> {
        const OPERATION: &str = "gemm_plain";
        let n = self.max_len();
        self.own(OPERATION, terms.iter().map(|(_, x)| *x))?;
        let shapes: Vec<_> = terms
            .iter()
            .map(|(w, x)| (w.rows(), w.cols(), x.shape()))
            .collect();
        BlockShape::plain_product(OPERATION, &shapes, n)?;
        let level = self.level(OPERATION, terms.iter().map(|(_, x)| *x))?;
        let blocks: Vec<_> = terms
            .iter()
            .map(|(_, x)| self.lowered(OPERATION, x, level))
            .collect::<Result<_>>()?;
        let bounds: Vec<_> = terms
            .iter()
            .zip(&blocks)
            .map(|((w, _), x)| (*w, &x.bounds))
            .collect();
        let independent = distinct(terms.iter().map(|(_, x)| *x));
        let (weights, bounds) = self
            .params
            .weighted(OPERATION, level, &bounds, independent)?;
        let factors: Vec<_> = terms
            .iter()
            .zip(&weights)
            .zip(&blocks)
            .map(|(((w, _), values), x)| {
                let weights = Weights {
                    rows: w.rows(),
                    cols: w.cols(),
                    values,
                };
                (weights, &x.inner)
            })
            .collect();
        Ok(self.result(Block::gemm_plain(&factors)?, bounds))
    }
    fn reformat(&self, x: &CodedBlock<C>) -> Result<CodedBlock<C>> {
        const OPERATION: &str = "reformat";
        self.own(OPERATION, [x])?;
        let shape = x.shape().transposed(OPERATION, self.max_len())?;
        let level = self.level(OPERATION, [x])?;
        let keys = self.keys_for(OPERATION, shape.padded, false)?;
        let (factors, bounds) =
            self.params
                .reformatted(OPERATION, level, shape.padded, &x.bounds)?;
        let inner = Self::multiplied(&packed(&x.inner), &factors)?;
        Ok(self.result(inner.reformat(keys)?, bounds))
    }

    fn check(&self, x: &CodedBlock<C>) -> Result<()> {
        self.own("check", [x])
    }
    fn error_bound(&self, x: &CodedBlock<C>) -> f64 {
        self.params.error(&x.bounds)
    }
    fn magnitude_bound(&self, x: &CodedBlock<C>) -> f64 {
        self.params.magnitude(&x.bounds)
    }

    fn write_block(&self, x: &CodedBlock<C>) -> Vec<u8> {
        super::wire::write(&self.params, x)
    }
    fn read_block(&self, bytes: &[u8]) -> Result<CodedBlock<C>> {
        super::wire::read(&self.params, self.key, bytes)
    }
}

impl<C: Coding> fmt::Debug for CodedEvaluator<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.as_ref().map_or(0, |keys| keys.len());
        write!(
            f,
            "Evaluator({} matrices, key {}, {keys} evaluation keys)",
            C::NAME,
            self.key
        )
    }
}
