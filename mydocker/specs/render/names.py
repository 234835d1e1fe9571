"""The names that containers have in a file of another format: a service's in a Compose file, a unit's of systemd.

Both take letters, digits, `.`, `_` and `-`, and no name twice. Names of services stay; a name of mydocker's own form is
any line of text, several containers may have it, or they have none.
"""

from __future__ import annotations

import os
import re
from collections import Counter

from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.model.dependencies import links

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mydocker.specs.model.case import CaseSpec

_LIMIT = 63  # of a name that is made here: that of a part of a name in DNS
# RestrictedNamePattern of Docker; Podman takes one letter, too
CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OTHERS = re.compile(r"[^a-zA-Z0-9._-]+")


class Named(Record):
    """A case and its `name` in the file. `names`: those of the containers that it depends on, by what the case calls
    them."""

    name: str
    case: CaseSpec
    names: Mapping[str, str]

    def mode(self, text: str) -> str:
        """TEXT, a mode of a namespace, with the name in the file in place of that after `service:`."""
        kind, colon, other = text.partition(":")
        return f"{kind}:{self.names.get(other, other)}" if colon and kind == "service" else text

    @property
    def container_name(self) -> str:
        """The name that its file sets for the container, if Docker and Podman take it; else empty."""
        own = (self.case.service.container_name if self.case.service else None) or ""
        return own if CONTAINER_NAME.fullmatch(own) else ""

    @property
    def is_renamed(self) -> bool:
        return bool(self.case.name) and self.case.name != self.name and not self.case.matrix


def named(cases: Sequence[CaseSpec]) -> list[Named]:
    """CASES with their names, all different."""
    made = Names(case.service.name for case in cases if case.service)
    count = Counter(case.name for case in cases)
    names: list[str] = []
    seen: set[str] = set()
    for case in cases:
        own = case.service.name if case.service else ""
        is_usable = own and not _OTHERS.search(own) and own not in seen
        name = own if is_usable else made.free(_wanted(case, is_alone=count[case.name] == 1))
        names.append(name)
        seen.add(name)
    return [
        Named(name=name, case=case, names={link.dependency.name: names[link.on] for link in own})
        for name, case, own in zip(names, cases, links(cases), strict=True)
    ]


def _wanted(case: CaseSpec, *, is_alone: bool) -> str:
    """The name of CASE, else that of its file; with the values of its matrix where others have the same."""
    stem = os.path.basename(case.origin.file).partition(".")[0]
    return "-".join([case.name or stem, *(() if is_alone else case.matrix.values())])


def _clean(text: str) -> str:
    """TEXT as a name."""
    return _OTHERS.sub("-", text).strip("-._")[:_LIMIT].rstrip("-._") or "container"


class Names:
    """Names that are TAKEN, and those that are made, in a time that does not depend on how many these are."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*taken}
        self._numbers: dict[str, int] = {}  # the last one after a name

    def free(self, text: str) -> str:
        """A name like TEXT that is not taken; it is from now on."""
        first = name = _clean(text)
        while name in self.taken:
            self._numbers[first] = self._numbers.get(first, 1) + 1
            name = f"{first}-{self._numbers[first]}"
        self.taken.add(name)
        return name
