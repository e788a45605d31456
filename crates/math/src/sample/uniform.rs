//! Uniform residues from a public seed.

use crate::backend::{Backend, Kind};
use crate::modulus::Modulus;
use rand::{CryptoRng, Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A public 256-bit seed of uniform residues, sent in place of the residues.
///
/// Never a source of secrets: whoever holds it knows all that it expands to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A fresh seed.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
    /// The seed that was written as `bytes`.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The bytes to write.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Fills `out` with residues that are exactly uniform in `0..p`.
///
/// The definition, the same on every platform and backend: the ChaCha20 key stream under key `seed` with the 64-bit
/// nonce `stream` and a 64-bit block counter from 0, read as little-endian 64-bit words; of each word the low
/// `bits(p - 1)` bits; those that are below `p`, in order. At most two words are needed per residue on average.
///
/// Running time depends on the seed, which is public.
pub fn uniform_residues(seed: &Seed, stream: u64, modulus: &Modulus, out: &mut [f64]) {
    uniform_residues_with(Backend::detect(), seed, stream, modulus, out);
}

/// As [`uniform_residues`], on the given backend.
pub fn uniform_residues_with(
    backend: Backend,
    seed: &Seed,
    stream: u64,
    modulus: &Modulus,
    out: &mut [f64],
) {
    match backend.kind() {
        // SAFETY: `Kind::Avx2` is proof of AVX2.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2::uniform(&seed.0, stream, modulus.value(), out) },
        Kind::Scalar => uniform(&seed.0, stream, modulus.value(), out),
    }
}

/// Mask of the bits that a residue can have.
fn mask(p: u64) -> u64 {
    u64::MAX >> (p - 1).leading_zeros()
}

/// Moves as many of the `count` accepted values as fit to the front of `rest`; returns what is left to fill.
fn take<'a>(accepted: &[f64], rest: &'a mut [f64]) -> &'a mut [f64] {
    let (head, tail) = rest.split_at_mut(accepted.len().min(rest.len()));
    head.copy_from_slice(&accepted[..head.len()]);
    tail
}

