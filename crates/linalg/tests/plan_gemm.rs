//! Plans of matrix products: what they list is what the computation takes, and what they choose is explained.

use cipherblas_linalg::plan::gemm::{
    Figures, Gemm, GemmPlan, Kind, Precision, Regime, SlotFigures,
};
use cipherblas_linalg::plan::{Costs, Machine};
use cipherblas_linalg::{
    BlockMatrix, BlockOptions, EncryptOptions, EncryptedMatrix, PlainMatrix, Store,
};
use cipherblas_scheme::matrix::{Lines, MatrixScheme};
use cipherblas_scheme::{ClearMatrices, ClearScheme, Error, MatrixKeySet};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const SLOTS: SlotFigures = SlotFigures {
    slots: 4096,
    depth: 3,
};

fn figures(max_len: usize) -> Figures {
    // What a scheme of degree `max_len` has: two halves of 16 bits modulo 6 and 3 narrow primes.
    Figures {
        scheme: "test",
        max_len,
        max_depth: 1,
        ciphertext_bytes: [3, 6].map(|primes| 4 * primes * max_len).to_vec(),
        narrow_primes: vec![3, 6],
        precision: Precision::Within(1.5e-5),
    }
}

/// Runs what was planned over the scheme in clear, with exactly the planned keys; gives the bytes of factors and result.
fn run(
    plan: &GemmPlan,
    kind: Kind,
    (m, k, n): (usize, usize, usize),
    store: &Store,
) -> (ClearMatrices<i64>, BlockMatrix<ClearMatrices<i64>>, usize) {
    let server = ClearMatrices::<i64>::new(32, 1)
        .unwrap()
        .with_keys(plan.matrix_keys().unwrap());
    let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
    let mut encrypt = |rows: usize, cols: usize, options: Option<BlockOptions>| {
        let data = vec![1; rows * cols];
        let options = options.unwrap().bound(1.0);
        BlockMatrix::encrypt(&key, rows, cols, &data, &options, &mut rng)
            .unwrap()
            .bind(&server)
            .unwrap()
    };
    let ones = |rows, cols| PlainMatrix::new(rows, cols, vec![1; rows * cols]).unwrap();
    let (left, right) = plan.options(store);
    let (input, result) = match kind {
        Kind::Encrypted => {
            let (a, b) = (encrypt(m, k, left), encrypt(k, n, right));
            (a.bytes() + b.bytes(), a.matmul(&b).unwrap())
        }
        Kind::Gram => {
            let x = encrypt(k, n, right);
            (x.bytes(), x.gram().unwrap())
        }
        Kind::EncryptedPlain => {
            let a = encrypt(m, k, left);
            (a.bytes(), a.matmul_plain(&ones(k, n)).unwrap())
        }
        Kind::PlainEncrypted => {
            let b = encrypt(k, n, right);
            (
                b.bytes(),
                BlockMatrix::plain_matmul(&ones(m, k), &b).unwrap(),
            )
        }
    };
    assert_eq!(result.decrypt(&key).unwrap(), vec![k as i64; m * n]);
    (server, result, input)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_planned_is_what_is_done(
        (m, k, n) in (1usize..=70, 1usize..=600, 1usize..=70),
        kind in prop::sample::select(vec![Kind::Encrypted, Kind::Gram, Kind::EncryptedPlain, Kind::PlainEncrypted]),
    ) {
        let m = if kind == Kind::Gram { n } else { m };
        let plan = Gemm::new(kind, m, k, n).coefficients(&figures(32)).plan().unwrap();
        let (server, result, _) = run(&plan, kind, (m, k, n), &Store::memory());
        let keys = plan.matrix_keys().unwrap();
        prop_assert_eq!(&server.used_keys(), keys);
        prop_assert_eq!(server.used_depth(), plan.depth());
        prop_assert_eq!(server.counts().formats as usize, plan.formats().unwrap());
        let stride = 32 / result.line();
        let per_line = |layout| if layout == Lines::Packed { stride } else { 1 };
        // Blocks of the result: lines by segments.
        let (lines, len) = match result.format() {
            cipherblas_linalg::Format::Rows => result.shape(),
            cipherblas_linalg::Format::Columns => (n, m),
        };
        let chunk = result.lines_per_block();
        let whole = lines / chunk * chunk.div_ceil(per_line(result.layout())) + (lines % chunk).div_ceil(per_line(result.layout()));
        prop_assert_eq!(whole * len.div_ceil(result.line()), plan.output_ciphertexts().unwrap());
        prop_assert_eq!(plan.bytes().unwrap().1, plan.output_ciphertexts().unwrap() * 4 * 3 * 32);
        prop_assert!(!plan.to_string().is_empty());
    }
}

