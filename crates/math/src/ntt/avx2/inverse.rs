//! Values to coefficients.
//!
//! # Bounds
//! In units of `p`, with `y` and `z` as in [`forward`](super::forward). A butterfly takes `(a, b)` to
//! `(a + b, (a - b) w)`: sums double, and neither they nor the differences may exceed 8.
//!
//! - *Block, first two layers*, inputs below 1: sums 2, products `z(2) = 0.88`; then sums 4 (reduced) and 1.75, products
//!   `z(4) = 1.25` and `z(1.75) = 0.83`. Outputs below 1.75.
//! - *Two layers*, in the block or as a pass, inputs below `X < 2`: sums `2 X`, products `y(2 X)`; then sums `4 X < 8` (leg 0,
//!   reduced to 1/2) and `2 y(2 X) = 1 + X/2` (leg 1), products `y(4 X) < 1.5` and `y(1 + X/2) < 0.75`. Since `X < 2` implies
//!   `1 + X/2 < 2`, this goes on for ever.
//! - *Last pass*, inputs below `X < 2`: with one layer, the multiplicands are below 4; with two, the first layer's sums are
//!   reduced to 1/2, and then the multiplicands are at most 1 on legs 0 and 2 and `1 + X/2` on legs 1 and 3. All legs end with
//!   a product, the sums with one by `1 / n`, and `y(k) < 1` for `k < 4`.

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
        for child in 0..1 << layers {
            recurse(
                constants,
                tables,
                a.add(child << log_child),
                log_child,
                (node << layers) + child,
            );
        }
        pass(constants, tables, a, layers, log_child, node, 1);
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
    log_len: u32,
    node: usize,
) {
    let rest = log_len - LOG_BLOCK;
    // SAFETY: there are `2^depth` consecutive groups of `2^(log_leg + layers)` elements, whose product is constant.
    unsafe {
        blocks(constants, tables, a, 1 << rest, node << rest);
        let mut log_leg = LOG_BLOCK;
        while log_leg < log_len {
            // The forward order backwards: twos, and possibly a one at the end.
            let layers = (log_len - log_leg).min(2);
            let depth = log_len - log_leg - layers;
            pass(
                constants,
                tables,
                a,
                layers,
                log_leg,
                node << depth,
                1 << depth,
            );
            log_leg += layers;
        }
    }
}

/// The last `layers` layers of `groups` consecutive groups, the first at `node`, whose legs have `2^log_leg` elements.
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
    // SAFETY: legs have at least `BLOCK` elements, so the factors of these layers are in `upper`. Only the last pass of
    // a transform, that of node 1, has one layer.
    unsafe {
        match (layers, node) {
            (2, 1) => pass2::<true>(constants, tables, a, leg, node, 1),
            (2, _) => pass2::<false>(constants, tables, a, leg, node, groups),
            _ => pass1(constants, tables, a, leg),
        }
    }
}

type Pair = (__m256d, __m256d);

#[inline]
#[target_feature(enable = "avx2,fma")]
fn butterfly(c: Vectors, x: &mut [__m256d], i: usize, j: usize, factor: Pair) {
    let difference = _mm256_sub_pd(x[i], x[j]);
    x[i] = _mm256_add_pd(x[i], x[j]);
    x[j] = c.times(difference, factor);
}

