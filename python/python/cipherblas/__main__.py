"""``python -m cipherblas``: version, arithmetic in use, threads."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import cipherblas


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Print what a report of a problem should contain."""
    for name, value in (
        ("cipherblas", cipherblas.__version__),
        ("backend", cipherblas.backend()),
        ("threads", str(cipherblas.get_num_threads())),
        ("python", f"{platform.python_version()} ({platform.machine()})"),
        ("numpy", _version("numpy")),
        ("scikit-learn", _version("scikit-learn")),
        ("matplotlib", _version("matplotlib")),
    ):
        print(f"{name:14}{value}")


if __name__ == "__main__":
    main()
