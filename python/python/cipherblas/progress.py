"""Progress of what takes long: bars in a terminal and in a notebook, or a callback of your own.

By default bars appear for calls that take over a second, when standard error is a terminal or the code runs in a notebook.
One setting governs all: :func:`set_progress` for the process, :class:`progress` for a block.

Examples
--------
>>> import cipherblas as cb
>>> seen = []
>>> with cb.progress(seen.append):
...     sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
...     ek = sk.evaluation_keys(shapes=[(4,)])
>>> seen[-1].operation, seen[-1].done == seen[-1].total
('evaluation keys', True)
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeAlias

__all__ = ["ProgressEvent", "progress", "set_progress"]


@dataclass(frozen=True)
class ProgressEvent:
    """How far a call has come.

    Attributes
    ----------
    operation : str
        What is being done: ``"evaluation keys"``, ``"matrix product"``, ``"training"``.
    done : int
        Steps done: keys made, operations on ciphertexts, iterations.
    total : int or None
        Steps in all, where it is known.
    unit : str
        What a step is.
    """

    operation: str
    done: int
    total: int | None
    unit: str


Callback: TypeAlias = Callable[[ProgressEvent], object]
Setting: TypeAlias = Callback | bool | Literal["auto"]

_default: Setting = "auto"
_current: ContextVar[Setting | None] = ContextVar("cipherblas_progress", default=None)


def set_progress(setting: Setting) -> None:
    """Set how progress is shown in this process.

    Parameters
    ----------
    setting : {"auto", True, False} or callable
        ``"auto"`` (the default): bars in terminals and notebooks. True: bars, always. False: nothing. A callable is called
        with a :class:`ProgressEvent` about ten times a second, by the thread that made the call; what it raises stops the
        computation and is raised by the call.
    """
    global _default
    _default = _checked(setting)


class progress:  # noqa: N801
    """Set how progress is shown in a ``with`` block, of this thread or task only.

    Parameters
    ----------
    setting : {"auto", True, False} or callable
        As of :func:`set_progress`.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting: Setting = _checked(setting)
        self._tokens: list[Token[Setting | None]] = []

    def __enter__(self) -> progress:
        self._tokens.append(_current.set(self._setting))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._tokens.pop())


def _checked(setting: Setting) -> Setting:
    if isinstance(setting, bool) or callable(setting):
        return setting
    if setting == "auto":
        return "auto"
    raise TypeError(f'progress: got {setting!r}, expected "auto", True, False or a callable')


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class Reporter:
    """Hands the steps of one call on to a bar or a callback; a context manager."""

    def __init__(self, operation: str, unit: str, total: int | None = None) -> None:
        setting = _current.get()
        self._setting: Setting = _default if setting is None else setting
        self._operation = operation
        self._unit = unit
        self._total = total
        self._bar: Any = None

    @property
    def callback(self) -> Callable[[int, int | None], None] | None:
        """What the native part calls, or None where nobody looks."""
        setting = self._setting
        if callable(setting):
            return self._call
        if setting is False:
            return None
        if setting == "auto" and not (_in_notebook() or (sys.stderr is not None and sys.stderr.isatty())):
            return None
        return self._draw

    def _call(self, done: int, total: int | None) -> None:
        assert callable(self._setting)
        self._setting(ProgressEvent(self._operation, done, self._total if total is None else total, self._unit))

    def _draw(self, done: int, total: int | None) -> None:
        if self._bar is None:
            with warnings.catch_warnings():
                # In a notebook without widgets tqdm falls back to text, and says so each time.
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm

                # A terminal that does not tell its width has none for tqdm, which then draws nothing.
                self._bar = tqdm(
                    ncols=None if _in_notebook() else shutil.get_terminal_size().columns,
                    desc=self._operation,
                    total=self._total if total is None else total,
                    unit=f" {self._unit}",
                    delay=1,
                    leave=False,
                )
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
