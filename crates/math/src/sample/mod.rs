//! Random ring elements: uniform residues from a public seed, secrets and errors from a caller's generator.
//!
//! Everything here that draws a secret is constant time in it: no branch and no address depends on a random value.
//! Randomness is fetched in bulk, and the buffers that held it are zeroized. The exception is
//! [`uniform_residues`], whose seed is public by definition and whose running time depends on it.

mod uniform;

pub use uniform::{Seed, uniform_residues, uniform_residues_with};

use crate::error::{MathError, Result};
use rand::CryptoRng;
use zeroize::Zeroize;

/// Variance of [`centered_binomial`]: 42 coins of variance 1/4.
pub const ERROR_VARIANCE: f64 = 10.5;
/// Largest absolute value of [`centered_binomial`].
pub const ERROR_BOUND: i64 = 21;
/// Largest standard deviation that [`gaussian_flood`] accepts.
pub const MAX_FLOOD_SIGMA: f64 = (1u64 << 45) as f64;

/// Largest standard deviation that [`gaussian_flood_wide`] accepts: `fine` then has a deviation of `2^43`.
pub const MAX_WIDE_FLOOD_SIGMA: f64 = (1u128 << 80) as f64;

/// Fills `out` with independent values of -1, 0 and 1, each of probability 1/3 up to a bias below 2^-62.
///
/// Constant time: the value is the upper half of `3 r` for a 64-bit word `r`, less one.
pub fn ternary<R: CryptoRng + ?Sized>(rng: &mut R, out: &mut [i8]) {
    let mut bytes = [0u8; 2048];
    for chunk in out.chunks_mut(256) {
        let bytes = &mut bytes[..8 * chunk.len()];
        rng.fill_bytes(bytes);
        for (x, word) in chunk.iter_mut().zip(bytes.as_chunks::<8>().0) {
            let r = u64::from_le_bytes(*word);
            *x = ((u128::from(r) * 3) >> 64) as i8 - 1;
        }
    }
    bytes.zeroize();
}

/// Fills `out` with errors: the number of heads in 42 fair coins, less 21. Mean 0, variance [`ERROR_VARIANCE`]
/// (standard deviation 3.24), absolute value at most [`ERROR_BOUND`].
///
/// Constant time; 42 random bits a value (whole batches of 256 values are drawn).
pub fn centered_binomial<R: CryptoRng + ?Sized>(rng: &mut R, out: &mut [i8]) {
    // A batch of 256 values: five planes of a byte each, then two bits each packed in 64 bytes.
    const BATCH: usize = 256;
    const PAIRS: usize = BATCH / 4;
    let mut bytes = [0u8; 5 * BATCH + PAIRS];
    let mut heads = [0u8; BATCH];
    for chunk in out.chunks_mut(BATCH) {
        rng.fill_bytes(&mut bytes);
        let (planes, pairs) = bytes.split_at(5 * BATCH);
        for (quarter, heads) in heads.chunks_exact_mut(PAIRS).enumerate() {
            for (h, &b) in heads.iter_mut().zip(pairs) {
                let two = (b >> (2 * quarter)) & 3;
                *h = two - (two >> 1);
            }
        }
        for plane in planes.chunks_exact(BATCH) {
            for (h, &b) in heads.iter_mut().zip(plane) {
                *h += b.count_ones() as u8;
            }
        }
        for (x, &h) in chunk.iter_mut().zip(&heads) {
            *x = h as i8 - ERROR_BOUND as i8;
        }
    }
    bytes.zeroize();
    heads.zeroize();
}

