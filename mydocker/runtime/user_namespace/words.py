"""The ids of a container's own user namespace by the words of its spec, as podman-run(1) has them."""

from __future__ import annotations

import re

from mydocker import idmap
from mydocker.errors import LaunchError
from mydocker.idmap import Extent, IdMap
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.users import MORE_IDS
from mydocker.specs.values.userns import mode_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.specs.model import ContainerSpec

_WORD = re.compile(r"(?P<flags>[+ug]*)(?P<inside>[0-9]+):(?P<at>@?)(?P<outside>[0-9]+)(:(?P<count>[0-9]+))?\Z")
_LAST = 2**32 - 2  # the largest id of the kernel
_ROOT = "a container begins as its root: map 0, such as 0:100000:65536"


class AutoRange(Record):
    """What `--userns auto` asks for: SIZE ids that no other container has, and besides these USERS and GROUPS."""

    size: int
    users: tuple[Extent, ...] = ()
    groups: tuple[Extent, ...] = ()

    def ids(self, first_user: int, first_group: int) -> IdMap:
        """The map with the ranges from FIRST_USER and FIRST_GROUP on."""
        users, groups = _filled(self.size, first_user, self.users), _filled(self.size, first_group, self.groups)
        return IdMap(users=users, groups=groups)


def wants_own(spec: ContainerSpec) -> bool:
    """Whether SPEC has words that only a user namespace of its own can do justice to."""
    return bool(spec.id_maps) or spec.userns_mode.partition(":")[0] in ("auto", "private", "nomap")


def check(spec: ContainerSpec) -> None:
    """Raise LaunchError if the words of SPEC contradict each other."""
    mode, maps = spec.userns_mode.partition(":")[0], spec.id_maps
    if maps and mode not in ("host", "private"):
        raise LaunchError(f"userns_mode {mode} and {', '.join(maps)} exclude each other", hint="leave one of them out")
    for kind in ("uid", "gid"):
        if getattr(spec, f"{kind}map") and getattr(spec, f"sub{kind}name"):
            raise LaunchError(f"{kind}map and sub{kind}name exclude each other", hint="leave one of them out")
    if mode == "private" and not maps:
        raise LaunchError("userns_mode private takes a map", hint="add uidmap and gidmap, or set auto")


def chosen(spec: ContainerSpec) -> IdMap:
    """The map that SPEC says, for root. Without one for groups, they have that of the users, and the other way round.

    LaunchError if the kernel would refuse it, or if it has no root.
    """
    found = {}
    for kind, name, path in (("u", spec.subuidname, "/etc/subuid"), ("g", spec.subgidname, "/etc/subgid")):
        mappings = _mappings(spec, kind)
        if any(each.extends for each in mappings):
            hint = "it changes the map that an ordinary user's containers have; root's have none: write all of it"
            raise LaunchError("an id mapping with '+' is not for root", hint=hint)
        name = name or (None if mappings else spec.subuidname or spec.subgidname)
        found[kind] = (*(each.extent for each in mappings), *_granted(name, path))
    ids = IdMap(users=found["u"] or found["g"], groups=found["g"] or found["u"])
    check_map(ids)
    return ids


def changed(spec: ContainerSpec, own: IdMap) -> IdMap:
    """The map that SPEC says, for an ordinary user whose containers have OWN: of ids that are numbers in that map, or,
    after `@`, of the host. LaunchError as `chosen`, and for ids that the user is not granted."""
    return IdMap(
        users=_changed(_mappings(spec, "u"), own.users, "user"),
        groups=_changed(_mappings(spec, "g"), own.groups, "group"),
    )


class _Mapping(Record):
    extent: Extent
    extends: bool  # whether it changes the map that there is otherwise
    of_host: bool  # whether `outside` is a number of the host


def _changed(mappings: list[_Mapping], own: tuple[Extent, ...], kind: str) -> tuple[Extent, ...]:
    if not mappings:
        return own
    found = [piece for each in mappings for piece in _on_host(each, own, kind)]
    if any(each.extends for each in mappings):
        left = own
        for each in found:
            left = tuple(piece for extent in left for piece in _without(extent, each))
        found += left
    return tuple(sorted(found, key=lambda extent: extent.inside))


def _on_host(mapping: _Mapping, own: tuple[Extent, ...], kind: str) -> list[Extent]:
    """The extents of MAPPING to ids of the host, all of which OWN has."""
    found, extent = list[Extent](), mapping.extent
    done = 0
    while done < extent.count:
        number = extent.outside + done
        side = "outside" if mapping.of_host else "inside"
        outer = next((each for each in own if 0 <= number - getattr(each, side) < each.count), None)
        if outer is None:
            where = "of the host " if mapping.of_host else ""
            raise LaunchError(f"{kind} id {number} {where}is none that this user is granted", hint=MORE_IDS)
        offset = number - getattr(outer, side)
        count = min(extent.count - done, outer.count - offset)
        found.append(Extent(inside=extent.inside + done, outside=outer.outside + offset, count=count))
        done += count
    return found


