"""Waiting for descendants that have lost their parents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# a process whose parent is gone writes a file after a time; not in pytest itself, whose other children would be awaited
PROGRAM = """
import os, pathlib, sys, time
from mydocker.kernel.processes import DescendantsAwaited

file, limit, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
with DescendantsAwaited(limit):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(seconds)
            file.touch()
        os._exit(0)
    os.waitpid(child, 0)
    print(file.exists(), end=" ")
print(file.exists())
"""


def _seen(file: Path, *, limit: float, seconds: float) -> str:
    """Whether FILE is there within the `with`, and whether after it."""
    words = [sys.executable, "-P", "-c", PROGRAM, str(file), str(limit), str(seconds)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=240).stdout


def test_a_descendant_without_a_parent_is_awaited(tmp_path: Path) -> None:
    assert _seen(tmp_path / "done", limit=50, seconds=1) == "False True\n"


def test_not_for_ever(tmp_path: Path) -> None:
    assert _seen(tmp_path / "done", limit=0.1, seconds=5) == "False False\n"
