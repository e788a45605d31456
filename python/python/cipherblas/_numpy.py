"""NumPy's functions on encrypted arrays: what exists, and for what does not, what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cipherblas import _array
from cipherblas._array import EncryptedArray
from cipherblas._plain import no_such, plain_array

_POLYNOMIAL = "approximate it by a polynomial: `x.polynomial(coefficients)`"
_COMPARE = "comparisons need a scheme of bits: decrypt first"

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

_HINTS: dict[str, str] = {
    **dict.fromkeys(
        ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "reciprocal", "sin", "cos", "tan"],
        _POLYNOMIAL,
    ),
    **dict.fromkeys(["tanh", "sinh", "cosh", "arctan", "arcsin", "arccos", "logaddexp", "hypot"], _POLYNOMIAL),
    **dict.fromkeys(
        ["absolute", "sign", "maximum", "minimum", "fmax", "fmin", "greater", "less", "equal", "not_equal"], _COMPARE
    ),
    **dict.fromkeys(
        ["greater_equal", "less_equal", "isnan", "isfinite", "isinf", "amax", "max", "min", "argmax", "argmin"],
        _COMPARE,
    ),
    **dict.fromkeys(
        ["sort", "argsort", "median", "percentile", "quantile", "clip", "where", "unique", "round"], _COMPARE
    ),
    **dict.fromkeys(["floor", "ceil", "rint", "trunc", "remainder", "fmod", "floor_divide", "divmod"], _COMPARE),
}


def _power(base: Any, exponent: Any) -> EncryptedArray:
    if not isinstance(base, EncryptedArray) or np.ndim(exponent) != 0:
        raise no_such(
            exponent.scheme if isinstance(exponent, EncryptedArray) else base.scheme, "this power", _POLYNOMIAL
        )
    n = float(exponent)
    return base ** (int(n) if n.is_integer() else exponent)


def apply_ufunc(
    array: EncryptedArray, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> EncryptedArray:
    """A universal function of which one input is encrypted."""
    name = ufunc.__name__
    if method == "reduce" and ufunc is np.add and set(kwargs) <= {"axis", "keepdims"}:
        return array.sum(kwargs.get("axis", 0), keepdims=kwargs.get("keepdims", False))
    if method != "__call__":
        raise no_such(array.scheme, f"numpy.{name}.{method}", "`x.sum(axis)` and `x.mean(axis)` are there")
    if kwargs:
        options = ", ".join(f"`{k}=`" for k in kwargs)
        raise no_such(array.scheme, f"numpy.{name} with {options}", "leave it out: results are new arrays")
    function = _UFUNCS.get(ufunc)
    if function is None:
        hint = _HINTS.get(name, "there are sums, products, powers and polynomials; decrypt for anything else")
        raise no_such(array.scheme, f"numpy.{name}", hint)
    result: EncryptedArray
    if ufunc in (np.power, np.float_power) or ufunc.nin == 1:
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
        raise no_such(a.scheme, "numpy.average with weights and `keepdims=`", "leave it out, and reshape")
    w = plain_array(weights, "ckks")
    total = w.sum()
    if a.ndim == 1 and w.shape == a.shape:
        return a.dot(w / total)
    if a.ndim == 2 and axis is not None and w.shape == (a.shape[axis],):
        along: EncryptedArray = (w / total) @ a if axis % 2 == 0 else a @ (w / total)
        return along
    raise no_such(
        a.scheme, "numpy.average with these weights", "one weight for each value of a vector, or along an axis"
    )


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
    return x.polynomial(np.asarray(p)[::-1])  # type: ignore[no-any-return]


def _expand_dims(a: EncryptedArray, axis: Any) -> EncryptedArray:
    shape = list(a.shape)
    shape.insert(_array._normal_axis(axis, a.ndim + 1), 1)
    return a.reshape(shape)


def _flip(m: EncryptedArray, axis: Any = None) -> EncryptedArray:
    which = None if axis is None else _array._normal_axis(axis, m.ndim)
    return m[tuple(slice(None, None, -1 if which in (None, k) else 1) for k in range(m.ndim))]


def _column_stack(tup: Any) -> EncryptedArray:
    return _array.concatenate([a if a.ndim == 2 else a.reshape(1, a.size).T for a in tup], axis=1)


def _broadcast_to(array: EncryptedArray, shape: Any) -> EncryptedArray:
    lengths = [shape] if np.ndim(shape) == 0 else list(shape)
    return EncryptedArray._wrap(array._core.broadcast_to([int(n) for n in lengths]))


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
    np.transpose: lambda a: a.T,
    np.reshape: lambda a, shape: a.reshape(shape),
    np.ravel: lambda a: a.ravel(),
    np.squeeze: lambda a: a.squeeze(),
    np.expand_dims: _expand_dims,
    np.broadcast_to: _broadcast_to,
    np.flip: _flip,
    np.concatenate: lambda arrays, axis=0: _array.concatenate(arrays, axis),
    np.vstack: _array.vstack,
    np.hstack: _array.hstack,
    np.stack: lambda arrays, axis=0: _array.stack(arrays, axis),
    np.column_stack: _column_stack,
    np.copy: lambda a: a,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
}


def apply_function(
    array: EncryptedArray, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """A function of NumPy of which one argument is encrypted."""
    ours = _FUNCTIONS.get(function)
    name = getattr(function, "__name__", str(function))
    if ours is None:
        module = getattr(function, "__module__", "numpy")
        hint = _HINTS.get(name, "see what there is in the guide for NumPy users, or decrypt first")
        raise no_such(array.scheme, f"{module}.{name}", hint)
    try:
        return ours(*args, **kwargs)
    except TypeError as error:
        if type(error) is not TypeError or "argument" not in str(error):
            raise
        options = ", ".join(f"`{k}=`" for k in kwargs)
        raise no_such(array.scheme, f"numpy.{name} with {options}", "leave the option out") from error
