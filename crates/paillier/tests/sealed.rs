//! Secret keys at rest and bundles: what comes back is the same key, and golden files stay readable.

use cipherblas_paillier::{Error, Params, PublicKey, SecretKey};
use cipherblas_scheme::sealed::{Cost, Stored, seal_key};
use cipherblas_scheme::wire::{Header, Kind, SchemeId, bundle, open_bundle};
use cipherblas_scheme::{Decrypt, Encrypt, MulPlain, Wire};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::{Path, PathBuf};

const PASSPHRASE: &[u8] = "grüße, ключ, 鍵".as_bytes();
const VALUES: [f64; 4] = [0.5, -0.25, 1.125, -2.0];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn cost() -> Cost {
    Cost::insecure_new(64, 1).unwrap()
}

fn params() -> Params {
    Params::builder()
        .insecure_bits(512)
        .fraction_bits(20)
        .integer_bits(12)
        .value_bits(4)
        .slots(4)
        .build()
        .unwrap()
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A key whose primes are not those that are generated here: no cofactors.
fn imported() -> SecretKey {
    let text = std::fs::read_to_string(tests_folder().join("golden/phe/vectors.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let key = json["keys"][0]["private"].as_str().unwrap();
    SecretKey::from_phe_json(&params(), key, &mut rng(1)).unwrap()
}

#[test]
fn a_key_read_back_is_the_key() {
    let generated = SecretKey::generate(&params(), &mut rng(1)).unwrap();
    assert!(generated.key().cofactors().is_some());
    for secret in [generated, imported()] {
        let public = secret.public_key();
        let server = public.evaluator();
        let old = public
            .encrypt_at(&VALUES, 1, Some(2.0), &mut rng(3))
            .unwrap();
        let (primes, cofactors) = (secret.key().primes(), secret.key().cofactors());
        let bytes = secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
        drop(secret);

        let again = SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap();
        assert_eq!(*again.params(), params());
        assert_eq!(again.id(), public.id());
        assert_eq!(again.public_key().key(), public.key());
        assert_eq!(again.key().primes(), primes);
        assert_eq!(again.key().cofactors(), cofactors);
        let header = Header::peek(&bytes).unwrap();
        assert_eq!(
            (header.kind, header.scheme, header.parameters, header.key),
            (
                Kind::SecretKeyEncrypted,
                SchemeId::Paillier,
                params().id(),
                public.id()
            )
        );
        assert_eq!(again.decrypt(&old).unwrap(), VALUES);
        let fresh = again
            .encrypt_at(&VALUES, 1, Some(2.0), &mut rng(5))
            .unwrap();
        let halved = server.mul_plain(&fresh, &[0.5]).unwrap();
        assert_eq!(again.decrypt(&halved).unwrap(), VALUES.map(|x| x / 2.0));
        assert_eq!(
            again.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap(),
            bytes
        );
    }
}

#[test]
fn what_is_sealed_is_checked_as_everything_else() {
    let secret = SecretKey::generate(&params(), &mut rng(1)).unwrap();
    let bytes = secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap();
    assert_eq!(
        SecretKey::insecure_unseal(&bytes, b"wrong").err(),
        Some(Error::Sealed)
    );
    match SecretKey::unseal(&bytes, PASSPHRASE) {
        Err(Error::Parameter {
            what: "bits", hint, ..
        }) => assert!(hint.contains("insecure_"), "{hint}"),
        other => panic!("{other:?}"),
    }
    let (p, q) = secret.key().primes();
    let (r, s) = secret.key().cofactors().unwrap();
    let word = |x: u64| x.to_le_bytes().to_vec();
    let number = |words: &[u64]| words[..4].iter().flat_map(|&x| word(x)).collect::<Vec<_>>();
    let (p, q) = (number(&p), number(&q));
    let cofactors = [vec![1], word(r), word(s)].concat();
    // Whoever knows the passphrase can seal anything: what is inside still has to be a key.
    let open = |parts: &[&[u8]], key| {
        let stored = Stored {
            scheme: SchemeId::Paillier,
            parameter_id: params().id(),
            key,
            parameters: params().to_bytes(),
            secret: parts.concat().into(),
        };
        let bytes = seal_key(&stored, PASSPHRASE, cost(), &mut rng(4)).unwrap();
        SecretKey::insecure_unseal(&bytes, PASSPHRASE)
    };
    let own = secret.id();
    assert_eq!(open(&[&p, &q, &cofactors], own).unwrap().id(), own);
    // Without cofactors it is slower and the same; its halves the other way round, too.
    let plain = open(&[&p, &q, &[0]], own).unwrap();
    assert_eq!((plain.id(), plain.key().cofactors()), (own, None));
    assert!(open(&[&q, &p, &[0]], own).is_ok());

    let mut composite = p.clone();
    composite[0] ^= 2;
    let mut other = own;
    other.0[0] ^= 1;
    let swapped = [vec![1], word(s), word(r)].concat();
    for (what, parts, key) in [
        ("a composite number", [&composite[..], &q, &[0]], own),
        ("an even number", [&[2; 32][..], &q, &[0]], own),
        ("one prime twice", [&p, &p, &[0]], own),
        ("cofactors that are not its own", [&p, &q, &swapped], own),
        ("a flag that is none", [&p, &q, &[2]], own),
        ("a byte too many", [&p, &q, &[0, 0]], own),
        ("a byte too few", [&p, &q, &[]], own),
        ("another id", [&p, &q, &[0]], other),
        ("zeros", [&[0; 32], &[0; 32], &[0]], own),
    ] {
        let found = open(&parts, key).err();
        assert!(
            matches!(
                found,
                Some(Error::Wire { .. }) | Some(Error::Parameter { .. })
            ),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn secure_keys_are_saved_and_opened() {
    let params = Params::builder().bits(2048).slots(1).build().unwrap();
    let secret = SecretKey::generate(&params, &mut rng(1)).unwrap();
    let ct = secret.encrypt_at(&[0.5], 0, None, &mut rng(3)).unwrap();
    let path = std::env::temp_dir().join(format!("cipherblas-paillier-{}.key", std::process::id()));
    secret.save(&path, PASSPHRASE, &mut rng(4)).unwrap();
    assert!(matches!(
        secret.save(&path, PASSPHRASE, &mut rng(5)),
        Err(Error::Parameter { what: "path", .. })
    ));
    let again = SecretKey::open(&path, PASSPHRASE).unwrap();
    assert_eq!(again.id(), secret.id());
    assert_eq!(again.decrypt(&ct).unwrap(), [0.5]);
    assert_eq!(SecretKey::open(&path, b"wrong").err(), Some(Error::Sealed));
    std::fs::remove_file(&path).unwrap();
}

fn golden(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = tests_folder()
        .join("golden/v1")
        .join(name)
        .with_extension("cb");
    if std::env::var_os("CIPHERBLAS_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read(&path).unwrap()
}

/// `CIPHERBLAS_WRITE_GOLDEN=1` writes files that do not exist yet; existing ones are never touched.
#[test]
fn golden_files_are_read_forever() {
    let bytes = golden("sealed_secret_key", || {
        let secret = SecretKey::generate(&params(), &mut rng(2026)).unwrap();
        secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap()
    });
    let secret = SecretKey::insecure_unseal(&bytes, PASSPHRASE).unwrap();
    assert!(secret.key().cofactors().is_some());
    assert_eq!(
        secret.seal_at(PASSPHRASE, cost(), &mut rng(4)).unwrap(),
        bytes,
        "version 1 is written differently now; a new form needs a new version"
    );
    let bytes = golden("bundle", || {
        let public = secret.public_key();
        bundle(&public.params().to_bytes(), &public.to_bytes()).unwrap()
    });
    // One blob is enough on the other side.
    let (parameters, key) = open_bundle(&bytes).unwrap();
    let params = Params::insecure_from_bytes(parameters).unwrap();
    let public = PublicKey::from_bytes(&params, key).unwrap();
    assert_eq!(
        bundle(&params.to_bytes(), &public.to_bytes()).unwrap(),
        bytes
    );
    let ct = public
        .encrypt_at(&VALUES, 1, Some(2.0), &mut rng(8))
        .unwrap();
    let sent = public.evaluator().write_ciphertext(&ct);
    let received = secret.scheme().read_ciphertext(&sent).unwrap();
    assert_eq!(secret.decrypt(&received).unwrap(), VALUES);
}

#[test]
fn readers_limit_the_length_of_the_modulus() {
    let params = Params::builder().bits(3072).build().unwrap();
    let bytes = params.to_bytes();
    assert_eq!(Params::from_bytes_within(&bytes, 3072).unwrap(), params);
    match Params::from_bytes_within(&bytes, 3071) {
        Err(Error::Wire { got, .. }) => assert_eq!(got, "a modulus of 3072 bits"),
        other => panic!("{other:?}"),
    }
}
