//! Bounds on the noise: worst case, so that decryption never fails.
//!
//! A ciphertext `(c0, c1)` at a level with modulus Q encrypts `m` modulo t with noise `e`, a polynomial with real
//! coefficients (roundings of `Q m / t` are part of it):
//!
//! `c0 + c1 s = (Q/t) m + e (mod Q)`,
//!
//! and decrypts to `m` if every coefficient of `e` is at most `(1/2 - 2^-40) Q/t` in absolute value (the encoder's
//! `scale_down`). `|x|` is the largest absolute value of `x` at the primitive 2N-th roots of unity. It is
//! multiplicative, no coefficient exceeds it, and a polynomial with coefficients up to B has `|x| <= N B`.
//!
//! # No averaging
//! Exact schemes lose the secret key through decryption failures (Checri, Sirdey, Boudguiga, Bultel, eprint 2024/116;
//! Cheon, Choe, Passelègue, Stehlé, Suvanto, eprint 2024/127): bounds that hold for *independent* noises fail when an
//! adversary adds a ciphertext to itself or picks a circuit that aligns noises. Nothing here is averaged over anything
//! that a circuit, its inputs or an adversary can choose:
//!
//! | source | bound | why |
//! |---|---|---|
//! | the secret | `S = 4 sqrt(2N/3)` | enforced when a key is made |
//! | a fresh error | `21 N` | centred binomial with 42 coins: coefficients up to 21 |
//! | the public key's own error | `4 sqrt(10.5 N)` | enforced when a key is made |
//! | encryption randomness `v`, ternary | `N` | |
//! | rounding of both halves, `r0 + r1 s` | `F = (N/2)(1 + S)(1 + 2^-39)` | centred within `1/2 + 2^-40` |
//! | rounding of `Q m / t` with k coefficients | `k/2` | |
//! | a digit of a key switch | `N D/2 (1 + 2^-39)` | D the product of its primes; the ciphertext chooses it |
//! | an error polynomial of a switching key | `B = tau sqrt(10.5 N)` | drawn once by an honest owner; below |
//!
//! The last is the only probability in all this. An evaluation of `e` at a root is a linear form in independent centred
//! coefficients that are sub-Gaussian with variance proxy 10.5; its real part in any direction has proxy at most `10.5
//! N/2`. Sixteen directions and N/2 pairs of roots give `P(|e| > tau sqrt(10.5 N)) <= 8 N exp(-(tau cos(pi/16))^2)`,
//! which is 2^-160 for [`tail`]. It is decided when a key is made, once for each polynomial of it, whatever is computed
//! afterwards: after up to 2^32 such polynomials it stays below 2^-128. With keys for which it holds, decryption
//! *never* fails.
//!
//! # Operations
//! *Sum*: `E_a + E_b`. *Plain sum* with k coefficients: `E + k/2`. *Plain product*: with `w` centred modulo t, `w
//! ((Q/t) m + e) = (Q/t) w m + w e` modulo Q, hence `|w| E`; `|w|` is at most the sum of the absolute coefficients of
//! `w`, which is public. *Combination*: `sum |w_j| E_j` for constants.
//!
//! *Switch of the modulus* by q: `E / q + F`.
//!
//! *Product*. Over the integers `phase_a = a0 + a1 s = (Q/t) m_a + e_a` for *some* `m_a` congruent to the message
//! modulo t, and `|phase_a| <= Q Phi` with `Phi = (N/2)(1 + S)(1 + 2^-39)`. Then
//!
//! `(t/Q) phase_a phase_b = (Q/t) m_a m_b + (t/Q)(phase_a e_b + phase_b e_a - e_a e_b)`
//!
//! (substitute `(Q/t) m = phase - e`): at most `t Phi (E_a + E_b) + (t/Q) E_a E_b`. What the module `multiply` gives
//! differs from this in that each half of the second operand is off by at most `omega` and its lift by 2 more, so that
//! `E_b` becomes `E_b + N omega (1 + S)` and its phase grows accordingly; and in that each of the three halves of the
//! result, for a whole sum of products, is rounded by at most `epsilon = 1/2 + 2^-40`: `N epsilon (1 + S + S^2)`.
//! Multiples of Q in the halves are multiples of Q in the phase. The key switch adds `K`, and one division by all that
//! is to be divided by ends it: `(E + K) / q + F`. (The first two halves are then not rounded by themselves; the bound
//! leaves them in.)
//!
//! *Key switch*: `K = sum_d N D_d/2 (1 + 2^-39) B / P`, over the digits d present at the level. *Rotation*: `E + K +
//! F`. Sum of rotations: `sum E_j + (number that move) K + F`.
//!
//! # Levels
//! Let `U_l` be a noise that a fresh ciphertext at level l and a product that arrives there both have, rotated once. A group
//! of primes is so large that a product of two factors with noise `U_l` has `U_(l-1)`, which is not much larger than a
//! rounding. Sums leave more: `x U_l`, say, for x terms. What matters in the noise of a product is linear in those of its
//! factors, so that factors with `x U_l` have a product with at most `x U_(l-1)`: **the excess x is carried down, and
//! multiplies with that of later sums**. The base holds `2^headroom U_0`. A circuit therefore decrypts if along every path the
//! numbers of terms that are summed multiply to at most `2^headroom`, wherever the sums are; products with plain values
//! divide the excess away again.
//! `Noise::levels` runs this on the primes as they are, and parameters for which it fails are refused.
//!
//! All numbers are rounded outward: a relative 2^-44 is added wherever doubles may have rounded, and 2^-40 to powers of two with
//! differences of logarithms (of up to 2^12, each rounded by at most 2^-42) as exponents.

