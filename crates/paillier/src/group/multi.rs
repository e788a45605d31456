//! Products of powers: `out_k = prod_j c_j^W[k][j]`.
//!
//! Two methods, chosen by counting products:
//!
//! - *Straus* (Amer. Math. Monthly 71, 1964): odd powers of each ciphertext, made once for all rows; a row then shares its
//!   squarings among all terms and multiplies by one entry for each sliding window of each weight.
//! - *Pippenger* (SIAM J. Comput. 9, 1980): for long rows and few of them; in each window the ciphertexts are gathered in
//!   buckets by digit, and no powers are made.
//!
//! Negative weights go to a denominator for each row; all denominators are inverted together.

use super::Element;
use crate::arith::exp::{Ring, bit_length, odd_powers, sliding_digits};
use crate::arith::limbs::{Secret, bits_at, secret};
use crate::arith::{Scratch, SquareRing, fastest};
use crate::keys::PublicKey;
use cipherblas_scheme::{Error, Result};
use num_bigint::{BigInt, Sign};
use rayon::prelude::*;
use std::ops::Range;

/// Tables of odd powers take at most this much memory.
const TABLE_BYTES: usize = 1 << 28;
/// A square costs this much of a product.
const SQUARE: f64 = 0.7;
/// Rows are split for several threads into parts of at least so many terms.
const PART: usize = 64;

/// A public integer weight.
pub trait Weight: Sync {
    /// Whether it is negative, and the absolute value in little-endian words.
    fn parts(&self) -> (bool, Vec<u64>);
}

impl Weight for i64 {
    fn parts(&self) -> (bool, Vec<u64>) {
        (*self < 0, vec![self.unsigned_abs()])
    }
}
impl Weight for i128 {
    fn parts(&self) -> (bool, Vec<u64>) {
        let magnitude = self.unsigned_abs();
        (*self < 0, vec![magnitude as u64, (magnitude >> 64) as u64])
    }
}
impl Weight for BigInt {
    fn parts(&self) -> (bool, Vec<u64>) {
        (self.sign() == Sign::Minus, self.magnitude().to_u64_digits())
    }
}

/// A weight's absolute value and whose exponent it is.
struct Term {
    index: usize,
    magnitude: Vec<u64>,
}

/// The terms of one sign of one row, or some of them.
struct Part<'a> {
    row: usize,
    negative: bool,
    terms: &'a [Term],
}

/// How products of powers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Sliding windows of so many bits.
    Straus(usize),
    /// Digits of so many bits.
    Pippenger(usize),
}

impl PublicKey {
    /// `out_k` encrypts the sum over the terms `(j, w)` of row `k` of `w` times the plaintext of `elements[j]`: a product
    /// of powers for each row, rows in parallel. An empty row gives 1, the unblinded zero. Time depends on the weights,
    /// which are public. Cost: for `R` full rows of `C` weights of `b` bits about `R C b / (w + 1) + C 2^(w - 1)` products,
    /// with the best window `w`, and one inversion if any weight is negative.
    ///
    /// # Errors
    /// `Shape` if an index is beyond the elements; as [`negate`](Self::negate).
    pub fn multi_exp<W: Weight>(
        &self,
        elements: &[&Element],
        rows: &[Vec<(usize, W)>],
    ) -> Result<Vec<Element>> {
        self.multi_exp_by(elements, rows, None)
    }

    fn multi_exp_by<W: Weight>(
        &self,
        elements: &[&Element],
        rows: &[Vec<(usize, W)>],
        method: Option<Method>,
    ) -> Result<Vec<Element>> {
        for (row, terms) in rows.iter().enumerate() {
            if let Some((index, _)) = terms.iter().find(|(index, _)| *index >= elements.len()) {
                return Err(Error::Shape {
                    operation: "multi-exponentiation",
                    got: format!("index {index} in row {row}"),
                    expected: format!("below {}, the number of ciphertexts", elements.len()),
                    hint: "each term names one of the ciphertexts",
                });
            }
        }
        let signs: Vec<[Vec<Term>; 2]> = rows.par_iter().map(|terms| by_sign(terms)).collect();
        let parts = split(&signs);
        let ring = self.ring();
        let work = Work::of(&signs, elements.len());
        let method = method.unwrap_or_else(|| work.best(8 * ring.width()));
        let products = self.products(elements, &parts, method, &work.used);
        self.join(rows.len(), &parts, products)
    }

