//! What arrays are compared with: NumPy's semantics on plain values, written down naively, and random operations on both.

#![allow(dead_code, unreachable_pub)]

use cipherblas_linalg::{
    ArrayOptions, ArrayPacking, Computes, EncryptedArray, Index, Order, PlainArray, Tile,
    VectorPacking,
};
use cipherblas_scheme::{Decrypt, Encrypt, Result, Scheme, Value};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::ops;

/// Numbers that the oracle computes with.
pub trait Number:
    Value + ops::Add<Output = Self> + ops::Sub<Output = Self> + ops::Mul<Output = Self>
{
    fn small(i: i64) -> Self;
    fn real(self) -> f64;
}
impl Number for f64 {
    fn small(i: i64) -> Self {
        i as f64 / 8.0
    }
    fn real(self) -> f64 {
        self
    }
}
impl Number for i64 {
    fn small(i: i64) -> Self {
        i
    }
    fn real(self) -> f64 {
        self as f64
    }
}

/// A plain array.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<V> {
    pub shape: Vec<usize>,
    pub data: Vec<V>,
}

impl<V: Number> Dense<V> {
    /// Reproducible values in `-8..=8` of [`Number::small`].
    pub fn new(shape: &[usize], seed: usize) -> Self {
        let n = shape.iter().product();
        let at = |i: usize| V::small((((i + 1) * 7919 + seed * 104_729) % 17) as i64 - 8);
        Self {
            shape: shape.to_vec(),
            data: (0..n).map(at).collect(),
        }
    }
    pub fn plain(&self) -> PlainArray<'_, V> {
        PlainArray::new(&self.shape, &self.data).unwrap()
    }
    pub fn dims(&self) -> (usize, usize) {
        match *self.shape {
            [r, c] => (r, c),
            [n] => (1, n),
            _ => (1, 1),
        }
    }
    pub fn at(&self, r: usize, c: usize) -> V {
        self.data[r * self.dims().1 + c]
    }
    pub fn map(&self, f: impl Fn(V) -> V) -> Self {
        Self {
            shape: self.shape.clone(),
            data: self.data.iter().map(|&v| f(v)).collect(),
        }
    }
    pub fn build(shape: &[usize], f: impl Fn(usize, usize) -> V) -> Self {
        let (rows, cols) = Self {
            shape: shape.to_vec(),
            data: vec![],
        }
        .dims();
        let data = (0..rows * cols).map(|i| f(i / cols, i % cols)).collect();
        Self {
            shape: shape.to_vec(),
            data,
        }
    }
    /// `None` if the shapes do not broadcast.
    pub fn zip(&self, other: &Self, f: impl Fn(V, V) -> V) -> Option<Self> {
        let ndim = self.shape.len().max(other.shape.len());
        let dim = |s: &[usize], i: usize| {
            if i + s.len() < ndim {
                1
            } else {
                s[i + s.len() - ndim]
            }
        };
        let mut shape = Vec::new();
        for i in 0..ndim {
            let (a, b) = (dim(&self.shape, i), dim(&other.shape, i));
            if a != b && a != 1 && b != 1 {
                return None;
            }
            shape.push(a.max(b));
        }
        let get = |x: &Self, r: usize, c: usize| {
            let (rows, cols) = x.dims();
            x.at(if rows == 1 { 0 } else { r }, if cols == 1 { 0 } else { c })
        };
        Some(Self::build(&shape, |r, c| {
            f(get(self, r, c), get(other, r, c))
        }))
    }
    pub fn transpose(&self) -> Self {
        match *self.shape {
            [r, c] => Self::build(&[c, r], |i, j| self.at(j, i)),
            _ => self.clone(),
        }
    }
    pub fn matmul(&self, other: &Self) -> Self {
        let ((m, k), (mut k2, mut n)) = (self.dims(), other.dims());
        let column = other.shape.len() == 1;
        if column {
            (k2, n) = (n, 1);
        }
        assert_eq!(k, k2);
        let get = |l: usize, j: usize| {
            if column {
                other.data[l]
            } else {
                other.at(l, j)
            }
        };
        let shape: Vec<usize> = [(self.shape.len() == 2, m), (!column, n)]
            .iter()
            .filter(|x| x.0)
            .map(|x| x.1)
            .collect();
        let data = (0..m * n)
            .map(|i| (0..k).fold(V::ZERO, |s, l| s + self.at(i / n, l) * get(l, i % n)))
            .collect();
        Self { shape, data }
    }
    pub fn sum(&self, axis: Option<usize>) -> Self {
        let (rows, cols) = self.dims();
        let total = |x: &mut dyn Iterator<Item = V>| x.fold(V::ZERO, |s, v| s + v);
        match (axis, self.shape.len()) {
            (Some(0), 2) => {
                Self::build(&[cols], |_, c| total(&mut (0..rows).map(|r| self.at(r, c))))
            }
            (Some(1), 2) => {
                Self::build(&[rows], |_, r| total(&mut (0..cols).map(|c| self.at(r, c))))
            }
            _ => Self {
                shape: vec![],
                data: vec![total(&mut self.data.iter().copied())],
            },
        }
    }
    pub fn slice(&self, indices: &[Index]) -> Self {
        let axes: Vec<(Vec<usize>, bool)> = (0..self.shape.len())
            .map(|axis| match indices.get(axis) {
                None => ((0..self.shape[axis]).collect(), true),
                Some(&Index::At(i)) => (vec![i], false),
                Some(&Index::Range { start, len, step }) => (
                    (0..len as isize)
                        .map(|i| (start as isize + i * step) as usize)
                        .collect(),
                    true,
                ),
            })
            .collect();
        let shape: Vec<usize> = axes.iter().filter(|a| a.1).map(|a| a.0.len()).collect();
        let data = match &*axes {
            [] => self.data.clone(),
            [(a, _)] => a.iter().map(|&i| self.data[i]).collect(),
            [(a, _), (b, _), ..] => a
                .iter()
                .flat_map(|&i| b.iter().map(move |&j| (i, j)))
                .map(|(i, j)| self.at(i, j))
                .collect(),
        };
        Self { shape, data }
    }
    pub fn reshape(&self, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            data: self.data.clone(),
        }
    }
    pub fn concatenate(parts: &[&Self], axis: usize) -> Self {
        if parts[0].shape.len() == 2 && axis == 1 {
            let turned: Vec<Self> = parts.iter().map(|p| p.transpose()).collect();
            return Self::concatenate(&turned.iter().collect::<Vec<_>>(), 0).transpose();
        }
        let mut shape = parts[0].shape.clone();
        shape[0] = parts.iter().map(|p| p.shape[0]).sum();
        let data = parts.iter().flat_map(|p| p.data.iter().copied()).collect();
        Self { shape, data }
    }
}

