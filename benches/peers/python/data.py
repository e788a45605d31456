"""Operands that every library gets, and how right their results have to be."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

LEN = 4096  # values of a vector: what a ciphertext of degree 2^13 holds
COEFFICIENTS = (0.5, 0.2, -0.1, 0.3, 0.1, 0.2, 0.3, 0.4)  # c0, c1, ...; as many as the degree asks for
INTEGERS = 7  # largest absolute value of integers: a dot product of LEN of them stays below 2^18
PAILLIER = 100  # values of an array for phe
ROW = 32  # of a plain row

# The largest error that any library may have, above what TenSEAL 0.3.18 has at 40-bit scales. Rows say what each has.
BOUNDS = {
    "encrypt": 2.0**-24,
    "add": 2.0**-24,
    "mul": 2.0**-20,
    "sum": 2.0**-15,
    "dot": 2.0**-14,
    "vecmat": 2.0**-16,
    "matmul": 2.0**-16,
    "polynomial": 2.0**-14,
    "paillier": 2.0**-46,
}


@dataclasses.dataclass(frozen=True)
class Work:
    """Something whose time is taken."""

    call: Callable[[], object]
    note: str = ""
    first: float | None = None  # seconds of a call that was checked, where that is time enough


def reals(*shape, seed):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def integers(*shape, seed):
    return np.random.default_rng(seed).integers(-INTEGERS, INTEGERS, shape, endpoint=True)


def spread(*shape):
    """Values in [-1, 1) that Rust makes as well: the fraction of k times the golden ratio, twice, less 1."""
    steps = (np.arange(math.prod(shape), dtype=np.uint64) * np.uint64(2_654_435_769)) % np.uint64(2**32)
    return (steps.astype(np.float64) * 2.0**-31 - 1.0).reshape(shape)


def spread_integers(*shape):
    """Integers from -INTEGERS to INTEGERS that Rust makes as well."""
    return (np.arange(math.prod(shape), dtype=np.int64) * 5 % (2 * INTEGERS + 1) - INTEGERS).reshape(shape)


def error(kind, got, expected):
    """The largest absolute error, as a power of two in words; an exception if it is above the bound."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if got.size != expected.size:
        raise RuntimeError(f"{kind}: got {got.size} values, expected {expected.size}")
    worst = float(np.abs(got.reshape(expected.shape) - expected).max())
    if not worst <= BOUNDS[kind]:
        raise RuntimeError(f"{kind}: off by {worst:.2g}, expected at most {BOUNDS[kind]:.2g}")
    return f"error 2^{math.log2(worst):.1f}" if worst else "no error"


def exact(kind, got, expected):
    """An exception unless all integers are right."""
    if not np.array_equal(np.asarray(got).reshape(np.shape(expected)), expected):
        raise RuntimeError(f"{kind}: wrong integers")
    return "exact"


def timed(call):
    """(result, seconds) of one call."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start
