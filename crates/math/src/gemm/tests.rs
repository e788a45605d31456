use super::*;
use crate::backend::Backend;
use crate::modulus::Modulus;
use crate::narrow::{Strided, StridedMut};
use crate::primes::primes_near;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn largest_prime(bits: u32) -> Modulus {
    (1u64..1 << bits)
        .rev()
        .find_map(|p| Modulus::new(p).ok())
        .unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    Random,
    /// Every input and weight at the largest size; signs by position.
    Extreme,
    /// The same, all products of one sign.
    ExtremePositive,
}

fn values(rng: &mut ChaCha20Rng, fill: Fill, limit: i64, count: usize) -> Vec<i64> {
    (0..count)
        .map(|_| {
            let r = rng.next_u64() as i64;
            match fill {
                Fill::Random => r % (limit + 1),
                Fill::Extreme => limit * (1 | r >> 63),
                Fill::ExtremePositive => limit,
            }
        })
        .collect()
}

fn check_product(
    m: Modulus,
    weight_bits: u32,
    (rows, cols, n): (usize, usize, usize),
    fill: Fill,
    seed: u64,
) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let p = m.value() as i64;
    // p / 2 is the largest balanced residue, p the largest lazy one, which is zero.
    let x_limit = if matches!(fill, Fill::Random) {
        p
    } else {
        p / 2
    };
    let w = values(&mut rng, fill, (1 << weight_bits) - 1, rows * cols);
    let x: Vec<Vec<i64>> = (0..cols)
        .map(|_| values(&mut rng, fill, x_limit, n))
        .collect();
    let weights: Vec<f64> = w.iter().map(|&w| w as f64).collect();
    let inputs: Vec<Vec<f64>> = x
        .iter()
        .map(|x| x.iter().map(|&x| x as f64).collect())
        .collect();
    let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    for backend in Backend::all() {
        let mut out = vec![vec![f64::NAN; n]; rows];
        let mut outputs: Vec<&mut [f64]> = out.iter_mut().map(Vec::as_mut_slice).collect();
        combine(
            &Kernels::new(m, backend),
            &weights,
            weight_bits,
            rows,
            cols,
            &inputs,
            &mut outputs,
        )
        .unwrap();
        for (k, out) in out.iter().enumerate() {
            for (i, &y) in out.iter().enumerate() {
                let row = &w[k * cols..(k + 1) * cols];
                let sum: i128 = row
                    .iter()
                    .zip(&x)
                    .map(|(&w, x)| i128::from(w) * i128::from(x[i]))
                    .sum();
                assert!(y.abs() <= p as f64 && y.fract() == 0.0);
                assert_eq!(
                    m.canonical(y),
                    m.from_i128(sum),
                    "{} {p} {weight_bits} {k} {i}",
                    backend.name()
                );
            }
        }
    }
}

#[test]
fn shapes() {
    let m = largest_prime(50);
    for (rows, cols, n) in [
        (1, 1, 1),
        (1, 7, 8),
        (2, 3, 65),
        (5, 4, 64),
        (7, 300, 9),
        (13, 5, 130),
        (6, 257, 16),
    ] {
        for weight_bits in [8, 20, 35, 50] {
            check_product(m, weight_bits, (rows, cols, n), Fill::Random, rows as u64);
        }
    }
}

/// Depths beyond every fold, at the largest factors: an inexact sum would show.
#[test]
fn extremes_at_every_size() {
    for modulus_bits in [3, 10, 20, 25, 26, 27, 30, 36, 40, 45, 49, 50] {
        let m = largest_prime(modulus_bits);
        for weight_bits in 1..=50 {
            for fill in [Fill::Extreme, Fill::ExtremePositive] {
                check_product(m, weight_bits, (3, 700, 8), fill, u64::from(weight_bits));
            }
        }
    }
}

#[test]
fn deepest_sums() {
    for (modulus_bits, weight_bits) in [(50, 50), (50, 20), (50, 28), (26, 15), (30, 10)] {
        check_product(
            largest_prime(modulus_bits),
            weight_bits,
            (2, MAX_COLUMNS, 8),
            Fill::ExtremePositive,
            1,
        );
    }
}

