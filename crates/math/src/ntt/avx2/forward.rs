//! Coefficients to values.
//!
//! # Bounds
//! In units of `p`; `y(k) = 1/2 + k/8` bounds a product with a multiplicand below `k`, `z(k) = 1/2 + 3k/16` one without a
//! precomputed quotient (see [`arithmetic`](super::arithmetic)); everything has to stay below 8. A butterfly takes `(a, b)`
//! to `(a + b w, a - b w)`. Only leg 0 of a pass is never multiplied in it, and only it is reduced, to 1/2. If every input
//! of a pass is below `X`, a leg not yet multiplied grows by one product a layer, and every output is `1/2` plus one product
//! a layer:
//!
//! | pass | inputs | multiplicands | outputs |
//! |---|---|---|---|
//! | 1 layer (first only, nothing reduced) | 1 | 1 | 1 + 0.63 = 1.63 |
//! | 2 layers | 2.14 | 2.14, 2.91 | 1/2 + 0.768 + 0.864 = 2.132 |
//! | block, first 2 layers | 2.14 | the same | 2.132 |
//! | block, last 2 layers, legs 0 and 1 | 2.14 (leg 1 reduced to 1/2) | 2.14, 1.41 | 1/2 + 0.27 = 0.77 |
//!
//! So 2.14 holds before every pass. The last row: `z(2.14) = 0.91`, the addends of the last butterfly are below 3.05, and its
//! outputs are reduced as part of it. A reduction leaves `1/2` and at most an integer 1 more, which is below 0.008 `p` for every
//! prime that has a transform of degree 32 (`p >= 193`).

use super::arithmetic::{Constants, Factor, Vectors, load_factor, transpose};
use super::{BLOCK, Direction, LOG_BLOCK, LOG_L1, layers_of_pass};
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,fma")]
pub(super) fn transform(constants: Constants, tables: &Direction, a: &mut [f64]) {
    assert_eq!(a.len(), tables.n());
    // SAFETY: node 1 is the whole transform, and `a` has its length.
    unsafe {
        recurse(
            constants,
            tables,
            a.as_mut_ptr(),
            a.len().trailing_zeros(),
            1,
        )
    }
}

/// Transforms the `2^log_len` elements at `a`: the part of the transform below `node`.
///
/// # Safety
/// `a` is valid for `2^log_len` elements, and `node` has that many leaves.
#[target_feature(enable = "avx2,fma")]
unsafe fn recurse(
    constants: Constants,
    tables: &Direction,
    a: *mut f64,
    log_len: u32,
    node: usize,
) {
    // SAFETY: passes and children stay inside the `2^log_len` elements.
    unsafe {
        if log_len <= LOG_L1 {
            return in_cache(constants, tables, a, log_len, node);
        }
        let layers = layers_of_pass(log_len);
        let log_child = log_len - layers;
        pass(constants, tables, a, layers, log_child, node, 1);
        for child in 0..1 << layers {
            recurse(
                constants,
                tables,
                a.add(child << log_child),
                log_child,
                (node << layers) + child,
            );
        }
    }
}

/// As [`recurse`], one pass after the other.
///
/// # Safety
/// As [`recurse`].
#[target_feature(enable = "avx2,fma")]
unsafe fn in_cache(
    constants: Constants,
    tables: &Direction,
    a: *mut f64,
    mut log_len: u32,
    node: usize,
) {
    let (mut groups, mut node) = (1, node);
    // SAFETY: there are `groups` consecutive groups of `2^log_len` elements, whose product is constant.
    unsafe {
        while log_len > LOG_BLOCK {
            let layers = layers_of_pass(log_len);
            pass(constants, tables, a, layers, log_len - layers, node, groups);
            groups <<= layers;
            node <<= layers;
            log_len -= layers;
        }
        blocks(constants, tables, a, groups, node);
    }
}

/// The first `layers` layers of `groups` consecutive groups, the first at `node`, whose legs have `2^log_leg` elements.
///
/// # Safety
/// `a` is valid for `groups * 2^(layers + log_leg)` elements, and nodes `node..node + groups` have that many leaves.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn pass(
    constants: Constants,
    tables: &Direction,
    a: *mut f64,
    layers: u32,
    log_leg: u32,
    node: usize,
    groups: usize,
) {
    assert!((node + groups) << (layers - 1) <= tables.upper.len());
    let leg = 1 << log_leg;
    let upper = tables.upper.as_ptr();
    // SAFETY: legs have at least `BLOCK` elements, so the factors of these layers are in `upper`. Only the first pass of
    // a transform has one layer, and that has one group.
    unsafe {
        match layers {
            2 => pass2(constants, upper, a, leg, node, groups),
            _ => pass1(constants, upper, a, leg, node),
        }
    }
}

type Pair = (__m256d, __m256d);

#[inline]
#[target_feature(enable = "avx2,fma")]
fn butterfly(c: Vectors, x: &mut [__m256d], i: usize, j: usize, factor: Pair) {
    let y = c.times(x[j], factor);
    (x[i], x[j]) = (_mm256_add_pd(x[i], y), _mm256_sub_pd(x[i], y));
}