/// Fills `out` with integers: a Gaussian of mean 0 and standard deviation `sigma`, rounded to nearest. For noise
/// flooding.
///
/// Box-Muller on 63-bit uniform radii and 61-bit angles, by polynomials: no branch and no table depends on the
/// values. Values lie within 9.4 `sigma`, which cuts tails of total probability below 2^-62, and the Gaussian before
/// rounding is computed to a relative error below 2^-45.
///
/// # Errors
/// [`MathError`] unless `0 <= sigma <= 2^45` ([`MAX_FLOOD_SIGMA`]).
pub fn gaussian_flood<R: CryptoRng + ?Sized>(
    rng: &mut R,
    sigma: f64,
    out: &mut [f64],
) -> Result<()> {
    if !(0.0..=MAX_FLOOD_SIGMA).contains(&sigma) {
        return Err(MathError::Parameter {
            operation: "gaussian_flood",
            got: format!("standard deviation {sigma:e}"),
            expected: "a number from 0 to 2^45".into(),
            hint: "flood at a lower scale",
        });
    }
    let mut bytes = [0u8; 1024];
    for chunk in out.chunks_mut(128) {
        rng.fill_bytes(&mut bytes);
        for (pair, words) in chunk.chunks_mut(2).zip(bytes.as_chunks::<16>().0) {
            let (radius, angle) = words.split_at(8);
            let word = |b: &[u8]| b.iter().rev().fold(0u64, |acc, &x| acc << 8 | u64::from(x));
            let (x, y) = gaussian_pair(word(radius), word(angle));
            pair[0] = round(x * sigma);
            if let Some(second) = pair.get_mut(1) {
                *second = round(y * sigma);
            }
        }
    }
    bytes.zeroize();
    Ok(())
}

/// Fills `coarse` and `fine` with integers whose sums are a Gaussian of mean 0 and standard deviation `sigma`, rounded:
/// what [`gaussian_flood`] does for deviations that need more digits than a double has. Constant time as it is.
///
/// Up to [`MAX_FLOOD_SIGMA`], `coarse` is zero. Beyond, it is a Gaussian rounded to multiples of a power of two `g`, and
/// `fine` one of deviation `2^8 g`: by Poisson summation the sum is the Gaussian of the variances' sum, plus an error of
/// rounding within `g / 2` that does not depend on it, but for `exp(-2 pi^2 2^16)`. Adding independent noise tells no more.
///
/// # Errors
/// [`MathError`] unless `0 <= sigma <= 2^80` ([`MAX_WIDE_FLOOD_SIGMA`]) and the lengths agree.
pub fn gaussian_flood_wide<R: CryptoRng + ?Sized>(
    rng: &mut R,
    sigma: f64,
    coarse: &mut [f64],
    fine: &mut [f64],
) -> Result<()> {
    if !(0.0..=MAX_WIDE_FLOOD_SIGMA).contains(&sigma) || coarse.len() != fine.len() {
        return Err(MathError::Parameter {
            operation: "gaussian_flood_wide",
            got: format!(
                "standard deviation {sigma:e}, lengths {} and {}",
                coarse.len(),
                fine.len()
            ),
            expected: "a number from 0 to 2^80, and equal lengths".into(),
            hint: "flood at a lower scale",
        });
    }
    if sigma <= MAX_FLOOD_SIGMA {
        coarse.fill(0.0);
        return gaussian_flood(rng, sigma, fine);
    }
    let grid = (sigma / MAX_FLOOD_SIGMA).log2().ceil().exp2();
    let narrow = 256.0 * grid;
    // The logarithm's rounding may leave it just above.
    let wide = ((sigma - narrow) * (sigma + narrow)).sqrt() / grid;
    gaussian_flood(rng, wide.min(MAX_FLOOD_SIGMA), coarse)?;
    for x in coarse.iter_mut() {
        *x *= grid;
    }
    gaussian_flood(rng, narrow, fine)
}

/// Nearest integer of `|x| < 2^51`, ties to even, without a library call.
fn round(x: f64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: the sum has unit spacing
    (x + MAGIC) - MAGIC
}

/// Two independent standard Gaussians from 128 uniform bits.
fn gaussian_pair(radius: u64, angle: u64) -> (f64, f64) {
    let uniform = ((radius >> 1) as i64 as f64 + 1.0) * (-63f64).exp2_exact();
    let r = (-2.0 * ln(uniform)).sqrt();
    // A uniform angle is one in [-pi/4, pi/4) turned by a uniform number of quarters: swap and two signs.
    let theta =
        ((angle as i64) >> 3) as f64 * (std::f64::consts::FRAC_PI_4 * (-60f64).exp2_exact());
    let t = theta * theta;
    let sin = theta * horner(t, &SIN);
    let cos = horner(t, &COS);
    let (s, c) = (sin.to_bits(), cos.to_bits());
    let swap = (s ^ c) & 0u64.wrapping_sub(angle & 1);
    let x = f64::from_bits((s ^ swap) ^ ((angle >> 1 & 1) << 63));
    let y = f64::from_bits((c ^ swap) ^ ((angle >> 2 & 1) << 63));
    (r * x, r * y)
}

