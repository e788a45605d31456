//! The scaled tensor `round(t/Q a (x) b)` by different methods on the same building blocks, one thread: the figures of ADR 0014.
//! Prints processor time, since wall time depends on who else computes; checks that the methods agree.

use cipherblas_math::primes::primes_near;
use cipherblas_math::{Backend, BaseConverter, Kernels, Modulus, NttPlan};
use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

thread_local! {
    /// Buffers for reuse: fresh ones would cost more in page faults than the transforms.
    static FREE: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) };
}

/// `n` residues, in a buffer that is used again.
struct Limb(Vec<f64>);

impl Limb {
    fn new(n: usize) -> Self {
        let free = FREE.with_borrow_mut(Vec::pop).filter(|x| x.len() == n);
        Self(free.unwrap_or_else(|| vec![0.0; n]))
    }
}

impl Drop for Limb {
    fn drop(&mut self) {
        FREE.with_borrow_mut(|free| free.push(std::mem::take(&mut self.0)));
    }
}

impl Clone for Limb {
    fn clone(&self) -> Self {
        let mut out = Self::new(self.len());
        out.copy_from_slice(self);
        out
    }
}

impl Deref for Limb {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl DerefMut for Limb {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.0
    }
}

type Limbs = Vec<Limb>;

fn limbs(count: usize, n: usize) -> Limbs {
    (0..count).map(|_| Limb::new(n)).collect()
}

/// Residues converted at a time.
const PIECE: usize = 1024;

const T: u64 = 1_032_193;

struct Base {
    moduli: Vec<Modulus>,
    plans: Vec<NttPlan>,
}

impl Base {
    fn new(n: usize, primes: &[u64]) -> Self {
        let moduli: Vec<Modulus> = primes.iter().map(|&p| Modulus::new(p).unwrap()).collect();
        let plans = moduli
            .iter()
            .map(|&m| NttPlan::new(n, m).unwrap())
            .collect();
        Self { moduli, plans }
    }
    fn product(&self, m: Modulus) -> u64 {
        let fold = |acc, p: &Modulus| m.mul(acc, m.reduce_u64(p.value()));
        self.moduli.iter().fold(1, fold)
    }
    fn inverse(&self, m: Modulus) -> u64 {
        m.inv(self.product(m)).unwrap()
    }
    fn forward(&self, x: &mut Limbs) {
        self.plans.iter().zip(x).for_each(|(p, x)| p.forward(x));
    }
    fn inverse_transform(&self, x: &mut Limbs) {
        self.plans.iter().zip(x).for_each(|(p, x)| p.inverse(x));
    }
    fn tensor(&self, a: &[Limbs; 2], b: &[Limbs; 2]) -> [Limbs; 3] {
        let n = self.plans[0].n();
        let mut d: [Limbs; 3] = std::array::from_fn(|_| limbs(self.plans.len(), n));
        let [d0, d1, d2] = &mut d;
        for (k, plan) in self.plans.iter().enumerate() {
            let (d0, d1, d2) = (&mut d0[k], &mut d1[k], &mut d2[k]);
            let kernels = plan.kernels();
            kernels.tensor(d0, d1, d2, &a[0][k], &a[1][k], &b[0][k], &b[1][k]);
        }
        d
    }
}

fn convert(converter: &BaseConverter, x: &Limbs) -> Limbs {
    let n = x[0].len();
    let mut out = limbs(converter.targets(), n);
    for start in (0..n).step_by(PIECE) {
        let end = (start + PIECE).min(n);
        let from: Vec<&[f64]> = x.iter().map(|x| &x[start..end]).collect();
        let mut to: Vec<&mut [f64]> = out.iter_mut().map(|x| &mut x[start..end]).collect();
        converter.convert(&from, &mut to);
    }
    out
}

fn converter(from: &Base, to: &Base) -> BaseConverter {
    BaseConverter::new(&from.moduli, &to.moduli).unwrap()
}

/// `x` modulo `from` to `-[factor x] / from` modulo `to`.
fn divider(from: &Base, to: &Base, factor: impl Fn(Modulus) -> u64) -> BaseConverter {
    let after = |m: Modulus| m.neg(from.inverse(m));
    BaseConverter::scaled(&from.moduli, &to.moduli, factor, after, Backend::detect()).unwrap()
}

/// Halevi, Polyakov, Shoup: both operands extended to R > t N Q; the quotient found modulo R and converted back.
struct Hps {
    q: Base,
    r: Base,
    extend: BaseConverter,
    divide: BaseConverter,
    back: BaseConverter,
}