    /// The product of powers of each part.
    fn products(
        &self,
        elements: &[&Element],
        parts: &[Part<'_>],
        method: Method,
        used: &[bool],
    ) -> Vec<Element> {
        let this = self.ring();
        fastest!(this, |ring, enter, leave| {
            let bases: Vec<Secret> = elements
                .par_iter()
                .zip(used)
                .map_init(
                    || ring.scratch(),
                    |scratch, (element, &used)| {
                        if used {
                            enter(&element.0, scratch)
                        } else {
                            secret(0)
                        }
                    },
                )
                .collect();
            let tables = match method {
                Method::Straus(window) => tables(ring, &bases, window),
                Method::Pippenger(_) => Vec::new(),
            };
            parts
                .par_iter()
                .map(|part| {
                    let product = match method {
                        Method::Straus(window) => straus(ring, part.terms, window, &tables),
                        Method::Pippenger(window) => pippenger(ring, part.terms, window, &bases),
                    };
                    Element::new(leave(product, &mut ring.scratch()))
                })
                .collect()
        })
    }

    /// Products of the parts of each row, divided by those of its denominator.
    fn join(
        &self,
        rows: usize,
        parts: &[Part<'_>],
        products: Vec<Element>,
    ) -> Result<Vec<Element>> {
        let ring = self.ring();
        let mut scratch = ring.scratch();
        let mut fractions: Vec<[Option<Element>; 2]> = (0..rows).map(|_| [None, None]).collect();
        for (part, product) in parts.iter().zip(products) {
            match &mut fractions[part.row][usize::from(part.negative)] {
                Some(so_far) => {
                    ring.mul_assign(&mut so_far.0, &product.0, &mut scratch);
                }
                empty => *empty = Some(product),
            }
        }
        let denominators: Vec<&Element> =
            fractions.iter().filter_map(|[_, d]| d.as_ref()).collect();
        let mut inverses = self.negate_all(&denominators)?.into_iter();
        let mut out = Vec::with_capacity(rows);
        for [numerator, denominator] in &fractions {
            let mut value = numerator
                .clone()
                .unwrap_or_else(|| Element(SquareRing::one(ring).into()));
            if denominator.is_some()
                && let Some(inverse) = inverses.next()
            {
                ring.mul_assign(&mut value.0, &inverse.0, &mut scratch);
            }
            out.push(value);
        }
        Ok(out)
    }
}

/// The terms of a row that are not zero: positive, negative.
fn by_sign<W: Weight>(terms: &[(usize, W)]) -> [Vec<Term>; 2] {
    let mut signs = [Vec::new(), Vec::new()];
    for (index, weight) in terms {
        let (negative, magnitude) = weight.parts();
        if bit_length(&magnitude) > 0 {
            signs[usize::from(negative)].push(Term {
                index: *index,
                magnitude,
            });
        }
    }
    signs
}

/// One part for each sign of each row, or several if there are fewer than threads.
fn split(signs: &[[Vec<Term>; 2]]) -> Vec<Part<'_>> {
    let threads = rayon::current_num_threads();
    let groups = || {
        signs.iter().enumerate().flat_map(|(row, signs)| {
            [(false, &signs[0]), (true, &signs[1])]
                .into_iter()
                .filter(|(_, terms)| !terms.is_empty())
                .map(move |(negative, terms)| (row, negative, terms))
        })
    };
    let count = groups().count().max(1);
    let pieces = if count >= 2 * threads {
        1
    } else {
        threads.div_ceil(count)
    };
    groups()
        .flat_map(|(row, negative, terms)| {
            let size = terms.len().div_ceil(pieces).max(PART);
            terms.chunks(size).map(move |terms| Part {
                row,
                negative,
                terms,
            })
        })
        .collect()
}

/// What the methods cost, in products.
struct Work {
    /// Which elements occur.
    used: Vec<bool>,
    /// Terms, and their bits together.
    terms: f64,
    bits: f64,
    /// Of each sign of each row: the longest weight, the number of terms.
    groups: Vec<(usize, usize)>,
}

impl Work {
    fn of(signs: &[[Vec<Term>; 2]], elements: usize) -> Self {
        let mut work = Self {
            used: vec![false; elements],
            terms: 0.0,
            bits: 0.0,
            groups: Vec::new(),
        };
        for terms in signs.iter().flatten().filter(|terms| !terms.is_empty()) {
            let mut longest = 0;
            for term in terms {
                let bits = bit_length(&term.magnitude);
                work.used[term.index] = true;
                work.bits += bits as f64;
                longest = longest.max(bits);
            }
            work.terms += terms.len() as f64;
            work.groups.push((longest, terms.len()));
        }
        work
    }

