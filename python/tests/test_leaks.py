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


@pytest.mark.leaks
def test_ten_thousand_rounds(ckks):
    values = ckks.values(16)

    def rounds(n):
        for _ in range(n):
            x = ckks.encrypt(values)
            y = (x * x + 1)[::-1].sum()
            ckks.ek.load(y.to_bytes())
            ckks.sk.decrypt(y)

    rounds(2000)
    before = resident()
    rounds(10_000)
    # A leak of one polynomial of this tiny ring in each round would be 10 MB and more.
    assert resident() - before < 4 << 20


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