impl Hps {
    fn new(n: usize, q: &[u64], r: &[u64]) -> Self {
        let (q, r) = (Base::new(n, q), Base::new(n, r));
        Self {
            extend: converter(&q, &r),
            divide: divider(&q, &r, |m| m.reduce_u64(T)),
            back: converter(&r, &q),
            q,
            r,
        }
    }
    fn extended(&self, x: &[Limbs; 2]) -> [Limbs; 2] {
        [0, 1].map(|i| {
            let mut coefficients = x[i].clone();
            self.q.inverse_transform(&mut coefficients);
            let mut extended = convert(&self.extend, &coefficients);
            self.r.forward(&mut extended);
            extended
        })
    }
    fn run(&self, a: &[Limbs; 2], b: &[Limbs; 2]) -> [Limbs; 3] {
        let (ra, rb) = (self.extended(a), self.extended(b));
        let (dq, dr) = (self.q.tensor(a, b), self.r.tensor(&ra, &rb));
        let mut halves = dq.into_iter().zip(dr);
        std::array::from_fn(|_| {
            let (mut dq, mut dr) = halves.next().unwrap();
            self.q.inverse_transform(&mut dq);
            let rounded = convert(&self.divide, &dq);
            for (k, plan) in self.r.plans.iter().enumerate() {
                let m = plan.modulus();
                plan.inverse(&mut dr[k]);
                let factor = m.residue(m.mul(m.reduce_u64(T), self.q.inverse(m)));
                plan.kernels().scale_assign(&mut dr[k], factor);
                plan.kernels().add_assign(&mut dr[k], &rounded[k]);
            }
            let mut out = convert(&self.back, &dr);
            self.q.forward(&mut out);
            out
        })
    }
}

/// Bajard, Eynard, Hasan, Zucca: conversions without overflow counts, corrected by a Montgomery reduction with one more modulus where
/// operands are extended, and by a redundant prime where the quotient comes back (Shenoy, Kumaresan).
struct Behz {
    q: Base,
    /// The auxiliary primes and, last, the redundant one.
    r: Base,
    /// From Q to those and, last, the Montgomery modulus, from `m x` to `x / m` and `-x / Q`.
    extend: BaseConverter,
    montgomery: Modulus,
    divide: BaseConverter,
    /// From the auxiliary primes but the redundant one to Q, and to the redundant one divided by their product.
    back: BaseConverter,
    redundant: BaseConverter,
    auxiliary: Base,
}

impl Behz {
    fn new(n: usize, q: &[u64], r: &[u64], montgomery: u64) -> Self {
        let (q, auxiliary) = (Base::new(n, q), Base::new(n, &r[..r.len() - 1]));
        let r = Base::new(n, r);
        let montgomery = Modulus::new(montgomery).unwrap();
        let modulo = |m: Modulus| m.reduce_u64(montgomery.value());
        let after = |m: Modulus| match m == montgomery {
            true => m.neg(q.inverse(m)),
            false => m.inv(modulo(m)).unwrap(),
        };
        let to = [&r.moduli[..], &[montgomery]].concat();
        let redundant = [r.moduli[r.moduli.len() - 1]];
        let over = |m: Modulus| auxiliary.inverse(m);
        Self {
            extend: BaseConverter::scaled(&q.moduli, &to, modulo, after, Backend::detect())
                .unwrap(),
            montgomery,
            divide: divider(&q, &r, |m| m.reduce_u64(T)),
            back: converter(&auxiliary, &q),
            redundant: BaseConverter::scaled(
                &auxiliary.moduli,
                &redundant,
                |_| 1,
                over,
                Backend::detect(),
            )
            .unwrap(),
            auxiliary,
            q,
            r,
        }
    }
    fn extended(&self, x: &[Limbs; 2]) -> [Limbs; 2] {
        [0, 1].map(|i| {
            let mut coefficients = x[i].clone();
            self.q.inverse_transform(&mut coefficients);
            let mut extended = convert_roughly(&[&self.extend], &coefficients).remove(0);
            let mut count = extended.pop().unwrap();
            Kernels::new(self.montgomery, Backend::detect()).reduce_assign(&mut count);
            for (plan, x) in self.r.plans.iter().zip(&mut extended) {
                let m = plan.modulus();
                let over = m.inv(m.reduce_u64(self.montgomery.value())).unwrap();
                let factor = m.residue(m.mul(self.q.product(m), over));
                plan.kernels().scale_add_assign(x, &count, factor);
            }
            self.r.forward(&mut extended);
            extended
        })
    }
    fn run(&self, a: &[Limbs; 2], b: &[Limbs; 2]) -> [Limbs; 3] {
        let (ra, rb) = (self.extended(a), self.extended(b));
        let (dq, dr) = (self.q.tensor(a, b), self.r.tensor(&ra, &rb));
        let mut halves = dq.into_iter().zip(dr);
        std::array::from_fn(|_| {
            let (mut dq, mut dr) = halves.next().unwrap();
            self.q.inverse_transform(&mut dq);
            let rounded = convert_roughly(&[&self.divide], &dq).remove(0);
            for (k, plan) in self.r.plans.iter().enumerate() {
                let m = plan.modulus();
                plan.inverse(&mut dr[k]);
                let factor = m.residue(m.mul(m.reduce_u64(T), self.q.inverse(m)));
                plan.kernels().scale_assign(&mut dr[k], factor);
                plan.kernels().add_assign(&mut dr[k], &rounded[k]);
            }
            let last = dr.pop().unwrap();
            let mut both = convert_roughly(&[&self.back, &self.redundant], &dr);
            let mut count = both.remove(1).remove(0);
            let plan = &self.r.plans[self.r.plans.len() - 1];
            let over = plan
                .modulus()
                .residue(self.auxiliary.inverse(plan.modulus()));
            plan.kernels().scale_add_assign(&mut count, &last, -over);
            plan.kernels().reduce_assign(&mut count);
            let mut out = both.remove(0);
            for (plan, x) in self.q.plans.iter().zip(&mut out) {
                let m = plan.modulus();
                let factor = -m.residue(self.auxiliary.product(m));
                plan.kernels().scale_add_assign(x, &count, factor);
            }
            self.q.forward(&mut out);
            out
        })
    }
}

