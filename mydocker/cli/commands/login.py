"""`mydocker login [REGISTRY]`: store a user name and a password for a registry."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common import say
from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.registry.auth import login
from mydocker.image.registry.auth.credentials import Credentials
from mydocker.reference import DOCKER_HUB, Reference

_LIMIT = 64 << 10  # bytes of a password


def login_command(argv: list[str]) -> int:
    """Try the user name and password at the registry that ARGV names, and store them; 0."""
    options = parser().parse_args(argv)
    host = registry(options.registry)
    username = options.username or _read_name(options.password_stdin)
    if ":" in username:
        raise UsageError(f"user name {username!r} has a colon, which RFC 7617 does not allow")
    secret = Credentials(username=username, password=_password(options.password_stdin))
    login.verify(host, secret, environ=os.environ)
    where = login.store(host, secret, environ=os.environ)
    say(f"logged in to {host} as {username}; kept in {where}")
    return 0


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "login",
        text="They are tried first, and stored where 'docker login' stores them.",
        examples=(
            ("mydocker login ghcr.io", "enter a name and a password"),
            ("mydocker login -u user --password-stdin ghcr.io < token", "read the password from a file"),
        ),
        instead=dict.fromkeys(("-p", "--password"), "use --password-stdin: every user can read a command line"),
    )
    parser.add_argument("registry", nargs="?", default=DOCKER_HUB, metavar="REGISTRY", help="host[:port]")
    parser.add_argument("-u", "--username", metavar="NAME", help="the user name (default: prompt)")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    return parser


def registry(text: str) -> str:
    """The registry that TEXT means: a host, or a URL of it, as `docker login` takes both."""
    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if "@" in host:
        hint = "-u and --password-stdin are for that"
        raise UsageError("a registry's address has no user name or password in it", hint=hint)
    found = Reference.parse(f"{host}/x/y")
    if found.repository != "x/y":
        raise UsageError(f"{text!r} is not a registry", hint="expected host or host:port, such as ghcr.io")
    return found.registry


def _read_name(password_on_stdin: bool) -> str:
    if password_on_stdin or not sys.stdin.isatty():
        raise UsageError("no user name", hint="set one with -u")
    sys.stderr.write("user name: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or _read_name(password_on_stdin)


def _password(from_stdin: bool) -> str:
    """Never from the command line, which every user of the machine can read."""
    if from_stdin:
        password = _text(sys.stdin.buffer.read(_LIMIT)).rstrip("\r\n")
    elif sys.stdin.isatty():
        import getpass

        password = getpass.getpass("password: ", stream=sys.stderr)
    else:
        raise UsageError("no password: standard input is not a terminal", hint="--password-stdin reads one from there")
    if not password:
        raise UsageError("the password is empty")
    return password


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UsageError("the password is not UTF-8") from None
