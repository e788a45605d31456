//! Encrypted arrays of 0, 1 or 2 dimensions with NumPy's semantics.
//!
//! An [`EncryptedArray`] is an [`EncryptedVector`] or [`EncryptedMatrix`] that chooses packings by itself, and brings operands
//! that lie differently into line by itself; the caller only ever sees shapes. What an operation costs follows from a few rules.
//!
//! | operation | levels | keys |
//! |---|---|---|
//! | `+`, `-`, plain values on either side | 0 | none |
//! | `*` a plain number | 1, or none where the scheme has a free way | none |
//! | `*` plain values | 1 | none |
//! | `*`, `square` | 1 | relinearization |
//! | `power(n)`, `polynomial` | `ceil(log2 n)`, `ceil(log2(degree + 1))` | relinearization |
//! | `vector @ vector` | 1 | relinearization, `log2(n)` rotations |
//! | `matrix @ vector` | 2 for several rows to a ciphertext, 1 for columns, diagonals, one row to a ciphertext | relinearization, rotations |
//! | `matrix @ matrix` | 1 to 3 (see [`EncryptedMatrix::matmul`]) | relinearization, rotations |
//! | `matrix @ plain` | 1, a vector 2 where one to spare | rotations (none for columns, spread) |
//! | `plain @ matrix`, `vector @ plain`, `plain @ vector` | 1 | rotations (none for rows, spread) |
//! | `sum` of all, over the rows | 0 | rotations |
//! | `sum` over the columns | 1 for several rows to a ciphertext, else 0 | rotations |
//! | `mean` | 1 | rotations |
//! | slices, concatenation, reshapes | 0 where whole ciphertexts move, else at most 1 | rotations |
//! | transposing | 0 | none |
//!
//! # Alignment
//! Operands that lie differently are aligned at the cost of at most one level, of the operand that leaves the result with the most
//! depth: the one that can be moved without a mask, then the one with more depth left, then the smaller one, then the one that is
//! not in the canonical packing, then the right one.
//!
//! # Broadcasting
//! A vector along an axis of a matrix needs no alignment if it has the matrix's [`row_packing`](EncryptedMatrix::row_packing) or
//! [`column_packing`](EncryptedMatrix::column_packing). Added to a matrix whose lines do not fill their ciphertexts it is masked
//! there (one level of the vector), as padding has to stay zero.
//!
//! # Without rotations
//! In the packing [`ArrayPacking::Spread`] no operation rotates, and none but products of two encrypted arrays needs a key.

mod align;
mod elementwise;
mod layout;
mod matvec;
mod options;
mod products;
mod reduce;
mod select;
mod shape;
mod wire;

pub use crate::wire::{Fill, Place};

pub use options::{ArrayOptions, ArrayPacking, Index, PlainArray};

use crate::encrypted::{EncryptedMatrix, EncryptedVector};
use crate::kernel::Blocks;
use crate::packing::{MatrixPacking, Order};
use crate::plan::Tracer;
use cipherblas_scheme::{
    Add, AddPlain, Combine, Decrypt, Encrypt, ErrorBound, Mul, MulPlain, Result, Rotate, Scheme,
    Value,
};
use rand::CryptoRng;
use shape::check_shape;
use std::fmt;

/// All that arrays compute with. A scheme that lacks one of them implements it by refusing.
pub trait Computes: Add + AddPlain + MulPlain + Mul + Rotate + Combine {}

impl<S: Add + AddPlain + MulPlain + Mul + Rotate + Combine> Computes for S {}

/// An encrypted array of 0, 1 or 2 dimensions. See the [module page](self) for what operations cost.
///
/// Cloning shares the ciphertexts. Data go in and come out row by row, whatever the packing.
///
/// ```
/// use cipherblas_linalg::{ArrayOptions, EncryptedArray, PlainArray};
/// use cipherblas_scheme::ClearScheme;
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let server = ClearScheme::new(16, 3)?;
/// let key = server.key();
/// let mut rng = ChaCha20Rng::seed_from_u64(1);
/// let x = PlainArray::new(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let x = EncryptedArray::encrypt(&key, &x, &ArrayOptions::new(), &mut rng)?.bind(&server)?;
/// let centred = x.sub(&x.mean(Some(0))?)?;
/// assert_eq!(centred.shape(), [2, 3]);
/// assert_eq!(centred.decrypt(&key)?, [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]);
/// let w = PlainArray::new(&[3], &[1.0, 0.0, -1.0])?;
/// assert_eq!(x.matmul_plain(&w)?.decrypt(&key)?, [-2.0, -2.0]);
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone)]
pub struct EncryptedArray<S: Scheme> {
    repr: Repr<S>,
    /// Whether what is made of the array has one value to a ciphertext: arrays that have, and single values that come from such.
    spread: bool,
}

