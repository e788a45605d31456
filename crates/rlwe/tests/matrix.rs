//! Encrypted matrices through the public interface: random shapes over small rings, sampled entries at N = 4096, and what is
//! refused.

use cipherblas_rlwe::matrix::{
    Block, MatrixRing, MatrixShape, MatrixSpec, Shape, Weights, noise, transpose, wire,
};
use cipherblas_rlwe::{EvaluationKeys, SecretKey};
use cipherblas_scheme::security::SecurityLevel;
use cipherblas_scheme::wire::{Reader, Writer};
use cipherblas_scheme::{Error, Lines, Side};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

struct Setup {
    ring: Arc<MatrixRing>,
    secret: SecretKey,
    keys: EvaluationKeys,
    rng: ChaCha20Rng,
}

fn usual(degree: usize, plaintext: Option<u64>) -> MatrixShape {
    MatrixShape {
        degree,
        depth: 1,
        top_bits: 80.0,
        base_bits: 47.8,
        level_bits: 40.0,
        margin_bits: 2.0,
        plaintext,
    }
}

fn setup(degree: usize, padded: usize, plaintext: Option<u64>, seed: u8) -> Setup {
    let ring = MatrixRing::new(usual(degree, plaintext).spec().unwrap()).unwrap();
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let secret = SecretKey::generate(ring.ring(), &mut rng).unwrap();
    let elements = transpose::galois_elements(ring.ring(), &[padded].into()).unwrap();
    let keys = EvaluationKeys::for_elements(&secret, true, &elements, &mut rng, |_, _| ()).unwrap();
    Setup {
        ring,
        secret,
        keys,
        rng,
    }
}

fn values(rng: &mut impl Rng, count: usize, bound: i64) -> Vec<i64> {
    (0..count)
        .map(|_| (rng.next_u64() % (2 * bound as u64 + 1)) as i64 - bound)
        .collect()
}

fn packed(lines: usize, len: usize, padded: usize) -> Shape {
    Shape {
        lines,
        len,
        padded,
        layout: Lines::Packed,
    }
}

/// Entry `(u, v)` of `L' R`.
fn entry(l: &[i64], r: &[i64], (m, n): (usize, usize), u: usize, v: usize) -> i128 {
    l.chunks(m)
        .zip(r.chunks(n))
        .map(|(l, r)| i128::from(l[u]) * i128::from(r[v]))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Products, Gram matrices, transposes and plain products of any shape are exact modulo t, under either key.
    #[test]
    fn random_shapes_are_exact(
        seed: u8,
        log_degree in 4u32..7,
        log_padded in 4u32..7,
        (lines, m, n) in (1usize..40, 1usize..=64, 1usize..=64),
        log_t in 1u32..13,
        odd in any::<bool>(),
        single in any::<bool>(),
    ) {
        let degree = 1 << log_degree.max(log_padded);
        let padded = 1usize << log_padded;
        let (m, n) = (1 + (m - 1) % padded, 1 + (n - 1) % padded);
        let t = (1u64 << log_t) + u64::from(odd);
        let Setup { ring, secret, keys, mut rng } = setup(degree, padded, Some(t), seed);
        let public = secret.public_key(&mut rng).unwrap();
        let layout = if single { Lines::Single } else { Lines::Packed };
        let shape = |len| Shape { layout, ..packed(lines, len, padded) };
        let half = (t as i64 / 2).max(1);
        let (x, y) = (values(&mut rng, lines * m, half), values(&mut rng, lines * n, half));
        let l = Block::encrypt(&ring, &secret, &x, shape(m), 1, &mut rng).unwrap();
        let r = Block::encrypt_public(&ring, &public, &y, shape(n), 1, &mut rng).unwrap();
        let unit = i128::from(ring.unit(1));
        let check = |block: &Block, f: &dyn Fn(usize, usize) -> i128| {
            let len = block.shape().len;
            let got = block.phase_modulo(&secret, t).unwrap();
            for (index, &g) in got.iter().enumerate() {
                let difference = i128::from(g) - unit * (f(index / len, index % len) % i128::from(t));
                prop_assert_eq!(difference.rem_euclid(i128::from(t)), 0, "{}", index);
            }
            Ok(())
        };
        check(&Block::gemm_tn(&[(&l, &r)], Side::Right, &keys).unwrap(), &|v, u| entry(&x, &y, (m, n), u, v))?;
        check(&Block::gemm_tn(&[(&l, &r)], Side::Left, &keys).unwrap(), &|u, v| entry(&x, &y, (m, n), u, v))?;
        check(&Block::syrk(&[&r], &keys).unwrap(), &|v, u| entry(&y, &y, (n, n), u, v))?;
        check(&r.lower().unwrap(), &|line, j| y[line * n + j].into())?;
        if lines <= padded && (layout == Lines::Packed || padded == degree) {
            check(&r.reformat(&keys).unwrap(), &|j, line| y[line * n + j].into())?;
        }
        let rows = 1 + m % 5;
        let w = values(&mut rng, rows * lines, half);
        let weights = Weights { rows, cols: lines, values: &w };
        let out = Block::gemm_plain(&[(weights, &l)]).unwrap();
        check(&out, &|u, j| {
            let terms = (0..lines).map(|k| i128::from(w[u * lines + k]) * i128::from(x[k * m + j]));
            terms.sum()
        })?;
    }
}