/// One operation; numbers choose operands, axes and packings among what is possible.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Binary(u8, Other),
    Plain(u8, Other),
    Neg,
    Square,
    Power(u32),
    Polynomial(u8),
    /// On which side, with what, of how many rows or columns (0: a vector).
    Matmul(bool, u8, Other),
    MatmulPlain(bool, u8),
    Sum(u8),
    Slice([u8; 6]),
    Reshape(u8),
    Broadcast(u8, u8),
    Concatenate(u8, Other),
    Transpose,
}

/// How another operand is made.
#[derive(Clone, Copy, Debug)]
pub struct Other {
    pub seed: usize,
    pub packing: u8,
    /// Per axis: as it is, 1, or (where it is 1) something else.
    pub dims: [u8; 2],
    /// Dimensions more or less.
    pub ndim: u8,
}

pub fn other() -> impl Strategy<Value = Other> {
    (0usize..50, 0u8..8, any::<[u8; 2]>(), 0u8..6).prop_map(|(seed, packing, dims, ndim)| Other {
        seed,
        packing,
        dims,
        ndim,
    })
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0u8..3, other()).prop_map(|(k, o)| Op::Binary(k, o)),
        3 => (0u8..4, other()).prop_map(|(k, o)| Op::Plain(k, o)),
        1 => Just(Op::Neg),
        1 => Just(Op::Square),
        1 => (0u32..9).prop_map(Op::Power),
        1 => (1u8..6).prop_map(Op::Polynomial),
        3 => (any::<bool>(), 0u8..6, other()).prop_map(|(l, n, o)| Op::Matmul(l, n, o)),
        2 => (any::<bool>(), 0u8..6).prop_map(|(l, n)| Op::MatmulPlain(l, n)),
        2 => (0u8..3).prop_map(Op::Sum),
        3 => any::<[u8; 6]>().prop_map(Op::Slice),
        1 => any::<u8>().prop_map(Op::Reshape),
        1 => (0u8..6, 0u8..6).prop_map(|(a, b)| Op::Broadcast(a, b)),
        2 => (0u8..2, other()).prop_map(|(a, o)| Op::Concatenate(a, o)),
        1 => Just(Op::Transpose),
    ]
}

