//! Small rings, against direct computation over the integers.

use super::transpose::Product;
use super::*;
use crate::chain::PrimeSource;
use crate::evaluation::EvaluationKeys;
use crate::keys::SecretKey;
use crate::ring::RingSpec;
use cipherblas_math::Modulus;
use cipherblas_math::narrow::Prime;
use cipherblas_math::sample::Seed;
use cipherblas_scheme::wire::{KeyId, Reader, Writer};
use cipherblas_scheme::{Error, Lines, Side};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) struct Setup {
    pub(super) ring: Arc<MatrixRing>,
    pub(super) secret: SecretKey,
    pub(super) rng: ChaCha20Rng,
}

/// Depth 2: 3 and 6 narrow primes below Q of one and two primes, 8 at the top. No security.
pub(super) fn insecure_spec(degree: usize, plaintext: Option<u64>) -> MatrixSpec {
    let mut primes = PrimeSource::new(degree, &[]);
    let mut prime = |bits: f64| primes.group(bits.exp2(), 1).unwrap();
    MatrixSpec {
        ring: RingSpec {
            degree,
            groups: vec![prime(47.0), prime(47.2)],
            special: prime(49.9),
            digit_len: 1,
        },
        narrow: vec![3, 6, 8],
        plaintext,
    }
}

pub(super) fn setup(degree: usize, plaintext: Option<u64>) -> Setup {
    let ring = MatrixRing::new(insecure_spec(degree, plaintext)).unwrap();
    let mut rng = ChaCha20Rng::from_seed([degree as u8; 32]);
    let secret = SecretKey::generate(ring.ring(), &mut rng).unwrap();
    Setup { ring, secret, rng }
}

pub(super) fn values(rng: &mut impl Rng, count: usize, bound: i64) -> Vec<i64> {
    (0..count)
        .map(|_| (rng.next_u64() % (2 * bound as u64 + 1)) as i64 - bound)
        .collect()
}

/// Every grid, some numbers of lines and lengths.
pub(super) fn shapes(degree: usize) -> Vec<Shape> {
    let mut out = Vec::new();
    let mut padded = 16;
    while padded <= degree {
        for layout in [Lines::Packed, Lines::Single] {
            for (lines, len) in [(1, 1), (3, padded), (2 * degree / padded + 1, padded - 3)] {
                out.push(Shape {
                    lines,
                    len,
                    padded,
                    layout,
                });
            }
        }
        padded *= 2;
    }
    out
}

/// `sum_l L[l][u] R[l][v]`: by v, then u.
pub(super) fn product(l: &[i64], r: &[i64], (lines, m, n): (usize, usize, usize)) -> Vec<i128> {
    let mut out = vec![0; m * n];
    for line in 0..lines {
        for v in 0..n {
            for u in 0..m {
                out[v * m + u] += i128::from(l[line * m + u]) * i128::from(r[line * n + v]);
            }
        }
    }
    out
}

/// `|got - expected G'/G|` at most.
pub(super) fn worst(got: &[i128], expected: &[i128], log2_ratio: f64) -> f64 {
    assert_eq!(got.len(), expected.len());
    let ratio = log2_ratio.exp2();
    let error = |(&g, &e): (&i128, &i128)| (g as f64 - e as f64 * ratio).abs();
    got.iter().zip(expected).map(error).fold(0.0, f64::max)
}

