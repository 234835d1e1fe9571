"""`mydocker compose [OPTIONS] COMMAND ...`: the commands of mydocker, with the options that Compose has before them."""

from __future__ import annotations

from mydocker.cli.commands import command_module
from mydocker.cli.common.parser import Parser
from mydocker.cli.manual.catalogue import COMMANDS
from mydocker.cli.project.commands import COMMANDS as PROJECT_COMMANDS
from mydocker.cli.project.options import add_project
from mydocker.errors import UsageError
from mydocker.nearest import did_you_mean
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_VALUES = ("-f", "--file", "-p", "--project-name", "--project-directory", "--env-file", "--profile", "--ignore")
_ANSI = ("never", "always", "auto")
_ACCEPTED = ("--progress", "--parallel")  # options with a value that change nothing of what runs
_WITH_PROJECT = ("up", "down", "config", "check", "explain", "unit")  # commands of mydocker that take these options
# options of `config` for something else than a Compose file, besides those for lists
_NO_COMPOSE_FILE = ("--to", "-q", "--quiet", "-h", "--help", "--hash", "--variables", "--environment")
_INSTEAD = {  # of other commands of docker compose
    "events": "'mydocker compose ps' says what there is now",
    "publish": "a file and its images are published by git and by 'mydocker push'",
    "volumes": "'mydocker volume ls' lists them",
    "watch": "'mydocker compose up -d --build SERVICE' after a change does that once",
}


def compose_command(argv: list[str]) -> int:
    """`mydocker compose -f x up -d` is `mydocker up -f x -d`, and `mydocker compose stop web` is `mydocker stop` of the
    containers of a service; the exit code of that."""
    before, plain = _without_accepted(argv)
    before, words = _split(before)
    if not words or words[0] in ("-h", "--help"):
        parser().parse_args(["--help"])
    name, *rest = words
    name = _SAME.get(name, name)
    if plain and name in ("up", "logs"):
        rest = ["--no-color", *rest]
    if name == "version":
        before = []
    elif name == "create":
        name, rest = "up", ["--no-start", *rest]
    elif name in PROJECT_COMMANDS:
        return PROJECT_COMMANDS[name](before, rest)
    elif name not in _WITH_PROJECT:
        raise _unknown(name)
    if name == "config" and not _asks_for_others(rest):
        rest = ["--to", "compose", *rest]  # which is what docker compose prints
    command: Callable[[list[str]], int] = getattr(command_module(name), f"{name}_command")
    return command([*before, *rest])


_SAME = {"convert": "config"}  # older names


def _without_accepted(argv: list[str]) -> tuple[list[str], bool]:
    """ARGV without options of Compose before the command that say how it prints; and whether that is without colors.
    Raises UsageError."""
    kept: list[str] = []
    plain, rest = False, [*argv]
    while rest and rest[0].startswith("-"):
        flag, joined, value = rest[0].partition("=")
        if flag == "--no-ansi":
            plain = True
            rest.pop(0)
            continue
        takes_value = flag in (*_VALUES, "--ansi", *_ACCEPTED) and not joined
        words, rest = rest[: 1 + takes_value], rest[1 + takes_value :]
        if flag not in ("--ansi", *_ACCEPTED):
            kept += words
            continue
        value = value or words[-1] if joined or len(words) > 1 else ""
        if not value or (flag == "--ansi" and value not in _ANSI):
            expected = f"expected {', '.join(_ANSI)}" if flag == "--ansi" else "it needs a value"
            raise UsageError(f"option {flag}: {expected}", hint="see 'mydocker compose --help'")
        plain = plain or (flag == "--ansi" and value == "never")
    return [*kept, *rest], plain


def _asks_for_others(words: list[str]) -> bool:
    """Whether WORDS, after `config`, ask for something else than a Compose file."""
    from mydocker.cli.project.convert import LISTS

    others = {*_NO_COMPOSE_FILE, *(f"--{kind}" for kind in LISTS)}
    return any(word.partition("=")[0] in others for word in words)


def _unknown(name: str) -> UsageError:
    """For the command NAME, which is none on a project."""
    message = f"'compose {name}' is not a mydocker command"
    if name in _INSTEAD:
        return UsageError(message, hint=_INSTEAD[name])
    if name in COMMANDS:
        return UsageError(message, hint=f"'mydocker {name}' is one, and not about a project")
    message += did_you_mean(name, {*_WITH_PROJECT, *PROJECT_COMMANDS})
    return UsageError(message, hint="see 'mydocker compose --help'")


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The options before the command, and the command with what follows it."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-h", "--help"):
        flag = argv[at].partition("=")[0]
        is_joined = not flag.startswith("--") and flag[:2] in _VALUES and len(argv[at]) > 2
        if flag not in _VALUES and not is_joined:
            message = f"unknown option: {flag}" + did_you_mean(flag, (*_VALUES, "--help"))
            raise UsageError(message, hint="see 'mydocker compose --help'")
        at += 1 if "=" in argv[at] or is_joined else 2
    if at > len(argv):
        raise UsageError(f"option {argv[-1]} needs a value", hint="see 'mydocker compose --help'")
    return argv[:at], argv[at:]


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "compose",
        text="The options may come before the command, as with docker compose, or after it. Commands on containers "
        f"take the names of services: {', '.join(PROJECT_COMMANDS)}.",
        examples=(
            ("mydocker compose -p shop up", "the same as mydocker up -p shop"),
            ("mydocker compose build web", "build the image of a service"),
            ("mydocker compose logs -f web", "print what service web has written, and what it writes"),
            ("mydocker compose -f base.yaml -f test.yaml config", "print what two files are together"),
        ),
    )
    add_project(parser)
    parser.add_argument("--ansi", choices=_ANSI, help="never: print what services write without colors")
    for flag in _ACCEPTED:
        parser.add_argument(flag, metavar="VALUE", help="accepted for compatibility")
    parser.add_argument("command", metavar="COMMAND", help="a command, such as up or config")
    parser.add_argument("words", nargs="*", metavar="ARG", help="its options and arguments")
    return parser
