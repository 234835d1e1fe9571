"""The `docker run` line that is equivalent to a ContainerSpec, and notes on what Docker has no option for.

The flags are those of the table of fields; this module writes the values after them. Docker's client and daemon accept
the line: a note names each value that they would refuse.
"""

from __future__ import annotations

import re
import shlex

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.specs.devices.block_io import format_flags
from mydocker.specs.field_types import docker_network, docker_networks, plain
from mydocker.specs.fields import FIELDS, Field
from mydocker.specs.model import BRIDGE, NAMESPACES, BindMount, ContainerSpec, FilesystemMount, TmpfsMount, VolumeMount
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.log_driver import format_options
from mydocker.specs.model.parts import LOOPBACK, NetworkDefinition
from mydocker.specs.model.restart import docker_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mydocker.reference import Location
    from mydocker.specs.model import Mount, Security
    from mydocker.specs.model.parts import Healthcheck, Logging, NetworkAttachment

_ROWS = {row.name: row for row in FIELDS if row.key == row.name}
_APART = (
    *("origin", "aliases", "image", "rootfs", "entrypoint", "command", "network_mode", "networks"),
    *("namespaces", "joined_namespaces", "volumes", "security_opt", "healthcheck", "logging", "blkio_config"),
)
MOST_NAMES = 10  # of other containers, in each line
_ROOTFS = "rootfs"  # the image that the note about a directory makes
_SYSCTLS = frozenset(  # opts.ValidateSysctl of Docker's client, which also accepts all of net.* and fs.mqueue.*
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


def docker_lines(cases: Iterable[CaseSpec]) -> Iterator[str]:
    """The line of each container, followed by its notes as comments. Names that many containers share are written once,
    before the first line, as the shell's "$@": repeated in each line, a thousand services would have a million
    names."""
    shared: tuple[str, ...] = ()
    for case in cases:
        spec, service = case.container, case.service
        if service and service.container_name:
            spec = spec.replace(name=service.container_name)
        names = spec.aliases.known if spec.aliases and spec.network_mode == "host" else ()
        are_many = len(names) > MOST_NAMES
        if are_many and names is not shared:
            shared = names
            hosts = _option(_flag(_ROWS["extra_hosts"]), [f"{name}:{LOOPBACK}" for name in names])
            yield '# the names that the containers below share, as "$@"'
            yield shlex.join(["set", "--", *hosts])
        line, notes = docker_line(spec, shares_names=are_many, lacks=_of_case(case))
        if service and service.replicas != 1:
            notes.append(f"scale: {service.replicas} containers, each by a line with another --name")
        yield line
        yield from (f"# {note}" for note in notes)


def docker_line(
    spec: ContainerSpec, *, shares_names: bool = False, lacks: Iterable[Field] = ()
) -> tuple[str, list[str]]:
    """The line, quoted for a shell, and notes on what it lacks, also of the fields LACKS, which are no container's.
    `shares_names`: "$@" adds the names that it shares with others; the first line of /etc/hosts that has a name counts,
    so they are after its own."""
    options: list[str] = [] if spec.restart else ["--rm"]  # which exclude each other
    notes: list[str] = []
    for name in ContainerSpec.fields:
        value = _hosts(spec, shares_names=shares_names) if name == "extra_hosts" else getattr(spec, name)
        if name == "network_mode":
            options += _networks(spec, notes)
        if name in _APART or value == getattr(ContainerSpec, name):
            continue
        row = _ROWS[name]
        flag = _flag(row)
        if row.not_docker or not flag:
            notes.append(_missing(row))
        else:
            options += _option(flag, _written(row, _accepted(name, value, notes)))
    notes += [_missing(row) for row in lacks]
    options += _healthcheck(spec.healthcheck, notes) if spec.healthcheck else []
    options += _logging(spec.logging) if spec.logging else []
    options += format_flags(spec.blkio_config) if spec.blkio_config else []
    options += _namespaces(spec, notes)
    for mount in spec.volumes:
        options += _mount(mount, notes)
    options += _security(spec.security_opt, notes)
    entrypoint, command = _process(spec, notes)
    end = shlex.join([*entrypoint, _image(spec, notes), *command])
    line = " ".join([shlex.join(["docker", "run", *options]), *(['"$@"'] if shares_names else []), end])
    return line, [printable(note) for note in notes]


def _of_case(case: CaseSpec) -> list[Field]:
    """The fields that CASE has in addition to its container."""
    rows = (_ROWS[name] for name in CaseSpec.fields if name in _ROWS)
    return [row for row in rows if getattr(case, row.name) != row.default]


def _missing(row: Field) -> str:
    return f"{row.name}: {row.not_docker or 'docker run has no option for it'}"


def _hosts(spec: ContainerSpec, *, shares_names: bool) -> tuple[tuple[str, str], ...]:
    """In a network, Docker's resolver knows the names of the others, and Docker itself the address of the host."""
    return spec.extra_hosts if shares_names or spec.network_mode != "host" else spec.hosts


def _networks(spec: ContainerSpec, notes: list[str]) -> list[str]:
    """Docker has aliases only in networks that were created, and so has a container there that asks for an address."""
    if not spec.networks:
        return _option("--network", docker_network(spec.network_mode))
    if spec.networks[0].name == BRIDGE:
        return _on_bridge(spec.networks[0], notes)
    for each in spec.networks:
        if each.definition and not each.definition.external:
            notes.append(f"network {each.name}: {_creation(each)}")
        if each.gateway_priority or each.interface:
            notes.append(f"network {each.name}: gw-priority and ifname take Docker 28 or later")
    if len(spec.networks) > 1:
        notes.append("networks: several take Docker 25 or later")
    return _option("--network", docker_networks(spec.networks))


def _on_bridge(attachment: NetworkAttachment, notes: list[str]) -> list[str]:
    refused = {"aliases": attachment.aliases, "ip": attachment.address, "ip6": attachment.address6}
    notes += [f"{name}: docker run takes it only in a network that was created" for name in refused if refused[name]]
    return ["--network", BRIDGE, *(["--mac-address", attachment.mac] if attachment.mac else [])]


def _creation(attachment: NetworkAttachment) -> str:
    """The line that makes a network."""
    definition = attachment.definition or NetworkDefinition()
    words = ["docker", "network", "create"]
    words += [flag for flag, is_on in (("--internal", definition.internal), ("--ipv6", definition.ipv6)) if is_on]
    texts = (
        *(("--subnet", definition.subnet), ("--gateway", definition.gateway), ("--ip-range", definition.ip_range)),
        *(("--subnet", definition.subnet6), ("--gateway", definition.gateway6)),
        *(("--label", f"{name}={value}") for name, value in definition.labels.items()),
        *(("--opt", f"{name}={value}") for name, value in definition.options.items()),
    )
    words += [word for flag, text in texts if text for word in (flag, text)]
    return shlex.join([*words, attachment.name])


def _image(spec: ContainerSpec, notes: list[str]) -> str:
    """The image as Docker names it; a note says how to import one that Docker cannot pull."""
    if spec.image is None:
        tree = shlex.quote(spec.rootfs or "/")
        notes.append(f"rootfs {spec.rootfs}: make an image of it: tar -C {tree} -c . | docker import - {_ROOTFS}")
        return _ROOTFS
    if spec.image.location is None:
        return spec.image.familiar
    if spec.image.location.is_file_system:
        notes.append(f"image {_source(spec.image.location)}: Docker reads no file systems; 'mydocker save' the image")
        return spec.image.familiar
    notes.append(f"image: skopeo copy {shlex.quote(_source(spec.image.location))} docker-daemon:{spec.image.familiar}")
    return spec.image.familiar


def _source(location: Location) -> str:
    """As containers-transports(5) writes it."""
    return f"{location.transport}:{location.path}" + (f":{location.selector}" if location.selector else "")


def _accepted(name: str, value: Any, notes: list[str]) -> Any:
    """VALUE without the parts that Docker refuses, which become notes."""
    if name == "name" and not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", value):  # RestrictedNamePattern
        notes.append(f"name {shlex.quote(value)}: docker run takes two or more letters, digits, _ . and -")
        return ()
    if name == "sysctls":
        refused = [key for key in value if key.startswith("kernel.") and key not in _SYSCTLS]
        notes += [f"sysctl {key}: docker run does not let it be set" for key in refused]
        return {key: setting for key, setting in value.items() if key not in refused}
    if name == "restart" and not docker_word(value):
        notes.append("restart: docker run has no delay, no window, and attempts for on-failure alone")
    return value


def _flag(row: Field) -> str:
    """Docker's flag; empty if it has none."""
    return row.docker_flag or next((flag for flag in row.flags if flag.startswith("--")), "")


def _written(row: Field, value: Any) -> Any:
    """True for a switch, else the values, one for each use of the flag."""
    written = row.docker(value) if row.docker else (row.normal or plain)(value)
    return written if written is True or isinstance(written, list) else [str(written)]


def _option(flag: str, written: Any) -> list[str]:
    return [flag] if written is True else [word for text in written for word in (flag, text)]


def _namespaces(spec: ContainerSpec, notes: list[str]) -> Iterable[str]:
    flags = {"pid": "--pid", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroupns"}
    for name in NAMESPACES:
        if other := spec.joined_namespaces.get(name):
            yield from (flags[name], other)
            if other.startswith("service:"):
                notes.append(f"{name}: {other} is the container of another line, container:NAME")
        elif name not in spec.namespaces and name in flags:
            yield from (flags[name], "host")
    if "mount" not in spec.namespaces:
        notes.append("namespaces: Docker always makes a mount namespace")


def _mount(mount: Mount, notes: list[str]) -> list[str]:
    match mount:
        case BindMount() | VolumeMount():
            if mount.copy_on_write:  # what the container writes must not reach the host
                notes.append(f"volume {mount.target}: docker run has no copy-on-write (O), so it is read-only here")
                mount = mount.replace(copy_on_write=False, read_only=True)
            if mount.idmap is not None:
                notes.append(f"volume {mount.target}: docker run has no idmap, so its owners are the host's")
            if isinstance(mount, BindMount):
                return _bind(mount, notes)
            return _volume(mount, notes)
        case FilesystemMount():
            words = {"type": mount.fstype, "device": mount.device, "o": ",".join(mount.options)}
            options = [f"volume-opt={name}={word}" for name, word in words.items() if word]
            return _long(mount, "volume", None, ["volume-driver=local", *options])
        case TmpfsMount():
            return _tmpfs(mount, notes)
        case _:
            notes.append(f"{mount.target}: write its content to a file, and mount that read-only")
            return []


def _bind(mount: BindMount, notes: list[str]) -> list[str]:
    propagation = [] if mount.propagation == BindMount.propagation else [mount.propagation]
    if mount.recursive and ":" not in mount.source + mount.target:
        return _short(mount, mount.source, propagation)
    if not mount.recursive:
        notes.append(f"volume {mount.target}: bind-recursive takes Docker 25 or later")
    recursive = [] if mount.recursive else ["bind-recursive=disabled"]
    return _long(mount, "bind", mount.source, [*recursive, *(f"bind-propagation={word}" for word in propagation)])


def _volume(mount: VolumeMount, notes: list[str]) -> list[str]:
    name = mount.volume
    if mount.external:
        notes.append(f"volume {mount.target}: docker volume inspect {name}, for it must be there")
    if mount.subpath:
        notes.append(f"volume {mount.target}: volume-subpath takes Docker 26 or later")
    if mount.subpath or ":" in mount.target or (not name and (mount.read_only or not mount.copy)):
        subpath = [f"volume-subpath={mount.subpath}"] if mount.subpath else []
        return _long(mount, "volume", name, [*subpath, *([] if mount.copy else ["volume-nocopy"])])
    return _short(mount, name, [] if mount.copy else ["nocopy"])


def _short(mount: Mount, source: str | None, options: list[str]) -> list[str]:
    words = [source, mount.target, ",".join([*(["ro"] if mount.read_only else []), *options])]
    return ["--volume", ":".join(filter(None, words))]


def _long(mount: Mount, kind: str, source: str | None, options: list[str]) -> list[str]:
    """The notation that can express everything. A word that has a comma is quoted (CSV, RFC 4180)."""
    words = [f"type={kind}", *([f"source={source}"] if source else []), f"target={mount.target}"]
    words += [*(["readonly"] if mount.read_only else []), *options]
    quoted = ['"' + word.replace('"', '""') + '"' if "," in word or '"' in word else word for word in words]
    return ["--mount", ",".join(quoted)]


def _tmpfs(mount: TmpfsMount, notes: list[str]) -> list[str]:
    if ":" not in mount.target:
        return ["--tmpfs", ":".join(filter(None, [mount.target, ",".join(_tmpfs_options(mount))]))]
    notes += [f"tmpfs {mount.target}: {option}" for option in _tmpfs_options(mount.replace(size=None, mode=None))]
    size = [] if mount.size is None else [f"tmpfs-size={mount.size}"]
    return _long(mount, "tmpfs", None, [*size, *([] if mount.mode is None else [f"tmpfs-mode={mount.mode:o}"])])


def _healthcheck(healthcheck: Healthcheck, notes: list[str]) -> list[str]:
    """Docker's options pass the command as a line to the image's shell."""
    kind, *words = healthcheck.test or ("",)
    if kind == "NONE":
        return ["--no-healthcheck"]
    options = []
    if words:
        options = ["--health-cmd", words[0] if kind == "CMD-SHELL" else shlex.join(words)]
    for name in ("interval", "timeout", "start_period"):
        seconds = getattr(healthcheck, name)
        if seconds is not None:
            options += [
                f"--health-{name.replace('_', '-')}",
                f"{max(seconds, 0.001):.9f}".rstrip("0").rstrip(".") + "s",
            ]
    if healthcheck.start_interval is not None:
        notes.append("healthcheck: start_interval is --health-start-interval, from Docker 25 on")
    if healthcheck.retries is not None:
        options += ["--health-retries", str(healthcheck.retries)]
    return options


def _logging(logging: Logging) -> list[str]:
    return ["--log-driver", logging.driver, *_option("--log-opt", format_options(logging))]


def _tmpfs_options(mount: TmpfsMount) -> Iterable[str]:
    switches = {"ro": mount.read_only, "exec": mount.executable, "suid": mount.setuid}
    yield from (name for name, is_on in switches.items() if is_on)
    numbers = {"size": mount.size, "nr_inodes": mount.inodes, "uid": mount.uid, "gid": mount.gid}
    yield from (f"{name}={number}" for name, number in numbers.items() if number is not None)
    if mount.mode is not None:
        yield f"mode={mount.mode:o}"


def _security(security: Security, notes: list[str]) -> Iterable[str]:
    if security.seccomp is None:
        yield from ("--security-opt", "seccomp=unconfined")
    elif security.seccomp != "default":
        notes.append("security_opt: seccomp=FILE with the profile's own file")
    if security.no_new_privileges:
        yield from ("--security-opt", "no-new-privileges")
    if security.apparmor:
        yield from ("--security-opt", f"apparmor={security.apparmor}")
    for part, value in security.label.as_dict().items() if security.label else ():
        yield from ("--security-opt", f"label={part}:{value}")
    if not security.masked_paths:
        yield from ("--security-opt", "systempaths=unconfined")
    if security.mask or security.unmask:
        notes.append("security_opt: docker run has no mask=PATH and unmask=PATH; podman run has")


def _process(spec: ContainerSpec, notes: list[str]) -> tuple[list[str], list[str]]:
    """The option --entrypoint, which takes one word, and what follows the image."""
    command = [*(spec.command or ())]
    if spec.entrypoint is None:
        if spec.command == ():
            notes.append("command []: docker run would run the image's own command")
        return [], command
    return ["--entrypoint", *(spec.entrypoint[:1] or ("",))], [*spec.entrypoint[1:], *command]
