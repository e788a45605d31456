//! A scheme with one fault at a time: what the conformance suite has to notice.

pub(crate) mod matrix;

use cipherblas_scheme::wire::{Header, seal};
use cipherblas_scheme::{
    Add, AddPlain, ClearCiphertext, ClearKey, ClearScheme, Combine, Decrypt, Encrypt, ErrorBound,
    Mul, MulPlain, Result, Rotate, Scheme, WeightMatrix, Wire,
};
use rand::CryptoRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    SubtractsBackwards,
    SumDropsTheLast,
    PlainOperandsFillWithZeros,
    ProductKeepsItsDepth,
    ProductIsSlightlyOff,
    MulSumIgnoresRaggedTails,
    CombineTransposes,
    RotatesToTheRight,
    RotatesWithoutKeys,
    HoistedRotationsIgnoreNegativeSteps,
    RotateSumForgetsToRotate,
    ErrorBoundIsNotANumber,
    MagnitudeIsForgotten,
    ForeignCiphertextsAreAdded,
    ForeignCiphertextsAreRead,
    AlteredBytesAreRead,
    LoweringDoesNothing,
    DecryptionLosesASlot,
    SharingIsCoarse,
}

impl Fault {
    pub(crate) const ALL: [Self; 19] = [
        Self::SubtractsBackwards,
        Self::SumDropsTheLast,
        Self::PlainOperandsFillWithZeros,
        Self::ProductKeepsItsDepth,
        Self::ProductIsSlightlyOff,
        Self::MulSumIgnoresRaggedTails,
        Self::CombineTransposes,
        Self::RotatesToTheRight,
        Self::RotatesWithoutKeys,
        Self::HoistedRotationsIgnoreNegativeSteps,
        Self::RotateSumForgetsToRotate,
        Self::ErrorBoundIsNotANumber,
        Self::MagnitudeIsForgotten,
        Self::ForeignCiphertextsAreAdded,
        Self::ForeignCiphertextsAreRead,
        Self::AlteredBytesAreRead,
        Self::LoweringDoesNothing,
        Self::DecryptionLosesASlot,
        Self::SharingIsCoarse,
    ];
}

#[derive(Clone)]
pub(crate) struct Faulty {
    pub right: ClearScheme,
    pub fault: Fault,
}

pub(crate) struct FaultyKey {
    pub right: ClearKey,
    pub fault: Fault,
}

type Ct = ClearCiphertext;

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
    /// The same ciphertext under this scheme's key.
    fn adopt(&self, ct: &Ct) -> Result<Ct> {
        let mut rng = rand::rng();
        self.right
            .key()
            .encrypt_at(ct.slots(), self.right.depth(ct), Some(1e6), &mut rng)
    }
    /// The same values at another depth.
    fn at(&self, ct: &Ct, depth: usize) -> Result<Ct> {
        let bound = Some(self.right.magnitude_bound(ct));
        self.right
            .key()
            .encrypt_at(ct.slots(), depth, bound, &mut rand::rng())
    }
}

impl Scheme for Faulty {
    type Value = f64;
    type Ciphertext = Ct;
    fn name(&self) -> &'static str {
        "clear"
    }
    fn slots(&self) -> usize {
        self.right.slots()
    }
    fn depth(&self, ct: &Ct) -> usize {
        self.right.depth(ct)
    }
    fn max_depth(&self) -> usize {
        self.right.max_depth()
    }
    fn lower_to(&self, ct: &Ct, depth: usize) -> Result<Ct> {
        let lowered = self.right.lower_to(ct, depth)?;
        Ok(if self.has(Fault::LoweringDoesNothing) {
            ct.clone()
        } else {
            lowered
        })
    }
    fn check(&self, ct: &Ct) -> Result<()> {
        self.right.check(ct)
    }
}

impl Add for Faulty {
    fn add(&self, a: &Ct, b: &Ct) -> Result<Ct> {
        if self.has(Fault::ForeignCiphertextsAreAdded) && self.right.check(b).is_err() {
            return self.right.add(a, &self.adopt(b)?);
        }
        self.right.add(a, b)
    }
    fn sub(&self, a: &Ct, b: &Ct) -> Result<Ct> {
        if self.has(Fault::SubtractsBackwards) {
            self.right.sub(b, a)
        } else {
            self.right.sub(a, b)
        }
    }
    fn negate(&self, a: &Ct) -> Result<Ct> {
        self.right.negate(a)
    }
    fn sum(&self, terms: &[&Ct]) -> Result<Ct> {
        match terms {
            [rest @ .., _] if self.has(Fault::SumDropsTheLast) && !rest.is_empty() => {
                self.right.sum(rest)
            }
            _ => self.right.sum(terms),
        }
    }
}

impl AddPlain for Faulty {
    fn add_plain(&self, ct: &Ct, values: &[f64]) -> Result<Ct> {
        if self.has(Fault::PlainOperandsFillWithZeros) && values.len().is_power_of_two() {
            let mut filled = values.to_vec();
            filled.resize(self.slots().max(values.len()), 0.0);
            return self.right.add_plain(ct, &filled);
        }
        self.right.add_plain(ct, values)
    }
}

impl MulPlain for Faulty {
    type Plaintext = <ClearScheme as MulPlain>::Plaintext;
    fn prepare(&self, values: &[f64], depth: usize) -> Result<Self::Plaintext> {
        self.right.prepare(values, depth)
    }
    fn mul_prepared(&self, cts: &[&Ct], plains: &[&Self::Plaintext]) -> Result<Ct> {
        self.right.mul_prepared(cts, plains)
    }
}

