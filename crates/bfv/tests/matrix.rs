//! Encrypted integer matrices: the suite, exactness at the degree that is used.

use cipherblas_bfv::matrix::{Encryptor, Evaluator, Params, SecretKey};
use cipherblas_scheme::conformance::matrix::{INNER, Suite, required_keys};
use cipherblas_scheme::{
    DecryptMatrix, EncryptMatrix, Error, Lines, MatrixKeySet, MatrixScheme, Side, WeightMatrix,
};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::LazyLock;

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
        let x = encrypt(&a);
        let (z, exact) = match encryptor {
            Encryptor::SecretKey => {
                let z = evaluator.gemm_tn(&[(&x, &encrypt(&b))], Side::Left);
                (z, product(&a, &b, k))
            }
            Encryptor::PublicKey => (evaluator.syrk(&[&x]), product(&a, &a, k)),
        };
        assert_eq!(key.decrypt_block(&z.unwrap()).unwrap(), exact);
    }
}

/// A product of a product and a block that was only lowered have different units; their sum is right, or refused.
#[test]
fn sums_of_different_units() {
    let params = Params::builder()
        .inner(64)
        .len(16)
        .depth(2)
        .plaintext_bits(20)
        .insecure_degree(64)
        .build()
        .unwrap();
    let mut rng = rng(13);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key.evaluation_keys(&MatrixKeySet::products(16).unwrap(), &mut rng);
    let evaluator = Evaluator::new(&params, keys.unwrap()).unwrap();
    let x: Vec<i64> = (0..16).map(|i| i % 5 - 2).collect();
    let block = key
        .encrypt_block(&x, 4, None, Lines::Packed, 2, Some(2.0), &mut rng)
        .unwrap();
    let gram = evaluator.syrk(&[&block]).unwrap();
    let twice = evaluator.gemm_tn(&[(&gram, &block)], Side::Left).unwrap();
    let low = evaluator.lower_to(&block, 0).unwrap();
    assert_ne!(twice.bounds(), low.bounds());
    let exact = product(&product(&x, &x, 4), &x, 4);
    match evaluator.sub(&twice, &low) {
        Ok(difference) => {
            let expected: Vec<i64> = exact.iter().zip(&x).map(|(a, b)| a - b).collect();
            assert_eq!(key.decrypt_block(&difference).unwrap(), expected);
        }
        Err(error) => assert!(matches!(error, Error::Noise { .. }), "{error}"),
    }
    assert_eq!(key.decrypt_block(&twice).unwrap(), exact);
    let mixed = evaluator.lower_to(&block, 1).unwrap();
    let terms = [(&gram, &gram), (&mixed, &mixed)];
    assert!(
        evaluator.gemm_tn(&terms, Side::Left).is_ok(),
        "units of one level are one"
    );
}

#[test]
fn values_that_may_wrap_are_refused() {
    let params = Params::builder()
        .inner(64)
        .len(16)
        .plaintext_bits(10)
        .insecure_degree(64)
        .build()
        .unwrap();
    let mut rng = rng(14);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = key.evaluation_keys(&MatrixKeySet::products(16).unwrap(), &mut rng);
    let evaluator = Evaluator::new(&params, keys.unwrap()).unwrap();
    // 4 * 11^2 = 484 fits 511, 4 * 12^2 = 576 does not.
    let mut gram = |bound: f64| {
        let values = [bound as i64; 8];
        let x = key.encrypt_block(&values, 4, None, Lines::Packed, 1, Some(bound), &mut rng);
        evaluator.syrk(&[&x.unwrap()])
    };
    assert_eq!(key.decrypt_block(&gram(11.0).unwrap()).unwrap(), [484; 4]);
    let error = gram(12.0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Overflow {
                operation: "syrk",
                ..
            }
        ),
        "{error}"
    );
}

fn golden(name: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(name)
        .with_extension("cb")
}

