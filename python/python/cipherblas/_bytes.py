"""Bytes in, from whatever has a buffer."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cipherblas._check import argument, kind

# `collections.abc.Buffer` came with Python 3.12.
Buffer: TypeAlias = bytes | bytearray | memoryview | npt.NDArray[Any]


def as_bytes(blob: Buffer) -> npt.NDArray[np.uint8]:
    """A view of the bytes, at any address; copied if they are not adjacent, or can be written to.

    They are read without the interpreter's lock: what was checked has to be what is read after it.
    """
    try:
        view = memoryview(blob)  # type: ignore[arg-type, unused-ignore]
    except TypeError:
        hint = "objects are sent as their bytes: `x.to_bytes()`"
        if isinstance(blob, (str, os.PathLike)):
            hint = "the content of a file is `pathlib.Path(path).read_bytes()`"
        raise argument("bytes", kind(blob), "bytes or another object with a buffer", hint) from None
    if not (view.c_contiguous and view.readonly):
        view = memoryview(view.tobytes())
    if view.nbytes == 0:
        return np.empty(0, dtype=np.uint8)
    return np.frombuffer(view.cast("B"), dtype=np.uint8)
