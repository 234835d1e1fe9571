"""LaunchPlan: everything that will be done to start a container, decided before anything is done.

`plan` takes complete values and reads nothing but the top of `/`, and where mounts are, if that is the root; the
result is plain data, to be printed by --dry-run, compared in tests, and carried out by `launch`.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.executable import is_static_program
from mydocker.runtime.plan.operations import DeclaredVolume, HostProgram, MissingLink, Operation
from mydocker.runtime.plan.root import BareRoot, LayeredRoot, MemoryRoot, Root, image_directory
from mydocker.runtime.plan.standard_mounts import standard_mounts
from mydocker.runtime.seccomp import SyscallFilter
from mydocker.specs.model import BRIDGE, CONNECTED_MODES, HOST_GATEWAY, User
from mydocker.specs.values import capability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mydocker.idmap import IdMap
    from mydocker.image.model import ImageConfig, ImageFile, StoredImage
    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.network import Lease
    from mydocker.runtime.plan.host import Host
    from mydocker.runtime.plan.mac_label import ExecLabel
    from mydocker.runtime.plan.volume_mounts import MountPlan
    from mydocker.runtime.user_namespace.words import AutoRange
    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.parts import NetworkAttachment, Port

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# the beginning of /etc/hosts, as Docker writes it
LOCALHOST = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
SIGTERM = 15
_MOUNTED = (
    "volumes",
    "devices",
    "inject",
    "read_only",
    "shm_size",
    "sysctls",
    "extra_hosts",
    "dns",
    "dns_search",
    "dns_opt",
)  # all of it by mounts


class LaunchPlan(Record):
    """One launch. Times are in seconds; `environment` lacks only HOME, which the image's passwd file decides."""

    container_id: str
    image_digest: str | None = None  # of the manifest, for reports
    store: str  # its directory: the run may be elsewhere, if it cannot be there (image/store/elsewhere.py)
    containers: str  # the directory of run directories, which a run sweeps
    run_dir: str
    scratch: str = ""  # a directory where what it writes stays from start to start; empty: in the run directory
    namespaces: tuple[str, ...]
    rootless: IdMap | None  # the ids of an ordinary user's user namespace; None for root
    own_ids: IdMap | None = None  # those of one that root gives it
    auto_ids: AutoRange | None = None  # what `own_ids` is a free range for, which it gets when it starts
    hostname: str
    domainname: str | None = None
    loopback: bool  # whether to bring up `lo` in a separate network namespace
    root: Root
    operations: tuple[Operation, ...]
    capabilities: int
    seccomp: SyscallFilter | None
    no_new_privileges: bool
    exec_label: ExecLabel | None
    user: User
    environment: dict[str, str]
    working_dir: str
    argv: tuple[str, ...]
    stdin_open: bool
    attach: tuple[str, ...] = ("stdin", "stdout", "stderr")  # the caller's; what is written to others goes nowhere
    tty: bool
    timeout: float | None
    groups: tuple[str | int, ...] = ()  # besides those of the user
    umask: int = 0o022
    ulimits: Mapping[str, tuple[int, int]] = {}
    oom_score_adj: int | None = None
    init: bool = False
    stdin: str | None = None
    extra_hosts: tuple[tuple[str, str], ...] = ()
    networks: tuple[NetworkAttachment, ...] = ()  # those that it is in; (): none, or the host's
    networks_dir: str = ""  # where networks are on disk
    joined: str = ""  # the run directory of the container whose network it shares
    joined_namespaces: Mapping[str, str] = {}  # pid, ipc -> that of the container which it shares that with
    name: str | None = None
    no_network: str = ""  # why it shares the host's network, if it would have one of its own where the host can give it
    ports: tuple[Port, ...] = ()  # to be published
    pre_start: tuple[tuple[str, ...], ...] = ()  # commands that run to their end first
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    stop_signal: int = SIGTERM
    grace: float = 10.0  # from the stop signal to the kill
    cgroups: tuple[Cgroup, ...] = ()  # to be made for the container's limits
    volumes: tuple[str, ...] = ()  # the directories of named volumes, made if missing, and locked while it lives

    @property
    def image_file(self) -> ImageFile | None:
        """The file that its image is, if it is one."""
        return self.root.file if isinstance(self.root, LayeredRoot) else None

    @property
    def shared_blob(self) -> str:
        """The file of the store whose lock says that the image is in use, if the run directory is elsewhere."""
        if not self.image_digest or self.image_file or self.containers == f"{self.store}/containers":
            return ""
        return f"{self.store}/blobs/sha256/{self.image_digest.partition(':')[2]}"

    @property
    def ids(self) -> IdMap | None:
        """The ids of its user namespace; None: it has the host's."""
        return self.rootless or self.own_ids

    @property
    def network(self) -> str:
        """Which network it has: host, none, the names of those that it is in, or that of another container."""
        if self.joined:
            return f"container:{os.path.basename(self.joined)}"
        return ",".join(each.name for each in self.networks) or ("none" if "net" in self.namespaces else "host")

    @property
    def separate_namespaces(self) -> tuple[str, ...]:
        """The namespaces that it does not share with the host: new ones, and the network of another container."""
        own = (*(["user"] if self.ids else []), *self.namespaces, *(["net"] if self.joined else []))
        return (*own, *self.joined_namespaces)

    @property
    def has_outer_init(self) -> bool:
        """Whether no pid namespace but the host's ends its processes (launch/init.py)."""
        return "pid" not in self.namespaces and "pid" not in self.joined_namespaces

    @property
    def resolver_lines(self) -> dict[str, str]:
        """Lines of /etc/resolv.conf by the keyword of the host's lines that they replace, in Docker's order."""
        search = () if self.dns_search == (".",) else self.dns_search
        options = tuple(filter(None, self.dns_options))
        lines = {}
        if self.dns_search:  # `domain` is an older keyword for the same (resolv.conf(5))
            lines = {"search": f"search {' '.join(search)}\n" if search else "", "domain": ""}
        if self.dns and not self.has_names:  # else they are those that its name server asks
            lines["nameserver"] = "".join(f"nameserver {address}\n" for address in self.dns)
        return lines | ({"options": f"options {' '.join(options)}\n"} if options else {})

    @property
    def has_names(self) -> bool:
        """Whether it is in a network whose containers find each other by name: in any but the default one."""
        return any(each.name != BRIDGE for each in self.networks)

    def network_hosts(self, leases: Sequence[Lease]) -> str:
        """/etc/hosts in the networks of LEASES, without the names of others there."""
        gateway = leases[0].network.subnet.gateway
        lines = [f"{gateway if address == HOST_GATEWAY else address}\t{name}\n" for name, address in self.extra_hosts]
        addresses = [address for lease in leases for address in (lease.address, lease.address6) if address]
        return LOCALHOST + "".join([*lines, *(f"{address}\t{self.host_names}\n" for address in addresses)])

    @property
    def host_names(self) -> str:
        """The names of the container itself in /etc/hosts. The full one is first, which `hostname -f` prints
        (hosts(5)), and its first part is there too, as Docker has it; so is the host name, whatever the domain."""
        full = f"{self.hostname}.{self.domainname}" if self.domainname else self.hostname
        return " ".join(dict.fromkeys((full, self.hostname, full.partition(".")[0])))


