"""`mydocker logout [REGISTRY]`: remove what `login` has stored."""

from __future__ import annotations

import os

from mydocker.cli.commands import NEGATIVE
from mydocker.cli.commands.login import registry
from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.errors import HostError
from mydocker.image.registry.auth import login
from mydocker.reference import DOCKER_HUB


def logout_command(argv: list[str]) -> int:
    """0; 1 if there was nothing to forget. Raises HostError if a helper that may have a login is not installed."""
    host = registry(parser().parse_args(argv).registry)
    known = login.forget(host, environ=os.environ)
    missing = login.missing_helpers(host, environ=os.environ)
    if known or not missing:
        say(f"logged out of {host}" if known else f"not logged in to {host}")
    for entry in login.left(host, environ=os.environ):
        say(f"still logged in to {entry}")
    if missing:
        raise HostError(
            f"{missing[0]} may still have a login for {host}: it is not installed",
            hint="install it, or remove its name from credsStore and credHelpers",
        )
    return 0 if known else NEGATIVE


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "logout",
        exits=(("0", "removed"), ("1", "there was nothing to remove")),
        examples=(("mydocker logout ghcr.io", "remove what 'mydocker login ghcr.io' has stored"),),
    )
    parser.add_argument("registry", nargs="?", default=DOCKER_HUB, metavar="REGISTRY", help="host[:port]")
    return parser
