//! Neither branches nor addresses depend on values: memcheck with the values marked undefined, and a planted leak.

use super::{check, decode_without_branch, encode};
use crate::params::Params;
use crate::testing::mark;
use std::hint::black_box;
use std::io::Write;
use std::process::Command;

const NAME: &str = "codec::constant_time::under_valgrind";

fn params() -> Params {
    Params::builder()
        .insecure_bits(512)
        .fraction_bits(20)
        .integer_bits(40)
        .build()
        .unwrap()
}

/// What runs under valgrind, by name.
#[test]
#[ignore = "run by `values_decide_nothing` under valgrind"]
fn under_valgrind() {
    let params = params();
    let n = vec![u64::MAX; 8];
    let secret: Vec<u64> = (0..params.slots())
        .map(|i| ([-1.5f64, 0.0, 3e9, 1e-5, -2e-9][i % 5]).to_bits())
        .collect();
    let bits = secret.clone();
    mark(&bits, true);
    let values: Vec<f64> = bits.iter().map(|&b| f64::from_bits(b)).collect();
    if std::env::var("CIPHERBLAS_MARKED").is_ok_and(|what| what == "leaking") {
        // Encryption looks for values out of range, and stops at the first: a leak, were it not of what is refused.
        black_box(check(&values, 1e12, "").is_ok());
    }
    let plaintext = encode(&params, &values, 1, &n);
    let (decoded, bad) = decode_without_branch(&params, &plaintext, 1, &n);
    let decoded: Vec<u64> = black_box(decoded.iter().map(|x| x.to_bits()).collect());
    let bad = black_box(vec![bad]);
    mark(&decoded, false);
    mark(&bad, false);
    assert_eq!(bad, [0]);
    for (x, y) in decoded.iter().zip(&secret) {
        assert!((f64::from_bits(*x) - f64::from_bits(*y)).abs() <= 2f64.powi(-21));
    }
}

/// Whether memcheck complains of a run.
fn complains(what: &str) -> bool {
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--ignored", "--test-threads=1"])
        .env("CIPHERBLAS_MARKED", what)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "the run itself failed: {text}");
    match output.status.code() {
        Some(0) => false,
        Some(99) => {
            eprintln!("{what}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        other => panic!("valgrind ended with {other:?}"),
    }
}

#[test]
fn values_decide_nothing() {
    if std::env::var_os("CIPHERBLAS_DEEP").is_none_or(|value| value != "1") {
        eprintln!("skipped: set CIPHERBLAS_DEEP=1");
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED values_decide_nothing: valgrind is not installed"
        );
        return;
    }
    assert!(complains("leaking"), "the planted leak was missed");
    assert!(
        !complains("encode and decode"),
        "encoding or decoding depends on a value"
    );
}
