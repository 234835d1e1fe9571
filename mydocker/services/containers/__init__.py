"""Containers that outlive the command that started them: what is known of one, as values.

Each has a keeper (keeper.py), a directory in the store (directory.py), and is driven through the keeper's socket
(control.py).
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.parts import HostCommands, NetworkAttachment

CREATED, RUNNING, PAUSED, RESTARTING, EXITED = "created", "running", "paused", "restarting", "exited"
DEAD = "dead"  # it can only be removed: its files are damaged
STATUSES = (CREATED, RUNNING, PAUSED, RESTARTING, EXITED, DEAD)
ALIVE = (RUNNING, PAUSED, RESTARTING)  # a keeper is there
PROJECT, SERVICE, NUMBER = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.container-number",
)  # labels of the containers of a Compose file


class Summary(Record):
    """What is read of a container to list it. `created` is in seconds since 1970; `image` is what its creator has
    called the image, and `image_digest` that of the manifest, empty with a rootfs."""

    id: str
    name: str
    created: float
    image: str
    image_digest: str = ""
    command: tuple[str, ...] = ()  # with the entrypoint, for people
    labels: Mapping[str, str] = {}  # those of the image, too
    ports: tuple[str, ...] = ()  # what the image and the spec expose, such as 80/tcp
    auto_remove: bool = False  # remove it when it has ended
    owner: str = ""  # the program that it ends with, as services/owned/owner.py names it, and is removed with

    @property
    def short_id(self) -> str:
        """The first twelve digits, which its directories are called by."""
        return self.id[:12]

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.short_id


class ContainerConfig(Summary):
    """What a container is."""

    spec: ContainerSpec
    bound_to: tuple[str, ...] = ()  # services of its project: it is stopped when a container of one has ended
    host_commands: HostCommands | None = None  # executed before and after its runs
    stdin_once: bool = False  # its input ends with that of the first who is attached
    networks: tuple[NetworkAttachment, ...] | None = None  # after `network connect` or `disconnect`; None: the spec's

    @property
    def attachments(self) -> tuple[NetworkAttachment, ...]:
        """The networks that it is in, or will be when it starts; none if it has the host's, another's, or none."""
        from mydocker.specs.model import BRIDGE, CONNECTED_MODES
        from mydocker.specs.model.parts import NetworkAttachment

        if self.networks is not None:
            return self.networks
        if self.spec.network_mode not in ("default", *CONNECTED_MODES):
            return ()
        return self.spec.networks or (NetworkAttachment(name=BRIDGE),)

    @property
    def current_spec(self) -> ContainerSpec:
        """The spec with the networks that it has been connected to since it was made."""
        from mydocker.specs.model import BRIDGE, NAMESPACES

        if self.networks is None:
            return self.spec
        first = self.networks[0].name if self.networks else ""
        mode = "none" if not first else BRIDGE if first == BRIDGE else "networks"
        namespaces = tuple(name for name in NAMESPACES if name == "net" or name in self.spec.namespaces)
        return self.spec.replace(networks=self.networks, network_mode=mode, namespaces=namespaces)


class ContainerState(Record):
    """What has become of it. Times are in seconds since 1970, 0: never."""

    status: str = CREATED
    pid: int = 0  # of its first process, seen from the host; 0: none
    process_start: int = 0  # when that began, in ticks since the boot; 0 if it is not to be killed by that number
    boot: str = ""  # the kernel's name for that boot
    keeper: int = 0  # the pid of its keeper
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    signal: int = 0  # that has ended it; exit_code is 128+n then
    timed_out: bool = False
    cpu: float = 0.0  # seconds, of the last run
    max_rss: int = 0  # bytes
    oom_killed: bool = False
    error: str = ""  # why it did not start, or what went wrong
    restarts: int = 0
    stopped: bool = False  # somebody has stopped it: unless-stopped does not start it again
    health: str = ""  # starting, healthy or unhealthy; empty without a healthcheck
    failing: int = 0  # healthchecks in a row
    health_output: str = ""  # of the last one, if it failed
    health_code: int = 0  # its exit code; -1: it had no end
    addresses: dict[str, str] = {}  # by network
    last_addresses: dict[str, str] = {}  # those of the last run, which it gets again if they are free
    ports: tuple[str, ...] = ()  # published, as [HOST_IP:]PORT:TARGET/PROTOCOL
    lost: int = 0  # bytes of output that could not be written to the log


class Listed(Record):
    """A container in the store: its directory, and what is known of it now."""

    directory: str
    config: Summary
    state: ContainerState

    @property
    def is_alive(self) -> bool:
        """Whether it has a keeper: it runs, is paused, or is about to be started again."""
        return self.state.status in ALIVE


class Container(Listed):
    """The same with all that it is made of."""

    config: ContainerConfig
