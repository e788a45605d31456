//! Matrices under attack: bounds and magnitudes that senders declare, parameters that are for more than they hold.

use cipherblas_bfv::matrix::{Block, Evaluator, Params, SecretKey};
use cipherblas_scheme::wire::{Expected, Kind, SchemeId, seal};
use cipherblas_scheme::{
    DecryptMatrix, EncryptMatrix, Error, Lines, MatrixKeySet, MatrixScheme, WeightMatrix,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::LazyLock;

struct Fixture {
    params: Params,
    key: SecretKey,
    evaluator: Evaluator,
}

/// A small ring without security.
static SMALL: LazyLock<Fixture> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let params = Params::builder()
        .inner(64)
        .len(16)
        .plaintext_bits(20)
        .insecure_degree(64)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let set = MatrixKeySet::products(16).unwrap();
    let keys = key.evaluation_keys(&set, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    Fixture {
        params,
        key,
        evaluator,
    }
});

/// The object with another payload and right hashes.
fn forge(bytes: &[u8], kind: Kind, change: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind,
        scheme: SchemeId::Bfv,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(&header, &payload)
}

fn encrypt(values: &[i64], seed: u64) -> Block {
    let f = &*SMALL;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let block = f
        .key
        .encrypt_block(values, 1, None, Lines::Packed, 1, Some(500.0), &mut rng);
    block.unwrap()
}

/// A block that declares another magnitude, or another bound on its phases.
fn declaring(block: &Block, magnitude: Option<f64>, phase: Option<f64>) -> Block {
    let f = &*SMALL;
    let bytes = forge(&f.evaluator.write_block(block), Kind::MatrixBlock, &|p| {
        for (at, bound) in [(5, magnitude), (13, phase)] {
            if let Some(bound) = bound {
                p[at..at + 8].copy_from_slice(&bound.to_le_bytes());
            }
        }
    });
    f.evaluator.read_block(&bytes).unwrap()
}

#[test]
fn declared_bounds_are_raised() {
    let f = &*SMALL;
    let x = encrypt(&[3; 16], 1);
    let phase = |block: &Block| block.bounds().phase();
    assert_eq!(phase(&declaring(&x, None, Some(0.0))), phase(&x));
    let sum = f.evaluator.add(&x, &encrypt(&[4; 16], 2)).unwrap();
    assert_eq!(phase(&declaring(&sum, None, Some(0.0))), phase(&x));
    let gram = f.evaluator.syrk(&[&x]).unwrap();
    assert!(phase(&declaring(&gram, None, Some(0.0))) > 1.0);
    for block in [&x, &sum, &gram] {
        let again = f.evaluator.read_block(&f.evaluator.write_block(block));
        assert_eq!(again.unwrap().bounds(), block.bounds());
    }
}

/// Whoever declares a magnitude and hears whether decryption succeeded searches for the largest value, where the declared
/// magnitude is the threshold.
#[test]
fn declared_magnitudes_do_not_give_values_away() {
    let f = &*SMALL;
    let block = encrypt(&[100, -371, 200, 0], 3);
    let search = |decrypts: &dyn Fn(&Block, f64) -> bool| {
        let (mut low, mut high) = (0.0, 1000.0);
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if decrypts(&declaring(&block, Some(middle), None), middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    };
    let naive = search(&|block, declared| {
        let values = f.key.decrypt_block(block).unwrap();
        values.iter().all(|v| v.unsigned_abs() as f64 <= declared)
    });
    assert!((naive - 371.0).abs() < 1e-3, "{naive}");
    let found = search(&|block, _| f.key.decrypt_block(block).is_ok());
    assert!(found < 1e-5, "every answer is the same: {found}");
}

/// Plain weights are not hidden, and the documentation says so: without a key, the weight of a product is found among all.
#[test]
fn plain_weights_are_seen() {
    let f = &*SMALL;
    let server = Evaluator::without_keys(&f.params, f.key.id());
    let x = encrypt(&[7, -3, 5, 1], 4);
    let product = |weight: i64| {
        let weights = [weight];
        let terms = [(WeightMatrix::new(1, 1, &weights).unwrap(), &x)];
        server.gemm_plain(&terms).unwrap()
    };
    let seen = product(-123);
    let same = |guess: &i64| product(*guess).integers().halves() == seen.integers().halves();
    let found: Vec<i64> = (-500..500).filter(same).collect();
    assert_eq!(found, [-123]);
}

/// Parameters from elsewhere are for what they say: numbers that cannot be built, and those that their ring does not hold.
#[test]
fn forged_jobs_are_refused() {
    let f = &*SMALL;
    let bytes = f.params.to_bytes();
    assert!(Params::insecure_from_bytes(&bytes).unwrap() == f.params);
    // From the end: security 4, key 1, length 8, inner 8.
    for inner in [1u64 << 40, u64::MAX, 1 << 24] {
        let forged = forge(&bytes, Kind::Parameters, &|p: &mut Vec<u8>| {
            let at = p.len() - 21;
            p[at..at + 8].copy_from_slice(&inner.to_le_bytes());
        });
        let error = Params::insecure_from_bytes(&forged).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{inner}: {error}");
    }
}
