"""Parameters from the job: how deep, how precise, how secure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from cipherblas import _core as _native
from cipherblas._bytes import Buffer, as_bytes

__all__ = ["BfvParams", "CkksParams", "PaillierParams", "Params"]


_T = TypeVar("_T")


def _given(setting: _T | None) -> _T:
    """A setting that the scheme has."""
    assert setting is not None
    return setting


class Params:
    """Parameters of a scheme: immutable, validated, public.

    Made by :class:`CkksParams`, :class:`BfvParams` or :class:`PaillierParams`. Two parameters are equal if everything
    computed under them is; ``print(params)`` shows ring degree, chain, key switching, security, sizes and what they afford.
    """

    __slots__ = ("_core",)
    _core: _native.Params
    #: The setting that bounds values, and the most that it takes.
    _bits: ClassVar[tuple[str, int]]

    @classmethod
    def _wrap(cls, core: _native.Params) -> Params:
        kind: type[Params] = {"ckks": CkksParams, "bfv": BfvParams, "paillier": PaillierParams}[core.scheme]
        params = object.__new__(kind)
        params._core = core
        return params

    @property
    def scheme(self) -> str:
        """Name of the scheme: ``"ckks"``, ``"bfv"`` or ``"paillier"``."""
        return self._core.scheme

    @property
    def depth(self) -> int:
        """Multiplications one after another that a fresh array affords."""
        return self._core.depth

    @property
    def slots(self) -> int:
        """Values in a ciphertext."""
        return self._core.slots

    @property
    def degree(self) -> int:
        """Ring degree; under Paillier the bits of the modulus."""
        return self._core.degree

    @property
    def security(self) -> int | None:
        """Security level in bits (classical), by the table of the lattice schemes; None for Paillier and for tests."""
        return self._core.security

    @property
    def log2_qp(self) -> float | None:
        """Bits of the largest modulus of any key, which the security table bounds; None for Paillier."""
        return self._core.log2_qp

    @property
    def max_value(self) -> float:
        """The largest absolute value that a plaintext holds."""
        return self._core.max_value

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes in memory of a fresh ciphertext."""
        return self._core.ciphertext_bytes

    @property
    def key_bytes(self) -> int:
        """Bytes in memory of one evaluation key; zero for Paillier, which has none."""
        return self._core.key_bytes

    @property
    def id(self) -> str:
        """Name of the parameters: a hash of all that defines them, which travels with every ciphertext."""
        return self._core.id

    def to_bytes(self) -> bytes:
        """Serialize. Everything in it is public."""
        return self._core.to_bytes()

    @staticmethod
    def from_bytes(blob: Buffer) -> Params:
        """Read parameters, and validate them as if they had just been made.

        Raises
        ------
        WireError
            For bytes that are not parameters.
        ParameterError
            For parameters that are not valid, or claim no security.
        """
        return Params._wrap(_native.Params.from_bytes(as_bytes(blob)))

    def __str__(self) -> str:
        return self._core.describe()

    def _settings(self) -> str:
        return f"depth={self.depth}"

    def _of_depth(self, depth: int) -> Params:
        """Parameters of another depth, and else of the same settings."""
        raise NotImplementedError

    def __repr__(self) -> str:
        insecure = ", INSECURE" if self._core.insecure else ""
        return f"{type(self).__name__}({self._settings()}{insecure}, id={self.id[:8]})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.scheme == other.scheme and self.id == other.id

    def __hash__(self) -> int:
        return hash((self.scheme, self.id))

    def __reduce__(self) -> tuple[Callable[[bytes], Params], tuple[bytes]]:
        return (_read, (self.to_bytes(),))

    def __copy__(self) -> Params:
        return self

    def __deepcopy__(self, memo: Any) -> Params:
        return self


@functools.lru_cache(maxsize=16)
def _read(blob: bytes) -> Params:
    return Params.from_bytes(blob)


