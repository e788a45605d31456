//! Encrypted real matrices: the suite, precision as asked for, bounds that hold.

use cipherblas_ckks::matrix::{Block, Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::matrix::{INNER, Suite, required_keys};

use cipherblas_scheme::{DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme, Side};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Small rings, without security.
fn small(degree: usize, depth: usize, precision: u32) -> Params {
    Params::builder()
        .inner(2 * INNER)
        .len(degree)
        .depth(depth)
        .precision_bits(precision)
        .insecure_degree(degree)
        .build()
        .unwrap()
}

#[test]
fn conforms() {
    for (degree, depth, precision, seed) in [(64, 1, 20, 1), (128, 2, 16, 2), (64, 3, 12, 3)] {
        let params = small(degree, depth, precision);
        println!("{params}");
        let mut rng = rng(seed);
        let key = SecretKey::generate(&params, &mut rng).unwrap();
        let other = SecretKey::generate(&params, &mut rng).unwrap();
        let keys = key
            .evaluation_keys(&required_keys(degree), &mut rng)
            .unwrap();
        let products = 2f64.powi(-(precision as i32)) * (2.0 * INNER as f64).sqrt();
        Suite {
            key: &key,
            evaluator: &Evaluator::new(&params, keys).unwrap(),
            other: &other,
            // Of products of three factors, the first of which is as large as a sum of products of two.
            precision: products * if depth > 1 { 64.0 * INNER as f64 } else { 2.0 },
        }
        .run(&mut rng);
    }
}

/// The largest difference of a block from what it should be, and its bound.
fn error(key: &SecretKey, evaluator: &Evaluator, block: &Block, exact: &[f64]) -> (f64, f64) {
    let values = key.decrypt_block(block).unwrap();
    assert_eq!(values.len(), exact.len());
    let worst = values
        .iter()
        .zip(exact)
        .fold(0.0f64, |m, (v, e)| m.max((v - e).abs()));
    (worst, evaluator.error_bound(block))
}

fn product(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    let (m, n) = (a.len() / k, b.len() / k);
    let mut out = vec![0.0; m * n];
    for (x, y) in a.chunks(m).zip(b.chunks(n)) {
        for (row, &a) in out.chunks_mut(n).zip(x) {
            row.iter_mut().zip(y).for_each(|(o, &b)| *o += a * b);
        }
    }
    out
}

/// At the degree that is used, with security: the precision asked for is kept, and bounds are not far above what errors are.
#[test]
fn precision_is_as_asked_for() {
    let (k, m) = (512, 40);
    let params = Params::builder()
        .inner(k)
        .len(2048)
        .precision_bits(20)
        .build()
        .unwrap();
    println!("{params}");
    assert_eq!((params.degree(), params.depth()), (4096, 1));
    let mut rng = rng(11);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = MatrixKeySet::products(2048).unwrap();
    let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    let random = |count: usize, rng: &mut ChaCha20Rng| -> Vec<f64> {
        (0..count).map(|_| rng.random_range(-1.0..=1.0)).collect()
    };
    let (a, b) = (random(k * m, &mut rng), random(k * m, &mut rng));
    let public = key.public_key(&mut rng).unwrap();
    let encrypt = |values: &[f64], rng: &mut ChaCha20Rng| {
        let (grid, layout) = (Some(2048), Lines::Packed);
        let own = key.encrypt_block(values, k, grid, layout, 1, None, rng);
        let theirs = public.encrypt_block(values, k, grid, layout, 1, None, rng);
        (own.unwrap(), theirs.unwrap())
    };
    let ((x, theirs), (y, _)) = (encrypt(&a, &mut rng), encrypt(&b, &mut rng));
    let wanted = 2f64.powi(-20) * (k as f64).sqrt();
    let exact = product(&a, &b, k);
    let z = evaluator.gemm_tn(&[(&x, &y)], Side::Left).unwrap();
    let (worst, bound) = error(&key, &evaluator, &z, &exact);
    println!("product: error {worst:e}, bound {bound:e}, wanted {wanted:e}");
    assert!(worst <= bound && bound <= wanted && bound <= 256.0 * worst);
    let z = evaluator.syrk(&[&x]).unwrap();
    let (worst, bound) = error(&key, &evaluator, &z, &product(&a, &a, k));
    println!("gram: error {worst:e}, bound {bound:e}");
    assert!(worst <= bound && bound <= wanted && bound <= 256.0 * worst);
    let z = evaluator.gemm_tn(&[(&theirs, &y)], Side::Left).unwrap();
    let (worst, bound) = error(&key, &evaluator, &z, &exact);
    println!("public: error {worst:e}, bound {bound:e}");
    assert!(worst <= bound && bound <= 64.0 * wanted && bound <= 1024.0 * worst);
}

/// Jobs at the degree of use, and what their rings are made of: bounds that grow make rings dearer.
#[test]
fn jobs_take_small_rings() {
    for (inner, len, bits, narrow, wide) in [
        (1, 16, 28, 6, 2),
        (2048, 2048, 18, 5, 1),
        (2048, 2048, 20, 5, 2),
        (4096, 4096, 18, 5, 1),
        (4096, 4096, 20, 5, 2),
    ] {
        let builder = Params::builder().inner(inner).len(len);
        let params = builder.precision_bits(bits).build().unwrap();
        let ring = params.ring();
        let primes = (ring.narrow_len(1), ring.ring().q_len(), ring.ring().p_len());
        assert_eq!(params.degree(), 4096);
        assert_eq!(primes, (narrow, wide, 1), "{inner} {len} {bits}");
        let read = Params::from_bytes(&params.to_bytes()).unwrap();
        assert!(read == params);
    }
}

#[test]
fn bytes_of_keys_are_those_that_are_written() {
    let params = small(64, 1, 20);
    let mut rng = rng(40);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    for len in [16, 64] {
        let set = MatrixKeySet::products(len).unwrap();
        let bytes = params.evaluation_keys_to_bytes(&key.evaluation_keys(&set, &mut rng).unwrap());
        assert_eq!(
            params.evaluation_keys_wire_bytes(&set).unwrap(),
            bytes.len()
        );
    }
}

#[test]
fn values_that_are_refused_are_not_shown() {
    let params = small(64, 1, 20);
    let mut rng = rng(41);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    for bad in [f64::NAN, 1234.5] {
        let values = [0.5, 0.25, bad];
        let error = key
            .encrypt_block(&values, 1, None, Lines::Packed, 1, None, &mut rng)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(
                "value (value not shown: no number, or beyond the bound) at index 2 cannot"
            ),
            "{error}"
        );
        assert!(!error.contains("1234"), "{error}");
    }
}
