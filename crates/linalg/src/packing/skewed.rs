//! Skewed packing: a factor of an encrypted product, laid out so that the product takes one ciphertext for each factor
//! and one relinearization (Jiang, Kim, Lauter, Song, CCS 2018, eprint 2018/1041, with the two permutations done in clear).
//!
//! ```text
//! 4 x 4 matrix, 16 slots, left factor          right factor
//! | a b c d | f g h e | k l i j | p m n o |    | a f k p | e j o d | i n c h | m b g l |
//! ```
//! The slots are those of the row-major product. With `l = (i + j) mod inner`, slot `(i, j)` holds the element `(i, l)` of
//! a left factor, the element `(l, j)` of a right one: their product is one term of each element of the result. The other
//! terms follow after rotating the left factor within its rows and the right one by whole rows, `i + j + 1`, `i + j + 2`, ...
//!
//! A small product is laid out in **layers**, one for each term, as long as they all fit: no rotations within rows and no
//! mask are then needed, and the layers are added up at the end.
//! ```text
//! 2 x 2 matrix, 8 slots, left factor           right factor
//! | a b | d c || b a | c d |                   | a d | c b || c b | a d |
//! ```

use super::{Order, Tile, VectorPacking};
use crate::shape::{check_data, check_dims, mismatch, padded};
use cipherblas_scheme::{Result, Value};

/// Which factor of a product a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Factor {
    /// `A` of `A B`.
    Left,
    /// `B` of `A B`.
    Right,
}

impl Factor {
    /// The other factor.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// The layout of one factor of a product of blocks `rows x inner` and `inner x cols` (powers of two).
///
/// The result is a tile of the given order, one ciphertext for each block of `rows x cols`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Skewed {
    factor: Factor,
    order: Order,
    rows: usize,
    inner: usize,
    cols: usize,
    layered: bool,
}

/// The arithmetic of a row-major product of `rows x inner` and `inner x cols` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
    pub(crate) layers: usize,
}

impl Geometry {
    /// Rows of slots in a layer: all of both factors.
    pub(crate) fn height(&self) -> usize {
        self.rows.max(self.inner)
    }
    /// Slots after which a factor repeats.
    pub(crate) fn width(&self) -> usize {
        self.layers * self.height() * self.cols
    }
    /// Products of rotated factors, the rest being in the layers and in the rows beyond the result's.
    pub(crate) fn rounds(&self) -> usize {
        self.rows.min(self.inner) / self.layers
    }
    /// Groups of `rows * cols` slots that add up to the result.
    pub(crate) fn groups(&self) -> usize {
        self.layers * self.height() / self.rows
    }
    /// Whether rotating a left factor within its rows finds all its elements: each row of slots holds either a whole row, or
    /// all that the next rounds need is one step of `rows` rows further down.
    fn closed(&self) -> bool {
        self.cols >= self.inner || self.rows <= self.cols
    }
    /// Row and column of the left factor in a slot.
    fn left(&self, slot: usize) -> (usize, usize) {
        let (layer, i, j) = self.split(slot);
        (i % self.rows, (i + j + layer) % self.inner)
    }
    /// Row and column of the right factor in a slot.
    fn right(&self, slot: usize) -> (usize, usize) {
        let (layer, i, j) = self.split(slot);
        ((i + j + layer) % self.inner, j)
    }
    fn split(&self, slot: usize) -> (usize, usize, usize) {
        let row = slot / self.cols;
        let (layer, i) = (row / self.height() % self.layers, row % self.height());
        (layer, i, slot % self.cols)
    }
    /// How far back the slot lies that holds what a step within the rows of a left factor misses at their end: moving on by
    /// `t` is a step of `t` in the first `cols - t` columns, of `t - wrap` in the others.
    pub(crate) fn wrap(&self) -> i64 {
        if self.cols >= self.inner {
            self.inner as i64
        } else {
            self.rows as i64 - (self.rows * self.cols) as i64
        }
    }
}