    fn straus(&self, window: usize) -> f64 {
        let used = self.used.iter().filter(|used| **used).count() as f64;
        let table = if window == 1 {
            0.0
        } else {
            SQUARE + f64::from((1u32 << (window - 1)) - 1)
        };
        // A sliding window covers its bits and, on average, one zero; the last is cut short.
        let entries = (self.bits / (window + 1) as f64 + 0.5 * self.terms).min(self.bits);
        used * table + entries
    }
    fn pippenger(&self, window: usize) -> f64 {
        self.groups
            .iter()
            .map(|&(longest, terms)| {
                // Into the buckets or over them, and once for each digit.
                let products = terms as f64 + f64::from(1u32 << window);
                longest.div_ceil(window) as f64 * products
            })
            .sum()
    }

    /// The cheaper method, with its window; squarings are the same for both.
    fn best(&self, element_bytes: usize) -> Method {
        let used = self.used.iter().filter(|used| **used).count();
        let straus = (1..=8)
            .filter(|w| *w == 1 || (used * element_bytes) << (w - 1) <= TABLE_BYTES)
            .map(|w| (self.straus(w), Method::Straus(w)));
        let pippenger = (1..=14).map(|w| (self.pippenger(w), Method::Pippenger(w)));
        straus
            .chain(pippenger)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(Method::Straus(1), |best| best.1)
    }
}

/// Odd powers of the bases that occur: the others are empty.
fn tables<R: Ring + Sync>(ring: &R, bases: &[Secret], window: usize) -> Vec<Secret> {
    bases
        .par_iter()
        .map_init(
            || ring.scratch(),
            |scratch, base| {
                if base.is_empty() {
                    secret(0)
                } else {
                    odd_powers(ring, base, 1 << (window - 1), scratch)
                }
            },
        )
        .collect()
}

/// An accumulator that is 1 until something is multiplied in.
struct Product<'a, R> {
    ring: &'a R,
    value: Secret,
    one: bool,
}

impl<'a, R: Ring> Product<'a, R> {
    fn new(ring: &'a R) -> Self {
        let mut value = secret(ring.width());
        value.copy_from_slice(ring.one());
        Self {
            ring,
            value,
            one: true,
        }
    }
    fn mul(&mut self, factor: &[u64], scratch: &mut Scratch) {
        if self.one {
            self.value.copy_from_slice(factor);
            self.one = false;
        } else {
            self.ring.mul_assign(&mut self.value, factor, scratch);
        }
    }
    fn mul_product(&mut self, factor: &Self, scratch: &mut Scratch) {
        if !factor.one {
            self.mul(&factor.value, scratch);
        }
    }
    fn square(&mut self, scratch: &mut Scratch) {
        if !self.one {
            self.ring.sqr_assign(&mut self.value, scratch);
        }
    }
}

fn straus<R: Ring>(ring: &R, terms: &[Term], window: usize, tables: &[Secret]) -> Secret {
    let width = ring.width();
    let mut digits: Vec<(usize, usize, Range<usize>)> = terms
        .iter()
        .flat_map(|term| {
            sliding_digits(&term.magnitude, window)
                .into_iter()
                .map(|(position, digit)| {
                    let entry = digit / 2 * width;
                    (position, term.index, entry..entry + width)
                })
        })
        .collect();
    digits.sort_unstable_by_key(|(position, ..)| std::cmp::Reverse(*position));
    let mut scratch = ring.scratch();
    let mut product = Product::new(ring);
    let mut at = 0;
    for (position, index, entry) in digits {
        for _ in position..at {
            product.square(&mut scratch);
        }
        at = position;
        product.mul(&tables[index][entry], &mut scratch);
    }
    for _ in 0..at {
        product.square(&mut scratch);
    }
    product.value
}