def _without(extent: Extent, taken: Extent) -> Iterator[Extent]:
    """EXTENT without the ids that TAKEN has on either side."""
    pieces = [(0, extent.count)]
    for side in ("inside", "outside"):
        first = getattr(taken, side) - getattr(extent, side)
        last = first + taken.count
        pieces = [
            part
            for start, end in pieces
            for part in ((start, min(end, max(first, start))), (max(start, min(last, end)), end))
            if part[0] < part[1]
        ]
    for start, end in dict.fromkeys(pieces):
        yield Extent(inside=extent.inside + start, outside=extent.outside + start, count=end - start)


def automatic(spec: ContainerSpec, size: int) -> AutoRange:
    """What SPEC asks for, whose image takes SIZE ids. LaunchError for a map that the kernel would refuse."""
    options = mode_options(spec.userns_mode)
    found = {"uidmapping": list[str](), "gidmapping": list[str]()}
    size = next((int(value) for name, value in options if name == "size" and int(value)), size)
    for name, value in options:
        if name in found:
            found[name].append(value)
    users, groups = (tuple(_mapping(word).extent for word in words) for words in found.values())
    asked = AutoRange(size=size, users=users, groups=groups)
    check_map(asked.ids(_LAST - size, _LAST - size))
    return asked


def _mappings(spec: ContainerSpec, kind: str) -> list[_Mapping]:
    """Those of SPEC for KIND, u or g: its own, and of the others those with that flag; if there are none of its own,
    also those without one."""
    own, others = (spec.uidmap, spec.gidmap) if kind == "u" else (spec.gidmap, spec.uidmap)
    flags = {word: {*word} & {"u", "g"} for word in (*own, *others)}
    words = [word for word in own if not flags[word] or kind in flags[word]]
    words += [word for word in others if kind in flags[word] or not (own or flags[word])]
    return [each for each in map(_mapping, words) if each.extent.count]


def _mapping(word: str) -> _Mapping:
    match = _WORD.match(word)
    if not match:
        raise LaunchError(f"id mapping {word!r} is not supported", hint="write CONTAINER:HOST:COUNT")
    extent = Extent(inside=int(match["inside"]), outside=int(match["outside"]), count=int(match["count"] or 1))
    return _Mapping(extent=extent, extends="+" in match["flags"], of_host=bool(match["at"]))


def _granted(name: str | None, path: str) -> tuple[Extent, ...]:
    """What subuid(5) file PATH grants NAME, one range after the other."""
    if not name:
        return ()
    found, following = list[Extent](), 0
    for first, count in idmap.granted_to(path, name):
        found.append(Extent(inside=following, outside=first, count=count))
        following += count
    if not found:
        raise LaunchError(f"{path} has no ids for {name}", hint=f"add a line to it, such as {name}:100000:65536")
    return tuple(found)


def check_map(ids: IdMap) -> None:
    """Raise LaunchError for what the kernel answers with EINVAL alone (user_namespaces(7)), or what has no root."""
    for kind, extents in (("user", ids.users), ("group", ids.groups)):
        _check(kind, extents)


def _check(kind: str, extents: tuple[Extent, ...]) -> None:
    if len(extents) > idmap.EXTENTS:
        raise LaunchError(f"the map of {kind} ids has {len(extents)} ranges, and {idmap.EXTENTS} are possible")
    for side in ("inside", "outside"):
        ordered = sorted((getattr(each, side), each.count) for each in extents)
        for (first, count), (following, _) in zip(ordered, ordered[1:], strict=False):
            if following < first + count:
                where = {"inside": "of the container", "outside": "of the host"}[side]
                raise LaunchError(f"the map has {kind} id {following} {where} twice", hint="ranges must not overlap")
        if ordered and sum(ordered[-1]) - 1 > _LAST:
            raise LaunchError(f"the map has {kind} ids above {_LAST}")
    if not any(each.inside == 0 for each in extents):
        raise LaunchError(f"the map has no {kind} id 0 of the container", hint=_ROOT)


def _filled(size: int, first: int, chosen: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """CHOSEN, and the ids of the container below SIZE that are not in there, from the host's FIRST on."""
    found, inside = [*chosen], 0
    for start, end in (*_taken(chosen), (size, size)):
        count = min(start, size) - inside
        if count > 0:
            found.append(Extent(inside=inside, outside=first, count=count))
            first += count
        inside = max(inside, end)
    return tuple(sorted(found, key=lambda extent: extent.inside))


def _taken(extents: tuple[Extent, ...]) -> Iterator[tuple[int, int]]:
    yield from sorted((each.inside, each.inside + each.count) for each in extents)
