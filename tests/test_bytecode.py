"""Modules from their compiled files: the same modules as Python finds itself, and never an old one."""

from __future__ import annotations

import os
import pathlib
import py_compile
import subprocess
import sys
from collections.abc import Callable

import pytest

from mydocker.api import container  # a module like any other: what it is to Python

PREPARED = """
import sys, mydocker
sys.modules.pop("mydocker.new", None)
from mydocker.bytecode import find_directly
find_directly(); find_directly()
mydocker.__path__.insert(0, sys.argv[1])
from mydocker import new
"""
REPORT = (
    "print(new.VALUE, type(new.__loader__).__module__ == 'mydocker.bytecode', new.__spec__.parent, new.__package__)"
)
TIME = 1_700_000_000


def _run(folder: pathlib.Path, code: str = REPORT, *options: str) -> str:
    words = [sys.executable, "-P", *options, "-c", PREPARED + code, str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def _write(path: pathlib.Path, value: int, *, time: int = TIME) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"VALUE = {value}\n")
    os.utime(path, (time, time))


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A module that is compiled."""
    _write(tmp_path / "new.py", 1)
    py_compile.compile(str(tmp_path / "new.py"))
    return tmp_path / "new.py"


def test_a_module_from_its_compiled_file(source: pathlib.Path) -> None:
    assert _run(source.parent) == "1 True mydocker mydocker"
    attributes = "print(new.__file__, new.__cached__, new.__loader__.get_source('mydocker.new').strip())"
    compiled = source.parent / "__pycache__" / f"new.{sys.implementation.cache_tag}.pyc"
    assert _run(source.parent, attributes) == f"{source} {compiled} VALUE = 1"
    again = "import importlib; importlib.reload(new); " + REPORT
    assert _run(source.parent, again).startswith("1 ")


def test_a_package(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "new" / "__init__.py", 1)
    _write(tmp_path / "new" / "inner.py", 2)
    for path in sorted((tmp_path / "new").glob("*.py")):
        py_compile.compile(str(path))
    inner = (
        "from mydocker.new import inner; "
        "print(inner.VALUE, type(inner.__loader__) is type(new.__loader__), new.__path__)"
    )
    assert _run(tmp_path) == "1 True mydocker.new mydocker.new"
    assert _run(tmp_path, inner) == f"2 True ['{tmp_path}/new']"


def _newer(source: pathlib.Path) -> None:
    _write(source, 2, time=TIME + 1)


def _larger(source: pathlib.Path) -> None:
    _write(source, 22)


def _by_hash(source: pathlib.Path) -> None:
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    _write(source, 2)


def _of_another_python(source: pathlib.Path) -> None:
    [compiled] = (source.parent / "__pycache__").iterdir()
    compiled.write_bytes(b"\0\0\r\n" + compiled.read_bytes()[4:])
    _write(source, 2)


def _empty(source: pathlib.Path) -> None:
    [compiled] = (source.parent / "__pycache__").iterdir()
    compiled.write_bytes(b"")
    _write(source, 2)


def _not_compiled(source: pathlib.Path) -> None:
    [compiled] = (source.parent / "__pycache__").iterdir()
    compiled.unlink()
    _write(source, 2)


@pytest.mark.parametrize("change", [_newer, _larger, _by_hash, _of_another_python, _empty, _not_compiled])
def test_what_is_not_the_source_of_now_is_compiled_anew(
    source: pathlib.Path, change: Callable[[pathlib.Path], None]
) -> None:
    change(source)
    assert _run(source.parent).split()[:2] in (["2", "False"], ["22", "False"])
    if change is not _by_hash:
        assert _run(source.parent).split()[1] == "True", "Python has not written it"


def test_a_module_that_became_a_package(source: pathlib.Path) -> None:
    source.unlink()
    _write(source.parent / "new" / "__init__.py", 3)
    assert _run(source.parent).split()[0] == "3"


@pytest.mark.parametrize("options", [("-O",), ("-OO",), ("-X", "pycache_prefix=elsewhere")])
def test_where_Python_looks_elsewhere_it_does_so_itself(source: pathlib.Path, options: tuple[str, ...]) -> None:
    assert _run(source.parent, REPORT, "-B", *options).split()[:2] == ["1", "False"]


def test_it_is_what_Python_makes_of_a_module(source: pathlib.Path) -> None:
    names = "print(sorted(vars(new.__spec__)), sorted(name for name in vars(new) if name.startswith('__')))"
    assert container.__spec__ is not None
    own = sorted(vars(container.__spec__)), sorted(name for name in vars(container) if name.startswith("__"))
    assert _run(source.parent, names) == f"{own[0]} {own[1]}"
