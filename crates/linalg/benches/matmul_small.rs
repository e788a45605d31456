//! Encrypted x encrypted at small sizes, over CKKS at 128 bits of security, on one thread.
//!
//! Before anything is timed, the result is compared with the product in clear: right to 2^-20 of the largest element that a
//! product of matrices with entries in [-1, 1] can have.

use cipherblas_ckks::{Evaluator, Params, SecretKey};
use cipherblas_linalg::plan::{Plan, Preference};
use cipherblas_linalg::{
    EncryptOptions, EncryptedMatrix, MatmulMethod, MatrixPacking, Order, Skewed, Tile,
};
use cipherblas_scheme::{Add, Mul, MulPlain, Result, Rotate};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn values(seed: usize, n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| (((i + 1) * 7919 + seed * 104_729) % 2003) as f64 / 1001.5 - 1.0)
        .collect()
}

/// By the method given, or by the one that the plan chooses.
fn product<S: Add + Mul + MulPlain + Rotate>(
    a: &EncryptedMatrix<S>,
    b: &EncryptedMatrix<S>,
    method: Option<MatmulMethod>,
) -> Result<EncryptedMatrix<S>> {
    match method {
        Some(method) => a.matmul_by(b, method),
        None => a.matmul(b),
    }
}

/// One product of two `d` x `d` matrices, in these packings, with as many slots as given.
fn bench(
    c: &mut Criterion,
    name: &str,
    (d, slots): (usize, usize),
    packings: [MatrixPacking; 2],
    method: Option<MatmulMethod>,
) {
    let options = packings.map(|p| EncryptOptions::new().packing(p).bound(1.0));
    let plan = Plan::trace_for(Preference::Speed, slots, 4, |t| {
        let (a, b) = (t.matrix(d, d, &options[0])?, t.matrix(d, d, &options[1])?);
        product(&a, &b, method).map(drop)
    })
    .unwrap();
    let params = Params::builder()
        .depth(plan.depth())
        .precision_bits(20)
        .integer_bits(d.ilog2())
        .slots(slots)
        .build()
        .unwrap();
    assert_eq!(params.slots(), slots);
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let key = SecretKey::generate(&params, rng).unwrap();
    let keys = key.evaluation_keys(plan.keys(), rng).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let (x, y) = (values(1, d * d), values(2, d * d));
    let [a, b] = [(&x, &options[0]), (&y, &options[1])].map(|(data, options)| {
        EncryptedMatrix::encrypt_with(&key, d, d, data, options, rng)
            .unwrap()
            .bind(&server)
            .unwrap()
    });
    let out = product(&a, &b, method).unwrap();
    let got = out.decrypt(&key).unwrap();
    let worst = (0..d * d)
        .map(|at| {
            let want: f64 = (0..d).map(|l| x[at / d * d + l] * y[l * d + at % d]).sum();
            (got[at] - want).abs()
        })
        .fold(0.0, f64::max);
    assert!(worst <= d as f64 * 2f64.powi(-20), "error {worst:e}");
    println!(
        "{name}: largest error 2^{:.1}, bound 2^{:.1}; {} keys, {:.0} MB",
        worst.log2(),
        out.error_bound().log2(),
        server.keys().unwrap().len(),
        server.keys().unwrap().memory_bytes() as f64 / 1e6,
    );
    println!("{plan}");
    c.bench_function(name, |bench| {
        bench.iter(|| product(&a, &b, method).unwrap())
    });
}

fn small(c: &mut Criterion) {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .unwrap();
    for (d, slots) in [(16, 4096), (32, 4096), (64, 4096)] {
        let (left, right) = Skewed::pair(d, d, d, slots).unwrap();
        let ready = [left.into(), right.into()];
        bench(c, &format!("ready/{d}"), (d, slots), ready, None);
        let tile = Tile::fit(Order::RowMajor, d, d, slots).unwrap();
        let tiles = [tile.into(), tile.into()];
        bench(c, &format!("tiles/{d}"), (d, slots), tiles, None);
        let skewed = Some(MatmulMethod::Skewed);
        bench(c, &format!("tiles_repacked/{d}"), (d, slots), tiles, skewed);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = small
}
criterion_main!(benches);