def plan(
    spec: ContainerSpec,
    image: StoredImage | None,
    *,
    host: Host,
    container_id: str,
    containers: str,
    store: str,
    cgroups: tuple[Cgroup, ...] = (),
    lend_program: bool = False,
    inspect_only: bool = False,
) -> LaunchPlan:
    """Decide how to launch SPEC on IMAGE (None with `rootfs`); CONTAINERS, of run directories, may be outside STORE.
    With `lend_program`, a static program of the host may serve as the command that the image lacks; with
    `inspect_only`, SPEC may set that there is no command. `cgroups`: see `hierarchy`. Raises LaunchError."""
    config, run_dir = image.config if image else None, f"{containers}/{container_id[:12]}"
    hostname, argv = _hostname(spec, container_id), _argv(spec, config, inspect_only=inspect_only)
    lent = argv[0] if lend_program else ""
    working_dir = os.path.join("/", spec.working_dir or (config.working_dir if config else ""))
    mounts = _mounts(spec, config, host, run_dir=run_dir, volumes=f"{store}/volumes")
    return LaunchPlan(
        container_id=container_id,
        image_digest=str(image.manifest) if image else None,
        store=store,
        containers=containers,
        run_dir=run_dir,
        rootless=_ids(spec, host),
        own_ids=host.own_ids,
        hostname=hostname,
        **_networks(spec, image, container_id, f"{os.path.dirname(containers)}/networks"),
        root=_root(spec, image, host, run_dir),
        operations=_operations(spec, config, host, run_dir, mounts, cgroups, working_dir, lent),
        **_privileges(spec, host),
        **_or_of_image(spec, config, host, hostname),
        working_dir=working_dir,
        argv=argv,
        cgroups=cgroups,
        volumes=mounts.volumes if mounts else (),
        **_copied_fields(spec),
    )


