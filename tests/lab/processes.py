"""What runs on this machine, and waiting for it."""

from __future__ import annotations

import os
import pathlib
import threading
import time
from collections.abc import Callable
from contextlib import suppress


def wait_for(condition: Callable[[], bool]) -> None:
    """Until CONDITION holds, for as long as a test may take."""
    while not condition():
        time.sleep(0.02)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether CONDITION holds, now or within SECONDS."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


def within_a_second(condition: Callable[[], bool]) -> bool:
    """Whether CONDITION comes true within a second of a machine that has time for it: moments in which processes wait
    for a processor or for a disk do not count, nor do those in which this one was not woken. 100 s are the most."""
    second, deadline = (20.0 if "EMULATED" in os.environ else 1.0), time.monotonic() + 100
    while not (holds := condition()) and second > 0 and time.monotonic() < deadline:
        time.sleep(_STEP)
        second -= 0 if _is_busy() else _STEP
    return holds


_STEP = 0.02  # seconds


def _is_busy() -> bool:
    """Whether more processes want to run than there are processors, but for this one, or some wait for a disk."""
    text = pathlib.Path("/proc/stat").read_text()  # proc(5)
    running, blocked = (int(text.partition(f"\n{name} ")[2].split()[0]) for name in ("procs_running", "procs_blocked"))
    return running - 1 >= len(os.sched_getaffinity(0)) or blocked > 0


def sleeping(mark: str) -> list[int]:
    """The processes that were started as `sleep MARK`."""
    return [pid for pid, line in _command_lines() if line == f"sleep\0{mark}\0".encode()]


def mentioning(mark: str) -> list[int]:
    """The processes that have MARK in their command line."""
    return [pid for pid, line in _command_lines() if mark.encode() in line]


def other_threads() -> list[threading.Thread]:
    """Those that mydocker has started in this process.

    A worker of pytest-xdist has one of which Python knows little, and a server of another test may still have a client.
    """
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
        and not isinstance(thread, threading._DummyThread)
        and "process_request_thread" not in thread.name
    ]


def _command_lines() -> list[tuple[int, bytes]]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:  # it has just ended
                found.append((int(name), file.read()))
    return found
