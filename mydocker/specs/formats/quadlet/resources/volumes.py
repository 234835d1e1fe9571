"""Volumes of Quadlet files: `Volume=` and `Mount=`, whose source may be a unit `NAME.volume`.

See podman-systemd.unit(5), "Volume=", "Mount=" and "Volume units [Volume]". A volume is a directory that mydocker
keeps; one that has a `Device` is what mount(8) would make of it: that directory (Type=bind or Options=bind), or memory
(Type=tmpfs).
"""

from __future__ import annotations

import os
from functools import partial

from mydocker.errors import UsageError
from mydocker.number import whole_number
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.quadlet.context import (
    Context,
    boolean,
    default_name,
    described,
    refuse_keys,
    resolve,
    resolve_words,
)
from mydocker.specs.formats.quadlet.unit_files import VOLUME, last, stem
from mydocker.specs.nodes.from_python import data_at
from mydocker.specs.nodes.node import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.formats.quadlet.entries import Entry
    from mydocker.specs.nodes.unit_file import Setting

_ACCEPTED = ("Copy", "Device", "Driver", "Group", "Image", "Label", "Options", "Type", "User", "VolumeName")
_REFUSED = ("GID", "UID")
_ID_LIMIT = 2**32 - 2
_ROOT = ("0", "root")
_NO_EFFECT = ("defaults", "rw", "nodev", "nosuid", "nouuid")  # of mount(8); volumes are mounted nodev and nosuid


class VolumeUnit(Record):
    """What a unit of a volume is: the volume `name`, or the host's directory `device`, or with `memory` a file system
    in memory, or the file system of type `fstype` of that device, which has these `options`. `copy`: whether the
    image's files are copied into it."""

    name: str
    device: str = ""
    memory: bool = False
    fstype: str = ""
    options: tuple[str, ...] = ()
    copy: bool = True


