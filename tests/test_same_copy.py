"""The tests refuse to judge another copy of mydocker than that of this repository."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from lab.places import ROOT
from lab.same_copy import complaint, difference

PACKAGE = ROOT / "mydocker"


@pytest.fixture
def copy(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the package, as `pip install .` makes one."""
    shutil.copytree(PACKAGE, tmp_path / "site" / "mydocker", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site" / "mydocker"


def test_these_tests_judge_this_copy() -> None:
    assert complaint(PACKAGE) is None


def _edit(copy: pathlib.Path) -> None:
    (copy / "errors.py").write_text("# edited\n")


def _add(copy: pathlib.Path) -> None:
    (copy / "image" / "new.py").write_text("")


def _remove(copy: pathlib.Path) -> None:
    (copy / "record.py").unlink()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda copy: None, []),
        (lambda copy: (copy / "__pycache__").mkdir(exist_ok=True), []),
        (_edit, ["errors.py"]),
        (_add, []),
        (_remove, ["record.py"]),
    ],
    ids=["the same", "compiled", "edited", "left from a build", "missing"],
)
def test_a_copy_is_compared(copy: pathlib.Path, change: Callable[[pathlib.Path], None], expected: list[str]) -> None:
    change(copy)
    assert difference(copy, PACKAGE) == expected


def _pytest(copy: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """A run of a few tests that finds COPY before what is installed. Not `python -m pytest`, which looks here first."""
    return subprocess.run(
        [pathlib.Path(sys.executable).with_name("pytest"), "--collect-only", "-q", "tests/test_idmap.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(copy.parent)},
        capture_output=True,
        text=True,
    )


def test_pytest_ends_at_once_with_another_copy(copy: pathlib.Path) -> None:
    (copy / "idmap.py").write_text((PACKAGE / "idmap.py").read_text() + "# another\n")
    done = _pytest(copy)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done
    assert f"the tests would run {copy}" in done.stderr and "idmap.py" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_and_goes_on_with_the_same_one(copy: pathlib.Path) -> None:
    done = _pytest(copy)
    assert done.returncode == 0, done
