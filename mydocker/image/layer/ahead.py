"""A stream of which several processors share the work: another thread makes its pieces, some ahead of their user.

Decompression, sums and system calls let go of the interpreter's lock, so that threads do them at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import SimpleQueue

_GROUP = 8  # pieces that are handed over together, as each time may wake a thread
_AHEAD = 3  # groups


def ahead(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """PIECES, and after those before it what they raise. Their thread ends with them, or soon after this is closed.
    Where no thread can be started, they are made when they are asked for."""
    is_closed = False
    made: SimpleQueue[tuple[list[bytes], BaseException | None]] = SimpleQueue()
    room: SimpleQueue[None] = SimpleQueue()
    for _ in range(_AHEAD):
        room.put(None)

    def make() -> None:
        group: list[bytes] = []
        try:
            for piece in pieces:
                group.append(piece)
                if len(group) == _GROUP:
                    room.get()
                    if is_closed:
                        return
                    made.put((group, None))
                    group = []
            made.put((group, StopIteration()))
        except BaseException as error:
            made.put((group, error))

    try:
        threading.Thread(target=make, daemon=True).start()
    except RuntimeError:  # a limit of processes is reached (RLIMIT_NPROC, pids)
        yield from pieces
        return
    end = None
    try:
        while not end:
            group, end = made.get()
            yield from group
            room.put(None)
    finally:
        is_closed = True
        room.put(None)
    if not isinstance(end, StopIteration):
        raise end
