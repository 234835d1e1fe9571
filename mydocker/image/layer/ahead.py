"""A stream of which several processors share the work: another thread makes its pieces, some ahead of their user.

Decompression, sums and system calls let go of the interpreter's lock, so that threads do them at the same time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue

_GROUP = 8  # pieces that are handed over together, as each time may wake a thread
_AHEAD = 3  # groups
_TURN = 0.0002  # seconds: who computes gives up the interpreter's lock for who only starts the next system call


def ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """PIECES, and after those before it what they raise. Their thread lasts no longer than the process; it waits for
    ever if nobody wants the rest."""
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
                    made.put((group, None))
                    group = []
            made.put((group, StopIteration()))
        except BaseException as error:
            made.put((group, error))

    sys.setswitchinterval(_TURN)
    threading.Thread(target=make, daemon=True).start()
    end = None
    while not end:
        group, end = made.get()
        yield from group
        room.put(None)
    if not isinstance(end, StopIteration):
        raise end