use cipherblas_math::sample::{ERROR_BOUND, ERROR_VARIANCE};
use cipherblas_rlwe::Ring;
use cipherblas_rlwe::keys::SUP_FACTOR;
pub(crate) use cipherblas_scheme::bounds::{add_up, coarse, mul_up};

/// Bits of the probability that one polynomial of a switching key exceeds its bound.
pub const KEY_BITS: f64 = 160.0;

/// Bits of the bound above those of a value just below: more than a few roundings of doubles.
const OUTWARD: f64 = 1.0 + 1.0 / (1u64 << 44) as f64;

/// As [`OUTWARD`], for powers with a difference of logarithms of moduli as the exponent.
pub(crate) const OUTWARD_POWER: f64 = 1.0 + 1.0 / (1u64 << 40) as f64;

/// Bits that base conversion may be off the centre, relative to its modulus.
const CENTRED: f64 = 1.0 + 1.0 / (1u64 << 39) as f64;

/// Moduli beyond this are taken as this: a smaller limit is a safe one.
const LARGEST_MODULUS: f64 = 1e300;

/// The factor `tau` of the [module page](self) for ring degree `n`.
pub fn tail(n: usize) -> f64 {
    let ln = (8.0 * n as f64).ln() + KEY_BITS * std::f64::consts::LN_2;
    ln.sqrt() / (std::f64::consts::PI / 16.0).cos()
}

/// The product of primes, at most a relative 2^-44 below it, and never above; capped at 10^300.
pub(crate) fn modulus_down(primes: &[u64]) -> f64 {
    let product = primes
        .iter()
        .fold(1.0, |acc: f64, &p| (acc * p as f64).min(LARGEST_MODULUS));
    product / OUTWARD
}

/// Bounds for one ring and the largest of its plaintext moduli.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    n: f64,
    t: f64,
    secret: f64,
    key_error: f64,
}

impl Noise {
    /// For ring degree `n` and plaintext moduli up to `t`.
    pub fn new(n: usize, t: u64) -> Self {
        let degree = n as f64;
        let tail = tail(n) * (degree * ERROR_VARIANCE).sqrt();
        Self {
            n: degree,
            t: t as f64,
            secret: SUP_FACTOR * (2.0 * degree / 3.0).sqrt() * OUTWARD,
            key_error: tail.min(ERROR_BOUND as f64 * degree) * OUTWARD,
        }
    }
    /// `F`: rounding both halves. Also `Phi`, the phase of a ciphertext over its modulus.
    pub fn rounding(&self) -> f64 {
        self.n / 2.0 * (1.0 + self.secret) * CENTRED * OUTWARD
    }
    /// Rounding `Q m / t` for a plaintext of `coefficients` coefficients.
    pub fn encoding(&self, coefficients: usize) -> f64 {
        coefficients as f64 / 2.0
    }
    /// A fresh secret-key encryption.
    pub fn fresh_secret(&self) -> f64 {
        ERROR_BOUND as f64 * self.n + self.n / 2.0
    }
    /// What no honest ciphertext is below, but a multiple by zero: that of a fresh one, or of the roundings.
    pub fn floor(&self) -> f64 {
        self.fresh_secret().min(self.rounding())
    }
    /// A fresh public-key encryption with the division by the special prime `p`: `(v e + e0 + e1 s)/p + r0 + r1 s`.
    pub fn fresh_public(&self, p: u64) -> f64 {
        let own = SUP_FACTOR * (self.n * ERROR_VARIANCE).sqrt();
        let wide = self.n * own + ERROR_BOUND as f64 * self.n * (1.0 + self.secret);
        (wide / p as f64 + self.rounding() + self.n / 2.0) * OUTWARD
    }
    /// What decrypts modulo Q: `(1/2 - 2^-40) Q / t`.
    pub fn limit(&self, q: f64) -> f64 {
        (0.5 - crate::encoder::SCALE_DOWN_SLACK) * q / self.t / OUTWARD
    }
    /// A product of noises `a` and `b` modulo `q`, the halves of the second operand being off by `omega`.
    pub fn product(&self, q: f64, a: f64, b: f64, omega: f64) -> f64 {
        let spread = self.n * (1.0 + self.secret);
        let phase_b = spread * (CENTRED / 2.0 + (2.0 + omega) / q);
        let b = b + omega * spread;
        let cross = self.t * (self.rounding() * b + phase_b * a);
        (cross + a / (q / self.t) * b) * OUTWARD
    }
    /// Rounding the three halves of a sum of products.
    pub fn scaling(&self) -> f64 {
        let powers = 1.0 + self.secret + self.secret * self.secret;
        self.n * crate::multiply::ROUNDING_ERROR * powers * OUTWARD
    }
    /// `K`: a key switch at `level`, divided by P, before the rounding of that division.
    pub fn key_switch(&self, ring: &Ring, level: usize) -> f64 {
        let log_p = ring.log2_p();
        let digits: f64 = ring
            .log2_digits(level)
            .iter()
            .map(|d| (d - log_p).exp2())
            .sum();
        self.n / 2.0 * digits * CENTRED * self.key_error * OUTWARD_POWER * OUTWARD
    }
    /// As [`key_switch`](Self::key_switch), for `digits` digits that are `2^margin` below P.
    pub(crate) fn key_switch_estimate(&self, digits: usize, margin: f64) -> f64 {
        self.n / 2.0 * digits as f64 * self.key_error / margin.exp2()
    }
    /// After dividing by `q`.
    pub fn switched(&self, noise: f64, q: f64) -> f64 {
        (noise / q + self.rounding()) * OUTWARD
    }

