"""`--mount KEY=VALUE,…`: docker run's long notation of a mount, by the rules of docker/cli, opts/mount.go."""

from __future__ import annotations

from mydocker.errors import UsageError
from mydocker.record import TYPE_CHECKING
from mydocker.specs import values
from mydocker.specs.model import BindMount, Mount, TmpfsMount, VolumeMount
from mydocker.specs.mounts.tmpfs import parse_mode
from mydocker.specs.mounts.volume import PROPAGATIONS, clean_target, source_of_volume
from mydocker.specs.values.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.specs.values import Scope

TYPES = ("bind", "volume", "tmpfs")
_SYNONYMS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_SYNONYMS |= {"u": "chown", "nocopy": "volume-nocopy", "subpath": "volume-subpath"}  # Podman's
_SYNONYMS |= {"size": "tmpfs-size", "mode": "tmpfs-mode"}
_SWITCHES = ("readonly", "rw", "chown", "volume-nocopy", "bind-nonrecursive")  # their name alone is true
_COMMON = ("type", "source", "target", "readonly", "rw", "chown", "relabel", "consistency", "idmap")
_UNSUPPORTED = ("no-dereference", "notmpcopyup", "tmpcopyup", "volume-label")
_RELABEL = ("shared", "private")  # z and Z of the short form: no effect where there is no SELinux
_OWN = {
    "bind": ("bind-propagation", "bind-nonrecursive", "bind-recursive"),
    "volume": ("volume-nocopy", "volume-subpath", "volume-driver", "volume-opt"),
    "tmpfs": ("tmpfs-size", "tmpfs-mode"),
}


def parse_mount(text: str, scope: Scope) -> Mount:
    """One mount. Without a type it is a volume, as for Docker."""
    settings = _pairs(text)
    kind = settings.get("type", "volume").lower()
    if kind not in TYPES:
        raise UsageError(f"mount type {kind!r}: expected {', '.join(TYPES)}")
    for key in settings:
        owner = next((name for name, keys in _OWN.items() if key in keys), kind)
        if owner != kind:
            raise UsageError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    if "target" not in settings:
        raise UsageError("target is required")
    target, read_only = clean_target(settings["target"]), _is_read_only(settings)
    if settings.get("chown") == "true":
        raise UsageError("chown is not supported: it would change the owners of the host's files")
    if kind == "bind":
        return _bind(settings, scope, target=target, read_only=read_only)
    if "volume-opt" in settings:
        return _of_driver(text, settings, scope, target=target, read_only=read_only)
    if kind == "volume":
        return _volume(settings, target=target, read_only=read_only)
    if "source" in settings:
        raise UsageError("a mount of type 'tmpfs' has no source")
    return TmpfsMount(
        target=target,
        read_only=read_only,
        size=parse_size(settings["tmpfs-size"]) if "tmpfs-size" in settings else None,
        mode=parse_mode(settings["tmpfs-mode"]) if "tmpfs-mode" in settings else None,
    )


def replace_source(text: str, name: Callable[[str], str]) -> str:
    """TEXT, the notation of a mount, with its source replaced by what NAME returns."""
    import csv
    import io

    fields = []
    for field in _fields(text):
        key, equals, value = field.partition("=")
        is_source = equals and _SYNONYMS.get(key.lower(), key.lower()) == "source"
        fields.append(f"{key}={name(value)}" if is_source else field)
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(fields)
    return written.getvalue()


def _is_read_only(settings: dict[str, str]) -> bool:
    """The value of `readonly`, or of Podman's `rw`."""
    if "rw" in settings and settings["rw"] == settings.get("readonly"):
        raise UsageError("rw and readonly contradict each other")
    return settings.get("readonly") == "true" or settings.get("rw") == "false"


