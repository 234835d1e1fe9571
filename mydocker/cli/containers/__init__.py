"""What the commands on containers share."""

from __future__ import annotations

from mydocker.cli.common import complain
from mydocker.errors import MydockerError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mydocker.cli.common.parser import Parser

FAILED = 1  # the exit code of these commands, as with Docker
EXITS = (("0", "done for all"), ("1", "not for all: the messages say why"), ("2", "wrong usage"))


def add_containers(parser: Parser, help: str = "a name or an ID") -> None:
    """The arguments of commands on one container or several."""
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help=help)


def add_stop(parser: Parser) -> None:
    """How containers are stopped."""
    parser.add_argument(
        "-t", "--timeout", "--time", type=float, metavar="N", help="seconds until it is killed; -1: never"
    )
    parser.add_argument("-s", "--signal", metavar="SIGNAL", help="send this signal in place of its stop signal")


def for_each(names: Iterable[str], action: Callable[[str], str | None]) -> int:
    """Call ACTION with each of NAMES and print what it returns, for None the name, and nothing for an empty text; the
    exit code. An error is printed, and the others go on."""
    status = 0
    for name in names:
        try:
            done = action(name)
            if done != "":
                print(name if done is None else done, flush=True)
        except MydockerError as error:
            complain(error)
            status = FAILED
    return status
