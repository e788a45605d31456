"""Pictures of encrypted computations: coefficients with their error band, loss, depth and precision, cost.

Needs matplotlib (``pip install 'cipherblas[plot]'``). Every function draws on the axes given, or on new ones, and returns
them; nothing is shown and no global state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as _error:
    raise ImportError("cipherblas.plot needs matplotlib: `pip install 'cipherblas[plot]'`") from _error

from cipherblas._array import EncryptedArray
from cipherblas._params import Params
from cipherblas._plan import Given, Plan, _size
from cipherblas._plan import plan as _plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Steps: TypeAlias = Sequence[tuple[str, EncryptedArray]] | Mapping[str, EncryptedArray]

__all__ = ["coefficients", "cost", "depth", "loss"]

#: Percent: smaller parts of a bar have no room for a label.
_LABELLED = 7.0
#: Inches; more features share the width.
_WIDEST = 14.0
# Okabe and Ito's palette, which all kinds of colour vision tell apart.
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"
_LIGHT_BLUE = "#A6CEE6"
# One for each kind of operation; bytes are grey, as they are another matter.
_COLOURS = {
    "additions": "#0072B2",
    "plain multiplications": "#E69F00",
    "multiplications": "#009E73",
    "relinearizations": "#CC79A7",
    "rotations": "#56B4E9",
    "hoisted rotations": "#D55E00",
    "summed rotations": "#F0E442",
    "combined products": "#999999",
    "encryption": "#000000",
    "inputs": "#CCCCCC",
    "keys": "#555555",
}
_DARK = frozenset({"#0072B2", "#009E73", "#D55E00", "#000000", "#555555", _GREY})


def _axes(ax: Axes | None, width: float = 7.0, height: float = 4.0) -> Axes:
    """The axes given, or those of a figure of its own, which no global list holds."""
    if ax is not None:
        return ax
    axes: Axes = Figure(figsize=(width, height), layout="constrained").add_subplot()
    return axes


def _plain(values: Any) -> npt.NDArray[np.float64]:
    return np.ravel(np.asarray(getattr(values, "coef_", values), dtype=np.float64))


def coefficients(
    encrypted: Any,
    clear: Any,
    *,
    error: float | npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Coefficients from an encrypted training against those of one in clear.

    Parameters
    ----------
    encrypted, clear : array_like or fitted estimator
        Coefficients in plain, or estimators with ``coef_``.
    error : float or array_like, optional
        Bound on the error of the encrypted ones: drawn as a band around the clear ones.
    names : sequence of str, optional
        Names of the features.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import cipherblas as cb
    >>> ax = cb.plot.coefficients([1.0, 2.001], [1.0, 2.0], error=0.01, names=["age", "dose"])
    >>> [t.get_text() for t in ax.get_xticklabels()]
    ['age', 'dose']
    """
    ours, theirs = _plain(encrypted), _plain(clear)
    if ours.shape != theirs.shape:
        raise ValueError(f"got {ours.size} encrypted and {theirs.size} clear coefficients, expected as many of each")
    if names is not None and len(names) != ours.size:
        raise ValueError(f"names: got {len(names)}, expected {ours.size}, one for each coefficient")
    ax = _axes(ax, min(_WIDEST, max(5.0, 0.35 * ours.size + 2)))
    at = np.arange(ours.size)
    bound = ""
    if error is not None:
        band = np.broadcast_to(np.asarray(error, dtype=np.float64), theirs.shape)
        edges = np.concatenate([at - 0.5, [ours.size - 0.5]]) if ours.size else at
        low, high = (np.append(v, v[-1:]) for v in (theirs - band, theirs + band))
        ax.fill_between(edges, low, high, step="post", color=_BLUE, alpha=0.2, linewidth=0, label="error bound")
        if ours.size:
            # A band that is too narrow to be seen is told as well.
            bound = f", bound {float(band.max()):.1e}"
    ax.plot(at, theirs, "o", color=_BLUE, markersize=8, fillstyle="none", label="in clear")
    ax.plot(at, ours, "x", color=_ORANGE, markersize=6, label="encrypted")
    ax.axhline(0.0, color=_GREY, linewidth=0.8)
    if names is None:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        ax.set_xticks(at, list(names))
    if names is not None and (ours.size > 8 or any(len(n) > 8 for n in names)):
        ax.tick_params(axis="x", rotation=90)
    ax.set_xlabel("feature")
    ax.set_ylabel("coefficient")
    worst = float(np.abs(ours - theirs).max()) if ours.size else 0.0
    ax.set_title(f"largest difference {worst:.1e}{bound}")
    ax.legend()
    return ax


