//! Base conversion, reconstruction, the modular matrix product, the canonical embedding and sampling, on every backend.

use cipherblas_math::rns::decompose_scaled_with;
use cipherblas_math::{
    AlignedVec, Backend, BaseConverter, CrtReconstructor, EmbeddingPlan, Kernels, Modulus, gemm,
    primes, sample,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const N: usize = 1 << 14;

fn moduli(bits: u32, count: usize) -> Vec<Modulus> {
    let primes =
        primes::primes_near((1 << bits) - 1, 2 * N as u64, count, &[]).expect("there are enough");
    primes
        .into_iter()
        .map(|p| Modulus::new(p).expect("a prime"))
        .collect()
}

fn residues(modulus: Modulus, stream: u64, n: usize) -> AlignedVec {
    let mut out = AlignedVec::zeroed(n);
    sample::uniform_residues(
        &sample::Seed::from_bytes([1; 32]),
        stream,
        &modulus,
        &mut out,
    );
    out
}

fn conversion(c: &mut Criterion) {
    let primes = moduli(50, 32);
    let mut group = c.benchmark_group("base_conversion");
    for (sources, targets) in [(1, 8), (2, 8), (4, 8), (8, 8), (16, 16)] {
        let (from, to) = (&primes[..sources], &primes[sources..sources + targets]);
        let inputs: Vec<_> = from
            .iter()
            .enumerate()
            .map(|(i, &m)| residues(m, i as u64, N))
            .collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(|x| &x[..]).collect();
        let mut outputs = vec![AlignedVec::zeroed(N); targets];
        let mut outputs: Vec<&mut [f64]> = outputs.iter_mut().map(|x| &mut x[..]).collect();
        group.throughput(Throughput::Elements((N * targets) as u64));
        for backend in Backend::all() {
            let converter =
                BaseConverter::with_backend(from, to, backend).expect("distinct primes");
            let id = BenchmarkId::new(backend.name(), format!("{sources}->{targets}"));
            group.bench_function(id, |b| b.iter(|| converter.convert(&inputs, &mut outputs)));
        }
    }
    group.finish();
}

fn real_numbers(c: &mut Criterion) {
    let primes = moduli(50, 4);
    let mut group = c.benchmark_group("real_numbers");
    group.throughput(Throughput::Elements(N as u64));
    let inputs: Vec<_> = primes
        .iter()
        .enumerate()
        .map(|(i, &m)| residues(m, i as u64, N))
        .collect();
    let inputs: Vec<&[f64]> = inputs.iter().map(|x| &x[..]).collect();
    let values: Vec<f64> = (0..N).map(|i| (i as f64).sin()).collect();
    let mut out = AlignedVec::zeroed(N);
    for backend in Backend::all() {
        for count in 1..=4 {
            let crt =
                CrtReconstructor::with_backend(&primes[..count], backend).expect("distinct primes");
            let id = BenchmarkId::new(format!("reconstruct/{}", backend.name()), count);
            group.bench_function(id, |b| {
                b.iter(|| crt.centered_f64(&inputs[..count], 1e9, &mut out))
            });
        }
        for bits in [40, 80] {
            let id = BenchmarkId::new(format!("decompose/{}", backend.name()), bits);
            let scale = 2f64.powi(bits);
            group.bench_function(id, |b| {
                b.iter(|| {
                    decompose_scaled_with(backend, &values, scale, &primes[0], &mut out)
                        .expect("in range")
                });
            });
        }
    }
    group.finish();
}

fn combine(c: &mut Criterion) {
    let mut group = c.benchmark_group("combine");
    group.sample_size(10);
    for (bits, weight_bits, rows, cols, n) in [
        (26, 10, 256, 256, 4096),
        (50, 20, 256, 256, 4096),
        (50, 35, 256, 256, 4096),
        (50, 50, 256, 256, 4096),
        (50, 35, 64, 64, N),
        (50, 35, 4, 64, N),
        (50, 35, 1, 64, N),
    ] {
        let modulus = moduli(bits, 1)[0];
        let limit = 1i64 << weight_bits;
        let weights: Vec<f64> = (0..(rows * cols) as i64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) % limit) as f64)
            .collect();
        let inputs: Vec<_> = (0..cols).map(|j| residues(modulus, j as u64, n)).collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(|x| &x[..]).collect();
        let mut outputs = vec![AlignedVec::zeroed(n); rows];
        let mut outputs: Vec<&mut [f64]> = outputs.iter_mut().map(|x| &mut x[..]).collect();
        group.throughput(Throughput::Elements((rows * cols * n) as u64));
        let kernels = Kernels::new(modulus, Backend::detect());
        let id = format!("{bits}-bit prime, {weight_bits}-bit weights/{rows}x{cols}x{n}");
        group.bench_function(id, |b| {
            b.iter(|| {
                gemm::combine(
                    &kernels,
                    &weights,
                    weight_bits,
                    rows,
                    cols,
                    &inputs,
                    &mut outputs,
                )
                .expect("fits")
            });
        });
    }
    group.finish();
}

fn embedding(c: &mut Criterion) {
    let mut group = c.benchmark_group("embedding");
    for log_n in 12..=16 {
        let n = 1 << log_n;
        group.throughput(Throughput::Elements(n as u64));
        for backend in Backend::all() {
            let plan = EmbeddingPlan::with_backend(n, backend).expect("a power of two");
            let (mut re, mut im): (Vec<f64>, Vec<f64>) =
                (0..n).map(|i| (i as f64).sin_cos()).unzip();
            // There and back, so that the values stay of one size.
            group.bench_function(
                BenchmarkId::new(backend.name(), format!("2^{log_n}, both ways")),
                |b| {
                    b.iter(|| {
                        plan.to_coefficients(&mut re, &mut im);
                        plan.to_slots(&mut re, &mut im);
                    });
                },
            );
        }
    }
    group.finish();
}

fn sampling(c: &mut Criterion) {
    let mut group = c.benchmark_group("sample");
    group.throughput(Throughput::Elements(N as u64));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut small, mut wide) = (vec![0i8; N], AlignedVec::zeroed(N));
    group.bench_function("ternary", |b| {
        b.iter(|| sample::ternary(&mut rng, &mut small))
    });
    group.bench_function("centered_binomial", |b| {
        b.iter(|| sample::centered_binomial(&mut rng, &mut small))
    });
    group.bench_function("gaussian_flood", |b| {
        b.iter(|| sample::gaussian_flood(&mut rng, 1e9, &mut wide).expect("in range"));
    });
    let (modulus, seed) = (moduli(50, 1)[0], sample::Seed::generate(&mut rng));
    for backend in Backend::all() {
        group.bench_function(BenchmarkId::new("uniform", backend.name()), |b| {
            b.iter(|| sample::uniform_residues_with(backend, &seed, 0, &modulus, &mut wide));
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    conversion,
    real_numbers,
    combine,
    embedding,
    sampling
);
criterion_main!(benches);
