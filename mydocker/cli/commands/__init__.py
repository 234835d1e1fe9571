"""The commands: their names, the module of each, and the exit codes of those that run nothing."""

from __future__ import annotations

RUNNING = ("run", "up", "record")  # their exit codes are those of what they run
OTHERS = (
    "check",
    "completion",
    "config",
    "df",
    "diff",
    "doctor",
    "explain",
    "fsck",
    "help",
    "history",
    "images",
    "inspect",
    "load",
    "lock",
    "login",
    "logout",
    "network",
    "prune",
    "pull",
    "push",
    "rmi",
    "save",
    "schema",
    "tag",
    "test",
    "version",
    "volume",
)

NEGATIVE = 1
USAGE = 2


def command_module(name: str) -> object:
    """The module of the command NAME."""
    return __import__(f"mydocker.cli.commands.{name}", fromlist=["cli"])  # importlib costs a millisecond