/// `CIPHERBLAS_WRITE_GOLDEN=1` writes files that do not exist yet; existing ones are never touched.
#[test]
fn golden_files_are_read_forever() {
    let mut rng = ChaCha20Rng::seed_from_u64(2026);
    let params = match std::fs::read(golden("matrix_parameters")) {
        Ok(bytes) => Params::insecure_from_bytes(&bytes).unwrap(),
        Err(_) => Params::builder()
            .inner(4)
            .len(16)
            .plaintext_bits(20)
            .insecure_degree(64)
            .build()
            .unwrap(),
    };
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = MatrixKeySet::products(16).unwrap();
    let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    let values: [i64; 4] = [5, -3, 10, 7];
    let fresh = key
        .encrypt_block(&values, 2, None, Lines::Packed, 1, Some(10.0), &mut rng)
        .unwrap();
    let gram = evaluator.syrk(&[&fresh]).unwrap();
    for (name, bytes) in [
        ("matrix_parameters", params.to_bytes()),
        ("matrix_fresh", evaluator.write_block(&fresh)),
        ("matrix_computed", evaluator.write_block(&gram)),
    ] {
        let path = golden(name);
        if std::env::var_os("CIPHERBLAS_WRITE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, &bytes).unwrap();
        }
        let stored = std::fs::read(&path).unwrap();
        let again = if name == "matrix_parameters" {
            Params::insecure_from_bytes(&stored).unwrap().to_bytes()
        } else {
            evaluator.write_block(&evaluator.read_block(&stored).unwrap())
        };
        assert!(
            stored == again,
            "{name}: version 1 is written differently now; a new form needs a new version"
        );
    }
    let read = |name| {
        evaluator
            .read_block(&std::fs::read(golden(name)).unwrap())
            .unwrap()
    };
    let (fresh, gram) = (read("matrix_fresh"), read("matrix_computed"));
    assert!(fresh.is_seeded() && !gram.is_seeded());
    assert_eq!(key.decrypt_block(&fresh).unwrap(), values);
    assert_eq!(key.decrypt_block(&gram).unwrap(), [125, 55, 55, 58]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn exact_on_random_shapes(k in 1usize..=40, m in 1usize..=16, n in 1usize..=16, seed: u64) {
        static SMALL: LazyLock<(Params, SecretKey, Evaluator)> = LazyLock::new(|| {
            let params = Params::builder()
                .inner(40)
                .len(16)
                .plaintext_bits(40)
                .insecure_degree(128)
                .build()
                .unwrap();
            let mut rng = rng(15);
            let key = SecretKey::generate(&params, &mut rng).unwrap();
            let keys = key.evaluation_keys(&MatrixKeySet::products(16).unwrap(), &mut rng);
            let evaluator = Evaluator::new(&params, keys.unwrap()).unwrap();
            (params, key, evaluator)
        });
        let (params, key, evaluator) = &*SMALL;
        let mut rng = rng(seed);
        let largest = (params.max_value() / 40.0).sqrt() as i64;
        let mut draw = |count: usize| -> Vec<i64> {
            (0..count).map(|_| rng.random_range(-largest..=largest)).collect()
        };
        let (a, b) = (draw(k * m), draw(k * n));
        let mut encrypt = |values: &[i64], layout| {
            key.encrypt_block(values, k, None, layout, 1, Some(largest as f64), &mut rng)
                .unwrap()
        };
        let (x, y) = (encrypt(&a, Lines::Packed), encrypt(&b, Lines::Packed));
        let z = evaluator.gemm_tn(&[(&x, &y)], Side::Right).unwrap();
        prop_assert_eq!(key.decrypt_block(&z).unwrap(), product(&b, &a, k));
        let weights: Vec<i64> = b.iter().map(|v| v % 1000).collect();
        let w = WeightMatrix::new(n, k, &weights).unwrap();
        let z = evaluator.gemm_plain(&[(w, &x)]).unwrap();
        let transposed: Vec<i64> = (0..k * n).map(|i| weights[(i % n) * k + i / n]).collect();
        prop_assert_eq!(key.decrypt_block(&z).unwrap(), product(&transposed, &a, k));
    }
}

/// Every depth within the range gives parameters, or says that no ring holds the job.
#[test]
fn refusals_name_what_to_change() {
    for plaintext_bits in [20, 52] {
        let built = Params::builder()
            .inner(1024)
            .len(1024)
            .depth(8)
            .plaintext_bits(plaintext_bits)
            .build();
        if let Err(error) = built {
            let what = "matrix parameters";
            assert!(
                matches!(&error, Error::Parameter { what: w, .. } if *w == what),
                "{error}"
            );
            assert!(error.to_string().contains("less depth"), "{error}");
        }
    }
    let inner = Params::builder().inner(0).build().unwrap_err().to_string();
    assert!(inner.contains("summed in one value"), "{inner}");
    let len = Params::builder().len(0).build().unwrap_err().to_string();
    assert!(len.contains("longest line"), "{len}");
}

#[test]
fn keys_of_other_parameters_over_the_same_ring_are_refused() {
    let [params, other] = [100, 101].map(|inner| {
        let builder = Params::builder().inner(inner).len(16).plaintext_bits(20);
        builder.insecure_degree(64).build().unwrap()
    });
    assert_eq!(params.ring().spec(), other.ring().spec());
    let mut rng = rng(42);
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let set = MatrixKeySet::products(16).unwrap();
    let keys = key.evaluation_keys(&set, &mut rng).unwrap();
    let read = params
        .evaluation_keys_from_bytes(&params.evaluation_keys_to_bytes(&keys))
        .unwrap();
    for keys in [keys, read] {
        let error = Evaluator::new(&other, keys.clone()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
        assert!(
            error.to_string().contains(&params.id().to_string()),
            "{error}"
        );
        Evaluator::new(&params, keys).unwrap();
    }
}
