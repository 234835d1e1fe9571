"""What a spec file expects of its container, as values: an Expect of Checks, each one thing that must hold.

A Check knows the line that it stands on, so that a report can name it. What it is about is a path of words,
such as ("exit_code",) or ("files", "/etc/passwd", "mode"); a Matcher says what is expected of that value.
"""

from __future__ import annotations

from mydocker.errors import Origin
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mydocker.specs.nodes.node import Node

RUNNING = ("ports", "http", "process", "health", "exec")  # what is there only while the container runs
LIVE = ("stdout", "stderr", "files", *RUNNING)  # what can be judged meanwhile
PATIENCE = 10.0  # seconds, where a check of RUNNING is expected and `within` is not set


class Matcher(Record):
    """`op` is one of goss's words, or one of mydocker's:

    text               equal, but for a last line end that WANT may leave out
    equal              WANT is the value
    same               WANT is the scalar of JSON, compared as a number if WANT is one, as text if WANT is that
    called             WANT is one of its names: an owner has a name and a number
    contain-substring  WANT is in the text
    contain-element    an element (of a text: a line) matches WANT, a Matcher
    contain-elements   each of WANT matches a different element; each: the same, but not of a text's lines
    match-regexp       WANT, a pattern, is found in the text
    have-len, have-prefix, have-suffix, gt, ge, lt, le, semver-constraint
    not, and, or       WANT is a Matcher, or a tuple of them
    gjson              WANT is a tuple of (path, Matcher): the text is JSON, and holds these
    globs              each of the paths matches one of WANT; some-glob: one of the paths does; no-glob: none does
    """

    op: str
    want: Any


class Check(Record):
    """One expectation, and where it is written; `implied`: it is a default that is not written anywhere.

    `origin` has no file where that is the file of the container itself, and no line if it is not written.
    """

    origin: Origin = Origin()
    about: tuple[str, ...]
    matcher: Matcher
    implied: bool = False


def checked(node: Node, subject: tuple[str, ...], matcher: Matcher | None) -> Iterator[Check]:
    """The check that MATCHER, which was read at NODE, makes; none if it could not be read."""
    if matcher:
        yield Check(origin=node.origin, about=subject, matcher=matcher)


class Request(Record):
    """An HTTP request to a running container. `timeout`: seconds for the whole response."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    timeout: float = 5.0
    follow: bool = True  # where a redirect leads
    verify: bool = True  # the certificate
    username: str = ""
    password: str = ""


class Command(Record):
    """What is executed inside a container while that runs. `timeout`: seconds, after which it is killed."""

    argv: tuple[str, ...]
    timeout: float = 10.0


class Expect(Record):
    """All expectations of one container. `within`: seconds within which the LIVE checks must hold, while it
    runs; the container is stopped then."""

    checks: tuple[Check, ...] = ()
    within: float | None = None
    requests: tuple[Request, ...] = ()
    commands: tuple[Command, ...] = ()  # those of `exec`: a check is about ("exec", its number, what of it, its name)

    def of(self, *about: str) -> tuple[Check, ...]:
        """The checks whose subject begins with ABOUT."""
        return tuple(check for check in self.checks if check.about[: len(about)] == about)


STANDARD = (
    Check(about=("timed_out",), matcher=Matcher(op="equal", want=False), implied=True),
    Check(about=("exit_code",), matcher=Matcher(op="equal", want=0), implied=True),
)


def complete(expect: Expect | None, *, stopped: bool = False) -> Expect:
    """EXPECT with the defaults added: the command ends by itself, and with exit code 0.

    One that is expected to run out of time has no exit code of its own, nor has one that mydocker has `stopped`.
    """
    written = expect or Expect()
    subjects = {check.about[0] for check in written.checks}
    if "timed_out" in subjects or stopped:
        return written
    implied = tuple(check for check in STANDARD if check.about[0] not in subjects)
    return written.replace(checks=(*implied, *written.checks))
