"""Plans: what a computation needs, before any key is made."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing
from cipherblas._params import Params

__all__ = ["Input", "Plan", "plan"]


@dataclass(frozen=True)
class Input:
    """An input of a plan that is encrypted in a certain way.

    Attributes
    ----------
    shape : tuple of int
    packing : Packing, optional
    depth : int, optional
    bound : float, optional
        As of ``encrypt``. With bounds for all inputs a plan tells the ``plaintext_bits`` that BFV needs.
    """

    shape: tuple[int, ...]
    packing: Packing | None = None
    depth: int | None = None
    bound: float | None = None

    def _core(self) -> _InputCore:
        packing = None if self.packing is None else self.packing._core
        return _InputCore([operator.index(n) for n in self.shape], packing, self.depth, self.bound)


@dataclass(frozen=True)
class _InputCore:
    shape: list[int]
    packing: _native.Packing | None
    depth: int | None
    bound: float | None


class Plan:
    """What a computation needs: depth, keys, ciphertexts, bytes, time. ``print(plan)`` shows it.

    Made by :func:`plan`; ``sk.evaluation_keys(plan=plan)`` makes the keys that it lists.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _native.Plan) -> None:
        self._core = core

    @property
    def params(self) -> Params:
        """The parameters that it was made for."""
        return Params._wrap(self._core.params)

    @property
    def depth(self) -> int:
        """Multiplications one after another: the depth that fresh arrays need."""
        return self._core.depth

    @property
    def input_ciphertexts(self) -> int:
        """Ciphertexts that the inputs take."""
        return self._core.input_ciphertexts

    @property
    def input_bytes(self) -> int:
        """Bytes in memory of the inputs."""
        return self._core.input_bytes

    @property
    def relinearization(self) -> bool:
        """Whether ciphertexts are multiplied with each other."""
        return self._core.relinearization

    @property
    def rotations(self) -> set[int]:
        """The rotation steps that need a key."""
        return self._core.rotations

    @property
    def key_count(self) -> int:
        """Number of evaluation keys."""
        return self._core.key_count

    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys on the wire; they take some three times as much in memory."""
        return self._core.key_bytes

    @property
    def magnitude(self) -> float | None:
        """Bound on every value on the way, if all inputs declared theirs."""
        return self._core.magnitude

    @property
    def counts(self) -> dict[str, int]:
        """How often each operation is done."""
        return dict(self._core.counts)

    @property
    def seconds(self) -> dict[str, float] | None:
        """Estimated seconds of each kind of operation, on one thread of a typical server; None for Paillier.

        Right within a factor of two or so, and for choosing between ways rather than for telling times.
        """
        seconds = self._core.seconds
        return None if seconds is None else {name: s for name, s in seconds if s > 0}

    def __str__(self) -> str:
        counts = self.counts
        rotations = counts["rotations"] + counts["hoisted rotations"] + counts["summed rotations"]
        lines = [
            f"depth                {self.depth} of {self.params.depth}",
            f"input ciphertexts    {self.input_ciphertexts}, {_size(self.input_bytes)} in memory",
            f"evaluation keys      {self.key_count}, {_size(self.key_bytes)} on the wire",
            f"products             {counts['multiplications']} encrypted, {counts['plain multiplications']} with plain values, "
            f"{counts['combined products']} in combinations",
            f"rotations            {rotations}",
        ]
        if self.magnitude is not None:
            lines.append(f"values               up to {self.magnitude:.6g} on the way")
        seconds = self.seconds
        if seconds is not None:
            lines.append(f"estimated time       {sum(seconds.values()):.3g} s on one thread")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Plan(depth={self.depth}, {self.input_ciphertexts} ciphertexts, {self.key_count} keys)"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def plan(
    computation: Callable[..., Any],
    *,
    params: Params,
    **inputs: SupportsIndex | Sequence[SupportsIndex] | Input,
) -> Plan:
    """What a computation on encrypted arrays needs.

    The computation is run once, on arrays that hold no values and only write down what they are asked for: a plan is always
    that of the code that will run.

    Parameters
    ----------
    computation : callable
        Takes the inputs by name, as encrypted arrays.
    params : Params
        Parameters; they may have more depth than is needed.
    **inputs : shape or Input
        Shapes of the inputs, by name.

    Returns
    -------
    Plan

    Raises
    ------
    DepthError
        If the parameters do not afford the computation.

    Examples
    --------
    >>> import cipherblas as cb
    >>> params = cb.CkksParams(depth=3)
    >>> p = cb.plan(lambda X, w: X @ w, X=(1000, 30), w=(30,), params=params)
    >>> p.depth, p.input_ciphertexts
    (2, 5)
    >>> keys = cb.SecretKey.generate(params).evaluation_keys(plan=p)
    """
    if not isinstance(params, Params):
        raise TypeError(f"params: got {type(params).__name__}, expected CkksParams, BfvParams or PaillierParams")
    specs = {}
    for name, given in inputs.items():
        if isinstance(given, Input):
            specs[name] = given
        else:
            shape = tuple(given) if isinstance(given, Sequence) else (given,)
            specs[name] = Input(tuple(operator.index(n) for n in shape))

    def run(arrays: list[_native.Array]) -> None:
        computation(**{name: EncryptedArray._wrap(a) for name, a in zip(specs, arrays, strict=True)})

    return Plan(_native.trace(params._core, [s._core() for s in specs.values()], run))
