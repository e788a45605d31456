//! Parameters from the job: size of the modulus, fixed point, range, slots.

use crate::bounds::power_of_two;
use cipherblas_scheme::wire::ParameterId;
use cipherblas_scheme::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// Smallest and largest modulus, in bits.
const BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
/// Smallest modulus of `insecure_bits`.
const INSECURE_BITS: u32 = 256;
/// A modulus is made of whole words, and of two primes of half its size.
const BITS_STEP: u32 = 128;
const MAX_FRACTION_BITS: u32 = 64;
const MAX_INTEGER_BITS: u32 = 60;
const MAX_DEPTH: usize = 16;
/// Encodings pass through doubles scaled by a power of two: stay clear of the end of their range.
const MAX_MANTISSA_BITS: u32 = 900;
/// Defaults: fresh values below 2^10, and sums of at least 2^14 of them.
const VALUE_BITS: u32 = 10;
const TERM_BITS: u32 = 14;
/// Unused room is given to the range up to here.
const FILLED_INTEGER_BITS: u32 = 40;

/// Paillier parameters: immutable, validated, cheap to clone.
///
/// A value is a signed fixed-point number. A ciphertext holds [`slots`](Self::slots) of them, side by side in one plaintext:
///
/// ```text
///   band | slot S-1 | ... | slot 1 | slot 0        one plaintext, |sum v_i 2^(w i)| < n/3
///                            |
///                            sign | guard | integer_bits | fraction_bits * (1 + depth)    = w bits
/// ```
///
/// * `integer_bits` bounds every value on the way, sums included: what would exceed `2^integer_bits` by its declared bounds
///   is refused with [`Error::Overflow`] before it is computed. **`2^integer_bits / b` ciphertexts of declared bound `b`
///   can be summed**; fresh ones have the bound `2^value_bits` unless another is declared, so that
///   [`terms`](Self::terms)` = 2^(integer_bits - value_bits)` of them can.
/// * A product with plain weights adds `fraction_bits` to the fraction and lowers the depth by one: a ciphertext at depth
///   `d` has `fraction_bits * (1 + depth - d)` of them. Integers as scalars spend no depth.
/// * By the bounds, `|v_i| < 2^(w-1)`: a slot never carries into its neighbour.
///
/// ```
/// use cipherblas_paillier::Params;
/// let params = Params::builder().bits(3072).fraction_bits(32).build()?;
/// assert_eq!(params.slots(), 32);
/// println!("{params}");
/// # Ok::<(), cipherblas_paillier::Error>(())
/// ```
#[derive(Clone)]
pub struct Params {
    inner: Arc<Inner>,
}

#[derive(Clone, Copy)]
pub(crate) struct Inner {
    pub(crate) bits: u32,
    pub(crate) fraction_bits: u32,
    pub(crate) integer_bits: u32,
    pub(crate) value_bits: u32,
    pub(crate) depth: usize,
    pub(crate) slots: usize,
    pub(crate) insecure: bool,
    pub(crate) id: ParameterId,
}

/// What to build [`Params`] from; see [`Params::builder`].
#[derive(Clone, Debug)]
pub struct ParamsBuilder {
    bits: u32,
    fraction_bits: u32,
    value_bits: Option<u32>,
    integer_bits: Option<u32>,
    terms: Option<u64>,
    depth: usize,
    slots: Option<usize>,
    insecure: bool,
}

pub(crate) fn invalid(
    what: &'static str,
    got: impl ToString,
    expected: impl ToString,
    hint: &'static str,
) -> Error {
    Error::Parameter {
        what,
        got: got.to_string(),
        expected: expected.to_string(),
        hint,
    }
}

