//! Encrypted gradient descent and NAG.
//!
//! # Depth
//! The first step starts at zero weights, where the gradient is `X' (y - f(0))`: one level. A later step costs
//!
//! | levels | what |
//! |---|---|
//! | 2 | scores `u = a X v`: the product, and the mask that clears partial sums; the factor `a` rides on the mask |
//! | 1 | `u^2`, and beside it `u X` row by row |
//! | 1 | their product, summed over the rows |
//!
//! with a cubic sigmoid. The learning rate, the momentum and the leading coefficient `c` of the polynomial cost nothing:
//! `a` is chosen such that `(a t)^3 = rate (1 - eta) / rows |c| t^3`. Momentum mixes older points, which have levels to
//! spare. A straight line takes 3 levels a step, degrees five and seven take 5.

use crate::encrypted::design::{block_rows, block_targets, row_tile, with_ones};
use crate::link::Link;
use crate::schedule::{Descent, Intercept, Step};
use cipherblas_linalg::packing::Tile;
use cipherblas_linalg::{EncryptedMatrix, EncryptedVector};
use cipherblas_scheme::{Add, AddPlain, Error, Mul, MulPlain, Result, Rotate, Scheme};
use std::ops::ControlFlow;

/// What a scheme must do for training: everything that CKKS does without bootstrapping.
pub trait Trains: Add + AddPlain + MulPlain + Mul + Rotate + Scheme<Value = f64> {}

impl<S: Add + AddPlain + MulPlain + Mul + Rotate + Scheme<Value = f64>> Trains for S {}

/// Where training is, after each step. Public data only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done, from 1.
    pub iteration: usize,
    /// Steps in all.
    pub iterations: usize,
    /// Multiplications that the weights can still take.
    pub depth_left: usize,
}

/// Levels that the steps take.
pub(crate) fn depth(link: &Link, iterations: usize) -> usize {
    // The rate of the first step rides on the second one's factor; alone, it takes a level.
    match iterations {
        0 => 0,
        1 => 2,
        n => 1 + (n - 1) * (2 + link.depth()),
    }
}

/// Rows, targets and what is computed once for each batch.
struct Batch<S: Scheme> {
    x: EncryptedMatrix<S>,
    /// `X' (y - f(0))`.
    moment: EncryptedVector<S>,
}

/// The point at which the last gradient was taken, as `factor * vector`.
struct Point<S: Scheme> {
    vector: EncryptedVector<S>,
    factor: f64,
}

/// Checks shapes and depth before anything is computed; the tile of the rows.
fn check<S: Trains>(x: &EncryptedMatrix<S>, y: &EncryptedVector<S>, needed: usize) -> Result<Tile> {
    let tile = row_tile("fit", x)?;
    if y.len() != x.rows() || y.packing() != tile.row_packing() {
        return Err(Error::Shape {
            operation: "fit",
            got: format!(
                "{} rows and {} targets in {:?}",
                x.rows(),
                y.len(),
                y.packing()
            ),
            expected: format!("one target per row in {:?}", tile.row_packing()),
            hint: "encrypt the targets in the row packing of the matrix",
        });
    }
    let left = x.depth().min(y.depth());
    if left < needed {
        return Err(Error::Depth {
            operation: "fit",
            needed,
            left,
        });
    }
    Ok(tile)
}

