//! The loops, once, over either arithmetic. Inlined into a caller that has the instructions, they vectorize.

use crate::modulus::Modulus;

/// Arithmetic on lazy residues.
pub(super) trait Arithmetic: Copy {
    /// `a * b`, for `|a b| <= p^2`.
    fn mul(self, a: f64, b: f64) -> f64;
    /// `acc + a * b`, for `|a b| <= p^2` and `|acc| <= 3.25 p`.
    fn mul_add(self, acc: f64, a: f64, b: f64) -> f64;
    /// Whatever makes multiplication by a fixed `s` fast.
    fn prepare(self, s: f64) -> (f64, f64);
    /// `a * s`, for `|a| <= 2 p`.
    fn mul_prepared(self, a: f64, s: (f64, f64)) -> f64;
    /// `x mod p`, for `|x| < 2^52`.
    fn reduce(self, x: f64) -> f64;
}

/// 64-bit integers: the reference.
#[derive(Clone, Copy)]
pub(super) struct Integer(pub(super) Modulus);

impl Arithmetic for Integer {
    #[inline(always)]
    fn mul(self, a: f64, b: f64) -> f64 {
        self.0.mul_residue(a, b)
    }
    #[inline(always)]
    fn mul_add(self, acc: f64, a: f64, b: f64) -> f64 {
        self.reduce(acc + self.0.mul_residue(a, b))
    }
    #[inline(always)]
    fn prepare(self, s: f64) -> (f64, f64) {
        (s, 0.0)
    }
    #[inline(always)]
    fn mul_prepared(self, a: f64, s: (f64, f64)) -> f64 {
        self.0.mul_residue(self.reduce(a), s.0)
    }
    #[inline(always)]
    fn reduce(self, x: f64) -> f64 {
        self.0.residue_i64(x as i64)
    }
}

/// Adding and subtracting `1.5 * 2^52` rounds any `|x| <= 2^51` to the nearest integer.
pub(crate) const ROUND: f64 = 6_755_399_441_055_744.0;

/// Fused multiply-add. Only for callers compiled with the `fma` feature: elsewhere `mul_add` is a slow library call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fma {
    pub(crate) p: f64,
    pub(crate) p_inv: f64,
}

impl Fma {
    pub(crate) fn new(modulus: Modulus) -> Self {
        let p = modulus.value() as f64;
        Self { p, p_inv: 1.0 / p }
    }
}

impl Arithmetic for Fma {
    #[inline(always)]
    fn mul(self, a: f64, b: f64) -> f64 {
        let h = a * b;
        let l = a.mul_add(b, -h);
        let q = h.mul_add(self.p_inv, ROUND) - ROUND;
        (-q).mul_add(self.p, h) + l
    }
    #[inline(always)]
    fn mul_add(self, acc: f64, a: f64, b: f64) -> f64 {
        let h = a * b;
        let l = a.mul_add(b, -h);
        let q = h.mul_add(self.p_inv, acc * self.p_inv).round_ties_even();
        (-q).mul_add(self.p, h) + (acc + l)
    }
    #[inline(always)]
    fn prepare(self, s: f64) -> (f64, f64) {
        (s, s * self.p_inv)
    }
    #[inline(always)]
    fn mul_prepared(self, a: f64, (s, s_over_p): (f64, f64)) -> f64 {
        let h = a * s;
        let l = a.mul_add(s, -h);
        let q = a.mul_add(s_over_p, ROUND) - ROUND;
        (-q).mul_add(self.p, h) + l
    }
    #[inline(always)]
    fn reduce(self, x: f64) -> f64 {
        let q = x.mul_add(self.p_inv, ROUND) - ROUND;
        (-q).mul_add(self.p, x)
    }
}

/// Elements worked on at a time where an output is passed over repeatedly: it stays in the L1 cache, and few streams are
/// read at once.
const BLOCK: usize = 512;

/// Products in a sum between reductions.
const LAZY_TERMS: usize = 4;

