"""What the estimators ask of their arguments."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from cipherblas._array import EncryptedArray
from cipherblas._plain import plain_array
from cipherblas.errors import EncodingError, ParameterError, ShapeError


def count(name: str, value: Any) -> int:
    """A positive integer."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise _parameter(name, value, "a positive integer")


def positive(name: str, value: Any) -> float:
    """A positive number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if 0 < number < math.inf:
        return number
    raise _parameter(name, value, "a positive number")


def _parameter(name: str, value: Any, expected: str) -> ParameterError:
    message = f"invalid parameter {name}: got {value!r}, expected {expected}"
    return ParameterError(message, operation=name, got=repr(value), expected=expected)


def two_dimensions(operation: str, shape: tuple[int, ...], features: int | None = None) -> tuple[int, int]:
    """The shape of rows, of so many features if a model asks for them."""
    expected = f"rows of shape (n, {'features' if features is None else features})"
    if len(shape) == 2 and features in (None, shape[1]):
        return operator.index(shape[0]), operator.index(shape[1])
    if len(shape) == 1:
        hint = "a single row is `x[None, :]`"
    elif len(shape) == 2:
        hint = "pass the features that the model was fitted on, in the same order"
    else:
        hint = "pass one row for each sample"
    raise ShapeError(
        f"{operation}: got an array of shape {shape}, expected {expected}; {hint}",
        operation=operation,
        got=str(shape),
        expected=expected,
        hint=hint,
    )


def encrypted(operation: str, name: str, array: object, hint: str) -> EncryptedArray:
    """An encrypted array, and nothing in clear."""
    if isinstance(array, EncryptedArray):
        return array
    raise TypeError(f"{operation}: {name} is of type {type(array).__name__}, expected an EncryptedArray; {hint}")


def labels(y: npt.ArrayLike) -> npt.NDArray[Any]:
    """Labels 0 and 1, as floats."""
    if np.isin(np.asarray(y), (0, 1)).all():
        return plain_array(y, "ckks", "labels")
    hint = "map the classes: `(y == positive).astype(float)`"
    raise EncodingError(
        f"labels: got values other than 0 and 1; {hint}",
        operation="labels",
        got="other values",
        expected="0 and 1",
        hint=hint,
    )


def one_for_each_row(operation: str, shape: tuple[int, ...], rows: int) -> None:
    """Targets or labels are a vector, as long as there are rows."""
    if shape != (rows,):
        hint = "pass one target for each row: `y.ravel()` makes a vector of a column"
        raise ShapeError(
            f"{operation}: got an array of shape {shape} for {rows} rows, expected ({rows},); {hint}",
            operation=operation,
            got=str(shape),
            expected=f"({rows},)",
            hint=hint,
        )


def within(operation: str, values: npt.NDArray[Any], bound: float) -> None:
    """Refuse values beyond the bound that parameters were planned for: results would not decrypt."""
    # What is no number is refused by encryption.
    beyond = np.argwhere(np.isfinite(values) & (np.abs(values) > bound))
    if len(beyond):
        place = f"row {beyond[0][0]}" + (f", column {beyond[0][1]}" if values.ndim == 2 else "")
        hint = (
            "scale the features and targets, or plan for larger values: `plan(X, bound=...)`, `encrypt(..., plan=plan)`"
        )
        raise EncodingError(
            f"{operation}: got a value beyond the bound in {place}, expected at most {bound:g} in absolute value; {hint}",
            operation=operation,
            got=f"a value beyond the bound in {place}",
            expected=f"at most {bound:g}",
            hint=hint,
        )