class CkksParams(Params):
    """Parameters of CKKS: approximate arithmetic on encrypted reals.

    The smallest ring that affords the job at the security level is chosen, and the key switching that is fastest in it.

    Parameters
    ----------
    depth : int
        Multiplications one after another, 1 to 60: ``x * y`` takes 1, ``X @ w`` 1 or 2, an iteration of logistic regression
        3 or 4. :func:`cipherblas.plan` tells.
    precision_bits : int, default 25
        The product of two fresh values in [-1, 1] is right to ``2**-precision_bits``, by bound. 8 to 44.
    integer_bits : int, default 10
        Results are below ``2**integer_bits`` in absolute value. Decryption refuses those beyond, for certain up to
        :attr:`capacity`, mostly some 256 times that; further out values wrap around, and not all are noticed. 0 to 40.
    security : {128, 192, 256}, default 128
        Security level in bits, classical, by the table of the 2024 guidelines.
    slots : int, optional
        At least so many values in a ciphertext.
    degree : int, optional
        Exactly this ring degree, if it is secure.
    sharing : int, default 0
        Room for so many results that are decrypted with ``share=True``.

    Raises
    ------
    ParameterError
        For a setting out of range, or a job that no secure ring affords.

    Examples
    --------
    >>> import cipherblas as cb
    >>> params = cb.CkksParams(depth=2, precision_bits=20)
    >>> params.depth, params.security
    (2, 128)
    """

    __slots__ = ()
    _bits = ("integer_bits", 40)

    def __init__(
        self,
        depth: int = 1,
        precision_bits: int = 25,
        *,
        integer_bits: int = 10,
        security: int = 128,
        slots: int | None = None,
        degree: int | None = None,
        sharing: int = 0,
        bootstrap: bool = False,
    ) -> None:
        if bootstrap:
            from cipherblas._array import no_bootstrapping

            raise no_bootstrapping("ckks")
        self._core = _native.Params.ckks(
            depth=_whole("depth", depth),
            precision_bits=_whole("precision_bits", precision_bits),
            integer_bits=_whole("integer_bits", integer_bits),
            security=_whole("security", security),
            slots=_optional("slots", slots),
            degree=_optional("degree", degree),
            sharing=_whole("sharing", sharing),
            insecure_degree=None,
        )

    @classmethod
    def insecure_degree(
        cls, degree: int, depth: int = 1, precision_bits: int = 25, *, integer_bits: int = 10, sharing: int = 0
    ) -> CkksParams:
        """Parameters without any security, of any degree from 16 on: for tests."""
        params = object.__new__(cls)
        params._core = _native.Params.ckks(
            depth=depth,
            precision_bits=precision_bits,
            integer_bits=integer_bits,
            security=128,
            slots=None,
            degree=None,
            sharing=sharing,
            insecure_degree=degree,
        )
        return params

    @property
    def precision_bits(self) -> int:
        """The product of two fresh values in [-1, 1] is right to ``2**-precision_bits``."""
        return _given(self._core.precision_bits)

    @property
    def integer_bits(self) -> int:
        """Results are below ``2**integer_bits`` in absolute value: ``max_value``."""
        return _given(self._core.integer_bits)

    @property
    def capacity(self) -> float:
        """Results up to this absolute value are right, or refused at decryption; beyond it they wrap around.

        Some ``2**8 * max_value``, where that is cheap. A value that wrapped around passes for a valid one with probability
        ``1.25 * max_value / capacity``: a few small or very deep parameters have next to no room (a capacity of
        ``1.4 * max_value``), and notice little. Ask for more ``integer_bits`` where that matters.
        """
        return _given(self._core.capacity)

    @property
    def sharing(self) -> int:
        """Results of each key that can be decrypted with ``share=True``."""
        return _given(self._core.sharing)

    def _settings(self) -> str:
        sharing = f", sharing={self.sharing}" if self.sharing else ""
        return (
            f"depth={self.depth}, precision_bits={self.precision_bits}, integer_bits={self.integer_bits}{sharing}, "
            f"degree={self.degree}, security={self.security}"
        )

    def _of_depth(self, depth: int) -> CkksParams:
        settings = (depth, self.precision_bits)
        if self.security is None:
            return CkksParams.insecure_degree(
                self.degree, *settings, integer_bits=self.integer_bits, sharing=self.sharing
            )
        return CkksParams(
            *settings,
            integer_bits=self.integer_bits,
            security=self.security,
            slots=self.slots,
            sharing=self.sharing,
        )