def _or_of_image(spec: ContainerSpec, config: ImageConfig | None, host: Host, hostname: str) -> dict[str, Any]:
    """The fields that are the image's where the spec sets none."""
    return {
        "user": spec.user or _caller_as_user(spec, host) or _image_user(config),
        "environment": _environment(spec, config, hostname),
        "stop_signal": spec.stop_signal or _image_stop_signal(config),
    }


def _copied_fields(spec: ContainerSpec) -> dict[str, Any]:
    """The fields that a plan takes unchanged from the spec."""
    return {
        "domainname": spec.domainname,
        "name": spec.name,
        "namespaces": spec.namespaces,
        "joined_namespaces": spec.joined_namespaces,
        "loopback": "net" in spec.namespaces,
        "stdin_open": spec.stdin_open,
        "tty": spec.tty,
        "timeout": spec.timeout,
        "groups": spec.group_add,
        "umask": spec.umask,
        "ulimits": spec.ulimits,
        "oom_score_adj": spec.oom_score_adj,
        "init": spec.init and "pid" in spec.namespaces,  # without a pid namespace, the outer init does its work
        "stdin": spec.stdin,
        "pre_start": spec.pre_start,
        "extra_hosts": spec.hosts,
        "dns": spec.dns,
        "dns_search": spec.dns_search,
        "dns_options": spec.dns_opt,
        "grace": spec.stop_grace_period,
    }


def _networks(spec: ContainerSpec, image: StoredImage | None, container_id: str, directory: str) -> dict[str, Any]:
    """The fields that say what networks it is in, if it is in any."""
    if spec.network_mode not in CONNECTED_MODES:
        return {}
    from mydocker.runtime.plan.networks import attachments, published

    return {
        "networks": attachments(spec, container_id),
        "networks_dir": directory,
        "ports": published(spec, image.config if image else None),
    }


def _hostname(spec: ContainerSpec, container_id: str) -> str:
    """A container that sets the host's network by name gets the host's name as well, as with Docker."""
    if "uts" not in spec.namespaces or (spec.network_mode == "host" and not spec.hostname):
        return os.uname().nodename
    return spec.hostname or container_id[:12]


def _privileges(spec: ContainerSpec, host: Host) -> dict[str, Any]:
    """The fields that limit what the command may do."""
    capabilities = _capabilities(spec, host)
    return {
        "capabilities": capabilities,
        "seccomp": _seccomp(spec, capabilities),
        "no_new_privileges": spec.security_opt.no_new_privileges,
        "exec_label": _exec_label(spec),
    }


def _capabilities(spec: ContainerSpec, host: Host) -> int:
    held = capability.EVERYTHING if host.container_ids else host.capabilities
    return held if spec.privileged else capability.granted(spec.cap_add, spec.cap_drop, held=held)


