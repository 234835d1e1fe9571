"""`mydocker exec [OPTIONS] CONTAINER COMMAND [ARG...]`."""

from __future__ import annotations

import os

from mydocker.cli.commands import NEGATIVE
from mydocker.errors import (
    CommandNotExecutableError,
    MydockerError,
    NoTerminalError,
    NotInContainerError,
    UsageError,
)
from mydocker.image.store_root import StoreRoot
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command import Stack
from mydocker.runtime.enter import session
from mydocker.runtime.enter.container import open_container, running_named
from mydocker.specs.flags import HELP, Flag, is_on, last, read, texts

if TYPE_CHECKING:
    from mydocker.cli.common.parser import Parser
    from mydocker.runtime.enter.container import Container
    from mydocker.specs.flags import Option
    from mydocker.specs.model import User

DETACH = Flag(flags=("-d", "--detach"), help="do not wait for the command, which goes on in the background")
ENV = Flag(flags=("-e", "--env"), metavar="NAME=VALUE", repeatable=True, help="set an environment variable")
ENV_FILE = Flag(flags=("--env-file",), metavar="FILE", repeatable=True, help="read environment variables from a file")
INTERACTIVE = Flag(flags=("-i", "--interactive"), help="keep the standard input open")
TTY = Flag(flags=("-t", "--tty"), help="give the command a terminal")
USER = Flag(flags=("-u", "--user"), metavar="USER[:GROUP]", help="run as this user (default: that of the container)")
WORKDIR = Flag(flags=("-w", "--workdir"), metavar="DIR", help="the working directory (default: that of the container)")
PRIVILEGED = Flag(
    flags=("--privileged",), help="accepted if it is false: no command has more rights than its container"
)
FLAGS = (DETACH, ENV, ENV_FILE, INTERACTIVE, PRIVILEGED, TTY, USER, WORKDIR)
_INSTEAD = {"--detach-keys": "a terminal of exec is left by ending its command"}
_RIGHTS = "a command gets no more rights than its container: give that what it needs, with --cap-add or --privileged"


def exec_command(argv: list[str]) -> int:
    """Execute the command that ARGV describes in a running container; its exit code."""
    options, words = read(argv, FLAGS, command="exec", instead=_INSTEAD)
    if is_on(HELP, options):
        parser().parse_args(["--help", *words[:1]])
    if not words:
        raise _negative(UsageError("no container", hint="see 'mydocker exec --help'"))
    container, *command = words
    if not command:
        raise _negative(UsageError("no command to execute", hint="see 'mydocker exec --help'"))
    if is_on(PRIVILEGED, options):
        raise UsageError("--privileged is not supported", hint=_RIGHTS)
    with Stack() as opened:
        entered = open_container(_run_directory(container), opened)
        try:
            return _execute(entered, options, tuple(command))
        except NoTerminalError as error:
            raise _negative(error) from None
        except NotInContainerError as error:
            error.exit_code = CommandNotExecutableError.exit_code
            raise


def _negative(error: MydockerError) -> MydockerError:
    """ERROR with the code that `docker exec` has for it."""
    error.exit_code = NEGATIVE
    return error


def _execute(entered: Container, options: list[Option], command: tuple[str, ...]) -> int:
    """The exit code of COMMAND. Raises LaunchError, UsageError."""
    detach = is_on(DETACH, options)
    plan = session.plan_command(
        entered.plan,
        command,
        environment=_environment(options),
        user=_user(last(USER, options)),
        working_dir=last(WORKDIR, options) or None,
        stdin_open=is_on(INTERACTIVE, options) and not detach,
        tty=is_on(TTY, options),
    )
    if detach:
        session.execute_detached(entered, plan)
        return 0
    return session.execute(entered, plan).status


def _run_directory(text: str) -> str:
    """That of the running container that TEXT means. Raises NotRunningError, UsageError."""
    found = running_named(StoreRoot.open(os.environ), text)
    if found:
        return found
    from mydocker.image.store import Store
    from mydocker.services.containers import look

    return look.unpaused(Store.open(os.environ), text)


def _environment(options: list[Option]) -> dict[str, str | None]:
    """The variables that OPTIONS set, those of files first; None is unset. Raises UsageError."""
    files, assignments = texts(ENV_FILE, options), texts(ENV, options)
    environment: dict[str, str | None] = {}
    if files:
        from mydocker.specs.environment.files import read_docker_file

        for path in files:
            environment |= read_docker_file(path, environ=os.environ)
    if assignments:
        from mydocker.specs.values import Scope, own_variable

        for text in assignments:
            environment |= own_variable(text, Scope(directory="", environ=os.environ))
    return environment


def _user(text: str | None) -> User | None:
    if not text:
        return None
    from mydocker.specs.values.user import parse_user

    return parse_user(text)


def parser() -> Parser:
    """What the command line may have, for its help."""
    from mydocker.cli.common.parser import Parser

    parser = Parser(
        "exec",
        text="The command has the isolation of the container, its user and its environment. Options end at CONTAINER. "
        "Signals are passed on to it; if mydocker is killed, the command goes on.",
        exits=(
            ("1", "the container is not running"),
            ("125", "mydocker itself failed"),
            ("126", "the command cannot be executed"),
            ("127", "the command does not exist in the container"),
            ("128+N", "the command was ended by signal N"),
            ("other", "the exit code of the command"),
        ),
        examples=(
            ("mydocker exec web ls /srv", "run a command in container web"),
            ("mydocker exec -it web sh", "open a shell in it"),
            ("mydocker exec -u root -e DEBUG=1 web id", "with another user and a variable"),
        ),
        instead=_INSTEAD,
    )
    parser.add_flags(FLAGS)
    parser.add_argument("container", metavar="CONTAINER", help="the name or ID of a running container")
    return parser