proptest! {
    /// Altered and cut bytes are errors or other blocks, of the size their head says; nothing panics.
    #[test]
    fn altered_bytes_are_read_or_refused(
        changes in prop::collection::vec((0usize..400, any::<u8>()), 1..6),
        cut in 0usize..800,
        packed_lines in any::<bool>(),
    ) {
        let ring = MatrixRing::new(usual(16, None).spec().unwrap()).unwrap();
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let secret = SecretKey::generate(ring.ring(), &mut rng).unwrap();
        let layout = if packed_lines { Lines::Packed } else { Lines::Single };
        let shape = Shape { layout, ..packed(3, 9, 16) };
        let block = Block::encrypt(&ring, &secret, &[7i64; 27], shape, 1, &mut rng).unwrap();
        let mut writer = Writer::new();
        wire::write_block(&mut writer, &block);
        let mut bytes = writer.into_bytes();
        for (at, value) in changes {
            // Mostly in the head.
            let at = if at % 2 == 0 { at % 19 } else { at % bytes.len() };
            bytes[at] ^= value;
        }
        bytes.truncate(cut);
        match wire::read_block(&mut Reader::new("block", &bytes), &ring, secret.id()) {
            Ok(block) => {
                let (shape, level) = (block.shape(), block.level());
                let size = wire::block_bytes(&ring, shape, level, block.is_seeded());
                prop_assert!(size.is_some_and(|size| size <= bytes.len()));
                let mut writer = Writer::new();
                wire::write_block(&mut writer, &block);
                prop_assert_eq!(writer.into_bytes(), &bytes[..size.unwrap()]);
            }
            Err(error) => prop_assert!(matches!(error, Error::Wire { .. }), "{}", error),
        }
    }
}

/// Sampled entries at N = 4096, as reals.
fn sampled(lines: usize, m: usize, n: usize, padded: usize) {
    const BITS: u32 = 28;
    let Setup {
        ring,
        secret,
        keys,
        mut rng,
    } = setup(4096, padded, None, 9);
    ring.check_security(SecurityLevel::Classical128).unwrap();
    let bound = 1i64 << BITS;
    let (x, y) = (
        values(&mut rng, lines * m, bound),
        values(&mut rng, lines * n, bound),
    );
    let l = Block::encrypt(&ring, &secret, &x, packed(lines, m, padded), 1, &mut rng).unwrap();
    let r = Block::encrypt(&ring, &secret, &y, packed(lines, n, padded), 1, &mut rng).unwrap();
    let out = Block::gemm_tn(&[(&l, &r)], Side::Right, &keys).unwrap();
    let ratio = (ring.log2_g(0) - ring.log2_g(1)).exp2();
    let got = out.phase_real(&secret, ratio).unwrap();
    // Errors of the factors, at their worst, and what the product adds.
    let fresh = noise::fresh_secret(&ring);
    let k = (lines.div_ceil(4096 / padded) * (4096 / padded)) as f64;
    let of_factors = k * fresh * (2.0 * bound as f64 + fresh);
    let added = noise::product(&ring, 1, 4096 / padded).unwrap();
    let most = of_factors + added / ratio;
    let mut worst = 0f64;
    for sample in 0..300 {
        let (u, v) = (sample * 7919 % m, sample * 104_729 % n);
        let expected = entry(&x, &y, (m, n), u, v);
        worst = worst.max((got[v * m + u] - expected as f64).abs());
    }
    assert!(worst <= most, "{worst:e} {most:e}");
    assert!(worst > most / 256.0, "{worst:e} {most:e}");
}

