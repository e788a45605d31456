//! Four lanes, two layers a pass, fused multiply-add; the bit reversal is part of the last two layers.

use super::Tables;
use std::arch::x86_64::*;

/// Smaller transforms take the scalar path: the tiles below need 2^8 slots.
pub(super) const MIN_LOG_N: u32 = 8;
/// Blocks of 2^10 slots (16 KB) stay in the first-level cache for all their layers.
const CACHED_LOG: u32 = 10;

/// Bit reversal of two bits.
const REV2: [usize; 4] = [0, 2, 1, 3];

/// The factors of the last two layers, in the order in which the tiles use them.
///
/// Before these layers, index bits are `[h1 2][h2 2][mid][b 2][k 2]`, with a block of four for every value of the upper
/// bits. A tile is one `mid`: 16 rows `[h1 h2]` of 16 elements `[b k]`. Lane `l` of a vector has `h1 = rev(l)`, and the
/// vectors of one `(mid, h2, b)` are the real and imaginary parts of `w(log_n - 2, block)` and `w(log_n - 1, 2 block)`.
pub(super) fn pack_last(log_n: u32, re: &[f64], im: &[f64]) -> Vec<f64> {
    if log_n < MIN_LOG_N {
        return Vec::new();
    }
    let n = 1usize << log_n;
    let mut out = Vec::with_capacity(n);
    for mid in 0..n / 256 {
        for (h2, b) in (0..16).map(|i| (i / 4, i % 4)) {
            let block = |l: usize| (REV2[l] * 4 + h2) * (n / 64) + mid * 4 + b;
            for (first, table) in [(true, re), (true, im), (false, re), (false, im)] {
                out.extend((0..4).map(|l| {
                    if first {
                        table[n / 4 + block(l)]
                    } else {
                        table[n / 2 + 2 * block(l)]
                    }
                }));
            }
        }
    }
    out
}

/// The first layer of the blocks that stay in cache, an even number of layers before the last two.
fn cached_layer(log_n: u32) -> u32 {
    let mut d = log_n % 2;
    while log_n - d > CACHED_LOG {
        d += 2;
    }
    d
}

/// # Safety
/// AVX2 and FMA; `re` and `im` have `2^log_n` elements, `log_n >= MIN_LOG_N`, and `tables` is for AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn to_slots(tables: &Tables, re: &mut [f64], im: &mut [f64]) {
    let log_n = tables.log_n;
    let (r, i) = (re.as_mut_ptr(), im.as_mut_ptr());
    let mut d = 0;
    // SAFETY: the caller's conditions; blocks `b < 2^d` of `n / 2^d` elements tile the arrays, and the first layers
    // stop at `log_n - 2`, as their loops require.
    unsafe {
        if log_n % 2 == 1 {
            forward_two(tables, r, i);
            d = 1;
        }
        let cached = cached_layer(log_n);
        while d < cached {
            for b in 0..1 << d {
                forward_four(tables, d, b, r, i);
            }
            d += 2;
        }
        for outer in 0..1usize << cached {
            let mut inner = cached;
            while inner < log_n - 2 {
                let count = 1usize << (inner - cached);
                for b in outer * count..(outer + 1) * count {
                    forward_four(tables, inner, b, r, i);
                }
                inner += 2;
            }
        }
        tiles::<true>(tables, r, i);
    }
}

/// # Safety
/// As [`to_slots`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn to_coefficients(tables: &Tables, re: &mut [f64], im: &mut [f64]) {
    let log_n = tables.log_n;
    let (r, i) = (re.as_mut_ptr(), im.as_mut_ptr());
    let odd = log_n % 2;
    let cached = cached_layer(log_n);
    // SAFETY: as in `to_slots`.
    unsafe {
        tiles::<false>(tables, r, i);
        for outer in 0..1usize << cached {
            let mut inner = log_n - 2;
            while inner > cached {
                inner -= 2;
                let count = 1usize << (inner - cached);
                for b in outer * count..(outer + 1) * count {
                    backward_four(tables, inner, b, r, i);
                }
            }
        }
        let mut d = cached;
        while d > odd {
            d -= 2;
            for b in 0..1 << d {
                backward_four(tables, d, b, r, i);
            }
        }
        if odd == 1 {
            backward_two(tables, r, i);
        }
    }
}

/// Real and imaginary parts of four numbers.
#[derive(Clone, Copy)]
struct Complex {
    re: __m256d,
    im: __m256d,
}

