//! Operations of the ciphertext group and of the keys, one thread each, at 2048 and 3072 bits.

use cipherblas_paillier::keys::{Blinding, SecretKey};
use criterion::{Criterion, criterion_group, criterion_main};
use num_bigint::{BigInt, BigUint};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;

fn operations(c: &mut Criterion) {
    for bits in [2048, 3072] {
        let mut rng = StdRng::seed_from_u64(bits);
        let sk = SecretKey::generate(bits, &mut rng).unwrap();
        let pk = sk.public_key();
        let m = BigUint::from(rng.next_u64());
        let x = sk.encrypt_raw(&m, &mut rng).unwrap();
        let y = sk.encrypt_raw(&m, &mut rng).unwrap();
        let number = pk.element_to_biguint(&x);
        let weight = |rng: &mut StdRng| (rng.next_u64() >> 11 | 1 << 52) as i64;
        let scalar = BigInt::from(weight(&mut rng));
        let many: Vec<_> = (0..64u8)
            .map(|i| sk.encrypt_raw(&BigUint::from(i), &mut rng).unwrap())
            .collect();
        let many: Vec<_> = many.iter().collect();
        let signed = |rng: &mut StdRng| {
            let sign = if rng.next_u32() & 1 == 0 { 1 } else { -1 };
            sign * weight(rng)
        };
        let row: Vec<_> = (0..32).map(|j| (j, signed(&mut rng))).collect();
        let matrix: Vec<Vec<_>> = (0..64)
            .map(|_| (0..64).map(|j| (j, signed(&mut rng))).collect())
            .collect();

        let mut group = c.benchmark_group(format!("paillier/{bits}"));
        group.sample_size(20);
        group.bench_function("encrypt_holder", |b| {
            b.iter(|| sk.encrypt_raw(black_box(&m), &mut rng))
        });
        let mut rng = StdRng::seed_from_u64(1);
        group.bench_function("encrypt_short", |b| {
            let m = m.to_u64_digits();
            b.iter(|| pk.encrypt_words(black_box(&m), Blinding::ShortExponent, &mut rng))
        });
        group.bench_function("encrypt_full", |b| {
            b.iter(|| pk.encrypt_raw(black_box(&m), &mut rng))
        });
        group.bench_function("decrypt", |b| b.iter(|| sk.decrypt_raw(black_box(&x))));
        group.bench_function("add", |b| b.iter(|| pk.add(black_box(&x), black_box(&y))));
        group.bench_function("negate", |b| b.iter(|| pk.negate(black_box(&x))));
        group.bench_function("scale53", |b| {
            b.iter(|| pk.scale(black_box(&x), black_box(&scalar)))
        });
        group.bench_function("read", |b| {
            b.iter(|| pk.element_from_biguint(black_box(&number)))
        });
        group.bench_function("write", |b| b.iter(|| pk.element_to_biguint(black_box(&x))));
        group.bench_function("dot32", |b| {
            let row = [row.clone()];
            b.iter(|| pk.multi_exp(black_box(&many), &row))
        });
        group.bench_function("matvec64", |b| {
            b.iter(|| pk.multi_exp(black_box(&many), &matrix))
        });
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
