"""Plans: what a computation needs, before any key is made."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, SupportsIndex, TypeAlias

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing
from cipherblas._params import CkksParams, Params, _optional
from cipherblas.errors import DepthError, ParameterError, ShapeError

__all__ = ["Input", "Plan", "plan"]

#: More than any parameters afford: over so much depth a computation shows how much it needs.
_AMPLE = 1000
#: What `CkksParams` has by default.
_INTEGER_BITS = 10


class Shaped(Protocol):
    """NumPy arrays, data frames, encrypted arrays."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Input:
    """An input of a plan that is encrypted in a certain way.

    Attributes
    ----------
    shape : tuple of int
    packing : Packing, optional
    depth : int, optional
        As of ``encrypt``: an array that affords no more than so many multiplications.
    bound : float, optional
        As of ``encrypt``. With bounds for all inputs a plan tells how large values may get (:attr:`Plan.magnitude`), and the
        ``integer_bits`` or ``plaintext_bits`` that hold them (:attr:`Plan.needed_bits`).
    """

    shape: tuple[int, ...]
    packing: Packing | None = None
    depth: int | None = None
    bound: float | None = None

    def _core(self) -> _InputCore:
        packing = None if self.packing is None else self.packing._core
        bound = None if self.bound is None else float(self.bound)
        if bound is not None and not 0.0 < bound < math.inf:
            raise ParameterError(
                f"invalid parameter bound: got {self.bound!r}, expected a positive number",
                operation="bound",
                got=repr(self.bound),
                expected="a positive number",
            )
        return _InputCore(list(_shape("Input", self.shape)), packing, _optional("depth", self.depth), bound)


@dataclass(frozen=True)
class _InputCore:
    shape: list[int]
    packing: _native.Packing | None
    depth: int | None
    bound: float | None


Given: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | Input | Shaped


def _shape(name: str, given: Any) -> tuple[int, ...]:
    """A shape as given, or that of an array."""
    lengths = getattr(given, "shape", None) or given
    try:
        shape = tuple(operator.index(n) for n in (lengths if isinstance(lengths, Sequence) else (lengths,)))
    except TypeError:
        if getattr(given, "shape", None) == ():
            return ()
        raise TypeError(
            f"{name}: got {type(given).__name__}, expected a shape such as `(1000, 30)`, `cb.Input(shape, ...)`, or an array, "
            "whose shape is taken"
        ) from None
    if any(n < 1 for n in shape):
        raise ShapeError(
            f"{name}: got shape {shape}, expected positive lengths; empty arrays have no encryption",
            operation=name,
            got=str(shape),
            expected="positive lengths",
            hint="empty arrays have no encryption; leave them out",
        )
    return shape


def _input(name: str, given: Given) -> Input:
    if isinstance(given, Input):
        return given
    packing = given.packing if isinstance(given, EncryptedArray) else None
    return Input(_shape(name, given), packing)


@dataclass(frozen=True)
class _Facts:
    """What a trace wrote down."""

    params: Params
    depth: int
    input_ciphertexts: int
    input_bytes: int
    relinearization: bool
    rotations: frozenset[int]
    key_bytes: int
    magnitude: float | None
    counts: dict[str, int]
    seconds: dict[str, float] | None

    @staticmethod
    def of(core: _native.Plan, params: Params) -> _Facts:
        return _Facts(
            params=params,
            depth=core.depth,
            input_ciphertexts=core.input_ciphertexts,
            input_bytes=core.input_bytes,
            relinearization=core.relinearization,
            rotations=frozenset(core.rotations),
            key_bytes=core.key_bytes,
            magnitude=core.magnitude,
            counts=dict(core.counts),
            seconds=None if core.seconds is None else {name: s for name, s in core.seconds if s > 0},
        )


