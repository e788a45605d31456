//! The loops, compiled for AVX2 and FMA.

use super::loops::{self, Fma};

macro_rules! avx2 {
    ($(fn $name:ident $(<const $flag:ident: bool>)? ($($arg:ident: $ty:ty),*);)*) => {
        $(
            #[target_feature(enable = "avx2,fma")]
            pub(super) fn $name $(<const $flag: bool>)? (k: Fma $(, $arg: $ty)*) {
                loops::$name::<$($flag,)? Fma>(k $(, $arg)*);
            }
        )*
    };
}

avx2! {
    fn add(out: &mut [f64], a: &[f64], b: &[f64]);
    fn add_assign(a: &mut [f64], b: &[f64]);
    fn sub(out: &mut [f64], a: &[f64], b: &[f64]);
    fn sub_assign(a: &mut [f64], b: &[f64]);
    fn mul(out: &mut [f64], a: &[f64], b: &[f64]);
    fn mul_assign(a: &mut [f64], b: &[f64]);
    fn mul_add_assign(acc: &mut [f64], a: &[f64], b: &[f64]);
    fn mul_sub_assign(acc: &mut [f64], a: &[f64], b: &[f64]);
    fn scale_assign(a: &mut [f64], s: f64);
    fn scale(out: &mut [f64], a: &[f64], s: f64);
    fn scale_add_assign(acc: &mut [f64], a: &[f64], s: f64);
    fn sub_scale(out: &mut [f64], a: &[f64], b: &[f64], s: f64);
    fn sub_scale_assign(a: &mut [f64], b: &[f64], s: f64);
    fn add_scalar_assign(a: &mut [f64], s: f64);
    fn reduce_from(out: &mut [f64], a: &[f64]);
    fn reduce_assign(a: &mut [f64]);
    fn inner_product<const ACCUMULATE: bool>(out: &mut [f64], a: &[&[f64]], b: &[&[f64]]);
    fn inner_product_pair<const ACCUMULATE: bool>(
        out0: &mut [f64], out1: &mut [f64], digits: &[&[f64]], b: &[&[f64]], a: &[&[f64]]
    );
    fn tensor<const ACCUMULATE: bool>(d: [&mut [f64]; 3], inputs: [&[f64]; 4]);
    fn square(d: [&mut [f64]; 3], inputs: [&[f64]; 2]);
}
