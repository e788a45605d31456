//! Plain matrices times blocks, and dropping a level: no keys.

use super::block::{Block, Shape};
use super::product::Operand;
use super::shape_error;
use crate::ring::from_math;
use cipherblas_math::narrow::{self, Strided, StridedMut};
use cipherblas_scheme::{Error, Lines, Result};
use std::sync::Arc;

/// A plain matrix of integers, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Rows: lines of the result.
    pub rows: usize,
    /// Columns: lines of the block.
    pub cols: usize,
    /// `rows * cols` integers.
    pub values: &'a [i64],
}

impl Block {
    /// `out line u = sum over terms, sum_k W[u][k] line k`, on the residues themselves, then the modulus of the level below
    /// ([`lower`](Self::lower)): phases are multiplied by the weights and by `G_{l-1} / G_l`. Terms share level, line length
    /// and grid; either layout. The result has the single layout. One level, no keys. Cost: `rows * cols * (N + len)`
    /// multiply-adds for each narrow prime and term.
    ///
    /// The weights are not hidden: second halves are `round((W a mod G) G'/G)`, equations for W without any key.
    ///
    /// # Errors
    /// `Shape` (no term, shapes that do not fit), `Depth` at level 0 or for terms of several levels, `KeyMismatch`.
    pub fn gemm_plain(terms: &[(Weights<'_>, &Self)]) -> Result<Self> {
        const NAME: &str = "plain product";
        let Some(&(first_weights, first)) = terms.first() else {
            return Err(shape_error(
                NAME,
                "no term",
                "at least one",
                "leave empty sums out",
            ));
        };
        let rows = first_weights.rows;
        for (weights, block) in terms {
            first.check_product(NAME, block)?;
            let fits = weights.rows == rows
                && weights.cols == block.shape.lines
                && weights.rows.checked_mul(weights.cols) == Some(weights.values.len())
                && block.shape.len == first.shape.len;
            if !fits || rows == 0 {
                return Err(shape_error(
                    NAME,
                    format!(
                        "{} x {} weights in {} values, a block of {} lines of {}",
                        weights.rows,
                        weights.cols,
                        weights.values.len(),
                        block.shape.lines,
                        block.shape.len
                    ),
                    format!(
                        "{rows} rows, as many columns as lines, lines of {}",
                        first.shape.len
                    ),
                    "cut the matrices alike",
                ));
            }
        }
        let n = first.degree();
        let ring = first.ring.clone();
        let shape = Shape {
            lines: rows,
            len: first.shape.len,
            padded: first.shape.padded,
            layout: Lines::Single,
        };
        let count = ring.narrow_len(first.level);
        let mut b = narrow::zeros(count * rows * shape.len);
        let mut a = narrow::zeros(count * rows * n);
        let parts = b.chunks_mut(rows * shape.len).zip(a.chunks_mut(rows * n));
        for (k, (b, a)) in parts.enumerate() {
            let prime = ring.prime(k);
            for (t, (weights, block)) in terms.iter().enumerate() {
                let mut reduced = narrow::zeros(weights.values.len());
                narrow::reduce_i64(prime, weights.values, &mut reduced);
                let columns = |start: usize, count: usize| {
                    Strided::new(&reduced[start..], rows, count, weights.cols, 1)
                };
                let multiply = |start: usize, x: &[i16], cols: usize, out: &mut [i16], add| {
                    let count = (x.len() / cols).min(weights.cols - start);
                    let x = Strided::row_major(&x[..count * cols], count, cols)?;
                    let mut out = StridedMut::row_major(out, rows, cols)?;
                    narrow::gemm(prime, columns(start, count)?, x, &mut out, add)
                };
                let operand = Operand::new(block, k);
                multiply(0, &operand.compact(), shape.len, b, t > 0).map_err(from_math)?;
                operand
                    .shifted(|start, lines| multiply(start, lines, n, a, t > 0 || start > 0))
                    .map_err(from_math)?;
            }
        }
        Self {
            ring,
            key: first.key,
            shape,
            level: first.level,
            b: Arc::new(b),
            a: Arc::new(a),
            seed: None,
        }
        .lower()
    }

    /// The same values modulo `G_{l-1}`, of the level below: phases and their errors are multiplied by `G_{l-1} / G_l` and
    /// rounded. No keys.
    ///
    /// # Errors
    /// `Depth` at level 0.
    pub fn lower(&self) -> Result<Self> {
        if self.level == 0 {
            return Err(Error::Depth {
                operation: "change of level",
                needed: 1,
                left: 0,
            });
        }
        let switch = self.ring.lower(self.level);
        let (from, to) = (
            self.ring.narrow_len(self.level),
            self.ring.narrow_len(self.level - 1),
        );
        let apply = |x: &[i16]| {
            let len = x.len() / from;
            let mut out = narrow::zeros(to * len);
            let sources: Vec<&[i16]> = x.chunks(len).collect();
            let mut targets: Vec<&mut [i16]> = out.chunks_mut(len).collect();
            switch.convert(&sources, &mut targets);
            Arc::new(out)
        };
        Ok(Self {
            level: self.level - 1,
            b: apply(&self.b),
            a: apply(&self.a),
            seed: None,
            ..self.clone()
        })
    }
}