impl Complex {
    #[target_feature(enable = "avx2,fma")]
    fn add(self, o: Self) -> Self {
        Self {
            re: _mm256_add_pd(self.re, o.re),
            im: _mm256_add_pd(self.im, o.im),
        }
    }
    #[target_feature(enable = "avx2,fma")]
    fn sub(self, o: Self) -> Self {
        Self {
            re: _mm256_sub_pd(self.re, o.re),
            im: _mm256_sub_pd(self.im, o.im),
        }
    }
    /// `self + i o`.
    #[target_feature(enable = "avx2,fma")]
    fn add_i(self, o: Self) -> Self {
        Self {
            re: _mm256_sub_pd(self.re, o.im),
            im: _mm256_add_pd(self.im, o.re),
        }
    }
    /// `self - i o`.
    #[target_feature(enable = "avx2,fma")]
    fn sub_i(self, o: Self) -> Self {
        Self {
            re: _mm256_add_pd(self.re, o.im),
            im: _mm256_sub_pd(self.im, o.re),
        }
    }
    #[target_feature(enable = "avx2,fma")]
    fn mul(self, o: Self) -> Self {
        Self {
            re: _mm256_fnmadd_pd(self.im, o.im, _mm256_mul_pd(self.re, o.re)),
            im: _mm256_fmadd_pd(self.im, o.re, _mm256_mul_pd(self.re, o.im)),
        }
    }
    /// `conj(self) * o`.
    #[target_feature(enable = "avx2,fma")]
    fn conj_mul(self, o: Self) -> Self {
        Self {
            re: _mm256_fmadd_pd(self.im, o.im, _mm256_mul_pd(self.re, o.re)),
            im: _mm256_fnmadd_pd(self.im, o.re, _mm256_mul_pd(self.re, o.im)),
        }
    }
    #[target_feature(enable = "avx2,fma")]
    fn scale(self, s: __m256d) -> Self {
        Self {
            re: _mm256_mul_pd(self.re, s),
            im: _mm256_mul_pd(self.im, s),
        }
    }
    /// # Safety
    /// Four elements are readable at both pointers.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(re: *const f64, im: *const f64) -> Self {
        // SAFETY: the caller's condition.
        unsafe {
            Self {
                re: _mm256_loadu_pd(re),
                im: _mm256_loadu_pd(im),
            }
        }
    }
    /// # Safety
    /// Four elements are writable at both pointers.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store(self, re: *mut f64, im: *mut f64) {
        // SAFETY: the caller's condition.
        unsafe {
            _mm256_storeu_pd(re, self.re);
            _mm256_storeu_pd(im, self.im);
        }
    }
    #[target_feature(enable = "avx2,fma")]
    fn splat(tables: &Tables, index: usize) -> Self {
        Self {
            re: _mm256_set1_pd(tables.re[index]),
            im: _mm256_set1_pd(tables.im[index]),
        }
    }
}

/// Two layers on four numbers; the factor of the upper half is `-i w2`.
#[target_feature(enable = "avx2,fma")]
fn forward_kernel(x: [Complex; 4], w1: Complex, w2: Complex) -> [Complex; 4] {
    let (y2, y3) = (w1.mul(x[2]), w1.mul(x[3]));
    let (a, b, c, d) = (x[0].add(y2), x[0].sub(y2), x[1].add(y3), x[1].sub(y3));
    let (c, d) = (w2.mul(c), w2.mul(d));
    [a.add(c), a.sub(c), b.sub_i(d), b.add_i(d)]
}

/// Four times the inverse of [`forward_kernel`].
#[target_feature(enable = "avx2,fma")]
fn backward_kernel(y: [Complex; 4], w1: Complex, w2: Complex) -> [Complex; 4] {
    let (a, c) = (y[0].add(y[1]), w2.conj_mul(y[0].sub(y[1])));
    let (b, d) = (y[2].add(y[3]), w2.conj_mul(y[2].sub(y[3])));
    [
        a.add(b),
        c.add_i(d),
        w1.conj_mul(a.sub(b)),
        w1.conj_mul(c.sub_i(d)),
    ]
}

/// Layer 0 alone.
///
/// # Safety
/// AVX2 and FMA; `2^log_n >= 8` elements at `r` and `i`.
#[target_feature(enable = "avx2,fma")]
unsafe fn forward_two(tables: &Tables, r: *mut f64, i: *mut f64) {
    let t = 1usize << (tables.log_n - 1);
    let w = Complex::splat(tables, 1);
    for j in (0..t).step_by(4) {
        // SAFETY: `j + 4 <= t`, half of the elements.
        unsafe {
            let x = Complex::load(r.add(j), i.add(j));
            let y = w.mul(Complex::load(r.add(j + t), i.add(j + t)));
            x.add(y).store(r.add(j), i.add(j));
            x.sub(y).store(r.add(j + t), i.add(j + t));
        }
    }
}