def volumes(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Entries for each setting `Volume`."""
    for each in settings:
        text = resolve(each, context)
        source, colon, rest = text.partition(":")
        if colon and source.endswith(VOLUME) and not source.startswith("/"):
            yield from _of_unit(each, source, rest, context)
        elif colon and source.endswith((".image", ".build", ".artifact")):
            context.reader.refuse(each.value, f"{source}: the files of an image cannot be mounted")
        else:
            yield "volumes", text_at(each.value, text)


def _of_unit(setting: Setting, name: str, rest: str, context: Context) -> Iterator[Entry]:
    unit = unit_of_volume(setting, name, context)
    target, colon, written = rest.partition(":")
    options = [*(written.split(",") if colon else []), *unit.options]
    if unit.memory:
        yield "tmpfs", text_at(setting.value, ":".join(filter(None, (target, ",".join(options)))))
        return
    if unit.fstype:
        yield "volumes", data_at(setting.value, _filesystem(unit, target, written.split(",")))
        return
    if not unit.copy and not unit.device:
        options.append("nocopy")
    text = ":".join(filter(None, (unit.device or unit.name, target, ",".join(dict.fromkeys(options)))))
    yield "volumes", text_at(setting.value, text)


def _filesystem(unit: VolumeUnit, target: str, words: list[str]) -> dict[str, object]:
    driver = {"type": unit.fstype, "device": unit.device, "o": ",".join(unit.options)}
    found: dict[str, object] = {
        "type": "volume",
        "source": unit.name,
        "target": target,
        "volume": {"driver_opts": driver},
    }
    return {**found, "read_only": True} if "ro" in words else found


def mounts(settings: list[Setting], context: Context) -> Iterator[Entry]:
    """Entries for each setting `Mount`."""
    for each in settings:
        for word in resolve_words(each, context):
            yield from mount(each, word, context)


def mount(setting: Setting, text: str, context: Context) -> Iterator[Entry]:
    """A mount in words; a source may be a unit, as in Volume."""
    from mydocker.specs.mounts.mount import parse_mount, replace_source
    from mydocker.specs.render.normal_form import mount_data

    def named(source: str) -> str:
        if not source.endswith(VOLUME) or source.startswith("/"):
            return source
        unit = unit_of_volume(setting, source, context)
        if unit.memory or unit.device:
            context.reader.refuse(setting.value, f"{source} has a device: expected Volume={source}:TARGET")
        return unit.name

    before = len(context.reader.problems)
    text = context.reader.attempt(setting.value, lambda: replace_source(text, named)) or text
    if len(context.reader.problems) > before:
        return
    found = context.reader.attempt(setting.value, lambda: parse_mount(text, context.reader.scope))
    if found:
        key, written = mount_data(found)
        yield key, data_at(setting.value, written)


def unit_of_volume(setting: Setting, name: str, context: Context) -> VolumeUnit:
    """The volume that the unit NAME, which SETTING refers to, describes."""
    return described(setting, name, context, read_volume) or VolumeUnit(name=f"systemd-{stem(name)}")


def read_volume(context: Context) -> VolumeUnit:
    """The volume that the unit of CONTEXT describes."""
    refuse_keys(context, accepted=_ACCEPTED, refused=_REFUSED)
    settings, refuse = context.settings, context.reader.refuse
    driver, kind, device = last(settings, "Driver"), last(settings, "Type"), last(settings, "Device")
    if driver not in ("", "local"):
        refuse(settings["Driver"][-1].value, f"volume driver {driver!r} is not supported: expected local")
    if (image := last(settings, "Image")) and not driver:
        refuse(settings["Image"][-1].key, f"Image={image} needs Driver=image, which is not supported")
    for key in ("User", "Group"):
        owner = last(settings, key)
        if owner and owner not in _ROOT and not (_is_memory(kind) or _is_filesystem(kind, device)):
            refuse(settings[key][-1].key, f"{key}={owner} is not supported: a volume has the owner that its image says")
    copies = boolean(settings["Copy"][-1], context) if settings.get("Copy") else True
    name = last(settings, "VolumeName") or default_name(context)
    unit = VolumeUnit(name=name, copy=copies)
    return _with_device(unit, kind, device, context) if device or kind else unit


def _is_filesystem(kind: str, device: str) -> bool:
    """Whether it is a file system that is mounted from a device, such as a disk or a server."""
    return bool(device) and kind not in ("", "none", "bind") and not _is_memory(kind)


def _is_memory(kind: str) -> bool:
    return kind in ("tmpfs", "ramfs")


def _with_device(unit: VolumeUnit, kind: str, device: str, context: Context) -> VolumeUnit:
    settings = context.settings
    words = resolve(settings["Options"][-1], context).split(",") if settings.get("Options") else []
    options = [word for word in words if word and word not in (*_NO_EFFECT, "bind", "rbind")]
    if _is_memory(kind) or _is_filesystem(kind, device):
        options += _owner(context)
        if _is_memory(kind):
            return unit.replace(memory=True, options=tuple(options))
        device = resolve(settings["Device"][-1], context)
        return unit.replace(device=device, fstype=kind, options=tuple(options))
    if kind not in ("", "none", "bind") or not (kind == "bind" or {"bind", "rbind"} & {*words}):
        at = (settings.get("Type") or settings["Device"])[-1]
        shown = f"Type={kind} needs a Device" if kind else f"Device={device} needs a Type, such as bind"
        context.reader.refuse(at.key, shown)
        return unit
    path = resolve(settings["Device"][-1], context) if device else ""
    if not path.startswith("/"):
        path = os.path.normpath(os.path.join(context.directory, path))
    return unit.replace(device=path, options=tuple(options))


def _owner(context: Context) -> list[str]:
    """User and Group as the options that mount(8) has for most file systems."""
    found = []
    for key, name in (("User", "uid"), ("Group", "gid")):
        if setting := context.settings.get(key):
            number = context.reader.attempt(setting[-1].value, partial(_number, key, resolve(setting[-1], context)))
            found.append(f"{name}={number}")
    return found


def _number(kind: str, text: str) -> str:
    """The number of a user or a group of this machine, KIND, which TEXT may be as well. Raises UsageError."""
    import grp
    import pwd

    try:
        if whole_number(text, _ID_LIMIT) is not None:
            return text
        return str(pwd.getpwnam(text).pw_uid if kind == "User" else grp.getgrnam(text).gr_gid)
    except KeyError:
        raise UsageError(f"this machine has no {kind.lower()} {text!r}") from None
