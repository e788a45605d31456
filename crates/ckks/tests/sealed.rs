//! Secret keys at rest and bundles: what comes back is the same key, and golden files stay readable.

use cipherblas_ckks::{Error, Evaluator, KeySet, Params, PublicKey, SecretKey, matrix};
use cipherblas_scheme::sealed::{Cost, Stored, seal_key};
use cipherblas_scheme::wire::{Header, Kind, SchemeId, bundle, open_bundle};
use cipherblas_scheme::{
    Decrypt, DecryptMatrix, Encrypt, EncryptMatrix, ErrorBound, Lines, Mul, Scheme, Wire,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::PathBuf;

const PASSPHRASE: &[u8] = "grüße, ключ, 鍵".as_bytes();
const VALUES: [f64; 4] = [0.5, -0.25, 0.125, 1.0];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn cost() -> Cost {
    Cost::insecure_new(64, 1).unwrap()
}

fn params() -> Params {
    params_of(16)
}

fn params_of(degree: usize) -> Params {
    Params::builder()
        .depth(1)
        .precision_bits(20)
        .sharing(3)
        .insecure_degree(degree)
        .build()
        .unwrap()
}

fn close(got: &[f64], expected: [f64; 4]) {
    for (i, x) in got.iter().enumerate() {
        assert!((x - expected[i % 4]).abs() < 1e-4, "{x} in slot {i}");
    }
}

#[test]
fn a_key_read_back_is_the_key() {
    let params = params();
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let set = KeySet {
        relinearization: true,
        ..KeySet::default()
    };
    let keys = secret.evaluation_keys(&set, &mut rng(2)).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let old = secret
        .encrypt_at(&VALUES, 1, Some(1.0), &mut rng(3))
        .unwrap();
    let bytes = secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
    drop(secret);

    let again = SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap();
    assert_eq!(again.params().to_bytes(), params.to_bytes());
    let header = Header::peek(&bytes).unwrap();
    assert_eq!(
        (header.kind, header.scheme, header.parameters, header.key),
        (
            Kind::SecretKeyEncrypted,
            SchemeId::Ckks,
            params.id(),
            again.id()
        )
    );
    close(&again.decrypt(&old).unwrap(), VALUES);
    close(
        &again.decrypt(&server.square(&old).unwrap()).unwrap(),
        VALUES.map(|x| x * x),
    );
    let fresh = again
        .encrypt_at(&VALUES, 1, Some(1.0), &mut rng(5))
        .unwrap();
    close(
        &again.decrypt(&server.mul(&fresh, &old).unwrap()).unwrap(),
        VALUES.map(|x| x * x),
    );
    // Sealed again from the same randomness, it is the same: coefficients, id and counter.
    let sealed = again.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
    assert_eq!(sealed, bytes);
}

/// The budget is that of the copy: what was shared before it was sealed counts, what came after does not.
#[test]
fn the_count_of_shared_decryptions_is_kept() {
    let params = params();
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let ct = secret
        .encrypt_at(&VALUES, 1, Some(1.0), &mut rng(3))
        .unwrap();
    let bound = secret.scheme().error_bound(&ct);
    let share = |key: &SecretKey| key.decrypt_shared(&ct, bound, &mut rng(6)).map(|_| ());
    let reopened = |key: &SecretKey| {
        let bytes = key.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
        SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap()
    };
    share(&secret).unwrap();
    share(&secret).unwrap();
    let copy = reopened(&secret);
    assert_eq!((secret.shared_left(), copy.shared_left()), (1, 1));
    share(&secret).unwrap();
    assert_eq!((secret.shared_left(), copy.shared_left()), (0, 1));
    share(&copy).unwrap();
    for key in [&secret, &copy, &reopened(&copy)] {
        assert!(matches!(
            share(key),
            Err(Error::Parameter {
                what: "sharing",
                ..
            })
        ));
    }
}

#[test]
fn what_is_sealed_is_checked_as_everything_else() {
    let params = params_of(64);
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let bytes = secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
    assert_eq!(
        SecretKey::insecure_unseal(&bytes, b"wrong").err(),
        Some(Error::Sealed)
    );
    // Keys for tests open by their own name only.
    match SecretKey::unseal(&bytes, PASSPHRASE) {
        Err(Error::Parameter {
            what: "security",
            hint,
            ..
        }) => assert!(hint.contains("insecure_"), "{hint}"),
        other => panic!("{other:?}"),
    }
    // Whoever knows the passphrase can seal anything: what is inside still has to be a key.
    let open = |secret_bytes: Vec<u8>, key| {
        let stored = Stored {
            scheme: SchemeId::Ckks,
            parameter_id: params.id(),
            key,
            parameters: params.to_bytes(),
            secret: secret_bytes.into(),
        };
        let bytes = seal_key(&stored, PASSPHRASE, cost(), &mut rng(4)).unwrap();
        SecretKey::insecure_unseal(&bytes, PASSPHRASE)
    };
    // Coefficients 0, 1, -1, 0, and so on.
    let right = [0b01_00_10_01, 0b10_01_01_00, 0b00_01_01_10, 0b01_10_00_01].repeat(4);
    assert!(open([&right[..], &[0; 4]].concat(), secret.id()).is_ok());
    for (what, wrong) in [
        (
            "no ternary digit",
            [&[0b11_00_10_01][..], &right[1..], &[0; 4]].concat(),
        ),
        (
            "a coefficient too many",
            [&right[..], &[0b01][..], &[0; 4]].concat(),
        ),
        ("a coefficient too few", [&right[1..], &[0; 4]].concat()),
        (
            "an extraordinary norm",
            [&[0b10_10_10_10; 16][..], &[0; 4]].concat(),
        ),
        ("more than the budget", [&right[..], &[4, 0, 0, 0]].concat()),
        ("nothing", vec![]),
    ] {
        let found = open(wrong, secret.id()).err();
        assert!(
            matches!(found, Some(Error::Wire { .. })),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn secure_keys_are_saved_and_opened() {
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .build()
        .unwrap();
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let ct = secret.encrypt_at(&VALUES, 0, None, &mut rng(3)).unwrap();
    let path = std::env::temp_dir().join(format!("cipherblas-ckks-{}.key", std::process::id()));
    secret.save(&path, PASSPHRASE, &mut rng(4)).unwrap();
    assert!(matches!(
        secret.save(&path, PASSPHRASE, &mut rng(5)),
        Err(Error::Parameter { what: "path", .. })
    ));
    let again = SecretKey::open(&path, PASSPHRASE).unwrap();
    assert_eq!(again.id(), secret.id());
    assert_eq!(again.decrypt(&ct).unwrap(), secret.decrypt(&ct).unwrap());
    secret.save_over(&path, b"another", &mut rng(5)).unwrap();
    assert_eq!(
        SecretKey::open(&path, PASSPHRASE).err(),
        Some(Error::Sealed)
    );
    assert_eq!(
        SecretKey::insecure_open(&path, b"another").unwrap().id(),
        secret.id()
    );
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        SecretKey::open(&path, PASSPHRASE),
        Err(Error::Io {
            operation: "read",
            ..
        })
    ));
}

#[test]
fn keys_of_matrices_are_sealed_as_well() {
    let params = matrix::Params::builder()
        .inner(16)
        .len(64)
        .precision_bits(10)
        .insecure_degree(64)
        .build()
        .unwrap();
    let secret = matrix::SecretKey::generate(&params, &mut rng(1)).unwrap();
    let bytes = secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
    let again = matrix::SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap();
    assert_eq!(again.id(), secret.id());
    assert_eq!(
        again.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap(),
        bytes
    );
    assert!(matches!(
        matrix::SecretKey::unseal(&bytes, PASSPHRASE),
        Err(Error::Parameter {
            what: "security",
            ..
        })
    ));
    let old = secret
        .encrypt_block(&VALUES, 2, None, Lines::Packed, 1, Some(1.0), &mut rng(3))
        .unwrap();
    for (x, expected) in again.decrypt_block(&old).unwrap().iter().zip(VALUES) {
        assert!((x - expected).abs() < 1e-2);
    }
    // One kind of key is not taken for the other.
    assert!(SecretKey::insecure_unseal(&bytes, PASSPHRASE).is_err());
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(name)
        .with_extension("cb")
}

fn stored(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = golden(name);
    if std::env::var_os("CIPHERBLAS_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read(&path).unwrap()
}

/// `CIPHERBLAS_WRITE_GOLDEN=1` writes files that do not exist yet; existing ones are never touched.
#[test]
fn golden_files_are_read_forever() {
    let bytes = stored("sealed_secret_key", || {
        let secret = SecretKey::generate(&params(), &mut rng(2026)).unwrap();
        let ct = secret.encrypt_at(&VALUES, 1, None, &mut rng(3)).unwrap();
        let bound = secret.scheme().error_bound(&ct);
        let _ = secret.decrypt_shared(&ct, bound, &mut rng(6)).unwrap();
        secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap()
    });
    let secret = SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap();
    assert_eq!(secret.shared_left(), 2);
    assert_eq!(
        secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap(),
        bytes,
        "version 1 is written differently now; a new form needs a new version"
    );
    let bytes = stored("bundle", || {
        let public = secret.public_key(&mut rng(7)).unwrap();
        bundle(&secret.params().to_bytes(), &public.to_bytes()).unwrap()
    });
    let (parameters, key) = open_bundle(&bytes).unwrap();
    let params = Params::insecure_from_bytes(parameters).unwrap();
    let public = PublicKey::from_bytes(&params, key).unwrap();
    assert_eq!(
        bundle(&params.to_bytes(), &public.to_bytes()).unwrap(),
        bytes
    );
    let ct = public.encrypt_at(&VALUES, 1, None, &mut rng(8)).unwrap();
    close(&secret.decrypt(&ct).unwrap(), VALUES);
}

/// One blob is enough on the other side.
#[test]
fn bundled_evaluation_keys_compute() {
    let params = params();
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let keys = secret
        .evaluation_keys(&KeySet::powers_of_two(params.slots()), &mut rng(2))
        .unwrap();
    let bytes = bundle(&params.to_bytes(), &params.evaluation_keys_to_bytes(&keys)).unwrap();
    let ct = secret
        .scheme()
        .write_ciphertext(&secret.encrypt_at(&VALUES, 1, None, &mut rng(3)).unwrap());

    let (parameters, keys) = open_bundle(&bytes).unwrap();
    let params = Params::insecure_from_bytes(parameters).unwrap();
    let keys = params.evaluation_keys_from_bytes(keys).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let square = server
        .square(&server.read_ciphertext(&ct).unwrap())
        .unwrap();
    assert_eq!(server.depth(&square), 0);
    close(&secret.decrypt(&square).unwrap(), VALUES.map(|x| x * x));
}