#[test]
fn figures_come_from_evaluators() {
    let scheme = ClearMatrices::<i64>::new(32, 1).unwrap();
    let figures = Figures::of(&scheme).unwrap();
    assert_eq!((figures.max_len, figures.max_depth), (32, 1));
    assert_eq!(figures.ciphertext_bytes, [256, 256]);
    assert_eq!(
        scheme.block_bytes(3, 32, Lines::Packed, 1).unwrap(),
        3 * 256
    );
    assert_eq!(figures.narrow_primes, [2, 2]);
    let plan = Gemm::gram(500, 20).coefficients(&figures).plan().unwrap();
    // Over the scheme itself, planned bytes are those of its blocks up to whole ciphertexts.
    let (_, result, input) = run(&plan, Kind::Gram, (20, 500, 20), &Store::memory());
    let (planned_in, planned_out) = plan.bytes().unwrap();
    assert!(
        input <= planned_in && planned_in <= input + 256 * 4,
        "{input} {planned_in}"
    );
    assert!(result.bytes() <= planned_out);
    assert_eq!(plan.peak_bytes(), Some(planned_in + planned_out));
    // Not known until somebody says so.
    assert_eq!(plan.error(), None);
    let exact = figures.precision(Precision::Exact);
    assert_eq!(
        Gemm::gram(500, 20)
            .coefficients(&exact)
            .plan()
            .unwrap()
            .error(),
        Some(0.0)
    );
}

#[test]
fn budgets_bound_the_peak_and_cost_changes_of_format() {
    let figures = Figures::of(&ClearMatrices::<i64>::new(32, 1).unwrap()).unwrap();
    let gemm = Gemm::gram(20_000, 30).coefficients(&figures);
    let free = gemm.plan().unwrap();
    let bound = gemm.clone().budget(400_000).plan().unwrap();
    assert_eq!(bound.peak_bytes(), Some(400_000));
    assert!(free.peak_bytes().unwrap() > 4_000_000);
    assert_eq!(free.formats(), Some(1));
    let store = Store::with_budget(400_000, std::env::temp_dir()).unwrap();
    let (server, ..) = run(&bound, Kind::Gram, (30, 20_000, 30), &store);
    let done = server.counts().formats as usize;
    let planned = bound.formats().unwrap();
    assert!(
        done.abs_diff(planned) * 10 <= done,
        "{done} done, {planned} planned"
    );
    assert!(bound.seconds() > free.seconds());
    match gemm.budget(3_000).plan().unwrap_err() {
        Error::Parameter { what, .. } => assert_eq!(what, "memory budget"),
        other => panic!("{other}"),
    }
}

