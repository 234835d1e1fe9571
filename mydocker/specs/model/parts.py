"""The parts of a ContainerSpec that few containers have, as values; other modules read them from files."""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import Record

STARTED, HEALTHY, COMPLETED = CONDITIONS = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)
LOOPBACK = "127.0.0.1"


class Dependency(Record):
    """On the container called `name`. Unless it is `required`, a container of that name may be missing.

    `origin` is where it is written, without a file where that is the file of the container itself.
    """

    name: str
    condition: str = STARTED
    required: bool = True
    origin: Origin


class Healthcheck(Record):
    """`test` begins with CMD, CMD-SHELL or NONE; () is the image's. Times are seconds; None is the image's.

    `awaited` is where a container waits for this one to be healthy.
    """

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    start_period: float | None = None
    start_interval: float | None = None
    retries: int | None = None
    awaited: Origin | None = None

    def over(self, other: Healthcheck) -> Healthcheck:
        """This healthcheck, with the values of OTHER for what is unset."""
        return other.replace(**{name: value for name, value in self.as_dict().items() if value not in (None, ())})


class Aliases(Record):
    """The names of one container, its `own`, and those of all containers that it shares the network with."""

    own: tuple[str, ...]
    known: tuple[str, ...] = ()


class Port(Record):
    """Port `target` of the container is to be `published` on the host; None: under any number that is free there."""

    target: int
    published: int | None = None
    host_ip: str = ""  # empty: on all addresses
    protocol: str = "tcp"
