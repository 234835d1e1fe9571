"""The values of Quadlet's settings that are no plain words: what each becomes among our keys.

A function takes the settings of one key and gives entries, (our key, node); what it cannot read it refuses.
"""

from __future__ import annotations

import json
import os
import re
from functools import partial

from mydocker.record import TYPE_CHECKING, Record
from mydocker.spec import words
from mydocker.spec.node import data_at, text_at
from mydocker.spec.specifier import Unit, expand, replace_variables
from mydocker.spec.unitfile import Setting, parse_unit, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from mydocker.spec.node import Node
    from mydocker.spec.reading import Reading

    Entry = tuple[str, Node]

_BOOLEANS = {  # parse_boolean of systemd
    **dict.fromkeys(("1", "yes", "y", "true", "t", "on"), True),
    **dict.fromkeys(("0", "no", "n", "false", "f", "off"), False),
}
_SPANS = {  # systemd.time(7), the units of its examples; seconds
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("us", "usec"), 1e-6),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_WRITABLE = ("/run", "/tmp", "/var/tmp")  # with ReadOnlyTmpfs, beside /dev and /dev/shm
_HEALTH = {
    "HealthInterval": "interval",
    "HealthRetries": "retries",
    "HealthStartPeriod": "start_period",
    "HealthTimeout": "timeout",
}


class Context(Record):
    """The unit, the reading of its file, and the settings of [Container]."""

    unit: Unit
    reading: Reading
    given: Mapping[str, list[Setting]]


def resolve(setting: Setting, context: Context) -> str:
    """A value as one word."""
    return " ".join(_resolved(setting, setting.value.text, context))


def resolve_words(setting: Setting, context: Context) -> list[str]:
    """A value as words: split, and then its specifiers and variables replaced, as systemd does it."""
    text = setting.value.text
    found = context.reading.attempt(setting.value, lambda: split_words(text)) or []
    return [word for each in found for word in _resolved(setting, each, context)]


def _resolved(setting: Setting, word: str, context: Context) -> list[str]:
    def replaced() -> list[str]:
        return replace_variables(expand(word, context.unit), context.unit.variables)

    return context.reading.attempt(setting.value, replaced) or []


def boolean(setting: Setting, context: Context) -> bool:
    text = setting.value.text.lower()
    if text not in _BOOLEANS:
        context.reading.refuse(setting.value, f"want true or false, not {setting.value.text!r}")
    return _BOOLEANS.get(text, False)


def time_span(setting: Setting, context: Context) -> str:
    """`5min 20s` of systemd.time(7), or a bare number of seconds, as a duration of ours."""
    text = setting.value.text
    parts = re.findall(r"(\d+(?:\.\d+)?) *([a-z]*) *", text)
    if "".join(re.split(r"\s", text)) != "".join(number + unit for number, unit in parts) or not parts:
        context.reading.refuse(setting.value, f"{text!r}: want a time such as 90 or 5min 20s")
    unknown = [unit for _, unit in parts if unit not in _SPANS]
    if unknown:
        context.reading.refuse(setting.value, f"{text!r}: {unknown[0]!r} is no unit of time")
    return f"{sum(float(number) * _SPANS.get(unit, 1.0) for number, unit in parts):.6f}s"


def _image(settings: list[Setting], context: Context) -> Iterator[Entry]:
    name = resolve(settings[-1], context)
    if name.endswith((".image", ".build")):
        context.reading.refuse(settings[-1].value, f"{name}: units of images are not supported: name the image")
    yield "image", text_at(settings[-1].value, name)


