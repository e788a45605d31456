//! What a computation needs, before any key is made: depth, keys, operations, estimated time.
//!
//! A [`Plan`] comes from running the computation itself on a [`Tracer`]: an evaluator that holds no values and only
//! writes down what it is asked for. So a plan is always that of the code which will run.
//!
//! ```
//! use cipherblas_linalg::plan::Plan;
//! use cipherblas_linalg::EncryptOptions;
//!
//! let plan = Plan::trace(4096, 8, |t| {
//!     let x = t.matrix(300, 17, &EncryptOptions::new())?;
//!     let w = t.vector(17, &EncryptOptions::new())?;
//!     x.matvec(&w).map(drop)
//! })?;
//! assert_eq!(plan.depth(), 2);
//! assert_eq!(plan.input_ciphertexts(), 3 + 1);
//! assert!(plan.keys().relinearization);
//! let steps: Vec<i64> = plan.keys().rotations.iter().copied().collect();
//! assert_eq!(steps, [-16, -8, -4, -2, -1, 1, 2, 4, 8, 16]);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```

pub mod gemm;
mod machine;
mod tracer;

pub use machine::Machine;
pub use tracer::{TracedCiphertext, TracedPlaintext, Tracer};

use crate::encrypted::{EncryptOptions, EncryptedMatrix};
use crate::packing::MatrixPacking;
use cipherblas_scheme::clear::Counts;
use cipherblas_scheme::{KeySet, Result, Value};
use std::fmt;

/// What a computation needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    slots: usize,
    depth: usize,
    levels: usize,
    keys: KeySet,
    counts: Counts,
    inputs: usize,
    /// Infinite if an input declared no bound.
    magnitude: f64,
}

/// What to prefer where a rotation can be had from several keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// As few keys as possible: sums over `n` positions by doubling, `log2 n` keys.
    #[default]
    FewKeys,
    /// Less time: sums four by four, for half as many keys again. With them, a kernel takes the faster way by itself.
    Speed,
}

/// Seconds that each operation takes, on one machine, with one parameter set, at a typical depth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Sum of two ciphertexts.
    pub addition: f64,
    /// Ciphertext x plaintext, its encoding included.
    pub plain_multiplication: f64,
    /// Ciphertext x ciphertext, without relinearization.
    pub multiplication: f64,
    /// Relinearization and rescaling.
    pub relinearization: f64,
    /// A rotation.
    pub rotation: f64,
    /// A rotation that shares its decomposition with others.
    pub hoisted_rotation: f64,
    /// A rotation in a sum.
    pub summed_rotation: f64,
    /// A scalar x ciphertext product in a combination.
    pub combined_product: f64,
    /// An input ciphertext: encrypting and sending it.
    pub input: f64,
}

impl Costs {
    /// Typical proportions for a lattice scheme, in units of a rotation: for choosing between plans, not for telling times.
    pub const RELATIVE: Self = Self {
        addition: 0.01,
        plain_multiplication: 0.1,
        multiplication: 0.1,
        relinearization: 1.2,
        rotation: 1.0,
        hoisted_rotation: 0.5,
        summed_rotation: 0.8,
        combined_product: 0.01,
        input: 0.5,
    };

    /// All times `by` as long.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self {
            addition: self.addition * by,
            plain_multiplication: self.plain_multiplication * by,
            multiplication: self.multiplication * by,
            relinearization: self.relinearization * by,
            rotation: self.rotation * by,
            hoisted_rotation: self.hoisted_rotation * by,
            summed_rotation: self.summed_rotation * by,
            combined_product: self.combined_product * by,
            input: self.input * by,
        }
    }
}

