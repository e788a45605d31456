use super::*;
use crate::backend::Backend;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

#[derive(Clone, Copy, Debug)]
enum Fill {
    Random,
    /// The largest residues, signs at random.
    Extreme,
    /// The largest residues, products of one sign.
    Positive,
    Negative,
}

const FILLS: [Fill; 4] = [Fill::Random, Fill::Extreme, Fill::Positive, Fill::Negative];

fn residues(prime: Prime, fill: Fill, negate: bool, count: usize, seed: u64) -> Vec<i16> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let half = prime.half();
    (0..count)
        .map(|_| {
            let x = rng.next_u64() as i64;
            match fill {
                Fill::Random => prime.reduce_i64(x),
                Fill::Extreme => half * (1 | x >> 63) as i16,
                Fill::Positive => half,
                Fill::Negative if negate => -half,
                Fill::Negative => half,
            }
        })
        .collect()
}

fn expected(prime: Prime, a: Strided<'_, i16>, b: Strided<'_, i16>, s: usize, t: usize) -> i64 {
    let p = i128::from(prime.value());
    let sum: i128 = (0..b.rows())
        .map(|i| i128::from(*a.at(s, i)) * i128::from(*b.at(i, t)))
        .sum();
    let r = sum.rem_euclid(p);
    (if r > p / 2 { r - p } else { r }) as i64
}

/// Strides of a `rows x cols` matrix: gaps between entries, and which index is the outer one.
fn strides(rows: usize, cols: usize, gap: usize, columns_first: bool) -> (usize, usize, usize) {
    let (row, col) = if columns_first {
        (gap, rows * gap + 3)
    } else {
        (cols * gap + 3, gap)
    };
    let length = (rows.max(1) - 1) * row + (cols.max(1) - 1) * col + 1;
    (row, col, length)
}

fn check(prime: Prime, (m, k, n): (usize, usize, usize), fill: Fill, seed: u64, layout: usize) {
    let gap = [1, 1, 2, 4][layout / 8 % 4];
    let (ra, ca, la) = strides(m, k, gap, layout & 1 == 1);
    let (rb, cb, lb) = strides(k, n, gap, layout & 2 == 2);
    let (rc, cc, lc) = strides(m, n, if gap == 4 { 3 } else { 1 }, layout & 4 == 4);
    let a = residues(prime, fill, false, la, seed);
    let b = residues(prime, fill, true, lb, seed + 1);
    let before = residues(prime, Fill::Extreme, false, lc, seed + 2);
    let va = Strided::new(&a, m, k, ra, ca).unwrap();
    let vb = Strided::new(&b, k, n, rb, cb).unwrap();
    for backend in Backend::with_narrow() {
        for accumulate in [false, true] {
            let mut out = before.clone();
            let mut view = StridedMut::new(&mut out, m, n, rc, cc).unwrap();
            gemm_with(backend, prime, va, vb, &mut view, accumulate).unwrap();
            let mut touched = vec![false; lc];
            for s in 0..m {
                for t in 0..n {
                    let at = s * rc + t * cc;
                    touched[at] = true;
                    let mut e = expected(prime, va, vb, s, t);
                    if accumulate {
                        e = i64::from(prime.reduce_i64(e + i64::from(before[at])));
                    }
                    assert_eq!(
                        i64::from(out[at]),
                        e,
                        "{} {m} {k} {n} {fill:?} {layout} ({s}, {t})",
                        backend.name()
                    );
                }
            }
            for i in (0..lc).filter(|&i| !touched[i]) {
                assert_eq!(out[i], before[i], "written outside of the result");
            }
        }
    }
}

fn check_syrk(prime: Prime, k: usize, n: usize, fill: Fill, seed: u64, gap: usize) {
    let a = residues(prime, fill, false, k * n * gap, seed);
    let view = Strided::new(&a, k, n, n * gap, gap).unwrap();
    for backend in Backend::with_narrow() {
        let mut out = vec![0i16; n * n];
        for round in 1..=2i64 {
            let mut target = StridedMut::row_major(&mut out, n, n).unwrap();
            syrk_with(backend, prime, view, &mut target, round == 2).unwrap();
            for s in 0..n {
                for t in 0..n {
                    let e = expected(prime, view.transposed(), view, s, t) * round;
                    assert_eq!(out[s * n + t], prime.reduce_i64(e), "{k} {n} ({s}, {t})");
                }
            }
        }
    }
}

fn prime(index: usize) -> Prime {
    Prime::new(PRIMES[index]).unwrap()
}

#[test]
fn table_is_every_prime_from_the_largest() {
    let all: Vec<u16> = (3..=MAX_PRIME)
        .rev()
        .filter(|&p| crate::primes::is_prime(u64::from(p)))
        .take(PRIMES.len())
        .collect();
    assert_eq!(all, PRIMES);
    let half = i64::from(prime(0).half());
    assert!(64 * half * half + (1 << 15) < 1 << 31);
    assert!(Basis::largest(48).unwrap().bits() > 645.0);
    assert_eq!(Basis::with_bits(67.0).unwrap().len(), 5);
    for p in [0, 1, 2, 9, 11_587, 11_581, u16::MAX] {
        assert!(Prime::new(p).is_err(), "{p}");
    }
    assert!(Basis::largest(0).is_err() && Basis::largest(49).is_err());
    assert!(Basis::new(vec![prime(1), prime(1)]).is_err());
    assert!(Basis::with_bits(f64::NAN).is_err());
    assert!(Basis::largest(3).unwrap().prefix(0).is_err());
    assert!(Basis::largest(3).unwrap().prefix(4).is_err());
}

