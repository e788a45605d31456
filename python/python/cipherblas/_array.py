"""Encrypted arrays with NumPy's operators."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from cipherblas import _core as _native
from cipherblas._bytes import Buffer, as_bytes
from cipherblas._plain import DTYPES, no_such, plain_array
from cipherblas.errors import ShapeError, UnsupportedError
from cipherblas.progress import Reporter

if TYPE_CHECKING:
    from cipherblas._keys import EvaluationKeys

__all__ = ["EncryptedArray", "Packing", "concatenate", "hstack", "stack", "vstack"]

Key: TypeAlias = SupportsIndex | slice | EllipsisType | None
Operand: TypeAlias = "EncryptedArray | npt.ArrayLike"


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
        return Packing(_native.Packing.left(columns), f"left_factor({columns})")

    @staticmethod
    def right_factor(rows: int) -> Packing:
        """Ready to be the right factor of a product whose left factor has so many rows."""
        return Packing(_native.Packing.right(rows), f"right_factor({rows})")

    @staticmethod
    def for_matrix(shape: tuple[int, int], slots: int) -> Packing:
        """Of a vector ``v`` for ``v @ W`` with a plain ``W`` of this shape: the fastest way."""
        rows, columns = shape
        return Packing(_native.Packing.vector_times_matrix(rows, columns, slots), f"for_matrix({shape})")

    def __repr__(self) -> str:
        return f"Packing({self._name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packing) and self._core == other._core

    __hash__ = None  # type: ignore[assignment]


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

    def __init__(self) -> None:
        raise TypeError("encrypted arrays are made by `sk.encrypt(x, ek)` or `ek.load(blob)`")

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
        return Packing(self._core.packing, repr(self._core.packing))

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
        return EncryptedArray._wrap(self._core.bind(keys._core))

    # ---- operators

    def _plain(self, values: npt.ArrayLike, operation: str) -> npt.NDArray[Any]:
        return plain_array(values, self.scheme, operation)

    def __add__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            return EncryptedArray._wrap(self._core.add(other._core))
        return EncryptedArray._wrap(self._core.add_plain(self._plain(other, "x + plain")))

    __radd__ = __add__

    def __sub__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            return EncryptedArray._wrap(self._core.sub(other._core))
        return EncryptedArray._wrap(self._core.sub_plain(self._plain(other, "x - plain")))

    def __rsub__(self, other: npt.ArrayLike) -> EncryptedArray:
        return EncryptedArray._wrap(self._core.rsub_plain(self._plain(other, "plain - x")))

    def __mul__(self, other: Operand) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            core = self._core.square() if other is self else self._core.mul(other._core)
            return EncryptedArray._wrap(core)
        return EncryptedArray._wrap(self._core.mul_plain(self._plain(other, "x * plain")))

    __rmul__ = __mul__

    def __truediv__(self, other: npt.ArrayLike) -> EncryptedArray:
        if isinstance(other, EncryptedArray):
            raise no_such(self.scheme, "division by encrypted values", "approximate 1/y by a polynomial, or decrypt y")
        if self.scheme == "bfv":
            raise no_such("bfv", "division", "integers have no fractions: divide what was decrypted")
        divisor = self._plain(other, "x / plain")
        if not np.all(divisor):
            raise ZeroDivisionError("division of an encrypted array by zero")
        return EncryptedArray._wrap(self._core.mul_plain(plain_array(1.0 / divisor, self.scheme)))

    def __rtruediv__(self, other: object) -> NoReturn:
        raise no_such(self.scheme, "division by encrypted values", "approximate 1/y by a polynomial, or decrypt y")

    def __neg__(self) -> EncryptedArray:
        return EncryptedArray._wrap(self._core.neg())

    def __pos__(self) -> EncryptedArray:
        return self

    def __pow__(self, exponent: SupportsIndex) -> EncryptedArray:
        """``x ** n`` for a whole ``n`` from 1 on, at depth ``ceil(log2(n))``."""
        try:
            n = operator.index(exponent)
        except TypeError:
            n = -1
        if not 1 <= n < 2**16:
            hint = "approximate the function by a polynomial: `x.polynomial(...)`"
            raise no_such(self.scheme, f"x ** {exponent!r}: exponents are whole numbers from 1 on", hint)
        return self if n == 1 else EncryptedArray._wrap(self._core.power(n))

    def __matmul__(self, other: Operand) -> EncryptedArray:
        with Reporter("matrix product", "operations") as reporter:
            if isinstance(other, EncryptedArray):
                return EncryptedArray._wrap(self._core.matmul(other._core, reporter.callback))
            plain = self._plain(other, "x @ plain")
            return EncryptedArray._wrap(self._core.matmul_plain(plain, reporter.callback))

    def __rmatmul__(self, other: npt.ArrayLike) -> EncryptedArray:
        with Reporter("matrix product", "operations") as reporter:
            plain = self._plain(other, "plain @ x")
            return EncryptedArray._wrap(self._core.plain_matmul(plain, reporter.callback))

    # ---- methods

    @property
    def T(self) -> EncryptedArray:  # noqa: N802
        """The transposed array: the same ciphertexts, for nothing."""
        return EncryptedArray._wrap(self._core.transpose())

    def transpose(self) -> EncryptedArray:
        """The transposed array: the same ciphertexts, for nothing."""
        return self.T

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

    def sum(self, axis: SupportsIndex | None = None, *, keepdims: bool = False) -> EncryptedArray:
        """Sum over an axis, or of all values.

        Parameters
        ----------
        axis : int, optional
            The axis to sum over; all by default.
        keepdims : bool, default False
            Keep the axis with length 1.

        Returns
        -------
        EncryptedArray

        Notes
        -----
        No depth but for the last axis of a matrix with several rows to a ciphertext (one level). ``log2`` rotations.
        """
        return self._reduced(self._core.sum(self._axis(axis)), axis, keepdims)

    def mean(self, axis: SupportsIndex | None = None, *, keepdims: bool = False) -> EncryptedArray:
        """Mean over an axis, or of all values. One level.

        Parameters
        ----------
        axis : int, optional
            The axis to average over; all by default.
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
        return self._reduced(self._core.mean(self._axis(axis)), axis, keepdims)

    def _reduced(self, core: _native.Array, axis: SupportsIndex | None, keepdims: bool) -> EncryptedArray:
        if keepdims:
            kept = self._axis(axis)
            core = core.reshape([1 if kept is None or k == kept else n for k, n in enumerate(self.shape)])
        return EncryptedArray._wrap(core)

    def _axis(self, axis: SupportsIndex | None) -> int | None:
        return None if axis is None else _normal_axis(axis, self.ndim)

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
        plain = self._plain(coefficients, "polynomial")
        if plain.ndim != 1:
            raise ShapeError(
                f"polynomial: got coefficients of shape {plain.shape}, expected one dimension",
                operation="polynomial",
                got=str(plain.shape),
                expected="one dimension",
            )
        with Reporter("polynomial", "operations") as reporter:
            return EncryptedArray._wrap(self._core.polynomial(plain, reporter.callback))

    def reshape(self, *shape: SupportsIndex | Sequence[SupportsIndex]) -> EncryptedArray:
        """The same values, row by row, in another shape of at most two dimensions; one length may be -1.

        At most one level, and none where whole ciphertexts only move.
        """
        lengths = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        wanted = [operator.index(n) for n in lengths]  # type: ignore[arg-type]
        return EncryptedArray._wrap(self._core.reshape(_resolve(wanted, self.size, self.shape)))

    def ravel(self) -> EncryptedArray:
        """All values in one dimension."""
        return self if self.ndim == 1 else self.reshape(self.size)

    flatten = ravel

    def squeeze(self) -> EncryptedArray:
        """Without axes of length 1."""
        return self.reshape([n for n in self.shape if n != 1])

    def with_depth(self, depth: int) -> EncryptedArray:
        """The same values with no more than this depth left: smaller, and faster to compute on. Never gains depth."""
        return EncryptedArray._wrap(self._core.lower_to(operator.index(depth)))

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
            raise TypeError("len() of an encrypted scalar")
        return int(self._core.shape[0])

    def __getitem__(self, key: Key | tuple[Key, ...]) -> EncryptedArray:
        """Rows, columns, submatrices: integers, slices with any step, ``...`` and ``None``.

        Free where whole ciphertexts are taken, otherwise one level.
        """
        index, shape = _parse_index(key, self.shape, self.scheme)
        core = self._core
        if any(
            n is None or (start, n, step) != (0, full, 1)
            for (start, n, step), full in zip(index, core.shape, strict=True)
        ):
            core = core.slice(index)
        return EncryptedArray._wrap(core if list(core.shape) == shape else core.reshape(shape))

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise no_such(
            self.scheme, "assignment", "encrypted arrays are immutable: build a new one, by `concatenate` or a mask"
        )

    def __iter__(self) -> Iterator[EncryptedArray]:
        hint = "use operations on the whole array (`x @ w`, `x.sum(axis=0)`), or slices: each row by itself costs as much as all"
        raise no_such(self.scheme, "iteration", hint)

    __contains__ = None

    # ---- what would give values away

    def _hidden(self, what: str) -> NoReturn:
        raise no_such(self.scheme, what, "the values are encrypted: `sk.decrypt(x)` shows them to the owner of the key")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self._hidden("conversion to a NumPy array")

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
        raise no_such(
            self.scheme, "comparisons", "decrypt first, or score with a linear model and let the owner compare"
        )

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


