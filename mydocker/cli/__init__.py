"""The command line: argv in, exit code out. The only room that prints, and the only one that ends the process."""

from __future__ import annotations

import os
import sys

from mydocker.cli.output import complain
from mydocker.errors import USAGE_FAILURE, MydockerError, UsageError

INTERRUPTED = 130
HINT = "see 'mydocker --help'"


def entry() -> None:
    """The process, from its arguments to its end, without the interpreter's tear-down: a seventh of a warm start."""
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:  # None where the descriptor was closed
                stream.flush()
        except (OSError, ValueError):  # a full disk, or nobody is reading it
            status = status or USAGE_FAILURE
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run the command that ARGV (by default the process's arguments) names; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _dispatch(words)
    except MydockerError as error:
        complain(error)
        return error.exit_code
    except OSError as error:
        about = f": {error.filename}" if error.filename else ""
        complain(MydockerError(f"the host refuses: {error.strerror or error}{about}"))
        return USAGE_FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED


def _dispatch(words: list[str]) -> int:
    """Each command's module is imported only when it is the one wanted: a warm `run` pays for no other."""
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    if name == "run":
        from mydocker.cli.run import run_command

        return run_command(rest)
    if name == "up":
        from mydocker.cli.up import up_command

        return up_command(rest)
    if name == "check":
        from mydocker.cli.check import check_command

        return check_command(rest)
    if name in ("--help", "help", "--version", "version"):
        from mydocker.cli.help import help_command

        return help_command(name)
    raise UsageError(f"{name!r} is not a mydocker command", hint=HINT)