macro_rules! loops {
    ($($(#[$meta:meta])* fn $name:ident $(<const $flag:ident: bool>)? ($k:ident $(, $arg:ident: $ty:ty)*) $body:block)*) => {
        $(
            #[inline(always)]
            pub(super) fn $name<$(const $flag: bool,)? A: Arithmetic>($k: A $(, $arg: $ty)*) $body
        )*
    };
}

loops! {
    fn add(k, out: &mut [f64], a: &[f64], b: &[f64]) {
        for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
            *o = k.reduce(x + y);
        }
    }
    fn add_assign(k, a: &mut [f64], b: &[f64]) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = k.reduce(*x + y);
        }
    }
    fn sub(k, out: &mut [f64], a: &[f64], b: &[f64]) {
        for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
            *o = k.reduce(x - y);
        }
    }
    fn sub_assign(k, a: &mut [f64], b: &[f64]) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = k.reduce(*x - y);
        }
    }
    fn mul(k, out: &mut [f64], a: &[f64], b: &[f64]) {
        for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
            *o = k.mul(x, y);
        }
    }
    fn mul_assign(k, a: &mut [f64], b: &[f64]) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = k.mul(*x, y);
        }
    }
    fn mul_add_assign(k, acc: &mut [f64], a: &[f64], b: &[f64]) {
        for ((o, &x), &y) in acc.iter_mut().zip(a).zip(b) {
            *o = k.mul_add(*o, x, y);
        }
    }
    fn mul_sub_assign(k, acc: &mut [f64], a: &[f64], b: &[f64]) {
        for ((o, &x), &y) in acc.iter_mut().zip(a).zip(b) {
            *o = k.mul_add(*o, -x, y);
        }
    }
    fn scale_assign(k, a: &mut [f64], s: f64) {
        let s = k.prepare(s);
        for x in a {
            *x = k.mul_prepared(*x, s);
        }
    }
    fn scale(k, out: &mut [f64], a: &[f64], s: f64) {
        let s = k.prepare(s);
        for (o, &x) in out.iter_mut().zip(a) {
            *o = k.mul_prepared(x, s);
        }
    }
    fn scale_add_assign(k, acc: &mut [f64], a: &[f64], s: f64) {
        let s = k.prepare(s);
        for (o, &x) in acc.iter_mut().zip(a) {
            *o = k.reduce(*o + k.mul_prepared(x, s));
        }
    }
    fn sub_scale(k, out: &mut [f64], a: &[f64], b: &[f64], s: f64) {
        let s = k.prepare(s);
        for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
            *o = k.mul_prepared(x - y, s);
        }
    }
    fn sub_scale_assign(k, a: &mut [f64], b: &[f64], s: f64) {
        let s = k.prepare(s);
        for (x, &y) in a.iter_mut().zip(b) {
            *x = k.mul_prepared(*x - y, s);
        }
    }
    fn add_scalar_assign(k, a: &mut [f64], s: f64) {
        for x in a {
            *x = k.reduce(*x + s);
        }
    }
    fn reduce_from(k, out: &mut [f64], a: &[f64]) {
        for (o, &x) in out.iter_mut().zip(a) {
            *o = k.reduce(x);
        }
    }
    fn reduce_assign(k, a: &mut [f64]) {
        for x in a {
            *x = k.reduce(*x);
        }
    }
    fn inner_product<const ACCUMULATE: bool>(k, out: &mut [f64], a: &[&[f64]], b: &[&[f64]]) {
        let len = out.len();
        for start in (0..len).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(len);
            let out = &mut out[range.clone()];
            if !ACCUMULATE {
                out.fill(0.0);
            }
            for (terms, (a, b)) in a.iter().zip(b).enumerate() {
                let (a, b) = (&a[range.clone()], &b[range.clone()]);
                if terms % LAZY_TERMS == LAZY_TERMS - 1 {
                    mul_add_assign(k, out, a, b);
                } else {
                    for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
                        *o += k.mul(x, y);
                    }
                }
            }
            if !a.len().is_multiple_of(LAZY_TERMS) {
                reduce_assign(k, out);
            }
        }
    }
    fn inner_product_pair<const ACCUMULATE: bool>(
        k, out0: &mut [f64], out1: &mut [f64], digits: &[&[f64]], b: &[&[f64]], a: &[&[f64]]
    ) {
        let len = out0.len();
        for start in (0..len).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(len);
            let (out0, out1) = (&mut out0[range.clone()], &mut out1[range.clone()]);
            if !ACCUMULATE {
                out0.fill(0.0);
                out1.fill(0.0);
            }
            for (terms, ((d, b), a)) in digits.iter().zip(b).zip(a).enumerate() {
                let (d, b, a) = (&d[range.clone()], &b[range.clone()], &a[range.clone()]);
                let each = out0.iter_mut().zip(out1.iter_mut()).zip(d).zip(b).zip(a);
                if terms % LAZY_TERMS == LAZY_TERMS - 1 {
                    for ((((o0, o1), &x), &y), &z) in each {
                        *o0 = k.mul_add(*o0, x, y);
                        *o1 = k.mul_add(*o1, x, z);
                    }
                } else {
                    for ((((o0, o1), &x), &y), &z) in each {
                        *o0 += k.mul(x, y);
                        *o1 += k.mul(x, z);
                    }
                }
            }
            if !digits.len().is_multiple_of(LAZY_TERMS) {
                reduce_assign(k, out0);
                reduce_assign(k, out1);
            }
        }
    }
    fn tensor<const ACCUMULATE: bool>(k, d: [&mut [f64]; 3], inputs: [&[f64]; 4]) {
        let [d0, d1, d2] = d;
        let [a0, a1, b0, b1] = inputs;
        let outputs = d0.iter_mut().zip(d1).zip(d2);
        for ((((((o0, o1), o2), &a0), &a1), &b0), &b1) in outputs.zip(a0).zip(a1).zip(b0).zip(b1) {
            if ACCUMULATE {
                *o0 = k.mul_add(*o0, a0, b0);
                *o1 = k.mul_add(k.mul_add(*o1, a0, b1), a1, b0);
                *o2 = k.mul_add(*o2, a1, b1);
            } else {
                *o0 = k.mul(a0, b0);
                *o1 = k.mul_add(k.mul(a0, b1), a1, b0);
                *o2 = k.mul(a1, b1);
            }
        }
    }
    fn square(k, d: [&mut [f64]; 3], inputs: [&[f64]; 2]) {
        let [d0, d1, d2] = d;
        let [a0, a1] = inputs;
        for ((((o0, o1), o2), &a0), &a1) in d0.iter_mut().zip(d1).zip(d2).zip(a0).zip(a1) {
            *o0 = k.mul(a0, a0);
            *o1 = k.reduce(2.0 * k.mul(a0, a1));
            *o2 = k.mul(a1, a1);
        }
    }
}
