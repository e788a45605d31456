//! Tiles of a product in registers: what depends on the instructions.

use super::prime::Prime;

/// Pairs of terms between reductions. A reduced sum is at most `2^15 (1 + 5789)`; 56 more products, at most `5789^2` each,
/// leave it below `2^31 - 2^15`.
pub(super) const FOLD: usize = 28;

/// Most entries of a tile.
pub(super) const LARGEST_TILE: usize = 12 * 32;

/// What the kernels need to know of a prime.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    /// The pair `(1, 2^16 mod p)`: its product with the halves of `x` is congruent to `x`.
    pub fold: i32,
    pub p: i16,
    pub half: i16,
    pub inverse_p: f32,
}

impl Constants {
    pub(super) fn new(prime: Prime) -> Self {
        Self {
            fold: i32::from(prime.reduce_i64(1 << 16)) << 16 | 1,
            p: prime.value(),
            half: prime.half(),
            inverse_p: 1.0 / f32::from(prime.value()),
        }
    }
}

/// Products of packed panels. A value is proof that the processor has the kernel's instructions, AVX2 among them.
pub(super) trait Kernel: Copy + Send + Sync {
    /// Rows of a tile, which are broadcast.
    const ROWS: usize;
    /// Columns of a tile, which lie in vectors.
    const COLS: usize;
    /// Largest depth of a panel, in pairs; that of columns has to stay in the first-level cache.
    const PAIRS: usize;

    /// The tile `sum_k a[k][row] b[k][col]`, centred, of the panels `(a, b)`, to the entries `c[row * stride + col]` of the
    /// result `(c, stride)`, added to them if `add`. Panels hold pairs of residues, pair after pair: `ROWS` or `COLS` of them each.
    ///
    /// # Safety
    /// The instructions of the kernel. `a` has `pairs * ROWS` and `b` `pairs * COLS` pairs, `b` is aligned to 64 bytes;
    /// `c` is valid for the tile.
    unsafe fn tile(
        self,
        constants: &Constants,
        pairs: usize,
        panels: (*const i32, *const i32),
        result: (*mut i16, usize),
        add: bool,
    );
}

/// The body for every row, with the row a constant: sums stay in registers.
macro_rules! for_rows {
    ($row:ident in [$($r:literal)*] $body:block) => {
        $({ const $row: usize = $r; $body })*
    };
}
pub(super) use for_rows;
