"""`mydocker doctor`: what containers can do on this host."""

from __future__ import annotations

import os

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.common.parser import Parser
from mydocker.cli.common.table import add_format, show_json
from mydocker.errors import printable
from mydocker.image.store import Store
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.doctor.checks import HostCheck, can_run, examine

if TYPE_CHECKING:
    from typing import Any


def doctor_command(argv: list[str]) -> int:
    """Print what was found; 0 if a container can run, else 1."""
    options = parser().parse_args(argv)
    findings = examine(Store.open(os.environ))
    ready = can_run(findings)
    if options.format == "json":
        show_json({"can_run": ready, "findings": [_plain(finding) for finding in findings]})
        return 0 if ready else NEGATIVE
    for finding in findings:
        print(f"{finding.state:9}{finding.name:17}{printable(finding.detail)}")
        if finding.hint:
            print(f"{'':26}-> {printable(finding.hint)}")
    print("containers can run here" if ready else "containers cannot run here")
    return 0 if ready else NEGATIVE


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "doctor",
        text="It tries what containers need, and prints what would help.",
        exits=(("0", "containers can run"), ("1", "containers cannot run")),
        examples=(("mydocker doctor", "check this host"), ("mydocker doctor --format json", "check it in a script")),
    )
    add_format(parser)
    return parser


def _plain(finding: HostCheck) -> dict[str, Any]:
    return finding.as_dict()