/// The weights after all steps: one per feature, and the intercept's last.
pub(crate) fn train<S: Trains>(
    x: &EncryptedMatrix<S>,
    y: &EncryptedVector<S>,
    link: &Link,
    l2: f64,
    descent: &Descent,
    mut callback: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<EncryptedVector<S>> {
    let tile = check(x, y, depth(link, descent.iterations))?;
    let features = x.cols();
    let steps = descent.steps(x.rows(), tile.rows_per_block())?;
    let x = with_ones("fit", x, descent.intercept)?;
    let mut batches: Vec<Option<Batch<S>>> = Vec::new();
    let mut trail = Trail::default();
    let mut mixing = Mixing::default();
    for (t, step) in steps.iter().enumerate() {
        batches.resize_with(batches.len().max(step.batch + 1), || None);
        if batches[step.batch].is_none() {
            let x = block_rows(&x, &tile, &step.rows)?;
            let y = block_targets(y, &tile, &step.rows)?;
            let moment = transposed_matvec(&x, &y.add_scalar(-link.offset)?)?;
            batches[step.batch] = Some(Batch { x, moment });
        }
        let Some(batch) = &batches[step.batch] else {
            unreachable!("filled above")
        };
        let point = advance(batch, &trail, &mixing, link, l2, features, step)?;
        mixing.push(step.eta);
        trail.points.push(point);
        let progress = Progress {
            iteration: t + 1,
            iterations: steps.len(),
            depth_left: trail.points.last().map_or(0, |p| p.vector.depth()),
        };
        if callback(&progress).is_break() {
            return Err(Error::Interrupted);
        }
    }
    match trail.points.pop() {
        Some(Point {
            vector,
            factor: 1.0,
        }) => Ok(vector),
        Some(Point { vector, factor }) => vector.scale(factor),
        None => unreachable!("at least one iteration was checked"),
    }
}

/// The points of all steps so far.
struct Trail<S: Scheme> {
    points: Vec<Point<S>>,
}

impl<S: Scheme> Default for Trail<S> {
    fn default() -> Self {
        Self { points: Vec::new() }
    }
}

/// The weights `w_t` of Nesterov's scheme as a sum of points: `w_t = sum_j share_j v_j`.
///
/// From `v_{t+1} = (1 - eta) w_{t+1} + eta w_t` follows `w_{t+1} = (v_{t+1} - eta w_t) / (1 - eta)`. Kept as shares, the
/// weights are never computed, and cost neither noise nor levels.
#[derive(Default)]
struct Mixing {
    shares: Vec<f64>,
}

impl Mixing {
    fn push(&mut self, eta: f64) {
        self.shares
            .iter_mut()
            .for_each(|s| *s *= -eta / (1.0 - eta));
        self.shares.push(1.0 / (1.0 - eta));
    }
}

/// One step: the next point.
fn advance<S: Trains>(
    batch: &Batch<S>,
    trail: &Trail<S>,
    mixing: &Mixing,
    link: &Link,
    l2: f64,
    features: usize,
    step: &Step,
) -> Result<Point<S>> {
    let kappa = (1.0 - step.eta) * step.rate / step.rows.len() as f64;
    let Some((last, older)) = trail.points.split_last() else {
        return Ok(Point {
            vector: batch.moment.clone(),
            factor: kappa,
        });
    };
    let pull = scaled_pull(&batch.x, last, link, kappa)?;
    let columns = last.vector.len();
    let shrunk = (1.0 - step.eta) * (1.0 - step.rate * l2);
    let mut own = vec![shrunk * last.factor; columns];
    if let Some(bias) = own.get_mut(features) {
        *bias = (1.0 - step.eta) * last.factor;
    }
    let mut terms = Vec::with_capacity(older.len() + 2);
    if step.eta != 0.0 {
        for (point, share) in trail.points.iter().zip(&mixing.shares) {
            terms.push(Term {
                vector: &point.vector,
                weights: Weights::All(step.eta * share * point.factor),
            });
        }
        // The last point occurs twice: once as itself, once in the mixture.
        terms.pop();
        let share = mixing.shares.last().copied().unwrap_or(0.0);
        own.iter_mut()
            .for_each(|w| *w += step.eta * share * last.factor);
    }
    let weights = match own[0] {
        first if own.iter().all(|&w| w == first) => Weights::All(first),
        _ => Weights::Each(own),
    };
    terms.push(Term {
        vector: &last.vector,
        weights,
    });
    terms.push(Term {
        vector: &batch.moment,
        weights: Weights::All(kappa),
    });
    let vector = combination(&terms, pull.depth())?.sub(&pull)?;
    Ok(Point {
        vector,
        factor: 1.0,
    })
}

/// `X' s` for one value per row: one level.
fn transposed_matvec<S: Trains>(
    x: &EncryptedMatrix<S>,
    s: &EncryptedVector<S>,
) -> Result<EncryptedVector<S>> {
    x.transpose()?.matvec(s)
}

enum Weights {
    All(f64),
    Each(Vec<f64>),
}

struct Term<'a, S: Scheme> {
    vector: &'a EncryptedVector<S>,
    weights: Weights,
}

