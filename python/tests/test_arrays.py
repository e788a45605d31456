"""Encrypted arrays against NumPy: operators, broadcasting, slices, reductions, chains."""

import cipherblas as cb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SHAPES = st.one_of(
    st.just(()),
    st.tuples(st.integers(1, 20)),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
)

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


@pytest.mark.backend
@pytest.mark.parametrize("symbol", OPERATORS)
@given(
    pair=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=5),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_operators_broadcast_as_numpy_does(any_scheme, symbol, pair, seed, data):
    ctx, apply = any_scheme, OPERATORS[symbol]
    left, right = (ctx.values(shape, seed + k) for k, shape in enumerate(pair.input_shapes))
    which = data.draw(st.sampled_from(["encrypted right", "encrypted left", "both"]))
    if which == "both" and symbol == "*" and ctx.scheme == "paillier":
        return
    a = left if which == "encrypted right" else ctx.encrypt(left)
    b = right if which == "encrypted left" else ctx.encrypt(right)
    ctx.check(apply(a, b), apply(left, right))


@given(
    shapes=st.sampled_from(
        [((3,), (3,)), ((3, 4), (4,)), ((3,), (3, 5)), ((2, 9), (9, 3)), ((12, 2), (2, 1)), ((1, 7), (7, 1))]
    ),
    which=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_matrix_products(any_scheme, shapes, which, seed):
    ctx = any_scheme
    left, right = (ctx.values(shape, seed + k) for k, shape in enumerate(shapes))
    if which == 2 and ctx.scheme == "paillier":
        return
    a = left if which == 0 else ctx.encrypt(left)
    b = right if which == 1 else ctx.encrypt(right)
    ctx.check(a @ b, left @ right)
    if which == 2:
        ctx.check(a.dot(b), np.dot(left, right))


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (9, 3), (5, 8), (30, 2)])
def test_products_with_the_own_transpose(lattice, rows, columns):
    values = lattice.values((rows, columns))
    x = lattice.encrypt(values)
    lattice.check(x.T @ x, values.T @ values)
    other = lattice.values((rows, 4), seed=3)
    lattice.check(x.T @ lattice.encrypt(other), values.T @ other)


def index(shape):
    """Integers, slices with any step, `...` and None, at most two dimensions in the result."""
    along = [
        st.one_of(
            st.integers(-n, n - 1),
            st.builds(
                slice, *[st.one_of(st.none(), st.integers(-n - 1, n + 1))] * 2, st.sampled_from([None, 1, 2, -1, -2])
            ),
        )
        for n in shape
    ]
    return st.tuples(*along[: len(shape)])


@given(shape=st.sampled_from([(1,), (9,), (20,), (3, 4), (9, 5), (2, 17)]), data=st.data())
def test_slices(any_scheme, shape, data):
    key = data.draw(index(shape))
    if data.draw(st.booleans()):
        key = key[: data.draw(st.integers(1, len(key)))]
    values = any_scheme.values(shape)
    expected = values[key]
    x = any_scheme.encrypt(values)
    if expected.size == 0:
        with pytest.raises(cb.ShapeError, match="empty"):
            x[key]
        return
    any_scheme.check(x[key], expected)


@pytest.mark.parametrize(
    "key",
    [
        ...,
        (..., 1),
        (1, ...),
        (None, 1),
        (slice(None), None, 2),
        (0, None),
        (..., None, 0),
        np.int64(2),
        (-1, slice(None, None, -1)),
    ],
)
def test_ellipsis_and_new_axes(ckks, key):
    values = ckks.values((3, 4))
    ckks.check(ckks.encrypt(values)[key], values[key])


