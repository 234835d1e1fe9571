"""The networks of containers as keys of Compose services, and those at the top of the file.

A service that names none is in the network `default` of its project, and so is a container of mydocker's own form,
which the network `bridge` has otherwise. In each, Compose makes the names of the service known (compose-spec, "Services
top-level elements", networks, and "Networks top-level elements").
"""

from __future__ import annotations

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.networks import DEFAULT
from mydocker.specs.model import BRIDGE, DEFAULT_MODE
from mydocker.specs.model.parts import NetworkDefinition
from mydocker.specs.values.network import format_attachment, format_definition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mydocker.specs.model.case import CaseSpec
    from mydocker.specs.model.parts import NetworkAttachment
    from mydocker.specs.render.compose.top import Top
    from mydocker.specs.render.names import Named
    from mydocker.specs.render.run_options import Notes

_EXTERNAL = NetworkDefinition(external=True)


class Networks:
    """The networks of CASES: how each is made, by its stored name, and which of them is the project's own."""

    def __init__(self, cases: Sequence[CaseSpec], top: Top) -> None:
        self.top = top
        self.definitions: dict[str, NetworkDefinition] = {}
        self.own = f"{top.project}_{DEFAULT}" if top.project else ""
        for case in cases:
            for each in case.container.networks:
                found = self.definitions.get(each.name, _EXTERNAL)
                self.definitions[each.name] = (each.definition or _EXTERNAL) if found.external else found
        shared = [case.container.networks[0].name for case in cases if _is_in_default(case)]
        self.own = next(iter(shared), self.own)

    def entries(self, container: Named, notes: Notes) -> dict[str, Any]:
        """The keys of the service CONTAINER about its networks."""
        spec = container.case.container
        mode = spec.network_mode
        if mode == BRIDGE:
            return _on_bridge(spec.networks, notes)
        if mode not in (DEFAULT_MODE, "networks"):
            return {"network_mode": container.mode(mode)}
        found = {self._key(each): self._entry(each, container) for each in spec.networks if each.name != BRIDGE}
        if not found:
            self._use_default()
        if found in ({}, {DEFAULT: {}}):
            return {}
        return {"networks": {key: entry or None for key, entry in found.items()} if any(found.values()) else [*found]}

    def _entry(self, attachment: NetworkAttachment, container: Named) -> dict[str, Any]:
        entry = format_attachment(attachment.replace(definition=None))
        known = (container.name, container.container_name)
        aliases = [name for name in entry.pop("aliases", ()) if name not in known]
        return {**({"aliases": aliases} if aliases else {}), **entry}

    def _key(self, attachment: NetworkAttachment) -> str:
        if attachment.name == self.own:
            self._use_default()
            return DEFAULT
        definition = format_definition(self.definitions[attachment.name])
        return self.top.key("networks", attachment.name, {"name": attachment.name, **definition})

    def _use_default(self) -> None:
        """Have the network of the project, by its own name unless that is the one that Compose gives it."""
        if DEFAULT in self.top.entries["networks"]:
            return
        definition = self.definitions.get(self.own, NetworkDefinition())
        is_usual = not self.top.project or self.own == f"{self.top.project}_{DEFAULT}"
        name = {} if is_usual and not definition.external else {"name": self.own}
        self.top.put("networks", DEFAULT, {**name, **format_definition(definition)})


def _is_in_default(case: CaseSpec) -> bool:
    """Whether CASE is in the network of its file, which it does not name."""
    networks = case.container.networks
    return case.container.network_mode == DEFAULT_MODE and len(networks) == 1 and bool(case.container.aliases)


def _on_bridge(networks: tuple[NetworkAttachment, ...], notes: Notes) -> dict[str, Any]:
    """Docker has neither names nor addresses of one's choice there."""
    found: dict[str, Any] = {"network_mode": BRIDGE}
    for each in networks:
        refused = {"aliases": each.aliases, "ip": each.address, "ip6": each.address6}
        notes += [f"{name}: Docker takes it only in a network that was created" for name in refused if refused[name]]
        found |= {"mac_address": each.mac} if each.mac else {}
    return found
