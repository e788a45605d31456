//! Keys and numbers exchanged with python-paillier: its own committed vectors, and itself where it is installed.

use cipherblas_paillier::{Ciphertext, Error, Evaluator, Params, PublicKey, SecretKey};
use cipherblas_scheme::{Add, Decrypt, Encrypt, ErrorBound, MulPlain, Scheme};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(23)
}

/// One value to a ciphertext; 128 bits of fraction in all, for the numbers of its command line.
fn params(bits: u64) -> Params {
    let builder = Params::builder().slots(1).depth(3);
    match bits {
        2048 => builder.bits(2048),
        bits => builder.insecure_bits(bits as u32),
    }
    .build()
    .unwrap()
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

struct Vectors {
    json: Value,
    params: Params,
    key: SecretKey,
    server: Evaluator,
}

/// What python-paillier 1.5.0 wrote (`phe/make_vectors.py`), for a key of 512 and one of 2048 bits.
fn vectors() -> Vec<Vectors> {
    let text = std::fs::read_to_string(tests_folder().join("golden/phe/vectors.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["phe"], "1.5.0");
    let keys = json["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    keys.iter()
        .map(|json| {
            let params = params(json["bits"].as_u64().unwrap());
            let private = json["private"].as_str().unwrap();
            let key = SecretKey::from_phe_json(&params, private, &mut rng()).unwrap();
            let public =
                PublicKey::from_phe_json(&params, json["public"].as_str().unwrap()).unwrap();
            assert_eq!(public.id(), key.id());
            Vectors {
                json: json.clone(),
                params,
                server: public.evaluator(),
                key,
            }
        })
        .collect()
}

fn list(json: &Value) -> Vec<f64> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn decrypt(key: &SecretKey, ct: &Ciphertext) -> f64 {
    key.decrypt(ct).unwrap()[0]
}

#[test]
fn its_keys_come_back_as_it_wrote_them() {
    for v in vectors() {
        let theirs: Value = serde_json::from_str(v.json["private"].as_str().unwrap()).unwrap();
        let ours: Value = serde_json::from_str(&v.key.expose_to_phe_json("id")).unwrap();
        for field in ["kty", "key_ops"] {
            assert_eq!(theirs[field], ours[field], "{field}");
        }
        for field in ["kty", "alg", "key_ops", "n"] {
            assert_eq!(theirs["pub"][field], ours["pub"][field], "{field}");
        }
        // It sorts its primes; so does it when it reads ours.
        let mut primes = [ours["p"].clone(), ours["q"].clone()];
        if primes[0] != theirs["p"] {
            primes.swap(0, 1);
        }
        assert_eq!(primes, [theirs["p"].clone(), theirs["q"].clone()]);
        let public: Value =
            serde_json::from_str(&v.key.public_key().to_phe_json("a \"name\"")).unwrap();
        assert_eq!(public["n"], theirs["pub"]["n"]);
        assert_eq!(public["kid"], "a \"name\"");
    }
}

#[test]
fn its_numbers_decrypt_and_compute() {
    for v in vectors() {
        for pair in v.json["utility"].as_array().unwrap() {
            let number = v
                .server
                .import_phe_json(pair[1].as_str().unwrap(), 16.0)
                .unwrap();
            assert_eq!(v.server.depth(&number), 0);
            assert_eq!(decrypt(&v.key, &number), pair[0].as_f64().unwrap());
        }
        let text = v.json["list"].as_str().unwrap();
        let numbers = v.server.import_phe_list(text, 4096.0).unwrap();
        let expected = list(&v.json["values"]);
        assert_eq!(numbers.len(), expected.len());
        for (number, x) in numbers.iter().zip(&expected) {
            assert_eq!(v.server.depth(number), 3);
            assert_eq!(v.server.magnitude_bound(number), 4096.0);
            assert_eq!(decrypt(&v.key, number), *x);
        }
        // They meet our own ciphertexts and products.
        let own = v.key.encrypt_at(&[0.25], 3, None, &mut rng()).unwrap();
        let sum = v.server.add(&numbers[4], &own).unwrap();
        assert_eq!(decrypt(&v.key, &sum), -1023.25);
        let half = v.server.mul_plain(&sum, &[0.5]).unwrap();
        assert_eq!(decrypt(&v.key, &half), -511.625);

        let fine = v
            .server
            .import_phe_list(v.json["fine"].as_str().unwrap(), 1.0)
            .unwrap();
        assert_eq!(
            (v.server.depth(&fine[0]), decrypt(&v.key, &fine[0])),
            (2, 0.1)
        );
    }
}

#[test]
fn exponents_are_aligned_exactly_or_refused() {
    for v in vectors() {
        // 16^-14 is 56 bits: more than 32.
        let shallow = Params::builder().slots(1).depth(0);
        let shallow = if v.params.is_insecure() {
            shallow.insecure_bits(v.params.bits())
        } else {
            shallow.bits(v.params.bits())
        };
        let n = v.server.key().n();
        let server = PublicKey::from_modulus(&shallow.build().unwrap(), n)
            .unwrap()
            .evaluator();
        for (what, server) in [("fine", &server), ("coarse", &v.server)] {
            let result = server.import_phe_list(v.json[what].as_str().unwrap(), 1.0);
            assert!(
                matches!(result, Err(Error::Value { index: 0, .. })),
                "{what}: {result:?}"
            );
        }
        for exponent in [i64::MIN, i64::MAX, -33, 11] {
            let json = format!(r#"{{"v": "12", "e": {exponent}}}"#);
            assert!(
                matches!(
                    v.server.import_phe_json(&json, 1.0),
                    Err(Error::Value { .. })
                ),
                "{exponent}"
            );
        }
    }
}

/// Fractions that are no multiple of four bits gain up to three: exactly.
#[test]
fn fractions_of_any_length_survive_the_base() {
    let one_slot = |fraction_bits| {
        Params::builder()
            .insecure_bits(512)
            .slots(1)
            .fraction_bits(fraction_bits)
            .build()
            .unwrap()
    };
    let x = -5.0 - 2f64.powi(-30);
    for fraction_bits in 30..=33 {
        let params = one_slot(fraction_bits);
        let key = SecretKey::generate(&params, &mut rng()).unwrap();
        let json = key.expose_to_phe_json("a key of a test");
        let reader = SecretKey::from_phe_json(&one_slot(36), &json, &mut rng()).unwrap();
        for depth in 0..=1 {
            let ct = key.encrypt_at(&[x], depth, None, &mut rng()).unwrap();
            let number = key.scheme().export_phe(&ct).unwrap();
            let bits = params.exponent(depth).div_ceil(4) * 4;
            assert_eq!(-4 * number.exponent, i64::from(bits));
            let back = reader.scheme().import_phe(&number, 16.0).unwrap();
            assert_eq!(decrypt(&reader, &back), x);
        }
    }
}

#[test]
fn packed_ciphertexts_and_foreign_keys_are_refused() {
    let v = &vectors()[0];
    let packed = Params::builder()
        .insecure_bits(512)
        .depth(3)
        .slots(2)
        .build()
        .unwrap();
    let key = SecretKey::from_phe_json(&packed, v.json["private"].as_str().unwrap(), &mut rng());
    let key = key.unwrap();
    let ct = key.encrypt_at(&[1.0, 2.0], 3, None, &mut rng()).unwrap();
    assert!(matches!(
        key.scheme().export_phe(&ct),
        Err(Error::Unsupported { .. })
    ));
    let number = v.json["utility"][0][1].as_str().unwrap();
    assert!(matches!(
        key.scheme().import_phe_json(number, 1.0),
        Err(Error::Unsupported { .. })
    ));
    let other = SecretKey::generate(&v.params, &mut rng()).unwrap();
    assert!(matches!(
        other
            .scheme()
            .import_phe_list(v.json["list"].as_str().unwrap(), 1.0),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        v.server.export_phe(&ct),
        Err(Error::KeyMismatch { .. })
    ));
}

#[test]
fn other_forms_are_refused() {
    let v = &vectors()[0];
    let public = v.json["public"].as_str().unwrap();
    let private = v.json["private"].as_str().unwrap();
    let altered = |text: &str, field: &str, value: Value| -> String {
        let mut json: Value = serde_json::from_str(text).unwrap();
        let at = json.pointer_mut(field).unwrap();
        *at = value;
        json.to_string()
    };
    let long = "A".repeat(1_000_000);
    let bad_public = [
        String::new(),
        "[]".into(),
        "{\"kty\":\"DAJ\"}".into(),
        altered(public, "/kty", "RSA".into()),
        altered(public, "/alg", "PAI".into()),
        altered(public, "/n", "not base64!".into()),
        altered(public, "/n", "".into()),
        altered(public, "/n", 7.into()),
        altered(public, "/n", long.clone().into()),
        public[..public.len() / 2].into(),
        "[".repeat(100_000),
    ];
    for json in &bad_public {
        let result = PublicKey::from_phe_json(&v.params, json);
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "{:?}: {result:?}",
            json.get(..80)
        );
    }
    // Another size, an even number, a square.
    for n in [
        "Aw",
        "qYvVfm9krZ3w8CNhutGdHl1mCLmDkDxFiMBVp0Dkt4KUsgZIof8cCTdTmOWDlGGakcgAgThiOW9sFXdPGiICPA",
    ] {
        let json = altered(public, "/n", n.into());
        let result = PublicKey::from_phe_json(&v.params, &json);
        assert!(matches!(result, Err(Error::Parameter { .. })), "{result:?}");
    }
    let theirs: Value = serde_json::from_str(private).unwrap();
    let p = theirs["p"].as_str().unwrap();
    for json in [
        altered(private, "/p", theirs["q"].clone()),
        altered(private, "/p", "AQ".into()),
        altered(private, "/p", 1.into()),
        altered(private, "/pub/n", "AQ".into()),
        altered(private, "/kty", "RSA".into()),
        private.replace(p, &format!("{p}{p}")),
    ] {
        match SecretKey::from_phe_json(&v.params, &json, &mut rng()) {
            Err(e @ Error::Wire { .. }) => {
                let shown = format!("{e} {e:?}");
                assert!(!shown.contains(p), "a prime in an error");
            }
            other => panic!("{other:?}"),
        }
    }
    let n_squared = v.server.key().n_squared().to_string();
    let n = v.server.key().n().to_string();
    for text in [
        "",
        "-1",
        "+1",
        "0x10",
        " 1",
        "1e5",
        "0",
        &n,
        &n_squared,
        &long,
        &"9".repeat(310),
    ] {
        let json = format!(r#"{{"v": "{text}", "e": -8}}"#);
        let result = v.server.import_phe_json(&json, 1.0);
        assert!(
            matches!(result, Err(Error::Wire { .. })),
            "{text}: {result:?}"
        );
    }
    for json in [
        "{}",
        r#"{"v": 12, "e": -8}"#,
        r#"{"v": "12"}"#,
        r#"{"v": "12", "e": 0.5}"#,
    ] {
        assert!(matches!(
            v.server.import_phe_json(json, 1.0),
            Err(Error::Wire { .. })
        ));
    }
    for bound in [0.0, -1.0, f64::NAN, 1e30] {
        let result = v.server.import_phe_json(r#"{"v": "12", "e": -8}"#, bound);
        assert!(matches!(
            result,
            Err(Error::Parameter { what: "bound", .. })
        ));
    }
}

proptest! {
    /// Texts cut, altered and put together anew: refused, or read as what they say; never a panic.
    #[test]
    fn altered_texts_never_panic(
        which in 0usize..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static VECTORS: std::sync::OnceLock<Vectors> = std::sync::OnceLock::new();
        let v = VECTORS.get_or_init(|| vectors().remove(0));
        let text = [&v.json["private"], &v.json["public"], &v.json["list"], &v.json["utility"][1][1]][which];
        let mut characters: Vec<char> = text.as_str().unwrap().chars().collect();
        for (at, character) in edits {
            let at = at.index(characters.len());
            characters[at] = character;
        }
        if let Some(cut) = cut {
            characters.truncate(cut.index(characters.len()));
        }
        let text: String = characters.into_iter().collect();
        match which {
            0 => drop(SecretKey::from_phe_json(&v.params, &text, &mut rng())),
            1 => drop(PublicKey::from_phe_json(&v.params, &text)),
            2 => drop(v.server.import_phe_list(&text, 1.0)),
            _ => drop(v.server.import_phe_json(&text, 1.0)),
        }
    }
}

/// A Python with `phe`: `CIPHERBLAS_PHE_PYTHON`, or the environment under `target/`, which is made with
/// `CIPHERBLAS_DEEP=1` (it downloads `phe`, `gmpy2` and `click`).
fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("CIPHERBLAS_PHE_PYTHON") {
        return Some(python.into());
    }
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("phe");
    let python = environment.join("bin/python");
    let works = || {
        Command::new(&python)
            .args(["-c", "import phe, click"])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !works() && std::env::var_os("CIPHERBLAS_DEEP").is_some() {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment)
            .status();
        if made.is_ok_and(|s| s.success()) {
            let _ = Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "phe==1.5.0",
                    "gmpy2",
                    "click",
                ])
                .status();
        }
    }
    works().then_some(python)
}

#[test]
fn python_paillier_itself() {
    let Some(python) = python() else {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED python_paillier_itself: no python-paillier here; set CIPHERBLAS_PHE_PYTHON, or CIPHERBLAS_DEEP=1 to \
             install it under target/. Its committed vectors are tested all the same."
        );
        return;
    };
    let params = params(2048);
    let key = SecretKey::generate(&params, &mut rng()).unwrap();
    let server = key.public_key().evaluator();
    let xs = [2.5, -0.1, -1000.0, 2f64.powi(-32)];
    let mut rng = rng();
    let cts: Vec<Ciphertext> = xs
        .iter()
        .zip([3, 3, 2, 0])
        .map(|(x, depth)| key.encrypt_at(&[*x], depth, None, &mut rng).unwrap())
        .collect();

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("phe-exchange");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("private.json", &key.expose_to_phe_json("a key of a test"));
    write("number.json", &server.export_phe_json(&cts[0]).unwrap());
    let all: Vec<&Ciphertext> = cts.iter().collect();
    write("list.json", &server.export_phe_list(&all).unwrap());
    let output = Command::new(&python)
        .arg(tests_folder().join("phe/exchange.py"))
        .arg(&folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["decrypted"], 2.5);
    let number = server
        .import_phe_json(answer["encrypted"].as_str().unwrap(), 16.0)
        .unwrap();
    assert_eq!(decrypt(&key, &number), -12.0625);
    let half = 2f64.powi(-33);
    for (got, x) in list(&answer["values"]).iter().zip(xs) {
        assert!((got - x).abs() <= half, "{got} for {x}");
    }
    let answers = server
        .import_phe_list(answer["answers"].as_str().unwrap(), 16.0)
        .unwrap();
    for (number, x) in answers.iter().zip([2.4, -7.5, -0.05, 1.5, 4.6]) {
        let got = decrypt(&key, number);
        assert!((got - x).abs() <= half + 1e-15, "{got} for {x}");
    }
}
