"""Commands to the runner of a GitHub job, which annotate lines of files.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions has their grammar.
"""

from __future__ import annotations

import os

from mydocker.errors import inert
from mydocker.untrusted import lines_spelled


def error_command(message: str, *, file: str | None, **properties: object) -> str:
    """The line that shows MESSAGE at a line of FILE. PROPERTIES that are None are left out."""
    known = {"file": None if file is None else _in_workspace(file), **properties}
    named = ",".join(f"{name}={_value(str(value))}" for name, value in known.items() if value is not None)
    return f"::error{' ' if named else ''}{named}::{_data(message)}"


def _in_workspace(file: str) -> str:
    """FILE as GitHub finds it: from the top of the checkout, wherever the batch runs."""
    workspace = os.environ.get("GITHUB_WORKSPACE", "")
    if not workspace:
        return file
    below = os.path.relpath(os.path.realpath(file), os.path.realpath(workspace))
    return file if below == ".." or below.startswith("../") else below


def _data(words: str) -> str:
    """Harmless on a terminal: what could command it is escaped; lines stay lines."""
    shown = "\n".join(inert(line) for line in lines_spelled(words.replace("\t", "    ")).split("\n"))
    return shown.replace("%", "%25").replace("\n", "%0A")


def _value(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")
