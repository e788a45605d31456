//! Encrypted integer matrices: the suite, exactness at the degree that is used.

use cipherblas_bfv::matrix::{Encryptor, Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::matrix::{INNER, Suite, required_keys};
use cipherblas_scheme::{DecryptMatrix, EncryptMatrix, Lines, MatrixKeySet, MatrixScheme, Side};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

#[test]
fn conforms() {
    for (degree, depth, bits, seed) in [(64, 1, 24, 1), (128, 2, 30, 2), (64, 3, 40, 3)] {
        let params = Params::builder()
            .inner(2 * INNER)
            .len(16)
            .depth(depth)
            .plaintext_bits(bits)
            .insecure_degree(degree)
            .build()
            .unwrap();
        println!("{params}");
        let mut rng = rng(seed);
        let key = SecretKey::generate(&params, &mut rng).unwrap();
        let other = SecretKey::generate(&params, &mut rng).unwrap();
        let keys = key
            .evaluation_keys(&required_keys(degree), &mut rng)
            .unwrap();
        Suite {
            key: &key,
            evaluator: &Evaluator::new(&params, keys).unwrap(),
            other: &other,
            precision: 0.0,
        }
        .run(&mut rng);
    }
}

fn product(a: &[i64], b: &[i64], k: usize) -> Vec<i64> {
    let (m, n) = (a.len() / k, b.len() / k);
    let mut out = vec![0; m * n];
    for (x, y) in a.chunks(m).zip(b.chunks(n)) {
        for (row, &a) in out.chunks_mut(n).zip(x) {
            row.iter_mut().zip(y).for_each(|(o, &b)| *o += a * b);
        }
    }
    out
}

/// At the degree that is used, with security: the largest values that fit come back.
#[test]
fn exact_at_4096() {
    let (k, m) = (512, 24);
    for (bits, encryptor) in [(32, Encryptor::SecretKey), (22, Encryptor::PublicKey)] {
        let params = Params::builder()
            .inner(k)
            .len(m)
            .plaintext_bits(bits)
            .encryptor(encryptor)
            .build()
            .unwrap();
        println!("{params}");
        assert_eq!((params.degree(), params.depth()), (4096, 1));
        let mut rng = rng(12);
        let key = SecretKey::generate(&params, &mut rng).unwrap();
        let keys = MatrixKeySet::products(m).unwrap();
        let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
        let evaluator = Evaluator::new(&params, keys).unwrap();
        // Sums of k products below 2^(bits - 1), all of one sign in one column.
        let largest = (params.max_value() / k as f64).sqrt() as i64;
        let mut values = || -> Vec<i64> {
            let one = |i| {
                if i % m == 0 {
                    largest
                } else {
                    rng.random_range(-largest..=largest)
                }
            };
            (0..k * m).map(one).collect()
        };
        let (a, b) = (values(), values());
        let public = key.public_key(&mut rng).unwrap();
        let bound = Some(largest as f64);
        let mut encrypt = |values: &[i64]| {
            let layout = Lines::Packed;
            match encryptor {
                Encryptor::SecretKey => {
                    key.encrypt_block(values, k, None, layout, 1, bound, &mut rng)
                }
                Encryptor::PublicKey => {
                    public.encrypt_block(values, k, None, layout, 1, bound, &mut rng)
                }
            }
            .unwrap()
        };
        let (x, y) = (encrypt(&a), encrypt(&b));
        let z = evaluator.gemm_tn(&[(&x, &y)], Side::Left).unwrap();
        assert_eq!(key.decrypt_block(&z).unwrap(), product(&a, &b, k));
        let z = evaluator.syrk(&[&x]).unwrap();
        assert_eq!(key.decrypt_block(&z).unwrap(), product(&a, &a, k));
    }
}