/// Conversions from one base, with one factor before, without the overflow counts: off by a few times its product.
fn convert_roughly(converters: &[&BaseConverter], x: &Limbs) -> Vec<Limbs> {
    let n = x[0].len();
    let mut out: Vec<Limbs> = converters.iter().map(|c| limbs(c.targets(), n)).collect();
    let mut y = vec![[0.0; PIECE]; x.len()];
    let (mut counts, zeros) = ([0.0; PIECE], [0.0; PIECE]);
    for start in (0..n).step_by(PIECE) {
        let piece = start..start + PIECE;
        let from: Vec<&[f64]> = x.iter().map(|x| &x[piece.clone()]).collect();
        let mut to: Vec<&mut [f64]> = y.iter_mut().map(|y| &mut y[..]).collect();
        converters[0].prepare(&from, &mut to, &mut counts);
        let y: Vec<&[f64]> = y.iter().map(|y| &y[..]).collect();
        for (converter, out) in converters.iter().zip(&mut out) {
            for (j, out) in out.iter_mut().enumerate() {
                converter.finish(&y, &zeros, j, &mut out[piece.clone()]);
            }
        }
    }
    out
}

/// Kim, Polyakov, Zucca: one operand scaled to R, about as large as Q; the quotient found modulo Q.
struct OverQ {
    q: Base,
    r: Base,
    extend: BaseConverter,
    divide: BaseConverter,
    back: BaseConverter,
    down: BaseConverter,
}

impl OverQ {
    fn new(n: usize, q: &[u64], r: &[u64]) -> Self {
        let (q, r) = (Base::new(n, q), Base::new(n, r));
        Self {
            extend: converter(&q, &r),
            divide: divider(&q, &r, |m| r.product(m)),
            back: converter(&r, &q),
            down: divider(&r, &q, |m| m.reduce_u64(T)),
            q,
            r,
        }
    }
    fn run(&self, a: &[Limbs; 2], b: &[Limbs; 2]) -> [Limbs; 3] {
        let coefficients = |x: &Limbs| {
            let mut x = x.clone();
            self.q.inverse_transform(&mut x);
            x
        };
        let ra = [0, 1].map(|i| {
            let mut ra = convert(&self.extend, &coefficients(&a[i]));
            self.r.forward(&mut ra);
            ra
        });
        let mut qb: [Limbs; 2] = [vec![], vec![]];
        let rb = [0, 1].map(|i| {
            let mut rb = convert(&self.divide, &coefficients(&b[i]));
            qb[i] = convert(&self.back, &rb);
            self.q.forward(&mut qb[i]);
            self.r.forward(&mut rb);
            rb
        });
        let (dq, dr) = (self.q.tensor(a, &qb), self.r.tensor(&ra, &rb));
        let mut halves = dq.into_iter().zip(dr);
        std::array::from_fn(|_| {
            let (dq, mut dr) = halves.next().unwrap();
            self.r.inverse_transform(&mut dr);
            let mut out = convert(&self.down, &dr);
            self.q.forward(&mut out);
            for (k, plan) in self.q.plans.iter().enumerate() {
                let m = plan.modulus();
                let factor = m.residue(m.mul(m.reduce_u64(T), self.r.inverse(m)));
                plan.kernels().scale_add_assign(&mut out[k], &dq[k], factor);
            }
            out
        })
    }
}

