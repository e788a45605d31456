"""Pools of worker processes, as `multiprocessing` starts them."""

import multiprocessing
import warnings

import cipherblas as cb
import numpy as np
import pytest

#: Of a worker: its evaluation keys.
KEYS: list[cb.EvaluationKeys] = []


def start(keys):
    """A worker begins: keys come as bytes."""
    cb.set_progress(False)
    KEYS[:] = [cb.EvaluationKeys.from_bytes(keys)]


def work(x):
    """An array that came by pickle has no keys."""
    (keys,) = KEYS
    x = x.bind(keys)
    y = x @ [1, 2, 3] if x.scheme == "paillier" else x * x
    return y, (x.sum(axis=0) - 1).to_bytes()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("scheme", ["ckks", "bfv", "paillier"])
def test_pools_map_over_arrays(secure, method, scheme):
    ctx = secure[scheme]
    values = [ctx.values((4, 3), seed) for seed in range(5)]
    arrays = [ctx.sk.encrypt(v, bound=ctx.bound) for v in values]
    # The parent has threads of its own before any worker is there.
    ctx.check(arrays[0].bind(ctx.ek) + 1, values[0] + 1)
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forks beside threads; this is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = multiprocessing.get_context(method).Pool(2, start, (ctx.ek.to_bytes(),))
    with pool:
        # Workers that hang are an error, and not a test without an end.
        results = pool.map_async(work, arrays).get(timeout=120)
    for v, (y, total) in zip(values, results, strict=True):
        ctx.check(y, v @ [1, 2, 3] if scheme == "paillier" else v * v, largest=0.1)
        ctx.check(ctx.sk.load(total), v.sum(axis=0) - 1, largest=0.1)
        # Keys do not travel with arrays.
        assert y.is_bound == (scheme == "paillier")


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_exceptions_come_back(secure, method):
    sk = secure["ckks"].sk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = multiprocessing.get_context(method).Pool(1)
    with pool:
        with pytest.raises(cb.ShapeError) as caught:
            pool.apply_async(np.add, (sk.encrypt(np.ones(4)), np.ones(3))).get(timeout=120)
        assert caught.value.got
        with pytest.raises(cb.UnsupportedError, match="only way a key leaves memory"):
            pool.apply_async(print, (sk,)).get(timeout=120)
