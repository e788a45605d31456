//! Matrices in clear with one fault each, which the suite has to notice.

use cipherblas_scheme::clear::{ClearBlock, ClearMatrixKey};
use cipherblas_scheme::{
    ClearMatrices, DecryptMatrix, EncryptMatrix, Lines, MatrixScheme, Result, Side, WeightMatrix,
};
use rand::CryptoRng;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatrixFault {
    None,
    SidesSwapped,
    SecondTermLost,
    GramDoubled,
    WeightsOfTheFirstTermOnly,
    NotTransposed,
    NegateIsIdentity,
    ScaleTwice,
    NoDepthSpent,
    ErrorBoundTooSmall,
    MagnitudeTooSmall,
    ReadsAnything,
    ForeignBlocksAccepted,
}

impl MatrixFault {
    pub(crate) const ALL: [Self; 12] = [
        Self::SidesSwapped,
        Self::SecondTermLost,
        Self::GramDoubled,
        Self::WeightsOfTheFirstTermOnly,
        Self::NotTransposed,
        Self::NegateIsIdentity,
        Self::ScaleTwice,
        Self::NoDepthSpent,
        Self::ErrorBoundTooSmall,
        Self::MagnitudeTooSmall,
        Self::ReadsAnything,
        Self::ForeignBlocksAccepted,
    ];
}

#[derive(Clone)]
pub(crate) struct FaultyMatrices {
    pub(crate) right: ClearMatrices<f64>,
    pub(crate) fault: MatrixFault,
}

pub(crate) struct FaultyMatrixKey {
    pub(crate) right: ClearMatrixKey<f64>,
    pub(crate) fault: MatrixFault,
}

type Block = ClearBlock<f64>;

impl MatrixScheme for FaultyMatrices {
    type Value = f64;
    type Block = Block;
    fn name(&self) -> &'static str {
        "clear"
    }
    fn max_len(&self) -> usize {
        self.right.max_len()
    }
    fn max_depth(&self) -> usize {
        self.right.max_depth()
    }
    fn depth(&self, x: &Block) -> usize {
        match self.fault {
            MatrixFault::NoDepthSpent => self.max_depth(),
            _ => self.right.depth(x),
        }
    }
    fn shape(&self, x: &Block) -> (usize, usize) {
        self.right.shape(x)
    }
    fn padded_len(&self, x: &Block) -> usize {
        self.right.padded_len(x)
    }
    fn layout(&self, x: &Block) -> Lines {
        self.right.layout(x)
    }
    fn block_bytes(&self, lines: usize, len: usize, layout: Lines, depth: usize) -> Result<usize> {
        self.right.block_bytes(lines, len, layout, depth)
    }
    fn lower_to(&self, x: &Block, depth: usize) -> Result<Block> {
        self.right.lower_to(x, depth)
    }
    fn add(&self, a: &Block, b: &Block) -> Result<Block> {
        self.right.add(a, b)
    }
    fn sub(&self, a: &Block, b: &Block) -> Result<Block> {
        self.right.sub(a, b)
    }
    fn negate(&self, x: &Block) -> Result<Block> {
        match self.fault {
            MatrixFault::NegateIsIdentity => self.right.check(x).map(|()| x.clone()),
            _ => self.right.negate(x),
        }
    }
    fn scale(&self, x: &Block, value: f64) -> Result<Block> {
        match self.fault {
            MatrixFault::ScaleTwice => self.right.scale(x, 2.0 * value),
            _ => self.right.scale(x, value),
        }
    }
    fn gemm_tn(&self, terms: &[(&Block, &Block)], lines: Side) -> Result<Block> {
        let lines = match (self.fault, lines) {
            (MatrixFault::SidesSwapped, Side::Left) => Side::Right,
            (MatrixFault::SidesSwapped, Side::Right) => Side::Left,
            (_, lines) => lines,
        };
        let kept = match self.fault {
            MatrixFault::SecondTermLost => terms.len().min(1),
            _ => terms.len(),
        };
        self.right.gemm_tn(&terms[..kept], lines)
    }
    fn syrk(&self, terms: &[&Block]) -> Result<Block> {
        let gram = self.right.syrk(terms)?;
        match self.fault {
            MatrixFault::GramDoubled => self.right.add(&gram, &gram),
            _ => Ok(gram),
        }
    }
    fn gemm_plain(&self, terms: &[(WeightMatrix<'_, f64>, &Block)]) -> Result<Block> {
        let kept = match self.fault {
            MatrixFault::WeightsOfTheFirstTermOnly => terms.len().min(1),
            _ => terms.len(),
        };
        self.right.gemm_plain(&terms[..kept])
    }
    fn reformat(&self, x: &Block) -> Result<Block> {
        let transposed = self.right.reformat(x)?;
        match self.fault {
            MatrixFault::NotTransposed => self.right.lower_to(x, self.right.depth(&transposed)),
            _ => Ok(transposed),
        }
    }
    fn check(&self, x: &Block) -> Result<()> {
        match self.fault {
            MatrixFault::ForeignBlocksAccepted => Ok(()),
            _ => self.right.check(x),
        }
    }
    fn error_bound(&self, x: &Block) -> f64 {
        match self.fault {
            MatrixFault::ErrorBoundTooSmall => -1.0,
            _ => self.right.error_bound(x),
        }
    }
    fn magnitude_bound(&self, x: &Block) -> f64 {
        match self.fault {
            MatrixFault::MagnitudeTooSmall => 0.01 * self.right.magnitude_bound(x),
            _ => self.right.magnitude_bound(x),
        }
    }
    fn write_block(&self, x: &Block) -> Vec<u8> {
        self.right.write_block(x)
    }
    fn read_block(&self, bytes: &[u8]) -> Result<Block> {
        let end = match self.fault {
            // Bytes behind the end are not noticed.
            MatrixFault::ReadsAnything => bytes.len() - usize::from(bytes.last() == Some(&0)),
            _ => bytes.len(),
        };
        let read = self.right.read_block(&bytes[..end]);
        if read.is_err() && end < bytes.len() {
            return self.right.read_block(bytes);
        }
        read
    }
}

impl EncryptMatrix for FaultyMatrixKey {
    type Scheme = FaultyMatrices;
    fn scheme(&self) -> FaultyMatrices {
        FaultyMatrices {
            right: self.right.scheme(),
            fault: self.fault,
        }
    }
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Block> {
        self.right
            .encrypt_block(values, lines, padded, layout, depth, bound, rng)
    }
}

impl DecryptMatrix for FaultyMatrixKey {
    type Scheme = FaultyMatrices;
    fn decrypt_block(&self, x: &Block) -> Result<Vec<f64>> {
        self.right.decrypt_block(x)
    }
}