pub fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        1 => Just(vec![]),
        2 => prop::collection::vec(1usize..12, 1),
        4 => prop::collection::vec(1usize..8, 2),
    ]
}

/// One of the packings for a shape.
pub fn packing(shape: &[usize], slots: usize, choice: u8) -> ArrayPacking {
    use ArrayPacking::{Auto, Columns, Matrix, Rows, Spread, Vector};
    match (*shape).len() {
        0 => [Auto, Spread][choice as usize % 2],
        1 => {
            let stretched = VectorPacking::stretched(shape[0], 2.min(slots), slots).unwrap();
            let wide = VectorPacking::new(1, slots).unwrap();
            [Auto, Spread, Vector(stretched), Vector(wide)][choice as usize % 4]
        }
        _ => {
            let (r, c) = (shape[0], shape[1]);
            let columns = Tile::fit(Order::ColumnMajor, r, c, slots).unwrap();
            let inner = c.next_power_of_two().min(slots);
            let wide = Tile::new(Order::RowMajor, 1, inner, slots / inner).unwrap();
            let repeat = 2.min(slots / inner);
            let doubled =
                Tile::new(Order::RowMajor, repeat, inner, slots / inner / repeat).unwrap();
            let all = [
                Auto,
                Spread,
                Rows,
                Columns,
                Matrix(columns.into()),
                Matrix(wide.into()),
                Matrix(doubled.into()),
            ];
            all[choice as usize % 7]
        }
    }
}

/// An array and what it should hold.
pub struct Pair<S: Scheme> {
    pub array: EncryptedArray<S>,
    pub dense: Dense<S::Value>,
}

pub struct Setup<S, K> {
    pub server: S,
    pub key: K,
    /// Relative to the largest value of the result.
    pub tolerance: f64,
    /// Declared bound.
    pub bound: Option<f64>,
    /// Only the packing that needs no rotation.
    pub spread: bool,
}

