//! Secret keys under a passphrase: nothing opens but what was sealed, by what it was sealed with, at a price that readers
//! agree to. Bundles: both parts belong together.

use cipherblas_scheme::Error;
use cipherblas_scheme::sealed::{
    Cost, Existing, Opened, Stored, open_key, read_file, seal_key, write_file,
};
use cipherblas_scheme::wire::{
    Expected, Header, KeyId, Kind, ParameterId, SchemeId, bundle, open_bundle, receive, seal,
};
use proptest::prelude::*;
use rand::rand_core::{Infallible, TryCryptoRng, TryRng};
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::path::PathBuf;

const PARAMETERS: ParameterId = ParameterId([3; 16]);
const KEY: KeyId = KeyId([5; 16]);

fn stored(secret: &[u8]) -> Stored {
    Stored {
        scheme: SchemeId::Bfv,
        parameter_id: PARAMETERS,
        key: KEY,
        parameters: b"parameters".to_vec(),
        secret: secret.to_vec().into(),
    }
}

fn cost() -> Cost {
    Cost::insecure_new(8, 1).unwrap()
}

fn sealed_by<R: CryptoRng>(secret: &[u8], passphrase: &[u8], rng: &mut R) -> Vec<u8> {
    seal_key(&stored(secret), passphrase, cost(), rng).unwrap()
}

fn sealed(secret: &[u8], passphrase: &[u8]) -> Vec<u8> {
    sealed_by(secret, passphrase, &mut ChaCha20Rng::seed_from_u64(1))
}

fn open(bytes: &[u8], passphrase: &[u8]) -> Result<Opened, Error> {
    open_key(SchemeId::Bfv, bytes, passphrase)
}

fn error(bytes: &[u8], passphrase: &[u8]) -> Option<Error> {
    open(bytes, passphrase).err()
}

/// Alters the payload and makes the envelope fit again, as anyone can.
fn reseal(bytes: &[u8], change: impl FnOnce(&mut Header, &mut Vec<u8>)) -> Vec<u8> {
    let expected = Expected {
        kind: Kind::SecretKeyEncrypted,
        scheme: SchemeId::Bfv,
        parameters: None,
        key: None,
    };
    let (mut header, payload) = expected.open(bytes).unwrap();
    let mut payload = payload.to_vec();
    change(&mut header, &mut payload);
    seal(&header, &payload)
}

proptest! {
    #[test]
    fn any_passphrase_opens_what_it_sealed(
        secret in prop::collection::vec(any::<u8>(), 0..200),
        passphrase in prop::collection::vec(any::<u8>(), 1..40),
        text in "\\PC{1,20}",
    ) {
        for passphrase in [&passphrase[..], text.as_bytes()] {
            let opened = open(&sealed(&secret, passphrase), passphrase).unwrap();
            prop_assert_eq!(opened.expose_secret(), &secret[..]);
            prop_assert_eq!(opened.parameters(), b"parameters");
            prop_assert_eq!((opened.parameter_id(), opened.key()), (PARAMETERS, KEY));
        }
    }

    #[test]
    fn another_passphrase_does_not(
        passphrase in prop::collection::vec(any::<u8>(), 1..20),
        other in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        prop_assume!(passphrase != other);
        prop_assert_eq!(error(&sealed(b"secret", &passphrase), &other), Some(Error::Sealed));
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&bytes, b"x").is_err());
    }
}

#[test]
fn the_error_says_what_to_think_of_and_no_more() {
    assert_eq!(
        error(&sealed(b"secret", b"right"), b"wrong").map(|e| e.to_string()),
        Some("the secret key cannot be opened: wrong passphrase or damaged file".into())
    );
}

#[test]
fn every_altered_byte_and_every_cut_is_refused() {
    let bytes = sealed(b"secret", b"pass");
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            let found = error(&altered, b"pass");
            // The magic and the version say that it is something else; all the rest is one error.
            let elsewhere = matches!(found, Some(Error::Wire { .. })) && at < 6;
            assert!(
                found == Some(Error::Sealed) || elsewhere,
                "byte {at}: {found:?}"
            );
        }
        let found = error(&bytes[..at], b"pass");
        assert_eq!(found, Some(Error::Sealed), "cut at {at}");
    }
    assert_eq!(
        error(&[&bytes[..], &[0]].concat(), b"pass"),
        Some(Error::Sealed)
    );
}

