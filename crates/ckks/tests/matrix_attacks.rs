//! Matrices under attack: foreign keys and parameters, altered bytes, generators that repeat themselves, secrets in messages;
//! and bounds on random shapes.

use cipherblas_ckks::matrix::{Block, Evaluator, Params, PublicKey, SecretKey};
use cipherblas_rlwe::matrix::noise;
use cipherblas_scheme::wire::{Expected, Kind, SchemeId, seal};
use cipherblas_scheme::{
    DecryptMatrix, EncryptMatrix, Error, Lines, MatrixKeySet, MatrixScheme, Side, WeightMatrix,
};
use proptest::prelude::*;
use rand::rand_core::{Infallible, TryCryptoRng, TryRng};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::LazyLock;

struct Fixture {
    params: Params,
    key: SecretKey,
    evaluator: Evaluator,
}

/// A small ring without security, with keys for all its grids.
static SMALL: LazyLock<Fixture> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let params = Params::builder()
        .inner(256)
        .len(64)
        .precision_bits(18)
        .insecure_degree(64)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let set = MatrixKeySet {
        lengths: [16, 32, 64].into(),
        products: true,
    };
    let keys = key.evaluation_keys(&set, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    Fixture {
        params,
        key,
        evaluator,
    }
});

/// A generator that repeats itself.
struct Stuck;
impl TryRng for Stuck {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}
impl TryCryptoRng for Stuck {}

fn encrypt(key: &SecretKey, values: &[f64], lines: usize, rng: &mut ChaCha20Rng) -> Block {
    key.encrypt_block(values, lines, None, Lines::Packed, 1, None, rng)
        .unwrap()
}

#[test]
fn randomness_does_not_repeat() {
    let f = &*SMALL;
    let public = f
        .key
        .public_key(&mut ChaCha20Rng::seed_from_u64(1))
        .unwrap();
    let halves = |values: [f64; 3], depth| {
        let (none, packed) = (None::<usize>, Lines::Packed);
        let own = f
            .key
            .encrypt_block(&values, 1, none, packed, depth, None, &mut Stuck)
            .unwrap();
        let theirs = public
            .encrypt_block(&values, 1, none, packed, depth, None, &mut Stuck)
            .unwrap();
        [own, theirs].map(|block| block.integers().halves().1.to_vec())
    };
    let all: Vec<Vec<i16>> = [
        halves([0.5, 0.25, 0.0], 1),
        halves([0.5, 0.25, 1.0], 1),
        halves([0.5, 0.25, 0.0], 0),
    ]
    .concat();
    for (i, a) in all.iter().enumerate() {
        for b in &all[..i] {
            let common = a.len().min(b.len());
            let same = a[..common].iter().zip(b).filter(|(x, y)| x == y).count();
            assert!(
                same < 8,
                "second halves agree in {same} of {common} residues"
            );
        }
    }
    // Ciphertexts of one block do not share theirs either.
    let values = vec![0.0; 64 * 2];
    let block = encrypt(&f.key, &values, 2, &mut ChaCha20Rng::seed_from_u64(3));
    let (_, a) = block.integers().halves();
    let same = a[..64].iter().zip(&a[64..128]).filter(|(x, y)| x == y);
    assert!(same.count() < 8);
}

#[test]
fn nothing_secret_is_shown() {
    let f = &*SMALL;
    let block = encrypt(&f.key, &[0.5; 16], 1, &mut ChaCha20Rng::seed_from_u64(4));
    let id = f.key.id();
    assert_eq!(
        format!("{:?}", f.key),
        format!("SecretKey(ckks matrices, {id}, redacted)")
    );
    assert_eq!(
        format!("{block:?}"),
        format!("Block(ckks, 1 packed lines of 16 values on a grid of 16, depth 1, key {id})")
    );
    // Values stay out of errors.
    let result = f.key.encrypt_block(
        &[0.123_456, 7.654_321],
        1,
        None,
        Lines::Packed,
        1,
        None,
        &mut Stuck,
    );
    let message = result.unwrap_err().to_string();
    assert!(!message.contains("7.65"), "{message}");
}

