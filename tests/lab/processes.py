"""What runs on this machine, and waiting for it."""

from __future__ import annotations

import os
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
    """Whether CONDITION comes true within a second of the machine's time: on a busy one, what processes wait for a
    processor, for a disk or for memory does not count; nor does what this process has not been there to look."""
    began, waited, looks = time.monotonic(), _stalled(), 0
    least = max(1.0, 3 * os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    while not (holds := condition()):
        elapsed = time.monotonic() - began
        if looks > 50 and elapsed - (_stalled() - waited) > least or elapsed > 200:
            return condition()
        looks += 1
        time.sleep(0.02)
    return holds


def _stalled() -> float:
    """Seconds in which some process of this machine has waited for what it needs (Documentation/accounting/psi.rst);
    the most of the three, for they may be the same seconds. 0 where the kernel does not count them."""
    found = [0.0]
    for resource in ("cpu", "io", "memory"):
        with suppress(OSError), open(f"/proc/pressure/{resource}") as file:
            found.append(int(file.readline().rpartition("total=")[2]) / 1e6)
    return max(found)


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
