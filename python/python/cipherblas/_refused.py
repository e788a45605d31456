"""What encrypted arrays do not have, and what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from cipherblas.errors import NoAttributeError, UnsupportedError

Hint = str | dict[str, str]

_DECRYPT = "decrypt first"
_SEEN = "the values are encrypted: `sk.decrypt(x)` shows them to the owner of the key"
_COMPARE = "it takes comparisons, which are not there under encryption: decrypt first"
_ROUND = "round what was decrypted: `np.round(sk.decrypt(x), 2)`"
_FINITE = "no encrypted value is NaN or infinite: encryption refuses them"
_IMMUTABLE = "encrypted arrays are immutable: build a new one, by `cb.concatenate` or a mask"
_SELECT = "use slices, or select by a plain matrix: `S @ x` with `S = np.eye(len(x))[rows]`"
_SPLIT = "use slices: `x[:2]`, `x[2:]`"
_JOIN = "join slices: `cb.concatenate([x[:2], y, x[2:]])`"
_PRODUCTS = "there are `x @ y`, `x * y`, `x.sum(axis)` and `x.T`"
_TYPE = "the values have the type of the scheme: convert what was decrypted"
_SOLVE = "decrypt first; for least squares on encrypted data there is `cipherblas.linear_model`"
_POLYNOMIAL: Hint = {
    "ckks": "approximate it by a polynomial on the interval of the values: `x.polynomial(coefficients)`",
    "bfv": "decrypt first, or use CKKS and approximate it by a polynomial",
    "paillier": "decrypt first, or use CKKS and approximate it by a polynomial",
}
_SQUARE: Hint = {
    "ckks": "use the square, `x * x`, where it does as well, or decrypt first",
    "bfv": "use the square, `x * x`, where it does as well, or decrypt first",
    "paillier": _DECRYPT,
}
_VARIANCE: Hint = {
    "ckks": "mean of the squares minus square of the mean, `(x * x).mean(axis) - x.mean(axis) ** 2`; roots after decryption",
    "bfv": "take `(x * x).sum(axis)` and `x.sum(axis)`: means, their difference and roots after decryption",
    "paillier": "encrypt the squares as well, and take the means of both: their difference and roots after decryption",
}
_QUOTIENT: Hint = {
    "ckks": "multiply by the reciprocal, `x * (1 / y)`, and round what was decrypted",
    "bfv": "decrypt, and divide then: `sk.decrypt(x) // y`",
    "paillier": "multiply by the reciprocal, `x * (1 / y)`, and round what was decrypted",
}
_REMAINDER = "decrypt, and take the remainder then: `sk.decrypt(x) % y`"
_RECIPROCAL = "approximate 1/y by a polynomial, or decrypt y"
_ANY: Hint = {
    "ckks": "there are sums, products, powers and polynomials; decrypt for anything else",
    "bfv": "there are sums, products, powers and polynomials; decrypt for anything else",
    "paillier": "there are sums, and products with plain values; decrypt for anything else",
}


def _each(names: str, hint: Hint) -> dict[str, Hint]:
    return dict.fromkeys(names.split(), hint)


#: By the names of NumPy's functions and methods.
HINTS: dict[str, Hint] = {
    **_each("exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan tanh sinh cosh", _POLYNOMIAL),
    **_each("arctan arcsin arccos arctanh arcsinh arccosh arctan2 hypot logaddexp logaddexp2 sinc i0", _POLYNOMIAL),
    **_each("reciprocal", _RECIPROCAL),
    **_each("absolute abs fabs", _SQUARE),
    **_each("std var nanstd nanvar", _VARIANCE),
    **_each("floor ceil rint trunc round around fix", _ROUND),
    **_each("isnan isfinite isinf nan_to_num isneginf isposinf", _FINITE),
    **_each("nansum nanmean", f"{_FINITE}: `x.sum(axis)` and `x.mean(axis)` do"),
    **_each("floor_divide", _QUOTIENT),
    **_each("remainder mod fmod divmod modf", _REMAINDER),
    **_each("bitwise_and logical_and", "of 0s and 1s, `x * y` is what both have"),
    **_each("bitwise_or logical_or", "of 0s and 1s, `x + y - x * y` is what either has"),
    **_each("bitwise_xor logical_xor", "of 0s and 1s, `x + y - 2 * x * y` is what one of them has"),
    **_each("invert bitwise_not bitwise_invert logical_not", "of 0s and 1s, `1 - x` is the opposite"),
    **_each("left_shift bitwise_left_shift", "multiply by a power of two: `x * 2**n`"),
    **_each(
        "right_shift bitwise_right_shift",
        {"ckks": "multiply by a power of two: `x * 2.0**-n`", "paillier": "multiply by a power of two: `x * 2.0**-n`"}
        | {"bfv": "decrypt, and shift then"},
    ),
    **_each("sign signbit heaviside copysign maximum minimum fmax fmin greater less equal not_equal", _COMPARE),
    **_each("greater_equal less_equal amax amin max min argmax argmin nanmax nanmin ptp clip where", _COMPARE),
    **_each("sort argsort partition argpartition median percentile quantile unique searchsorted", _COMPARE),
    **_each("nonzero argwhere flatnonzero count_nonzero any all histogram bincount digitize", _COMPARE),
    **_each("array_equal array_equiv allclose isclose isin select piecewise lexsort", _COMPARE),
    **_each("cumsum", "multiply by a plain triangle of ones: `np.tri(len(x)) @ x`"),
    **_each("prod cumprod", "multiply slices, in pairs: `(x[0] * x[1]) * (x[2] * x[3])`"),
    **_each("norm vector_norm matrix_norm", "take the sum of squares, `(x * x).sum(axis)`; the root after decryption"),
    **_each("trace", "mask the diagonal: `(x * np.eye(*x.shape)).sum()`"),
    **_each("diag diagonal", "mask the diagonal: `(x * np.eye(*x.shape)).sum(axis=1)`"),
    **_each("repeat tile", "use `np.broadcast_to(x, shape)`, or join: `cb.concatenate([x, x])`"),
    **_each("pad", "multiply by a plain matrix: `np.eye(n + k, n) @ x` adds `k` rows of zeros"),
    **_each("roll", "join slices: `cb.concatenate([x[-1:], x[:-1]])`"),
    **_each("diff ediff1d gradient", "subtract slices: `x[1:] - x[:-1]`"),
    **_each("split array_split hsplit vsplit unstack", _SPLIT),
    **_each("take take_along_axis choose compress extract", _SELECT),
    **_each("delete insert append", _JOIN),
    **_each("einsum tensordot kron cross multi_dot", _PRODUCTS),
    **_each("convolve correlate", "multiply by a plain matrix with the filter in each row"),
    **_each("cov corrcoef", "subtract the means, `d = x - x.mean(axis=0)`, and take `d.T @ d`"),
    **_each("inv solve det slogdet eig eigh eigvals svd qr cholesky lstsq pinv matrix_rank", _SOLVE),
    **_each(
        "zeros_like ones_like empty_like full_like", "`np.zeros(x.shape)` is a plain array, `x * 0` an encrypted one"
    ),
    **_each("fill put resize setfield setflags byteswap copyto place putmask put_along_axis", _IMMUTABLE),
    **_each("astype view getfield to_device", _TYPE),
    **_each("item tolist tobytes tofile dump dumps data flat base ctypes flags strides itemsize device", _SEEN),
    **_each("array2string array_repr array_str savetxt save savez", _SEEN),
    **_each("iteration", "use operations on the whole array, or slices: `x[::-1]`"),
    **_each("real imag conj conjugate", "the values are real"),
    **_each("loc iloc", "use `x[rows, columns]`, by position"),
    **_each("values to_numpy", _SEEN),
}


def hint_for(name: str, scheme: str | None) -> str:
    """What to do instead of a function of NumPy's."""
    hint = HINTS.get(name, _ANY)
    return hint if isinstance(hint, str) else hint[scheme or "ckks"]


