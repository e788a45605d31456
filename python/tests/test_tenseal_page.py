"""Calls that the guide for TenSEAL users names as ours do what it says."""

import copy
import pickle
from pathlib import Path

import cipherblas as cb
import numpy as np
import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tenseal.md").read_text()
RNG = np.random.default_rng(0)
V, U = np.linspace(-1, 1, 16), np.linspace(0, 1, 16)
MATRIX, PLAIN = RNG.normal(size=(16, 16)), RNG.normal(size=(16, 8))
IMAGE, KERNELS = RNG.normal(size=(9, 9)), RNG.normal(size=(4, 3, 3))


@pytest.fixture(scope="module")
def names():
    params = cb.CkksParams(depth=3)
    sk = cb.SecretKey.generate(params)
    ek = sk.evaluation_keys()
    x, y, M = (sk.encrypt(a, ek) for a in (V, U, MATRIX))
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, (3, 3))[::2, ::2].reshape(-1, 9)
    return {
        "np": np, "cb": cb, "sk": sk, "pk": sk.public_key(), "ek": ek, "x": x, "y": y, "X": M, "M": MATRIX,
        "v": V, "W": PLAIN, "b": x.to_bytes(), "rows": windows, "kernels": KERNELS, "r": 3, "c": 3, "s": 2, "image": IMAGE,
    }  # fmt: skip


# As on the page, and what comes out.
CALLS = {
    "sk.encrypt(v, ek)": V,
    "pk.encrypt(v, ek)": V,
    "x / 2": V / 2,
    "x * 0.5": V / 2,
    "-x": -V,
    "x * x": V * V,
    "x.polynomial([c0, c1, ...])": 1 + 2 * V + 3 * V**2,
    "x.sum()": V.sum(),
    "x.dot(y)": V @ U,
    "x @ y": V @ U,
    "x @ W": V @ PLAIN,
    "cb.concatenate([x, y])": np.concatenate([V, U]),
    "sk.encrypt(M, ek) @ v": MATRIX @ V,
    "x[i]": V[3],
    "x.reshape(...)": V.reshape(4, 4),
    "ek.load(b)": V,
    "sk.load(b)": V,
    "sk.encrypt(M, ek)": MATRIX,
}
FILLED = {
    "x.polynomial([c0, c1, ...])": "x.polynomial([1, 2, 3])",
    "x[i]": "x[3]",
    "x.reshape(...)": "x.reshape(4, 4)",
}


@pytest.mark.parametrize("call", CALLS)
def test_calls(call, names):
    assert f"`{call}`" in PAGE
    result = eval(FILLED.get(call, call), names)
    np.testing.assert_allclose(names["sk"].decrypt(result), CALLS[call], atol=1e-3)


def test_windows_of_an_image(names):
    rows = "np.lib.stride_tricks.sliding_window_view(image, (r, c))[::s, ::s].reshape(-1, r * c)"
    product = "sk.encrypt(rows, ek) @ kernels.reshape(-1, r * c).T"
    assert f"`{rows}`, then `{product}`" in PAGE
    names = {**names, "rows": eval(rows, names)}
    expected = [
        [(IMAGE[i : i + 3, j : j + 3] * kernel).sum() for kernel in KERNELS]
        for i in range(0, 7, 2)
        for j in range(0, 7, 2)
    ]
    np.testing.assert_allclose(names["sk"].decrypt(eval(product, names)), expected, atol=1e-3)


def test_what_stays_and_what_is_refused(names):
    x, sk = names["x"], names["sk"]
    before = x.depth_left
    assert (x * x + x).depth_left == before - 1
    assert x.depth_left == before, "operands never change"
    added = x
    added += names["y"]
    assert added is not x
    assert copy.copy(x) is x
    assert len(x) == 16
    np.testing.assert_allclose(sk.decrypt(pickle.loads(pickle.dumps(x))), V, atol=1e-3)
    with pytest.raises(cb.UnsupportedError, match="comparisons"):
        x == names["y"]  # noqa: B015
    with pytest.raises(cb.UnsupportedError, match="exponents"):
        x**0
    with pytest.raises(cb.UnsupportedError, match="save"):
        pickle.dumps(sk)
    with pytest.raises(cb.DepthError, match="0 left"):
        x**8 * x
    other = cb.SecretKey.generate(sk.params)
    with pytest.raises(cb.KeyMismatchError):
        x + other.encrypt(V)
    with pytest.raises(cb.KeyMismatchError):
        other.load(names["b"])


def test_integers():
    sk = cb.SecretKey.generate(cb.BfvParams.insecure_degree(64, depth=2, plaintext_bits=40))
    ek, n = sk.evaluation_keys(), np.arange(8)
    x = sk.encrypt(n, ek, bound=1024)
    for result, expected in ((-x, -n), (1 - x, 1 - n), (x**2, n**2), (x @ np.eye(8, dtype=int), n), (x.dot(x), n @ n)):
        np.testing.assert_array_equal(sk.decrypt(result), expected)
    thousand = sk.encrypt([1000], ek, bound=1024)
    assert sk.decrypt(thousand * thousand) == [1_000_000]
    undeclared = sk.encrypt(n, ek)
    with pytest.raises(cb.errors.OverflowError, match="bound"):
        undeclared + undeclared
