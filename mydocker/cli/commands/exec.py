"""`mydocker exec [OPTIONS] CONTAINER COMMAND [ARG...]`."""

from __future__ import annotations

import argparse
import os

from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.runtime.enter import session
from mydocker.services.containers import look
from mydocker.specs.environment.files import read_docker_file
from mydocker.specs.values import Scope, own_variable
from mydocker.specs.values.user import parse_user

_WITH_VALUE = "euw"  # letters of the options that take one


def exec_command(argv: list[str]) -> int:
    """Execute the command that ARGV describes in a running container; its exit code."""
    words, command = _split(argv)
    options = parser().parse_args(words)
    if options.privileged:
        hint = "give the container what it needs when it starts, with --cap-add or --privileged"
        raise UsageError("--privileged is not supported: a command gets no more rights than its container", hint=hint)
    if not command:
        raise UsageError("no command to execute", hint="see 'mydocker exec --help'")
    environment: dict[str, str | None] = {}
    for path in options.env_file:
        environment |= read_docker_file(path, environ=os.environ)
    for text in options.env:
        environment |= own_variable(text, Scope(directory="", environ=os.environ))
    with look.running(Store.open(os.environ), options.container, paused=False) as view:
        plan = session.plan_command(
            view.plan,
            tuple(command),
            environment=environment,
            user=parse_user(options.user) if options.user else None,
            working_dir=options.workdir or None,
            stdin_open=options.interactive and not options.detach,
            tty=options.tty,
        )
        if options.detach:
            session.execute_detached(view, plan)
            return 0
        return session.execute(view, plan).status


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """ARGV up to the container, where options end, and the command."""
    position = 0
    while position < len(argv) and argv[position].startswith("-") and argv[position] != "-":
        word = argv[position]
        position += 1
        if word == "--":
            break
        is_long = word.startswith("--")
        ends_with_option = word[-1] in _WITH_VALUE and not any(letter in _WITH_VALUE for letter in word[1:-1])
        if (is_long and word in _LONG) or (not is_long and ends_with_option):
            position += 1
    return argv[: position + 1], argv[position + 1 :]


_LONG = ("--env", "--env-file", "--user", "--workdir")


def parser() -> Parser:
    """What the command line may have."""
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
        instead={"--detach-keys": "a terminal of exec is left by ending its command"},
    )
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="do not wait for the command, which goes on in the background")
    add("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="set an environment variable")
    add("--env-file", action="append", default=[], metavar="FILE", help="read environment variables from a file")
    add("-i", "--interactive", action="store_true", help="keep the standard input open")
    add("-t", "--tty", action="store_true", help="give the command a terminal")
    add("-u", "--user", metavar="USER[:GROUP]", help="run as this user (default: that of the container)")
    add("-w", "--workdir", metavar="DIR", help="the working directory (default: that of the container)")
    add("--privileged", action="store_true", help=argparse.SUPPRESS)
    add("container", metavar="CONTAINER", help="the name or ID of a running container")
    return parser
