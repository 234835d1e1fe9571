"""The commands, a file each, and the exit codes of those that run nothing; manual/catalogue.py lists them."""

from __future__ import annotations

NEGATIVE = 1
USAGE = 2


def command_module(name: str) -> object:
    """The module of the command NAME."""
    return __import__(f"mydocker.cli.commands.{name}", fromlist=["cli"])  # importlib costs a millisecond