impl Skewed {
    /// The layouts of both factors of a `rows x inner` times `inner x cols` product: layered if all terms fit in the slots.
    /// Matrices that exceed a ciphertext are cut into blocks.
    ///
    /// # Errors
    /// `Shape` for an empty dimension.
    pub fn pair(rows: usize, inner: usize, cols: usize, slots: usize) -> Result<(Self, Self)> {
        Self::pair_in(None, (rows, inner, cols), slots)
    }

    /// As [`pair`](Self::pair), for a result in the order given.
    ///
    /// # Errors
    /// As [`pair`](Self::pair).
    pub fn pair_in(
        wanted: impl Into<Option<Order>>,
        (rows, inner, cols): (usize, usize, usize),
        slots: usize,
    ) -> Result<(Self, Self)> {
        let wanted = wanted.into();
        let operation = "skewed packing";
        check_dims(operation, rows, inner)?;
        check_dims(operation, inner, cols)?;
        let mut m = padded(operation, rows)?.min(slots);
        let mut k = padded(operation, inner)?.min(slots);
        let mut n = padded(operation, cols)?.min(slots);
        let layered = |m: usize, k: usize, n: usize| {
            m.checked_mul(k)
                .and_then(|x| x.checked_mul(n))
                .is_some_and(|x| x <= slots)
        };
        let order = loop {
            // Without a wish, one order is always closed; of two, the one with fewer rounds, then the one that is row-major.
            let row_major = Geometry {
                rows: m,
                inner: k,
                cols: n,
                layers: 1,
            };
            let column_major = Geometry {
                rows: n,
                cols: m,
                ..row_major
            };
            let fits = |g: &Geometry, order: Order| {
                wanted.is_none_or(|wanted| wanted == order)
                    && (layered(m, k, n) || (g.closed() && g.width() <= slots))
            };
            let better = column_major.rounds() < row_major.rounds() && !layered(m, k, n);
            match (
                fits(&row_major, Order::RowMajor),
                fits(&column_major, Order::ColumnMajor),
            ) {
                (true, true) if better => break Order::ColumnMajor,
                (true, _) => break Order::RowMajor,
                (false, true) => break Order::ColumnMajor,
                (false, false) => {}
            }
            // The largest dimension is halved; the inner one last, as its blocks add up to one ciphertext of the result.
            let largest = m.max(k).max(n);
            if m == largest {
                m /= 2;
            } else if n == largest {
                n /= 2;
            } else {
                k /= 2;
            }
        };
        let left = Self {
            factor: Factor::Left,
            order,
            rows: m,
            inner: k,
            cols: n,
            layered: layered(m, k, n),
        };
        Ok((left, left.partner()))
    }

    /// Any skewed packing; `order` is that of the result, `layered` whether every term of a sum has a layer of its own.
    ///
    /// # Errors
    /// `Shape` unless the dimensions are powers of two; without layers, row-major, `cols` must be at least the smaller of
    /// `rows` and `inner` (column-major: `rows`, of `cols` and `inner`).
    pub fn new(
        factor: Factor,
        order: Order,
        (rows, inner, cols): (usize, usize, usize),
        layered: bool,
    ) -> Result<Self> {
        let this = Self {
            factor,
            order,
            rows,
            inner,
            cols,
            layered,
        };
        let ok = [rows, inner, cols].iter().all(|n| n.is_power_of_two())
            && rows
                .checked_mul(inner)
                .and_then(|n| n.checked_mul(cols))
                .is_some()
            && (layered || this.geometry().closed());
        if !ok {
            return Err(mismatch(
                "skewed packing",
                format!("blocks of {rows} x {inner} times {inner} x {cols}, {order:?}"),
                "powers of two, rows of slots that hold what the rounds need",
                "use `Skewed::pair`",
            ));
        }
        Ok(this)
    }