/// Twice the inverse of [`forward_two`].
///
/// # Safety
/// As [`forward_two`].
#[target_feature(enable = "avx2,fma")]
unsafe fn backward_two(tables: &Tables, r: *mut f64, i: *mut f64) {
    let t = 1usize << (tables.log_n - 1);
    let w = Complex::splat(tables, 1);
    for j in (0..t).step_by(4) {
        // SAFETY: `j + 4 <= t`, half of the elements.
        unsafe {
            let (x, y) = (
                Complex::load(r.add(j), i.add(j)),
                Complex::load(r.add(j + t), i.add(j + t)),
            );
            x.add(y).store(r.add(j), i.add(j));
            w.conj_mul(x.sub(y)).store(r.add(j + t), i.add(j + t));
        }
    }
}

/// Layers `d` and `d + 1` of block `b`.
///
/// # Safety
/// AVX2 and FMA; `2^log_n` elements at `r` and `i`, `d <= log_n - 4`, `b < 2^d`.
#[target_feature(enable = "avx2,fma")]
unsafe fn forward_four(tables: &Tables, d: u32, b: usize, r: *mut f64, i: *mut f64) {
    let q = 1usize << (tables.log_n - d - 2);
    let (w1, w2) = (
        Complex::splat(tables, (1 << d) + b),
        Complex::splat(tables, (2 << d) + 2 * b),
    );
    // In layer 0 the upper factor is +i w2: its two results change places.
    let (s2, s3) = if d == 0 {
        (3 * q, 2 * q)
    } else {
        (2 * q, 3 * q)
    };
    for j in (4 * q * b..4 * q * b + q).step_by(4) {
        // SAFETY: `q` is a multiple of 4, and `j + 3 q + 4 <= 4 q (b + 1) <= n`.
        unsafe {
            let at = |k: usize| Complex::load(r.add(j + k * q), i.add(j + k * q));
            let y = forward_kernel([at(0), at(1), at(2), at(3)], w1, w2);
            y[0].store(r.add(j), i.add(j));
            y[1].store(r.add(j + q), i.add(j + q));
            y[2].store(r.add(j + s2), i.add(j + s2));
            y[3].store(r.add(j + s3), i.add(j + s3));
        }
    }
}