/// Traces a computation with every natural packing of its `rows` x `cols` matrix, and gives the one with the lowest
/// estimate among those that `max_depth` affords, with its plan.
///
/// The computation is to take the packing of its vectors from the matrix
/// ([`row_packing`](EncryptedMatrix::row_packing), [`column_packing`](EncryptedMatrix::column_packing)).
///
/// ```
/// use cipherblas_linalg::plan::{Costs, choose};
/// use cipherblas_linalg::{MatrixPacking, PlainMatrix, Tile};
///
/// // Scores of 1000 encrypted rows under ten plain models: combinations of whole columns, without a single key.
/// let models = PlainMatrix::new(30, 10, vec![0.5; 300])?;
/// let (packing, plan) = choose(4096, 1, (1000, 30), &Costs::RELATIVE, |_, x| x.matmul_plain(&models).map(drop))?;
/// assert_eq!(packing, MatrixPacking::Tile(Tile::columns(1000, 30, 4096)?));
/// assert!(plan.keys().rotations.is_empty());
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
///
/// # Errors
/// `Shape` for an empty dimension; if no packing will do, what the computation returned for a row-major tile.
pub fn choose(
    slots: usize,
    max_depth: usize,
    (rows, cols): (usize, usize),
    costs: &Costs,
    computation: impl Fn(&Tracer, &EncryptedMatrix<Tracer>) -> Result<()>,
) -> Result<(MatrixPacking, Plan)> {
    let mut best: Option<(f64, MatrixPacking, Plan)> = None;
    let mut refusal = None;
    for packing in MatrixPacking::candidates(rows, cols, slots)? {
        let options = EncryptOptions::new().packing(packing);
        let plan = Plan::trace(slots, max_depth, |t| {
            computation(t, &t.matrix(rows, cols, &options)?)
        });
        match plan {
            Ok(plan) => {
                let cost = plan.estimate(costs);
                if best.as_ref().is_none_or(|(lowest, ..)| cost < *lowest) {
                    best = Some((cost, packing, plan));
                }
            }
            Err(e) => {
                refusal.get_or_insert(e);
            }
        }
    }
    match (best, refusal) {
        (Some((_, packing, plan)), _) => Ok((packing, plan)),
        (None, Some(e)) => Err(e),
        (None, None) => unreachable!("there is at least one candidate"),
    }
}

impl Plan {
    /// Runs `computation` on a tracer for ciphertexts of `slots` values and at most `max_depth` multiplications. Inputs are
    /// made with [`Tracer::vector`] and [`Tracer::matrix`].
    ///
    /// # Errors
    /// `Parameter` if `slots` is not a power of two; whatever the computation itself returns, `Depth` among them if
    /// `max_depth` is too small.
    pub fn trace(
        slots: usize,
        max_depth: usize,
        computation: impl FnOnce(&Tracer) -> Result<()>,
    ) -> Result<Self> {
        Self::trace_for(Preference::FewKeys, slots, max_depth, computation)
    }

    /// As [`trace`](Self::trace), with a preference for few keys or for speed.
    ///
    /// # Errors
    /// As [`trace`](Self::trace).
    pub fn trace_for(
        preference: Preference,
        slots: usize,
        max_depth: usize,
        computation: impl FnOnce(&Tracer) -> Result<()>,
    ) -> Result<Self> {
        Self::trace_over(preference, slots, max_depth, computation)
    }

    /// As [`trace`](Self::trace), for a scheme over the integers. With bounds declared for the inputs, the plan says how many
    /// bits the plaintexts need.
    ///
    /// ```
    /// use cipherblas_linalg::plan::Plan;
    /// use cipherblas_linalg::EncryptOptions;
    ///
    /// let plan = Plan::trace_integers(2048, 2, |t| {
    ///     let x = t.vector(1000, &EncryptOptions::new().bound(255.0))?;
    ///     x.dot(&x).map(drop)
    /// })?;
    /// // At most 1024 * 255^2, the padding included.
    /// assert_eq!(plan.magnitude(), Some(1024.0 * 255.0 * 255.0));
    /// assert_eq!(plan.plaintext_bits(), Some(27));
    /// # Ok::<(), cipherblas_scheme::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Self::trace).
    pub fn trace_integers(
        slots: usize,
        max_depth: usize,
        computation: impl FnOnce(&Tracer<i64>) -> Result<()>,
    ) -> Result<Self> {
        Self::trace_over(Preference::FewKeys, slots, max_depth, computation)
    }

    /// As [`trace_for`](Self::trace_for), over values of any type.
    ///
    /// # Errors
    /// As [`trace`](Self::trace).
    pub fn trace_over<V: Value>(
        preference: Preference,
        slots: usize,
        max_depth: usize,
        computation: impl FnOnce(&Tracer<V>) -> Result<()>,
    ) -> Result<Self> {
        let tracer = Tracer::new(slots, max_depth, preference)?;
        computation(&tracer)?;
        Ok(tracer.plan())
    }

    /// Values in a ciphertext.
    pub fn slots(&self) -> usize {
        self.slots
    }
    /// Multiplications one after another: the depth that fresh ciphertexts need. What inputs of less depth than the rest, and
    /// ciphertexts lowered on purpose, gave up counts as well; for [`levels`](Self::levels) it does not.
    pub fn depth(&self) -> usize {
        self.depth
    }
    /// Multiplications one after another, whatever depth inputs were declared with and ciphertexts lowered to.
    ///
    /// ```
    /// use cipherblas_linalg::plan::Plan;
    /// use cipherblas_linalg::EncryptOptions;
    ///
    /// let plan = Plan::trace(4096, 8, |t| {
    ///     let x = t.vector(100, &EncryptOptions::new().depth(2))?;
    ///     x.square().map(drop)
    /// })?;
    /// assert_eq!((plan.depth(), plan.levels()), (7, 1));
    /// # Ok::<(), cipherblas_scheme::Error>(())
    /// ```
    pub fn levels(&self) -> usize {
        self.levels
    }
    /// The evaluation keys: exactly those that are used.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }
    /// How often each operation is executed.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// Ciphertexts that the inputs take.
    pub fn input_ciphertexts(&self) -> usize {
        self.inputs
    }

