"""CaseSpecs as one Compose file, with notes on what is lost, which are comments at its top."""

from __future__ import annotations

from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING, Record
from mydocker.specs.formats.compose.networks import DEFAULT
from mydocker.specs.nodes.yaml import write_documents
from mydocker.specs.render.compose.networks import Networks
from mydocker.specs.render.compose.service import service_entry
from mydocker.specs.render.compose.top import KINDS, Top
from mydocker.specs.render.names import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mydocker.specs.model.case import CaseSpec


class ComposeFile(Record):
    """The content of a Compose file. `notes` are (service, what is lost of it); of the file, the service is empty."""

    project: str
    services: Mapping[str, dict[str, Any]]
    top: Mapping[str, Mapping[str, dict[str, Any]]]  # kind -> key -> entry
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """As plain data. The network that Compose makes without being asked is left out."""
        found: dict[str, Any] = {"name": self.project} if self.project else {}
        found["services"] = dict(self.services)
        for kind, entries in self.top.items():
            written = {key: entry for key, entry in entries.items() if entry or (kind, key) != ("networks", DEFAULT)}
            found |= {kind: written} if written else {}
        return found

    @property
    def comments(self) -> list[str]:
        """The notes, a line each."""
        return [f"# {printable(f'{name}: {text}' if name else text)}" for name, text in self.notes]

    def text(self) -> str:
        """The file."""
        return "".join(f"{line}\n" for line in self.comments) + write_documents([self.document])


def compose_file(cases: Sequence[CaseSpec]) -> ComposeFile:
    """The Compose file that has a service for each of CASES."""
    projects = [*dict.fromkeys(case.service.project for case in cases if case.service)]
    top = Top(projects[0] if projects else "")
    networks = Networks(cases, top)
    notes = [("", text) for text in _of_all(cases, projects)]
    services = {}
    for each in named(cases):
        own: list[str] = []
        services[each.name] = service_entry(each, networks, own)
        notes += [(each.name, text) for text in own]
    return ComposeFile(
        project=top.project,
        services=services,
        top={kind: top.entries[kind] for kind in KINDS},
        notes=tuple(notes),
    )


def _of_all(cases: Sequence[CaseSpec], projects: list[str]) -> list[str]:
    """What is lost of CASES together."""
    found = [f"project {name}: a Compose file has one, and this is of {projects[0]}" for name in projects[1:]]
    if len(cases) > 1 and any(case.service is None for case in cases):
        found.append(
            "order: mydocker runs these one after the other, each to its end; Compose starts all at once, in one "
            "network, unless depends_on says otherwise"
        )
    return found
