"""Plans are those of the code that runs."""

import copy
import itertools
import pickle

import cipherblas as cb
import numpy as np
import pytest


class Keys:
    """A key set as `evaluation_keys(plan=...)` takes it."""

    def __init__(self, relinearization, rotations):
        self.relinearization = relinearization
        self.rotations = rotations


def reached(step, held, slots):
    """Whether rotations by powers of two, each at most once in either direction, make one by `step`."""
    digits = [
        [0, *(d for d in (power, -power) if d in held)] for power in (2**k for k in range(slots.bit_length() - 1))
    ]
    # Half a turn is the same in both directions.
    return any((sum(path) - step) % slots == 0 for path in itertools.product(*digits))


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
    # One rotation fewer: an error that names it, unless rotations by powers of two make up for it, and then the same result.
    for missing in plan.rotations:
        rest = plan.rotations - {missing}
        fewer = sk.evaluation_keys(plan=Keys(plan.relinearization, rest))
        if reached(missing, rest, params.slots):
            result = run(fewer)
            np.testing.assert_allclose(sk.decrypt(result), computation(**values), atol=result.error_bound + 1e-9)
        else:
            with pytest.raises(cb.MissingKeyError, match=rf"rotation by ({missing}|{missing % params.slots})\b"):
                run(fewer)
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
        cb.plan(lambda x: x, x=(3,), params="ckks")
    for wrong in ([[1, 2], [3, 4]], 2.5, "ab", None):
        with pytest.raises(TypeError, match="x: got .*expected a shape"):
            cb.plan(lambda x: x, x=wrong, params=params)


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_plans_find_the_smallest_parameters(name):
    computation, shapes = COMPUTATIONS[name]
    plan = cb.plan(computation, **shapes)
    assert plan.params == cb.CkksParams(depth=plan.depth)
    assert str(plan) == str(cb.plan(computation, params=plan.params, **shapes))
    try:
        less = cb.plan(computation, params=cb.CkksParams(depth=max(0, plan.depth - 1)), **shapes)
    except cb.DepthError:
        return
    # There is a way with a level less, and it is slower.
    assert plan.depth == 0 or sum(less.seconds.values()) > sum(plan.seconds.values())


def test_parameters_change_with_their_slots():
    # Deeper rings hold more rows in a ciphertext.
    seen = []

    def computation(X):
        seen.append(X.ciphertexts)
        return ((X.T @ X) ** 4).sum()

    plan = cb.plan(computation, X=(2000, 8))
    assert plan.params.depth == plan.depth
    assert (
        plan.input_ciphertexts == seen[-1] == cb.SecretKey.generate(plan.params).encrypt(np.ones((2000, 8))).ciphertexts
    )
    sk = cb.SecretKey.generate(plan.params)
    values = np.random.default_rng(0).uniform(-0.1, 0.1, (40, 3))
    plan = cb.plan(computation, X=values)
    sk = cb.SecretKey.generate(plan.params)
    x = sk.encrypt(values, sk.evaluation_keys(plan=plan), bound=0.125)
    assert computation(x).depth_left == 0
    np.testing.assert_allclose(sk.decrypt(computation(x)), ((values.T @ values) ** 4).sum(), atol=1e-3)


def test_lowered_arrays_find_parameters_too():
    assert cb.plan(lambda x: x.with_depth(1) * x, x=5).depth == 1
    plan = cb.plan(lambda x: x.with_depth(3) * x, x=5)
    assert (plan.depth, plan.params.depth) == (1, 3)
    plan = cb.plan(lambda x, y: x * x + y, x=cb.Input((5,), depth=4), y=5)
    assert (plan.depth, plan.params.depth) == (1, 4)


def test_the_depth_of_inputs_with_less():
    params = cb.CkksParams(depth=5)
    assert cb.plan(lambda x: x * x, x=cb.Input((5,), depth=2), params=params).depth == 1
    assert cb.plan(lambda x, y: x**4 + y * y, x=(5,), y=cb.Input((5,), depth=1), params=params).depth == 2
    assert cb.plan(lambda x: x.with_depth(0) + 1, x=5, params=params).depth == 0


