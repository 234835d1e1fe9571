"""`mydocker cp CONTAINER:PATH DEST|-`, `mydocker cp SRC|- CONTAINER:PATH`."""

from __future__ import annotations

import os
import sys

from mydocker.cli.common.parser import Parser
from mydocker.errors import UsageError
from mydocker.image.store import Store
from mydocker.runtime.copy import session
from mydocker.services.containers import trees


def cp_command(argv: list[str]) -> int:
    """Copy what ARGV says; 0."""
    options = parser().parse_args(argv)
    (container, path), (other_container, other_path) = _split(options.source), _split(options.target)
    if bool(container) == bool(other_container):
        which = "one of both must be" if not container else "only one of both may be"
        raise UsageError(f"{which} a path in a container: CONTAINER:PATH")
    name = container or other_container or ""
    with trees.tree(Store.open(os.environ), name, environ=os.environ) as tree:
        if container:
            _copy_out(tree, path, options.target, follow=options.follow_link, keep_owner=options.archive)
        else:
            _copy_in(tree, options.source, other_path, follow=options.follow_link, keep_owner=options.archive)
    return 0


def _copy_out(tree: session.Tree, path: str, target: str, *, follow: bool, keep_owner: bool) -> None:
    if target != "-":
        session.copy_out(tree, path, target, follow=follow, keep_owner=keep_owner)
        return
    if sys.stdout.isatty():
        raise UsageError("an archive is not written to a terminal", hint="redirect it to a file or a pipe")
    session.stream_out(tree, path, sys.stdout.buffer, follow=follow)


def _copy_in(tree: session.Tree, source: str, path: str, *, follow: bool, keep_owner: bool) -> None:
    if source == "-":
        session.stream_in(tree, sys.stdin.buffer, path, keep_owner=keep_owner)
    else:
        session.copy_in(tree, source, path, follow=follow, keep_owner=keep_owner)


def _split(text: str) -> tuple[str | None, str]:
    """The container and the path of CONTAINER:PATH. A path of the host with a colon begins with / or . (docker cp)."""
    container, colon, path = text.partition(":")
    if not colon or not container or text.startswith((".", "/")):
        return None, text
    return container, path


def parser() -> Parser:
    """What the command line may have."""
    parser = Parser(
        "cp",
        text="Paths in the container are judged from its root, links among them too. As with 'docker cp', a directory "
        "is copied into a directory that exists, /. at the end stands for what is in it, and - is an archive on the "
        "standard output or input. What is copied belongs to root in the container, and to you on the host.",
        exits=(
            ("0", "copied"),
            ("1", "it cannot be copied, or there is no such container"),
            ("2", "wrong usage"),
        ),
        examples=(
            ("mydocker cp web:/var/log/app.log .", "copy a file out of container web"),
            ("mydocker cp site/. web:/srv", "copy what is in a directory into it"),
            ("mydocker cp web:/etc - | tar -t", "list a directory as an archive"),
        ),
    )
    parser.add_argument("-a", "--archive", action="store_true", help="keep the numbers of users and groups, and setuid")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="accepted for compatibility: nothing is printed anyway"
    )
    parser.add_argument("-L", "--follow-link", action="store_true", help="copy what a symbolic link SOURCE leads to")
    parser.add_argument("source", metavar="SOURCE", help="CONTAINER:PATH, a path, or - for an archive on the input")
    parser.add_argument("target", metavar="TARGET", help="a path, CONTAINER:PATH, or - for an archive on the output")
    return parser
