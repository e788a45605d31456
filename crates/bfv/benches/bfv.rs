//! Ring operations of BFV at the sizes of the peers' tables, 20-bit integers and the depth that this leaves room for: one
//! thread (`RAYON_NUM_THREADS=1`) or all.

use cipherblas_bfv::{Evaluator, KeySet, Params, SecretKey};
use cipherblas_scheme::{Combine, Decrypt, Encrypt, Mul, MulPlain, Rotate, WeightMatrix};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// Ciphertexts of a combination.
const TERMS: usize = 32;

fn operations(c: &mut Criterion) {
    let mut rng = rand::rng();
    for (log_n, depth) in [(13, 2), (14, 6)] {
        let params = Params::builder()
            .depth(depth)
            .plaintext_bits(20)
            .degree(1 << log_n)
            .build()
            .expect("inside the table");
        println!("{params}");
        let sk = SecretKey::generate(&params, &mut rng).expect("a key");
        let pk = sk.public_key(&mut rng).expect("a key");
        let set = KeySet {
            relinearization: true,
            rotations: (1..=8).collect(),
            conjugation: false,
        };
        let keys = sk.evaluation_keys(&set, &mut rng).expect("keys");
        let ev = Evaluator::new(&params, keys).expect("an evaluator");
        let values: Vec<i64> = (0..params.slots() as i64).map(|i| i % 100 - 50).collect();
        let bound = Some(64.0);
        let mut fresh = || {
            sk.encrypt_at(&values, depth, bound, &mut rng)
                .expect("fits")
        };
        let (x, y) = (fresh(), fresh());
        let many: Vec<_> = (0..TERMS).map(|_| fresh()).collect();
        let many: Vec<_> = many.iter().collect();
        let weights: Vec<i64> = (0..TERMS * TERMS).map(|i| i as i64 % 7 - 3).collect();
        let weights = WeightMatrix::new(TERMS, TERMS, &weights).expect("a square matrix");
        let mut group = c.benchmark_group(format!("bfv/2^{log_n}"));
        group.sample_size(20);
        group.bench_function("mul_relin", |b| {
            b.iter(|| ev.mul(black_box(&x), black_box(&y)))
        });
        group.bench_function("square_relin", |b| b.iter(|| ev.square(black_box(&x))));
        group.bench_function("mul_sum_8", |b| {
            b.iter(|| ev.mul_sum(black_box(&many[..8]), black_box(&many[8..16])));
        });
        group.bench_function("rotate", |b| b.iter(|| ev.rotate(black_box(&x), 1)));
        group.bench_function("rotate_many_8", |b| {
            b.iter(|| ev.rotate_many(black_box(&x), &[1, 2, 3, 4, 5, 6, 7, 8]));
        });
        group.bench_function("combine_32x32", |b| {
            b.iter(|| ev.combine(black_box(weights), black_box(&many)));
        });
        group.bench_function("encode", |b| {
            b.iter(|| ev.prepare(black_box(&values), depth))
        });
        group.bench_function("encrypt_public", |b| {
            b.iter(|| pk.encrypt_at(black_box(&values), depth, bound, &mut rng))
        });
        group.bench_function("encrypt_secret", |b| {
            b.iter(|| sk.encrypt_at(black_box(&values), depth, bound, &mut rng))
        });
        group.bench_function("decrypt", |b| b.iter(|| sk.decrypt(black_box(&x))));
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