def _image_stop_signal(config: ImageConfig | None) -> int:
    if config is None or not config.stop_signal:
        return SIGTERM
    from mydocker.specs.values.signal import signal_of_image

    return signal_of_image(config.stop_signal)


def _argv(spec: ContainerSpec, config: ImageConfig | None, *, inspect_only: bool) -> tuple[str, ...]:
    """ENTRYPOINT and then the arguments, else CMD; an entrypoint in the spec drops the image's CMD."""
    entrypoint, command = spec.entrypoint, spec.command
    if command is None:
        command = config.cmd if config and entrypoint is None else ()
    if entrypoint is None:
        entrypoint = config.entrypoint if config else ()
    if entrypoint == ("",):  # a Dockerfile's way to have none: ENTRYPOINT [""]
        entrypoint = ()
    argv = (*entrypoint, *command)
    if not argv and not (inspect_only and (spec.entrypoint, spec.command) == ((), ())):
        raise LaunchError("no command to run: none is set, and the image names none")
    return argv


def _named_by_user(spec: ContainerSpec, program: str) -> str:
    """PROGRAM if the user named it: what only the image names cannot read the host's files."""
    argv = (*(spec.entrypoint or ()), *(spec.command or ()))
    return program if program in argv[:1] else ""


def _environment(spec: ContainerSpec, config: ImageConfig | None, hostname: str) -> dict[str, str]:
    """Lowest to highest: the defaults, the image's, the spec's. An entry of the image without `=` is dropped. In their
    order, what the spec has precedes what only the image has, as `docker run IMAGE env` prints it."""
    environment = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if spec.tty:
        environment["TERM"] = "xterm"
    inherited: dict[str, str] = {}
    for entry in config.env if config else ():
        name, separator, value = entry.partition("=")
        if name and separator and "\0" not in entry:
            inherited[name] = value
    merged = {**environment, **spec.environment, **inherited, **spec.environment}
    return {name: value for name, value in merged.items() if value is not None}


def _ids(spec: ContainerSpec, host: Host) -> IdMap | None:
    if not _keeps_id(spec):
        return host.ids
    if host.ids is None:
        raise LaunchError("keep-id is for ordinary users", hint="leave it out: root's ids are the same inside already")
    from mydocker.idmap import keep_id

    user, group = _kept(spec, host)
    return keep_id(host.ids, user=user, group=group)


def _keeps_id(spec: ContainerSpec) -> bool:
    return spec.userns_mode.startswith("keep-id")


def _kept(spec: ContainerSpec, host: Host) -> tuple[int, int]:
    """The user and the group that the caller is inside."""
    if spec.userns_mode == "keep-id":
        return host.uid, host.gid
    from mydocker.specs.values.userns import kept_ids

    user, group = kept_ids(spec.userns_mode)
    return host.uid if user is None else user, host.gid if group is None else group


def _caller_as_user(spec: ContainerSpec, host: Host) -> User | None:
    """With keep-id the command runs as the caller, whatever user the image names (podman-run(1), --userns)."""
    if not _keeps_id(spec):
        return None
    user, group = _kept(spec, host)
    return User(user=user, group=group)


def _seccomp(spec: ContainerSpec, granted: int) -> SyscallFilter | None:
    """A privileged container has no filter but a profile that the spec names, as with Docker."""
    profile = spec.security_opt.seccomp
    if profile is None or (spec.privileged and isinstance(profile, str)):
        return None
    return SyscallFilter(capabilities=granted, profile=None if isinstance(profile, str) else profile)


def _exec_label(spec: ContainerSpec) -> ExecLabel | None:
    if not (spec.security_opt.apparmor or spec.security_opt.label):
        return None
    from mydocker.runtime.plan.mac_label import exec_label

    return exec_label(spec.security_opt)


def _image_user(config: ImageConfig | None) -> User:
    if config is None or not config.user:
        return User(user=0)
    from mydocker.specs.values.user import parse_user

    return parse_user(config.user)


