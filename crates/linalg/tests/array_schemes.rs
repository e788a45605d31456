//! The same operations on arrays over the schemes that encrypt: small rings (no security), every rotation key.

#[path = "common/array.rs"]
mod support;

use cipherblas_linalg::Computes;
use cipherblas_scheme::{Decrypt, Encrypt, Scheme};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use support::{Dense, Number, Op, Other, Pair, Setup};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(29)
}

fn ckks() -> Setup<cipherblas_ckks::Evaluator, cipherblas_ckks::SecretKey> {
    use cipherblas_ckks::{Evaluator, KeySet, Params, SecretKey};
    let params = Params::builder()
        .depth(4)
        .precision_bits(30)
        .insecure_degree(64)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng()).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: (1..params.slots() as i64).collect(),
        conjugation: false,
    };
    let keys = key.evaluation_keys(&set, &mut rng()).unwrap();
    Setup {
        server: Evaluator::new(&params, keys).unwrap(),
        key,
        tolerance: 2f64.powi(-14),
        bound: Some(1.0),
        spread: false,
    }
}

fn bfv() -> Setup<cipherblas_bfv::Evaluator, cipherblas_bfv::SecretKey> {
    use cipherblas_bfv::{Evaluator, KeySet, Params, SecretKey};
    let params = Params::builder()
        .depth(4)
        .plaintext_bits(46)
        .insecure_degree(64)
        .build()
        .unwrap();
    let key = SecretKey::generate(&params, &mut rng()).unwrap();
    let set = KeySet {
        relinearization: true,
        rotations: (1..params.slots() as i64).collect(),
        conjugation: false,
    };
    let keys = key.evaluation_keys(&set, &mut rng()).unwrap();
    Setup {
        server: Evaluator::new(&params, keys).unwrap(),
        key,
        tolerance: 0.0,
        bound: Some(8.0),
        spread: false,
    }
}

/// Every operation once, on arrays of one and several ciphertexts.
fn operations<V: Number, S, K>(s: &Setup<S, K>)
where
    S: Computes + Scheme<Value = V>,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    let other = |dims, ndim| Other {
        seed: 3,
        packing: 0,
        dims,
        ndim,
    };
    let (same, row, column) = (other([2, 2], 5), other([2, 2], 0), other([2, 0], 5));
    let mut ops = vec![
        Op::Neg,
        Op::Square,
        Op::Power(3),
        Op::Power(0),
        Op::Polynomial(3),
        Op::Transpose,
        Op::Matmul(false, 0, same),
        Op::Matmul(true, 0, same),
        Op::Matmul(false, 3, same),
        Op::MatmulPlain(false, 0),
        Op::MatmulPlain(true, 0),
        Op::MatmulPlain(false, 3),
        Op::MatmulPlain(true, 3),
        Op::Sum(0),
        Op::Sum(1),
        Op::Sum(2),
        Op::Slice([0, 1, 0, 1, 0, 0]),
        Op::Slice([2, 1, 3, 0, 1, 0]),
        Op::Slice([3, 2, 3, 2, 1, 4]),
        Op::Reshape(0),
        Op::Reshape(2),
        Op::Broadcast(2, 2),
        Op::Concatenate(0, same),
        Op::Concatenate(1, same),
    ];
    for o in [same, row, column] {
        ops.extend((0..3).map(|k| Op::Binary(k, o)));
        ops.extend((0..4).map(|k| Op::Plain(k, o)));
    }
    for shape in [&[][..], &[6], &[40], &[3, 5], &[9, 6]] {
        let dense = Dense::new(shape, 1);
        let x = Pair {
            array: s.array(&dense, 0),
            dense,
        };
        for &op in &ops {
            s.step(&x, op);
        }
    }
}

#[test]
fn arrays_over_ckks() {
    let s = ckks();
    operations(&s);
    let d = Dense::<f64>::new(&[9, 6], 1);
    let x = s.array(&d, 0);
    let means = d.sum(Some(0)).map(|v| v / 9.0);
    s.check("mean", x.mean(Some(0)), &means);
    let centred = d.zip(&means, |v, m| v - m).unwrap();
    s.check("centred", x.sub(&x.mean(Some(0)).unwrap()), &centred);
    assert!(x.mean(None).unwrap().error_bound() < 1e-6);
}

#[test]
fn arrays_over_bfv() {
    let s = bfv();
    operations(&s);
    // A small factor takes no level.
    let d = Dense::<i64>::new(&[9, 6], 1);
    let three = Dense {
        shape: vec![],
        data: vec![3],
    };
    let x = s.array(&d, 0);
    let scaled = x.mul_plain(&three.plain()).unwrap();
    assert_eq!(scaled.depth(), x.depth());
}
