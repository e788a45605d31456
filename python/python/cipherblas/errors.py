"""Exceptions, one for each thing that can go wrong.

Every exception says what was got, what was expected and what to do, in its message and in its attributes.
"""

from __future__ import annotations

import builtins

__all__ = [
    "ArgumentError",
    "CipherblasError",
    "DecryptionError",
    "DepthError",
    "DivisionByZeroError",
    "EncodingError",
    "FileError",
    "KeyMismatchError",
    "MissingKeyError",
    "NoAttributeError",
    "NoiseError",
    "OutOfBoundsError",
    "OverflowError",
    "ParameterError",
    "PassphraseError",
    "ShapeError",
    "StoppedError",
    "UnsupportedError",
    "WireError",
]


class CipherblasError(Exception):
    """Base class of every exception of this package.

    Attributes
    ----------
    operation : str or None
        What was asked for: an operation, a parameter, an object.
    got : str or None
        What was given, or what there is.
    expected : str or None
        What would have been accepted.
    hint : str or None
        What to do.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.got = got
        self.expected = expected
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        details = {"operation": self.operation, "got": self.got, "expected": self.expected, "hint": self.hint}
        return (_rebuild, (type(self), str(self), details))


def _rebuild(kind: type[CipherblasError], message: str, details: dict[str, str | None]) -> CipherblasError:
    return kind(message, **details)


class ParameterError(CipherblasError, ValueError):
    """Parameters that do not exist, do not fit together, or are not secure."""


class ArgumentError(ParameterError, TypeError):
    """An argument of another kind than the call takes. A ``TypeError`` too."""


class ShapeError(CipherblasError, ValueError):
    """Shapes that do not fit the operation."""


class OutOfBoundsError(ShapeError, IndexError):
    """An index or an axis that is not there. An ``IndexError`` too."""


class DepthError(CipherblasError, ValueError):
    """Not enough multiplicative depth is left."""


class MissingKeyError(CipherblasError, ValueError):
    """An evaluation key that the array is not bound to."""


class KeyMismatchError(CipherblasError, ValueError):
    """Data under one key met data or keys of another."""


class WireError(CipherblasError, ValueError):
    """Bytes that are not what they claim to be."""


class EncodingError(CipherblasError, ValueError):
    """A value that cannot be encrypted: NaN, infinite, beyond the range, or of a type that the scheme does not hold."""


class DivisionByZeroError(EncodingError, ZeroDivisionError):
    """A plain divisor, or a sum of weights, that is zero. A ``ZeroDivisionError`` too."""


class OverflowError(CipherblasError, builtins.OverflowError):
    """A result that may be larger than plaintexts hold, by the bounds declared at encryption.

    Python's own ``OverflowError`` too.
    """


class NoiseError(CipherblasError, ArithmeticError):
    """A result whose noise may be more than decryption takes, by its bound."""


class StoppedError(CipherblasError):
    """A computation that its callback stopped."""


class UnsupportedError(CipherblasError, TypeError):
    """Something that the scheme, or an encrypted array, cannot do."""


class NoAttributeError(UnsupportedError, AttributeError):
    """A method of NumPy's that encrypted arrays do not have. An ``AttributeError`` too, so that ``hasattr`` is false."""


class DecryptionError(CipherblasError, ValueError):
    """Whatever fails after decryption: one error without detail, so that it is no oracle."""


class PassphraseError(CipherblasError, ValueError):
    """A wrong passphrase, or a damaged key file; which of them is not told."""


class FileError(CipherblasError, OSError):
    """A file that cannot be read or written."""
