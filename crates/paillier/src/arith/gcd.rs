//! Greatest common divisors and inverses of public numbers: Lehmer's method (Amer. Math. Monthly 45, 1938), with quotients
//! from the leading 62 bits. Time depends on the numbers.

use super::exp::bit_length;
use num_bigint::BigUint;

/// Coefficients of a combined step stay below this, so that a limb times one fits easily.
const LIMIT: i64 = 1 << 31;

/// Two rows of a combined step: `(a, b)` becomes `(r[0] a + r[1] b, r[2] a + r[3] b)`.
type Step = [i64; 4];

/// `x^-1 mod n` for `x < n`, as many limbs as `n`; `None` if they have a common factor.
pub(crate) fn invert(x: &[u64], n: &[u64]) -> Option<Vec<u64>> {
    let mut inverse = Cofactors::new(n.len());
    if !coprime(x, n, |step, quotients| inverse.apply(step, quotients)) {
        return None;
    }
    Some(inverse.result(n))
}

/// Whether `x < n` and `n` have no common factor.
pub(crate) fn are_coprime(x: &[u64], n: &[u64]) -> bool {
    coprime(x, n, |_, _| ())
}

/// What happens to a pair of numbers: a combined step, or a quotient of any length.
enum Change<'a> {
    Step(Step),
    Quotient(&'a [u64]),
}

/// Absolute values of the coefficients of `x` in the two remainders. Their signs alternate, so they are only added.
struct Cofactors {
    first: Vec<u64>,
    second: Vec<u64>,
    quotients: usize,
}

impl Cofactors {
    fn new(len: usize) -> Self {
        let mut second = vec![0; len + 1];
        second[0] = 1;
        Self {
            first: vec![0; len + 1],
            second,
            quotients: 0,
        }
    }
    fn apply(&mut self, change: &Change<'_>, quotients: usize) {
        self.quotients += quotients;
        match change {
            Change::Step(step) => {
                combine(
                    &mut self.first,
                    &mut self.second,
                    &step.map(|coefficient| coefficient.abs()),
                );
            }
            Change::Quotient(quotient) => {
                let len = self.first.len();
                for (i, &word) in quotient.iter().enumerate() {
                    let mut carry = 0u128;
                    for j in 0..len - i {
                        carry += u128::from(word) * u128::from(self.second[j])
                            + u128::from(self.first[i + j]);
                        self.first[i + j] = carry as u64;
                        carry >>= 64;
                    }
                }
                std::mem::swap(&mut self.first, &mut self.second);
            }
        }
    }
    /// The coefficient of the last remainder but one, which is 1; it is positive after an odd number of quotients.
    fn result(mut self, n: &[u64]) -> Vec<u64> {
        self.first.truncate(n.len());
        if self.quotients % 2 == 1 {
            return self.first;
        }
        let mut negated = n.to_vec();
        super::limbs::sub_assign(&mut negated, &self.first);
        negated
    }
}

fn coprime(x: &[u64], n: &[u64], mut changed: impl FnMut(&Change<'_>, usize)) -> bool {
    let mut a = n.to_vec();
    let mut b = x.to_vec();
    b.resize(a.len(), 0);
    loop {
        let (high, low) = (bit_length(&a), bit_length(&b));
        if low == 0 {
            return high == 1;
        }
        // Limbs above stay zero from here on.
        a.truncate(high.div_ceil(64));
        b.truncate(a.len());
        let shift = high.saturating_sub(62);
        let (step, quotients) = leading_steps(top(&a, shift), top(&b, shift));
        if quotients > 0 {
            combine(&mut a, &mut b, &step);
            changed(&Change::Step(step), quotients);
            continue;
        }
        let (wide_a, wide_b) = (number(&a), number(&b));
        let quotient = (&wide_a / &wide_b).to_u64_digits();
        let mut rest = (wide_a % wide_b).to_u64_digits();
        rest.resize(a.len(), 0);
        a = std::mem::replace(&mut b, rest);
        changed(&Change::Quotient(&quotient), 1);
    }
}

fn number(limbs: &[u64]) -> BigUint {
    super::limbs::to_biguint(limbs)
}

/// 62 bits from `shift` on.
fn top(value: &[u64], shift: usize) -> i64 {
    let (limb, offset) = (shift / 64, shift % 64);
    let low = value.get(limb).copied().unwrap_or(0) >> offset;
    let high = match offset {
        0 => 0,
        _ => value.get(limb + 1).copied().unwrap_or(0) << (64 - offset),
    };
    ((low | high) & ((1 << 62) - 1)) as i64
}

/// Euclid's steps that the leading bits of both numbers decide, whatever follows them (Collins' condition), and their number.
fn leading_steps(mut a: i64, mut b: i64) -> (Step, usize) {
    let mut step: Step = [1, 0, 0, 1];
    let mut count = 0;
    loop {
        let [r0, r1, r2, r3] = step;
        if b + r2 <= 0 || b + r3 <= 0 {
            break;
        }
        let quotient = (a + r0) / (b + r2);
        if quotient != (a + r1) / (b + r3) || quotient >= LIMIT {
            break;
        }
        let next = [r2, r3, r0 - quotient * r2, r1 - quotient * r3];
        if next[2].abs() >= LIMIT || next[3].abs() >= LIMIT {
            break;
        }
        step = next;
        (a, b) = (b, a - quotient * b);
        count += 1;
    }
    (step, count)
}

fn combine(a: &mut [u64], b: &mut [u64], step: &Step) {
    let [r0, r1, r2, r3] = step.map(i128::from);
    let (mut first, mut second) = (0i128, 0i128);
    for (a, b) in a.iter_mut().zip(b) {
        let (x, y) = (i128::from(*a), i128::from(*b));
        first += r0 * x + r1 * y;
        second += r2 * x + r3 * y;
        *a = first as u64;
        *b = second as u64;
        first >>= 64;
        second >>= 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_integer::Integer;
    use num_traits::One;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn agrees_with_big_integers(x in prop::collection::vec(any::<u64>(), 1..40), n in prop::collection::vec(any::<u64>(), 1..40), factor in prop::sample::select(vec![1u64, 1, 3, u64::MAX]), near in 0..4) {
            let n = number(&n) * factor + 2u8;
            let x = match near {
                0 => &n - 1u8,
                1 => &n / 3u8,
                2 => BigUint::one(),
                _ => number(&x) * factor % &n,
            };
            let limbs = n.to_u64_digits();
            let mut small = x.to_u64_digits();
            small.resize(limbs.len(), 0);
            prop_assert_eq!(are_coprime(&small, &limbs), x.gcd(&n).is_one());
            prop_assert_eq!(invert(&small, &limbs).map(|i| number(&i)), x.modinv(&n));
        }
    }
}