/// What a refusal names is enough, and one byte less is not; it does not depend on the budget that was refused.
#[test]
fn the_least_budget_is_named() {
    let least = |error: Error| match error {
        Error::Parameter { what, expected, .. } => {
            assert_eq!(what, "memory budget");
            let number = expected.trim_start_matches("at least ").split(' ').next();
            number.unwrap().parse::<usize>().unwrap()
        }
        other => panic!("{other}"),
    };
    let figures = figures(4096);
    for (kind, m, k, n) in [
        (Kind::Encrypted, 1200, 1500, 1000),
        (Kind::Encrypted, 30, 20_000, 3),
        (Kind::Encrypted, 5000, 10, 5000),
        (Kind::Gram, 1000, 100_000, 1000),
        (Kind::Gram, 17, 3, 17),
    ] {
        let gemm = Gemm::new(kind, m, k, n).coefficients(&figures);
        let named = least(gemm.clone().budget(1).plan().unwrap_err());
        for share in 1..8 {
            let refused = gemm.clone().budget(named / 8 * share).plan();
            assert_eq!(least(refused.unwrap_err()), named);
        }
        assert_eq!(
            least(gemm.clone().budget(named - 1).plan().unwrap_err()),
            named
        );
        let (mut budget, mut seconds) = (named, f64::INFINITY);
        let free = gemm.plan().unwrap();
        let everything = free.peak_bytes().unwrap();
        while budget < 4 * everything {
            let plan = gemm.clone().budget(budget).plan().unwrap();
            assert!(plan.peak_bytes().unwrap() <= budget);
            seconds = plan.seconds().min(seconds);
            budget += budget / 7 + 1;
        }
        // Room for everything is enough, and for the bytes of a file where one block is more than half of it.
        let one = figures.ciphertext_bytes[1];
        let file = if everything < 2 * one { one } else { 0 };
        assert!(named <= everything + file, "{named} {everything}");
        assert!(seconds >= free.seconds());
        if named * 8 < everything {
            let tight = gemm.clone().budget(named).plan().unwrap();
            assert!(tight.seconds() > free.seconds());
        }
    }
}

#[test]
fn small_products_go_to_slots_and_large_ones_to_coefficients() {
    let figures = figures(4096);
    let plan = |d| {
        Gemm::new(Kind::Encrypted, d, d, d)
            .coefficients(&figures)
            .slots(SLOTS)
            .plan()
            .unwrap()
    };
    let small = plan(16);
    assert_eq!(small.regime(), Regime::Slots);
    assert!(small.matrix_keys().is_none() && small.slot_plan().is_some());
    let large = plan(1024);
    assert_eq!(large.regime(), Regime::Coefficients);
    assert_eq!(
        large.matrix_keys().unwrap(),
        &MatrixKeySet::products(1024).unwrap()
    );
    // In between one regime takes over, once and for all.
    let regimes: Vec<_> = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
        .map(|d| plan(d).regime())
        .to_vec();
    let switch = regimes
        .iter()
        .position(|&r| r == Regime::Coefficients)
        .unwrap();
    assert!(
        regimes[switch..].iter().all(|&r| r == Regime::Coefficients),
        "{regimes:?}"
    );
    let text = large.to_string();
    for part in [
        "coefficients",
        "because",
        "1024",
        "relinearization",
        "precision",
        "1.50e-5",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(large.error(), Some(1.5e-5));
    // At full size the four products, and no more.
    let largest = plan(4096);
    let (plain, residues) = largest.multiply_adds();
    assert_eq!(residues.unwrap() / plain, 4.0 * 6.0);
    let gram = Gemm::gram(4096, 4096)
        .coefficients(&figures)
        .plan()
        .unwrap();
    assert_eq!(gram.multiply_adds().1.unwrap() * 2.0, residues.unwrap());
    assert_eq!(plan(4096).key_switches(), 5.0 * 4096.0);
}

#[test]
fn the_choice_can_be_overridden_and_is_explained() {
    let figures = figures(4096);
    let gemm = Gemm::new(Kind::Encrypted, 16, 16, 16)
        .coefficients(&figures)
        .slots(SLOTS);
    let chosen = gemm.plan().unwrap();
    assert!(chosen.to_string().contains("s in slots,"), "{chosen}");
    let told = gemm.clone().regime(Regime::Coefficients).plan().unwrap();
    assert_eq!(told.regime(), Regime::Coefficients);
    assert!(told.to_string().contains("asked for"));
    assert_eq!(
        told.estimate(Regime::Coefficients),
        chosen.estimate(Regime::Coefficients)
    );
    // A machine on which ciphertext operations cost ten seconds decides otherwise.
    let slow = Costs {
        rotation: 10.0,
        hoisted_rotation: 10.0,
        summed_rotation: 10.0,
        relinearization: 10.0,
        ..Machine::REFERENCE.slots
    };
    let slow = Machine {
        slots: slow,
        ..Machine::REFERENCE
    };
    assert_eq!(
        gemm.clone().machine(slow).plan().unwrap().regime(),
        Regime::Coefficients
    );
    let shallow = SlotFigures {
        slots: 4096,
        depth: 0,
    };
    let refused = Gemm::new(Kind::Encrypted, 16, 16, 16)
        .coefficients(&figures)
        .slots(shallow)
        .plan()
        .unwrap();
    assert!(
        refused.to_string().contains("the other one cannot: "),
        "{refused}"
    );
    assert!(matches!(
        Gemm::gram(4, 4).plan(),
        Err(Error::Parameter { what: "regime", .. })
    ));
    assert!(matches!(
        Gemm::gram(4, 4)
            .slots(SLOTS)
            .regime(Regime::Coefficients)
            .plan(),
        Err(Error::Parameter { what: "regime", .. })
    ));
    for (m, k, n) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        assert!(matches!(
            Gemm::new(Kind::Encrypted, m, k, n).slots(SLOTS).plan(),
            Err(Error::Shape { .. })
        ));
    }
    assert!(Gemm::new(Kind::Gram, 3, 5, 4).slots(SLOTS).plan().is_err());
    let twice = gemm
        .clone()
        .machine(Machine::REFERENCE.threads(2))
        .plan()
        .unwrap();
    assert_eq!(twice.seconds() * 2.0, chosen.seconds());
}