#[derive(Clone)]
enum Repr<S: Scheme> {
    /// One value, in every slot.
    Scalar(EncryptedVector<S>),
    Vector(EncryptedVector<S>),
    /// Spread tiles are row-major.
    Matrix(EncryptedMatrix<S>),
}

/// Does the same with a vector or a matrix.
macro_rules! delegate {
    ($array:expr, $x:ident => $body:expr) => {
        match $array {
            Repr::Scalar($x) => $body,
            Repr::Vector($x) => $body,
            Repr::Matrix($x) => $body,
        }
    };
}

/// Does the same with a vector or a matrix, and wraps the result alike.
macro_rules! alike {
    ($array:expr, $x:ident => $body:expr) => {{
        let array = $array;
        let out = match &array.repr {
            Repr::Scalar($x) => EncryptedArray::scalar($body?),
            Repr::Vector($x) => EncryptedArray::from($body?),
            Repr::Matrix($x) => EncryptedArray::from($body?),
        };
        Ok(out.of(array.spread))
    }};
}
use alike;

impl<S: Scheme> fmt::Debug for EncryptedArray<S> {
    /// Shape, packing, scheme and depth; never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("EncryptedArray");
        out.field("shape", &self.shape());
        delegate!(&self.repr, x => out.field("packing", &x.packing()));
        out.field("scheme", &self.evaluator().name())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}

impl<S: Scheme> From<EncryptedVector<S>> for EncryptedArray<S> {
    /// One dimension.
    fn from(vector: EncryptedVector<S>) -> Self {
        Self {
            spread: vector.len > 1 && vector.packing.period() == 1,
            repr: Repr::Vector(vector),
        }
    }
}

impl<S: Scheme> From<EncryptedMatrix<S>> for EncryptedArray<S> {
    /// Two dimensions.
    fn from(matrix: EncryptedMatrix<S>) -> Self {
        let several = matrix.shape() != (1, 1);
        Self {
            repr: Repr::Matrix(layout::ordered(matrix, Order::RowMajor)),
            spread: false,
        }
        .of(several)
    }
}

impl<S: Scheme> EncryptedArray<S> {
    /// No dimension: a vector of one value that every slot holds.
    fn scalar(vector: EncryptedVector<S>) -> Self {
        let spread = vector.evaluator.slots() == 1;
        Self {
            repr: Repr::Scalar(vector),
            spread,
        }
    }

    /// The same array, made of spread ones if so said.
    fn of(mut self, spread: bool) -> Self {
        self.spread |= spread && self.one_to_a_ciphertext();
        self
    }

    fn one_to_a_ciphertext(&self) -> bool {
        match &self.repr {
            Repr::Scalar(v) | Repr::Vector(v) => v.packing.period() == 1,
            Repr::Matrix(m) => {
                matches!(m.packing, MatrixPacking::Tile(tile) if layout::is_spread(&tile))
            }
        }
    }

