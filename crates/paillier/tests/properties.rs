//! Random sequences of operations against big integers: 10,000 operations, 100,000 with `CIPHERBLAS_DEEP=1`.
//!
//! The oracle keeps, for each slot, the encoded integer and the exact real value (a dyadic rational, as all doubles are). After
//! each operation the plaintext is the sum of shifted integers to the last bit, the error bound holds exactly, the magnitude
//! bound too, and what the library refuses is what exceeds the range by the exact bounds.

use cipherblas_paillier::{Ciphertext, Error, Evaluator, Params, SecretKey};
use cipherblas_scheme::{
    Add, AddPlain, Combine, Decrypt, Encrypt, ErrorBound, MulPlain, Scheme, WeightMatrix, Wire,
};
use num_bigint::{BigInt, BigUint, Sign};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// `mantissa / 2^scale`.
#[derive(Clone, Debug)]
struct Dyadic {
    mantissa: BigInt,
    scale: u32,
}

impl Dyadic {
    /// Enough for every double.
    fn of(x: f64) -> Self {
        let bits = x.abs().to_bits();
        let exponent = (bits >> 52) as u32;
        let mantissa = bits & ((1 << 52) - 1);
        // Subnormals have the exponent of the smallest normal numbers.
        let (mantissa, exponent) = match exponent {
            0 => (mantissa, 1),
            e => (mantissa | 1 << 52, e),
        };
        let (shift, scale) = if exponent >= 1075 {
            (exponent - 1075, 0)
        } else {
            (0, 1075 - exponent)
        };
        let mantissa = BigInt::from(mantissa) << shift;
        Self {
            mantissa: if x < 0.0 { -mantissa } else { mantissa },
            scale,
        }
    }
    fn plus(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        let at = |d: &Self| &d.mantissa << (scale - d.scale);
        Self {
            mantissa: at(self) + at(other),
            scale,
        }
    }
    fn times(&self, other: &Self) -> Self {
        let product = Self {
            mantissa: &self.mantissa * &other.mantissa,
            scale: self.scale + other.scale,
        };
        // Keep numbers short.
        let zeros = product
            .mantissa
            .trailing_zeros()
            .unwrap_or(0)
            .min(product.scale.into()) as u32;
        Self {
            mantissa: product.mantissa >> zeros,
            scale: product.scale - zeros,
        }
    }
    fn negated(&self) -> Self {
        Self {
            mantissa: -&self.mantissa,
            scale: self.scale,
        }
    }
    fn absolute(&self) -> Self {
        Self {
            mantissa: self.mantissa.magnitude().clone().into(),
            scale: self.scale,
        }
    }
    /// Nearest multiple of `2^-bits`, half away from zero, as an integer.
    fn rounded(&self, bits: u32) -> BigInt {
        let magnitude = self.mantissa.magnitude() << (bits + 1);
        let twice = magnitude >> self.scale;
        let rounded: BigUint = (twice + 1u8) >> 1;
        BigInt::from_biguint(
            if self.mantissa.sign() == Sign::Minus {
                Sign::Minus
            } else {
                Sign::Plus
            },
            rounded,
        )
    }
    fn at_most(&self, other: &Self) -> bool {
        let scale = self.scale.max(other.scale);
        (&self.mantissa << (scale - self.scale)) <= (&other.mantissa << (scale - other.scale))
    }
}

/// A ciphertext beside what it has to be.
#[derive(Clone)]
struct Tracked {
    ct: Ciphertext,
    /// Encoded integers.
    slots: Vec<BigInt>,
    /// Exact values.
    exact: Vec<Dyadic>,
    /// Exact bounds on the values and on the error: no rounding.
    bound: Dyadic,
    error: Dyadic,
}

/// Encoded integers, exact values, bound on the values, bound on the error.
type Expected = (Vec<BigInt>, Vec<Dyadic>, Dyadic, Dyadic);

struct Machine {
    key: SecretKey,
    server: Evaluator,
    params: Params,
    rng: ChaCha20Rng,
    pool: Vec<Tracked>,
    done: usize,
    refused: usize,
}

