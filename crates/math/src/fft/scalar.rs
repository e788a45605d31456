//! The reference: one layer at a time, separate multiplications and additions.

use super::Tables;

pub(super) fn to_slots(tables: &Tables, re: &mut [f64], im: &mut [f64]) {
    for d in 0..tables.log_n {
        let t = 1usize << (tables.log_n - d - 1);
        for (b, (re, im)) in re
            .chunks_exact_mut(2 * t)
            .zip(im.chunks_exact_mut(2 * t))
            .enumerate()
        {
            let (wr, wi) = (tables.re[(1 << d) + b], tables.im[(1 << d) + b]);
            let ((r0, r1), (i0, i1)) = (re.split_at_mut(t), im.split_at_mut(t));
            for ((r0, r1), (i0, i1)) in r0.iter_mut().zip(r1).zip(i0.iter_mut().zip(i1)) {
                let (yr, yi) = (wr * *r1 - wi * *i1, wr * *i1 + wi * *r1);
                (*r1, *i1) = (*r0 - yr, *i0 - yi);
                (*r0, *i0) = (*r0 + yr, *i0 + yi);
            }
        }
    }
    reverse_bits(re, im);
}

pub(super) fn to_coefficients(tables: &Tables, re: &mut [f64], im: &mut [f64]) {
    reverse_bits(re, im);
    for d in (0..tables.log_n).rev() {
        let t = 1usize << (tables.log_n - d - 1);
        for (b, (re, im)) in re
            .chunks_exact_mut(2 * t)
            .zip(im.chunks_exact_mut(2 * t))
            .enumerate()
        {
            let (wr, wi) = (tables.re[(1 << d) + b], tables.im[(1 << d) + b]);
            let ((r0, r1), (i0, i1)) = (re.split_at_mut(t), im.split_at_mut(t));
            for ((r0, r1), (i0, i1)) in r0.iter_mut().zip(r1).zip(i0.iter_mut().zip(i1)) {
                let (xr, xi) = (*r0 - *r1, *i0 - *i1);
                (*r0, *i0) = (*r0 + *r1, *i0 + *i1);
                (*r1, *i1) = (wr * xr + wi * xi, wr * xi - wi * xr);
            }
        }
    }
    let scale = 1.0 / re.len() as f64;
    for x in re.iter_mut().chain(im) {
        *x *= scale;
    }
}

fn reverse_bits(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    if n > 1 {
        let shift = n.leading_zeros() + 1;
        for i in 0..n {
            let j = i.reverse_bits() >> shift;
            if i < j {
                re.swap(i, j);
                im.swap(i, j);
            }
        }
    }
}
