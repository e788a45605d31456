//! Encrypted arrays against NumPy's semantics on plain values, in every packing, over the scheme that computes in clear.

#[path = "common/array.rs"]
mod support;

use cipherblas_scheme::{ClearKey, ClearScheme};
use proptest::prelude::*;
use support::{Dense, Op, Pair, Setup, op, shape};

/// `keyless`: no rotation, no product of ciphertexts.
fn setup(slots: usize, keyless: bool) -> Setup<ClearScheme, ClearKey> {
    let mut server = ClearScheme::new(slots, 40).unwrap();
    if keyless {
        server = server.with_rotations(Some(&[])).without_relinearization();
    }
    Setup {
        key: server.key(),
        server,
        tolerance: 1e-9,
        bound: None,
        spread: keyless,
    }
}

fn run(s: &Setup<ClearScheme, ClearKey>, shape: &[usize], choice: u8, ops: &[Op]) {
    let dense = Dense::new(shape, 1);
    let mut x = Pair {
        array: s.array(&dense, choice),
        dense,
    };
    for &op in ops {
        let large = x.dense.data.len() > 400 || x.dense.data.iter().any(|v| v.abs() > 1e6);
        if large {
            return;
        }
        if let Some(next) = s.step(&x, op) {
            x = next;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_operation(slots in 2u32..7, shape in shape(), choice in 0u8..8, op in op()) {
        run(&setup(1 << slots, false), &shape, choice, &[op]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn three_operations(
        slots in 0u32..7,
        shape in shape(),
        choice in 0u8..8,
        ops in prop::collection::vec(op(), 3),
    ) {
        run(&setup(1 << slots, false), &shape, choice, &ops);
    }

    #[test]
    fn spread_arrays_need_no_keys(
        slots in 0u32..5,
        shape in shape(),
        ops in prop::collection::vec(op(), 3),
    ) {
        let ops: Vec<Op> = ops
            .into_iter()
            .filter(|op| !Setup::<ClearScheme, ClearKey>::multiplies(op))
            .collect();
        run(&setup(1 << slots, true), &shape, 1, &ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn means(slots in 0u32..7, shape in shape(), choice in 0u8..8, axis in 0usize..3) {
        let axis = axis.checked_sub(1).filter(|&axis| axis < shape.len());
        let d = Dense::new(&shape, 1);
        let want = d.sum(axis);
        let n = (d.data.len() / want.data.len()) as f64;
        for keyless in [false, true] {
            let s = setup(1 << slots, keyless);
            let x = s.array(&d, choice);
            s.check("mean", x.mean(axis), &want.map(|v| v / n));
        }
    }
}
