"""``cipherblas`` as its users call it, from the wheel that was built of this tree."""

import functools
import math

import cipherblas as cb
import numpy as np

import data
from data import COEFFICIENTS, LEN, PAILLIER, ROW, Work

# Precision at least TenSEAL's at the same depth, both inside 2^13. See the errors in the rows.
PRECISION_BITS = {2: 28, 3: 22}
INTEGER_BITS = 20  # as TenSEAL's plain modulus has
FRACTION_BITS = 53  # phe has doubles in full; the operands are multiples of 2^-52
OVERHEAD = {"depth": 2, "precision_bits": 25}  # as in ours/arrays.rs


class Keys:
    """The three roles with keys of their own."""

    def __init__(self, params):
        self.params = params
        self.sk = cb.SecretKey.generate(params)
        self.pk = self.sk.public_key()
        self.ek = self.sk.evaluation_keys()
        self.note = (
            f"N=2^{params.degree.bit_length() - 1}, log QP {math.ceil(params.log2_qp or 0)}, {params.depth} levels"
        )

        # Exact schemes refuse products that might not fit: they are told how large the operands are.
        self.bound = {"bound": data.INTEGERS} if params.scheme == "bfv" else {}

    def encrypt(self, *arrays):
        return [self.sk.encrypt(array, self.ek, **self.bound) for array in arrays]


@functools.cache
def ckks(depth=2):
    return Keys(cb.CkksParams(depth=depth, precision_bits=PRECISION_BITS[depth]))


@functools.cache
def bfv():
    return Keys(cb.BfvParams(depth=1, plaintext_bits=INTEGER_BITS))


@functools.cache
def paillier(bits):
    return Keys(cb.PaillierParams(bits=bits, fraction_bits=FRACTION_BITS))


@functools.cache
def vectors():
    """Two vectors in clear and encrypted, and the keys."""
    keys = ckks()
    a, b = data.reals(LEN, seed=1), data.reals(LEN, seed=2)
    return a, b, *keys.encrypt(a, b), keys


def checked(kind, keys, call, expected):
    """`call` gives an array that decrypts to `expected`."""
    return Work(call, f"{data.error(kind, keys.sk.decrypt(call()), expected)}, {keys.note}")


def on_vectors(kind, call, expected):
    """An operation of two vectors, `call` on them encrypted and `expected` of them in clear; also the second in clear."""

    def work(threads):
        a, b, x, y, keys = vectors()
        return checked(kind, keys, lambda: call(x, y, b), expected(a, b))

    return work


def encrypt(threads):
    a, _, _, _, keys = vectors()
    return checked("encrypt", keys, lambda: keys.pk.encrypt(a, keys.ek), a)


def encrypt_secret(threads):
    a, _, _, _, keys = vectors()
    return checked("encrypt", keys, lambda: keys.sk.encrypt(a, keys.ek), a)


def decrypt(threads):
    a, _, x, _, keys = vectors()
    call = lambda: keys.sk.decrypt(x)
    return Work(call, f"{data.error('encrypt', call(), a)}, {keys.note}")


def serialize(threads):
    a, _, _, _, keys = vectors()
    x = keys.pk.encrypt(a, keys.ek)  # as TenSEAL's; what the secret key encrypts may be smaller
    return Work(x.to_bytes, f"{len(x.to_bytes())} bytes, {keys.note}")


def deserialize(threads):
    a, _, _, _, keys = vectors()
    blob = keys.pk.encrypt(a, keys.ek).to_bytes()
    return checked("encrypt", keys, lambda: keys.ek.load(blob), a)


def polynomial(threads, degree):
    keys, a = ckks(2 if degree <= 3 else 3), data.reals(LEN, seed=1)
    (x,) = keys.encrypt(a)
    coefficients = list(COEFFICIENTS[: degree + 1])
    expected = np.polynomial.polynomial.polyval(a, coefficients)
    return checked("polynomial", keys, lambda: x.polynomial(coefficients), expected)


def vecmat(threads, rows, cols):
    v, matrix = data.reals(rows, seed=3), data.reals(rows, cols, seed=4)
    (x,) = ckks().encrypt(v)
    return checked("vecmat", ckks(), lambda: x @ matrix, v @ matrix)


def matmul(threads, size):
    a, b = data.reals(size, size, seed=5), data.reals(size, size, seed=6)
    x, y = ckks().encrypt(a, b)
    return checked("matmul", ckks(), lambda: x @ y, a @ b)


