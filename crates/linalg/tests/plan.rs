//! A plan lists exactly what a computation uses: every key it lists is needed, none is missing.

use cipherblas_linalg::plan::{Costs, Plan, Preference, Tracer, choose};
use cipherblas_linalg::{
    BatchPacking, Diagonal, EncryptOptions, EncryptedBatch, EncryptedMatrix, EncryptedVector,
    MatmulMethod, MatrixPacking, Order, PlainMatrix, Skewed, Tile, VectorPacking,
};
use cipherblas_scheme::{
    Add, AddPlain, ClearScheme, Combine, Error, Mul, MulPlain, Result, Rotate, Scheme,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::BTreeSet;

const SLOTS: usize = 64;

/// The computations, written once for the tracer and for the scheme.
fn run<S>(name: &str, x: &EncryptedMatrix<S>, v: &EncryptedVector<S>) -> Result<()>
where
    S: Add + AddPlain + MulPlain + Mul + Rotate + Combine + Scheme<Value = f64>,
{
    let w = PlainMatrix::new(5, 7, vec![0.25; 35])?;
    match name {
        "matvec" => x.matvec(v).map(drop),
        "vecmat" => x.transpose()?.matvec(&x.matvec(v)?).map(drop),
        "plain matvec" => w.matvec(v).map(drop),
        "prepared" => w
            .prepare(v.evaluator(), v.packing(), 3)?
            .matvec(v)
            .map(drop),
        "matmul" => x.matmul(&x.transpose()?).map(drop),
        "matmul, skewed" => x.matmul_by(&x.transpose()?, MatmulMethod::Skewed).map(drop),
        "skewed" => {
            let MatrixPacking::Skewed(left) = x.packing() else {
                panic!("{:?}", x.packing())
            };
            // The blocks are square, so that those of X will do for a right factor of the transposed shape.
            let blocks = x.ciphertexts().cloned().collect();
            let (ev, right) = (x.evaluator().clone(), left.partner());
            let y = EncryptedMatrix::from_ciphertexts(ev, x.cols(), x.rows(), right, blocks)?;
            x.matmul(&y).map(drop)
        }
        "gram" => x.gram().map(drop),
        "plain right" => x.matmul_plain(&w.transpose()).map(drop),
        "dot" => v.dot(v).map(drop),
        "polynomial" => v.polynomial(&[0.5, 0.2, 0.0, -0.1, 0.3]).map(drop),
        "slice" => x.slice(3..9, 2..6).map(drop),
        other => panic!("{other}"),
    }
}

fn check(name: &str, packing: impl Into<MatrixPacking>, depth: usize) {
    let (rows, cols) = (19, 7);
    let options = EncryptOptions::new().packing(packing);
    let plan = Plan::trace(SLOTS, 6, |t| {
        let x = t.matrix(rows, cols, &options)?;
        let v = t.vector(cols, &EncryptOptions::new())?;
        run(name, &x, &v)
    })
    .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(plan.depth(), depth, "{name}: depth");

    let steps: Vec<i64> = plan.keys().rotations.iter().copied().collect();
    let evaluate = |server: &ClearScheme| {
        let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
        let data = vec![0.5; rows * cols];
        let x = EncryptedMatrix::encrypt_with(&key, rows, cols, &data, &options, &mut rng)?
            .bind(server)?;
        let v = EncryptedVector::encrypt(&key, &data[..cols], &mut rng)?.bind(server)?;
        run(name, &x, &v)
    };
    // Exactly the planned depth and keys suffice, with exactly the planned operations.
    let server = |depth, steps: &[i64]| {
        let s = ClearScheme::new(SLOTS, depth)
            .unwrap()
            .with_rotations(Some(steps));
        if plan.keys().relinearization {
            s
        } else {
            s.without_relinearization()
        }
    };
    let exact = server(6, &steps);
    evaluate(&exact).unwrap_or_else(|e| panic!("{name} with the planned keys: {e}"));
    assert_eq!(&exact.counts(), plan.counts(), "{name}: operations");
    if name != "prepared" {
        evaluate(&server(depth, &steps)).unwrap_or_else(|e| panic!("{name}, planned depth: {e}"));
        if depth > 0 {
            let shallow = evaluate(&server(depth - 1, &steps));
            assert!(
                matches!(shallow, Err(Error::Depth { .. })),
                "{name}: {shallow:?}"
            );
        }
    }
    // None can be spared.
    for i in 0..steps.len() {
        let mut fewer = steps.clone();
        let spared = fewer.remove(i);
        let result = evaluate(&server(6, &fewer));
        assert!(
            matches!(result, Err(Error::MissingKey { .. })),
            "{name} without rotation by {spared}: {result:?}"
        );
    }
    if plan.keys().relinearization {
        let without = server(6, &steps).without_relinearization();
        assert!(
            matches!(evaluate(&without), Err(Error::MissingKey { .. })),
            "{name}"
        );
    }
}

#[test]
fn plans_are_exact() {
    let tile = Tile::fit(Order::RowMajor, 19, 7, SLOTS).unwrap();
    check("matvec", tile, 2);
    check("matvec", Tile::rows(19, 7, SLOTS).unwrap(), 1);
    check("matvec", Diagonal::fit(19, 7, SLOTS).unwrap(), 1);
    check("vecmat", tile, 3);
    check("plain matvec", tile, 1);
    check("prepared", tile, 4);
    check("matmul", tile, 3);
    let (layered, _) = Skewed::pair(4, 4, 4, SLOTS).unwrap();
    let (small, _) = Skewed::pair(8, 8, 8, SLOTS).unwrap();
    assert!(layered.layered() && !small.layered());
    check("matmul, skewed", tile, 3);
    check("skewed", layered, 1);
    check("skewed", small, 2);
    check("gram", tile, 2);
    check("gram", Tile::rows(19, 7, SLOTS).unwrap(), 1);
    check("plain right", tile, 1);
    check("plain right", Tile::columns(19, 7, SLOTS).unwrap(), 1);
    check("dot", tile, 1);
    check("polynomial", tile, 3);
    check("slice", tile, 1);
}

#[test]
fn a_matrix_of_512_by_32_takes_five_and_nine_rotations() {
    let plan = Plan::trace(1 << 14, 4, |t| {
        let x = t.matrix(455, 31, &EncryptOptions::new())?;
        let v = t.vector(31, &EncryptOptions::new())?;
        let s = x.matvec(&v)?;
        x.transpose()?.matvec(&s).map(drop)
    })
    .unwrap();
    assert_eq!((plan.depth(), plan.input_ciphertexts()), (3, 2));
    let counts = plan.counts();
    assert_eq!((counts.rotations, counts.multiplications), (19, 2));
    let expected: BTreeSet<i64> = (0..5)
        .flat_map(|b| [1 << b, -(1 << b)])
        .chain((5..14).map(|b| 1i64 << b))
        // Half a turn is the same in both directions and written as positive.
        .collect();
    assert_eq!(plan.keys().rotations, expected);
    let costs = Costs {
        rotation: 0.02,
        relinearization: 0.025,
        ..Costs::default()
    };
    assert!((plan.estimate(&costs) - (19.0 * 0.02 + 2.0 * 0.025)).abs() < 1e-12);
    assert!(plan.to_string().contains("depth               3"));
}

#[test]
fn plain_products_of_the_goals() {
    // 64 x 64 in 4096 slots: one product and six rotations in the packing that the matrix asks for.
    let w = PlainMatrix::new(64, 64, vec![0.5; 64 * 64]).unwrap();
    let trace = |w: &PlainMatrix<f64>, packing: VectorPacking| {
        Plan::trace(4096, 1, |t| {
            let v = t.vector(w.cols(), &EncryptOptions::new().packing(packing))?;
            w.matvec(&v).map(drop)
        })
        .unwrap()
    };
    let spread = trace(&w, w.input_packing(4096).unwrap());
    assert_eq!(spread.counts().all_rotations(), 6);
    assert_eq!(spread.counts().plain_multiplications, 1);
    let periodic = trace(&w, VectorPacking::periodic(64, 4096).unwrap());
    let c = periodic.counts();
    assert_eq!((c.hoisted_rotations, c.summed_rotations), (7, 7));
    // 256 -> 128: the vector stretched by 16 meets eight diagonals of 16 rows: 8 products, 3 + 1 + 5 rotations.
    let w = PlainMatrix::new(128, 256, vec![0.5; 128 * 256]).unwrap();
    let c = *trace(&w, w.input_packing(4096).unwrap()).counts();
    assert_eq!(c.plain_multiplications, 8);
    assert_eq!(
        (c.hoisted_rotations, c.summed_rotations, c.rotations),
        (3, 1, 5)
    );
    // Not stretched: fifteen baby steps, seven giant steps, one doubling.
    let c = *trace(&w, VectorPacking::periodic(256, 4096).unwrap()).counts();
    assert_eq!(
        (c.hoisted_rotations, c.summed_rotations, c.rotations),
        (15, 7, 1)
    );
}

#[test]
fn speed_costs_keys() {
    let dot = |preference| {
        Plan::trace_for(preference, 4096, 1, |t| {
            let v = t.vector(4096, &EncryptOptions::new())?;
            v.dot(&v).map(drop)
        })
        .unwrap()
    };
    let (few, fast) = (dot(Preference::FewKeys), dot(Preference::Speed));
    assert_eq!(few, dot(Preference::default()));
    assert_eq!(
        (few.keys().rotations.len(), few.counts().rotations),
        (12, 12)
    );
    assert_eq!(
        (fast.keys().rotations.len(), fast.counts().rotations),
        (18, 0)
    );
    assert_eq!(fast.counts().summed_rotations, 18);
}

#[test]
fn the_cheapest_packing_is_chosen() {
    let (shape, slots) = ((40, 30), 256);
    let product = |t: &Tracer, x: &EncryptedMatrix<Tracer>| {
        let v = t.vector(30, &EncryptOptions::new().packing(x.column_packing()))?;
        x.matvec(&v).map(drop)
    };
    let (packing, plan) = choose(slots, 2, shape, &Costs::RELATIVE, product).unwrap();
    for other in MatrixPacking::candidates(shape.0, shape.1, slots).unwrap() {
        let options = EncryptOptions::new().packing(other);
        let traced = Plan::trace(slots, 2, |t| {
            product(t, &t.matrix(shape.0, shape.1, &options)?)
        });
        let cost = traced.unwrap().estimate(&Costs::RELATIVE);
        assert!(
            plan.estimate(&Costs::RELATIVE) <= cost,
            "{packing:?} and {other:?}"
        );
    }
    // With one level, a row-major tile of several rows will not do.
    let (packing, plan) = choose(slots, 1, shape, &Costs::RELATIVE, product).unwrap();
    let tile = Tile::fit(Order::RowMajor, shape.0, shape.1, slots).unwrap();
    assert_ne!(packing, tile.into());
    assert_eq!(plan.depth(), 1);
    let none = choose(slots, 0, shape, &Costs::RELATIVE, product);
    assert!(matches!(none, Err(Error::Depth { .. })), "{none:?}");
}

#[test]
fn misuse() {
    assert!(matches!(
        Plan::trace(12, 3, |_| Ok(())),
        Err(Error::Parameter { what: "slots", .. })
    ));
    let deep = Plan::trace(16, 1, |t| {
        let v = t.vector(3, &EncryptOptions::new())?;
        v.square()?.square().map(drop)
    });
    assert_eq!(
        deep.unwrap_err(),
        Error::Depth {
            operation: "square",
            needed: 1,
            left: 0
        }
    );
    let a = Plan::trace(16, 1, |_| Ok(())).unwrap();
    let b = Plan::trace(32, 1, |_| Ok(())).unwrap();
    assert!(matches!(a.union(&b), Err(Error::Shape { .. })));
    assert_eq!(a.union(&a).unwrap(), a);
}

#[test]
fn bounds_on_values_follow_the_computation() {
    let options = EncryptOptions::new().bound(100.0);
    let plan = Plan::trace_integers(16, 2, |t| {
        let x = t.vector(5, &options)?;
        let y = (&(&x * 3)? - 7)?;
        EncryptedVector::weighted_sum(&[2, -9], &[&y, &x]).map(drop)
    });
    let plan = plan.unwrap();
    // 2 (3 * 100 + 7) + 9 * 100
    assert_eq!(plan.magnitude(), Some(1514.0));
    // Signed integers of 12 bits reach 2047, of 11 bits 1023.
    assert_eq!(plan.plaintext_bits(), Some(12));

    let unknown = Plan::trace_integers(16, 2, |t| {
        let x = t.vector(5, &EncryptOptions::new())?;
        (&x * 0).map(drop)
    });
    assert_eq!(unknown.unwrap().magnitude(), None);
    let refused = Plan::trace_integers(16, 2, |t| {
        let x = t.vector(5, &options)?;
        (&x - i64::MIN).map(drop)
    });
    assert!(matches!(refused, Err(Error::Value { .. })), "{refused:?}");
}

/// The choice is made from estimates, never at the price of a level.
#[test]
fn the_method_of_a_product_is_chosen_by_the_plan() {
    let method = |d: usize, slots: usize| {
        let mut chosen = None;
        let plan = Plan::trace(slots, 3, |t| {
            let [a, b] = [(); 2].map(|()| t.matrix(d, d, &EncryptOptions::new()));
            let (a, b) = (a?, b?);
            chosen = Some(a.matmul_method(&b)?);
            a.matmul(&b).map(drop)
        })
        .unwrap();
        (chosen.unwrap(), plan.depth())
    };
    // All terms fit in the slots: re-packed, one product.
    assert_eq!(method(16, 4096), (MatmulMethod::Skewed, 2));
    // Read the other way round, both are column-major, and so is the result: nothing has to be transposed.
    let steps = |turn: bool| {
        let plan = Plan::trace(256, 3, |t| {
            let [a, b] = [(); 2].map(|()| {
                let m = t.matrix(16, 16, &EncryptOptions::new())?;
                if turn { m.transpose() } else { Ok(m) }
            });
            a?.matmul_by(&b?, MatmulMethod::Skewed).map(drop)
        });
        *plan.unwrap().counts()
    };
    assert_eq!(steps(false), steps(true));
    // Re-packing, masks and product would take three levels.
    assert_eq!(method(64, 4096), (MatmulMethod::OuterProducts, 2));
}

/// As many products as a ciphertext holds at the price of one, with exactly the keys that the plan lists.
#[test]
fn a_batch_costs_as_much_as_one_product() {
    let plan = |count: usize| {
        let (left, right) = BatchPacking::pair(count, 4, 4, 4, SLOTS).unwrap();
        let options = |p| EncryptOptions::new().packing(p);
        let plan = Plan::trace(SLOTS, 2, |t| {
            let a = t.batch((count, 4, 4), &options(left))?;
            let b = t.batch((count, 4, 4), &options(right))?;
            a.matmul(&b).map(drop)
        })
        .unwrap();
        let steps: Vec<i64> = plan.keys().rotations.iter().copied().collect();
        for spared in 0..=steps.len() {
            let mut held = steps.clone();
            if spared < steps.len() {
                held.remove(spared);
            }
            let server = ClearScheme::new(SLOTS, plan.depth())
                .unwrap()
                .with_rotations(Some(&held));
            let (key, mut rng) = (server.key(), ChaCha20Rng::seed_from_u64(1));
            let data = vec![0.5; count * 16];
            let [a, b] = [left, right].map(|p| {
                EncryptedBatch::encrypt(&key, (count, 4, 4), &data, &options(p), &mut rng)
                    .unwrap()
                    .bind(&server)
                    .unwrap()
            });
            match a.matmul(&b) {
                Ok(_) => assert_eq!((spared, &server.counts()), (steps.len(), plan.counts())),
                Err(e) => assert!(
                    spared < steps.len() && matches!(e, Error::MissingKey { .. }),
                    "{e}"
                ),
            }
        }
        plan
    };
    // Four matrices of 16 values fill the 64 slots; so do two, and one, in layers or repeated.
    assert_eq!(plan(4).counts(), plan(3).counts());
    assert_eq!((plan(4).depth(), plan(1).depth()), (2, 1));
    assert_eq!(
        plan(8).counts().relinearizations,
        2 * plan(4).counts().relinearizations
    );
    assert_eq!(plan(8).keys(), plan(4).keys());
}