impl Machine {
    fn new(params: Params, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = SecretKey::generate(&params, &mut rng).unwrap();
        let mut machine = Self {
            server: key.public_key().evaluator(),
            key,
            params,
            rng,
            pool: Vec::new(),
            done: 0,
            refused: 0,
        };
        for _ in 0..6 {
            let fresh = machine.fresh();
            machine.pool.push(fresh);
        }
        machine
    }
    /// Doubles of all kinds up to `largest`.
    fn value(&mut self, largest: f64) -> f64 {
        let x = match self.rng.random_range(0..6) {
            0 => largest,
            1 => 0.0,
            2 => (self.rng.random_range(0.0..=largest) * 8.0).floor() / 8.0,
            3 => self.rng.random_range(0.0..=largest) * 2f64.powi(-40),
            _ => self.rng.random_range(0.0..=largest),
        };
        if self.rng.random() { x } else { -x }
    }
    fn values(&mut self, largest: f64) -> Vec<f64> {
        let period = 1 << self.rng.random_range(0..=self.params.slots().ilog2());
        (0..period).map(|_| self.value(largest)).collect()
    }
    fn encode(&self, values: &[f64], depth: usize) -> (Vec<BigInt>, Vec<Dyadic>) {
        let exponent = self.params.exponent(depth);
        values
            .iter()
            .cycle()
            .take(self.params.slots())
            .map(|&x| {
                let exact = Dyadic::of(x);
                (exact.rounded(exponent), exact)
            })
            .unzip()
    }
    fn fresh(&mut self) -> Tracked {
        let depth = self.rng.random_range(0..=self.params.depth());
        let bound = 2f64.powi(self.rng.random_range(-3..=4));
        let values = self.values(bound);
        let ct = if self.rng.random_ratio(1, 8) {
            let public = self.key.public_key();
            public.encrypt_at(&values, depth, Some(bound), &mut self.rng)
        } else {
            self.key
                .encrypt_at(&values, depth, Some(bound), &mut self.rng)
        };
        let (slots, exact) = self.encode(&values, depth);
        Tracked {
            ct: ct.unwrap(),
            slots,
            exact,
            bound: Dyadic::of(bound),
            error: Dyadic {
                mantissa: BigInt::from(1),
                scale: self.params.exponent(depth) + 1,
            },
        }
    }
    fn pick(&mut self) -> Tracked {
        let index = self.rng.random_range(0..self.pool.len());
        self.pool[index].clone()
    }
    fn lowered(&self, a: &Tracked, depth: usize) -> Vec<BigInt> {
        let shift = self.params.exponent(depth) - self.params.exponent(a.ct.depth());
        a.slots.iter().map(|v| v << shift).collect()
    }
    /// `sum_i weights[i] * terms[i]`, terms brought to depth `from`, with integers that stand for the weights times `2^bits`.
    fn expectation(
        &self,
        terms: &[Tracked],
        integers: &[BigInt],
        weights: &[Dyadic],
        bits: u32,
        from: usize,
    ) -> Expected {
        let n = self.params.slots();
        let mut slots = vec![BigInt::from(0); n];
        let mut exact = vec![Dyadic::of(0.0); n];
        let mut bound = Dyadic::of(0.0);
        let mut error = Dyadic::of(0.0);
        for ((a, integer), weight) in terms.iter().zip(integers).zip(weights) {
            for (i, v) in self.lowered(a, from).into_iter().enumerate() {
                slots[i] += v * integer;
                exact[i] = exact[i].plus(&a.exact[i].times(weight));
            }
            bound = bound.plus(&a.bound.times(&weight.absolute()));
            let rounded = Dyadic {
                mantissa: integer.clone(),
                scale: bits,
            };
            let rounding = rounded.plus(&weight.negated()).absolute();
            let largest = weight.absolute().plus(&rounding);
            error = error
                .plus(&rounding.times(&a.bound))
                .plus(&largest.times(&a.error));
        }
        (slots, exact, bound, error)
    }

