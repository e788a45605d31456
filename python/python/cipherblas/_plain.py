"""Plain operands: whatever NumPy makes an array of, as the scheme takes it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from cipherblas.errors import EncodingError, ShapeError, UnsupportedError

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
    array = _to_array(values, operation)
    if array.ndim > 2:
        raise ShapeError(
            f"{operation}: got an array of shape {array.shape}, expected at most 2 dimensions; reshape it, or loop over the first",
            operation=operation,
            got=str(array.shape),
            expected="at most 2 dimensions",
            hint="reshape it, or loop over the first dimension",
        )
    cast = _to_integers(array, operation) if dtype.kind == "i" else _to_reals(array, operation)
    return np.require(cast, dtype, ["C", "A"])


def _to_array(values: Any, operation: str) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        if values.mask is not np.ma.nomask and np.any(values.mask):
            raise _encoding(operation, "a masked array", "an array without holes", "fill it: `x.filled(...)`")
        return np.asarray(values.data)
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(values):
        raise _encoding(operation, "a sparse matrix", "a dense array", "where zeros are is no secret: `x.toarray()`")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{operation}: {error}", operation=operation, got=type(values).__name__, expected="an array of numbers"
        ) from error
    if array.dtype.kind == "O":
        array = _from_objects(array, operation)
    return array


def _from_objects(array: npt.NDArray[Any], operation: str) -> npt.NDArray[Any]:
    """Data frames of several types, decimals and large integers arrive as objects."""
    flat = array.ravel()
    if all(isinstance(v, (int, np.integer, np.bool_)) for v in flat):
        try:
            return array.astype(np.int64)
        except OverflowError:
            return array.astype(np.float64)
    if any(v is None or isinstance(v, (str, bytes, complex, np.complexfloating)) for v in flat):
        raise _kind(operation, array, "numbers", "convert it first: `x.astype(float)`")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _kind(operation, array, "numbers", "convert it first: `x.astype(float)`") from error


def _to_reals(array: npt.NDArray[Any], operation: str) -> npt.NDArray[Any]:
    if array.dtype.kind not in "biuf":
        hint = (
            "encrypt real and imaginary part apart"
            if array.dtype.kind == "c"
            else "convert it first: `x.astype(float)`"
        )
        raise _kind(operation, array, "real numbers", hint)
    with np.errstate(over="ignore"):
        # What is too large becomes infinite, which encryption refuses with its place.
        return array.astype(np.float64, copy=False)


def _to_integers(array: npt.NDArray[Any], operation: str) -> npt.NDArray[Any]:
    if array.dtype.kind == "f":
        hint = "scale and round: `np.rint(x * 1000).astype(np.int64)`, or use CKKS or Paillier"
        raise _kind(operation, array, "integers", hint)
    if array.dtype.kind not in "biu":
        raise _kind(operation, array, "integers", "convert it first: `x.astype(np.int64)`")
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise _encoding(operation, str(int(array.max())), "integers below 2^63", "no parameters hold values of 64 bits")
    return array


def _kind(operation: str, array: npt.NDArray[Any], expected: str, hint: str) -> EncodingError:
    return _encoding(operation, f"an array of dtype {array.dtype}", expected, hint)


def _encoding(operation: str, got: str, expected: str, hint: str) -> EncodingError:
    message = f"{operation}: got {got}, expected {expected}; {hint}"
    return EncodingError(message, operation=operation, got=got, expected=expected, hint=hint)


def no_such(scheme: str, operation: str, hint: str) -> UnsupportedError:
    """The exception for something that these arrays cannot do."""
    message = f"{scheme} does not support {operation}; {hint}"
    return UnsupportedError(message, operation=operation, got=scheme, hint=hint)
