"""Checks of arguments, before the native part sees them."""

from __future__ import annotations

import operator
import os
import re
import warnings
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from cipherblas import _core as _native
from cipherblas.errors import ArgumentError, OutOfBoundsError, ParameterError, ShapeError

BACKENDS = ("scalar", "avx2", "avx512")


def kind(value: object) -> str:
    """What something is, without its value: it may be a secret."""
    return value.__name__ if isinstance(value, type) else type(value).__name__


def argument(what: str, got: str, expected: str, hint: str) -> ArgumentError:
    """The exception for an argument of the wrong kind; ``got`` says which, not what: it may be a secret."""
    message = f"{what}: got {got}, expected {expected}; {hint}"
    return ArgumentError(message, operation=what, got=got, expected=expected, hint=hint)


def whole_number(value: SupportsIndex, what: str, low: int, high: int | None = None) -> int:
    """A whole number between bounds."""
    expected = f"a whole number from {low} " + ("on" if high is None else f"to {high}")
    try:
        number = operator.index(value)
    except TypeError:
        raise argument(what, kind(value), expected, "write it as an int") from None
    if number < low or (high is not None and number > high):
        raise ParameterError(
            f"invalid parameter {what}: got {number}, expected {expected}",
            operation=what,
            got=str(number),
            expected=expected,
        )
    return number


def real_number(value: Any, what: str, hint: str) -> float:
    """A number as a float; its range is checked later."""
    expected = "a number"
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise argument(what, kind(value), expected, hint)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise argument(what, kind(value), expected, hint) from None


def normal_axis(axis: SupportsIndex, ndim: int) -> int:
    """An axis, counted from the first."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise argument("axis", kind(axis), "a whole number", "axes are numbered from 0, from the end from -1") from None
    if not -ndim <= number < ndim:
        raise OutOfBoundsError(
            f"axis {number} is out of bounds for an array of {ndim} dimension(s)",
            operation="axis",
            got=str(number),
            expected=f"{-ndim} to {ndim - 1}" if ndim else "no axis: the array has no dimension",
        )
    return number % ndim


def normal_axes(axis: SupportsIndex | Sequence[SupportsIndex], ndim: int) -> tuple[int, ...]:
    """An axis or several, counted from the first, each only once."""
    several: Any = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normal_axis(a, ndim) for a in several)
    if len(set(axes)) < len(axes):
        raise ShapeError(
            f"axis: got {axis}, expected each axis once",
            operation="axis",
            got=str(axis),
            expected="each axis once",
        )
    return axes


def lengths(shape: Any, what: str) -> list[int]:
    """A shape as a list of ints: a number, a sequence or an array of numbers."""
    several = isinstance(shape, Sequence) and not isinstance(shape, (str, bytes))
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        several = True
    numbers: Any = shape if several else (shape,)
    try:
        return [operator.index(n) for n in numbers]
    except TypeError:
        raise argument(what, kind(shape), "whole numbers", "a shape is a number or a tuple of them: (3, 4)") from None


def check_environment() -> None:
    """Warn of variables that say what there is not: they are read where nobody sees an error."""
    wanted = os.environ.get("CIPHERBLAS_BACKEND")
    if wanted is not None and _native.backend() != wanted:
        why = "this processor cannot run it" if wanted in BACKENDS else "there is no such arithmetic"
        known = ", ".join(f"'{name}'" for name in BACKENDS)
        _warn(f"CIPHERBLAS_BACKEND: got {wanted!r}, expected one of {known}; {why}: unset it, or no key can be made")
    threads = os.environ.get("CIPHERBLAS_NUM_THREADS")
    if threads is not None and not re.fullmatch(r"\+?0*[1-9][0-9]{0,8}", threads):
        used = _native.get_num_threads()
        _warn(f"CIPHERBLAS_NUM_THREADS: got {threads!r}, expected a whole number from 1 on; {used} thread(s) are used")


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