class BfvParams(Params):
    """Parameters of BFV: exact arithmetic on encrypted integers.

    Values are signed, exact, and never wrap around: an operation whose result might be too large, by the bounds declared at
    encryption, is refused.

    Parameters
    ----------
    depth : int
        Multiplications one after another.
    plaintext_bits : int, default 20
        Integers are below ``2**(plaintext_bits - 1)`` in absolute value. 2 to 62.
    headroom_bits : int, optional
        Along a path through the computation, the numbers of terms that are summed may multiply to ``2**headroom_bits``.
    security : {128, 192, 256}, default 128
        Security level in bits, classical.
    slots : int, optional
        At least so many values in a ciphertext.
    degree : int, optional
        Exactly this ring degree, if it is secure.

    Raises
    ------
    ParameterError
        For a setting out of range, or a job that no secure ring affords.
    """

    __slots__ = ()
    _bits = ("plaintext_bits", 62)

    def __init__(
        self,
        depth: int = 1,
        plaintext_bits: int = 20,
        *,
        headroom_bits: int | None = None,
        security: int = 128,
        slots: int | None = None,
        degree: int | None = None,
    ) -> None:
        self._core = _native.Params.bfv(
            depth=_whole("depth", depth),
            plaintext_bits=_whole("plaintext_bits", plaintext_bits),
            headroom_bits=_optional("headroom_bits", headroom_bits),
            security=_whole("security", security),
            slots=_optional("slots", slots),
            degree=_optional("degree", degree),
            insecure_degree=None,
        )

    @classmethod
    def insecure_degree(
        cls, degree: int, depth: int = 1, plaintext_bits: int = 20, *, headroom_bits: int | None = None
    ) -> BfvParams:
        """Parameters without any security, of any degree from 16 on: for tests."""
        params = object.__new__(cls)
        params._core = _native.Params.bfv(
            depth=depth,
            plaintext_bits=plaintext_bits,
            headroom_bits=headroom_bits,
            security=128,
            slots=None,
            degree=None,
            insecure_degree=degree,
        )
        return params

    def _integers(self) -> tuple[int, int]:
        return _given(self._core.integers)

    @property
    def plaintext_bits(self) -> int:
        """Integers are below ``2**(plaintext_bits - 1)`` in absolute value: ``max_value``."""
        return self._integers()[0]

    @property
    def headroom_bits(self) -> int:
        """Along a path through the computation, the numbers of terms that are summed may multiply to ``2**headroom_bits``."""
        return self._integers()[1]

    def _settings(self) -> str:
        return (
            f"depth={self.depth}, plaintext_bits={self.plaintext_bits}, headroom_bits={self.headroom_bits}, "
            f"degree={self.degree}, security={self.security}"
        )

    def _of_depth(self, depth: int) -> BfvParams:
        settings = (depth, self.plaintext_bits)
        if self.security is None:
            return BfvParams.insecure_degree(self.degree, *settings, headroom_bits=self.headroom_bits)
        return BfvParams(*settings, headroom_bits=self.headroom_bits, security=self.security, slots=self.slots)


