"""What goes in: every type and layout of NumPy's, data frames, Arrow; what is refused, and how."""

import datetime
import decimal
import fractions

import cipherblas as cb
import numpy as np
import pandas as pd
import pytest
from cipherblas._plain import plain_array

REAL = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "g"]
INTEGER = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]


@pytest.mark.parametrize("code", REAL)
def test_every_real_type(ckks, code):
    values = np.array([0, 1, 1, 3]).astype(code)
    ckks.check(ckks.encrypt(values), values.astype(np.float64))
    ckks.check(ckks.encrypt(np.zeros(4)) + values, values.astype(np.float64))


@pytest.mark.parametrize("code", INTEGER)
def test_every_integer_type_exactly(bfv, code):
    values = np.array([0, 1, 1, 3]).astype(code)
    bfv.check(bfv.encrypt(values), values.astype(np.int64))


@pytest.mark.parametrize("code", ["e", "f", "d", "g"])
def test_integers_are_not_made_of_floats(bfv, code):
    with pytest.raises(cb.EncodingError, match="expected integers; scale and round") as caught:
        bfv.encrypt(np.ones(3, dtype=code))
    assert caught.value.expected == "integers"


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.array([1j]), "real and imaginary part apart"),
        (np.array(["1.0"]), "astype"),
        (np.array([b"1"]), "astype"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "turn dates into numbers, e.g. of days"),
        (np.array([1], dtype="m8[s]"), "turn durations into numbers, e.g. of days"),
        (np.array([None, 1.0]), "got missing values, .* fill what is missing"),
        (np.array([(1, 2.0)], dtype="i4,f8"), "expected real numbers"),
        (np.array([1.0, "x"], dtype=object), "got text, .* one-hot"),
        (np.array([1.0, 1j], dtype=object), "got complex numbers"),
        (np.array([datetime.date(2020, 1, 1)], dtype=object), "got dates"),
        (np.array([datetime.timedelta(1)], dtype=object), "got durations"),
        (np.array([{"a": 1}], dtype=object), "an object of type dict, expected real numbers; pass numbers"),
        (np.array([10**400], dtype=object), "an integer beyond a float64"),
        (np.ma.masked_array([1.0, 2.0], mask=[True, False]), "filled"),
    ],
)
def test_what_is_no_number_is_refused(ckks, values, match):
    with pytest.raises(cb.EncodingError, match=match):
        ckks.encrypt(values)
    with pytest.raises(cb.EncodingError, match=match):
        ckks.encrypt(np.zeros(len(values))) + values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, 5.0])
def test_values_that_cannot_be_encoded_are_named_with_their_place(ckks, bad):
    values = np.zeros((3, 4))
    values[2, 1] = bad
    with pytest.raises(cb.EncodingError, match=r"at index \(2, 1\)") as caught:
        ckks.encrypt(values)
    assert "finite" in caught.value.expected
    assert not np.isfinite(bad) or str(bad) not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "got", "hint"),
    [
        (np.nan, "NaN", "fill what is missing"),
        (np.inf, "an infinite value", "scale the data"),
        (-np.inf, "an infinite value", "scale the data"),
        (1e30, "a value beyond the bound", "scale|larger bound|integer_bits"),
    ],
)
def test_what_cannot_be_encoded_is_named_and_placed(any_scheme, bad, got, hint):
    ctx = any_scheme
    if ctx.scheme == "bfv":
        if not np.isfinite(bad):
            return
        bad, hint = 2**62, "plaintext_bits"
    kind = int if ctx.scheme == "bfv" else float
    matrix, row = np.zeros((3, 4), dtype=kind), np.zeros(4, dtype=kind)
    matrix[1, 2] = row[2] = bad
    x = ctx.encrypt(ctx.values((3, 4)))
    for provoke, operation, place in [
        (lambda: ctx.encrypt(matrix), "encrypt", " at index (1, 2)"),
        (lambda: ctx.sk.public_key().encrypt(row), "encrypt", " at index 2"),
        (lambda: ctx.encrypt(matrix[1, 2]), "encrypt", ""),
        (lambda: x + matrix, "x + plain", " at index (1, 2)"),
        (lambda: row - x, "plain - x", " at index 2"),
        (lambda: x * row, "x * plain", " at index 2"),
        (lambda: x * matrix[1, 2], "x * plain", ""),
        (lambda: x @ row, "x @ plain", " at index 2"),
        (lambda: matrix.T @ x, "plain @ x", " at index (2, 1)"),
        (lambda: x.polynomial([row[0], row[2]]), "polynomial", " at index 1"),
    ]:
        if ctx.scheme == "paillier" and np.isfinite(bad) and operation in ("polynomial", "plain - x", "x + plain"):
            continue
        with pytest.raises(cb.EncodingError, match=hint) as caught:
            provoke()
        assert (caught.value.operation, caught.value.got) == (operation, got + place)
        assert str(caught.value).startswith(f"{operation}: got {got}{place}, expected ")