def _root(spec: ContainerSpec, image: StoredImage | None, host: Host, run_dir: str) -> Root:
    if "mount" not in spec.namespaces:
        if image or not spec.rootfs:
            raise LaunchError("an image needs a mount namespace", hint="add `mount` to namespaces, or use rootfs")
        return BareRoot(path=spec.rootfs)
    if spec.rootfs == "/":
        return MemoryRoot()
    lowerdirs = image.lowerdirs if image else (spec.rootfs or "",)
    if image and image.file:
        lowerdirs = (image_directory(f"{run_dir}/scratch"),)
    if not image and not os.path.isdir(lowerdirs[0]):
        raise LaunchError(f"rootfs {lowerdirs[0]} is not a directory")
    if not lowerdirs:
        raise LaunchError(f"image {image.reference.familiar if image else ''} has no layers, so nothing to run")
    within = os.path.commonpath([lowerdirs[0], run_dir]) == os.path.normpath(lowerdirs[0])
    return LayeredRoot(
        lowerdirs=lowerdirs,
        keep_mode=image is None,
        in_memory=host.store_on_overlay or within,
        user_xattrs=host.rootless,
        file=image.file if image else None,
    )


def _mounts(
    spec: ContainerSpec, config: ImageConfig | None, host: Host, *, run_dir: str, volumes: str
) -> MountPlan | None:
    """The container's own mounts, if it has any: most have none, and need not wait for the module."""
    if spec.volumes_from:
        names = ", ".join(each.container.partition(":")[2] for each in spec.volumes_from)
        raise LaunchError(f"volumes of {names}: only 'run', 'create' and 'up' can look them up")
    if not spec.volumes and not spec.read_only:
        return None
    from mydocker.runtime.plan.volume_mounts import plan_mounts

    return plan_mounts(spec, _declared(config), host=host, run_dir=run_dir, volumes=volumes)


def _declared(config: ImageConfig | None) -> tuple[str, ...]:
    """The directories that the image declares to be volumes: Docker makes those that no layer has."""
    paths = config.volumes if config else ()
    return tuple(dict.fromkeys("/" + os.path.normpath(f"/{path}").lstrip("/") for path in paths))


def _accounts(spec: ContainerSpec, host: Host, working_dir: str) -> tuple[Operation, ...]:
    from mydocker.runtime.plan.keep_id import accounts_of_caller

    return accounts_of_caller(spec, host, working_dir=working_dir)


def _operations(
    spec: ContainerSpec,
    config: ImageConfig | None,
    host: Host,
    run_dir: str,
    mounts: MountPlan | None,
    cgroups: tuple[Cgroup, ...],
    working_dir: str,
    lent: str,
) -> tuple[Operation, ...]:
    if "mount" not in spec.namespaces:
        mounted = [name for name in _MOUNTED if getattr(spec, name)]
        if mounted:
            raise LaunchError(f"{', '.join(mounted)}: a mount namespace is needed", hint="add `mount` to namespaces")
        return ()
    tree: tuple[Operation, ...] = ()
    if spec.rootfs == "/":
        from mydocker.runtime.plan.machine_tree import machine_tree

        tree = machine_tree(run_dir, user_xattrs=host.rootless)
    program = _named_by_user(spec, lent)
    return (
        *tree,
        MissingLink(target="/etc/mtab", to="/proc/mounts"),
        *(DeclaredVolume(target=path) for path in _declared(config)),
        *(_accounts(spec, host, working_dir) if spec.userns_mode == "keep-id" else ()),
        *(mounts.early if mounts else ()),
        *standard_mounts(spec, host, run_dir=run_dir, late=mounts.late if mounts else (), cgroups=cgroups),
        *(HostProgram(target=path, replace_existing=True) for path in spec.inject),
        *((HostProgram(target=program),) if program.startswith("/") and is_static_program(program) else ()),
        *(mounts.seal(tree, working_dir=working_dir) if mounts and spec.read_only else ()),
    )
