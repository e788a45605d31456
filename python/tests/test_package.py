"""The package as it is installed."""

import subprocess
import sys
from importlib import metadata, resources

import cipherblas
import pytest


def test_versions_agree():
    assert cipherblas.__version__ == metadata.version("cipherblas")


def test_types_are_marked():
    assert resources.files(cipherblas).joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", ["LICENSE-APACHE", "LICENSE-MIT"])
def test_licences_are_installed(name):
    files = metadata.files("cipherblas")
    assert files is not None
    assert any(file.name == name for file in files)


def test_runs_as_a_program():
    command = [sys.executable, "-W", "error", "-m", "cipherblas"]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    assert output.stdout.startswith(f"cipherblas {cipherblas.__version__}")
    assert not output.stderr
