//! Products of encrypted vectors: one thread (`RAYON_NUM_THREADS=1`) or all.

use cipherblas_bench::ours::linalg::{Prepared, Product};
use criterion::{Criterion, criterion_group, criterion_main};

fn products(c: &mut Criterion) {
    let products = [
        ("ckks/dot/4096", Ok(Product::dot(4096))),
        ("linalg/vec64_plain_64x64", Product::vecmat(64, 64)),
        ("linalg/vec256_plain_256x128", Product::vecmat(256, 128)),
    ];
    for (name, product) in products {
        let prepared = product
            .and_then(|product| Prepared::new(&product))
            .expect("a product");
        c.bench_function(name, |b| b.iter(|| prepared.run()));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = products
}
criterion_main!(benches);
