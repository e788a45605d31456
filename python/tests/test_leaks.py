"""Memory stays flat."""

import gc
import weakref

import cipherblas as cb
import numpy as np
import psutil
import pytest


def resident():
    gc.collect()
    return psutil.Process().memory_info().rss


#: Encrypting takes longest under Paillier.
ROUNDS = {"ckks": 10_000, "bfv": 2000, "paillier": 2000}


@pytest.mark.leaks
def test_thousands_of_rounds(any_scheme):
    ctx = any_scheme
    values = ctx.values(16)

    def rounds(n):
        for _ in range(n):
            x = ctx.encrypt(values)
            y = (x * 2 + 1 if ctx.scheme == "paillier" else x * x + 1)[::-1].sum()
            ctx.ek.load(y.to_bytes())
            ctx.sk.decrypt(y)

    count = ROUNDS[ctx.scheme]
    rounds(count // 5)
    before = resident()
    rounds(count)
    # One array that stays behind in four rounds would be seen: a megabyte and more, and rounds that leave nothing move this by
    # less than a tenth of one.
    assert resident() - before < count * ctx.encrypt(values).nbytes / 4


@pytest.mark.leaks
def test_rounds_of_secure_paillier(secure):
    """With longer numbers, other code multiplies them."""
    ctx = secure["paillier"]
    values, weights = ctx.values(8), np.arange(24.0).reshape(3, 8)

    def rounds(n):
        for _ in range(n):
            y = weights @ ctx.encrypt(values)
            ctx.sk.decrypt(ctx.ek.load(y.to_bytes()))
            ctx.sk.decrypt(ctx.sk.encrypt(values, packing=cb.Packing.auto()) * 0.5)

    rounds(20)
    before = resident()
    rounds(200)
    assert resident() - before < 200 * ctx.encrypt(values).nbytes / 2


@pytest.mark.leaks
def test_errors_do_not_keep_arrays(ckks):
    x = ckks.encrypt(np.ones(4))
    gone = weakref.ref(x)
    for _ in range(100):
        with pytest.raises(cb.ShapeError):
            x + np.ones(3)
    del x
    gc.collect()
    assert gone() is None


@pytest.mark.leaks
def test_dropped_keys_free_their_memory():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=3))

    def make(n):
        keys = [sk.evaluation_keys()]
        for _ in range(n):
            keys[0] = sk.evaluation_keys()
        return keys[0].nbytes

    # What rings keep for reuse is taken once.
    size = make(3)
    before = resident()
    make(12)
    # Thirteen sets were made; not even one is left.
    assert resident() - before < size / 2
