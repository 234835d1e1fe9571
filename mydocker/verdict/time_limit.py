"""A limit to the time that a comparison takes: there are patterns that some texts of forty letters keep busy for years.

Such a text may come from a container. `re` takes signals while it searches, and what their action raises ends it.
"""

from __future__ import annotations

from contextlib import contextmanager

from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn


class TookTooLongError(Exception):
    """It was not over in its time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TookTooLongError in what is done here once it has taken SECONDS of processor time. In the main thread only.

    Of ours alone, so that no verdict depends on what else a machine has to do.
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