    /// Bound on the absolute value of everything on the way, inputs and results, from the bounds declared for the inputs
    /// ([`EncryptOptions::bound`]); `None` if one has none. Schemes refuse operations whose bound is beyond their plaintexts.
    pub fn magnitude(&self) -> Option<f64> {
        self.magnitude.is_finite().then_some(self.magnitude)
    }

    /// Bits of a signed integer that holds everything on the way: the `plaintext_bits` that an exact scheme needs.
    pub fn plaintext_bits(&self) -> Option<u32> {
        // The smallest b with magnitude < 2^(b - 1).
        self.magnitude()
            .map(|m| (m + 1.0).log2().ceil().max(1.0) as u32 + 1)
    }

    /// Estimated time in seconds, on one thread.
    pub fn estimate(&self, costs: &Costs) -> f64 {
        self.breakdown(costs)
            .iter()
            .map(|(_, seconds)| seconds)
            .sum()
    }

    /// Estimated seconds of each kind of operation, on one thread.
    pub fn breakdown(&self, costs: &Costs) -> Vec<(&'static str, f64)> {
        let c = &self.counts;
        [
            ("additions", c.additions, costs.addition),
            (
                "plain multiplications",
                c.plain_multiplications,
                costs.plain_multiplication,
            ),
            ("multiplications", c.multiplications, costs.multiplication),
            (
                "relinearizations",
                c.relinearizations,
                costs.relinearization,
            ),
            ("rotations", c.rotations, costs.rotation),
            (
                "hoisted rotations",
                c.hoisted_rotations,
                costs.hoisted_rotation,
            ),
            (
                "summed rotations",
                c.summed_rotations,
                costs.summed_rotation,
            ),
            (
                "combined products",
                c.combined_products,
                costs.combined_product,
            ),
            ("encryption", self.inputs as u64, costs.input),
        ]
        .iter()
        .map(|&(name, n, seconds)| (name, n as f64 * seconds))
        .collect()
    }

    /// A plan that affords both computations.
    ///
    /// # Errors
    /// `Shape` for plans with different numbers of slots.
    pub fn union(&self, other: &Self) -> Result<Self> {
        if self.slots != other.slots {
            return Err(crate::shape::mismatch(
                "union of plans",
                format!("{} and {} slots", self.slots, other.slots),
                "equal numbers of slots",
                "trace both for the same parameters",
            ));
        }
        let (a, b) = (&self.counts, &other.counts);
        Ok(Self {
            slots: self.slots,
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
            keys: self.keys.clone().union(&other.keys),
            inputs: self.inputs + other.inputs,
            magnitude: self.magnitude.max(other.magnitude),
            counts: Counts {
                additions: a.additions + b.additions,
                plain_multiplications: a.plain_multiplications + b.plain_multiplications,
                multiplications: a.multiplications + b.multiplications,
                relinearizations: a.relinearizations + b.relinearizations,
                rotations: a.rotations + b.rotations,
                hoisted_rotations: a.hoisted_rotations + b.hoisted_rotations,
                summed_rotations: a.summed_rotations + b.summed_rotations,
                combines: a.combines + b.combines,
                combined_products: a.combined_products + b.combined_products,
            },
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counts;
        writeln!(f, "depth               {}", self.depth)?;
        writeln!(
            f,
            "input ciphertexts   {} of {} slots",
            self.inputs, self.slots
        )?;
        if let (Some(magnitude), Some(bits)) = (self.magnitude(), self.plaintext_bits()) {
            writeln!(
                f,
                "values              up to {magnitude:.6e} on the way ({bits} bits, signed)"
            )?;
        }
        writeln!(
            f,
            "keys                {}{} rotations",
            if self.keys.relinearization {
                "relinearization, "
            } else {
                ""
            },
            self.keys.rotations.len()
        )?;
        writeln!(
            f,
            "products            {} ({} relinearizations), {} with plain values, {} in combinations",
            c.multiplications, c.relinearizations, c.plain_multiplications, c.combined_products
        )?;
        write!(
            f,
            "rotations           {} ({} hoisted, {} summed)",
            c.all_rotations(),
            c.hoisted_rotations,
            c.summed_rotations
        )
    }
}
