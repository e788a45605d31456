//! Random circuits against the same in clear: every intermediate result exact in every slot of both rows, its noise within its
//! bound, its bound within what decrypts; and refusals only where they are due. 1,000 circuits, 10,000 with
//! `CIPHERBLAS_DEEP=1`.

use cipherblas_bfv::{Ciphertext, Error, Evaluator, KeySet, Params, PublicKey, Result, SecretKey};
use cipherblas_scheme::{
    Add, AddPlain, Combine, ErrorBound, Mul, MulPlain, Rotate, Scheme, WeightMatrix, Wire,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;

const STEPS: [i64; 4] = [1, 3, -2, 7];

/// Operations in a circuit.
const LENGTH: usize = 8;

/// A ciphertext and what it holds.
#[derive(Clone)]
struct Item {
    ct: Ciphertext,
    rows: [Vec<i128>; 2],
    /// No value is larger, whatever was encrypted: from the declared bounds.
    bound: i128,
}

/// What an operation should give: rows, and the bound on their values.
struct Clear {
    rows: [Vec<i128>; 2],
    bound: i128,
}

struct Machine {
    params: Params,
    sk: SecretKey,
    pk: PublicKey,
    ev: Evaluator,
    rng: ChaCha20Rng,
    items: Vec<Item>,
    /// By operation and by how it ended.
    seen: BTreeMap<(&'static str, &'static str), usize>,
}

fn map(rows: &[Vec<i128>; 2], f: impl Fn(usize, usize, i128) -> i128) -> [Vec<i128>; 2] {
    [0, 1].map(|r| {
        let row = rows[r].iter().enumerate();
        row.map(|(i, &x)| f(r, i, x)).collect()
    })
}

impl Item {
    fn depth(&self) -> usize {
        self.ct.depth()
    }
}

impl Machine {
    fn new(params: Params, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let sk = SecretKey::generate(&params, &mut rng).unwrap();
        let set = KeySet {
            relinearization: true,
            rotations: STEPS.into_iter().collect(),
            conjugation: true,
        };
        let keys = sk.evaluation_keys(&set, &mut rng).unwrap();
        Self {
            pk: sk.public_key(&mut rng).unwrap(),
            ev: Evaluator::new(&params, keys).unwrap(),
            params,
            sk,
            rng,
            items: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn capacity(&self) -> i128 {
        1 << (self.params.plaintext_bits() - 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    /// As many values as a power of two up to the slots: uniform, all at the ends of the range, or small.
    fn values(&mut self, bound: i128) -> Vec<i64> {
        let bound = bound as i64;
        let log = self.params.slots().trailing_zeros() as usize;
        let count = 1 << self.below(log + 1);
        let kind = self.below(3);
        (0..count)
            .map(|i| match kind {
                0 => self.rng.random_range(-bound..=bound),
                1 => bound,
                _ => [-bound, 0, 1.min(bound)][i % 3],
            })
            .collect()
    }

    /// A bound whose logarithm is uniform up to that of a part of the capacity.
    fn bound(&mut self) -> i128 {
        let bits = self.below(self.params.plaintext_bits() as usize * 3 / 4);
        1 << bits
    }

    fn encrypt(&mut self) {
        let bound = self.bound();
        let depth = self.params.depth() - self.below(self.params.depth() + 1) / 2;
        let first = self.values(bound);
        let second = if self.below(3) == 0 {
            self.values(bound)
        } else {
            first.clone()
        };
        let rows = [&first[..], &second[..]];
        let declared = Some(bound as f64);
        let public = self.below(2) == 0;
        let rng = &mut self.rng;
        let ct = if public {
            self.pk.encrypt_rows(rows, depth, declared, rng)
        } else {
            self.sk.encrypt_rows(rows, depth, declared, rng)
        };
        let slots = self.params.slots();
        let fill = |v: &[i64]| (0..slots).map(|i| i128::from(v[i % v.len()])).collect();
        let item = Item {
            ct: ct.unwrap(),
            rows: rows.map(fill),
            bound,
        };
        self.check(&item);
        self.items.push(item);
    }

    fn check(&self, item: &Item) {
        let measured = self.sk.noise_bits(&item.ct).unwrap();
        // What is measured is at least 1 and may be off by 1/2: products with zero have no noise at all.
        let bound = item.ct.noise_bound_bits().max(1.5f64.log2());
        assert!(
            measured <= bound,
            "noise of {measured:.2} bits, bound of {bound:.2}"
        );
        assert!(bound <= self.params.noise_limit(item.depth()).log2() + 1e-9);
        let declared = self.ev.magnitude_bound(&item.ct);
        assert!(declared >= item.bound as f64 && declared <= item.bound as f64 * (1.0 + 1e-9));
        let got = self.sk.decrypt_rows(&item.ct).unwrap();
        for (got, want) in [got.first, got.second].iter().zip(&item.rows) {
            assert!(got.iter().map(|&x| i128::from(x)).eq(want.iter().copied()));
            assert!(want.iter().all(|x| x.abs() <= item.bound));
        }
    }

    fn pick(&mut self) -> Item {
        let i = self.below(self.items.len());
        self.items[i].clone()
    }

    /// One to four items, the same one perhaps more than once.
    fn several(&mut self) -> Vec<Item> {
        (0..1 + self.below(4)).map(|_| self.pick()).collect()
    }

    /// The sum of the products of `terms`.
    fn sum_of(&self, terms: &[(i128, &Item)]) -> Clear {
        let mut out = Clear {
            rows: [0, 1].map(|_| vec![0; self.params.slots()]),
            bound: 0,
        };
        for (weight, item) in terms {
            out.rows = map(&out.rows, |r, i, x| x + weight * item.rows[r][i]);
            out.bound += weight.abs() * item.bound;
        }
        out
    }

    fn products(&self, a: &[Item], b: &[Item]) -> Clear {
        let mut out = self.sum_of(&[]);
        for (a, b) in a.iter().zip(b) {
            out.rows = map(&out.rows, |r, i, x| x + a.rows[r][i] * b.rows[r][i]);
            out.bound += a.bound * b.bound;
        }
        out
    }

    fn rotated(&self, item: &Item, step: i64) -> [Vec<i128>; 2] {
        let slots = self.params.slots() as i64;
        map(&item.rows, |r, i, _| {
            item.rows[r][(i as i64 + step).rem_euclid(slots) as usize]
        })
    }

    fn plain_products(&self, items: &[Item], values: &[Vec<i64>]) -> Clear {
        let mut out = self.sum_of(&[]);
        for (item, v) in items.iter().zip(values) {
            let at = |i: usize| i128::from(v[i % v.len()]);
            out.rows = map(&out.rows, |r, i, x| x + item.rows[r][i] * at(i));
            out.bound += item.bound * v.iter().map(|x| i128::from(x.abs())).max().unwrap_or(0);
        }
        out
    }

    /// Does one operation of each kind's share. Returns its name, what it should give, what it gave, and the depth it started from.
    fn operation(&mut self) -> (&'static str, Vec<Clear>, Result<Vec<Ciphertext>>, usize) {
        let x = self.pick();
        let y = self.pick();
        let ev = self.ev.clone();
        let one = |ct: Result<Ciphertext>| ct.map(|ct| vec![ct]);
        let depth = x.depth();
        let step = STEPS[self.below(4)];
        match self.below(17) {
            0 => {
                let want = self.sum_of(&[(1, &x), (1, &y)]);
                ("add", vec![want], one(ev.add(&x.ct, &y.ct)), depth)
            }
            1 => {
                let want = self.sum_of(&[(1, &x), (-1, &y)]);
                ("sub", vec![want], one(ev.sub(&x.ct, &y.ct)), depth)
            }
            2 => {
                let want = self.sum_of(&[(-1, &x)]);
                ("negate", vec![want], one(ev.negate(&x.ct)), depth)
            }
            3 => {
                let terms = self.several();
                let cts: Vec<_> = terms.iter().map(|t| &t.ct).collect();
                let want = self.sum_of(&terms.iter().map(|t| (1, t)).collect::<Vec<_>>());
                ("sum", vec![want], one(ev.sum(&cts)), depth)
            }
            4 => {
                let bound = self.bound();
                let v = self.values(bound);
                let mut want = self.sum_of(&[(1, &x)]);
                want.rows = map(&want.rows, |_, i, x| x + i128::from(v[i % v.len()]));
                want.bound += v.iter().map(|x| i128::from(x.abs())).max().unwrap_or(0);
                ("add_plain", vec![want], one(ev.add_plain(&x.ct, &v)), depth)
            }
            5 => {
                let bound = 1 << self.below(12);
                let v = self.values(bound);
                let want = self.plain_products(std::slice::from_ref(&x), std::slice::from_ref(&v));
                ("mul_plain", vec![want], one(ev.mul_plain(&x.ct, &v)), depth)
            }
            6 => {
                let mut items = self.several();
                items.retain(|item| item.depth() == depth);
                items.push(x);
                let values: Vec<Vec<i64>> = items.iter().map(|_| self.values(100)).collect();
                let want = self.plain_products(&items, &values);
                let got = || {
                    let plains: Vec<_> = values
                        .iter()
                        .map(|v| ev.prepare(v, depth))
                        .collect::<Result<_>>()?;
                    let cts: Vec<_> = items.iter().map(|t| &t.ct).collect();
                    ev.mul_prepared(&cts, &plains.iter().collect::<Vec<_>>())
                };
                ("mul_prepared", vec![want], one(got()), depth)
            }
            7 => {
                let factor = self.rng.random_range(-40..=40i64);
                let want = self.sum_of(&[(i128::from(factor), &x)]);
                let got = ev.mul_scalar(&x.ct, factor);
                ("mul_scalar", vec![want], one(got), depth)
            }
            8 => {
                let factor = self.rng.random_range(-1000..=1000i64);
                let to = self.below(depth + 1);
                let want = self.sum_of(&[(i128::from(factor), &x)]);
                let got = ev.mul_scalar_to(&x.ct, factor, to);
                let left = if to < depth { depth } else { 0 };
                ("mul_scalar_to", vec![want], one(got), left)
            }
            9 => {
                let items = self.several();
                let rows = 1 + self.below(3);
                let count = rows * items.len();
                let weights: Vec<i64> = (0..count)
                    .map(|_| self.rng.random_range(-50..=50))
                    .collect();
                let want = weights.chunks(items.len()).map(|w| {
                    let terms = w.iter().map(|&w| i128::from(w)).zip(&items);
                    self.sum_of(&terms.collect::<Vec<_>>())
                });
                let want = want.collect();
                let matrix = WeightMatrix::new(rows, items.len(), &weights).unwrap();
                let cts: Vec<_> = items.iter().map(|t| &t.ct).collect();
                let left = items.iter().map(Item::depth).min().unwrap_or(0);
                ("combine", want, ev.combine(matrix, &cts), left)
            }
            10 => {
                let want = self.products(std::slice::from_ref(&x), std::slice::from_ref(&y));
                let left = depth.min(y.depth());
                ("mul", vec![want], one(ev.mul(&x.ct, &y.ct)), left)
            }
            11 => {
                let want = self.products(std::slice::from_ref(&x), std::slice::from_ref(&x));
                ("square", vec![want], one(ev.square(&x.ct)), depth)
            }
            12 => {
                let a = self.several();
                let b: Vec<Item> = a.iter().map(|_| self.pick()).collect();
                let want = self.products(&a, &b);
                let cts = |v: &[Item]| v.iter().map(|t| t.ct.clone()).collect::<Vec<_>>();
                let (ca, cb) = (cts(&a), cts(&b));
                let got = ev.mul_sum(
                    &ca.iter().collect::<Vec<_>>(),
                    &cb.iter().collect::<Vec<_>>(),
                );
                let left = a.iter().chain(&b).map(Item::depth).min().unwrap_or(0);
                ("mul_sum", vec![want], one(got), left)
            }
            13 => {
                let want = Clear {
                    rows: self.rotated(&x, step),
                    bound: x.bound,
                };
                ("rotate", vec![want], one(ev.rotate(&x.ct, step)), depth)
            }
            14 => {
                let items = self.several();
                let steps: Vec<i64> = items
                    .iter()
                    .map(|_| [0, step, 1, 3][self.below(4)])
                    .collect();
                let moved: Vec<Item> = items
                    .iter()
                    .zip(&steps)
                    .map(|(item, &step)| Item {
                        rows: self.rotated(item, step),
                        ..item.clone()
                    })
                    .collect();
                let want = self.sum_of(&moved.iter().map(|t| (1, t)).collect::<Vec<_>>());
                let cts: Vec<_> = items.iter().map(|t| &t.ct).collect();
                (
                    "rotate_sum",
                    vec![want],
                    one(ev.rotate_sum(&cts, &steps)),
                    depth,
                )
            }
            15 => {
                let want = Clear {
                    rows: [x.rows[1].clone(), x.rows[0].clone()],
                    bound: x.bound,
                };
                ("swap_rows", vec![want], one(ev.swap_rows(&x.ct)), depth)
            }
            _ => {
                let to = self.below(depth + 1);
                let mut want = self.sum_of(&[(1, &x)]);
                let got = ev.lower_to(&x.ct, to).and_then(|ct| {
                    assert_eq!(ct.depth(), to);
                    ev.read_ciphertext(&ev.write_ciphertext(&ct))
                });
                if let Ok(ct) = &got {
                    // Rounded up, by at most a quarter.
                    let read = ev.magnitude_bound(ct);
                    let most = (want.bound as f64 * 1.25).min(self.params.max_value());
                    assert!(read >= want.bound as f64 && read <= most * (1.0 + 1e-9));
                    want.bound = read as i128;
                }
                ("lower_to and wire", vec![want], one(got), depth)
            }
        }
    }

    fn step(&mut self) {
        let (name, want, got, left) = self.operation();
        let fits = want.iter().all(|w| w.bound <= self.capacity());
        let end = match got {
            Ok(cts) => {
                assert!(fits, "{name}: a result that may not fit");
                assert_eq!(cts.len(), want.len());
                for (ct, want) in cts.into_iter().zip(want) {
                    let item = Item {
                        ct,
                        rows: want.rows,
                        bound: want.bound,
                    };
                    self.check(&item);
                    self.items.push(item);
                }
                "done"
            }
            Err(Error::Overflow { .. }) => {
                assert!(!fits, "{name}: refused although it fits");
                "overflow"
            }
            Err(Error::Depth { .. }) => {
                assert_eq!(left, 0, "{name}: refused although depth is left");
                "depth"
            }
            Err(Error::Noise {
                bound_bits,
                limit_bits,
                ..
            }) => {
                assert!(bound_bits > limit_bits);
                "noise"
            }
            Err(error) => panic!("{name}: {error}"),
        };
        *self.seen.entry((name, end)).or_default() += 1;
    }

    fn circuit(&mut self) {
        self.items.clear();
        for _ in 0..3 {
            self.encrypt();
        }
        for _ in 0..LENGTH {
            self.step();
        }
    }
}

fn deep() -> bool {
    std::env::var_os("CIPHERBLAS_DEEP").is_some_and(|v| v == "1")
}

/// Runs a share of all circuits, and shows that they were no idle ones.
fn run(params: Params, seed: u64, noisy: bool) {
    let circuits = if deep() { 10_000 } else { 1_000 } / 5;
    let mut machine = Machine::new(params, seed);
    for _ in 0..circuits {
        machine.circuit();
    }
    let ended = |how: &str| -> usize {
        let ended = machine.seen.iter().filter(|((_, end), _)| *end == how);
        ended.map(|(_, count)| count).sum()
    };
    let total = circuits * LENGTH;
    assert!(ended("done") > total / 2, "{:?}", machine.seen);
    assert!(
        ended("overflow") > 0 && ended("depth") > 0,
        "{:?}",
        machine.seen
    );
    assert!(!noisy || ended("noise") > 0, "{:?}", machine.seen);
    assert!(ended("noise") < total / 5, "{:?}", machine.seen);
    let names = machine.seen.keys().filter(|(_, end)| *end == "done");
    assert_eq!(names.count(), 17, "{:?}", machine.seen);
}

fn toy(depth: usize, bits: u32, moduli: usize, headroom: u32, degree: usize) -> Params {
    Params::builder()
        .depth(depth)
        .plaintext_bits(bits)
        .plaintext_moduli(moduli)
        .headroom_bits(headroom)
        .insecure_degree(degree)
        .build()
        .unwrap()
}

#[test]
fn one_modulus() {
    run(toy(3, 40, 1, 10, 1 << 5), 1, false);
}

#[test]
fn two_moduli() {
    run(toy(3, 60, 2, 16, 1 << 6), 2, false);
}

#[test]
fn four_moduli() {
    run(toy(2, 62, 4, 16, 1 << 4), 3, false);
}

#[test]
fn small_values() {
    run(toy(4, 16, 1, 5, 1 << 5), 4, false);
}

/// Without room for sums the bound is soon reached: results up to it are still right.
#[test]
fn at_the_bound_of_the_noise() {
    run(toy(1, 48, 1, 0, 1 << 5), 5, true);
}

/// A secure ring, large enough for several threads.
#[test]
fn parameters_of_a_job() {
    let params = Params::builder()
        .depth(2)
        .plaintext_bits(40)
        .build()
        .unwrap();
    assert!(params.security().is_some());
    let mut machine = Machine::new(params, 6);
    for _ in 0..if deep() { 100 } else { 10 } {
        machine.circuit();
    }
}