fn pippenger<R: Ring>(ring: &R, terms: &[Term], window: usize, bases: &[Secret]) -> Secret {
    let longest = terms
        .iter()
        .map(|term| bit_length(&term.magnitude))
        .max()
        .unwrap_or(0);
    let mut scratch = ring.scratch();
    let mut product = Product::new(ring);
    let mut buckets: Vec<Product<'_, R>> =
        (1..1usize << window).map(|_| Product::new(ring)).collect();
    for i in (0..longest.div_ceil(window)).rev() {
        for _ in 0..window {
            product.square(&mut scratch);
        }
        for term in terms {
            let digit = bits_at(&term.magnitude, i * window, window) as usize;
            if digit > 0 {
                buckets[digit - 1].mul(&bases[term.index], &mut scratch);
            }
        }
        // prod_d bucket_d^d: the products of the buckets from d up, multiplied over all d.
        let mut suffix = Product::new(ring);
        for bucket in buckets.iter_mut().rev() {
            suffix.mul_product(bucket, &mut scratch);
            product.mul_product(&suffix, &mut scratch);
            bucket.one = true;
        }
    }
    product.value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use num_bigint::BigUint;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::sync::OnceLock;

    fn elements() -> &'static (PublicKey, Vec<Element>) {
        static CELL: OnceLock<(PublicKey, Vec<Element>)> = OnceLock::new();
        CELL.get_or_init(|| {
            let mut rng = StdRng::seed_from_u64(5);
            let key = SecretKey::insecure_generate(256, &mut rng).unwrap();
            let elements = (0..12u8)
                .map(|i| key.encrypt_raw(&BigUint::from(i), &mut rng).unwrap())
                .collect();
            (key.public_key().clone(), elements)
        })
    }

    fn big_integers(key: &PublicKey, elements: &[Element], row: &[(usize, i128)]) -> BigUint {
        let n2 = key.n_squared();
        row.iter().fold(BigUint::from(1u8), |product, (j, w)| {
            let power = key
                .element_to_biguint(&elements[*j])
                .modpow(&BigUint::from(w.unsigned_abs()), n2);
            let power = if *w < 0 {
                power.modinv(n2).unwrap()
            } else {
                power
            };
            product * power % n2
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_method_agrees_with_big_integers(
            rows in prop::collection::vec(prop::collection::vec((0usize..12, any::<i128>(), 0u32..128), 0..20), 0..4),
            window in 1usize..9,
        ) {
            let (key, elements) = elements();
            let rows: Vec<Vec<(usize, i128)>> = rows.into_iter().map(|row| row.into_iter().map(|(j, w, s)| (j, w >> s)).collect()).collect();
            let borrowed: Vec<&Element> = elements.iter().collect();
            let want: Vec<BigUint> = rows.iter().map(|row| big_integers(key, elements, row)).collect();
            for method in [None, Some(Method::Straus(window)), Some(Method::Pippenger(window))] {
                let got = key.multi_exp_by(&borrowed, &rows, method).unwrap();
                let got: Vec<BigUint> = got.iter().map(|e| key.element_to_biguint(e)).collect();
                prop_assert_eq!(&got, &want, "{:?}", method);
            }
        }
    }

    fn work(rows: usize, columns: usize, bits: usize) -> Work {
        Work {
            used: vec![true; columns],
            terms: (rows * columns) as f64,
            bits: (rows * columns * bits) as f64,
            groups: vec![(bits, columns); rows],
        }
    }

    #[test]
    fn one_long_row_goes_to_buckets_and_many_rows_to_tables() {
        assert!(matches!(
            work(1, 10_000, 53).best(512),
            Method::Pippenger(_)
        ));
        assert!(matches!(
            work(256, 256, 53).best(512),
            Method::Straus(7 | 8)
        ));
        assert!(matches!(work(1, 32, 53).best(512), Method::Straus(3 | 4)));
        assert_eq!(work(5, 5, 1).best(512), Method::Straus(1));
    }

    #[test]
    fn an_index_beyond_the_elements_is_an_error() {
        let (key, elements) = elements();
        let error = key
            .multi_exp(&[&elements[0]], &[vec![(1, 1i64)]])
            .unwrap_err();
        assert!(matches!(error, Error::Shape { got, .. } if got == "index 1 in row 0"));
    }
}