/// Whoever alters bytes can make the hashes fit: then the cipher's tag is in the way, of the header as well.
#[test]
fn every_resealed_byte_is_refused() {
    let bytes = sealed(b"secret", b"pass");
    let length = bytes.len() - 84 - 32;
    for at in 0..length {
        // Costs beyond the limits are another error, and those below are tried.
        if at >= 12 || at == 4 {
            let altered = reseal(&bytes, |_, payload| payload[at] ^= 3);
            assert_eq!(error(&altered, b"pass"), Some(Error::Sealed), "byte {at}");
        }
        let cut = reseal(&bytes, |_, payload| payload.truncate(at));
        assert!(error(&cut, b"pass").is_some(), "cut at {at}");
    }
    for change in [
        (|header: &mut Header| header.key.0[0] ^= 1) as fn(&mut Header),
        |header| header.parameters.0[0] ^= 1,
    ] {
        let altered = reseal(&bytes, |header, _| change(header));
        assert_eq!(error(&altered, b"pass"), Some(Error::Sealed));
    }
    let other = reseal(&bytes, |header, _| header.scheme = SchemeId::Ckks);
    assert_eq!(
        open_key(SchemeId::Ckks, &other, b"pass").err(),
        Some(Error::Sealed)
    );
}

#[test]
fn what_is_no_sealed_key_of_the_scheme_is_said() {
    let bytes = sealed(b"secret", b"pass");
    let other = open_key(SchemeId::Ckks, &bytes, b"pass").err();
    assert!(
        matches!(&other, Some(Error::Wire { what: "scheme", got, expected })
            if got == "bfv" && expected == "ckks"),
        "{other:?}"
    );
    let kind = reseal(&bytes, |header, _| header.kind = Kind::PublicKey);
    assert!(matches!(
        error(&kind, b"pass"),
        Some(Error::Wire {
            what: "object kind",
            ..
        })
    ));
    assert!(matches!(
        error(b"PK\x03\x04 a zip", b"pass"),
        Some(Error::Wire { what: "header", .. })
    ));
    let mut newer = bytes;
    newer[4] = 9;
    assert!(matches!(
        error(&newer, b"pass"),
        Some(Error::Wire {
            what: "format version",
            ..
        })
    ));
}

