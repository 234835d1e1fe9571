"""What a child process prints into a pipe, up to its end; usable where the root has changed."""

from __future__ import annotations

import os
import select
import time

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = 65536  # bytes of a pipe that is full (pipe(7))


def listen(
    pid: int, pipe: int, *, add: Callable[[bytes, bytes], bytes], until: float | None = None
) -> tuple[bytes, bool]:
    """What comes from PIPE until process PID, which is not reaped, has ended, and True; False if it has not at UNTIL.

    ADD takes what has been kept and what has come, and returns what to keep. UNTIL is of time.monotonic. Others may
    hold the pipe open for longer, and write on: that is dropped.
    """
    [kept], over = listen_to_all(pid, (pipe,), add=add, until=until)
    return kept, over


def listen_to_all(
    pid: int, pipes: tuple[int, ...], *, add: Callable[[bytes, bytes], bytes], until: float | None = None
) -> tuple[list[bytes], bool]:
    """The same of several PIPES, each by itself."""
    kept, ended, over = dict.fromkeys(pipes, b""), os.pidfd_open(pid), False
    poll = select.poll()
    for descriptor in (ended, *pipes):
        poll.register(descriptor, select.POLLIN)
    while not over and (until is None or time.monotonic() < until):
        wait = None if until is None else max(0.0, until - time.monotonic()) * 1000 + 1
        ready = [descriptor for descriptor, _ in poll.poll(wait)]
        most = 0
        for pipe in pipes:
            if pipe in ready:
                data = os.read(pipe, _WHOLE)
                if not data:
                    poll.unregister(pipe)
                kept[pipe] = add(kept[pipe], data)
                most = max(most, len(data))
        over = ended in ready and most < _WHOLE
    os.close(ended)
    return [*kept.values()], over
