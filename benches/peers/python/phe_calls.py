"""``phe`` as its users call it: encrypted numbers in lists. It has no arrays and one thread."""

import functools

import phe

import data
from data import PAILLIER, ROW, Work


@functools.cache
def keys(bits):
    return phe.generate_paillier_keypair(n_length=bits)


@functools.cache
def operands(bits):
    """Two arrays in clear and encrypted. Scalars are Python's own, the fastest that `phe` takes."""
    public, _ = keys(bits)
    a, b = data.reals(PAILLIER, seed=9).tolist(), data.reals(PAILLIER, seed=10).tolist()
    return a, b, [public.encrypt(v) for v in a], [public.encrypt(v) for v in b]


def checked(bits, call, expected):
    _, secret = keys(bits)
    result = call()
    got = [secret.decrypt(ct) for ct in result] if isinstance(result, list) else [secret.decrypt(result)]
    return Work(call, data.error("paillier", got, expected))


def encrypt(threads, bits):
    public, _ = keys(bits)
    a = operands(bits)[0]
    work = checked(bits, lambda: [public.encrypt(v) for v in a], a)
    return Work(work.call, f"{work.note}, full r^n")


def decrypt(threads, bits):
    _, secret = keys(bits)
    a, _, x, _ = operands(bits)
    call = lambda: [secret.decrypt(ct) for ct in x]
    return Work(call, data.error("paillier", call(), a))


def add(threads, bits):
    a, b, x, y = operands(bits)
    return checked(bits, lambda: [p + q for p, q in zip(x, y)], [p + q for p, q in zip(a, b)])


def mul_plain(threads, bits):
    a, b, x, _ = operands(bits)
    return checked(bits, lambda: [p * q for p, q in zip(x, b)], [p * q for p, q in zip(a, b)])


def dot_plain(threads, bits):
    a, b, x, _ = operands(bits)
    x, a, row = x[:ROW], a[:ROW], b[:ROW]
    return checked(bits, lambda: sum(p * q for p, q in zip(x, row)), [sum(p * q for p, q in zip(a, row))])


OPERATIONS = {
    "paillier_encrypt": encrypt,
    "paillier_encrypt_secret": encrypt,
    "paillier_decrypt": decrypt,
    "paillier_add": add,
    "paillier_mul_plain": mul_plain,
    "paillier_dot_plain": dot_plain,
}