def exact(name, call, expected):
    """An operation of two vectors of integers."""

    def work(threads):
        keys, a, b = bfv(), data.integers(LEN, seed=7), data.integers(LEN, seed=8)
        x, y = keys.encrypt(a, b)
        right = data.exact(name, keys.sk.decrypt(call(x, y)), expected(a, b))
        return Work(lambda: call(x, y), f"{right}, {keys.note}")

    return work


def on_numbers(call, expected, count=PAILLIER):
    """An operation of Paillier arrays: of the first `count` values, `call(keys, a, b, x, y)`."""

    def work(threads, bits):
        keys = paillier(bits)
        a, b = data.reals(PAILLIER, seed=9)[:count], data.reals(PAILLIER, seed=10)[:count]
        x, y = keys.encrypt(a, b)
        run = lambda: call(keys, a, b, x, y)
        result = run()
        got = result if isinstance(result, np.ndarray) else keys.sk.decrypt(result)
        return Work(run, data.error("paillier", got, expected(a, b)))

    return work


@functools.cache
def overhead_keys(scheme):
    return Keys(cb.CkksParams(**OVERHEAD) if scheme == "ckks" else cb.BfvParams(depth=1, plaintext_bits=INTEGER_BITS))


def overhead(threads, scheme, call, size):
    """The call that ours/arrays.rs times in Rust: of `size` values, or of a square matrix of so many rows."""
    keys = overhead_keys(scheme)
    shape = (size, size) if call in ("matvec_plain", "matmul") else (size,)
    a = data.spread(*shape) if scheme == "ckks" else data.spread_integers(*shape)
    x, y = keys.encrypt(a, a[::-1].copy())
    b, column = a[::-1].copy(), a[0].copy() if a.ndim == 2 else None
    blob = x.to_bytes()
    calls = {
        "encrypt": (lambda: keys.encrypt(a)[0], lambda: a),
        "decrypt": (lambda: keys.sk.decrypt(x), lambda: a),
        "to_bytes": (x.to_bytes, None),
        "from_bytes": (lambda: keys.ek.load(blob), lambda: a),
        "add": (lambda: x + y, lambda: a + b),
        "mul": (lambda: x * y, lambda: a * b),
        "add_plain": (lambda: x + b, lambda: a + b),
        "mul_plain": (lambda: x * b, lambda: a * b),
        "sum": (lambda: x.sum(), lambda: a.sum()),
        "matvec_plain": (lambda: x @ column, lambda: a @ column),
        "matmul": (lambda: x @ y, lambda: a @ b),
    }
    run, expected = calls[call]
    if expected is not None:
        result = run()
        got = result if isinstance(result, np.ndarray) else keys.sk.decrypt(result)
        np.testing.assert_allclose(got, expected(), rtol=0, atol=2.0**-10)
    return Work(run, keys.note)


OPERATIONS = {
    "encrypt": encrypt,
    "encrypt_secret": encrypt_secret,
    "decrypt": decrypt,
    "serialize": serialize,
    "deserialize": deserialize,
    "add": on_vectors("add", lambda x, y, b: x + y, lambda a, b: a + b),
    "add_plain": on_vectors("add", lambda x, y, b: x + b, lambda a, b: a + b),
    "mul": on_vectors("mul", lambda x, y, b: x * y, lambda a, b: a * b),
    "mul_plain": on_vectors("mul", lambda x, y, b: x * b, lambda a, b: a * b),
    "dot": on_vectors("dot", lambda x, y, b: x.dot(y), lambda a, b: a @ b),
    "sum": on_vectors("sum", lambda x, y, b: x.sum(), lambda a, b: a.sum()),
    "polynomial": polynomial,
    "vecmat": vecmat,
    "matmul": matmul,
    "bfv_add": exact("add", lambda x, y: x + y, lambda a, b: a + b),
    "bfv_mul": exact("mul", lambda x, y: x * y, lambda a, b: a * b),
    "bfv_dot": exact("dot", lambda x, y: x.dot(y), lambda a, b: a @ b),
    "paillier_encrypt": on_numbers(lambda keys, a, b, x, y: keys.pk.encrypt(a), lambda a, b: a),
    "paillier_encrypt_secret": on_numbers(lambda keys, a, b, x, y: keys.sk.encrypt(a), lambda a, b: a),
    "paillier_decrypt": on_numbers(lambda keys, a, b, x, y: keys.sk.decrypt(x), lambda a, b: a),
    "paillier_add": on_numbers(lambda keys, a, b, x, y: x + y, lambda a, b: a + b),
    "paillier_mul_plain": on_numbers(lambda keys, a, b, x, y: x * b, lambda a, b: a * b),
    "paillier_dot_plain": on_numbers(lambda keys, a, b, x, y: x.dot(b), lambda a, b: a @ b, ROW),
    "overhead": overhead,
}