#[test]
fn costs_beyond_the_limits_are_refused_before_memory_is_taken() {
    let bytes = sealed(b"secret", b"pass");
    let start = std::time::Instant::now();
    for (memory, passes, lanes) in [
        (u32::MAX, 1, 1),
        ((1 << 20) + 1, 1, 1),
        (1 << 20, 5, 1),
        (8, u32::MAX, 1),
        (64 << 10, 65, 1),
        (7, 1, 1),
        (0, 1, 1),
        (8, 0, 1),
        (8, 1, 0),
        (8, 1, 2),
        (1 << 20, 1, 17),
        (1 << 20, 1, u32::MAX),
    ] {
        let dear = reseal(&bytes, |_, payload| {
            for (i, value) in [memory, passes, lanes].iter().enumerate() {
                payload[4 * i..4 * i + 4].copy_from_slice(&value.to_le_bytes());
            }
        });
        match error(&dear, b"pass") {
            Some(Error::Wire { got, .. }) => assert_eq!(
                got,
                format!("a passphrase of {memory} KiB, {passes} passes and {lanes} lanes")
            ),
            other => panic!("{other:?}"),
        }
    }
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn costs_are_what_they_say() {
    assert_eq!(
        Cost::default(),
        Cost::new(128, 3).expect("the default is allowed")
    );
    for (memory, passes) in [(63, 3), (64, 2), (1025, 3), (1024, 5), (u32::MAX, 3)] {
        match Cost::new(memory, passes) {
            Err(Error::Parameter { got, .. }) => {
                assert_eq!(got, format!("{memory} MiB and {passes} passes"))
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(Cost::insecure_new(7, 1).is_err() && Cost::insecure_new(8, 0).is_err());
    // At the ordinary cost, once.
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let bytes = seal_key(&stored(b"secret"), b"pass", Cost::default(), &mut rng).unwrap();
    assert_eq!(open(&bytes, b"pass").unwrap().expose_secret(), b"secret");
}

#[test]
fn empty_passphrases_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for found in [
        seal_key(&stored(b"secret"), b"", cost(), &mut rng).err(),
        error(&sealed(b"secret", b"pass"), b""),
    ] {
        assert!(
            matches!(&found, Some(Error::Parameter { what: "passphrase", got, .. }) if got == "an empty one"),
            "{found:?}"
        );
    }
}

/// Salt and nonce are new each time, and for each key where the generator is not.
#[test]
fn nothing_is_drawn_twice() {
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
            bytes.fill(0);
            Ok(())
        }
    }
    impl TryCryptoRng for Stuck {}
    let drawn = |bytes: &[u8]| bytes[84 + 32 + 12..84 + 32 + 52].to_vec();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let [a, b] = [(); 2].map(|()| sealed_by(b"secret", b"pass", &mut rng));
    let stuck = |secret, passphrase| sealed_by(secret, passphrase, &mut Stuck);
    let all = [
        a,
        b,
        stuck(b"secret", b"pass"),
        stuck(b"secreu", b"pass"),
        stuck(b"secret", b"past"),
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[..i] {
            assert_ne!(drawn(a)[..16], drawn(b)[..16]);
            assert_ne!(drawn(a)[16..], drawn(b)[16..]);
        }
    }
}

/// A folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("cipherblas-sealed-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn files_are_written_whole_and_never_over_another() {
    let folder = Folder::new("files");
    let path = folder.0.join("secret.key");
    write_file(&path, b"one", Existing::Keep).unwrap();
    assert_eq!(read_file(&path).unwrap(), b"one");
    match write_file(&path, b"two", Existing::Keep) {
        Err(Error::Parameter {
            what: "path",
            got,
            hint,
            ..
        }) => {
            assert!(got.contains("secret.key"), "{got}");
            assert!(hint.contains("save_over"), "{hint}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(read_file(&path).unwrap(), b"one");
    write_file(&path, b"three", Existing::Replace).unwrap();
    assert_eq!(read_file(&path).unwrap(), b"three");
    assert_eq!(folder.names(), ["secret.key"], "drafts are left behind");
    write_file(&folder.0.join("new"), b"four", Existing::Replace).unwrap();
    assert_eq!(folder.names(), ["new", "secret.key"]);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let path = folder.0.join("secret.key");
    for existing in [Existing::Keep, Existing::Replace] {
        write_file(&path, b"key", existing).unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        // Whatever the file in the way was.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    // A name that leads nowhere is in the way as well, and what it leads to is not touched.
    let link = folder.0.join("link");
    std::os::unix::fs::symlink(folder.0.join("nowhere"), &link).unwrap();
    assert!(matches!(
        write_file(&link, b"key", Existing::Keep),
        Err(Error::Parameter { what: "path", .. })
    ));
    write_file(&link, b"key", Existing::Replace).unwrap();
    assert_eq!(folder.names(), ["link", "secret.key"]);
}

#[test]
fn files_that_cannot_be_are_errors_that_name_them() {
    let folder = Folder::new("errors");
    let path = folder.0.join("no folder").join("secret.key");
    let io = |found: Option<Error>, wanted: &str, name: &str| match found {
        Some(Error::Io {
            path, operation, ..
        }) => {
            assert_eq!(operation, wanted);
            assert!(path.ends_with(name), "{path}");
        }
        other => panic!("{other:?}"),
    };
    io(
        write_file(&path, b"key", Existing::Keep).err(),
        "write",
        "secret.key",
    );
    io(read_file(&path).err(), "read", "secret.key");
    io(
        write_file(&folder.0.join(".."), b"key", Existing::Replace).err(),
        "write",
        "..",
    );
    let large = folder.0.join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len((16 << 20) + 1)
        .unwrap();
    assert!(matches!(read_file(&large), Err(Error::Wire { .. })));
    std::fs::remove_file(&large).unwrap();
    assert!(folder.names().is_empty());
}

fn object(kind: Kind, parameters: ParameterId, key: KeyId, length: usize) -> Vec<u8> {
    seal(
        &Header::new(kind, SchemeId::Bfv, parameters, key),
        &vec![7; length],
    )
}

#[test]
fn bundles_open_to_what_went_in() {
    let parameters = object(Kind::Parameters, PARAMETERS, KeyId::NONE, 50);
    for length in [0, 1, 3 << 20] {
        let key = object(Kind::EvaluationKeys, PARAMETERS, KEY, length);
        let bytes = bundle(&parameters, &key).unwrap();
        assert_eq!(open_bundle(&bytes).unwrap(), (&parameters[..], &key[..]));
        let header = Header::peek(&bytes).unwrap();
        assert_eq!(
            (header.kind, header.scheme, header.parameters, header.key),
            (Kind::Bundle, SchemeId::Bfv, PARAMETERS, KEY)
        );
        let received = receive(&mut &bytes[..], bytes.len() as u64).unwrap();
        assert_eq!(received, bytes);
    }
}

#[test]
fn altered_bundles_are_refused() {
    let parameters = object(Kind::Parameters, PARAMETERS, KeyId::NONE, 10);
    let key = object(Kind::PublicKey, PARAMETERS, KEY, 10);
    let bytes = bundle(&parameters, &key).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(open_bundle(&altered).is_err(), "byte {at}");
        assert!(open_bundle(&bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(open_bundle(&[&bytes[..], &[0]].concat()).is_err());
    assert!(open_bundle(&key).is_err());
}

/// What fits in itself and does not belong together, in envelopes that are right.
#[test]
fn mismatched_bundles_are_refused() {
    let parameters = object(Kind::Parameters, PARAMETERS, KeyId::NONE, 10);
    let key = object(Kind::PublicKey, PARAMETERS, KEY, 10);
    let foreign = object(Kind::PublicKey, ParameterId([4; 16]), KEY, 10);
    let other_scheme = seal(
        &Header::new(Kind::PublicKey, SchemeId::Ckks, PARAMETERS, KEY),
        b"x",
    );
    let nested = bundle(&parameters, &key).unwrap();
    assert!(matches!(
        bundle(&parameters, &foreign),
        Err(Error::KeyMismatch { .. })
    ));
    for (parameters, object) in [
        (&parameters, &other_scheme),
        (&parameters, &parameters),
        (&parameters, &nested),
        (&key, &key),
        (&parameters, &key[..key.len() - 1].to_vec()),
        (&[&parameters[..], &[0]].concat(), &key),
    ] {
        assert!(matches!(
            bundle(parameters, object),
            Err(Error::Wire { .. })
        ));
    }
    let made = |header: &Header, length: u64, parts: &[&[u8]]| {
        let payload = [&length.to_le_bytes()[..], &parts.concat()].concat();
        open_bundle(&seal(header, &payload)).map(|_| ())
    };
    let header = Header::new(Kind::Bundle, SchemeId::Bfv, PARAMETERS, KEY);
    let length = parameters.len() as u64;
    assert_eq!(made(&header, length, &[&parameters, &key]), Ok(()));
    for (header, length, parts) in [
        (header, length + 1, [&parameters, &key]),
        (header, length - 1, [&parameters, &key]),
        (header, 0, [&parameters, &key]),
        (header, u64::MAX, [&parameters, &key]),
        (header, length, [&parameters, &foreign]),
        (header, length, [&parameters, &nested]),
        (header, key.len() as u64, [&key, &parameters]),
        (
            Header {
                key: KeyId([6; 16]),
                ..header
            },
            length,
            [&parameters, &key],
        ),
        (
            Header {
                parameters: ParameterId([6; 16]),
                ..header
            },
            length,
            [&parameters, &key],
        ),
        (
            Header {
                scheme: SchemeId::Ckks,
                ..header
            },
            length,
            [&parameters, &key],
        ),
    ] {
        let found = made(&header, length, &[parts[0], parts[1]]);
        assert!(
            matches!(
                found,
                Err(Error::Wire { .. }) | Err(Error::KeyMismatch { .. })
            ),
            "{found:?}"
        );
    }
}