/// Natural logarithm of a positive normal number: `2 atanh((m - 1) / (m + 1)) + k ln 2`, `m` in [1/sqrt 2, sqrt 2).
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let k = (bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits()) as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub((k as u64) << 52));
    let s = (m - 1.0) / (m + 1.0);
    k as f64 * std::f64::consts::LN_2 + s * horner(s * s, &ATANH2)
}

fn horner(t: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |acc, &c| acc * t + c)
}

trait ExactPower {
    fn exp2_exact(self) -> f64;
}
impl ExactPower for f64 {
    /// `2^self` for an integer in the normal range.
    fn exp2_exact(self) -> f64 {
        f64::from_bits(((1023 + self as i64) as u64) << 52)
    }
}

/// `2 atanh(s) / s` in powers of `s^2`: the remainder at `s = 0.1716` is below 2^-60.
const ATANH2: [f64; 12] = [
    2.0,
    2.0 / 3.0,
    2.0 / 5.0,
    2.0 / 7.0,
    2.0 / 9.0,
    2.0 / 11.0,
    2.0 / 13.0,
    2.0 / 15.0,
    2.0 / 17.0,
    2.0 / 19.0,
    2.0 / 21.0,
    2.0 / 23.0,
];
/// `sin(x) / x` and `cos(x)` in powers of `x^2`: remainders at `pi / 4` below 2^-62.
const SIN: [f64; 9] = taylor::<9>(1);
const COS: [f64; 10] = taylor::<10>(0);

