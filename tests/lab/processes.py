"""What runs on this machine, and waiting for it."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool]) -> None:
    """Until CONDITION holds, for as long as a test may take."""
    while not condition():
        time.sleep(0.01)


def sleeping(mark: str) -> list[int]:
    """The processes that were started as `sleep MARK`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes() == f"sleep\0{mark}\0".encode():
                found.append(int(path.name))
        except OSError:  # it has just ended
            pass
    return found
