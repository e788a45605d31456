//! Products of matrices modulo one narrow prime, beside the same product of doubles; products modulo a wide prime; changes of
//! modulus.

use cipherblas_math::narrow::{
    Basis, Between, PRIMES, Prime, Reconstruct, Rule, Strided, StridedMut, ToNarrow, ToWide,
    gemm_tn_with, syrk_with,
};
use cipherblas_math::{Backend, Modulus, gemm as wide, primes};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn prime(i: usize) -> Prime {
    Prime::new(PRIMES[i]).expect("a narrow prime")
}

fn mix(i: usize) -> i64 {
    (i as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 7
}

fn residues(p: Prime, count: usize) -> Vec<i16> {
    (0..count).map(|i| p.reduce_i64(mix(i))).collect()
}

fn square(c: &mut Criterion) {
    let p = prime(0);
    let mut group = c.benchmark_group("square");
    group.sample_size(10);
    for n in [512, 1024, 2048, 4096] {
        group.throughput(Throughput::Elements((n * n * n) as u64));
        let (a, mut out) = (residues(p, n * n), vec![0i16; n * n]);
        let a = Strided::row_major(&a, n, n).expect("n x n");
        for backend in Backend::with_narrow() {
            if backend == Backend::scalar() {
                continue;
            }
            group.bench_function(
                BenchmarkId::new(format!("gemm_tn/{}", backend.name()), n),
                |b| {
                    b.iter(|| {
                        let mut out = StridedMut::row_major(&mut out, n, n).expect("n x n");
                        gemm_tn_with(backend, p, a, a, &mut out, false).expect("fits");
                    });
                },
            );
            group.bench_function(
                BenchmarkId::new(format!("syrk/{}", backend.name()), n),
                |b| {
                    b.iter(|| {
                        let mut out = StridedMut::row_major(&mut out, n, n).expect("n x n");
                        syrk_with(backend, p, a, &mut out, false).expect("fits");
                    });
                },
            );
        }
        let x: Vec<f64> = (0..n * n).map(|i| mix(i) as f64 * 2f64.powi(-56)).collect();
        let mut y = vec![0f64; n * n];
        let threads = match rayon::current_num_threads() {
            1 => gemm::Parallelism::None,
            threads => gemm::Parallelism::Rayon(threads),
        };
        group.bench_function(BenchmarkId::new("doubles/gemm", n), |b| {
            b.iter(|| {
                // SAFETY: three n x n matrices, row after row.
                unsafe {
                    gemm::gemm(
                        n,
                        n,
                        n,
                        y.as_mut_ptr(),
                        1,
                        n as isize,
                        false,
                        x.as_ptr(),
                        1,
                        n as isize,
                        x.as_ptr(),
                        1,
                        n as isize,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        threads,
                    );
                }
            });
        });
        black_box(&y);
    }
    group.finish();
}

fn modulo_wide(c: &mut Criterion) {
    let mut group = c.benchmark_group("modulo_wide_prime");
    group.sample_size(10);
    let primes = primes::primes_near((1 << 50) - 1, 8192, 1, &[]).expect("a prime");
    let m = Modulus::new(primes[0]).expect("a prime");
    for n in [256, 1024] {
        group.throughput(Throughput::Elements((n * n * n) as u64));
        let x: Vec<f64> = (0..n * n)
            .map(|i| (mix(i) % m.value() as i64) as f64)
            .collect();
        let weights: Vec<f64> = (0..n * n).map(|i| (mix(i) % (1 << 20)) as f64).collect();
        let x = Strided::row_major(&x, n, n).expect("n x n");
        let weights = Strided::row_major(&weights, n, n).expect("n x n");
        let mut out = vec![0.0; n * n];
        group.bench_function(BenchmarkId::new("residues", n), |b| {
            b.iter(|| {
                let mut out = StridedMut::row_major(&mut out, n, n).expect("n x n");
                wide::residues(m, x, x, &mut out).expect("fits");
            });
        });
        group.bench_function(BenchmarkId::new("weights of 20 bits", n), |b| {
            b.iter(|| {
                let mut out = StridedMut::row_major(&mut out, n, n).expect("n x n");
                wide::weighted(m, weights, 20, x, &mut out).expect("fits");
            });
        });
    }
    group.finish();
}

fn switches(c: &mut Criterion) {
    let mut group = c.benchmark_group("change_of_modulus");
    let n = 1 << 16;
    group.throughput(Throughput::Elements(n as u64));
    let basis = Basis::largest(5).expect("five primes");
    let lower = basis.prefix(3).expect("three primes");
    let wide: Vec<Modulus> = primes::primes_near(1 << 48, 8192, 1, &[])
        .expect("a prime")
        .into_iter()
        .map(|p| Modulus::new(p).expect("a prime"))
        .collect();
    let narrow: Vec<Vec<i16>> = basis.primes().iter().map(|&p| residues(p, n)).collect();
    let narrow: Vec<&[i16]> = narrow.iter().map(Vec::as_slice).collect();
    let mut large = vec![0.0; n];
    let mut small = vec![vec![0i16; n]; 3];
    let to_wide = ToWide::new(Rule::Scaled, &basis, &wide).expect("distinct primes");
    group.bench_function("to_wide/5->1", |b| {
        b.iter(|| to_wide.convert(&narrow, &mut [&mut large]));
    });
    let to_narrow = ToNarrow::new(Rule::Scaled, &wide, &lower).expect("distinct primes");
    group.bench_function("to_narrow/1->3", |b| {
        let mut out: Vec<&mut [i16]> = small.iter_mut().map(Vec::as_mut_slice).collect();
        b.iter(|| to_narrow.convert(&[&large], &mut out));
    });
    let between = Between::new(Rule::Scaled, &basis, &lower).expect("distinct primes");
    group.bench_function("between/5->3", |b| {
        let mut out: Vec<&mut [i16]> = small.iter_mut().map(Vec::as_mut_slice).collect();
        b.iter(|| between.convert(&narrow, &mut out));
    });
    let whole = Reconstruct::new(&basis).expect("below 126 bits");
    let mut real = vec![0.0; n];
    group.bench_function("reconstruct/5", |b| {
        b.iter(|| whole.scaled(&narrow, 1e9, &mut real))
    });
    group.finish();
}

criterion_group!(benches, square, modulo_wide, switches);
criterion_main!(benches);