def test_too_little_depth_says_how_much_is_needed():
    for params in (cb.CkksParams(depth=1), cb.BfvParams(depth=1, plaintext_bits=30), cb.CkksParams.insecure_degree(16)):
        with pytest.raises(
            cb.DepthError, match=r"needs 4 level\(s\) of depth in all.*have 1; make.*`depth=4`"
        ) as caught:
            cb.plan(lambda x: x**16, x=5, params=params)
        error = caught.value
        assert (error.got, error.expected) == ("1 level(s)", "4 level(s)")
        assert error.hint == "make parameters with `depth=4`"
        assert isinstance(error.__cause__, cb.DepthError)
        assert cb.plan(lambda x: x**16, x=5, params=params._of_depth(4)).depth == 4
    with pytest.raises(cb.DepthError, match=r"have 4; declare no less `depth` for y \("):
        cb.plan(lambda x, y: y**8 * x, x=5, y=cb.Input((5,), depth=2), params=cb.CkksParams(depth=4))
    with pytest.raises(cb.DepthError, match=r"needs 4 .*`depth=4`, and declare no less `depth` for y \("):
        cb.plan(lambda x, y: y**8 * x, x=5, y=cb.Input((5,), depth=2), params=cb.CkksParams(depth=3))
    with pytest.raises(cb.DepthError, match="needs 2 level"):
        cb.plan(lambda x: x * 0.5 * 0.5, x=5, params=cb.PaillierParams(depth=1))

    with pytest.raises(cb.DepthError, match=r"needs 6 level\(s\) of depth in all; declare no less `depth` for x \("):
        cb.plan(lambda x: x**64, x=cb.Input((3,), depth=3))


def test_impossible_inputs():
    for wrong in ((0,), (3, 0), -3, np.ones((4, 0)), cb.Input((0,))):
        with pytest.raises(cb.ShapeError, match="positive lengths"):
            cb.plan(lambda x: x, x=wrong)
    with pytest.raises(cb.ShapeError, match="two dimensions"):
        cb.plan(lambda x: x, x=(3, 4, 5))
    with pytest.raises(cb.ParameterError, match="depth: got -1"):
        cb.plan(lambda x: x, x=cb.Input((3,), depth=-1))
    for bound in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(cb.ParameterError, match="bound: got"):
            cb.plan(lambda x: x, x=cb.Input((3,), bound=bound))


def test_more_depth_than_there_is():
    def long(x):
        for _ in range(100):
            x = x * x
        return x

    for params in (None, cb.CkksParams(depth=3)):
        with pytest.raises(cb.DepthError, match=r"needs 100 levels.*expected 0 to 60"):
            cb.plan(long, x=5, params=params)


def test_arrays_in_place_of_shapes():
    pandas = pytest.importorskip("pandas")
    values, params = np.ones((30, 3)), cb.CkksParams(depth=2)
    expected = str(cb.plan(lambda X: X.T @ X, X=(30, 3), params=params))
    for given in (values, pandas.DataFrame(values, columns=list("abc")), [np.int64(30), 3], cb.Input(values)):
        assert str(cb.plan(lambda X: X.T @ X, X=given, params=params)) == expected
    x = cb.SecretKey.generate(params).encrypt(values, packing=cb.Packing.columns())
    assert cb.plan(lambda X: X + X, X=x, params=params).input_ciphertexts == 3
    shapes = []
    cb.plan(
        lambda a, b, c: shapes.extend([a.shape, b.shape, c.shape]),
        a=np.array(2.5), b=(), c=np.int64(7), params=params,
    )  # fmt: skip
    assert shapes == [(), (), (7,)]


def test_values_beyond_the_parameters_are_told():
    def plan(params, bound=100.0, power=2):
        return cb.plan(lambda x: x**power, x=cb.Input((5,), bound=bound), params=params)

    ckks = plan(cb.CkksParams(depth=1))
    assert (ckks.magnitude, ckks.fits, ckks.needed_bits) == (10000.0, False, 14)
    assert "up to 10000 on the way: beyond the 1024 of the parameters; raise `integer_bits` to 14" in str(ckks)
    more = plan(cb.CkksParams(depth=1, integer_bits=14))
    assert more.fits
    assert "beyond" not in str(more)
    bfv = plan(cb.BfvParams(depth=1, plaintext_bits=14))
    assert (bfv.fits, bfv.needed_bits) == (False, 15)
    assert "beyond the 8192 of the parameters; raise `plaintext_bits` to 15" in str(bfv)
    assert plan(cb.BfvParams(depth=1, plaintext_bits=15)).fits
    # A power of two fits exactly.
    exact = plan(cb.BfvParams(depth=1, plaintext_bits=15), bound=128)
    assert (exact.fits, exact.needed_bits) == (True, 15)
    paillier = cb.plan(lambda x: x * 1000.0, x=cb.Input((5,), bound=2.0**30), params=cb.PaillierParams())
    assert (paillier.fits, paillier.needed_bits) == (False, 40)
    assert "raise `integer_bits` to 40" in str(paillier)
    assert "and of any; scale the inputs down" in str(plan(cb.CkksParams(depth=4), power=16, bound=1000.0))
    undeclared = cb.plan(lambda x: x + 1, x=5)
    assert (undeclared.magnitude, undeclared.fits, undeclared.needed_bits) == (None, None, None)
    # Parameters that a plan finds hold what was declared.
    found = plan(None)
    assert found.fits
    assert (found.params.integer_bits, plan(None, bound=2.0).params.integer_bits) == (14, 10)
    tiny = plan(None, bound=0.25)
    assert (tiny.needed_bits, tiny.fits) == (0, True)