#[test]
fn extremes_at_every_depth() {
    for k in [
        1, 2, 31, 55, 56, 57, 63, 64, 65, 112, 127, 128, 129, 447, 448, 449, 500, 1000,
    ] {
        for fill in FILLS {
            check(prime(0), (5, k, 19), fill, k as u64, k % 4);
        }
    }
    check(prime(0), (3, 20_000, 5), Fill::Positive, 1, 0);
    check(prime(0), (3, 20_000, 5), Fill::Negative, 1, 0);
}

#[test]
fn shapes() {
    for (i, &(m, k, n)) in [
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
        (1, 1, 1),
        (1, 100, 1),
        (7, 9, 5),
        (12, 64, 32),
        (13, 65, 33),
        (48, 70, 100),
        (200, 30, 17),
        (17, 30, 300),
    ]
    .iter()
    .enumerate()
    {
        for layout in 0..32 {
            check(prime(i), (m, k, n), Fill::Random, i as u64, layout);
        }
    }
    check(prime(0), (300, 460, 400), Fill::Extreme, 9, 0);
}

#[test]
fn small_primes() {
    for p in [3, 5, 7, 257, 4099, 8191] {
        for fill in FILLS {
            check(Prime::new(p).unwrap(), (9, 300, 20), fill, u64::from(p), 1);
        }
    }
}

#[test]
fn symmetric() {
    for (k, n) in [(1, 1), (5, 7), (64, 65), (130, 33), (57, 200), (0, 3)] {
        for fill in [Fill::Random, Fill::Extreme] {
            check_syrk(prime(k % 8), k, n, fill, n as u64, 1 + k % 2);
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let x = [0i16; 12];
    assert!(Strided::new(&x, 3, 4, 4, 1).is_ok());
    assert!(Strided::new(&x, 3, 4, 5, 1).is_err());
    assert!(Strided::new(&x, usize::MAX, 2, usize::MAX, 1).is_err());
    let mut y = [0i16; 12];
    assert!(StridedMut::new(&mut y, 3, 4, 1, 3).is_ok());
    for (rows, cols, row, col) in [(3, 4, 0, 1), (3, 4, 3, 1), (2, 2, 1, 1), (4, 1, 0, 1)] {
        assert!(
            StridedMut::new(&mut y, rows, cols, row, col).is_err(),
            "{rows} {cols} {row} {col}"
        );
    }
    let (p, half) = (prime(0), prime(0).half());
    let ones = [1i16; 6];
    let a = Strided::row_major(&ones, 2, 3).unwrap();
    let mut out = [7i16; 6];
    let mut view = StridedMut::row_major(&mut out, 2, 2).unwrap();
    assert!(gemm(p, a, a, &mut view, false).is_err());
    assert!(gemm(p, a, a.transposed(), &mut view, false).is_ok());
    assert!(gemm_tn(p, a, a, &mut view, false).is_err());
    assert!(syrk(p, a, &mut view, false).is_err());
    for bad in [half + 1, -half - 1, i16::MIN, i16::MAX] {
        let mut values = ones;
        values[5] = bad;
        let b = Strided::row_major(&values, 2, 3).unwrap();
        for backend in Backend::with_narrow() {
            assert!(gemm_with(backend, p, a, b.transposed(), &mut view, false).is_err());
            assert!(gemm_with(backend, p, b, a.transposed(), &mut view, false).is_err());
        }
    }
    assert_eq!(out, [3, 3, 3, 3, 7, 7]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn agrees_with_integers(
        seed in 0u64..1 << 60, index in 0usize..48, layout in 0usize..32, fill in 0usize..4,
        m in 1usize..70, k in 1usize..300, n in 1usize..70,
    ) {
        check(prime(index), (m, k, n), FILLS[fill], seed, layout);
    }

    #[test]
    fn reductions(x: i64, y: i128, index in 0usize..48) {
        for p in [prime(index), Prime::new(3).unwrap()] {
            let centred = |x: i128| {
                let p = i128::from(p.value());
                let r = x.rem_euclid(p);
                (if r > p / 2 { r - p } else { r }) as i16
            };
            for x in [x, i64::MIN, i64::MAX, x >> 30, 0, -1] {
                prop_assert_eq!(p.reduce_i64(x), centred(i128::from(x)));
            }
            for y in [y, i128::MIN, i128::MAX, y >> 70] {
                prop_assert_eq!(p.reduce_i128(y), centred(y));
            }
            let a = p.reduce_i64(x);
            match p.inv(a) {
                Some(b) => prop_assert_eq!(p.mul(a, b), 1),
                None => prop_assert_eq!(a, 0),
            }
        }
    }
}