    /// One operation: checks its result or its refusal, and puts it into the pool.
    fn step(&mut self) {
        let (a, b) = (self.pick(), self.pick());
        let one = || vec![BigInt::from(1)];
        let unit = || vec![Dyadic::of(1.0)];
        let server = self.server.clone();
        let least = a.ct.depth().min(b.ct.depth());
        let f = self.params.fraction_bits();
        let (what, result, (slots, exact, bound, error)): (_, _, Expected) = match self
            .rng
            .random_range(0..12)
        {
            0 => {
                let fresh = self.fresh();
                (
                    "encrypt",
                    Ok(fresh.ct),
                    (fresh.slots, fresh.exact, fresh.bound, fresh.error),
                )
            }
            1 => {
                let twice = [one(), one()].concat();
                let units = [unit(), unit()].concat();
                let expected = self.expectation(&[a.clone(), b.clone()], &twice, &units, 0, least);
                ("add", server.add(&a.ct, &b.ct), expected)
            }
            2 => {
                let signs = [BigInt::from(1), BigInt::from(-1)];
                let units = [Dyadic::of(1.0), Dyadic::of(-1.0)];
                let expected = self.expectation(&[a.clone(), b.clone()], &signs, &units, 0, least);
                ("sub", server.sub(&a.ct, &b.ct), expected)
            }
            3 => {
                let slots = a.slots.iter().map(|v| -v).collect();
                let exact = a.exact.iter().map(Dyadic::negated).collect();
                (
                    "negate",
                    server.negate(&a.ct),
                    (slots, exact, a.bound, a.error),
                )
            }
            4 => {
                let values = self.values(16.0);
                let (slots, exact) = self.encode(&values, a.ct.depth());
                let exponent = self.params.exponent(a.ct.depth());
                let roundings = slots.iter().zip(&exact).map(|(v, x)| {
                    let encoded = Dyadic {
                        mantissa: v.clone(),
                        scale: exponent,
                    };
                    encoded.plus(&x.negated()).absolute()
                });
                let largest = |a: Dyadic, b: Dyadic| if a.at_most(&b) { b } else { a };
                let error = a.error.plus(&roundings.fold(Dyadic::of(0.0), largest));
                let slots = slots.iter().zip(&a.slots).map(|(x, y)| x + y).collect();
                let exact = exact.iter().zip(&a.exact).map(|(x, y)| x.plus(y)).collect();
                let largest = values.iter().fold(0.0f64, |m, x| m.max(x.abs()));
                let bound = a.bound.plus(&Dyadic::of(largest));
                (
                    "add_plain",
                    server.add_plain(&a.ct, &values),
                    (slots, exact, bound, error),
                )
            }
            5 => {
                let w = self.rng.random_range(-300i32..=300);
                let weight = Dyadic::of(w.into());
                let expected = self.expectation(
                    std::slice::from_ref(&a),
                    &[w.into()],
                    &[weight],
                    0,
                    a.ct.depth(),
                );
                ("integer", server.mul_scalar(&a.ct, w.into()), expected)
            }
            6 if a.ct.depth() > 0 => {
                let w = self.value(64.0);
                let weight = Dyadic::of(w);
                let integer = weight.rounded(f);
                let expected = self.expectation(
                    std::slice::from_ref(&a),
                    &[integer],
                    &[weight],
                    f,
                    a.ct.depth(),
                );
                ("mul_plain", server.mul_plain(&a.ct, &[w]), expected)
            }
            7 if a.ct.depth() > 0 => {
                let depth = self.rng.random_range(0..a.ct.depth());
                let w = self.value(64.0);
                let weight = Dyadic::of(w);
                let bits = self.params.exponent(depth) - self.params.exponent(a.ct.depth());
                let integer = weight.rounded(bits);
                let expected = self.expectation(
                    std::slice::from_ref(&a),
                    &[integer],
                    &[weight],
                    bits,
                    a.ct.depth(),
                );
                (
                    "mul_scalar_to",
                    server.mul_scalar_to(&a.ct, w, depth),
                    expected,
                )
            }
            8 => {
                let depth = self.rng.random_range(0..=a.ct.depth());
                let slots = self.lowered(&a, depth);
                (
                    "lower_to",
                    server.lower_to(&a.ct, depth),
                    (slots, a.exact, a.bound, a.error),
                )
            }
            9 => {
                let terms: Vec<Tracked> = (0..self.rng.random_range(1..8))
                    .map(|_| self.pick())
                    .collect();
                let depth = terms.iter().map(|t| t.ct.depth()).min().unwrap();
                let ones = vec![BigInt::from(1); terms.len()];
                let units = vec![Dyadic::of(1.0); terms.len()];
                let expected = self.expectation(&terms, &ones, &units, 0, depth);
                let cts: Vec<&Ciphertext> = terms.iter().map(|t| &t.ct).collect();
                ("sum", server.sum(&cts), expected)
            }
            10 => {
                let terms: Vec<Tracked> = (0..self.rng.random_range(1..6))
                    .map(|_| self.pick())
                    .collect();
                let depth = terms.iter().map(|t| t.ct.depth()).min().unwrap();
                let cts: Vec<&Ciphertext> = terms.iter().map(|t| &t.ct).collect();
                let (rows, cols) = (self.rng.random_range(1..4), terms.len());
                let weights: Vec<f64> = (0..rows * cols).map(|_| self.value(8.0)).collect();
                let matrix = WeightMatrix::new(rows, cols, &weights).unwrap();
                let mut results = server.combine(matrix, &cts);
                if depth == 0 {
                    assert!(matches!(results, Err(Error::Depth { .. })));
                    return;
                }
                // One row is looked at; if another was refused, all are.
                let row = self.rng.random_range(0..rows);
                let exact: Vec<Dyadic> = weights[row * cols..][..cols]
                    .iter()
                    .map(|&w| Dyadic::of(w))
                    .collect();
                if results.is_err() && rows > 1 {
                    results = server
                        .combine(
                            WeightMatrix::new(1, cols, &weights[row * cols..][..cols]).unwrap(),
                            &cts,
                        )
                        .map(|mut out| vec![out.remove(0); rows]);
                }
                let integers: Vec<BigInt> = exact.iter().map(|w| w.rounded(f)).collect();
                let expected = self.expectation(&terms, &integers, &exact, f, depth);
                (
                    "combine",
                    results.map(|mut out| out.swap_remove(row)),
                    expected,
                )
            }
            _ => {
                let blinded = server.rerandomize(&a.ct, &mut self.rng).unwrap();
                assert!(blinded.element() != a.ct.element());
                let back = server.read_ciphertext(&server.write_ciphertext(&blinded));
                (
                    "rerandomize, write and read",
                    back,
                    (a.slots, a.exact, a.bound, a.error),
                )
            }
        };
        self.done += 1;
        let capacity = Dyadic::of(self.params.max_value());
        match result {
            Ok(ct) => {
                let tracked = Tracked {
                    ct,
                    slots,
                    exact,
                    bound,
                    error,
                };
                self.check(what, &tracked);
                let index = self.rng.random_range(0..self.pool.len());
                self.pool[index] = tracked;
            }
            Err(Error::Overflow { .. }) => {
                // Bounds are rounded up by a few units in the last place.
                let slack = Dyadic::of(1.0 + 2f64.powi(-40));
                let largest_error = Dyadic::of(self.params.max_value() / 2.0);
                assert!(
                    !(bound.times(&slack).at_most(&capacity)
                        && error.times(&slack).at_most(&largest_error)),
                    "{what} was refused, and fits"
                );
                self.refused += 1;
                let index = self.rng.random_range(0..self.pool.len());
                self.pool[index] = self.fresh();
            }
            Err(e) => panic!("{what}: {e}"),
        }
    }

