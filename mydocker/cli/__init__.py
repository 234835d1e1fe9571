"""The command line: argv in, exit code out. The only room that prints, and the only one that ends the process."""

from __future__ import annotations

import gc
import os
import sys

from mydocker.cli.commands import NEGATIVE, USAGE, command_module
from mydocker.errors import USAGE_FAILURE, ImageNotFoundError, MydockerError, UsageError, refused_by_host
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
UNREAD = 141  # a shell's exit code for a program that SIGPIPE has ended
_LIGHT = ("run", "exec", "ps")  # commands that start in little more time than Python does


def entry() -> None:
    """The process, from its arguments to its end, without the interpreter's tear-down: a seventh of a warm start."""
    if sys.stdout and sys.stdout.errors == "strict":  # a terminal whose text is not Unicode
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is no stream of a test's
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:  # None where the descriptor was closed
                stream.flush()
        except BrokenPipeError:
            status = status or UNREAD
        except (OSError, ValueError):  # a full disk, or a closed reader
            status = status or USAGE_FAILURE
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run the command that ARGV (by default the process's arguments) names; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    gc.disable()  # what is imported stays, and to look at all of it again and again takes a tenth of a start
    try:
        words = _known(words)
        return _dispatch(words)
    except MydockerError as error:
        _complain(error)
        return _status(words[0] if words else "", error)
    except BrokenPipeError:  # such as that of `mydocker images | head`: it has read enough
        return UNREAD
    except (OSError, MemoryError) as error:
        _complain(refused_by_host(error))
        return USAGE_FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(error: MydockerError) -> None:
    from mydocker.cli.common import complain  # which a command that succeeds does not need

    complain(error)


def _known(words: list[str]) -> list[str]:
    """WORDS, which begin with the name of a command."""
    if words and words[0] in _LIGHT:  # a warm start reads no table
        return words
    from mydocker.cli.manual.catalogue import NAMES

    if words and words[0] in NAMES:
        return words
    from mydocker.cli.common.command_names import meant

    return meant(words)


def _dispatch(words: list[str]) -> int:
    """The command NAME is the function `NAME_command` of the module of that name, imported only when it is needed."""
    name, rest = words[0], words[1:]
    command: Callable[[list[str]], int] = getattr(command_module(name), f"{name}_command")
    if name not in _LIGHT:  # whose processes are so short that they have nothing to free
        gc.freeze()
        gc.enable()
    return command(rest)


def _status(command: str, error: MydockerError) -> int:
    """Commands that run nothing have separate codes for a wrong command line and for `there is none`."""
    from mydocker.cli.manual.catalogue import NAMES, OF_CONTAINERS, RUNNING

    runs_nothing = command in NAMES and command not in RUNNING
    if runs_nothing and isinstance(error, UsageError):
        return USAGE
    if runs_nothing and isinstance(error, ImageNotFoundError):
        return NEGATIVE
    is_failure = command in OF_CONTAINERS and not isinstance(error, UsageError)
    return NEGATIVE if is_failure else error.exit_code