class PaillierParams(Params):
    """Parameters of Paillier: sums and plain products of encrypted numbers in signed fixed point.

    There are no products of two encrypted arrays, and no evaluation keys: a server needs the public key only.

    Parameters
    ----------
    bits : int, default 3072
        Bits of the modulus, at least 2048: 2048 are worth about 112 bits of security, 3072 about 128.
    fraction_bits : int, default 32
        Bits after the binary point of values and weights.
    value_bits : int, optional
        Fresh values are at most ``2**value_bits`` in absolute value where no bound is declared. Default 10.
    integer_bits : int, optional
        Values and results are at most ``2**integer_bits`` in absolute value.
    terms : int, optional
        Fresh values at their default bound that can be summed, in place of ``integer_bits``.
    depth : int, default 1
        Products with plain values that are not integers, one after another.
    slots : int, optional
        Values in a ciphertext in dense packing; default as many as fit.

    Raises
    ------
    ParameterError
        For a setting out of range.
    """

    __slots__ = ()
    _bits = ("integer_bits", 60)

    def __init__(
        self,
        bits: int = 3072,
        fraction_bits: int = 32,
        *,
        value_bits: int | None = None,
        integer_bits: int | None = None,
        terms: int | None = None,
        depth: int = 1,
        slots: int | None = None,
    ) -> None:
        self._core = _native.Params.paillier(
            bits=_whole("bits", bits),
            fraction_bits=_whole("fraction_bits", fraction_bits),
            value_bits=_optional("value_bits", value_bits),
            integer_bits=_optional("integer_bits", integer_bits),
            terms=_optional("terms", terms),
            depth=_whole("depth", depth),
            slots=_optional("slots", slots),
            insecure_bits=None,
        )

    @classmethod
    def insecure_bits(
        cls, bits: int, fraction_bits: int = 32, *, integer_bits: int | None = None, depth: int = 1
    ) -> PaillierParams:
        """Parameters with a modulus of any size: for tests."""
        params = object.__new__(cls)
        params._core = _native.Params.paillier(
            bits=bits,
            fraction_bits=fraction_bits,
            value_bits=None,
            integer_bits=integer_bits,
            terms=None,
            depth=depth,
            slots=None,
            insecure_bits=bits,
        )
        return params

    @property
    def fraction_bits(self) -> int:
        """Bits after the binary point of values and weights."""
        return _given(self._core.precision_bits)

    def _sums(self) -> tuple[int, int]:
        return _given(self._core.sums)

    @property
    def bits(self) -> int:
        """Bits of the modulus."""
        return self._core.degree

    @property
    def value_bits(self) -> int:
        """Fresh values are at most ``2**value_bits`` in absolute value where no bound is declared."""
        return self._sums()[0]

    @property
    def integer_bits(self) -> int:
        """Values and results are at most ``2**integer_bits`` in absolute value: ``max_value``."""
        return _given(self._core.integer_bits)

    @property
    def terms(self) -> int:
        """Fresh values at their default bound that can be summed: ``2**(integer_bits - value_bits)``."""
        return self._sums()[1]

    def _settings(self) -> str:
        return (
            f"bits={self.bits}, fraction_bits={self.fraction_bits}, value_bits={self.value_bits}, "
            f"integer_bits={self.integer_bits}, depth={self.depth}"
        )

    def _of_depth(self, depth: int) -> PaillierParams:
        if self._core.insecure:
            return PaillierParams.insecure_bits(
                self.bits, self.fraction_bits, integer_bits=self.integer_bits, depth=depth
            )
        return PaillierParams(
            self.bits,
            self.fraction_bits,
            value_bits=self.value_bits,
            integer_bits=self.integer_bits,
            depth=depth,
        )


def _whole(name: str, value: int) -> int:
    """A setting as a non-negative integer below 2^31."""
    import operator

    from cipherblas.errors import ParameterError

    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if 0 <= number < 2**31:
        return number
    raise ParameterError(
        f"invalid parameter {name}: got {value!r}, expected an integer that is not negative",
        operation=name,
        got=repr(value),
        expected="an integer that is not negative",
    )


def _optional(name: str, value: int | None) -> int | None:
    return None if value is None else _whole(name, value)
