"""Plain operands: whatever NumPy makes an array of, as the scheme takes it."""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cipherblas._check import kind
from cipherblas.errors import CipherblasError, EncodingError, ShapeError, UnsupportedError

__all__ = ["plain_array"]

#: Element types of the schemes.
DTYPES: dict[str, np.dtype[Any]] = {
    "ckks": np.dtype(np.float64),
    "paillier": np.dtype(np.float64),
    "bfv": np.dtype(np.int64),
}


def plain_array(values: Any, scheme: str, operation: str = "plain operand") -> npt.NDArray[Any]:
    """The values as an aligned array in C order, of float64 (CKKS, Paillier) or int64 (BFV).

    Arrays that are so already are handed on as they are. Data frames and Arrow tables come in through their array protocols.
    """
    dtype = DTYPES[scheme]
    if (
        type(values) is np.ndarray
        and values.dtype == dtype
        and values.flags.c_contiguous
        and values.flags.aligned
        and values.ndim <= 2
    ):
        return values
    array = _to_array(values, operation, dtype)
    if array.ndim > 2:
        raise ShapeError(
            f"{operation}: got an array of shape {array.shape}, expected at most 2 dimensions; reshape it, or loop over the first",
            operation=operation,
            got=str(array.shape),
            expected="at most 2 dimensions",
            hint="reshape it, or loop over the first dimension",
        )
    return np.require(_cast(array, values, operation, dtype), dtype, ["C", "A"])