def test_bits_that_are_needed_are_enough():
    computation = lambda x: (x * x).sum()  # noqa: E731
    wanted = cb.plan(computation, x=cb.Input((50,), bound=200), params=cb.BfvParams(depth=1)).needed_bits
    values = np.full(50, -200)
    for bits in (wanted - 1, wanted):
        sk = cb.SecretKey.generate(cb.BfvParams(depth=1, plaintext_bits=bits))
        x = sk.encrypt(values, sk.evaluation_keys(), bound=200)
        if bits < wanted:
            with pytest.raises(cb.errors.OverflowError):
                computation(x)
        else:
            assert sk.decrypt(computation(x)) == (values**2).sum()


def test_plans_pickle():
    params = cb.CkksParams(depth=2)
    for plan in (
        cb.plan(lambda X: X.T @ X, X=cb.Input((30, 3), bound=1.0), params=params),
        cb.plan(lambda x: x @ np.ones(5), x=(5,), params=cb.PaillierParams()),
    ):
        for twin in (pickle.loads(pickle.dumps(plan)), copy.copy(plan), copy.deepcopy(plan)):
            assert str(twin) == str(plan)
            assert (twin.params, twin.rotations, twin.counts) == (plan.params, plan.rotations, plan.counts)
            assert (twin.key_bytes, twin.magnitude, twin.seconds) == (plan.key_bytes, plan.magnitude, plan.seconds)
    sk = cb.SecretKey.generate(params)
    plan = cb.plan(lambda x: x * x, x=5, params=params)
    assert len(sk.evaluation_keys(plan=pickle.loads(pickle.dumps(plan)))) == plan.key_count


def test_what_a_plan_hands_out_can_be_changed():
    plan = cb.plan(lambda x: x.sum(), x=9)
    plan.rotations.clear()
    plan.counts.clear()
    plan.seconds.clear()
    assert plan.rotations
    assert plan.counts
    assert plan.seconds


def test_settings_of_parameters_can_be_read():
    ckks = cb.CkksParams(2, 20, integer_bits=12, security=192, sharing=3)
    assert (ckks.precision_bits, ckks.integer_bits, ckks.security, ckks.sharing) == (20, 12, 192, 3)
    assert ckks.max_value == 2.0**ckks.integer_bits
    for shown in ("depth=2", "precision_bits=20", "integer_bits=12", "sharing=3", "security=192"):
        assert shown in repr(ckks)
    assert "integer_bits=10, degree" in repr(cb.CkksParams())
    bfv = cb.BfvParams(1, 24, headroom_bits=9)
    assert (bfv.plaintext_bits, bfv.headroom_bits) == (24, 9)
    assert bfv.max_value == 2.0 ** (bfv.plaintext_bits - 1)
    assert "plaintext_bits=24, headroom_bits=9" in repr(bfv)
    paillier = cb.PaillierParams(2048, 16, value_bits=8, terms=1000)
    assert (paillier.bits, paillier.fraction_bits, paillier.value_bits) == (2048, 16, 8)
    assert (paillier.integer_bits, paillier.terms) == (18, 1024)
    assert "value_bits=8, integer_bits=18" in repr(paillier)
    for params in (ckks, bfv, paillier, cb.PaillierParams(), cb.BfvParams.insecure_degree(16), cb.CkksParams()):
        assert params._of_depth(params.depth) == params


def test_tables_that_fill_a_ciphertext_need_all_keys():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=4))
    computation = lambda x: (x - x.mean(axis=0)) @ np.ones(17)  # noqa: E731
    exactly = cb.plan(computation, x=(300, 17), params=sk.params)
    assert exactly.key_count < len(sk.evaluation_keys(shapes=[(300, 17)])) == len(sk.evaluation_keys())


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
