"""Volumes of Compose files: those at the top of the file, and the mounts of a service.

A volume is stored under the name of the project and its own. One whose `driver_opts` say what to mount (Docker's driver
`local`: type, o and device, as in mount(8)) is a mount of that, wherever a service uses it.
"""

from __future__ import annotations

from functools import partial

from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.compose.nodes import key_at, members_of
from mydocker.specs.mounts.volume import OTHER_OPTIONS, PROPAGATIONS, is_path, parse_volume
from mydocker.specs.nodes.node import Mapping, Node, Scalar, Sequence, is_null, list_at, mapping_at, text_at
from mydocker.specs.nodes.reader import switch

if TYPE_CHECKING:
    from mydocker.specs.nodes.reader import Reader

_KEYS = ("name", "external", "driver", "driver_opts", "labels")


class DeclaredVolume(Record):
    """A volume at the top of the file: the name that it is stored under, and members of the long form for each mount of
    it: the options of its driver, and whether it is external."""

    name: str
    members: tuple[tuple[str, Node], ...] = ()


_UNKNOWN = DeclaredVolume(name="unknown")  # of which it has been said what is wrong


def declared_volume(key: Scalar, node: Node, project: str, reader: Reader) -> DeclaredVolume | None:
    """The volume KEY; None if it could not be read."""
    own = DeclaredVolume(name=f"{project}_{key.text}")
    if is_null(node):
        return own
    if not isinstance(node, Mapping):
        reader.refuse(node, "expected a mapping")
        return None
    before = len(reader.problems)
    members = members_of(node, _KEYS, reader)
    external, stored = _external(members.get("external"), reader)
    for name in ("driver", "driver_opts", "labels"):
        if external and name in members:
            reader.refuse(members[name], f"{name} is for a volume of the project, and this one is external")
    if "driver" in members and (driver := reader.text(members["driver"])) not in ("", "local"):
        reader.refuse(members["driver"], f"volume driver {driver!r} is not supported: expected local")
    if "labels" in members:
        reader.warn(members["labels"], "labels of volumes are not kept")
    if "name" in members:
        stored = reader.text(members["name"])
    options = members.get("driver_opts")
    if options is not None and not isinstance(options, Mapping):
        reader.refuse(options, "expected a mapping")
    if reader.passes_over("volumes", before):
        return own
    if len(reader.problems) > before:
        return None
    name = stored or (key.text if external else own.name)
    found: list[tuple[str, Node]] = [("external", text_at(members["external"], "true"))] if external else []
    if isinstance(options, Mapping) and options.entries:
        found.append(("driver_opts", options))
    return DeclaredVolume(name=name, members=tuple(found))


def _external(node: Node | None, reader: Reader) -> tuple[bool, str]:
    """Whether a volume is not the project's; and its name, in the older form {name: NAME}."""
    if node is None:
        return False, ""
    if isinstance(node, Mapping):
        members = members_of(node, ("name",), reader)
        return True, reader.text(members["name"]) if "name" in members else ""
    return bool(reader.value(node, switch)), ""


def mounts(node: Node, volumes: dict[str, DeclaredVolume | None], reader: Reader) -> Node:
    """The value of a service's `volumes`, each with the stored name of the volume of VOLUMES that it names."""
    if not isinstance(node, Sequence):
        return node
    return list_at(node, [_mount(item, volumes, reader) for item in node.items])


