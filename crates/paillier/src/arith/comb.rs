//! Powers of one base from tables: combs (Lim, Lee, CRYPTO 1994) with reads that touch every entry.

use super::exp::Ring;
use super::limbs::{Secret, bits_at, secret};
use super::table::Table;

/// Bits of a table index: a read of 64 entries takes a fraction of a product.
const TEETH: usize = 6;
/// Tables: each shortens the run of squarings, `bits / (TEETH * BLOCKS)` remain.
const BLOCKS: usize = 8;

/// Tables of one base for exponents up to a fixed length. The tables are overwritten when dropped.
pub(crate) struct Comb {
    tables: Vec<Table>,
    /// Exponent bits between teeth.
    spacing: usize,
    /// Columns in one block.
    columns: usize,
}

impl Comb {
    /// Tables for exponents below `2^bits`. Cost: `bits` squarings and 512 products.
    pub(crate) fn new<R: Ring>(ring: &R, base: &[u64], bits: usize) -> Self {
        let spacing = bits.div_ceil(TEETH).max(1);
        let columns = spacing.div_ceil(BLOCKS);
        let blocks = spacing.div_ceil(columns);
        let width = ring.width();
        let mut scratch = ring.scratch();
        // base^(2^(t spacing + k columns)) for block k and tooth t.
        let mut teeth = vec![Vec::with_capacity(TEETH); blocks];
        let mut power = secret(width);
        power.copy_from_slice(base);
        for _ in 0..TEETH {
            for position in 0..spacing {
                if position % columns == 0 {
                    teeth[position / columns].push(power.clone());
                }
                ring.sqr_assign(&mut power, &mut scratch);
            }
        }
        let tables = teeth
            .iter()
            .map(|teeth| {
                let mut entries = vec![secret(width); 1 << TEETH];
                entries[0].copy_from_slice(ring.one());
                for (t, tooth) in teeth.iter().enumerate() {
                    for i in 0..1 << t {
                        let mut entry = entries[i].clone();
                        ring.mul_assign(&mut entry, tooth, &mut scratch);
                        entries[i | 1 << t] = entry;
                    }
                }
                let mut table = Table::new(1 << TEETH, width);
                for (i, entry) in entries.iter().enumerate() {
                    table.set(i, entry);
                }
                table
            })
            .collect();
        Self {
            tables,
            spacing,
            columns,
        }
    }

    /// The base to the power of `exponent`, below `2^bits`. Cost: `bits / 6` products, `bits / 48` squarings.
    pub(crate) fn pow<R: Ring>(&self, ring: &R, exponent: &[u64]) -> Secret {
        let mut scratch = ring.scratch();
        let mut result = secret(ring.width());
        let mut entry = secret(ring.width());
        result.copy_from_slice(ring.one());
        for column in (0..self.columns).rev() {
            if column + 1 != self.columns {
                ring.sqr_assign(&mut result, &mut scratch);
            }
            for (k, table) in self.tables.iter().enumerate() {
                let position = k * self.columns + column;
                if position >= self.spacing {
                    continue;
                }
                let digit = (0..TEETH).fold(0, |digit, t| {
                    digit | bits_at(exponent, position + t * self.spacing, 1) << t
                });
                table.read(digit, &mut entry);
                ring.mul_assign(&mut result, &entry, &mut scratch);
            }
        }
        result
    }
}
