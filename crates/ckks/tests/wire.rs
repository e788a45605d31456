//! Bytes: what goes out comes back, golden files stay readable, and nothing that was altered gets in.

use cipherblas_ckks::{Ciphertext, Error, Evaluator, KeySet, Params, PublicKey, SecretKey};
use cipherblas_scheme::wire::{Expected, Header, Kind, SchemeId, seal};
use cipherblas_scheme::{Decrypt, Encrypt, Mul, Rotate, Wire};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::PathBuf;

const VALUES: [f64; 4] = [0.5, -0.25, 0.125, 1.0];

struct Objects {
    params: Params,
    secret: SecretKey,
    evaluator: Evaluator,
    ciphertext: Ciphertext,
    bytes: [(&'static str, Vec<u8>); 5],
}

/// The same objects every time: everything follows from the stored parameters and the seed.
fn objects() -> Objects {
    let mut rng = ChaCha20Rng::seed_from_u64(2026);
    let params = match std::fs::read(golden("parameters")) {
        Ok(bytes) => Params::insecure_from_bytes(&bytes).unwrap(),
        Err(_) => Params::builder()
            .depth(1)
            .precision_bits(20)
            .insecure_degree(16)
            .build()
            .unwrap(),
    };
    let secret = SecretKey::generate(&params, &mut rng).unwrap();
    let public = secret.public_key(&mut rng).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: [1].into(),
        conjugation: false,
    };
    let keys = secret.evaluation_keys(&set, &mut rng).unwrap();
    let evaluator = Evaluator::new(&params, keys.clone()).unwrap();
    let ciphertext = secret.encrypt_at(&VALUES, 1, Some(1.0), &mut rng).unwrap();
    let computed = evaluator.rotate(&ciphertext, 1).unwrap();
    let bytes = [
        ("parameters", params.to_bytes()),
        ("public_key", public.to_bytes()),
        ("evaluation_keys", params.evaluation_keys_to_bytes(&keys)),
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
}

/// Reads whatever `name` stands for and writes it again.
fn read(o: &Objects, name: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(match name {
        "parameters" => Params::insecure_from_bytes(bytes)?.to_bytes(),
        "public_key" => PublicKey::from_bytes(&o.params, bytes)?.to_bytes(),
        "evaluation_keys" => {
            let keys = o.params.evaluation_keys_from_bytes(bytes)?;
            o.params.evaluation_keys_to_bytes(&keys)
        }
        _ => o
            .evaluator
            .write_ciphertext(&o.evaluator.read_ciphertext(bytes)?),
    })
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
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
        let again = read(&o, name, &stored).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            stored == again,
            "{name}: version 1 is written differently now; a new form needs a new version"
        );
    }
    let stored = std::fs::read(golden("computed_ciphertext")).unwrap();
    let got = o
        .secret
        .decrypt(&o.evaluator.read_ciphertext(&stored).unwrap())
        .unwrap();
    for (i, x) in got.iter().enumerate() {
        assert!((x - VALUES[(i + 1) % 4]).abs() < 1e-5, "{x} in slot {i}");
    }
}

