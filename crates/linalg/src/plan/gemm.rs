//! Plans of matrix products: in slots or in coefficients, with which keys, how much memory and about how long.
//!
//! Two regimes multiply matrices. In **slots**, products are sums of rotations ([`EncryptedMatrix`](crate::EncryptedMatrix)):
//! best for matrices of up to a few ciphertexts. In **coefficients**, they are exact matrix products of residues and one change of
//! format ([`BlockMatrix`](crate::BlockMatrix)): best from a few hundred rows on, where their cost comes near that of a plain
//! product. A [`Gemm`] says what is to be multiplied; its [`plan`](Gemm::plan) chooses by the estimates for a [`Machine`],
//! unless told ([`Gemm::regime`]), and tells why.
//!
//! ```
//! use cipherblas_linalg::plan::gemm::{Figures, Gemm, Kind, Regime, SlotFigures};
//! use cipherblas_scheme::ClearMatrices;
//!
//! // Figures come from the schemes' parameters; the scheme in clear stands for any other here.
//! let figures = Figures::of(&ClearMatrices::<f64>::new(4096, 1)?)?;
//! let slots = SlotFigures { slots: 4096, depth: 2 };
//! let plan = |d| Gemm::new(Kind::Encrypted, d, d, d).coefficients(&figures).slots(slots).plan();
//! assert_eq!(plan(16)?.regime(), Regime::Slots);
//! let large = plan(2048)?;
//! assert_eq!(large.regime(), Regime::Coefficients);
//! assert_eq!(large.matrix_keys().unwrap().lengths, [2048].into());
//! println!("{large}");
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```
//!
//! A plan comes before the keys, since it says which: take the evaluator that has none, of no key.
//!
//! ```
//! use cipherblas_ckks::matrix::{Evaluator, Params};
//! use cipherblas_linalg::plan::gemm::{Figures, Gemm};
//! use cipherblas_scheme::wire::KeyId;
//!
//! let params = Params::builder().inner(500).len(100).build()?;
//! let figures = Figures::of(&Evaluator::without_keys(&params, KeyId::NONE))?;
//! let plan = Gemm::gram(500, 100).coefficients(&figures).plan()?;
//! assert!(plan.matrix_keys().unwrap().products);
//! # Ok::<(), cipherblas_scheme::Error>(())
//! ```
//!
//! A plan knows shapes, not magnitudes: one for an inner dimension beyond what the parameters were made for (`inner` of their
//! builder) is made all the same, and the product refuses with `Overflow` unless the declared bounds are small enough.

mod coefficients;
mod in_slots;

use super::{Machine, Plan};
use crate::blocks::{BlockOptions, Store};
use crate::packing::MatrixPacking;
use crate::shape::check_dims;
use cipherblas_scheme::matrix::{Lines, MatrixScheme};
use cipherblas_scheme::{Error, MatrixKeySet, Result};
use std::fmt;

/// Which factors are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Both, and they are different.
    Encrypted,
    /// The left one: `A W`.
    EncryptedPlain,
    /// The right one: `W A`.
    PlainEncrypted,
    /// The Gram matrix `X'X`: the inner dimension counts the rows of X, the outer ones its columns.
    Gram,
}

impl Kind {
    /// Whether one factor is plain.
    fn plain(self) -> bool {
        matches!(self, Self::EncryptedPlain | Self::PlainEncrypted)
    }
}

/// Where products happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// In slots, by rotations.
    Slots,
    /// In coefficients, by products of residues.
    Coefficients,
}

/// What is known beforehand of the precision of a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Precision {
    /// Integers, exactly.
    Exact,
    /// Entries of products of fresh matrices are right to this, for data within the bound and sums within the inner dimension
    /// that the parameters were made for: of CKKS parameters `2^-precision_bits bound^2 sqrt(inner)`.
    Within(f64),
    /// The parameters were not asked.
    Unknown,
}

/// What a plan needs to know of a scheme for matrices in coefficients.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The scheme's name.
    pub scheme: &'static str,
    /// Coefficients of a ciphertext: the longest line.
    pub max_len: usize,
    /// Products that fresh blocks can take.
    pub max_depth: usize,
    /// Bytes of one ciphertext in memory, at depths from 0 to `max_depth`.
    pub ciphertext_bytes: Vec<usize>,
    /// Narrow primes, at depths from 0 to `max_depth`.
    pub narrow_primes: Vec<usize>,
    /// The precision that the parameters were made for.
    pub precision: Precision,
}

