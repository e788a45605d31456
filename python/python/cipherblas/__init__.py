"""BLAS for ciphertexts: encrypted NumPy arrays and scikit-learn estimators.

Three objects, three roles: a :class:`SecretKey` encrypts and decrypts (the owner), a :class:`PublicKey` encrypts
(whoever contributes data), :class:`EvaluationKeys` compute (a server). :class:`EncryptedArray` has NumPy's operators.

Examples
--------
>>> import numpy as np, cipherblas as cb
>>> params = cb.CkksParams(depth=2, precision_bits=25)
>>> sk = cb.SecretKey.generate(params)
>>> ek = sk.evaluation_keys(shapes=[(4, 3)])
>>> X = sk.encrypt(np.arange(12.0).reshape(4, 3), ek)
>>> np.round(sk.decrypt(X @ np.array([1.0, 0.0, -1.0])), 3)
array([-2., -2., -2., -2.])
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING, Any, SupportsIndex

from cipherblas import _core as _native
from cipherblas import errors
from cipherblas._array import EncryptedArray, Packing, concatenate, hstack, stack, vstack
from cipherblas._check import check_environment as _check_environment
from cipherblas._check import whole_number as _whole_number
from cipherblas._core import __version__, get_num_threads
from cipherblas._keys import EvaluationKeys, PublicKey, SecretKey
from cipherblas._params import BfvParams, CkksParams, PaillierParams, Params
from cipherblas._plan import Input, Plan, plan
from cipherblas.errors import (
    CipherblasError,
    DecryptionError,
    DepthError,
    EncodingError,
    FileError,
    KeyMismatchError,
    MissingKeyError,
    NoiseError,
    OverflowError,
    ParameterError,
    PassphraseError,
    ShapeError,
    StoppedError,
    UnsupportedError,
    WireError,
)
from cipherblas.progress import ProgressEvent, progress, set_progress

if TYPE_CHECKING:
    from cipherblas import linear_model, plot

__all__ = [
    "BfvParams",
    "CipherblasError",
    "CkksParams",
    "DecryptionError",
    "DepthError",
    "EncodingError",
    "EncryptedArray",
    "EvaluationKeys",
    "FileError",
    "Input",
    "KeyMismatchError",
    "MissingKeyError",
    "NoiseError",
    "OverflowError",
    "Packing",
    "PaillierParams",
    "ParameterError",
    "Params",
    "PassphraseError",
    "Plan",
    "ProgressEvent",
    "PublicKey",
    "SecretKey",
    "ShapeError",
    "StoppedError",
    "UnsupportedError",
    "WireError",
    "__version__",
    "backend",
    "concatenate",
    "errors",
    "get_num_threads",
    "hstack",
    "linear_model",
    "plan",
    "plot",
    "progress",
    "set_num_threads",
    "set_progress",
    "stack",
    "vstack",
]


def backend() -> str:
    """Which arithmetic is in use: ``"avx2"``, ``"avx512"`` or ``"scalar"`` (``CIPHERBLAS_BACKEND`` chooses)."""
    return _native.backend()


def set_num_threads(threads: SupportsIndex) -> None:
    """Set the number of threads of later computations (at the start: ``CIPHERBLAS_NUM_THREADS``, or all processors)."""
    _native.set_num_threads(_whole_number(threads, "threads", 1, 1024))


def __getattr__(name: str) -> Any:
    # They need scikit-learn and matplotlib, which are optional.
    if name in ("linear_model", "plot"):
        import importlib

        return importlib.import_module(f"cipherblas.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_native.before_fork,
        after_in_parent=_native.after_fork_in_parent,
        after_in_child=_native.after_fork_in_child,
    )

_check_environment()