def _to_array(values: Any, operation: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        if values.mask is not np.ma.nomask and np.any(values.mask):
            raise _encoding(operation, "a masked array", "an array without holes", "fill it: `x.filled(...)`")
        return np.asarray(values.data)
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(values):
        raise _encoding(operation, "a sparse matrix", "a dense array", "where zeros are is no secret: `x.toarray()`")
    try:
        return np.asarray(values)
    except CipherblasError:
        raise
    except (TypeError, ValueError) as error:
        # Arrow tables and polars frames of several types make no array.
        found = _misfit_of_columns(values, dtype)
        if found is not None:
            raise _encoding(operation, *found) from None
        got, hint = kind(values), "pass numbers"
        if "inhomogeneous" in str(error):
            got, hint = "sequences of different lengths", "pad the shorter ones, or encrypt each by itself"
        expected = "an array of numbers"
        message = f"{operation}: got {got}, expected {expected}; {hint}"
        raise ShapeError(message, operation=operation, got=got, expected=expected, hint=hint) from error


def _cast(array: npt.NDArray[Any], values: Any, operation: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The array in the type of the scheme, or the exception that names what does not fit."""
    found = _misfit(array, dtype)
    if found is None:
        with np.errstate(over="ignore"):
            # What is too large becomes infinite, which encryption refuses with its place.
            try:
                return array.astype(dtype, copy=False)
            except OverflowError:
                hint = "scale the data, or use logarithms"
                raise _encoding(operation, "an integer beyond a float64", "real numbers", hint) from None
    # The types of a frame's columns tell more than that of all together.
    named = _misfit_of_columns(values, dtype) or (found.got, found.expected, found.hint)
    raise _encoding(operation, *named)


def _misfit_of_columns(values: Any, dtype: np.dtype[Any]) -> tuple[str, str, str] | None:
    """What does not fit in the columns of a frame, what would, and what to do."""
    found = [(name, misfit) for name, column in _columns(values) if (misfit := _misfit(column, dtype, frame=True))]
    if not found:
        return None
    got = " and ".join(dict.fromkeys(f"{misfit.what} in column {name!r}" for name, misfit in found))
    return got, found[0][1].expected, "; ".join(dict.fromkeys(misfit.hint for _, misfit in found))


class _Misfit(NamedTuple):
    """What keeps values from being encrypted."""

    what: str
    got: str
    expected: str
    hint: str


_DAYS = "(x - np.datetime64('2020-01-01')) / np.timedelta64(1, 'D')"
_HINTS = {
    "text": "encode text as numbers, e.g. one-hot (`pd.get_dummies`), and numbers in text by `x.astype(float)`",
    "missing values": "fill what is missing (`df.fillna(...)`), or drop its rows (`df.dropna()`)",
    "dates": f"turn dates into numbers, e.g. of days: `{_DAYS}`",
    "durations": "turn durations into numbers, e.g. of days: `x / np.timedelta64(1, 'D')`",
    "complex numbers": "encrypt real and imaginary part apart",
    "records": "encrypt a field at a time: `x['field']`",
    "floats": "scale and round: `np.rint(x * 1000).astype(np.int64)`, or use CKKS or Paillier",
    "integers beyond int64": "no parameters hold values of 64 bits: CKKS takes them, rounded",
}
_KINDS = {"U": "text", "S": "text", "T": "text", "M": "dates", "m": "durations", "c": "complex numbers", "V": "records"}


def _misfit(array: npt.NDArray[Any], dtype: np.dtype[Any], *, frame: bool = False) -> _Misfit | None:
    """What the first value is that does not fit into the type, if any. In frames NaN stands for missing values."""
    real = dtype.kind == "f"
    expected = "real numbers" if real else "integers"
    code = array.dtype.kind
    if code == "O":
        return _misfit_of_objects(array, real, expected)
    if frame and code == "f" and np.isnan(array).any():
        what = "missing values"
        return _Misfit(what, what, expected, _HINTS[what])
    if code in _KINDS or (code == "f" and not real):
        what = _KINDS.get(code, "floats")
        return _Misfit(what, f"{what} (an array of dtype {array.dtype})", expected, _HINTS[what])
    if not real and array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        what = "integers beyond int64"
        return _Misfit(what, what, "integers below 2^63", _HINTS[what])
    if code not in "biuf":
        return _Misfit(f"values of dtype {array.dtype}", f"an array of dtype {array.dtype}", expected, _NUMBERS)
    return None


_NUMBERS = "pass numbers in an array, a list or a data frame: of a dict its values, of a set or a generator `list(x)`"


def _misfit_of_objects(array: npt.NDArray[Any], real: bool, expected: str) -> _Misfit | None:
    """Data frames of several types, decimals and large integers arrive as objects."""
    for value in array.ravel():
        what = _kind_of_object(value)
        if what is None and not real:
            if not isinstance(value, (int, np.integer, np.bool_)):
                what = "floats"
            elif not -(2**63) <= int(value) < 2**63:
                what = "integers beyond int64"
                return _Misfit(what, what, "integers below 2^63", _HINTS[what])
        if what is not None:
            hint = _HINTS.get(what) or _NUMBERS
            return _Misfit(what, what, expected, hint)
    return None


def _kind_of_object(value: Any) -> str | None:
    """A word for what is no number."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "missing values"
    if isinstance(value, (str, bytes)):
        return "text"
    if isinstance(value, (complex, np.complexfloating)):
        return "complex numbers"
    if isinstance(value, (datetime.date, np.datetime64)):
        return "dates"
    if isinstance(value, (datetime.timedelta, np.timedelta64)):
        return "durations"
    if isinstance(value, int):
        # Beyond a double's range as well: encryption says that it is too large.
        return None
    try:
        float(value)
    except (TypeError, ValueError):
        return f"an object of type {type(value).__name__}"
    except OverflowError:
        return None
    return None


def _columns(values: Any) -> list[tuple[str, npt.NDArray[Any]]]:
    """Names and values of the columns of a data frame or an Arrow table, nothing for anything else."""
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        return [(str(name), np.asarray(values.iloc[:, k])) for k, name in enumerate(values.columns)]
    names = getattr(values, "column_names", None) or getattr(values, "columns", None)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return [(name, np.asarray(values[name])) for name in names]
    return []


def located(
    error: EncodingError, plain: npt.NDArray[Any], values: Any, operation: str, noun: str = "value"
) -> EncodingError:
    """The exception of the native part, with where in the array the value is, and without the value.

    The place that the native part names is one in ``plain`` at encryption; of other operands it may see rearranged values.
    """
    finite = np.isfinite(plain)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        missing = bool(np.isnan(plain.flat[at]))
        got = "NaN" if missing else "an infinite value"
        hint = (
            "fill what is missing, e.g. by `np.nan_to_num(x)`, or leave it out"
            if missing
            else "it may be too large for a float64: scale the data"
        )
        expected = "finite numbers"
    else:
        place = re.fullmatch(r"value at index (\d+)", error.operation or "")
        known = operation == "encrypt" and place is not None and int(place[1]) < plain.size
        at = int(place[1]) if place is not None and known else int(np.argmax(np.abs(plain.astype(np.float64))))
        got, expected, hint = f"a {noun} beyond the bound", error.expected or "smaller values", error.hint or ""
    got += _place(np.unravel_index(at, plain.shape), values)
    return _encoding(operation, got, expected, hint)


def _place(index: tuple[Any, ...], values: Any) -> str:
    if not index:
        return ""
    names = [name for name, _ in _columns(values)]
    if len(index) == 2 and len(names) > int(index[1]):
        return f" at row {int(index[0])} of column {names[int(index[1])]!r}"
    return f" at index {int(index[0])}" if len(index) == 1 else f" at index {tuple(int(i) for i in index)}"


def _encoding(operation: str, got: str, expected: str, hint: str) -> EncodingError:
    message = f"{operation}: got {got}, expected {expected}; {hint}"
    return EncodingError(message, operation=operation, got=got, expected=expected, hint=hint)


def no_such(scheme: str, operation: str, hint: str) -> UnsupportedError:
    """The exception for something that these arrays cannot do."""
    message = f"{scheme} does not support {operation}; {hint}"
    return UnsupportedError(message, operation=operation, got=scheme, hint=hint)