impl Figures {
    /// Asks an evaluator. Two halves of residues of 16 bits are taken for each coefficient; the precision stays unknown.
    ///
    /// # Errors
    /// As [`MatrixScheme::block_bytes`].
    pub fn of<E: MatrixScheme>(scheme: &E) -> Result<Self> {
        let max_len = scheme.max_len();
        let bytes = (0..=scheme.max_depth())
            .map(|depth| scheme.block_bytes(1, max_len, Lines::Packed, depth));
        let ciphertext_bytes = bytes.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            scheme: scheme.name(),
            max_len,
            max_depth: scheme.max_depth(),
            narrow_primes: ciphertext_bytes
                .iter()
                .map(|bytes| bytes.div_ceil(4 * max_len))
                .collect(),
            ciphertext_bytes,
            precision: Precision::Unknown,
        })
    }

    /// With the precision that the parameters were made for.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }
}

/// What a plan needs to know of a scheme with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotFigures {
    /// Values in a ciphertext.
    pub slots: usize,
    /// Multiplications that fresh ciphertexts can take.
    pub depth: usize,
}

/// A matrix product to be planned.
#[derive(Clone, Debug)]
pub struct Gemm {
    kind: Kind,
    rows: usize,
    inner: usize,
    cols: usize,
    regime: Option<Regime>,
    figures: Option<Figures>,
    slots: Option<SlotFigures>,
    machine: Machine,
    budget: Option<usize>,
}

impl Gemm {
    /// A product of `rows x inner` and `inner x cols`; for a Gram matrix of `inner x cols`, `rows` is `cols`.
    pub fn new(kind: Kind, rows: usize, inner: usize, cols: usize) -> Self {
        Self {
            kind,
            rows,
            inner,
            cols,
            regime: None,
            figures: None,
            slots: None,
            machine: Machine::REFERENCE,
            budget: None,
        }
    }

    /// `X'X` for X of `rows x cols`.
    pub fn gram(rows: usize, cols: usize) -> Self {
        Self::new(Kind::Gram, cols, rows, cols)
    }

    /// A scheme for matrices in coefficients is at hand.
    #[must_use]
    pub fn coefficients(mut self, figures: &Figures) -> Self {
        self.figures = Some(figures.clone());
        self
    }

    /// A scheme with slots is at hand.
    #[must_use]
    pub fn slots(mut self, figures: SlotFigures) -> Self {
        self.slots = Some(figures);
        self
    }

    /// Estimates for this machine; otherwise for [`Machine::REFERENCE`].
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self
    }

    /// Blocks in coefficients are kept in a [`Store`] of so many bytes.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// Takes this regime, whatever the estimates.
    #[must_use]
    pub fn regime(mut self, regime: Regime) -> Self {
        self.regime = Some(regime);
        self
    }

    /// Plans the product.
    ///
    /// # Errors
    /// `Shape` for an empty dimension, or a Gram matrix that is not square; `Parameter` if no scheme is at hand, or none for
    /// the regime asked for; what each regime has against the product if none can take it (`Depth` among them).
    pub fn plan(&self) -> Result<GemmPlan> {
        check_dims("matrix product", self.rows, self.inner)?;
        check_dims("matrix product", self.inner, self.cols)?;
        check_dims("matrix product", self.rows, self.cols)?;
        if self.kind == Kind::Gram && self.rows != self.cols {
            return Err(crate::shape::mismatch(
                "Gram matrix",
                format!("{} x {}", self.rows, self.cols),
                "a square result",
                "use `Gemm::gram`",
            ));
        }
        let wanted = |regime| self.regime.is_none_or(|r| r == regime);
        let slots = self
            .slots
            .filter(|_| wanted(Regime::Slots))
            .map(|s| in_slots::plan(self, s).map(Details::Slots));
        let figures = self
            .figures
            .as_ref()
            .filter(|_| wanted(Regime::Coefficients));
        let coefficients = figures.map(|f| coefficients::plan(self, f).map(Details::Coefficients));
        let seconds = |plan: &Option<Result<Details>>| {
            plan.as_ref()
                .and_then(|p| p.as_ref().ok())
                .map(Details::with_inputs)
        };
        let others = [
            (Regime::Slots, seconds(&slots)),
            (Regime::Coefficients, seconds(&coefficients)),
        ];
        let (details, why) = match (slots, coefficients) {
            (None, None) => {
                return Err(Error::Parameter {
                    what: "regime",
                    got: self.regime.map_or("no scheme".into(), |r| format!("{r:?}")),
                    expected: "figures of a scheme for it".into(),
                    hint: "give `coefficients` or `slots`",
                });
            }
            (Some(plan), None) | (None, Some(plan)) => {
                let why = if self.regime.is_some() {
                    Why::Asked
                } else {
                    Why::Only
                };
                (plan?, why)
            }
            (Some(Ok(a)), Some(Ok(b))) => {
                if a.with_inputs() <= b.with_inputs() {
                    (a, Why::Faster)
                } else {
                    (b, Why::Faster)
                }
            }
            (Some(Ok(plan)), Some(Err(e))) | (Some(Err(e)), Some(Ok(plan))) => {
                (plan, Why::Refused(e.to_string()))
            }
            (Some(Err(_)), Some(Err(e))) => return Err(e),
        };
        Ok(GemmPlan {
            gemm: self.clone(),
            details,
            why,
            others,
        })
    }
}

