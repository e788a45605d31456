"""Encrypted arrays with NumPy's operators."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from cipherblas import _core as _native
from cipherblas._bytes import Buffer, as_bytes
from cipherblas._check import argument, kind, lengths, normal_axes, normal_axis, whole_number
from cipherblas._plain import DTYPES, located, no_such, plain_array
from cipherblas._refused import division_by_encrypted, hint_for, no_attribute, no_function, operator_refused, refused
from cipherblas.errors import (
    DepthError,
    DivisionByZeroError,
    EncodingError,
    OutOfBoundsError,
    ShapeError,
    UnsupportedError,
)
from cipherblas.progress import Reporter

if TYPE_CHECKING:
    from cipherblas._keys import EvaluationKeys

__all__ = ["EncryptedArray", "Packing", "concatenate", "hstack", "stack", "vstack"]

Key: TypeAlias = SupportsIndex | slice | EllipsisType | None
Operand: TypeAlias = "EncryptedArray | npt.ArrayLike"
Axis: TypeAlias = SupportsIndex | tuple[SupportsIndex, ...] | None
Report: TypeAlias = Callable[[int, int | None], object] | None


def watched(operation: str, compute: Callable[[Report], _native.Array]) -> EncryptedArray:
    """What `compute` makes, with its progress shown."""
    with Reporter(operation, "operations") as reporter:
        return EncryptedArray._wrap(compute(reporter.callback))


def no_bootstrapping(scheme: str) -> UnsupportedError:
    """The exception for what is not there yet."""
    return no_such(scheme, "bootstrapping", "it is not built yet: make parameters with more `depth`")


class Packing:
    """Where values lie in ciphertexts. The default is right but where speed counts most; every operation takes any.

    Examples
    --------
    >>> import cipherblas as cb
    >>> cb.Packing.columns()      # one column to a ciphertext: products with plain matrices on the right need no keys
    Packing(columns)
    """

    __slots__ = ("_core", "_name")

    def __init__(self, core: _native.Packing, name: str) -> None:
        self._core = core
        self._name = name

    @staticmethod
    def auto() -> Packing:
        """As many whole rows to a ciphertext as fit."""
        return Packing(_native.Packing.named("auto"), "auto")

    @staticmethod
    def spread() -> Packing:
        """One value to a ciphertext: large and slow, and nothing needs an evaluation key. Paillier's default."""
        return Packing(_native.Packing.named("spread"), "spread")

    @staticmethod
    def rows() -> Packing:
        """One row to a ciphertext: products with plain matrices on the left need no keys."""
        return Packing(_native.Packing.named("rows"), "rows")

    @staticmethod
    def columns() -> Packing:
        """One column to a ciphertext: products with plain matrices on the right need no keys."""
        return Packing(_native.Packing.named("columns"), "columns")

    @staticmethod
    def diagonal() -> Packing:
        """Generalized diagonals: encrypted matrix times encrypted vector at depth 1."""
        return Packing(_native.Packing.named("diagonal"), "diagonal")

    @staticmethod
    def left_factor(columns: int) -> Packing:
        """Ready to be the left factor of a product whose right factor has so many columns: by far the fastest way."""
        number = whole_number(columns, "columns", 1)
        return Packing(_native.Packing.left(number), f"left_factor({number})")

    @staticmethod
    def right_factor(rows: int) -> Packing:
        """Ready to be the right factor of a product whose left factor has so many rows."""
        number = whole_number(rows, "rows", 1)
        return Packing(_native.Packing.right(number), f"right_factor({number})")

    @staticmethod
    def for_matrix(shape: tuple[int, int], slots: int) -> Packing:
        """Of a vector ``v`` for ``v @ W`` with a plain ``W`` of this shape: the fastest way."""
        numbers = [whole_number(n, "for_matrix: shape", 1) for n in lengths(shape, "for_matrix: shape")]
        if len(numbers) != 2:
            got = f"{len(numbers)} dimension(s)"
            raise argument("for_matrix: shape", got, "rows and columns", "e.g. `for_matrix((4, 3), slots)`")
        rows, columns = numbers
        width = whole_number(slots, "slots", 1)
        return Packing(_native.Packing.vector_times_matrix(rows, columns, width), f"for_matrix({rows, columns})")

    def __repr__(self) -> str:
        return f"Packing({self._name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packing) and self._core == other._core

    __hash__ = None  # type: ignore[assignment]


