"""The lines that the services of a project write, each after the name of its container."""

from __future__ import annotations

import os
import sys

from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mydocker.services.project import Instance

_COLORS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # as Compose gives them: cyan first


class ServiceOutput:
    """Writes the lines of INSTANCES: what they write to stdout to mydocker's stdout, and likewise stderr."""

    def __init__(self, instances: Sequence[Instance], *, prefix: bool = True) -> None:
        width = max((len(each.title) for each in instances), default=0)
        self.prefixes = {each.name: f"{each.title:<{width}}  | " if prefix else "" for each in instances}
        self.colors = {each.name: _COLORS[at % len(_COLORS)] for at, each in enumerate(instances)}

    def show(self, instance: Instance, is_error: bool, line: bytes) -> None:
        """Write LINE of INSTANCE. Raises OSError if nobody reads it."""
        stream = sys.stderr if is_error else sys.stdout
        if stream is None:
            return
        prefix = self.prefixes[instance.name]
        if prefix and stream.isatty() and not os.environ.get("NO_COLOR"):
            prefix = f"\033[{self.colors[instance.name]}m{prefix}\033[0m"
        stream.buffer.write(prefix.encode() + line)
        stream.buffer.flush()
