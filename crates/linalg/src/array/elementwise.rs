//! Operations value by value, broadcasting either operand.

use super::align::{Padding, align, grow, zipped};
use super::layout::Tiled;
use super::shape::{as_matrix, broadcast, check_shape, expand, named, tuple};
use super::{Computes, EncryptedArray, PlainArray, Repr, alike};
use crate::shape::mismatch;
use cipherblas_scheme::{Error, Result, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Sub,
    Mul,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "subtract",
            Self::Mul => "multiply",
        }
    }
}

impl<S: Computes> EncryptedArray<S> {
    /// `self + other`, broadcast. No depth for operands that lie alike; alignment and masks of a vector along an axis as on the
    /// [module page](super).
    ///
    /// # Errors
    /// `Shape` for shapes that do not broadcast; `KeyMismatch`, `Depth`, `MissingKey`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.binary(other, Operation::Add)
    }

    /// `self - other`, broadcast. As [`add`](Self::add).
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.binary(other, Operation::Sub)
    }

    /// `self * other`, value by value, broadcast. One level for operands that lie alike; relinearization key.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn mul(&self, other: &Self) -> Result<Self> {
        self.binary(other, Operation::Mul)
    }

    fn binary(&self, other: &Self, operation: Operation) -> Result<Self> {
        let name = operation.name();
        macro_rules! same {
            ($a:expr, $b:expr) => {
                named(
                    name,
                    match operation {
                        Operation::Add => $a.add($b),
                        Operation::Sub => $a.sub($b),
                        Operation::Mul => $a.mul($b),
                    },
                )
            };
        }
        let spread = self.spread || other.spread;
        match (&self.repr, &other.repr) {
            (Repr::Scalar(a), Repr::Scalar(b)) => {
                return Ok(Self::scalar(same!(a, b)?).of(spread));
            }
            (Repr::Vector(a), Repr::Vector(b)) if a.len == b.len && a.packing == b.packing => {
                return Ok(Self::from(same!(a, b)?).of(spread));
            }
            (Repr::Matrix(a), Repr::Matrix(b))
                if a.shape() == b.shape() && a.packing == b.packing =>
            {
                return Ok(Self::from(same!(a, b)?).of(spread));
            }
            _ => {}
        }
        let shape = broadcast(name, &self.shape(), &other.shape())?;
        let [rows, cols] = as_matrix(&shape);
        let (a, b) = (self.tiled(name)?, other.tiled(name)?);
        let (padding, levels) = match operation {
            Operation::Mul => (Padding::Cleared, 1),
            _ => (Padding::Kept, 0),
        };
        let aligned = align(name, &a, &b, (rows, cols), padding, levels)?;
        let ev = &a.ev;
        let blocks = zipped(&aligned, |x, y| match operation {
            Operation::Add => ev.add(x, y),
            Operation::Sub => ev.sub(x, y),
            Operation::Mul => ev.mul(x, y),
        });
        let tile = aligned.tile;
        Ok(Tiled {
            blocks: named(name, blocks)?,
            ev: a.ev,
            rows,
            cols,
            tile,
            spread,
        }
        .into_array(shape.len()))
    }

    /// `-self`. No depth.
    ///
    /// # Errors
    /// `KeyMismatch`.
    pub fn neg(&self) -> Result<Self> {
        alike!(self, x => x.neg())
    }

    /// The squares of the values. One level; relinearization key.
    ///
    /// # Errors
    /// `Depth`, `MissingKey`.
    pub fn square(&self) -> Result<Self> {
        alike!(self, x => named("square", x.square()))
    }

    /// The values to the power of `exponent`. `ceil(log2 exponent)` levels (none for 0 and 1), a product for each binary digit and
    /// one more for each that is set; relinearization key.
    ///
    /// # Errors
    /// `Depth`, `MissingKey`; `Overflow` where the scheme bounds its values.
    pub fn power(&self, exponent: u32) -> Result<Self> {
        if exponent == 0 {
            let zero = self.sub(self)?;
            return alike!(&zero, x => x.add_scalar(S::Value::ONE));
        }
        let needed = (32 - (exponent - 1).leading_zeros()) as usize;
        if needed > self.depth() {
            return Err(Error::Depth {
                operation: "power",
                needed,
                left: self.depth(),
            });
        }
        // The product of what is squared so far has no more depth than the next square: low digits first.
        let mut square = self.clone();
        let mut product: Option<Self> = None;
        let mut rest = exponent;
        loop {
            if rest & 1 == 1 {
                product = Some(match product {
                    Some(product) => named("power", product.mul(&square))?,
                    None => square.clone(),
                });
            }
            rest >>= 1;
            match product {
                Some(product) if rest == 0 => return Ok(product),
                _ => square = named("power", square.square())?,
            }
        }
    }

    /// `c[0] + c[1] x + c[2] x^2 + ...` of every value, at the least depth: `ceil(log2(degree + 1))`; relinearization key.
    ///
    /// # Errors
    /// `Shape` for no coefficients; `Depth`, `MissingKey`, `Value`.
    pub fn polynomial(&self, coefficients: &[S::Value]) -> Result<Self> {
        alike!(self, x => named("polynomial", x.polynomial(coefficients)))
    }

    /// `self + plain`, broadcast. No depth; where the encrypted array grows so far that each of its ciphertexts would become
    /// many, one level for a mask if there is one.
    ///
    /// # Errors
    /// `Shape` for shapes that do not broadcast; `Value`.
    pub fn add_plain(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        self.plus("add", plain.shape(), plain.data())
    }

    /// `self - plain`, broadcast. As [`add_plain`](Self::add_plain).
    ///
    /// # Errors
    /// As [`add_plain`](Self::add_plain).
    pub fn sub_plain(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        let negative = |(index, &value): (usize, &S::Value)| {
            value.checked_neg().ok_or_else(|| Error::Value {
                index,
                got: format!("{value:?}"),
                expected: "a value whose negative is in range".into(),
                hint: "no parameters hold values of 64 bits",
            })
        };
        let values = plain.data().iter().enumerate().map(negative);
        self.plus(
            "subtract",
            plain.shape(),
            &values.collect::<Result<Vec<_>>>()?,
        )
    }

    /// `plain - self`, broadcast. As [`add_plain`](Self::add_plain).
    ///
    /// # Errors
    /// As [`add_plain`](Self::add_plain).
    pub fn rsub_plain(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        self.neg()?.plus("subtract", plain.shape(), plain.data())
    }

    fn plus(&self, name: &'static str, shape: &[usize], data: &[S::Value]) -> Result<Self> {
        let to = broadcast(name, &self.shape(), shape)?;
        let grown;
        let mut this = self;
        if to != self.shape() {
            grown = self.grown(name, &to, Padding::Kept)?;
            this = &grown;
        }
        if let [value] = data {
            return alike!(this, x => x.add_scalar(*value));
        }
        if to == shape {
            return alike!(this, x => x.add_plain(data));
        }
        let data = expand(data, shape, &to);
        alike!(this, x => x.add_plain(&data))
    }

    /// `self * plain`, value by value, broadcast. One level; with a single number none where the scheme has a free way.
    ///
    /// # Errors
    /// `Shape` for shapes that do not broadcast; `Depth`, `Value`.
    pub fn mul_plain(&self, plain: &PlainArray<'_, S::Value>) -> Result<Self> {
        let (name, shape, data) = ("multiply", plain.shape(), plain.data());
        let to = broadcast(name, &self.shape(), shape)?;
        let grown;
        let mut this = self;
        if to != self.shape() {
            // The plain values are zero in the padding.
            grown = self.grown(name, &to, Padding::Cleared)?;
            this = &grown;
        }
        if let [value] = data {
            return alike!(this, x => named(name, x.scale(*value)));
        }
        if to == shape {
            return alike!(this, x => named(name, x.mul_plain(data)));
        }
        if let (Repr::Matrix(m), [rows, cols]) = (&this.repr, as_matrix(shape))
            && matches!(m.packing, crate::packing::MatrixPacking::Tile(_))
        {
            let product = if rows == 1 {
                m.scale_columns_plain(data)
            } else {
                debug_assert_eq!(cols, 1);
                m.scale_rows_plain(data)
            };
            return Ok(Self::from(named(name, product)?).of(this.spread));
        }
        let data = expand(data, shape, &to);
        alike!(this, x => named(name, x.mul_plain(&data)))
    }

    /// This array in a shape that it broadcasts to, which is another.
    fn grown(&self, name: &'static str, to: &[usize], padding: Padding) -> Result<Self> {
        let [rows, cols] = as_matrix(to);
        let tiled = self.tiled(name)?;
        let grown = match tiled.relabelled(rows, cols) {
            Some(same) => same,
            None => grow(name, &tiled, (rows, cols), padding)?,
        };
        Ok(grown.into_array(to.len()))
    }

    /// The values repeated to a shape that the array broadcasts to. Free in depth, but that where each ciphertext would become many
    /// a mask is taken, one level, if there is one.
    ///
    /// # Errors
    /// `Shape` if it does not broadcast to `shape`; `MissingKey`.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Self> {
        let name = "broadcast_to";
        check_shape(name, shape)?;
        let own = self.shape();
        if own == shape {
            return Ok(self.clone());
        }
        if broadcast(name, &own, shape)? != shape {
            return Err(mismatch(
                name,
                tuple(&own),
                format!("a shape that broadcasts to {}", tuple(shape)),
                "only dimensions of 1 grow",
            ));
        }
        self.grown(name, shape, Padding::Kept)
    }
}