@given(shape=SHAPES, axis=st.sampled_from([None, 0, 1, -1]), keepdims=st.booleans())
def test_sums_and_means(any_scheme, shape, axis, keepdims):
    values = any_scheme.values(shape)
    x = any_scheme.encrypt(values)
    if axis is not None and not -len(shape) <= axis < len(shape):
        with pytest.raises(cb.ShapeError, match=f"axis {axis} is out of bounds"):
            x.sum(axis)
        return
    any_scheme.check(x.sum(axis, keepdims=keepdims), values.sum(axis=axis, keepdims=keepdims))
    if any_scheme.scheme == "bfv":
        with pytest.raises(cb.UnsupportedError, match="integers have no fractions"):
            x.mean(axis)
    else:
        any_scheme.check(x.mean(axis, keepdims=keepdims), values.mean(axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("axis", [(0, 1), (1, 0), (0,), (-1,), (-2, 1), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_over_several_axes(ckks, axis, keepdims):
    values = ckks.values((3, 4))
    x = ckks.encrypt(values)
    ckks.check(x.sum(axis=axis, keepdims=keepdims), values.sum(axis=axis, keepdims=keepdims))
    ckks.check(x.mean(axis=axis, keepdims=keepdims), values.mean(axis=axis, keepdims=keepdims))
    ckks.check(np.sum(x, axis=axis), values.sum(axis=axis))
    ckks.check(np.mean(x, axis=axis), values.mean(axis=axis))
    ckks.check(np.add.reduce(x, axis=axis), values.sum(axis=axis))


@pytest.mark.parametrize("axis", [(0, 0), (1, -1)])
def test_repeated_axes_are_refused(ckks, axis):
    x = ckks.encrypt(ckks.values((3, 4)))
    for provoke in (lambda: x.sum(axis=axis), lambda: np.mean(x, axis), lambda: np.transpose(x, axis)):
        with pytest.raises(cb.ShapeError, match="expected each axis once") as caught:
            provoke()
        assert caught.value.got == str(axis)


@pytest.mark.parametrize("axes", [None, (0, 1), (1, 0), (-1, -2), [1, 0]])
def test_transposes(any_scheme, axes):
    values = any_scheme.values((3, 4))
    x = any_scheme.encrypt(values)
    any_scheme.check(np.transpose(x, axes), np.transpose(values, axes))
    any_scheme.check(x.transpose(axes), values.transpose(axes))
    if axes is not None:
        any_scheme.check(x.transpose(*axes), values.transpose(*axes))
        any_scheme.check(np.moveaxis(x, (0, 1), tuple(axes)), np.moveaxis(values, (0, 1), tuple(axes)))
    assert x.transpose().shape == np.transpose(x, axes=None).shape == (4, 3)
    any_scheme.check(np.swapaxes(x, 0, -1), values.T)
    any_scheme.check(np.swapaxes(x, 0, 0), values)
    for provoke in (lambda: x.transpose(0), lambda: x.transpose((0, 1, 2)), lambda: np.transpose(x[0], (1,))):
        with pytest.raises(cb.ShapeError):
            provoke()


def test_shapes_as_numpy_takes_them(ckks):
    values = ckks.values((3, 4))
    x, v = ckks.encrypt(values), ckks.encrypt(values[0])
    for to in (np.array([2, 6]), [2, np.int64(6)], (np.int32(2), -1), np.int64(12), -1):
        ckks.check(x.reshape(to), values.reshape(to))
        ckks.check(np.reshape(x, to), values.reshape(to))
    for axis in (0, -1, (0,), (-1,), [0]):
        ckks.check(np.expand_dims(v, axis), np.expand_dims(values[0], tuple(np.atleast_1d(axis))))
    ckks.check(np.expand_dims(v.sum(), (0, 1)), values[0].sum().reshape(1, 1))
    ckks.check(np.concatenate([x, v], axis=None), np.concatenate([values, values[0]], axis=None))
    ckks.check(np.squeeze(x[:1], 0), values[0])
    ckks.check(np.squeeze(x[:1], axis=(0,)), values[0])
    ckks.check(np.atleast_1d(v.sum()), values[0].sum().reshape(1))
    ckks.check(np.atleast_2d(v), values[:1])
    ckks.check(np.flipud(x), np.flipud(values))
    ckks.check(np.fliplr(x), np.fliplr(values))
    ckks.check(np.flip(x, (0, 1)), np.flip(values))
    assert np.size(x, (0, 1)) == 12
    with pytest.raises(cb.ShapeError, match="expected axes of length 1"):
        x.squeeze(0)
    with pytest.raises(cb.ShapeError):
        np.expand_dims(x, 0)


@pytest.mark.parametrize("exponent", [2.0, np.float32(3), np.int8(2), np.array(2.0), True])
def test_whole_exponents_of_any_type(ckks, exponent):
    values = ckks.values(4)
    x = ckks.encrypt(values)
    ckks.check(x**exponent, values ** int(exponent), largest=1.0)
    ckks.check(np.power(x, exponent), values ** int(exponent), largest=1.0)


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="they came with NumPy 2.2")
def test_products_of_numpy_2(any_scheme):
    ctx = any_scheme
    # Not `np.matvec`: checkers of types look at older versions too.
    matvec, vecmat, vecdot = (getattr(np, name) for name in ("matvec", "vecmat", "vecdot"))
    a, v, w = ctx.values((3, 4)), ctx.values(4, 1), ctx.values(3, 2)
    x, p, q = ctx.encrypt(a), ctx.encrypt(v), ctx.encrypt(w)
    for function, encrypted, plain in [
        (matvec, (x, p), (a, v)),
        (matvec, (x, a), (a, a)),
        (vecmat, (q, x), (w, a)),
        (vecdot, (p, p), (v, v)),
        (vecdot, (x, p), (a, v)),
        (vecdot, (p, x), (v, a)),
        (vecdot, (x, x), (a, a)),
    ]:
        expected = function(*plain)
        ctx.check(function(encrypted[0], plain[1]), expected)
        if encrypted[1] is not plain[1]:
            ctx.check(function(plain[0], encrypted[1]), expected)
            ctx.check(function(plain[0].tolist(), encrypted[1]), expected)
            if ctx.scheme != "paillier":
                ctx.check(function(*encrypted), expected)
    ctx.check(np.linalg.matmul(x, v), a @ v)
    ctx.check(np.linalg.vecdot(x, v), a @ v)
    ctx.check(np.matrix_transpose(x), a.T)
    for provoke in (lambda: matvec(p, v), lambda: vecmat(q, w), lambda: vecdot(x, w), lambda: np.matrix_transpose(p)):
        with pytest.raises(cb.ShapeError, match=r"got .*\(\d,\)"):
            provoke()


def test_averages(ckks, bfv):
    values = ckks.values((3, 4))
    x = ckks.encrypt(values)
    for axis, weights in [(0, [1, 2, 1]), (-2, [1, 2, 1]), ((1,), [1.0, 0, 0, 3]), (-1, [0.5, 0.5, 1, 0])]:
        k = np.atleast_1d(axis)[0]
        ckks.check(np.average(x, axis=axis, weights=weights), np.average(values, axis=k, weights=weights))
    ckks.check(np.average(x[0], weights=[1, 2, 3, 4]), np.average(values[0], weights=[1, 2, 3, 4]))
    ckks.check(np.average(x, axis=(0, 1)), values.mean())
    for weights in ([0, 0, 0], [1, -2, 1], [1.0, -1.0, 1e-320]):
        with pytest.raises(ZeroDivisionError, match="sum to zero, or nearly") as caught:
            np.average(x, axis=0, weights=weights)
        assert isinstance(caught.value, cb.EncodingError)
    with pytest.raises(cb.EncodingError, match="got NaN at index 1"):
        np.average(x, axis=0, weights=[1, np.nan, 1])
    with pytest.raises(cb.ShapeError, match="got 2 weights, expected 3"):
        np.average(x, axis=0, weights=[1, 2])
    with pytest.raises(cb.UnsupportedError, match="one weight for each value of a vector"):
        np.average(x, weights=np.ones((3, 4)))
    with pytest.raises(cb.UnsupportedError, match="divide what was decrypted"):
        np.average(bfv.encrypt([1, 2]), weights=[1, 2])


@pytest.mark.parametrize(
    ("shape", "to"),
    [((12,), (3, 4)), ((3, 4), (12,)), ((3, 4), (2, -1)), ((3, 4), (4, 3)), ((1,), ()), ((), (1, 1)), ((20,), (-1,))],
)
def test_reshapes(any_scheme, shape, to):
    values = any_scheme.values(shape)
    x = any_scheme.encrypt(values)
    any_scheme.check(x.reshape(to), values.reshape(to))
    any_scheme.check(x.reshape(*to) if to else x.reshape(()), values.reshape(to))
    any_scheme.check(x.ravel(), values.ravel())
    any_scheme.check(x.T, values.T)
    any_scheme.check(np.squeeze(x), np.squeeze(values))


@pytest.mark.parametrize("to", [(5,), (-1, -1), (2, 2, 3), (-1, 5), (-2, 6)])
def test_impossible_reshapes(ckks, to):
    with pytest.raises(cb.ShapeError, match="12 values"):
        ckks.encrypt(ckks.values((3, 4))).reshape(to)


def test_stacking(any_scheme):
    ctx = any_scheme
    a, b = ctx.values((3, 4)), ctx.values((2, 4), 1)
    u, v = ctx.values(5, 2), ctx.values(5, 3)
    x, y, p, q = (ctx.encrypt(z) for z in (a, b, u, v))
    ctx.check(cb.vstack([x, y]), np.vstack([a, b]))
    ctx.check(cb.concatenate([x.T, y.T], axis=1), np.concatenate([a.T, b.T], axis=1))
    ctx.check(cb.concatenate([p, q]), np.concatenate([u, v]))
    ctx.check(np.hstack([p, q]), np.hstack([u, v]))
    ctx.check(np.vstack([p, q]), np.vstack([u, v]))
    ctx.check(np.stack([p, q], axis=1), np.stack([u, v], axis=1))
    ctx.check(cb.stack([p.sum(), q.sum()]), np.stack([u.sum(), v.sum()]))
    ctx.check(cb.vstack(part for part in (x, y)), np.vstack([a, b]))
    ctx.check(np.column_stack([p, q]), np.column_stack([u, v]))
    with pytest.raises(cb.ShapeError):
        cb.vstack([x, x[:, :2]])
    with pytest.raises(cb.UnsupportedError, match="encrypt the plain ones first"):
        cb.vstack([x, b])
    with pytest.raises(cb.UnsupportedError, match="of nothing"):
        cb.concatenate([])


@given(coefficients=st.lists(st.integers(-3, 3), min_size=1, max_size=9), shape=SHAPES)
def test_polynomials(lattice, coefficients, shape):
    values = lattice.values(shape)
    x = lattice.encrypt(values)
    expected = np.polynomial.polynomial.polyval(values, coefficients)
    lattice.check(x.polynomial(coefficients), expected, largest=1.0)
    lattice.check(np.polyval(coefficients[::-1], x), expected, largest=1.0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_powers(lattice, n):
    values = lattice.values((2, 5))
    x = lattice.encrypt(values)
    y = x**n
    lattice.check(y, values**n, largest=1.0)
    assert x.depth_left - y.depth_left == int(np.ceil(np.log2(n)))
    lattice.check(np.power(x, n), values**n, largest=1.0)


CHAIN = st.lists(st.sampled_from(["+1", "*3", "-x", "x+x", "T", "rev", "sum0", "-row"]), min_size=3, max_size=3)


@given(steps=CHAIN, shape=st.sampled_from([(3, 4), (9, 3), (5,)]))
def test_chains(any_scheme, steps, shape):
    ctx = any_scheme
    values = ctx.values(shape)
    x = ctx.encrypt(values)
    for step in steps:
        if step == "+1":
            x, values = x + 1, values + 1
        elif step == "*3":
            x, values = 3 * x, 3 * values
        elif step == "-x":
            x, values = -x, -values
        elif step == "x+x":
            x, values = x + x, values + values
        elif step == "T":
            x, values = x.T, values.T
        elif step == "rev":
            x, values = x[::-1], values[::-1]
        elif step == "sum0" and values.ndim:
            x, values = x.sum(axis=0), values.sum(axis=0)
        elif step == "-row" and values.ndim == 2:
            x, values = x - values[0], values - values[0]
        elif step in ("sum0", "-row"):
            continue
        if values.ndim == 0:
            break
    ctx.check(x, values, largest=1.0)


def test_numpy_on_the_left(ckks):
    values = ckks.values((3, 4))
    x = ckks.encrypt(values)
    w = ckks.values((5, 3), 4)
    for result, expected in [
        (w @ x, w @ values),
        (np.ones((3, 4)) - x, 1 - values),
        (np.float64(2.0) * x, 2 * values),
        (np.int32(2) + x, 2 + values),
        (np.ones(3) @ x, np.ones(3) @ values),
        (np.add(1.0, x), values + 1),
        (np.subtract(x, 1), values - 1),
        (np.multiply(x, x), values * values),
        (np.matmul(w, x), w @ values),
        (np.negative(x), -values),
        (np.square(x), values**2),
        (np.true_divide(x, 2), values / 2),
        (x / np.arange(1.0, 5.0), values / np.arange(1.0, 5.0)),
        (np.dot(w, x), w @ values),
        (np.dot(2.0, x), 2 * values),
        (np.sum(x, axis=1), values.sum(axis=1)),
        (np.mean(x), values.mean()),
        (np.add.reduce(x), np.add.reduce(values)),
        (np.average(x, axis=0, weights=[1, 2, 1]), np.average(values, axis=0, weights=[1, 2, 1])),
        (np.transpose(x), values.T),
        (np.reshape(x, (4, 3)), values.reshape(4, 3)),
        (np.flip(x), np.flip(values)),
        (np.flip(x, 0), np.flip(values, 0)),
        (np.expand_dims(x[0], 0), np.expand_dims(values[0], 0)),
        (np.broadcast_to(x[0], (2, 4)), np.broadcast_to(values[0], (2, 4))),
        (np.outer(x[0], [1.0, 2.0]), np.outer(values[0], [1.0, 2.0])),
        (np.outer([1.0, 2.0], x[0]), np.outer([1.0, 2.0], values[0])),
        (np.inner(x, x[0]), np.inner(values, values[0])),
    ]:
        ckks.check(result, expected)
    assert np.shape(x) == (3, 4)
    assert np.ndim(x) == 2
    assert np.size(x) == 12
    assert np.size(x, 1) == 4
    assert np.copy(x) is x


def test_axes_that_are_not_there(ckks):
    x = ckks.encrypt(ckks.values((3, 4)))
    for provoke in (lambda: np.flip(x, 5), lambda: np.expand_dims(x[0], 7), lambda: x.mean(2)):
        with pytest.raises(cb.ShapeError, match="out of bounds"):
            provoke()
    with pytest.raises(cb.UnsupportedError, match="keepdims"):
        np.average(x, axis=0, weights=[1, 2, 1], keepdims=True)
    for wrong in (x, 5, None):
        with pytest.raises(cb.errors.ArgumentError, match="expected a list of encrypted arrays"):
            cb.concatenate(wrong)


def test_attributes(any_scheme):
    x = any_scheme.encrypt(any_scheme.values((3, 5)))
    assert x.shape == (3, 5)
    assert (x.ndim, x.size, len(x)) == (2, 15, 3)
    assert x.dtype == (np.int64 if x.scheme == "bfv" else np.float64)
    assert x.nbytes > 0
    assert x.ciphertexts >= 1
    assert x.depth_left == any_scheme.sk.params.depth
    assert x.key_id == any_scheme.sk.key_id == any_scheme.ek.key_id
    assert x.is_bound
    assert x.magnitude_bound >= 4.0
    assert x.with_depth(0).depth_left == 0
    text = repr(x)
    assert all(part in text for part in ("(3, 5)", x.scheme, f"depth left={x.depth_left}", x.key_id[:8]))
    assert "<table>" in x._repr_html_()
    with pytest.raises(TypeError, match="encrypted scalar"):
        len(x[0, 0])


def test_packings(ckks):
    values, w = ckks.values((6, 4)), ckks.values((4, 3), 1)
    for packing in (cb.Packing.rows(), cb.Packing.columns(), cb.Packing.spread(), cb.Packing.auto()):
        x = ckks.sk.encrypt(values, ckks.ek, packing=packing)
        ckks.check(x @ w, values @ w)
        ckks.check(x.sum(axis=0), values.sum(axis=0))
    # Columns and spread need no evaluation key for a plain matrix.
    x = ckks.sk.encrypt(values, packing=cb.Packing.columns())
    ckks.check(x @ w, values @ w)
    v = ckks.sk.encrypt(values[0], ckks.ek, packing=cb.Packing.for_matrix((4, 3), ckks.sk.params.slots))
    ckks.check(v @ w, values[0] @ w)
    assert cb.Packing.rows() == cb.Packing.rows()
    assert cb.Packing.rows() != cb.Packing.columns()


@pytest.mark.parametrize("values", [np.linspace(50, 100, 300), np.full(7, 300.0), np.array(900.0)])
def test_results_beyond_the_range_at_the_bottom_are_refused(values):
    """Parameters that fit exactly: no level is left from which a value that wrapped around would be seen."""
    sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
    x = sk.encrypt(values, sk.evaluation_keys())
    for _ in range(20):
        with pytest.raises(cb.DecryptionError, match="beyond the declared range"):
            sk.decrypt(x * x)
    assert (sk.encrypt(values, bound=1000.0, keys=sk.evaluation_keys()) * 2.0).magnitude_bound == 2000.0


def test_bounds_hold_where_powers_on_the_way_leave_the_range():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=4))
    values = np.linspace(-8, 8, 50)
    x = sk.encrypt(values, sk.evaluation_keys(), bound=8.0)
    y = x.polynomial([0.0] * 9 + [1e-9])
    assert np.abs(sk.decrypt(y) - 1e-9 * values**9).max() <= y.error_bound


def test_capacity():
    params = cb.CkksParams(depth=1)
    assert 2**8 < params.capacity / params.max_value < 2**12
    x = (sk := cb.SecretKey.generate(params)).encrypt(np.array([1000.0]))
    for factor in (1.1, 0.9 * params.capacity / 1000):
        if factor * 1000 > 1.25 * params.max_value:
            with pytest.raises(cb.DecryptionError, match="params.max_value"):
                sk.decrypt(x * min(factor, 1000.0))
        else:
            assert np.allclose(sk.decrypt(x * factor), 1100.0)
