//! Bytes: what goes out comes back, golden files stay readable, and nothing that was altered gets in.

use cipherblas_paillier::{Ciphertext, Error, Evaluator, Params, PublicKey, SecretKey};
use cipherblas_scheme::wire::{Expected, Header, Kind, SchemeId, seal};
use cipherblas_scheme::{Add, Decrypt, Encrypt, ErrorBound, MulPlain, Scheme, Wire};
use num_bigint::BigUint;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const VALUES: [f64; 4] = [0.5, -0.25, 1.125, -2.0];

struct Objects {
    params: Params,
    secret: SecretKey,
    evaluator: Evaluator,
    ciphertext: Ciphertext,
    bytes: [(&'static str, Vec<u8>); 4],
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The same key every time: the small one of the interoperability vectors.
fn private_key() -> String {
    let text = std::fs::read_to_string(tests_folder().join("golden/phe/vectors.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["keys"][0]["private"].as_str().unwrap().to_owned()
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(2026);
        let params = Params::builder()
            .insecure_bits(512)
            .fraction_bits(20)
            .integer_bits(12)
            .value_bits(4)
            .slots(4)
            .build()
            .unwrap();
        let secret = SecretKey::from_phe_json(&params, &private_key(), &mut rng).unwrap();
        let public = secret.public_key();
        let evaluator = public.evaluator();
        let ciphertext = secret.encrypt_at(&VALUES, 1, Some(2.0), &mut rng).unwrap();
        let computed = evaluator.mul_plain(&ciphertext, &[-1.5]).unwrap();
        let bytes = [
            ("parameters", params.to_bytes()),
            ("public_key", public.to_bytes()),
            ("fresh_ciphertext", evaluator.write_ciphertext(&ciphertext)),
            ("computed_ciphertext", evaluator.write_ciphertext(&computed)),
        ];
        Objects {
            params,
            secret,
            evaluator,
            ciphertext,
            bytes,
        }
    })
}

const KINDS: [Kind; 4] = [
    Kind::Parameters,
    Kind::PublicKey,
    Kind::Ciphertext,
    Kind::Ciphertext,
];

/// Reads whatever `name` stands for and writes it again.
fn read(o: &Objects, name: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(match name {
        "parameters" => Params::insecure_from_bytes(bytes)?.to_bytes(),
        "public_key" => PublicKey::from_bytes(&o.params, bytes)?.to_bytes(),
        _ => o
            .evaluator
            .write_ciphertext(&o.evaluator.read_ciphertext(bytes)?),
    })
}

fn golden(name: &str) -> PathBuf {
    tests_folder()
        .join("golden/v1")
        .join(name)
        .with_extension("cb")
}

/// `CIPHERBLAS_WRITE_GOLDEN=1` writes files that do not exist yet; existing ones are never touched.
#[test]
fn golden_files_are_read_forever() {
    let o = objects();
    for (name, bytes) in &o.bytes {
        let path = golden(name);
        if std::env::var_os("CIPHERBLAS_WRITE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, bytes).unwrap();
        }
        let stored = std::fs::read(&path).unwrap();
        let again = read(o, name, &stored).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            stored == again,
            "{name}: version 1 is written differently now; a new form needs a new version"
        );
    }
    // What does not depend on randomness is the same to the byte.
    for name in ["parameters", "public_key"] {
        let (_, bytes) = o.bytes.iter().find(|(n, _)| *n == name).unwrap();
        assert!(*bytes == std::fs::read(golden(name)).unwrap(), "{name}");
    }
    for (name, factor, depth, magnitude) in [
        ("fresh_ciphertext", 1.0, 1, 2.0),
        ("computed_ciphertext", -1.5, 0, 3.0),
    ] {
        let stored = std::fs::read(golden(name)).unwrap();
        let ct = o.evaluator.read_ciphertext(&stored).unwrap();
        assert_eq!(o.secret.decrypt(&ct).unwrap(), VALUES.map(|x| factor * x));
        assert_eq!(o.evaluator.depth(&ct), depth);
        assert_eq!(o.evaluator.magnitude_bound(&ct), magnitude);
    }
}

#[test]
fn what_comes_back_computes() {
    let o = objects();
    let params = Params::insecure_from_bytes(&o.params.to_bytes()).unwrap();
    assert_eq!(params, o.params);
    let server = PublicKey::from_bytes(&params, &o.bytes[1].1)
        .unwrap()
        .evaluator();
    let ct = server.read_ciphertext(&o.bytes[2].1).unwrap();
    assert_eq!(ct.element(), o.ciphertext.element());
    assert_eq!(
        server.error_bound(&ct),
        o.evaluator.error_bound(&o.ciphertext)
    );
    let result = server
        .add(&ct, &server.mul_plain(&ct, &[0.5]).unwrap())
        .unwrap();
    let back = o
        .evaluator
        .read_ciphertext(&server.write_ciphertext(&result))
        .unwrap();
    assert_eq!(o.secret.decrypt(&back).unwrap(), VALUES.map(|x| 1.5 * x));
}

#[test]
fn objects_of_another_kind_key_or_parameters_are_refused() {
    let o = objects();
    for (i, (name, bytes)) in o.bytes.iter().enumerate() {
        let wrong = if i == 0 { "public_key" } else { "parameters" };
        assert!(read(o, wrong, bytes).is_err(), "{name} was read as {wrong}");
        for cut in [0, 3, 83, bytes.len() / 2, bytes.len() - 1] {
            assert!(read(o, name, &bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let other = SecretKey::generate(&o.params, &mut rng).unwrap();
    let foreign = other
        .scheme()
        .write_ciphertext(&other.encrypt_at(&[0.0], 1, None, &mut rng).unwrap());
    assert!(matches!(
        o.evaluator.read_ciphertext(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let unlike = Params::builder().insecure_bits(512).build().unwrap();
    assert!(matches!(
        PublicKey::from_bytes(&unlike, &o.bytes[1].1),
        Err(Error::KeyMismatch { .. })
    ));
    let unlike = PublicKey::from_modulus(&unlike, o.evaluator.key().n()).unwrap();
    assert!(matches!(
        unlike.evaluator().read_ciphertext(&o.bytes[2].1),
        Err(Error::KeyMismatch { .. })
    ));
    // Parameters without security are not read by accident.
    assert!(matches!(
        Params::from_bytes(&o.params.to_bytes()),
        Err(Error::Parameter { what: "bits", .. })
    ));
    let secure = Params::builder().build().unwrap();
    assert_eq!(Params::from_bytes(&secure.to_bytes()).unwrap(), secure);
}

/// An adversary can hash: the payload is altered and sealed again, so that only the conformance checks stand in the way.
fn reseal(bytes: &[u8], kind: Kind, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind,
        scheme: SchemeId::Paillier,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(
        &Header::new(kind, SchemeId::Paillier, header.parameters, header.key),
        &payload,
    )
}

proptest! {
    #[test]
    fn altered_and_resealed_bytes_never_panic(
        which in 0usize..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let o = objects();
        let (name, bytes) = &o.bytes[which];
        let altered = reseal(bytes, KINDS[which], |payload| {
            for (at, value) in &edits {
                let at = at.index(payload.len());
                payload[at] = *value;
            }
            if let Some(cut) = cut {
                payload.truncate(cut.index(payload.len()));
            }
        });
        let result = read(o, name, &altered);
        if cut.is_some() {
            prop_assert!(result.is_err());
        }
        // Whatever is read can be used, and decrypts to something or nothing.
        if which >= 2 && let Ok(ct) = o.evaluator.read_ciphertext(&altered) {
            let _ = o.secret.decrypt(&ct);
            let _ = o.evaluator.add(&ct, &ct);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let o = objects();
        for (name, _) in &o.bytes {
            prop_assert!(read(o, name, &bytes).is_err());
        }
    }
}

#[test]
fn corrupted_ciphertexts_are_refused() {
    let o = objects();
    let fresh = &o.bytes[2].1;
    let number = |x: &BigUint| {
        let mut digits = x.to_bytes_le();
        digits.resize(128, 0);
        digits
    };
    let n = o.evaluator.key().n();
    let n_squared = o.evaluator.key().n_squared();
    type Change<'a> = (&'a str, Box<dyn FnOnce(&mut Vec<u8>) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("depth", Box::new(|p| p[0] = 2)),
        (
            "a NaN error",
            Box::new(|p| p[4..12].copy_from_slice(&f64::NAN.to_le_bytes())),
        ),
        (
            "a negative error",
            Box::new(|p| p[4..12].copy_from_slice(&(-1f64).to_le_bytes())),
        ),
        (
            "a large error",
            Box::new(|p| p[4..12].copy_from_slice(&4096f64.to_le_bytes())),
        ),
        (
            "an infinite magnitude",
            Box::new(|p| p[12..20].copy_from_slice(&f64::INFINITY.to_le_bytes())),
        ),
        (
            "a large magnitude",
            Box::new(|p| p[12..20].copy_from_slice(&4097f64.to_le_bytes())),
        ),
        ("0", Box::new(|p| p[20..].fill(0))),
        ("n", Box::new(|p| p[20..].copy_from_slice(&number(n)))),
        (
            "7 n",
            Box::new(|p| p[20..].copy_from_slice(&number(&(n * 7u8)))),
        ),
        (
            "n^2",
            Box::new(|p| p[20..].copy_from_slice(&number(n_squared))),
        ),
        (
            "n^2 + 1",
            Box::new(|p| p[20..].copy_from_slice(&number(&(n_squared + 1u8)))),
        ),
        ("all ones", Box::new(|p| p[20..].fill(0xff))),
        ("a longer one", Box::new(|p| p.push(0))),
        ("a shorter one", Box::new(|p| p.truncate(p.len() - 1))),
    ];
    for (what, change) in changes {
        let altered = reseal(fresh, Kind::Ciphertext, change);
        let result = o.evaluator.read_ciphertext(&altered);
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "{what}: {result:?}"
        );
    }
}

#[test]
fn corrupted_parameters_and_keys_are_refused() {
    let o = objects();
    // bits, fraction, integer, value, depth, slots, insecure: out of range, or simply another set under this id.
    for (at, value) in [
        (0, 130),
        (0, 640),
        (1, 65),
        (1, 21),
        (2, 61),
        (3, 13),
        (4, 17),
        (5, 3),
        (5, 0),
        (5, 2),
        (6, 2),
        (6, 0),
    ] {
        let altered = reseal(&o.bytes[0].1, Kind::Parameters, |p| {
            p[4 * at..4 * at + 4].copy_from_slice(&u32::to_le_bytes(value));
        });
        let result = Params::insecure_from_bytes(&altered);
        assert!(
            matches!(result, Err(Error::Wire { .. } | Error::Parameter { .. })),
            "{at}: {value}: {result:?}"
        );
    }
    let altered = |change: fn(&mut Vec<u8>)| {
        PublicKey::from_bytes(&o.params, &reseal(&o.bytes[1].1, Kind::PublicKey, change))
    };
    // Even; too short; not this key's.
    assert!(matches!(
        altered(|p| p[0] &= 0xfe),
        Err(Error::Parameter { what: "n", .. })
    ));
    assert!(matches!(
        altered(|p| p[63] = 0),
        Err(Error::Parameter { what: "n", .. })
    ));
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let other = SecretKey::generate(&o.params, &mut rng)
        .unwrap()
        .public_key();
    let swapped = reseal(&o.bytes[1].1, Kind::PublicKey, |p| {
        let n = other.key().n().to_bytes_le();
        p.copy_from_slice(&n);
    });
    assert!(matches!(
        PublicKey::from_bytes(&o.params, &swapped),
        Err(Error::Wire { .. })
    ));
}