def _pairs(text: str) -> dict[str, str]:
    """The words of TEXT by their full names."""
    settings: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        key = _SYNONYMS.get(key.lower(), key.lower())
        if key in _UNSUPPORTED:
            raise UsageError(f"{key} is not supported")
        if key not in (*_COMMON, *(name for names in _OWN.values() for name in names)):
            raise UsageError(f"unexpected key {key!r} in {field!r}")
        if key in _SWITCHES:
            value = _switch(key, value if equals else "true")
        elif key == "idmap":
            pass  # without a value, the container's own
        elif not equals or not value:
            raise UsageError(f"invalid field {field!r}: expected KEY=VALUE")
        if key == "relabel" and value not in _RELABEL:
            raise UsageError(f"relabel {value!r}: expected {' or '.join(_RELABEL)}")
        settings[key] = value
    return settings


def _fields(text: str) -> list[str]:
    """The words of TEXT. A word in double quotes may hold commas (CSV, RFC 4180)."""
    import csv

    try:
        [fields] = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise UsageError(f"expected one line of KEY=VALUE, joined by commas, not {text!r}") from None
    return fields


def _switch(key: str, value: str) -> str:
    try:
        return "true" if values.boolean(value, values.Scope(directory="/", environ={})) else "false"
    except UsageError:
        raise UsageError(f"invalid value for {key}: {value}") from None


def _bind(settings: dict[str, str], scope: Scope, *, target: str, read_only: bool) -> BindMount:
    if "source" not in settings:
        raise UsageError("source is required")
    propagation = settings.get("bind-propagation", "rprivate")
    if propagation not in PROPAGATIONS:
        raise UsageError(f"bind-propagation {propagation!r}: expected {', '.join(PROPAGATIONS)}")
    recursive = settings.get("bind-recursive", "enabled")
    if recursive not in ("enabled", "disabled", "readonly"):
        raise UsageError(f"bind-recursive {recursive!r}: expected enabled, disabled or readonly")
    if recursive == "readonly" and not read_only:
        raise UsageError("bind-recursive 'readonly' needs readonly")
    return BindMount(
        source=values.path(settings["source"], scope),
        target=target,
        read_only=read_only,
        propagation=propagation,
        recursive=recursive != "disabled" and settings.get("bind-nonrecursive") != "true",
        idmap=_idmap(settings),
    )


def _volume(settings: dict[str, str], *, target: str, read_only: bool) -> VolumeMount:
    if settings.get("volume-driver", "local") != "local":
        raise UsageError(f"volume-driver {settings['volume-driver']!r}: there is only 'local'")
    name = settings.get("source")
    return VolumeMount(
        volume=source_of_volume(name, bind="type=bind") if name else None,
        target=target,
        read_only=read_only,
        copy=settings.get("volume-nocopy") != "true",
        subpath=parse_subpath(settings.get("volume-subpath", ""), name),
        idmap=_idmap(settings),
    )


def _of_driver(text: str, settings: dict[str, str], scope: Scope, *, target: str, read_only: bool) -> Mount:
    """What the options `volume-opt=KEY=VALUE` of the mount TEXT describe. As in a Compose file, each container mounts
    that by itself, and the volume's name is of no effect."""
    from mydocker.specs.mounts.driver_options import driver_mount

    if settings.get("volume-driver", "local") != "local":
        raise UsageError(f"volume-driver {settings['volume-driver']!r}: there is only 'local'")
    if "volume-subpath" in settings:
        raise UsageError("a subpath is for a volume without volume-opt")
    options = dict[str, str]()
    for field in _fields(text):
        key, _, value = field.partition("=")
        if key.lower() == "volume-opt":
            name, equals, word = value.partition("=")
            if not equals:
                raise UsageError(f"invalid field {field!r}: expected volume-opt=KEY=VALUE")
            options[name] = word
    return driver_mount(options, target=target, read_only=read_only, scope=scope)


def _idmap(settings: dict[str, str]) -> str | None:
    if "idmap" not in settings:
        return None
    from mydocker.specs.values.userns import parse_idmap

    return parse_idmap(settings["idmap"])


def parse_subpath(path: str, volume: str | None) -> str:
    """PATH relative to the top of VOLUME."""
    if path and not volume:
        raise UsageError("a subpath is for a named volume")
    if path.startswith("/") or ".." in path.split("/"):
        raise UsageError(f"subpath {path!r}: expected a relative path without '..'")
    return path.strip("/")