    /// The noise `U` of a rotated product for every level, bottom first, if `2^headroom` of them decrypt and an excess of as much
    /// is carried down by products; `omega(level)` is what a second operand is off there.
    pub(crate) fn levels(
        &self,
        ring: &Ring,
        headroom_bits: u32,
        omega: impl Fn(usize) -> f64,
    ) -> Option<Vec<f64>> {
        let sums = f64::from(headroom_bits).exp2();
        let rotated = |noise: f64, level: usize| {
            (noise + self.key_switch(ring, level) + self.rounding()) * OUTWARD
        };
        let top = ring.max_level();
        let fresh = self
            .fresh_public(ring.spec().special[0])
            .max(self.fresh_secret());
        let mut units = vec![0.0; top + 1];
        let mut unit = rotated(fresh, top);
        for level in (0..=top).rev() {
            units[level] = unit;
            let primes: Vec<u64> = ring.spec().groups[..=level]
                .iter()
                .flatten()
                .copied()
                .collect();
            let q = modulus_down(&primes);
            let fits = sums * unit <= self.limit(q);
            if !fits {
                return None;
            }
            if level > 0 {
                let group = modulus_down(&ring.spec().groups[level]);
                let arrives = |a: f64, terms: f64| {
                    let product = terms * self.product(q, a, a, omega(level))
                        + self.scaling()
                        + self.key_switch(ring, level);
                    rotated(self.switched(product, group).max(fresh), level - 1)
                };
                // Fresh ciphertexts are encrypted at every level.
                let next = arrives(unit, 1.0);
                let carried = arrives(sums * unit, 1.0).max(arrives(unit, sums));
                if carried > sums * next * OUTWARD {
                    return None;
                }
                unit = next;
            }
        }
        Some(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_are_rounded_up() {
        let big = (1u64 << 53) as f64;
        assert_eq!(add_up(big, 1.0), big + 2.0);
        assert_eq!(add_up(8.0, 8.0), 16.0);
        assert_eq!(add_up(big, -1.0), big - 1.0);
        let odd = big - 1.0;
        assert!(mul_up(odd, odd) >= odd * odd);
        assert_eq!(mul_up(8.0, 64.0), 512.0);
        // (2^53 - 1)^2 = 2^106 - 2^54 + 1: the nearest double is below.
        assert_eq!(mul_up(odd, odd), (odd * odd).next_up());
        for bound in [1.0, 1.25, 1.5, 1.75, 2.0, 320.0, 0.0] {
            assert_eq!(coarse(bound), bound);
        }
        assert_eq!((coarse(322.0), coarse(323.0)), (384.0, 384.0));
        assert_eq!(coarse(1.76), 2.0);
        assert_eq!(coarse(2f64.next_up()), 2.5);
        assert_eq!(modulus_down(&[u64::MAX; 100]), 1e300 / OUTWARD);
        assert!(modulus_down(&[3, 5]) <= 15.0);
    }

    /// The sizes of the module page at N = 2^13, recomputed by hand.
    #[test]
    fn bounds_at_8192() {
        let noise = Noise::new(8192, 1 << 20);
        let s = 4.0 * (8192.0f64 * 2.0 / 3.0).sqrt();
        assert!((s - 295.6).abs() < 0.1);
        assert!((noise.rounding() - 4096.0 * (1.0 + s)).abs() < 1.0);
        assert_eq!(noise.fresh_secret(), 21.5 * 8192.0);
        assert!((tail(8192) - 11.26).abs() < 0.01, "{}", tail(8192));
        let product = noise.product(2f64.powi(100), 1.0, 1.0, 0.0);
        assert!((product / (2f64.powi(21) * noise.rounding()) - 1.0).abs() < 1e-9);
        assert!((noise.limit(2f64.powi(40)) - 2f64.powi(19)).abs() < 1.0);
    }
}
