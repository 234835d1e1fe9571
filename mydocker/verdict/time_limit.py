"""A limit to the time that a comparison takes: some patterns take years to search a text of forty letters.

Such a text may come from a container. `re` handles signals while it searches, and an exception of the handler ends the
search.
"""

from __future__ import annotations

from contextlib import contextmanager

from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn


class TookTooLongError(Exception):
    """The comparison exceeded its time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TookTooLongError in the body once it has taken SECONDS of CPU time. In the main thread only.

    Only the CPU time of this process counts, so that no verdict depends on the load of the machine.
    """

    def end(*_: object) -> NoReturn:
        raise TookTooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGVTALRM])
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGVTALRM, before)