/// # Safety
/// As [`pass`], with two layers.
#[target_feature(enable = "avx2,fma")]
unsafe fn pass2(
    constants: Constants,
    upper: *const Factor,
    a: *mut f64,
    leg: usize,
    node: usize,
    groups: usize,
) {
    let c = constants.broadcast();
    // SAFETY: `j + 3 < leg`, so leg `i < 4` of a group is read and written inside its `4 leg` elements; `next` is a place
    // in this group or the start of the next one, and the place itself at the end of the last.
    unsafe {
        let mut next: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(a.add(i * leg)));
        for group in 0..groups {
            let base = a.add(4 * leg * group);
            let node = node + group;
            let f = [
                load_factor(upper.add(node)),
                load_factor(upper.add(2 * node)),
                load_factor(upper.add(2 * node + 1)),
            ];
            let after = if group + 1 < groups {
                base.add(4 * leg)
            } else {
                base
            };
            for j in (0..leg).step_by(4) {
                let mut x = next;
                let ahead = if j + 4 < leg { base.add(j + 4) } else { after };
                // Loaded a step early: the operations below then need not wait for the cache.
                for (i, next) in next.iter_mut().enumerate() {
                    *next = _mm256_loadu_pd(ahead.add(i * leg));
                }
                x[0] = c.reduce(x[0]);
                butterfly(c, &mut x, 0, 2, f[0]);
                butterfly(c, &mut x, 1, 3, f[0]);
                butterfly(c, &mut x, 0, 1, f[1]);
                butterfly(c, &mut x, 2, 3, f[2]);
                for (i, x) in x.into_iter().enumerate() {
                    _mm256_storeu_pd(base.add(i * leg + j), x);
                }
            }
        }
    }
}

/// # Safety
/// As [`pass`], with one layer and one group.
#[target_feature(enable = "avx2,fma")]
unsafe fn pass1(constants: Constants, upper: *const Factor, a: *mut f64, leg: usize, node: usize) {
    let c = constants.broadcast();
    // SAFETY: `j + 3 < leg`, so both legs are read and written inside `2 leg` elements.
    unsafe {
        let f = load_factor(upper.add(node));
        for j in (0..leg).step_by(4) {
            let mut x = [_mm256_loadu_pd(a.add(j)), _mm256_loadu_pd(a.add(leg + j))];
            butterfly(c, &mut x, 0, 1, f);
            _mm256_storeu_pd(a.add(j), x[0]);
            _mm256_storeu_pd(a.add(leg + j), x[1]);
        }
    }
}

/// The last four layers of `count` blocks, the first of which is at `node`; outputs at most 1.
///
/// # Safety
/// `a` is valid for `BLOCK * count` elements, and nodes `node..node + count` have `BLOCK` leaves.
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks(constants: Constants, tables: &Direction, a: *mut f64, count: usize, node: usize) {
    assert!(2 * (node + count) <= tables.upper.len());
    let first = node - tables.n() / BLOCK;
    // SAFETY: blocks are `BLOCK` consecutive elements; each has 12 entries in `lower`, and two leaves in `upper`.
    unsafe {
        quadruples(constants, tables.upper.as_ptr(), a, count, node);
        singles(constants, tables.lower.as_ptr().add(12 * first), a, count);
    }
}

/// The layers of distance 8 and 4.
///
/// # Safety
/// As [`blocks`].
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn quadruples(
    constants: Constants,
    upper: *const Factor,
    a: *mut f64,
    count: usize,
    node: usize,
) {
    let c = constants.broadcast();
    // SAFETY: block `b < count` is read and written; its factors are those of `node + b` and of that node's children.
    unsafe {
        let mut next: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(a.add(4 * i)));
        for block in 0..count {
            let mut x = next;
            let ahead = a.add(BLOCK * (block + 1).min(count - 1));
            for (i, next) in next.iter_mut().enumerate() {
                *next = _mm256_loadu_pd(ahead.add(4 * i));
            }
            let node = node + block;
            let f = load_factor(upper.add(node));
            x[0] = c.reduce(x[0]);
            butterfly(c, &mut x, 0, 2, f);
            butterfly(c, &mut x, 1, 3, f);
            butterfly(c, &mut x, 0, 1, load_factor(upper.add(2 * node)));
            butterfly(c, &mut x, 2, 3, load_factor(upper.add(2 * node + 1)));
            for (i, x) in x.into_iter().enumerate() {
                _mm256_storeu_pd(a.add(BLOCK * block + 4 * i), x);
            }
        }
    }
}

/// The layers of distance 2 and 1, and the last reduction.
///
/// # Safety
/// As [`blocks`]; `lower` is valid for 12 elements a block.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn singles(constants: Constants, lower: *const f64, a: *mut f64, count: usize) {
    let c = constants.broadcast();
    // SAFETY: block `b < count` is read and written, with its twelve factors.
    unsafe {
        for block in 0..count {
            let a = a.add(BLOCK * block);
            let lower = lower.add(12 * block);
            let [x0, x1, x2, x3] =
                transpose(std::array::from_fn(|i| _mm256_loadu_pd(a.add(4 * i))));
            let w = _mm256_loadu_pd(lower);
            let (y2, y3) = (c.times_plain(x2, w), c.times_plain(x3, w));
            let x1 = c.reduce(x1);
            let (x0, x2) = (_mm256_add_pd(x0, y2), _mm256_sub_pd(x0, y2));
            let (x1, x3) = (_mm256_add_pd(x1, y3), _mm256_sub_pd(x1, y3));
            let [x0, x1] = c.last_butterfly(x0, x1, _mm256_loadu_pd(lower.add(4)));
            let [x2, x3] = c.last_butterfly(x2, x3, _mm256_loadu_pd(lower.add(8)));
            for (i, x) in transpose([x0, x1, x2, x3]).into_iter().enumerate() {
                _mm256_storeu_pd(a.add(4 * i), x);
            }
        }
    }
}
