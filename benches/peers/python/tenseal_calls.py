"""TenSEAL as its users call it: parameters from its tutorials, operands from NumPy."""

import functools

import numpy as np
import tenseal as ts

import data
from data import COEFFICIENTS, LEN, Work

# Of its README and of its tutorials 0 and 2; both tables of security give 2^13 at least 200 bits: 218 (2018), 214 (2024).
TUTORIAL = (2**13, (60, 40, 40, 60))
# One level more: the tutorials' primes need the next degree; smaller outer primes fit 2^13, to the last bit of 2024.
DEEPER = {2**14: (60, 40, 40, 40, 60), 2**13: (47, 40, 40, 40, 47)}
SCALE = 2.0**40
PLAIN_MODULUS = 1032193  # of its README, 20 bits
SYMMETRIC = ts.ENCRYPTION_TYPE.SYMMETRIC
ASYMMETRIC = ts.ENCRYPTION_TYPE.ASYMMETRIC


@functools.cache
def ckks(threads, degree, bits, encryption=ASYMMETRIC):
    context = ts.context(
        ts.SCHEME_TYPE.CKKS,
        poly_modulus_degree=degree,
        coeff_mod_bit_sizes=list(bits),
        encryption_type=encryption,
        n_threads=threads,
    )
    context.global_scale = SCALE
    context.generate_galois_keys()
    return context


@functools.cache
def bfv(threads, degree):
    context = ts.context(ts.SCHEME_TYPE.BFV, poly_modulus_degree=degree, plain_modulus=PLAIN_MODULUS, n_threads=threads)
    context.generate_galois_keys()
    return context


def said(degree, bits):
    return f"N=2^{degree.bit_length() - 1}, primes {'+'.join(map(str, bits))}"


@functools.cache
def vectors(threads):
    """Two vectors in clear and encrypted, and the context."""
    context = ckks(threads, *TUTORIAL)
    a, b = data.reals(LEN, seed=1), data.reals(LEN, seed=2)
    return a, b, ts.ckks_vector(context, a), ts.ckks_vector(context, b), context


def checked(kind, call, expected, parameters=TUTORIAL, keep=False):
    """`call` gives a vector or a tensor that decrypts to `expected`."""
    result, seconds = data.timed(call)
    decrypted = result.decrypt()
    got = decrypted.tolist() if hasattr(decrypted, "tolist") else decrypted
    note = f"{data.error(kind, got, expected)}, {said(*parameters)}"
    return Work(call, note, seconds if keep else None)


def on_vectors(kind, call, expected):
    """An operation of two vectors, `call` on them encrypted and `expected` of them in clear; also the second in clear."""

    def work(threads):
        a, b, x, y, _ = vectors(threads)
        return checked(kind, lambda: call(x, y, b), expected(a, b))

    return work


def encrypt(threads):
    a, _, _, _, context = vectors(threads)
    return checked("encrypt", lambda: ts.ckks_vector(context, a), a)


def encrypt_secret(threads):
    context, a = ckks(threads, *TUTORIAL, SYMMETRIC), data.reals(LEN, seed=1)
    return checked("encrypt", lambda: ts.ckks_vector(context, a), a)


def decrypt(threads):
    a, _, x, _, _ = vectors(threads)
    return Work(x.decrypt, f"{data.error('encrypt', x.decrypt(), a)}, {said(*TUTORIAL)}")


def serialize(threads):
    _, _, x, _, _ = vectors(threads)
    return Work(x.serialize, f"{len(x.serialize())} bytes, {said(*TUTORIAL)}")


def deserialize(threads):
    a, _, x, _, context = vectors(threads)
    blob = x.serialize()
    return checked("encrypt", lambda: ts.ckks_vector_from(context, blob), a)


def polynomial(threads, degree, ring=2**13):
    coefficients = list(COEFFICIENTS[: degree + 1])
    parameters = TUTORIAL if degree <= 3 else (ring, DEEPER[ring])
    a = data.reals(LEN, seed=1)
    x = ts.ckks_vector(ckks(threads, *parameters), a)
    expected = np.polynomial.polynomial.polyval(a, coefficients)
    return checked("polynomial", lambda: x.polyval(coefficients), expected, parameters)


def vecmat(threads, rows, cols):
    v, matrix = data.reals(rows, seed=3), data.reals(rows, cols, seed=4)
    x = ts.ckks_vector(ckks(threads, *TUTORIAL), v)
    return checked("vecmat", lambda: x.mm(matrix), v @ matrix)


def matmul(threads, size):
    context = ckks(threads, *TUTORIAL)
    a, b = data.reals(size, size, seed=5), data.reals(size, size, seed=6)
    x, y = ts.ckks_tensor(context, a), ts.ckks_tensor(context, b)
    work = checked("matmul", lambda: x.mm(y), a @ b, keep=True)
    return Work(work.call, f"tensors, a ciphertext for each entry, {work.note}", work.first)


def exact(name, call, expected):
    """An operation of two vectors of integers."""

    def work(threads, ring=2**13):
        context = bfv(threads, ring)
        a, b = data.integers(LEN, seed=7), data.integers(LEN, seed=8)
        x, y = ts.bfv_vector(context, a), ts.bfv_vector(context, b)
        right = data.exact(name, call(x, y).decrypt(), expected(a, b))
        bits = {2**12: 109, 2**13: 218}[ring]
        return Work(lambda: call(x, y), f"{right}, N=2^{ring.bit_length() - 1}, log QP {bits}, t {PLAIN_MODULUS}")

    return work


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
}
