"""NumPy's functions on encrypted arrays: what exists, and for what does not, what to do instead."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cipherblas import _array
from cipherblas._array import EncryptedArray
from cipherblas._check import argument, lengths, normal_axes, normal_axis, whole_number
from cipherblas._plain import no_such, plain_array
from cipherblas._refused import no_function, refused
from cipherblas.errors import DivisionByZeroError, ShapeError


def _matvec(matrix: Any, vector: Any) -> EncryptedArray:
    matrix, vector = _arrays("matvec", matrix, vector)
    if matrix.ndim != 2 or vector.ndim < 1:
        raise _core_shapes("matvec", matrix, vector, "a matrix and a vector")
    product: EncryptedArray = matrix @ vector if vector.ndim == 1 else vector @ matrix.T
    return product


def _vecmat(vector: Any, matrix: Any) -> EncryptedArray:
    vector, matrix = _arrays("vecmat", vector, matrix)
    if matrix.ndim != 2 or vector.ndim < 1:
        raise _core_shapes("vecmat", vector, matrix, "a vector and a matrix")
    product: EncryptedArray = vector @ matrix
    return product


def _vecdot(a: Any, b: Any, axis: Any = -1) -> EncryptedArray:
    a, b = _arrays("vecdot", a, b)
    if a.ndim < 1 or b.ndim < 1 or a.shape[-1] != b.shape[-1]:
        raise _core_shapes("vecdot", a, b, "two arrays with vectors of one length along the last axis")
    if a.ndim == b.ndim == 2:
        # An encrypted factor stands first: NumPy's own operators come later.
        products: EncryptedArray = a * b if isinstance(a, EncryptedArray) else b * a
        return products.sum(axis=-1)
    product: EncryptedArray = b @ a if a.ndim == 1 and b.ndim == 2 else a @ b
    return product


def _arrays(operation: str, *operands: Any) -> tuple[Any, ...]:
    """Operands with shapes: plain ones as NumPy's arrays."""
    schemes = [a.scheme for a in operands if isinstance(a, EncryptedArray)]
    return tuple(a if isinstance(a, EncryptedArray) else plain_array(a, schemes[0], operation) for a in operands)


def _core_shapes(operation: str, a: Any, b: Any, expected: str) -> ShapeError:
    got = f"{a.shape} and {b.shape}"
    message = f"{operation}: got {got}, expected {expected}"
    return ShapeError(message, operation=operation, got=got, expected=expected)


_UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda a, b: a + b,
    np.subtract: lambda a, b: a - b,
    np.multiply: lambda a, b: a * b,
    np.matmul: lambda a, b: a @ b,
    np.true_divide: lambda a, b: a / b,
    np.negative: lambda a: -a,
    np.positive: lambda a: a,
    np.square: lambda a: a * a,
    np.power: lambda a, n: _power(a, n),
    np.float_power: lambda a, n: _power(a, n),
}
#: By name: they came with NumPy 2.0 (`vecdot`) and 2.2.
_PRODUCTS: dict[str, Callable[..., Any]] = {"matvec": _matvec, "vecmat": _vecmat, "vecdot": _vecdot}


def _power(base: Any, exponent: Any) -> EncryptedArray:
    if not isinstance(base, EncryptedArray):
        raise no_function("exp", "encrypted exponents", exponent.scheme)
    if not isinstance(exponent, EncryptedArray) and np.ndim(exponent) != 0:
        raise refused("several exponents at once", "take one power at a time: `x ** 2`", base.scheme)
    return base ** (exponent if isinstance(exponent, EncryptedArray) else np.asarray(exponent).item())