def loss(history: Any, *, ax: Axes | None = None) -> Axes:
    """Loss for each iteration.

    Parameters
    ----------
    history : sequence of float, or anything with ``history_``
        Losses, or the rounds of a federated training (``holder.history_``), which carry their objective.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    A server that trains on ciphertexts sees no loss: its history has none, and is refused. Losses are the owner's.

    Examples
    --------
    >>> import cipherblas as cb
    >>> cb.plot.loss([0.69, 0.4, 0.3]).get_xlabel()
    'iteration'
    """
    steps = getattr(history, "history_", history)
    try:
        values = np.array([getattr(step, "objective", step) for step in steps], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "history: expected numbers, or rounds with an objective; encrypted steps have no loss"
        ) from error
    ax = _axes(ax)
    ax.plot(np.arange(1, values.size + 1), values, "o-", color=_BLUE)
    ax.set_xlabel("iteration")
    ax.set_ylabel("loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def depth(
    steps: Steps | Callable[..., Steps],
    *,
    params: Params | None = None,
    ax: Axes | None = None,
    **inputs: Given,
) -> Axes:
    """Depth left and precision along a computation.

    Parameters
    ----------
    steps : sequence of (str, EncryptedArray), mapping, or callable
        Arrays on the way, in order, each with a label. A callable returns them, and is run as :func:`cipherblas.plan` runs it:
        on arrays without values, before any key is made.
    params : Params, optional
        For a callable: the parameters; by default the smallest CKKS parameters that afford it.
    ax : matplotlib.axes.Axes, optional
    **inputs : shape, Input or array
        For a callable: shapes of its arguments, by name.

    Returns
    -------
    matplotlib.axes.Axes
        Bars are levels of depth that are left; the line is ``-log2(error_bound)``, in bits, on an axis of its own. Exact arrays,
        and those of a callable, have no line.

    Raises
    ------
    DepthError
        If the parameters do not afford a callable's computation.

    Examples
    --------
    >>> import cipherblas as cb
    >>> sk = cb.SecretKey.generate(cb.CkksParams(depth=2))
    >>> ek = sk.evaluation_keys(shapes=[(2,)])
    >>> x = sk.encrypt([0.5, 1.0], ek, bound=1.0)
    >>> ax = cb.plot.depth([("x", x), ("x²", x * x)])
    >>> [int(bar.get_height()) for bar in ax.patches]
    [2, 1]
    >>> ax = cb.plot.depth(lambda x: {"x": x, "x⁴": x**4}, x=(100,), params=cb.CkksParams(depth=2))
    >>> [int(bar.get_height()) for bar in ax.patches]
    [2, 0]
    """
    if callable(steps):
        steps = _traced(steps, params, inputs)
    elif params is not None or inputs:
        raise TypeError("depth: `params=` and shapes go with a callable")
    pairs = list(steps.items()) if isinstance(steps, Mapping) else list(steps)
    if not pairs:
        raise ValueError("steps: got none, expected at least one labelled array")
    ax = _axes(ax, min(_WIDEST, max(5.0, 0.9 * len(pairs) + 2)))
    at = np.arange(len(pairs))
    levels = [array.depth_left for _, array in pairs]
    ax.bar(at, levels, color=_LIGHT_BLUE, label="depth left")
    # At the foot, where the line seldom comes; where nothing is left there is no bar to see.
    for x, level in zip(at, levels, strict=True):
        ax.annotate(str(level), (x, 0), (0, 3), textcoords="offset points", ha="center", color=_BLUE)
    ax.set_xticks(at, [label for label, _ in pairs])
    if any(len(label) > 12 for label, _ in pairs):
        ax.tick_params(axis="x", rotation=30)
    ax.set_ylabel("depth left (levels)", color=_BLUE)
    ax.tick_params(axis="y", colors=_BLUE)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(0, max([*levels, 1]) * 1.15)
    bounds = [array.error_bound for _, array in pairs]
    bits = np.array([np.nan if b is None or b == 0 else -np.log2(b) for b in bounds])
    if not np.isnan(bits).all():
        twin = ax.twinx()
        twin.plot(at, bits, "o-", color=_ORANGE, label="precision")
        twin.set_ylabel("precision (bits, by bound)", color=_ORANGE)
        twin.tick_params(axis="y", colors=_ORANGE)
        lowest, highest = float(np.nanmin(bits)), float(np.nanmax(bits))
        room = 0.1 * max(1.0, highest - min(0.0, lowest))
        twin.set_ylim(min(0.0, lowest - room), max(0.0, highest) + room)
    return ax