impl<V: Number, S: Computes + Scheme<Value = V>, K: Encrypt<Scheme = S> + Decrypt<Scheme = S>>
    Setup<S, K>
{
    pub fn array(&self, dense: &Dense<V>, choice: u8) -> EncryptedArray<S> {
        let choice = if self.spread { 1 } else { choice };
        let mut options =
            ArrayOptions::new().packing(packing(&dense.shape, self.server.slots(), choice));
        if let Some(bound) = self.bound {
            options = options.bound(bound);
        }
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        EncryptedArray::encrypt(&self.key, &dense.plain(), &options, &mut rng)
            .unwrap()
            .bind(&self.server)
            .unwrap()
    }

    /// Compares all slots: values, copies, and zeros in the padding.
    #[track_caller]
    pub fn check(&self, what: &str, got: Result<EncryptedArray<S>>, want: &Dense<V>) {
        let got = got.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(got.shape(), want.shape, "{what}: shape");
        assert_eq!(got.len(), want.data.len());
        let largest = want.data.iter().map(|v| v.real().abs()).fold(1.0, f64::max);
        let close = |a: V, b: V| (a.real() - b.real()).abs() <= self.tolerance * largest;
        let values = got.decrypt(&self.key).unwrap();
        assert!(
            values.iter().zip(&want.data).all(|(&a, &b)| close(a, b)),
            "{what}: {values:?} instead of {want:?}"
        );
        let (r, c) = want.dims();
        let packed = match (got.as_vector(), got.as_matrix()) {
            (Some(v), None) => v.packing().pack(&want.data).unwrap(),
            (None, Some(m)) => m.packing().pack(r, c, &want.data).unwrap(),
            _ => unreachable!(),
        };
        assert_eq!(got.ciphertexts().len(), packed.len(), "{what}: ciphertexts");
        for (ct, want) in got.ciphertexts().zip(&packed) {
            let slots = self.key.decrypt(ct).unwrap();
            let all = slots.iter().zip(want.iter().cycle());
            assert!(
                all.clone().all(|(&a, &b)| close(a, b)),
                "{what}: {got:?}: slots {slots:?} instead of {want:?}"
            );
        }
    }

    /// Whether an operation is one of products of ciphertexts.
    pub fn multiplies(op: &Op) -> bool {
        matches!(
            op,
            Op::Binary(2, _) | Op::Square | Op::Power(2..) | Op::Polynomial(_) | Op::Matmul(..)
        )
    }

    /// The operand of an operation that broadcasts.
    fn partner(shape: &[usize], other: Other) -> Vec<usize> {
        let mut out: Vec<usize> = shape
            .iter()
            .zip(other.dims)
            .map(|(&n, d)| match d % 4 {
                0 => 1,
                1 if n == 1 => d as usize / 4 % 6 + 1,
                _ => n,
            })
            .collect();
        match other.ndim {
            0 if !out.is_empty() => drop(out.remove(0)),
            1 if out.len() < 2 => out.insert(0, other.dims[1] as usize % 5 + 1),
            2 => out.clear(),
            _ => {}
        }
        out
    }

    /// Performs an operation on both and compares.
    pub fn step(&self, x: &Pair<S>, op: Op) -> Option<Pair<S>> {
        let (a, d) = (&x.array, &x.dense);
        let ndim = d.shape.len();
        let (array, dense) = match op {
            Op::Binary(kind, o) => {
                let y = Dense::new(&Self::partner(&d.shape, o), o.seed);
                let b = self.array(&y, o.packing);
                match kind {
                    0 => (a.add(&b), d.zip(&y, |p, q| p + q)?),
                    1 => (b.sub(a), y.zip(d, |p, q| p - q)?),
                    _ => (b.mul(a), d.zip(&y, |p, q| p * q)?),
                }
            }
            Op::Plain(kind, o) => {
                let y = Dense::new(&Self::partner(&d.shape, o), o.seed);
                let p = y.plain();
                match kind {
                    0 => (a.add_plain(&p), d.zip(&y, |p, q| p + q)?),
                    1 => (a.sub_plain(&p), d.zip(&y, |p, q| p - q)?),
                    2 => (a.rsub_plain(&p), y.zip(d, |p, q| p - q)?),
                    _ => (a.mul_plain(&p), d.zip(&y, |p, q| p * q)?),
                }
            }
            Op::Neg => (a.neg(), d.map(|v| V::ZERO - v)),
            Op::Square => (a.square(), d.map(|v| v * v)),
            Op::Power(n) => (a.power(n), d.map(|v| (0..n).fold(V::ONE, |p, _| p * v))),
            Op::Polynomial(n) => {
                let c = Dense::<V>::new(&[n as usize], 3).data;
                let eval = |v| c.iter().rev().fold(V::ZERO, |s, &c| s * v + c);
                (a.polynomial(&c), d.map(eval))
            }
            Op::Matmul(..) | Op::MatmulPlain(..) if ndim == 0 => return None,
            Op::Matmul(left, n, o) => {
                let y = Self::factor(d, left, n, o.seed);
                let b = self.array(&y, o.packing);
                if left {
                    (b.matmul(a), y.matmul(d))
                } else {
                    (a.matmul(&b), d.matmul(&y))
                }
            }
            Op::MatmulPlain(left, n) => {
                let y = Self::factor(d, left, n, 5);
                if left {
                    (a.plain_matmul(&y.plain()), y.matmul(d))
                } else {
                    (a.matmul_plain(&y.plain()), d.matmul(&y))
                }
            }
            Op::Sum(k) => {
                let axis = (k as usize).checked_sub(1).filter(|&axis| axis < ndim);
                (a.sum(axis), d.sum(axis))
            }
            Op::Slice(k) => {
                let indices: Vec<Index> = (0..ndim)
                    .map(|axis| index(d.shape[axis], &k[3 * axis..3 * axis + 3]))
                    .collect();
                (a.slice(&indices), d.slice(&indices))
            }
            Op::Reshape(k) => {
                let n = d.data.len();
                let mut all = vec![vec![n]];
                all.extend((1..=n).filter(|r| n % r == 0).map(|r| vec![r, n / r]));
                if n == 1 {
                    all.push(vec![]);
                }
                let to = all.swap_remove(k as usize % all.len());
                (a.reshape(&to), d.reshape(&to))
            }
            Op::Broadcast(p, q) => {
                let (p, q) = (p as usize + 1, q as usize + 1);
                let to: Vec<usize> = match *d.shape {
                    [] => vec![p, q],
                    [1] => vec![p, q],
                    [n] => vec![p, n],
                    [1, n] => vec![p, n],
                    [n, 1] => vec![n, q],
                    _ => d.shape.clone(),
                };
                let zeros = Dense::build(&to, |_, _| V::ZERO);
                (a.broadcast_to(&to), d.zip(&zeros, |v, _| v)?)
            }
            Op::Concatenate(..) if ndim == 0 => return None,
            Op::Concatenate(axis, o) => {
                let axis = axis as usize % ndim;
                let mut shape = d.shape.clone();
                shape[axis] = o.dims[0] as usize % 6 + 1;
                let y = Dense::new(&shape, o.seed);
                let b = self.array(&y, o.packing);
                (
                    EncryptedArray::concatenate(&[&b, a, &b], axis),
                    Dense::concatenate(&[&y, d, &y], axis),
                )
            }
            Op::Transpose => (a.transpose(), d.transpose()),
        };
        self.check(&format!("{op:?} of {a:?}"), array.clone(), &dense);
        Some(Pair {
            array: array.unwrap(),
            dense,
        })
    }

    fn factor(d: &Dense<V>, left: bool, n: u8, seed: usize) -> Dense<V> {
        let k = if left || d.shape.len() == 1 {
            d.shape[0]
        } else {
            d.shape[1]
        };
        let shape = match (n as usize, left) {
            (0, _) => vec![k],
            (n, true) => vec![n, k],
            (n, false) => vec![k, n],
        };
        Dense::new(&shape, seed)
    }
}

fn index(n: usize, k: &[u8]) -> Index {
    let [a, b, c] = [k[0] as usize, k[1] as usize, k[2] as usize];
    match a % 4 {
        0 => Index::At(b % n),
        1 => Index::Range {
            start: 0,
            len: n,
            step: 1,
        },
        2 => {
            let (start, step) = (b % n, (c % 3) + 1);
            let most = (n - start).div_ceil(step);
            Index::Range {
                start,
                len: c / 3 % most + 1,
                step: step as isize,
            }
        }
        _ => {
            let (start, step) = (b % n, (c % 3) + 1);
            Index::Range {
                start,
                len: c / 3 % (start / step + 1) + 1,
                step: -(step as isize),
            }
        }
    }
}
