//! Primes for number theoretic transforms.

use crate::error::{MathError, Result};
use crate::modulus::MAX_MODULUS_BITS;

/// Whether `n` is prime: deterministic for every `u64`. Not constant time.
pub fn is_prime(n: u64) -> bool {
    /// The first twelve primes as Miller-Rabin bases decide every n below 3.3 * 10^24 (Sorenson and Webster, 2015).
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    for q in BASES {
        if n.is_multiple_of(q) {
            return n == q;
        }
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    BASES.iter().all(|&base| {
        let mut x = pow_mod(base, odd, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        for _ in 1..twos {
            x = mul_mod(x, x, n);
            if x == n - 1 {
                return true;
            }
        }
        false
    })
}

fn mul_mod(a: u64, b: u64, n: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(n)) as u64
}

fn pow_mod(mut base: u64, mut exponent: u64, n: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, base, n);
        }
        base = mul_mod(base, base, n);
        exponent >>= 1;
    }
    result
}

/// `count` primes `p = 1 mod step`, below 2^50, none in `exclude`, nearest to `target` first (of two equally near, the
/// larger first).
///
/// A negacyclic transform of degree `n` needs `step` to be a multiple of `2 n`.
///
/// # Errors
/// [`MathError::Parameter`] for a step of 0 or above 2^50, [`MathError::Primes`] when there are not enough.
pub fn primes_near(target: u64, step: u64, count: usize, exclude: &[u64]) -> Result<Vec<u64>> {
    const LIMIT: u64 = 1 << MAX_MODULUS_BITS;
    if step == 0 || step > LIMIT {
        return Err(MathError::Parameter {
            operation: "primes_near",
            got: format!("a step of {step}"),
            expected: "a step between 1 and 2^50".into(),
            hint: "use twice the ring degree",
        });
    }
    let base = target.min(LIMIT - 1);
    // The candidates are `1 + k * step`; `above` and `below` walk away from the target.
    let mut below = (base > 0).then(|| (base - 1) / step * step + 1);
    let mut above = Some(below.map_or(1, |b| b + step));
    let mut found = Vec::with_capacity(count.min(1024));
    while found.len() < count {
        above = above.filter(|&a| a < LIMIT);
        let candidate = match (below, above) {
            (Some(b), Some(a)) if target.abs_diff(a) <= target.abs_diff(b) => a,
            (Some(b), _) => b,
            (None, Some(a)) => a,
            (None, None) => {
                return Err(MathError::Primes {
                    got: found.len(),
                    expected: count,
                    target,
                    step,
                });
            }
        };
        if Some(candidate) == above {
            above = candidate.checked_add(step);
        } else {
            below = candidate.checked_sub(step).filter(|&b| b > 0);
        }
        if candidate > 2 && is_prime(candidate) && !exclude.contains(&candidate) {
            found.push(candidate);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_sieve() {
        const N: usize = 20_000;
        let mut composite = vec![false; N];
        for i in 2..N {
            if !composite[i] {
                (i * i..N).step_by(i).for_each(|j| composite[j] = true);
            }
            assert_eq!(is_prime(i as u64), !composite[i], "{i}");
        }
        assert!(!is_prime(0) && !is_prime(1));
    }

    #[test]
    fn strong_pseudoprimes_and_large_primes() {
        for n in [
            3_215_031_751,
            3_825_123_056_546_413_051,
            341_550_071_728_321,
            561,
            u64::MAX,
        ] {
            assert!(!is_prime(n), "{n}");
        }
        for n in [(1 << 50) - 27, (1 << 61) - 1, u64::MAX - 58] {
            assert!(is_prime(n), "{n}");
        }
    }

    #[test]
    fn nearest_first_none_missed() {
        let (target, step) = (1_000_000, 64);
        let got = primes_near(target, step, 50, &[]).unwrap();
        let mut all: Vec<u64> = (1..2_000_000)
            .step_by(64)
            .filter(|&p| is_prime(p))
            .collect();
        all.sort_by_key(|&p| (target.abs_diff(p), u64::MAX - p));
        assert_eq!(got, all[..50]);
        let rest = primes_near(target, step, 10, &got).unwrap();
        assert_eq!(rest, all[50..60]);
    }

    #[test]
    fn stays_below_2_50_and_is_one_modulo_the_step() {
        for target in [1 << 50, u64::MAX, (1 << 50) - 1] {
            let primes = primes_near(target, 1 << 18, 20, &[]).unwrap();
            assert!(
                primes
                    .iter()
                    .all(|&p| p < 1 << 50 && p % (1 << 18) == 1 && is_prime(p))
            );
            assert!(primes.is_sorted_by(|a, b| a > b));
        }
    }

    #[test]
    fn too_many_is_an_error() {
        let error = primes_near(0, 1 << 49, 3, &[]).unwrap_err();
        assert!(
            matches!(error, MathError::Primes { expected: 3, .. }),
            "{error}"
        );
        assert!(matches!(
            primes_near(5, 0, 1, &[]),
            Err(MathError::Parameter { .. })
        ));
    }
}
