"""The package as it is installed."""

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from importlib import metadata, resources

import cipherblas
import numpy as np
import pytest
from cipherblas import _core


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
    lines = dict(line.split(maxsplit=1) for line in output.stdout.splitlines())
    assert lines["cipherblas"] == cipherblas.__version__
    assert lines["backend"] == cipherblas.backend()
    assert int(lines["threads"]) == cipherblas.get_num_threads()
    assert not output.stderr


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "CIPHERBLAS_BACKEND",
            "foo",
            "got 'foo', expected one of 'scalar', 'avx2', 'avx512'; there is no such arithmetic",
        ),
        ("CIPHERBLAS_NUM_THREADS", "abc", "got 'abc', expected a whole number from 1 on"),
        ("CIPHERBLAS_NUM_THREADS", "0", "got '0', expected a whole number from 1 on"),
        ("CIPHERBLAS_NUM_THREADS", "3", None),
        ("CIPHERBLAS_BACKEND", "scalar", None),
    ],
)
def test_variables_that_say_what_there_is_not(name, value, text):
    command = [sys.executable, "-W", "default", "-m", "cipherblas"]
    environment = {**os.environ, name: value}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    if text is None:
        assert not output.stderr
    else:
        assert f"RuntimeWarning: {name}: {text}" in output.stderr


def test_everything_public_is_there():
    for module in (cipherblas, cipherblas.errors, cipherblas.linear_model, cipherblas.plot):
        for name in module.__all__:
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cipherblas.nothing  # noqa: B018


def modules():
    names = [m.name for m in pkgutil.walk_packages(cipherblas.__path__, "cipherblas.")]
    return ["cipherblas", *(n for n in names if n not in ("cipherblas._core", "cipherblas.__main__"))]


@pytest.mark.parametrize("name", modules())
def test_examples_of_docstrings(name):
    # Scalars of NumPy are printed as numbers are.
    with np.printoptions(legacy="1.25"):
        failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_the_stub_has_everything_that_is_native():
    """Names of classes, methods and functions, and their parameters."""
    tree = ast.parse(resources.files(cipherblas).joinpath("_core.pyi").read_text())

    def names(body):
        return {n.name for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}

    def public(thing):
        return {n for n in vars(thing) if not n.startswith("_")}

    assert names(tree.body) == {n for n in public(_core) if n != "_core"}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        kind = getattr(_core, node.name)
        assert {n for n in names(node.body) if not n.startswith("__")} == public(kind), node.name
        for method in node.body:
            if not isinstance(method, ast.FunctionDef) or method.name.startswith("__"):
                continue
            real = getattr(kind, method.name)
            if callable(real):
                stub = [a.arg for a in (*method.args.args, *method.args.kwonlyargs) if a.arg != "self"]
                found = [p for p in inspect.signature(real).parameters if p != "self"]
                assert stub == found, f"{node.name}.{method.name}"