/// `sum_i weights_i * vector_i` at `depth`, with a single rescaling.
fn combination<S: Trains>(terms: &[Term<'_, S>], depth: usize) -> Result<EncryptedVector<S>> {
    let first = terms[0].vector;
    let (evaluator, packing) = (first.evaluator(), first.packing());
    let lowered = terms
        .iter()
        .map(|t| t.vector.lower_to(depth + 1))
        .collect::<Result<Vec<_>>>()?;
    let plains = terms
        .iter()
        .map(|t| match &t.weights {
            Weights::All(w) => {
                let one = evaluator.prepare(&[*w], depth + 1)?;
                Ok(vec![one; first.ciphertexts().len()])
            }
            Weights::Each(weights) => packing
                .pack(weights)?
                .iter()
                .map(|block| evaluator.prepare(block, depth + 1))
                .collect(),
        })
        .collect::<Result<Vec<Vec<S::Plaintext>>>>()?;
    let blocks = (0..first.ciphertexts().len()).map(|b| {
        let cts: Vec<_> = lowered
            .iter()
            .filter_map(|v| v.ciphertexts().nth(b))
            .collect();
        let plains: Vec<_> = plains.iter().map(|p| &p[b]).collect();
        evaluator.mul_prepared(&cts, &plains)
    });
    EncryptedVector::from_ciphertexts(
        evaluator.clone(),
        first.len(),
        packing,
        blocks.collect::<Result<_>>()?,
    )
}

/// `kappa X' q(X v)`, where `q` is the link without its constant term.
fn scaled_pull<S: Trains>(
    x: &EncryptedMatrix<S>,
    v: &Point<S>,
    link: &Link,
    kappa: f64,
) -> Result<EncryptedVector<S>> {
    let degree = 2 * link.odd.len() - 1;
    let leading = link.odd[link.odd.len() - 1];
    // u = alpha t, such that the leading term is +-u^degree.
    let alpha = (kappa * leading.abs()).powf(1.0 / degree as f64);
    let sign = leading.signum();
    let c: Vec<f64> = link
        .odd
        .iter()
        .enumerate()
        .map(|(i, c)| kappa * c / alpha.powi(2 * i as i32 + 1))
        .collect();
    if degree == 1 {
        let u = x.matvec_scaled(&v.vector, kappa * leading * v.factor)?;
        return transposed_matvec(x, &u);
    }
    let signed = |z: &EncryptedVector<S>| if sign < 0.0 { z.neg() } else { Ok(z.clone()) };
    let u = x.matvec_scaled(&v.vector, alpha * v.factor)?;
    let ux = x.scale_rows(&u)?;
    let z = u.square()?;
    match c[..] {
        [c1, _] => transposed_matvec(&ux, &signed(&z)?.add_scalar(c1)?),
        [c1, c3, _] => {
            let h = signed(&z)?.add_scalar(c3)?.mul(&z)?;
            transposed_matvec(&ux, &h.add_scalar(c1)?)
        }
        [c1, c3, c5, _] => {
            let high = ux.scale_rows(&signed(&z)?.add_scalar(c5)?)?;
            let high = transposed_matvec(&high, &z.square()?)?;
            let low = transposed_matvec(&ux, &z.scale(c3)?.add_scalar(c1)?)?;
            high.add(&low)
        }
        _ => unreachable!("degrees are 1, 3, 5 and 7"),
    }
}

/// Rows in a batch of encrypted training.
pub(crate) fn batch_rows(
    descent: &Descent,
    rows: usize,
    features: usize,
    slots: usize,
) -> Result<usize> {
    let tile = super::design::row_packing(rows, features, descent.intercept, slots)?;
    Ok(descent.batch_rows(rows, tile.rows_per_block()))
}

/// Number of weights.
pub(crate) fn weights(features: usize, intercept: Intercept) -> usize {
    features + usize::from(intercept == Intercept::Fit)
}
