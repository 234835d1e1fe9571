"""`mydocker create [OPTIONS] IMAGE [COMMAND [ARG...]]`: a container in the background that is not started yet."""

from __future__ import annotations

from mydocker.cli.commands.run import working_directory
from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.cli.containers.detached import create_only


def create_command(argv: list[str]) -> int:
    """Create the container that ARGV describes, and print its ID; 0."""
    if argv in (["--help"], ["-h"]):
        parser().print_help()
        return 0
    return create_only(argv, cwd=working_directory(), warn=say)


def parser() -> Parser:
    """What the command line may have: the options of `run`."""
    return Parser(
        "create",
        text="The options are those of 'mydocker run'; 'mydocker start' starts it.",
        examples=(("mydocker create --name web -p 8080:80 nginx", "create a container, and print its ID"),),
    )