/// Why a regime was chosen.
#[derive(Clone, Debug, PartialEq)]
enum Why {
    Asked,
    Only,
    Faster,
    /// What the other has against the product.
    Refused(String),
}

/// A plan in its regime.
#[derive(Clone, Debug)]
enum Details {
    Slots(in_slots::Slotted),
    Coefficients(coefficients::Blocked),
}

impl Details {
    fn seconds(&self) -> f64 {
        match self {
            Self::Slots(plan) => plan.seconds,
            Self::Coefficients(plan) => plan.seconds,
        }
    }

    fn with_inputs(&self) -> f64 {
        match self {
            Self::Slots(plan) => plan.with_inputs,
            Self::Coefficients(plan) => plan.with_inputs,
        }
    }
}

/// How a matrix product is best done.
#[derive(Clone, Debug)]
pub struct GemmPlan {
    gemm: Gemm,
    details: Details,
    why: Why,
    others: [(Regime, Option<f64>); 2],
}

impl GemmPlan {
    /// The regime chosen.
    pub fn regime(&self) -> Regime {
        match self.details {
            Details::Slots(_) => Regime::Slots,
            Details::Coefficients(_) => Regime::Coefficients,
        }
    }

    fn blocked(&self) -> Option<&coefficients::Blocked> {
        match &self.details {
            Details::Coefficients(plan) => Some(plan),
            Details::Slots(_) => None,
        }
    }

    fn slotted(&self) -> Option<&in_slots::Slotted> {
        match &self.details {
            Details::Slots(plan) => Some(plan),
            Details::Coefficients(_) => None,
        }
    }

    /// The trace of the computation in slots: its keys, depth and operations. `None` in coefficients.
    pub fn slot_plan(&self) -> Option<&Plan> {
        self.slotted().map(|plan| &plan.plan)
    }

    /// The packings of the encrypted factors, in slots: left, right. `None` where a factor is plain or the same, or in
    /// coefficients.
    pub fn packings(&self) -> (Option<MatrixPacking>, Option<MatrixPacking>) {
        self.slotted().map_or((None, None), |plan| plan.packings)
    }

    /// The keys of a product in coefficients. `None` in slots.
    pub fn matrix_keys(&self) -> Option<&MatrixKeySet> {
        self.blocked().map(|plan| &plan.keys)
    }

    /// How to encrypt the factors for a product in coefficients: left, right. `None` where a factor is plain or the same (of a
    /// Gram matrix the one factor is the right one), or in slots.
    pub fn options(&self, store: &Store) -> (Option<BlockOptions>, Option<BlockOptions>) {
        self.blocked()
            .map_or((None, None), |plan| plan.options(self.gemm.kind, store))
    }

    /// Levels that the product takes.
    pub fn depth(&self) -> usize {
        match &self.details {
            Details::Slots(plan) => plan.plan.depth(),
            Details::Coefficients(_) => 1,
        }
    }

    /// Ciphertexts of the encrypted factors.
    pub fn input_ciphertexts(&self) -> usize {
        match &self.details {
            Details::Slots(plan) => plan.plan.input_ciphertexts(),
            Details::Coefficients(plan) => plan.input_ciphertexts,
        }
    }

    /// Ciphertexts of the result; `None` in slots.
    pub fn output_ciphertexts(&self) -> Option<usize> {
        self.blocked().map(|plan| plan.output_ciphertexts)
    }

    /// Bytes in memory of the encrypted factors and of the result, in coefficients.
    pub fn bytes(&self) -> Option<(usize, usize)> {
        self.blocked()
            .map(|plan| (plan.input_bytes, plan.output_bytes))
    }

    /// Bytes of blocks in memory at the most, factors and result, in coefficients: no more than the budget.
    pub fn peak_bytes(&self) -> Option<usize> {
        let plan = self.blocked()?;
        let all = plan.input_bytes + plan.output_bytes;
        Some(self.gemm.budget.map_or(all, |budget| all.min(budget)))
    }

