"""The ids of a container's own user namespace by the words of its spec, as podman-run(1) has them."""

from __future__ import annotations

import re

from mydocker import idmap
from mydocker.errors import LaunchError
from mydocker.idmap import Extent, IdMap
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.values.userns import mode_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mydocker.specs.model import ContainerSpec

_WORD = re.compile(r"(?P<flags>[+ug]*)(?P<inside>@?[0-9]+):@?(?P<outside>[0-9]+)(:(?P<count>[0-9]+))?\Z")
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
    return bool(maps_of(spec)) or spec.userns_mode.partition(":")[0] in ("auto", "private", "nomap")


def maps_of(spec: ContainerSpec) -> list[str]:
    """The fields of SPEC that say a map, as a file names them."""
    return [name for name in ("uidmap", "gidmap", "subuidname", "subgidname") if getattr(spec, name)]


def check(spec: ContainerSpec) -> None:
    """Raise LaunchError if the words of SPEC contradict each other."""
    mode, maps = spec.userns_mode.partition(":")[0], maps_of(spec)
    if maps and mode not in ("host", "private"):
        raise LaunchError(f"userns_mode {mode} and {', '.join(maps)} exclude each other", hint="leave one of them out")
    for kind in ("uid", "gid"):
        if getattr(spec, f"{kind}map") and getattr(spec, f"sub{kind}name"):
            raise LaunchError(f"{kind}map and sub{kind}name exclude each other", hint="leave one of them out")
    if mode == "private" and not maps:
        raise LaunchError("userns_mode private takes a map", hint="add uidmap and gidmap, or set auto")


def chosen(spec: ContainerSpec) -> IdMap:
    """The map that SPEC says. Without one for groups, they have that of the users, and the other way round.

    LaunchError if the kernel would refuse it, or if it has no root.
    """
    users, groups = _extents(spec.uidmap, "u"), _extents(spec.gidmap, "g")
    users += _extents([word for word in spec.gidmap if "u" in _flags(word)], "u")
    groups += _extents([word for word in spec.uidmap if "g" in _flags(word)], "g")
    users += _granted(spec.subuidname or (spec.subgidname if not users else None), "/etc/subuid")
    groups += _granted(spec.subgidname or (spec.subuidname if not groups else None), "/etc/subgid")
    ids = IdMap(users=users or groups, groups=groups or users)
    for kind, extents in (("user", ids.users), ("group", ids.groups)):
        _check(kind, extents)
    return ids


def automatic(spec: ContainerSpec, size: int) -> AutoRange:
    """What SPEC asks for, whose image takes SIZE ids. LaunchError for a map that the kernel would refuse."""
    options = mode_options(spec.userns_mode)
    found = {"uidmapping": list[str](), "gidmapping": list[str]()}
    size = next((int(value) for name, value in options if name == "size" and int(value)), size)
    for name, value in options:
        if name in found:
            found[name].append(value)
    users, groups = _extents(found["uidmapping"], "u"), _extents(found["gidmapping"], "g")
    asked = AutoRange(size=size, users=users, groups=groups)
    trial = asked.ids(_LAST - size, _LAST - size)
    for kind, extents in (("user", trial.users), ("group", trial.groups)):
        _check(kind, extents)
    return asked


def _extents(words: Iterable[str], kind: str) -> tuple[Extent, ...]:
    """What WORDS map, those that are for the other KIND alone left out."""
    found = []
    for word in words:
        match = _WORD.match(word)
        if not match or match["inside"].startswith("@"):
            raise LaunchError(f"id mapping {word!r} is not supported", hint="write CONTAINER:HOST:COUNT")
        if "+" in match["flags"]:
            hint = "it changes the map that an ordinary user's containers have; root's have none: write all of it"
            raise LaunchError(f"id mapping {word!r}: '+' is not for root", hint=hint)
        if {*match["flags"]} & {"u", "g"} and kind not in match["flags"]:
            continue
        count = int(match["count"] or 1)
        if count:
            found.append(Extent(inside=int(match["inside"]), outside=int(match["outside"]), count=count))
    return tuple(found)


def _flags(word: str) -> str:
    match = _WORD.match(word)
    return match["flags"] if match else ""


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


def _check(kind: str, extents: tuple[Extent, ...]) -> None:
    """Raise LaunchError for what the kernel answers with EINVAL alone (user_namespaces(7))."""
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
