use super::Store;
use super::grid::Request;
use cipherblas_scheme::matrix::Lines;

/// What a matrix has as lines in its ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Its rows: the right factor of a product, and what `X'X` and `A'B` take.
    Rows,
    /// Its columns: the left factor of a product.
    Columns,
}

impl Format {
    /// Columns for rows and rows for columns: the format of the transposed matrix.
    #[must_use]
    pub fn transposed(self) -> Self {
        match self {
            Self::Rows => Self::Columns,
            Self::Columns => Self::Rows,
        }
    }
}

/// How to encrypt a [`BlockMatrix`](super::BlockMatrix). Unless told otherwise: by rows, packed, at full depth, with the
/// parameters' bound, in memory, on the shortest grid that holds the lines.
#[derive(Clone, Debug)]
pub struct BlockOptions {
    pub(super) format: Format,
    pub(super) layout: Lines,
    pub(super) depth: Option<usize>,
    pub(super) bound: Option<f64>,
    pub(super) line: Option<usize>,
    pub(super) chunk: Option<usize>,
    pub(super) store: Store,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self {
            format: Format::Rows,
            layout: Lines::Packed,
            depth: None,
            bound: None,
            line: None,
            chunk: None,
            store: Store::memory(),
        }
    }
}

impl BlockOptions {
    /// By rows, packed, at full depth, in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// By rows or by columns.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// As many lines as fit in a ciphertext (the cheaper by far), or one, as products with plain matrices give them.
    #[must_use]
    pub fn layout(mut self, layout: Lines) -> Self {
        self.layout = layout;
        self
    }

    /// Encrypts for no more than this many products one after another: smaller and faster.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    /// Declares a bound on the absolute values. It is **public**, and travels with every block: choose it beforehand, or
    /// round it up to a power of two.
    #[must_use]
    pub fn bound(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Positions of the grid that lines lie on: a power of two from 16 to the scheme's `max_len`. Lines that are longer are
    /// cut. Both factors of a product need the same; by default the shortest that holds the lines.
    #[must_use]
    pub fn line(mut self, positions: usize) -> Self {
        self.line = Some(positions);
        self
    }

    /// Lines in a block: what is read, multiplied and written at a time. Both factors of a product need the same. By default
    /// as many as the grid has positions, more of them where lines are many and short, fewer under a small budget.
    #[must_use]
    pub fn lines_per_block(mut self, lines: usize) -> Self {
        self.chunk = Some(lines);
        self
    }

    /// Where the blocks are kept, and those of results.
    #[must_use]
    pub fn store(mut self, store: &Store) -> Self {
        self.store = store.clone();
        self
    }

    pub(super) fn request(&self) -> Request {
        Request {
            padded: self.line,
            chunk: self.chunk,
            layout: self.layout,
            limit: self.store.block_limit(),
        }
    }
}
