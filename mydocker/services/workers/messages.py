"""What a worker and its watcher report about a container: a Record for each.

An Outcome is a message as well: the container has ended, and how. See message.py for how they are sent.
"""

from __future__ import annotations

from mydocker.errors import ErrorReport, MydockerError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.outcome import Outcome

if TYPE_CHECKING:
    from typing import Any


class Pulling(Record):
    """An image is being pulled; or, without an IMAGE, it is there."""

    image: str


class PullWarning(Record):
    """A warning of the pull."""

    text: str


class ImageMetadata(Record):
    """The configuration of the image, see the expectation `metadata`."""

    metadata: dict[str, Any]


class WatcherStarted(Record):
    """The watcher of the container is process PID."""

    pid: int


class Observed(Record):
    """What the watcher has found while the container runs, as far as that has changed; `began`: its command runs."""

    facts: dict[str, Any]


class PreStopEnded(Record):
    """The commands of `pre_stop` have been executed, or one of them has FAILED for this reason."""

    failure: str = ""


class WatcherEnded(Record):
    """The watcher is not needed any more, or has FAILED for this reason."""

    failure: str = ""


class Inspected(Record):
    """What was found in the container after its end."""

    facts: dict[str, Any]


class ContainerEnded(Record):
    """The container has ended and been inspected; it is still to be cleared away."""


class Kept(Record):
    """What the container wrote is kept under NAME, if any; why not all of it is, or none."""

    name: str = ""
    lost: str = ""


class Failed(ErrorReport):
    """The container never ran, or could not be watched to its end. `shortage`: the host had no process or descriptor
    left for it."""

    exit_code: int = MydockerError.exit_code
    shortage: bool = False


REPORTS: tuple[type[Record], ...] = (
    Outcome,
    Pulling,
    PullWarning,
    ImageMetadata,
    WatcherStarted,
    Observed,
    PreStopEnded,
    WatcherEnded,
    Inspected,
    ContainerEnded,
    Kept,
    Failed,
)