/// # Safety
/// As [`pass`], with two layers; `LAST` for node 1 only.
#[target_feature(enable = "avx2,fma")]
unsafe fn pass2<const LAST: bool>(
    constants: Constants,
    tables: &Direction,
    a: *mut f64,
    leg: usize,
    node: usize,
    groups: usize,
) {
    let c = constants.broadcast();
    let upper = tables.upper.as_ptr();
    // SAFETY: `j + 3 < leg`, so leg `i < 4` of a group is read and written inside its `4 leg` elements; `next` is a place
    // in this group or the start of the next one, and the place itself at the end of the last.
    unsafe {
        let scale = load_factor(&tables.scale[0]);
        let mut next: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(a.add(i * leg)));
        for group in 0..groups {
            let base = a.add(4 * leg * group);
            let node = node + group;
            let top = if LAST {
                load_factor(&tables.scale[1])
            } else {
                load_factor(upper.add(node))
            };
            let f = [
                top,
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
                butterfly(c, &mut x, 0, 1, f[1]);
                butterfly(c, &mut x, 2, 3, f[2]);
                if LAST {
                    x[0] = c.reduce(x[0]);
                    x[2] = c.reduce(x[2]);
                }
                butterfly(c, &mut x, 0, 2, f[0]);
                butterfly(c, &mut x, 1, 3, f[0]);
                if LAST {
                    x[0] = c.times(x[0], scale);
                    x[1] = c.times(x[1], scale);
                } else {
                    x[0] = c.reduce(x[0]);
                }
                for (i, x) in x.into_iter().enumerate() {
                    _mm256_storeu_pd(base.add(i * leg + j), x);
                }
            }
        }
    }
}

/// One layer, always the last.
///
/// # Safety
/// As [`pass`], with one layer and node 1.
#[target_feature(enable = "avx2,fma")]
unsafe fn pass1(constants: Constants, tables: &Direction, a: *mut f64, leg: usize) {
    let c = constants.broadcast();
    // SAFETY: `j + 3 < leg`, so both legs are read and written inside `2 leg` elements.
    unsafe {
        let (scale, f) = (load_factor(&tables.scale[0]), load_factor(&tables.scale[1]));
        for j in (0..leg).step_by(4) {
            let mut x = [_mm256_loadu_pd(a.add(j)), _mm256_loadu_pd(a.add(leg + j))];
            butterfly(c, &mut x, 0, 1, f);
            _mm256_storeu_pd(a.add(j), c.times(x[0], scale));
            _mm256_storeu_pd(a.add(leg + j), x[1]);
        }
    }
}

/// The first four layers of `count` blocks, the first of which is at `node`.
///
/// # Safety
/// `a` is valid for `BLOCK * count` elements, and nodes `node..node + count` have `BLOCK` leaves.
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks(constants: Constants, tables: &Direction, a: *mut f64, count: usize, node: usize) {
    assert!(2 * (node + count) <= tables.upper.len());
    let first = node - tables.n() / BLOCK;
    // SAFETY: blocks are `BLOCK` consecutive elements; each has 12 entries in `lower`, and two leaves in `upper`.
    unsafe {
        singles(constants, tables.lower.as_ptr().add(12 * first), a, count);
        quadruples(constants, tables.upper.as_ptr(), a, count, node);
    }
}

/// The layers of distance 1 and 2.
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
            let (s0, d0) = (_mm256_add_pd(x0, x1), _mm256_sub_pd(x0, x1));
            let (s1, d1) = (_mm256_add_pd(x2, x3), _mm256_sub_pd(x2, x3));
            let y0 = c.times_plain(d0, _mm256_loadu_pd(lower.add(4)));
            let y1 = c.times_plain(d1, _mm256_loadu_pd(lower.add(8)));
            let w = _mm256_loadu_pd(lower);
            let x = [
                c.reduce(_mm256_add_pd(s0, s1)),
                _mm256_add_pd(y0, y1),
                c.times_plain(_mm256_sub_pd(s0, s1), w),
                c.times_plain(_mm256_sub_pd(y0, y1), w),
            ];
            for (i, x) in transpose(x).into_iter().enumerate() {
                _mm256_storeu_pd(a.add(4 * i), x);
            }
        }
    }
}

/// The layers of distance 4 and 8.
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
            butterfly(c, &mut x, 0, 1, load_factor(upper.add(2 * node)));
            butterfly(c, &mut x, 2, 3, load_factor(upper.add(2 * node + 1)));
            let f = load_factor(upper.add(node));
            butterfly(c, &mut x, 0, 2, f);
            butterfly(c, &mut x, 1, 3, f);
            x[0] = c.reduce(x[0]);
            for (i, x) in x.into_iter().enumerate() {
                _mm256_storeu_pd(a.add(BLOCK * block + 4 * i), x);
            }
        }
    }
}
