"""ContainerSpec: one container, complete and checked, whether it came from YAML or from a command line.

Every value is parsed: durations are seconds, sizes bytes, paths absolute, variables interpolated, env
files read and `-e NAME` looked up. None stands for the image's value. How a container takes part where several run is a
CaseSpec (case.py).
"""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record
from mydocker.reference import Platform, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model.parts import (
        Aliases,
        BlockLimits,
        DeviceRequest,
        DeviceRule,
        Healthcheck,
        Logging,
        NetworkAttachment,
        Port,
        RestartPolicy,
    )
    from mydocker.specs.security.seccomp import Profile

STDIN = "<stdin>"  # what a file is called that comes through standard input
NAMESPACES = ("mount", "pid", "uts", "ipc", "net", "cgroup")
DEFAULT_MODE = "default"
BRIDGE = "bridge"  # the default network
HOST_GATEWAY = "host-gateway"  # in place of an address: that by which the container reaches the host
# What `network_mode` may be: `default`, the network `bridge` (or the `networks` of its file) where this host can give
# it, else the host's network, without the host's name; `bridge`; `networks`, those named there; `none`, a network of
# its own with lo alone; `host`, the host's network and name. Two more forms join the network of another container:
# `container:NAME`, by name or ID, and `service:NAME`, one of the same file. A namespace `net` of the container's own
# is in `namespaces` for these:
CONNECTED_MODES = (BRIDGE, "networks")
PRIVATE_MODES = (*CONNECTED_MODES, "none")
JOINING_MODES = ("container:", "service:")


_ID_MAPS = ("uidmap", "gidmap", "subuidname", "subgidname")
_OTHER_LIMITS = (
    *("mem_reservation", "mem_swappiness", "oom_kill_disable"),
    *("cpu_shares", "cpu_period", "cpu_quota", "blkio_config"),
)


class User(Record):
    """Who runs the command: a name or a number each; group None means the user's own groups."""

    user: str | int
    group: str | int | None = None


class Hook(Record):
    """A command that is executed in the container alongside its own; None is the container's own user, or directory."""

    command: tuple[str, ...]
    user: User | None = None
    working_dir: str | None = None
    environment: Mapping[str, str] = {}


class Mount(Record):
    """Something mounted at `target`, an absolute path in the container."""

    target: str
    read_only: bool = False


class BindMount(Mount):
    """The file or directory `source`, an absolute path of the host."""

    source: str
    propagation: str = "rprivate"
    recursive: bool = True  # with what is mounted below
    copy_on_write: bool = False  # the container may write; the host's files do not change
    idmap: str | None = None  # whose owners are mapped: `uids=…;gids=…`, or empty by the container's user namespace
    create: bool = False  # whether a directory is created where the host has nothing at the source


class VolumeMount(Mount):
    """A volume: a directory that mydocker keeps under a name, or without one, that lives as long as the container."""

    volume: str | None = None
    copy: bool = True  # copy the image's files at the target into an empty volume
    copy_on_write: bool = False
    idmap: str | None = None  # as of a BindMount
    subpath: str = ""  # the path in the volume to mount
    external: bool = False  # whether it must be there already


class TmpfsMount(Mount):
    """An empty file system in memory. Sizes are bytes; None is the kernel's default."""

    size: int | None = None
    inodes: int | None = None
    mode: int | None = None  # None: that of the image's directory there, else 1777
    uid: int | None = None
    gid: int | None = None
    executable: bool = False
    setuid: bool = False
    access_times: str = ""  # noatime or strictatime of mount(8); empty: relatime


class FilesystemMount(Mount):
    """A file system of type `fstype`, such as nfs, of `device`, with `options` as in mount(8)."""

    fstype: str
    device: str
    options: tuple[str, ...] = ()


class FileMount(Mount):
    """A file that has this content, by this owner.

    `reference` is where the content comes from, if not from the spec itself: (`environment`, a variable), (`file`, an
    absolute path), or (`content`, a text with variables), of which the content of a secret is made. Code that prints a
    spec prints the reference, for the content may be a secret.
    """

    content: str  # bytes that are no UTF-8 as surrogates
    reference: tuple[str, str] | None = None
    secret: bool = False
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