class Plan:
    """What a computation needs: depth, keys, ciphertexts, bytes, time. ``print(plan)`` shows it.

    Made by :func:`plan`; ``sk.evaluation_keys(plan=plan)`` makes the keys that it lists. Plans hold no secrets, and pickle.
    """

    __slots__ = ("_facts",)

    def __init__(self, facts: _Facts) -> None:
        self._facts = facts

    @property
    def params(self) -> Params:
        """The parameters that it was made for, or that it found."""
        return self._facts.params

    @property
    def depth(self) -> int:
        """Multiplications one after another: the depth that fresh arrays need.

        Inputs that are declared with less depth than the others, and arrays lowered by ``with_depth``, count by what is done
        with them, and not by what they gave up.
        """
        return self._facts.depth

    @property
    def input_ciphertexts(self) -> int:
        """Ciphertexts that the inputs take."""
        return self._facts.input_ciphertexts

    @property
    def input_bytes(self) -> int:
        """Bytes in memory of the inputs."""
        return self._facts.input_bytes

    @property
    def relinearization(self) -> bool:
        """Whether ciphertexts are multiplied with each other."""
        return self._facts.relinearization

    @property
    def rotations(self) -> set[int]:
        """The rotation steps that need a key."""
        return set(self._facts.rotations)

    @property
    def key_count(self) -> int:
        """Number of evaluation keys."""
        return len(self._facts.rotations) + self._facts.relinearization

    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys on the wire; they take some three times as much in memory."""
        return self._facts.key_bytes

    @property
    def magnitude(self) -> float | None:
        """Bound on every value on the way, if all inputs declared theirs."""
        return self._facts.magnitude

    @property
    def needed_bits(self) -> int | None:
        """The ``integer_bits`` (BFV: ``plaintext_bits``, one more for the sign) that hold every value on the way.

        None unless all inputs declared bounds.
        """
        magnitude = self.magnitude
        if magnitude is None:
            return None
        sign = 1 if self.params.scheme == "bfv" else 0
        return max(0, math.ceil(math.log2(magnitude))) + sign if magnitude > 0 else sign

    @property
    def fits(self) -> bool | None:
        """Whether the parameters hold every value on the way: ``magnitude`` against ``params.max_value``.

        None, which is no answer, unless all inputs declared bounds: compare with ``is False``.
        """
        magnitude = self.magnitude
        return None if magnitude is None else magnitude <= self.params.max_value

    @property
    def counts(self) -> dict[str, int]:
        """How often each operation is done."""
        return dict(self._facts.counts)

    @property
    def seconds(self) -> dict[str, float] | None:
        """Estimated seconds of each kind of operation, on one thread of a typical server; None for Paillier.

        Right within a factor of two or so, and for choosing between ways rather than for telling times.
        """
        seconds = self._facts.seconds
        return None if seconds is None else dict(seconds)

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
            lines.append(f"values               up to {self.magnitude:.6g} on the way{self._beyond()}")
        else:
            lines.append(
                "values               unknown: `cb.Input(shape, bound=...)` for all inputs tells whether they fit"
            )
        seconds = self.seconds
        if seconds is not None:
            lines.append(f"estimated time       {sum(seconds.values()):.3g} s on one thread")
        lines.append(f"parameters           {self.params!r}")
        return "\n".join(lines)

    def _beyond(self) -> str:
        """Where values do not fit into the parameters, what to do."""
        if self.fits is not False or self.needed_bits is None:
            return ""
        setting, most = self.params._bits
        beyond = f": beyond the {self.params.max_value:.6g} of the parameters"
        if self.needed_bits > most:
            return f"{beyond}, and of any; scale the inputs down, or declare smaller bounds"
        return f"{beyond}; raise `{setting}` to {self.needed_bits}"

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


class _Computation:
    """A computation and its inputs, which can be traced over any depth."""

    def __init__(self, computation: Callable[..., Any], inputs: Mapping[str, Input]) -> None:
        self.computation = computation
        self.inputs = inputs
        self._cores = [i._core() for i in inputs.values()]

    def _run(self, arrays: list[_native.Array]) -> None:
        self.computation(**{name: EncryptedArray._wrap(a) for name, a in zip(self.inputs, arrays, strict=True)})

    def trace(self, params: Params, depth: int | None = None) -> _native.Plan:
        """Over so much depth in place of that of the parameters."""
        return _native.trace(params._core, self._cores, self._run, depth)

    def depth_of_inputs(self) -> int:
        """The least depth of parameters that the inputs ask for."""
        return max((i.depth for i in self.inputs.values() if i.depth is not None), default=0)

    def of_any_depth(self) -> _Computation:
        """The same on inputs of all the depth that there is."""
        return _Computation(self.computation, {n: replace(i, depth=None) for n, i in self.inputs.items()})

    def settle(self, make: Callable[[int], Params]) -> tuple[Params, _native.Plan]:
        """Parameters that `make` gives of the depth that it takes, and its plan under them.

        How deep it is may change with the slots of the parameters, and they with the depth.
        """
        floor = self.depth_of_inputs()
        params, tried = _made(make, floor), set[int]()
        while True:
            needed = max(floor, self.trace(params, _AMPLE).depth)
            if needed == params.depth or (needed < params.depth and needed in tried):
                break
            tried.add(params.depth)
            params = _made(make, needed)
        while True:
            try:
                return params, self.trace(params)
            except DepthError:
                # It asks for more than it multiplies: `with_depth`.
                params = _made(make, params.depth + 1)


def _made(make: Callable[[int], Params], depth: int) -> Params:
    try:
        return make(depth)
    except ParameterError as error:
        raise DepthError(
            f"the computation needs {depth} levels of depth in all, and there are no such parameters: {error}",
            operation="plan",
            got=f"{depth} level(s)",
            expected=error.expected,
            hint=error.hint,
        ) from error


def _smallest(computation: _Computation) -> Plan:
    """With the smallest CKKS parameters of the depth that it takes."""
    bits = _INTEGER_BITS
    while True:
        params, core = computation.settle(functools.partial(CkksParams, integer_bits=bits))
        found = Plan(_Facts.of(core, params))
        needed = found.needed_bits
        if needed is None or not bits < needed <= params._bits[1]:
            return found
        bits = needed


def _too_deep(computation: _Computation, params: Params | None, error: DepthError) -> DepthError:
    """The error for what the whole computation needs; the same one if that cannot be told."""
    make = CkksParams if params is None else params._of_depth
    shallow: list[str] = []
    try:
        if params is None:
            raise error
        settled, _ = computation.settle(make)
    except DepthError as refusal:
        if refusal.operation == "plan":
            return refusal
        # Inputs that are declared with too little.
        try:
            settled, _ = computation.of_any_depth().settle(make)
        except DepthError as refusal:
            return refusal if refusal.operation == "plan" else error
        inputs = computation.inputs.items()
        shallow = [name for name, i in inputs if i.depth is not None and i.depth < settled.depth]
    hints = []
    what = f"the computation needs {settled.depth} level(s) of depth in all"
    if params is not None:
        what += f", the parameters have {params.depth}"
        if params.depth < settled.depth:
            hints.append(f"make parameters with `depth={settled.depth}`")
    if shallow:
        hints.append(f"declare no less `depth` for {', '.join(shallow)}")
    if not hints:
        return error
    hint = ", and ".join(hints)
    return DepthError(
        f"{what}; {hint} ({error})",
        operation=error.operation,
        got=error.got if params is None else f"{params.depth} level(s)",
        expected=f"{settled.depth} level(s)",
        hint=hint,
    )


def plan(
    computation: Callable[..., Any],
    *,
    params: Params | None = None,
    **inputs: Given,
) -> Plan:
    """What a computation on encrypted arrays needs.

    The computation is run on arrays that hold no values and only write down what they are asked for: a plan is always that of
    the code that will run. Given parameters it is run once; to find them, or to say how much depth is missing, a few times.

    Parameters
    ----------
    computation : callable
        Takes the inputs by name, as encrypted arrays.
    params : Params, optional
        Parameters; they may have more depth than is needed. By default the plan finds some (``plan.params``): the smallest
        ``CkksParams`` of the depth that the computation takes where there is plenty, with more than the default
        ``integer_bits`` if all inputs declare bounds that ask for it. Make the key with them; for other settings or
        schemes make parameters with ``plan.params.depth``.
    **inputs : shape, Input or array
        Shapes of the inputs, by name. Of arrays and data frames the shape is taken, of encrypted arrays the packing too.

    Returns
    -------
    Plan

    Raises
    ------
    DepthError
        If the parameters do not afford the computation; it says how much depth does.

    Notes
    -----
    Some operations can be done with a level less, in slower ways (``X - X.mean(axis=0)``, ``X @ w`` with a plain ``w``): arrays
    take these where their depth asks for it, and a plan that looks for parameters does not. While it looks, ``depth_left`` is
    larger than it will be: code that depends on it needs `params`.

    Examples
    --------
    >>> import cipherblas as cb
    >>> params = cb.CkksParams(depth=3)
    >>> p = cb.plan(lambda X, w: X @ w, X=(1000, 30), w=(30,), params=params)
    >>> p.depth, p.input_ciphertexts
    (2, 5)
    >>> keys = cb.SecretKey.generate(params).evaluation_keys(plan=p)

    Parameters from the computation:

    >>> p = cb.plan(lambda X, w: X @ w, X=(1000, 30), w=(30,))
    >>> p.params.depth
    2
    >>> sk = cb.SecretKey.generate(p.params)

    How large values get, and whether they fit:

    >>> p = cb.plan(lambda x: x * x, x=cb.Input((5,), bound=100.0), params=params)
    >>> p.magnitude, p.fits, p.needed_bits
    (10000.0, False, 14)
    """
    if params is not None and not isinstance(params, Params):
        raise TypeError(f"params: got {type(params).__name__}, expected CkksParams, BfvParams or PaillierParams")
    job = _Computation(computation, {name: _input(name, given) for name, given in inputs.items()})
    try:
        return _smallest(job) if params is None else Plan(_Facts.of(job.trace(params), params))
    except DepthError as error:
        told = error if error.operation == "plan" else _too_deep(job, params, error)
        if told is error:
            raise
        raise told from error
