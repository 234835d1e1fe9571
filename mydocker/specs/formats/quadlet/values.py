"""The values of Quadlet's settings that are no plain words: what each becomes in a spec file.

A function takes the settings of one key and returns entries, (key of a spec file, node); it refuses values that it
cannot read.
"""

from __future__ import annotations

import json
import os
from functools import partial

from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.formats.quadlet.context import Context, boolean, resolve, resolve_words
from mydocker.specs.formats.quadlet.pod_file import pod
from mydocker.specs.formats.quadlet.remap import REMAP, remap
from mydocker.specs.formats.quadlet.resources.images import image
from mydocker.specs.formats.quadlet.resources.networks import network_of_flag, networks
from mydocker.specs.formats.quadlet.resources.secrets import secrets
from mydocker.specs.formats.quadlet.resources.volumes import mount, mounts, volumes
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at
from mydocker.specs.nodes.unit_file import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from mydocker.specs.fields import Field
    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.nodes.node import Node

_ZONES = "/usr/share/zoneinfo"
# what the image declares as volumes is gone with the container, whatever it is (podman-run(1), --image-volume)
_IDLE_FLAGS = ("--image-volume=ignore", "--image-volume=anonymous", "--image-volume=bind")
_PROXIES = ("http", "https", "ftp", "no")
_WRITABLE = ("/run", "/tmp", "/var/tmp")  # with ReadOnlyTmpfs, in addition to /dev and /dev/shm
_HEALTH = {
    "HealthInterval": "interval",
    "HealthRetries": "retries",
    "HealthStartPeriod": "start_period",
    "HealthTimeout": "timeout",
}