def _mount(item: Node, volumes: dict[str, DeclaredVolume | None], reader: Reader) -> Node:
    if isinstance(item, Mapping):
        members = {key.text: value for key, value in item.entries}
        kind, source = members.get("type"), members.get("source")
        if not isinstance(kind, Scalar) or kind.text != "volume" or not isinstance(source, Scalar):
            return item
        before = len(reader.problems)
        name = reader.text(source)
        is_read = len(reader.problems) == before
        volume = _named(source, name, volumes, reader, "type: bind") if is_read else _UNKNOWN
        entries = tuple(
            (key, text_at(source, volume.name) if value is source else value)
            for key, value in item.entries
            if volume.name or value is not source  # an empty one, as of a variable that is not set, is no name
        )
        return _with_members(item.replace(entries=entries), volume)
    if not isinstance(item, Scalar) or item.is_null:
        return item
    before = len(reader.problems)
    text = reader.text(item)
    name, colon, rest = text.partition(":")
    if len(reader.problems) > before:
        return text_at(item, "/unknown")  # one mistake is enough
    if not colon:
        return text_at(item, text)
    if is_path(name):
        return text_at(item, f"{name}:{_with_effect(item, rest, reader, is_bound=True)}")
    volume = _named(item, name, volumes, reader, "./ before it")
    if len(reader.problems) > before:
        return text_at(item, "/unknown")
    rest = _with_effect(item, rest, reader, is_bound=False)
    short = f"{volume.name}:{rest}"
    mount = reader.attempt(item, partial(parse_volume, short, reader.scope)) if volume.members else None
    if mount is None:
        return text_at(item, short)
    if mount.copy_on_write:
        reader.refuse(item, f"option 'O' is not for {name!r}, which is external or has driver_opts")
    return _with_members(_long(item, rest, volume.name), volume)


def _with_effect(item: Node, rest: str, reader: Reader, *, is_bound: bool) -> str:
    """REST of a short entry, its target and options, without what Compose passes over: options that it does not know,
    and those for the other kind of source; of several for the same thing, the last counts. Each is a warning."""
    target, _, words = rest.partition(":")
    if ":" in words:
        return rest
    kept: dict[str, str] = {}  # option by what it is about
    for option in words.split(",") if words else ():
        about = _about(option)
        if about == ("copying" if is_bound else "propagation"):
            source = "a volume with a name" if is_bound else "a path of the host"
            reader.warn(item, f"option {option!r} is for {source}, and has no effect")
        elif about is None:
            writable = "" if "ro" in words.split(",") else ": what it mounts is writable"
            reader.warn(item, f"unknown option {option!r} has no effect{writable}")
        else:
            kept[about] = option
    return f"{target}:{','.join(kept.values())}" if kept else target


def _about(option: str) -> str | None:
    """What OPTION is about; None if it is unknown. What is known and refused stays, and is about itself."""
    if option in ("ro", "rw"):
        return "access"
    if option == "nocopy":
        return "copying"
    if option in PROPAGATIONS:
        return "propagation"
    return option if option.partition("=")[0] in OTHER_OPTIONS else None


def _long(item: Node, rest: str, name: str) -> Mapping:
    """The long form of a short one, whose target and options are REST."""
    target, _, options = rest.partition(":")
    words = options.split(",")
    members: dict[str, Node] = {
        "type": text_at(item, "volume"),
        "source": text_at(item, name),
        "target": text_at(item, target),
        "read_only": text_at(item, "true" if "ro" in words else "false"),
    }
    if "nocopy" in words:
        members["volume"] = mapping_at(item, {"nocopy": text_at(item, "true")})
    return mapping_at(item, members)


def _with_members(item: Mapping, volume: DeclaredVolume) -> Mapping:
    if not volume.members:
        return item
    found = item.get("volume")
    inner = found.entries if isinstance(found, Mapping) else ()
    added = tuple((key_at(item, name), node) for name, node in volume.members)
    own = Mapping(**item.position, entries=(*inner, *added))
    others = tuple(entry for entry in item.entries if entry[0].text != "volume")
    return item.replace(entries=(*others, (key_at(item, "volume"), own)))


def _named(
    node: Node, name: str, volumes: dict[str, DeclaredVolume | None], reader: Reader, bind: str
) -> DeclaredVolume:
    """The volume NAME; BIND is what to write at NODE for a directory."""
    if not name or is_path(name):  # which is no name of a volume, as is said of the mount itself
        return DeclaredVolume(name=name)
    if name in volumes:
        return volumes[name] or _UNKNOWN
    more = did_you_mean(name, volumes) or f", or {bind} for a directory"
    reader.refuse(node, f"volume {name!r} is not declared under volumes at the top of the file{more}")
    return _UNKNOWN