def test_divisors_that_are_no_numbers(ckks):
    x = ckks.encrypt(ckks.values(3))
    for divisor, match in [
        (1e-320, "so small that its reciprocal is infinite"),
        ([1, 1e-310, 1], "so small that its reciprocal is infinite"),
        (1e-30, "a reciprocal beyond the bound"),
        ([1, 2, 1e-30], "a reciprocal beyond the bound at index 2"),
        ([1, np.nan, 1], "NaN at index 1"),
    ]:
        with pytest.raises(cb.EncodingError, match=match):
            x / divisor
    for divisor in (0, 0.0, [1, 0, 2]):
        with pytest.raises(ZeroDivisionError, match="got zero as a divisor, expected other numbers; leave such values"):
            x / divisor


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_frames_are_named(ckks, bfv, library):
    def frame(**data):
        if library == "pandas":
            return pd.DataFrame(data)
        module = pytest.importorskip(library)
        return module.DataFrame(data) if library == "polars" else module.table(data)

    day = datetime.date(2020, 1, 1)
    good = [1.0, 2.0]
    with pytest.raises(cb.EncodingError, match="got text in column 'name', expected real numbers; .* one-hot"):
        ckks.encrypt(frame(a=good, name=["x", "y"]))
    with pytest.raises(cb.EncodingError, match="got text in column 'b' and dates in column 'day'") as caught:
        ckks.encrypt(frame(a=good, b=["x", "y"], day=[day, day]))
    assert "one-hot" in caught.value.hint
    assert "of days" in caught.value.hint
    with pytest.raises(cb.EncodingError, match="got NaN at row 1 of column 'age'"):
        ckks.encrypt(frame(a=good, age=[1.0, float("nan")]))
    with pytest.raises(cb.EncodingError, match="got a value beyond the bound at row 0 of column 'big'"):
        ckks.encrypt(frame(a=good, big=[1e9, 1.0]))
    with pytest.raises(cb.EncodingError, match="got floats in column 'a', expected integers"):
        bfv.encrypt(frame(a=good, b=[1, 2]))


def test_missing_values_of_pandas(ckks):
    with pytest.raises(cb.EncodingError, match="got missing values in column 'n', .*fillna"):
        ckks.encrypt(pd.DataFrame({"a": [1, 2], "n": pd.array([1, None], dtype="Int64")}))
    with pytest.raises(cb.EncodingError, match="got text, expected real numbers"):
        ckks.encrypt(pd.Series(["a", "b"], dtype="category"))
    repeated = pd.DataFrame([[1.0, "x"]], columns=["a", "a"])
    with pytest.raises(cb.EncodingError, match="got text in column 'a'"):
        ckks.encrypt(repeated)


def test_integers_of_python(ckks, bfv):
    with pytest.raises(cb.EncodingError, match="got integers beyond int64, expected integers below 2\\^63"):
        bfv.encrypt([2**70])
    with pytest.raises(cb.EncodingError, match="got a value beyond the bound at index 1"):
        ckks.encrypt([1, 2**70])
    bfv.check(bfv.encrypt(np.array([1, 2], dtype=object)), [1, 2])
    with pytest.raises(cb.EncodingError, match="got floats"):
        bfv.encrypt([decimal.Decimal(1)])
    with pytest.raises(cb.ShapeError, match="sequences of different lengths"):
        ckks.encrypt([[1, 2], [3]])


def test_other_numbers(ckks, bfv):
    ckks.check(ckks.encrypt([decimal.Decimal("0.5"), fractions.Fraction(1, 4), 1]), [0.5, 0.25, 1])
    ckks.check(ckks.encrypt(2), 2.0)
    ckks.check(ckks.encrypt([[1, 2], [3, 4]]), [[1.0, 2], [3, 4]])
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, 2.0]])
    ckks.check(ckks.encrypt(matrix), [[1.0, 2.0]])
    ckks.check(ckks.encrypt(np.ma.masked_array([1.0, 2.0])), [1.0, 2.0])
    with pytest.raises(cb.EncodingError, match="2\\^63"):
        bfv.encrypt(np.array([2**63], dtype=np.uint64))
    with pytest.raises(cb.EncodingError):
        bfv.encrypt([2**80])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_arrays_are_refused(ckks, shape):
    with pytest.raises(cb.ShapeError):
        ckks.encrypt(np.zeros(shape))