#[test]
fn entries_of_a_large_ring_are_right() {
    sampled(70, 61, 64, 64);
    sampled(50, 256, 200, 256);
    sampled(9, 700, 1024, 1024);
}

#[test]
#[ignore = "minutes: run with --deep"]
fn entries_of_full_lines_are_right() {
    sampled(300, 4096, 4000, 4096);
    sampled(4096, 2048, 2048, 2048);
}

#[test]
fn what_does_not_fit_is_refused() {
    let Setup {
        ring,
        secret,
        keys,
        mut rng,
    } = setup(32, 16, None, 1);
    let x = values(&mut rng, 5 * 16, 10);
    let mut encrypt = |lines: usize, len: usize, padded: usize, level: usize| {
        let x = &x[..(lines * len).min(80)];
        Block::encrypt(
            &ring,
            &secret,
            x,
            packed(lines, len, padded),
            level,
            &mut rng,
        )
    };
    for (lines, len, padded) in [
        (0, 4, 16),
        (4, 0, 16),
        (1, 17, 16),
        (1, 4, 8),
        (1, 4, 24),
        (1, 4, 64),
        (6, 16, 16),
    ] {
        assert!(matches!(
            encrypt(lines, len, padded, 1),
            Err(Error::Shape { .. })
        ));
    }
    assert!(matches!(
        encrypt(1, 4, 16, 2),
        Err(Error::Depth {
            needed: 2,
            left: 1,
            ..
        })
    ));
    let a = encrypt(5, 4, 16, 1).unwrap();
    let b = encrypt(4, 4, 16, 1).unwrap();
    let wider = encrypt(5, 4, 32, 1).unwrap();
    let low = encrypt(5, 4, 16, 0).unwrap();
    let product = |l: &Block, r: &Block| Block::gemm_tn(&[(l, r)], Side::Right, &keys);
    assert!(matches!(product(&a, &b), Err(Error::Shape { .. })));
    assert!(matches!(product(&a, &wider), Err(Error::Shape { .. })));
    assert!(matches!(
        product(&a, &low),
        Err(Error::Depth {
            needed: 1,
            left: 0,
            ..
        })
    ));
    assert!(matches!(product(&low, &low), Err(Error::Depth { .. })));
    assert!(matches!(low.lower(), Err(Error::Depth { .. })));
    assert!(matches!(low.reformat(&keys), Err(Error::Depth { .. })));
    assert!(matches!(
        product(&wider, &wider),
        Err(Error::MissingKey { .. })
    ));
    assert!(matches!(
        Block::gemm_tn(&[], Side::Left, &keys),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(Block::syrk(&[], &keys), Err(Error::Shape { .. })));
    assert!(matches!(
        Block::syrk(&[&a, &wider], &keys),
        Err(Error::Shape { .. })
    ));
    assert!(Block::syrk(&[&a, &b], &keys).is_ok());
    let w = [1i64; 10];
    let plain = |rows, cols, block| {
        let weights = Weights {
            rows,
            cols,
            values: &w,
        };
        Block::gemm_plain(&[(weights, block)])
    };
    assert!(plain(2, 5, &a).is_ok());
    for (rows, cols) in [(0, 5), (2, 4), (3, 5), (usize::MAX, 5)] {
        assert!(matches!(plain(rows, cols, &a), Err(Error::Shape { .. })));
    }
    assert!(matches!(plain(2, 5, &low), Err(Error::Depth { .. })));

    let other = SecretKey::generate(ring.ring(), &mut ChaCha20Rng::from_seed([77; 32])).unwrap();
    assert!(matches!(
        a.phase_real(&other, 1.0),
        Err(Error::KeyMismatch { .. })
    ));
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(a.phase_real(&secret, scale).is_err());
    }
    for t in [0, 1, 1 << 62] {
        assert!(a.phase_modulo(&secret, t).is_err());
    }
    let mut rng = ChaCha20Rng::from_seed([78; 32]);
    let foreign =
        Block::encrypt(&ring, &other, &[1i64; 20], packed(5, 4, 16), 1, &mut rng).unwrap();
    assert!(matches!(
        product(&a, &foreign),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(
        product(&foreign, &foreign),
        Err(Error::KeyMismatch { .. })
    ));
    assert!(matches!(a.add(&foreign), Err(Error::KeyMismatch { .. })));
    let apart = setup(64, 16, None, 2);
    assert!(matches!(
        Block::encrypt(
            &ring,
            &apart.secret,
            &[1i64; 20],
            packed(5, 4, 16),
            1,
            &mut rng
        ),
        Err(Error::KeyMismatch { .. })
    ));
}

/// A generator that repeats itself gives other ciphertexts for other messages, under either key.
#[test]
fn repeated_randomness_does_not_repeat_encryptions() {
    let Setup {
        ring, secret, rng, ..
    } = setup(32, 16, None, 3);
    let public = secret.public_key(&mut rng.clone()).unwrap();
    let shape = packed(2, 16, 16);
    let same = |x: &[i16], y: &[i16]| x.iter().zip(y).filter(|(x, y)| x == y).count();
    let values = |last: i64| {
        (0..32)
            .map(|i| if i == 31 { last } else { 5 })
            .collect::<Vec<i64>>()
    };
    let seeded = |x: &[i64]| Block::encrypt(&ring, &secret, x, shape, 1, &mut rng.clone()).unwrap();
    let own =
        |x: &[i64]| Block::encrypt_public(&ring, &public, x, shape, 1, &mut rng.clone()).unwrap();
    for (a, b) in [
        (seeded(&values(5)), seeded(&values(6))),
        (own(&values(5)), own(&values(6))),
    ] {
        let ((b0, a0), (b1, a1)) = (a.halves(), b.halves());
        assert!(same(a0, a1) < 4 && same(b0, b1) < 4);
    }
    assert_eq!(seeded(&values(5)).halves(), seeded(&values(5)).halves());
}

#[test]
fn specifications_are_checked() {
    let spec = usual(4096, None).spec().unwrap();
    assert_eq!(spec.narrow, [3, 6]);
    let ring = MatrixRing::new(spec.clone()).unwrap();
    ring.check_security(SecurityLevel::Classical128).unwrap();
    assert!(ring.log2_g(0) <= ring.log2_q(0));
    // One bit too many at the top is refused, though it is in no key.
    let wide = MatrixShape {
        top_bits: 106.5,
        ..usual(4096, None)
    };
    let wide = MatrixRing::new(wide.spec().unwrap()).unwrap();
    assert!(wide.check_security(SecurityLevel::Classical128).is_err());
    assert!(wide.log2_g(1) < 106.0 + 13.6);
    for shape in [
        MatrixShape {
            depth: 0,
            ..usual(4096, None)
        },
        MatrixShape {
            top_bits: f64::NAN,
            ..usual(4096, None)
        },
        MatrixShape {
            top_bits: 1e5,
            ..usual(4096, None)
        },
        MatrixShape {
            base_bits: -1.0,
            ..usual(4096, None)
        },
    ] {
        assert!(matches!(shape.spec(), Err(Error::Parameter { .. })));
    }
    let change = |f: fn(&mut MatrixSpec)| {
        let mut spec = spec.clone();
        f(&mut spec);
        MatrixRing::new(spec)
    };
    for bad in [
        change(|s| s.narrow = vec![3]),
        change(|s| s.narrow = vec![4, 6]),
        change(|s| s.narrow = vec![3, 2]),
        change(|s| s.narrow = vec![0, 2]),
        change(|s| s.narrow = vec![3, 1000]),
        change(|s| s.plaintext = Some(1)),
        change(|s| s.plaintext = Some(1 << 62)),
        change(|s| s.plaintext = Some(11_579 * 4)),
        change(|s| s.ring.special.clear()),
    ] {
        assert!(matches!(bad, Err(Error::Parameter { .. })));
    }
    // Depth 2 needs a larger ring.
    let deep = MatrixShape {
        depth: 2,
        top_bits: 120.0,
        level_bits: 45.0,
        ..usual(8192, None)
    };
    let deep = MatrixRing::new(deep.spec().unwrap()).unwrap();
    assert_eq!(deep.max_level(), 2);
    deep.check_security(SecurityLevel::Classical128).unwrap();
}

/// Root mean square of errors, and their fourth moment by the square of the second: 3 for Gaussian ones.
fn moments(errors: impl IntoIterator<Item = i128>) -> (f64, f64) {
    let (mut count, mut second, mut fourth) = (0.0, 0.0, 0.0);
    for x in errors {
        let square = (x as f64).powi(2);
        count += 1.0;
        second += square;
        fourth += square * square;
    }
    let second = second / count;
    ((second).sqrt(), fourth / count / (second * second))
}

/// Where errors have the fewest sources, at the degree of use: products and Gram matrices of one ciphertext, changes of format
/// of one line and of two. Bounds are tails of 11 deviations of sums that are taken as independent: deviations are
/// a 11th of them at most, and fourth moments near those of Gaussian variables.
#[test]
fn errors_have_the_moments_that_bounds_assume() {
    let ring = MatrixRing::new(usual(4096, None).spec().unwrap()).unwrap();
    let mut rng = ChaCha20Rng::from_seed([21; 32]);
    let secret = SecretKey::generate(ring.ring(), &mut rng).unwrap();
    let grids = [16, 64, 512];
    let elements = transpose::galois_elements(ring.ring(), &grids.into()).unwrap();
    let keys = EvaluationKeys::for_elements(&secret, true, &elements, &mut rng, |_, _| ()).unwrap();
    for grid in grids {
        let stride = 4096 / grid;
        let mut zeros = |lines: usize| {
            let (shape, values) = (packed(lines, grid, grid), vec![0i64; lines * grid]);
            Block::encrypt(&ring, &secret, &values, shape, 1, &mut rng).unwrap()
        };
        let check = |what: &str, blocks: &[Block], bound: f64| {
            let phases = blocks
                .iter()
                .map(|block| block.phase_integers(&secret).unwrap())
                .collect::<Vec<_>>();
            let (deviation, kurtosis) = moments(phases.iter().flat_map(|p| p.iter().copied()));
            println!(
                "{what}, grid {grid}: deviation {deviation:.1}, bound {bound:.1}, kurtosis {kurtosis:.2}"
            );
            assert!(11.0 * deviation <= bound, "{what} {grid}: {deviation}");
            assert!(bound <= 500.0 * deviation, "{what} {grid}: {deviation}");
            assert!((2.0..4.5).contains(&kurtosis), "{what} {grid}: {kurtosis}");
        };
        let bound = noise::product(&ring, 1, stride).unwrap();
        let (x, y) = (zeros(stride), zeros(stride));
        let product = Block::gemm_tn(&[(&x, &y)], Side::Left, &keys).unwrap();
        check("product", &[product], bound);
        let gram = Block::syrk(&[&x], &keys).unwrap();
        let diagonal = gram.phase_integers(&secret).unwrap();
        let diagonal = diagonal.iter().step_by(grid + 1).copied();
        let (deviation, _) = moments(diagonal);
        assert!(11.0 * deviation <= bound, "diagonal {grid}: {deviation}");
        check("Gram matrix", &[gram], bound);
        let bound = noise::reformat(&ring, 1, stride).unwrap();
        for lines in [1, 2] {
            let columns: Vec<Block> = (0..1024usize.div_ceil(grid * lines))
                .map(|_| zeros(lines).reformat(&keys).unwrap())
                .collect();
            check(&format!("{lines} lines"), &columns, bound);
        }
    }
}
