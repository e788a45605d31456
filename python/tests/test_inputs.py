"""What goes in: every type and layout of NumPy's, data frames, Arrow; what is refused, and how."""

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
        (np.array(["2020-01-01"], dtype="M8[D]"), "astype"),
        (np.array([1], dtype="m8[s]"), "astype"),
        (np.array([None, 1.0]), "expected numbers"),
        (np.array([(1, 2.0)], dtype="i4,f8"), "expected real numbers"),
        (np.array([1.0, "x"], dtype=object), "expected numbers"),
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
    with pytest.raises(cb.EncodingError, match="index 9") as caught:
        ckks.encrypt(values)
    assert "finite" in caught.value.expected


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
    with pytest.raises(cb.EncodingError):
        ckks.encrypt(pd.DataFrame({"a": [1.0], "b": ["x"]}))


def test_sparse_matrices_are_refused(ckks):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(cb.EncodingError, match="toarray"):
        ckks.encrypt(sparse.csr_matrix(np.eye(3)))