def _rootfs(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With `:O`, the directory stays as it is; nothing else is supported."""
    path = resolve(settings[-1], context)
    if not path.endswith(":O"):
        context.reader.refuse(settings[-1].value, f"the container would write to {path} itself: expected {path}:O")
    yield "rootfs", text_at(settings[-1].value, path.removesuffix(":O"))


def _user(settings: list[Setting], context: Context) -> Iterator[Entry]:
    group = context.settings.get("Group")
    user = resolve(settings[-1], context)
    yield "user", text_at(settings[-1].value, f"{user}:{resolve(group[-1], context)}" if group else user)


def _group(settings: list[Setting], context: Context) -> Iterator[Entry]:
    if not context.settings.get("User"):
        context.reader.refuse(settings[-1].key, "Group needs User")
    yield from ()


def _exec(settings: list[Setting], context: Context) -> Iterator[Entry]:
    yield "command", data_at(settings[-1].value, resolve_words(settings[-1], context))


def _entrypoint(settings: list[Setting], context: Context) -> Iterator[Entry]:
    yield "entrypoint", _program(settings[-1], resolve(settings[-1], context), context)


def _program(setting: Setting, text: str, context: Context) -> Node:
    """A list of words in JSON, or one word (podman-run(1), --entrypoint)."""
    return data_at(setting.value, _json_words(text) if text.startswith("[") else [text] if text else [])


def _json_words(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return [text]
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else [text]


def _env_files(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With `-` before it, one that may be missing."""
    for each in settings:
        for text in resolve_words(each, context):
            optional, path = text.startswith("-"), text.removeprefix("-")
            if not optional or os.path.exists(values.path(path, context.reader.scope)):
                yield from _env_file(each, path, context)


def _env_file(setting: Setting, path: str, context: Context) -> Iterator[Entry]:
    """A file with variables, which for a check may be on another machine only."""
    if context.only_check and not os.path.exists(values.path(path, context.reader.scope)):
        context.warn(setting.value, f"cannot read {path}: no such file or directory")
    else:
        yield "env_file", data_at(setting.value, {"path": path, "format": "raw"})


def _devices(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With `-` before it, one that this machine may lack."""
    for each in settings:
        for text in resolve_words(each, context):
            optional, device = text.startswith("-"), text.removeprefix("-")
            if not optional or os.path.exists(device.partition(":")[0]):
                yield "devices", text_at(each.value, device)


def _ports(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        yield "ports", text_at(each.value, resolve(each, context))


def _security(option: str) -> Callable[[list[Setting], Context], Iterator[Entry]]:
    """OPTION of security_opt, with the value for `{}`."""

    def read(settings: list[Setting], context: Context) -> Iterator[Entry]:
        if "{}" in option:
            yield "security_opt", text_at(settings[-1].value, option.format(resolve(settings[-1], context)))
        elif boolean(settings[-1], context):
            yield "security_opt", text_at(settings[-1].value, option)

    return read


def _mask(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        yield "security_opt", text_at(each.value, f"mask={resolve(each, context)}")


def _unmask(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        for word in resolve_words(each, context):
            yield "security_opt", text_at(each.value, f"unmask={word}")


def _cgroups_mode(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Whether the processes of Podman itself have a cgroup of their own, which is no matter here."""
    mode = resolve(settings[-1], context)
    if mode not in ("enabled", "split", "no-conmon"):
        context.reader.refuse(settings[-1].value, f"CgroupsMode={mode} is not supported")
    yield from ()


def _environment_of_host(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """All variables of the caller, under those that the unit sets."""
    if boolean(settings[-1], context):
        own = {word.partition("=")[0] for each in context.settings.get("Environment", ()) for word in each.text.split()}
        variables = context.reader.scope.environ
        names = [name for name in variables if name not in own]
        yield from (("environment", text_at(settings[-1].value, f"{name}={variables[name]}")) for name in names)


def _proxies(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The caller's variables for proxies (podman-run(1), --http-proxy)."""
    if boolean(settings[-1], context):
        variables = context.reader.scope.environ
        names = (name for each in _PROXIES for name in (f"{each}_proxy", f"{each}_proxy".upper()) if name in variables)
        yield from (("environment", text_at(settings[-1].value, f"{name}={variables[name]}")) for name in names)


def _health_on_failure(settings: list[Setting], context: Context) -> Iterator[Entry]:
    yield "healthcheck", data_at(settings[-1].value, {"on_failure": resolve(settings[-1], context)})


def _volatile_tmp(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """A /tmp in memory, unless the root is read-only and so has one (podman's quadlet.go)."""
    read_only = context.settings.get("ReadOnly")
    if boolean(settings[-1], context) and not (read_only and boolean(read_only[-1], context)):
        yield "tmpfs", text_at(settings[-1].value, "/tmp:size=512m,mode=1777")


def _timezone(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """The host's own file of that zone, as /etc/localtime; `local` is the host's zone (podman-run(1), --tz)."""
    node, zone = settings[-1].value, resolve(settings[-1], context)
    source = os.path.realpath("/etc/localtime" if zone == "local" else f"{_ZONES}/{zone}")
    if not os.path.isfile(source) or not (zone == "local" or source.startswith(f"{os.path.realpath(_ZONES)}/")):
        context.lack(node, f"this machine has no time zone {zone!r}")
        return
    mount = {"type": "bind", "source": source, "target": "/etc/localtime", "read_only": True}
    yield "volumes", data_at(node, mount)


def _log_driver(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With passthrough, output goes where mydocker's goes, as it does without a driver in the foreground; under systemd
    that is the journal, as with journald."""
    driver = resolve(settings[-1], context)
    if not driver.startswith("passthrough") and driver != "journald":
        yield "logging", data_at(settings[-1].value, {"driver": driver})


def _log_options(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        yield "logging", _log_option(each, resolve(each, context))


def _log_option(setting: Setting, text: str) -> Node:
    name, _, value = text.partition("=")
    return data_at(setting.value, {"options": {name: value}})


def _auto_update(settings: list[Setting], context: Context) -> Iterator[Entry]:
    yield "labels", text_at(settings[-1].value, f"io.containers.autoupdate={resolve(settings[-1], context)}")


def _read_only_tmpfs(settings: list[Setting], context: Context) -> Iterator[Entry]:
    boolean(settings[-1], context)
    yield from ()


def _read_only(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Podman leaves some directories writable, unless ReadOnlyTmpfs is off or something else is mounted there."""
    node, others = settings[-1].value, context.settings
    if not boolean(settings[-1], context):
        return
    yield "read_only", data_at(node, True)
    if (tmpfs := others.get("ReadOnlyTmpfs")) and not boolean(tmpfs[-1], context):
        return
    taken = "\n".join(each.text for key in ("Volume", "Tmpfs", "Mount") for each in others.get(key, ()))
    for path in _WRITABLE:
        if not any(mark in f"{taken}\n" for mark in (f"{path}\n", f"{path}:", f"={path},")):
            yield "tmpfs", text_at(node, path)


def _health(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """A command for the shell, a list of words in JSON, or none (podman-run(1), --health-cmd)."""
    key, text = settings[-1].key.text, resolve(settings[-1], context)
    member = _health_test(text) if key == "HealthCmd" else {_HEALTH[key]: text}
    yield "healthcheck", data_at(settings[-1].value, member)


def _health_test(text: str) -> dict[str, Any]:
    if text == "none":
        return {"disable": True}
    if text.startswith(("CMD-SHELL ", "CMD ")):  # the words of a list, in one text
        kind, _, rest = text.partition(" ")
        return {"test": [kind, rest.strip()] if kind == "CMD-SHELL" else [kind, *rest.split()]}
    listed = _json_words(text) if text.startswith("[") else []
    kinds = ("CMD", "CMD-SHELL", "NONE")
    return {"test": (listed if listed[0] in kinds else ["CMD", *listed]) if listed else text}


def _health_flag(flag: str, text: str) -> dict[str, Any]:
    """What a flag of `podman run` sets."""
    if flag == "--no-healthcheck":
        return {"disable": _true(text)}
    return _health_test(text) if flag == "--health-cmd" else {flag.removeprefix("--health-").replace("-", "_"): text}


def _podman_args(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Flags of `podman run`, as far as `mydocker run` has them."""
    from mydocker.specs.argv import parse_flags

    for each in settings:
        flags = [word for word in resolve_words(each, context) if word not in _IDLE_FLAGS]
        for field, text in context.reader.attempt(each.value, partial(parse_flags, flags)) or ():
            if field.key in _FLAGS:
                yield from _FLAGS[field.key](each, field, text, context)
            else:
                yield field.key, data_at(each.value, text if field.metavar else _true(text))


def _volumes_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    if "--mount" in field.flags:
        yield from mount(setting, text, context)
    else:
        yield field.key, data_at(setting.value, text)


def _entrypoint_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    yield field.key, _program(setting, text, context)


def _capabilities_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    yield from ((field.key, text_at(setting.value, word)) for word in text.split(","))


def _env_file_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    yield from _env_file(setting, text, context)


def _network_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    value = context.reader.attempt(setting.value, partial(field.parse, text, context.reader.scope))
    if value:
        yield network_of_flag(setting, value)


def _logging_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    is_driver = "--log-driver" in field.flags
    yield field.key, data_at(setting.value, {"driver": text}) if is_driver else _log_option(setting, text)


def _healthcheck_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    yield field.key, data_at(setting.value, _health_flag(field.flags[0], text))


def _volumes_from_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    """A name alone would be that of another container of the file."""
    yield field.key, text_at(setting.value, f"container:{text}")


def _block_limits_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    from mydocker.specs.devices.block_io import combine, format_block_limits

    part = context.reader.attempt(setting.value, partial(field.parse, text, context.reader.scope))
    limits = combine([part or {}])
    yield field.key, data_at(setting.value, format_block_limits(limits) if limits else {})


def _namespaces_flag(setting: Setting, field: Field, text: str, context: Context) -> Iterator[Entry]:
    context.reader.refuse(setting.value, f"{field.flags[0]} is not a flag of podman run")
    yield from ()


_FLAGS: dict[str, Callable[[Setting, Field, str, Context], Iterator[Entry]]] = {  # by the keys of their rows
    "volumes": _volumes_flag,
    "entrypoint": _entrypoint_flag,
    "cap_add": _capabilities_flag,
    "cap_drop": _capabilities_flag,
    "env_file": _env_file_flag,
    "networks": _network_flag,
    "logging": _logging_flag,
    "healthcheck": _healthcheck_flag,
    "volumes_from": _volumes_from_flag,
    "blkio_config": _block_limits_flag,
    "namespaces": _namespaces_flag,
}


def _true(text: str) -> bool:
    return values.boolean(text, values.Scope(directory="/", environ={}))


SPECIAL: dict[str, Callable[[list[Setting], Context], Iterator[Entry]]] = {
    "Image": image,
    "Rootfs": _rootfs,
    "User": _user,
    "Group": _group,
    "Exec": _exec,
    "Entrypoint": _entrypoint,
    "EnvironmentFile": _env_files,
    "AddDevice": _devices,
    "Volume": volumes,
    "Mount": mounts,
    "Network": networks,
    "Pod": pod,
    "Secret": secrets,
    "HealthOnFailure": _health_on_failure,
    "EnvironmentHost": _environment_of_host,
    "HttpProxy": _proxies,
    "CgroupsMode": _cgroups_mode,
    "Mask": _mask,
    **dict.fromkeys(REMAP, remap),
    "PublishPort": _ports,
    "Timezone": _timezone,
    "LogDriver": _log_driver,
    "LogOpt": _log_options,
    "NoNewPrivileges": _security("no-new-privileges"),
    "SeccompProfile": _security("seccomp={}"),
    "SecurityLabelDisable": _security("label=disable"),
    "SecurityLabelLevel": _security("label=level:{}"),
    "SecurityLabelType": _security("label=type:{}"),
    "Unmask": _unmask,
    "AutoUpdate": _auto_update,
    "AppArmor": _security("apparmor={}"),
    "ReadOnly": _read_only,
    "VolatileTmp": _volatile_tmp,
    "ReadOnlyTmpfs": _read_only_tmpfs,
    "HealthCmd": _health,
    **dict.fromkeys(_HEALTH, _health),
    "PodmanArgs": _podman_args,
}