impl ParamsBuilder {
    /// Bits of the modulus: 2048 to 8192, a multiple of 128. Default 3072, which is held to be worth 128 bits of a
    /// symmetric cipher (NIST SP 800-57); 2048 is worth 112.
    pub fn bits(mut self, bits: u32) -> Self {
        (self.bits, self.insecure) = (bits, false);
        self
    }
    /// No security at all: a modulus of 256 bits or more, for tests. The parameters say so wherever they are shown.
    pub fn insecure_bits(mut self, bits: u32) -> Self {
        (self.bits, self.insecure) = (bits, true);
        self
    }
    /// Values and weights are rounded to multiples of `2^-bits`. 0 to 64, default 32.
    pub fn fraction_bits(mut self, bits: u32) -> Self {
        self.fraction_bits = bits;
        self
    }
    /// Fresh values are at most `2^bits` in absolute value, unless another bound is declared at encryption. Default 10,
    /// or `integer_bits` where that is less.
    pub fn value_bits(mut self, bits: u32) -> Self {
        self.value_bits = Some(bits);
        self
    }
    /// All values, on the way as well as at the end and sums included, are at most `2^bits` in absolute value. 1 to 60.
    /// Default: 14 more than `value_bits`, and as many more (up to 40) as cost no slot.
    pub fn integer_bits(mut self, bits: u32) -> Self {
        self.integer_bits = Some(bits);
        self
    }
    /// Sets `integer_bits` to what a sum of this many fresh values needs.
    pub fn terms(mut self, terms: u64) -> Self {
        self.terms = Some(terms);
        self
    }
    /// Products with plain weights one after another, 0 to 16. Default 1. Each costs `fraction_bits` in every slot.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    /// Values in a ciphertext, a power of two; `None` (the default): as many as fit. With one, every plain operand can be
    /// multiplied, and ciphertexts can be exchanged with python-paillier.
    pub fn slots(mut self, slots: impl Into<Option<usize>>) -> Self {
        self.slots = slots.into();
        self
    }

    /// Lays out the plaintext.
    ///
    /// # Errors
    /// `Parameter`: a setting out of range, or a job that does not fit the modulus.
    pub fn build(self) -> Result<Params> {
        let integer_bits = match (self.integer_bits, self.terms) {
            (Some(_), Some(terms)) => {
                return Err(invalid(
                    "terms",
                    terms,
                    "either `terms` or `integer_bits`",
                    "leave one of them out: each sets the range",
                ));
            }
            (Some(bits), None) => bits,
            (None, Some(0)) => {
                return Err(invalid(
                    "terms",
                    0,
                    "at least 1",
                    "count the terms of the longest sum",
                ));
            }
            (None, Some(terms)) => self
                .value_bits
                .unwrap_or(VALUE_BITS)
                .saturating_add((terms - 1).checked_ilog2().map_or(0, |l| l + 1)),
            (None, None) => self.filled_integer_bits(),
        };
        let value_bits = self.value_bits.unwrap_or(VALUE_BITS.min(integer_bits));
        let width = slot_width(integer_bits, self.fraction_bits, self.depth);
        let slots = self
            .slots
            .unwrap_or_else(|| fitting_slots(self.bits, width).max(1));
        Params::assemble(Inner {
            bits: self.bits,
            fraction_bits: self.fraction_bits,
            integer_bits,
            value_bits,
            depth: self.depth,
            slots,
            insecure: self.insecure,
            id: ParameterId([0; 16]),
        })
    }

    /// The most integer bits that leave the number of slots what it is for the least.
    fn filled_integer_bits(&self) -> u32 {
        let least = self
            .value_bits
            .unwrap_or(VALUE_BITS)
            .saturating_add(TERM_BITS);
        let fits =
            |bits: u32| fitting_slots(self.bits, slot_width(bits, self.fraction_bits, self.depth));
        let slots = self.slots.unwrap_or_else(|| fits(least));
        (least..=FILLED_INTEGER_BITS)
            .take_while(|&bits| fits(bits) >= slots)
            .last()
            .unwrap_or(least)
    }
}

/// Bits of a slot; saturates, and is then refused.
fn slot_width(integer_bits: u32, fraction_bits: u32, depth: usize) -> u32 {
    let depth = u32::try_from(depth).unwrap_or(u32::MAX);
    fraction_bits
        .saturating_mul(depth.saturating_add(1))
        .saturating_add(integer_bits)
        .saturating_add(2)
}