def _normal_axis(axis: SupportsIndex, ndim: int) -> int:
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise ShapeError(
            f"axis {number} is out of bounds for an array of {ndim} dimension(s)",
            operation="axis",
            got=str(number),
            expected=f"{-ndim} to {ndim - 1}" if ndim else "no axis: the array has no dimension",
        )
    return number % ndim


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


def _parse_index(key: Key | tuple[Key, ...], shape: tuple[int, ...], scheme: str) -> tuple[list[Along], list[int]]:
    """One entry for each axis, `(start, length or None, step)`, and the shape of the result."""
    keys: list[Any] = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, (EncryptedArray, list, tuple, np.ndarray, bool, np.bool_)) for k in keys):
        raise no_such(scheme, "indices that are arrays or masks", "use slices, or a plain matrix that selects: `S @ x`")
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if given > len(shape) or sum(k is Ellipsis for k in keys) > 1:
        raise IndexError(f"too many indices for an encrypted array of shape {shape}: {key!r}")
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
            start, stop, step = k.indices(n)
            length = len(range(start, stop, step))
            if length == 0:
                raise ShapeError(
                    f"slice {k} of an axis of {n} is empty; empty arrays have no encryption",
                    operation="slice",
                    got=str(k),
                    expected="a slice that is not empty",
                    hint="empty arrays have no encryption",
                )
            index.append((start, length, step))
            out.append(length)
            continue
        try:
            i = operator.index(k)
        except TypeError:
            raise IndexError(f"encrypted arrays take integers, slices, `...` and None as indices, got {k!r}") from None
        if not -n <= i < n:
            raise IndexError(f"index {i} is out of bounds for an axis of {n}")
        index.append((i % n, None, 1))
    if len(out) > 2:
        raise ShapeError(
            f"index: the result would have {len(out)} dimensions, expected at most 2", operation="index", got=str(out)
        )
    return index, out