#[test]
fn what_comes_back_computes() {
    let o = objects();
    let params = Params::insecure_from_bytes(&o.params.to_bytes()).unwrap();
    let keys = params.evaluation_keys_from_bytes(&o.bytes[2].1).unwrap();
    let server = Evaluator::new(&params, keys).unwrap();
    let ct = server.read_ciphertext(&o.bytes[3].1).unwrap();
    assert!(ct.is_seeded() && o.bytes[3].1.len() < o.bytes[4].1.len());
    let product = server.mul(&ct, &server.rotate(&ct, 1).unwrap()).unwrap();
    let back = o
        .evaluator
        .read_ciphertext(&server.write_ciphertext(&product))
        .unwrap();
    for (i, x) in o.secret.decrypt(&back).unwrap().iter().enumerate() {
        assert!((x - VALUES[i % 4] * VALUES[(i + 1) % 4]).abs() < 1e-5);
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let public = PublicKey::from_bytes(&params, &o.bytes[1].1).unwrap();
    let ct = public.encrypt_at(&VALUES, 1, None, &mut rng).unwrap();
    assert!((o.secret.decrypt(&ct).unwrap()[1] + 0.25).abs() < 1e-5);
}

#[test]
fn objects_of_another_kind_key_or_parameters_are_refused() {
    let o = objects();
    for (i, (name, bytes)) in o.bytes.iter().enumerate() {
        let wrong = if i == 0 { "public_key" } else { "parameters" };
        assert!(
            read(&o, wrong, bytes).is_err(),
            "{name} was read as {wrong}"
        );
        for cut in [0, 3, 83, bytes.len() / 2, bytes.len() - 1] {
            assert!(
                read(&o, name, &bytes[..cut]).is_err(),
                "{name} cut at {cut}"
            );
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
    let params = Params::builder()
        .depth(1)
        .precision_bits(21)
        .insecure_degree(16)
        .build()
        .unwrap();
    let unlike = Evaluator::without_keys(&params, o.secret.id());
    assert!(matches!(
        unlike.read_ciphertext(&o.evaluator.write_ciphertext(&o.ciphertext)),
        Err(Error::KeyMismatch { .. })
    ));
}

/// An adversary can hash: the payload is altered and sealed again, so that only the conformance checks stand in the way.
fn reseal(bytes: &[u8], kind: Kind, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind,
        scheme: SchemeId::Ckks,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(
        &Header::new(kind, SchemeId::Ckks, header.parameters, header.key),
        &payload,
    )
}

const KINDS: [Kind; 5] = [
    Kind::Parameters,
    Kind::PublicKey,
    Kind::EvaluationKeys,
    Kind::Ciphertext,
    Kind::Ciphertext,
];

proptest! {
    #[test]
    fn altered_and_resealed_bytes_never_panic(
        which in 0usize..5, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in prop::option::of(any::<prop::sample::Index>()),
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
        let result = read(&o, name, &altered);
        if cut.is_some() {
            prop_assert!(result.is_err());
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let o = objects();
        for (name, _) in &o.bytes {
            prop_assert!(read(&o, name, &bytes).is_err());
        }
    }
}

#[test]
fn residues_at_their_prime_and_impossible_levels_are_refused() {
    let o = objects();
    let fresh = &o.bytes[3].1;
    let level = reseal(fresh, Kind::Ciphertext, |p| p[0] = 9);
    assert!(matches!(
        o.evaluator.read_ciphertext(&level),
        Err(Error::Wire { .. })
    ));
    let nan = reseal(fresh, Kind::Ciphertext, |p| {
        p[4..12].copy_from_slice(&f64::NAN.to_le_bytes())
    });
    assert!(matches!(
        o.evaluator.read_ciphertext(&nan),
        Err(Error::Wire { .. })
    ));
    let negative = reseal(fresh, Kind::Ciphertext, |p| {
        p[4..12].copy_from_slice(&(-1f64).to_le_bytes())
    });
    assert!(matches!(
        o.evaluator.read_ciphertext(&negative),
        Err(Error::Wire { .. })
    ));
    let large = reseal(fresh, Kind::Ciphertext, |p| p[21..28].fill(0xff));
    assert!(matches!(
        o.evaluator.read_ciphertext(&large),
        Err(Error::Wire { .. })
    ));
    let longer = reseal(fresh, Kind::Ciphertext, |p| p.push(0));
    assert!(matches!(
        o.evaluator.read_ciphertext(&longer),
        Err(Error::Wire { .. })
    ));
}

#[test]
fn the_reader_limits_the_degree_and_fingerprints_bind_keys() {
    let params = Params::builder()
        .depth(0)
        .precision_bits(8)
        .build()
        .unwrap();
    let (bytes, degree) = (params.to_bytes(), params.degree());
    assert!(Params::from_bytes_within(&bytes, degree).is_ok());
    match Params::from_bytes_within(&bytes, degree - 1) {
        Err(Error::Wire { got, .. }) => assert_eq!(got, format!("ring degree {degree}")),
        other => panic!("{other:?}"),
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let secret = SecretKey::generate(&params, &mut rng).unwrap();
    let [key, other] = [(); 2].map(|()| secret.public_key(&mut rng).unwrap());
    let again = PublicKey::from_bytes(&params, &key.to_bytes()).unwrap();
    assert_eq!(key.id(), other.id());
    assert_eq!(key.fingerprint(), again.fingerprint());
    assert_ne!(key.fingerprint(), other.fingerprint());
}