def _rootfs(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With `:O`, the directory stays as it is; that is the only way here."""
    path = resolve(settings[-1], context)
    if not path.endswith(":O"):
        context.reading.refuse(settings[-1].value, f"the container would write to {path} itself: want {path}:O")
    yield "rootfs", text_at(settings[-1].value, path.removesuffix(":O"))


def _user(settings: list[Setting], context: Context) -> Iterator[Entry]:
    group = context.given.get("Group")
    user = resolve(settings[-1], context)
    yield "user", text_at(settings[-1].value, f"{user}:{resolve(group[-1], context)}" if group else user)


def _group(settings: list[Setting], context: Context) -> Iterator[Entry]:
    if not context.given.get("User"):
        context.reading.refuse(settings[-1].key, "Group needs User")
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
    for each in settings:
        yield "env_file", data_at(each.value, {"path": resolve(each, context), "format": "raw"})


def _devices(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """With `-` before it, one that this machine may lack."""
    for each in settings:
        text = resolve(each, context)
        optional, device = text.startswith("-"), text.removeprefix("-")
        if not optional or os.path.exists(device.partition(":")[0]):
            yield "devices", text_at(each.value, device)


def _volumes(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        text = resolve(each, context)
        source, colon, rest = text.partition(":")
        if colon and source.endswith(".volume"):
            text = f"{_volume_of_unit(each, source, context)}:{rest}"
        yield "volumes", text_at(each.value, text)


def _volume_of_unit(setting: Setting, name: str, context: Context) -> str:
    """The name of the volume that the unit NAME, beside this one, describes: its VolumeName, else after its own."""
    path = os.path.join(os.path.dirname(context.unit.path), name)
    try:
        with open(path, "rb") as file:
            settings, problems = parse_unit(file.read(1 << 20))
    except OSError as error:
        context.reading.refuse(setting.value, f"cannot read {name}: {(error.strerror or '').lower()}")
        return "unknown"
    for each in settings:
        if each.section == "Volume" and each.key.text != "VolumeName":
            context.reading.refuse(setting.value, f"{name}:{each.key.line}: {each.key.text} is not supported")
    if problems:
        context.reading.refuse(setting.value, f"{name}:{problems[0].line}: {problems[0].message}")
    named = [each.value.text for each in settings if each.key.text == "VolumeName"]
    return named[-1] if named else f"systemd-{name.removesuffix('.volume')}"


def _mounts(settings: list[Setting], context: Context) -> Iterator[Entry]:
    for each in settings:
        yield from _mount(each, resolve(each, context), context)


def _mount(setting: Setting, text: str, context: Context) -> Iterator[Entry]:
    from mydocker.spec.normal import mount_data

    mount = context.reading.attempt(setting.value, lambda: words.mount(text, context.reading.place))
    if mount:
        key, written = mount_data(mount)
        yield key, data_at(setting.value, written)


def _security(option: str) -> Callable[[list[Setting], Context], Iterator[Entry]]:
    """OPTION of security_opt, with the value for `{}`."""

    def read(settings: list[Setting], context: Context) -> Iterator[Entry]:
        if "{}" in option:
            yield "security_opt", text_at(settings[-1].value, option.format(resolve(settings[-1], context)))
        elif boolean(settings[-1], context):
            yield "security_opt", text_at(settings[-1].value, option)

    return read


def _unmask(settings: list[Setting], context: Context) -> Iterator[Entry]:
    if settings[-1].value.text != "ALL":
        context.reading.refuse(settings[-1].value, "Unmask of single paths is not supported: want ALL")
    yield "security_opt", text_at(settings[-1].value, "systempaths=unconfined")


def _auto_update(settings: list[Setting], context: Context) -> Iterator[Entry]:
    yield "labels", text_at(settings[-1].value, f"io.containers.autoupdate={resolve(settings[-1], context)}")


def _read_only_tmpfs(settings: list[Setting], context: Context) -> Iterator[Entry]:
    boolean(settings[-1], context)
    yield from ()


def _read_only(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Podman leaves some places writable, unless told not to, or something else is there."""
    place, given = settings[-1].value, context.given
    if not boolean(settings[-1], context):
        return
    yield "read_only", data_at(place, True)
    if (asked := given.get("ReadOnlyTmpfs")) and not boolean(asked[-1], context):
        return
    taken = "\n".join(each.value.text for key in ("Volume", "Tmpfs", "Mount") for each in given.get(key, ()))
    for path in _WRITABLE:
        if not any(mark in f"{taken}\n" for mark in (f"{path}\n", f"{path}:", f"={path},")):
            yield "tmpfs", text_at(place, path)


def _health(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """A command for the shell, a list of words in JSON, or none (podman-run(1), --health-cmd)."""
    key, text = settings[-1].key.text, resolve(settings[-1], context)
    if key != "HealthCmd":
        member: dict[str, Any] = {_HEALTH[key]: text}
    elif text == "none":
        member = {"disable": True}
    else:
        listed = _json_words(text) if text.startswith("[") else []
        kinds = ("CMD", "CMD-SHELL", "NONE")
        member = {"test": (listed if listed[0] in kinds else ["CMD", *listed]) if listed else text}
    yield "healthcheck", data_at(settings[-1].value, member)


def _podman_args(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Flags of `podman run`, as far as they are flags of ours."""
    from mydocker.spec.argv import parse_flags

    for each in settings:
        given = resolve_words(each, context)
        for field, text in context.reading.attempt(each.value, partial(parse_flags, given)) or ():
            if field.key == "volumes" and "--mount" in field.flags:
                yield from _mount(each, text, context)
            elif field.key == "entrypoint":
                yield "entrypoint", _program(each, text, context)
            elif field.key == "env_file":
                yield "env_file", data_at(each.value, {"path": text, "format": "raw"})
            elif field.key == "namespaces":
                context.reading.refuse(each.value, f"{field.flags[0]} is not a flag of podman run")
            else:
                yield field.key, data_at(each.value, text if field.metavar else _true(text))


def _true(text: str) -> bool:
    return words.boolean(text, words.Place(directory="/", environ={}))


SPECIAL: dict[str, Callable[[list[Setting], Context], Iterator[Entry]]] = {
    "Image": _image,
    "Rootfs": _rootfs,
    "User": _user,
    "Group": _group,
    "Exec": _exec,
    "Entrypoint": _entrypoint,
    "EnvironmentFile": _env_files,
    "AddDevice": _devices,
    "Volume": _volumes,
    "Mount": _mounts,
    "NoNewPrivileges": _security("no-new-privileges"),
    "SeccompProfile": _security("seccomp={}"),
    "SecurityLabelDisable": _security("label=disable"),
    "SecurityLabelLevel": _security("label=level:{}"),
    "SecurityLabelType": _security("label=type:{}"),
    "Unmask": _unmask,
    "AutoUpdate": _auto_update,
    "ReadOnly": _read_only,
    "ReadOnlyTmpfs": _read_only_tmpfs,
    "HealthCmd": _health,
    **dict.fromkeys(_HEALTH, _health),
    "PodmanArgs": _podman_args,
}