def _parts(arrays: Sequence[EncryptedArray], operation: str) -> list[EncryptedArray]:
    parts: list[Any] = [] if isinstance(arrays, EncryptedArray) else list(arrays)
    if not parts or not all(isinstance(a, EncryptedArray) for a in parts):
        kinds = ", ".join(type(a).__name__ for a in parts) or "nothing"
        raise no_such(
            "an encrypted array", f"{operation} of {kinds}", "pass encrypted arrays only: encrypt the plain ones first"
        )
    return parts


def concatenate(arrays: Sequence[EncryptedArray], axis: SupportsIndex = 0) -> EncryptedArray:
    """Join encrypted arrays along an axis.

    Parameters
    ----------
    arrays : sequence of EncryptedArray
        Of shapes that are equal but along the axis.
    axis : int, default 0

    Returns
    -------
    EncryptedArray
        Packed as the first. At most one level; none where whole ciphertexts only move.
    """
    parts = _parts(arrays, "concatenate")
    number = _normal_axis(axis, parts[0].ndim)
    return EncryptedArray._wrap(_native.Array.concatenate([a._core for a in parts], number))


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
    number = _normal_axis(axis, parts[0].ndim + 1)
    if parts[0].ndim == 0:
        return concatenate([a.reshape(1) for a in parts])
    rows = concatenate([a.reshape(1, a.size) for a in parts])
    return rows if number == 0 else rows.T