class VolumesFrom(Record):
    """The volumes of another container: `service:NAME`, of the same file, or `container:NAME`."""

    container: str
    read_only: bool = False

    def of(self, mount: Mount) -> Mount:
        """MOUNT as this container has it."""
        return mount.replace(read_only=True) if self.read_only else mount


class Device(Record):
    """The device file `source` of the host, or all in that directory, at `target`; both are absolute paths."""

    source: str
    target: str


class CdiDevice(Record):
    """A device that a CDI file of the host describes: vendor.com/class=name."""

    name: str


class SelinuxLabel(Record):
    """The parts of an SELinux context; what is unset is as in Docker's policy, without a level."""

    user: str = "system_u"
    role: str = "system_r"
    type: str = "container_t"
    level: str = "s0"


class Security(Record):
    """The isolation that `security_opt` changes."""

    seccomp: Profile | str | None = "default"  # None: no filter
    no_new_privileges: bool = False
    apparmor: str | None = None  # a profile's name; None: none
    label: SelinuxLabel | None = None
    masked_paths: bool = True  # whether parts of /proc and /sys are hidden or read-only
    mask: tuple[str, ...] = ()  # further absolute paths that are hidden
    unmask: tuple[str, ...] = ()  # those of the usual ones that are not, as patterns


class ContainerSpec(Record):
    """What to run. Exactly one of `image` and `rootfs` is set."""

    name: str | None = None
    origin: Origin = Origin(file="command line")  # file and line of the document, for messages
    image: Reference | None = None
    rootfs: str | None = None  # absolute directory of the host; "/" is the machine's own tree, copy-on-write
    platform: Platform | None = None
    # missing, always, never; daily, weekly or every_DURATION: when it is older; build: that of a CaseSpec with `build`
    pull_policy: str = "missing"
    labels: Mapping[str, str] = {}
    entrypoint: tuple[str, ...] | None = None  # None: the image's; (): none
    command: tuple[str, ...] | None = None  # None: the image's CMD; (): none
    environment: Mapping[str, str | None] = {}  # over the image's; None: not set, whatever the image says
    user: User | None = None
    group_add: tuple[str | int, ...] = ()  # supplementary groups in addition to the user's own
    expand: bool = False  # whether the image's variables are replaced in `environment` and `command`
    pre_start: tuple[tuple[str, ...], ...] = ()  # commands that run to completion in the container before the main one
    post_start: tuple[Hook, ...] = ()  # commands that `up` executes in it once it has started
    pre_stop: tuple[Hook, ...] = ()  # those before it is stopped
    umask: int = 0o022
    stdin: str | None = None  # text fed to the command
    init: bool = False
    working_dir: str | None = None
    hostname: str | None = None
    domainname: str | None = None
    volumes: tuple[Mount, ...] = ()  # in their order on the command line or in the file
    volumes_from: tuple[VolumesFrom, ...] = ()  # containers whose volumes it has, too
    read_only: bool = False  # the root; mounts in it are as they are
    shm_size: int | None = None  # bytes of /dev/shm
    devices: tuple[Device | CdiDevice, ...] = ()
    device_cgroup_rules: tuple[DeviceRule, ...] = ()  # which devices open in mounts of the host's /dev
    gpus: tuple[DeviceRequest, ...] = ()
    runtime: str = ""  # nvidia: the GPUs that NVIDIA_VISIBLE_DEVICES lists
    inject: tuple[str, ...] = ()  # host programs, absolute paths, bound read-only at the same path
    namespaces: tuple[str, ...] = NAMESPACES  # those to unshare, in the order of NAMESPACES
    joined_namespaces: Mapping[str, str] = {}  # pid, ipc -> container:NAME or service:NAME, which it shares that with
    userns_mode: str = "host"  # see values/userns.py; host: unchanged
    uidmap: tuple[str, ...] = ()  # CONTAINER:HOST:COUNT each, of a user namespace of its own
    gidmap: tuple[str, ...] = ()
    subuidname: str | None = None  # whose ranges of /etc/subuid it has
    subgidname: str | None = None
    network_mode: str = "default"  # see CONNECTED_MODES, PRIVATE_MODES and JOINING_MODES
    networks: tuple[NetworkAttachment, ...] = ()  # (): with bridge, that network without any options
    extra_hosts: tuple[tuple[str, str], ...] = ()  # (name, address), or (name, HOST_GATEWAY)
    aliases: Aliases | None = None  # where it shares the host's network with the containers of its file
    ports: tuple[Port, ...] = ()  # to be published on the host
    publish_all: bool = False  # publish what `expose` and the image name, each port under a number that is free
    expose: tuple[str, ...] = ()  # ports of the container as the image names its own, such as 80/tcp
    dns: tuple[str, ...] = ()  # addresses of name servers; (): the host's
    dns_search: tuple[str, ...] = ()  # domains; (): the host's; ("."): none
    dns_opt: tuple[str, ...] = ()  # options of resolv.conf(5); (): the host's
    cap_add: tuple[str, ...] = ()  # names of specs/values/capability.py, or ALL
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    sysctls: Mapping[str, str] = {}
    ulimits: Mapping[str, tuple[int, int]] = {}  # name -> (soft, hard); -1 is no limit
    security_opt: Security = Security()
    mem_limit: int | None = None  # bytes
    memswap_limit: int | None = None  # bytes of memory and swap together; -1: no limit; None: twice the memory
    mem_reservation: int | None = None  # bytes that stay with the container when memory is short
    mem_swappiness: int | None = None  # 0 to 100: how readily it is swapped out; with cgroup v1 only
    oom_kill_disable: bool = False  # whether it waits for memory and is not killed; with cgroup v1 only
    cpus: float | None = None
    cpu_shares: int | None = None  # its share of processor time next to others; 1024 is usual
    cpu_period: int | None = None  # microseconds
    cpu_quota: int | None = None  # microseconds of processor time in each period
    cpuset: tuple[int, ...] | None = None  # numbers of processors
    pids_limit: int | None = None
    blkio_config: BlockLimits | None = None
    oom_score_adj: int | None = None  # None: as mydocker's own
    timeout: float | None = None  # seconds
    stop_signal: int | None = None  # None: the image's, else TERM
    stop_grace_period: float = 10.0  # seconds from the stop signal to the kill
    tty: bool = False
    stdin_open: bool = False
    healthcheck: Healthcheck | None = None
    logging: Logging | None = None  # of a container in the background; None: the default
    restart: RestartPolicy | None = None  # whether it is started again when it has ended; None: no

    @property
    def hosts(self) -> tuple[tuple[str, str], ...]:
        """(name, address) of each line that /etc/hosts is to have. In a network, HOST_GATEWAY is its gateway; on the
        host's network it is the host itself, and a container without a network does not reach the host."""
        if not self.aliases and not self.extra_hosts:
            return ()
        from mydocker.specs.model.parts import LOOPBACK

        found = self.extra_hosts
        if "net" not in self.namespaces:
            found = tuple((name, LOOPBACK if address == HOST_GATEWAY else address) for name, address in found)
        elif self.network_mode == "none":
            found = tuple((name, address) for name, address in found if address != HOST_GATEWAY)
        listed = {name for name, _ in found}
        known = self.aliases.known if self.aliases and "net" not in self.namespaces else ()
        return (*found, *((name, LOOPBACK) for name in known if name not in listed))

    @property
    def id_maps(self) -> list[str]:
        """The fields that say a map of a user namespace of its own, as a file names them."""
        return [name for name in _ID_MAPS if getattr(self, name)]

    @property
    def limited(self) -> bool:
        """Whether the container needs cgroups of its own."""
        if self.mem_limit or (self.memswap_limit or 0) > 0 or self.cpus or self.cpuset or self.pids_limit:
            return True
        return any(getattr(self, name) not in (None, False) for name in _OTHER_LIMITS)