#[test]
fn objects_survive_the_wire_and_belong_together() {
    let f = &*SMALL;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let bytes = f.params.to_bytes();
    let error = Params::from_bytes(&bytes).unwrap_err();
    assert!(matches!(
        error,
        Error::Parameter {
            what: "security",
            ..
        }
    ));
    let params = Params::insecure_from_bytes(&bytes).unwrap();
    assert!(params == f.params && params.to_bytes() == bytes);

    let public = f.key.public_key(&mut rng).unwrap();
    let read = PublicKey::from_bytes(&params, &public.to_bytes()).unwrap();
    assert_eq!(read.fingerprint(), public.fingerprint());
    assert_ne!(
        read.fingerprint(),
        f.key.public_key(&mut rng).unwrap().fingerprint()
    );
    let set = MatrixKeySet::products(16).unwrap();
    let keys = f.key.evaluation_keys(&set, &mut rng).unwrap();
    let bytes = params.evaluation_keys_to_bytes(&keys);
    assert_eq!(
        bytes.len(),
        params.evaluation_keys_wire_bytes(&set).unwrap()
    );
    let keys = params.evaluation_keys_from_bytes(&bytes).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    let layout = Lines::Packed;
    let x = read.encrypt_block(&[0.5, -1.0], 2, None, layout, 1, None, &mut rng);
    let gram = evaluator.syrk(&[&x.unwrap()]).unwrap();
    let value = f.key.decrypt_block(&gram).unwrap()[0];
    assert!((value - 1.25).abs() <= evaluator.error_bound(&gram));

    // Other parameters: of another precision, on the same ring or not.
    let other = Params::builder()
        .inner(256)
        .len(64)
        .precision_bits(17)
        .insecure_degree(64)
        .build()
        .unwrap();
    assert_ne!(other.id(), params.id());
    let foreign = |error: Error| matches!(error, Error::KeyMismatch { .. });
    assert!(foreign(
        PublicKey::from_bytes(&other, &public.to_bytes()).unwrap_err()
    ));
    assert!(foreign(
        other.evaluation_keys_from_bytes(&bytes).unwrap_err()
    ));
    let reader = Evaluator::without_keys(&other, f.key.id());
    assert!(foreign(
        reader
            .read_block(&evaluator.write_block(&gram))
            .unwrap_err()
    ));
    assert!(foreign(reader.check(&gram).unwrap_err()));
    let bad = MatrixKeySet {
        lengths: [128].into(),
        products: true,
    };
    let error = f.key.evaluation_keys(&bad, &mut rng).unwrap_err();
    assert!(matches!(
        error,
        Error::Parameter {
            what: "matrix keys",
            ..
        }
    ));
}

/// The object with another payload and right hashes.
fn forge(bytes: &[u8], kind: Kind, change: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind,
        scheme: SchemeId::Ckks,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(&header, &payload)
}

/// A block that declares other bounds (magnitude, spread, random, fixed) and to be `fresh` or not.
fn declaring(f: &Fixture, block: &Block, fresh: bool, bounds: [Option<f64>; 4]) -> Block {
    let bytes = forge(&f.evaluator.write_block(block), Kind::MatrixBlock, &|p| {
        p[0] = u8::from(fresh);
        for (i, bound) in bounds.iter().enumerate() {
            if let Some(bound) = bound {
                p[5 + 8 * i..13 + 8 * i].copy_from_slice(&bound.to_le_bytes());
            }
        }
    });
    f.evaluator.read_block(&bytes).unwrap()
}

/// What a block declares is at least what an honest one has; that it is fresh is believed of seeds and of errors as large
/// as those of the public key.
#[test]
fn declared_bounds_are_raised() {
    let f = &*SMALL;
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let none = [None, Some(0.0), Some(0.0), Some(0.0)];
    let bound = |block: &Block| f.evaluator.error_bound(block);
    let (x, y) = (
        encrypt(&f.key, &[0.5; 16], 1, &mut rng),
        encrypt(&f.key, &[0.25; 16], 1, &mut rng),
    );
    assert_eq!(bound(&declaring(f, &x, true, none)), bound(&x));
    // Computed at the top, and below it.
    let (sum, difference) = (
        f.evaluator.add(&x, &y).unwrap(),
        f.evaluator.sub(&x, &y).unwrap(),
    );
    assert!(bound(&declaring(f, &sum, false, none)) >= 0.5 * bound(&x));
    let gram = f.evaluator.syrk(&[&x]).unwrap();
    let least = noise::lower(f.params.ring(), 1) / f.params.scale(0);
    assert!(bound(&declaring(f, &gram, false, none)) >= least);
    // Errors of sums are not independent, whatever the blocks say.
    let said = [&sum, &difference].map(|block| declaring(f, block, true, [None; 4]));
    let product = |a: &Block, b: &Block| {
        let terms = [(a, &x), (b, &y)];
        bound(&f.evaluator.gemm_tn(&terms, Side::Left).unwrap())
    };
    assert_eq!(product(&said[0], &said[1]), product(&sum, &difference));
    // Honest blocks come back as they were, those under the public key as fresh ones.
    let public = f.key.public_key(&mut rng).unwrap();
    let (grid, layout) = (None, Lines::Packed);
    let [p, q] = [0.5, 0.25].map(|v| {
        let block = public.encrypt_block(&[v; 16], 1, grid, layout, 1, None, &mut rng);
        block.unwrap()
    });
    let again = |block: &Block| {
        f.evaluator
            .read_block(&f.evaluator.write_block(block))
            .unwrap()
    };
    for block in [&x, &sum, &gram, &p] {
        assert_eq!(again(block).bounds(), block.bounds());
    }
    assert_eq!(product(&again(&p), &again(&q)), product(&p, &q));
}