    /// The layout of the other factor.
    #[must_use]
    pub fn partner(&self) -> Self {
        Self {
            factor: self.factor.other(),
            ..*self
        }
    }
    /// Whether this is a left factor, and `right` the right one of the same product.
    pub(crate) fn multiplies(&self, right: &Self) -> bool {
        self.factor == Factor::Left && *right == self.partner()
    }
    /// The same slots read as the transposed matrix: the other factor of the transposed product.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self {
            factor: self.factor.other(),
            order: self.order.flipped(),
            rows: self.cols,
            cols: self.rows,
            ..*self
        }
    }
    /// Which factor this is the layout of.
    pub fn factor(&self) -> Factor {
        self.factor
    }
    /// The order of the product's tile.
    pub fn order(&self) -> Order {
        self.order
    }
    /// Rows of the left factor in a block, the inner dimension, columns of the right factor.
    pub fn dimensions(&self) -> (usize, usize, usize) {
        (self.rows, self.inner, self.cols)
    }
    /// Whether every term of a sum has a layer of its own: one product, depth 1.
    pub fn layered(&self) -> bool {
        self.layered
    }
    /// The product's tile.
    pub fn product(&self) -> Tile {
        let g = self.geometry();
        Tile::new(self.order, 1, g.cols, g.rows).expect("checked when it was made")
    }
    /// The product as it is computed: of the transposed factors, if the result is column-major.
    pub(crate) fn geometry(&self) -> Geometry {
        let (rows, cols) = match self.order {
            Order::RowMajor => (self.rows, self.cols),
            Order::ColumnMajor => (self.cols, self.rows),
        };
        Geometry {
            rows,
            inner: self.inner,
            cols,
            layers: if self.layered {
                rows.min(self.inner)
            } else {
                1
            },
        }
    }

    /// Rows and columns of this factor in a block.
    pub(crate) fn block(&self) -> (usize, usize) {
        match self.factor {
            Factor::Left => (self.rows, self.inner),
            Factor::Right => (self.inner, self.cols),
        }
    }
    /// Slots after which a ciphertext's contents repeat.
    pub fn width(&self) -> usize {
        self.geometry().width()
    }
    /// Ciphertexts that a `rows` x `cols` matrix takes.
    pub fn blocks(&self, rows: usize, cols: usize) -> usize {
        let (r, c) = self.block();
        rows.div_ceil(r) * cols.div_ceil(c)
    }
    /// A vector with one value per row: the canonical packing, as no vector lies alike.
    pub fn row_packing(&self) -> VectorPacking {
        VectorPacking::new(1, self.block().0).expect("powers of two")
    }
    /// A vector with one value per column: the canonical packing, as no vector lies alike.
    pub fn column_packing(&self) -> VectorPacking {
        VectorPacking::new(1, self.block().1).expect("powers of two")
    }

    /// Row and column of what a slot holds, `None` for padding.
    pub(crate) fn at(
        &self,
        rows: usize,
        cols: usize,
        block: usize,
        slot: usize,
    ) -> Option<(usize, usize)> {
        let g = self.geometry();
        let (r, c) = match (self.factor, self.order) {
            (Factor::Left, Order::RowMajor) => g.left(slot),
            (Factor::Right, Order::RowMajor) => g.right(slot),
            (factor, Order::ColumnMajor) => {
                let (c, r) = match factor {
                    Factor::Left => g.right(slot),
                    Factor::Right => g.left(slot),
                };
                (r, c)
            }
        };
        let (block_rows, block_cols) = self.block();
        let across = cols.div_ceil(block_cols);
        let r = block / across * block_rows + r;
        let c = block % across * block_cols + c;
        (r < rows && c < cols).then_some((r, c))
    }

    /// One slice of `width()` values per ciphertext, blocks row by row.
    ///
    /// # Errors
    /// `Shape` for an empty dimension or the wrong number of values.
    pub fn pack<V: Value>(&self, rows: usize, cols: usize, data: &[V]) -> Result<Vec<Vec<V>>> {
        check_data("pack", rows, cols, data.len())?;
        Ok((0..self.blocks(rows, cols))
            .map(|b| {
                (0..self.width())
                    .map(|s| {
                        self.at(rows, cols, b, s)
                            .map_or(V::ZERO, |(r, c)| data[r * cols + c])
                    })
                    .collect()
            })
            .collect())
    }

    /// The inverse of [`pack`](Self::pack).
    ///
    /// # Errors
    /// `Shape` if there are too few blocks, or one is shorter than `width()`.
    pub fn unpack<V: Value>(&self, rows: usize, cols: usize, blocks: &[Vec<V>]) -> Result<Vec<V>> {
        let n = check_dims("unpack", rows, cols)?;
        let (count, width) = (self.blocks(rows, cols), self.width());
        if blocks.len() != count || blocks.iter().any(|b| b.len() < width) {
            return Err(mismatch(
                "unpack",
                format!("{} blocks", blocks.len()),
                format!("{count} blocks of at least {width} slots"),
                "pass every ciphertext's slots, in order",
            ));
        }
        let mut out = vec![V::ZERO; n];
        for (b, block) in blocks.iter().enumerate() {
            for (s, &v) in block.iter().enumerate().take(width) {
                if let Some((r, c)) = self.at(rows, cols, b, s) {
                    out[r * cols + c] = v;
                }
            }
        }
        Ok(out)
    }

    /// Refuses a packing that needs more slots than a ciphertext has.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.width() > slots {
            return Err(mismatch(
                "skewed packing",
                format!("{} slots", self.width()),
                format!("at most {slots}"),
                "make the packing for this scheme's slots",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn drawings() {
        let data: Vec<f64> = (1..=16).map(f64::from).collect();
        let (left, right) = Skewed::pair(4, 4, 4, 16).unwrap();
        assert_eq!(
            left.pack(4, 4, &data).unwrap(),
            [vec![
                1., 2., 3., 4., 6., 7., 8., 5., 11., 12., 9., 10., 16., 13., 14., 15.
            ]]
        );
        assert_eq!(
            right.pack(4, 4, &data).unwrap(),
            [vec![
                1., 6., 11., 16., 5., 10., 15., 4., 9., 14., 3., 8., 13., 2., 7., 12.
            ]]
        );
        let (left, right) = Skewed::pair(2, 2, 2, 8).unwrap();
        assert!(left.layered() && right.layered());
        assert_eq!(
            left.pack(2, 2, &data[..4]).unwrap(),
            [vec![1., 2., 4., 3., 2., 1., 3., 4.]]
        );
        assert_eq!(
            right.pack(2, 2, &data[..4]).unwrap(),
            [vec![1., 4., 3., 2., 3., 2., 1., 4.]]
        );
        assert!(Skewed::pair(0, 2, 2, 8).is_err());
        assert!(Skewed::new(Factor::Left, Order::RowMajor, (4, 3, 4), false).is_err());
        assert!(Skewed::new(Factor::Left, Order::RowMajor, (8, 8, 2), false).is_err());
        assert!(Skewed::new(Factor::Left, Order::ColumnMajor, (8, 8, 2), false).is_ok());
        assert!(left.check_slots(4).is_err());
    }

    proptest! {
        #[test]
        fn roundtrip(m in 1usize..20, k in 1usize..20, n in 1usize..20, slots_log in 0u32..9) {
            let slots = 1 << slots_log;
            let (left, right) = Skewed::pair(m, k, n, slots).unwrap();
            prop_assert_eq!(right.partner(), left);
            prop_assert_eq!(right.transposed().transposed(), right);
            for (packing, rows, cols) in [
                (left, m, k),
                (right, k, n),
                (left.transposed(), k, m),
                (right.transposed(), n, k),
            ] {
                prop_assert!(packing.check_slots(slots).is_ok());
                let (bm, bk, bn) = packing.dimensions();
                let again = Skewed::new(packing.factor(), packing.order(), (bm, bk, bn), packing.layered());
                prop_assert_eq!(again.unwrap(), packing);
                let data: Vec<f64> = (0..rows * cols).map(|i| i as f64 + 1.0).collect();
                let blocks = packing.pack(rows, cols, &data).unwrap();
                prop_assert_eq!(packing.unpack(rows, cols, &blocks).unwrap(), data);
            }
        }
    }
}