    fn check(&self, what: &str, t: &Tracked) {
        let width = self.params.slot_width();
        let packed: BigInt = t
            .slots
            .iter()
            .enumerate()
            .map(|(i, v)| v << (width as usize * i))
            .sum();
        let n = BigInt::from(self.server.key().n().clone());
        let expected = ((packed % &n) + &n) % &n;
        let words = self.key.key().decrypt_raw(t.ct.element()).unwrap();
        let plaintext = BigUint::new(
            words
                .iter()
                .flat_map(|w| [*w as u32, (w >> 32) as u32])
                .collect(),
        );
        assert_eq!(BigInt::from(plaintext), expected, "{what}: the plaintext");

        let half = BigInt::from(1) << (width - 1);
        let exponent = self.params.exponent(t.ct.depth());
        let magnitude = Dyadic::of(self.server.magnitude_bound(&t.ct));
        assert!(
            t.bound.at_most(&magnitude),
            "{what}: the bound was rounded down"
        );
        // The bound is the exact one, rounded up a little, and the rounding of the decoded double.
        let bound = Dyadic::of(self.server.error_bound(&t.ct));
        assert!(
            t.error.at_most(&bound),
            "{what}: the error bound was rounded down"
        );
        let decoded = magnitude.plus(&t.error).times(&Dyadic::of(2f64.powi(-51)));
        let slack = Dyadic::of(1.0 + 2f64.powi(-40));
        assert!(
            bound.at_most(&t.error.plus(&decoded).times(&slack)),
            "{what}: the error bound is loose"
        );
        let decrypted = self.key.decrypt(&t.ct).unwrap();
        for ((v, exact), got) in t.slots.iter().zip(&t.exact).zip(decrypted) {
            assert!(
                *v < half && *v > -&half,
                "{what}: a slot is beyond its width"
            );
            assert!(
                exact.absolute().at_most(&magnitude),
                "{what}: the magnitude"
            );
            let encoded = Dyadic {
                mantissa: v.clone(),
                scale: exponent,
            };
            let off = encoded.plus(&exact.negated()).absolute();
            assert!(
                off.at_most(&bound),
                "{what}: the error bound of the fixed point"
            );
            let off = Dyadic::of(got).plus(&exact.negated()).absolute();
            assert!(
                off.at_most(&bound),
                "{what}: the error bound of the decoded value"
            );
        }
    }
}