fn uniform(seed: &[u8; 32], stream: u64, p: u64, out: &mut [f64]) {
    const BYTES: usize = 2048;
    let mask = mask(p);
    let mut rng = ChaCha20Rng::from_seed(*seed);
    rng.set_stream(stream);
    let mut bytes = [0u8; BYTES];
    // One place more than a buffer can yield: a rejected word is overwritten, without a branch.
    let mut accepted = [0f64; BYTES / 8 + 1];
    let mut rest = out;
    while !rest.is_empty() {
        rng.fill_bytes(&mut bytes);
        let mut count = 0;
        for word in bytes.as_chunks::<8>().0 {
            let x = u64::from_le_bytes(*word) & mask;
            accepted[count] = x as i64 as f64;
            count += usize::from(x < p);
        }
        rest = take(&accepted[..count], rest);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{mask, take};
    use std::arch::x86_64::*;

    /// Blocks of the key stream that are computed at once, one in each 32-bit lane.
    const BLOCKS: usize = 8;
    /// 64-bit words of these.
    const WORDS: usize = 8 * BLOCKS;

    /// The key stream of [`BLOCKS`] blocks.
    #[repr(align(32))]
    struct Stream([u64; WORDS]);

    #[target_feature(enable = "avx2")]
    pub(super) fn uniform(seed: &[u8; 32], stream: u64, p: u64, out: &mut [f64]) {
        let mut words = Stream([0; WORDS]);
        // A whole vector is stored at a time: up to three values too many.
        let mut accepted = [0f64; WORDS + 4];
        let mut rest = out;
        let mut counter = 0;
        while !rest.is_empty() {
            key_stream(seed, stream, counter, &mut words);
            counter += BLOCKS as u64;
            let count = accept(&words, p, &mut accepted);
            rest = take(&accepted[..count], rest);
        }
    }

    /// For each set of accepted lanes, the permutation of 32-bit halves that moves them to the front.
    const COMPRESS: [[i32; 8]; 16] = {
        let mut table = [[0; 8]; 16];
        let mut set = 0;
        while set < 16 {
            let (mut lane, mut to) = (0, 0);
            while lane < 4 {
                if set >> lane & 1 == 1 {
                    table[set][2 * to] = 2 * lane;
                    table[set][2 * to + 1] = 2 * lane + 1;
                    to += 1;
                }
                lane += 1;
            }
            set += 1;
        }
        table
    };

    /// The masked words below `p`, as doubles; returns their number.
    #[target_feature(enable = "avx2")]
    fn accept(words: &Stream, p: u64, accepted: &mut [f64; WORDS + 4]) -> usize {
        // An integer below 2^52 in the mantissa of 2^52 is that number, plus 2^52.
        let exponent = _mm256_set1_pd((1u64 << 52) as f64);
        let (limit, mask) = (
            _mm256_set1_epi64x(p as i64),
            _mm256_set1_epi64x(mask(p) as i64),
        );
        let mut count = 0;
        for words in words.0.as_chunks::<4>().0 {
            // SAFETY: four words.
            let x = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
            let x = _mm256_and_si256(x, mask);
            let set = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, x)));
            // SAFETY: a row of the table has eight 32-bit integers, and the mask has four bits.
            let order = unsafe { _mm256_loadu_si256(COMPRESS[set as usize].as_ptr().cast()) };
            let x = _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(x, order));
            let x = _mm256_sub_pd(_mm256_or_pd(x, exponent), exponent);
            let place = &mut accepted[count..count + 4];
            // SAFETY: four places.
            unsafe { _mm256_storeu_pd(place.as_mut_ptr(), x) };
            // The number of bits, without the instruction, which AVX2 does not promise.
            count += (0x4332_3221_3221_2110u64 >> (4 * set) & 15) as usize;
        }
        count
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
    }

    /// Rotation by a number of bytes: `order` are the positions in a word.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate_bytes(x: __m256i, order: [i8; 4]) -> __m256i {
        let word = i32::from_le_bytes(order.map(|i| i as u8));
        let words = _mm_setr_epi32(
            word,
            word + 0x0404_0404,
            word + 0x0808_0808,
            word + 0x0c0c_0c0c,
        );
        _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(words))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn quarter_round(x: &mut [__m256i; 16], a: usize, b: usize, c: usize, d: usize) {
        x[a] = _mm256_add_epi32(x[a], x[b]);
        x[d] = rotate_bytes(_mm256_xor_si256(x[d], x[a]), [2, 3, 0, 1]);
        x[c] = _mm256_add_epi32(x[c], x[d]);
        x[b] = rotate::<12, 20>(_mm256_xor_si256(x[b], x[c]));
        x[a] = _mm256_add_epi32(x[a], x[b]);
        x[d] = rotate_bytes(_mm256_xor_si256(x[d], x[a]), [3, 0, 1, 2]);
        x[c] = _mm256_add_epi32(x[c], x[d]);
        x[b] = rotate::<7, 25>(_mm256_xor_si256(x[b], x[c]));
    }

    /// ChaCha20 with a 64-bit counter and a 64-bit nonce: the blocks `counter..counter + 8`.
    #[target_feature(enable = "avx2")]
    fn key_stream(key: &[u8; 32], nonce: u64, counter: u64, out: &mut Stream) {
        const CONSTANTS: [u8; 16] = *b"expand 32-byte k";
        let mut state = [_mm256_setzero_si256(); 16];
        let fixed = CONSTANTS
            .as_chunks::<4>()
            .0
            .iter()
            .chain(key.as_chunks::<4>().0);
        for (x, word) in state.iter_mut().zip(fixed) {
            *x = _mm256_set1_epi32(i32::from_le_bytes(*word));
        }
        let counters: [u64; BLOCKS] = std::array::from_fn(|i| counter.wrapping_add(i as u64));
        // SAFETY: eight 32-bit integers each.
        unsafe {
            state[12] = _mm256_loadu_si256(counters.map(|c| c as u32).as_ptr().cast());
            state[13] = _mm256_loadu_si256(counters.map(|c| (c >> 32) as u32).as_ptr().cast());
        }
        state[14] = _mm256_set1_epi32(nonce as i32);
        state[15] = _mm256_set1_epi32((nonce >> 32) as i32);
        let mut x = state;
        for _ in 0..10 {
            for i in 0..4 {
                quarter_round(&mut x, i, 4 + i, 8 + i, 12 + i);
            }
            for i in 0..4 {
                quarter_round(
                    &mut x,
                    i,
                    4 + (i + 1) % 4,
                    8 + (i + 2) % 4,
                    12 + (i + 3) % 4,
                );
            }
        }
        for half in 0..2 {
            let words: [__m256i; 8] =
                std::array::from_fn(|i| _mm256_add_epi32(x[8 * half + i], state[8 * half + i]));
            for (block, row) in transpose(words).into_iter().enumerate() {
                let place = &mut out.0[8 * block + 4 * half..][..4];
                // SAFETY: four 64-bit words.
                unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), row) };
            }
        }
    }

    /// Lane `j` of vector `i` to lane `i` of vector `j`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose(x: [__m256i; 8]) -> [__m256i; 8] {
        // Within 128-bit halves: pairs of words, then pairs of pairs.
        let pairs = |a: usize| {
            let (l, h) = (
                _mm256_unpacklo_epi32(x[a], x[a + 1]),
                _mm256_unpackhi_epi32(x[a], x[a + 1]),
            );
            let (m, n) = (
                _mm256_unpacklo_epi32(x[a + 2], x[a + 3]),
                _mm256_unpackhi_epi32(x[a + 2], x[a + 3]),
            );
            [
                _mm256_unpacklo_epi64(l, m),
                _mm256_unpackhi_epi64(l, m),
                _mm256_unpacklo_epi64(h, n),
                _mm256_unpackhi_epi64(h, n),
            ]
        };
        let (low, high) = (pairs(0), pairs(4));
        std::array::from_fn(|j| {
            if j < 4 {
                _mm256_permute2x128_si256::<0x20>(low[j], high[j])
            } else {
                _mm256_permute2x128_si256::<0x31>(low[j - 4], high[j - 4])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(backend: Backend, seed: &Seed, stream: u64, p: u64, count: usize) -> Vec<f64> {
        let mut out = vec![f64::NAN; count];
        uniform_residues_with(backend, seed, stream, &Modulus::new(p).unwrap(), &mut out);
        out
    }

    const PRIMES: [u64; 6] = [
        3,
        12289,
        65537,
        1_073_479_681,
        562_949_953_421_381,
        1_125_899_904_679_937,
    ];

    #[test]
    fn follows_its_definition() {
        for backend in Backend::all() {
            for p in PRIMES {
                let bits = 64 - (p - 1).leading_zeros();
                for (stream, count) in [(0, 3000), (1, 1), (2, 63), (3, 64), (u64::MAX, 257)] {
                    let seed = Seed::from_bytes(std::array::from_fn(|i| (i as u64 * p) as u8));
                    let mut rng = ChaCha20Rng::from_seed(*seed.as_bytes());
                    rng.set_stream(stream);
                    for x in expand(backend, &seed, stream, p, count) {
                        let expected = loop {
                            let word = rng.next_u64() & ((1 << bits) - 1);
                            if word < p {
                                break word;
                            }
                        };
                        assert_eq!(x, expected as f64, "{} {p}", backend.name());
                    }
                }
            }
        }
    }

    /// Values from an independent implementation of ChaCha20.
    #[test]
    fn golden() {
        let seed = Seed::from_bytes(std::array::from_fn(|i| i as u8));
        for backend in Backend::all() {
            let out = expand(backend, &seed, 3, 1_125_899_904_679_937, 4);
            assert_eq!(
                out,
                [
                    1107865209240169.0,
                    2153747558561.0,
                    414628292012511.0,
                    592172206274529.0
                ]
            );
        }
    }

    #[test]
    fn prefixes_agree_and_streams_differ() {
        let seed = Seed::generate(&mut ChaCha20Rng::from_seed([7; 32]));
        for backend in Backend::all() {
            let long = expand(backend, &seed, 5, 1_073_479_681, 2000);
            let short = expand(backend, &seed, 5, 1_073_479_681, 77);
            let other = expand(backend, &seed, 6, 1_073_479_681, 77);
            assert_eq!(long[..77], short[..]);
            assert!(short.iter().zip(&other).filter(|(a, b)| a == b).count() < 2);
        }
        assert_ne!(seed, Seed::from_bytes([7; 32]));
    }

    #[test]
    fn is_uniform() {
        let seed = Seed::from_bytes([9; 32]);
        for backend in Backend::all() {
            let p = 12289;
            let n = 500_000;
            let out = expand(backend, &seed, 0, p, n);
            // Chi-square on 16 cells of equal size.
            let mut counts = [0f64; 16];
            for &x in &out {
                assert!(x >= 0.0 && x < p as f64 && x.fract() == 0.0);
                counts[(x * 16.0 / p as f64) as usize] += 1.0;
            }
            let expected = n as f64 / 16.0;
            let chi2: f64 = counts
                .iter()
                .map(|c| (c - expected).powi(2) / expected)
                .sum();
            // 15 degrees of freedom, six standard deviations; cells differ in size by 1 in 768.
            assert!(
                chi2 < 15.0 + 6.0 * 30f64.sqrt() + n as f64 / 16.0 * 16.0 / 768f64.powi(2),
                "{chi2}"
            );
        }
    }
}