/// Nanoseconds that this thread has computed, or wall time where the system does not say.
fn clock(start: Instant) -> f64 {
    fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|s| s.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| start.elapsed().as_nanos() as f64)
}

/// Milliseconds of processor time: the least of several batches, as the system counts time in ticks.
fn least(mut f: impl FnMut()) -> f64 {
    const BATCH: usize = 60;
    let start = Instant::now();
    let mut batch = || {
        let before = clock(start);
        (0..BATCH).for_each(|_| f());
        (clock(start) - before) / 1e6 / BATCH as f64
    };
    (0..5).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

/// The coefficients of the difference modulo the first two primes: the same small integers, if the methods agree.
fn compare(q: &Base, x: &[Limbs; 3], y: &[Limbs; 3], most: f64) {
    for (x, y) in x.iter().zip(y) {
        let difference = [0, 1].map(|k| {
            let mut d = x[k].clone();
            let plan = &q.plans[k];
            plan.kernels().sub_assign(&mut d, &y[k]);
            plan.inverse(&mut d);
            plan.kernels().reduce_assign(&mut d);
            d
        });
        assert!(difference[0][..] == difference[1][..], "the methods agree");
        assert!(difference[0].iter().all(|d| d.abs() <= most));
    }
}

fn log_of(primes: &[u64]) -> f64 {
    primes.iter().map(|&p| (p as f64).log2()).sum()
}

fn main() {
    println!("processor time in ms, one thread, t = {T}");
    for (log_n, primes, bits) in [
        (13usize, 3, 49.9f64),
        (13, 4, 44.0),
        (14, 7, 49.9),
        (14, 8, 47.0),
    ] {
        let n = 1 << log_n;
        let q = primes_near(bits.exp2() as u64, 2 * n as u64, primes, &[T]).unwrap();
        let log_q = log_of(&q);
        let r = primes_near((1 << 50) - 1, 2 * n as u64, primes + 3, &q).unwrap();
        let count = |needed: f64| (1..).find(|&k| log_of(&r[..k]) >= needed).unwrap();
        let needed = log_q + (T as f64).log2() + log_n as f64 + 1.0;
        let (wide, narrow) = (count(needed), count(log_q - 1.0));
        let base = Base::new(n, &q);
        let mut state = 1u64;
        let mut random = |bits: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> (64 - bits)
        };
        let mut operand = || -> [Limbs; 2] {
            std::array::from_fn(|_| {
                let limb = |m: &Modulus| {
                    let mut limb = Limb::new(n);
                    limb.fill_with(|| m.residue(m.reduce_u64(random(62))));
                    limb
                };
                base.moduli.iter().map(limb).collect()
            })
        };
        let (a, b) = (operand(), operand());
        let hps = Hps::new(n, &q, &r[..wide]);
        let behz = Behz::new(n, &q, &r[..wide], r[wide]);
        let over = OverQ::new(n, &q, &r[..narrow]);
        let result = hps.run(&a, &b);
        // The division without overflow counts is off by up to half the number of primes.
        compare(&base, &result, &behz.run(&a, &b), primes as f64);
        // Coefficient by coefficient, the error of a half of `b'` meets N coefficients of two halves of `a`.
        let ratio = (log_q - log_of(&r[..narrow])).exp2();
        let spread = T as f64 * n as f64 * ratio / 2.0 + 2.0;
        compare(&base, &result, &over.run(&a, &b), spread);
        let times = [
            least(|| drop(black_box(hps.run(&a, &b)))),
            least(|| drop(black_box(behz.run(&a, &b)))),
            least(|| drop(black_box(over.run(&a, &b)))),
        ];
        println!(
            "N = 2^{log_n}, {primes} primes, log Q = {log_q:.0}: HPS ({wide} auxiliary primes) {:.2}; BEHZ (as many, one of them redundant) {:.2}; HPS over Q ({narrow}) {:.2}",
            times[0], times[1], times[2]
        );
    }
}