impl Combine for Faulty {
    fn combine(&self, weights: WeightMatrix<'_, f64>, cts: &[&Ct]) -> Result<Vec<Ct>> {
        if self.has(Fault::CombineTransposes) {
            let (rows, cols) = (weights.rows(), weights.cols());
            let data: Vec<f64> = (0..rows * cols)
                .map(|i| weights.data()[i % rows * cols + i / rows])
                .collect();
            return self
                .right
                .combine(WeightMatrix::new(rows, cols, &data)?, cts);
        }
        self.right.combine(weights, cts)
    }
}

impl Mul for Faulty {
    fn mul(&self, a: &Ct, b: &Ct) -> Result<Ct> {
        let product = self.right.mul(a, b)?;
        match self.fault {
            Fault::ProductKeepsItsDepth => self.at(&product, self.depth(a).min(self.depth(b))),
            Fault::ProductIsSlightlyOff => self.right.add_plain(&product, &[0.0, 1e-9]),
            _ => Ok(product),
        }
    }
    fn square(&self, a: &Ct) -> Result<Ct> {
        self.right.square(a)
    }
    fn mul_sum(&self, a: &[&Ct], b: &[&Ct]) -> Result<Ct> {
        let shorter = a.len().min(b.len());
        if self.has(Fault::MulSumIgnoresRaggedTails) {
            return self.right.mul_sum(&a[..shorter], &b[..shorter]);
        }
        self.right.mul_sum(a, b)
    }
}

impl Rotate for Faulty {
    fn rotate(&self, ct: &Ct, step: i64) -> Result<Ct> {
        match self.fault {
            Fault::RotatesToTheRight => self
                .right
                .clone()
                .with_rotations(None)
                .rotate(ct, step.wrapping_neg()),
            Fault::RotatesWithoutKeys => self.right.clone().with_rotations(None).rotate(ct, step),
            _ => self.right.rotate(ct, step),
        }
    }
    fn rotate_many(&self, ct: &Ct, steps: &[i64]) -> Result<Vec<Ct>> {
        if self.has(Fault::HoistedRotationsIgnoreNegativeSteps) {
            let positive: Vec<i64> = steps.iter().map(|&s| s.max(0)).collect();
            return self.right.rotate_many(ct, &positive);
        }
        self.right.rotate_many(ct, steps)
    }
    fn rotate_sum(&self, cts: &[&Ct], steps: &[i64]) -> Result<Ct> {
        let right = self.right.rotate_sum(cts, steps)?;
        if self.has(Fault::RotateSumForgetsToRotate) {
            return self.right.sum(cts);
        }
        Ok(right)
    }
    fn can_rotate(&self, step: i64) -> bool {
        self.right.can_rotate(step)
    }
}

impl ErrorBound for Faulty {
    fn error_bound(&self, ct: &Ct) -> f64 {
        if self.has(Fault::ErrorBoundIsNotANumber) {
            f64::NAN
        } else {
            self.right.error_bound(ct)
        }
    }
    fn magnitude_bound(&self, ct: &Ct) -> f64 {
        if self.has(Fault::MagnitudeIsForgotten) {
            1.0
        } else {
            self.right.magnitude_bound(ct)
        }
    }
}

impl Wire for Faulty {
    fn write_ciphertext(&self, ct: &Ct) -> Vec<u8> {
        self.right.write_ciphertext(ct)
    }
    fn read_ciphertext(&self, bytes: &[u8]) -> Result<Ct> {
        match (self.fault, self.right.read_ciphertext(bytes)) {
            (Fault::ForeignCiphertextsAreRead, Err(_)) => {
                let key = Header::peek(bytes)?.key;
                let owner = [self.right.clone(), self.right.clone().with_key(2)];
                let found = owner
                    .iter()
                    .find(|scheme| scheme.key_id() == key)
                    .unwrap_or(&owner[0]);
                self.adopt(&found.read_ciphertext(bytes)?)
            }
            (Fault::AlteredBytesAreRead, Err(error)) => {
                let header = Header::peek(bytes)?;
                let payload = bytes.get(Header::LEN + 32..).ok_or(error)?;
                self.right.read_ciphertext(&seal(&header, payload))
            }
            (_, result) => result,
        }
    }
}

impl Encrypt for FaultyKey {
    type Scheme = Faulty;
    fn scheme(&self) -> Faulty {
        Faulty {
            right: self.right.scheme(),
            fault: self.fault,
        }
    }
    fn encrypt_at<R: CryptoRng + ?Sized>(
        &self,
        values: &[f64],
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Ct> {
        self.right.encrypt_at(values, depth, bound, rng)
    }
}

impl Decrypt for FaultyKey {
    type Scheme = Faulty;
    fn decrypt(&self, ct: &Ct) -> Result<Vec<f64>> {
        let mut values = self.right.decrypt(ct)?;
        if self.fault == Fault::DecryptionLosesASlot {
            values.pop();
        }
        Ok(values)
    }
    fn decrypt_shared<R: CryptoRng + ?Sized>(
        &self,
        ct: &Ct,
        bound: f64,
        rng: &mut R,
    ) -> Result<Vec<f64>> {
        let values = self.right.decrypt_shared(ct, bound, rng)?;
        let noise = if self.fault == Fault::SharingIsCoarse {
            1e-3
        } else {
            0.0
        };
        Ok(values.iter().map(|v| v + noise).collect())
    }
}
