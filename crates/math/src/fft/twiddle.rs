//! Roots of unity, rounded from double-double arithmetic.

/// An unevaluated sum of two doubles with `|lo| <= ulp(hi) / 2`.
#[derive(Clone, Copy)]
struct Double {
    hi: f64,
    lo: f64,
}

impl Double {
    const PI: Self = Self {
        hi: std::f64::consts::PI,
        lo: 1.224_646_799_147_353_2e-16,
    };
    const ONE: Self = Self { hi: 1.0, lo: 0.0 };
    const ZERO: Self = Self { hi: 0.0, lo: 0.0 };

    fn from_sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let t = hi - a;
        Self {
            hi,
            lo: (a - (hi - t)) + (b - t),
        }
    }
    fn add(self, other: Self) -> Self {
        let s = Self::from_sum(self.hi, other.hi);
        Self::from_sum(s.hi, s.lo + (self.lo + other.lo))
    }
    fn neg(self) -> Self {
        Self {
            hi: -self.hi,
            lo: -self.lo,
        }
    }
    fn mul(self, other: Self) -> Self {
        let h = self.hi * other.hi;
        let l = self.hi.mul_add(other.hi, -h) + (self.hi * other.lo + self.lo * other.hi);
        Self::from_sum(h, l)
    }
    fn div(self, d: f64) -> Self {
        let q = self.hi / d;
        Self::from_sum(q, ((-q).mul_add(d, self.hi) + self.lo) / d)
    }
}

/// Cosine and sine of `2 pi k / 2^log_m` for `8 k <= 2^log_m`, by Taylor series: 14 terms reach 2^-106 at `pi / 4`.
fn octant_root(k: usize, log_m: u32) -> (Double, Double) {
    // At most 2^16, and a division by a power of two: both exact.
    let fraction = k as f64 / (1u64 << (log_m - 1)) as f64;
    let x = Double::PI.mul(Double {
        hi: fraction,
        lo: 0.0,
    });
    let square = x.mul(x).neg();
    let (mut cos, mut sin) = (Double::ZERO, Double::ZERO);
    let (mut c, mut s) = (Double::ONE, x);
    for i in 1..=14 {
        (cos, sin) = (cos.add(c), sin.add(s));
        let even = (2 * i) as f64;
        c = c.mul(square).div(even * (even - 1.0));
        s = s.mul(square).div(even * (even + 1.0));
    }
    (cos, sin)
}

/// All `2^log_m`-th roots of unity: the first octant as a table of rounded cosines and sines, the rest by symmetry.
struct Roots {
    log_m: u32,
    octant: Vec<(f64, f64)>,
}

impl Roots {
    fn new(log_m: u32) -> Self {
        let count = (1usize << log_m) / 8;
        // k = a * step + b, so that only about 2 sqrt(count) series are summed.
        let step = 1usize << (log_m / 2);
        let fine: Vec<_> = (0..step.min(count + 1))
            .map(|b| octant_root(b, log_m))
            .collect();
        let coarse: Vec<_> = (0..=count / step)
            .map(|a| octant_root(a * step, log_m))
            .collect();
        let octant = (0..=count)
            .map(|k| {
                let ((c, s), (c1, s1)) = (coarse[k / step], fine[k % step]);
                (
                    c.mul(c1).add(s.mul(s1).neg()).hi,
                    s.mul(c1).add(c.mul(s1)).hi,
                )
            })
            .collect();
        Self { log_m, octant }
    }

    /// `exp(2 pi i e / 2^log_m)`.
    fn get(&self, e: usize) -> (f64, f64) {
        let m = 1usize << self.log_m;
        let e = e % m;
        let (quarter, rest) = (e / (m / 4), e % (m / 4));
        let (c, s) = if rest <= m / 8 {
            self.octant[rest]
        } else {
            let (c, s) = self.octant[m / 4 - rest];
            (s, c)
        };
        match quarter {
            0 => (c, s),
            1 => (-s, c),
            2 => (-c, -s),
            _ => (s, -c),
        }
    }
}

/// `w(d, b) = exp(2 pi i 5^rev(b) / 2^(d+3))` at `2^d + b`, real and imaginary parts; entry 0 is unused.
pub(super) fn table(log_n: u32) -> (Vec<f64>, Vec<f64>) {
    let n = 1usize << log_n;
    let log_m = (log_n + 2).max(3);
    let roots = Roots::new(log_m);
    let (mut re, mut im) = (vec![0.0; n], vec![0.0; n]);
    for d in 0..log_n {
        let (blocks, mask) = (1usize << d, (1usize << (d + 3)) - 1);
        let mut power = 1;
        for k in 0..blocks {
            let b = if d == 0 {
                0
            } else {
                k.reverse_bits() >> (usize::BITS - d)
            };
            (re[blocks + b], im[blocks + b]) = roots.get(power << (log_m - d - 3));
            power = (power * 5) & mask;
        }
    }
    (re, im)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_rounded_to_the_last_bit() {
        for log_m in [3u32, 4, 5, 10, 15, 18] {
            let roots = Roots::new(log_m);
            let m = 1usize << log_m;
            for e in (0..m).step_by(1 + m / 4099) {
                let (c, s) = roots.get(e);
                // Half an ulp each: 2^-54 relative to a component; the product error of the check itself is 2^-52.
                assert!((c * c + s * s - 1.0).abs() < 4.5e-16, "{e}/{m}");
                let angle = e as f64 / m as f64 * std::f64::consts::TAU;
                assert!(
                    (c - angle.cos()).abs() < 1e-15 && (s - angle.sin()).abs() < 1e-15,
                    "{e}/{m}"
                );
                assert_eq!(roots.get(m - e), (c, -s));
            }
        }
        let eighth = Roots::new(3).get(1);
        assert_eq!(
            eighth,
            (
                std::f64::consts::FRAC_1_SQRT_2,
                std::f64::consts::FRAC_1_SQRT_2
            )
        );
        // From 60-digit arithmetic: cos and sin of 2 pi 12345 / 2^18.
        let (c, s) = Roots::new(18).get(12345);
        assert_eq!((c, s), (GOLDEN.0, GOLDEN.1));
    }

    const GOLDEN: (f64, f64) = (0.9565428553859383, 0.2915917793939258);

    #[test]
    fn layers_split_their_ring() {
        let (re, im) = table(12);
        for d in 0..11 {
            for b in 0..1usize << d {
                let (w, lower, upper) = ((1 << d) + b, (2 << d) + 2 * b, (2 << d) + 2 * b + 1);
                let square = (
                    re[lower] * re[lower] - im[lower] * im[lower],
                    2.0 * re[lower] * im[lower],
                );
                assert!((square.0 - re[w]).abs() < 1e-15 && (square.1 - im[w]).abs() < 1e-15);
                let turned = if d == 0 {
                    (-im[lower], re[lower])
                } else {
                    (im[lower], -re[lower])
                };
                assert_eq!((re[upper], im[upper]), turned, "layer {d}, block {b}");
            }
        }
    }
}