#[test]
fn what_is_encrypted_comes_back_with_a_small_error() {
    for (degree, plaintext) in [(16, None), (32, Some(1 << 20)), (64, Some(257))] {
        let Setup {
            ring,
            secret,
            mut rng,
        } = setup(degree, plaintext);
        let public = secret.public_key(&mut rng).unwrap();
        let t = plaintext.unwrap_or(1) as i128;
        for shape in shapes(degree) {
            for level in 0..=2 {
                let x = values(&mut rng, shape.lines * shape.len, 1 << 30);
                let seeded = Block::encrypt(&ring, &secret, &x, shape, level, &mut rng).unwrap();
                let wide: Vec<i128> = x.iter().map(|&x| i128::from(x)).collect();
                let own = Block::encrypt_public(&ring, &public, &wide, shape, level, &mut rng);
                assert_eq!(seeded.is_seeded(), shape.seedable(degree));
                for (block, bound) in [
                    (seeded, noise::fresh_secret(&ring)),
                    (own.unwrap(), noise::fresh_public(&ring, level)),
                ] {
                    let phases = block.phase_integers(&secret).unwrap();
                    for (&phase, &x) in phases.iter().zip(&wide) {
                        let error = phase - x;
                        assert_eq!(error % t, 0);
                        assert!((error as f64).abs() <= bound, "{error} {bound}");
                    }
                    let noisy = phases.iter().zip(&wide).any(|(p, x)| p != x);
                    assert!(noisy || wide.len() < 16);
                    let real = block.phase_real(&secret, 8.0).unwrap();
                    for (&r, &p) in real.iter().zip(phases.iter()) {
                        assert!((r * 8.0 - p as f64).abs() <= p.abs() as f64 * 2f64.powi(-49));
                    }
                    for t in [2, 3, 257, 1 << 20, (1 << 61) + 1, (1 << 62) - 1] {
                        let rest = block.phase_modulo(&secret, t).unwrap();
                        for (&r, &p) in rest.iter().zip(phases.iter()) {
                            let (r, t) = (i128::from(r), i128::from(t));
                            assert_eq!((p - r).rem_euclid(t), 0);
                            assert!(2 * r <= t && 2 * r > -t);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn phases_of_the_whole_range_come_back() {
    let Setup {
        ring,
        secret,
        mut rng,
    } = setup(16, None);
    let shape = Shape {
        lines: 5,
        len: 16,
        padded: 16,
        layout: Lines::Packed,
    };
    let half = (ring.log2_g(2) - 1.0).exp2() as i128;
    let x: Vec<i128> = (0..80)
        .map(|i| (i128::from(rng.next_u64()) << 44) % half * if i % 2 == 0 { 1 } else { -1 })
        .collect();
    assert!(x.iter().any(|x| x.unsigned_abs() > 1 << 104));
    let block = Block::encrypt(&ring, &secret, &x, shape, 2, &mut rng).unwrap();
    let phases = block.phase_integers(&secret).unwrap();
    assert!(phases.iter().zip(&x).all(|(p, x)| (p - x).abs() <= 21));
}

#[test]
fn sums_and_multiples() {
    for plaintext in [None, Some(1 << 16)] {
        let Setup {
            ring,
            secret,
            mut rng,
        } = setup(32, plaintext);
        let error = noise::fresh_secret(&ring);
        for shape in shapes(32) {
            let count = shape.lines * shape.len;
            let (x, y) = (
                values(&mut rng, count, 1 << 40),
                values(&mut rng, count, 1 << 40),
            );
            let mut encrypt = |v: &[i64], level| {
                Block::encrypt(&ring, &secret, v, shape, level, &mut rng).unwrap()
            };
            let (a, b) = (encrypt(&x, 1), encrypt(&y, 1));
            let check = |block: &Block, f: fn(i128, i128) -> i128, bound: f64| {
                assert!(!block.is_seeded());
                let expected: Vec<i128> = x
                    .iter()
                    .zip(&y)
                    .map(|(&x, &y)| f(x.into(), y.into()))
                    .collect();
                let got = block.phase_integers(&secret).unwrap();
                assert!(worst(&got, &expected, 0.0) <= bound);
            };
            check(&a.add(&b).unwrap(), |x, y| x + y, 2.0 * error);
            check(&a.sub(&b).unwrap(), |x, y| x - y, 2.0 * error);
            check(&a.negate(), |x, _| -x, error);
            check(&a.scale(-1001).unwrap(), |x, _| -1001 * x, 1001.0 * error);
            check(
                &a.scale(i64::from(i32::MAX)).unwrap(),
                |x, _| x * 0x7fff_ffff,
                error * 2f64.powi(31),
            );
            assert!(a.scale(1 << 62).is_err());
            assert!(a.add(&encrypt(&x, 2)).is_err());
            let other = Shape {
                layout: match shape.layout {
                    Lines::Packed => Lines::Single,
                    Lines::Single => Lines::Packed,
                },
                ..shape
            };
            let c = Block::encrypt(&ring, &secret, &x, other, 1, &mut rng).unwrap();
            assert!(a.add(&c).is_err());
        }
    }
}

#[test]
fn levels_are_dropped_with_the_error() {
    let Setup {
        ring,
        secret,
        mut rng,
    } = setup(32, None);
    for shape in shapes(32) {
        let x = values(&mut rng, shape.lines * shape.len, i64::MAX >> 1);
        let wide: Vec<i128> = x.iter().map(|&x| i128::from(x) << 40).collect();
        let block = Block::encrypt(&ring, &secret, &wide, shape, 2, &mut rng).unwrap();
        let lower = block.lower().unwrap();
        let ratio = ring.log2_g(1) - ring.log2_g(2);
        let bound = noise::fresh_secret(&ring) * ratio.exp2() + noise::lower(&ring, 2);
        let got = lower.phase_integers(&secret).unwrap();
        // The expected values are doubles, with 53 bits of about 77.
        assert!(worst(&got, &wide, ratio) <= bound + 2f64.powi(77 + 40 - 53 - 35));
        let lowest = lower.lower().unwrap();
        assert!(lowest.lower().is_err());
        assert_eq!(lowest.level(), 0);
    }
}

#[test]
fn residues_modulo_the_plaintext_modulus_survive_steps() {
    for t in [257u64, 1 << 20, 12_345_677] {
        let Setup {
            ring,
            secret,
            mut rng,
        } = setup(64, Some(t));
        for shape in shapes(64) {
            let x = values(&mut rng, shape.lines * shape.len, t as i64 / 2 - 1);
            let mut block = Block::encrypt(&ring, &secret, &x, shape, 2, &mut rng).unwrap();
            let mut factor = 1;
            for level in [2, 1] {
                factor = factor * i128::from(ring.unit(level)) % i128::from(t);
                block = block.lower().unwrap();
                let got = block.phase_modulo(&secret, t).unwrap();
                for (&g, &x) in got.iter().zip(&x) {
                    let difference = i128::from(g) - i128::from(x) * factor;
                    assert_eq!(difference.rem_euclid(i128::from(t)), 0);
                }
            }
        }
    }
}

#[test]
fn plain_matrices_times_blocks() {
    let Setup {
        ring,
        secret,
        mut rng,
    } = setup(32, None);
    for shape in shapes(32) {
        for rows in [1, 7] {
            let mut expected = vec![0i128; rows * shape.len];
            let mut blocks = Vec::new();
            for _ in 0..2 {
                let x = values(&mut rng, shape.lines * shape.len, 1 << 40);
                let w = values(&mut rng, rows * shape.lines, 1 << 25);
                for u in 0..rows {
                    for k in 0..shape.lines {
                        for j in 0..shape.len {
                            expected[u * shape.len + j] += i128::from(w[u * shape.lines + k])
                                * i128::from(x[k * shape.len + j]);
                        }
                    }
                }
                let block = Block::encrypt(&ring, &secret, &x, shape, 2, &mut rng).unwrap();
                blocks.push((w, block));
            }
            let terms: Vec<_> = blocks
                .iter()
                .map(|(w, block)| {
                    let weights = Weights {
                        rows,
                        cols: shape.lines,
                        values: w,
                    };
                    (weights, block)
                })
                .collect();
            let out = Block::gemm_plain(&terms).unwrap();
            assert_eq!(
                out.shape(),
                Shape {
                    lines: rows,
                    layout: Lines::Single,
                    ..shape
                }
            );
            let ratio = ring.log2_g(1) - ring.log2_g(2);
            let error = noise::fresh_secret(&ring) * 2f64.powi(25) * (2 * shape.lines) as f64;
            let bound = error * ratio.exp2() + noise::lower(&ring, 2);
            let got = out.phase_integers(&secret).unwrap();
            assert!(worst(&got, &expected, ratio) <= bound);
            assert!(Block::gemm_plain(&terms[..0]).is_err());
        }
    }
}

/// The wanted sums from the halves of a product, with the secret: by v, then u, centred modulo the one prime of Q.
fn open(product: &Product, secret: &SecretKey, modulus: Modulus, stride: usize) -> Vec<i128> {
    let s = secret.expose_coefficients();
    let n = s.len();
    let p = i128::from(modulus.value());
    let at = |x: f64| i128::from(x as i64);
    // Coefficient t of x s.
    let times = |x: &[i128], t: usize| -> i128 {
        (0..n)
            .map(|j| {
                let sign = if j <= t { 1 } else { -1 };
                sign * i128::from(s[j]) * x[(t + n - j) % n]
            })
            .sum::<i128>()
            % p
    };
    let row = |rows: &transpose::Rows, r: usize| -> Vec<i128> {
        rows.row(0, r).iter().map(|&x| at(x)).collect()
    };
    let (cols, rows) = (product.u_b.rows(), product.u_b.cols());
    let columns: Vec<Vec<i128>> = (0..n).map(|w| row(&product.d_a, w)).collect();
    let mut out = Vec::new();
    for v in 0..cols {
        let d_b = row(&product.d_b, v);
        // Coefficient rho v of H_w s, for every w.
        let d_a: Vec<i128> = columns.iter().map(|h| times(h, stride * v)).collect();
        for u in 0..rows {
            let sum = at(product.u_b.row(0, v)[u])
                + times(&row(&product.u_a, u), stride * v)
                + times(&d_b, stride * u)
                + times(&d_a, stride * u);
            let sum = sum.rem_euclid(p);
            out.push(if 2 * sum > p { sum - p } else { sum });
        }
    }
    out
}

#[test]
fn products_of_halves_have_the_phases_of_the_product() {
    for degree in [16, 32, 64] {
        let Setup {
            ring,
            secret,
            mut rng,
        } = setup(degree, None);
        let modulus = ring.ring().moduli()[0];
        for shape in shapes(degree) {
            for len in [1, shape.padded / 2 + 1] {
                let mut expected = vec![0i128; shape.len * len];
                let mut blocks = Vec::new();
                for _ in 0..2 {
                    let x = values(&mut rng, shape.lines * shape.len, 1 << 20);
                    let y = values(&mut rng, shape.lines * len, 1 << 20);
                    let own = product(&x, &y, (shape.lines, shape.len, len));
                    expected.iter_mut().zip(own).for_each(|(e, x)| *e += x);
                    let other = Shape { len, ..shape };
                    let l = Block::encrypt(&ring, &secret, &x, shape, 1, &mut rng).unwrap();
                    let r = Block::encrypt(&ring, &secret, &y, other, 1, &mut rng).unwrap();
                    blocks.push((l, r));
                }
                let terms: Vec<_> = blocks.iter().map(|(l, r)| (l, r)).collect();
                let ratio = ring.log2_q(0) - ring.log2_g(1);
                let opened = open(
                    &blocks[0].0.multiply(ring.ring(), &terms, len).unwrap(),
                    &secret,
                    modulus,
                    shape.stride(degree),
                );
                let k = 2.0 * (shape.ciphertexts(degree) * shape.classes(degree)) as f64;
                let fresh = noise::fresh_secret(&ring);
                let error = k * (2.0 * 2f64.powi(20) + fresh) * fresh;
                let bound = error * ratio.exp2() + noise::product_rounding(&ring);
                assert!(worst(&opened, &expected, ratio) <= bound, "{shape:?} {len}");

                let squares: Vec<&Block> = terms.iter().map(|t| t.0).collect();
                let pairs: Vec<_> = squares.iter().map(|&x| (x, x)).collect();
                let fast = blocks[0].0.square(ring.ring(), &squares).unwrap();
                let slow = blocks[0]
                    .0
                    .multiply(ring.ring(), &pairs, shape.len)
                    .unwrap();
                for (x, y) in [
                    (&fast.u_b, &slow.u_b),
                    (&fast.u_a, &slow.u_a),
                    (&fast.d_b, &slow.d_b),
                    (&fast.d_a, &slow.d_a),
                ] {
                    assert_eq!(x.limb(0), y.limb(0));
                }
            }
        }
    }
}

fn keys(setup: &mut Setup) -> EvaluationKeys {
    let n = setup.ring.degree();
    let lengths = (4..=n.ilog2()).map(|l| 1 << l).collect();
    let elements = transpose::galois_elements(setup.ring.ring(), &lengths).unwrap();
    EvaluationKeys::for_elements(&setup.secret, true, &elements, &mut setup.rng, |_, _| ()).unwrap()
}

fn transposed(x: &[i128], rows: usize) -> Vec<i128> {
    let cols = x.len() / rows;
    (0..cols)
        .flat_map(|j| (0..rows).map(move |i| x[i * cols + j]))
        .collect()
}

/// With a plaintext modulus the result is exact, whatever the errors below the border.
#[test]
fn products_are_exact_modulo_the_plaintext_modulus() {
    for degree in [16, 32, 64] {
        let t = 1 << 12;
        let mut setup = setup(degree, Some(t));
        let keys = keys(&mut setup);
        let Setup {
            ring,
            secret,
            mut rng,
        } = setup;
        let check = |block: &Block, expected: &[i128], factor: i128| {
            let got = block.phase_modulo(&secret, t).unwrap();
            assert_eq!(got.len(), expected.len());
            for (&g, &e) in got.iter().zip(expected) {
                assert_eq!((i128::from(g) - e * factor).rem_euclid(t.into()), 0);
            }
        };
        let unit = |level| i128::from(ring.unit(level));
        for shape in shapes(degree) {
            for len in [1, shape.padded / 2 + 1] {
                let x = values(&mut rng, shape.lines * shape.len, 30);
                let y = values(&mut rng, shape.lines * len, 30);
                let other = Shape { len, ..shape };
                let expected = product(&x, &y, (shape.lines, shape.len, len));
                for level in [1, 2] {
                    let mut encrypt = |v: &[i64], shape| {
                        Block::encrypt(&ring, &secret, v, shape, level, &mut rng).unwrap()
                    };
                    let (l, r) = (encrypt(&x, shape), encrypt(&y, other));
                    let right = Block::gemm_tn(&[(&l, &r)], Side::Right, &keys).unwrap();
                    let packed = Shape {
                        lines: len,
                        len: shape.len,
                        padded: shape.padded,
                        layout: Lines::Packed,
                    };
                    assert_eq!((right.shape(), right.level()), (packed, level - 1));
                    check(&right, &expected, unit(level));
                    let left = Block::gemm_tn(&[(&l, &r), (&l, &r)], Side::Left, &keys).unwrap();
                    let twice: Vec<i128> =
                        transposed(&expected, len).iter().map(|x| 2 * x).collect();
                    check(&left, &twice, unit(level));
                    let gram = Block::syrk(&[&l], &keys).unwrap();
                    check(
                        &gram,
                        &product(&x, &x, (shape.lines, shape.len, shape.len)),
                        unit(level),
                    );
                    if shape.lines <= shape.padded
                        && (shape.layout == Lines::Packed || shape.padded == degree)
                    {
                        let turned = l.reformat(&keys).unwrap();
                        let wide: Vec<i128> = x.iter().map(|&x| x.into()).collect();
                        check(&turned, &transposed(&wide, shape.lines), unit(level));
                        assert_eq!(turned.shape().lines, shape.len);
                        assert_eq!(turned.shape().len, shape.lines);
                    } else {
                        assert!(matches!(l.reformat(&keys), Err(Error::Shape { .. })));
                    }
                    if level == 2 {
                        // A product of a product: R'(L' R), with the lines of the first as positions.
                        let again = right.reformat(&keys).unwrap();
                        assert_eq!(again.level(), 0);
                        assert!(matches!(again.reformat(&keys), Err(Error::Depth { .. })));
                        check(
                            &again,
                            &transposed(&expected, len),
                            unit(2) * unit(1) % t as i128,
                        );
                        let gram = Block::syrk(&[&right], &keys).unwrap();
                        let lines: Vec<i64> = expected.iter().map(|&x| x as i64).collect();
                        let squared = product(&lines, &lines, (len, shape.len, shape.len));
                        check(
                            &gram,
                            &squared,
                            unit(2) * unit(2) % t as i128 * unit(1) % t as i128,
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn blocks_come_back_from_bytes() {
    let Setup {
        ring,
        secret,
        mut rng,
    } = setup(32, None);
    let bytes_of = |block: &Block| {
        let mut writer = Writer::new();
        wire::write_block(&mut writer, block);
        writer.into_bytes()
    };
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new("block", bytes);
        let block = wire::read_block(&mut reader, &ring, secret.id())?;
        reader.expect_end()?;
        Ok::<_, Error>(block)
    };
    for shape in shapes(32) {
        for level in 0..=2 {
            let x = values(&mut rng, shape.lines * shape.len, 1000);
            let seeded = Block::encrypt(&ring, &secret, &x, shape, level, &mut rng).unwrap();
            let computed = seeded.add(&seeded).unwrap();
            for block in [seeded, computed] {
                let bytes = bytes_of(&block);
                let expected = wire::block_bytes(&ring, shape, level, block.is_seeded());
                assert_eq!(Some(bytes.len()), expected);
                let back = read(&bytes).unwrap();
                assert_eq!(back.halves(), block.halves());
                assert_eq!((back.shape(), back.level()), (shape, level));
                assert_eq!(bytes_of(&back), bytes);
                for cut in [0, 8, 18, 19, 30, bytes.len() - 1] {
                    assert!(
                        matches!(read(&bytes[..cut]), Err(Error::Wire { .. })),
                        "{cut}"
                    );
                }
                let mut longer = bytes.clone();
                longer.push(0);
                assert!(read(&longer).is_err());
                // Lines, length, grid, layout, level, flag, a residue of 2^14 - 1.
                for (at, value) in [
                    (0, 0),
                    (7, 1),
                    (3, 255),
                    (8, 0),
                    (8, 99),
                    (12, 17),
                    (12, 0),
                    (16, 2),
                    (17, 3),
                    (17, 255),
                    (18, 2),
                ] {
                    let mut other = bytes.clone();
                    other[at] = value;
                    if other != bytes {
                        assert!(
                            matches!(read(&other), Err(Error::Wire { .. })),
                            "{at} {value}"
                        );
                    }
                }
                let mut other = bytes.clone();
                other[19] = 0xff;
                other[20] |= 0x3f;
                assert!(matches!(read(&other), Err(Error::Wire { .. })));
            }
        }
    }
}

/// A message of some bytes must not stand for a block of gigabytes: seeds take the place of second halves only where first
/// halves are there of a 16th of the size.
#[test]
fn small_messages_stay_small_blocks() {
    let Setup {
        ring,
        secret,
        mut rng,
    } = setup(64, None);
    for (len, seeded) in [(1, false), (3, false), (4, true), (16, true)] {
        for (layout, lines) in [(Lines::Single, 50), (Lines::Packed, 200)] {
            let padded = 16;
            let shape = Shape {
                lines,
                len,
                padded,
                layout,
            };
            let seeded = seeded || layout == Lines::Packed;
            let x = values(&mut rng, lines * len, 1000);
            let block = Block::encrypt(&ring, &secret, &x, shape, 2, &mut rng).unwrap();
            assert_eq!(block.is_seeded(), seeded);
            let mut writer = Writer::new();
            wire::write_block(&mut writer, &block);
            let mut bytes = writer.into_bytes();
            let read = |bytes: &[u8]| {
                let mut reader = Reader::new("block", bytes);
                wire::read_block(&mut reader, &ring, secret.id())
            };
            let most = EXPANSION * bytes.len();
            assert!(read(&bytes).unwrap().memory_bytes() <= most);
            // The same with a seed, forged where there was none.
            let second = ring.narrow_len(2) * block.ciphertexts() * (64 * 14 / 8);
            if !seeded {
                bytes[18] = 1;
                bytes.truncate(bytes.len() - second + 32);
            }
            match read(&bytes) {
                Ok(block) => assert!(seeded && block.memory_bytes() <= most),
                Err(error) => {
                    assert!(!seeded && matches!(error, Error::Wire { .. }), "{error}");
                }
            }
        }
    }
}

/// A seeded block of level 1 and what dropping its level gives, as version 1 wrote them.
#[test]
fn bytes_of_version_1_are_read() {
    let ring = MatrixRing::new(insecure_spec(16, Some(1 << 16))).unwrap();
    let id = KeyId([7; 16]);
    let coefficients = (0..16).map(|i| (i * i % 3) as i8 - (i % 2) as i8).collect();
    let secret = SecretKey::restore(ring.ring(), Zeroizing::new(coefficients), id).unwrap();
    let bytes = include_bytes!("../../tests/golden/v1/matrix-blocks.bin");
    let mut reader = Reader::new("block", bytes);
    let block = wire::read_block(&mut reader, &ring, id).unwrap();
    let lower = wire::read_block(&mut reader, &ring, id).unwrap();
    reader.expect_end().unwrap();
    let x: Vec<i64> = (0..33).map(|i| i * 1000 - 16_000).collect();
    assert_eq!(&*block.phase_modulo(&secret, 1 << 16).unwrap(), &x);
    assert_eq!(lower.halves(), block.lower().unwrap().halves());
    let mut writer = Writer::new();
    wire::write_block(&mut writer, &block);
    wire::write_block(&mut writer, &lower);
    assert_eq!(writer.into_bytes(), bytes);
}

/// Against an independent ChaCha20.
#[test]
fn the_uniform_half_is_what_its_definition_says() {
    let mut out = [0; 12];
    let seed = Seed::from_bytes(std::array::from_fn(|i| i as u8));
    encrypt::uniform(&seed, 2 * 256 + 1, Prime::new(11_551).unwrap(), &mut out);
    let expected = [
        5732, -4895, 4478, 5741, 4328, 5624, -5758, 4310, -273, 998, 1541, 2582,
    ];
    assert_eq!(out, expected);
}

#[test]
fn exact_values_fail_far_more_rarely() {
    for tail in [noise::Tail::REAL, noise::Tail::EXACT] {
        let needed = (2.0 * (tail.bits + 1.0) * std::f64::consts::LN_2).sqrt();
        assert!((needed..needed + 0.01).contains(&tail.deviations));
    }
    let t = 1u64 << 20;
    let real = setup(1024, None).ring;
    let exact = setup(1024, Some(t)).ring;
    let bounds = |ring: &MatrixRing| {
        let parts = [
            noise::switch_rounding(ring),
            noise::product(ring, 1, 1).unwrap(),
            noise::reformat(ring, 1, 2).unwrap(),
            noise::fresh_public(ring, 2),
        ];
        parts.map(|x| x / ring.plaintext().unwrap_or(1) as f64)
    };
    for (real, exact) in bounds(&real).into_iter().zip(bounds(&exact)) {
        assert!(exact >= 1.4 * real, "{exact} for {real}");
    }
}

/// Roundings of a Gram matrix meet themselves on the diagonal: their variance is about twice that of independent ones, and
/// the bound counts it.
#[test]
fn bounds_count_symmetric_roundings() {
    let ring = setup(64, None).ring;
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let n = 64;
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
    let samples = 4000;
    let mut squares = 0.0;
    for _ in 0..samples {
        // A secret without zeros has the weight of the bound; signs do not matter to the variance.
        let mut z = uniform();
        for i in 0..n {
            z += 2.0 * uniform() + uniform();
            for _ in 0..i {
                z += 2.0 * uniform();
            }
        }
        squares += z * z;
    }
    let deviation = (squares / f64::from(samples)).sqrt();
    let bound = noise::product_rounding(&ring) / noise::TAIL;
    assert!(
        (deviation..2.0 * deviation).contains(&bound),
        "{bound} for {deviation}"
    );
}
