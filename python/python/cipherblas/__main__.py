"""What is installed: ``python -m cipherblas``."""

import platform

import numpy

from cipherblas import __version__


def main() -> None:
    """Print the versions that a report of a problem should name."""
    print(f"cipherblas {__version__}, NumPy {numpy.__version__}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
