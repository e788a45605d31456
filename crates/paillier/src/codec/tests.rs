//! Against big integers.

use super::*;
use num_bigint::{BigInt, BigUint, Sign};
use proptest::prelude::*;

fn words(n: &BigUint, params: &Params) -> Vec<u64> {
    let mut digits = n.to_u64_digits();
    digits.resize(params.bits() as usize / 64, 0);
    digits
}
/// The smallest and the largest modulus of the size.
fn moduli(params: &Params) -> [BigUint; 2] {
    let top = BigUint::from(1u8) << (params.bits() - 1);
    [&top + 1u8, (&top << 1) - 1u8]
}
fn exact(x: f64, exponent: u32) -> BigInt {
    // round(x 2^F), half away from zero, over the integers.
    let bits = x.abs().to_bits();
    let (e, m) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    let (m, e) = if e == 0 {
        (m, -1074)
    } else {
        (m | 1 << 52, e - 1075)
    };
    let shift = e + i64::from(exponent);
    let m = BigInt::from(m);
    let v = if shift >= 0 {
        m << shift
    } else if shift < -60 {
        BigInt::from(0)
    } else {
        ((m << 1) + (BigInt::from(1) << -shift)) >> (-shift + 1)
    };
    if x < 0.0 { -v } else { v }
}
fn params(fraction: u32, integer: u32, depth: usize) -> Params {
    Params::builder()
        .insecure_bits(512)
        .fraction_bits(fraction)
        .integer_bits(integer)
        .depth(depth)
        .build()
        .unwrap()
}
fn oracle(params: &Params, values: &[f64], depth: usize, n: &BigUint) -> BigUint {
    let f = params.exponent(depth);
    let sum: BigInt = values
        .iter()
        .cycle()
        .take(params.slots())
        .enumerate()
        .map(|(i, &x)| exact(x, f) << (params.slot_width() as usize * i))
        .sum();
    let n = BigInt::from_biguint(Sign::Plus, n.clone());
    (((sum % &n) + &n) % &n).to_biguint().unwrap()
}

fn value(largest: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        -largest..=largest,
        -1.0..=1.0f64,
        -1e-9..=1e-9f64,
        Just(largest),
        Just(-largest),
        Just(0.0),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(0.49999999999999994),
        Just(0.5),
    ]
}

proptest! {
    #[test]
    fn encoding_is_the_sum_of_shifted_integers(
        (f, i, d, at) in (0u32..=64, 1u32..=60, 0usize..4).prop_flat_map(|(f, i, d)| (Just(f), Just(i), Just(d), 0..=d)),
        seed in prop::collection::vec(value(1.0), 64),
    ) {
        let params = params(f, i, d);
        let values: Vec<f64> = seed.iter().take(params.slots()).map(|x| x * params.max_value()).collect();
        for n in moduli(&params) {
            let words_of_n = words(&n, &params);
            let got = encode(&params, &values, at, &words_of_n);
            prop_assert_eq!(BigUint::new(got.iter().flat_map(|w| [*w as u32, (w >> 32) as u32]).collect()), oracle(&params, &values, at, &n));
            let back = decode(&params, &got, at, &words_of_n).unwrap();
            let half = 0.5 * power_of_two(-(params.exponent(at) as i32));
            for (x, y) in values.iter().zip(&back) {
                prop_assert!((x - y).abs() <= half + DECODING_ERROR * x.abs(), "{} came back as {}", x, y);
            }
        }
    }

    #[test]
    fn weights_are_rounded_exactly(x in value(1e12), bits in 0u32..=120) {
        let w = Weight::new(x, bits);
        prop_assert_eq!(&w.integer, &exact(x, bits));
        prop_assert!(w.rounding <= 0.5 * power_of_two(-(bits as i32)));
        let exact_weight = exact(x, 1074.min(bits + 1000));
        let difference = (exact_weight - (w.integer << (1074.min(bits + 1000) - bits))).magnitude().clone();
        prop_assert_eq!(BigInt::from(difference), exact(w.rounding, 1074.min(bits + 1000)));
    }
}

#[test]
fn extremes_do_not_carry_into_neighbours() {
    let params = params(8, 12, 1);
    let m = params.max_value();
    for n in moduli(&params) {
        let n = words(&n, &params);
        for depth in 0..=1 {
            let values: Vec<f64> = (0..params.slots())
                .map(|i| [m, -m, 0.0, -m, 2f64.powi(-8), m, -2f64.powi(-8)][i % 7])
                .collect();
            let got = decode(&params, &encode(&params, &values, depth, &n), depth, &n).unwrap();
            assert_eq!(got, values);
        }
    }
}

#[test]
fn the_band_and_slots_beyond_their_range_are_refused() {
    let params = params(8, 12, 1);
    let n = moduli(&params)[0].clone();
    let n_words = words(&n, &params);
    let top = params.slot_width() as usize * params.slots();
    let f = params.exponent(1);
    let refused = |m: BigUint| {
        matches!(
            decode(&params, &words(&m, &params), 1, &n_words),
            Err(Error::Decryption)
        )
    };
    for m in [
        &n / 3u8,
        &n / 2u8,
        &n * 2u8 / 3u8,
        BigUint::from(1u8) << top,
        &n - (BigUint::from(1u8) << top),
        BigUint::from(1u8) << (top - 1),
    ] {
        assert!(refused(m));
    }
    let limit = BigUint::from(3u8) << (12 + f - 1);
    assert!(!refused(limit.clone()) && refused(&limit + 1u8));
    assert!(!refused(&n - &limit) && refused(&n - &limit - 1u8));
    let second = &limit << params.slot_width() as usize;
    assert!(
        !refused(second.clone())
            && refused(second + (BigUint::from(1u8) << params.slot_width() as usize))
    );
}