fn operations() -> usize {
    if std::env::var_os("CIPHERBLAS_DEEP").is_some_and(|v| v == "1") {
        100_000
    } else {
        10_000
    }
}

/// Runs `count` operations, and shows that they were no idle ones.
fn run(params: &Params, seed: u64, count: usize) {
    let mut machine = Machine::new(params.clone(), seed);
    while machine.done < count {
        machine.step();
    }
    if count > 500 {
        assert!(machine.refused > 0, "nothing ever came near the range");
        assert!(machine.refused < count / 4, "hardly anything fitted");
    }
}

#[test]
fn packed() {
    let params = Params::builder()
        .insecure_bits(256)
        .fraction_bits(16)
        .integer_bits(13)
        .value_bits(4)
        .depth(1)
        .build()
        .unwrap();
    assert_eq!(params.slots(), 4);
    run(&params, 1, operations() * 4 / 10);
}

#[test]
fn deep() {
    let params = Params::builder()
        .insecure_bits(512)
        .fraction_bits(20)
        .integer_bits(20)
        .value_bits(4)
        .depth(3)
        .build()
        .unwrap();
    assert_eq!(params.slots(), 4);
    run(&params, 2, operations() * 3 / 10);
}

#[test]
fn one_slot() {
    let params = Params::builder()
        .insecure_bits(256)
        .fraction_bits(52)
        .integer_bits(24)
        .depth(2)
        .slots(1)
        .build()
        .unwrap();
    run(&params, 3, operations() * 29 / 100);
}

/// The range starts where a slot is full: no bit to spare in the modulus.
#[test]
fn every_bit_is_used() {
    let params = Params::builder()
        .insecure_bits(256)
        .fraction_bits(18)
        .integer_bits(6)
        .value_bits(4)
        .depth(1)
        .slots(4)
        .build()
        .unwrap();
    let tight = Params::builder()
        .insecure_bits(256)
        .fraction_bits(0)
        .integer_bits(60)
        .value_bits(4)
        .depth(0)
        .build()
        .unwrap();
    assert_eq!(tight.slots() as u32 * tight.slot_width(), 248);
    run(&params, 4, 300);
    run(&tight, 5, 300);
}

#[test]
fn full_size() {
    let params = Params::builder().bits(2048).build().unwrap();
    run(&params, 6, operations() / 100);
}
