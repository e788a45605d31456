//! Sums with weights, over more columns than one exact GEMM takes.

use cipherblas_math::primes::primes_near;
use cipherblas_rlwe::{Ntt, Poly, Ring, RingSpec, pairs};

#[test]
fn wide_combinations_are_split_and_summed() {
    let primes = primes_near(1 << 30, 32, 3, &[]).unwrap();
    let ring = Ring::new(RingSpec {
        degree: 16,
        groups: vec![vec![primes[0]], vec![primes[1]]],
        special: primes_near((1 << 50) - 1, 32, 1, &primes).unwrap(),
        digit_len: 1,
    })
    .unwrap();
    let basis = ring.basis(1);
    let constant = |x: i64| {
        let mut poly = Poly::<Ntt>::zero(&ring, basis);
        poly.fill_with(|m, _, limb| limb.fill(m.modulus().residue_i64(x)));
        poly
    };
    let cols = 4096 + 7;
    let halves: Vec<(Poly<Ntt>, Poly<Ntt>)> = (0..cols as i64)
        .map(|j| (constant(j * 1001 - 9), constant(5 - j)))
        .collect();
    let cts: Vec<_> = halves.iter().map(|(a, b)| (a, b)).collect();
    let weight = |r: i64, j: i64| (r + 2) * j % 1009 - 500;
    let weights: Vec<f64> = (0..2)
        .flat_map(|r| (0..cols as i64).map(move |j| weight(r, j) as f64))
        .collect();
    let out = pairs::combine(&weights, 10, 2, &cts, 3).unwrap();
    assert_eq!(out.len(), 2);
    for (r, (c0, c1)) in out.iter().enumerate() {
        let sum = |f: &dyn Fn(i64) -> i64| -> i64 {
            (0..cols as i64)
                .map(|j| 3 * weight(r as i64, j) * f(j))
                .sum()
        };
        for k in 0..2 {
            let m = ring.moduli()[k];
            let first = m.from_i64(sum(&|j| j * 1001 - 9));
            let second = m.from_i64(sum(&|j| 5 - j));
            assert!(c0.limb(k).iter().all(|&x| m.canonical(x) == first));
            assert!(c1.limb(k).iter().all(|&x| m.canonical(x) == second));
        }
    }
    assert!(pairs::combine(&weights[..cols], 10, 2, &cts, 1).is_err());
    assert!(pairs::combine(&weights, 8, 2, &cts, 1).is_err());
    assert!(pairs::combine(&[], 9, 1, &[], 1).is_err());
}
