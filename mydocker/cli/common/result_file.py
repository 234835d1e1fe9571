"""The file of `--result`: how each container ended, one line of JSON each, for programs.

The keys are those of `_line`. The file is replaced as a whole each time a line is added, so a reader finds whole lines
only, also when mydocker is killed later; a descriptor (`/dev/stdout`, `/dev/fd/3`) and what is no regular file, such
as a named pipe, are written to instead.
"""

from __future__ import annotations

import os
import stat

from mydocker.errors import USAGE_FAILURE, HostError, ImageError, MydockerError, SpecError, UsageError
from mydocker.json_output import dump
from mydocker.kernel.disk import replace_file
from mydocker.paths import stream, usable
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model import ContainerSpec


class ResultFile:
    """The lines so far. Raises UsageError at once if the file cannot exist: a result must not be lost at the end."""

    def __init__(self, path: str) -> None:
        self.text = ""
        self.path = path
        self.stream = stream(usable(path))
        if self.stream is not None:
            return
        is_file = _is_file_or_none(path)
        self.path = os.path.realpath(path) if is_file else path
        loop = is_file and os.path.islink(self.path)
        directory = os.path.dirname(self.path) or "."
        if not path or loop or os.path.isdir(path) or not os.path.isdir(directory):
            raise UsageError(f"--result {path!r}: expected a file in a directory that exists")

    def add(
        self,
        *,
        spec: ContainerSpec | None = None,
        plan: LaunchPlan | None = None,
        outcome: Outcome | None = None,
        error: MydockerError | None = None,
    ) -> None:
        """Write down one container: how far it came, and its OUTCOME or the ERROR; both, if what it wrote could not be
        kept. Raises HostError."""
        line = dump(_line(spec, plan, outcome, error)) + "\n"
        self.text += line
        try:
            if self.stream is not None:
                with open(self.stream, "w", closefd=False) as file:
                    file.write(line)
            elif os.path.exists(self.path) and not stat.S_ISREG(os.stat(self.path).st_mode):
                with open(self.path, "w") as file:
                    file.write(line)
            else:
                replace_file(self.path, self.text)
        except OSError as failure:
            raise HostError(f"cannot write the result to {self.path}: {failure.strerror}") from None


def _is_file_or_none(path: str) -> bool:
    """Whether PATH leads to a regular file, or to where one can be: a link to nowhere is followed, and stays."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def _line(
    spec: ContainerSpec | None, plan: LaunchPlan | None, outcome: Outcome | None, error: MydockerError | None
) -> dict[str, Any]:
    """Times are in seconds, sizes in bytes; what is not known is null. `status` is what mydocker exits with."""
    status = error.exit_code if error else outcome.status if outcome else USAGE_FAILURE
    return {
        "name": spec.name if spec else None,
        "origin": str(spec.origin) if spec else None,
        "image": str(spec.image) if spec and spec.image else None,
        "image_digest": plan.image_digest if plan else None,
        "container_id": plan.container_id if plan else None,
        "network": plan.network if plan else None,
        "network_reason": (plan.no_network or None) if plan else None,
        "ports": _ports(outcome),
        "phase": _phase(plan, outcome, error),
        "status": status,
        "exit_code": outcome.exit_code if outcome else None,
        "signal": outcome.signal if outcome else None,
        "timed_out": bool(outcome and outcome.timed_out),
        "oom_killed": bool(outcome and outcome.oom_killed),
        "killed_by": (outcome.killed_by or None) if outcome else None,
        "wall": outcome.wall if outcome else None,
        "cpu": outcome.cpu if outcome else None,
        "max_rss": outcome.max_rss if outcome else None,
        "error": error.message if error else None,
        "hint": error.hint if error else None,
    }


def _ports(outcome: Outcome | None) -> list[dict[str, Any]]:
    """What was published, with the numbers that were chosen."""
    if outcome is None or not outcome.ports:
        return []
    from mydocker.runtime.network.published_ports import read

    published = map(read, outcome.ports)
    return [
        {"host_ip": port.host_ip or None, "port": port.port, "target": port.target, "protocol": port.protocol}
        for port in published
    ]


def _phase(plan: LaunchPlan | None, outcome: Outcome | None, error: MydockerError | None) -> str:
    """How far it came: the spec was read, the image was there, the container was set up, the command ran."""
    if outcome:
        return "run"
    if plan is None and isinstance(error, (SpecError, UsageError)):
        return "spec"
    return "image" if plan is None and isinstance(error, ImageError) else "setup"
