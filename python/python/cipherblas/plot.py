"""Pictures of encrypted computations: coefficients with their error band, loss, depth and precision, cost.

Needs matplotlib (``pip install 'cipherblas[plot]'``). Every function draws on the axes given, or on new ones, and returns
them; nothing is shown and no global state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as _error:
    raise ImportError("cipherblas.plot needs matplotlib: `pip install 'cipherblas[plot]'`") from _error

from cipherblas._array import EncryptedArray
from cipherblas._plan import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coefficients", "cost", "depth", "loss"]

# Okabe and Ito's palette, which all kinds of colour vision tell apart.
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#000000")


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
    ax = _axes(ax, max(5.0, 0.35 * ours.size + 2))
    at = np.arange(ours.size)
    if error is not None:
        band = np.broadcast_to(np.asarray(error, dtype=np.float64), theirs.shape)
        edges = np.concatenate([at - 0.5, [ours.size - 0.5]]) if ours.size else at
        low, high = (np.append(v, v[-1:]) for v in (theirs - band, theirs + band))
        ax.fill_between(edges, low, high, step="post", color=_BLUE, alpha=0.2, linewidth=0, label="error bound")
    ax.plot(at, theirs, "o", color=_BLUE, markersize=8, fillstyle="none", label="in clear")
    ax.plot(at, ours, "x", color=_ORANGE, markersize=6, label="encrypted")
    ax.axhline(0.0, color=_GREY, linewidth=0.8)
    ax.set_xticks(at, list(names) if names is not None else [str(k) for k in at])
    if names is not None and (ours.size > 8 or any(len(n) > 8 for n in names)):
        ax.tick_params(axis="x", rotation=90)
    ax.set_xlabel("feature")
    ax.set_ylabel("coefficient")
    worst = float(np.abs(ours - theirs).max()) if ours.size else 0.0
    ax.set_title(f"largest difference {worst:.1e}")
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
    steps: Sequence[tuple[str, EncryptedArray]] | Mapping[str, EncryptedArray], *, ax: Axes | None = None
) -> Axes:
    """Depth left and precision along a computation.

    Parameters
    ----------
    steps : sequence of (str, EncryptedArray), or mapping
        Arrays on the way, in order, each with a label.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Bars are levels of depth that are left; the line is ``-log2(error_bound)``, in bits, on an axis of its own.

    Examples
    --------
    >>> import cipherblas as cb
    >>> sk = cb.SecretKey.generate(cb.CkksParams(depth=2))
    >>> ek = sk.evaluation_keys(shapes=[(2,)])
    >>> x = sk.encrypt([0.5, 1.0], ek, bound=1.0)
    >>> ax = cb.plot.depth([("x", x), ("x²", x * x)])
    >>> [bar.get_height() for bar in ax.patches]
    [2, 1]
    """
    pairs = list(steps.items()) if isinstance(steps, Mapping) else list(steps)
    if not pairs:
        raise ValueError("steps: got none, expected at least one labelled array")
    ax = _axes(ax, max(5.0, 0.9 * len(pairs) + 2))
    at = np.arange(len(pairs))
    ax.bar(at, [array.depth_left for _, array in pairs], color=_BLUE, alpha=0.35, label="depth left")
    ax.set_xticks(at, [label for label, _ in pairs])
    ax.set_ylabel("depth left (levels)")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    bounds = [array.error_bound for _, array in pairs]
    exact = [b is None or b == 0 for b in bounds]
    if not all(exact):
        twin = ax.twinx()
        bits = [np.nan if b is None or b == 0 else -np.log2(b) for b in bounds]
        twin.plot(at, bits, "o-", color=_ORANGE, label="precision")
        twin.set_ylabel("precision (bits, by bound)", color=_ORANGE)
        twin.tick_params(axis="y", colors=_ORANGE)
        twin.set_ylim(bottom=min(0.0, float(np.nanmin(bits))))
    return ax


def cost(plan: Plan | Callable[..., Any], *, ax: Axes | None = None) -> Axes:
    """What a plan costs: estimated seconds of each kind of operation, beside how many there are.

    Parameters
    ----------
    plan : Plan
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import cipherblas as cb
    >>> plan = cb.plan(lambda x: x @ x, x=(100,), params=cb.CkksParams(depth=1))
    >>> cb.plot.cost(plan).get_xlabel()
    'estimated seconds on one thread'
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan: got {type(plan).__name__}, expected what `cipherblas.plan` makes")
    counts = {name: n for name, n in plan.counts.items() if n}
    seconds = plan.seconds
    ax = _axes(ax, 7.5, max(2.5, 0.5 * len(counts) + 1.5))
    if seconds is None:
        names, lengths = list(counts), [float(n) for n in counts.values()]
        ax.set_xlabel("operations")
    else:
        names, lengths = list(seconds), list(seconds.values())
        ax.set_xlabel("estimated seconds on one thread")
    at = np.arange(len(names))
    bars = ax.barh(at, lengths, color=[_PALETTE[k % len(_PALETTE)] for k in at])
    how_many = [counts.get(name, plan.input_ciphertexts if name == "encryption" else 0) for name in names]
    ax.bar_label(bars, [f" {n:,}" for n in how_many])
    ax.set_yticks(at, names)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    total = "" if seconds is None else f", {sum(lengths):.2g} s"
    ax.set_title(
        f"depth {plan.depth}, {plan.input_ciphertexts} ciphertexts, {plan.key_count} keys "
        f"of {plan.key_bytes / 1e6:.0f} MB in all{total}"
    )
    return ax
