//! Ring operations of CKKS at the sizes of the peers' tables: one thread (`RAYON_NUM_THREADS=1`) or all.

use cipherblas_ckks::{Evaluator, KeySet, Params, SecretKey};
use cipherblas_scheme::{Decrypt, Encrypt, Mul, MulPlain, Rotate};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn operations(c: &mut Criterion) {
    let mut rng = rand::rng();
    for (log_n, depth, precision) in [(13, 3, 20), (14, 7, 20), (15, 14, 20)] {
        let params = Params::builder()
            .depth(depth)
            .precision_bits(precision)
            .integer_bits(8)
            .degree(1 << log_n)
            .build()
            .expect("inside the table");
        let sk = SecretKey::generate(&params, &mut rng).expect("a key");
        let pk = sk.public_key(&mut rng).expect("a key");
        let set = KeySet {
            relinearization: true,
            rotations: (1..=8).collect(),
            conjugation: false,
        };
        let keys = sk.evaluation_keys(&set, &mut rng).expect("keys");
        let ev = Evaluator::new(&params, keys).expect("an evaluator");
        let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
        let x = sk
            .encrypt_at(&values, depth, Some(1.0), &mut rng)
            .expect("a ciphertext");
        let mut group = c.benchmark_group(format!("ckks/2^{log_n}"));
        group.sample_size(20);
        group.bench_function("mul_relin_rescale", |b| {
            b.iter(|| ev.mul(black_box(&x), black_box(&x)))
        });
        group.bench_function("rotate", |b| b.iter(|| ev.rotate(black_box(&x), 1)));
        group.bench_function("rotate_many_8", |b| {
            b.iter(|| ev.rotate_many(black_box(&x), &[1, 2, 3, 4, 5, 6, 7, 8]));
        });
        group.bench_function("encode", |b| {
            b.iter(|| ev.prepare(black_box(&values), depth))
        });
        group.bench_function("encrypt_public", |b| {
            b.iter(|| pk.encrypt_at(black_box(&values), depth, None, &mut rng))
        });
        group.bench_function("encrypt_secret", |b| {
            b.iter(|| sk.encrypt_at(black_box(&values), depth, None, &mut rng))
        });
        group.bench_function("decrypt", |b| b.iter(|| sk.decrypt(black_box(&x))));
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