def apply_ufunc(
    array: EncryptedArray, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> EncryptedArray:
    """A universal function of which one input is encrypted."""
    name = ufunc.__name__
    if method == "reduce" and ufunc is np.add and set(kwargs) <= {"axis", "keepdims"}:
        return array.sum(kwargs.get("axis", 0), keepdims=kwargs.get("keepdims", False))
    if method != "__call__":
        hint = "`np.outer(x, y)` is there" if method == "outer" else "`x.sum(axis)` and `x.mean(axis)` are there"
        raise refused(f"numpy.{name}.{method}", hint, array.scheme)
    if ufunc not in _UFUNCS and name not in _PRODUCTS:
        raise no_function(name, f"numpy.{name}", array.scheme)
    if kwargs:
        options = ", ".join(f"`{k}=`" for k in kwargs)
        raise refused(f"numpy.{name} with {options}", "leave it out: results are new arrays", array.scheme)
    result: EncryptedArray
    function = _UFUNCS.get(ufunc) or _PRODUCTS[name]
    if ufunc in (np.power, np.float_power) or ufunc.nin == 1 or name in _PRODUCTS:
        result = function(*inputs)
        return result
    left, right = inputs
    if isinstance(left, EncryptedArray):
        result = function(left, right)
        return result
    reflected = {np.add: "__radd__", np.subtract: "__rsub__", np.multiply: "__rmul__", np.matmul: "__rmatmul__"}
    result = getattr(right, reflected.get(ufunc, "__rtruediv__"))(left)
    return result


def _sum(a: EncryptedArray, axis: Any = None, *, keepdims: bool = False) -> EncryptedArray:
    return a.sum(axis, keepdims=keepdims)


def _mean(a: EncryptedArray, axis: Any = None, *, keepdims: bool = False) -> EncryptedArray:
    return a.mean(axis, keepdims=keepdims)


def _average(a: EncryptedArray, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> EncryptedArray:
    if weights is None:
        return a.mean(axis, keepdims=keepdims)
    if keepdims:
        raise refused("numpy.average with weights and `keepdims=`", "leave it out, and reshape", a.scheme)
    if a.scheme == "bfv":
        hint = "integers have no fractions: use `x @ weights`, and divide what was decrypted"
        raise no_such("bfv", "numpy.average with weights", hint)
    axes = tuple(range(a.ndim)) if axis is None else normal_axes(axis, a.ndim)
    w = plain_array(weights, a.scheme, "numpy.average: weights")
    if len(axes) != 1 or w.ndim != 1:
        hint = "one weight for each value of a vector, or along an axis"
        raise refused("numpy.average with these weights", hint, a.scheme)
    if len(w) != a.shape[axes[0]]:
        got, expected = f"{len(w)} weights", f"{a.shape[axes[0]]}, as many as values along the axis"
        message = f"numpy.average: got {got}, expected {expected}"
        raise ShapeError(message, operation="numpy.average", got=got, expected=expected)
    with np.errstate(all="ignore"):
        total = w.sum()
        share = w / total
    if np.isfinite(w).all() and not np.isfinite(share).all():
        got, hint = "weights that sum to zero, or nearly", "weights are divided by their sum: make them positive"
        message = f"numpy.average: got {got}, expected a sum that can be divided by; {hint}"
        expected = "a sum that can be divided by"
        raise DivisionByZeroError(message, operation="numpy.average", got=got, expected=expected, hint=hint)
    # Weights that are no numbers are named by their place among the weights.
    share = share if np.isfinite(w).all() else w
    along: EncryptedArray = a.__rmatmul__(share) if axes[0] == 0 and a.ndim == 2 else a @ share
    return along


def _dot(a: Any, b: Any) -> EncryptedArray:
    if isinstance(a, EncryptedArray):
        return a.dot(b)
    product: EncryptedArray = b * a if np.ndim(a) == 0 or b.ndim == 0 else a @ b
    return product


def _outer(a: Any, b: Any) -> EncryptedArray:
    # An encrypted factor stands first: NumPy's own operators come later.
    if isinstance(a, EncryptedArray):
        column = a.reshape(a.size, 1)
        return column * (b.reshape(1, b.size) if isinstance(b, EncryptedArray) else np.reshape(b, (1, -1)))
    return b.reshape(1, b.size) * np.reshape(a, (-1, 1))  # type: ignore[no-any-return]


def _polyval(p: Any, x: Any) -> EncryptedArray:
    if isinstance(p, EncryptedArray):
        hint = "the coefficients stand first, the largest power before the others: `np.polyval([1.0, 2.0], x)`"
        raise refused("encrypted coefficients", hint, p.scheme)
    return x.polynomial(np.atleast_1d(np.asarray(p))[::-1])  # type: ignore[no-any-return]


def _transpose(a: EncryptedArray, axes: Any = None) -> EncryptedArray:
    return a.transpose(axes)


def _swapaxes(a: EncryptedArray, axis1: Any, axis2: Any) -> EncryptedArray:
    return a if normal_axis(axis1, a.ndim) == normal_axis(axis2, a.ndim) else a.T


def _moveaxis(a: EncryptedArray, source: Any, destination: Any) -> EncryptedArray:
    sources, destinations = normal_axes(source, a.ndim), normal_axes(destination, a.ndim)
    if len(sources) != len(destinations):
        got, expected = f"{len(sources)} and {len(destinations)} axes", "as many destinations as sources"
        message = f"moveaxis: got {got}, expected {expected}"
        raise ShapeError(message, operation="moveaxis", got=got, expected=expected)
    # Of two axes, either both stay or both move.
    return a if sources == destinations else a.T


def _matrix_transpose(x: EncryptedArray) -> EncryptedArray:
    if x.ndim != 2:
        expected = "two dimensions"
        message = f"matrix_transpose: got an array of shape {x.shape}, expected {expected}"
        raise ShapeError(message, operation="matrix_transpose", got=str(x.shape), expected=expected)
    return x.T


def _squeeze(a: EncryptedArray, axis: Any = None) -> EncryptedArray:
    return a.squeeze(axis)


def _expand_dims(a: EncryptedArray, axis: Any) -> EncryptedArray:
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = normal_axes(axis, a.ndim + count)
    others = iter(a.shape)
    return a.reshape([1 if k in axes else next(others) for k in range(a.ndim + count)])


def _at_least(ndim: int) -> Callable[..., Any]:
    def function(*arys: Any) -> Any:
        # A vector is a row.
        parts = [a if isinstance(a, EncryptedArray) else np.asarray(a) for a in arys]
        grown = [a.reshape((1,) * (ndim - a.ndim) + a.shape) if a.ndim < ndim else a for a in parts]
        return grown[0] if len(grown) == 1 else tuple(grown)

    return function


def _flip(m: EncryptedArray, axis: Any = None) -> EncryptedArray:
    which = range(m.ndim) if axis is None else normal_axes(axis, m.ndim)
    return m[tuple(slice(None, None, -1 if k in which else 1) for k in range(m.ndim))]


def _size(a: EncryptedArray, axis: Any = None) -> int:
    axes = range(a.ndim) if axis is None else normal_axes(axis, a.ndim)
    return math.prod(a.shape[k] for k in axes)


def _column_stack(tup: Any) -> EncryptedArray:
    parts = _array._parts(tup, "column_stack")
    return _array.concatenate([a if a.ndim == 2 else a.reshape(1, a.size).T for a in parts], axis=1)


def _broadcast_to(array: EncryptedArray, shape: Any) -> EncryptedArray:
    wanted = [whole_number(n, "broadcast_to: shape", 1) for n in lengths(shape, "broadcast_to: shape")]
    return _array.watched("broadcast_to", lambda report: array._core.broadcast_to(wanted, report))


_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.average: _average,
    np.dot: _dot,
    np.inner: lambda a, b: _dot(a, b.T if np.ndim(b) == 2 else b),
    np.vdot: lambda a, b: _dot(
        a.ravel() if isinstance(a, EncryptedArray) else np.ravel(a),
        b.ravel() if isinstance(b, EncryptedArray) else np.ravel(b),
    ),
    np.outer: _outer,
    np.polyval: _polyval,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.reshape: lambda a, shape: a.reshape(shape),
    np.ravel: lambda a: a.ravel(),
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.broadcast_to: _broadcast_to,
    np.atleast_1d: _at_least(1),
    np.atleast_2d: _at_least(2),
    np.flip: _flip,
    np.flipud: lambda m: _flip(m, 0),
    np.fliplr: lambda m: _flip(m, 1),
    np.concatenate: lambda arrays, axis=0: _array.concatenate(arrays, axis),
    np.vstack: _array.vstack,
    np.hstack: _array.hstack,
    np.stack: lambda arrays, axis=0: _array.stack(arrays, axis),
    np.column_stack: _column_stack,
    np.copy: lambda a: a,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: _size,
}
_LATER: list[tuple[Any, str, Callable[..., Any]]] = [
    # They came with NumPy 2.0.
    (np, "matrix_transpose", _matrix_transpose),
    (np.linalg, "matrix_transpose", _matrix_transpose),
    (np.linalg, "matmul", lambda x1, x2: np.matmul(x1, x2)),
    (np.linalg, "outer", _outer),
    (np.linalg, "vecdot", _vecdot),
]
for _module, _name, _function in _LATER:
    if hasattr(_module, _name):
        _FUNCTIONS[getattr(_module, _name)] = _function


def apply_function(
    array: EncryptedArray, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """A function of NumPy of which one argument is encrypted."""
    ours = _FUNCTIONS.get(function)
    name = getattr(function, "__name__", str(function))
    shown = f"{getattr(function, '__module__', None) or 'numpy'}.{name}"
    if ours is None:
        raise no_function(name, shown, array.scheme)
    signature = inspect.signature(ours)
    known = signature.parameters
    # What is None is as if it had not been passed.
    unknown = [k for k, v in kwargs.items() if k not in known and v is not None]
    if unknown:
        names = ", ".join(f"`{k}=`" for k in unknown)
        hint = "leave it out: results are new arrays" if unknown == ["out"] else "leave the option out"
        raise refused(f"{shown} with {names}", hint, array.scheme)
    options = {k: v for k, v in kwargs.items() if k in known}
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        taken = ", ".join(f"`{k}`" for k in known)
        raise argument(shown, f"other arguments ({error})", f"those of {taken}", "pass options by name") from None
    return ours(*args, **options)
