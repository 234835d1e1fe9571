"""A ContainerSpec as the options of `docker run` or of `podman run`, a pair (flag, value) each, and notes on what that
engine has no option for.

The flags are those of the table of fields; this module writes the values after them. Networks, the image and the
command are written by those who use it, for these depend on where the options go.
"""

from __future__ import annotations

import shlex

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.devices.block_io import format_flags
from mydocker.specs.field_types import plain
from mydocker.specs.fields import FIELDS, Field
from mydocker.specs.model import NAMESPACES, BindMount, ContainerSpec, FilesystemMount, TmpfsMount, VolumeMount
from mydocker.specs.model.case import CaseSpec
from mydocker.specs.model.healthcheck import KINDS
from mydocker.specs.model.log_driver import format_options
from mydocker.specs.model.restart import docker_word
from mydocker.specs.render.names import CONTAINER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mydocker.specs.model import Mount, Security
    from mydocker.specs.model.parts import DeviceRequest, Healthcheck, Logging

    Option = tuple[str, str | None]  # a flag, and its value; None: it is a switch
    Notes = list[str]

ROWS = {row.name: row for row in FIELDS if row.key == row.name}
APART = (  # fields whose options are not written by their row alone
    *("origin", "aliases", "image", "rootfs", "entrypoint", "command", "network_mode", "networks"),
    *("namespaces", "joined_namespaces", "volumes", "security_opt", "healthcheck", "logging", "blkio_config"),
)
NAMESPACE_FLAGS = {"pid": "--pid", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroupns"}
_SYSCTLS = frozenset(  # opts.ValidateSysctl of Docker's client, which also accepts all of net.* and fs.mqueue.*
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


class Engine(Record):
    """What the options are for: its `command`, for notes. `is_podman`: whether it has what Podman has and Docker has
    not, such as volumes whose changes do not reach the host."""

    command: str
    is_podman: bool = False

    def lacks(self, row: Field) -> str:
        """Why it has no flag for ROW; empty if it has one."""
        why = row.not_podman if self.is_podman else row.not_docker
        return why or ("" if flag_of(row) else f"{self.command} has no option for it")


DOCKER = Engine(command="docker run")
PODMAN = Engine(command="podman run", is_podman=True)


def options_before_networks(spec: ContainerSpec, engine: Engine, notes: Notes) -> Iterator[Option]:
    """The options of the fields of SPEC that are before its networks; the others follow in `options_after_networks`."""
    yield from _of_fields(spec, engine, notes, _FIELDS[:_NETWORKS])


def options_after_networks(spec: ContainerSpec, engine: Engine, notes: Notes) -> Iterator[Option]:
    yield from _of_fields(spec, engine, notes, _FIELDS[_NETWORKS:])


_FIELDS = ContainerSpec.fields
_NETWORKS = _FIELDS.index("network_mode")


def _of_fields(spec: ContainerSpec, engine: Engine, notes: Notes, names: Iterable[str]) -> Iterator[Option]:
    for name in names:
        value = getattr(spec, name)
        if name in APART or value == getattr(ContainerSpec, name):
            continue
        row = ROWS[name]
        if why := engine.lacks(row):
            notes.append(f"{name}: {why}")
        else:
            yield from repeated(flag_of(row), _written(row, _accepted(name, value, engine, notes), engine, notes))


def options_of_parts(spec: ContainerSpec, engine: Engine, notes: Notes) -> Iterator[Option]:
    """The options of what a field alone does not say: healthcheck, log, limits of disks, namespaces, mounts, and
    isolation."""
    if spec.healthcheck:
        yield from _healthcheck(spec.healthcheck, engine, notes)
    if spec.logging:
        yield from _logging(spec.logging, engine, notes)
    if spec.blkio_config:
        yield from format_flags(spec.blkio_config)
    yield from _namespaces(spec, engine, notes)
    for mount in spec.volumes:
        yield from mount_options(mount, engine, notes)
    yield from _security(spec.security_opt, engine, notes)


def injected(spec: ContainerSpec) -> tuple[Mount, ...]:
    """The mounts of SPEC, and those that place its programs, for engines that only have mounts."""
    return (*spec.volumes, *(BindMount(source=path, target=path, read_only=True) for path in spec.inject))


def case_rows(case: CaseSpec) -> list[Field]:
    """The fields that CASE has in addition to its container."""
    rows = (ROWS[name] for name in CaseSpec.fields if name in ROWS)
    return [row for row in rows if getattr(case, row.name) != row.default]


def flag_of(row: Field) -> str:
    """Docker's flag; empty if it has none."""
    return row.docker_flag or next((flag for flag in row.flags if flag.startswith("--")), "")


def repeated(flag: str, written: Any) -> list[Option]:
    """FLAG as a switch, or once for each value."""
    return [(flag, None)] if written is True else [(flag, text) for text in written]


def words_of(options: Iterable[Option]) -> list[str]:
    """OPTIONS as words of a command line."""
    return [word for flag, value in options for word in ((flag,) if value is None else (flag, value))]


def _accepted(name: str, value: Any, engine: Engine, notes: Notes) -> Any:
    """VALUE without the parts that the engine refuses, which become notes."""
    if name == "name" and not CONTAINER_NAME.fullmatch(value):
        notes.append(f"name {shlex.quote(value)}: {engine.command} takes two or more letters, digits, _ . and -")
        return ()
    if name == "sysctls" and not engine.is_podman:
        refused = [key for key in value if key.startswith("kernel.") and key not in _SYSCTLS]
        notes += [f"sysctl {key}: docker run does not let it be set" for key in refused]
        return {key: setting for key, setting in value.items() if key not in refused}
    if name == "restart" and not docker_word(value):
        notes.append("restart: docker run has no delay, no window, and attempts for on-failure alone")
    return value


def _written(row: Field, value: Any, engine: Engine, notes: Notes) -> Any:
    """True for a switch, else the values, one for each use of the flag."""
    if engine.is_podman and row.name == "gpus":
        notes.append("gpus: they are devices here, by the names of the host's CDI files")
        return [name for request in value for name in _cdi_names(request)]
    written = row.docker(value) if row.docker else (row.normal or plain)(value)
    return written if written is True or isinstance(written, list) else [str(written)]


def _cdi_names(request: DeviceRequest) -> list[str]:
    """The devices of REQUEST as CDI names them; `podman run --gpus` takes only those of one vendor."""
    prefix = f"{request.kind}=" if request.kind else ""
    ids = request.ids or (("all",) if request.count < 0 else tuple(map(str, range(request.count))))
    return [f"{prefix}{each}" for each in ids]


def _namespaces(spec: ContainerSpec, engine: Engine, notes: Notes) -> Iterator[Option]:
    for name in NAMESPACES:
        if other := spec.joined_namespaces.get(name):
            yield NAMESPACE_FLAGS[name], other
            if other.startswith("service:"):
                notes.append(f"{name}: {other} is the container of another line, container:NAME")
        elif name not in spec.namespaces and name in NAMESPACE_FLAGS:
            yield NAMESPACE_FLAGS[name], "host"
    if "mount" not in spec.namespaces:
        notes.append(f"namespaces: {'Podman' if engine.is_podman else 'Docker'} always makes a mount namespace")


def mount_options(mount: Mount, engine: Engine, notes: Notes) -> list[Option]:
    """The option for MOUNT."""
    match mount:
        case BindMount() | VolumeMount():
            if not engine.is_podman:
                mount = of_docker(mount, notes)
            return _bind(mount, engine, notes) if isinstance(mount, BindMount) else _volume(mount, engine, notes)
        case FilesystemMount():
            words = {"type": mount.fstype, "device": mount.device, "o": ",".join(mount.options)}
            options = [f"volume-opt={name}={word}" for name, word in words.items() if word]
            return _long(mount, "volume", None, ["volume-driver=local", *options])
        case TmpfsMount():
            return _tmpfs(mount, notes)
        case _:
            notes.append(f"{mount.target}: write its content to a file, and mount that read-only")
            return []


def of_docker(mount: BindMount | VolumeMount, notes: Notes) -> BindMount | VolumeMount:
    """MOUNT without what only Podman can do. What the container writes must not reach the host."""
    if mount.copy_on_write:
        notes.append(f"volume {mount.target}: Docker has no copy-on-write (O), so it is read-only here")
        mount = mount.replace(copy_on_write=False, read_only=True)
    if mount.idmap is not None:
        notes.append(f"volume {mount.target}: Docker has no idmap, so its owners are the host's")
        mount = mount.replace(idmap=None)
    return mount


def _bind(mount: BindMount, engine: Engine, notes: Notes) -> list[Option]:
    propagation = [] if mount.propagation == BindMount.propagation else [mount.propagation]
    if mount.recursive and ":" not in mount.source + mount.target:
        return _short(mount, mount.source, propagation)
    if mount.create:
        notes.append(f"volume {mount.target}: --mount does not create {mount.source}")
    if not mount.recursive and not engine.is_podman:
        notes.append(f"volume {mount.target}: bind-recursive takes Docker 25 or later")
    flat = "bind-nonrecursive=true" if engine.is_podman else "bind-recursive=disabled"
    recursive = [] if mount.recursive else [flat]
    return _long(mount, "bind", mount.source, [*recursive, *(f"bind-propagation={word}" for word in propagation)])


def _volume(mount: VolumeMount, engine: Engine, notes: Notes) -> list[Option]:
    name = mount.volume
    if mount.external:
        what = "docker volume inspect" if not engine.is_podman else "podman volume inspect"
        notes.append(f"volume {mount.target}: {what} {name}, for it must be there")
    if mount.subpath:
        newer = "takes Podman 5.4 or later" if engine.is_podman else "takes Docker 26 or later"
        notes.append(f"volume {mount.target}: volume-subpath {newer}")
    if mount.subpath or ":" in mount.target or (not name and (mount.read_only or not mount.copy)):
        subpath = [f"volume-subpath={mount.subpath}"] if mount.subpath else []
        return _long(mount, "volume", name, [*subpath, *([] if mount.copy else ["volume-nocopy"])])
    return _short(mount, name, [] if mount.copy else ["nocopy"])


def _short(mount: BindMount | VolumeMount, source: str | None, options: list[str]) -> list[Option]:
    idmap = [] if mount.idmap is None else ["idmap" + (f"={mount.idmap}" if mount.idmap else "")]
    switches = [name for name, is_on in (("ro", mount.read_only), ("O", mount.copy_on_write)) if is_on]
    words = [source, mount.target, ",".join([*switches, *options, *idmap])]
    return [("--volume", ":".join(filter(None, words)))]


def _long(mount: Mount, kind: str, source: str | None, options: list[str]) -> list[Option]:
    """The notation that can express everything. A word that has a comma is quoted (CSV, RFC 4180)."""
    words = [f"type={kind}", *([f"source={source}"] if source else []), f"target={mount.target}"]
    words += [*(["readonly"] if mount.read_only else []), *options]
    idmap = getattr(mount, "idmap", None)
    words += [] if idmap is None else ["idmap" + (f"={idmap}" if idmap else "")]
    quoted = ['"' + word.replace('"', '""') + '"' if "," in word or '"' in word else word for word in words]
    return [("--mount", ",".join(quoted))]


def _tmpfs(mount: TmpfsMount, notes: Notes) -> list[Option]:
    if ":" not in mount.target:
        return [("--tmpfs", ":".join(filter(None, [mount.target, ",".join(tmpfs_options(mount))])))]
    notes += [f"tmpfs {mount.target}: {option}" for option in tmpfs_options(mount.replace(size=None, mode=None))]
    size = [] if mount.size is None else [f"tmpfs-size={mount.size}"]
    return _long(mount, "tmpfs", None, [*size, *([] if mount.mode is None else [f"tmpfs-mode={mount.mode:o}"])])


def tmpfs_options(mount: TmpfsMount) -> Iterator[str]:
    """The options after the target, as mount(8) has them."""
    switches = {"ro": mount.read_only, "exec": mount.executable, "suid": mount.setuid}
    yield from (name for name, is_on in switches.items() if is_on)
    yield from filter(None, [mount.access_times])
    numbers = {"size": mount.size, "nr_inodes": mount.inodes, "uid": mount.uid, "gid": mount.gid}
    yield from (f"{name}={number}" for name, number in numbers.items() if number is not None)
    if mount.mode is not None:
        yield f"mode={mount.mode:o}"


def _healthcheck(check: Healthcheck, engine: Engine, notes: Notes) -> Iterator[Option]:
    kind = check.test[0] if check.test else ""
    if kind == "NONE":
        yield "--no-healthcheck", None
        return
    if kind:
        yield "--health-cmd", _podman_test(check.test) if engine.is_podman else _docker_test(check.test)
    for name in ("interval", "timeout", "start_period"):
        seconds = getattr(check, name)
        if seconds is not None:
            text = f"{max(seconds, 0.001):.9f}".rstrip("0").rstrip(".") + "s"
            yield f"--health-{name.replace('_', '-')}", text
    if check.start_interval is not None:
        instead = "Podman has none" if engine.is_podman else "is --health-start-interval, from Docker 25 on"
        notes.append(f"healthcheck: start_interval{':' if engine.is_podman else ''} {instead}")
    if check.retries is not None:
        yield "--health-retries", str(check.retries)
    if check.on_failure and engine.is_podman:
        yield "--health-on-failure", check.on_failure
    elif check.on_failure:
        notes.append("healthcheck: on_failure: docker run has no option for it")


def _docker_test(test: tuple[str, ...]) -> str:
    """Docker passes the command as a line to the image's shell."""
    kind, *words = test
    return words[0] if kind == "CMD-SHELL" else shlex.join(words)


def _podman_test(test: tuple[str, ...]) -> str:
    """A line for the shell, or where that would mean something else, a list in JSON. Podman takes the first word of
    either for the kind, in capital letters or not, and splits what begins with CMD at white space
    (MakeHealthCheckFromCli in pkg/specgenutil), so that a list of words is without it."""
    import json

    kind, *words = test
    is_kind = (words[0].split(" ")[0] if words else "").upper() in KINDS
    if kind == "CMD-SHELL" and len(words) == 1:
        [text] = words
        if text.strip(' "') == text and text.isprintable() and not text.startswith("[") and not is_kind:
            return text
    return json.dumps(words if kind == "CMD" and not is_kind else test, ensure_ascii=False)


def _logging(logging: Logging, engine: Engine, notes: Notes) -> Iterator[Option]:
    if engine.is_podman and logging.driver == "local":
        notes.append("logging: Podman has no driver local, so it is json-file here")
    if engine.is_podman and logging.max_file is not None:
        notes.append("logging: max-file has no effect with Podman")
    yield "--log-driver", "json-file" if engine.is_podman and logging.driver == "local" else logging.driver
    yield from repeated("--log-opt", format_options(logging))


def _label(security: Security, engine: Engine) -> dict[str, str]:
    """The parts of the label; for Podman those that are not the usual ones, or else the type."""
    if not security.label:
        return {}
    parts: dict[str, str] = security.label.as_dict()
    if not engine.is_podman:
        return parts
    own = {name: value for name, value in parts.items() if value != getattr(type(security.label), name)}
    return own or {"type": parts["type"]}


def security_options(security: Security) -> list[str]:
    """The values of docker run's --security-opt, but for the file of a filter, which is not known."""
    return [str(value) for _, value in _security(security, Engine(command="docker run"), [])]


def _security(security: Security, engine: Engine, notes: Notes) -> Iterator[Option]:
    found = [] if security.seccomp else ["seccomp=unconfined"]
    if security.seccomp and security.seccomp != "default":
        if engine.is_podman:
            found.append(f"seccomp={getattr(security.seccomp, 'origin', security.seccomp)}")
        else:
            notes.append("security_opt: seccomp=FILE with the profile's own file")
    found += ["no-new-privileges"] if security.no_new_privileges else []
    found += [f"apparmor={security.apparmor}"] if security.apparmor else []
    found += [f"label={part}:{value}" for part, value in _label(security, engine).items()]
    if engine.is_podman:
        found += [f"{name}={':'.join(paths)}" for name in ("mask", "unmask") if (paths := getattr(security, name))]
        found += [] if security.masked_paths else ["unmask=ALL"]
    else:
        found += [] if security.masked_paths else ["systempaths=unconfined"]
        if security.mask or security.unmask:
            notes.append("security_opt: docker run has no mask=PATH and unmask=PATH; podman run has")
    yield from repeated("--security-opt", found)
