"""`-v [SRC:]DST[:OPTIONS]` and the short entries of `volumes`; and what all notations of a mount have in common.

The runtime checks whether a source exists: a spec may be read on another machine.
"""

from __future__ import annotations

import os

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model import BindMount, Mount, VolumeMount, VolumesFrom

if TYPE_CHECKING:
    from mydocker.specs.values import Scope

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
VOLUME_NAME_LIMIT = 255  # bytes of a directory's name

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
# SELinux relabelling where there is no SELinux, and Docker Desktop's consistency: no effect on Linux in Docker either
_NO_EFFECT = ("z", "Z", "consistent", "cached", "delegated")
_UNSUPPORTED = "U copy exec noexec dev nodev suid nosuid bind rbind upperdir workdir"  # Podman's
_FLAGS = ("ro", "rw", "O", "nocopy")
OTHER_OPTIONS = (*_NO_EFFECT, *_UNSUPPORTED.split(), "O", "idmap")  # than who may write, propagation and copying


def parse_volume(text: str, scope: Scope) -> Mount:
    """The short form. A source that starts with `.`, `/` or `~` is a path, anything else the name of a volume."""
    source, colon, rest = text.partition(":")
    if not colon:
        return VolumeMount(target=clean_target(text))
    if not source:
        raise UsageError("the source of a volume is empty")
    target, _, words_after = rest.partition(":")
    options = words_after.split(",") if words_after else []
    idmap = _idmap(options)
    propagation = _check_options(text, [option for option in options if option.partition("=")[0] != "idmap"])
    read_only, copy_on_write = "ro" in options, "O" in options
    if is_path(source):
        if "nocopy" in options:
            raise UsageError(f"volume {text!r}: option 'nocopy' is for named volumes")
        return BindMount(
            source=values.path(source, scope),
            target=clean_target(target),
            read_only=read_only,
            propagation=propagation or "rprivate",
            copy_on_write=copy_on_write,
            idmap=idmap,
        )
    if propagation:
        raise UsageError(f"volume {text!r}: option {propagation!r} is for a path of the host")
    return VolumeMount(
        volume=volume_name(source),
        target=clean_target(target),
        read_only=read_only,
        copy="nocopy" not in options,
        copy_on_write=copy_on_write,
        idmap=idmap,
    )


def _idmap(options: list[str]) -> str | None:
    """The value of the option `idmap`; None without it."""
    found = [option.partition("=")[2] for option in options if option.partition("=")[0] == "idmap"]
    if not found:
        return None
    from mydocker.specs.values.userns import parse_idmap

    return parse_idmap(found[-1])


def parse_volumes_from(text: str) -> VolumesFrom:
    """`CONTAINER[:ro|rw]`, as for `docker run --volumes-from`; in a file, `container:NAME` or `service:NAME` before
    that."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("container", "service"):
        kind, rest = "container", text
    name, colon, mode = rest.partition(":")
    options = mode.split(",") if colon else []
    if not name or any(option not in ("ro", "rw", *_NO_EFFECT) for option in options):
        raise UsageError(f"volumes from {text!r}: expected CONTAINER, CONTAINER:ro or CONTAINER:rw")
    return VolumesFrom(container=f"{kind}:{name}", read_only="ro" in options)


def is_path(source: str) -> bool:
    return source[:1] in (".", "/", "~")


def clean_target(target: str) -> str:
    """TARGET as Docker cleans it: no `.`, `..` or `/` too many. UsageError if it is not absolute, or the root."""
    if not target.startswith("/"):
        raise UsageError(f"volume target {target!r} is not an absolute path")
    clean = "/" + os.path.normpath(target).lstrip("/")
    if clean == "/":
        raise UsageError("a volume's target cannot be '/'")
    return clean


def volume_name(name: str, *, bind: str = "") -> str:
    """NAME, if Docker accepts it as the name of a volume. BIND is what to write for a directory, if not a path."""
    hint = f"write {bind or f'./{name[:40]}'} for a directory" if name else None
    if len(name) < 2 or len(name) > VOLUME_NAME_LIMIT:
        raise UsageError(f"volume name {name[:40]!r}: expected 2 to {VOLUME_NAME_LIMIT} characters", hint=hint)
    if name[0] not in _ALNUM or not (_ALNUM | set("_.-")).issuperset(name):
        raise UsageError(
            f"volume name {name!r}: expected letters, digits, _ . and -, a letter or digit first", hint=hint
        )
    return name


def source_of_volume(name: str, *, bind: str) -> str:
    """NAME as the source of what is said to be a volume. BIND is what to write there for a directory."""
    if is_path(name):
        raise UsageError(f"{name!r} is no name of a volume", hint=f"write {bind} for a directory")
    return volume_name(name, bind=bind)


def _check_options(text: str, options: list[str]) -> str | None:
    """The propagation among OPTIONS, all of which are known and do not contradict each other."""
    for option in options:
        if option.partition("=")[0] in _UNSUPPORTED.split():
            raise UsageError(f"volume {text!r}: option {option!r} is not supported")
        if option not in (*_FLAGS, *PROPAGATIONS, *_NO_EFFECT):
            raise UsageError(f"volume {text!r}: unknown option {option!r}")
    access = [x for x in options if x in ("ro", "rw", "O")]
    propagation = [x for x in options if x in PROPAGATIONS]
    if len(access) > 1 or len(propagation) > 1 or ("O" in access and propagation):
        raise UsageError(f"volume {text!r}: options contradict each other or are repeated")
    return propagation[0] if propagation else None
