"""The parts of a ContainerSpec that few containers have, as values; other modules read them from files."""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model.conditions import Condition

STARTED, HEALTHY, COMPLETED = CONDITIONS = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)
LOOPBACK = "127.0.0.1"


class BlockLimits(Record):
    """Limits on reading and writing of block devices: a weight from 10 to 1000 among others, and pairs of a device's
    path and its weight, bytes a second, or times a second."""

    weight: int | None = None
    weight_device: tuple[tuple[str, int], ...] = ()
    read_bps: tuple[tuple[str, int], ...] = ()
    write_bps: tuple[tuple[str, int], ...] = ()
    read_iops: tuple[tuple[str, int], ...] = ()
    write_iops: tuple[tuple[str, int], ...] = ()


class DeviceRule(Record):
    """Devices that may be opened where the host's /dev is mounted: `kind` c (character), b (block) or a (both), and
    numbers, of which None is any."""

    kind: str
    major: int | None = None
    minor: int | None = None

    def __str__(self) -> str:
        """The rule in the kernel's notation."""
        major, minor = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.kind} {major}:{minor} rwm"

    def matches(self, kind: str, major: int, minor: int) -> bool:
        """Whether it is about the device of these."""
        return self.kind in ("a", kind) and self.major in (None, major) and self.minor in (None, minor)


class DeviceRequest(Record):
    """Devices that the host's CDI files describe, of `kind`, such as nvidia.com/gpu: those called `ids`, or `count` of
    them, -1 for all. Without a kind, the IDs have it themselves: vendor.com/class=name."""

    kind: str
    count: int = 0
    ids: tuple[str, ...] = ()


class Dependency(Record):
    """On the container called `name`. Unless it is `required`, a container of that name may be missing. With `restart`,
    a container is made anew when the one that it depends on is; so is one that is `bound`, which is stopped when that
    has ended.

    `origin` is where it is written, without a file where that is the file of the container itself.
    """

    name: str
    condition: str = STARTED
    required: bool = True
    restart: bool = False
    bound: bool = False
    origin: Origin


class Healthcheck(Record):
    """`test` begins with CMD, CMD-SHELL or NONE; () is the image's. Times are seconds; None is the image's.

    `awaited` is where a container waits for this one to be healthy. `on_failure`: what becomes of one in the background
    that is unhealthy: none, kill, stop or restart.
    """

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    start_period: float | None = None
    start_interval: float | None = None
    retries: int | None = None
    on_failure: str = ""
    awaited: Origin | None = None

    def over(self, other: Healthcheck) -> Healthcheck:
        """This healthcheck, with the values of OTHER for what is unset."""
        return other.replace(**{name: value for name, value in self.as_dict().items() if value not in (None, (), "")})


class RestartPolicy(Record):
    """When a container that has ended is started again: `always`, `unless-stopped` or `on-failure`; at most `attempts`
    times, 0 for without end.

    `delay` is the pause before each start in seconds, None for Docker's, which grow. A run of `window` seconds or more
    was a success, after which attempts and pauses count anew; None: of ten seconds, and attempts never do. `burst`
    starts within `interval` seconds are the last ones, as for systemd; 0 for no such limit.
    """

    name: str
    attempts: int = 0
    delay: float | None = None
    window: float | None = None
    burst: int = 0
    interval: float = 0.0


class Logging(Record):
    """What becomes of the output of a container in the background: the `driver` is json-file, local or none.

    A log file is followed by a new one at `max_size` bytes, and the newest `max_file` files are kept; None is the
    driver's default.
    """

    driver: str = "json-file"
    max_size: int | None = None
    max_file: int | None = None


class HostCommand(Record):
    """A command of the host; `may_fail`: whether its exit code matters."""

    words: tuple[str, ...]
    may_fail: bool = False


class HostCommands(Record):
    """What is executed on the host, by whoever runs mydocker, `before` each start of a container, when it has `begun`,
    and `after` its end. A list ends with the first command that fails. `timeout`: seconds for each command; None for
    any time. They have `environment` over that of mydocker."""

    before: tuple[HostCommand, ...] = ()
    begun: tuple[HostCommand, ...] = ()
    after: tuple[HostCommand, ...] = ()
    timeout: float | None = None
    environment: Mapping[str, str] = {}


class Service(Record):
    """That a container is the service `name` of a project, which may have several `replicas` of it.

    `attach`: whether `up` shows its output. `is_pod`: it only holds the network of others, and ends after them.
    It starts if its `conditions` hold.
    """

    name: str
    project: str
    container_name: str | None = None  # None: PROJECT-SERVICE-NUMBER
    replicas: int = 1
    attach: bool = True
    is_pod: bool = False
    conditions: tuple[Condition, ...] = ()
    host_commands: HostCommands | None = None


class Aliases(Record):
    """Where containers share the host's network: the names of one container, its `own`, and those of all of them."""

    own: tuple[str, ...]
    known: tuple[str, ...] = ()


class Port(Record):
    """Port `target` of the container is to be `published` on the host; None: under any number that is free there.

    With `last_published`, the first free one from `published` to that.
    """

    target: int
    published: int | None = None
    last_published: int | None = None
    host_ip: str = ""  # empty: on all addresses
    protocol: str = "tcp"


class NetworkDefinition(Record):
    """How a network is made where there is none of its name; one that is `external` must exist.

    Addresses are in their canonical form; an empty one is chosen when the network is made.
    """

    external: bool = False
    internal: bool = False  # no route to the outside
    ipv6: bool = False
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""  # the part of the subnet that containers get addresses from
    subnet6: str = ""
    gateway6: str = ""
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}  # of the driver


class NetworkAttachment(Record):
    """That a container is in the network `name`, and what it has there; an empty address is chosen.

    `definition` comes with networks that a file declares; without one, the network must exist.
    """

    name: str
    aliases: tuple[str, ...] = ()  # by which the others in the network find it
    address: str = ""
    address6: str = ""
    earlier: str = ""  # the IPv4 address that it had when it ran before: it gets that again, if it is free
    mac: str = ""  # aa:bb:cc:dd:ee:ff
    interface: str = ""  # the name in the container; empty: eth0, eth1, …
    priority: int = 0  # the highest is connected first; `networks` of a spec are in this order
    gateway_priority: int = 0  # the highest has the default route
    definition: NetworkDefinition | None = None
