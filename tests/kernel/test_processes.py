"""Waiting for descendants that have lost their parents."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mydocker.kernel.processes import DescendantsAwaited


def _fork_twice(file: Path, seconds: float) -> None:
    """A process whose parent is gone writes FILE after SECONDS."""
    child = os.fork()
    if child == 0:
        try:
            if os.fork() == 0:
                time.sleep(seconds)
                file.touch()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_descendant_without_a_parent_is_awaited(tmp_path: Path) -> None:
    with DescendantsAwaited(60):
        _fork_twice(tmp_path / "done", 0.3)
        assert not (tmp_path / "done").exists()
    assert (tmp_path / "done").exists()


def test_not_for_ever(tmp_path: Path) -> None:
    with DescendantsAwaited(0.1):
        _fork_twice(tmp_path / "done", 2)
    assert not (tmp_path / "done").exists()