def test_more_than_two_dimensions_are_refused(ckks):
    with pytest.raises(cb.ShapeError, match="at most 2 dimensions") as caught:
        ckks.encrypt(np.zeros((2, 2, 2)))
    assert caught.value.got == "(2, 2, 2)"
    with pytest.raises(cb.ShapeError):
        ckks.encrypt([[1.0], [1.0, 2.0]])


def layouts():
    base = np.arange(24.0).reshape(4, 6) / 8
    unaligned = np.frombuffer(b"x" + base.tobytes(), dtype=np.uint8)[1:].view(np.float64).reshape(4, 6)
    frozen = base.copy()
    frozen.flags.writeable = False
    return {
        "C": base,
        "Fortran": np.asfortranarray(base),
        "strided": np.repeat(base, 2, axis=1)[:, ::2],
        "negative": base[::-1, ::-1],
        "transposed": base.T,
        "unaligned": unaligned,
        "swapped": base.astype(">f8"),
        "read-only": frozen,
        "broadcast": np.broadcast_to(base[0], (4, 6)),
    }


@pytest.mark.parametrize("name", list(layouts()))
def test_every_layout(any_scheme, name):
    values = layouts()[name]
    if any_scheme.scheme == "bfv":
        values = values.astype(">i8" if name == "swapped" else np.int64)
    any_scheme.check(any_scheme.encrypt(values), values)
    other = any_scheme.values(values.shape)
    any_scheme.check(any_scheme.encrypt(other) - values, other - values)


def test_nothing_is_copied_without_need():
    values = np.zeros((5, 3))
    assert plain_array(values, "ckks") is values
    assert plain_array(values.astype(np.int64), "bfv").dtype == np.int64
    frozen = values[1:]
    frozen.flags.writeable = False
    assert np.shares_memory(plain_array(frozen, "ckks"), values)
    assert not np.shares_memory(plain_array(values.T, "ckks"), values)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_and_tables(ckks, library):
    values = np.arange(6.0).reshape(3, 2) / 2
    if library == "pandas":
        frame = pd.DataFrame(values, columns=["a", "b"])
        column, w = frame["a"], pd.DataFrame(np.ones((2, 2)))
    else:
        module = pytest.importorskip(library)
        data = {"a": values[:, 0], "b": values[:, 1]}
        frame = module.DataFrame(data) if library == "polars" else module.table(data)
        column, w = frame["a"], np.ones((2, 2))
    x = ckks.encrypt(frame)
    ckks.check(x, values)
    ckks.check(ckks.encrypt(column), values[:, 0])
    ckks.check(x @ w, values @ np.ones((2, 2)))
    ckks.check(x + np.asarray(frame), 2 * values)


def test_pandas_operators_give_way(ckks):
    values = np.arange(6.0).reshape(3, 2) / 2
    frame = pd.DataFrame(values)
    x = ckks.encrypt(values)
    ckks.check(frame + x, 2 * values)
    ckks.check(frame[0] - ckks.encrypt(values[:, 1]), values[:, 0] - values[:, 1])
    ckks.check(ckks.encrypt(pd.array([1, 2, 3], dtype="Int64")), [1.0, 2.0, 3.0])
    ckks.check(frame * x, values * values)
    for provoke in (lambda: frame @ x.T, lambda: frame[0] @ x):
        # pandas converts what stands on the right of `@` before it asks.
        with pytest.raises(cb.UnsupportedError, match="for `df @ x` write `df.to_numpy\\(\\) @ x`"):
            provoke()
    ckks.check(frame.to_numpy() @ x.T, values @ values.T)
    ckks.check(x @ frame.T, values @ values.T)
    for key in (frame[0] > 0, [True, False, True], np.array([0, 2]), (slice(None), frame.loc[0] > 0)):
        with pytest.raises(cb.UnsupportedError, match="select by a plain matrix: `S @ x`"):
            x[key]
    ckks.check(np.eye(3)[frame[0] > 0] @ x, values[frame[0] > 0])


def test_sparse_matrices_are_refused(ckks):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(cb.EncodingError, match="toarray"):
        ckks.encrypt(sparse.csr_matrix(np.eye(3)))