    /// Bytes that the scheme needs besides while it multiplies, in coefficients: an estimate.
    pub fn workspace_bytes(&self) -> Option<usize> {
        self.blocked().map(|plan| plan.workspace_bytes)
    }

    /// Multiply-adds of the plain product, and those modulo narrow primes that stand for it in coefficients.
    pub fn multiply_adds(&self) -> (f64, Option<f64>) {
        let g = &self.gemm;
        let plain = g.rows as f64 * g.inner as f64 * g.cols as f64;
        (plain, self.blocked().map(|plan| plan.multiply_adds))
    }

    /// Changes of format, in coefficients: one for each block of the result and part of a sum that a budget asks for.
    pub fn formats(&self) -> Option<usize> {
        self.blocked().map(|plan| plan.formats)
    }

    /// Key switches.
    pub fn key_switches(&self) -> f64 {
        match &self.details {
            Details::Slots(plan) => {
                let counts = plan.plan.counts();
                (counts.all_rotations() + counts.relinearizations) as f64
            }
            Details::Coefficients(plan) => plan.key_switches,
        }
    }

    /// Estimated seconds on the machine, encryption and decryption not included.
    pub fn seconds(&self) -> f64 {
        self.details.seconds()
    }

    /// Estimated seconds of a regime, encryption of the factors included: what the choice is made by. `None` if it cannot take the product or was not asked.
    pub fn estimate(&self, regime: Regime) -> Option<f64> {
        self.others
            .iter()
            .find(|(r, _)| *r == regime)
            .and_then(|(_, seconds)| *seconds)
    }

    /// Bound on the error of every entry, by the precision that the parameters were made for; `None` if it is not known.
    pub fn error(&self) -> Option<f64> {
        let plan = self.blocked()?;
        match plan.precision {
            Precision::Exact => Some(0.0),
            // Each part of a sum has the error of a change of format.
            Precision::Within(error) => Some(error * plan.parts as f64),
            Precision::Unknown => None,
        }
    }
}

fn bytes(n: usize) -> String {
    let n = n as f64;
    let (value, unit) = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(size, _)| n >= *size)
        .map_or((n, "bytes"), |(size, unit)| (n / size, unit));
    format!("{value:.3} {unit}")
}

impl fmt::Display for GemmPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let g = &self.gemm;
        let what = match g.kind {
            Kind::Encrypted => "encrypted x encrypted",
            Kind::EncryptedPlain => "encrypted x plain",
            Kind::PlainEncrypted => "plain x encrypted",
            Kind::Gram => "Gram matrix",
        };
        writeln!(
            f,
            "product             {what}, {} x {} x {}",
            g.rows, g.inner, g.cols
        )?;
        let name = |regime| match regime {
            Regime::Slots => "slots, by rotations",
            Regime::Coefficients => "coefficients, by exact products of residues",
        };
        writeln!(f, "regime              {}", name(self.regime()))?;
        let reason = match &self.why {
            Why::Asked => "asked for".to_string(),
            Why::Only => "the only scheme at hand".to_string(),
            Why::Refused(e) => format!("the other one cannot: {e}"),
            Why::Faster => {
                let times = self.others.iter().filter_map(|(regime, s)| {
                    Some(format!("{:.3} s in {regime:?}", (*s)?).to_lowercase())
                });
                let times = times.collect::<Vec<_>>().join(", ");
                format!("estimated {times}, encryption included")
            }
        };
        writeln!(f, "because             {reason}")?;
        match &self.details {
            Details::Slots(plan) => writeln!(f, "{}", plan.plan)?,
            Details::Coefficients(plan) => plan.describe(f, g)?,
        }
        if g.kind.plain() && self.regime() == Regime::Coefficients {
            let who = "from whoever sees the encrypted factor and the result";
            writeln!(f, "weights             not hidden {who}")?;
        }
        if let (Some(peak), Some(workspace)) = (self.peak_bytes(), self.workspace_bytes()) {
            writeln!(
                f,
                "memory              {} of blocks at the most, about {} of workspace",
                bytes(peak),
                bytes(workspace)
            )?;
        }
        match self.error() {
            Some(0.0) => writeln!(f, "precision           exact")?,
            Some(error) => {
                writeln!(f, "precision           every value to {error:.2e}")?;
            }
            None => {}
        }
        write!(
            f,
            "time                about {:.3} s on {} thread(s)",
            self.seconds(),
            g.machine.threads
        )
    }
}
