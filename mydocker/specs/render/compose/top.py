"""The entries at the top of a Compose file that services refer to: volumes, networks, configs and secrets."""

from __future__ import annotations

import json

from mydocker.record import TYPE_CHECKING
from mydocker.specs.formats.compose.networks import DEFAULT
from mydocker.specs.nodes.yaml import escape
from mydocker.specs.render.names import Names

if TYPE_CHECKING:
    from typing import Any

KINDS = ("volumes", "networks", "configs", "secrets")


class Top:
    """What the file has at its top so far, of each kind by the key of the entry.

    `project` is its name, empty for none. What is stored under the project's name and another one has the other one as
    its key.
    """

    def __init__(self, project: str = "") -> None:
        self.project = project
        self.entries: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self._keys: dict[tuple[str, str], str] = {}
        self._names = {kind: Names((DEFAULT,) if kind == "networks" else ()) for kind in KINDS}

    def key(self, kind: str, wanted: str, definition: dict[str, Any]) -> str:
        """The key of the entry of KIND that has DEFINITION. A new one gets the key WANTED, or one like it."""
        identity = (kind, _identity(definition))
        if identity not in self._keys:
            own = wanted.removeprefix(f"{self.project}_") if self.project else wanted
            self.put(kind, self._names[kind].free(own or wanted), definition)
        return self._keys[identity]

    def put(self, kind: str, key: str, definition: dict[str, Any]) -> None:
        """Have the entry KEY of KIND, with DEFINITION."""
        self.entries[kind][key] = definition
        self._keys[kind, _identity(definition)] = key


def _identity(definition: dict[str, Any]) -> str:
    return json.dumps(escape(definition), sort_keys=True)
