"""Waiting for descendants that have lost their parents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# a process whose parent is gone writes a file when it is let; not in pytest, whose other children would be awaited
PROGRAM = """
import os, pathlib, sys, time
from mydocker.kernel.processes import DescendantsAwaited

file, limit, is_let = pathlib.Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "True"
gate, opener = os.pipe()
with DescendantsAwaited(limit):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.close(opener)
            os.read(gate, 1)
            time.sleep(0.3)
            file.touch()
        os._exit(0)
    os.waitpid(child, 0)
    print(file.exists(), end=" ")
    if is_let:
        os.write(opener, b"x")
print(file.exists())
"""


def _seen(file: Path, *, limit: float, is_let: bool) -> str:
    """Whether FILE is there within the `with`, and whether after it."""
    words = [sys.executable, "-P", "-c", PROGRAM, str(file), str(limit), str(is_let)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=240).stdout


def test_a_descendant_without_a_parent_is_awaited(tmp_path: Path) -> None:
    assert _seen(tmp_path / "done", limit=200, is_let=True) == "False True\n"


def test_not_for_ever(tmp_path: Path) -> None:
    assert _seen(tmp_path / "done", limit=0.1, is_let=False) == "False False\n"
