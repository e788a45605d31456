//! Degrees below 32: one layer at a time, everything reduced.

use super::Direction;
use super::arithmetic::{Constants, Factor};
use crate::pointwise::ROUND;

#[inline(always)]
fn times(c: Constants, x: f64, f: Factor) -> f64 {
    let h = x * f.w;
    let l = x.mul_add(f.w, -h);
    let q = x.mul_add(f.over_p, ROUND) - ROUND;
    (-q).mul_add(c.p, h) + l
}

#[inline(always)]
fn reduce(c: Constants, x: f64) -> f64 {
    let q = x.mul_add(c.p_inv, ROUND) - ROUND;
    (-q).mul_add(c.p, x)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn forward(c: Constants, tables: &Direction, a: &mut [f64]) {
    let mut half = a.len() / 2;
    while half > 0 {
        let groups = a.len() / (2 * half);
        for (group, &factor) in a.chunks_exact_mut(2 * half).zip(&tables.upper[groups..]) {
            let (low, high) = group.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let (u, v) = (*x, times(c, *y, factor));
                *x = reduce(c, u + v);
                *y = reduce(c, u - v);
            }
        }
        half /= 2;
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn inverse(c: Constants, tables: &Direction, a: &mut [f64]) {
    let mut half = 1;
    while half < a.len() {
        let groups = a.len() / (2 * half);
        for (group, &factor) in a.chunks_exact_mut(2 * half).zip(&tables.upper[groups..]) {
            let (low, high) = group.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                let (u, v) = (*x, *y);
                *x = reduce(c, u + v);
                *y = times(c, u - v, factor);
            }
        }
        half *= 2;
    }
    for x in a {
        *x = times(c, *x, tables.scale[0]);
    }
}