/// Whoever declares a magnitude and hears whether decryption succeeded searches for the largest value, where the declared
/// magnitude is the threshold.
#[test]
fn declared_magnitudes_do_not_give_values_away() {
    let f = &*SMALL;
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let block = encrypt(&f.key, &[0.1, -0.371, 0.2, 0.0], 1, &mut rng);
    let search = |decrypts: &dyn Fn(&Block, f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            let forged = declaring(f, &block, true, [Some(middle), None, None, None]);
            if decrypts(&forged, middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    };
    let naive = search(&|block, declared| {
        let values = f.key.decrypt_block(block).unwrap();
        values.iter().all(|v| v.abs() <= declared)
    });
    assert!((naive - 0.371).abs() < 1e-4, "{naive}");
    let found = search(&|block, _| f.key.decrypt_block(block).is_ok());
    assert!(found < 1e-8, "every answer is the same: {found}");
}

/// Parameters from elsewhere are for what they say: numbers that cannot be built, and those that their ring does not hold.
#[test]
fn forged_jobs_are_refused() {
    let f = &*SMALL;
    let bytes = f.params.to_bytes();
    // From the end: security 4, key 1, length 8, inner 8, bound 8, precision 4, scale 8.
    for (what, back, with) in [
        ("inner", 21, (1u64 << 40).to_le_bytes().to_vec()),
        ("inner", 21, u64::MAX.to_le_bytes().to_vec()),
        ("inner", 21, (1u64 << 24).to_le_bytes().to_vec()),
        ("bound", 29, 1e13f64.to_le_bytes().to_vec()),
        ("bound", 29, 1e9f64.to_le_bytes().to_vec()),
        ("precision", 33, 41u32.to_le_bytes().to_vec()),
        ("precision", 33, 30u32.to_le_bytes().to_vec()),
        ("scale", 41, 16f64.to_le_bytes().to_vec()),
    ] {
        let forged = forge(&bytes, Kind::Parameters, &|p: &mut Vec<u8>| {
            let at = p.len() - back;
            p[at..at + with.len()].copy_from_slice(&with);
        });
        let error = Params::insecure_from_bytes(&forged).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{what}: {error}");
    }
}

#[test]
fn forged_blocks_and_parameters_are_refused() {
    let f = &*SMALL;
    let block = encrypt(&f.key, &[0.5; 16], 1, &mut ChaCha20Rng::seed_from_u64(6));
    // Flag, depth, then four bounds.
    let bytes = f.evaluator.write_block(&block);
    let set = |at: usize, with: Vec<u8>| {
        move |p: &mut Vec<u8>| p[at..at + with.len()].copy_from_slice(&with)
    };
    for (what, at, with) in [
        ("flag", 0, vec![2]),
        ("depth", 1, vec![9]),
        ("other depth", 1, vec![0]),
        ("seed of a computed block", 0, vec![0]),
        ("magnitude", 5, f64::NAN.to_le_bytes().to_vec()),
        ("magnitude", 5, 1e300f64.to_le_bytes().to_vec()),
        ("spread", 13, (-1.0f64).to_le_bytes().to_vec()),
        ("error", 29, f64::INFINITY.to_le_bytes().to_vec()),
    ] {
        let forged = forge(&bytes, Kind::MatrixBlock, &set(at, with));
        let error = f.evaluator.read_block(&forged).unwrap_err();
        assert!(matches!(error, Error::Wire { .. }), "{what}: {error}");
    }
    // Parameters: every byte is either checked or changes the identifier.
    let bytes = f.params.to_bytes();
    for at in 0..bytes.len() - 116 {
        for bit in [0, 7] {
            let forged = forge(&bytes, Kind::Parameters, &|p: &mut Vec<u8>| {
                p[at] ^= 1 << bit
            });
            assert!(Params::insecure_from_bytes(&forged).is_err(), "byte {at}");
        }
    }
}

/// What gives the difference of the bound and the error of every value.
fn check(what: &str, f: &Fixture, block: &Block, exact: &[f64]) {
    let values = f.key.decrypt_block(block).unwrap();
    let bound = f.evaluator.error_bound(block);
    let magnitude = f.evaluator.magnitude_bound(block);
    assert_eq!(values.len(), exact.len(), "{what}");
    for (value, exact) in values.iter().zip(exact) {
        assert!(
            (value - exact).abs() <= bound,
            "{what}: {value} for {exact}, bound {bound:e}"
        );
        assert!(
            exact.abs() <= magnitude * (1.0 + 1e-12),
            "{what}: {exact} beyond {magnitude}"
        );
    }
}

fn tn(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    let (m, n) = (a.len() / k, b.len() / k);
    let entry = |i: usize| (0..k).map(|l| a[l * m + i / n] * b[l * n + i % n]).sum();
    (0..m * n).map(entry).collect()
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
            .precision_bits(20)
            .insecure_degree(64)
            .build()
            .unwrap(),
    };
    let key = SecretKey::generate(&params, &mut rng).unwrap();
    let keys = MatrixKeySet::products(16).unwrap();
    let keys = key.evaluation_keys(&keys, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys).unwrap();
    let values: [f64; 4] = [0.5, -0.25, 1.0, 0.75];
    let fresh = key
        .encrypt_block(&values, 2, None, Lines::Packed, 1, Some(1.0), &mut rng)
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
    for (block, exact) in [(fresh, values), (gram, [1.25, 0.625, 0.625, 0.625])] {
        let bound = evaluator.error_bound(&block);
        assert!(bound < 1e-5);
        for (x, exact) in key.decrypt_block(&block).unwrap().iter().zip(exact) {
            assert!((x - exact).abs() <= bound, "{x} for {exact}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Bounds hold on random shapes, magnitudes and mixtures of operations.
    #[test]
    fn bounds_hold(
        k in 1usize..=60, m in 1usize..=64, n in 1usize..=64, size in 0.01f64..=1.0, weight in 0.0f64..2.0,
        seed: u64, extreme: bool,
    ) {
        let f = &*SMALL;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = |count: usize| -> Vec<f64> {
            (0..count)
                .map(|_| if extreme { size } else { rng.random_range(-size..=size) })
                .collect()
        };
        let (a, b) = (draw(k * m), draw(k * n));
        let padded = m.max(n).next_power_of_two().max(16);
        let mut encrypt = |values: &[f64], layout| {
            f.key
                .encrypt_block(values, k, Some(padded), layout, 1, Some(size), &mut rng)
                .unwrap()
        };
        let (x, y) = (encrypt(&a, Lines::Packed), encrypt(&b, Lines::Packed));
        let z = f.evaluator.gemm_tn(&[(&x, &y)], Side::Left).unwrap();
        check("gemm_tn", f, &z, &tn(&a, &b, k));
        let two = f.evaluator.gemm_tn(&[(&x, &y), (&x, &y)], Side::Left).unwrap();
        prop_assert!(f.evaluator.error_bound(&two) >= f.evaluator.error_bound(&z));
        let doubled: Vec<f64> = tn(&a, &b, k).iter().map(|v| 2.0 * v).collect();
        check("gemm_tn of a term twice", f, &two, &doubled);
        let sum = f.evaluator.add(&x, &x).unwrap();
        let gram = f.evaluator.syrk(&[&sum]).unwrap();
        let exact: Vec<f64> = tn(&a, &a, k).iter().map(|v| 4.0 * v).collect();
        check("syrk of a sum", f, &gram, &exact);
        let scaled = f.evaluator.scale(&x, -weight).unwrap();
        let exact: Vec<f64> = a.iter().map(|v| -weight * v).collect();
        check("scale", f, &scaled, &exact);
        // Plain weights: a row of equal ones is the worst for errors that are not independent.
        let weights = vec![weight; 3 * k];
        let single = encrypt(&a, Lines::Single);
        let pair = [(WeightMatrix::new(3, k, &weights).unwrap(), &single)];
        let z = f.evaluator.gemm_plain(&pair).unwrap();
        let exact: Vec<f64> = (0..3 * m)
            .map(|i| (0..k).map(|l| weight * a[l * m + i % m]).sum())
            .collect();
        check("gemm_plain", f, &z, &exact);
    }
}
