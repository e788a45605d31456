"""Plans are those of the code that runs."""

import cipherblas as cb
import numpy as np
import pytest


class Keys:
    """A key set as `evaluation_keys(plan=...)` takes it."""

    def __init__(self, relinearization, rotations):
        self.relinearization = relinearization
        self.rotations = rotations


COMPUTATIONS = {
    "product": (lambda X, w: X @ w, {"X": (9, 3), "w": (3,)}),
    "gram": (lambda X: X.T @ X, {"X": (9, 3)}),
    "mean": (lambda X: X - X.mean(axis=0), {"X": (6, 4)}),
    "sum": (lambda x: x.sum(), {"x": (12,)}),
    "slice": (lambda x: x[::-1], {"x": (7,)}),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_the_keys_of_a_plan_are_enough_and_none_is_left_over(name):
    computation, shapes = COMPUTATIONS[name]
    params = cb.CkksParams.insecure_degree(16, depth=5, precision_bits=30)
    plan = cb.plan(computation, params=params, **shapes)
    sk = cb.SecretKey.generate(params)
    rng = np.random.default_rng(0)
    values = {k: rng.uniform(-1, 1, shape) for k, shape in shapes.items()}

    def run(keys):
        return computation(**{k: sk.encrypt(v, keys) for k, v in values.items()})

    keys = sk.evaluation_keys(plan=plan)
    assert len(keys) == plan.key_count
    result = run(keys)
    np.testing.assert_allclose(sk.decrypt(result), computation(**values), atol=result.error_bound + 1e-9)
    assert params.depth - plan.depth == result.depth_left
    # One rotation fewer: none of the others makes up for it, unless powers of two do.
    for missing in plan.rotations:
        rest = plan.rotations - {missing}
        fewer = sk.evaluation_keys(plan=Keys(plan.relinearization, rest))
        try:
            run(fewer)
        except cb.MissingKeyError:
            continue
        assert len(rest) > 1
    if plan.relinearization:
        with pytest.raises(cb.MissingKeyError):
            run(sk.evaluation_keys(plan=Keys(False, plan.rotations)))


def test_what_a_plan_says():
    params = cb.CkksParams(depth=3)
    plan = cb.plan(lambda X, w: X @ w, X=(1000, 30), w=(30,), params=params)
    assert plan.depth == 2
    assert plan.params == params
    assert plan.counts["multiplications"] > 0
    assert plan.key_bytes > 0
    assert plan.input_bytes == plan.input_ciphertexts * params.ciphertext_bytes
    assert sum(plan.seconds.values()) > 0
    assert plan.magnitude is None
    text = str(plan)
    assert all(part in text for part in ("depth                2 of 3", "evaluation keys", "estimated time"))
    bounded = cb.plan(lambda x: x * x, x=cb.Input((5,), bound=3.0), params=params)
    assert bounded.magnitude == 9.0
    assert repr(plan).startswith("Plan(depth=2")


def test_plans_of_other_schemes():
    bfv = cb.plan(lambda x: x.dot(x), x=cb.Input((100,), bound=255.0), params=cb.BfvParams(depth=1, plaintext_bits=30))
    assert bfv.magnitude == 128 * 255.0**2
    paillier = cb.plan(lambda x: x @ np.ones(5), x=(5,), params=cb.PaillierParams())
    assert (paillier.key_count, paillier.seconds) == (0, None)
    with pytest.raises(cb.UnsupportedError):
        cb.plan(lambda x: x * x, x=(5,), params=cb.PaillierParams())


def test_mistakes_in_the_computation():
    params = cb.CkksParams(depth=1)
    with pytest.raises(ZeroDivisionError):
        cb.plan(lambda x: 1 / 0, x=(3,), params=params)
    with pytest.raises(cb.ShapeError):
        cb.plan(lambda x: x @ np.ones(4), x=(3,), params=params)
    with pytest.raises(cb.DepthError):
        cb.plan(lambda x: x * x * x, x=(3,), params=params)
    with pytest.raises(TypeError):
        cb.plan(lambda x: x, x=(3,), y=(4,), params=params)
    with pytest.raises(TypeError, match="expected CkksParams"):
        cb.plan(lambda x: x, x=(3,), params=None)


def test_arrays_of_a_plan_hold_nothing():
    seen = []
    cb.plan(lambda x: seen.append(x + 1), x=(3,), params=cb.CkksParams(depth=1))
    (x,) = seen
    assert "none (plan)" in repr(x)
    assert (x.key_id, x.error_bound) == (None, None)
    with pytest.raises(cb.UnsupportedError, match="hold no values"):
        x.to_bytes()
    sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
    with pytest.raises(cb.UnsupportedError, match="hold no values"):
        sk.decrypt(x)
    with pytest.raises(cb.KeyMismatchError, match="an array of a plan"):
        x + sk.encrypt(np.ones(3))


def test_shapes_narrow_the_keys():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=2))
    few, all_keys = sk.evaluation_keys(shapes=[(4, 3), (7,)]), sk.evaluation_keys()
    assert len(few) < len(all_keys)
    values = np.arange(12.0).reshape(4, 3)
    x = sk.encrypt(values, few)
    np.testing.assert_allclose(sk.decrypt(x.sum(axis=0)), values.sum(axis=0), atol=1e-3)
    np.testing.assert_allclose(sk.decrypt(x @ np.ones(3)), values.sum(axis=1), atol=1e-3)
    with pytest.raises(cb.ParameterError, match="positive"):
        sk.evaluation_keys(shapes=[(0,)])