#[test]
fn plans_in_slots_run_with_their_packings_and_keys() {
    for kind in [
        Kind::Encrypted,
        Kind::Gram,
        Kind::EncryptedPlain,
        Kind::PlainEncrypted,
    ] {
        let (m, k, n) = (if kind == Kind::Gram { 5 } else { 7 }, 6, 5);
        let slots = SlotFigures {
            slots: 64,
            depth: 3,
        };
        let plan = Gemm::new(kind, m, k, n).slots(slots).plan().unwrap();
        let trace = plan.slot_plan().unwrap();
        let steps: Vec<i64> = trace.keys().rotations.iter().copied().collect();
        let server = ClearScheme::new(64, trace.depth())
            .unwrap()
            .with_rotations(Some(&steps));
        let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
        let mut encrypt = |rows, cols, packing: cipherblas_linalg::MatrixPacking| {
            let options = EncryptOptions::new().packing(packing);
            let x = EncryptedMatrix::encrypt_with(
                &key,
                rows,
                cols,
                &vec![1.0; rows * cols],
                &options,
                &mut rng,
            );
            x.unwrap().bind(&server).unwrap()
        };
        let ones = |rows, cols| PlainMatrix::new(rows, cols, vec![1.0; rows * cols]).unwrap();
        let result = match (kind, plan.packings()) {
            (Kind::Encrypted, (Some(l), Some(r))) => encrypt(m, k, l).matmul(&encrypt(k, n, r)),
            (Kind::Gram, (None, Some(r))) => encrypt(k, n, r).gram(),
            (Kind::EncryptedPlain, (Some(l), None)) => encrypt(m, k, l).matmul_plain(&ones(k, n)),
            (Kind::PlainEncrypted, (None, Some(r))) => ones(m, k).matmul(&encrypt(k, n, r)),
            other => panic!("{other:?}"),
        };
        let got = result.unwrap().decrypt(&key).unwrap();
        assert_eq!(got, vec![k as f64; m * n], "{kind:?}");
    }
}
