"""What `mydocker test` shows while it runs: the report for people, on a terminal with colours and a live line.

The live line shows what runs and what is pulled. It is on stderr, only while stdout and stderr are both terminals,
and is erased before anything else is written.
"""

from __future__ import annotations

import os
import sys

from mydocker.cli.common import warn
from mydocker.errors import printable
from mydocker.record import TYPE_CHECKING
from mydocker.verdict.finding import ERROR, FAILED, PASSED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

    from mydocker.testing.report.text import Line

_COLOURS = {PASSED: "32", FAILED: "1;31", ERROR: "1;31", SKIPPED: "33", "-": "32", "+": "31", "@": "36", "faint": "2"}
_ERASE = "\r\x1b[K"
_NAMES = 3  # cases in the live line


def is_terminal(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether STREAM is a terminal that can erase a line."""
    return stream is not None and stream.isatty() and environ.get("TERM", "dumb") not in ("dumb", "")


def has_colours(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """https://no-color.org, FORCE_COLOR as Node.js and pytest have it, CLICOLOR and CLICOLOR_FORCE as BSD's ls, in this
    order; else a terminal has colours unless it is a dumb one."""
    if environ.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environ.get(name):
            return environ[name] not in ("0", "false")
    return environ.get("CLICOLOR") != "0" and is_terminal(stream, environ)


class Screen:
    """Standard output, unless a report goes there (`taken`). Without a reader, the batch goes on."""

    def __init__(self, *, taken: bool, environ: Mapping[str, str]) -> None:
        self.silent = taken
        self.trouble = ""
        self.coloured = has_colours(sys.stdout, environ)
        self.live = not taken and is_terminal(sys.stdout, environ) and is_terminal(sys.stderr, environ)
        self.status = ""

    def show(self, lines: Iterable[Line]) -> None:
        """Print LINES, each in its style."""
        self.erase()
        texts = [self._painted(*line) for line in lines]
        if self.silent or not texts:
            return
        try:
            print(*texts, sep="\n", flush=True)
        except OSError as error:
            self.silent = True
            if not isinstance(error, BrokenPipeError):
                self.trouble = f"cannot write to standard output: {error.strerror}"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in the buffer

    def _painted(self, style: str, text: str) -> str:
        colour = _COLOURS.get(style) if self.coloured and text.strip() else None
        return f"\x1b[{colour}m{text}\x1b[m" if colour else text

    def follow(self, done: int, total: int, running: Sequence[str], pulling: Sequence[str]) -> None:
        """Draw the live line anew."""
        if not self.live or self.silent:
            return
        more = f" and {len(running) - _NAMES} more" if len(running) > _NAMES else ""
        words = f"[{done}/{total}] {', '.join(running[:_NAMES])}{more}"
        words += f"; pulling {', '.join(pulling)}" if pulling else ""
        self._draw(printable(words))

    def _draw(self, words: str) -> None:
        try:
            words = words[: max(1, os.get_terminal_size(sys.stderr.fileno()).columns - 1)]
            if words != self.status:
                sys.stderr.write(f"{_ERASE}{words}")
                sys.stderr.flush()
                self.status = words
        except (OSError, ValueError):  # the terminal is gone
            self.live = False

    def warn(self, words: str) -> None:
        """Print WORDS on stderr, once, above the live line."""
        self.erase()
        warn(words)

    def erase(self) -> None:
        """Remove the live line, so that something else can be written."""
        if self.status:
            self._draw("")