/// The plan's bounds, from their definitions, in integers.
#[test]
fn plans_are_exact() {
    let mut seen = [0usize; 3];
    for modulus_bits in 2..=50u32 {
        for weight_bits in 1..=50u32 {
            for cols in [1, 5, 64, 4096] {
                let x = (1u128 << (modulus_bits - 1)) - 1;
                let w = (1u128 << weight_bits.min(modulus_bits - 1)) - 1;
                let p = (1u128 << modulus_bits) - 1;
                for plan in Plan::candidates(modulus_bits, weight_bits, cols) {
                    let fold = plan.fold as u128;
                    assert!(fold >= 1);
                    match plan.method {
                        Method::Direct => assert!(fold * x * w + p <= 1 << 53),
                        Method::Split(radix) => {
                            let radix = radix as u128;
                            let digit = (radix / 2).max((x + radix / 2) / radix);
                            assert!(fold * digit * w + p <= 1 << 53, "{plan:?}");
                        }
                        Method::Compensated(magic) => {
                            let unit = (magic / 1.5) as u128 >> 52;
                            assert!(fold * x * w < unit << 51, "{plan:?}");
                            assert!(fold * unit / 2 + 3 * p <= 1 << 53 || unit == 1, "{plan:?}");
                        }
                    }
                }
                let index = match Plan::new(modulus_bits, weight_bits, cols).method {
                    Method::Direct => 0,
                    Method::Split(_) => 1,
                    Method::Compensated(_) => 2,
                };
                seen[index] += 1;
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn refuses_what_does_not_fit() {
    let kernels = Kernels::new(largest_prime(50), Backend::detect());
    let (x, short) = ([1.0; 8], [1.0; 7]);
    let run = |weights: &[f64], bits, rows, cols, inputs: &[&[f64]]| {
        let mut out = vec![[f64::NAN; 8]; rows];
        let mut outputs: Vec<&mut [f64]> = out.iter_mut().map(|o| &mut o[..]).collect();
        let result = combine(&kernels, weights, bits, rows, cols, inputs, &mut outputs);
        if result.is_err() {
            assert!(out.iter().flatten().all(|x| x.is_nan()));
        }
        result
    };
    assert!(run(&[1.0, 2.0], 2, 1, 2, &[&x, &x]).is_ok());
    assert!(run(&[1.0, 2.0], 2, 2, 2, &[&x, &x]).is_err());
    assert!(run(&[1.0, 2.0], 2, 1, 2, &[&x]).is_err());
    assert!(run(&[1.0, 2.0], 2, 1, 2, &[&x, &short]).is_err());
    assert!(run(&[], 2, 1, 0, &[]).is_err());
    assert!(run(&[1.0], 0, 1, 1, &[&x]).is_err());
    assert!(run(&[1.0], 51, 1, 1, &[&x]).is_err());
    for bad in [4.0, -4.0, 0.5, f64::NAN, f64::INFINITY] {
        let error = run(&[1.0, bad], 2, 2, 1, &[&x]).unwrap_err();
        assert!(error.to_string().contains("row 1, column 0"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn agrees_with_integers(
        seed: u64, modulus_bits in 12u32..=50, weight_bits in 1u32..=50,
        rows in 1usize..20, cols in 1usize..80, n in 1usize..150,
    ) {
        check_product(largest_prime(modulus_bits), weight_bits, (rows, cols, n), Fill::Random, seed);
    }
}

#[test]
fn agrees_at_transform_primes() {
    for p in primes_near(1 << 49, 1 << 17, 2, &[]).unwrap() {
        check_product(Modulus::new(p).unwrap(), 30, (9, 40, 1000), Fill::Random, p);
    }
}

/// Both products of matrices against sums of 128 bits.
fn check_matrices(m: Modulus, bits: u32, (rows, depth, cols): (usize, usize, usize), fill: Fill) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(bits));
    let p = m.value() as i64;
    let limit = if matches!(fill, Fill::Random) {
        p
    } else {
        p / 2
    };
    let a = values(&mut rng, fill, limit, rows * depth);
    let w = values(&mut rng, fill, (1 << bits) - 1, rows * depth);
    let b = values(&mut rng, fill, limit, depth * cols);
    let reals = |x: &[i64]| -> Vec<f64> { x.iter().map(|&x| x as f64).collect() };
    let (ra, rw, rb) = (reals(&a), reals(&w), reals(&b));
    let right = Strided::row_major(&rb, depth, cols).unwrap();
    for backend in Backend::with_narrow() {
        for (plain, left, left_reals) in [(false, &a, &ra), (true, &w, &rw)] {
            let mut out = vec![f64::NAN; rows * cols];
            // The result's columns first.
            let mut view = StridedMut::new(&mut out, rows, cols, 1, rows).unwrap();
            let left_view = Strided::row_major(left_reals, rows, depth).unwrap();
            if plain {
                weighted_with(backend, m, left_view, bits, right, &mut view).unwrap();
            } else {
                residues_with(backend, m, left_view, right, &mut view).unwrap();
            }
            for s in 0..rows {
                for t in 0..cols {
                    let terms = (0..depth)
                        .map(|i| i128::from(left[s * depth + i]) * i128::from(b[i * cols + t]));
                    let sum: i128 = terms.sum();
                    let y = out[s + t * rows];
                    assert!(y.abs() <= p as f64 && y.fract() == 0.0);
                    assert_eq!(
                        m.canonical(y),
                        m.from_i128(sum),
                        "{} {p} {bits}",
                        backend.name()
                    );
                }
            }
        }
    }
}

#[test]
fn matrices_of_every_size() {
    for modulus_bits in [2, 5, 14, 20, 31, 40, 49, 50] {
        for fill in [Fill::Random, Fill::Extreme, Fill::ExtremePositive] {
            for bits in [1, 13, 30, 50] {
                check_matrices(largest_prime(modulus_bits), bits, (3, 70, 5), fill);
            }
        }
    }
    for fill in [Fill::Random, Fill::ExtremePositive] {
        check_matrices(largest_prime(50), 50, (2, 1 << 16, 3), fill);
        check_matrices(largest_prime(50), 20, (70, 257, 2100), fill);
    }
    // A prime that is narrow itself.
    check_matrices(Modulus::new(11_579).unwrap(), 10, (4, 9, 5), Fill::Random);
}

#[test]
fn matrices_that_do_not_fit() {
    let m = largest_prime(40);
    let mut out = [f64::NAN; 4];
    let p = m.value() as f64;
    let ones = [1.0; 6];
    let one = Strided::row_major(&ones, 2, 3).unwrap();
    let mut view = StridedMut::row_major(&mut out, 2, 2).unwrap();
    assert!(residues(m, one, one, &mut view).is_err());
    for bad in [0.5, f64::NAN, f64::INFINITY, p + 1.0, -p - 1.0] {
        let mut values = ones;
        values[4] = bad;
        let x = Strided::row_major(&values, 2, 3).unwrap();
        assert!(residues(m, x, one.transposed(), &mut view).is_err());
        assert!(residues(m, one, x.transposed(), &mut view).is_err());
        assert!(weighted(m, x, 20, one.transposed(), &mut view).is_err());
    }
    for bits in [0, 51] {
        assert!(weighted(m, one, bits, one.transposed(), &mut view).is_err());
    }
    assert!(out.iter().all(|x| x.is_nan()));
}

/// Long enough for several threads.
#[test]
fn cut_for_threads() {
    check_product(largest_prime(45), 20, (40, 30, 5001), Fill::Random, 3);
}

/// Enough rows and columns for narrow primes.
#[test]
fn many_rows() {
    for (bits, fill) in [
        (50, Fill::Random),
        (50, Fill::ExtremePositive),
        (35, Fill::Extreme),
    ] {
        check_product(largest_prime(50), bits, (NARROW, NARROW + 1, 37), fill, 3);
    }
    check_product(largest_prime(40), 50, (NARROW, NARROW, 9), Fill::Random, 4);
}