/// Four times the inverse of [`forward_four`].
///
/// # Safety
/// As [`forward_four`].
#[target_feature(enable = "avx2,fma")]
unsafe fn backward_four(tables: &Tables, d: u32, b: usize, r: *mut f64, i: *mut f64) {
    let q = 1usize << (tables.log_n - d - 2);
    let (w1, w2) = (
        Complex::splat(tables, (1 << d) + b),
        Complex::splat(tables, (2 << d) + 2 * b),
    );
    let (s2, s3) = if d == 0 {
        (3 * q, 2 * q)
    } else {
        (2 * q, 3 * q)
    };
    for j in (4 * q * b..4 * q * b + q).step_by(4) {
        // SAFETY: as in `forward_four`.
        unsafe {
            let at = |k: usize| Complex::load(r.add(j + k), i.add(j + k));
            let x = backward_kernel([at(0), at(q), at(s2), at(s3)], w1, w2);
            for (k, x) in x.into_iter().enumerate() {
                x.store(r.add(j + k * q), i.add(j + k * q));
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn transpose(x: [__m256d; 4]) -> [__m256d; 4] {
    let (a, b) = (
        _mm256_unpacklo_pd(x[0], x[1]),
        _mm256_unpackhi_pd(x[0], x[1]),
    );
    let (c, d) = (
        _mm256_unpacklo_pd(x[2], x[3]),
        _mm256_unpackhi_pd(x[2], x[3]),
    );
    [
        _mm256_permute2f128_pd::<0x20>(a, c),
        _mm256_permute2f128_pd::<0x20>(b, d),
        _mm256_permute2f128_pd::<0x31>(a, c),
        _mm256_permute2f128_pd::<0x31>(b, d),
    ]
}

#[target_feature(enable = "avx2,fma")]
fn transpose_complex(x: [Complex; 4]) -> [Complex; 4] {
    let re = transpose(x.map(|x| x.re));
    let im = transpose(x.map(|x| x.im));
    [0, 1, 2, 3].map(|k| Complex {
        re: re[k],
        im: im[k],
    })
}

/// A tile of 16 x 16 numbers.
#[repr(align(64))]
struct Tile {
    re: [f64; 256],
    im: [f64; 256],
}

/// The last two layers with the bit reversal after them, or their inverse (with the factor `1 / n` of the whole inverse
/// transform) with the bit reversal before it. The result of tile `mid` belongs in tile `rev(mid)`.
///
/// # Safety
/// AVX2 and FMA; `2^log_n` elements at `r` and `i`, `log_n >= MIN_LOG_N`, and `tables` is for AVX2.
#[target_feature(enable = "avx2,fma")]
unsafe fn tiles<const FORWARD: bool>(tables: &Tables, r: *mut f64, i: *mut f64) {
    let stride = 1usize << (tables.log_n - 4);
    let mids = stride / 16;
    assert_eq!(tables.last.len(), 256 * mids);
    let mut a = Tile {
        re: [0.0; 256],
        im: [0.0; 256],
    };
    let mut b = Tile {
        re: [0.0; 256],
        im: [0.0; 256],
    };
    for mid in 0..mids {
        let rev = if mids == 1 {
            0
        } else {
            mid.reverse_bits() >> (mids.leading_zeros() + 1)
        };
        if rev < mid {
            continue;
        }
        // SAFETY: 16 rows of 16 elements at distance `stride` from `16 mid`, `mid < stride / 16`, lie in the
        // `16 stride` elements; the factors of a tile are 256 from `256 mid`.
        unsafe {
            // The factors belong to the tile on the side of the coefficients.
            let (of_mid, of_rev) = if FORWARD { (mid, rev) } else { (rev, mid) };
            let tables = tables.last.as_ptr();
            tile::<FORWARD>(
                r.add(16 * mid),
                i.add(16 * mid),
                stride,
                tables.add(256 * of_mid),
                &mut a,
            );
            if rev != mid {
                tile::<FORWARD>(
                    r.add(16 * rev),
                    i.add(16 * rev),
                    stride,
                    tables.add(256 * of_rev),
                    &mut b,
                );
                write_tile(&b, r.add(16 * mid), i.add(16 * mid), stride);
            }
            write_tile(&a, r.add(16 * rev), i.add(16 * rev), stride);
        }
    }
}

/// # Safety
/// AVX2 and FMA; 16 rows of 16 readable elements at `r` and `i`; 256 factors at `w`.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const FORWARD: bool>(
    r: *const f64,
    i: *const f64,
    stride: usize,
    w: *const f64,
    out: &mut Tile,
) {
    let (or, oi) = (out.re.as_mut_ptr(), out.im.as_mut_ptr());
    let scale = _mm256_set1_pd(1.0 / (16 * stride) as f64);
    for (h2, b) in (0..16).map(|x| (x / 4, x % 4)) {
        // SAFETY: rows and columns below are less than 16, columns multiples of 4; factors: 16 at a time, 16 times.
        unsafe {
            let w = w.add(16 * (4 * h2 + b));
            let (w1, w2) = (
                Complex::load(w, w.add(4)),
                Complex::load(w.add(8), w.add(12)),
            );
            let coefficients = |l: usize| (REV2[l] * 4 + h2, 4 * b);
            let slots = |k: usize| (REV2[k] * 4 + REV2[b], 4 * REV2[h2]);
            let load = |(row, column): (usize, usize)| {
                Complex::load(r.add(row * stride + column), i.add(row * stride + column))
            };
            if FORWARD {
                let x = transpose_complex([0, 1, 2, 3].map(|l| load(coefficients(l))));
                for (k, y) in forward_kernel(x, w1, w2).into_iter().enumerate() {
                    let (row, column) = slots(k);
                    y.store(or.add(16 * row + column), oi.add(16 * row + column));
                }
            } else {
                let y = [0, 1, 2, 3].map(|k| load(slots(k)).scale(scale));
                for (l, x) in transpose_complex(backward_kernel(y, w1, w2))
                    .into_iter()
                    .enumerate()
                {
                    let (row, column) = coefficients(l);
                    x.store(or.add(16 * row + column), oi.add(16 * row + column));
                }
            }
        }
    }
}

/// # Safety
/// 16 rows of 16 writable elements at `r` and `i`.
#[target_feature(enable = "avx2,fma")]
unsafe fn write_tile(tile: &Tile, r: *mut f64, i: *mut f64, stride: usize) {
    for (row, (re, im)) in tile
        .re
        .as_chunks::<16>()
        .0
        .iter()
        .zip(tile.im.as_chunks::<16>().0)
        .enumerate()
    {
        // SAFETY: the caller's condition; the tile is not part of the arrays.
        unsafe {
            std::ptr::copy_nonoverlapping(re.as_ptr(), r.add(row * stride), 16);
            std::ptr::copy_nonoverlapping(im.as_ptr(), i.add(row * stride), 16);
        }
    }
}