/// The most slots of `width` bits, a power of two; 0 if not even one fits. All of them together stay below `2^(bits - 3)`,
/// a quarter of the smallest modulus of `bits` bits.
fn fitting_slots(bits: u32, width: u32) -> usize {
    match (bits.saturating_sub(2) / width).checked_ilog2() {
        Some(log) => 1 << log,
        None => 0,
    }
}

impl Params {
    /// Validates. The parts may come from the builder or over the wire.
    pub(crate) fn assemble(parts: Inner) -> Result<Self> {
        let range = |what, value: u32, low: u32, high: u32, hint| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(invalid(what, value, format!("{low} to {high}"), hint))
            }
        };
        let least = if parts.insecure {
            INSECURE_BITS
        } else {
            *BITS.start()
        };
        range(
            "bits",
            parts.bits,
            least,
            *BITS.end(),
            "use 3072; smaller moduli can be factored",
        )?;
        if !parts.bits.is_multiple_of(BITS_STEP) {
            return Err(invalid(
                "bits",
                parts.bits,
                format!("a multiple of {BITS_STEP}"),
                "use 2048, 3072 or 4096",
            ));
        }
        range(
            "fraction_bits",
            parts.fraction_bits,
            0,
            MAX_FRACTION_BITS,
            "doubles carry 53 bits",
        )?;
        range(
            "integer_bits",
            parts.integer_bits,
            1,
            MAX_INTEGER_BITS,
            "scale the data",
        )?;
        range(
            "value_bits",
            parts.value_bits,
            0,
            parts.integer_bits,
            "raise `integer_bits`: sums of fresh values have to fit",
        )?;
        if parts.depth > MAX_DEPTH {
            return Err(invalid(
                "depth",
                parts.depth,
                format!("0 to {MAX_DEPTH}"),
                "split the computation, or decrypt and encrypt again in between",
            ));
        }
        let width = slot_width(parts.integer_bits, parts.fraction_bits, parts.depth);
        let fits = fitting_slots(parts.bits, width);
        if width > MAX_MANTISSA_BITS || fits == 0 {
            return Err(invalid(
                "fraction_bits, integer_bits and depth",
                format!("{width} bits to a slot"),
                format!("at most {}", MAX_MANTISSA_BITS.min(parts.bits - 2)),
                "ask for less precision, range or depth, or for a larger modulus",
            ));
        }
        if !parts.slots.is_power_of_two() || parts.slots > fits {
            return Err(invalid(
                "slots",
                parts.slots,
                format!("a power of two, at most {fits} ({width} bits to a slot)"),
                "ask for less precision, range or depth, or for a larger modulus",
            ));
        }
        let mut bytes = Vec::new();
        for part in [
            u64::from(parts.bits),
            u64::from(parts.fraction_bits),
            u64::from(parts.integer_bits),
            u64::from(parts.value_bits),
            parts.depth as u64,
            parts.slots as u64,
            u64::from(parts.insecure),
        ] {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        let id = ParameterId::digest("cipherblas 2026 paillier parameters", &bytes);
        Ok(Self {
            inner: Arc::new(Inner { id, ..parts }),
        })
    }

    /// Starts from the defaults: 3072 bits, 32 bits of fraction, fresh values up to 2^10, depth 1, as many slots as fit.
    pub fn builder() -> ParamsBuilder {
        ParamsBuilder {
            bits: 3072,
            fraction_bits: 32,
            value_bits: None,
            integer_bits: None,
            terms: None,
            depth: 1,
            slots: None,
            insecure: false,
        }
    }
    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.inner.bits
    }
    /// Bits after the binary point of values and weights.
    pub fn fraction_bits(&self) -> u32 {
        self.inner.fraction_bits
    }
    /// Values and results are at most `2^integer_bits` in absolute value.
    pub fn integer_bits(&self) -> u32 {
        self.inner.integer_bits
    }
    /// Fresh values are at most `2^value_bits` in absolute value, where no other bound is declared.
    pub fn value_bits(&self) -> u32 {
        self.inner.value_bits
    }
    /// Fresh values, at their default bound, that can be summed: `2^(integer_bits - value_bits)`.
    pub fn terms(&self) -> u64 {
        1 << (self.inner.integer_bits - self.inner.value_bits)
    }
    /// Plain products a fresh ciphertext can take.
    pub fn depth(&self) -> usize {
        self.inner.depth
    }
    /// Values in a ciphertext: a power of two.
    pub fn slots(&self) -> usize {
        self.inner.slots
    }
    /// Bits of a slot: sign, guard, integer bits, and the fraction after all products.
    pub fn slot_width(&self) -> u32 {
        slot_width(
            self.inner.integer_bits,
            self.inner.fraction_bits,
            self.inner.depth,
        )
    }
    /// The largest value and the capacity that bounds are checked against: `2^integer_bits`.
    pub fn max_value(&self) -> f64 {
        power_of_two(self.inner.integer_bits as i32)
    }
    /// The magnitude that is declared by default: `2^value_bits`.
    pub fn default_bound(&self) -> f64 {
        power_of_two(self.inner.value_bits as i32)
    }
    /// The largest error bound that a ciphertext may carry: half the largest value. Together they stay within the guard bit.
    pub(crate) fn max_error(&self) -> f64 {
        self.max_value() / 2.0
    }
    /// Bits after the binary point of a ciphertext at `depth`: `fraction_bits * (1 + self.depth() - depth)`.
    ///
    /// # Panics
    /// If `depth` exceeds the parameters'.
    pub fn exponent(&self, depth: usize) -> u32 {
        assert!(
            depth <= self.inner.depth,
            "depth {depth} of {}",
            self.inner.depth
        );
        self.inner.fraction_bits * (1 + self.inner.depth - depth) as u32
    }
    /// The largest error of an encoding at `depth`: half a unit of the fixed point.
    pub(crate) fn rounding(&self, depth: usize) -> f64 {
        power_of_two(-(self.exponent(depth) as i32) - 1)
    }
    /// Whether the parameters were made with `insecure_bits`.
    pub fn is_insecure(&self) -> bool {
        self.inner.insecure
    }
    /// Hash of everything that defines the parameters.
    pub fn id(&self) -> ParameterId {
        self.inner.id
    }
    /// Bytes of a ciphertext as a number, on the wire and in memory: two times the modulus.
    pub fn ciphertext_bytes(&self) -> usize {
        self.inner.bits as usize / 4
    }
    pub(crate) fn parts(&self) -> &Inner {
        &self.inner
    }
}

impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.inner.id == other.inner.id
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Params({}, {} bits, {} slots, depth {})",
            self.id(),
            self.bits(),
            self.slots(),
            self.depth()
        )
    }
}

/// Modulus, fixed point, slots, range, sizes.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = match self.bits() {
            _ if self.is_insecure() => "INSECURE, for tests only".to_owned(),
            bits => {
                // NIST SP 800-57 part 1, table 2.
                let strength = match bits {
                    ..3072 => 112,
                    3072..7680 => 128,
                    _ => 192,
                };
                format!("about {strength} bits classical (factoring)")
            }
        };
        writeln!(
            f,
            "Paillier, modulus of {} bits ({} slot(s) of {} bits)",
            self.bits(),
            self.slots(),
            self.slot_width()
        )?;
        writeln!(f, "  security       {security}")?;
        writeln!(
            f,
            "  fixed point    multiples of 2^-{}, depth {} (plain products)",
            self.fraction_bits(),
            self.depth()
        )?;
        writeln!(
            f,
            "  range          results up to 2^{}, fresh values up to 2^{}: sums of {} of them",
            self.integer_bits(),
            self.value_bits(),
            self.terms()
        )?;
        write!(
            f,
            "  on the wire    {} bytes to a ciphertext, {:.0} to a value",
            self.ciphertext_bytes(),
            self.ciphertext_bytes() as f64 / self.slots() as f64
        )
    }
}