    /// Encrypts as the options say.
    ///
    /// # Errors
    /// `Value` for a value that cannot be encoded; `Shape` for a packing that is not one for this shape; `Depth` for more
    /// than there is.
    pub fn encrypt<K: Encrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        key: &K,
        plain: &PlainArray<'_, S::Value>,
        options: &ArrayOptions,
        rng: &mut R,
    ) -> Result<Self> {
        let data = plain.data();
        let spread = options.spreads();
        let array = match *plain.shape() {
            [rows, cols] => {
                let options = options.for_matrix(rows, cols, key.scheme().slots())?;
                EncryptedMatrix::encrypt_with(key, rows, cols, data, &options, rng).map(Self::from)
            }
            [len] => {
                let options = options.for_vector(len)?;
                EncryptedVector::encrypt_with(key, data, &options, rng).map(Self::from)
            }
            _ => {
                let options = options.for_scalar()?;
                EncryptedVector::encrypt_with(key, data, &options, rng).map(Self::scalar)
            }
        };
        Ok(array?.of(spread))
    }

    /// The key owner's view of the values, row by row.
    ///
    /// # Errors
    /// `KeyMismatch`, `Decryption`.
    pub fn decrypt<K: Decrypt<Scheme = S>>(&self, key: &K) -> Result<Vec<S::Value>> {
        delegate!(&self.repr, x => x.decrypt(key))
    }

    /// The values, row by row, with noise that lets them be shown to others.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); `Parameter` when the key's query budget is used up, or a ciphertext declares a
    /// larger error than `bound`, the owner's own bound (see [`Decrypt::decrypt_shared`]).
    pub fn decrypt_shared<K: Decrypt<Scheme = S>, R: CryptoRng + ?Sized>(
        &self,
        key: &K,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<S::Value>> {
        delegate!(&self.repr, x => x.decrypt_shared(key, bound, rng))
    }

    /// The same array bound to another evaluator: the server's, which has the evaluation keys.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn bind(self, evaluator: &S) -> Result<Self> {
        alike!(&self, x => x.clone().bind(evaluator))
    }

    /// The evaluator that computes.
    pub fn evaluator(&self) -> &S {
        delegate!(&self.repr, x => x.evaluator())
    }
    /// The dimensions.
    pub fn shape(&self) -> Vec<usize> {
        match &self.repr {
            Repr::Scalar(_) => vec![],
            Repr::Vector(v) => vec![v.len()],
            Repr::Matrix(m) => vec![m.rows(), m.cols()],
        }
    }
    /// Number of dimensions: 0, 1 or 2.
    pub fn ndim(&self) -> usize {
        match &self.repr {
            Repr::Scalar(_) => 0,
            Repr::Vector(_) => 1,
            Repr::Matrix(_) => 2,
        }
    }
    /// Number of values.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Scalar(v) | Repr::Vector(v) => v.len(),
            Repr::Matrix(m) => m.rows() * m.cols(),
        }
    }
    /// Always false: empty arrays are refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Multiplications left.
    pub fn depth(&self) -> usize {
        delegate!(&self.repr, x => x.depth())
    }

    /// Gives up depth: smaller and faster to compute on.
    ///
    /// # Errors
    /// `Depth` if there is less.
    pub fn lower_to(&self, depth: usize) -> Result<Self> {
        alike!(self, x => x.lower_to(depth))
    }

    fn blocks(&self) -> &Blocks<S> {
        delegate!(&self.repr, x => &x.blocks)
    }

    /// The ciphertexts, in order.
    pub fn ciphertexts(&self) -> impl ExactSizeIterator<Item = &S::Ciphertext> {
        self.blocks().iter().map(|ct| &**ct)
    }

    /// The transposed array: the same ciphertexts, read in the other order. Free. Of fewer than two dimensions it is the same
    /// array.
    ///
    /// # Errors
    /// `Shape` for [`ArrayPacking::Diagonal`].
    pub fn transpose(&self) -> Result<Self> {
        match &self.repr {
            Repr::Matrix(m) => Ok(Self::from(m.transpose()?).of(self.spread)),
            _ => Ok(self.clone()),
        }
    }

    /// The array as a vector, if it has less than two dimensions.
    pub fn as_vector(&self) -> Option<&EncryptedVector<S>> {
        match &self.repr {
            Repr::Scalar(v) | Repr::Vector(v) => Some(v),
            Repr::Matrix(_) => None,
        }
    }

    /// The array as a matrix, if it has two dimensions.
    pub fn as_matrix(&self) -> Option<&EncryptedMatrix<S>> {
        match &self.repr {
            Repr::Matrix(m) => Some(m),
            _ => None,
        }
    }
}

impl<S: ErrorBound> EncryptedArray<S> {
    /// Bound on the absolute error of every value, as far as the scheme bounds it (see [`ErrorBound`]).
    pub fn error_bound(&self) -> f64 {
        delegate!(&self.repr, x => x.error_bound())
    }
}

impl<V: Value> EncryptedArray<Tracer<V>> {
    /// An array of values that are not known, for [plans](crate::plan).
    ///
    /// ```
    /// use cipherblas_linalg::{ArrayOptions, EncryptedArray, Plan};
    ///
    /// let plan = Plan::trace(4096, 8, |t| {
    ///     let x = EncryptedArray::traced(t, &[300, 17], &ArrayOptions::new())?;
    ///     let w = EncryptedArray::traced(t, &[17], &ArrayOptions::new())?;
    ///     x.matmul(&w).map(drop)
    /// })?;
    /// assert_eq!(plan.depth(), 2);
    /// # Ok::<(), cipherblas_scheme::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn traced(tracer: &Tracer<V>, shape: &[usize], options: &ArrayOptions) -> Result<Self> {
        check_shape("encrypt", shape)?;
        let array = match *shape {
            [rows, cols] => {
                let options = options.for_matrix(rows, cols, tracer.slots())?;
                tracer.matrix(rows, cols, &options).map(Self::from)
            }
            [len] => tracer
                .vector(len, &options.for_vector(len)?)
                .map(Self::from),
            _ => tracer.vector(1, &options.for_scalar()?).map(Self::scalar),
        };
        Ok(array?.of(options.spreads()))
    }
}
