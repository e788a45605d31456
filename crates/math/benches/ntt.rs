//! Transforms modulo the largest prime below 2^50, beside two published libraries on the same prime; pointwise kernels.

use cipherblas_math::primes::primes_near;
use cipherblas_math::{AlignedVec, Backend, GaloisPermutation, Modulus, NttPlan};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn modulus(n: usize) -> Modulus {
    Modulus::new(primes_near(1 << 50, 2 * n as u64, 1, &[]).unwrap()[0]).unwrap()
}

fn residues(modulus: Modulus, n: usize, seed: u64) -> AlignedVec {
    let mut out = AlignedVec::zeroed(n);
    for (i, x) in out.iter_mut().enumerate() {
        *x = modulus
            .residue(modulus.reduce_u64((i as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    out
}

fn transforms(c: &mut Criterion) {
    let mut group = c.benchmark_group("ntt");
    for log_n in 12..=16 {
        let n = 1usize << log_n;
        let modulus = modulus(n);
        for backend in Backend::all() {
            let plan = NttPlan::with_backend(n, modulus, backend).unwrap();
            let mut a = residues(modulus, n, 1);
            let name = backend.name();
            group.bench_function(BenchmarkId::new(format!("forward/{name}"), log_n), |b| {
                b.iter(|| plan.forward(black_box(&mut a)));
            });
            group.bench_function(BenchmarkId::new(format!("inverse/{name}"), log_n), |b| {
                b.iter(|| plan.inverse(black_box(&mut a)));
            });
        }
        let mut a: Vec<u64> = residues(modulus, n, 1)
            .iter()
            .map(|&x| modulus.canonical(x))
            .collect();
        let tfhe = tfhe_ntt::prime64::Plan::try_new(n, modulus.value()).unwrap();
        group.bench_function(BenchmarkId::new("forward/tfhe-ntt", log_n), |b| {
            b.iter(|| tfhe.fwd(black_box(&mut a)))
        });
        group.bench_function(BenchmarkId::new("inverse/tfhe-ntt", log_n), |b| {
            b.iter(|| tfhe.inv(black_box(&mut a)))
        });
        let concrete = concrete_ntt::prime64::Plan::try_new(n, modulus.value()).unwrap();
        group.bench_function(BenchmarkId::new("forward/concrete-ntt", log_n), |b| {
            b.iter(|| concrete.fwd(black_box(&mut a)));
        });
        group.bench_function(BenchmarkId::new("inverse/concrete-ntt", log_n), |b| {
            b.iter(|| concrete.inv(black_box(&mut a)));
        });
    }
    group.finish();
}

fn pointwise(c: &mut Criterion) {
    let n = 1 << 14;
    let modulus = modulus(n);
    let vectors: Vec<AlignedVec> = (0..24).map(|seed| residues(modulus, n, seed)).collect();
    let terms: Vec<&[f64]> = vectors.iter().map(|v| &v[..]).collect();
    let rotation = GaloisPermutation::new(n, 5).unwrap();
    let mut group = c.benchmark_group("pointwise");
    group.throughput(Throughput::Elements(n as u64));
    for backend in Backend::all() {
        let kernels = *NttPlan::with_backend(n, modulus, backend)
            .unwrap()
            .kernels();
        let [mut x, mut y, mut z] = [1, 2, 3].map(|seed| residues(modulus, n, seed));
        let name = backend.name();
        group.bench_function(format!("mul/{name}"), |b| {
            b.iter(|| kernels.mul(&mut x, terms[0], terms[1]))
        });
        group.bench_function(format!("mul_add/{name}"), |b| {
            b.iter(|| kernels.mul_add_assign(&mut x, terms[0], terms[1]));
        });
        group.bench_function(format!("tensor/{name}"), |b| {
            b.iter(|| {
                kernels.tensor(
                    &mut x, &mut y, &mut z, terms[0], terms[1], terms[2], terms[3],
                )
            });
        });
        group.bench_function(format!("inner_product_pair/8/{name}"), |b| {
            b.iter(|| {
                kernels.inner_product_pair(&mut x, &mut y, &terms[..8], &terms[8..16], &terms[16..])
            });
        });
    }
    let mut out = residues(modulus, n, 1);
    group.bench_function("galois", |b| b.iter(|| rotation.apply(&mut out, terms[0])));
    group.finish();
}

criterion_group!(benches, transforms, pointwise);
criterion_main!(benches);