/// `(-1)^i / (2 i + offset)!`.
const fn taylor<const N: usize>(offset: usize) -> [f64; N] {
    let mut out = [0.0; N];
    let (mut i, mut factorial) = (0, 1.0);
    while i < N {
        let last = 2 * i + offset;
        if last > 1 {
            factorial *= (last * (last - 1)) as f64;
        }
        out[i] = if i % 2 == 0 {
            1.0 / factorial
        } else {
            -1.0 / factorial
        };
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([7; 32])
    }

    #[test]
    fn ternary_is_balanced() {
        let mut out = vec![9i8; 300_001];
        ternary(&mut rng(), &mut out);
        let mut counts = [0usize; 3];
        for &x in &out {
            counts[usize::try_from(x + 1).unwrap()] += 1;
        }
        // Six standard deviations of a binomial with probability 1/3.
        let n = out.len() as f64;
        for c in counts {
            assert!(
                (c as f64 - n / 3.0).abs() < 6.0 * (n * 2.0 / 9.0).sqrt(),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn binomial_has_the_exact_distribution() {
        let n = 400_003;
        let mut out = vec![99i8; n];
        centered_binomial(&mut rng(), &mut out);
        let mut counts = [0f64; 43];
        for &x in &out {
            counts[usize::try_from(x + 21).unwrap()] += 1.0;
        }
        // Chi-square over the cells that expect at least 10.
        let (mut chi2, mut cells, mut binomial) = (0f64, 0f64, 0.5f64.powi(42));
        for (k, &count) in counts.iter().enumerate() {
            let expected = binomial * n as f64;
            if expected >= 10.0 {
                chi2 += (count - expected).powi(2) / expected;
                cells += 1.0;
            }
            binomial *= (42 - k) as f64 / (k + 1) as f64;
        }
        assert!(
            chi2 < cells + 6.0 * (2.0 * cells).sqrt(),
            "chi2 {chi2} on {cells} cells"
        );
        let variance = out.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n as f64;
        assert!((variance - ERROR_VARIANCE).abs() < 0.15, "{variance}");
        // Neighbours and values a quarter batch apart share no coins.
        for lag in [1, 64, 256] {
            let c = out
                .iter()
                .zip(&out[lag..])
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum::<f64>();
            assert!((c / (n - lag) as f64).abs() < 6.0 * ERROR_VARIANCE / (n as f64).sqrt());
        }
    }

    #[test]
    fn logarithm_and_angle_are_accurate() {
        let mut rng = rng();
        for i in 0..20_000u64 {
            let (a, b) = (rng.next_u64() >> (i % 64), rng.next_u64());
            let u = ((a >> 1) as f64 + 1.0) * 0.5f64.powi(63);
            assert!((ln(u) - u.ln()).abs() <= 1e-14 * u.ln().abs(), "{u:e}");
            let (x, y) = gaussian_pair(a, b);
            let square = -2.0 * u.ln();
            assert!((x * x + y * y - square).abs() <= 1e-13 * square);
            assert_eq!(
                (b >> 1 & 1 == 1) != (b >> 2 & 1 == 1),
                (x < 0.0) != ((y < 0.0) != ((b as i64) < 0))
            );
        }
    }

    #[test]
    fn gaussian_moments_and_quadrants() {
        let n = 400_000;
        let mut out = vec![0.5; n + 1];
        for sigma in [3.0, 1e6, MAX_FLOOD_SIGMA] {
            gaussian_flood(&mut rng(), sigma, &mut out).unwrap();
            assert!(
                out.iter()
                    .all(|x| x.fract() == 0.0 && x.abs() < 9.4 * sigma + 1.0)
            );
            let moment =
                |k: i32| out.iter().map(|x| (x / sigma).powi(k)).sum::<f64>() / out.len() as f64;
            let rounding = 1.0 / (12.0 * sigma * sigma);
            assert!(moment(1).abs() < 0.01, "{}", moment(1));
            assert!((moment(2) - 1.0 - rounding).abs() < 0.015, "{}", moment(2));
            assert!(
                (moment(4) - 3.0 * (1.0 + rounding).powi(2)).abs() < 0.12,
                "{}",
                moment(4)
            );
            let product = out.chunks_exact(2).map(|c| c[0] * c[1]).sum::<f64>()
                / (sigma * sigma * n as f64 / 2.0);
            assert!(product.abs() < 0.015);
        }
        gaussian_flood(&mut rng(), 0.0, &mut out).unwrap();
        assert!(out.iter().all(|&x| x == 0.0));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2.0 * MAX_FLOOD_SIGMA] {
            assert!(gaussian_flood(&mut rng(), bad, &mut out).is_err());
        }
    }

    /// Low moments of the sum, on both sides of the border to two parts, and the last digits: those of the fine part,
    /// which the coarse one leaves alone, have to be uniform, or the last digits of what is flooded would show.
    #[test]
    fn wide_flood_is_gaussian_to_the_last_digit() {
        let n = 100_000;
        let (mut coarse, mut fine) = (vec![f64::NAN; n], vec![f64::NAN; n]);
        let limit = MAX_FLOOD_SIGMA;
        for sigma in [
            3.5,
            limit,
            1.0001 * limit,
            1.9 * limit,
            (2.0 * limit).next_up(),
            (2f64.powi(20) * limit).next_up(),
            1e18,
            MAX_WIDE_FLOOD_SIGMA,
        ] {
            gaussian_flood_wide(&mut rng(), sigma, &mut coarse, &mut fine).unwrap();
            let sum: Vec<f64> = coarse.iter().zip(&fine).map(|(a, b)| a + b).collect();
            let moment = |k: i32| sum.iter().map(|x| (x / sigma).powi(k)).sum::<f64>() / n as f64;
            // Six deviations of the sample moments: sqrt(1/n), sqrt(2/n), sqrt(96/n).
            let rounding = 1.0 / (12.0 * sigma * sigma);
            let six = 6.0 / (n as f64).sqrt();
            assert!(moment(1).abs() < six, "{sigma:e}: {}", moment(1));
            assert!((moment(2) - 1.0 - rounding).abs() < six * 2f64.sqrt());
            assert!((moment(4) - 3.0 * (1.0 + rounding).powi(2)).abs() < six * 96f64.sqrt());
            assert_eq!(coarse.iter().all(|&x| x == 0.0), sigma <= limit);
            if sigma > limit {
                let mut counts = [0f64; 16];
                for (a, b) in coarse.iter().zip(&fine) {
                    assert!(a.trunc() == *a && b.trunc() == *b && b.abs() < 2f64.powi(52));
                    counts[((*a as i128 + *b as i128) & 15) as usize] += 1.0;
                }
                let each = n as f64 / 16.0;
                let chi2: f64 = counts.iter().map(|c| (c - each).powi(2) / each).sum();
                assert!(
                    chi2 < 15.0 + 6.0 * 30f64.sqrt(),
                    "{sigma:e}: chi2 {chi2} on 16 cells"
                );
            }
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2.0 * MAX_WIDE_FLOOD_SIGMA] {
            assert!(gaussian_flood_wide(&mut rng(), bad, &mut coarse, &mut fine).is_err());
        }
        assert!(gaussian_flood_wide(&mut rng(), 1.0, &mut coarse, &mut fine[1..]).is_err());
    }
}