def refused(operation: str, hint: str, scheme: str | None = None) -> UnsupportedError:
    """The exception for something that encrypted arrays of no scheme can do."""
    message = f"encrypted arrays do not support {operation}; {hint}"
    return UnsupportedError(message, operation=operation, got=scheme, hint=hint)


def no_function(name: str, operation: str, scheme: str | None = None) -> UnsupportedError:
    """The same, for what NumPy calls ``name``."""
    return refused(operation, hint_for(name, scheme), scheme)


def division_by_encrypted(scheme: str) -> UnsupportedError:
    """The exception for an encrypted divisor."""
    hint = _RECIPROCAL if scheme == "ckks" else "decrypt the divisor"
    return refused("division by encrypted values", hint, scheme)


def operator_refused(name: str, operation: str) -> Any:
    """A method of an operator that is not there."""

    def method(self: Any, *operands: object) -> NoReturn:
        raise no_function(name, operation, self.scheme)

    return method


def no_attribute(array: Any, name: str) -> AttributeError:
    """The exception for an attribute that is not there; for those of NumPy's arrays with what to do."""
    if name not in HINTS:
        return AttributeError(f"'EncryptedArray' object has no attribute {name!r}", name=name, obj=array)
    hint = hint_for(name, array.scheme)
    operation = f"`x.{name}`"
    message = f"encrypted arrays do not support {operation}; {hint}"
    return NoAttributeError(message, operation=operation, got=array.scheme, hint=hint)
