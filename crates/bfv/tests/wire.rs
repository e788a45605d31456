//! Bytes: what goes out comes back, golden files stay readable, and nothing that was altered gets in.

use cipherblas_bfv::{Ciphertext, Error, Evaluator, KeySet, Params, PublicKey, SecretKey};
use cipherblas_scheme::wire::{Expected, Header, Kind, SchemeId, seal};
use cipherblas_scheme::{Decrypt, Encrypt, Mul, Rotate, Wire};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::PathBuf;

const VALUES: [i64; 4] = [5, -250, 12345, 1];

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
            .plaintext_bits(33)
            .plaintext_moduli(2)
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
    let ciphertext = secret
        .encrypt_at(&VALUES, 1, Some(12345.0), &mut rng)
        .unwrap();
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
        assert_eq!(*x, VALUES[(i + 1) % 4], "slot {i}");
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
        assert_eq!(*x, VALUES[i % 4] * VALUES[(i + 1) % 4]);
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let public = PublicKey::from_bytes(&params, &o.bytes[1].1).unwrap();
    let ct = public.encrypt_at(&VALUES, 1, None, &mut rng).unwrap();
    assert_eq!(o.secret.decrypt(&ct).unwrap()[1], -250);
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
        .write_ciphertext(&other.encrypt_at(&[0], 1, None, &mut rng).unwrap());
    assert!(matches!(
        o.evaluator.read_ciphertext(&foreign),
        Err(Error::KeyMismatch { .. })
    ));
    let params = Params::builder()
        .depth(1)
        .plaintext_bits(34)
        .plaintext_moduli(2)
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
        scheme: SchemeId::Bfv,
        parameters: None,
        key: None,
    };
    let (header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut payload);
    seal(
        &Header::new(kind, SchemeId::Bfv, header.parameters, header.key),
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
fn residues_at_their_prime_impossible_levels_and_bounds_are_refused() {
    let o = objects();
    let fresh = &o.bytes[3].1;
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let altered = reseal(fresh, Kind::Ciphertext, change);
        assert!(matches!(
            o.evaluator.read_ciphertext(&altered),
            Err(Error::Wire { .. })
        ));
    };
    refused(&|p| p[0] = 9);
    // Bounds beyond what the parameters hold would be ciphertexts that do not decrypt.
    let limit = o.params.noise_limit(1);
    for noise in [f64::NAN, f64::INFINITY, -1.0, limit.next_up()] {
        refused(&|p| p[4..12].copy_from_slice(&noise.to_le_bytes()));
    }
    for magnitude in [f64::NAN, -1.0, o.params.max_value().next_up()] {
        refused(&|p| p[12..20].copy_from_slice(&magnitude.to_le_bytes()));
    }
    refused(&|p| p[20] = 2);
    refused(&|p| p[21..28].fill(0xff));
    refused(&|p| p.push(0));
    let computed = &o.bytes[4].1;
    let ends = reseal(computed, Kind::Ciphertext, |p| {
        p[4..12].copy_from_slice(&limit.to_le_bytes());
        p[12..20].copy_from_slice(&o.params.max_value().to_le_bytes());
    });
    assert!(o.evaluator.read_ciphertext(&ends).is_ok());
}

#[test]
fn the_reader_limits_the_degree_and_fingerprints_bind_keys() {
    let params = Params::builder()
        .depth(0)
        .plaintext_bits(7)
        .build()
        .unwrap();
    let bytes = params.to_bytes();
    let degree = params.degree();
    assert_eq!(Params::from_bytes_within(&bytes, degree).unwrap(), params);
    match Params::from_bytes_within(&bytes, degree - 1) {
        Err(Error::Wire { got, expected, .. }) => {
            assert_eq!(got, format!("ring degree {degree}"));
            assert!(expected.contains(&(degree - 1).to_string()), "{expected}");
        }
        other => panic!("{other:?}"),
    }
    // Two keys of one name.
    let o = objects();
    let key = PublicKey::from_bytes(&o.params, &o.bytes[1].1).unwrap();
    let again = PublicKey::from_bytes(&o.params, &key.to_bytes()).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let other = o.secret.public_key(&mut rng).unwrap();
    assert_eq!(key.id(), other.id());
    assert_eq!(key.fingerprint(), again.fingerprint());
    assert_ne!(key.fingerprint(), other.fingerprint());
    assert_eq!(key.fingerprint().to_string().len(), 64);
}

/// Parameters made up by others: whatever does not leave room for the noise, or hides a smaller ring, is refused.
#[test]
fn made_up_parameters_are_refused() {
    let o = objects();
    let bytes = &o.bytes[0].1;
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let altered = reseal(bytes, Kind::Parameters, change);
        assert!(matches!(
            Params::insecure_from_bytes(&altered),
            Err(Error::Wire { .. } | Error::Parameter { .. })
        ));
    };
    let u32_at = |at: usize, value: u32| {
        move |p: &mut Vec<u8>| p[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    for value in [0, 1, 63, 64, u32::MAX] {
        refused(&u32_at(0, value));
    }
    // More headroom than there is room for, an identifier that does not fit, a security that is not there.
    for value in [40, 30, 15, u32::MAX] {
        refused(&u32_at(4, value));
    }
    for value in [80, 128, 256] {
        refused(&u32_at(8, value));
    }
    for degree in [0, 8, 15, 32, 1 << 31] {
        refused(&u32_at(12, degree));
    }
    for levels in [0, 1, 3, u32::MAX] {
        refused(&u32_at(20, levels));
    }
    // The last plaintext modulus: even, of another ring, one of the chain's.
    let chain = o.params.ring().moduli()[0].value();
    for modulus in [
        2,
        4,
        101,
        65536,
        chain,
        o.params.plaintext_moduli()[0],
        u64::MAX,
    ] {
        refused(&|p| {
            let at = p.len() - 8;
            p[at..].copy_from_slice(&modulus.to_le_bytes());
        });
    }
}
