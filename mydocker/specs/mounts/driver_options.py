"""`driver_opts` of a volume: what Docker's driver `local` mounts, in the words of mount(8): type, o and device."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs.model import BindMount, FilesystemMount
from mydocker.specs.mounts.tmpfs import parse_tmpfs
from mydocker.specs.mounts.volume import clean_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model import Mount
    from mydocker.specs.values import Scope

KEYS = ("type", "o", "device")
_BIND = ("bind", "rbind")
_NO_EFFECT = ("rw", "defaults", "private", "rprivate", "exec", "suid", "dev", "atime", "relatime", "")


def driver_mount(options: Mapping[str, str], *, target: str, read_only: bool, scope: Scope) -> Mount:
    """The mount that OPTIONS describe at TARGET. Raises UsageError."""
    for key in options:
        if key not in KEYS:
            raise UsageError(f"driver_opts {key!r} is not supported: expected {', '.join(KEYS)}")
    kind, device = options.get("type", ""), options.get("device", "")
    words = options.get("o", "").split(",")
    read_only = read_only or "ro" in words
    if set(words) & {*_BIND}:
        return _bind(device, words, target=target, read_only=read_only)
    if not kind:
        raise UsageError("driver_opts need a type, such as nfs, or o: bind")
    if kind == "tmpfs":
        given = [word for word in words if word not in ("", "defaults", "ro")]
        return parse_tmpfs(f"{target}:{','.join(['exec', 'suid', *given])}", scope).replace(read_only=read_only)
    if not device:
        raise UsageError(f"driver_opts of type {kind!r} need a device")
    found = tuple(word for word in words if word not in ("", "defaults", "ro", "rw"))
    return FilesystemMount(target=clean_target(target), read_only=read_only, fstype=kind, device=device, options=found)


def _bind(device: str, words: list[str], *, target: str, read_only: bool) -> BindMount:
    if not device.startswith("/"):
        raise UsageError(f"device {device!r} is not an absolute path", hint="${PWD} is the current directory")
    for word in words:
        if word not in (*_BIND, *_NO_EFFECT, "ro"):
            raise UsageError(f"option {word!r} of a bind is not supported")
    return BindMount(target=clean_target(target), read_only=read_only, source=device, recursive="rbind" in words)
