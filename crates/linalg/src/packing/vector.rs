use super::Grid;
use crate::shape::{check_len, mismatch, padded};
use cipherblas_scheme::{Result, Value};

/// How a vector lies in the slots: each value `repeat` times in a row, `period` values to a ciphertext, the whole
/// repeated until the slots are full.
///
/// ```text
/// 8 slots, vector (a b c)
/// periodic          | a b c 0 a b c 0 |
/// stretched by 2    | a a b b c c 0 0 |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VectorPacking {
    repeat: usize,
    period: usize,
}

impl VectorPacking {
    /// Any packing: value `i` of a block at the slots `s` with `(s / repeat) mod period = i`.
    ///
    /// # Errors
    /// `Shape` unless both are powers of two.
    pub fn new(repeat: usize, period: usize) -> Result<Self> {
        if !repeat.is_power_of_two()
            || !period.is_power_of_two()
            || repeat.checked_mul(period).is_none()
        {
            return Err(mismatch(
                "vector packing",
                format!("repeat {repeat}, period {period}"),
                "powers of two",
                "round up to the next power of two",
            ));
        }
        // With one value to a ciphertext, every slot holds it, whatever the repeat count says.
        let repeat = if period == 1 { 1 } else { repeat };
        Ok(Self { repeat, period })
    }

    /// The canonical packing of a vector of `len` values: repeated with the period `len` rounded up to a power of two,
    /// or cut into blocks of `slots` values.
    ///
    /// # Errors
    /// `Shape` for `len = 0`.
    pub fn periodic(len: usize, slots: usize) -> Result<Self> {
        check_len("vector packing", len)?;
        Self::new(1, padded("vector packing", len)?.min(slots))
    }

    /// One value to a ciphertext, in every slot: for schemes without slots, and for combinations.
    pub fn spread() -> Self {
        Self {
            repeat: 1,
            period: 1,
        }
    }

    /// Every value `repeat` times in a row.
    ///
    /// # Errors
    /// `Shape` for `len = 0`, or a `repeat` that is not a power of two or exceeds `slots`.
    pub fn stretched(len: usize, repeat: usize, slots: usize) -> Result<Self> {
        check_len("vector packing", len)?;
        if repeat > slots || !repeat.is_power_of_two() {
            return Err(mismatch(
                "stretched vector packing",
                format!("repeat {repeat}"),
                format!("a power of two, at most {slots}"),
                "use the packing that the matrix asks for: `row_packing` or `column_packing`",
            ));
        }
        Self::new(
            repeat,
            padded("vector packing", len)?.min((slots / repeat).max(1)),
        )
    }

    /// Consecutive slots that hold the same value.
    pub fn repeat(&self) -> usize {
        self.repeat
    }

    /// Values in a ciphertext.
    pub fn period(&self) -> usize {
        self.period
    }

    /// Slots after which a ciphertext's contents repeat: `repeat * period`.
    pub fn width(&self) -> usize {
        self.repeat * self.period
    }

    /// Ciphertexts that a vector of `len` values takes.
    pub fn blocks(&self, len: usize) -> usize {
        len.div_ceil(self.period)
    }

    /// One slice of `width()` values per ciphertext.
    ///
    /// # Errors
    /// `Shape` for an empty vector.
    pub fn pack<V: Value>(&self, values: &[V]) -> Result<Vec<Vec<V>>> {
        check_len("pack", values.len())?;
        let grid = self.grid(values.len());
        Ok((0..grid.blocks())
            .map(|b| grid.fill(b, V::ZERO, |i, _| values[i]))
            .collect())
    }

    /// The inverse of [`pack`](Self::pack): reads the first copy of each of `len` values.
    ///
    /// # Errors
    /// `Shape` if there are too few blocks, or one is shorter than `width()`.
    pub fn unpack<V: Value>(&self, len: usize, blocks: &[Vec<V>]) -> Result<Vec<V>> {
        check_len("unpack", len)?;
        let grid = self.grid(len);
        if blocks.len() != grid.blocks() || blocks.iter().any(|b| b.len() < grid.width()) {
            return Err(mismatch(
                "unpack",
                format!("{} blocks", blocks.len()),
                format!(
                    "{} blocks of at least {} slots",
                    grid.blocks(),
                    grid.width()
                ),
                "pass every ciphertext's slots, in order",
            ));
        }
        // `grid.place` without a division for each value.
        let mut out = Vec::with_capacity(len);
        for block in blocks {
            let here = self.period.min(len - out.len());
            match self.repeat {
                1 => out.extend_from_slice(&block[..here]),
                repeat => out.extend(block.iter().step_by(repeat).take(here)),
            }
        }
        Ok(out)
    }

    pub(crate) fn grid(&self, len: usize) -> Grid {
        Grid {
            repeat: self.repeat,
            inner: self.period,
            outer: 1,
            inner_len: len,
            outer_len: 1,
        }
    }

    /// Refuses a packing that needs more slots than a ciphertext has.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.width() > slots {
            return Err(mismatch(
                "vector packing",
                format!(
                    "{} slots (repeat {}, period {})",
                    self.width(),
                    self.repeat,
                    self.period
                ),
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
        let v = [1.0, 2.0, 3.0];
        assert_eq!(
            VectorPacking::periodic(3, 8).unwrap().pack(&v).unwrap(),
            [vec![1.0, 2.0, 3.0, 0.0]]
        );
        assert_eq!(
            VectorPacking::stretched(3, 2, 8).unwrap().pack(&v).unwrap(),
            [vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 0.0, 0.0]]
        );
        assert_eq!(
            VectorPacking::periodic(3, 2).unwrap().pack(&v).unwrap(),
            [vec![1.0, 2.0], vec![3.0, 0.0]]
        );
        assert_eq!(
            VectorPacking::stretched(3, 8, 8).unwrap().pack(&v).unwrap(),
            [vec![1.0], vec![2.0], vec![3.0]]
        );
    }

    #[test]
    fn misuse() {
        assert!(VectorPacking::periodic(0, 8).is_err());
        assert!(VectorPacking::new(3, 8).is_err());
        assert!(VectorPacking::new(2, 6).is_err());
        assert!(VectorPacking::stretched(3, 16, 8).is_err());
        let p = VectorPacking::periodic(3, 8).unwrap();
        assert!(p.check_slots(2).is_err());
        assert!(p.pack::<f64>(&[]).is_err());
        assert!(p.unpack(3, &[vec![0.0; 2]]).is_err());
        assert!(p.unpack(5, &[vec![0.0; 4]]).is_err());
    }

    proptest! {
        #[test]
        fn roundtrip(len in 1usize..70, slots_log in 0u32..6, repeat_log in 0u32..6) {
            let slots = 1 << slots_log;
            let v: Vec<f64> = (0..len).map(|i| i as f64 + 1.0).collect();
            let mut packings = vec![VectorPacking::periodic(len, slots).unwrap()];
            if repeat_log <= slots_log {
                packings.push(VectorPacking::stretched(len, 1 << repeat_log, slots).unwrap());
            }
            for p in packings {
                prop_assert!(p.check_slots(slots).is_ok());
                let blocks = p.pack(&v).unwrap();
                prop_assert_eq!(blocks.len(), p.blocks(len));
                prop_assert_eq!(p.unpack(len, &blocks).unwrap(), v.clone());
                let total: f64 = blocks.iter().flatten().sum();
                prop_assert_eq!(total, v.iter().sum::<f64>() * p.repeat() as f64);
            }
        }
    }
}
