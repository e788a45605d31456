"""BLAS for ciphertexts: encrypted arrays and linear models."""

from cipherblas._core import __version__

__all__ = ["__version__"]