def _traced(
    computation: Callable[..., Steps],
    params: Params | None,
    inputs: Mapping[str, Given],
) -> Steps:
    seen: list[Steps] = []
    _plan(lambda **arrays: seen.append(computation(**arrays)), params=params, **inputs)
    # Earlier runs looked for the parameters.
    return seen[-1]


def cost(plan: Plan, *, ax: Axes | None = None) -> Axes:
    """What a plan costs: estimated seconds, operations and bytes, each a bar of its parts.

    Parameters
    ----------
    plan : Plan
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Bars are as long as each other, as their units differ; totals stand beside them. Bytes are those of the inputs in memory
        and of the evaluation keys on the wire. Under Paillier there is no bar of seconds, as there is no estimate.

    Examples
    --------
    >>> import cipherblas as cb
    >>> plan = cb.plan(lambda x: x @ x, x=(100,), params=cb.CkksParams(depth=1))
    >>> [label.get_text().split()[0] for label in cb.plot.cost(plan).get_yticklabels()]
    ['time', 'operations', 'bytes']
    """
    if not isinstance(plan, Plan):
        hint = ""
        if hasattr(plan, "batch_rows"):
            hint = "; it has no times to draw: `print(plan)` shows what the fit of an estimator takes"
        raise TypeError(f"plan: got {type(plan).__name__}, expected what `cipherblas.plan` makes{hint}")
    bars: list[tuple[str, dict[str, float], Callable[[float], str]]] = []
    seconds = plan.seconds
    if seconds:
        bars.append(("time", seconds, lambda s: f"{s:.2g} s"))
    counts = {name: float(n) for name, n in plan.counts.items() if n}
    if counts:
        bars.append(("operations", counts, lambda n: f"{n:,.0f}"))
    size = {"inputs": float(plan.input_bytes), "keys": float(plan.key_bytes)}
    bars.append(("bytes", {name: n for name, n in size.items() if n}, lambda n: _size(int(n))))

    ax = _axes(ax, 9.0, 0.8 * len(bars) + 2.0)
    named: set[str] = set()
    for at, (_, parts, text) in enumerate(bars):
        total, left = sum(parts.values()), 0.0
        for name, value in parts.items():
            colour = _COLOURS.get(name, _GREY)
            share = 100.0 * value / total
            label = None if name in named else name
            drawn = ax.barh(at, share, left=left, color=colour, edgecolor="white", height=0.6, label=label)
            if share >= _LABELLED:
                ink = "white" if colour in _DARK else "black"
                ax.bar_label(drawn, [text(value)], label_type="center", color=ink, fontsize="small")
            named.add(name)
            left += share
    totals = [f"{name} {text(sum(parts.values()))}" for name, parts, text in bars]
    ax.set_yticks(np.arange(len(bars)), totals)
    ax.invert_yaxis()
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel("share of each total (%); time is an estimate for one thread")
    ax.set_title(
        f"depth {plan.depth} of {plan.params.depth}, {plan.input_ciphertexts} ciphertexts, {plan.key_count} keys"
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small", frameon=False)
    return ax