def packing_core(packing: Packing) -> _native.Packing:
    """The native part of a packing; what is none is refused with what to write."""
    if isinstance(packing, Packing):
        return packing._core
    plain = ("auto", "spread", "rows", "columns", "diagonal")
    name = packing if isinstance(packing, str) else getattr(packing, "__name__", None)
    hint = "packings are made by `cb.Packing.auto()`, `rows()`, `columns()`, `spread()`, `diagonal()` and others"
    if name in plain:
        hint = f"write `cb.Packing.{name}()`"
    elif name in ("left_factor", "right_factor", "for_matrix"):
        hint = f"write `cb.Packing.{name}(...)`"
    raise argument("packing", repr(packing) if isinstance(packing, str) else kind(packing), "a Packing", hint)


class EncryptedArray:
    """An encrypted array of 0, 1 or 2 dimensions, with NumPy's operators, shapes and broadcasting.

    Made by ``encrypt`` of a key and ``load`` of bytes; immutable. Either operand of an operator may be a NumPy array or
    whatever NumPy makes one of; shapes need not be powers of two, nor fit into one ciphertext. Values can be seen by
    ``SecretKey.decrypt`` only.

    Attributes
    ----------
    shape : tuple of int
    ndim : int
    size : int
        Number of values.
    dtype : numpy.dtype
        Of the values: float64 (CKKS, Paillier) or int64 (BFV).
    scheme : str
        ``"ckks"``, ``"bfv"`` or ``"paillier"``.
    depth_left : int
        Multiplications one after another that it still affords.
    nbytes : int
        Bytes of the ciphertexts in memory.
    key_id : str or None
        Public name of the key that it is encrypted under; None for the arrays of a plan.
    error_bound : float or None
        Bound on the absolute error of every value.

    Notes
    -----
    What operations cost, in levels of depth: sums and differences none; products with plain values one (none
    under BFV); ``x * y`` one; ``x @ W`` with a plain matrix one; ``X @ v`` up to two and ``X @ Y`` up to three, where both are
    encrypted; sums over the last axis one; slices that cut through a ciphertext one.

    Examples
    --------
    >>> import numpy as np, cipherblas as cb
    >>> sk = cb.SecretKey.generate(cb.CkksParams(depth=2))
    >>> ek = sk.evaluation_keys(shapes=[(3,)])
    >>> x = sk.encrypt([1.0, 2.0, 3.0], ek)
    >>> (x * x + 1).depth_left
    1
    >>> np.round(sk.decrypt(x * x + 1), 3)
    array([ 2.,  5., 10.])
    """

    __slots__ = ("__weakref__", "_core")
    _core: _native.Array
    # Data frames hand their operators over to ours.
    __pandas_priority__ = 5000

    def __init__(self, *_: object, **__: object) -> None:
        hint = "encrypted arrays are made by `sk.encrypt(x, ek)` or `ek.load(blob)`"
        raise argument("EncryptedArray()", "a call of the class", "a call of a key's method", hint)

    @classmethod
    def _wrap(cls, core: _native.Array) -> EncryptedArray:
        array = object.__new__(cls)
        array._core = core
        return array

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(self._core.shape)

    @property
    def ndim(self) -> int:
        """Number of axes: 0, 1 or 2."""
        return len(self._core.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for n in self._core.shape:
            size *= n
        return size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: float64 (CKKS, Paillier) or int64 (BFV)."""
        return DTYPES[self._core.scheme]

    @property
    def scheme(self) -> str:
        """``"ckks"``, ``"bfv"`` or ``"paillier"``."""
        return self._core.scheme

    @property
    def depth_left(self) -> int:
        """Multiplications one after another that it still affords."""
        return self._core.depth

    @property
    def nbytes(self) -> int:
        """Bytes of the ciphertexts in memory."""
        return self._core.nbytes

    @property
    def ciphertexts(self) -> int:
        """Number of ciphertexts."""
        return self._core.ciphertexts

    @property
    def key_id(self) -> str | None:
        """Public name of the key that it is encrypted under; None for the arrays of a plan."""
        return self._core.key_id

    @property
    def is_bound(self) -> bool:
        """Whether it carries evaluation keys (or needs none): an unbound array can be sent, and added."""
        return self._core.bound

    @property
    def error_bound(self) -> float | None:
        """Bound on the absolute error of every value, by public data only; None for the arrays of a plan."""
        return self._core.error_bound

    @property
    def magnitude_bound(self) -> float | None:
        """Bound on the absolute values, from what was declared at encryption; None for the arrays of a plan."""
        return self._core.magnitude_bound

    @property
    def packing(self) -> Packing:
        """Where the values lie in the ciphertexts."""
        return Packing(self._core.packing, f"of an array of shape {self.shape}")

    @property
    def row_packing(self) -> Packing | None:
        """For a matrix, the packing of a vector with one value for each row that needs no realignment."""
        packing = self._core.row_packing
        return None if packing is None else Packing(packing, "row_packing")

    @property
    def column_packing(self) -> Packing | None:
        """For a matrix, the packing of a vector with one value for each column that needs no realignment."""
        packing = self._core.column_packing
        return None if packing is None else Packing(packing, "column_packing")

    def bind(self, keys: EvaluationKeys) -> EncryptedArray:
        """The same array with evaluation keys, which products and sums along an axis need.

        Raises
        ------
        KeyMismatchError
            If the keys belong to another secret key, or to other parameters.
        """
        from cipherblas._keys import EvaluationKeys

        if not isinstance(keys, EvaluationKeys):
            raise argument(
                "bind", kind(keys), "EvaluationKeys", "they are made by the key's owner: `sk.evaluation_keys()`"
            )
        return EncryptedArray._wrap(self._core.bind(keys._core))

    # ---- operators

    def _with(
        self,
        compute: Callable[[npt.NDArray[Any]], _native.Array],
        values: npt.ArrayLike,
        operation: str,
        noun: str = "value",
    ) -> EncryptedArray:
        """An operation with a plain operand; values that cannot be encoded are named with their place."""
        plain = plain_array(values, self.scheme, operation)
        try:
            return EncryptedArray._wrap(compute(plain))
        except EncodingError as error:
            raise located(error, plain, values, operation, noun) from None

    def __add__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            return EncryptedArray._wrap(self._core.add(other._core))
        return self._with(self._core.add_plain, other, "x + plain")

    __radd__ = __add__

    def __sub__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            return EncryptedArray._wrap(self._core.sub(other._core))
        return self._with(self._core.sub_plain, other, "x - plain")

    def __rsub__(self, other: npt.ArrayLike) -> EncryptedArray:
        return self._with(self._core.rsub_plain, other, "plain - x")

    def __mul__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            core = other._core
            if other is self:
                return watched("square", self._core.square)
            return watched("product", lambda report: self._core.mul(core, report))
        return self._with(self._core.mul_plain, other, "x * plain")

    __rmul__ = __mul__

    def __truediv__(self, other: npt.ArrayLike) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            raise division_by_encrypted(self.scheme)
        if self.scheme == "bfv":
            raise no_such("bfv", "division", "integers have no fractions: divide what was decrypted")
        divisor = plain_array(other, self.scheme, "x / plain")
        with np.errstate(all="ignore"):
            factor = np.asarray(1.0 / divisor)
        error: type[EncodingError] = DivisionByZeroError
        got = "zero"
        if np.all(divisor):
            error = EncodingError
            got = "a number so small that its reciprocal is infinite"
        if not np.any(np.isinf(factor)):
            return self._with(self._core.mul_plain, factor, "x / plain", "reciprocal")
        hint = "leave such values out, or replace them"
        raise error(
            f"x / plain: got {got} as a divisor, expected other numbers; {hint}",
            operation="x / plain",
            got=got,
            expected="other numbers",
            hint=hint,
        )

    def __rtruediv__(self, other: object) -> NoReturn:
        raise division_by_encrypted(self.scheme)

    def __neg__(self) -> EncryptedArray:
        return EncryptedArray._wrap(self._core.neg())

    def __pos__(self) -> EncryptedArray:
        return self

    def __pow__(self, exponent: SupportsIndex | float, modulo: None = None) -> EncryptedArray:
        """``x ** n`` for a whole ``n`` from 1 on, at depth ``ceil(log2(n))``."""
        if modulo is not None:
            raise no_function("remainder", "powers modulo a number", self.scheme)
        if isinstance(exponent, EncryptedArray):
            raise no_function("exp", "encrypted exponents", self.scheme)
        try:
            n = int(exponent) if not isinstance(exponent, str) and float(exponent).is_integer() else -1
        except (TypeError, ValueError, OverflowError):
            n = -1
        if not 1 <= n < 2**16:
            hint = "approximate the function by a polynomial: `x.polynomial(...)`"
            if self.scheme != "ckks":
                hint = hint_for("exp", self.scheme)
            elif n == 0:
                hint = "everything to the power of 0 is 1: `np.ones(x.shape)`"
            shown = repr(exponent) if isinstance(exponent, (int, float)) else kind(exponent)
            raise refused(f"x ** {shown}: exponents are whole numbers from 1 on", hint, self.scheme)
        self._need_products(n)
        return self if n == 1 else watched("power", lambda report: self._core.power(n, report))

    def _need_products(self, degree: int) -> None:
        if degree > 1 and self.scheme == "paillier":
            raise no_such("paillier", "products of encrypted values", "use BFV or CKKS, or decrypt first")

    if not TYPE_CHECKING:
        # Checkers of types say so by themselves.
        __rpow__ = operator_refused("exp", "plain ** x")
        __abs__ = operator_refused("absolute", "abs(x)")
        __round__ = operator_refused("round", "round(x)")
        __trunc__ = operator_refused("trunc", "trunc(x)")
        __floor__ = operator_refused("floor", "floor(x)")
        __ceil__ = operator_refused("ceil", "ceil(x)")
        __floordiv__ = operator_refused("floor_divide", "x // y")
        __rfloordiv__ = operator_refused("reciprocal", "plain // x")
        __mod__ = __rmod__ = operator_refused("remainder", "x % y")
        __divmod__ = __rdivmod__ = operator_refused("divmod", "divmod(x, y)")
        __and__ = __rand__ = operator_refused("bitwise_and", "x & y")
        __or__ = __ror__ = operator_refused("bitwise_or", "x | y")
        __xor__ = __rxor__ = operator_refused("bitwise_xor", "x ^ y")
        __invert__ = operator_refused("invert", "~x")
        __lshift__ = operator_refused("left_shift", "x << n")
        __rshift__ = operator_refused("right_shift", "x >> n")
        __rlshift__ = operator_refused("exp", "plain << x")
        __rrshift__ = operator_refused("exp", "plain >> x")
        __delitem__ = operator_refused("delete", "deletion")
        __contains__ = operator_refused("isin", "`in`")
        __reversed__ = operator_refused("iteration", "iteration")

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute(self, name)

    def __matmul__(self, other: Operand) -> EncryptedArray:
        with Reporter("matrix product", "operations") as reporter:
            if isinstance(other, EncryptedArray):
                return EncryptedArray._wrap(self._core.matmul(other._core, reporter.callback))
            return self._with(lambda p: self._core.matmul_plain(p, reporter.callback), other, "x @ plain")

    def __rmatmul__(self, other: npt.ArrayLike) -> EncryptedArray:
        with Reporter("matrix product", "operations") as reporter:
            return self._with(lambda p: self._core.plain_matmul(p, reporter.callback), other, "plain @ x")

    # ---- methods

    @property
    def T(self) -> EncryptedArray:  # noqa: N802
        """The transposed array: the same ciphertexts, for nothing."""
        return EncryptedArray._wrap(self._core.transpose())

    def transpose(self, *axes: SupportsIndex | Sequence[SupportsIndex] | None) -> EncryptedArray:
        """The array with its axes in another order, by default the opposite: the same ciphertexts, for nothing."""
        wanted = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes
        if wanted is None or len(axes) == 0:
            return self.T
        order = normal_axes(wanted, self.ndim)  # type: ignore[arg-type]
        if len(order) != self.ndim:
            raise ShapeError(
                f"transpose: got axes {wanted}, expected each of the {self.ndim} axes once",
                operation="transpose",
                got=str(wanted),
                expected=f"each of the {self.ndim} axes once",
            )
        return self if order == tuple(range(self.ndim)) else self.T

    def dot(self, other: Operand) -> EncryptedArray:
        """Product as of ``numpy.dot``: ``x @ y``, or ``x * y`` where one has no dimension.

        Parameters
        ----------
        other : EncryptedArray or array_like
            For two vectors the inner product: one level, one relinearization and ``log2(n)`` rotations at any length.

        Returns
        -------
        EncryptedArray
        """
        if self.ndim == 0 or np.ndim(other) == 0:
            return self * other
        return self @ other

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> EncryptedArray:
        """Sum over an axis, or of all values.

        Parameters
        ----------
        axis : int or tuple of int, optional
            The axis to sum over, or several; all by default.
        keepdims : bool, default False
            Keep the axis with length 1.

        Returns
        -------
        EncryptedArray

        Notes
        -----
        No depth but for the last axis of a matrix with several rows to a ciphertext (one level). ``log2`` rotations.
        """
        return self._reduced("sum", self._core.sum, axis, keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> EncryptedArray:
        """Mean over an axis, or of all values. One level.

        Parameters
        ----------
        axis : int or tuple of int, optional
            The axis to average over, or several; all by default.
        keepdims : bool, default False
            Keep the axis with length 1.

        Returns
        -------
        EncryptedArray

        Raises
        ------
        UnsupportedError
            Under BFV: integers have no fractions.
        """
        if self.scheme == "bfv":
            raise no_such("bfv", "mean", "integers have no fractions: use `sum`, and divide what was decrypted")
        return self._reduced("mean", self._core.mean, axis, keepdims)

    def _reduced(
        self,
        operation: str,
        reduce: Callable[[int | None, Report], _native.Array],
        axis: Axis,
        keepdims: bool,
    ) -> EncryptedArray:
        axes = tuple(range(self.ndim)) if axis is None else normal_axes(axis, self.ndim)
        if not axes and self.ndim:
            # No axis at all, as NumPy has it.
            return self
        which = None if len(axes) == self.ndim else axes[0]
        result = watched(operation, lambda report: reduce(which, report))
        return result.reshape([1 if k in axes else n for k, n in enumerate(self.shape)]) if keepdims else result

    def polynomial(self, coefficients: npt.ArrayLike) -> EncryptedArray:
        """``c[0] + c[1] x + c[2] x**2 + ...`` of every value.

        Parameters
        ----------
        coefficients : array_like
            Plain, the constant first (as of ``numpy.polynomial``, the other way round than ``numpy.polyval``).

        Returns
        -------
        EncryptedArray
            At the least depth: ``ceil(log2(degree + 1))`` levels.
        """
        plain = plain_array(coefficients, self.scheme, "polynomial")
        if plain.ndim != 1:
            raise ShapeError(
                f"polynomial: got coefficients of shape {plain.shape}, expected one dimension",
                operation="polynomial",
                got=str(plain.shape),
                expected="one dimension",
            )
        self._need_products(plain.size - 1)
        with Reporter("polynomial", "operations") as reporter:
            return self._with(lambda p: self._core.polynomial(p, reporter.callback), plain, "polynomial")

    def reshape(self, *shape: SupportsIndex | Sequence[SupportsIndex] | npt.NDArray[Any]) -> EncryptedArray:
        """The same values, row by row, in another shape of at most two dimensions; one length may be -1.

        At most one level, and none where whole ciphertexts only move.
        """
        wanted = lengths(shape[0] if len(shape) == 1 else shape, "reshape")
        resolved = _resolve(wanted, self.size, self.shape)
        return watched("reshape", lambda report: self._core.reshape(resolved, report))

    def ravel(self) -> EncryptedArray:
        """All values in one dimension."""
        return self if self.ndim == 1 else self.reshape(self.size)

    flatten = ravel

    def squeeze(self, axis: Axis = None) -> EncryptedArray:
        """Without axes of length 1, or without those named."""
        axes = tuple(range(self.ndim)) if axis is None else normal_axes(axis, self.ndim)
        if axis is not None and any(self.shape[k] != 1 for k in axes):
            raise ShapeError(
                f"squeeze: got axis {axis} of an array of shape {self.shape}, expected axes of length 1",
                operation="squeeze",
                got=f"axis {axis} of an array of shape {self.shape}",
                expected="axes of length 1",
            )
        return self.reshape([n for k, n in enumerate(self.shape) if n != 1 or k not in axes])

    def with_depth(self, depth: int) -> EncryptedArray:
        """The same values with no more than this depth left: smaller, and faster to compute on. Never gains depth."""
        number = whole_number(depth, "depth", 0)
        if number > self.depth_left:
            hint = "depth is given up, never gained: encrypt at a greater one"
            raise DepthError(
                f"with_depth: got {number}, expected at most {self.depth_left}, which is left; {hint}",
                operation="with_depth",
                got=f"{number}",
                expected=f"at most {self.depth_left}",
                hint=hint,
            )
        return EncryptedArray._wrap(self._core.lower_to(number))

    def bootstrap(self) -> NoReturn:
        """Give the array its depth back. Not built yet.

        Raises
        ------
        UnsupportedError
            Always.
        """
        raise no_bootstrapping(self.scheme)

    def copy(self) -> EncryptedArray:
        """The array itself: it is immutable."""
        return self

    def __copy__(self) -> EncryptedArray:
        return self

    def __deepcopy__(self, memo: Any) -> EncryptedArray:
        return self

    # ---- indices

    def __len__(self) -> int:
        if self.ndim == 0:
            raise refused("the length of an encrypted scalar", "it has no axis: `x.reshape(1)` has one", self.scheme)
        return int(self._core.shape[0])

    def __getitem__(self, key: Key | tuple[Key, ...]) -> EncryptedArray:
        """Rows, columns, submatrices: integers, slices with any step, ``...`` and ``None``.

        Free where whole ciphertexts are taken, otherwise one level.
        """
        index, shape = _parse_index(key, self.shape, self.scheme)
        part = self
        if any(
            n is None or (start, n, step) != (0, full, 1)
            for (start, n, step), full in zip(index, self._core.shape, strict=True)
        ):
            part = watched("slice", lambda report: self._core.slice(index, report))
        return part if list(part.shape) == shape else EncryptedArray._wrap(part._core.reshape(shape))

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise no_function("put", "assignment", self.scheme)

    def __iter__(self) -> Iterator[EncryptedArray]:
        hint = "use operations on the whole array (`x @ w`, `x.sum(axis=0)`), or slices: each row by itself costs as much as all"
        raise refused("iteration", hint, self.scheme)

    # ---- what would give values away

    def _hidden(self, what: str) -> NoReturn:
        raise refused(what, hint_for("tolist", self.scheme), self.scheme)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        # pandas asks for it too, where a data frame stands on the left of `@`.
        hint = f"{hint_for('tolist', self.scheme)}; for `df @ x` write `df.to_numpy() @ x`"
        raise refused("conversion to a NumPy array", hint, self.scheme)

    def __bool__(self) -> bool:
        self._hidden("truth values")

    def __float__(self) -> float:
        self._hidden("conversion to a float")

    def __int__(self) -> int:
        self._hidden("conversion to an int")

    def __complex__(self) -> complex:
        self._hidden("conversion to a complex number")

    def __index__(self) -> int:
        self._hidden("use as an index")

    def __format__(self, spec: str) -> str:
        if spec:
            self._hidden(f"the format {spec!r}")
        return repr(self)

    def __eq__(self, other: object) -> bool:
        self._no_comparison()

    def __ne__(self, other: object) -> bool:
        self._no_comparison()

    def __lt__(self, other: object) -> bool:
        self._no_comparison()

    def __le__(self, other: object) -> bool:
        self._no_comparison()

    def __gt__(self, other: object) -> bool:
        self._no_comparison()

    def __ge__(self, other: object) -> bool:
        self._no_comparison()

    def _no_comparison(self) -> NoReturn:
        hint = "decrypt first, or score with a linear model and let the owner compare"
        raise refused("comparisons", hint, self.scheme)

    __hash__ = object.__hash__

    # ---- NumPy

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> EncryptedArray:
        from cipherblas._numpy import apply_ufunc

        return apply_ufunc(self, ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        from cipherblas._numpy import apply_function

        return apply_function(self, function, args, kwargs)

    # ---- bytes

    def to_bytes(self) -> bytes:
        """Serialize. The ids of parameters and key travel with it, never a key.

        Read with ``ek.load`` (server), ``sk.load`` (owner) or ``pk.load``.
        """
        return self._core.to_bytes()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        context = self._core.context()
        if operator.index(protocol) >= 5:
            import pickle

            buffer: Any = self._core.to_buffer()
            return (_unpickle, (context, pickle.PickleBuffer(buffer)))
        return (_unpickle, (context, self._core.to_bytes()))

    # ---- seeing it

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("shape", str(self.shape)), ("scheme", self.scheme), ("depth left", str(self.depth_left))]
        if self._core.planned:
            return [*facts, ("values", "none (plan)")]
        return [*facts, ("key", str(self.key_id)[:8] if self.is_bound else f"{str(self.key_id)[:8]}, not bound")]

    def __repr__(self) -> str:
        """Shape, scheme, depth left, key; never a value."""
        return f"EncryptedArray({', '.join(f'{name}={value}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        from html import escape

        facts = [*self._facts(), ("ciphertexts", f"{self.ciphertexts}, {self.nbytes / 2**20:.1f} MiB")]
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
        return f"<table><caption>EncryptedArray</caption>{rows}</table>"


@functools.lru_cache(maxsize=16)
def _context(blob: bytes) -> _native.Context:
    # Tables of parameters are large: arrays that are read with the same share them.
    return _native.Context(as_bytes(blob))


def _unpickle(context: bytes, blob: Buffer) -> EncryptedArray:
    return EncryptedArray._wrap(_context(context).load(as_bytes(blob)))


def _resolve(wanted: list[int], size: int, shape: tuple[int, ...]) -> list[int]:
    """A shape with its -1 filled in."""
    known = 1
    for n in wanted:
        known *= n if n != -1 else 1
    free = wanted.count(-1)
    if free == 1 and known > 0 and size % known == 0:
        return [size // known if n == -1 else n for n in wanted]
    if free or any(n < 0 for n in wanted) or known != size or len(wanted) > 2:
        raise ShapeError(
            f"reshape: got {shape} to {tuple(wanted)}, expected at most 2 dimensions with {size} values",
            operation="reshape",
            got=f"{shape} to {tuple(wanted)}",
            expected=f"at most 2 dimensions with {size} values",
        )
    return wanted


Along: TypeAlias = tuple[int, int | None, int]


_KEYS = "integers, slices, `...` and None"


def _parse_index(key: Key | tuple[Key, ...], shape: tuple[int, ...], scheme: str) -> tuple[list[Along], list[int]]:
    """One entry for each axis, `(start, length or None, step)`, and the shape of the result."""
    keys: list[Any] = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, (list, tuple, bool, np.bool_)) or (hasattr(k, "__array__") and np.ndim(k)) for k in keys):
        raise no_function("take", "indices that are arrays or masks", scheme)
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if given > len(shape) or sum(k is Ellipsis for k in keys) > 1:
        count = f"{given} indices" if given > len(shape) else "several `...`"
        raise OutOfBoundsError(
            f"index: too many indices for an encrypted array of shape {shape}: got {count}",
            operation="index",
            got=count,
            expected=f"at most {len(shape)}, and one `...`",
        )
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    at = keys.index(Ellipsis)
    keys[at : at + 1] = [slice(None)] * (len(shape) - given)
    index: list[Along] = []
    out: list[int] = []
    for k in keys:
        if k is None:
            out.append(1)
            continue
        n = shape[len(index)]
        if isinstance(k, slice):
            try:
                start, stop, step = k.indices(n)
            except (TypeError, ValueError) as error:
                raise argument("index", "a slice", "one of whole numbers", str(error)) from None
            length = len(range(start, stop, step))
            if length == 0:
                raise ShapeError(
                    f"slice {k} of an axis of {n} is empty; empty arrays have no encryption",
                    operation="slice",
                    got=str(k),
                    expected="a slice that is not empty",
                    hint="empty arrays have no encryption",
                )
            # With one value the step goes nowhere, however long.
            index.append((start, length, step if length > 1 else 1))
            out.append(length)
            continue
        try:
            i = operator.index(k)
        except TypeError:
            hint = "columns have no names here: count them from 0"
            raise OutOfBoundsError(
                f"index: got {kind(k)}, expected {_KEYS}; {hint}",
                operation="index",
                got=kind(k),
                expected=_KEYS,
                hint=hint,
            ) from None
        if not -n <= i < n:
            raise OutOfBoundsError(
                f"index {i} is out of bounds for an axis of {n}",
                operation="index",
                got=str(i),
                expected=f"{-n} to {n - 1}",
            )
        index.append((i % n, None, 1))
    if len(out) > 2:
        raise ShapeError(
            f"index: the result would have {len(out)} dimensions, expected at most 2", operation="index", got=str(out)
        )
    return index, out


def _parts(arrays: Sequence[EncryptedArray], operation: str) -> list[EncryptedArray]:
    if isinstance(arrays, EncryptedArray) or not isinstance(arrays, Iterable):
        raise argument(operation, kind(arrays), "a list of encrypted arrays", f"e.g. `{operation}([x, y])`")
    parts: list[Any] = list(arrays)
    if not parts:
        raise refused(f"{operation} of nothing", "pass one array at least")
    if not all(isinstance(a, EncryptedArray) for a in parts):
        kinds = ", ".join(kind(a) for a in parts)
        hint = "encrypt the plain ones first: `pk.encrypt(part)` with the public key, where there is no other"
        raise refused(f"{operation} of {kinds}", hint)
    return parts


def concatenate(arrays: Sequence[EncryptedArray], axis: SupportsIndex | None = 0) -> EncryptedArray:
    """Join encrypted arrays along an axis.

    Parameters
    ----------
    arrays : sequence of EncryptedArray
        Of shapes that are equal but along the axis.
    axis : int or None, default 0
        None joins all values in one dimension.

    Returns
    -------
    EncryptedArray
        Packed as the first. At most one level; none where whole ciphertexts only move.
    """
    parts = _parts(arrays, "concatenate")
    if axis is None:
        parts = [a.ravel() for a in parts]
    number = normal_axis(0 if axis is None else axis, parts[0].ndim)
    return watched("concatenate", lambda report: _native.Array.concatenate([a._core for a in parts], number, report))


def vstack(arrays: Sequence[EncryptedArray]) -> EncryptedArray:
    """Stack encrypted arrays on top of each other; vectors are rows. As :func:`concatenate`."""
    parts = _parts(arrays, "vstack")
    return concatenate([a if a.ndim == 2 else a.reshape(1, a.size) for a in parts], axis=0)


def hstack(arrays: Sequence[EncryptedArray]) -> EncryptedArray:
    """Stack encrypted arrays side by side; vectors one after another. As :func:`concatenate`."""
    parts = [a if a.ndim else a.reshape(1) for a in _parts(arrays, "hstack")]
    return concatenate(parts, axis=0 if parts[0].ndim == 1 else 1)


def stack(arrays: Sequence[EncryptedArray], axis: SupportsIndex = 0) -> EncryptedArray:
    """Join vectors of one length as the rows (``axis=0``) or columns (``axis=1``) of a matrix, or scalars as a vector."""
    parts = _parts(arrays, "stack")
    if any(a.shape != parts[0].shape for a in parts) or parts[0].ndim > 1:
        raise ShapeError(
            f"stack: got shapes {[a.shape for a in parts]}, expected equal ones of at most one dimension",
            operation="stack",
            got=str([a.shape for a in parts]),
            expected="equal shapes of at most one dimension",
        )
    number = normal_axis(axis, parts[0].ndim + 1)
    if parts[0].ndim == 0:
        return concatenate([a.reshape(1) for a in parts])
    rows = concatenate([a.reshape(1, a.size) for a in parts])
    return rows if number == 0 else rows.T
